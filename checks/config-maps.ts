import { parse } from 'yaml';
import { Unknown, type SideSight } from '../src/check.js';

/** What the clusters' own components are told in ConfigMaps of kube-system. */

export interface ProxyConfig {
  /** `iptables`, `ipvs`, `nftables`, `userspace`, or `ebpf` where the network plug-in has taken kube-proxy's place */
  mode: string;
  /** where that was read */
  from: string;
}

/** kubeadm's name, and Alibaba Cloud's. */
const PROXY_MAPS = ['kube-proxy', 'kube-proxy-worker'];

/**
 * The mode that kube-proxy was asked for: the running one cannot be read through the API server.
 *
 * @throws Unknown  nothing in kube-system tells it
 * @source kubernetes/kubernetes:pkg/proxy/apis/config/types.go: empty means iptables on Linux
 * @source cilium/cilium:Documentation/network/kubernetes/kubeproxy-free.rst
 */
export function proxyConfig(side: SideSight): ProxyConfig {
  for (const name of PROXY_MAPS) {
    const map = side.get('ConfigMap', 'kube-system', name);
    if (!map) continue;
    const config = parsed(map['data']?.['config.conf']);
    if (!config || !('mode' in config || config['kind'] === 'KubeProxyConfiguration'))
      throw new Unknown(`${side.side}: ConfigMap kube-system/${name} has no readable config.conf`);
    const mode = config['mode'];
    return {
      mode: typeof mode === 'string' && mode !== '' ? mode.toLowerCase() : 'iptables',
      from: `ConfigMap kube-system/${name}`,
    };
  }
  const cilium = side.get('ConfigMap', 'kube-system', 'cilium-config')?.['data']?.['kube-proxy-replacement'];
  if (cilium === 'true' || cilium === 'strict') return { mode: 'ebpf', from: 'ConfigMap kube-system/cilium-config' };
  throw new Unknown(
    `${side.side}: no ConfigMap ${PROXY_MAPS.join(' or ')} in kube-system tells the mode of kube-proxy`,
  );
}

export interface CloudConfig {
  clusterID?: string;
  vpcid?: string;
}

/**
 * What the cloud controller manager was told, without its credentials; undefined where it can't be seen, as in a managed
 * cluster.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/config/cloud_config.go, docs/getting-started.md
 */
export function cloudConfig(side: SideSight): CloudConfig | undefined {
  const map = configMapIfSeen(side, 'cloud-config');
  const global = parsed(map?.['data']?.['cloud-config.conf'])?.['Global'];
  if (typeof global !== 'object' || global === null) return undefined;
  const { clusterID, vpcid } = global as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries({ clusterID, vpcid }).filter(([, value]) => typeof value === 'string' && value !== ''),
  );
}

const configMapIfSeen = (side: SideSight, name: string) =>
  side.seen('ConfigMap', ['kube-system'])?.find((it) => it.metadata.name === name);

/** Networks that kube-proxy takes for those of pods, as one text; undefined where nothing tells. */
export function proxyCidr(side: SideSight): string | undefined {
  const cidr = proxySettings(side)?.['clusterCIDR'];
  return typeof cidr === 'string' && cidr !== '' ? cidr : undefined;
}

/** All that kube-proxy was told. @source kubernetes/kubernetes:staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go */
export function proxySettings(side: SideSight): Record<string, unknown> | undefined {
  for (const name of PROXY_MAPS) {
    const config = parsed(configMapIfSeen(side, name)?.['data']?.['config.conf']);
    if (config) return config;
  }
  return undefined;
}

/** @source flannel-io/flannel:Documentation/configuration.md */
export function flannelNetwork(side: SideSight): string | undefined {
  const network = flannelSettings(side)?.['Network'];
  return typeof network === 'string' ? network : undefined;
}

/** `vxlan`, `alloc` …; undefined without Flannel */
export function flannelBackend(side: SideSight): string | undefined {
  const backend = (flannelSettings(side)?.['Backend'] as Record<string, unknown> | undefined)?.['Type'];
  return typeof backend === 'string' ? backend : undefined;
}

const flannelSettings = (side: SideSight) =>
  parsed(configMapIfSeen(side, 'kube-flannel-cfg')?.['data']?.['net-conf.json']);

export interface EniConfig {
  serviceCidr?: string;
  /** vSwitches by zone */
  vswitches: Record<string, string[]>;
  /** addresses that each node keeps ready */
  poolSize: number;
  disableNetworkPolicy: boolean;
}

/** Terway's settings. @source AliyunContainerService/terway:docs/dynamic-config.md, types/daemon/config.go */
export function eniConfig(side: SideSight): EniConfig | undefined {
  const map = configMapIfSeen(side, 'eni-config');
  const config = parsed(map?.['data']?.['eni_conf']);
  if (!config) return undefined;
  const { service_cidr: serviceCidr, vswitches, max_pool_size: pool } = config;
  return {
    ...(typeof serviceCidr === 'string' && { serviceCidr }),
    vswitches: typeof vswitches === 'object' && vswitches !== null ? (vswitches as Record<string, string[]>) : {},
    poolSize: typeof pool === 'number' ? pool : 5,
    disableNetworkPolicy:
      String(map?.['data']?.['disable_network_policy'] ?? config['disable_network_policy']) === 'true',
  };
}

/** The chain of plug-ins that Terway writes to each node, as text. */
export function terwayList(side: SideSight): string | undefined {
  const data: Record<string, string> = configMapIfSeen(side, 'eni-config')?.['data'] ?? {};
  return data['10-terway.conflist'] ?? data['10-terway.conf'];
}

/**
 * What kubelets are told, where the cluster was made by kubeadm: `kubelet-config`, with the minor version in its name before 1.24.
 *
 * @source kubernetes/kubernetes:cmd/kubeadm/app/constants/constants.go
 */
export function kubeletSettings(side: SideSight): Record<string, unknown> | undefined {
  const map = side
    .seen('ConfigMap', ['kube-system'])
    ?.find((it) => /^kubelet-config(-1\.\d+)?$/.test(it.metadata.name));
  return parsed(map?.['data']?.['kubelet']);
}

/** The settings of the cluster's name server; undefined where they can't be seen. */
export const corefile = (side: SideSight): string | undefined => {
  const text: unknown = configMapIfSeen(side, 'coredns')?.['data']?.['Corefile'];
  return typeof text === 'string' ? text : undefined;
};

/** Whether a name server of that kind runs on each node. */
export const hasLocalDns = (side: SideSight): boolean =>
  (side.seen('DaemonSet.apps', ['kube-system']) ?? []).some((it) => /^node-?local-?dns/.test(it.metadata.name));

function parsed(text: unknown): Record<string, unknown> | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const value: unknown = parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
