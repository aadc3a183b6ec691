import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { AccountOptions } from '../src/twin/cloud/account.js';
import type { CcmOptions } from '../src/twin/controllers/ccm.js';
import { startNlb } from '../src/twin/controllers/nlb.js';
import type { Json, TwinObject } from '../src/twin/types.js';
import {
  anno,
  node,
  type Pod,
  podsOn,
  REGION,
  scene as ccmScene,
  type Scene,
  service,
  slice,
  sum,
  three,
} from './ccm-scene.js';

const DNS = 'nlb-1.cn-hangzhou.nlb.aliyuncsslb.com';
const BACKEND_TYPE = 'service.beta.kubernetes.io/backend-type';

const seed = {
  region: REGION,
  loadBalancers: [
    {
      id: 'nlb-1',
      address: DNS,
      vpc: 'vpc-1',
      listeners: [{ port: 80, protocol: 'tcp', group: 'sgp-1' }],
      groups: [
        { id: 'sgp-1', name: 'shared' },
        { id: 'sgp-2', name: 'other' },
        { id: 'sgp-ccm', name: 'k8s.30080.TCP.web.shop.c-else' },
        { id: 'sgp-ip', name: 'far', type: 'Ip' },
      ],
    },
  ],
};

interface NlbScene extends Scene {
  nlb(action: string, parameters?: Record<string, string>): Promise<Json>;
  /** `i-n1:30080=26` */
  servers(group?: string): Promise<string[]>;
  weights(group?: string): Promise<number[]>;
  names(): Promise<string[]>;
  listener(): Promise<Json>;
  put(group: string, ...servers: Record<string, string | number>[]): Promise<void>;
}

interface Setting {
  ccm?: Partial<CcmOptions>;
  eni?: Pod[];
  account?: Partial<AccountOptions>;
  beside?: Scene;
}

async function scene(t: TestContext, objects: TwinObject[], setting: Setting = {}): Promise<NlbScene> {
  const it = await ccmScene(t, objects, { seed, loop: startNlb, ...setting, ccm: { vpc: 'vpc-1', ...setting.ccm } });
  const nlb: NlbScene['nlb'] = (action, parameters = {}) =>
    it.cloud.call('Nlb', action, { RegionId: REGION, ...parameters });
  const all = async (group: string): Promise<Json[]> =>
    (await nlb('ListServerGroupServers', { ServerGroupId: group, MaxResults: '100' })).Servers;
  return {
    ...it,
    nlb,
    servers: async (group = 'sgp-1') => (await all(group)).map((one) => `${one.ServerId}:${one.Port}=${one.Weight}`),
    weights: async (group = 'sgp-1') => (await all(group)).map((one) => one.Weight),
    names: async () =>
      (await nlb('ListServerGroups', { MaxResults: '100' })).ServerGroups.map((one: Json) => one.ServerGroupName),
    listener: async () => (await nlb('ListListeners', { 'LoadBalancerIds.1': 'nlb-1' })).Listeners[0],
    async put(group, ...servers) {
      const named = servers.flatMap((one, at) =>
        Object.entries(one).map(([key, value]) => [`Servers.${at + 1}.${key}`, String(value)]),
      );
      await nlb('AddServersToServerGroup', { ServerGroupId: group, ...Object.fromEntries(named) });
    },
  };
}

const CLASS = { spec: { loadBalancerClass: 'alibabacloud.com/nlb' } };

const web = (more: Record<string, string> = {}, spec: Json = {}, raw: Record<string, string> = {}): TwinObject =>
  service(
    { ...anno({ id: 'nlb-1', 'vgroup-port': 'sgp-1:80', ...more }), ...raw },
    { spec: { ...CLASS.spec, ...spec } },
  );

const failed = (events: string[]): string[] => events.filter((it) => it.startsWith('SyncLoadBalancerFailed'));

