import { IGNORE, ignores, sideOf, weightOf, type ClbRoute, type SideSetting } from '../clb.js';
import { foundOn, type SideStanding } from '../clb-shares.js';
import { MigrateError } from '../errors.js';
import { BACKEND_TYPE, lbAnnotation, lbKey, readyEndpoints, splitPath } from '../objects.js';
import type { Backend, Cluster, KubeObject, Side, World } from '../ports.js';
import type { Split } from '../router.js';
import { spread, sumOf, type Backends } from '../split.js';
import { spell } from '../words.js';
import { serviceOn, slicesOf } from './services.js';

/** The server group that both clusters' controllers fill, and what each side's Service says to its controller about weights. */

/** A server group by whose its members are. */
export interface Group extends Record<Side | 'servers' | 'others', Backend[]> {
  id: string;
  port: number;
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
      const sides: Record<Side | 'servers' | 'others', Backend[]> = { source: [], target: [], servers: [], others: [] };
      for (const member of await world.cloud.backends(group)) sides[sideOf(member, route)].push(member);
      return { id: group, port, ...sides };
    }),
  );

export const weightIn = (members: readonly Backend[]): number => members.reduce((sum, it) => sum + it.weight, 0);

/** All that a side has in the group: servers outside any cluster are the source's. */
export const allOf = (side: Side, group: Group): Backend[] =>
  side === 'source' ? [...group.source, ...group.servers] : group.target;

/** The group as the share is read from it. */
export const splitOf = ({ id, source, servers, target, others }: Group): Split => ({
  where: id,
  source: { members: source.length + servers.length, weight: weightIn(source) + weightIn(servers) },
  target: { members: target.length, weight: weightIn(target) },
  others: { members: others.length, weight: weightIn(others) },
});

