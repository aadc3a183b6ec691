import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type AddressInfo, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { binaryPath } from './binaries.js';
import { freePorts, startFamily, untilReady, type Family, type Server } from './processes.js';

/** Real database servers of the distribution's packages, each with its own data folder, on loopback ports that the system gave. */

const run = promisify(execFile);

export interface Running {
  port: number;
  /** SIGKILL */
  kill(): Promise<void>;
}

export function databaseFamily(): Family {
  const dir = mkdtempSync(join(tmpdir(), 'migrate-databases-'));
  // Servers that give up being root must still reach their own folder in it.
  chmodSync(dir, 0o711);
  return startFamily(dir);
}

function binary(names: readonly string[]): string {
  const found = names.find((it) => existsSync(it));
  if (found) return found;
  throw new Error(`none of ${names.join(', ')} is here; test/servers/packages.sh installs it`);
}

const isRoot = process.getuid?.() === 0;

export interface RunningMariaDb extends Running {
  /** After a kill: the same data on the same port, with these lines as its configuration file. */
  restart(configuration: readonly string[]): Promise<void>;
}

/** An account `admin` with every right, `copier` for replication and `app` with rights on the database `shop` only. */
export async function startMariaDb(family: Family, name: string, serverId: number): Promise<RunningMariaDb> {
  const mariadbd = binary(['/usr/sbin/mariadbd', '/usr/sbin/mysqld']);
  const install = binary(['/usr/bin/mariadb-install-db', '/usr/bin/mysql_install_db']);
  const dir = join(family.dir, name);
  mkdirSync(dir);
  const as = isRoot ? ['--user=root'] : [];
  await run(
    install,
    ['--no-defaults', `--datadir=${dir}`, '--auth-root-authentication-method=normal', '--skip-test-db', ...as],
    // A folder of its own: two that are installed at once meet in each other's temporary tables.
    { env: { ...process.env, HOME: dir, TMPDIR: dir } },
  );
  const [port = 0] = await freePorts(1);
  const configuration = join(dir, 'my.cnf');
  const args = [
    `--defaults-file=${configuration}`,
    ...as,
    `--datadir=${dir}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--socket=${join(dir, 'sock')}`,
    `--pid-file=${join(dir, 'pid')}`,
    '--skip-name-resolve',
    `--server-id=${serverId}`,
    '--log-bin=binlog',
    '--log-slave-updates',
    '--binlog-format=ROW',
    '--innodb-buffer-pool-size=32M',
    '--innodb-log-file-size=16M',
    '--innodb-flush-log-at-trx-commit=2',
    '--sync-binlog=0',
    '--performance-schema=OFF',
    `--tmpdir=${dir}`,
  ];
  const start = async (lines: readonly string[]) => {
    writeFileSync(configuration, ['[mysqld]', ...lines, ''].join('\n'));
    const started = family.start(name, mariadbd, args);
    await untilReady(started, () => listens(port), 60_000);
    return started;
  };
  let server = await start([]);
  const { createConnection: connect } = await import('mysql2/promise');
  const root = await connect({ host: '127.0.0.1', port, user: 'root' });
  try {
    for (const sql of [
      'SET sql_log_bin = 0',
      "CREATE USER admin@'127.0.0.1' IDENTIFIED BY 'adm1n-c4n4ry'",
      "GRANT ALL ON *.* TO admin@'127.0.0.1' WITH GRANT OPTION",
      "CREATE USER copier@'127.0.0.1' IDENTIFIED BY 'c0pier-c4n4ry'",
      "GRANT REPLICATION SLAVE ON *.* TO copier@'127.0.0.1'",
      "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'app'",
      "GRANT ALL ON shop.* TO app@'127.0.0.1'",
      // As root may log in from here without a password in these tests, it would be an account that writes past the fence.
      "DROP USER IF EXISTS root@'127.0.0.1', root@'::1'",
    ])
      await root.query(sql);
  } finally {
    root.destroy();
  }
  return {
    port,
    kill: () => server.kill(),
    async restart(lines) {
      server = await start(lines);
    },
  };
}

/** As the package lays them: one folder for each major version. */
function postgresBin(): string {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base).sort((a, b) => Number(b) - Number(a)) : [];
  return join(binary(versions.map((it) => join(base, it, 'bin', 'postgres'))), '..');
}

