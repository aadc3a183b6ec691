import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { checks } from '../checks/index.js';
import { differences } from '../src/cli/rehearse.js';
import { openStage, type Stage } from '../src/cli/stage.js';
import type { EventBody } from '../src/events.js';
import { memoryStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan, type Plan } from '../src/plan.js';
import type { Call, Programs } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import type { TwinObject } from '../src/twin/types.js';
import {
  claim,
  container,
  csi,
  diskWorld,
  DISK_DRIVER,
  onDisk,
  persistent,
  volumeOf,
  type DiskWorld,
} from './disk-worlds.js';
import { engineOn, mustBeDone, quickShop, stageFor } from './shop.js';

/** Disks on a twin of both clusters and the cloud, whose disks remember what was written to them. */

interface Scene {
  stage: Stage;
  plan: Plan;
  notes: string[];
  events: EventBody[];
  forward(): Promise<unknown>;
  back(): Promise<unknown>;
  /** what the disk behind a claim of the target holds */
  arrived(claim: string): Promise<{ disk: string; data: readonly string[] }>;
}

async function scene(
  t: { after(run: () => Promise<void>): void },
  world: DiskWorld,
  { onWrite, programs }: { onWrite?: (call: Call, stage: Stage) => Promise<void>; programs?: Programs } = {},
): Promise<Scene> {
  const { playbook, seed } = diskWorld(world);
  const events: EventBody[] = [];
  const stage: Stage = await openStage(playbook, seed, {
    tap: async (call, send) => {
      const reply = await send();
      if (call.writes) await onWrite?.(call, stage);
      return reply;
    },
  });
  t.after(() => stage.close());
  await stage.twin.settle();
  const plan = makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers);
  const store = memoryStore();
  const engine = () => {
    const made = engineOn(stage, store, (event) => events.push(event));
    return programs ? { ...made, world: { ...made.world, programs } } : made;
  };
  return {
    stage,
    plan,
    events,
    notes: plan.notes,
    forward: () => run(plan, ['data', 'traffic'], engine()),
    back: () => rollback(undefined, engine()),
    async arrived(name) {
      const { api } = stage.twin.target;
      const bound = await api.get('v1/persistentvolumeclaims', 'shop', name);
      const volume = await api.get('v1/persistentvolumes', undefined, bound?.['spec'].volumeName as string);
      const disk = volume?.['spec'].csi.volumeHandle as string;
      return { disk, data: stage.twin.cloud.api.contentOf(disk)?.data ?? [] };
    },
  };
}

const done = async (outcome: Promise<unknown>) => mustBeDone((await outcome) as Parameters<typeof mustBeDone>[0]);
const stoppedBy = async (outcome: Promise<unknown>) =>
  ((await outcome) as { error?: { code?: string; what?: string } }).error ?? {};
const told = (events: readonly EventBody[], step: string) =>
  events.flatMap((it) => (it.type === 'step' && it.step === step && it.note !== undefined ? [it.note] : []));
const one = (more: object = {}) => ({ zone: 'cn-hangzhou-h', category: 'cloud_ssd', sizeGiB: 20, ...more });

test('the new disk has the last write before the writers stopped, which the live pass could not have', async (t) => {
  const first = await scene(
    t,
    {
      disks: [{ id: 'd-app', ...one({ content: ['long ago'], encrypted: true, kmsKey: 'key-h' }) }],
      source: onDisk('app'),
      targetRegion: 'cn-shanghai',
      zones: ['cn-shanghai-b'],
      data: 'kmsKey: key-s, disks: { live: 2 }',
      cloud: { kmsKeys: { 'cn-hangzhou': [{ id: 'key-h' }], 'cn-shanghai': [{ id: 'key-s' }] } },
    },
    {
      // The pod works on all the while: one line for each thing that we do in the cloud.
      onWrite: async ({ to, verb }, { twin }) => {
        if (to !== 'cloud') return;
        try {
          twin.cloud.api.writeTo('d-app', `after ${verb}`);
        } catch {
          // It is stopped, and lets go.
        }
      },
    },
  );
  const start = first.stage.twin.snapshot();
  await done(first.forward());
  const { disk, data } = await first.arrived('app');
  const { cloud } = first.stage.twin;
  assert.notEqual(disk, 'd-app');
  const made = await first.stage.world.cloud.disk('cn-shanghai', disk);
  assert.deepEqual([made?.encrypted, made?.kmsKey, made?.zone], [true, 'key-s', 'cn-shanghai-b']);
  assert.deepEqual(data, cloud.api.contentOf('d-app')?.data);
  assert.deepEqual(data.slice(0, 3), ['long ago', 'after CreateSnapshot', 'after CopySnapshot']);
  const copies = (cloud.api.snapshot() as { snapshots: { id: string; region: string; tags: Record<string, string> }[] })
    .snapshots;
  const live = copies.filter((it) => it.id && JSON.stringify(it).includes('copy-live-1'));
  assert.equal(live.length, 1);
  assert.ok((cloud.api.contentOf(live[0]?.id ?? '')?.data.length ?? 99) < data.length);

  const said = told(first.events, 'data/quiesce/shop/app').find((it) => it.includes('live pass')) ?? '';
  assert.match(
    said,
    /^the first live pass took .* for 20 GiB; the latest .*, and so about will the last pass, without writers; making the new disk comes on top$/,
  );
  assert.match(first.notes.join('\n'), /While a disk is copied its writers are at 0: shop\/app\./);

  await done(first.back());
  await first.stage.twin.settle();
  assert.deepEqual(differences(start, first.stage.twin.snapshot()), []);
});

