import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { look } from '../src/cli/looking.js';
import { differences } from '../src/cli/rehearse.js';
import { routesPastSource } from '../src/cli/source-down.js';
import { shiftPlan } from '../src/cli/shifting.js';
import { openStage, type Stage } from '../src/cli/stage.js';
import type { Engine } from '../src/engine.js';
import { memoryStore, type JournalStore } from '../src/journal.js';
import { deadCluster } from '../src/kube/nobody.js';
import { takeInventory } from '../src/look.js';
import { makePlan, type Plan } from '../src/plan.js';
import type { Playbook } from '../src/playbook.js';
import type { Route } from '../src/router.js';
import { rollback } from '../src/rollback.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import { BALANCER, GROUP, pairOf, type PairOptions } from './pair.js';
import { engineOn, mustBeDone } from './shop.js';

interface Scene {
  playbook: Playbook;
  stage: Stage;
  store: JournalStore;
  start: unknown;
  plan(): Promise<Plan>;
  engine(past?: 'source'): Engine;
}

async function sceneOf(options: PairOptions): Promise<Scene> {
  const { playbook, seed } = pairOf(options);
  const stage = await openStage(playbook, seed);
  const store = memoryStore();
  return {
    playbook,
    stage,
    store,
    start: stage.twin.snapshot(),
    plan: async () => makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers),
    engine(past) {
      const engine = engineOn(stage, store);
      return past ? { ...engine, world: { ...engine.world, source: deadCluster('source') } } : engine;
    },
  };
}

const PINS = {
  source: { context: 'old', uid: '', version: '' },
  target: { context: 'new', uid: '', version: '' },
};

async function shiftPast({ playbook, stage, store, engine }: Scene, to: number): Promise<void> {
  const dead = engine('source');
  const { journal } = engineOn(stage, store);
  journal.write({ type: 'opened', command: 'shift', digest: '', version: '', pins: { source: '', target: '' } });
  const all = await routesPastSource(playbook, { journal, plan: undefined }, dead.world);
  const plan = await shiftPlan({ playbook, to }, { all, pins: PINS, takenAt: '' }, journal, dead.world);
  mustBeDone(await run(plan, ['traffic'], engine('source')));
}

async function shiftTo({ playbook, stage, store, engine }: Scene, to: number): Promise<void> {
  const { journal } = engineOn(stage, store);
  journal.write({ type: 'opened', command: 'shift', digest: '', version: '', pins: { source: '', target: '' } });
  const [route] = routers
    .get('clb')!
    .routes(playbook.traffic!.services, playbook, await takeInventory(playbook, stage.world, checks));
  const plan = await shiftPlan(
    { playbook, to },
    { all: [route as Route], pins: PINS, takenAt: '' },
    journal,
    stage.world,
  );
  mustBeDone(await run(plan, ['traffic'], engine()));
}

const members = ({ stage }: Scene) =>
  (stage.twin.cloud.api.listenerBackends(BALANCER, 80) ?? []).map((it) => ({
    ...it,
    side: it.description.endsWith('c-old') ? 'source' : it.description.endsWith('c-new') ? 'target' : 'server',
  }));
const weightsOf = (scene: Scene, side: string) =>
  members(scene)
    .filter((it) => it.side === side)
    .map((it) => it.weight);

for (const known of ['the journal', 'target and load balancer alone'])
  test(`with the source dead all goes to the target past its controller, its route known by ${known}`, async () => {
    const scene = await sceneOf({ source: { pods: 4 }, target: { pods: 4 }, traffic: 'steps: [20], hold: 1s' });
    const { twin } = scene.stage;
    try {
      mustBeDone(await run(await scene.plan(), ['traffic'], scene.engine()));
      if (known !== 'the journal') scene.store.read = () => '';
      twin.source.down();
      await shiftPast(scene, 100);
      assert.deepEqual(weightsOf(scene, 'source'), [0, 0, 0, 0]);
      assert.ok(weightsOf(scene, 'target').every((it) => it > 0));
      assert.equal(twin.clients.counts().failed, 0);
    } finally {
      await scene.stage.close();
    }
  });

test('a source that returns is told what serves now, and everything goes back to where it began', async () => {
  const scene = await sceneOf({ source: { pods: 4 }, target: { pods: 4 }, traffic: 'steps: [20], hold: 1s' });
  const { twin } = scene.stage;
  try {
    mustBeDone(await run(await scene.plan(), ['traffic'], scene.engine()));
    twin.source.down();
    await shiftPast(scene, 100);
    twin.source.up();
    await shiftTo(scene, 100);
    const { api } = twin.source;
    const service = await api.get('v1/services', 'shop', 'web');
    assert.equal(service!.metadata.annotations['service.beta.kubernetes.io/alibaba-cloud-loadbalancer-weight'], '0');
    // Whatever makes its controller look again now leaves the source at nothing.
    await api.mergePatch('v1/services', 'shop', 'web', { metadata: { annotations: { 'shop/touched': 'yes' } } });
    await twin.clock.sleep(30_000);
    assert.deepEqual(weightsOf(scene, 'source'), [0, 0, 0, 0]);
    await api.mergePatch('v1/services', 'shop', 'web', { metadata: { annotations: { 'shop/touched': null } } });

    mustBeDone(await rollback(undefined, scene.engine()));
    await twin.settle();
    assert.deepEqual(differences(scene.start, twin.snapshot()), []);
    assert.equal(twin.clients.counts().failed, 0);
  } finally {
    await scene.stage.close();
  }
});

