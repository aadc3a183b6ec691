import type { Connection, RowDataPacket } from 'mysql2';
import type { ServerEntry } from '../databases.js';
import type { Side, Tap } from '../ports.js';
import { call, isLost, mustBeTheirs, refused, unreachable } from './wire.js';

/** One connection to a MySQL or MariaDB server, opened at the first statement. */
export interface MySqlSession {
  readonly who: string;
  ask(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** @param act  for an error: `${who} refuses to ${act}` */
  set(act: string, sql: string, values?: readonly unknown[]): Promise<void>;
  /** Row by row, each value as the bytes that the server sent. */
  rows(sql: string, values: readonly unknown[]): AsyncIterable<(Buffer | null)[]>;
  /** A connection of its own, for what would block this one. */
  beside<T>(use: (session: MySqlSession) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface MySqlLogin extends Pick<ServerEntry, 'host' | 'port' | 'tls'> {
  side: Side;
  user: string;
  password?: string | undefined;
  secrets: (string | undefined)[];
  tap: Tap;
}

const CONNECT_MS = 10_000;
const STATEMENT_MS = 120_000;

export function mysqlSession(login: MySqlLogin): MySqlSession {
  const { side, host, port, user, password, tls, secrets, tap } = login;
  const who = `${side} ${host}:${port}`;
  let open: Promise<Connection> | undefined;

  const connection = () => {
    open ??= connect().catch((error: unknown) => {
      open = undefined;
      throw error;
    });
    return open;
  };

  async function connect(): Promise<Connection> {
    // Its default is what it exports, both from its own folder and bundled.
    const { createConnection } = (await import('mysql2')).default;
    const made = createConnection({
      host,
      port,
      user,
      ...(password !== undefined && { password }),
      ...(tls !== 'no' && { ssl: { rejectUnauthorized: tls === 'yes' } }),
      connectTimeout: CONNECT_MS,
      // Positions and counters are larger than a JavaScript number holds.
      supportBigNumbers: true,
      bigNumberStrings: true,
      dateStrings: true,
      multipleStatements: false,
    });
    // A connection that breaks while nobody uses it says so as an event, which must not end the process.
    made.on('error', () => (open = undefined));
    return made;
  }

  async function query(act: string, sql: string, values: readonly unknown[], writes: boolean) {
    return tap(call(side, act, writes), async () => {
      try {
        const [rows] = await (await connection()).promise().query<RowDataPacket[]>({
          sql,
          values: [...values],
          timeout: STATEMENT_MS,
        });
        return Array.isArray(rows) ? rows : [];
      } catch (error) {
        mustBeTheirs(error);
        if (!isLost(error)) throw refused(who, act, error, secrets);
        open = undefined;
        throw unreachable(who, error, secrets);
      }
    });
  }

  return {
    who,
    ask: (sql, values = []) => query('answer', sql, values, false),
    set: async (act, sql, values = []) => void (await query(act, sql, values, true)),
    async *rows(sql, values) {
      const query = (await connection()).query({
        sql,
        values: [...values],
        rowsAsArray: true,
        typeCast: (field) => field.buffer(),
      });
      try {
        for await (const row of query.stream({ highWaterMark: 64 })) yield row as (Buffer | null)[];
      } catch (error) {
        throw isLost(error) ? unreachable(who, error, secrets) : refused(who, 'send rows', error, secrets);
      }
    },
    async beside(use) {
      const session = mysqlSession(login);
      try {
        return await use(session);
      } finally {
        await session.close();
      }
    },
    async close() {
      const opened = open;
      open = undefined;
      await opened?.then((it) => it.destroy()).catch(() => undefined);
    },
  };
}
