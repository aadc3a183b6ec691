import type { ScaleArgs, Workload } from '../args.js';
import { MigrateError } from '../errors.js';
import { about, pathOf, rightOn } from '../objects.js';
import type { Cluster, KubeObject } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { count } from '../words.js';
import { owing } from './owing.js';
import { until } from '../wait.js';

/**
 * Sets the replicas of workloads on one side: to 0 before a disk is copied, up when they start on the target, to 0 again at the end.
 * Done means that the pods are there and ready, or gone; a number in a spec proves nothing.
 */
export interface ScaleBefore {
  /** in the order of the workloads; never overwritten by a later look */
  replicas: number[];
}

const DEADLINE_MS = 15 * 60_000;

export const scale: StepKind<ScaleArgs, ScaleBefore> = {
  kind: 'scale',
  title: ({ side, to, workloads }) =>
    to === 'zero'
      ? `${names(workloads)} to 0 on the ${side}`
      : `${names(workloads)} ${workloads.length === 1 ? 'starts' : 'start'} on the ${side}`,
  wayBack: ({ side, to }) =>
    to === 'zero' ? `up again on the ${side}` : `to 0 again on the ${side}; what was written there stays there`,
  rights: ({ side, workloads, detached }) => ({
    [side]: [
      ...[...new Set(workloads.map((it) => it.kind))].flatMap((kind) =>
        ['get', 'patch'].map((verb) => rightOn(verb, kind)),
      ),
      { verb: 'list', group: '', resource: 'pods' },
      ...(detached ? [{ verb: 'list', group: 'storage.k8s.io', resource: 'volumeattachments' }] : []),
    ],
  }),

  async check({ side, workloads }, { world }) {
    const found = await Promise.all(workloads.map((it) => mustGet(world[side], it)));
    return { replicas: found.map((it) => Number(it['spec']?.replicas ?? 1)) };
  },

  async apply({ side, to, workloads }, _before, { world }) {
    await setAll(
      world[side],
      workloads,
      workloads.map((it) => (to === 'zero' ? 0 : it.replicas)),
    );
  },

  async verify({ side, to, workloads, detached }, _before, context) {
    await settled(
      context,
      side,
      workloads,
      workloads.map((it) => (to === 'zero' ? 0 : it.replicas)),
    );
    if (detached) await untilDetached(context, side, detached);
  },

  async undo({ side, workloads }, before, context) {
    const back = async () => {
      const there: Workload[] = [];
      const replicas: number[] = [];
      for (const [index, workload] of workloads.entries()) {
        // What is gone needs no scaling; only the target's can go, with the restore that brought it.
        if (!(await context.world[side].get(workload))) continue;
        there.push(workload);
        replicas.push(before.replicas[index] ?? 0);
      }
      await setAll(context.world[side], there, replicas);
      await settled(context, side, there, replicas);
    };
    if (side === 'target') return owing(`${names(workloads)} may still run there.`, back);
    await back();
    return [];
  },
};

const names = (workloads: readonly Workload[]) =>
  workloads.length > 3 ? count(workloads.length, 'workload') : workloads.map(pathOf).join(', ');

async function mustGet(cluster: Cluster, workload: Workload): Promise<KubeObject> {
  const found = await cluster.get(workload);
  if (found) return found;
  throw new MigrateError('WORKLOAD_MISSING', {
    what: `The ${cluster.side} has no ${about(workload.kind, workload)}.`,
    why: 'The plan was made when the source had it.',
    fix: 'Make a new plan, or bring it first.',
  });
}

async function setAll(cluster: Cluster, workloads: readonly Workload[], replicas: readonly number[]): Promise<void> {
  for (const [index, workload] of workloads.entries()) {
    const wanted = replicas[index] ?? 0;
    const now = await mustGet(cluster, workload);
    if (Number(now['spec']?.replicas ?? 1) !== wanted) await cluster.patch(workload, { spec: { replicas: wanted } });
  }
}

/** Ready as many as wanted, and for 0 until the pods themselves are gone: a terminating pod still writes. */
async function settled(
  context: StepContext,
  side: ScaleArgs['side'],
  workloads: readonly Workload[],
  replicas: readonly number[],
): Promise<void> {
  const { world } = context;
  const cluster = world[side];
  await until(
    context,
    {
      code: 'WORKLOAD_NOT_SETTLED',
      deadlineMs: DEADLINE_MS,
      subject: `Workloads on the ${side}`,
      why: 'Pods do not become ready, or do not end.',
      fix: `Look at them on the ${side} (kubectl describe pod), then run again.`,
    },
    async () => {
      for (const [index, workload] of workloads.entries()) {
        const wanted = replicas[index] ?? 0;
        const object = await mustGet(cluster, workload);
        const { observedGeneration = 0, readyReplicas = 0, replicas: present = 0 } = object['status'] ?? {};
        if (observedGeneration < (object.metadata.generation ?? 0))
          return `${pathOf(workload)} is not seen by its controller yet`;
        if (readyReplicas !== wanted || present !== wanted)
          return `${pathOf(workload)} has ${readyReplicas} of ${wanted} ready`;
        if (wanted === 0) {
          const left = await podsOf(cluster, object);
          if (left > 0) return `${count(left, 'pod')} of ${pathOf(workload)} still ending`;
        }
      }
      return undefined;
    },
  );
}

async function podsOf(cluster: Cluster, workload: KubeObject): Promise<number> {
  const labels = Object.entries((workload['spec']?.selector?.matchLabels ?? {}) as Record<string, string>).map(
    ([key, value]) => `${key}=${value}`,
  );
  const pods = await cluster.list('Pod', { namespace: workload.metadata.namespace ?? '', labels: labels.join(',') });
  return pods.length;
}

async function untilDetached(context: StepContext, side: ScaleArgs['side'], volumes: readonly string[]): Promise<void> {
  const { world } = context;
  await until(
    context,
    {
      code: 'VOLUME_STILL_ATTACHED',
      deadlineMs: DEADLINE_MS,
      subject: `Volumes on the ${side}`,
      why: 'A snapshot of a disk that is still attached may miss the last writes.',
      fix: 'See which pod or node holds it (kubectl get volumeattachment), then run again.',
    },
    async () => {
      const attachments = await world[side].list('VolumeAttachment.storage.k8s.io');
      const held = attachments.find((it) => volumes.includes(it['spec']?.source?.persistentVolumeName as string));
      return (
        held &&
        `${String(held['spec']?.source?.persistentVolumeName)} is still attached to ${String(held['spec']?.nodeName)}`
      );
    },
  );
}
