import type { Check, Finding, Severity, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';
import { requiredTerms } from '../nodes.js';
import { WORKLOADS, workloads, type Workload, EACH_WORKLOAD } from '../pods.js';

/**
 * Keys whose meaning ended between the two versions. Nothing refuses them: a pod starts, without the confinement,
 * the priority or the place that the key used to give it.
 *
 * @source kubernetes/website:content/en/docs/reference/labels-annotations-taints/_index.md
 */
export const removedLabels: Check = {
  id: 'removed-labels',
  group: 'labels',
  asks: 'Do all labels and annotations still mean on the target what they mean on the source?',
  before: 'data',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: [...WORKLOADS, 'Service', 'PersistentVolumeClaim'] },
  takes: { ...EACH_WORKLOAD, Service: 'each' },
  hint: {
    why: 'A key that the newer version no longer heeds is kept and does nothing: no error, no event.',
    fix: 'Write down in its successor what the key said, before the move; both versions take most of the successors.',
  },
  zh: {
    asks: '所有标签和注解在目标版本中是否仍保持原来的含义？',
    why: '新版本不再识别的键会原样保留，但不起任何作用，既不报错也没有事件。',
    fix: '迁移前改用对应的新字段或新标签；大多数新写法在两个版本中都有效。',
  },
  sources: [
    'kubernetes/website:content/en/docs/reference/labels-annotations-taints/_index.md',
    'KEP-2067 (control-plane label and taint)',
    'kubernetes/kubernetes:pkg/apis/core/v1/helper/helpers.go',
  ],

  look(sight) {
    const [from, to] = [sight.source.minor(), sight.target.minor()];
    // Where the source does not heed the key either, the move changes nothing; what is only deprecated is worth a word anyway.
    const rows = ROWS.filter((it) => (it.gone === undefined ? it.deprecated <= to : from < it.gone && it.gone <= to));
    return [
      ...workloads(sight.source, sight.namespaces).flatMap((it) => ofWorkload(it, rows)),
      ...ofObjects('Service', sight, rows),
      ...ofObjects('PersistentVolumeClaim', sight, rows),
    ];
  },
};

interface Row {
  key: string;
  /** the key is only the beginning of the name */
  prefix?: true;
  on: 'node' | 'toleration' | 'pod' | 'Service' | 'PersistentVolumeClaim';
  /** minor in which it was deprecated */
  deprecated: number;
  /** first minor that does not set or heed it; undefined while it is still heeded */
  gone?: number;
  severity: Severity;
  instead: string;
  breaks: string;
}

const ROWS: readonly Row[] = [
  {
    key: 'node-role.kubernetes.io/master',
    on: 'node',
    deprecated: 20,
    gone: 24,
    severity: 'refuse',
    instead: 'node-role.kubernetes.io/control-plane, or a term for either',
    breaks: 'kubeadm sets the label no more: its pods stay Pending',
  },
  {
    key: 'node-role.kubernetes.io/master',
    on: 'toleration',
    deprecated: 20,
    gone: 25,
    severity: 'warn',
    instead: 'a second toleration, of node-role.kubernetes.io/control-plane',
    breaks: 'it no longer lands on control planes, whose taint has the new name from 1.24',
  },
  {
    key: 'beta.kubernetes.io/os',
    on: 'node',
    deprecated: 14,
    severity: 'warn',
    instead: 'kubernetes.io/os',
    breaks: 'nothing yet: kubelets of 1.37 still set it',
  },
  {
    key: 'beta.kubernetes.io/arch',
    on: 'node',
    deprecated: 14,
    severity: 'warn',
    instead: 'kubernetes.io/arch',
    breaks: 'nothing yet: kubelets of 1.37 still set it',
  },
  {
    key: 'beta.kubernetes.io/instance-type',
    on: 'node',
    deprecated: 17,
    severity: 'warn',
    instead: 'node.kubernetes.io/instance-type',
    breaks: 'nothing yet: cloud controllers set both',
  },
  {
    key: 'failure-domain.beta.kubernetes.io/zone',
    on: 'node',
    deprecated: 17,
    severity: 'warn',
    instead: 'topology.kubernetes.io/zone',
    breaks: 'nothing where a cloud controller sets both',
  },
  {
    key: 'failure-domain.beta.kubernetes.io/region',
    on: 'node',
    deprecated: 17,
    severity: 'warn',
    instead: 'topology.kubernetes.io/region',
    breaks: 'nothing where a cloud controller sets both',
  },
  {
    key: 'service.alpha.kubernetes.io/tolerate-unready-endpoints',
    on: 'Service',
    deprecated: 11,
    gone: 24,
    severity: 'refuse',
    instead: 'spec.publishNotReadyAddresses: true',
    breaks: 'peers that look for each other before they are ready find nobody, and never become ready',
  },
  {
    key: 'spec.topologyKeys',
    on: 'Service',
    deprecated: 21,
    gone: 22,
    severity: 'warn',
    instead: 'spec.trafficDistribution, or spec.internalTrafficPolicy: Local',
    breaks: 'the field is dropped and traffic spreads over the whole cluster',
  },
  {
    key: 'seccomp.security.alpha.kubernetes.io/pod',
    on: 'pod',
    deprecated: 19,
    gone: 27,
    severity: 'warn',
    instead: 'securityContext.seccompProfile',
    breaks: 'its pods run unconfined',
  },
  {
    key: 'container.seccomp.security.alpha.kubernetes.io/',
    prefix: true,
    on: 'pod',
    deprecated: 19,
    gone: 27,
    severity: 'warn',
    instead: 'securityContext.seccompProfile of the container',
    breaks: 'that container runs unconfined',
  },
  {
    key: 'scheduler.alpha.kubernetes.io/critical-pod',
    on: 'pod',
    deprecated: 13,
    gone: 16,
    severity: 'warn',
    instead: 'priorityClassName: system-cluster-critical',
    breaks: 'its pods are evicted like any other',
  },
  {
    key: 'container.apparmor.security.beta.kubernetes.io/',
    prefix: true,
    on: 'pod',
    deprecated: 30,
    severity: 'warn',
    instead: 'securityContext.appArmorProfile',
    breaks: 'nothing yet, if the profile is loaded on the target’s nodes',
  },
  {
    key: 'volume.beta.kubernetes.io/storage-class',
    on: 'PersistentVolumeClaim',
    deprecated: 6,
    severity: 'warn',
    instead: 'spec.storageClassName',
    breaks: 'nothing by itself: it wins over the field, also over one that a mapping has changed',
  },
];

