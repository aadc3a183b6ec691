import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from '../src/cli/rehearse.js';
import type { MigrateError } from '../src/errors.js';
import { checks } from '../checks/index.js';
import { takeInventory } from '../src/look.js';
import { memoryStore } from '../src/journal.js';
import { makePlan, type Plan } from '../src/plan.js';
import { contextOf } from '../src/engine.js';
import type { Call } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import { openStage } from '../src/cli/stage.js';
import { BALANCER, pairOf, type Half, type PairOptions } from './pair.js';
import { engineOn, mustBeDone } from './shop.js';

async function on(options: PairOptions, tap?: <T>(call: Call, send: () => Promise<T>) => Promise<T>) {
  const { playbook, seed } = pairOf(options);
  const stage = await openStage(playbook, seed, tap ? { tap } : {});
  const start = stage.twin.snapshot();
  const planned = async (): Promise<Plan> =>
    makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers);
  return { stage, start, planned, twin: stage.twin };
}

const CASES: { name: string; source: Half; target: Half; asked: number }[] = [
  { name: '95 to 5 over 20 and 20 pods', source: { pods: 20 }, target: { pods: 20 }, asked: 5 },
  {
    name: '99 to 1 over 6 and 6 nodes',
    source: { mode: 'cluster', nodes: 6, pods: 6 },
    target: { mode: 'cluster', nodes: 6, pods: 6 },
    asked: 1,
  },
  { name: '90 to 10 over 100 and 100 pods', source: { pods: 100 }, target: { pods: 100 }, asked: 10 },
];

