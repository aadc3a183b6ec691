import type { DatabaseOf } from '../databases.js';
import { isMigrateError, MigrateError } from '../errors.js';
import { otherSide, type Side } from '../ports.js';
import type { DatabasePair, Standing } from '../standing.js';
import { spell } from '../words.js';
import { copyDatabases } from './mysql-copy.js';
import { errant, MARIADB, MYSQL, type Flavour } from './mysql-flavours.js';
import { mysqlSession, type MySqlSession } from './mysql-session.js';
import { messageOf, passwordOf, text, type DatabaseOptions } from './wire.js';

/**
 * MySQL and MariaDB by GTIDs. The fence is `read_only` (with `super_read_only` where there is one): once it is set, the server refuses
 * to commit what an ordinary account had begun, so no session has to be found and ended for it to hold. Accounts with the right to write all
 * the same are looked for before.
 */
export async function mysqlPair(
  database: DatabaseOf<'mysql'> | DatabaseOf<'mariadb'>,
  options: DatabaseOptions,
): Promise<DatabasePair> {
  const passwords = {
    source: await passwordOf(database.source.password, options),
    target: await passwordOf(database.target.password, options),
    replication: await passwordOf(database.replication?.password, options),
  };
  const secrets = Object.values(passwords);
  const open = (side: Side) =>
    mysqlSession({
      ...database[side],
      side,
      user: database[side].user ?? 'root',
      password: passwords[side],
      secrets,
      tap: options.tap,
    });
  const session: Record<Side, MySqlSession> = { source: open('source'), target: open('target') };
  const flavour: Flavour = database.kind === 'mariadb' ? MARIADB : MYSQL;
  const seen = (side: Side) => database[side].seenAs ?? { host: database[side].host, port: database[side].port };
  /** by which `replica` logs in to the other */
  const copier = (replica: Side) => {
    const upstream = otherSide(replica);
    const { user, password } = database.replication
      ? { user: database.replication.user, password: passwords.replication }
      : { user: database[upstream].user ?? 'root', password: passwords[upstream] };
    return { ...seen(upstream), user, password, tls: database[upstream].tls };
  };
  const ours = new Set(
    [database.source.user, database.target.user, database.replication?.user].map((it) => it ?? 'root'),
  );

  const one = async (side: Side, sql: string, values: readonly unknown[] = []) =>
    (await session[side].ask(sql, values))[0] ?? {};
  const value = async (side: Side, sql: string, values: readonly unknown[] = []) =>
    text(Object.values(await one(side, sql, values))[0]);

  async function channel(side: Side) {
    const upstream = otherSide(side);
    const rows = await session[side].ask(flavour.status);
    const { host, port } = seen(upstream);
    const isNamed = (row: Record<string, unknown>) => {
      const it = flavour.row(row);
      return it.host === host && it.port === port;
    };
    // By another name or address than ours it may still be the same server.
    const id = rows.every(isNamed) ? '' : await value(upstream, 'SELECT @@global.server_id');
    const isOther = (row: Record<string, unknown>) => {
      const { serverId } = flavour.row(row);
      return isNamed(row) || (serverId !== '0' && serverId === id);
    };
    return { other: rows.find(isOther), strangers: rows.filter((it) => !isOther(it)).map((it) => flavour.row(it)) };
  }

  async function look(side: Side): Promise<Standing> {
    const writable = (await value(side, `SELECT ${flavour.readOnly}`)) !== '1';
    const { other } = await channel(side);
    if (!other) return { writable, follows: false };
    const { io, sql, behind, error } = flavour.row(other);
    const running = io === 'Yes' && sql === 'Yes';
    return {
      writable,
      follows: true,
      running,
      ...(behind !== undefined && running && { lagMs: behind * 1000 }),
      ...(!running && { trouble: error || `receiving ${io}, applying ${sql}` }),
    };
  }

  async function clients(side: Side): Promise<{ id: string; user: string }[]> {
    const rows = await session[side].ask(
      `SELECT ID AS id, USER AS user FROM information_schema.PROCESSLIST
       WHERE ID <> CONNECTION_ID() AND COMMAND NOT LIKE 'Binlog Dump%' AND COMMAND NOT IN ('Daemon', 'Slave_IO', 'Slave_SQL', 'Slave_worker')
         AND USER NOT IN ('system user', 'event_scheduler')`,
    );
    return rows.map((it) => ({ id: text(it['id']), user: text(it['user']) })).filter((it) => !ours.has(it.user));
  }

  async function dropClients(side: Side): Promise<void> {
    for (const { id } of await clients(side)) {
      // One that ended by itself meanwhile is no trouble.
      await session[side].set('end a session', `KILL ${Number(id)}`).catch((error: unknown) => {
        if (!messageOf(error).includes('Unknown thread')) throw error;
      });
    }
  }

  const position = (side: Side) => value(side, `SELECT ${flavour.position}`);

  return {
    look,
    position,
    dropClients,

    async unfit(replica) {
      const found: string[] = [];
      const upstream = otherSide(replica);
      for (const side of ['source', 'target'] as const) {
        const it = await one(side, flavour.facts);
        const is = (key: string, ...wanted: string[]) => wanted.includes(text(it[key]).toUpperCase());
        const isMaria = text(it['version']).includes('MariaDB');
        if (isMaria !== (flavour === MARIADB))
          found.push(`the ${side} is ${isMaria ? 'MariaDB' : 'MySQL'} ${text(it['version'])}`);
        if (!is('log_bin', '1', 'ON')) found.push(`the ${side} writes no binary log (log_bin)`);
        if (!is('log_updates', '1', 'ON'))
          found.push(`the ${side} does not log what it copies (${flavour.logUpdates})`);
        if (!is('format', 'ROW')) found.push(`the ${side}'s binlog_format is ${text(it['format'])}, not ROW`);
        if (flavour === MYSQL && !(is('gtid_mode', 'ON') && is('consistency', 'ON', '1')))
          found.push(`the ${side} has no GTIDs (gtid_mode, enforce_gtid_consistency)`);
        if (older(text(it['version']), flavour.least))
          found.push(`the ${side} is ${text(it['version'])}; ${flavour.least} is the oldest that can be switched over`);
        for (const stranger of (await channel(side)).strangers)
          found.push(`the ${side} copies from a third server, ${stranger.host}:${stranger.port}`);
        const lacking = await lackingRights(side);
        if (lacking.length > 0) found.push(`on the ${side} our account lacks ${lacking.join(', ')}`);
        if (!(await seesRights(side))) {
          found.push(
            `on the ${side} our account may not read the rights of others (SELECT on mysql.*), so who writes in spite of read_only can't be seen`,
          );
          continue;
        }
        const copies =
          flavour.copiers === undefined || (await named(side, flavour.copiers)).has(copier(otherSide(side)).user);
        if (!copies) found.push(`the ${side} has no account ${copier(otherSide(side)).user} with REPLICATION SLAVE`);
        const leaks = await writesAllTheSame(side);
        if (leaks.length > 0)
          found.push(
            `on the ${side} ${leaks.join(', ')} may write in spite of read_only (list it under \`admins:\` when it is known not to)`,
          );
      }
      const [a, b] = [await one(upstream, flavour.facts), await one(replica, flavour.facts)];
      if (text(a['server_id']) === text(b['server_id'])) found.push(`both have the server_id ${text(a['server_id'])}`);
      if (text(a['names']) !== text(b['names'])) found.push('lower_case_table_names differs');
      if (older(text(b['version']), text(a['version'])))
        found.push(`the ${replica} is ${text(b['version'])}, older than ${text(a['version'])}`);
      const extra = await errant(
        flavour,
        (side, sql, values) => value(side, sql, values),
        replica,
        await position(replica),
        await position(upstream),
      );
      if (extra) found.push(`the ${replica} has transactions that the ${upstream} has not: ${extra}`);
      return found;
    },

    async doubts() {
      const found: string[] = [];
      for (const side of ['source', 'target'] as const) {
        const why = flavour.forgets(await one(side, flavour.lasting));
        if (why !== undefined) found.push(`the ${side} ${why}: a restart may undo its fence`);
      }
      return found;
    },

    async settings(of) {
      return { events: await value(of, 'SELECT @@global.event_scheduler') };
    },

    async reached(side, wanted, withinMs) {
      const found = await value(side, flavour.wait, [wanted, Math.max(withinMs / 1000, 0.05)]);
      return flavour.reached(found);
    },

    async fence(side, withinMs) {
      const it = session[side];
      const seconds = Math.max(1, Math.floor(withinMs / 2000));
      await it.set('limit its waits', `SET SESSION lock_wait_timeout = ${seconds}`);
      await events(side, 'OFF');
      for (const last of [false, true]) {
        try {
          await it.set('become read-only', flavour.fence);
          break;
        } catch (error) {
          // Somebody holds a lock that this has to wait for. His session ends, then once more.
          if (!last) {
            await dropClients(side);
            continue;
          }
          await it.set('take writes again', flavour.unfence);
          throw new MigrateError('DB_FENCE_BLOCKED', {
            what: `${it.who} did not become read-only within ${spell(seconds * 2000)}; it takes writes as before.`,
            why: error instanceof MigrateError ? error.what : String(error),
            fix: 'See what runs there (SHOW PROCESSLIST), wait for it or end it, then run again.',
          });
        }
      }
      await dropClients(side);
    },

    async unfence(side, settings) {
      await session[side].set('take writes', flavour.unfence);
      // After that, for MySQL's fence holds back us too.
      await awaken(side);
      await events(side, settings['events'] === 'ON' ? 'ON' : 'OFF');
    },

    async build(replica) {
      if (!flavour.copies) {
        throw new MigrateError('DB_CANNOT_BUILD', {
          what: `A replica of MySQL (${database.name}) is not copied by migrate.`,
          why: 'CLONE, xtrabackup and the operators of clusters do it faster, and without a server that waits.',
          fix: 'Make the replica by one of those, write `replica: present`, then run again.',
        });
      }
      const upstream = otherSide(replica);
      const from = await session[upstream].beside((reader) =>
        session[replica].beside((writer) => copyDatabases(reader, writer, database.databases)),
      );
      await session[replica].set('note where its copy stands', `SET GLOBAL gtid_slave_pos = ?`, [from]);
    },

    async follow(replica) {
      const { other } = await channel(replica);
      if (other) {
        await session[replica].set('copy', flavour.start);
        return;
      }
      for (const { act, sql, values } of flavour.follow(copier(replica), await position(replica)))
        await session[replica].set(act, sql, values);
    },

    async unfollow(replica) {
      if (!(await channel(replica)).other) return;
      await session[replica].set('stop copying', flavour.stop);
      await session[replica].set('forget what it copied from', flavour.forget);
    },

    async close() {
      await Promise.all([session.source.close(), session.target.close()]);
    },
  };

  async function events(side: Side, to: 'ON' | 'OFF'): Promise<void> {
    const now = await value(side, 'SELECT @@global.event_scheduler');
    if (now !== to && now !== 'DISABLED')
      await session[side].set('switch its events', `SET GLOBAL event_scheduler = ${to}`);
  }

  /** A copied event sleeps where it was copied to; on the side that writes it must not. */
  async function awaken(side: Side): Promise<void> {
    const asleep = await session[side].ask(
      `SELECT EVENT_SCHEMA AS db, EVENT_NAME AS name, DEFINER AS definer FROM information_schema.EVENTS
       WHERE STATUS IN ('SLAVESIDE_DISABLED', 'REPLICA_SIDE_DISABLED')`,
    );
    if (asleep.length === 0) return;
    await session[side].beside(async (it) => {
      await it.set('leave its log alone', 'SET SESSION sql_log_bin = 0');
      for (const { db, name, definer } of asleep) {
        const at = text(definer).lastIndexOf('@');
        await it.set('awaken an event', 'ALTER DEFINER = ?@? EVENT ??.?? ENABLE', [
          text(definer).slice(0, at),
          text(definer).slice(at + 1),
          db,
          name,
        ]);
      }
    });
  }

  async function seesRights(side: Side): Promise<boolean> {
    try {
      if (flavour.sees !== undefined) await session[side].ask(flavour.sees);
      return true;
    } catch (error) {
      if (isMigrateError(error, 'DB_REFUSED')) return false;
      throw error;
    }
  }

  async function lackingRights(side: Side): Promise<string[]> {
    if (flavour.needs.length === 0) return [];
    const rows = await session[side].ask('SHOW GRANTS');
    const granted = rows
      .flatMap((it) => /^GRANT (.*) ON \*\.\* TO /.exec(text(Object.values(it)[0]))?.[1]?.split(', ') ?? [])
      // As GRANT takes them and as they are listed: one version's name is another's second name.
      .map((it) => it.replace('READ ONLY', 'READ_ONLY').replace('REPLICA MONITOR', 'SLAVE MONITOR'));
    return granted.includes('ALL PRIVILEGES') ? [] : flavour.needs.filter((it) => !granted.includes(it));
  }

  /** Users of the accounts that a statement lists. */
  async function named(side: Side, sql: string): Promise<Set<string>> {
    const rows = await session[side].ask(sql);
    return new Set(
      rows.map((it) =>
        text(it['grantee'])
          .replaceAll("'", '')
          .replace(/@[^@]*$/, ''),
      ),
    );
  }

  /** Accounts that `read_only` does not hold back, but for ours, those of the machine itself, and those that the playbook names. */
  async function writesAllTheSame(side: Side): Promise<string[]> {
    const rows = await session[side].ask(flavour.privileged);
    return rows
      .map((it) => text(it['grantee']).replaceAll("'", ''))
      .filter((it) => {
        const at = it.lastIndexOf('@');
        const [user, from] = [it.slice(0, at), it.slice(at + 1)];
        return (
          !ours.has(user) && from !== 'localhost' && !database.admins.includes(user) && !database.admins.includes(it)
        );
      });
  }
}

/** `10.6.12-MariaDB` and `10.11.4-MariaDB-log`: by their numbers */
export function older(a: string, b: string): boolean {
  const numbers = (it: string) =>
    it
      .split(/[^\d.]/, 1)[0]
      ?.split('.')
      .map(Number) ?? [];
  const [left, right] = [numbers(a), numbers(b)];
  for (const index of [0, 1]) {
    const [x = 0, y = 0] = [left[index], right[index]];
    if (x !== y) return x < y;
  }
  return false;
}
