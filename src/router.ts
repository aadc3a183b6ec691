import type { Inventory } from './inventory.js';
import type { Playbook, TrafficService } from './playbook.js';
import type { Right, Side, World } from './ports.js';
import type { Debt, StepContext } from './step.js';

/**
 * What moves the share of one Service. Steps, gates and screens know routers only by this; each has its file in routers/, and one
 * conformance suite (test/conformance/routers.ts) holds every one of them to what it declares here.
 */
export interface Router<R extends Route = Route, S = unknown> {
  readonly name: R['router'];
  traits(route: R): Traits;

  /**
   * The playbook's entries of this router as routes: several entries can be one route, e.g. the ports of one Service. Pure.
   * @throws MigrateError PLAN_SERVICE_UNFIT
   */
  routes(entries: TrafficService[], playbook: Playbook, inventory: Inventory): R[];
  /**
   * What a share will be with the backends seen now; Unreachable where nothing comes as near as the tolerance. `from` is the setting of the step before; undefined is the world as seen, with the
   * target joined and at nothing. Pure.
   */
  foresee(route: R, ask: Ask, from: S | undefined, playbook: Playbook, inventory: Inventory): Choice<S> | Unreachable;
  rights(route: R): { source?: Right[]; target?: Right[] };

  /** Steps that must be done before the target comes in, one after the other; none where nothing is in the way. Pure. */
  before?(route: R): OwnStep[];
  /** What the operator should know of what stands in front, in whole lines for the plan. Pure. */
  notes?(route: R, inventory: Inventory): string[];
  /** Whether the target is in already, so that a share can be moved. */
  joined(route: R, world: World): Promise<boolean>;
  /** The target comes in and gets nothing yet. */
  readonly join: Part<R>;
  /** The source goes out for good, after all was moved. */
  readonly leave: Part<R>;

  /**
   * What clients get now, asked where it is decided and nowhere else, so that it can be told with clusters dead or Services gone; what `read`
   * shows when it is left out.
   */
  shows?(route: R, world: World): Promise<Split[]>;
  /** What is written now and what it does; only reads. */
  read(route: R, world: World): Promise<Reading<S>>;
  /** How many ready pods or servers stand behind it on that side: what the capacity check counts. */
  ready(route: R, side: Side, world: World): Promise<number>;
  /** What to write for a share from where `reading` stands: the nearest that this router can; Unreachable beyond the tolerance. */
  choose(route: R, ask: Ask, reading: Reading<S>, world: World): Promise<Choice<S> | Unreachable>;
  /**
   * Writes what was chosen, in an order that never leaves the interval between before and after and never has both sides at nothing, and
   * returns when the router's proof shows it. Safe to call again after a kill at any point.
   * @throws MigrateError WEIGHT_NOT_TAKEN  not within the router's time, with what it shows
   */
  write(route: R, choice: Choice<S>, context: StepContext): Promise<void>;
  /**
   * Puts an earlier setting back exactly, the side that grows first, which must have somebody ready to serve. The target may be dead: what
   * could not be told to it is owed.
   * @throws MigrateError SIDE_CANNOT_SERVE, WEIGHT_NOT_TAKEN
   */
  restore(route: R, was: S, context: StepContext): Promise<Debt[]>;
}

/** One Service on its way, as JSON in a step's arguments; each router adds what it needs. */
export interface Route {
  router: RouterName;
  /** `namespace/name`, the same on both sides */
  service: string;
  /** Services of a wave are shifted after those of the one before; those without come last */
  wave?: number;
  /** shares of its own, in place of `traffic.steps` */
  steps?: number[];
  /** the step from which on what it leads to rests on the source, until that step is undone */
  rest?: string;
  /** API server or controller of the source are dead: nothing there is asked or told */
  sourceDown?: true;
}

/**
 * Going all the way back the source has nobody ready yet, and will have once the step is undone that made its writers rest: until then
 * neither side may serve, for the disk goes back first.
 */
