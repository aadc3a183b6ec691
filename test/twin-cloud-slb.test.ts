import assert from 'node:assert/strict';
import { test } from 'node:test';
import { virtualClock } from '../src/twin/clock.js';
import type { CloudOptions, StartedCloud } from '../src/twin/cloud/cloud.js';
import type { Json } from '../src/twin/types.js';
import { officialClient, REGION, rpcCall, startedCloud, VERSIONS } from './twin-cloud-clients.js';

type Call = (action: string, parameters: Record<string, string>) => Promise<Json>;

async function started(
  t: { after(run: () => Promise<void>): void },
  options: Partial<CloudOptions> = {},
): Promise<{ it: StartedCloud; slb: Call }> {
  const it = await startedCloud(t, options);
  return { it, slb: officialClient(it.host, VERSIONS.Slb) };
}

const inGroup = (id: string, parameters: Record<string, string> = {}): Record<string, string> => ({
  RegionId: REGION,
  VServerGroupId: id,
  ...parameters,
});
const onLoadBalancer = (id: string, parameters: Record<string, string> = {}): Record<string, string> => ({
  RegionId: REGION,
  LoadBalancerId: id,
  ...parameters,
});

async function membersOf(slb: Call, group: string): Promise<string[]> {
  const { BackendServers } = await slb('DescribeVServerGroupAttribute', inGroup(group));
  return BackendServers.BackendServer.map(
    (it: Json) => `${it.ServerId}${it.ServerIp && `/${it.ServerIp}`}:${it.Port}=${it.Weight}`,
  );
}

test('members are taken in all three forms that real clients send', async (t) => {
  const { it, slb } = await started(t);
  const eni = it.cloud.plugInterface('10.0.0.7', 'i-2', 'cn-hangzhou-h');
  const add = (BackendServers: string): Promise<Json> =>
    slb('AddVServerGroupBackendServers', inGroup('rsp-2', { BackendServers }));

  await add(`[{"ServerId":"i-1","Port":"80","Weight":"30","Type":"ecs","Description":"sdk"}]`);
  await add(
    JSON.stringify([
      {
        IsUserManaged: false,
        NodeName: null,
        description: 'k8s/30080/web/shop/c',
        serverId: 'i-2',
        serverIp: '',
        weight: 0,
        port: 30080,
        type: 'ecs',
        TargetRef: null,
        Invalid: false,
      },
    ]),
  );
  await add(
    JSON.stringify([
      { description: 'k8s/80/web/shop/c', serverId: eni, serverIp: '10.0.0.7', weight: 5, port: 80, type: 'eni' },
    ]),
  );
  const terraform = `[{'ServerId':'i-3','Port':'80','Weight':'100', 'Type': 'ecs'}]`;
  const { status } = await rpcCall(
    it.url,
    'Slb',
    'AddVServerGroupBackendServers',
    inGroup('rsp-2', { BackendServers: terraform }),
    { form: true },
  );
  assert.equal(status, 200);

  assert.deepEqual(await membersOf(slb, 'rsp-2'), ['i-1:80=30', 'i-2:30080=0', `${eni}/10.0.0.7:80=5`, 'i-3:80=100']);
  const { BackendServers } = await slb('DescribeVServerGroupAttribute', inGroup('rsp-2'));
  assert.deepEqual(BackendServers.BackendServer[0], {
    ServerId: 'i-1',
    ServerIp: '',
    Port: 80,
    Weight: 30,
    Type: 'ecs',
    Description: 'sdk',
  });
});

