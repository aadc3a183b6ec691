import type { ClbSetting } from '../clb.js';
import type { Engine, RunOutcome } from '../engine.js';
import { MigrateError } from '../errors.js';
import type { Emit, EndedEvent } from '../events.js';
import type { Journal } from '../journal.js';
import type { Plan } from '../plan.js';
import { deadCluster } from '../kube/nobody.js';
import { SIDES, type Cluster, type Side, type World } from '../ports.js';
import { lossOf, lostBy, mustAcceptLoss, wayBackOf } from '../no-return.js';
import { rollback, toUndo, undoRecord } from '../rollback.js';
import { routers } from '../routers/index.js';
import { run } from '../run.js';
import type { Copy, Phase, Step } from '../step.js';
import { stepKinds } from '../steps/index.js';
import { routerOf, routesOf as routesOfPlaybook } from '../traffic.js';
import { count, nearest, points } from '../words.js';
import { counting, open, type Act, type CommonOptions, type Counter, type Io } from './act.js';
import { endedBy, NOTHING, routesOf, shareNow, whatServes } from './ending.js';
import { look, mustBeReady, preflightEvent } from './looking.js';
import { openSession, whoRuns, type Session } from './session.js';
import { asksFor, shiftPlan } from './shifting.js';
import { usage } from './usage.js';
import { watchingIn, type Watching } from './watching.js';
import { BOTH_STAY, isPastSource, routesPastSource, SOURCE_OWES } from './source-down.js';

/** The commands that write: run, shift, complete, rollback. */

/** How many steps run side by side. */
const SIDE_BY_SIDE = 8;

const sessionOf = (options: CommonOptions, readOnly = false): Session =>
  openSession(options.playbook.name, {
    readOnly,
    ...(options.stateDir !== undefined && { stateDir: options.stateDir }),
    ...(options.takeOver !== undefined && { takeOver: options.takeOver }),
  });

export interface RunOptions extends CommonOptions {
  /** made by `plan -o` and reviewed; the world must not have moved since */
  plan?: Plan;
  phases?: Phase[];
  /** ids of steps that may go on */
  approve?: string[];
}

export const runAct: Act<RunOptions> = (options, io) =>
  acting(options, io, async ({ world, session, engine, counter }) => {
    const phases = options.phases ?? ['data', 'traffic'];
    const resumed = session.journal.records().length > 0;
    const plan = resumed ? resumedPlan(session, options.plan) : await freshPlan(options, world, io.emit, counter);
    await mustBePinned(plan, world);
    const todo = plan.steps.filter(
      (it) => phases.includes(it.phase) && session.journal.record(it.id)?.state !== 'done',
    );
    if (todo.length === 0) return { plan, outcome: { outcome: 'done' } };
    if (
      !options.yes &&
      !(await io.confirm(
        `${resumed ? 'Go on with' : 'Start'} ${count(todo.length, 'step')} from ${plan.pins.source.context} to ${plan.pins.target.context}?${asksAgain(todo)}`,
      ))
    )
      return { plan, outcome: { outcome: 'interrupted' } };
    if (!resumed) session.savePlan(plan);
    openEntry(session.journal, 'run', plan, io.version);
    approveSteps(options.approve, plan, session.journal);
    io.emit({
      type: 'started',
      command: 'run',
      name: plan.name,
      digest: plan.digest,
      steps: todo.length,
      source: plan.pins.source.context,
      target: plan.pins.target.context,
      resumed,
    });
    return { plan, outcome: await run(plan, phases, engine) };
  });

/** Points of no return are asked about one by one, when they come. */
const asksAgain = (steps: readonly Step[]): string => {
  const marked = steps.filter((it) => it.noReturn !== undefined && it.phase !== 'complete');
  return marked.length === 0
    ? ''
    : ` ${count(marked.length, 'point')} of no return ${marked.length === 1 ? 'asks' : 'ask'} again: ${marked.map((it) => it.id).join(', ')}.`;
};

