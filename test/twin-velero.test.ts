import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type SteeredClock, virtualClock } from '../src/twin/clock.js';
import { parseModifiers } from '../src/twin/controllers/velero-modifiers.js';
import {
  durationMs,
  memoryStore,
  type ObjectStore,
  RESTORE_FINALIZER,
  startVelero,
  type Velero,
  veleroCrds,
  veleroObjects,
} from '../src/twin/controllers/velero.js';
import { directApi } from '../src/twin/kube/direct.js';
import { Store } from '../src/twin/kube/store.js';
import type { ClusterApi, Json, TwinObject } from '../src/twin/types.js';

const START = '2026-01-01T00:00:00Z';

interface Side {
  api: ClusterApi;
  velero: Velero;
  restart(): Promise<void>;
}

interface Scene {
  clock: SteeredClock;
  source: Side;
  target: Side;
  store: ObjectStore;
  backup(spec?: Json, name?: string): Promise<Json>;
  restore(spec?: Json, name?: string): Promise<Json>;
}

const object = (
  apiVersion: string,
  kind: string,
  name: string,
  more: Json = {},
  namespace: string | null = 'shop',
): TwinObject => ({
  apiVersion,
  kind,
  metadata: { name, ...(namespace === null ? {} : { namespace }), ...more.metadata },
  ...Object.fromEntries(Object.entries(more).filter(([key]) => key !== 'metadata')),
});

const pod = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'web:1' }] } };
const deployment = (name = 'web', more: Json = {}): TwinObject =>
  object('apps/v1', 'Deployment', name, {
    spec: { replicas: 3, selector: { matchLabels: { app: 'web' } }, template: pod },
    ...more,
  });
const service = (more: Json = {}): TwinObject =>
  object('v1', 'Service', 'web', {
    spec: { type: 'LoadBalancer', selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080, nodePort: 31080 }] },
    ...more,
  });
