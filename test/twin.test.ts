import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { seededFaults } from '../src/twin/faults.js';
import { startTwin, type Twin, type TwinOptions } from '../src/twin/twin.js';
import type { Json, Seed } from '../src/twin/types.js';

const PREFIX = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';

const shopSeed = async (): Promise<Seed> => parse(await readFile('playbooks/shop.world.yaml', 'utf8'));

async function started(
  t: TestContext,
  change: (seed: Seed) => void = () => {},
  options: Partial<TwinOptions> = {},
): Promise<Twin> {
  const seed = await shopSeed();
  change(seed);
  const twin = await startTwin(seed, { clock: 'virtual', ...options });
  t.after(() => twin.stop());
  return twin;
}

const ask = async (twin: Twin, side: 'source' | 'target', path: string): Promise<Json> => {
  const letGo = twin.clock.hold();
  try {
    const answer = await fetch(`${twin[side].url}${path}`, {
      headers: { authorization: `Bearer ${twin[side].token}` },
    });
    return await answer.json();
  } finally {
    letGo();
  }
};

const target = (weight: string): Json => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: 'web',
    namespace: 'shop',
    annotations: { [`${PREFIX}id`]: 'lb-shop', [`${PREFIX}vgroup-port`]: 'rsp-shop:80', [`${PREFIX}weight`]: weight },
  },
  spec: { type: 'LoadBalancer', selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});

/** Copies the front to the other side, at weight 0. */
async function copyFront(twin: Twin): Promise<void> {
  const web = await twin.source.api.get('apps/v1/deployments', 'shop', 'web');
  await twin.target.api.create('v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await twin.target.api.create('apps/v1/deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'shop' },
    spec: web!['spec'],
  });
  await twin.target.api.create('v1/services', target('0'));
  await twin.settle();
}

const weigh = (twin: Twin, side: 'source' | 'target', weight: string | null): Promise<unknown> =>
  twin[side].api.mergePatch('v1/services', 'shop', 'web', {
    metadata: { annotations: { [`${PREFIX}weight`]: weight } },
  });

const members = async (twin: Twin): Promise<Json[]> =>
  (
    await twin.cloud.api.call('Slb', 'DescribeVServerGroupAttribute', {
      RegionId: 'cn-hangzhou',
      VServerGroupId: 'rsp-shop',
    })
  ).BackendServers.BackendServer;

test('the shop comes up: pods ready, volumes bound, the listener served', async (t) => {
  const twin = await started(t);
  const pods = await twin.source.api.list('v1/pods', 'shop');
  assert.equal(pods.length, 7);
  assert.ok(pods.every((it) => it['status'].phase === 'Running'));
  assert.equal((await twin.source.api.get('v1/persistentvolumeclaims', 'shop', 'orders'))?.['status'].phase, 'Bound');
  assert.deepEqual(
    (await members(twin)).map((it) => [it.ServerId, it.Port, it.Weight]),
    [
      ['i-shopold1', 31080, 100],
      ['i-shopold2', 31080, 100],
      ['i-shopold3', 31080, 100],
    ],
  );
  assert.deepEqual(twin.source.left, []);
});

test('it speaks over the wire with the tokens of its kubeconfig', async (t) => {
  const twin = await started(t);
  const config = parse(twin.kubeconfig());
  assert.deepEqual(
    config.contexts.map((it: Json) => it.name),
    ['shop-1-20', 'shop-1-36'],
  );
  assert.equal((await ask(twin, 'source', '/version')).gitVersion, 'v1.20.15');
  assert.equal((await ask(twin, 'target', '/api/v1/nodes')).items.length, 4);
  assert.equal((await ask(twin, 'source', '/apis/batch/v1beta1/cronjobs')).items.length, 1);
});

test('clients count who served them, and no request is lost while nothing changes', async (t) => {
  const twin = await started(t);
  await twin.clock.sleep(60_000);
  const { sent, failed, source, longestPauseMs } = twin.clients.counts();
  assert.ok(Math.abs(sent - 2400) <= 4, `${sent} sent`);
  assert.deepEqual([failed, source, longestPauseMs], [0, sent, 0]);
});

