import { Interrupted } from '../../engine.js';
import { isMigrateError, MigrateError } from '../../errors.js';
import { earlyMembers, isMemberOf, unfitMembers } from '../../database-fit.js';
import type { DatabaseArgs, DatabaseOf } from '../../databases.js';
import { otherSide, type Side } from '../../ports.js';
import type { Etcd, EtcdMember } from '../../standing.js';
import type { StepContext, StepKind } from '../../step.js';
import { untilWindow } from '../../wait.js';
import { spell } from '../../words.js';
import { secretRights } from './paired.js';

/**
 * etcd moves by its members: those of the target join the cluster of the source one by one, clients are led to them, and those of the source
 * leave one by one. One cluster all along, so there is one log and never a second writer; what a step has done is asked of the member list.
 *
 * A member joins as a learner, which has no vote and so can't hurt the quorum; it is promoted once it has all but the last few entries (the
 * server itself takes nine tenths, which of a long log is far too little). One learner at a time, one change at a time, and none while a
 * member is down. A member that was removed does not come back with its data: going back is the same way round, with empty members.
 *
 * @source etcd-io/etcd:server/etcdserver/server.go (isLearnerReady, mayRemoveMember, strict-reconfig-check), https://etcd.io/docs/v3.6/learning/design-learner/
 */
type EtcdArgs = DatabaseArgs<DatabaseOf<'etcd'>>;

export interface EtcdBefore {
  /** peer addresses of the members, as the cluster had them */
  peers: string[];
}

export const etcdJoin: StepKind<EtcdArgs, EtcdBefore> = {
  kind: 'etcd-join',
  title: ({ database }) => `${database.name} (etcd): ${database.target.members.length} members of the target join`,
  wayBack: () => 'the members of the target leave again',
  rights: ({ database }) => secretRights([database.source.password, database.target.password]),

  check: ({ database }, context) =>
    withEtcd(database, context, async (etcd) => {
      const members = await etcd.members();
      const unfit = await unfitMembers(etcd, members, database, 'source');
      unfit.push(...earlyMembers(members, database));
      if (unfit.length > 0) throw unfitError(database, unfit);
      return { peers: members.map((it) => it.peer) };
    }),

  apply: ({ database }, _before, context) =>
    withEtcd(database, context, async (etcd) => {
      const members = await etcd.members();
      // The switch came later: the source's left then.
      if (!members.some((it) => isMemberOf(database, 'source', it))) return;
      await join(database, 'target', etcd, context);
    }),

  verify: ({ database }, _before, context) => mustVote(database, 'target', context),

  undo: ({ database }, { peers }, context) =>
    withEtcd(database, context, async (etcd) => {
      const members = await etcd.members();
      if (!members.some((it) => isMemberOf(database, 'source', it) && !it.learner && peers.includes(it.peer)))
        throw unfitError(database, ['no member of the source votes, so those of the target are not removed']);
      await leave(database, 'target', etcd, context);
      return [];
    }),
};

export const etcdMove: StepKind<EtcdArgs, EtcdBefore> = {
  kind: 'etcd-move',
  title: ({ database }) => `${database.name} (etcd): the target leads, the members of the source leave`,
  wayBack: () => 'members of the source join again, empty, and catch up; they must be started for it',
  rights: ({ database }) => secretRights([database.source.password, database.target.password]),

  check: ({ database }, context) =>
    withEtcd(database, context, async (etcd) => {
      const members = await etcd.members();
      const unfit = await unfitMembers(etcd, members, database, 'target');
      if (unfit.length > 0) throw unfitError(database, unfit);
      return { peers: members.filter((it) => isMemberOf(database, 'source', it)).map((it) => it.peer) };
    }),

  async apply({ database }, _before, context) {
    await untilWindow(database, context);
    await withEtcd(database, context, async (etcd) => {
      await mustBeEqual(database, etcd, context);
      await leave(database, 'source', etcd, context);
    });
  },

  verify: ({ database }, _before, context) =>
    withEtcd(database, context, async (etcd) => {
      const left = (await etcd.members()).filter((it) => isMemberOf(database, 'source', it));
      if (left.length > 0) throw unfitError(database, [`${left.map((it) => it.peer).join(', ')} is still a member`]);
      await mustVote(database, 'target', context);
    }),

  undo: ({ database }, _before, context) =>
    withEtcd(database, context, async (etcd) => {
      await join(database, 'source', etcd, context);
      return [];
    }),
};