export interface ShiftOptions extends CommonOptions {
  /** percent */
  to: number;
  /** `namespace/name`; all of the playbook by default */
  service?: string;
  /** takes the playbook's steps on the way */
  stepwise?: boolean;
  /** ids of steps that may go on */
  approve?: string[];
  /** API server or controller of the source are dead */
  sourceDown?: boolean;
}

export const shiftAct: Act<ShiftOptions> = (options, io) =>
  acting(
    options,
    io,
    async (acting) => {
      const { world, session, engine } = acting;
      const known = options.sourceDown
        ? await knownPastSource(options, acting, io)
        : await knownNow(options, acting, io);
      const plan = await shiftPlan(options, known, session.journal, world);
      if (plan.steps.length === 0) return { plan, outcome: { outcome: 'done' } };
      if (
        !options.yes &&
        !(await io.confirm(
          `Move ${plan.steps.length === 1 ? 'one step' : `${plan.steps.length} steps`} to ${points(options.to)} %?`,
        ))
      )
        return { plan, outcome: { outcome: 'interrupted' } };
      openEntry(session.journal, 'shift', plan, io.version);
      approveSteps(options.approve, plan, session.journal);
      io.emit({
        type: 'started',
        command: 'shift',
        name: plan.name,
        digest: plan.digest,
        steps: plan.steps.length,
        source: plan.pins.source.context,
        target: plan.pins.target.context,
        resumed: false,
      });
      return { plan, outcome: await run(plan, ['traffic'], engine) };
    },
    undefined,
    options.sourceDown ? { source: deadCluster('source') } : {},
  );

type Known = Parameters<typeof shiftPlan>[1];

/** All checks of the traffic first. */
async function knownNow(options: ShiftOptions, { world, engine, counter }: Acting, io: Io): Promise<Known> {
  const { inventory, report } = await look({ ...options.playbook, data: undefined }, world);
  io.emit(preflightEvent({ inventory, report }, 0, counter.reads));
  mustBeReady(report);
  await dropHalfShifts(options.to, engine);
  const pin = ({ context, uid, version }: typeof inventory.source) => ({ context, uid, version });
  return {
    all: routesOfPlaybook(options.playbook, inventory, routers),
    pins: { source: pin(inventory.source), target: pin(inventory.target) },
    takenAt: inventory.takenAt,
  };
}

/** No check can be asked of a source that is dead; the target's capacity is, in the step itself. */
async function knownPastSource({ playbook }: ShiftOptions, { world, session }: Acting, io: Io): Promise<Known> {
  io.emit({
    type: 'warning',
    what: 'The source is taken for dead: no preflight, and its members are weighed at the load balancer, past its controller.',
    fix: 'When it answers again, its controller would write the old weights: see the last lines.',
  });
  const { uid, version } = await world.target.identify();
  const plan = session.plan();
  return {
    all: await routesPastSource(playbook, { journal: session.journal, plan }, world),
    pins: {
      source: plan?.pins.source ?? { context: playbook.source.context, uid: '', version: '' },
      target: { context: playbook.target.context, uid, version },
    },
    takenAt: new Date(world.clock.now()).toISOString(),
  };
}

/** A shift to another share that stopped half way goes back to where it began, before a new one is worked out from there. */
async function dropHalfShifts(to: number, engine: Engine): Promise<void> {
  for (const record of engine.journal.records().reverse()) {
    if (record.state !== 'done' && record.step.kind === 'shift' && !asksFor(record.step, to))
      await undoRecord(record, engine);
  }
}

export interface CompleteOptions extends CommonOptions {
  /** both sides stay, with the weights that they have */
  keepBoth?: boolean;
}

