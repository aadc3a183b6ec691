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
  /** over the time in which writes were open: all but the pauses */
  perSecond: number;
  /** how often each side was asked to take a write, taken or not */
  tried: Record<Side, number>;
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
  /** writers on each side; each has a connection of its own and waits for its answer before the next */
  width?: number;
  /** before a new connection is tried: where each costs the server a process, a shorter pause measures the machine */
  retryMs?: number;
}

/** More than is held to, so that a busy machine still comes to that; a quick one is not kept busy by it. */
const WANTED_PER_SECOND = 400;

export function startChecker({ connect, width = 10, retryMs = 60 }: WriterOptions): Checker {
  const acks: Ack[] = [];
  const tried = { source: 0, target: 0 };
  let triedBefore = { ...tried };
  let next = 0;
  let stopped = false;
  let from = 0;
  const periodMs = (1000 * width) / WANTED_PER_SECOND;
  let markedAt = performance.now();

  async function writer(side: Side): Promise<void> {
    let session: Awaited<ReturnType<typeof connect>> | undefined;
    while (!stopped) {
      const id = ++next;
      const began = performance.now();
      // As long as it takes until its turn comes again; none where the server takes that long itself.
      let pauseMs = 0;
      tried[side]++;
      try {
        session ??= await connect(side);
        await within(session.write(id), 8000);
        const ended = performance.now();
        acks.push({ id, side, began, ended });
        pauseMs = Math.max(0, periodMs - (ended - began));
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
      triedBefore = { ...tried };
    },
    since: () => ({
      ...judge(acks.slice(from), (performance.now() - markedAt) / 1000),
      tried: { source: tried.source - triedBefore.source, target: tried.target - triedBefore.target },
    }),
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

/** Between two writes of so many a second, so long a time means that nobody could write. */
const PAUSE_MS = 200;

function judge(acks: readonly Ack[], seconds: number): Omit<Judged, 'tried'> {
  const taken = { source: 0, target: 0 };
  for (const it of acks) taken[it.side]++;
  const ended = acks.map((it) => it.ended).sort((a, b) => a - b);
  const gaps = ended.slice(1).map((it, index) => it - (ended[index] ?? it));
  const pauseMs = gaps.reduce((longest, it) => Math.max(longest, it), 0);
  const closedMs = gaps.filter((it) => it > PAUSE_MS).reduce((sum, it) => sum + it, 0);
  const owner = acks.at(-1)?.side;
  return {
    taken,
    perSecond: acks.length / (seconds - closedMs / 1000),
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

/**
 * After a switch-over to that side: it took writes, nobody else did beside it, and enough of them were made for that to mean something.
 *
 * @param oneCluster  both sides are members of it, so either takes writes
 */
export function mustServe(judged: Judged, side: Side, oneCluster = false): void {
  if (!oneCluster) assert.deepEqual(judged.twoWriters, []);
  assert.equal(judged.owner, side);
  assert.ok(judged.perSecond >= 200, `only ${judged.perSecond.toFixed(0)} writes a second`);
  for (const one of ['source', 'target'] as const)
    assert.ok(judged.tried[one] >= 20, `the ${one} was asked ${judged.tried[one]} times only`);
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
