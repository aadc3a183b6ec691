import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apart } from './apart.js';
import type { killedEverywhere } from './crash.js';
import { every } from './crashing.js';

test('killed at any point, a run goes on to the same end and goes back to the same start', async (t) => {
  type Found = Awaited<ReturnType<typeof killedEverywhere>>;
  const { steps, points, wrong } = await apart<Found>(new URL('./crash.js', import.meta.url), 'killedEverywhere');
  t.diagnostic(`${steps} steps, ${points + 1} points, every ${every(3)}. resumed and rolled back`);
  assert.ok(points > 60, `only ${points} effects`);
  assert.deepEqual(wrong, []);
});
