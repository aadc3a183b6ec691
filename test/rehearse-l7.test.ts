import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { rehearse } from '../src/cli/rehearse.js';
import { seedOf } from '../src/cli/seeds.js';
import { openStage } from '../src/cli/stage.js';
import type { EndedEvent, EventBody } from '../src/events.js';
import { takeInventory } from '../src/look.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { Seed } from '../src/twin/types.js';
import { ROOT, shipped } from './shop.js';

/** The shipped playbook with short holds and without the probe. */
function quick(name: string): Playbook {
  const text = readFileSync(path.join(ROOT, 'playbooks', `${name}.yaml`), 'utf8');
  const changed = text.replace(/^ {2}hold: .*$/m, '  hold: 20s').replace(/^ {2}gates:\n(?: {4}.*\n?)+/m, '');
  assert.ok(!changed.includes('gates:'));
  return parsePlaybook(changed, `${name}.yaml`);
}

async function rehearsed(
  playbook: Playbook,
  seed: Seed,
  back: boolean,
): Promise<{ ended: EndedEvent; told: EventBody[] }> {
  const told: EventBody[] = [];
  const ended = await rehearse({ playbook, seed, back, seedNumber: 3 }, {
    emit: (event: EventBody) => void told.push(event),
    stopping: () => false,
  } as Parameters<typeof rehearse>[1]);
  return { ended, told };
}

for (const name of ['gateway', 'ingress', 'istio'] as const) {
  test(`${name}.yaml goes all the way and all the way back, and no client notices`, async () => {
    const { ended, told } = await rehearsed(quick(name), shipped(name).seed, true);
    const errors = told.filter((it) => it.type === 'error' || it.type === 'warning');
    assert.deepEqual([ended.outcome, ended.same, ended.requests?.failed], ['done', true, 0], JSON.stringify(errors));
    assert.ok((ended.requests?.target ?? 0) > 0);
  });

  test(`the same world as it would be captured serves ${name}.yaml too`, async () => {
    const playbook = quick(name);
    const stage = await openStage(playbook, shipped(name).seed);
    const inventory = await takeInventory(playbook, stage.world, checks);
    await stage.close();
    const seed = seedOf(playbook, inventory);
    // The address that the captured Service shows is the one that answers.
    const address = inventory.target.objects['Service']?.find((it) => it.metadata.name === 'web')?.['status']
      ?.loadBalancer?.ingress?.[0]?.ip;
    assert.deepEqual(
      seed.cloud.loadBalancers.map((it) => it.address),
      address === undefined ? [] : [address],
    );
    assert.equal(seed.clients?.length, 1);
    const { ended, told } = await rehearsed(playbook, seed, false);
    const errors = told.filter((it) => it.type === 'error');
    assert.deepEqual([ended.outcome, ended.requests?.failed], ['done', 0], JSON.stringify(errors));
    assert.ok((ended.requests?.target ?? 0) > 0);
  });
}
