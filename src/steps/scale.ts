import type { ScaleArgs, Workload } from '../args.js';
import { MigrateError } from '../errors.js';
import { about, pathOf, rightOn } from '../objects.js';
import { otherSide, type Cluster, type KubeObject } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { count } from '../words.js';
import { andWrite, mustRest, RIGHTS_OF_REST } from './at-rest.js';
import { owing } from './owing.js';
import { until } from '../wait.js';

/**
 * Sets the replicas of workloads on one side: up when they start on the target, to 0 at the end.
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
  rights: ({ side, workloads, moved }) => ({
    ...(moved && { [otherSide(side)]: RIGHTS_OF_REST }),
    [side]: [
      ...[...new Set(workloads.map((it) => it.kind))].flatMap((kind) =>
        ['get', 'patch'].map((verb) => rightOn(verb, kind)),
      ),
      { verb: 'list', group: '', resource: 'pods' },
    ],
  }),

  async check({ side, workloads }, { world }) {
    return { replicas: await replicasOf(world[side], workloads) };
  },

  async apply({ side, to, workloads, moved }, _before, { world }) {
    if (moved) await mustRest(moved, world[otherSide(side)]);
    await setAll(
      world[side],
      workloads,
      workloads.map((it) => (to === 'zero' ? 0 : it.replicas)),
    );
  },

  async verify({ side, to, workloads }, _before, context) {
    await settled(
      context,
      side,
      workloads,
      workloads.map((it) => (to === 'zero' ? 0 : it.replicas)),
    );
  },

  async undo({ side, workloads, moved }, before, context) {
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
    if (side === 'target') return owing(`${names(workloads)} may still run there${andWrite(moved)}.`, back);
    await back();
    return [];
  },
};

const names = (workloads: readonly Workload[]) =>
  workloads.length > 3 ? count(workloads.length, 'workload') : workloads.map(pathOf).join(', ');

/** @throws MigrateError WORKLOAD_MISSING */
export async function mustGet(cluster: Cluster, workload: Workload): Promise<KubeObject> {
  const found = await cluster.get(workload);
  if (found) return found;
  throw new MigrateError('WORKLOAD_MISSING', {
    what: `The ${cluster.side} has no ${about(workload.kind, workload)}.`,
    why: 'The plan was made when the source had it.',
    fix: 'Make a new plan, or bring it first.',
  });
}

/** As the workloads are now, in their order. */
async function replicasOf(cluster: Cluster, workloads: readonly Workload[]): Promise<number[]> {
  const found = await Promise.all(workloads.map((it) => mustGet(cluster, it)));
  return found.map(replicasIn);
}

export const replicasIn = ({ spec }: KubeObject): number => Number(spec?.replicas ?? 1);

export async function setAll(
  cluster: Cluster,
  workloads: readonly Workload[],
  replicas: readonly number[],
): Promise<void> {
  for (const [index, workload] of workloads.entries()) {
    const wanted = replicas[index] ?? 0;
    const now = await mustGet(cluster, workload);
    if (replicasIn(now) !== wanted) await cluster.patch(workload, { spec: { replicas: wanted } });
  }
}

/** Ready as many as wanted, and for 0 until the pods themselves are gone: a terminating pod still writes. */
export async function settled(
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
        const object = await mustGet(cluster, workload);
        // An autoscaler may have its own mind by now, of which none makes 0.
        const wanted = replicas[index] ? Math.max(1, replicasIn(object)) : 0;
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
