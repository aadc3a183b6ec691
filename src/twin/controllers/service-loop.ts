import { seededRandom } from '../random.js';
import type { ClusterApi, Json, TwinObject, WatchEvent } from '../types.js';
import { type CcmIdentity, modeOf } from './ccm-model.js';
import { follow, keyOf } from './follow.js';
import { type ControllerClock, workQueue } from './queue.js';
import { eventRecorder } from './record.js';

export interface CcmOptions extends CcmIdentity {
  /** from an event to the reconcile it causes, drawn by `seed` */
  latencyMs?: { from: number; to: number };
  seed?: number | string;
  /** narrows the search for interfaces to one VPC */
  vpc?: string;
}

/** One of the controller's loops over Services. */
export interface LoopKind {
  /** as events name it */
  component: string;
  needs(service: TwinObject): boolean;
  finalizer: string;
}

const RETRY = { first: 5_000, last: 300_000 };

/** Which of discovery's versions the server has: v1 from 1.21 on, v1beta1 up to 1.24. */
export const slicesResource = (api: ClusterApi): string =>
  api.serves('discovery.k8s.io/v1/endpointslices')
    ? 'discovery.k8s.io/v1/endpointslices'
    : 'discovery.k8s.io/v1beta1/endpointslices';

/**
 * What makes the controller look at a Service: the Service itself, its slices, and nodes for all that are not reached by pods alone.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/{clbv1,nlbv2}/event_handler.go
 */
export async function startServiceLoop(
  api: ClusterApi,
  clock: ControllerClock,
  kind: LoopKind,
  options: CcmOptions,
  reconcile: (key: string) => Promise<number | void>,
): Promise<{ stop(): void }> {
  const { from, to } = options.latencyMs ?? { from: 200, to: 800 };
  const draw = seededRandom(`${options.seed ?? 0}/${options.clusterId}`);
  const queue = workQueue(clock, { delayMs: () => from + Math.floor(draw() * (to - from)), retryMs: RETRY }, reconcile);
  const record = eventRecorder(api, clock, kind.component);
  const services = await follow(api, 'v1/services', (event, before) => {
    const reason = serviceReason(kind, event, before);
    if (reason === undefined) return;
    if (reason !== '') void record(event.object, 'Normal', reason, `The service will be updated: ${reason}.`);
    queue.add(keyOf(event.object));
  });
  const stops = [
    services,
    await follow(api, slicesResource(api), (event, before) => {
      const name = event.object.metadata.labels?.['kubernetes.io/service-name'];
      const service = name && services.get(event.object.metadata.namespace, name);
      if (!service || !kind.needs(service)) return;
      if (event.type === 'MODIFIED' && before && sameSlice(before, event.object)) return;
      queue.add(keyOf(service));
    }),
    await follow(api, 'v1/nodes', (event, before) => {
      if (event.type === 'MODIFIED' && before && sameNode(before, event.object)) return;
      for (const service of services.all())
        if (kind.needs(service) && modeOf(service, options) !== 'ENI') queue.add(keyOf(service));
    }),
  ];

  return {
    stop() {
      queue.stop();
      for (const it of stops) it.stop();
    },
  };
}

/** @returns the event's reason for a Service that needs a look, '' for a look without an event, undefined for none */
function serviceReason(
  { needs, finalizer }: LoopKind,
  event: WatchEvent,
  before: TwinObject | undefined,
): string | undefined {
  const after = event.object;
  if (event.type === 'DELETED') return undefined;
  if (event.type === 'ADDED' || !before)
    return needs(after) || after.metadata.finalizers?.includes(finalizer) ? '' : undefined;
  const was = needs(before);
  if (!was && !needs(after)) return undefined;
  // Adding the annotation `class` takes the Service away from the controller without a word.
  if (was !== needs(after))
    return 'service.beta.kubernetes.io/class' in (after.metadata.annotations ?? {}) ? undefined : 'TypeChanged';
  if (before.metadata.uid !== after.metadata.uid) return '';
  if (!same(before.metadata.annotations ?? {}, after.metadata.annotations ?? {})) return 'AnnotationChanged';
  if (!same(before.spec, after.spec)) return 'ServiceSpecChanged';
  if ((before.metadata.deletionTimestamp === undefined) !== (after.metadata.deletionTimestamp === undefined))
    return 'DeleteTimestampChanged';
  return undefined;
}

function same(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => same(a[key], b[key]));
}

const sameSlice = (a: TwinObject, b: TwinObject): boolean =>
  same(a['endpoints'], b['endpoints']) && same(a['ports'], b['ports']);

/** Taints are not looked at: a new one changes nothing until something else does. */
const sameNode = (a: TwinObject, b: TwinObject): boolean =>
  same(a.metadata.labels ?? {}, b.metadata.labels ?? {}) &&
  Boolean(a.spec?.unschedulable) === Boolean(b.spec?.unschedulable) &&
  readyOf(a) === readyOf(b);

const readyOf = (node: TwinObject): string =>
  (node.status?.conditions ?? []).find((it: Json) => it.type === 'Ready')?.status === 'True' ? 'True' : 'False';
