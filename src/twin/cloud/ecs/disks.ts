import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { pageOf } from '../paging.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { isSold, zonesOf } from '../regions.js';
import { type CloudState, type Disk, type Instance, isoSeconds, type Snapshot } from '../state.js';
import { carries, newTags, tagList } from '../tags.js';
import { categoryOf, checkSize, levelOf } from './categories.js';
import { findDisk, findInstance, SERVICE_KEY } from './find.js';

const SECOND_MS = 1000;

const wrongStatus = (): never =>
  refuse(403, 'IncorrectDiskStatus', 'The current disk status does not support this operation.');

function checkPlace(disk: Disk, instance: Instance): void {
  const near = disk.zone === '' ? disk.region === instance.region : disk.zone === instance.zone;
  if (!near) refuse(403, 'ResourcesNotInSameZone', 'The specified instance and disk are not in the same zone.');
}

function checkRoom(instance: Instance, { state, limits }: Context): void {
  const attached = [...state.disks.values()].filter((it) => it.instance === instance.id).length;
  if (attached >= limits.disksPerInstance)
    refuse(403, 'InstanceDiskLimitExceeded', 'The amount of the disks on the instance exceeds its limit.');
}

/** Attaches at once, as seen by somebody who waited. Attached to this instance already is fine. */
export function attachNow(state: CloudState, id: string, instanceId: string): void {
  const disk = state.disks.get(id) ?? refuse(404, 'InvalidDiskId.NotFound', 'The specified disk does not exist.');
  if (disk.status === 'In_use' && disk.instance === instanceId) return;
  if (disk.status !== 'Available') wrongStatus();
  const instance = findInstance(instanceId, state);
  checkPlace(disk, instance);
  Object.assign(disk, { status: 'In_use', instance: instance.id, everAttached: true } satisfies Partial<Disk>);
}

/** Detaches at once; a disk that is attached nowhere is fine. */
export function detachNow(state: CloudState, id: string): void {
  const disk = state.disks.get(id) ?? refuse(404, 'InvalidDiskId.NotFound', 'The specified disk does not exist.');
  if (disk.status === 'Available') return;
  if (disk.status !== 'In_use') wrongStatus();
  Object.assign(disk, { status: 'Available', instance: undefined } satisfies Partial<Disk>);
}

function fields(it: Disk): Json {
  const attached = it.instance !== undefined && it.status === 'In_use';
  return {
    DiskId: it.id,
    DiskName: it.name,
    Description: it.description,
    RegionId: it.region,
    ZoneId: it.zone,
    Status: it.status,
    Type: 'data',
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
  if (!isSold(zone, category, context)) {
    refuse(
      400,
      'InvalidDataDiskCategory.NotSupported',
      'The specified data disk category is not supported in the zone.',
    );
  }
  return zone;
}

function checkEncryption(snapshot: Snapshot | undefined, encrypted: boolean): void {
  if (snapshot?.encrypted && !encrypted) {
    refuse(403, 'InvalidEncrypted.NotMatchSnapshot', 'A disk of an encrypted snapshot must be encrypted.');
  }
  if (snapshot && !snapshot.encrypted && encrypted) {
    refuse(400, 'EncryptedOption.Conflict', 'A disk of a plain snapshot cannot be encrypted.');
  }
}

function createDisk(parameters: Parameters, context: Context): Json {
  const { state, ids, clock, rates, limits } = context;
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
  const encrypted = parameters.flag('Encrypted') ?? false;
  checkEncryption(snapshot, encrypted);

  const name = parameters.text('DiskName') ?? '';
  const disk: Disk = {
    id: ids('d', snapshot?.id ?? '', zone, name),
    name,
    description: parameters.text('Description') ?? '',
    region: parameters.required('RegionId'),
    zone,
    category,
    performanceLevel,
    sizeGiB,
    status: 'Creating',
    encrypted,
    kmsKey: encrypted ? (parameters.text('KMSKeyId') ?? SERVICE_KEY) : '',
    instance: undefined,
    sourceSnapshot: snapshot?.id ?? '',
    everAttached: false,
    tags: newTags(parameters, limits.tagsPerResource),
    createdMs: clock.now(),
  };
  state.disks.set(disk.id, disk);
  clock.after(rates.diskFixedMs + (snapshot ? (sizeGiB / rates.diskGiBPerSecond) * SECOND_MS : 0), () => {
    if (disk.status === 'Creating') disk.status = 'Available';
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
      const status = parameters.text('Status') ?? 'All';
      const filter = parameters.tags();
      const encrypted = parameters.flag('Encrypted');
      const found = [...state.disks.values()].filter(
        (it) =>
          it.region === parameters.required('RegionId') &&
          (ids === undefined || ids.includes(it.id)) &&
          (status === 'All' || status === it.status) &&
          is('ZoneId', it.zone) &&
          is('InstanceId', it.instance ?? '') &&
          is('DiskName', it.name) &&
          is('Category', it.category) &&
          is('SnapshotId', it.sourceSnapshot) &&
          (encrypted ?? it.encrypted) === it.encrypted &&
          carries(it.tags, filter),
      );
      const page = pageOf(found, parameters);
      return { ...page.fields, Disks: { Disk: page.items.map(fields) } };
    },
  },

  AttachDisk: {
    requires: ['InstanceId', 'DiskId'],
    run(parameters, context) {
      const disk = findDisk(parameters, context.state);
      const instance = findInstance(parameters.required('InstanceId'), context.state);
      if (disk.status !== 'Available') wrongStatus();
      checkPlace(disk, instance);
      checkRoom(instance, context);
      Object.assign(disk, { status: 'Attaching', instance: instance.id, everAttached: true } satisfies Partial<Disk>);
      context.clock.after(context.rates.attachMs, () => {
        if (disk.status === 'Attaching') disk.status = 'In_use';
      });
      return {};
    },
  },

  DetachDisk: {
    requires: ['InstanceId', 'DiskId'],
    run(parameters, context) {
      const disk = findDisk(parameters, context.state);
      const instance = findInstance(parameters.required('InstanceId'), context.state);
      if (disk.instance !== instance.id)
        refuse(404, 'InvalidDisk.AlreadyDetached', 'The specified disk is not attached to the instance.');
      if (disk.status !== 'In_use') wrongStatus();
      disk.status = 'Detaching';
      context.clock.after(context.rates.attachMs, () => {
        if (disk.status !== 'Detaching') return;
        Object.assign(disk, { status: 'Available', instance: undefined } satisfies Partial<Disk>);
      });
      return {};
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
