import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { alibabaCloud } from '../src/alibaba/cloud.js';
import { isMigrateError } from '../src/errors.js';
import type { Backend, Call, Cloud } from '../src/ports.js';
import { virtualClock } from '../src/twin/clock.js';
import type { CloudOptions, StartedCloud } from '../src/twin/cloud/cloud.js';
import type { Faults } from '../src/twin/types.js';
import { KEY, REGION, startedCloud } from './twin-cloud-clients.js';

const DNS = 'nlb-1.cn-hangzhou.nlb.aliyuncsslb.com';
const VPC = { id: 'vpc-1', name: 'main', region: REGION, cidr: '10.0.0.0/8', secondaryCidrs: [], vswitches: [] };

const seed = {
  region: REGION,
  loadBalancers: [
    {
      id: 'nlb-1',
      name: 'front',
      address: DNS,
      vpc: 'vpc-1',
      tags: { team: 'web' },
      listeners: [{ port: 80, protocol: 'tcp', group: 'sgp-1', scheduler: 'wrr' }],
      groups: [
        {
          id: 'sgp-1',
          name: 'shop',
          tags: { a: 'b' },
          backends: [
            { server: 'i-1', port: 30080, weight: 100, description: 'k8s.30080.TCP.web.shop.c1' },
            { server: 'i-2', port: 30080, weight: 100 },
            { server: 'eni-9', ip: '10.0.0.9', port: 80, weight: 20, type: 'eni' },
          ],
        },
        { id: 'sgp-2', name: 'spare', scheduler: 'rr' },
      ],
    },
    {
      id: 'lb-1',
      address: '47.98.10.9',
      listeners: [{ port: 80, group: 'rsp-1' }],
      groups: [{ id: 'rsp-1', name: 'classic', backends: [{ server: 'i-1', port: 80, weight: 1 }] }],
    },
  ],
};

interface Scene {
  it: StartedCloud;
  cloud: Cloud;
  calls: Call[];
}

async function scene(t: TestContext, options: Partial<CloudOptions> = {}): Promise<Scene> {
  const clock = virtualClock('2026-01-01T00:00:00Z');
  const it = await startedCloud(t, { clock, vpcs: [VPC], ...options }, seed);
  t.after(() => clock.stop());
  const calls: Call[] = [];
  const cloud = alibabaCloud({
    region: REGION,
    endpoint: it.url,
    keys: { accessKeyId: KEY.id, accessKeySecret: KEY.secret },
    clock: { now: () => clock.now(), sleep: (ms) => clock.sleep(ms) },
    tap(call, send) {
      calls.push(call);
      return send();
    },
  });
  return { it, cloud, calls };
}

const short = (members: readonly Backend[]): string[] => members.map((it) => `${it.server}:${it.port}=${it.weight}`);

test('a load balancer is seen with its listeners, the groups behind them, and their members', async (t) => {
  const { cloud } = await scene(t);
  const seen = await cloud.loadBalancer('nlb-1');
  assert.ok(seen);
  assert.deepEqual(
    { ...seen, groups: seen.groups.map(({ backends, ...it }) => ({ ...it, backends: short(backends) })) },
    {
      id: 'nlb-1',
      name: 'front',
      address: DNS,
      addressType: 'internet',
      region: REGION,
      vpc: 'vpc-1',
      status: 'active',
      tags: { team: 'web' },
      listeners: [{ port: 80, protocol: 'tcp', status: 'running', scheduler: 'wrr', group: 'sgp-1' }],
      groups: [
        {
          id: 'sgp-1',
          name: 'shop',
          type: 'Instance',
          protocol: 'tcp',
          scheduler: 'wrr',
          vpc: 'vpc-1',
          tags: { a: 'b' },
          backends: ['i-1:30080=100', 'i-2:30080=100', 'eni-9:80=20'],
        },
      ],
    },
  );
  assert.equal(seen.groups[0]?.backends[0]?.description, 'k8s.30080.TCP.web.shop.c1');
  assert.equal(await cloud.loadBalancer('nlb-none'), undefined);
  assert.equal((await cloud.loadBalancer('lb-1'))?.address, '47.98.10.9');
});

test('a write waits for its job, and is in force when it returns', async (t) => {
  const { it, cloud, calls } = await scene(t);
  const [first] = await cloud.backends('sgp-1');
  assert.ok(first);
  await cloud.setWeights('sgp-1', [{ ...first, weight: 7 }]);
  assert.deepEqual(
    it.cloud.listenerBackends('nlb-1', 80)?.map((one) => one.weight),
    [7, 100, 20],
  );
  assert.ok(calls.some((one) => one.verb === 'GetJobStatus' && !one.writes));
  const [after] = await cloud.backends('sgp-1');
  assert.deepEqual(after, { ...first, weight: 7 });
});

test('while a job is under way a member says so', async (t) => {
  const { it, cloud } = await scene(t);
  const [first] = await cloud.backends('sgp-1');
  assert.ok(first);
  const writing = cloud.setWeights('sgp-1', [{ ...first, weight: 7 }]);
  while (!it.log.some((one) => one.action === 'UpdateServerGroupServersAttribute')) await new Promise(setImmediate);
  assert.equal((await cloud.backends('sgp-1'))[0]?.pending, 'Configuring');
  await writing;
  assert.equal((await cloud.backends('sgp-1'))[0]?.pending, undefined);
});

