import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MigrateError } from '../src/errors.js';
import type { Engine, RunOutcome } from '../src/engine.js';
import { memoryStore } from '../src/journal.js';
import type { Cloud, Disk, Snapshot } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import type { Faults, Seed } from '../src/twin/types.js';
import { Crash, crashing, mustBeDone } from './crashing.js';
import { addedTo, diskLife, FAR, REGION, wrongAtEnd, type DiskLife, type LifeOptions } from './disk-world.js';
import { ALL, diskStorm, rest } from './disk-kills.js';

/** What the cloud says no to, what it begins and does not end, and what others do to our copies meanwhile. */

const ONE = { sets: [1] };
const FIRST = 'd-old000';

async function inWorld(
  options: LifeOptions,
  act: (life: DiskLife) => Promise<void>,
  disks: Parameters<typeof diskLife>[0] = ONE,
): Promise<void> {
  const life = await diskLife(disks, options);
  try {
    await act(life);
  } finally {
    await life.stage.close();
  }
}

const go = (life: DiskLife, engine: Engine = life.engine()) => run(life.plan, ['data'], engine);

function stoppedBy(outcome: RunOutcome, code: string): MigrateError {
  assert.equal(outcome.outcome, 'stopped');
  const { error } = outcome as { error: unknown };
  assert.ok(error instanceof MigrateError, String(error));
  assert.equal(error.code, code, error.what);
  return error;
}

test('codes that pass are waited for, and nothing is made twice', async () => {
  const passing = [
    [409, 'InvalidOperation.Conflict'],
    [403, 'IdempotentProcessing'],
    [403, 'LastTokenProcessing'],
    [400, 'IncorrectInstanceStatus'],
    [500, 'InternalError'],
    [503, 'ServiceUnavailable'],
    [400, 'Throttling.User'],
    [403, 'IncorrectDiskStatus.CreatingSnapshot'],
    [403, 'InvalidOperation.UnfinishedCrossRegionCopy'],
    [403, 'QuotaExceed.ConcurrentSnapshotQuota'],
  ] as const;
  const left = [...passing];
  let asked = 0;
  const faults: Faults = {
    decide({ to, writes }) {
      const next = to === 'cloud' && writes && asked++ % 2 === 0 ? left.shift() : undefined;
      return next && { kind: 'refuse', status: next[0], code: next[1], message: 'not now' };
    },
  };
  await inWorld(
    { faults },
    async (life) => {
      mustBeDone(await go(life));
      assert.deepEqual(left, []);
      assert.deepEqual(await wrongAtEnd(life), []);
    },
    { sets: [1, 1] },
  );
});

test('codes that do not pass stop the run with what to do about them', async () => {
  const lasting = [
    [403, 'QuotaExceed.Snapshot', /256 snapshots/, /Delete old snapshots/],
    [403, 'IncorrectDiskStatus.NeverAttached', /never attached/, /leave the claim out/],
    [400, 'DiskCategory.OperationNotSupported', /local to their machine/, /leave the claim out|Leave the claim out/],
    [403, 'InvalidParameter.KMSKeyId.NotFound', /keys stay/, /data\.kmsKey/],
    [403, 'QuotaExceed.PostPaidDisk', /quota/, /Quota Center/],
    [400, 'InvalidDataDiskCategory.NotSupported', /does not sell/, /data\.disks/],
  ] as const;
  let now: (typeof lasting)[number] | undefined;
  const faults: Faults = {
    decide: ({ verb }) =>
      verb === 'CreateSnapshot' && now ? { kind: 'refuse', status: now[0], code: now[1], message: 'no' } : undefined,
  };
  await inWorld({ faults }, async (life) => {
    for (now of lasting) {
      const [, code, why, fix] = now;
      const error = stoppedBy(await go(life), 'CLOUD_REFUSED');
      assert.equal(error.what, `CreateSnapshot ${FIRST}: refused (${code}).`);
      assert.match(error.why, why);
      assert.match(error.fix, fix);
    }
    now = undefined;
    mustBeDone(await go(life));
    assert.deepEqual(await wrongAtEnd(life), []);
  });
});