export const completeAct: Act<CompleteOptions> = (options, io) =>
  acting(options, io, async ({ world, session, engine }) => {
    const plan = session.plan();
    if (options.keepBoth) return await keepBoth(session, plan, world, io);
    const open =
      plan?.steps.filter((it) => it.phase !== 'complete' && session.journal.record(it.id)?.state !== 'done') ?? [];
    if (!plan || open.length > 0) {
      throw new MigrateError('NOT_COMPLETE', {
        what: plan
          ? `${open.length} steps are not done: ${open
              .slice(0, 5)
              .map((it) => it.id)
              .join(', ')}.`
          : 'No run of this playbook is there to complete.',
        why: 'Completing retires the source, which only makes sense once the target serves everything.',
        fix: plan ? 'Finish with `migrate run`, then soak, then complete.' : 'Start with `migrate run`.',
      });
    }
    await mustBePinned(plan, world);
    if (
      !options.yes &&
      !(await io.confirm(
        'This is the point of no return: the source leaves the load balancer and its workloads stop. Complete?',
      ))
    )
      return { plan, outcome: { outcome: 'interrupted' } };
    openEntry(session.journal, 'complete', plan, io.version);
    io.emit({
      type: 'started',
      command: 'complete',
      name: plan.name,
      digest: plan.digest,
      steps: plan.steps.filter((it) => it.phase === 'complete').length,
      source: plan.pins.source.context,
      target: plan.pins.target.context,
      resumed: false,
    });
    const outcome = await run(plan, ['complete'], engine);
    if (outcome.outcome === 'done') session.journal.write({ type: 'completed' });
    return { plan, outcome };
  });

/**
 * Two clusters for good, at whatever share they stand: nothing is written, and the run counts as complete.
 *
 * @throws MigrateError NOT_COMPLETE  no share was moved, or a step is half done
 */
async function keepBoth(
  { journal }: Session,
  plan: Plan | undefined,
  world: World,
  io: Io,
): Promise<{ plan?: Plan; outcome: RunOutcome }> {
  const records = journal.records();
  const half = records.filter((it) => it.state !== 'done').map((it) => it.step.id);
  if (half.length > 0 || !records.some((it) => it.step.kind === 'shift'))
    throw new MigrateError('NOT_COMPLETE', {
      what: half.length > 0 ? `Steps are half done: ${half.join(', ')}.` : 'No share was moved yet.',
      why: 'Both sides can stay as they are once they are somewhere on purpose.',
      fix:
        half.length > 0
          ? 'Finish them: `migrate run`, or go back: `migrate rollback`.'
          : 'Move it first: `migrate shift --to N`.',
    });
  for (const route of routesOf(journal)) {
    const { setting } = await routerOf(route, routers).read(route, world);
    if (SIDES.some((it) => (setting as Partial<ClbSetting>)[it]?.sum !== undefined))
      io.emit({
        type: 'warning',
        what: `Members of ${route.service} are weighed one by one: those that a scale-out brings later get what their controller works out.`,
        fix: 'After a scale-out: `migrate shift --to` the same share once more; or take a share that the Services can give.',
      });
  }
  journal.write({ type: 'completed', both: true });
  return { ...(plan && { plan }), outcome: { outcome: 'done' } };
}

/**
 * A dead target must not hold up the way back, not even where the target's weights are the only ones to be written: it is asked briefly, and
 * what it could not be told is owed.
 */
export const PATIENCE_BACK = { source: 60_000, target: 400 };

export interface RollbackOptions extends CommonOptions {
  /** id of the step that stays the last one done */
  to?: string;
  /** what the target wrote past a point of no return may be lost */
  acceptLoss?: boolean;
  /** snapshots, their copies and disks that we made go too; otherwise they are kept, and named */
  deleteCopies?: boolean;
}

