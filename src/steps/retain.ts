import type { RetainArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import { rightOn } from '../objects.js';
import type { Cluster, KubeObject } from '../ports.js';
import type { StepKind } from '../step.js';
import { count } from '../words.js';

/**
 * With reclaimPolicy Delete a volume takes its disk or its files along when its claim goes. Ours are what the way back needs, and of a share
 * they are what the target works on: so they are kept, whatever happens to the old claims.
 *
 * @source https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
 */
export interface RetainBefore {
  /** in the order of the volumes; undefined for one that is gone */
  policies: (string | undefined)[];
}

const VOLUME = 'PersistentVolume';

export const retain: StepKind<RetainArgs, RetainBefore> = {
  kind: 'retain-volumes',
  title: ({ volumes }) =>
    `${count(volumes.length, 'volume')} of the source kept when ${volumes.length === 1 ? 'its claim goes' : 'their claims go'}`,
  wayBack: () => 'reclaim policies as they were',
  rights: () => ({ source: ['get', 'patch'].map((verb) => rightOn(verb, VOLUME)) }),

  async check({ volumes }, { world }) {
    const found = await Promise.all(volumes.map((it) => volumeOf(world.source, it)));
    return { policies: found.map((it) => it && policyOf(it)) };
  },

  async apply({ volumes }, _before, { world }) {
    for (const name of volumes) {
      const found = await volumeOf(world.source, name);
      if (found && policyOf(found) !== 'Retain') await setPolicy(world.source, name, 'Retain');
    }
  },

  async verify({ volumes }, before, { world }) {
    const wrong: string[] = [];
    for (const [index, name] of volumes.entries()) {
      const found = await volumeOf(world.source, name);
      // One that was gone at the beginning is no matter of ours.
      if (before.policies[index] !== undefined && (!found || policyOf(found) !== 'Retain')) wrong.push(name);
    }
    if (wrong.length === 0) return;
    throw new MigrateError('VOLUME_NOT_RETAINED', {
      what: `${wrong.join(', ')} on the source ${wrong.length === 1 ? 'is' : 'are'} not set to Retain.`,
      why: 'Something sets the policy back, or deleted the volume. If the claim goes its data goes, and with it the way back.',
      fix: 'Find what writes to the volume (GitOps, an operator), then run again.',
    });
  },

  async undo({ volumes }, before, { world, emit }) {
    for (const [index, name] of volumes.entries()) {
      const was = before.policies[index];
      const found = await volumeOf(world.source, name);
      // What somebody else has set since stays.
      if (!found || was === undefined || was === 'Retain' || policyOf(found) !== 'Retain') continue;
      if (found['status']?.phase === 'Bound') await setPolicy(world.source, name, was);
      else
        emit({
          type: 'warning',
          what: `Volume ${name} on the source stays at Retain and is not set to ${was} again: its claim is gone, and its data would go with that.`,
          fix: 'Delete the volume and what is behind it by hand if nobody needs it.',
        });
    }
    return [];
  },
};

const volumeOf = (cluster: Cluster, name: string) => cluster.get({ kind: VOLUME, name });

const policyOf = ({ spec }: KubeObject) => String(spec?.persistentVolumeReclaimPolicy ?? 'Retain');

const setPolicy = (cluster: Cluster, name: string, policy: string) =>
  cluster.patch({ kind: VOLUME, name }, { spec: { persistentVolumeReclaimPolicy: policy } });
