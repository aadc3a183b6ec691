import type { GroupEntry } from './routes.js';
import { MigrateError } from './errors.js';
import { isMadeByController, LOAD_BALANCER_LABEL, obstacles, OTHER_WAYS, portsOf } from './hand-over.js';
import type { CloudInventory, ClusterInventory, Inventory } from './inventory.js';
import { BACKEND_TYPE, instanceOf, isReady, lbAnnotation, ownerOf, pathOf, splitPath } from './objects.js';
import type { Playbook } from './playbook.js';
import type { KubeObject, ServerGroup } from './ports.js';
import type { Ask, Choice, Route, Unreachable } from './router.js';
import { nearestShares, solve, type Backends, type Pair, type SplitQuestion, type Weight } from './split.js';

/** What a playbook's entry for a CLB means, and what its steps will reach: the part of the router that needs no world. Pure. */

/** One Service of both clusters behind one load balancer; several ports of it share one weight. */
export interface ClbRoute extends Route {
  router: 'clb' | 'nlb';
  loadBalancer: string;
  ports: { group: string; port: number }[];
  /** the cluster id by which the source's controller signs its members */
  sourceOwner: string;
  /** groups are those of the listeners at each moment: taking a load balancer over may put others in place of those seen */
  handOver?: {
    /** the source's controller still owns the load balancer */
    due: boolean;
    /** Deployments behind the Service, as `namespace/name`: their rollouts are held meanwhile */
    deployments: string[];
  };
}

/** What is written on each side. */
export interface ClbSetting {
  source: SideSetting;
  target: SideSetting;
}

export interface SideSetting {
  /** our annotation key's value, exactly; absent stays absent */
  weight?: string;
}

/** The value under the key that we write; the older prefix is left as it is and comes back into force when ours goes. */
export const settingOf = (weight: Weight): SideSetting => (weight === undefined ? {} : { weight: String(weight) });

type Entry = GroupEntry;

/** The playbook's services, one for each Service: several ports of it share one annotation `weight`. */
export function clbRoutes(entries: readonly Entry[], playbook: Playbook, inventory: Inventory): ClbRoute[] {
  const byName = new Map<string, ClbRoute>();
  for (const it of entries) {
    const known = byName.get(it.service);
    if (known) {
      if (!known.handOver) known.ports.push({ group: it.group, port: it.port });
      continue;
    }
    const loadBalancer = loadBalancerOf(it, inventory);
    if (!loadBalancer) {
      throw unfit(
        it.service,
        'its load balancer is not known',
        'Give the source Service the annotation …-loadbalancer-id, or name it as `loadBalancer` in the playbook.',
      );
    }
    if (it.handOver !== undefined) {
      byName.set(it.service, handedOver(it, loadBalancer, playbook, inventory));
      continue;
    }
    const sourceOwner = sourceOwnerOf(it, playbook, inventory);
    byName.set(it.service, {
      router: it.router,
      service: it.service,
      loadBalancer,
      ports: [{ group: it.group, port: it.port }],
      sourceOwner,
    });
  }
  return [...byName.values()];
}

/** All ports of the Service at once: its annotation `weight` is one for all of them, and none may be left to the controller. */
function handedOver(it: Entry, loadBalancer: string, playbook: Playbook, inventory: Inventory): ClbRoute {
  const service = find(inventory.source, it.service);
  const balancer = cloudOf(inventory).loadBalancers.find((one) => one.id === loadBalancer);
  if (!service || !balancer)
    throw unfit(
      it.service,
      service ? `load balancer ${loadBalancer} was not seen` : 'the source has no such Service',
      service
        ? 'Check its id, the region and the rights of the cloud identity.'
        : 'Check namespace and name in the playbook.',
    );
  const ports = portsOf(service).map(({ port }) => ({
    port,
    group: balancer.listeners.find((one) => one.port === port)?.group ?? '',
  }));
  const without = ports.find((one) => one.group === '');
  if (ports.length === 0 || without)
    throw unfit(
      it.service,
      `load balancer ${loadBalancer} has no group behind port ${without?.port ?? it.port}`,
      'Only what the controller has set up whole can be handed over: see the events of the Service.',
    );
  const due = isMadeByController(balancer) || lbAnnotation(service, 'id') !== loadBalancer;
  const [against] = due ? obstacles(it.service, service, balancer) : [];
  if (against !== undefined)
    throw new MigrateError('HANDOVER_UNSAFE', {
      what: `Load balancer ${loadBalancer} of ${it.service} can't be handed over: ${against}.`,
      why: 'Taking its marks off would leave somebody without an owner, or the controller would not let go.',
      fix: OTHER_WAYS,
    });
  const group = ports.find((one) => one.port === it.port)?.group ?? ports[0]?.group ?? '';
  return {
    router: it.router,
    service: it.service,
    loadBalancer,
    ports,
    sourceOwner: sourceOwnerOf({ ...it, group }, playbook, inventory),
    handOver: { due, deployments: deploymentsBehind(service, inventory.source) },
  };
}

