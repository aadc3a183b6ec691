import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { DnsRoute } from '../src/dns.js';
import type { MigrateError } from '../src/errors.js';
import { takeInventory } from '../src/look.js';
import { parsePlaybook } from '../src/playbook.js';
import { isReachable, measured } from '../src/router.js';
import { dns } from '../src/routers/dns.js';
import type { StepContext } from '../src/step.js';
import { openStage, type Stage } from '../src/cli/stage.js';
import type { Json, Seed } from '../src/twin/types.js';
import { shipped } from './shop.js';

const TARGET = '198.51.100.7';

type DomainSeed = NonNullable<Seed['cloud']['domains']>[number];

interface Opened {
  stage: Stage;
  route: DnsRoute;
  context: StepContext;
  /** `value status weight ttl` of every record of the domain */
  records(): Promise<string[]>;
  call(action: string, parameters: Record<string, string>): Promise<Json>;
}

async function open(
  t: TestContext,
  { entry = {}, records, weighted = [] }: { entry?: object; records?: DomainSeed['records']; weighted?: string[] } = {},
): Promise<Opened> {
  const { seed, playbook: book } = shipped('dns');
  seed.clients = [];
  seed.cloud.domains = [
    { name: 'example.com', records: records ?? [{ rr: 'www', value: '47.98.20.10', ttlS: 600 }], weighted },
  ];
  const text = [
    'apiVersion: migrate/v1alpha1',
    'kind: Playbook',
    'name: held',
    `source: { context: ${book.source.context} }`,
    `target: { context: ${book.target.context} }`,
    `cloud: ${JSON.stringify(book.cloud)}`,
    `traffic: { services: [${JSON.stringify({ service: 'portal/web', router: 'dns', domain: 'example.com', name: 'www', target: TARGET, ...entry })}] }`,
  ].join('\n');
  const playbook = parsePlaybook(text, 'held.yaml');
  const stage = await openStage(playbook, seed);
  t.after(() => stage.close());
  const { api } = stage.twin.target;
  const { selector, ports } = (await stage.twin.source.api.get('v1/services', 'portal', 'web'))!['spec'];
  await api.create('v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'portal' } });
  await api.create('v1/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'portal' },
    spec: { selector, ports: ports.map(({ nodePort: _dropped, ...rest }: Json) => rest) },
  });
  const [route] = dns.routes(playbook.traffic!.services, playbook, await takeInventory(playbook, stage.world, []));
  const call = (action: string, parameters: Record<string, string>) =>
    stage.twin.cloud.api.call('Alidns', action, parameters);
  return {
    stage,
    route: route!,
    call,
    context: {
      world: stage.world,
      progress: () => undefined,
      stopping: () => false,
      emit: () => undefined,
    } as unknown as StepContext,
    async records() {
      const answer = await call('DescribeDomainRecords', { DomainName: 'example.com' });
      return answer.DomainRecords.Record.map((it: Json) => `${it.RR} ${it.Value} ${it.Status} ${it.Weight} ${it.TTL}`);
    },
  };
}

async function join({ route, context }: Opened): Promise<unknown> {
  const before = await dns.join.check(route, context);
  await dns.join.apply(route, before, context);
  await dns.join.verify(route, before, context);
  return before;
}

async function shift({ route, context, stage }: Opened, asked: number): Promise<void> {
  const choice = await dns.choose(route, { asked, tolerance: 0.5 }, await dns.read(route, stage.world), stage.world);
  assert.ok(isReachable(choice));
  await dns.write(route, choice, context);
}

const SOURCE = { rr: 'www', value: '47.98.20.10', ttlS: 600 };

test('a record comes in without ever being answered, and goes without a trace', async (t) => {
  const opened = await open(t);
  const { stage, route, context } = opened;
  const answers = new Set<string>();
  const world = {
    ...stage.world,
    cloud: {
      ...stage.world.cloud,
      dns: Object.fromEntries(
        Object.entries(stage.world.cloud.dns).map(([name, send]: [string, (...args: never[]) => Promise<unknown>]) => [
          name,
          async (...args: never[]) => {
            const done = await send(...args);
            for (const it of stage.twin.cloud.api.dnsAnswer!('www.example.com')?.values ?? []) answers.add(it);
            return done;
          },
        ]),
      ) as unknown as typeof stage.world.cloud.dns,
    },
  };
  const start = stage.twin.snapshot();
  const watched = { ...opened, context: { ...context, world } };
  const before = await join(watched);
  assert.deepEqual([...answers], ['47.98.20.10']);
  assert.deepEqual(await opened.records(), ['www 47.98.20.10 ENABLE 1 600', `www ${TARGET} DISABLE 1 600`]);
  await dns.join.undo(route, before, watched.context);
  assert.deepEqual([...answers], ['47.98.20.10']);
  assert.deepEqual(stage.twin.snapshot(), start);
});

test('a join that was cut off anywhere is finished by the next', async (t) => {
  for (let fuse = 1; fuse <= 4; fuse++) {
    const opened = await open(t);
    let left = fuse;
    const { world } = opened.context;
    const cut = Object.fromEntries(
      Object.entries(world.cloud.dns).map(([name, send]: [string, (...args: never[]) => Promise<unknown>]) => [
        name,
        async (...args: never[]) => {
          const done = await send(...args);
          if (name !== 'records' && --left === 0) throw new Error('cut');
          return done;
        },
      ]),
    ) as unknown as typeof world.cloud.dns;
    const before = await dns.join.check(opened.route, opened.context);
    const broken = { ...opened.context, world: { ...world, cloud: { ...world.cloud, dns: cut } } };
    await assert.rejects(dns.join.apply(opened.route, before, broken), /cut/);
    if (fuse % 2 === 0) {
      await dns.join.undo(opened.route, before, opened.context);
      assert.deepEqual(await opened.records(), ['www 47.98.20.10 ENABLE 1 600'], `cut after ${fuse}`);
    } else {
      await dns.join.apply(opened.route, before, opened.context);
      await dns.join.verify(opened.route, before, opened.context);
      assert.equal((await opened.records()).length, 2, `cut after ${fuse}`);
    }
  }
});

