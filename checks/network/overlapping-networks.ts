import type { Check, Finding, Sight } from '../../src/check.js';
import { networks, nodeAddresses, overlap, podNetworks, serviceNetworks, type Network } from '../networks.js';

/**
 * While both clusters run, pods of one may have to reach the other: a database that has moved, a service that has not. An
 * address that both use is delivered at home.
 *
 * @source https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/plan-cidr-blocks-for-an-ack-cluster-1
 */
export const overlappingNetworks: Check = {
  id: 'overlapping-networks',
  group: 'network',
  asks: 'Do the networks of pods and Services leave the other cluster’s addresses alone?',
  before: 'data',
  severity: 'warn',
  reads: {
    source: ['Node', 'ConfigMap', 'ServiceCIDR.networking.k8s.io'],
    target: ['Node', 'ConfigMap', 'ServiceCIDR.networking.k8s.io'],
  },
  takes: { ConfigMap: 'named' },
  hint: {
    why: 'What lies in its own range a cluster never sends out: calls to the other cluster’s pods and nodes in that range end at home.',
    fix: 'Make the new cluster with other ranges; or let the two talk through load balancers alone.',
  },
  zh: {
    asks: '两个集群的 Pod 网段、Service 网段与对方的地址是否不重叠？',
    why: '落在自己网段内的地址不会发往集群外：访问对方同网段的 Pod 或节点，请求会留在本集群。',
    fix: '新建集群时使用不同网段；或让两个集群只通过负载均衡互访。',
  },
  sources: [
    'https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/plan-cidr-blocks-for-an-ack-cluster-1',
    'KEP-1880 (kubernetes/enhancements)',
  ],

  look: (sight) =>
    [...between('source', 'target', sight), ...between('target', 'source', sight)].filter(
      (it, index, all) => all.findIndex((one) => one.about === it.about) === index,
    ),
};

interface Range extends Network {
  what: string;
}

const ranges = (what: string, list: readonly Network[]): Range[] => list.map((it) => ({ ...it, what }));

/** What one side keeps at home against where the other side lives. */
function between(here: 'source' | 'target', there: 'source' | 'target', sight: Sight): Finding[] {
  const own = [...ranges('pods', podNetworks(sight[here])), ...ranges('Services', serviceNetworks(sight[here]))];
  const other = [
    ...ranges('pods', podNetworks(sight[there])),
    ...ranges('Services', serviceNetworks(sight[there])),
    ...ranges('nodes', networks(nodeAddresses(sight[there].list('Node')))),
  ];
  return own.flatMap((a) =>
    other
      .slice(0)
      .filter((b) => overlap(a, b))
      .slice(0, 1)
      .map((b): Finding => {
        const sides = [`${here} ${a.what} ${a.cidr}`, `${there} ${b.what} ${b.cidr}`].sort();
        return {
          about: sides.join(' and '),
          saw: 'they overlap',
          want: 'ranges apart',
          breaks: `what the ${here} sends to the ${there}’s ${b.what} by their addresses`,
        };
      }),
  );
}
