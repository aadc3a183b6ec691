import {
  backendModeOf,
  find,
  groupOf,
  IGNORE,
  ignores,
  readWeight,
  replicasBehind,
  settingOf,
  sideOf,
  unfit,
  type ClbRoute,
  type ClbSetting,
  type SideSetting,
  type WeighBy,
} from './clb.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import { canonical, isReady, lbAnnotation, lbKey } from './objects.js';
import { SIDES, type KubeObject, type Side } from './ports.js';
import { isReachable, type Ask, type Choice, type Unreachable } from './router.js';
import {
  nearestShares,
  serversOf,
  solve,
  sumOf,
  weightsOf,
  type Backends,
  type Pair,
  type Solution,
  type SplitQuestion,
  type Weight,
} from './split.js';

/** Which weights give a share behind a server group, and by whose hand they are written. Pure. */

/** What a side has in the group, and what of it is written by whom. */
export interface SideStanding {
  /** the cluster's members, as its controller makes and weighs them */
  cluster: Exclude<Backends, { mode: 'api' | 'joint' }>;
  /** servers outside any cluster */
  servers: number;
  /** nobody hears what the Service says: there is none, or its API server or controller is dead */
  unheard: boolean;
  /** sum of all its weights now */
  now: number;
}

export interface Standing {
  source: SideStanding;
  target: SideStanding;
  others: number;
}

/**
 * What a share will be, with the members that both controllers will make of the nodes and pods that are there or that the restore brings.
 */
export function foreseeClb(
  route: ClbRoute,
  ask: Ask,
  from: ClbSetting | undefined,
  inventory: Inventory,
): Choice<ClbSetting> | Unreachable {
  const { source, target } = inventory;
  const [port] = route.ports;
  const service = find(source, route.service);
  const alone = route.sourceOwner === '';
  if (!port || (!service && !alone))
    throw unfit(route.service, 'the source has no such Service', 'Check namespace and name.');
  const { backends } = groupOf({ ...route, group: port.group }, inventory);
  const of = (side: ReturnType<typeof sideOf>) => backends.filter((it) => sideOf(it, route) === side);
  const own = of('source');
  const servers = of('servers');
  const replicas = service ? replicasBehind(service, source) : 0;
  // What is not there yet will come with as many as the source has.
  const there = find(target, route.service);
  const coming = (there && replicasBehind(there, target)) || replicas || servers.length || 1;
  const clusters = {
    source: alone ? NO_CLUSTER : seen(backendModeOf(source, service), own.length, replicas, source),
    target: seen(backendModeOf(target, there), 0, coming, target),
  };
  const before: ClbSetting = from ?? {
    source: foundOn(service, own, servers),
    target: { weight: '0' },
  };
  const standing = (side: Side): SideStanding => ({
    cluster: clusters[side],
    servers: side === 'source' ? servers.length : 0,
    unheard: side === 'source' && alone,
    now: totalOf(before[side], clusters[side]),
  });
  return answer(route, ask, before, {
    source: standing('source'),
    target: standing('target'),
    others: of('others').reduce((sum, member) => sum + member.weight, 0),
  });
}

const NO_CLUSTER = { mode: 'eni' as const, members: 0 };

/** Sum of a side's weights once it is set so. */
export const totalOf = ({ weight, sum, servers = 0 }: SideSetting, cluster: Backends): number =>
  (sum ?? sumOf(cluster, readWeight(weight))) + servers;

/** What a Service says, and what its members weigh where they are weighed one by one. */
export function foundOn(
  service: KubeObject | undefined,
  members: readonly { weight: number }[],
  servers: readonly { weight: number }[] = [],
): SideSetting {
  const all = service?.metadata.annotations ?? {};
  const [weight, ignore] = [all[lbKey('weight')], all[lbKey(IGNORE)]];
  const ignoring = service === undefined || ignores({ ignore: lbAnnotation(service, IGNORE) ?? '' });
  const sumIn = (list: readonly { weight: number }[]) => list.reduce((sum, it) => sum + it.weight, 0);
  return {
    ...(weight !== undefined && { weight }),
    ...(ignore !== undefined && { ignore }),
    ...(ignoring && { sum: sumIn(members) }),
    ...(servers.length > 0 && { servers: sumIn(servers) }),
  };
}

