import assert from 'node:assert/strict';
import { test } from 'node:test';
import { virtualClock } from '../src/twin/clock.js';
import type { CloudOptions, StartedCloud } from '../src/twin/cloud/cloud.js';
import type { CloudSeed, Json } from '../src/twin/types.js';
import { officialClient, REGION, rpcCall, startedCloud, VERSIONS } from './twin-cloud-clients.js';

const VPC = 'vpc-1';

const seed: CloudSeed = {
  region: REGION,
  loadBalancers: [
    {
      id: 'nlb-1',
      name: 'front',
      address: 'nlb-1.cn-hangzhou.nlb.aliyuncsslb.com',
      vpc: VPC,
      tags: { team: 'web' },
      listeners: [{ port: 80, protocol: 'tcp', group: 'sgp-1' }],
      groups: [
        {
          id: 'sgp-1',
          name: 'shop',
          tags: { team: 'web' },
          backends: [
            { server: 'i-1', port: 30080, weight: 100 },
            { server: 'i-2', port: 30080, weight: 100 },
            {
              server: 'eni-9',
              ip: '10.0.0.9',
              port: 80,
              weight: 20,
              type: 'eni',
              description: 'k8s.80.TCP.web.shop.c2',
            },
          ],
        },
        { id: 'sgp-2', name: 'spare' },
        { id: 'sgp-ip', name: 'far', type: 'Ip' },
      ],
    },
  ],
};

/** Reads that carry their parameters in the query; every other action has them in a form body. */
const IN_QUERY =
  /^(GetLoadBalancerAttribute|ListLoadBalancers|ListListeners|GetListenerAttribute|GetListenerHealthStatus|GetJobStatus|ListAsynJobs)$/;

type Call = (action: string, parameters?: Record<string, string>) => Promise<Json>;

interface Scene {
  it: StartedCloud;
  nlb: Call;
  sleep(ms: number): Promise<void>;
  /** until the job is over; its last status */
  done(answer: Json): Promise<string>;
  members(group?: string): Promise<string[]>;
}

async function scene(
  t: { after(run: () => Promise<void>): void },
  options: Partial<CloudOptions> = {},
  algorithm?: 'v2',
): Promise<Scene> {
  const clock = virtualClock('2026-01-01T00:00:00Z');
  const vpcs = [{ id: VPC, name: 'main', region: REGION, cidr: '10.0.0.0/8', secondaryCidrs: [], vswitches: [] }];
  const it = await startedCloud(t, { clock, vpcs, ...options }, seed);
  t.after(async () => clock.stop());
  const client = officialClient(it.host, VERSIONS.Nlb, {}, algorithm);
  const nlb: Call = (action, parameters = {}) => {
    const all = { RegionId: REGION, ...parameters };
    return IN_QUERY.test(action) ? client(action, all) : client(action, {}, all);
  };
  const sleep = (ms: number): Promise<void> => clock.sleep(ms);
  return {
    it,
    nlb,
    sleep,
    async done({ JobId }) {
      for (;;) {
        const { Status } = await nlb('GetJobStatus', { JobId });
        if (!/^processing$/i.test(Status)) return Status;
        await sleep(200);
      }
    },
    async members(group = 'sgp-1') {
      const { Servers } = await nlb('ListServerGroupServers', { ServerGroupId: group });
      return Servers.map((one: Json) => `${one.ServerId}:${one.Port}=${one.Weight} ${one.Status}`);
    },
  };
}

const servers = (...list: Record<string, string | number>[]): Record<string, string> =>
  Object.fromEntries(
    list.flatMap((one, at) => Object.entries(one).map(([key, value]) => [`Servers.${at + 1}.${key}`, String(value)])),
  );

const refusal = async (run: Promise<unknown>): Promise<[number, string]> => {
  try {
    await run;
  } catch (error) {
    const { statusCode, code } = error as { statusCode: number; code: string };
    return [statusCode, code];
  }
  throw new Error('it was not refused');
};