async function withEtcd<T>(
  database: DatabaseOf<'etcd'>,
  { world }: StepContext,
  use: (etcd: Etcd) => Promise<T>,
): Promise<T> {
  const etcd = await world.databases.etcd(database);
  try {
    return await use(etcd);
  } finally {
    await etcd.close();
  }
}

const unfitError = ({ name }: DatabaseOf<'etcd'>, unfit: readonly string[]) =>
  new MigrateError('DB_UNFIT', {
    what: `${name} (etcd): ${unfit.join('; ')}.`,
    why: 'Changing members of a cluster that is not whole can cost its quorum.',
    fix: 'Mend what is named, then run again.',
  });

/** Entries that a learner may still lack when it is promoted; under load there are always some on the way. */
const CLOSE_ENOUGH = 200n;
const POLL_MS = 250;

/** Every member of the side becomes a voter, one after the other. */
async function join(database: DatabaseOf<'etcd'>, side: Side, etcd: Etcd, context: StepContext): Promise<void> {
  const { clock } = context.world;
  const deadline = clock.now() + database.catchUp;
  const called = new Set<string>();
  for (let told = ''; ; await clock.sleep(POLL_MS)) {
    const members = await etcd.members();
    const next = database[side].members.find((it) => !members.some((one) => one.peer === it.peer && !one.learner));
    if (!next) return;
    if (context.stopping()) throw new Interrupted();
    const note = await joinOne(next, members).catch((error: unknown) => waitedFor(error));
    if (clock.now() >= deadline) {
      throw new MigrateError('DB_NOT_CAUGHT_UP', {
        what: `${database.name}: ${next.name} has not joined after ${spell(database.catchUp)}: ${note}.`,
        why: 'It was not started, does not reach the others, or falls behind.',
        fix: 'See its log, then run again; the cluster serves meanwhile.',
      });
    }
    if (note !== told) context.progress(`${next.name}: ${note}`);
    told = note;
  }

  async function joinOne(it: { name: string; peer: string; client: string }, members: EtcdMember[]): Promise<string> {
    const mine = members.find((one) => one.peer === it.peer);
    if (!mine) {
      await etcd.add(it.peer);
      return 'added as a learner';
    }
    const initial = members.map((one) => `${one.peer === it.peer ? it.name : one.name}=${one.peer}`).join(',');
    const status = await etcd.status(it.client);
    if (!status || status.id !== mine.id) {
      const { start } = database[side];
      if (start && !called.has(mine.id)) {
        called.add(mine.id);
        await context.world.programs.run(
          start,
          { verb: 'start', database: database.name, side, member: it, initialCluster: initial },
          120_000,
        );
        return 'being started';
      }
      return `start it, empty, with --initial-cluster-state existing --initial-cluster ${initial}`;
    }
    const others = await Promise.all(
      members.filter((one) => !one.learner && one.client).map((one) => etcd.status(one.client)),
    );
    const ahead = others.reduce((most, one) => (one && one.applied > most ? one.applied : most), 0n);
    const gap = ahead - status.applied;
    if (gap > CLOSE_ENOUGH) return `${gap} entries behind`;
    await etcd.promote(mine.id);
    return 'votes';
  }
}

