import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';
import { holds, network, networks, nodeAddresses, overlap, pluginOf, podNetworks } from '../networks.js';
import { chooses, type LabelSelector } from '../pods.js';
import { blocksOf } from '../apis/strict-addresses.js';

/**
 * Policies are stored by every cluster and enforced by some: what Flannel ignored for years begins to bite under another
 * plug-in, or the other way round nothing holds any more. And what they allow is written in addresses and labels of the old
 * cluster.
 *
 * @source https://kubernetes.io/docs/concepts/services-networking/network-policies/
 */
export const networkPolicies: Check = {
  id: 'network-policies',
  group: 'network',
  asks: 'Do network policies hold on the target as they hold on the source?',
  before: 'data',
  severity: 'warn',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: {
    source: [POLICY(), 'ConfigMap', 'DaemonSet.apps', 'Namespace', 'Node'],
    target: ['ConfigMap', 'DaemonSet.apps', 'Namespace', 'Node'],
  },
  takes: { ConfigMap: 'named', 'DaemonSet.apps': 'named' },
  hint: {
    why: 'A policy that was never enforced may cut off what nobody knew of; one that is no longer enforced protects nothing; one that names the old cluster’s addresses or labels lets in the wrong ones.',
    fix: 'Go through each policy before the move: start without, and add them on the target one by one; name namespaces and pods by labels that move with them.',
  },
  zh: {
    asks: 'NetworkPolicy 在目标集群的效果是否与源集群相同？',
    why: '从未生效的策略可能突然切断没人注意的流量；不再生效的策略起不到保护作用；写着旧集群网段或标签的策略会放行错误的对象。',
    fix: '迁移前逐条检查：先不启用，在目标集群逐条加上；用会随之迁移的标签来选择命名空间和 Pod。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/services-networking/network-policies/',
    'AliyunContainerService/terway:docs',
    'https://github.com/flannel-io/flannel',
  ],

  look(sight) {
    const all = sight.source.list(POLICY(), sight.namespaces);
    if (all.length === 0) return [];
    return [...ofPlugin(all, sight), ...all.flatMap((it) => [...ofAddresses(it, sight), ...ofNamespaces(it, sight)])];
  },
};

function POLICY() {
  return 'NetworkPolicy.networking.k8s.io';
}

function ofPlugin(all: readonly KubeObject[], { source, target }: Sight): Finding[] {
  const [here, there] = [pluginOf(source), pluginOf(target)];
  const named = { about: 'network policies' };
  const names = some(all.map((it) => `${it.metadata.namespace}/${it.metadata.name}`));
  if (!there)
    return [
      {
        ...named,
        severity: 'warn',
        saw: `nothing tells which network plug-in the target has, and whether it enforces ${names}`,
        want: 'one that does',
      },
    ];
  if (there.policies === 'ignored')
    return [
      {
        ...named,
        severity: here?.policies === 'enforced' ? 'refuse' : 'warn',
        saw: `${there.name} on the target does not enforce them (${there.from}): ${names}`,
        want: 'a plug-in that does',
        breaks:
          here?.policies === 'enforced'
            ? 'nothing is kept out any more'
            : 'nothing: they are not enforced on the source either',
      },
    ];
  if (here?.policies === 'ignored')
    return [
      {
        ...named,
        severity: 'warn',
        saw: `${here.name} on the source never enforced them (${here.from}), ${there.name} on the target does: ${names}`,
        breaks: 'what they do not allow, and nobody noticed',
      },
    ];
  return [];
}

/** @source https://www.alibabacloud.com/help/en/slb/classic-load-balancer/user-guide/clb-health-checks: 100.64.0.0/10 */
function ofAddresses(policy: KubeObject, { source, target }: Sight): Finding[] {
  const old = [...podNetworks(source), ...networks(nodeAddresses(source.list('Node')))];
  const fresh = [...podNetworks(target), ...networks(nodeAddresses(target.list('Node')))];
  return blocksOf(policy).flatMap(({ cidr }): Finding[] => {
    const block = network(cidr);
    if (!block || !old.some((it) => overlap(it, block)) || fresh.every((it) => holds(block, it))) return [];
    return [
      {
        about: about(policy),
        severity: 'warn',
        saw: `ipBlock ${cidr} is of the source’s pods or nodes`,
        want: some(fresh.map((it) => it.cidr)),
        breaks: 'what it lets in is not there any more',
      },
    ];
  });
}

interface Rule {
  from?: { namespaceSelector?: LabelSelector }[];
  to?: Rule['from'];
}

/** Namespaces that move bring their labels; others must have them on the target already. */
function ofNamespaces(policy: KubeObject, { source, target, namespaces }: Sight): Finding[] {
  const rules = [...((policy['spec']?.ingress ?? []) as Rule[]), ...((policy['spec']?.egress ?? []) as Rule[])];
  const selectors = rules
    .flatMap((it) => [...(it.from ?? []), ...(it.to ?? [])])
    .flatMap((it) => it.namespaceSelector ?? []);
  const labelled = (it: KubeObject) => ({ 'kubernetes.io/metadata.name': it.metadata.name, ...it.metadata.labels });
  return selectors.flatMap((selector): Finding[] => {
    const meant = source
      .list('Namespace')
      .filter((it) => chooses(selector, labelled(it)))
      .map((it) => it.metadata.name);
    const lost = meant.filter((name) => {
      const there = target.get('Namespace', undefined, name);
      return there ? !chooses(selector, labelled(there)) : !namespaces.includes(name);
    });
    if (lost.length === 0) return [];
    return [
      {
        about: about(policy),
        severity: 'warn',
        saw: `its namespaceSelector chooses ${some(lost)} on the source, and not on the target`,
        want: 'the same labels there',
        breaks: 'what it lets in from there',
      },
    ];
  });
}
