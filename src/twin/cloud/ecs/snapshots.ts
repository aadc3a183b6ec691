import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { pageOf } from '../paging.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { isRegion } from '../regions.js';
import { isoSeconds, type Snapshot } from '../state.js';
import { carries, newTags, tagList } from '../tags.js';
import { findDisk, SERVICE_KEY } from './find.js';

const SECOND_MS = 1000;
const MIB_PER_GIB = 1024;

function progressOf(it: Snapshot, nowMs: number): string {
  if (it.status === 'accomplished') return '100%';
  const part = (nowMs - it.createdMs) / Math.max(1, it.readyMs - it.createdMs);
  return `${Math.min(99, Math.max(0, Math.floor(part * 100)))}%`;
}

function fields(it: Snapshot, { clock }: Context): Json {
  const now = clock.now();
  return {
    SnapshotId: it.id,
    SnapshotName: it.name,
    Description: it.description,
    RegionId: it.region,
    Status: it.status,
    Progress: progressOf(it, now),
    RemainTime: it.status === 'progressing' ? Math.max(0, Math.ceil((it.readyMs - now) / SECOND_MS)) : 0,
    Available: it.status === 'accomplished',
    SourceDiskId: it.sourceDisk,
    // A string, and the only one among the sizes.
    SourceDiskSize: String(it.sizeGiB),
    SourceDiskType: 'Data',
    SourceStorageType: 'disk',
    SourceSnapshotId: it.sourceSnapshot,
    SourceRegionId: it.sourceRegion,
    Encrypted: it.encrypted,
    KMSKeyId: it.kmsKey,
    Category: 'Standard',
    SnapshotType: 'user',
    Usage: 'none',
    RetentionDays: it.retentionDays ?? 0,
    CreationTime: isoSeconds(it.createdMs),
    LastModifiedTime: isoSeconds(it.status === 'accomplished' ? it.readyMs : it.createdMs),
    Tags: { Tag: tagList(it.tags) },
  };
}

function checkName(name: string | undefined): void {
  if (name === undefined) return;
  if (name.length < 2 || name.length > 128 || /^auto|^https?:\/\//.test(name)) {
    refuse(400, 'InvalidSnapshotName.Malformed', 'The specified snapshot name is wrongly formed.');
  }
}

/** Counts as complete when its time has come, unless somebody deleted it, or its source went away meanwhile. */
function complete(snapshot: Snapshot, context: Context): void {
  context.clock.after(snapshot.readyMs - context.clock.now(), () => {
    if (context.state.snapshots.get(snapshot.id) !== snapshot || snapshot.status !== 'progressing') return;
    const source = snapshot.sourceSnapshot;
    snapshot.status = source !== '' && !context.state.snapshots.has(source) ? 'failed' : 'accomplished';
  });
}

function createSnapshot(parameters: Parameters, context: Context): Json {
  const { state, clock, rates, limits, ids } = context;
  const disk = findDisk(parameters, state);
  const name = parameters.text('SnapshotName');
  checkName(name);
  const retentionDays = parameters.integer('RetentionDays', 1, 65_536);
  if (disk.category.startsWith('elastic_ephemeral')) {
    refuse(400, 'DiskCategory.OperationNotSupported', 'The operation is not supported for the category of the disk.');
  }
  if (!disk.everAttached) {
    refuse(403, 'IncorrectDiskStatus.NeverAttached', 'The specified disk has never been attached to any instance.');
  }
  if (disk.status !== 'In_use' && disk.status !== 'Available') {
    refuse(403, 'IncorrectDiskStatus', 'The current disk status does not support this operation.');
  }
  const others = [...state.snapshots.values()].filter((it) => it.sourceDisk === disk.id && it.sourceSnapshot === '');
  if (others.some((it) => it.status === 'progressing')) {
    refuse(403, 'IncorrectDiskStatus.CreatingSnapshot', 'A previous snapshot creation of the disk is in process.');
  }
  if (others.length >= limits.snapshotsPerDisk) {
    refuse(403, 'QuotaExceed.Snapshot', 'The snapshot quota of the disk exceeds.');
  }

  const now = clock.now();
  const id = ids('s', disk.id, name ?? '');
  const snapshot: Snapshot = {
    id,
    name: name ?? '',
    description: parameters.text('Description') ?? '',
    region: disk.region,
    status: 'progressing',
    sourceDisk: disk.id,
    sizeGiB: disk.sizeGiB,
    category: disk.category,
    encrypted: disk.encrypted,
    kmsKey: disk.kmsKey,
    sourceSnapshot: '',
    sourceRegion: '',
    retentionDays,
    tags: newTags(parameters, limits.tagsPerResource),
    createdMs: now,
    readyMs: now + rates.snapshotFixedMs + (disk.sizeGiB / rates.snapshotGiBPerSecond) * SECOND_MS,
  };
  state.snapshots.set(id, snapshot);
  complete(snapshot, context);
  return { SnapshotId: id };
}

