import { MigrateError } from './errors.js';
import type { Emit } from './events.js';
import { guarded } from './guard.js';
import { approvalOf, tookMs, type Journal } from './journal.js';
import type { World } from './ports.js';
import type { AnyStepKind, Copy, Step, StepContext, StepKinds } from './step.js';

/** What going forward and going back share: the world, the journal, and how steps are started side by side. */
export interface Engine {
  world: World;
  journal: Journal;
  kinds: StepKinds;
  emit: Emit;
  /** true once the operator pressed Ctrl-C */
  stopping(): boolean;
  /** steps that act side by side; those that are only held and watched don't count */
  limit: number;
  /** what we copied is deleted on the way back; the operator said so */
  deletesCopies?: boolean;
  /** steps that are to be undone on this way back */
  goingBack?: ReadonlySet<string>;
  /** hears of each that is kept on the way back */
  kept?(copy: Copy): void;
  /** Asks somebody whether a step may go on; undefined when nobody is there. @returns who said yes */
  approve?(question: string): Promise<string | undefined>;
}

export type RunOutcome =
  | { outcome: 'done' }
  | { outcome: 'interrupted' }
  /** the first failure; steps that were running beside it have ended */
  | { outcome: 'stopped'; error: unknown; step: string };

/** Thrown by a step at a safe point, after Ctrl-C. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

export function kindOf(step: Step, kinds: StepKinds): AnyStepKind {
  const kind = kinds.get(step.kind);
  if (kind) return kind;
  throw new MigrateError('STEP_KIND_UNKNOWN', {
    what: `Step ${step.id} is of kind "${step.kind}", which this version does not have.`,
    why: 'The plan or the journal was written by another version.',
    fix: 'Use the version that wrote it, or make a new plan.',
  });
}

/** @param place  of a step that goes forward; on the way back each keeps its own to the end */
export function contextOf(step: Step, mark: string, engine: Engine, place?: Place): StepContext {
  const { emit } = engine;
  const title = kindOf(step, engine.kinds).title(step.args);
  return {
    world: guarded(engine.world),
    step,
    mark,
    emit,
    stopping: place?.stopping ?? engine.stopping,
    resting: (wait) => (place ? place.resting(wait) : wait()),
    progress: (note) => emit({ type: 'step', step: step.id, state: 'progress', title, note }),
    recorded: (id) => engine.journal.record(id)?.before,
    took: (id) => tookMs(engine.journal, id),
    deletesCopies: engine.deletesCopies ?? false,
    goesBack: (id) => engine.goingBack?.has(id) ?? false,
    kept: (copy) => engine.kept?.(copy),
    keep: (seen) => engine.journal.write({ type: 'gate', step: step.id, ...seen }),
    async approval(since, question) {
      const given = approvalOf(engine.journal, step.id, since);
      if (given || question === undefined) return given;
      const by = await engine.approve?.(question);
      if (by !== undefined) engine.journal.write({ type: 'approved', step: step.id, by });
      return approvalOf(engine.journal, step.id, since);
    },
  };
}

export const brief = (error: unknown) =>
  error instanceof MigrateError ? { code: error.code, what: error.what } : { code: 'BUG', what: String(error) };

/** What a step that has begun keeps others from. */
export interface Place {
  /** All that is left is to watch: somebody else may act meanwhile. */
  rest(): void;
  /** The same for as long as `wait` takes; then the step acts again in its turn, before those that have not begun. */
  resting<T>(wait: () => Promise<T>): Promise<T>;
  /** The operator wants an end. To who rests, also: another has failed, and nothing will come of what this one waits for. */
  stopping(): boolean;
}

interface Schedule<T> {
  limit: number;
  ready(item: T): boolean;
  stopping(): boolean;
  start(item: T, place: Place): Promise<void>;
  id(item: T): string;
}

/** Starts what is ready, up to the limit, who was ready first first, until all is done or something failed. */
export async function schedule<T>(items: readonly T[], how: Schedule<T>): Promise<RunOutcome> {
  const waiting = new Set(items);
  const ready = new Set<T>();
  const acting = new Set<T>();
  const resting = new Set<T>();
  const running = new Set<T>();
  const returning: (() => void)[] = [];
  let failed: { error: unknown; step: string } | undefined;
  let interrupted = false;
  let changed = () => {};

  const placeOf = (item: T): Place => {
    const rest = () => {
      acting.delete(item);
      changed();
    };
    return {
      rest,
      stopping: () => how.stopping() || (resting.has(item) && (interrupted || failed !== undefined)),
      async resting(wait) {
        resting.add(item);
        rest();
        try {
          return await wait();
        } finally {
          resting.delete(item);
          await new Promise<void>((resolve) => {
            returning.push(() => {
              acting.add(item);
              resolve();
            });
            changed();
          });
        }
      },
    };
  };

  const begin = (item: T): void => {
    waiting.delete(item);
    ready.delete(item);
    acting.add(item);
    running.add(item);
    void how
      .start(item, placeOf(item))
      .catch((error: unknown) => {
        if (error instanceof Interrupted) interrupted = true;
        else failed ??= { error, step: how.id(item) };
      })
      .finally(() => {
        acting.delete(item);
        running.delete(item);
        changed();
      });
  };

  while (waiting.size > 0 || running.size > 0) {
    const change = new Promise<void>((resolve) => (changed = resolve));
    while (acting.size < how.limit) {
      const next = returning.shift();
      if (!next) break;
      next();
    }
    if (!failed && !interrupted && !how.stopping()) {
      for (const item of waiting) if (how.ready(item)) ready.add(item);
      for (const item of ready) {
        if (acting.size >= how.limit) break;
        begin(item);
      }
    }
    if (running.size === 0) break;
    await change;
  }
  if (failed) return { outcome: 'stopped', ...failed };
  if (interrupted || (waiting.size > 0 && how.stopping())) return { outcome: 'interrupted' };
  if (waiting.size > 0) {
    const blocked = [...waiting].map((it) => how.id(it)).join(', ');
    throw new MigrateError('STEPS_BLOCKED', {
      what: `Steps ${blocked} wait for steps that are not done.`,
      why: 'They belong to a phase that was left out, or to one that has not run yet.',
      fix: 'Run the earlier phases first, or all of them: `migrate run` without --phase.',
    });
  }
  return { outcome: 'done' };
}
