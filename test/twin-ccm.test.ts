import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HASH_LABEL, LOAD_BALANCER_LABEL, SERVICE_FINALIZER } from '../src/twin/controllers/ccm.js';
import { parseWeight, weightsOf } from '../src/twin/controllers/weights.js';
import type { Json, TwinObject } from '../src/twin/types.js';
import {
  START,
  anno,
  shared,
  node,
  service,
  slice,
  podsOn,
  scene,
  three,
  sum,
  eniService,
  ownLoadBalancer,
  others,
} from './ccm-scene.js';

// Arithmetic

test('weights are divided by integer floor with at least 1 each', () => {
  const ecs = (...pods: number[]) => pods.map((it) => ({ type: 'ecs' as const, pods: it }));
  const eni = (count: number) => Array.from({ length: count }, () => ({ type: 'eni' as const, pods: 1 }));
  assert.deepEqual(weightsOf('Cluster', 80, ecs(1, 1, 1)), [26, 26, 26]);
  assert.deepEqual(weightsOf('Local', 80, ecs(5, 3)), [50, 30]);
  assert.deepEqual(weightsOf('Local', 20, ecs(4, 3)), [11, 8]);
  assert.deepEqual(weightsOf('Local', 80, ecs(2, 1, 1)), [40, 20, 20]);
  assert.equal(sum(weightsOf('ENI', 20, eni(30))), 30);
  assert.deepEqual(weightsOf('ENI', undefined, eni(3)), [100, 100, 100]);
  assert.deepEqual(weightsOf('ENI', undefined, eni(2), 50), [50, 50]);
  assert.deepEqual(weightsOf('Local', undefined, ecs(5, 3), 50), [5, 3]);
  assert.deepEqual(weightsOf('Local', 0, ecs(5, 3)), [0, 0]);
  assert.deepEqual(weightsOf('Local', 2, [...ecs(2), ...eni(2)]), [1, 0, 0]);
});

test('a weight is read as Go reads an integer', () => {
  for (const [text, value] of [
    ['+5', 5],
    ['007', 7],
    ['0', 0],
    ['100', 100],
    ['-0', 0],
  ] as const)
    assert.equal(parseWeight(text), value);
  for (const text of ['20%', ' 20', '1.5', '101', '-1', '', 'x']) assert.equal(parseWeight(text), undefined, text);
});

// A reused group

test('a Service joins the group it names, signs its members, and says so', async (t) => {
  const {
    members,
    service: get,
    events,
  } = await scene(t, [...three, service(shared({ weight: '80' })), slice(podsOn({ n1: 1 }))]);
  assert.deepEqual(
    await members(),
    ['n1', 'n2', 'n3'].map((it) => ({
      server: `i-${it}`,
      ip: '',
      port: 30080,
      weight: 26,
      description: 'k8s/30080/web/shop/c-old',
    })),
  );
  const live = await get();
  assert.deepEqual(live?.metadata.finalizers, [SERVICE_FINALIZER]);
  assert.equal(live?.metadata.labels[LOAD_BALANCER_LABEL], 'lb-1');
  assert.ok(live?.metadata.labels[HASH_LABEL]);
  assert.deepEqual(
    live?.['status'].loadBalancer.ingress.map((it: Json) => it.ip),
    ['47.0.0.1'],
  );
  assert.ok((await events()).includes('EnsuredLoadBalancer: Ensured load balancer [lb-1]'));
});

test('the load balancer is marked as reused and its listener is left alone', async (t) => {
  const { slb } = await scene(t, [...three, service(shared())]);
  const tags = (await slb('ListTagResources', { ResourceType: 'instance', 'ResourceId.1': 'lb-1' })).TagResources
    .TagResource;
  assert.deepEqual(
    tags.map((it: Json) => it.TagKey),
    ['kubernetes.reused.by.user'],
  );
  const [listener] = (await slb('DescribeLoadBalancerListeners', { 'LoadBalancerId.1': 'lb-1' })).Listeners;
  assert.deepEqual([listener.Scheduler, listener.VServerGroupId], ['wrr', 'rsp-1']);
});

test('Cluster: 60, then 80, then 0, then none, then empty', async (t) => {
  const { weights, annotate } = await scene(t, [...three, service(shared({ weight: '60' }))]);
  assert.deepEqual(await weights(), [20, 20, 20]);
  await annotate({ weight: '80' });
  assert.deepEqual(await weights(), [26, 26, 26]);
  await annotate({ weight: '0' });
  assert.deepEqual(await weights(), [0, 0, 0]);
  await annotate({ weight: '' });
  assert.deepEqual(await weights(), [100, 100, 100]);
  await annotate({ weight: '0' });
  await annotate({ weight: null });
  assert.deepEqual(await weights(), [100, 100, 100]);
});

test('Local: nodes by their pods', async (t) => {
  const local = service(shared({ weight: '80' }), { spec: { externalTrafficPolicy: 'Local' } });
  const { weights, annotate, members } = await scene(t, [...three, local, slice(podsOn({ n1: 5, n2: 3 }))]);
  assert.deepEqual(await weights(), [50, 30]);
  await annotate({ weight: null });
  assert.deepEqual(await weights(), [5, 3]);
  assert.deepEqual(
    (await members()).map((it) => it.server),
    ['i-n1', 'i-n2'],
  );
});

