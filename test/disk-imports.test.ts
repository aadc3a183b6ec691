import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { checks } from '../checks/index.js';
import { differences } from '../src/cli/rehearse.js';
import { seedOf } from '../src/cli/seeds.js';
import { openStage } from '../src/cli/stage.js';
import type { MigrateError } from '../src/errors.js';
import { type JournalStore, memoryStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan, type Plan } from '../src/plan.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import { rollback } from '../src/rollback.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import type { Seed, TwinObject } from '../src/twin/types.js';
import { killedAt } from './killed.js';
import { crashing, engineOn, every, mustBeDone, quickShop, quickShopText, shipped, stageFor, undrawn } from './shop.js';

/** `data.disks.by: driver`: the target's own driver makes the disk, of our snapshot, where the pod is to run. */

const DRIVER = 'diskplugin.csi.alibabacloud.com';
const driver: TwinObject = { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: { name: DRIVER }, spec: {} };

/** The shop's data alone, its claim imported; one node more in another zone, so that no zone is given. */
function imports(change: (seed: Seed) => void = () => {}, more = ''): { playbook: Playbook; seed: Seed } {
  const text = quickShopText()
    .replace(/^traffic:\n(?: {2}.*\n| *#.*\n)+/m, '')
    .replace(/^ {2}disks: copy$/m, `  disks: driver${more}`);
  const { seed } = quickShop();
  const target = [...(seed.target.objects as TwinObject[]), driver];
  const whole = {
    ...seed,
    target: { ...seed.target, snapshots: true, objects: target },
    cloud: { ...seed.cloud, disks: (seed.cloud.disks ?? []).map((it) => ({ ...it, content: ['order 1'] })) },
  };
  change(whole);
  return { playbook: parsePlaybook(text, 'shop.yaml'), seed: whole };
}

async function planOf({ playbook, seed }: { playbook: Playbook; seed: Seed }): Promise<Plan> {
  const stage = await openStage(playbook, seed, { clientsPerSecond: 0 });
  try {
    return makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers);
  } finally {
    await stage.close();
  }
}

test('the driver makes the disk of our snapshot, in the zone of the pod, with what was written last', async () => {
  const { stage, plan, engine } = await stageFor(imports(), { clientsPerSecond: 0 });
  try {
    assert.deepEqual(
      plan.steps.filter((it) => /disk|restore|start/.test(it.id)).map((it) => it.id),
      [
        'data/disk/shop/orders/live/1/snapshot',
        'data/disk/shop/orders/snapshot',
        'data/restore',
        'data/disk/shop/orders/import',
        'data/start/shop',
        'data/disk/shop/orders/made',
      ],
    );
    assert.deepEqual(
      plan.steps.filter((it) => it.noReturn !== undefined).map((it) => it.id),
      ['data/start/shop'],
    );
    mustBeDone(await run(plan, ['data'], engine));
    const { target } = stage.world;
    const claim = await target.get({ kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'orders' });
    assert.equal(claim?.['status']?.phase, 'Bound');
    assert.equal(claim['spec'].dataSource.name, 'migrate-shop-orders');
    assert.equal(claim['spec'].storageClassName, 'alicloud-disk-essd');
    const volume = await target.get({ kind: 'PersistentVolume', name: claim['spec'].volumeName });
    const id: string = volume?.['spec']?.csi?.volumeHandle;
    assert.notEqual(id, 'd-bp1shoporders');
    const disk = await stage.world.cloud.disk('cn-hangzhou', id);
    assert.equal(disk?.zone, 'cn-hangzhou-j', 'where the target’s nodes are');
    assert.deepEqual(stage.twin.cloud.api.contentOf?.(id)?.data, ['order 1']);
    const content = await target.get({
      kind: 'VolumeSnapshotContent.snapshot.storage.k8s.io',
      name: 'shop-migrate-shop-orders',
    });
    assert.equal(content?.['spec']?.deletionPolicy, 'Retain');
  } finally {
    await stage.close();
  }
});

for (const [title, change, more] of [
  ['a backup that we wrote', () => {}, '\n  apps: converted'],
  [
    'a class that does not wait for pods',
    (seed: Seed) => {
      for (const it of seed.target.objects as TwinObject[])
        if (it.kind === 'StorageClass') it['volumeBindingMode'] = 'Immediate';
    },
    '',
  ],
] as const)
  test(`${title}: the claim gets its disk of our snapshot too`, async () => {
    const { stage, plan, engine } = await stageFor(imports(change, more), { clientsPerSecond: 0 });
    try {
      mustBeDone(await run(plan, ['data'], engine));
      const { target, cloud } = stage.world;
      const claim = await target.get({ kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'orders' });
      const volume = await target.get({ kind: 'PersistentVolume', name: claim?.['spec']?.volumeName });
      const disk = await cloud.disk('cn-hangzhou', volume?.['spec']?.csi?.volumeHandle);
      const from = disk?.sourceSnapshot ?? '';
      const ours = await cloud.snapshots('cn-hangzhou', { key: 'migrate-plan', value: plan.digest.slice(0, 8) });
      assert.ok(
        ours.some((it) => it.id === from),
        `${from} of ${ours.map((it) => it.id).join(', ')}`,
      );
      mustBeDone(await rollback(undefined, engine));
      assert.deepEqual(await target.list('VolumeSnapshot.snapshot.storage.k8s.io'), []);
    } finally {
      await stage.close();
    }
  });

test('where files are applied that hold no claim, we make it before their workloads start', async () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-imports-'));
  const world = imports(() => {}, `\n  apps: manifests\n  manifests: ${dir}`);
  const orders = (world.seed.source.objects as TwinObject[]).find(
    (it) => it.kind === 'Deployment' && it.metadata.name === 'orders',
  )!;
  const pod = { ...orders['spec'].template.spec, containers: [{ name: 'orders', image: 'shop/orders:3' }] };
  const files = { ...orders, spec: { ...orders['spec'], template: { ...orders['spec'].template, spec: pod } } };
  writeFileSync(path.join(dir, 'orders.yaml'), stringify(files));
  const stage = await openStage(world.playbook, world.seed, { clientsPerSecond: 0 });
  try {
    const inventory = await takeInventory(world.playbook, stage.world, checks);
    const plan = makePlan(world.playbook, inventory, routers);
    const engine = engineOn(stage, memoryStore());
    mustBeDone(await run(plan, ['data'], engine));
    const { target } = stage.world;
    const claim = await target.get({ kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'orders' });
    const volume = await target.get({ kind: 'PersistentVolume', name: claim?.['spec']?.volumeName });
    const disk = volume?.['spec']?.csi?.volumeHandle;
    assert.deepEqual(stage.twin.cloud.api.contentOf?.(disk)?.data, ['order 1']);
    mustBeDone(await rollback(undefined, engine));
    await stage.twin.settle();
    assert.equal(await target.get({ kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'orders' }), undefined);
    assert.equal(await stage.world.cloud.disk('cn-hangzhou', disk), undefined);
  } finally {
    await stage.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

test('into another region each driver’s disk is made of the copy there, in a zone where its pod runs', async () => {
  const { playbook, seed } = shipped('cross-region');
  playbook.data!.disks.by = 'driver';
  delete playbook.data!.zone;
  const target = [...(seed.target.objects as TwinObject[]), driver];
  const { stage, plan, engine } = await stageFor(
    { playbook, seed: { ...seed, target: { ...seed.target, snapshots: true, objects: target } } },
    { clientsPerSecond: 0 },
  );
  try {
    mustBeDone(await run(plan, ['data'], engine));
    const volumes = await stage.world.target.list('PersistentVolume');
    const disks = await Promise.all(
      volumes.map((it) => stage.world.cloud.disk('cn-shanghai', it['spec']?.csi?.volumeHandle)),
    );
    const copies = await stage.world.cloud.snapshots('cn-shanghai', {
      key: 'migrate-plan',
      value: plan.digest.slice(0, 8),
    });
    assert.deepEqual(
      disks.map((it) => Number(it?.sizeGiB)).toSorted((a, b) => a - b),
      [100, 500],
    );
    for (const disk of disks) {
      assert.match(disk?.zone ?? '', /^cn-shanghai-[bg]$/);
      assert.ok(copies.some((it) => it.id === disk?.sourceSnapshot));
    }
  } finally {
    await stage.close();
  }
});

test('a captured inventory rehearses an import', async () => {
  const { playbook, seed } = imports();
  const seen = await openStage(playbook, seed, { clientsPerSecond: 0 });
  const inventory = await takeInventory(playbook, seen.world, checks);
  await seen.close();
  const { stage, plan, engine } = await stageFor(
    { playbook, seed: seedOf(playbook, inventory) },
    { clientsPerSecond: 0 },
  );
  try {
    mustBeDone(await run(plan, ['data'], engine));
    const claim = await stage.world.target.get({
      kind: 'PersistentVolumeClaim',
      namespace: 'shop',
      name: 'orders',
    });
    assert.equal(claim?.['status']?.phase, 'Bound');
  } finally {
    await stage.close();
  }
});

test('a claim that lost its data source on the way stops the import, and nothing starts', async () => {
  const { stage, plan, engine } = await stageFor(imports(), {
    clientsPerSecond: 0,
    tap: async (call, send) => {
      const reply = await send();
      if (call.writes && call.what.includes('restores')) {
        await stage.twin.settle();
        const at = ['v1/persistentvolumeclaims', 'shop', 'orders'] as const;
        const {
          uid: _uid,
          resourceVersion: _version,
          ...metadata
        } = (await stage.twin.target.api.get(...at))!.metadata;
        await stage.twin.target.api.delete(...at);
        await stage.twin.settle();
        await stage.twin.target.api.create(at[0], {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata,
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '40Gi' } } },
        });
      }
      return reply;
    },
  });
  try {
    const outcome = await run(plan, ['data'], engine);
    assert.equal(outcome.outcome === 'stopped' && (outcome.error as MigrateError).code, 'IMPORT_WRONG');
    assert.equal((await stage.world.target.list('Pod', { namespace: 'shop' })).length, 0);
  } finally {
    await stage.close();
  }
});

