import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseWeights, orderOf, statesTo, type Weights } from '../src/dns.js';
import { chooseFsm, type FsmRoute, type FsmSetting } from '../src/fsm.js';
import type { Inventory } from '../src/inventory.js';
import { chooseReplicas, mcsRoutes, spread, totalOf, type McsRoute, type McsSetting } from '../src/mcs.js';
import type { Playbook } from '../src/playbook.js';
import { isReachable } from '../src/router.js';

/** The arithmetic of shares, without a world. */

const share = ({ source, target }: Weights, others = 0) => (100 * target) / (source + target + others);

const weights = fc
  .record({ source: fc.integer({ min: 0, max: 100 }), target: fc.integer({ min: 0, max: 100 }) })
  .filter((it) => it.source + it.target > 0);

test('records: any share within a point is reached, and no write leaves the way to it or leaves nobody', () => {
  fc.assert(
    fc.property(weights, fc.double({ min: 1, max: 99, noNaN: true }), (from, asked) => {
      const choice = chooseWeights({ asked, tolerance: 0.5 }, [{ from, others: 0 }]);
      // Two small weights can't move a little without moving far first: refused, with what can be had.
      const isCoarse = from.source + from.target < 60 && from.source * from.target > 0;
      if (!isReachable(choice)) return assert.ok(isCoarse, JSON.stringify([from, asked]));
      const to = choice.setting.names[0]!;
      assert.ok(Math.abs(share(to) - asked) <= 0.5);
      assert.equal(choice.reachable, share(to));
      const [low, high] = [share(from), share(to)].toSorted((a, b) => a - b) as [number, number];
      for (const it of statesTo(from, to, orderOf({ from, others: 0 }, to))) {
        assert.ok(it.source + it.target > 0, 'never nobody');
        assert.ok(share(it) >= low - 1e-9 && share(it) <= high + 1e-9, JSON.stringify([from, it, to]));
      }
    }),
    { numRuns: 150 },
  );
});

test('records: nothing and everything are one write each, and what the other weighs then stays', () => {
  const nothing = chooseWeights({ asked: 0, tolerance: 1 }, [{ from: { source: 1, target: 0 }, others: 0 }]);
  assert.ok(isReachable(nothing));
  assert.deepEqual([nothing.setting.names, nothing.order], [[{ source: 1, target: 0 }], []]);
  const all = chooseWeights({ asked: 100, tolerance: 1 }, [{ from: { source: 95, target: 5 }, others: 0 }]);
  assert.ok(isReachable(all));
  assert.deepEqual(all.setting.names, [{ source: 0, target: 5 }]);
  assert.equal(all.how, 'source paused, target 5');
});

test('records: those of neither side keep their share, so that everything can be out of reach', () => {
  const answer = chooseWeights({ asked: 100, tolerance: 1 }, [{ from: { source: 50, target: 50 }, others: 100 }]);
  assert.ok(!isReachable(answer));
  assert.deepEqual([answer.below, answer.above], [50, undefined]);
  assert.match(answer.why, /records of neither side weigh 100/);
});

const mcsRoute = (...replicas: number[]): McsRoute => ({
  router: 'mcs',
  service: 'mall/cart',
  clusters: { source: 'a', target: 'b' },
  workloads: replicas.map((it, index) => ({
    kind: 'Deployment.apps',
    namespace: 'mall',
    name: `cart-${index}`,
    replicas: it,
  })),
});

test('pods: there are always as many as the source had, and a share is the nearest ratio', () => {
  const replicas = fc
    .array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 3 })
    .filter((it) => totalOf(it) > 0);
  fc.assert(
    fc.property(replicas, fc.double({ min: 0, max: 100, noNaN: true }), (full, asked) => {
      const from: McsSetting = { source: full, target: full.map(() => 0) };
      const choice = chooseReplicas(mcsRoute(...full), { asked, tolerance: 100 }, from);
      assert.ok(isReachable(choice));
      const [source, target, total] = [totalOf(choice.setting.source), totalOf(choice.setting.target), totalOf(full)];
      assert.ok(Math.max(source, target) === total, 'one side is whole');
      assert.equal(choice.reachable, (100 * target) / (source + target));
      for (let pods = 0; pods <= total; pods++)
        for (const one of [(100 * pods) / (total + pods), (100 * total) / (total + pods)])
          assert.ok(Math.abs(choice.reachable - asked) <= Math.abs(one - asked) + 1e-9);
      assert.deepEqual(
        choice.order.toSorted(),
        (['source', 'target'] as const).filter((it) => String(choice.setting[it]) !== String(from[it])),
      );
    }),
    { numRuns: 300 },
  );
});

