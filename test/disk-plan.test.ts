import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { QuiesceArgs } from '../src/args.js';
import type { Io } from '../src/cli/program.js';
import { seedOf } from '../src/cli/seeds.js';
import { openSession } from '../src/cli/session.js';
import { status } from '../src/cli/status.js';
import { dataSteps } from '../src/data.js';
import { estimateOf, tell } from '../src/disk-estimate.js';
import { movedDisks, type MovedDisk } from '../src/disks.js';
import type { Inventory } from '../src/inventory.js';
import { makePlan } from '../src/plan.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import { routers } from '../src/routers/index.js';
import { quickShopText, shipped } from './shop.js';
import { inventoryOf, worldOf, type Seed, type TerseWorld } from './worlds.js';

/** What becomes of disks, as plans say it: no cluster, no cloud. */

type Objects = NonNullable<NonNullable<TerseWorld['source']>['objects']>;

const CSI = 'diskplugin.csi.alibabacloud.com';
const claim = (name: string, more: object = {}) => ({
  is: `PersistentVolumeClaim shop/${name}`,
  spec: { volumeName: `pv-${name}`, storageClassName: 'old', ...more },
});
const volume = (name: string, more: object = {}) => ({
  is: `PersistentVolume pv-${name}`,
  spec: {
    accessModes: ['ReadWriteOnce'],
    capacity: { storage: '40Gi' },
    storageClassName: 'old',
    csi: { driver: CSI, volumeHandle: `d-${name}`, fsType: 'xfs' },
    ...more,
  },
});
const node = (zone: string, types: string[] = [], name = `n-${zone}`) => ({
  is: `Node ${name}`,
  labels: {
    'topology.kubernetes.io/zone': zone,
    'topology.diskplugin.csi.alibabacloud.com/zone': zone,
    ...Object.fromEntries(types.map((it) => [`node.csi.alibabacloud.com/disktype.${it}`, 'available'])),
  },
  status: { conditions: [{ type: 'Ready', status: 'True' }] },
});
const mounts = (name: string) => ({
  template: { spec: { volumes: [{ persistentVolumeClaim: { claimName: name } }] } },
});
const storageClass = (name: string, parameters: object) => ({
  is: `StorageClass ${name}`,
  provisioner: CSI,
  parameters,
});
const [H, J, FAR] = ['cn-hangzhou-h', 'cn-hangzhou-j', 'cn-shanghai-b'];

interface Terse {
  data?: object;
  targetRegion?: string;
  source?: Objects;
  target?: Objects;
  disks?: object[];
  /** by zone, what is sold there */
  sold?: Record<string, string[]>;
  unseen?: object[];
}

function seenIn({ data = {}, targetRegion, source, target, disks, sold, unseen }: Terse): {
  playbook: Playbook;
  inventory: Inventory;
} {
  const { playbook, inventory } = worldOf({
    playbook: {
      cloud: { provider: 'alibaba', region: 'cn-hangzhou', ...(targetRegion !== undefined && { targetRegion }) },
      data: { namespaces: ['shop'], ...data },
      traffic: null,
    },
    source: { objects: source ?? [claim('a'), volume('a')] },
    target: { objects: target ?? [node(J)] },
    cloud: { disks: disks ?? [disk('d-a')], ...(unseen && { unseen }) },
  });
  if (inventory.cloud && sold)
    inventory.cloud.sold = Object.entries(sold).map(([zone, categories]) => ({
      zone,
      disks: categories.map((category) => ({ category, minGiB: 1, maxGiB: 32_768 })),
    }));
  return { playbook, inventory };
}

const disk = (id: string, more: object = {}) => ({
  id,
  region: 'cn-hangzhou',
  zone: H,
  category: 'cloud_ssd',
  sizeGiB: 40,
  status: 'In_use',
  encrypted: false,
  tags: {},
  ...more,
});
const ALL = { [J]: ['cloud_essd', 'cloud_ssd', 'cloud_efficiency', 'cloud_auto'] };

