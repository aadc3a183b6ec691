import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openWorld } from '../../src/cli/world.js';
import type { MigrateError } from '../../src/errors.js';
import type { Inventory } from '../../src/inventory.js';
import { parsePlaybook } from '../../src/playbook.js';
import { isReachable, measured, type AnyRouter, type Choice, type Reading, type Route } from '../../src/router.js';
import { routers } from '../../src/routers/index.js';
import type { StepContext } from '../../src/step.js';
import type { World } from '../../src/ports.js';
import { realClock } from '../../src/twin/clock.js';
import { startGateways } from '../../src/twin/controllers/gateway.js';
import { remoteApi } from '../../src/twin/controllers/remote.js';
import { type ControlPlane, type KubernetesObject, startControlPlane } from '../servers/control-plane.js';
import { giveDefinitions } from '../servers/definitions.js';
import { type StrictDoor, strictDoor } from '../servers/strict.js';
import { contextOf } from '../conformance/routers.js';

/**
 * The routers of the source's proxies against a real API server with the kinds as they are published. Every write asks for strict
 * validation, so a field that these kinds don't have is refused; conditions are set by the twin's gateway controller.
 */

const ADDRESS = '10.0.7.9';
const VERSION = '1.36.3';
/** Seconds of the routers in one of ours. */
const SPEED = 20;

const NAMESPACE = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
};
const OTHER = { ...SERVICE, metadata: { name: 'other', namespace: 'shop' } };
/** There are no pods here: who is ready is what the slices say. */
const SLICE = {
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.1.1.1'], conditions: { ready: true } }],
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
};

const INGRESS = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name: 'web', namespace: 'shop', annotations: { 'nginx.ingress.kubernetes.io/proxy-body-size': '8m' } },
  spec: {
    ingressClassName: 'nginx',
    rules: [
      {
        host: 'shop.example.com',
        http: {
          paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }],
        },
      },
    ],
  },
};
const GATEWAY = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'front', namespace: 'shop' },
  spec: { gatewayClassName: 'shop', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
};
const HTTP_ROUTE = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    parentRefs: [{ name: 'front' }],
    hostnames: ['shop.example.com'],
    rules: [
      { matches: [{ path: { type: 'PathPrefix', value: '/api' } }], backendRefs: [{ name: 'other', port: 80 }] },
      {
        matches: [{ path: { type: 'PathPrefix', value: '/' } }],
        filters: [
          { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'x-by', value: 'route' }] } },
        ],
        backendRefs: [{ name: 'web', port: 80 }],
      },
    ],
  },
};
const VIRTUAL_SERVICE = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    hosts: ['web'],
    http: [
      { match: [{ uri: { prefix: '/old' } }], redirect: { uri: '/' } },
      { timeout: '5s', route: [{ destination: { host: 'web', port: { number: 80 } } }] },
    ],
  },
};
const PATHS: Record<string, string> = {
  Namespace: '/api/v1/namespaces',
  Service: '/api/v1/namespaces/shop/services',
  EndpointSlice: '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices',
  Ingress: '/apis/networking.k8s.io/v1/namespaces/shop/ingresses',
  Gateway: '/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways',
  HTTPRoute: '/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes',
  VirtualService: '/apis/networking.istio.io/v1/namespaces/shop/virtualservices',
  DestinationRule: '/apis/networking.istio.io/v1/namespaces/shop/destinationrules',
  ServiceEntry: '/apis/networking.istio.io/v1/namespaces/shop/serviceentries',
  Endpoints: '/api/v1/namespaces/shop/endpoints',
};

