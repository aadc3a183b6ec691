import { nameSuffix } from '../random.js';
import type { Json, Timer, TwinObject } from '../types.js';
import { nextTime, parseSchedule } from './cron.js';
import { keyOf, splitKey } from './follow.js';
import {
  claim,
  conditionOf,
  controllerOf,
  createOnce,
  isActive,
  isGoing,
  isTrue,
  ownerReference,
  type View,
  withCondition,
  writeStatus,
} from './objects.js';
import { backgroundOf, workQueue } from './queue.js';
import { isoSeconds } from './record.js';

const DELAY_MS = 20;

export const isFinished = (job: TwinObject): boolean => isTrue(job, 'Complete') || isTrue(job, 'Failed');

/** Jobs: pods until enough of them succeeded. */
export function runJobs(view: View): { stop(): void } {
  const { api, clock } = view;
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  view.on('jobs', ({ object }) => queue.add(keyOf(object)));
  view.on('pods', ({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === 'Job') queue.add(`${object.metadata.namespace}/${owner.name}`);
  });

  async function reconcile(key: string): Promise<number | void> {
    const { namespace, name } = splitKey(key);
    const job = view.of('jobs').get(namespace, name);
    if (!job || isGoing(job)) return;
    if (isFinished(job)) return dismiss(job);
    const { spec } = job;
    const pods = await claim(view, 'pods', job);
    const active = pods.filter(isActive);
    const succeeded = pods.filter((it) => it['status']?.phase === 'Succeeded').length;
    const failed = pods.filter((it) => it['status']?.phase === 'Failed').length;
    const completions: number = spec.completions ?? 1;
    const parallel = spec.suspend ? 0 : Math.min(spec.parallelism ?? 1, completions - succeeded);

    for (let i = active.length; i < parallel; i++) active.push(await createPod(job, pods.length + i - active.length));
    for (const pod of active.slice(parallel)) await api.delete('v1/pods', namespace, pod.metadata.name);
    const now = clock.now();
    const done = succeeded >= completions;
    const conditions = done
      ? withCondition(job['status']?.conditions, { type: 'Complete', status: 'True' }, now)
      : job['status']?.conditions;
    await writeStatus(view, 'jobs', job, {
      startTime: spec.suspend ? job['status']?.startTime : (job['status']?.startTime ?? isoSeconds(now)),
      active: done ? 0 : Math.min(active.length, parallel),
      ready: undefined,
      succeeded,
      failed,
      ...(done ? { completionTime: isoSeconds(now), conditions } : {}),
    });
  }

  const dismiss = async (job: TwinObject): Promise<number | void> => {
    const ttl = job['spec'].ttlSecondsAfterFinished;
    const finished = job['status']?.completionTime ?? conditionOf(job, 'Failed')?.lastTransitionTime;
    if (ttl === undefined || ttl === null || finished === undefined) return;
    const left = Date.parse(finished) + ttl * 1000 - clock.now();
    if (left > 0) return left;
    await removeJob(view, job);
  };

  const createPod = (job: TwinObject, nth: number): Promise<TwinObject> => {
    const template = structuredClone(job['spec'].template);
    const { namespace, name, uid } = job.metadata;
    return createOnce(view, 'pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `${name}-${nameSuffix(`${namespace}/${name}/${nth}`)}`,
        namespace,
        labels: { ...template.metadata?.labels, 'job-name': name, 'controller-uid': uid },
        annotations: template.metadata?.annotations,
        ownerReferences: [ownerReference(job)],
      },
      spec: { restartPolicy: 'Never', ...template.spec },
    });
  };

  return queue;
}

/** With its pods: the server's default for Jobs is to leave them behind. */
async function removeJob(view: View, job: TwinObject): Promise<void> {
  const { namespace, name, uid } = job.metadata;
  await view.api.delete('batch/v1/jobs', namespace, name);
  for (const pod of view.of('pods').all(namespace))
    if (controllerOf(pod)?.uid === uid) await view.api.delete('v1/pods', namespace, pod.metadata.name);
}

