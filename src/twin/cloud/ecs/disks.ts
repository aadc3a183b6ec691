import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { pageOf } from '../paging.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { isSold, zonesOf } from '../regions.js';
import { type Disk, isoSeconds, type Snapshot } from '../state.js';
import { carries, newTags, tagList } from '../tags.js';
import { categoryOf, checkSize, levelOf } from './categories.js';
import { EMPTY } from './content.js';
import { checkKmsKey, SERVICE_KEY, wrongStatus } from './find.js';
import { checkDescription, checkName } from './names.js';
import { releaseExpired } from './snapshot-life.js';

const SECOND_MS = 1000;

function fields(it: Disk): Json {
  const attached = it.instance !== undefined && it.status === 'In_use';
  return {
    DiskId: it.id,
    DiskName: it.name,
    Description: it.description,
    RegionId: it.region,
    ZoneId: it.zone,
    Status: it.status,
    Type: it.type,
    Size: it.sizeGiB,
    Category: it.category,
    ...(it.performanceLevel === undefined ? {} : { PerformanceLevel: it.performanceLevel }),
    Encrypted: it.encrypted,
    KMSKeyId: it.kmsKey,
    InstanceId: it.instance ?? '',
    Attachments: {
      Attachment: attached
        ? [{ InstanceId: it.instance, AttachedTime: isoSeconds(it.createdMs), Device: '/dev/xvdb' }]
        : [],
    },
    MultiAttach: 'Disabled',
    Portable: true,
    DeleteWithInstance: false,
    DeleteAutoSnapshot: false,
    DiskChargeType: 'PostPaid',
    SourceSnapshotId: it.sourceSnapshot,
    CreationTime: isoSeconds(it.createdMs),
    Tags: { Tag: tagList(it.tags) },
  };
}

function findSnapshot(parameters: Parameters, { state }: Context): Snapshot | undefined {
  const id = parameters.text('SnapshotId');
  if (id === undefined) return undefined;
  const found = state.snapshots.get(id);
  if (!found || found.region !== parameters.required('RegionId')) {
    return refuse(404, 'InvalidSnapshotId.NotFound', 'The specified SnapshotId does not exist.');
  }
  if (found.sourceType === 'system')
    refuse(403, 'InvalidSnapshotId.NotDataDiskSnapshot', 'The specified snapshot is system disk snapshot.');
  if (found.status !== 'accomplished')
    refuse(403, 'InvalidSnapshotId.NotReady', 'The specified snapshot has not completed yet.');
  return found;
}

function placeOf(parameters: Parameters, category: string, context: Context): string {
  if (categoryOf(category).regional) return '';
  if (parameters.text('InstanceId') !== undefined) {
    refuse(400, 'InvalidParameter.InstanceId', 'Creating a disk for a subscription instance is not supported here.');
  }
  const zone =
    parameters.text('ZoneId') ?? refuse(400, 'MissingParameter', 'The input parameter "ZoneId" is mandatory.');
  if (!zonesOf(context.state, parameters.required('RegionId')).includes(zone)) {
    refuse(404, 'InvalidZoneId.NotFound', 'The specified ZoneId does not exist.');
  }
  checkSold(zone, category, context);
  return zone;
}

function checkSold(zone: string, category: string, { state }: Context): void {
  if (!isSold(zone, '*', state))
    refuse(403, 'Zone.NotOnSale', 'The resource in the specified zone is no longer available for sale.');
  if (!isSold(zone, category, state))
    refuse(400, 'InvalidDataDiskCategory.NotSupported', 'Specified disk category is not supported.');
}

function checkLevelSold(zone: string, category: string, level: string | undefined, { state }: Context): void {
  if (level !== undefined && !isSold(zone, `${category}.${level}`, state)) {
    refuse(
      400,
      'InvalidPerformanceLevel.ValueNotSupported',
      `The current ZoneId does not support ${level} of ${category}.`,
    );
  }
}

function checkQuotas(region: string, zone: string, category: string, addedGiB: number, context: Context): void {
  const { state, limits } = context;
  const disks = [...state.disks.values()].filter((it) => it.region === region);
  if (disks.length >= limits.disksPerRegion)
    refuse(403, 'QuotaExceed.PostPaidDisk', 'Living postPaid disks quota exceeded.');
  const heldGiB = disks
    .filter((it) => it.zone === zone && it.category === category)
    .reduce((sum, it) => sum + it.sizeGiB, 0);
  if (heldGiB + addedGiB > limits.diskGiBPerCategoryAndZone)
    refuse(400, 'QuotaExceed.DiskCapacity', 'The used capacity of disk type has exceeded the quota in the zone.');
}

/** @returns the key of the disk; empty for a plain one */
function keyOf(parameters: Parameters, snapshot: Snapshot | undefined, { state }: Context): string {
  const encrypted = parameters.flag('Encrypted') ?? false;
  const key = parameters.text('KMSKeyId');
  if (snapshot?.encrypted && !encrypted) {
    refuse(403, 'InvalidEncrypted.NotMatchSnapshot', 'A disk of an encrypted snapshot must be encrypted.');
  }
  if (snapshot && !snapshot.encrypted && encrypted) {
    refuse(400, 'EncryptedOption.Conflict', 'A disk of a plain snapshot cannot be encrypted.');
  }
  if (!encrypted && key !== undefined) {
    refuse(400, 'InvalidEncrypted.NotMatchKmsKeyId', 'Encrypted must be true when KmsKeyId is not empty.');
  }
  if (!encrypted) return '';
  checkKmsKey(key, parameters.required('RegionId'), 404, state);
  return key ?? snapshot?.kmsKey ?? SERVICE_KEY;
}

