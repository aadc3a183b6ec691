import { MigrateError } from '../errors.js';
import { isUnderWay, ownerOf, patchAt, type Held, type SideArgs } from '../one-side.js';
import { about, pathOf, rightOn } from '../objects.js';
import type { Cluster, KubeObject, ObjectRef, Right, Side } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { until } from '../wait.js';
import { count } from '../words.js';
import { mustRest, RIGHTS_OF_REST } from './at-rest.js';
import { owing } from './owing.js';

/**
 * No weight gates what works by itself. It changes sides in one step: asleep on the source, and seen so (its pods gone, its Jobs at their
 * end), and only then awake on the target. Where that does not come off, it wakes on the source again before the step says so.
 */
export interface SideBefore {
  /** what the source had, in the order of `held` */
  source: Recorded[];
}

/** What a field had; `absent` from which of its keys on it was not there, counted from 0. */
type Recorded = { value: unknown } | { absent: number };

/** A pod that is left over, or a controller that does not look; and one that does not come up. */
const PODS_WITHIN_MS = 15 * 60_000;
/**
 * For so long a controller may still start what it had in mind when it was told to sleep: that of CronJobs looks every 10 s up to 1.20.
 * @source kubernetes/kubernetes:pkg/controller/cronjob/cronjob_controller.go (Run)
 */
const SEEN_WITHIN_MS = 10_000;

export const sides: StepKind<SideArgs, SideBefore> = {
  kind: 'switch-side',
  besideTraffic: true,
  title: (args) =>
    args.held.length === 0 && !args.program
      ? `${args.what} of the source come to their end`
      : `${args.what} ${isMany(args) ? 'run' : 'runs'} on the target, no longer on the source`,
  wayBack: (args) =>
    args.held.length === 0 && !args.program
      ? 'nothing to undo'
      : `the source runs ${isMany(args) ? 'them' : 'it'} again`,
  rights,

  async check({ held }, { world }) {
    const source = await Promise.all(held.map(async (it) => recordedOf(it, await mustGet(world.source, it))));
    for (const it of held) {
      const there = recordedOf(it, await mustGet(world.target, it));
      if (isStopped(it, there)) continue;
      throw new MigrateError('SIDE_AWAKE', {
        what: `The target's ${about(it.kind, it)} is awake: ${it.path.join('.')} is ${told(there)}, not ${JSON.stringify(it.stopped)}.`,
        why: 'It must rest there until the source’s rests, or both work.',
        fix: 'Stop it on the target, then run again: it is started there in its time.',
      });
    }
    return { source };
  },

  async apply(args, before, context) {
    try {
      await rest('source', args, context);
      await run(args, 'target', context);
      await handLastRuns(args, 'source', 'target', context);
      if (args.moved) await mustRest(args.moved, context.world.source);
      await wake('target', args, before, context);
      await untilUp(args, before, context);
    } catch (error) {
      if (isFinal(error)) await wokenAgain(args, before, context);
      throw error;
    }
  },

  async verify(args, before, { world }) {
    for (const [index, it] of args.held.entries()) {
      const here = recordedOf(it, await mustGet(world.source, it));
      if (!isStopped(it, here)) throw changed('source', it, `${it.path.join('.')} is ${told(here)} again`);
      const there = recordedOf(it, await mustGet(world.target, it));
      const wanted = wokenBy(it, before.source[index]);
      if (isStopped(it, there) && !isStopped(it, wanted) && !args.scaled)
        throw changed('target', it, `${it.path.join('.')} is ${told(there)}, not ${told(wanted)}`);
    }
  },

  async undo(args, before, context) {
    let lastRuns = true;
    const owed = await owing(`${args.what} may still run there.`, () => rest('target', args, context));
    if (owed.length > 0) lastRuns = false;
    await run(args, 'source', context);
    if (lastRuns) await handLastRuns(args, 'target', 'source', context);
    await putBack(args, before, context);
    return owed;
  },
};

const isMany = ({ jobs, workloads }: SideArgs) => jobs.of.length > 1 || workloads.length > 1;

