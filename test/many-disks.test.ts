import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { run } from '../src/run.js';
import { diskLife, FAR, REGION, wrongAtEnd, type DiskLife, type DisksOptions } from './disk-world.js';
import { mustBeDone } from './shop.js';

/** A hundred disks in one move: each exactly once, with few calls, within the limits of the cloud. */

const HUNDRED: DisksOptions = {
  sets: Array.from({ length: 18 }, () => 5),
  deployments: 10,
  encryptedEvery: 10,
};

const totalOf = ({ calls }: DiskLife) => [...calls.values()].reduce((sum, it) => sum + it.sent, 0);

const refusedOf = ({ calls }: DiskLife, code: RegExp) =>
  [...calls.values()]
    .flatMap(({ refused }) => [...refused])
    .reduce((sum, [it, times]) => sum + (code.test(it) ? times : 0), 0);

/** Looks of a loop for each disk that asks every ten seconds, by how long each of its steps took, and one before and after each write. */
function naive({ store }: DiskLife): number {
  const began = new Map<string, number>();
  let calls = 0;
  for (const line of store.read().split('\n').filter(Boolean)) {
    const entry = JSON.parse(line) as { type: string; at: string; step: string | { id: string; kind: string } };
    if (entry.type === 'begun' && typeof entry.step === 'object' && /snapshot|disk/.test(entry.step.kind))
      began.set(entry.step.id, Date.parse(entry.at));
    const since = entry.type === 'done' && typeof entry.step === 'string' ? began.get(entry.step) : undefined;
    if (since !== undefined) calls += 3 + Math.ceil((Date.parse(entry.at) - since) / 10_000);
  }
  return calls;
}

/** From the moment when writers begin to stop until the volumes of what they wrote are there, the longest, in seconds of the clock. */
function longestPause({ store, plan }: DiskLife): number {
  const at = new Map<string, number>();
  for (const line of store.read().split('\n').filter(Boolean)) {
    const entry = JSON.parse(line) as { type: string; at: string; step: string | { id: string } };
    if (entry.type === 'begun' && typeof entry.step === 'object')
      at.set(`${entry.step.id} begun`, Date.parse(entry.at));
    if (entry.type === 'done' && typeof entry.step === 'string') at.set(`${entry.step} done`, Date.parse(entry.at));
  }
  const pauses = plan.steps
    .filter((it) => it.kind === 'quiesce')
    .flatMap(({ id, args }) =>
      (args as { claims: string[] }).claims.map(
        (claim) => (at.get(`data/disk/${claim}/volume done`) ?? Infinity) - (at.get(`${id} begun`) ?? 0),
      ),
    );
  return Math.max(...pauses) / 1000;
}

function tell(t: TestContext, life: DiskLife, beganAt: number): void {
  const { calls, disks, stage } = life;
  const each = [...calls].map(
    ([verb, { sent, refused }]) =>
      `${verb} ${(sent / disks.length).toFixed(2)}${refused.size > 0 ? ` (refused ${[...refused].map(([code, times]) => `${code} ${times}`).join(', ')})` : ''}`,
  );
  const minutes = (stage.twin.clock.now() - beganAt) / 60_000;
  t.diagnostic(
    `${disks.length} disks to ${life.options.toRegion ?? FAR}: ${minutes.toFixed(1)} min of the clock, writers paused ${longestPause(life)} s at most, ${(totalOf(life) / disks.length).toFixed(2)} calls a disk: ${each.join(', ')}; a loop for each disk: ${(naive(life) / disks.length).toFixed(2)}`,
  );
}

test('a hundred disks go to another region, each exactly once, with fewer than ten calls each', async (t) => {
  const life = await diskLife(HUNDRED);
  try {
    const began = life.stage.twin.clock.now();
    mustBeDone(await run(life.plan, ['data'], life.engine()));
    assert.deepEqual(await wrongAtEnd(life), []);
    tell(t, life, began);
    const a = totalOf(life) / life.disks.length;
    assert.ok(a < 10, `${a} calls a disk`);
    assert.ok(a * 5 < naive(life) / life.disks.length);
    // One after the other, eight at a time, it took more than two hours.
    assert.ok(life.stage.twin.clock.now() - began < 20 * 60_000);
  } finally {
    await life.stage.close();
  }
});

test('fifty disks change zone within their region, under every limit that the account may have', async (t) => {
  const life = await diskLife(
    { ...HUNDRED, sets: HUNDRED.sets.slice(0, 8), toRegion: REGION },
    {
      callsPerMinute: { CreateSnapshot: 20, CreateDisk: 20, DescribeSnapshots: 20, DescribeDisks: 20 },
      cloud: { limits: { snapshotsUnderWay: 10 } },
    },
  );
  try {
    const began = life.stage.twin.clock.now();
    mustBeDone(await run(life.plan, ['data'], life.engine()));
    assert.deepEqual(await wrongAtEnd(life), []);
    tell(t, life, began);
    const a = totalOf(life) / life.disks.length;
    assert.ok(a < 10, `${a} calls a disk`);
    assert.ok(refusedOf(life, /^Throttling/) < 100);
    assert.ok(refusedOf(life, /^QuotaExceed/) < 150);
  } finally {
    await life.stage.close();
  }
});

test('while many wait for the window, the live passes of the others go on', async () => {
  const at = new Map<string, number>();
  const life = await diskLife(
    { sets: Array.from({ length: 12 }, () => 1), window: "{ from: '07:00', to: '08:00' }" },
    { emit: (event) => void (event.type === 'step' && event.state === 'done' && at.set(event.step, now())) },
  );
  const now = () => life.stage.twin.clock.now();
  try {
    mustBeDone(await run(life.plan, ['data'], life.engine()));
    assert.deepEqual(await wrongAtEnd(life), []);
    const opens = Date.parse('2026-11-23T07:00:00Z');
    const live = [...at].filter(([step]) => step.includes('/live/'));
    assert.equal(live.length, 24);
    for (const [step, when] of live)
      assert.ok(when < opens - 40 * 60_000, `${step} at ${new Date(when).toISOString()}`);
    const stopped = [...at].filter(([step]) => step.startsWith('data/quiesce/'));
    assert.equal(stopped.length, 12);
    for (const [step, when] of stopped) assert.ok(when >= opens && when < opens + 5 * 60_000, step);
  } finally {
    await life.stage.close();
  }
});
