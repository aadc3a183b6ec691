import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';
import { annotation } from '../annotations.js';
import { isRewritten, volumesOfClaims } from '../disks.js';
import { matches, matchesAny, matchesTerm, mayRunOn, requiredTerms, selectorOf, usableNodes } from '../nodes.js';
import {
  WORKLOADS,
  workloads,
  type NodeExpression,
  type NodeTerm,
  type PodSpec,
  type Workload,
  EACH_WORKLOAD,
} from '../pods.js';

/**
 * A list of deprecated labels proves little: most of the old ones are still set, and what breaks is values, such as names
 * of nodes, ids of node pools and zones. So every requirement is put to the labels of the target's own nodes.
 *
 * @source https://kubernetes.io/docs/reference/labels-annotations-taints/
 * @source https://www.reddit.com/r/RedditEng/comments/11xx5o0/you_broke_reddit_the_piday_outage/
 */
export const nodeLabels: Check = {
  id: 'node-labels',
  group: 'labels',
  asks: 'Is there a node on the target for every label that workloads, volumes and Services ask of nodes?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: {
    source: [...WORKLOADS, 'Service', 'PersistentVolumeClaim', 'PersistentVolume'],
    target: ['Node', 'StorageClass.storage.k8s.io'],
  },
  takes: { ...EACH_WORKLOAD, Service: 'each' },
  hint: {
    why: 'A pod whose selector no node meets stays Pending; a Service whose backend-label no node carries has no members.',
    fix: 'Label the target nodes, or change key or value in the workload; values such as node names and pool ids belong to one cluster.',
  },
  zh: {
    asks: '工作负载、存储卷和 Service 要求的每个节点标签，目标集群是否有节点满足？',
    why: '没有节点满足选择条件的 Pod 会一直 Pending；backend-label 匹配不到节点的 Service 没有任何后端。',
    fix: '给目标节点补上标签，或修改工作负载中的键和值；节点名、节点池 ID 之类的值只属于一个集群，不能照搬。',
  },
  sources: [
    'https://kubernetes.io/docs/reference/labels-annotations-taints/',
    'https://github.com/kubernetes/kubeadm/issues/2200',
    'kubernetes-sigs/alibaba-cloud-csi-driver:pkg/disk',
  ],

  look(sight) {
    const nodes = usableNodes(sight.target);
    if (nodes.length === 0)
      return [
        { about: 'target nodes', saw: 'no node is Ready and takes pods', fix: 'Bring the target’s nodes up first.' },
      ];
    return [
      ...workloads(sight.source, sight.namespaces).flatMap((it) => ofPods(it, nodes)),
      ...ofVolumes(sight, nodes),
      ...ofClasses(sight, nodes),
      ...ofServices(sight, nodes),
    ];
  },
};

function ofPods({ object, spec }: Workload, nodes: readonly KubeObject[]): Finding[] {
  const found: Finding[] = [];
  if (!nodes.some((node) => mayRunOn(spec, node)))
    found.push({ about: about(object), ...whyNone(spec, nodes), breaks: 'its pods stay Pending' });
  return [...found, ...ofTopology(about(object), spec, nodes)];
}

/** The one requirement that no node meets, or that none meets all of them together. */
function whyNone(spec: PodSpec, nodes: readonly KubeObject[]): { saw: string; want: string } {
  const unmet = selectorOf(spec).find((it) => !nodes.some((node) => matches(node, it)));
  if (unmet) return { saw: labelSeen(unmet, nodes), want: words(unmet) };
  const terms = requiredTerms(spec);
  if (terms && !nodes.some((node) => matchesAny(node, terms))) return whyNoTerm(terms, nodes);
  const alternatives = terms ? [terms.map(termWords).join(', or ')] : [];
  return {
    saw: 'no single node has all of these labels',
    want: [...selectorOf(spec).map(words), ...alternatives].join(', and '),
  };
}

function whyNoTerm(terms: readonly NodeTerm[], nodes: readonly KubeObject[]): { saw: string; want: string } {
  const unmet = terms.flatMap((it) => it.matchExpressions ?? []).find((it) => !nodes.some((node) => matches(node, it)));
  return {
    saw: unmet ? labelSeen(unmet, nodes) : `no node of ${some(nodes.map((it) => it.metadata.name))}`,
    want: terms.map(termWords).join(', or ') || 'a term: an empty list matches no node',
  };
}

const words = ({ key, operator, values = [] }: NodeExpression): string => {
  if (operator === 'In') return values.length === 1 ? `${key}=${values[0]}` : `${key} one of ${values.join(', ')}`;
  return `${key} ${operator}${values.length > 0 ? ` ${values.join(', ')}` : ''}`;
};

