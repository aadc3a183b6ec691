import type { Json, Timer, TwinObject } from '../types.js';
import { keyOf, splitKey } from './follow.js';
import { addressPool } from './addresses.js';
import { conditionOf, controllerOf, isActive, isGoing, isTrue, type View, withCondition, writeStatus } from './objects.js';
import { backgroundOf, workQueue } from './queue.js';
import { isoSeconds } from './record.js';
import { placementOf, type Surroundings } from './schedule.js';
import type { Attachments } from './volumes.js';

const DELAY_MS = 20;
const MOUNT_RETRY_MS = 2_000;
/** @source kubernetes/kubernetes:pkg/kubelet/apis/config/v1beta1/defaults.go (nodeStatusReportFrequency) */
const REPORT_MS = 5 * 60_000;

export const instanceOf = (node: TwinObject): string | undefined => /\.(i-[^.]+)$/.exec(node['spec']?.providerID ?? '')?.[1];

export const zoneOf = (node: TwinObject): string =>
  node.metadata.labels?.['topology.kubernetes.io/zone'] ?? node.metadata.labels?.['failure-domain.beta.kubernetes.io/zone'] ?? '';

/** The scheduler: pods without a node get one, or a condition that says why not. */
export function runScheduler(view: View): { stop(): void } {
  const { api, clock } = view;
  const waiting = new Set<string>();
  const queue = workQueue(clock, { delayMs: DELAY_MS }, schedule);

  const around: Surroundings = {
    get nodes() {
      return view.of('nodes').all();
    },
    get pods() {
      return view.of('pods').all();
    },
    claim: (namespace, name) => view.of('persistentvolumeclaims').get(namespace, name),
    volume: (name) => view.of('persistentvolumes').get(undefined, name),
    storageClass: (name) => view.of('storageclasses').get(undefined, name),
  };

  const retryWaiting = (): void => {
    for (const key of waiting) queue.add(key);
  };
  view.on('pods', ({ type, object }) => {
    if (type === 'DELETED') {
      waiting.delete(keyOf(object));
      retryWaiting();
    } else if (!object['spec']?.nodeName) queue.add(keyOf(object));
    else waiting.delete(keyOf(object));
  });
  for (const kind of ['nodes', 'persistentvolumes', 'persistentvolumeclaims', 'storageclasses'] as const) view.on(kind, retryWaiting);

  async function schedule(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const pod = view.of('pods').get(namespace, name);
    if (!pod || isGoing(pod) || pod['spec'].nodeName || (pod['spec'].schedulingGates ?? []).length > 0) return;
    const placement = placementOf(pod, around);
    if ('message' in placement) {
      waiting.add(key);
      const refused = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: placement.message };
      if (conditionOf(pod, 'PodScheduled')?.message === placement.message) return;
      await writeStatus(view, 'pods', pod, { phase: 'Pending', conditions: withCondition(pod['status']?.conditions, refused, clock.now()) });
      await view.record(pod, 'Warning', 'FailedScheduling', placement.message);
      return;
    }
    if ('waitFor' in placement) {
      waiting.add(key);
      for (const claim of placement.waitFor) {
        if (claim.metadata.annotations?.['volume.kubernetes.io/selected-node'] === placement.node) continue;
        const metadata = { annotations: { 'volume.kubernetes.io/selected-node': placement.node } };
        view.of('persistentvolumeclaims').note(await api.mergePatch('v1/persistentvolumeclaims', namespace, claim.metadata.name, { metadata }));
      }
      return;
    }
    waiting.delete(key);
    view.of('pods').note(await api.mergePatch('v1/pods', namespace, name, { spec: { nodeName: placement.node } }));
  }

  return queue;
}

/** What one started pod holds until it is gone. */
interface Held {
  ip: string;
  plugged: boolean;
}

