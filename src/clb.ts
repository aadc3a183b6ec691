import type { GroupEntry } from './routes.js';
import { MigrateError } from './errors.js';
import {
  controllerVersion,
  isMadeByController,
  LOAD_BALANCER_LABEL,
  obstacles,
  OTHER_WAYS,
  portsOf,
} from './hand-over.js';
import type { CloudInventory, ClusterInventory, Inventory } from './inventory.js';
import { BACKEND_TYPE, instanceOf, lbAnnotation, ownerOf, pathOf, splitPath } from './objects.js';
import type { Playbook } from './playbook.js';
import { SIDES, type Backend, type KubeObject, type ServerGroup, type Side } from './ports.js';
import type { Route } from './router.js';
import type { Weight } from './split.js';

/** What a playbook's entry for a CLB means, and what its steps will reach: the part of the router that needs no world. Pure. */

/** One Service of both clusters behind one load balancer; several ports of it share one weight. */
export interface ClbRoute extends Route {
  router: 'clb' | 'nlb';
  loadBalancer: string;
  ports: { group: string; port: number }[];
  /** the cluster id by which the source's controller signs its members; empty where no cluster is there */
  sourceOwner: string;
  /**
   * servers of the source outside any cluster, weighed through the API: beside a cluster's members with `ratio` for each 1 of theirs, as it was
   * when the plan was made
   */
  servers?: { ids: string[]; ratio: number };
  /** listeners whose scheduler does not heed weights and may be changed */
  reschedule?: number[];
  /** by which means weights may be written; see `WeighBy` */
  weighBy: WeighBy;
  /** why members can't be weighed one by one, where they can't */
  notEach?: string;
  /** groups are those of the listeners at each moment: taking a load balancer over may put others in place of those seen */
  handOver?: {
    /** the source's controller still owns the load balancer */
    due: boolean;
    /** Deployments behind the Service, as `namespace/name`: their rollouts are held meanwhile */
    deployments: string[];
  };
}

/**
 * `service`: by the annotation `weight` of each Service, a total for its cluster. `member`: one by one through the cloud's API, while the
 * annotation `ignore-weight-update` keeps the controllers' hands off. `either`: by Services where that comes near enough, else by members,
 * and by Services again at 0 and 100 %, so that in the end the controllers own what they did.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go (ignore-weight-update, since v2.11.1)
 */
export type WeighBy = 'service' | 'member' | 'either';

/** What is written on each side. */
export interface ClbSetting {
  source: SideSetting;
  target: SideSetting;
}

export interface SideSetting {
  /** our annotation keys' values, exactly; absent stays absent */
  weight?: string;
  ignore?: string;
  /** sum over the cluster's members, where they are weighed one by one */
  sum?: number;
  /** sum over the servers outside any cluster */
  servers?: number;
}

/** Go's strings.EqualFold, as the controller compares it. */
export const ignores = ({ ignore }: SideSetting): boolean => ignore?.toLowerCase() === 'on';

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
    const alone = playbook.source.context === '';
    const route: ClbRoute = {
      router: it.router,
      service: it.service,
      loadBalancer,
      ports: [{ group: it.group, port: it.port }],
      sourceOwner: alone ? '' : sourceOwnerOf(it, playbook, inventory),
      ...weighed(it, playbook, inventory),
    };
    byName.set(it.service, { ...route, ...withServers(route, playbook, inventory) });
  }
  const allowed = new Set(entries.filter((it) => it.scheduler === 'wrr').map((it) => `${it.service}:${it.port}`));
  return [...byName.values()].map((route) => {
    const ports = route.ports.map((it) => it.port).filter((port) => allowed.has(`${route.service}:${port}`));
    const deaf = listenersOf(route, inventory).filter((it) => ports.includes(it.port) && it.scheduler === 'rr');
    return deaf.length === 0 ? route : { ...route, reschedule: deaf.map((it) => it.port) };
  });
}

const listenersOf = ({ loadBalancer }: ClbRoute, { cloud }: Inventory) =>
  cloud?.loadBalancers.find((it) => it.id === loadBalancer)?.listeners ?? [];

/** How the listeners treat connections, one line each: what a weight can and can't do rests on it. */
export function listenerNotes(route: ClbRoute, inventory: Inventory): string[] {
  const ports = new Set(route.ports.map((it) => it.port));
  return listenersOf(route, inventory)
    .filter((it) => ports.has(it.port))
    .map(({ port, protocol, scheduler, persistenceS = 0, stickySession, drainS, healthCheck }) => {
      const kept = persistenceS > 0 ? `${persistenceS} s by address` : stickySession ? 'by cookie' : 'not at all';
      const drain =
        drainS === undefined ? 'unknown' : drainS > 0 ? `${drainS} s` : 'off: those to a member that leaves are cut';
      return `Listener ${route.loadBalancer}:${port} (${protocol}): ${scheduler}; clients kept: ${kept}; draining: ${drain}; health check: ${healthCheck === undefined ? 'unknown' : healthCheck || 'off'}.`;
    });
}

