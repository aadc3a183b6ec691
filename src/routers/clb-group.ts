import { weightOf, type ClbRoute } from '../clb.js';
import { MigrateError } from '../errors.js';
import { BACKEND_TYPE, lbAnnotation, lbKey, ownerOf, readyEndpoints, splitPath } from '../objects.js';
import type { Backend, Cluster, KubeObject, Side, World } from '../ports.js';
import type { Split } from '../router.js';
import { sumOf, type Backends } from '../split.js';
import { serviceOn, slicesOf } from './services.js';

/** The server group that both clusters' controllers fill, and what each side's Service says to its controller about weights. */

/** A server group by whose its members are; `others` are those that neither cluster's controller signed. */
export interface Group {
  id: string;
  port: number;
  source: Backend[];
  target: Backend[];
  others: Backend[];
}

/** The route with the groups that are there at this moment: of a load balancer that was taken over the listeners say which. */
export async function resolved(route: ClbRoute, world: World): Promise<ClbRoute> {
  if (!route.handOver) return route;
  const listeners = await world.cloud.clb.listeners(route.loadBalancer);
  const now = (port: number) => listeners.find((it) => it.port === port)?.group;
  return { ...route, ports: route.ports.map((it) => ({ ...it, group: now(it.port) ?? it.group })) };
}

/** What each group of the route shows now. */
export const readGroups = async (route: ClbRoute, world: World): Promise<Group[]> =>
  Promise.all(
    (await resolved(route, world)).ports.map(async ({ group, port }) => {
      const sides: Record<Side | 'others', Backend[]> = { source: [], target: [], others: [] };
      for (const member of await world.cloud.backends(group)) sides[sideOf(member, route)].push(member);
      return { id: group, port, ...sides };
    }),
  );

function sideOf(member: Backend, route: ClbRoute): Side | 'others' {
  const owner = ownerOf(member.description);
  const { namespace, name } = splitPath(route.service);
  if (owner?.namespace !== namespace || owner.service !== name) return 'others';
  return owner.clusterId === route.sourceOwner ? 'source' : 'target';
}

export const weightIn = (members: readonly Backend[]): number => members.reduce((sum, it) => sum + it.weight, 0);

/** The group as the share is read from it. */
export const splitOf = ({ id, source, target, others }: Group): Split => ({
  where: id,
  source: { members: source.length, weight: weightIn(source) },
  target: { members: target.length, weight: weightIn(target) },
  others: { members: others.length, weight: weightIn(others) },
});

/** How the side's controller will split a weight now: by the members that it has in the group. */
export async function backendsOn(
  cluster: Cluster,
  object: KubeObject,
  members: Backend[],
  route: ClbRoute,
): Promise<Backends> {
  if (object['spec']?.externalTrafficPolicy === 'Local' && !isEni(object, members)) {
    const { byNode } = readyEndpoints(await slicesOf(cluster, route));
    return { mode: 'local', podsPerNode: [...byNode.values()] };
  }
  const set = lbAnnotation(object, 'default-weight');
  const defaultWeight = set !== undefined && /^\d+$/.test(set) ? Number(set) : 100;
  return { mode: isEni(object, members) ? 'eni' : 'cluster', members: members.length, defaultWeight };
}

const isEni = (object: KubeObject, members: Backend[]) =>
  members.length > 0 ? members.every((it) => it.type === 'eni') : object.metadata.annotations?.[BACKEND_TYPE] === 'eni';

/** Writes the annotation as it must be: a number, or as it was found (undefined removes our key). */
export async function writeWeight(cluster: Cluster, route: ClbRoute, value: string | undefined): Promise<void> {
  await cluster.patch(
    { kind: 'Service', ...splitPath(route.service) },
    { metadata: { annotations: { [lbKey('weight')]: value ?? null } } },
  );
}

/** The value under the key that we write; the older prefix is left as it is and comes back into force when ours goes. */
export const ownWeight = (service: KubeObject): string | undefined => service.metadata.annotations?.[lbKey('weight')];

/** How long the controller has until the group shows what the annotation says. */
export const TAKES_EFFECT_MS = 120_000;

/**
 * Waits until every group shows the weight that the side's annotation asks for.
 * @throws MigrateError WEIGHT_NOT_TAKEN
 */
export async function untilTaken(sideName: Side, cluster: Cluster, route: ClbRoute, world: World): Promise<void> {
  const { clock } = world;
  const deadline = clock.now() + TAKES_EFFECT_MS;
  for (let pause = 250; ; pause = Math.min(pause * 2, 4000)) {
    const object = await serviceOn(cluster, route);
    const weight = weightOf(object);
    const late: string[] = [];
    for (const { id, [sideName]: members } of await readGroups(route, world)) {
      // A network load balancer takes a change first and carries it out later.
      const pending = members.find((it) => it.pending !== undefined);
      if (pending) late.push(`${id} has ${pending.server} still ${pending.pending}`);
      const [shown, wanted] = [weightIn(members), sumOf(await backendsOn(cluster, object, members, route), weight)];
      if (shown !== wanted || (members.length === 0 && weight !== 0)) late.push(`${id} shows ${shown}, not ${wanted}`);
    }
    if (late.length === 0) return;
    if (clock.now() >= deadline) {
      throw new MigrateError('WEIGHT_NOT_TAKEN', {
        what: `Weight ${weight ?? 'unset'} of ${route.service} on the ${sideName} did not reach the load balancer: ${late.join('; ')}.`,
        why: 'The cloud controller manager has not acted (stopped, refused, a bad annotation), or something else writes these weights too.',
        fix: `Look at the Service's events on the ${sideName}, then run again.`,
      });
    }
    await clock.sleep(pause);
  }
}