test('a write is a job: what it changes is in force when the job is done, and not before', async (t) => {
  const { nlb, done, members, it } = await scene(t);
  const weights = (): number[] => it.cloud.listenerBackends('nlb-1', 80)!.map((one) => one.weight);
  const answer = await nlb('UpdateServerGroupServersAttribute', {
    ServerGroupId: 'sgp-1',
    ...servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 30080, Weight: 7 }),
  });
  assert.equal(answer.ServerGroupId, 'sgp-1');
  assert.equal((await nlb('GetJobStatus', { JobId: answer.JobId })).Status, 'processing');
  assert.deepEqual((await nlb('ListAsynJobs', { 'JobIds.1': answer.JobId })).Jobs, [
    { Id: answer.JobId, Status: 'Processing' },
  ]);
  assert.deepEqual(await members(), ['i-1:30080=100 Configuring', 'i-2:30080=100 Available', 'eni-9:80=20 Available']);
  assert.deepEqual(weights(), [100, 100, 20]);
  const { ServerGroups } = await nlb('ListServerGroups', { 'ServerGroupIds.1': 'sgp-1' });
  assert.equal(ServerGroups[0].ServerGroupStatus, 'Configuring');

  assert.equal(await done(answer), 'Succeeded');
  assert.deepEqual(await members(), ['i-1:30080=7 Available', 'i-2:30080=100 Available', 'eni-9:80=20 Available']);
  assert.deepEqual(weights(), [7, 100, 20]);
});

test('members come, take nothing until they are in, change and go; what is not said stays', async (t) => {
  const { nlb, done, members, it } = await scene(t);
  const id = it.cloud.plugInterface('10.0.0.7', 'i-2', 'cn-hangzhou-h');
  const answer = await nlb('AddServersToServerGroup', {
    ServerGroupId: 'sgp-1',
    ...servers(
      { ServerId: 'i-3', ServerType: 'Ecs', Port: 30080, Weight: 0, Description: 'k8s.30080.TCP.web.shop.c1' },
      { ServerId: id, ServerType: 'Eni', ServerIp: '10.0.0.7', Port: 80 },
    ),
  });
  assert.equal(it.cloud.listenerBackends('nlb-1', 80)!.length, 3);
  await done(answer);
  assert.deepEqual((await members()).slice(3), ['i-3:30080=0 Available', `${id}:80=100 Available`]);
  const { Servers } = await nlb('ListServerGroupServers', { ServerGroupId: 'sgp-1', 'ServerIds.1': id });
  assert.deepEqual(Servers, [
    {
      ServerGroupId: 'sgp-1',
      ServerId: id,
      ServerIp: '10.0.0.7',
      ServerType: 'Eni',
      Port: 80,
      Weight: 100,
      Description: '',
      Status: 'Available',
      ZoneId: 'cn-hangzhou-h',
    },
  ]);

  await done(
    await nlb('UpdateServerGroupServersAttribute', {
      ServerGroupId: 'sgp-1',
      ...servers({ ServerId: id, ServerType: 'Eni', ServerIp: '10.0.0.7', Port: 80, Description: 'mine' }),
    }),
  );
  const after = await nlb('ListServerGroupServers', { ServerGroupId: 'sgp-1', 'ServerIds.1': id });
  assert.deepEqual([after.Servers[0].Weight, after.Servers[0].Description], [100, 'mine']);

  await done(
    await nlb('RemoveServersFromServerGroup', {
      ServerGroupId: 'sgp-1',
      ...servers(
        { ServerId: 'i-3', ServerType: 'Ecs', Port: 30080 },
        { ServerId: 'i-1', ServerType: 'Ecs', Port: 30080 },
      ),
    }),
  );
  assert.deepEqual(await members(), ['i-2:30080=100 Available', 'eni-9:80=20 Available', `${id}:80=100 Available`]);
});

