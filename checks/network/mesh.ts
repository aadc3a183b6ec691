import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';
import { workloadFields, WORKLOADS, workloads } from '../pods.js';

/**
 * Pods of a mesh get their proxy from an injector, and trust each other by a root that each cluster makes for itself. Without
 * the first they are outside the mesh; with two of the second the two clusters’ pods refuse each other.
 *
 * @source https://istio.io/latest/docs/ops/deployment/deployment-models/, https://linkerd.io/2/features/proxy-injection/
 */
export const mesh: Check = {
  id: 'mesh',
  group: 'network',
  asks: 'Is the mesh that moved pods are in on the target too, with the same root of trust?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: {
    source: [...WORKLOADS, 'Namespace', 'ConfigMap'],
    target: ['MutatingWebhookConfiguration.admissionregistration.k8s.io', 'ConfigMap'],
  },
  takes: {
    ...workloadFields([
      'metadata.labels',
      'metadata.annotations[sidecar.istio.io/inject]',
      'metadata.annotations[linkerd.io/inject]',
    ]),
    ConfigMap: (it) => (it.metadata.name === 'istio-ca-root-cert' ? it : undefined),
  },
  hint: {
    why: 'Without its injector on the target a pod starts outside the mesh: strict peers refuse it, and its routes and policies do not apply. Under another root certificate the two sides’ pods do not trust each other.',
    fix: 'Install the mesh on the target first, with an intermediate of the same root and the revision that the labels name.',
  },
  zh: {
    asks: '要迁移的 Pod 所在的服务网格，目标集群是否也有，且信任同一个根证书？',
    why: '目标集群没有注入器时，Pod 会在网格之外启动：严格 mTLS 的服务会拒绝它，路由和策略也不生效；根证书不同，两侧的 Pod 互不信任。',
    fix: '先在目标集群安装网格，使用同一根证书签发的中间证书和标签中指定的版本（revision）。',
  },
  sources: [
    'https://istio.io/latest/docs/ops/deployment/deployment-models/',
    'https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/',
    'https://linkerd.io/2/features/proxy-injection/',
  ],

  look: (sight) => [...MESHES.flatMap((it) => injection(it, sight)), ...root(sight)],
};

interface Mesh {
  name: string;
  /** part of the name of its injector's webhook */
  hook: RegExp;
  asks(labels: Record<string, string>, annotations: Record<string, string>): boolean;
}

const MESHES: readonly Mesh[] = [
  {
    name: 'Istio',
    hook: /(sidecar-injector\.istio\.io|\.istio\.io)$/,
    asks: (labels, annotations) =>
      labels['istio-injection'] === 'enabled' ||
      labels['istio.io/rev'] !== undefined ||
      labels['sidecar.istio.io/inject'] === 'true' ||
      annotations['sidecar.istio.io/inject'] === 'true',
  },
  {
    name: 'Linkerd',
    hook: /linkerd\.io$/,
    asks: (_labels, annotations) => annotations['linkerd.io/inject'] === 'enabled',
  },
];

function injection({ name, hook, asks }: Mesh, { source, target, namespaces }: Sight): Finding[] {
  const users = [
    ...source
      .list('Namespace')
      .filter(
        (it) => namespaces.includes(it.metadata.name) && asks(it.metadata.labels ?? {}, it.metadata.annotations ?? {}),
      ),
    ...workloads(source, namespaces)
      .filter((it) => asks(it.labels, it.annotations))
      .map((it) => it.object),
  ];
  if (users.length === 0) return [];
  const hooks = target
    .list('MutatingWebhookConfiguration.admissionregistration.k8s.io')
    .flatMap((it) => ((it['webhooks'] ?? []) as { name: string }[]).map((one) => one.name));
  if (hooks.some((it) => hook.test(it))) return [];
  return [
    {
      about: name,
      severity: 'refuse',
      saw: `${some(users.map(about))} ask for its proxy; the target has no injector of ${name}`,
      want: `${name} on the target`,
      breaks: 'their pods start outside the mesh',
    },
  ];
}

const ROOT = 'istio-ca-root-cert';

/** Istio writes its root into every namespace; it is public. */
function root({ source, target, namespaces }: Sight): Finding[] {
  const [here, there] = [rootOf(source, namespaces), rootOf(target, undefined)];
  if (here === undefined || there === undefined || here === there) return [];
  return [
    {
      about: 'mesh root',
      severity: 'warn',
      saw: `ConfigMaps ${ROOT} of the two sides differ`,
      want: 'one root certificate',
      breaks: 'calls between pods of the two clusters, as long as both run',
    },
  ];
}

const rootOf = (side: SideSight, namespaces: readonly string[] | undefined): string | undefined =>
  side
    .list('ConfigMap', namespaces)
    .filter((it: KubeObject) => it.metadata.name === ROOT)
    .map((it): string | undefined => it['data']?.['root-cert.pem'])[0]
    ?.trim();
