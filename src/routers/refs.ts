import { MigrateError } from '../errors.js';
import { splitKind, splitPath } from '../objects.js';
import type { Kind, KubeObject, ObjectRef, World } from '../ports.js';
import type { Part, Route, Router } from '../router.js';
import type { StepContext } from '../step.js';
import { points } from '../words.js';
import { edit, objectOf, unfit, weighted, type Pair, type Rule, type Weights } from './weighted.js';

/** Rules with a list of weighted destinations each, as the Gateway API and Istio have them: the target is a second one beside the source's. */

/** A destination with its weight, whatever else it says. */
export type Destination = Record<string, unknown> & { weight?: number };

export interface Rules<R extends Route> {
  kind: Kind;
  /** of the object, in the namespace of the Service */
  nameOf(route: R): string;
  /** every list of destinations, in the order of the object */
  lists(object: KubeObject): Destination[][];
  /** a merge patch that puts those lists in the place of the object's */
  patch(object: KubeObject, lists: Destination[][]): Record<string, unknown>;
  isSource(it: Destination, route: R): boolean;
  isTarget(it: Destination, route: R): boolean;
  /** the source's destination as it must be beside another; as it is where nothing must be said more */
  kept(source: Destination, route: R): Destination;
  /** the target's, made after the source's */
  added(source: Destination, route: R): Destination;
  /** what a destination without a weight has, alone and beside others */
  unsaid: { alone: number; beside: number };
  late(object: KubeObject): string | undefined;
  bitesMs: number;
  /** what the target's destination needs to be there */
  way: {
    /** Refuses, or says what is needed; only reads. */
    plan(route: R, world: World): Promise<unknown>;
    build(route: R, plan: unknown, world: World): Promise<void>;
    remove(route: R, plan: unknown, world: World): Promise<void>;
  };
}

interface JoinBefore {
  plan: unknown;
  /** the source's destinations as they were, by place */
  was: Record<string, Destination>;
}

type Parts<R extends Route> = Pick<Router<R, Weights>, 'joined' | 'join' | 'leave'> & ReturnType<typeof weighted<R>>;

