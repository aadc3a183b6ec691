import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import type { Connection } from 'mysql2';

/**
 * Two servers that speak MySQL's protocol and know of its statements those that a switch-over needs, as the reference manual of 8.4 has them.
 * No package of MySQL is at hand where these tests run; what a real one does differently, they can't show. Any other statement is a syntax
 * error, so a word of MariaDB's does not go by unnoticed.
 *
 * @source https://dev.mysql.com/doc/refman/8.4/en/change-replication-source-to.html, .../show-replica-status.html,
 *   .../server-system-variables.html#sysvar_super_read_only, .../gtid-functions.html
 */
export interface MySqlModel {
  port: number;
  superReadOnly: boolean;
  /** what was persisted is read at a start */
  loadsPersisted: boolean;
  events: 'ON' | 'OFF';
  /** transactions that it has */
  executed: number;
  source: { host: string; port: number; running: boolean } | undefined;
  statements: string[];
  stop(): Promise<void>;
}

type Row = Record<string, string | number | null>;

/** What the package's own client does at each statement, its server leaves to whoever answers. */
const RESET = '_resetSequenceId';
type Served = Connection & Record<typeof RESET, () => void>;

export async function startMySqlModels(): Promise<[MySqlModel, MySqlModel]> {
  const models: MySqlModel[] = [];
  const { createServer } = await import('mysql2');
  const start = async (serverId: number): Promise<MySqlModel> => {
    let connections = 0;
    const open = new Set<Connection>();
    const server = createServer((made) => {
      const connection = made as unknown as Served;
      open.add(connection);
      connection.on('error', () => open.delete(connection));
      connection.serverHandshake({
        protocolVersion: 10,
        serverVersion: '8.4.3',
        connectionId: ++connections,
        statusFlags: 2,
        characterSet: 45,
        capabilityFlags: 0x00_ff_f7_ff & ~0x800,
        authCallback: (_login: unknown, done: (error: null) => void) => {
          done(null);
          connection[RESET]();
        },
      });
      const asked = (text: string) => {
        const sql = text.replaceAll(/\s+/g, ' ').trim();
        model.statements.push(sql);
        const answer = answerTo(sql, model, models, serverId);
        if (answer === undefined) connection.writeError({ code: 1064, message: `You have an error near '${sql}'` });
        else if (answer.length === 0) connection.writeOk();
        else connection.writeTextResult(answer, Object.keys(answer[0] ?? {}).map(column));
        // Each statement is counted anew.
        connection[RESET]();
      };
      connection.on('query', asked);
      // What begins with SET comes by this name.
      connection.on('stmt_prepare', asked);
    });
    const model: MySqlModel = {
      port: 0,
      superReadOnly: serverId === 2,
      loadsPersisted: true,
      events: serverId === 1 ? 'ON' : 'OFF',
      executed: serverId === 1 ? 100 : 0,
      source: undefined,
      statements: [],
      stop: () =>
        new Promise((resolve) => {
          for (const it of open) it.destroy();
          server.close(() => resolve());
        }),
    };
    const { _server: listener } = server as unknown as { _server: Server };
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    model.port = (listener.address() as AddressInfo).port;
    models.push(model);
    return model;
  };
  const [source, target] = [await start(1), await start(2)];
  target.source = { host: '127.0.0.1', port: source.port, running: true };
  return [source, target];
}

const column = (name: string) => ({
  catalog: 'def',
  schema: '',
  table: '',
  orgTable: '',
  name,
  orgName: name,
  characterSet: 45,
  columnLength: 1024,
  columnType: 253,
  flags: 0,
  decimals: 0,
});

const gtids = (executed: number) => (executed > 0 ? `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${executed}` : '');
const last = (set: string) => Number(/-(\d+)$/.exec(set)?.[1] ?? 0);