function rights({ held, workloads, jobs, moved }: SideArgs): { source: Right[]; target: Right[] } {
  const both = [
    ...held.flatMap((it) => ['get', 'patch'].map((verb) => within(rightOn(verb, it.kind), it.namespace))),
    ...workloads.map((it) => within({ verb: 'list', group: '', resource: 'pods' }, it.namespace)),
    ...jobs.of.flatMap(({ namespace }) => [
      within(rightOn('list', 'Job.batch'), namespace),
      within({ ...rightOn('patch', 'CronJob.batch'), subresource: 'status' }, namespace),
    ]),
  ];
  return {
    source: [
      ...both,
      ...(moved ? RIGHTS_OF_REST : []),
      ...jobs.namespaces.map((it) => within(rightOn('list', 'Job.batch'), it)),
    ],
    target: both,
  };
}

const within = (right: Right, namespace: string | undefined): Right =>
  namespace === undefined ? right : { ...right, namespace };

async function mustGet(cluster: Cluster, ref: ObjectRef): Promise<KubeObject> {
  const found = await cluster.get(ref);
  if (found) return found;
  throw new MigrateError('WORKLOAD_MISSING', {
    what: `The ${cluster.side} has no ${about(ref.kind, ref)}.`,
    why: 'What changes sides must be on both.',
    fix: 'Bring it there first, or take it out of the playbook and make a new plan.',
  });
}

function recordedOf({ path }: Held, object: KubeObject): Recorded {
  let here: unknown = object;
  for (const [index, key] of path.entries()) {
    if (Array.isArray(here)) throw unfit(path, object);
    const next = here !== null && typeof here === 'object' ? (here as Record<string, unknown>)[key] : undefined;
    if (next === undefined || next === null) return { absent: index };
    if (index < path.length - 1 && typeof next !== 'object') throw unfit(path, object);
    here = next;
  }
  return { value: here };
}

const unfit = (path: readonly string[], { kind, metadata }: KubeObject) =>
  new MigrateError('SIDE_UNFIT', {
    what: `${about(kind, metadata)} has no field ${path.join('.')} that could be set: a list or a plain value is in its way.`,
    why: 'Only fields of maps can be set and put back exactly.',
    fix: 'Name another field in the playbook, or a program (`run`, `back`); then make a new plan.',
  });

const isStopped = ({ stopped }: Held, it: Recorded | undefined): boolean =>
  it !== undefined && 'value' in it && it.value === stopped;

const told = (it: Recorded | undefined): string => (it && 'value' in it ? JSON.stringify(it.value) : 'absent');

/** What the target gets: what the source had before any step of the plan stopped it. */
const wokenBy = (held: Held, source: Recorded | undefined): Recorded =>
  held.planned !== undefined && isStopped(held, source)
    ? { value: held.planned }
    : (source ?? { absent: held.path.length - 1 });

/** Asleep on that side, and seen so. What is not there has nothing to be woken from. */
async function rest(side: Side, args: SideArgs, context: StepContext): Promise<void> {
  const cluster = context.world[side];
  for (const it of args.held) {
    const live = await cluster.get(it);
    if (live && !isStopped(it, recordedOf(it, live))) await cluster.patch(it, patchAt(it.path, it.stopped));
  }
  if (args.workloads.length > 0) await untilGone(side, args, context);
  if (args.jobs.of.length > 0) await context.world.clock.sleep(SEEN_WITHIN_MS);
  await untilJobsEnd(side, args, context);
}

async function untilGone(side: Side, { workloads }: SideArgs, context: StepContext): Promise<void> {
  const cluster = context.world[side];
  await until(
    context,
    {
      code: 'WORKLOAD_NOT_SETTLED',
      deadlineMs: PODS_WITHIN_MS,
      subject: `Workloads on the ${side}`,
      why: 'A pod that is ending still works: nothing is started on the other side before it is gone.',
      fix: `Look at it on the ${side} (kubectl describe pod), then run again.`,
    },
    async () => {
      for (const ref of workloads) {
        const workload = await cluster.get(ref);
        if (!workload) continue;
        const { observedGeneration = 0 } = workload['status'] ?? {};
        if (observedGeneration < (workload.metadata.generation ?? 0))
          return `${pathOf(ref)} is not seen by its controller yet`;
        const left = await podsOf(cluster, workload);
        if (left > 0) return `${count(left, 'pod')} of ${pathOf(ref)} still ending`;
      }
      return undefined;
    },
  );
}

interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

