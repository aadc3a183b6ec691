import { X509Certificate } from 'node:crypto';
import { type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { readyEndpoints } from '../../src/objects.js';
import { chooses, type LabelSelector } from '../pods.js';
import { some } from '../about.js';

/**
 * A webhook that must be asked and does not answer refuses everything that its rules match: the restore itself, and each pod
 * that starts later. On a fresh cluster its backend is often the last thing to come up, or waits for itself.
 *
 * @source https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
 */
export const webhooks: Check = {
  id: 'webhooks',
  group: 'admission',
  asks: 'Does every admission webhook of the target that the move meets answer?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: {
    source: ['*', 'Namespace'],
    target: [
      'ValidatingWebhookConfiguration.admissionregistration.k8s.io',
      'MutatingWebhookConfiguration.admissionregistration.k8s.io',
      'Service',
      'EndpointSlice.discovery.k8s.io',
      'Namespace',
    ],
  },
  takes: {
    '*': 'some',
    'target Service': [],
    'EndpointSlice.discovery.k8s.io': [
      'metadata.labels[kubernetes.io/service-name]',
      'endpoints.addresses',
      'endpoints.conditions',
    ],
  },
  everywhere: { target: ['Service', 'EndpointSlice.discovery.k8s.io'] },
  hint: {
    why: 'With failurePolicy Fail and nobody behind it, each create that its rules match is refused; a restore does not try again.',
    fix: 'Bring the backend up before the restore, or take the moved namespaces out by its namespaceSelector until it runs.',
  },
  zh: {
    asks: '迁移会触发的每个准入 webhook，在目标集群是否都能应答？',
    why: 'failurePolicy 为 Fail 而后端不可用时，匹配到的创建请求全部被拒绝；恢复过程不会重试。',
    fix: '先让 webhook 后端就绪，再恢复；或暂时用 namespaceSelector 排除要迁移的命名空间。',
  },
  sources: [
    'https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/',
    'https://github.com/vmware-tanzu/velero/issues/2443',
  ],

  look(sight) {
    const created = resources(sight);
    return KINDS.flatMap((kind) => sight.target.list(kind)).flatMap((configuration) =>
      ((configuration['webhooks'] ?? []) as Webhook[])
        .filter((it) => meets(it, created, sight))
        .flatMap((it) => answering(it, configuration, sight)),
    );
  },
};

const KINDS = [
  'MutatingWebhookConfiguration.admissionregistration.k8s.io',
  'ValidatingWebhookConfiguration.admissionregistration.k8s.io',
];

interface Webhook {
  name: string;
  failurePolicy?: string;
  clientConfig?: { url?: string; caBundle?: string; service?: { namespace: string; name: string } };
  rules?: { apiGroups?: string[]; resources?: string[]; operations?: string[] }[];
  namespaceSelector?: LabelSelector;
}

/** `apps/deployments`, for everything that will be created there, and pods. */
function resources({ source, namespaces }: Sight): { group: string; resource: string }[] {
  const moved = source
    .served()
    .filter((it) => (source.seen(it.group ? `${it.kind}.${it.group}` : it.kind, namespaces) ?? []).length > 0);
  return [{ group: '', resource: 'pods' }, ...moved.map(({ group, resource }) => ({ group, resource }))];
}

function meets(
  { rules = [], namespaceSelector }: Webhook,
  created: ReturnType<typeof resources>,
  { source, target, namespaces }: Sight,
): boolean {
  const matched = rules.some(
    ({ apiGroups = [], resources: names = [], operations = [] }) =>
      operations.some((it) => it === '*' || it === 'CREATE') &&
      created.some(
        ({ group, resource }) =>
          (apiGroups.includes('*') || apiGroups.includes(group)) &&
          (names.includes('*') || names.includes('*/*') || names.includes(resource)),
      ),
  );
  if (!matched || !namespaceSelector) return matched;
  return namespaces.some((name) => {
    const labels =
      (target.get('Namespace', undefined, name) ?? source.get('Namespace', undefined, name))?.metadata.labels ?? {};
    return chooses(namespaceSelector, { ...labels, 'kubernetes.io/metadata.name': name });
  });
}

function answering(it: Webhook, configuration: KubeObject, { target, today }: Sight): Finding[] {
  const must = it.failurePolicy !== 'Ignore';
  const trouble = troubleOf(it, target, today);
  if (!trouble) return [];
  const sure = must && !trouble.unsure;
  return [
    {
      about: `webhook ${it.name}`,
      severity: sure ? 'refuse' : 'warn',
      saw: `${trouble.saw} (${configuration.kind} ${configuration.metadata.name})`,
      ...(trouble.want !== undefined && { want: trouble.want }),
      breaks: must
        ? 'each create that it must be asked for is refused'
        : 'nothing is refused, but each create that it would be asked for waits for its timeout',
    },
  ];
}

interface Trouble {
  saw: string;
  want?: string;
  unsure?: boolean;
}

function troubleOf({ clientConfig }: Webhook, target: SideSight, today: string): Trouble | undefined {
  const service = clientConfig?.service;
  if (service) {
    const path = `${service.namespace}/${service.name}`;
    const whole = target.whole('Service') && target.whole('EndpointSlice.discovery.k8s.io');
    const found = target.get('Service', service.namespace, service.name);
    if (!found && !whole)
      return {
        saw: `its service ${path} may not be looked for`,
        want: 'the right to list services and endpointslices everywhere',
        unsure: true,
      };
    if (!found) return { saw: `the target has no service ${path}`, want: path };
    const slices = target
      .list('EndpointSlice.discovery.k8s.io', [service.namespace])
      .filter((one) => one.metadata.labels?.['kubernetes.io/service-name'] === service.name);
    if (readyEndpoints(slices).addresses.length === 0)
      return { saw: `no ready endpoint behind service ${path}`, want: 'one that is ready' };
  }
  const ended = expiry(clientConfig?.caBundle);
  return ended !== undefined && ended < today
    ? { saw: `the certificate that it is checked against ended on ${ended}`, want: 'a new caBundle' }
    : undefined;
}

/** The last day of the one that holds longest, as ISO date; undefined for no bundle, or one that can't be read. */
function expiry(bundle: string | undefined): string | undefined {
  const text = Buffer.from(bundle ?? '', 'base64').toString('utf8');
  const ends = [...text.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].flatMap(([pem]) => {
    try {
      return [new Date(new X509Certificate(pem).validTo).toISOString().slice(0, 10)];
    } catch {
      return [];
    }
  });
  return some(ends.sort().slice(-1)) || undefined;
}
