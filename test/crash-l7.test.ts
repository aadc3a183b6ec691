import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { differences } from '../src/cli/rehearse.js';
import { memoryStore } from '../src/journal.js';
import type { Plan } from '../src/plan.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import type { Phase } from '../src/step.js';
import type { Seed } from '../src/twin/types.js';
import { seededFaults } from '../src/twin/faults.js';
import { killedAt } from './killed.js';
import { crashing, engineOn, every, mustBeDone, ROOT, shipped, stageFor } from './shop.js';

const EVERY = every(6);
const PHASES: Phase[] = ['traffic', 'complete'];
const NAMES = ['gateway', 'ingress', 'ingress service-weight', 'ingress edas', 'istio'] as const;

/** `world style` */
function short(way: string): { playbook: Playbook; seed: Seed } {
  const [name = '', style] = way.split(' ');
  const text = readFileSync(path.join(ROOT, 'playbooks', `${name}.yaml`), 'utf8')
    .replace(/^ {2}hold: .*$/m, '  hold: 3s')
    .replace(/^ {2}steps: .*$/m, style === 'edas' ? '  steps: [100]' : '  steps: [20, 100]')
    .replace('ingress: web,', style === undefined ? '$&' : `$& style: ${style},`)
    .replace(/^ {2}gates:\n(?: {4}.*\n?)+/m, '');
  return { playbook: parsePlaybook(text, `${name}.yaml`), seed: shipped(name).seed };
}

async function uninterrupted(name: string): Promise<{ plan: Plan; start: unknown; end: unknown; points: number }> {
  const crash = crashing(Infinity);
  const store = crash.wrap(memoryStore());
  const { stage, plan, engine, start } = await stageFor(short(name), { tap: crash.tap, store, clientsPerSecond: 5 });
  try {
    crash.arm();
    mustBeDone(await run(plan, PHASES, engine));
    await stage.twin.settle();
    return { plan, start, end: stage.twin.snapshot(), points: crash.effects() };
  } finally {
    await stage.close();
  }
}

for (const [offset, name] of NAMES.entries())
  test(`${name}: killed at points of the way, it goes on to the same end and back to the same start`, async (t) => {
    const { plan, start, end, points } = await uninterrupted(name);
    t.diagnostic(`${plan.steps.length} steps, ${points + 1} points, every ${EVERY}.`);
    const wrong: string[] = [];
    for (let at = offset % EVERY; at <= points; at += EVERY)
      for (const after of ['run', 'rollback'] as const) {
        try {
          const { world, failed } = await killedAt(at, short(name), { plan, phases: PHASES, after });
          const places = differences(after === 'run' ? end : start, world);
          if (places.length > 0) wrong.push(`point ${at}, ${after}: ${places.slice(0, 3).join('; ')}`);
          if (failed > 0) wrong.push(`point ${at}, ${after}: ${failed} requests failed`);
        } catch (error) {
          wrong.push(`point ${at}, ${after}: ${String(error)}`);
        }
      }
    assert.deepEqual(wrong, []);
  });

for (const name of NAMES)
  test(`${name}: through faults of every kind it comes to the same end, and back`, async () => {
    const { plan, start, end } = await uninterrupted(name);
    for (const seed of [1, 2, 3]) {
      const { stage } = await stageFor(short(name), {
        faults: seededFaults(seed, { rate: 0.1 }),
        clientsPerSecond: 5,
        plan,
      });
      try {
        const store = memoryStore();
        const tried = async (act: () => Promise<Awaited<ReturnType<typeof run>>>): Promise<void> => {
          let outcome = await act();
          for (let attempt = 1; outcome.outcome === 'stopped' && attempt < 5; attempt++) outcome = await act();
          mustBeDone(outcome);
          await stage.twin.settle();
        };
        await tried(() => run(plan, PHASES, engineOn(stage, store)));
        assert.deepEqual(differences(end, stage.twin.snapshot()), [], `seed ${seed}`);
        await tried(() => rollback(undefined, engineOn(stage, store)));
        assert.deepEqual(differences(start, stage.twin.snapshot()), [], `seed ${seed}, back`);
        assert.equal(stage.twin.clients.counts().failed, 0, `seed ${seed}`);
      } finally {
        await stage.close();
      }
    }
  });
