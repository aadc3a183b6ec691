import type { Client } from 'pg';
import type { ServerEntry } from '../databases.js';
import type { Side, Tap } from '../ports.js';
import { call, isLost, mustBeTheirs, refused, unreachable } from './wire.js';

/** One connection to a PostgreSQL server, opened at the first statement. */
export interface PostgresSession {
  readonly who: string;
  ask(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** One statement, or several in one transaction. */
  set(act: string, ...statements: string[]): Promise<void>;
  close(): Promise<void>;
}

export interface PostgresLogin extends Pick<ServerEntry, 'host' | 'port' | 'tls'> {
  side: Side;
  user: string;
  password?: string | undefined;
  database: string;
  secrets: (string | undefined)[];
  tap: Tap;
}

/** By which our own sessions are told from clients'. */
export const APPLICATION = 'migrate';

export function postgresSession(login: PostgresLogin): PostgresSession {
  const { side, host, port, user, password, database, tls, secrets, tap } = login;
  const who = `${side} ${host}:${port}/${database}`;
  let open: Promise<Client> | undefined;

  const connection = () => {
    open ??= connect().catch((error: unknown) => {
      open = undefined;
      throw error;
    });
    return open;
  };

  async function connect(): Promise<Client> {
    const { default: pg } = await import('pg');
    const client = new pg.Client({
      host,
      port,
      user,
      database,
      ...(password !== undefined && { password }),
      ...(tls !== 'no' && { ssl: { rejectUnauthorized: tls === 'yes' } }),
      application_name: APPLICATION,
      connectionTimeoutMillis: 10_000,
      query_timeout: 120_000,
      // The fence holds back sessions by their default; ours sets it up and takes it away. Statements with passwords stay out of the log.
      options:
        '-c default_transaction_read_only=off -c lock_timeout=10000 -c log_statement=none -c log_min_error_statement=panic -c log_min_duration_statement=-1',
    });
    client.on('error', () => (open = undefined));
    await client.connect();
    return client;
  }

  async function query(act: string, sql: string, values: readonly unknown[], writes: boolean) {
    return tap(call(side, act, writes), async () => {
      try {
        const { rows } = await (await connection()).query<Record<string, unknown>>(sql, [...values]);
        return rows;
      } catch (error) {
        mustBeTheirs(error);
        if (!isGone(error)) throw refused(who, act, error, secrets);
        open = undefined;
        throw unreachable(who, error, secrets);
      }
    });
  }

  return {
    who,
    ask: (sql, values = []) => query('answer', sql, values, false),
    async set(act, ...statements) {
      const [only, ...more] = statements;
      if (more.length === 0) {
        await query(act, only ?? '', [], true);
        return;
      }
      // Without parameters it goes as one message: all of it in one transaction, or none.
      await tap(call(side, act, true), async () => {
        try {
          await (await connection()).query(`BEGIN; ${statements.join('; ')}; COMMIT`);
        } catch (error) {
          await open?.then((it) => it.end()).catch(() => undefined);
          open = undefined;
          throw isGone(error) ? unreachable(who, error, secrets) : refused(who, act, error, secrets);
        }
      });
    },
    async close() {
      const opened = open;
      open = undefined;
      await opened?.then((it) => it.end()).catch(() => undefined);
    },
  };
}

/** Besides the network's own: 57P0x, ended by an administrator, starting up or shutting down. What 08xxx says is about the other server. */
const isGone = (error: unknown): boolean => {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  return isLost(error) || /^57P0[123]$/.test(code) || /^(?:Connection terminated|timeout expired)/.test(message);
};

export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
export const literal = (value: string) =>
  value.includes('\\')
    ? `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${value.replaceAll("'", "''")}'`;
