import type { CopyArgs, DiskArgs, SnapshotArgs, VolumeArgs } from '../args.js';
import { isMigrateError, MigrateError } from '../errors.js';
import { rightOn, splitPath } from '../objects.js';
import type { Disk, KubeObject, Snapshot } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { until } from '../wait.js';
import { spell } from '../words.js';
import { mustStillRest, RIGHTS_OF_REST } from './at-rest.js';
import { draw, type Drawn, keepAll, leftOf, madeBy, make, untilMade } from './copies.js';
import { DISKS, SNAPSHOTS } from './looks.js';
import { owing } from './owing.js';

/**
 * snapshot → copy to the other region → disk in the pods' zone → volume under the old name. What each makes is found again by its tags:
 * see copies.ts.
 */

const LET_GO_MS = 15 * 60_000;

const passName = ({ live }: { live?: number }) => (live === undefined ? '' : `, live pass ${live}`);

export const snapshot: StepKind<SnapshotArgs, Drawn> = {
  kind: 'snapshot',
  title: (args) => `${args.claim}: snapshot of ${args.disk}${passName(args)}`,
  wayBack: () => 'the snapshot is deleted when told so, else kept',
  rights: ({ volume }) => (volume === undefined ? {} : { source: RIGHTS_OF_REST }),

  async check({ claim, disk, region, live }, context) {
    await mustExist(await context.world.cloud.disk(region, disk), claim, disk, region);
    return draw(context, disk, live === undefined ? 'snapshot' : `snapshot-live-${live}`);
  },

  async apply({ claim, disk, region, keep, volume }, before, context) {
    const mustRest = async () => {
      if (volume !== undefined) await mustStillRest({ claims: [claim], volumes: [volume] }, context.world.source);
    };
    await mustRest();
    if (volume !== undefined) await untilLetGo(claim, disk, region, context);
    await make(SNAPSHOTS, before, region, context, async (ours) => {
      await mustRest();
      return context.world.cloud.createSnapshot({ region, disk, keepDays: keep, ...ours });
    });
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
    const source = await madeBy(SNAPSHOTS, from, `The snapshot of ${disk}`, region, context);
    await make(SNAPSHOTS, before, toRegion, context, (ours) =>
      context.world.cloud.copySnapshot({
        region,
        snapshot: source.id,
        toRegion,
        keepDays: keep,
        ...ours,
        ...(encrypted && { encrypted }),
        ...(kmsKey && { kmsKey }),
      }),
    );
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
    const from = await madeBy(SNAPSHOTS, args.from, `The copy of ${args.disk}`, args.region, context);
    const { region, zone, category, performanceLevel, sizeGiB, encrypted, kmsKey } = args;
    await make(DISKS, before, region, context, (ours) =>
      context.world.cloud.createDisk({
        region,
        zone,
        category,
        sizeGiB,
        encrypted,
        snapshot: from.id,
        ...ours,
        ...(performanceLevel && { performanceLevel }),
        ...(kmsKey && { kmsKey }),
      }),
    );
  },

  async verify(args, before, context) {
    const from = await madeBy(SNAPSHOTS, args.from, `The copy of ${args.disk}`, args.region, context);
    const disk = await untilMade(DISKS, before, args.region, context, {
      code: 'DISK_TOO_SLOW',
      subject: `New disk for ${args.claim}`,
      // One that a pod uses already was seen Available by an earlier try.
      missing: ({ status }) =>
        status === 'Available' || status === 'In_use' ? undefined : { note: `it is ${status}` },
    });
    const wrong = wrongOf(disk, args, from);
    if (wrong === undefined) return;
    throw new MigrateError('DISK_WRONG', {
      what: `Disk ${disk.id} for ${args.claim} is not as asked: ${wrong}.`,
      why: 'The cloud made something else than the plan says.',
      fix: 'Roll back, look at the plan and the region, then run again.',
    });
  },

  async undo(args, before, context) {
    const { world, deletesCopies } = context;
    const left = await leftOf(DISKS, before, args.region, context);
    if (!deletesCopies) {
      keepAll(DISKS, left, context);
      return [];
    }
    if (left.length === 0) return [];
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
          const notes = await Promise.all(left.map(({ id }) => deleteDisk(args.region, id, world)));
          return notes.find((it) => it !== undefined);
        },
      ),
    );
  },
};

