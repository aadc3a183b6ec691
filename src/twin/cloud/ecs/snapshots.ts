import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { pageOf } from '../paging.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { type Disk, isoSeconds, type Snapshot } from '../state.js';
import { carries, newTags, tagList } from '../tags.js';
import { isInstant } from './categories.js';
import { contentNow } from './content.js';
import { findDisk, wrongStatus } from './find.js';
import { checkDescription, checkName } from './names.js';
import { finishLater, releaseExpired, RETENTION_DAYS } from './snapshot-life.js';

const SECOND_MS = 1000;

function progressOf(it: Snapshot, nowMs: number): string {
  if (it.status === 'accomplished') return '100%';
  const part = ((it.endedMs ?? nowMs) - it.createdMs) / Math.max(1, it.readyMs - it.createdMs);
  return `${Math.min(99, Math.max(0, Math.floor(part * 100)))}%`;
}

/** A snapshot of an ESSD can be used on its disk's side long before it is accomplished; a copy cannot. */
function isAvailable(it: Snapshot, nowMs: number, { rates }: Context): boolean {
  if (it.status !== 'progressing') return it.status === 'accomplished';
  return it.sourceSnapshot === '' && isInstant(it.category) && nowMs >= it.createdMs + rates.snapshotInstantMs;
}

const usageOf = (it: Snapshot, { state }: Context): string =>
  [...state.disks.values()].some((disk) => disk.sourceSnapshot === it.id) ? 'disk' : 'none';

function fields(it: Snapshot, context: Context): Json {
  const now = context.clock.now();
  return {
    SnapshotId: it.id,
    SnapshotName: it.name,
    Description: it.description,
    RegionId: it.region,
    Status: it.status,
    Progress: progressOf(it, now),
    RemainTime: it.status === 'progressing' ? Math.max(0, Math.ceil((it.readyMs - now) / SECOND_MS)) : 0,
    Available: isAvailable(it, now, context),
    SourceDiskId: it.sourceDisk,
    // A string, and the only one among the sizes.
    SourceDiskSize: String(it.sizeGiB),
    SourceDiskType: it.sourceType,
    SourceStorageType: 'disk',
    SourceSnapshotId: it.sourceSnapshot,
    SourceRegionId: it.sourceRegion,
    Encrypted: it.encrypted,
    KMSKeyId: it.kmsKey,
    Category: 'Standard',
    SnapshotType: 'user',
    Usage: usageOf(it, context),
    RetentionDays: it.retentionDays ?? 0,
    CreationTime: isoSeconds(it.createdMs),
    LastModifiedTime: isoSeconds(it.endedMs ?? it.createdMs),
    Tags: { Tag: tagList(it.tags) },
  };
}

function checkDisk(disk: Disk): void {
  if (disk.category.startsWith('elastic_ephemeral')) {
    refuse(400, 'DiskCategory.OperationNotSupported', 'The operation is not supported for the category of the disk.');
  }
  if (!disk.everAttached) {
    refuse(403, 'IncorrectDiskStatus.NeverAttached', 'The specified disk has never been attached to any instance.');
  }
  if (disk.status !== 'In_use' && disk.status !== 'Available') wrongStatus();
}

/** @param others  snapshots of the same disk */
function checkQuotas(disk: Disk, others: readonly Snapshot[], { state, limits }: Context): void {
  const underWay = others.filter((it) => it.status === 'progressing').length;
  if (underWay >= limits.snapshotsUnderWayPerDisk) {
    if (limits.snapshotsUnderWayPerDisk === 1)
      refuse(403, 'IncorrectDiskStatus.CreatingSnapshot', 'A previous snapshot creation is in process.');
    refuse(
      403,
      'QuotaExceed.ConcurrentSnapshotQuota',
      `The number of snapshots being created for the disk ${disk.id} has exceeded the concurrent quota.`,
    );
  }
  const all = [...state.snapshots.values()].filter((it) => it.region === disk.region && it.status === 'progressing');
  if (all.some((it) => it.sourceDisk === disk.id && it.sourceSnapshot !== '' && it.encrypted)) {
    refuse(
      403,
      'InvalidOperation.UnfinishedEncryptedSnapshotCopy',
      'This disk has unfinished encrypted copy snapshots in the target region.',
    );
  }
  if (all.filter((it) => it.sourceSnapshot === '').length >= limits.snapshotsUnderWay)
    refuse(403, 'QuotaExceed.ConcurrentSnapshotQuota', 'Too many snapshots are being created in the region.');
  if (others.length >= limits.snapshotsPerDisk) refuse(403, 'QuotaExceed.Snapshot', 'The snapshot quota exceeds.');
}

