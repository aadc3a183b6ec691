import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { FsmRoute } from '../src/fsm.js';
import { takeInventory } from '../src/look.js';
import type { McsRoute } from '../src/mcs.js';
import { parsePlaybook } from '../src/playbook.js';
import { isReachable, measured, type AnyRouter, type Route } from '../src/router.js';
import { fsm } from '../src/routers/fsm.js';
import { mcs } from '../src/routers/mcs.js';
import type { StepContext } from '../src/step.js';
import { openStage, type Stage } from '../src/cli/stage.js';
import { MULTI_CLUSTER_SERVICES } from '../src/twin/controllers/mcs.js';
import type { Json, Seed } from '../src/twin/types.js';
import { shipped } from './shop.js';

/** The routers whose shares hang on pods, met by worlds that are not as they should be. */

interface Opened<R extends Route> {
  stage: Stage;
  route: R;
  context: StepContext;
}

async function open<R extends Route>(
  t: TestContext,
  world: 'waves' | 'fsm',
  router: AnyRouter,
  service: string,
  change: (seed: Seed) => void = () => undefined,
): Promise<Opened<R>> {
  const { seed, playbook: book } = shipped(world);
  seed.clients = [];
  change(seed);
  const text = [
    'apiVersion: migrate/v1alpha1',
    'kind: Playbook',
    'name: held',
    `source: { context: ${book.source.context} }`,
    `target: { context: ${book.target.context} }`,
    ...(book.fleet ? [`fleet: { context: ${book.fleet.context} }`] : []),
    `traffic: { services: [{ service: ${service}, router: ${router.name} }] }`,
  ].join('\n');
  const playbook = parsePlaybook(text, 'held.yaml');
  const stage = await openStage(playbook, seed);
  t.after(() => stage.close());
  const [namespace = '', name = ''] = service.split('/');
  const { source, target } = stage.twin;
  await target.api.create('v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  for (const [resource, apiVersion, kind] of [
    ['v1/services', 'v1', 'Service'],
    ['apps/v1/deployments', 'apps/v1', 'Deployment'],
  ] as const) {
    const { clusterIP: _ip, clusterIPs: _ips, ...spec } = (await source.api.get(resource, namespace, name))!['spec'];
    await target.api.create(resource, { apiVersion, kind, metadata: { namespace, name }, spec });
  }
  await stage.twin.settle();
  const [route] = router.routes(playbook.traffic!.services, playbook, await takeInventory(playbook, stage.world, []));
  const context = {
    world: stage.world,
    progress: () => undefined,
    stopping: () => false,
    emit: () => undefined,
  } as unknown as StepContext;
  return { stage, route: route as R, context };
}

async function join(router: AnyRouter, { route, context }: Opened<Route>): Promise<unknown> {
  const before: unknown = await router.join.check(route, context);
  await router.join.apply(route, before, context);
  await router.join.verify(route, before, context);
  return before;
}

async function shift(router: AnyRouter, { route, context, stage }: Opened<Route>, asked: number): Promise<void> {
  const reading = await router.read(route, stage.world);
  const choice = await router.choose(route, { asked, tolerance: 0.5 }, reading, stage.world);
  assert.ok(isReachable(choice));
  await router.write(route, choice, context);
}

const scaler = (min: number, max: number): Json => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { namespace: 'mall', name: 'cart' },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'cart' },
    minReplicas: min,
    maxReplicas: max,
  },
});

test('mcs: an autoscaler would move the share, unless it can not', async (t) => {
  const opened = await open<McsRoute>(t, 'waves', mcs, 'mall/cart');
  const { route, context, stage } = opened;
  await stage.twin.target.api.create('autoscaling/v2/horizontalpodautoscalers', scaler(1, 9));
  await assert.rejects(mcs.join.check(route, context), {
    code: 'SHARE_AUTOSCALED',
    what: /on the target .* from 1 to 9/,
  });
  await stage.twin.target.api.mergePatch('autoscaling/v2/horizontalpodautoscalers', 'mall', 'cart', {
    spec: { minReplicas: 2, maxReplicas: 2 },
  });
  await mcs.join.check(route, context);
});

test('mcs: what runs on the target goes to 0 before anybody hears of it, and runs again on the way back', async (t) => {
  const opened = await open<McsRoute>(t, 'waves', mcs, 'mall/cart');
  const { route, context, stage } = opened;
  const start = stage.twin.snapshot();
  const before = await join(mcs, opened);
  assert.deepEqual((await mcs.read(route, stage.world)).setting, { source: [2], target: [0] });
  await mcs.join.undo(route, before, context);
  await stage.twin.settle();
  assert.deepEqual(stage.twin.snapshot(), start);
});

test('mcs: a MultiClusterService that somebody deleted is named, and not made behind his back', async (t) => {
  const opened = await open<McsRoute>(t, 'waves', mcs, 'mall/cart');
  await join(mcs, opened);
  await opened.stage.twin.fleet!.api.delete(MULTI_CLUSTER_SERVICES, 'mall', 'cart');
  await opened.stage.twin.settle();
  await assert.rejects(shift(mcs, opened, 50), { code: 'FLEET_SERVICE_MISSING' });
});

