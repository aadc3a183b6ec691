import { Interrupted } from './engine.js';
import { MigrateError } from './errors.js';
import type { StepContext } from './step.js';
import { waitMs, type Window } from './window.js';
import { spell } from './words.js';

/**
 * Asks until there is nothing left to wait for, with a growing pause. It only reads, so Ctrl-C may end it at any turn.
 *
 * @param missing  what is still missing, in words; undefined when all is there. What it throws ends the wait.
 * @throws MigrateError `code`, with what was missing at the deadline
 * @throws Interrupted
 */
export async function until(
  { world, progress, stopping }: StepContext,
  {
    code,
    deadlineMs,
    subject,
    why,
    fix,
  }: { code: string; deadlineMs: number; subject: string; why: string; fix: string },
  missing: () => Promise<string | undefined>,
): Promise<void> {
  const deadline = world.clock.now() + deadlineMs;
  let told: string | undefined;
  for (let pause = 500; ; pause = Math.min(pause * 1.5, 10_000)) {
    const note = await missing();
    if (note === undefined) return;
    if (stopping()) throw new Interrupted();
    if (world.clock.now() >= deadline) {
      throw new MigrateError(code, { what: `${subject}: ${note}, after ${spell(deadlineMs)}.`, why, fix });
    }
    if (note !== told) progress(note);
    told = note;
    await world.clock.sleep(pause);
  }
}

/** Waits until the time of day when the playbook lets writes pause. Nothing has been changed yet, so Ctrl-C ends it, and others act meanwhile. */
export async function untilWindow({ window }: { window?: Window | undefined }, context: StepContext): Promise<void> {
  const { world, progress, resting, stopping } = context;
  const left = () => (window ? waitMs(window, world.clock.now()) : 0);
  // Until its turn comes to act again the window may have closed.
  while (window && left() > 0) {
    progress(`waiting ${spell(left())} for ${window.from} (${window.offset})`);
    await resting(async () => {
      for (; left() > 0; await world.clock.sleep(Math.min(left(), 5000))) if (stopping()) throw new Interrupted();
    });
  }
}
