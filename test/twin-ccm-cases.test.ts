import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { HASH_LABEL, LOAD_BALANCER_LABEL, SERVICE_FINALIZER } from '../src/twin/controllers/ccm.js';
import type { Json, TwinObject } from '../src/twin/types.js';
import {
  anno,
  eniService,
  node,
  others,
  ownLoadBalancer,
  podsOn,
  REGION,
  scene,
  service,
  shared,
  slice,
  sum,
  three,
  VPC,
  type Pod,
  type Scene,
} from './ccm-scene.js';

/*
 * The controller's own end-to-end cases for classic load balancers, and what was seen of it in runs, each held to the twin's model.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:test/e2e/testcase/service/clbv1/{backend,listener,loadbalancer}.go
 */

const SLICES = 'discovery.k8s.io/v1/endpointslices';
const backendType = 'service.beta.kubernetes.io/backend-type';
const local = (annotations: Record<string, string> = shared()): TwinObject =>
  service(annotations, { spec: { externalTrafficPolicy: 'Local' } });
const servers = async ({ members }: Scene, group?: string): Promise<string[]> =>
  (await members(group)).map((it) => it.server);
const ports = async ({ members }: Scene, group?: string): Promise<number[]> =>
  (await members(group)).map((it) => it.port);

async function patchService({ api, settle }: Scene, patch: Json): Promise<void> {
  await api.mergePatch('v1/services', 'shop', 'web', patch);
  await settle();
}

async function patchPods({ api, settle }: Scene, pods: Pod[], more: Json = {}): Promise<void> {
  await api.mergePatch(SLICES, 'shop', 'web-1', { endpoints: slice(pods)['endpoints'], ...more });
  await settle();
}

async function patchNode({ api, settle }: Scene, name: string, patch: Json): Promise<void> {
  await api.mergePatch('v1/nodes', undefined, name, patch);
  await settle();
}

const tagsOf = async ({ slb }: Scene, id = 'lb-1'): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await slb('ListTagResources', { ResourceType: 'instance', 'ResourceId.1': id })).TagResources.TagResource.map(
      (it: Json) => [it.TagKey, it.TagValue],
    ),
  );

const listenersOf = async ({ slb }: Scene, id = 'lb-1'): Promise<Json[]> =>
  (await slb('DescribeLoadBalancerListeners', { 'LoadBalancerId.1': id })).Listeners;

const failed = async ({ events }: Scene, words: string): Promise<boolean> =>
  (await events()).some((it) => it.startsWith('SyncLoadBalancerFailed') && it.includes(words));

const addressesOf = async ({ service: get }: Scene): Promise<string[]> =>
  ((await get())?.['status']?.loadBalancer?.ingress ?? []).map((it: Json) => it.ip ?? it.hostname);

const eni = async (t: TestContext, pods: Pod[], more: Record<string, string> = {}, all = pods): Promise<Scene> =>
  scene(t, [...three, eniService(more), slice(pods)], { eni: all });

// Backends

test('backend-label: only nodes with the label are members, and its removal brings the others', async (t) => {
  const it = await scene(t, [
    node('n1', { labels: { pool: 'a' } }),
    node('n2'),
    service(shared({ 'backend-label': 'pool=a' })),
  ]);
  assert.deepEqual(await servers(it), ['i-n1']);
  await it.annotate({ 'backend-label': null });
  assert.deepEqual(await servers(it), ['i-n1', 'i-n2']);
});

test('Cluster to Local: only nodes with pods stay', async (t) => {
  const it = await scene(t, [...three, service(shared()), slice(podsOn({ n2: 2 }))]);
  assert.deepEqual(await servers(it), ['i-n1', 'i-n2', 'i-n3']);
  await patchService(it, { spec: { externalTrafficPolicy: 'Local' } });
  assert.deepEqual(await servers(it), ['i-n2']);
});

for (const [from, make] of [
  ['Local', local],
  ['Cluster', () => service(shared())],
] as const)
  test(`${from} to ENI: pods take the place of nodes`, async (t) => {
    const pods = podsOn({ n1: 2 });
    const it = await scene(t, [...three, make(), slice(pods)], { eni: pods });
    await patchService(it, { metadata: { annotations: { [backendType]: 'eni' } } });
    assert.deepEqual(
      (await it.members()).map(({ ip, port }) => [ip, port]),
      pods.map(({ ip }) => [ip, 8080]),
    );
  });