test('a Service of class nlb joins the group it names, signs its members with dots, and shows the DNS name', async (t) => {
  const it = await scene(t, [...three, web({ weight: '80' }), slice(podsOn({ n1: 2 }))]);
  assert.deepEqual(await it.servers(), ['i-n1:30080=26', 'i-n2:30080=26', 'i-n3:30080=26']);
  const { Servers } = await it.nlb('ListServerGroupServers', { ServerGroupId: 'sgp-1' });
  assert.equal(Servers[0].Description, 'k8s.30080.TCP.web.shop.c-old');
  const seen = await it.service();
  assert.deepEqual(seen?.['status'].loadBalancer.ingress, [{ hostname: DNS }]);
  assert.deepEqual(seen?.metadata.finalizers, ['service.k8s.alibaba/nlb']);
  assert.equal(seen?.metadata.labels['service.k8s.alibaba/loadbalancer-id'], 'nlb-1');
  assert.ok((await it.events()).includes('EnsuredLoadBalancer: Ensured load balancer [nlb-1]'));
  // Unlike a CLB, a reused NLB takes no mark.
  assert.deepEqual((await it.nlb('GetLoadBalancerAttribute', { LoadBalancerId: 'nlb-1' })).Tags, []);
  assert.equal((await it.listener()).ListenerDescription, '');
});

test('a Service of another class, or of none, is not the loop’s', async (t) => {
  const it = await scene(t, [
    ...three,
    service(anno({ id: 'nlb-1', 'vgroup-port': 'sgp-1:80' })),
    slice(podsOn({ n1: 1 })),
  ]);
  assert.deepEqual(await it.servers(), []);
  assert.equal((await it.service())?.metadata.finalizers, undefined);
});

test('weights: Cluster by nodes, Local by pods, ENI at least 1 each, empty is a hundred, 0 keeps members at 0', async (t) => {
  const it = await scene(t, [...three, web({ weight: '80' }), slice(podsOn({ n1: 5, n2: 3 }))], {
    eni: podsOn({ n1: 5, n2: 3 }),
  });
  await it.api.mergePatch('v1/services', 'shop', 'web', { spec: { externalTrafficPolicy: 'Local' } });
  await it.settle();
  assert.deepEqual(await it.servers(), ['i-n1:30080=50', 'i-n2:30080=30']);
  await it.annotate({ weight: '' });
  assert.deepEqual(await it.weights(), [5, 3]);
  await it.api.mergePatch('v1/services', 'shop', 'web', { spec: { externalTrafficPolicy: 'Cluster' } });
  await it.settle();
  assert.deepEqual(await it.weights(), [100, 100, 100]);
  await it.annotate({ weight: '0' });
  assert.deepEqual(await it.weights(), [0, 0, 0]);
});

test('ENI: 20 over 45 pods is 1 each, sent as 40 and 5; without pods the group is empty', async (t) => {
  const pods = podsOn({ n1: 45 });
  const it = await scene(t, [...three, web({ weight: '20' }, {}, { [BACKEND_TYPE]: 'eni' }), slice(pods)], {
    eni: pods,
  });
  assert.equal(sum(await it.weights()), 45);
  assert.equal(it.call.filter((one) => one === 'AddServersToServerGroup').length, 2);
  await it.api.mergePatch('discovery.k8s.io/v1/endpointslices', 'shop', 'web-1', { endpoints: [] });
  await it.settle();
  assert.deepEqual(await it.servers(), []);
  assert.ok((await it.events()).some((one) => one.startsWith('UnAvailableLoadBalancer')));
});

test('default-weight is each member’s without a weight, and ignore-weight-update keeps what was set through the API', async (t) => {
  const it = await scene(t, [
    ...three,
    web({ 'default-weight': '50', 'ignore-weight-update': 'on' }),
    slice(podsOn({ n1: 1 })),
  ]);
  assert.deepEqual(await it.weights(), [50, 50, 50]);
  await it.nlb('UpdateServerGroupServersAttribute', {
    ServerGroupId: 'sgp-1',
    'Servers.1.ServerId': 'i-n1',
    'Servers.1.ServerType': 'Ecs',
    'Servers.1.Port': '30080',
    'Servers.1.Weight': '7',
  });
  await it.annotate({ team: 'web' });
  assert.deepEqual(await it.weights(), [7, 50, 50]);
  await it.annotate({ 'ignore-weight-update': null });
  assert.deepEqual(await it.weights(), [50, 50, 50]);
});

