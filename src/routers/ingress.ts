import { MigrateError } from '../errors.js';
import type { EntryOf } from '../routes.js';
import { splitPath } from '../objects.js';
import type { Right } from '../ports.js';
import type { Part, Router } from '../router.js';
import { points } from '../words.js';
import {
  BRIDGE_RIGHTS,
  bridgeName,
  buildBridge,
  planBridge,
  removeBridge,
  type Bridge,
  type BridgedRoute,
} from './bridge.js';
import { canaryStyle } from './ingress-canary.js';
import { edasStyle } from './ingress-edas.js';
import { INGRESS, mainOf, pathsTo, refOf, type Style } from './ingress-paths.js';
import { serviceWeightStyle } from './ingress-weights.js';
import { SLICE_RIGHTS } from './services.js';
import { routesOnce, unfit, weighted, type Pair, type Rule, type Weights } from './weighted.js';

/**
 * Splits requests in an ingress controller of the source's cluster, in one of three ways: a canary Ingress beside the one that is there
 * (ingress-nginx, and those that read its annotations), Alibaba's older annotations on that Ingress itself, or EDAS' header tickets, which
 * know no weights. Requests with a header can go to the target before any weight does.
 */
export interface IngressRoute extends BridgedRoute {
  router: 'ingress';
  /** in the Service's namespace */
  ingress: string;
  style: 'canary' | 'service-weight' | 'edas';
  header?: { name: string; value?: string };
  cookie?: string;
}

const STYLES: Record<IngressRoute['style'], Style> = {
  canary: canaryStyle,
  'service-weight': serviceWeightStyle,
  edas: edasStyle,
};

const styleOf = (route: IngressRoute): Style => STYLES[route.style];

const placeOf = (route: IngressRoute): string => `Ingress ${splitPath(route.service).namespace}/${route.ingress}`;

/**
 * The controller tells proxies of changes at most every 3.3 s, and their workers look once a second.
 * @source kubernetes/ingress-nginx:pkg/flags/flags.go (sync-rate-limit 0.3), rootfs/etc/nginx/lua/balancer.lua (BACKENDS_SYNC_INTERVAL)
 */
const BITES_MS = 5_000;

const rule = (style: Style): Rule<IngressRoute> => ({
  scales: style.scales,
  plainest: true,
  bitesMs: BITES_MS,
  ...(style.refuses && { refuses: style.refuses }),
  async see(route, world) {
    const main = await mainOf(route, world);
    if (pathsTo(main, bridgeName(route)).length > 0 && pathsTo(main, splitPath(route.service).name).length === 0)
      return { weights: { [placeOf(route)]: { source: 0, target: style.scales[0] ?? 100 } } };
    const { pair, news } = await style.see(route, main, world);
    return { weights: { [placeOf(route)]: pair }, ...(news !== undefined && { news }) };
  },
  async put(route, weights, world) {
    const pair = weights[placeOf(route)];
    if (pair) await style.put(route, pair, world);
  },
  // Nobody writes down what the proxies work by.
  late: async () => undefined,
});

const SHARED = Object.fromEntries(
  Object.entries(STYLES).map(([name, style]) => [name, weighted(rule(style))]),
) as Record<IngressRoute['style'], ReturnType<typeof weighted<IngressRoute>>>;

const sharedOf = (route: IngressRoute) => SHARED[route.style];

interface JoinBefore {
  bridge: Bridge;
  /** what of the Ingress is changed, as it was */
  was: unknown;
}

const join: Part<IngressRoute, JoinBefore> = {
  title: (route) => `${route.service} of the target joins ${placeOf(route)} ${entrance(route)}`,
  wayBack: (route) => `leaves ${placeOf(route)}`,

  async check(route, { world }) {
    const main = await mainOf(route, world);
    const { name } = splitPath(route.service);
    if (pathsTo(main, name).length === 0) {
      throw unfit(
        `${placeOf(route)} has no path that sends to ${name}.`,
        "A share of the requests is moved beside the path's own backend.",
        'Name the Ingress that sends to that Service.',
      );
    }
    await styleOf(route).check(route, main, world);
    return { bridge: await planBridge(route, world), was: styleOf(route).keep(route, main) };
  },

  async apply(route, { bridge }, { world }) {
    await buildBridge(route, bridge, world);
    if (!(await styleOf(route).joined(route, await mainOf(route, world), world)))
      await styleOf(route).join(route, world);
  },

  verify: (route, _before, context) => settled(route, { source: styleOf(route).scales[0] ?? 100, target: 0 }, context),

  async undo(route, { was }, { world }) {
    await styleOf(route).undo(route, was, world);
    // Workers that are late must not look for what is gone.
    await world.clock.sleep(BITES_MS);
    await removeBridge(route, world);
    return [];
  },
};