test('going back keeps the driver’s disk and names it, or deletes it when told; the objects go either way', async () => {
  for (const deletesCopies of [false, true]) {
    const { stage, plan, engine } = await stageFor(imports(), { clientsPerSecond: 0 });
    try {
      mustBeDone(await run(plan, ['data'], engine));
      const { target, cloud } = stage.world;
      const claim = await target.get({ kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'orders' });
      const id: string = (await target.get({ kind: 'PersistentVolume', name: claim?.['spec']?.volumeName }))?.['spec']
        ?.csi?.volumeHandle;
      mustBeDone(await rollback(undefined, { ...engine, deletesCopies }));
      await stage.twin.settle();
      assert.equal((await cloud.disk('cn-hangzhou', id)) === undefined, deletesCopies, id);
      for (const kind of ['PersistentVolume', 'VolumeSnapshotContent.snapshot.storage.k8s.io'])
        assert.deepEqual(
          (await target.list(kind)).map((it) => it.metadata.name),
          [],
          kind,
        );
      assert.equal(await target.get({ kind: 'Namespace', name: 'shop' }), undefined);
    } finally {
      await stage.close();
    }
  }
});

test('a target without snapshots, without the driver, or with a class of another one has no plan', async () => {
  await assert.rejects(
    planOf(imports((seed) => (seed.target.snapshots = false))),
    /the target serves no snapshot\.storage\.k8s\.io\/v1/,
  );
  const without = (kind: string) =>
    imports((seed) => (seed.target.objects = (seed.target.objects as TwinObject[]).filter((it) => it.kind !== kind)));
  await assert.rejects(planOf(without('CSIDriver')), /the target has no driver diskplugin/);
  await assert.rejects(planOf(without('StorageClass')), /the target has no class alicloud-disk-essd/);
  const encrypted = imports((seed) => (seed.cloud.disks = seed.cloud.disks!.map((it) => ({ ...it, encrypted: true }))));
  await assert.rejects(
    planOf(encrypted),
    /its snapshot is encrypted, and class alicloud-disk-essd of the target makes plain disks/,
  );
});