const config = (name = 'settings', data: Json = { a: '1' }): TwinObject => object('v1', 'ConfigMap', name, { data });
const volume = (policy: string): TwinObject =>
  object(
    'v1',
    'PersistentVolume',
    'd-1',
    {
      spec: {
        capacity: { storage: '40Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'ssd',
        persistentVolumeReclaimPolicy: policy,
        csi: { driver: 'diskplugin.csi.alibabacloud.com', volumeHandle: 'd-1' },
        claimRef: { namespace: 'shop', name: 'data', uid: 'c-1' },
      },
      status: { phase: 'Bound' },
    },
    null,
  );
const claim = (): TwinObject =>
  object('v1', 'PersistentVolumeClaim', 'data', {
    metadata: {
      uid: 'c-1',
      annotations: { 'pv.kubernetes.io/bind-completed': 'yes', 'volume.kubernetes.io/selected-node': 'n1' },
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'ssd',
      volumeName: 'd-1',
      resources: { requests: { storage: '40Gi' } },
    },
    status: { phase: 'Bound' },
  });

async function scene(
  t: TestContext,
  objects: TwinObject[],
  setting: {
    sourceVersion?: string;
    targetVersion?: string;
    velero?: string;
    atTarget?: TwinObject[];
    location?: Json;
  } = {},
): Promise<Scene> {
  const clock = virtualClock(START);
  const store = memoryStore(['migrate']);
  const open = async (name: 'source' | 'target', version: string, seed: TwinObject[]): Promise<Side> => {
    const kube = new Store({ version, clock, name });
    const api = directApi(kube);
    const base = veleroObjects().map((it) =>
      it.kind === 'BackupStorageLocation' ? { ...it, spec: { ...it['spec'], ...setting.location } } : it,
    );
    kube.seed([...veleroCrds(), ...base, ...seed]);
    const begin = (): Promise<Velero> => startVelero(api, clock, { version: setting.velero ?? '1.18.3', store });
    const side: Side = {
      api,
      velero: await begin(),
      async restart() {
        side.velero.stop();
        side.velero = await begin();
      },
    };
    t.after(() => side.velero.stop());
    return side;
  };
  const source = await open('source', setting.sourceVersion ?? 'v1.20.15', objects);
  const target = await open('target', setting.targetVersion ?? 'v1.36.3', setting.atTarget ?? []);
  await clock.idle();
  t.after(() => clock.stop());

  const until = async (side: Side, path: string, name: string): Promise<Json> => {
    for (let i = 0; i < 300; i++) {
      const live = await side.api.get(path, 'velero', name);
      const phase = live?.['status']?.phase ?? '';
      if (/^(Completed|PartiallyFailed|Failed|FailedValidation)$/.test(phase)) return live!['status'];
      await clock.sleep(500);
    }
    throw new Error(`${name} does not end`);
  };
  return {
    clock,
    source,
    target,
    store,
    async backup(spec = {}, name = 'b1') {
      await source.api.create('velero.io/v1/backups', {
        apiVersion: 'velero.io/v1',
        kind: 'Backup',
        metadata: { name, namespace: 'velero' },
        spec: { includedNamespaces: ['shop'], ...spec },
      });
      return until(source, 'velero.io/v1/backups', name);
    },
    async restore(spec = {}, name = 'r1') {
      for (
        let i = 0;
        i < 200 && !(await target.api.get('velero.io/v1/backups', 'velero', spec.backupName ?? 'b1'));
        i++
      )
        await clock.sleep(1_000);
      await target.api.create('velero.io/v1/restores', {
        apiVersion: 'velero.io/v1',
        kind: 'Restore',
        metadata: { name, namespace: 'velero' },
        spec: { backupName: 'b1', ...spec },
      });
      return until(target, 'velero.io/v1/restores', name);
    },
  };
}

const modifiers = (rules: Json[]): TwinObject => ({
  ...config('rules', { 'rules.yaml': JSON.stringify({ version: 'v1', resourceModifierRules: rules }) }),
  metadata: { name: 'rules', namespace: 'velero' },
});
const modified = { resourceModifier: { kind: 'ConfigMap', name: 'rules' } };

// Backup

test('a backup goes through its phases, queue included, and counts what it took', async (t) => {
  const { source, backup } = await scene(t, [deployment(), config()]);
  const phases: string[] = [];
  const stop = await source.api.watch('velero.io/v1/backups', ({ object: it }) => {
    const phase = it['status']?.phase;
    if (phase && phases.at(-1) !== phase) phases.push(phase);
  });
  const status = await backup();
  stop();
  assert.deepEqual(phases, ['Queued', 'ReadyToStart', 'InProgress', 'Finalizing', 'Completed']);
  assert.deepEqual([status.version, status.formatVersion], [1, '1.1.0']);
  assert.equal(status.progress.totalItems, status.progress.itemsBackedUp);
  assert.ok(status.progress.totalItems >= 4);
  assert.equal('errors' in status || 'warnings' in status, false, 'zero counts are absent');
  assert.equal(status.expiration, '2026-01-31T00:00:00Z'.replace('00:00:00', status.expiration.slice(11, 19)));
  const live = await source.api.get('velero.io/v1/backups', 'velero', 'b1');
  assert.equal(live?.metadata.annotations['velero.io/source-cluster-k8s-gitversion'], 'v1.20.15');
  assert.equal(live?.metadata.labels['velero.io/storage-location'], 'default');
});

test('before 1.18 there is no queue', async (t) => {
  const { source, backup } = await scene(t, [config()], { velero: '1.14.1' });
  const phases = new Set<string>();
  const stop = await source.api.watch('velero.io/v1/backups', ({ object: it }) => void phases.add(it['status']?.phase));
  await backup();
  stop();
  assert.equal(phases.has('Queued'), false);
});

test('backups of one server wait for each other', async (t) => {
  const { source, clock, backup } = await scene(t, [config()]);
  await source.api.create('velero.io/v1/backups', {
    apiVersion: 'velero.io/v1',
    kind: 'Backup',
    metadata: { name: 'a0', namespace: 'velero' },
    spec: {},
  });
  await clock.sleep(700);
  const ended = backup({}, 'b2');
  await clock.sleep(700);
  const waiting = await source.api.get('velero.io/v1/backups', 'velero', 'b2');
  assert.deepEqual([waiting?.['status'].phase, waiting?.['status'].queuePosition], ['Queued', 1]);
  assert.equal((await ended).phase, 'Completed');
});

const names = (store: ObjectStore, name = 'b1'): string[] =>
  store
    .open('migrate')!
    .backups.get(name)!
    .items.map((it) => `${it.groupResource} ${it.name}`);

test('namespaces, kinds, labels and the label that excludes decide what is in it', async (t) => {
  const objects = [
    config('a'),
    config('b'),
    deployment(),
    { ...config('c'), metadata: { name: 'c', namespace: 'pay' } },
    { ...config('d'), metadata: { name: 'd', namespace: 'shop', labels: { 'velero.io/exclude-from-backup': 'true' } } },
  ];
  const { backup, store } = await scene(t, objects);
  await backup({ excludedResources: ['deployments.apps', 'events'] });
  const taken = names(store);
  assert.ok(taken.includes('configmaps a') && taken.includes('configmaps b') && taken.includes('namespaces shop'));
  for (const not of ['configmaps c', 'configmaps d', 'deployments.apps web', 'namespaces pay'])
    assert.equal(taken.includes(not), false, not);
  await backup({ includedNamespaces: ['p*'], includedResources: ['configmaps'] }, 'b2');
  assert.deepEqual(
    names(store, 'b2').filter((it) => !it.includes('kube-root')),
    ['configmaps c'],
  );
});

test('cluster-scoped objects: only related ones, none, or all', async (t) => {
  const stray = {
    ...volume('Retain'),
    metadata: { name: 'd-2' },
    spec: { ...volume('Retain')['spec'], claimRef: undefined },
  };
  const { backup, store } = await scene(t, [volume('Retain'), stray, claim()]);
  await backup();
  assert.deepEqual(
    names(store).filter((it) => it.startsWith('persistentvolumes ')),
    ['persistentvolumes d-1'],
  );
  await backup({ includeClusterResources: false }, 'b2');
  assert.deepEqual(
    names(store, 'b2').filter((it) => it.startsWith('persistentvolumes ')),
    [],
  );
  await backup({ includeClusterResources: true }, 'b3');
  assert.deepEqual(
    names(store, 'b3').filter((it) => it.startsWith('persistentvolumes ')),
    ['persistentvolumes d-1', 'persistentvolumes d-2'],
  );
});

test('on 1.20 an Ingress is in the backup twice, once in a group that the target lacks', async (t) => {
  const rules = [
    {
      http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }] },
    },
  ];
  const { backup, restore, store, target } = await scene(t, [
    object('networking.k8s.io/v1', 'Ingress', 'web', { spec: { rules } }),
  ]);
  await backup();
  assert.deepEqual(
    names(store)
      .filter((it) => it.startsWith('ingresses'))
      .toSorted(),
    ['ingresses.extensions web', 'ingresses.networking.k8s.io web'],
  );
  const status = await restore();
  assert.equal(status.phase, 'PartiallyFailed');
  assert.match(JSON.stringify(target.velero.results('r1')?.errors), /could not find the requested resource/);
  assert.ok(await target.api.get('networking.k8s.io/v1/ingresses', 'shop', 'web'));
});