/** @throws MigrateError PLAN_SERVICE_UNFIT */
function withServers(route: ClbRoute, playbook: Playbook, inventory: Inventory): Pick<ClbRoute, 'servers'> {
  const ids = playbook.source.servers ?? [];
  const [port] = route.ports;
  if (ids.length === 0 || !port) return {};
  const { backends } = groupOf({ ...route, group: port.group }, inventory);
  const missing = ids.filter((id) => !backends.some((it) => it.server === id));
  if (missing.length > 0)
    throw unfit(
      route.service,
      `server ${missing.join(', ')} is not in group ${port.group}`,
      'Add the servers to the group first, with the weights that they have now, and let the listener use that group.',
    );
  const sum = (side: 'source' | 'servers') =>
    backends
      .filter((it) => sideOf(it, { ...route, servers: { ids, ratio: 0 } }) === side)
      .reduce((total, it) => total + it.weight, 0);
  const cluster = sum('source');
  return { servers: { ids, ratio: cluster === 0 ? 1 : sum('servers') / cluster } };
}

/** Whose a member of the group is; `servers` are those of the source outside any cluster. */
export function sideOf(member: Backend, route: ClbRoute): Side | 'servers' | 'others' {
  const owner = ownerOf(member.description);
  if (!owner && route.servers?.ids.includes(member.server)) return 'servers';
  const { namespace, name } = splitPath(route.service);
  if (owner?.namespace !== namespace || owner.service !== name) return 'others';
  return owner.clusterId === route.sourceOwner ? 'source' : 'target';
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
    ...weighed(it, playbook, inventory),
    handOver: { due, deployments: deploymentsBehind(service, inventory.source) },
  };
}

/** @throws MigrateError PLAN_SERVICE_UNFIT */
function weighed(entry: Entry, playbook: Playbook, inventory: Inventory): Pick<ClbRoute, 'weighBy' | 'notEach'> {
  const { service, weights, router } = entry;
  const notEach = whyNotEach(router, playbook, inventory);
  if (notEach !== undefined) {
    if (weights !== 'member') return { weighBy: 'service', notEach };
    throw unfit(service, `\`weights: member\` can't be had: ${notEach}`, 'Leave `weights` out, or mend that first.');
  }
  const source = find(inventory.source, service);
  // It was weighed by somebody else all along: the annotation would not be heard, and must be there in the end.
  const foundOn = source !== undefined && ignores({ ignore: lbAnnotation(source, IGNORE) ?? '' });
  return { weighBy: foundOn && weights === 'either' ? 'member' : weights };
}

export const IGNORE = 'ignore-weight-update';

/**
 * From which version on a controller leaves weights alone when told so.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud: pkg/controller/service/clbv1 (v2.11.1), pkg/controller/service/nlbv2 (v2.11.2)
 */
const LEAST = { clb: [2, 11, 1], nlb: [2, 11, 2] };

/** In words, or undefined where both controllers are known to leave weights alone when told so. */
function whyNotEach(router: ClbRoute['router'], playbook: Playbook, inventory: Inventory): string | undefined {
  const least = `v${LEAST[router].join('.')}`;
  for (const side of playbook.source.context === '' ? (['target'] as const) : SIDES) {
    const version = controllerVersion(inventory[side]) ?? playbook[side].ccm;
    if (version === undefined)
      return `the version of the ${side}'s cloud controller manager is not known; say it in the playbook: \`${side}: { ccm: ${least} }\``;
    if (isOlder(version, LEAST[router])) return `the ${side}'s cloud controller manager is ${version}, before ${least}`;
  }
  return undefined;
}

function isOlder(version: string, than: readonly number[]): boolean {
  const numbers = version.replace(/^v/, '').split('.').map(Number);
  const at = than.findIndex((it, index) => numbers[index] !== it);
  return at >= 0 && (numbers[at] ?? 0) < (than[at] ?? 0);
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

export const find = (side: ClusterInventory, path: string): KubeObject | undefined =>
  (side.objects['Service'] ?? []).find((it) => pathOf(it.metadata) === path);

/**
 * The cluster id by which the source's controller signs its members: said in the playbook, or that of the members which are nodes or
 * pods of the source.
 */
function sourceOwnerOf(it: Entry, playbook: Playbook, inventory: Inventory): string {
  const said = playbook.source.clusterId;
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

export function groupOf(
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
