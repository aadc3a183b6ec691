import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type SteeredClock, virtualClock } from '../src/twin/clock.js';
import { openAccount } from '../src/twin/cloud/account.js';
import { startWorkloads, type WorkloadOptions } from '../src/twin/controllers/workloads.js';
import { directApi } from '../src/twin/kube/direct.js';
import { Store } from '../src/twin/kube/store.js';
import type { ClusterApi, CloudSeed, Json, TwinCloud, TwinObject } from '../src/twin/types.js';

const START = '2026-01-01T00:00:00Z';

interface Scene {
  clock: SteeredClock;
  api: ClusterApi;
  cloud: TwinCloud;
  settle(): Promise<void>;
  pods(namespace?: string): Promise<TwinObject[]>;
  get(resource: string, name: string, namespace?: string): Promise<TwinObject>;
}

const node = (name: string, zone = 'cn-hangzhou-a', more: Json = {}): TwinObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name,
    labels: {
      'kubernetes.io/hostname': name,
      'topology.kubernetes.io/zone': zone,
      'topology.diskplugin.csi.alibabacloud.com/zone': zone,
    },
  },
  spec: { providerID: `cn-hangzhou.i-${name}`, podCIDR: `172.20.${name.slice(-1)}.0/24`, ...more },
  status: {
    addresses: [{ type: 'InternalIP', address: `192.168.0.${name.slice(-1)}` }],
    conditions: [{ type: 'Ready', status: 'True' }],
  },
});

const template = (app: string, spec: Json = {}): Json => ({
  metadata: { labels: { app } },
  spec: {
    containers: [{ name: 'main', image: `registry/${app}:1`, ports: [{ containerPort: 8080, name: 'http' }] }],
    ...spec,
  },
});

const deployment = (name: string, replicas: number, podSpec: Json = {}): TwinObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'shop' },
  spec: { replicas, selector: { matchLabels: { app: name } }, template: template(name, podSpec) },
});

const service = (name: string, spec: Json = {}): TwinObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { selector: { app: name }, ports: [{ name: 'web', port: 80, targetPort: 'http' }], ...spec },
});

const disk = (zone = 'cn-hangzhou-a'): CloudSeed['disks'] => [{ id: 'd-1', zone, category: 'cloud_essd', sizeGiB: 40 }];

const volume = (zone = 'cn-hangzhou-a', more: Json = {}): TwinObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'd-1' },
  spec: {
    capacity: { storage: '40Gi' },
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'essd',
    csi: { driver: 'diskplugin.csi.alibabacloud.com', volumeHandle: 'd-1' },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          {
            matchExpressions: [
              { key: 'topology.diskplugin.csi.alibabacloud.com/zone', operator: 'In', values: [zone] },
            ],
          },
        ],
      },
    },
    ...more,
  },
});

const claim = (spec: Json = {}): TwinObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'shop' },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'essd',
    resources: { requests: { storage: '40Gi' } },
    ...spec,
  },
});

const withData = { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] };

const ready = (pod: TwinObject): boolean =>
  pod['status'].conditions?.some((it: Json) => it.type === 'Ready' && it.status === 'True') ?? false;

async function scene(
  t: TestContext,
  objects: TwinObject[],
  options: Partial<WorkloadOptions> & { version?: string; disks?: CloudSeed['disks'] } = {},
): Promise<Scene> {
  const clock = virtualClock(START);
  const store = new Store({ version: options.version ?? 'v1.30.0', clock, name: 'test' });
  const api = directApi(store);
  const cloud = openAccount({ clock, region: 'cn-hangzhou' });
  cloud.seed({ region: 'cn-hangzhou', loadBalancers: [], ...(options.disks ? { disks: options.disks } : {}) });
  for (const it of objects.filter((one) => one.kind === 'Node'))
    cloud.addInstance({
      id: it['spec'].providerID.split('.')[1],
      zone: it.metadata.labels['topology.kubernetes.io/zone'],
      ip: it['status'].addresses[0].address,
    });
  store.seed(objects);
  const workloads = await startWorkloads(api, clock, cloud, options);
  t.after(() => {
    workloads.stop();
    clock.stop();
  });
  const settle = async (): Promise<void> => assert.equal(await clock.idle(), true, 'it settles');
  await settle();
  return {
    clock,
    api,
    cloud,
    settle,
    pods: (namespace = 'shop') => api.list('v1/pods', namespace),
    async get(resource, name, namespace = 'shop') {
      const found = await api.get(resource, namespace, name);
      assert.ok(found, `${resource} ${name}`);
      return found;
    },
  };
}

