import type { ApiResource, ClusterApi, Json, TwinObject } from '../types.js';
import { selects } from './objects.js';
import { addMessage, noMessages, type Results, stored, type StoredItem } from './object-store.js';
import { isWorthRetrying } from './queue.js';
import { namespaceFilter, resourceFilter, resourcesOf } from './velero-filters.js';
import type { Modifiers } from './velero-modifiers.js';

/** How a backup comes out. @source vmware-tanzu/velero:pkg/restore, and runs of 1.18.3 */

const FIRST = [
  'customresourcedefinitions.apiextensions.k8s.io',
  'namespaces',
  'storageclasses.storage.k8s.io',
  'volumesnapshotclasses.snapshot.storage.k8s.io',
  'volumesnapshotcontents.snapshot.storage.k8s.io',
  'volumesnapshots.snapshot.storage.k8s.io',
  'datauploads.velero.io',
  'persistentvolumes',
  'persistentvolumeclaims',
  'clusterroles.rbac.authorization.k8s.io',
  'roles.rbac.authorization.k8s.io',
  'serviceaccounts',
  'clusterrolebindings.rbac.authorization.k8s.io',
  'rolebindings.rbac.authorization.k8s.io',
  'secrets',
  'configmaps',
  'limitranges',
  'priorityclasses.scheduling.k8s.io',
  'pods',
  'replicasets.apps',
  'clusterclasses.cluster.x-k8s.io',
  'endpoints',
  'services',
];

/** Never restored, whatever the spec says. */
export const NON_RESTORABLE = [
  'nodes',
  'events',
  'events.events.k8s.io',
  'backups.velero.io',
  'restores.velero.io',
  'resticrepositories.velero.io',
  'backuprepositories.velero.io',
  'csinodes.storage.k8s.io',
  'volumeattachments.storage.k8s.io',
];

export interface RestoreContext {
  api: ClusterApi;
  spec: Json;
  backupName: string;
  restoreName: string;
  modifiers: Modifiers | undefined;
  /** `old` → `new`, from the plug-in's ConfigMap; undefined without one */
  storageClasses: Record<string, string> | undefined;
}

export interface Restored {
  results: Results;
  resourceList: Record<string, string[]>;
  count: number;
}

const rank = (name: string): number => {
  const at = FIRST.indexOf(name);
  return at < 0 ? FIRST.length : at;
};

