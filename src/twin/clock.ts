import type { Timer, TwinClock } from './types.js';

/** A clock that somebody steers: the twin's assembly, and the clients that run on the twin's time. */
export interface SteeredClock extends TwinClock {
  /** A client's pause. Virtual time passes only while somebody sleeps, waits for `idle`, or is parked. */
  sleep(ms: number): Promise<void>;
  /**
   * Stops virtual time until the returned function is called: a client holds the clock for as long as a request of its own is
   * really on its way, so that no virtual minute passes while real bytes move.
   */
  hold(): () => void;
  /** Runs until no timer is left but background ones; false when `limitMs` of time passed before that. */
  idle(limitMs?: number): Promise<boolean>;
  /** The same time, for timers that `idle` does not wait for: periodic looks, clients, retries with a long pause. */
  readonly background: TwinClock;
  /** Ends it: timers are dropped, sleepers never wake. */
  stop(): void;
}

const IDLE_LIMIT_MS = 600_000;

interface Entry {
  at: number;
  /** equal times run in the order in which they were asked for */
  order: number;
  run: () => void | Promise<void>;
  foreground: boolean;
  cancelled: boolean;
}

/** Binary heap by time, then by order of asking. */
function timerQueue(): {
  push(entry: Entry): void;
  peek(): Entry | undefined;
  pop(): Entry | undefined;
  clear(): void;
} {
  const heap: Entry[] = [];
  const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

  const sink = (entry: Entry): void => {
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!before(heap[child]!, entry)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = entry;
  };

  const pop = (): Entry | undefined => {
    const first = heap[0];
    const last = heap.pop();
    if (heap.length > 0) sink(last!);
    return first;
  };

  return {
    push(entry) {
      let index = heap.length;
      while (index > 0) {
        const parent = (index - 1) >> 1;
        if (!before(entry, heap[parent]!)) break;
        heap[index] = heap[parent]!;
        index = parent;
      }
      heap[index] = entry;
    },
    peek() {
      while (heap[0]?.cancelled) pop();
      return heap[0];
    },
    pop,
    clear() {
      heap.length = 0;
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Time that stands still until nothing real is under way and somebody waits, and then jumps to the next timer. A timer's run is
 * awaited to its end before the next one starts, so everything the twin does on the clock happens one after the other, in an order
 * that depends on the seed alone. A run must not sleep or park on the same clock: it would wait for itself.
 *
 * @param startIso  where it begins, ISO 8601
 */
export function virtualClock(startIso: string): SteeredClock {
  const start = Date.parse(startIso);
  if (Number.isNaN(start)) throw new RangeError(`not a time: ${startIso}`);

  const queue = timerQueue();
  const idlers: { limit: number; resolve: (quiet: boolean) => void; reject: (error: unknown) => void }[] = [];
  const sleepers = new Set<(error: unknown) => void>();
  let now = start;
  let order = 0;
  let foreground = 0;
  let holds = 0;
  let parked = 0;
  let pumping = false;
  let stopped = false;
  let failure: { error: unknown } | undefined;
  /** somebody outside the twin was woken or let go: give it the time to come back with its next request */
  let woken = true;

  const add = (ms: number, run: () => void | Promise<void>, inForeground: boolean): Timer => {
    const entry: Entry = { at: now + Math.max(0, ms), order: order++, run, foreground: inForeground, cancelled: false };
    if (stopped) return { cancel: () => {} };
    if (inForeground) foreground += 1;
    queue.push(entry);
    return {
      cancel() {
        if (entry.cancelled) return;
        entry.cancelled = true;
        if (entry.foreground) foreground -= 1;
      },
    };
  };

  const fail = (error: unknown): void => {
    failure = { error };
    stopped = true;
    queue.clear();
    for (const reject of sleepers) reject(error);
    for (const idler of idlers) idler.reject(error);
    const unheard = sleepers.size + idlers.length === 0;
    sleepers.clear();
    idlers.length = 0;
    if (unheard) throw error;
  };

  const goesOn = (): boolean => !stopped;

  const wanted = (): boolean => holds <= parked && (sleepers.size > 0 || parked > 0 || idlers.length > 0);

  const answerIdlers = (): void => {
    const next = queue.peek();
    for (let i = idlers.length - 1; i >= 0; i--) {
      const idler = idlers[i]!;
      const quiet = foreground === 0;
      if (!quiet && next !== undefined && next.at <= idler.limit) continue;
      idlers.splice(i, 1);
      woken = true;
      idler.resolve(quiet);
    }
  };

  const runNext = async (): Promise<void> => {
    const entry = queue.pop()!;
    entry.cancelled = true;
    if (entry.foreground) foreground -= 1;
    now = Math.max(now, entry.at);
    const running = entry.run();
    if (running === undefined) return;
    await running;
    await turn();
  };

  const pump = async (): Promise<void> => {
    pumping = true;
    try {
      for (let ran = 0; goesOn(); ran++) {
        if (woken) {
          woken = false;
          await turn();
          await turn();
          if (woken) continue;
        } else if (ran % 64 === 63) await turn();
        if (!goesOn() || !wanted()) return;
        answerIdlers();
        if (woken) continue;
        if (queue.peek() === undefined) return;
        await runNext();
      }
    } catch (error) {
      fail(error);
    } finally {
      pumping = false;
    }
  };

  const wake = (): void => {
    woken = true;
    if (!pumping && !stopped) void pump();
  };

  const wait = (ms: number, done: () => void): Promise<void> =>
    new Promise((resolve, reject) => {
      if (failure) reject(failure.error);
      if (stopped) return;
      sleepers.add(reject);
      add(
        ms,
        () => {
          sleepers.delete(reject);
          done();
          woken = true;
          resolve();
        },
        false,
      );
      wake();
    });

  return {
    now: () => now,
    after: (ms, run) => add(ms, run, true),
    sleep: (ms) => wait(ms, () => {}),
    park(ms) {
      parked += 1;
      return wait(ms, () => {
        parked -= 1;
      });
    },
    hold() {
      holds += 1;
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        holds -= 1;
        wake();
      };
    },
    idle(limitMs = IDLE_LIMIT_MS) {
      return new Promise((resolve, reject) => {
        if (failure) reject(failure.error);
        if (stopped) return;
        idlers.push({ limit: now + limitMs, resolve, reject });
        wake();
      });
    },
    background: {
      now: () => now,
      after: (ms, run) => add(ms, run, false),
      park: (ms) => wait(ms, () => {}),
    },
    stop() {
      stopped = true;
      queue.clear();
    },
  };
}

/**
 * Time as it passes: for a twin that people and other programs look at, and for controllers attached to real API servers.
 *
 * @param speed  how many of the twin's seconds pass in one of ours; above 1 a copy that takes minutes is done in seconds
 */
export function realClock(speed = 1): SteeredClock {
  const began = Date.now();
  const timeNow = (): number => began + (Date.now() - began) * speed;
  const timers = new Set<NodeJS.Timeout>();
  let foreground = 0;
  let stopped = false;

  const add = (ms: number, run: () => void | Promise<void>, inForeground: boolean): Timer => {
    if (stopped) return { cancel: () => {} };
    let pending = inForeground;
    const settle = (): void => {
      if (pending) foreground -= 1;
      pending = false;
    };
    if (inForeground) foreground += 1;
    const timeout = setTimeout(() => {
      timers.delete(timeout);
      // A run that fails is a bug of the twin: let it surface as an uncaught error.
      void (async () => {
        try {
          await run();
        } finally {
          settle();
        }
      })();
    }, ms / speed);
    timers.add(timeout);
    return {
      cancel() {
        clearTimeout(timeout);
        timers.delete(timeout);
        settle();
      },
    };
  };

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      add(ms, resolve, false);
    });

  return {
    now: timeNow,
    after: (ms, run) => add(ms, run, true),
    sleep,
    park: sleep,
    hold: () => () => {},
    async idle(limitMs = IDLE_LIMIT_MS) {
      const limit = timeNow() + limitMs;
      const isBusy = (): boolean => foreground > 0 && !stopped;
      while (isBusy() && timeNow() < limit) await sleep(20);
      return foreground === 0;
    },
    background: { now: timeNow, after: (ms, run) => add(ms, run, false), park: sleep },
    stop() {
      stopped = true;
      for (const timeout of timers) clearTimeout(timeout);
      timers.clear();
    },
  };
}