const moved = (terse: Terse) => {
  const { playbook, inventory } = seenIn({ sold: ALL, ...terse });
  return movedDisks(playbook, inventory);
};
const one = (terse: Terse): MovedDisk => {
  const [first] = moved(terse).disks;
  assert.ok(first);
  return first;
};
const placeOf = ({ zone, category, performanceLevel, sizeGiB }: MovedDisk) =>
  [zone, category, performanceLevel ?? '', sizeGiB].join(' ').replace('  ', ' ');

const refuses = (terse: Terse, code: string, what: RegExp) =>
  assert.throws(
    () => moved(terse),
    (error: { code?: string; what?: string }) => {
      assert.equal(error.code, code);
      assert.match(error.what ?? '', what);
      return true;
    },
  );

test('the first category of the preference that the zone sells and a node there takes is taken', () => {
  const classes = (type: string, more: object = {}) => [node(J), storageClass('new', { type, ...more })];
  const data = { storageClasses: { old: 'new' } };
  assert.equal(placeOf(one({})), `${J} cloud_ssd 40`, 'what the disk is now');
  assert.equal(placeOf(one({ data, target: classes('cloud_auto,cloud_ssd') })), `${J} cloud_auto 40`);
  const [autoless, few] = [{ [J]: ['cloud_ssd', 'cloud_efficiency'] }, { [J]: ['cloud_efficiency'] }];
  assert.equal(placeOf(one({ data, target: classes('cloud_auto,cloud_ssd'), sold: autoless })), `${J} cloud_ssd 40`);
  assert.equal(placeOf(one({ data, target: classes('available'), sold: few })), `${J} cloud_efficiency 40`);
  const named = { ...data, disks: { categories: ['cloud_essd', 'cloud_efficiency'] } };
  assert.equal(placeOf(one({ data: named, target: classes('cloud_auto') })), `${J} cloud_essd PL1 40`);
  const labelled = [node(J, ['cloud_efficiency', 'cloud_auto']), node(H, ['cloud_essd'])];
  assert.equal(
    placeOf(one({ data: { ...named, zone: J }, target: labelled })),
    `${J} cloud_efficiency 40`,
    'a node of another zone is no help',
  );
  const ruled = { disks: { categories: ['cloud_essd'], rules: [{ claims: ['shop/*'], category: 'cloud_auto' }] } };
  assert.equal(placeOf(one({ data: ruled })), `${J} cloud_auto 40`);
});

test('where no category fits the plan says why, and what there is; what was not seen is never taken for fine', () => {
  const essd = { disks: { categories: ['cloud_essd'] } };
  refuses(
    { data: essd, sold: { [J]: ['cloud_efficiency'] } },
    'PLAN_DISK_UNFIT',
    /cloud_essd is not sold in cn-hangzhou-j, which has cloud_efficiency/,
  );
  refuses(
    { data: essd, target: [node(J, ['cloud_auto'])] },
    'PLAN_DISK_UNFIT',
    /no ready node in cn-hangzhou-j can attach cloud_essd; they take cloud_auto/,
  );
  refuses(
    { data: essd, disks: [disk('d-a', { sizeGiB: 40_000 })] },
    'PLAN_DISK_UNFIT',
    /goes up to 32768 GiB, and 40000 are needed/,
  );
  refuses({ sold: {} }, 'PLAN_DISK_UNFIT', /what zone cn-hangzhou-j sells is not known: it was not asked/);
  refuses(
    { sold: {}, unseen: [{ what: 'disks for sale in cn-hangzhou-j', why: 'Forbidden.RAM' }] },
    'PLAN_DISK_UNFIT',
    /not known: Forbidden.RAM/,
  );
});