/** Items that the spec asks for, in the order in which they are created. */
export function chosenItems(items: readonly StoredItem[], spec: Json, resources: readonly ApiResource[]): StoredItem[] {
  const known = [...resources, ...items.map(asResource)];
  const kinds = resourceFilter(spec.includedResources, [...(spec.excludedResources ?? []), ...NON_RESTORABLE], known);
  const namespaces = namespaceFilter(spec.includedNamespaces, spec.excludedNamespaces);
  const selectors: Json[] = spec.orLabelSelectors ?? (spec.labelSelector ? [spec.labelSelector] : []);
  const matches = (it: StoredItem): boolean =>
    selectors.length === 0 || selectors.some((one) => selects(one, it.object.metadata.labels));
  const inNamespaces = items.filter(
    (it) => it.namespace !== undefined && namespaces(it.namespace) && kinds(it.groupResource) && matches(it),
  );
  const isRelated = (it: StoredItem): boolean => {
    if (it.groupResource === 'persistentvolumes') return namespaces(it.object['spec'].claimRef?.namespace ?? '');
    return it.groupResource === DEFINITIONS && inNamespaces.some((one) => one.groupResource === it.name);
  };
  const clusterWide = items.filter((it) => {
    if (it.namespace !== undefined || it.groupResource === 'namespaces' || !kinds(it.groupResource)) return false;
    if (spec.includeClusterResources === false) return false;
    if (spec.includeClusterResources === true || namespaces.everything) return matches(it);
    return isRelated(it);
  });
  const key = (it: StoredItem): string =>
    `${String(rank(it.groupResource)).padStart(3, '0')} ${it.groupResource} ${it.namespace ?? ''}/${it.name}`;
  return [...clusterWide, ...inNamespaces].toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

function asResource(it: StoredItem): ApiResource {
  const [resource = '', ...group] = it.groupResource.split('.');
  return {
    path: it.path,
    group: group.join('.'),
    version: '',
    resource,
    kind: it.object.kind,
    namespaced: it.namespace !== undefined,
    verbs: [],
    preferred: true,
  };
}

/** What one restore knows while it runs. */
interface Run extends RestoreContext {
  results: Results;
  /** volumes that are in the backup */
  volumes: ReadonlySet<string>;
  /** volumes that are not created because their reclaim policy would lose them: their claims get new, empty disks */
  emptied: ReadonlySet<string>;
}

const DEFINITIONS = 'customresourcedefinitions.apiextensions.k8s.io';

export const hasCreated = ({ resourceList }: Restored): boolean =>
  Object.values(resourceList)
    .flat()
    .some((it) => it.endsWith('(created)'));

/**
 * Creates everything that is chosen; goes on after an error.
 *
 * @param part   definitions of custom kinds come first: what they define can follow when it is served
 * @param before  what the first part came to
 */
export async function restoreItems(
  context: RestoreContext,
  items: readonly StoredItem[],
  part: 'definitions' | 'others',
  before?: Restored,
): Promise<Restored> {
  const { api, spec } = context;
  const resourceList: Record<string, string[]> = { ...before?.resourceList };
  const resources = await resourcesOf(api);
  const all = chosenItems(items, spec, resources);
  const chosen = all.filter((it) => (it.groupResource === DEFINITIONS) === (part === 'definitions'));
  const isVolume = (it: StoredItem): boolean => it.groupResource === 'persistentvolumes';
  const run: Run = {
    ...context,
    results: before?.results ?? { errors: noMessages(), warnings: noMessages() },
    volumes: new Set(items.filter(isVolume).map((it) => it.name)),
    emptied: new Set(
      chosen
        .filter((it) => isVolume(it) && it.object['spec'].persistentVolumeReclaimPolicy === 'Delete')
        .map((it) => it.name),
    ),
  };
  const made = new Set<string>();

  for (const item of chosen) {
    const target =
      item.namespace === undefined ? undefined : (spec.namespaceMapping?.[item.namespace] ?? item.namespace);
    if (isPassedOver(item) || (isVolume(item) && run.emptied.has(item.name))) continue;
    if (target !== undefined && !made.has(target)) {
      made.add(target);
      await ensureNamespace(run, target, item.namespace!, items);
    }
    const done = await restoreOne(run, item, target);
    const kind = `${item.object.apiVersion}/${item.object.kind}`;
    (resourceList[kind] ??= []).push(`${target === undefined ? '' : `${target}/`}${item.name}(${done})`);
  }
  return { results: run.results, resourceList, count: all.length };
}

/** Finished work is not repeated, and pods that a kubelet read from a file come by themselves. */
function isPassedOver({ groupResource: kind, object }: StoredItem): boolean {
  if (kind === 'pods')
    return (
      ['Succeeded', 'Failed'].includes(object['status']?.phase) ||
      'kubernetes.io/config.mirror' in (object.metadata.annotations ?? {})
    );
  return kind === 'jobs.batch' && object['status']?.completionTime !== undefined;
}

async function ensureNamespace(
  { api, results }: Run,
  name: string,
  from: string,
  items: readonly StoredItem[],
): Promise<void> {
  if (await api.get('v1/namespaces', undefined, name)) return;
  const original = items.find((it) => it.groupResource === 'namespaces' && it.name === from)?.object;
  const { labels = {}, annotations } = original?.metadata ?? {};
  const { 'kubernetes.io/metadata.name': _, ...kept } = labels;
  try {
    await api.create('v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name,
        ...(Object.keys(kept).length > 0 ? { labels: kept } : {}),
        ...(annotations ? { annotations } : {}),
      },
    });
  } catch (error) {
    if (!isWorthRetrying(error)) throw error;
    if (!(await api.get('v1/namespaces', undefined, name)))
      addMessage(results.errors, undefined, `error creating namespace ${name}: ${error.message}`);
  }
}

type Outcome = 'created' | 'updated' | 'skipped' | 'failed';

