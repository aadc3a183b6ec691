import { createHash } from 'node:crypto';
import type { CopyArgs, DiskArgs, SnapshotArgs, VolumeArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import { rightOn } from '../objects.js';
import type { Cloud, Disk, KubeObject, Snapshot } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { owing } from './owing.js';
import { until } from '../wait.js';

/**
 * snapshot → copy to the other region → disk in the pods' zone → volume under the old name. Each thing made carries a tag with the plan,
 * the source's disk and the beginning of its step, so that a killed run adopts it, one that was kept on the way back is never taken for a
 * new one, and nothing without our tag is ever deleted.
 *
 * @source ECS API: CreateSnapshot, CopySnapshot, CreateDisk; an AlibabaCloud ClientToken is ASCII, at most 64 characters
 */
const TAG = 'migrate-id';
/** of every copy of a plan */
const PLAN_TAG = 'migrate-plan';
const DEADLINE_MS = 6 * 3_600_000;

/** Drawn once for each time a step is begun. */
export interface Drawn {
  /** value of the tag: `mark/disk/what/` and what tells this beginning from others */
  id: string;
}

function draw({ world, step, mark }: StepContext, disk: string, what: string): Drawn {
  const nonce = createHash('sha256').update(`${step.id} ${world.clock.now()}`).digest('hex').slice(0, 8);
  return { id: `${mark}/${disk}/${what}/${nonce}` };
}

const tokenOf = ({ id }: Drawn) => createHash('sha256').update(id).digest('hex').slice(0, 64);
const made = ({ id }: Drawn, { mark }: StepContext) => ({
  name: `migrate-${id.slice(0, id.lastIndexOf('/')).replaceAll('/', '-')}`,
  token: tokenOf({ id }),
  tags: { [TAG]: id, [PLAN_TAG]: mark },
});

/** The one snapshot or disk with our tag. Two would mean that a token did not hold: then we touch neither. */
function only<T extends { id: string }>(found: T[], id: string): T | undefined {
  if (found.length <= 1) return found[0];
  throw new MigrateError('COPY_NOT_UNIQUE', {
    what: `${found.map((it) => it.id).join(' and ')} both carry the tag ${TAG}=${id}.`,
    why: 'There must be exactly one copy; which of them is right can not be told.',
    fix: 'Delete the one that is not in use, then run again.',
  });
}

const findSnapshot = async (cloud: Cloud, region: string, { id }: Drawn) =>
  only(await cloud.snapshots(region, { key: TAG, value: id }), id);
const findDisk = async (cloud: Cloud, region: string, { id }: Drawn) =>
  only(await cloud.disks(region, { key: TAG, value: id }), id);

/** What an earlier step of the run made. */
async function madeBy<T>(
  step: string,
  what: string,
  region: string,
  { recorded, world }: StepContext,
  find: (cloud: Cloud, region: string, drawn: Drawn) => Promise<T | undefined>,
): Promise<T> {
  const drawn = recorded(step) as Drawn | undefined;
  const found = drawn && (await find(world.cloud, region, drawn));
  if (found) return found;
  throw new MigrateError('COPY_GONE', {
    what: `${what} is not in ${region} any more.`,
    why: 'Something deleted it after our step made it.',
    fix: `Roll back to before step ${step}, then run again.`,
  });
}

const passName = ({ live }: { live?: number }) => (live === undefined ? '' : `, live pass ${live}`);

export const snapshot: StepKind<SnapshotArgs, Drawn> = {
  kind: 'snapshot',
  title: (args) => `${args.claim}: snapshot of ${args.disk}${passName(args)}`,
  wayBack: () => 'the snapshot is deleted when told so, else kept',
  rights: () => ({}),

  async check({ claim, disk, region, live }, context) {
    await mustExist(await context.world.cloud.disk(region, disk), claim, disk, region);
    return draw(context, disk, live === undefined ? 'snapshot' : `snapshot-live-${live}`);
  },

  async apply({ disk, region, keep }, before, context) {
    const { cloud } = context.world;
    if (await findSnapshot(cloud, region, before)) return;
    await cloud.createSnapshot({ region, disk, keepDays: keep, ...made(before, context) });
  },

  async verify(args, before, context) {
    await untilReady(context, args.region, before, `Snapshot of ${args.disk}${passName(args)}`);
  },

  undo: ({ region }, before, context) => removeSnapshot(context, region, before),
};

export const copySnapshot: StepKind<CopyArgs, Drawn> = {
  kind: 'copy-snapshot',
  title: (args) => `${args.claim}: copied to ${args.toRegion} (${args.sizeGiB} GiB${passName(args)})`,
  wayBack: () => 'the copy is deleted when told so, else kept',
  rights: () => ({}),

  async check({ disk, live }, context) {
    return draw(context, disk, live === undefined ? 'copy' : `copy-live-${live}`);
  },

  async apply({ disk, region, from, toRegion, encrypted, kmsKey, keep }, before, context) {
    const { cloud } = context.world;
    if (await findSnapshot(cloud, toRegion, before)) return;
    const source = await madeBy(from, `The snapshot of ${disk}`, region, context, findSnapshot);
    await cloud.copySnapshot({
      region,
      snapshot: source.id,
      toRegion,
      keepDays: keep,
      ...made(before, context),
      ...(encrypted && { encrypted }),
      ...(kmsKey && { kmsKey }),
    });
  },

  async verify(args, before, context) {
    await untilReady(context, args.toRegion, before, `Copy of ${args.disk} in ${args.toRegion}${passName(args)}`);
  },

  undo: ({ toRegion }, before, context) => removeSnapshot(context, toRegion, before),
};

export const createDisk: StepKind<DiskArgs, Drawn> = {
  kind: 'create-disk',
  title: ({ claim, category, zone, region, sizeGiB }) =>
    `${claim}: new ${category} disk in ${zone === '' ? region : zone} (${sizeGiB} GiB)`,
  wayBack: () => 'the new disk is deleted when told so, else kept',
  rights: () => ({}),

  async check({ disk }, context) {
    return draw(context, disk, 'disk');
  },

  async apply(args, before, context) {
    const { cloud } = context.world;
    if (await findDisk(cloud, args.region, before)) return;
    const from = await madeBy(args.from, `The copy of ${args.disk}`, args.region, context, findSnapshot);
    const { region, zone, category, performanceLevel, sizeGiB, encrypted, kmsKey } = args;
    await cloud.createDisk({
      region,
      zone,
      category,
      sizeGiB,
      encrypted,
      snapshot: from.id,
      ...made(before, context),
      ...(performanceLevel && { performanceLevel }),
      ...(kmsKey && { kmsKey }),
    });
  },

  async verify(args, before, context) {
    const from = await madeBy(args.from, `The copy of ${args.disk}`, args.region, context, findSnapshot);
    let disk: Disk | undefined;
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
        disk = await findDisk(context.world.cloud, args.region, before);
        // One that a pod uses already was seen Available by an earlier try.
        return disk?.status === 'Available' || disk?.status === 'In_use'
          ? undefined
          : `it is ${disk?.status ?? 'absent'}`;
      },
    );
    const wrong = disk && wrongOf(disk, args, from);
    if (wrong === undefined) return;
    throw new MigrateError('DISK_WRONG', {
      what: `Disk ${disk?.id ?? '?'} for ${args.claim} is not as asked: ${wrong}.`,
      why: 'The cloud made something else than the plan says.',
      fix: 'Roll back, look at the plan and the region, then run again.',
    });
  },

  async undo(args, before, context) {
    const { cloud, target } = context.world;
    if (!context.deletesCopies) {
      const found = await findDisk(cloud, args.region, before);
      if (found) context.kept({ what: 'disk', id: found.id, region: args.region, mark: context.mark });
      return [];
    }
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
          const found = await findDisk(cloud, args.region, before);
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

function wrongOf(disk: Disk, args: DiskArgs, from: Snapshot): string | undefined {
  if (disk.zone !== args.zone) return `zone ${disk.zone}`;
  if (disk.sizeGiB < args.sizeGiB) return `${disk.sizeGiB} GiB`;
  if (disk.sourceSnapshot !== from.id) return `made from ${disk.sourceSnapshot ?? 'nothing'}`;
  if (disk.category !== args.category) return `category ${disk.category}`;
  return disk.encrypted === args.encrypted ? undefined : disk.encrypted ? 'encrypted' : 'not encrypted';
}

export const createVolume: StepKind<VolumeArgs, Record<string, never>> = {
  kind: 'create-volume',
  title: ({ claim, disk, volume }) =>
    `${claim}: volume ${volume.metadata.name} ${disk ? 'with the new disk' : 'of the share'}`,
  wayBack: ({ disk }) =>
    disk ? 'deletes the volume object; the disk has its own step' : 'deletes the volume object; the share stays',
  rights: () => ({
    target: ['get', 'create', 'delete'].map((verb) => rightOn(verb, 'PersistentVolume')),
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

  async apply({ disk, volume }, _before, context) {
    const { target } = context.world;
    const handle = disk && (await newDiskOf(disk, volume, context)).id;
    if (handle === disk?.id && disk) throw new Error('a copy has the id of its original');
    if (await target.get({ kind: 'PersistentVolume', name: volume.metadata.name })) return;
    await target.create({
      ...volume,
      metadata: { ...volume.metadata, labels: { ...volume.metadata.labels, 'migrate/plan': context.mark } },
      ...(handle !== undefined && {
        spec: { ...volume['spec'], csi: { ...volume['spec'].csi, volumeHandle: handle } },
      }),
    });
  },

  async verify({ disk, volume }, _before, context) {
    const wanted: unknown = disk ? (await newDiskOf(disk, volume, context)).id : volume['spec']?.csi?.volumeHandle;
    const found = await context.world.target.get({ kind: 'PersistentVolume', name: volume.metadata.name });
    const handle: unknown = found?.['spec']?.csi?.volumeHandle;
    if (found && handle === wanted) return;
    throw new MigrateError('VOLUME_WRONG', {
      what: `Volume ${volume.metadata.name} on the target names disk ${String(handle ?? 'none')}, not ${String(wanted ?? 'ours')}.`,
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

const newDiskOf = (disk: NonNullable<VolumeArgs['disk']>, volume: KubeObject, context: StepContext) =>
  madeBy(disk.from, `The new disk for ${volume.metadata.name}`, disk.region, context, findDisk);

async function mustExist(disk: Disk | undefined, claim: string, id: string, region: string): Promise<void> {
  if (disk) return;
  throw new MigrateError('DISK_MISSING', {
    what: `Disk ${id} of claim ${claim} is not in ${region}.`,
    why: 'It was there when the plan was made, or the identity can not see it.',
    fix: 'Check region and rights; make a new plan.',
  });
}

/** @throws MigrateError SNAPSHOT_FAILED, SNAPSHOT_TOO_SLOW */
async function untilReady(context: StepContext, region: string, drawn: Drawn, subject: string): Promise<void> {
  const { world } = context;
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
      const found = await findSnapshot(world.cloud, region, drawn);
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
}

async function removeSnapshot(context: StepContext, region: string, drawn: Drawn): Promise<[]> {
  const { cloud } = context.world;
  const found = await findSnapshot(cloud, region, drawn);
  if (found && context.deletesCopies) await cloud.deleteSnapshot(region, found.id);
  else if (found) context.kept({ what: 'snapshot', id: found.id, region, mark: context.mark });
  return [];
}