test('ENI to ECS: nodes take the place of pods', async (t) => {
  const it = await eni(t, podsOn({ n1: 2 }));
  await patchService(it, { metadata: { annotations: { [backendType]: 'ecs' } } });
  assert.deepEqual(await ports(it), [30080, 30080, 30080]);
});

test('remove-unscheduled-backend: a cordoned node leaves with on and stays without', async (t) => {
  const it = await scene(t, [...three, service(shared())]);
  await patchNode(it, 'n1', { spec: { unschedulable: true } });
  assert.equal((await servers(it)).length, 3);
  await it.annotate({ 'remove-unscheduled-backend': 'on' });
  assert.deepEqual(await servers(it), ['i-n2', 'i-n3']);
  await it.annotate({ 'remove-unscheduled-backend': 'off' });
  assert.equal((await servers(it)).length, 3);
});

test('the autoscaler’s taint counts at the next event, on and off', async (t) => {
  const it = await scene(t, [...three, service(shared())]);
  const taint = (taints: Json) => patchNode(it, 'n1', { spec: { taints } });
  await taint([{ key: 'ToBeDeletedByClusterAutoscaler', value: '1', effect: 'NoSchedule' }]);
  assert.equal((await servers(it)).length, 3, 'a taint is no event');
  await it.annotate({ 'connection-drain': 'off' });
  assert.deepEqual(await servers(it), ['i-n2', 'i-n3']);
  await taint(null);
  await it.annotate({ 'connection-drain': null });
  assert.equal((await servers(it)).length, 3);
});

for (const label of [
  'node.kubernetes.io/exclude-from-external-load-balancers',
  'alpha.service-controller.kubernetes.io/exclude-balancer',
  'service.beta.kubernetes.io/exclude-node',
  'service.alibabacloud.com/exclude-node',
])
  test(`${label} keeps a node out, whatever its value, and its removal brings it back`, async (t) => {
    const it = await scene(t, [...three, service(shared())]);
    await patchNode(it, 'n1', { metadata: { labels: { [label]: '' } } });
    assert.deepEqual(await servers(it), ['i-n2', 'i-n3']);
    await patchNode(it, 'n1', { metadata: { labels: { [label]: null } } });
    assert.equal((await servers(it)).length, 3);
  });

test('Local: members follow a Deployment that scales', async (t) => {
  const it = await scene(t, [...three, local(), slice(podsOn({ n1: 1 }))]);
  await patchPods(it, podsOn({ n1: 1, n2: 2 }));
  assert.deepEqual(await it.weights(), [1, 2]);
  await patchPods(it, []);
  assert.deepEqual(await it.members(), []);
});

test('targetPort 8080 to 81: nodes keep their node port, pods move', async (t) => {
  const moved = { spec: { ports: [{ name: 'http', port: 80, targetPort: 81, nodePort: 30080 }] } };
  const nodes = await scene(t, [...three, service(shared())]);
  await patchService(nodes, moved);
  assert.deepEqual(await ports(nodes), [30080, 30080, 30080]);
  const pods = await eni(t, podsOn({ n1: 2 }));
  await patchService(pods, moved);
  assert.deepEqual(await ports(pods), [81, 81]);
});

test('targetPort by number and by name and back: pods keep the port that the name stands for', async (t) => {
  const it = await eni(t, podsOn({ n1: 1 }));
  const target = (targetPort: unknown) =>
    patchService(it, { spec: { ports: [{ name: 'http', port: 80, targetPort, nodePort: 30080 }] } });
  await target('http');
  assert.deepEqual(
    (await it.members()).map(({ port, description }) => [port, description]),
    [[8080, 'k8s/http/web/shop/c-old']],
  );
  await target(8080);
  assert.equal((await it.members())[0]?.description, 'k8s/8080/web/shop/c-old');
});

