import { follow } from '../controllers/follow.js';
import type { Front, FrontRequest, FrontWorld } from '../fronts.js';
import type { Reached } from '../reach.js';
import type { ClusterApi, IngressClients, Json, TwinObject } from '../types.js';
import { cookiesOf, crowdRequest, drawn, isBelow, lagging } from './rules.js';
import { type Endpoint, followServices, forward } from './services.js';

const PREFIX = 'nginx.ingress.kubernetes.io/';
/** Workers look for new backends once a second. */
const LAG_MS = 1_000;
/** proxy_next_upstream_tries */
const TRIES = 3;

interface Backend {
  namespace: string;
  service: string;
  port: number | string;
}

interface Shaping {
  header: string;
  headerValue: string;
  headerPattern: string;
  cookie: string;
  weight: number;
  weightTotal: number;
}

interface Location {
  path: string;
  exact: boolean;
  pathType: string;
  backend: Backend;
  /** further backends of the same path in the same Ingress, for Alibaba's annotations */
  versions: Backend[];
  ingress: TwinObject;
  canaries: { backend: Backend; shaping: Shaping }[];
}

type Config = Map<string, Location[]>;

/**
 * An ingress-nginx in one of the clusters, with what Alibaba's edition adds: which of a rule's backends a request goes to.
 *
 * @source kubernetes/ingress-nginx:rootfs/etc/nginx/lua/balancer.lua (route_to_alternative_balancer, get_balancer),
 *         internal/ingress/controller/controller.go (mergeAlternativeBackends, canMergeBackend),
 *         internal/ingress/annotations/canary/main.go
 */
export async function ingressFront(seed: IngressClients, { apis, clock, random, dial }: FrontWorld): Promise<Front> {
  const { cluster, host, class: name = 'nginx' } = seed;
  const api = apis[cluster];
  const services = await followServices(api);
  let config: ReturnType<typeof lagging<Config>> | undefined;
  const ingresses = await follow(api, ingressResource(api), () => config?.touch());
  const lagged = (config = lagging(clock, LAG_MS, () => configOf(ingresses.all().filter((it) => isOfClass(it, name)))));
  const own = crowdRequest(seed);
  const endpointsOf = (it: Backend): Endpoint[] => services.endpoints(it.namespace, it.service, it.port) ?? [];

  const send = (turn: number, request: FrontRequest = own): Reached => {
    const location = locationFor(lagged.now().get(host) ?? [], request.path);
    if (!location) return { failed: '404: no rule for it' };
    const backend = versionOf(location, request, random);
    const [canary] = location.canaries;
    // A primary without endpoints has no balancer, and so nobody asks for its canary.
    if (endpointsOf(backend).length === 0) return { failed: `503: ${backend.service} has no endpoints` };
    const goes = canary && endpointsOf(canary.backend).length > 0 && isShaped(canary.shaping, request, random);
    return forward(dial, cluster, endpointsOf(goes ? canary.backend : backend), turn, TRIES);
  };

  return {
    send: (turn, request) => send(turn, request),
    stop() {
      ingresses.stop();
      services.stop();
    },
  };
}

export const ingressResource = (api: ClusterApi): string =>
  ['networking.k8s.io/v1/ingresses', 'networking.k8s.io/v1beta1/ingresses', 'extensions/v1beta1/ingresses'].find((it) =>
    api.serves(it),
  ) ?? 'networking.k8s.io/v1/ingresses';

/** The annotation goes before the field; an Ingress of no class is taken too. */
const isOfClass = ({ metadata, spec }: TwinObject, name: string): boolean =>
  (metadata.annotations?.['kubernetes.io/ingress.class'] ?? spec?.ingressClassName ?? name) === name;

const annotation = ({ metadata }: TwinObject, key: string): string => metadata.annotations?.[`${PREFIX}${key}`] ?? '';

/** A number that can't be read counts as the one that is given. */
const integer = (text: string, otherwise: number): number => (/^[+-]?\d+$/.test(text) ? Number(text) : otherwise);

const backendOf = (ingress: TwinObject, { service, serviceName, servicePort }: Json): Backend => ({
  namespace: ingress.metadata.namespace,
  service: service?.name ?? serviceName,
  port: service?.port?.number ?? service?.port?.name ?? servicePort,
});

const isSame = (a: Backend, b: Backend): boolean =>
  a.namespace === b.namespace && a.service === b.service && a.port === b.port;

const pathsOf = (ingress: TwinObject): { host: string; path: string; pathType: string; backend: Backend }[] =>
  (ingress['spec']?.rules ?? []).flatMap((rule: Json) =>
    (rule.http?.paths ?? []).map((it: Json) => ({
      host: rule.host ?? '',
      path: it.path || '/',
      pathType: it.pathType ?? 'ImplementationSpecific',
      backend: backendOf(ingress, it.backend),
    })),
  );