test('a job can fail: then nothing of it stays, and the group is as before', async (t) => {
  const { nlb, done, members } = await scene(t, { failsJob: (action) => action !== 'CreateServerGroup' });
  const before = await members();
  for (const [action, one] of [
    ['AddServersToServerGroup', { ServerId: 'i-3', ServerType: 'Ecs', Port: 30080 }],
    ['UpdateServerGroupServersAttribute', { ServerId: 'i-1', ServerType: 'Ecs', Port: 30080, Weight: 1 }],
    ['RemoveServersFromServerGroup', { ServerId: 'i-1', ServerType: 'Ecs', Port: 30080 }],
  ] as const)
    assert.equal(await done(await nlb(action, { ServerGroupId: 'sgp-1', ...servers(one) })), 'Failed');
  assert.equal(
    await done(await nlb('UpdateServerGroupAttribute', { ServerGroupId: 'sgp-1', ServerGroupName: 'other' })),
    'Failed',
  );
  assert.deepEqual(await members(), before);
  assert.equal(
    (await nlb('ListServerGroups', { 'ServerGroupIds.1': 'sgp-1' })).ServerGroups[0].ServerGroupName,
    'shop',
  );
});

test('what is refused has the product’s own codes', async (t) => {
  const { nlb, done } = await scene(t);
  const group = { ServerGroupId: 'sgp-1' };
  const of = (action: string, parameters: Record<string, string> = {}): Promise<[number, string]> =>
    refusal(nlb(action, parameters));
  const ecs = (more: Record<string, string | number> = {}): Record<string, string> =>
    servers({ ServerId: 'i-3', ServerType: 'Ecs', Port: 30080, ...more });

  assert.deepEqual(await of('AddServersToServerGroup', ecs()), [400, 'MissingParam.ServerGroupId']);
  assert.deepEqual(await of('AddServersToServerGroup', group), [400, 'MissingParam.Servers']);
  assert.deepEqual(await of('AddServersToServerGroup', { ...group, ...ecs({ Weight: 101 }) }), [
    400,
    'IllegalParam.Servers.1.Weight',
  ]);
  assert.deepEqual(await of('AddServersToServerGroup', { ...group, ...ecs({ ServerId: 'i-none' }) }), [
    404,
    'ResourceNotFound.Ecs',
  ]);
  assert.deepEqual(
    await of('AddServersToServerGroup', { ...group, ...servers({ ServerId: '10.2.0.1', ServerType: 'Ip', Port: 80 }) }),
    [400, 'Mismatch.ServerType'],
  );
  assert.deepEqual(
    await of('AddServersToServerGroup', { ...group, ...servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 30080 }) }),
    [400, 'DuplicatedParam.Server'],
  );
  const twice = servers(
    { ServerId: 'i-3', ServerType: 'Ecs', Port: 1 },
    { ServerId: 'i-3', ServerType: 'Ecs', Port: 1 },
  );
  assert.deepEqual(await of('AddServersToServerGroup', { ...group, ...twice }), [400, 'DuplicatedParam.Server']);
  // An absent member is an error here, where CLB ignores it; and a port cannot be changed.
  assert.deepEqual(await of('RemoveServersFromServerGroup', { ...group, ...ecs() }), [
    404,
    'ResourceNotFound.BackendServer',
  ]);
  assert.deepEqual(
    await of('UpdateServerGroupServersAttribute', {
      ...group,
      ...servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 31111 }),
    }),
    [404, 'ResourceNotFound.BackendServer'],
  );
  assert.deepEqual(await of('ListServerGroupServers', { ServerGroupId: 'sgp-none' }), [
    404,
    'ResourceNotFound.serverGroup',
  ]);
  assert.deepEqual(await of('GetLoadBalancerAttribute', { LoadBalancerId: 'nlb-none' }), [
    404,
    'ResourceNotFound.loadBalancer',
  ]);
  assert.deepEqual(await of('GetListenerAttribute', { ListenerId: 'lsn-x@80' }), [404, 'ResourceNotFound.listener']);
  assert.deepEqual(await of('GetJobStatus', { JobId: 'none' }), [404, 'ResourceNotFound.JobId']);
  assert.deepEqual(await of('DeleteServerGroup', group), [400, 'ResourceInUse.ServerGroup']);
  assert.deepEqual(await of('UpdateServerGroupAttribute', { ...group, ServerGroupName: '1x' }), [
    400,
    'IllegalParam.ServerGroupName',
  ]);
  assert.deepEqual(await of('UpdateServerGroupAttribute', { ...group, ServerGroupName: 'fine', DryRun: 'true' }), [
    400,
    'DryRunOperation',
  ]);
  assert.deepEqual(await of('AddServersToServerGroup', { ServerGroupId: 'sgp-2', ClientToken: 'a b', ...ecs() }), [
    400,
    'InvalidClientToken',
  ]);

  const token = { ServerGroupId: 'sgp-2', ClientToken: 't1' };
  const first = await nlb('AddServersToServerGroup', { ...token, ...ecs() });
  assert.equal((await nlb('AddServersToServerGroup', { ...token, ...ecs() })).JobId, first.JobId);
  assert.deepEqual(await of('AddServersToServerGroup', { ...token, ...ecs({ Weight: 5 }) }), [
    400,
    'IdempotenceSignatureMismatch',
  ]);
  await done(first);
});