test('a shorter TTL is waited for, and the old one comes back', async (t) => {
  const opened = await open(t, { entry: { ttl: '60s' } });
  const { stage, route, context } = opened;
  assert.equal(dns.traits(route).bitesMs, 70_000);
  const began = stage.twin.clock.now();
  const before = await join(opened);
  assert.ok(stage.twin.clock.now() - began >= 600_000, 'until answers with the old one have run out');
  assert.deepEqual(await opened.records(), ['www 47.98.20.10 ENABLE 1 60', `www ${TARGET} DISABLE 1 60`]);
  await dns.join.undo(route, before, context);
  assert.deepEqual(await opened.records(), ['www 47.98.20.10 ENABLE 1 600']);
});

test('a record of the target that is there and paused is taken, and stays on the way back', async (t) => {
  const opened = await open(t, { records: [SOURCE, { rr: 'www', value: TARGET, ttlS: 600, status: 'DISABLE' }] });
  const before = await join(opened);
  await shift(opened, 20);
  assert.deepEqual(await opened.records(), ['www 47.98.20.10 ENABLE 80 600', `www ${TARGET} ENABLE 20 600`]);
  await shift(opened, 0);
  await dns.join.undo(opened.route, before, opened.context);
  assert.deepEqual(await opened.records(), ['www 47.98.20.10 ENABLE 1 600', `www ${TARGET} DISABLE 1 600`]);
});

test('records that can not be weighed without moving traffic are refused with the reason', async (t) => {
  const paused = { rr: 'www', value: TARGET, ttlS: 600, status: 'DISABLE' as const };
  const cases: [reason: RegExp, options: Parameters<typeof open>[1]][] = [
    [/is locked/, { records: [{ ...SOURCE, locked: true }] }],
    [/is answered already/, { records: [SOURCE, { rr: 'www', value: TARGET }] }],
    [/paused with weight 50/, { records: [SOURCE, { ...paused, weight: 50 }] }],
    [/different weights that are not in force/, { records: [SOURCE, { rr: 'www', value: '203.0.113.5', weight: 7 }] }],
    [
      /not for CNAMEs/,
      {
        entry: { type: 'CNAME', source: 'old.example.com', target: 'new.example.com' },
        records: [{ rr: 'www', type: 'CNAME', value: 'old.example.com' }],
      },
    ],
  ];
  for (const [reason, options] of cases) {
    const { route, context, stage } = await open(t, options);
    const start = stage.twin.snapshot();
    await assert.rejects(dns.join.check(route, context), (error: MigrateError) => {
      assert.equal(error.code, 'DNS_RECORDS_UNFIT');
      assert.match(error.what, reason);
      return true;
    });
    assert.deepEqual(stage.twin.snapshot(), start);
  }
});

test('what a plan can not tell apart is refused with what to say', async (t) => {
  const others = [SOURCE, { rr: 'www', value: '203.0.113.5' }, { rr: 'www', value: '203.0.113.6' }];
  await assert.rejects(open(t, { records: others, entry: { target: undefined } }), {
    code: 'PLAN_SERVICE_UNFIT',
    what: /2 records/,
  });
  await assert.rejects(open(t, { records: [{ rr: 'www', value: '203.0.113.5' }], entry: { source: '203.0.113.9' } }), {
    code: 'PLAN_SERVICE_UNFIT',
    what: /leads to 203\.0\.113\.9/,
  });
  await assert.rejects(open(t, { entry: { domain: 'nobody.org' } }), { code: 'PLAN_NOT_SEEN' });
});

test('the domain itself has weights too', async (t) => {
  const opened = await open(t, { entry: { name: '@' }, records: [{ rr: '@', value: '47.98.20.10', ttlS: 60 }] });
  await join(opened);
  await shift(opened, 25);
  assert.deepEqual(await opened.records(), ['@ 47.98.20.10 ENABLE 75 60', `@ ${TARGET} ENABLE 25 60`]);
});

test('records of neither side keep their answers, and a share is one of all', async (t) => {
  const opened = await open(t, { records: [SOURCE, { rr: 'www', value: '203.0.113.5', ttlS: 600 }] });
  await join(opened);
  await shift(opened, 25);
  const { splits } = await dns.read(opened.route, opened.stage.world);
  assert.equal(measured(splits[0]!), 25);
  assert.equal(splits[0]?.others.members, 1);
});

test('weighting that somebody turned off shows as the even share that it is, and is turned on again', async (t) => {
  const opened = await open(t);
  await join(opened);
  await shift(opened, 10);
  await opened.call('SetDNSSLBStatus', { SubDomain: 'www.example.com', Open: 'false' });
  assert.equal(measured((await dns.read(opened.route, opened.stage.world)).splits[0]!), 50);
  await shift(opened, 10);
  assert.equal(measured((await dns.read(opened.route, opened.stage.world)).splits[0]!), 10);
});

test('a record that somebody deleted is named', async (t) => {
  const opened = await open(t);
  await join(opened);
  const answer = await opened.call('DescribeSubDomainRecords', { SubDomain: 'www.example.com' });
  const { RecordId } = answer.DomainRecords.Record.find((it: Json) => it.Value === TARGET);
  await opened.call('DeleteDomainRecord', { RecordId });
  await assert.rejects(shift(opened, 10), { code: 'DNS_RECORD_MISSING', what: /target/ });
});