for (const [what, spec, setting, message] of [
  ['an unknown location', { storageLocation: 'nowhere' }, {}, /"nowhere" not found/],
  ['a read-only location', {}, { accessMode: 'ReadOnly' }, /read-only mode/],
  ['an unavailable location', {}, { objectStorage: { bucket: 'gone' } }, /Unavailable status/],
  [
    'old and new filters',
    { excludedResources: ['pods'], includedNamespaceScopedResources: ['configmaps'] },
    {},
    /old filter parameters/,
  ],
  ['a star among others', { includedResources: ['*', 'pods'] }, {}, /'\*' only/],
] as const)
  test(`a backup with ${what} fails validation`, async (t) => {
    const { backup } = await scene(t, [], { location: setting });
    const status = await backup(spec);
    assert.equal(status.phase, 'FailedValidation');
    assert.match(status.validationErrors.join(), message);
  });

// The store between two clusters

test('a finished backup appears in the other cluster within its period, and goes when it is deleted', async (t) => {
  const { backup, target, source, clock, store } = await scene(t, [config()]);
  await backup();
  await clock.sleep(65_000);
  const copy = await target.api.get('velero.io/v1/backups', 'velero', 'b1');
  assert.equal(copy?.['status'].phase, 'Completed');
  await source.api.create('velero.io/v1/deletebackuprequests', {
    apiVersion: 'velero.io/v1',
    kind: 'DeleteBackupRequest',
    metadata: { name: 'x', namespace: 'velero' },
    spec: { backupName: 'b1' },
  });
  await clock.sleep(2_000);
  assert.equal(await source.api.get('velero.io/v1/backups', 'velero', 'b1'), undefined);
  assert.equal(await source.api.get('velero.io/v1/deletebackuprequests', 'velero', 'x'), undefined);
  assert.equal(store.open('migrate')?.backups.size, 0);
  await clock.sleep(65_000);
  assert.equal(await target.api.get('velero.io/v1/backups', 'velero', 'b1'), undefined);
});