test('the share that clients see is the share of the weights', async (t) => {
  const twin = await started(t, (it) => (it.clients![0]!.perSecond = 200));
  await copyFront(twin);
  for (const [source, goal, percent] of [
    ['80', '20', (20 / 98) * 100],
    ['50', '50', 50.5],
    ['0', '100', 100],
  ] as const) {
    await weigh(twin, 'target', goal);
    await twin.clock.sleep(1_500);
    await weigh(twin, 'source', source);
    await twin.clock.sleep(1_500);
    twin.clients.mark(`step ${goal}`);
    await twin.clock.sleep(60_000);
    const share = twin.clients.share({ since: `step ${goal}`, loadBalancer: 'lb-shop', port: 80 });
    const live = await members(twin);
    const sum = (type: string): number =>
      live.filter((it) => it.Type === type).reduce((total, it) => total + it.Weight, 0);
    const wanted = (sum('eni') / (sum('eni') + sum('ecs'))) * 100;
    assert.ok(Math.abs(share.targetPercent! - wanted) < 0.5, `${goal}: ${share.targetPercent} of ${wanted}`);
    assert.ok(Math.abs(wanted - percent) < 2.5, `${goal}: ${wanted} of ${percent}`);
  }
  assert.equal(twin.clients.counts().failed, 0);
});

test('a side that is scaled away while it has weight loses requests until the health check notices', async (t) => {
  const twin = await started(t);
  await copyFront(twin);
  await weigh(twin, 'target', '50');
  await weigh(twin, 'source', '50');
  await twin.clock.sleep(5_000);
  await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 0 } });
  await twin.clock.sleep(30_000);
  const { failed, sent, target: served } = twin.clients.counts();
  assert.ok(failed > 50 && failed < 250, `${failed} failed`);
  twin.clients.mark('after');
  await twin.clock.sleep(10_000);
  assert.equal(twin.clients.share({ since: 'after' }).failed, 0);
  assert.equal(twin.clients.share({ since: 'after' }).targetPercent, 100);
  assert.ok(sent > served);
});

test('a rolling restart behind pod members loses nothing', async (t) => {
  const twin = await started(t);
  await copyFront(twin);
  await weigh(twin, 'target', '100');
  await weigh(twin, 'source', '0');
  await twin.clock.sleep(2_000);
  await twin.target.api.mergePatch('apps/v1/deployments', 'shop', 'web', {
    spec: { template: { metadata: { annotations: { restarted: 'yes' } } } },
  });
  await twin.clock.sleep(60_000);
  const { failed, target: served } = twin.clients.counts();
  assert.equal(failed, 0);
  assert.ok(served > 2_000);
});

test('both sides at 0 is an outage that shows', async (t) => {
  const twin = await started(t);
  await weigh(twin, 'source', '0');
  await twin.clock.sleep(10_000);
  const { failed, longestPauseMs } = twin.clients.counts();
  assert.ok(failed > 300);
  assert.ok(longestPauseMs > 8_000);
});

test('a front answers real requests through the weights', async (t) => {
  const twin = await started(t);
  const url = await twin.clients.frontUrl('lb-shop', 80);
  const letGo = twin.clock.hold();
  const answer = await fetch(`${url}/healthz`);
  const body: Json = await answer.json();
  assert.deepEqual([answer.status, body.side], [200, 'source']);
  assert.equal((await fetch(url, { method: 'HEAD' })).status, 200);
  letGo();
  await weigh(twin, 'source', '0');
  await twin.clock.sleep(2_000);
  assert.equal((await fetch(url)).status, 503);
});

test('there and back the world is the same', async (t) => {
  const twin = await started(t);
  const before = twin.snapshot();
  await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 0 } });
  await weigh(twin, 'source', '0');
  await twin.settle();
  assert.notDeepEqual(twin.snapshot(), before);
  await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 4 } });
  await weigh(twin, 'source', null);
  await twin.settle();
  assert.deepEqual(twin.snapshot(), before);
});

