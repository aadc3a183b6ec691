import type { ClusterApi, Json, Timer, TwinObject } from '../types.js';
import { follow, keyOf, splitKey } from './follow.js';
import {
  countMessages,
  noMessages,
  type ObjectStore,
  type Results,
  type Shelf,
  stored,
  type StoredItem,
} from './object-store.js';
import { backgroundOf, type ControllerClock, isWorthRetrying, workQueue } from './queue.js';
import { isoSeconds } from './record.js';
import { collect, NEW_FILTERS, usesNewFilters } from './velero-backup.js';
import { listFaults } from './velero-filters.js';
import { type Modifiers, parseModifiers } from './velero-modifiers.js';
import { hasCreated, NON_RESTORABLE, type Restored, restoreItems } from './velero-restore.js';
import { isAtLeast } from './weights.js';

export { installVeleroCrds, veleroCrds } from './velero-crds.js';
export { memoryStore, type ObjectStore } from './object-store.js';

export interface VeleroOptions {
  /** from 1.18 on backups queue up */
  version: string;
  store: ObjectStore;
  /** `velero` when absent */
  namespace?: string;
  /** how long each phase takes */
  pace?: Partial<Pace>;
}

export interface Pace {
  stepMs: number;
  itemMs: number;
}

export interface Velero {
  /** errors and warnings of a finished Restore, as in its results file */
  results(restore: string): Results | undefined;
  /** `apps/v1/Deployment` → `ns/name(created)` */
  resourceList(restore: string): Record<string, string[]> | undefined;
  stop(): void;
}

const BACKUPS = 'velero.io/v1/backups';
const RESTORES = 'velero.io/v1/restores';
const LOCATIONS = 'velero.io/v1/backupstoragelocations';
const REQUESTS = 'velero.io/v1/deletebackuprequests';
const STATUS_REQUESTS = 'velero.io/v1/serverstatusrequests';

export const RESTORE_FINALIZER = 'restores.velero.io/external-resources-finalizer';
const LOCATION_LABEL = 'velero.io/storage-location';
const MINUTE_MS = 60_000;
const DEFAULT_PACE: Pace = { stepMs: 300, itemMs: 5 };
const DEFAULT_TTL = '720h0m0s';
const DEFINITIONS_MS = 1_000;

/** A Go duration such as `720h0m0s`, `1m`, `500ms`, in milliseconds; undefined when it is none. */
export function durationMs(text: string): number | undefined {
  const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  if (text === '0') return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * units[unit!]!,
    0,
  );
}

const isFinished = (phase: string | undefined): boolean =>
  phase === 'Completed' || phase === 'PartiallyFailed' || phase === 'Failed';

const isNew = (it: TwinObject): boolean => ['New', ''].includes(it['status']?.phase ?? 'New');

const countOf = (count: number): number | undefined => (count === 0 ? undefined : count);

/**
 * Velero's controllers for one cluster, with an object store that several clusters may share. Kinds, phases, order, stripping and
 * messages are those of 1.18; what needs a node (hooks, file-system backups, data movers) is not played.
 *
 * @source vmware-tanzu/velero:pkg/controller, pkg/backup, pkg/restore; runs of 1.18.3 against real API servers
 */
