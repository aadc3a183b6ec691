import type { ClbRoute } from '../clb.js';
import { isMigrateError, MigrateError } from '../errors.js';
import { nameOfGroup } from '../hand-over.js';
import { splitPath } from '../objects.js';
import type { ServerGroup } from '../ports.js';
import type { StepContext } from '../step.js';
import { count, spell } from '../words.js';
import {
  gone,
  hasLooked,
  isOurs,
  listenerOn,
  look,
  marksOn,
  missing,
  ourGroup,
  outOfStep,
  signedGroups,
  takenAnnotations,
  WEIGHTED,
  type HandOverBefore,
  type Standing,
} from './hand-over-look.js';

/** The way there. Each turn looks at where things stand and does what is next; so it can begin anywhere, after a kill too. */

/** On the Service while we are at it: any edit of annotations makes the controller look again. */
export const NUDGE = 'migrate/hand-over';
export const DEADLINE_MS = 180_000;
/** The controller acts within a second; one that has failed before waits longer, unless it is nudged. */
export const PATIENCE_MS = 5_000;

interface Going {
  /** the clock when the controller stopped bringing the listener's group in step; undefined while it does */
  staleSince?: number;
  staleMs: number;
  nudges: number;
  actedAt: number;
  /** the load balancer refused to rename a group that a listener uses */
  copies: boolean;
}

/** @throws MigrateError HANDOVER_NOT_TAKEN */
export async function takeOver(route: ClbRoute, before: HandOverBefore, context: StepContext): Promise<void> {
  const { clock } = context.world;
  const deadline = clock.now() + DEADLINE_MS;
  const going: Going = { staleMs: 0, nudges: 0, actedAt: clock.now(), copies: false };
  for (let pause = 100; ; pause = Math.min(pause * 1.5, 2000)) {
    const standing = await look(route, context.world);
    const [open] = missing(route, before, standing);
    if (open === undefined) break;
    if (clock.now() >= deadline)
      throw new MigrateError('HANDOVER_NOT_TAKEN', {
        what: `Load balancer ${route.loadBalancer} of ${route.service}: ${open}, after ${spell(DEADLINE_MS)}.`,
        why: "The source's controller does not run or refuses, or something else writes the Service, the tags or the listener.",
        fix: "Look at the Service's events on the source, then run again; `migrate rollback` gives it back.",
      });
    context.progress(open);
    await turn(route, before, standing, going, context);
    await clock.sleep(pause);
  }
  await clearNudge(route, context);
  tellStale(route, going, context);
}

async function turn(
  route: ClbRoute,
  before: HandOverBefore,
  standing: Standing,
  going: Going,
  context: StepContext,
): Promise<void> {
  const { clock, cloud } = context.world;
  const groups = route.ports.flatMap(({ port }) => ourGroup(route, port, standing) ?? []);
  if (groups.length < route.ports.length || marksOn(standing).length > 0 || !isSaid(route, standing, groups)) {
    await burst(route, standing, going, context);
    return;
  }
  const looked = hasLooked(before, standing);
  let waits = !looked;
  for (const [at, { port }] of route.ports.entries()) {
    const listener = listenerOn(port, standing);
    const group = groups[at];
    if (!listener || !group) continue;
    const elsewhere = listener.group !== group.id;
    const late = outOfStep(group, route, standing);
    if (elsewhere && (!looked || late !== undefined)) {
      await dropGone(listener.group, route, standing, context);
      waits = true;
    } else if (elsewhere || !WEIGHTED.includes(listener.scheduler)) {
      await cloud.clb.setListener(route.loadBalancer, listener, { group: group.id, scheduler: 'wrr' });
      going.actedAt = clock.now();
    } else if (late !== undefined) waits = true;
  }
  if (!waits && going.staleSince !== undefined) {
    going.staleMs += clock.now() - going.staleSince;
    delete going.staleSince;
  }
  await tidy(route, standing, going, context);
}

/** Name, marks and annotations within milliseconds: an event of the cluster that falls in between costs a second look, no request. */
async function burst(route: ClbRoute, standing: Standing, going: Going, context: StepContext): Promise<void> {
  const { world } = context;
  const { clb } = world.cloud;
  const marks = marksOn(standing);
  const groups: ServerGroup[] = [];
  let moved = false;
  for (const { port } of route.ports) {
    const group = ourGroup(route, port, standing) ?? (await makeOurs(route, port, standing, going, context));
    if (!group) return;
    groups.push(group);
    if (listenerOn(port, standing)?.group !== group.id) moved = true;
  }
  if (marks.length > 0) await clb.untag(route.loadBalancer, marks);
  await annotate(route, takenAnnotations(route, standing, groups), going, context);
  // From now on the controller keeps our groups in step, and no other.
  if (moved) going.staleSince ??= world.clock.now();
}