test('killed at any point, an import goes on to the same end and goes back to the same start', async (t) => {
  const whole = crashing(Infinity);
  const wrapped = whole.wrap(memoryStore());
  // Before the import it is the same move as any other.
  let begins = Infinity;
  const store: JournalStore = {
    ...wrapped,
    append(line) {
      if (line.includes('"data/disk/shop/orders/import"')) begins = Math.min(begins, whole.effects());
      wrapped.append(line);
    },
  };
  const first = await stageFor(imports(), { tap: whole.tap, store, clientsPerSecond: 0 });
  whole.arm();
  mustBeDone(await run(first.plan, ['data'], first.engine));
  await first.stage.twin.settle();
  const end = first.stage.twin.snapshot();
  await first.stage.close();
  const wrong: string[] = [];
  let points = 0;
  for (let at = begins; at <= whole.effects(); at += every(3)) {
    for (const after of ['run', 'rollback'] as const) {
      try {
        const { world } = await killedAt(at, imports(), {
          plan: first.plan,
          phases: ['data'],
          after,
          clientsPerSecond: 0,
        });
        points++;
        const places = differences(plain(after === 'run' ? end : first.start), plain(world));
        if (places.length > 0) wrong.push(`point ${at}, ${after}: ${places.slice(0, 3).join('; ')}`);
      } catch (error) {
        wrong.push(`point ${at}, ${after}: ${String(error)}`);
      }
    }
  }
  t.diagnostic(`${points} times killed from the import on`);
  assert.ok(points * every(3) > 10, `${points}`);
  assert.deepEqual(wrong, []);
});

/** The driver names its disk by the claim's uid, which is another one in another life. */
function plain(world: unknown): unknown {
  const known = undrawn(world) as { cloud: { disks: { id: string; name: string }[] } };
  const text = known.cloud.disks
    .filter((it) => it.name.startsWith('pvc-'))
    .reduce(
      (it, { id, name }) => it.replaceAll(id, 'driver-disk').replaceAll(name, 'driver-name'),
      JSON.stringify(known),
    );
  return JSON.parse(text);
}
