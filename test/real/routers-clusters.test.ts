import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openWorld } from '../../src/cli/world.js';
import { takeInventory } from '../../src/look.js';
import { parsePlaybook } from '../../src/playbook.js';
import type { World } from '../../src/ports.js';
import { isReachable, measured, type AnyRouter, type Route } from '../../src/router.js';
import { routers } from '../../src/routers/index.js';
import type { StepContext } from '../../src/step.js';
import { realClock } from '../../src/twin/clock.js';
import { startFsm } from '../../src/twin/controllers/fsm.js';
import { fsmCrds } from '../../src/twin/controllers/fsm-crds.js';
import { multiClusterServiceCrd, startMultiClusterServices } from '../../src/twin/controllers/mcs.js';
import { type RemoteApi, remoteApi } from '../../src/twin/controllers/remote.js';
import type { TwinObject } from '../../src/twin/types.js';
import { addNodes, type ControlPlane, type KubernetesObject, startControlPlane } from '../servers/control-plane.js';
import { type StrictDoor, strictDoor } from '../servers/strict.js';
import { contextOf } from '../conformance/routers.js';

/**
 * The routers between whole clusters against real API servers of 1.20 and 1.36 and a third one as the Fleet, with definitions written by
 * hand from the vendors' own: Deployments, pods and slices are made by the real controllers, what a Fleet and Flomesh do by the twin's.
 */

/** Seconds of the routers and of the twin's controllers in one of ours. */
const SPEED = 20;
const CONTROLLERS = [
  'deployment',
  'replicaset',
  'endpoint',
  'endpointslice',
  'namespace',
  'serviceaccount',
  'garbagecollector',
];
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const DEPLOYMENT = '/apis/apps/v1/namespaces/shop/deployments/web';

const deployment = (replicas: number): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'web', image: 'shop/web:1' }] },
    },
  },
});
const SERVICE: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }] },
};

interface Server {
  plane: ControlPlane;
  door: StrictDoor;
  api: RemoteApi;
}

