import type { ApiResource, ClusterApi, Json, TwinObject } from '../types.js';
import { selects } from './objects.js';
import { addMessage, noMessages, type Results, stored, type StoredItem } from './object-store.js';
import { isWorthRetrying } from './queue.js';
import {
  backedUpKinds,
  groupResource,
  isExcludedByLabel,
  namespaceFilter,
  resourceFilter,
  resourcesOf,
} from './velero-filters.js';

/** What goes into a backup. @source vmware-tanzu/velero:pkg/backup */

interface Choice {
  takes(resource: ApiResource): boolean;
  namespaces: ReturnType<typeof namespaceFilter>;
  /** every cluster-scoped object, only those that chosen ones need, or none */
  cluster: 'all' | 'related' | 'none';
  matches(object: TwinObject): boolean;
}

function choiceOf(spec: Json, resources: readonly ApiResource[]): Choice {
  const namespaces = namespaceFilter(spec.includedNamespaces, spec.excludedNamespaces);
  const selectors: Json[] = spec.orLabelSelectors ?? (spec.labelSelector ? [spec.labelSelector] : []);
  const matches = (object: TwinObject): boolean =>
    !isExcludedByLabel(object) &&
    (selectors.length === 0 || selectors.some((it) => selects(it, object.metadata.labels)));
  if (usesNewFilters(spec)) {
    const scoped = resourceFilter(
      spec.includedNamespaceScopedResources,
      spec.excludedNamespaceScopedResources,
      resources,
    );
    const cluster = resourceFilter(spec.includedClusterScopedResources, spec.excludedClusterScopedResources, resources);
    const named = (spec.includedClusterScopedResources ?? []).length > 0;
    return {
      takes: (it) => (it.namespaced ? scoped : cluster)(groupResource(it)),
      namespaces,
      cluster: named || namespaces.everything ? 'all' : 'related',
      matches,
    };
  }
  const kinds = resourceFilter(spec.includedResources, spec.excludedResources, resources);
  const whole =
    spec.includeClusterResources === true || (spec.includeClusterResources === undefined && namespaces.everything);
  return {
    takes: (it) => kinds(groupResource(it)),
    namespaces,
    cluster: whole ? 'all' : spec.includeClusterResources === false ? 'none' : 'related',
    matches,
  };
}

export const NEW_FILTERS = [
  'includedClusterScopedResources',
  'excludedClusterScopedResources',
  'includedNamespaceScopedResources',
  'excludedNamespaceScopedResources',
];

export const usesNewFilters = (spec: Json): boolean => NEW_FILTERS.some((it) => (spec[it] ?? []).length > 0);

/** Lists the cluster as it is now and picks what the spec asks for. */
export async function collect(api: ClusterApi, spec: Json): Promise<{ items: StoredItem[]; results: Results }> {
  const results: Results = { errors: noMessages(), warnings: noMessages() };
  const resources = await resourcesOf(api);
  const choice = choiceOf(spec, resources);
  const items = new Map<string, StoredItem>();
  const add = (it: ApiResource, object: TwinObject): void => {
    const { namespace, name } = object.metadata;
    const item = { groupResource: groupResource(it), path: it.path, namespace, name, object: stored(object) };
    items.set(`${item.groupResource} ${namespace ?? ''}/${name}`, item);
  };

  const kinds = backedUpKinds(resources);
  for (const kind of kinds.filter((it) => it.namespaced && choice.takes(it)))
    for (const object of await listed(api, kind, results))
      if (choice.namespaces(object.metadata.namespace) && choice.matches(object)) add(kind, object);

  const used = new Set([...items.values()].map((it) => it.namespace));
  const namespaceKind = kinds.find((it) => it.path === 'v1/namespaces');
  if (namespaceKind && choice.takes(namespaceKind))
    for (const object of await api.list('v1/namespaces')) {
      const { name } = object.metadata;
      const named = choice.namespaces(name) && !choice.namespaces.everything && choice.matches(object);
      if (used.has(name) || named || (choice.namespaces.everything && choice.matches(object)))
        add(namespaceKind, object);
    }

  if (choice.cluster === 'none') return { items: [...items.values()], results };
  const needed = choice.cluster === 'related' ? await relatedTo(api, [...items.values()], resources) : undefined;
  for (const kind of kinds.filter((it) => !it.namespaced && it !== namespaceKind && choice.takes(it)))
    for (const object of await listed(api, kind, results)) {
      const isWanted = needed
        ? needed.has(`${groupResource(kind)} ${object.metadata.name}`) && !isExcludedByLabel(object)
        : choice.matches(object);
      if (isWanted) add(kind, object);
    }
  return { items: [...items.values()], results };
}

async function listed(api: ClusterApi, kind: ApiResource, results: Results): Promise<TwinObject[]> {
  try {
    return await api.list(kind.path);
  } catch (error) {
    if (!isWorthRetrying(error)) throw error;
    addMessage(results.errors, undefined, `error listing ${groupResource(kind)}: ${error.message}`);
    return [];
  }
}

/** Volumes of bound claims, definitions of custom resources, and the cluster roles of service accounts. */
async function relatedTo(
  api: ClusterApi,
  items: readonly StoredItem[],
  resources: readonly ApiResource[],
): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const { groupResource: kind, object } of items) {
    if (kind === 'persistentvolumeclaims' && object['status']?.phase === 'Bound' && object['spec'].volumeName)
      needed.add(`persistentvolumes ${object['spec'].volumeName}`);
    needed.add(`customresourcedefinitions.apiextensions.k8s.io ${kind}`);
  }
  const accounts = new Set(
    items.filter((it) => it.groupResource === 'serviceaccounts').map((it) => `${it.namespace}/${it.name}`),
  );
  const bindings = resources.find((it) => it.resource === 'clusterrolebindings' && it.preferred);
  if (!bindings) return needed;
  for (const binding of await api.list(bindings.path)) {
    if (
      !(binding['subjects'] ?? []).some(
        (it: Json) => it.kind === 'ServiceAccount' && accounts.has(`${it.namespace}/${it.name}`),
      )
    )
      continue;
    needed.add(`${groupResource(bindings)} ${binding.metadata.name}`);
    if (binding['roleRef']?.kind === 'ClusterRole')
      needed.add(`clusterroles.${bindings.group} ${binding['roleRef'].name}`);
  }
  return needed;
}
