import type { ClusterInventory } from './inventory.js';
import type { Kind, KubeObject } from './ports.js';

/**
 * Kinds whose API version the source stores and the target no longer serves, rewritten by us. Each is a pure function from the
 * source's object to one that the target takes; what changes meaning is said in the comment.
 */
export interface Conversion {
  kind: Kind;
  from: string[];
  to: string;
  convert(object: KubeObject): KubeObject;
}

const asIs = (to: string) => (object: KubeObject) => ({ ...object, apiVersion: to });

export const CONVERSIONS: readonly Conversion[] = [
  // The two versions have the same fields.
  // @source kubernetes/kubernetes:pkg/apis/batch/v1beta1/conversion.go
  { kind: 'CronJob.batch', from: ['batch/v1beta1', 'batch/v2alpha1'], to: 'batch/v1', convert: asIs('batch/v1') },
  {
    kind: 'PodDisruptionBudget.policy',
    from: ['policy/v1beta1'],
    to: 'policy/v1',
    // An empty selector chooses nothing in v1beta1 and everything in v1; the reserved key chooses nothing in both.
    // @source kubernetes/kubernetes:pkg/apis/policy/v1beta1/conversion.go
    convert(object) {
      const spec = object['spec'] ?? {};
      const empty = spec.selector && Object.keys(spec.selector).length === 0;
      const selector = empty
        ? {
            matchExpressions: [
              { key: 'pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match', operator: 'Exists' },
            ],
          }
        : spec.selector;
      return { ...object, apiVersion: 'policy/v1', spec: { ...spec, ...(selector && { selector }) } };
    },
  },
  {
    kind: 'Ingress.networking.k8s.io',
    from: ['networking.k8s.io/v1beta1'],
    to: 'networking.k8s.io/v1',
    convert: ingress,
  },
  { kind: 'Ingress.extensions', from: ['extensions/v1beta1'], to: 'networking.k8s.io/v1', convert: ingress },
];

/**
 * backend {serviceName, servicePort} → {service {name, port {number|name}}}; pathType becomes required, and what an absent one meant is
 * ImplementationSpecific.
 * @source kubernetes/kubernetes:pkg/apis/networking/v1beta1/conversion.go
 */
function ingress(object: KubeObject): KubeObject {
  const spec = object['spec'] ?? {};
  const { backend: single, ...rest } = spec;
  return {
    ...object,
    apiVersion: 'networking.k8s.io/v1',
    spec: {
      ...rest,
      ...(single && { defaultBackend: backend(single) }),
      ...(spec.rules && { rules: (spec.rules as OldRule[]).map(rule) }),
    },
  };
}

interface OldBackend {
  serviceName?: string;
  servicePort?: string | number;
  resource?: unknown;
}

interface OldRule {
  host?: string;
  http?: { paths: { path?: string; pathType?: string; backend: OldBackend }[] };
}

const backend = ({ serviceName, servicePort, resource }: OldBackend) =>
  resource === undefined
    ? {
        service: {
          name: serviceName,
          port: typeof servicePort === 'number' ? { number: servicePort } : { name: servicePort },
        },
      }
    : { resource };

const rule = ({ http, ...rest }: OldRule) => ({
  ...rest,
  ...(http && {
    http: {
      paths: http.paths.map((it) => ({
        ...it,
        pathType: it.pathType ?? 'ImplementationSpecific',
        backend: backend(it.backend),
      })),
    },
  }),
});

/** Versions of a kind that both clusters serve; discovery of the two servers beats any table. */
export function commonVersions(kind: Kind, source: ClusterInventory, target: ClusterInventory): string[] {
  const versions = (it: ClusterInventory) =>
    it.served.filter((one) => (one.group ? `${one.kind}.${one.group}` : one.kind) === kind).map((one) => one.version);
  const there = new Set(versions(target));
  return versions(source).filter((it) => there.has(it));
}

/** The conversion for a kind that the two share no version of, when the target serves what it leads to. */
export function conversionFor(kind: Kind, source: ClusterInventory, target: ClusterInventory): Conversion | undefined {
  if (commonVersions(kind, source, target).length > 0) return undefined;
  return CONVERSIONS.find(
    (it) => it.kind === kind && target.served.some((one) => `${one.group}/${one.version}` === it.to),
  );
}