test('Velero on both sides shares a store: what one backs up the other restores', async (t) => {
  const twin = await started(t);
  const create = (side: 'source' | 'target', kind: string, name: string, spec: Json): Promise<unknown> =>
    twin[side].api.create(`velero.io/v1/${kind.toLowerCase()}s`, {
      apiVersion: 'velero.io/v1',
      kind,
      metadata: { name, namespace: 'velero' },
      spec,
    });
  await create('source', 'Backup', 'b', {
    includedNamespaces: ['shop'],
    excludedResources: [
      'pods',
      'replicasets.apps',
      'ingresses.extensions',
      'cronjobs.batch',
      'persistentvolumes',
      'events',
      'services',
      'endpointslices.discovery.k8s.io',
      'endpoints',
    ],
    includeClusterResources: false,
  });
  await twin.clock.sleep(90_000);
  await create('target', 'Restore', 'r', {
    backupName: 'b',
    includedNamespaces: ['shop'],
    excludedResources: ['persistentvolumes'],
    includeClusterResources: false,
  });
  await twin.clock.sleep(30_000);
  const restore = await twin.target.api.get('velero.io/v1/restores', 'velero', 'r');
  assert.equal(restore?.['status'].phase, 'Completed', JSON.stringify(twin.target.velero?.results('r')));
  const web = await twin.target.api.get('apps/v1/deployments', 'shop', 'web');
  assert.equal(web?.['status'].readyReplicas, 4);
  assert.equal((await twin.target.api.get('apps/v1/deployments', 'velero', 'velero'))?.['status'].readyReplicas, 1);
});

test('two twins of one seed are one world', async (t) => {
  const [a, b] = [await started(t), await started(t)];
  assert.deepEqual(a.snapshot(), b.snapshot());
});

test('a captured inventory is a seed: what controllers make is left out and made again', async (t) => {
  const first = await started(t);
  const list = async (side: 'source' | 'target', paths: string[]): Promise<Json> => {
    const entries = await Promise.all(paths.map(async (path) => [path, await first[side].api.list(path)]));
    return Object.fromEntries(entries);
  };
  const paths = [
    'v1/nodes',
    'v1/namespaces',
    'v1/services',
    'v1/pods',
    'apps/v1/deployments',
    'apps/v1/replicasets',
    'v1/persistentvolumes',
    'v1/persistentvolumeclaims',
    'v1/endpoints',
    'v1/events',
    'storage.k8s.io/v1/storageclasses',
    'v1/configmaps',
    'v1/secrets',
  ];
  const seed = await shopSeed();
  seed.source.objects = await list('source', [...paths, 'discovery.k8s.io/v1beta1/endpointslices']);
  seed.target.objects = await list('target', paths);
  const second = await startTwin(seed, { clock: 'virtual' });
  t.after(() => second.stop());
  const pods = await second.source.api.list('v1/pods', 'shop');
  assert.equal(pods.length, 7);
  assert.ok(pods.every((it) => it['status'].phase === 'Running'));
});

test('a target in another region has a network and a controller of its own', async (t) => {
  const seed: Seed = parse(await readFile('playbooks/cross-region.world.yaml', 'utf8'));
  const twin = await startTwin(seed, { clock: 'virtual' });
  t.after(() => twin.stop());
  for (const side of ['source', 'target'] as const) {
    const events = await twin[side].api.list('v1/events');
    assert.deepEqual(
      events.filter((it) => it['type'] === 'Warning').map((it) => it['message']),
      [],
    );
  }
});

test('faults follow from their seed, never stop progress and fit the server', () => {
  const requests = Array.from({ length: 3_000 }, (_, i) => ({
    to: (['source', 'target', 'cloud'] as const)[i % 3]!,
    verb: i % 3 === 2 ? 'SetVServerGroupAttribute' : 'patch',
    what: `x${i % 7}`,
    writes: true,
  }));
  const run = (seed: number): Json[] => {
    const faults = seededFaults(seed, { rate: 0.3 });
    return requests.map((it) => faults.decide(it) ?? null);
  };
  assert.deepEqual(run(1), run(1));
  assert.notDeepEqual(run(1), run(2));
  const seen = run(1);
  assert.deepEqual([...new Set(seen.filter((it) => it).map((it): string => it.kind))].toSorted(), [
    'cut',
    'lose',
    'refuse',
    'slow',
  ]);
  const always = seededFaults(1, { rate: 1 });
  const row = Array.from({ length: 8 }, () => always.decide(requests[0]!) === undefined);
  assert.deepEqual(row, [false, false, false, true, false, false, false, true]);
  for (const [i, fault] of seen.entries()) if (fault?.code === 'Conflict') assert.notEqual(requests[i]?.to, 'cloud');
  for (const [i, fault] of seen.entries())
    if (fault?.code === 'ServiceIsConfiguring') assert.equal(requests[i]?.to, 'cloud');
});