test('two replicas of a StatefulSet keep a disk each, in the zone that the old one’s zone becomes', async (t) => {
  const labels = { app: 'db' };
  const set: TwinObject = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'shop' },
    spec: {
      replicas: 2,
      serviceName: 'db',
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: container('db') },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim('', '')['spec'] as object }],
    },
  };
  const at = (zone: string) => ({
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
  });
  const { forward, stage, arrived } = await scene(t, {
    disks: [
      { id: 'd-0', ...one({ content: ['zero'] }) },
      { id: 'd-1', ...one({ zone: 'cn-hangzhou-i', content: ['one'] }) },
    ],
    zones: ['cn-hangzhou-j', 'cn-hangzhou-k'],
    data: 'disks: { live: 0, zones: { cn-hangzhou-h: cn-hangzhou-j, cn-hangzhou-i: cn-hangzhou-k } }',
    source: [
      set,
      claim('data-db-0', 'pv-0'),
      persistent('pv-0', 'data-db-0', { ...csi('d-0'), ...at('cn-hangzhou-h') }),
      claim('data-db-1', 'pv-1'),
      persistent('pv-1', 'data-db-1', { ...csi('d-1'), ...at('cn-hangzhou-i') }),
    ],
  });
  await done(forward());
  const zones = await Promise.all(
    ['data-db-0', 'data-db-1'].map(async (name) => {
      const { disk, data } = await arrived(name);
      return [(await stage.world.cloud.disk('cn-hangzhou', disk))?.zone, ...data];
    }),
  );
  assert.deepEqual(zones, [
    ['cn-hangzhou-j', 'zero'],
    ['cn-hangzhou-k', 'one'],
  ]);
});

test('a FlexVolume disk arrives behind the CSI driver, encrypted because the playbook wants it, in a category that is sold', async (t) => {
  const { forward, stage, arrived, plan } = await scene(t, {
    disks: [{ id: 'd-flex', ...one({ category: 'cloud_efficiency', content: ['old days'] }) }],
    source: onDisk('app', {
      volume: { flexVolume: { driver: 'alicloud/disk', fsType: 'ext4', options: { VolumeId: 'd-flex' } } },
    }),
    data: 'kmsKey: key-1, disks: { live: 1, encrypt: all, categories: [cloud_essd, cloud_auto, cloud_ssd] }',
    cloud: { notSold: { 'cn-hangzhou-j': ['cloud_essd', 'cloud_auto'] } },
  });
  assert.deepEqual(
    plan.steps.filter((it) => it.id.startsWith('data/disk/')).map((it) => it.id),
    ['live/1/snapshot', 'live/1/copy', 'snapshot', 'copy', 'disk', 'volume'].map((it) => `data/disk/shop/app/${it}`),
  );
  await done(forward());
  const { disk, data } = await arrived('app');
  assert.deepEqual(data, ['old days']);
  const made = await stage.world.cloud.disk('cn-hangzhou', disk);
  assert.deepEqual(
    [made?.category, made?.encrypted, made?.kmsKey, made?.status],
    ['cloud_ssd', true, 'key-1', 'In_use'],
  );
  const volume = await stage.twin.target.api.get('v1/persistentvolumes', undefined, 'pv-app');
  assert.equal(volume?.['spec'].csi.driver, DISK_DRIVER);
  assert.equal(volume?.['spec'].flexVolume, undefined);
});

