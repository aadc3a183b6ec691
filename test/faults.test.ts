import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apart } from './apart.js';
import { every } from './crashing.js';

/** `npm run soak` draws 3,000, these among them, and replays one by `npm run soak -- SEED`. */
const SEEDS = 100 / every(5);

test('no storm loses a request or ends in a third state', async (t) => {
  const wrong = await apart<string[]>(new URL('./faults.js', import.meta.url), 'storms', SEEDS);
  t.diagnostic(`${SEEDS} seeds`);
  assert.deepEqual(wrong, []);
});
