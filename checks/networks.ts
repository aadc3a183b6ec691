import { isIPv4 } from 'node:net';
import type { SideSight } from '../src/check.js';
import type { KubeObject } from '../src/ports.js';
import { eniConfig, flannelNetwork, proxyCidr, terwayList } from './config-maps.js';

/** IPv4 networks, and what is known of a cluster's own. */

export interface Network {
  /** as written */
  cidr: string;
  first: number;
  last: number;
}

const number = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

/** @returns undefined for what is no IPv4 network; a bare address is one of its own */
export function network(cidr: string): Network | undefined {
  const [address = '', bits = '32'] = cidr.split('/');
  if (!isIPv4(address) || !/^\d+$/.test(bits) || Number(bits) > 32) return undefined;
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(number(address) / size) * size;
  return { cidr, first, last: first + size - 1 };
}

export const networks = (cidrs: Iterable<string | undefined>): Network[] =>
  [...new Set(cidrs)].flatMap((it) => (it === undefined ? [] : (network(it) ?? [])));

export const overlap = (a: Network, b: Network) => a.first <= b.last && b.first <= a.last;

export const holds = (outer: Network, inner: Network) => outer.first <= inner.first && inner.last <= outer.last;

export const nodeAddresses = (nodes: readonly KubeObject[]): string[] =>
  nodes.flatMap((it) =>
    ((it['status']?.addresses ?? []) as { type: string; address: string }[])
      .filter((one) => one.type === 'InternalIP')
      .map((one) => one.address),
  );

/** Networks of pods as nodes, kube-proxy and the network plug-in tell them. */
export function podNetworks(side: SideSight): Network[] {
  const whole = networks([flannelNetwork(side), ...(proxyCidr(side)?.split(',') ?? [])]);
  const perNode = networks(
    (side.seen('Node') ?? []).flatMap((it): string[] => it['spec']?.podCIDRs ?? [it['spec']?.podCIDR ?? '']),
  );
  return [...whole, ...perNode.filter((it) => !whole.some((outer) => holds(outer, it)))];
}

export function serviceNetworks(side: SideSight): Network[] {
  const declared = (side.seen('ServiceCIDR.networking.k8s.io') ?? []).flatMap(
    (it): string[] => it['spec']?.cidrs ?? [],
  );
  return networks([...declared, eniConfig(side)?.serviceCidr]);
}

export type PolicyEnforcement = 'enforced' | 'ignored' | 'unknown';

export interface Plugin {
  name: 'flannel' | 'terway' | 'calico' | 'cilium';
  policies: PolicyEnforcement;
  /** where that was read */
  from: string;
}

/**
 * The network plug-in, by its settings or its DaemonSet in kube-system; undefined when nothing tells.
 *
 * @source flannel-io/flannel (no policies); AliyunContainerService/terway:docs (eni_conf, disable_network_policy)
 */
export function pluginOf(side: SideSight): Plugin | undefined {
  const map = (name: string) => (side.seen('ConfigMap', ['kube-system']) ?? []).some((it) => it.metadata.name === name);
  const daemon = (pattern: RegExp) =>
    (side.seen('DaemonSet.apps', ['kube-system']) ?? []).find((it) => pattern.test(it.metadata.name))?.metadata.name;
  const terway = daemon(/^terway/);
  if (map('eni-config') || terway) {
    const disabled = eniConfig(side)?.disableNetworkPolicy ?? false;
    return {
      name: 'terway',
      policies: disabled ? 'ignored' : 'enforced',
      from: map('eni-config') ? 'ConfigMap kube-system/eni-config' : `DaemonSet kube-system/${terway}`,
    };
  }
  const calico = daemon(/^(calico-node|canal)/);
  if (calico) return { name: 'calico', policies: 'enforced', from: `DaemonSet kube-system/${calico}` };
  const cilium = daemon(/^cilium(-agent)?$/);
  if (cilium || map('cilium-config'))
    return {
      name: 'cilium',
      policies: 'enforced',
      from: cilium ? `DaemonSet kube-system/${cilium}` : 'ConfigMap kube-system/cilium-config',
    };
  const flannel = daemon(/^kube-flannel/);
  if (flannel || map('kube-flannel-cfg'))
    return {
      name: 'flannel',
      policies: 'ignored',
      from: flannel ? `DaemonSet kube-system/${flannel}` : 'ConfigMap kube-system/kube-flannel-cfg',
    };
  return undefined;
}

/** Whether hostPort works: through portmap in the plug-in's chain. */
export const mapsHostPorts = (side: SideSight): boolean | undefined => {
  const list = terwayList(side);
  return list === undefined ? undefined : list.includes('portmap');
};
