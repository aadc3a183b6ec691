import type { FsmRoute } from '../fsm.js';
import { splitPath } from '../objects.js';
import type { Kind, KubeObject, Side, World } from '../ports.js';

/** Flomesh's objects of a route, under whichever of the group's two names a cluster serves. */

type FsmKind = 'GlobalTrafficPolicy' | 'ServiceExport' | 'ServiceImport';

export const fsmKind = ({ groups }: FsmRoute, side: Side, kind: FsmKind): Kind => `${kind}.${groups[side]}`;
export const fsmApi = ({ groups }: FsmRoute, side: Side) => `${groups[side]}/v1alpha1`;

export interface Policy {
  lbType: string;
  targets: { clusterKey: string; weight?: number }[];
  object: KubeObject;
}

export async function policyOf(route: FsmRoute, { source }: World): Promise<Policy | undefined> {
  const object = await source.get({
    kind: fsmKind(route, 'source', 'GlobalTrafficPolicy'),
    ...splitPath(route.service),
  });
  if (!object) return undefined;
  const { lbType = 'Locality', targets = [] } = (object['spec'] ?? {}) as Partial<Policy>;
  return { lbType, targets, object };
}

export type Wanted = { lbType: 'Locality' } | { lbType: 'ActiveActive'; key: string; weight: number };

/** Written only where it differs. Targets that are left out get nothing. */
export async function putPolicy(route: FsmRoute, wanted: Wanted, world: World): Promise<void> {
  const { source } = world;
  const kind = fsmKind(route, 'source', 'GlobalTrafficPolicy');
  const spec = {
    lbType: wanted.lbType,
    targets: wanted.lbType === 'Locality' ? null : [{ clusterKey: wanted.key, weight: wanted.weight }],
  };
  const found = await policyOf(route, world);
  if (!found) {
    const { targets, ...rest } = spec;
    await source.create({
      apiVersion: fsmApi(route, 'source'),
      kind: 'GlobalTrafficPolicy',
      metadata: splitPath(route.service),
      spec: { ...rest, ...(targets && { targets }) },
    });
    return;
  }
  if (found.lbType === spec.lbType && JSON.stringify(found.targets) === JSON.stringify(spec.targets ?? [])) return;
  await source.patch({ kind, ...splitPath(route.service) }, { spec });
}

/** As the source's import names the target's cluster; undefined while there is none. */
export async function keyOfTarget(route: FsmRoute, { source }: World): Promise<string | undefined> {
  const object = await source.get({ kind: fsmKind(route, 'source', 'ServiceImport'), ...splitPath(route.service) });
  const ports = (object?.['spec']?.ports ?? []) as {
    endpoints?: { clusterKey: string; target?: { path?: string } }[];
  }[];
  const endpoints = ports.flatMap((it) => it.endpoints ?? []);
  if (route.clusterKey !== undefined) return endpoints.find((it) => it.clusterKey === route.clusterKey)?.clusterKey;
  // Our export's path tells it from what other clusters export under the name.
  return endpoints.find((it) => it.target?.path === route.path)?.clusterKey;
}

export const exportOf = (route: FsmRoute, { target }: World): Promise<KubeObject | undefined> =>
  target.get({ kind: fsmKind(route, 'target', 'ServiceExport'), ...splitPath(route.service) });