test('ENI: every pod by its interface and target port', async (t) => {
  const pods = podsOn({ n1: 2, n2: 1 });
  const { members } = await scene(t, [...three, eniService({ weight: '60' }), slice(pods)], { eni: pods });
  const live = await members();
  assert.deepEqual(
    live.map((it) => [it.ip, it.port, it.weight, it.description]),
    pods.map((it) => [it.ip, 8080, 20, 'k8s/8080/web/shop/c-old']),
  );
  assert.ok(live.every((it) => it.server.startsWith('eni-')));
});

test('ENI: above the weight the annotation is only a switch', async (t) => {
  const pods = podsOn({ n1: 40 });
  const { weights, annotate } = await scene(t, [...three, eniService({ weight: '20' }), slice(pods)], { eni: pods });
  assert.equal(sum(await weights()), 40);
  await annotate({ weight: '79' });
  assert.equal(sum(await weights()), 40);
  await annotate({ weight: '0' });
  assert.equal(sum(await weights()), 0);
});

test('the controller can be told to use pods for every Service', async (t) => {
  const pods = podsOn({ n1: 1 });
  const { members } = await scene(t, [...three, service(shared()), slice(pods)], {
    eni: pods,
    ccm: { backendMode: 'eni' },
  });
  assert.equal((await members())[0]?.ip, pods[0]?.ip);
});

test('a Service moves from Cluster to Local to ENI and back, and its members with it', async (t) => {
  const pods = podsOn({ n1: 1, n2: 1 });
  const { members, api, settle } = await scene(t, [...three, service(shared()), slice(pods)], { eni: pods });
  const kinds = async (): Promise<number[]> => (await members()).map((it) => it.port);
  assert.deepEqual(await kinds(), [30080, 30080, 30080]);
  await api.mergePatch('v1/services', 'shop', 'web', { spec: { externalTrafficPolicy: 'Local' } });
  await settle();
  assert.deepEqual(await kinds(), [30080, 30080]);
  await api.mergePatch('v1/services', 'shop', 'web', {
    metadata: { annotations: { 'service.beta.kubernetes.io/backend-type': 'eni' } },
  });
  await settle();
  assert.deepEqual(await kinds(), [8080, 8080]);
  await api.mergePatch('v1/services', 'shop', 'web', {
    metadata: { annotations: { 'service.beta.kubernetes.io/backend-type': 'ecs' } },
    spec: { externalTrafficPolicy: 'Cluster' },
  });
  await settle();
  assert.deepEqual(await kinds(), [30080, 30080, 30080]);
});

test('without pods Cluster keeps every node at full weight and Local empties the group', async (t) => {
  const { weights, api, settle, events } = await scene(t, [...three, service(shared({ weight: '90' })), slice([])]);
  assert.deepEqual(await weights(), [30, 30, 30]);
  await api.mergePatch('v1/services', 'shop', 'web', { spec: { externalTrafficPolicy: 'Local' } });
  await settle();
  assert.deepEqual(await weights(), []);
  assert.ok((await events()).some((it) => it.startsWith('UnAvailableLoadBalancer')));
});

test('pods come and go with their endpoints; terminating and unready ones do not count', async (t) => {
  const pods = podsOn({ n1: 3 });
  const { members, api, settle } = await scene(
    t,
    [...three, eniService(), slice([{ ...pods[0]!, ready: false }, { ...pods[1]!, terminating: true }, pods[2]!])],
    { eni: pods },
  );
  assert.deepEqual(
    (await members()).map((it) => it.ip),
    [pods[2]!.ip],
  );
  await api.mergePatch('discovery.k8s.io/v1/endpointslices', 'shop', 'web-1', { endpoints: slice(pods)['endpoints'] });
  await settle();
  assert.equal((await members()).length, 3);
});

test('41 members go out in two calls', async (t) => {
  const pods = podsOn({ n1: 41 });
  const { call, members } = await scene(t, [...three, eniService(), slice(pods)], { eni: pods });
  assert.equal(call.filter((it) => it === 'AddVServerGroupBackendServers').length, 2);
  assert.equal((await members()).length, 41);
});

// Nodes

test('nodes are left out by label, taint, readiness and role', async (t) => {
  const odd = [
    node('n4', { labels: { 'node-role.kubernetes.io/master': '' } }),
    node('n5', { spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] } }),
    node('n6', { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': 'true' } }),
    node('n7', { labels: { 'service.alibabacloud.com/exclude-node': '' } }),
    { ...node('n8'), status: { conditions: [{ type: 'Ready', status: 'False' }] } },
    node('n9', { spec: { unschedulable: true } }),
  ];
  const { members, annotate } = await scene(t, [...three, ...odd, service(shared())]);
  assert.deepEqual(
    (await members()).map((it) => it.server),
    ['i-n1', 'i-n2', 'i-n3', 'i-n9'],
  );
  await annotate({ 'remove-unscheduled-backend': 'on' });
  assert.deepEqual(
    (await members()).map((it) => it.server),
    ['i-n1', 'i-n2', 'i-n3'],
  );
});

test('backend-label wants every label it lists', async (t) => {
  const { members, annotate } = await scene(t, [
    node('n1', { labels: { pool: 'web', tier: '1' } }),
    node('n2', { labels: { pool: 'web' } }),
    service(shared({ 'backend-label': 'pool=web,tier=1' })),
  ]);
  assert.deepEqual(
    (await members()).map((it) => it.server),
    ['i-n1'],
  );
  await annotate({ 'backend-label': 'pool=web' });
  assert.equal((await members()).length, 2);
});

