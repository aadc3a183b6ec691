import type { Check, Finding } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';
import { mayRunOn, usableNodes } from '../nodes.js';
import { WORKLOADS, workloads, type PodSpec, type Toleration, EACH_WORKLOAD } from '../pods.js';

/**
 * A node may have every label that a pod wants, and still turn it away by a taint. New clusters are tainted more: control
 * planes under their new name, GPU and spot pools, nodes that a network plug-in has not finished.
 *
 * @source https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
 */
export const taints: Check = {
  id: 'taints',
  group: 'scheduling',
  asks: 'Does every workload tolerate the taints of some target node that it may run on?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { source: WORKLOADS, target: ['Node'] },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'Where every node that fits has a taint that the pod does not tolerate, it stays Pending.',
    fix: 'Add the toleration to the template, or take the taint off the nodes that are meant for it.',
  },
  zh: {
    asks: '每个工作负载是否能容忍目标集群中至少一个可用节点的污点？',
    why: '符合条件的节点都带有 Pod 不容忍的污点时，Pod 会一直 Pending。',
    fix: '在模板中加上对应的容忍；或去掉目标节点上的污点。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/',
    'KEP-2067 (control-plane label and taint)',
  ],

  look({ source, target, namespaces }) {
    const nodes = usableNodes(target);
    return workloads(source, namespaces).flatMap(({ object, spec }): Finding[] => {
      const fit = nodes.filter((it) => mayRunOn(spec, it)); // none at all: node-labels tells
      if (fit.length === 0 || object.kind === 'DaemonSet' || fit.some((it) => untolerated(spec, it).length === 0))
        return [];
      const left = [...new Set(fit.flatMap((it) => untolerated(spec, it)).map(words))];
      return [
        {
          about: about(object),
          saw: `each of the ${fit.length} nodes that fit has a taint that it does not tolerate: ${some(left)}`,
          want: 'a toleration for it',
          breaks: 'its pods stay Pending',
        },
      ];
    });
  },
};

export interface Taint {
  key: string;
  value?: string;
  effect: string;
}

const words = ({ key, value, effect }: Taint) => `${key}${value ? `=${value}` : ''}:${effect}`;

/** @source kubernetes/component-helpers:scheduling/corev1/helpers.go; PreferNoSchedule turns nobody away */
export const untolerated = ({ tolerations = [] }: PodSpec, node: KubeObject): Taint[] =>
  ((node['spec']?.taints ?? []) as Taint[]).filter(
    (it) => it.effect !== 'PreferNoSchedule' && !tolerations.some((one) => tolerates(one, it)),
  );

function tolerates({ key, operator = 'Equal', value = '', effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (!key) return operator === 'Exists';
  return key === taint.key && (operator === 'Exists' || value === (taint.value ?? ''));
}
