import type { CopyArgs, DiskArgs, QuiesceArgs, SnapshotArgs, VolumeArgs } from './args.js';
import type { Add } from './data.js';
import type { DiskRules } from './disk-entry.js';
import type { MovedDisk } from './disks.js';
import { pathOf } from './objects.js';

/**
 * The steps of disks. Live passes first, while the writers work, and beside all else; then all writers of a disk stop, with those of every
 * disk that they share; then the last pass moves what has changed since, and the new disk is made of that alone.
 *
 * @param first  what comes before the writers stop
 * @returns ids of the steps after which every claim has its volume
 */
export function diskSteps(
  disks: readonly MovedDisk[],
  rules: DiskRules,
  add: Add,
  first: string | undefined,
): string[] {
  return together(disks).flatMap((group) => {
    const live = group.flatMap((disk) => livePasses(disk, rules, add));
    const quiesced = addQuiesce(group, rules, live, add, first);
    return group.map((disk) => newDisk(disk, passOf(disk, rules, add, [quiesced]), add));
  });
}

/** Ids as they stand in a plan. */
const inPlan = (id: string) => `data/${id}`;

/** Disks with a writer in common stop at one moment, so that what is on them goes together. */
function together(disks: readonly MovedDisk[]): MovedDisk[][] {
  const writersOf = (disk: MovedDisk) =>
    [...disk.workloads, ...disk.cronJobs].map((it) => `${'kind' in it ? it.kind : 'CronJob'} ${pathOf(it)}`);
  const groups: { writers: Set<string>; disks: MovedDisk[] }[] = [];
  for (const disk of disks) {
    const writers = writersOf(disk);
    const joined = groups.filter((it) => writers.some((writer) => it.writers.has(writer)));
    for (const it of joined) groups.splice(groups.indexOf(it), 1);
    groups.push({
      writers: new Set([...joined.flatMap((it) => [...it.writers]), ...writers]),
      disks: [...joined.flatMap((it) => it.disks), disk],
    });
  }
  return groups.map((it) => it.disks);
}

/** One after the other: a copy of a disk to a region must be finished before the next begins. @returns the id of the last, if there is one */
function livePasses(disk: MovedDisk, rules: DiskRules, add: Add): string[] {
  let last: string[] = [];
  for (let live = 1; live <= rules.live; live++) last = [passOf(disk, rules, add, last, live)];
  return last;
}

/** snapshot → copy when the region differs; returns the id of the last */
function passOf(disk: MovedDisk, { keepSnapshots: keep }: DiskRules, add: Add, after: string[], live?: number): string {
  const { claim, disk: id, region, toRegion, sizeGiB, encrypted, kmsKey } = disk;
  const at = `disk/${claim}${live === undefined ? '' : `/live/${live}`}`;
  const args = { claim, disk: id, region, keep, ...(live !== undefined && { live }) };
  const snapshot = add<SnapshotArgs>(`${at}/snapshot`, 'snapshot', args, after);
  if (toRegion === region) return snapshot;
  return add<CopyArgs>(
    `${at}/copy`,
    'copy-snapshot',
    { ...args, from: inPlan(snapshot), toRegion, sizeGiB, encrypted, ...(kmsKey && { kmsKey }) },
    [snapshot],
  );
}

function addQuiesce(
  group: readonly MovedDisk[],
  rules: DiskRules,
  live: readonly string[],
  add: Add,
  first: string | undefined,
): string {
  const [head] = group;
  const once = <T extends { namespace: string; name: string; kind?: string }>(all: T[]) => [
    ...new Map(all.map((it) => [`${it.kind ?? ''} ${pathOf(it)}`, it])).values(),
  ];
  const freeze = group.find((it) => it.freeze)?.freeze;
  return add<QuiesceArgs>(
    `quiesce/${head?.claim ?? ''}`,
    'quiesce',
    {
      claims: group.map((it) => it.claim),
      volumes: group.map((it) => it.volume),
      workloads: once(group.flatMap((it) => it.workloads)),
      cronJobs: once(group.flatMap((it) => it.cronJobs)),
      ...(rules.window && { window: rules.window }),
      ...(freeze && { freeze }),
      live: live.map(inPlan),
    },
    [...live, ...(first === undefined ? [] : [first])],
  );
}

/** disk → volume; returns the id of the last */
function newDisk(disk: MovedDisk, from: string, add: Add): string {
  const { claim, disk: old, toRegion: region, zone, category, performanceLevel, sizeGiB, encrypted, kmsKey } = disk;
  const created = add<DiskArgs>(
    `disk/${claim}/disk`,
    'create-disk',
    {
      claim,
      disk: old,
      from: inPlan(from),
      region,
      zone,
      category,
      sizeGiB,
      encrypted,
      ...(performanceLevel && { performanceLevel }),
      ...(kmsKey && { kmsKey }),
    },
    [from],
  );
  return add<VolumeArgs>(
    `disk/${claim}/volume`,
    'create-volume',
    { claim, disk: { id: old, region, from: inPlan(created) }, volume: disk.newVolume },
    [created],
  );
}