test('a changed label or readiness of a node is acted on, a new taint is not', async (t) => {
  const { members, api, settle } = await scene(t, [...three, service(shared())]);
  await api.mergePatch('v1/nodes', undefined, 'n1', {
    spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] },
  });
  await settle();
  assert.equal((await members()).length, 3);
  await api.mergePatch(
    'v1/nodes',
    undefined,
    'n2',
    { status: { conditions: [{ type: 'Ready', status: 'False' }] } },
    'status',
  );
  await settle();
  assert.deepEqual(
    (await members()).map((it) => it.server),
    ['i-n3'],
  );
});

test('one node with a bad provider id stops the whole group', async (t) => {
  const { members, events } = await scene(
    t,
    [...three, node('n4', { spec: { providerID: 'nonsense' } }), service(shared())],
    { ccm: { version: '2.11.2' } },
  );
  assert.deepEqual(await members(), []);
  assert.ok((await events()).some((it) => it.includes('parse providerid')));
});

test('a virtual node brings its pods as interfaces under Cluster and Local', async (t) => {
  const pods = podsOn({ n1: 2, vk: 1 });
  const local = service(shared({ weight: '90' }), { spec: { externalTrafficPolicy: 'Local' } });
  const { members } = await scene(
    t,
    [...three, node('vk', { labels: { type: 'virtual-kubelet' } }), local, slice(pods)],
    { eni: pods },
  );
  assert.deepEqual(
    (await members()).map((it) => [it.ip === '' ? 'ecs' : 'eni', it.weight]),
    [
      ['ecs', 60],
      ['eni', 30],
    ],
  );
});

// Ports and endpoints

test('a changed target port moves pods, not nodes', async (t) => {
  const pods = podsOn({ n1: 1 });
  const { members, api, settle } = await scene(t, [...three, eniService(), slice(pods)], { eni: pods });
  await api.mergePatch('v1/services', 'shop', 'web', {
    spec: { ports: [{ name: 'http', port: 80, targetPort: 81, nodePort: 30080 }] },
  });
  await settle();
  assert.deepEqual(
    (await members()).map((it) => [it.port, it.description]),
    [[81, 'k8s/81/web/shop/c-old']],
  );
});

