import type { HandOverArgs } from '../args.js';
import type { ClbRoute } from '../clb.js';
import { MigrateError } from '../errors.js';
import { isMadeByController, MADE_BY_CONTROLLER, nameOfGroup, obstacles, OTHER_WAYS } from '../hand-over.js';
import { lbAnnotation, lbKey, ownerOf, splitPath } from '../objects.js';
import type { Cluster, KubeObject, Listener, ServerGroup } from '../ports.js';
import { SERVICE_RIGHTS } from '../routers/services.js';
import type { StepContext, StepKind } from '../step.js';
import { count, spell } from '../words.js';
import { gone, hashOf, isOurs, KEYS, look, outOfStep, WEIGHTED, type Standing } from './hand-over-look.js';

/**
 * The source's controller gives up the network load balancer that it made; address, listener and members stay untouched, for only names
 * and marks change. First the Service names load balancer and groups as a person's: the controller refuses that loudly and does nothing
 * any more. Then the groups get names that sign for nobody, the controller's marks come off them and off the load balancer, and an edit of
 * the Service makes it look again: from then on it owns nothing there but its own members.
 *
 * The order matters: a group that is renamed while the controller still works gets a twin, to which the listener may be pointed while it
 * is empty. Between the first and the last of these the members are followed by nobody.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/nlbv2/{model_applier,server_groups}.go (v2.14.0), and runs of its
 *   reconciler
 */
export const nlbHandOver: StepKind<HandOverArgs, NlbHandOverBefore> = {
  kind: 'nlb-hand-over',
  title: ({ route }) => `${route.loadBalancer} of ${route.service}: its controller gives it up, the address stays`,
  wayBack: ({ route }) => `the source's controller owns ${route.loadBalancer} again`,
  rights: () => ({ source: [...SERVICE_RIGHTS, { verb: 'list', group: '', resource: 'nodes' }] }),

  async check({ route }, { world }) {
    const standing = await look(route, world);
    const { service, balancer } = standing;
    const against = obstacles(route.service, service, balancer);
    if (!isMadeByController(balancer) && lbAnnotation(service, 'id') !== route.loadBalancer)
      against.push('it has no mark of a controller, and the Service does not name it');
    if (against.length > 0)
      throw new MigrateError('HANDOVER_UNSAFE', {
        what: `Load balancer ${route.loadBalancer} of ${route.service} can't be handed over: ${against.join('; ')}.`,
        why: 'Taking its marks off would leave somebody without an owner, or the controller would not let go.',
        fix: OTHER_WAYS,
      });
    return foundOn(route, standing);
  },

  async apply({ route }, before, context) {
    await turnUntil(
      context,
      'HANDOVER_NOT_TAKEN',
      'run again; `migrate rollback` gives it back.',
      route,
      () => look(route, context.world),
      (standing) => missing(before, standing, route),
      (standing, nudge) => take(route, before, standing, nudge, context),
    );
    await clearNudge(context.world.source, route);
    await wake(route, context);
  },

  async verify({ route }, before, { world }) {
    const [open] = missing(before, await look(route, world), route);
    if (open !== undefined)
      throw new MigrateError('HANDOVER_NOT_TAKEN', {
        what: `Load balancer ${route.loadBalancer} of ${route.service}: ${open}.`,
        why: 'Something else writes the Service, the tags or the groups too.',
        fix: 'Find it (GitOps, console, a second controller), stop it, then run again.',
      });
  },

  async undo({ route }, before, context) {
    const { world } = context;
    mustBeAlone(route, before, await look(route, world));
    await turnUntil(
      context,
      'HANDOVER_NOT_UNDONE',
      'go back again; the address serves meanwhile.',
      route,
      () => look(route, world),
      (standing) => owed(before, standing, route),
      (standing, nudge) => give(route, before, standing, nudge, context),
    );
    await clearNudge(world.source, route);
    return [];
  },
};

export interface NlbHandOverBefore {
  /** the controller's marks on the load balancer, as they were */
  tags: Record<string, string>;
  /** of the Service, under the keys that we write */
  annotations: Record<string, string>;
  /** the controller's digest of the Service */
  hash?: string;
  groups: GroupBefore[];
}

interface GroupBefore {
  port: number;
  id: string;
  name: string;
  /** the controller's marks on it */
  tags: Record<string, string>;
  scheduler: string;
}

