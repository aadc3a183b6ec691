import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { PATIENCE_BACK } from '../src/cli/rollback-act.js';
import { openStage } from '../src/cli/stage.js';
import { memoryStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan } from '../src/plan.js';
import type { Call } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import { BALANCER, pairOf } from './pair.js';
import { engineOn, mustBeDone } from './shop.js';

/** The way back from any share: at once, by one or two writes a side, and past a target whose API server is dead. */

const SHARES = [1, 5, 20, 50, 100];
const PODS = 4;

for (const weights of ['service', 'member'] as const) {
  for (const isDead of [false, true]) {
    test(`from any share by ${weights}, the target’s API server ${isDead ? 'dead' : 'alive'}: the first write comes at once, at most two go to a side`, async () => {
      const told: string[] = [];
      for (const share of SHARES) {
        const { firstMs, tookMs, writes } = await backFrom(share, weights, isDead);
        const count = (side: 'source' | 'target') => writes.filter((it) => sideOf(it) === side).length;
        told.push(`${share} %: ${writes.map((it) => `${it.to} ${it.verb}`).join(', ')} in ${tookMs} ms`);
        assert.ok(firstMs < 1000, `${share} %: first write after ${firstMs} ms of the clock`);
        // Where the source's weight is the same before and at the share, only the target's goes down.
        const first = writes.some((it) => sideOf(it) === 'source') ? 'source' : 'target';
        assert.equal(writes[0] && sideOf(writes[0]), first, `${share} %: what gets the traffic comes first`);
        for (const side of ['source', 'target'] as const)
          assert.ok(count(side) <= 2, `${share} %: ${count(side)} writes for the ${side}: ${told.at(-1)}`);
      }
      console.log(`# ${weights}, target ${isDead ? 'dead' : 'alive'}: ${told.join('; ')}`);
    });
  }
}

/** Whose share a write moves: of a cluster its own; at the load balancer the target's, for the source is told by its Service. */
const sideOf = ({ to }: Call) => (to === 'cloud' ? 'target' : to);

/** @returns writes of the way back until the share is as before, and when on the clock they came */
async function backFrom(
  share: number,
  weights: 'service' | 'member',
  isDead: boolean,
): Promise<{ firstMs: number; tookMs: number; writes: Call[] }> {
  const writes: Call[] = [];
  let firstMs = Infinity;
  let began = NaN;
  const { playbook, seed } = pairOf({
    source: { pods: PODS },
    target: { pods: PODS },
    entry: `weights: ${weights}`,
    traffic: `steps: [${share}], hold: 1s`,
  });
  const stage = await openStage(playbook, seed, {
    clientsPerSecond: 5,
    patienceMs: PATIENCE_BACK,
    tap: async (call, send) => {
      const at = stage.twin.clock.now() - began;
      const reply = await send();
      if (call.writes) {
        writes.push(call);
        firstMs = Math.min(firstMs, at);
      }
      return reply;
    },
  });
  try {
    const { twin } = stage;
    const store = memoryStore();
    const plan = makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers);
    mustBeDone(await run(plan, ['traffic'], engineOn(stage, store)));
    await twin.settle();
    if (isDead) twin.target.down();
    writes.length = 0;
    firstMs = Infinity;
    began = twin.clock.now();
    mustBeDone(await rollback('traffic/attach', engineOn(stage, store)));
    const tookMs = twin.clock.now() - began;
    const members = twin.cloud.api.listenerBackends(BALANCER, 80) ?? [];
    const sum = (owner: string) =>
      members.filter((it) => it.description.endsWith(owner)).reduce((total, it) => total + it.weight, 0);
    assert.equal(sum('c-new'), 0, `the target after the way back from ${share} %`);
    assert.ok(sum('c-old') > 0);
    assert.equal(twin.clients.counts().failed, 0);
    const owed = engineOn(stage, store).journal.debts().length;
    assert.equal(owed > 0, isDead, 'what its Service says is owed');
    return { firstMs, tookMs, writes };
  } finally {
    await stage.close();
  }
}
