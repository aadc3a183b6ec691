import type { HandOverArgs, RolloutsArgs } from '../args.js';
import { answer, clbRoutes, foreseeClb, readWeight, weightOf, type ClbRoute, type ClbSetting } from '../clb.js';
import { MigrateError } from '../errors.js';
import { lbAnnotation, lbKey, splitPath } from '../objects.js';
import { otherSide, type KubeObject, type Side, type World } from '../ports.js';
import type { Reading, Router } from '../router.js';
import { sumOf, weightsOf } from '../split.js';
import type { Debt, StepContext } from '../step.js';
import { join, leave } from './clb-join.js';
import {
  backendsOn,
  ownWeight,
  readGroups,
  splitOf,
  TAKES_EFFECT_MS,
  untilTaken,
  weightIn,
  writeWeight,
  type Group,
} from './clb-group.js';
import { readyPods, serviceOn, SERVICE_RIGHTS } from './services.js';

/**
 * Splits new connections by the weights of one server group of a CLB that both clusters' controllers fill. Each side's weight is written
 * through its owner, the annotation of its Service; the load balancer is the only memory of the split and is always asked.
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
  rights: () => ({ source: SERVICE_RIGHTS, target: SERVICE_RIGHTS }),
  /** Only what its controller gave up can be shared; meanwhile nothing is rolled out behind it. */
  before(route) {
    if (!route.handOver?.due) return [];
    const held = route.handOver.deployments.length > 0;
    const rollouts = (id: string, to: RolloutsArgs['to']) =>
      held ? [{ id, kind: 'rollouts', args: { route, to } satisfies RolloutsArgs }] : [];
    return [
      ...rollouts('hand-over/hold', 'held'),
      { id: 'hand-over', kind: 'hand-over', args: { route } satisfies HandOverArgs },
      ...rollouts('hand-over/release', 'released'),
    ];
  },
  /** The target's Service is bound to the groups, and members that its controller signed are in each. */
  async joined(route, world) {
    const service = await world.target.get({ kind: 'Service', ...splitPath(route.service) });
    if (service?.['spec']?.type !== 'LoadBalancer' || lbAnnotation(service, 'id') !== route.loadBalancer) return false;
    return (await readGroups(route, world)).every((it) => it.target.length > 0);
  },
  join,
  leave,
  ready: readyPods,

  async read(route, world) {
    const [source, target, groups] = await Promise.all([
      serviceOn(world.source, route),
      serviceOn(world.target, route),
      readGroups(route, world),
    ]);
    return {
      setting: { source: asFound(source), target: asFound(target) },
      splits: groups.map(splitOf),
    } satisfies Reading<ClbSetting>;
  },

  async choose(route, ask, _reading, world) {
    const [source, target, groups] = await Promise.all([
      serviceOn(world.source, route),
      serviceOn(world.target, route),
      readGroups(route, world),
    ]);
    const [first] = groups;
    if (!first) throw new Error(`no port of ${route.service}`);
    return answer(ask, {
      source: await backendsOn(world.source, source, first.source, route),
      target: await backendsOn(world.target, target, first.target, route),
      from: { source: weightOf(source), target: weightOf(target) },
      others: weightIn(first.others),
    });
  },

  async write(route, { setting, order }, { world, progress }) {
    for (const side of order) {
      const wanted = setting[side].weight;
      if (ownWeight(await serviceOn(world[side], route)) !== wanted) {
        progress(`${side} weight ${wanted ?? 'unset'}`);
        await writeWeight(world[side], route, wanted);
      }
      await untilTaken(side, world[side], route, world);
    }
  },

  /** It looks before it moves: a target whose API server is dead is set at the load balancer, and what its Service must say is owed. */
  async restore(route, was, { world, progress }: StepContext) {
    const groups = await readGroups(route, world);
    const owed: Debt[] = [];
    // Asked of the source alone: the way back must not wait for a target that is dead.
    const sourceGrows = await grows('source', route, was.source.weight, groups, world);
    for (const side of sourceGrows ? (['source', 'target'] as const) : (['target', 'source'] as const)) {
      const cluster = world[side];
      const { weight } = was[side];
      try {
        const object = await serviceOn(cluster, route);
        if (ownWeight(object) !== weight) {
          await mustServe(side, object, weight, route, world);
          progress(`${side} weight back to ${weight ?? 'unset'}`);
          await writeWeight(cluster, route, weight);
        }
        await untilTaken(side, cluster, route, world);
      } catch (error) {
        if (!(error instanceof MigrateError) || error.code !== 'KUBE_UNREACHABLE' || side === 'source') throw error;
        owed.push(await setAtLoadBalancer(route, weight, world));
      }
    }
    return owed;
  },
};

const asFound = (service: KubeObject) => {
  const weight = ownWeight(service);
  return weight === undefined ? {} : { weight };
};

async function grows(
  side: Side,
  route: ClbRoute,
  was: string | undefined,
  groups: Group[],
  world: World,
): Promise<boolean> {
  const object = await serviceOn(world[side], route);
  const [first] = groups;
  if (!first || ownWeight(object) === was) return true;
  const backends = await backendsOn(world[side], object, first[side], route);
  return sumOf(backends, weightThen(object, was)) >= weightIn(first[side]);
}

/** The weight that the controller will see once our key says `was`. */
function weightThen(object: KubeObject, was: string | undefined) {
  const { [lbKey('weight')]: _ours, ...others } = object.metadata.annotations ?? {};
  const annotations = was === undefined ? others : { ...others, [lbKey('weight')]: was };
  return weightOf({ ...object, metadata: { ...object.metadata, annotations } });
}

/** @throws MigrateError SIDE_CANNOT_SERVE */
async function mustServe(
  side: Side,
  object: KubeObject,
  was: string | undefined,
  route: ClbRoute,
  world: World,
): Promise<void> {
  if (weightThen(object, was) === 0 || (await readyPods(route, side, world)) > 0) return;
  throw new MigrateError('SIDE_CANNOT_SERVE', {
    what: `The ${side} has no ready pod behind ${route.service}; it gets no traffic.`,
    why: `Going back would send new connections to a side that can't serve; the ${otherSide(side)} serves now.`,
    fix: `Bring its pods up on the ${side}, then go back again.`,
  });
}

/** The target's API server does not answer: the weights are written where they count, and the annotation is owed. */
async function setAtLoadBalancer(route: ClbRoute, was: string | undefined, world: World): Promise<Debt> {
  const weight = readWeight(was);
  for (const { id, target } of await readGroups(route, world)) {
    const each = weightsOf({ mode: 'eni', members: target.length }, weight);
    const changed = target.flatMap((it, index) =>
      it.weight === each[index] ? [] : [{ ...it, weight: each[index] ?? 0 }],
    );
    if (changed.length > 0) await world.cloud.setWeights(id, changed);
  }
  const wrong = (await readGroups(route, world)).find((it) => weight === 0 && weightIn(it.target) !== 0);
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
