import { MigrateError } from '../errors.js';
import type { MySqlSession } from './mysql-session.js';
import { text } from './wire.js';

/**
 * Copies whole databases from one MariaDB server into another that does not have them, at one moment of the source, while that is being
 * written to. Schema, rows, views, routines, triggers and events; accounts are not copied.
 *
 * A copy that was broken off leaves the marker below, by which the next one knows that it may begin anew; without the marker a database
 * of that name on the target is somebody's, and is left alone.
 *
 * @returns the GTIDs of that moment: replication goes on from there
 * @source https://mariadb.com/kb/en/enhancements-for-start-transaction-with-consistent-snapshot/, https://mariadb.com/kb/en/binlog_gtid_pos/
 */
export async function copyDatabases(
  reader: MySqlSession,
  writer: MySqlSession,
  named: readonly string[] | undefined,
): Promise<string> {
  const databases = named ?? (await databasesOf(reader)).filter((it) => it !== MARKER);
  await setUp(writer, [
    'SET SESSION sql_log_bin = 0',
    'SET SESSION foreign_key_checks = 0',
    'SET SESSION unique_checks = 0',
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
  ]);
  await makeRoom(writer, databases);

  await setUp(reader, [
    'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    'START TRANSACTION WITH CONSISTENT SNAPSHOT',
  ]);
  const status = new Map(
    (await reader.ask("SHOW STATUS LIKE 'binlog_snapshot_%'")).map((it) => [
      text(it['Variable_name']).toLowerCase(),
      text(it['Value']),
    ]),
  );
  const [moment] = await reader.ask('SELECT BINLOG_GTID_POS(?, ?) AS gtid', [
    status.get('binlog_snapshot_file') ?? '',
    Number(status.get('binlog_snapshot_position') ?? 0),
  ]);
  for (const database of databases) await copyDatabase(reader, writer, database);
  // What a view or a routine names may lie in a database that comes later.
  for (const database of databases) await copyCode(reader, writer, database);
  await writer.set('forget the marker', 'DROP DATABASE ??', [MARKER]);
  return text(moment?.['gtid']);
}

const MARKER = 'migrate_copying';
const OWN = new Set(['mysql', 'information_schema', 'performance_schema', 'sys']);
const BATCH_BYTES = 512 * 1024;

async function setUp(session: MySqlSession, statements: readonly string[]): Promise<void> {
  for (const sql of statements) await session.set('prepare for copying', sql);
}

const databasesOf = async (session: MySqlSession): Promise<string[]> =>
  (await session.ask('SHOW DATABASES'))
    .map((it) => text(Object.values(it)[0]))
    .filter((it) => !OWN.has(it.toLowerCase()));

async function makeRoom(writer: MySqlSession, databases: readonly string[]): Promise<void> {
  const there = await databasesOf(writer);
  const clash = databases.filter((it) => there.includes(it));
  if (!there.includes(MARKER)) {
    if (clash.length > 0) {
      throw cannot(
        `${writer.who} has a database ${clash.join(', ')} already.`,
        'It is not ours, so it is not overwritten.',
        'Empty that server, or make the replica yourself and write `replica: present`.',
      );
    }
    await writer.set('set the marker', 'CREATE DATABASE ??', [MARKER]);
    return;
  }
  for (const database of clash) await writer.set('drop the half copied', 'DROP DATABASE ??', [database]);
}

async function copyDatabase(reader: MySqlSession, writer: MySqlSession, database: string): Promise<void> {
  const tables = await reader.ask(
    'SELECT TABLE_NAME AS name, TABLE_TYPE AS type, ENGINE AS engine FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?',
    [database],
  );
  const unfit = tables.filter(
    (it) => it['type'] !== 'VIEW' && !(it['type'] === 'BASE TABLE' && text(it['engine']).toLowerCase() === 'innodb'),
  );
  if (unfit.length > 0) {
    throw cannot(
      `${database} has ${unfit.map((it) => `${text(it['name'])} (${text(it['engine'] ?? it['type'])})`).join(', ')}.`,
      'Only InnoDB tables can be read as of one moment while others write.',
      'Copy with mariadb-backup, and write `replica: present`.',
    );
  }
  const made = await created(reader, 'SHOW CREATE DATABASE ??', [database], 'Create Database');
  await writer.set('create a database', made);
  await writer.set('enter it', 'USE ??', [database]);
  for (const { name, type } of tables) {
    if (type === 'VIEW') continue;
    await writer.set(
      'create a table',
      await created(reader, 'SHOW CREATE TABLE ??.??', [database, name], 'Create Table'),
    );
    await copyRows(reader, writer, database, text(name));
  }
}

