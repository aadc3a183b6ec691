import { MigrateError } from '../errors.js';
import type { KubeObject, World } from '../ports.js';
import { splitPath } from '../objects.js';
import { bridgeName, createOnce, uidOf } from './bridge.js';
import type { IngressRoute } from './ingress.js';
import {
  annotation,
  annotationsPatch,
  both,
  INGRESS,
  mainOf,
  pathsTo,
  PREFIX,
  refOf,
  rulesOf,
  rulesPatch,
  serviceOf,
  swapped,
  to,
  withPaths,
  type IngressRule,
  type Style,
} from './ingress-paths.js';
import { edit, unfit, type Pair } from './weighted.js';

/**
 * A second Ingress for the same hosts and paths, marked as a canary: by header first, then cookie, then weight. A rule takes one canary.
 * Its total is left alone where hundredths will do, for older versions don't know it. All for the target is not weight 100, which is 503
 * once the main backend has no endpoints: it is the target as the main backend, beside which a canary of the same has no effect.
 *
 * @source kubernetes/ingress-nginx:docs/user-guide/nginx-configuration/annotations.md (canary), rootfs/etc/nginx/lua/balancer.lua,
 *         internal/ingress/controller/controller.go (mergeAlternativeBackends)
 */
export const canaryStyle: Style = {
  scales: [100, 1000, 10_000],

  async check(route, main, { source }) {
    const { namespace } = splitPath(route.service);
    if (annotation(main, 'affinity') === 'cookie' && annotation(main, 'affinity-canary-behavior') !== 'legacy') {
      throw unfit(
        `Ingress ${namespace}/${route.ingress} binds its clients by cookie.`,
        'A bound client stays where it is, whatever the weight says, and the share would not be what was asked.',
        `Set ${PREFIX}affinity-canary-behavior: legacy on it for the length of the migration.`,
      );
    }
    const mine = keysOf(rulesFor(route, main));
    const others = (await source.list(INGRESS, { namespace })).filter(
      (it) => it.metadata.name !== canaryName(route) && annotation(it, 'canary') === 'true',
    );
    const taken = others.find((it) => keysOf(rulesOf(it)).some((key) => mine.includes(key)));
    if (taken) {
      throw new MigrateError('ROUTE_TAKEN', {
        what: `Ingress ${namespace}/${taken.metadata.name} is a canary of ${route.ingress} already.`,
        why: 'ingress-nginx takes one canary for a rule and ignores the rest.',
        fix: 'Finish that release first, and remove its canary.',
      });
    }
    const known = await source.get(refOf(route, canaryName(route)));
    if (known && weightsOf(known).target > 0) throw liveAlready(route, known);
  },

  keep: () => null,

  joined: async (route, main, { source }) =>
    pathsTo(main, bridgeName(route)).length > 0 || (await source.get(refOf(route, canaryName(route)))) !== undefined,

  async see(route, main, { source }) {
    const canary = await source.get(refOf(route, canaryName(route)));
    if (!canary) return { pair: { source: 100, target: 0 } };
    const pair = annotation(canary, 'canary') === 'true' ? weightsOf(canary) : { source: 100, target: 0 };
    const isSame = JSON.stringify(keysOf(rulesOf(canary))) === JSON.stringify(keysOf(rulesFor(route, main)));
    return isSame ? { pair } : { pair, news: `the paths of ${route.ingress} have changed beside its canary` };
  },

  join: (route, world) => writeCanary(route, { source: 100, target: 0 }, world),

  async put(route, pair, world) {
    const { name } = splitPath(route.service);
    if (pair.source === 0) return swapMain(route, name, bridgeName(route), world);
    await writeCanary(route, pair, world);
    await swapMain(route, bridgeName(route), name, world);
  },

  undo: (route, _was, world) => removeCanary(route, world),

  keepLeaving: async (route, { source }) => {
    const canary = await source.get(refOf(route, canaryName(route)));
    return canary ? weightsOf(canary) : null;
  },

  async leave(route, world) {
    await swapMain(route, splitPath(route.service).name, bridgeName(route), world);
    // Workers that are late still split by the canary, which must be there as long.
    await world.clock.sleep(LATEST_MS);
    await removeCanary(route, world);
  },

  async comeBack(route, was, world) {
    if (was !== null) await writeCanary(route, was as Pair, world);
  },
};

