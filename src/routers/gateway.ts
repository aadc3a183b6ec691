import type { EntryOf } from '../routes.js';
import { splitPath } from '../objects.js';
import type { KubeObject, Right } from '../ports.js';
import type { Router } from '../router.js';
import {
  BRIDGE_RIGHTS,
  bridgeName,
  buildBridge,
  planBridge,
  removeBridge,
  type Bridge,
  type BridgedRoute,
} from './bridge.js';
import { byRefs, type Destination, type Rules } from './refs.js';
import { SLICE_RIGHTS } from './services.js';
import { routesOnce, type Weights } from './weighted.js';

/**
 * Splits requests by the weights of an HTTPRoute's backends in the source's cluster: its own Service, and one that leads to the target.
 * What a route says is in force when its parents' conditions answer its generation. A backend that can't be resolved would turn its
 * weight into errors, so that is waited for at weight 0.
 *
 * @source kubernetes-sigs/gateway-api:apis/v1/httproute_types.go, apis/v1/shared_types.go (BackendRef, RouteParentStatus)
 */

export interface GatewayRoute extends BridgedRoute {
  router: 'gateway';
  /** of the HTTPRoute in the Service's namespace */
  route: string;
  /** of the backend, where rules send to several ports of the Service */
  port?: number;
  through: 'address' | 'service-import';
}

const KIND = 'HTTPRoute.gateway.networking.k8s.io';
const IMPORT = { group: 'multicluster.x-k8s.io', kind: 'ServiceImport' };

type Ref = Destination & { group?: string; kind?: string; name?: string; namespace?: string; port?: number };

const rules: Rules<GatewayRoute> = {
  kind: KIND,
  nameOf: (route) => route.route,
  lists: (object) => rulesOf(object).map((it) => it.backendRefs ?? []),
  patch: (object, lists) => ({
    spec: {
      rules: rulesOf(object).map((it, index) =>
        it.backendRefs || lists[index]?.length ? { ...it, backendRefs: lists[index] } : it,
      ),
    },
  }),
  isSource: (it, { service, port }) =>
    isServiceRef(it) &&
    it.name === splitPath(service).name &&
    (it.namespace ?? splitPath(service).namespace) === splitPath(service).namespace &&
    (port === undefined || it.port === port),
  isTarget: (it, route) =>
    route.through === 'service-import'
      ? it['kind'] === IMPORT.kind && it['name'] === splitPath(route.service).name
      : isServiceRef(it) && it.name === bridgeName(route),
  kept: (source) => source,
  added: (source, route) =>
    route.through === 'service-import'
      ? { ...source, ...IMPORT, name: splitPath(route.service).name }
      : { ...source, name: bridgeName(route) },
  unsaid: { alone: 1, beside: 1 },
  late: lateOf,
  bitesMs: 3_000,
  way: {
    plan: async (route, world) => (route.through === 'address' ? planBridge(route, world) : undefined),
    build: (route, plan, world) => (plan ? buildBridge(route, plan as Bridge, world) : Promise.resolve()),
    remove: (route, plan, world) => (plan ? removeBridge(route, world) : Promise.resolve()),
  },
};

const isServiceRef = (it: Ref): boolean => (it.group ?? '') === '' && (it.kind ?? 'Service') === 'Service';

const rulesOf = (object: KubeObject) => (object['spec']?.rules ?? []) as { backendRefs?: Destination[] }[];

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  observedGeneration?: number;
}

function lateOf({ metadata, status }: KubeObject): string | undefined {
  const parents = (status?.parents ?? []) as { parentRef: { name: string }; conditions?: Condition[] }[];
  if (parents.length === 0) return 'no gateway has answered the HTTPRoute';
  for (const { parentRef, conditions = [] } of parents)
    for (const type of ['Accepted', 'ResolvedRefs']) {
      const said = conditions.find((it) => it.type === type);
      if (!said || (said.observedGeneration ?? 0) < (metadata.generation ?? 0))
        return `gateway ${parentRef.name} has not answered the last change (${type})`;
      if (said.status !== 'True')
        return `gateway ${parentRef.name} says ${type} ${said.status}, ${said.reason ?? ''}: ${said.message ?? ''}`;
    }
  return undefined;
}

const routeOf = (it: EntryOf<'gateway'>): GatewayRoute => ({
  router: 'gateway',
  service: it.service,
  route: it.route,
  through: it.through,
  ...(it.port !== undefined && { port: it.port }),
  ...(it.address !== undefined && { address: it.address }),
});

const RIGHTS: Right[] = ['get', 'patch'].map((verb) => ({
  verb,
  group: 'gateway.networking.k8s.io',
  resource: 'httproutes',
}));

export const gateway: Router<GatewayRoute, Weights> = {
  name: 'gateway',
  traits: () => ({
    unit: 'weight',
    min: 0,
    max: 1_000_000,
    zero: 'weight',
    splits: 'requests',
    proof: 'conditions',
    bitesMs: 30_000,
  }),
  routes: (entries, _playbook, inventory) =>
    routesOnce(entries.filter((it) => it.router === 'gateway').map(routeOf), inventory, (route) => ({
      kind: KIND,
      name: route.route,
    })),
  rights: () => ({ source: [...RIGHTS, ...BRIDGE_RIGHTS, ...SLICE_RIGHTS], target: SLICE_RIGHTS }),
  ...byRefs(rules),
};