test('pods: several workloads behind one Service are scaled together', () => {
  assert.deepEqual(spread(4, [3, 6]), [1, 3]);
  assert.deepEqual(spread(9, [3, 6]), [3, 6]);
  assert.deepEqual(spread(0, [3, 6]), [0, 0]);
});

test('pods: a share between whole pods is refused with its neighbours', () => {
  const answer = chooseReplicas(mcsRoute(3), { asked: 10, tolerance: 1 }, { source: [3], target: [0] });
  assert.ok(!isReachable(answer));
  assert.deepEqual([answer.below, answer.above], [0, 25]);
});

const inventory = (type: string): Inventory => {
  const side = {
    objects: {
      Service: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { namespace: 'mall', name: 'cart' },
          spec: { type, selector: { app: 'cart' } },
        },
      ],
      'Deployment.apps': [
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { namespace: 'mall', name: 'cart' },
          spec: { replicas: 2, template: { metadata: { labels: { app: 'cart' } } } },
        },
      ],
    },
  };
  return { source: side, target: side } as unknown as Inventory;
};

test('pods: behind a load balancer, the other cluster’s endpoints would be taken for own ones: refused', () => {
  const entries = [{ service: 'mall/cart', router: 'mcs' as const, steps: [50, 100] }];
  const playbook = { source: { clusterId: 'a' }, target: { clusterId: 'b' } } as unknown as Playbook;
  assert.deepEqual(mcsRoutes(entries, playbook, inventory('ClusterIP'))[0]?.clusters, { source: 'a', target: 'b' });
  assert.throws(() => mcsRoutes(entries, playbook, inventory('LoadBalancer')), { code: 'PLAN_SERVICE_UNFIT' });
});

const fsmRoute: FsmRoute = {
  router: 'fsm',
  service: 'bank/pay',
  workloads: [{ kind: 'Deployment.apps', namespace: 'bank', name: 'pay', replicas: 3 }],
  groups: { source: 'flomesh.io', target: 'flomesh.io' },
  path: '/migrate/bank/pay',
};

test('Flomesh: a weight counts beside 100 for each pod that is there', () => {
  const from: FsmSetting = { lbType: 'Locality', replicas: [3] };
  // A target of 10 is one in eleven beside one pod, and one in 31 beside three; 900 beside three is three quarters.
  for (const [pods, asked, weight] of [
    [1, 100 / 11, 10],
    [3, 1000 / 310, 10],
    [3, 75, 900],
    [1, 90, 900],
  ] as const) {
    const choice = chooseFsm(fsmRoute, { asked, tolerance: 0.01 }, from, pods);
    assert.ok(isReachable(choice));
    assert.deepEqual(choice.setting, { lbType: 'ActiveActive', weight, replicas: [3] });
  }
});

test('Flomesh: nothing is never a weight of 0, and everything is no pod left', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 100, noNaN: true }), fc.integer({ min: 0, max: 40 }), (asked, pods) => {
      const choice = chooseFsm(
        fsmRoute,
        { asked, tolerance: 1 },
        { lbType: 'ActiveActive', weight: 7, replicas: [3] },
        pods,
      );
      if (!isReachable(choice)) return;
      const { lbType, weight, replicas } = choice.setting;
      assert.ok(lbType === 'Locality' || (weight ?? 0) >= 1);
      assert.equal(totalOf(replicas) === 0, asked === 100);
      assert.ok(Math.abs(choice.reachable - asked) <= 1);
    }),
  );
});
