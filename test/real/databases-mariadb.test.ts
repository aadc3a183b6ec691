import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { memoryStore } from '../../src/journal.js';
import type { Side } from '../../src/ports.js';
import { rollback } from '../../src/rollback.js';
import { run } from '../../src/run.js';
import { mustServe, noneLost, startChecker, untilServed, type Checker } from '../checker.js';
import { entry, planFor, stageOn } from '../database-stage.js';
import { databaseFamily, startMariaDb } from '../servers/databases.js';
import { crashing, mustBeDone } from '../crashing.js';

const family = databaseFamily();
const ports: Record<Side, number> = { source: 0, target: 0 };
const env = { ORDERS_ADMIN: 'adm1n-c4n4ry', ORDERS_COPIER: 'c0pier-c4n4ry' };
let checker: Checker;

const admin = (side: Side) =>
  createConnection({ host: '127.0.0.1', port: ports[side], user: 'admin', password: env.ORDERS_ADMIN });

/** What the side has of the checker's writes. */
async function written(side: Side): Promise<Set<number>> {
  const connection = await admin(side);
  try {
    const [rows] = await connection.query({ sql: 'SELECT id FROM shop.orders', rowsAsArray: true });
    return new Set((rows as unknown as number[][]).map(([id = 0]) => id));
  } finally {
    connection.destroy();
  }
}

const database = (more: object = {}) =>
  entry({
    kind: 'mariadb',
    name: 'shop/orders',
    source: { host: '127.0.0.1', port: ports.source, user: 'admin', password: { env: 'ORDERS_ADMIN' } },
    target: { host: '127.0.0.1', port: ports.target, user: 'admin', password: { env: 'ORDERS_ADMIN' } },
    replication: { user: 'copier', password: { env: 'ORDERS_COPIER' } },
    ...more,
  });

before(async () => {
  const [source, target] = await Promise.all([startMariaDb(family, 'source', 1), startMariaDb(family, 'target', 2)]);
  ports.source = source.port;
  ports.target = target.port;
  const connection = await admin('source');
  await connection.query('CREATE DATABASE shop');
  await connection.query('CREATE TABLE shop.orders (id BIGINT PRIMARY KEY, at DATETIME(6) DEFAULT NOW(6))');
  connection.destroy();
  checker = startChecker({
    connect: async (side) => {
      const session = await createConnection({
        host: '127.0.0.1',
        port: ports[side],
        user: 'app',
        password: 'app',
        database: 'shop',
      });
      session.on('error', () => undefined);
      return {
        write: async (id) => {
          try {
            await session.query('INSERT INTO orders (id) VALUES (?)', [id]);
          } catch (error) {
            // 1290: the server is read-only
            throw Object.assign(error as Error, { refused: (error as { errno?: number }).errno === 1290 });
          }
        },
        close: () => session.destroy(),
      };
    },
  });
  await untilServed(checker, 'source');
});

after(async () => {
  await checker?.stop();
  await family.stop();
});

test('MariaDB: a replica is copied under steady writes, takes them over, and gives them back', async (t) => {
  const plan = planFor([database({ replica: 'build' })]);
  const store = memoryStore();
  // Killed in the middle of copying; the next run finds the half of it and begins anew.
  const crash = crashing(10);
  const first = stageOn(crash.wrap(store), { env, tap: crash.tap });
  crash.arm();
  await run(plan, ['data'], first.engine).catch(() => undefined);
  await first.dropConnections();
  assert.ok(crash.crashed());
  const stage = stageOn(store, { env });
  checker.mark();
  mustBeDone(await run(plan, ['data'], stage.engine));
  await untilServed(checker, 'target', 200);
  const forward = checker.since();
  mustServe(forward, 'target');
  await noneLost(checker, 'target', written);
  t.diagnostic(
    `forward: ${forward.perSecond.toFixed(0)} writes/s, nobody could write for ${forward.pauseMs.toFixed(0)} ms`,
  );

  checker.mark();
  mustBeDone(await rollback('data/database/shop/orders/replica', stage.engine));
  await untilServed(checker, 'source', 200);
  const back = checker.since();
  mustServe(back, 'source');
  await noneLost(checker, 'source', written);
  t.diagnostic(`back: ${back.perSecond.toFixed(0)} writes/s, nobody could write for ${back.pauseMs.toFixed(0)} ms`);
  assert.ok(forward.pauseMs < 2000 && back.pauseMs < 2000, 'the pause is longer than 2 s');
});

test('MariaDB: killed at each step, the switch-over goes on and goes back', async (t) => {
  const plan = planFor([database()]);
  const pauses: number[] = [];
  let points = 0;
  for (let at = 1; ; at++) {
    let crashed = false;
    for (const way of ['run', 'rollback'] as const) {
      const crash = crashing(at);
      const store = memoryStore();
      const stage = stageOn(crash.wrap(store), { env, tap: crash.tap });
      checker.mark();
      crash.arm();
      await run(plan, ['data'], stage.engine).catch(() => undefined);
      await stage.dropConnections();
      crashed = crash.crashed();
      const again = stageOn(store, { env });
      if (way === 'rollback') {
        // What was done until then is one way, what comes now the other.
        assert.deepEqual(checker.since().twoWriters, [], `point ${at}, until it was killed`);
        checker.mark();
      } else {
        mustBeDone(await run(plan, ['data'], again.engine));
        await untilServed(checker, 'target', 10);
        const judged = checker.since();
        assert.deepEqual(judged.twoWriters, [], `point ${at}, ${way}`);
        pauses.push(judged.pauseMs);
        checker.mark();
      }
      mustBeDone(await rollback(undefined, again.engine));
      await untilServed(checker, 'source', 10);
      const judged = checker.since();
      assert.deepEqual(judged.twoWriters, [], `point ${at}, ${way}`);
      assert.equal(judged.owner, 'source');
      pauses.push(judged.pauseMs);
    }
    if (!crashed) break;
    points = at;
  }
  await noneLost(checker, 'source', written);
  assert.ok(points >= 15, `only ${points} points`);
  t.diagnostic(
    `${points} points, each resumed and rolled back; ${checker.acknowledged().length} writes; longest pause ${Math.max(...pauses).toFixed(0)} ms`,
  );
});
