import assert from 'node:assert/strict';
import { memoryStore } from '../src/journal.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import { differences } from '../src/cli/rehearse.js';
import { crashing, every, engineOn, mustBeDone, quickShop, stageFor, undrawn } from './shop.js';

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

/** Killed after that many effects; then whatever `after` does with the same world and the same journal. */
async function killed(at: number, plan: Awaited<ReturnType<typeof uninterrupted>>['plan'], after: 'run' | 'rollback') {
  const crash = crashing(at);
  const lines = memoryStore();
  let revived = false;
  const { stage, engine } = await stageFor(quickShop(HOLD), {
    tap: (call, send) => (revived ? send() : crash.tap(call, send)),
    store: crash.wrap(lines),
    plan,
    clientsPerSecond: 5,
  });
  try {
    crash.arm();
    await run(plan, ['data', 'traffic'], engine).catch(() => undefined);
    assert.ok(crash.crashed(), `point ${at} was not reached`);
    revived = true;
    const again = engineOn(stage, lines);
    mustBeDone(after === 'run' ? await run(plan, ['data', 'traffic'], again) : await rollback(undefined, again));
    await stage.twin.settle();
    return { world: stage.twin.snapshot() as unknown, requests: stage.twin.clients.counts() };
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
        const { world, requests } = await killed(at, plan, after);
        const places = differences(undrawn(after === 'run' ? end : start), undrawn(world));
        if (places.length > 0) wrong.push(`point ${at}, ${after}: ${places.slice(0, 3).join('; ')}`);
        if (requests.failed > 0) wrong.push(`point ${at}, ${after}: ${requests.failed} requests failed`);
      } catch (error) {
        wrong.push(`point ${at}, ${after}: ${String(error)}`);
      }
    }
  }
  return { steps: plan.steps.length, points, wrong };
}
