import type { EntryOf } from '../routes.js';
import { MigrateError } from '../errors.js';
import { splitPath } from '../objects.js';
import type { KubeObject, Right, World } from '../ports.js';
import type { Router } from '../router.js';
import { createOnce, planBridge, uidOf, type Bridge, type BridgedRoute } from './bridge.js';
import { byRefs, type Destination, type Rules } from './refs.js';
import { count } from '../words.js';
import { readyPods, serviceOn, SLICE_RIGHTS } from './services.js';
import { objectOf, routesOnce, unfit, type Weights } from './weighted.js';

/**
 * Splits requests by the weights of a VirtualService's routes. In one mesh over both clusters the two Services of one name are one host,
 * and subsets by cluster tell them apart; without one mesh the target is a host of its own, a ServiceEntry at its address. Written in the
 * source's cluster: callers whose control plane reads another cluster's rules don't follow it.
 *
 * @source istio/istio:pilot/pkg/config/validation/validation.go (weights), pilot/pkg/model/destination_rule.go (rules for one host are put
 *         together), istio/istio.io:content/en/docs/ops/configuration/traffic-management/multicluster (topology.istio.io/cluster)
 */
export interface IstioRoute extends BridgedRoute {
  router: 'istio';
  virtualService: string;
  clusters?: { source: string; target: string };
  port?: number;
}

const GROUP = 'networking.istio.io';
const CLUSTER = 'topology.istio.io/cluster';
const LABELS = { 'app.kubernetes.io/managed-by': 'migrate' };
const SUBSET = { source: 'migrate-source', target: 'migrate-target' } as const;

interface To {
  host: string;
  subset?: string;
  port?: { number: number };
}

const toOf = (it: Destination): To => (it['destination'] ?? { host: '' }) as To;

const hostsOf = ({ service }: IstioRoute): string[] => {
  const { namespace, name } = splitPath(service);
  return [name, `${name}.${namespace}`, `${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`];
};

/** A name that nothing looks up: the proxies know its endpoints. */
const entryHost = ({ service }: IstioRoute): string => {
  const { namespace, name } = splitPath(service);
  return `${name}.${namespace}.target.migrate.internal`;
};

const ownName = ({ service }: IstioRoute): string => `${splitPath(service).name}-migrate`;

const httpOf = (object: KubeObject) => (object['spec']?.http ?? []) as { route?: Destination[] }[];

const rules: Rules<IstioRoute> = {
  kind: `VirtualService.${GROUP}`,
  nameOf: (route) => route.virtualService,
  lists: (object) => httpOf(object).map((it) => it.route ?? []),
  patch: (object, lists) => ({
    spec: {
      http: httpOf(object).map((it, index) => (it.route || lists[index]?.length ? { ...it, route: lists[index] } : it)),
    },
  }),
  isSource: (it, route) =>
    hostsOf(route).includes(toOf(it).host) &&
    toOf(it).subset !== SUBSET.target &&
    (route.port === undefined || [undefined, route.port].includes(toOf(it).port?.number)),
  isTarget: (it, route) =>
    route.clusters
      ? hostsOf(route).includes(toOf(it).host) && toOf(it).subset === SUBSET.target
      : toOf(it).host === entryHost(route),
  kept: (source, { clusters }) =>
    clusters && toOf(source).subset === undefined
      ? { ...source, destination: { ...toOf(source), subset: SUBSET.source } }
      : source,
  added(source, route) {
    if (route.clusters) return { ...source, destination: { ...toOf(source), subset: SUBSET.target } };
    const { subset: _, ...to } = toOf(source);
    return { ...source, destination: { ...to, host: entryHost(route) } };
  },
  unsaid: { alone: 100, beside: 0 },
  // No status: what a VirtualService says is in force once every proxy has it, and nobody says when that is.
  late: () => undefined,
  bitesMs: 5_000,
  way: {
    async plan(route, world) {
      await mustBePinned(route, world);
      return route.clusters ? undefined : planBridge(route, world);
    },
    async build(route, plan, { source, clock }) {
      const object = route.clusters
        ? subsets(route, route.clusters)
        : serviceEntry(route, plan as Bridge, await serviceOn(source, route));
      if (await source.get({ kind: `${object.kind}.${GROUP}`, ...metadataOf(route) })) return;
      await createOnce(source, object);
      // Routes to a subset that a proxy does not know yet are errors: what is new comes first.
      await clock.sleep(rules.bitesMs);
    },
    async remove(route, _plan, { source }) {
      for (const kind of ['DestinationRule', 'ServiceEntry']) {
        const ref = { kind: `${kind}.${GROUP}`, namespace: splitPath(route.service).namespace, name: ownName(route) };
        const found = await source.get(ref);
        if (found?.metadata.labels?.['app.kubernetes.io/managed-by'] === 'migrate')
          await source.delete(ref, uidOf(found));
      }
    },
  },
};

const metadataOf = (route: IstioRoute) => ({
  name: ownName(route),
  namespace: splitPath(route.service).namespace,
  labels: LABELS,
});

