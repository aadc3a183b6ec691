import type { ShiftArgs } from '../args.js';
import { catalogue } from './catalogue.js';
import { MigrateError } from '../errors.js';
import type { Emit, EndedEvent } from '../events.js';
import type { Journal } from '../journal.js';
import type { World } from '../ports.js';
import { furthest, measured, shownBy, type Route } from '../router.js';
import { routers } from '../routers/index.js';
import type { ShiftBefore } from '../steps/shift.js';
import { routerOf } from '../traffic.js';
import { count, points } from '../words.js';

/** How an act ends: what the operator and the shell are told, success or not. */

/** 1 refused, nothing changed; 2 usage or playbook; 3 stopped midway; 4 waiting; 5 the world moved or the lock is held; 70 our bug. */
export function exitOf(error: unknown, touched: boolean): number {
  if (!(error instanceof MigrateError)) return 70;
  const exit = catalogue[error.code]?.exit ?? 1;
  return exit === 1 && touched ? 3 : exit;
}

const OUTCOME_OF: Record<number, EndedEvent['outcome']> = {
  1: 'refused',
  2: 'refused',
  3: 'stopped',
  4: 'waiting',
  5: 'refused',
  70: 'failed',
};

/** Tells of an error, with where things stand now, and gives the last event. */
export function endedBy(
  error: unknown,
  emit: Emit,
  standing: { touched: boolean; now: string; next?: string; back?: string },
): EndedEvent {
  const exit = exitOf(error, standing.touched);
  const told =
    error instanceof MigrateError ? { code: error.code, what: error.what, why: error.why, do: error.fix } : bug(error);
  emit({ type: 'error', ...told, now: standing.now });
  return {
    type: 'ended',
    outcome: OUTCOME_OF[exit] ?? 'failed',
    exit,
    serving: standing.now,
    ...(standing.next !== undefined && { next: standing.next }),
    ...(standing.back !== undefined && { back: standing.back }),
  };
}

const bug = (error: unknown) => ({
  code: 'BUG',
  what: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  why: 'This is a fault of migrate itself, not of yours.',
  do: 'Report it with the output of the same command with -v; the journal is sound.',
  ...(error instanceof Error && error.stack !== undefined && { stack: error.stack }),
});

export const NOTHING = 'nothing was changed';

/** What serves now, read at the load balancer; says so when nothing of it can be read. */
export async function whatServes(world: World | undefined, routes: readonly Route[]): Promise<string> {
  if (!world || routes.length === 0) return '';
  const all = await Promise.all(routes.map((it) => serving(it, world)));
  const lines = all.filter((it) => it !== undefined);
  if (lines.length === 0) return 'the share could not be read at the load balancer';
  return lines.length <= 3
    ? lines.join('. ')
    : `${lines.slice(0, 3).join('. ')}, and ${count(lines.length - 3, 'service')} more`;
}

async function serving(route: Route, world: World): Promise<string | undefined> {
  try {
    const [split] = await shownBy(routerOf(route, routers), route, world);
    if (!split) return undefined;
    const share = measured(split);
    if (Number.isNaN(share)) return `${route.service}: NOBODY serves, every weight is 0`;
    const both = split.source.weight > 0 && split.target.weight > 0;
    return `${route.service}: ${points(100 - share)} % source, ${points(share)} % target; ${both ? 'both serve' : share === 0 ? 'the source serves' : 'the target serves'}`;
  } catch {
    return undefined;
  }
}

/** Routes that the journal's steps moved. */
export const routesOf = (journal: Journal): Route[] => {
  const found = new Map<string, Route>();
  for (const { step } of journal.records()) {
    const { route } = step.args as { route?: Route };
    if (route) found.set(route.service, route);
  }
  return [...found.values()];
};

/** The last share that was asked for, and what its router shows of it now; nothing where that can't be read. */
export async function shareNow(world: World, journal: Journal): Promise<Pick<EndedEvent, 'share'>> {
  const last = journal.records().findLast((it) => it.step.kind === 'shift');
  if (!last) return {};
  const { route, asked } = last.step.args as ShiftArgs;
  const { reachable } = (last.before as ShiftBefore).choice;
  try {
    const far = furthest(await shownBy(routerOf(route, routers), route, world), asked);
    return far && !Number.isNaN(measured(far)) ? { share: { asked, reachable, measured: measured(far) } } : {};
  } catch (error) {
    if (error instanceof MigrateError) return {};
    throw error;
  }
}