test('a named port that no pod has leaves the group empty', async (t) => {
  const it = await eni(t, podsOn({ n1: 1 }));
  await patchPods(it, podsOn({ n1: 1 }), { ports: [{ name: 'other', port: 1, protocol: 'TCP' }] });
  await patchService(it, { spec: { ports: [{ name: 'http', port: 80, targetPort: 'web', nodePort: 30080 }] } });
  assert.deepEqual(await it.members(), []);
});

test('a Service without selector takes the endpoints that somebody wrote', async (t) => {
  const pods = podsOn({ n1: 1 });
  const it = await scene(
    t,
    [...three, { ...eniService(), spec: { ...eniService()['spec'], selector: undefined } }, slice(pods)],
    { eni: pods },
  );
  assert.equal((await it.members()).length, 1);
});

// Server groups

test('one id: the group is filled and its name stays', async (t) => {
  const it = await scene(t, [...three, service(shared())]);
  assert.equal((await it.members()).length, 3);
  assert.deepEqual((await it.groups()).toSorted(), ['other', 'shared']);
});

for (const [what, id] of [
  ['an absent group', 'rsp-404'],
  ['a group of another load balancer', 'rsp-9'],
] as const)
  test(`${what}: never filled, however long one waits`, async (t) => {
    const it = await scene(t, [...three, service(shared({ 'vgroup-port': `${id}:80` }))]);
    await it.clock.sleep(600_000);
    assert.deepEqual([await it.members('rsp-1'), await it.members('rsp-9')], [[], []]);
  });

// Weights

test('Local: 60, then 80; absent, then 80', async (t) => {
  const it = await scene(t, [...three, local(shared({ weight: '60' })), slice(podsOn({ n1: 2, n2: 1 }))]);
  assert.deepEqual(await it.weights(), [40, 20]);
  await it.annotate({ weight: '80' });
  assert.deepEqual(await it.weights(), [53, 26]);
  await it.annotate({ weight: null });
  assert.deepEqual(await it.weights(), [2, 1]);
  await it.annotate({ weight: '80' });
  assert.deepEqual(await it.weights(), [53, 26]);
});

test('ENI: 60, then 80; 0, then 100', async (t) => {
  const it = await eni(t, podsOn({ n1: 2, n2: 1 }), { weight: '60' });
  assert.deepEqual(await it.weights(), [20, 20, 20]);
  await it.annotate({ weight: '80' });
  assert.deepEqual(await it.weights(), [26, 26, 26]);
  await it.annotate({ weight: '0' });
  assert.deepEqual(await it.weights(), [0, 0, 0]);
  await it.annotate({ weight: '100' });
  assert.deepEqual(await it.weights(), [33, 33, 33]);
});

for (const [mode, make, first, then] of [
  ['Cluster', () => service(shared({ 'default-weight': '50' })), [50, 50, 50], [80, 80, 80]],
  ['Local', () => local(shared({ 'default-weight': '50' })), [2, 1], [2, 1]],
  ['ENI', () => eniService({ 'default-weight': '50' }), [50, 50, 50], [80, 80, 80]],
] as const)
  test(`${mode}: default-weight 50, then 80, then none`, async (t) => {
    const pods = podsOn({ n1: 2, n2: 1 });
    const it = await scene(t, [...three, make(), slice(pods)], { eni: pods });
    assert.deepEqual(await it.weights(), [...first]);
    await it.annotate({ 'default-weight': '80' });
    assert.deepEqual(await it.weights(), [...then]);
    await it.annotate({ 'default-weight': null });
    assert.deepEqual(await it.weights(), mode === 'Local' ? [2, 1] : [100, 100, 100]);
  });

const setByHand = ({ slb, members }: Scene, weight: number): Promise<Json> =>
  members().then((all) =>
    slb('SetVServerGroupAttribute', {
      VServerGroupId: 'rsp-1',
      BackendServers: JSON.stringify(
        all.map((it) => ({
          ServerId: it.server,
          ServerIp: it.ip,
          Port: it.port,
          Weight: weight,
          Type: it.ip ? 'eni' : 'ecs',
        })),
      ),
    }),
  );

