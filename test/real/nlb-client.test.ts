import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { virtualClock } from '../../src/twin/clock.js';
import type { StartedCloud } from '../../src/twin/cloud/cloud.js';
import { nlb } from '../../src/twin/cloud/nlb.js';
import type { Json } from '../../src/twin/types.js';
import { binaryPath } from '../servers/binaries.js';
import { KEY, REGION, startedCloud } from '../twin-cloud-clients.js';

/**
 * Every action of Network Load Balancer that we or the cloud controller manager use, through the core of the vendor's Go SDKs: it flattens
 * lists and objects, says what goes in the query and what in a form body, signs, and reads errors. The generated client above it only
 * names fields, and is not to be had from every module proxy.
 */

type Fields = Record<string, unknown>;
interface Reply {
  answer?: Json;
  status?: number;
  code?: string;
  message?: string;
  bug?: string;
}

/** Reads whose parameters go in the query. @source aliyun/alibabacloud-typescript-sdk:nlb-20220430/src/client.ts */
const IN_QUERY =
  /^(GetLoadBalancerAttribute|ListLoadBalancers|ListListeners|GetListenerAttribute|GetListenerHealthStatus|GetJobStatus|ListAsynJobs)$/;

interface Scene {
  call(action: string, fields?: Fields): Promise<Json>;
  refused(action: string, fields: Fields, status: number, code: string): Promise<void>;
  /** waits for the job as the controller does */
  done(action: string, fields: Fields): Promise<Json>;
  seen: Set<string>;
}

async function scene(t: TestContext, algorithm?: 'v2'): Promise<Scene> {
  const clock = virtualClock('2026-01-01T00:00:00Z');
  t.after(() => clock.stop());
  const vpcs = [{ id: 'vpc-1', name: 'main', region: REGION, cidr: '10.0.0.0/8', secondaryCidrs: [], vswitches: [] }];
  const cloud: StartedCloud = await startedCloud(
    t,
    { clock, vpcs },
    {
      region: REGION,
      loadBalancers: [
        {
          id: 'nlb-1',
          name: 'front',
          address: 'nlb-1.cn-hangzhou.nlb.aliyuncsslb.com',
          vpc: 'vpc-1',
          tags: { team: 'web' },
          listeners: [{ port: 80, protocol: 'tcp', group: 'sgp-1' }],
          groups: [
            {
              id: 'sgp-1',
              name: 'shop',
              tags: { team: 'web' },
              backends: [{ server: 'i-1', port: 30080, weight: 100 }],
            },
          ],
        },
      ],
    },
  );
  const args = [cloud.host, REGION, KEY.id, KEY.secret, ...(algorithm ? [algorithm] : [])];
  // The SDK proxies loopback too when the environment says so.
  const child = spawn(binaryPath('nlb-client'), args, { stdio: ['pipe', 'pipe', 'inherit'], env: {} });
  t.after(
    () =>
      new Promise<void>((resolve) => {
        child.on('exit', () => resolve());
        child.stdin.end();
      }),
  );
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  const seen = new Set<string>();
  const send = (action: string, fields: Fields): Promise<Reply> =>
    new Promise((resolve) => {
      waiting.push((line) => resolve(JSON.parse(line)));
      const all = { RegionId: REGION, ...fields };
      const { Tag, ...rest } = all as Fields;
      // Lists of groups have their tags in the query and all else in the body.
      const request = IN_QUERY.test(action)
        ? { query: all }
        : action === 'ListServerGroups' && Tag !== undefined
          ? { query: { Tag }, body: rest }
          : { body: all };
      child.stdin.write(`${JSON.stringify({ action, ...request })}\n`);
    });
  const call: Scene['call'] = async (action, fields = {}) => {
    const reply = await send(action, fields);
    assert.equal(reply.bug, undefined);
    assert.equal(reply.code, undefined, `${action}: ${reply.code} ${reply.message}`);
    seen.add(action);
    return reply.answer;
  };
  return {
    call,
    seen,
    async refused(action, fields, status, code) {
      const reply = await send(action, fields);
      assert.deepEqual([reply.status, reply.code], [status, code], `${action}: ${JSON.stringify(reply)}`);
    },
    async done(action, fields) {
      const answer = await call(action, fields);
      for (;;) {
        const { Jobs } = await call('ListAsynJobs', { JobIds: [answer.JobId] });
        const { Status } = await call('GetJobStatus', { JobId: answer.JobId });
        assert.equal(Jobs[0].Status.toLowerCase(), Status.toLowerCase());
        if (Status === 'Succeeded') return answer;
        await clock.sleep(300);
      }
    },
  };
}

const ecs = (ServerId: string, more: Fields = {}): Fields => ({ ServerId, ServerType: 'Ecs', Port: 30080, ...more });