test('while a job is at work further writes to the group are busy, each with a documented code', async (t) => {
  const { nlb, done } = await scene(t);
  const group = { ServerGroupId: 'sgp-1' };
  const one = servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 30080, Weight: 3 });
  const answer = await nlb('UpdateServerGroupServersAttribute', { ...group, ...one });
  assert.deepEqual(await refusal(nlb('UpdateServerGroupServersAttribute', { ...group, ...one })), [
    400,
    'IncorrectStatus.serverGroup',
  ]);
  assert.deepEqual(await refusal(nlb('UpdateServerGroupAttribute', { ...group, ServerGroupName: 'x.y' })), [
    400,
    'Conflict.Lock',
  ]);
  await done(answer);
  await done(await nlb('UpdateServerGroupAttribute', { ...group, ServerGroupName: 'x.y' }));

  const { Listeners } = await nlb('ListListeners', { 'LoadBalancerIds.1': 'nlb-1' });
  const listener = { ListenerId: Listeners[0].ListenerId };
  const moved = await nlb('UpdateListenerAttribute', { ...listener, ServerGroupId: 'sgp-2' });
  assert.deepEqual(await refusal(nlb('UpdateListenerAttribute', { ...listener, ServerGroupId: 'sgp-1' })), [
    400,
    'IncorrectStatus.listener',
  ]);
  assert.equal((await nlb('GetListenerAttribute', listener)).ServerGroupId, 'sgp-1');
  await done(moved);
  assert.equal((await nlb('GetListenerAttribute', listener)).ServerGroupId, 'sgp-2');
  await done(await nlb('DeleteServerGroup', group));
  assert.deepEqual((await nlb('ListServerGroups', { 'ServerGroupIds.1': 'sgp-1' })).ServerGroups, []);
});