for (const [what, values, why] of [
  ['a bad weight', { weight: '20%' }, /weight must be integer/],
  ['a weight above a hundred', { weight: '101' }, /weight must be integer/],
  ['an absent group', { 'vgroup-port': 'sgp-none:80' }, /cannot find server group id sgp-none|sgp-none not found/],
  ['a group of a controller', { 'vgroup-port': 'sgp-ccm:80' }, /cannot reuse a ccm created server group/],
  ['port before id', { 'vgroup-port': '80:sgp-1' }, /80 not found/],
  ['a blank after the comma', { 'vgroup-port': 'sgp-1:80, sgp-2:81' }, /not found/],
  ['a group of another type', { 'server-group-type': 'Ip' }, /should be \[Ip\], but \[Instance\]/],
] as const)
  test(`${what} fails loudly and changes nothing, and endpoints are not followed until it is mended`, async (t) => {
    const it = await scene(t, [...three, web({ weight: '30' }), slice(podsOn({ n1: 1 }))]);
    const before = await it.servers();
    await it.annotate(values);
    await it.api.create('v1/nodes', node('n4'));
    await it.settle();
    assert.deepEqual(await it.servers(), before);
    const [first = ''] = failed(await it.events());
    assert.match(first, why);
    await it.annotate({ weight: '40', 'vgroup-port': 'sgp-1:80', 'server-group-type': null });
    await it.clock.idle(400_000);
    assert.deepEqual(await it.weights(), [10, 10, 10, 10]);
  });

test('members of others stay, and one with the same port is taken over', async (t) => {
  const it = await scene(t, [...three, web({ weight: '30' })]);
  await it.put('sgp-1', { ServerId: 'i-far', ServerType: 'Ecs', Port: 80, Weight: 5 });
  await it.annotate({ weight: '60' });
  assert.deepEqual(await it.servers(), ['i-n1:30080=20', 'i-n2:30080=20', 'i-n3:30080=20', 'i-far:80=5']);
  await it.put('sgp-2', { ServerId: 'i-n1', ServerType: 'Ecs', Port: 30080, Weight: 5, Description: 'mine' });
  await it.annotate({ 'vgroup-port': 'sgp-2:80' });
  assert.deepEqual(await it.servers('sgp-2'), ['i-n1:30080=20', 'i-n2:30080=20', 'i-n3:30080=20']);
});

test('the port does not count: a foreign entry on another port keeps the own one out, and the Service fails for good', async (t) => {
  const it = await scene(t, [...three, web({ weight: '30', 'vgroup-port': 'sgp-2:80' })]);
  await it.put('sgp-1', { ServerId: 'i-n1', ServerType: 'Ecs', Port: 9999, Weight: 5, Description: 'mine' });
  await it.annotate({ 'vgroup-port': 'sgp-1:80' });
  assert.deepEqual(await it.servers(), ['i-n1:9999=5', 'i-n2:30080=10', 'i-n3:30080=10']);
  assert.match(failed(await it.events())[0] ?? '', /ResourceNotFound|not found/);
});

test('a new node port on a reused group is never taken: delete and recreate the Service', async (t) => {
  const it = await scene(t, [...three, web({ weight: '30' })]);
  await it.api.mergePatch('v1/services', 'shop', 'web', {
    spec: { ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 31000 }] },
  });
  await it.settle();
  assert.deepEqual(await it.servers(), ['i-n1:30080=10', 'i-n2:30080=10', 'i-n3:30080=10']);
  assert.equal(failed(await it.events()).length, 1);
});

test('two ports on one group: only the first is served; a port without a group gets one of its own that nothing uses', async (t) => {
  const ports = [
    { name: 'http', port: 80, targetPort: 8080, nodePort: 30080 },
    { name: 'admin', port: 81, targetPort: 8081, nodePort: 30081 },
    { name: 'other', port: 82, targetPort: 8082, nodePort: 30082 },
  ];
  const it = await scene(t, [...three, web({ weight: '30', 'vgroup-port': 'sgp-1:80,sgp-1:81' }, { ports })]);
  assert.deepEqual(await it.servers(), ['i-n1:30080=10', 'i-n2:30080=10', 'i-n3:30080=10']);
  assert.ok((await it.names()).includes('k8s.30082.TCP.web.shop.c-old'));
  assert.equal((await it.listener()).ServerGroupId, 'sgp-1');
});

test('moved to another group, the members of the first stay behind', async (t) => {
  const it = await scene(t, [...three, web({ weight: '30' })]);
  await it.annotate({ 'vgroup-port': 'sgp-2:80' });
  assert.deepEqual(await it.weights('sgp-1'), [10, 10, 10]);
  assert.deepEqual(await it.weights('sgp-2'), [10, 10, 10]);
});