export const unfit = (service: string, why: string, fix: string) =>
  new MigrateError('PLAN_SERVICE_UNFIT', {
    what: `Service ${service} can't be shifted: ${why}.`,
    why: 'Its share is moved by the weights of one server group that both clusters are in.',
    fix,
  });

export function loadBalancerOf(it: Entry, inventory: Inventory): string | undefined {
  const service = find(inventory.source, it.service);
  if (it.loadBalancer !== undefined || !service) return it.loadBalancer;
  const noted = it.handOver === undefined ? undefined : service.metadata.labels?.[LOAD_BALANCER_LABEL];
  return (lbAnnotation(service, 'id') || noted) ?? undefined;
}

const find = (side: ClusterInventory, path: string): KubeObject | undefined =>
  (side.objects['Service'] ?? []).find((it) => pathOf(it.metadata) === path);

/**
 * The cluster id by which the source's controller signs its members: said in the playbook, or that of the members which are nodes or
 * pods of the source.
 */
function sourceOwnerOf(it: Entry, playbook: Playbook, inventory: Inventory): string {
  const said = (playbook.source as { clusterId?: string }).clusterId;
  if (said !== undefined) return said;
  const { namespace, name } = splitPath(it.service);
  const group = groupOf({ ...it, loadBalancer: loadBalancerOf(it, inventory) }, inventory);
  const nodes = new Set((inventory.source.objects['Node'] ?? []).flatMap((node) => instanceOf(node) ?? []));
  const pods = new Set(
    (inventory.source.objects['Pod'] ?? []).flatMap((pod) =>
      typeof pod['status']?.podIP === 'string' ? [pod['status'].podIP as string] : [],
    ),
  );
  for (const member of group.backends) {
    const owner = ownerOf(member.description);
    if (owner?.service !== name || owner.namespace !== namespace) continue;
    if (nodes.has(member.server) || (member.ip !== undefined && pods.has(member.ip))) return owner.clusterId;
  }
  throw unfit(
    it.service,
    `group ${it.group} has no member that is a node or pod of the source`,
    'The source Service must be in the group already: annotations …-loadbalancer-id and …-loadbalancer-vgroup-port.',
  );
}

function groupOf(
  { service, loadBalancer, group }: { service: string; loadBalancer: string | undefined; group: string },
  inventory: Inventory,
): ServerGroup {
  const found = cloudOf(inventory).loadBalancers.find((one) => one.id === loadBalancer);
  if (!found)
    throw unfit(
      service,
      `load balancer ${loadBalancer ?? '?'} was not seen`,
      'Check its id, the region and the rights of the cloud identity.',
    );
  const known = found.groups.find((one) => one.id === group);
  if (!known)
    throw unfit(
      service,
      `load balancer ${found.id} has no server group ${group}`,
      `Its groups: ${found.groups.map((one) => one.id).join(', ') || 'none'}.`,
    );
  return known;
}

function cloudOf(inventory: Inventory): CloudInventory {
  if (inventory.cloud) return inventory.cloud;
  throw new MigrateError('PLAN_NOT_SEEN', {
    what: 'The inventory has no cloud.',
    why: 'The weights are read at the load balancer.',
    fix: 'Take the inventory with the playbook that has `cloud`.',
  });
}

/**
 * How a cluster's controller makes members of a Service: by the annotation, else by the cluster's network (Terway gives pods addresses
 * of the VPC), else by the traffic policy.
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/reconcile/backend
 */
export function backendModeOf(side: ClusterInventory, service: KubeObject | undefined): 'cluster' | 'eni' | 'local' {
  const said = service?.metadata.annotations?.[BACKEND_TYPE];
  const terway = (side.objects['ConfigMap'] ?? []).some(
    (it) => it.metadata.namespace === 'kube-system' && it.metadata.name === 'eni-config',
  );
  if (said === 'eni' || (said !== 'ecs' && terway)) return 'eni';
  return service?.['spec']?.externalTrafficPolicy === 'Local' ? 'local' : 'cluster';
}

/**
 * What a share will be, with the members that both controllers will make of the nodes and pods that are there or that the restore brings.
 */
export const foreseeClb = (
  route: ClbRoute,
  ask: Ask,
  from: ClbSetting | undefined,
  inventory: Inventory,
): Choice<ClbSetting> | Unreachable => answer(ask, foreseen(route, from, inventory));

