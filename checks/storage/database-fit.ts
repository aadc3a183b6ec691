import type { Check } from '../../src/check.js';
import { aboutDatabase, databasesSeen } from '../databases.js';

/**
 * A switch-over keeps its promises only on servers that log what they copy, know their positions, and let nobody write past the fence. The
 * step asks the same again right before it begins; asked here, nothing has been moved yet.
 *
 * @source https://mariadb.com/kb/en/gtid/, https://www.postgresql.org/docs/15/logical-replication-config.html
 */
export const databaseFit: Check = {
  id: 'database-fit',
  group: 'storage',
  asks: 'Do the servers of every database answer, and can they change roles without losing a write?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { databases: true },
  hint: {
    why: 'Servers without GTIDs, a logical log, free slots or primary keys can not copy both ways; an account that the fence does not hold back makes two writers. One that does not answer now is no database that can be moved.',
    fix: 'Mend what is named on the servers; docs/databases.md says what each kind needs. An account that is known not to write goes under `admins:`.',
  },
  zh: {
    asks: '每个数据库的两侧服务器是否都有应答，并且能够在不丢写入的前提下互换角色？',
    why: '没有 GTID、逻辑日志、空闲复制槽或主键的服务器无法双向复制；不受写保护约束的账号会造成两侧同时写入；现在没有应答的服务器，届时也无法迁移。',
    fix: '在服务器上修正所列问题；各类数据库的要求见 docs/databases.md。确认不会写入的账号可列在 `admins:` 下。',
  },
  sources: [
    'https://mariadb.com/kb/en/gtid/',
    'https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-howto.html',
    'https://www.postgresql.org/docs/15/logical-replication-config.html',
    'https://redis.io/docs/latest/commands/failover/',
    'https://etcd.io/docs/v3.6/learning/design-learner/',
  ],

  look: (sight) =>
    databasesSeen(sight).flatMap((it) =>
      (it.unfit ?? []).map((saw) => ({
        about: aboutDatabase(it),
        saw,
        breaks: `its switch-over (now ${it.stands ?? 'unknown'})`,
      })),
    ),
};
