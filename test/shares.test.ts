import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { checks } from '../checks/index.js';
import type { QuiesceArgs, RetainArgs, ScaleArgs, VolumeArgs } from '../src/args.js';
import { differences } from '../src/cli/rehearse.js';
import { openStage } from '../src/cli/stage.js';
import { contextOf } from '../src/engine.js';
import { MigrateError } from '../src/errors.js';
import { memoryStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan, type Plan } from '../src/plan.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { Call } from '../src/ports.js';
import { routers } from '../src/routers/index.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import { retain } from '../src/steps/retain.js';
import type { Seed, TwinObject } from '../src/twin/types.js';
import { killedAt } from './killed.js';
import { crashing, every, mustBeDone, quickShop, quickShopText, stageFor, undrawn } from './shop.js';

/** NAS, OSS and NFS volumes: the target mounts what the source has mounted, and never while the source can still write. */

const SHARES = `
- { apiVersion: v1, kind: Namespace, metadata: { name: files } }
- apiVersion: v1
  kind: PersistentVolume
  metadata: { name: nas-files, labels: { alicloud-pvname: nas-files }, annotations: { pv.kubernetes.io/provisioned-by: nasplugin.csi.alibabacloud.com } }
  spec: &volume
    accessModes: [ReadWriteMany]
    capacity: { storage: 20Gi }
    storageClassName: nas
    mountOptions: [vers=3, nolock]
    persistentVolumeReclaimPolicy: Delete
    claimRef: { apiVersion: v1, kind: PersistentVolumeClaim, namespace: files, name: shared }
    csi:
      driver: nasplugin.csi.alibabacloud.com
      volumeHandle: nas-files
      volumeAttributes: { server: 1a2b-x.cn-hangzhou.nas.aliyuncs.com, path: /files }
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: { name: shared, namespace: files }
  spec: &claim { accessModes: [ReadWriteMany], storageClassName: nas, volumeName: nas-files, resources: { requests: { storage: 20Gi } } }
- apiVersion: v1
  kind: PersistentVolume
  metadata: { name: old-oss }
  spec:
    <<: *volume
    persistentVolumeReclaimPolicy: Retain
    claimRef: { apiVersion: v1, kind: PersistentVolumeClaim, namespace: files, name: pictures }
    csi: null
    flexVolume:
      driver: alicloud/oss
      options: { bucket: pictures, url: oss-cn-hangzhou.aliyuncs.com, otherOpts: -o allow_other }
      secretRef: { name: oss-keys, namespace: files }
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: { name: pictures, namespace: files }
  spec: { <<: *claim, volumeName: old-oss }
- { apiVersion: v1, kind: Secret, metadata: { name: oss-keys, namespace: files }, data: { akId: eA==, akSecret: eQ== } }
- apiVersion: apps/v1
  kind: Deployment
  metadata: { name: writer, namespace: files }
  spec:
    replicas: 2
    selector: { matchLabels: { app: writer } }
    template:
      metadata: { labels: { app: writer } }
      spec:
        containers: [{ name: main, image: shop/writer:1, volumeMounts: [{ name: files, mountPath: /files }] }]
        volumes: [{ name: files, persistentVolumeClaim: { claimName: shared } }]
- apiVersion: apps/v1
  kind: Deployment
  metadata: { name: reader, namespace: files }
  spec:
    replicas: 1
    selector: { matchLabels: { app: reader } }
    template:
      metadata: { labels: { app: reader } }
      spec:
        containers: [{ name: main, image: shop/reader:1, volumeMounts: [{ name: files, mountPath: /files, readOnly: true }] }]
        volumes: [{ name: files, persistentVolumeClaim: { claimName: shared } }, { name: pictures, persistentVolumeClaim: { claimName: pictures, readOnly: true } }]
- apiVersion: batch/v1beta1
  kind: CronJob
  metadata: { name: sweep, namespace: files }
  spec:
    schedule: '15 18 * * *'
    jobTemplate:
      spec:
        template:
          spec:
            restartPolicy: Never
            containers: [{ name: main, image: shop/sweep:1, volumeMounts: [{ name: files, mountPath: /files }] }]
            volumes: [{ name: files, persistentVolumeClaim: { claimName: shared } }]
`;

