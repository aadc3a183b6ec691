import type { ClusterApi, Json, TwinObject } from '../types.js';
import type { Followed } from './follow.js';
import { isWorthRetrying } from './queue.js';
import { isoSeconds, type Recorder } from './record.js';
import type { ControllerClock } from './queue.js';
import type { TwinCloud, WatchEvent } from '../types.js';

export interface WorkloadOptions {
  /** `eni`: pods get addresses of the VPC and an interface each; `overlay`: addresses of their node's pod CIDR */
  podNetwork: 'eni' | 'overlay';
  /** from started to Ready */
  podReadyMs: number;
  /** from asked to go to gone; a shorter grace period of the pod wins */
  terminationMs: number;
  /** how long a pod of a Job works */
  jobMs: number;
  /** from asking to having a disk attached or detached */
  attachMs: number;
  /** keeps the addresses of two clusters in one VPC apart: 0 or 1 */
  pool: number;
}

const KINDS = {
  nodes: 'v1/nodes',
  namespaces: 'v1/namespaces',
  pods: 'v1/pods',
  services: 'v1/services',
  serviceaccounts: 'v1/serviceaccounts',
  persistentvolumes: 'v1/persistentvolumes',
  persistentvolumeclaims: 'v1/persistentvolumeclaims',
  storageclasses: 'storage.k8s.io/v1/storageclasses',
  volumeattachments: 'storage.k8s.io/v1/volumeattachments',
  deployments: 'apps/v1/deployments',
  replicasets: 'apps/v1/replicasets',
  statefulsets: 'apps/v1/statefulsets',
  daemonsets: 'apps/v1/daemonsets',
  jobs: 'batch/v1/jobs',
  horizontalpodautoscalers: 'autoscaling/v1/horizontalpodautoscalers',
} as const;

export type ViewKind = keyof typeof KINDS | 'cronjobs' | 'endpointslices' | 'endpoints';

/** What the workload controllers of one cluster share: the server, the clock, and a copy of every kind they act on. */
export interface View {
  api: ClusterApi;
  clock: ControllerClock;
  cloud: TwinCloud | undefined;
  options: WorkloadOptions;
  record: Recorder;
  /** version and plural under which this server has the kind */
  path(kind: ViewKind): string;
  of(kind: ViewKind): Followed;
  /** registered before the view is opened */
  on(kind: ViewKind, listener: (event: WatchEvent, before: TwinObject | undefined) => void): void;
}

/** @returns the path under which the server has each kind; some moved from a beta version on the way */
export function pathsOn(api: ClusterApi): (kind: ViewKind) => string {
  const moved: Record<string, string> = {
    cronjobs: api.serves('batch/v1/cronjobs') ? 'batch/v1/cronjobs' : 'batch/v1beta1/cronjobs',
    endpointslices: api.serves('discovery.k8s.io/v1/endpointslices')
      ? 'discovery.k8s.io/v1/endpointslices'
      : 'discovery.k8s.io/v1beta1/endpointslices',
    endpoints: 'v1/endpoints',
  };
  return (kind) => moved[kind] ?? KINDS[kind as keyof typeof KINDS];
}

export const VIEW_KINDS: readonly ViewKind[] = [
  ...(Object.keys(KINDS) as (keyof typeof KINDS)[]),
  'cronjobs',
  'endpointslices',
  'endpoints',
];

export const isGoing = (object: TwinObject): boolean => object.metadata.deletionTimestamp !== undefined;

/** Neither finished nor asked to go. */
export const isActive = (pod: TwinObject): boolean =>
  !isGoing(pod) && pod['status']?.phase !== 'Succeeded' && pod['status']?.phase !== 'Failed';

export function conditionOf(object: TwinObject, type: string): Json {
  return (object['status']?.conditions ?? []).find((it: Json) => it.type === type);
}

export const isTrue = (object: TwinObject, type: string): boolean => conditionOf(object, type)?.status === 'True';

export const isReady = (pod: TwinObject): boolean => isTrue(pod, 'Ready');