test('forty servers in a call pass, forty-one do not; members are listed by pages of at most a hundred', async (t) => {
  const { nlb, done, members, it } = await scene(t, { unknownServers: 'accept' });
  const many = (from: number, count: number): Record<string, string> =>
    servers(
      ...Array.from({ length: count }, (_, at) => ({ ServerId: `i-m${from + at}`, ServerType: 'Ecs', Port: 80 })),
    );
  assert.deepEqual(await refusal(nlb('AddServersToServerGroup', { ServerGroupId: 'sgp-2', ...many(0, 41) })), [
    400,
    'IllegalParam.Servers',
  ]);
  for (const from of [0, 40, 80])
    await done(await nlb('AddServersToServerGroup', { ServerGroupId: 'sgp-2', ...many(from, 40) }));
  assert.equal((await members('sgp-2')).length, 20);

  const seen: string[] = [];
  let NextToken = '';
  do {
    const page = await nlb('ListServerGroupServers', {
      ServerGroupId: 'sgp-2',
      MaxResults: '100',
      ...(NextToken && { NextToken }),
    });
    assert.equal(page.TotalCount, 120);
    seen.push(...page.Servers.map((one: Json) => one.ServerId));
    ({ NextToken } = page);
  } while (NextToken);
  assert.equal(new Set(seen).size, 120);
  assert.deepEqual(await refusal(nlb('ListServerGroupServers', { ServerGroupId: 'sgp-2', MaxResults: '101' })), [
    400,
    'IllegalParam.MaxResults',
  ]);

  it.cloud.addInstance({ id: 'i-3', zone: 'cn-hangzhou-h', ip: '10.1.0.3' });
  for (const from of [120, 160, 200, 240, 280, 320, 360])
    await done(await nlb('AddServersToServerGroup', { ServerGroupId: 'sgp-2', ...many(from, 40) }));
  assert.deepEqual(await refusal(nlb('AddServersToServerGroup', { ServerGroupId: 'sgp-2', ...many(400, 1) })), [
    400,
    'QuotaExceeded.QuotaInsufficient',
  ]);
});

test('load balancers, listeners and groups are shown flat, with both spellings of tags', async (t) => {
  const { it: cloud, nlb } = await scene(t);
  const { LoadBalancers, TotalCount } = await nlb('ListLoadBalancers', { 'LoadBalancerIds.1': 'nlb-1' });
  assert.equal(TotalCount, 1);
  assert.deepEqual(LoadBalancers[0].Tags, [{ Key: 'team', Value: 'web' }]);
  const one = await nlb('GetLoadBalancerAttribute', { LoadBalancerId: 'nlb-1' });
  assert.deepEqual(one.Tags, [{ TagKey: 'team', TagValue: 'web' }]);
  assert.deepEqual(
    [one.DNSName, one.LoadBalancerStatus, one.VpcId, one.AddressType, one.CrossZoneEnabled],
    ['nlb-1.cn-hangzhou.nlb.aliyuncsslb.com', 'Active', VPC, 'Internet', true],
  );
  const { Listeners } = await nlb('ListListeners', { 'LoadBalancerIds.1': 'nlb-1' });
  assert.match(Listeners[0].ListenerId, /^lsn-\w+@80$/);
  assert.deepEqual(
    [Listeners[0].ListenerPort, Listeners[0].ListenerProtocol, Listeners[0].ListenerStatus, Listeners[0].ServerGroupId],
    [80, 'TCP', 'Running', 'sgp-1'],
  );
  // Tag in the query and ids in the body, as the SDK sends it.
  const { ServerGroups } = await officialClient(cloud.host, VERSIONS.Nlb)(
    'ListServerGroups',
    { 'Tag.1.Key': 'team', 'Tag.1.Value': 'web' },
    { RegionId: REGION, 'ServerGroupIds.1': 'sgp-1', 'ServerGroupIds.2': 'sgp-2' },
  );
  assert.deepEqual(
    ServerGroups.map((it: Json) => [
      it.ServerGroupId,
      it.Scheduler,
      it.ServerGroupType,
      it.ServerCount,
      it.RelatedLoadBalancerIds,
    ]),
    [['sgp-1', 'Wrr', 'Instance', 3, ['nlb-1']]],
  );
});

