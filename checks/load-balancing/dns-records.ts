import { Skipped, Unknown, type Check, type Finding, type Sight } from '../../src/check.js';
import { dnsRoutes, hostOf, obstacle, sameSet, type DnsRoute } from '../../src/dns.js';
import { MigrateError } from '../../src/errors.js';
import { entriesOf } from '../../src/routes.js';
import { spell } from '../../src/words.js';

/**
 * A share by DNS needs two records that can be weighed against each other, with the target's paused; and whoever has an answer keeps it
 * for its TTL, so a long one makes each step, and above all each way back, as slow.
 *
 * @source https://www.alibabacloud.com/help/en/dns/pubz-weight-configuration
 * @source https://www.alibabacloud.com/help/doc-detail/34316.htm
 */
export const dnsRecords: Check = {
  id: 'dns-records',
  group: 'load-balancing',
  asks: 'Can the records of every name be weighed, and does a step bite soon?',
  before: 'traffic',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['cloud', 'traffic'],
  reads: { source: ['Service'], target: ['Service'], cloud: true },
  takes: { Service: 'named' },
  hint: {
    why: "The target's record must come in paused, and be weighed against the source's: locked records, weights that are not in force, and CNAMEs without weighting keep it from that. An answer lasts for its TTL, forth and back.",
    fix: 'Set the records right in the DNS console. Lower a long TTL some time before: `ttl: 60s` in the entry does it as the first step, and raises it again on the way back.',
  },
  zh: {
    asks: '每个域名的解析记录能否按权重切流，切流与回退是否足够快生效？',
    why: '目标侧的记录必须以暂停状态接入，再与源侧的记录按权重分配：被锁定的记录、未生效的不同权重、未开启权重配置的 CNAME 都会妨碍这一点。解析结果在 TTL 内一直有效，前进和回退都是如此。',
    fix: '在云解析控制台修正记录。提前降低过长的 TTL：在该条目中写 `ttl: 60s`，第一步就会降低，回退时再恢复。',
  },
  sources: [
    'https://www.alibabacloud.com/help/en/dns/pubz-weight-configuration',
    'https://www.alibabacloud.com/help/doc-detail/34316.htm',
    'aliyun/alibabacloud-typescript-sdk:alidns-20150109/src/models/SetDNSSLBStatusRequest.ts',
  ],

  look(sight) {
    const entries = entriesOf('dns', sight.playbook);
    if (entries.length === 0) throw new Skipped('nothing moves by DNS');
    const { dns = [], unseen } = sight.cloud();
    for (const it of entries) {
      const missing = unseen.find((one) => one.what === hostOf(it));
      if (missing) throw new Unknown(`${hostOf(it)}: ${missing.why}`);
      if (!dns.some((one) => sameSet(one, it))) throw new Unknown(`${hostOf(it)}: its records were not looked at`);
    }
    const routes = routesIn(sight);
    return Array.isArray(routes) ? routes.flatMap((it) => findingsFor(it, sight)) : [routes];
  },
};

/** What the plan would refuse is a finding here. */
function routesIn(sight: Sight): DnsRoute[] | Finding {
  const { playbook, source, target } = sight;
  const inventory = {
    schemaVersion: 1,
    takenAt: sight.takenAt,
    source: source.inventory,
    target: target.inventory,
  } as const;
  try {
    return dnsRoutes(entriesOf('dns', playbook), playbook, { ...inventory, cloud: sight.cloud() });
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error;
    return { about: 'traffic.services', saw: error.what, breaks: 'the plan', fix: error.fix };
  }
}

/** Beyond this a way back is slow enough to be said. */
const SLOW_MS = 5 * 60_000;

function findingsFor({ names, ttlS }: DnsRoute, sight: Sight): Finding[] {
  const { dns = [] } = sight.cloud();
  return names.flatMap((name) => {
    const records = dns.find((it) => sameSet(it, name));
    const why = records && obstacle(name, records);
    const about = `name ${hostOf(name)}`;
    return [
      ...(why === undefined ? [] : [{ about, saw: why, breaks: 'the step with which the target comes in' }]),
      ...(ttlS * 1000 <= SLOW_MS
        ? []
        : [
            {
              about,
              saw: `TTL ${ttlS} s`,
              want: `at most ${SLOW_MS / 1000} s`,
              breaks: `a way back takes ${spell(ttlS * 1000)}`,
              severity: 'warn' as const,
            },
          ]),
    ];
  });
}
