import { clbRoutes, type ClbRoute, type ClbSetting } from '../clb.js';
import type { World } from '../ports.js';
import type { Router } from '../router.js';
import { resolved } from './clb-group.js';
import { clb } from './clb.js';

/**
 * The same by a server group of an NLB, which both clusters' controllers fill by the same annotations and the same arithmetic. What differs
 * lies below: its calls are jobs, which are waited for; a member that is still being changed says so, and is no proof; the scheduler is the
 * group's; and the Services are of a class of their own.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/nlbv2/server_groups.go, v2.14.0
 */
export const nlb: Router<ClbRoute, ClbSetting> = {
  ...clb,
  name: 'nlb',
  before: (route) =>
    (clb.before?.(route) ?? []).map((it) => (it.kind === 'hand-over' ? { ...it, kind: 'nlb-hand-over' } : it)),
  routes: (entries, playbook, inventory) =>
    clbRoutes(
      entries.filter((it) => it.router === 'nlb'),
      playbook,
      inventory,
    ),
  async write(route, choice, context) {
    await untilSettled(route, context.world);
    await clb.write(route, choice, context);
  },
  async restore(route, was, context) {
    await untilSettled(route, context.world);
    return clb.restore(route, was, context);
  },
};

/** As long as a job takes at most, as far as we wait for our own. */
const SETTLED_MS = 120_000;

/**
 * A job of a run that was killed, or of somebody else, may still be under way: a controller that looks meanwhile sees the weights of before,
 * finds them right, and does not look again when the job is done.
 */
async function untilSettled(route: ClbRoute, world: World): Promise<void> {
  const { cloud, clock } = world;
  const deadline = clock.now() + SETTLED_MS;
  const { ports } = await resolved(route, world);
  for (const { group } of ports)
    for (let pause = 200; clock.now() < deadline; pause = Math.min(pause * 1.5, 2000)) {
      const members = await cloud.backends(group);
      if (members.every((it) => it.pending === undefined)) break;
      await clock.sleep(pause);
    }
}