test('a named target port is found by the name of the Service port, and pods without it are left out', async (t) => {
  const pods = podsOn({ n1: 2 });
  const named = {
    ...eniService(),
    spec: { ...eniService()['spec'], ports: [{ name: 'http', port: 80, targetPort: 'web', nodePort: 30080 }] },
  };
  const without = slice([pods[1]!], {
    metadata: { name: 'web-2', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
    ports: [{ name: 'other', port: 1 }],
  });
  const { members } = await scene(t, [...three, named, slice([pods[0]!]), without], { eni: pods });
  assert.deepEqual(
    (await members()).map((it) => [it.ip, it.port, it.description]),
    [[pods[0]!.ip, 8080, 'k8s/web/web/shop/c-old']],
  );
});

test('an endpoint on an unknown node is ignored, one without a node fails the port', async (t) => {
  const local = service(shared(), { spec: { externalTrafficPolicy: 'Local' } });
  const first = await scene(t, [
    ...three,
    local,
    slice([
      { ip: '192.168.128.1', node: 'gone' },
      { ip: '192.168.128.2', node: 'n1' },
    ]),
  ]);
  assert.deepEqual(
    (await first.members()).map((it) => it.server),
    ['i-n1'],
  );
  const second = await scene(t, [...three, local, slice([{ ip: '192.168.128.1' }])], { ccm: { version: '2.11.2' } });
  assert.ok((await second.events()).some((it) => it.includes('NodeName is nil for ip')));
});

test('a pod inside the VPC without an interface blocks removals, but not additions', async (t) => {
  const pods = podsOn({ n1: 2 });
  const { members, api, clock, events } = await scene(t, [...three, eniService(), slice([pods[0]!])], {
    eni: [pods[0]!],
  });
  await api.mergePatch('discovery.k8s.io/v1/endpointslices', 'shop', 'web-1', {
    endpoints: slice([pods[1]!])['endpoints'],
  });
  await clock.sleep(2_000);
  assert.deepEqual(
    (await members()).map((it) => it.ip),
    [pods[0]!.ip],
    'the old one stays',
  );
  assert.ok((await events()).some((it) => it.includes('can not find eniid') || it.includes('has invalid backend')));
});

test('a pod outside the VPC is skipped with an event', async (t) => {
  const pods = [{ ip: '172.20.0.5', node: 'n1' }];
  const { members, events } = await scene(t, [...three, eniService(), slice(pods)]);
  assert.deepEqual(await members(), []);
  assert.ok((await events()).some((it) => it.startsWith('SkipSyncBackends: Not sync pods [172.20.0.5]')));
});

// vgroup-port

test('two ids serve two ports', async (t) => {
  const two = service(shared({ 'vgroup-port': 'rsp-1:80,rsp-2:443' }), {
    spec: {
      ports: [
        { name: 'http', port: 80, targetPort: 8080, nodePort: 30080 },
        { name: 'https', port: 443, targetPort: 8443, nodePort: 30443 },
      ],
    },
  });
  const { members } = await scene(t, [...three, two]);
  assert.deepEqual(
    (await members('rsp-1')).map((it) => it.port),
    [30080, 30080, 30080],
  );
  assert.deepEqual(
    (await members('rsp-2')).map((it) => it.port),
    [30443, 30443, 30443],
  );
});

for (const [what, annotations] of [
  ['port before id', anno({ id: 'lb-1', 'vgroup-port': '80:rsp-1' })],
  ['vgroup-ids', anno({ id: 'lb-1', 'vgroup-ids': 'rsp-1:80' })],
] as const)
  test(`${what}: silently a new group of its own, with default weights`, async (t) => {
    const { members, groups, events } = await scene(t, [
      ...three,
      service({ ...annotations, ...anno({ weight: '10' }) }),
    ]);
    assert.deepEqual(await members('rsp-1'), []);
    assert.ok((await groups()).includes('k8s/30080/web/shop/c-old'));
    assert.ok((await events()).some((it) => it.startsWith('EnsuredLoadBalancer')));
  });

test('a blank after the comma breaks the second entry', async (t) => {
  const two = service(shared({ 'vgroup-port': 'rsp-1:80, rsp-2:443' }), {
    spec: {
      ports: [
        { name: 'http', port: 80, targetPort: 8080, nodePort: 30080 },
        { name: 'https', port: 443, targetPort: 8443, nodePort: 30443 },
      ],
    },
  });
  const { members } = await scene(t, [...three, two]);
  assert.equal((await members('rsp-1')).length, 3);
  assert.deepEqual(await members('rsp-2'), []);
});

test('an entry without a colon is an error that shows', async (t) => {
  const { events } = await scene(t, [...three, service(shared({ 'vgroup-port': 'rsp-1' }))]);
  assert.ok(
    (await events()).some(
      (it) => it.startsWith('SyncLoadBalancerFailed') && it.includes("format must be like 'vsp-xxx:443'"),
    ),
  );
});

test('moving to another group leaves the members of the first behind', async (t) => {
  const { weights, annotate } = await scene(t, [...three, service(shared({ weight: '30' }))]);
  await annotate({ 'vgroup-port': 'rsp-2:80' });
  assert.deepEqual(await weights('rsp-1'), [10, 10, 10]);
  assert.deepEqual(await weights('rsp-2'), [10, 10, 10]);
  await annotate({ weight: '60' });
  assert.deepEqual(await weights('rsp-1'), [10, 10, 10]);
  assert.deepEqual(await weights('rsp-2'), [20, 20, 20]);
});

for (const [id, version, shows] of [
  ['rsp-absent', '2.11.2', true],
  ['rsp-9', '2.11.2', true],
  ['rsp-absent', '2.14.0', false],
] as const)
  test(`group ${id} is not in the load balancer: ${shows ? 'an event' : 'silence'} at ${version}`, async (t) => {
    const { members, events } = await scene(t, [...three, service(shared({ 'vgroup-port': `${id}:80` }))], {
      ccm: { version },
    });
    assert.equal(
      (await events()).some((it) => it.includes(`can not find vgroupId ${id} in lb lb-1`)),
      shows,
    );
    assert.equal(
      (await events()).some((it) => it.startsWith('EnsuredLoadBalancer')),
      !shows,
    );
    assert.deepEqual(await members('rsp-1'), []);
  });

test('a group that a controller made can not be reused', async (t) => {
  const { slb, annotate, events } = await scene(t, [...three, service(anno({ id: 'lb-1' }))], {
    ccm: { version: '2.11.2' },
  });
  const own = (await slb('DescribeVServerGroups', { LoadBalancerId: 'lb-1' })).VServerGroups.VServerGroup.find(
    (it: Json) => it.VServerGroupName.startsWith('k8s/'),
  );
  await annotate({ 'vgroup-port': `${own.VServerGroupId}:80` });
  assert.ok((await events()).some((it) => it.includes('cannot reuse a ccm created vgroup')));
});

test('two ports on one group: only the first is brought in step', async (t) => {
  const two = service(shared({ 'vgroup-port': 'rsp-1:80,rsp-1:443' }), {
    spec: {
      ports: [
        { name: 'http', port: 80, targetPort: 8080, nodePort: 30080 },
        { name: 'https', port: 443, targetPort: 8443, nodePort: 30443 },
      ],
    },
  });
  const { members, annotate } = await scene(t, [...three, two]);
  assert.deepEqual([...new Set((await members()).map((it) => it.port))], [30080]);
  await annotate({ 'connection-drain': 'on' });
  assert.deepEqual([...new Set((await members()).map((it) => it.port))], [30443], 'the next look takes the other port');
});

test('both prefixes are read, and the newer one wins even when empty', async (t) => {
  const legacy = {
    'service.beta.kubernetes.io/alicloud-loadbalancer-id': 'lb-1',
    'service.beta.kubernetes.io/alicloud-loadbalancer-vgroup-port': 'rsp-1:80',
    'service.beta.kubernetes.io/alicloud-loadbalancer-weight': '30',
  };
  const { weights, annotate } = await scene(t, [...three, service(legacy)]);
  assert.deepEqual(await weights(), [10, 10, 10]);
  await annotate({ weight: '' });
  assert.deepEqual(await weights(), [100, 100, 100]);
});

// Bad weights

for (const bad of ['20%', '101', ' 20', '1.5'])
  test(`weight ${JSON.stringify(bad)} from 2.12 on: own members leave and all is said to be well`, async (t) => {
    const { weights, annotate, events, slb } = await scene(t, [...three, service(shared({ weight: '30' }))]);
    await slb('AddVServerGroupBackendServers', {
      VServerGroupId: 'rsp-1',
      BackendServers: '[{"ServerId":"i-ext","Port":"80","Weight":"7"}]',
    });
    await annotate({ weight: bad });
    assert.deepEqual(await weights(), [7]);
    assert.equal(
      (await events()).some((it) => it.startsWith('SyncLoadBalancerFailed')),
      false,
    );
    await annotate({ weight: '60' });
    assert.equal(sum(await weights()), 67);
  });

test('a bad weight up to 2.11: an event, and nothing changes', async (t) => {
  const { weights, annotate, events } = await scene(t, [...three, service(shared({ weight: '30' }))], {
    ccm: { version: '2.11.2' },
  });
  await annotate({ weight: '20%' });
  assert.deepEqual(await weights(), [10, 10, 10]);
  assert.ok(
    (await events()).some(
      (it) => it.startsWith('SyncLoadBalancerFailed') && it.includes('weight must be integer in range [0,100]'),
    ),
  );
});

test('with a bad weight an endpoint event from 2.12 on skips the group', async (t) => {
  const pods = podsOn({ n1: 2 });
  const { members, annotate, api, settle } = await scene(t, [...three, eniService({ weight: 'x' }), slice(pods)], {
    eni: pods,
  });
  assert.deepEqual(await members(), []);
  await annotate({ weight: '10' });
  assert.equal((await members()).length, 2);
  await annotate({ weight: 'x' });
  await api.mergePatch('discovery.k8s.io/v1/endpointslices', 'shop', 'web-1', {
    endpoints: slice([pods[0]!])['endpoints'],
  });
  await settle();
  assert.deepEqual(await members(), []);
});

// Outside changes

test('a weight set by hand lives until the next event, then it is written back', async (t) => {
  const { weights, annotate, slb, clock } = await scene(t, [...three, service(shared({ weight: '30' }))]);
  await slb('SetVServerGroupAttribute', {
    VServerGroupId: 'rsp-1',
    BackendServers: '[{"ServerId":"i-n1","Port":"30080","Weight":"77"}]',
  });
  await clock.sleep(3_600_000);
  assert.deepEqual(await weights(), [77, 10, 10], 'it never polls');
  await annotate({ bandwidth: '5' });
  assert.deepEqual(await weights(), [10, 10, 10]);
});

test('ignore-weight-update keeps weights set by hand, and new members still come with the computed one', async (t) => {
  const { weights, annotate, slb, api, settle } = await scene(t, [
    ...three,
    service(shared({ weight: '30', 'ignore-weight-update': 'ON' })),
  ]);
  await slb('SetVServerGroupAttribute', {
    VServerGroupId: 'rsp-1',
    BackendServers: '[{"ServerId":"i-n1","Port":"30080","Weight":"77"}]',
  });
  await annotate({ bandwidth: '5' });
  await annotate({ weight: '90' });
  assert.deepEqual(await weights(), [77, 10, 10]);
  await api.create('v1/nodes', node('n4'));
  await settle();
  assert.deepEqual(await weights(), [77, 10, 10, 22]);
  await annotate({ 'ignore-weight-update': null });
  assert.deepEqual(await weights(), [22, 22, 22, 22]);
});

test('ignore-weight-update is unknown before 2.11.1, default-weight before 2.14', async (t) => {
  const old = await scene(
    t,
    [...three, service(shared({ weight: '30', 'ignore-weight-update': 'on', 'default-weight': '50' }))],
    { ccm: { version: '2.11.0' } },
  );
  await old.annotate({ weight: '60' });
  assert.deepEqual(await old.weights(), [20, 20, 20]);
  await old.annotate({ weight: null });
  assert.deepEqual(await old.weights(), [100, 100, 100]);
});

test('default-weight is the weight of each member when there is no weight', async (t) => {
  const { weights, annotate } = await scene(t, [...three, service(shared({ 'default-weight': '50' }))]);
  assert.deepEqual(await weights(), [50, 50, 50]);
  await annotate({ 'default-weight': '80' });
  assert.deepEqual(await weights(), [80, 80, 80]);
  await annotate({ 'default-weight': null });
  assert.deepEqual(await weights(), [100, 100, 100]);
});

test('members of others are left alone, but one that equals a node and node port is taken over', async (t) => {
  const { members, slb, annotate } = await scene(t, [...three, service(shared({ weight: '30' }))]);
  const add = (servers: Json[]): Promise<Json> =>
    slb('AddVServerGroupBackendServers', { VServerGroupId: 'rsp-1', BackendServers: JSON.stringify(servers) });
  await add([{ ServerId: 'i-ext', Port: '80', Weight: '9', Description: 'by hand' }]);
  await slb('SetVServerGroupAttribute', {
    VServerGroupId: 'rsp-1',
    BackendServers: '[{"ServerId":"i-n1","Port":"30080","Weight":"5","Description":"mine"}]',
  });
  await annotate({ weight: '60' });
  const live = await members();
  assert.deepEqual(live.find((it) => it.server === 'i-ext')?.weight, 9);
  assert.deepEqual(
    live.find((it) => it.server === 'i-n1'),
    { server: 'i-n1', ip: '', port: 30080, weight: 20, description: 'k8s/30080/web/shop/c-old' },
  );
});

// Two clusters

test('two clusters with their own ids share a group by weight', async (t) => {
  const old = await scene(t, [...three, service(shared({ weight: '80' }))]);
  const fresh = await scene(t, [...others, service(shared({ weight: '20' }))], {
    ccm: { clusterId: 'c-new' },
    beside: old,
  });
  assert.equal(sum(await old.weights()), 78 + 20);
  await old.annotate({ weight: '0' });
  assert.equal(sum(await old.weights()), 20);
  await fresh.api.delete('v1/services', 'shop', 'web');
  await fresh.settle();
  assert.deepEqual(
    (await old.members()).map((it) => it.server),
    ['i-n1', 'i-n2', 'i-n3'],
  );
});

test('two clusters with one id and equal names take each other’s members, down to none', async (t) => {
  const old = await scene(t, [...three, service(shared({ weight: '80' }))]);
  const fresh = await scene(t, [...others, service(shared({ weight: '20' }))], { beside: old });
  assert.deepEqual(
    (await old.members()).map((it) => it.server),
    ['i-m1', 'i-m2'],
  );
  await old.annotate({ weight: '60' });
  assert.deepEqual(
    (await old.members()).map((it) => it.server),
    ['i-n1', 'i-n2', 'i-n3'],
  );
  await fresh.api.delete('v1/services', 'shop', 'web');
  await fresh.settle();
  assert.deepEqual(await old.members(), []);
});

test('the controller’s readiness gate opens once the pod is a member', async (t) => {
  const gate = 'service.readiness.alibabacloud.com/web';
  const pod: TwinObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-0', namespace: 'shop', labels: { app: 'web' } },
    spec: { nodeName: 'n1', containers: [{ name: 'main', image: 'web' }], readinessGates: [{ conditionType: gate }] },
    status: { podIP: '192.168.128.1', conditions: [{ type: 'ContainersReady', status: 'True' }] },
  };
  const gated = slice([{ ip: '192.168.128.1', node: 'n1', ready: false }]);
  gated['endpoints'][0].targetRef = { kind: 'Pod', namespace: 'shop', name: 'web-0' };
  const { members, api } = await scene(t, [...three, pod, eniService(), gated], {
    eni: [{ ip: '192.168.128.1', node: 'n1' }],
  });
  assert.equal((await members()).length, 1);
  const live = await api.get('v1/pods', 'shop', 'web-0');
  assert.equal(live?.['status'].conditions.find((it: Json) => it.type === gate)?.reason, 'ServerRegistered');
});