test('the target does not start on a copy while somebody on the source writes to the original again', async (t) => {
  const { forward, back, stage, arrived } = await scene(
    t,
    { disks: [{ id: 'd-app', ...one() }], source: onDisk('app'), data: 'disks: { live: 0 }' },
    {
      onWrite: async ({ to, verb, what }, { twin }) => {
        // A person, or an operator, when the new volume is already made.
        if (to !== 'target' || verb !== 'POST' || !what.includes('/persistentvolumes')) return;
        await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'app', { spec: { replicas: 1 } });
      },
    },
  );
  const { code, what } = await stoppedBy(forward());
  assert.equal(code, 'SOURCE_STILL_WRITES');
  assert.match(what ?? '', /^pod shop\/app-\S+ on the source .*whose disk was copied already\.$/);
  const there = await stage.twin.target.api.get('apps/v1/deployments', 'shop', 'app');
  assert.equal(there?.['spec'].replicas, 0);
  assert.deepEqual((await arrived('app')).data, []);
  await done(back());
  const here = await stage.twin.source.api.get('apps/v1/deployments', 'shop', 'app');
  assert.equal(here?.['spec'].replicas, 1);
});

test('the last snapshot is not made while somebody on the source has the disk again, and has what they wrote once they stop', async (t) => {
  const { plan, stage, arrived } = await scene(t, {
    disks: [{ id: 'd-app', ...one() }],
    source: onDisk('app'),
    data: 'disks: { live: 0 }',
  });
  const store = memoryStore();
  const ends = { stopping: () => store.lines.some((it) => /"done","step":"data\/quiesce/.test(it)) };
  assert.deepEqual(await run(plan, ['data'], { ...engineOn(stage, store), ...ends }), { outcome: 'interrupted' });
  const { api } = stage.twin.source;
  const scale = (replicas: number) => api.mergePatch('apps/v1/deployments', 'shop', 'app', { spec: { replicas } });
  await scale(1);
  await stage.twin.clock.sleep(60_000);
  stage.twin.cloud.api.writeTo('d-app', 'meanwhile');
  assert.equal((await stoppedBy(run(plan, ['data'], engineOn(stage, store)))).code, 'CLAIM_STILL_MOUNTED');
  await scale(0);
  await stage.twin.clock.sleep(60_000);
  await done(run(plan, ['data'], engineOn(stage, store)));
  assert.deepEqual((await arrived('app')).data, ['meanwhile']);
});

test('the last snapshot is not made while the cloud says that an instance has the disk, whatever the cluster says', async (t) => {
  const { forward, stage, arrived } = await scene(
    t,
    { disks: [{ id: 'd-app', ...one() }], source: onDisk('app'), data: 'disks: { live: 0 }' },
    {
      onWrite: async ({ to, verb, what }, { twin }) => {
        if (to !== 'source' || verb !== 'PATCH' || !what.includes('/deployments/app')) return;
        // By hand, once the cluster has let it go.
        twin.clock.after(60_000, () => {
          twin.cloud.api.addInstance({ id: 'i-hand', zone: 'cn-hangzhou-h', ip: '192.168.9.9' });
          twin.cloud.api.attachDisk('d-app', 'i-hand');
        });
        await twin.clock.sleep(61_000);
      },
    },
  );
  const { code, what } = await stoppedBy(forward());
  assert.equal(code, 'VOLUME_STILL_ATTACHED');
  assert.match(what ?? '', /d-app of shop\/app: the cloud says In_use by i-hand/);
  stage.twin.cloud.api.writeTo('d-app', 'by hand');
  stage.twin.cloud.api.detachDisk('d-app');
  await done(forward());
  assert.deepEqual((await arrived('app')).data, ['by hand']);
});

test('a start is over with as many pods as an autoscaler wants by then', async (t) => {
  let raised = false;
  const { forward, stage } = await scene(
    t,
    {
      disks: [{ id: 'd-app', ...one() }],
      source: onDisk('app').map((it) =>
        it.kind === 'Deployment' ? { ...it, spec: { ...it['spec'], replicas: 2 } } : it,
      ),
      data: 'disks: { live: 0 }',
    },
    {
      onWrite: async ({ to, verb, what }, { twin }) => {
        if (raised || to !== 'target' || verb !== 'PATCH' || !what.includes('/deployments/app')) return;
        raised = true;
        await twin.target.api.mergePatch('apps/v1/deployments', 'shop', 'app', { spec: { replicas: 1 } });
      },
    },
  );
  await done(forward());
  assert.ok(raised);
  const there = await stage.twin.target.api.get('apps/v1/deployments', 'shop', 'app');
  assert.deepEqual([there?.['spec'].replicas, there?.['status'].readyReplicas], [1, 1]);
});

test('what arrives running does not arrive while somebody on the source writes to the original again', async (t) => {
  const { forward, stage } = await scene(
    t,
    { disks: [{ id: 'd-app', ...one() }], source: onDisk('app'), data: 'arrive: running, disks: { live: 0 }' },
    {
      onWrite: async ({ verb }, { twin }) => {
        if (verb !== 'CreateDisk') return;
        await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'app', { spec: { replicas: 1 } });
      },
    },
  );
  assert.equal((await stoppedBy(forward())).code, 'SOURCE_STILL_WRITES');
  assert.equal(await stage.twin.target.api.get('apps/v1/deployments', 'shop', 'app'), undefined);
});

test('on the way back a number that somebody else has set stays, and is told', async (t) => {
  const { forward, back, stage, events } = await scene(t, {
    disks: [{ id: 'd-app', ...one() }],
    source: onDisk('app'),
    data: 'disks: { live: 0 }',
  });
  await done(forward());
  await stage.twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'app', { spec: { replicas: 2 } });
  await done(back());
  const here = await stage.twin.source.api.get('apps/v1/deployments', 'shop', 'app');
  assert.equal(here?.['spec'].replicas, 2);
  const warned = events.flatMap((it) => (it.type === 'warning' ? [it.what] : []));
  assert.ok(
    warned.some((it) => it.includes('deployment shop/app has 2 replicas on the source and had 1')),
    warned.join('\n'),
  );
});

