import type { Check, Finding, Sight } from '../../src/check.js';
import { about } from '../about.js';
import { WORKLOADS, workloads, EACH_WORKLOAD } from '../pods.js';

/**
 * A pod that names a priority class which the cluster lacks is refused. One of the same name with another value changes who
 * is evicted for whom, and cannot be changed afterwards: its value is fixed.
 *
 * @source https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
 */
export const priorityClasses: Check = {
  id: 'priority-classes',
  group: 'scheduling',
  asks: 'Does the target have the priority classes that moved pods name, with the same values?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: [...WORKLOADS, CLASS()], target: [CLASS()] },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'Pods of a missing class are refused; another value, or another default, changes which pods are evicted first.',
    fix: 'Create the class on the target first; to change a value, delete the class and create it again.',
  },
  zh: {
    asks: '要迁移的 Pod 所用的 PriorityClass，目标集群是否都有且取值一致？',
    why: 'PriorityClass 不存在时 Pod 会被拒绝；取值或默认类不同，会改变驱逐的先后。',
    fix: '先在目标集群创建该 PriorityClass；要改值只能删除后重建。',
  },
  sources: ['https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/'],

  look: (sight) => [...named(sight), ...byDefault(sight)],
};

function CLASS() {
  return 'PriorityClass.scheduling.k8s.io';
}

function named({ source, target, namespaces }: Sight): Finding[] {
  return workloads(source, namespaces).flatMap(({ object, spec }): Finding[] => {
    const name = spec.priorityClassName;
    if (!name || name.startsWith('system-')) return []; // each server makes those itself
    const [here, there] = [source.get(CLASS(), undefined, name), target.get(CLASS(), undefined, name)];
    if (!there)
      return [
        {
          about: about(object),
          severity: 'refuse',
          saw: `the target has no priority class ${name}`,
          want: name,
          breaks: 'its pods are refused',
        },
      ];
    if (
      !here ||
      (here['value'] === there['value'] &&
        (here['preemptionPolicy'] ?? PREEMPTS) === (there['preemptionPolicy'] ?? PREEMPTS))
    )
      return [];
    return [
      {
        about: about(object),
        severity: 'warn',
        saw: `${name} is ${there['value']}, ${there['preemptionPolicy'] ?? PREEMPTS} on the target`,
        want: `${here['value']}, ${here['preemptionPolicy'] ?? PREEMPTS}`,
        breaks: 'others are evicted for it, or it for others',
      },
    ];
  });
}

const PREEMPTS = 'PreemptLowerPriority';

/** Pods that name no class get the default one's value. */
function byDefault({ source, target }: Sight): Finding[] {
  const value = (side: typeof source) => side.list(CLASS()).find((it) => it['globalDefault'] === true)?.['value'] ?? 0;
  const [from, to] = [value(source), value(target)];
  if (from === to) return [];
  return [
    {
      about: 'default priority',
      severity: 'warn',
      saw: `${to} on the target`,
      want: String(from),
      breaks: 'pods that name no class',
    },
  ];
}
