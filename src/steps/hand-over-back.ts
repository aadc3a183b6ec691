import type { ClbRoute } from '../clb.js';
import { MigrateError } from '../errors.js';
import { TAG_REUSED } from '../hand-over.js';
import { splitPath } from '../objects.js';
import type { Debt, StepContext } from '../step.js';
import { count, spell } from '../words.js';
import {
  hashOf,
  isOurs,
  KEYS,
  listenerOn,
  look,
  ourGroup,
  outOfStep,
  signedGroups,
  type HandOverBefore,
  type ListenerBefore,
  type Standing,
} from './hand-over-look.js';
import { DEADLINE_MS, NUDGE, PATIENCE_MS } from './hand-over-take.js';

/**
 * The way back: the marks first, for with them on the controller does nothing that it could not take back; then the group's own name, if it
 * was renamed, and the annotations as they were. The controller finds its group, or makes a new one and points the listener at it. There is
 * no moment without members.
 */

/** @throws MigrateError HANDOVER_NOT_UNDONE, HANDOVER_STILL_SHARED */
export async function giveBack(route: ClbRoute, before: HandOverBefore, context: StepContext): Promise<Debt[]> {
  const { world } = context;
  const { clock } = world;
  const deadline = clock.now() + DEADLINE_MS;
  const first = await look(route, world);
  mustBeAlone(route, first);
  const going: Going = { hash: hashOf(first.service), actedAt: clock.now(), nudges: 0 };
  for (let pause = 100, standing = first; ; pause = Math.min(pause * 1.5, 2000)) {
    const [open] = owed(route, before, standing, going);
    if (open === undefined) return [];
    if (clock.now() >= deadline)
      throw new MigrateError('HANDOVER_NOT_UNDONE', {
        what: `Load balancer ${route.loadBalancer} of ${route.service}: ${open}, after ${spell(DEADLINE_MS)}.`,
        why: "The source's controller does not run or refuses, or something else writes the Service, the tags or the listener.",
        fix: "Look at the Service's events on the source, then go back again; the address serves meanwhile.",
      });
    context.progress(open);
    await turn(route, before, standing, going, context);
    await clock.sleep(pause);
    standing = await look(route, world);
  }
}

interface Going {
  /** of the Service, when we began to go back */
  hash: string | undefined;
  actedAt: number;
  nudges: number;
}

/** A group with somebody else's live members can't become the controller's own again. */
function mustBeAlone(route: ClbRoute, standing: Standing): void {
  for (const { port } of route.ports) {
    const group = ourGroup(route, port, standing);
    const others = (group?.backends ?? []).filter(
      (it) => !isOurs(it.description, route) && it.description.startsWith('k8s/') && it.weight > 0,
    );
    if (!group || others.length === 0) continue;
    throw new MigrateError('HANDOVER_STILL_SHARED', {
      what: `${count(others.length, 'member')} of others in ${group.id} still serve behind ${route.loadBalancer}:${port}.`,
      why: "Given back, the load balancer belongs to the source's controller alone.",
      fix: 'Move the share back first: `migrate shift --to 0`, or roll back whole.',
    });
  }
}

const saysAsBefore = ({ annotations }: HandOverBefore, { service }: Standing): boolean =>
  KEYS.every((key) => service.metadata.annotations?.[key] === annotations[key]);

const isMarked = ({ tags }: HandOverBefore, { balancer }: Standing): boolean =>
  Object.entries(tags).every(([key, value]) => balancer.tags[key] === value);

/** Groups of the controller's own making that bear our name, unless it has made others of their name meanwhile. */
const renamed = (route: ClbRoute, { listeners }: HandOverBefore, standing: Standing): ListenerBefore[] =>
  listeners.filter(
    ({ port, group, name }) =>
      name !== '' &&
      ourGroup(route, port, standing)?.id === group &&
      !signedGroups(route, standing).some((it) => it.name === name),
  );

