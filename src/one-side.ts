import type { ClusterInventory, Inventory } from './inventory.js';
import { MigrateError } from './errors.js';
import type { NamedRule } from './modifiers.js';
import { kindOf, pathOf, splitKind } from './objects.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { Kind, KubeObject, ObjectRef } from './ports.js';
import type { Moved, QuiesceArgs, ScaleArgs } from './args.js';
import { idOf, labelOf, splitObject, workloadsIn, type SideEntry } from './side-entry.js';
import type { Step } from './step.js';
import { count } from './words.js';

/**
 * What may be active on one side alone, whatever the weights say: CronJobs, consumers of a queue, what writes DNS records or asks for
 * certificates, operators. What each entry of `data.oneSide` holds, how it arrives, and the steps that change its side.
 */

/** One field by which something is stopped. */
export interface Held extends ObjectRef {
  path: string[];
  /** the value that stops it */
  stopped: unknown;
  /** what the source had when the plan was made, where an earlier step of the plan stops it there */
  planned?: unknown;
}

export interface SideArgs {
  /** how it is called: `deployment shop/consumer` */
  what: string;
  /** set in this order to stop, and in the same order to start: what scales a workload comes before the workload */
  held: Held[];
  /** whose pods must be gone, and are waited for where it starts */
  workloads: ObjectRef[];
  /** something else decides how many pods a workload has */
  scaled?: true;
  jobs: {
    policy: PlaybookData['jobs'];
    withinMs: number;
    /** those of these CronJobs */
    of: { namespace: string; name: string }[];
    /** all others in these */
    namespaces: string[];
  };
  program?: { run: string[]; back: string[] };
  /** what came over of those that rest since an earlier step, where nobody on the source may have it any more when they wake */
  moved?: Moved;
}

/** `metadata.annotations[a.b/c]` → its keys */
const keysOf = (path: string): string[] =>
  [...path.matchAll(/\[([^\]]+)\]|[^.[\]]+/g)].map(([whole, inside]) => inside ?? whole);

/**
 * Where each kind has its switch; `spec.suspend` where nothing else is known.
 *
 * @source kedacore/keda:apis/keda/v1alpha1/scaledobject_types.go (PausedReplicasAnnotation, PausedAnnotation), vmware-tanzu/velero:config/crd/v1
 *         (schedules), https://argo-cd.readthedocs.io/en/stable/user-guide/skip_reconcile/,
 *         https://fluxcd.io/flux/components/kustomize/kustomizations/#suspend
 */
const SWITCHES: Readonly<Record<Kind, { path: string; stopped: unknown }>> = {
  'Schedule.velero.io': { path: 'spec.paused', stopped: true },
  'ScaledObject.keda.sh': { path: 'metadata.annotations[autoscaling.keda.sh/paused-replicas]', stopped: '0' },
  'ScaledJob.keda.sh': { path: 'metadata.annotations[autoscaling.keda.sh/paused]', stopped: 'true' },
  'Application.argoproj.io': { path: 'metadata.annotations[argocd.argoproj.io/skip-reconcile]', stopped: 'true' },
};
const USUAL = { path: 'spec.suspend', stopped: true };

const CRON_JOB = 'CronJob.batch';
const SCALER = 'ScaledObject.keda.sh';
const WORKLOADS: Readonly<Record<string, Kind>> = {
  deployment: 'Deployment.apps',
  statefulset: 'StatefulSet.apps',
  daemonset: 'DaemonSet.apps',
};

/**
 * A DaemonSet has no number of pods: it is stopped by a node label that no node has.
 * @source https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#running-pods-on-select-nodes
 */
const NOWHERE = ['spec', 'template', 'spec', 'nodeSelector', 'migrate/one-side'];

const heldWorkload = (ref: ObjectRef): Held =>
  ref.kind === 'DaemonSet.apps'
    ? { ...ref, path: NOWHERE, stopped: 'elsewhere' }
    : { ...ref, path: ['spec', 'replicas'], stopped: 0 };

const heldCronJob = (it: { namespace: string; name: string }): Held => ({
  kind: CRON_JOB,
  ...it,
  path: ['spec', 'suspend'],
  stopped: true,
});

