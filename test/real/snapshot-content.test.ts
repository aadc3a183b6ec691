import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ImportArgs, SnapshotArgs } from '../../src/args.js';
import { openWorld } from '../../src/cli/world.js';
import { parsePlaybook } from '../../src/playbook.js';
import type { World } from '../../src/ports.js';
import type { StepContext } from '../../src/step.js';
import { snapshot } from '../../src/steps/disks.js';
import { importSnapshot } from '../../src/steps/snapshot-content.js';
import { realClock } from '../../src/twin/clock.js';
import { startCloud } from '../../src/twin/cloud/cloud.js';
import { remoteApi } from '../../src/twin/controllers/remote.js';
import { startSnapshots } from '../../src/twin/controllers/snapshots.js';
import { startControlPlane, type ControlPlane } from '../servers/control-plane.js';
import { giveDefinitions } from '../servers/definitions.js';
import { strictDoor } from '../servers/strict.js';

/** Imported snapshots on a real API server with the definitions as external-snapshotter publishes them; every write is checked strictly. */

const REGION = 'cn-hangzhou';
const KEYS = { accessKeyId: 'LTAI-real', accessKeySecret: 'secret-real' };
const SPEED = 20;
const PLAYBOOK = `apiVersion: migrate/v1alpha1
kind: Playbook
name: held
source: { context: none }
target: { context: side }
cloud: { provider: alibaba, region: ${REGION} }
data: { namespaces: [shop], disks: driver }
`;
const TAKEN: SnapshotArgs = { claim: 'shop/orders', disk: 'd-1', region: REGION, keep: 1 };
const ARGS: ImportArgs = {
  claim: 'shop/orders',
  disk: 'd-1',
  region: REGION,
  from: 'data/disk/shop/orders/snapshot',
  driver: 'diskplugin.csi.alibabacloud.com',
  name: 'migrate-held-orders',
  content: 'shop-migrate-held-orders',
  newClaim: {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'orders', namespace: 'shop' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'essd',
      resources: { requests: { storage: '40Gi' } },
      dataSource: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 'migrate-held-orders' },
    },
  },
  waits: true,
};

describe('imported snapshots on a real API server', () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-imports-'));
  const clock = realClock(SPEED);
  const stops: (() => Promise<unknown> | void)[] = [];
  let plane: ControlPlane;
  let world: World;

  before(async () => {
    plane = await startControlPlane({
      version: '1.36.3',
      kwok: false,
      controllers: ['persistentvolumeclaim-protection-controller'],
    });
    stops.push(() => plane.stop());
    const door = await strictDoor(plane);
    stops.push(() => door.stop());
    await giveDefinitions(plane, 'external-snapshotter');
    await plane.request('POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'shop' },
    });
    const cloud = await startCloud({
      clock,
      region: REGION,
      accessKeys: [{ id: KEYS.accessKeyId, secret: KEYS.accessKeySecret }],
    });
    stops.push(() => cloud.stop());
    cloud.seed({
      region: REGION,
      loadBalancers: [],
      disks: [{ id: 'd-1', zone: `${REGION}-h`, category: 'cloud_essd', sizeGiB: 40 }],
    });
    const api = await remoteApi({ url: plane.server, token: plane.token, ca: readFileSync(plane.caFile) });
    stops.push(() => api.close());
    const snapshots = await startSnapshots(api, clock, cloud.cloud);
    stops.push(() => snapshots.stop());
    const kubeconfig = path.join(dir, 'kubeconfig');
    const named = { name: 'side' };
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ ...named, cluster: { server: door.url, 'insecure-skip-tls-verify': true } }],
        users: [{ ...named, user: { token: plane.token } }],
        // The step asks nothing of a source.
        contexts: ['none', 'side'].map((name) => ({ name, context: { cluster: 'side', user: 'side' } })),
      }),
      { mode: 0o600 },
    );
    world = await openWorld(parsePlaybook(PLAYBOOK, 'held.yaml'), {
      kubeconfig,
      clock: { now: () => clock.now(), sleep: (ms) => clock.sleep(ms) },
      cloudEndpoint: cloud.url,
      cloudKeys: KEYS,
    });
  });

  after(async () => {
    clock.stop();
    for (const stop of stops.toReversed()) await stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('content and snapshot are bound and ready, nothing is dropped of what we write, and all of it goes', async () => {
    const journal = new Map<string, unknown>();
    const context = (id: string): StepContext => ({
      world,
      step: { id, kind: '', phase: 'data', args: {}, after: [] },
      mark: '0123abcd',
      emit: () => undefined,
      progress: () => undefined,
      stopping: () => false,
      approval: async () => undefined,
      resting: (wait) => wait(),
      goesBack: () => false,
      recorded: (step) => journal.get(step),
      took: () => undefined,
      deletesCopies: true,
      kept: () => undefined,
      keep: () => undefined,
    });
    const taking = context(ARGS.from);
    const drawn = await snapshot.check(TAKEN, taking);
    journal.set(ARGS.from, drawn);
    await snapshot.apply(TAKEN, drawn, taking);
    await snapshot.verify(TAKEN, drawn, taking);

    const importing = context('data/disk/shop/orders/import');
    const before = await importSnapshot.check(ARGS, importing);
    await importSnapshot.apply(ARGS, before, importing);
    await importSnapshot.verify(ARGS, before, importing);
    // A process that was killed does it again.
    await importSnapshot.apply(ARGS, before, importing);

    const { target } = world;
    const content = await target.get({ kind: 'VolumeSnapshotContent.snapshot.storage.k8s.io', name: ARGS.content });
    assert.equal(content?.['status']?.restoreSize, 40 * 2 ** 30);
    assert.equal(content['spec'].deletionPolicy, 'Retain');
    const claim = await target.get({ kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'orders' });
    assert.equal(claim?.['spec']?.dataSourceRef?.name, ARGS.name, 'the server takes it as a data source');

    assert.deepEqual(await importSnapshot.undo(ARGS, before, importing), []);
    for (const kind of ['VolumeSnapshotContent', 'VolumeSnapshot'])
      assert.deepEqual(await target.list(`${kind}.snapshot.storage.k8s.io`), [], kind);
    assert.deepEqual(await target.list('PersistentVolumeClaim', { namespace: 'shop' }), []);
    assert.equal(
      (await world.cloud.snapshots(REGION, { key: 'migrate-plan', value: '0123abcd' })).length,
      1,
      'the cloud’s snapshot stays',
    );
  });
});
