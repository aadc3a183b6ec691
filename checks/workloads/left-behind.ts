import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import { NEVER_TRAVELS } from '../../src/data.js';
import { groupOf } from '../../src/objects.js';
import type { KubeObject } from '../../src/ports.js';
import { kindServed } from '../../src/preflight.js';
import { about, some } from '../about.js';

/**
 * What a controller made is left for it to make again. That needs its owner to move too: one that stays, and everything under
 * it is on neither list.
 *
 * @source https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
 */
export const leftBehind: Check = {
  id: 'left-behind',
  group: 'workloads',
  asks: 'Does the owner of everything that is made again move too?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: ['*'] },
  takes: { '*': 'some' },
  hint: {
    why: 'Objects with an owner do not travel by themselves: where the owner does not come either, or its operator is not on the target, nobody makes them there.',
    fix: 'Install the operator on the target first, move the owner’s namespace too, or take the ownerReference off.',
  },
  zh: {
    asks: '由控制器生成的对象，其属主是否也会迁移？',
    why: '有属主的对象不会单独迁移；属主不迁移，或目标集群没有对应的 operator，这些对象就没有人重新创建。',
    fix: '先在目标集群安装 operator，把属主所在命名空间一并迁移，或移除 ownerReference。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/',
    'https://github.com/vmware-tanzu/velero/issues/7862',
  ],

  look(sight) {
    return Object.keys(sight.source.inventory.objects)
      .filter((kind) => !NEVER_TRAVELS.has(kind))
      .flatMap((kind) => sight.source.seen(kind, sight.namespaces) ?? [])
      .flatMap((it) => orphaned(it, sight));
  },
};

function orphaned(it: KubeObject, { source, target }: Sight): Finding[] {
  const owners = it.metadata.ownerReferences ?? [];
  if (owners.length === 0) return [];
  const lost = owners.filter(
    (owner) =>
      !isThere(owner, it, source) ||
      !target.served().some((one) => one.kind === owner.kind && one.group === groupOf(owner.apiVersion ?? '')),
  );
  if (lost.length < owners.length) return [];
  return [
    {
      about: about(it),
      saw: `owned by ${some(lost.map((owner) => `${owner.kind.toLowerCase()} ${owner.name}`))}, which ${lost.some((owner) => isThere(owner, it, source)) ? 'the target has no kind for' : 'is not in the move'}`,
      want: 'an owner that moves',
      breaks: 'it is not made again on the target',
    },
  ];
}

type Owner = NonNullable<KubeObject['metadata']['ownerReferences']>[number];

/** In its own namespace or in none. Any of its kind will do: what an owner that is gone has left, the source collects by itself. */
function isThere({ apiVersion, kind }: Owner, { metadata: { namespace } }: KubeObject, source: SideSight): boolean {
  const found = source.seen(kindServed({ kind, group: groupOf(apiVersion) })) ?? [];
  return found.some((it) => it.metadata.namespace === undefined || it.metadata.namespace === namespace);
}
