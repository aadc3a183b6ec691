import type { DatabaseOf, PairedDatabase } from '../databases.js';
import { otherSide, type Call, type Side, type Tap } from '../ports.js';
import type { DatabasePair, Databases, Etcd, EtcdMember } from '../standing.js';

/**
 * In a rehearsal no real database is asked, for it would be switched over. In its place stand servers in memory that do at once what they are
 * told, and keep the rule that a replica holds what its source had when it was asked. They judge the order of the steps, not the servers: how
 * real ones behave is what the tests on real servers are for.
 */
export function rehearsedDatabases(tap: Tap): Databases {
  const pairs = new Map<string, Model>();
  const clusters = new Map<string, EtcdMember[]>();
  return {
    pair(database) {
      const model = pairs.get(database.name) ?? fresh(database);
      pairs.set(database.name, model);
      return Promise.resolve(pairOf(model, tap));
    },
    etcd(database) {
      const members = clusters.get(database.name) ?? database.source.members.map((it) => memberOf(it, false));
      clusters.set(database.name, members);
      return Promise.resolve(etcdOf(database, members, tap));
    },
  };
}

export interface Model {
  writable: Record<Side, boolean>;
  follows: Record<Side, boolean>;
  /** how many writes a side holds */
  holds: Record<Side, number>;
}

/** As the playbook says that the operator has prepared them. */
const fresh = (database: PairedDatabase): Model => ({
  writable: { source: true, target: false },
  follows: { source: false, target: database.replica === 'present' },
  holds: { source: 1000, target: database.replica === 'present' ? 1000 : 0 },
});

export function pairOf(model: Model, tap: Tap): DatabasePair {
  const act = (side: Side, what: string, change: () => void) =>
    tap<void>(callTo(side, what, true), async () => change());
  const ask = <T>(side: Side, what: string, answer: () => T) => tap(callTo(side, what, false), async () => answer());
  const copy = (replica: Side) => {
    if (model.follows[replica]) model.holds[replica] = Math.max(model.holds[replica], model.holds[otherSide(replica)]);
  };
  return {
    look: (side) =>
      ask(side, 'look', () => {
        copy(side);
        const follows = model.follows[side];
        return { writable: model.writable[side], follows, ...(follows && { running: true, lagMs: 0 }) };
      }),
    unfit: () => Promise.resolve([]),
    settings: () => Promise.resolve({}),
    position: (side) => ask(side, 'position', () => String(model.holds[side])),
    reached: (side, position) =>
      ask(side, 'reached', () => {
        copy(side);
        return model.holds[side] >= Number(position);
      }),
    fence: (side) => act(side, 'fence', () => (model.writable[side] = false)),
    unfence: (side) => act(side, 'unfence', () => (model.writable[side] = true)),
    dropClients: (side) => act(side, 'drop clients', () => undefined),
    build: (replica) => act(replica, 'build', () => (model.holds[replica] = model.holds[otherSide(replica)])),
    follow: (replica) => act(replica, 'follow', () => (model.follows[replica] = true)),
    unfollow: (replica) => act(replica, 'unfollow', () => (model.follows[replica] = false)),
    close: () => Promise.resolve(),
  };
}

const callTo = (to: Side, what: string, writes: boolean): Call => ({ to, verb: writes ? 'set' : 'ask', what, writes });

const memberOf = (it: { name: string; peer: string; client: string }, learner: boolean): EtcdMember => ({
  id: it.peer,
  name: it.name,
  peer: it.peer,
  client: it.client.replace(/\/$/, ''),
  learner,
});

/** The members that are added start by themselves, and have caught up when they are asked. */
function etcdOf(database: DatabaseOf<'etcd'>, members: EtcdMember[], tap: Tap): Etcd {
  const known = [...database.source.members, ...database.target.members];
  const side = (peer: string): Side => (database.source.members.some((it) => it.peer === peer) ? 'source' : 'target');
  const act = (id: string, what: string, change: () => void) =>
    tap<void>(callTo(side(id), what, true), async () => change());
  const find = (id: string) => members.findIndex((it) => it.id === id);
  let leader = members[0]?.id ?? '0';
  return {
    members: () => Promise.resolve(members.map((it) => ({ ...it }))),
    status: (client) => {
      const it = members.find((one) => one.client === client);
      const led = members.some((one) => one.id === leader) ? leader : (members[0]?.id ?? '0');
      return Promise.resolve(it && { id: it.id, leader: led, applied: 1n, learner: it.learner, alarms: 0 });
    },
    add: (peer) =>
      act(peer, 'add', () => {
        const it = known.find((one) => one.peer === peer);
        if (it) members.push(memberOf(it, true));
      }),
    promote: (id) =>
      act(id, 'promote', () => {
        const it = members[find(id)];
        if (it) it.learner = false;
      }),
    remove: (id) => act(id, 'remove', () => void members.splice(find(id), 1)),
    lead: (id) => act(id, 'lead', () => void (leader = id)),
    hash: () => Promise.resolve({ hash: '0', revision: 1n }),
    close: () => Promise.resolve(),
  };
}
