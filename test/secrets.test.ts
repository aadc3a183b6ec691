import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { askDatabases } from '../src/database-fit.js';
import { databaseEntry, type PairedDatabase } from '../src/databases.js';
import { openDatabases } from '../src/db/index.js';
import { passwordOf } from '../src/db/wire.js';
import { MigrateError } from '../src/errors.js';
import type { EventBody } from '../src/events.js';
import { memoryStore } from '../src/journal.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import { look } from '../src/cli/looking.js';
import { plainTap } from '../src/cli/world.js';
import { hideIn, kept } from '../src/redact.js';
import { mustBeDone, quickShop, stageFor } from './shop.js';

const CANARY = 'c4n4ry';
let planted = 0;
const canary = () => `${CANARY}${++planted}x`;
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** The shop with a credential in every place where people keep them. */
function plantedShop() {
  const { playbook, seed } = quickShop();
  const values: string[] = [];
  const plant = (wrap: (text: string) => string = (text) => text) => {
    const value = canary();
    values.push(value, base64(value));
    return wrap(value);
  };
  const objects = Object.values(seed.source.objects).flat();
  const web = objects.find((it) => it.kind === 'Deployment' && it.metadata.name === 'web');
  assert.ok(web);
  const container = web['spec'].template.spec.containers[0];
  container.env = [
    ...(container.env ?? []),
    { name: 'DB_PASSWORD', value: plant() },
    { name: 'DATABASE_URL', value: plant((text) => `mysql://shop:${text}@db/shop`) },
  ];
  web.metadata.annotations = {
    ...web.metadata.annotations,
    'example.com/note': plant(),
    'kubectl.kubernetes.io/last-applied-configuration': plant((text) =>
      JSON.stringify({ apiVersion: 'apps/v1', kind: 'Deployment', spec: { password: text } }),
    ),
  };
  const secret = plant();
  objects.push(
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: 'db',
        namespace: 'shop',
        annotations: {
          'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({
            apiVersion: 'v1',
            kind: 'Secret',
            data: { password: base64(secret) },
          }),
        },
      },
      type: 'Opaque',
      data: { password: base64(secret) },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'app', namespace: 'shop' },
      data: { token: plant(), 'app.conf': plant((text) => `user = shop\npassword = ${text}\n`) },
    },
  );
  const release = gzipSync(
    JSON.stringify({
      manifest: plant(
        (text) => `apiVersion: v1\nkind: Secret\nmetadata:\n  name: chart\nstringData:\n  password: ${text}\n`,
      ),
      config: { password: plant() },
    }),
  ).toString('base64');
  objects.push({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: 'sh.helm.release.v1.chart.v1',
      namespace: 'shop',
      labels: { owner: 'helm', name: 'chart', version: '1', status: 'deployed' },
    },
    type: 'helm.sh/release.v1',
    data: { release: base64(release) },
  });
  const config = objects.find((it) => it.kind === 'ConfigMap' && it.metadata.name === 'cloud-config');
  if (config)
    config['data'] = {
      'cloud-config.conf': JSON.stringify({
        Global: {
          clusterID: 'c-shop-120',
          accessKeyID: base64(plant()),
          accessKeySecret: base64(plant()),
          region: 'cn-hangzhou',
        },
      }),
    };
  return { playbook, seed: { ...seed, source: { ...seed.source, objects } }, values };
}

test('no credential reaches inventory, plan, journal, event or error', async () => {
  const { playbook, seed, values } = plantedShop();
  const store = memoryStore();
  const events: EventBody[] = [];
  const { stage, plan, engine } = await stageFor(
    { playbook, seed },
    { store, emit: (event) => events.push(event), clientsPerSecond: 5 },
  );
  try {
    const { inventory, report } = await look(playbook, stage.world);
    assert.deepEqual(
      inventory.source.evidence?.helm?.releases.map((it) => it.writes[0]?.name),
      ['chart'],
      'the release was not read',
    );
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    mustBeDone(await rollback(undefined, engine));
    const { accessKeySecret } = stage.twin.cloud;
    const tokens = [stage.twin.source.token, stage.twin.target.token];
    const errors: unknown[] = [];
    // Errors of both clusters and the cloud, as they would be told.
    stage.twin.target.down();
    stage.twin.cloud.down();
    for (const ask of [
      () => stage.world.target.list('Secret', { namespace: 'shop' }),
      () => stage.world.cloud.backends('rsp-shop'),
    ])
      await ask().catch((error: unknown) => errors.push(error));
    assert.equal(errors.length, 2);
    const written: Record<string, string> = {
      inventory: JSON.stringify(inventory),
      report: JSON.stringify(report),
      plan: JSON.stringify(plan),
      journal: store.lines.join('\n'),
      events: JSON.stringify(events),
      errors: errors.map((it) => `${String(it)} ${JSON.stringify(it)} ${(it as Error).stack ?? ''}`).join('\n'),
    };
    for (const [where, text] of Object.entries(written)) {
      assert.ok(text.length > 100, `${where} is empty`);
      for (const value of [...values, accessKeySecret, ...tokens])
        assert.ok(
          !text.includes(value),
          `${where} holds ${value}: …${text.slice(Math.max(0, text.indexOf(value) - 80), text.indexOf(value) + 20)}`,
        );
    }
  } finally {
    await stage.close();
  }
});