describe('routers between whole clusters, on real API servers', { timeout: 300_000 }, () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-clusters-'));
  const kubeconfig = path.join(dir, 'kubeconfig');
  const clock = realClock(SPEED);
  const stops: (() => Promise<unknown> | void)[] = [];
  let source: Server;
  let target: Server;
  let fleet: Server;

  const open = async (
    version: '1.20.15' | '1.36.3',
    definitions: TwinObject[],
    options: { controllers: string[]; kwok: boolean; podCidr?: string },
  ): Promise<Server> => {
    const plane = await startControlPlane({ version, ...options });
    stops.push(() => plane.stop());
    const door = await strictDoor(plane);
    stops.push(() => door.stop());
    for (const it of definitions) await give(plane, it);
    const api = await remoteApi({ url: plane.server, token: plane.token, ca: readFileSync(plane.caFile) });
    stops.push(() => api.close());
    return { plane, door, api };
  };

  before(async () => {
    const busy = { controllers: CONTROLLERS, kwok: true };
    [source, target, fleet] = await Promise.all([
      open('1.20.15', fsmCrds('flomesh.io'), { ...busy, podCidr: '10.20.0.0/16' }),
      open('1.36.3', fsmCrds('multicluster.flomesh.io'), { ...busy, podCidr: '10.30.0.0/16' }),
      open('1.36.3', [multiClusterServiceCrd()], { controllers: ['namespace'], kwok: false }),
    ]);
    for (const [{ plane }, replicas] of [
      [source, 3],
      [target, 0],
    ] as const) {
      await addNodes(plane, 1);
      await make(plane, '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
      await plane.until('the default account', async () => {
        const { status } = await plane.request('GET', '/api/v1/namespaces/shop/serviceaccounts/default');
        return status === 200;
      });
      await make(plane, '/api/v1/namespaces/shop/services', SERVICE);
      await make(plane, '/apis/apps/v1/namespaces/shop/deployments', deployment(replicas));
    }
    const apis = { source: source.api, target: target.api };
    const dispatching = await startMultiClusterServices(fleet.api, apis, clock, { source: 'c-old', target: 'c-new' });
    const mesh = await startFsm(apis, clock, { source: 'side-0', target: 'side-1' });
    stops.push(
      () => dispatching.stop(),
      () => mesh.stop(),
    );
    await untilReady(source.plane, 3);
    writeFileSync(kubeconfig, configOf([source, target, fleet]), { mode: 0o600 });
  });

  after(async () => {
    clock.stop();
    for (const stop of stops.toReversed()) await stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const everything = async (): Promise<unknown> =>
    Promise.all(
      [source, target, fleet].map(async ({ api }) => {
        const resources = (await api.resources()).filter(
          (it) =>
            /services$|deployments|multicluster|flomesh|namespaces/.test(it.path) &&
            it.verbs.includes('list') &&
            it.preferred,
        );
        const lists = await Promise.all(resources.map((it) => api.list(it.path)));
        return lists
          .flat()
          .filter((it) => it.metadata['namespace'] !== 'default')
          .map((it) => [
            it.kind,
            it.metadata.name,
            it.kind === 'Service' ? it['spec'].ports : it['spec'],
            it.metadata.labels,
          ]);
      }),
    );

  test('mcs: pods come up beside the old ones, and the old ones go, and back', async () => {
    const start = await everything();
    const held = await opened({ service: 'shop/web', router: 'mcs' }, kubeconfig, clock);
    const { router, route, context, world } = held;
    assert.equal(await router.joined(route, world), false);
    const joined = await join(held);
    assert.equal(await router.joined(route, world), true);
    assert.deepEqual(await shares(held), [0, 0]);

    for (const [asked, pods] of [
      [25, [3, 1]],
      [50, [3, 3]],
      [100, [0, 3]],
    ] as const) {
      await shift(held, asked);
      assert.deepEqual(await shares(held), [asked, asked], 'as either cluster calls it');
      assert.deepEqual(await replicas(source, target), pods);
    }
    for (const { door } of [source, target, fleet]) door.writes();
    await shift(held, 100);
    assert.deepEqual([source, target, fleet].map(({ door }) => door.writes()).flat(), []);

    const left = await router.leave.check(route, context);
    await router.leave.verify(route, left, context);
    await router.restore(route, { source: [3], target: [0] }, context);
    assert.deepEqual(await shares(held), [0, 0]);
    await router.join.undo(route, joined, context);
    await fleet.plane.until('the namespace is gone', async () => {
      const { status } = await fleet.plane.request('GET', '/api/v1/namespaces/shop');
      return status === 404;
    });
    assert.deepEqual(await everything(), start);
  });

  test('fsm: weights beside three pods, in both names of the group, and the last step by scaling', async () => {
    for (const [{ plane }, group, more] of [
      [source, 'flomesh.io', {}],
      [target, 'multicluster.flomesh.io', { fsmNamespace: 'fsm-system' }],
    ] as const)
      for (const name of ['side-0', 'side-1'])
        await make(plane, `/apis/${group}/v1alpha1/clusters`, {
          apiVersion: `${group}/v1alpha1`,
          kind: 'Cluster',
          metadata: { name },
          spec: { gatewayHost: '10.0.0.1', ...more },
        });
    await target.plane.request('PATCH', DEPLOYMENT, { spec: { replicas: 3 } }, 'application/merge-patch+json');
    await untilReady(target.plane, 3);
    const start = await everything();
    const held = await opened({ service: 'shop/web', router: 'fsm' }, kubeconfig, clock);
    const { router, route, context } = held;
    const joined = await join(held);
    assert.deepEqual(await shares(held), [0]);
    const at = '/apis/flomesh.io/v1alpha1/namespaces/shop/globaltrafficpolicies/web';
    for (const [asked, weight] of [
      [1, 3],
      [10, 33],
      [50, 300],
    ] as const) {
      await shift(held, asked);
      const { body } = await source.plane.request('GET', at);
      assert.deepEqual(body.spec, {
        lbType: 'ActiveActive',
        targets: [{ clusterKey: 'default/default/default/side-1', weight }],
      });
    }
    const half = (await router.read(route, held.world)).setting;
    await shift(held, 100);
    assert.deepEqual(await replicas(source, target), [0, 3]);
    assert.deepEqual(await shares(held), [100]);
    await router.restore(route, half, context);
    assert.deepEqual(await shares(held), [50]);
    await shift(held, 0);
    const { body } = await source.plane.request('GET', at);
    assert.deepEqual(body.spec, { lbType: 'Locality' });
    await router.join.undo(route, joined, context);
    await source.plane.until('the import is gone', async () => {
      const { status } = await source.plane.request(
        'GET',
        '/apis/flomesh.io/v1alpha1/namespaces/shop/serviceimports/web',
      );
      return status === 404;
    });
    assert.deepEqual(await everything(), start);
  });
});

async function make(plane: ControlPlane, at: string, object: KubernetesObject): Promise<void> {
  const { status, body } = await plane.request('POST', at, object);
  assert.equal(status, 201, JSON.stringify(body));
}

async function give(plane: ControlPlane, definition: TwinObject): Promise<void> {
  await make(plane, CRDS, definition);
  await plane.until(`${definition.metadata.name} is served`, async () => {
    const { body } = await plane.request('GET', `${CRDS}/${definition.metadata.name}`);
    const conditions = (body.status?.conditions ?? []) as { type: string; status: string }[];
    return conditions.some((it) => it.type === 'Established' && it.status === 'True');
  });
}

const untilReady = (plane: ControlPlane, wanted: number): Promise<boolean> =>
  plane.until(`${wanted} pods are ready`, async () => {
    const { body } = await plane.request('GET', DEPLOYMENT);
    return (body.status?.readyReplicas ?? 0) === wanted;
  });

const replicas = (...servers: Server[]): Promise<number[]> =>
  Promise.all(servers.map(async ({ plane }) => (await plane.request('GET', DEPLOYMENT)).body.spec.replicas as number));

const configOf = (servers: Server[]): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: servers.map(({ door }, index) => ({
      name: `side-${index}`,
      cluster: { server: door.url, 'insecure-skip-tls-verify': true },
    })),
    users: servers.map(({ plane }, index) => ({ name: `side-${index}`, user: { token: plane.token } })),
    contexts: servers.map((_, index) => ({
      name: `side-${index}`,
      context: { cluster: `side-${index}`, user: `side-${index}` },
    })),
  });

interface Held {
  router: AnyRouter;
  route: Route;
  context: StepContext;
  world: World;
}

async function opened(entry: object, kubeconfig: string, clock: ReturnType<typeof realClock>): Promise<Held> {
  const text = `apiVersion: migrate/v1alpha1
kind: Playbook
name: held
source: { context: side-0, clusterId: c-old }
target: { context: side-1, clusterId: c-new }
fleet: { context: side-2 }
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
  const [route] = router.routes(services, playbook, await takeInventory(playbook, world, []));
  const context = contextOf(world);
  return { router, route, context, world };
}

async function join({ router, route, context }: Held): Promise<unknown> {
  const before = await router.join.check(route, context);
  await router.join.apply(route, before, context);
  await router.join.verify(route, before, context);
  return before;
}

async function shift({ router, route, context, world }: Held, asked: number): Promise<void> {
  const choice = await router.choose(route, { asked, tolerance: 0.5 }, await router.read(route, world), world);
  assert.ok(isReachable<unknown>(choice), JSON.stringify(choice));
  await router.write(route, choice, context);
}

const shares = async ({ router, route, world }: Held): Promise<number[]> =>
  (await router.read(route, world)).splits.map(measured);
