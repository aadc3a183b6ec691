import type {
  CopyArgs,
  ImportArgs,
  ImportedArgs,
  DiskArgs,
  DataCheckArgs,
  Moved,
  QuiesceArgs,
  ScaleArgs,
  SnapshotArgs,
  VolumeArgs,
} from './args.js';
import type { Add } from './data.js';
import type { DiskRules } from './disk-entry.js';
import { unfit } from './disk-unfit.js';
import type { MovedDisk } from './disks.js';
import { pathOf } from './objects.js';
import type { PlaybookData } from './playbook.js';
import type { MovedShare } from './shares.js';
import type { Step } from './step.js';

/**
 * The steps of disks. Live passes first, while the writers work, and beside all else; when all of them are done all writers stop, those of a
 * disk with those of every disk that they share; then the last pass moves what has changed since, and the new disk is made of that alone.
 *
 * @param shares  their writers stop with those of the disks; nothing else is done before the target mounts them
 * @param first   what comes before the writers stop
 * @returns ids of the steps after which every claim has its volume
 * @throws MigrateError PLAN_DISK_UNFIT
 */
export function diskSteps(
  disks: readonly MovedDisk[],
  shares: readonly MovedShare[],
  data: Pick<PlaybookData, 'disks' | 'jobsWithin'>,
  add: Add,
  first: readonly string[],
): string[] {
  const { disks: rules } = data;
  const live = new Map(disks.map((disk) => [disk, livePasses(disk, rules, add)]));
  // Whoever stopped as soon as his own disk is copied would wait for the longest of all others: the target starts when all volumes are there.
  const ready = [...first, ...[...live.values()].flatMap((it) => it.slice(-1).map((pass) => pass.last))];
  return [
    ...shares.filter((it) => !isWritten(it)).map((share) => newShare(share, add, first)),
    ...together([...disks, ...shares.filter(isWritten)]).flatMap((group) => {
      const quiesced = addQuiesce(group, live, data, add, ready);
      return [
        ...group.filter(isDisk).map((disk) => newDisk(disk, passOf(disk, rules, add, [quiesced]).last, add)),
        ...group.filter(isShare).map((share) => newShare(share, add, [quiesced])),
      ];
    }),
  ];
}

/** What comes over with its claim. */
export type Brought = MovedDisk | MovedShare;

const isDisk = (it: Brought): it is MovedDisk => 'disk' in it;
const isShare = (it: Brought): it is MovedShare => !isDisk(it);
const isFrozen = (it: Brought): boolean => isDisk(it) && it.freeze !== undefined;

/** By somebody who must stop first. */
const isWritten = ({ workloads, cronJobs, jobs }: MovedShare) => workloads.length + cronJobs.length + jobs.length > 0;

const newShare = ({ claim, newVolume: volume }: MovedShare, add: Add, after: readonly string[]): string =>
  add<VolumeArgs>(`share/${claim}`, 'create-volume', { claim, volume }, [...after]);

/** What the operator should know of the pause, before there is one. */
export function diskNotes(disks: readonly MovedDisk[], { live }: DiskRules): string[] {
  if (disks.length === 0) return [];
  const names = (all: readonly { namespace: string; name: string }[]) => [...new Set(all.map(pathOf))].join(', ');
  const stopped = disks.filter((it) => !it.freeze);
  const frozen = disks.filter((it) => it.freeze);
  const cronJobs = stopped.flatMap((it) => it.cronJobs);
  return [
    ...(stopped.length > 0
      ? [
          `While a disk is copied its writers are at 0: ${names(stopped.flatMap((it) => it.workloads)) || 'none'}${cronJobs.length > 0 ? `; suspended: ${names(cronJobs)}` : ''}.`,
        ]
      : []),
    ...(frozen.length > 0
      ? [`Writers hold still, by programs of yours, until the way back: ${frozen.map((it) => it.claim).join(', ')}.`]
      : []),
    live === 0
      ? 'Disks have no live pass: the whole of each is copied while its writers rest, and nothing tells beforehand how long that takes.'
      : `How long the last pass will take is said before the writers stop, from the live passes${live === 1 ? ', as an upper bound; with `data.disks.live: 2` the second shows what a pass of changes takes' : ''}. To rehearse it, give \`data.disks.window\` a time that is hours off: the run makes the live passes, says it and waits, nobody is stopped, and Ctrl-C ends it.`,
  ];
}

