import type { Database, PairedDatabase } from './databases.js';
import type { Side } from './ports.js';

/**
 * Two database servers, one a side, that change roles. A step never remembers where a switch-over stands: it asks both servers, each time
 * anew, and what they answer together is the state. That is why a run that was killed anywhere goes on, or back, from what is there.
 */
export interface Standing {
  /** a client's write would be taken now, or a session is left that could still make one */
  writable: boolean;
  /** its fence is set, and a session from before it is left: neither open nor closed */
  closing?: boolean;
  /** set up to copy from the server of the other side, whether that runs or not */
  follows: boolean;
  /** the copying runs without an error; only where it follows */
  running?: boolean;
  /** how far behind, by its own estimate */
  lagMs?: number;
  /** why the copying does not run, or why it is none of the states we know */
  trouble?: string;
}

/** `trouble` of a server in the middle of its own switch-over. */
export const HANDING_OVER = 'handing over';

/** Where a switch-over stands, by what both servers say: see src/steps/databases/switch-over.ts. */
export type State = 'serving' | 'fenced' | 'crossed' | 'turned' | 'switched' | 'handing-over';

/** writes and follows, of the old side and of the new one */
const STATES: Readonly<Record<string, State>> = {
  'w- -f': 'serving',
  '-- -f': 'fenced',
  '-f -f': 'crossed',
  '-f --': 'turned',
  '-f w-': 'switched',
};

/** @returns undefined where it is none of those, `two writers` where both take writes */
export function stateFrom(from: Standing, to: Standing): State | 'two writers' | undefined {
  if (from.writable && to.writable) return 'two writers';
  if (from.trouble === HANDING_OVER || to.trouble === HANDING_OVER) return 'handing-over';
  const sign = (it: Standing) => `${it.writable ? 'w' : '-'}${it.follows ? 'f' : '-'}`;
  return STATES[`${sign(from)} ${sign(to)}`];
}

export const wordsFor = (side: Side, it: Standing): string =>
  `the ${side} ${it.writable ? 'takes writes' : 'takes none'} and ${it.follows ? 'follows' : 'does not follow'}${it.trouble ? ` (${it.trouble})` : ''}`;

/** What a server had before we touched it, and gets back. JSON, without secrets. */
export type Settings = Record<string, string>;

/**
 * Acts can be repeated: each looks first, or its statement does nothing the second time. All throw MigrateError DB_UNREACHABLE, DB_REFUSED.
 */
export interface DatabasePair {
  look(side: Side): Promise<Standing>;
  /** What stands against this side becoming the replica of the other, and the writer afterwards; one sentence each. */
  unfit(replica: Side): Promise<string[]>;
  /** What of a fence might not hold, or can't be told from here: one sentence each. Only reads. */
  doubts?(): Promise<string[]>;
  /** What `unfence` will put back on whichever side writes then, as this side has it now. */
  settings(of: Side): Promise<Settings>;
  /** All that the side holds now, as a position that the other can be asked for. */
  position(side: Side): Promise<string>;
  /** Whether the side holds all of the other's up to that position; waits for it at most that long. */
  reached(side: Side, position: string, withinMs: number): Promise<boolean>;
  /**
   * When it returns, no client's write is committed any more on that side, and none is under way.
   * @throws MigrateError DB_FENCE_BLOCKED  with the side open again
   */
  fence(side: Side, withinMs: number): Promise<void>;
  unfence(side: Side, settings: Settings): Promise<void>;
  /** Ends clients' sessions on a fenced side, so that they come again where they are led. */
  dropClients(side: Side): Promise<void>;
  /** Copies all that the other side has into this one, which is fenced. Only for `replica: build`. @throws MigrateError DB_CANNOT_BUILD */
  build(replica: Side): Promise<void>;
  /** Sets the side, which is fenced, up to copy from the other, from the point up to which it holds all. */
  follow(replica: Side): Promise<void>;
  unfollow(replica: Side): Promise<void>;
  /** What replication leaves out, from a side that nobody writes to the other. */
  carry?(from: Side): Promise<void>;
  /**
   * The server's own switch-over, where it has one that leaves nothing in between; in place of fence, follow, unfollow and unfence.
   * @returns false when it was given up in time, with the old side open again
   */
  handOver?(from: Side, withinMs: number): Promise<boolean>;
  close(): Promise<void>;
}

/** One cluster of etcd, which members of both sides are of. */
export interface EtcdMember {
  /** decimal, as the gateway writes it */
  id: string;
  name: string;
  peer: string;
  client: string;
  learner: boolean;
}

export interface Etcd {
  members(): Promise<EtcdMember[]>;
  status(
    client: string,
  ): Promise<{ id: string; leader: string; applied: bigint; learner: boolean; alarms: number } | undefined>;
  add(peer: string): Promise<void>;
  promote(id: string): Promise<void>;
  remove(id: string): Promise<void>;
  lead(id: string): Promise<void>;
  /** Of all keys as of a revision; undefined where the server can't tell. */
  hash(client: string, revision?: bigint): Promise<{ hash: string; revision: bigint } | undefined>;
  close(): Promise<void>;
}

/** Opens what an entry of the playbook names, with the passwords read where it says. */
export interface Databases {
  pair(database: PairedDatabase): Promise<DatabasePair>;
  etcd(database: Extract<Database, { kind: 'etcd' }>): Promise<Etcd>;
}
