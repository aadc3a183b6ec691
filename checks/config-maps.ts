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
    if (!config || !('mode' in config || config['kind'] === 'KubeProxyConfiguration')) throw new Unknown(`${side.side}: ConfigMap kube-system/${name} has no readable config.conf`);
    const mode = config['mode'];
    return { mode: typeof mode === 'string' && mode !== '' ? mode.toLowerCase() : 'iptables', from: `ConfigMap kube-system/${name}` };
  }
  const cilium = side.get('ConfigMap', 'kube-system', 'cilium-config')?.['data']?.['kube-proxy-replacement'];
  if (cilium === 'true' || cilium === 'strict') return { mode: 'ebpf', from: 'ConfigMap kube-system/cilium-config' };
  throw new Unknown(`${side.side}: no ConfigMap ${PROXY_MAPS.join(' or ')} in kube-system tells the mode of kube-proxy`);
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

function configMapIfSeen(side: SideSight, name: string) {
  try {
    return side.get('ConfigMap', 'kube-system', name);
  } catch (error) {
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}

function parsed(text: unknown): Record<string, unknown> | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const value: unknown = parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
