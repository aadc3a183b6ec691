import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { differences } from '../src/cli/rehearse.js';
import { openStage } from '../src/cli/stage.js';
import { type JournalStore, memoryStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan, type Plan } from '../src/plan.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import { rollback } from '../src/rollback.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import type { Seed, TwinObject } from '../src/twin/types.js';
import { crashing, engineOn, mustBeDone, quickShop, quickShopText, stageFor, undrawn } from './shop.js';

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
  for (let at = begins; at <= whole.effects(); at++) {
    for (const after of ['run', 'rollback'] as const) {
      const crash = crashing(at);
      const lines = memoryStore();
      let revived = false;
      const { stage, engine } = await stageFor(imports(), {
        tap: (call, send) => (revived ? send() : crash.tap(call, send)),
        store: crash.wrap(lines),
        plan: first.plan,
        clientsPerSecond: 0,
      });
      try {
        crash.arm();
        await run(first.plan, ['data'], engine).catch(() => undefined);
        points++;
        revived = true;
        const again = engineOn(stage, lines);
        mustBeDone(after === 'run' ? await run(first.plan, ['data'], again) : await rollback(undefined, again));
        await stage.twin.settle();
        const places = differences(plain(after === 'run' ? end : first.start), plain(stage.twin.snapshot()));
        if (places.length > 0) wrong.push(`point ${at}, ${after}: ${places.slice(0, 3).join('; ')}`);
      } catch (error) {
        wrong.push(`point ${at}, ${after}: ${String(error)}`);
      } finally {
        await stage.close();
      }
    }
  }
  t.diagnostic(`${points} times killed from the import on`);
  assert.ok(points > 10, `${points}`);
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
