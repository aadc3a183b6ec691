import { refuse } from '../errors.js';
import type { Action, Context } from '../product.js';
import type { Disk, Instance } from '../state.js';
import { beginUse, endUse } from './content.js';
import { findDisk, findInstance, wrongStatus } from './find.js';

function checkPlace(disk: Disk, instance: Instance, { state }: Context): void {
  const near = disk.zone === '' ? disk.region === instance.region : disk.zone === instance.zone;
  if (!near) refuse(403, 'ResourcesNotInSameZone', 'The specified instance and disk are not in the same zone.');
  if (!(state.instanceTypes.get(instance.type)?.has(disk.category) ?? true))
    refuse(403, 'InvalidDiskCategory.NotSupported', `${instance.type} does not support disks of ${disk.category}.`);
}

const disksOf = (instance: Instance, { state }: Context): Disk[] =>
  [...state.disks.values()].filter((it) => it.instance === instance.id);

function checkRoom(instance: Instance, context: Context): void {
  const { limits } = context;
  const disks = disksOf(instance, context);
  if (disks.length >= limits.disksPerInstance)
    refuse(403, 'InstanceDiskLimitExceeded', 'The amount of the disks on the instance exceeds its limit.');
  if (disks.filter((it) => it.status === 'Attaching').length >= limits.attachingPerInstance)
    refuse(409, 'InvalidOperation.Conflict', 'Request was denied due to conflict with a previous request.');
}

function checkDetaching(instance: Instance, context: Context): void {
  const detaching = disksOf(instance, context).filter((it) => it.status === 'Detaching').length;
  if (detaching >= context.limits.detachingPerInstance)
    refuse(400, 'DisksDetachingOnEcsExceeded', 'The number of disks detaching on the instance exceeds the limit.');
}

function attached(disk: Disk, context: Context): void {
  disk.status = 'In_use';
  beginUse(disk, context);
}

/** Attaches at once, as seen by somebody who waited. Attached to this instance already is fine. */
export function attachNow(id: string, instanceId: string, context: Context): void {
  const { state } = context;
  const disk = state.disks.get(id) ?? refuse(404, 'InvalidDiskId.NotFound', 'The specified disk does not exist.');
  if (disk.status === 'In_use' && disk.instance === instanceId) return;
  if (disk.status !== 'Available') wrongStatus();
  const instance = findInstance(instanceId, state);
  checkPlace(disk, instance, context);
  Object.assign(disk, { instance: instance.id, everAttached: true } satisfies Partial<Disk>);
  attached(disk, context);
}

/** Detaches at once; a disk that is attached nowhere is fine. */
export function detachNow(id: string, context: Context): void {
  const disk =
    context.state.disks.get(id) ?? refuse(404, 'InvalidDiskId.NotFound', 'The specified disk does not exist.');
  if (disk.status === 'Available') return;
  if (disk.status !== 'In_use') wrongStatus();
  endUse(disk, context);
  Object.assign(disk, { status: 'Available', instance: undefined } satisfies Partial<Disk>);
}

export const attachActions: Record<string, Action> = {
  AttachDisk: {
    requires: ['InstanceId', 'DiskId'],
    run(parameters, context) {
      const disk = findDisk(parameters, context.state);
      const instance = findInstance(parameters.required('InstanceId'), context.state);
      if (disk.status !== 'Available') wrongStatus();
      checkPlace(disk, instance, context);
      checkRoom(instance, context);
      Object.assign(disk, { status: 'Attaching', instance: instance.id, everAttached: true } satisfies Partial<Disk>);
      context.clock.after(context.rates.attachMs, () => {
        if (disk.status === 'Attaching') attached(disk, context);
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
      checkDetaching(instance, context);
      endUse(disk, context);
      disk.status = 'Detaching';
      context.clock.after(context.rates.attachMs, () => {
        if (disk.status !== 'Detaching') return;
        Object.assign(disk, { status: 'Available', instance: undefined } satisfies Partial<Disk>);
      });
      return {};
    },
  },
};
