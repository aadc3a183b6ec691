import type { Check, Finding, SideSight, Sight } from '../../src/check.js';
import { about } from '../about.js';
import { chooses, type LabelSelector } from '../pods.js';

/**
 * What a mutating webhook adds to pods is in no file: a sidecar, a rewritten image, a default. Where the two sides have
 * different ones, pods of one template come out different.
 *
 * @source https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
 */
export const mutations: Check = {
  id: 'mutations',
  group: 'admission',
  asks: 'Do the same webhooks change pods on both sides?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [KIND(), 'Namespace'], target: [KIND(), 'Namespace'] },
  hint: {
    why: 'What a webhook of the source adds to pods (a sidecar, a mirror of the registry, a default) is missing on the target, or another one adds its own.',
    fix: 'Install what injects on the target before the workloads start, or write down in the templates what it used to add.',
  },
  zh: {
    asks: '两个集群中会修改 Pod 的 webhook 是否相同？',
    why: '源集群由 webhook 注入的内容（sidecar、镜像地址改写、默认值）在目标集群可能没有，或者被注入了别的内容。',
    fix: '在工作负载启动前，先在目标集群安装相应的注入组件；或把注入的内容写进模板。',
  },
  sources: [
    'https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/',
    'https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/',
  ],

  look(sight) {
    const [here, there] = [changing(sight.source, sight), changing(sight.target, sight)];
    return [
      ...here
        .filter((it) => !there.some((one) => one.name === it.name))
        .map((it) => finding(it, 'source', 'the target')),
      ...there
        .filter((it) => !here.some((one) => one.name === it.name))
        .map((it) => finding(it, 'target', 'the source')),
    ];
  },
};

function KIND() {
  return 'MutatingWebhookConfiguration.admissionregistration.k8s.io';
}

interface Webhook {
  name: string;
  rules?: { apiGroups?: string[]; resources?: string[] }[];
  namespaceSelector?: LabelSelector;
}

/** Webhooks of one side that see pods or workloads of the moved namespaces. */
function changing(side: SideSight, { source, namespaces }: Sight): { name: string; in: string }[] {
  const labels = namespaces.map((name) => ({
    ...(side.get('Namespace', undefined, name) ?? source.get('Namespace', undefined, name))?.metadata.labels,
    'kubernetes.io/metadata.name': name,
  }));
  return side.list(KIND()).flatMap((it) =>
    ((it['webhooks'] ?? []) as Webhook[])
      .filter(({ rules = [] }) => rules.some(touches))
      .filter(({ namespaceSelector }) => !namespaceSelector || labels.some((one) => chooses(namespaceSelector, one)))
      .map(({ name }) => ({ name, in: about(it) })),
  );
}

const TOUCHED = [
  { group: '', names: ['pods'] },
  { group: 'apps', names: ['deployments', 'statefulsets', 'daemonsets'] },
];

const touches = ({ apiGroups = [], resources = [] }: NonNullable<Webhook['rules']>[number]) =>
  TOUCHED.some(
    ({ group, names }) =>
      (apiGroups.includes('*') || apiGroups.includes(group)) &&
      resources.some((one) => names.includes(one) || one === '*' || one === '*/*'),
  );

const finding = (it: { name: string; in: string }, side: string, other: string): Finding => ({
  about: `webhook ${it.name}`,
  saw: `${it.in} of the ${side} changes pods; ${other} has none of that name`,
  breaks:
    side === 'source' ? 'pods come up without what it adds' : 'pods come up with something that they did not have',
});
