import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseSteps } from '../src/databases.js';
import { MigrateError } from '../src/errors.js';
import { memoryStore, openJournal, type JournalStore } from '../src/journal.js';
import { parsePlaybook } from '../src/playbook.js';
import type { Clock, Tap, World } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import type { DatabasePair, Databases } from '../src/standing.js';
import { databaseReplica, databaseSwitch, waitMs } from '../src/steps/databases/paired.js';
import { pairOf, type Model } from '../src/cli/rehearsed-databases.js';
import { crashing, mustBeDone } from './crashing.js';
import { entry, planFor } from './database-stage.js';
import { quickShop, quickShopText, stageFor } from './shop.js';

const ORDERS = {
  kind: 'mysql',
  name: 'shop/orders',
  source: { host: 'orders-0.old', user: 'admin', password: { env: 'ORDERS' } },
  target: { host: 'orders-0.new', user: 'admin', password: { env: 'ORDERS' } },
};

const withDatabases = (text: string) =>
  quickShopText().replace(/^data:\n/m, (it) => `${it}  databases:\n${text.replaceAll(/^/gm, '    ')}\n`);

const complaints = (text: string) => {
  try {
    parsePlaybook(withDatabases(text), 'shop.yaml');
  } catch (error) {
    return (error as MigrateError).what;
  }
  return '';
};

test('a password in the playbook is refused, and not repeated', () => {
  const said = complaints(
    '- { kind: mysql, name: shop/orders, source: { host: a, password: hunter2-c4n4ry }, target: { host: b } }',
  );
  assert.match(said, /never the password/);
  assert.doesNotMatch(said, /hunter2/);
});

test('one name stands for one database', () => {
  const one = '- { kind: redis, name: shop/carts, source: { host: a }, target: { host: b } }';
  assert.equal(complaints(one), '');
  assert.match(complaints(`${one}\n${one}`), /names a database twice/);
});

test('a database switches over after what is brought, and before what starts on the target', async () => {
  const { seed } = quickShop();
  const playbook = parsePlaybook(
    withDatabases('- { kind: mysql, name: shop/orders, source: { host: a }, target: { host: b } }'),
    'shop.yaml',
  );
  const { stage, plan, engine } = await stageFor({ playbook, seed }, { clientsPerSecond: 1 });
  try {
    const step = (id: string) => plan.steps.find((it) => it.id === id);
    assert.deepEqual(step('data/database/shop/orders/replica')?.after, []);
    assert.ok(step('data/database/shop/orders/switch')?.after.includes('data/database/shop/orders/replica'));
    assert.ok(plan.steps.some((it) => it.id === 'data/restore'));
    const starts = plan.steps.filter((it) => it.id.startsWith('data/start/'));
    assert.ok(starts.length > 0);
    for (const it of starts) assert.ok(it.after.includes('data/database/shop/orders/switch'), it.id);
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    assert.equal(engine.journal.record('data/database/shop/orders/switch')?.state, 'done');
    mustBeDone(await rollback(undefined, engine));
  } finally {
    await stage.close();
  }
});

test('clients of etcd are led to the new members before the old ones leave', () => {
  const member = (name: string) => ({ name, peer: `http://${name}:2380`, client: `http://${name}:2379` });
  const { steps } = databaseSteps(
    [
      entry({
        kind: 'etcd',
        name: 'shop/locks',
        source: { members: [member('a')] },
        target: { members: [member('b')] },
        repoint: [{ run: ['./lead'], back: ['./lead', 'back'] }],
      }),
    ],
    [],
  );
  assert.deepEqual(
    steps.map((it) => [it.id.slice('data/database/shop/locks/'.length), it.after.map((id) => id.split('/').at(-1))]),
    [
      ['replica', []],
      ['repoint', ['replica']],
      ['switch', ['repoint']],
    ],
  );
});

test('the window is of a day, in its own time, and may reach over midnight', () => {
  const at = (text: string) => Date.parse(`2026-11-21T${text}:00Z`);
  const night = { from: '23:00', to: '02:00', offset: '+08:00' };
  assert.equal(waitMs(night, at('15:30')), 0); // 23:30 there
  assert.equal(waitMs(night, at('17:59')), 0); // 01:59
  assert.equal(waitMs(night, at('18:00')), 21 * 3_600_000); // 02:00
  assert.equal(waitMs(night, at('14:00')), 3_600_000); // 22:00
});

// ---- the states of a switch-over, with servers in memory

const servers = (): Model => ({
  writable: { source: true, target: false },
  follows: { source: false, target: true },
  holds: { source: 1000, target: 1000 },
});