test('setting weights changes the members named and leaves the others, names included', async (t) => {
  const { slb } = await started(t);
  const answer = await slb(
    'SetVServerGroupAttribute',
    inGroup('rsp-1', { BackendServers: `[{"ServerId":"i-1","Port":30080,"Weight":7}]` }),
  );
  assert.equal(answer.VServerGroupName, 'shop');
  assert.ok(!('ServerIp' in answer.BackendServers.BackendServer[0]));
  assert.deepEqual(await membersOf(slb, 'rsp-1'), ['i-1:30080=7', 'i-2:30080=100', 'eni-9/10.0.0.9:80=20']);

  // Without a weight it is the documented default; without a description that stays.
  await slb(
    'SetVServerGroupAttribute',
    inGroup('rsp-1', { BackendServers: `[{"ServerId":"eni-9","ServerIp":"10.0.0.9","Port":80,"Type":"eni"}]` }),
  );
  const { BackendServers } = await slb('DescribeVServerGroupAttribute', inGroup('rsp-1'));
  assert.deepEqual(
    BackendServers.BackendServer.map((it: Json) => [it.Weight, it.Description]),
    [
      [7, ''],
      [100, ''],
      [100, 'k8s/80/web/shop/c2'],
    ],
  );
});

test('a bad member refuses the whole call and changes nothing', async (t) => {
  const { slb } = await started(t);
  const before = await membersOf(slb, 'rsp-1');
  const good = { ServerId: 'i-1', Port: 30080, Weight: 1 };
  const cases: [unknown, string][] = [
    [{ ServerId: 'i-2', Port: 30080, Weight: 101 }, 'InvalidWeight.Malformed'],
    [{ ServerId: 'i-2', Port: 30080, Weight: -1 }, 'InvalidWeight.Malformed'],
    [{ ServerId: 'i-2', Port: 30080, Weight: '20%' }, 'InvalidWeight.Malformed'],
    [{ ServerId: 'i-2', Port: 30080, Weight: 1.5 }, 'InvalidWeight.Malformed'],
    [{ ServerId: 'i-2', Port: 0 }, 'BackendServersMalformed'],
    [{ Port: 80 }, 'BackendServersMalformed'],
    [{ ServerId: 'i-2', Port: 80, Type: 'pod' }, 'BackendServersMalformed'],
    [{ ServerId: 'i-3', Port: 30080, Weight: 1 }, 'InvalidBackendServers.Inconsistent'],
  ];
  for (const [member, code] of cases) {
    await assert.rejects(
      slb('SetVServerGroupAttribute', inGroup('rsp-1', { BackendServers: JSON.stringify([good, member]) })),
      { code },
    );
  }
  await assert.rejects(slb('SetVServerGroupAttribute', inGroup('rsp-1', { BackendServers: '[' })), {
    code: 'BackendServersMalformed',
  });
  const many = JSON.stringify(Array.from({ length: 41 }, () => good));
  await assert.rejects(slb('SetVServerGroupAttribute', inGroup('rsp-1', { BackendServers: many })), {
    code: 'TooManyBackendServers',
  });
  assert.deepEqual(await membersOf(slb, 'rsp-1'), before);
});

test('adding a member again leaves it, removing an absent one is fine', async (t) => {
  const { slb } = await started(t);
  await slb(
    'AddVServerGroupBackendServers',
    inGroup('rsp-1', {
      BackendServers: `[{"ServerId":"i-1","Port":30080,"Weight":1},{"ServerId":"i-1","Port":80,"Weight":1}]`,
    }),
  );
  await slb(
    'RemoveVServerGroupBackendServers',
    inGroup('rsp-1', { BackendServers: `[{"ServerId":"i-3","Port":1},{"ServerId":"i-2","Port":30080}]` }),
  );
  assert.deepEqual(await membersOf(slb, 'rsp-1'), ['i-1:30080=100', 'eni-9/10.0.0.9:80=20', 'i-1:80=1']);
});