/** The solver's answer in the router's terms: by Services where they come near enough, else by members where that may be. */
export function answer(
  route: ClbRoute,
  ask: Ask,
  before: ClbSetting,
  standing: Standing,
): Choice<ClbSetting> | Unreachable {
  const end = ask.asked === 0 || ask.asked === 100;
  const byMembers = SIDES.some((it) => before[it].sum !== undefined && !standing[it].unheard);
  const way = ways(route.weighBy, end, byMembers).map((it) => WAY[it](route, ask, before, standing));
  return way.find((it) => isReachable(it)) ?? withHint(way.at(-1) as Unreachable, route);
}

/** Once weighed by members it stays so until an end: handing over and back on the way would be writes for nothing. */
function ways(weighBy: WeighBy, end: boolean, byMembers: boolean): (keyof typeof WAY)[] {
  if (weighBy !== 'either') return [weighBy];
  return byMembers && !end ? ['member', 'service'] : ['service', 'member'];
}

type Way = (route: ClbRoute, ask: Ask, before: ClbSetting, standing: Standing) => Choice<ClbSetting> | Unreachable;

const WAY: Record<'service' | 'member', Way> = {
  service: (route, ask, before, standing) =>
    solved(
      ask,
      before,
      standing,
      (side) => byService(standing[side], route),
      (side, weight) => {
        const backends = byService(standing[side], route);
        if (backends.mode === 'api') return shared(weight ?? 0, standing[side], before[side]);
        return backends.mode === 'joint'
          ? { ...settingOf(weight), servers: serversOf(backends, weight) }
          : settingOf(weight);
      },
    ),

  member: (_route, ask, before, standing) =>
    solved(
      ask,
      before,
      standing,
      (side) => oneByOne(standing[side]),
      (side, sum = 0) => {
        const { weight: _was, ...setting } = shared(sum, standing[side], before[side]);
        if (standing[side].unheard) return setting;
        const ignore = ignores(before[side]) ? (before[side].ignore ?? 'on') : 'on';
        const weight = forNewcomers(setting.sum ?? 0, sizeOf(standing[side].cluster));
        return { ...setting, ...(weight !== undefined && { weight }), ignore };
      },
    ),
};

/**
 * The annotation `weight` under which members that come later get about what the others have: it counts for nobody else meanwhile. Without it
 * a newcomer gets 100; with it, its part of the total, and at least 1, so a side that serves never ends up with newcomers at 0.
 */
function forNewcomers(sum: number, members: number): string | undefined {
  if (sum === 0 || members === 0) return '0';
  const each = sum / members;
  const total = Math.max(1, Math.min(100, sum));
  const part = Math.max(1, Math.floor(total / (members + 1)));
  return Math.abs(100 - each) <= Math.abs(part - each) ? undefined : String(total);
}

/** Who weighs a side when Services do where they are heard. */
function byService(side: SideStanding, { servers }: ClbRoute): Backends {
  if (side.unheard) return oneByOne(side);
  return side.servers === 0
    ? side.cluster
    : { mode: 'joint', cluster: side.cluster, servers: side.servers, ratio: servers?.ratio ?? 1 };
}

const oneByOne = ({ cluster, servers }: SideStanding): Backends => ({
  mode: 'api',
  members: sizeOf(cluster) + servers,
});

/** A sum over a cluster's members and the servers beside it, each with the same. */
function shared(sum: number, { cluster, servers }: SideStanding, { weight, ignore }: SideSetting): SideSetting {
  const members = sizeOf(cluster);
  const all = weightsOf({ mode: 'api', members: members + servers }, sum);
  const part = (list: number[]) => list.reduce((total, it) => total + it, 0);
  return {
    ...(weight !== undefined && { weight }),
    ...(ignore !== undefined && { ignore }),
    ...(members > 0 && { sum: part(all.slice(0, members)) }),
    ...(servers > 0 && { servers: part(all.slice(members)) }),
  };
}