// Removal

test('deleting the Service removes its members and lets it go; group and load balancer stay', async (t) => {
  const { members, api, settle, service: get, lb, groups, events } = await scene(t, [...three, service(shared())]);
  await api.delete('v1/services', 'shop', 'web');
  await settle();
  assert.equal(await get(), undefined);
  assert.deepEqual(await members(), []);
  assert.deepEqual((await groups()).toSorted(), ['other', 'shared']);
  assert.equal((await lb()).LoadBalancerId, 'lb-1');
  assert.ok((await events()).includes('CleanLoadBalancer: Clean load balancer'));
});

test('with the controller stopped a deleted Service hangs and its members stay', async (t) => {
  const old = await scene(t, [...three, service(shared())]);
  const { api, clock, members } = old;
  const controller = await scene(
    t,
    [...others, { ...service(shared()), metadata: { name: 'web', namespace: 'shop', annotations: shared() } }],
    { ccm: { clusterId: 'c-x' }, beside: old },
  );
  void controller;
  await api.mergePatch('v1/services', 'shop', 'web', {
    metadata: { annotations: { 'service.beta.kubernetes.io/class': 'frozen' } },
  });
  await api.delete('v1/services', 'shop', 'web');
  await clock.sleep(60_000);
  assert.ok((await api.get('v1/services', 'shop', 'web'))?.metadata.deletionTimestamp);
  assert.ok((await members()).some((it) => it.server === 'i-n1'));
});

