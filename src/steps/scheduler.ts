import type { SchedulerArgs } from '../args.js';
import type { ClbRoute } from '../clb.js';
import { MigrateError } from '../errors.js';
import type { Listener, World } from '../ports.js';
import type { Route } from '../router.js';
import type { StepKind } from '../step.js';

/**
 * Listeners that a controller made take turns (`rr`) whatever the weights: `wrr` gives each member its weight. Open connections stay, and among
 * members of one weight nothing changes.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/listeners.go (rr where the annotation is absent)
 */
export const scheduler: StepKind<SchedulerArgs, { was: { port: number; scheduler: string }[] }> = {
  kind: 'scheduler',
  title: ({ route, ports }) => `listener ${ports.join(', ')} of ${balancerOf(route)} heeds weights (wrr)`,
  wayBack: () => 'the scheduler before',
  rights: () => ({}),

  async check({ route, ports }, { world }) {
    const was = (await listeners(route, ports, world)).map(({ port, scheduler: now }) => ({ port, scheduler: now }));
    const other = was.find((it) => !['rr', 'wrr', 'wlc'].includes(it.scheduler));
    if (!other) return { was };
    throw new MigrateError('LISTENER_SCHEDULER', {
      what: `Listener ${other.port} of ${balancerOf(route)} chooses by ${other.scheduler}.`,
      why: 'That ties clients to members by a hash: changing it would send returning clients elsewhere all at once.',
      fix: 'Decide about it by hand; set it to wrr in the console when returning clients may move.',
    });
  },

  async apply({ route, ports }, _before, { world }) {
    for (const it of await listeners(route, ports, world)) await choose(route, it, 'wrr', world);
  },

  async verify({ route, ports }, _before, { world }) {
    const deaf = (await listeners(route, ports, world)).find((it) => !['wrr', 'wlc'].includes(it.scheduler));
    if (!deaf) return;
    throw new MigrateError('LISTENER_SCHEDULER', {
      what: `Listener ${deaf.port} of ${balancerOf(route)} still chooses by ${deaf.scheduler}.`,
      why: 'The load balancer took the call and shows the scheduler as before, or something else sets it.',
      fix: 'Find who else writes this listener, then run again.',
    });
  },

  async undo({ route, ports }, { was }, { world }) {
    for (const it of await listeners(route, ports, world)) {
      const before = was.find((one) => one.port === it.port);
      if (before) await choose(route, it, before.scheduler, world);
    }
    return [];
  },
};

const balancerOf = (route: Route) => (route as ClbRoute).loadBalancer;

const listeners = async (route: Route, ports: readonly number[], world: World): Promise<Listener[]> =>
  (await world.cloud.clb.listeners(balancerOf(route))).filter((it) => ports.includes(it.port));

/** A listener keeps the group that it has. */
async function choose(route: Route, listener: Listener, wanted: string, world: World): Promise<void> {
  if (listener.scheduler === wanted || listener.group === undefined) return;
  if (wanted === 'wrr' && listener.scheduler === 'wlc') return;
  await world.cloud.clb.setListener(balancerOf(route), listener, { group: listener.group, scheduler: wanted });
}
