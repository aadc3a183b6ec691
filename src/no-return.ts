import type { Moved, QuiesceArgs, ScaleArgs, VolumeArgs } from './args.js';
import { MigrateError } from './errors.js';
import type { StepRecord } from './journal.js';
import { pathOf } from './objects.js';
import type { Step, StepContext } from './step.js';
import { count } from './words.js';

/**
 * Points of no return: steps after which going back loses something. A copied disk is written by the target alone from its start on, and
 * nothing brings that back to the old one. Databases have none of these before `complete`: their old server copies what the new one writes.
 */

/** Names them in the steps, which are all of a plan. */
export function markNoReturn(steps: readonly Step[]): void {
  const copied = new Set(
    steps.flatMap((it) =>
      it.kind === 'create-volume' && (it.args as VolumeArgs).disk ? (it.args as VolumeArgs).claim : [],
    ),
  );
  const groups = steps.flatMap((it) => (it.kind === 'quiesce' ? [it.args as QuiesceArgs] : []));
  const written = new Set<string>();
  for (const step of steps) {
    const claims = claimsWritten(step, groups).filter(
      (it) => copied.has(it) && !(step.kind === 'switch-side' && written.has(it)),
    );
    for (const it of claims) written.add(it);
    if (claims.length > 0)
      step.noReturn = `from here on the target writes to its own ${claims.length === 1 ? 'copy' : 'copies'} of ${some(claims)}; going back returns to the source's data of the moment when its writers stopped`;
  }
}

/** Claims that pods write to from that step on. */
function claimsWritten({ kind, args }: Step, groups: readonly QuiesceArgs[]): string[] {
  if (kind === 'manifests') return (args as { what: string }).what === 'start' ? groups.flatMap((it) => it.claims) : [];
  // What changes sides later than the rest.
  if (kind === 'switch-side') return (args as { moved?: Moved }).moved?.claims ?? [];
  if (kind !== 'scale' || (args as ScaleArgs).side !== 'target' || (args as ScaleArgs).to === 'zero') return [];
  const started = new Set((args as ScaleArgs).workloads.map((it) => `${it.kind} ${pathOf(it)}`));
  return groups
    .filter((it) =>
      [...it.workloads, ...(it.still ?? [])].some((workload) => started.has(`${workload.kind} ${pathOf(workload)}`)),
    )
    .flatMap((it) => it.claims);
}

const some = (names: readonly string[]) =>
  names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', ');

/** @throws MigrateError NO_RETURN  nobody has said yes to this step; nothing of it was begun */
export async function mayCross(step: Step, context: StepContext): Promise<void> {
  if (step.noReturn === undefined) return;
  const told = `Point of no return, ${step.id}: ${step.noReturn}.`;
  if (await context.approval('undone')) return;
  context.emit({ type: 'warning', what: told });
  if (await context.approval('undone', `Cross the point of no return (${step.id})?`)) return;
  throw new MigrateError('NO_RETURN', {
    what: `${step.id} is a point of no return, and nobody has said yes to it.`,
    why: `${step.noReturn.charAt(0).toUpperCase()}${step.noReturn.slice(1)}. Nothing of it was begun.`,
    fix: `When it may be crossed: \`migrate run --approve ${step.id}\`. Until then \`migrate rollback\` loses nothing.`,
    stays: true,
  });
}

/** What going back from there loses. */
export const lostBy = (records: readonly StepRecord[]): StepRecord[] =>
  records.filter((it) => it.step.noReturn !== undefined);

/** The command that goes back, with what it loses. */
export function wayBackOf(records: readonly StepRecord[]): string {
  const lost = lostBy(records).map((it) => it.step.id);
  return lost.length === 0
    ? 'migrate rollback'
    : `migrate rollback --accept-loss: what the target wrote since ${some(lost)} is lost`;
}

export const lossOf = (lost: readonly StepRecord[]): string =>
  `Going back crosses ${count(lost.length, 'point')} of no return. ${lost.map((it) => `${it.step.id}: ${it.step.noReturn ?? ''}.`).join(' ')}`;

/** @throws MigrateError LOSS_NOT_ACCEPTED */
export function mustAcceptLoss(lost: readonly StepRecord[]): never {
  throw new MigrateError('LOSS_NOT_ACCEPTED', {
    what: lossOf(lost),
    why: '--yes does not speak for what the target wrote since.',
    fix: `When that may be lost: \`migrate rollback --accept-loss\`. To keep it: \`migrate rollback --to ${lost.at(-1)?.step.id ?? 'STEP'}\`.`,
  });
}
