import { follow, type Followed } from '../controllers/follow.js';
import type { Front, FrontRequest, FrontWorld } from '../fronts.js';
import type { Reached, Side } from '../reach.js';
import type { ClusterApi, IstioClients, Json, TwinObject } from '../types.js';
import { crowdRequest, drawn, isBelow, lagging } from './rules.js';
import { type Endpoint, followServices, forward } from './services.js';

const CLUSTER = 'topology.istio.io/cluster';
/** From a write until every proxy works by it. */
const LAG_MS = 1_000;
/** The first and Istio's two retries. */
const TRIES = 3;
const SIDES = ['source', 'target'] as const;

type Resource = 'virtualservices' | 'destinationrules' | 'serviceentries';

export const istioResource = (api: ClusterApi, resource: Resource): string =>
  ['v1', 'v1beta1', 'v1alpha3'].map((it) => `networking.istio.io/${it}/${resource}`).find((it) => api.serves(it)) ??
  `networking.istio.io/v1/${resource}`;

interface Config {
  virtualServices: readonly TwinObject[];
  destinationRules: readonly TwinObject[];
  serviceEntries: readonly TwinObject[];
}

/**
 * A caller with a sidecar, or a gateway, in one cluster of a mesh over one or both: Services of one name in both clusters are one host, over all
 * endpoints; subsets by `topology.istio.io/cluster` tell them apart. Rules are read in the caller's own cluster.
 *
 * @source istio/istio:pilot/pkg/networking/core/route/route.go (routes of weight 0 are left out; a single one gets all),
 *         pilot/pkg/model/destination_rule.go (mergeDestinationRule: subsets of several rules for a host are put together)
 */
export async function istioFront(seed: IstioClients, { apis, clock, random, dial }: FrontWorld): Promise<Front> {
  const { cluster, clusters } = seed;
  const members = clusters ? SIDES : [cluster];
  const api = apis[cluster];
  const services = { source: await followServices(apis.source), target: await followServices(apis.target) };
  let config: ReturnType<typeof lagging<Config>> | undefined;
  const touch = (): void => config?.touch();
  const [virtualServices, destinationRules, serviceEntries] = [
    await follow(api, istioResource(api, 'virtualservices'), touch),
    await follow(api, istioResource(api, 'destinationrules'), touch),
    await follow(api, istioResource(api, 'serviceentries'), touch),
  ];
  const all = (it: Followed): readonly TwinObject[] => it.all();
  const lagged = (config = lagging(clock, LAG_MS, () => ({
    virtualServices: all(virtualServices),
    destinationRules: all(destinationRules),
    serviceEntries: all(serviceEntries),
  })));
  const own = crowdRequest(seed);

  /** Endpoints of a host in those of the clusters that the subset's labels name. */
  const merged = (host: string, port: number, sides: readonly Side[]): Endpoint[] | undefined => {
    const [name, namespace] = host.split('.');
    const found = sides.flatMap((side) => services[side].endpoints(namespace!, name!, port) ?? []);
    const isKnown = members.some((side) => services[side].endpoints(namespace!, name!, port));
    return isKnown ? found : undefined;
  };

  const endpointsOf = ({ host, subset, port }: Destination): Endpoint[] | undefined => {
    const { serviceEntries: entries, destinationRules: rules } = lagged.now();
    const entry = entries.find((it) => it['spec']?.hosts?.includes(host));
    if (entry) return entryEndpoints(entry, port);
    if (subset === undefined) return merged(host, port, members);
    const labels = subsetOf(rules, host, subset);
    return (
      labels &&
      merged(
        host,
        port,
        members.filter((side) => isIn(labels, clusters?.[side])),
      )
    );
  };

  const send = (turn: number, request: FrontRequest = own): Reached => {
    const destination = destinationFor(lagged.now().virtualServices, seed, request, random);
    if (!destination) return { failed: '404: no route for it' };
    const found = endpointsOf(destination);
    if (!found) return { failed: `503: no cluster ${destination.subset ?? ''} of ${destination.host}` };
    return forward(dial, cluster, found, turn, TRIES);
  };

  return {
    send: (turn, request) => send(turn, request),
    stop() {
      for (const it of [services.source, services.target, virtualServices, destinationRules, serviceEntries]) it.stop();
    },
  };
}

interface Destination {
  host: string;
  subset: string | undefined;
  port: number;
}

/** Short names stand for Services of the rule's own namespace. */
const fullHost = (host: string, namespace: string): string => {
  const parts = host.split('.');
  if (parts.length === 1) return `${host}.${namespace}.svc.cluster.local`;
  return parts.length === 2 ? `${host}.svc.cluster.local` : host;
};

function destinationFor(
  virtualServices: readonly TwinObject[],
  { host, port = 80 }: IstioClients,
  request: FrontRequest,
  random: () => number,
): Destination | undefined {
  const virtualService = virtualServices.find((it) =>
    (it['spec']?.hosts ?? []).some((one: string) => one === host || fullHost(one, it.metadata.namespace) === host),
  );
  if (!virtualService) return { host, subset: undefined, port };
  const route = ((virtualService['spec'].http ?? []) as Json[]).find((it) => takes(it.match, request));
  const routes = ((route?.route ?? []) as Json[]).map((it) => ({ weight: it.weight ?? 0, to: it.destination }));
  const chosen = routes.length === 1 ? routes[0] : drawn(routes, random);
  return (
    chosen && {
      host: fullHost(chosen.to.host, virtualService.metadata.namespace),
      subset: chosen.to.subset,
      port: chosen.to.port?.number ?? port,
    }
  );
}

/** One of the matches; in it all conditions. Of those paths and headers are played. */
const takes = (matches: Json[] | undefined, { path, headers }: FrontRequest): boolean =>
  !matches?.length ||
  matches.some(
    (it) =>
      fits(it.uri, path) &&
      Object.entries((it.headers ?? {}) as Record<string, Json>).every(([name, value]) =>
        fits(value, headers[name.toLowerCase()] ?? ''),
      ),
  );

const fits = (match: Json, value: string): boolean =>
  match === undefined ||
  ((match.exact === undefined || match.exact === value) &&
    (match.prefix === undefined || value.startsWith(match.prefix) || isBelow(value, match.prefix)) &&
    (match.regex === undefined || new RegExp(`^(?:${match.regex})$`).test(value)));

/** Of several rules for a host the first that has the subset. */
function subsetOf(rules: readonly TwinObject[], host: string, name: string): Record<string, string> | undefined {
  const subsets = rules
    .filter((it) => fullHost(it['spec']?.host ?? '', it.metadata.namespace) === host)
    .flatMap((it) => (it['spec'].subsets ?? []) as Json[]);
  const found = subsets.find((it) => it.name === name);
  return found && (found.labels ?? {});
}

/** Only the label of the cluster is played: a subset by any other has nobody. */
const isIn = (labels: Record<string, string>, cluster: string | undefined): boolean =>
  Object.entries(labels).every(([key, value]) => key === CLUSTER && value === cluster);

const entryEndpoints = ({ spec }: TwinObject, port: number): Endpoint[] | undefined => {
  const known = ((spec.ports ?? []) as Json[]).find((it) => it.number === port);
  return (
    known &&
    ((spec.endpoints ?? []) as Json[]).map((it) => ({
      ip: it.address,
      port: it.ports?.[known.name] ?? known.targetPort ?? known.number,
    }))
  );
};
