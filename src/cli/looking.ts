import { checks } from '../../checks/index.js';
import type { Route } from '../router.js';
import { routers } from '../routers/index.js';
import type { Check } from '../check.js';
import { askDatabases } from '../database-fit.js';
import { dryRunOn } from '../dry-run.js';
import { MigrateError } from '../errors.js';
import type { PlanRow, SideLine } from '../events.js';
import { gatherEvidence } from '../evidence.js';
import type { DatabaseSeen, Inventory, Manifests } from '../inventory.js';
import { askRights, takeInventory } from '../look.js';
import { makePlan, needsTake, planTakes, rightsNeeded, type Plan } from '../plan.js';
import type { Playbook } from '../playbook.js';
import type { Tap, World } from '../ports.js';
import { previewOf, reasonsIn, type Preview } from '../preview.js';
import { askAll, type Heard, type Report } from '../preflight.js';
import { probeSides, ProbeStopped, type ProbeOptions } from '../probe.js';
import type { StepKinds } from '../step.js';
import { stepKinds } from '../steps/index.js';
import { survey } from '../survey.js';
import { tight } from '../tight.js';
import { counting, open, PATIENCE_LOOKING, type Act, type CommonOptions } from './act.js';
import { capturedCloud, capturedCluster, type Captured } from './captured.js';
import { compareReports, fails, type FailOn } from './choosing.js';
import { endedBy, NOTHING } from './ending.js';
import { writeWhole } from './session.js';

/** The commands that only look: preflight, inventory, plan, and the look that every command that acts begins with. */

export interface Looked {
  inventory: Inventory;
  plan?: Plan;
  /** why there is no plan; preflight tells all the rest nevertheless */
  planError?: MigrateError;
  report: Report;
}

/** One look at everything, a plan if there can be one, and all checks asked. */
export const look = (playbook: Playbook, world: World, options: LookOptions = {}): Promise<Looked> =>
  tight(() => lookAround(playbook, world, options));

async function lookAround(
  playbook: Playbook,
  world: World,
  { manifests, asked = checks, captured = {}, probe, planned = true }: LookOptions,
): Promise<Looked> {
  const probes = probe && (await probeSides(world, probe));
  const databases = await databasesFor(playbook, world, asked);
  const { inventory, heard } = await survey(
    playbook,
    world,
    asked,
    planned ? planTakes(playbook) : needsTake(playbook),
  );
  const seen = await withAnswers(playbook, { ...inventory, ...captured }, world, { asked, captured });
  const told = { ...seen, ...(probes && { probes }), ...(databases && { databases }) };
  const { plan, ...looked } = await judge(playbook, withManifests(told, manifests), {
    asked,
    world,
    ...(heard && { heard }),
  });
  return planned && plan ? { ...looked, plan } : looked;
}

export interface LookOptions {
  manifests?: Manifests | undefined;
  /** a workload is started on both sides, and removed; undefined: nothing is */
  probe?: ProbeOptions | undefined;
  /** all by default */
  asked?: readonly Check[];
  /** false: all that is wanted of a plan is which rights it needs, which takes less to tell */
  planned?: boolean;
  /** sides that come from a file; the world's port for such a side answers from it */
  captured?: Captured;
}

/** Servers that no inventory has: they are asked by what wants to know of them, and of a captured world too. */
async function databasesFor(
  { data }: Playbook,
  world: World,
  asked: readonly Check[] = checks,
): Promise<DatabaseSeen[] | undefined> {
  if (!data || data.databases.length === 0 || !asked.some((it) => it.reads.databases)) return undefined;
  return askDatabases(data.databases, world);
}

/** What only matters to objects that move: other witnesses of their versions, and what the target says to them. */
async function withAnswers(
  playbook: Playbook,
  seen: Inventory,
  world: World,
  { asked = checks, captured = {} }: Pick<LookOptions, 'asked' | 'captured'> = {},
): Promise<Inventory> {
  if (!playbook.data) return seen;
  // A file answers only what it was asked when it was captured.
  const [evidence, dryRun] = await Promise.all([
    captured.source ? undefined : gatherEvidence(world.source, playbook.data.namespaces),
    captured.source || captured.target || !asked.some((it) => it.id === 'dry-run')
      ? undefined
      : dryRunOn(world, playbook, seen),
  ]);
  return {
    ...seen,
    source: { ...seen.source, ...(evidence && { evidence }) },
    target: { ...seen.target, ...(dryRun && { dryRun }) },
  };
}