const settled = (route: IngressRoute, pair: Pair, context: Parameters<Part<IngressRoute>['verify']>[2]) =>
  sharedOf(route).write(
    route,
    { setting: { [placeOf(route)]: pair }, order: ['source'], reachable: 0, how: '' },
    context,
  );

const entrance = ({ header, cookie }: IngressRoute): string => {
  if (!header && cookie === undefined) return 'at weight 0';
  const said = header && `header ${header.name}: ${header.value ?? 'always'}`;
  return `for requests with ${[said, cookie !== undefined && `cookie ${cookie}=always`].filter(Boolean).join(' or ')}`;
};

const leave: Part<IngressRoute> = {
  title: (route) => `${placeOf(route)} sends all to the target itself, and nothing to the source`,
  wayBack: (route) => `${placeOf(route)} sends to the source again, beside all for the target`,

  async check(route, { world }) {
    const { weights } = await rule(styleOf(route)).see(route, world);
    for (const { source, target } of Object.values(weights)) {
      if (source === 0) continue;
      throw new MigrateError('SOURCE_STILL_SERVES', {
        what: `${placeOf(route)} sends ${points((100 * source) / (source + target))} % to the source.`,
        why: 'Only a source that serves nothing can be retired.',
        fix: 'Move everything first: `migrate shift --to 100`.',
      });
    }
    return styleOf(route).keepLeaving(route, world);
  },

  async apply(route, _before, { world }) {
    await styleOf(route).leave(route, world);
  },

  async verify(route, _before, { world }) {
    const main = await mainOf(route, world);
    const { name } = splitPath(route.service);
    if (pathsTo(main, name).length === 0) return;
    throw new MigrateError('WEIGHT_NOT_TAKEN', {
      what: `${placeOf(route)} still sends to ${name}.`,
      why: 'Something else writes this Ingress too.',
      fix: 'Find the other writer and stop it for the length of the migration, then run again.',
    });
  },

  async undo(route, before, { world }) {
    await styleOf(route).comeBack(route, before, world);
    return [];
  },
};

const routeOf = (it: EntryOf<'ingress'>): IngressRoute => ({
  router: 'ingress',
  service: it.service,
  ingress: it.ingress,
  style: it.style,
  ...(it.header && {
    header: { name: it.header.name, ...(it.header.value !== undefined && { value: it.header.value }) },
  }),
  ...(it.cookie !== undefined && { cookie: it.cookie }),
  ...(it.address !== undefined && { address: it.address }),
});

const RIGHTS: Right[] = ['get', 'list', 'create', 'patch', 'delete'].map((verb) => ({
  verb,
  group: 'networking.k8s.io',
  resource: 'ingresses',
}));

export const ingress: Router<IngressRoute, Weights> = {
  name: 'ingress',
  traits: (route) => ({
    unit: 'weight',
    min: 0,
    max: route.style === 'edas' ? 1 : 10_000,
    zero: 'weight',
    splits: 'requests',
    proof: 'none',
    bitesMs: 30_000,
  }),
  routes: (entries, _playbook, inventory) =>
    routesOnce(entries.filter((it) => it.router === 'ingress').map(routeOf), inventory, (route) => ({
      kind: INGRESS,
      name: route.ingress,
    })),
  rights: () => ({ source: [...RIGHTS, ...BRIDGE_RIGHTS, ...SLICE_RIGHTS], target: SLICE_RIGHTS }),
  joined: async (route, world) => {
    const main = await world.source.get(refOf(route));
    return main !== undefined && (await styleOf(route).joined(route, main, world));
  },
  join,
  leave,
  foresee: (route, ...rest) => sharedOf(route).foresee(route, ...rest),
  read: (route, world) => sharedOf(route).read(route, world),
  ready: (route, side, world) => sharedOf(route).ready(route, side, world),
  choose: (route, ask, reading, world) => sharedOf(route).choose(route, ask, reading, world),
  write: (route, choice, context) => sharedOf(route).write(route, choice, context),
  restore: (route, was, context) => sharedOf(route).restore(route, was, context),
};