test('a failed job of members still ends in EnsuredLoadBalancer', async (t) => {
  const it = await scene(t, [...three, web({ weight: '30' })], {
    account: { failsJob: (action) => action === 'AddServersToServerGroup' },
  });
  assert.deepEqual(await it.servers(), []);
  assert.ok((await it.events()).includes('EnsuredLoadBalancer: Ensured load balancer [nlb-1]'));
});

test('two clusters with their own ids share a group by weight; with one id each removes the other’s members', async (t) => {
  const it = await scene(t, [...three, web({ weight: '90' })]);
  const beside = await scene(t, [node('m1'), web({ weight: '10' })], { beside: it, ccm: { clusterId: 'c-new' } });
  assert.deepEqual(await it.weights(), [30, 30, 30, 10]);
  await beside.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.deepEqual(await it.weights(), [30, 30, 30]);
  await scene(t, [node('m2'), web({ weight: '10' })], { beside: it, ccm: { clusterId: 'c-old' } });
  assert.deepEqual(await it.servers(), ['i-m2:30080=10']);
});

test('deleting the Service removes its members and lets it go; load balancer, listener and group stay', async (t) => {
  const it = await scene(t, [...three, web({ weight: '30' })]);
  await it.put('sgp-1', { ServerId: 'i-far', ServerType: 'Ecs', Port: 80 });
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.equal(await it.service(), undefined);
  assert.deepEqual(await it.servers(), ['i-far:80=100']);
  assert.equal((await it.listener()).ServerGroupId, 'sgp-1');
});

test('a load balancer that is gone does not hold a deleted Service, but its members stay in the group', async (t) => {
  const it = await scene(t, [...three, web({ weight: '30' })]);
  await it.nlb('DeleteLoadBalancer', { LoadBalancerId: 'nlb-1' });
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.equal(await it.service(), undefined);
  assert.equal((await it.weights()).length, 3);
});

test('a group that is gone holds a deleted Service until the annotation is mended', async (t) => {
  const it = await scene(t, [...three, web({ weight: '30' })]);
  const { ListenerId } = await it.listener();
  await it.nlb('UpdateListenerAttribute', { ListenerId, ServerGroupId: 'sgp-2' });
  await it.nlb('DeleteServerGroup', { ServerGroupId: 'sgp-1' });
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.ok(await it.service());
  assert.ok((await it.events()).some((one) => one.startsWith('CleanLoadBalancerFailed')));
  await it.annotate({ 'vgroup-port': 'sgp-2:80' });
  assert.equal(await it.service(), undefined);
});

test('an Ip group takes pods and nodes by their addresses; under Local a node comes twice and the call is refused', async (t) => {
  const pods = podsOn({ n1: 2 });
  const it = await scene(t, [
    ...three,
    web({ weight: '30', 'vgroup-port': 'sgp-ip:80', 'server-group-type': 'Ip' }, {}, { [BACKEND_TYPE]: 'eni' }),
    slice(pods),
  ]);
  assert.deepEqual(await it.servers('sgp-ip'), ['192.168.128.1:8080=15', '192.168.128.2:8080=15']);
  const local = await scene(t, [
    ...three,
    web({ 'vgroup-port': 'sgp-ip:80', 'server-group-type': 'Ip' }, { externalTrafficPolicy: 'Local' }),
    slice(pods),
  ]);
  assert.deepEqual(await local.servers('sgp-ip'), []);
  assert.match(failed(await local.events())[0] ?? '', /named twice/);
});

