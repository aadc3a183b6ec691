import type { Gate } from './args.js';
import { Interrupted } from './engine.js';
import { MigrateError } from './errors.js';
import type { StepContext } from './step.js';

/** Fewer answers than this are no evidence. */
const LEAST_SAMPLES = 10;

/**
 * Watches gates for as long as a step is held: each probes in its own rhythm, and the first that is clearly broken ends the hold.
 *
 * @param look  called about every `pollMs` with the time held so far; what it throws ends the hold too
 * @throws MigrateError GATE_FAILED, GATE_NO_EVIDENCE
 * @throws Interrupted  Ctrl-C, at a point where stopping is safe
 */
export async function watchGates(
  gates: readonly Gate[],
  holdMs: number,
  pollMs: number,
  context: StepContext,
  look: (elapsedMs: number) => Promise<void>,
): Promise<void> {
  const { clock, prober } = context.world;
  const began = clock.now();
  const counts = gates.map(() => ({ sent: 0, failed: 0, last: '', nextAt: began }));

  for (;;) {
    if (context.stopping()) throw new Interrupted();
    const elapsed = clock.now() - began;
    await look(Math.min(elapsed, holdMs));
    for (const [index, gate] of gates.entries()) {
      const seen = counts[index];
      if (!seen) continue;
      // As many as are due by now, but no burst after a long pause.
      for (let due = 0; seen.nextAt <= clock.now() && due < Math.ceil(pollMs / gate.every) + 1; due++) {
        const reply = await prober.probe(gate.probe);
        seen.sent++;
        seen.nextAt += gate.every;
        if (!reply.ok) {
          seen.failed++;
          seen.last = reply.error ?? `status ${reply.status ?? '?'}`;
        }
      }
      judge(gate, seen, holdMs, context);
    }
    if (elapsed >= holdMs) break;
    await clock.sleep(Math.min(pollMs, holdMs - elapsed));
  }
  for (const [index, gate] of gates.entries()) conclude(gate, counts[index] ?? { sent: 0, failed: 0 }, holdMs, context);
}

interface Seen {
  sent: number;
  failed: number;
  last?: string;
}

/** Broken beyond doubt: more failures than the whole hold may have. */
function judge(gate: Gate, seen: Seen, holdMs: number, { emit, step }: StepContext): void {
  const allowed = Math.floor(gate.failures * Math.max(LEAST_SAMPLES, Math.ceil(holdMs / gate.every)));
  const why = `${seen.failed} of ${seen.sent} failed`;
  if (seen.failed <= allowed) {
    emit({ type: 'gate', step: step.id, gate: 'probe', state: 'wait', why });
    return;
  }
  emit({ type: 'gate', step: step.id, gate: 'probe', state: 'fail', why });
  throw new MigrateError('GATE_FAILED', {
    what: `Probe ${gate.probe}: ${why}, ${allowed} allowed.`,
    why: `Last answer: ${seen.last ?? 'none'}.`,
    fix: 'Find out which side fails; the share goes back to the one before.',
  });
}

function conclude(gate: Gate, seen: Seen, holdMs: number, { emit, step }: StepContext): void {
  const needed = Math.min(LEAST_SAMPLES, Math.floor(holdMs / gate.every));
  if (seen.sent < needed) {
    throw new MigrateError('GATE_NO_EVIDENCE', {
      what: `Probe ${gate.probe} was sent ${seen.sent} times, ${needed} are needed.`,
      why: 'Too few answers are no evidence, and silence is never success.',
      fix: 'Hold longer, or probe more often (`every`).',
    });
  }
  emit({ type: 'gate', step: step.id, gate: 'probe', state: 'pass', why: `${seen.failed} of ${seen.sent} failed` });
}