const subsets = (route: IstioRoute, clusters: { source: string; target: string }): KubeObject => ({
  apiVersion: `${GROUP}/v1beta1`,
  kind: 'DestinationRule',
  metadata: metadataOf(route),
  spec: {
    host: hostsOf(route).at(-1),
    subsets: (['source', 'target'] as const).map((side) => ({
      name: SUBSET[side],
      labels: { [CLUSTER]: clusters[side] },
    })),
  },
});

function serviceEntry(route: IstioRoute, bridge: Bridge, service: KubeObject): KubeObject {
  const ports = (service['spec']?.ports ?? []) as { name?: string; port: number; appProtocol?: string }[];
  return {
    apiVersion: `${GROUP}/v1beta1`,
    kind: 'ServiceEntry',
    metadata: metadataOf(route),
    spec: {
      hosts: [entryHost(route)],
      location: 'MESH_EXTERNAL',
      resolution: 'STATIC',
      ports: ports
        .filter((it) => route.port === undefined || it.port === route.port)
        .map(({ name, port }) => ({
          number: port,
          name: name ?? `http-${port}`,
          protocol: 'HTTP',
          ...(bridge.port !== undefined && { targetPort: bridge.port }),
        })),
      endpoints: [{ address: bridge.address }],
    },
  };
}

/**
 * A subset that a person made says more than the cluster, and its twin for the target is not ours to guess.
 * @throws MigrateError ROUTE_UNFIT
 */
async function mustBePinned(route: IstioRoute, world: World): Promise<void> {
  const { source } = world;
  const { namespace } = splitPath(route.service);
  const object = await objectOf(source, { kind: rules.kind, namespace, name: route.virtualService });
  const named = rules.lists(object).flatMap((list) => list.filter((it) => rules.isSource(it, route)));
  const subset = named.map((it) => toOf(it).subset).find((it) => it !== undefined && it !== SUBSET.source);
  if (!route.clusters) return;
  if (subset === undefined) return mustBeAlone(route, route.clusters, world);
  const all = await source.list(`DestinationRule.${GROUP}`, { namespace });
  const found = all
    .filter((it) => hostsOf(route).includes(String(it['spec']?.host)))
    .flatMap((it) => (it['spec']?.subsets ?? []) as { name: string; labels?: Record<string, string> }[])
    .find((it) => it.name === subset);
  const labels = Object.entries(found?.labels ?? {});
  if (labels.length === 1 && labels[0]?.[0] === CLUSTER && labels[0][1] === route.clusters.source) return;
  throw unfit(
    `VirtualService ${route.virtualService} sends ${route.service} to subset ${subset}, which is not the source's cluster alone.`,
    'Beside it the target would need the same subset in its own cluster.',
    `Send to a subset whose only label is ${CLUSTER}: ${route.clusters.source}, or to the host without a subset.`,
  );
}

/**
 * Without a subset the host is both clusters' already, by their endpoints.
 * @throws MigrateError SERVICE_LIVE_ALREADY
 */
async function mustBeAlone(
  route: IstioRoute,
  { source }: NonNullable<IstioRoute['clusters']>,
  world: World,
): Promise<void> {
  const there = await readyPods(route, 'target', world);
  if (there === 0) return;
  throw new MigrateError('SERVICE_LIVE_ALREADY', {
    what: `${route.service} has ${count(there, 'ready pod')} in the target, and VirtualService ${route.virtualService} sends to both clusters.`,
    why: 'In one mesh two Services of one name are one host: the target takes its part of the requests as soon as it has endpoints.',
    fix: `Send to a subset whose only label is ${CLUSTER}: ${source} before the target's pods start, or scale them to 0 first.`,
  });
}

const routeOf = (it: EntryOf<'istio'>): IstioRoute => ({
  router: 'istio',
  service: it.service,
  virtualService: it.virtualService,
  ...(it.clusters && { clusters: it.clusters }),
  ...(it.port !== undefined && { port: it.port }),
  ...(it.address !== undefined && { address: it.address }),
});

const right = (resource: string, verbs: string[]): Right[] => verbs.map((verb) => ({ verb, group: GROUP, resource }));

const RIGHTS: Right[] = [
  ...right('virtualservices', ['get', 'patch']),
  ...right('destinationrules', ['get', 'list', 'create', 'delete']),
  ...right('serviceentries', ['get', 'create', 'delete']),
];

export const istio: Router<IstioRoute, Weights> = {
  name: 'istio',
  traits: () => ({
    unit: 'weight',
    min: 0,
    max: 100_000,
    zero: 'weight',
    splits: 'requests',
    proof: 'none',
    bitesMs: 30_000,
  }),
  routes: (entries, _playbook, inventory) =>
    routesOnce(entries.filter((it) => it.router === 'istio').map(routeOf), inventory, (route) => ({
      kind: rules.kind,
      name: route.virtualService,
    })),
  rights: () => ({ source: [...RIGHTS, ...SLICE_RIGHTS], target: SLICE_RIGHTS }),
  ...byRefs(rules),
};