export const wakesLater = ({ rest }: Route, { goesBack }: StepContext): boolean => rest !== undefined && goesBack(rest);

export type RouterName = TrafficService['router'];

export interface Ask {
  /** percent for the target, 0 to 100 */
  asked: number;
  /** points; of several ways a router takes the plainest that comes this near */
  tolerance: number;
}

/** A step of a router's own; its id goes into the plan as `traffic/ID`. */
export interface OwnStep {
  id: string;
  kind: string;
  args: { route: Route };
}

/** What a router promises. Every line is tested. */
export interface Traits {
  /** what is written: whole-number weights, or how many endpoints are ready on each side */
  unit: 'weight' | 'endpoints';
  min: number;
  max: number;
  /** how a side gets nothing: weight 0, its record or rule taken out, its workload at 0 replicas */
  zero: 'weight' | 'removal' | 'scale';
  splits: 'connections' | 'requests' | 'answers';
  /** who shows that a weight is in force: the load balancer or DNS authority asked directly, status conditions, the endpoints; `none`: only measuring */
  proof: 'load-balancer' | 'authority' | 'conditions' | 'endpoints' | 'none';
  /** milliseconds from a write until nearly every new connection follows it, forth and back: an upper bound that the plan prints */
  bitesMs: number;
}

/** Where a share is split and into what: a server group, a rule, a set of records. */
export interface Split {
  /** as the operator finds it: `rsp-1`, `HTTPRoute shop/web rule 0` */
  where: string;
  source: Portion;
  target: Portion;
  /** members of neither side */
  others: Portion;
}

export interface Portion {
  members: number;
  /** sum over the members */
  weight: number;
}

/** Percent of new connections for the target, by the weights; NaN when nobody has one. */
export const measured = ({ source, target, others }: Split): number =>
  (100 * target.weight) / (source.weight + target.weight + others.weight);

export interface Reading<S> {
  /** what is written, exact enough to be put back; JSON */
  setting: S;
  /** at least one */
  splits: Split[];
  /** members came or went and are not yet as they should be, in words: set anew although the share may look right */
  news?: string;
}

export interface Choice<S> {
  setting: S;
  /** percent */
  reachable: number;
  /** sides in the order in which they are written; none where all is in place */
  order: Side[];
  /** in words, for the plan: `source 100 a node, target 5 a pod` */
  how: string;
}

export interface Unreachable {
  /** percent: the nearest that can be had, where there are any */
  below?: number;
  above?: number;
  why: string;
  fix: string;
}

/** What clients get now, by whichever way the router tells it. */
export const shownBy = async (router: AnyRouter, route: Route, world: World): Promise<Split[]> =>
  router.shows ? router.shows(route, world) : (await router.read(route, world)).splits;

/** Of several places where a share is split, the one furthest from what was asked. */
export const furthest = (splits: readonly Split[], asked: number): Split | undefined =>
  splits.reduce<Split | undefined>((far, it) => (far && off(far, asked) >= off(it, asked) ? far : it), undefined);

/** Points between what a place shows and what was asked; Infinity where nobody serves. */
export function off(split: Split, asked: number): number {
  const share = measured(split);
  return Number.isNaN(share) ? Infinity : Math.abs(share - asked);
}

export const isReachable = <S>(it: Choice<S> | Unreachable): it is Choice<S> => 'setting' in it;

/** A step of a router's own, as StepKind has them. */
export interface Part<R extends Route, Before = unknown> {
  title(route: R): string;
  wayBack(route: R): string;
  check(route: R, context: StepContext): Promise<Before>;
  apply(route: R, before: Before, context: StepContext): Promise<void>;
  verify(route: R, before: Before, context: StepContext): Promise<void>;
  undo(route: R, before: Before, context: StepContext): Promise<Debt[]>;
}

// A registry holds routers of different routes; each reads its own.
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyRouter = Router<any, any>;
export type Routers = ReadonlyMap<RouterName, AnyRouter>;
