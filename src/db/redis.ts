import type { Redis } from 'ioredis';
import type { DatabaseOf } from '../databases.js';
import { MigrateError } from '../errors.js';
import { otherSide, type Side } from '../ports.js';
import { HANDING_OVER, type DatabasePair, type Standing } from '../standing.js';
import {
  call,
  isLost,
  messageOf,
  mustBeTheirs,
  passwordOf,
  refused,
  unreachable,
  type DatabaseOptions,
} from './wire.js';

/**
 * Redis 6.2 and later, one primary and one replica, by the server's own FAILOVER: it pauses writes, waits until the replica is at the same
 * offset, becomes its replica, and lets it become the primary by continuing the same stream. So there is no moment at which both take
 * writes, and nothing in between that a kill of ours could leave: the two servers finish, or give up, without us.
 *
 * A replica that nobody leads takes no writes by `replica-read-only`; an empty server that is to become one is fenced by asking for more
 * replicas than there are.
 *
 * @source redis/redis:src/replication.c (failoverCommand), https://redis.io/docs/latest/commands/failover/
 */
export async function redisPair(database: DatabaseOf<'redis'>, options: DatabaseOptions): Promise<DatabasePair> {
  const { clock, tap } = options;
  const passwords = {
    source: await passwordOf(database.source.password, options),
    target: await passwordOf(database.target.password, options),
    replication: await passwordOf(database.replication?.password, options),
  };
  const secrets = Object.values(passwords);
  const clients: Partial<Record<Side, Promise<Redis>>> = {};
  const seen = (side: Side) => database[side].seenAs ?? { host: database[side].host, port: database[side].port };
  const who = (side: Side) => `${side} ${database[side].host}:${database[side].port}`;

  async function connect(side: Side): Promise<Redis> {
    // Its default is what it exports, both from its own folder and bundled.
    const { Redis } = (await import('ioredis')).default;
    const { host, port, user, tls } = database[side];
    const password = passwords[side];
    const client = new Redis({
      host,
      port,
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      ...(tls !== 'no' && { tls: { rejectUnauthorized: tls === 'yes' } }),
      connectTimeout: 10_000,
      commandTimeout: 30_000,
      lazyConnect: true,
      // Ours to decide what is worth a second try; nothing is sent again behind our back.
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      enableReadyCheck: false,
      enableOfflineQueue: false,
    });
    let why: Error | undefined;
    client.on('error', (error: Error) => (why = error));
    client.on('end', () => delete clients[side]);
    await client.connect().catch((error: unknown) => {
      // It says only that the connection is closed; why came before, as an event.
      throw why ?? error;
    });
    return client;
  }

  async function send(
    side: Side,
    act: string,
    writes: boolean,
    command: string,
    ...values: string[]
  ): Promise<unknown> {
    return tap(call(side, act, writes), async () => {
      try {
        const opening = (clients[side] ??= connect(side));
        return await (await opening).call(command, ...values);
      } catch (error) {
        mustBeTheirs(error);
        const isAnswer = (error as Error).name === 'ReplyError';
        if (isAnswer && !isLost(error)) throw refused(who(side), act, error, secrets);
        delete clients[side];
        throw unreachable(who(side), error, secrets);
      }
    });
  }
  const ask = (side: Side, command: string, ...values: string[]) => send(side, 'answer', false, command, ...values);
  const set = (side: Side, act: string, command: string, ...values: string[]) =>
    send(side, act, true, command, ...values);

  async function info(side: Side): Promise<Map<string, string>> {
    const text = String(await ask(side, 'INFO', 'everything'));
    return new Map(
      text.split(/\r?\n/).flatMap((line) => {
        const colon = line.indexOf(':');
        return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : [];
      }),
    );
  }

  const isFenced = async (side: Side) => {
    const [, value] = (await ask(side, 'CONFIG', 'GET', 'min-replicas-to-write')) as string[];
    return Number(value) >= FENCE;
  };

  /** By the address we gave, or by the stream that both are on: after a failover the server names the address that it saw itself. */
  const leads = (it: Map<string, string>, upstream: Side, other: Map<string, string>) => {
    const { host, port } = seen(upstream);
    if (it.get('role') !== 'slave' || it.get('master_port') !== String(port)) return false;
    return it.get('master_host') === host || it.get('master_replid') === other.get('master_replid');
  };

  async function look(side: Side): Promise<Standing> {
    // The other is asked only to know its stream; where it is gone, its address must do.
    const [it, other] = await Promise.all([info(side), info(otherSide(side)).catch(() => new Map<string, string>())]);
    const moving = it.get('master_failover_state') !== undefined && it.get('master_failover_state') !== 'no-failover';
    if (it.get('role') === 'slave') {
      const running = it.get('master_link_status') === 'up' && it.get('master_sync_in_progress') === '0';
      // Unless somebody made it writable, a replica takes no client's write.
      const [, readOnly] = (await ask(side, 'CONFIG', 'GET', 'replica-read-only')) as string[];
      return {
        writable: readOnly === 'no',
        follows: leads(it, otherSide(side), other),
        running,
        ...(running && { lagMs: behindMs(it, other) }),
        ...(moving
          ? { trouble: HANDING_OVER }
          : !running && { trouble: `its link is ${it.get('master_link_status') ?? '?'}` }),
      };
    }
    return { writable: !(await isFenced(side)), follows: false, ...(moving && { trouble: HANDING_OVER }) };
  }

  /** the other side's server among the replicas of this one, as it is known there */
  const replicaOf = (it: Map<string, string>, replica: Side): { host: string; port: string } | undefined => {
    const { host, port } = seen(replica);
    for (let index = 0; ; index++) {
      const line = it.get(`slave${index}`);
      if (line === undefined) return undefined;
      const part = Object.fromEntries(line.split(',').map((one) => one.split('=', 2) as [string, string]));
      const isIt = part['port'] === String(port) && (part['ip'] === host || Number(it.get('connected_slaves')) === 1);
      if (isIt && part['state'] === 'online') return { host: part['ip'] ?? host, port: String(port) };
    }
  };

  return {
    look,

    async unfit(replica) {
      const found: string[] = [];
      const upstream = otherSide(replica);
      const [a, b] = [await info(upstream), await info(replica)];
      for (const [side, it] of [
        [upstream, a],
        [replica, b],
      ] as const) {
        const version = it.get('redis_version') ?? '0';
        if (numeric(version) < numeric('6.2.0'))
          found.push(`the ${side} is Redis ${version}, which has no FAILOVER (6.2)`);
        if (it.get('cluster_enabled') === '1')
          found.push(`the ${side} is a node of a Redis cluster, which moves by CLUSTER FAILOVER`);
        if (it.get('role') === 'slave' && !leads(it, otherSide(side), side === upstream ? b : a))
          found.push(
            `the ${side} copies from a third server, ${it.get('master_host') ?? '?'}:${it.get('master_port') ?? '?'}`,
          );
      }
      const [old, young] = [a.get('redis_version') ?? '0', b.get('redis_version') ?? '0'];
      if (numeric(young) < numeric(old)) found.push(`the ${replica} is ${young}, older than ${old}`);
      const follows = leads(b, upstream, a);
      if (!follows && database.replica === 'present') found.push(`the ${replica} is no replica of the ${upstream}`);
      const keys = [...b].filter(([key]) => /^db\d+$/.test(key));
      // To become a replica is to drop all that is there.
      if (!follows && database.replica === 'build' && keys.length > 0)
        found.push(`the ${replica} has keys already, which would be dropped`);
      return found;
    },

    async doubts() {
      const found: string[] = [];
      for (const side of ['source', 'target'] as const) {
        if (!(await info(side)).get('config_file'))
          found.push(
            `the ${side} has no configuration file: a restart would forget its role, unless its manifest says it`,
          );
      }
      return found;
    },

    async settings(of) {
      const [, value = '0'] = (await ask(of, 'CONFIG', 'GET', 'min-replicas-to-write')) as string[];
      return { minReplicas: Number(value) >= FENCE ? '0' : value };
    },

    async position(side) {
      const it = await info(side);
      return `${it.get('master_replid') ?? ''}:${it.get('master_repl_offset') ?? '0'}`;
    },

    async reached(side, position, withinMs) {
      const [stream, offset = '0'] = position.split(':');
      for (const deadline = clock.now() + withinMs; ; await clock.sleep(20)) {
        const it = await info(side);
        if (it.get('master_replid') === stream && BigInt(it.get('slave_repl_offset') ?? '0') >= BigInt(offset))
          return true;
        if (clock.now() >= deadline) return false;
      }
    },

    async fence(side) {
      await set(side, 'take no writes', 'CONFIG', 'SET', 'min-replicas-to-write', String(FENCE));
      // A transaction that was queued before would still be taken by older servers.
      await set(side, 'end sessions', 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    },

    async unfence(side, settings) {
      await set(side, 'take writes', 'CONFIG', 'SET', 'min-replicas-to-write', settings['minReplicas'] ?? '0');
    },

    async dropClients(side) {
      await set(side, 'end sessions', 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    },

    /** Following is copying. */
    async build() {},

    async follow(replica) {
      const upstream = otherSide(replica);
      // The two change roles by themselves later on, so each must be able to log in to the other from the start.
      for (const side of ['source', 'target'] as const) {
        const { user, password } = database.replication
          ? { user: database.replication.user, password: passwords.replication }
          : { user: database[otherSide(side)].user, password: passwords[otherSide(side)] };
        if (password !== undefined) await set(side, 'log in to the other', 'CONFIG', 'SET', 'masterauth', password);
        if (user !== undefined && password !== undefined)
          await set(side, 'log in to the other', 'CONFIG', 'SET', 'masteruser', user);
      }
      const { host, port } = seen(upstream);
      await set(replica, 'copy from the other', 'REPLICAOF', host, String(port));
      // From here on it is read-only as a replica, and must be open when it leads.
      await set(replica, 'be ready to lead', 'CONFIG', 'SET', 'min-replicas-to-write', '0');
      await keep(replica);
    },

    async unfollow(replica) {
      // Fenced first: a replica that is let go of takes writes.
      await set(replica, 'take no writes', 'CONFIG', 'SET', 'min-replicas-to-write', String(FENCE));
      await set(replica, 'stop copying', 'REPLICAOF', 'NO', 'ONE');
      await keep(replica);
    },

    async handOver(from, withinMs) {
      const to = otherSide(from);
      const known = replicaOf(await info(from), to);
      if (!known) {
        throw new MigrateError('DB_NOT_REPLICATING', {
          what: `${database.name}: the ${from} does not know the ${to} as an online replica.`,
          why: 'It is connected through another address than the playbook names, or its link is down.',
          fix: 'Set `seenAs:` to the address that INFO replication shows, then run again.',
        });
      }
      await set(from, 'hand over', 'FAILOVER', 'TO', known.host, known.port, 'TIMEOUT', String(Math.ceil(withinMs)));
      for (const deadline = clock.now() + withinMs + 5000; ; await clock.sleep(10)) {
        const [old, young] = await Promise.all([look(from), look(to)]);
        if (young.writable && !old.writable && old.follows) break;
        if (old.writable && old.trouble !== HANDING_OVER && young.follows) return false;
        if (clock.now() >= deadline) return false;
      }
      await dropAll(from);
      await keep(from);
      await keep(to);
      return true;
    },

    async close() {
      await Promise.all(
        Object.values(clients).map((it) => it.then((client) => client.disconnect()).catch(() => undefined)),
      );
    },
  };

  /** Clients of the old side come again, to where they are led. */
  async function dropAll(side: Side): Promise<void> {
    await set(side, 'end sessions', 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  }

  /** So that it comes up in the same role after a restart. A server without a configuration file can't; its manifest must say it. */
  async function keep(side: Side): Promise<void> {
    await set(side, 'write its configuration', 'CONFIG', 'REWRITE').catch((error: unknown) => {
      if (!/without a config file|CONFIG REWRITE|Permission|Read-only/i.test(messageOf(error))) throw error;
    });
  }
}

/** At the same offset it is not behind at all; else as long as it has heard nothing. */
const behindMs = (it: Map<string, string>, other: Map<string, string>) =>
  it.get('slave_repl_offset') === other.get('master_repl_offset')
    ? 0
    : Number(it.get('master_last_io_seconds_ago') ?? 0) * 1000;

/** More replicas than any server has. */
const FENCE = 1_000_000;

/** `7.0.15` → 70015 */
const numeric = (version: string) => {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  return major * 10_000 + minor * 100 + patch;
};