/** The shop's clusters with a namespace whose pods share files, and nothing else that moves. */
function sharing(disks = '{}', more: (objects: TwinObject[]) => void = () => {}): { playbook: Playbook; seed: Seed } {
  const text = quickShopText()
    .replace(/^preflight:\n(?: {2}.*\n)+/m, '')
    .replace(/^traffic:\n(?: {2}.*\n| *#.*\n)+/m, '')
    .replace(/namespaces: \[shop\]/, 'namespaces: [files]')
    .replace(/^ {2}disks: copy$/m, `  disks: ${disks}`);
  const { seed } = quickShop();
  const added = parse(SHARES, { merge: true }) as TwinObject[];
  more(added);
  return {
    playbook: parsePlaybook(text, 'files.yaml'),
    seed: { ...seed, source: { ...seed.source, objects: [...(seed.source.objects as TwinObject[]), ...added] } },
  };
}

const moveOf = (world: { playbook: Playbook; seed: Seed }) => stageFor(world, { clientsPerSecond: 0 });

/** @throws why there is no plan */
async function planOf({ playbook, seed }: { playbook: Playbook; seed: Seed }): Promise<Plan> {
  const stage = await openStage(playbook, seed, { clientsPerSecond: 0 });
  try {
    return makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers);
  } finally {
    await stage.close();
  }
}

test('the target mounts the same shares under the same names, a FlexVolume as a CSI volume, and keeps them whatever happens', async () => {
  const { stage, plan, engine } = await moveOf(sharing());
  try {
    mustBeDone(await run(plan, ['data'], engine));
    await stage.twin.settle();
    const { target, source } = stage.world;
    const nas = await target.get({ kind: 'PersistentVolume', name: 'nas-files' });
    const { csi, persistentVolumeReclaimPolicy, mountOptions } = nas!['spec'];
    assert.deepEqual(csi.volumeAttributes, { server: '1a2b-x.cn-hangzhou.nas.aliyuncs.com', path: '/files' });
    assert.deepEqual(
      [csi.volumeHandle, persistentVolumeReclaimPolicy, mountOptions],
      ['nas-files', 'Retain', ['vers=3', 'nolock']],
    );
    assert.equal(nas!.metadata.annotations?.['pv.kubernetes.io/provisioned-by'], undefined);
    const oss = (await target.get({ kind: 'PersistentVolume', name: 'old-oss' }))!['spec'];
    assert.deepEqual(oss.csi, {
      driver: 'ossplugin.csi.alibabacloud.com',
      volumeHandle: 'old-oss',
      nodePublishSecretRef: { name: 'oss-keys', namespace: 'files' },
      volumeAttributes: { bucket: 'pictures', url: 'oss-cn-hangzhou.aliyuncs.com', otherOpts: '-o allow_other' },
    });
    for (const name of ['shared', 'pictures'])
      assert.equal(
        (await target.get({ kind: 'PersistentVolumeClaim', namespace: 'files', name }))?.['status']?.phase,
        'Bound',
        name,
      );
    assert.equal(
      (await source.get({ kind: 'PersistentVolume', name: 'nas-files' }))?.['spec']?.persistentVolumeReclaimPolicy,
      'Retain',
      'the old volume too',
    );
    assert.equal(
      (await source.get({ kind: 'Deployment.apps', namespace: 'files', name: 'writer' }))?.['status']?.readyReplicas,
      undefined,
    );
    assert.equal(
      (await source.get({ kind: 'Deployment.apps', namespace: 'files', name: 'reader' }))?.['status']?.readyReplicas,
      1,
      'who only reads goes on',
    );
    assert.equal(
      (await source.get({ kind: 'CronJob.batch', namespace: 'files', name: 'sweep' }))?.['spec']?.suspend,
      true,
    );
    assert.equal(
      (await target.get({ kind: 'Deployment.apps', namespace: 'files', name: 'writer' }))?.['status']?.readyReplicas,
      2,
    );
  } finally {
    await stage.close();
  }
});

test('at no moment do both sides run a pod that writes to the share', async () => {
  const seen: string[] = [];
  const writing = async (side: 'source' | 'target') =>
    (await stage.world[side].list('Pod', { namespace: 'files', labels: 'app=writer' })).length;
  let looking = false;
  const { stage, plan, engine } = await stageFor(sharing(), {
    clientsPerSecond: 0,
    tap: async (call: Call, send) => {
      const reply = await send();
      if (call.writes && !looking) {
        looking = true;
        const [old, now] = [await writing('source'), await writing('target')];
        if (old > 0 && now > 0) seen.push(`${call.verb} ${call.what}: ${old} and ${now}`);
        looking = false;
      }
      return reply;
    },
  });
  try {
    mustBeDone(await run(plan, ['data'], engine));
    mustBeDone(await rollback(undefined, engine));
    assert.deepEqual(seen, []);
    assert.equal(await writing('source'), 2);
  } finally {
    await stage.close();
  }
});

test('a writer that comes back on the source keeps the target from starting', async () => {
  const { stage, plan, engine } = await stageFor(sharing(), {
    clientsPerSecond: 0,
    tap: async (call: Call, send) => {
      const reply = await send();
      const ref = { kind: 'Deployment.apps', namespace: 'files', name: 'writer' };
      if (call.writes && call.what.includes('restores')) {
        await stage.world.source.patch(ref, { spec: { replicas: 1 } });
        await stage.twin.settle();
      }
      return reply;
    },
  });
  try {
    const outcome = await run(plan, ['data'], engine);
    assert.equal(outcome.outcome === 'stopped' && (outcome.error as MigrateError).code, 'SOURCE_STILL_WRITES');
    assert.equal((await stage.world.target.list('Pod', { namespace: 'files' })).length, 0);
  } finally {
    await stage.close();
  }
});

test('with two sets of writers nobody stops, and the plan says so', async () => {
  const { stage, plan, engine } = await moveOf(sharing("{ shares: [{ claims: ['files/*'], writers: many }] }"));
  try {
    assert.ok(!plan.steps.some((it) => it.kind === 'quiesce'));
    assert.match(
      plan.notes.join('\n'),
      /files\/shared: both sides write to the share at once.*files\/writer, files\/sweep/,
    );
    mustBeDone(await run(plan, ['data'], engine));
    assert.equal((await stage.world.source.list('Pod', { namespace: 'files', labels: 'app=writer' })).length, 2);
  } finally {
    await stage.close();
  }
});

test('an entry names another server and directory, and the bucket’s Secret', async () => {
  const plan = await planOf(
    sharing(
      '{ shares: [{ claims: [files/sh*], server: 9z-y.cn-hangzhou.nas.aliyuncs.com, path: /moved }, { claims: [files/pictures], bucket: two, secret: files/oss-keys }] }',
    ),
  );
  const volume = (name: string) =>
    (plan.steps.find((it) => it.id === `data/share/files/${name}`)?.args as VolumeArgs | undefined)?.volume['spec'];
  assert.deepEqual(volume('shared').csi.volumeAttributes, {
    server: '9z-y.cn-hangzhou.nas.aliyuncs.com',
    path: '/moved',
  });
  assert.equal(volume('pictures').csi.volumeAttributes.bucket, 'two');
  assert.deepEqual(volume('pictures').csi.nodePublishSecretRef, { namespace: 'files', name: 'oss-keys' });
});

test('a volume whose claim is gone is not set to Delete again: its data would go at once', async () => {
  const { stage, plan, engine } = await moveOf(sharing());
  try {
    const step = plan.steps.find((it) => it.kind === 'retain-volumes')!;
    const warned: string[] = [];
    const context = contextOf(step, 'mark', {
      ...engine,
      emit: (event) => {
        if (event.type === 'warning') warned.push(event.what);
      },
    });
    const args = step.args as RetainArgs;
    const { source } = stage.world;
    const policy = async () =>
      (await source.get({ kind: 'PersistentVolume', name: 'nas-files' }))?.['spec']?.persistentVolumeReclaimPolicy;
    const before = await retain.check(args, context);
    await retain.apply(args, before, context);
    await retain.verify(args, before, context);
    await retain.undo(args, before, context);
    assert.equal(await policy(), 'Delete', 'as it was');

    await retain.apply(args, before, context);
    for (const name of ['writer', 'reader']) await source.delete({ kind: 'Deployment.apps', namespace: 'files', name });
    await source.delete({ kind: 'PersistentVolumeClaim', namespace: 'files', name: 'shared' });
    await stage.twin.settle();
    await retain.undo(args, before, context);
    assert.equal(await policy(), 'Retain');
    assert.match(warned.join(), /nas-files on the source stays at Retain/);
  } finally {
    await stage.close();
  }
});

test('who writes to a disk and to a share stops once, for both', async () => {
  const { playbook, seed } = sharing('copy', (objects) => {
    const spec = (name: string) => objects.find((it) => it.metadata.name === name)!['spec'];
    const named = (kind: string, name: string, rest: object) => ({
      apiVersion: 'v1',
      kind,
      metadata: { name, ...(kind.endsWith('Claim') && { namespace: 'files' }) },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'alicloud-disk-ssd', ...rest },
    });
    objects.push(
      named('PersistentVolume', 'd-2', {
        capacity: { storage: '40Gi' },
        claimRef: { namespace: 'files', name: 'index' },
        csi: { driver: 'diskplugin.csi.alibabacloud.com', volumeHandle: 'd-2' },
      }),
      named('PersistentVolumeClaim', 'index', { volumeName: 'd-2', resources: { requests: { storage: '40Gi' } } }),
    );
    spec('writer').template.spec.volumes.push({ name: 'index', persistentVolumeClaim: { claimName: 'index' } });
  });
  seed.cloud.disks = [{ id: 'd-2', zone: 'cn-hangzhou-h', category: 'cloud_ssd', sizeGiB: 40 }];
  const plan = await planOf({ playbook, seed });
  const [quiesce, ...more] = plan.steps.filter((it) => it.kind === 'quiesce');
  assert.equal(more.length, 0);
  const args = quiesce?.args as QuiesceArgs;
  assert.deepEqual(
    [args.claims.toSorted(), args.shares, args.volumes, args.workloads.length, args.live.length],
    [['files/index', 'files/shared'], ['files/shared'], ['d-2'], 1, 1],
  );
  const after = (id: string) => plan.steps.find((it) => it.id === id)?.after;
  assert.deepEqual(after('data/share/files/shared'), [quiesce?.id]);
  assert.deepEqual(after('data/disk/files/index/snapshot'), [quiesce?.id]);
  const start = plan.steps.find((it) => it.id === 'data/start/files')?.args as ScaleArgs;
  assert.deepEqual(start.moved, {
    claims: ['files/index', 'files/pictures', 'files/shared'],
    shares: ['files/pictures', 'files/shared'],
    volumes: ['d-2'],
  });
});

