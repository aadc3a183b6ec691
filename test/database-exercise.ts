import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { askDatabases } from '../src/database-fit.js';
import type { Database } from '../src/databases.js';
import type { EventBody } from '../src/events.js';
import type { DatabaseSeen } from '../src/inventory.js';
import { memoryStore } from '../src/journal.js';
import type { Side } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import { mustServe, noneLost, untilServed, type Checker } from './checker.js';
import { crashing, mustBeDone } from './crashing.js';
import { planFor, stageOn } from './database-stage.js';

/** What every kind of database must stand, on real servers, while the checker writes to both sides. */
export interface Exercise {
  database: Database;
  env: NodeJS.ProcessEnv;
  checker: Checker;
  /** what the side has of the checker's writes */
  held(side: Side): Promise<ReadonlySet<number>>;
}

/**
 * The replica is made, the target takes the writes over, the source takes them back; the replica stays for what comes next.
 *
 * @param killedAt  the first try dies after so many effects, in the middle of making the replica
 */
export async function thereAndBack(t: TestContext, it: Exercise, killedAt?: number): Promise<void> {
  const { checker, database, env, held } = it;
  const plan = planFor([database]);
  const store = memoryStore();
  assert.deepEqual((await seenOf(it)).unfit, []);
  if (killedAt !== undefined) {
    const crash = crashing(killedAt);
    const first = stageOn(crash.wrap(store), { env, tap: crash.tap });
    crash.arm();
    await run(plan, ['data'], first.engine).catch(() => undefined);
    await first.dropConnections();
    assert.ok(crash.crashed());
  }
  const events: EventBody[] = [];
  const stage = stageOn(store, { env, emit: (event) => void events.push(event) });
  const go = async (side: Side, act: () => Promise<void>) => {
    checker.mark();
    await act();
    await untilServed(checker, side, 200);
    const judged = checker.since();
    mustServe(judged, side);
    await noneLost(checker, side, held);
    t.diagnostic(
      `to the ${side}: ${judged.perSecond.toFixed(0)} writes/s, nobody could write for ${judged.pauseMs.toFixed(0)} ms`,
    );
    assert.ok(judged.pauseMs < 2000, `nobody could write for ${judged.pauseMs.toFixed(0)} ms`);
  };
  await go('target', async () => mustBeDone(await run(plan, ['data'], stage.engine)));
  const moved = await seenOf(it);
  assert.deepEqual(moved.unfit, ['it is switched over: the target takes the writes, the source follows']);
  assert.equal(moved.wayBack, undefined);
  await go('source', async () => mustBeDone(await rollback(`data/database/${database.name}/replica`, stage.engine)));
  const back = await seenOf(it);
  assert.deepEqual(back.unfit, []);
  assert.match(back.wayBack ?? '', /^127\.0\.0\.1:\d+/);
  t.diagnostic(`doubts: ${back.doubts?.join('; ') ?? ''}`);
  tellsNoSecret(env, { plan, journal: store.lines, events });
}

/** What preflight would see; asked without changing anything. */
export async function seenOf({ database, env }: Pick<Exercise, 'database' | 'env'>): Promise<DatabaseSeen> {
  const stage = stageOn(memoryStore(), {
    env,
    tap(call, send) {
      assert.ok(!call.writes, `${call.to}: ${call.what}`);
      return send();
    },
  });
  const [seen] = await askDatabases([database], stage.engine.world);
  assert.ok(seen);
  tellsNoSecret(env, { seen });
  return seen;
}

/** None of the passwords that the steps were given is in what they leave behind. */
export function tellsNoSecret(env: NodeJS.ProcessEnv, told: Record<string, unknown>): void {
  for (const [where, it] of Object.entries(told)) {
    const text = typeof it === 'string' ? it : JSON.stringify(it);
    assert.ok(text.length > 20, `${where} is empty`);
    for (const value of Object.values(env)) assert.ok(!value || !text.includes(value), `${where} holds a password`);
  }
}

/**
 * Killed after each effect of a run: once it goes on, is killed again at the same effect of its way back, and goes back; once it goes back at
 * once. An effect is a statement that changes a server, or a line of the journal.
 *
 * @param what  `switch`: the replica's own step is done once, before; for servers where each turn takes long
 */
export async function killedAtEach(
  t: TestContext,
  it: Exercise,
  least: number,
  what: 'all' | 'switch' = 'all',
): Promise<void> {
  const { checker, database, env, held } = it;
  const plan = planFor([database]);
  const longest = { ms: 0, where: '' };
  const oneOwner = (where: string) => {
    const judged = checker.since();
    assert.deepEqual(judged.twoWriters, [], where);
    if (judged.pauseMs > longest.ms) Object.assign(longest, { ms: judged.pauseMs, where });
    checker.mark();
    return judged.owner;
  };
  const replica = `data/database/${database.name}/replica`;
  const done = memoryStore();
  if (what === 'switch') {
    const [first] = plan.steps;
    mustBeDone(await run({ ...plan, steps: first ? [first] : [] }, ['data'], stageOn(done, { env }).engine));
  }
  const begin = () => {
    const store = memoryStore();
    store.lines.push(...done.lines);
    return store;
  };
  const end = what === 'switch' ? replica : undefined;
  let points = 0;
  for (let at = 1; ; at++) {
    const forward = () => killed(at, (engine) => run(plan, ['data'], engine));
    async function killed(
      effects: number,
      act: (engine: ReturnType<typeof stageOn>['engine']) => Promise<unknown>,
      store = begin(),
    ) {
      const crash = crashing(effects);
      const stage = stageOn(crash.wrap(store), { env, tap: crash.tap });
      crash.arm();
      await act(stage.engine).catch(() => undefined);
      await stage.dropConnections();
      return { store, crashed: crash.crashed() };
    }

    checker.mark();
    const { store, crashed } = await forward();
    mustBeDone(await run(plan, ['data'], stageOn(store, { env }).engine));
    await untilServed(checker, 'target', 10);
    assert.equal(oneOwner(`killed at ${at}, went on`), 'target');
    await killed(at, (engine) => rollback(end, engine), store);
    mustBeDone(await rollback(end, stageOn(store, { env }).engine));
    await untilServed(checker, 'source', 10);
    assert.equal(oneOwner(`killed at ${at} on the way back`), 'source');

    const second = await forward();
    // What was done until then is one way, what comes now the other.
    oneOwner(`until it was killed at ${at}`);
    mustBeDone(await rollback(end, stageOn(second.store, { env }).engine));
    await untilServed(checker, 'source', 10);
    assert.equal(oneOwner(`killed at ${at}, went back`), 'source');
    if (!crashed) break;
    points = at;
  }
  await noneLost(checker, 'source', held);
  assert.ok(points >= least, `only ${points} points`);
  t.diagnostic(
    `${points} points, each resumed and rolled back; ${checker.acknowledged().length} writes; longest pause ${longest.ms.toFixed(0)} ms (${longest.where})`,
  );
}
