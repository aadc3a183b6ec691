import type { QuiesceArgs, Workload } from '../args.js';
import { estimateOf, tell } from '../disk-estimate.js';
import { MigrateError } from '../errors.js';
import { about, pathOf, rightOn } from '../objects.js';
import type { Cluster, KubeObject } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { until, untilWindow } from '../wait.js';
import { count } from '../words.js';
import { attachedTo, attachmentsOf, podsOn } from './at-rest.js';
import { mustGet, replicasIn, setAll, settled } from './scale.js';

/**
 * Nobody writes to the claims any more: their CronJobs suspended, Jobs that ran ended, their workloads at 0, no pod that mounts them left,
 * their volumes attached nowhere. Or, where the playbook names programs for it, the writers hold still and stay there. It lasts until the
 * way back.
 */
export interface QuiesceBefore {
  /** in the order of the workloads; never overwritten by a later look */
  replicas: number[];
  /** pods that were ready, in the same order: no more are waited for on the way back */
  ready: number[];
  /** in the order of the CronJobs */
  suspended: boolean[];
}

const CRON_JOB = 'CronJob.batch';
const DEADLINE_MS = 15 * 60_000;
const PROGRAM_MS = 10 * 60_000;

export const quiesce: StepKind<QuiesceArgs, QuiesceBefore> = {
  kind: 'quiesce',
  title: ({ claims, workloads, freezes }) =>
    freezes
      ? `writers of ${some(claims)} hold still on the source`
      : `${workloads.length > 0 ? `${some(workloads.map(pathOf))} to 0 on the source, ` : ''}nobody writes to ${some(claims)}`,
  wayBack: ({ freezes }) =>
    freezes ? 'they go on on the source' : 'up again on the source, with the data of this moment',
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
    const estimate = estimateOf(live, context.took);
    if (estimate) context.progress(tell(estimate));
    await untilWindow(args, context);
    // Not before the window: that may be hours off.
    const found = await Promise.all(workloads.map((it) => mustGet(source, it)));
    for (const [index, it] of workloads.entries()) mustBeAsPlanned(it, found[index]);
    return {
      replicas: found.map(replicasIn),
      ready: found.map((it) => Number(it['status']?.readyReplicas ?? 0)),
      suspended: await Promise.all(cronJobs.map((it) => isSuspended(source, it))),
    };
  },

  async apply(args, _before, context) {
    const { workloads, cronJobs, freezes } = args;
    const { source } = context.world;
    if (freezes) return freeze(freezes, context);
    for (const it of cronJobs) await suspend(source, it, true);
    await untilJobsEnd(args, context);
    await setAll(
      source,
      workloads,
      workloads.map(() => 0),
    );
  },

  async verify({ claims, shares, volumes, workloads, freezes }, _before, context) {
    if (freezes) return;
    await settled(
      context,
      'source',
      workloads,
      workloads.map(() => 0),
    );
    await untilUnmounted(context, claims, shares);
    await untilDetached(context, volumes);
  },

  async undo({ workloads, cronJobs, freezes }, before, context) {
    const { source } = context.world;
    for (const it of (freezes ?? []).toReversed()) await runProgram(it.back, 'thaw', it.claims, context);
    if (freezes) return [];
    const ours = await stillOurs(workloads, before, context);
    await setAll(source, ours.workloads, ours.replicas);
    for (const [index, it] of cronJobs.entries()) {
      // One that somebody has let run meanwhile runs already.
      if (before.suspended[index] === false) await suspend(source, it, false);
    }
    await settled(
      context,
      'source',
      ours.sound,
      ours.sound.map((it) => it.replicas),
    );
    return [];
  },
};

const some = (names: readonly string[]) =>
  names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', ');

type Freezes = NonNullable<QuiesceArgs['freezes']>;

/** A file system that stays frozen blocks its writers for good: when one program fails, those before it are taken back at once. */
async function freeze(freezes: Freezes, context: StepContext): Promise<void> {
  const begun: Freezes = [];
  try {
    for (const it of freezes) {
      begun.unshift(it);
      await runProgram(it.run, 'freeze', it.claims, context);
    }
  } catch (error) {
    for (const it of begun)
      await runProgram(it.back, 'thaw', it.claims, context).catch((failed: unknown) => {
        if (!(failed instanceof MigrateError)) throw failed;
        context.emit({
          type: 'warning',
          what: `Writers of ${it.claims.join(', ')} may still be held: ${failed.what}`,
          fix: `Let them go on by hand: ${it.back.join(' ')}`,
        });
      });
    throw error;
  }
}

