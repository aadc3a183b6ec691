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
  portion,
  type View,
  withCondition,
  writeStatus,
} from './objects.js';
import { workQueue } from './queue.js';

const DELAY_MS = 20;
const HASH_LABEL = 'pod-template-hash';
const REVISION = 'deployment.kubernetes.io/revision';

const sum = (objects: TwinObject[], of: (object: TwinObject) => number | undefined): number =>
  objects.reduce((total, it) => total + (of(it) ?? 0), 0);

/** The template as it decides over new pods: without the label that names it. */
function templateText(template: Json): string {
  const labels = Object.fromEntries(
    Object.entries(template.metadata?.labels ?? {}).filter(([key]) => key !== HASH_LABEL),
  );
  return JSON.stringify([
    Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    template.metadata?.annotations ?? {},
    template.spec,
  ]);
}

/** Deployments make ReplicaSets, a new one per template, and hand over from old to new as the strategy says. */
export function runDeployments(view: View): { stop(): void } {
  const { api, clock } = view;
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  view.on('deployments', ({ object }) => queue.add(keyOf(object)));
  view.on('replicasets', ({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === 'Deployment') queue.add(`${object.metadata.namespace}/${owner.name}`);
  });

  const scale = async (set: TwinObject, replicas: number): Promise<TwinObject> => {
    if (set['spec'].replicas === replicas) return set;
    const scaled = await api.mergePatch('apps/v1/replicasets', set.metadata.namespace, set.metadata.name, {
      spec: { replicas },
    });
    view.of('replicasets').note(scaled);
    return scaled;
  };

  const createSet = async (deployment: TwinObject, revision: number, replicas: number): Promise<TwinObject> => {
    const { namespace, name } = deployment.metadata;
    const hash = nameSuffix(templateText(deployment['spec'].template), 10);
    const template = structuredClone(deployment['spec'].template);
    template.metadata = { ...template.metadata, labels: { ...template.metadata?.labels, [HASH_LABEL]: hash } };
    const selector = structuredClone(deployment['spec'].selector);
    selector.matchLabels = { ...selector.matchLabels, [HASH_LABEL]: hash };
    return createOnce(view, 'replicasets', {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${name}-${hash}`,
        namespace,
        labels: template.metadata.labels,
        annotations: { [REVISION]: String(revision) },
        ownerReferences: [ownerReference(deployment)],
      },
      spec: { replicas, minReadySeconds: deployment['spec'].minReadySeconds ?? 0, selector, template },
    });
  };

  async function reconcile(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const deployment = view.of('deployments').get(namespace, name);
    if (!deployment || isGoing(deployment)) return;
    const { spec } = deployment;
    const desired: number = spec.replicas ?? 1;
    const sets = (await claim(view, 'replicasets', deployment)).filter((it) => !isGoing(it));
    const wanted = templateText(spec.template);
    let current = sets.find((it) => templateText(it['spec'].template) === wanted);
    let old = sets.filter((it) => it !== current);

    if (!spec.paused) {
      const revision = Math.max(0, ...sets.map((it) => Number(it.metadata.annotations?.[REVISION] ?? 0)));
      if (!current) current = await createSet(deployment, revision + 1, old.length === 0 ? desired : 0);
      const own = current.metadata.annotations?.[REVISION];
      if (own !== undefined && deployment.metadata.annotations?.[REVISION] !== own)
        view.of('deployments').note(
          await api.mergePatch('apps/v1/deployments', namespace, name, {
            metadata: { annotations: { [REVISION]: own } },
          }),
        );
      [current, old] = await rollOut(deployment, current, old, desired);
      await forgetOld(old, spec.revisionHistoryLimit ?? 10);
    } else if (current && old.every((it) => it['spec'].replicas === 0)) {
      current = await scale(current, desired);
    }
    await report(deployment, current, old, desired);
  }

  const forgetOld = async (old: TwinObject[], limit: number): Promise<void> => {
    const empty = old.filter((it) => it['spec'].replicas === 0 && !it['status']?.replicas);
    const byRevision = empty.toSorted(
      (a, b) => Number(a.metadata.annotations?.[REVISION]) - Number(b.metadata.annotations?.[REVISION]),
    );
    for (const set of byRevision.slice(0, Math.max(0, empty.length - limit)))
      await api.delete('apps/v1/replicasets', set.metadata.namespace, set.metadata.name);
  };

  const rollOut = async (
    deployment: TwinObject,
    current: TwinObject,
    old: TwinObject[],
    desired: number,
  ): Promise<[TwinObject, TwinObject[]]> => {
    const { strategy } = deployment['spec'];
    const oldSpec = sum(old, (it) => it['spec'].replicas);
    if (oldSpec === 0 && (strategy?.type !== 'Recreate' || sum(old, (it) => it['status']?.replicas) === 0))
      return [await scale(current, desired), old];
    if (strategy?.type === 'Recreate') return [current, await Promise.all(old.map((it) => scale(it, 0)))];

    const surge = portion(strategy?.rollingUpdate?.maxSurge, desired, Math.ceil, '25%');
    let unavailable = portion(strategy?.rollingUpdate?.maxUnavailable, desired, Math.floor, '25%');
    if (surge === 0 && unavailable === 0) unavailable = 1;
    const room = desired + surge - oldSpec - current['spec'].replicas;
    const grown = await scale(current, Math.min(desired, current['spec'].replicas + Math.max(0, room)));
    const floor = desired - unavailable;
    const notReadyYet = Math.max(0, grown['spec'].replicas - (grown['status']?.availableReplicas ?? 0));
    const most = Math.max(0, oldSpec + grown['spec'].replicas - floor - notReadyYet);
    const wanted = new Map(old.map((it) => [it, Number(it['spec'].replicas)]));
    const available = (it: TwinObject): number =>
      Math.min(it['status']?.availableReplicas ?? 0, wanted.get(it) ?? it['spec'].replicas);
    // Those that never became ready go first, so that a second roll on top of the first takes nobody who serves.
    let idle = most;
    for (const it of old) {
      const fewer = Math.min(idle, (wanted.get(it) ?? 0) - available(it));
      wanted.set(it, (wanted.get(it) ?? 0) - fewer);
      idle -= fewer;
    }
    let spare = most === 0 ? 0 : Math.max(0, sum([...old, grown], available) - floor);
    for (const it of old) {
      const fewer = Math.min(spare, wanted.get(it) ?? 0);
      wanted.set(it, (wanted.get(it) ?? 0) - fewer);
      spare -= fewer;
    }
    const shrunk: TwinObject[] = [];
    for (const it of old) shrunk.push(await scale(it, wanted.get(it) ?? 0));
    return [grown, shrunk];
  };

  const report = async (
    deployment: TwinObject,
    current: TwinObject | undefined,
    old: TwinObject[],
    desired: number,
  ): Promise<void> => {
    const all = current ? [current, ...old] : old;
    const available = sum(all, (it) => it['status']?.availableReplicas);
    const updated = current?.['status']?.replicas ?? 0;
    const floor =
      desired - portion(deployment['spec'].strategy?.rollingUpdate?.maxUnavailable, desired, Math.floor, '25%');
    const now = clock.now();
    const complete =
      updated === desired && available === desired && sum(all, (it) => it['status']?.replicas) === desired;
    let conditions = withCondition(
      deployment['status']?.conditions,
      available >= floor
        ? {
            type: 'Available',
            status: 'True',
            reason: 'MinimumReplicasAvailable',
            message: 'Deployment has minimum availability.',
          }
        : {
            type: 'Available',
            status: 'False',
            reason: 'MinimumReplicasUnavailable',
            message: 'Deployment does not have minimum availability.',
          },
      now,
    );
    const setName = current?.metadata.name;
    conditions = withCondition(
      conditions,
      complete
        ? {
            type: 'Progressing',
            status: 'True',
            reason: 'NewReplicaSetAvailable',
            message: `ReplicaSet "${setName}" has successfully progressed.`,
          }
        : {
            type: 'Progressing',
            status: 'True',
            reason: 'ReplicaSetUpdated',
            message: `ReplicaSet "${setName}" is progressing.`,
          },
      now,
    );
    await writeStatus(view, 'deployments', deployment, {
      observedGeneration: deployment.metadata.generation,
      replicas: sum(all, (it) => it['status']?.replicas),
      updatedReplicas: updated,
      readyReplicas: sum(all, (it) => it['status']?.readyReplicas),
      availableReplicas: available,
      unavailableReplicas: Math.max(0, desired - available),
      conditions,
    });
  };

  return queue;
}

const LEAST_WORTH = (pod: TwinObject): number => (pod['spec'].nodeName ? 2 : 0) + (isReady(pod) ? 1 : 0);

/** ReplicaSets keep their number of pods. */
export function runReplicaSets(view: View): { stop(): void } {
  const { api, clock } = view;
  const made = new Map<string, number>();
  const asked = new Set<string>();
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  view.on('replicasets', ({ object }) => queue.add(keyOf(object)));
  view.on('pods', ({ type, object }) => {
    if (type === 'DELETED') asked.delete(object.metadata.uid);
    const owner = controllerOf(object);
    if (owner?.kind === 'ReplicaSet') queue.add(`${object.metadata.namespace}/${owner.name}`);
  });

  async function reconcile(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const set = view.of('replicasets').get(namespace, name);
    if (!set) made.delete(key);
    if (!set || isGoing(set)) return;
    const pods = (await claim(view, 'pods', set)).filter((it) => isActive(it) && !asked.has(it.metadata.uid));
    const desired: number = set['spec'].replicas ?? 1;

    for (let missing = desired - pods.length; missing > 0; missing--) pods.push(await createPod(set, key));
    if (pods.length > desired) {
      const byWorth = pods.toSorted(
        (a, b) => LEAST_WORTH(a) - LEAST_WORTH(b) || (a.metadata.name < b.metadata.name ? 1 : -1),
      );
      for (const pod of byWorth.slice(0, pods.length - desired)) {
        asked.add(pod.metadata.uid);
        await api.delete('v1/pods', namespace, pod.metadata.name);
        pods.splice(pods.indexOf(pod), 1);
      }
    }
    const ready = pods.filter(isReady).length;
    await writeStatus(view, 'replicasets', set, {
      observedGeneration: set.metadata.generation,
      replicas: pods.length === 0 ? undefined : pods.length,
      fullyLabeledReplicas: pods.length,
      readyReplicas: ready,
      availableReplicas: ready,
    });
  }

  const createPod = async (set: TwinObject, key: string): Promise<TwinObject> => {
    const template = structuredClone(set['spec'].template);
    for (;;) {
      const nth = made.get(key) ?? 0;
      made.set(key, nth + 1);
      const name = `${set.metadata.name}-${nameSuffix(`${key}/${nth}`)}`;
      if (await api.get('v1/pods', set.metadata.namespace, name)) continue;
      return createOnce(view, 'pods', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name,
          generateName: `${set.metadata.name}-`,
          namespace: set.metadata.namespace,
          labels: template.metadata?.labels,
          annotations: template.metadata?.annotations,
          ownerReferences: [ownerReference(set)],
        },
        spec: template.spec,
      });
    }
  };

  return queue;
}
