import { createHash } from 'node:crypto';
import type { DatabaseOf } from '../databases.js';
import { isMigrateError, MigrateError } from '../errors.js';
import { otherSide, type Side } from '../ports.js';
import type { DatabasePair, Standing } from '../standing.js';
import { spell } from '../words.js';
import { APPLICATION, literal, postgresSession, quoted, type PostgresSession } from './postgres-session.js';
import { passwordOf, text, type DatabaseOptions } from './wire.js';

/**
 * PostgreSQL, one database of it, by logical replication: it works across major versions and can be turned round by statements alone.
 *
 * The fence is of two parts, set in one transaction: new sessions are read-only by default, and nobody but superusers may open one
 * (CONNECTION LIMIT 0), for a client can say READ WRITE; then the sessions that are there are ended. A side counts as writable until the last
 * of them is gone. The copying itself runs as a worker of the subscription's owner, whom neither holds back.
 *
 * @source https://www.postgresql.org/docs/15/logical-replication.html, .../sql-alterdatabase.html, .../sql-createsubscription.html
 */
export async function postgresPair(database: DatabaseOf<'postgres'>, options: DatabaseOptions): Promise<DatabasePair> {
  const passwords = {
    source: await passwordOf(database.source.password, options),
    target: await passwordOf(database.target.password, options),
    replication: await passwordOf(database.replication?.password, options),
  };
  const secrets = Object.values(passwords);
  const open = (side: Side) =>
    postgresSession({
      ...database[side],
      side,
      database: database.database,
      user: database[side].user ?? 'postgres',
      password: passwords[side],
      secrets,
      tap: options.tap,
    });
  const session: Record<Side, PostgresSession> = { source: open('source'), target: open('target') };
  const { clock } = options;
  const short = createHash('sha256').update(database.name).digest('hex').slice(0, 8);
  const publication = `migrate_${short}`;
  /** of the subscription on that side, and of its slot on the other */
  const ours = (replica: Side) => `migrate_${short}_${replica}`;
  const db = quoted(database.database);

  const one = async (side: Side, sql: string, values: readonly unknown[] = []) =>
    (await session[side].ask(sql, values))[0] ?? {};
  const value = async (side: Side, sql: string, values: readonly unknown[] = []) =>
    text(Object.values(await one(side, sql, values))[0]);

  /** how `replica` logs in to the other */
  function conninfo(replica: Side): string {
    const upstream = otherSide(replica);
    const { host, port } = database[upstream].seenAs ?? database[upstream];
    const { user, password } = database.replication
      ? { user: database.replication.user, password: passwords.replication }
      : { user: database[upstream].user ?? 'postgres', password: passwords[upstream] };
    const quote = (it: string) => `'${it.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
    const { tls } = database[upstream];
    return [
      `host=${quote(host)} port=${port} dbname=${quote(database.database)} user=${quote(user)}`,
      ...(password === undefined ? [] : [`password=${quote(password)}`]),
      `sslmode=${tls === 'no' ? 'prefer' : tls === 'yes' ? 'verify-full' : 'require'}`,
    ].join(' ');
  }

  /** The subscription of that side to the other: ours by its name, an operator's by where it leads. */
  async function subscription(side: Side) {
    const { host, port } = database[otherSide(side)].seenAs ?? database[otherSide(side)];
    const rows = await session[side].ask(
      `SELECT s.subname AS name, s.subenabled AS enabled, s.subslotname AS slot, s.subconninfo AS conninfo,
         (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = s.oid AND r.srsubstate <> 'r') AS copying
       FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    );
    const leads = (it: Record<string, unknown>) => {
      const info = text(it['conninfo']);
      const has = (key: string, wanted: string) =>
        new RegExp(`(?:^|\\s)${key}\\s*=\\s*'?${escaped(wanted)}'?(?:\\s|$)`).test(info);
      return has('host', host) && has('port', String(port)) && has('dbname', database.database);
    };
    return rows.find((it) => it['name'] === ours(side)) ?? rows.find(leads);
  }

  async function look(side: Side): Promise<Standing> {
    const fence = await fenceOf(side);
    const closing = fence === 'closing';
    const writable = fence !== 'closed';
    const it = await subscription(side);
    if (!it) return { writable, closing, follows: false };
    const copying = Number(text(it['copying']));
    // Its slot keeps what it has not read, so one whose worker is only about to start loses nothing; how far behind it is, is then unknown.
    const running = it['enabled'] === true && Boolean(it['slot']) && copying === 0;
    const lag = running ? await lagMs(side, text(it['slot'])).catch(ifGone) : undefined;
    const trouble =
      it['enabled'] !== true
        ? 'it is disabled'
        : copying > 0
          ? `${copying} tables are still being copied`
          : 'it has no slot';
    return {
      writable,
      closing,
      follows: true,
      running,
      ...(lag !== undefined && { lagMs: lag }),
      ...(!running && { trouble }),
    };
  }

  async function fenceOf(side: Side): Promise<'open' | 'closing' | 'closed'> {
    for (let turn = 0; ; turn++) {
      const fence = await one(side, FENCE, [APPLICATION]);
      if (fence['limit'] !== 0 || fence['read_only'] !== true) return 'open';
      if (text(fence['left']) === '0') return 'closed';
      // A worker of the server on its way in looks like anybody else for a moment; a client's session stays.
      if (turn === 30) return 'closing';
      await clock.sleep(20);
    }
  }

  async function lagMs(replica: Side, slot: string): Promise<number | undefined> {
    const row = await one(
      otherSide(replica),
      `SELECT s.active, coalesce(extract(epoch FROM r.replay_lag) * 1000, 0) AS lag
       FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = $1`,
      [slot],
    );
    return row['active'] === true ? Number(text(row['lag'])) : undefined;
  }

  /** Ends every session that is not ours; true once none of them is left. */
  async function endSessions(side: Side, withinMs: number): Promise<boolean> {
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
        AND NOT (application_name = ${literal(APPLICATION)} AND usename = current_user)`;
    for (const deadline = clock.now() + withinMs; ; await clock.sleep(20)) {
      await session[side].set('end sessions', end);
      if (text((await one(side, FENCE, [APPLICATION]))['left']) === '0') return true;
      if (clock.now() >= deadline) return false;
    }
  }

  const openAgain = (side: Side, limit: string) =>
    session[side].set(
      'take writes',
      `ALTER DATABASE ${db} RESET default_transaction_read_only`,
      `ALTER DATABASE ${db} CONNECTION LIMIT ${Number(limit)}`,
    );

  async function dropSlot(upstream: Side, slot: string): Promise<void> {
    for (let turn = 0; ; turn++) {
      const row = await one(upstream, 'SELECT active FROM pg_replication_slots WHERE slot_name = $1', [slot]);
      if (row['active'] === undefined) return;
      // The worker on the other side has been told to stop; its connection ends a moment later.
      if (row['active'] === true && turn < 100) {
        await clock.sleep(20);
        continue;
      }
      await session[upstream].set('drop a slot', `SELECT pg_drop_replication_slot(${literal(slot)})`);
    }
  }

  async function subscribe(replica: Side, copy: boolean): Promise<void> {
    const upstream = otherSide(replica);
    const name = ours(replica);
    const published = await value(upstream, 'SELECT count(*) FROM pg_publication WHERE pubname = $1', [publication]);
    if (published === '0')
      await session[upstream].set('publish its tables', `CREATE PUBLICATION ${quoted(publication)} FOR ALL TABLES`);
    // One without its subscription is what a kill left: nothing was ever read from it.
    await dropSlot(upstream, name);
    await session[replica].set(
      'subscribe to the other',
      `CREATE SUBSCRIPTION ${quoted(name)} CONNECTION ${literal(conninfo(replica))} PUBLICATION ${quoted(publication)}
       WITH (copy_data = ${copy}, create_slot = true, slot_name = ${literal(name)}, enabled = true)`,
    );
  }

  return {
    look,

    async unfit(replica) {
      const found: string[] = [];
      const upstream = otherSide(replica);
      for (const side of ['source', 'target'] as const) {
        const it = await one(side, FACTS);
        if (it['recovery'] === true) found.push(`the ${side} is a standby`);
        if (it['wal_level'] !== 'logical')
          found.push(`the ${side}'s wal_level is ${text(it['wal_level'])}, not logical`);
        if (it['super'] !== true)
          found.push(`on the ${side} our account is no superuser: it would be held back by the fence itself`);
        const copier = database.replication?.user;
        if (copier && (await value(side, 'SELECT rolsuper FROM pg_roles WHERE rolname = $1', [copier])) !== 'true')
          found.push(`on the ${side} ${copier} is no superuser: the fence would keep the copying out too`);
        // A slot and a sender for the other side's subscription, and a worker for its own, unless they are there.
        const needed = { slots: otherSide(side), senders: otherSide(side), workers: side };
        for (const [what, of] of Object.entries(needed)) {
          if (Number(text(it[what])) < 1 && !(await subscription(of)))
            found.push(`the ${side} has no free ${LIMITS[what] ?? what}`);
        }
        if (text(it['prepared']) !== '0')
          found.push(`the ${side} has prepared transactions, which outlive their sessions`);
      }
      const [a, b] = [await one(upstream, FACTS), await one(replica, FACTS)];
      const major = (it: Record<string, unknown>) => Math.floor(Number(text(it['version'])) / 10_000);
      if (major(b) < major(a)) found.push(`the ${replica} is version ${major(b)}, older than ${major(a)}`);
      const nameless = await session[upstream].ask(KEYLESS);
      if (nameless.length > 0)
        found.push(
          `${names(nameless)} on the ${upstream} has neither primary key nor replica identity: its changes can't be copied`,
        );
      const there = new Set((await session[replica].ask(TABLES)).map((it) => text(it['name'])));
      const absent = (await session[upstream].ask(TABLES)).filter((it) => !there.has(text(it['name'])));
      if (absent.length > 0)
        found.push(`the ${replica} has no table ${names(absent)}: bring the schema first (pg_dump --schema-only)`);
      const copies = await subscription(replica);
      if (!copies && database.replica === 'present')
        found.push(`the ${replica} has no subscription to the ${upstream}`);
      if (!copies && database.replica === 'build') {
        for (const it of there)
          if ((await value(replica, `SELECT EXISTS (SELECT FROM ${it})`)) === 'true')
            found.push(`table ${it} on the ${replica} has rows already`);
      }
      return found;
    },

    async doubts() {
      const found: string[] = [];
      for (const side of ['source', 'target'] as const) {
        const mine = [database[side].user ?? 'postgres', database.replication?.user ?? ''];
        const others = (await session[side].ask(SUPERUSERS))
          .map((it) => text(it['name']))
          .filter((it) => !mine.includes(it));
        if (others.length > 0)
          found.push(
            `on the ${side} ${others.join(', ')} may log in and is a superuser, whom the fence holds back by a default only: no client may use it`,
          );
      }
      return found;
    },

    async settings(of) {
      const it = await one(of, FENCE, [APPLICATION]);
      // What a fence says is not what the server had.
      return { limit: it['read_only'] === true && it['limit'] === 0 ? '-1' : text(it['limit']) };
    },

    async position(side) {
      // A transaction of our own, so that all before it is on its way; asynchronous commits too.
      await session[side].ask("SELECT pg_logical_emit_message(true, 'migrate', 'position')");
      return value(side, 'SELECT pg_current_wal_insert_lsn()');
    },

    async reached(side, position, withinMs) {
      const slot = text((await subscription(side))?.['slot']);
      for (const deadline = clock.now() + withinMs; ; await clock.sleep(10)) {
        const row = await one(
          otherSide(side),
          'SELECT confirmed_flush_lsn >= $2::pg_lsn AS reached FROM pg_replication_slots WHERE slot_name = $1',
          [slot, position],
        );
        if (row['reached'] === true) return true;
        if (clock.now() >= deadline) return false;
      }
    },

    async fence(side, withinMs) {
      const { limit } = await one(side, FENCE, [APPLICATION]);
      await session[side].set(
        'take no more writes',
        `ALTER DATABASE ${db} SET default_transaction_read_only = on`,
        `ALTER DATABASE ${db} CONNECTION LIMIT 0`,
      );
      if (await endSessions(side, withinMs)) return;
      await openAgain(side, text(limit) === '0' ? '-1' : text(limit));
      throw new MigrateError('DB_FENCE_BLOCKED', {
        what: `${session[side].who}: sessions did not end within ${spell(withinMs)}; it takes writes as before.`,
        why: 'A session that can not be interrupted may still commit.',
        fix: 'See pg_stat_activity, wait for it or end it, then run again.',
      });
    },

    async unfence(side, settings) {
      // A slot that nobody reads any more would keep the other's log for ever.
      if (!(await subscription(side))) {
        await dropSlot(otherSide(side), ours(side)).catch(ifGone);
      }
      await openAgain(side, settings['limit'] ?? '-1');
    },

    async dropClients(side) {
      await endSessions(side, 2000);
    },

    build: (replica) => subscribe(replica, true),

    async follow(replica) {
      const it = await subscription(replica);
      if (!it) return subscribe(replica, false);
      if (it['enabled'] === true) return;
      const name = quoted(text(it['name']));
      if (!it['slot'])
        await session[replica].set(
          'take its slot again',
          `ALTER SUBSCRIPTION ${name} SET (slot_name = ${literal(ours(replica))})`,
        );
      await session[replica].set('go on copying', `ALTER SUBSCRIPTION ${name} ENABLE`);
    },

    async unfollow(replica) {
      const it = await subscription(replica);
      if (!it) return;
      const name = quoted(text(it['name']));
      const upstream = otherSide(replica);
      try {
        // Drops its slot on the other side too, as one statement that the server ends without us.
        await session[replica].set('stop copying', `DROP SUBSCRIPTION ${name}`);
      } catch (error) {
        if (!isMigrateError(error, 'DB_REFUSED')) throw error;
        // It could not reach the other, or the slot is gone; we may reach it, and see.
        await session[replica].set('stop copying', `ALTER SUBSCRIPTION ${name} DISABLE`);
        await session[replica].set('let go of the slot', `ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`);
        await session[replica].set('forget what it copied from', `DROP SUBSCRIPTION ${name}`);
        await dropSlot(upstream, text(it['slot']) || ours(replica)).catch(ifGone);
      }
      const unpublish = `DROP PUBLICATION IF EXISTS ${quoted(publication)}`;
      await session[upstream].set('publish no more', unpublish).catch(ifGone);
    },

    /** Sequences are not part of logical replication. */
    async carry(from) {
      const to = otherSide(from);
      for (const it of await session[from].ask(SEQUENCES))
        await session[to].set(
          'go on with a sequence',
          `SELECT setval(${literal(text(it['name']))}::regclass, ${BigInt(text(it['last']))}, true)`,
        );
    },

    async close() {
      await Promise.all([session.source.close(), session.target.close()]);
    },
  };
}

