import type { HandOverArgs, RolloutsArgs, SchedulerArgs } from '../args.js';
import {
  clbRoutes,
  listenerNotes,
  readWeight,
  weightOf,
  type ClbRoute,
  type ClbSetting,
  type SideSetting,
} from '../clb.js';
import { answer, foreseeClb, foundOn, type SideStanding } from '../clb-shares.js';
import { MigrateError } from '../errors.js';
import { lbAnnotation, lbKey, splitPath } from '../objects.js';
import { otherSide, SIDES, type KubeObject, type Side, type World } from '../ports.js';
import { isReachable, type Reading, type Router, wakesLater } from '../router.js';
import { sumOf } from '../split.js';
import type { Debt, StepContext } from '../step.js';
import {
  allOf,
  areEven,
  backendsOn,
  isHeard,
  readGroups,
  splitOf,
  TAKES_EFFECT_MS,
  textsOf,
  untilHeard,
  untilTaken,
  weighMembers,
  weightIn,
  writeTexts,
  type Group,
} from './clb-group.js';
import { join, leave } from './clb-join.js';
import { readyPods, serviceOn, SERVICE_RIGHTS } from './services.js';

/**
 * Splits new connections by the weights of one server group of a CLB that both clusters' controllers fill. Each side's weight is written
 * through its owner, the annotation of its Service, or member by member while both controllers are told to ignore weights; the load balancer is
 * the only memory of the split and is always asked.
 */