for (const [value, kept] of [
  [null, false],
  ['off', false],
  ['on', true],
  ['ON', true],
] as const)
  test(`ignore-weight-update ${value ?? 'absent'}: any annotation edit ${kept ? 'keeps' : 'reverts'} a weight set through the API`, async (t) => {
    const it = await scene(t, [
      ...three,
      service(shared({ weight: '60', ...(value ? { 'ignore-weight-update': value } : {}) })),
    ]);
    await setByHand(it, 7);
    await it.annotate({ 'connection-drain': 'off' });
    assert.deepEqual(await it.weights(), kept ? [7, 7, 7] : [20, 20, 20]);
  });

// Load balancers

for (const override of [undefined, 'false', 'true'])
  test(`reuse with override ${override ?? 'absent'}: the listener is ${override === 'true' ? 'taken over' : 'left alone'}`, async (t) => {
    const it = await scene(t, [
      ...three,
      service(shared({ scheduler: 'wlc', ...(override ? { 'force-override-listeners': override } : {}) })),
    ]);
    const [listener] = await listenersOf(it);
    assert.equal(listener.Scheduler, override === 'true' ? 'wlc' : 'wrr');
    await it.api.delete('v1/services', 'shop', 'web');
    await it.settle();
    assert.equal((await listenersOf(it)).length, override === 'true' ? 0 : 1);
  });

test('a load balancer that a controller made is refused, also with the cluster’s tag alone', async (t) => {
  for (const key of ['kubernetes.do.not.delete', 'ack.aliyun.com']) {
    const it = await scene(t, three);
    await it.slb('TagResources', {
      ResourceType: 'instance',
      'ResourceId.1': 'lb-1',
      'Tag.1.Key': key,
      'Tag.1.Value': 'x',
    });
    await it.api.create('v1/services', service(shared()));
    await it.settle();
    assert.ok(await failed(it, 'can not be reused, can not reuse loadbalancer created by kubernetes.'), key);
    assert.deepEqual(await it.members(), []);
  }
});

test('from a load balancer of its own to a reused one: refused, for the address differs', async (t) => {
  const own = await ownLoadBalancer(t);
  await own.annotate({ id: 'lb-1', 'vgroup-port': 'rsp-1:80' });
  assert.ok(await failed(own, 'service has been associated with ip'));
  assert.equal(await own.serving(), 2);
});

test('an absent load balancer: refused', async (t) => {
  const it = await scene(t, [...three, service(shared({ id: 'lb-404' }))]);
  assert.ok(await failed(it, 'The specified LoadBalancerId does not exist'));
});

test('a load balancer in another VPC: the cloud takes none of the members', async (t) => {
  const it = await scene(t, [...three, service(shared())], {
    account: { unknownServers: 'refuse' },
    seed: {
      region: REGION,
      loadBalancers: [
        { id: 'lb-1', address: '47.0.0.1', vpc: 'vpc-far', listeners: [], groups: [{ id: 'rsp-1', name: 'shared' }] },
      ],
    },
  });
  assert.equal(VPC.id, 'vpc-1');
  assert.deepEqual(await it.members(), []);
  assert.ok(await failed(it, 'not in the VPC'));
});

test('external-ip-type eip shows the elastic address, and the load balancer’s where there is none', async (t) => {
  const bound = {
    id: 'eip-1',
    address: '8.8.4.4',
    region: REGION,
    instance: 'lb-1',
    instanceType: 'SlbInstance',
  };
  const it = await scene(t, [...three, service(shared({ 'external-ip-type': 'eip' }))], { account: { eips: [bound] } });
  assert.deepEqual(await addressesOf(it), ['8.8.4.4']);
  await it.annotate({ weight: '30' });
  assert.deepEqual(await it.weights(), [10, 10, 10], 'an address of another kind does not bind it');
  const without = await scene(t, [...three, service(shared({ 'external-ip-type': 'eip' }))]);
  assert.deepEqual(await addressesOf(without), ['47.0.0.1']);
  assert.ok((await without.events()).some((one) => one.startsWith('FailedSetEIPAddress')));
});

