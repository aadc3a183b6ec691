import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import {
  completeDatabases,
  databaseSteps,
  type Database,
  type DatabaseArgs,
  type DatabaseOf,
} from '../src/databases.js';
import { look } from '../src/cli/looking.js';
import { askDatabases } from '../src/database-fit.js';
import { etcdCluster } from '../src/db/etcd.js';
import { execPair } from '../src/db/exec.js';
import { openDatabases } from '../src/db/index.js';
import type { DatabaseOptions } from '../src/db/wire.js';
import { MigrateError } from '../src/errors.js';
import { memoryStore, openJournal, type JournalStore } from '../src/journal.js';
import { parsePlaybook } from '../src/playbook.js';
import type { Clock, Programs, Side, Tap, World } from '../src/ports.js';
import type { AnyStepKind, StepContext } from '../src/step.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import type { DatabasePair, Databases } from '../src/standing.js';
import { databaseReplica, databaseRetire, databaseSwitch } from '../src/steps/databases/paired.js';
import { waitMs } from '../src/window.js';
import { databaseRepoint } from '../src/steps/databases/repoint.js';
import { pairOf, rehearsedDatabases, type Model } from '../src/cli/rehearsed-databases.js';
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
  const misplaced = complaints(
    '- { kind: mysql, name: shop/orders, source: { host: a, password: { env: hunter2-c4n4ry } }, target: { host: b } }',
  );
  assert.match(misplaced, /not the name of an environment variable/);
  assert.doesNotMatch(misplaced, /hunter2/);
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

test('a Service leads to the new side by address or by name, and back as it was', async () => {
  const { seed } = quickShop();
  const objects = seed.source.objects;
  const list = Array.isArray(objects) ? objects : Object.values(objects).flat();
  list.push({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'orders-db', namespace: 'shop' },
    spec: { type: 'ExternalName', externalName: 'orders.old.example.com' },
  });
  const told: unknown[] = [];
  const { stage } = await stageFor({ playbook: quickShop().playbook, seed }, { clientsPerSecond: 1 });
  try {
    const service = (await stage.world.source.list('Service', { namespace: 'shop' })).find(
      (it) => it['spec']?.selector && it['spec']?.type !== 'LoadBalancer' && it['spec']?.type !== 'ExternalName',
    );
    assert.ok(service, 'the shop has no Service with a selector');
    const database = entry({
      ...ORDERS,
      repoint: [
        { cluster: 'source', service: `shop/${service.metadata.name}`, to: '192.0.2.7', port: 3306 },
        { cluster: 'source', service: 'shop/orders-db', to: 'orders.new.example.com' },
        { run: ['./lead', 'new'], back: ['./lead', 'old'] },
      ],
    });
    const step = databaseSteps([database], []).steps.find((it) => it.kind === 'database-repoint');
    assert.ok(step);
    const programs: Programs = {
      run: (command, question) => {
        told.push([...command, question]);
        return Promise.resolve('');
      },
    };
    const context = { world: { ...stage.world, programs }, step, mark: 'm' } as unknown as StepContext;
    const args = step.args as DatabaseArgs<Database>;
    const get = (kind: string, name: string) => stage.world.source.get({ kind, namespace: 'shop', name });
    const selector: unknown = service['spec'].selector;

    const before = await databaseRepoint.check(args, context);
    for (let turn = 0; turn < 2; turn++) await databaseRepoint.apply(args, before, context);
    await databaseRepoint.verify(args, before, context);
    assert.equal((await get('Service', service.metadata.name))?.['spec']?.selector, undefined);
    assert.deepEqual((await get('Endpoints', service.metadata.name))?.['subsets']?.[0]?.addresses, [
      { ip: '192.0.2.7' },
    ]);
    assert.equal((await get('Service', 'orders-db'))?.['spec']?.externalName, 'orders.new.example.com');

    for (let turn = 0; turn < 2; turn++) assert.deepEqual(await databaseRepoint.undo(args, before, context), []);
    assert.deepEqual((await get('Service', service.metadata.name))?.['spec']?.selector, selector);
    assert.equal((await get('Service', 'orders-db'))?.['spec']?.externalName, 'orders.old.example.com');
    const question = (serves: string) => ({ verb: 'repoint', database: 'shop/orders', kind: 'mysql', serves });
    const [there, , back] = told;
    assert.deepEqual(there, ['./lead', 'new', question('target')]);
    assert.deepEqual(back, ['./lead', 'old', question('source')]);
  } finally {
    await stage.close();
  }
});

test('a Service with addresses of its own is not led to a name', async () => {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'db' }, spec: { selector: { app: 'db' } } };
  const world = { source: { side: 'source', get: async () => service } } as unknown as World;
  const database = entry({ ...ORDERS, repoint: [{ cluster: 'source', service: 'shop/db', to: 'db.new.example.com' }] });
  await assert.rejects(databaseRepoint.check({ database }, { world } as StepContext), { code: 'DB_NOT_REPOINTED' });
});