test('slow replies let virtual time pass, lost ones happen all the same', async (t) => {
  const slow = await started(t, () => {}, {
    faults: seededFaults(1, {
      rate: 1,
      kinds: { refuse: 0, cut: 0, lose: 0, slow: 1 },
      slowMs: { from: 5_000, to: 5_000 },
    }),
  });
  const before = slow.clock.now();
  assert.equal((await ask(slow, 'source', '/version')).gitVersion, 'v1.20.15');
  assert.equal(slow.clock.now() - before, 5_000);

  const lossy = await started(t, () => {}, {
    faults: seededFaults(1, { rate: 1, kinds: { refuse: 0, cut: 0, lose: 1, slow: 0 } }),
  });
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } });
  const headers = { authorization: `Bearer ${lossy.source.token}`, 'content-type': 'application/json' };
  await assert.rejects(
    fetch(`${lossy.source.url}/api/v1/namespaces/default/configmaps`, { method: 'POST', headers, body }),
  );
  assert.ok(await lossy.source.api.get('v1/configmaps', 'default', 'a'));
});

test('an outage lasts as long as it was given', () => {
  let now = 0;
  const faults = seededFaults(1, { rate: 0, now: () => now, outages: [{ to: 'target', fromMs: 10, forMs: 20 }] });
  const kind = (to: 'source' | 'target'): string | undefined =>
    faults.decide({ to, verb: 'get', what: '/', writes: false })?.kind;
  assert.equal(kind('target'), undefined);
  now = 15;
  assert.deepEqual([kind('target'), kind('source')], ['cut', undefined]);
  now = 30;
  assert.equal(kind('target'), undefined);
});

test('in real time it settles too', async (t) => {
  const twin = await started(t, (it) => ((it.source.podReadyMs = 50), (it.target.podReadyMs = 50)), {
    clock: 'real',
    ccmLatencyMs: { from: 10, to: 20 },
  });
  assert.equal(await twin.settle(20_000), true);
  assert.equal((await members(twin)).length, 3);
  const { token } = twin.source;
  assert.match(token, /^source-token-[0-9a-f]{32}$/);
});

test('pods write to the disks they mount until they are gone, so only the snapshot after that holds all of it', async (t) => {
  const twin = await started(t, () => {}, { cloud: { rates: { diskWritesPerSecond: 1, snapshotFixedMs: 1_000 } } });
  const { api } = twin.cloud;
  const DISK = 'd-bp1shoporders';
  const snap = async (name: string): Promise<string> =>
    (await api.call('Ecs', 'CreateSnapshot', { DiskId: DISK, SnapshotName: name })).SnapshotId;
  const scale = async (replicas: number) => {
    await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'orders', { spec: { replicas } });
    await twin.settle();
  };
  const writes = (id: string): number => api.contentOf(id)!.writes;

  await twin.clock.sleep(60_000);
  const live = await snap('live');
  assert.ok(writes(live) >= 60);
  await twin.clock.sleep(60_000);
  await scale(0);
  const last = await snap('last');
  await twin.clock.sleep(60_000);
  assert.ok(writes(live) < writes(last));
  assert.equal(writes(last), writes(DISK));
  await scale(1);
  await twin.clock.sleep(10_000);
  assert.ok(writes(DISK) > writes(last));
});

test('instances have the types of their nodes, and the cloud the quotas that the twin was started with', async (t) => {
  const twin = await started(t, () => {}, {
    cloud: { limits: { disksPerRegion: 1 } },
  });
  const { api } = twin.cloud;
  const { Instances } = await api.call('Ecs', 'DescribeInstances', { RegionId: 'cn-hangzhou', MaxResults: '100' });
  assert.ok(Instances.Instance.some((it: Json) => it.InstanceType === 'ecs.g6.2xlarge'));
  const disk = { RegionId: 'cn-hangzhou', ZoneId: 'cn-hangzhou-h', DiskCategory: 'cloud_ssd', Size: '20' };
  await assert.rejects(api.call('Ecs', 'CreateDisk', disk), { code: 'QuotaExceed.PostPaidDisk' });
});
