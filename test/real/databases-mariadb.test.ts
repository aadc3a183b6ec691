import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { mysqlSession } from '../../src/db/mysql-session.js';
import { isMigrateError } from '../../src/errors.js';
import { memoryStore } from '../../src/journal.js';
import type { Side } from '../../src/ports.js';
import { run } from '../../src/run.js';
import { noneLost, startChecker, untilServed, type Checker } from '../checker.js';
import { killedAtEach, thereAndBack } from '../database-exercise.js';
import { killedOutright } from '../database-kills.js';
import { entry, planFor, stageOn } from '../database-stage.js';
import { databaseFamily, startMariaDb } from '../servers/databases.js';

const family = databaseFamily();
const ports: Record<Side, number> = { source: 0, target: 0 };
const env = { ORDERS_ADMIN: 'adm1n-c4n4ry', ORDERS_COPIER: 'c0pier-c4n4ry' };
let checker: Checker;
let killTarget = (): Promise<void> => Promise.resolve();

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
  killTarget = target.kill;
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

test('MariaDB: a server that quotes our statement in its error tells no password', async () => {
  const session = mysqlSession({
    side: 'source',
    host: '127.0.0.1',
    port: ports.source,
    tls: 'no',
    user: 'admin',
    password: env.ORDERS_ADMIN,
    secrets: Object.values(env),
    tap: (_call, send) => send(),
  });
  const told = (act: Promise<unknown>) =>
    act.then(
      () => 'done',
      (error: unknown) => `${String(error)} ${JSON.stringify(error)}`,
    );
  const quoted = await told(session.set('copy from the other', 'CHANGE MASTER TO BOGUS = ?', [env.ORDERS_COPIER]));
  assert.match(quoted, /DB_REFUSED.*near 'BOGUS = /);
  assert.doesNotMatch(quoted, /c4n4ry/);
  await session.close();
});

const exercise = (more?: object) => ({ database: database(more), env, checker, held: written });

test('MariaDB: a replica is copied under steady writes, takes them over, and gives them back', (t) =>
  thereAndBack(t, exercise({ replica: 'build' }), 10));

test('MariaDB: killed at each step, the switch-over goes on and goes back', (t) => killedAtEach(t, exercise(), 15));

test('MariaDB: the process is ended by SIGKILL at each step, and goes on and goes back', (t) =>
  killedOutright(t, exercise(), { least: 12, turned: 4 }));

test('MariaDB: when the new server dies while nobody can write, the old one takes writes again', async () => {
  checker.mark();
  const stage = stageOn(memoryStore(), {
    env,
    tap: async (call, send) => {
      const answer = await send();
      // The source is closed and follows already; the next question finds nobody there.
      if (call.to === 'source' && call.what === 'start copying') await killTarget();
      return answer;
    },
  });
  const ended = await run(planFor([database()]), ['data'], stage.engine);
  assert.ok(ended.outcome === 'stopped' && isMigrateError(ended.error, 'DB_UNREACHABLE'), JSON.stringify(ended));
  await untilServed(checker, 'source', 50);
  assert.deepEqual(checker.since().taken.target, 0);
  await noneLost(checker, 'source', written);
});
