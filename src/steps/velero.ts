import type { BackupArgs, RestoreArgs, RulesArgs } from '../args.js';
import { grouped, reasonOf } from '../causes.js';
import { DESCRIPTION, folderOf } from '../archive.js';
import { isMigrateError, MigrateError } from '../errors.js';
import { contentsOf, errorsOf, shelfOf } from '../location.js';
import { whyMissing } from '../missing.js';
import { pathOf, rightOn, splitKind, splitPath } from '../objects.js';
import type { Cluster, Kind, KubeObject } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { inTurns } from '../turns.js';
import { count, spell } from '../words.js';
import { mustRest, RIGHTS_OF_REST } from './at-rest.js';
import { owing } from './owing.js';
import { until } from '../wait.js';

/**
 * Applications by Velero: we create its Backup and Restore objects and judge them by phase and counts, never by a command's exit
 * status, with a deadline of our own, for Velero can wait for ever.
 *
 * @source vmware-tanzu/velero:pkg/apis/velero/v1 (phases, counts), and runs of 1.18.3: zero counts are absent keys
 */

export const BACKUP: Kind = 'Backup.velero.io';
const RESTORE: Kind = 'Restore.velero.io';
const MARK = 'migrate/plan';

/** On what says Completed and lacks objects: the next try goes by another name. */
const INCOMPLETE = 'migrate/incomplete';

/** More than this many failed tries under new names is no bad luck. */
const TRIES = 3;

export const markOf = ({ mark, step }: StepContext, name: string) => ({
  [MARK]: `${name}-${mark}`,
  'migrate/step': step.id.replaceAll('/', '.'),
});
export const baseName = ({ mark }: StepContext, name: string) => `migrate-${name}-${mark}`;
const backupNamed = (args: { namespace: string; name: string }, context: StepContext): Named =>
  named(args, baseName(context, args.name), context);
const restoreNamed = (args: RestoreArgs, context: StepContext): Named =>
  named(args, restoreName(args, context), context);
const tryName = (base: string, index: number) => (index === 0 ? base : `${base}-${index + 1}`);

const veleroRights = (resource: string) =>
  ['get', 'list', 'create', 'delete'].map((verb) => ({ verb, group: 'velero.io', resource }));

export const backup: StepKind<BackupArgs, Record<string, never>> = {
  kind: 'velero-backup',
  title: ({ namespaces }) => `Velero backup of ${namespaces.join(', ')}`,
  wayBack: () => 'deletes the backup',
  rights: () => ({
    target: [
      { verb: 'list', group: 'velero.io', resource: 'backups' },
      { verb: 'delete', group: 'velero.io', resource: 'backups' },
    ],
    source: [
      ...veleroRights('backups'),
      { verb: 'patch', group: 'velero.io', resource: 'backups' },
      ...veleroRights('deletebackuprequests'),
      { verb: 'get', group: 'velero.io', resource: 'backupstoragelocations' },
    ],
  }),

  async check({ namespace, location }, { world }) {
    for (const side of ['source', 'target'] as const)
      await mustBeAvailable(world[side], namespace, location, side === 'source');
    return {};
  },

  async apply(args, _before, context) {
    await ensure(context.world.source, BACKUP, backupNamed(args, context), (name) => ({
      apiVersion: 'velero.io/v1',
      kind: 'Backup',
      metadata: { name, namespace: args.namespace, labels: markOf(context, args.name) },
      spec: {
        includedNamespaces: args.namespaces,
        excludedResources: args.excluded,
        includeClusterResources: false,
        snapshotVolumes: false,
        storageLocation: args.location,
        ttl: '720h0m0s',
      },
    }));
  },

  async verify(args, _before, context) {
    const ended = await untilEnded(context.world.source, BACKUP, args, backupNamed(args, context), context);
    await mustHoldAll(args, ended, context);
  },

  async undo(args, _before, context) {
    const { world } = context;
    await until(
      context,
      {
        code: 'BACKUP_NOT_DELETED',
        deadlineMs: args.deadlineMs,
        subject: `Backup ${baseName(context, args.name)}`,
        why: 'Velero on the source does not run, or its storage location is read-only.',
        fix: 'Look at its DeleteBackupRequest on the source, then go back again.',
      },
      async () => {
        const [name] = await namesOf(world.source, BACKUP, backupNamed(args, context));
        return name === undefined
          ? undefined
          : askToDelete(world.source, args.namespace, name, markOf(context, args.name));
      },
    );
    // The target's copy of it goes when the two servers next compare notes with the store.
    return owing(`the copy of ${baseName(context, args.name)} is still listed there.`, () =>
      until(
        context,
        {
          code: 'BACKUP_NOT_DELETED',
          deadlineMs: args.deadlineMs,
          subject: `Backup ${baseName(context, args.name)} on the target`,
          why: 'Velero on the target does not run.',
          fix: 'Look at Velero on the target, then go back again.',
        },
        async () => {
          const left = await namesOf(world.target, BACKUP, backupNamed(args, context));
          const [first] = left;
          if (first !== undefined && (await isGoneFromStore(args, first, context)))
            await world.target.delete({ kind: BACKUP, namespace: args.namespace, name: first });
          return left.length === 0 ? undefined : `${left.join(', ')} is still listed`;
        },
      ),
    );
  },
};

