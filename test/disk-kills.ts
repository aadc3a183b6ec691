import { memoryStore } from '../src/journal.js';
import type { RunOutcome } from '../src/engine.js';
import type { Plan } from '../src/plan.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import { seededFaults } from '../src/twin/faults.js';
import type { Fault, Faults } from '../src/twin/types.js';
import { differences } from '../src/cli/rehearse.js';
import { crashing, mustBeDone } from './crashing.js';
import { addedTo, diskLife, type DiskLife, type DisksOptions, type LifeOptions, wrongAtEnd } from './disk-world.js';

/** A move of disks that is killed, and what is done afterwards with what it left. */

/** `MIGRATE_DISK_KILLS=all` tries each point, with each way on; the ordinary run takes some of them. */
export const ALL = process.env['MIGRATE_DISK_KILLS'] === 'all';

/** `run`: goes on. `keep`, `delete`: goes back, and leaves the copies or not. `again`: goes back, leaves them, and moves once more. */
export type After = 'run' | 'keep' | 'delete' | 'again';
export const AFTERS = ['run', 'keep', 'delete', 'again'] as const;

/** One whole run, to know how many points there are. */
export async function wholeRun(options: DisksOptions): Promise<{ plan: Plan; points: number; writes: number }> {
  const crash = crashing(Infinity);
  const life = await diskLife(options, { tap: crash.tap, store: crash.wrap(memoryStore()) });
  try {
    crash.arm();
    mustBeDone(await run(life.plan, ['data'], life.engine()));
    const writes = [...life.calls].reduce((sum, [verb, { sent }]) => sum + (verb.startsWith('Describe') ? 0 : sent), 0);
    return { plan: life.plan, points: crash.effects(), writes };
  } finally {
    await life.stage.close();
  }
}

/** Killed after so many effects, while it goes forward; then the rest. @returns what is wrong at the end */
export async function killedAt(at: number, options: DisksOptions, plan: Plan, after: After): Promise<string[]> {
  const crash = crashing(at);
  const lines = memoryStore();
  let revived = false;
  const life = await diskLife(options, {
    tap: (call, send) => (revived ? send() : crash.tap(call, send)),
    store: { read: () => lines.read(), append: (line) => (revived ? lines : crash.wrap(lines)).append(line) },
    plan,
  });
  try {
    crash.arm();
    await run(plan, ['data'], life.engine()).catch(() => undefined);
    if (!crash.crashed()) return [`point ${at} was not reached`];
    revived = true;
    return await rest(life, after);
  } finally {
    await life.stage.close();
  }
}

/** Moved, and killed after so many effects of the way back; then back for good. */
export async function killedBackAt(
  at: number,
  options: DisksOptions,
  plan: Plan,
  deletesCopies: boolean,
): Promise<string[] | undefined> {
  const crash = crashing(at);
  const lines = memoryStore();
  let back = false;
  const life = await diskLife(options, {
    tap: (call, send) => (back ? crash.tap(call, send) : send()),
    store: { read: () => lines.read(), append: (line) => (back ? crash.wrap(lines) : lines).append(line) },
    plan,
  });
  try {
    mustBeDone(await run(plan, ['data'], life.engine()));
    back = true;
    crash.arm();
    await rollback(undefined, life.engine(deletesCopies)).catch(() => undefined);
    if (!crash.crashed()) return undefined;
    back = false;
    // What a killed process had named is named once more by the one that ends the way back, or was written down by it.
    return await rest(life, deletesCopies ? 'delete' : 'keep');
  } finally {
    await life.stage.close();
  }
}