function foreseen(route: ClbRoute, from: ClbSetting | undefined, inventory: Inventory): Omit<SplitQuestion, 'asked'> {
  const { source, target } = inventory;
  const [port] = route.ports;
  const service = find(source, route.service);
  if (!service || !port) throw unfit(route.service, 'the source has no such Service', 'Check namespace and name.');
  const { backends } = groupOf({ ...route, group: port.group }, inventory);
  const { namespace, name } = splitPath(route.service);
  const own = backends.filter((member) => ownerOf(member.description)?.clusterId === route.sourceOwner);
  const foreign = backends.filter((member) => {
    const owner = ownerOf(member.description);
    return owner?.service !== name || owner.namespace !== namespace;
  });
  const replicas = replicasBehind(service, source);
  return {
    source: seen(backendModeOf(source, service), own.length, replicas, source),
    target: seen(backendModeOf(target, find(target, route.service)), 0, Math.max(replicas, 1), target),
    from: from
      ? { source: readWeight(from.source.weight), target: readWeight(from.target.weight) }
      : { source: weightOf(service), target: 0 },
    others: foreign.reduce((sum, member) => sum + member.weight, 0),
  };
}

/** The solver's answer in the router's terms. */
export function answer(
  { asked, tolerance }: Ask,
  backends: Omit<SplitQuestion, 'asked'>,
): Choice<ClbSetting> | Unreachable {
  const question = { asked, ...backends };
  const found = solve(question);
  if (!found || Math.abs(found.reachable - asked) > tolerance) return tooFar(question);
  const { pair, reachable, order } = found;
  return {
    setting: { source: settingOf(pair.source), target: settingOf(pair.target) },
    reachable,
    order,
    how: how(pair, question),
  };
}

function tooFar(question: SplitQuestion): Unreachable {
  const size = (it: Backends) => (it.mode === 'local' ? it.podsPerNode.length : it.members);
  return {
    ...nearestShares(question),
    why: `Weights are whole numbers over ${size(question.source)} source and ${size(question.target)} target backends`,
    fix: 'Ask for one of the nearest, raise `traffic.tolerance`, or have fewer backends on the side that shall have little.',
  };
}

function seen(mode: 'cluster' | 'eni' | 'local', members: number, replicas: number, side: ClusterInventory): Backends {
  const nodes = (side.objects['Node'] ?? []).filter(isReady).length;
  if (mode === 'cluster') return { mode, members: members || nodes };
  if (mode === 'eni') return { mode, members: members || replicas };
  const spread = Math.max(1, Math.min(nodes, replicas));
  return {
    mode,
    podsPerNode: Array.from(
      { length: spread },
      (_, index) => Math.floor(replicas / spread) + (index < replicas % spread ? 1 : 0),
    ),
  };
}

/**
 * What the annotation says now, read as Go's Atoi does: `+5` and `007` pass. An empty one counts as absent, as the controller takes it;
 * a bad one (`20%`) makes the controller drop its members or fail, which the check `service-annotations` refuses before we get here.
 */
export const weightOf = (service: KubeObject): Weight => readWeight(lbAnnotation(service, 'weight'));

export function readWeight(text: string | undefined): Weight {
  const value = text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
  return value !== undefined && value >= 0 && value <= 100 ? value + 0 : undefined;
}

/** Replicas of the workloads whose pods the Service selects. */
export const replicasBehind = (service: KubeObject, side: ClusterInventory): number =>
  workloadsBehind(service, side, ['Deployment.apps', 'StatefulSet.apps']).reduce(
    (sum, it) => sum + Number(it['spec']?.replicas ?? 1),
    0,
  );

const deploymentsBehind = (service: KubeObject, side: ClusterInventory): string[] =>
  workloadsBehind(service, side, ['Deployment.apps']).map((it) => pathOf(it.metadata));

function workloadsBehind(service: KubeObject, side: ClusterInventory, kinds: string[]): KubeObject[] {
  const wanted = Object.entries((service['spec']?.selector ?? {}) as Record<string, string>);
  if (wanted.length === 0) return [];
  return kinds
    .flatMap((kind) => side.objects[kind] ?? [])
    .filter((it) => it.metadata.namespace === service.metadata.namespace)
    .filter((it) => wanted.every(([key, value]) => it['spec']?.template?.metadata?.labels?.[key] === value));
}

const EACH: Record<Backends['mode'], string> = { cluster: 'node', eni: 'pod', local: 'node by pods' };

function how(pair: Pair, { source, target }: SplitQuestion): string {
  const side = (weight: Weight, backends: Backends) => {
    if (weight === 0) return '0';
    if (backends.mode === 'local') return `${weight ?? 'pods'} by pods`;
    const each =
      weight === undefined ? (backends.defaultWeight ?? 100) : Math.max(1, Math.floor(weight / backends.members));
    return `${each} a ${EACH[backends.mode]}`;
  };
  return `source ${side(pair.source, source)}, target ${side(pair.target, target)}`;
}