/** Velero compares its list with the store once a minute; where we see the store, we do then what it would. */
async function isGoneFromStore(
  { namespace, location }: BackupArgs,
  name: string,
  { world }: StepContext,
): Promise<boolean> {
  const place = await world.target.get({ kind: 'BackupStorageLocation.velero.io', namespace, name: location });
  if (!place) return false;
  const { bucket, prefix } = shelfOf(place, world, 'brief');
  try {
    return (await bucket.list(folderOf(prefix, name))).length === 0;
  } catch (error) {
    if (isMigrateError(error) && error.code.startsWith('STORE_')) return false;
    throw error;
  }
}

/**
 * Velero deletes no backup that is under way, and a request that failed is not tried again: then it takes a new one.
 * @returns what it waits for, in words
 * @source vmware-tanzu/velero:pkg/controller/backup_deletion_controller.go
 */
async function askToDelete(
  cluster: Cluster,
  namespace: string,
  name: string,
  labels: Record<string, string>,
): Promise<string> {
  const found = await cluster.get({ kind: BACKUP, namespace, name });
  const phase = found ? phaseOf(found) : 'gone';
  if (found && !ENDED.has(phase)) return `${name} is still ${phase}`;
  const ref = { kind: 'DeleteBackupRequest.velero.io', namespace, name };
  const request = await cluster.get(ref);
  if (!request) {
    await cluster.create({
      apiVersion: 'velero.io/v1',
      kind: 'DeleteBackupRequest',
      metadata: { name, namespace, labels: { 'velero.io/backup-name': name, ...labels } },
      spec: { backupName: name },
    });
  } else if (request['status']?.phase === 'Processed') {
    await cluster.delete(ref);
    return `${name} could not be deleted: ${((request['status']?.errors ?? []) as string[]).join('; ').slice(0, 200)}`;
  }
  return `${name} is still there`;
}

/** @throws MigrateError VELERO_MISSING, STORAGE_UNAVAILABLE, STORAGE_READ_ONLY */
export async function mustBeAvailable(
  cluster: Cluster,
  namespace: string,
  location: string,
  toWrite: boolean,
): Promise<KubeObject> {
  const found = await cluster
    .get({ kind: 'BackupStorageLocation.velero.io', namespace, name: location })
    .catch((error: unknown) => {
      if (error instanceof MigrateError && error.code === 'KUBE_NOT_SERVED') return undefined;
      throw error;
    });
  if (!found) {
    throw new MigrateError('VELERO_MISSING', {
      what: `The ${cluster.side} has no BackupStorageLocation ${namespace}/${location}.`,
      why: 'Velero is not installed there, or under other names.',
      fix: 'Install Velero on both sides with the same bucket, or name its namespace and location under `data.velero`.',
    });
  }
  const phase: unknown = found['status']?.phase;
  if (phase !== 'Available') {
    throw new MigrateError('STORAGE_UNAVAILABLE', {
      what: `Storage location ${namespace}/${location} on the ${cluster.side} is ${typeof phase === 'string' ? phase : 'not validated yet'}.`,
      why: String(found['status']?.message ?? 'Velero has not said why.'),
      fix: 'Look at its bucket and credentials; run again when it is Available.',
    });
  }
  if (toWrite && found['spec']?.accessMode === 'ReadOnly') {
    throw new MigrateError('STORAGE_READ_ONLY', {
      what: `Storage location ${namespace}/${location} on the ${cluster.side} is ReadOnly.`,
      why: 'Velero makes no backup into such a location, and deletes none from it.',
      fix: 'Set its accessMode to ReadWrite on the source for the move; the target only reads, and may stay as it is.',
    });
  }
  return found;
}

