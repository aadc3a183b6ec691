import type { Json, TwinObject } from '../types.js';

/**
 * What a server takes and says something about, in its own words.
 *
 * @source kubernetes/kubernetes:pkg/api/node/util.go, pkg/api/pod/warnings.go, pkg/registry/networking/ingress/strategy.go
 */
const OLD_NODE_LABELS: Record<string, string> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
  'app.kubernetes.io/created-by': 'deprecated since v1.9',
  'scheduler.alpha.kubernetes.io/preferAvoidPods': 'deprecated since v1.22; use Taints and Tolerations instead',
  'node-role.kubernetes.io/master': 'use "node-role.kubernetes.io/control-plane" instead',
};

/** The first releases whose servers look at what is made, and at the class of an Ingress. */
const WARNS_MINOR = 21;
const INGRESS_MINOR = 22;

const INGRESS_CLASS = 'kubernetes.io/ingress.class';

/** @param made  it is new; of a change only what pods will be made from is looked at, and never pods themselves */
export function warningsFor(object: TwinObject, minor: number, made: boolean): string[] {
  if (minor < WARNS_MINOR) return [];
  const { kind, metadata } = object;
  const spec: Json = object['spec'] ?? {};
  switch (kind) {
    case 'Pod':
      return made ? ofPods('spec', spec) : [];
    case 'CronJob':
      return ofPods('spec.jobTemplate.spec.template.spec', spec.jobTemplate?.spec?.template?.spec);
    case 'Deployment':
    case 'ReplicaSet':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'Job':
      return ofPods('spec.template.spec', spec.template?.spec);
    case 'Ingress': {
      const isOld =
        made &&
        minor >= INGRESS_MINOR &&
        metadata.annotations?.[INGRESS_CLASS] !== undefined &&
        spec.ingressClassName === undefined;
      return isOld ? [`annotation "${INGRESS_CLASS}" is deprecated, please use 'spec.ingressClassName' instead`] : [];
    }
    default:
      return [];
  }
}

function ofPods(path: string, spec: Json): string[] {
  if (!spec) return [];
  const { nodeSelector, affinity, topologySpreadConstraints } = spec;
  const required: Json[] =
    affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const preferred: Json[] = affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const near = `${path}.affinity.nodeAffinity`;
  return [
    ...Object.keys(nodeSelector ?? {}).flatMap((key) =>
      OLD_NODE_LABELS[key] ? [`${path}.nodeSelector[${key}]: ${OLD_NODE_LABELS[key]}`] : [],
    ),
    ...required.flatMap((term, at) =>
      ofTerm(`${near}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[${at}]`, term),
    ),
    ...preferred.flatMap((it, at) =>
      ofTerm(`${near}.preferredDuringSchedulingIgnoredDuringExecution[${at}].preference`, it.preference),
    ),
    ...((topologySpreadConstraints ?? []) as Json[]).flatMap(({ topologyKey }, at) =>
      ofKey(`${path}.topologySpreadConstraints[${at}].topologyKey`, topologyKey),
    ),
  ];
}

const ofTerm = (path: string, term: Json): string[] =>
  ((term?.matchExpressions ?? []) as Json[]).flatMap(({ key }, at) =>
    ofKey(`${path}.matchExpressions[${at}].key`, key),
  );

const ofKey = (path: string, key: string): string[] =>
  OLD_NODE_LABELS[key] ? [`${path}: ${key} is ${OLD_NODE_LABELS[key]}`] : [];

/** @source kubernetes/apimachinery:pkg/util/net/http.go, NewWarningHeader */
export const warningHeader = (text: string): string => `299 - "${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