test('hostname: added, changed and removed', async (t) => {
  const it = await scene(t, [...three, service(shared())]);
  const seen: string[][] = [];
  for (const hostname of ['a.example.com', 'b.example.com', null]) {
    await it.annotate({ hostname });
    seen.push(await addressesOf(it));
  }
  assert.deepEqual(seen, [['a.example.com'], ['b.example.com'], ['47.0.0.1']]);
});

test('additional-resource-tags: from 2.10 on the list is the whole truth on a reused load balancer, before it is not read there', async (t) => {
  const tag = { ResourceType: 'instance', 'ResourceId.1': 'lb-1', 'Tag.1.Key': 'team', 'Tag.1.Value': 'web' };
  const it = await scene(t, [...three, service(shared())]);
  await it.slb('TagResources', tag);
  await it.annotate({ 'additional-resource-tags': 'a=1, b=2,c' });
  assert.deepEqual(await tagsOf(it), { 'kubernetes.reused.by.user': 'true', a: '1', b: '2', c: '' });
  await it.annotate({ 'additional-resource-tags': 'a=3' });
  assert.deepEqual(await tagsOf(it), { 'kubernetes.reused.by.user': 'true', a: '3' });
  await it.annotate({ 'additional-resource-tags': null });
  assert.equal((await tagsOf(it))['a'], '3', 'no list takes nothing off');
  const old = await scene(t, [...three, service(shared({ 'additional-resource-tags': 'a=1' }))], {
    ccm: { version: '2.9.1' },
  });
  assert.deepEqual(await tagsOf(old), { 'kubernetes.reused.by.user': 'true' });
});

test('another resource group than the load balancer’s: an error, and from 2.12 on the members are brought in step all the same', async (t) => {
  for (const [version, members] of [
    ['2.11.2', 0],
    ['2.14.0', 3],
  ] as const) {
    const it = await scene(t, [...three, service(shared({ 'resource-group-id': 'rg-other' }))], { ccm: { version } });
    assert.ok(await failed(it, 'can not change ResourceGroupId once created'));
    assert.equal((await it.members()).length, members);
    assert.equal((await it.service())?.metadata.labels?.[HASH_LABEL], undefined);
  }
});

test('what an annotation asks of an own load balancer later is changed on it, and only that', async (t) => {
  const own = await ownLoadBalancer(t);
  await own.annotate({
    'charge-type': 'paybybandwidth',
    bandwidth: '20',
    'delete-protection': 'off',
    'modification-protection': 'NonProtection',
    name: 'front',
    'instance-charge-type': 'PayBySpec',
  });
  const lb = await own.lb(own.id);
  assert.deepEqual(
    [
      lb.InternetChargeType,
      lb.Bandwidth,
      lb.DeleteProtection,
      lb.ModificationProtectionStatus,
      lb.LoadBalancerName,
      lb.LoadBalancerSpec,
    ],
    ['paybybandwidth', 20, 'off', 'NonProtection', 'front', 'slb.s1.small'],
  );
  await own.annotate({ spec: 'slb.s2.small' });
  assert.equal((await own.lb(own.id)).LoadBalancerSpec, 'slb.s2.small');
});

for (const type of ['NodePort', 'ClusterIP'])
  test(`LoadBalancer to ${type} and back: members, labels, address and finalizer go and come`, async (t) => {
    const it = await scene(t, [...three, service(shared())]);
    await patchService(it, { spec: { type } });
    const gone = await it.service();
    assert.deepEqual(await it.members(), []);
    assert.deepEqual(await addressesOf(it), []);
    assert.deepEqual(
      [gone?.metadata.finalizers, gone?.metadata.labels?.[HASH_LABEL], gone?.metadata.labels?.[LOAD_BALANCER_LABEL]],
      [undefined, undefined, undefined],
    );
    await patchService(it, { spec: { type: 'LoadBalancer' } });
    assert.equal((await it.members()).length, 3);
    assert.deepEqual((await it.service())?.metadata.finalizers, [SERVICE_FINALIZER]);
  });

