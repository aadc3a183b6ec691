import type { Kind, KubeObject } from '../src/ports.js';
import type { SideSight, Taken } from '../src/check.js';

/**
 * What would run: the pod template of every kind of workload, and of bare pods. Objects that a controller made are left
 * out, for they are made again from what made them.
 */

export const WORKLOADS: Kind[] = [
  'Deployment.apps',
  'StatefulSet.apps',
  'DaemonSet.apps',
  'ReplicaSet.apps',
  'Job.batch',
  'CronJob.batch',
  'Pod',
];

/** For checks that judge each workload by itself. */
export const EACH_WORKLOAD: Record<Kind, Taken> = Object.fromEntries(WORKLOADS.map((kind) => [kind, 'each']));

/** Where jobIsFinished looks, and how many pods a Job has. */
const OF_JOBS: ReadonlySet<string> = new Set([
  'spec.parallelism',
  'status.conditions.type',
  'status.conditions.status',
]);

/** Where replicasOf looks. */
export const REPLICAS = ['spec.replicas', ...OF_JOBS];

/** For checks that need all workloads at once: fields of the pod template, or of the bare pod, and of the workload around it. */
export const workloadFields = (pod: readonly string[], around: readonly string[] = []): Record<Kind, Taken> =>
  Object.fromEntries(
    WORKLOADS.map((kind) => {
      const template =
        kind === 'Pod' ? '' : kind === 'CronJob.batch' ? 'spec.jobTemplate.spec.template.' : 'spec.template.';
      return [
        kind,
        [...pod.map((it) => `${template}${it}`), ...around.filter((it) => kind === 'Job.batch' || !OF_JOBS.has(it))],
      ];
    }),
  );

export interface NodeTerm {
  matchExpressions?: NodeExpression[];
  matchFields?: NodeExpression[];
}

export interface NodeExpression {
  key: string;
  operator: string;
  values?: string[];
}

export interface Container {
  name: string;
  image?: string;
  imagePullPolicy?: string;
  command?: string[];
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: { name: string } } }[];
  envFrom?: { secretRef?: { name: string } }[];
  ports?: { containerPort: number; name?: string; hostPort?: number; hostIP?: string; protocol?: string }[];
  resources?: { requests?: Record<string, string | number>; limits?: Record<string, string | number> };
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
  securityContext?: ContainerSecurity;
  lifecycle?: { preStop?: unknown };
  readinessProbe?: unknown;
}

interface ContainerSecurity {
  privileged?: boolean;
  allowPrivilegeEscalation?: boolean;
  runAsNonRoot?: boolean;
  runAsUser?: number;
  procMount?: string;
  capabilities?: { add?: string[]; drop?: string[] };
  seccompProfile?: { type: string };
}

interface PodSecurity {
  runAsNonRoot?: boolean;
  runAsUser?: number;
  seccompProfile?: { type: string };
  sysctls?: { name: string; value: string }[];
}

interface PodAffinityTerm {
  topologyKey: string;
  namespaces?: string[];
  namespaceSelector?: unknown;
  labelSelector?: LabelSelector;
}

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: NodeExpression[];
}

export interface Volume {
  name: string;
  persistentVolumeClaim?: { claimName: string };
  hostPath?: { path: string; type?: string };
  secret?: { secretName?: string; optional?: boolean };
  csi?: { driver: string };
  projected?: { sources?: { secret?: { name: string }; serviceAccountToken?: { audience?: string } }[] };
  [source: string]: unknown;
}

export interface PodSpec {
  containers?: Container[];
  initContainers?: Container[];
  nodeName?: string;
  nodeSelector?: Record<string, string>;
  affinity?: {
    nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: NodeTerm[] } };
    podAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[] };
    podAntiAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[] };
  };
  topologySpreadConstraints?: {
    topologyKey: string;
    whenUnsatisfiable: string;
    maxSkew?: number;
    minDomains?: number;
  }[];
  tolerations?: Toleration[];
  volumes?: Volume[];
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  hostAliases?: { ip: string; hostnames?: string[] }[];
  dnsPolicy?: string;
  dnsConfig?: { nameservers?: string[]; searches?: string[] };
  priorityClassName?: string;
  runtimeClassName?: string;
  serviceAccountName?: string;
  imagePullSecrets?: { name: string }[];
  securityContext?: PodSecurity;
  overhead?: Record<string, string | number>;
}

export interface Toleration {
  key?: string;
  operator?: string;
  value?: string;
  effect?: string;
}

export interface Workload {
  object: KubeObject;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  spec: PodSpec;
}