/** What has come to its end works no more, and may stay for long. */
async function podsOf(cluster: Cluster, workload: KubeObject): Promise<number> {
  const { matchLabels = {}, matchExpressions = [] } = (workload['spec']?.selector ?? {}) as Selector;
  const words: Record<string, (key: string, values: string) => string> = {
    In: (key, values) => `${key} in (${values})`,
    NotIn: (key, values) => `${key} notin (${values})`,
    Exists: (key) => key,
    DoesNotExist: (key) => `!${key}`,
  };
  const labels = [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.flatMap((it) => words[it.operator]?.(it.key, (it.values ?? []).join(',')) ?? []),
  ].join(',');
  const pods = await cluster.list('Pod', { namespace: workload.metadata.namespace ?? '', labels });
  return pods.filter((it) => !['Succeeded', 'Failed'].includes(String(it['status']?.phase))).length;
}

async function untilJobsEnd(side: Side, args: SideArgs, context: StepContext): Promise<void> {
  const { jobs } = args;
  const namespaces = [
    ...new Set([...jobs.of.map((it) => it.namespace), ...(side === 'source' ? jobs.namespaces : [])]),
  ];
  if (namespaces.length === 0) return;
  const left = async (): Promise<string[]> => {
    const lists = await Promise.all(namespaces.map((it) => context.world[side].list('Job.batch', { namespace: it })));
    return lists.flat().flatMap((it) => (isUnderWay(it) && isMeant(it, side, args) ? [pathOf(it.metadata)] : []));
  };
  if (jobs.policy === 'leave') {
    const names = await left();
    if (names.length > 0)
      context.emit({
        type: 'warning',
        what: `${names.length === 1 ? 'Job' : 'Jobs'} ${few(names)} still ${names.length === 1 ? 'runs' : 'run'} on the ${side}, and ${names.length === 1 ? 'goes' : 'go'} on there.`,
        fix: 'The playbook leaves Jobs where they run (`data.jobs`).',
      });
    return;
  }
  await until(
    context,
    {
      code: 'JOBS_STILL_RUN',
      deadlineMs: jobs.withinMs,
      subject: `Jobs on the ${side}`,
      why: 'A Job is neither copied nor killed, and its CronJob is not woken on the other side while it runs.',
      fix: 'Wait for it or delete it, then run again; or set `data.jobs: leave` or a longer `data.jobsWithin` and make a new plan.',
    },
    async () => {
      const names = await left();
      return names.length === 0 ? undefined : `${few(names)} still ${names.length === 1 ? 'runs' : 'run'}`;
    },
  );
}

const few = (names: readonly string[]) =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');

function isMeant(job: KubeObject, side: Side, { jobs }: SideArgs): boolean {
  const { namespace = '' } = job.metadata;
  const owner = ownerOf(job);
  if (owner !== undefined) return jobs.of.some((it) => it.namespace === namespace && it.name === owner);
  return side === 'source' && jobs.namespaces.includes(namespace);
}

/** The operator's program is told which side is to be active, between the rest of the one and the waking of the other. */
async function run({ what, program }: SideArgs, active: Side, { world }: StepContext): Promise<void> {
  if (!program) return;
  await world.programs.run(
    active === 'target' ? program.run : program.back,
    { verb: 'one-side', name: what, active },
    PROGRAM_WITHIN_MS,
  );
}

const PROGRAM_WITHIN_MS = 10 * 60_000;

/**
 * A CronJob makes up for the runs that it missed since the last one that it knows of, and a restored one knows of none. So the last time is
 * handed over: no run happens on both sides, and one that fell due meanwhile happens once.
 *
 * @source kubernetes/kubernetes:pkg/controller/cronjob/utils.go (mostRecentScheduleTime: lastScheduleTime, else creationTimestamp)
 */
async function handLastRuns({ jobs }: SideArgs, from: Side, to: Side, { world }: StepContext): Promise<void> {
  for (const job of jobs.of) {
    const ref = { kind: 'CronJob.batch', ...job };
    const [here, there] = await Promise.all([world[from].get(ref), world[to].get(ref)]);
    const last: unknown = here?.['status']?.lastScheduleTime;
    const known: unknown = there?.['status']?.lastScheduleTime;
    if (!there || typeof last !== 'string' || (typeof known === 'string' && Date.parse(known) >= Date.parse(last)))
      continue;
    await world[to].patch({ ...ref, subresource: 'status' }, { status: { lastScheduleTime: last } });
  }
}

async function wake(side: Side, { held }: SideArgs, before: SideBefore, { world }: StepContext): Promise<void> {
  for (const [index, it] of held.entries()) {
    const live = recordedOf(it, await mustGet(world[side], it));
    // Woken by a run before this one: what has changed since is others' doing.
    if (isStopped(it, live)) await set(world[side], it, wokenBy(it, before.source[index]));
  }
}

