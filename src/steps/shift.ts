import type { SharedService, ShiftArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import type { ShareEvent } from '../events.js';
import { watchGates } from '../gates.js';
import { lbKey, readyEndpoints } from '../objects.js';
import type { KubeObject, Side, World } from '../ports.js';
import { otherSide } from '../ports.js';
import {
  backendsOn,
  measured,
  ownWeight,
  readGroups,
  serviceOn,
  slicesOf,
  textOf,
  untilTaken,
  writeWeight,
  type GroupSplit,
} from '../routers/clb.js';
import { solve, sumOf, weightsOf, type Pair, type Split } from '../split.js';
import type { Debt, StepContext, StepKind } from '../step.js';
import { unreachable, weightOf } from '../traffic.js';
import { count, points } from '../words.js';

export interface ShiftBefore {
  /** our annotation key's value on each side, exactly; absent stays absent */
  was: { source?: string; target?: string };
  pair: { source?: number; target?: number };
  order: Side[];
  reachable: number;
}

export const shift: StepKind<ShiftArgs, ShiftBefore> = {
  kind: 'shift',
  title: ({ service, asked }) => `${service.service} to ${points(asked)} %`,
  wayBack: () => 'the share before',
  rights: () => ({ source: SERVICE_RIGHTS, target: SERVICE_RIGHTS }),

  async check({ service, asked, tolerance }, { world, emit, step }) {
    const state = await look(service, world);
    const split = splitFor(asked, tolerance, service, state);
    await mustCarry(asked, service, world, (why) =>
      emit({ type: 'gate', step: step.id, gate: 'capacity', state: 'pass', why }),
    );
    const was = { source: ownWeight(state.services.source), target: ownWeight(state.services.target) };
    return {
      was: {
        ...(was.source !== undefined && { source: was.source }),
        ...(was.target !== undefined && { target: was.target }),
      },
      pair: {
        ...(split.pair.source !== undefined && { source: split.pair.source }),
        ...(split.pair.target !== undefined && { target: split.pair.target }),
      },
      order: split.order,
      reachable: split.reachable,
    };
  },

  async apply({ service }, { pair, order }, { world, progress }) {
    for (const side of order) {
      const wanted = textOf(pair[side]);
      if (ownWeight(await serviceOn(world[side], service)) !== wanted) {
        progress(`${side} weight ${wanted ?? 'unset'}`);
        await writeWeight(world[side], service, wanted);
      }
      await untilTaken(side, world[side], service, world);
    }
  },

  async verify(args, before, { world, emit, step }) {
    const groups = await readGroups(args.service, world);
    for (const group of groups) {
      const share = measured(group);
      if (Math.abs(share - args.asked) <= args.tolerance) continue;
      throw new MigrateError('SHARE_NOT_TAKEN', {
        what: `Group ${group.group} sends ${points(share)} % to the target, not ${points(args.asked)} %.`,
        why: 'Backends came or went while the weights were written, or something else writes them too.',
        fix: 'Run again: the weights are worked out anew from the backends that are there then.',
      });
    }
    emit(shareEvent(step.id, args, before.reachable, groups));
  },

  async hold(args, before, context) {
    const { world, emit, step } = context;
    const poll = Math.min(15_000, Math.max(1000, args.holdMs / 40));
    await watchGates(args.gates, args.holdMs, poll, context, async (elapsedMs) => {
      const groups = await readGroups(args.service, world);
      emit({ type: 'hold', step: step.id, elapsedMs, holdMs: args.holdMs });
      const drifted = groups.find((it) => Math.abs(measured(it) - args.asked) > args.tolerance);
      if (drifted) await follow(args, drifted, context);
    });
    emit(shareEvent(step.id, args, before.reachable, await readGroups(args.service, world)));
  },

  async undo({ service }, before, context) {
    return restore(service, before.was, context);
  },

  undoneWith: ({ service }) => `share of ${service.service}`,
};

export const SERVICE_RIGHTS = [
  { verb: 'get', group: '', resource: 'services' },
  { verb: 'patch', group: '', resource: 'services' },
  { verb: 'list', group: 'discovery.k8s.io', resource: 'endpointslices' },
];

interface Seen {
  services: Record<Side, KubeObject>;
  groups: GroupSplit[];
}

async function look(
  service: SharedService,
  world: World,
): Promise<Seen & { question: Omit<Parameters<typeof solve>[0], 'asked'> }> {
  const [source, target, groups] = await Promise.all([
    serviceOn(world.source, service),
    serviceOn(world.target, service),
    readGroups(service, world),
  ]);
  const first = groups[0];
  if (!first) throw new Error(`no port of ${service.service}`);
  const question = {
    source: await backendsOn(world.source, source, first.source.members, service),
    target: await backendsOn(world.target, target, first.target.members, service),
    from: { source: weightOf(source), target: weightOf(target) } satisfies Pair,
    others: first.others.weight,
  };
  return { services: { source, target }, groups, question };
}

function splitFor(
  asked: number,
  tolerance: number,
  service: SharedService,
  { question }: Awaited<ReturnType<typeof look>>,
): Split {
  const full = { asked, ...question };
  const split = solve(full);
  if (!split || Math.abs(split.reachable - asked) > tolerance) throw unreachable(service, full, tolerance);
  return split;
}

/** Backends came or went while the share was held: the weights are worked out anew from those that are there now. */
async function follow(args: ShiftArgs, drifted: GroupSplit, { world, emit }: StepContext): Promise<void> {
  emit({
    type: 'warning',
    what: `Group ${drifted.group} drifted to ${points(measured(drifted))} %; setting ${points(args.asked)} % anew.`,
  });
  const state = await look(args.service, world);
  const { pair, order } = splitFor(args.asked, args.tolerance, args.service, state);
  if (order.length === 0) {
    throw new MigrateError('SHARE_TAKEN_AWAY', {
      what: `Group ${drifted.group} sends ${points(measured(drifted))} % to the target although both annotations are right.`,
      why: 'Something other than the two controllers writes these weights.',
      fix: 'Find the other writer (console, script, a third controller), stop it, and run again.',
    });
  }
  for (const side of order) {
    await writeWeight(world[side], args.service, textOf(pair[side]));
    await untilTaken(side, world[side], args.service, world);
  }
}

/**
 * The target must have the pods for the share before it gets it: as many ready ones as the source has, times the share.
 * @throws MigrateError CAPACITY_SHORT
 */
async function mustCarry(
  asked: number,
  service: SharedService,
  world: World,
  pass: (why: string) => void,
): Promise<void> {
  if (asked === 0) return;
  const [source, target] = await Promise.all(
    (['source', 'target'] as const).map(
      async (side) => readyEndpoints(await slicesOf(world[side], service)).addresses.length,
    ),
  );
  const needed = Math.max(1, Math.ceil(((source ?? 0) * asked) / 100));
  if ((target ?? 0) >= needed) return pass(`${target} ready on the target, ${points(asked)} % needs ${needed}`);
  throw new MigrateError('CAPACITY_SHORT', {
    what: `The target has ${count(target ?? 0, 'ready pod')} behind ${service.service}; ${points(asked)} % needs ${needed}.`,
    why: `The source serves with ${source}; a share must be carried before it is given.`,
    fix: `Scale the target's workload to ${needed} or more and wait until they are ready.`,
  });
}

export function shareEvent(
  step: string,
  { service, asked }: ShiftArgs,
  reachable: number,
  groups: GroupSplit[],
): ShareEvent {
  const [first] = groups;
  const worst = groups.reduce(
    (far, it) => (Math.abs(measured(it) - asked) > Math.abs(measured(far) - asked) ? it : far),
    first as GroupSplit,
  );
  const size = ({ members, weight }: GroupSplit['source']) => ({ members: members.length, weight });
  return {
    type: 'share',
    step,
    service: service.service,
    asked,
    reachable,
    measured: measured(worst),
    source: size(worst.source),
    target: size(worst.target),
  };
}

/**
 * Puts both annotations back exactly, the side that grows first. It looks before it moves: a side that grows must have somebody ready to
 * serve. A target whose API server is dead is set at the load balancer, and what its Service must say is owed.
 */
async function restore(
  service: SharedService,
  was: ShiftBefore['was'],
  { world, progress }: StepContext,
): Promise<Debt[]> {
  const groups = await readGroups(service, world);
  const owed: Debt[] = [];
  // Asked of the source alone: the way back must not wait for a target that is dead.
  const sourceGrows = await grows('source', service, was.source, groups, world);
  for (const side of sourceGrows ? (['source', 'target'] as const) : (['target', 'source'] as const)) {
    const cluster = world[side];
    try {
      const object = await serviceOn(cluster, service);
      if (ownWeight(object) !== was[side]) {
        await mustServe(side, object, was[side], service, world);
        progress(`${side} weight back to ${was[side] ?? 'unset'}`);
        await writeWeight(cluster, service, was[side]);
      }
      await untilTaken(side, cluster, service, world);
    } catch (error) {
      if (!(error instanceof MigrateError) || error.code !== 'KUBE_UNREACHABLE' || side === 'source') throw error;
      owed.push(await setAtLoadBalancer(service, was.target, world));
    }
  }
  return owed;
}

async function grows(
  side: Side,
  service: SharedService,
  was: string | undefined,
  groups: GroupSplit[],
  world: World,
): Promise<boolean> {
  const object = await serviceOn(world[side], service);
  const [first] = groups;
  if (!first || ownWeight(object) === was) return true;
  return (
    sumOf(await backendsOn(world[side], object, first[side].members, service), weightThen(object, was)) >=
    first[side].weight
  );
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
  service: SharedService,
  world: World,
): Promise<void> {
  if (weightThen(object, was) === 0) return;
  const ready = readyEndpoints(await slicesOf(world[side], service)).addresses.length;
  if (ready > 0) return;
  throw new MigrateError('SIDE_CANNOT_SERVE', {
    what: `The ${side} has no ready pod behind ${service.service}; it gets no traffic.`,
    why: `Going back would send new connections to a side that can't serve; the ${otherSide(side)} serves now.`,
    fix: `Bring its pods up on the ${side}, then go back again.`,
  });
}

/** The target's API server does not answer: the weights are written where they count, and the annotation is owed. */
async function setAtLoadBalancer(service: SharedService, was: string | undefined, world: World): Promise<Debt> {
  const weight = was !== undefined && /^\d+$/.test(was) ? Number(was) : undefined;
  for (const { group, target } of await readGroups(service, world)) {
    const each = weightsOf({ mode: 'eni', members: target.members.length }, weight);
    const changed = target.members.flatMap((it, index) =>
      it.weight === each[index] ? [] : [{ ...it, weight: each[index] ?? 0 }],
    );
    if (changed.length > 0) await world.cloud.setWeights(group, changed);
  }
  const wrong = (await readGroups(service, world)).find((it) => weight === 0 && it.target.weight !== 0);
  if (wrong)
    throw new MigrateError('WEIGHT_NOT_TAKEN', {
      what: `Group ${wrong.group} still gives the target ${wrong.target.weight}.`,
      why: 'The load balancer took the call and shows another weight.',
      fix: 'Go back again: `migrate rollback`.',
    });
  return {
    side: 'target',
    what: `The target's API server does not answer: its weights were set at the load balancer; Service ${service.service} there still says otherwise, and its controller would write that when it returns.`,
  };
}
