import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { rehearse } from '../src/cli/rehearse.js';
import { seedOf } from '../src/cli/seeds.js';
import { openStage, type Stage } from '../src/cli/stage.js';
import type { EndedEvent, EventBody } from '../src/events.js';
import { takeInventory } from '../src/look.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { Seed } from '../src/twin/types.js';
import { planOn, ROOT, shipped } from './shop.js';

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
  // A few clients see as much as many.
  const clients = (seed.clients ?? []).map((it) => ({ ...it, perSecond: 5 }));
  const ended = await rehearse({ playbook, seed: { ...seed, clients }, back, seedNumber: 3 }, {
    emit: (event: EventBody) => void told.push(event),
    stopping: () => false,
  } as Parameters<typeof rehearse>[1]);
  return { ended, told };
}

/** On a stage that is closed afterwards, whatever happens. */
async function on<T>(
  { playbook, seed }: { playbook: Playbook; seed: Seed },
  run: (stage: Stage, playbook: Playbook) => Promise<T>,
): Promise<T> {
  const stage = await openStage(playbook, seed);
  try {
    return await run(stage, playbook);
  } finally {
    await stage.close();
  }
}

for (const [name, crowds] of [
  ['dns', 1],
  ['waves', 3],
  ['fsm', 1],
] as const) {
  test(`${name}.yaml goes all the way and all the way back, and no client notices`, async () => {
    const { ended, told } = await rehearsed(quick(name), shipped(name).seed, true);
    const errors = told.filter((it) => it.type === 'error' || it.type === 'warning');
    assert.deepEqual([ended.outcome, ended.same, ended.requests?.failed], ['done', true, 0], JSON.stringify(errors));
    assert.ok((ended.requests?.target ?? 0) > 0);
  });

  test(`the same world as it would be captured serves ${name}.yaml too`, async () => {
    const playbook = quick(name);
    const inventory = await on({ playbook, seed: shipped(name).seed }, (stage) =>
      takeInventory(playbook, stage.world, checks),
    );
    const seed = seedOf(playbook, inventory);
    assert.equal(seed.clients?.length, crowds);
    const { ended, told } = await rehearsed(playbook, seed, false);
    const errors = told.filter((it) => it.type === 'error');
    assert.deepEqual([ended.outcome, ended.requests?.failed], ['done', 0], JSON.stringify(errors));
    assert.ok((ended.requests?.target ?? 0) > 0);
  });
}

test('a plan says how long an answer lasts, and that whole pods are a share', async () => {
  for (const [name, note] of [
    ['dns', /^portal\/web: moves by DNS answers: a step, and a way back, bites within 1 min 10 s/],
    ['waves', /^mall\/cart: its share is the ratio of ready pods/],
    ['fsm', /^bank\/pay: nothing shows that a share is in force/],
  ] as const) {
    const plan = await on(shipped(name), planOn);
    assert.ok(
      plan.notes.some((it) => note.test(it)),
      `${name}: ${plan.notes.join('\n')}`,
    );
  }
});

test('names come in before the first wave, waves one after the other, and the front door last', async () => {
  const plan = await on(shipped('waves'), planOn);
  const after = (id: string) => plan.steps.find((it) => it.id === id)?.after;
  assert.deepEqual(after('traffic/50/mall/cart'), ['traffic/attach/mall/cart', 'traffic/attach/mall/orders']);
  assert.deepEqual(after('traffic/25/mall/orders'), ['traffic/attach/mall/orders', 'traffic/100/mall/cart']);
  assert.deepEqual(after('traffic/5/mall/web'), ['traffic/attach/mall/web', 'traffic/100/mall/orders']);
  const { args } = plan.steps.find((it) => it.id === 'data/start/mall')!;
  assert.deepEqual(
    (args as { workloads: { name: string }[] }).workloads.map((it) => it.name),
    ['web'],
    'a pod that is ready has a share: those of a wave come up in it',
  );
});