/** @returns rows; none where the answer is OK; undefined for what it does not know */
function answerTo(sql: string, it: MySqlModel, all: readonly MySqlModel[], serverId: number): Row[] | undefined {
  const other = all.find((one) => one.port === it.source?.port);
  if (it.source?.running && other) it.executed = Math.max(it.executed, other.executed);
  const ok = (change: () => void): Row[] => {
    change();
    return [];
  };
  const found = (pattern: RegExp) => pattern.exec(sql)?.slice(1);

  if (sql === 'SELECT @@global.super_read_only') return [{ it: it.superReadOnly ? 1 : 0 }];
  if (sql === 'SELECT @@global.persisted_globals_load AS loads') return [{ loads: it.loadsPersisted ? 1 : 0 }];
  if (sql === 'SELECT @@global.server_id') return [{ it: serverId }];
  if (sql === 'SELECT @@global.gtid_executed') return [{ it: gtids(it.executed) }];
  if (sql === 'SELECT @@global.event_scheduler') return [{ it: it.events }];
  if (sql.startsWith('SELECT @@version AS version, @@global.log_bin')) {
    const facts = { version: '8.4.3', log_bin: 1, log_updates: 1, format: 'ROW', server_id: serverId, names: 0 };
    return [{ ...facts, gtid_mode: 'ON', consistency: 'ON' }];
  }
  if (sql === 'SHOW REPLICA STATUS') return statusOf(it, other);
  const wait = found(/^SELECT WAIT_FOR_EXECUTED_GTID_SET\('([^']*)', [\d.]+\)$/);
  if (wait) return [{ it: it.executed >= last(wait[0] ?? '') ? 0 : 1 }];
  const subtract = found(/^SELECT GTID_SUBTRACT\('([^']*)', '([^']*)'\)$/);
  if (subtract) return [{ it: last(subtract[0] ?? '') > last(subtract[1] ?? '') ? (subtract[0] ?? '') : '' }];
  if (sql.startsWith('SELECT ID AS id, USER AS user FROM information_schema.PROCESSLIST'))
    return [{ id: 7, user: 'app' }];
  if (sql.startsWith('SELECT EVENT_SCHEMA AS db') || sql === 'SELECT NULL AS grantee FROM DUAL WHERE FALSE') return [];
  const change = found(
    /^CHANGE REPLICATION SOURCE TO SOURCE_HOST = '([^']+)', SOURCE_PORT = (\d+), SOURCE_USER = '[^']+', SOURCE_PASSWORD = '[^']*', SOURCE_SSL = [01], SOURCE_SSL_VERIFY_SERVER_CERT = [01], GET_SOURCE_PUBLIC_KEY = [01], SOURCE_CONNECT_RETRY = 1, SOURCE_AUTO_POSITION = 1$/,
  );
  if (change) return ok(() => (it.source = { host: change[0] ?? '', port: Number(change[1]), running: false }));
  if (sql === 'START REPLICA') return ok(() => it.source && (it.source.running = true));
  if (sql === 'STOP REPLICA') return ok(() => it.source && (it.source.running = false));
  // The manual: it is refused while replication runs.
  if (sql === 'RESET REPLICA ALL') return it.source?.running ? undefined : ok(() => (it.source = undefined));
  if (sql === 'SET PERSIST super_read_only = ON') return ok(() => (it.superReadOnly = true));
  if (sql === 'SET PERSIST read_only = OFF') return ok(() => (it.superReadOnly = false));
  const events = found(/^SET GLOBAL event_scheduler = (ON|OFF)$/);
  if (events) return ok(() => (it.events = events[0] as 'ON' | 'OFF'));
  return /^SET SESSION lock_wait_timeout = \d+$|^KILL 7$/.test(sql) ? [] : undefined;
}

const statusOf = (it: MySqlModel, other: MySqlModel | undefined): Row[] =>
  it.source
    ? [
        {
          Source_Host: it.source.host,
          Source_Port: it.source.port,
          Source_Server_Id: other ? 1 : 0,
          Replica_IO_Running: it.source.running ? 'Yes' : 'No',
          Replica_SQL_Running: it.source.running ? 'Yes' : 'No',
          Seconds_Behind_Source: it.source.running ? 0 : null,
          Last_IO_Error: '',
          Last_SQL_Error: '',
        },
      ]
    : [];
