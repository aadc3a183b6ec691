import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMigrateError } from '../src/errors.js';
import { memoryStore } from '../src/journal.js';
import { lostBy } from '../src/no-return.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import type { Copy } from '../src/step.js';
import { engineOn, mustBeDone, quickShop, stageFor } from './shop.js';

const START = 'data/start/shop';
const ROUND = { clientsPerSecond: 1 };

describe('a point of no return', () => {
  test('is named in the plan where copied disks are written to, and nowhere else', async () => {
    const { stage, plan } = await stageFor(quickShop(), ROUND);
    await stage.close();
    assert.deepEqual(
      plan.steps.filter((it) => it.noReturn !== undefined).map((it) => it.id),
      [START],
    );
    assert.match(
      plan.steps.find((it) => it.id === START)?.noReturn ?? '',
      /copy of shop\/.*going back returns to the source's data/,
    );
  });

  test('is not crossed without a yes of its own: nothing of the step is begun, all before it is done, and back loses nothing', async () => {
    const { stage, plan, engine, start } = await stageFor(quickShop(), ROUND);
    try {
      const { approve: _nobody, ...alone } = engine;
      const stopped = await run(plan, ['data', 'traffic'], alone);
      assert.ok(stopped.outcome === 'stopped' && isMigrateError(stopped.error, 'NO_RETURN'), JSON.stringify(stopped));
      assert.equal(stopped.step, START);
      assert.match(stopped.error.fix, /migrate run --approve data\/start\/shop/);
      assert.equal(engine.journal.record(START), undefined);
      assert.deepEqual(lostBy(engine.journal.records()), []);
      mustBeDone(await rollback(undefined, engine));
      await stage.twin.settle();
      assert.deepEqual(stage.twin.snapshot(), start);
    } finally {
      await stage.close();
    }
  });

  test('a yes that was given beforehand counts once: after a roll-back it is asked for again', async () => {
    const { stage, plan, engine } = await stageFor(quickShop(), ROUND);
    try {
      const { approve: _nobody, ...alone } = engine;
      engine.journal.write({ type: 'approved', step: START, by: 'sre@home' });
      mustBeDone(await run(plan, ['data'], alone));
      assert.deepEqual(
        lostBy(engine.journal.records()).map((it) => it.step.id),
        [START],
      );
      mustBeDone(await rollback(undefined, engine));
      const again = await run(plan, ['data'], alone);
      assert.ok(again.outcome === 'stopped' && isMigrateError(again.error, 'NO_RETURN'));
    } finally {
      await stage.close();
    }
  });
});

test('copies are kept on the way back unless somebody says otherwise, named, and never taken for new ones', async () => {
  const store = memoryStore();
  const { stage, plan, engine } = await stageFor(quickShop(), { ...ROUND, store });
  const ours = (kept: readonly Copy[], what: Copy['what']) => kept.filter((it) => it.what === what).map((it) => it.id);
  const inCloud = () => {
    const { disks, snapshots } = (
      stage.twin.snapshot() as { cloud: Record<'disks' | 'snapshots', { id: string; name: string }[]> }
    ).cloud;
    return [...disks, ...snapshots]
      .filter((it) => it.name.startsWith('migrate-'))
      .map((it) => it.id)
      .sort();
  };
  try {
    mustBeDone(await run(plan, ['data'], engine));
    const first = inCloud();
    const kept: Copy[] = [];
    mustBeDone(await rollback(undefined, { ...engine, deletesCopies: false, kept: (it) => void kept.push(it) }));
    await stage.twin.settle();
    assert.deepEqual(inCloud(), first);
    assert.deepEqual(kept.map((it) => it.id).sort(), first);
    assert.equal(ours(kept, 'disk').length, 1);
    assert.equal(new Set(kept.map((it) => it.mark)).size, 1);

    mustBeDone(await run(plan, ['data'], engineOn(stage, store)));
    const second = inCloud();
    assert.equal(second.length, 2 * first.length);
    const volume = await stage.world.target.get({
      kind: 'PersistentVolume',
      name:
        plan.steps.flatMap((it) =>
          it.kind === 'create-volume'
            ? [(it.args as { volume: { metadata: { name: string } } }).volume.metadata.name]
            : [],
        )[0] ?? '',
    });
    assert.ok(!first.includes(String(volume?.['spec']?.csi?.volumeHandle)));

    mustBeDone(await rollback(undefined, engineOn(stage, store)));
    await stage.twin.settle();
    assert.deepEqual(inCloud(), first, 'what an earlier run left is not this one’s to delete');
  } finally {
    await stage.close();
  }
});