const nodes = [node('n1'), node('n2'), node('n3')];

test('a Deployment brings up its pods, spread over the nodes, and says so', async (t) => {
  const { pods, get } = await scene(t, [...nodes, deployment('web', 6)]);
  const live = await pods();
  assert.equal(live.length, 6);
  assert.ok(live.every(ready));
  const count = (name: string): number => live.filter((it) => it['spec'].nodeName === name).length;
  assert.deepEqual(['n1', 'n2', 'n3'].map(count), [2, 2, 2]);
  assert.equal(new Set(live.map((it) => it['status'].podIP)).size, 6);
  const { status, metadata } = await get('apps/v1/deployments', 'web');
  assert.equal(status.readyReplicas, 6);
  assert.equal(status.observedGeneration, metadata.generation);
  assert.ok(status.conditions.some((it: Json) => it.type === 'Available' && it.status === 'True'));
});

test('two runs of one seed give the same world, names included', async (t) => {
  const run = async (): Promise<string> => {
    const { pods } = await scene(t, [...nodes, deployment('web', 4), deployment('api', 3)]);
    return JSON.stringify(await pods());
  };
  assert.equal(await run(), await run());
});

test('scaled to 0 the pods go after their time, and the counts with them', async (t) => {
  const { api, pods, get, settle, clock } = await scene(t, [...nodes, deployment('web', 3)]);
  await api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 0 } });
  await clock.sleep(1000);
  assert.equal((await pods()).filter((it) => it.metadata.deletionTimestamp).length, 3);
  await settle();
  assert.equal((await pods()).length, 0);
  const { status } = await get('apps/v1/deployments', 'web');
  assert.equal(status.readyReplicas, undefined);
  await api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 3 } });
  await settle();
  assert.equal((await pods()).filter(ready).length, 3);
});

test('a new template replaces the pods while enough of them keep serving', async (t) => {
  const { api, pods, get, settle } = await scene(t, [...nodes, deployment('web', 4)]);
  let fewest = 4;
  const stop = await api.watch('v1/pods', () => {
    void api
      .list('v1/pods', 'shop')
      .then(
        (it) => (fewest = Math.min(fewest, it.filter((pod) => ready(pod) && !pod.metadata.deletionTimestamp).length)),
      );
  });
  const patch = { spec: { template: { spec: { containers: [{ name: 'main', image: 'registry/web:2' }] } } } };
  await api.mergePatch('apps/v1/deployments', 'shop', 'web', patch);
  await settle();
  stop();
  const live = await pods();
  assert.equal(live.length, 4);
  assert.ok(live.every((it) => it['spec'].containers[0].image === 'registry/web:2' && ready(it)));
  assert.ok(fewest >= 3, `never fewer than 3 serve, ${fewest} did`);
  assert.equal((await get('apps/v1/deployments', 'web'))['status'].updatedReplicas, 4);
});

test('a deleted Deployment takes its pods along', async (t) => {
  const { api, pods, settle } = await scene(t, [...nodes, deployment('web', 2)]);
  await api.delete('apps/v1/deployments', 'shop', 'web');
  await settle();
  assert.deepEqual(await pods(), []);
  assert.deepEqual(await api.list('apps/v1/replicasets', 'shop'), []);
});

