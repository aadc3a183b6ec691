import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryStore } from '../src/journal.js';
import { guarded } from '../src/guard.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import type { Plan } from '../src/plan.js';
import type { World } from '../src/ports.js';
import type { AnyStepKind } from '../src/step.js';
import { stepKinds } from '../src/steps/index.js';
import type { Twin } from '../src/twin/twin.js';
import { handOverWorld } from './hand-over-worlds.js';
import { engineOn, mustBeDone, quickShop, stageFor } from './shop.js';

/** No plan deletes a Service that owns a live address. */

const SITE = { kind: 'Service', namespace: 'press', name: 'site' };
const OWN = { code: 'SERVICE_OWNS_ADDRESS' };

async function withSite(use: (world: World, twin: Twin) => Promise<void>): Promise<void> {
  const { stage } = await stageFor(handOverWorld(), { clientsPerSecond: 20 });
  try {
    await use(guarded(stage.world), stage.twin);
  } finally {
    await stage.close();
  }
}

const balancers = async ({ cloud }: Twin): Promise<number> =>
  (await cloud.api.call('Slb', 'DescribeLoadBalancers', { RegionId: 'cn-hangzhou' })).TotalCount;

test('steps get clusters that delete no Service with an address of its own, nor its namespace, nor take its type away', async () => {
  await withSite(async ({ source }, twin) => {
    await assert.rejects(source.delete(SITE), OWN);
    await assert.rejects(source.delete({ kind: 'Namespace', name: 'press' }), OWN);
    await assert.rejects(source.patch(SITE, { spec: { type: 'ClusterIP' } }), OWN);
    await assert.rejects(
      source.apply({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'site', namespace: 'press' }, spec: {} }),
      OWN,
    );
    await twin.settle();
    assert.equal(await balancers(twin), 1);
    assert.equal(twin.clients.counts().failed, 0);
    assert.equal((await source.get(SITE))?.['spec'].type, 'LoadBalancer');
    await source.patch(SITE, { metadata: { labels: { still: 'patched' } } });
  });
});

test('what a person owns outlives its Service, whose type may go', async () => {
  const { stage } = await stageFor(quickShop());
  try {
    const { source } = guarded(stage.world);
    await source.patch({ kind: 'Service', namespace: 'shop', name: 'web' }, { spec: { type: 'ClusterIP' } });
    await stage.twin.settle();
    assert.equal(await balancers(stage.twin), 1);
  } finally {
    await stage.close();
  }
});

/** A kind of step that does what none may: on the way there, or on the way back. */
const rogue = (when: 'apply' | 'undo'): AnyStepKind => ({
  kind: 'attach',
  title: () => 'a careless step',
  wayBack: () => 'none',
  rights: () => ({}),
  check: async () => ({}),
  apply: async (_args, _before, { world }) => void (when === 'apply' && (await world.source.delete(SITE))),
  verify: async () => undefined,
  undo: async (_args, _before, { world }) => {
    if (when === 'undo') await world.source.delete(SITE);
    return [];
  },
});

for (const when of ['apply', 'undo'] as const)
  test(`a step that would do it in its ${when} is stopped, whatever its kind`, async () => {
    const { stage, plan } = await stageFor(handOverWorld(), { clientsPerSecond: 5 });
    try {
      for (const kind of stepKinds.keys()) {
        const engine = { ...engineOn(stage, memoryStore()), kinds: new Map([[kind, { ...rogue(when), kind }]]) };
        const careless = { id: 'traffic/careless', kind, phase: 'traffic' as const, args: {}, after: [] };
        const forward = await run({ ...plan, steps: [careless] } satisfies Plan, ['traffic'], engine);
        const ended = when === 'apply' ? forward : await rollback(undefined, engine);
        assert.equal((ended as { error?: { code: string } }).error?.code, OWN.code, kind);
      }
      await stage.twin.settle();
      assert.equal(await balancers(stage.twin), 1);
      assert.equal(stage.twin.clients.counts().failed, 0);
    } finally {
      await stage.close();
    }
  });

test('without the guard the twin tells of it: the address is gone, and every request fails', async () => {
  const { stage } = await stageFor(handOverWorld(), { clientsPerSecond: 20 });
  const { twin } = stage;
  try {
    await stage.world.source.delete(SITE);
    await twin.clock.sleep(10_000);
    assert.equal(await balancers(twin), 0);
    const { failed, longestPauseMs } = twin.clients.counts();
    assert.ok(failed > 100, `${failed} failed`);
    assert.ok(longestPauseMs > 8_000);
  } finally {
    await stage.close();
  }
});

test('whole plans of the shipped worlds, all the way there, to the end and back, lose no load balancer', async () => {
  for (const world of [quickShop(), handOverWorld({ steps: '[100]' })]) {
    const { stage, plan, engine } = await stageFor(world, { clientsPerSecond: 5 });
    const { twin } = stage;
    try {
      const before = await balancers(twin);
      mustBeDone(await run(plan, ['data', 'traffic'], engine));
      assert.equal(await balancers(twin), before);
      mustBeDone(await rollback(undefined, engine));
      mustBeDone(await run(plan, ['data', 'traffic'], engine));
      mustBeDone(await run(plan, ['complete'], engine));
      await twin.settle();
      assert.equal(await balancers(twin), before);
      assert.equal(twin.clients.counts().failed, 0);
    } finally {
      await stage.close();
    }
  }
});