/** What is to be cleared away on a server that is gone is gone with it, or is cleared when it is back; the other does not wait for that. */
function ifGone(error: unknown): undefined {
  if (!isMigrateError(error, 'DB_UNREACHABLE')) throw error;
  return undefined;
}

const escaped = (it: string) => it.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

const names = (rows: readonly Record<string, unknown>[]) => {
  const all = rows.map((it) => text(it['name']));
  return all.length > 5 ? `${all.slice(0, 5).join(', ')} and ${all.length - 5} more` : all.join(', ');
};

/**
 * Left: clients' sessions that a superuser does not own, and backends that are on their way in, which hold a lock on the database before they
 * are in the list of sessions. A superuser's are ended with the rest and come back read-only.
 */
const FENCE = `
  SELECT d.datconnlimit AS limit,
    EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setdatabase = d.oid AND s.setrole = 0
      AND 'default_transaction_read_only=on' = ANY (s.setconfig)) AS read_only,
    (SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
      WHERE a.datid = d.oid AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
        AND NOT coalesce(r.rolsuper, false) AND NOT (a.application_name = $1 AND a.usename = current_user))
    + (SELECT count(*) FROM pg_locks l WHERE l.locktype = 'object' AND l.classid = 'pg_database'::regclass AND l.objid = d.oid
        AND l.mode = 'RowExclusiveLock' AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid)) AS left
  FROM pg_database d WHERE d.datname = current_database()`;

const FACTS = `
  SELECT current_setting('wal_level') AS wal_level, current_setting('server_version_num') AS version, pg_is_in_recovery() AS recovery,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super,
    current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots) AS slots,
    current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication) AS senders,
    current_setting('max_logical_replication_workers')::int - (SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL) AS workers,
    (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()) AS prepared`;

const LIMITS: Readonly<Record<string, string>> = {
  slots: 'replication slot (max_replication_slots)',
  senders: 'sender (max_wal_senders)',
  workers: 'worker (max_logical_replication_workers)',
};

const SUPERUSERS = 'SELECT rolname AS name FROM pg_roles WHERE rolsuper AND rolcanlogin ORDER BY 1';

const TABLES = `
  SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'`;

const KEYLESS = `${TABLES} AND (c.relreplident = 'n' OR (c.relreplident = 'd'
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)))`;

/** Only those that were ever drawn from. */
const SEQUENCES = `
  SELECT format('%I.%I', schemaname, sequencename) AS name, last_value AS last FROM pg_sequences WHERE last_value IS NOT NULL`;