async function restoreOne(run: Run, item: StoredItem, namespace: string | undefined): Promise<Outcome> {
  const { api, modifiers, results } = run;
  const about = `${item.groupResource} ${item.namespace === undefined ? '' : `"${item.namespace}"/`}"${item.name}"`;
  const fail = (text: string): Outcome => {
    addMessage(results.errors, namespace, text);
    return 'failed';
  };
  const missing = missingVolume(run, item);
  if (missing !== undefined)
    addMessage(
      results.warnings,
      namespace,
      `unable to restore additional item persistentvolumes/${missing}: it is not in the backup`,
    );

  let object = actOn(stripped(item, run.spec), item, run);
  if (modifiers) {
    const modified = modifiers.apply(
      { ...object, metadata: { ...object.metadata, namespace: item.namespace } },
      item.groupResource,
    );
    for (const text of modified.errors)
      addMessage(results.errors, namespace, `error applying resource modifiers to ${about}: ${text}`);
    object = { ...modified.object };
  }
  const labels = {
    ...object.metadata.labels,
    'velero.io/backup-name': run.backupName.slice(0, 63),
    'velero.io/restore-name': run.restoreName.slice(0, 63),
  };
  const { namespace: _, ...metadata } = object.metadata;
  object.metadata = { ...metadata, labels, ...(namespace === undefined ? {} : { namespace }) };

  const path = `${object.apiVersion}/${item.path.slice(item.path.lastIndexOf('/') + 1)}`;
  if (!api.serves(path)) return fail(`error restoring ${about}: the server could not find the requested resource`);
  try {
    await api.create(path, object);
    return 'created';
  } catch (error) {
    if (!isWorthRetrying(error)) throw error;
    const live = (error as Json).reason === 'AlreadyExists' ? await api.get(path, namespace, item.name) : undefined;
    return live ? meetExisting(run, path, object, live, about) : fail(`error restoring ${about}: ${error.message}`);
  }
}

/** A bound claim asks for its volume; one that is not in the backup costs a warning. */
function missingVolume({ volumes }: Run, { groupResource: kind, object }: StoredItem): string | undefined {
  if (kind !== 'persistentvolumeclaims' || object['status']?.phase !== 'Bound') return undefined;
  const name: string | undefined = object['spec'].volumeName;
  return name !== undefined && !volumes.has(name) ? name : undefined;
}

/** What only one server's life put into it goes; labels, annotations, managed fields and finalizers stay. */
function stripped({ object, groupResource: kind }: StoredItem, spec: Json): TwinObject {
  const copy = stored(object);
  for (const field of [
    'generateName',
    'selfLink',
    'uid',
    'resourceVersion',
    'generation',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'ownerReferences',
  ])
    delete copy.metadata[field];
  const keeps =
    spec.restoreStatus &&
    resourceFilter(spec.restoreStatus.includedResources, spec.restoreStatus.excludedResources)(kind);
  if (!keeps) delete copy['status'];
  return copy;
}

/** Velero's own item actions, for the kinds that a migration carries; changes the copy it gets. */
function actOn(object: TwinObject, item: StoredItem, run: Run): TwinObject {
  const { spec } = object;
  switch (item.groupResource) {
    case 'persistentvolumes':
      unbind(object);
      if (spec.claimRef)
        spec.claimRef.namespace = run.spec.namespaceMapping?.[spec.claimRef.namespace] ?? spec.claimRef.namespace;
      mapClass(spec, run);
      break;
    case 'persistentvolumeclaims':
      unbind(object);
      if (run.emptied.has(spec.volumeName)) delete spec.volumeName;
      mapClass(spec, run);
      break;
    case 'statefulsets.apps':
      for (const it of spec.volumeClaimTemplates ?? []) mapClass(it.spec, run);
      break;
    case 'services':
      drawAnew(object, run.spec);
      break;
    case 'jobs.batch':
      delete spec.selector;
      for (const labels of [object.metadata.labels, spec.template?.metadata?.labels])
        for (const key of [
          'controller-uid',
          'job-name',
          'batch.kubernetes.io/controller-uid',
          'batch.kubernetes.io/job-name',
        ])
          delete labels?.[key];
      break;
    case 'serviceaccounts':
      // Tokens of the old cluster mean nothing in the new one.
      object['secrets'] = (object['secrets'] ?? []).filter((it: Json) => !it.name.startsWith(`${item.name}-token-`));
      if (object['secrets'].length === 0) delete object['secrets'];
      break;
    case 'secrets':
      if (object['type'] !== 'kubernetes.io/service-account-token') break;
      delete object.metadata.annotations?.['kubernetes.io/service-account.uid'];
      delete object['data'];
      break;
    case 'pods':
      delete spec.nodeName;
      delete spec.priority;
      break;
    case 'mutatingwebhookconfigurations.admissionregistration.k8s.io':
    case 'validatingwebhookconfigurations.admissionregistration.k8s.io':
      for (const it of object['webhooks'] ?? []) if (it.sideEffects !== 'NoneOnDryRun') it.sideEffects = 'None';
      break;
  }
  return object;
}