test('a request to delete what is not there stays, with its error', async (t) => {
  const { source, clock } = await scene(t, []);
  await source.api.create('velero.io/v1/deletebackuprequests', {
    apiVersion: 'velero.io/v1',
    kind: 'DeleteBackupRequest',
    metadata: { name: 'x', namespace: 'velero' },
    spec: { backupName: 'none' },
  });
  await clock.sleep(2_000);
  const live = await source.api.get('velero.io/v1/deletebackuprequests', 'velero', 'x');
  assert.deepEqual([live?.['status'].phase, live?.['status'].errors], ['Processed', ['backup not found']]);
});

test('an expired backup is collected', async (t) => {
  const { backup, source, clock } = await scene(t, [config()]);
  await backup({ ttl: '1h' });
  await clock.sleep(30 * 60_000);
  assert.ok(await source.api.get('velero.io/v1/backups', 'velero', 'b1'));
  await clock.sleep(3 * 60 * 60_000);
  assert.equal(await source.api.get('velero.io/v1/backups', 'velero', 'b1'), undefined);
});

// Restore

test('a restore makes the namespace and its objects, labelled, without owners and status', async (t) => {
  const owned = deployment('web', {
    metadata: { ownerReferences: [{ apiVersion: 'x/v1', kind: 'App', name: 'a', uid: 'u' }], finalizers: ['keep/me'] },
  });
  const space = { ...object('v1', 'Namespace', 'shop', { metadata: { labels: { team: 'web' } } }, null) };
  const { backup, restore, target } = await scene(t, [space, owned, config()]);
  await backup({ excludedResources: ['ingresses.extensions'] });
  const status = await restore();
  assert.equal(status.phase, 'Completed', JSON.stringify(target.velero.results('r1')));
  const live = await target.api.get('apps/v1/deployments', 'shop', 'web');
  assert.deepEqual(
    [live?.metadata.labels['velero.io/backup-name'], live?.metadata.labels['velero.io/restore-name']],
    ['b1', 'r1'],
  );
  assert.equal(live?.metadata.ownerReferences, undefined);
  assert.deepEqual(live?.metadata.finalizers, ['keep/me']);
  assert.equal(live?.['spec'].replicas, 3);
  assert.equal((await target.api.get('v1/namespaces', undefined, 'shop'))?.metadata.labels.team, 'web');
  assert.ok(target.velero.resourceList('r1')?.['apps/v1/Deployment']?.includes('shop/web(created)'));
  assert.equal(status.progress.totalItems, status.progress.itemsRestored);
});

test('a restore keeps its finalizer until a live server lets it go', async (t) => {
  const { backup, restore, target, clock } = await scene(t, [config()]);
  await backup();
  await restore();
  assert.deepEqual((await target.api.get('velero.io/v1/restores', 'velero', 'r1'))?.metadata.finalizers, [
    RESTORE_FINALIZER,
  ]);
  await target.api.delete('velero.io/v1/restores', 'velero', 'r1');
  await clock.sleep(2_000);
  assert.equal(await target.api.get('velero.io/v1/restores', 'velero', 'r1'), undefined);
});

test('kinds in a version that the target lacks are errors, and the rest comes', async (t) => {
  const cron = object('batch/v1beta1', 'CronJob', 'report', {
    spec: {
      schedule: '0 3 * * *',
      jobTemplate: {
        spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'report' }] } } },
      },
    },
  });
  const { backup, restore, target } = await scene(t, [cron, config()]);
  await backup();
  const status = await restore();
  assert.equal(status.phase, 'PartiallyFailed');
  assert.deepEqual(
    target.velero
      .results('r1')
      ?.errors.namespaces['shop']?.map((it) => it.includes('could not find the requested resource')),
    [true],
  );
  assert.ok(await target.api.get('v1/configmaps', 'shop', 'settings'));
});