/** Objects of Velero's that belong to one step, by name and label. */
interface Named {
  namespace: string;
  base: string;
  /** value of the label `migrate/plan` */
  mark: string;
}

const named = (args: { namespace: string; name: string }, base: string, context: StepContext): Named => ({
  namespace: args.namespace,
  base,
  mark: `${args.name}-${context.mark}`,
});

/** Finds the object of the first try that has not failed, or makes the next one: a failed one's name is taken for good. */
async function ensure(
  cluster: Cluster,
  kind: Kind,
  { namespace, base, mark }: Named,
  make: (name: string) => KubeObject,
): Promise<void> {
  for (let index = 0; index < TRIES; index++) {
    const name = tryName(base, index);
    const found = await cluster.get({ kind, namespace, name });
    // One that somebody else made under our name is left alone, like one of ours that failed.
    if (found && (isBad(found) || found.metadata.labels?.[MARK] !== mark)) continue;
    if (!found) await cluster.create(make(name));
    return;
  }
  throw new MigrateError('VELERO_KEEPS_FAILING', {
    what: `${splitKind(kind).kind} ${namespace}/${base} failed ${TRIES} times.`,
    why: 'The reason does not go away by itself.',
    fix: `See \`velero ${splitKind(kind).kind.toLowerCase()} describe ${base}\` on the ${cluster.side}; then roll back and run again.`,
  });
}

const phaseOf = (object: KubeObject): string => String(object['status']?.phase ?? 'New');

const ENDED_BADLY = new Set([
  'Failed',
  'FailedValidation',
  'PartiallyFailed',
  'FinalizingPartiallyFailed',
  'WaitingForPluginOperationsPartiallyFailed',
  'Deleting',
]);

const ENDED = new Set(['Completed', 'Failed', 'FailedValidation', 'PartiallyFailed', 'Deleting']);

/** On its way to no good end, or there already; or ended well without what it should hold. */
const isBad = (object: KubeObject) =>
  ENDED_BADLY.has(phaseOf(object)) || object.metadata.labels?.[INCOMPLETE] === 'true';

async function namesOf(cluster: Cluster, kind: Kind, { namespace, base, mark }: Named): Promise<string[]> {
  const found = await cluster.list(kind, { namespace });
  return found
    .filter((it) => it.metadata.labels?.[MARK] === mark)
    .map((it) => it.metadata.name)
    .filter((name) => Array.from({ length: TRIES }, (_, index) => tryName(base, index)).includes(name));
}

/** The youngest try: the one that counts. */
async function latest(cluster: Cluster, kind: Kind, { namespace, base, mark }: Named): Promise<KubeObject | undefined> {
  for (let index = TRIES - 1; index >= 0; index--) {
    const found = await cluster.get({ kind, namespace, name: tryName(base, index) });
    if (found?.metadata.labels?.[MARK] === mark) return found;
  }
  return undefined;
}

