import { createHash } from 'node:crypto';
import type { CopyArgs, DiskArgs, SnapshotArgs, VolumeArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import type { Cloud, Disk, Snapshot } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { owing } from './owing.js';
import { until } from '../wait.js';

/**
 * snapshot → copy to the other region → disk in the pods' zone → volume under the old name. Each thing made carries a tag with the plan
 * and the source's disk, so that a killed run adopts it, and nothing without our tag is ever deleted.
 *
 * @source ECS API: CreateSnapshot, CopySnapshot, CreateDisk; an AlibabaCloud ClientToken is ASCII, at most 64 characters
 */
const TAG = 'migrate-id';
const DEADLINE_MS = 6 * 3_600_000;

const idOf = ({ mark }: StepContext, disk: string, what: string) => `${mark}/${disk}/${what}`;

/** Drawn once for each time a step is begun: a token that was used before an undo still means what was deleted then. */
export interface Drawn {
  nonce: string;
}

const draw = ({ world, step }: StepContext): Drawn => ({ nonce: `${step.id} ${world.clock.now()}` });
const tokenOf = (id: string, { nonce }: Drawn) =>
  createHash('sha256').update(`${id} ${nonce}`).digest('hex').slice(0, 64);
const named = (id: string) => `migrate-${id.replaceAll('/', '-')}`;

/** The one snapshot or disk with our tag. Two would mean that a token did not hold: then we touch neither. */
function only<T extends { id: string }>(found: T[], id: string): T | undefined {
  if (found.length <= 1) return found[0];
  throw new MigrateError('COPY_NOT_UNIQUE', {
    what: `${found.map((it) => it.id).join(' and ')} both carry the tag ${TAG}=${id}.`,
    why: 'There must be exactly one copy; which of them is right can not be told.',
    fix: 'Delete the one that is not in use, then run again.',
  });
}

const findSnapshot = async (cloud: Cloud, region: string, id: string) =>
  only(await cloud.snapshots(region, { key: TAG, value: id }), id);
const findDisk = async (cloud: Cloud, region: string, id: string) =>
  only(await cloud.disks(region, { key: TAG, value: id }), id);

export const snapshot: StepKind<SnapshotArgs, Drawn> = {
  kind: 'snapshot',
  title: ({ claim, disk }) => `${claim}: snapshot of ${disk}`,
  wayBack: () => 'deletes the snapshot',
  rights: () => ({}),

  async check({ claim, disk, region }, context) {
    await mustExist(await context.world.cloud.disk(region, disk), claim, disk, region);
    return draw(context);
  },

  async apply({ disk, region }, before, context) {
    const id = idOf(context, disk, 'snapshot');
    if (await findSnapshot(context.world.cloud, region, id)) return;
    await context.world.cloud.createSnapshot({
      region,
      disk,
      name: named(id),
      token: tokenOf(id, before),
      tags: { [TAG]: id },
    });
  },

  async verify({ disk, region }, _before, context) {
    await untilReady(context, region, idOf(context, disk, 'snapshot'), `Snapshot of ${disk}`);
  },

  async undo({ disk, region }, _before, context) {
    await removeSnapshot(context, region, idOf(context, disk, 'snapshot'));
    return [];
  },
};

export const copySnapshot: StepKind<CopyArgs, Drawn> = {
  kind: 'copy-snapshot',
  title: ({ claim, toRegion, sizeGiB }) => `${claim}: copied to ${toRegion} (${sizeGiB} GiB)`,
  wayBack: () => 'deletes the copy',
  rights: () => ({}),

  async check(_args, context) {
    return draw(context);
  },

  async apply({ disk, region, toRegion, kmsKey }, before, context) {
    const { cloud } = context.world;
    const id = idOf(context, disk, 'copy');
    if (await findSnapshot(cloud, toRegion, id)) return;
    const from = await findSnapshot(cloud, region, idOf(context, disk, 'snapshot'));
    if (!from) throw gone(`The snapshot of ${disk}`, region);
    await cloud.copySnapshot({
      region,
      snapshot: from.id,
      toRegion,
      name: named(id),
      token: tokenOf(id, before),
      tags: { [TAG]: id },
      ...(kmsKey && { kmsKey }),
    });
  },

  async verify({ disk, toRegion }, _before, context) {
    await untilReady(context, toRegion, idOf(context, disk, 'copy'), `Copy of ${disk} in ${toRegion}`);
  },

  async undo({ disk, toRegion }, _before, context) {
    await removeSnapshot(context, toRegion, idOf(context, disk, 'copy'));
    return [];
  },
};

export const createDisk: StepKind<DiskArgs, Drawn> = {
  kind: 'create-disk',
  title: ({ claim, category, zone, sizeGiB }) => `${claim}: new ${category} disk in ${zone} (${sizeGiB} GiB)`,
  wayBack: () => 'deletes the new disk',
  rights: () => ({}),

  async check(_args, context) {
    return draw(context);
  },

  async apply(args, before, context) {
    const { cloud } = context.world;
    const id = idOf(context, args.disk, 'disk');
    if (await findDisk(cloud, args.region, id)) return;
    const from = await findSnapshot(cloud, args.region, idOf(context, args.disk, args.from));
    if (!from) throw gone(`The ${args.from} of ${args.disk}`, args.region);
    const { region, zone, category, performanceLevel, sizeGiB, encrypted, kmsKey } = args;
    await cloud.createDisk({
      region,
      zone,
      category,
      sizeGiB,
      encrypted,
      snapshot: from.id,
      name: named(id),
      token: tokenOf(id, before),
      tags: { [TAG]: id },
      ...(performanceLevel && { performanceLevel }),
      ...(kmsKey && { kmsKey }),
    });
  },

  async verify(args, _before, context) {
    const id = idOf(context, args.disk, 'disk');
    const from = await findSnapshot(context.world.cloud, args.region, idOf(context, args.disk, args.from));
    let made: Disk | undefined;
    await until(
      context,
      {
        code: 'DISK_TOO_SLOW',
        deadlineMs: DEADLINE_MS,
        subject: `New disk for ${args.claim}`,
        why: 'The cloud has not finished it.',
        fix: 'Look at the disk in the console, then run again.',
      },
      async () => {
        made = await findDisk(context.world.cloud, args.region, id);
        // One that a pod uses already was seen Available by an earlier try.
        return made?.status === 'Available' || made?.status === 'In_use'
          ? undefined
          : `it is ${made?.status ?? 'absent'}`;
      },
    );
    const wrong =
      made &&
      (made.zone !== args.zone
        ? `zone ${made.zone}`
        : made.sizeGiB < args.sizeGiB
          ? `${made.sizeGiB} GiB`
          : made.sourceSnapshot !== from?.id
            ? `made from ${made.sourceSnapshot ?? 'nothing'}`
            : undefined);
    if (wrong === undefined) return;
    throw new MigrateError('DISK_WRONG', {
      what: `Disk ${made?.id ?? '?'} for ${args.claim} is not as asked: ${wrong}.`,
      why: 'The cloud made something else than the plan says.',
      fix: 'Roll back, look at the plan and the region, then run again.',
    });
  },

  async undo(args, _before, context) {
    const { cloud, target } = context.world;
    const id = idOf(context, args.disk, 'disk');
    return owing(`the new disk for ${args.claim} is still attached to a node there.`, () =>
      until(
        context,
        {
          code: 'DISK_NOT_DELETED',
          deadlineMs: 600_000,
          subject: `New disk for ${args.claim}`,
          why: 'A pod or node still holds it.',
          fix: 'Detach it, then go back again.',
        },
        async () => {
          const found = await findDisk(cloud, args.region, id);
          if (!found) return undefined;
          if (found.status !== 'Available') {
            // Only the target's controllers let go of it: when nobody is there to do so, nobody waits.
            if (found.status !== 'Creating') await target.identify();
            return `${found.id} is ${found.status}`;
          }
          await cloud.deleteDisk(args.region, found.id);
          return `${found.id} is being deleted`;
        },
      ),
    );
  },
};

export const createVolume: StepKind<VolumeArgs, Record<string, never>> = {
  kind: 'create-volume',
  title: ({ claim, volume }) => `${claim}: volume ${volume.metadata.name} with the new disk`,
  wayBack: () => 'deletes the volume object; the disk has its own step',
  rights: () => ({
    target: ['get', 'create', 'delete'].map((verb) => ({ verb, group: '', resource: 'persistentvolumes' })),
  }),

  async check({ volume }, { world }) {
    const found = await world.target.get({ kind: 'PersistentVolume', name: volume.metadata.name });
    if (!found) return {};
    throw new MigrateError('OBJECT_EXISTS', {
      what: `The target has a PersistentVolume ${volume.metadata.name} already, for disk ${String(found['spec']?.csi?.volumeHandle ?? '?')}.`,
      why: 'The claim would bind to that one; an earlier move may have left it.',
      fix: 'Delete the object if nothing uses it, then run again.',
    });
  },

  async apply({ disk, region, volume }, _before, context) {
    const { cloud, target } = context.world;
    const id = idOf(context, disk, 'disk');
    const made = await findDisk(cloud, region, id);
    if (!made) throw gone(`The new disk for ${volume.metadata.name}`, region);
    if (made.id === disk) throw new Error('a copy has the id of its original');
    if (await target.get({ kind: 'PersistentVolume', name: volume.metadata.name })) return;
    await target.create({
      ...volume,
      metadata: { ...volume.metadata, labels: { ...volume.metadata.labels, 'migrate/plan': context.mark } },
      spec: { ...volume['spec'], csi: { ...volume['spec'].csi, volumeHandle: made.id } },
    });
  },

  async verify({ disk, region, volume }, _before, context) {
    const made = await findDisk(context.world.cloud, region, idOf(context, disk, 'disk'));
    const found = await context.world.target.get({ kind: 'PersistentVolume', name: volume.metadata.name });
    const handle: unknown = found?.['spec']?.csi?.volumeHandle;
    if (made && handle === made.id) return;
    throw new MigrateError('VOLUME_WRONG', {
      what: `Volume ${volume.metadata.name} on the target names disk ${String(handle ?? 'none')}, not ${made?.id ?? 'ours'}.`,
      why: 'Something else made or changed it. A disk must never be in use on two sides.',
      fix: 'Delete that object if nothing uses it, then run again.',
    });
  },

  undo: ({ volume }, _before, context) =>
    owing(`volume ${volume.metadata.name} is left there.`, async () => {
      const { target } = context.world;
      const ref = { kind: 'PersistentVolume', name: volume.metadata.name };
      const found = await target.get(ref);
      if (!found || found.metadata.labels?.['migrate/plan'] !== context.mark) return;
      await target.delete(ref, { ...(found.metadata.uid && { uid: found.metadata.uid }) });
      await until(
        context,
        {
          code: 'VOLUME_NOT_DELETED',
          deadlineMs: 300_000,
          subject: `Volume ${volume.metadata.name}`,
          why: 'A claim or a node still holds it.',
          fix: 'See its finalizers, then go back again.',
        },
        async () => ((await target.get(ref)) ? 'it is still there' : undefined),
      );
    }),
};

async function mustExist(disk: Disk | undefined, claim: string, id: string, region: string): Promise<void> {
  if (disk) return;
  throw new MigrateError('DISK_MISSING', {
    what: `Disk ${id} of claim ${claim} is not in ${region}.`,
    why: 'It was there when the plan was made, or the identity can not see it.',
    fix: 'Check region and rights; make a new plan.',
  });
}

const gone = (what: string, region: string) =>
  new MigrateError('COPY_GONE', {
    what: `${what} is not in ${region} any more.`,
    why: 'Something deleted it after our step made it.',
    fix: 'Roll back to before that step, then run again.',
  });

/** @throws MigrateError SNAPSHOT_FAILED, SNAPSHOT_TOO_SLOW */
async function untilReady(context: StepContext, region: string, id: string, subject: string): Promise<Snapshot> {
  const { world } = context;
  let found: Snapshot | undefined;
  await until(
    context,
    {
      code: 'SNAPSHOT_TOO_SLOW',
      deadlineMs: DEADLINE_MS,
      subject,
      why: 'The cloud has not finished it.',
      fix: 'Look at it in the console, then run again: the copy goes on meanwhile.',
    },
    async () => {
      found = await findSnapshot(world.cloud, region, id);
      if (found?.status === 'failed') {
        throw new MigrateError('SNAPSHOT_FAILED', {
          what: `${subject} (${found.id}) failed.`,
          why: 'The cloud gives no reason here; quota and keys are the usual ones.',
          fix: 'See the console; roll this step back, then run again.',
        });
      }
      return found?.status === 'accomplished' ? undefined : `${found?.progress ?? 0} %`;
    },
  );
  if (!found) throw new Error('a snapshot that is ready was seen');
  return found;
}

async function removeSnapshot({ world }: StepContext, region: string, id: string): Promise<void> {
  const found = await findSnapshot(world.cloud, region, id);
  if (found) await world.cloud.deleteSnapshot(region, found.id);
}
