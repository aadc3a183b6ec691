import type { ImportArgs, ImportedArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import { about, pathOf, rightOn, splitPath } from '../objects.js';
import type { Cluster, Kind, KubeObject, ObjectRef, Snapshot } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { until } from '../wait.js';
import { podsOn } from './at-rest.js';
import { madeBy } from './copies.js';
import { SNAPSHOTS } from './looks.js';
import { owing } from './owing.js';

/**
 * The last snapshot, or its copy, as a VolumeSnapshot of the target: a content that names it by its id and never deletes it, the snapshot, and
 * the claim with that as its data source. The claim comes with the applications, changed by a rule; where files are applied it is made here.
 *
 * @source kubernetes-csi/external-snapshotter:pkg/common-controller/snapshot_controller.go (pre-provisioned snapshots)
 */
const SNAPSHOT: Kind = 'VolumeSnapshot.snapshot.storage.k8s.io';
const CONTENT: Kind = 'VolumeSnapshotContent.snapshot.storage.k8s.io';
const CLAIM: Kind = 'PersistentVolumeClaim';
const VOLUME: Kind = 'PersistentVolume';
const MARK = 'migrate/plan';
const DEADLINE_MS = 15 * 60_000;

const named = ({ claim, name, content }: Pick<ImportArgs, 'claim' | 'name' | 'content'>) => {
  const { namespace } = splitPath(claim);
  return {
    snapshot: { kind: SNAPSHOT, namespace, name },
    content: { kind: CONTENT, name: content },
    claim: { kind: CLAIM, ...splitPath(claim) },
  };
};

const snapshotFor = ({ disk, region, from }: Pick<ImportArgs, 'disk' | 'region' | 'from'>, context: StepContext) =>
  madeBy(SNAPSHOTS, from, `The copy of ${disk}`, region, context);

export const importSnapshot: StepKind<ImportArgs, Record<string, never>> = {
  kind: 'import-snapshot',
  title: ({ claim, name }) => `${claim}: its disk made by the target's driver, from snapshot ${name}`,
  wayBack: () => 'deletes claim and snapshot objects; the disk is deleted when told so, else kept',
  rights: () => ({
    target: [
      ...[SNAPSHOT, CONTENT, CLAIM].flatMap((kind) => ['get', 'create', 'delete'].map((verb) => rightOn(verb, kind))),
      ...['get', 'patch', 'delete'].map((verb) => rightOn(verb, VOLUME)),
    ],
  }),

  async check(args, context) {
    const { snapshot, content } = named(args);
    for (const ref of [snapshot, content]) {
      const found = await context.world.target.get(ref);
      if (!found || isOurs(found, context)) continue;
      throw new MigrateError('OBJECT_EXISTS', {
        what: `The target has a ${about(ref.kind, ref)} already.`,
        why: 'The claim would be made from that one; an earlier move may have left it.',
        fix: 'Delete the object if nothing uses it, then run again.',
      });
    }
    return {};
  },

  async apply(args, _before, context) {
    const { target } = context.world;
    const { id } = await snapshotFor(args, context);
    const ref = named(args);
    const { namespace } = ref.snapshot;
    const labels = { [MARK]: context.mark };
    await ensure(target, ref.content, {
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshotContent',
      metadata: { name: args.content, labels },
      spec: {
        deletionPolicy: 'Retain',
        driver: args.driver,
        source: { snapshotHandle: id },
        volumeSnapshotRef: {
          apiVersion: 'snapshot.storage.k8s.io/v1',
          kind: 'VolumeSnapshot',
          namespace,
          name: args.name,
        },
      },
    });
    await ensure(target, ref.snapshot, {
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshot',
      metadata: { name: args.name, namespace, labels },
      spec: { source: { volumeSnapshotContentName: args.content } },
    });
    const { newClaim } = args;
    await ensure(target, ref.claim, {
      ...newClaim,
      metadata: { ...newClaim.metadata, labels: { ...newClaim.metadata.labels, ...labels } },
    });
  },

  async verify(args, _before, context) {
    const { target } = context.world;
    const { id } = await snapshotFor(args, context);
    const ref = named(args);
    const handle: unknown = (await target.get(ref.content))?.['spec']?.source?.snapshotHandle;
    if (handle !== id) throw wrong(args, `its content names ${String(handle ?? 'nothing')}, not ${id}`);
    const claim = await target.get(ref.claim);
    if (!claim || !isFrom(claim, args))
      throw wrong(args, `the claim's data source is ${String(claim?.['spec']?.dataSource?.name ?? 'none')}`);
    await until(context, { ...SLOW, subject: `Snapshot ${args.name} on the target` }, async () => {
      const {
        readyToUse,
        boundVolumeSnapshotContentName: bound,
        error,
      } = (await target.get(ref.snapshot))?.['status'] ?? {};
      return readyToUse === true && bound === args.content
        ? undefined
        : `it is not ready to use${error?.message ? `: ${String(error.message)}` : ''}`;
    });
    if (!args.waits) await untilMadeFrom(args, context);
  },

  undo: (args, _before, context) =>
    owing(`claim ${args.claim}, its volume or snapshot ${args.name} may be left there.`, () =>
      removeAll(args, context),
    ),
};

/** Where the driver waits for a pod, the disk is there only once the workloads have started. */
export const importedDisk: StepKind<ImportedArgs, Record<string, never>> = {
  kind: 'imported-disk',
  title: ({ claim }) => `${claim}: the driver's disk is made of our snapshot`,
  wayBack: () => 'nothing to undo',
  rights: () => ({
    target: [rightOn('list', 'Pod'), ...[CLAIM, VOLUME].map((kind) => rightOn('get', kind))],
  }),

  async check() {
    return {};
  },
  async apply() {},

  async verify(args, _before, context) {
    const { target } = context.world;
    const claim = await target.get({ kind: CLAIM, ...splitPath(args.claim) });
    const isWanted = (await podsOn(target, [args.claim])).length > 0;
    if (claim?.['status']?.phase !== 'Bound' && !isWanted)
      return context.progress('no pod uses the claim yet: its disk is made for the first one');
    await untilMadeFrom(args, context);
  },

  undo: async () => [],
};

const SLOW = {
  code: 'IMPORT_TOO_SLOW',
  deadlineMs: DEADLINE_MS,
  why: 'The snapshot controller or the disks’ driver of the target does not run, or can not see the snapshot.',
  fix: 'Look at the events of the claim and of the snapshot there (kubectl describe), then run again.',
};

const isOurs = ({ metadata }: KubeObject, { mark }: StepContext) => metadata.labels?.[MARK] === mark;
const isFrom = (claim: KubeObject, { name }: Pick<ImportArgs, 'name'>) =>
  claim['spec']?.dataSource?.kind === 'VolumeSnapshot' && claim['spec'].dataSource.name === name;

const wrong = ({ claim }: Pick<ImportArgs, 'claim'>, what: string) =>
  new MigrateError('IMPORT_WRONG', {
    what: `Claim ${claim} on the target would not get our copy: ${what}.`,
    why: 'Something else made or changed the object, or the rule that changes the claim did not apply.',
    fix: 'Roll back to before the restore, look who makes the claim (GitOps, an operator), then run again.',
  });

async function ensure(target: Cluster, ref: ObjectRef, object: KubeObject): Promise<void> {
  if (!(await target.get(ref))) await target.create(object);
}

/** The claim is bound to a volume whose disk the cloud made of our snapshot. */
async function untilMadeFrom(args: ImportedArgs, context: StepContext): Promise<void> {
  const { target, cloud } = context.world;
  await until(context, { ...SLOW, subject: `Claim ${args.claim} on the target` }, async () => {
    const claim = await target.get({ kind: CLAIM, ...splitPath(args.claim) });
    const phase: unknown = claim?.['status']?.phase;
    return phase === 'Bound' ? undefined : `it is ${String(phase ?? 'absent')}`;
  });
  const from: Snapshot = await snapshotFor(args, context);
  const id = (await volumeOf(target, args.claim))?.['spec']?.csi?.volumeHandle as string | undefined;
  const disk = id === undefined ? undefined : await cloud.disk(args.region, id);
  if (disk?.sourceSnapshot === from.id) return;
  throw wrong(args, `disk ${id ?? 'none'} was made of ${disk?.sourceSnapshot ?? 'nothing'}, not of ${from.id}`);
}

async function volumeOf(target: Cluster, path: string): Promise<KubeObject | undefined> {
  const claim = await target.get({ kind: CLAIM, ...splitPath(path) });
  const name: unknown = claim?.['spec']?.volumeName;
  return typeof name === 'string' && name !== '' ? target.get({ kind: VOLUME, name }) : undefined;
}

/** The claim first, for the snapshot is held by those made from it. */
async function removeAll(args: ImportArgs, context: StepContext): Promise<void> {
  const { target } = context.world;
  const ref = named(args);
  const claim = await target.get(ref.claim);
  if (claim && isFrom(claim, args)) {
    const volume = await volumeOf(target, args.claim);
    const bound = volume?.['spec']?.claimRef?.uid === claim.metadata.uid ? volume : undefined;
    if (bound) await settleDisk(bound, args, context);
    await target.delete(ref.claim, { ...(claim.metadata.uid && { uid: claim.metadata.uid }) });
    await untilGone(ref.claim, context);
    if (bound) {
      const at = { kind: VOLUME, name: bound.metadata.name };
      // Retained, it has no controller that would delete it.
      if (!context.deletesCopies) await target.delete(at, { ...(bound.metadata.uid && { uid: bound.metadata.uid }) });
      await untilGone(at, context);
    }
  }
  for (const it of [ref.snapshot, ref.content]) {
    const found = await target.get(it);
    if (!found || !isOurs(found, context)) continue;
    await target.delete(it, { ...(found.metadata.uid && { uid: found.metadata.uid }) });
    await untilGone(it, context);
  }
}

/** The driver's disk goes with its claim, or stays, by its volume's policy: as we were told, and not as its class says. */
async function settleDisk(volume: KubeObject, { region }: ImportArgs, context: StepContext): Promise<void> {
  const policy = context.deletesCopies ? 'Delete' : 'Retain';
  if (volume['spec']?.persistentVolumeReclaimPolicy !== policy)
    await context.world.target.patch(
      { kind: VOLUME, name: volume.metadata.name },
      { spec: { persistentVolumeReclaimPolicy: policy } },
    );
  const id: unknown = volume['spec']?.csi?.volumeHandle;
  if (!context.deletesCopies && typeof id === 'string') context.kept({ what: 'disk', id, region, mark: context.mark });
}

const untilGone = (ref: ObjectRef, context: StepContext) =>
  until(
    context,
    {
      code: 'IMPORT_NOT_REMOVED',
      deadlineMs: DEADLINE_MS,
      subject: `${about(ref.kind, ref)} on the target`,
      why: 'A pod still has it, or its controller does not run.',
      fix: `Look at its finalizers and events (kubectl describe ${ref.kind.split('.')[0]?.toLowerCase()} ${pathOf(ref)}), then go back again.`,
    },
    async () => ((await context.world.target.get(ref)) ? 'it is still there' : undefined),
  );
