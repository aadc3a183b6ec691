import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startTwin, type Twin } from '../src/twin/twin.js';
import type { ClientSeed, Json } from '../src/twin/types.js';
import { shipped } from './shop.js';

/** What the twin's ingress controller, gateway and mesh do with rules, whoever writes them. */

const INGRESSES = 'networking.k8s.io/v1/ingresses';
const ROUTES = 'gateway.networking.k8s.io/v1/httproutes';

async function started(t: TestContext, world: 'ingress' | 'gateway' | 'istio', clients?: ClientSeed[]): Promise<Twin> {
  const { seed } = shipped(world);
  const twin = await startTwin({ ...seed, clients: clients ?? seed.clients ?? [] }, { clock: 'virtual' });
  t.after(() => twin.stop());
  return twin;
}

/** Who serves from now on, in percent of all that was sent. */
async function shares(twin: Twin, ms = 30_000): Promise<{ target: number; failed: number }> {
  const since = twin.clock.now();
  await twin.clock.sleep(ms);
  const { sent, target, failed } = twin.clients.share({ since });
  return { target: (100 * target) / sent, failed: (100 * failed) / sent };
}

const about = (percent: number, wanted: number): void =>
  assert.ok(Math.abs(percent - wanted) < 5, `${percent} is not about ${wanted}`);

/** A Service in the source that leads to the target's address. */
async function bridge(twin: Twin, name = 'web-new'): Promise<void> {
  const there = await twin.target.api.get('v1/services', 'shop', 'web');
  const metadata = { name, namespace: 'shop' };
  const ports = [{ port: 80, protocol: 'TCP' }];
  await twin.source.api.create('v1/services', { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } });
  await twin.source.api.create('v1/endpoints', {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata,
    subsets: [{ addresses: [{ ip: there!['status'].loadBalancer.ingress[0].ip }], ports }],
  });
}

const canary = (name: string, service: string, annotations: Record<string, string>, path = '/'): Json => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: {
    name,
    namespace: 'shop',
    annotations: Object.fromEntries(
      Object.entries({ canary: 'true', ...annotations }).map(([key, value]) => [
        `nginx.ingress.kubernetes.io/${key}`,
        value,
      ]),
    ),
  },
  spec: {
    ingressClassName: 'nginx',
    rules: [
      {
        host: 'shop.example.com',
        http: { paths: [{ path, pathType: 'Prefix', backend: { service: { name: service, port: { number: 80 } } } }] },
      },
    ],
  },
});

async function ask(twin: Twin, headers: Record<string, string>, name = 'shop/web'): Promise<string> {
  const url = await twin.clients.frontUrl(name);
  const letGo = twin.clock.hold();
  try {
    const answer = (await (await fetch(url, { headers })).json()) as { side?: string; failed?: string };
    return answer.side ?? String(answer.failed);
  } finally {
    letGo();
  }
}

test('a canary takes its weight of a total, a second later; a total below 100 does not count', async (t) => {
  const twin = await started(t, 'ingress');
  await bridge(twin);
  await twin.source.api.create(INGRESSES, canary('new', 'web-new', { 'canary-weight': '30' }));
  await twin.clock.sleep(500);
  assert.equal(await ask(twin, {}), 'source');
  await twin.clock.sleep(1_000);
  about((await shares(twin)).target, 30);
  for (const [total, weight, percent] of [
    ['1000', '300', 30],
    ['50', '30', 30],
    ['100', '2x', 0],
  ] as const) {
    await twin.source.api.mergePatch(INGRESSES, 'shop', 'new', {
      metadata: {
        annotations: {
          'nginx.ingress.kubernetes.io/canary-weight': weight,
          'nginx.ingress.kubernetes.io/canary-weight-total': total,
        },
      },
    });
    await twin.clock.sleep(1_500);
    about((await shares(twin)).target, percent);
  }
});

test('header goes before cookie, and cookie before weight', async (t) => {
  const twin = await started(t, 'ingress');
  await bridge(twin);
  const by = { 'canary-by-header': 'X-New', 'canary-by-cookie': 'new', 'canary-weight': '0' };
  await twin.source.api.create(INGRESSES, canary('new', 'web-new', by));
  await twin.clock.sleep(2_000);
  assert.equal(await ask(twin, { 'x-new': 'always', cookie: 'new=never' }), 'target');
  assert.equal(await ask(twin, { 'x-new': 'never', cookie: 'new=always' }), 'source');
  assert.equal(await ask(twin, { 'x-new': 'perhaps', cookie: 'new=always' }), 'target');
  assert.equal(await ask(twin, { cookie: 'other=always' }), 'source');
  await twin.source.api.mergePatch(INGRESSES, 'shop', 'new', {
    metadata: { annotations: { 'nginx.ingress.kubernetes.io/canary-by-header-value': 'please' } },
  });
  await twin.clock.sleep(2_000);
  assert.equal(await ask(twin, { 'x-new': 'always' }), 'source');
  assert.equal(await ask(twin, { 'x-new': 'please' }), 'target');
});

test('a rule has one canary, and a canary without a main Ingress is none', async (t) => {
  const twin = await started(t, 'ingress');
  await bridge(twin);
  await twin.source.api.create(INGRESSES, canary('alone', 'web-new', { 'canary-weight': '100' }, '/elsewhere'));
  await twin.source.api.create(INGRESSES, canary('first', 'web-new', { 'canary-weight': '0' }));
  await twin.clock.sleep(2_000);
  await twin.source.api.create(INGRESSES, canary('second', 'web-new', { 'canary-weight': '100' }));
  await twin.clock.sleep(2_000);
  assert.equal((await shares(twin)).target, 0);
});

