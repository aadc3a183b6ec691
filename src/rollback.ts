import type { Journal, StepRecord } from './journal.js';
import { MigrateError } from './errors.js';
import { brief, contextOf, Interrupted, kindOf, schedule, type Engine, type RunOutcome } from './engine.js';
import type { StepKinds } from './step.js';

/**
 * Undoes what the journal says was begun, newest first; what does not depend on each other side by side. It never reads the plan:
 * a way back must work even when the plan file is gone.
 *
 * @param to  id of the step that stays the last one done; undefined undoes everything
 * @throws MigrateError STEP_NOT_DONE  the journal has no such step
 */
export async function rollback(to: string | undefined, engine: Engine): Promise<RunOutcome> {
  await payDebts(engine);
  const units = toUndo(to, engine);
  const undone = new Set<string>();
  const below = foundations(engine.journal);
  const builtOn = new Map(units.map((unit) => [unit, waitedFor(unit, units, below, engine.kinds)]));
  const goingBack = new Set(units.flatMap((unit) => unit.records.map((it) => it.step.id)));
  return schedule(units, {
    limit: engine.limit,
    // A step goes back only after everything that was built on it.
    ready: (unit) => (builtOn.get(unit) ?? []).every((other) => other.records.every((it) => undone.has(it.step.id))),
    stopping: engine.stopping,
    start: async (unit) => {
      await undoUnit(unit, { ...engine, goingBack });
      for (const record of unit.records) undone.add(record.step.id);
    },
    id: (unit) => unit.records.map((it) => it.step.id).join(', '),
  });
}

/** Steps that are undone in one go; the oldest one's before is where they lead. */
interface Unit {
  /** newest first */
  records: StepRecord[];
}

export function toUndo(to: string | undefined, engine: Engine): Unit[] {
  const newestFirst = engine.journal.records().reverse();
  const end = to === undefined ? newestFirst.length : newestFirst.findIndex((it) => it.step.id === to);
  if (end < 0) {
    const known = newestFirst.map((it) => it.step.id).join(', ') || 'none';
    throw new MigrateError('STEP_NOT_DONE', {
      what: `The journal has no step "${to}" to go back to.`,
      why: `Steps that are done or begun: ${known}.`,
      fix: 'Name one of them, or leave --to out to undo everything.',
    });
  }
  const units: Unit[] = [];
  const byKey = new Map<string, Unit>();
  const below = foundations(engine.journal);
  for (const record of newestFirst.slice(0, end)) {
    const key = kindOf(record.step, engine.kinds).undoneWith?.(record.step.args);
    const open = key === undefined ? undefined : byKey.get(key);
    if (open && !isBetween(record, open, units, below)) {
      open.records.push(record);
      continue;
    }
    const unit = { records: [record] };
    units.push(unit);
    if (key !== undefined) byKey.set(key, unit);
  }
  return units;
}

/** Whether something else was built on the record, and the unit on that: then one goes back after the other. */
const isBetween = (record: StepRecord, unit: Unit, units: readonly Unit[], below: Below): boolean =>
  units.some(
    (other) =>
      other !== unit &&
      other.records.some(
        (it) =>
          below(it.step.id).has(record.step.id) && unit.records.some((newer) => below(newer.step.id).has(it.step.id)),
      ),
  );

type Below = (step: string) => ReadonlySet<string>;

/** What was built on a unit, near or far; where new connections go waits for nothing that does not serve them. */
function waitedFor(unit: Unit, units: readonly Unit[], below: Below, kinds: StepKinds): Unit[] {
  const isShare = unit.records.every(({ step }) => kindOf(step, kinds).undoneWith !== undefined);
  return units.filter((other) => {
    if (other === unit || (isShare && other.records.every(({ step }) => kindOf(step, kinds).besideTraffic)))
      return false;
    return other.records.some(({ step }) => unit.records.some((it) => below(step.id).has(it.step.id)));
  });
}

/** All that a step was built on, also where what lay between is undone already. */
function foundations(journal: Journal): Below {
  const after = new Map(
    journal.entries().flatMap((it) => (it.type === 'begun' ? [[it.step.id, it.step.after] as const] : [])),
  );
  const known = new Map<string, ReadonlySet<string>>();
  const below = (step: string): ReadonlySet<string> => {
    const found = known.get(step);
    if (found) return found;
    const all = new Set((after.get(step) ?? []).flatMap((it) => [it, ...below(it)]));
    known.set(step, all);
    return all;
  };
  return below;
}

async function undoUnit(unit: Unit, engine: Engine): Promise<void> {
  const oldest = unit.records.at(-1);
  if (!oldest) return;
  for (const record of unit.records) {
    if (record !== oldest) engine.journal.write({ type: 'undoing', step: record.step.id });
  }
  await undoRecord(oldest, engine, () => {
    // The newer ones are undone by the same writes; the oldest is noted last, so that a kill in between repeats it.
    for (const record of unit.records) {
      if (record !== oldest) engine.journal.write({ type: 'undone', step: record.step.id });
    }
  });
}

/** undoing on disk → undo → undone on disk. */
export async function undoRecord(record: StepRecord, engine: Engine, beforeUndone?: () => void): Promise<void> {
  const { journal, emit } = engine;
  const { step } = record;
  const kind = kindOf(step, engine.kinds);
  const title = kind.title(step.args);
  emit({ type: 'step', step: step.id, state: 'undoing', title });
  journal.write({ type: 'undoing', step: step.id });
  try {
    const owed = await kind.undo(step.args, record.before, contextOf(step, record.mark, engine));
    beforeUndone?.();
    journal.write({ type: 'undone', step: step.id, ...(owed.length > 0 && { owed }) });
    for (const debt of owed)
      emit({ type: 'warning', what: debt.what, fix: 'When it answers again: `migrate rollback` once more.' });
    emit({ type: 'step', step: step.id, state: 'undone', title });
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    journal.write({ type: 'failed', step: step.id, ...brief(error) });
    emit({ type: 'step', step: step.id, state: 'failed', title, note: brief(error).what });
    throw error;
  }
}

/** What an earlier roll-back could not reach, e.g. an API server that was down. Still unreachable is no failure: it stays owed. */
async function payDebts(engine: Engine): Promise<void> {
  for (const { record } of engine.journal.debts()) {
    const owed = await kindOf(record.step, engine.kinds).undo(
      record.step.args,
      record.before,
      contextOf(record.step, record.mark, engine),
    );
    if (owed.length === 0) engine.journal.write({ type: 'paid', step: record.step.id });
  }
}
