import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../src/twin/random.js';
import { AFTERS, ALL, faultyAt, killedAt, killedBackAt, wholeRun, type After } from './disk-kills.js';
import type { DisksOptions } from './disk-world.js';

/**
 * The process killed at each point of a move of disks: it goes on to exactly one copy each, and goes back with none left or with just those
 * that it names.
 */

const SMALL: DisksOptions = { sets: [2], deployments: ALL ? 1 : 0, encryptedEvery: 2 };

async function wrongOf(
  points: readonly [number, After][],
  options: DisksOptions,
  plan: Parameters<typeof killedAt>[2],
) {
  const wrong: string[] = [];
  for (const [at, after] of points) {
    try {
      for (const it of await killedAt(at, options, plan, after)) wrong.push(`point ${at}, ${after}: ${it}`);
    } catch (error) {
      wrong.push(`point ${at}, ${after}: ${String(error)}`);
    }
  }
  return wrong;
}

test('killed at any point, each disk still gets exactly one copy, and the way back leaves what it says', async (t) => {
  const { plan, points } = await wholeRun(SMALL);
  assert.ok(points > 40, `only ${points} effects`);
  const began = performance.now();
  const every = Array.from({ length: points + 1 }, (_, at) => at).flatMap((at) =>
    AFTERS.map((after): [number, After] => [at, after]),
  );
  // 19 has no divisor in common with the four ways, so each way meets points of every kind.
  const tried = every.filter((_, index) => ALL || index % 19 === 0);
  assert.deepEqual(await wrongOf(tried, SMALL, plan), []);
  t.diagnostic(`${points + 1} points, ${tried.length} lives, ${((performance.now() - began) / 1000).toFixed(1)} s`);
});

test('a way back that is killed at any point is ended by the next', async (t) => {
  const { plan } = await wholeRun(SMALL);
  const wrong: string[] = [];
  let points = 0;
  for (const deletesCopies of [true, false])
    for (let at = ALL ? 0 : 7; ; at += ALL ? 1 : 23) {
      const found = await killedBackAt(at, SMALL, plan, deletesCopies);
      if (!found) break;
      points++;
      for (const it of found) wrong.push(`point ${at}, ${deletesCopies ? 'delete' : 'keep'}: ${it}`);
    }
  t.diagnostic(`${points} points`);
  assert.deepEqual(wrong, []);
});

test('a reply that is lost, and a request that never arrives, make no second copy', async (t) => {
  const { plan, writes } = await wholeRun(SMALL);
  const wrong: string[] = [];
  for (let index = 0; index < writes; index += ALL ? 1 : 3)
    for (const kind of ALL ? (['lose', 'cut'] as const) : [index % 2 === 1 ? ('cut' as const) : ('lose' as const)])
      for (const it of await faultyAt(index, { kind }, SMALL, { plan })) wrong.push(`write ${index}, ${kind}: ${it}`);
  t.diagnostic(`${writes} writes`);
  assert.deepEqual(wrong, []);
});

test('a hundred disks are killed at points that the seed draws', async (t) => {
  const hundred: DisksOptions = {
    sets: Array.from({ length: ALL ? 18 : 4 }, () => 5),
    deployments: ALL ? 10 : 4,
    encryptedEvery: 10,
  };
  const { plan, points } = await wholeRun(hundred);
  const draw = seededRandom('disk kills');
  const drawn = Array.from({ length: ALL ? 120 : 2 }, (_, index): [number, After] => [
    Math.floor(draw() * (points + 1)),
    AFTERS[index % AFTERS.length] ?? 'run',
  ]);
  const began = performance.now();
  assert.deepEqual(await wrongOf(drawn, hundred, plan), []);
  t.diagnostic(`${drawn.length} of ${points + 1} points, ${((performance.now() - began) / 1000).toFixed(1)} s`);
});
