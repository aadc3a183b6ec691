import type { Check, Finding } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';
import { fronts } from '../fronts.js';

/**
 * A GitOps controller puts back what differs from its repository: a weight, a replica count, an annotation that a step of
 * the plan has written. It does so minutes later, when nobody looks any more.
 *
 * @source https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
 * @source https://fluxcd.io/flux/components/kustomize/kustomizations/
 */
export const gitopsOwner: Check = {
  id: 'gitops-owner',
  group: 'workloads',
  asks: 'Does anything else keep the moved Services and Deployments as its repository says?',
  before: 'traffic',
  severity: 'warn',
  reads: {
    source: ['Service', 'Deployment.apps', 'StatefulSet.apps'],
    target: ['Service', 'Deployment.apps', 'StatefulSet.apps'],
  },
  takes: { Service: 'named', 'Deployment.apps': 'each', 'StatefulSet.apps': 'each' },
  hint: {
    why: 'It puts weights and replica counts back, in the middle of a step or long after it.',
    fix: 'Argo CD: ignoreDifferences for these fields, or no self-heal during the move. Flux: `flux suspend kustomization NAME`, or the annotation kustomize.toolkit.fluxcd.io/reconcile: disabled.',
  },
  zh: {
    asks: '被迁移的 Service 和 Deployment 是否还由 GitOps 工具维护？',
    why: 'GitOps 会按仓库内容把权重和副本数改回去，可能在某一步进行中，也可能在很久以后。',
    fix: 'Argo CD：为这些字段配置 ignoreDifferences，或迁移期间关闭 selfHeal；Flux：flux suspend kustomization 名称，或加注解 kustomize.toolkit.fluxcd.io/reconcile: disabled。',
  },
  sources: [
    'https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/',
    'https://fluxcd.io/flux/components/kustomize/kustomizations/',
  ],

  look(sight) {
    const asked = new Set(fronts(sight).map((it) => it.asked.service));
    return (['source', 'target'] as const).flatMap((side) =>
      [
        ...sight[side]
          .list('Service', sight.namespaces)
          .filter((it) => asked.has(`${it.metadata.namespace}/${it.metadata.name}`)),
        ...['Deployment.apps', 'StatefulSet.apps'].flatMap((kind) => sight[side].list(kind, sight.namespaces)),
      ].flatMap((it) => owned(it, side)),
    );
  },
};

/** `app.kubernetes.io/instance` is Argo CD's default label and Helm's as well, so it proves nothing. */
const MARKS: Record<string, string> = {
  'argocd.argoproj.io/tracking-id': 'Argo CD',
  'argocd.argoproj.io/instance': 'Argo CD',
  'kustomize.toolkit.fluxcd.io/name': 'Flux',
  'helm.toolkit.fluxcd.io/name': 'Flux',
};

const MANAGERS: Record<string, string> = {
  'argocd-controller': 'Argo CD',
  'argocd-application-controller': 'Argo CD',
  'kustomize-controller': 'Flux',
  'helm-controller': 'Flux',
};

const RESTS = 'kustomize.toolkit.fluxcd.io/reconcile';

function owned(object: KubeObject, side: 'source' | 'target'): Finding[] {
  const { labels = {}, annotations = {}, managedFields = [] } = object.metadata;
  if (annotations[RESTS] === 'disabled') return [];
  const all: Record<string, string> = { ...labels, ...annotations };
  const mark = Object.keys(MARKS).find((it) => it in all);
  const manager = managedFields.map((it) => it.manager ?? '').find((it) => it in MANAGERS);
  if (mark === undefined && manager === undefined) return [];
  const who =
    mark !== undefined
      ? `${MARKS[mark]}: ${mark}=${all[mark]}`
      : `${MANAGERS[manager ?? '']}: field manager ${manager}`;
  return [
    {
      about: side === 'source' ? about(object) : `target ${about(object)}`,
      saw: who,
      breaks: 'what a step writes there may be put back',
    },
  ];
}
