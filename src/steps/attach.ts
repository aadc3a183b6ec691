import type { AttachArgs, RetireArgs } from '../args.js';
import { routers } from '../routers/index.js';
import type { Route } from '../router.js';
import type { StepKind } from '../step.js';
import { routerOf } from '../traffic.js';

/** Coming in and going out are the router's own. */

export const attach: StepKind<AttachArgs, unknown> = {
  kind: 'attach',
  title: ({ route }) => joinOf(route).title(route),
  wayBack: ({ route }) => joinOf(route).wayBack(route),
  rights: ({ route }) => routerOf(route, routers).rights(route),
  check: ({ route }, context) => joinOf(route).check(route, context),
  apply: ({ route }, before, context) => joinOf(route).apply(route, before, context),
  verify: ({ route }, before, context) => joinOf(route).verify(route, before, context),
  undo: ({ route }, before, context) => joinOf(route).undo(route, before, context),
};

export const retire: StepKind<RetireArgs, unknown> = {
  kind: 'retire',
  title: ({ route }) => leaveOf(route).title(route),
  wayBack: ({ route }) => leaveOf(route).wayBack(route),
  rights: ({ route }) => routerOf(route, routers).rights(route),
  check: ({ route }, context) => leaveOf(route).check(route, context),
  apply: ({ route }, before, context) => leaveOf(route).apply(route, before, context),
  verify: ({ route }, before, context) => leaveOf(route).verify(route, before, context),
  undo: ({ route }, before, context) => leaveOf(route).undo(route, before, context),
};

const joinOf = (route: Route) => routerOf(route, routers).join;
const leaveOf = (route: Route) => routerOf(route, routers).leave;