export function workloads(side: SideSight, namespaces?: readonly string[]): Workload[] {
  return WORKLOADS.flatMap((kind) => side.list(kind, namespaces))
    .filter((it) => !it.metadata.ownerReferences?.some((owner) => owner.controller !== false))
    .map(workload);
}

function workload(object: KubeObject): Workload {
  const template =
    object.kind === 'Pod'
      ? object
      : object.kind === 'CronJob'
        ? object['spec']?.jobTemplate?.spec?.template
        : object['spec']?.template;
  return {
    object,
    labels: template?.metadata?.labels ?? {},
    annotations: template?.metadata?.annotations ?? {},
    spec: template?.spec ?? {},
  };
}

export const containers = ({ initContainers = [], containers: main = [] }: PodSpec) => [...initContainers, ...main];

/** Whether a Service's selector takes these labels; a Service without one takes none. */
export const selects = (selector: Record<string, string> | undefined, labels: Record<string, string>) =>
  selector !== undefined &&
  Object.keys(selector).length > 0 &&
  Object.entries(selector).every(([key, value]) => labels[key] === value);

/** How many pods it has where it runs now; of a DaemonSet, for each node. A CronJob and a finished Job have none. */
export function replicasOf({ object }: Workload): number {
  if (object.kind === 'CronJob') return 0;
  if (object.kind === 'Job') return jobIsFinished(object) ? 0 : Number(object['spec']?.parallelism ?? 1);
  if (object.kind === 'Pod' || object.kind === 'DaemonSet') return 1;
  return Number(object['spec']?.replicas ?? 1);
}

export const jobIsFinished = ({ status }: KubeObject) =>
  ((status?.conditions ?? []) as { type: string; status: string }[]).some(
    (it) => ['Complete', 'Failed'].includes(it.type) && it.status === 'True',
  );

/** @source kubernetes/apimachinery:pkg/labels/selector.go; an absent selector chooses nothing, an empty one everything */
export function chooses(selector: LabelSelector | undefined, labels: Record<string, string>): boolean {
  if (!selector) return false;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === 'In') return value !== undefined && values.includes(value);
      if (operator === 'NotIn') return value === undefined || !values.includes(value);
      return operator === 'Exists' ? value !== undefined : value === undefined;
    })
  );
}

/** Texts that a container is started with, each with its place; the places are safe to show, the texts are not. */
export function textsOf({ spec }: Workload): { at: string; text: string }[] {
  return containers(spec).flatMap((it) => [
    ...(it.env ?? []).map(({ name, value }) => ({ at: `env ${name}`, text: value ?? '' })),
    ...[...(it.command ?? []), ...(it.args ?? [])].map((text) => ({ at: `the arguments of ${it.name}`, text })),
  ]);
}

/** Of a workload the parts of its texts that a pattern finds, and fields of its pods' spec, in its shape; undefined where there are none. */
export const workloadTexts = (pattern: RegExp, fields: readonly (keyof PodSpec)[] = []): Record<Kind, Taken> =>
  Object.fromEntries(
    WORKLOADS.map((kind) => [
      kind,
      (object: KubeObject) => {
        const it = workload(object);
        const args = textsOf(it).flatMap(({ text }) => text.match(pattern) ?? []);
        const kept = fields.flatMap((field) =>
          it.spec[field] === undefined ? [] : [[field, it.spec[field]] as const],
        );
        if (args.length + kept.length === 0) return undefined;
        return {
          ...identityOf(object),
          ...inTemplate(kind, {
            ...Object.fromEntries(kept),
            ...(args.length > 0 && { containers: [{ name: '', args }] }),
          }),
        };
      },
    ]),
  );

/** Of a ConfigMap likewise. */
export function mapTexts(map: KubeObject, pattern: RegExp): KubeObject | undefined {
  const found = Object.values((map['data'] ?? {}) as Record<string, unknown>).flatMap(
    (text) => (typeof text === 'string' && text.match(pattern)) || [],
  );
  return found.length === 0 ? undefined : { ...identityOf(map), data: { found: found.join(' ') } };
}

const identityOf = ({ apiVersion, kind, metadata: { name, namespace, ownerReferences } }: KubeObject): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name, ...(namespace !== undefined && { namespace }), ...(ownerReferences && { ownerReferences }) },
});

const inTemplate = (kind: Kind, spec: PodSpec) =>
  kind === 'Pod'
    ? { spec }
    : kind === 'CronJob.batch'
      ? { spec: { jobTemplate: { spec: { template: { spec } } } } }
      : { spec: { template: { spec } } };
