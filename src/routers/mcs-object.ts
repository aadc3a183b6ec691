import { MigrateError } from '../errors.js';
import type { McsRoute } from '../mcs.js';
import { splitPath } from '../objects.js';
import { SIDES, type Cluster, type KubeObject, type Side, type World } from '../ports.js';

/** The MultiClusterService of a route, which lives in the Fleet. @source vendor's pages of ACK One multi-cluster Services */

const KIND = 'MultiClusterService.networking.one.alibabacloud.com';
const API = 'networking.one.alibabacloud.com/v1alpha1';

interface Seen {
  object: KubeObject;
  providers: string[];
  consumers: string[];
}

export function fleetOf({ fleet }: World): Cluster {
  if (fleet) return fleet;
  throw new MigrateError('FLEET_NOT_NAMED', {
    what: 'The playbook names no Fleet.',
    why: 'MultiClusterServices live there, not in the clusters.',
    fix: 'Add `fleet: { context: … }`: the context of the ACK One Fleet in your kubeconfig.',
  });
}

const refOf = (route: McsRoute) => ({ kind: KIND, ...splitPath(route.service) });

export async function multiClusterService(route: McsRoute, world: World): Promise<Seen | undefined> {
  const object = await fleetOf(world).get(refOf(route));
  if (!object) return undefined;
  const names = (field: string) => ((object['spec']?.[field] ?? []) as { name: string }[]).map((it) => it.name);
  return { object, providers: names('providerClusters'), consumers: names('consumerClusters') };
}

const specOf = ({ clusters }: McsRoute, providers: readonly Side[]) => ({
  consumerClusters: SIDES.map((side) => ({ name: clusters[side] })),
  providerClusters: providers.map((side) => ({ name: clusters[side] })),
});

/** Makes it, and its namespace, where they are not there yet. */
export async function createMultiClusterService(route: McsRoute, world: World): Promise<void> {
  const fleet = fleetOf(world);
  const { namespace, name } = splitPath(route.service);
  if (!(await fleet.get({ kind: 'Namespace', name: namespace })))
    await fleet.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  if (await fleet.get(refOf(route))) return putProviders(route, SIDES, world);
  await fleet.create({
    apiVersion: API,
    kind: 'MultiClusterService',
    metadata: { namespace, name },
    spec: specOf(route, SIDES),
  });
}

/** Which clusters' pods callers are sent to; written only where it differs. */
export async function putProviders(route: McsRoute, providers: readonly Side[], world: World): Promise<void> {
  const found = await multiClusterService(route, world);
  if (!found) {
    throw new MigrateError('FLEET_SERVICE_MISSING', {
      what: `The Fleet has no MultiClusterService ${route.service}.`,
      why: 'Somebody deleted it: the clusters no longer know of each other’s pods.',
      fix: 'Look who did, then run again from the step that makes it, or roll back.',
    });
  }
  const spec = specOf(route, providers);
  const same = (a: readonly string[], b: readonly { name: string }[]) =>
    a.toSorted().join() ===
    b
      .map((it) => it.name)
      .toSorted()
      .join();
  if (same(found.providers, spec.providerClusters) && same(found.consumers, spec.consumerClusters)) return;
  await fleetOf(world).patch(refOf(route), { spec });
}

/** As it was before us: gone, or with its earlier spec. */
export async function putBack(
  route: McsRoute,
  was: { spec?: unknown; namespace: boolean },
  world: World,
): Promise<void> {
  const fleet = fleetOf(world);
  const ref = refOf(route);
  if (was.spec !== undefined) {
    if (await fleet.get(ref)) await fleet.patch(ref, { spec: was.spec });
    return;
  }
  await fleet.delete(ref);
  if (!was.namespace) await fleet.delete({ kind: 'Namespace', name: ref.namespace });
}
