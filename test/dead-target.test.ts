import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from '../src/cli/rehearse.js';
import { memoryStore } from '../src/journal.js';
import type { Call } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { mustOweNothing, run } from '../src/run.js';
import { engineOn, mustBeDone, quickShop, stageFor } from './shop.js';

const ofEach = (length: number, type: string, weight: number) => Array.from({ length }, () => [type, weight]);

test('with the target’s API server dead the way back begins with the traffic, owes the rest, and pays it later', async () => {
  const writes: string[] = [];
  const tap = async <T>(call: Call, send: () => Promise<T>): Promise<T> => {
    if (call.writes) writes.push(`${call.to} ${call.verb} ${call.what.split('?')[0]}`);
    return send();
  };
  const store = memoryStore();
  const { stage, plan, engine, start } = await stageFor(quickShop(), { clientsPerSecond: 5, store, tap });
  const { twin } = stage;
  try {
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    await twin.settle();
    twin.target.down();
    writes.length = 0;
    const began = twin.clock.now();
    mustBeDone(await rollback(undefined, engineOn(stage, store)));
    const tookMs = twin.clock.now() - began;

    assert.equal(
      writes.find((it) => !it.startsWith('target')),
      'source PATCH /api/v1/namespaces/shop/services/web',
    );
    const members = twin.cloud.api.listenerBackends('lb-shop', 80) ?? [];
    assert.deepEqual(
      members.map((it) => [it.type, it.weight]),
      [...ofEach(3, 'ecs', 100), ...ofEach(4, 'eni', 0)],
    );
    // The first step that waits in vain waits the whole patience; the others don't wait again.
    assert.ok(tookMs < 5 * 60_000, `${tookMs} ms`);
    const owing = engineOn(stage, store)
      .journal.debts()
      .map((it) => it.record.step.id);
    assert.ok(owing.includes('traffic/1') && owing.includes('data/disk/shop/orders/disk'), owing.join());
    assert.equal(twin.clients.counts().failed, 0);

    // Nor does a new run begin over what is left there.
    assert.throws(() => mustOweNothing(engineOn(stage, store).journal), { code: 'ROLLBACK_UNFINISHED' });

    twin.target.up();
    mustBeDone(await rollback(undefined, engineOn(stage, store)));
    assert.deepEqual(engineOn(stage, store).journal.debts(), []);
    mustOweNothing(engineOn(stage, store).journal);
    await twin.settle();
    assert.deepEqual(differences(start, twin.snapshot()), []);
    assert.equal(twin.clients.counts().failed, 0);
  } finally {
    await stage.close();
  }
});
