import type { Timer, TwinClock } from '../types.js';

/** Controllers run on any twin clock; one that has a `background` spares its waiters the periodic looks. */
export type ControllerClock = TwinClock & { readonly background?: TwinClock };

export const backgroundOf = (clock: ControllerClock): TwinClock => clock.background ?? clock;

/** What a controller could not do now and will try again: neither the API's answer nor a bug of the twin. */
export class NotNow extends Error {}

/** An answer of an API, a broken connection, or `NotNow`: worth another try. All else is a bug of the twin. */
export function isWorthRetrying(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return error instanceof NotNow || 'status' in error || typeof (error as NodeJS.ErrnoException).code === 'string';
}

export interface WorkQueue {
  /** Looks at the key soon; asked again before that, it is still one look. */
  add(key: string, delayMs?: number): void;
  stop(): void;
}

export interface WorkQueueOptions {
  /** from asking to looking */
  delayMs: number | (() => number);
  /** pauses after a failure: doubling from the first to the last */
  retryMs?: { first: number; last: number };
}

/** A retry that is further away than this is not waited for by a clock's `idle`: it may go on for ever. */
const PATIENCE_MS = 30_000;

/**
 * Work by key: one look at a time per key, a growing pause after a failure, as client-go's rate-limited work queue does.
 *
 * @param look  returns milliseconds after which to look again without a reason, or nothing
 */
export function workQueue(
  clock: ControllerClock,
  options: WorkQueueOptions,
  look: (key: string) => Promise<number | void>,
): WorkQueue {
  const { first, last } = options.retryMs ?? { first: 1000, last: 60_000 };
  const planned = new Map<string, { at: number; timer: Timer }>();
  const running = new Set<string>();
  const dirty = new Set<string>();
  const failures = new Map<string, number>();
  let stopped = false;

  const plan = (key: string, delayMs: number): void => {
    if (stopped) return;
    const at = clock.now() + delayMs;
    const known = planned.get(key);
    if (known && known.at <= at) return;
    known?.timer.cancel();
    const timers = delayMs > PATIENCE_MS ? backgroundOf(clock) : clock;
    planned.set(key, { at, timer: timers.after(delayMs, () => run(key)) });
  };

  const delay = (): number => (typeof options.delayMs === 'number' ? options.delayMs : options.delayMs());

  const run = async (key: string): Promise<void> => {
    planned.delete(key);
    if (stopped) return;
    if (running.has(key)) {
      dirty.add(key);
      return;
    }
    running.add(key);
    try {
      const again = await look(key);
      failures.delete(key);
      if (again !== undefined) plan(key, again);
    } catch (error) {
      if (!isWorthRetrying(error)) throw error;
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      plan(key, Math.min(last, first * 2 ** Math.min(count, 20)));
    } finally {
      running.delete(key);
      if (dirty.delete(key)) plan(key, delay());
    }
  };

  return {
    add: (key, delayMs) => plan(key, delayMs ?? delay()),
    stop() {
      stopped = true;
      for (const { timer } of planned.values()) timer.cancel();
      planned.clear();
    },
  };
}
