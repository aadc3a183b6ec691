import { Skipped, Unknown, type Check, type Finding, type SideSight } from '../../src/check.js';
import { isReady } from '../../src/objects.js';

/**
 * Tokens and certificates have dates; a cluster whose clocks run ahead refuses tokens that are good, and one that lags takes
 * those that have expired. Kubelets stamp their reports, at the latest every five minutes, so the newest report of a ready
 * node tells the time over there.
 *
 * @source kubernetes/kubernetes:pkg/kubelet/kubelet_node_status.go (nodeStatusReportFrequency, 5 minutes)
 */
export const clocks: Check = {
  id: 'clocks',
  group: 'access',
  asks: 'Do the clusters’ clocks agree with this machine’s?',
  before: 'data',
  severity: 'warn',
  reads: { source: ['Node'], target: ['Node'] },
  hint: {
    why: 'Tokens, certificates and signed requests to the cloud are refused when clocks differ; deadlines and ages in reports are wrong.',
    fix: 'Set NTP right where the clock is off: on the nodes, or on the machine that runs this. Not seen here: a clock that lags by less than ten minutes, for nodes report every five.',
  },
  zh: {
    asks: '两个集群的时钟与本机是否一致？',
    why: '时钟不一致时，令牌、证书以及发往云 API 的签名请求会被拒绝，报告里的时间也不准。',
    fix: '在时间不准的一侧（节点或运行本工具的机器）校正 NTP。此检查看不到慢不足十分钟的时钟，因为节点每五分钟才上报一次。',
  },
  sources: [
    'kubernetes/kubernetes:pkg/kubelet/kubelet_node_status.go',
    'https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature',
  ],

  look({ source, target, takenAt }) {
    const now = Date.parse(takenAt);
    if (Number.isNaN(now)) throw new Unknown('when the inventory was taken is not said');
    const seen = [source, target].map((side) => ({ side, at: newestReport(side) }));
    if (seen.every((it) => it.at === undefined)) throw new Skipped('no node says when it last reported');
    return seen.flatMap(({ side, at }) => (at === undefined ? [] : off(side, at, now)));
  },
};

const AHEAD_MS = 30_000;
/** Reports come every five minutes; the rest is for a slow look. */
const BEHIND_MS = 10 * 60_000;

function newestReport(side: SideSight): number | undefined {
  const times = side
    .list('Node')
    .filter(isReady)
    .flatMap((it) => {
      const at = Date.parse(
        ((it['status']?.conditions ?? []) as { type: string; lastHeartbeatTime?: string }[]).find(
          (one) => one.type === 'Ready',
        )?.lastHeartbeatTime ?? '',
      );
      return Number.isNaN(at) ? [] : [at];
    });
  return times.length === 0 ? undefined : Math.max(...times);
}

function off(side: SideSight, at: number, now: number): Finding[] {
  const ahead = at - now;
  if (ahead <= AHEAD_MS && -ahead <= BEHIND_MS) return [];
  const words = ahead > 0 ? `${Math.round(ahead / 1000)} s after` : `${Math.round(-ahead / 60_000)} minutes before`;
  return [
    {
      about: `${side.side} clocks`,
      saw: `the newest report of a ready node is of ${new Date(at).toISOString()}, ${words} this machine’s time`,
      want: 'at most 30 s ahead, 10 minutes behind',
    },
  ];
}
