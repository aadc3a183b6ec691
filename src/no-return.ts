import type { ImportArgs, ManifestArgs, QuiesceArgs, RestoreArgs, ScaleArgs, VolumeArgs, Workload } from './args.js';
import { MigrateError } from './errors.js';
import type { StepRecord } from './journal.js';
import type { SideArgs } from './one-side.js';
import { pathOf } from './objects.js';
import type { ObjectRef } from './ports.js';
import type { Step, StepContext } from './step.js';
import { count } from './words.js';

/**
 * Points of no return: steps after which going back loses something. A copied disk is written by the target alone from its start on, and
 * nothing brings that back to the old one. Databases have none of these before `complete`: their old server copies what the new one writes.
 */

/** Names them in the steps, which are all of a plan. */
export function markNoReturn(steps: readonly Step[]): void {
  const copied = new Set(steps.flatMap(claimCopied));
  const groups = steps.flatMap((it) => (it.kind === 'quiesce' ? [it.args as QuiesceArgs] : []));
  const written = new Set<string>();
  for (const step of steps) {
    const claims = claimsWritten(step, groups).filter(
      (it) => copied.has(it) && !(step.phase === 'traffic' && written.has(it)),
    );
    for (const it of claims) written.add(it);
    if (claims.length > 0)
      step.noReturn = `from here on the target writes to its own ${claims.length === 1 ? 'copy' : 'copies'} of ${some(claims)}; going back returns to the source's data of the moment when its writers stopped`;
  }
}

/** A share has no copy: both sides work on the same files, one after the other. */
function claimCopied({ kind, args }: Step): string[] {
  if (kind === 'import-snapshot') return [(args as ImportArgs).claim];
  return kind === 'create-volume' && (args as VolumeArgs).disk ? [(args as VolumeArgs).claim] : [];
}

/** Claims that pods write to from that step on. */
function claimsWritten(step: Step, groups: readonly QuiesceArgs[]): string[] {
  const woken = wokenBy(step);
  if (woken === 'all') return groups.flatMap((it) => it.claims);
  const names = new Set(woken.map((it) => `${it.kind} ${pathOf(it)}`));
  return groups
    .filter(({ workloads, still = [], cronJobs }) =>
      [...workloads, ...still, ...cronJobs.map((it) => ({ kind: 'CronJob.batch', ...it }))].some((it) =>
        names.has(`${it.kind} ${pathOf(it)}`),
      ),
    )
    .flatMap((it) => it.claims);
}

/** Who runs on the target from that step on; of files that are applied the plan does not know it. */
function wokenBy({ kind, args }: Step): 'all' | readonly ObjectRef[] {
  switch (kind) {
    case 'manifests':
      return (args as ManifestArgs).what === 'start' || (args as ManifestArgs).running ? 'all' : [];
    case 'velero-restore':
      return (args as RestoreArgs).running ?? [];
    case 'switch-side':
      // What changes sides later than the rest.
      return (args as SideArgs).held;
    case 'shift':
      // A router that moves shares pod by pod starts them.
      return (args as { route: { workloads?: Workload[] } }).route.workloads ?? [];
    case 'scale': {
      const { side, to, workloads } = args as ScaleArgs;
      return side === 'target' && to !== 'zero' ? workloads : [];
    }
    default:
      return [];
  }
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