test('a disk is made as large as its category and level want it, and the plan says so', () => {
  const rule = (more: object) => ({ disks: { rules: [{ claims: ['shop/a'], ...more }] } });
  const small = [disk('d-a', { sizeGiB: 5 })];
  const raised = moved({ disks: small });
  assert.deepEqual(raised.disks.map(placeOf), [`${J} cloud_ssd 20`]);
  assert.match(raised.notes.join('\n'), /Claim shop\/a: 5 GiB become 20, for cloud_ssd is not sold smaller/);
  assert.equal(raised.disks[0]?.newVolume?.['spec'].capacity.storage, '20Gi');
  const essd = (performanceLevel: string) => rule({ category: 'cloud_essd', performanceLevel });
  assert.equal(placeOf(one({ disks: small, data: essd('PL0') })), `${J} cloud_essd PL0 5`);
  assert.equal(placeOf(one({ disks: small, data: essd('PL2') })), `${J} cloud_essd PL2 461`);
  assert.equal(placeOf(one({ disks: small, data: essd('PL3') })), `${J} cloud_essd PL3 1261`);
  const levels = {
    data: { storageClasses: { old: 'new' } },
    target: [node(J), storageClass('new', { type: 'cloud_essd', performanceLevel: 'PL2,PL1,PL0' })],
  };
  assert.equal(placeOf(one(levels)), `${J} cloud_essd PL1 40`, 'the first level that the size allows');
  assert.equal(placeOf(one({ data: rule({ sizeGiB: 100 }) })), `${J} cloud_ssd 100`);
  refuses({ data: rule({ sizeGiB: 30 }) }, 'PLAN_DISK_UNFIT', /30 GiB are asked for, and disk d-a has 40/);
});

test('the zone is the rule’s, the old zone’s, the playbook’s, or the only one of ready nodes', () => {
  const target = [node(H), node(J), node('cn-hangzhou-k')];
  const sold = Object.fromEntries([H, J, 'cn-hangzhou-k'].map((it) => [it, ['cloud_ssd']]));
  const zoned = (disks: object, zone?: string) => one({ target, sold, data: { disks, ...(zone && { zone }) } }).zone;
  assert.equal(zoned({}, J), J);
  assert.equal(zoned({ zones: { [H]: 'cn-hangzhou-k' } }, J), 'cn-hangzhou-k');
  assert.equal(zoned({ zones: { [H]: 'cn-hangzhou-k' }, rules: [{ claims: ['shop/a*'], zone: H }] }, J), H);
  assert.equal(one({}).zone, J);
  refuses(
    { target, sold },
    'PLAN_ZONE_UNCLEAR',
    /claim shop\/a is not clear: ready nodes of the target are in 3 zones/,
  );
});

test('a regional disk lies in no zone: its volume names the region', () => {
  const regional = one({
    data: { disks: { categories: ['cloud_regional_disk_auto'] } },
    target: [node(H), node(J)],
    sold: { [H]: ['cloud_regional_disk_auto'], [J]: [] },
  });
  assert.equal(placeOf(regional), ' cloud_regional_disk_auto 40');
  assert.deepEqual(regional.newVolume!['spec'].nodeAffinity.required.nodeSelectorTerms, [
    { matchExpressions: [{ key: 'topology.kubernetes.io/region', operator: 'In', values: ['cn-hangzhou'] }] },
  ]);
});

test('what is encrypted stays so with a key of its region; what is not becomes so by a copy, and only with a key', () => {
  const far = { targetRegion: 'cn-shanghai', target: [node(FAR)], sold: { [FAR]: ['cloud_ssd'] } };
  const secret = [disk('d-a', { encrypted: true, kmsKey: 'key-h' })];
  const all = { disks: { encrypt: 'all' } };
  const told = (terse: Terse) => {
    const { copied, encrypted, kmsKey } = one(terse);
    return `${copied ? 'copied' : 'as it is'}, ${encrypted ? (kmsKey ?? 'no key') : 'plain'}`;
  };
  assert.equal(told({}), 'as it is, plain');
  assert.equal(told(far), 'copied, plain');
  assert.equal(told({ disks: secret }), 'as it is, key-h');
  assert.equal(told({ disks: secret, data: { kmsKey: 'key-x', ...all } }), 'as it is, key-h');
  assert.equal(told({ ...far, disks: secret, data: { kmsKey: 'key-s' } }), 'copied, key-s');
  assert.equal(told({ data: { kmsKey: 'key-x', ...all } }), 'copied, key-x');
  assert.equal(told({ ...far, data: { kmsKey: 'key-s', ...all } }), 'copied, key-s');
  refuses({ ...far, disks: secret }, 'PLAN_DISK_UNFIT', /is encrypted and a copy needs a key of cn-shanghai/);
  refuses({ data: all }, 'PLAN_DISK_UNFIT', /`encrypt: all` has no key/);
});