/** Older Ingresses come first, and the first of several for one path has it. */
function configOf(ingresses: readonly TwinObject[]): Config {
  const config: Config = new Map();
  const isCanary = (it: TwinObject): boolean => annotation(it, 'canary') === 'true';
  const byAge = ingresses.toSorted((a, b) =>
    String(a.metadata.creationTimestamp).localeCompare(String(b.metadata.creationTimestamp)),
  );
  for (const ingress of byAge.filter((it) => !isCanary(it)))
    for (const { host, path, pathType, backend } of pathsOf(ingress)) {
      const locations = config.get(host) ?? [];
      config.set(host, locations);
      const known = locations.find((it) => it.path === path && it.pathType === pathType);
      if (known) {
        if (known.ingress === ingress) known.versions.push(backend);
        continue;
      }
      const exact = pathType === 'Exact';
      locations.push({ path, exact, pathType, backend, versions: [], ingress, canaries: [] });
    }
  for (const ingress of byAge.filter(isCanary))
    for (const { host, path, pathType, backend } of pathsOf(ingress)) {
      const location = (config.get(host) ?? []).find((it) => it.path === path && it.pathType === pathType);
      if (location && !isSame(location.backend, backend))
        location.canaries.push({ backend, shaping: shapingOf(ingress) });
    }
  return config;
}

const shapingOf = (ingress: TwinObject): Shaping => ({
  header: annotation(ingress, 'canary-by-header').toLowerCase(),
  headerValue: annotation(ingress, 'canary-by-header-value'),
  headerPattern: annotation(ingress, 'canary-by-header-pattern'),
  cookie: annotation(ingress, 'canary-by-cookie'),
  weight: integer(annotation(ingress, 'canary-weight'), 0),
  weightTotal: Math.max(100, integer(annotation(ingress, 'canary-weight-total'), 100)),
});

function isShaped(shaping: Shaping, request: FrontRequest, random: () => number): boolean {
  const header = request.headers[shaping.header];
  if (header !== undefined) {
    if (shaping.headerValue !== '') {
      if (header === shaping.headerValue) return true;
    } else if (shaping.headerPattern !== '') {
      if (new RegExp(shaping.headerPattern).test(header)) return true;
    } else if (header === 'always') return true;
    else if (header === 'never') return false;
  }
  const cookie = cookiesOf(request)[shaping.cookie];
  if (cookie === 'always') return true;
  if (cookie === 'never') return false;
  return Math.floor(random() * shaping.weightTotal) + 1 <= shaping.weight;
}

function locationFor(locations: readonly Location[], path: string): Location | undefined {
  const exact = locations.find((it) => it.exact && it.path === path);
  if (exact) return exact;
  const below = locations.filter((it) => !it.exact && isBelow(path, it.path));
  return below.toSorted((a, b) => b.path.length - a.path.length)[0];
}

/**
 * Which of a path's backends by Alibaba's annotations: EDAS' drainage tickets, then `service-match`, then `service-weight`. Without any
 * it is the first.
 */
function versionOf({ backend, versions, ingress }: Location, request: FrontRequest, random: () => number): Backend {
  const edge = drained(annotation(ingress, 'service-config'), backend, request);
  if (edge) return edge;
  const all = [backend, ...versions];
  const matches = matchesOf(annotation(ingress, 'service-match'));
  const matched = all.find((it) => matches.get(it.service)?.(request));
  const old = all.find((it) => !matches.has(it.service)) ?? backend;
  if (matches.size > 0 && !matched) return old;
  const weights = weightsOf(annotation(ingress, 'service-weight'));
  if (weights.size === 0) return matched ?? backend;
  return (
    drawn(
      all.map((it) => ({ ...it, weight: weights.get(it.service) ?? 100 })),
      random,
    ) ?? backend
  );
}

/** A request that has every ticket goes to the edge; what can't be read drains nothing. */
function drained(config: string, backend: Backend, { headers }: FrontRequest): Backend | undefined {
  if (config === '') return undefined;
  let drainage: Json;
  try {
    drainage = JSON.parse(config).drainage;
  } catch {
    return undefined;
  }
  const tickets = Object.entries((drainage?.tickets?.header ?? {}) as Record<string, string>);
  const edge = drainage?.serviceMap?.[backend.service];
  const has = tickets.length > 0 && tickets.every(([name, value]) => headers[name.toLowerCase()] === value);
  return has && edge ? { ...backend, service: edge } : undefined;
}

/** Lines of `service: header("name", "exact")`, `/pattern/` in the place of an exact value, cookie in that of header. */
function matchesOf(text: string): Map<string, (request: FrontRequest) => boolean> {
  const found = [...text.matchAll(/^\s*([-\w]+):\s*(header|cookie)\(\s*"([^"]+)"\s*,\s*(?:"([^"]*)"|\/(.*)\/)\s*\)/gm)];
  return new Map(
    found.map(([, service, place, name, exact, pattern]) => [
      service ?? '',
      (request) => {
        const value = place === 'cookie' ? cookiesOf(request)[name!] : request.headers[name!.toLowerCase()];
        if (value === undefined) return false;
        return exact === undefined ? new RegExp(pattern!).test(value) : value === exact;
      },
    ]),
  );
}

/** `new: 20, old: 60`; one that can't be read makes all of it void. */
function weightsOf(text: string): Map<string, number> {
  const pairs = text.split(',').map((it) => it.split(':').map((part) => part.trim()));
  const isSound = pairs.every(([name, weight, ...more]) => name && /^\d+$/.test(weight ?? '') && more.length === 0);
  return new Map(isSound ? pairs.map(([name, weight]) => [name!, Number(weight)]) : []);
}
