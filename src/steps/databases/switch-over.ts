import { Interrupted } from '../../engine.js';
import { MigrateError } from '../../errors.js';
import { otherSide, type Side } from '../../ports.js';
import type { PairedDatabase } from '../../databases.js';
import { stateFrom, wordsFor, type DatabasePair, type Settings, type Standing, type State } from '../../standing.js';
import type { StepContext } from '../../step.js';
import { spell } from '../../words.js';

/**
 * Makes `to` the writer and `from` its replica, from whatever state the two are in. Each turn asks both servers where they stand and does
 * the one act that follows from it:
 *
 *   serving    from writes, to follows                  wait until to has caught up, then fence from
 *   fenced     nobody writes, to follows                wait until to holds the last write, then let from follow to
 *   crossed    nobody writes, each follows the other    once more: to holds the last write; from really copies; then to stops following
 *   turned     nobody writes, from follows to           look again that from is fenced, then open to
 *   switched   to writes, from follows                  done
 *
 * The replica for the way back stands before the first new write, so no write is ever without a copy under way. Going back is the same
 * with the names exchanged, and so is going on after a kill: no state belongs to one direction alone. In none of them do both write.
 *
 * @source the order of vitessio/vitess:go/vt/vtctl/reparentutil/planned_reparenter.go (prove, demote, position, wait, promote; demote is
 * undone on time-out)
 */
export interface Switch {
  database: PairedDatabase;
  pair: DatabasePair;
  from: Side;
  settings: Settings;
  context: StepContext;
}

/** More turns than any way through the states has. */
const MOST_TURNS = 12;

/**
 * @returns how long nobody could write, milliseconds; undefined when it was switched already
 * @throws MigrateError DB_TWO_WRITERS, DB_STATE_UNKNOWN, DB_NOT_REPLICATING, DB_NOT_CAUGHT_UP, DB_FENCE_BLOCKED, DB_SWITCH_TIMEOUT,
 *   DB_NO_WAY_BACK
 * @throws Interrupted  before the old side is fenced, never while nobody can write
 */
export async function switchOver(it: Switch): Promise<number | undefined> {
  const { clock } = it.context.world;
  let fencedAt: number | undefined;
  let last: State | undefined;
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const seen = await both(it).catch(async (error: unknown) => {
      // The new side has gone while nobody writes, and it was not opened yet.
      if (
        last === 'fenced' ||
        last === 'crossed' ||
        (last === 'serving' && fencedAt !== undefined && !it.pair.handOver)
      )
        await giveBack(it).catch(() => undefined);
      throw error;
    });
    const state = stateOf(it, seen);
    last = state;
    it.context.progress(told(state, it));
    switch (state) {
      case 'serving':
        // A kill left the fence half set: while the replica is waited for, the old side shall serve.
        if (seen.from.closing) await it.pair.unfence(it.from, it.settings);
        // Set up and not started: a kill came in between.
        if (!seen.to.running) await it.pair.follow(otherSide(it.from));
        await proveCaughtUp(it);
        fencedAt = clock.now();
        if (it.pair.handOver) await handOver(it);
        else await orGiveBack(it, () => it.pair.fence(it.from, it.database.within));
        break;
      case 'handing-over':
        await clock.sleep(Math.max(200, it.database.within / 8));
        break;
      case 'fenced':
        fencedAt ??= clock.now();
        await orGiveBack(it, () => takeLast(it, seen));
        break;
      case 'crossed':
        fencedAt ??= clock.now();
        await orGiveBack(it, () => turnRound(it, seen));
        break;
      case 'turned':
        fencedAt ??= clock.now();
        if (!seen.from.running) await it.pair.follow(it.from);
        await it.pair.unfence(otherSide(it.from), it.settings);
        break;
      case 'switched':
        // A kill may have come in the middle of opening it: what else belongs to that is done once more.
        await it.pair.unfence(otherSide(it.from), it.settings);
        return fencedAt === undefined ? undefined : clock.now() - fencedAt;
      default:
        state satisfies never;
    }
  }
  throw unknown(it, await both(it));
}