test('a database is opened with the password of a Secret or of the environment, and no error repeats it', async () => {
  const { playbook, seed, values } = plantedShop();
  const { stage } = await stageFor({ playbook, seed }, { clientsPerSecond: 1 });
  const fromEnv = canary();
  // Somebody is there who speaks nothing that these clients understand.
  const stranger = createServer((socket) => socket.on('error', () => undefined).end('-ERR who are you\r\n'));
  try {
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    const { port } = stranger.address() as AddressInfo;
    const options = {
      clusters: { source: stage.world.source, target: stage.world.target },
      env: { SHOP_DB: fromEnv },
      clock: stage.world.clock,
      tap: plainTap,
    };
    const secret = { cluster: 'source', namespace: 'shop', name: 'db', key: 'password' };
    const fromSecret = await passwordOf({ secret: { ...secret, cluster: 'source' } }, options);
    assert.ok(fromSecret && values.includes(fromSecret), 'the Secret was not read');
    for (const kind of ['mysql', 'postgres', 'redis']) {
      for (const where of [port, 1]) {
        const database = databaseEntry.parse({
          kind,
          name: 'shop/db',
          ...(kind === 'postgres' && { database: fromEnv.slice(0, 3) }),
          source: { host: '127.0.0.1', port: where, password: { secret } },
          target: { host: '127.0.0.1', port: where, password: { env: 'SHOP_DB' } },
          replication: { user: 'copier', password: { secret } },
        }) as PairedDatabase;
        assert.ok(!JSON.stringify(database).includes(fromEnv));
        const pair = await openDatabases(options).pair(database);
        for (const side of ['source', 'target'] as const) {
          const error = await pair.look(side).then(
            () => assert.fail(`${kind} answered`),
            (it: unknown) => it,
          );
          assert.ok(error instanceof MigrateError, `${kind}: ${String(error)}`);
          const told = `${String(error)} ${JSON.stringify(error)} ${error.stack ?? ''} ${String(error.cause ?? '')}`;
          for (const value of [fromSecret, fromEnv]) assert.ok(!told.includes(value), told);
        }
        await pair.close();
        const [seen] = await askDatabases([database], { databases: openDatabases(options) });
        assert.match(seen?.unread ?? '', /shop|does not answer|refuses/, kind);
        for (const value of [fromSecret, fromEnv]) assert.ok(!JSON.stringify(seen).includes(value), kind);
      }
    }
    await assert.rejects(passwordOf({ env: 'NOT_SET' }, options), { code: 'DB_PASSWORD_MISSING' });
    await assert.rejects(passwordOf({ secret: { ...secret, cluster: 'target' } }, options), {
      code: 'DB_PASSWORD_MISSING',
    });
  } finally {
    stranger.close();
    await stage.close();
  }
});

test('a Secret keeps the names of its keys and nothing else', () => {
  const secret = kept({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'a', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"data":{"a":"b"}}' } },
    type: 'Opaque',
    data: { user: 'eA==', password: 'eA==' },
    stringData: { x: 'y' },
  });
  assert.deepEqual(secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    data: { user: '', password: '' },
    metadata: { name: 'a', annotations: {} },
  });
});

test('what the checks read stays readable', () => {
  const it = kept({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'web',
      annotations: {
        'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id': 'lb-1',
        'kubectl.kubernetes.io/last-applied-configuration':
          '{"apiVersion":"v1","kind":"Service","spec":{"type":"LoadBalancer"}}',
      },
    },
    spec: { ports: [{ name: 'http', port: 80 }] },
  });
  assert.equal(it.metadata.annotations?.['service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id'], 'lb-1');
  assert.equal(
    it.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'],
    '{"apiVersion":"v1","kind":"Service"}',
  );
  assert.deepEqual(it['spec'], { ports: [{ name: 'http', port: 80 }] });
  assert.equal(hideIn('mode: ipvs, clusterID: c-1'), 'mode: ipvs, clusterID: c-1');
});
