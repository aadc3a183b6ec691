import type { CronJobsArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import { pathOf, rightOn } from '../objects.js';
import type { Cluster, Side } from '../ports.js';
import type { StepKind } from '../step.js';
import { count } from '../words.js';
import { owing } from './owing.js';

/**
 * No weight gates a CronJob: it changes sides in one step, first asleep here, then awake there. One that was suspended in the source
 * before stays so on both sides.
 */
export interface CronJobsBefore {
  /** as the source had them, in the order of the jobs */
  suspended: boolean[];
}

const KIND = 'CronJob.batch';

export const cronJobs: StepKind<CronJobsArgs, CronJobsBefore> = {
  kind: 'switch-cronjobs',
  besideTraffic: true,
  title: ({ jobs }) =>
    `${jobs.length > 3 ? count(jobs.length, 'CronJob') : jobs.map(pathOf).join(', ')} ${jobs.length === 1 ? 'runs' : 'run'} on the target, no longer on the source`,
  wayBack: () => 'the source runs them again',
  rights: () => ({
    source: ['get', 'patch'].map((verb) => rightOn(verb, KIND)),
    target: ['get', 'patch'].map((verb) => rightOn(verb, KIND)),
  }),

  async check({ jobs }, { world }) {
    await Promise.all(jobs.map((it) => suspendOf(world.target, it)));
    return { suspended: await Promise.all(jobs.map((it) => suspendOf(world.source, it))) };
  },

  async apply({ jobs }, _before, { world }) {
    for (const it of jobs) await setSuspend(world.source, it, true);
    await Promise.all(jobs.map(async (it, index) => setSuspend(world.target, it, _before.suspended[index] ?? true)));
  },

  async verify({ jobs }, { suspended }, { world }) {
    for (const [index, job] of jobs.entries()) {
      await mustBe('source', world.source, job, true);
      await mustBe('target', world.target, job, suspended[index] ?? true);
    }
  },

  async undo({ jobs }, { suspended }, { world }) {
    const owed = await owing(`CronJobs ${jobs.map(pathOf).join(', ')} may still run there.`, async () => {
      for (const it of jobs)
        if (await world.target.get({ kind: KIND, ...it })) await setSuspend(world.target, it, true);
    });
    for (const [index, it] of jobs.entries()) await setSuspend(world.source, it, suspended[index] ?? true);
    return owed;
  },
};

type Job = CronJobsArgs['jobs'][number];

async function suspendOf(cluster: Cluster, job: Job): Promise<boolean> {
  const found = await cluster.get({ kind: KIND, ...job });
  if (found) return found['spec']?.suspend === true;
  throw new MigrateError('WORKLOAD_MISSING', {
    what: `The ${cluster.side} has no CronJob ${pathOf(job)}.`,
    why: 'It was there when the plan was made.',
    fix: 'Make a new plan.',
  });
}

async function setSuspend(cluster: Cluster, job: Job, suspend: boolean): Promise<void> {
  if ((await suspendOf(cluster, job)) !== suspend) await cluster.patch({ kind: KIND, ...job }, { spec: { suspend } });
}

async function mustBe(side: Side, cluster: Cluster, job: Job, suspended: boolean): Promise<void> {
  if ((await suspendOf(cluster, job)) === suspended) return;
  throw new MigrateError('CRONJOB_CHANGED', {
    what: `CronJob ${pathOf(job)} on the ${side} is ${suspended ? 'not suspended' : 'suspended'}.`,
    why: 'Something (GitOps, an operator) put it back.',
    fix: 'Change it at its source or pause that, then run again: a job must not run on both sides.',
  });
}