test('an own load balancer whose tag and name are both gone is not found again, and none is made in its place', async (t) => {
  const own = await ownLoadBalancer(t);
  await own.slb('UntagResources', {
    ResourceType: 'instance',
    'ResourceId.1': own.id,
    'TagKey.1': 'kubernetes.do.not.delete',
  });
  await own.slb('SetLoadBalancerName', { LoadBalancerId: own.id, LoadBalancerName: 'other' });
  await own.annotate({ 'connection-drain': 'off' });
  assert.ok(await failed(own, 'can not find loadbalancer'));
  assert.equal((await own.slb('DescribeLoadBalancers', {})).TotalCount, 3);
  assert.equal(await own.serving(), 2);
});

test('two load balancers with the controller’s tag: an error', async (t) => {
  const own = await ownLoadBalancer(t);
  await own.slb('TagResources', {
    ResourceType: 'instance',
    'ResourceId.1': 'lb-2',
    'Tag.1.Key': 'kubernetes.do.not.delete',
    'Tag.1.Value': own.name,
  });
  await own.annotate({ 'connection-drain': 'off' });
  assert.ok(await failed(own, 'find multiple loadbalances by tag'));
});

test('after the Service is deleted no listener and no group of its name is left', async (t) => {
  const it = await scene(t, [...three, service(anno({ id: 'lb-1', 'force-override-listeners': 'true' }))]);
  assert.ok((await it.groups()).includes('k8s/30080/web/shop/c-old'));
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.deepEqual((await it.groups()).toSorted(), ['other', 'shared']);
  assert.deepEqual(await listenersOf(it), []);
});

test('a group of its name stays when somebody else has a member in it', async (t) => {
  const it = await scene(t, [...three, service(anno({ id: 'lb-1' }))]);
  const all: Json[] = (await it.slb('DescribeVServerGroups', { LoadBalancerId: 'lb-1' })).VServerGroups.VServerGroup;
  const own: string = all.find((one) => one.VServerGroupName.startsWith('k8s/')).VServerGroupId;
  await it.slb('AddVServerGroupBackendServers', {
    VServerGroupId: own,
    BackendServers: '[{"ServerId":"i-ext","Port":"80"}]',
  });
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.deepEqual(await servers(it, own), ['i-ext']);
});

// Own cases

for (const [version, weight, expected] of [
  ['2.11.2', '101', [20, 20, 20]],
  ['2.11.2', '20%', [20, 20, 20]],
  ['2.11.2', '', [100, 100, 100]],
  ['2.14.0', '101', []],
  ['2.14.0', '20%', []],
  ['2.14.0', '', [100, 100, 100]],
] as const)
  test(`${version}: weight ${JSON.stringify(weight)} after 60 leaves ${JSON.stringify(expected)}`, async (t) => {
    const it = await scene(t, [...three, service(shared({ weight: '60' }))], { ccm: { version } });
    await it.annotate({ weight });
    assert.deepEqual(await it.weights(), [...expected]);
    assert.equal(await failed(it, 'weight must be integer'), version === '2.11.2' && weight !== '');
  });

test('an external server that equals a node and its node port is taken over, with description and weight', async (t) => {
  const it = await scene(t, three);
  await it.slb('AddVServerGroupBackendServers', {
    VServerGroupId: 'rsp-1',
    BackendServers: '[{"ServerId":"i-n1","Port":"30080","Weight":"7","Description":"mine"}]',
  });
  await it.api.create('v1/services', service(shared({ weight: '60' })));
  await it.settle();
  const [taken] = await it.members();
  assert.deepEqual([taken?.weight, taken?.description], [20, 'k8s/30080/web/shop/c-old']);
});

test('more members than weight: 1 each, and the sum is their number', async (t) => {
  const it = await eni(t, podsOn({ n1: 30 }), { weight: '20' });
  assert.equal(sum(await it.weights()), 30);
});

test('deleted while the controller is down: the Service hangs and its members stay until it is back', async (t) => {
  const it = await scene(t, [...three, service(shared())]);
  it.stop();
  await it.api.delete('v1/services', 'shop', 'web');
  await it.clock.sleep(120_000);
  assert.ok((await it.service())?.metadata.deletionTimestamp);
  assert.equal((await it.members()).length, 3);
  await it.restart();
  assert.equal(await it.service(), undefined);
  assert.deepEqual(await it.members(), []);
});