test('a job that fails is an error with its own code', async (t) => {
  const { cloud } = await scene(t, { failsJob: () => true });
  const [first] = await cloud.backends('sgp-1');
  assert.ok(first);
  await assert.rejects(
    cloud.setWeights('sgp-1', [{ ...first, weight: 7 }]),
    (error) => isMigrateError(error, 'CLOUD_JOB_FAILED') && /ended with Failed/.test(error.what),
  );
});

test('a job that never ends is given up', async (t) => {
  const { cloud } = await scene(t, { rates: { nlbJobMs: 1e9 } });
  const [first] = await cloud.backends('sgp-1');
  assert.ok(first);
  await assert.rejects(
    cloud.setWeights('sgp-1', [{ ...first, weight: 7 }]),
    (error) => isMigrateError(error, 'CLOUD_JOB_FAILED') && /not done after/.test(error.what),
  );
});

test('a group that is busy is waited for', async (t) => {
  const { it, cloud } = await scene(t);
  await it.cloud.call('Nlb', 'UpdateServerGroupServersAttribute', {
    ServerGroupId: 'sgp-1',
    'Servers.1.ServerId': 'i-1',
    'Servers.1.ServerType': 'Ecs',
    'Servers.1.Port': '30080',
    'Servers.1.Weight': '1',
  });
  const [first] = await cloud.backends('sgp-1');
  assert.ok(first);
  await cloud.setWeights('sgp-1', [{ ...first, weight: 9 }]);
  assert.equal((await cloud.backends('sgp-1'))[0]?.weight, 9);
  assert.ok(it.log.some((one) => one.code === 'IncorrectStatus.serverGroup'));
});

test('more than forty members go in several calls, and more than a hundred come by pages', async (t) => {
  const { it, cloud } = await scene(t, { unknownServers: 'accept' });
  const many = Array.from({ length: 130 }, (_, at): Backend => ({
    server: `i-m${at}`,
    port: 80,
    weight: 5,
    type: 'ecs',
    description: '',
  }));
  const id = await cloud.clb.createGroup('nlb-1', 'many', many);
  assert.match(id, /^sgp-/);
  assert.equal((await cloud.backends(id)).length, 130);
  await cloud.setWeights(
    id,
    (await cloud.backends(id)).map((one) => ({ ...one, weight: 6 })),
  );
  assert.equal(it.log.filter((one) => one.action === 'UpdateServerGroupServersAttribute' && one.ok).length, 4);
  assert.ok((await cloud.backends(id)).every((one) => one.weight === 6));
  await cloud.removeBackends(id, await cloud.backends(id));
  assert.deepEqual(await cloud.backends(id), []);
  await cloud.clb.deleteGroup(id);
  await cloud.clb.deleteGroup(id);
});

test('removing what is gone already is no error, and does not hold the others back', async (t) => {
  const { cloud } = await scene(t);
  const members = await cloud.backends('sgp-1');
  const [first, second] = members;
  assert.ok(first && second);
  await cloud.removeBackends('sgp-1', [first]);
  await cloud.removeBackends('sgp-1', [first, second]);
  assert.deepEqual(short(await cloud.backends('sgp-1')), ['eni-9:80=20']);
  await cloud.removeBackends('sgp-1', [first, second]);
});

test('groups are renamed, tagged and untagged; a listener is pointed at another, by the scheduler asked for', async (t) => {
  const { cloud } = await scene(t);
  await cloud.clb.renameGroup('sgp-1', 'shop-web-80');
  await cloud.clb.tag('sgp-1', { x: 'y' });
  await cloud.clb.untag('sgp-1', ['a']);
  await cloud.clb.tag('nlb-1', { x: 'z' });
  await cloud.clb.untag('nlb-1', ['team']);
  const seen = await cloud.loadBalancer('nlb-1');
  assert.deepEqual([seen?.groups[0]?.name, seen?.groups[0]?.tags, seen?.tags], ['shop-web-80', { x: 'y' }, { x: 'z' }]);
  await cloud.clb.setListener('nlb-1', { port: 80, protocol: 'tcp' }, { group: 'sgp-2', scheduler: 'wrr' });
  assert.deepEqual(await cloud.clb.listeners('nlb-1'), [
    { port: 80, protocol: 'tcp', status: 'running', scheduler: 'wrr', group: 'sgp-2' },
  ]);
});

test('a reply that is lost after the effect is asked for again, and leaves nothing twice', async (t) => {
  let lost = 0;
  const faults: Faults = {
    decide: ({ writes }) => (writes && lost++ < 3 ? { kind: 'lose' } : undefined),
  };
  const { cloud } = await scene(t, { faults, unknownServers: 'accept' });
  const id = await cloud.clb.createGroup('nlb-1', 'copy', await cloud.backends('sgp-1'));
  assert.deepEqual(short(await cloud.backends(id)), ['i-1:30080=100', 'i-2:30080=100', 'eni-9:80=20']);
  assert.ok(lost >= 2);
});