const SERVERS = Array.from({ length: 3 }, (_, index) => ({
  server: `i-plain${index}`,
  port: 8080,
  weight: 60,
  type: 'ecs',
  description: '',
}));

test('servers outside any cluster give up their share to a cluster, and take it back', async () => {
  const scene = await sceneOf({
    servers: SERVERS.map((it) => it.server),
    alone: true,
    others: SERVERS,
    target: { pods: 5 },
    traffic: 'steps: [5, 50, 100], hold: 1s',
    entry: `loadBalancer: ${BALANCER}`,
  });
  const { twin } = scene.stage;
  try {
    const { report } = await look(scene.playbook, scene.stage.world);
    assert.ok(
      report.ready,
      JSON.stringify(report.results.filter((it) => it.outcome === 'refuse' || it.outcome === 'unknown')),
    );
    const plan = await scene.plan();
    for (const it of plan.shares)
      assert.ok(Math.abs(it.reachable - it.asked) <= 1, `${it.asked}: ${it.reachable}, ${it.how}`);
    const shares: number[] = [];
    const engine = {
      ...scene.engine(),
      emit: (it: { type: string; measured?: number }) => void (it.type === 'share' && shares.push(it.measured ?? NaN)),
    };
    mustBeDone(await run(plan, ['traffic'], engine));
    assert.ok(
      [5, 50, 100].every((asked) => shares.some((it) => Math.abs(it - asked) <= 1)),
      shares.join(),
    );
    assert.deepEqual(weightsOf(scene, 'server'), [0, 0, 0]);
    mustBeDone(await rollback(undefined, scene.engine()));
    await twin.settle();
    assert.deepEqual(weightsOf(scene, 'server'), [60, 60, 60]);
    // The first controller that uses a load balancer marks it so, for good.
    assert.deepEqual(differences(scene.start, twin.snapshot()), [
      '/cloud/loadBalancers/0/tags/kubernetes.reused.by.user: nothing became "true"',
    ]);
    assert.equal(twin.clients.counts().failed, 0);
  } finally {
    await scene.stage.close();
  }
});

test('servers and a cluster give up their share together; scaling inside the cluster leaves the servers alone', async () => {
  const scene = await sceneOf({
    servers: SERVERS.map((it) => it.server),
    others: SERVERS,
    source: { pods: 3 },
    target: { pods: 6 },
    traffic: 'steps: [20, 100], hold: 1s',
  });
  const { twin } = scene.stage;
  try {
    const plan = await scene.plan();
    mustBeDone(await run({ ...plan, steps: plan.steps.slice(0, 2) }, ['traffic'], scene.engine()));
    const servers = weightsOf(scene, 'server');
    assert.ok(servers.every((it) => it > 0) && weightsOf(scene, 'source').every((it) => it > 0));
    await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 5 } });
    await twin.clock.sleep(30_000);
    assert.equal(weightsOf(scene, 'source').length, 5);
    assert.deepEqual(weightsOf(scene, 'server'), servers);
    await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 3 } });
    await twin.clock.sleep(30_000);
    mustBeDone(await run(plan, ['traffic'], scene.engine()));
    assert.deepEqual([...weightsOf(scene, 'server'), ...weightsOf(scene, 'source')], [0, 0, 0, 0, 0, 0]);
    mustBeDone(await rollback(undefined, scene.engine()));
    await twin.settle();
    assert.deepEqual(differences(scene.start, twin.snapshot()), []);
    assert.equal(twin.clients.counts().failed, 0);
  } finally {
    await scene.stage.close();
  }
});

test('a listener that takes turns is set to heed weights in a step of its own, and set back', async () => {
  const scene = await sceneOf({ scheduler: 'rr', entry: 'scheduler: wrr', traffic: 'steps: [20], hold: 1s' });
  const { twin } = scene.stage;
  try {
    const plan = await scene.plan();
    assert.deepEqual(
      plan.steps.map((it) => it.id),
      ['traffic/scheduler', 'traffic/attach', 'traffic/20'],
    );
    mustBeDone(await run(plan, ['traffic'], scene.engine()));
    assert.equal(twin.cloud.api.listenerScheduler?.(BALANCER, 80), 'wrr');
    mustBeDone(await rollback(undefined, scene.engine()));
    await twin.settle();
    assert.equal(twin.cloud.api.listenerScheduler?.(BALANCER, 80), 'rr');
    assert.deepEqual(differences(scene.start, twin.snapshot()), []);
    assert.equal(twin.clients.counts().failed, 0);
  } finally {
    await scene.stage.close();
  }
});
void GROUP;