test('a snapshot of somebody else is waited for, and stays', async () => {
  await inWorld({}, async (life) => {
    const { api } = life.stage.twin.cloud;
    const { SnapshotId } = await api.call('Ecs', 'CreateSnapshot', { RegionId: REGION, DiskId: FIRST });
    const notes: string[] = [];
    const engine = life.engine();
    mustBeDone(
      await go(life, { ...engine, emit: (event) => void (engine.emit(event), notes.push(JSON.stringify(event))) }),
    );
    assert.ok(notes.some((it) => it.includes('waits: ') && it.includes('IncorrectDiskStatus.CreatingSnapshot')));
    mustBeDone(await rollback(undefined, life.engine(true)));
    assert.deepEqual(
      addedTo(life).snapshots.map((it) => it.id),
      [SnapshotId],
    );
  });
});

const failing = (failures: NonNullable<Seed['cloud']['failures']>): LifeOptions => ({
  seed: (seed) => ({ ...seed, cloud: { ...seed.cloud, failures } }),
});

test('what the cloud gives up is made anew by the next run, and what failed is deleted', async () => {
  for (const [action, code] of [
    ['CreateSnapshot', 'SNAPSHOT_FAILED'],
    ['CopySnapshot', 'SNAPSHOT_FAILED'],
    ['CreateDisk', 'COPY_GONE'],
  ] as const)
    await inWorld(failing([{ action, times: 2 }]), async (life) => {
      stoppedBy(await go(life), code);
      stoppedBy(await go(life), code);
      mustBeDone(await go(life));
      assert.deepEqual(await wrongAtEnd(life), [], action);
      assert.deepEqual(await rest(life, 'delete'), [], action);
    });
});

test('killed while it makes anew what failed, it still ends with one', async () => {
  let index = 0;
  for (const action of ['CreateSnapshot', 'CopySnapshot', 'CreateDisk'])
    for (const after of ['run', 'delete', 'keep'] as const)
      for (let at = 0; at < 4; at++) {
        if (!ALL && index++ % 9 !== 1) continue;
        const crash = crashing(at);
        const lines = memoryStore();
        let isKilled = false;
        await inWorld(
          {
            ...failing([{ action }]),
            tap: (call, send) => (isKilled ? crash.tap(call, send) : send()),
            store: { read: () => lines.read(), append: (line) => (isKilled ? crash.wrap(lines) : lines).append(line) },
          },
          async (life) => {
            assert.equal((await go(life)).outcome, 'stopped');
            isKilled = true;
            crash.arm();
            await go(life).catch(() => undefined);
            assert.ok(crash.crashed());
            isKilled = false;
            assert.deepEqual(await rest(life, after), [], `${action}, ${after}, point ${at}`);
          },
        );
      }
});

test('lists that lag behind do not make a killed run copy twice', async () => {
  for (const verb of ['CreateSnapshot', 'CopySnapshot', 'CreateDisk']) {
    const lines = memoryStore();
    let dead = false;
    let revived = false;
    const alive = () => {
      if (dead) throw new Crash();
    };
    await inWorld(
      {
        // Done, and nobody hears of it.
        async tap(call, send) {
          alive();
          const reply = await send();
          dead ||= !revived && call.verb === verb;
          alive();
          return reply;
        },
        store: { read: () => lines.read(), append: (line) => (alive(), lines.append(line)) },
      },
      async (life) => {
        const lag = late(life);
        const lagging = (engine: Engine): Engine => ({
          ...engine,
          world: { ...engine.world, cloud: lag(engine.world.cloud) },
        });
        await go(life, lagging(life.engine())).catch(() => undefined);
        assert.ok(dead);
        [dead, revived] = [false, true];
        mustBeDone(await go(life, lagging(life.engine())));
        assert.deepEqual(await wrongAtEnd(life), [], verb);
      },
    );
  }
});

