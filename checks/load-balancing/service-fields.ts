import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';

/**
 * Fields of a Service whose meaning depends on the release, on kube-proxy, or on what nodes say of themselves: nothing refuses
 * them where they mean nothing.
 *
 * @source KEP-2086, KEP-2433, KEP-4444, KEP-5707, KEP-2438 (dual stack), kubernetes/kubernetes:pkg/controller/endpoint
 */
export const serviceFields: Check = {
  id: 'service-fields',
  group: 'load-balancing',
  asks: 'Does every field of the moved Services mean on the target what it means on the source?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: ['Service', 'Endpoints'], target: ['Node'] },
  takes: { Service: 'each', Endpoints: ['subsets.addresses.ip'] },
  hint: {
    why: 'An address that is not answered any more, an IP family that the cluster does not have, a preference for zones that no node tells: traffic goes elsewhere, or nowhere.',
    fix: 'Take the field out, or put in its place what the finding names.',
  },
  zh: {
    asks: '要迁移的 Service 的各字段，在目标集群的含义是否不变？',
    why: '不再应答的外部 IP、目标集群没有的 IP 协议族、节点没有标注的可用区偏好，都会让流量走到别处或丢失。',
    fix: '去掉该字段，或改成检查结果中给出的写法。',
  },
  sources: [
    'KEP-5707 (kubernetes/enhancements)',
    'KEP-2086 (kubernetes/enhancements)',
    'KEP-4444 (kubernetes/enhancements)',
    'KEP-563 (dual stack)',
    'https://kubernetes.io/docs/concepts/services-networking/service/',
  ],

  look: (sight) =>
    sight.source
      .list('Service', sight.namespaces)
      .flatMap((it) => [
        ...externalIps(it, sight),
        ...families(it, sight),
        ...topology(it, sight),
        ...internal(it, sight),
        ...protocols(it),
        ...many(it, sight),
      ]),
};

/** Deprecated in 1.36, off by default from 1.40, gone from 1.43. */
function externalIps(it: KubeObject, { target }: Sight): Finding[] {
  const addresses: string[] = it['spec']?.externalIPs ?? [];
  if (addresses.length === 0) return [];
  const minor = target.minor();
  const when =
    minor >= 40
      ? 'off by default from 1.40'
      : minor >= 36
        ? 'deprecated from 1.36, off by default from 1.40'
        : 'of this cluster’s network';
  return [
    {
      about: about(it),
      saw: `externalIPs ${some(addresses)}: ${when}`,
      want: 'a load balancer, or a route to the new nodes',
      breaks: 'callers of these addresses',
    },
  ];
}

/** What families the target has, its own Service in the namespace default would tell; its nodes' addresses do as well. */
function families(it: KubeObject, { target }: Sight): Finding[] {
  const wanted: string[] = it['spec']?.ipFamilies ?? [];
  const addresses = target
    .list('Node')
    .flatMap((node) =>
      ((node['status']?.addresses ?? []) as { type: string; address: string }[])
        .filter((one) => one.type === 'InternalIP')
        .map((one) => one.address),
    );
  if (addresses.length === 0) return [];
  const lacking = wanted.filter((family) => !addresses.some((one) => one.includes(':') === (family === 'IPv6')));
  const strict = it['spec']?.ipFamilyPolicy !== 'PreferDualStack';
  return lacking.length > 0 && strict
    ? [
        {
          about: about(it),
          saw: `ipFamilies ${some(wanted)}; no node of the target has ${some(lacking)}`,
          want: 'families that the target has',
          breaks: 'it is refused, or answers nobody',
        },
      ]
    : [];
}

const NEAR = ['service.kubernetes.io/topology-mode', 'service.kubernetes.io/topology-aware-hints'];

/** Hints need a zone on every node; trafficDistribution is older on none of the servers before 1.30. */
function topology(it: KubeObject, { target }: Sight): Finding[] {
  const hint = NEAR.find((key) => /^auto$/i.test(it.metadata.annotations?.[key] ?? ''));
  const near: unknown = it['spec']?.trafficDistribution;
  if (hint === undefined && near === undefined) return [];
  if (near !== undefined && target.minor() < 30)
    return [
      {
        about: about(it),
        saw: `trafficDistribution ${String(near)}`,
        want: '1.30 or newer',
        breaks: 'the field is dropped: traffic crosses zones',
      },
    ];
  const without = target
    .list('Node')
    .filter((node) => node.metadata.labels?.['topology.kubernetes.io/zone'] === undefined)
    .map((node) => node.metadata.name);
  return without.length === 0
    ? []
    : [
        {
          about: about(it),
          saw: `${hint ?? `trafficDistribution ${String(near)}`}; no zone on ${some(without)}`,
          want: 'topology.kubernetes.io/zone on every node',
          breaks: 'traffic crosses zones',
        },
      ];
}

/** Known from 1.22 on by default. */
function internal(it: KubeObject, { target }: Sight): Finding[] {
  if (it['spec']?.internalTrafficPolicy !== 'Local' || target.minor() >= 22) return [];
  return [
    {
      about: about(it),
      saw: 'internalTrafficPolicy Local',
      want: '1.22 or newer',
      breaks: 'the field is dropped: calls leave their node',
    },
  ];
}

/** Stale conntrack entries keep UDP senders at pods that are gone. @source kubernetes/kubernetes:pkg/proxy/conntrack/cleanup.go */
function protocols(it: KubeObject): Finding[] {
  if (it['spec']?.type !== 'LoadBalancer') return [];
  const ports = ((it['spec']?.ports ?? []) as { protocol?: string; port: number }[]).filter(
    (one) => one.protocol === 'SCTP' || one.protocol === 'UDP',
  );
  return ports.map((one): Finding =>
    one.protocol === 'SCTP'
      ? {
          about: about(it),
          saw: `port ${one.port}/SCTP`,
          want: 'TCP or UDP',
          breaks: 'a classic load balancer has no such listener',
        }
      : {
          about: about(it),
          saw: `port ${one.port}/UDP`,
          want: 'senders that open their sockets anew after the move',
          breaks: 'a sender that keeps its port goes on to reach the source',
        },
  );
}

/** From 1.22 on Endpoints stop at 1000 addresses. @source kubernetes/kubernetes:pkg/controller/endpoint/endpoints_controller.go */
function many(it: KubeObject, { source, target }: Sight): Finding[] {
  const endpoints = source.get('Endpoints', it.metadata.namespace, it.metadata.name);
  const addresses = ((endpoints?.['subsets'] ?? []) as { addresses?: unknown[] }[]).reduce(
    (sum, one) => sum + (one.addresses?.length ?? 0),
    0,
  );
  if (addresses <= 1000 || target.minor() < 22) return [];
  return [
    {
      about: about(it),
      saw: `${addresses} endpoints`,
      want: 'readers of EndpointSlices',
      breaks: 'whatever reads Endpoints sees the first 1000',
    },
  ];
}
