import type { Database, DatabaseOf, PairedDatabase } from './databases.js';
import { MigrateError } from './errors.js';
import type { DatabaseSeen } from './inventory.js';
import type { Side, World } from './ports.js';
import {
  stateFrom,
  wordsFor,
  type DatabasePair,
  type Etcd,
  type EtcdMember,
  type Standing,
  type State,
} from './standing.js';

/** Whether a database can be switched over, as its servers say: asked before anything is moved, and again by the steps. Only reads. */

/** What stands against the target becoming the replica of the source, and the writer afterwards; one sentence each. */
export async function unfitAsReplica(
  pair: DatabasePair,
): Promise<{ source: Standing; target: Standing; unfit: string[] }> {
  const [source, target] = await Promise.all([pair.look('source'), pair.look('target')]);
  const unfit = await pair.unfit('target');
  if (!source.writable) unfit.unshift('the source takes no writes: it is not the one that serves');
  if (source.follows) unfit.unshift('the source copies from the target');
  if (target.writable && target.follows) unfit.unshift('the target takes writes although it copies from the source');
  return { source, target, unfit };
}

export const isMemberOf = (database: DatabaseOf<'etcd'>, side: Side, member: EtcdMember): boolean =>
  database[side].members.some((it) => it.peer === member.peer);

/** All members of that side are there, vote and answer; no alarm, no learner, no stranger. */
export async function unfitMembers(
  etcd: Etcd,
  members: readonly EtcdMember[],
  database: DatabaseOf<'etcd'>,
  side: Side,
): Promise<string[]> {
  const found: string[] = [];
  for (const it of database[side].members)
    if (!members.some((one) => one.peer === it.peer)) found.push(`${it.name} (${it.peer}) is no member`);
  for (const it of members) {
    const who = it.name || it.peer;
    if (!isMemberOf(database, 'source', it) && !isMemberOf(database, 'target', it))
      found.push(`member ${who} is not in the playbook`);
    if (it.learner) found.push(`${who} is a learner`);
    const status = it.client ? await etcd.status(it.client) : undefined;
    if (!status) found.push(`${who} does not answer at ${it.client}`);
    else if (status.alarms > 0) found.push(`${who} has an alarm`);
  }
  return found;
}

/** Those of the target that are members before they were made so by a step. */
export function earlyMembers(members: readonly EtcdMember[], database: DatabaseOf<'etcd'>): string[] {
  const early = members.filter((it) => isMemberOf(database, 'target', it));
  return early.length === 0 ? [] : [`${early.map((it) => it.peer).join(', ')} of the target is a member already`];
}

/** All databases of a playbook, side by side. What can't be asked says why, and is never taken for fit. */
export const askDatabases = (
  databases: readonly Database[],
  world: Pick<World, 'databases'>,
): Promise<DatabaseSeen[]> =>
  Promise.all(
    databases.map(async (database) => {
      const { name, kind } = database;
      try {
        const seen = database.kind === 'etcd' ? await askEtcd(database, world) : await askPair(database, world);
        return { name, kind, ...seen };
      } catch (error) {
        if (!(error instanceof MigrateError)) throw error;
        return { name, kind, unread: error.what };
      }
    }),
  );

type Answers = Pick<DatabaseSeen, 'stands' | 'unfit' | 'doubts' | 'wayBack'>;

async function askPair(database: PairedDatabase, { databases }: Pick<World, 'databases'>): Promise<Answers> {
  const pair = await databases.pair(database);
  try {
    const [source, target] = await Promise.all([pair.look('source'), pair.look('target')]);
    const stands = `${wordsFor('source', source)}; ${wordsFor('target', target)}`;
    const doubts = (await pair.doubts?.()) ?? [];
    const moved = alreadyMoved(source, target);
    const unfit = moved === undefined ? (await unfitAsReplica(pair)).unfit : [moved];
    const way = database.kind === 'exec' || source.follows ? undefined : wayBack(database);
    return { stands, unfit, doubts, ...(way !== undefined && { wayBack: way }) };
  } finally {
    await pair.close();
  }
}

/** What is wrong before a move can begin, whatever else the servers say; undefined where the source serves. */
function alreadyMoved(source: Standing, target: Standing): string | undefined {
  const state = stateFrom(source, target);
  switch (state) {
    case 'two writers':
      // Two that have nothing to do with each other yet: the target is empty, and is closed by the step that makes it a replica.
      return source.follows || target.follows
        ? 'both servers take writes, although one copies from the other'
        : undefined;
    case 'switched':
      return 'it is switched over: the target takes the writes, the source follows';
    case 'fenced':
    case 'crossed':
    case 'turned':
    case 'handing-over':
      return `a switch-over stopped half way (${state satisfies State}): nobody takes writes`;
    case 'serving':
    case undefined:
      return undefined;
    default:
      state satisfies never;
      return undefined;
  }
}

/** How the source will have to reach the target. */
function wayBack({ target, ...database }: Exclude<PairedDatabase, { kind: 'exec' }>): string {
  const { host, port } = target.seenAs ?? target;
  const user = database.replication?.user ?? target.user;
  return `${host}:${port}${user === undefined ? '' : ` as ${user}`}`;
}

async function askEtcd(database: DatabaseOf<'etcd'>, { databases }: Pick<World, 'databases'>): Promise<Answers> {
  const etcd = await databases.etcd(database);
  try {
    const members = await etcd.members();
    const voters = members.filter((it) => !it.learner).length;
    const unfit = await unfitMembers(etcd, members, database, 'source');
    return {
      stands: `${members.length} members, ${voters} of them vote`,
      unfit: [...unfit, ...earlyMembers(members, database)],
      doubts: [],
    };
  } finally {
    await etcd.close();
  }
}
