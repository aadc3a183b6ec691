import { unfitAsReplica } from '../../database-fit.js';
import { MigrateError } from '../../errors.js';
import type { DatabaseArgs, PairedDatabase, PasswordFrom } from '../../databases.js';
import { rightOn } from '../../objects.js';
import type { Right, Side } from '../../ports.js';
import { HANDING_OVER, type DatabasePair, type Settings } from '../../standing.js';
import type { StepContext, StepKind } from '../../step.js';
import { untilWindow } from '../../wait.js';
import { spell } from '../../words.js';
import { both, proveCaughtUp, stateOf, switchOver } from './switch-over.js';

/** The replica in the target: made or checked, fenced, copying, and caught up. */
export interface ReplicaBefore {
  /** it copied already; then going back leaves it so */
  followed: boolean;
  /** it took writes: an empty server of its own */
  writable: boolean;
  settings: Settings;
}

export const databaseReplica: StepKind<DatabaseArgs, ReplicaBefore> = {
  kind: 'database-replica',
  title: ({ database }) =>
    `${database.name} (${database.kind}): ${database.replica === 'build' ? 'a replica in the target' : 'the replica in the target copies'}`,
  wayBack: () => 'the target stops copying; what was copied stays there',
  rights: ({ database }) => rightsOf(database),

  check: ({ database }, context) =>
    withPair(database, context, async (pair) => {
      const { target, unfit } = await unfitAsReplica(pair);
      if (unfit.length > 0) throw unfitError(database, unfit);
      return { followed: target.follows, writable: target.writable, settings: await pair.settings('target') };
    }),

  apply: ({ database }, before, context) =>
    withPair(database, context, async (pair) => {
      const target = await pair.look('target');
      // The switch-over came later: this was done then.
      if ((await pair.look('source')).follows) return;
      if (target.follows) {
        if (!target.running) await pair.follow('target');
        return;
      }
      if (target.writable) await pair.fence('target', database.within);
      if (database.replica === 'build') {
        context.progress('copying');
        await pair.build('target');
      }
      await pair.follow('target');
    }),

  verify: ({ database }, { settings }, context) =>
    withPair(database, context, (pair) => proveCaughtUp({ database, pair, from: 'source', settings, context })),

  undo: ({ database }, { followed, writable, settings }, context) =>
    withPair(database, context, async (pair) => {
      const [source, target] = await Promise.all([pair.look('source'), pair.look('target')]);
      if (!source.writable || source.follows) {
        throw new MigrateError('DB_STATE_UNKNOWN', {
          what: `${database.name}: the source does not serve, so the target's copy is not let go of.`,
          why: 'The switch-over must be undone first.',
          fix: 'Run `migrate rollback` without --to, or look at both servers: docs/databases.md.',
        });
      }
      if (!followed && target.follows) await pair.unfollow('target');
      if (!followed && writable && !(await pair.look('target')).writable) await pair.unfence('target', settings);
      return [];
    }),
};

/** The switch-over itself: the target writes, the source follows. */
export interface SwitchBefore {
  settings: Settings;
}