/** On the Service while we are at it: any edit of annotations makes the controller look again. */
const NUDGE = 'migrate/hand-over';
const DEADLINE_MS = 180_000;
/** The controller acts within a second; one that has failed before waits longer, unless it is nudged. */
const PATIENCE_MS = 5_000;

const marksOf = (tags: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(MADE_BY_CONTROLLER.flatMap((it) => (it in tags ? [[it, tags[it] ?? '']] : [])));

function foundOn(route: ClbRoute, { service, balancer }: Standing): NlbHandOverBefore {
  const annotations = service.metadata.annotations ?? {};
  const hash = hashOf(service);
  return {
    tags: marksOf(balancer.tags),
    annotations: Object.fromEntries(
      KEYS.flatMap((key) => (annotations[key] === undefined ? [] : [[key, annotations[key]]])),
    ),
    ...(hash !== undefined && { hash }),
    groups: route.ports.map(({ port }) => {
      const id = balancer.listeners.find((it) => it.port === port)?.group;
      const group = balancer.groups.find((it) => it.id === id);
      if (!group) throw new Error(`no group behind port ${port} of ${route.service}`);
      return {
        port,
        id: group.id,
        name: group.name,
        tags: marksOf(group.tags ?? {}),
        scheduler: group.scheduler ?? 'wrr',
      };
    }),
  };
}

/** Groups by what they were; one that is gone is missing here, and told of by `missing`. */
const groupOf = ({ id }: GroupBefore, { balancer }: Standing): ServerGroup | undefined =>
  balancer.groups.find((it) => it.id === id);

/** A weight that was never in force must not come into force by this. */
function said(route: ClbRoute, { annotations, groups }: NlbHandOverBefore): Record<string, string> {
  const stray = annotations[lbKey('weight')];
  return {
    [lbKey('id')]: route.loadBalancer,
    [lbKey('vgroup-port')]: groups.map((it) => `${it.id}:${it.port}`).join(','),
    ...(stray !== undefined && annotations[lbKey('id')] !== route.loadBalancer && { [lbKey('weight')]: '' }),
    ...(annotations[lbKey('force-override-listeners')] === 'true' && { [lbKey('force-override-listeners')]: 'false' }),
  };
}

const pendingIn = ({ balancer }: Standing): string[] =>
  balancer.groups.flatMap((it) => (it.pending === undefined ? [] : [`${it.id} is ${it.pending}`]));

const says = (service: KubeObject, wanted: Readonly<Record<string, string | undefined>>): boolean =>
  Object.entries(wanted).every(([key, value]) => service.metadata.annotations?.[key] === value);

/** What is still missing until the controller owns nothing but its own members, in words; in the order in which it is done. */
function missing(before: NlbHandOverBefore, standing: Standing, route: ClbRoute): string[] {
  const { service, balancer } = standing;
  const found = pendingIn(standing);
  if (!says(service, said(route, before))) found.push('the Service does not name it as a person’s yet');
  for (const was of before.groups) {
    const group = groupOf(was, standing);
    const listener = balancer.listeners.find((it) => it.port === was.port);
    if (listener?.group !== was.id)
      found.push(`listener ${was.port} forwards to ${listener?.group ?? 'nothing'}, not ${was.id}`);
    if (!group) continue;
    if (ownerOf(group.name)) found.push(`${group.id} is still called ${group.name}`);
    const marks = Object.keys(marksOf(group.tags ?? {}));
    if (marks.length > 0) found.push(`${group.id} is still tagged ${marks.join(', ')}`);
    if (!WEIGHTED.includes(group.scheduler ?? '')) found.push(`${group.id} has scheduler ${group.scheduler}`);
  }
  const marks = Object.keys(marksOf(balancer.tags));
  if (marks.length > 0) found.push(`it is still tagged ${marks.join(', ')}`);
  if (hashOf(service) === before.hash) found.push('the controller has not looked at the Service yet');
  for (const was of before.groups) {
    const group = groupOf(was, standing);
    const late = group && outOfStep(group, route, standing);
    if (late !== undefined) found.push(late);
  }
  return found;
}

type Nudge = () => Promise<void>;

async function eachPort(
  before: NlbHandOverBefore,
  standing: Standing,
  run: (was: GroupBefore, group: ServerGroup, listener: Listener) => Promise<void>,
): Promise<void> {
  const all = before.groups.map(async (was) => {
    const group = groupOf(was, standing);
    const listener = standing.balancer.listeners.find((it) => it.port === was.port);
    if (group && listener) await run(was, group, listener);
  });
  const failed = (await Promise.allSettled(all)).find((it) => it.status === 'rejected');
  if (failed) throw failed.reason;
}

/** While the controller follows nobody, pods that went are taken out by us, as long as somebody is left. */
async function dropGone(
  route: ClbRoute,
  group: ServerGroup,
  standing: Standing,
  { world, emit }: StepContext,
): Promise<void> {
  const left = gone(group.backends, route, standing).filter((it) => it.pending === undefined);
  if (left.length === 0 || left.length === group.backends.length) return;
  emit({
    type: 'warning',
    what: `${count(left.length, 'pod')} of ${route.service} went while the load balancer changes hands: taken out of ${group.id}.`,
  });
  await world.cloud.removeBackends(group.id, left);
}

async function take(
  route: ClbRoute,
  before: NlbHandOverBefore,
  standing: Standing,
  nudge: Nudge,
  context: StepContext,
): Promise<void> {
  const { world } = context;
  const { clb } = world.cloud;
  const { service, balancer } = standing;
  const wanted = said(route, before);
  if (!says(service, wanted)) await annotate(world.source, route, wanted);
  // Each is a job of a second or so, and nobody follows the members meanwhile: all ports at once.
  await eachPort(before, standing, async (was, group, listener) => {
    if (ownerOf(group.name)) await clb.renameGroup(group.id, nameOfGroup(route.service, was.port));
    const marks = Object.keys(marksOf(group.tags ?? {}));
    if (marks.length > 0) await clb.untag(group.id, marks);
    await dropGone(route, group, standing, context);
    if (listener.group !== group.id || !WEIGHTED.includes(group.scheduler ?? ''))
      await clb.setListener(route.loadBalancer, listener, { group: group.id, scheduler: 'wrr' });
  });
  const marks = Object.keys(marksOf(balancer.tags));
  if (marks.length > 0) await clb.untag(route.loadBalancer, marks);
  // It refused while the marks were on, and waits longer from time to time; an edit makes it look at once.
  await nudge();
}

/** What is still missing until all is as it was, in words. */
function owed(before: NlbHandOverBefore, standing: Standing, route: ClbRoute): string[] {
  const { service, balancer } = standing;
  const found = pendingIn(standing);
  for (const was of before.groups) {
    const group = groupOf(was, standing);
    if (!group) continue;
    if (group.name !== was.name) found.push(`${group.id} is not called ${was.name}`);
    if (!carries(group.tags, was.tags)) found.push(`${group.id} lacks the marks ${Object.keys(was.tags).join(', ')}`);
    if (group.scheduler !== was.scheduler) found.push(`${group.id} has scheduler ${group.scheduler}`);
    const late = outOfStep(group, route, standing);
    if (late !== undefined) found.push(late);
  }
  if (!carries(balancer.tags, before.tags)) found.push(`it lacks the marks ${Object.keys(before.tags).join(', ')}`);
  if (!says(service, asBefore(before))) found.push('the Service does not say what it said before');
  if (
    service.metadata.annotations?.[NUDGE] === undefined &&
    before.hash !== undefined &&
    hashOf(service) !== before.hash
  )
    found.push('the controller has not looked at the Service yet');
  return found;
}

const carries = (tags: Readonly<Record<string, string>> | undefined, wanted: Readonly<Record<string, string>>) =>
  Object.entries(wanted).every(([key, value]) => tags?.[key] === value);

const asBefore = ({ annotations }: NlbHandOverBefore): Record<string, string | undefined> =>
  Object.fromEntries(KEYS.map((key) => [key, annotations[key]]));

/** The annotations last: as long as they stand the controller refuses all of it and does nothing. */
async function give(
  route: ClbRoute,
  before: NlbHandOverBefore,
  standing: Standing,
  nudge: Nudge,
  context: StepContext,
): Promise<void> {
  const { world } = context;
  const { clb } = world.cloud;
  await eachPort(before, standing, async (was, group, listener) => {
    if (group.name !== was.name) await clb.renameGroup(group.id, was.name);
    if (!carries(group.tags, was.tags)) await clb.tag(group.id, was.tags);
    await dropGone(route, group, standing, context);
    if (group.scheduler !== was.scheduler)
      await clb.setListener(route.loadBalancer, listener, { group: group.id, scheduler: was.scheduler });
  });
  if (!carries(standing.balancer.tags, before.tags)) await clb.tag(route.loadBalancer, before.tags);
  const wanted = asBefore(before);
  if (!says(standing.service, wanted)) {
    await annotate(world.source, route, Object.fromEntries(KEYS.map((key) => [key, wanted[key] ?? null])));
    return;
  }
  await nudge();
}

/**
 * Under its old name the group is refused to whoever else is in it, and their members would stay for good.
 * @throws MigrateError HANDOVER_STILL_SHARED
 */
function mustBeAlone(route: ClbRoute, before: NlbHandOverBefore, standing: Standing): void {
  for (const was of before.groups) {
    const group = groupOf(was, standing);
    const others = (group?.backends ?? []).filter((it) => ownerOf(it.description) && !isOurs(it.description, route));
    if (!group || others.length === 0) continue;
    throw new MigrateError('HANDOVER_STILL_SHARED', {
      what: `${count(others.length, 'member')} of others in ${group.id} are still behind ${route.loadBalancer}:${was.port}.`,
      why: "Given back, the group belongs to the source's controller alone, and no other may take its members out.",
      fix: 'Let the target leave first: roll back whole, `migrate rollback`.',
    });
  }
}

async function annotate(cluster: Cluster, route: ClbRoute, annotations: Record<string, string | null>): Promise<void> {
  await cluster.patch({ kind: 'Service', ...splitPath(route.service) }, { metadata: { annotations } });
}

async function clearNudge(cluster: Cluster, route: ClbRoute): Promise<void> {
  const service = await cluster.get({ kind: 'Service', ...splitPath(route.service) });
  if (service?.metadata.annotations?.[NUDGE] !== undefined) await annotate(cluster, route, { [NUDGE]: null });
}

/** A Service that a restore has brought was refused the group until now; an edit spares it the controller's growing pause. */
async function wake(route: ClbRoute, { world }: StepContext): Promise<void> {
  try {
    const service = await world.target.get({ kind: 'Service', ...splitPath(route.service) });
    if (!service || lbAnnotation(service, 'id') !== route.loadBalancer) return;
    await annotate(world.target, route, { [NUDGE]: '1' });
    await annotate(world.target, route, { [NUDGE]: null });
  } catch (error) {
    // The target has its own time: joining waits for it, and says so.
    if (!(error instanceof MigrateError)) throw error;
  }
}

/** Looks, does what is next, and looks again; it can begin anywhere, after a kill too. */
async function turnUntil(
  { world, progress }: StepContext,
  code: string,
  next: string,
  route: ClbRoute,
  lookNow: () => Promise<Standing>,
  open: (standing: Standing) => string[],
  turn: (standing: Standing, nudge: Nudge) => Promise<void>,
): Promise<void> {
  const { clock } = world;
  const deadline = clock.now() + DEADLINE_MS;
  let nudgedAt = -Infinity;
  let nudges = 0;
  const nudge: Nudge = async () => {
    if (clock.now() - nudgedAt < PATIENCE_MS) return;
    nudgedAt = clock.now();
    await annotate(world.source, route, { [NUDGE]: String(++nudges) });
  };
  for (let pause = 100; ; pause = Math.min(pause * 1.5, 2000)) {
    const standing = await lookNow();
    const [first] = open(standing);
    if (first === undefined) return;
    if (clock.now() >= deadline)
      throw new MigrateError(code, {
        what: `Load balancer ${route.loadBalancer} of ${route.service}: ${first}, after ${spell(DEADLINE_MS)}.`,
        why: "The source's controller does not run or refuses, or something else writes the Service, the tags or the groups.",
        fix: `Look at the Service's events on the source, then ${next}`,
      });
    progress(first);
    // A job that is still under way, perhaps of a run that was killed: what is shown is not the last of it.
    if (standing.balancer.groups.every((it) => it.pending === undefined)) await turn(standing, nudge);
    await clock.sleep(pause);
  }
}
