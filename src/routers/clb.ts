import type { SharedService } from '../args.js';
import { MigrateError } from '../errors.js';
import { BACKEND_TYPE, lbAnnotation, lbKey, ownerOf, readyEndpoints, splitPath } from '../objects.js';
import type { Backend, Cluster, KubeObject, Side, World } from '../ports.js';
import { sumOf, type Backends, type Weight } from '../split.js';
import { weightOf } from '../traffic.js';

/**
 * Splits new connections by the weights of one server group of a CLB that both clusters' controllers fill. Each side's weight is written
 * through its owner, the annotation of its Service; the load balancer is the only memory of the split and is always asked.
 */

export interface GroupSide {
  members: Backend[];
  /** sum of their weights */
  weight: number;
}

export interface GroupSplit {
  group: string;
  port: number;
  source: GroupSide;
  target: GroupSide;
  /** members that neither cluster's controller signed */
  others: GroupSide;
}

/** What each group of the service shows now. */
export function readGroups(service: SharedService, world: World): Promise<GroupSplit[]> {
  return Promise.all(
    service.ports.map(async ({ group, port }) => {
      const sides: Record<Side | 'others', Backend[]> = { source: [], target: [], others: [] };
      for (const member of await world.cloud.backends(group)) sides[sideOf(member, service)].push(member);
      return { group, port, source: side(sides.source), target: side(sides.target), others: side(sides.others) };
    }),
  );
}

const side = (members: Backend[]): GroupSide => ({ members, weight: members.reduce((sum, it) => sum + it.weight, 0) });

function sideOf(member: Backend, service: SharedService): Side | 'others' {
  const owner = ownerOf(member.description);
  const { namespace, name } = splitPath(service.service);
  if (owner?.namespace !== namespace || owner.service !== name) return 'others';
  return owner.clusterId === service.sourceOwner ? 'source' : 'target';
}

/** Percent of new connections for the target, by the weights; NaN when nobody has one. */
export const measured = ({ source, target, others }: GroupSplit): number =>
  (100 * target.weight) / (source.weight + target.weight + others.weight);

export async function serviceOn(cluster: Cluster, service: SharedService): Promise<KubeObject> {
  const found = await cluster.get({ kind: 'Service', ...splitPath(service.service) });
  if (found) return found;
  throw new MigrateError('SERVICE_MISSING', {
    what: `The ${cluster.side} has no Service ${service.service}.`,
    why: 'Its share can only be moved between two Services of that name.',
    fix:
      cluster.side === 'target'
        ? 'Bring it first: `migrate run --phase data`, or apply it yourself.'
        : 'Check the namespace and name in the playbook.',
  });
}

export const slicesOf = (cluster: Cluster, service: SharedService) => {
  const { namespace, name } = splitPath(service.service);
  return cluster.list('EndpointSlice.discovery.k8s.io', { namespace, labels: `kubernetes.io/service-name=${name}` });
};

/** How the side's controller will split a weight now: by the members that it has in the group. */
export async function backendsOn(
  cluster: Cluster,
  object: KubeObject,
  members: Backend[],
  service: SharedService,
): Promise<Backends> {
  if (object['spec']?.externalTrafficPolicy === 'Local' && !isEni(object, members)) {
    const { byNode } = readyEndpoints(await slicesOf(cluster, service));
    return { mode: 'local', podsPerNode: [...byNode.values()] };
  }
  const set = lbAnnotation(object, 'default-weight');
  const defaultWeight = set !== undefined && /^\d+$/.test(set) ? Number(set) : 100;
  return { mode: isEni(object, members) ? 'eni' : 'cluster', members: members.length, defaultWeight };
}

const isEni = (object: KubeObject, members: Backend[]) =>
  members.length > 0 ? members.every((it) => it.type === 'eni') : object.metadata.annotations?.[BACKEND_TYPE] === 'eni';

/** Writes the annotation as it must be: a number, or as it was found (undefined removes our key). */
export async function writeWeight(cluster: Cluster, service: SharedService, value: string | undefined): Promise<void> {
  await cluster.patch(
    { kind: 'Service', ...splitPath(service.service) },
    { metadata: { annotations: { [lbKey('weight')]: value ?? null } } },
  );
}

/** The value under the key that we write; the older prefix is left as it is and comes back into force when ours goes. */
export const ownWeight = (service: KubeObject): string | undefined => service.metadata.annotations?.[lbKey('weight')];

export const textOf = (weight: Weight): string | undefined => (weight === undefined ? undefined : String(weight));

/** How long the controller has until the group shows what the annotation says. */
export const TAKES_EFFECT_MS = 120_000;

/**
 * Waits until every group shows the weight that the side's annotation asks for.
 * @throws MigrateError WEIGHT_NOT_TAKEN
 */
export async function untilTaken(
  sideName: Side,
  cluster: Cluster,
  service: SharedService,
  world: World,
): Promise<void> {
  const { clock } = world;
  const deadline = clock.now() + TAKES_EFFECT_MS;
  for (let pause = 250; ; pause = Math.min(pause * 2, 4000)) {
    const object = await serviceOn(cluster, service);
    const weight = weightOf(object);
    const groups = await readGroups(service, world);
    const late: string[] = [];
    for (const it of groups) {
      const { members, weight: shown } = it[sideName];
      const wanted = sumOf(await backendsOn(cluster, object, members, service), weight);
      if (shown !== wanted || (members.length === 0 && weight !== 0))
        late.push(`${it.group} shows ${shown}, not ${wanted}`);
    }
    if (late.length === 0) return;
    if (clock.now() >= deadline) {
      throw new MigrateError('WEIGHT_NOT_TAKEN', {
        what: `Weight ${textOf(weight) ?? 'unset'} of ${service.service} on the ${sideName} did not reach the load balancer: ${late.join('; ')}.`,
        why: 'The cloud controller manager has not acted (stopped, refused, a bad annotation), or something else writes these weights too.',
        fix: `Look at the Service's events on the ${sideName}, then run again.`,
      });
    }
    await clock.sleep(pause);
  }
}