const workloadOf = (text: string): ObjectRef => {
  const { word, ...where } = splitObject(text);
  return { kind: WORKLOADS[word] ?? word, ...where };
};

/** `Deployment.apps shop/consumer`: workloads that start on the target with their entry, and no earlier. */
export const heldWorkloads = ({ data }: Pick<Playbook, 'data'>): ReadonlySet<string> =>
  new Set(
    (data?.oneSide ?? [])
      .flatMap(workloadsIn)
      .map(workloadOf)
      .map((it) => `${it.kind} ${pathOf(it)}`),
  );

/** @throws MigrateError PLAN_SIDE_UNFIT */
function refOf(text: string, { source, target }: Inventory): ObjectRef {
  const { word, ...where } = splitObject(text);
  const [short = '', ...group] = word.split('.');
  const matching = (side: ClusterInventory) =>
    side.served.filter(
      (it) =>
        (it.kind.toLowerCase() === short || it.resource === short) &&
        (group.length === 0 ? ['', 'apps', 'batch'].includes(it.group) : it.group === group.join('.')),
    );
  const [found] = matching(source);
  if (!found)
    throw unfit(
      text,
      'the source serves no such kind',
      'Write the kind with its group, e.g. `issuer.cert-manager.io`.',
    );
  if (matching(target).length === 0)
    throw unfit(text, 'the target serves no such kind', 'Bring its definition there first, or leave the entry out.');
  if (found.namespaced !== (where.namespace !== undefined))
    throw unfit(
      text,
      found.namespaced ? 'it has no namespace' : 'its kind has no namespaces',
      found.namespaced ? 'Write NAMESPACE/NAME.' : 'Write its name alone.',
    );
  return { kind: found.group ? `${found.kind}.${found.group}` : found.kind, ...where };
}

const unfit = (entry: string, why: string, fix: string) =>
  new MigrateError('PLAN_SIDE_UNFIT', {
    what: `Entry "${entry}" of data.oneSide can't change sides: ${why}.`,
    why: 'What is active on one side alone is stopped there first and then started here: it must be known on both.',
    fix,
  });

/** @throws MigrateError PLAN_SIDE_UNFIT */
function heldOf(entry: SideEntry, inventory: Inventory): Held[] {
  const { suspend, field, keptBy = [] } = entry;
  const workloads = workloadsIn(entry).flatMap((workload) => {
    const ref = workloadOf(workload);
    mustBeThere(workload, ref, inventory);
    return [...scalersOf(ref, inventory.source), heldWorkload(ref)];
  });
  if (workloads.length > 0) return [...keptBy.map((it) => switchOf(it, inventory)), ...workloads];
  if (suspend !== undefined) return [switchOf(suspend, inventory)];
  if (field === undefined) return [];
  return [{ ...switchOf(field.object, inventory), path: keysOf(field.path), stopped: field.stopped }];
}

/** @throws MigrateError PLAN_SIDE_UNFIT */
function switchOf(text: string, inventory: Inventory): Held {
  const ref = refOf(text, inventory);
  mustBeThere(text, ref, inventory);
  const { path, stopped } = SWITCHES[ref.kind] ?? USUAL;
  return { ...ref, path: keysOf(path), stopped };
}

/** As far as the look went: of namespaces beside the move it knows little. */
function mustBeThere(text: string, ref: ObjectRef, { source }: Inventory): void {
  const known = source.objects[ref.kind];
  if (!known || !known.some((it) => it.metadata.namespace === ref.namespace)) return;
  if (!known.some((it) => pathOf(it.metadata) === pathOf(ref)))
    throw unfit(text, 'the source has none of that name', 'Correct the name, or leave the entry out.');
}

/**
 * What would start a workload again: KEDA raises it from 0 as soon as there is work, so it is told to pause at 0 before. An autoscaler
 * without KEDA leaves a workload alone that has no replicas.
 *
 * @source kedacore/keda:apis/keda/v1alpha1/scaledobject_types.go; https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling
 */