/** @returns why it is still there; undefined when it is gone */
async function deleteDisk(
  region: string,
  id: string,
  { cloud, target }: StepContext['world'],
): Promise<string | undefined> {
  const found = await cloud.disk(region, id);
  if (!found) return undefined;
  if (found.status !== 'Available') {
    // Only the target's controllers let go of it: when nobody is there to do so, nobody waits.
    if (found.status !== 'Creating') await target.identify();
    return `${id} is ${found.status}`;
  }
  try {
    await cloud.deleteDisk(region, id);
  } catch (error) {
    if (!isMigrateError(error, 'CLOUD_OCCUPIED')) throw error;
    return error.what;
  }
  return `${id} is being deleted`;
}

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
    target: [
      ...['get', 'create', 'delete'].map((verb) => rightOn(verb, 'PersistentVolume')),
      ...['get', 'delete'].map((verb) => rightOn(verb, 'PersistentVolumeClaim')),
    ],
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

  undo: ({ claim, volume }, _before, context) =>
    owing(`volume ${volume.metadata.name} is left there.`, async () => {
      const { target } = context.world;
      const ref = { kind: 'PersistentVolume', name: volume.metadata.name };
      const found = await target.get(ref);
      if (!found || found.metadata.labels?.['migrate/plan'] !== context.mark) return;
      await removeClaimOn(found, claim, context);
      await target.delete(ref, { ...(found.metadata.uid && { uid: found.metadata.uid }) });
      await until(context, { ...STILL_HELD, subject: `Volume ${volume.metadata.name}` }, async () =>
        (await target.get(ref)) ? 'it is still there' : undefined,
      );
    }),
};

/**
 * One that a StatefulSet has made of its template goes with nothing else, and would hold the volume for good. Kept by its pods until they are
 * gone, so nobody has the volume when this is over. One that was there before our volume is not ours.
 */
async function removeClaimOn(volume: KubeObject, path: string, context: StepContext): Promise<void> {
  const { target } = context.world;
  const ref = { kind: 'PersistentVolumeClaim', ...splitPath(path) };
  const claim = await target.get(ref);
  const made = ({ metadata }: KubeObject) => Date.parse(metadata.creationTimestamp ?? '');
  if (!claim || claim['spec']?.volumeName !== volume.metadata.name || !(made(claim) >= made(volume))) return;
  await target.delete(ref, { ...(claim.metadata.uid && { uid: claim.metadata.uid }) });
  await until(context, { ...STILL_HELD, subject: `Claim ${path} on the target` }, async () =>
    (await target.get(ref)) ? 'it is still there' : undefined,
  );
}

const STILL_HELD = {
  code: 'VOLUME_NOT_DELETED',
  deadlineMs: 300_000,
  why: 'A claim, a pod or a node still holds it.',
  fix: 'See its finalizers, then go back again.',
};

const newDiskOf = (disk: NonNullable<VolumeArgs['disk']>, volume: KubeObject, context: StepContext) =>
  madeBy(DISKS, disk.from, `The new disk for ${volume.metadata.name}`, disk.region, context);

/**
 * The cloud's own word that the disk is attached nowhere: FlexVolume has no VolumeAttachments, and an attachment made by hand has none either.
 *
 * @throws MigrateError VOLUME_STILL_ATTACHED
 */
async function untilLetGo(claim: string, id: string, region: string, context: StepContext): Promise<void> {
  await until(
    context,
    {
      code: 'VOLUME_STILL_ATTACHED',
      deadlineMs: LET_GO_MS,
      subject: `Disk ${id} of ${claim}`,
      why: 'A disk that is attached may still be written to, and what is not flushed is in no snapshot. It was not made yet: nothing is lost.',
      fix: 'See in the console which instance has it; a node that died holds its disks until it is deleted. Detach it, then run again.',
    },
    async () => {
      const disk = await context.world.cloud.disk(region, id);
      if (!disk || disk.status === 'Available') return undefined;
      return `the cloud says ${disk.status}${disk.instance === undefined ? '' : ` by ${disk.instance}`}`;
    },
  );
}

async function mustExist(disk: Disk | undefined, claim: string, id: string, region: string): Promise<void> {
  if (disk) return;
  throw new MigrateError('DISK_MISSING', {
    what: `Disk ${id} of claim ${claim} is not in ${region}.`,
    why: 'It was there when the plan was made, or the identity can not see it.',
    fix: 'Check region and rights; make a new plan.',
  });
}

/** @throws MigrateError SNAPSHOT_FAILED, SNAPSHOT_TOO_SLOW, COPY_GONE */
async function untilReady(context: StepContext, region: string, drawn: Drawn, subject: string): Promise<void> {
  await untilMade(SNAPSHOTS, drawn, region, context, {
    code: 'SNAPSHOT_TOO_SLOW',
    subject,
    missing({ id, status, progress, remainS }) {
      if (status === 'accomplished') return undefined;
      if (status !== 'failed')
        return { note: `${progress} %${remainS > 0 ? `, ${spell(remainS * 1000)} left` : ''}`, remainS };
      throw new MigrateError('SNAPSHOT_FAILED', {
        what: `${subject} (${id}) failed.`,
        why: 'The cloud gives no reason here; quota and keys are the usual ones.',
        fix: 'See the console, then run again: it is made anew, and the failed one deleted.',
      });
    },
  });
}

async function removeSnapshot(context: StepContext, region: string, drawn: Drawn): Promise<[]> {
  const left = await leftOf(SNAPSHOTS, drawn, region, context);
  if (!context.deletesCopies) keepAll(SNAPSHOTS, left, context);
  else for (const it of left) await SNAPSHOTS.remove(context.world.cloud, region, it);
  return [];
}