test('an interface is a member once per address and port', async (t) => {
  const { slb } = await started(t, { unknownServers: 'accept' });
  const members = ['10.0.0.1', '10.0.0.2'].map((ServerIp) => ({
    ServerId: 'eni-5',
    ServerIp,
    Port: 80,
    Weight: 10,
    Type: 'eni',
  }));
  await slb('AddVServerGroupBackendServers', inGroup('rsp-2', { BackendServers: JSON.stringify(members) }));
  await slb(
    'SetVServerGroupAttribute',
    inGroup('rsp-2', { BackendServers: JSON.stringify([{ ...members[1], Weight: 3 }]) }),
  );
  assert.deepEqual(await membersOf(slb, 'rsp-2'), ['eni-5/10.0.0.1:80=10', 'eni-5/10.0.0.2:80=3']);
  await slb('RemoveVServerGroupBackendServers', inGroup('rsp-2', { BackendServers: JSON.stringify([members[0]]) }));
  assert.deepEqual(await membersOf(slb, 'rsp-2'), ['eni-5/10.0.0.2:80=3']);
});

test('replacing members takes the old out and the new in, or does nothing', async (t) => {
  const { slb } = await started(t);
  const replace = (old: object, fresh: object): Promise<Json> =>
    slb(
      'ModifyVServerGroupBackendServers',
      inGroup('rsp-1', { OldBackendServers: JSON.stringify([old]), NewBackendServers: JSON.stringify([fresh]) }),
    );
  await replace({ ServerId: 'i-1', Port: 30080 }, { ServerId: 'i-3', Port: 30080, Weight: 9 });
  const after = ['i-2:30080=100', 'eni-9/10.0.0.9:80=20', 'i-3:30080=9'];
  assert.deepEqual(await membersOf(slb, 'rsp-1'), after);
  await assert.rejects(replace({ ServerId: 'i-2', Port: 30080 }, { ServerId: 'i-404', Port: 80 }), {
    code: 'InvalidServerId.NotFound',
  });
  assert.deepEqual(await membersOf(slb, 'rsp-1'), after);
});

test('servers must exist, in the region and VPC of the load balancer', async (t) => {
  const { it, slb } = await started(t);
  it.cloud.addInstance({ id: 'i-far', zone: 'cn-beijing-h', ip: '10.2.0.1' });
  it.cloud.addInstance({ id: 'i-vpc', zone: 'cn-hangzhou-h', ip: '10.3.0.1', vpc: 'vpc-other' });
  it.seed({
    region: REGION,
    loadBalancers: [
      { id: 'lb-3', address: '10.0.0.3', vpc: 'vpc-mine', listeners: [], groups: [{ id: 'rsp-3', name: 'x' }] },
    ],
  });
  const add = (group: string, ServerId: string): Promise<Json> =>
    slb('AddVServerGroupBackendServers', inGroup(group, { BackendServers: JSON.stringify([{ ServerId, Port: 80 }]) }));
  await assert.rejects(add('rsp-2', 'i-404'), { code: 'InvalidServerId.NotFound', statusCode: 404 });
  await assert.rejects(add('rsp-2', 'i-far'), { code: 'InvalidServerId.NotFound' });
  await assert.rejects(add('rsp-3', 'i-vpc'), { code: 'NetworkConflict' });
  await add('rsp-2', 'i-vpc');
  // What names no VPC is in the account's first one.
  await add('rsp-3', 'i-1');
  assert.equal(it.vpc(), 'vpc-mine');
});

test('quotas hold for the load balancer and for one server', async (t) => {
  const { slb } = await started(t, { limits: { backendsPerLoadBalancer: 5, membershipsPerServer: 3 } });
  const add = (group: string, members: [string, number][]): Promise<Json> =>
    slb(
      'AddVServerGroupBackendServers',
      inGroup(group, { BackendServers: JSON.stringify(members.map(([ServerId, Port]) => ({ ServerId, Port }))) }),
    );
  await add('rsp-2', [['i-1', 1]]);
  await assert.rejects(
    add('rsp-2', [
      ['i-2', 1],
      ['i-3', 1],
    ]),
    { code: 'InstanceBackendServerNumberOverLimit' },
  );
  await add('rsp-2', [['i-1', 2]]);
  await assert.rejects(add('rsp-9', [['i-1', 3]]), { code: 'InstanceBackendServerNumberOverLimit' });
});

