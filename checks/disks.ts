import type { Sight } from '../src/check.js';
import { diskIdOf } from '../src/disk-volume.js';
import type { KubeObject } from '../src/ports.js';

/** The claims in the move and the volumes behind them. */

export interface ClaimedVolume {
  claim: KubeObject;
  /** undefined while the claim is not bound, or when its volume is gone */
  volume: KubeObject | undefined;
}

export function volumesOfClaims({ source, namespaces }: Sight): ClaimedVolume[] {
  return source.list('PersistentVolumeClaim', namespaces).map((claim) => {
    const name: unknown = claim['spec']?.volumeName;
    return {
      claim,
      volume: typeof name === 'string' && name !== '' ? source.get('PersistentVolume', undefined, name) : undefined,
    };
  });
}

export const isDisk = (volume: KubeObject) => diskIdOf(volume) !== undefined;

/** Whether the data phase makes a new disk, and so a new volume with a new zone, for this one. */
export const isRewritten = (volume: KubeObject, { playbook }: Sight) =>
  playbook.data !== undefined && playbook.data.disks.by !== 'none' && isDisk(volume);