/** @throws MigrateError VELERO_FAILED, VELERO_TOO_SLOW */
async function untilEnded(
  cluster: Cluster,
  kind: Kind,
  args: { namespace: string; location: string; deadlineMs: number },
  own: Named,
  context: StepContext,
): Promise<KubeObject> {
  const word = splitKind(kind).kind;
  const { base } = own;
  const counter = kind === BACKUP ? 'itemsBackedUp' : 'itemsRestored';
  let ended: KubeObject | undefined;
  let phase = '';
  let phaseSince = context.world.clock.now();
  for (let pause = 500; !ended; pause = Math.min(pause * 1.5, 10_000)) {
    const object = await latest(cluster, kind, own);
    const now = object ? phaseOf(object) : 'absent';
    if (now !== phase) [phase, phaseSince] = [now, context.world.clock.now()];
    if (object && ENDED.has(phase)) ended = object;
    else if (context.world.clock.now() - phaseSince > args.deadlineMs) {
      throw new MigrateError('VELERO_TOO_SLOW', {
        what: `${word} ${args.namespace}/${base} on the ${cluster.side} has been ${phase} for ${spell(args.deadlineMs)}.`,
        why: 'Velero does not run, waits in a queue, or hangs; it has no deadline of its own for this.',
        fix: /^(?:Queued|ReadyToStart)?$/.test(phase)
          ? 'Restart the Velero server: its queue can lose count of a backup that was refused, and then starts no other. Then run again.'
          : 'Look at its log; give it longer by `data.velero.deadline`, or run again.',
      });
    } else {
      const { totalItems, [counter]: done } = (object?.['status']?.progress ?? {}) as Record<string, number>;
      context.progress(totalItems === undefined ? phase : `${phase}, ${done ?? 0} of ${totalItems} objects`);
      await context.world.clock.sleep(pause);
    }
  }
  const { errors = 0, warnings = 0, failureReason, validationErrors } = ended['status'] ?? {};
  if (phase !== 'Completed' || errors > 0) {
    const reasons = await reasonsFor(cluster, kind, args, ended, context);
    throw new MigrateError('VELERO_FAILED', {
      what: `${word} ${args.namespace}/${ended.metadata.name} on the ${cluster.side} ended ${phase} with ${count(Number(errors), 'error')} and ${count(Number(warnings), 'warning')}.`,
      why: String(
        reasons ??
          failureReason ??
          (validationErrors as string[] | undefined)?.join('; ') ??
          'Its results name each object and reason.',
      ),
      fix: `See \`velero ${word.toLowerCase()} describe ${ended.metadata.name} --details\` on the ${cluster.side}, mend the cause, then run again: it is tried under a new name, and what has arrived is left as it is.`,
    });
  }
  return ended;
}

/**
 * Velero knows only kinds that its discovery showed, which is up to five minutes old: a backup can say Completed without objects of a kind
 * that came since. Its list of contents tells, where we may read it.
 *
 * @throws MigrateError BACKUP_INCOMPLETE
 */
async function mustHoldAll(args: BackupArgs, ended: KubeObject, { world, progress }: StepContext): Promise<void> {
  const { source } = world;
  const { namespace, location } = args;
  const place = await source.get({ kind: 'BackupStorageLocation.velero.io', namespace, name: location });
  const contents = place && (await contentsOf(shelfOf(place, world, 'brief'), ended.metadata.name));
  if (!contents) return progress('its list of contents could not be read: what is missing shows after the restore');
  const held = new Map(Object.entries(contents).map(([key, names]) => [kindIn(key), new Set(names)]));
  const missing = Object.entries(args.expects).flatMap(([kind, names]) =>
    names.filter((it) => held.get(kind)?.has(it) !== true).map((it) => `${splitKind(kind).kind.toLowerCase()} ${it}`),
  );
  if (missing.length === 0) return;
  await source.patch(
    { kind: BACKUP, namespace, name: ended.metadata.name },
    { metadata: { labels: { [INCOMPLETE]: 'true' } } },
  );
  throw new MigrateError('BACKUP_INCOMPLETE', {
    what: `Backup ${namespace}/${ended.metadata.name} says Completed and lacks ${count(missing.length, 'object')}: ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ', …' : ''}.`,
    why: 'Their kind came after Velero last looked at what the server serves, which it does every five minutes; or they were deleted meanwhile.',
    fix: 'Wait five minutes, or restart Velero on the source; then run again: the next backup goes by another name.',
  });
}

/** `apps/v1/Deployment` → `Deployment.apps`, `v1/Service` → `Service` */
function kindIn(key: string): Kind {
  const parts = key.split('/');
  const kind = parts.at(-1) ?? '';
  return parts.length === 3 ? `${kind}.${parts[0]}` : kind;
}

