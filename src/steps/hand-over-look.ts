import type { ClbRoute } from '../clb.js';
import { MigrateError } from '../errors.js';
import { HASH_LABEL, MADE_BY_CONTROLLER, nameOfGroup, TAG_REUSED } from '../hand-over.js';
import { instanceOf, lbAnnotation, lbKey, ownerOf, readyEndpoints, splitPath } from '../objects.js';
import type { Backend, KubeObject, LoadBalancer, ServerGroup, World } from '../ports.js';
import { serviceOn, slicesOf } from '../routers/services.js';

/** Where a hand-over stands, read from the Service, its endpoints and the load balancer, and what is still missing of it. */

export interface HandOverBefore {
  /** the controller's marks, as they were */
  tags: Record<string, string>;
  /** the controller's mark of what a person owns was there too */
  reused: boolean;
  /** of the Service, under the keys that we write */
  annotations: Record<string, string>;
  /** the controller's digest of the Service */
  hash?: string;
  listeners: ListenerBefore[];
}

export interface ListenerBefore {
  port: number;
  protocol: string;
  scheduler: string;
  /** id and name of the group behind it */
  group: string;
  name: string;
}

/** Keys that we write, and one that must not hold once the load balancer is a person's. */
export const KEYS = ['id', 'vgroup-port', 'weight', 'force-override-listeners'].map(lbKey);

export interface Standing {
  service: KubeObject;
  balancer: LoadBalancer;
  /** addresses of ready pods */
  addresses: ReadonlySet<string>;
  /** instances of nodes with ready pods */
  instances: ReadonlySet<string>;
}

export async function look(route: ClbRoute, world: World): Promise<Standing> {
  const [service, slices, balancer] = await Promise.all([
    serviceOn(world.source, route),
    slicesOf(world.source, route),
    world.cloud.loadBalancer(route.loadBalancer),
  ]);
  if (!balancer)
    throw new MigrateError('BALANCER_GONE', {
      what: `There is no load balancer ${route.loadBalancer} any more.`,
      why: 'Somebody deleted it, or the Service that owned it.',
      fix: 'Make a new plan; the address is gone with it.',
    });
  const { addresses, byNode } = readyEndpoints(slices);
  const local = service['spec']?.externalTrafficPolicy === 'Local';
  const nodes = local ? await world.source.list('Node') : [];
  return {
    service,
    balancer,
    addresses: new Set(addresses),
    instances: new Set(nodes.flatMap((it) => (byNode.has(it.metadata.name) ? (instanceOf(it) ?? []) : []))),
  };
}

export const hashOf = (service: KubeObject): string | undefined => service.metadata.labels?.[HASH_LABEL];

/** The group of a port once it is ours. */
export const ourGroup = (route: ClbRoute, port: number, { balancer }: Standing): ServerGroup | undefined =>
  balancer.groups.find((it) => it.name === nameOfGroup(route.service, port));

/** Groups that the controller signed for this Service: its own, of which it does as it likes. */
export const signedGroups = (route: ClbRoute, { balancer }: Standing): ServerGroup[] =>
  balancer.groups.filter((it) => isOurs(it.name, route));

export const listenerOn = (port: number, { balancer }: Standing) => balancer.listeners.find((it) => it.port === port);

export const isOurs = (text: string, route: ClbRoute): boolean => {
  const owner = ownerOf(text);
  const { namespace, name } = splitPath(route.service);
  return owner?.namespace === namespace && owner.service === name && owner.clusterId === route.sourceOwner;
};

/** Members of the Service whose pod, or last pod on the node, is gone. */
export function gone(
  members: readonly Backend[],
  route: ClbRoute,
  { addresses, instances, service }: Standing,
): Backend[] {
  const own = members.filter((it) => isOurs(it.description, route));
  if (own.every((it) => it.type !== 'eni'))
    return service['spec']?.externalTrafficPolicy === 'Local' ? own.filter((it) => !instances.has(it.server)) : [];
  return own.filter((it) => it.type === 'eni' && !addresses.has(it.ip ?? ''));
}

