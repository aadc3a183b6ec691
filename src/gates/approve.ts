import { MigrateError } from '../errors.js';
import { isApprove, type Gate } from '../gates.js';
import type { StepContext } from '../step.js';
import { points } from '../words.js';
import { goingOn } from './evidence.js';

/**
 * Some shares are given only after somebody said yes: at a terminal now, or by `migrate run --approve STEP` before. Asked before anything
 * is written, so that waiting leaves the last verified share as it is.
 *
 * @throws MigrateError APPROVAL_NEEDED
 */
export async function mustBeApproved(
  gates: readonly Gate[],
  { service, asked }: { service: string; asked: number },
  context: StepContext,
): Promise<void> {
  const wants = gates.some(
    (it) => isApprove(it) && (it.approve === 'all' || [it.approve].flat().some((share) => share === asked)),
  );
  if (!wants) return;
  const { step, emit } = context;
  const evidence = { asked: `approval of ${step.id}` };
  const given = await context.approval('undone', `Give ${points(asked)} % of ${service} to the target (${step.id})?`);
  if (given) {
    const why = `approved by ${given.by} at ${given.at}`;
    emit({ type: 'gate', step: step.id, gate: 'approve', state: 'pass', why, evidence });
    return;
  }
  emit({ type: 'gate', step: step.id, gate: 'approve', state: 'wait', why: 'nobody has approved it yet', evidence });
  throw new MigrateError('APPROVAL_NEEDED', {
    what: `${points(asked)} % of ${service} waits for an approval.`,
    why: `The playbook asks for one before step ${step.id}; nothing of it was begun.`,
    fix: `When it may go on: \`${goingOn(step.id, asked)} --approve ${step.id}\`.`,
    stays: true,
  });
}
