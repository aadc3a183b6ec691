import type { Workload } from './args.js';
import { namesClaim, type DiskRule } from './disk-entry.js';
import { placeFor, type Place } from './disk-place.js';
import { unfit } from './disk-unfit.js';
import { DISK_DRIVER, diskIdOf, newVolume } from './disk-volume.js';
import { wakers, writersOf, type Writers } from './disk-writers.js';
import { type Import, importOf, importProblem } from './imports.js';
import type { Inventory } from './inventory.js';
import { pathOf } from './objects.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { Disk, KubeObject } from './ports.js';
import { shareKind } from './shares.js';

/** One disk that moves: what it is now, what it becomes, and who writes to it. */
export interface MovedDisk extends Place {
  /** `namespace/name` of the claim */
  claim: string;
  /** name of the PersistentVolume, the same on both sides */
  volume: string;
  disk: string;
  region: string;
  toRegion: string;
  /** the snapshot itself won't do: it is in another region, or not encrypted */
  copied: boolean;
  encrypted: boolean;
  kmsKey?: string;
  /** those whose pods mount the claim; scaled to 0 before the last snapshot */
  workloads: Workload[];
  /** those whose pods mount it too; suspended */
  cronJobs: { namespace: string; name: string }[];
  /** in place of that */
  freeze?: { run: string[]; back: string[] };
  /** looks at the data once the target runs on it */
  check?: string[];
  /** the target's PersistentVolume, whole but for the id of its disk; none where the driver makes it */
  newVolume?: KubeObject;
  /** how it does */
  imported?: Import;
}

/** A claim of the move with the disk behind it. */
export interface ClaimedDisk {
  claim: KubeObject;
  volume: KubeObject;
  disk: Disk;
  rule: DiskRule | undefined;
  writers: Writers;
}

/**
 * @returns the disks behind the claims of the playbook's namespaces; what can't be moved this way is a note, and a finding of preflight
 * @throws MigrateError PLAN_DISK_UNFIT
 */
export function claimedDisks(
  { data, cloud }: Playbook,
  { source, cloud: seen }: Inventory,
): { disks: ClaimedDisk[]; notes: string[] } {
  const notes: string[] = [];
  if (!data || data.disks.by === 'none') return { disks: [], notes };
  const claims = (source.objects['PersistentVolumeClaim'] ?? []).filter((it) =>
    data.namespaces.includes(it.metadata.namespace ?? ''),
  );
  const disks = claims.flatMap((claim): ClaimedDisk[] => {
    const path = pathOf(claim.metadata);
    if (claim.metadata.ownerReferences?.some((it) => it.kind === 'Pod')) {
      notes.push(`Claim ${path} belongs to a pod and goes with it: its disk is not copied.`);
      return [];
    }
    const volume = (source.objects['PersistentVolume'] ?? []).find(
      (it) => it.metadata.name === claim['spec']?.volumeName,
    );
    if (!volume) {
      notes.push(`Claim ${path} is not bound to a volume that was seen; it arrives unbound.`);
      return [];
    }
    if (shareKind(volume)) return [];
    const id = diskIdOf(volume);
    if (id === undefined) {
      notes.push(`Claim ${path}: volume ${volume.metadata.name} is no disk of ${DISK_DRIVER}; it is not copied.`);
      return [];
    }
    if (!cloud)
      throw unfit(
        path,
        'the playbook has no `cloud`',
        'Add `cloud: { provider: alibaba, region: … }`, or `disks: none`.',
      );
    const disk = seen?.disks.find((it) => it.id === id);
    if (!disk)
      throw unfit(
        path,
        `disk ${id} was not seen in ${cloud.region}`,
        'Check the region and the rights of the cloud identity.',
      );
    const rule = data.disks.rules.find((it) => namesClaim(it.claims, path));
    return [{ claim, volume, disk, rule, writers: writersOf(claim, source, rule?.freeze !== undefined) }];
  });
  for (const { claims: named } of data.disks.rules)
    if (!disks.some((it) => namesClaim(named, pathOf(it.claim.metadata))))
      notes.push(`data.disks.rules: ${named.join(', ')} names no claim with a disk that moves.`);
  return { disks, notes };
}

/**
 * Each with its place, its key and its new volume.
 * @throws MigrateError PLAN_ZONE_UNCLEAR, PLAN_DISK_UNFIT
 */
