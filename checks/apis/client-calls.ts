import { Unknown, type Check, type Finding, type Sight } from '../../src/check.js';
import type { CallCount } from '../../src/inventory.js';
import { mending, versionOf } from '../written.js';

/**
 * A controller or script that asks for a version which the target lacks fails there, whatever version its objects are stored in. The
 * source's API server counts requests by version; who sent them it does not tell, so only what a cluster's own parts never do is taken
 * for evidence: they list and watch every group in the version that it prefers (the garbage collector, quotas, backups and this
 * program do), and some kinds are written by Kubernetes' own controllers.
 *
 * @source kubernetes/kubernetes:staging/src/k8s.io/apiserver/pkg/endpoints/metrics/metrics.go, pkg/controller/garbagecollector
 */
export const clientCalls: Check = {
  id: 'client-calls',
  group: 'apis',
  asks: 'Does a running client call an API version that the target does not serve?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: {},
  hint: {
    why: 'An ingress controller, an operator or a script that is built for a removed version gets 404 on the target, and nothing in its objects shows that beforehand.',
    fix: 'Find the client in the audit log of the source (annotation `k8s.io/deprecated` is "true", from 1.19 on, beside userAgent and user), and update it before it moves.',
  },
  zh: {
    asks: '是否有正在运行的客户端在调用目标集群不提供的 API 版本？',
    why: '基于已移除版本编写的 ingress 控制器、Operator 或脚本，到目标集群会收到 404，而从其对象上事先看不出来。',
    fix: '在源集群审计日志中查找（1.19 起带有注解 k8s.io/deprecated: "true"，同时有 userAgent 和用户名），迁移前升级该客户端。',
  },
  sources: [
    'kubernetes/kubernetes:staging/src/k8s.io/apiserver/pkg/endpoints/metrics/metrics.go',
    'https://kubernetes.io/blog/2020/09/03/warnings/#metrics',
    'https://github.com/FairwindsOps/pluto/issues/337',
  ],

  look(sight) {
    const { calls } = sight.source.inventory.evidence ?? {};
    if (!calls) throw new Unknown('source: requests by version were not read');
    if (calls.unread !== undefined)
      throw new Unknown(`source: ${calls.unread} It needs the right to get the nonResourceURL /metrics`);
    return ofCalls(calls.counted, sight, calls.since);
  },
};

/** Written or watched by parts of Kubernetes itself, each release in its own version. */
const OWN: ReadonlySet<string> = new Set([
  'cronjobs',
  'poddisruptionbudgets',
  'endpointslices',
  'events',
  'leases',
  'flowschemas',
  'prioritylevelconfigurations',
  'csistoragecapacities',
  'csinodes',
  'csidrivers',
  'volumeattachments',
  'runtimeclasses',
]);
const SWEEPING: ReadonlySet<string> = new Set(['LIST', 'WATCH', 'WATCHLIST', 'GET']);

function ofCalls(all: readonly CallCount[], sight: Sight, since: string | undefined): Finding[] {
  const { source, target } = sight;
  const byResource = new Map<string, CallCount[]>();
  for (const it of all) {
    const key = `${it.group}/${it.version}/${it.resource.split('/')[0]}`;
    byResource.set(key, [...(byResource.get(key) ?? []), it]);
  }
  return [...byResource.values()].flatMap((calls): Finding[] => {
    const [first] = calls;
    const resource = first?.resource.split('/')[0] ?? '';
    const served = source
      .served()
      .find((it) => it.group === first?.group && it.version === first.version && it.resource === resource);
    if (!first || !served || OWN.has(resource)) return [];
    if (
      target.served().some((it) => it.group === first.group && it.version === first.version && it.resource === resource)
    )
      return [];
    const verbs = [...new Set(calls.flatMap((it) => Object.keys(it.verbs)))].filter(
      (verb) => !served.preferred || !SWEEPING.has(verb),
    );
    if (verbs.length === 0) return [];
    const counts = calls.flatMap((it) =>
      verbs
        .filter((verb) => it.verbs[verb])
        .map(
          (verb) =>
            `${it.verbs[verb]} ${verb}${it.resource === resource ? '' : ` of ${it.resource.slice(resource.length + 1)}`}`,
        ),
    );
    return [
      {
        about: `calls of ${versionOf(served)} ${resource}`,
        saw: `${counts.join(', ')}${since === undefined ? '' : ` since ${since.slice(0, 10)}`}, counted by one API server of the source`,
        want: 'none',
        breaks: 'a running client, once it talks to the target',
        fix: `Find who calls it in the audit log, and update that. ${mending({ apiVersion: versionOf(served), kind: served.kind }, target)}`,
      },
    ];
  });
}
