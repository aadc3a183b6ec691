import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';
import { containers, replicasOf, WORKLOADS, workloads, type Workload, workloadFields, REPLICAS } from '../pods.js';
import { add, amount, requestsOf, spelled, type Amounts, REQUESTS } from '../quantities.js';

/**
 * A quota of the target's namespace counts what arrives. What goes beyond is refused pod by pod; and where a quota asks for
 * requests, a pod without them is refused outright. A LimitRange refuses containers that are larger than it allows.
 *
 * @source https://kubernetes.io/docs/concepts/policy/resource-quotas/
 */
export const quotas: Check = {
  id: 'quotas',
  group: 'scheduling',
  asks: 'Do quotas and limit ranges of the target let everything in?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Service', 'PersistentVolumeClaim'], target: ['ResourceQuota', 'LimitRange'] },
  takes: { ...workloadFields(REQUESTS, REPLICAS), Service: ['spec.type'] },
  hint: {
    why: 'What a quota does not allow is refused half way through the restore, or later, pod by pod.',
    fix: 'Raise the quota or the limit range of the target’s namespace.',
  },
  zh: {
    asks: '目标集群的 ResourceQuota 和 LimitRange 是否容得下全部对象？',
    why: '超出配额的对象会在恢复中途被拒绝，或者之后逐个 Pod 被拒绝。',
    fix: '调高目标命名空间的 ResourceQuota 或 LimitRange。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/policy/resource-quotas/',
    'https://kubernetes.io/docs/concepts/policy/limit-range/',
    'https://github.com/vmware-tanzu/velero/issues/2211',
  ],

  look: (sight) => [
    ...sight.target.list('ResourceQuota', sight.namespaces).flatMap((it) => ofQuota(it, sight)),
    ...sight.target.list('LimitRange', sight.namespaces).flatMap((it) => ofRange(it, sight)),
  ],
};

function ofQuota(quota: KubeObject, sight: Sight): Finding[] {
  // A quota for some pods only (a priority class, best effort) is not judged: which ones it counts depends on more.
  if (quota['spec']?.scopes || quota['spec']?.scopeSelector) return [];
  const wanted = demand(quota.metadata.namespace ?? '', sight);
  const hard: Record<string, unknown> = quota['status']?.hard ?? quota['spec']?.hard ?? {};
  return Object.entries(hard).flatMap(([name, limit]): Finding[] => {
    const used = amount(quota['status']?.used?.[name] ?? 0);
    const want = wanted[name];
    if (want === undefined || used + want <= amount(limit)) return [];
    const resource = name.replace(/^(requests|limits)\./, '');
    return [
      {
        about: `target ${about(quota)}`,
        saw: `${name} ${spelled(resource, amount(limit))}${used > 0 ? `, of which ${spelled(resource, used)} are used` : ''}`,
        want: `${spelled(resource, want)} for what moves`,
        breaks: 'what comes last is refused',
      },
    ];
  });
}

const PLAIN = ['cpu', 'memory', 'ephemeral-storage'];

/** By the names that quotas use. */
function demand(namespace: string, { source }: Sight): Amounts {
  const pods = workloads(source, [namespace]);
  const asked = pods
    .map((it) => add({}, { ...requestsOf(it.spec), pods: 1 }, replicasOf(it)))
    .reduce((sum, it) => add(sum, it), {});
  const claims = source.list('PersistentVolumeClaim', [namespace]);
  const services = source.list('Service', [namespace]);
  const objects = (kind: string) => pods.filter((it) => it.object.kind === kind).length;
  const both = Object.entries(asked).filter(([key]) => key !== 'pods');
  return {
    ...Object.fromEntries(
      both.flatMap(([key, value]) => [[`requests.${key}`, value], ...(PLAIN.includes(key) ? [[key, value]] : [])]),
    ),
    pods: asked['pods'] ?? 0,
    services: services.length,
    'services.loadbalancers': services.filter((it) => it['spec']?.type === 'LoadBalancer').length,
    persistentvolumeclaims: claims.length,
    'requests.storage': claims.reduce((sum, it) => sum + amount(it['spec']?.resources?.requests?.storage), 0),
    'count/deployments.apps': objects('Deployment'),
    'count/statefulsets.apps': objects('StatefulSet'),
    'count/cronjobs.batch': objects('CronJob'),
  };
}

interface Limit {
  type: string;
  max?: Record<string, string>;
}

function ofRange(range: KubeObject, { source }: Sight): Finding[] {
  const limits = ((range['spec']?.limits ?? []) as Limit[]).filter((it) => it.type === 'Container' && it.max);
  return workloads(source, [range.metadata.namespace ?? '']).flatMap((it): Finding[] => {
    const over = limits.flatMap(({ max = {} }) =>
      Object.entries(max).filter(([key, most]) => largest(it, key) > amount(most)),
    );
    if (over.length === 0) return [];
    return [
      {
        about: about(it.object),
        saw: `a container may have ${some(over.map(([key, most]) => `${key} ${most}`))} (${about(range)})`,
        want: some(over.map(([key]) => `${key} ${spelled(key, largest(it, key))}`)),
        breaks: 'its pods are refused',
      },
    ];
  });
}

const largest = ({ spec }: Workload, key: string) =>
  Math.max(
    0,
    ...containers(spec).map((it) => amount(it.resources?.limits?.[key] ?? it.resources?.requests?.[key] ?? 0)),
  );