test('a missing group and a missing load balancer are told as the real ones tell it', async (t) => {
  const { slb } = await started(t);
  await assert.rejects(slb('DescribeVServerGroupAttribute', inGroup('rsp-404')), (error: Json) => {
    assert.equal(error.code, 'InvalidParameter');
    assert.equal(error.statusCode, 404);
    assert.match(error.message, /The specified VServerGroupId does not exist/);
    return true;
  });
  for (const action of ['DescribeLoadBalancerAttribute', 'DeleteLoadBalancer', 'DescribeVServerGroups']) {
    await assert.rejects(slb(action, onLoadBalancer('lb-404')), (error: Json) => {
      assert.equal(error.code, 'InvalidLoadBalancerId.NotFound');
      assert.match(error.message, /LoadBalancerId does not exist/);
      return true;
    });
  }
  await assert.rejects(slb('DescribeLoadBalancerAttribute', { RegionId: 'cn-beijing', LoadBalancerId: 'lb-1' }), {
    code: 'InvalidLoadBalancerId.NotFound',
  });
});

test('a group in use stays, one out of use goes', async (t) => {
  const { slb } = await started(t);
  await assert.rejects(slb('DeleteVServerGroup', inGroup('rsp-1')), { code: 'RspoolVipExist' });
  await slb('DeleteVServerGroup', inGroup('rsp-2'));
  const { VServerGroups } = await slb('DescribeVServerGroups', onLoadBalancer('lb-1', { IncludeListener: 'true' }));
  assert.deepEqual(
    VServerGroups.VServerGroup.map((it: Json) => [
      it.VServerGroupId,
      it.VServerGroupName,
      it.ServerCount,
      it.AssociatedObjects.Listeners.Listener,
    ]),
    [['rsp-1', 'shop', 3, [{ Port: 80, Protocol: 'tcp' }]]],
  );
});

test('while a change is being applied a further write is busy, and a read is not', async (t) => {
  const clock = virtualClock('2026-01-01T00:00:00Z');
  const { it, slb } = await started(t, { clock, rates: { applyMs: 2000 } });
  const weight = (value: number): Record<string, string> =>
    inGroup('rsp-1', { BackendServers: `[{"ServerId":"i-1","Port":30080,"Weight":${value}}]` });
  await slb('SetVServerGroupAttribute', weight(1));
  await assert.rejects(slb('SetVServerGroupAttribute', weight(2)), { code: 'VServerGroupProcessing', statusCode: 400 });
  await assert.rejects(slb('RemoveVServerGroupBackendServers', weight(2)), {
    code: 'BackendServer.configuring',
    statusCode: 409,
  });
  assert.equal((await membersOf(slb, 'rsp-1'))[0], 'i-1:30080=1');
  await slb('SetVServerGroupAttribute', inGroup('rsp-2', { VServerGroupName: 'another group is free' }));

  // The twin's own controllers don't wait, but others wait for them.
  await it.cloud.call('Slb', 'SetVServerGroupAttribute', weight(3));
  await clock.sleep(1999);
  await assert.rejects(slb('SetVServerGroupAttribute', weight(4)), { code: 'VServerGroupProcessing' });
  await clock.sleep(1);
  await slb('SetVServerGroupAttribute', weight(5));
  assert.equal((await membersOf(slb, 'rsp-1'))[0], 'i-1:30080=5');

  await slb('StopLoadBalancerListener', onLoadBalancer('lb-1', { ListenerPort: '80' }));
  await assert.rejects(slb('StartLoadBalancerListener', onLoadBalancer('lb-1', { ListenerPort: '80' })), {
    code: 'ServiceIsConfiguring',
  });
});