test('a change of type cleans up labels, status, finalizer and members, and the way back restores them', async (t) => {
  const { members, api, settle, service: get } = await scene(t, [...three, service(shared())]);
  await api.mergePatch('v1/services', 'shop', 'web', { spec: { type: 'NodePort' } });
  await settle();
  const live = await get();
  assert.deepEqual(await members(), []);
  assert.equal(live?.metadata.finalizers, undefined);
  assert.equal(live?.metadata.labels?.[HASH_LABEL], undefined);
  assert.deepEqual(live?.['status'].loadBalancer.ingress ?? [], []);
  await api.mergePatch('v1/services', 'shop', 'web', { spec: { type: 'LoadBalancer' } });
  await settle();
  assert.equal((await members()).length, 3);
});

test('with override the listeners belong to the Service and go with it', async (t) => {
  const { slb, api, settle } = await scene(t, [
    ...three,
    service(shared({ 'force-override-listeners': 'true', scheduler: 'wrr' }), {
      spec: { ports: [{ name: 'http', port: 81, targetPort: 8080, nodePort: 30080 }] },
    }),
  ]);
  const listeners = async (): Promise<Json[]> =>
    (await slb('DescribeLoadBalancerListeners', { 'LoadBalancerId.1': 'lb-1' })).Listeners;
  const made = (await listeners()).find((it) => it.ListenerPort === 81);
  assert.deepEqual([made.Scheduler, made.Status, made.Description], ['wrr', 'running', 'k8s/81/web/shop/c-old']);
  await api.delete('v1/services', 'shop', 'web');
  await settle();
  assert.deepEqual(
    (await listeners()).map((it) => it.ListenerPort),
    [80],
  );
});

test('a load balancer that is gone does not hold a deleted Service', async (t) => {
  const { slb, api, settle, service: get } = await scene(t, [...three, service(shared())]);
  await slb('DeleteLoadBalancerListener', { LoadBalancerId: 'lb-1', ListenerPort: '80' });
  await slb('DeleteLoadBalancer', { LoadBalancerId: 'lb-1' });
  await api.delete('v1/services', 'shop', 'web');
  await settle();
  assert.equal(await get(), undefined);
});

// Load balancers of its own making