/** The Service `web` with a load balancer of the controller's making. */
async function own(t: TestContext) {
  const pods = podsOn({ n1: 2 });
  const object = service(
    { ...anno({ 'zone-maps': 'cn-hangzhou-a:vsw-1,cn-hangzhou-b:vsw-2' }), [BACKEND_TYPE]: 'eni' },
    CLASS,
  );
  const it = await scene(t, [...three, object, slice(pods)], { eni: podsOn({ n1: 4 }) });
  const id = (await it.service())?.metadata.labels['service.k8s.alibaba/loadbalancer-id'] as string;
  const listener = async (): Promise<Json> => (await it.nlb('ListListeners', { 'LoadBalancerIds.1': id })).Listeners[0];
  const group: string = (await listener()).ServerGroupId;
  const tags = async (resource: string, type: 'loadbalancer' | 'servergroup'): Promise<Record<string, string>> =>
    Object.fromEntries(
      (await it.nlb('ListTagResources', { ResourceType: type, 'ResourceId.1': resource })).TagResources.map(
        (one: Json) => [one.TagKey, one.TagValue],
      ),
    );
  const untag = async (resource: string, type: 'loadbalancer' | 'servergroup'): Promise<void> => {
    await it.nlb('UntagResources', {
      ResourceType: type,
      'ResourceId.1': resource,
      'TagKey.1': 'kubernetes.do.not.delete',
      'TagKey.2': 'ack.aliyun.com',
    });
  };
  const rename = (ServerGroupName: string): Promise<Json> =>
    it.nlb('UpdateServerGroupAttribute', { ServerGroupId: group, ServerGroupName });
  const more = async (count: number): Promise<void> => {
    const { endpoints } = slice(podsOn({ n1: count }));
    await it.api.mergePatch('discovery.k8s.io/v1/endpointslices', 'shop', 'web-1', { endpoints });
    await it.settle();
  };
  return { ...it, id, group, ownListener: listener, tags, untag, rename, more };
}

test('a Service without id gets a load balancer of its own, protected and tagged; deleting it deletes that', async (t) => {
  const it = await own(t);
  const lb = await it.nlb('GetLoadBalancerAttribute', { LoadBalancerId: it.id });
  assert.equal(lb.DeletionProtectionConfig.Enabled, true);
  const uid = (await it.service())?.metadata.uid.replaceAll('-', '') as string;
  assert.deepEqual(await it.tags(it.id, 'loadbalancer'), {
    'kubernetes.do.not.delete': `a${uid}`.slice(0, 32),
    'ack.aliyun.com': 'c-old',
  });
  assert.deepEqual(await it.tags(it.group, 'servergroup'), await it.tags(it.id, 'loadbalancer'));
  assert.equal((await it.ownListener()).ListenerDescription, 'k8s.80.TCP.web.shop.c-old');
  assert.deepEqual(await it.weights(it.group), [100, 100]);
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.equal(await it.service(), undefined);
  await assert.rejects(it.nlb('GetLoadBalancerAttribute', { LoadBalancerId: it.id }));
  assert.ok(!(await it.names()).includes('k8s.8080.TCP.web.shop.c-old'));
});

test('without zone-maps it makes none, and says so', async (t) => {
  const it = await scene(t, [...three, service({}, CLASS)]);
  assert.match(failed(await it.events())[0] ?? '', /zone mappings are required/);
});

test('a load balancer of the controller’s making is handed over by renaming its group, and given back', async (t) => {
  const it = await own(t);
  const before = await it.servers(it.group);
  await it.annotate({ id: it.id, 'vgroup-port': `${it.group}:80`, weight: '100' });
  assert.match(failed(await it.events())[0] ?? '', /cannot reuse a ccm created server group/);
  await it.rename('shop-web-80');
  await it.untag(it.group, 'servergroup');
  await it.untag(it.id, 'loadbalancer');
  await it.annotate({ nudge: '1' });
  assert.deepEqual(await it.weights(it.group), [50, 50]);
  assert.equal((await it.ownListener()).ServerGroupId, it.group);
  await it.more(4);
  assert.deepEqual(await it.weights(it.group), [25, 25, 25, 25]);
  const twin = (await it.names()).filter((name) => name.startsWith('k8s.8080'));
  assert.deepEqual(twin, []);

  // A second cluster joins and takes all; deleting the first Service leaves the rest.
  const beside = await scene(t, [node('m1'), web({ id: it.id, 'vgroup-port': `${it.group}:80`, weight: '0' })], {
    beside: it,
    ccm: { clusterId: 'c-new' },
  });
  assert.deepEqual(await it.weights(it.group), [25, 25, 25, 25, 0]);
  await beside.api.delete('v1/services', 'shop', 'web');
  await it.settle();

  // The way back.
  const uid = (await it.service())?.metadata.uid.replaceAll('-', '') as string;
  await it.rename('k8s.8080.TCP.web.shop.c-old');
  for (const [resource, type] of [
    [it.group, 'servergroup'],
    [it.id, 'loadbalancer'],
  ] as const)
    await it.nlb('TagResources', {
      ResourceType: type,
      'ResourceId.1': resource,
      'Tag.1.Key': 'kubernetes.do.not.delete',
      'Tag.1.Value': `a${uid}`.slice(0, 32),
      'Tag.2.Key': 'ack.aliyun.com',
      'Tag.2.Value': 'c-old',
    });
  await it.annotate({ id: null, 'vgroup-port': null, weight: null, nudge: null });
  assert.deepEqual(await it.weights(it.group), [100, 100, 100, 100]);
  assert.deepEqual((await it.servers(it.group)).length, before.length + 2);
  assert.equal((await it.ownListener()).ServerGroupId, it.group);
});