/** A field that was absent goes again, with the maps above it that came with it and hold nothing else. */
async function set(cluster: Cluster, held: Held, wanted: Recorded): Promise<void> {
  if ('value' in wanted) {
    await cluster.patch(held, patchAt(held.path, wanted.value));
    return;
  }
  const object = await mustGet(cluster, held);
  let depth = held.path.length;
  while (depth - 1 > wanted.absent && keysAt(object, held.path.slice(0, depth - 1)) <= 1) depth--;
  await cluster.patch(held, patchAt(held.path.slice(0, depth), null));
}

function keysAt(object: KubeObject, path: readonly string[]): number {
  const found = path.reduce<unknown>((it, key) => (it as Record<string, unknown> | undefined)?.[key], object);
  return found !== null && typeof found === 'object' ? Object.keys(found).length : 0;
}

async function untilUp({ workloads, scaled, held }: SideArgs, before: SideBefore, context: StepContext): Promise<void> {
  const wanted = held.map((it, index) => wokenBy(it, before.source[index]));
  // Rested before: there is nothing to come up. And with KEDA there may be no work for a pod.
  if (workloads.length === 0 || scaled || held.every((it, index) => isStopped(it, wanted[index]))) return;
  const { target } = context.world;
  await until(
    context,
    {
      code: 'WORKLOAD_NOT_SETTLED',
      deadlineMs: PODS_WITHIN_MS,
      subject: 'Workloads on the target',
      why: 'Its pods do not become ready there.',
      fix: 'Look at them on the target (kubectl describe pod), then run again: the source has it meanwhile.',
    },
    async () => {
      for (const ref of workloads) {
        const { spec = {}, status = {}, metadata } = await mustGet(target, ref);
        const asked = Number(status.desiredNumberScheduled ?? spec.replicas ?? 1);
        const ready = Number(status.numberReady ?? status.readyReplicas ?? 0);
        if (Number(status.observedGeneration ?? 0) < (metadata.generation ?? 0))
          return `${pathOf(ref)} is not seen by its controller yet`;
        if (ready < asked || asked === 0) return `${pathOf(ref)} has ${ready} of ${asked} ready`;
      }
      return undefined;
    },
  );
}

/** Neither a server that does not answer, who knows for how long, nor a process that is dying. */
const isFinal = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'Interrupted' || (error instanceof MigrateError && !error.retryable));

/** Better late on the source than on neither side; what came of it is in the error that follows. */
async function wokenAgain(args: SideArgs, before: SideBefore, context: StepContext): Promise<void> {
  try {
    const patient = { ...context, stopping: () => false };
    await rest('target', { ...args, jobs: { ...args.jobs, of: [], namespaces: [] } }, patient);
    await run(args, 'source', patient);
    await putBack(args, before, patient);
  } catch (error) {
    context.emit({
      type: 'warning',
      what: `${args.what} may rest on both sides: ${error instanceof MigrateError ? error.what : String(error)}`,
      fix: 'Go on with `migrate run`, or back with `migrate rollback`: both end with it awake on one side.',
    });
  }
}

/** Exactly what was recorded, where the value is still ours: what somebody else has set since is left, and named. */
async function putBack({ held }: SideArgs, { source }: SideBefore, { world, emit }: StepContext): Promise<void> {
  for (const [index, it] of held.entries()) {
    const was = source[index];
    const live = await world.source.get(it);
    if (!was || !live) continue;
    const now = recordedOf(it, live);
    if (isStopped(it, now)) {
      if (!isStopped(it, was)) await set(world.source, it, was);
    } else if (told(now) !== told(was)) {
      emit({
        type: 'warning',
        what: `The source's ${about(it.kind, it)} has ${it.path.join('.')} ${told(now)}: not ours, so it was left; before it was ${told(was)}.`,
        fix: 'Set it as it should be.',
      });
    }
  }
}

const changed = (side: Side, it: Held, saw: string) =>
  new MigrateError('SIDE_CHANGED', {
    what: `The ${side}'s ${about(it.kind, it)} was changed meanwhile: ${saw}.`,
    why: 'Something (GitOps, an operator, an autoscaler) undoes what was written.',
    fix: 'Change it at its source or pause that (an entry of `data.oneSide` can), then run again: it must not be awake on both sides.',
  });
