import type { Json } from '../types.js';
import { hash32 } from '../random.js';
import type { Served } from './kinds.js';
import { apiVersionOf } from './kinds.js';
import type { Store } from './store.js';

/** Verbs of the parts of an object that have a URL of their own. */
const SUBRESOURCE_VERBS: Record<string, string[]> = {
  status: ['get', 'patch', 'update'],
  scale: ['get', 'patch', 'update'],
  finalize: ['update'],
  approval: ['get', 'patch', 'update'],
  binding: ['create'],
  eviction: ['create'],
  token: ['create'],
  log: ['get'],
};

function subresourceKind(served: Served, subresource: string): Json {
  if (subresource === 'scale') return { kind: 'Scale', group: 'autoscaling', version: 'v1' };
  if (subresource === 'eviction')
    return { kind: 'Eviction', group: 'policy', version: served.stored.key === '/pods' ? 'v1' : '' };
  if (subresource === 'binding') return { kind: 'Binding' };
  if (subresource === 'token') return { kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1' };
  return { kind: served.kind };
}

function resourceEntries(store: Store, served: Served): Json[] {
  const { resource, namespaced, singular, kind, verbs, short, categories } = served;
  const entry = {
    name: resource,
    singularName: served.stored.custom || store.minor >= 27 ? singular : '',
    namespaced,
    kind,
    verbs,
    ...(short.length > 0 && { shortNames: short }),
    ...(categories.length > 0 && { categories }),
    ...(!served.createOnly && { storageVersionHash: versionHash(served) }),
  };
  const parts = [...served.subresources].toSorted().map((part) => {
    const about = subresourceKind(served, part);
    if (part === 'eviction' && store.minor < 22) about.version = 'v1beta1';
    return {
      name: `${resource}/${part}`,
      singularName: '',
      namespaced,
      ...about,
      verbs: SUBRESOURCE_VERBS[part] ?? ['get'],
    };
  });
  return [entry, ...parts];
}

const versionHash = ({ stored }: Served): string =>
  Buffer.from(String(hash32(stored.key)).slice(0, 8).padStart(8, '0')).toString('base64');

/** @returns APIResourceList of one group version; undefined when it isn't served */
export function resourceList(store: Store, apiVersion: string): Json {
  const served = store.kinds.all().filter((it) => it.apiVersion === apiVersion);
  if (served.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    ...(apiVersion !== 'v1' && { apiVersion: 'v1' }),
    groupVersion: apiVersion,
    resources: served
      .toSorted((a, b) => (a.resource < b.resource ? -1 : 1))
      .flatMap((it) => resourceEntries(store, it)),
  };
}

function groupEntry({ group, versions }: { group: string; versions: string[] }): Json {
  const list = versions.map((version) => ({ groupVersion: apiVersionOf(group, version), version }));
  return { name: group, versions: list, preferredVersion: list[0] };
}

export function groupList(store: Store): Json {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: store.kinds.groups().map(groupEntry) };
}

/** @returns APIGroup, or undefined when nothing of that group is served */
export function group(store: Store, name: string): Json {
  const found = store.kinds.groups().find((it) => it.group === name);
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(found) };
}

export function coreVersions(address: string): Json {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}

export function versionInfo(store: Store): Json {
  const gitCommit = hash32(store.version).toString(16).padStart(8, '0').repeat(5);
  return {
    major: '1',
    minor: String(store.minor),
    gitVersion: store.version,
    gitCommit,
    gitTreeState: 'clean',
    buildDate: '2021-01-01T00:00:00Z',
    goVersion: 'go1.15',
    compiler: 'gc',
    platform: 'linux/amd64',
  };
}

/** Group discovery in one answer, from 1.27 on; `version` is that of apidiscovery.k8s.io. */
export function aggregated(store: Store, groups: { group: string; versions: string[] }[], version: string): Json {
  const items = groups.map(({ group: name, versions }) => ({
    metadata: { name, creationTimestamp: null },
    versions: versions.map((it) => ({
      version: it,
      freshness: 'Current',
      resources: aggregatedResources(store, apiVersionOf(name, it)),
    })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items };
}

function aggregatedResources(store: Store, apiVersion: string): Json[] {
  const [group = '', version = ''] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  return store.kinds
    .all()
    .filter((it) => it.apiVersion === apiVersion)
    .toSorted((a, b) => (a.resource < b.resource ? -1 : 1))
    .map((served) => ({
      resource: served.resource,
      responseKind: { group, version, kind: served.kind },
      scope: served.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: served.singular,
      verbs: served.verbs,
      ...(served.short.length > 0 && { shortNames: served.short }),
      ...(served.categories.length > 0 && { categories: served.categories }),
      ...(served.subresources.size > 0 && {
        subresources: [...served.subresources].toSorted().map((part) => ({
          subresource: part,
          responseKind: { group, version, ...subresourceKind(served, part) },
          verbs: SUBRESOURCE_VERBS[part] ?? ['get'],
        })),
      }),
    }));
}