/** Grouped by cause, from the results in the store, where we may read them. */
async function reasonsFor(
  cluster: Cluster,
  kind: Kind,
  { namespace, location }: { namespace: string; location: string },
  ended: KubeObject,
  { world }: StepContext,
): Promise<string | undefined> {
  const found = await cluster.get({ kind: 'BackupStorageLocation.velero.io', namespace, name: location });
  const errors =
    found &&
    (await errorsOf(shelfOf(found, world, 'brief'), kind === BACKUP ? 'backups' : 'restores', ended.metadata.name));
  if (!errors || errors.length === 0) return undefined;
  return grouped(
    errors.map(({ namespace: inside, text }) => ({
      about: inside ?? 'cluster',
      reason: reasonOf(undefined, text),
      text,
    })),
  );
}

// ---- the rules by which things arrive inert

export const rules: StepKind<RulesArgs, Record<string, never>> = {
  kind: 'restore-rules',
  title: ({ namespace }) => `Rules in ${namespace}: everything arrives inert`,
  wayBack: () => 'deletes the rules',
  rights: () => ({ target: ['get', 'create', 'delete'].map((verb) => ({ verb, group: '', resource: 'configmaps' })) }),

  async check(_args) {
    return {};
  },

  async apply(args, _before, context) {
    const name = baseName(context, args.name);
    if (await context.world.target.get({ kind: 'ConfigMap', namespace: args.namespace, name })) return;
    await context.world.target.create({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: args.namespace, labels: markOf(context, args.name) },
      // Exactly one key, or Velero refuses the restore.
      data: { 'rules.yaml': args.rules },
    });
  },

  async verify(args, _before, context) {
    const name = baseName(context, args.name);
    const found = await context.world.target.get({ kind: 'ConfigMap', namespace: args.namespace, name });
    if (found?.['data']?.['rules.yaml'] === args.rules) return;
    throw new MigrateError('RULES_NOT_THERE', {
      what: `ConfigMap ${args.namespace}/${name} on the target does not hold the rules of this plan.`,
      why: 'Something else wrote a ConfigMap of that name. Without its rules the restore would bring things to life.',
      fix: 'Delete that ConfigMap, then run again.',
    });
  },

  undo: (args, _before, context) =>
    owing(`ConfigMap ${baseName(context, args.name)} is left there.`, () =>
      context.world.target.delete({ kind: 'ConfigMap', namespace: args.namespace, name: baseName(context, args.name) }),
    ),
};

// ---- restore

export interface RestoreBefore {
  /** namespaces of the plan that the target had already; the others go again when the restore is undone */
  namespaces: string[];
}

