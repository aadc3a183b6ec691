/**
 * The arithmetic of shares under Alibaba's cloud controller manager. Pure: no I/O, no clock.
 *
 * The share is of new connections: the sum of the target's backend weights over the sum of all, in one server group. The annotation
 * `weight` is a total for a whole cluster, split by integer division with a floor of 1, and without it each backend weighs 100; so
 * 95 to 5 over 20 + 20 pods is 20 %, not 5 %. The solver therefore searches every pair that may be written.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/vgroups.go, v2.14.0 (podNumberAlgorithm, podPercentAlgorithm)
 */

/** How a cluster's controller turns a Service into members of a server group. */
export type Backends =
  /** every candidate node by node port, or every pod by its own address: the same arithmetic */
  | { mode: 'cluster' | 'eni'; members: number; defaultWeight?: number }
  /** externalTrafficPolicy Local: nodes that have pods, by the number of pods on each */
  | { mode: 'local'; podsPerNode: readonly number[] }
  /** members whose weights are set one by one through the cloud's API, as evenly as whole numbers allow */
  | { mode: 'api'; members: number }
  /** a cluster's members by its annotation, and beside them servers that get `ratio` for each 1 of theirs, through the API */
  | { mode: 'joint'; cluster: Exclude<Backends, { mode: 'api' | 'joint' }>; servers: number; ratio: number };

/** What the annotation `weight` says: absent, or 0 to 100. Of `api` members it is their sum, 0 to 100 for each. */
export type Weight = number | undefined;

/** What is written on each side. */
export interface Pair {
  source: Weight;
  target: Weight;
}

export interface SplitQuestion {
  /** percent of new connections for the target, 0 to 100 */
  asked: number;
  source: Backends;
  target: Backends;
  /** what is written now; the way from there must not leave the interval between the two shares */
  from: Pair;
  /** sums that are shown now, where they do not follow from `from` */
  now?: { source: number; target: number };
  /** weight of members of the group that neither cluster owns */
  others?: number;
}

export interface Solution {
  pair: Pair;
  /** percent, exact by the controller's arithmetic */
  reachable: number;
  /** the side to write first, or none where one write or no write is enough */
  order: ('source' | 'target')[];
}

/** Weight of each member, in the order of the nodes for `local`. */
export function weightsOf(backends: Backends, weight: Weight): number[] {
  if (backends.mode === 'api') return spread(weight ?? 0, backends.members);
  if (backends.mode === 'joint')
    return [...weightsOf(backends.cluster, weight), ...spread(serversOf(backends, weight), backends.servers)];
  if (backends.mode === 'local') {
    const pods = backends.podsPerNode.filter((it) => it > 0);
    const all = pods.reduce((sum, it) => sum + it, 0);
    if (weight === undefined) return pods;
    if (weight === 0) return pods.map(() => 0);
    return pods.map((it) => Math.max(1, Math.floor((weight * it) / all)));
  }
  const each = eachOf(backends.members, backends.defaultWeight ?? 100, weight);
  return Array.from({ length: backends.members }, () => each);
}

/** A sum over members, as evenly as whole numbers from 0 to 100 allow. */
export function spread(sum: number, members: number): number[] {
  if (members === 0) return [];
  const [least, over] = [Math.floor(sum / members), sum % members];
  return Array.from({ length: members }, (_, index) => Math.min(MOST, least + (index < over ? 1 : 0)));
}

/** Sum of the servers beside a cluster when its annotation is `weight`: nothing with nothing, else in proportion and at least 1 in all. */
export function serversOf({ cluster, servers, ratio }: Extract<Backends, { mode: 'joint' }>, weight: Weight): number {
  const sum = sumOf(cluster, weight);
  return sum === 0 ? 0 : Math.min(MOST * servers, Math.max(1, Math.round(sum * ratio)));
}

/** The largest weight of a member. */
const MOST = 100;

function eachOf(members: number, defaultWeight: number, weight: Weight): number {
  if (weight === undefined) return defaultWeight;
  if (weight === 0 || members === 0) return 0;
  return Math.max(1, Math.floor(weight / members));
}

/** Sum of a side's weights in the group. */
export function sumOf(backends: Backends, weight: Weight): number {
  if (backends.mode === 'api') return Math.min(weight ?? 0, MOST * backends.members);
  if (backends.mode === 'joint') return sumOf(backends.cluster, weight) + serversOf(backends, weight);
  if (backends.mode !== 'local')
    return backends.members * eachOf(backends.members, backends.defaultWeight ?? 100, weight);
  return weightsOf(backends, weight).reduce((sum, it) => sum + it, 0);
}

/** Percent for the target; NaN when nobody has a weight. */
export const shareOf = (source: number, target: number, others = 0): number =>
  (100 * target) / (source + target + others);

/**
 * The pair nearest to what was asked, among those that may be written: no side that has a share is at 0, the two are never 0 together,
 * and one order of the two writes keeps every share in between inside the interval between before and after.
 * Of equally near ones the one with fewer writes, then the one with the larger sum, for its finer next steps. Members that are set one by one
 * get one weight for all of a side where that comes near enough.
 *
 * @returns undefined when no permitted pair exists, e.g. a side with a share has no backend
 */
