import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Database } from '../src/databases.js';
import type { Side } from '../src/ports.js';
import type { Phase } from '../src/step.js';
import { mustServe, noneLost, untilServed } from './checker.js';
import type { Exercise } from './database-exercise.js';
import type { LifeLine, LifeOrders } from './database-life.js';

const LIFE = fileURLToPath(new URL('database-life.js', import.meta.url));

/** `kill`: it stands still at the effect. `kill soon`: it is let go and ended while the effect is under way, or the next. */
type Answer = 'go on' | 'kill' | 'kill soon';

type Ended = { killed: string } | { ended: string; error?: string };

/** One life of the process that carries the steps; `decide` is asked before and after each effect. */
async function live(
  orders: LifeOrders,
  env: NodeJS.ProcessEnv,
  decide: (at: 'before' | 'after', effect: string) => Answer,
): Promise<Ended> {
  const child = spawn(process.execPath, [LIFE, JSON.stringify(orders)], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // It may be gone before it has read its answer.
  child.stdin.on('error', () => undefined);
  const closed = new Promise<string>((resolve) =>
    child.on('close', (code, signal) => resolve(signal ?? `code ${code}`)),
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  let ended: Ended | undefined;
  let killedAt: string | undefined;
  let last = 'nothing';
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as LifeLine;
    if ('ended' in line) {
      ended = line;
      continue;
    }
    // It may have come one effect further before the signal reached it.
    if (killedAt !== undefined) continue;
    last = `${line.at} ${line.effect}`;
    const answer = decide(line.at, line.effect);
    if (answer !== 'go on') killedAt = last;
    if (answer !== 'kill') child.stdin.write('.');
    // A statement takes about that long.
    if (answer === 'kill soon') setTimeout(() => child.kill('SIGKILL'), line.effect.length % 4);
    else if (answer === 'kill') child.kill('SIGKILL');
  }
  const how = await closed;
  if (how === 'SIGKILL' && killedAt !== undefined) return { killed: killedAt };
  // It was quicker than the signal.
  if (ended) return ended;
  throw new Error(`it ended by ${how} after ${killedAt ?? last}, without a word of how: ${said.slice(-2000)}`);
}

/** The playbook of a move back, after the old server was let go of. */
function exchanged(database: Database): Database {
  if (database.kind === 'exec') throw new Error('a hook knows its sides itself');
  const { source, target } = database;
  const repoint = database.repoint.map((it) => ('run' in it ? { run: it.back, back: it.run } : it));
  return { ...database, source: target, target: source, repoint } as Database;
}

export interface Outright {
  /** effects that the way there has */
  least: number;
  /** at every so many of them, or at those, the process is killed for good and the way back begun */
  turned: number | string[];
  /**
   * In the end the target takes over once more and the source is let go of, killed at each effect of that too. `and back`: then a move with
   * the two exchanged brings it back, as it would an operator.
   */
  ending?: boolean | 'and back';
  /** both sides may take writes, for they keep one log */
  oneCluster?: boolean;
  /** kills at effects of the same name */
  times?: number;
  /** what else must be so while the target serves */
  atTarget?: () => Promise<void>;
}

/**
 * The process that carries the steps is ended by SIGKILL, again and again, and started again: at every effect of the way there, at every
 * other one of the way back, and at some on the way there with the way back after it. What it does in between it does to real servers,
 * while the checker writes to both sides.
 */
export async function killedOutright(
  t: TestContext,
  it: Exercise,
  { least, turned, ending = false, oneCluster = false, times = 1, atTarget }: Outright,
): Promise<void> {
  const { checker, env, held } = it;
  const dir = mkdtempSync(path.join(tmpdir(), 'migrate-lives-'));
  const led = path.join(dir, 'led-to');
  const lead = (side: Side) => [
    process.execPath,
    '-e',
    "require('node:fs').writeFileSync(process.argv[1], process.argv[2])",
    led,
    side,
  ];
  const database: Database = { ...it.database, repoint: [{ run: lead('target'), back: lead('source') }] };
  let journals = 0;
  const fresh = () => path.join(dir, `${++journals}.jsonl`);
  const order = (act: LifeOrders['act'], journal: string, phases: Phase[] = ['data']): LifeOrders => ({
    database,
    act,
    phases,
    journal,
  });
  const longest = { ms: 0, where: '' };
  let kills = 0;

  /**
   * At each effect, or every other one; in turns while it is under way and when it is done. An effect that comes again after a kill is let
   * pass, so it comes to an end.
   *
   * @returns the effects
   */
  async function throughKills(orders: LifeOrders, every = 1): Promise<string[]> {
    const seen = new Map<string, number>();
    let met = 0;
    let inFlight = true;
    for (let life = 0; ; life++) {
      assert.ok(life < 100, `it does not come to an end: ${[...seen.keys()].join(', ')}`);
      const ended = await live(orders, env, (at, effect) => {
        if ((seen.get(effect) ?? 0) >= times || at === (inFlight ? 'after' : 'before')) return 'go on';
        seen.set(effect, (seen.get(effect) ?? 0) + 1);
        if (met++ % every !== 0) return 'go on';
        inFlight = !inFlight;
        return inFlight ? 'kill' : 'kill soon';
      });
      if ('killed' in ended) kills++;
      else if (ended.ended === 'done') return [...seen.keys()];
      else assert.fail(ended.error);
    }
  }
  async function undisturbed(orders: LifeOrders): Promise<string[]> {
    const seen = new Set<string>();
    const ended = await live(orders, env, (_at, effect) => {
      seen.add(effect);
      return 'go on';
    });
    assert.ok('ended' in ended && ended.ended === 'done', JSON.stringify(ended));
    return [...seen];
  }
  const judge = (where: string, side?: Side) => {
    const judged = checker.since();
    if (!oneCluster) assert.deepEqual(judged.twoWriters, [], where);
    if (side) assert.equal(judged.owner, side, where);
    // Nobody is fenced there, and the members go on while the process is dead.
    if (oneCluster)
      assert.ok(judged.pauseMs < 2000, `${where}: nobody could write for ${judged.pauseMs.toFixed(0)} ms`);
    if (judged.pauseMs > longest.ms) Object.assign(longest, { ms: judged.pauseMs, where });
    checker.mark();
  };
  const serves = async (side: Side, where: string) => {
    await untilServed(checker, side, 20);
    judge(where, side);
    await noneLost(checker, side, held);
    assert.equal(readFileSync(led, 'utf8'), side, `${where}: clients are led there`);
  };

  /** Of those that an undisturbed run has: after a kill there are others. */
  async function everySo(many: number): Promise<string[]> {
    const whole = fresh();
    const plain = await undisturbed(order('run', whole));
    await serves('target', 'undisturbed');
    await undisturbed(order('rollback', whole));
    await serves('source', 'undisturbed');
    return plain.filter((_, index) => index % many === many - 1);
  }

  try {
    checker.mark();
    const journal = fresh();
    const forth = await throughKills(order('run', journal));
    await untilServed(checker, 'target', 100);
    const judged = checker.since();
    mustServe(judged, 'target', oneCluster);
    await serves('target', 'killed at each effect, it went on');
    await atTarget?.();
    const back = await throughKills(order('rollback', journal), 2);
    await serves('source', 'killed at each effect of the way back, it went on');

    const turns = typeof turned === 'number' ? await everySo(turned) : turned;
    let landed = 0;
    for (const [index, effect] of turns.entries()) {
      const stopped = fresh();
      const how = index % 2 === 0 ? 'before' : 'after';
      const ended = await live(order('run', stopped), env, (at, one) =>
        one === effect && at === how ? 'kill' : 'go on',
      );
      // What a run does depends on how far the servers are when it looks: now and then one effect does not come.
      const where = 'killed' in ended ? `killed ${ended.killed}` : `${effect} did not come`;
      if ('killed' in ended) landed++;
      else assert.equal(ended.ended, 'done', ended.error);
      judge(where);
      await undisturbed(order('rollback', stopped));
      await serves('source', `${where}, and gone back`);
    }
    assert.ok(landed > 0 && landed >= turns.length - 1, `${landed} kills at ${turns.join(', ')}`);
    kills += landed;
    if (ending) {
      const last = fresh();
      await undisturbed(order('run', last));
      const released = await throughKills(order('run', last, ['complete']));
      await serves('target', 'the source was let go of');
      assert.ok(released.length >= 3, released.join(', '));
    }
    if (ending === 'and back') {
      const orders = order('run', fresh());
      await undisturbed({ ...orders, database: exchanged(database) });
      await serves('source', 'moved back with the two exchanged');
    }
    assert.ok(forth.length >= least && back.length >= least / 2, `${forth.length} effects there, ${back.length} back`);
    t.diagnostic(
      `${kills} SIGKILLs at ${forth.length} effects there and ${back.length} back; ${checker.acknowledged().length} writes, ${judged.perSecond.toFixed(0)} a second; longest pause ${longest.ms.toFixed(0)} ms (${longest.where})`,
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
