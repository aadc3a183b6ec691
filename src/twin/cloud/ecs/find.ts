import { refuse } from '../errors.js';
import type { Parameters } from '../parameters.js';
import type { CloudState, Disk, Instance } from '../state.js';

/** Key of the service in each region, used where a request asks for encryption and names no key. */
export const SERVICE_KEY = 'alias/acs/ecs';

export const wrongStatus = (): never =>
  refuse(403, 'IncorrectDiskStatus', 'The current disk status does not support this operation.');

export function findDisk(parameters: Parameters, state: CloudState): Disk {
  const found = state.disks.get(parameters.required('DiskId'));
  const region = parameters.text('RegionId');
  if (found && (region === undefined || region === found.region)) return found;
  return refuse(404, 'InvalidDiskId.NotFound', 'The specified disk does not exist.');
}

/** @param status  of the refusal of a key that isn't there */
export function checkKmsKey(key: string | undefined, region: string, status: number, { kmsKeys }: CloudState): void {
  const known = kmsKeys.get(region);
  if (key === undefined || key === SERVICE_KEY || !known) return;
  const enabled = known.get(key);
  if (enabled === undefined)
    refuse(status, 'InvalidParameter.KMSKeyId.NotFound', 'The specified KMSKeyId does not exist.');
  if (!enabled) refuse(403, 'InvalidParameter.KMSKeyId.CMKNotEnabled', 'The CMK needs to be enabled.');
}

export function findInstance(id: string, state: CloudState): Instance {
  return (
    state.instances.get(id) ?? refuse(404, 'InvalidInstanceId.NotFound', 'The specified InstanceId does not exist.')
  );
}
