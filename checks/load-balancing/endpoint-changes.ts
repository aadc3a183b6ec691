import { Unknown, type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import { parseDuration } from '../../src/words.js';
import { proxyConfig, proxySettings } from '../config-maps.js';

/**
 * When a pod goes, kube-proxy learns of it a moment later, and what is open to it ends in the way of its mode. ipvs sets a TCP server that
 * is gone to weight 0 and takes it out once nothing is open to it, those of UDP and SCTP at once; iptables and nftables choose it no
 * more and leave what is open to conntrack. Rules are written at most once in minSyncPeriod; before 1.27 iptables writes all of them.
 *
 * @source kubernetes/kubernetes:pkg/proxy/ipvs/graceful_termination.go, pkg/proxy/apis/config/v1alpha1/defaults.go
 * @source KEP-3453 (kubernetes/enhancements): only rules that changed, by default from 1.27
 */
export const endpointChanges: Check = {
  id: 'endpoint-changes',
  group: 'load-balancing',
  asks: 'Does the target’s kube-proxy follow pods that come and go as soon, and as gently, as the source’s?',
  before: 'traffic',
  severity: 'warn',
  when: ['traffic'],
  reads: { source: ['ConfigMap', 'Service'], target: ['ConfigMap', 'Service'] },
  also: { source: ['Node'], target: ['Node'] },
  takes: { ConfigMap: 'named', Service: [] },
  everywhere: { source: ['Service'], target: ['Service'] },
  hint: {
    why: 'Until the rules of every node are written, a pod that has gone is still called; and what is open to it ends at once, or only when the client lets go, by the mode of kube-proxy.',
    fix: 'Give the pods a preStop sleep that is longer than kube-proxy and the load balancer take together; let clients of long connections open them anew now and then.',
  },
  zh: {
    asks: 'Pod 上下线时，目标集群 kube-proxy 的更新是否与源集群一样及时、平滑？',
    why: '各节点规则更新完成之前，已退出的 Pod 仍会被访问；已建立的连接是立即断开还是保留到客户端释放，取决于 kube-proxy 的模式。',
    fix: '为 Pod 设置 preStop sleep，时长大于 kube-proxy 与负载均衡更新所需时间之和；使用长连接的客户端应定期重建连接。',
  },
  sources: [
    'kubernetes/kubernetes:pkg/proxy/ipvs/graceful_termination.go',
    'kubernetes/kubernetes:pkg/proxy/apis/config/v1alpha1/defaults.go',
    'KEP-3453 (kubernetes/enhancements)',
  ],

  look(sight) {
    const [from, to] = [proxyConfig(sight.source).mode, proxyConfig(sight.target).mode];
    return [...endings(from, to), ...periods(from, to, sight), ...all(from, sight.source), ...all(to, sight.target)];
  },
};

function endings(from: string, to: string): Finding[] {
  const about = `connections to pods that go, ${from} → ${to}`;
  if (from !== 'ipvs' && to === 'ipvs')
    return [
      {
        about,
        saw: 'ipvs keeps a pod that is gone at weight 0 until its last TCP connection ends, and ends UDP and SCTP at once',
        breaks: 'nothing by itself: long lists of servers at weight 0, and senders of UDP that are cut off',
      },
    ];
  return from === 'ipvs' && to !== 'ipvs'
    ? [
        {
          about,
          saw: `${to} leaves open connections to conntrack; ipvs kept their pods in a list, at weight 0`,
          breaks: 'what reads `ipvsadm -Ln` to see whether a pod is still in use',
        },
      ]
    : [];
}

/** Below this nobody notices. */
const SOON_MS = 1000;

function periods(from: string, to: string, { source, target }: Sight): Finding[] {
  const [before, after] = [periodOf(from, source), periodOf(to, target)];
  if (after <= SOON_MS || after <= before) return [];
  return [
    {
      about: 'target kube-proxy minSyncPeriod',
      saw: `${to} writes its rules every ${after / 1000} s at most; ${from} on the source every ${before / 1000} s`,
      want: `${to}.minSyncPeriod of ${Math.max(before, SOON_MS) / 1000} s`,
      breaks: 'connections to a pod that has gone, for as long',
    },
  ];
}

/** Milliseconds. @throws Unknown  it is written in a way that is not understood */
function periodOf(mode: string, side: SideSight): number {
  const settings = proxySettings(side)?.[mode] as { minSyncPeriod?: unknown } | null | undefined;
  const said = settings?.minSyncPeriod ?? '0s';
  const ms = parseDuration(String(said));
  if (ms === undefined) throw new Unknown(`${side.side}: minSyncPeriod ${String(said)} of kube-proxy is no duration`);
  const otherwise = mode === 'nftables' || (mode === 'iptables' && side.minor() >= 19) ? SOON_MS : 0;
  return ms === 0 ? otherwise : ms;
}

/** So many Services make rules by the ten thousand, which take seconds to write. */
const MANY = 1000;

function all(mode: string, side: SideSight): Finding[] {
  if (mode !== 'iptables' || side.minor() >= 27) return [];
  const count = side.list('Service').length;
  if (count > MANY)
    return [
      {
        about: `${side.side} rules of kube-proxy`,
        saw: `${count} Services; iptables of ${side.version} writes all rules at every change`,
        want: '1.27 or newer, or another mode',
        breaks: 'connections to a pod that has gone, for the seconds that this takes',
      },
    ];
  if (!side.whole('Service'))
    throw new Unknown(`${side.side}: how many Services there are: they may not be listed in all namespaces`);
  return [];
}