/** Every member of the side leaves, one after the other; before that, one of the other side leads. */
async function leave(database: DatabaseOf<'etcd'>, side: Side, etcd: Etcd, context: StepContext): Promise<void> {
  const { clock } = context.world;
  const staying = otherSide(side);
  const deadline = clock.now() + database.catchUp;
  for (let told = ''; ; await clock.sleep(POLL_MS)) {
    const members = await etcd.members();
    const next = members.find((it) => isMemberOf(database, side, it));
    if (!next) return;
    if (context.stopping()) throw new Interrupted();
    const note = await leaveOne(next, members).catch((error: unknown) => waitedFor(error));
    if (clock.now() >= deadline) {
      throw new MigrateError('DB_NOT_CAUGHT_UP', {
        what: `${database.name}: ${next.name || next.peer} has not left after ${spell(database.catchUp)}: ${note}.`,
        why: 'Without it the others might not be a quorum.',
        fix: 'See that all other members run and reach each other, then run again.',
      });
    }
    if (note !== told) context.progress(`${next.name || next.peer}: ${note}`);
    told = note;
  }

  async function leaveOne(it: EtcdMember, members: EtcdMember[]): Promise<string> {
    const stay = members.filter((one) => isMemberOf(database, staying, one) && !one.learner);
    const states = await Promise.all(stay.map((one) => etcd.status(one.client)));
    const down = stay.filter((_, index) => !states[index]);
    if (stay.length === 0) throw unfitError(database, [`the ${staying} has no member that votes`]);
    if (down.length > 0)
      return `waits for ${down.map((one) => one.name || one.peer).join(', ')}, which does not answer`;
    const leader = states.find((one) => one && one.leader !== '0')?.leader;
    if (!leader) return 'there is no leader now';
    if (!stay.some((one) => one.id === leader) && !it.learner) {
      const [heir] = stay;
      if (heir) await etcd.lead(heir.id);
      return `${heir?.name ?? '?'} shall lead`;
    }
    await etcd.remove(it.id);
    return 'removed';
  }
}

/** The server refuses a change for as long as it would be unsafe, and a member in the middle of one may not answer: both pass. */
function waitedFor(error: unknown): string {
  const passes =
    isMigrateError(error, 'DB_UNREACHABLE') ||
    (isMigrateError(error, 'DB_REFUSED') &&
      /unhealthy cluster|too many learner|not ready|in sync with leader|no leader|timed out|timeout|leader changed|not leader|stopped|not enough started/i.test(
        error.what,
      ));
  if (!passes) throw error;
  return error.what;
}

async function mustVote(database: DatabaseOf<'etcd'>, side: Side, context: StepContext): Promise<void> {
  await withEtcd(database, context, async (etcd) => {
    const members = await etcd.members();
    const missing = database[side].members.filter((it) => !members.some((one) => one.peer === it.peer && !one.learner));
    if (missing.length > 0) throw unfitError(database, [`${missing.map((it) => it.name).join(', ')} has no vote`]);
  });
}

/** The same keys on both sides, as of one revision that both have. */
async function mustBeEqual(database: DatabaseOf<'etcd'>, etcd: Etcd, context: StepContext): Promise<void> {
  const [a] = database.source.members;
  const [b] = database.target.members;
  if (!a || !b) return;
  const members = await etcd.members();
  const votes = (peer: string) => members.some((it) => it.peer === peer && !it.learner);
  // Gone on after a kill: some of the source's have left, and what they had was compared before.
  if (!votes(a.peer) || !votes(b.peer)) return;
  const young = b.client.replace(/\/$/, '');
  const now = await etcd.hash(young);
  if (!now) {
    context.emit({
      type: 'warning',
      what: `${database.name}: etcd before 3.6 can't be asked whether two members hold the same.`,
      fix: '`etcdctl endpoint hashkv --cluster` compares them by hand.',
    });
    return;
  }
  const { revision } = now;
  for (let turn = 0; ; turn++) {
    try {
      const [one, two] = await Promise.all([
        etcd.hash(a.client.replace(/\/$/, ''), revision),
        etcd.hash(young, revision),
      ]);
      if (one?.hash === two?.hash) return;
      throw unfitError(database, [`${a.name} and ${b.name} hold different data at revision ${revision}`]);
    } catch (error) {
      // One of them is a few entries behind the other.
      if (turn === 20 || !isMigrateError(error, 'DB_REFUSED') || !/future revision/.test(error.what)) throw error;
      await context.world.clock.sleep(100);
    }
  }
}