const SHOP = { service: 'shop/web', address: ADDRESS };
const HEADER = { name: 'X-New', value: '1' };
const WAYS = [
  { title: 'ingress, canary', holds: 'Ingress', entry: { ...SHOP, router: 'ingress', ingress: 'web', header: HEADER } },
  {
    title: 'ingress, service-weight',
    holds: 'Ingress',
    entry: { ...SHOP, router: 'ingress', ingress: 'web', style: 'service-weight', header: HEADER },
  },
  {
    title: 'ingress, EDAS',
    holds: 'Ingress',
    only: [100, 0, 100],
    entry: { ...SHOP, router: 'ingress', ingress: 'web', style: 'edas', header: HEADER },
  },
  { title: 'gateway, by an address', holds: 'HTTPRoute', entry: { ...SHOP, router: 'gateway', route: 'web' } },
  {
    title: 'istio, by clusters of one mesh',
    holds: 'VirtualService',
    entry: { service: 'shop/web', router: 'istio', virtualService: 'web', clusters: { source: 'old', target: 'new' } },
  },
  {
    title: 'istio, by an address',
    holds: 'VirtualService',
    entry: { ...SHOP, router: 'istio', virtualService: 'web' },
  },
] as const;

describe('routers of the source’s proxies, on real API servers', () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-l7-'));
  const kubeconfig = path.join(dir, 'kubeconfig');
  const clock = realClock(SPEED);
  const stops: (() => Promise<unknown> | void)[] = [];
  let source: ControlPlane;
  let target: ControlPlane;
  let door: StrictDoor;

  const open = async (controllers: string[]): Promise<{ plane: ControlPlane; door: StrictDoor }> => {
    const plane = await startControlPlane({ version: VERSION, kwok: false, controllers });
    stops.push(() => plane.stop());
    const strict = await strictDoor(plane);
    stops.push(() => strict.stop());
    return { plane, door: strict };
  };

  before(async () => {
    const [from, to] = await Promise.all([
      open(['endpointslice-mirroring-controller', 'endpointslicemirroring']),
      open([]),
    ]);
    [source, target, door] = [from.plane, to.plane, from.door];
    await Promise.all([giveDefinitions(source, 'gateway-api'), giveDefinitions(source, 'istio-api')]);
    for (const plane of [source, target]) await make(plane, NAMESPACE, SERVICE);
    await make(source, SLICE, OTHER, INGRESS, GATEWAY, HTTP_ROUTE, VIRTUAL_SERVICE);
    const api = await remoteApi({ url: source.server, token: source.token, ca: readFileSync(source.caFile) });
    stops.push(() => api.close());
    const gateways = await startGateways(api, clock);
    stops.push(() => gateways.stop());
    writeFileSync(kubeconfig, configOf([from, to]), { mode: 0o600 });
  });

  after(async () => {
    clock.stop();
    for (const stop of stops.toReversed()) await stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const readyOnTarget = async (ready: boolean): Promise<void> => {
    if (ready) await make(target, SLICE);
    else await target.request('DELETE', `${PATHS['EndpointSlice']}/web-1`);
  };

  for (const way of WAYS)
    test(way.title, async () => {
      const { router, route, context, world } = await opened(way.entry, kubeconfig, clock);
      const start = await everything(source);
      door.writes();

      const joined = await router.join.check(route, context);
      await router.join.apply(route, joined, context);
      await router.join.verify(route, joined, context);
      assert.equal(await router.joined(route, world), true);
      assert.equal(await shareOf(router, route, world), 0);
      if (way.title !== 'istio, by clusters of one mesh' && way.title !== 'istio, by an address')
        await untilMirrored(source);
      await readyOnTarget(true);

      for (const asked of 'only' in way ? way.only : [0.5, 20, 100]) {
        const choice = await choose(router, route, world, asked);
        await router.write(route, choice, context);
        assert.equal(await shareOf(router, route, world), choice.reachable);
        assert.ok(Math.abs(choice.reachable - asked) <= 1);
        door.writes();
        await router.write(route, choice, context);
        assert.deepEqual(door.writes(), []);
      }

      // Somebody else's change of another field, in between.
      const at = `${PATHS[way.holds]}/web`;
      await source.request('PATCH', at, { metadata: { labels: { by: 'others' } } }, 'application/merge-patch+json');
      const left = await router.leave.check(route, context);
      await router.leave.apply(route, left, context);
      await router.leave.verify(route, left, context);
      await router.leave.undo(route, left, context);
      assert.equal(await shareOf(router, route, world), 100);

      const back = await choose(router, route, world, 0);
      await router.restore(route, back.setting, context);
      assert.equal(await shareOf(router, route, world), 0);
      assert.equal((await source.request('GET', at)).body.metadata.labels.by, 'others');
      await source.request('PATCH', at, { metadata: { labels: null } }, 'application/merge-patch+json');
      await router.join.undo(route, joined, context);
      assert.deepEqual(await everything(source), start);
      await readyOnTarget(false);
    });

  test('a write on what somebody else has changed meanwhile is made anew on what is there', async () => {
    const { router, route, context, world } = await opened(WAYS[3].entry, kubeconfig, clock);
    const joined = await router.join.check(route, context);
    await router.join.apply(route, joined, context);
    await readyOnTarget(true);
    let meddled = 0;
    // Between every read and write of ours somebody else writes, three times.
    const meddling: World = {
      ...world,
      source: {
        ...world.source,
        patch: async (ref, patch) => {
          if (ref.kind.startsWith('HTTPRoute') && meddled < 3) {
            meddled++;
            const labels = { metadata: { labels: { meddled: String(meddled) } } };
            await source.request('PATCH', `${PATHS['HTTPRoute']}/web`, labels, 'application/merge-patch+json');
          }
          return world.source.patch(ref, patch);
        },
      },
    };
    const choice = await choose(router, route, world, 40);
    await router.write(route, choice, { ...context, world: meddling });
    const { body } = await source.request('GET', `${PATHS['HTTPRoute']}/web`);
    assert.equal(body.metadata.labels.meddled, '3');
    assert.equal(await shareOf(router, route, world), 40);
    await router.write(route, await choose(router, route, world, 0), context);
    await router.join.undo(route, joined, context);
    await readyOnTarget(false);
  });

  test('the way back is one write, within a second, with the target’s API server dead', async () => {
    for (const way of WAYS) {
      const { router, route, context, world } = await opened(way.entry, kubeconfig, clock);
      const joined = await router.join.check(route, context);
      await router.join.apply(route, joined, context);
      await readyOnTarget(true);
      const was = (await router.read(route, world)).setting;
      await router.write(route, await choose(router, route, world, 100), context);
      await target.stopApiServer();
      door.writes();
      const began = performance.now();
      const back = router.restore(route, was, context);
      await source.until('the first write', async () => door.count() > 0, 5_000);
      const tookMs = performance.now() - began;
      assert.deepEqual(await back, []);
      const writes = door.writes();
      console.log(`${way.title}: first write after ${Math.round(tookMs)} ms, ${writes.length} in all`);
      assert.equal(writes.length, 1, writes.join(', '));
      assert.ok(tookMs < 1_000, `${tookMs} ms`);
      assert.equal(await shareOf(router, route, world), 0);
      await target.startApiServer();
      await router.join.undo(route, joined, context);
      await readyOnTarget(false);
    }
  });

  test('a backend that can not be resolved is not waited out in silence', async () => {
    const { router, route, context } = await opened(
      { service: 'shop/web', router: 'gateway', route: 'web', through: 'service-import' },
      kubeconfig,
      clock,
    );
    const joined = await router.join.check(route, context);
    await router.join.apply(route, joined, context);
    await assert.rejects(
      router.join.verify(route, joined, context),
      (error: MigrateError) => error.code === 'WEIGHT_NOT_TAKEN' && /BackendNotFound/.test(error.what),
    );
    await router.join.undo(route, joined, context);
    // One of another rule says as much of the whole route, and so nothing of ours.
    await source.request('DELETE', `${PATHS['Service']}/other`);
    await source.until('the gateway says so', async () => {
      const { body } = await source.request('GET', `${PATHS['HTTPRoute']}/web`);
      return JSON.stringify(body.status).includes('BackendNotFound');
    });
    await assert.rejects(router.join.check(route, context), (error: MigrateError) => error.code === 'ROUTE_UNFIT');
  });
});

async function make(plane: ControlPlane, ...objects: { kind: string; metadata: { name: string } }[]): Promise<void> {
  for (const object of objects) {
    const { status, body } = await plane.request('POST', PATHS[object.kind] ?? '', object);
    assert.equal(status, 201, JSON.stringify(body));
  }
}

const configOf = (sides: { plane: ControlPlane; door: StrictDoor }[]): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: sides.map(({ door }, index) => ({
      name: `side-${index}`,
      cluster: { server: door.url, 'insecure-skip-tls-verify': true },
    })),
    users: sides.map(({ plane }, index) => ({ name: `side-${index}`, user: { token: plane.token } })),
    contexts: sides.map((_, index) => ({
      name: `side-${index}`,
      context: { cluster: `side-${index}`, user: `side-${index}` },
    })),
  });

