import { nameSuffix } from '../random.js';
import type { Json, TwinObject } from '../types.js';
import { keyOf, splitKey } from './follow.js';
import {
  claim,
  controllerOf,
  createOnce,
  isActive,
  isGoing,
  isReady,
  ownerReference,
  type View,
  writeStatus,
} from './objects.js';
import { workQueue } from './queue.js';
import { fitsNode, toleratesNode } from './schedule.js';

const DELAY_MS = 20;
const REVISION_LABEL = 'controller-revision-hash';

const revisionOf = (set: TwinObject): string => nameSuffix(JSON.stringify(set['spec'].template), 10);

/** StatefulSets: pods by ordinal, one after the other unless Parallel, each with its own claims, which stay when it goes. */
export function runStatefulSets(view: View): { stop(): void } {
  const { api, clock } = view;
  const asked = new Set<string>();
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  view.on('statefulsets', ({ object }) => queue.add(keyOf(object)));
  view.on('pods', ({ type, object }) => {
    if (type === 'DELETED') asked.delete(object.metadata.uid);
    const owner = controllerOf(object);
    if (owner?.kind === 'StatefulSet') queue.add(`${object.metadata.namespace}/${owner.name}`);
  });

  const removePod = async (pod: TwinObject): Promise<void> => {
    if (isGoing(pod) || asked.has(pod.metadata.uid)) return;
    asked.add(pod.metadata.uid);
    await api.delete('v1/pods', pod.metadata.namespace, pod.metadata.name);
  };

  async function reconcile(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const set = view.of('statefulsets').get(namespace, name);
    if (!set || isGoing(set)) return;
    const pods = await claim(view, 'pods', set);
    const first: number = set['spec'].ordinals?.start ?? 0;
    const desired: number = set['spec'].replicas ?? 1;
    const inOrder = set['spec'].podManagementPolicy !== 'Parallel';
    const at = (ordinal: number): TwinObject | undefined =>
      pods.find((it) => it.metadata.name === `${name}-${ordinal}`);

    for (let ordinal = first; ordinal < first + desired; ordinal++) {
      const pod = at(ordinal);
      if (pod && !isActive(pod) && !isGoing(pod)) await removePod(pod);
      if (!pod) pods.push(await createPod(set, ordinal));
      if (inOrder && !(pod && isReady(pod) && !isGoing(pod))) break;
    }
    const ordinalOf = (pod: TwinObject): number => Number(/-(\d+)$/.exec(pod.metadata.name)?.[1] ?? -1);
    const beyond = pods
      .filter((it) => ordinalOf(it) >= first + desired || ordinalOf(it) < first)
      .toSorted((a, b) => ordinalOf(b) - ordinalOf(a));
    for (const pod of inOrder ? beyond.slice(0, 1) : beyond) await removePod(pod);
    if (beyond.length === 0)
      await replaceOutdated(
        set,
        pods.filter((it) => isActive(it)),
        desired,
        ordinalOf,
      );
    await report(set, pods);
  }

  /** The highest ordinal of the old template goes, when all others serve. */
  const replaceOutdated = async (
    set: TwinObject,
    pods: TwinObject[],
    desired: number,
    ordinalOf: (pod: TwinObject) => number,
  ): Promise<void> => {
    if (set['spec'].updateStrategy?.type === 'OnDelete') return;
    const partition: number = set['spec'].updateStrategy?.rollingUpdate?.partition ?? 0;
    const wanted = `${set.metadata.name}-${revisionOf(set)}`;
    const outdated = pods
      .filter((it) => it.metadata.labels?.[REVISION_LABEL] !== wanted && ordinalOf(it) >= partition)
      .toSorted((a, b) => ordinalOf(b) - ordinalOf(a));
    const [next] = outdated;
    if (!next) return;
    const othersServe = pods.length === desired && pods.every((it) => it === next || isReady(it));
    if (othersServe || !isReady(next)) await removePod(next);
  };

  const createPod = async (set: TwinObject, ordinal: number): Promise<TwinObject> => {
    const { namespace, name } = set.metadata;
    const podName = `${name}-${ordinal}`;
    const template = structuredClone(set['spec'].template);
    const volumes: Json[] = [...(template.spec.volumes ?? [])];
    for (const wanted of set['spec'].volumeClaimTemplates ?? []) {
      const claimName = `${wanted.metadata.name}-${podName}`;
      volumes.push({ name: wanted.metadata.name, persistentVolumeClaim: { claimName } });
      if (view.of('persistentvolumeclaims').get(namespace, claimName)) continue;
      await createOnce(view, 'persistentvolumeclaims', {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          name: claimName,
          namespace,
          labels: { ...wanted.metadata.labels, ...set['spec'].selector.matchLabels },
          annotations: wanted.metadata.annotations,
        },
        spec: structuredClone(wanted.spec),
      });
    }
    return createOnce(view, 'pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: podName,
        namespace,
        labels: {
          ...template.metadata?.labels,
          'statefulset.kubernetes.io/pod-name': podName,
          [REVISION_LABEL]: `${name}-${revisionOf(set)}`,
        },
        annotations: template.metadata?.annotations,
        ownerReferences: [ownerReference(set)],
      },
      spec: {
        ...template.spec,
        hostname: podName,
        ...(set['spec'].serviceName ? { subdomain: set['spec'].serviceName } : {}),
        ...(volumes.length > 0 ? { volumes } : {}),
      },
    });
  };

  const report = async (set: TwinObject, pods: TwinObject[]): Promise<void> => {
    const live = pods.filter((it) => !asked.has(it.metadata.uid) && isActive(it));
    const revision = `${set.metadata.name}-${revisionOf(set)}`;
    const updated = live.filter((it) => it.metadata.labels?.[REVISION_LABEL] === revision).length;
    const ready = live.filter(isReady).length;
    await writeStatus(view, 'statefulsets', set, {
      observedGeneration: set.metadata.generation,
      replicas: live.length,
      readyReplicas: ready,
      availableReplicas: ready,
      currentReplicas: updated,
      updatedReplicas: updated,
      currentRevision: revision,
      updateRevision: revision,
    });
  };

  return queue;
}