for (const [scheme, algorithm] of [
  ['ACS3-HMAC-SHA256', undefined],
  ['HMAC-SHA1', 'v2'],
] as const)
  test(`the vendor’s Go SDK goes through every action of network load balancers, signed with ${scheme}`, async (t) => {
    const { call, refused, done, seen } = await scene(t, algorithm);

    await call('DescribeRegions');
    assert.equal(
      (await call('ListLoadBalancers', { LoadBalancerIds: ['nlb-1'] })).LoadBalancers[0].Tags[0].Key,
      'team',
    );
    assert.equal((await call('ListLoadBalancers', { Tag: [{ Key: 'team', Value: 'web' }] })).TotalCount, 1);
    assert.equal((await call('GetLoadBalancerAttribute', { LoadBalancerId: 'nlb-1' })).Tags[0].TagKey, 'team');
    const found = await call('ListServerGroups', { ServerGroupIds: ['sgp-1'], Tag: [{ Key: 'team', Value: 'web' }] });
    assert.deepEqual(found.ServerGroups[0].RelatedLoadBalancerIds, ['nlb-1']);

    await done('AddServersToServerGroup', {
      ServerGroupId: 'sgp-1',
      Servers: [ecs('i-2', { Weight: 0, Description: 'k8s.30080.TCP.web.shop.c1' }), ecs('i-3')],
      ClientToken: 't1',
    });
    await done('UpdateServerGroupServersAttribute', { ServerGroupId: 'sgp-1', Servers: [ecs('i-1', { Weight: 7 })] });
    const { Servers } = await call('ListServerGroupServers', { ServerGroupId: 'sgp-1', ServerIds: ['i-1', 'i-2'] });
    assert.deepEqual(
      Servers.map((it: Json) => [it.ServerId, it.Weight, it.Description, it.Status]),
      [
        ['i-1', 7, '', 'Available'],
        ['i-2', 0, 'k8s.30080.TCP.web.shop.c1', 'Available'],
      ],
    );
    await done('RemoveServersFromServerGroup', { ServerGroupId: 'sgp-1', Servers: [ecs('i-3')] });
    await refused(
      'RemoveServersFromServerGroup',
      { ServerGroupId: 'sgp-1', Servers: [ecs('i-3')] },
      404,
      'ResourceNotFound.BackendServer',
    );
    const many = Array.from({ length: 41 }, (_, at) => ecs(`i-${at}`));
    await refused('AddServersToServerGroup', { ServerGroupId: 'sgp-1', Servers: many }, 400, 'IllegalParam.Servers');
    await refused('AddServersToServerGroup', { Servers: [ecs('i-3')] }, 400, 'MissingParam.ServerGroupId');

    const { ServerGroupId } = await done('CreateServerGroup', {
      ServerGroupName: 'spare',
      VpcId: 'vpc-1',
      HealthCheckConfig: { HealthCheckEnabled: false, HealthCheckHttpCode: ['http_2xx'] },
      Tag: [{ Key: 'a', Value: 'b' }],
    });
    const [made] = (await call('ListServerGroups', { ServerGroupNames: ['spare'] })).ServerGroups;
    assert.deepEqual(
      [made.HealthCheck.HealthCheckEnabled, made.HealthCheck.HealthCheckHttpCode, made.Tags],
      [false, ['http_2xx'], [{ Key: 'a', Value: 'b' }]],
    );
    await done('UpdateServerGroupAttribute', { ServerGroupId, ServerGroupName: 'shop-web-80', Scheduler: 'Wlc' });
    await refused(
      'UpdateServerGroupAttribute',
      { ServerGroupId, ServerGroupName: 'x.y', DryRun: true },
      400,
      'DryRunOperation',
    );

    const { ListenerId } = (await call('ListListeners', { LoadBalancerIds: ['nlb-1'] })).Listeners[0];
    assert.equal((await call('GetListenerAttribute', { ListenerId })).ServerGroupId, 'sgp-1');
    await refused('DeleteServerGroup', { ServerGroupId: 'sgp-1' }, 400, 'ResourceInUse.ServerGroup');
    await done('UpdateListenerAttribute', { ListenerId, ServerGroupId });
    await call('GetListenerHealthStatus', { ListenerId });
    await done('StopListener', { ListenerId });
    await done('StartListener', { ListenerId });

    const what = { ResourceType: 'servergroup', ResourceId: [ServerGroupId] };
    await call('TagResources', { ...what, Tag: [{ Key: 'ack.aliyun.com', Value: 'c1' }] });
    assert.equal((await call('ListTagResources', what)).TagResources.length, 2);
    await call('UntagResources', { ...what, TagKey: ['ack.aliyun.com'] });

    const { LoadbalancerId: LoadBalancerId } = await done('CreateLoadBalancer', {
      AddressType: 'Internet',
      VpcId: 'vpc-1',
      ZoneMappings: [{ ZoneId: 'cn-hangzhou-h', VSwitchId: 'vsw-1' }],
      DeletionProtectionConfig: { Enabled: true },
    });
    await done('UpdateLoadBalancerAttribute', { LoadBalancerId, LoadBalancerName: 'own' });
    await done('UpdateLoadBalancerAddressTypeConfig', { LoadBalancerId, AddressType: 'Intranet' });
    await done('UpdateLoadBalancerZones', {
      LoadBalancerId,
      ZoneMappings: [{ ZoneId: 'cn-hangzhou-g', VSwitchId: 'vsw-2' }],
    });
    await refused('DeleteLoadBalancer', { LoadBalancerId }, 400, 'OperationDenied.DeletionProtection');
    await call('UpdateLoadBalancerProtection', { LoadBalancerId, DeletionProtectionEnabled: false });
    const listener = await done('CreateListener', {
      LoadBalancerId,
      ListenerProtocol: 'TCP',
      ListenerPort: 443,
      ServerGroupId: 'sgp-1',
    });
    await done('DeleteListener', { ListenerId: listener.ListenerId });
    await done('DeleteLoadBalancer', { LoadBalancerId });
    await done('DeleteServerGroup', { ServerGroupId: 'sgp-1' });
    await refused('GetLoadBalancerAttribute', { LoadBalancerId }, 404, 'ResourceNotFound.loadBalancer');

    assert.deepEqual(
      Object.keys(nlb.actions).filter((it) => !seen.has(it)),
      [],
    );
  });
