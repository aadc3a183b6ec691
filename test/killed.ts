import assert from 'node:assert/strict';
import { memoryStore } from '../src/journal.js';
import type { Plan } from '../src/plan.js';
import type { Playbook } from '../src/playbook.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import type { Phase } from '../src/step.js';
import type { Seed } from '../src/twin/types.js';
import { crashing, engineOn, mustBeDone, stageFor } from './shop.js';

export interface Killing {
  /** of the same move, made before */
  plan: Plan;
  phases: readonly Phase[];
  after: 'run' | 'rollback';
  clientsPerSecond?: number;
}

/** @returns the world at the end, how many requests failed, and the journal's text at the moment of the kill */
export interface Killed {
  world: unknown;
  failed: number;
  left: string;
}

/** A move whose process is killed after that many effects; then whatever `after` says, with the same world and the same journal. */
export async function killedAt(
  at: number,
  move: { playbook: Playbook; seed: Seed },
  { plan, phases, after, clientsPerSecond = 5 }: Killing,
): Promise<Killed> {
  const crash = crashing(at);
  const lines = memoryStore();
  let revived = false;
  const { stage, engine } = await stageFor(move, {
    tap: (call, send) => (revived ? send() : crash.tap(call, send)),
    store: crash.wrap(lines),
    plan,
    clientsPerSecond,
  });
  try {
    crash.arm();
    await run(plan, phases, engine).catch(() => undefined);
    assert.ok(crash.crashed(), `point ${at} was not reached`);
    const left = lines.read();
    revived = true;
    const again = engineOn(stage, lines);
    mustBeDone(after === 'run' ? await run(plan, phases, again) : await rollback(undefined, again));
    await stage.twin.settle();
    return { world: stage.twin.snapshot(), failed: stage.twin.clients.counts().failed, left };
  } finally {
    await stage.close();
  }
}
