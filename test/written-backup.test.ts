import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from '../src/cli/rehearse.js';
import { backupFiles, unpacked } from '../src/archive.js';
import { memoryStore } from '../src/journal.js';
import { parsePlaybook } from '../src/playbook.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import { crashing, engineOn, mustBeDone, quickShop, quickShopText, stageFor } from './shop.js';

const shop = () => ({
  playbook: parsePlaybook(quickShopText().replace(/^data:\n/m, 'data:\n  apps: converted\n'), 'shop.yaml'),
  seed: quickShop().seed,
});
const PLACE = { provider: 'alibabacloud', bucket: 'migrate', region: 'cn-hangzhou', inPath: true };

test('a backup that we write is restored, and nothing of it is left after going back', async () => {
  const { stage, plan, engine, start } = await stageFor(shop(), { clientsPerSecond: 0 });
  try {
    assert.ok(plan.steps.some((it) => it.kind === 'written-backup'));
    assert.ok(
      !plan.steps.some((it) => it.kind === 'convert'),
      'what the target does not serve is converted in the backup',
    );
    const written = { ...plan, steps: plan.steps.filter((it) => it.id === 'data/backup') };
    mustBeDone(await run(written, ['data'], engine));
    const bucket = stage.world.bucket(PLACE);
    const [tarball = ''] = (await bucket.list('backups/')).filter((it) => it.endsWith('.tar.gz'));
    const held = unpacked((await bucket.get(tarball)) ?? Buffer.alloc(0));
    const report = held.find((it) => it.object.kind === 'CronJob')?.object;
    assert.deepEqual([report?.apiVersion, report?.['spec'].suspend], ['batch/v1', true]);
    mustBeDone(await run(plan, ['data'], engine));
    assert.ok(await stage.world.target.get({ kind: 'CronJob.batch', namespace: 'shop', name: 'report' }));
    mustBeDone(await rollback(undefined, engine));
    await stage.twin.settle();
    assert.deepEqual(differences(start, stage.twin.snapshot()), []);
    assert.deepEqual(await bucket.list(''), []);
  } finally {
    await stage.close();
  }
});

test('values of Secrets go into the store and nowhere else', async () => {
  const { playbook, seed } = shop();
  const objects = Array.isArray(seed.source.objects) ? seed.source.objects : Object.values(seed.source.objects).flat();
  const hidden = Buffer.from('seen-by-nobody').toString('base64');
  objects.push({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'key', namespace: 'shop' },
    data: { key: hidden },
  });
  const store = memoryStore();
  const said: string[] = [];
  const { stage, plan, engine } = await stageFor(
    { playbook, seed: { ...seed, source: { ...seed.source, objects } } },
    { clientsPerSecond: 0, store, emit: (it) => void said.push(JSON.stringify(it)) },
  );
  try {
    mustBeDone(await run({ ...plan, steps: plan.steps.filter((it) => it.id === 'data/backup') }, ['data'], engine));
    const bucket = stage.world.bucket(PLACE);
    const [tarball = ''] = (await bucket.list('backups/')).filter((it) => it.endsWith('.tar.gz'));
    assert.equal(
      unpacked((await bucket.get(tarball)) ?? Buffer.alloc(0)).find((it) => it.object.metadata.name === 'key')?.object[
        'data'
      ].key,
      hidden,
    );
    for (const text of [store.read(), JSON.stringify(plan), ...said])
      assert.ok(!text.includes(hidden) && !text.includes('seen-by-nobody'));
  } finally {
    await stage.close();
  }
});

test('killed anywhere while the backup is written and restored, the run goes on, and back to the start', async (t) => {
  let points = 0;
  // One stage serves all: each round leaves it as it found it.
  let crash = crashing(Infinity);
  let revived = true;
  const { stage, plan, start } = await stageFor(shop(), {
    clientsPerSecond: 0,
    tap: (call, send) => (revived ? send() : crash.tap(call, send)),
  });
  const apps = {
    ...plan,
    steps: plan.steps
      .filter((it) => /^data\/(backup|restore)$/.test(it.id))
      .map((it) => ({ ...it, after: it.id === 'data/restore' ? ['data/backup'] : [] })),
  };
  for (const it of apps.steps) if ('claims' in (it.args as object)) Object.assign(it.args as object, { claims: [] });
  try {
    for (;;) {
      crash = crashing(points);
      revived = false;
      const lines = memoryStore();
      crash.arm();
      await run(apps, ['data'], engineOn(stage, crash.wrap(lines))).catch(() => undefined);
      revived = true;
      const again = engineOn(stage, lines);
      mustBeDone(await run(apps, ['data'], again));
      mustBeDone(await rollback(undefined, again));
      await stage.twin.settle();
      assert.deepEqual(differences(start, stage.twin.snapshot()), [], `after a kill at point ${points}`);
      if (!crash.crashed()) break;
      points++;
    }
    t.diagnostic(`${points} points`);
    assert.ok(points > 8, `only ${points} points`);
  } finally {
    await stage.close();
  }
});

test('names of any length and letters of any kind come out of the archive as they went in', () => {
  const long = `${'x'.repeat(150)}.example.com`;
  const items = [
    {
      resource: 'configmaps',
      object: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'a', namespace: 'shop' },
        data: { ä: '中文\n' },
      },
    },
    {
      resource: 'clusterroles.rbac.authorization.k8s.io',
      object: { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: long } },
    },
  ];
  const files = backupFiles(items, {
    name: 'b',
    namespace: 'velero',
    location: 'default',
    labels: {},
    namespaces: ['shop'],
    version: 'v1.20.15',
    now: 0,
  });
  assert.deepEqual(unpacked(files[0]?.body ?? Buffer.alloc(0)), items);
  assert.equal(files.at(-1)?.name, 'velero-backup.json', 'what makes it count comes last');
  const cut = files[0]?.body.subarray(0, 100) ?? Buffer.alloc(0);
  assert.throws(() => unpacked(cut), RangeError);
});

test('what is missing after a restore that says Completed is told by cause, and the next try brings it', async () => {
  const { stage, plan, engine } = await stageFor(shop(), { clientsPerSecond: 0 });
  try {
    const asleep = {
      ...plan,
      steps: plan.steps.filter((it) => !it.id.startsWith('data/start') && it.phase === 'data'),
    };
    const cart = { kind: 'Deployment.apps', namespace: 'shop', name: 'cart' };
    let seen = false;
    // Somebody deletes one as soon as it is there.
    const meddling = {
      ...engine,
      world: {
        ...engine.world,
        target: {
          ...engine.world.target,
          list: async (...args: Parameters<typeof engine.world.target.list>) => {
            if (args[0] === 'Deployment.apps' && !seen && (await engine.world.target.get(cart))) {
              seen = true;
              await engine.world.target.delete(cart);
            }
            return engine.world.target.list(...args);
          },
        },
      },
    };
    const outcome = await run(asleep, ['data'], meddling);
    const { code, what, why } = (outcome as { error: { code: string; what: string; why: string } }).error;
    assert.equal(code, 'RESTORE_INCOMPLETE');
    assert.match(what, /deployment shop\/cart/);
    assert.match(why, /1 × other \(deployment shop\/cart\): the target would take it/);
    mustBeDone(await run(asleep, ['data'], engine));
    assert.ok(await engine.world.target.get(cart));
    mustBeDone(await rollback(undefined, engine));
  } finally {
    await stage.close();
  }
});