const BINDING = [
  'pv.kubernetes.io/bind-completed',
  'pv.kubernetes.io/bound-by-controller',
  'volume.kubernetes.io/selected-node',
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
];

function unbind(object: TwinObject): void {
  for (const key of BINDING) delete object.metadata.annotations?.[key];
  delete object['spec'].claimRef?.uid;
  delete object['spec'].claimRef?.resourceVersion;
}

function mapClass(spec: Json, { storageClasses }: Run): void {
  const to = storageClasses?.[spec.storageClassName];
  if (to !== undefined) spec.storageClassName = to;
}

/** Addresses are drawn anew, node ports too unless somebody chose them or the spec keeps them. */
function drawAnew(object: TwinObject, { preserveNodePorts }: Json): void {
  const { spec } = object;
  if (spec.clusterIP !== 'None') {
    delete spec.clusterIP;
    delete spec.clusterIPs;
  }
  if (spec.type === 'ExternalName' || preserveNodePorts) return;
  const chosen = explicitPorts(object);
  if (spec.healthCheckNodePort && !chosen.health) delete spec.healthCheckNodePort;
  for (const port of spec.ports ?? [])
    if (
      port.nodePort &&
      !chosen.ports.has(port.nodePort) &&
      !chosen.names.has(`${port.port}/${port.protocol ?? 'TCP'}`)
    )
      delete port.nodePort;
}

function explicitPorts({ metadata }: TwinObject): { ports: Set<number>; names: Set<string>; health: boolean } {
  const ports = new Set<number>();
  const names = new Set<string>();
  let health = false;
  const applied = metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'];
  if (applied) {
    const manifest = JSON.parse(applied);
    for (const it of manifest.spec?.ports ?? []) if (it.nodePort) ports.add(it.nodePort);
    health = Boolean(manifest.spec?.healthCheckNodePort);
    return { ports, names, health };
  }
  for (const { fieldsV1 } of metadata.managedFields ?? []) {
    const fields = fieldsV1?.['f:spec'];
    if (fields && 'f:healthCheckNodePort' in fields) health = true;
    for (const [key, value] of Object.entries<Json>(fields?.['f:ports'] ?? {})) {
      if (!key.startsWith('k:') || !('f:nodePort' in (value ?? {}))) continue;
      const { port, protocol = 'TCP' } = JSON.parse(key.slice(2));
      names.add(`${port}/${protocol}`);
    }
  }
  return { ports, names, health };
}

const IGNORED_LABELS = ['velero.io/backup-name', 'velero.io/restore-name'];

/** The live object as a restore would have written it, for a comparison. */
function comparable(object: TwinObject): string {
  const { metadata, status: _, ...rest } = stored<TwinObject>(object);
  const labels = Object.entries(metadata.labels ?? {}).filter(([key]) => !IGNORED_LABELS.includes(key));
  if (object.kind === 'Service')
    for (const field of ['clusterIP', 'clusterIPs', 'healthCheckNodePort']) delete rest['spec'][field];
  return canonical({ labels: Object.fromEntries(labels), annotations: metadata.annotations ?? {}, ...rest });
}

function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, it]) => it !== undefined);
  return `{${entries
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, it]) => `${key}:${canonical(it)}`)
    .join(',')}}`;
}

async function meetExisting(
  { api, spec, results }: Run,
  path: string,
  wanted: TwinObject,
  live: TwinObject,
  about: string,
): Promise<Outcome> {
  const { namespace } = wanted.metadata;
  if (comparable(live) === comparable(wanted)) return 'skipped';
  const warn = (text: string): Outcome => {
    addMessage(results.warnings, namespace, text);
    return 'skipped';
  };
  if (spec.existingResourcePolicy !== 'update')
    return warn(
      `could not restore, ${about} already exists. Warning: the in-cluster version is different than the backed-up version`,
    );
  const { metadata, ...rest } = wanted;
  try {
    const { finalizers: _finalizers, managedFields: _managedFields, ...kept } = metadata;
    await api.mergePatch(path, namespace, wanted.metadata.name, { ...rest, metadata: kept });
    return 'updated';
  } catch (error) {
    if (!isWorthRetrying(error)) throw error;
    return warn(`update failed for ${about}: ${error.message}`);
  }
}