test('a restored ReplicaSet without an owner is adopted instead of doubled', async (t) => {
  const { api, pods, settle } = await scene(t, [...nodes]);
  const made = deployment('web', 2);
  const { containers } = made['spec'].template.spec;
  const labels = { app: 'web', 'pod-template-hash': 'old' };
  await api.create('v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await api.create('apps/v1/replicasets', {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'web-old', namespace: 'shop', labels },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  });
  await settle();
  await api.create('apps/v1/deployments', made);
  await settle();
  const sets = await api.list('apps/v1/replicasets', 'shop');
  assert.deepEqual(
    sets.map((it) => it.metadata.name),
    ['web-old'],
  );
  assert.equal(sets[0]?.metadata.ownerReferences[0].name, 'web');
  assert.equal((await pods()).length, 2);
});

test('a pod that no node takes says why, and is placed when one does', async (t) => {
  const tainted = node('n1', 'cn-hangzhou-a', { taints: [{ key: 'dedicated', value: 'db', effect: 'NoSchedule' }] });
  const { api, pods, settle } = await scene(t, [
    tainted,
    node('n2'),
    deployment('web', 1, { nodeSelector: { pool: 'web' } }),
  ]);
  const [pending] = await pods();
  const condition = pending?.['status'].conditions[0];
  assert.equal(condition.reason, 'Unschedulable');
  assert.match(
    condition.message,
    /^0\/2 nodes are available: 1 node\(s\) didn't match Pod's node affinity\/selector, 1 node\(s\) had taints/,
  );
  await api.mergePatch('v1/nodes', undefined, 'n2', { metadata: { labels: { pool: 'web' } } });
  await settle();
  assert.ok((await pods()).every(ready));
});

test('a node has room for so many pods', async (t) => {
  const small = { ...node('n1'), status: { ...node('n1')['status'], allocatable: { cpu: '2', pods: '10' } } };
  const web = deployment('web', 5, {
    containers: [{ name: 'main', image: 'web', resources: { requests: { cpu: '600m' } } }],
  });
  const { pods } = await scene(t, [small, web]);
  const live = await pods();
  assert.equal(live.filter(ready).length, 3);
  assert.match(live.find((it) => !ready(it))?.['status'].conditions[0].message, /Insufficient cpu/);
});

test('pods of the eni network have addresses of the VPC with an interface each', async (t) => {
  const { cloud, pods, api, settle } = await scene(t, [...nodes, deployment('web', 2)], { podNetwork: 'eni' });
  const ask = async (ip: string): Promise<Json[]> =>
    (await cloud.call('Ecs', 'DescribeNetworkInterfaces', { RegionId: 'cn-hangzhou', 'PrivateIpAddress.1': ip }))
      .NetworkInterfaceSets.NetworkInterfaceSet;
  const [first] = await pods();
  const ip: string = first?.['status'].podIP;
  assert.match(ip, /^192\.168\.128\./);
  assert.match((await ask(ip))[0].NetworkInterfaceId, /^eni-/);
  await api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 0 } });
  await settle();
  assert.deepEqual(await ask(ip), []);
});

test('endpoint slices name ready pods, their node and zone, and the resolved port', async (t) => {
  const { api, clock } = await scene(t, [...nodes, deployment('web', 2), service('web')]);
  const [slice] = await api.list('discovery.k8s.io/v1/endpointslices', 'shop');
  assert.deepEqual(slice?.['ports'], [{ name: 'web', port: 8080, protocol: 'TCP' }]);
  assert.equal(slice?.['endpoints'].length, 2);
  assert.deepEqual(slice?.['endpoints'][0].conditions, { ready: true, serving: true, terminating: false });
  assert.equal(slice?.['endpoints'][0].zone, 'cn-hangzhou-a');
  const endpoints = await api.get('v1/endpoints', 'shop', 'web');
  assert.equal(endpoints?.['subsets'][0].addresses.length, 2);
  await api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 1 } });
  await clock.sleep(500);
  const [later] = await api.list('discovery.k8s.io/v1/endpointslices', 'shop');
  assert.deepEqual(later?.['endpoints'].map((it: Json) => it.conditions.terminating).toSorted(), [false, true]);
});

test('before 1.21 slices are v1beta1 with a topology, and terminating pods are left out', async (t) => {
  const { api, clock } = await scene(t, [...nodes, deployment('web', 2), service('web')], { version: 'v1.20.15' });
  const [slice] = await api.list('discovery.k8s.io/v1beta1/endpointslices', 'shop');
  assert.equal(slice?.['endpoints'][0].topology['kubernetes.io/hostname'], 'n1');
  await api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 1 } });
  await clock.sleep(500);
  const [later] = await api.list('discovery.k8s.io/v1beta1/endpointslices', 'shop');
  assert.equal(later?.['endpoints'].length, 1);
});

