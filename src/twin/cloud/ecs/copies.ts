import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { isRegion } from '../regions.js';
import type { Snapshot } from '../state.js';
import { newTags } from '../tags.js';
import { checkKmsKey, SERVICE_KEY } from './find.js';
import { checkDescription, checkName } from './names.js';
import { finishLater, RETENTION_DAYS, releaseExpired } from './snapshot-life.js';

const SECOND_MS = 1000;
const MIB_PER_GIB = 1024;

function findSource(parameters: Parameters, { state }: Context): Snapshot {
  const found = state.snapshots.get(parameters.required('SnapshotId'));
  if (found && found.region === parameters.required('RegionId')) return found;
  return refuse(403, 'InvalidSnapshotId.NotFound', 'The specified SnapshotId does not exist.');
}

/** Where a copy goes: to another region, or encrypted within its own. */
function destinationOf(parameters: Parameters, source: Snapshot, { state }: Context): string {
  const region = parameters.required('DestinationRegionId');
  if (!isRegion(state, region))
    refuse(404, 'InvalidRegionId.NotFound', 'The specified DestinationRegionId does not exist.');
  if (region === source.region && parameters.flag('Encrypted') !== true) {
    refuse(403, 'InvalidOperation.NotSupportCopyInSameRegion', 'Copying snapshot in the same region is not supported.');
  }
  return region;
}

/** @returns the key of the copy; empty for a plain one */
function keyOf(parameters: Parameters, source: Snapshot, region: string, { state }: Context): string {
  const asked = parameters.flag('Encrypted');
  const key = parameters.text('KMSKeyId');
  if (source.encrypted && asked === false) {
    refuse(403, 'InvalidEncrypted.NotSupportDecrypt', 'Encrypted snapshot not support copy to decrypt snapshot.');
  }
  const encrypted = source.encrypted || (asked ?? false);
  if (!encrypted && key !== undefined) {
    refuse(403, 'InvalidEncrypted.NotMatchKmsKeyId', 'Encrypted must be true when KmsKeyId is not empty.');
  }
  if (!encrypted) return '';
  if (state.noEncryptedCopyTo.has(region)) {
    refuse(403, 'InvalidRegionId.NotSupportedEncryptedSnapshotCopy', 'The region does not support encrypted copies.');
  }
  checkKmsKey(key, region, 403, state);
  return key ?? SERVICE_KEY;
}

/** Of one disk in one region: one unfinished copy, and no more snapshots than of the disk itself. Of the account: what its quota says. */
function checkQuotas(copies: readonly Snapshot[], region: string, { state, limits }: Context): void {
  const unfinished = copies.find((it) => it.status === 'progressing');
  if (unfinished?.encrypted) {
    refuse(
      403,
      'InvalidOperation.UnfinishedEncryptedSnapshotCopy',
      'This disk has unfinished encrypted copy snapshots in the target region.',
    );
  }
  if (unfinished) {
    refuse(
      403,
      'InvalidOperation.UnfinishedCrossRegionCopy',
      'This disk has unfinished cross-region copy snapshots in the target region.',
    );
  }
  if (copies.length >= limits.snapshotsPerDisk)
    refuse(403, 'QuotaExceed.SnapshotQuota', 'The snapshot quota of the disk in the target region exceeds.');
  const underWay = [...state.snapshots.values()].filter(
    (it) => it.region === region && it.sourceSnapshot !== '' && it.status === 'progressing',
  );
  if (underWay.length >= limits.copiesUnderWay)
    refuse(403, 'QuotaExceed.ConcurrentSnapshotQuota', 'Too many snapshots are being copied to the target region.');
}

function copySnapshot(parameters: Parameters, context: Context): Json {
  const { state, clock, rates, limits, ids } = context;
  releaseExpired(context);
  const source = findSource(parameters, context);
  const region = destinationOf(parameters, source, context);
  const name = parameters.required('DestinationSnapshotName');
  const description = parameters.required('DestinationSnapshotDescription');
  checkName(name, 403, 'SnapshotName');
  checkDescription(description, 403);
  if (source.status !== 'accomplished')
    refuse(403, 'InvalidSnapshotId.NotReady', 'The specified snapshot has not completed yet.');
  const kmsKey = keyOf(parameters, source, region, context);
  const copies = [...state.snapshots.values()].filter(
    (it) => it.sourceDisk === source.sourceDisk && it.region === region && it.sourceSnapshot !== '',
  );
  checkQuotas(copies, region, context);

  // The first copy of a disk to a region moves all of it, later ones what changed; under another key nothing of the earlier ones is of use.
  const isNext = copies.some((it) => it.status === 'accomplished' && it.kmsKey === kmsKey);
  const share = isNext ? rates.copyIncrement : 1;
  const now = clock.now();
  const id = ids('s', source.id, region, name);
  const copy: Snapshot = {
    id,
    name,
    description,
    region,
    status: 'progressing',
    sourceDisk: source.sourceDisk,
    sourceType: source.sourceType,
    content: source.content,
    sizeGiB: source.sizeGiB,
    category: source.category,
    encrypted: kmsKey !== '',
    kmsKey,
    sourceSnapshot: source.id,
    sourceRegion: source.region,
    retentionDays: parameters.integer('RetentionDays', 1, RETENTION_DAYS),
    // The source's tags don't come along.
    tags: newTags(parameters, limits.tagsPerResource),
    createdMs: now,
    readyMs: now + rates.copyFixedMs + ((source.sizeGiB * share * MIB_PER_GIB) / rates.copyMiBPerSecond) * SECOND_MS,
  };
  state.snapshots.set(id, copy);
  finishLater(copy, context.failsJob('CopySnapshot', source.id), context);
  return { SnapshotId: id };
}

export const copyActions: Record<string, Action> = {
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
};
