import { Unknown, type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { isProbe } from '../../src/gates.js';
import { about } from '../about.js';
import { annotation } from '../annotations.js';
import { balancerOf, fronts, type Front } from '../fronts.js';
import { containers, WORKLOADS, workloads, EACH_WORKLOAD } from '../pods.js';

/**
 * Every mode of kube-proxy catches what pods and nodes send to an address in `status.loadBalancer.ingress` and hands it to
 * the endpoints of its own cluster: the load balancer never sees it. A caller inside stays where it is at any share, and is
 * refused on the target while the Service there has no ready pod.
 *
 * @source KEP-1860, kubernetes/kubernetes:pkg/proxy/iptables/proxier.go
 */
export const inClusterCallers: Check = {
  id: 'in-cluster-callers',
  group: 'load-balancing',
  asks: 'Do workloads inside the clusters call the shared address?',
  before: 'traffic',
  severity: 'warn',
  when: ['cloud', 'traffic'],
  reads: {
    source: ['Service', 'ConfigMap', ...WORKLOADS],
    target: ['Service', 'ConfigMap', ...WORKLOADS],
    cloud: true,
  },
  takes: { ...EACH_WORKLOAD, ConfigMap: 'each', Service: 'named' },
  hint: {
    why: 'kube-proxy short-circuits the address of the load balancer: such callers stay in their own cluster at any share, past its weights, ACLs and TLS.',
    fix: 'Let them call the Service by its cluster name; or publish no address (annotation …-loadbalancer-hostname, or ipMode: Proxy from 1.32).',
  },
  zh: {
    asks: '集群内是否有工作负载直接访问共享负载均衡的地址？',
    why: 'kube-proxy 会在集群内截获发往负载均衡地址的流量：无论权重是多少，这类调用都留在本集群，也绕过了负载均衡上的权重、ACL 和 TLS。',
    fix: '改为用 Service 的集群内域名访问；或不对外发布 IP（注解 …-loadbalancer-hostname，1.32 起也可用 ipMode: Proxy）。',
  },
  sources: [
    'KEP-1860 (kubernetes/enhancements)',
    'https://github.com/kubernetes/kubernetes/issues/59976',
    'kubernetes/kubernetes:pkg/proxy/iptables/proxier.go',
  ],

  look(sight) {
    const known = fronts(sight).map((front) => ({ front, addresses: addressesOf(front, sight) }));
    return (['source', 'target'] as const).flatMap((side) => {
      const caught = known
        .filter(({ front }) => !isLetThrough(front[side] ?? front.source))
        .flatMap(({ front, addresses }) => addresses.map((address) => ({ front, address })));
      return caught.flatMap(({ front, address }) =>
        callers(sight[side], address).map((it) => finding(side, it, front, address)),
      );
    });
  },
};

/** The load balancer's own, and what the Services show; plus the names at which the playbook probes it. */
function addressesOf(front: Front, sight: Sight): string[] {
  const ingress = [front.source, front.target].flatMap(
    (it): { ip?: string; hostname?: string }[] => it?.['status']?.loadBalancer?.ingress ?? [],
  );
  const shown = ingress.flatMap((it) => [it.ip ?? [], it.hostname ?? []].flat());
  const own = shown.length === 0 ? balancerOf(front, sight)?.address : balancerIfSeen(front, sight);
  const probed = sight.playbook.traffic?.gates.filter(isProbe).map((it) => new URL(it.probe).hostname) ?? [];
  return [...new Set([own ?? '', ...shown, ...probed])].filter((it) => it !== '');
}

function balancerIfSeen(front: Front, sight: Sight): string | undefined {
  try {
    return balancerOf(front, sight)?.address;
  } catch (error) {
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}

/** A Service that publishes no address is not caught. @source KEP-1860 */
function isLetThrough(service: KubeObject | undefined): boolean {
  if (annotation(service, 'hostname')) return true;
  const ingress: { ip?: string; ipMode?: string }[] = service?.['status']?.loadBalancer?.ingress ?? [];
  return ingress.length > 0 && ingress.every((it) => it.ip === undefined || it.ipMode === 'Proxy');
}

interface Caller {
  object: KubeObject;
  /** where in it the address stands, without its surroundings: they may hold a password */
  at: string;
}

function callers(side: SideSight, address: string): Caller[] {
  const pattern = new RegExp(`(?<![\\w.-])${address.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\w-]|\\.\\w)`);
  const inPods = workloads(side).flatMap(({ object, spec }) => {
    const places = containers(spec).flatMap((it) => [
      ...(it.env ?? []).map(({ name, value }) => [`env ${name}`, value ?? ''] as const),
      ...[...(it.command ?? []), ...(it.args ?? [])].map((text) => [`the arguments of ${it.name}`, text] as const),
    ]);
    const found = places.find(([, text]) => pattern.test(text));
    return found ? [{ object, at: found[0] }] : [];
  });
  const inMaps = side.list('ConfigMap').flatMap((object) => {
    const found = Object.entries(object['data'] ?? {}).find(
      ([, text]) => typeof text === 'string' && pattern.test(text),
    );
    return found ? [{ object, at: `key ${found[0]}` }] : [];
  });
  return [...inPods, ...inMaps];
}

const finding = (side: 'source' | 'target', { object, at }: Caller, { asked }: Front, address: string): Finding => ({
  about: side === 'source' ? about(object) : `target ${about(object)}`,
  saw: `${at} names ${address}, the address of ${asked.service}`,
  breaks: 'it stays in its own cluster at any share',
});