function findSource(parameters: Parameters, { state }: Context): Snapshot {
  const found = state.snapshots.get(parameters.required('SnapshotId'));
  if (found && found.region === parameters.required('RegionId')) return found;
  return refuse(403, 'InvalidSnapshotId.NotFound', 'The specified SnapshotId does not exist.');
}

function copySnapshot(parameters: Parameters, context: Context): Json {
  const { state, clock, rates, limits, ids } = context;
  const region = parameters.required('DestinationRegionId');
  if (!isRegion(state, region))
    refuse(404, 'InvalidRegionId.NotFound', 'The specified DestinationRegionId does not exist.');
  const source = findSource(parameters, context);
  const name = parameters.required('DestinationSnapshotName');
  checkName(name);
  if (region === source.region) {
    refuse(403, 'InvalidOperation.NotSupportCopyInSameRegion', 'A snapshot cannot be copied within its region.');
  }
  if (source.status !== 'accomplished') {
    refuse(403, 'InvalidSnapshotId.NotReady', 'The specified snapshot creation is not completed yet.');
  }
  const asked = parameters.flag('Encrypted');
  const kmsKey = parameters.text('KMSKeyId');
  if (source.encrypted && asked === false) {
    refuse(403, 'InvalidEncrypted.NotSupportDecrypt', 'An encrypted snapshot cannot be copied to a plain one.');
  }
  const encrypted = source.encrypted || (asked ?? false);
  if (!encrypted && kmsKey !== undefined) {
    refuse(403, 'InvalidEncrypted.NotMatchKmsKeyId', 'KMSKeyId is given and Encrypted is not true.');
  }
  const copies = [...state.snapshots.values()].filter(
    (it) => it.sourceDisk === source.sourceDisk && it.region === region && it.sourceSnapshot !== '',
  );
  if (copies.some((it) => it.status === 'progressing')) {
    refuse(
      403,
      'InvalidOperation.UnfinishedCrossRegionCopy',
      'A copy of a snapshot of this disk to this region is not finished yet.',
    );
  }

  // The first copy of a disk to a region moves all of it, later ones what changed.
  const share = copies.some((it) => it.status === 'accomplished') ? rates.copyIncrement : 1;
  const now = clock.now();
  const id = ids('s', source.id, region, name);
  const copy: Snapshot = {
    id,
    name,
    description: parameters.required('DestinationSnapshotDescription'),
    region,
    status: 'progressing',
    sourceDisk: source.sourceDisk,
    sizeGiB: source.sizeGiB,
    category: source.category,
    encrypted,
    kmsKey: encrypted ? (kmsKey ?? SERVICE_KEY) : '',
    sourceSnapshot: source.id,
    sourceRegion: source.region,
    retentionDays: parameters.integer('RetentionDays', 1, 65_536),
    // The source's tags don't come along.
    tags: newTags(parameters, limits.tagsPerResource),
    createdMs: now,
    readyMs: now + rates.copyFixedMs + ((source.sizeGiB * share * MIB_PER_GIB) / rates.copyMiBPerSecond) * SECOND_MS,
  };
  state.snapshots.set(id, copy);
  complete(copy, context);
  return { SnapshotId: id };
}

export const snapshotActions: Record<string, Action> = {
  CreateSnapshot: { requires: ['DiskId'], token: true, run: createSnapshot },

  CopySnapshot: {
    requires: [
      'RegionId',
      'SnapshotId',
      'DestinationRegionId',
      'DestinationSnapshotName',
      'DestinationSnapshotDescription',
    ],
    token: true,
    run: copySnapshot,
  },

  DescribeSnapshots: {
    requires: ['RegionId'],
    dryRun: true,
    run(parameters, context) {
      const ids = parameters.ids('SnapshotIds');
      const is = (name: string, value: string): boolean => (parameters.text(name) ?? value) === value;
      const status = parameters.oneOf('Status', ['progressing', 'accomplished', 'failed', 'all']) ?? 'all';
      const filter = parameters.tags();
      const encrypted = parameters.flag('Encrypted');
      const found = [...context.state.snapshots.values()].filter(
        (it) =>
          it.region === parameters.required('RegionId') &&
          (ids === undefined || ids.includes(it.id)) &&
          (status === 'all' || status === it.status) &&
          is('DiskId', it.sourceDisk) &&
          is('SnapshotName', it.name) &&
          (encrypted ?? it.encrypted) === it.encrypted &&
          carries(it.tags, filter),
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