test('tags come and go on load balancers and server groups', async (t) => {
  const { nlb } = await scene(t);
  const about = { ResourceType: 'servergroup', 'ResourceId.1': 'sgp-2' };
  await nlb('TagResources', {
    ...about,
    'Tag.1.Key': 'ack.aliyun.com',
    'Tag.1.Value': 'c1',
    'Tag.2.Key': 'b',
    'Tag.2.Value': '',
  });
  const { TagResources } = await nlb('ListTagResources', about);
  assert.deepEqual(TagResources, [
    { ResourceId: 'sgp-2', ResourceType: 'servergroup', TagKey: 'ack.aliyun.com', TagValue: 'c1' },
    { ResourceId: 'sgp-2', ResourceType: 'servergroup', TagKey: 'b', TagValue: '' },
  ]);
  await nlb('UntagResources', { ...about, 'TagKey.1': 'ack.aliyun.com' });
  assert.equal((await nlb('ListTagResources', about)).TagResources.length, 1);
  await nlb('TagResources', {
    ResourceType: 'loadbalancer',
    'ResourceId.1': 'nlb-1',
    'Tag.1.Key': 'x',
    'Tag.1.Value': 'y',
  });
  assert.equal((await nlb('GetLoadBalancerAttribute', { LoadBalancerId: 'nlb-1' })).Tags.length, 2);
});

test('a load balancer, its groups and listeners can be made and taken away again', async (t) => {
  const { nlb, done, it } = await scene(t);
  const made = await nlb('CreateLoadBalancer', {
    AddressType: 'Internet',
    VpcId: VPC,
    LoadBalancerName: 'own',
    'ZoneMappings.1.ZoneId': 'cn-hangzhou-h',
    'ZoneMappings.1.VSwitchId': 'vsw-1',
    'DeletionProtectionConfig.Enabled': 'true',
  });
  assert.match(made.LoadbalancerId, /^nlb-/);
  await done(made);
  const group = await nlb('CreateServerGroup', {
    ServerGroupName: 'k8s.30080.TCP.web.shop.c1',
    VpcId: VPC,
    Scheduler: 'wlc',
    'HealthCheckConfig.HealthCheckEnabled': 'false',
    'Tag.1.Key': 'a',
    'Tag.1.Value': 'b',
  });
  await done(group);
  const listener = await nlb('CreateListener', {
    LoadBalancerId: made.LoadbalancerId,
    ListenerProtocol: 'TCP',
    ListenerPort: '443',
    ServerGroupId: group.ServerGroupId,
  });
  await done(listener);
  await done(
    await nlb('AddServersToServerGroup', {
      ServerGroupId: group.ServerGroupId,
      ...servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 30080 }),
    }),
  );
  assert.equal(it.cloud.listenerBackends(made.LoadbalancerId, 443)!.length, 1);
  assert.equal(it.cloud.listenerScheduler!(made.LoadbalancerId, 443), 'wlc');
  const { ListenerHealthStatus } = await nlb('GetListenerHealthStatus', { ListenerId: listener.ListenerId });
  assert.deepEqual(
    ListenerHealthStatus[0].ServerGroupInfos[0].NonNormalServers.map((one: Json) => one.Status),
    ['Unavailable'],
  );

  assert.deepEqual(await refusal(nlb('DeleteLoadBalancer', { LoadBalancerId: made.LoadbalancerId })), [
    400,
    'OperationDenied.DeletionProtection',
  ]);
  await nlb('UpdateLoadBalancerProtection', {
    LoadBalancerId: made.LoadbalancerId,
    DeletionProtectionEnabled: 'false',
  });
  await done(await nlb('StopListener', { ListenerId: listener.ListenerId }));
  assert.equal(it.cloud.listenerBackends(made.LoadbalancerId, 443), undefined);
  await done(await nlb('DeleteListener', { ListenerId: listener.ListenerId }));
  await done(await nlb('DeleteServerGroup', { ServerGroupId: group.ServerGroupId }));
  await done(await nlb('DeleteLoadBalancer', { LoadBalancerId: made.LoadbalancerId }));
  assert.deepEqual((await nlb('ListLoadBalancers', { 'LoadBalancerIds.1': made.LoadbalancerId })).LoadBalancers, []);
});

