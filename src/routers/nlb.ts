import { clbRoutes, type ClbRoute, type ClbSetting } from '../clb.js';
import type { Router } from '../router.js';
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
};
