import { type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';
import { mayRunOn, usableNodes, PLACEMENT } from '../nodes.js';
import { replicasOf, WORKLOADS, workloads, type PodSpec, type Workload, workloadFields, REPLICAS } from '../pods.js';
import { add, amount, requestsOf, spelled, type Amounts, REQUESTS } from '../quantities.js';
import { untolerated } from './taints.js';

/**
 * The target must have room for all that moves beside what it runs already: in sum, and for the largest pod on some one
 * node. Pods count too; with Terway a node takes only as many as its network interfaces have addresses, which its
 * `allocatable.pods` does not always say.
 *
 * @source https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
 * @source AliyunContainerService/terway:types/const.go (k8s.aliyun.com/max-available-ip)
 */
export const room: Check = {
  id: 'room',
  group: 'scheduling',
  asks: 'Has the target room for everything that moves?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: WORKLOADS, target: ['Node', 'Pod'] },
  takes: workloadFields(
    [...REQUESTS, ...PLACEMENT, 'spec.tolerations', 'spec.nodeName'],
    [...REPLICAS, 'status.phase'],
  ),
  everywhere: { target: ['Pod'] },
  hint: {
    why: 'Pods for which no node has room stay Pending, and the source’s are not there to help once traffic has moved.',
    fix: 'Add nodes or larger ones, or raise the maximum of the autoscaler, before the first step.',
  },
  zh: {
    asks: '目标集群能否容纳全部要迁移的工作负载？',
    why: '没有节点放得下的 Pod 会一直 Pending；流量切过去之后，源集群的 Pod 也帮不上忙。',
    fix: '在第一步之前增加节点或换更大的节点，或调高自动伸缩的上限。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/',
    'AliyunContainerService/terway:docs',
    'https://github.com/argoproj/argo-rollouts/issues/4612',
  ],

  look(sight) {
    const nodes = usableNodes(sight.target);
    if (nodes.length === 0) return []; // node-labels tells
    const moving = workloads(sight.source, sight.namespaces).filter((it) => replicasOf(it) > 0);
    if (moving.length === 0) return [];
    const blind: Finding[] = sight.target.whole('Pod')
      ? []
      : [
          {
            about: 'target pods',
            severity: 'warn',
            saw: 'only those of the move and of kube-system may be listed: what others use is not counted',
            want: 'the right to list pods everywhere',
          },
        ];
    return [...blind, ...inSum(moving, nodes, sight), ...alone(moving, nodes)];
  },
};

const COUNTED = ['cpu', 'memory', 'ephemeral-storage', 'pods'];
const MAX_IP = 'k8s.aliyun.com/max-available-ip';

function capacityOf(node: KubeObject): Amounts {
  const all = Object.fromEntries(
    Object.entries(node['status']?.allocatable ?? {}).map(([key, value]) => [key, amount(value)]),
  );
  const addresses = Number(node.metadata.annotations?.[MAX_IP] ?? Infinity);
  return { ...all, ...(all['pods'] !== undefined && { pods: Math.min(all['pods'], addresses) }) };
}

function inSum(moving: readonly Workload[], nodes: readonly KubeObject[], { target, namespaces }: Sight): Finding[] {
  const total = nodes.map(capacityOf).reduce((sum, it) => add(sum, it), {});
  const used = running(target, nodes, namespaces);
  const wanted = moving.map((it) => times(it, nodes)).reduce((sum, it) => add(sum, it), {});
  return COUNTED.flatMap((resource): Finding[] => {
    const [have, taken, want] = [total[resource], used[resource] ?? 0, wanted[resource] ?? 0];
    if (have === undefined || want + taken <= have) return [];
    return [
      {
        about: `target ${resource}`,
        severity: 'refuse',
        saw: `${nodes.length} nodes have ${spelled(resource, have)}${taken > 0 ? `, of which ${spelled(resource, taken)} are taken` : ''}`,
        want: `${spelled(resource, want)} for what moves`,
        breaks: 'the last pods to start stay Pending',
      },
    ];
  });
}

/** What the target's own pods ask for; those of the moved namespaces are counted with what moves. */
const running = (target: SideSight, nodes: readonly KubeObject[], namespaces: readonly string[]): Amounts =>
  target
    .list('Pod')
    .filter(
      (it) =>
        nodes.some((node) => node.metadata.name === it['spec']?.nodeName) &&
        !namespaces.includes(it.metadata.namespace ?? '') &&
        !['Succeeded', 'Failed'].includes(it['status']?.phase),
    )
    .reduce((sum, it) => add(sum, { ...requestsOf(it['spec'] as PodSpec), pods: 1 }), {} as Amounts);

const times = (it: Workload, nodes: readonly KubeObject[]): Amounts =>
  add({}, { ...requestsOf(it.spec), pods: 1 }, it.object.kind === 'DaemonSet' ? nodes.length : replicasOf(it));

/** A pod that is larger than each node on which it may run. */
function alone(moving: readonly Workload[], nodes: readonly KubeObject[]): Finding[] {
  return moving.flatMap((it): Finding[] => {
    const fit = nodes.filter((node) => mayRunOn(it.spec, node) && untolerated(it.spec, node).length === 0);
    const asked = requestsOf(it.spec);
    const tooMuch = ['cpu', 'memory'].find(
      (resource) =>
        fit.length > 0 && fit.every((node) => (asked[resource] ?? 0) > (capacityOf(node)[resource] ?? Infinity)),
    );
    if (tooMuch === undefined) return [];
    const most = Math.max(...fit.map((node) => capacityOf(node)[tooMuch] ?? 0));
    return [
      {
        about: about(it.object),
        severity: 'refuse',
        saw: `the largest node that fits has ${spelled(tooMuch, most)}`,
        want: `${spelled(tooMuch, asked[tooMuch] ?? 0)} for one pod`,
        breaks: 'its pods stay Pending',
      },
    ];
  });
}
