import { MigrateError } from '../errors.js';
import type { Clock } from '../ports.js';
import { spell } from '../words.js';

/**
 * Asks until there is nothing left to wait for, with a growing pause.
 *
 * @param missing  what is still missing, in words; undefined when all is there. What it throws ends the wait.
 * @throws MigrateError `code`, with what was missing at the deadline
 */
export async function until(
  clock: Clock,
  { code, deadlineMs, subject, why, fix, progress }: { code: string; deadlineMs: number; subject: string; why: string; fix: string; progress?: (note: string) => void },
  missing: () => Promise<string | undefined>,
): Promise<void> {
  const deadline = clock.now() + deadlineMs;
  let told: string | undefined;
  for (let pause = 500; ; pause = Math.min(pause * 1.5, 10_000)) {
    const note = await missing();
    if (note === undefined) return;
    if (clock.now() >= deadline) {
      throw new MigrateError(code, { what: `${subject}: ${note}, after ${spell(deadlineMs)}.`, why, fix });
    }
    if (note !== told) progress?.(note);
    told = note;
    await clock.sleep(pause);
  }
}
