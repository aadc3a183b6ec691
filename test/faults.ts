import { run } from '../src/run.js';
import { rollback } from '../src/rollback.js';
import type { Plan } from '../src/plan.js';
import { memoryStore } from '../src/journal.js';
import { differences } from '../src/cli/rehearse.js';
import { seededFaults } from '../src/twin/faults.js';
import { engineOn, mustBeDone, quickShop, stageFor, undrawn } from './shop.js';

/** The shop's whole way, without a fault: the two states that any other way must end in. */
export async function calmWays(): Promise<{ plan: Plan; start: unknown; end: unknown }> {
  const { stage, plan, engine, start } = await stageFor(quickShop(), { clientsPerSecond: 5 });
  try {
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    await stage.twin.settle();
    return { plan, start, end: stage.twin.snapshot() as unknown };
  } finally {
    await stage.close();
  }
}

/** As often as an operator would try again before asking somebody. */
const TRIES = 5;

/**
 * One move through a storm drawn from the seed: throttling, conflicts, busy codes, lost and slow replies, a server gone for a while. It
 * goes forward, and for odd seeds all the way back too.
 *
 * @returns what was wrong, in words; nothing when all was as it must be
 */
export async function storm(
  seed: number,
  { plan, start, end }: { plan: Plan; start: unknown; end: unknown },
): Promise<string[]> {
  // An API server or the cloud is gone for up to 40 s of virtual time, at a moment that the seed draws.
  const gone = (['source', 'target', 'cloud'] as const)[seed % 3] ?? 'source';
  let now = () => 0;
  const faults = seededFaults(seed, {
    rate: 0.08,
    outages: [{ to: gone, fromMs: (seed * 7919) % 240_000, forMs: 5000 + ((seed * 104_729) % 35_000) }],
    now: () => now(),
  });
  const { stage } = await stageFor(quickShop(), { faults, clientsPerSecond: 5, plan });
  now = () => stage.twin.clock.now();
  const store = memoryStore();
  const wrong: string[] = [];
  try {
    let forward = engineOn(stage, store);
    let outcome = await run(plan, ['data', 'traffic'], forward);
    for (let attempt = 1; outcome.outcome === 'stopped' && attempt < TRIES; attempt++) {
      forward = engineOn(stage, store);
      outcome = await run(plan, ['data', 'traffic'], forward);
    }
    mustBeDone(outcome);
    await stage.twin.settle();
    const missed = differences(undrawn(end), undrawn(stage.twin.snapshot()));
    if (missed.length > 0) wrong.push(`a third state: ${missed.slice(0, 3).join('; ')}`);
    if (seed % 2 === 1) {
      let back = await rollback(undefined, engineOn(stage, store));
      for (let attempt = 1; back.outcome === 'stopped' && attempt < TRIES; attempt++)
        back = await rollback(undefined, engineOn(stage, store));
      mustBeDone(back);
      await stage.twin.settle();
      const left = differences(undrawn(start), undrawn(stage.twin.snapshot()));
      if (left.length > 0) wrong.push(`not back at the start: ${left.slice(0, 3).join('; ')}`);
    }
    const { failed, sent } = stage.twin.clients.counts();
    if (failed > 0) wrong.push(`${failed} of ${sent} requests failed`);
  } catch (error) {
    wrong.push(String(error));
  } finally {
    await stage.close();
  }
  return wrong;
}

/** The storms of the seeds from 1 on: what was wrong with each, and how to see it again. */
export async function storms(seeds: number): Promise<string[]> {
  const ways = await calmWays();
  const wrong: string[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    for (const it of await storm(seed, ways)) wrong.push(`seed ${seed}: ${it} (replay: npm run soak -- ${seed})`);
  }
  return wrong;
}
