import type { ShiftArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import type { ShareEvent } from '../events.js';
import { watchGates } from '../gates.js';
import type { World } from '../ports.js';
import { furthest, isReachable, measured, off, type Choice, type Reading, type Route, type Split } from '../router.js';
import { routers } from '../routers/index.js';
import type { StepContext, StepKind } from '../step.js';
import { routerOf, unreachable } from '../traffic.js';
import { count, points } from '../words.js';

export interface ShiftBefore {
  /** what was written before this step, exact enough to be put back */
  was: unknown;
  choice: Choice<unknown>;
}

export const shift: StepKind<ShiftArgs, ShiftBefore> = {
  kind: 'shift',
  title: ({ route, asked }) => `${route.service} to ${points(asked)} %`,
  wayBack: () => 'the share before',
  rights: ({ route }) => routerOf(route, routers).rights(route),

  async check(args, { world, emit, step }) {
    const { route, asked } = args;
    const reading = await routerOf(route, routers).read(route, world);
    const choice = await chosen(args, reading, world);
    await mustCarry(asked, route, world, (why) =>
      emit({ type: 'gate', step: step.id, gate: 'capacity', state: 'pass', why }),
    );
    return { was: reading.setting, choice };
  },

  apply: ({ route }, { choice }, context) => routerOf(route, routers).write(route, choice, context),

  async verify(args, { choice }, { world, emit, step }) {
    const { route, asked, tolerance } = args;
    const { splits } = await routerOf(route, routers).read(route, world);
    const far = furthest(splits, asked);
    if (!far || off(far, asked) > tolerance) {
      throw new MigrateError('SHARE_NOT_TAKEN', {
        what: `${far?.where ?? route.service} sends ${far ? points(measured(far)) : '?'} % to the target, not ${points(asked)} %.`,
        why: 'Backends came or went while the weights were written, or something else writes them too.',
        fix: 'Run again: the weights are worked out anew from the backends that are there then.',
      });
    }
    emit(shareEvent(step.id, args, choice.reachable, splits));
  },

  async hold(args, before, context) {
    const { world, emit, step } = context;
    const { route, asked, tolerance, holdMs } = args;
    const router = routerOf(route, routers);
    const poll = Math.min(15_000, Math.max(1000, holdMs / 40));
    await watchGates(args.gates, holdMs, poll, context, async (elapsedMs) => {
      const reading = await router.read(route, world);
      emit({ type: 'hold', step: step.id, elapsedMs, holdMs });
      const far = furthest(reading.splits, asked);
      if (reading.news !== undefined || (far && off(far, asked) > tolerance)) await follow(args, reading, context);
    });
    emit(shareEvent(step.id, args, before.choice.reachable, (await router.read(route, world)).splits));
  },

  undo: ({ route }, { was }, context) => routerOf(route, routers).restore(route, was, context),

  undoneWith: ({ route }) => `share of ${route.service}`,
};

/** @throws MigrateError SHARE_UNREACHABLE */
async function chosen(args: ShiftArgs, reading: Reading<unknown>, world: World): Promise<Choice<unknown>> {
  const { route } = args;
  const choice = await routerOf(route, routers).choose(route, args, reading, world);
  if (isReachable(choice)) return choice;
  throw unreachable(route, args, choice);
}

/** Backends came or went while the share was held: what to write is worked out anew from those that are there now. */
async function follow(args: ShiftArgs, reading: Reading<unknown>, context: StepContext): Promise<void> {
  const { route, asked } = args;
  const far = furthest(reading.splits, asked);
  const shows = far ? `${far.where} shows ${points(measured(far))} %` : route.service;
  context.emit({ type: 'warning', what: `${reading.news ?? `${shows}`}; setting ${points(asked)} % anew.` });
  const choice = await chosen(args, reading, context.world);
  if (choice.order.length === 0) {
    throw new MigrateError('SHARE_TAKEN_AWAY', {
      what: `${shows} for the target although all is written as it should be.`,
      why: 'Something other than the owners of these weights writes them.',
      fix: 'Find the other writer (console, script, a third controller), stop it, and run again.',
    });
  }
  await routerOf(route, routers).write(route, choice, context);
}

/**
 * The target must have the pods for the share before it gets it: as many ready ones as the source has, times the share.
 * @throws MigrateError CAPACITY_SHORT
 */
async function mustCarry(asked: number, route: Route, world: World, pass: (why: string) => void): Promise<void> {
  if (asked === 0) return;
  const router = routerOf(route, routers);
  const [source, target] = await Promise.all([
    router.ready(route, 'source', world),
    router.ready(route, 'target', world),
  ]);
  const needed = Math.max(1, Math.ceil((source * asked) / 100));
  if (target >= needed) return pass(`${target} ready on the target, ${points(asked)} % needs ${needed}`);
  throw new MigrateError('CAPACITY_SHORT', {
    what: `The target has ${count(target, 'ready pod')} behind ${route.service}; ${points(asked)} % needs ${needed}.`,
    why: `The source serves with ${source}; a share must be carried before it is given.`,
    fix: `Scale the target's workload to ${needed} or more and wait until they are ready.`,
  });
}

export function shareEvent(
  step: string,
  { route, asked }: ShiftArgs,
  reachable: number,
  splits: readonly Split[],
): ShareEvent {
  const far = furthest(splits, asked);
  if (!far) throw new Error(`${route.router} shows no share of ${route.service}`);
  return {
    type: 'share',
    step,
    service: route.service,
    asked,
    reachable,
    measured: measured(far),
    source: far.source,
    target: far.target,
  };
}