test('a readiness gate keeps a pod not ready until somebody opens it', async (t) => {
  const gate = 'service.readiness.alibabacloud.com/web';
  const { api, pods, settle } = await scene(t, [
    ...nodes,
    deployment('web', 1, { readinessGates: [{ conditionType: gate }] }),
  ]);
  const [pod] = await pods();
  assert.equal(ready(pod!), false);
  assert.ok(pod?.['status'].conditions.some((it: Json) => it.type === 'ContainersReady' && it.status === 'True'));
  await api.mergePatch(
    'v1/pods',
    'shop',
    pod?.metadata.name,
    { status: { conditions: [...pod!['status'].conditions, { type: gate, status: 'True' }] } },
    'status',
  );
  await settle();
  assert.ok((await pods()).every(ready));
});

test('a node that is not ready takes its pods out of service, and back', async (t) => {
  const { api, pods, settle } = await scene(t, [...nodes, deployment('web', 3)]);
  const set = (status: string): Promise<TwinObject> =>
    api.mergePatch('v1/nodes', undefined, 'n1', { status: { conditions: [{ type: 'Ready', status }] } }, 'status');
  await set('False');
  await settle();
  assert.equal((await pods()).filter(ready).length, 2);
  await set('True');
  await settle();
  assert.equal((await pods()).filter(ready).length, 3);
});

test('a StatefulSet makes its pods one after the other, each with a disk of its own', async (t) => {
  const essd = {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'essd' },
    provisioner: 'diskplugin.csi.alibabacloud.com',
    parameters: { type: 'cloud_essd' },
    volumeBindingMode: 'WaitForFirstConsumer',
  };
  const set = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'shop' },
    spec: {
      replicas: 2,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: template('db'),
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: {
            accessModes: ['ReadWriteOnce'],
            storageClassName: 'essd',
            resources: { requests: { storage: '20Gi' } },
          },
        },
      ],
    },
  };
  const { api, cloud, pods, settle, get } = await scene(t, [...nodes, essd, set]);
  assert.deepEqual(
    (await pods()).map((it) => [it.metadata.name, ready(it)]),
    [
      ['db-0', true],
      ['db-1', true],
    ],
  );
  const bound = await get('v1/persistentvolumeclaims', 'data-db-1');
  assert.equal(bound['status'].phase, 'Bound');
  const disks = (await cloud.call('Ecs', 'DescribeDisks', { RegionId: 'cn-hangzhou' })).Disks.Disk;
  assert.equal(disks.length, 2);
  assert.ok(disks.every((it: Json) => it.Status === 'In_use'));
  await api.mergePatch('apps/v1/statefulsets', 'shop', 'db', { spec: { replicas: 0 } });
  await settle();
  assert.deepEqual(await pods(), []);
  assert.deepEqual(await api.list('storage.k8s.io/v1/volumeattachments'), []);
  assert.ok(
    (await cloud.call('Ecs', 'DescribeDisks', { RegionId: 'cn-hangzhou' })).Disks.Disk.every(
      (it: Json) => it.Status === 'Available',
    ),
  );
});

test('a pod runs where its bound volume may be, with the disk attached there', async (t) => {
  const far = [node('n1', 'cn-hangzhou-b'), node('n2', 'cn-hangzhou-a')];
  const { pods, get, cloud, api } = await scene(
    t,
    [...far, volume(), claim({ volumeName: 'd-1' }), deployment('db', 1, withData)],
    { disks: disk() },
  );
  const [pod] = await pods();
  assert.equal(pod?.['spec'].nodeName, 'n2');
  assert.ok(pod && ready(pod));
  assert.equal((await get('v1/persistentvolumeclaims', 'data'))['status'].phase, 'Bound');
  assert.equal((await api.get('v1/persistentvolumes', undefined, 'd-1'))?.['status'].phase, 'Bound');
  const seen = (await cloud.call('Ecs', 'DescribeDisks', { RegionId: 'cn-hangzhou', DiskIds: '["d-1"]' })).Disks
    .Disk[0];
  assert.equal(seen.InstanceId, 'i-n2');
});

