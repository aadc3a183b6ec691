import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStore } from '../src/journal.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import { mustBeDone } from './crashing.js';
import { seenOf } from './database-exercise.js';
import { entry, planFor, stageOn } from './database-stage.js';
import { startMySqlModels } from './servers/mysql-model.js';

test("MySQL is switched over and back in MySQL's own words", async () => {
  const [source, target] = await startMySqlModels();
  const server = (port: number) => ({ host: '127.0.0.1', port, user: 'admin', password: { env: 'ORDERS' } });
  const database = entry({
    kind: 'mysql',
    name: 'shop/orders',
    source: server(source.port),
    target: server(target.port),
  });
  const env = { ORDERS: 'adm1n-c4n4ry' };
  const store = memoryStore();
  try {
    const seen = await seenOf({ database, env });
    assert.deepEqual([seen.unfit, seen.doubts], [[], []]);
    assert.equal(seen.wayBack, `127.0.0.1:${target.port} as admin`);
    target.loadsPersisted = false;
    assert.deepEqual((await seenOf({ database, env })).doubts, [
      'the target does not load what was persisted (persisted_globals_load): a restart may undo its fence',
    ]);
    mustBeDone(await run(planFor([database]), ['data'], stageOn(store, { env }).engine));
    assert.deepEqual([source.superReadOnly, target.superReadOnly], [true, false]);
    assert.deepEqual([source.source?.port, source.source?.running, target.source], [target.port, true, undefined]);
    assert.deepEqual([source.events, target.events], ['OFF', 'ON']);
    target.executed += 50;
    mustBeDone(await rollback(undefined, stageOn(store, { env }).engine));
    assert.deepEqual([source.superReadOnly, target.superReadOnly], [false, true]);
    assert.deepEqual([target.source?.port, target.source?.running, source.source], [source.port, true, undefined]);
    assert.deepEqual([source.events, target.events], ['ON', 'OFF']);
    assert.equal(source.executed, 150);
    assert.ok(source.statements.includes('KILL 7'));
    assert.doesNotMatch(store.lines.join('\n'), /c4n4ry/);
  } finally {
    await Promise.all([source.stop(), target.stop()]);
  }
});