test('a listener is created stopped, weighted by default, and keeps what a change leaves out', async (t) => {
  const { it, slb } = await started(t);
  const on = (port: number, parameters: Record<string, string> = {}): Record<string, string> =>
    onLoadBalancer('lb-1', { ListenerPort: String(port), ...parameters });
  await assert.rejects(slb('CreateLoadBalancerTCPListener', on(443)), { code: 'MissingBandwidth' });
  await assert.rejects(slb('CreateLoadBalancerTCPListener', on(443, { Bandwidth: '-1' })), {
    code: 'MissingBackendServerPort',
  });
  await assert.rejects(slb('CreateLoadBalancerTCPListener', on(443, { Bandwidth: '-1', VServerGroupId: 'rsp-9' })), {
    code: 'VipNotMatchRspool',
  });
  await assert.rejects(slb('CreateLoadBalancerTCPListener', on(80, { Bandwidth: '-1', VServerGroupId: 'rsp-2' })), {
    code: 'ListenerAlreadyExists',
  });
  await slb(
    'CreateLoadBalancerTCPListener',
    on(443, { Bandwidth: '-1', VServerGroupId: 'rsp-1', healthCheckInterval: '7', Description: 'k8s/443/web/shop/c' }),
  );

  const read = (): Promise<Json> => slb('DescribeLoadBalancerTCPListenerAttribute', on(443));
  const created = await read();
  assert.deepEqual(
    [
      created.Status,
      created.Scheduler,
      created.HealthCheckInterval,
      created.PersistenceTimeout,
      created.ConnectionDrain,
      created.VServerGroupId,
    ],
    ['stopped', 'wrr', 7, 0, 'off', 'rsp-1'],
  );
  assert.equal(it.cloud.listenerBackends('lb-1', 443), undefined);
  await slb('StartLoadBalancerListener', on(443));
  assert.equal(it.cloud.listenerBackends('lb-1', 443)?.length, 3);
  assert.equal(it.cloud.listenerScheduler?.('lb-1', 443), 'wrr');

  await slb(
    'SetLoadBalancerTCPListenerAttribute',
    on(443, { VServerGroup: 'on', VServerGroupId: 'rsp-2', Scheduler: 'rr', PersistenceTimeout: '60' }),
  );
  const changed = await read();
  assert.deepEqual(
    [
      changed.Status,
      changed.Scheduler,
      changed.HealthCheckInterval,
      changed.PersistenceTimeout,
      changed.VServerGroupId,
    ],
    ['running', 'rr', 7, 60, 'rsp-2'],
  );
  await assert.rejects(slb('SetLoadBalancerTCPListenerAttribute', on(443, { ConnectionDrain: 'on' })), {
    code: 'MissingConnectionDrainTimeout',
  });
  await assert.rejects(slb('SetLoadBalancerTCPListenerAttribute', on(443, { Scheduler: 'fastest' })), {
    code: 'InvalidScheduler',
  });
  await slb('DeleteLoadBalancerListener', on(443));
  await assert.rejects(read(), { code: 'ListenerNotFound', statusCode: 404 });
});