test('a volume in a zone without nodes leaves its pod pending', async (t) => {
  const { pods } = await scene(
    t,
    [node('n1', 'cn-hangzhou-b'), volume(), claim({ volumeName: 'd-1' }), deployment('db', 1, withData)],
    { disks: disk() },
  );
  assert.match((await pods())[0]?.['status'].conditions[0].message, /volume node affinity conflict/);
});

test('a disk whose zone is not what its volume says never attaches', async (t) => {
  const { pods, clock } = await scene(t, [node('n1'), volume('cn-hangzhou-a'), claim({ volumeName: 'd-1' })], {
    disks: disk('cn-hangzhou-b'),
  }).then(async (it) => {
    await it.api.create('apps/v1/deployments', deployment('db', 1, withData));
    await it.clock.sleep(20_000);
    return it;
  });
  const [pod] = await pods();
  assert.equal(pod?.['status'].phase, 'Pending');
  assert.equal(pod?.['status'].containerStatuses[0].state.waiting.reason, 'ContainerCreating');
  clock.stop();
});

test('a claim of an unknown class stays pending and its pod with it', async (t) => {
  const { api, pods, get } = await scene(t, [
    ...nodes,
    claim({ storageClassName: 'gone' }),
    deployment('db', 1, withData),
  ]);
  assert.equal((await get('v1/persistentvolumeclaims', 'data'))['status'].phase, 'Pending');
  assert.match((await pods())[0]?.['status'].conditions[0].message, /unbound immediate PersistentVolumeClaims/);
  assert.ok(
    (await api.list('v1/events', 'shop')).some((it) =>
      /storageclass.storage.k8s.io "gone" not found/.test(it['message']),
    ),
  );
});

test('a volume that is reserved for a claim is bound to it, and to no other', async (t) => {
  const other = { ...claim(), metadata: { name: 'aaa', namespace: 'shop' } };
  const { get } = await scene(
    t,
    [...nodes, volume('cn-hangzhou-a', { claimRef: { namespace: 'shop', name: 'data' } }), other, claim()],
    { disks: disk() },
  );
  assert.equal((await get('v1/persistentvolumeclaims', 'data'))['spec'].volumeName, 'd-1');
  assert.equal((await get('v1/persistentvolumeclaims', 'aaa'))['status'].phase, 'Pending');
});

test('a CronJob runs when due, not while suspended, and makes up for the latest missed run', async (t) => {
  const cron = {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'report', namespace: 'shop' },
    spec: {
      schedule: '*/10 * * * *',
      jobTemplate: {
        spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'report' }] } } },
      },
    },
  };
  const { api, clock, pods } = await scene(t, [...nodes, cron]);
  await clock.sleep(25 * 60_000);
  const done = await api.list('batch/v1/jobs', 'shop');
  assert.equal(done.length, 2);
  assert.ok(done.every((it) => it['status'].succeeded === 1));
  assert.ok((await pods()).every((it) => it['status'].phase === 'Succeeded'));
  await api.mergePatch('batch/v1/cronjobs', 'shop', 'report', { spec: { suspend: true } });
  await clock.sleep(60 * 60_000);
  assert.equal((await api.list('batch/v1/jobs', 'shop')).length, 2);
  await api.mergePatch('batch/v1/cronjobs', 'shop', 'report', { spec: { suspend: false } });
  await clock.sleep(5_000);
  const [latest] = (await api.list('batch/v1/jobs', 'shop')).toSorted((a, b) =>
    a.metadata.name < b.metadata.name ? 1 : -1,
  );
  assert.equal(latest?.metadata.name, `report-${Date.parse('2026-01-01T01:20:00Z') / 60_000}`);
});

test('a DaemonSet has a pod on every node that it fits', async (t) => {
  const set = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent', namespace: 'kube-system' },
    spec: { selector: { matchLabels: { app: 'agent' } }, template: template('agent') },
  };
  const { pods, api } = await scene(t, [
    ...nodes,
    node('n4', 'a', { taints: [{ key: 'x', effect: 'NoSchedule' }] }),
    set,
  ]);
  assert.deepEqual((await pods('kube-system')).map((it): string => it['spec'].nodeName).toSorted(), ['n1', 'n2', 'n3']);
  assert.equal((await api.get('apps/v1/daemonsets', 'kube-system', 'agent'))?.['status'].numberReady, 3);
});
