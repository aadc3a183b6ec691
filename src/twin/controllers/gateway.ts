import type { ClusterApi, Json, TwinObject } from '../types.js';
import { follow, type Followed, keyOf, splitKey } from './follow.js';
import { withCondition } from './objects.js';
import { type ControllerClock, workQueue } from './queue.js';
import { isoSeconds } from './record.js';

export const GATEWAYS = 'gateway.networking.k8s.io/v1/gateways';
const IMPORTS = 'multicluster.x-k8s.io/v1alpha1/serviceimports';
const GRANTS = 'gateway.networking.k8s.io/v1beta1/referencegrants';
const NAME = 'twin.example/gateway-controller';
/** From a write to the conditions that answer it. */
const DELAY_MS = 500;

export const httpRoutes = (api: ClusterApi): string =>
  ['gateway.networking.k8s.io/v1/httproutes', 'gateway.networking.k8s.io/v1beta1/httproutes'].find((it) =>
    api.serves(it),
  ) ?? 'gateway.networking.k8s.io/v1/httproutes';

export const isService = (ref: Json): boolean => (ref.group ?? '') === '' && (ref.kind ?? 'Service') === 'Service';
export const isImport = (ref: Json): boolean => ref.group === 'multicluster.x-k8s.io' && ref.kind === 'ServiceImport';
export const serviceOf = (ref: Json, route: TwinObject): { namespace: string; name: string } => ({
  namespace: ref.namespace ?? route.metadata.namespace,
  name: ref.name,
});

/**
 * What a gateway's controller says of HTTPRoutes: for each parent that there is, Accepted and ResolvedRefs, with the generation they
 * answer.
 *
 * @source kubernetes-sigs/gateway-api:apis/v1/shared_types.go (RouteParentStatus, RouteConditionReason)
 */
export async function startGateways(api: ClusterApi, clock: ControllerClock): Promise<{ stop(): void }> {
  const resource = httpRoutes(api);
  if (!api.serves(resource)) return { stop() {} };
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  // Last, so that all else is known when the first of them is looked at.
  let routes: Followed | undefined;
  const again = (): void => {
    for (const it of routes?.all() ?? []) queue.add(keyOf(it));
  };
  const services = await follow(api, 'v1/services', ({ type }) => type !== 'MODIFIED' && again());
  const imports = await follow(api, IMPORTS, again);
  const grants = await follow(api, GRANTS, again);
  const gateways = await follow(api, GATEWAYS, again);
  const known = (routes = await follow(api, resource, ({ object }) => queue.add(keyOf(object))));

  async function reconcile(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const route = routes?.get(namespace, name);
    if (!route) return;
    const before = (route['status']?.parents ?? []) as Json[];
    const refs = ((route['spec']?.parentRefs ?? []) as Json[]).filter((it) =>
      gateways.get(it.namespace ?? namespace, it.name),
    );
    const parents = refs.map((parentRef) => parentOf(route, parentRef, before));
    if (JSON.stringify(parents) === JSON.stringify(before)) return;
    routes?.note(await api.mergePatch(resource, namespace, name, { status: { parents } }, 'status'));
  }

  const parentOf = (route: TwinObject, parentRef: Json, known: readonly Json[]): Json => {
    const before = known.find((it) => JSON.stringify(it.parentRef) === JSON.stringify(parentRef));
    const now = clock.now();
    const accepted = { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'Route is accepted' };
    const withAccepted = withCondition(before?.conditions, accepted, now);
    const conditions = withCondition(withAccepted, resolvedOf(route), now);
    const observedGeneration = route.metadata.generation;
    return {
      parentRef,
      controllerName: NAME,
      conditions: conditions.map((it) => ({ lastTransitionTime: isoSeconds(now), ...it, observedGeneration })),
    };
  };

  /** Of several refs the first that can't be resolved is named. */
  const resolvedOf = (route: TwinObject): { type: string; status: string; reason: string; message: string } => {
    const refs = ((route['spec']?.rules ?? []) as Json[]).flatMap((it) => (it.backendRefs ?? []) as Json[]);
    for (const ref of refs) {
      const reason = wrongWith(ref, route);
      if (reason)
        return { type: 'ResolvedRefs', status: 'False', reason, message: `${ref.kind ?? 'Service'} ${ref.name}` };
    }
    return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: 'All references are resolved' };
  };

  const wrongWith = (ref: Json, route: TwinObject): string | undefined => {
    const { namespace, name } = serviceOf(ref, route);
    if (!isService(ref) && !isImport(ref)) return 'InvalidKind';
    if (namespace !== route.metadata.namespace && !isGranted(namespace, route)) return 'RefNotPermitted';
    return (isImport(ref) ? imports : services).get(namespace, name) ? undefined : 'BackendNotFound';
  };

  const isGranted = (namespace: string, route: TwinObject): boolean =>
    grants
      .all(namespace)
      .some((it) =>
        (it['spec']?.from ?? []).some(
          (from: Json) => from.kind === 'HTTPRoute' && from.namespace === route.metadata.namespace,
        ),
      );

  return {
    stop() {
      queue.stop();
      for (const it of [services, imports, grants, gateways, known]) it.stop();
    },
  };
}