export const databaseSwitch: StepKind<DatabaseArgs, SwitchBefore> = {
  kind: 'database-switch',
  title: ({ database }) => `${database.name} (${database.kind}): the target takes the writes, the source follows`,
  wayBack: () => 'another switch-over: the source takes the writes again, with all that the target wrote',
  rights: ({ database }) => rightsOf(database),

  check: ({ database }, context) =>
    withPair(database, context, async (pair) => {
      const state = stateOf({ database, from: 'source' }, await both({ pair, from: 'source' }));
      const unfit = state === 'serving' ? await pair.unfit('target') : [`it is ${state} already, by somebody else`];
      if (unfit.length > 0) throw unfitError(database, unfit);
      return { settings: await pair.settings('source') };
    }),

  async apply({ database }, { settings }, context) {
    await untilWindow(database, context);
    await withPair(database, context, async (pair) => {
      // The longest wait is over before the window is looked at for the last time.
      const pauseMs = await switchOver({ database, pair, from: 'source', settings, context });
      if (pauseMs !== undefined) context.progress(`nobody could write for ${spell(pauseMs)}`);
    });
  },

  verify: ({ database }, _before, context) =>
    withPair(database, context, async (pair) => {
      const state = stateOf({ database, from: 'source' }, await both({ pair, from: 'source' }));
      if (state === 'switched') return;
      throw new MigrateError('DB_NOT_SWITCHED', {
        what: `${database.name} is ${state} after the switch-over.`,
        why: 'Something changed one of the servers right after us.',
        fix: 'See who else changes them, then run again.',
      });
    }),

  undo: ({ database }, { settings }, context) =>
    withPair(database, context, async (pair) => {
      const source = await pair.look('source');
      if (!source.writable && !source.follows) {
        // The target is opened only once the source follows it: so it has not been, and need not be asked, dead or alive.
        await pair.unfence('source', settings);
        return [];
      }
      const seen = await both({ pair, from: 'target' });
      // It never got so far, or is back already: the source serves.
      // Servers that are changing roles by themselves do not serve yet, whatever they say of writes.
      const moving = [seen.from, seen.to].some((it) => it.trouble === HANDING_OVER);
      if (seen.to.writable && !seen.from.writable && !moving) {
        // Part of a fence may be set already; opening it again does nothing where none is.
        await pair.unfence('source', settings);
        return [];
      }
      const pauseMs = await switchOver({ database, pair, from: 'target', settings, context });
      if (pauseMs !== undefined) context.progress(`nobody could write for ${spell(pauseMs)}`);
      return [];
    }),
};

/** After the soak: the old server is let go of. From here on what the target takes is on the target only. */
export const databaseRetire: StepKind<DatabaseArgs, Record<string, never>> = {
  kind: 'database-retire',
  title: ({ database }) => `${database.name} (${database.kind}): the source stops copying from the target`,
  wayBack: () => 'none: what the target takes from then on is on the target only',
  rights: ({ database }) => rightsOf(database),

  check: ({ database }, context) =>
    withPair(database, context, async (pair) => {
      const state = stateOf({ database, from: 'source' }, await both({ pair, from: 'source' }));
      if (state !== 'switched') throw unfitError(database, [`it is ${state}, not switched over to the target`]);
      return {};
    }),

  apply: ({ database }, _before, context) => withPair(database, context, (pair) => pair.unfollow('source')),

  verify: ({ database }, _before, context) =>
    withPair(database, context, async (pair) => {
      const [source, target] = await Promise.all([pair.look('source'), pair.look('target')]);
      if (source.follows || source.writable || !target.writable)
        throw unfitError(database, ['the source should be closed and follow nobody, and the target take the writes']);
    }),

  undo: ({ database }, _before, context) =>
    withPair(database, context, async (pair) => {
      if ((await pair.look('source')).follows) return [];
      throw new MigrateError('DB_LET_GO', {
        what: `${database.name}: the source copies no more, so it can not take the writes back.`,
        why: '`migrate complete` let go of it; what the target took since then is on the target only.',
        fix: 'To move back, write a playbook with source and target exchanged: the old server becomes a new replica.',
      });
    }),
};

async function withPair<T>(
  database: PairedDatabase,
  { world }: StepContext,
  use: (pair: DatabasePair) => Promise<T>,
): Promise<T> {
  const pair = await world.databases.pair(database);
  try {
    return await use(pair);
  } finally {
    await pair.close();
  }
}

const unfitError = ({ name, kind }: PairedDatabase, unfit: readonly string[]) =>
  new MigrateError('DB_UNFIT', {
    what: `${name} (${kind}): ${unfit.join('; ')}.`,
    why: 'A switch-over on such servers could lose writes or let two take them.',
    fix: 'Mend what is named on the servers, then run again. Nothing was changed.',
  });

/** Only to read the Secrets that hold passwords. */
function rightsOf(database: PairedDatabase): { source?: Right[]; target?: Right[] } {
  if (database.kind === 'exec') return {};
  const passwords = [database.source.password, database.target.password, database.replication?.password];
  return secretRights(passwords);
}

export function secretRights(passwords: readonly (PasswordFrom | undefined)[]): Partial<Record<Side, Right[]>> {
  const rights: Partial<Record<Side, Right[]>> = {};
  for (const it of passwords) {
    if (!it || !('secret' in it)) continue;
    const { cluster, namespace } = it.secret;
    (rights[cluster] ??= []).push({ ...rightOn('get', 'Secret'), namespace });
  }
  return rights;
}