test('a move to another region has no plan without a share there', async () => {
  const world = sharing();
  world.playbook.cloud!.targetRegion = 'cn-shanghai';
  await assert.rejects(
    planOf(world),
    (error: unknown) => error instanceof MigrateError && error.code === 'PLAN_SHARED_VOLUME_UNFIT',
  );
});

test('keys in a volume itself reach no plan', async () => {
  const open = (objects: TwinObject[]) => {
    const volume = objects.find((it) => it.metadata.name === 'old-oss')!;
    Object.assign(volume['spec'].flexVolume.options, { akId: 'LTAI-not-a-key', akSecret: 'not-a-secret' });
    delete volume['spec'].flexVolume.secretRef;
  };
  await assert.rejects(planOf(sharing('{}', open)), /its keys stand in the volume itself/);
  const plan = await planOf(sharing('{ shares: [{ claims: [files/pictures], secret: files/oss-keys }] }', open));
  assert.doesNotMatch(JSON.stringify(plan), /not-a-secret|LTAI-not/);
});

test('killed at any point, a move of shares goes on to the same end and goes back to the same start', async (t) => {
  const whole = crashing(Infinity);
  const first = await stageFor(sharing(), { tap: whole.tap, store: whole.wrap(memoryStore()), clientsPerSecond: 0 });
  whole.arm();
  mustBeDone(await run(first.plan, ['data'], first.engine));
  await first.stage.twin.settle();
  const end = first.stage.twin.snapshot();
  await first.stage.close();
  const wrong: string[] = [];
  // From the restore on it is the same move as any other.
  let points = 0;
  for (let at = 0, over = false; !over && at <= whole.effects(); at += every(3), points++) {
    for (const after of ['run', 'rollback'] as const) {
      try {
        const { world, left } = await killedAt(at, sharing(), {
          plan: first.plan,
          phases: ['data'],
          after,
          clientsPerSecond: 0,
        });
        over = left.includes('"data/restore"');
        const places = differences(undrawn(after === 'run' ? end : first.start), undrawn(world));
        if (places.length > 0) wrong.push(`point ${at}, ${after}: ${places.slice(0, 3).join('; ')}`);
      } catch (error) {
        wrong.push(`point ${at}, ${after}: ${String(error)}`);
      }
    }
  }
  t.diagnostic(
    `${first.plan.steps.length} steps, ${points} points before the restore: each was resumed and rolled back`,
  );
  assert.ok(points * every(3) > 15 && points < whole.effects(), `${points} points`);
  assert.deepEqual(wrong, []);
});