test('mcs: clusters that the Fleet knows by other ids are told apart from an empty Service', async (t) => {
  const opened = await open<McsRoute>(t, 'waves', mcs, 'mall/cart');
  const { context } = opened;
  const route = { ...opened.route, clusters: { source: 'c-else', target: 'c-other' } };
  const before = await mcs.join.check(route, context);
  await mcs.join.apply(route, before, context);
  await assert.rejects(mcs.join.verify(route, before, context), {
    code: 'FLEET_NOT_DISPATCHED',
    what: /0 of 2 endpoints/,
  });
  await mcs.join.undo(route, before, context);
});

test('mcs: somebody else’s replicas end the wait with who is asked to look', async (t) => {
  const opened = await open<McsRoute>(t, 'waves', mcs, 'mall/cart');
  await join(mcs, opened);
  const { api, clock } = { api: opened.stage.twin.target.api, clock: opened.stage.twin.clock };
  // A GitOps tool that knows of no move.
  const stop = await api.watch('apps/v1/deployments', ({ object }) => {
    if (object.metadata.name === 'cart' && object['spec'].replicas !== 0)
      clock.after(
        500,
        async () => void (await api.mergePatch('apps/v1/deployments', 'mall', 'cart', { spec: { replicas: 0 } })),
      );
  });
  await assert.rejects(shift(mcs, opened, 50), {
    code: 'WEIGHT_NOT_TAKEN',
    what: /somebody else set its replicas to 0/,
  });
  stop();
});

test('mcs: without its source’s pods the MultiClusterService is not taken away', async (t) => {
  const opened = await open<McsRoute>(t, 'waves', mcs, 'mall/cart');
  const before = await join(mcs, opened);
  await shift(mcs, opened, 100);
  await assert.rejects(mcs.join.undo(opened.route, before, opened.context), { code: 'SIDE_CANNOT_SERVE' });
});

const GTP = 'flomesh.io/v1alpha1/globaltrafficpolicies';

test('fsm: a cluster without Flomesh is refused in the plan', async (t) => {
  await assert.rejects(
    open(t, 'fsm', fsm, 'bank/pay', (seed) => {
      seed.target.fsm = null;
      (seed.target.objects as Json[]).splice(
        0,
        Infinity,
        ...(seed.target.objects as Json[]).filter((it) => it.kind !== 'Cluster'),
      );
    }),
    { code: 'FSM_MISSING', what: /The target/ },
  );
});

test('fsm: a policy that sends away already is not taken over', async (t) => {
  const opened = await open<FsmRoute>(t, 'fsm', fsm, 'bank/pay');
  await opened.stage.twin.source.api.create(GTP, {
    apiVersion: 'flomesh.io/v1alpha1',
    kind: 'GlobalTrafficPolicy',
    metadata: { namespace: 'bank', name: 'pay' },
    spec: { lbType: 'ActiveActive' },
  });
  await assert.rejects(fsm.join.check(opened.route, opened.context), { code: 'SERVICE_LIVE_ALREADY' });
});

test('fsm: what a policy says is read as Flomesh takes it', async (t) => {
  const opened = await open<FsmRoute>(t, 'fsm', fsm, 'bank/pay');
  await join(fsm, opened);
  const { stage, route } = opened;
  const key = 'default/default/default/mesh-new';
  for (const [spec, percent] of [
    [{ lbType: 'ActiveActive', targets: [{ clusterKey: key, weight: 0 }] }, 25],
    [{ lbType: 'ActiveActive', targets: [{ clusterKey: key }] }, 25],
    [{ lbType: 'ActiveActive', targets: null }, 25],
    [{ lbType: 'ActiveActive', targets: [{ clusterKey: 'a/b/c/d', weight: 900 }] }, 0],
    [{ lbType: 'ActiveActive', targets: [{ clusterKey: key, weight: 900 }] }, 75],
    [{ lbType: 'FailOver', targets: [{ clusterKey: key, weight: 900 }] }, 0],
    [{ lbType: 'Locality', targets: [{ clusterKey: key, weight: 900 }] }, 0],
  ] as const) {
    await stage.twin.source.api.mergePatch(GTP, 'bank', 'pay', { spec });
    await stage.twin.settle();
    assert.equal(measured((await fsm.read(route, stage.world)).splits[0]!), percent, JSON.stringify(spec));
  }
});

test('fsm: clusters that are not joined are told apart from a Service that is not there', async (t) => {
  const opened = await open<FsmRoute>(t, 'fsm', fsm, 'bank/pay', (seed) => {
    const objects = seed.source.objects as Json[];
    objects.splice(0, Infinity, ...objects.filter((it) => it.kind !== 'Cluster'));
  });
  await assert.rejects(join(fsm, opened), {
    code: 'FSM_NOT_IMPORTED',
    what: /has not been imported from the target yet/,
  });
});

test('fsm: pods that come and go are noticed, and the weight follows them', async (t) => {
  const opened = await open<FsmRoute>(t, 'fsm', fsm, 'bank/pay');
  await join(fsm, opened);
  await shift(fsm, opened, 10);
  const { stage, route } = opened;
  await stage.twin.source.api.mergePatch('apps/v1/deployments', 'bank', 'pay', { spec: { replicas: 6 } });
  await stage.twin.settle();
  const drifted = measured((await fsm.read(route, stage.world)).splits[0]!);
  assert.ok(Math.abs(drifted - 100 * (33 / 633)) < 1e-9, `${drifted}`);
  await shift(fsm, opened, 10);
  const { splits, setting } = await fsm.read(route, stage.world);
  assert.deepEqual([setting, splits[0]?.target.weight], [{ lbType: 'ActiveActive', weight: 67, replicas: [6] }, 67]);
});
