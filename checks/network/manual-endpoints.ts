import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';

/**
 * Endpoints are made again by controllers, so the move leaves them out. Those that a person made for a Service without a
 * selector nobody makes again.
 *
 * @source https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors
 */
export const manualEndpoints: Check = {
  id: 'manual-endpoints',
  group: 'network',
  asks: 'Does each Service without a selector have its endpoints on the target?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: ['Service', 'Endpoints'], target: ['Endpoints'] },
  takes: { Service: 'each', Endpoints: ['subsets.addresses.ip'] },
  hint: {
    why: 'Endpoints do not travel: the Service comes without the addresses behind it, and calls to it fail.',
    fix: 'Create the Endpoints on the target by hand: `kubectl get endpoints NAME -o yaml` shows what they hold.',
  },
  zh: {
    asks: '没有 selector 的 Service，其 Endpoints 目标集群是否已有？',
    why: 'Endpoints 不会被迁移：Service 恢复后没有后端地址，调用会失败。',
    fix: '在目标集群手工创建同名 Endpoints；用 kubectl get endpoints 名称 -o yaml 查看内容。',
  },
  sources: ['https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors'],

  look: (sight) =>
    sight.source
      .list('Service', sight.namespaces)
      .flatMap((it) => (it['spec']?.type === 'ExternalName' ? outside(it) : handMade(it, sight))),
};

function handMade(service: KubeObject, { source, target }: Sight): Finding[] {
  if (Object.keys(service['spec']?.selector ?? {}).length > 0) return [];
  const { namespace, name } = service.metadata;
  const addresses = addressesOf(source.get('Endpoints', namespace, name));
  if (addresses.length === 0 || addressesOf(target.get('Endpoints', namespace, name)).length > 0) return [];
  return [
    {
      about: about(service),
      severity: 'refuse',
      saw: `it has no selector, and endpoints made by hand: ${some(addresses)}`,
      want: 'the same on the target',
      breaks: 'calls to it',
    },
  ];
}

const addressesOf = (endpoints: KubeObject | undefined): string[] =>
  ((endpoints?.['subsets'] ?? []) as { addresses?: { ip: string }[] }[])
    .flatMap((it) => it.addresses ?? [])
    .map((it) => it.ip);

/** A name inside a cluster is that cluster's own. */
function outside(service: KubeObject): Finding[] {
  const name = String(service['spec']?.externalName ?? '');
  return /\.svc(\.|$)/.test(name) && !name.endsWith('.svc.cluster.local')
    ? [
        {
          about: about(service),
          severity: 'warn',
          saw: `it leads to ${name}`,
          want: 'a name that the target knows',
          breaks: 'nothing, if the target has the same domain and that Service',
        },
      ]
    : [];
}
