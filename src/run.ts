import { brief, contextOf, Interrupted, kindOf, schedule, type Engine, type Place, type RunOutcome } from './engine.js';
import { MigrateError } from './errors.js';
import { mayCross } from './no-return.js';
import type { Journal } from './journal.js';
import type { Plan } from './plan.js';
import { undoRecord } from './rollback.js';
import type { Phase, Step } from './step.js';
import { count } from './words.js';

/**
 * Does the plan, or goes on where the journal says it stopped. Independent steps run side by side, up to `limit` of those that are not only
 * held; after a failure nothing new starts and what runs comes to its end.
 */
export async function run(plan: Plan, phases: readonly Phase[], engine: Engine): Promise<RunOutcome> {
  const halfUndone = engine.journal.records().find((it) => it.state === 'undoing');
  if (halfUndone) {
    throw new MigrateError('ROLLBACK_UNFINISHED', {
      what: `Step ${halfUndone.step.id} is half undone: a roll-back stopped there.`,
      why: 'Going forward from a half undone step would mix two worlds.',
      fix: 'Finish it with `migrate rollback`, then run again.',
    });
  }
  const todo = plan.steps.filter((it) => phases.includes(it.phase) && engine.journal.record(it.id)?.state !== 'done');
  return schedule(todo, {
    limit: engine.limit,
    ready: (step) => step.after.every((id) => engine.journal.record(id)?.state === 'done'),
    stopping: engine.stopping,
    start: (step, place) => forward(step, plan.digest.slice(0, 8), engine, place),
    id: (step) => step.id,
  });
}

/**
 * What is left there from the last way back is the old run's, and known by its journal alone: a new one would meet it, and a later way back
 * undo the new one's work by the old one's notes.
 *
 * @throws MigrateError ROLLBACK_UNFINISHED
 */
export function mustOweNothing(journal: Journal): void {
  const owed = journal.debts().flatMap((it) => it.owed);
  const [first] = owed;
  if (!first) return;
  const last = journal.records().at(-1);
  throw new MigrateError('ROLLBACK_UNFINISHED', {
    what: `A roll-back still owes ${count(owed.length, 'thing')}: ${first.what}`,
    why: 'Going forward over what is left there would mix two runs.',
    fix: `When it answers again: \`migrate rollback${last ? ` --to ${last.step.id}` : ''}\`, then run again.`,
  });
}

/** check → begun(before) on disk → apply → verify → hold → done on disk. */
async function forward(step: Step, mark: string, engine: Engine, place: Place): Promise<void> {
  const { journal, emit } = engine;
  const kind = kindOf(step, engine.kinds);
  const context = contextOf(step, mark, engine, place);
  emit({ type: 'step', step: step.id, state: 'begun', title: kind.title(step.args) });
  try {
    let record = journal.record(step.id);
    if (!record) {
      await mayCross(step, context);
      const before: unknown = await kind.check(step.args, context);
      journal.write({ type: 'begun', step, mark, before });
      record = journal.record(step.id);
    }
    const before = record?.before;
    await kind.apply(step.args, before, context);
    await kind.verify(step.args, before, context);
    journal.write({ type: 'verified', step: step.id });
    place.rest();
    await kind.hold?.(step.args, before, context);
    journal.write({ type: 'done', step: step.id });
    emit({ type: 'step', step: step.id, state: 'done', title: kind.title(step.args) });
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    const begun = journal.record(step.id);
    if (error instanceof MigrateError && error.stays) {
      journal.write({ type: 'paused', step: step.id, ...brief(error) });
      emit({ type: 'step', step: step.id, state: 'waiting', title: kind.title(step.args), note: error.what });
      throw error;
    }
    if (begun) journal.write({ type: 'failed', step: step.id, ...brief(error) });
    emit({ type: 'step', step: step.id, state: 'failed', title: kind.title(step.args), note: brief(error).what });
    // What was watched and found wanting goes back at once. A server that can't be asked is no verdict: that, and any failure before,
    // stays where it is, for run or rollback.
    if (begun?.state === 'verified' && error instanceof MigrateError && !error.retryable)
      await undoRecord(begun, engine);
    throw error;
  }
}