/** Nothing is in a list before it has been there for half a minute. */
function late({ stage }: DiskLife): (cloud: Cloud) => Cloud {
  const { clock } = stage.world;
  const since = new Map<string, number>();
  const old = <T extends Snapshot | Disk>(all: T[]): T[] =>
    all.filter(({ id }) => {
      const at = since.get(id) ?? clock.now();
      since.set(id, at);
      return clock.now() - at >= 30_000;
    });
  return (cloud) => ({
    ...cloud,
    disks: async (region, tag) => old(await cloud.disks(region, tag)),
    snapshots: async (region, tag) => old(await cloud.snapshots(region, tag)),
  });
}

test('a copy that somebody deletes is missed, and made again after going back', async () => {
  await inWorld({}, async (life) => {
    const { api } = life.stage.twin.cloud;
    const engine = life.engine();
    const deleting: Engine = {
      ...engine,
      emit(event) {
        engine.emit(event);
        if (event.type !== 'step' || event.state !== 'done' || event.step !== 'data/disk/data/data-set-0-0/copy')
          return;
        for (const { id, region } of addedTo(life).snapshots)
          if (region === FAR) void api.call('Ecs', 'DeleteSnapshot', { SnapshotId: id });
      },
    };
    const error = stoppedBy(await go(life, deleting), 'CLOUD_REFUSED');
    assert.match(error.fix, /Roll back to before the step that took it/);
    stoppedBy(await go(life), 'COPY_GONE');
    mustBeDone(await rollback(undefined, life.engine(true)));
    mustBeDone(await go(life));
    assert.deepEqual(await wrongAtEnd(life), []);
  });
});

test('a tag that somebody put on another snapshot too stops the run, and neither is touched', async () => {
  await inWorld({}, async (life) => {
    const { api } = life.stage.twin.cloud;
    const { SnapshotId } = await api.call('Ecs', 'CreateSnapshot', { RegionId: REGION, DiskId: FIRST });
    await life.stage.twin.settle();
    const engine = life.engine();
    let tagged: Promise<unknown> | undefined;
    const tagging: Engine = {
      ...engine,
      emit(event) {
        engine.emit(event);
        const [ours] = addedTo(life).snapshots.filter((it) => it.tags['migrate-id'] !== undefined);
        if (!ours || tagged) return;
        tagged = api.call('Ecs', 'TagResources', {
          RegionId: REGION,
          ResourceType: 'snapshot',
          'ResourceId.1': SnapshotId,
          ...Object.fromEntries(
            Object.entries(ours.tags).flatMap(([key, value], index) => [
              [`Tag.${index + 1}.Key`, key],
              [`Tag.${index + 1}.Value`, value],
            ]),
          ),
        });
      },
    };
    const error = stoppedBy(await go(life, tagging), 'COPY_NOT_UNIQUE');
    await tagged;
    assert.match(error.what, new RegExp(SnapshotId));
    const there = addedTo(life).snapshots.length;
    const back = await rollback(undefined, life.engine(true));
    stoppedBy(back, 'COPY_NOT_UNIQUE');
    assert.equal(addedTo(life).snapshots.length, there);
  });
});

test('two plans in one account leave each other alone', async () => {
  await inWorld({}, async (life) => {
    mustBeDone(await go(life));
    mustBeDone(await rollback(undefined, life.engine(false)));
    const kept = addedTo(life);
    assert.ok(kept.disks.length === 1 && kept.snapshots.length === 4);
    await life.stage.twin.settle();
    const other = { ...life.plan, digest: 'f'.repeat(64) };
    const engine = life.engine();
    mustBeDone(await run(other, ['data'], engine));
    const both = addedTo(life);
    assert.equal(both.snapshots.filter((it) => it.tags['migrate-plan'] === 'ffffffff').length, 4);
    mustBeDone(await rollback(undefined, life.engine(true)));
    assert.deepEqual(addedTo(life), kept);
  });
});

test('no storm makes a second copy or loses one', async (t) => {
  const wrong: string[] = [];
  const seeds = ALL ? 100 : 2;
  for (let seed = 1; seed <= seeds; seed++)
    for (const it of await diskStorm(seed)) wrong.push(`seed ${seed}: ${it} (replay: npm run soak -- ${seed})`);
  t.diagnostic(`${seeds} seeds`);
  assert.deepEqual(wrong, []);
});