/** It does not run as root, so then it runs as the package's own account. */
export async function startPostgres(family: Family, name: string): Promise<Running> {
  const bin = postgresBin();
  const dir = join(family.dir, name);
  mkdirSync(dir);
  const as = (program: string, args: string[]): [string, string[]] =>
    isRoot
      ? ['/usr/bin/setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', '--', program, ...args]]
      : [program, args];
  if (isRoot) await run('chown', ['postgres:postgres', dir]);
  const [port = 0] = await freePorts(1);
  const env = { ...process.env, HOME: dir, TMPDIR: '/tmp' };
  const data = join(dir, 'data');
  await run(
    ...as(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '-N']),
    {
      env,
      cwd: '/',
    },
  );
  const [program, args] = as(join(bin, 'postgres'), [
    '-D',
    data,
    '-p',
    String(port),
    '-h',
    '127.0.0.1',
    '-k',
    dir,
    '-c',
    'wal_level=logical',
    '-c',
    'fsync=off',
    '-c',
    'shared_buffers=32MB',
    '-c',
    'wal_retrieve_retry_interval=200ms', // a worker is started no sooner than that after the last; here they come in quick turns
    '-c',
    'max_wal_senders=10',
    '-c',
    'max_replication_slots=10',
  ]);
  const server = family.start(name, program, args, { withChildren: true });
  const { default: pg } = await import('pg');
  const answers = async () => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return true;
    } finally {
      await client.end();
    }
  };
  await untilReady(server, answers, 30_000);
  return { port, kill: () => server.kill() };
}

export async function startRedis(family: Family, name: string): Promise<Running> {
  const dir = join(family.dir, name);
  mkdirSync(dir);
  const [port = 0] = await freePorts(1);
  const server = family.start(name, binary(['/usr/bin/redis-server', '/usr/local/bin/redis-server']), [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    dir,
    '--save',
    '',
    '--appendonly',
    'no',
    '--repl-diskless-sync-delay',
    '0',
    '--requirepass',
    'r3dis-c4n4ry',
    '--masterauth',
    'r3dis-c4n4ry',
  ]);
  await untilReady(server, () => listens(port), 20_000);
  return { port, kill: () => server.kill() };
}

/** The members of one side, each startable by its name; which cluster it joins, the caller says. */
export interface EtcdServers {
  members: { name: string; peer: string; client: string }[];
  /** Wipes the member's data and starts it. */
  start(name: string, initialCluster: string, state: 'new' | 'existing'): Promise<void>;
}

export async function etcdServers(family: Family, side: string, count: number): Promise<EtcdServers> {
  const etcd = binaryPath('etcd');
  // Members start and end while a thousand connections come and go beside them: a port that nobody holds is soon one of theirs.
  const held = new Map<number, NetServer>();
  const hold = async (port: number): Promise<number> => {
    const holder = createServer((socket) => socket.destroy()).unref();
    holder.on('error', () => undefined);
    holder.listen(port, '127.0.0.1');
    await Promise.race([once(holder, 'listening'), once(holder, 'error')]);
    const { port: given = port } = (holder.address() ?? {}) as Partial<AddressInfo>;
    held.set(given, holder);
    return given;
  };
  const release = async (port: number): Promise<void> => {
    const holder = held.get(port);
    held.delete(port);
    if (holder?.listening) await once(holder.close(), 'close');
  };
  const url = async () => `http://127.0.0.1:${await hold(0)}`;
  const members: EtcdServers['members'] = [];
  for (let index = 0; index < count; index++)
    members.push({ name: `${side}-${index}`, peer: await url(), client: await url() });
  const running = new Map<string, Server>();
  return {
    members,
    async start(name, initialCluster, state) {
      const it = members.find((one) => one.name === name);
      if (!it) throw new Error(`no member ${name}`);
      const ports = [it.peer, it.client].map((one) => Number(new URL(one).port));
      await running.get(name)?.kill();
      await Promise.all(ports.map(release));
      const dir = join(family.dir, name);
      rmSync(dir, { recursive: true, force: true });
      const server = family.start(name, etcd, [
        `--name=${name}`,
        `--data-dir=${dir}`,
        `--listen-peer-urls=${it.peer}`,
        `--initial-advertise-peer-urls=${it.peer}`,
        `--listen-client-urls=${it.client}`,
        `--advertise-client-urls=${it.client}`,
        `--initial-cluster=${initialCluster}`,
        `--initial-cluster-state=${state}`,
        '--unsafe-no-fsync',
        '--log-level=error',
      ]);
      running.set(name, server);
      // One that was removed from its cluster ends by itself.
      void server.gone.then(() => Promise.all(ports.map(hold)));
      await untilReady(server, () => listens(ports[1] ?? 0), 20_000);
    },
  };
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