function createSnapshot(parameters: Parameters, context: Context): Json {
  const { state, clock, rates, limits, ids } = context;
  releaseExpired(context);
  const disk = findDisk(parameters, state);
  const name = parameters.text('SnapshotName');
  const description = parameters.text('Description');
  checkName(name, 400, 'SnapshotName');
  if (name?.startsWith('auto')) refuse(400, 'InvalidSnapshotName.Malformed', 'The name must not start with auto.');
  checkDescription(description, 404);
  const retentionDays = parameters.integer('RetentionDays', 1, RETENTION_DAYS);
  checkDisk(disk);
  const others = [...state.snapshots.values()].filter((it) => it.sourceDisk === disk.id && it.sourceSnapshot === '');
  checkQuotas(disk, others, context);

  // The first one reads all of the disk, later ones what changed.
  const share = others.some((it) => it.status === 'accomplished') ? rates.snapshotIncrement : 1;
  const now = clock.now();
  const id = ids('s', disk.id, name ?? '');
  const snapshot: Snapshot = {
    id,
    name: name ?? '',
    description: description ?? '',
    region: disk.region,
    status: 'progressing',
    sourceDisk: disk.id,
    sourceType: disk.type,
    content: contentNow(disk, context),
    sizeGiB: disk.sizeGiB,
    category: disk.category,
    encrypted: disk.encrypted,
    kmsKey: disk.kmsKey,
    sourceSnapshot: '',
    sourceRegion: '',
    retentionDays,
    tags: newTags(parameters, limits.tagsPerResource),
    createdMs: now,
    readyMs: now + rates.snapshotFixedMs + ((disk.sizeGiB * share) / rates.snapshotGiBPerSecond) * SECOND_MS,
  };
  state.snapshots.set(id, snapshot);
  finishLater(snapshot, context.failsJob('CreateSnapshot', disk.id), context);
  return { SnapshotId: id };
}

export const snapshotActions: Record<string, Action> = {
  CreateSnapshot: { requires: ['DiskId'], token: true, run: createSnapshot },

  DescribeSnapshots: {
    requires: ['RegionId'],
    dryRun: true,
    run(parameters, context) {
      releaseExpired(context);
      const { state } = context;
      const ids = parameters.ids('SnapshotIds');
      const is = (name: string, value: string): boolean => (parameters.text(name) ?? value) === value;
      const status = parameters.oneOf('Status', ['progressing', 'accomplished', 'failed', 'all']) ?? 'all';
      const type = parameters.text('SourceDiskType')?.toLowerCase();
      const instance = parameters.text('InstanceId');
      const automatic = parameters.oneOf('SnapshotType', ['auto', 'user', 'all']) === 'auto';
      const usage = parameters.text('Usage');
      const filter = parameters.tags();
      const encrypted = parameters.flag('Encrypted');
      const found = [...state.snapshots.values()].filter(
        (it) =>
          it.region === parameters.required('RegionId') &&
          !automatic &&
          (ids === undefined || ids.includes(it.id)) &&
          (status === 'all' || status === it.status) &&
          is('DiskId', it.sourceDisk) &&
          (instance === undefined || state.disks.get(it.sourceDisk)?.instance === instance) &&
          is('SnapshotName', it.name) &&
          is('KMSKeyId', it.kmsKey) &&
          (type ?? it.sourceType) === it.sourceType &&
          (encrypted ?? it.encrypted) === it.encrypted &&
          carries(it.tags, filter) &&
          (usage === undefined || usage === usageOf(it, context)),
      );
      const page = pageOf(found, parameters, { maxResults: 100 });
      return { ...page.fields, Snapshots: { Snapshot: page.items.map((it) => fields(it, context)) } };
    },
  },

  /** An id that isn't there is no error; one that is still progressing is cancelled. */
  DeleteSnapshot: {
    requires: ['SnapshotId'],
    run(parameters, { state }) {
      const id = parameters.required('SnapshotId');
      const disks = [...state.disks.values()].filter((it) => it.sourceSnapshot === id);
      if (state.snapshots.has(id) && disks.length > 0 && !parameters.flag('Force')) {
        refuse(403, 'SnapshotCreatedDisk', 'The specified snapshot has created disks.');
      }
      state.snapshots.delete(id);
      return {};
    },
  },
};