test('a full load balancer: what can’t be added before the removal is added after it', async (t) => {
  const before = podsOn({ n1: 3 });
  const after = ['192.168.129.1', '192.168.129.2', '192.168.129.3'].map((ip) => ({ ip, node: 'n1' }));
  const it = await scene(t, [...three, eniService(), slice(before)], {
    eni: [...before, ...after],
    account: { limits: { backendsPerLoadBalancer: 4 } },
  });
  await patchPods(it, after);
  assert.deepEqual(
    (await it.members()).map((one) => one.ip),
    after.map((one) => one.ip),
  );
});

test('a reused IPv6 load balancer holds a deleted Service from 2.12 on', async (t) => {
  for (const [version, hangs] of [
    ['2.11.2', false],
    ['2.14.0', true],
  ] as const) {
    const it = await scene(t, [...three, service(shared({ 'ip-version': 'ipv6' }))], {
      ccm: { version },
      seed: {
        region: REGION,
        loadBalancers: [
          {
            id: 'lb-1',
            address: '47.0.0.1',
            addressIpVersion: 'ipv6',
            listeners: [],
            groups: [{ id: 'rsp-1', name: 'shared' }],
          },
        ],
      },
    });
    assert.equal((await it.members()).length, 3);
    await it.api.delete('v1/services', 'shop', 'web');
    await it.settle();
    assert.equal((await it.service()) !== undefined, hangs, version);
  }
});

// What was seen in runs

test('40 pods without weight, or with an empty one, weigh 100 each beside 78 of the old cluster', async (t) => {
  const old = await scene(t, [...three, service(shared({ weight: '80' }))]);
  const pods = podsOn({ n1: 40 }).map((it) => ({ ...it, node: 'm1' }));
  const fresh = await scene(t, [...others, eniService({ weight: '0' }), slice(pods)], {
    eni: pods,
    ccm: { clusterId: 'c-new' },
    beside: old,
  });
  const split = async (): Promise<number[]> => {
    const all = await old.members();
    const of = (id: string) => sum(all.filter((it) => it.description.endsWith(id)).map((it) => it.weight));
    return [of('c-old'), of('c-new')];
  };
  for (const [weight, expected] of [
    ['0', [78, 0]],
    ['20', [78, 40]],
    ['', [78, 4000]],
    [null, [78, 4000]],
  ] as const) {
    await fresh.annotate({ weight });
    assert.deepEqual(await split(), [...expected]);
  }
});

test('ignore-weight-update on: a changed weight changes nothing, a scale-out brings floor(weight/N), its removal writes all', async (t) => {
  const it = await eni(t, podsOn({ n1: 2 }), { weight: '60', 'ignore-weight-update': 'on' }, podsOn({ n1: 4 }));
  await setByHand(it, 3);
  await it.annotate({ weight: '90' });
  assert.deepEqual(await it.weights(), [3, 3]);
  await patchPods(it, podsOn({ n1: 4 }));
  assert.deepEqual(await it.weights(), [3, 3, 22, 22]);
  await it.annotate({ 'ignore-weight-update': null });
  assert.deepEqual(await it.weights(), [22, 22, 22, 22]);
});

test('vgroup-port moved and moved back: the group left behind stays filled until the Service is deleted', async (t) => {
  const it = await scene(t, [...three, service(shared({ weight: '30' }))]);
  await it.annotate({ 'vgroup-port': 'rsp-2:80' });
  await it.annotate({ 'vgroup-port': 'rsp-1:80' });
  assert.deepEqual(
    [await it.weights('rsp-1'), await it.weights('rsp-2')],
    [
      [10, 10, 10],
      [10, 10, 10],
    ],
  );
});

test('a restart brings in step what was changed outside, and nothing else does', async (t) => {
  const it = await scene(t, [...three, service(shared({ weight: '60' }))]);
  await setByHand(it, 5);
  await it.clock.sleep(3_600_000);
  assert.deepEqual(await it.weights(), [5, 5, 5]);
  await it.restart();
  assert.deepEqual(await it.weights(), [20, 20, 20]);
});