test('what was there when the window opened is what goes back, and what somebody has deleted since does not hold up the way back', async (t) => {
  const { forward, back, stage, events } = await scene(t, {
    disks: [
      { id: 'd-app', ...one() },
      { id: 'd-b', ...one() },
    ],
    source: [...onDisk('app'), ...onDisk('b')],
    data: "disks: { live: 0, window: { from: '07:00', to: '08:00' } }",
  });
  const { api } = stage.twin.source;
  stage.twin.clock.after(
    30 * 60_000,
    () => void api.mergePatch('apps/v1/deployments', 'shop', 'app', { spec: { replicas: 0 } }),
  );
  await done(forward());
  await api.delete('apps/v1/deployments', 'shop', 'b', {});
  await done(back());
  assert.equal((await api.get('apps/v1/deployments', 'shop', 'app'))?.['spec'].replicas, 0);
  const warned = events.flatMap((it) => (it.type === 'warning' ? [it.what] : []));
  assert.ok(
    warned.some((it) => it.startsWith('deployment shop/b is not on the source any more')),
    warned.join('\n'),
  );
});

test('writers are not stopped when the plan does not know the claims of replicas that came since', async (t) => {
  const labels = { app: 'db' };
  const { forward, stage } = await scene(t, {
    disks: [
      { id: 'd-0', ...one() },
      { id: 'd-1', ...one() },
    ],
    data: 'disks: { live: 0 }',
    source: [
      {
        apiVersion: 'apps/v1',
        kind: 'StatefulSet',
        metadata: { name: 'db', namespace: 'shop' },
        spec: {
          replicas: 1,
          serviceName: 'db',
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: container('db') },
          volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim('', '')['spec'] as object }],
        },
      },
      claim('data-db-0', 'pv-0'),
      persistent('pv-0', 'data-db-0', csi('d-0')),
    ],
  });
  const { api } = stage.twin.source;
  await api.create('v1/persistentvolumes', persistent('pv-1', 'data-db-1', csi('d-1')));
  await api.create('v1/persistentvolumeclaims', claim('data-db-1', 'pv-1'));
  await api.mergePatch('apps/v1/statefulsets', 'shop', 'db', { spec: { replicas: 2 } });
  assert.equal((await stoppedBy(forward())).code, 'PLAN_STALE');
  assert.equal((await api.get('apps/v1/statefulsets', 'shop', 'db'))?.['spec'].replicas, 2);
});

