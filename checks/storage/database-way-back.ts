import type { Check } from '../../src/check.js';
import { aboutDatabase, databasesSeen } from '../databases.js';

/**
 * Before the target takes its first write, the source must copy from it. That the two can be reached from here says nothing of whether the one
 * reaches the other, and it can't be tried without changing a server: the switch-over tries it, with writes refused.
 */
export const databaseWayBack: Check = {
  id: 'database-way-back',
  group: 'storage',
  asks: 'Has somebody seen the source of every database log in to its target?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { databases: true },
  hint: {
    why: 'The source copies from the target from the switch-over on; that is the way back. Where it does not get there, the switch-over gives up with DB_NO_WAY_BACK and opens the source again: a pause for nothing.',
    fix: "From the source's machine, log in to the target at the address that is named, with the account that copies. Set `seenAs:` where it is another address from there. Then waive it, with the date.",
  },
  zh: {
    asks: '是否有人确认过每个数据库的源端能够登录目标端？',
    why: '切换之后由源端从目标端复制，这就是回退之路。如果源端连不上目标端，切换会以 DB_NO_WAY_BACK 放弃并重新打开源端，白白停写一次。',
    fix: '在源端机器上，用复制账号登录所列的目标端地址；若从那里看地址不同，请设置 `seenAs:`。确认后可豁免此项并注明日期。',
  },
  sources: [
    'https://mariadb.com/kb/en/change-master-to/',
    'https://www.postgresql.org/docs/15/sql-createsubscription.html',
    'vitessio/vitess:go/vt/vtctl/reparentutil/planned_reparenter.go',
  ],

  look: (sight) =>
    databasesSeen(sight).flatMap((it) =>
      it.wayBack === undefined
        ? []
        : [
            {
              about: aboutDatabase(it),
              saw: `nobody has tried from the source to reach ${it.wayBack}`,
              breaks: 'the switch-over, which opens the source again',
            },
          ],
    ),
};
