import type { Kind, KubeObject } from '../src/ports.js';
import type { SideSight } from '../src/check.js';

/**
 * What would run: the pod template of every kind of workload, and of bare pods. Objects that a controller made are left
 * out, for they are made again from what made them.
 */

export const WORKLOADS: Kind[] = ['Deployment.apps', 'StatefulSet.apps', 'DaemonSet.apps', 'ReplicaSet.apps', 'Job.batch', 'CronJob.batch', 'Pod'];

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
  command?: string[];
  args?: string[];
  env?: { name: string; value?: string }[];
  ports?: { containerPort: number; name?: string }[];
  readinessProbe?: unknown;
}

interface PodAffinityTerm {
  topologyKey: string;
}

export interface PodSpec {
  containers?: Container[];
  initContainers?: Container[];
  nodeSelector?: Record<string, string>;
  affinity?: {
    nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: NodeTerm[] } };
    podAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[] };
    podAntiAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[] };
  };
  topologySpreadConstraints?: { topologyKey: string; whenUnsatisfiable: string }[];
  tolerations?: { key?: string; operator?: string; value?: string; effect?: string }[];
  volumes?: { name: string; persistentVolumeClaim?: { claimName: string } }[];
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
  const template = object.kind === 'Pod' ? object : object.kind === 'CronJob' ? object['spec']?.jobTemplate?.spec?.template : object['spec']?.template;
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
  selector !== undefined && Object.keys(selector).length > 0 && Object.entries(selector).every(([key, value]) => labels[key] === value);