test('a claim that a StatefulSet of applied files has made goes back with our volume, in a namespace that was there', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-disks-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const labels = { app: 'db' };
  const { volumeName: _none, ...template } = claim('', '')['spec'] as Record<string, unknown>;
  const set: TwinObject = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'shop' },
    spec: {
      replicas: 1,
      serviceName: 'db',
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: container('db') },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: template }],
    },
  };
  writeFileSync(path.join(dir, 'db.yaml'), stringify(set));
  const { forward, back, stage, arrived } = await scene(t, {
    disks: [{ id: 'd-0', ...one({ content: ['zero'] }) }],
    source: [set, claim('data-db-0', 'pv-0'), persistent('pv-0', 'data-db-0', csi('d-0'))],
    data: `apps: manifests, manifests: ${dir}, disks: { live: 0 }`,
  });
  const { api } = stage.twin.target;
  await api.create('v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await done(forward());
  assert.deepEqual((await arrived('data-db-0')).data, ['zero']);
  await done(back());
  assert.equal(await api.get('v1/persistentvolumes', undefined, 'pv-0'), undefined);
  const here = await stage.twin.source.api.get('apps/v1/statefulsets', 'shop', 'db');
  assert.equal(here?.['status'].readyReplicas, 1);
});

test('a Job that writes is waited for while its workload still serves, and its CronJob rests', async (t) => {
  let atStop: unknown;
  const tidy: TwinObject = {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'tidy', namespace: 'shop' },
    spec: {
      schedule: '0 0 1 1 *',
      jobTemplate: {
        spec: { template: { spec: { ...container('tidy'), restartPolicy: 'Never', volumes: [volumeOf('app')] } } },
      },
    },
  };
  const { forward, back, stage, plan } = await scene(
    t,
    { disks: [{ id: 'd-app', ...one() }], source: [...onDisk('app'), tidy], data: 'disks: { live: 0 }' },
    {
      onWrite: async ({ to, verb, what }, { twin }) => {
        if (to !== 'source' || verb !== 'PATCH') return;
        if (what.includes('/cronjobs/tidy')) {
          // It began just before.
          await twin.source.api.create('v1/pods', {
            apiVersion: 'v1',
            kind: 'Pod',
            metadata: {
              name: 'tidy-1-x',
              namespace: 'shop',
              ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'tidy-1', uid: 'u-1', controller: true }],
            },
            spec: { ...container('tidy'), restartPolicy: 'Never', volumes: [volumeOf('app')] },
          });
          twin.clock.after(60_000, () =>
            twin.source.api.delete('v1/pods', 'shop', 'tidy-1-x', { gracePeriodSeconds: 0 }),
          );
        }
        if (what.includes('/deployments/app'))
          atStop ??= (await twin.source.api.get('v1/pods', 'shop', 'tidy-1-x')) ?? 'gone';
      },
    },
  );
  const rest = plan.steps.find((it) => it.kind === 'quiesce');
  assert.deepEqual((rest?.args as { cronJobs: unknown } | undefined)?.cronJobs, [{ namespace: 'shop', name: 'tidy' }]);
  assert.match(plan.notes.join('\n'), /They rest on both sides, for their claims have moved: shop\/tidy\./);
  await done(forward());
  assert.equal(atStop, 'gone', 'the workload was stopped after the Job had ended');
  const suspended = async () =>
    (await stage.twin.source.api.get('batch/v1/cronjobs', 'shop', 'tidy'))?.['spec'].suspend as unknown;
  assert.equal(await suspended(), true);
  await done(back());
  assert.equal(await suspended(), false);
});