function scalersOf(workload: ObjectRef, source: ClusterInventory): Held[] {
  const { path, stopped } = SWITCHES[SCALER] ?? USUAL;
  const word = splitKind(workload.kind).kind;
  return (source.objects[SCALER] ?? [])
    .filter(({ metadata, spec }) => {
      const { kind = 'Deployment', name } = (spec?.scaleTargetRef ?? {}) as { kind?: string; name?: string };
      return metadata.namespace === workload.namespace && kind === word && name === workload.name;
    })
    .map(({ metadata }) => ({
      kind: SCALER,
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      path: keysOf(path),
      stopped,
    }));
}

/**
 * Rules by which what changes sides arrives stopped, where the general ones do not see to it.
 *
 * @throws MigrateError PLAN_SIDE_UNFIT
 */
export function heldRules({ data }: Playbook, inventory: Inventory): NamedRule[] {
  if (!data) return [];
  const general = new Set([CRON_JOB, ...(data.arrive === 'stopped' ? ['Deployment.apps', 'StatefulSet.apps'] : [])]);
  return data.oneSide
    .flatMap((it) => heldOf(it, inventory))
    .filter(
      (it) =>
        it.namespace !== undefined &&
        data.namespaces.includes(it.namespace) &&
        !(general.has(it.kind) && ['replicas', 'suspend'].includes(it.path.at(-1) ?? '')),
    )
    .map((it) => ({
      name: 'data.oneSide',
      rule: {
        conditions: {
          groupResource: groupResourceOf(it.kind, inventory.source),
          resourceNameRegex: `^${it.name.replaceAll('.', String.raw`\.`)}$`,
          namespaces: [it.namespace ?? ''],
        },
        mergePatches: [{ patchData: JSON.stringify(patchAt(it.path, it.stopped)) }],
      },
    }));
}

function groupResourceOf(kind: Kind, side: ClusterInventory): string {
  const served = side.served.find((it) => kindOf({ apiVersion: `${it.group}/${it.version}`, kind: it.kind }) === kind);
  return served ? [served.resource, served.group].filter((it) => it !== '').join('.') : kind.toLowerCase();
}

/** A merge patch that sets one field. */
export const patchAt = (path: readonly string[], value: unknown): object =>
  path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object;

/** What sides are changed after. */
export interface Shares {
  routes: readonly {
    service: string;
    /** Infinity where it comes after all waves */
    wave: number;
    /** id of its last step */
    last: string;
    /** that step is at 100 % */
    atEnd: boolean;
  }[];
  /** steps that stop workloads on the source before */
  before: readonly Step[];
  /** ids that are waited for where no traffic moves */
  brought: readonly string[];
}

export interface SideSteps {
  /** with the wave after which each comes; Infinity after all */
  steps: { step: Step; wave: number }[];
  /** the CronJobs that no entry names, to come after all shares; and Jobs that run now, where nothing else waits for them */
  rest(after: readonly string[]): Step[];
  notes: string[];
}

/**
 * One step for each entry. What waits for one service or wave comes with it; the rest when all shares are at 100 %.
 *
 * @throws MigrateError PLAN_SIDE_UNFIT
 */