export async function startVelero(api: ClusterApi, clock: ControllerClock, options: VeleroOptions): Promise<Velero> {
  const { version, store, namespace = 'velero' } = options;
  const pace: Pace = { ...DEFAULT_PACE, ...options.pace };
  const queues = isAtLeast(version, '1.18.0');
  const timers = new Set<Timer>();
  const now = (): string => isoSeconds(clock.now());

  const patch = (resource: string, name: string, change: Json): Promise<TwinObject> =>
    api.mergePatch(resource, namespace, name, change);
  const setStatus = (resource: string, name: string, status: Json): Promise<TwinObject> =>
    patch(resource, name, { status });
  const ours = (object: TwinObject): boolean => object.metadata.namespace === namespace;

  const location = async (name: string | undefined): Promise<TwinObject | undefined> => {
    if (name) return api.get(LOCATIONS, namespace, name);
    const all = await api.list(LOCATIONS, namespace);
    return all.find((it) => it['spec'].default) ?? all.find((it) => it.metadata.name === 'default');
  };

  const shelfOf = (place: TwinObject): Shelf | undefined => {
    const { bucket, prefix } = place['spec'].objectStorage ?? {};
    return bucket && place['spec'].provider ? store.open(bucket, prefix) : undefined;
  };

  // Storage locations

  const lookAtLocation = async (key: string): Promise<void> => {
    const { name } = splitKey(key);
    const place = await api.get(LOCATIONS, namespace, name);
    if (!place) return;
    const shelf = shelfOf(place);
    const bucket = place['spec'].objectStorage?.bucket;
    const status = shelf
      ? { phase: 'Available', message: null, lastValidationTime: now() }
      : {
          phase: 'Unavailable',
          message: `BackupStorageLocation "${name}" is unavailable: rpc error: code = Unknown desc = bucket ${bucket} does not exist`,
          lastValidationTime: now(),
        };
    if (place['status']?.phase !== status.phase || place['status']?.message !== (status.message ?? undefined))
      await setStatus(LOCATIONS, name, status);
  };

  /** Backups of the store that this cluster does not know come in; known ones that left the store go. */
  const sync = async (place: TwinObject): Promise<void> => {
    const shelf = shelfOf(place);
    if (!shelf || place['status']?.phase !== 'Available') return;
    const placeName: string = place.metadata.name;
    for (const [name, { backup }] of shelf.backups) {
      if (!isFinished(backup['status']?.phase) || (await api.get(BACKUPS, namespace, name))) continue;
      const { hooks: _hooks, ...spec } = backup['spec'];
      const labels = { ...backup.metadata.labels, [LOCATION_LABEL]: placeName };
      const { annotations } = backup.metadata;
      await api.create(BACKUPS, {
        apiVersion: 'velero.io/v1',
        kind: 'Backup',
        metadata: { name, namespace, labels, ...(annotations ? { annotations } : {}) },
        spec: { ...stored(spec), storageLocation: placeName },
        status: stored(backup['status']),
      });
    }
    for (const backup of await api.list(BACKUPS, namespace)) {
      const isHere = backup.metadata.labels?.[LOCATION_LABEL] === placeName && isFinished(backup['status']?.phase);
      if (isHere && !shelf.backups.has(backup.metadata.name))
        await api.delete(BACKUPS, namespace, backup.metadata.name);
    }
    await setStatus(LOCATIONS, placeName, { lastSyncedTime: now() });
  };

  const every = (ms: number, run: () => Promise<void>): void => {
    let timer: Timer | undefined;
    const again = (): void => {
      if (timer) timers.delete(timer);
      timer = backgroundOf(clock).after(ms, async () => {
        try {
          await run();
        } catch (error) {
          if (!isWorthRetrying(error)) throw error;
        }
        again();
      });
      timers.add(timer);
    };
    again();
  };

  const synced = new Map<string, number>();
  const syncDue = async (): Promise<void> => {
    for (const place of await api.list(LOCATIONS, namespace)) {
      const period = durationMs(String(place['spec'].backupSyncPeriod ?? '1m')) ?? MINUTE_MS;
      const { name } = place.metadata;
      if (period === 0 || clock.now() - (synced.get(name) ?? Number.NEGATIVE_INFINITY) < period) continue;
      synced.set(name, clock.now());
      await sync(place);
    }
  };

  // Backups

  const validateBackup = async (backup: TwinObject): Promise<{ place?: TwinObject; errors: string[] }> => {
    const { spec } = backup;
    const place = await location(spec.storageLocation);
    const errors: string[] = [];
    if (!place)
      errors.push(
        spec.storageLocation
          ? `an existing backup storage location wasn't specified at backup creation time and the server default '${spec.storageLocation}' doesn't exist. Please address this issue (see \`velero backup-location -h\` for options) and create a new backup. Error: backupstoragelocations.velero.io "${spec.storageLocation}" not found`
          : 'an existing backup storage location was not specified at backup creation time and the default default was not found. Please address this issue (see `velero backup-location -h` for options) and create a new backup.',
      );
    else if (place['spec'].accessMode === 'ReadOnly')
      errors.push(
        `backup can't be created because backup storage location ${place.metadata.name} is currently in read-only mode`,
      );
    else if (place['status']?.phase !== 'Available')
      errors.push(
        `backup can't be created because BackupStorageLocation ${place.metadata.name} is in Unavailable status.`,
      );
    const old =
      ['includedResources', 'excludedResources'].some((it) => (spec[it] ?? []).length > 0) ||
      spec.includeClusterResources !== undefined;
    if (old && usesNewFilters(spec))
      errors.push(
        `include-resources, exclude-resources and include-cluster-resources are old filter parameters.\n${NEW_FILTERS.join(', ')} are new filter parameters.\nThey cannot be used together`,
      );
    for (const fault of listFaults(spec.includedResources, spec.excludedResources))
      errors.push(`Invalid included/excluded resource lists: ${fault}`);
    for (const fault of listFaults(spec.includedNamespaces, spec.excludedNamespaces))
      errors.push(`Invalid included/excluded namespace lists: ${fault}`);
    if (spec.labelSelector && spec.orLabelSelectors)
      errors.push('encountered labelSelector as well as orLabelSelectors in backup spec, only one can be specified');
    if (spec.ttl !== undefined && durationMs(String(spec.ttl)) === undefined) errors.push(`invalid ttl ${spec.ttl}`);
    return { ...(place ? { place } : {}), errors };
  };

  const isUnderWay = (backup: TwinObject): boolean =>
    ['InProgress', 'ReadyToStart', 'Finalizing', 'FinalizingPartiallyFailed'].includes(backup['status']?.phase);

  /** Collected when it began, written to the store when it ends. */
  const gathered = new Map<string, { items: StoredItem[]; results: Results }>();

  const acceptBackup = async (backup: TwinObject): Promise<number | void> => {
    const { name } = backup.metadata;
    const { place, errors } = await validateBackup(backup);
    const ttl = String(backup['spec'].ttl ?? DEFAULT_TTL);
    const status = { version: 1, formatVersion: '1.1.0', expiration: isoSeconds(clock.now() + (durationMs(ttl) ?? 0)) };
    if (errors.length > 0) {
      await setStatus(BACKUPS, name, { ...status, phase: 'FailedValidation', validationErrors: errors });
      return;
    }
    const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(api.version) ?? [];
    await patch(BACKUPS, name, {
      metadata: {
        labels: { [LOCATION_LABEL]: place!.metadata.name },
        annotations: {
          'velero.io/source-cluster-k8s-gitversion': api.version,
          'velero.io/source-cluster-k8s-major-version': major,
          'velero.io/source-cluster-k8s-minor-version': minor,
        },
      },
      spec: {
        storageLocation: place!.metadata.name,
        ttl,
        includedNamespaces: backup['spec'].includedNamespaces ?? ['*'],
      },
      status: { ...status, phase: queues ? 'Queued' : 'InProgress', ...(queues ? {} : { startTimestamp: now() }) },
    });
    return pace.stepMs;
  };

  const dequeue = async (backup: TwinObject): Promise<number> => {
    const all = (await api.list(BACKUPS, namespace)).filter((it) => it.metadata.uid !== backup.metadata.uid);
    const isBefore = (it: TwinObject): boolean => it['status']?.phase === 'Queued' && keyAge(it) < keyAge(backup);
    const position = all.filter(isBefore).length + 1;
    if (all.some((it) => isUnderWay(it) || isBefore(it))) {
      if (backup['status'].queuePosition !== position)
        await setStatus(BACKUPS, backup.metadata.name, { queuePosition: position });
      return 1_000;
    }
    await setStatus(BACKUPS, backup.metadata.name, { phase: 'ReadyToStart', queuePosition: null });
    return pace.stepMs;
  };

  const keyAge = (it: TwinObject): string => `${it.metadata.creationTimestamp} ${it.metadata.name}`;

  const runBackup = async (backup: TwinObject): Promise<number | void> => {
    const { name, uid } = backup.metadata;
    const known = gathered.get(uid);
    if (!known) {
      const taken = await collect(api, backup['spec']);
      gathered.set(uid, taken);
      await setStatus(BACKUPS, name, {
        progress: {
          totalItems: countOf(taken.items.length),
          itemsBackedUp: countOf(Math.floor(taken.items.length / 2)),
        },
      });
      return pace.stepMs + pace.itemMs * taken.items.length;
    }
    const failed = countMessages(known.results.errors) > 0;
    const total = known.items.length;
    await setStatus(BACKUPS, name, {
      phase: failed ? 'FinalizingPartiallyFailed' : 'Finalizing',
      progress: { totalItems: countOf(total) ?? null, itemsBackedUp: countOf(total) ?? null },
      errors: countOf(countMessages(known.results.errors)) ?? null,
      warnings: countOf(countMessages(known.results.warnings)) ?? null,
    });
    return pace.stepMs;
  };

  const finishBackup = async (backup: TwinObject): Promise<void> => {
    const { name, uid } = backup.metadata;
    const taken = gathered.get(uid) ?? { items: [], results: { errors: noMessages(), warnings: noMessages() } };
    gathered.delete(uid);
    const place = await location(backup['spec'].storageLocation);
    const shelf = place && shelfOf(place);
    if (!shelf) {
      await setStatus(BACKUPS, name, {
        phase: 'Failed',
        failureReason: 'error uploading the backup: the backup storage location is gone',
        completionTimestamp: now(),
      });
      return;
    }
    const ended = {
      phase: backup['status'].phase === 'Finalizing' ? 'Completed' : 'PartiallyFailed',
      completionTimestamp: now(),
    };
    // The store has it first: a finished Backup that is not in the store is taken away by the next sync.
    shelf.backups.set(name, {
      backup: { ...stored(backup), status: { ...stored(backup['status']), ...ended } },
      items: taken.items,
      results: taken.results,
    });
    await setStatus(BACKUPS, name, ended);
  };

  const lookAtBackup = async (key: string): Promise<number | void> => {
    const { name } = splitKey(key);
    const backup = await api.get(BACKUPS, namespace, name);
    if (!backup || backup.metadata.deletionTimestamp) return;
    switch (backup['status']?.phase ?? 'New') {
      case '':
      case 'New':
        return acceptBackup(backup);
      case 'Queued':
        return dequeue(backup);
      case 'ReadyToStart':
        await setStatus(BACKUPS, name, { phase: 'InProgress', startTimestamp: now() });
        return 0;
      case 'InProgress':
        return runBackup(backup);
      case 'Finalizing':
      case 'FinalizingPartiallyFailed':
        return finishBackup(backup);
    }
  };

  // Deletion

  const lookAtRequest = async (key: string): Promise<void> => {
    const { name } = splitKey(key);
    const request = await api.get(REQUESTS, namespace, name);
    if (!request || request['status']?.phase === 'Processed') return;
    const backupName: string = request['spec']?.backupName ?? '';
    const refuse = (text: string): Promise<TwinObject> =>
      setStatus(REQUESTS, name, { phase: 'Processed', errors: [text] });
    if (!backupName) return void (await refuse('spec.backupName is required'));
    const backup = await api.get(BACKUPS, namespace, backupName);
    if (!backup) return void (await refuse('backup not found'));
    if (isUnderWay(backup)) return void (await refuse('backup is still in progress'));
    const place = await location(backup['spec'].storageLocation);
    if (!place) return void (await refuse(`backup storage location ${backup['spec'].storageLocation} not found`));
    if (place['spec'].accessMode === 'ReadOnly')
      return void (await refuse(
        `cannot delete backup because backup storage location ${place.metadata.name} is currently in read-only mode`,
      ));
    const shelf = shelfOf(place);
    await setStatus(BACKUPS, backupName, { phase: 'Deleting' });
    shelf?.backups.delete(backupName);
    for (const key of shelf?.files.keys() ?? []) if (key.startsWith(`backups/${backupName}/`)) shelf?.files.delete(key);
    for (const restore of await api.list(RESTORES, namespace)) {
      if (restore['spec'].backupName !== backupName) continue;
      shelf?.restores.delete(restore.metadata.name);
      await api.delete(RESTORES, namespace, restore.metadata.name);
    }
    await api.delete(BACKUPS, namespace, backupName);
    await api.delete(REQUESTS, namespace, name);
  };

  /** Expired backups are asked to go, once an hour. */
  const collectExpired = async (): Promise<void> => {
    for (const backup of await api.list(BACKUPS, namespace)) {
      const expiration = backup['status']?.expiration;
      const { name } = backup.metadata;
      if (
        !expiration ||
        Date.parse(expiration) > clock.now() ||
        (await api.get(REQUESTS, namespace, `${name}-expired`))
      )
        continue;
      await api.create(REQUESTS, {
        apiVersion: 'velero.io/v1',
        kind: 'DeleteBackupRequest',
        metadata: { name: `${name}-expired`, namespace, labels: { 'velero.io/backup-name': name } },
        spec: { backupName: name },
      });
    }
  };

  // Restores

  const lastResults = new Map<string, { results: Results; resourceList: Record<string, string[]> }>();

  const modifiersOf = async (spec: Json): Promise<Modifiers | undefined> => {
    if (!spec.resourceModifier) return undefined;
    const { kind, name } = spec.resourceModifier;
    if (String(kind).toLowerCase() !== 'configmap') throw new RangeError(`Invalid resource modifier kind: ${kind}`);
    const map = await api.get('v1/configmaps', namespace, name);
    if (!map) throw new RangeError(`failed to get resource modifiers configmap ${namespace}/${name}`);
    return parseModifiers(map['data']);
  };

  const backupFor = async (spec: Json): Promise<TwinObject | undefined> => {
    if (spec.backupName) return api.get(BACKUPS, namespace, spec.backupName);
    const all = await api.list(BACKUPS, namespace);
    const ofSchedule = all.filter(
      (it) =>
        it.metadata.labels?.['velero.io/schedule-name'] === spec.scheduleName && it['status']?.phase === 'Completed',
    );
    return ofSchedule.toSorted((a, b) =>
      (a['status'].startTimestamp ?? '') < (b['status'].startTimestamp ?? '') ? 1 : -1,
    )[0];
  };

  const validateRestore = async (restore: TwinObject): Promise<string[]> => {
    const { spec } = restore;
    const errors: string[] = [];
    for (const it of spec.includedResources ?? [])
      if (NON_RESTORABLE.includes(it)) errors.push(`${it} are non-restorable resources`);
    for (const fault of listFaults(spec.includedResources, spec.excludedResources))
      errors.push(`Invalid included/excluded resource lists: ${fault}`);
    for (const fault of listFaults(spec.includedNamespaces, spec.excludedNamespaces))
      errors.push(`Invalid included/excluded namespace lists: ${fault}`);
    if (spec.labelSelector && spec.orLabelSelectors)
      errors.push('encountered labelSelector as well as orLabelSelectors in restore spec, only one can be specified');
    if (spec.existingResourcePolicy && !['none', 'update'].includes(spec.existingResourcePolicy))
      errors.push('Invalid ExistingResourcePolicy');
    if (Boolean(spec.backupName) === Boolean(spec.scheduleName))
      return [...errors, 'Either a backup or schedule must be specified as a source for the restore, but not both'];
    const backup = await backupFor(spec);
    if (!backup)
      return [
        ...errors,
        spec.backupName
          ? `Error retrieving backup: backup.velero.io "${spec.backupName}" not found`
          : 'No backups found for schedule',
      ];
    const place = await location(backup['spec'].storageLocation);
    if (!place || !shelfOf(place)?.backups.has(backup.metadata.name))
      errors.push(`Error retrieving backup: the contents of ${backup.metadata.name} are not in its storage location`);
    try {
      await modifiersOf(spec);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      errors.push(
        error.message.startsWith('failed to get')
          ? error.message
          : `Error in parsing resource modifiers provided in configmap ${namespace}/${spec.resourceModifier.name}: ${error.message}`,
      );
    }
    return errors;
  };

  const acceptRestore = async (restore: TwinObject): Promise<number | void> => {
    const { name, finalizers = [] } = restore.metadata;
    const errors = await validateRestore(restore);
    if (errors.length > 0) {
      await setStatus(RESTORES, name, { phase: 'FailedValidation', validationErrors: errors });
      return;
    }
    const { spec } = restore;
    const backup = await backupFor(spec);
    const metadata = finalizers.includes(RESTORE_FINALIZER)
      ? {}
      : { metadata: { finalizers: [...finalizers, RESTORE_FINALIZER] } };
    await patch(RESTORES, name, {
      ...metadata,
      spec: {
        backupName: backup!.metadata.name,
        excludedResources: [...new Set([...(spec.excludedResources ?? []), ...NON_RESTORABLE])],
      },
      status: { phase: 'InProgress', startTimestamp: now() },
    });
    const place = await location(backup!['spec'].storageLocation);
    return pace.stepMs + pace.itemMs * (shelfOf(place!)?.backups.get(backup!.metadata.name)?.items.length ?? 0);
  };

  /** `old` → `new` by the plug-in's ConfigMap, whose labels it is found by. */
  const storageClassMap = async (): Promise<Record<string, string> | undefined> => {
    const maps = await api.list('v1/configmaps', namespace);
    const found = maps.find(
      (it) =>
        'velero.io/plugin-config' in (it.metadata.labels ?? {}) &&
        it.metadata.labels['velero.io/change-storage-class'] === 'RestoreItemAction',
    );
    return found?.['data'];
  };

  /** Restores whose definitions of custom kinds are in place. */
  const begun = new Map<string, Restored>();

  const runRestore = async (restore: TwinObject): Promise<number> => {
    const { name } = restore.metadata;
    const { spec } = restore;
    const backup = await backupFor(spec);
    const place = backup && (await location(backup['spec'].storageLocation));
    const shelf = place && shelfOf(place);
    const contents = shelf?.backups.get(spec.backupName);
    const results: Results = { errors: noMessages(), warnings: noMessages() };
    let done: Restored;
    if (!(await api.get('apps/v1/deployments', namespace, 'velero'))) {
      results.errors.velero.push('error getting velero deployment: deployments.apps "velero" not found');
      done = { results, resourceList: {}, count: 0 };
    } else if (!contents) {
      results.errors.velero.push(`error downloading backup ${spec.backupName}`);
      done = { results, resourceList: {}, count: 0 };
    } else {
      const modifiers = await modifiersOf(spec);
      const context = {
        api,
        spec,
        backupName: spec.backupName,
        restoreName: name,
        modifiers,
        storageClasses: await storageClassMap(),
      };
      const defined = begun.get(restore.metadata.uid);
      done = await restoreItems(context, contents.items, defined ? 'others' : 'definitions', defined);
      if (!defined) {
        begun.set(restore.metadata.uid, done);
        // New kinds need a moment until they are served.
        return hasCreated(done) ? DEFINITIONS_MS : 0;
      }
      begun.delete(restore.metadata.uid);
    }
    lastResults.set(name, done);
    const errors = countMessages(done.results.errors);
    await setStatus(RESTORES, name, {
      phase: errors > 0 ? 'FinalizingPartiallyFailed' : 'Finalizing',
      errors: countOf(errors) ?? null,
      warnings: countOf(countMessages(done.results.warnings)) ?? null,
      progress: { totalItems: countOf(done.count) ?? null, itemsRestored: countOf(done.count) ?? null },
    });
    return pace.stepMs;
  };

  const finishRestore = async (restore: TwinObject): Promise<void> => {
    const { name } = restore.metadata;
    const phase = restore['status'].phase === 'Finalizing' ? 'Completed' : 'PartiallyFailed';
    const ended = await setStatus(RESTORES, name, { phase, completionTimestamp: now() });
    const backup = await api.get(BACKUPS, namespace, restore['spec'].backupName);
    const place = backup && (await location(backup['spec'].storageLocation));
    const done = lastResults.get(name);
    if (place && done)
      shelfOf(place)?.restores.set(name, {
        restore: stored(ended),
        results: done.results,
        resourceList: done.resourceList,
      });
  };

  const releaseRestore = async (restore: TwinObject): Promise<void> => {
    const { name, finalizers = [] } = restore.metadata;
    if (!finalizers.includes(RESTORE_FINALIZER)) return;
    const left = finalizers.filter((it: string) => it !== RESTORE_FINALIZER);
    const backup = await api.get(BACKUPS, namespace, restore['spec'].backupName);
    const place = backup && (await location(backup['spec'].storageLocation));
    if (place) shelfOf(place)?.restores.delete(name);
    lastResults.delete(name);
    await patch(RESTORES, name, { metadata: { finalizers: left.length > 0 ? left : null } });
  };

  const lookAtRestore = async (key: string): Promise<number | void> => {
    const { name } = splitKey(key);
    const restore = await api.get(RESTORES, namespace, name);
    if (!restore) return;
    if (restore.metadata.deletionTimestamp) return releaseRestore(restore);
    switch (restore['status']?.phase ?? 'New') {
      case '':
      case 'New':
        return acceptRestore(restore);
      case 'InProgress':
        return runRestore(restore);
      case 'Finalizing':
      case 'FinalizingPartiallyFailed':
        return finishRestore(restore);
    }
  };

  const lookAtStatusRequest = async (key: string): Promise<void> => {
    const { name } = splitKey(key);
    const request = await api.get(STATUS_REQUESTS, namespace, name);
    if (request && request['status']?.phase !== 'Processed')
      await setStatus(STATUS_REQUESTS, name, {
        phase: 'Processed',
        processedTimestamp: now(),
        serverVersion: `v${version.replace(/^v/, '')}`,
        plugins: [{ kind: 'ObjectStore', name: 'velero.io/alibabacloud' }],
      });
  };

  /** What a server that went away left half done is given up by the next one. */
  const giveUp = async (): Promise<void> => {
    for (const [resource, word] of [
      [BACKUPS, 'backup'],
      [RESTORES, 'restore'],
    ] as const)
      for (const object of await api.list(resource, namespace)) {
        if (object['status']?.phase !== 'InProgress') continue;
        const failureReason = `found a ${word} with status "InProgress" during the server starting, mark it as "Failed"`;
        await setStatus(resource, object.metadata.name, { phase: 'Failed', failureReason, completionTimestamp: now() });
      }
  };

  await giveUp();
  const running: { stop(): void }[] = [];
  /** One that is new is looked at; each look says when the next one is due. At the start all that is not finished is taken up again. */
  const watchKind = async (
    resource: string,
    look: (key: string) => Promise<number | void>,
    isDue = isNew,
  ): Promise<void> => {
    const queue = workQueue(clock, { delayMs: pace.stepMs }, look);
    const followed = await follow(api, resource, ({ type, object }, before) => {
      if (type === 'DELETED' || !ours(object)) return;
      if (isDue(object) || (before === undefined && !isFinished(object['status']?.phase))) queue.add(keyOf(object));
    });
    running.push(queue, followed);
  };
  await watchKind(LOCATIONS, lookAtLocation);
  await watchKind(BACKUPS, lookAtBackup);
  await watchKind(RESTORES, lookAtRestore, (it) => isNew(it) || it.metadata.deletionTimestamp !== undefined);
  await watchKind(REQUESTS, lookAtRequest);
  await watchKind(STATUS_REQUESTS, lookAtStatusRequest);
  every(MINUTE_MS, async () => {
    for (const place of await api.list(LOCATIONS, namespace)) await lookAtLocation(keyOf(place));
  });
  every(1_000, syncDue);
  every(60 * MINUTE_MS, collectExpired);

  return {
    results: (restore) => lastResults.get(restore)?.results,
    resourceList: (restore) => lastResults.get(restore)?.resourceList,
    stop() {
      for (const it of running) it.stop();
      for (const timer of timers) timer.cancel();
    },
  };
}

/** What an installed Velero has beside its kinds: its namespace, its Deployment, and a location for backups. */
export function veleroObjects(version = '1.18.3', namespace = 'velero', bucket = 'migrate'): TwinObject[] {
  const labels = { component: 'velero' };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'velero', namespace, labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: { deploy: 'velero' } },
        template: {
          metadata: { labels: { ...labels, deploy: 'velero' } },
          spec: { containers: [{ name: 'velero', image: `velero/velero:v${version}`, args: ['server'] }] },
        },
      },
    },
    {
      apiVersion: 'velero.io/v1',
      kind: 'BackupStorageLocation',
      metadata: { name: 'default', namespace, labels },
      spec: { provider: 'alibabacloud', default: true, objectStorage: { bucket } },
    },
  ];
}
