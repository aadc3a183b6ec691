import type { Check, Finding, SideSight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';
import { chooses, replicasOf, WORKLOADS, workloads, type Workload, workloadFields, REPLICAS } from '../pods.js';

/**
 * A budget that allows no disruption at all holds up the drain of a node, and so the end of the old cluster, for ever. Two
 * budgets on one pod make every eviction an error. And `{}` chose nothing in the old version; in the new it chooses all.
 *
 * @source https://kubernetes.io/docs/tasks/run-application/configure-pdb/, https://github.com/kubernetes/kubernetes/issues/66811
 */
export const disruptionBudgets: Check = {
  id: 'disruption-budgets',
  group: 'scheduling',
  asks: 'Does each disruption budget allow some disruption, and mean the same on both sides?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [PDB(), ...WORKLOADS] },
  takes: workloadFields(['metadata.labels'], REPLICAS),
  hint: {
    why: 'Nodes with pods that no budget lets go cannot be drained, in either cluster; upgrades of node pools stop there.',
    fix: 'Allow one pod to be away (maxUnavailable: 1), and run more than one.',
  },
  zh: {
    asks: '每个 PodDisruptionBudget 是否允许一定的中断，且在两侧含义相同？',
    why: '不允许任何中断时，节点无法排空，节点池升级也会卡住，两个集群都一样。',
    fix: '允许一个 Pod 不可用（maxUnavailable: 1），并运行多于一个副本。',
  },
  sources: [
    'https://kubernetes.io/docs/tasks/run-application/configure-pdb/',
    'https://github.com/kubernetes/kubernetes/issues/66811',
    'kubernetes/kubernetes:pkg/apis/policy/v1beta1/conversion.go',
  ],

  look: ({ source, namespaces }) => namespaces.flatMap((it) => [...stiff(source, it), ...doubled(source, it)]),
};

function PDB() {
  return 'PodDisruptionBudget.policy';
}

const chosen = (budget: KubeObject, pods: readonly Workload[]) =>
  isVoid(budget) ? [] : pods.filter((it) => chooses(budget['spec']?.selector, it.labels));

/** In policy/v1beta1 an empty selector chooses nothing. */
const isVoid = (it: KubeObject) =>
  it.apiVersion === 'policy/v1beta1' && Object.keys(it['spec']?.selector ?? {}).length === 0;

function stiff(source: SideSight, namespace: string): Finding[] {
  const pods = workloads(source, [namespace]);
  return source.list(PDB(), [namespace]).flatMap((it): Finding[] => {
    const replicas = chosen(it, pods).reduce((sum, one) => sum + replicasOf(one), 0);
    const why = reason(it, replicas);
    return why === undefined || replicas === 0
      ? []
      : [
          {
            about: about(it),
            saw: why,
            want: 'at least one that may be away',
            breaks: 'draining a node that has one of its pods never ends',
          },
        ];
  });
}

function reason({ spec }: KubeObject, replicas: number): string | undefined {
  const { maxUnavailable, minAvailable } = spec ?? {};
  if (maxUnavailable !== undefined)
    return share(maxUnavailable, replicas) === 0 ? `maxUnavailable ${maxUnavailable}` : undefined;
  if (minAvailable === undefined) return undefined;
  return share(minAvailable, replicas) >= replicas ? `minAvailable ${minAvailable} of ${replicas}` : undefined;
}

/** Percentages are rounded up, for both fields. @source kubernetes/kubernetes:pkg/controller/disruption/disruption.go */
const share = (value: string | number, replicas: number) =>
  typeof value === 'string' && value.endsWith('%')
    ? Math.ceil((Number(value.slice(0, -1)) / 100) * replicas)
    : Number(value);

function doubled(source: SideSight, namespace: string): Finding[] {
  const pods = workloads(source, [namespace]);
  const budgets = source.list(PDB(), [namespace]);
  return pods.flatMap((pod): Finding[] => {
    const both = budgets.filter((it) => chosen(it, [pod]).length > 0);
    return both.length < 2
      ? []
      : [
          {
            about: about(pod.object),
            saw: `${both.length} budgets choose its pods: ${some(both.map((it) => it.metadata.name))}`,
            want: 'one',
            breaks: 'each eviction of its pods is an error',
          },
        ];
  });
}
