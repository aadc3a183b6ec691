import type { Check, Finding, Sight } from '../../src/check.js';
import { some } from '../about.js';
import { pluginOf } from '../networks.js';
import { mapTexts, workloadTexts, textsOf, WORKLOADS, workloads } from '../pods.js';

/** Names that Alibaba gives to managed databases, caches, queues and search; tried only from where a name begins. */
const MANAGED =
  /(?<![-a-z0-9.])[-a-z0-9.]+\.(?:rds|redis\.rds|mongodb\.rds|kvstore|polardb(?:\.rds)?|clickhouse|elasticsearch|hbaseue|lindorm|alikafka|mq-internet-access|drds|adb|gpdb\.rds)\.aliyuncs\.com/g;

/**
 * Managed databases let in by address. The target's nodes have others; and where pods have addresses of the VPC, they no
 * longer hide behind their node's.
 *
 * @source https://www.alibabacloud.com/help/en/rds/apsaradb-rds-for-mysql/configure-an-ip-address-whitelist-for-an-apsaradb-rds-for-mysql-instance
 */
export const allowLists: Check = {
  id: 'allow-lists',
  group: 'network',
  asks: 'Do services outside, that let in by address, know the target’s addresses?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [...WORKLOADS, 'ConfigMap', 'DaemonSet.apps'], target: ['ConfigMap', 'DaemonSet.apps'] },
  takes: {
    ...workloadTexts(MANAGED),
    ConfigMap: (it) => mapTexts(it, MANAGED),
    'target ConfigMap': 'named',
    'target DaemonSet.apps': 'named',
  },
  hint: {
    why: 'A database refuses connections from addresses that its allow-list does not name: the first pod on the target hangs at its start.',
    fix: 'Add the target’s vSwitch ranges (and its NAT address, for what is outside the VPC) to each allow-list before the first start.',
  },
  zh: {
    asks: '按 IP 放行的外部服务（RDS、Redis 等），白名单里是否已有目标集群的地址？',
    why: '白名单之外的地址会被数据库拒绝：目标集群的第一个 Pod 启动时就会卡住。',
    fix: '首次启动前，把目标集群的 vSwitch 网段（以及访问公网所用的 NAT 地址）加入各服务的白名单。',
  },
  sources: [
    'https://www.alibabacloud.com/help/en/rds/apsaradb-rds-for-mysql/configure-an-ip-address-whitelist-for-an-apsaradb-rds-for-mysql-instance',
    'AliyunContainerService/terway:docs',
  ],

  look(sight) {
    const hosts = hostsIn(sight);
    const [here, there] = [pluginOf(sight.source)?.name, pluginOf(sight.target)?.name];
    const how =
      there === 'terway' && here !== 'terway'
        ? 'pods come from their own addresses there, not from their nodes’'
        : 'its nodes have other addresses';
    return [...hosts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([host, users]): Finding => ({
        about: host,
        saw: `named by ${some([...users].sort())}; ${how}`,
        want: 'the target’s ranges in its allow-list',
        breaks: 'connections from the target',
      }));
  },
};

function hostsIn({ source, namespaces }: Sight): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const look = (text: unknown, who: string) => {
    for (const [host] of typeof text === 'string' ? text.matchAll(MANAGED) : [])
      found.set(host, (found.get(host) ?? new Set()).add(who));
  };
  for (const it of workloads(source, namespaces))
    for (const { text } of textsOf(it))
      look(text, `${it.object.kind.toLowerCase()} ${it.object.metadata.namespace}/${it.object.metadata.name}`);
  for (const map of source.list('ConfigMap', namespaces))
    for (const text of Object.values(map['data'] ?? {}))
      look(text, `configmap ${map.metadata.namespace}/${map.metadata.name}`);
  return found;
}
