import { follow } from '../controllers/follow.js';
import { GATEWAYS, httpRoutes, isImport, isService, serviceOf } from '../controllers/gateway.js';
import type { Front, FrontRequest, FrontWorld } from '../fronts.js';
import type { Reached } from '../reach.js';
import { slicesResource } from '../controllers/ccm.js';
import type { GatewayClients, Json, TwinObject } from '../types.js';
import { crowdRequest, drawn, isBelow, lagging } from './rules.js';
import { type Endpoint, followServices, forward, readyOf } from './services.js';

/** From a write of a route until the gateway's proxies work by it: later than its conditions say. */
const LAG_MS = 1_500;

/**
 * A gateway of the Gateway API in one of the clusters: the rules of the HTTPRoutes that it is a parent of. A backend that can't be
 * resolved answers 500 for its weight, one without ready endpoints 503.
 *
 * @source kubernetes-sigs/gateway-api:apis/v1/httproute_types.go (HTTPRouteRule, HTTPBackendRef, precedence of matches)
 */
export async function gatewayFront(seed: GatewayClients, { apis, clock, random, dial }: FrontWorld): Promise<Front> {
  const { cluster, host, gateway } = seed;
  const api = apis[cluster];
  const services = await followServices(api);
  const gateways = await follow(api, GATEWAYS);
  const slices = await follow(api, slicesResource(api));
  let rules: ReturnType<typeof lagging<Rule[]>> | undefined;
  const routes = await follow(api, httpRoutes(api), () => rules?.touch());
  const lagged = (rules = lagging(clock, LAG_MS, () => rulesOf(routes.all(), gateway, host)));
  const own = crowdRequest(seed);

  const imported = (namespace: string, name: string): Endpoint[] =>
    slices
      .all(namespace)
      .filter((it) => it.metadata.labels?.['multicluster.kubernetes.io/service-name'] === name)
      .flatMap((it) => (it['ports'] ?? []).slice(0, 1).flatMap((port: Json) => readyOf(it, port.name ?? '')));

  const send = (turn: number, request: FrontRequest = own): Reached => {
    if (gateways.all().every((it) => `${it.metadata.namespace}/${it.metadata.name}` !== gateway))
      return { failed: `no gateway ${gateway}` };
    const rule = lagged.now().find((it) => it.takes(request));
    if (!rule) return { failed: '404: no rule for it' };
    const ref = drawn(rule.refs, random);
    if (!ref) return { failed: '500: no backend has a weight' };
    const { namespace, name } = serviceOf(ref.ref, rule.route);
    if (isImport(ref.ref)) return forward(dial, cluster, imported(namespace, name), turn, 1);
    const found = isService(ref.ref) ? services.endpoints(namespace, name, ref.ref.port) : undefined;
    if (!found) return { failed: `500: ${name} can't be resolved` };
    return forward(dial, cluster, found, turn, 1);
  };

  return {
    send: (turn, request) => send(turn, request),
    stop() {
      for (const it of [services, gateways, slices, routes]) it.stop();
    },
  };
}

interface Rule {
  route: TwinObject;
  refs: { weight: number; ref: Json }[];
  takes(request: FrontRequest): boolean;
  rank: number;
}

/** Exact paths before prefixes, longer before shorter, more headers before fewer; then the older route, then the earlier rule. */
function rulesOf(routes: readonly TwinObject[], gateway: string, host: string): Rule[] {
  return routes
    .filter((it) => isChildOf(it, gateway) && isFor(it, host))
    .toSorted((a, b) => String(a.metadata.creationTimestamp).localeCompare(String(b.metadata.creationTimestamp)))
    .flatMap((route) => ((route['spec'].rules ?? [{}]) as Json[]).flatMap((rule) => matchesOf(route, rule)))
    .toSorted((a, b) => b.rank - a.rank);
}

export const isChildOf = ({ metadata, spec }: TwinObject, gateway: string): boolean =>
  (spec?.parentRefs ?? []).some((it: Json) => `${it.namespace ?? metadata.namespace}/${it.name}` === gateway);

const isFor = ({ spec }: TwinObject, host: string): boolean =>
  !spec?.hostnames?.length ||
  spec.hostnames.some((it: string) => it === host || (it.startsWith('*.') && host.endsWith(it.slice(1))));

function matchesOf(route: TwinObject, rule: Json): Rule[] {
  const refs = ((rule.backendRefs ?? []) as Json[]).map((ref) => ({ weight: ref.weight ?? 1, ref }));
  return ((rule.matches ?? [{}]) as Json[]).map((match) => {
    const { type = 'PathPrefix', value = '/' } = match.path ?? {};
    const headers = (match.headers ?? []) as Json[];
    const onPath = (path: string): boolean => (type === 'Exact' ? path === value : isBelow(path, value));
    return {
      route,
      refs,
      rank: (type === 'Exact' ? 1e6 : 0) + value.length * 100 + headers.length,
      takes: ({ path, headers: sent }) =>
        onPath(path) && headers.every((it) => sent[String(it.name).toLowerCase()] === it.value),
    };
  });
}