export const controllerOf = (object: TwinObject): Json =>
  (object.metadata.ownerReferences ?? []).find((it: Json) => it.controller);

export const ownerReference = (owner: TwinObject): Json => ({
  apiVersion: owner.apiVersion,
  kind: owner.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
});

/** A LabelSelector over labels; an empty one selects everything, none selects nothing. */
export function selects(selector: Json, labels: Record<string, string> = {}): boolean {
  if (!selector) return false;
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (labels[key] !== value) return false;
  return (selector.matchExpressions ?? []).every((it: Json) => satisfies(it, labels));
}

/** One requirement of a label selector or a node selector term. */
export function satisfies(requirement: Json, labels: Record<string, string>): boolean {
  const { key, operator, values = [] } = requirement;
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

/** Objects that the owner controls; one that matches and has no controller is adopted, as after a restore without owners. */
export async function claim(view: View, kind: ViewKind, owner: TwinObject): Promise<TwinObject[]> {
  const mine: TwinObject[] = [];
  for (const object of view.of(kind).all(owner.metadata.namespace)) {
    const controller = controllerOf(object);
    if (controller) {
      if (controller.uid === owner.metadata.uid) mine.push(object);
    } else if (!isGoing(object) && selects(owner['spec'].selector, object.metadata.labels)) {
      const ownerReferences = [...(object.metadata.ownerReferences ?? []), ownerReference(owner)];
      const adopted = await view.api.mergePatch(view.path(kind), object.metadata.namespace, object.metadata.name, {
        metadata: { ownerReferences },
      });
      view.of(kind).note(adopted);
      mine.push(adopted);
    }
  }
  return mine;
}

/** Writes what differs of the status; a count of zero is absent, as in Kubernetes' own JSON. */
export async function writeStatus(
  view: View,
  kind: ViewKind,
  object: TwinObject,
  status: Record<string, Json>,
): Promise<void> {
  const patch: Record<string, Json> = {};
  for (const [key, value] of Object.entries(status)) {
    const wanted = value === 0 || value === undefined ? null : value;
    if (JSON.stringify(object['status']?.[key] ?? null) !== JSON.stringify(wanted)) patch[key] = wanted;
  }
  if (Object.keys(patch).length === 0) return;
  const { namespace, name } = object.metadata;
  view.of(kind).note(await view.api.mergePatch(view.path(kind), namespace, name, { status: patch }, 'status'));
}

/** The list with one condition put in; times change only with the status. */
export function withCondition(
  conditions: Json[] | undefined,
  wanted: { type: string; status: string; reason?: string; message?: string },
  nowMs: number,
): Json[] {
  const list = conditions ?? [];
  const known = list.find((it) => it.type === wanted.type);
  if (known && known.status === wanted.status && known.reason === wanted.reason && known.message === wanted.message)
    return list;
  const lastTransitionTime = known?.status === wanted.status ? known.lastTransitionTime : isoSeconds(nowMs);
  const next = { ...wanted, lastTransitionTime };
  return known ? list.map((it) => (it === known ? next : it)) : [...list, next];
}

/** Creates, or takes what is there already when another try has made it. */
export async function createOnce(view: View, kind: ViewKind, object: TwinObject): Promise<TwinObject> {
  const { namespace, name } = object.metadata;
  try {
    const made = await view.api.create(view.path(kind), object);
    view.of(kind).note(made);
    return made;
  } catch (error) {
    if (!isWorthRetrying(error) || (error as Json).reason !== 'AlreadyExists') throw error;
    const found = await view.api.get(view.path(kind), namespace, name);
    if (!found) throw error;
    view.of(kind).note(found);
    return found;
  }
}

/** A number of replicas or a percentage of them. */
export function portion(value: Json, of: number, round: (n: number) => number, fallback: string): number {
  const given = value ?? fallback;
  if (typeof given === 'number') return given;
  return String(given).endsWith('%') ? round((of * Number.parseFloat(given)) / 100) : Number(given);
}
