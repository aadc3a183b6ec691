import { type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { some } from '../about.js';

/**
 * A custom kind of one name on both sides may still be two: of another scope, without the version in which its objects are
 * stored, or with a conversion that nobody answers. Whether the kind is there at all, `removed-apis` asks.
 *
 * @source https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/
 */
export const definitions: Check = {
  id: 'definitions',
  group: 'apis',
  asks: 'Are the definitions of the moved custom kinds the same kinds on the target?',
  before: 'data',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: ['*', CRD()], target: [CRD(), 'Service'] },
  takes: { '*': 'some', 'target Service': [] },
  everywhere: { target: ['Service'] },
  hint: {
    why: 'Objects of another scope are refused; a version that is stored but no longer defined cannot be read; a conversion without its webhook fails each request for the kind.',
    fix: 'Install the same release of the operator on the target first, and see that its conversion webhook runs.',
  },
  zh: {
    asks: '要迁移的自定义资源，其 CRD 在目标集群是否是同一种资源？',
    why: '作用域不同会被拒绝；已存储但不再定义的版本无法读取；转换 webhook 不可用时，对该资源的每个请求都会失败。',
    fix: '先在目标集群安装同一版本的 operator，并确认其转换 webhook 正常运行。',
  },
  sources: [
    'https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/',
    'https://github.com/vmware-tanzu/velero/issues/5146',
    'kubernetes/apiextensions-apiserver:pkg/apis/apiextensions/v1/types.go',
  ],

  look(sight) {
    return sight.source
      .list(CRD())
      .filter((it) => isUsed(it, sight))
      .flatMap((it) => compared(it, sight.target));
  },
};

function CRD() {
  return 'CustomResourceDefinition.apiextensions.k8s.io';
}

function isUsed(definition: KubeObject, { source, namespaces }: Sight): boolean {
  const kind = `${definition['spec']?.names?.kind}.${definition['spec']?.group}`;
  return (source.seen(kind, namespaces) ?? []).length > 0;
}

function compared(here: KubeObject, target: SideSight): Finding[] {
  const name = here.metadata.name;
  const there = target.list(CRD()).find((it) => it.metadata.name === name);
  if (!there) return []; // removed-apis names each of its objects
  const about = `definition ${name}`;
  const found: Finding[] = [];
  const [from, to] = [here['spec']?.scope, there['spec']?.scope];
  if (from !== to)
    found.push({
      about,
      severity: 'refuse',
      saw: `${to} in the target`,
      want: String(from),
      breaks: 'its objects cannot be created there',
    });
  const stored: string[] = here['status']?.storedVersions ?? [];
  const versions = versionsOf(there);
  const lost = stored.filter((it) => !versions.includes(it));
  if (lost.length > 0)
    found.push({
      about,
      severity: 'warn',
      saw: `objects may be stored as ${some(lost)}; the target defines ${some(versions)}`,
      want: some(lost),
      breaks: 'a copy of the source’s store; a restore only if the source serves no shared version',
    });
  if (nonStructural(here))
    found.push({
      about,
      severity: 'warn',
      saw: 'its schema in the source is not structural',
      want: 'a structural schema',
      breaks: 'fields that the target’s schema does not name are dropped without a word',
    });
  return [...found, ...conversion(about, there, target)];
}

const versionsOf = (it: KubeObject): string[] =>
  ((it['spec']?.versions ?? [{ name: it['spec']?.version }]) as { name?: string }[]).flatMap((one) => one.name ?? []);

const nonStructural = (it: KubeObject): boolean =>
  ((it['status']?.conditions ?? []) as { type: string; status: string }[]).some(
    (one) => one.type === 'NonStructuralSchema' && one.status === 'True',
  );

function conversion(about: string, there: KubeObject, target: SideSight): Finding[] {
  const { strategy, webhook } = there['spec']?.conversion ?? {};
  const service: { namespace: string; name: string } | undefined = webhook?.clientConfig?.service;
  if (strategy !== 'Webhook' || !service || target.get('Service', service.namespace, service.name)) return [];
  if (!target.whole('Service'))
    return [
      {
        about,
        severity: 'warn',
        saw: `its conversion asks service ${service.namespace}/${service.name}, which this identity may not look for`,
        want: 'the right to list services everywhere',
      },
    ];
  return [
    {
      about,
      severity: 'refuse',
      saw: `its conversion asks service ${service.namespace}/${service.name}, which the target does not have`,
      want: 'the webhook of its operator',
      breaks: 'every request for its objects in another version',
    },
  ];
}
