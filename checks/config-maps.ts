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
  const { replaces, from } = dataPath(side);
  if (replaces === 'all') return { mode: 'ebpf', from };
  throw new Unknown(
    `${side.side}: no ConfigMap ${PROXY_MAPS.join(' or ')} in kube-system tells the mode of kube-proxy`,
  );
}

/** What a network plug-in does with the addresses of Services, beside kube-proxy or in its place. */
export interface DataPath {
  /** where that was read; empty where no plug-in does anything */
  from: string;
  replaces: 'all' | 'some' | 'none' | 'unclear';
  /** as it is written, where it is unclear */
  said?: string;
  /** translates already in connect() */
  sockets: boolean;
  /** keeps what pods send to a load balancer's address inside the cluster, as kube-proxy does */
  shortcut: boolean;
  /** at which alone node ports answer */
  devices?: string;
}

const REPLACES: Record<string, DataPath['replaces']> = {
  true: 'all',
  strict: 'all',
  partial: 'some',
  probe: 'some',
  false: 'none',
  disabled: 'none',
};

/**
 * @source cilium/cilium:Documentation/network/kubernetes/kubeproxy-free.rst, install/kubernetes/cilium/templates/cilium-configmap.yaml
 * @source AliyunContainerService/terway:cmd/terway-cli/policy.go, cni.go (eniip_virtual_type, in_cluster_loadbalance, the label of nodes)
 */
export function dataPath(side: SideSight): DataPath {
  const cilium: Record<string, string> | undefined = configMapIfSeen(side, 'cilium-config')?.['data'];
  if (cilium) {
    const said = cilium['kube-proxy-replacement'] ?? 'false';
    const replaces = REPLACES[said] ?? 'unclear';
    const { devices } = cilium;
    return {
      from: 'ConfigMap kube-system/cilium-config',
      replaces,
      said,
      sockets:
        replaces === 'all' || cilium['bpf-lb-sock'] === 'true' || cilium['enable-host-reachable-services'] === 'true',
      shortcut: true,
      ...(devices && { devices }),
    };
  }
  const terway: Record<string, string> = configMapIfSeen(side, 'eni-config')?.['data'] ?? {};
  if (!/"eniip_virtual_type"\s*:\s*"(?:datapathv2|ipvlan)"/i.test(terwayList(side) ?? ''))
    return { from: '', replaces: 'none', sockets: false, shortcut: true };
  const nodes = side.seen('Node') ?? [];
  const without = nodes.filter((it) => it.metadata.labels?.['k8s.aliyun.com/no-kube-proxy'] === 'true').length;
  return {
    from: 'ConfigMap kube-system/eni-config',
    replaces: without === 0 ? 'none' : without === nodes.length ? 'all' : 'some',
    sockets: false,
    shortcut: terway['in_cluster_loadbalance'] === 'true',
  };
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
