import type { RunOutcome } from '../engine.js';
import { lossOf, lostBy, mustAcceptLoss } from '../no-return.js';
import { rollback, toUndo } from '../rollback.js';
import type { Copy } from '../step.js';
import { count } from '../words.js';
import type { Act, CommonOptions } from './act.js';
import { acting } from './acting.js';

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
