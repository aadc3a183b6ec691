import { isIP } from 'node:net';
import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';
import { EACH_WORKLOAD, textsOf, WORKLOADS, workloads } from '../pods.js';

/**
 * Addresses that a cluster gave out belong to it: cluster IPs, node addresses, node ports. Written down somewhere, they still
 * mean the old cluster after the move, or nobody.
 *
 * @source https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
 */
export const clusterAddresses: Check = {
  id: 'cluster-addresses',
  group: 'network',
  asks: 'Does anything that moves have an address of the old cluster written down?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Service', 'ConfigMap', 'Node'] },
  takes: {
    ...EACH_WORKLOAD,
    ConfigMap: 'each',
    Service: ['spec.clusterIP', 'spec.clusterIPs', 'spec.type', 'spec.ports.nodePort'],
  },
  everywhere: { source: ['Service'] },
  hint: {
    why: 'Each cluster gives out its own addresses: a literal one of the source leads nowhere from the target, or back to the source.',
    fix: 'Write the Service’s name in place of its address.',
  },
  zh: {
    asks: '要迁移的工作负载里是否写死了旧集群的地址？',
    why: '每个集群的地址都是自己分配的：写死的旧地址在目标集群要么不通，要么又连回旧集群。',
    fix: '改为使用 Service 域名。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/',
    'https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/',
  ],

  look: (sight) => [...places(sight).flatMap((it) => named(it, sight)), ...fixedPorts(sight)],
};

interface Place {
  object: KubeObject;
  at: string;
  text: string;
}

function places({ source, namespaces }: Sight): Place[] {
  const pods = workloads(source, namespaces).flatMap((it) => [
    ...textsOf(it).map((one) => ({ object: it.object, ...one })),
    ...(it.spec.hostAliases ?? []).map(({ ip }) => ({ object: it.object, at: 'hostAliases', text: ip })),
  ]);
  const maps = source
    .list('ConfigMap', namespaces)
    .flatMap((object) =>
      Object.entries((object['data'] ?? {}) as Record<string, unknown>).flatMap(([key, text]) =>
        typeof text === 'string' ? [{ object, at: `key ${key}`, text }] : [],
      ),
    );
  return [...pods, ...maps];
}

function named({ object, at, text }: Place, { source }: Sight): Finding[] {
  const found = text.match(ADDRESS) ?? [];
  if (found.length === 0) return [];
  const first = (list: KubeObject[], of: (it: KubeObject) => string[]) =>
    found.flatMap((address) => byAddress(list, of).get(address) ?? [])[0];
  const service = first(source.list('Service'), clusterIps);
  if (service)
    return [
      {
        about: about(object),
        severity: 'refuse',
        saw: `${at} names the cluster IP of ${about(service)}`,
        want: `${service.metadata.name}.${service.metadata.namespace}`,
        breaks: 'on the target that address is nobody’s, or somebody else’s',
      },
    ];
  const node = first(source.list('Node'), addresses);
  return node
    ? [
        {
          about: about(object),
          severity: 'warn',
          saw: `${at} names ${about(node)}`,
          want: 'the name of a Service',
          breaks: 'it goes on using the source, and nothing once that node is gone',
        },
      ]
    : [];
}

/** What may be an address, standing alone: `10.0.0.1` is not in `110.0.0.12`. */
const ADDRESS = /(?<![\w.-])(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-f]{0,4}(?::[\da-f]{0,4}){2,7})(?![\w-]|\.\w)/gi;

/** Many texts are looked through for many addresses, of the same lists again and again. */
const indexes = new WeakMap<KubeObject[], Map<string, KubeObject>>();

function byAddress(list: KubeObject[], of: (it: KubeObject) => string[]): Map<string, KubeObject> {
  const known = indexes.get(list);
  if (known) return known;
  const index = new Map(list.toReversed().flatMap((it) => of(it).map((address) => [address, it] as const)));
  indexes.set(list, index);
  return index;
}

const clusterIps = ({ spec }: KubeObject): string[] =>
  [...new Set<string>([spec?.clusterIP, ...(spec?.clusterIPs ?? [])])].filter((it) => isIP(it ?? '') !== 0);

const addresses = (node: KubeObject): string[] =>
  ((node['status']?.addresses ?? []) as { type: string; address: string }[])
    .filter((it) => it.type.endsWith('IP'))
    .map((it) => it.address);

/** Numbers of a NodePort Service are given out anew on the target; behind a load balancer nobody needs to know them. */
function fixedPorts({ source, namespaces }: Sight): Finding[] {
  return source.list('Service', namespaces).flatMap((it): Finding[] => {
    const ports = ((it['spec']?.ports ?? []) as { nodePort?: number }[]).flatMap((one) => one.nodePort ?? []);
    return it['spec']?.type === 'NodePort' && ports.length > 0
      ? [
          {
            about: about(it),
            severity: 'warn',
            saw: `node port ${some(ports.map(String))}`,
            want: 'callers that are told the target’s own number',
            breaks: 'whoever calls it by that number from outside',
          },
        ]
      : [];
  });
}
