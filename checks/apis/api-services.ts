import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import { kindServed } from '../../src/preflight.js';

/**
 * An API service that does not answer takes part of discovery with it. A backup then misses the group, Helm refuses to work,
 * and a namespace that is being deleted hangs, for all clients of the cluster.
 *
 * @source https://github.com/vmware-tanzu/velero/issues/1283, https://github.com/helm/helm/issues/6361
 */
export const apiServices: Check = {
  id: 'api-services',
  group: 'apis',
  asks: 'Does every aggregated API answer, on both sides, and has the target those that the source has?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  reads: { source: [KIND()], target: [KIND()] },
  hint: {
    why: 'With one dead API service discovery is incomplete: backups leave its group out, restores crawl, and namespaces cannot be deleted.',
    fix: 'Bring up the Service behind it, or delete the APIService whose backend is gone for good.',
  },
  zh: {
    asks: '两个集群的聚合 API 是否都正常？源集群有的目标集群是否也有？',
    why: '只要有一个 APIService 不可用，API 发现就不完整：备份会漏掉该组资源，恢复变慢，命名空间也无法删除。',
    fix: '恢复其后端 Service；后端已不存在的，删除该 APIService。',
  },
  sources: [
    'https://github.com/vmware-tanzu/velero/issues/1283',
    'https://github.com/helm/helm/issues/6361',
    'kubernetes/kube-aggregator:pkg/apis/apiregistration/v1/types.go',
  ],

  look: (sight) => [...dead(sight.source), ...dead(sight.target), ...lacking(sight)],
};

function KIND() {
  return 'APIService.apiregistration.k8s.io';
}

/** Numbers that come and go; nothing is restored from them. */
const MEASURED = /(^|\.)metrics\.k8s\.io$/;

function dead(side: SideSight): Finding[] {
  return side.list(KIND()).flatMap((it): Finding[] => {
    const condition = ((it['status']?.conditions ?? []) as { type: string; status: string; reason?: string }[]).find(
      (one) => one.type === 'Available',
    );
    if (!condition || condition.status === 'True') return [];
    const measured = MEASURED.test(String(it['spec']?.group));
    return [
      {
        about: `${side.side} apiservice ${it.metadata.name}`,
        severity: measured ? 'warn' : 'refuse',
        saw: `not available${condition.reason ? `: ${condition.reason}` : ''}`,
        want: 'Available',
        breaks: measured
          ? 'autoscalers that use it'
          : 'discovery, and with it backup, restore and the deletion of namespaces',
      },
    ];
  });
}

function lacking({ source, target }: Sight): Finding[] {
  const groups = new Set(target.served().map((it) => it.group));
  return source.list(KIND()).flatMap((it): Finding[] => {
    const group = String(it['spec']?.group ?? '');
    const isOwn = !it['spec']?.service;
    if (isOwn || groups.has(group) || target.list(KIND()).some((one) => one['spec']?.group === group)) return [];
    const kinds = [
      ...new Set(
        source
          .served()
          .filter((one) => one.group === group)
          .map(kindServed),
      ),
    ];
    return [
      {
        about: `source apiservice ${it.metadata.name}`,
        severity: 'warn',
        saw: `the target has nothing for ${group}${kinds.length > 0 ? ` (${kinds.length} kinds)` : ''}`,
        want: 'its server installed on the target',
        breaks: 'whatever asks it there',
      },
    ];
  });
}