/** How the side's controller will split a weight now: by the members that it has in the group. */
export async function backendsOn(
  cluster: Cluster,
  object: KubeObject,
  members: Backend[],
  route: ClbRoute,
): Promise<SideStanding['cluster']> {
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

const IGNORE_KEY = lbKey(IGNORE);
const HASH = 'service.beta.kubernetes.io/hash';

/** What the Service says under our keys; older prefixes are left as they are and come back into force when ours go. */
export const textsOf = (service: KubeObject): Pick<SideSetting, 'weight' | 'ignore'> => {
  const { weight, ignore } = foundOn(service, []);
  return { ...(weight !== undefined && { weight }), ...(ignore !== undefined && { ignore }) };
};

/** Writes both keys as they must be, in one patch, where they are not so yet; undefined takes a key away. @returns whether it wrote */
export async function writeTexts(
  cluster: Cluster,
  route: ClbRoute,
  wanted: Pick<SideSetting, 'weight' | 'ignore'>,
  progress: (note: string) => void,
): Promise<boolean> {
  const service = await serviceOn(cluster, route);
  const now = textsOf(service);
  if (now.weight === wanted.weight && now.ignore === wanted.ignore) return false;
  progress(`${cluster.side} weight ${wanted.weight ?? 'unset'}${ignores(wanted) ? ', ignored' : ''}`);
  await cluster.patch(
    { kind: 'Service', ...splitPath(route.service) },
    {
      metadata: {
        annotations: {
          [lbKey('weight')]: wanted.weight ?? null,
          [IGNORE_KEY]: wanted.ignore ?? null,
          ...(service.metadata.annotations?.[ASKED] !== undefined && { [ASKED]: null }),
        },
      },
    },
  );
  return true;
}

/**
 * Waits until the controller has worked through the Service as it is now: it then writes a label with a hash over all annotations. A
 * controller that does not label is waited for no longer than a short while; the group is read back in any case. Where it had not yet come
 * to what was taken away a moment ago, the hash is the right one all along: then one more edit is something new to it.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/service_controller.go (addServiceHash)
 */
export async function untilHeard(cluster: Cluster, route: ClbRoute, before: KubeObject, world: World): Promise<void> {
  const was = before.metadata.labels?.[HASH];
  const deadline = world.clock.now() + (was === undefined ? UNLABELLED_MS : TAKES_EFFECT_MS);
  const ask = (value: string | null) =>
    cluster.patch({ kind: 'Service', ...splitPath(route.service) }, { metadata: { annotations: { [ASKED]: value } } });
  const began = world.clock.now();
  let asked = false;
  for (let pause = 250; world.clock.now() < deadline; pause = Math.min(pause * 2, 4000)) {
    const hash = (await serviceOn(cluster, route)).metadata.labels?.[HASH];
    if (hash !== undefined && hash !== was) {
      if (asked) await ask(null);
      return;
    }
    if (was !== undefined && !asked && world.clock.now() - began >= UNLABELLED_MS) {
      asked = true;
      await ask('heard?');
    }
    await world.clock.sleep(pause);
  }
  if (was === undefined) return;
  throw new MigrateError('WEIGHT_NOT_TAKEN', {
    what: `The ${cluster.side}'s cloud controller manager has not taken note of Service ${route.service} within ${spell(TAKES_EFFECT_MS)}.`,
    why: 'It writes the label service.beta.kubernetes.io/hash when it has; until then it may still write weights of its own.',
    fix: `Look at the Service's events on the ${cluster.side} and whether the controller runs, then run again.`,
  });
}

const UNLABELLED_MS = 10_000;

/** On the Service while the controller is asked once more. */
const ASKED = 'migrate/heard';

/** How long the controller has until the group shows what the annotation says. */
export const TAKES_EFFECT_MS = 120_000;

/** Weights as they should be, in an order that does not change while members stay. */
export function sharedOut(members: readonly Backend[], sum: number): Backend[] {
  const inOrder = members.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const weights = spread(sum, inOrder.length);
  return inOrder.map((it, index) => ({ ...it, weight: weights[index] ?? 0 }));
}

const keyOf = ({ server, ip = '', port }: Backend) => `${server} ${ip} ${port}`;

/**
 * Sets the members of a side one by one, in every group, those alone that differ. A member that goes between the look and the call makes the
 * cloud refuse the whole call: then it is looked anew.
 *
 * @param sum  of a group's members of that side, together
 */
export async function weighMembers(
  side: Side | 'servers',
  route: ClbRoute,
  sum: number | ((group: Group) => number | undefined),
  world: World,
): Promise<void> {
  for (let triesLeft = 4; ; triesLeft -= 1) {
    try {
      for (const group of await readGroups(route, world)) {
        const wanted = typeof sum === 'number' ? sum : sum(group);
        if (wanted !== undefined) await weighGroup(group.id, group[side], wanted, world);
      }
      return;
    } catch (error) {
      if (!(error instanceof MigrateError && error.code === 'CLOUD_REFUSED') || triesLeft === 0) throw error;
      await world.clock.sleep(500);
    }
  }
}

async function weighGroup(group: string, members: readonly Backend[], sum: number, world: World): Promise<void> {
  const now = new Map(members.map((it) => [keyOf(it), it.weight]));
  const changed = sharedOut(members, sum).filter((it) => now.get(keyOf(it)) !== it.weight);
  if (changed.length > 0) await world.cloud.setWeights(group, changed);
}

/** Whether the members of a side weigh the same, but for what whole numbers leave over. */
export const areEven = (members: readonly Backend[]): boolean => {
  const weights = members.map((it) => it.weight);
  return members.length === 0 || Math.max(...weights) - Math.min(...weights) <= 1;
};

/**
 * Waits until every group shows the side as it was set: by its annotation, or member by member.
 *
 * @param setting  what is given as a sum is looked for as such; the rest is what the Service says
 * @throws MigrateError WEIGHT_NOT_TAKEN
 */
export async function untilTaken(side: Side, route: ClbRoute, setting: SideSetting, world: World): Promise<void> {
  const { clock } = world;
  const deadline = clock.now() + TAKES_EFFECT_MS;
  for (let pause = 250; ; pause = Math.min(pause * 2, 4000)) {
    const late = await lateIn(side, route, setting, world);
    if (late.length === 0) return;
    if (clock.now() >= deadline) {
      throw new MigrateError('WEIGHT_NOT_TAKEN', {
        what: `What was set for ${route.service} on the ${side} did not reach the load balancer: ${late.join('; ')}.`,
        why: 'The cloud controller manager has not acted (stopped, refused, a bad annotation), or something else writes these weights too.',
        fix: `Look at the Service's events on the ${side}, then run again.`,
      });
    }
    await clock.sleep(pause);
    // Pods that came or went meanwhile: the sum is shared out anew among those that are there.
    if (setting.sum !== undefined) await weighMembers(side, route, setting.sum, world);
  }
}

/** What the groups still show otherwise, in words. */
async function lateIn(side: Side, route: ClbRoute, { sum, servers }: SideSetting, world: World): Promise<string[]> {
  const service = sum === undefined && isHeard(side, route) ? await serviceOn(world[side], route) : undefined;
  const late: string[] = [];
  for (const group of await readGroups(route, world)) {
    const { id, [side]: members } = group;
    // A network load balancer takes a change first and carries it out later.
    const pending = allOf(side, group).find((it) => it.pending !== undefined);
    if (pending) late.push(`${id} has ${pending.server} still ${pending.pending}`);
    const weight = service ? weightOf(service) : (sum ?? 0);
    const backends = service ? await backendsOn(world[side], service, members, route) : byOne(members);
    const [shown, wanted] = [weightIn(members), sumOf(backends, weight)];
    if (shown !== wanted || (service && members.length === 0 && weight !== 0))
      late.push(`${id} shows ${shown}, not ${wanted}`);
    const beside = weightIn(group.servers);
    if (side === 'source' && servers !== undefined && beside !== servers)
      late.push(`${id} shows ${beside} for the servers, not ${servers}`);
  }
  return late;
}

/** Whether a side's Service is there to be told weights. */
export const isHeard = (side: Side, route: ClbRoute): boolean =>
  side === 'target' || (route.sourceOwner !== '' && route.sourceDown === undefined);

const byOne = (members: readonly Backend[]): Backends => ({ mode: 'api', members: members.length });