export const rollbackAct: Act<RollbackOptions> = (options, io) =>
  acting(
    options,
    io,
    async ({ session, engine }) => {
      const units = toUndo(options.to, engine);
      const steps = units.flatMap((it) => it.records.map((record) => record.step.id));
      if (steps.length === 0 && session.journal.debts().length === 0) {
        io.emit({ type: 'warning', what: 'There is nothing to undo: the journal has no step that is begun or done.' });
        return { outcome: { outcome: 'done' } };
      }
      const undone = engine.journal.records().filter((it) => steps.includes(it.step.id));
      const stay: RunOutcome = { outcome: 'interrupted' };
      if (!options.yes && !(await io.confirm(`Undo ${count(steps.length, 'step')}, newest first?`)))
        return { outcome: stay };
      const lost = lostBy(undone);
      if (lost.length > 0 && !options.acceptLoss) {
        if (options.yes) mustAcceptLoss(lost);
        io.emit({ type: 'warning', what: lossOf(lost) });
        if (!(await io.confirm('Go back all the same, and lose what the target wrote since?')))
          return { outcome: stay };
      }
      const copies = undone.filter((it) => MAKES_COPIES.has(it.step.kind));
      const deletes =
        options.deleteCopies ??
        (!options.yes &&
          copies.length > 0 &&
          (await io.confirm(
            `Also delete the ${count(copies.length, 'copy', 'copies')} that we made (snapshots, disks)? No keeps them.`,
          )));
      const kept: Copy[] = [];
      io.emit({
        type: 'started',
        command: 'rollback',
        name: options.playbook.name,
        digest: '',
        steps: steps.length,
        source: options.playbook.source.context,
        target: options.playbook.target.context,
        resumed: false,
      });
      const outcome = await rollback(options.to, {
        ...engine,
        deletesCopies: deletes,
        kept: (copy) => void kept.push(copy),
      });
      if (kept.length > 0) io.emit({ type: 'warning', ...keptCopies(kept) });
      if (outcome.outcome === 'done' && session.journal.records().length === 0 && session.journal.debts().length === 0)
        session.archive();
      return { outcome };
    },
    PATIENCE_BACK,
  );

const MAKES_COPIES = new Set(['snapshot', 'copy-snapshot', 'create-disk']);

/** What was left in the cloud, and how it is found. */
function keptCopies(kept: readonly Copy[]): { what: string; fix: string } {
  const of = (what: Copy['what']) => kept.filter((it) => it.what === what);
  const said = (['disk', 'snapshot'] as const)
    .flatMap((what) => (of(what).length > 0 ? count(of(what).length, what) : []))
    .join(' and ');
  const regions = [...new Set(kept.map((it) => it.region))].sort().join(' and ');
  const marks = [...new Set(kept.map((it) => `migrate-plan=${it.mark}`))].join(', ');
  const disks = of('disk').map((it) => it.id);
  return {
    what: `${said} that we made are kept in ${regions}, with the tag ${marks}${disks.length > 0 ? `: ${disks.slice(0, 5).join(', ')}${disks.length > 5 ? ', …' : ''}` : ''}.`,
    fix: 'Delete them by that tag when nobody needs them. Snapshots go by themselves after `data.disks.keepSnapshots` days; `migrate rollback --delete-copies` would have deleted all.',
  };
}

interface Acting {
  world: World;
  session: Session;
  engine: Engine;
  counter: Counter;
}