test('a volume to be deleted is not copied, and its claim gets a new, empty disk', async (t) => {
  const { backup, restore, target } = await scene(t, [volume('Delete'), claim()]);
  await backup();
  await restore();
  assert.equal(await target.api.get('v1/persistentvolumes', undefined, 'd-1'), undefined);
  const live = await target.api.get('v1/persistentvolumeclaims', 'shop', 'data');
  assert.equal(live?.['spec'].volumeName, undefined);
  assert.equal(live?.metadata.annotations?.['pv.kubernetes.io/bind-completed'], undefined);
});

test('a volume to be retained is copied, reserved for its claim: two clusters, one disk', async (t) => {
  const { backup, restore, target } = await scene(t, [volume('Retain'), claim()]);
  await backup();
  await restore();
  const live = await target.api.get('v1/persistentvolumes', undefined, 'd-1');
  assert.equal(live?.['spec'].csi.volumeHandle, 'd-1');
  assert.deepEqual([live?.['spec'].claimRef.name, live?.['spec'].claimRef.uid], ['data', undefined]);
  assert.equal((await target.api.get('v1/persistentvolumeclaims', 'shop', 'data'))?.['spec'].volumeName, 'd-1');
});

test('with volumes left out a claim keeps its volume’s name, at the cost of a warning', async (t) => {
  const { backup, restore, target } = await scene(t, [volume('Delete'), claim()]);
  await backup({ excludedResources: ['persistentvolumes'], includeClusterResources: false });
  const status = await restore({ excludedResources: ['persistentvolumes'], includeClusterResources: false });
  assert.equal((await target.api.get('v1/persistentvolumeclaims', 'shop', 'data'))?.['spec'].volumeName, 'd-1');
  assert.deepEqual([status.phase, status.warnings], ['Completed', 1]);
});

test('addresses and node ports are drawn anew, unless somebody chose the port', async (t) => {
  const { backup, restore, source, target } = await scene(t, [service()]);
  const address = (await source.api.get('v1/services', 'shop', 'web'))?.['spec'].clusterIP;
  assert.ok(address);
  await backup();
  await restore();
  const live = await target.api.get('v1/services', 'shop', 'web');
  assert.notEqual(live?.['spec'].ports[0].nodePort, 31080);

  const applied = service({
    metadata: {
      annotations: {
        'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({
          spec: { ports: [{ port: 80, nodePort: 31080 }] },
        }),
      },
    },
  });
  const again = await scene(t, [applied]);
  await again.backup();
  await again.restore();
  assert.equal((await again.target.api.get('v1/services', 'shop', 'web'))?.['spec'].ports[0].nodePort, 31080);
});

test('a chosen node port that is taken is an error', async (t) => {
  const applied = service({
    metadata: {
      annotations: {
        'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({
          spec: { ports: [{ port: 80, nodePort: 31080 }] },
        }),
      },
    },
  });
  const other = { ...service(), metadata: { name: 'other', namespace: 'default' } };
  const { backup, restore, target } = await scene(t, [applied], { atTarget: [other] });
  await backup();
  assert.equal((await restore()).phase, 'PartiallyFailed');
  assert.match(JSON.stringify(target.velero.results('r1')?.errors), /provided port is already allocated/);
});

test('what is there already and differs is a warning; what is equal is nothing', async (t) => {
  const { backup, restore, target } = await scene(t, [config('same'), config('other', { a: '2' })], {
    atTarget: [config('same'), config('other', { a: '9' })],
  });
  await backup();
  const status = await restore({ includedResources: ['configmaps'] });
  assert.equal(status.phase, 'Completed');
  const warnings = target.velero.results('r1')?.warnings.namespaces['shop'] ?? [];
  assert.equal(warnings.filter((it) => it.includes('"other"')).length, 1);
  assert.equal(warnings.filter((it) => it.includes('"same"')).length, 0);
  assert.equal((await target.api.get('v1/configmaps', 'shop', 'other'))?.['data'].a, '9');
});

test('a policy of update writes over it: without the same modifiers it undoes them', async (t) => {
  const rule = {
    conditions: { groupResource: 'deployments.apps' },
    mergePatches: [{ patchData: '{"spec":{"replicas":0}}' }],
  };
  const { backup, restore, target } = await scene(t, [deployment()], { atTarget: [modifiers([rule])] });
  await backup();
  await restore({ ...modified });
  const replicas = async (): Promise<number> =>
    (await target.api.get('apps/v1/deployments', 'shop', 'web'))?.['spec'].replicas;
  assert.equal(await replicas(), 0);
  await restore({ existingResourcePolicy: 'update' }, 'r2');
  assert.equal(await replicas(), 3);
});

