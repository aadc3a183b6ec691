import { refuse } from '../errors.js';
import type { Parameters } from '../parameters.js';
import type { CloudState, Disk, Instance } from '../state.js';

/** Key of the service in each region, used where a request asks for encryption and names no key. */
export const SERVICE_KEY = 'alias/acs/ecs';

export function findDisk(parameters: Parameters, state: CloudState): Disk {
  const found = state.disks.get(parameters.required('DiskId'));
  const region = parameters.text('RegionId');
  if (found && (region === undefined || region === found.region)) return found;
  return refuse(404, 'InvalidDiskId.NotFound', 'The specified disk does not exist.');
}

export function findInstance(id: string, state: CloudState): Instance {
  return (
    state.instances.get(id) ?? refuse(404, 'InvalidInstanceId.NotFound', 'The specified InstanceId does not exist.')
  );
}
