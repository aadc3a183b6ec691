import { otherSide, type Side } from '../ports.js';
import { text } from './wire.js';

/**
 * Where MySQL (8.0.26 and later) and MariaDB (10.5 and later) differ in what a switch-over needs.
 *
 * @source https://mariadb.com/kb/en/information-schema-system_variables-table/, https://dev.mysql.com/doc/refman/8.4/en/persisted-system-variables.html
 * @source https://mariadb.com/kb/en/gtid/, https://mariadb.com/kb/en/master_gtid_wait/, https://mariadb.com/kb/en/read-only/
 * @source https://dev.mysql.com/doc/refman/8.4/en/replication-administration-status.html, .../gtid-functions.html
 */
export interface Flavour {
  name: 'mysql' | 'mariadb';
  /** 1 when ordinary accounts can't write */
  readOnly: string;
  fence: string;
  unfence: string;
  facts: string;
  logUpdates: string;
  status: string;
  row(row: Record<string, unknown>): ChannelRow;
  /** all transactions that the server has */
  position: string;
  /** waits for ? up to ? seconds */
  wait: string;
  reached(answer: string): boolean;
  start: string;
  stop: string;
  forget: string;
  follow(from: Upstream, position: string): { act: string; sql: string; values: unknown[] }[];
  privileged: string;
  /** refused where the rights of others, and so `privileged`, can't be seen; absent where they need not be */
  sees?: string;
  /** rights that our own account must have, as SHOW GRANTS names them */
  needs: readonly string[];
  /** accounts that may copy, as `grantee` */
  copiers?: string;
  /** the oldest that can do all this */
  least: string;
  /** asks what `forgets` reads */
  lasting: string;
  /** why a restart would, or might, undo the fence */
  forgets(row: Record<string, unknown>): string | undefined;
  /** whether we can copy a whole server by statements */
  copies: boolean;
}

export interface ChannelRow {
  host: string;
  port: number;
  serverId: string;
  io: string;
  sql: string;
  /** seconds; undefined while it can't be told */
  behind: number | undefined;
  error: string;
}

export interface Upstream {
  host: string;
  port: number;
  user: string;
  password?: string | undefined;
  tls: 'no' | 'unverified' | 'yes';
}

const seconds = (it: unknown) => (it === null || it === undefined ? undefined : Number(it));

export const MARIADB: Flavour = {
  name: 'mariadb',
  readOnly: '@@global.read_only',
  // Waits for running statements, then lets no commit through: what was open fails at its commit.
  fence: 'SET GLOBAL read_only = 1',
  unfence: 'SET GLOBAL read_only = 0',
  facts: `SELECT @@version AS version, @@global.log_bin AS log_bin, @@global.log_slave_updates AS log_updates,
    @@global.binlog_format AS format, @@global.server_id AS server_id, @@global.lower_case_table_names AS names`,
  logUpdates: 'log_slave_updates',
  status: 'SHOW ALL SLAVES STATUS',
  row: (it) => ({
    host: text(it['Master_Host']),
    port: Number(it['Master_Port']),
    serverId: text(it['Master_Server_Id']),
    io: text(it['Slave_IO_Running']),
    sql: text(it['Slave_SQL_Running']),
    behind: seconds(it['Seconds_Behind_Master']),
    error: text(it['Last_SQL_Error']) || text(it['Last_IO_Error']),
  }),
  position: '@@global.gtid_current_pos',
  wait: 'SELECT MASTER_GTID_WAIT(?, ?)',
  reached: (answer) => answer === '0',
  start: 'START SLAVE',
  stop: 'STOP SLAVE',
  forget: 'RESET SLAVE ALL',
  follow: ({ host, port, user, password, tls }, position) => [
    // A server that wrote knows its own transactions from its log; as a replica it is asked from where on it needs more.
    { act: 'note where it stands', sql: 'SET GLOBAL gtid_slave_pos = ?', values: [position] },
    {
      act: 'copy from the other',
      sql: `CHANGE MASTER TO MASTER_HOST = ?, MASTER_PORT = ?, MASTER_USER = ?, MASTER_PASSWORD = ?,
        MASTER_SSL = ${tls === 'no' ? 0 : 1}, MASTER_SSL_VERIFY_SERVER_CERT = ${tls === 'yes' ? 1 : 0},
        MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 5, MASTER_USE_GTID = slave_pos`,
      values: [host, port, user, password ?? ''],
    },
    { act: 'start copying', sql: 'START SLAVE', values: [] },
  ],
  // The list of privileges has an underscore that GRANT has not: MariaDB/server:sql/sql_acl.cc, command_array.
  privileged: `SELECT DISTINCT GRANTEE AS grantee FROM information_schema.USER_PRIVILEGES
    WHERE PRIVILEGE_TYPE IN ('READ_ONLY ADMIN', 'READ ONLY ADMIN') OR (PRIVILEGE_TYPE = 'SUPER' AND (SELECT @@version) REGEXP '^10[.](5|6|7|8|9|10)[.]')`,
  sees: 'SELECT 1 FROM mysql.global_priv LIMIT 1',
  copiers:
    "SELECT GRANTEE AS grantee FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'REPLICATION SLAVE'",
  needs: [
    'BINLOG MONITOR',
    'CONNECTION ADMIN',
    'PROCESS',
    'READ_ONLY ADMIN',
    'RELOAD',
    'REPLICATION SLAVE ADMIN',
    'SLAVE MONITOR',
    'SUPER',
  ],
  least: '10.5',
  lasting: `SELECT GLOBAL_VALUE AS value, GLOBAL_VALUE_ORIGIN AS origin
    FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_NAME = 'READ_ONLY'`,
  // What it was started with is all that a server can tell of its configuration, and only until it is changed.
  forgets(row) {
    const [value, origin] = [text(row['value']), text(row['origin'])];
    if (origin === 'COMPILE-TIME')
      return 'was started without read_only in its configuration; whether it has been written there since can not be told';
    if (origin !== 'CONFIG' && origin !== 'COMMAND-LINE')
      return 'has had read_only set while it ran; whether its configuration has it can not be told';
    return value === 'ON' || value === '1' ? undefined : 'has read_only=0 in its configuration';
  },
  copies: true,
};

