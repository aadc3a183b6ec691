import type { RunOutcome } from '../src/engine.js';
import type { JournalStore } from '../src/journal.js';
import type { Tap } from '../src/ports.js';

/** A process that dies at a certain point, and what is there afterwards. */

/**
 * Of the points at which a process can be killed the ordinary run takes every so many. `npm run test:points` takes all of them, and so does
 * CI.
 */
export const every = (many: number): number => (process.env['MIGRATE_POINTS'] === 'all' ? 1 : many);

/** What a process that was killed can no longer do. */
export class Crash extends Error {
  override name = 'Crash';
}

/**
 * Kills at the point after the n-th effect. An effect is a line of the journal or a request that changes something; between two of
 * them nothing happens but reads, so after one and before the next is one point. After it nothing runs: no line, no request.
 */
export function crashing(at: number): {
  tap: Tap;
  wrap(store: JournalStore): JournalStore;
  effects(): number;
  crashed(): boolean;
  arm(): void;
} {
  let effects = 0;
  let dead = false;
  let armed = false;
  const effect = () => {
    if (!armed) return;
    effects++;
    if (effects >= at) dead = true;
  };
  return {
    arm() {
      armed = true;
      if (at === 0) dead = true;
    },
    tap: async (call, send) => {
      if (dead) throw new Crash();
      const reply = await send();
      // Done, but a process that died meanwhile never hears of it.
      if (call.writes) effect();
      if (dead) throw new Crash();
      return reply;
    },
    wrap: (store) => ({
      read: () => store.read(),
      append(line) {
        if (dead) throw new Crash();
        store.append(line);
        effect();
        if (dead) throw new Crash();
      },
    }),
    effects: () => effects,
    crashed: () => dead,
  };
}

/** @throws what stopped it */
export function mustBeDone(outcome: RunOutcome): void {
  if (outcome.outcome === 'stopped') throw outcome.error;
  if (outcome.outcome !== 'done') throw new Error(`the run ended ${outcome.outcome}`);
}
