import type { AttachArgs, DrainArgs, QuiesceArgs, RetireArgs, ScaleArgs, ShiftArgs } from './args.js';
import { workloadsOf } from './data.js';
import { MigrateError } from './errors.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import { pathOf, splitPath } from './objects.js';
import { sideSteps } from './one-side.js';
import type { PlannedShare } from './plan.js';
import type { Playbook } from './playbook.js';
import {
  isReachable,
  type Ask,
  type AnyRouter,
  type Route,
  type RouterName,
  type Routers,
  type Traits,
  type Unreachable,
} from './router.js';
import type { Step } from './step.js';
import { points, spell } from './words.js';

/** The traffic phase as steps, and what each will reach with the backends seen now. */
export function trafficSteps(
  playbook: Playbook,
  inventory: Inventory,
  routers: Routers,
  before: Step[],
): { steps: Step[]; shares: PlannedShare[]; notes: string[] } {
  const { traffic } = playbook;
  const lastOfData = leaves(before);
  const planned = traffic ? routesOf(playbook, inventory, routers) : [];
  const { routes, notes: rested } = atOnce(planned, traffic?.steps ?? [], before, inventory);
  const suffixOf = (route: Route) => (routes.length === 1 ? '' : `/${route.service}`);
  const asksOf = (route: Route) => route.steps ?? traffic?.steps ?? [];
  const sides = sideSteps(playbook, inventory, {
    routes: routes.map((route) => ({
      ...route,
      wave: waveOf(route),
      last: `traffic/${asksOf(route).at(-1)}${suffixOf(route)}`,
      atEnd: asksOf(route).at(-1) === 100,
    })),
    before,
    brought: lastOfData,
  });
  if (!traffic) return { steps: sides.steps.map((it) => it.step), shares: [], notes: sides.notes };
  const steps: Step[] = [];
  const shares: PlannedShare[] = [];
  const lasts: string[] = [];
  const waves = wavesOf(routes);
  const lastsOf = new Map<number, string[]>();
  for (const {
    step: { id },
    wave,
  } of sides.steps)
    lastsOf.set(wave, [...(lastsOf.get(wave) ?? []), id]);

  for (const route of routes.toSorted((a, b) => waveOf(a) - waveOf(b))) {
    const router = routerOf(route, routers);
    const suffix = suffixOf(route);
    const attach = `traffic/attach${suffix}`;
    let ready = lastOfData;
    for (const own of router.before?.(route) ?? []) {
      const id = `traffic/${own.id}${suffix}`;
      steps.push(step(id, own.kind, own.args, ready));
      ready = [id];
    }
    steps.push(step<AttachArgs>(attach, 'attach', { route }, ready));
    let from: unknown;
    let last = [attach, ...inWaves(route, routes, waves, lastsOf)];
    const asks = asksOf(route);
    for (const [index, asked] of asks.entries()) {
      const id = `traffic/${asked}${suffix}`;
      const ask = { asked, tolerance: traffic.tolerance };
      const choice = router.foresee(route, ask, from, playbook, inventory);
      if (!isReachable(choice)) throw unreachable(route, ask, choice);
      shares.push({ step: id, service: route.service, asked, reachable: choice.reachable, how: choice.how });
      steps.push(
        step<ShiftArgs>(
          id,
          'shift',
          {
            route,
            asked,
            tolerance: traffic.tolerance,
            holdMs: traffic.hold,
            ...(traffic.holdLeast !== undefined && { leastMs: traffic.holdLeast }),
            ...(asks[index + 1] !== undefined && { next: asks[index + 1] }),
            gates: traffic.gates,
            ...startsOn(route, before),
          },
          last,
        ),
      );
      from = choice.setting;
      last = [id];
    }
    lasts.push(...last);
    lastsOf.set(waveOf(route), [...(lastsOf.get(waveOf(route)) ?? []), ...last]);
  }

  const atEnd = routes.every((it) => asksOf(it).at(-1) === 100);
  const notes = routes.flatMap((route) => {
    const router = routerOf(route, routers);
    return [...promise(route, router.traits(route)), ...(router.notes?.(route, inventory) ?? [])];
  });
  const changed = [...sides.steps.map((it) => it.step), ...sides.rest(lasts)];
  steps.push(...changed);
  if (changed.length > 0) lasts.splice(0, lasts.length, ...leaves(steps));
  if (atEnd) steps.push(...completeSteps(playbook, inventory, routes, lasts));
  return { steps, shares, notes: [...rested, ...notes, ...sides.notes] };
}