test('the new volume says its place everywhere that the old one did, and nothing else of the old disk', () => {
  const prefix = 'csi.alibabacloud.com/label-prefix/topology.diskplugin.csi.alibabacloud.com';
  const old = {
    ...volume('a', {
      volumeMode: 'Filesystem',
      mountOptions: ['noatime'],
      persistentVolumeReclaimPolicy: 'Delete',
      csi: {
        driver: CSI,
        volumeHandle: 'd-a',
        fsType: 'xfs',
        nodeStageSecretRef: { name: 's', namespace: 'shop' },
        volumeAttributes: {
          type: 'cloud_ssd',
          zoneId: H,
          mkfsOptions: '-O x',
          [`${prefix}/zone`]: H,
          [`${prefix}/region`]: 'cn-hangzhou',
          'csi.alibabacloud.com/label-prefix/csi.alibabacloud.com/disktype': 'cloud_ssd',
          'csi.alibabacloud.com/annotation-prefix/csi.alibabacloud.com/volume-topology': '{}',
          'storage.kubernetes.io/csiProvisionerIdentity': '1-8081-x',
        },
      },
    }),
    labels: {
      tier: 'gold',
      'failure-domain.beta.kubernetes.io/zone': H,
      'failure-domain.beta.kubernetes.io/region': 'cn-hangzhou',
      'csi.alibabacloud.com/disktype': 'cloud_ssd',
    },
    annotations: { 'csi.alibabacloud.com/volume-topology': '{}', 'pv.kubernetes.io/bound-by-controller': 'yes' },
  };
  const { newVolume } = one({
    data: { storageClasses: { old: 'new' }, disks: { categories: ['cloud_essd'] } },
    source: [claim('a'), old],
    target: [node(J, ['cloud_essd'])],
  });
  assert.deepEqual(newVolume, {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: 'pv-a',
      labels: {
        tier: 'gold',
        'topology.kubernetes.io/region': 'cn-hangzhou',
        'topology.kubernetes.io/zone': J,
        'csi.alibabacloud.com/disktype': 'cloud_essd.PL1',
      },
      annotations: {
        'pv.kubernetes.io/provisioned-by': CSI,
        'csi.alibabacloud.com/volume-topology':
          '{"nodeSelectorTerms":[{"matchExpressions":[{"key":"node.csi.alibabacloud.com/disktype.cloud_essd","operator":"In","values":["available"]}]}]}',
      },
    },
    spec: {
      capacity: { storage: '40Gi' },
      accessModes: ['ReadWriteOnce'],
      volumeMode: 'Filesystem',
      mountOptions: ['noatime'],
      storageClassName: 'new',
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'a' },
      csi: {
        driver: CSI,
        fsType: 'xfs',
        nodeStageSecretRef: { name: 's', namespace: 'shop' },
        volumeAttributes: { mkfsOptions: '-O x', type: 'cloud_essd', performanceLevel: 'PL1' },
      },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            {
              matchExpressions: [{ key: 'topology.diskplugin.csi.alibabacloud.com/zone', operator: 'In', values: [J] }],
            },
          ],
        },
      },
    },
  });
});

test('a claim that asks for more than its disk has is bound again as it was', () => {
  const capacity = (asked: string) =>
    one({
      source: [
        claim('a', { resources: { requests: { storage: asked } } }),
        volume('a', { capacity: { storage: '100Gi' } }),
      ],
    }).newVolume?.['spec'].capacity.storage as string;
  assert.equal(capacity('40Gi'), '40Gi');
  assert.equal(capacity('60Gi'), '100Gi');
});