/** Nobody on the source may have them when the target's workloads start: not those whose writers are only held still. */
export function movedOf(brought: readonly Brought[], namespaces: readonly string[]): Moved | undefined {
  const mine = brought.filter(
    (it) => (isDisk(it) ? !it.freeze : it.guarded) && namespaces.includes(it.claim.slice(0, it.claim.indexOf('/'))),
  );
  if (mine.length === 0) return undefined;
  const shares = mine.filter(isShare).map((it) => it.claim);
  return {
    claims: mine.map((it) => it.claim),
    ...(shares.length > 0 && { shares }),
    volumes: mine.filter(isDisk).map((it) => it.volume),
  };
}

/** The operator's own looks at the data, each after the start of those who use it, or after all that is brought. */
export function checkSteps(disks: readonly MovedDisk[], steps: readonly Step[], add: Add): void {
  const last = steps.filter((it) => !steps.some((other) => other.after.includes(it.id))).map((it) => it.id);
  for (const { claim, volume, check, workloads } of disks) {
    if (!check) continue;
    const users = new Set(workloads.map((it) => `${it.kind} ${pathOf(it)}`));
    const starts = steps.filter(
      ({ kind, args }) =>
        kind === 'scale' && (args as ScaleArgs).workloads.some((it) => users.has(`${it.kind} ${pathOf(it)}`)),
    );
    const after = starts.length > 0 ? starts.map((it) => it.id) : last;
    add<DataCheckArgs>(
      `disk/${claim}/check`,
      'data-check',
      { claim, volume, run: check },
      after.map((it) => it.slice('data/'.length)),
    );
  }
}

/** Bound once it is there; of one that the driver makes that can be later, when its pod starts. */
export const isBound = (it: Brought): boolean => !isDisk(it) || it.imported === undefined;

/** @returns ids of the steps after which the claims have what the driver makes their disks of */
export const importSteps = (brought: readonly Brought[], add: Add, after: string): string[] =>
  brought
    .filter(isDisk)
    .flatMap((disk) =>
      disk.imported
        ? [
            add<ImportArgs>(
              `disk/${disk.claim}/import`,
              'import-snapshot',
              { ...importedArgs(disk), ...disk.imported },
              [lastPass(disk), after],
            ),
          ]
        : [],
    );

/** Afterwards, where the disk is made for its first pod. */
export function importedSteps(brought: readonly Brought[], add: Add, after: string[]): void {
  for (const disk of brought.filter(isDisk))
    if (disk.imported?.waits) add<ImportedArgs>(`disk/${disk.claim}/made`, 'imported-disk', importedArgs(disk), after);
}

const importedArgs = (disk: MovedDisk): ImportedArgs => ({
  claim: disk.claim,
  disk: disk.disk,
  region: disk.toRegion,
  from: inPlan(lastPass(disk)),
});

/** Id of the step that ends it. */
const lastPass = ({ claim, copied }: MovedDisk) => `disk/${claim}/${copied ? 'copy' : 'snapshot'}`;

/** Ids as they stand in a plan. */
const inPlan = (id: string) => `data/${id}`;

