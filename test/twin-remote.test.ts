import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { realClock } from '../src/twin/clock.js';
import { startCloud } from '../src/twin/cloud/cloud.js';
import { startCcm } from '../src/twin/controllers/ccm.js';
import { remoteApi, type RemoteApi } from '../src/twin/controllers/remote.js';
import { installVeleroCrds, memoryStore, startVelero, veleroObjects } from '../src/twin/controllers/velero.js';
import { startApiServer, type TwinApiServer } from '../src/twin/kube/server.js';
import type { TwinObject } from '../src/twin/types.js';

async function wired(
  t: TestContext,
  version = 'v1.36.3',
): Promise<{ server: TwinApiServer; api: RemoteApi; clock: ReturnType<typeof realClock> }> {
  const clock = realClock();
  const server = await startApiServer({ version, clock, name: 'source', token: 'secret' });
  const api = await remoteApi({ url: server.url, token: 'secret' });
  t.after(async () => {
    api.close();
    clock.stop();
    await server.stop();
  });
  return { server, api, clock };
}

const map = (name: string, data: Record<string, string> = {}): TwinObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data,
});

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await what()) return;
    await sleep(10);
  }
  assert.fail(`never: ${what.toString()}`);
}

test('it reads, writes, and tells the errors of the server', async (t) => {
  const { api } = await wired(t);
  assert.equal(api.version, 'v1.36.3');
  assert.deepEqual([api.serves('batch/v1/cronjobs'), api.serves('batch/v1beta1/cronjobs')], [true, false]);
  await api.create('v1/configmaps', map('a', { x: '1' }));
  await assert.rejects(api.create('v1/configmaps', map('a')), { status: 409, reason: 'AlreadyExists' });
  await api.mergePatch('v1/configmaps', 'default', 'a', { data: { y: '2' } });
  const live = await api.get('v1/configmaps', 'default', 'a');
  assert.ok(live);
  assert.deepEqual(live['data'], { x: '1', y: '2' });
  await api.update('v1/configmaps', { ...live, data: {} });
  await assert.rejects(api.update('v1/configmaps', { ...live, data: { z: '1' } }), { status: 409, reason: 'Conflict' });
  await api.delete('v1/configmaps', 'default', 'a');
  await api.delete('v1/configmaps', 'default', 'a');
  assert.equal(await api.get('v1/configmaps', 'default', 'a'), undefined);
});

test('lists go through all pages', async (t) => {
  const { api, server } = await wired(t);
  server.seed(Array.from({ length: 1_203 }, (_, i) => map(`m${i}`)));
  const all = (await api.list('v1/configmaps', 'default')).filter((it) => it.metadata.name.startsWith('m'));
  assert.equal(all.length, 1_203);
  assert.deepEqual([all[0]?.apiVersion, all[0]?.kind], ['v1', 'ConfigMap']);
});

test('a watch survives cuts and a forgotten history, and misses nothing', async (t) => {
  const { api, server } = await wired(t);
  await api.create('v1/configmaps', map('first'));
  await api.create('v1/configmaps', map('gone'));
  const seen: string[] = [];
  const stop = await api.watch('v1/configmaps', ({ type, object }) => {
    if (object.metadata.namespace === 'default' && object.metadata.name !== 'kube-root-ca.crt')
      seen.push(`${type} ${object.metadata.name}`);
  });
  assert.deepEqual(seen.toSorted(), ['ADDED first', 'ADDED gone']);
  await api.create('v1/configmaps', map('second'));
  await until(() => seen.includes('ADDED second'));
  server.down();
  await server.api.create('v1/configmaps', map('third'));
  await server.api.mergePatch('v1/configmaps', 'default', 'first', { data: { x: '1' } });
  await server.api.delete('v1/configmaps', 'default', 'gone');
  server.compact();
  await sleep(50);
  server.up();
  await until(() => seen.includes('ADDED third') && seen.includes('MODIFIED first') && seen.includes('DELETED gone'));
  assert.equal(new Set(seen).size, seen.length, 'nothing twice');
  stop();
});