test('programs make the writers hold still, are all asked, and taken back when one of them can’t', async (t) => {
  const asked: string[] = [];
  let fails = true;
  const programs: Programs = {
    async run([program = ''], question) {
      const { verb, claims, claim: name } = question as { verb: string; claims?: string[]; claim?: string };
      asked.push(`${program} ${verb} ${claims?.join() ?? name ?? ''}`);
      if (program === './freeze-b' && fails) throw Object.assign(new Error('no'), { code: 'PROGRAM_FAILED' });
      return '{}';
    },
  };
  const both: TwinObject[] = onDisk('a').map((it) =>
    it.kind === 'Deployment'
      ? {
          ...it,
          spec: {
            ...it['spec'],
            template: {
              ...it['spec'].template,
              spec: {
                containers: [{ name: 'a', image: 'shop/a:1' }],
                volumes: ['a', 'b'].map((name) => ({ name, persistentVolumeClaim: { claimName: name } })),
              },
            },
          },
        }
      : it,
  );
  const rule = (name: string) =>
    `{ claims: [shop/${name}], freeze: { run: [./freeze-${name}], back: [./thaw-${name}] }, check: [./look-${name}] }`;
  const { forward, back, stage, arrived } = await scene(
    t,
    {
      disks: [
        { id: 'd-a', ...one({ content: ['a'] }) },
        { id: 'd-b', ...one({ content: ['b'] }) },
      ],
      source: [...both, claim('b', 'pv-b'), persistent('pv-b', 'b', csi('d-b'))],
      data: `disks: { live: 0, rules: [${rule('a')}, ${rule('b')}] }`,
    },
    { programs },
  );
  assert.equal((await stoppedBy(forward())).code, 'PROGRAM_FAILED');
  assert.deepEqual(asked, [
    './freeze-a freeze shop/a',
    './freeze-b freeze shop/b',
    './thaw-b thaw shop/b',
    './thaw-a thaw shop/a',
  ]);
  fails = false;
  asked.length = 0;
  await done(forward());
  assert.deepEqual([...asked].sort(), [
    './freeze-a freeze shop/a',
    './freeze-b freeze shop/b',
    './look-a check shop/a',
    './look-b check shop/b',
  ]);
  assert.deepEqual([(await arrived('a')).data, (await arrived('b')).data], [['a'], ['b']]);
  const here = await stage.twin.source.api.get('apps/v1/deployments', 'shop', 'a');
  assert.equal(here?.['status'].readyReplicas, 1, 'held still, not stopped');
  asked.length = 0;
  await done(back());
  assert.deepEqual(asked, ['./thaw-b thaw shop/b', './thaw-a thaw shop/a']);
});

test('the wait for the window tells how long the pause will be, and a plan without sold disks is none', async (t) => {
  const { forward, events } = await scene(t, {
    disks: [{ id: 'd-app', ...one() }],
    source: onDisk('app'),
    data: "disks: { window: { from: '07:00', to: '08:00' } }",
  });
  await done(forward());
  assert.deepEqual(
    told(events, 'data/quiesce/shop/app')
      .slice(0, 2)
      .map((it) => it.replace(/\d+( min)?( \d+)? s/g, '…')),
    [
      'the first live pass took … for 20 GiB; the last pass, without writers, takes no longer; making the new disk comes on top',
      'waiting … for 07:00 (+00:00)',
    ],
  );
  await assert.rejects(
    scene(t, {
      disks: [{ id: 'd-app', ...one() }],
      source: onDisk('app'),
      cloud: { notSold: { 'cn-hangzhou-j': ['cloud_ssd'] } },
    }),
    { code: 'PLAN_DISK_UNFIT' },
  );
});

test('a service whose disk moves is out from the stop of its writers to its single step, and the target serves it from then on', async () => {
  const { playbook, seed } = quickShop();
  const objects = seed.source.objects as TwinObject[];
  const front = objects.find((it) => it.kind === 'Service' && it.metadata.name === 'web');
  assert.ok(front);
  front['spec'] = { ...front['spec'], selector: { app: 'orders' } };
  const { stage, plan, engine } = await stageFor({ playbook, seed }, { clientsPerSecond: 0.5 });
  try {
    assert.deepEqual(
      plan.steps.flatMap((it) => (it.kind === 'shift' ? [it.id] : [])),
      ['traffic/100'],
    );
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    const { twin } = stage;
    const out = twin.clients.counts();
    assert.ok(out.failed > 0, 'nobody served while the disk was copied');
    await twin.clock.sleep(60_000);
    const now = twin.clients.counts();
    assert.equal(now.failed, out.failed);
    assert.ok(now.target > out.target);
    // Not to a source that would stay asleep.
    assert.equal((await stoppedBy(rollback('data/start/shop', engine))).code, 'SIDE_CANNOT_SERVE');
    mustBeDone(await rollback(undefined, engine));
    await twin.settle();
    const back = twin.clients.counts();
    await twin.clock.sleep(60_000);
    assert.ok(twin.clients.counts().source > back.source);
  } finally {
    await stage.close();
  }
});