export function sideSteps({ data, traffic }: Playbook, inventory: Inventory, shares: Shares): SideSteps {
  const found: SideSteps = { steps: [], rest: () => [], notes: [] };
  if (!data) return found;
  const stopped = stoppedBefore(shares.before);
  const common = { policy: data.jobs, withinMs: data.jobsWithin };
  const atEnd = shares.routes.every((it) => it.atEnd);
  for (const entry of data.oneSide) {
    const what = labelOf(entry);
    const time = timeOf(entry, shares);
    if (!time.atEnd) {
      found.notes.push(`The last share before its time is below 100 %: ${what} stays with the source.`);
      continue;
    }
    const held = heldOf(entry, inventory).map((it) => withPlanned(it, inventory.source, stopped));
    if (held.some((it) => it.planned !== undefined))
      found.notes.push(`${what} rests from the copy of its disk until it changes sides.`);
    const args: SideArgs = {
      what,
      held,
      workloads: workloadsIn(entry).map(workloadOf),
      ...(held.some((it) => it.kind === SCALER) && { scaled: true }),
      jobs: {
        ...common,
        of: held.filter(isCronJob).map(({ namespace = '', name }) => ({ namespace, name })),
        namespaces: [],
      },
      ...(entry.run && entry.back && { program: { run: entry.run, back: entry.back } }),
      ...movedWith(held, shares.before),
    };
    found.steps.push({ step: stepOf(`traffic/side/${idOf(entry)}`, args, time.last), wave: time.wave });
  }

  const named = new Set(
    data.oneSide
      .flatMap((it) => (it.suspend === undefined ? [] : [refOf(it.suspend, inventory)]))
      .map((it) => `${it.kind} ${pathOf(it)}`),
  );
  const cronJobs = (inventory.source.objects[CRON_JOB] ?? []).filter(
    (it) => data.namespaces.includes(it.metadata.namespace ?? '') && !named.has(`${CRON_JOB} ${pathOf(it.metadata)}`),
  );
  if (cronJobs.length > 0 && !traffic)
    found.notes.push('No traffic moves: CronJobs stay with the source, but for those that data.oneSide names.');
  else if (cronJobs.length > 0 && !atEnd)
    found.notes.push('The last traffic step is below 100 %: CronJobs stay with the source.');
  const resting = traffic && atEnd ? [] : cronJobs.filter((it) => stopped.has(`${CRON_JOB} ${pathOf(it.metadata)}`));
  if (resting.length > 0)
    found.notes.push(
      `They rest on both sides, for their claims have moved: ${resting.map((it) => pathOf(it.metadata)).join(', ')}. Name them in data.oneSide, or wake them on the target by hand.`,
    );
  found.notes.push(...lateRuns(cronJobs, inventory, data));
  if (traffic && atEnd)
    found.rest = (after) => restSteps({ cronJobs, stopped, before: shares.before, common, data, inventory }, after);
  return found;
}

const isCronJob = (it: ObjectRef) => it.kind === CRON_JOB;

function timeOf(entry: SideEntry, { routes, brought }: Shares): { last: string[]; atEnd: boolean; wave: number } {
  const isAfterAll = entry.with === undefined && entry.wave === undefined;
  const waited = isAfterAll
    ? routes
    : routes.filter((it) => (entry.with === undefined ? it.wave === entry.wave : it.service === entry.with));
  return {
    last: routes.length === 0 ? [...brought] : waited.map((it) => it.last),
    atEnd: waited.every((it) => it.atEnd),
    wave: isAfterAll ? Infinity : Math.max(...waited.map((it) => it.wave)),
  };
}

/** `Deployment.apps shop/orders`: all that a step stops on the source for its disk. */
const stoppedBefore = (before: readonly Step[]): ReadonlySet<string> =>
  new Set(
    before.flatMap(({ kind, args }) => {
      const { side, workloads = [], cronJobs = [] } = args as Partial<Stopping>;
      if (kind !== 'quiesce' && side !== 'source') return [];
      return [...workloads, ...cronJobs.map((it) => ({ kind: CRON_JOB, ...it }))].map(
        (it) => `${it.kind} ${pathOf(it)}`,
      );
    }),
  );

interface Stopping extends Pick<ScaleArgs, 'side' | 'workloads'> {
  cronJobs: { namespace: string; name: string }[];
}

function withPlanned(held: Held, source: ClusterInventory, stopped: ReadonlySet<string>): Held {
  if (!stopped.has(`${held.kind} ${pathOf(held)}`)) return held;
  const found = source.objects[held.kind]?.find((it) => pathOf(it.metadata) === pathOf(held));
  const planned = held.kind === CRON_JOB ? found?.['spec']?.suspend === true : Number(found?.['spec']?.replicas ?? 1);
  return planned === held.stopped ? held : { ...held, planned };
}