/** Nobody writes. The replica gets the last write, and the old side begins to follow. */
async function takeLast(it: Switch, seen: Both): Promise<void> {
  await it.pair.dropClients(it.from);
  if (!seen.to.running) await it.pair.follow(otherSide(it.from));
  await mustHoldAll(it);
  await it.pair.follow(it.from);
}

/** Nobody writes, and each follows the other. The new side stops following. */
async function turnRound(it: Switch, seen: Both): Promise<void> {
  // Stopped and not yet taken apart: a kill came in between. Then it must prove once more that it holds all.
  if (!seen.to.running) await it.pair.follow(otherSide(it.from));
  await mustHoldAll(it);
  await mustRunBack(it, seen);
  await it.pair.carry?.(it.from);
  await it.pair.unfollow(otherSide(it.from));
}

export interface Both {
  from: Standing;
  to: Standing;
}

export async function both({ pair, from }: Pick<Switch, 'pair' | 'from'>): Promise<Both> {
  const [old, young] = await Promise.all([pair.look(from), pair.look(otherSide(from))]);
  return { from: old, to: young };
}

/** @throws MigrateError DB_TWO_WRITERS, DB_NOT_REPLICATING, DB_STATE_UNKNOWN */
export function stateOf(it: Pick<Switch, 'database' | 'from'>, seen: Both): State {
  const { from, to } = seen;
  const state = stateFrom(from, to);
  if (state === 'two writers') throw twoWriters(it);
  if (state) return state;
  if (from.writable && !to.follows) throw notReplicating(it, otherSide(it.from), 'it is not set up to copy');
  throw unknown(it, seen);
}

const told = (state: State, { from, database }: Switch) => {
  const to = otherSide(from);
  const words: Record<State, string> = {
    serving: `the ${from} writes; waiting until the ${to} has caught up`,
    'handing-over': 'the servers are changing roles',
    fenced: `nobody writes; waiting at most ${spell(database.within)} for the ${to} to hold the last write`,
    crossed: `nobody writes; the ${from} follows the ${to} already`,
    turned: `nobody writes; opening the ${to}`,
    switched: `the ${to} writes, the ${from} follows`,
  };
  return words[state];
};

const SAMPLES = 3;
const SAMPLE_MS = 100;

/**
 * While the old side still serves: copying runs, is no further behind than allowed, several times in a row, and then reaches a position
 * taken now within the time that the pause may last. A replica that can't do that with nobody waiting will not do it with everybody waiting.
 */
export async function proveCaughtUp(it: Switch): Promise<void> {
  const { database, pair, from, context } = it;
  const to = otherSide(from);
  const { clock } = context.world;
  const deadline = clock.now() + database.catchUp;
  for (let good = 0, last = ''; ;) {
    const standing = await pair.look(to);
    if (!standing.follows) throw notReplicating(it, to, 'it is not set up to copy');
    // Restarted without its fence while it was waited for, say.
    if (standing.writable && !standing.closing && (await pair.look(from)).writable) throw twoWriters(it);
    const lag = standing.lagMs ?? Infinity;
    const isGood = standing.running === true && lag <= database.maxLag;
    good = isGood ? good + 1 : 0;
    if (good >= SAMPLES && (await pair.reached(to, await pair.position(from), Math.min(database.within, 5000)))) return;
    if (context.stopping()) throw new Interrupted();
    if (clock.now() >= deadline) {
      if (standing.running !== true) throw notReplicating(it, to, standing.trouble ?? 'copying does not run');
      throw new MigrateError('DB_NOT_CAUGHT_UP', {
        what: `${database.name}: the ${to} is ${lag === Infinity ? 'an unknown time' : spell(lag)} behind, ${spell(database.maxLag)} allowed, after ${spell(database.catchUp)}.`,
        why: 'The old side writes faster than the replica takes it, or the line between the two is too slow.',
        fix: 'Choose a quieter hour, or mend the replica; nothing was changed: the old side serves as before. Then run again.',
      });
    }
    const note = isGood
      ? 'caught up; making sure'
      : (standing.trouble ?? `${lag === Infinity ? '?' : spell(lag)} behind`);
    if (note !== last) context.progress(`the ${to}: ${note}`);
    last = note;
    await clock.sleep(SAMPLE_MS);
  }
}