export function movedDisks(playbook: Playbook, inventory: Inventory): { disks: MovedDisk[]; notes: string[] } {
  const { data, cloud } = playbook;
  const { disks: claimed, notes } = claimedDisks(playbook, inventory);
  if (!data || !cloud || !inventory.cloud) return { disks: [], notes };
  const seen = inventory.cloud;
  const { source, target } = inventory;
  const toRegion = cloud.targetRegion ?? cloud.region;
  const disks = claimed.map(({ claim, volume, disk, rule, writers }): MovedDisk => {
    const path = pathOf(claim.metadata);
    const storageClass = mappedClass(data, volume['spec']?.storageClassName);
    const found = (target.objects['StorageClass.storage.k8s.io'] ?? []).find((it) => it.metadata.name === storageClass);
    const crypt = encryption(path, disk, toRegion, data);
    const moved = {
      claim: path,
      volume: volume.metadata.name,
      disk: disk.id,
      region: disk.region,
      toRegion,
      ...crypt,
      workloads: writers.workloads,
      cronJobs: writers.cronJobs,
      ...(rule?.freeze && { freeze: rule.freeze }),
      ...(rule?.check && { check: rule.check }),
    };
    if (data.disks.by === 'driver') {
      const problem = importProblem(target, found, storageClass, crypt.encrypted) ?? tooSoon(data);
      if (problem) throw unfit(path, problem.why, problem.fix);
      const { zone, category, sizeGiB } = disk;
      return { ...moved, zone, category, sizeGiB, imported: importOf(playbook, claim, disk, found) };
    }
    const { place, notes: told } = placeFor({
      claim: path,
      disk,
      rule,
      data,
      target,
      cloud: seen,
      storageClass: found,
    });
    notes.push(...told);
    return {
      ...moved,
      ...place,
      newVolume: newVolume(volume, claim, { ...place, storageClass, region: toRegion }, target),
    };
  });
  const jobs = [...new Set(claimed.flatMap((it) => (it.rule?.freeze ? [] : it.writers.jobs)))].sort();
  if (jobs.length > 0)
    notes.push(`Jobs that run on claims which move are waited for before the writers stop: ${jobs.join(', ')}.`);
  const woken = wakers(once(disks.filter((it) => !it.freeze).flatMap((it) => it.workloads)), source);
  if (woken.length > 0)
    notes.push(
      `Pause until the move is over, for it would scale up again what rests on the source: ${woken.join('; ')}.`,
    );
  return { disks, notes };
}

/** The claims of a StatefulSet's templates would be made by its controller, and so empty. */
const tooSoon = ({ apps, arrive }: PlaybookData) =>
  apps === 'manifests' && arrive === 'running'
    ? {
        why: 'with `apps: manifests` and `arrive: running` pods could make an empty claim before ours',
        fix: 'Let workloads arrive `stopped`, or use `data.disks: copy`.',
      }
    : undefined;

const once = (all: readonly Workload[]) => [...new Map(all.map((it) => [`${it.kind} ${pathOf(it)}`, it])).values()];

const mappedClass = (data: PlaybookData, named: unknown) =>
  typeof named === 'string' ? (data.storageClasses[named] ?? named) : '';

/**
 * An encrypted disk stays so, with a key of the region that it goes to. A plain one becomes encrypted by an encrypted copy of its snapshot,
 * also within one region; the disk itself can't be made of a plain snapshot then.
 *
 * @source https://www.alibabacloud.com/help/en/ecs/user-guide/copy-a-snapshot; ECS API, CreateDisk: EncryptedOption.Conflict
 */
function encryption(
  claim: string,
  disk: Disk,
  toRegion: string,
  { disks, kmsKey }: PlaybookData,
): Pick<MovedDisk, 'copied' | 'encrypted' | 'kmsKey'> {
  const crosses = toRegion !== disk.region;
  const turns = !disk.encrypted && disks.encrypt === 'all';
  if (!disk.encrypted && !turns) return { copied: crosses, encrypted: false };
  if (!crosses && !turns) return { copied: false, encrypted: true, ...(disk.kmsKey && { kmsKey: disk.kmsKey }) };
  if (kmsKey === undefined)
    throw unfit(
      claim,
      turns
        ? '`encrypt: all` has no key to encrypt with'
        : `disk ${disk.id} is encrypted and a copy needs a key of ${toRegion}`,
      `Name a key of ${toRegion} as \`data.kmsKey\`.`,
    );
  return { copied: true, encrypted: true, kmsKey };
}