export const clb: Router<ClbRoute, ClbSetting> = {
  name: 'clb',
  traits: () => ({
    unit: 'weight',
    min: 0,
    max: 100,
    zero: 'weight',
    splits: 'connections',
    proof: 'load-balancer',
    bitesMs: TAKES_EFFECT_MS,
  }),

  routes: (entries, playbook, inventory) =>
    clbRoutes(
      entries.filter((it) => it.router === 'clb'),
      playbook,
      inventory,
    ),
  foresee: (route, ask, from, _playbook, inventory) => foreseeClb(route, ask, from, inventory),
  rights: (route) => ({ ...(isHeard('source', route) && { source: SERVICE_RIGHTS }), target: SERVICE_RIGHTS }),
  /** Only what its controller gave up can be shared; meanwhile nothing is rolled out behind it. And turns must heed weights. */
  before(route) {
    const ports = route.reschedule;
    const scheduler = ports
      ? [{ id: 'scheduler', kind: 'scheduler', args: { route, ports } satisfies SchedulerArgs }]
      : [];
    if (!route.handOver?.due) return scheduler;
    const held = route.handOver.deployments.length > 0;
    const rollouts = (id: string, to: RolloutsArgs['to']) =>
      held ? [{ id, kind: 'rollouts', args: { route, to } satisfies RolloutsArgs }] : [];
    return [
      ...rollouts('hand-over/hold', 'held'),
      { id: 'hand-over', kind: 'hand-over', args: { route } satisfies HandOverArgs },
      ...rollouts('hand-over/release', 'released'),
    ];
  },
  notes: listenerNotes,
  /** The target's Service is bound to the groups, and members that its controller signed are in each. */
  async joined(route, world) {
    const service = await world.target.get({ kind: 'Service', ...splitPath(route.service) });
    if (service?.['spec']?.type !== 'LoadBalancer' || lbAnnotation(service, 'id') !== route.loadBalancer) return false;
    return (await readGroups(route, world)).every((it) => it.target.length > 0);
  },
  join,
  leave,
  async ready(route, side, world) {
    const groups = side === 'source' ? await readGroups(route, world) : [];
    const [first] = groups;
    const beside = first?.servers.length ?? 0;
    // Nobody can be asked how many of them are ready: as many as there are members.
    if (!isHeard(side, route)) return beside + (first?.source.length ?? 0);
    return beside + (await readyPods(route, side, world));
  },

  shows: async (route, world) => (await readGroups(route, world)).map(splitOf),

  async read(route, world) {
    const { services, groups } = await look(route, world);
    const [first] = groups;
    const uneven = SIDES.filter(
      (it) => isHeard(it, route) && ignoring(services[it]) && groups.some((one) => !areEven(one[it])),
    );
    return {
      setting: {
        source: foundOn(services.source, first?.source ?? [], first?.servers),
        target: foundOn(services.target, first?.target ?? []),
      },
      splits: groups.map(splitOf),
      ...(uneven.length > 0 && { news: `members came or went on the ${uneven.join(' and the ')}` }),
    } satisfies Reading<ClbSetting>;
  },

  async choose(route, ask, { setting }, world) {
    const { services, groups } = await look(route, world);
    const [first] = groups;
    if (!first) throw new Error(`no port of ${route.service}`);
    const standing = async (side: Side): Promise<SideStanding> => {
      const service = services[side];
      return {
        cluster: service
          ? await backendsOn(world[side], service, first[side], route)
          : { mode: 'eni', members: first[side].length },
        servers: side === 'source' ? first.servers.length : 0,
        unheard: service === undefined,
        now: weightIn(allOf(side, first)),
      };
    };
    const choice = answer(route, ask, setting, {
      source: await standing('source'),
      target: await standing('target'),
      others: weightIn(first.others),
    });
    if (!isReachable(choice)) return choice;
    // Uneven members are set anew even where their sum is right.
    const uneven = SIDES.filter(
      (it) =>
        choice.setting[it].sum !== undefined && !choice.order.includes(it) && groups.some((one) => !areEven(one[it])),
    );
    return { ...choice, order: [...choice.order, ...uneven] };
  },

  async write(route, { setting, order }, context) {
    await takeOver(route, setting, context);
    for (const side of order) {
      const written =
        isHeard(side, route) && (await writeTexts(context.world[side], route, setting[side], context.progress));
      if (!written) await mend(side, route, setting[side], context);
      await weigh(side, route, setting[side], context);
      await untilTaken(side, route, setting[side], context.world);
    }
  },

  /** It looks before it moves: a target whose API server is dead is set at the load balancer, and what its Service must say is owed. */
  async restore(route, was, context: StepContext) {
    const { world, progress } = context;
    const owed: Debt[] = [];
    // Asked of the source alone: the way back must not wait for a target that is dead.
    const order: Side[] = (await grows('source', route, was.source, world))
      ? ['source', 'target']
      : ['target', 'source'];
    for (const side of order) {
      const cluster = world[side];
      try {
        const object = isHeard(side, route) ? await serviceOn(cluster, route) : undefined;
        if (side === 'target' || !wakesLater(route, context)) await mustServe(side, object, was[side], route, world);
        if (object && !says(object, was[side])) {
          await writeTexts(cluster, route, was[side], progress);
          if (was[side].sum !== undefined && !ignoring(object)) await untilHeard(cluster, route, object, world);
        }
        await weigh(side, route, was[side], context);
        await untilTaken(side, route, was[side], world);
      } catch (error) {
        if (!(error instanceof MigrateError) || error.code !== 'KUBE_UNREACHABLE' || side === 'source') throw error;
        owed.push(await setAtLoadBalancer(route, was[side], world));
      }
    }
    return owed;
  },
};

const ignoring = (service: KubeObject | undefined) => foundOn(service, []).sum !== undefined;

const says = (service: KubeObject, texts: SideSetting) => {
  const now = textsOf(service);
  return now.weight === texts.weight && now.ignore === texts.ignore;
};

async function look(
  route: ClbRoute,
  world: World,
): Promise<{ services: Record<Side, KubeObject | undefined>; groups: Group[] }> {
  const on = (side: Side) => (isHeard(side, route) ? serviceOn(world[side], route) : undefined);
  const [source, target, groups] = await Promise.all([on('source'), on('target'), readGroups(route, world)]);
  return { services: { source, target }, groups };
}

/**
 * What the Service says already and the group does not show was written by somebody else: the controller looks again only when something
 * happens, so its members get what it would give them. Where it counts pods on nodes it is left to itself.
 */
async function mend(
  side: Side,
  route: ClbRoute,
  { sum }: SideSetting,
  { world, progress }: StepContext,
): Promise<void> {
  if (sum !== undefined || !isHeard(side, route)) return;
  const service = await serviceOn(world[side], route);
  const wanted = new Map<string, number>();
  for (const { id, [side]: members } of await readGroups(route, world)) {
    const backends = await backendsOn(world[side], service, members, route);
    const sum = sumOf(backends, weightOf(service));
    if (backends.mode === 'local' || weightIn(members) === sum) continue;
    progress(`${side} members back to ${sum} together`);
    wanted.set(id, sum);
  }
  if (wanted.size > 0) await weighMembers(side, route, ({ id }) => wanted.get(id), world);
}