test('raising the target first and lowering the source second keeps every share inside the step', async (t) => {
  const old = await scene(t, [...three, service(shared({ weight: '95' }))]);
  const fresh = await scene(t, [...others, service(shared({ weight: '5' }))], {
    ccm: { clusterId: 'c-new' },
    beside: old,
  });
  const share = async (): Promise<number> => {
    const all = await old.members();
    const target = sum(all.filter((it) => it.description.endsWith('c-new')).map((it) => it.weight));
    return (100 * target) / sum(all.map((it) => it.weight));
  };
  const seen = [await share()];
  await fresh.annotate({ weight: '20' });
  seen.push(await share());
  await old.annotate({ weight: '80' });
  seen.push(await share());
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  assert.deepEqual(seen.map(Math.round), [4, 18, 20]);
});

// Handing over, in orders that are not the best

const untag = (own: Scene & { id: string }): Promise<Json> =>
  own.slb('UntagResources', {
    ResourceType: 'instance',
    'ResourceId.1': own.id,
    'TagKey.1': 'kubernetes.do.not.delete',
    'TagKey.2': 'ack.aliyun.com',
  });

test('an event between untag and annotate makes the controller find it by name and tag it again', async (t) => {
  const own = await ownLoadBalancer(t);
  await untag(own);
  await own.annotate({ 'connection-drain': 'off' });
  assert.equal((await tagsOf(own, own.id))['kubernetes.do.not.delete'], own.name);
  assert.equal((await tagsOf(own, own.id))['ack.aliyun.com'], undefined);
  assert.equal(await own.serving(), 2);
});

test('a listener moved to another group before the Service is annotated is moved back by the next edit', async (t) => {
  const own = await ownLoadBalancer(t);
  const [v] = await own.group();
  const u = (await own.slb('CreateVServerGroup', { LoadBalancerId: own.id, VServerGroupName: 'mine' })).VServerGroupId;
  await own.slb('SetLoadBalancerTCPListenerAttribute', {
    LoadBalancerId: own.id,
    ListenerPort: '80',
    VServerGroup: 'on',
    VServerGroupId: u,
    Scheduler: 'wrr',
  });
  await own.annotate({ 'connection-drain': 'off' });
  assert.deepEqual(
    [(await own.listener()).VServerGroupId, (await own.listener()).Scheduler],
    [v.VServerGroupId, 'wrr'],
  );
});

test('two listeners are handed over by one annotation', async (t) => {
  const pods = podsOn({ n1: 2 });
  const it = await scene(
    t,
    [
      ...three,
      service(
        { [backendType]: 'eni' },
        {
          spec: {
            ports: [
              { name: 'http', port: 80, targetPort: 8080, nodePort: 30080 },
              { name: 'https', port: 443, targetPort: 8443, nodePort: 30443 },
            ],
          },
        },
      ),
      slice(pods),
    ],
    { eni: pods },
  );
  const uid: string = (await it.service())?.metadata.uid;
  const id: string = (
    await it.slb('DescribeLoadBalancers', { LoadBalancerName: `a${uid.replaceAll('-', '')}`.slice(0, 32) })
  ).LoadBalancers.LoadBalancer[0].LoadBalancerId;
  const before = await listenersOf(it, id);
  for (const listener of before)
    await it.slb('SetVServerGroupAttribute', {
      VServerGroupId: listener.VServerGroupId,
      VServerGroupName: `handed-${listener.ListenerPort}`,
    });
  await untag({ ...it, id });
  await it.annotate({
    id,
    'vgroup-port': before.map((one) => `${one.VServerGroupId}:${one.ListenerPort}`).join(','),
    weight: '100',
  });
  assert.deepEqual(
    (await listenersOf(it, id)).map((one) => one.VServerGroupId),
    before.map((one) => one.VServerGroupId),
  );
  for (const listener of before) assert.deepEqual(await it.weights(listener.VServerGroupId), [50, 50]);
  await it.api.delete('v1/services', 'shop', 'web');
  await it.settle();
  assert.equal((await listenersOf(it, id)).length, 2);
  assert.deepEqual(await it.members(before[0]?.VServerGroupId), []);
});