test('a FlexVolume becomes a CSI volume, by the label that the target’s nodes have', () => {
  const flex = (options: object) =>
    volume('a', { csi: undefined, flexVolume: { driver: 'alicloud/disk', fsType: 'ext3', readOnly: true, options } });
  const plain = { ...node(J), labels: { 'topology.kubernetes.io/zone': J } };
  for (const options of [{ VolumeId: 'd-a' }, { volumeId: 'd-a' }]) {
    const { disk: id, newVolume } = one({ source: [claim('a'), flex(options)], target: [plain] });
    assert.equal(id, 'd-a');
    assert.deepEqual(newVolume!['spec'].csi, {
      driver: CSI,
      fsType: 'ext3',
      readOnly: true,
      volumeAttributes: { type: 'cloud_ssd' },
    });
    assert.equal(newVolume!['spec'].flexVolume, undefined);
    assert.deepEqual(newVolume!['spec'].nodeAffinity.required.nodeSelectorTerms[0].matchExpressions, [
      { key: 'topology.kubernetes.io/zone', operator: 'In', values: [J] },
    ]);
  }
});

test('all who write are found, by their templates and by the pods that run', () => {
  const owned = (kind: string, name: string) => ({
    ownerReferences: [
      {
        apiVersion: kind.includes('.') ? `${kind.split('.')[1]}/v1` : 'v1',
        kind: kind.split('.')[0],
        name,
        uid: 'u',
        controller: true,
      },
    ],
  });
  const pod = (name: string, ofClaim: string, more: object = {}) => ({
    is: `Pod shop/${name}`,
    spec: { volumes: [{ persistentVolumeClaim: { claimName: ofClaim } }] },
    ...more,
  });
  const base = [claim('a'), volume('a')];
  const writers = (...more: Objects) => {
    const { disks, notes } = moved({ source: [...base, ...more] });
    const [first] = disks;
    return {
      workloads: first?.workloads.map((it) => `${it.kind} ${it.name} ${it.replicas}`),
      cronJobs: first?.cronJobs.map((it) => it.name),
      notes: notes.join('\n'),
    };
  };
  const deployment = { is: 'Deployment shop/web', spec: { replicas: 2, ...mounts('a') } };
  assert.deepEqual(writers(deployment).workloads, ['Deployment.apps web 2']);
  assert.deepEqual(
    writers(
      { is: 'Deployment shop/web', spec: { replicas: 2 } },
      { is: 'ReplicaSet shop/web-1', ...owned('Deployment.apps', 'web') },
      pod('web-1-x', 'a', owned('ReplicaSet.apps', 'web-1')),
    ).workloads,
    ['Deployment.apps web 2'],
    'its template has changed since',
  );
  assert.deepEqual(
    writers(deployment, pod('web-1-x', 'a', owned('ReplicaSet.apps', 'web-1'))).workloads,
    ['Deployment.apps web 2'],
    'ReplicaSets of a great cluster are not looked at',
  );
  const cron = { is: 'CronJob shop/tidy', spec: { jobTemplate: { spec: mounts('a') } } };
  const tidy = writers(
    deployment,
    cron,
    { is: 'Job shop/tidy-1', ...owned('CronJob.batch', 'tidy') },
    pod('tidy-1-x', 'a', owned('Job.batch', 'tidy-1')),
    pod('done', 'a', { status: { phase: 'Succeeded' } }),
    pod('elsewhere', 'b'),
  );
  assert.deepEqual([tidy.cronJobs, tidy.workloads], [['tidy'], ['Deployment.apps web 2']]);
  const loose = writers({ is: 'Job shop/import' }, pod('import-x', 'a', owned('Job.batch', 'import')));
  assert.match(loose.notes, /Jobs that run on claims which move are waited for .*: shop\/import\./);

  const left = (what: RegExp, ...more: Objects) => refuses({ source: [...base, ...more] }, 'PLAN_DISK_UNFIT', what);
  left(/daemonset shop\/agent mounts it/, { is: 'DaemonSet shop/agent', spec: mounts('a') });
  left(/pod shop\/debug mounts it/, pod('debug', 'a'));
  left(
    /rollout shop\/web mounts it/,
    { is: 'ReplicaSet shop/web-1', ...owned('Rollout.argoproj.io', 'web') },
    pod('p', 'a', owned('ReplicaSet.apps', 'web-1')),
  );
  left(/mysqlcluster shop\/db mounts it/, pod('db-0', 'a', owned('MySQLCluster.example.com', 'db')));
  const held = { disks: { rules: [{ claims: ['shop/a'], freeze: { run: ['./hold'], back: ['./go'] } }] } };
  assert.deepEqual(one({ data: held, source: [...base, pod('debug', 'a')] }).freeze, {
    run: ['./hold'],
    back: ['./go'],
  });

  const woken = writers({
    ...deployment,
    ...owned('Shop.example.com', 'shop'),
    labels: { 'argocd.argoproj.io/instance': 'shop' },
  });
  assert.match(
    woken.notes,
    /Pause .*the controller of shop shop\/shop, which owns shop\/web; GitOps \(argocd.argoproj.io\/instance\) of shop\/web/,
  );
});