test('listeners of all protocols are listed flat, page by page, with their own fields', async (t) => {
  const { slb } = await started(t);
  const on = (port: number, parameters: Record<string, string>): Record<string, string> =>
    onLoadBalancer('lb-1', { ListenerPort: String(port), Bandwidth: '-1', VServerGroupId: 'rsp-1', ...parameters });
  await slb('CreateLoadBalancerUDPListener', on(80, { ConnectionDrain: 'on', ConnectionDrainTimeout: '30' }));
  await slb(
    'CreateLoadBalancerHTTPListener',
    on(8080, {
      HealthCheck: 'off',
      StickySession: 'on',
      StickySessionType: 'insert',
      CookieTimeout: '500',
      XForwardedFor_proto: 'on',
    }),
  );
  await assert.rejects(slb('CreateLoadBalancerHTTPSListener', on(443, { HealthCheck: 'off' })), {
    code: 'MissingServerCertificateId',
  });
  await slb('CreateLoadBalancerHTTPSListener', on(443, { HealthCheck: 'on', ServerCertificateId: 'cert-1' }));

  const listeners: Json[] = [];
  let token = '';
  do {
    const page = await slb('DescribeLoadBalancerListeners', {
      RegionId: REGION,
      'LoadBalancerId.1': 'lb-1',
      MaxResults: '2',
      ...(token && { NextToken: token }),
    });
    assert.equal(page.TotalCount, 4);
    assert.ok(page.Listeners.length <= 2);
    listeners.push(...page.Listeners);
    token = page.NextToken;
  } while (token !== '');
  assert.deepEqual(
    listeners.map((it) => [it.ListenerPort, it.ListenerProtocol, it.Status, it.VServerGroupId]),
    [
      [80, 'tcp', 'running', 'rsp-1'],
      [80, 'udp', 'stopped', 'rsp-1'],
      [8080, 'http', 'stopped', 'rsp-1'],
      [443, 'https', 'stopped', 'rsp-1'],
    ],
  );
  assert.equal(listeners[1].UDPListenerConfig.ConnectionDrainTimeout, 30);
  assert.equal(listeners[2].HTTPListenerConfig.CookieTimeout, 500);
  assert.equal(listeners[2].HTTPListenerConfig.XForwardedFor_proto, 'on');
  assert.equal(listeners[3].HTTPSListenerConfig.ServerCertificateId, 'cert-1');
  assert.deepEqual(listeners[0].Tags, []);

  // Two listeners share port 80, so the protocol has to be said.
  await assert.rejects(slb('StopLoadBalancerListener', onLoadBalancer('lb-1', { ListenerPort: '80' })), {
    code: 'MissingListenerProtocol',
  });
  await slb('StartLoadBalancerListener', onLoadBalancer('lb-1', { ListenerPort: '80', ListenerProtocol: 'udp' }));
});

test('rules, domain extensions and certificates hang on listeners of layer 7', async (t) => {
  const { slb } = await started(t, {
    certificates: [{ id: 'cert-1', name: 'shop', kind: 'server', region: REGION, commonName: 'shop.example.com' }],
  });
  const on = onLoadBalancer('lb-1', { ListenerPort: '443', ListenerProtocol: 'https' });
  await slb('CreateLoadBalancerHTTPSListener', {
    ...on,
    HealthCheck: 'off',
    VServerGroupId: 'rsp-1',
    ServerCertificateId: 'cert-1',
  });
  const RuleList = JSON.stringify([
    { RuleName: 'cart', Domain: 'shop.example.com', Url: '/cart', VServerGroupId: 'rsp-2' },
  ]);
  const { Rules } = await slb('CreateRules', { ...on, RuleList });
  await assert.rejects(slb('CreateRules', { ...on, RuleList }), { code: 'DomainExist' });
  await assert.rejects(slb('DeleteVServerGroup', inGroup('rsp-2')), { code: 'RspoolRuleExist' });
  assert.equal((await slb('DescribeRules', on)).Rules.Rule[0].VServerGroupId, 'rsp-2');
  await slb('DeleteRules', { RegionId: REGION, RuleIds: JSON.stringify([Rules.Rule[0].RuleId]) });
  assert.deepEqual((await slb('DescribeRules', on)).Rules.Rule, []);

  const { DomainExtensionId } = await slb('CreateDomainExtension', {
    ...on,
    Domain: 'a.example.com',
    ServerCertificateId: 'cert-1',
  });
  assert.equal((await slb('DescribeDomainExtensions', on)).DomainExtensions.DomainExtension[0].Domain, 'a.example.com');
  await slb('DeleteDomainExtension', { RegionId: REGION, DomainExtensionId });
  assert.deepEqual((await slb('DescribeDomainExtensions', on)).DomainExtensions.DomainExtension, []);
  assert.equal(
    (await slb('DescribeServerCertificates', { RegionId: REGION })).ServerCertificates.ServerCertificate[0]
      .ServerCertificateId,
    'cert-1',
  );
});