function engineFor(
  model: Model,
  store: JournalStore = memoryStore(),
  tap: Tap = (_call, send) => send(),
  change?: (pair: DatabasePair) => DatabasePair,
) {
  let now = 0;
  const clock: Clock = { now: () => now, sleep: async (ms) => void (now += ms) };
  const pair = pairOf(model, tap);
  const databases: Databases = {
    pair: async () => change?.(pair) ?? pair,
    etcd: () => Promise.reject(new Error('no etcd here')),
  };
  return {
    world: { source: { side: 'source' }, target: { side: 'target' }, clock, databases } as unknown as World,
    journal: openJournal(store, () => now),
    kinds: new Map([databaseReplica, databaseSwitch].map((it) => [it.kind, it] as const)),
    emit: () => undefined,
    stopping: () => false,
    limit: 1,
  };
}

const mustBe = (model: Model, writer: 'source' | 'target') => {
  const other = writer === 'source' ? 'target' : 'source';
  assert.deepEqual(
    { writable: model.writable, follows: model.follows },
    {
      writable: { [writer]: true, [other]: false },
      follows: { [writer]: false, [other]: true },
    },
  );
};

test('killed after any effect, the switch-over goes on and goes back, with one writer at most', async () => {
  const plan = planFor([entry(ORDERS)]);
  let points = 0;
  for (let at = 1; ; at++) {
    let crashed = false;
    for (const way of ['run', 'rollback'] as const) {
      const model = servers();
      const crash = crashing(at);
      const store = memoryStore();
      const watched: Tap = async (call, send) => {
        const answer = await crash.tap(call, send);
        assert.ok(!(model.writable.source && model.writable.target), `two writers at ${at}`);
        return answer;
      };
      crash.arm();
      await run(plan, ['data'], engineFor(model, crash.wrap(store), watched)).catch(() => undefined);
      crashed = crash.crashed();
      const again = engineFor(model, store);
      if (way === 'run') {
        mustBeDone(await run(plan, ['data'], again));
        mustBe(model, 'target');
      }
      mustBeDone(await rollback(undefined, again));
      mustBe(model, 'source');
    }
    if (!crashed) break;
    points = at;
  }
  assert.ok(points >= 10, `only ${points} points`);
});

const stoppedBy = async (outcome: ReturnType<typeof run>) => {
  const ended = await outcome;
  assert.equal(ended.outcome, 'stopped');
  return ended.outcome === 'stopped' && ended.error instanceof MigrateError
    ? ended.error
    : assert.fail('no MigrateError');
};

test('a replica that does not get the last write in time opens the old side again', async () => {
  const model = servers();
  let fenced = false;
  const engine = engineFor(model, memoryStore(), undefined, (pair) => ({
    ...pair,
    fence: async (side, within) => {
      await pair.fence(side, within);
      fenced = true;
    },
    reached: async (...args) => !fenced && pair.reached(...args),
  }));
  const error = await stoppedBy(run(planFor([entry(ORDERS)]), ['data'], engine));
  assert.equal(error.code, 'DB_SWITCH_TIMEOUT');
  assert.ok(fenced);
  mustBe(model, 'source');
});

test('without a way back that runs, the old side keeps the writes', async () => {
  const model = servers();
  const engine = engineFor(model, memoryStore(), undefined, (pair) => ({
    ...pair,
    look: async (side) => {
      const it = await pair.look(side);
      return side === 'source' && it.follows ? { ...it, running: false, trouble: 'access denied' } : it;
    },
  }));
  const error = await stoppedBy(run(planFor([entry(ORDERS)]), ['data'], engine));
  assert.equal(error.code, 'DB_NO_WAY_BACK');
  assert.match(error.what, /access denied/);
  mustBe(model, 'source');
});

test('a replica that falls behind is waited for with the old side open, and no longer than is said', async () => {
  const model = servers();
  const engine = engineFor(model, memoryStore(), undefined, (pair) => ({
    ...pair,
    look: async (side) => {
      const it = await pair.look(side);
      return side === 'target' ? { ...it, lagMs: 60_000 } : it;
    },
  }));
  const error = await stoppedBy(run(planFor([entry({ ...ORDERS, catchUp: '5m' })]), ['data'], engine));
  assert.equal(error.code, 'DB_NOT_CAUGHT_UP');
  assert.match(error.what, /1 min behind, 1 s allowed, after 5 min/);
  mustBe(model, 'source');
});

test('two servers that take writes are left as they are, and told', async () => {
  const model = servers();
  const store = memoryStore();
  mustBeDone(
    await run(
      { ...planFor([entry(ORDERS)]), steps: planFor([entry(ORDERS)]).steps.slice(0, 1) },
      ['data'],
      engineFor(model, store),
    ),
  );
  model.writable.target = true;
  const error = await stoppedBy(run(planFor([entry(ORDERS)]), ['data'], engineFor(model, store)));
  assert.equal(error.code, 'DB_TWO_WRITERS');
  assert.deepEqual(model.writable, { source: true, target: true });
});