test('a StatefulSet that would delete its claims when scaled down is refused', () => {
  const set = (whenScaled: string) => ({
    is: 'StatefulSet shop/db',
    spec: {
      volumeClaimTemplates: [{ metadata: { name: 'data' } }],
      persistentVolumeClaimRetentionPolicy: { whenScaled },
    },
  });
  const source = (whenScaled: string) => [claim('data-db-0'), volume('data-db-0'), set(whenScaled)];
  const disks = [disk('d-data-db-0')];
  assert.deepEqual(
    one({ source: source('Retain'), disks }).workloads.map((it) => it.name),
    ['db'],
  );
  refuses({ source: source('Delete'), disks }, 'PLAN_DISK_UNFIT', /StatefulSet shop\/db deletes its claims/);
});

test('claims that name no disk, or go with their pod, are told and left', () => {
  const { disks, notes } = moved({
    source: [
      { ...claim('a'), ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'web-0', uid: 'u' }] },
      volume('a'),
      claim('b'),
      claim('c'),
      volume('c', { csi: { driver: 'rbd.csi.ceph.com', volumeHandle: 'rbd' } }),
    ],
    data: { disks: { rules: [{ claims: ['shop/dta-*'], zone: J }] } },
  });
  assert.deepEqual(disks, []);
  for (const what of [
    /Claim shop\/a belongs to a pod/,
    /Claim shop\/b is not bound/,
    /Claim shop\/c: volume pv-c is no disk/,
    /shop\/dta-\* names no claim/,
  ])
    assert.match(notes.join('\n'), what);
});

test('nobody stops before the last live pass of all disks is done, for the target starts once every volume is there', () => {
  const user = (name: string) => ({ is: `Deployment shop/on-${name}`, spec: mounts(name) });
  const source = ['a', 'b'].flatMap((it) => [claim(it), volume(it), user(it)]);
  const { playbook, inventory } = seenIn({
    source,
    disks: [disk('d-a'), disk('d-b')],
    sold: ALL,
    data: { disks: { live: 2 } },
  });
  const { steps } = dataSteps(playbook, inventory);
  const quiesced = steps.filter((it) => it.kind === 'quiesce');
  assert.equal(quiesced.length, 2);
  for (const it of quiesced) {
    assert.deepEqual(
      it.after.filter((id) => id.includes('/live/')),
      ['data/disk/shop/a/live/2/snapshot', 'data/disk/shop/b/live/2/snapshot'],
    );
    // Each tells by its own passes how long it will take.
    const { claims, live } = it.args as QuiesceArgs;
    assert.deepEqual(
      live.map((one) => one.claim),
      claims,
    );
  }
});