test('a Service without id gets a load balancer of its own: rr, protected, tagged; deleting it deletes that', async (t) => {
  const { slb, api, settle, service: get } = await scene(t, [...three, service({})]);
  const uid: string = (await get())?.metadata.uid;
  const name = `a${uid.replaceAll('-', '')}`.slice(0, 32);
  const [made] = (await slb('DescribeLoadBalancers', { LoadBalancerName: name })).LoadBalancers.LoadBalancer;
  const attributes = await slb('DescribeLoadBalancerAttribute', { LoadBalancerId: made.LoadBalancerId });
  assert.equal(attributes.DeleteProtection, 'on');
  assert.deepEqual(
    (await get())?.['status'].loadBalancer.ingress.map((it: Json) => it.ip),
    [attributes.Address],
  );
  const tags = (await slb('ListTagResources', { ResourceType: 'instance', 'ResourceId.1': made.LoadBalancerId }))
    .TagResources.TagResource;
  assert.deepEqual(tags.map((it: Json) => `${it.TagKey}=${it.TagValue}`).toSorted(), [
    'ack.aliyun.com=c-old',
    `kubernetes.do.not.delete=${name}`,
  ]);
  const [listener] = (await slb('DescribeLoadBalancerListeners', { 'LoadBalancerId.1': made.LoadBalancerId }))
    .Listeners;
  assert.deepEqual([listener.Scheduler, listener.Status], ['rr', 'running']);
  await api.delete('v1/services', 'shop', 'web');
  await settle();
  assert.equal(await get(), undefined);
  assert.deepEqual((await slb('DescribeLoadBalancers', { LoadBalancerName: name })).LoadBalancers.LoadBalancer, []);
});

test('a load balancer that a controller made can not be reused as it stands', async (t) => {
  const own = await ownLoadBalancer(t);
  const fresh = await scene(t, [...others, service(anno({ id: own.id, 'vgroup-port': 'rsp-1:80' }))], {
    ccm: { clusterId: 'c-new', version: '2.11.2' },
    beside: own,
  });
  assert.ok((await fresh.events()).some((it) => it.startsWith('SyncLoadBalancerFailed')));
});

test('its address pins a Service to its load balancer', async (t) => {
  const { annotate, events } = await scene(t, [...three, service(shared())]);
  await annotate({ id: 'lb-2', 'vgroup-port': 'rsp-9:80' });
  assert.ok((await events()).some((it) => it.includes('service has been associated with ip [47.0.0.1]')));
});

test('a load balancer of its own that somebody deleted is an error, one whose tag is gone is found by name', async (t) => {
  const own = await ownLoadBalancer(t);
  await own.slb('UntagResources', {
    ResourceType: 'instance',
    'ResourceId.1': own.id,
    'TagKey.1': 'kubernetes.do.not.delete',
  });
  await own.annotate({ bandwidth: '5' });
  const tags = (await own.slb('ListTagResources', { ResourceType: 'instance', 'ResourceId.1': own.id })).TagResources
    .TagResource;
  assert.ok(
    tags.some((it: Json) => it.TagKey === 'kubernetes.do.not.delete'),
    'and tagged again',
  );
  await own.slb('SetLoadBalancerDeleteProtection', { LoadBalancerId: own.id, DeleteProtection: 'off' });
  await own.slb('DeleteLoadBalancer', { LoadBalancerId: own.id });
  await own.annotate({ bandwidth: '6' });
  assert.ok(
    (await own.events()).some(
      (it) => it.startsWith('SyncLoadBalancerFailed') && it.includes('can not find loadbalancer'),
    ),
  );
});

test('preserve-lb-on-delete keeps the instance, without the marks', async (t) => {
  const own = await ownLoadBalancer(t);
  await own.annotate({ 'preserve-lb-on-delete': 'true' });
  await own.api.delete('v1/services', 'shop', 'web');
  await own.settle();
  assert.equal((await own.lb(own.id)).LoadBalancerId, own.id);
  assert.deepEqual((await own.slb('DescribeLoadBalancerListeners', { 'LoadBalancerId.1': own.id })).Listeners, []);
});

test('a load balancer of the controller’s making is handed over in place by a copied group', async (t) => {
  const own = await ownLoadBalancer(t);
  const [v] = await own.group();
  // a: a user's group U with a copy of V's members
  const copy = (await own.members(v.VServerGroupId)).map((it) => ({
    ServerId: it.server,
    ServerIp: it.ip,
    Port: String(it.port),
    Weight: String(it.weight),
    Type: 'eni',
    Description: it.description,
  }));
  const u: string = (
    await own.slb('CreateVServerGroup', {
      LoadBalancerId: own.id,
      VServerGroupName: 'handed-over',
      BackendServers: JSON.stringify(copy),
    })
  ).VServerGroupId;
  // b: untag and annotate as one pair
  await own.slb('UntagResources', {
    ResourceType: 'instance',
    'ResourceId.1': own.id,
    'TagKey.1': 'kubernetes.do.not.delete',
    'TagKey.2': 'ack.aliyun.com',
  });
  await own.api.mergePatch('v1/services', 'shop', 'web', {
    metadata: { annotations: anno({ id: own.id, 'vgroup-port': `${u}:80`, weight: '100' }) },
  });
  await own.clock.sleep(1_000);
  assert.deepEqual((await own.weights(u)).length, 2);
  assert.ok((await own.serving()) > 0, 'the listener is still on V');
  assert.equal((await own.listener()).VServerGroupId, v.VServerGroupId);
  // c: the listener is pointed at U
  await own.slb('SetLoadBalancerTCPListenerAttribute', {
    LoadBalancerId: own.id,
    ListenerPort: '80',
    VServerGroup: 'on',
    VServerGroupId: u,
    Scheduler: 'wrr',
  });
  await own.clock.sleep(60_000);
  assert.deepEqual(
    (await own.group()).map((it: Json) => it.VServerGroupName),
    ['handed-over'],
    'V is gone',
  );
  await own.annotate({ weight: '50' });
  assert.deepEqual([(await own.listener()).VServerGroupId, (await own.listener()).Scheduler], [u, 'wrr']);
  await own.api.delete('v1/services', 'shop', 'web');
  await own.settle();
  assert.equal((await own.lb(own.id)).LoadBalancerId, own.id, 'deleting the Service keeps it now');
});