const swapMain = (route: IngressRoute, from: string, name: string, { source }: World): Promise<void> =>
  edit(source, refOf(route), (main) => rulesPatch(main, swapped(rulesOf(main), from, name)));

const LATEST_MS = 5_000;

const canaryName = ({ ingress }: IngressRoute): string => `${ingress}-migrate`;

/** The main Ingress' paths to the Service, or to the target already, to the target. */
const rulesFor = (route: IngressRoute, main: KubeObject): IngressRule[] => {
  const ours = new Set<string | undefined>([splitPath(route.service).name, bridgeName(route)]);
  return withPaths(rulesOf(main), (paths) =>
    paths.filter((it) => ours.has(serviceOf(it))).map((it) => to(it, bridgeName(route))),
  ).filter((it) => it.http?.paths);
};

const keysOf = (rules: readonly IngressRule[]): string[] =>
  rules.flatMap((rule) =>
    (rule.http?.paths ?? []).map((it) => `${rule.host ?? ''}${it.path ?? '/'} ${it.pathType ?? ''}`),
  );

function weightsOf(canary: KubeObject): Pair {
  const integer = (key: string, otherwise: number) => {
    const text = annotation(canary, key) ?? '';
    return /^[+-]?\d+$/.test(text) ? Number(text) : otherwise;
  };
  const total = Math.max(100, integer('canary-weight-total', 100));
  const target = Math.min(total, Math.max(0, integer('canary-weight', 0)));
  return { source: total - target, target };
}

/** A total other than a hundred, and a weight of any kind, are only said where they are needed: by header alone there is none. */
const annotationsFor = ({ header, cookie }: IngressRoute, { source, target }: Pair) => ({
  canary: 'true',
  'canary-by-header': header?.name,
  'canary-by-header-value': header?.value,
  'canary-by-cookie': cookie,
  'canary-weight': target === 0 && (header !== undefined || cookie !== undefined) ? undefined : String(target),
  'canary-weight-total': source + target === 100 ? undefined : String(source + target),
});

async function writeCanary(route: IngressRoute, pair: Pair, world: World): Promise<void> {
  const ref = refOf(route, canaryName(route));
  const main = await mainOf(route, world);
  const rules = rulesFor(route, main);
  if (rules.length === 0) return;
  if (!(await world.source.get(ref))) return createCanary(route, pair, rules, main, world);
  await edit(world.source, ref, (it) => both(annotationsPatch(it, annotationsFor(route, pair)), rulesPatch(it, rules)));
}

/** In the class of the main Ingress; what else that says holds for its canary too. */
const createCanary = (route: IngressRoute, pair: Pair, rules: IngressRule[], main: KubeObject, world: World) => {
  const wanted = Object.entries(annotationsFor(route, pair)).flatMap(([key, value]) =>
    value === undefined ? [] : [[`${PREFIX}${key}`, value] as const],
  );
  const ofClass = main.metadata.annotations?.['kubernetes.io/ingress.class'];
  const { ingressClassName } = main['spec'] as { ingressClassName?: string };
  return createOnce(world.source, {
    apiVersion: main.apiVersion,
    kind: 'Ingress',
    metadata: {
      name: canaryName(route),
      namespace: splitPath(route.service).namespace,
      labels: { 'app.kubernetes.io/managed-by': 'migrate' },
      annotations: {
        ...(ofClass !== undefined && { 'kubernetes.io/ingress.class': ofClass }),
        ...Object.fromEntries(wanted),
      },
    },
    spec: { ...(ingressClassName !== undefined && { ingressClassName }), rules },
  });
};

async function removeCanary(route: IngressRoute, { source }: World): Promise<void> {
  const ref = refOf(route, canaryName(route));
  const found = await source.get(ref);
  if (found) await source.delete(ref, uidOf(found));
}

const liveAlready = (route: IngressRoute, { metadata }: KubeObject) =>
  new MigrateError('SERVICE_LIVE_ALREADY', {
    what: `Canary Ingress ${metadata.name} sends requests of ${route.service} to the target already.`,
    why: 'Joining at 0 would take that away unasked.',
    fix: 'Set its weight to 0 yourself first, or shift from where it is: `migrate shift`.',
  });
