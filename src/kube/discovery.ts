import { MigrateError } from '../errors.js';
import type { ServedKind } from '../ports.js';
import type { Connection } from './connection.js';

export interface Discovery {
  kinds: ServedKind[];
  /** group versions whose list could not be read, e.g. behind a dead APIService: unknown, not absent */
  failed: { groupVersion: string; why: string }[];
}

/** All at once where the server can (1.26 and newer, by default 1.27), else the groups alone. */
const AT_ONCE = ['v2', 'v2beta1']
  .map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .join(',');

interface GroupList {
  kind?: string;
  groups: {
    name: string;
    versions: { groupVersion: string; version: string }[];
    preferredVersion: { version: string };
  }[];
}

interface ResourceList {
  resources: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}

/** @source kubernetes/api:apidiscovery/v2/types.go */
interface GroupDiscoveryList {
  kind: 'APIGroupDiscoveryList';
  items?: {
    metadata?: { name?: string };
    versions?: {
      version: string;
      /** `Stale`: the server behind it does not answer, and this is an old answer or none */
      freshness?: string;
      resources?: { resource: string; responseKind?: { kind?: string }; scope: string; verbs?: string[] }[];
    }[];
  }[];
}

const isAtOnce = (it: unknown): it is GroupDiscoveryList =>
  (it as { kind?: unknown } | undefined)?.kind === 'APIGroupDiscoveryList';

/** What a server serves. A group version that could not be asked is named, not dropped. */
export async function discover(connection: Connection): Promise<Discovery> {
  const ask = (path: string) => connection.request({ method: 'GET', path, accept: `${AT_ONCE},application/json` });
  const [core, groups] = await Promise.all([ask('/api'), ask('/apis')]);
  return isAtOnce(core) && isAtOnce(groups) ? atOnce([core, groups]) : oneByOne(connection, groups as GroupList);
}

function atOnce(lists: readonly GroupDiscoveryList[]): Discovery {
  const versions = lists
    .flatMap((list) => list.items ?? [])
    .flatMap(({ metadata, versions: all = [] }) =>
      all.map((it, index) => ({ ...it, group: metadata?.name ?? '', preferred: index === 0 })),
    );
  const isStale = (it: { freshness?: string }) => it.freshness === 'Stale';
  return {
    kinds: versions
      .filter((it) => !isStale(it))
      .flatMap(({ group, version, preferred, resources = [] }) =>
        // Without a kind of its own a resource is there for its subresources alone.
        resources.flatMap(({ resource, responseKind, scope, verbs = [] }) =>
          responseKind?.kind
            ? [
                {
                  group,
                  version,
                  kind: responseKind.kind,
                  resource,
                  namespaced: scope === 'Namespaced',
                  verbs,
                  preferred,
                },
              ]
            : [],
        ),
      ),
    failed: versions.filter(isStale).map(({ group, version }) => ({
      groupVersion: `${group}/${version}`,
      why: 'The server behind it does not answer.',
    })),
  };
}

/** Every group version's list, side by side. */
async function oneByOne(connection: Connection, { groups }: GroupList): Promise<Discovery> {
  const wanted = [
    { group: '', version: 'v1', path: '/api/v1', preferred: true },
    ...groups.flatMap((group) =>
      group.versions.map((it) => ({
        group: group.name,
        version: it.version,
        path: `/apis/${it.groupVersion}`,
        preferred: group.preferredVersion.version === it.version,
      })),
    ),
  ];
  const failed: Discovery['failed'] = [];
  const lists = await Promise.all(
    wanted.map(async ({ group, version, path, preferred }): Promise<ServedKind[]> => {
      try {
        const { resources } = (await connection.request({ method: 'GET', path })) as ResourceList;
        return resources
          .filter((it) => !it.name.includes('/'))
          .map(({ name, kind, namespaced, verbs }) => ({
            group,
            version,
            kind,
            resource: name,
            namespaced,
            verbs,
            preferred,
          }));
      } catch (error) {
        if (!(error instanceof MigrateError) || group === '') throw error;
        failed.push({ groupVersion: `${group}/${version}`, why: error.what });
        return [];
      }
    }),
  );
  return { kinds: lists.flat(), failed };
}