test('while the tag is on, the controller refuses the hand-over and updates neither group', async (t) => {
  const own = await ownLoadBalancer(t);
  const u: string = (await own.slb('CreateVServerGroup', { LoadBalancerId: own.id, VServerGroupName: 'handed-over' }))
    .VServerGroupId;
  await own.annotate({ id: own.id, 'vgroup-port': `${u}:80` });
  const [v] = (await own.group()).filter((it: Json) => it.VServerGroupId !== u);
  await own.api.mergePatch('discovery.k8s.io/v1/endpointslices', 'shop', 'web-1', {
    endpoints: slice(podsOn({ n1: 4 }))['endpoints'],
  });
  await own.settle();
  assert.deepEqual([(await own.members(u)).length, (await own.members(v.VServerGroupId)).length], [0, 2]);
  assert.ok((await own.events()).some((it) => it.includes('can not be reused')));
});

test('the renamed own group can be kept', async (t) => {
  const own = await ownLoadBalancer(t);
  const [v] = await own.group();
  await own.slb('SetVServerGroupAttribute', { VServerGroupId: v.VServerGroupId, VServerGroupName: 'handed-over' });
  await own.slb('UntagResources', {
    ResourceType: 'instance',
    'ResourceId.1': own.id,
    'TagKey.1': 'kubernetes.do.not.delete',
    'TagKey.2': 'ack.aliyun.com',
  });
  await own.annotate({ id: own.id, 'vgroup-port': `${v.VServerGroupId}:80`, weight: '60' });
  await own.api.mergePatch('discovery.k8s.io/v1/endpointslices', 'shop', 'web-1', {
    endpoints: slice(podsOn({ n1: 3 }))['endpoints'],
  });
  await own.settle();
  assert.deepEqual(await own.weights(v.VServerGroupId), [20, 20, 20]);
  assert.deepEqual((await own.group()).length, 1);
  // and back: the tag on again, then the annotations off
  await own.slb('TagResources', {
    ResourceType: 'instance',
    'ResourceId.1': own.id,
    'Tag.1.Key': 'kubernetes.do.not.delete',
    'Tag.1.Value': own.name,
  });
  await own.annotate({ id: null, 'vgroup-port': null, weight: null });
  const now = (await own.group()).find((it: Json) => it.VServerGroupName === 'k8s/8080/web/shop/c-old');
  assert.equal((await own.listener()).VServerGroupId, now.VServerGroupId);
  assert.equal(await own.serving(), 3);
});

test('an edit between rename and untag makes a twin group, without an outage', async (t) => {
  const own = await ownLoadBalancer(t);
  const [v] = await own.group();
  await own.slb('SetVServerGroupAttribute', { VServerGroupId: v.VServerGroupId, VServerGroupName: 'handed-over' });
  await own.annotate({ bandwidth: '5' });
  assert.deepEqual((await own.group()).map((it: Json) => it.VServerGroupName).toSorted(), [
    'handed-over',
    'k8s/8080/web/shop/c-old',
  ]);
  assert.notEqual((await own.listener()).VServerGroupId, v.VServerGroupId);
  assert.equal(await own.serving(), 2);
});

// Pace

test('a failing Service is tried again after 5, 10, 20 seconds and so on', async (t) => {
  const { clock, api } = await scene(t, [...three, service(shared({ id: 'lb-none' }))]);
  const failures = async (): Promise<number> =>
    (await api.list('v1/events', 'shop')).find((it) => it['reason'] === 'SyncLoadBalancerFailed')?.['count'] ?? 0;
  await clock.sleep(Date.parse(START) + 4_000 - clock.now() > 0 ? 4_000 : 0);
  const before = await failures();
  await clock.sleep(300_000);
  const after = await failures();
  assert.ok(before >= 1 && after - before <= 6, `${before}, then ${after}`);
});

test('a change reaches the group within the latency and not before it', async (t) => {
  const { weights, api, clock } = await scene(t, [...three, service(shared({ weight: '30' }))], {
    ccm: { latencyMs: { from: 300, to: 500 } },
  });
  await api.mergePatch('v1/services', 'shop', 'web', { metadata: { annotations: anno({ weight: '60' }) } });
  await clock.sleep(299);
  assert.deepEqual(await weights(), [10, 10, 10]);
  await clock.sleep(202);
  assert.deepEqual(await weights(), [20, 20, 20]);
});

test('a steady reused load balancer costs five calls a look', async (t) => {
  const { call, api, settle } = await scene(t, [...three, service(shared({ weight: '30' }))]);
  call.length = 0;
  await api.mergePatch('v1/nodes', undefined, 'n1', { metadata: { labels: { x: 'y' } } });
  await settle();
  assert.deepEqual(call.toSorted(), [
    'DescribeLoadBalancerAttribute',
    'DescribeVServerGroupAttribute',
    'DescribeVServerGroups',
    'DescribeVServerGroups',
    'ListTagResources',
  ]);
});