/** The frame of every act that writes: lock, world, journal, and an end that says what serves now. */
async function acting(
  options: CommonOptions,
  io: Io,
  act: (acting: Acting) => Promise<{ plan?: Plan; outcome: RunOutcome }>,
  patienceMs: number | Record<'source' | 'target', number> = 60_000,
  clusters: Partial<Record<Side, Cluster>> = {},
): Promise<EndedEvent> {
  const began = performance.now();
  const { tap, counter } = counting(options.onCall);
  let session: Session | undefined;
  let watching: Watching | undefined;
  let world: World | undefined;
  try {
    // A kubeconfig that can't be read leaves nothing behind, not even a lock.
    world = await open(options, tap, patienceMs, clusters);
    session = sessionOf(options);
    watching = watchingIn(session.dir, io.emit);
    const engine: Engine = {
      world,
      journal: session.journal,
      kinds: stepKinds,
      emit: watching.emit,
      stopping: io.stopping,
      limit: SIDE_BY_SIDE,
      approve: oneByOne(async (question) => ((await io.approve?.(question)) ? signature() : undefined)),
    };
    const before = routesOf(session.journal);
    const { plan, outcome } = await act({ world, session, engine, counter });
    const services = [...new Map([...before, ...routesOf(session.journal)].map((it) => [it.service, it])).values()];
    const serving = await whatServes(world, services);
    if (outcome.outcome === 'stopped') {
      // A first step that refused before it began has left nothing in the journal, and nothing in the world.
      const touched = session.journal.records().length > 0;
      const where = touched
        ? {
            now: serving || 'see migrate status',
            next: nextAfterStop(outcome),
            back: wayBackOf(session.journal.records()),
          }
        : { now: serving || NOTHING };
      return {
        ...endedBy(outcome.error, io.emit, { touched, ...where }),
        calls: counter,
        tookMs: performance.now() - began,
      };
    }
    const interrupted = outcome.outcome === 'interrupted';
    return {
      type: 'ended',
      outcome: interrupted ? 'interrupted' : 'done',
      exit: interrupted ? 130 : 0,
      calls: counter,
      tookMs: performance.now() - began,
      ...(serving !== '' && { serving }),
      ...(await shareNow(world, session.journal)),
      ...nextAfter(session.journal, plan, interrupted),
    };
  } catch (error) {
    const touched = (session?.journal.records().length ?? 0) > 0;
    const serving = session ? await whatServes(world, routesOf(session.journal)) : '';
    return endedBy(error, io.emit, {
      touched,
      now: serving || (touched ? 'see migrate status' : NOTHING),
      ...(session && touched && { back: wayBackOf(session.journal.records()) }),
    });
  } finally {
    watching?.close();
    session?.close();
  }
}

const signature = () => {
  const { owner, host } = whoRuns();
  return `${owner}@${host}`;
};

/** Steps that run side by side don't ask at the same time. */
function oneByOne<T>(ask: (question: string) => Promise<T>): (question: string) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (question) => {
    const answer = last.then(() => ask(question));
    last = answer.catch(() => undefined);
    return answer;
  };
}