test('discovery marks one version of each kind as preferred', async (t) => {
  const { api } = await wired(t, 'v1.20.15');
  const all = await api.resources();
  const of = (resource: string): string[] =>
    all.filter((it) => it.resource === resource && it.preferred).map((it) => it.path);
  assert.deepEqual(of('cronjobs'), ['batch/v1beta1/cronjobs']);
  assert.deepEqual(of('ingresses').toSorted(), ['extensions/v1beta1/ingresses', 'networking.k8s.io/v1/ingresses']);
});

test('the controller manager’s loop runs over the wire as it does in the process', async (t) => {
  const { api, server, clock } = await wired(t);
  const cloud = await startCloud({ clock, region: 'cn-hangzhou', accessKeys: [] });
  t.after(() => cloud.stop());
  cloud.cloud.addInstance({ id: 'i-n1', zone: 'cn-hangzhou-a', ip: '192.168.0.1' });
  cloud.seed({
    region: 'cn-hangzhou',
    loadBalancers: [{ id: 'lb-1', address: '47.0.0.1', listeners: [], groups: [{ id: 'rsp-1', name: 'shared' }] }],
  });
  server.seed([
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n1' },
      spec: { providerID: 'cn-hangzhou.i-n1' },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    },
  ]);
  const ccm = await startCcm(api, clock, cloud.cloud, {
    version: '2.14.0',
    clusterId: 'c-1',
    backendMode: 'ecs',
    latencyMs: { from: 1, to: 5 },
  });
  t.after(() => ccm.stop());
  const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
  await api.create('v1/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'web',
      namespace: 'default',
      annotations: { [`${prefix}id`]: 'lb-1', [`${prefix}vgroup-port`]: 'rsp-1:80', [`${prefix}weight`]: '40' },
    },
    spec: { type: 'LoadBalancer', ports: [{ port: 80, targetPort: 8080 }] },
  });
  const weights = async (): Promise<number[]> => {
    const seen = await cloud.cloud.call('Slb', 'DescribeVServerGroupAttribute', {
      RegionId: 'cn-hangzhou',
      VServerGroupId: 'rsp-1',
    });
    return seen.BackendServers.BackendServer.map((it: { Weight: number }) => it.Weight);
  };
  await until(async () => (await weights()).join() === '40');
  await until(
    async () =>
      (await api.get('v1/services', 'default', 'web'))?.['status'].loadBalancer.ingress?.[0]?.ip === '47.0.0.1',
  );
  await api.delete('v1/services', 'default', 'web');
  await until(async () => (await api.get('v1/services', 'default', 'web')) === undefined);
  assert.deepEqual(await weights(), []);
});

test('Velero runs over the wire, kinds installed on a running server', async (t) => {
  const { api, clock } = await wired(t);
  await installVeleroCrds(api);
  for (const it of veleroObjects())
    await api.create(
      `${it.apiVersion}/${{ Namespace: 'namespaces', Deployment: 'deployments', BackupStorageLocation: 'backupstoragelocations' }[it.kind]}`,
      it,
    );
  const velero = await startVelero(api, clock, {
    version: '1.18.3',
    store: memoryStore(),
    pace: { stepMs: 5, itemMs: 0 },
  });
  t.after(() => velero.stop());
  await api.create('v1/configmaps', map('a', { x: '1' }));
  await until(
    async () =>
      (await api.get('velero.io/v1/backupstoragelocations', 'velero', 'default'))?.['status']?.phase === 'Available',
  );
  await api.create('velero.io/v1/backups', {
    apiVersion: 'velero.io/v1',
    kind: 'Backup',
    metadata: { name: 'b', namespace: 'velero' },
    spec: { includedNamespaces: ['default'], includedResources: ['configmaps'] },
  });
  await until(async () => (await api.get('velero.io/v1/backups', 'velero', 'b'))?.['status']?.phase === 'Completed');
  await api.delete('v1/configmaps', 'default', 'a');
  await api.create('velero.io/v1/restores', {
    apiVersion: 'velero.io/v1',
    kind: 'Restore',
    metadata: { name: 'r', namespace: 'velero' },
    spec: { backupName: 'b' },
  });
  await until(async () => (await api.get('velero.io/v1/restores', 'velero', 'r'))?.['status']?.phase === 'Completed');
  assert.equal((await api.get('v1/configmaps', 'default', 'a'))?.['data'].x, '1');
});
