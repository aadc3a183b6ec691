import { hash32 } from '../random.js';
import type { Json, TwinObject } from '../types.js';
import type { WorkloadOptions } from './objects.js';

export interface AddressPool {
  take(node: TwinObject): string;
  free(ip: string): void;
  hostAddress(node: TwinObject): string;
}

const hostAddress = (node: TwinObject): string =>
  (node['status']?.addresses ?? []).find((it: Json) => it.type === 'InternalIP')?.address ??
  `172.16.${hash32(node.metadata.name) % 250}.10`;

/** Third octets from here on belong to pods: 64 for each of two clusters in one VPC. */
const FIRST_POD_OCTET = 128;
const OCTETS_PER_POOL = 64;

/**
 * Addresses for pods, always the lowest that is free: under `eni` out of the /16 of the VPC that the node is in, else out of the
 * node's pod CIDR.
 */
export function addressPool({ podNetwork, pool }: WorkloadOptions): AddressPool {
  const taken = new Set<string>();

  const inVpc = (node: TwinObject): ((n: number) => string) => {
    const [a, b] = hostAddress(node).split('.');
    return (n) => `${a}.${b}.${FIRST_POD_OCTET + pool * OCTETS_PER_POOL + Math.floor(n / 250)}.${(n % 250) + 1}`;
  };

  const onNode = (node: TwinObject): ((n: number) => string) => {
    const cidr: string | undefined = node['spec']?.podCIDR;
    const [a, b, c] = cidr
      ? cidr.split('/')[0]!.split('.')
      : ['10', String(200 + pool), String(hash32(node.metadata.name) % 250)];
    return (n) => `${a}.${b}.${Number(c) + Math.floor(n / 250)}.${(n % 250) + 2}`;
  };

  return {
    hostAddress,
    take(node) {
      const nth = podNetwork === 'eni' ? inVpc(node) : onNode(node);
      for (let n = 0; ; n++) {
        const ip = nth(n);
        if (taken.has(ip)) continue;
        taken.add(ip);
        return ip;
      }
    },
    free: (ip) => void taken.delete(ip),
  };
}
