import type { AttachArgs, CronJobsArgs, RetireArgs, ScaleArgs, SharedService, ShiftArgs } from './args.js';
import { MigrateError } from './errors.js';
import type { CloudInventory, ClusterInventory, Inventory } from './inventory.js';
import { BACKEND_TYPE, instanceOf, isReady, lbAnnotation, ownerOf, pathOf, splitPath } from './objects.js';
import { workloadsOf } from './data.js';
import type { Playbook, TrafficService } from './playbook.js';
import type { KubeObject, ServerGroup } from './ports.js';
import type { PlannedShare } from './plan.js';
import { nearestShares, solve, type Backends, type Pair, type Weight } from './split.js';
import type { Step } from './step.js';
import { points } from './words.js';

/** The traffic phase as steps, and what each will reach with the backends seen now. */
export function trafficSteps(
  playbook: Playbook,
  inventory: Inventory,
  before: Step[],
): { steps: Step[]; shares: PlannedShare[]; notes: string[] } {
  const { traffic } = playbook;
  if (!traffic) return { steps: [], shares: [], notes: [] };
  const services = sharedServices(playbook, inventory);
  const steps: Step[] = [];
  const shares: PlannedShare[] = [];
  const lastOfData = leaves(before);
  const lasts: string[] = [];

  for (const service of services) {
    const suffix = services.length === 1 ? '' : `/${service.service}`;
    const attach = `traffic/attach${suffix}`;
    steps.push(step<AttachArgs>(attach, 'attach', { service }, lastOfData));
    const expected = predicted(service, playbook, inventory);
    let from: Pair = { source: expected.sourceWeight, target: 0 };
    let last = attach;
    for (const asked of traffic.steps) {
      const id = `traffic/${asked}${suffix}`;
      const question = { asked, source: expected.source, target: expected.target, from, others: expected.others };
      const split = solve(question);
      if (!split || Math.abs(split.reachable - asked) > traffic.tolerance)
        throw unreachable(service, question, traffic.tolerance);
      shares.push({
        step: id,
        service: service.service,
        asked,
        reachable: split.reachable,
        how: how(split.pair, expected),
      });
      steps.push(
        step<ShiftArgs>(
          id,
          'shift',
          { service, asked, tolerance: traffic.tolerance, holdMs: traffic.hold, gates: traffic.gates },
          [last],
        ),
      );
      from = split.pair;
      last = id;
    }
    lasts.push(last);
  }

  const cronJobs = playbook.data ? cronJobSteps(playbook.data.namespaces, inventory) : [];
  const atEnd = traffic.steps.at(-1) === 100;
  const notes: string[] = [];
  if (cronJobs.length > 0 && atEnd) {
    steps.push(step<CronJobsArgs>('traffic/cronjobs', 'switch-cronjobs', { jobs: cronJobs }, [...lasts]));
    lasts.splice(0, lasts.length, 'traffic/cronjobs');
  } else if (cronJobs.length > 0) notes.push('The last traffic step is below 100 %: CronJobs stay with the source.');
  if (atEnd) steps.push(...completeSteps(playbook, inventory, services, lasts));
  return { steps, shares, notes };
}

const step = <Args>(id: string, kind: string, args: Args, after: string[]): Step => ({
  id,
  kind,
  phase: id.startsWith('complete/') ? 'complete' : 'traffic',
  args,
  after,
});

/** Ids of the steps that nothing else waits for. */
const leaves = (steps: readonly Step[]) =>
  steps.filter((it) => !steps.some((other) => other.after.includes(it.id))).map((it) => it.id);

function completeSteps(playbook: Playbook, inventory: Inventory, services: SharedService[], after: string[]): Step[] {
  const retired = services.map((service) =>
    step<RetireArgs>(
      services.length === 1 ? 'complete/retire' : `complete/retire/${service.service}`,
      'retire',
      { service },
      after,
    ),
  );
  const stopped = (playbook.data?.namespaces ?? []).flatMap((namespace) => {
    const workloads = workloadsOf(inventory.source, namespace).filter((it) => it.replicas > 0);
    if (workloads.length === 0) return [];
    return [
      step<ScaleArgs>(
        `complete/stop/${namespace}`,
        'scale',
        { side: 'source', to: 'zero', workloads },
        retired.map((it) => it.id),
      ),
    ];
  });
  return [...retired, ...stopped];
}

const cronJobSteps = (namespaces: readonly string[], { source }: Inventory): CronJobsArgs['jobs'] =>
  (source.objects['CronJob.batch'] ?? [])
    .filter((it) => namespaces.includes(it.metadata.namespace ?? ''))
    .map((it) => ({ namespace: it.metadata.namespace ?? '', name: it.metadata.name }));