/** The kubelets of all nodes: pods on a node get their disks and addresses, become ready, and end. */
export function runKubelets(view: View, attachments: Attachments): { stop(): void } {
  const { api, clock, cloud, options } = view;
  const pool = addressPool(options);
  const held = new Map<string, Held>();
  const timers = new Map<string, Timer>();
  const queue = workQueue(clock, { delayMs: DELAY_MS, retryMs: { first: MOUNT_RETRY_MS, last: 60_000 } }, look);

  view.on('pods', ({ type, object }) => {
    if (type === 'DELETED') release(object);
    else if (object['spec']?.nodeName) queue.add(keyOf(object));
  });
  view.on('nodes', (event, before) => {
    const { object } = event;
    if (event.type === 'ADDED') reports.add(keyOf(object));
    if (event.type === 'MODIFIED' && before && isTrue(before, 'Ready') === isTrue(object, 'Ready')) return;
    for (const pod of view.of('pods').all()) if (pod['spec']?.nodeName === object.metadata.name) queue.add(keyOf(pod));
  });

  /** A node that has conditions says that it lives, and when. Its leases, every 10 s, are not played. */
  const reportNode = async (node: TwinObject): Promise<void> => {
    const conditions: Json[] = node['status']?.conditions ?? [];
    const at = isoSeconds(clock.now());
    await writeStatus(view, 'nodes', node, { conditions: conditions.map((it) => ({ ...it, lastHeartbeatTime: at })) });
  };

  const reports = workQueue(backgroundOf(clock), { delayMs: 0 }, async (key) => {
    const node = view.of('nodes').get(undefined, splitKey(key).name);
    if (!node || (node['status']?.conditions ?? []).length === 0) return undefined;
    await reportNode(node);
    return REPORT_MS;
  });

  const later = (key: string, ms: number, run: () => Promise<void>): void => {
    if (timers.has(key)) return;
    const ended = async (): Promise<void> => {
      timers.delete(key);
      await run();
    };
    timers.set(key, clock.after(ms, ended));
  };

  const release = (pod: TwinObject): void => {
    const uid = pod.metadata.uid;
    timers.get(uid)?.cancel();
    timers.delete(uid);
    const had = held.get(uid);
    if (!had) return;
    held.delete(uid);
    pool.free(had.ip);
    if (had.plugged) cloud?.unplugInterface(had.ip);
  };

  const address = (pod: TwinObject, node: TwinObject): string => {
    const known = held.get(pod.metadata.uid);
    if (known) return known.ip;
    if (pod['spec'].hostNetwork) return pool.hostAddress(node);
    const ip = pool.take(node);
    const instance = instanceOf(node);
    const plugged = options.podNetwork === 'eni' && cloud !== undefined && instance !== undefined;
    if (plugged) cloud.plugInterface(ip, instance, zoneOf(node));
    held.set(pod.metadata.uid, { ip, plugged });
    return ip;
  };

  const fetch = (pod: TwinObject): TwinObject | undefined => {
    const now = view.of('pods').get(pod.metadata.namespace, pod.metadata.name);
    return now?.metadata.uid === pod.metadata.uid ? now : undefined;
  };

  async function look(key: string): Promise<number | void> {
    const { namespace, name } = splitKey(key);
    const pod = view.of('pods').get(namespace, name);
    if (!pod?.['spec']?.nodeName) return;
    const node = view.of('nodes').get(undefined, pod['spec'].nodeName);
    if (isGoing(pod) || !node) return end(pod, node === undefined);
    if (!isActive(pod)) return;
    if (pod['status']?.phase === 'Running') return keepUp(pod, node);
    if (!isTrue(node, 'Ready')) return;
    const wait = await attachments.ready(pod, node);
    if (wait !== undefined) {
      await report(pod, node, { waiting: wait });
      return MOUNT_RETRY_MS;
    }
    later(pod.metadata.uid, options.podReadyMs, async () => {
      const now = fetch(pod);
      if (now && isActive(now)) await start(now, node);
    });
  }

  const end = (pod: TwinObject, atOnce: boolean): void => {
    const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? pod['spec'].terminationGracePeriodSeconds ?? 30) * 1000;
    later(`${pod.metadata.uid}/end`, atOnce ? 0 : Math.min(options.terminationMs, graceMs), () =>
      api.delete('v1/pods', pod.metadata.namespace, pod.metadata.name, { gracePeriodSeconds: 0 }),
    );
  };

  const start = async (pod: TwinObject, node: TwinObject): Promise<void> => {
    await report(pod, node, { ip: address(pod, node) });
    if (controllerOf(pod)?.kind !== 'Job') return;
    later(`${pod.metadata.uid}/work`, options.jobMs, async () => {
      const now = fetch(pod);
      if (now && isActive(now)) await finish(now);
    });
  };

  const keepUp = async (pod: TwinObject, node: TwinObject): Promise<void> => report(pod, node, { ip: pod['status'].podIP });

  const report = async (pod: TwinObject, node: TwinObject, state: { ip: string } | { waiting: string }): Promise<void> => {
    const now = clock.now();
    const runs = 'ip' in state;
    const never = pod.metadata.annotations?.['twin/never-ready'] === 'true';
    const containersReady = runs && !never && isTrue(node, 'Ready');
    const missingGates = (pod['spec'].readinessGates ?? []).filter((it: Json) => !isTrue(pod, it.conditionType));
    const ready = containersReady && missingGates.length === 0;
    const startTime = pod['status']?.startTime ?? isoSeconds(now);
    let conditions: Json[] = pod['status']?.conditions ?? [];
    const put = (type: string, yes: boolean, why?: { reason: string; message: string }): void => {
      conditions = withCondition(conditions, { type, status: yes ? 'True' : 'False', ...(yes ? {} : why) }, now);
    };
    const notReady = { reason: 'ContainersNotReady', message: `containers with unready status: [${pod['spec'].containers.map((it: Json) => it.name).join(' ')}]` };
    put('PodScheduled', true);
    put('Initialized', true);
    put('ContainersReady', containersReady, notReady);
    put('Ready', ready, containersReady ? { reason: 'ReadinessGatesNotReady', message: `corresponding condition of pod readiness gate "${missingGates[0]?.conditionType}" does not exist.` } : notReady);
    await writeStatus(view, 'pods', pod, {
      phase: runs ? 'Running' : 'Pending',
      conditions,
      startTime,
      hostIP: pool.hostAddress(node),
      ...(runs ? { podIP: state.ip, podIPs: [{ ip: state.ip }] } : {}),
      containerStatuses: pod['spec'].containers.map((it: Json, i: number) => ({
        name: it.name,
        image: it.image,
        imageID: '',
        ...(runs ? { containerID: `containerd://${pod.metadata.uid}/${it.name}` } : {}),
        ready: containersReady,
        restartCount: 0,
        started: runs,
        lastState: {},
        state: runs
          ? { running: { startedAt: pod['status']?.containerStatuses?.[i]?.state?.running?.startedAt ?? isoSeconds(now) } }
          : { waiting: { reason: 'ContainerCreating', message: state.waiting } },
      })),
    });
  };

  const finish = async (pod: TwinObject): Promise<void> => {
    const now = clock.now();
    let conditions: Json[] = pod['status'].conditions;
    for (const type of ['Ready', 'ContainersReady']) conditions = withCondition(conditions, { type, status: 'False', reason: 'PodCompleted' }, now);
    await writeStatus(view, 'pods', pod, {
      phase: 'Succeeded',
      conditions,
      containerStatuses: pod['status'].containerStatuses.map((it: Json) => ({
        ...it,
        ready: false,
        started: false,
        state: { terminated: { exitCode: 0, reason: 'Completed', startedAt: it.state.running?.startedAt, finishedAt: isoSeconds(now), containerID: it.containerID } },
      })),
    });
    release(pod);
  };

  return {
    stop() {
      queue.stop();
      reports.stop();
      for (const timer of timers.values()) timer.cancel();
    },
  };
}