/** What of a side is set through the API. */
async function weigh(
  side: Side,
  route: ClbRoute,
  { sum, servers }: SideSetting,
  { world, progress }: StepContext,
): Promise<void> {
  if (sum !== undefined) {
    progress(`${side} members to ${sum} together`);
    await weighMembers(side, route, sum, world);
  }
  if (servers === undefined) return;
  progress(`servers to ${servers} together`);
  await weighMembers('servers', route, servers, world);
}

/**
 * Before members are weighed one by one, both controllers are told to leave weights alone, and have heard it: the weights stay as they are
 * meanwhile.
 */
async function takeOver(route: ClbRoute, setting: ClbSetting, { world, progress }: StepContext): Promise<void> {
  await Promise.all(
    SIDES.filter((it) => setting[it].sum !== undefined && isHeard(it, route)).map(async (side) => {
      const before = await serviceOn(world[side], route);
      if (ignoring(before)) return;
      await writeTexts(world[side], route, setting[side], progress);
      await untilHeard(world[side], route, before, world);
    }),
  );
}

async function grows(side: Side, route: ClbRoute, was: SideSetting, world: World): Promise<boolean> {
  const [first] = await readGroups(route, world);
  if (!first) return true;
  const { sum, servers = 0 } = was;
  if (sum !== undefined) return sum + servers >= weightIn(allOf(side, first));
  const object = await serviceOn(world[side], route);
  const then = sumOf(await backendsOn(world[side], object, first[side], route), weightThen(object, was.weight));
  return then + servers >= weightIn(allOf(side, first));
}

/** The weight that the controller will see once our key says `was`. */
function weightThen(object: KubeObject, was: string | undefined) {
  const { [lbKey('weight')]: _ours, ...others } = object.metadata.annotations ?? {};
  const annotations = was === undefined ? others : { ...others, [lbKey('weight')]: was };
  return weightOf({ ...object, metadata: { ...object.metadata, annotations } });
}

/**
 * A side that gets traffic again must have somebody ready; of servers outside any cluster nobody can be asked.
 *
 * @throws MigrateError SIDE_CANNOT_SERVE
 */
async function mustServe(
  side: Side,
  object: KubeObject | undefined,
  was: SideSetting,
  route: ClbRoute,
  world: World,
): Promise<void> {
  if (object && was.sum === undefined && says(object, was)) return;
  if ((was.sum ?? (object ? weightThen(object, was.weight) : 0)) === 0) return;
  if (side === 'source' && route.sourceOwner === '') return;
  if ((await readyPods(route, side, world)) > 0) return;
  throw new MigrateError('SIDE_CANNOT_SERVE', {
    what: `The ${side} has no ready pod behind ${route.service}; it gets no traffic.`,
    why: `Going back would send new connections to a side that can't serve; the ${otherSide(side)} serves now.`,
    fix: `Bring its pods up on the ${side}, then go back again.`,
  });
}

/** The target's API server does not answer: the weights are written where they count, and the annotation is owed. */
async function setAtLoadBalancer(route: ClbRoute, was: SideSetting, world: World): Promise<Debt> {
  const wanted = (members: number) => was.sum ?? sumOf({ mode: 'eni', members }, readWeight(was.weight));
  await weighMembers('target', route, ({ target }) => wanted(target.length), world);
  const wrong = (await readGroups(route, world)).find((it) => weightIn(it.target) !== wanted(it.target.length));
  if (wrong)
    throw new MigrateError('WEIGHT_NOT_TAKEN', {
      what: `Group ${wrong.id} still gives the target ${weightIn(wrong.target)}.`,
      why: 'The load balancer took the call and shows another weight.',
      fix: 'Go back again: `migrate rollback`.',
    });
  return {
    side: 'target',
    what: `The target's API server does not answer: its weights were set at the load balancer; Service ${route.service} there still says otherwise, and its controller would write that when it returns.`,
  };
}