const withManifests = (seen: Inventory, manifests: Manifests | undefined): Inventory =>
  manifests ? { ...seen, source: { ...seen.source, evidence: { ...seen.source.evidence, manifests } } } : seen;

async function judge(
  playbook: Playbook,
  seen: Inventory,
  { asked = checks, world, heard }: { asked?: readonly Check[]; world?: World; heard?: Heard } = {},
): Promise<Looked> {
  let plan: Plan | undefined;
  let planError: MigrateError | undefined;
  try {
    plan = makePlan(playbook, seen, routers);
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error;
    planError = error;
  }
  const needs = plan ? rightsNeeded(plan, stepKinds, seen) : { source: [], target: [] };
  const inventory = world ? await askRights(seen, world, needs) : seen;
  const today = inventory.takenAt.slice(0, 10);
  return {
    inventory,
    report: askAll(asked, { playbook, inventory, today, needs }, heard),
    ...(plan && { plan }),
    ...(planError && { planError }),
  };
}

const sideLine = ({ context, version, objects }: Inventory['source']): SideLine => ({
  context,
  version,
  nodes: (objects['Node'] ?? []).length,
});

export const preflightEvent = ({ report, inventory }: Looked, tookMs: number, calls: number) => ({
  type: 'preflight' as const,
  report,
  source: sideLine(inventory.source),
  target: sideLine(inventory.target),
  tookMs,
  calls,
});

export function planRows(plan: Plan, kinds: StepKinds): PlanRow[] {
  return plan.steps.map((step) => {
    const kind = kinds.get(step.kind);
    const share = plan.shares.find((it) => it.step === step.id);
    return {
      step: step.id,
      phase: step.phase,
      does: kind?.title(step.args) ?? step.kind,
      wayBack: kind?.wayBack(step.args) ?? '',
      ...(step.noReturn !== undefined && { noReturn: step.noReturn }),
      ...(share && { asked: share.asked, reachable: share.reachable, how: share.how }),
    };
  });
}

export interface PreflightOptions extends CommonOptions {
  /** both sides and the cloud from one file */
  inventory?: Inventory;
  captured?: Captured;
  manifests?: Manifests;
  /** the image of a workload to start on both sides */
  probe?: string;
  asked?: readonly Check[];
  /** checks that were left out by name */
  leftOut?: number;
  /** an earlier report, to tell what is new */
  last?: Report;
  failOn?: FailOn;
}

/** For images to be pulled on two sides. */
const PROBE_PATIENCE_MS = 120_000;

export const preflightAct: Act<PreflightOptions> = async (options, io) => {
  const began = performance.now();
  const { tap, counter } = counting(options.onCall);
  try {
    const {
      playbook,
      inventory,
      manifests,
      probe,
      asked,
      captured = {},
      last,
      leftOut = 0,
      failOn = 'unknown',
    } = options;
    const looked = inventory
      ? await judge(playbook, withManifests(inventory, manifests), { ...(asked && { asked }) })
      : await look(playbook, await openSides(options, tap, captured), {
          manifests,
          captured,
          planned: false,
          ...(asked && { asked }),
          ...(probe !== undefined && { probe: { image: probe, patienceMs: PROBE_PATIENCE_MS, stopping: io.stopping } }),
        });
    const tookMs = performance.now() - began;
    const extra = {
      ...(last && { diff: compareReports(last, looked.report) }),
      ...(leftOut > 0 && { leftOut }),
      ...(counter.writes > 0 && { wrote: counter.writes }),
    };
    io.emit({ ...preflightEvent(looked, tookMs, counter.reads), ...extra });
    if (looked.planError) return endedBy(looked.planError, io.emit, { touched: false, now: NOTHING });
    const { results } = looked.report;
    const bad = fails(looked.report, failOn);
    const first =
      results.find((it) => it.outcome === 'refuse' || it.outcome === 'unknown') ??
      results.find((it) => it.outcome === 'warn');
    return {
      type: 'ended',
      outcome: bad ? 'refused' : 'done',
      exit: bad ? 1 : 0,
      tookMs,
      calls: counter,
      next: bad ? `migrate explain ${first?.check ?? ''}`.trim() : 'migrate plan, then migrate rehearse',
    };
  } catch (error) {
    if (error instanceof ProbeStopped)
      return { type: 'ended', outcome: 'interrupted', exit: 130, calls: counter, next: 'migrate preflight' };
    return endedBy(error, io.emit, { touched: false, now: NOTHING });
  }
};