test('definitions of custom kinds come first, and what they define follows', async (t) => {
  const crd = object(
    'apiextensions.k8s.io/v1',
    'CustomResourceDefinition',
    'apps.example.com',
    {
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'apps', singular: 'app', kind: 'App', listKind: 'AppList' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    },
    null,
  );
  const { backup, restore, target, store } = await scene(t, [
    crd,
    object('example.com/v1', 'App', 'a', { spec: { x: 1 } }),
  ]);
  await backup();
  assert.ok(
    names(store).includes('customresourcedefinitions.apiextensions.k8s.io apps.example.com'),
    'a definition is related to its objects',
  );
  const status = await restore();
  assert.equal(status.phase, 'Completed', JSON.stringify(target.velero.results('r1')));
  assert.equal((await target.api.get('example.com/v1/apps', 'shop', 'a'))?.['spec'].x, 1);
});

test('finished pods and jobs do not come back', async (t) => {
  const done = object('v1', 'Pod', 'once', {
    spec: { containers: [{ name: 'main', image: 'x' }] },
    status: { phase: 'Succeeded' },
  });
  const { backup, restore, target } = await scene(t, [done, config()]);
  await backup();
  await restore();
  assert.deepEqual(await target.api.list('v1/pods', 'shop'), []);
});

test('storage classes are mapped by the plug-in’s ConfigMap', async (t) => {
  const map = {
    ...config('classes', { ssd: 'essd' }),
    metadata: {
      name: 'classes',
      namespace: 'velero',
      labels: { 'velero.io/plugin-config': '', 'velero.io/change-storage-class': 'RestoreItemAction' },
    },
  };
  const { backup, restore, target } = await scene(t, [claim()], { atTarget: [map] });
  await backup();
  await restore();
  assert.equal((await target.api.get('v1/persistentvolumeclaims', 'shop', 'data'))?.['spec'].storageClassName, 'essd');
});

test('namespaces can be mapped', async (t) => {
  const { backup, restore, target } = await scene(t, [config()]);
  await backup();
  await restore({ namespaceMapping: { shop: 'shop-2' } });
  assert.ok(await target.api.get('v1/configmaps', 'shop-2', 'settings'));
  assert.equal(await target.api.get('v1/namespaces', undefined, 'shop'), undefined);
});

test('without a Deployment named velero nothing is restored', async (t) => {
  const { backup, restore, target } = await scene(t, [config()]);
  await backup();
  await target.api.delete('apps/v1/deployments', 'velero', 'velero');
  const status = await restore();
  assert.deepEqual([status.phase, status.errors], ['PartiallyFailed', 1]);
  assert.equal(await target.api.get('v1/configmaps', 'shop', 'settings'), undefined);
});

for (const [what, spec, message] of [
  ['an unknown backup', { backupName: 'b1' }, /not found|not in its storage location/],
  ['a missing modifier map', { ...modified }, /failed to get resource modifiers configmap velero\/rules/],
  ['a kind that is never restored', { includedResources: ['nodes'] }, /non-restorable/],
] as const)
  test(`a restore with ${what} fails validation`, async (t) => {
    const { backup, restore, target } = await scene(t, [config()]);
    if (what !== 'an unknown backup') await backup();
    else
      await target.api.create('velero.io/v1/backups', {
        apiVersion: 'velero.io/v1',
        kind: 'Backup',
        metadata: { name: 'b1', namespace: 'velero' },
        spec: { storageLocation: 'default' },
        status: { phase: 'Completed' },
      });
    const status = await restore(spec);
    assert.equal(status.phase, 'FailedValidation');
    assert.match(status.validationErrors.join(), message);
  });

test('a server that starts again gives up what was in progress', async (t) => {
  const { source, clock } = await scene(t, [config()]);
  await source.api.create('velero.io/v1/backups', {
    apiVersion: 'velero.io/v1',
    kind: 'Backup',
    metadata: { name: 'b1', namespace: 'velero' },
    spec: {},
  });
  const status = async (): Promise<Json> => (await source.api.get('velero.io/v1/backups', 'velero', 'b1'))?.['status'];
  for (let i = 0; i < 100 && (await status())?.phase !== 'InProgress'; i++) await clock.sleep(50);
  await source.restart();
  assert.equal((await status()).phase, 'Failed');
  assert.match((await status()).failureReason, /during the server starting/);
});

