import type { ClusterInventory } from '../inventory.js';
import { hostOf } from '../dns.js';
import { splitPath } from '../objects.js';
import type { Playbook, TrafficService } from '../playbook.js';
import type { KubeObject } from '../ports.js';
import type { ClientSeed, TwinObject } from '../twin/types.js';

/** Clients that a captured world gets where its services are reached by rules of their requests, not by a load balancer's listener. */

const INGRESS = 'Ingress.networking.k8s.io';
const HTTP_ROUTE = 'HTTPRoute.gateway.networking.k8s.io';
const GATEWAY = 'Gateway.gateway.networking.k8s.io';

export const crowdsFor = ({ traffic }: Playbook, source: ClusterInventory, perSecond: number): ClientSeed[] =>
  (traffic?.services ?? []).flatMap((it) => crowdFor(it, source, perSecond) ?? []);

function crowdFor(it: TrafficService, source: ClusterInventory, perSecond: number): ClientSeed | undefined {
  const { namespace, name } = splitPath(it.service);
  const common = { name: it.service, cluster: 'source' as const, perSecond };
  const [first] = (find(source, 'Service', namespace, name)?.['spec']?.ports ?? []) as { port: number }[];
  const firstPort = first?.port ?? 80;
  switch (it.router) {
    case 'ingress': {
      const rules = (find(source, INGRESS, namespace, it.ingress)?.['spec']?.rules ?? []) as Rule[];
      const rule = rules.find((one) => pathTo(one, name) !== undefined);
      return rule && { ...common, via: 'ingress', host: rule.host ?? '', path: pathTo(rule, name) ?? '/' };
    }
    case 'gateway': {
      const route = find(source, HTTP_ROUTE, namespace, it.route);
      const [gateway] = gatewaysOf(route);
      const host = String(route?.['spec']?.hostnames?.[0] ?? 'any').replace('*', 'any');
      return gateway === undefined ? undefined : { ...common, via: 'gateway', host, gateway };
    }
    case 'istio': {
      const port = it.port ?? firstPort;
      const host = `${name}.${namespace}.svc.cluster.local`;
      return { ...common, via: 'istio', host, port, ...(it.clusters && { clusters: it.clusters }) };
    }
    case 'mcs':
      return { ...common, via: 'service', service: it.service, port: firstPort };
    case 'fsm':
      return { ...common, via: 'mesh', service: it.service, port: firstPort };
    case 'exec':
      return { name: it.service, perSecond, via: 'balancer', service: it.service, port: firstPort };
    case 'dns':
      return { name: it.service, perSecond, via: 'dns', host: hostOf(it), port: firstPort };
    default:
      return undefined;
  }
}

/** Gateways in namespaces that nobody looked at: the routes that were seen name them, and so they are there. */
export function gatewaysBeside({ traffic }: Playbook, source: ClusterInventory): TwinObject[] {
  const known = new Set((source.objects[GATEWAY] ?? []).map((it) => `${it.metadata.namespace}/${it.metadata.name}`));
  const named = (traffic?.services ?? []).flatMap((it) =>
    it.router === 'gateway' ? gatewaysOf(find(source, HTTP_ROUTE, splitPath(it.service).namespace, it.route)) : [],
  );
  return [...new Set(named)]
    .filter((it) => !known.has(it))
    .map((it) => ({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: splitPath(it),
      spec: { gatewayClassName: 'seen', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
    }));
}

const find = (source: ClusterInventory, kind: string, namespace: string, name: string): KubeObject | undefined =>
  (source.objects[kind] ?? []).find((it) => it.metadata.namespace === namespace && it.metadata.name === name);

/** `namespace/name` */
const gatewaysOf = (route: KubeObject | undefined): string[] =>
  ((route?.['spec']?.parentRefs ?? []) as { kind?: string; name: string; namespace?: string }[])
    .filter((it) => (it.kind ?? 'Gateway') === 'Gateway')
    .map((it) => `${it.namespace ?? route?.metadata.namespace}/${it.name}`);

interface Rule {
  host?: string;
  http?: { paths?: { path?: string; backend: { service?: { name: string }; serviceName?: string } }[] };
}

const pathTo = ({ http }: Rule, service: string): string | undefined => {
  const found = http?.paths?.find((it) => (it.backend.service?.name ?? it.backend.serviceName) === service);
  return found && (found.path ?? '/');
};