/**
 * A service whose workloads rest for the copy of a disk has nobody on the source from then on: a share of it would be a share for nobody, so
 * it goes over in one step.
 *
 * @throws MigrateError PLAN_SERVICE_UNFIT
 */
function atOnce(
  planned: readonly Route[],
  usual: readonly number[],
  before: readonly Step[],
  { source }: Inventory,
): { routes: Route[]; notes: string[] } {
  const notes: string[] = [];
  const routes = planned.map((route): Route => {
    const rest = before.find((it) => it.kind === 'quiesce' && selects(route, it.args as QuiesceArgs, source));
    if (!rest) return route;
    const steps = route.steps ?? usual;
    if (steps.at(-1) !== 100)
      throw new MigrateError('PLAN_SERVICE_UNFIT', {
        what: `${route.service} can't stay at ${steps.at(-1) ?? 0} %: what it leads to rests on the source from ${rest.id} on.`,
        why: 'Its disk moves, and a disk is written on one side alone: whoever came to the source would find nobody there.',
        fix: 'Let the steps of its traffic end with 100, or take it out of `traffic.services`.',
      });
    const suffix = planned.length === 1 ? '' : `/${route.service}`;
    const held = (rest.args as QuiesceArgs).freezes !== undefined;
    notes.push(
      `${route.service} ${held ? 'can’t write' : 'is out'} from ${rest.id}, where its writers ${held ? 'hold still' : 'stop'}, until traffic/100${suffix}, the single step of its traffic.`,
    );
    return { ...route, steps: [100], rest: rest.id };
  });
  return { routes, notes };
}

/** What must still rest when a router starts the pods itself. */
function startsOn(route: Route, before: readonly Step[]): Pick<ShiftArgs, 'moved'> {
  const rest = 'workloads' in route ? before.find((it) => it.id === route.rest) : undefined;
  if (!rest) return {};
  const { claims, shares, volumes, freezes } = rest.args as QuiesceArgs;
  return freezes ? {} : { moved: { claims, volumes, ...(shares && { shares }) } };
}

/** Whether the service leads to pods of those who rest. */
function selects({ service }: Route, { workloads, still = [] }: QuiesceArgs, source: ClusterInventory): boolean {
  const { namespace } = splitPath(service);
  const found = (source.objects['Service'] ?? []).find((it) => pathOf(it.metadata) === service);
  const wanted = Object.entries((found?.['spec']?.selector ?? {}) as Record<string, string>);
  return [...workloads, ...still].some((it) => {
    const object = source.objects[it.kind]?.find((one) => pathOf(one.metadata) === pathOf(it));
    const labels: Record<string, string> = object?.['spec']?.template?.metadata?.labels ?? {};
    return it.namespace === namespace && wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
  });
}

/** What a share of this router means and does not mean, where that is not plain. */
function promise({ service }: Route, { splits, unit, proof, bitesMs }: Traits): string[] {
  const told = [
    ...(splits === 'answers'
      ? [
          `moves by DNS answers: a step, and a way back, bites within ${spell(bitesMs)}, for those who keep an answer no longer than they should`,
        ]
      : []),
    ...(unit === 'endpoints' ? ['its share is the ratio of ready pods, and moves by whole pods'] : []),
    ...(proof === 'none'
      ? ['nothing shows that a share is in force but who serves its clients: watch it with a gate']
      : []),
  ];
  return told.length === 0 ? [] : [`${service}: ${told.join('; ')}.`];
}