test('the health check decides what a listener sends to and what DescribeHealthStatus says', async (t) => {
  const { it, slb } = await started(t, { health: (server) => (server === 'i-2' ? 'abnormal' : 'normal') });
  const { BackendServers } = await slb('DescribeHealthStatus', onLoadBalancer('lb-1', { ListenerPort: '80' }));
  assert.deepEqual(
    BackendServers.BackendServer.map((member: Json) => [member.ServerId, member.ServerIp, member.ServerHealthStatus]),
    [
      ['i-1', '10.1.0.1', 'normal'],
      ['i-2', '10.1.0.2', 'abnormal'],
      ['eni-9', '10.0.0.9', 'normal'],
    ],
  );
  assert.deepEqual(
    it.cloud.listenerBackends('lb-1', 80)?.map(({ server, ip, weight }) => [server, ip, weight]),
    [
      ['i-1', '10.1.0.1', 100],
      ['eni-9', '10.0.0.9', 20],
    ],
  );
});

test('a load balancer is made, found by tag and by name, protected and deleted, as the controller does it', async (t) => {
  const { slb } = await started(t);
  const name = 'a0123456789abcdef0123456789abcde';
  const create = {
    RegionId: REGION,
    LoadBalancerName: name,
    AddressType: 'internet',
    DeleteProtection: 'on',
    ModificationProtectionStatus: 'ConsoleProtection',
    InstanceChargeType: 'PayByCLCU',
    ClientToken: 'token-1',
  };
  const { LoadBalancerId: id, Address } = await slb('CreateLoadBalancer', create);
  assert.equal((await slb('CreateLoadBalancer', create)).LoadBalancerId, id);
  await assert.rejects(slb('CreateLoadBalancer', { ...create, LoadBalancerName: 'other' }), {
    code: 'IdempotentParameterMismatch',
    statusCode: 403,
  });

  await slb('TagResources', {
    RegionId: REGION,
    ResourceType: 'instance',
    'ResourceId.1': id,
    'Tag.1.Key': 'kubernetes.do.not.delete',
    'Tag.1.Value': name,
    'Tag.2.Key': 'ack.aliyun.com',
    'Tag.2.Value': 'c1',
  });
  const byTag = await slb('DescribeLoadBalancers', {
    RegionId: REGION,
    Tags: JSON.stringify([{ TagKey: 'kubernetes.do.not.delete', TagValue: name }]),
  });
  assert.deepEqual(
    byTag.LoadBalancers.LoadBalancer.map((it: Json) => [
      it.LoadBalancerId,
      it.Address,
      it.InternetChargeTypeAlias,
      it.DeleteProtection,
    ]),
    [[id, Address, 'paybytraffic', 'on']],
  );
  assert.equal((await slb('DescribeLoadBalancers', { RegionId: REGION, LoadBalancerName: name })).TotalCount, 1);
  const attribute = await slb('DescribeLoadBalancerAttribute', onLoadBalancer(id));
  assert.deepEqual(
    [attribute.AddressIPVersion, attribute.LoadBalancerStatus, attribute.Bandwidth],
    ['ipv4', 'active', -1],
  );
  assert.equal(attribute.Tags.Tag.length, 2);

  await slb('SetLoadBalancerName', onLoadBalancer(id, { LoadBalancerName: 'renamed' }));
  await slb(
    'ModifyLoadBalancerInternetSpec',
    onLoadBalancer(id, { InternetChargeType: 'paybybandwidth', Bandwidth: '10' }),
  );
  await slb('ModifyLoadBalancerInstanceSpec', onLoadBalancer(id, { LoadBalancerSpec: 'slb.s3.small' }));
  await slb('ModifyLoadBalancerInstanceChargeType', onLoadBalancer(id, { InstanceChargeType: 'PayBySpec' }));
  await slb(
    'SetLoadBalancerModificationProtection',
    onLoadBalancer(id, { ModificationProtectionStatus: 'NonProtection' }),
  );
  const changed = await slb('DescribeLoadBalancerAttribute', onLoadBalancer(id));
  assert.deepEqual(
    [
      changed.LoadBalancerName,
      changed.InternetChargeType,
      changed.Bandwidth,
      changed.LoadBalancerSpec,
      changed.InstanceChargeType,
    ],
    ['renamed', 'paybybandwidth', 10, 'slb.s3.small', 'PayBySpec'],
  );

  const group = await slb('CreateVServerGroup', onLoadBalancer(id, { VServerGroupName: 'k8s/30080/web/shop/c1' }));
  await assert.rejects(slb('DeleteLoadBalancer', onLoadBalancer(id)), { code: 'OperationDenied.DeleteProtectionIsOn' });
  await slb('SetLoadBalancerDeleteProtection', onLoadBalancer(id, { DeleteProtection: 'off' }));
  await slb('DeleteLoadBalancer', onLoadBalancer(id));
  await assert.rejects(slb('DescribeVServerGroupAttribute', inGroup(group.VServerGroupId)), {
    code: 'InvalidParameter',
  });
});

