import type { ApiResource, ClusterApi, TwinObject } from '../types.js';

/** Includes and excludes of Velero's specs: resources by name, namespaces by glob. */

export const groupResource = (it: { group: string; resource: string }): string =>
  it.group === '' ? it.resource : `${it.resource}.${it.group}`;

export async function resourcesOf(api: ClusterApi): Promise<ApiResource[]> {
  if (!api.resources) throw new Error('this API cannot say what it serves');
  return api.resources();
}

/** One and the same object under two groups: the first of each pair that discovery shows is taken. Ingresses are not among them. */
const COHABITING: Record<string, string[]> = {
  deployments: ['extensions', 'apps'],
  daemonsets: ['extensions', 'apps'],
  replicasets: ['extensions', 'apps'],
  networkpolicies: ['extensions', 'networking.k8s.io'],
  events: ['', 'events.k8s.io'],
};

/** What a backup goes through: every kind in its group's preferred version, cohabiting ones once. */
export function backedUpKinds(resources: readonly ApiResource[]): ApiResource[] {
  const seen = new Set<string>();
  return resources.filter((it) => {
    if (!it.preferred || !['list', 'create', 'get', 'delete'].every((verb) => it.verbs.includes(verb))) return false;
    if (!COHABITING[it.resource]?.includes(it.group)) return true;
    if (seen.has(it.resource)) return false;
    seen.add(it.resource);
    return true;
  });
}

/** A name as users write it: `pods`, `deployments.apps`, `Deployment`; an unqualified one means the group that discovery prefers. */
function resolve(name: string, resources: readonly ApiResource[]): string {
  const lower = name.toLowerCase();
  if (resources.some((it) => groupResource(it) === lower)) return lower;
  const word = lower.split('.')[0]!;
  const candidates = resources.filter((it) => it.resource === word || it.kind.toLowerCase() === word);
  const found =
    candidates.find((it) => it.group === '') ?? candidates.find((it) => it.group !== 'extensions') ?? candidates[0];
  return found && !lower.includes('.') ? groupResource(found) : lower;
}

export interface Filter {
  (name: string): boolean;
  readonly everything: boolean;
}

const asFilter = (test: (name: string) => boolean, everything: boolean): Filter =>
  Object.assign((name: string) => test(name), { everything });

export function resourceFilter(
  includes: readonly string[] = [],
  excludes: readonly string[] = [],
  resources: readonly ApiResource[] = [],
): Filter {
  const wanted = includes.filter((it) => it !== '*').map((it) => resolve(it, resources));
  const unwanted = new Set(excludes.map((it) => (it === '*' ? it : resolve(it, resources))));
  const all = wanted.length === 0;
  return asFilter(
    (name) => !unwanted.has('*') && !unwanted.has(name) && (all || wanted.includes(name)),
    all && unwanted.size === 0,
  );
}

const globOf = (text: string): RegExp =>
  new RegExp(
    `^${text
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  );

export function namespaceFilter(includes: readonly string[] = [], excludes: readonly string[] = []): Filter {
  const wanted = includes.filter((it) => it !== '*').map(globOf);
  const unwanted = excludes.map(globOf);
  const all = wanted.length === 0;
  return asFilter(
    (name) => !unwanted.some((it) => it.test(name)) && (all || wanted.some((it) => it.test(name))),
    all && unwanted.length === 0,
  );
}

/** @returns what is wrong with a pair of lists, in Velero's words */
export function listFaults(includes: readonly string[] = [], excludes: readonly string[] = []): string[] {
  const faults: string[] = [];
  if (includes.length > 1 && includes.includes('*'))
    faults.push("includes list must either contain '*' only, or a non-empty list of items");
  if (excludes.includes('*')) faults.push("excludes list cannot contain '*'");
  for (const it of excludes)
    if (includes.includes(it)) faults.push(`excludes list cannot contain an item in the includes list: ${it}`);
  return faults;
}

export const isExcludedByLabel = (object: TwinObject): boolean =>
  object.metadata.labels?.['velero.io/exclude-from-backup'] === 'true';
