import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { realClock } from '../../src/twin/clock.js';
import { startCloud, type StartedCloud } from '../../src/twin/cloud/cloud.js';
import { SERVICE_FINALIZER, startCcm } from '../../src/twin/controllers/ccm.js';
import { remoteApi, type RemoteApi } from '../../src/twin/controllers/remote.js';
import {
  installVeleroCrds,
  memoryStore,
  startVelero,
  type Velero,
  veleroObjects,
} from '../../src/twin/controllers/velero.js';
import type { Json, TwinObject } from '../../src/twin/types.js';
import { addNodes, type ControlPlane, startControlPlane } from '../servers/control-plane.js';

/** The same controllers that play the twin's clusters, on real API servers with real workloads. */

const REGION = 'cn-hangzhou';
const PREFIX = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
const RESOURCES: Record<string, string> = {
  Namespace: 'namespaces',
  Deployment: 'deployments',
  BackupStorageLocation: 'backupstoragelocations',
};

async function until(what: () => Promise<boolean>, forMs = 60_000): Promise<void> {
  for (let waited = 0; waited < forMs; waited += 100) {
    if (await what()) return;
    await sleep(100);
  }
  assert.fail(`not within ${forMs} ms: ${what.toString()}`);
}

describe('the twin’s controllers on real API servers', () => {
  const clock = realClock();
  const store = memoryStore();
  const stops: (() => void | Promise<void>)[] = [];
  const sides: Record<string, { plane: ControlPlane; api: RemoteApi; velero: Velero }> = {};
  let cloud: StartedCloud;

  before(async () => {
    cloud = await startCloud({ clock, region: REGION, accessKeys: [] });
    stops.push(() => cloud.stop());
    cloud.seed({
      region: REGION,
      loadBalancers: [
        {
          id: 'lb-1',
          address: '47.0.0.1',
          listeners: [{ port: 80, protocol: 'tcp', status: 'running', scheduler: 'wrr', group: 'rsp-1' }],
          groups: [{ id: 'rsp-1', name: 'shared' }],
        },
      ],
    });
    const open = async (side: string, version: '1.20.15' | '1.36.3', clusterId: string): Promise<void> => {
      const plane = await startControlPlane({ version });
      stops.push(() => plane.stop());
      const nodes = await addNodes(plane, 2, { providerID: (index) => `${REGION}.i-${side}${index}` });
      for (const node of nodes)
        cloud.cloud.addInstance({
          id: node.providerID.slice(REGION.length + 1),
          zone: 'cn-hangzhou-h',
          ip: node.address,
        });
      const api = await remoteApi({ url: plane.server, token: plane.token, ca: readFileSync(plane.caFile) });
      stops.push(() => api.close());
      await installVeleroCrds(api);
      for (const it of veleroObjects()) await api.create(`${it.apiVersion}/${RESOURCES[it.kind]}`, it);
      const velero = await startVelero(api, clock, { version: '1.18.3', store, pace: { stepMs: 50, itemMs: 0 } });
      stops.push(() => velero.stop());
      const ccm = await startCcm(api, clock, cloud.cloud, {
        version: '2.14.0',
        clusterId,
        backendMode: 'ecs',
        latencyMs: { from: 50, to: 100 },
      });
      stops.push(() => ccm.stop());
      sides[side] = { plane, api, velero };
    };
    await Promise.all([open('source', '1.20.15', 'c-old'), open('target', '1.36.3', 'c-new')]);
  });

  after(async () => {
    for (const stop of stops.toReversed()) await stop();
    clock.stop();
  });

  const members = async (): Promise<Json[]> =>
    (await cloud.cloud.call('Slb', 'DescribeVServerGroupAttribute', { RegionId: REGION, VServerGroupId: 'rsp-1' }))
      .BackendServers.BackendServer;
  const of = async (clusterId: string): Promise<number[]> =>
    (await members()).filter((it) => it.Description.endsWith(clusterId)).map((it) => it.Weight);

  const labels = { app: 'web' };
  const deployment: TwinObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'web', image: 'example.test/web:1', ports: [{ containerPort: 8080 }] }] },
      },
    },
  };
  const service = (weight: string, policy = 'Cluster'): TwinObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'web',
      namespace: 'shop',
      annotations: { [`${PREFIX}id`]: 'lb-1', [`${PREFIX}vgroup-port`]: 'rsp-1:80', [`${PREFIX}weight`]: weight },
    },
    spec: {
      type: 'LoadBalancer',
      externalTrafficPolicy: policy,
      selector: labels,
      ports: [{ name: 'http', port: 80, targetPort: 8080 }],
    },
  });

  test('on 1.20 a Service joins the shared group by its nodes, under Local by its pods', async () => {
    const { api } = sides['source']!;
    await api.create('v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    await api.create('apps/v1/deployments', deployment);
    await api.create('v1/services', service('80'));
    await until(async () => (await of('c-old')).join() === '40,40');
    await until(
      async () =>
        (await api.get('v1/services', 'shop', 'web'))?.['status'].loadBalancer.ingress?.[0]?.ip === '47.0.0.1',
    );
    await api.mergePatch('v1/services', 'shop', 'web', { spec: { externalTrafficPolicy: 'Local' } });
    // 3 pods on 2 nodes: 80*2/3 and 80*1/3.
    await until(
      async () =>
        (await of('c-old')).toSorted((a, b) => a - b).join() === '26,53' || (await of('c-old')).join() === '80',
    );
    assert.deepEqual(
      (await api.get('v1/services', 'shop', 'web'))?.metadata.finalizers.filter(
        (it: string) => it === SERVICE_FINALIZER,
      ),
      [SERVICE_FINALIZER],
    );
  });

  test('what Velero takes on 1.20 comes up on 1.36, and joins at the weight it is given', async () => {
    const { source, target } = sides as { source: (typeof sides)[string]; target: (typeof sides)[string] };
    await until(
      async () =>
        (await source.api.get('velero.io/v1/backupstoragelocations', 'velero', 'default'))?.['status']?.phase ===
        'Available',
    );
    const excludedResources = [
      'pods',
      'replicasets.apps',
      'endpoints',
      'endpointslices.discovery.k8s.io',
      'events',
      'events.events.k8s.io',
      'ingresses.extensions',
    ];
    const rules = {
      version: 'v1',
      resourceModifierRules: [
        {
          conditions: { groupResource: 'services' },
          mergePatches: [
            {
              patchData: JSON.stringify({ metadata: { annotations: { [`${PREFIX}weight`]: '0' }, finalizers: null } }),
            },
          ],
        },
      ],
    };
    await target.api.create('v1/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'rules', namespace: 'velero' },
      data: { rules: JSON.stringify(rules) },
    });
    await source.api.create('velero.io/v1/backups', {
      apiVersion: 'velero.io/v1',
      kind: 'Backup',
      metadata: { name: 'b', namespace: 'velero' },
      spec: { includedNamespaces: ['shop'], excludedResources, includeClusterResources: false },
    });
    await until(
      async () => (await source.api.get('velero.io/v1/backups', 'velero', 'b'))?.['status']?.phase === 'Completed',
    );
    await until(async () => (await target.api.get('velero.io/v1/backups', 'velero', 'b')) !== undefined, 90_000);
    await target.api.create('velero.io/v1/restores', {
      apiVersion: 'velero.io/v1',
      kind: 'Restore',
      metadata: { name: 'r', namespace: 'velero' },
      spec: { backupName: 'b', resourceModifier: { kind: 'ConfigMap', name: 'rules' } },
    });
    await until(async () =>
      /Completed|Failed/.test((await target.api.get('velero.io/v1/restores', 'velero', 'r'))?.['status']?.phase ?? ''),
    );
    assert.deepEqual(target.velero.results('r')?.errors, { velero: [], cluster: [], namespaces: {} });
    await until(
      async () => (await target.api.get('apps/v1/deployments', 'shop', 'web'))?.['status']?.readyReplicas === 3,
    );
    await until(async () => (await of('c-new')).length > 0);
    assert.ok(
      (await of('c-new')).every((it) => it === 0),
      'no traffic before somebody says so',
    );
  });

  test('weights move, and a deleted Service leaves the other side’s members alone', async () => {
    const { source, target } = sides as { source: (typeof sides)[string]; target: (typeof sides)[string] };
    const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
    await target.api.mergePatch('v1/services', 'shop', 'web', {
      metadata: { annotations: { [`${PREFIX}weight`]: '100' } },
    });
    await until(async () => sum(await of('c-new')) >= 99);
    await source.api.delete('v1/services', 'shop', 'web');
    await until(async () => (await source.api.get('v1/services', 'shop', 'web')) === undefined);
    assert.deepEqual(await of('c-old'), []);
    assert.ok(sum(await of('c-new')) >= 99);
  });
});