export const restore: StepKind<RestoreArgs, RestoreBefore> = {
  kind: 'velero-restore',
  title: ({ namespaces, expects }) =>
    `Velero restore of ${namespaces.join(', ')} (${count(Object.values(expects).flat().length, 'object')}), inert`,
  wayBack: () => 'deletes what it brought',
  rights: ({ expects, moved }) => ({
    source: moved ? RIGHTS_OF_REST : [],
    target: [
      ...veleroRights('restores'),
      { verb: 'patch', group: 'velero.io', resource: 'restores' },
      { verb: 'get', group: 'velero.io', resource: 'backups' },
      { verb: 'create', group: 'velero.io', resource: 'backups' },
      { verb: 'get', group: 'velero.io', resource: 'backupstoragelocations' },
      { verb: 'get', group: '', resource: 'namespaces' },
      { verb: 'delete', group: '', resource: 'namespaces' },
      ...Object.keys(expects).flatMap((kind) => ['list', 'delete'].map((verb) => rightOn(verb, kind))),
    ],
  }),

  async check(args, { world }) {
    const there: string[] = [];
    for (const name of args.namespaces) {
      const found = await world.target.get({ kind: 'Namespace', name });
      if (found?.metadata.deletionTimestamp) {
        throw new MigrateError('NAMESPACE_ENDING', {
          what: `Namespace ${name} on the target is being deleted.`,
          why: 'A restore into it would hang for minutes on each object.',
          fix: 'Wait until it is gone, then run again.',
        });
      }
      if (found) there.push(name);
    }
    return { namespaces: there };
  },

  async apply(args, _before, context) {
    const backupName = await backupFor(args, context);
    await until(
      context,
      {
        code: 'BACKUP_NOT_SYNCED',
        deadlineMs: args.deadlineMs,
        subject: `Backup ${backupName} on the target`,
        why: 'Velero on the target does not run, or reads another bucket or prefix.',
        fix: 'Compare the BackupStorageLocations of both sides, then run again.',
      },
      async () => {
        const found = await context.world.target.get({ kind: BACKUP, namespace: args.namespace, name: backupName });
        if (found && found.metadata.labels?.[MARK] !== backupNamed(args, context).mark)
          throw nameTaken(args, backupName);
        if (found || (await syncNow(args, backupName, context))) return undefined;
        return 'it has not been synced from the store yet';
      },
    );
    if (args.moved) await mustRest(args.moved, context.world.source);
    await ensure(context.world.target, RESTORE, restoreNamed(args, context), (name) => ({
      apiVersion: 'velero.io/v1',
      kind: 'Restore',
      metadata: { name, namespace: args.namespace, labels: markOf(context, args.name) },
      spec: {
        backupName,
        includedNamespaces: args.namespaces,
        excludedResources: [
          ...args.excluded,
          'nodes',
          'backups.velero.io',
          'restores.velero.io',
          'resticrepositories.velero.io',
          'backuprepositories.velero.io',
          'csinodes.storage.k8s.io',
          'volumeattachments.storage.k8s.io',
        ],
        includeClusterResources: false,
        restorePVs: false,
        ...(args.keepNodePorts && { preserveNodePorts: true }),
        ...(args.labels && { labelSelector: { matchLabels: args.labels } }),
        // In a backup that we wrote the rules were applied.
        ...(!args.written && { resourceModifier: { kind: 'ConfigMap', name: baseName(context, args.name) } }),
      },
    }));
  },

  async verify(args, _before, context) {
    const ended = await untilEnded(context.world.target, RESTORE, args, restoreNamed(args, context), context);
    await allThere(args, ended.metadata.name, context);
    await until(
      context,
      {
        code: 'CLAIM_NOT_BOUND',
        deadlineMs: args.deadlineMs,
        subject: 'Claims on the target',
        why: 'The volume was not made, names another claim, or has another class.',
        fix: 'Compare claim and volume (kubectl describe pvc), then run again.',
      },
      async () => {
        for (const path of args.claims) {
          const claim = await context.world.target.get({ kind: 'PersistentVolumeClaim', ...splitPath(path) });
          const phase = String(claim?.['status']?.phase ?? 'absent');
          if (phase !== 'Bound') return `${path} is ${phase}`;
        }
        return undefined;
      },
    );
  },

  undo: (args, before, context) =>
    owing('what the restore brought is still there.', () => removeRestored(args, before, context)),
};

/**
 * Velero looks into the store once a minute. Where we can look too, at the place that the target's location names, we do then what it would.
 *
 * @returns false: nothing of that name lies there, or we may not see it
 * @source vmware-tanzu/velero:pkg/controller/backup_sync_controller.go (a reconcile each minute, whatever backupSyncPeriod says)
 */
async function syncNow(args: RestoreArgs, name: string, { world }: StepContext): Promise<boolean> {
  const location = await mustBeAvailable(world.target, args.namespace, args.location, false);
  const { bucket, prefix } = shelfOf(location, world, 'brief');
  const body = await bucket.get(`${folderOf(prefix, name)}${DESCRIPTION}`).catch((error: unknown) => {
    if (isMigrateError(error) && error.code.startsWith('STORE_')) return undefined;
    throw error;
  });
  if (!body) return false;
  const { spec, status, metadata } = JSON.parse(body.toString('utf8')) as KubeObject;
  const { hooks: _hooks, ...rest } = spec as Record<string, unknown>;
  const { labels, annotations } = metadata;
  await world.target
    .create({
      apiVersion: 'velero.io/v1',
      kind: 'Backup',
      metadata: {
        name,
        namespace: args.namespace,
        labels: { ...labels, 'velero.io/storage-location': args.location },
        ...(annotations && { annotations }),
      },
      spec: { ...rest, storageLocation: args.location },
      status: status as object,
    })
    .catch((error: unknown) => {
      // Velero was there first.
      if (!isMigrateError(error, 'KUBE_EXISTS')) throw error;
    });
  return true;
}

/** Velero takes nothing from the store that it knows a backup of the same name of. */
const nameTaken = ({ namespace }: RestoreArgs, name: string) =>
  new MigrateError('NAME_TAKEN', {
    what: `The target has a Backup ${namespace}/${name} that this plan did not make.`,
    why: 'Velero knows a backup by its name alone: ours in the store stays hidden behind it, and a restore would bring the other one.',
    fix: 'Delete it on the target if nobody needs it, then run again.',
  });