function solved(
  { asked, tolerance }: Ask,
  before: ClbSetting,
  standing: Standing,
  backendsOf: (side: Side) => Backends,
  settingFor: (side: Side, weight: Weight) => SideSetting,
): Choice<ClbSetting> | Unreachable {
  const [source, target] = [backendsOf('source'), backendsOf('target')];
  const from = (side: Side, it: Backends) => (it.mode === 'api' ? standing[side].now : readWeight(before[side].weight));
  const question: SplitQuestion = {
    asked,
    source,
    target,
    from: { source: from('source', source), target: from('target', target) },
    now: { source: standing.source.now, target: standing.target.now },
    others: standing.others,
  };
  const isNear = (it: Solution | undefined): it is Solution =>
    it !== undefined && Math.abs(it.reachable - asked) <= tolerance;
  const { now: _now, ...asWritten } = question;
  // Where somebody else has written, no way from there may keep inside: then it goes as if what we wrote were shown.
  const found = [question, asWritten].map(solve).find(isNear);
  if (!found) return tooFar(question);
  const { pair, reachable } = found;
  const setting = { source: settingFor('source', pair.source), target: settingFor('target', pair.target) };
  const shows = { source: sumOf(source, pair.source), target: sumOf(target, pair.target) };
  const changed = SIDES.filter(
    (it) => canonical(setting[it]) !== canonical(before[it]) || shows[it] !== standing[it].now,
  );
  return {
    setting,
    reachable,
    // A side whose sum stays and whose words change comes last.
    order: [...found.order, ...changed.filter((it) => !found.order.includes(it))],
    how: how(pair, question),
  };
}

const sizeOf = (it: SideStanding['cluster']) =>
  it.mode === 'local' ? it.podsPerNode.filter((pods) => pods > 0).length : it.members;

const withHint = (answered: Unreachable, { weighBy, notEach }: ClbRoute): Unreachable =>
  weighBy === 'service' && notEach !== undefined
    ? { ...answered, fix: `${answered.fix} Weighing members one by one would come nearer, but ${notEach}.` }
    : answered;

function tooFar(question: SplitQuestion): Unreachable {
  const size = (it: Backends): number => {
    if (it.mode === 'joint') return sizeOf(it.cluster) + it.servers;
    return it.mode === 'api' ? it.members : sizeOf(it);
  };
  return {
    ...nearestShares(question),
    why: `Weights are whole numbers over ${size(question.source)} source and ${size(question.target)} target backends`,
    fix: 'Ask for one of the nearest, raise `traffic.tolerance`, or have fewer backends on the side that shall have little.',
  };
}

function seen(
  mode: 'cluster' | 'eni' | 'local',
  members: number,
  replicas: number,
  side: ClusterInventory,
): SideStanding['cluster'] {
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

const EACH: Record<'cluster' | 'eni' | 'api', string> = { cluster: 'node', eni: 'pod', api: 'member' };

function how(pair: Pair, { source, target }: SplitQuestion): string {
  const side = (weight: Weight, backends: Backends): string => {
    if (backends.mode === 'joint') {
      const servers = weightsOf({ mode: 'api', members: backends.servers }, serversOf(backends, weight));
      return `${side(weight, backends.cluster)} and ${range(servers)} a server`;
    }
    if (weight === 0) return '0';
    if (backends.mode === 'local') return `${weight ?? 'pods'} by pods`;
    return `${range(weightsOf(backends, weight))} a ${EACH[backends.mode]}`;
  };
  const words = `source ${side(pair.source, source)}, target ${side(pair.target, target)}`;
  return source.mode === 'api' && target.mode === 'api' ? `member by member: ${words}` : words;
}

function range(weights: readonly number[]): string {
  const [most, least] = [weights[0] ?? 0, weights.at(-1) ?? 0];
  return most === least ? String(most) : `${least} or ${most}`;
}