test('a health check that fails takes a member out, and only such members are listed', async (t) => {
  const { nlb, it } = await scene(t, { health: (server) => (server === 'i-2' ? 'abnormal' : 'normal') });
  assert.deepEqual(
    it.cloud.listenerBackends('nlb-1', 80)!.map((one) => one.server),
    ['i-1', 'eni-9'],
  );
  const { Listeners } = await nlb('ListListeners', { 'LoadBalancerIds.1': 'nlb-1' });
  const { ListenerHealthStatus } = await nlb('GetListenerHealthStatus', { ListenerId: Listeners[0].ListenerId });
  assert.deepEqual(ListenerHealthStatus[0].ServerGroupInfos, [
    {
      ServerGroupId: 'sgp-1',
      HeathCheckEnabled: true,
      NonNormalServers: [
        {
          ServerId: 'i-2',
          ServerIp: '10.1.0.2',
          Port: 30080,
          Status: 'Unhealthy',
          Reason: { ReasonCode: 'CONNECT_FAILED' },
        },
      ],
    },
  ]);
});

test('an Ip group takes addresses of anywhere and no instances', async (t) => {
  const { nlb, done, members } = await scene(t);
  await done(
    await nlb('AddServersToServerGroup', {
      ServerGroupId: 'sgp-ip',
      ...servers({ ServerId: '172.16.3.4', ServerType: 'Ip', ServerIp: '172.16.3.4', Port: 8080, Weight: 5 }),
    }),
  );
  assert.deepEqual(await members('sgp-ip'), ['172.16.3.4:8080=5 Available']);
  assert.deepEqual(
    await refusal(
      nlb('AddServersToServerGroup', {
        ServerGroupId: 'sgp-ip',
        ...servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 80 }),
      }),
    ),
    [400, 'Mismatch.ServerType'],
  );
});

test('requests are signed over their form body in both schemes, and a changed body is refused', async (t) => {
  const { it, nlb } = await scene(t, {}, 'v2');
  assert.equal((await nlb('ListServerGroups', { 'ServerGroupIds.1': 'sgp-1' })).TotalCount, 1);
  const body = { ServerGroupId: 'sgp-2', ...servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 80 }) };
  const raw = await rpcCall(it.url, 'Nlb', 'AddServersToServerGroup', body, { form: true });
  assert.equal(raw.status, 200);
  const acs3 = officialClient(it.host, VERSIONS.Nlb, { secret: 'wrong' });
  assert.deepEqual(await refusal(acs3('ListServerGroups', {}, { RegionId: REGION })), [400, 'SignatureDoesNotMatch']);
});

test('a call of the twin’s own controllers is done at once, and busy for clients for a while', async (t) => {
  const { it, nlb, members, sleep } = await scene(t);
  await it.cloud.call('Nlb', 'UpdateServerGroupServersAttribute', {
    RegionId: REGION,
    ServerGroupId: 'sgp-1',
    ...servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 30080, Weight: 9 }),
  });
  assert.equal((await members())[0], 'i-1:30080=9 Available');
  const again = (): Promise<Json> =>
    nlb('UpdateServerGroupServersAttribute', {
      ServerGroupId: 'sgp-1',
      ...servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 30080, Weight: 1 }),
    });
  assert.deepEqual(await refusal(again()), [400, 'IncorrectStatus.serverGroup']);
  await sleep(1000);
  await again();
});

test('the snapshot holds load balancers, groups and members, without what only dates a change', async (t) => {
  const { it, nlb, done } = await scene(t);
  const before = it.cloud.snapshot();
  const weigh = async (Weight: number): Promise<string> =>
    done(
      await nlb('UpdateServerGroupServersAttribute', {
        ServerGroupId: 'sgp-1',
        ...servers({ ServerId: 'i-1', ServerType: 'Ecs', Port: 30080, Weight }),
      }),
    );
  await weigh(1);
  assert.notDeepEqual(it.cloud.snapshot(), before);
  await weigh(100);
  assert.deepEqual(it.cloud.snapshot(), before);
});