/** Claims of those among them that an earlier step stopped for their disks or shares. */
function movedWith(held: readonly Held[], before: readonly Step[]): { moved?: Moved } {
  const resting = new Set(held.filter((it) => it.planned !== undefined).map((it) => `${it.kind} ${pathOf(it)}`));
  const groups = before
    .flatMap((it) => (it.kind === 'quiesce' ? [it.args as QuiesceArgs] : []))
    .filter(({ workloads, cronJobs }) =>
      [...workloads, ...cronJobs.map((it) => ({ kind: CRON_JOB, ...it }))].some((it) =>
        resting.has(`${it.kind} ${pathOf(it)}`),
      ),
    );
  if (groups.length === 0) return {};
  const shares = groups.flatMap((it) => it.shares ?? []);
  return {
    moved: {
      claims: groups.flatMap((it) => it.claims),
      ...(shares.length > 0 && { shares }),
      volumes: groups.flatMap((it) => it.volumes),
    },
  };
}

interface Rest {
  /** that no entry names */
  cronJobs: readonly KubeObject[];
  stopped: ReadonlySet<string>;
  before: readonly Step[];
  common: Pick<SideArgs['jobs'], 'policy' | 'withinMs'>;
  data: PlaybookData;
  inventory: Inventory;
}

function restSteps(
  { cronJobs, stopped, before, common, data, inventory: { source } }: Rest,
  after: readonly string[],
): Step[] {
  const jobs = cronJobs.map(({ metadata }) => ({ namespace: metadata.namespace ?? '', name: metadata.name }));
  const running = (source.objects['Job.batch'] ?? []).filter(
    (it) => data.namespaces.includes(it.metadata.namespace ?? '') && isUnderWay(it) && ownerOf(it) === undefined,
  );
  if (jobs.length === 0 && running.length === 0) return [];
  const held = jobs.map((it) => withPlanned(heldCronJob(it), source, stopped));
  const what =
    jobs.length === 0 ? 'Jobs' : jobs.length > 3 ? count(jobs.length, 'CronJob') : jobs.map(pathOf).join(', ');
  return [
    stepOf(
      jobs.length === 0 ? 'traffic/jobs' : 'traffic/cronjobs',
      {
        what,
        held,
        workloads: [],
        jobs: { ...common, of: jobs, namespaces: data.namespaces },
        ...movedWith(held, before),
      },
      after,
    ),
  ];
}

const stepOf = (id: string, args: SideArgs, after: readonly string[]): Step => ({
  id,
  kind: 'switch-side',
  phase: 'traffic',
  args,
  after: [...after],
});

/** Neither at its end nor told to wait. */
export const isUnderWay = (job: KubeObject): boolean =>
  job['spec']?.suspend !== true &&
  !((job['status']?.conditions ?? []) as { type: string; status: string }[]).some(
    (it) => (it.type === 'Complete' || it.type === 'Failed') && it.status === 'True',
  );

/** Name of the CronJob that made it. */
export const ownerOf = ({ metadata }: KubeObject): string | undefined =>
  metadata.ownerReferences?.find((it) => it.kind === 'CronJob')?.name;

/**
 * What becomes of runs that fall into the change: each is made up for on the target, once, unless it is late by more than the CronJob allows.
 *
 * @source kubernetes/kubernetes:pkg/controller/cronjob/utils.go (the most recent missed time since lastScheduleTime, within startingDeadlineSeconds)
 */
function lateRuns(cronJobs: readonly KubeObject[], { source }: Inventory, { oneSide }: PlaybookData): string[] {
  const named = new Set(oneSide.map((it) => it.suspend));
  const all = [
    ...cronJobs,
    ...(source.objects[CRON_JOB] ?? []).filter((it) => named.has(`cronjob ${pathOf(it.metadata)}`)),
  ];
  const strict = all.flatMap(({ metadata, spec }) => {
    const seconds: unknown = spec?.startingDeadlineSeconds;
    return spec?.suspend !== true && typeof seconds === 'number' && seconds < STRICT_S
      ? [`${pathOf(metadata)} (${seconds} s)`]
      : [];
  });
  return strict.length === 0
    ? []
    : [
        `A run that falls due while its CronJob changes sides starts late on the target, or not at all when it is later than its startingDeadlineSeconds: ${strict.join(', ')}.`,
      ];
}

/** Changing sides takes longer than that where a Job is waited for. */
const STRICT_S = 300;