/** Nobody writes: the last position is final. When the replica does not get there in time, the old side serves again. */
async function mustHoldAll(it: Switch): Promise<void> {
  const { database, pair, from } = it;
  const to = otherSide(from);
  if (await pair.reached(to, await pair.position(from), database.within)) return;
  await giveBack(it);
  throw new MigrateError('DB_SWITCH_TIMEOUT', {
    what: `${database.name}: the ${to} did not hold the last write within ${spell(database.within)}; the ${from} takes writes again.`,
    why: 'Copying became slow or stopped just then.',
    fix: 'See the replica, then run again; a longer `within:` allows a longer pause.',
  });
}

/** The way back must stand before the first new write; where it does not, there is no switch-over. */
async function mustRunBack(it: Switch, seen: Both): Promise<void> {
  const { database, pair, from, context } = it;
  const to = otherSide(from);
  if (seen.from.running) return;
  await pair.follow(from);
  const { clock } = context.world;
  let trouble: string | undefined;
  for (const deadline = clock.now() + database.within; clock.now() < deadline; await clock.sleep(20)) {
    const standing = await pair.look(from);
    if (standing.running) return;
    trouble = standing.trouble;
  }
  await giveBack(it);
  throw new MigrateError('DB_NO_WAY_BACK', {
    what: `${database.name}: the ${from} can not copy from the ${to}${trouble ? `: ${trouble}` : ''}; the ${from} takes writes again.`,
    why: 'Without a copy on the old side, what the new one takes could not be brought back.',
    fix: 'See that the old server reaches the new one and may log in there, then run again.',
  });
}

/** Whatever goes wrong while nobody writes, the old side serves again; but not once the new one has let go of it, for then it is next. */
async function orGiveBack(it: Switch, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    const to = await it.pair.look(otherSide(it.from)).catch(() => undefined);
    // What went wrong is what is told; a server that can't be reached now is asked again by the next run.
    if (!to || (to.follows && !to.writable)) await giveBack(it).catch(() => undefined);
    throw error;
  }
}

/** To `serving` again. Only what was set up meanwhile is taken back; whether it is there is asked, not remembered. */
async function giveBack({ pair, from, settings }: Switch): Promise<void> {
  if ((await pair.look(from)).follows) await pair.unfollow(from);
  await pair.unfence(from, settings);
}

async function handOver(it: Switch): Promise<void> {
  const { database, pair, from } = it;
  if (await pair.handOver?.(from, database.within)) return;
  throw new MigrateError('DB_SWITCH_TIMEOUT', {
    what: `${database.name}: the ${otherSide(from)} did not hold the last write within ${spell(database.within)}; the ${from} takes writes again.`,
    why: 'Copying became slow or stopped just then; the server gave up its own switch-over.',
    fix: 'See the replica, then run again; a longer `within:` allows a longer pause.',
  });
}

const twoWriters = ({ database }: Pick<Switch, 'database'>) =>
  new MigrateError('DB_TWO_WRITERS', {
    what: `${database.name}: both servers take writes.`,
    why: 'Somebody opened one of them, or it was restarted and came up without its fence. Which one is right can not be told from here.',
    fix: 'Find out which one the clients use, make the other read-only by hand, compare the two, then run again. See docs/databases.md.',
  });

const notReplicating = ({ database }: Pick<Switch, 'database'>, side: Side, why: string) =>
  new MigrateError('DB_NOT_REPLICATING', {
    what: `${database.name}: the ${side} does not copy from the ${otherSide(side)}.`,
    why: `${why[0]?.toUpperCase() ?? ''}${why.slice(1)}.`,
    fix: 'Mend the replication on that server, then run again. Writes go where they went before.',
  });

function unknown({ database, from }: Pick<Switch, 'database' | 'from'>, seen: Both): MigrateError {
  return new MigrateError('DB_STATE_UNKNOWN', {
    what: `${database.name}: ${wordsFor(from, seen.from)}; ${wordsFor(otherSide(from), seen.to)}.`,
    why: 'That is no state of a switch-over: something else changes these servers.',
    fix: 'See who does (an operator, another tool, a restart), bring them to one of the states of docs/databases.md, then run again.',
  });
}