/** The playbook's services, one for each Service: several ports of it share one annotation `weight`. */
export function sharedServices(playbook: Playbook, inventory: Inventory): SharedService[] {
  const byName = new Map<string, SharedService>();
  for (const it of playbook.traffic?.services ?? []) {
    const known = byName.get(it.service);
    if (known) {
      known.ports.push({ group: it.group, port: it.port });
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
    const sourceOwner = sourceOwnerOf(it, playbook, inventory);
    byName.set(it.service, {
      service: it.service,
      loadBalancer,
      ports: [{ group: it.group, port: it.port }],
      sourceOwner,
    });
  }
  return [...byName.values()];
}

const unfit = (service: string, why: string, fix: string) =>
  new MigrateError('PLAN_SERVICE_UNFIT', {
    what: `Service ${service} can't be shifted: ${why}.`,
    why: 'Its share is moved by the weights of one server group that both clusters are in.',
    fix,
  });

export function loadBalancerOf(it: TrafficService, inventory: Inventory): string | undefined {
  const service = find(inventory.source, it.service);
  return it.loadBalancer ?? (service && lbAnnotation(service, 'id')) ?? undefined;
}

const find = (side: ClusterInventory, path: string): KubeObject | undefined =>
  (side.objects['Service'] ?? []).find((it) => pathOf(it.metadata) === path);

/**
 * The cluster id by which the source's controller signs its members: said in the playbook, or that of the members which are nodes or
 * pods of the source.
 */
function sourceOwnerOf(it: TrafficService, playbook: Playbook, inventory: Inventory): string {
  const said = (playbook.source as { clusterId?: string }).clusterId;
  if (said !== undefined) return said;
  const { namespace, name } = splitPath(it.service);
  const group = groupOf(it, inventory);
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

function groupOf(it: TrafficService, inventory: Inventory): ServerGroup {
  const lb = loadBalancerOf(it, inventory);
  const found = cloudOf(inventory).loadBalancers.find((one) => one.id === lb);
  if (!found)
    throw unfit(
      it.service,
      `load balancer ${lb ?? '?'} was not seen`,
      'Check its id, the region and the rights of the cloud identity.',
    );
  const group = found.groups.find((one) => one.id === it.group);
  if (!group)
    throw unfit(
      it.service,
      `load balancer ${found.id} has no server group ${it.group}`,
      `Its groups: ${found.groups.map((one) => one.id).join(', ') || 'none'}.`,
    );
  return group;
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

interface Predicted {
  source: Backends;
  target: Backends;
  sourceWeight: Weight;
  others: number;
}

/** What both controllers will make of the Service, with the nodes and pods that are there or that the restore brings. */
function predicted(service: SharedService, playbook: Playbook, inventory: Inventory): Predicted {
  const { source, target } = inventory;
  const port = service.ports[0];
  const from = find(source, service.service);
  if (!from) throw unfit(service.service, 'the source has no such Service', 'Check namespace and name.');
  const it = (playbook.traffic?.services ?? []).find((one) => one.group === port?.group);
  const group = it && groupOf(it, inventory);
  const { namespace, name } = splitPath(service.service);
  const own = (group?.backends ?? []).filter(
    (member) => ownerOf(member.description)?.clusterId === service.sourceOwner,
  );
  const foreign = (group?.backends ?? []).filter((member) => {
    const owner = ownerOf(member.description);
    return owner?.service !== name || owner.namespace !== namespace;
  });
  const replicas = replicasBehind(from, source);
  return {
    source: seen(backendModeOf(source, from), own.length, replicas, source),
    target: seen(backendModeOf(target, find(target, service.service)), 0, Math.max(replicas, 1), target),
    sourceWeight: weightOf(from),
    others: foreign.reduce((sum, member) => sum + member.weight, 0),
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
export function weightOf(service: KubeObject): Weight {
  const text = lbAnnotation(service, 'weight');
  const value = text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
  return value !== undefined && value >= 0 && value <= 100 ? value + 0 : undefined;
}

/** Replicas of the workloads whose pods the Service selects. */
export function replicasBehind(service: KubeObject, side: ClusterInventory): number {
  const selector = (service['spec']?.selector ?? {}) as Record<string, string>;
  const wanted = Object.entries(selector);
  if (wanted.length === 0) return 0;
  return ['Deployment.apps', 'StatefulSet.apps']
    .flatMap((kind) => side.objects[kind] ?? [])
    .filter((it) => it.metadata.namespace === service.metadata.namespace)
    .filter((it) => wanted.every(([key, value]) => it['spec']?.template?.metadata?.labels?.[key] === value))
    .reduce((sum, it) => sum + Number(it['spec']?.replicas ?? 1), 0);
}

const EACH: Record<Backends['mode'], string> = { cluster: 'node', eni: 'pod', local: 'node by pods' };

function how(pair: Pair, { source, target }: Predicted): string {
  const side = (weight: Weight, backends: Backends) => {
    if (weight === 0) return '0';
    if (backends.mode === 'local') return `${weight ?? 'pods'} by pods`;
    const each =
      weight === undefined ? (backends.defaultWeight ?? 100) : Math.max(1, Math.floor(weight / backends.members));
    return `${each} a ${EACH[backends.mode]}`;
  };
  return `source ${side(pair.source, source)}, target ${side(pair.target, target)}`;
}

export function unreachable(
  service: SharedService,
  question: Parameters<typeof solve>[0],
  tolerance: number,
): MigrateError {
  const { below, above } = nearestShares(question);
  const near = [below, above].filter((it) => it !== undefined).map((it) => `${points(it)} %`);
  const size = (it: Backends) => (it.mode === 'local' ? it.podsPerNode.length : it.members);
  return new MigrateError('SHARE_UNREACHABLE', {
    what: `${question.asked} % of ${service.service} can't be reached within ${tolerance} points.`,
    why: `Weights are whole numbers over ${size(question.source)} source and ${size(question.target)} target backends; nearest: ${near.join(' and ') || 'none'}.`,
    fix: 'Ask for one of the nearest, raise `traffic.tolerance`, or have fewer backends on the side that shall have little.',
  });
}