export function solve(question: SplitQuestion): Solution | undefined {
  const byOne = question.source.mode === 'api' || question.target.mode === 'api';
  const even = byOne ? nearest(question, true) : undefined;
  return even && Math.abs(even.reachable - question.asked) <= NEAR ? even : nearest(question, false);
}

/** Points; a split over equal weights that is this near is better than a nearer one over unequal ones. */
const NEAR = 0.25;

function nearest(question: SplitQuestion, evenly: boolean): Solution | undefined {
  let best: Solution | undefined;
  let rank: [off: number, writes: number, total: number] = [Infinity, 0, 0];
  eachPermitted(question, evenly, (pair, reachable, order, total) => {
    const off = Math.abs(reachable - question.asked);
    if (
      off > rank[0] ||
      (off === rank[0] && (order.length > rank[1] || (order.length === rank[1] && total <= rank[2])))
    )
      return;
    best = { pair, reachable, order };
    rank = [off, order.length, total];
  });
  return best;
}

/** The nearest reachable shares below and above, for a refusal that says what would go. */
export function nearestShares(question: SplitQuestion): { below?: number; above?: number } {
  let below = -Infinity;
  let above = Infinity;
  eachPermitted(question, false, (_pair, share) => {
    if (share <= question.asked) below = Math.max(below, share);
    if (share >= question.asked) above = Math.min(above, share);
  });
  return { ...(below >= 0 && { below }), ...(above <= 100 && { above }) };
}

type Visit = (pair: Pair, reachable: number, order: Solution['order'], total: number) => void;

function eachPermitted({ asked, source, target, from, now, others = 0 }: SplitQuestion, evenly: boolean, visit: Visit) {
  const s0 = now?.source ?? sumOf(source, from.source);
  const t0 = now?.target ?? sumOf(target, from.target);
  const targets = settings(target, from.target, evenly);
  for (const [s1, sourceWeight] of settings(source, from.source, evenly)) {
    for (const [t1, targetWeight] of around(targets, asked, s1 + others)) {
      if (!fits(asked, s1, t1, others)) continue;
      const order = orderOf(s0, t0, s1, t1, others);
      if (order)
        visit({ source: sourceWeight, target: targetWeight }, shareOf(s1, t1, others), order, s1 + t1 + others);
    }
  }
}

/** Each sum that a side can show, rising, with the setting that gives it; the present setting where it gives that sum too. */
function settings(backends: Backends, now: Weight, evenly: boolean): [sum: number, weight: Weight][] {
  const bySum = new Map<number, Weight>([[sumOf(backends, now), now]]);
  const [most, step] =
    backends.mode === 'api' ? [MOST * backends.members, evenly ? Math.max(1, backends.members) : 1] : [MOST, 1];
  for (let weight = 0; weight <= most; weight += step) {
    const sum = sumOf(backends, weight);
    if (!bySum.has(sum)) bySum.set(sum, weight);
  }
  if (backends.mode !== 'api') {
    const unset = sumOf(backends, undefined);
    if (!bySum.has(unset)) bySum.set(unset, undefined);
  }
  return [...bySum].sort(([a], [b]) => a - b);
}

/** Beyond this many settings only those near the right one are looked at. */
const MANY = 400;
const NEARBY = 16;

/** Of a side's settings those that could answer; of thousands, those about the one that gives exactly the share. */
function around(settingsOf: [number, Weight][], asked: number, rest: number): [number, Weight][] {
  if (settingsOf.length <= MANY) return settingsOf;
  const exact = asked === 100 ? Infinity : (asked * rest) / (100 - asked);
  let [low, high] = [0, settingsOf.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((settingsOf[middle]?.[0] ?? 0) < exact) low = middle + 1;
    else high = middle;
  }
  return settingsOf.slice(Math.max(0, low - NEARBY), low + NEARBY);
}

/** Zero means zero and all means all; everything between keeps both sides alive. */
function fits(asked: number, s1: number, t1: number, others: number): boolean {
  if (s1 + t1 + others === 0) return false;
  if (asked === 0) return t1 === 0 && s1 > 0;
  if (asked === 100) return s1 === 0 && t1 > 0;
  return s1 > 0 && t1 > 0;
}

/** An order of writes that stays inside, or undefined. The receiving side goes first where both orders would do. */
function orderOf(s0: number, t0: number, s1: number, t1: number, others: number): Solution['order'] | undefined {
  const changes = [s0 !== s1 && ('source' as const), t0 !== t1 && ('target' as const)].filter((it) => it !== false);
  if (changes.length < 2) return changes;
  const before = shareOf(s0, t0, others);
  const after = shareOf(s1, t1, others);
  const inside = (share: number) =>
    // Nothing has a weight yet: there is no interval to leave, but the first write must not be the one to 0.
    Number.isNaN(before) ? !Number.isNaN(share) : share >= Math.min(before, after) && share <= Math.max(before, after);
  const targetFirst = shareOf(s0, t1, others);
  const sourceFirst = shareOf(s1, t0, others);
  const up = after >= before || Number.isNaN(before);
  for (const first of up ? (['target', 'source'] as const) : (['source', 'target'] as const)) {
    if (inside(first === 'target' ? targetFirst : sourceFirst))
      return first === 'target' ? ['target', 'source'] : ['source', 'target'];
  }
  return undefined;
}
