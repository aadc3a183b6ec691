import type { QuiesceArgs } from '../args.js';
import { pathOf, rightOn } from '../objects.js';
import type { Cluster, KubeObject } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { until, untilWindow } from '../wait.js';
import { count, spell } from '../words.js';
import { replicasOf, setAll, settled } from './scale.js';

/**
 * Nobody writes to the claims any more: their workloads at 0, their CronJobs suspended, no pod that mounts them left, their volumes attached
 * nowhere. Or, where the playbook names programs for it, the writers hold still and stay there. It lasts until the way back.
 */
export interface QuiesceBefore {
  /** in the order of the workloads; never overwritten by a later look */
  replicas: number[];
  /** in the order of the CronJobs */
  suspended: boolean[];
}

const CRON_JOB = 'CronJob.batch';
const DEADLINE_MS = 15 * 60_000;
const PROGRAM_MS = 10 * 60_000;

export const quiesce: StepKind<QuiesceArgs, QuiesceBefore> = {
  kind: 'quiesce',
  title: ({ claims, workloads, freeze }) =>
    freeze
      ? `writers of ${some(claims)} hold still on the source`
      : `${workloads.length > 0 ? `${some(workloads.map(pathOf))} to 0 on the source, ` : ''}nobody writes to ${some(claims)}`,
  wayBack: ({ freeze }) =>
    freeze ? 'they go on on the source' : 'up again on the source, with the data of this moment',
  rights: ({ workloads, cronJobs }) => ({
    source: [
      ...[...new Set(workloads.map((it) => it.kind))].flatMap((kind) =>
        ['get', 'patch'].map((verb) => rightOn(verb, kind)),
      ),
      ...(cronJobs.length > 0 ? ['get', 'patch'].map((verb) => rightOn(verb, CRON_JOB)) : []),
      rightOn('list', 'Pod'),
      rightOn('list', 'VolumeAttachment.storage.k8s.io'),
    ],
  }),

  async check(args, context) {
    const { workloads, cronJobs, live } = args;
    const { source } = context.world;
    const before = {
      replicas: await replicasOf(source, workloads),
      suspended: await Promise.all(cronJobs.map((it) => isSuspended(source, it))),
    };
    const longest = Math.max(0, ...live.map((it) => context.took(it) ?? 0));
    if (longest > 0)
      context.progress(`the last live pass took ${spell(longest)}; the last pass, without writers, takes no longer`);
    await untilWindow(args, context);
    return before;
  },

  async apply({ claims, workloads, cronJobs, freeze }, _before, { world }) {
    if (freeze) {
      await world.programs.run(freeze.run, { verb: 'freeze', claims }, PROGRAM_MS);
      return;
    }
    for (const it of cronJobs) await suspend(world.source, it, true);
    await setAll(
      world.source,
      workloads,
      workloads.map(() => 0),
    );
  },

  async verify({ claims, volumes, workloads, freeze }, _before, context) {
    if (freeze) return;
    await settled(
      context,
      'source',
      workloads,
      workloads.map(() => 0),
    );
    await untilUnmounted(context, claims);
    await untilDetached(context, volumes);
  },

  async undo({ claims, workloads, cronJobs, freeze }, before, context) {
    const { source } = context.world;
    if (freeze) await context.world.programs.run(freeze.back, { verb: 'thaw', claims }, PROGRAM_MS);
    else {
      await setAll(source, workloads, before.replicas);
      await settled(context, 'source', workloads, before.replicas);
      for (const [index, it] of cronJobs.entries()) await suspend(source, it, before.suspended[index] ?? true);
    }
    return [];
  },
};

const some = (names: readonly string[]) =>
  names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', ');

type Job = QuiesceArgs['cronJobs'][number];

const isSuspended = async (cluster: Cluster, job: Job) =>
  (await cluster.get({ kind: CRON_JOB, ...job }))?.['spec']?.suspend === true;

async function suspend(cluster: Cluster, job: Job, on: boolean): Promise<void> {
  const found = await cluster.get({ kind: CRON_JOB, ...job });
  if (found && (found['spec']?.suspend === true) !== on)
    await cluster.patch({ kind: CRON_JOB, ...job }, { spec: { suspend: on } });
}

/** Pods of a claim, whoever made them, that have not ended. */
export async function podsOn(cluster: Cluster, claims: readonly string[]): Promise<KubeObject[]> {
  const namespaces = [...new Set(claims.map((it) => it.slice(0, it.indexOf('/'))))];
  const pods = (await Promise.all(namespaces.map((namespace) => cluster.list('Pod', { namespace })))).flat();
  return pods.filter(
    (it) =>
      !['Succeeded', 'Failed'].includes(it['status']?.phase as string) &&
      ((it['spec']?.volumes ?? []) as { persistentVolumeClaim?: { claimName: string } }[]).some(
        ({ persistentVolumeClaim: claim }) =>
          claim !== undefined && claims.includes(`${it.metadata.namespace ?? ''}/${claim.claimName}`),
      ),
  );
}

async function untilUnmounted(context: StepContext, claims: readonly string[]): Promise<void> {
  await until(
    context,
    {
      code: 'CLAIM_STILL_MOUNTED',
      deadlineMs: DEADLINE_MS,
      subject: 'Claims on the source',
      why: 'A pod that the plan does not know writes to them: a Job, a debug pod, or one that was scaled up again.',
      fix: 'End it (an autoscaler, GitOps or an operator may have to be paused), then run again.',
    },
    async () => {
      const [first, ...more] = await podsOn(context.world.source, claims);
      return first && `pod ${pathOf(first.metadata)}${more.length > 0 ? ` and ${more.length} more` : ''} still there`;
    },
  );
}

async function untilDetached(context: StepContext, volumes: readonly string[]): Promise<void> {
  await until(
    context,
    {
      code: 'VOLUME_STILL_ATTACHED',
      deadlineMs: DEADLINE_MS,
      subject: 'Volumes on the source',
      why: 'A snapshot of a disk that is still attached may miss the last writes.',
      fix: 'See which pod or node holds it (kubectl get volumeattachment), then run again.',
    },
    async () => {
      const attachments = await context.world.source.list('VolumeAttachment.storage.k8s.io');
      const held = attachments.filter((it) => volumes.includes(it['spec']?.source?.persistentVolumeName as string));
      const [first] = held;
      return (
        first &&
        `${count(held.length, 'volume')} still attached, ${String(first['spec']?.source?.persistentVolumeName)} to ${String(first['spec']?.nodeName)}`
      );
    },
  );
}
