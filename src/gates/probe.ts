import { hypothesesOf, type ProbeGate } from '../gates.js';
import type { World } from '../ports.js';
import { sequentialTest } from '../sequential.js';
import { clipped, countText } from './evidence.js';
import type { Held, Watch } from './watch.js';

const BUCKET_MS = 5000;
/** Probes under way at once: an address that hangs must not pile up requests. */
const AT_ONCE = 4;

/**
 * Own requests through the front address, each on a connection of its own, so that the load balancer chooses anew. At a small share most of
 * them reach the source: a target that fails wholly at 1 % shows 1 % of failures here.
 */
export function watchProbe(
  gate: ProbeGate,
  { holdMs }: Pick<Held, 'holdMs'>,
  { clock, prober }: Pick<World, 'clock' | 'prober'>,
): Watch {
  const test = sequentialTest(hypothesesOf(gate));
  // A short hold has short buckets, so that there are some.
  const bucketMs = Math.min(BUCKET_MS, Math.max(gate.every, holdMs / 20));
  let bucket = { at: clock.now(), requests: 0, errors: 0 };
  let last: string | undefined;
  let underWay = 0;

  const ask = async () => {
    underWay++;
    const reply = await prober.probe(gate.probe);
    underWay--;
    if (clock.now() - bucket.at >= bucketMs) {
      test.add(bucket);
      bucket = { at: clock.now(), requests: 0, errors: 0 };
    }
    bucket.requests++;
    if (reply.ok) return;
    bucket.errors++;
    last = reply.error ?? `status ${reply.status ?? '?'}`;
  };

  return {
    everyMs: gate.every,
    // Nobody waits for the answer: one that hangs must not keep the next from going out in its time.
    look: () => {
      if (underWay < AT_ONCE) void ask();
      return Promise.resolve();
    },
    seen() {
      const figures = test.figures();
      const counts = { requests: figures.requests + bucket.requests, errors: figures.errors + bucket.errors };
      const verdict = test.verdict();
      const state = verdict === 'open' ? 'wait' : verdict;
      const missing = verdict === 'open' ? Math.max(0, figures.toGo - bucket.requests) : 0;
      return {
        state,
        why: countText('probe', counts, state, missing),
        evidence: {
          asked: clipped(gate.probe),
          ...counts,
          buckets: figures.buckets,
          score: Number(figures.score.toFixed(3)),
          missing,
          ...(last !== undefined && { last: clipped(last) }),
        },
      };
    },
  };
}