/** Disks with a writer in common stop at one moment, so that what is on them goes together. */
function together(disks: readonly Brought[]): Brought[][] {
  const writersOf = (disk: Brought) => [
    ...disk.workloads.map((it) => `${it.kind} ${pathOf(it)}`),
    ...disk.cronJobs.map((it) => `CronJob.batch ${pathOf(it)}`),
  ];
  const groups: { writers: Set<string>; disks: Brought[] }[] = [];
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

interface Pass {
  steps: string[];
  /** id of the step that ends it */
  last: string;
}

/** One after the other: a copy of a disk to a region must be finished before the next begins. */
function livePasses(disk: MovedDisk, rules: DiskRules, add: Add): Pass[] {
  const passes: Pass[] = [];
  for (let live = 1; live <= rules.live; live++)
    passes.push(
      passOf(
        disk,
        rules,
        add,
        passes.slice(-1).map((it) => it.last),
        live,
      ),
    );
  return passes;
}

/** snapshot → copy when the snapshot itself won't do */
function passOf(disk: MovedDisk, { keepSnapshots: keep }: DiskRules, add: Add, after: string[], live?: number): Pass {
  const { claim, disk: id, region, toRegion, copied, sizeGiB, encrypted, kmsKey } = disk;
  const at = `disk/${claim}${live === undefined ? '' : `/live/${live}`}`;
  const args = { claim, disk: id, region, keep, ...(live !== undefined && { live }) };
  const rests = live === undefined && !disk.freeze && { volume: disk.volume };
  const snapshot = add<SnapshotArgs>(`${at}/snapshot`, 'snapshot', { ...args, ...rests }, after);
  if (!copied) return { steps: [snapshot], last: snapshot };
  const copy = add<CopyArgs>(
    `${at}/copy`,
    'copy-snapshot',
    { ...args, from: inPlan(snapshot), toRegion, sizeGiB, encrypted, ...(kmsKey && { kmsKey }) },
    [snapshot],
  );
  return { steps: [snapshot, copy], last: copy };
}

function addQuiesce(
  group: readonly Brought[],
  all: ReadonlyMap<MovedDisk, Pass[]>,
  { disks: { window }, jobsWithin }: Pick<PlaybookData, 'disks' | 'jobsWithin'>,
  add: Add,
  after: readonly string[],
): string {
  const disks = group.filter(isDisk);
  const shares = group.filter(isShare).map((it) => it.claim);
  const [head] = group;
  const once = <T extends { namespace: string; name: string; kind?: string }>(all: T[]) => [
    ...new Map(all.map((it) => [`${it.kind ?? ''} ${pathOf(it)}`, it])).values(),
  ];
  const freezes = freezesOf(group);
  return add<QuiesceArgs>(
    `quiesce/${head?.claim ?? ''}`,
    'quiesce',
    {
      claims: group.map((it) => it.claim),
      ...(shares.length > 0 && { shares }),
      volumes: disks.map((it) => it.volume),
      ...(freezes.length > 0
        ? { workloads: [], cronJobs: [], still: once(group.flatMap((it) => it.workloads)), freezes }
        : {
            workloads: once(group.flatMap((it) => it.workloads)),
            cronJobs: once(group.flatMap((it) => it.cronJobs)),
          }),
      jobsWithinMs: jobsWithin,
      ...(window && { window }),
      live: disks
        .map((it) => ({
          claim: it.claim,
          sizeGiB: it.sizeGiB,
          passes: (all.get(it) ?? []).map((pass) => pass.steps.map(inPlan)),
        }))
        .filter((it) => it.passes.length > 0),
    },
    [...after],
  );
}

/** Each program once, for all the claims that name it. Who is stopped for one disk can't be asked to hold still for another. */
function freezesOf(group: readonly Brought[]): NonNullable<QuiesceArgs['freezes']> {
  const frozen = group.filter(isDisk).filter((it) => it.freeze);
  const stopped = group.find((it) => !isFrozen(it));
  const [first] = frozen;
  if (first && stopped)
    throw unfit(
      stopped.claim,
      `it has a writer in common with ${first.claim}, and only that one has \`freeze\``,
      'Give both a `freeze` in `data.disks.rules`, or neither.',
    );
  const byProgram = new Map<string, NonNullable<QuiesceArgs['freezes']>[number]>();
  for (const { claim, freeze } of frozen) {
    if (!freeze) continue;
    const key = JSON.stringify(freeze);
    byProgram.set(key, { ...freeze, claims: [...(byProgram.get(key)?.claims ?? []), claim] });
  }
  return [...byProgram.values()];
}

/** disk → volume; returns the id of the last. Where the driver makes both, that is after its claim has come. */
function newDisk(disk: MovedDisk, from: string, add: Add): string {
  const { newVolume } = disk;
  if (!newVolume) return from;
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
    { claim, disk: { id: old, region, from: inPlan(created) }, volume: newVolume },
    [created],
  );
}
