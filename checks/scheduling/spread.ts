import type { Check, Finding } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';
import { mayRunOn, usableNodes } from '../nodes.js';
import { chooses, replicasOf, WORKLOADS, workloads, type Workload, EACH_WORKLOAD } from '../pods.js';

/**
 * Rules that keep pods apart need places to keep them apart in: as many nodes as replicas, as many zones as the rule names.
 * A cluster with fewer leaves the rest Pending.
 *
 * @source https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
 */
export const spread: Check = {
  id: 'spread',
  group: 'scheduling',
  asks: 'Has the target as many nodes and zones as the rules that keep pods apart need?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Node'], target: ['Node'] },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'A required anti-affinity puts one pod in each place: with fewer places than replicas, the rest stays Pending. And what was spread over three zones sits in one.',
    fix: 'Add nodes, or pools in more zones; or make the rule a preferred one.',
  },
  zh: {
    asks: '目标集群的节点数和可用区数，是否满足打散规则的要求？',
    why: '强制反亲和要求每个拓扑域一个 Pod：拓扑域少于副本数时，多出的 Pod 会一直 Pending；原来分布在多个可用区的服务会挤在一个可用区。',
    fix: '增加节点或更多可用区的节点池；或把规则改为优先（preferred）。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/',
    'https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity',
  ],

  look({ source, target, namespaces }) {
    const [here, there] = [usableNodes(source), usableNodes(target)];
    return workloads(source, namespaces)
      .filter((it) => it.object.kind !== 'DaemonSet')
      .flatMap((it) => [...apart(it, there), ...evenly(it, here, there)]);
  },
};

const placesOf = (it: Workload, key: string, nodes: readonly KubeObject[]) =>
  new Set(nodes.filter((node) => mayRunOn(it.spec, node)).flatMap((node) => node.metadata.labels?.[key] ?? [])).size;

function apart(it: Workload, nodes: readonly KubeObject[]): Finding[] {
  const replicas = replicasOf(it);
  const terms = it.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  return terms.flatMap(({ topologyKey, labelSelector }): Finding[] => {
    const places = placesOf(it, topologyKey, nodes);
    // Without any such place the rule is void, which node-labels tells.
    if (places === 0 || places >= replicas || !chooses(labelSelector, it.labels)) return [];
    return [
      {
        about: about(it.object),
        severity: 'refuse',
        saw: `${places} different ${topologyKey} on the target`,
        want: `${replicas}, one for each replica`,
        breaks: `${replicas - places} of its pods stay Pending`,
      },
    ];
  });
}

function evenly(it: Workload, here: readonly KubeObject[], there: readonly KubeObject[]): Finding[] {
  return (it.spec.topologySpreadConstraints ?? []).flatMap(
    ({ topologyKey, minDomains = 1, whenUnsatisfiable, maxSkew = 1 }): Finding[] => {
      const [before, after] = [placesOf(it, topologyKey, here), placesOf(it, topologyKey, there)];
      if (after === 0 || whenUnsatisfiable !== 'DoNotSchedule') return [];
      // Fewer domains than asked for count as one that is empty: each place then takes no more than maxSkew.
      if (after < minDomains && replicasOf(it) > after * maxSkew)
        return [
          {
            about: about(it.object),
            severity: 'refuse',
            saw: `${after} different ${topologyKey} on the target`,
            want: `${minDomains}, as its minDomains says`,
            breaks: `${replicasOf(it) - after * maxSkew} of its pods stay Pending`,
          },
        ];
      return after === 1 && before > 1
        ? [
            {
              about: about(it.object),
              severity: 'warn',
              saw: `${topologyKey}: 1 on the target, ${before} on the source`,
              breaks: 'nothing at first; all of it goes down with that one place',
            },
          ]
        : [];
    },
  );
}