const termWords = ({ matchExpressions = [], matchFields = [] }: NodeTerm) =>
  [...matchExpressions, ...matchFields].map(words).join(' and ');

function labelSeen({ key }: NodeExpression, nodes: readonly KubeObject[]): string {
  const values = [...new Set(nodes.flatMap((it) => it.metadata.labels?.[key] ?? []))].sort();
  return values.length === 0 ? `no target node has the label ${key}` : `on the target ${key} is ${some(values)}`;
}

/** Spreading and (anti-)affinity over a key that no node has: pods pend, or the rule is void. */
function ofTopology(name: string, spec: PodSpec, nodes: readonly KubeObject[]): Finding[] {
  const lacking = (key: string) => !nodes.some((it) => it.metadata.labels?.[key] !== undefined);
  const found = (key: string, rule: string, breaks: string, severity: 'warn' | 'refuse'): Finding => ({
    about: name,
    severity,
    saw: `no target node has the label ${key}, which ${rule} names`,
    want: key,
    breaks,
  });
  const spread = (spec.topologySpreadConstraints ?? []).filter(
    (it) => it.whenUnsatisfiable === 'DoNotSchedule' && lacking(it.topologyKey),
  );
  const together = (spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).filter((it) =>
    lacking(it.topologyKey),
  );
  const apart = (spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).filter((it) =>
    lacking(it.topologyKey),
  );
  return [
    ...spread.map((it) => found(it.topologyKey, 'topologySpreadConstraints', 'its pods stay Pending', 'refuse')),
    ...together.map((it) => found(it.topologyKey, 'podAffinity', 'its pods stay Pending', 'refuse')),
    ...apart.map((it) => found(it.topologyKey, 'podAntiAffinity', 'nothing keeps its pods apart any more', 'warn')),
  ];
}

/** Volumes that come over as they are; those of copied disks get a new zone on the way. */
function ofVolumes(sight: Sight, nodes: readonly KubeObject[]): Finding[] {
  return volumesOfClaims(sight)
    .flatMap(({ volume }) => (volume && !isRewritten(volume, sight) ? [volume] : []))
    .flatMap((volume) => {
      const terms: NodeTerm[] | undefined = volume['spec']?.nodeAffinity?.required?.nodeSelectorTerms;
      if (nodes.some((it) => matchesAny(it, terms))) return [];
      return [{ about: about(volume), ...whyNoTerm(terms ?? [], nodes), breaks: 'pods that use it stay Pending' }];
    });
}

interface Topology {
  matchLabelExpressions?: { key: string; values: string[] }[];
}

/** The classes that claims will have on the target. */
function ofClasses({ source, target, namespaces, playbook }: Sight, nodes: readonly KubeObject[]): Finding[] {
  const used = new Set(
    source.list('PersistentVolumeClaim', namespaces).map((it) => {
      const name: string = it['spec']?.storageClassName ?? '';
      return playbook.data?.storageClasses[name] ?? name;
    }),
  );
  return target
    .list('StorageClass.storage.k8s.io')
    .filter((it) => used.has(it.metadata.name))
    .flatMap((it) => {
      const allowed: Topology[] = it['allowedTopologies'] ?? [];
      const terms = allowed.map((one): NodeTerm => ({
        matchExpressions: (one.matchLabelExpressions ?? []).map((label) => ({ ...label, operator: 'In' })),
      }));
      if (terms.length === 0 || nodes.some((node) => terms.some((term) => matchesTerm(node, term)))) return [];
      return [
        {
          about: about(it),
          ...whyNoTerm(terms, nodes),
          breaks: 'volumes of this class are made where no node can use them',
        },
      ];
    });
}

/** `k1=v1,k2=v2`, all of them. @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/helper/node_utils.go */
function ofServices({ source, namespaces }: Sight, nodes: readonly KubeObject[]): Finding[] {
  return source.list('Service', namespaces).flatMap((it) => {
    const text = annotation(it, 'backend-label') ?? '';
    if (text === '') return [];
    const wanted = text.split(',').map((pair): NodeExpression => {
      const [key = '', ...value] = pair.split('=');
      return { key, operator: 'In', values: [value.join('=')] };
    });
    if (nodes.some((node) => wanted.every((one) => matches(node, one)))) return [];
    const unmet = wanted.find((one) => !nodes.some((node) => matches(node, one)));
    return [
      {
        about: about(it),
        saw: unmet ? labelSeen(unmet, nodes) : 'no single node has all of these labels',
        want: `${text}, as …-loadbalancer-backend-label says`,
        breaks: 'the target brings no members',
      },
    ];
  });
}