/** What every DaemonSet pod tolerates without saying so. */
const DAEMON_TOLERATIONS = [
  'not-ready',
  'unreachable',
  'disk-pressure',
  'memory-pressure',
  'pid-pressure',
  'unschedulable',
].map((it) => ({
  key: `node.kubernetes.io/${it}`,
  operator: 'Exists',
  ...(it === 'not-ready' || it === 'unreachable' ? { effect: 'NoExecute' } : { effect: 'NoSchedule' }),
}));

/** DaemonSets: one pod on each node that it fits. */
export function runDaemonSets(view: View): { stop(): void } {
  const { api, clock } = view;
  const asked = new Set<string>();
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  const all = (): void => {
    for (const set of view.of('daemonsets').all()) queue.add(keyOf(set));
  };
  view.on('daemonsets', ({ object }) => queue.add(keyOf(object)));
  view.on('nodes', all);
  view.on('pods', ({ type, object }) => {
    if (type === 'DELETED') asked.delete(object.metadata.uid);
    const owner = controllerOf(object);
    if (owner?.kind === 'DaemonSet') queue.add(`${object.metadata.namespace}/${owner.name}`);
  });

  async function reconcile(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const set = view.of('daemonsets').get(namespace, name);
    if (!set || isGoing(set)) return;
    const template = structuredClone(set['spec'].template);
    template.spec.tolerations = [...(template.spec.tolerations ?? []), ...DAEMON_TOLERATIONS];
    const fitting = view
      .of('nodes')
      .all()
      .filter((it) => fitsNode(template.spec, it) && toleratesNode(template.spec, it));
    const pods = (await claim(view, 'pods', set)).filter((it) => isActive(it) && !asked.has(it.metadata.uid));
    const names = new Set(fitting.map((it) => it.metadata.name));

    for (const pod of pods.filter((it) => !names.has(it['spec'].nodeName))) {
      asked.add(pod.metadata.uid);
      await api.delete('v1/pods', namespace, pod.metadata.name);
    }
    const placed = new Set(pods.map((it) => it['spec'].nodeName));
    for (const node of fitting.filter((it) => !placed.has(it.metadata.name)))
      pods.push(
        await createOnce(view, 'pods', {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: {
            name: `${name}-${nameSuffix(`${key}/${node.metadata.name}`)}`,
            namespace,
            labels: { ...template.metadata?.labels, [REVISION_LABEL]: revisionOf(set) },
            annotations: template.metadata?.annotations,
            ownerReferences: [ownerReference(set)],
          },
          spec: { ...template.spec, nodeName: node.metadata.name },
        }),
      );
    const ready = pods.filter((it) => names.has(it['spec'].nodeName) && isReady(it)).length;
    await writeStatus(view, 'daemonsets', set, {
      observedGeneration: set.metadata.generation,
      currentNumberScheduled: fitting.length,
      desiredNumberScheduled: fitting.length,
      updatedNumberScheduled: fitting.length,
      numberReady: ready,
      numberAvailable: ready,
      numberUnavailable: fitting.length - ready,
    });
  }

  return queue;
}
