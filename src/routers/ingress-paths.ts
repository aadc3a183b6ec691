import type { KubeObject, ObjectRef, World } from '../ports.js';
import type { Ask, Unreachable } from '../router.js';
import { splitPath } from '../objects.js';
import type { IngressRoute } from './ingress.js';
import { objectOf, type Pair } from './weighted.js';

/** Ingresses and their paths, in both shapes that servers have had: `backend.service.name`, and `backend.serviceName` before. */

export const INGRESS = 'Ingress.networking.k8s.io';
export const PREFIX = 'nginx.ingress.kubernetes.io/';

/** How one family of annotations splits; every write is safe to call again. */
export interface Style {
  scales: readonly number[];
  refuses?(route: IngressRoute, ask: Ask): Unreachable | undefined;
  /** Refuses what stands in its way; only reads. */
  check(route: IngressRoute, main: KubeObject, world: World): Promise<void>;
  /** what `undo` needs of the Ingress as it was; JSON */
  keep(route: IngressRoute, main: KubeObject): unknown;
  joined(route: IngressRoute, main: KubeObject, world: World): Promise<boolean>;
  see(route: IngressRoute, main: KubeObject, world: World): Promise<{ pair: Pair; news?: string }>;
  join(route: IngressRoute, world: World): Promise<void>;
  put(route: IngressRoute, pair: Pair, world: World): Promise<void>;
  undo(route: IngressRoute, was: unknown, world: World): Promise<void>;
  /** what `comeBack` needs; JSON */
  keepLeaving(route: IngressRoute, world: World): Promise<unknown>;
  /** The Ingress' own backend is the target, and nothing else is said. */
  leave(route: IngressRoute, world: World): Promise<void>;
  /** All goes to the target as before, and a share can be moved again. */
  comeBack(route: IngressRoute, was: unknown, world: World): Promise<void>;
}

export interface IngressPath {
  path?: string;
  pathType?: string;
  backend: { service?: { name: string; port: unknown }; serviceName?: string; servicePort?: unknown };
}

export interface IngressRule {
  host?: string;
  http?: { paths?: IngressPath[] };
}

export const refOf = (route: IngressRoute, name = route.ingress): ObjectRef => ({
  kind: INGRESS,
  namespace: splitPath(route.service).namespace,
  name,
});

export const mainOf = (route: IngressRoute, { source }: World): Promise<KubeObject> => objectOf(source, refOf(route));

export const rulesOf = (object: KubeObject): IngressRule[] => (object['spec']?.rules ?? []) as IngressRule[];

export const serviceOf = ({ backend }: IngressPath): string | undefined => backend.service?.name ?? backend.serviceName;

export const pathsTo = (object: KubeObject, service: string): IngressPath[] =>
  rulesOf(object).flatMap((it) => (it.http?.paths ?? []).filter((path) => serviceOf(path) === service));

/** The same path to another Service, at the same port. */
export const to = (path: IngressPath, name: string): IngressPath => ({
  ...path,
  backend: path.backend.service
    ? { ...path.backend, service: { ...path.backend.service, name } }
    : { ...path.backend, serviceName: name },
});

/** Rules with their paths changed; a rule that has none left goes. */
export const withPaths = (
  rules: readonly IngressRule[],
  change: (paths: IngressPath[]) => IngressPath[],
): IngressRule[] =>
  rules.flatMap((rule) => {
    if (!rule.http?.paths) return [rule];
    const paths = change(rule.http.paths);
    return paths.length === 0 ? [] : [{ ...rule, http: { ...rule.http, paths } }];
  });

export const swapped = (rules: readonly IngressRule[], from: string, name: string): IngressRule[] =>
  withPaths(rules, (paths) => paths.map((it) => (serviceOf(it) === from ? to(it, name) : it)));

/** undefined where there is nothing to change */
export const rulesPatch = (object: KubeObject, rules: readonly IngressRule[]): { spec: object } | undefined =>
  JSON.stringify(rulesOf(object)) === JSON.stringify(rules) ? undefined : { spec: { rules } };

/** The annotations that differ, as a merge patch has them; undefined where none does. */
export function annotationsPatch(
  object: KubeObject,
  wanted: Record<string, string | undefined>,
): { metadata: { annotations: Record<string, string | null> } } | undefined {
  const now = object.metadata.annotations ?? {};
  const differing = Object.entries(wanted).filter(([key, value]) => now[`${PREFIX}${key}`] !== value);
  if (differing.length === 0) return undefined;
  return {
    metadata: { annotations: Object.fromEntries(differing.map(([key, value]) => [`${PREFIX}${key}`, value ?? null])) },
  };
}

export const both = (
  a: Record<string, unknown> | undefined,
  b: Record<string, unknown> | undefined,
): Record<string, unknown> | undefined => (a || b ? { ...a, ...b } : undefined);

export const annotation = ({ metadata }: KubeObject, key: string): string | undefined =>
  metadata.annotations?.[`${PREFIX}${key}`];
