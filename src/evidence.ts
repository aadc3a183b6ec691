import { MigrateError } from './errors.js';
import { HELM_LABELS, inUse, releaseOf, revisionOf, type Revision } from './helm.js';
import type { CallCount, Calls, Evidence, HelmRelease, Unread } from './inventory.js';
import { refOf } from './objects.js';
import type { Cluster, Kind } from './ports.js';
import { inTurns } from './turns.js';
import { count } from './words.js';

/**
 * Witnesses of which API versions are in use that the objects themselves don't give: what Helm has stored, and what clients ask
 * for. Read only, and what may not be read is named.
 */
export async function gatherEvidence(cluster: Cluster, namespaces: readonly string[]): Promise<Evidence> {
  const [helm, calls] = await Promise.all([helmReleases(cluster, namespaces), countedCalls(cluster)]);
  return { helm, calls };
}

/** Where Helm keeps releases: Secrets by default, ConfigMaps with HELM_DRIVER=configmap. */
const STORES: readonly Kind[] = ['Secret', 'ConfigMap'];
/** A stored release can have a megabyte; so many are unpacked at a time. */
const AT_A_TIME = 8;

async function helmReleases(cluster: Cluster, namespaces: readonly string[]): Promise<NonNullable<Evidence['helm']>> {
  const unread: Unread[] = [];
  const attempt = async <T>(what: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      const why =
        error instanceof MigrateError
          ? error.what
          : `it is not as Helm writes it: ${error instanceof SyntaxError ? 'no JSON' : (error as Error).message}`;
      unread.push({ what, why });
      return undefined;
    }
  };
  const older = await countOfHelm2(cluster);
  if (older > 0)
    unread.push({
      what: 'releases of Helm 2',
      why: `${count(older, 'release')} in kube-system, in a form that only Helm 2 reads: move them with \`helm 2to3 convert\` first`,
    });
  const stores = namespaces.flatMap((namespace) => STORES.map((kind) => ({ kind, namespace })));
  const lists = await inTurns(AT_A_TIME, stores, ({ kind, namespace }) =>
    attempt(`${kind}s of Helm in ${namespace}`, () =>
      cluster.list(kind, { namespace, labels: HELM_LABELS, only: 'metadata' }),
    ),
  );
  const revisions = lists.flatMap((list) => (list ?? []).flatMap((it) => revisionOf(it) ?? []));
  const releases = await inTurns(AT_A_TIME, inUse(revisions), (it) =>
    attempt(`release ${it.object.metadata.namespace}/${it.release}`, () => readRelease(cluster, it)),
  );
  const found = releases
    .filter((it) => it !== undefined)
    .sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
  return { releases: found, unread };
}

/**
 * Helm 2 kept the releases of all namespaces in ConfigMaps beside its server. Where those may not be read they are taken for none: it
 * has had no release since 2020.
 * @source helm/helm:pkg/storage/driver/cfgmaps.go at v2
 */
async function countOfHelm2(cluster: Cluster): Promise<number> {
  try {
    const deployed = await cluster.list('ConfigMap', {
      namespace: 'kube-system',
      labels: 'OWNER=TILLER,STATUS=DEPLOYED',
      only: 'metadata',
    });
    return deployed.length;
  } catch (error) {
    if (error instanceof MigrateError) return 0;
    throw error;
  }
}

async function readRelease(cluster: Cluster, revision: Revision): Promise<HelmRelease | undefined> {
  const object = await cluster.get(refOf(revision.object));
  return object && releaseOf(revision, object);
}

/** @source kubernetes/kubernetes:staging/src/k8s.io/apiserver/pkg/endpoints/metrics/metrics.go; the older name up to 1.16 */
const COUNTED = /^apiserver_request_(?:total|count)\{(.*)\} (\S+)$/;
/** A watch has 0 while it lasts, in old releases. */
const DONE = /^(?:2\d\d|101|0)$/;
const STARTED = /^process_start_time_seconds (\S+)$/;

async function countedCalls(cluster: Cluster): Promise<Calls> {
  try {
    return callsIn(await cluster.lines('/metrics', (line) => COUNTED.test(line) || STARTED.test(line)));
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error;
    return { counted: [], unread: error.what };
  }
}

/** Lines of `/metrics` added up by version and resource. Requests that were refused or dry are left out. */
export function callsIn(lines: readonly string[]): Calls {
  const counted = new Map<string, CallCount>();
  let since: string | undefined;
  for (const line of lines) {
    const started = STARTED.exec(line)?.[1];
    if (started !== undefined) since = new Date(Number(started) * 1000).toISOString();
    const [, labels, value] = COUNTED.exec(line) ?? [];
    if (labels === undefined) continue;
    const {
      code = '',
      dry_run: dry = '',
      group = '',
      version = '',
      resource = '',
      subresource = '',
      verb = '',
    } = labelsIn(labels);
    if (resource === '' || version === '' || dry !== '' || !DONE.test(code)) continue;
    const name = subresource === '' ? resource : `${resource}/${subresource}`;
    const key = `${group}/${version}/${name}`;
    const entry = counted.get(key) ?? { group, version, resource: name, verbs: {} };
    entry.verbs[verb] = (entry.verbs[verb] ?? 0) + Number(value);
    counted.set(key, entry);
  }
  return {
    ...(since !== undefined && { since }),
    counted: [...counted].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, it]) => it),
  };
}

const labelsIn = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [label, value]));