/** What a group lacks of being in step with the pods there are; undefined when it is. Any node forwards to any pod, so nodes are. */
export function outOfStep(group: ServerGroup, route: ClbRoute, standing: Standing): string | undefined {
  const { addresses, instances, service } = standing;
  const own = group.backends.filter((it) => isOurs(it.description, route));
  if (own.length === 0) return `${group.id} has no member of the source`;
  const left = gone(own, route, standing).length;
  if (left > 0) return `${group.id} still has ${left} whose pod is gone`;
  const pods = new Set(own.flatMap((it) => (it.type === 'eni' ? [it.ip ?? ''] : [])));
  const nodes = new Set(own.flatMap((it) => (it.type === 'eni' ? [] : [it.server])));
  const late =
    pods.size > 0 && nodes.size === 0
      ? [...addresses].filter((it) => !pods.has(it)).length
      : service['spec']?.externalTrafficPolicy === 'Local'
        ? [...instances].filter((it) => !nodes.has(it)).length
        : 0;
  return late > 0 ? `${group.id} lacks ${late} that are ready` : undefined;
}

export const WEIGHTED = ['wrr', 'wlc'];

/** What the Service must say for the controller to let go. A weight that was never in force must not come into force by this. */
export function takenAnnotations(
  route: ClbRoute,
  { service }: Standing,
  groups: readonly ServerGroup[],
): Record<string, string> {
  const stray = lbAnnotation(service, 'weight');
  return {
    [lbKey('id')]: route.loadBalancer,
    [lbKey('vgroup-port')]: groups.map((it, at) => `${it.id}:${route.ports[at]?.port ?? 0}`).join(','),
    ...(stray !== undefined &&
      stray !== '' &&
      lbAnnotation(service, 'id') !== route.loadBalancer && { [lbKey('weight')]: '' }),
    ...(lbAnnotation(service, 'force-override-listeners') === 'true' && {
      [lbKey('force-override-listeners')]: 'false',
    }),
  };
}

/** Which marks are on it. */
export const marksOn = ({ balancer }: Standing): string[] => MADE_BY_CONTROLLER.filter((it) => it in balancer.tags);

/** Either is written by the controller alone, once it has taken the load balancer for a person's. */
export const hasLooked = ({ reused, hash }: HandOverBefore, { service, balancer }: Standing): boolean =>
  (TAG_REUSED in balancer.tags && !reused) || hashOf(service) !== hash;

/** What is still missing until the controller owns nothing but its own members, in words. */
export function missing(route: ClbRoute, before: HandOverBefore, standing: Standing): string[] {
  const { service } = standing;
  const found: string[] = [];
  const marks = marksOn(standing);
  if (marks.length > 0) found.push(`it is still tagged ${marks.join(', ')}`);
  const groups = route.ports.flatMap(({ port }) => ourGroup(route, port, standing) ?? []);
  if (groups.length < route.ports.length) found.push('not every port has a group of its own yet');
  else
    for (const [key, value] of Object.entries(takenAnnotations(route, standing, groups)))
      if (service.metadata.annotations?.[key] !== value) found.push(`the Service does not say ${key}: "${value}"`);
  if (!hasLooked(before, standing)) found.push('the controller has not looked at the Service yet');
  for (const [at, { port }] of route.ports.entries()) {
    const listener = listenerOn(port, standing);
    const group = groups[at];
    if (!listener || !group) continue;
    const late = outOfStep(group, route, standing);
    if (late !== undefined) found.push(late);
    if (listener.group !== group.id)
      found.push(`listener ${port} forwards to ${listener.group ?? 'nothing'}, not ${group.id}`);
    else if (!WEIGHTED.includes(listener.scheduler)) found.push(`listener ${port} has scheduler ${listener.scheduler}`);
  }
  for (const it of signedGroups(route, standing)) found.push(`${it.id} (${it.name}) is still the controller's own`);
  return found;
}