/** The world, with a file in place of a side that was captured: then only the other side is looked at. */
async function openSides(options: CommonOptions, tap: Tap, captured: Captured): Promise<World> {
  const files = {
    ...(captured.source && { source: capturedCluster('source', captured.source) }),
    ...(captured.target && { target: capturedCluster('target', captured.target) }),
  };
  const world = await open(options, tap, PATIENCE_LOOKING, files);
  return captured.cloud === undefined
    ? world
    : { ...world, cloud: { ...world.cloud, ...capturedCloud(captured.cloud) } };
}

export const inventoryAct: Act<CommonOptions & { output: string }> = async (options, io) => {
  const { tap, counter } = counting(options.onCall);
  try {
    const world = await open(options, tap, PATIENCE_LOOKING);
    // Whole, unlike what preflight holds: rehearsals start from it, and other checks may be asked of it.
    const seen = await withAnswers(options.playbook, await takeInventory(options.playbook, world, checks), world);
    const databases = await databasesFor(options.playbook, world);
    const { inventory } = await judge(options.playbook, { ...seen, ...(databases && { databases }) }, { world });
    writeWhole(options.output, `${JSON.stringify(inventory, undefined, 1)}\n`);
    for (const side of ['source', 'target'] as const) {
      for (const { kind, why } of inventory[side].unseen)
        io.emit({ type: 'warning', what: `${side}: ${kind} could not be read: ${why}` });
    }
    return {
      type: 'ended',
      outcome: 'done',
      exit: 0,
      calls: counter,
      output: options.output,
      next: `migrate preflight --inventory ${options.output}, or migrate rehearse --inventory ${options.output}`,
    };
  } catch (error) {
    return endedBy(error, io.emit, { touched: false, now: NOTHING });
  }
};

export const planAct: Act<CommonOptions & { output?: string; inventory?: Inventory; preview?: boolean }> = async (
  options,
  io,
) => {
  const { tap, counter } = counting(options.onCall);
  try {
    const world = options.inventory && !options.preview ? undefined : await open(options, tap, PATIENCE_LOOKING);
    const inventory = options.inventory ?? (await takeInventory(options.playbook, world as World, checks));
    const plan = makePlan(options.playbook, inventory, routers);
    io.emit({ type: 'plan', plan, rows: planRows(plan, stepKinds) });
    if (options.output !== undefined) writeWhole(options.output, `${JSON.stringify(plan, undefined, 2)}\n`);
    if (options.preview && world) {
      const preview = await previewOf(world, options.playbook, inventory);
      io.emit({ type: 'preview', preview });
      mustBeTakenAll(preview);
    }
    return {
      type: 'ended',
      outcome: 'done',
      exit: 0,
      calls: counter,
      digest: plan.digest,
      next: `migrate rehearse, then migrate run${options.output === undefined ? '' : ` ${options.output}`}`,
      ...(options.output !== undefined && { output: options.output }),
    };
  } catch (error) {
    return endedBy(error, io.emit, { touched: false, now: NOTHING });
  }
};

/** @throws MigrateError PREVIEW_REFUSES */
function mustBeTakenAll(preview: Preview): void {
  const bad = preview.counts.refuse + preview.counts.unknown;
  if (bad === 0) return;
  throw new MigrateError('PREVIEW_REFUSES', {
    what: `${preview.counts.refuse} of ${preview.rows.length} objects would be refused${reasonsIn(preview) ? ` (${reasonsIn(preview)})` : ''}, ${preview.counts.unknown} could not be asked about.`,
    why: 'Each was put to the target as it would arrive, by a create that keeps nothing.',
    fix: 'Mend the reasons above, or name objects that may stay behind under `data.leaveOut` (with `apps: converted`).',
  });
}

/** All checks before the first write. @throws MigrateError NOT_READY */
export function mustBeReady(report: Report): void {
  if (report.ready) return;
  const bad = report.results.filter((it) => it.outcome === 'refuse' || it.outcome === 'unknown').map((it) => it.check);
  throw new MigrateError('NOT_READY', {
    what: `Preflight is not ready: ${bad.join(', ')}.`,
    why: 'Something works in the source and would break in the target, or could not be seen. Unknown is never taken for fine.',
    fix: `migrate explain ${bad[0] ?? ''}; mend it, or waive it in the playbook with owner and date.`,
  });
}

export const routesIn = (plan: Plan): Route[] => [
  ...new Map(
    plan.steps.flatMap((it) => (it.args as { route?: Route }).route ?? []).map((it) => [it.service, it]),
  ).values(),
];