export function byRefs<R extends Route>(rules: Rules<R>): Parts<R> {
  const refOf = (route: R): ObjectRef => ({
    kind: rules.kind,
    namespace: splitPath(route.service).namespace,
    name: rules.nameOf(route),
  });
  const read = (route: R, { source }: World): Promise<KubeObject> => objectOf(source, refOf(route));
  const placeOf = (route: R, index: number): string => {
    const { kind, namespace, name } = refOf(route);
    return `${splitKind(kind).kind} ${namespace}/${name} rule ${index}`;
  };

  /** Changes the lists that are ours to change; the others go back as they are. */
  const change = (
    route: R,
    { source }: World,
    list: (destinations: Destination[], place: string) => Destination[],
  ): Promise<void> =>
    edit(source, refOf(route), (object) => {
      const before = rules.lists(object);
      const after = before.map((it, index) => list(it, placeOf(route, index)));
      return JSON.stringify(before) === JSON.stringify(after) ? undefined : rules.patch(object, after);
    });

  const weightOf = ({ weight }: Destination, among: number): number =>
    among === 1 && (weight ?? 0) === 0 ? rules.unsaid.alone : (weight ?? rules.unsaid.beside);

  const seen = (route: R, object: KubeObject): { places: Place[]; news?: string } => {
    const places = rules.lists(object).flatMap((list, index): Place[] => {
      const source = list.find((it) => rules.isSource(it, route));
      const target = list.find((it) => rules.isTarget(it, route));
      if (!source && !target) return [];
      const pair = {
        source: source ? weightOf(source, list.length) : 0,
        target: target ? weightOf(target, list.length) : 0,
      };
      return [{ where: placeOf(route, index), pair, joined: target !== undefined, stays: source !== undefined }];
    });
    const lost = places.find((it) => !it.joined);
    return { places, ...(lost && { news: `${lost.where} has lost the target's destination` }) };
  };

  const rule: Rule<R> = {
    scales: [100, 1000, 10_000, 100_000],
    plainest: false,
    bitesMs: rules.bitesMs,
    async see(route, world) {
      const { places, news } = seen(route, await read(route, world));
      if (places.length === 0) throw unfitRule(route, refOf(route), 'has no rule that sends to it');
      const weights = Object.fromEntries(places.map((it) => [it.where, it.pair]));
      return { weights, ...(news !== undefined && { news }) };
    },
    put: (route, weights, world) =>
      change(route, world, (list, place) => {
        const pair = weights[place];
        const source = list.find((it) => rules.isSource(it, route));
        if (!pair || !source) return list;
        return split(list, source, pair, route);
      }),
    late: async (route, world) => rules.late(await read(route, world)),
  };
  const shared = weighted(rule);

  /** The list with both destinations and their weights; the target's is put in again where somebody has taken it out. */
  const split = (list: Destination[], source: Destination, pair: Pair, route: R): Destination[] => {
    const kept = { ...rules.kept(source, route), weight: pair.source };
    const known = list.find((it) => rules.isTarget(it, route));
    const target = { ...(known ?? rules.added(kept, route)), weight: pair.target };
    const others = list.filter((it) => it !== source && it !== known);
    return [kept, target, ...others];
  };

  const settled = (route: R, pair: Pair, context: StepContext): Promise<void> =>
    // Nothing is written where all is in place: what is left is to wait until it is in force.
    rule.see(route, context.world).then(async ({ weights }) => {
      const setting = Object.fromEntries(Object.keys(weights).map((place) => [place, pair]));
      await shared.write(route, { setting, order: ['source'], reachable: 0, how: '' }, context);
    });

  const join: Part<R, JoinBefore> = {
    title: (route) =>
      `${route.service} of the target joins ${splitKind(rules.kind).kind} ${rules.nameOf(route)} at weight 0`,
    wayBack: (route) => `leaves ${splitKind(rules.kind).kind} ${rules.nameOf(route)}`,

    async check(route, { world }) {
      const object = await read(route, world);
      const late = rules.late(object);
      if (late !== undefined) throw notInForce(route, refOf(route), late);
      const lists = rules.lists(object);
      const was: Record<string, Destination> = {};
      for (const [index, list] of lists.entries()) {
        const source = list.find((it) => rules.isSource(it, route));
        const target = list.find((it) => rules.isTarget(it, route));
        if (target && weightOf(target, list.length) > 0) throw live(route, placeOf(route, index));
        if (!source) continue;
        if (list.some((it) => it !== source && it !== target))
          throw unfitRule(route, refOf(route), `splits its rule ${index} with others already`);
        was[placeOf(route, index)] = source;
      }
      if (Object.keys(was).length === 0) throw unfitRule(route, refOf(route), 'has no rule that sends to it');
      return { was, plan: await rules.way.plan(route, world) };
    },

    async apply(route, { plan }, { world }) {
      await rules.way.build(route, plan, world);
      await change(route, world, (list) => {
        const source = list.find((it) => rules.isSource(it, route));
        if (!source || list.some((it) => rules.isTarget(it, route))) return list;
        return split(list, source, { source: 100, target: 0 }, route);
      });
    },

    verify: (route, _before, context) => settled(route, { source: 100, target: 0 }, context),

    async undo(route, { was, plan }, { world }) {
      await change(route, world, (list, place) => {
        const source = list.find((it) => rules.isSource(it, route));
        if (!list.some((it) => rules.isTarget(it, route))) return list;
        return list.flatMap((it) => (rules.isTarget(it, route) ? [] : it === source ? [was[place] ?? it] : [it]));
      });
      // Proxies that are late must not look for what is gone.
      await world.clock.sleep(rules.bitesMs);
      await rules.way.remove(route, plan, world);
      return [];
    },
  };

  const leave: Part<R, { was: Record<string, Destination> }> = {
    title: (route) =>
      `${route.service} of the source leaves ${splitKind(rules.kind).kind} ${rules.nameOf(route)}, which stays as the way to the target`,
    wayBack: () => 'joins again at weight 0',

    async check(route, { world }) {
      const object = await read(route, world);
      const still = seen(route, object).places.find((it) => it.pair.source > 0);
      if (still) {
        const { source, target } = still.pair;
        throw new MigrateError('SOURCE_STILL_SERVES', {
          what: `${still.where} sends ${points((100 * source) / (source + target))} % to the source.`,
          why: 'Only a source that serves nothing can be retired.',
          fix: 'Move everything first: `migrate shift --to 100`.',
        });
      }
      const found = rules.lists(object).map((list) => list.find((it) => rules.isSource(it, route)));
      return {
        was: Object.fromEntries(found.flatMap((it, index) => (it ? [[placeOf(route, index), it] as const] : []))),
      };
    },

    apply: (route, _before, { world }) =>
      change(route, world, (list) =>
        list.some((it) => rules.isTarget(it, route)) ? list.filter((it) => !rules.isSource(it, route)) : list,
      ),

    async verify(route, _before, { world }) {
      const left = seen(route, await read(route, world)).places.find((it) => it.stays);
      if (left) throw notTaken(route, `${left.where} still names the source`);
    },

    async undo(route, { was }, context) {
      await change(route, context.world, (list, place) => {
        const source = was[place];
        const stays = list.some((it) => rules.isSource(it, route)) || !list.some((it) => rules.isTarget(it, route));
        return source && !stays ? [source, ...list] : list;
      });
      return [];
    },
  };

  return {
    ...shared,
    joined: async (route, world) => {
      const object = await world.source.get(refOf(route));
      return object !== undefined && seen(route, object).places.some((it) => it.joined);
    },
    join,
    leave,
  };
}

interface Place {
  where: string;
  pair: Pair;
  /** the target's destination is there */
  joined: boolean;
  /** the source's is there */
  stays: boolean;
}

const unfitRule = ({ service }: Route, { kind, name }: ObjectRef, why: string) =>
  unfit(
    `${splitKind(kind).kind} ${name} can't split the requests of ${service}: it ${why}.`,
    'A share is moved between the Service of the source and one destination beside it, in a rule that has no others.',
    'Name the object whose rules send to that Service alone, or give it such a rule.',
  );

const notInForce = ({ service }: Route, { kind, name }: ObjectRef, late: string) =>
  unfit(
    `${splitKind(kind).kind} ${name} is not in force as it is: ${late}.`,
    `Whether the share of ${service} is would be told by the same conditions, which speak for all of its rules.`,
    'Mend that first: a backend that is not there answers with errors already.',
  );

const live = ({ service }: Route, where: string) =>
  new MigrateError('SERVICE_LIVE_ALREADY', {
    what: `${where} sends requests of ${service} to the target already.`,
    why: 'Joining at 0 would take that away unasked.',
    fix: 'Set its weight to 0 yourself first, or shift from where it is: `migrate shift`.',
  });

const notTaken = ({ service }: Route, what: string) =>
  new MigrateError('WEIGHT_NOT_TAKEN', {
    what: `${service}: ${what}.`,
    why: 'Something else writes this object too.',
    fix: 'Find the other writer and stop it for the length of the migration, then run again.',
  });