test('disks with a writer in common stop together, each program makes its own hold still, and half of them can’t be frozen', () => {
  const web = {
    is: 'Deployment shop/web',
    spec: { template: { spec: { volumes: ['a', 'b'].map((it) => ({ persistentVolumeClaim: { claimName: it } })) } } },
  };
  const source = [claim('a'), volume('a'), claim('b'), volume('b'), web];
  const disks = [disk('d-a'), disk('d-b')];
  const freeze = (name: string) => ({
    claims: [`shop/${name}`],
    freeze: { run: ['./freeze', name], back: ['./thaw', name] },
    check: ['./look', name],
  });
  const stepsFor = (rules: object[]) => {
    const { playbook, inventory } = seenIn({ source, disks, sold: ALL, data: { disks: { rules } } });
    return dataSteps(playbook, inventory);
  };
  const { steps } = stepsFor([freeze('a'), freeze('b')]);
  const quiesced = steps.filter((it) => it.kind === 'quiesce').map((it) => it.args as QuiesceArgs);
  assert.equal(quiesced.length, 1);
  assert.deepEqual(quiesced[0]?.freezes, [
    { claims: ['shop/a'], run: ['./freeze', 'a'], back: ['./thaw', 'a'] },
    { claims: ['shop/b'], run: ['./freeze', 'b'], back: ['./thaw', 'b'] },
  ]);
  assert.deepEqual([quiesced[0]?.workloads, quiesced[0]?.still?.map((it) => it.name)], [[], ['web']]);
  const looks = steps.filter((it) => it.kind === 'data-check');
  assert.deepEqual(
    looks.map((it) => [it.id, it.after]),
    [
      ['data/disk/shop/a/check', ['data/start/shop']],
      ['data/disk/shop/b/check', ['data/start/shop']],
    ],
  );
  const start = steps.find((it) => it.id === 'data/start/shop');
  assert.ok(start);
  assert.equal((start.args as { moved?: unknown }).moved, undefined, 'those who hold still keep their claims');
  assert.throws(() => stepsFor([freeze('a')]), { code: 'PLAN_DISK_UNFIT' });
});

test('who changes sides later wakes on the copy no sooner than the source has let go, and that is its point of no return', () => {
  const { playbook, inventory } = seenIn({
    source: [claim('a'), volume('a'), { is: 'Deployment shop/consumer', spec: { replicas: 1, ...mounts('a') } }],
    data: { oneSide: [{ workload: 'deployment shop/consumer' }] },
    sold: ALL,
  });
  const { steps } = makePlan(playbook, inventory, routers);
  const side = steps.find((it) => it.kind === 'switch-side');
  assert.deepEqual((side?.args as { moved?: unknown } | undefined)?.moved, { claims: ['shop/a'], volumes: ['pv-a'] });
  assert.match(side?.noReturn ?? '', /the target writes to its own copy of shop\/a/);
  assert.equal(steps.filter((it) => it.noReturn !== undefined).length, 1);
});

const marked = (data: Record<string, unknown>) => {
  const { playbook, inventory } = seenIn({
    source: [claim('a'), volume('a'), { is: 'Deployment shop/consumer', spec: { replicas: 1, ...mounts('a') } }],
    data,
    sold: ALL,
  });
  return makePlan(playbook, inventory, routers).steps.filter((it) => it.noReturn !== undefined);
};

test('what changes sides later is a point of no return too where its writers were only held still', () => {
  const disks = { rules: [{ claims: ['shop/a'], freeze: { run: ['./freeze'], back: ['./thaw'] } }] };
  assert.deepEqual(
    marked({ oneSide: [{ workload: 'deployment shop/consumer' }], disks }).map((it) => it.id),
    ['traffic/side/deployment/shop/consumer'],
  );
});

test('where workloads arrive running the restore is the start: a point of no return, and no sooner than the source has let go', () => {
  const [restore, ...others] = marked({ arrive: 'running' });
  assert.deepEqual([restore?.id, others], ['data/restore', []]);
  assert.deepEqual((restore?.args as { moved?: unknown } | undefined)?.moved, {
    claims: ['shop/a'],
    volumes: ['pv-a'],
  });
  assert.deepEqual(
    marked({ arrive: 'running', oneSide: [{ workload: 'deployment shop/consumer' }] }).map((it) => it.id),
    ['traffic/side/deployment/shop/consumer'],
  );
});

