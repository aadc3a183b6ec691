import { parse } from 'yaml';
import type { ClusterInventory } from './inventory.js';

/**
 * The security groups that Terway gives the network interfaces of pods; empty where its settings name none: then they are those of the
 * node. Undefined without such settings.
 *
 * @source AliyunContainerService/terway:types/daemon/config.go (security_group, security_groups)
 */
export function podSecurityGroups({ objects }: ClusterInventory): string[] | undefined {
  const map = (objects['ConfigMap'] ?? []).find(
    (it) => it.metadata.namespace === 'kube-system' && it.metadata.name === 'eni-config',
  );
  if (!map) return undefined;
  const { security_group: one, security_groups: more } = settings(map['data']?.['eni_conf']);
  const ids = [one, ...(Array.isArray(more) ? (more as unknown[]) : [])];
  return [...new Set(ids.filter((it): it is string => typeof it === 'string' && it !== ''))].sort();
}

/** YAML and not JSON: what was hidden in it stands there without quotes. */
function settings(text: unknown): Record<string, unknown> {
  if (typeof text !== 'string') return {};
  try {
    const value: unknown = parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