/**
 * The listener's group under a name of ours, or where the load balancer does not let one in use be renamed, a copy of it.
 * @returns undefined when a member that was copied has gone meanwhile: the next turn finds the group, and the controller fills it
 */
async function makeOurs(
  route: ClbRoute,
  port: number,
  standing: Standing,
  going: Going,
  { world, progress }: StepContext,
): Promise<ServerGroup | undefined> {
  const name = nameOfGroup(route.service, port);
  const { clb } = world.cloud;
  const own =
    standing.balancer.groups.find((it) => it.id === listenerOn(port, standing)?.group) ??
    standing.balancer.groups.find((it) => isOurs(it.name, route));
  if (!own) throw new Error(`no group behind port ${port} of ${route.service}`);
  if (!going.copies) {
    try {
      await clb.renameGroup(own.id, name);
      return { ...own, name };
    } catch (error) {
      if (!isMigrateError(error, 'CLOUD_REFUSED') && !isMigrateError(error, 'CLOUD_FORBIDDEN')) throw error;
      going.copies = true;
      progress(`${own.id} can't be renamed while it is in use: a copy takes its place`);
    }
  }
  try {
    const left = gone(own.backends, route, standing);
    const backends = own.backends.filter((it) => !left.includes(it));
    return { id: await clb.createGroup(route.loadBalancer, name, backends), name, backends };
  } catch (error) {
    if (!isMigrateError(error, 'CLOUD_REFUSED')) throw error;
    progress(`${own.id} changes while it is copied`);
    return undefined;
  }
}

const isSaid = (route: ClbRoute, standing: Standing, groups: readonly ServerGroup[]): boolean =>
  Object.entries(takenAnnotations(route, standing, groups)).every(
    ([key, value]) => standing.service.metadata.annotations?.[key] === value,
  );

/** With a nudge from the second time on: the annotations may be the same, and the controller must look all the same. */
async function annotate(
  route: ClbRoute,
  annotations: Record<string, string>,
  going: Going,
  { world }: StepContext,
): Promise<void> {
  const nudge = going.nudges++ === 0 ? {} : { [NUDGE]: String(going.nudges) };
  await world.source.patch(
    { kind: 'Service', ...splitPath(route.service) },
    { metadata: { annotations: { ...annotations, ...nudge } } },
  );
  going.actedAt = world.clock.now();
}

/**
 * Until the listener is moved nobody takes pods that are gone out of its group: we do, as long as somebody is left in it.
 */
async function dropGone(
  id: string | undefined,
  route: ClbRoute,
  standing: Standing,
  { world, emit }: StepContext,
): Promise<void> {
  const group = standing.balancer.groups.find((it) => it.id === id);
  const left = group ? gone(group.backends, route, standing) : [];
  if (!group || left.length === 0 || left.length === group.backends.length) return;
  emit({
    type: 'warning',
    what: `${count(left.length, 'pod')} of ${route.service} went while the load balancer changes hands: taken out of ${group.id}.`,
  });
  await world.cloud.removeBackends(group.id, left);
}

/** Groups that the controller left behind go with its next look; one that it forgets goes by us. */
async function tidy(route: ClbRoute, standing: Standing, going: Going, context: StepContext): Promise<void> {
  const { clock, cloud } = context.world;
  const used = standing.balancer.listeners.map((it) => it.group);
  const left = signedGroups(route, standing).filter((it) => !used.includes(it.id));
  const waited = clock.now() - going.actedAt >= PATIENCE_MS;
  if (!waited) return;
  if (left.length > 0 && going.nudges > 2) for (const it of left) await cloud.clb.deleteGroup(it.id);
  else await annotate(route, {}, going, context);
}

async function clearNudge(route: ClbRoute, { world }: StepContext): Promise<void> {
  const ref = { kind: 'Service', ...splitPath(route.service) };
  const service = await world.source.get(ref);
  if (service?.metadata.annotations?.[NUDGE] !== undefined)
    await world.source.patch(ref, { metadata: { annotations: { [NUDGE]: null } } });
}

/** How long the group that served was followed by nobody; said outright, for pods that came or went in it were served by chance. */
function tellStale(route: ClbRoute, { staleMs }: Going, { emit, step }: StepContext): void {
  const ports = count(route.ports.length, 'port');
  emit({
    type: 'gate',
    step: step.id,
    gate: 'stale',
    state: 'pass',
    why:
      staleMs === 0
        ? `${ports} of ${route.service}: the group was kept, no moment without its controller`
        : `${ports} of ${route.service}: ${spell(staleMs)} in which the controller did not follow the group that served`,
  });
}