test('a main backend without endpoints answers 503 even at weight 100; a canary without any falls back', async (t) => {
  const twin = await started(t, 'ingress');
  await bridge(twin);
  await twin.source.api.create(INGRESSES, canary('new', 'web-new', { 'canary-weight': '100' }));
  await twin.clock.sleep(2_000);
  assert.deepEqual(await shares(twin), { target: 100, failed: 0 });
  await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 0 } });
  await twin.clock.sleep(20_000);
  assert.deepEqual(await shares(twin), { target: 0, failed: 100 });
  assert.match(await ask(twin, {}), /^503/);
  await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 3 } });
  await twin.source.api.mergePatch('v1/endpoints', 'shop', 'web-new', { subsets: [] });
  await twin.clock.sleep(20_000);
  assert.deepEqual(await shares(twin), { target: 0, failed: 0 });
});

test('an HTTPRoute is answered for its generation, and an unknown backend turns its weight into errors', async (t) => {
  const twin = await started(t, 'gateway');
  const conditions = async (): Promise<Json> => {
    const route = await twin.source.api.get(ROUTES, 'shop', 'web');
    const [parent] = route!['status'].parents;
    const isAnswered = parent.conditions.every((it: Json) => it.observedGeneration === route!.metadata.generation);
    return [isAnswered, ...parent.conditions.map((it: Json) => `${it.type} ${it.status} ${it.reason}`)];
  };
  assert.deepEqual(await conditions(), [true, 'Accepted True Accepted', 'ResolvedRefs True ResolvedRefs']);
  await bridge(twin);
  const weigh = (refs: Json[]): Promise<unknown> =>
    twin.source.api.mergePatch(ROUTES, 'shop', 'web', { spec: { rules: [{ backendRefs: refs }] } });
  await weigh([
    { name: 'web', port: 80, weight: 6 },
    { name: 'nobody', port: 80, weight: 2 },
    { name: 'web-new', port: 80, weight: 2 },
  ]);
  assert.equal((await conditions())[0], false);
  await twin.clock.sleep(3_000);
  assert.deepEqual(await conditions(), [true, 'Accepted True Accepted', 'ResolvedRefs False BackendNotFound']);
  const { target, failed } = await shares(twin);
  about(target, 20);
  about(failed, 20);
  await weigh([{ name: 'nobody', port: 80 }]);
  await twin.clock.sleep(3_000);
  assert.match(await ask(twin, {}), /^500/);
  await twin.source.api.mergePatch('v1/endpoints', 'shop', 'web-new', { subsets: [] });
  await weigh([{ name: 'web-new', port: 80 }]);
  await twin.clock.sleep(3_000);
  assert.match(await ask(twin, {}), /^503/);
  await weigh([
    { name: 'web', port: 80 },
    { kind: 'ConfigMap', name: 'web', weight: 0 },
  ]);
  await twin.clock.sleep(3_000);
  assert.deepEqual(await conditions(), [true, 'Accepted True Accepted', 'ResolvedRefs False InvalidKind']);
  assert.deepEqual(await shares(twin), { target: 0, failed: 0 });
});

test('in one mesh a route without a subset follows the endpoints of both clusters', async (t) => {
  const twin = await started(t, 'istio');
  const services = 'networking.istio.io/v1/virtualservices';
  const to = (routes: Json[]): Promise<unknown> =>
    twin.source.api.mergePatch(services, 'shop', 'web', { spec: { http: [{ route: routes }] } });
  assert.equal((await shares(twin)).target, 0);
  await to([{ destination: { host: 'web' } }]);
  await twin.clock.sleep(2_000);
  about((await shares(twin)).target, 50);
  await twin.target.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 9 } });
  await twin.clock.sleep(20_000);
  about((await shares(twin)).target, 75);
  // One route alone has all, whatever its weight; a subset that no rule has is an error.
  await to([{ destination: { host: 'web', subset: 'old' }, weight: 0 }]);
  await twin.clock.sleep(2_000);
  assert.deepEqual(await shares(twin), { target: 0, failed: 0 });
  await to([{ destination: { host: 'web', subset: 'new' } }]);
  await twin.clock.sleep(2_000);
  assert.match(await ask(twin, {}), /^503/);
});

test('clients who know an address get whoever answers there', async (t) => {
  const twin = await started(t, 'gateway', []);
  const service = await twin.target.api.get('v1/services', 'shop', 'web');
  const address = service!['status'].loadBalancer.ingress[0].ip;
  const pods = await twin.target.api.list('v1/pods', 'shop');
  const other = await twin.source.api.list('v1/pods', 'shop');
  const at = (name: string, ip: string, port: number): ClientSeed => ({
    via: 'address',
    name,
    address: ip,
    port,
    perSecond: 1,
  });
  const again = await started(t, 'gateway', [
    at('balancer', address, 80),
    at('pod', pods[0]!['status'].podIP, 8080),
    at('closed', pods[0]!['status'].podIP, 9999),
    at('overlay', other[0]!['status'].podIP, 8080),
  ]);
  assert.equal(await ask(again, {}, 'balancer'), 'target');
  assert.equal(await ask(again, {}, 'pod'), 'target');
  assert.match(await ask(again, {}, 'closed'), /does not serve 9999/);
  assert.match(await ask(again, {}, 'overlay'), /no way from outside/);
  await again.clock.sleep(10_000);
  assert.deepEqual([again.clients.counts('pod').failed, again.clients.counts('closed').target], [0, 0]);
});
