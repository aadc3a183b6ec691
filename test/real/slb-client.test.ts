import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { realClock } from '../../src/twin/clock.js';
import { startCloud, type StartedCloud } from '../../src/twin/cloud/cloud.js';
import type { Json } from '../../src/twin/types.js';
import { binaryPath } from '../servers/binaries.js';
import { KEY, REGION, rpcCall, SEED } from '../twin-cloud-clients.js';

/**
 * Every action of Classic Load Balancer that we or the cloud controller manager use, through the vendor's Go SDK, which is what the
 * real controller calls them with. Each answer goes through the SDK's own types and must come out as it went in.
 */

type Parameters = Record<string, string | string[] | { Key: string; Value: string }[]>;
type Reply = { answer?: Json; status?: number; code?: string; message?: string; bug?: string };

interface Client {
  call(action: string, parameters?: Parameters): Promise<Reply>;
  stop(): Promise<void>;
}

function startClient(host: string): Client {
  const child = spawn(binaryPath('slb-client'), [host, REGION, KEY.id, KEY.secret], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // The SDK proxies loopback too when the environment says so.
    env: {},
  });
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  return {
    call: (action, parameters = {}) =>
      new Promise((resolve) => {
        waiting.push((line) => resolve(JSON.parse(line)));
        child.stdin.write(`${JSON.stringify({ action, parameters })}\n`);
      }),
    stop: () =>
      new Promise((resolve) => {
        child.on('exit', () => resolve());
        child.stdin.end();
      }),
  };
}

/** Where `typed` lacks or changes what `raw` says, as paths. */
function lostIn(typed: Json, raw: Json, path = ''): string[] {
  if (Array.isArray(raw)) {
    if (!Array.isArray(typed) || typed.length !== raw.length) return [`${path}: not a list of ${raw.length}`];
    return raw.flatMap((it, i) => lostIn(typed[i], it, `${path}[${i}]`));
  }
  if (typeof raw === 'object' && raw !== null) {
    if (typeof typed !== 'object' || typed === null) return [`${path}: not an object`];
    return Object.entries(raw).flatMap(([key, value]) => lostIn(typed[key], value, `${path}.${key}`));
  }
  return typed === raw ? [] : [`${path}: ${JSON.stringify(raw)} became ${JSON.stringify(typed)}`];
}

