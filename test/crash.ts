import { memoryStore } from '../src/journal.js';
import { run } from '../src/run.js';
import { differences } from '../src/cli/rehearse.js';
import { killedAt } from './killed.js';
import { crashing, every, mustBeDone, quickShop, stageFor, undrawn } from './shop.js';

/** Nothing is written while a share is held, so no point lies within: it need not be long. */
const HOLD = '1s';

/** One whole run, to know how many points there are and what the end looks like. */
async function uninterrupted() {
  const crash = crashing(Infinity);
  const store = crash.wrap(memoryStore());
  const { stage, plan, engine, start } = await stageFor(quickShop(HOLD), {
    tap: crash.tap,
    store,
    clientsPerSecond: 5,
  });
  try {
    crash.arm();
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    await stage.twin.settle();
    return { plan, start, end: stage.twin.snapshot() as unknown, points: crash.effects() };
  } finally {
    await stage.close();
  }
}

/** At each point killed and resumed, and killed and rolled back. */
export async function killedEverywhere(): Promise<{ steps: number; points: number; wrong: string[] }> {
  const { plan, start, end, points } = await uninterrupted();
  const wrong: string[] = [];
  for (let at = 0; at <= points; at += every(3)) {
    for (const after of ['run', 'rollback'] as const) {
      try {
        const { world, failed } = await killedAt(at, quickShop(HOLD), { plan, phases: ['data', 'traffic'], after });
        const places = differences(undrawn(after === 'run' ? end : start), undrawn(world));
        if (places.length > 0) wrong.push(`point ${at}, ${after}: ${places.slice(0, 3).join('; ')}`);
        if (failed > 0) wrong.push(`point ${at}, ${after}: ${failed} requests failed`);
      } catch (error) {
        wrong.push(`point ${at}, ${after}: ${String(error)}`);
      }
    }
  }
  return { steps: plan.steps.length, points, wrong };
}
