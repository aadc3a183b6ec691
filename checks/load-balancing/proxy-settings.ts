import { Skipped, type Check, type Finding, type SideSight } from '../../src/check.js';
import { some } from '../about.js';
import { proxyCidr, proxySettings } from '../config-maps.js';
import { networks, overlap } from '../networks.js';

/**
 * Beside its mode kube-proxy has settings that change traffic: which addresses it takes for those of pods, how it chooses,
 * where node ports answer, how long it remembers connections.
 *
 * @source kubernetes/kubernetes:staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go
 */
export const proxyTold: Check = {
  id: 'proxy-settings',
  group: 'load-balancing',
  asks: 'Is kube-proxy told the same on both sides, and the truth about pods?',
  before: 'traffic',
  severity: 'warn',
  reads: { source: ['ConfigMap', 'Pod'], target: ['ConfigMap', 'Pod'] },
  takes: { ConfigMap: 'named', Pod: ['spec.hostNetwork', 'status.podIP'] },
  hint: {
    why: 'Pods whose addresses lie outside clusterCIDR are taken for strangers: their calls are masqueraded, and policy Local treats them as coming from outside. Other settings spread connections differently or forget them sooner.',
    fix: 'Set clusterCIDR to the range of the pods (or detectLocalMode where they have addresses of the VPC), and the rest as on the source.',
  },
  zh: {
    asks: '两侧 kube-proxy 的设置是否一致，clusterCIDR 是否与 Pod 地址相符？',
    why: 'Pod 地址不在 clusterCIDR 内时会被当作集群外来源：访问会被做源地址转换，Local 策略也按外部流量处理；其他设置不同，连接的分布和保持时间也会不同。',
    fix: '把 clusterCIDR 设为 Pod 网段（Pod 使用 VPC 地址时改用 detectLocalMode），其余设置与源集群保持一致。',
  },
  sources: [
    'kubernetes/kubernetes:staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go',
    'https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/',
  ],

  look({ source, target }) {
    const [here, there] = [proxySettings(source), proxySettings(target)];
    if (!here || !there)
      throw new Skipped(`${!here ? 'source' : 'target'}: no ConfigMap of kube-proxy tells its settings`);
    return [...ofCidr(target), ...FIELDS.flatMap((it) => differing(it, here, there))];
  },
};

function ofCidr(target: SideSight): Finding[] {
  const ranges = networks(proxyCidr(target)?.split(',') ?? []);
  if (ranges.length === 0) return [];
  const pods = target.list('Pod').filter((it) => it['spec']?.hostNetwork !== true);
  const outside = pods.filter((it) =>
    networks([it['status']?.podIP]).some((address) => !ranges.some((range) => overlap(range, address))),
  );
  if (outside.length === 0) return [];
  return [
    {
      about: 'target clusterCIDR',
      saw: `${proxyCidr(target)}; pods outside it: ${some(outside.map((it) => `${it.metadata.namespace}/${it.metadata.name} ${it['status'].podIP}`))}`,
      want: 'the range of the pods',
      breaks: 'pods lose their own address when they call Services; policy Local takes them for strangers',
    },
  ];
}

interface Field {
  path: string[];
  /** what a server takes when nothing is said */
  otherwise: string;
  breaks: string;
}

const FIELDS: readonly Field[] = [
  { path: ['nodePortAddresses'], otherwise: '[]', breaks: 'callers of node ports at addresses that are not in it' },
  { path: ['ipvs', 'scheduler'], otherwise: '""', breaks: 'few long connections spread differently' },
  { path: ['ipvs', 'strictARP'], otherwise: 'false', breaks: 'load balancers that answer ARP on the nodes' },
  {
    path: ['conntrack', 'tcpEstablishedTimeout'],
    otherwise: '"24h0m0s"',
    breaks: 'connections that are silent for longer',
  },
  {
    path: ['conntrack', 'tcpCloseWaitTimeout'],
    otherwise: '"1h0m0s"',
    breaks: 'connections that are half closed for longer',
  },
  { path: ['iptables', 'localhostNodePorts'], otherwise: 'true', breaks: 'callers of node ports at 127.0.0.1' },
];

function differing(
  { path, otherwise, breaks }: Field,
  here: Record<string, unknown>,
  there: Record<string, unknown>,
): Finding[] {
  const value = (settings: Record<string, unknown>) => {
    const found = path.reduce<unknown>(
      (it, key) => (typeof it === 'object' && it !== null ? (it as Record<string, unknown>)[key] : undefined),
      settings,
    );
    const text = JSON.stringify(found ?? null);
    return text === 'null' || text === '""' || text === '"0s"' ? otherwise : text;
  };
  const [from, to] = [value(here), value(there)];
  return from === to ? [] : [{ about: `kube-proxy ${path.join('.')}`, saw: to, want: from, breaks }];
}