/** CronJobs: a Job whenever the clock says so, unless suspended. After a pause the latest missed run is made up for. */
export function runCronJobs(view: View): { stop(): void } {
  const { clock } = view;
  const timers = new Map<string, Timer>();
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  view.on('cronjobs', ({ object }) => queue.add(keyOf(object)));
  view.on('jobs', ({ object }) => {
    const owner = controllerOf(object);
    if (owner?.kind === 'CronJob') queue.add(`${object.metadata.namespace}/${owner.name}`);
  });

  const wakeAt = (key: string, at: number | undefined): void => {
    timers.get(key)?.cancel();
    timers.delete(key);
    if (at !== undefined)
      timers.set(
        key,
        backgroundOf(clock).after(at - clock.now(), () => queue.add(key, 0)),
      );
  };

  async function reconcile(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const cron = view.of('cronjobs').get(namespace, name);
    if (!cron || isGoing(cron)) return wakeAt(key, undefined);
    const jobs = view
      .of('jobs')
      .all(namespace)
      .filter((it) => controllerOf(it)?.uid === cron.metadata.uid);
    await forgetOld(cron, jobs);
    const active = jobs.filter((it) => !isFinished(it) && !isGoing(it));
    if (cron['spec'].suspend) wakeAt(key, undefined);
    else await runDue(key, cron, active);
    await writeStatus(view, 'cronjobs', view.of('cronjobs').get(namespace, name) ?? cron, {
      active: active.length > 0 ? active.map(reference) : undefined,
    });
  }

  const runDue = async (key: string, cron: TwinObject, active: TwinObject[]): Promise<void> => {
    const { namespace, name } = cron.metadata;
    let schedule;
    try {
      schedule = parseSchedule(cron['spec'].schedule);
    } catch (error) {
      await view.record(cron, 'Warning', 'UnparseableSchedule', (error as Error).message);
      return;
    }
    const now = clock.now();
    const last = Date.parse(cron['status']?.lastScheduleTime ?? cron.metadata.creationTimestamp);
    let due: number | undefined;
    let next = nextTime(schedule, last);
    while (next !== undefined && next <= now) {
      due = next;
      next = nextTime(schedule, next);
    }
    wakeAt(key, next);
    const deadlineMs = (cron['spec'].startingDeadlineSeconds ?? Number.POSITIVE_INFINITY) * 1000;
    if (due === undefined || now - due > deadlineMs) return;
    const policy = cron['spec'].concurrencyPolicy ?? 'Allow';
    if (policy === 'Forbid' && active.length > 0) return;
    if (policy === 'Replace') for (const job of active) await removeJob(view, job);
    const template = structuredClone(cron['spec'].jobTemplate);
    const job = await createOnce(view, 'jobs', {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        name: `${name}-${Math.floor(due / 60_000)}`,
        namespace,
        labels: template.metadata?.labels,
        annotations: template.metadata?.annotations,
        ownerReferences: [ownerReference(cron)],
      },
      spec: template.spec,
    });
    active.push(job);
    await writeStatus(view, 'cronjobs', cron, { lastScheduleTime: isoSeconds(due) });
  };

  const forgetOld = async (cron: TwinObject, jobs: TwinObject[]): Promise<void> => {
    const finished = jobs.filter((it) => isFinished(it) && !isGoing(it));
    const byAge = (some: TwinObject[]): TwinObject[] =>
      some.toSorted((a, b) => ((a['status']?.startTime ?? '') < (b['status']?.startTime ?? '') ? -1 : 1));
    const keep = (some: TwinObject[], limit: number): TwinObject[] =>
      byAge(some).slice(0, Math.max(0, some.length - limit));
    const old = [
      ...keep(
        finished.filter((it) => isTrue(it, 'Complete')),
        cron['spec'].successfulJobsHistoryLimit ?? 3,
      ),
      ...keep(
        finished.filter((it) => isTrue(it, 'Failed')),
        cron['spec'].failedJobsHistoryLimit ?? 1,
      ),
    ];
    for (const job of old) await removeJob(view, job);
  };

  return {
    stop() {
      queue.stop();
      for (const timer of timers.values()) timer.cancel();
    },
  };
}

const reference = (job: TwinObject): Json => ({
  apiVersion: job.apiVersion,
  kind: job.kind,
  namespace: job.metadata.namespace,
  name: job.metadata.name,
  uid: job.metadata.uid,
});
