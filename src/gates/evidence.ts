import { hideIn } from '../redact.js';
import { count, points } from '../words.js';

/** How gates word what they saw, and how much of it is kept. */

const LONGEST = 240;
/** Of a longer text no more is even looked at. */
const LOOKED_AT = 2000;

/** One line, without credentials, cut: what servers say can be long, and ends up in the journal. */
export function clipped(text: string): string {
  const line = hideIn(text.slice(0, LOOKED_AT)).replace(/\s+/g, ' ').trim();
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST - 1)}…`;
}

/** The command that goes on with a step; `migrate shift` has steps of its own. */
export const goingOn = (step: string, asked: number): string =>
  step.startsWith('shift-') ? `migrate shift --to ${points(asked)}` : 'migrate run';

/** `0 of 312 probes failed, 14 more without a failure decide it` */
export function countText(
  noun: string,
  { requests, errors }: { requests: number; errors: number },
  state: 'pass' | 'fail' | 'wait',
  missing: number,
): string {
  const so = `${errors} of ${count(requests, noun)} failed`;
  return state === 'wait' ? `${so}, ${missing === 0 ? 'not decided yet' : `${missing} more clean ones pass it`}` : so;
}