function createDisk(parameters: Parameters, context: Context): Json {
  const { state, ids, clock, rates, limits } = context;
  releaseExpired(context);
  checkName(parameters.text('DiskName'), 400, 'DiskName');
  checkDescription(parameters.text('Description'), 400);
  const snapshot = findSnapshot(parameters, context);
  const asked = parameters.integer('Size', 1, 1_000_000);
  if (snapshot === undefined && asked === undefined) {
    refuse(400, 'MissingParameter', 'The input parameter "Size" or "SnapshotId" is mandatory.');
  }
  const category = parameters.text('DiskCategory') ?? 'cloud';
  const zone = placeOf(parameters, category, context);
  const performanceLevel = levelOf(category, parameters.text('PerformanceLevel'));
  if (snapshot && category.startsWith('elastic_ephemeral')) {
    refuse(400, 'InvalidDiskCategory.NotSupported', 'An elastic ephemeral disk cannot be created of a snapshot.');
  }
  // A size below the snapshot's is raised to it.
  const sizeGiB = Math.max(asked ?? 0, snapshot?.sizeGiB ?? 0);
  checkSize(category, performanceLevel, sizeGiB);
  checkLevelSold(zone, category, performanceLevel, context);
  const kmsKey = keyOf(parameters, snapshot, context);
  const region = parameters.required('RegionId');
  checkQuotas(region, zone, category, sizeGiB, context);

  const name = parameters.text('DiskName') ?? '';
  const disk: Disk = {
    id: ids('d', snapshot?.id ?? '', zone, name),
    name,
    description: parameters.text('Description') ?? '',
    region,
    zone,
    category,
    performanceLevel,
    sizeGiB,
    status: 'Creating',
    encrypted: kmsKey !== '',
    kmsKey,
    instance: undefined,
    sourceSnapshot: snapshot?.id ?? '',
    type: 'data',
    everAttached: false,
    content: snapshot?.content ?? EMPTY,
    inUseSinceMs: undefined,
    tags: newTags(parameters, limits.tagsPerResource),
    createdMs: clock.now(),
  };
  state.disks.set(disk.id, disk);
  const fails = context.failsJob('CreateDisk', snapshot?.id ?? zone);
  clock.after(rates.diskFixedMs + (snapshot ? (sizeGiB / rates.diskGiBPerSecond) * SECOND_MS : 0), () => {
    if (fails) state.disks.delete(disk.id);
    else disk.status = 'Available';
  });
  return { DiskId: disk.id };
}

export const diskActions: Record<string, Action> = {
  CreateDisk: { requires: ['RegionId'], token: true, run: createDisk },

  DescribeDisks: {
    requires: ['RegionId'],
    dryRun: true,
    run(parameters, { state }) {
      const ids = parameters.ids('DiskIds');
      const is = (name: string, value: string): boolean => (parameters.text(name) ?? value) === value;
      const isOrAll = (name: string, value: string): boolean =>
        ['all', value.toLowerCase()].includes((parameters.text(name) ?? 'all').toLowerCase());
      const filter = parameters.tags();
      const encrypted = parameters.flag('Encrypted');
      const found = [...state.disks.values()].filter(
        (it) =>
          it.region === parameters.required('RegionId') &&
          (ids === undefined || ids.includes(it.id)) &&
          isOrAll('Status', it.status) &&
          isOrAll('DiskType', it.type) &&
          isOrAll('Category', it.category) &&
          is('ZoneId', it.zone) &&
          is('InstanceId', it.instance ?? '') &&
          is('DiskName', it.name) &&
          is('SnapshotId', it.sourceSnapshot) &&
          is('KMSKeyId', it.kmsKey) &&
          (encrypted ?? it.encrypted) === it.encrypted &&
          carries(it.tags, filter),
      );
      const page = pageOf(found, parameters, { clamps: true });
      return { ...page.fields, Disks: { Disk: page.items.map(fields) } };
    },
  },

  /** An id that isn't there is no error. */
  DeleteDisk: {
    requires: ['DiskId'],
    run(parameters, { state }) {
      const disk = state.disks.get(parameters.required('DiskId'));
      if (!disk) return {};
      if (disk.status === 'Creating')
        refuse(403, 'IncorrectDiskStatus.Initializing', 'The specified disk is initializing.');
      if (disk.status !== 'Available') wrongStatus();
      const busy = [...state.snapshots.values()].some(
        (it) => it.sourceDisk === disk.id && it.sourceSnapshot === '' && it.status === 'progressing',
      );
      if (busy) refuse(403, 'IncorrectDiskStatus.CreatingSnapshot', 'A snapshot of the disk is being created.');
      state.disks.delete(disk.id);
      return {};
    },
  },
};
