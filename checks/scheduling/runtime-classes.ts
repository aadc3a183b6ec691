import type { Check, Finding } from '../../src/check.js';
import { about } from '../about.js';
import { matches, selectorOf, usableNodes } from '../nodes.js';
import { WORKLOADS, workloads, EACH_WORKLOAD } from '../pods.js';

/**
 * A pod that names a runtime class which the cluster lacks is refused; one whose class belongs to nodes that are not there
 * stays Pending.
 *
 * @source https://kubernetes.io/docs/concepts/containers/runtime-class/
 */
export const runtimeClasses: Check = {
  id: 'runtime-classes',
  group: 'scheduling',
  asks: 'Does the target have the runtime classes that moved pods name, and nodes for them?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { source: WORKLOADS, target: [CLASS(), 'Node'] },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'Pods of a missing runtime class are refused; without a node of its kind they stay Pending.',
    fix: 'Create the class on the target, and a node pool whose runtime has its handler.',
  },
  zh: {
    asks: '要迁移的 Pod 所用的 RuntimeClass，目标集群是否都有，并有相应节点？',
    why: 'RuntimeClass 不存在时 Pod 会被拒绝；没有对应节点时 Pod 会一直 Pending。',
    fix: '在目标集群创建该 RuntimeClass，并准备带有相应运行时的节点池。',
  },
  sources: ['https://kubernetes.io/docs/concepts/containers/runtime-class/', 'KEP-585 (kubernetes/enhancements)'],

  look({ source, target, namespaces }) {
    return workloads(source, namespaces).flatMap(({ object, spec }): Finding[] => {
      const name = spec.runtimeClassName;
      if (!name) return [];
      const there = target.get(CLASS(), undefined, name);
      if (!there)
        return [
          {
            about: about(object),
            saw: `the target has no runtime class ${name}`,
            want: name,
            breaks: 'its pods are refused',
          },
        ];
      const selector = selectorOf({ nodeSelector: there['scheduling']?.nodeSelector ?? {} });
      if (usableNodes(target).some((node) => selector.every((it) => matches(node, it)))) return [];
      return [
        {
          about: about(object),
          saw: `no ready node has the labels of runtime class ${name}`,
          want: selector.map((it) => `${it.key}=${it.values?.[0]}`).join(', ') || 'a ready node',
          breaks: 'its pods stay Pending',
        },
      ];
    });
  },
};

function CLASS() {
  return 'RuntimeClass.node.k8s.io';
}