/** The last try of the backup that did not fail. */
async function backupFor({ namespace, name, written }: RestoreArgs, context: StepContext): Promise<string> {
  const own = backupNamed({ namespace, name }, context);
  if (written) return own.base;
  const source = await latest(context.world.source, BACKUP, own);
  return source?.metadata.name ?? own.base;
}

const restoreName = ({ name, wave }: RestoreArgs, context: StepContext) =>
  `${baseName(context, name)}${wave === undefined ? '' : `-wave${wave}`}`;

/** Completed is no proof: what was expected is looked for, per kind and name. */
async function allThere(args: RestoreArgs, restore: string, { world }: StepContext): Promise<void> {
  const missing: { kind: Kind; path: string }[] = [];
  for (const [kind, wanted] of Object.entries(args.expects)) {
    const present = new Set(
      (await Promise.all(args.namespaces.map((namespace) => world.target.list(kind, { namespace, only: 'metadata' }))))
        .flat()
        .map((it) => pathOf(it.metadata)),
    );
    missing.push(...wanted.filter((it) => !present.has(it)).map((path) => ({ kind, path })));
  }
  if (missing.length === 0) return;
  await world.target.patch(
    { kind: RESTORE, namespace: args.namespace, name: restore },
    { metadata: { labels: { [INCOMPLETE]: 'true' } } },
  );
  const names = missing.slice(0, 10).map((it) => `${splitKind(it.kind).kind.toLowerCase()} ${it.path}`);
  throw new MigrateError('RESTORE_INCOMPLETE', {
    what: `${count(missing.length, 'object')} of the source did not arrive: ${names.join(', ')}${missing.length > 10 ? ', …' : ''}.`,
    why: `The restore says Completed. ${await whyMissing(world, missing)}.`,
    fix: 'Mend the cause, then run again: what has arrived is left as it is.',
  });
}

const AT_A_TIME = 8;

/** Only what carries the label of our restore, then the namespaces that it made, then the restore itself. */
async function removeRestored(args: RestoreArgs, before: RestoreBefore, context: StepContext): Promise<void> {
  const { world } = context;
  const restores = await namesOf(world.target, RESTORE, restoreNamed(args, context));
  const ours = async () => {
    const found: { kind: Kind; object: KubeObject }[] = [];
    for (const kind of Object.keys(args.expects)) {
      for (const namespace of args.namespaces) {
        for (const name of restores) {
          const list = await world.target.list(kind, { namespace, labels: `velero.io/restore-name=${name}` });
          found.push(...list.map((object) => ({ kind, object })));
        }
      }
    }
    return found;
  };
  await inTurns(AT_A_TIME, await ours(), async ({ kind, object }) => {
    if (object.metadata.deletionTimestamp) return;
    await world.target.delete(
      { kind, namespace: object.metadata.namespace ?? '', name: object.metadata.name },
      { ...(object.metadata.uid && { uid: object.metadata.uid }), propagation: 'Background' },
    );
  });
  for (const name of args.namespaces.filter((it) => !before.namespaces.includes(it)))
    await world.target.delete({ kind: 'Namespace', name });
  for (const name of restores) await world.target.delete({ kind: RESTORE, namespace: args.namespace, name });
  await until(
    context,
    {
      code: 'RESTORE_NOT_REMOVED',
      deadlineMs: args.deadlineMs,
      subject: 'What the restore brought',
      why: 'A finalizer waits for its controller: the cloud controller manager for Services, Velero for Restores.',
      fix: 'See which object is left and which controller it waits for, then go back again.',
    },
    async () => {
      const [left] = await ours();
      if (left) return `${splitKind(left.kind).kind.toLowerCase()} ${pathOf(left.object.metadata)} is still there`;
      for (const name of args.namespaces.filter((it) => !before.namespaces.includes(it))) {
        if (await world.target.get({ kind: 'Namespace', name })) return `namespace ${name} is still there`;
      }
      const [still] = await namesOf(world.target, RESTORE, restoreNamed(args, context));
      return still && `restore ${still} is still there`;
    },
  );
}