test('a program that answers for its database is driven through the same states', async () => {
  const model = servers();
  const pair = pairOf(model, (_call, send) => send());
  const asked: string[] = [];
  /** the operator's program, as it would be on the other end of the pipe */
  const programs: Programs = {
    async run(command, question) {
      assert.deepEqual(command, ['./queue.sh']);
      const it = question as { verb: keyof DatabasePair; side: Side; position: string; withinMs: number };
      asked.push(`${it.verb} ${it.side}`);
      switch (it.verb) {
        case 'look':
          return JSON.stringify(await pair.look(it.side));
        case 'position':
          return JSON.stringify({ position: await pair.position(it.side) });
        case 'reached':
          return JSON.stringify({ reached: await pair.reached(it.side, it.position, it.withinMs) });
        case 'fence':
          await pair.fence(it.side, it.withinMs);
          return '';
        case 'unfence':
        case 'follow':
        case 'unfollow':
          await pair[it.verb](it.side, {});
          return '{}';
        default:
          return '';
      }
    },
  };
  const database = entry({ kind: 'exec', name: 'shop/queue', hook: ['./queue.sh'] }) as DatabaseOf<'exec'>;
  const plain: Tap = (_call, send) => send();
  const driven = execPair(database, { programs, tap: plain } as DatabaseOptions);
  const engine = engineFor(model, memoryStore(), plain, () => driven);
  mustBeDone(await run(planFor([database]), ['data'], engine));
  mustBe(model, 'target');
  mustBeDone(await rollback(undefined, engine));
  mustBe(model, 'source');
  assert.ok(asked.indexOf('fence source') < asked.indexOf('follow source'));
  assert.ok(asked.indexOf('follow source') < asked.indexOf('unfence target'));

  const silent = execPair(database, { programs: { run: async () => 'ok' }, tap: plain } as unknown as DatabaseOptions);
  await assert.rejects(silent.look('source'), { code: 'DB_HOOK_ANSWER' });
  const vague = execPair(database, { programs: { run: async () => '{}' }, tap: plain } as unknown as DatabaseOptions);
  await assert.rejects(vague.look('source'), { code: 'DB_HOOK_ANSWER' });
});

test('complete lets go of the old server, once all is moved', async () => {
  const model = servers();
  const store = memoryStore();
  const plan = planFor([entry(ORDERS)]);
  const steps = [...plan.steps, ...completeDatabases([entry(ORDERS)], ['data/database/shop/orders/switch'])];
  mustBeDone(await run({ ...plan, steps }, ['data'], engineFor(model, store)));
  mustBeDone(await run({ ...plan, steps }, ['complete'], engineFor(model, store)));
  assert.deepEqual(model.follows, { source: false, target: false });
  assert.deepEqual(model.writable, { source: false, target: true });
  const error = await stoppedBy(rollback(undefined, engineFor(model, store)));
  assert.equal(error.code, 'DB_LET_GO');
});

test('a port that takes the connection and closes it is told as a member that does not answer, and at once', async () => {
  const port = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(port, 'listening');
  const client = `http://127.0.0.1:${(port.address() as AddressInfo).port}`;
  const members = [{ name: 'a-0', peer: 'http://127.0.0.1:1', client }];
  const locks = entry({ kind: 'etcd', name: 'shop/locks', source: { members }, target: { members } });
  const plain: Tap = (_call, send) => send();
  const etcd = await etcdCluster(locks as DatabaseOf<'etcd'>, { tap: plain } as DatabaseOptions);
  const began = performance.now();
  await assert.rejects(etcd.members(), { code: 'DB_UNREACHABLE' });
  assert.ok(performance.now() - began < 2000);
  port.close();
});

test('preflight asks the servers and changes nothing; one that does not answer is unknown', async () => {
  const { seed } = quickShop();
  const playbook = parsePlaybook(
    withDatabases(
      `- { kind: mysql, name: shop/orders, source: { host: 127.0.0.1, port: 1 }, target: { host: 127.0.0.1, port: 1 } }
- { kind: redis, name: shop/carts, source: { host: a }, target: { host: b, port: 6380 } }`,
    ),
    'shop.yaml',
  );
  const { stage } = await stageFor({ playbook, seed }, { clientsPerSecond: 1 });
  const outcomes = async (databases: Databases) => {
    const { report } = await look(playbook, { ...stage.world, databases });
    const of = (id: string) => report.results.find((it) => it.check === id);
    return [of('database-fit'), of('database-fence'), of('database-way-back')];
  };
  const readOnly: Tap = (call, send) => {
    assert.ok(!call.writes, call.what);
    return send();
  };
  try {
    const [fit, fence, wayBack] = await outcomes(rehearsedDatabases(readOnly));
    assert.deepEqual([fit?.outcome, fence?.outcome, wayBack?.outcome], ['pass', 'pass', 'warn']);
    assert.match(wayBack?.findings[1]?.saw ?? '', /b:6380$/);
    const real = openDatabases({ ...stage.world, clusters: stage.world, env: {}, tap: readOnly });
    const [orders, carts] = [real, rehearsedDatabases(readOnly)];
    for (const it of await outcomes({ ...carts, pair: (one) => (one.kind === 'mysql' ? orders : carts).pair(one) })) {
      assert.equal(it?.outcome, 'unknown');
      assert.match(it?.why ?? '', /^database shop\/orders: .* does not answer: connect ECONNREFUSED 127.0.0.1:1$/);
    }
  } finally {
    await stage.close();
  }
});