test('status says what a run that waits for the window waits for, and how long the pause will be', async (t) => {
  const stateDir = mkdtempSync(path.join(os.tmpdir(), 'migrate-disks-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const hour = (plus: number) => new Date(Date.now() + plus * 3_600_000).toISOString().slice(11, 16);
  const { playbook, inventory } = seenIn({ data: { disks: { window: { from: hour(3), to: hour(4) } } }, sold: ALL });
  const plan = makePlan(playbook, inventory, routers);
  const session = openSession(playbook.name, { stateDir });
  t.after(() => session.close());
  session.savePlan(plan);
  const done = plan.steps.filter((it) => !it.after.includes('data/quiesce/shop/a') && it.id !== 'data/quiesce/shop/a');
  for (const step of done.filter((it) => /retain|backup|rules|live/.test(it.id))) {
    session.journal.write({ type: 'begun', step, mark: 'm', before: {} });
    session.journal.write({ type: 'done', step: step.id });
  }
  const events: { waiting?: string }[] = [];
  await status({ playbook, stateDir, watch: false }, {
    emit: (it) => void events.push(it as object),
    stopping: () => false,
    live: false,
  } as Io);
  assert.match(
    events[0]?.waiting ?? '',
    /^data\/quiesce\/shop\/a: [23] h.* until \d\d:\d\d \(\+00:00\); the first live pass took .* for 40 GiB; the last pass, without writers, takes no longer/,
  );
});

test('a rehearsal of a captured world sells what was for sale when it was captured', () => {
  const { playbook, inventory } = seenIn({ sold: { [J]: ['cloud_ssd', 'cloud_auto'] } });
  const { notSold = {} } = seedOf(playbook, inventory).cloud;
  assert.deepEqual(Object.keys(notSold), [J]);
  assert.ok(notSold[J]?.includes('cloud_essd') && !notSold[J].includes('cloud_auto'));
});

test('what the live passes took is the bound of the last one, and two of them tell what it will be', () => {
  const took = (ms: Record<string, number>) => (step: string) => ms[step];
  const live = [
    {
      claim: 'shop/a',
      sizeGiB: 100,
      passes: [
        ['a1', 'a1c'],
        ['a2', 'a2c'],
      ],
    },
    {
      claim: 'shop/b',
      sizeGiB: 20,
      passes: [
        ['b1', 'b1c'],
        ['b2', 'b2c'],
      ],
    },
  ];
  const ms = { a1: 60_000, a1c: 1_080_000, b1: 30_000, b1c: 300_000 };
  assert.equal(
    tell(estimateOf(live, took(ms))!),
    'the first live pass took 19 min for 120 GiB on 2 disks; the last pass, without writers, takes no longer; making the new disk comes on top',
  );
  assert.equal(
    tell(estimateOf(live, took({ ...ms, a2: 5000, a2c: 100_000, b2: 5000, b2c: 70_000 }))!),
    'the first live pass took 19 min for 120 GiB on 2 disks; the latest 1 min 45 s, and so about will the last pass, without writers; making the new disk comes on top',
  );
  assert.equal(estimateOf(live, took({})), undefined);
});

test('a service whose workloads rest for a disk goes over in one step, and one that would not go wholly is refused', () => {
  const inventory = inventoryOf(shipped('shop').seed as unknown as Seed);
  const resting: Inventory = {
    ...inventory,
    source: {
      ...inventory.source,
      objects: {
        ...inventory.source.objects,
        Service: (inventory.source.objects['Service'] ?? []).map((it) =>
          it.metadata.name === 'web' ? { ...it, spec: { ...it['spec'], selector: { app: 'orders' } } } : it,
        ),
      },
    },
  };
  const plan = (text: string, seen: Inventory) => makePlan(parsePlaybook(text, 'shop.yaml'), seen, routers);
  const shares = (seen: Inventory) =>
    plan(quickShopText(), seen).steps.flatMap((it) => (it.kind === 'shift' ? [it.id] : []));
  assert.deepEqual(shares(inventory), ['traffic/1', 'traffic/5', 'traffic/20', 'traffic/50', 'traffic/100']);
  assert.deepEqual(shares(resting), ['traffic/100']);
  assert.match(
    plan(quickShopText(), resting).notes.join('\n'),
    /shop\/web is out from data\/quiesce\/shop\/orders, where its writers stop, until traffic\/100, the single step/,
  );
  assert.throws(() => plan(quickShopText().replace(/steps: \[.*\]/, 'steps: [1, 5]'), resting), {
    code: 'PLAN_SERVICE_UNFIT',
  });
});