/** @throws MigrateError USAGE  no share of this plan has that id */
function approveSteps(ids: readonly string[] | undefined, plan: Plan, journal: Journal): void {
  const known = plan.steps.filter((it) => it.kind === 'shift' || it.noReturn !== undefined).map((it) => it.id);
  // Every `migrate shift` has a number of its own; the share is what was approved.
  const share = (id: string) => id.replace(/^shift-\d+\//, '');
  const meaning = (id: string) => known.find((it) => it === id) ?? known.find((it) => share(it) === share(id));
  const wrong = ids?.find((it) => meaning(it) === undefined);
  if (wrong !== undefined) {
    const meant = nearest(wrong, known);
    throw usage(
      `There is no step "${wrong}" to approve.`,
      `What can be approved: ${known.join(', ') || 'nothing'}.`,
      meant === undefined ? 'Name one of them.' : `Did you mean --approve ${meant}?`,
    );
  }
  for (const id of ids ?? []) journal.write({ type: 'approved', step: meaning(id) ?? id, by: signature() });
}

/** What a person does next, by why it stopped. */
function nextAfterStop({ error, step }: { error: unknown; step: string }): string {
  if (!(error instanceof MigrateError)) return 'migrate run goes on from there';
  const again = step.startsWith('shift-') ? 'the same migrate shift' : 'migrate run';
  if (error.stays) return `${again} with --approve ${step} goes on`;
  return error.code.startsWith('GATE_')
    ? `find out which side fails; then ${again} tries this share again`
    : 'migrate run goes on from there';
}

const openEntry = (journal: Journal, command: string, plan: Plan, version = '') =>
  journal.write({
    type: 'opened',
    command,
    digest: plan.digest,
    version,
    pins: { source: plan.pins.source.uid, target: plan.pins.target.uid },
  });

function resumedPlan(session: Session, given: Plan | undefined): Plan {
  const plan = session.plan();
  if (!plan) {
    throw new MigrateError('PLAN_STALE', {
      what: 'The journal has steps, but their plan is not beside it.',
      why: 'They were made by `migrate shift`, or the file was deleted.',
      fix: 'Undo them with `migrate rollback`, then run.',
    });
  }
  if (given && given.digest !== plan.digest) {
    throw new MigrateError('PLAN_STALE', {
      what: `A run of plan ${plan.digest.slice(0, 8)} is under way; you gave ${given.digest.slice(0, 8)}.`,
      why: 'One playbook has one run at a time.',
      fix: 'Go on with `migrate run` without a plan, or undo it first: `migrate rollback`.',
    });
  }
  return plan;
}

/** All checks before the first write, and the plan that was reviewed only if the world is still as it was. */
async function freshPlan(options: RunOptions, world: World, emit: Emit, counter: Counter): Promise<Plan> {
  const began = performance.now();
  const looked = await look(options.playbook, world);
  emit(preflightEvent(looked, performance.now() - began, counter.reads));
  if (looked.planError) throw looked.planError;
  mustBeReady(looked.report);
  const plan = looked.plan;
  if (!plan) throw new Error('a look without error has a plan');
  if (options.plan && options.plan.digest !== plan.digest) {
    throw new MigrateError('PLAN_STALE', {
      what: `The world is not as it was when plan ${options.plan.digest.slice(0, 8)} was made: ${moved(options.plan, plan)}.`,
      why: 'What was reviewed is not what would be done.',
      fix: 'Make and review a new plan: `migrate plan -o plan.json`.',
    });
  }
  return plan;
}

/** What differs between two plans, in words. */
function moved(was: Plan, is: Plan): string {
  const ids = (plan: Plan) => plan.steps.map((it) => it.id);
  const gone = ids(was).filter((it) => !ids(is).includes(it));
  const come = ids(is).filter((it) => !ids(was).includes(it));
  const changed = is.steps
    .filter((it) => was.steps.some((old) => old.id === it.id && JSON.stringify(old) !== JSON.stringify(it)))
    .map((it) => it.id);
  const parts = [
    gone.length > 0 && `no longer ${gone.join(', ')}`,
    come.length > 0 && `now also ${come.join(', ')}`,
    changed.length > 0 && `other arguments for ${changed.join(', ')}`,
  ].filter(Boolean);
  return parts.join('; ') || 'the playbook or a cluster changed';
}

/** A renamed or swapped context leads to another cluster: nothing may be written there. */
async function mustBePinned(plan: Plan, world: World): Promise<void> {
  for (const side of ['source', 'target'] as const) {
    const { uid } = await world[side].identify();
    if (uid === plan.pins[side].uid) continue;
    throw new MigrateError('CLUSTER_CHANGED', {
      what: `Context ${plan.pins[side].context} leads to another cluster than the plan's ${side}.`,
      why: `Its kube-system namespace has uid ${uid}, the plan has ${plan.pins[side].uid}.`,
      fix: 'Check the kubeconfig: was a context renamed, or does another file shadow it?',
    });
  }
}

function nextAfter(journal: Journal, plan: Plan | undefined, interrupted: boolean): Pick<EndedEvent, 'next' | 'back'> {
  if (isPastSource(journal)) return { next: SOURCE_OWES, back: 'migrate rollback, once the source answers' };
  if (journal.keepsBoth()) return { next: BOTH_STAY, back: wayBackOf(journal.records()) };
  if (journal.completed()) return { next: 'nothing: the move is complete' };
  const back = journal.records().length > 0 ? { back: wayBackOf(journal.records()) } : {};
  if (interrupted) return { next: 'migrate run goes on', ...back };
  if (journal.records().length === 0)
    return journal.debts().length > 0 ? { next: 'migrate rollback once more, when the target answers again' } : {};
  const left = plan?.steps.filter((it) => it.phase !== 'complete' && journal.record(it.id)?.state !== 'done') ?? [];
  if (left.length > 0) return { next: 'migrate run', ...back };
  return plan?.steps.some((it) => it.phase === 'complete') && journal.records().length > 0
    ? { next: 'hold as long as you like, then migrate complete', ...back }
    : back;
}