test('renamed before it is annotated, the next endpoint change makes an idle twin group', async (t) => {
  const it = await own(t);
  await it.rename('shop-web-80');
  await it.more(3);
  assert.equal((await it.ownListener()).ServerGroupId, it.group);
  assert.deepEqual(await it.weights(it.group), [100, 100]);
  const { ServerGroups } = await it.nlb('ListServerGroups', { 'ServerGroupNames.1': 'k8s.8080.TCP.web.shop.c-old' });
  assert.equal(ServerGroups[0].ServerCount, 3);
  // With a changed hash the listener goes over to the twin, and the group loses its members.
  await it.annotate({ team: 'web' });
  assert.equal((await it.ownListener()).ServerGroupId, ServerGroups[0].ServerGroupId);
  assert.deepEqual(await it.weights(it.group), []);
});

test('one tag left on the load balancer still refuses', async (t) => {
  const it = await own(t);
  await it.rename('shop-web-80');
  await it.untag(it.group, 'servergroup');
  await it.nlb('UntagResources', {
    ResourceType: 'loadbalancer',
    'ResourceId.1': it.id,
    'TagKey.1': 'kubernetes.do.not.delete',
  });
  await it.annotate({ id: it.id, 'vgroup-port': `${it.group}:80`, weight: '100' });
  assert.match(failed(await it.events())[0] ?? '', /can not be reused/);
});

test('left tagged, the group makes the later deletion fail once', async (t) => {
  const it = await own(t);
  await it.annotate({ id: it.id, 'vgroup-port': `${it.group}:80`, weight: '100' });
  await it.rename('shop-web-80');
  await it.untag(it.id, 'loadbalancer');
  await it.annotate({ nudge: '1' });
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.equal((await it.events()).filter((one) => one.startsWith('CleanLoadBalancerFailed')).length, 1);
  await it.clock.idle(20_000);
  assert.equal(await it.service(), undefined);
  assert.deepEqual(await it.servers(it.group), []);
});

test('by copy, each reconcile syncs the copy and fails until the listener has it', async (t) => {
  const it = await own(t);
  const { ServerGroupId: copy } = await it.nlb('CreateServerGroup', { ServerGroupName: 'shop-web', VpcId: 'vpc-1' });
  await it.untag(it.id, 'loadbalancer');
  await it.annotate({ id: it.id, 'vgroup-port': `${copy}:80`, weight: '100' });
  assert.deepEqual(await it.weights(copy), [50, 50]);
  assert.match(failed(await it.events())[0] ?? '', /in use/);
  await it.nlb('UpdateListenerAttribute', { ListenerId: (await it.ownListener()).ListenerId, ServerGroupId: copy });
  await it.annotate({ nudge: '1' });
  assert.ok(!(await it.names()).includes('k8s.8080.TCP.web.shop.c-old'));
});

test('with override the listener is rewritten, and goes with the Service', async (t) => {
  const it = await scene(t, [
    ...three,
    web({ weight: '30', 'vgroup-port': 'sgp-2:80', 'force-override-listeners': 'true' }),
  ]);
  const seen = await it.listener();
  assert.deepEqual([seen.ServerGroupId, seen.ListenerDescription], ['sgp-2', 'k8s.80.TCP.web.shop.c-old']);
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.equal(await it.listener(), undefined);
});

test('preserve-lb-on-delete keeps load balancer and groups, untagged, without listeners', async (t) => {
  const it = await own(t);
  await it.annotate({ 'preserve-lb-on-delete': 'true' });
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.equal(await it.service(), undefined);
  assert.deepEqual(await it.tags(it.id, 'loadbalancer'), {});
  assert.deepEqual(await it.tags(it.group, 'servergroup'), {});
  assert.equal(await it.ownListener(), undefined);
  assert.equal((await it.weights(it.group)).length, 2);
});
