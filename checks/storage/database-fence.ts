import type { Check } from '../../src/check.js';
import { aboutDatabase, databasesSeen } from '../databases.js';

/**
 * After the switch-over the old server must take no write for as long as it copies. What fences it has to outlive a restart, and hold back
 * every client.
 *
 * @source https://mariadb.com/kb/en/server-system-variables/#read_only (SET GLOBAL lasts until the server ends)
 */
export const databaseFence: Check = {
  id: 'database-fence',
  group: 'storage',
  asks: 'Does the fence of every database hold back each client, also after a restart of the server?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { databases: true },
  hint: {
    why: 'A server that restarts without its fence takes writes beside the one that serves, until somebody looks: those writes are on one side only. Each step that looks at it stops with DB_TWO_WRITERS then, but none looks all the time.',
    fix: 'MariaDB: write `read_only=1` into the configuration of both servers before the move; it takes effect at a restart only. MySQL: leave persisted_globals_load on. Redis: give it a configuration file. PostgreSQL: clients use no superuser. Then waive it.',
  },
  zh: {
    asks: '每个数据库的写保护能否拦住所有客户端，并在服务器重启后依然有效？',
    why: '重启后失去写保护的服务器会与正在服务的一侧同时接受写入，直到有人查看为止，这些写入只存在于一侧。此后每个查看它的步骤都会以 DB_TWO_WRITERS 停下，但没有步骤会一直盯着它。',
    fix: 'MariaDB：迁移前在两侧配置文件中写入 `read_only=1`，它只在重启时生效；MySQL：保持 persisted_globals_load 开启；Redis：使用配置文件启动；PostgreSQL：客户端不要使用超级用户。之后可豁免此项。',
  },
  sources: [
    'https://mariadb.com/kb/en/server-system-variables/#read_only',
    'https://mariadb.com/kb/en/information-schema-system_variables-table/',
    'https://dev.mysql.com/doc/refman/8.4/en/persisted-system-variables.html',
    'https://www.postgresql.org/docs/15/sql-alterdatabase.html',
    'https://redis.io/docs/latest/commands/config-rewrite/',
  ],

  look: (sight) =>
    databasesSeen(sight).flatMap((it) =>
      (it.doubts ?? []).map((saw) => ({ about: aboutDatabase(it), saw, breaks: 'the promise of one writer' })),
    ),
};
