import { Skipped, type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import { about, some } from '../about.js';
import { corefile, hasLocalDns } from '../config-maps.js';
import { textsOf, WORKLOADS, workloads, workloadTexts } from '../pods.js';

/**
 * The cluster's name server knows more than Services: zones of other networks, hosts that somebody once wrote down, names
 * that it rewrites. Those are settings of the old cluster, in no namespace that moves.
 *
 * @source https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/, coredns/deployment:kubernetes/CoreDNS-k8s_version.md
 */
export const nameServer: Check = {
  id: 'name-server',
  group: 'network',
  asks: 'Does the target’s name server know the names that the source’s knows?',
  before: 'data',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: ['ConfigMap', 'Service', 'DaemonSet.apps', ...WORKLOADS], target: ['ConfigMap', 'DaemonSet.apps'] },
  takes: {
    ...workloadTexts(/\.svc\.[\w.-]+/g, ['dnsConfig']),
    'target DaemonSet.apps': 'named',
    ConfigMap: 'named',
    Service: 'named',
  },
  hint: {
    why: 'A zone, a host or a rewritten name that only the source’s CoreDNS knows is not found on the target; under another cluster domain no full name of a Service is.',
    fix: 'Carry the missing blocks of ConfigMap kube-system/coredns over; give both clusters one domain.',
  },
  zh: {
    asks: '源集群 DNS 能解析的名字，目标集群的 DNS 是否也能？',
    why: '只写在源集群 CoreDNS 里的自定义域、hosts 和 rewrite，目标集群解析不到；集群域名不同时，Service 的完整域名全部失效。',
    fix: '把 kube-system/coredns 中缺少的配置块搬到目标集群；两个集群使用同一集群域名。',
  },
  sources: [
    'https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/',
    'coredns/deployment:kubernetes/CoreDNS-k8s_version.md',
    'https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/',
  ],

  look(sight) {
    const pods = ownServers(sight);
    const [here, there] = [corefile(sight.source), corefile(sight.target)];
    if (here === undefined || there === undefined) {
      if (pods.length > 0) return pods;
      throw new Skipped(`${here === undefined ? 'source' : 'target'}: no ConfigMap kube-system/coredns tells`);
    }
    return [...pods, ...ofDomain(here, there, sight), ...ofZones(here, there), ...ofPlugins(here, there)];
  },
};

/** `kubernetes cluster.local in-addr.arpa ip6.arpa {` */
const domainOf = (text: string): string =>
  /^\s*kubernetes\s+(\S+)/m.exec(text)?.[1]?.replace(/\.$/, '') ?? 'cluster.local';

function ofDomain(here: string, there: string, { source, namespaces }: Sight): Finding[] {
  const [from, to] = [domainOf(here), domainOf(there)];
  if (from === to) return [];
  const users = workloads(source, namespaces)
    .filter((it) => textsOf(it).some(({ text }) => text.includes(`.svc.${from}`)))
    .map((it) => about(it.object));
  return [
    {
      about: 'cluster domain',
      severity: users.length > 0 ? 'refuse' : 'warn',
      saw: `${to}${users.length > 0 ? `; ${some(users)} write .svc.${from}` : ''}`,
      want: from,
      breaks: 'full names of Services',
    },
  ];
}

/** Server blocks but the root one: `example.com:53 {`, without their ports. */
const zonesOf = (text: string): string[] =>
  [...text.matchAll(/^([^\s{#][^{\n]*)\{/gm)]
    .flatMap(([, names = '']) => names.trim().split(/[\s,]+/))
    .map((it) => it.replace(/^dns:\/\//, '').replace(/:\d+$/, ''))
    .filter((it) => it !== '.');

function ofZones(here: string, there: string): Finding[] {
  const known = zonesOf(there);
  const lost = [...new Set(zonesOf(here))].filter((it) => !known.includes(it));
  return lost.length === 0
    ? []
    : [
        {
          about: 'dns zones',
          severity: 'warn',
          saw: `the target has no block for ${some(lost)}`,
          want: some(lost),
          breaks: 'names in there are not found, unless the servers above know them',
        },
      ];
}

const PLUGINS = ['hosts', 'rewrite', 'template', 'file', 'auto'];

/** Lines that make names of their own. */
function ofPlugins(here: string, there: string): Finding[] {
  const lines = (text: string) => text.split('\n').map((it) => it.trim().replace(/\s+/g, ' '));
  const known = new Set(lines(there));
  const lost = [
    ...hostsIn(here),
    ...lines(here).filter((it) => PLUGINS.some((one) => one !== 'hosts' && it.startsWith(`${one} `))),
  ].filter((it) => !known.has(it));
  return lost.length === 0
    ? []
    : [
        {
          about: 'dns names',
          severity: 'warn',
          saw: `only the source has ${some([...new Set(lost)], 3)}`,
          want: 'the same on the target',
          breaks: 'the names that these lines make',
        },
      ];
}

/** Lines inside `hosts { … }`: an address and its names. */
const hostsIn = (text: string): string[] =>
  [...text.matchAll(/^\s*hosts\b[^{\n]*\{([^}]*)\}/gm)]
    .flatMap(([, inner = '']) => inner.split('\n'))
    .map((it) => it.trim().replace(/\s+/g, ' '))
    .filter((it) => /^[\d:]/.test(it));

/** Pods that ask a name server of the old cluster by its address. */
function ownServers({ source, target, namespaces }: Sight): Finding[] {
  return workloads(source, namespaces).flatMap(({ object, spec }): Finding[] => {
    const asked = spec.dnsConfig?.nameservers ?? [];
    const own = asked.filter((it) => isServer(it, source));
    if (own.length > 0)
      return [
        {
          about: about(object),
          severity: 'refuse',
          saw: `dnsConfig asks ${some(own)}, the source’s own server`,
          want: 'dnsPolicy ClusterFirst',
          breaks: 'its pods resolve nothing',
        },
      ];
    return asked.includes(LOCAL) && !hasLocalDns(target)
      ? [
          {
            about: about(object),
            severity: 'refuse',
            saw: `dnsConfig asks ${LOCAL}, the server on each node; the target has none`,
            want: 'dnsPolicy ClusterFirst, or node-local-dns on the target',
            breaks: 'its pods resolve nothing',
          },
        ]
      : [];
  });
}

const LOCAL = '169.254.20.10';

const isServer = (address: string, source: SideSight) =>
  source.list('Service', ['kube-system']).some((it) => it['spec']?.clusterIP === address);
