import { MigrateError } from '../errors.js';
import { isReady, splitPath } from '../objects.js';
import type { Cluster, KubeObject } from '../ports.js';
import { add, amount, requestsOf, type Amounts } from '../quantities.js';
import { count } from '../words.js';

/** What stands behind a Service on one side, and how many more pods of it there is room for. */

const WORKLOADS = ['Deployment.apps', 'StatefulSet.apps'] as const;
export const SCALER = 'HorizontalPodAutoscaler.autoscaling';

export interface Behind {
  /** of the first workload whose pods the Service selects; undefined where there is none */
  workload?: KubeObject;
  /** that scales it */
  scaler?: KubeObject;
}

export async function behind(cluster: Cluster, service: string): Promise<Behind> {
  const { namespace, name } = splitPath(service);
  const object = await cluster.get({ kind: 'Service', namespace, name });
  const wanted = Object.entries((object?.['spec']?.selector ?? {}) as Record<string, string>);
  if (wanted.length === 0) return {};
  const lists = await Promise.all(WORKLOADS.map((kind) => cluster.list(kind, { namespace })));
  const workload = lists
    .flat()
    .find((it) => wanted.every(([key, value]) => it['spec']?.template?.metadata?.labels?.[key] === value));
  if (!workload) return {};
  const scaler = (await cluster.list(SCALER, { namespace })).find((it) => {
    const target = it['spec']?.scaleTargetRef as { kind?: string; name?: string } | undefined;
    return target?.kind === workload.kind && target.name === workload.metadata.name;
  });
  return { workload, ...(scaler && { scaler }) };
}

/**
 * What keeps a side from having `more` pods of the workload, in words; nothing where nothing is known to. Needs to read quotas, nodes and pods:
 * what may not be read is said, and is no reason.
 */
export async function limits(cluster: Cluster, workload: KubeObject, more: number): Promise<string[]> {
  const pod = requestsOf(workload['spec']?.template?.spec ?? {});
  const found = await Promise.all([
    readable('quotas', () => quotaLimit(cluster, workload.metadata.namespace ?? '', pod, more)),
    readable('nodes', () => nodeLimit(cluster, pod, more)),
  ]);
  return found.filter((it) => it !== undefined);
}

async function readable(what: string, look: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof MigrateError && error.code === 'KUBE_FORBIDDEN') return `${what} may not be read`;
    throw error;
  }
}

/** Of a pod's amounts, by the names that quotas have. */
function charged(pod: Amounts): Amounts {
  const { cpu = 0, memory = 0 } = pod;
  return { pods: 1, 'count/pods': 1, cpu, memory, 'requests.cpu': cpu, 'requests.memory': memory };
}

async function quotaLimit(
  cluster: Cluster,
  namespace: string,
  pod: Amounts,
  more: number,
): Promise<string | undefined> {
  const each = charged(pod);
  for (const quota of await cluster.list('ResourceQuota', { namespace })) {
    const hard = (quota['status']?.hard ?? quota['spec']?.hard ?? {}) as Record<string, unknown>;
    const used = (quota['status']?.used ?? {}) as Record<string, unknown>;
    for (const [name, limit] of Object.entries(hard)) {
      const asked = each[name] ?? 0;
      const left = amount(limit) - amount(used[name] ?? 0);
      if (asked > 0 && asked * more > left)
        return `quota ${quota.metadata.name} leaves ${count(Math.max(0, Math.floor(left / asked)), 'pod')} (${name})`;
    }
  }
  return undefined;
}

/** Ready nodes that take any pod, by what is free of cpu, memory and pods there. Affinity and taints are the scheduler's to judge. */
async function nodeLimit(cluster: Cluster, pod: Amounts, more: number): Promise<string | undefined> {
  const [nodes, pods] = await Promise.all([cluster.list('Node'), cluster.list('Pod')]);
  const used = new Map<string, Amounts>();
  for (const it of pods) {
    const node = it['spec']?.nodeName as string | undefined;
    if (node === undefined || ['Succeeded', 'Failed'].includes(String(it['status']?.phase))) continue;
    used.set(node, add(add(used.get(node) ?? {}, requestsOf(it['spec'] ?? {})), { pods: 1 }));
  }
  const each: Amounts = { ...pod, pods: 1 };
  let room = 0;
  for (const node of nodes) {
    const taints = (node['spec']?.taints ?? []) as { effect?: string }[];
    if (!isReady(node) || node['spec']?.unschedulable === true || taints.some((it) => it.effect !== 'PreferNoSchedule'))
      continue;
    const free = (name: string) =>
      amount(node['status']?.allocatable?.[name] ?? 0) - (used.get(node.metadata.name)?.[name] ?? 0);
    const fit = Object.entries(each).map(([name, asked]) => (asked > 0 ? Math.floor(free(name) / asked) : Infinity));
    room += Math.max(0, Math.min(...fit));
    if (room >= more) return undefined;
  }
  return `nodes have room for ${room === 0 ? 'none' : `${room} more`}`;
}
