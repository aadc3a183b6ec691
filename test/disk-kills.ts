import { memoryStore } from '../src/journal.js';
import type { Plan } from '../src/plan.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
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
    const writes = [...life.calls].reduce((sum, [verb, { sent }]) => sum + (/^Describe/.test(verb) ? 0 : sent), 0);
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