async function copyRows(reader: MySqlSession, writer: MySqlSession, database: string, table: string): Promise<void> {
  const columns = (
    await reader.ask(
      `SELECT COLUMN_NAME AS name FROM information_schema.COLUMNS
       WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND GENERATION_EXPRESSION IS NULL ORDER BY ORDINAL_POSITION`,
      [database, table],
    )
  ).map((it) => text(it['name']));
  let rows: (Buffer | null)[][] = [];
  let bytes = 0;
  const flush = async () => {
    if (rows.length === 0) return;
    await writer.set('take rows', 'INSERT INTO ??.?? (??) VALUES ?', [database, table, columns, rows]);
    rows = [];
    bytes = 0;
  };
  // As the bytes that are stored, so that no character set is converted on the way.
  await reader.set('send bytes', 'SET character_set_results = NULL');
  for await (const row of reader.rows('SELECT ?? FROM ??.??', [columns, database, table])) {
    rows.push(row);
    bytes += row.reduce((sum, it) => sum + (it?.length ?? 4) * 2 + 4, 0);
    if (bytes >= BATCH_BYTES) await flush();
  }
  await flush();
  await reader.set('send text', 'SET character_set_results = utf8mb4');
}

async function copyCode(reader: MySqlSession, writer: MySqlSession, database: string): Promise<void> {
  await writer.set('enter it', 'USE ??', [database]);
  const names = async (sql: string) => (await reader.ask(sql, [database])).map((it) => text(it['name']));
  const make = async (sql: string, name: string, column: string) => {
    const [row] = await reader.ask(sql, [database, name]);
    await writer.set('take its sql_mode', 'SET SESSION sql_mode = ?', [text(row?.['sql_mode'] ?? '')]);
    await writer.set('create it', text(row?.[column]));
  };
  const routines = await reader.ask(
    'SELECT ROUTINE_NAME AS name, ROUTINE_TYPE AS type FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?',
    [database],
  );
  for (const { name, type } of routines) {
    const word = type === 'FUNCTION' ? 'Function' : 'Procedure';
    await make(`SHOW CREATE ${word.toUpperCase()} ??.??`, text(name), `Create ${word}`);
  }
  await copyViews(
    reader,
    writer,
    database,
    await names('SELECT TABLE_NAME AS name FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?'),
  );
  for (const name of await names(
    'SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? ORDER BY EVENT_OBJECT_TABLE, ACTION_ORDER',
  ))
    await make('SHOW CREATE TRIGGER ??.??', name, 'SQL Original Statement');
  for (const name of await names('SELECT EVENT_NAME AS name FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?')) {
    await make('SHOW CREATE EVENT ??.??', name, 'Create Event');
    await writer.set('let it sleep', 'ALTER EVENT ??.?? DISABLE ON SLAVE', [database, name]);
  }
  await writer.set('take its sql_mode', "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'");
}

/** A view may name another: each round makes those that can be made. */
async function copyViews(
  reader: MySqlSession,
  writer: MySqlSession,
  database: string,
  views: readonly string[],
): Promise<void> {
  let left = [...views];
  while (left.length > 0) {
    const failed: string[] = [];
    let why: unknown;
    for (const name of left) {
      const sql = await created(reader, 'SHOW CREATE VIEW ??.??', [database, name], 'Create View');
      await writer.set('create a view', sql).catch((error: unknown) => {
        failed.push(name);
        why = error;
      });
    }
    if (failed.length === left.length) throw why;
    left = failed;
  }
}

const created = async (reader: MySqlSession, sql: string, values: readonly unknown[], column: string) =>
  text((await reader.ask(sql, values))[0]?.[column]);

const cannot = (what: string, why: string, fix: string) => new MigrateError('DB_CANNOT_BUILD', { what, why, fix });