export const MYSQL: Flavour = {
  name: 'mysql',
  readOnly: '@@global.super_read_only',
  fence: 'SET PERSIST super_read_only = ON',
  // Of the two, turning read_only off turns both off.
  unfence: 'SET PERSIST read_only = OFF',
  facts: `SELECT @@version AS version, @@global.log_bin AS log_bin, @@global.log_replica_updates AS log_updates,
    @@global.binlog_format AS format, @@global.server_id AS server_id, @@global.lower_case_table_names AS names,
    @@global.gtid_mode AS gtid_mode, @@global.enforce_gtid_consistency AS consistency`,
  logUpdates: 'log_replica_updates',
  status: 'SHOW REPLICA STATUS',
  row: (it) => ({
    host: text(it['Source_Host']),
    port: Number(it['Source_Port']),
    serverId: text(it['Source_Server_Id']),
    io: text(it['Replica_IO_Running']),
    sql: text(it['Replica_SQL_Running']),
    behind: seconds(it['Seconds_Behind_Source']),
    error: text(it['Last_SQL_Error']) || text(it['Last_IO_Error']),
  }),
  position: '@@global.gtid_executed',
  wait: 'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)',
  reached: (answer) => answer === '0',
  start: 'START REPLICA',
  stop: 'STOP REPLICA',
  forget: 'RESET REPLICA ALL',
  follow: ({ host, port, user, password, tls }) => [
    {
      act: 'copy from the other',
      sql: `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,
        SOURCE_SSL = ${tls === 'no' ? 0 : 1}, SOURCE_SSL_VERIFY_SERVER_CERT = ${tls === 'yes' ? 1 : 0},
        GET_SOURCE_PUBLIC_KEY = ${tls === 'no' ? 1 : 0}, SOURCE_CONNECT_RETRY = 1, SOURCE_AUTO_POSITION = 1`,
      values: [host, port, user, password ?? ''],
    },
    { act: 'start copying', sql: 'START REPLICA', values: [] },
  ],
  // With super_read_only nobody is left out.
  privileged: 'SELECT NULL AS grantee FROM DUAL WHERE FALSE',
  // What the statements ask for says the server when it is asked: roles are not looked through here.
  needs: [],
  least: '8.0',
  lasting: 'SELECT @@global.persisted_globals_load AS loads',
  forgets: (row) =>
    ['1', 'ON'].includes(text(row['loads'])) ? undefined : 'does not load what was persisted (persisted_globals_load)',
  copies: false,
};

/** What the replica has and the other has not; empty when there is nothing. */
export async function errant(
  flavour: Flavour,
  value: (side: Side, sql: string, values: readonly unknown[]) => Promise<string>,
  replica: Side,
  ofReplica: string,
  ofOther: string,
): Promise<string> {
  if (flavour.name === 'mysql') return value(otherSide(replica), 'SELECT GTID_SUBTRACT(?, ?)', [ofReplica, ofOther]);
  const other = new Map(gtids(ofOther).map((it) => [it.domain, it.sequence]));
  return gtids(ofReplica)
    .filter((it) => it.sequence > (other.get(it.domain) ?? -1n))
    .map((it) => it.text)
    .join(',');
}

/** `0-1-345,2-7-12`: domain, server, sequence */
const gtids = (position: string) =>
  position
    .split(',')
    .filter(Boolean)
    .map((one) => {
      const [domain = '', , sequence = '0'] = one.trim().split('-');
      return { domain, sequence: BigInt(sequence), text: one.trim() };
    });