describe('the vendor’s Go SDK on the twin’s load balancers', () => {
  let cloud: StartedCloud;
  let client: Client;
  const seen = new Set<string>();

  before(async () => {
    cloud = await startCloud({
      clock: realClock(),
      region: REGION,
      accessKeys: [KEY],
      certificates: [{ id: 'cert-1', name: 'shop', kind: 'server', region: REGION, commonName: 'shop.example.com' }],
      limits: { callsPerMinute: { DescribeTags: 2 } },
    });
    for (const id of ['i-1', 'i-2', 'i-3'])
      cloud.cloud.addInstance({ id, zone: 'cn-hangzhou-h', ip: `10.1.0.${id.slice(2)}` });
    cloud.seed(SEED);
    client = startClient(cloud.host);
  });
  after(async () => {
    await client.stop();
    await cloud.stop();
  });

  async function call(action: string, parameters: Parameters = {}): Promise<Json> {
    const reply = await client.call(action, parameters);
    assert.equal(reply.bug, undefined);
    assert.equal(reply.code, undefined, `${action}: ${reply.code} ${reply.message}`);
    seen.add(action);
    return reply.answer;
  }

  async function refused(
    action: string,
    parameters: Parameters,
    status: number,
    code: string,
    words = '',
  ): Promise<void> {
    const reply = await client.call(action, parameters);
    assert.deepEqual([reply.status, reply.code], [status, code], `${action}: ${JSON.stringify(reply)}`);
    assert.ok(reply.message?.includes(words), reply.message);
  }

  const flat = (parameters: Parameters): Record<string, string> =>
    Object.fromEntries(
      Object.entries(parameters).flatMap(([name, value]) => {
        if (typeof value === 'string') return [[name, value]];
        return value.flatMap((it, i) =>
          typeof it === 'string'
            ? [[`${name}.${i + 1}`, it]]
            : [
                [`${name}.${i + 1}.Key`, it.Key],
                [`${name}.${i + 1}.Value`, it.Value],
              ],
        );
      }),
    );

  /** A read, whose typed answer must say all that the wire says. */
  async function reads(action: string, parameters: Parameters = {}): Promise<Json> {
    const typed = await call(action, parameters);
    const { body } = await rpcCall(cloud.url, 'Slb', action, flat(parameters));
    delete body.RequestId;
    assert.deepEqual(lostIn(typed, body), [], action);
    return typed;
  }

  const members = (...list: object[]): string => JSON.stringify(list);
  const onLb = (more: Parameters = {}): Parameters => ({ LoadBalancerId: 'lb-1', ...more });
  const inGroup = (id: string, more: Parameters = {}): Parameters => ({ VServerGroupId: id, ...more });

  test('regions, load balancers and their attributes', async () => {
    assert.ok((await reads('DescribeRegions')).Regions.Region.some((it: Json) => it.RegionId === REGION));
    await reads('DescribeZones');
    const page = await reads('DescribeLoadBalancers', { PageNumber: '2', PageSize: '1' });
    assert.deepEqual(
      [page.TotalCount, page.PageNumber, page.LoadBalancers.LoadBalancer.map((it: Json) => it.LoadBalancerId)],
      [2, 2, ['lb-2']],
    );
    for (const by of [
      { LoadBalancerName: 'front' },
      { LoadBalancerId: 'lb-1,lb-404' },
      { Address: '47.98.10.9' },
      { ServerId: 'i-1' },
      { Tags: '[{"TagKey":"team","TagValue":"web"}]' },
      { Tag: [{ Key: 'team', Value: 'web' }] },
    ] as Parameters[])
      assert.equal((await reads('DescribeLoadBalancers', by)).TotalCount, 1, JSON.stringify(by));
    const lb = await reads('DescribeLoadBalancerAttribute', onLb());
    assert.deepEqual(lb.ListenerPortsAndProtocol.ListenerPortAndProtocol[0].ListenerPort, 80);
    await refused(
      'DescribeLoadBalancerAttribute',
      { LoadBalancerId: 'lb-404' },
      404,
      'InvalidLoadBalancerId.NotFound',
      'LoadBalancerId does not exist',
    );
    await refused('DescribeLoadBalancers', { PageSize: '101' }, 400, 'InvalidPageSize');
    await refused('DescribeLoadBalancerAttribute', {}, 400, 'MissingLoadBalancerId');
  });

  test('server groups: made, read, filled, weighed, renamed, emptied, deleted', async () => {
    const made = await call(
      'CreateVServerGroup',
      onLb({
        VServerGroupName: 'k8s/30080/web/shop/c',
        BackendServers: members({ ServerId: 'i-1', Port: '30080', Weight: '40' }),
      }),
    );
    const id: string = made.VServerGroupId;
    // As the controller writes them: lower camel case, numbers, keys of its own.
    const own = (server: string, weight: number) => ({
      IsUserManaged: false,
      NodeName: null,
      description: 'k8s/30080/web/shop/c',
      serverId: server,
      serverIp: '',
      weight,
      port: 30_080,
      type: 'ecs',
      TargetRef: null,
      Invalid: false,
    });
    await call(
      'AddVServerGroupBackendServers',
      inGroup(id, { BackendServers: members(own('i-2', 26), own('i-3', 26)) }),
    );
    const set = await call('SetVServerGroupAttribute', inGroup(id, { BackendServers: members(own('i-2', 0)) }));
    assert.equal(set.BackendServers.BackendServer.length, 3);
    const read = await reads('DescribeVServerGroupAttribute', inGroup(id));
    assert.deepEqual(
      read.BackendServers.BackendServer.map((it: Json) => [it.ServerId, it.Port, it.Weight, it.Type, it.Description]),
      [
        ['i-1', 30_080, 40, 'ecs', ''],
        ['i-2', 30_080, 0, 'ecs', 'k8s/30080/web/shop/c'],
        ['i-3', 30_080, 26, 'ecs', 'k8s/30080/web/shop/c'],
      ],
    );
    await call(
      'ModifyVServerGroupBackendServers',
      inGroup(id, {
        OldBackendServers: members({ ServerId: 'i-3', Port: '30080' }),
        NewBackendServers: members({ ServerId: 'i-3', Port: '30081', Weight: '1' }),
      }),
    );
    await call(
      'RemoveVServerGroupBackendServers',
      inGroup(id, { BackendServers: members(own('i-2', 0), own('i-404', 0)) }),
    );
    assert.equal((await reads('DescribeVServerGroupAttribute', inGroup(id))).BackendServers.BackendServer.length, 2);
    assert.equal(
      (await call('SetVServerGroupAttribute', inGroup(id, { VServerGroupName: 'mine' }))).VServerGroupName,
      'mine',
    );
    const all = await reads('DescribeVServerGroups', onLb({ IncludeListener: 'true', IncludeRule: 'true' }));
    assert.deepEqual(
      all.VServerGroups.VServerGroup.map((it: Json) => it.AssociatedObjects.Listeners.Listener.length),
      [1, 0, 0],
    );
    for (const [bad, code] of [
      [members({ ServerId: 'i-1', Port: 30_080, Weight: 101 }), 'InvalidWeight.Malformed'],
      ['{}', 'BackendServersMalformed'],
      [members({ ServerId: 'i-9', Port: 1 }), 'InvalidBackendServers.Inconsistent'],
      [members(...Array.from({ length: 41 }, () => own('i-1', 1))), 'TooManyBackendServers'],
    ] as const)
      await refused('SetVServerGroupAttribute', inGroup(id, { BackendServers: bad }), 400, code);
    await refused(
      'AddVServerGroupBackendServers',
      inGroup(id, { BackendServers: members({ ServerId: 'i-404', Port: 1 }) }),
      404,
      'InvalidServerId.NotFound',
    );
    await refused('DeleteVServerGroup', inGroup('rsp-1'), 400, 'RspoolVipExist');
    await call('DeleteVServerGroup', inGroup(id));
    await refused(
      'DescribeVServerGroupAttribute',
      inGroup(id),
      404,
      'InvalidParameter',
      'The specified VServerGroupId does not exist',
    );
  });

  test('forty members as the controller sends them fit into one call', async () => {
    for (let i = 0; i < 40; i++)
      cloud.cloud.addInstance({ id: `i-many-${i}`, zone: 'cn-hangzhou-h', ip: `10.1.1.${i}` });
    const many = members(
      ...Array.from({ length: 40 }, (_, i) => ({
        description: 'k8s/30080/web-with-a-long-name/shop/c1234567890abcdef1234567890abcdef',
        serverId: `i-many-${i}`,
        serverIp: '',
        weight: 100,
        port: 30_080,
        type: 'ecs',
        IsUserManaged: false,
        NodeName: null,
        TargetRef: null,
        Invalid: false,
      })),
    );
    await call('AddVServerGroupBackendServers', inGroup('rsp-2', { BackendServers: many }));
    assert.equal(
      (await reads('DescribeVServerGroupAttribute', inGroup('rsp-2'))).BackendServers.BackendServer.length,
      40,
    );
    await call('RemoveVServerGroupBackendServers', inGroup('rsp-2', { BackendServers: many }));
  });

  test('listeners of each protocol: made stopped, started, changed, listed page by page, stopped, deleted', async () => {
    const base = { VServerGroupId: 'rsp-2', Description: 'k8s/1/web/shop/c', Scheduler: 'rr' };
    const l7 = {
      HealthCheck: 'off',
      StickySession: 'on',
      StickySessionType: 'insert',
      CookieTimeout: '60',
      XForwardedFor_proto: 'on',
      IdleTimeout: '20',
    };
    const kinds: [string, string, Parameters][] = [
      [
        'TCP',
        '1081',
        {
          Bandwidth: '-1',
          healthCheckInterval: '7',
          HealthyThreshold: '4',
          PersistenceTimeout: '0',
          ConnectionDrain: 'on',
          ConnectionDrainTimeout: '30',
          EstablishedTimeout: '500',
        },
      ],
      ['UDP', '1082', { Bandwidth: '-1', HealthCheckConnectTimeout: '9' }],
      ['HTTP', '1083', { Bandwidth: '-1', ...l7 }],
      ['HTTPS', '1084', { Bandwidth: '-1', ...l7, ServerCertificateId: 'cert-1', EnableHttp2: 'off' }],
    ];
    for (const [kind, port, options] of kinds) {
      const where = onLb({ ListenerPort: port });
      await call(`CreateLoadBalancer${kind}Listener`, { ...where, ...base, ...options });
      assert.equal((await reads(`DescribeLoadBalancer${kind}ListenerAttribute`, where)).Status, 'stopped');
      await call('StartLoadBalancerListener', { ...where, ListenerProtocol: kind.toLowerCase() });
      // As the controller changes one: everything that it read goes back, with the group said again.
      await call(`SetLoadBalancer${kind}ListenerAttribute`, {
        ...where,
        ...base,
        VServerGroup: 'on',
        VServerGroupId: 'rsp-1',
        Scheduler: 'wrr',
      });
      const after = await reads(`DescribeLoadBalancer${kind}ListenerAttribute`, where);
      assert.deepEqual(
        [after.Status, after.Scheduler, after.VServerGroupId, after.Description],
        ['running', 'wrr', 'rsp-1', 'k8s/1/web/shop/c'],
      );
    }
    assert.equal(
      (await call('DescribeLoadBalancerTCPListenerAttribute', onLb({ ListenerPort: '1081' }))).HealthCheckInterval,
      7,
    );
    const ports: number[] = [];
    for (let token = ''; ;) {
      const page = await reads('DescribeLoadBalancerListeners', {
        LoadBalancerId: ['lb-1'],
        MaxResults: '2',
        ...(token ? { NextToken: token } : {}),
      });
      ports.push(...page.Listeners.map((it: Json) => it.ListenerPort));
      token = page.NextToken;
      if (token === '') break;
    }
    assert.deepEqual(ports, [80, 1081, 1082, 1083, 1084]);
    await refused(
      'CreateLoadBalancerTCPListener',
      onLb({ ListenerPort: '1081', ...base, Bandwidth: '-1' }),
      400,
      'ListenerAlreadyExists',
    );
    await refused(
      'CreateLoadBalancerTCPListener',
      onLb({ ListenerPort: '9', ...base, VServerGroupId: 'rsp-9', Bandwidth: '-1' }),
      400,
      'VipNotMatchRspool',
    );
    await refused('DescribeLoadBalancerTCPListenerAttribute', onLb({ ListenerPort: '9' }), 404, 'ListenerNotFound');
    await refused('StartLoadBalancerListener', onLb({ ListenerPort: '80' }), 400, 'ListenerStatusNotSupport');

    const health = await reads('DescribeHealthStatus', onLb({ ListenerPort: '80', ListenerProtocol: 'tcp' }));
    assert.deepEqual(
      [...new Set(health.BackendServers.BackendServer.map((it: Json) => it.ServerHealthStatus))],
      ['normal'],
    );

    const rules = await call(
      'CreateRules',
      onLb({ ListenerPort: '1083', RuleList: '[{"RuleName":"a","Domain":"a.example.com","VServerGroupId":"rsp-2"}]' }),
    );
    const rule: string = rules.Rules.Rule[0].RuleId;
    assert.equal(
      (await reads('DescribeRules', onLb({ ListenerPort: '1083', ListenerProtocol: 'http' }))).Rules.Rule.length,
      1,
    );
    assert.equal((await reads('DescribeRuleAttribute', { RuleId: rule })).Domain, 'a.example.com');
    await refused('DeleteVServerGroup', inGroup('rsp-2'), 400, 'RspoolRuleExist');
    await call('DeleteRules', { RuleIds: JSON.stringify([rule]) });

    const domain = (
      await call(
        'CreateDomainExtension',
        onLb({ ListenerPort: '1084', Domain: '*.b.example.com', ServerCertificateId: 'cert-1' }),
      )
    ).DomainExtensionId;
    await call('SetDomainExtensionAttribute', { DomainExtensionId: domain, ServerCertificateId: 'cert-2' });
    assert.equal(
      (await reads('DescribeDomainExtensions', onLb({ ListenerPort: '1084' }))).DomainExtensions.DomainExtension.length,
      1,
    );
    await call('DeleteDomainExtension', { DomainExtensionId: domain });

    for (const [kind, port] of kinds) {
      await call('StopLoadBalancerListener', onLb({ ListenerPort: port, ListenerProtocol: kind.toLowerCase() }));
      await call('DeleteLoadBalancerListener', onLb({ ListenerPort: port, ListenerProtocol: kind.toLowerCase() }));
    }
  });

  test('a load balancer is made once for its token, changed, protected and deleted', async () => {
    const wanted = {
      AddressType: 'internet',
      LoadBalancerName: 'a0123456789abcdef0123456789abcde',
      DeleteProtection: 'on',
      ModificationProtectionStatus: 'ConsoleProtection',
      ModificationProtectionReason: 'managed.by.ack',
      InstanceChargeType: 'PayByCLCU',
      ClientToken: 'once',
      Tag: [{ Key: 'kubernetes.do.not.delete', Value: 'a0123456789abcdef0123456789abcde' }],
    };
    const made = await call('CreateLoadBalancer', wanted);
    assert.equal((await call('CreateLoadBalancer', wanted)).LoadBalancerId, made.LoadBalancerId);
    await refused('CreateLoadBalancer', { ...wanted, LoadBalancerName: 'other' }, 403, 'IdempotentParameterMismatch');
    const it = { LoadBalancerId: made.LoadBalancerId as string };
    await call('SetLoadBalancerName', { ...it, LoadBalancerName: 'renamed' });
    await call('ModifyLoadBalancerInternetSpec', { ...it, InternetChargeType: 'paybybandwidth', Bandwidth: '20' });
    await call('ModifyLoadBalancerInstanceChargeType', {
      ...it,
      InstanceChargeType: 'PayBySpec',
      LoadBalancerSpec: 'slb.s1.small',
    });
    await call('ModifyLoadBalancerInstanceSpec', { ...it, LoadBalancerSpec: 'slb.s2.small' });
    await call('SetLoadBalancerStatus', { ...it, LoadBalancerStatus: 'inactive' });
    const seen = await reads('DescribeLoadBalancerAttribute', it);
    assert.deepEqual(
      [
        seen.LoadBalancerName,
        seen.InternetChargeType,
        seen.Bandwidth,
        seen.LoadBalancerSpec,
        seen.LoadBalancerStatus,
        seen.ModificationProtectionStatus,
      ],
      ['renamed', 'paybybandwidth', 20, 'slb.s2.small', 'inactive', 'ConsoleProtection'],
    );
    await refused('DeleteLoadBalancer', it, 400, 'OperationDenied.DeleteProtectionIsOn');
    await call('SetLoadBalancerModificationProtection', { ...it, ModificationProtectionStatus: 'NonProtection' });
    await call('SetLoadBalancerDeleteProtection', { ...it, DeleteProtection: 'off' });
    await call('DeleteLoadBalancer', it);
    await refused('DeleteLoadBalancer', it, 404, 'InvalidLoadBalancerId.NotFound', 'LoadBalancerId does not exist');
  });

  test('tags, in the new way and the old', async () => {
    const what = { ResourceType: 'instance', ResourceId: ['lb-1'] };
    await call('TagResources', {
      ...what,
      Tag: [
        { Key: 'a', Value: '1' },
        { Key: 'b', Value: '' },
      ],
    });
    assert.deepEqual(
      (await reads('ListTagResources', what)).TagResources.TagResource.map((it: Json) => it.TagKey),
      ['team', 'a', 'b'],
    );
    await call('UntagResources', { ...what, TagKey: ['a', 'absent'] });
    await call('AddTags', onLb({ Tags: '[{"TagKey":"c","TagValue":"3"}]' }));
    assert.ok((await reads('DescribeTags', onLb())).TagSets.TagSet.some((it: Json) => it.TagKey === 'c'));
    await refused('DescribeTags', onLb(), 400, 'Throttling.User');
    await call('RemoveTags', onLb({ Tags: '[{"TagKey":"c","TagValue":"3"},{"TagKey":"b","TagValue":""}]' }));
    await call('TagResources', {
      ResourceType: 'listener',
      ResourceId: ['lb-1_tcp_80'],
      Tag: [{ Key: 'x', Value: 'y' }],
    });
    assert.equal(
      (await reads('ListTagResources', { ResourceType: 'listener', ResourceId: ['lb-1_tcp_80'] })).TagResources
        .TagResource.length,
      1,
    );
    await refused(
      'ListTagResources',
      { ResourceType: 'nonsense', ResourceId: ['lb-1'] },
      400,
      'InvalidResourceType.NotFound',
    );
    await refused(
      'TagResources',
      { ResourceType: 'instance', ResourceId: ['lb-404'], Tag: [{ Key: 'a', Value: '' }] },
      404,
      'InvalidResourceId.NotFound',
    );
    await reads('DescribeServerCertificates');
    await reads('DescribeCACertificates');
  });

  test('no action of the twin is left out', async () => {
    const { slb } = await import('../../src/twin/cloud/slb.js');
    assert.deepEqual(
      Object.keys(slb.actions).filter((it) => !seen.has(it)),
      [],
    );
  });
});