for (const { name, source, target, asked } of CASES) {
  test(`${name} is reached member by member, and given back at the end`, async () => {
    const { stage, start, planned, twin } = await on({
      source,
      target,
      traffic: `steps: [${asked}, 100], hold: 3s, tolerance: 0.3`,
    });
    try {
      const plan = await planned();
      const [first] = plan.shares;
      console.log(`# ${name}: ${first?.reachable} %, ${first?.how}`);
      const store = memoryStore();
      const shares: number[] = [];
      const engine = engineOn(stage, store, (it) => it.type === 'share' && shares.push(it.measured));
      mustBeDone(await run(plan, ['traffic'], engine));
      await twin.settle();
      assert.ok(Math.abs((shares[0] ?? NaN) - asked) <= 1, `${shares[0]} %`);
      const ignoring = (side: 'source' | 'target') =>
        stage.world[side]
          .get({ kind: 'Service', namespace: 'shop', name: 'web' })
          .then(
            (it) =>
              it?.metadata.annotations?.['service.beta.kubernetes.io/alibaba-cloud-loadbalancer-ignore-weight-update'],
          );
      assert.deepEqual([await ignoring('source'), await ignoring('target')], [undefined, undefined]);
      assert.equal(twin.clients.counts().failed, 0);
      mustBeDone(await rollback(undefined, engineOn(stage, store)));
      await twin.settle();
      assert.deepEqual(differences(start, twin.snapshot()), []);
      assert.equal(twin.clients.counts().failed, 0);
    } finally {
      await stage.close();
    }
  });
}
test('what Services alone can not reach is refused with the nearest shares and the reason why members are not weighed', async () => {
  const { stage, planned } = await on({
    source: { pods: 100, ccm: '2.10.0' },
    target: { pods: 100 },
    traffic: 'steps: [10], hold: 3s',
  });
  try {
    await assert.rejects(planned(), (error: MigrateError) => {
      assert.equal(error.code, 'SHARE_UNREACHABLE');
      // 100 a pod against 1 a pod, and the same weight on both sides: nothing lies between.
      assert.match(error.why, /nearest: 1 % and 50 %\.$/);
      assert.match(error.fix, /the source's cloud controller manager is 2\.10\.0, before v2\.11\.1/);
      return true;
    });
  } finally {
    await stage.close();
  }
});

test('members that a scale-out brings while a share is held are weighed like the others', async () => {
  const { stage, planned, twin } = await on({
    source: { pods: 60 },
    target: { pods: 60 },
    traffic: 'steps: [10], hold: 5m, tolerance: 0.5',
  });
  try {
    let scaled = false;
    const shares: number[] = [];
    const warnings: string[] = [];
    const scale = (replicas: number) =>
      stage.world.target.patch({ kind: 'Deployment.apps', namespace: 'shop', name: 'web' }, { spec: { replicas } });
    const engine = engineOn(stage, memoryStore(), (it) => {
      if (it.type === 'share') shares.push(it.measured);
      if (it.type === 'warning') warnings.push(it.what);
      if (it.type === 'hold' && it.elapsedMs > 60_000 && !scaled) {
        scaled = true;
        void scale(90);
      }
    });
    mustBeDone(await run(await planned(), ['traffic'], engine));
    const members = (twin.cloud.api.listenerBackends(BALANCER, 80) ?? []).filter((it) =>
      it.description.endsWith('c-new'),
    );
    assert.equal(members.length, 90);
    const weights = members.map((it) => it.weight);
    assert.ok(Math.max(...weights) - Math.min(...weights) <= 1, weights.join());
    assert.ok(
      warnings.some((it) => /members came or went on the target/.test(it)),
      warnings.join('; '),
    );
    assert.ok(Math.abs((shares.at(-1) ?? NaN) - 10) <= 0.5, shares.join());
    assert.equal(twin.clients.counts().failed, 0);
  } finally {
    await stage.close();
  }
});

test('a share is worked out anew when pods come or go between the write and the look', async () => {
  const { stage, planned, twin } = await on({
    source: { pods: 4 },
    target: { pods: 6 },
    traffic: 'steps: [20], hold: 1s',
  });
  try {
    const plan = await planned();
    const store = memoryStore();
    mustBeDone(await run(plan, ['traffic'], engineOn(stage, store)));
    await stage.world.target.patch(
      { kind: 'Deployment.apps', namespace: 'shop', name: 'web' },
      { spec: { replicas: 40 } },
    );
    await twin.clock.sleep(30_000);
    const shares: number[] = [];
    const engine = engineOn(stage, store, (it) => it.type === 'share' && shares.push(it.measured));
    const record = engine.journal.record('traffic/20')!;
    const weights = () => (twin.cloud.api.listenerBackends(BALANCER, 80) ?? []).map((it) => it.weight);
    const now = weights();
    const mine = now.slice(0, 4).reduce((sum, it) => sum + it, 0);
    const share = 100 - (100 * mine) / now.reduce((sum, it) => sum + it, 0);
    assert.ok(Math.abs(share - 20) > 1, `nothing was disturbed: ${share}`);
    const kind = engine.kinds.get('shift')!;
    await kind.verify(record.step.args, record.before, contextOf(record.step, record.mark, engine));
    assert.ok(Math.abs((shares.at(-1) ?? NaN) - 20) <= 1, shares.join());
    assert.equal(twin.clients.counts().failed, 0);
  } finally {
    await stage.close();
  }
});

test('members are set at most 20 a call, and the way back from any share is one write a Service', async () => {
  const calls: Call[] = [];
  const { stage, planned } = await on(
    { source: { pods: 100 }, target: { pods: 100 }, traffic: 'steps: [10], hold: 1s' },
    (call, send) => {
      if (call.writes) calls.push(call);
      return send();
    },
  );
  try {
    const store = memoryStore();
    mustBeDone(await run(await planned(), ['traffic'], engineOn(stage, store)));
    const batches = calls.filter((it) => it.verb === 'SetVServerGroupAttribute').length;
    assert.equal(batches, 10, '100 and 100 members');
    calls.length = 0;
    mustBeDone(await rollback('traffic/attach', engineOn(stage, store)));
    assert.deepEqual(
      calls.map((it) => `${it.to} ${it.verb}`),
      ['source PATCH', 'target PATCH'],
    );
  } finally {
    await stage.close();
  }
});
