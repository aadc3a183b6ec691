import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nearestShares, shareOf, solve, sumOf, weightsOf, type Backends, type Weight } from '../src/split.js';
import { weightsOf as controllers } from '../src/twin/controllers/weights.js';
import { every } from './crashing.js';

/** Members that a controller weighs. */
type Signed = Exclude<Backends, { mode: 'api' | 'joint' }>;

/** The controller's arithmetic by the twin, which shares no code with the solver. */
function truth(backends: Signed, weight: Weight): number {
  const members =
    backends.mode === 'local'
      ? backends.podsPerNode.filter((it) => it > 0).map((pods) => ({ type: 'ecs' as const, pods }))
      : Array.from({ length: backends.members }, () => ({
          type: backends.mode === 'eni' ? ('eni' as const) : ('ecs' as const),
          pods: 1,
        }));
  const mode = backends.mode === 'local' ? 'Local' : backends.mode === 'eni' ? 'ENI' : 'Cluster';
  return controllers(mode, weight, members).reduce((sum, it) => sum + it, 0);
}

const WEIGHTS: Weight[] = [undefined, ...Array.from({ length: 101 }, (_, weight) => weight)];

const members = fc.integer({ min: 1, max: 300 });
const backends: fc.Arbitrary<Signed> = fc.oneof(
  fc.record({ mode: fc.constant('cluster' as const), members }),
  fc.record({ mode: fc.constant('eni' as const), members }),
  fc.record({
    mode: fc.constant('local' as const),
    podsPerNode: fc
      .array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 60 })
      .filter((it) => it.some((pods) => pods > 0)),
  }),
);
const weight: fc.Arbitrary<Weight> = fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 100 }));

test('every setting weighs what the controller makes of it', () => {
  fc.assert(
    fc.property(backends, weight, (side, setting) => {
      assert.equal(sumOf(side, setting), truth(side, setting));
      assert.equal(
        weightsOf(side, setting).reduce((sum, it) => sum + it, 0),
        truth(side, setting),
      );
    }),
    { numRuns: 3000 },
  );
});

test('what the solver calls reachable is what the controller gives, and no permitted pair is nearer', () => {
  let solved = 0;
  fc.assert(
    fc.property(backends, backends, fc.integer({ min: 0, max: 100 }), weight, weight, (source, target, asked, s, t) => {
      const from = { source: s, target: t };
      const [s0, t0] = [truth(source, s), truth(target, t)];
      fc.pre(s0 + t0 > 0);
      const split = solve({ asked, source, target, from });
      const nearest = bruteForce(source, target, asked, s0, t0);
      if (!split) {
        assert.equal(nearest, undefined, 'the solver found none where one is permitted');
        return;
      }
      solved++;
      const [s1, t1] = [truth(source, split.pair.source), truth(target, split.pair.target)];
      assert.equal(split.reachable, shareOf(s1, t1));
      assert.equal(Math.abs(split.reachable - asked), nearest);
      // The way there, write by write, stays between before and after.
      const low = Math.min(shareOf(s0, t0), split.reachable) - 1e-9;
      const high = Math.max(shareOf(s0, t0), split.reachable) + 1e-9;
      let [sNow, tNow] = [s0, t0];
      for (const side of split.order) {
        if (side === 'source') sNow = s1;
        else tNow = t1;
        assert.ok(sNow + tNow > 0, 'never both sides at 0');
        const share = shareOf(sNow, tNow);
        assert.ok(share >= low && share <= high, `${share} leaves ${low} to ${high}`);
      }
      assert.deepEqual([sNow, tNow], [s1, t1], 'the order has every write that is needed');
    }),
    { numRuns: 600 / every(3) },
  );
  assert.ok(solved > 375 / every(3), `only ${solved} questions had an answer`);
});

/** Every pair of annotations, by the controller's own arithmetic; the distance of the nearest permitted one. */
function bruteForce(source: Signed, target: Signed, asked: number, s0: number, t0: number): number | undefined {
  let best: number | undefined;
  const before = shareOf(s0, t0);
  const sums = (side: Signed) => [...new Set(WEIGHTS.map((it) => truth(side, it)))];
  for (const s1 of sums(source)) {
    for (const t1 of sums(target)) {
      if (s1 + t1 === 0 || (asked === 0 && t1 > 0) || (asked === 100 && s1 > 0)) continue;
      if ((asked > 0 && t1 === 0) || (asked < 100 && s1 === 0)) continue;
      const after = shareOf(s1, t1);
      const inside = (share: number) => share >= Math.min(before, after) && share <= Math.max(before, after);
      if (s1 !== s0 && t1 !== t0 && !inside(shareOf(s0, t1)) && !inside(shareOf(s1, t0))) continue;
      const off = Math.abs(after - asked);
      if (best === undefined || off < best) best = off;
    }
  }
  return best;
}

test('zero is zero, all is all, and everything between keeps both sides alive', () => {
  const side: Backends = { mode: 'eni', members: 4 };
  for (let asked = 0; asked <= 100; asked++) {
    const split = solve({
      asked,
      source: { mode: 'cluster', members: 3 },
      target: side,
      from: { source: undefined, target: 0 },
    });
    assert.ok(split);
    if (asked === 0) assert.equal(split.reachable, 0);
    else if (asked === 100) assert.equal(split.reachable, 100);
    else assert.ok(split.reachable > 0 && split.reachable < 100);
  }
});

test('a share that is asked for again needs no write', () => {
  const question = {
    asked: 20,
    source: { mode: 'cluster', members: 3 } as const,
    target: { mode: 'eni', members: 12 } as const,
  };
  const first = solve({ ...question, from: { source: undefined, target: 0 } });
  assert.ok(first);
  const again = solve({ ...question, from: first.pair });
  assert.deepEqual(again?.order, []);
  assert.equal(again?.reachable, first.reachable);
});

test('a share out of reach is answered with the nearest below and above', () => {
  // 20 + 20 pods: one each is the least that the annotation can say beside 100 each.
  const near = nearestShares({
    asked: 0.1,
    source: { mode: 'eni', members: 20 },
    target: { mode: 'eni', members: 20 },
    from: { source: undefined, target: 0 },
  });
  assert.equal(near.below, undefined);
  assert.ok(near.above !== undefined && Math.abs(near.above - (100 * 20) / 2020) < 1e-9);
});
