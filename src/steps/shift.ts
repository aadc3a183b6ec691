import type { ShiftArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import type { ShareEvent } from '../events.js';
import { askedBefore } from '../gates/before.js';
import { capacityRights, capacitySeen } from '../gates/capacity.js';
import { putBack, raise, type Prescaled } from '../gates/prescale.js';
import { watchGates, type Held } from '../gates/watch.js';
import type { World } from '../ports.js';
import { furthest, isReachable, measured, off, type Choice, type Reading, type Split } from '../router.js';
import { routers } from '../routers/index.js';
import type { StepContext, StepKind } from '../step.js';
import { routerOf, unreachable } from '../traffic.js';
import { points } from '../words.js';
import { mustRest, RIGHTS_OF_REST } from './at-rest.js';

export interface ShiftBefore {
  /** what was written before this step, exact enough to be put back */
  was: unknown;
  choice: Choice<unknown>;
  /** percent that the target had before */
  from: number;
  /** the minimum of an autoscaler that this step raises first and puts back at its end */
  scaled?: Prescaled;
}

export const shift: StepKind<ShiftArgs, ShiftBefore> = {
  kind: 'shift',
  title: ({ route, asked }) => `${route.service} to ${points(asked)} %`,
  wayBack: () => 'the share before',
  rights({ route, gates, moved }) {
    const { source = [], target = [] } = routerOf(route, routers).rights(route);
    const counted = capacityRights(gates);
    return { source: [...source, ...counted, ...(moved ? RIGHTS_OF_REST : [])], target: [...target, ...counted] };
  },

  async check(args, context) {
    const { route, asked, gates } = args;
    const router = routerOf(route, routers);
    const reading = await router.read(route, context.world);
    const choice = await chosen(args, reading, context.world);
    const from = shareOf(reading);
    const scaled = await askedBefore(gates, { router, route, from, to: asked }, context);
    return { was: reading.setting, choice, from, ...(scaled && { scaled }) };
  },

  async apply({ route, moved }, { choice, scaled }, context) {
    const router = routerOf(route, routers);
    if (moved) await mustRest(moved, context.world.source);
    if (scaled) await raise(scaled, router, route, context);
    await router.write(route, choice, context);
  },

  async verify(args, { choice }, context) {
    const { route, asked, tolerance } = args;
    const router = routerOf(route, routers);
    for (let triesLeft = 3; ; triesLeft -= 1) {
      const reading = await router.read(route, context.world);
      const far = furthest(reading.splits, asked);
      if (far && off(far, asked) <= tolerance) {
        context.emit(shareEvent(context.step.id, args, choice.reachable, reading.splits));
        return;
      }
      // Pods that came or went while it was written, as in a roll-out: worked out anew from those that are there now.
      const anew = triesLeft > 0 ? await router.choose(route, args, reading, context.world) : undefined;
      if (!anew || !isReachable(anew) || anew.order.length === 0) {
        throw new MigrateError('SHARE_NOT_TAKEN', {
          what: `${far?.where ?? route.service} sends ${far ? points(measured(far)) : '?'} % to the target, not ${points(asked)} %.`,
          why: 'Backends came or went while the weights were written, or something else writes them too.',
          fix: 'Run again: the weights are worked out anew from the backends that are there then.',
        });
      }
      await router.write(route, anew, context);
    }
  },

  async hold(args, before, context) {
    const { world, emit, step } = context;
    const { route, asked, tolerance, holdMs } = args;
    const router = routerOf(route, routers);
    const poll = Math.min(15_000, Math.max(1000, holdMs / 40));
    const { leastMs, next } = args;
    const told = {
      holdMs,
      back: before.from,
      ...(leastMs !== undefined && { leastMs }),
      ...(next !== undefined && { next }),
    };
    const look = async (elapsedMs: number) => {
      const reading = await router.read(route, world);
      emit({ type: 'hold', step: step.id, elapsedMs, ...told });
      const far = furthest(reading.splits, asked);
      if (reading.news !== undefined || (far && off(far, asked) > tolerance)) await follow(args, reading, context);
    };
    const overruled = await context.approval('paused');
    if (overruled) emit({ ...APPROVED, step: step.id, why: `${overruled.by} let it go on at ${overruled.at}` });
    else await watchGates(args.gates, heldBy(args, world), poll, context, look);
    // The load holds the pods by itself now.
    if (before.scaled) await putBack(before.scaled, context);
    emit(shareEvent(step.id, args, before.choice.reachable, (await router.read(route, world)).splits));
  },

  async undo({ route }, { was, scaled }, context) {
    const owed = await routerOf(route, routers).restore(route, was, context);
    return scaled ? [...owed, ...(await putBack(scaled, context))] : owed;
  },

  // What was done past the source is undone by itself: its before knows nothing of what the source's Service said.
  undoneWith: ({ route }) => `share of ${route.service}${route.sourceDown ? ' past the source' : ''}`,
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
  context.emit({ type: 'warning', what: `${reading.news ?? shows}; setting ${points(asked)} % anew.` });
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

const APPROVED = { type: 'gate', gate: 'approve', state: 'pass' } as const;

/** Percent that the target has now; 0 while nobody has a weight. */
function shareOf({ splits }: Reading<unknown>): number {
  const share = splits[0] ? measured(splits[0]) : 0;
  return Number.isNaN(share) ? 0 : share;
}

/** What the gates are told of this step. */
function heldBy({ route, asked, holdMs, leastMs = holdMs, next }: ShiftArgs, world: World): Held {
  const held = { service: route.service, asked, holdMs, leastMs };
  if (next === undefined) return held;
  const capacity: Held['capacity'] = (gate) =>
    capacitySeen(gate, routerOf(route, routers), route, { from: asked, to: next }, world);
  return { ...held, capacity };
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
