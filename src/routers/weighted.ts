import { MigrateError } from '../errors.js';
import type { Inventory } from '../inventory.js';
import { splitKind, splitPath } from '../objects.js';
import { type Cluster, type Kind, type KubeObject, type ObjectRef, type Side, SIDES, type World } from '../ports.js';
import {
  type Ask,
  type Choice,
  type Reading,
  type Route,
  type Router,
  type Split,
  type Unreachable,
  wakesLater,
} from '../router.js';
import type { StepContext } from '../step.js';
import { points, spell } from '../words.js';
import { readyPods } from './services.js';

/**
 * What routers have in common whose proxies stand in the source's cluster and read both weights from one object there: one write moves
 * the share, so nobody ever sees one side's new weight with the other's old one, and no way back needs the target.
 */

export interface Pair {
  source: number;
  target: number;
}

/** By place, as splits name it. */
export type Weights = Record<string, Pair>;

export interface Seen {
  weights: Weights;
  /** what is not as it should be although the weights may be, in words */
  news?: string;
}

export interface Rule<R extends Route> {
  /** sums of both weights that are tried, the plainest first */
  scales: readonly number[];
  /** whether a scale that comes within the tolerance is good enough, where a finer one is not known to every version */
  plainest: boolean;
  /** what cannot be had at all, e.g. shares between nothing and all */
  refuses?(route: R, ask: Ask): Unreachable | undefined;
  see(route: R, world: World): Promise<Seen>;
  /** Writes what differs in one write; safe to call again. */
  put(route: R, weights: Weights, world: World): Promise<void>;
  /** What the proxies' controller has still to say to it, in words; undefined once it has, or where none says anything. */
  late(route: R, world: World): Promise<string | undefined>;
  /** after the last word of anybody, until the proxies work by it */
  bitesMs: number;
}

const TAKES_EFFECT_MS = 120_000;

type Shared<R extends Route> = Pick<Router<R, Weights>, 'foresee' | 'read' | 'choose' | 'write' | 'restore' | 'ready'>;

export function weighted<R extends Route>(rule: Rule<R>): Shared<R> {
  const missing = async (route: R, wanted: Weights, world: World): Promise<string | undefined> => {
    const [{ weights }, late] = await Promise.all([rule.see(route, world), rule.late(route, world)]);
    return differing(weights, wanted) ?? late;
  };

  /** Looks again when the proxies must have it: another writer may have come in between. */
  const settle = async (route: R, wanted: Weights, { world, progress }: StepContext): Promise<void> => {
    const deadline = world.clock.now() + TAKES_EFFECT_MS;
    for (let pause = 250; ; pause = Math.min(pause * 2, 4000)) {
      const late = await missing(route, wanted, world);
      if (late === undefined) {
        await world.clock.sleep(rule.bitesMs);
        if ((await missing(route, wanted, world)) === undefined) return;
        continue;
      }
      if (world.clock.now() >= deadline) {
        throw new MigrateError('WEIGHT_NOT_TAKEN', {
          what: `${route.service}: ${late}, after ${spell(TAKES_EFFECT_MS)}.`,
          why: 'Something else writes these weights too (a GitOps controller, an operator, a release), or the controller of the proxies does not answer.',
          fix: 'Find the other writer and stop it for the length of the migration, or look at the status of the object; then run again.',
        });
      }
      progress(late);
      await world.clock.sleep(pause);
    }
  };

  const answer = (
    route: R,
    ask: Ask,
    places: readonly string[],
    { setting: now, news }: Pick<Reading<Weights>, 'setting' | 'news'>,
  ): Choice<Weights> | Unreachable => {
    const refused = rule.refuses?.(route, ask);
    if (refused) return refused;
    const pair = pairFor(ask, rule);
    const setting = Object.fromEntries(places.map((place) => [place, pair]));
    const reachable = (100 * pair.target) / (pair.source + pair.target);
    const order = (news ?? differing(now, setting)) === undefined ? [] : (['source'] as const);
    return { setting, reachable, order: [...order], how: `weights ${pair.source} : ${pair.target}` };
  };

  return {
    foresee: (route, ask) => answer(route, ask, [], { setting: { '': { source: 1, target: 0 } } }),

    async read(route, world) {
      const { weights, news } = await rule.see(route, world);
      const splits = Object.entries(weights).map(([where, pair]) => splitOf(where, pair));
      return { setting: weights, splits, ...(news !== undefined && { news }) } satisfies Reading<Weights>;
    },

    choose: async (route, ask, reading) => answer(route, ask, Object.keys(reading.setting), reading),

    async write(route, { setting, order }, context) {
      const { world, progress } = context;
      const { weights, news } = await rule.see(route, world);
      const wrong = news ?? differing(weights, setting);
      if (wrong === undefined && order.length === 0) return;
      if (wrong !== undefined) {
        progress(`weights ${Object.values(setting).map(spellPair)[0] ?? ''}`);
        await rule.put(route, setting, world);
      }
      await settle(route, setting, context);
    },

    async restore(route, was, context) {
      const { world, progress } = context;
      const { weights } = await rule.see(route, world);
      if (differing(weights, was) !== undefined) {
        await mustServe(wakesLater(route, context) ? ['target'] : SIDES, route, weights, was, world);
        progress(`weights back to ${Object.values(was).map(spellPair)[0] ?? ''}`);
        await rule.put(route, was, world);
      }
      await settle(route, was, context);
      return [];
    },

    ready: readyPods,
  };
}

const splitOf = (where: string, { source, target }: Pair): Split => ({
  where,
  source: { members: source > 0 ? 1 : 0, weight: source },
  target: { members: target > 0 ? 1 : 0, weight: target },
  others: { members: 0, weight: 0 },
});

