import { isIP } from 'node:net';
import type { Check, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';
import { WORKLOADS, workloads, EACH_WORKLOAD } from '../pods.js';

/**
 * Servers used to take `010.0.0.1`, `::ffff:10.0.0.1` and `10.0.0.5/24`; from 1.36 on they refuse them when an object is
 * created. What the source has kept for years then cannot be created again.
 *
 * @source KEP-4858 (StrictIPCIDRValidation, on from 1.36)
 */
export const strictAddresses: Check = {
  id: 'strict-addresses',
  group: 'apis',
  asks: 'Are all addresses and networks written as the target takes them?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { source: ['Service', 'NetworkPolicy.networking.k8s.io', ...WORKLOADS] },
  takes: { ...EACH_WORKLOAD, Service: 'each', 'NetworkPolicy.networking.k8s.io': 'each' },
  hint: {
    why: 'From 1.36 the server refuses to create objects whose addresses have leading zeros, are IPv4 in IPv6, or whose networks have host bits set.',
    fix: 'Write them in their plain form on the source first: 10.0.0.1, 10.0.0.0/24.',
  },
  zh: {
    asks: '所有 IP 地址和网段的写法，目标集群是否都接受？',
    why: '从 1.36 起，带前导零的地址、IPv4 映射的 IPv6 地址、主机位不为零的网段在创建时会被拒绝。',
    fix: '先在源集群改成规范写法，例如 10.0.0.1、10.0.0.0/24。',
  },
  sources: ['KEP-4858 (kubernetes/enhancements)', 'https://nvd.nist.gov/vuln/detail/CVE-2021-29923'],

  look(sight) {
    if (sight.target.minor() < STRICT_FROM) return [];
    return placesIn(sight).flatMap(({ object, at, text }) => {
      const want = plain(text);
      return want === text
        ? []
        : [{ about: about(object), saw: `${at} ${text}`, want, breaks: 'it cannot be created on the target' }];
    });
  },
};

const STRICT_FROM = 36;

interface Place {
  object: KubeObject;
  at: string;
  text: string;
}

function placesIn({ source, namespaces }: Sight): Place[] {
  const places = (object: KubeObject, at: string, all: unknown): Place[] =>
    (Array.isArray(all) ? all : [all])
      .filter((it) => typeof it === 'string')
      .map((text: string) => ({ object, at, text }));
  return [
    ...source
      .list('Service', namespaces)
      .flatMap((it) =>
        ['externalIPs', 'loadBalancerSourceRanges', 'loadBalancerIP'].flatMap((field) =>
          places(it, field, it['spec']?.[field]),
        ),
      ),
    ...source
      .list('NetworkPolicy.networking.k8s.io', namespaces)
      .flatMap((it) =>
        blocksOf(it).flatMap((block) => [
          ...places(it, 'ipBlock', block.cidr),
          ...places(it, 'ipBlock except', block.except),
        ]),
      ),
    ...workloads(source, namespaces).flatMap(({ object, spec }) => [
      ...(spec.hostAliases ?? []).flatMap((it) => places(object, 'hostAliases', it.ip)),
      ...places(object, 'dnsConfig.nameservers', spec.dnsConfig?.nameservers),
      ...[...(spec.initContainers ?? []), ...(spec.containers ?? [])].flatMap((it) =>
        (it.ports ?? []).flatMap((port) => places(object, 'hostIP', port.hostIP)),
      ),
    ]),
  ];
}

interface Rule {
  from?: { ipBlock?: { cidr: string; except?: string[] } }[];
  to?: Rule['from'];
}

export const blocksOf = (policy: KubeObject): { cidr: string; except?: string[] }[] =>
  [...((policy['spec']?.ingress ?? []) as Rule[]), ...((policy['spec']?.egress ?? []) as Rule[])]
    .flatMap((it) => [...(it.from ?? []), ...(it.to ?? [])])
    .flatMap((it) => it.ipBlock ?? []);

/** The form that is taken; the text itself when it is that already, or is no address at all. */
function plain(text: string): string {
  const [address = '', bits, ...more] = text.split('/');
  if (more.length > 0) return text;
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address)?.[1];
  const parts = (mapped ?? address).split('.');
  if (parts.length !== 4 || !parts.every((it) => /^\d{1,4}$/.test(it))) return text;
  const bare = parts.map(Number).join('.');
  if (isIP(bare) !== 4) return text;
  if (bits === undefined) return bare;
  const width = mapped === undefined ? Number(bits) : Number(bits) - 96;
  return `${masked(bare, width)}/${width}`;
}

function masked(address: string, bits: number): string {
  const size = 2 ** (32 - bits);
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const first = Math.floor(number / size) * size;
  return [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.');
}
