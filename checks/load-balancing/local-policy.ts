import type { Check, Finding, Sight } from '../../src/check.js';
import { backendModeOf } from '../../src/clb.js';
import { some } from '../about.js';
import { proxyConfig } from '../config-maps.js';
import { fronts, type Front } from '../fronts.js';
import { usableNodes } from '../nodes.js';
import { selects } from '../pods.js';

/**
 * externalTrafficPolicy Local keeps traffic on the node that it reached. What becomes of a call on a node without a pod
 * depends on mode and version of kube-proxy, and on whether the caller is inside or outside:
 *
 *   inside    iptables: any pod of the cluster (hosts: dropped before 1.15) · ipvs up to 1.23: refused ·
 *             ipvs from 1.24: any pod, but hosts time out · nftables: any pod
 *   outside   iptables, nftables: dropped · ipvs up to 1.23: refused · ipvs from 1.24: forwarded, and the answer is lost
 *
 * @source https://github.com/kubernetes/kubernetes/pull/97081, https://github.com/kubernetes/kubernetes/issues/93456
 */
export const localPolicy: Check = {
  id: 'local-policy',
  group: 'load-balancing',
  asks: 'Do Services of policy Local behave the same on both sides?',
  before: 'traffic',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  when: ['traffic'],
  reads: { source: ['Service', 'ConfigMap', 'Pod', 'Node'], target: ['Service', 'ConfigMap'] },
  takes: { ConfigMap: 'named', Service: 'named', Pod: ['metadata.labels', 'spec.nodeName'] },
  hint: {
    why: 'A call that meets a node without a pod is dropped, refused or lost, by mode and version; the load balancer learns a moment later than kube-proxy that a pod has gone.',
    fix: 'Policy Cluster, or pods on every node that is called; a preStop sleep longer than the controller takes. With pods as members (backend-type eni) the policy no longer counts from outside.',
  },
  zh: {
    asks: 'externalTrafficPolicy 为 Local 的 Service 在两个集群中的行为是否一致？',
    why: '请求到达没有对应 Pod 的节点时，会因 kube-proxy 的模式和版本不同而被丢弃、拒绝或得不到响应；Pod 退出后，负载均衡摘除节点也比 kube-proxy 晚一步。',
    fix: '改用 Cluster，或保证被访问的每个节点上都有 Pod，并设置足够长的 preStop；若后端直接挂 Pod（backend-type eni），外部流量不再受该策略影响。',
  },
  sources: [
    'https://github.com/kubernetes/kubernetes/pull/97081',
    'https://github.com/kubernetes/kubernetes/issues/93456',
    'https://github.com/kubernetes/kubernetes/issues/92857',
    'KEP-1669 (kubernetes/enhancements)',
  ],

  look(sight) {
    const local = fronts(sight).filter((it) => it.source?.['spec']?.externalTrafficPolicy === 'Local');
    if (local.length === 0) return []; // no mode matters then, so an unreadable one does no harm
    return local.flatMap((it) => [...inside(it, sight), ...outside(it, sight)]);
  },
};

type Fate = 'served' | 'refused' | 'hosts time out' | 'hosts dropped';

function fateInside(mode: string, minor: number): Fate {
  if (mode === 'ipvs') return minor <= 23 ? 'refused' : 'hosts time out';
  return mode === 'iptables' && minor <= 14 ? 'hosts dropped' : 'served';
}

function inside({ about }: Front, { source, target }: Sight): Finding[] {
  const [from, to] = [proxyConfig(source).mode, proxyConfig(target).mode];
  const [before, after] = [fateInside(from, source.minor()), fateInside(to, target.minor())];
  if (before === after || after === 'served' || before === 'refused') return [];
  const refused = after === 'refused';
  return [
    {
      about,
      severity: refused ? 'refuse' : 'warn',
      saw: `policy Local; ${from} on ${source.version}, ${to} on ${target.version}`,
      want: 'policy Cluster, or callers that use the Service’s name',
      breaks: refused
        ? 'calls from inside to its load-balancer address, on nodes without a pod: refused'
        : 'calls from hostNetwork pods and nodes to its load-balancer address, on nodes without a pod: they time out',
    },
  ];
}

const FATE_OUTSIDE = (mode: string, minor: number) =>
  mode === 'ipvs' ? (minor <= 23 ? 'refused' : 'left without an answer') : 'dropped';

/** Members are the nodes that have pods; between a pod's end and its node's removal the others are hit. */
function outside(front: Front, { source, target }: Sight): Finding[] {
  if (backendModeOf(target.inventory, front.target ?? front.source) === 'eni') return [];
  const pods = source
    .list('Pod', [front.namespace])
    .filter((it) => selects(front.source?.['spec']?.selector, it.metadata.labels ?? {}));
  const perNode = new Map<string, number>();
  for (const it of pods) {
    const node: unknown = it['spec']?.nodeName;
    if (typeof node === 'string') perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  const single = [...perNode].filter(([, n]) => n === 1).map(([node]) => node);
  const empty = usableNodes(source)
    .filter((it) => !perNode.has(it.metadata.name))
    .map((it) => it.metadata.name);
  if (single.length === 0 && empty.length === 0) return [];
  const saw = [
    ...(empty.length > 0 ? [`no pod on ${some(empty.sort())}`] : []),
    ...(single.length > 0 ? [`a single pod on ${some(single.sort())}`] : []),
  ];
  return [
    {
      about: front.about,
      severity: 'warn',
      saw: saw.join('; '),
      want: 'two pods on each node that is a member, and a preStop sleep',
      breaks: `connections that reach a node after its last pod has gone are ${FATE_OUTSIDE(proxyConfig(target).mode, target.minor())} on the target`,
    },
  ];
}
