import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { completeDatabases } from '../../src/databases.js';
import { mysqlSession } from '../../src/db/mysql-session.js';
import { isMigrateError } from '../../src/errors.js';
import { memoryStore } from '../../src/journal.js';
import type { Side } from '../../src/ports.js';
import { rollback } from '../../src/rollback.js';
import { run } from '../../src/run.js';
import { noneLost, startChecker, untilServed, type Checker } from '../checker.js';
import { killedAtEach, seenOf, thereAndBack } from '../database-exercise.js';
import { mustBeDone } from '../crashing.js';
import { killedOutright } from '../database-kills.js';
import { entry, planFor, stageOn } from '../database-stage.js';
import { databaseFamily, startMariaDb, type RunningMariaDb } from '../servers/databases.js';

const family = databaseFamily();
const ports: Record<Side, number> = { source: 0, target: 0 };
const env = { ORDERS_ADMIN: 'adm1n-c4n4ry', ORDERS_COPIER: 'c0pier-c4n4ry' };
let checker: Checker;
const servers = {} as Record<Side, RunningMariaDb>;

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
  [servers.source, servers.target] = await Promise.all([
    startMariaDb(family, 'source', 1),
    startMariaDb(family, 'target', 2),
  ]);
  for (const side of ['source', 'target'] as const) ports[side] = servers[side].port;
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

test('MariaDB: preflight names accounts that defy the fence, that are missing, or may not look; the rights in the docs are enough', async () => {
  const onBoth = async (...statements: string[]) => {
    for (const side of ['source', 'target'] as const) {
      const connection = await admin(side);
      for (const sql of ['SET sql_log_bin = 0', ...statements]) await connection.query(sql);
      connection.destroy();
    }
  };
  const as = (user: string, more: object = {}) => {
    const of = (side: Side) => ({ host: '127.0.0.1', port: ports[side], user, password: { env: 'ORDERS_LEAST' } });
    return {
      ...exercise({ source: of('source'), target: of('target'), ...more }),
      env: { ...env, ORDERS_LEAST: 'l3ast-c4n4ry' },
    };
  };
  await onBoth(
    "CREATE USER least@'127.0.0.1' IDENTIFIED BY 'l3ast-c4n4ry'",
    `GRANT READ ONLY ADMIN, REPLICATION SLAVE ADMIN, REPLICA MONITOR, CONNECTION ADMIN, PROCESS, BINLOG MONITOR, SUPER
     ON *.* TO least@'127.0.0.1'`,
  );
  const [lacks, blind, ...more] = (await seenOf(as('least'))).unfit ?? [];
  assert.equal(lacks, 'on the source our account lacks RELOAD');
  assert.match(blind ?? '', /^on the source our account may not read the rights of others/);
  assert.equal(more.length, 2);
  await onBoth("GRANT RELOAD ON *.* TO least@'127.0.0.1'", "GRANT SELECT ON mysql.* TO least@'127.0.0.1'");
  const leaks = (side: Side) =>
    `on the ${side} admin@127.0.0.1 may write in spite of read_only (list it under \`admins:\` when it is known not to)`;
  assert.deepEqual((await seenOf(as('least'))).unfit, [leaks('source'), leaks('target')]);
  const copier = { user: 'nobody', password: { env: 'ORDERS_COPIER' } };
  assert.deepEqual((await seenOf(as('least', { admins: ['admin'], replication: copier }))).unfit, [
    'the source has no account nobody with REPLICATION SLAVE',
    'the target has no account nobody with REPLICATION SLAVE',
  ]);
  assert.match((await seenOf(as('nobody'))).unread ?? '', /refuses to answer: Access denied for user 'nobody'/);
  const it = as('least', { admins: ['admin'] });
  const store = memoryStore();
  const { engine } = stageOn(store, { env: it.env });
  mustBeDone(await run(planFor([it.database]), ['data'], engine));
  await untilServed(checker, 'target', 20);
  mustBeDone(await rollback(undefined, engine));
  await untilServed(checker, 'source', 20);
  await onBoth("DROP USER least@'127.0.0.1'");
});

test('MariaDB: killed at each step, the switch-over goes on and goes back', (t) => killedAtEach(t, exercise(), 15));

test('MariaDB: the process is ended by SIGKILL at each step, goes on, goes back, and lets go', (t) =>
  killedOutright(t, exercise(), { least: 12, turned: 4, ending: 'and back' }));

test('MariaDB: when the new server dies while nobody can write, the old one takes writes again', async () => {
  checker.mark();
  const stage = stageOn(memoryStore(), {
    env,
    tap: async (call, send) => {
      const answer = await send();
      // The source is closed and follows already; the next question finds nobody there.
      if (call.to === 'source' && call.what === 'start copying') await servers.target.kill();
      return answer;
    },
  });
  const ended = await run(planFor([database()]), ['data'], stage.engine);
  assert.ok(ended.outcome === 'stopped' && isMigrateError(ended.error, 'DB_UNREACHABLE'), JSON.stringify(ended));
  await untilServed(checker, 'source', 50);
  assert.deepEqual(checker.since().taken.target, 0);
  await noneLost(checker, 'source', written);
});

const FENCED = ['read_only=1'];

test('MariaDB: a restart leaves a server fenced whose configuration says so; one that comes up open is named by each next look', async (t) => {
  const it = exercise();
  const store = memoryStore();
  const restarted = async (side: Side, configuration: string[]) => {
    await servers[side].kill();
    await servers[side].restart(configuration);
  };
  const copies = async (side: Side) => {
    for (let turn = 0; turn < 200; turn++) {
      const { stands = '' } = await seenOf(it);
      if (new RegExp(`the ${side} takes none and follows(?! \\()`).test(stands)) return;
      await sleep(50);
    }
    assert.fail(`the ${side} does not copy: ${JSON.stringify(await seenOf(it))}`);
  };
  checker.mark();
  await restarted('target', FENCED);
  await copies('target');
  const before = await seenOf(it);
  assert.deepEqual(before.unfit, []);
  assert.deepEqual(before.doubts?.length, 1);
  assert.match(before.doubts?.[0] ?? '', /^the source .* can not be told: a restart may undo its fence$/);
  mustBeDone(await run(planFor([it.database]), ['data'], stageOn(store, { env }).engine));
  await untilServed(checker, 'target', 20);
  checker.mark();

  await restarted('source', FENCED);
  await copies('source');
  await untilServed(checker, 'target', 50);
  const { taken, tried } = checker.since();
  assert.equal(taken.source, 0);
  assert.ok(tried.source > 20, `the source was asked ${tried.source} times`);
  assert.match((await seenOf(it)).unfit?.[0] ?? '', /^it is switched over/);
  await noneLost(checker, 'target', written);
  t.diagnostic(`fenced over a restart: ${tried.source} writes tried there, none taken`);

  await restarted('source', []);
  await untilServed(checker, 'source', 1);
  assert.deepEqual((await seenOf(it)).unfit, ['both servers take writes, although one copies from the other']);
  const { engine } = stageOn(store, { env });
  const plan = planFor([it.database]);
  const steps = [
    ...plan.steps,
    ...completeDatabases(
      [it.database],
      plan.steps.map((step) => step.id),
    ),
  ];
  for (const look of [() => run({ ...plan, steps }, ['complete'], engine), () => rollback(undefined, engine)]) {
    const ended = await look();
    assert.ok(ended.outcome === 'stopped' && isMigrateError(ended.error, 'DB_TWO_WRITERS'), JSON.stringify(ended));
  }
});