interface Opened {
  router: AnyRouter;
  route: Route;
  context: StepContext;
  world: World;
}

async function opened(entry: object, kubeconfig: string, clock: ReturnType<typeof realClock>): Promise<Opened> {
  const text = `apiVersion: migrate/v1alpha1
kind: Playbook
name: held
source: { context: side-0 }
target: { context: side-1 }
traffic: { services: [${JSON.stringify(entry)}] }
`;
  const playbook = parsePlaybook(text, 'held.yaml');
  const services = playbook.traffic?.services ?? [];
  const router = routers.get(services[0]?.router ?? 'clb');
  assert.ok(router);
  const world = await openWorld(playbook, {
    kubeconfig,
    clock: { now: () => clock.now(), sleep: (ms) => clock.sleep(ms) },
  });
  const [route] = router.routes(services, playbook, { source: { objects: {} } } as unknown as Inventory);
  const context = contextOf(world);
  return { router, route, context, world };
}

async function choose(router: AnyRouter, route: Route, world: World, asked: number): Promise<Choice<unknown>> {
  const reading: Reading<unknown> = await router.read(route, world);
  const choice = await router.choose(route, { asked, tolerance: 1 }, reading, world);
  assert.ok(isReachable<unknown>(choice));
  return choice;
}

const shareOf = async (router: AnyRouter, route: Route, world: World): Promise<number> => {
  const [split] = (await router.read(route, world)).splits;
  assert.ok(split);
  return measured(split);
};

/** What the bridge's Endpoints are mirrored to by the real controller: the slice that proxies read. */
const untilMirrored = (plane: ControlPlane) =>
  plane.until('the bridge is mirrored to a slice', async () => {
    const { body } = await plane.request('GET', PATHS['EndpointSlice'] ?? '');
    return (body.items as KubernetesObject[]).some(
      (it) =>
        it.metadata.labels['kubernetes.io/service-name'] === 'web-migrate' &&
        it.endpoints?.[0]?.addresses?.[0] === ADDRESS,
    );
  });

/** All that the routers may touch, without what counts writes. */
async function everything(plane: ControlPlane): Promise<unknown> {
  const lists = await Promise.all(
    ['Service', 'Endpoints', 'Ingress', 'HTTPRoute', 'VirtualService', 'DestinationRule', 'ServiceEntry'].map(
      async (kind) => {
        const { body } = await plane.request('GET', PATHS[kind] ?? '');
        const items = body.items as KubernetesObject[];
        return items.map(({ metadata, spec, subsets }) => ({
          kind,
          name: metadata.name,
          labels: metadata.labels ?? {},
          annotations: metadata.annotations ?? {},
          spec,
          subsets,
        }));
      },
    ),
  );
  return lists.flat();
}
