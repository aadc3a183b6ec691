import type { Engine, RunOutcome } from '../engine.js';
import { MigrateError } from '../errors.js';
import type { EndedEvent } from '../events.js';
import type { Journal } from '../journal.js';
import { wayBackOf } from '../no-return.js';
import type { Plan } from '../plan.js';
import type { Cluster, Side, World } from '../ports.js';
import { stepKinds } from '../steps/index.js';
import { nearest } from '../words.js';
import { counting, open, type CommonOptions, type Counter, type Io } from './act.js';
import { endedBy, NOTHING, routesOf, shareNow, whatServes } from './ending.js';
import { openSession, whoRuns, type Session } from './session.js';
import { BOTH_STAY, isPastSource, SOURCE_OWES } from './source-down.js';
import { usage } from './usage.js';
import { watchingIn, type Watching } from './watching.js';

/** The frame of every act that writes: lock, world, journal, and an end that says what serves now. */

/** How many steps run side by side. */
const SIDE_BY_SIDE = 8;

const sessionOf = (options: CommonOptions, readOnly = false): Session =>
  openSession(options.playbook.name, {
    readOnly,
    ...(options.stateDir !== undefined && { stateDir: options.stateDir }),
    ...(options.takeOver !== undefined && { takeOver: options.takeOver }),
  });

export interface Acting {
  world: World;
  session: Session;
  engine: Engine;
  counter: Counter;
}

export async function acting(
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

export const signature = () => {
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
export function approveSteps(ids: readonly string[] | undefined, plan: Plan, journal: Journal): void {
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

export const openEntry = (journal: Journal, command: string, plan: Plan, version = '') =>
  journal.write({
    type: 'opened',
    command,
    digest: plan.digest,
    version,
    pins: { source: plan.pins.source.uid, target: plan.pins.target.uid },
  });

/** A renamed or swapped context leads to another cluster: nothing may be written there. */
export async function mustBePinned(plan: Plan, world: World): Promise<void> {
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