const mayNudge = ({ service }: Standing) => service.metadata.annotations?.[NUDGE] === undefined;

/** What is still missing until all is as it was, in words. */
function owed(route: ClbRoute, before: HandOverBefore, standing: Standing, going: Going): string[] {
  const { service, balancer } = standing;
  const found: string[] = [];
  if (!isMarked(before, standing)) found.push(`it lacks the marks ${Object.keys(before.tags).join(', ')}`);
  if (!saysAsBefore(before, standing)) found.push('the Service does not say what it said before');
  const now = hashOf(service);
  if (before.hash !== undefined && now !== before.hash && (now === going.hash || !mayNudge(standing)))
    found.push('the controller has not looked at the Service yet');
  for (const was of before.listeners) {
    const listener = listenerOn(was.port, standing);
    const group = balancer.groups.find((it) => it.id === listener?.group);
    if (!listener || !group) continue;
    if (!isOurs(group.name, route)) found.push(`listener ${was.port} still forwards to ${group.id} (${group.name})`);
    else {
      const late = outOfStep(group, route, standing);
      if (late !== undefined) found.push(late);
      if (listener.scheduler !== was.scheduler) found.push(`listener ${was.port} has scheduler ${listener.scheduler}`);
    }
    const left = ourGroup(route, was.port, standing);
    if (left) found.push(`${left.id} (${left.name}) is still there`);
  }
  if (!before.reused && TAG_REUSED in balancer.tags) found.push(`it is still tagged ${TAG_REUSED}`);
  if (!mayNudge(standing)) found.push(`the Service still has ${NUDGE}`);
  return found;
}

async function turn(
  route: ClbRoute,
  before: HandOverBefore,
  standing: Standing,
  going: Going,
  context: StepContext,
): Promise<void> {
  const { clock, cloud } = context.world;
  if (!isMarked(before, standing) || !saysAsBefore(before, standing) || renamed(route, before, standing).length > 0) {
    await burst(route, before, standing, context);
    going.actedAt = clock.now();
    return;
  }
  for (const was of before.listeners) {
    const listener = listenerOn(was.port, standing);
    const group = standing.balancer.groups.find((it) => it.id === listener?.group);
    if (!listener || !group || !isOurs(group.name, route)) continue;
    if (listener.scheduler !== was.scheduler)
      await cloud.clb.setListener(route.loadBalancer, listener, { group: group.id, scheduler: was.scheduler });
    const left = ourGroup(route, was.port, standing);
    if (left && left.id !== group.id) await cloud.clb.deleteGroup(left.id);
  }
  if (!before.reused && TAG_REUSED in standing.balancer.tags) await cloud.clb.untag(route.loadBalancer, [TAG_REUSED]);
  if (!mayNudge(standing)) await nudge(route, null, context);
  else if (clock.now() - going.actedAt >= PATIENCE_MS && going.nudges < 3) {
    await nudge(route, String(++going.nudges), context);
    going.actedAt = clock.now();
  }
}

async function burst(
  route: ClbRoute,
  before: HandOverBefore,
  standing: Standing,
  { world }: StepContext,
): Promise<void> {
  const { clb } = world.cloud;
  if (!isMarked(before, standing)) await clb.tag(route.loadBalancer, before.tags);
  for (const { group, name } of renamed(route, before, standing)) await clb.renameGroup(group, name);
  await world.source.patch(
    { kind: 'Service', ...splitPath(route.service) },
    {
      metadata: {
        annotations: {
          ...Object.fromEntries(KEYS.map((key) => [key, before.annotations[key] ?? null])),
          [NUDGE]: null,
        },
      },
    },
  );
}

const nudge = (route: ClbRoute, value: string | null, { world }: StepContext): Promise<unknown> =>
  world.source.patch(
    { kind: 'Service', ...splitPath(route.service) },
    { metadata: { annotations: { [NUDGE]: value } } },
  );