test('somebody of a namespace that stays who may write to the same directory stands against one writer', async () => {
  const too = (by: string) => (objects: TwinObject[]) => {
    const found = (kind: string, name: string) =>
      structuredClone(objects.find((it) => it.kind === kind && it.metadata.name === name)) as TwinObject;
    const volume = found('PersistentVolume', 'nas-files');
    volume.metadata = { name: 'nas-stays' };
    volume['spec'].claimRef.namespace = 'stays';
    const claim = found('PersistentVolumeClaim', 'shared');
    claim['spec'].volumeName = 'nas-stays';
    const user = found('Deployment', by);
    for (const it of [claim, user]) it.metadata.namespace = 'stays';
    objects.push({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'stays' } }, volume, claim, user);
  };
  await assert.rejects(planOf(sharing('{}', too('writer'))), {
    code: 'PLAN_SHARED_VOLUME_UNFIT',
    message: /claim stays\/shared has the same share by volume nas-stays, and stays\/writer/,
  });
  await planOf(sharing('{ shares: [{ claims: [files/shared], writers: many }] }', too('writer')));
  await planOf(sharing('{}', too('reader')));
});

test('going back from a target that does not answer tells that the share may have two writers', async () => {
  const { stage, plan, engine } = await moveOf(sharing());
  const warned: string[] = [];
  try {
    mustBeDone(await run(plan, ['data'], engine));
    stage.twin.target.down();
    const emit: typeof engine.emit = (event) => void (event.type === 'warning' && warned.push(event.what));
    mustBeDone(await rollback(undefined, { ...engine, emit }));
    assert.match(warned.join('\n'), /and write to the shares of .*files\/shared.*shut its nodes off from them now/);
  } finally {
    await stage.close();
  }
});
