import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import { about, some } from '../about.js';
import { proxyConfig, type ProxyConfig } from '../config-maps.js';

/**
 * Each mode of kube-proxy is a program of its own, with its own corners. What works under one and not under another is
 * asked here as far as versions, kernels and Services show it; addresses and policies are for `in-cluster-callers` and
 * `local-policy`.
 *
 * @source KEP-5495 (ipvs: deprecated 1.35, off by default 1.40, removed 1.43), KEP-3866 (nftables)
 * @source kubernetes/kubernetes:pkg/proxy
 */
export const kubeProxyMode: Check = {
  id: 'kube-proxy-mode',
  group: 'load-balancing',
  asks: 'Does the target’s kube-proxy run in a mode that serves what the source’s serves?',
  before: 'data',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  reads: { source: ['ConfigMap', 'Service'], target: ['ConfigMap', 'Node'] },
  takes: { ConfigMap: 'named', Service: ['spec.ports.nodePort'] },
  hint: {
    why: 'Another mode answers on other addresses, needs another kernel, and may be on its way out.',
    fix: 'For a target of 1.33 or newer choose nftables on a kernel of 5.13 or newer; use node addresses where 127.0.0.1 was used.',
  },
  zh: {
    asks: '目标集群 kube-proxy 的模式能否提供源集群所提供的能力？',
    why: '不同模式监听的地址不同、对内核的要求不同，有的模式还将被移除。',
    fix: '目标为 1.33 及以上版本时建议使用 nftables 模式，内核不低于 5.13；原来用 127.0.0.1 访问 NodePort 的地方改用节点地址。',
  },
  sources: [
    'KEP-5495 (kubernetes/enhancements)',
    'KEP-3866 (kubernetes/enhancements)',
    'KEP-6032 (kubernetes/enhancements)',
    'https://github.com/kubernetes/kubernetes/issues/72236',
    'https://github.com/kubernetes/kubernetes/issues/81775',
    'kubernetes/kubernetes:pkg/proxy/ipvs/proxier.go',
  ],

  look(sight) {
    const [source, target] = [proxyConfig(sight.source), proxyConfig(sight.target)];
    return [
      ...lifetime(target, sight.target.minor()),
      ...kernels(target, sight.target),
      ...hostPorts(target, sight.target.minor()),
      ...nodePorts(source, target, sight),
    ];
  },
};

/** Minors between which a mode exists; `waning` is when it was deprecated. */
const LIVES: Record<string, { from?: number; stable?: number; waning?: number; gone?: number }> = {
  userspace: { waning: 23, gone: 26 },
  ipvs: { waning: 35, gone: 43 },
  nftables: { from: 29, stable: 33 },
};

function lifetime({ mode, from }: ProxyConfig, minor: number): Finding[] {
  const life = LIVES[mode];
  const finding = (severity: 'warn' | 'refuse', saw: string, rest: Partial<Finding> = {}): Finding => ({
    about: `target kube-proxy ${mode}`,
    severity,
    saw: `${saw} (${from})`,
    ...rest,
  });
  if (!life) return [];
  if (life.gone !== undefined && minor >= life.gone)
    return [finding('refuse', `gone from 1.${life.gone}`, { want: 'nftables or iptables' })];
  if (life.from !== undefined && minor < life.from)
    return [finding('refuse', `not before 1.${life.from}`, { want: 'iptables' })];
  if (life.waning !== undefined && minor >= life.waning) {
    return [
      finding(
        'warn',
        `deprecated from 1.${life.waning}${life.gone === undefined ? '' : `, gone from 1.${life.gone}`}`,
        { want: 'nftables', breaks: 'a later upgrade of the target' },
      ),
    ];
  }
  if (life.stable !== undefined && minor < life.stable)
    return [finding('warn', `not stable before 1.${life.stable}`, { want: 'iptables' })];
  return [];
}

const NEEDS: Record<string, { kernel: [number, number]; severity: 'warn' | 'refuse'; breaks: string }> = {
  nftables: { kernel: [5, 13], severity: 'refuse', breaks: 'kube-proxy does not start there' },
  ipvs: {
    kernel: [5, 9],
    severity: 'warn',
    breaks:
      'a client that uses a source port again waits a second, or is sent to a pod that is gone (net.ipv4.vs.conn_reuse_mode); some vendor kernels carry the fix',
  },
};

function kernels({ mode }: ProxyConfig, target: SideSight): Finding[] {
  const need = NEEDS[mode];
  if (!need) return [];
  const old = target
    .list('Node')
    .filter((it) => isOlder(String(it['status']?.nodeInfo?.kernelVersion ?? ''), need.kernel));
  if (old.length === 0) return [];
  const seen = [...new Set(old.map((it) => String(it['status'].nodeInfo.kernelVersion)))];
  const { severity, breaks } = need;
  return [
    {
      about: `target kube-proxy ${mode}`,
      severity,
      saw: `kernel ${some(seen)} on ${some(old.map((it) => about(it)))}`,
      want: `${need.kernel.join('.')} or newer`,
      breaks,
    },
  ];
}

function isOlder(version: string, [major, minor]: [number, number]): boolean {
  const found = /^(\d+)\.(\d+)/.exec(version);
  if (!found) return false;
  const [a, b] = [Number(found[1]), Number(found[2])];
  return a < major || (a === major && b < minor);
}

/** @source https://github.com/kubernetes/kubernetes/issues/72236: service addresses are the host's own under ipvs */
const hostPorts = ({ mode }: ProxyConfig, minor: number): Finding[] =>
  mode === 'ipvs' && minor < 26
    ? [
        {
          about: 'target kube-proxy ipvs',
          severity: 'warn',
          saw: `v1.${minor} answers on cluster and load-balancer addresses with whatever listens on the host`,
          want: '1.26 or newer',
          breaks: 'nothing that worked; it opens daemons of the host to pods',
        },
      ]
    : [];

/** iptables: every address and 127.0.0.1; ipvs: every address; nftables: the node's primary address. @source KEP-3866, KEP-6032 */
function nodePorts(source: ProxyConfig, target: ProxyConfig, sight: Sight): Finding[] {
  const lost = LOST[`${source.mode} → ${target.mode}`];
  if (lost === undefined) return [];
  const open = sight.source.list('Service', sight.namespaces).flatMap((it) => {
    const ports: { nodePort?: number }[] = it['spec']?.ports ?? [];
    return ports.flatMap(({ nodePort }) =>
      nodePort ? [`${it.metadata.namespace}/${it.metadata.name}:${nodePort}`] : [],
    );
  });
  if (open.length === 0) return [];
  return [
    {
      about: `node ports ${source.mode} → ${target.mode}`,
      severity: 'warn',
      saw: `node ports of ${some(open)}`,
      breaks: `callers of a node port at ${lost}`,
      fix: 'Call the node’s own address, or the Service by name; or list the addresses in nodePortAddresses of the target’s kube-proxy.',
    },
  ];
}

const LOST: Record<string, string> = {
  'iptables → ipvs': '127.0.0.1',
  'iptables → nftables': '127.0.0.1, or at a second address of a node',
  'ipvs → nftables': 'a second address of a node',
};