const spellPair = ({ source, target }: Pair): string => `${source} : ${target}`;

/** The first place where something else stands than was wanted, in words. */
function differing(seen: Weights, wanted: Weights): string | undefined {
  for (const [place, pair] of Object.entries(wanted)) {
    const now = seen[place];
    if (!now) return `${place} is not there`;
    if (now.source !== pair.source || now.target !== pair.target)
      return `${place} shows ${spellPair(now)}, not ${spellPair(pair)}`;
  }
  return undefined;
}

/** Above nothing and below all, what was asked stays so, however far the scale is from it. */
function pairFor({ asked, tolerance }: Ask, { scales, plainest }: Pick<Rule<Route>, 'scales' | 'plainest'>): Pair {
  let pair: Pair = { source: 1, target: 0 };
  for (const total of scales) {
    const rounded = Math.round((asked * total) / 100);
    const target = asked <= 0 ? 0 : asked >= 100 ? total : Math.min(total - 1, Math.max(1, rounded));
    pair = { source: total - target, target };
    const off = Math.abs((100 * target) / total - asked);
    if (off < 1e-9 || (plainest && off <= tolerance)) break;
  }
  return pair;
}

/**
 * The side that grows must have somebody to serve.
 * @throws MigrateError SIDE_CANNOT_SERVE
 */
async function mustServe(
  sides: readonly Side[],
  route: Route,
  now: Weights,
  was: Weights,
  world: World,
): Promise<void> {
  const grows = (side: Side) =>
    Object.entries(was).some(([place, pair]) => pair[side] > 0 && shareOf(pair)[side] > shareOf(now[place])[side]);
  for (const side of sides) {
    if (!grows(side) || (await readyPods(route, side, world)) > 0) continue;
    throw new MigrateError('SIDE_CANNOT_SERVE', {
      what: `The ${side} has no ready pod behind ${route.service}; it gets no traffic.`,
      why: `Going back would send requests to a side that can't serve; ${spellShares(now)}.`,
      fix: `Bring its pods up on the ${side}, then go back again.`,
    });
  }
}

const shareOf = (pair: Pair = { source: 0, target: 0 }): Pair => {
  const total = pair.source + pair.target || 1;
  return { source: pair.source / total, target: pair.target / total };
};

const spellShares = (weights: Weights): string =>
  Object.entries(weights)
    .map(([place, pair]) => `${place} sends ${points(100 * shareOf(pair).target)} % to the target`)
    .join(', ');

/**
 * The object that the router writes.
 * @throws MigrateError ROUTE_MISSING
 */
export async function objectOf(cluster: Cluster, ref: ObjectRef): Promise<KubeObject> {
  const found = await cluster.get(ref);
  if (found) return found;
  throw new MigrateError('ROUTE_MISSING', {
    what: `The ${cluster.side} has no ${ref.kind} ${ref.namespace ?? ''}/${ref.name}.`,
    why: 'Its rules send the requests whose share is moved.',
    fix: 'Check its name in the playbook; if somebody has deleted it, bring it back first.',
  });
}

/**
 * Changes an object on what was read, and reads it anew when somebody else was faster.
 *
 * @param change  a merge patch; undefined when all is as it should be already
 * @throws MigrateError ROUTE_MISSING, KUBE_CONFLICT when others write all the time
 */
export async function edit(
  cluster: Cluster,
  ref: ObjectRef,
  change: (object: KubeObject) => Record<string, unknown> | undefined,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const object = await objectOf(cluster, ref);
    const patch = change(object);
    if (patch === undefined) return;
    const { resourceVersion } = object.metadata;
    const metadata = { ...(patch['metadata'] as object | undefined), resourceVersion };
    try {
      await cluster.patch(ref, { ...patch, metadata });
      return;
    } catch (error) {
      if (!(error instanceof MigrateError) || error.code !== 'KUBE_CONFLICT' || attempt >= 5) throw error;
    }
  }
}

export const unfit = (what: string, why: string, fix: string) => new MigrateError('ROUTE_UNFIT', { what, why, fix });

/**
 * Routes of entries, each Service once, and each with an object that was seen. One of a kind that nobody looked at is asked for later.
 *
 * @throws MigrateError PLAN_SERVICE_UNFIT
 */
export function routesOnce<R extends Route>(
  routes: readonly R[],
  { source }: Pick<Inventory, 'source'>,
  objectOfRoute: (route: R) => { kind: Kind; name: string },
): R[] {
  for (const [index, route] of routes.entries()) {
    const { namespace } = splitPath(route.service);
    const { kind, name } = objectOfRoute(route);
    if (routes.findIndex((it) => it.service === route.service) !== index) {
      throw unfitForPlan(
        route,
        'it stands in the playbook twice',
        'Name one object whose rules send to it, and let the others be rules of that one.',
      );
    }
    const seen = source.objects[kind];
    if (seen && !seen.some((it) => it.metadata.name === name && it.metadata.namespace === namespace)) {
      const others = seen.filter((it) => it.metadata.namespace === namespace).map((it) => it.metadata.name);
      throw unfitForPlan(
        route,
        `the source has no ${splitKind(kind).kind} ${namespace}/${name}`,
        `There are: ${others.join(', ') || 'none'}.`,
      );
    }
  }
  return [...routes];
}

const unfitForPlan = ({ service }: Route, why: string, fix: string) =>
  new MigrateError('PLAN_SERVICE_UNFIT', {
    what: `Service ${service} can't be shifted: ${why}.`,
    why: 'Its share is moved by the rules that send requests to it.',
    fix,
  });
