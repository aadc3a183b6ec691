import type { RetainArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import { rightOn } from '../objects.js';
import type { Cluster } from '../ports.js';
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
    return { policies: await policiesOf(world.source, volumes) };
  },

  async apply({ volumes }, _before, { world }) {
    await setPolicies(world.source, volumes, (now) => (now === 'Retain' ? undefined : 'Retain'));
  },

  async verify({ volumes }, before, { world }) {
    const now = await policiesOf(world.source, volumes);
    // One that was gone at the beginning is no matter of ours.
    const wrong = volumes.filter((_, index) => before.policies[index] !== undefined && now[index] !== 'Retain');
    if (wrong.length === 0) return;
    throw new MigrateError('VOLUME_NOT_RETAINED', {
      what: `${wrong.join(', ')} on the source ${wrong.length === 1 ? 'is' : 'are'} not set to Retain.`,
      why: 'Something sets the policy back, or deleted the volume. If the claim goes its data goes, and with it the way back.',
      fix: 'Find what writes to the volume (GitOps, an operator), then run again.',
    });
  },

  async undo({ volumes }, before, { world }) {
    // What somebody else has set since stays.
    await setPolicies(world.source, volumes, (now, index) => (now === 'Retain' ? before.policies[index] : undefined));
    return [];
  },
};

const policyOf = async (cluster: Cluster, name: string): Promise<string | undefined> => {
  const found = await cluster.get({ kind: VOLUME, name });
  return found && String(found['spec']?.persistentVolumeReclaimPolicy ?? 'Retain');
};

const policiesOf = (cluster: Cluster, volumes: readonly string[]) =>
  Promise.all(volumes.map((it) => policyOf(cluster, it)));

async function setPolicies(
  cluster: Cluster,
  volumes: readonly string[],
  wanted: (now: string, index: number) => string | undefined,
): Promise<void> {
  for (const [index, name] of volumes.entries()) {
    const now = await policyOf(cluster, name);
    const to = now === undefined ? undefined : wanted(now, index);
    if (to !== undefined && to !== now)
      await cluster.patch({ kind: VOLUME, name }, { spec: { persistentVolumeReclaimPolicy: to } });
  }
}