/** One writing request of the cloud meets a fault, and everything goes on. */
export async function faultyAt(
  index: number,
  fault: Fault,
  options: DisksOptions,
  { plan, after = 'run', ...more }: LifeOptions & { after?: After },
): Promise<string[]> {
  let seen = 0;
  const faults: Faults = {
    decide: ({ to, writes }) => (to === 'cloud' && writes && seen++ === index ? fault : undefined),
  };
  const life = await diskLife(options, { ...more, ...(plan && { plan }), faults });
  try {
    mustBeDone(await run(life.plan, ['data'], life.engine()));
    if (seen <= index) return [`write ${index} was not sent`];
    return await rest(life, after);
  } finally {
    await life.stage.close();
  }
}

/** Disks that the storms move. */
export const STORMY: DisksOptions = { sets: [2], deployments: 1, encryptedEvery: 3, live: 2 };

/** As often as an operator would try again before asking somebody. */
const TRIES = 5;

/**
 * One move through a storm drawn from the seed: throttling, conflicts, busy codes, lost and slow replies, work that the cloud begins and gives
 * up, a server gone for a while. It goes forward, and for odd seeds all the way back too.
 *
 * @returns what was wrong, in words
 */
export async function diskStorm(seed: number, plan?: Plan): Promise<string[]> {
  let now = () => 0;
  const faults = seededFaults(`disks ${seed}`, {
    rate: 0.08,
    outages: [
      {
        to: (['source', 'target', 'cloud'] as const)[seed % 3] ?? 'cloud',
        fromMs: (seed * 7919) % 600_000,
        forMs: 5000 + ((seed * 104_729) % 35_000),
      },
    ],
    now: () => now(),
  });
  const actions = ['CreateSnapshot', 'CopySnapshot', 'CreateDisk', ''];
  const life = await diskLife(STORMY, {
    faults,
    ...(plan && { plan }),
    seed: (it) => ({ ...it, cloud: { ...it.cloud, failures: [{ action: actions[seed % 4] ?? '' }] } }),
  });
  now = () => life.stage.twin.clock.now();
  try {
    const trying = async (go: () => Promise<RunOutcome>) => {
      let outcome = await go();
      for (let attempt = 1; outcome.outcome === 'stopped' && attempt < TRIES; attempt++) outcome = await go();
      mustBeDone(outcome);
    };
    await trying(() => run(life.plan, ['data'], life.engine()));
    const wrong = await wrongAtEnd(life);
    if (seed % 2 === 0) return wrong;
    await trying(() => rollback(undefined, life.engine(true)));
    await life.stage.twin.settle();
    return [...wrong, ...wrongAtStart(life)];
  } catch (error) {
    return [String(error)];
  } finally {
    await life.stage.close();
  }
}

export async function rest(life: DiskLife, after: After): Promise<string[]> {
  if (after === 'run') {
    mustBeDone(await run(life.plan, ['data'], life.engine()));
    return wrongAtEnd(life);
  }
  mustBeDone(await rollback(undefined, life.engine(after === 'delete')));
  await life.stage.twin.settle();
  const wrong = after === 'delete' ? wrongAtStart(life) : wrongKept(life);
  if (after !== 'again') return wrong;
  mustBeDone(await run(life.plan, ['data'], life.engine()));
  return [...wrong, ...(await wrongAtEnd(life))];
}

/** All is as it was, and nothing of ours is left in any region. */
function wrongAtStart({ stage, start }: DiskLife): string[] {
  return differences(start, stage.twin.snapshot()).slice(0, 3);
}

/** The clusters are as they were; in the cloud there is besides what was there just what was named. */
function wrongKept(life: DiskLife): string[] {
  const { stage, start, kept } = life;
  const added = addedTo(life);
  const left = [...added.disks, ...added.snapshots].map((it) => it.id).sort();
  const named = [...new Set(kept.map((it) => it.id))].sort();
  const wrong = differences(
    { ...(start as object), cloud: {} },
    { ...(stage.twin.snapshot() as object), cloud: {} },
  ).slice(0, 3);
  if (JSON.stringify(left) !== JSON.stringify(named)) wrong.push(`left ${left.join()}, named ${named.join()}`);
  return wrong;
}
