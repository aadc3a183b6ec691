import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Side } from '../src/ports.js';

/**
 * Writes to both sides all the time, each write under a number of its own, and notes which were acknowledged, by whom and when. Of a pair
 * of databases one side at most may take them.
 */
export interface Checker {
  /** Begins to judge anew, at a moment when nothing is under way. */
  mark(): void;
  /** Since the mark: how many were taken where, the longest time in which none was, and the moments when the side changed. */
  since(): Judged;
  /** Every number that was ever acknowledged. */
  acknowledged(): number[];
  /** Acknowledged by that side. */
  by(side: Side): number;
  stop(): Promise<void>;
}

export interface Judged {
  taken: Record<Side, number>;
  /** but for the longest pause */
  perSecond: number;
  pauseMs: number;
  /** a write that began on one side after a later owner had taken one */
  twoWriters: string[];
  owner: Side | undefined;
}

interface Ack {
  id: number;
  side: Side;
  began: number;
  ended: number;
}

export interface WriterOptions {
  /** Connects and returns what makes one write; `close` drops the connection however it is. */
  connect(side: Side): Promise<{ write(id: number): Promise<void>; close(): void }>;
  /** writers on each side */
  width?: number;
  /** before a new connection is tried: where each costs the server a process, a shorter pause measures the machine */
  retryMs?: number;
}

export function startChecker({ connect, width = 4, retryMs = 60 }: WriterOptions): Checker {
  const acks: Ack[] = [];
  let next = 0;
  let stopped = false;
  let from = 0;
  let markedAt = performance.now();

  async function writer(side: Side): Promise<void> {
    let session: Awaited<ReturnType<typeof connect>> | undefined;
    while (!stopped) {
      const id = ++next;
      const began = performance.now();
      let pauseMs = 3;
      try {
        session ??= await connect(side);
        await within(session.write(id), 8000);
        acks.push({ id, side, began, ended: performance.now() });
      } catch (error) {
        pauseMs = 12;
        if (isFatal(error)) {
          pauseMs = retryMs;
          session?.close();
          session = undefined;
        }
      }
      await sleep(pauseMs);
    }
    session?.close();
  }

  const writers = (['source', 'target'] as const).flatMap((side) => Array.from({ length: width }, () => writer(side)));
  return {
    mark() {
      from = acks.length;
      markedAt = performance.now();
    },
    since: () => judge(acks.slice(from), (performance.now() - markedAt) / 1000),
    acknowledged: () => acks.map((it) => it.id),
    by: (side) => acks.filter((it) => it.side === side).length,
    async stop() {
      stopped = true;
      await Promise.all(writers);
    },
  };
}

/** A refusal by the server leaves the session; anything else may have ended it. */
const isFatal = (error: unknown) => !(error as { refused?: boolean } | undefined)?.refused;

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  const late = new AbortController();
  try {
    return await Promise.race([
      work,
      sleep(ms, undefined, { signal: late.signal }).then(() => {
        throw new Error('no answer');
      }),
    ]);
  } finally {
    late.abort();
  }
}

function judge(acks: readonly Ack[], seconds: number): Judged {
  const taken = { source: 0, target: 0 };
  for (const it of acks) taken[it.side]++;
  const ended = acks.map((it) => it.ended).sort((a, b) => a - b);
  const pauseMs = ended.slice(1).reduce((longest, it, index) => Math.max(longest, it - (ended[index] ?? it)), 0);
  const owner = acks.at(-1)?.side;
  return {
    taken,
    perSecond: acks.length / (seconds - pauseMs / 1000),
    pauseMs,
    twoWriters: owner ? overlaps(acks, owner) : [],
    owner,
  };
}

/**
 * Between two marks the writes go from one side to the other once at most. So no write of the first side may have begun after one of the
 * last side's was acknowledged.
 */
function overlaps(acks: readonly Ack[], owner: Side): string[] {
  const firstOfOwner = Math.min(...acks.filter((it) => it.side === owner).map((it) => it.ended));
  return acks
    .filter((it) => it.side !== owner && it.began > firstOfOwner)
    .map(
      (it) => `${it.side} took ${it.id} ${(it.began - firstOfOwner).toFixed(1)} ms after ${owner} had taken its first`,
    );
}

/** After a switch-over to that side: it took writes, nobody else did beside it, and enough of them were made for that to mean something. */
export function mustServe(judged: Judged, side: Side): void {
  assert.deepEqual(judged.twoWriters, []);
  assert.equal(judged.owner, side);
  // Two idle cores make 300 to 500; where others compute beside it, half of 200 still means something.
  assert.ok(judged.perSecond >= 100, `only ${judged.perSecond.toFixed(0)} writes a second`);
}

/** Waits until the side has taken so many writes since now. */
export async function untilServed(checker: Checker, side: Side, writes = 20): Promise<void> {
  const before = checker.by(side);
  for (let turn = 0; turn < 1000; turn++) {
    if (checker.by(side) >= before + writes) return;
    await sleep(10);
  }
  assert.fail(`the ${side} takes no writes`);
}

/** Every write that was acknowledged until now is among those that the side holds. */
export async function noneLost(
  checker: Checker,
  side: Side,
  held: (side: Side) => Promise<ReadonlySet<number>>,
): Promise<void> {
  const acknowledged = checker.acknowledged();
  const found = await held(side);
  const lost = acknowledged.filter((it) => !found.has(it));
  assert.deepEqual(lost.slice(0, 20), [], `${lost.length} acknowledged writes are not on the ${side}`);
}
