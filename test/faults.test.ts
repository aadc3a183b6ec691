import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calmWays, storm } from './faults.js';

/** The ordinary run draws these; `npm run soak` draws thirty times as many, and replays one by `npm run soak -- SEED`. */
const SEEDS = 100;

test('no storm loses a request or ends in a third state', async (t) => {
  const ways = await calmWays();
  const wrong: string[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    for (const it of await storm(seed, ways)) wrong.push(`seed ${seed}: ${it} (replay: npm run soak -- ${seed})`);
  }
  t.diagnostic(`${SEEDS} seeds`);
  assert.deepEqual(wrong, []);
});