test('preflight tells a database that has been moved, stopped half way, or is written on both sides', async () => {
  const seen = async (change: (model: Model) => void) => {
    const model = servers();
    change(model);
    const pair = async () => pairOf(model, (_call, send) => send());
    const [told] = await askDatabases([entry(ORDERS)], { databases: { pair } as unknown as Databases });
    return told?.unfit;
  };
  assert.deepEqual(await seen(() => undefined), []);
  const set = (side: Side, writes: boolean, follows: boolean) => (model: Model) => {
    model.writable[side] = writes;
    model.follows[side] = follows;
  };
  assert.deepEqual(await seen(set('source', false, false)), [
    'a switch-over stopped half way (fenced): nobody takes writes',
  ]);
  assert.deepEqual(await seen(set('target', true, true)), [
    'both servers take writes, although one copies from the other',
  ]);
  assert.deepEqual(await seen(set('target', true, false)), []);
  const [switched] =
    (await seen((model) => [set('source', false, true), set('target', true, false)].map((it) => it(model)))) ?? [];
  assert.match(switched ?? '', /^it is switched over/);
  assert.deepEqual(
    await seen((model) => [set('source', false, false), set('target', false, false)].map((it) => it(model))),
    ['the source takes no writes: it is not the one that serves'],
  );
});

test('a replica that begins to take writes while it is waited for is told', async () => {
  const model = servers();
  const engine = engineFor(model, memoryStore(), undefined, (pair) => ({
    ...pair,
    look: async (side) => {
      const it = await pair.look(side);
      return side === 'target' ? { ...it, lagMs: 60_000 } : it;
    },
  }));
  let looks = 0;
  const { world } = engine;
  const sleep = world.clock.sleep.bind(world.clock);
  world.clock.sleep = async (ms) => {
    // Restarted, and its configuration says nothing of being read-only.
    if (++looks === 3) model.writable.target = true;
    await sleep(ms);
  };
  const error = await stoppedBy(run(planFor([entry(ORDERS)]), ['data'], engine));
  assert.equal(error.code, 'DB_TWO_WRITERS');
  assert.ok(looks < 10);
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
    kinds: new Map<string, AnyStepKind>([databaseReplica, databaseSwitch, databaseRetire].map((it) => [it.kind, it])),
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

test('what goes wrong while nobody can write opens the old side again', async () => {
  for (const broken of ['follow', 'dropClients', 'unfollow', 'carry'] as const) {
    const model = servers();
    let fenced = false;
    const engine = engineFor(model, memoryStore(), undefined, (pair) => ({
      ...pair,
      fence: async (side, within) => {
        await pair.fence(side, within);
        fenced = true;
      },
      [broken]: async (side: Side) => {
        const isOurs = fenced && (broken !== 'unfollow' || side === 'target');
        if (isOurs) throw new MigrateError('DB_REFUSED', { what: 'the server says no' });
        if (broken !== 'carry') await pair[broken](side);
      },
    }));
    const error = await stoppedBy(run(planFor([entry(ORDERS)]), ['data'], engine));
    assert.equal(error.code, 'DB_REFUSED', broken);
    assert.ok(fenced);
    mustBe(model, 'source');
  }
});

test('with the target dead, going back opens a source that was only fenced', async () => {
  const model = servers();
  const store = memoryStore();
  const crash = crashing(5);
  crash.arm();
  await run(planFor([entry(ORDERS)]), ['data'], engineFor(model, crash.wrap(store), crash.tap)).catch(() => undefined);
  assert.deepEqual([model.writable, model.follows.source], [{ source: false, target: false }, false]);
  const dead = engineFor(model, store, undefined, (pair) => ({
    ...pair,
    look: async (side) => {
      if (side === 'target') throw new MigrateError('DB_UNREACHABLE', { what: 'nobody there', retryable: true });
      return pair.look(side);
    },
  }));
  await rollback(undefined, dead);
  assert.deepEqual(model.writable, { source: true, target: false });
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