const runProgram = (command: string[], verb: 'freeze' | 'thaw', claims: string[], { world }: StepContext) =>
  world.programs.run(command, { verb, claims }, PROGRAM_MS);

/**
 * @throws MigrateError PLAN_STALE  one has what the plan does not know: claims of further replicas, or pods that nobody would start again
 */
function mustBeAsPlanned(workload: Workload, found: KubeObject | undefined): void {
  const { replicas: planned } = workload;
  const now = found ? replicasIn(found) : planned;
  const hasOwnClaims = ((found?.['spec']?.volumeClaimTemplates ?? []) as unknown[]).length > 0;
  if (now <= planned || (planned > 0 && !hasOwnClaims)) return;
  throw new MigrateError('PLAN_STALE', {
    what: `${about(workload.kind, workload)} has ${now} replicas on the source and had ${planned} when the plan was made.`,
    why:
      planned > 0
        ? 'Each has claims of its own, and the disks of the new ones are not in the plan: they would be left behind.'
        : 'It would be stopped on the source, and nothing in the plan starts it on the target.',
    fix: `Scale it to ${planned} again and run again; or \`migrate rollback\`, and make a new plan.`,
  });
}

interface Ours {
  workloads: Workload[];
  replicas: number[];
  /** those of them whose pods were all ready, with that number */
  sound: Workload[];
}

/** Only what stands as we left it goes back; a number that somebody else has set since is theirs, and what they have deleted stays so. */
async function stillOurs(
  workloads: readonly Workload[],
  before: QuiesceBefore,
  { world, emit }: StepContext,
): Promise<Ours> {
  const ours: Ours = { workloads: [], replicas: [], sound: [] };
  for (const [index, workload] of workloads.entries()) {
    const was = before.replicas[index] ?? 0;
    const found = await world.source.get(workload);
    if (!found) {
      emit({
        type: 'warning',
        what: `${about(workload.kind, workload)} is not on the source any more: somebody has deleted it since, so it stays away.`,
        fix: 'If that was not meant: apply it again.',
      });
      continue;
    }
    const is = replicasIn(found);
    if (is === 0 || is === was) {
      ours.workloads.push(workload);
      ours.replicas.push(was);
      if ((before.ready[index] ?? 0) >= was) ours.sound.push({ ...workload, replicas: was });
      continue;
    }
    emit({
      type: 'warning',
      what: `${about(workload.kind, workload)} has ${is} replicas on the source and had ${was}: somebody has changed it since, so it stays.`,
      fix: `If that was not meant: kubectl scale --replicas=${was}`,
    });
  }
  return ours;
}

type Job = QuiesceArgs['cronJobs'][number];

const isSuspended = async (cluster: Cluster, job: Job) =>
  (await cluster.get({ kind: CRON_JOB, ...job }))?.['spec']?.suspend === true;

async function suspend(cluster: Cluster, job: Job, on: boolean): Promise<void> {
  const found = await cluster.get({ kind: CRON_JOB, ...job });
  if (found && (found['spec']?.suspend === true) !== on)
    await cluster.patch({ kind: CRON_JOB, ...job }, { spec: { suspend: on } });
}

/** While their workloads still run: nobody is without service for the sake of a Job. */
async function untilJobsEnd(
  { claims, shares, jobsWithinMs = DEADLINE_MS }: QuiesceArgs,
  context: StepContext,
): Promise<void> {
  await until(
    context,
    {
      code: 'CLAIM_STILL_MOUNTED',
      deadlineMs: jobsWithinMs,
      subject: 'Jobs on the source',
      why: 'A Job that is cut off halfway leaves its half on the disk.',
      fix: 'Wait for its end, or delete it, then run again; `data.jobsWithin` says how long it is waited for.',
    },
    async () => {
      const pods = await podsOn(context.world.source, claims, shares);
      const [first, ...more] = pods.filter((it) => it.metadata.ownerReferences?.some((one) => one.kind === 'Job'));
      return first && `pod ${pathOf(first.metadata)}${more.length > 0 ? ` and ${more.length} more` : ''} still runs`;
    },
  );
}

async function untilUnmounted(
  context: StepContext,
  claims: readonly string[],
  shares: readonly string[] | undefined,
): Promise<void> {
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
      const [first, ...more] = await podsOn(context.world.source, claims, shares);
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
      const held = await attachmentsOf(context.world.source, volumes);
      const [first] = held;
      return first && `${count(held.length, 'volume')} still attached, ${attachedTo(first)}`;
    },
  );
}