const waveOf = ({ wave }: Route) => wave ?? Infinity;
const wavesOf = (routes: readonly Route[]) => [...new Set(routes.map(waveOf))].toSorted((a, b) => a - b);

/** Every name of the waves comes in before the first of them is shifted, and a wave waits for the one before. */
function inWaves(
  route: Route,
  routes: readonly Route[],
  waves: readonly number[],
  lastsOf: ReadonlyMap<number, string[]>,
): string[] {
  if (waves.length === 1 && waves[0] === Infinity) return [];
  const at = waves.indexOf(waveOf(route));
  const before = waves[at - 1];
  if (before !== undefined) return lastsOf.get(before) ?? [];
  const named = routes.filter((it) => it.wave !== undefined && it !== route);
  return named.map((it) => `traffic/attach/${it.service}`);
}

const step = <Args>(id: string, kind: string, args: Args, after: string[]): Step => ({
  id,
  kind,
  phase: id.startsWith('complete/') ? 'complete' : 'traffic',
  args,
  after,
});

/** Ids of the steps that nothing else waits for. */
const leaves = (steps: readonly Step[]) =>
  steps.filter((it) => !steps.some((other) => other.after.includes(it.id))).map((it) => it.id);

function completeSteps(playbook: Playbook, inventory: Inventory, routes: Route[], after: string[]): Step[] {
  const suffix = (route: Route) => (routes.length === 1 ? '' : `/${route.service}`);
  const { drain } = playbook.traffic ?? {};
  // By DNS it is the router that waits: for those who keep an old answer.
  const drained = routes
    .filter((it) => it.router !== 'dns')
    .flatMap((route) =>
      drain ? step<DrainArgs>(`complete/drain${suffix(route)}`, 'drain', { route, drain }, after) : [],
    );
  const retired = routes.map((route) =>
    step<RetireArgs>(`complete/retire${suffix(route)}`, 'retire', { route }, [
      ...after,
      ...drained.map((it) => it.id).filter((it) => it === `complete/drain${suffix(route)}`),
    ]),
  );
  const stopped = (playbook.data?.namespaces ?? []).flatMap((namespace) => {
    const workloads = workloadsOf(inventory.source, namespace).filter((it) => it.replicas > 0);
    if (workloads.length === 0) return [];
    return [
      step<ScaleArgs>(
        `complete/stop/${namespace}`,
        'scale',
        { side: 'source', to: 'zero', workloads },
        retired.map((it) => it.id),
      ),
    ];
  });
  return [...drained, ...retired, ...stopped];
}

/** The playbook's services, each in the words of its router, in the playbook's order. */
export function routesOf(playbook: Playbook, inventory: Inventory, routers: Routers): Route[] {
  const entries = playbook.traffic?.services ?? [];
  const names = [...new Set(entries.map((it) => it.router))];
  const routes = names.flatMap((name) =>
    routerOf({ router: name }, routers).routes(
      entries.filter((it) => it.router === name),
      playbook,
      inventory,
    ),
  );
  const place = (route: Route) => entries.findIndex((it) => it.service === route.service && it.router === route.router);
  return routes.toSorted((a, b) => place(a) - place(b));
}

export function routerOf({ router }: { router: RouterName }, routers: Routers): AnyRouter {
  const found = routers.get(router);
  if (found) return found;
  throw new MigrateError('PLAN_INVALID', {
    what: `The plan has a router "${router}".`,
    why: `This version knows: ${[...routers.keys()].join(', ')}.`,
    fix: 'Use the version that made the plan, or make a new plan.',
  });
}

export function unreachable(
  { service }: Route,
  { asked, tolerance }: Ask,
  { below, above, why, fix }: Unreachable,
): MigrateError {
  const near = [...new Set([below, above])].filter((it) => it !== undefined).map((it) => `${points(it)} %`);
  return new MigrateError('SHARE_UNREACHABLE', {
    what: `${asked} % of ${service} can't be reached within ${tolerance} points.`,
    why: `${why}; nearest: ${near.join(' and ') || 'none'}.`,
    fix,
  });
}
