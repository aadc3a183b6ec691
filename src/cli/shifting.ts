import type { AttachArgs, ShiftArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import { isApprove, isCapacity } from '../gates.js';
import type { Journal } from '../journal.js';
import { digestOf, type Plan } from '../plan.js';
import type { Playbook } from '../playbook.js';
import type { World } from '../ports.js';
import { measured, type OwnStep, type Route } from '../router.js';
import { routers } from '../routers/index.js';
import type { Step } from '../step.js';
import { routerOf } from '../traffic.js';

/**
 * A plan of traffic steps alone, for `shift`: joins the group where the target is not in it yet, then goes to the share asked for.
 * Ids carry a number that grows, so that every shift is undone on its own and in order.
 */
export async function shiftPlan(
  { playbook, to, service, stepwise = false }: { playbook: Playbook; to: number; service?: string; stepwise?: boolean },
  { all, pins, takenAt }: { all: readonly Route[]; pins: Plan['pins']; takenAt: string },
  journal: Journal,
  world: World,
): Promise<Plan> {
  const { traffic } = playbook;
  if (!traffic)
    throw new MigrateError('PLAN_SERVICE_UNFIT', {
      what: 'The playbook has no `traffic`.',
      why: 'There is no share to move.',
      fix: 'Add the service, its group and its port.',
    });
  const chosen = service === undefined ? all : all.filter((it) => it.service === service);
  if (chosen.length === 0) {
    throw new MigrateError('USAGE', {
      what: `The playbook has no service "${service ?? ''}".`,
      why: `It has: ${all.map((it) => it.service).join(', ')}.`,
      fix: 'Name one of them with --service NAMESPACE/NAME.',
    });
  }
  const number = 1 + journal.entries().filter((it) => it.type === 'opened' && it.command === 'shift').length;
  const steps: Step[] = [];
  for (const it of chosen) {
    const suffix = all.length === 1 ? '' : `/${it.service}`;
    const mine = journal
      .records()
      .filter((record) => (record.step.args as { route?: Route }).route?.service === it.service);
    // What an earlier shift to the same share left half done is gone on with, with its own before.
    const half = mine.filter((record) => record.state !== 'done').map((record) => record.step);
    steps.push(...half);
    if (half.some((step) => asksFor(step, to))) continue;
    let last = mine.at(-1)?.step.id;
    const add = (id: string, kind: string, args: AttachArgs | ShiftArgs | OwnStep['args']) => {
      steps.push({ id, kind, phase: 'traffic', args, after: last === undefined ? [] : [last] });
      last = id;
    };
    const joined = await routerOf(it, routers).joined(it, world);
    if (!joined && !it.sourceDown) {
      // What an earlier shift has begun is seen through with the route that it had: the world looks further on by now.
      const begun = mine.find(({ step }) => step.id.includes('/hand-over'))?.step.args as { route: Route } | undefined;
      const route = begun?.route ?? it;
      for (const own of routerOf(route, routers).before?.(route) ?? [])
        if (!mine.some(({ step }) => step.id.endsWith(`/${own.id}${suffix}`)))
          add(`shift-${number}/${own.id}${suffix}`, own.kind, own.args);
    }
    if (!joined && !half.some((step) => step.kind === 'attach'))
      add(`shift-${number}/attach${suffix}`, 'attach', { route: it });
    const now = joined ? await shareNow(it, world) : 0;
    const onTheWay = traffic.steps.filter((step) => step > Math.min(now, to) && step < Math.max(now, to));
    if (to < now) onTheWay.reverse();
    const watched = traffic.gates.some((gate) => !isApprove(gate));
    const asks = stepwise ? [...onTheWay, to] : [to];
    for (const [index, asked] of asks.entries()) {
      const rises = asked > now;
      const alone = asked === to && !stepwise;
      const next = asks[index + 1];
      add(`shift-${number}/${asked}${suffix}`, 'shift', {
        route: it,
        asked,
        tolerance: traffic.tolerance,
        // On its own a shift is watched until its gates have decided; going down is the way out of trouble and waits for nothing.
        holdMs: !rises || it.sourceDown || (alone && !watched) ? 0 : traffic.hold,
        ...(alone && watched
          ? { leastMs: Math.min(traffic.hold, BRIEF_MS) }
          : traffic.holdLeast !== undefined && { leastMs: traffic.holdLeast }),
        ...(next !== undefined && { next }),
        gates: it.sourceDown ? [] : rises ? traffic.gates : traffic.gates.filter(isCapacity),
      });
    }
  }
  const plan = {
    schemaVersion: 1 as const,
    name: playbook.name,
    playbook,
    pins,
    steps,
    shares: [],
    notes: [],
  };
  return { ...plan, digest: digestOf(plan), takenAt };
}

export const asksFor = (step: Step, share: number) => step.kind === 'shift' && (step.args as ShiftArgs).asked === share;

const BRIEF_MS = 30_000;

/** Percent of the target in the first place where it is split; 0 while nobody has a weight. */
async function shareNow(route: Route, world: World): Promise<number> {
  const [split] = (await routerOf(route, routers).read(route, world)).splits;
  const share = split ? measured(split) : 0;
  return Number.isNaN(share) ? 0 : share;
}