test('a locked load balancer takes no changes', async (t) => {
  const { it, slb } = await started(t);
  it.seed({
    region: REGION,
    loadBalancers: [
      { id: 'lb-5', address: '10.0.0.5', status: 'locked', listeners: [], groups: [{ id: 'rsp-5', name: 'x' }] },
    ],
  });
  await assert.rejects(slb('SetVServerGroupAttribute', inGroup('rsp-5', { VServerGroupName: 'y' })), {
    code: 'ActionNotAllowed',
  });
  await assert.rejects(slb('CreateVServerGroup', onLoadBalancer('lb-5')), { code: 'ActionNotAllowed' });
});

test('tags are put, listed, filtered and taken off, in the new way and the old', async (t) => {
  const { slb } = await started(t, { limits: { tagsPerResource: 3 } });
  const on = { RegionId: REGION, ResourceType: 'instance', 'ResourceId.1': 'lb-1' };
  const tags = async (): Promise<string[]> =>
    (await slb('ListTagResources', on)).TagResources.TagResource.map(
      (it: Json) => `${it.ResourceId} ${it.TagKey}=${it.TagValue}`,
    );
  await slb('AddTags', onLoadBalancer('lb-1', { Tags: JSON.stringify([{ TagKey: 'a', TagValue: '1' }]) }));
  await slb('TagResources', { ...on, 'Tag.1.Key': 'b', 'Tag.1.Value': '2' });
  assert.deepEqual(await tags(), ['lb-1 team=web', 'lb-1 a=1', 'lb-1 b=2']);
  await assert.rejects(slb('TagResources', { ...on, 'Tag.1.Key': 'c', 'Tag.1.Value': '' }), {
    code: 'NumberExceed.Tags',
  });
  await assert.rejects(slb('TagResources', { ...on, 'ResourceId.1': 'lb-404', 'Tag.1.Key': 'a' }), {
    code: 'InvalidResourceId.NotFound',
  });
  assert.equal((await slb('DescribeTags', onLoadBalancer('lb-1'))).TagSets.TagSet.length, 3);

  const found = await slb('DescribeLoadBalancers', {
    RegionId: REGION,
    'Tag.1.Key': 'a',
    'Tag.1.Value': '1',
    'Tag.2.Key': 'b',
  });
  assert.deepEqual(
    found.LoadBalancers.LoadBalancer.map((it: Json) => it.LoadBalancerId),
    ['lb-1'],
  );
  await slb('RemoveTags', onLoadBalancer('lb-1', { Tags: JSON.stringify([{ TagKey: 'a', TagValue: '1' }]) }));
  await slb('UntagResources', { ...on, 'TagKey.1': 'team', 'TagKey.2': 'absent' });
  assert.deepEqual(await tags(), ['lb-1 b=2']);
});

test('creating groups is throttled at the documented ninety a minute', async (t) => {
  const { it, slb } = await started(t, { clock: virtualClock('2026-01-01T00:00:00Z') });
  for (let i = 0; i < 90; i++) await rpcCall(it.url, 'Slb', 'CreateVServerGroup', onLoadBalancer('lb-1'));
  await assert.rejects(slb('CreateVServerGroup', onLoadBalancer('lb-1')), { code: 'Throttling.User' });
});
