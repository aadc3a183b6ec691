import type { ClbRoute } from '../clb.js';
import { MigrateError } from '../errors.js';
import type { Journal } from '../journal.js';
import { instanceOf, lbAnnotation, ownerOf, readyEndpoints, splitPath } from '../objects.js';
import type { Plan } from '../plan.js';
import type { Playbook } from '../playbook.js';
import type { World } from '../ports.js';
import type { Route } from '../router.js';
import { slicesOf } from '../routers/services.js';
import type { EntryOf } from '../routes.js';
import { routesOf } from './ending.js';

/**
 * The routes of a playbook while nobody can ask the source: as the plan or the journal knows them, else as target and load balancer show
 * them. Their source members are weighed past the source's controller.
 *
 * @throws MigrateError SOURCE_NEEDED
 */
export async function routesPastSource(
  playbook: Playbook,
  { journal, plan }: { journal: Journal; plan: Plan | undefined },
  world: World,
): Promise<Route[]> {
  const known = new Map(routesIn(plan).map((it) => [it.service, it]));
  for (const it of routesOf(journal)) known.set(it.service, it);
  const routes = new Map<string, Route>();
  for (const entry of playbook.traffic?.services ?? []) {
    if (routes.has(entry.service)) continue;
    if (entry.router !== 'clb' && entry.router !== 'nlb')
      throw needed(
        entry.service,
        `the router ${entry.router} works through the source`,
        'Move its traffic where it comes in, e.g. at the DNS name, by hand.',
      );
    const route = known.get(entry.service) ?? (await seenFromTarget(entry, playbook, world));
    routes.set(entry.service, { ...route, sourceDown: true });
  }
  return [...routes.values()];
}

const routesIn = (plan: Plan | undefined): Route[] =>
  (plan?.steps ?? []).flatMap((it) => (it.args as { route?: Route }).route ?? []);

const needed = (service: string, why: string, fix: string) =>
  new MigrateError('SOURCE_NEEDED', {
    what: `${service} can't be moved without its source: ${why}.`,
    why: NOBODY,
    fix,
  });

const NOBODY = 'With --source-down nobody in the source is asked or told anything.';

/** A route that no plan or journal tells of. */
async function seenFromTarget(
  entry: EntryOf<'clb'> | EntryOf<'nlb'>,
  playbook: Playbook,
  world: World,
): Promise<ClbRoute> {
  const service = await world.target.get({ kind: 'Service', ...splitPath(entry.service) });
  const loadBalancer = entry.loadBalancer ?? (service && lbAnnotation(service, 'id'));
  if (loadBalancer === undefined || entry.group === '')
    throw needed(
      entry.service,
      'its load balancer and group are not known',
      'Name `loadBalancer` and `group` in the playbook.',
    );
  const ports = (playbook.traffic?.services ?? []).flatMap((it) =>
    it.service === entry.service && 'group' in it ? [{ group: it.group, port: it.port }] : [],
  );
  const route: ClbRoute = {
    router: entry.router,
    service: entry.service,
    loadBalancer,
    ports,
    sourceOwner: '',
    weighBy: 'service',
  };
  return { ...route, sourceOwner: playbook.source.clusterId ?? (await otherOwner(route, world)) };
}

/** The cluster id of those members that are not the target's nodes or pods. */
async function otherOwner(route: ClbRoute, world: World): Promise<string> {
  const { namespace, name } = splitPath(route.service);
  const [nodes, slices, members] = await Promise.all([
    world.target.list('Node'),
    slicesOf(world.target, route),
    world.cloud.backends(route.ports[0]?.group ?? ''),
  ]);
  const own = new Set([...nodes.map(instanceOf), ...readyEndpoints(slices).addresses]);
  const others = new Set<string>();
  for (const { server, ip, description } of members) {
    const owner = ownerOf(description);
    if (owner?.namespace !== namespace || owner.service !== name) continue;
    if (!own.has(server) && !(ip !== undefined && own.has(ip))) others.add(owner.clusterId);
  }
  const [found, ...more] = others;
  if (found !== undefined && more.length === 0) return found;
  throw needed(
    route.service,
    found === undefined
      ? 'its group shows no member of another cluster'
      : `its group shows members of ${others.size} other clusters`,
    'Say in the playbook which is the source: `source: { clusterId: … }`.',
  );
}

/** Said as long as the last shift was made past the source. */
export const SOURCE_OWES =
  'when the source answers again, before its controller does: migrate shift --to 100 (its Services still ask for their old weights)';

export const BOTH_STAY = 'both sides stay as they are; migrate shift --to N moves the share again';

export const isPastSource = (journal: Journal): boolean => {
  const last = journal.records().findLast((it) => it.step.kind === 'shift');
  return (last?.step.args as { route?: Route } | undefined)?.route?.sourceDown === true;
};