const finding = (name: string, row: Row, key: string): Finding => ({
  about: name,
  severity: row.severity,
  saw: `${PLACES[row.on]} ${key}, ${row.gone === undefined ? `deprecated since 1.${row.deprecated}` : `without effect from 1.${row.gone}`}`,
  want: row.instead,
  breaks: row.breaks,
});

const PLACES: Record<Row['on'], string> = {
  node: 'selects nodes by',
  toleration: 'tolerates only',
  pod: 'pod annotation',
  Service: 'has',
  PersistentVolumeClaim: 'annotation',
};

function ofWorkload(it: Workload, rows: readonly Row[]): Finding[] {
  const { spec, annotations, object } = it;
  const nodeKeys = [
    ...Object.keys(spec.nodeSelector ?? {}),
    ...(requiredTerms(spec) ?? []).flatMap((term) => term.matchExpressions ?? []).map((expression) => expression.key),
  ];
  const tolerated = (spec.tolerations ?? []).flatMap((one) => one.key ?? []);
  const name = about(object);
  return rows.flatMap((row) => {
    if (row.on === 'node')
      return nodeKeys.includes(row.key) && !hasSuccessor(row, nodeKeys) ? [finding(name, row, row.key)] : [];
    if (row.on === 'toleration')
      return tolerated.includes(row.key) && !tolerated.includes(CONTROL_PLANE) ? [finding(name, row, row.key)] : [];
    if (row.on === 'pod') return keysLike(row, annotations).map((key) => finding(name, row, key));
    return [];
  });
}

const CONTROL_PLANE = 'node-role.kubernetes.io/control-plane';

/** Terms for either role work on both sides. */
const hasSuccessor = (row: Row, keys: readonly string[]) =>
  row.key === 'node-role.kubernetes.io/master' && keys.includes(CONTROL_PLANE);

const keysLike = ({ key, prefix }: Row, annotations: Record<string, string>) =>
  Object.keys(annotations).filter((it) => (prefix ? it.startsWith(key) : it === key));

function ofObjects(
  kind: 'Service' | 'PersistentVolumeClaim',
  { source, namespaces }: Sight,
  rows: readonly Row[],
): Finding[] {
  const mine = rows.filter((it) => it.on === kind);
  return source
    .list(kind, namespaces)
    .flatMap((it) => mine.filter((row) => carries(it, row)).map((row) => finding(about(it), row, row.key)));
}

const carries = (object: KubeObject, { key }: Row) =>
  key === 'spec.topologyKeys'
    ? (object['spec']?.topologyKeys?.length ?? 0) > 0
    : object.metadata.annotations?.[key] !== undefined;
