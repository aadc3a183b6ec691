import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import { NEVER_TRAVELS } from '../../src/data.js';
import { about, some } from '../about.js';

/**
 * An object that is being deleted and cannot die is held by a finalizer whose controller does not come. In a backup it is one
 * more object to restore; a namespace that cannot die holds up every restore into it.
 *
 * @source https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/, https://github.com/vmware-tanzu/velero/issues/8234
 */
export const stuckObjects: Check = {
  id: 'stuck-objects',
  group: 'workloads',
  asks: 'Is nothing that moves, and no namespace of the move, being deleted?',
  before: 'data',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: ['*', 'Namespace'], target: ['Namespace'] },
  takes: { '*': 'each' },
  hint: {
    why: 'A restore into a namespace that is being deleted waits ten minutes for each kind and fails; an object that is being deleted may come back to life on the target.',
    fix: 'Find the controller of the finalizer that holds it, or take the finalizer off.',
  },
  zh: {
    asks: '要迁移的对象和命名空间中，是否有正在删除而卡住的？',
    why: '恢复到正在删除的命名空间，会按资源类型逐个等待十分钟后失败；正在删除的对象可能在目标集群“复活”。',
    fix: '找到持有该 finalizer 的控制器，或移除 finalizer。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/',
    'https://github.com/vmware-tanzu/velero/issues/8234',
    'https://github.com/vmware-tanzu/velero/issues/7516',
  ],

  look: (sight) => [...[sight.source, sight.target].flatMap((side) => dying(side, sight)), ...held(sight)],
};

const dying = (side: SideSight, { namespaces }: Sight): Finding[] =>
  side
    .list('Namespace')
    .filter(
      (it) =>
        namespaces.includes(it.metadata.name) &&
        (it.metadata.deletionTimestamp !== undefined || it['status']?.phase === 'Terminating'),
    )
    .map((it) => ({
      about: `${side.side} ${about(it)}`,
      severity: 'refuse',
      saw: 'Terminating',
      want: 'Active',
      breaks: 'nothing can be created in it',
    }));

function held({ source, namespaces }: Sight): Finding[] {
  return Object.keys(source.inventory.objects)
    .filter((kind) => !NEVER_TRAVELS.has(kind) && kind !== 'Namespace')
    .flatMap((kind) => source.seen(kind, namespaces) ?? [])
    .filter((it) => it.metadata.deletionTimestamp !== undefined)
    .map((it): Finding => ({
      about: about(it),
      severity: 'warn',
      saw: `being deleted since ${it.metadata.deletionTimestamp}${it.metadata.finalizers?.length ? `, held by ${some(it.metadata.finalizers)}` : ''}`,
      want: 'gone, or not deleted',
      breaks: 'the backup may bring it back on the target',
    }));
}