// Resource modifiers

test('modifiers meet the object as it was, in order, by group, name, namespace and labels', async (t) => {
  const rules = [
    {
      conditions: { groupResource: 'deployments.apps', namespaces: ['shop'] },
      mergePatches: [{ patchData: 'spec: { replicas: 0 }' }],
    },
    {
      conditions: { groupResource: 'services', resourceNameRegex: '^web$' },
      patches: [{ operation: 'add', path: '/metadata/annotations/x~1weight', value: '"0"' }],
    },
    {
      conditions: { groupResource: 'deployments.apps', matches: [{ path: '/spec/replicas', value: '3' }] },
      strategicPatches: [
        { patchData: '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"web:2"}]}}}}' },
      ],
    },
    {
      conditions: { groupResource: 'configmaps', labelSelector: { matchLabels: { a: 'b' } } },
      mergePatches: [{ patchData: '{"data":{"a":"changed"}}' }],
    },
  ];
  const { backup, restore, target } = await scene(
    t,
    [deployment(), service({ metadata: { annotations: { y: '1' } } }), config()],
    { atTarget: [modifiers(rules)] },
  );
  await backup();
  assert.equal((await restore({ ...modified })).phase, 'Completed');
  const live = await target.api.get('apps/v1/deployments', 'shop', 'web');
  assert.deepEqual([live?.['spec'].replicas, live?.['spec'].template.spec.containers[0].image], [0, 'web:2']);
  assert.deepEqual((await target.api.get('v1/services', 'shop', 'web'))?.metadata.annotations, {
    y: '1',
    'x/weight': '0',
  });
  assert.equal((await target.api.get('v1/configmaps', 'shop', 'settings'))?.['data'].a, '1');
});

test('a rule that errors adds an error, and the object goes through unmodified', async (t) => {
  const rule = {
    conditions: { groupResource: 'services' },
    patches: [{ operation: 'replace', path: '/metadata/annotations/none', value: '0' }],
  };
  const { backup, restore, target } = await scene(t, [service()], { atTarget: [modifiers([rule])] });
  await backup();
  const status = await restore({ ...modified });
  assert.deepEqual([status.phase, status.errors], ['PartiallyFailed', 1]);
  assert.equal((await target.api.get('v1/services', 'shop', 'web'))?.['spec'].type, 'LoadBalancer');
});

test('values of patches are read as JSON where they look like it, and a failed test skips its rule', () => {
  const { apply } = parseModifiers({
    rules: JSON.stringify({
      version: 'v1',
      resourceModifierRules: [
        {
          conditions: { groupResource: 'configmaps' },
          patches: [
            { operation: 'test', path: '/data/a', value: '"2"' },
            { operation: 'add', path: '/data/skipped', value: 'yes' },
          ],
        },
        {
          conditions: { groupResource: 'config*' },
          patches: [
            { operation: 'add', path: '/data/n', value: '1' },
            { operation: 'add', path: '/data/s', value: '"1"' },
            { operation: 'add', path: '/data/t', value: 'text' },
          ],
        },
      ],
    }),
  });
  const { object: changed, errors } = apply(config(), 'configmaps');
  assert.deepEqual(errors, []);
  assert.deepEqual(changed['data'], { a: '1', n: 1, s: '1', t: 'text' });
});

test('a modifier map is checked strictly', () => {
  const rules =
    (text: string): (() => unknown) =>
    () =>
      parseModifiers({ rules: text });
  assert.throws(rules('version: v2\nresourceModifierRules: []'), /unsupported resource modifier version/);
  assert.throws(
    rules('version: v1\nresourceModifierRules: [{ conditions: { groupResource: a }, patch: [] }]'),
    /unknown field "patch"/,
  );
  assert.throws(rules('version: v1\nresourceModifierRules: [{ conditions: {}, mergePatches: [] }]'), /cannot be empty/);
  assert.throws(() => parseModifiers({ a: '', b: '' }), /exactly one/);
});

test('durations are read as Go writes them', () => {
  assert.deepEqual(['720h0m0s', '1m', '90s', '0', 'x'].map(durationMs), [2_592_000_000, 60_000, 90_000, 0, undefined]);
});
