import type { Check, Taken } from './check.js';
import { project, Shared, treeOf } from './fields.js';
import { pathOf } from './objects.js';
import type { Playbook } from './playbook.js';
import type { Kind, KubeObject, Side } from './ports.js';

/**
 * How a look stays small in a great cluster. A kind that comes by the ten thousand is not held: its objects are judged some hundred at
 * a time by the checks that take each by itself, and then no more is kept of them than the fields that other checks and the plan say
 * they need. Kinds of which somebody needs all, and kinds with few objects, are held whole; so a small cluster is looked at as ever.
 */
export interface Fold {
  /** of `kinds`, which can be folded, and in which order: a group can be judged once those before it are complete */
  groups(kinds: readonly SideKind[]): SideKind[][];
  /** what stays whole in any case: the cluster's own parts, Velero's, and the services of the playbook */
  stays(object: KubeObject): boolean;
  open(of: SideKind, judge: Judge): Folding;
}

export interface SideKind {
  side: Side;
  kind: Kind;
}

/** Shows some objects of a kind to the checks that take them one by one. */
export type Judge = (of: SideKind, some: readonly KubeObject[]) => void;

export interface Folding {
  /** @param bytes  of the object as it came */
  take(object: KubeObject, bytes: number): void;
  /** What is held at the end: everything whole where there was little, else what was asked for. */
  held(): KubeObject[];
  /** Whether there are objects of which nothing is held. */
  isPartly(): boolean;
}

export interface Sizes {
  /** of a kind: so many are held whole */
  few: { objects: number; bytes: number };
  /** of what is more than that: so many are judged at a time. Small ones, for what lives shortly costs least */
  portion: { objects: number; bytes: number };
}

export const SIZES: Sizes = { few: { objects: 300, bytes: 2_000_000 }, portion: { objects: 100, bytes: 1_000_000 } };

/** What the plan and one check, or two checks, take of one kind, put together. */
type Held = 'whole' | ReadonlySet<string>;

/** @param planTakes  as a check's `takes`, of what the plan is made from */
export function foldFor(playbook: Playbook, checks: readonly Check[], planTakes: Readers, sizes = SIZES): Fold {
  const services = new Set(playbook.traffic?.services.map((it) => it.service));
  const whole = new Set(['kube-system', playbook.data?.velero.namespace]);
  const readers: Reader[] = [...checks.map(readerOf), { takes: planTakes, reads: () => true }];
  const shared = new Shared();
  const willing = (at: SideKind) => heldOf(at, readers) !== 'whole';
  return {
    groups: (kinds) => grouped(kinds.filter(willing), readers),
    stays: (it) => whole.has(it.metadata.namespace) || (it.kind === 'Service' && services.has(pathOf(it.metadata))),
    open(at, judge) {
      const held = heldOf(at, readers);
      return folding(at, judge, keeperOf(held, shared), sizes);
    },
  };
}

export type Readers = Partial<Record<Side, Record<Kind, Taken>>>;

interface Reader {
  takes: Readers;
  reads(at: SideKind): boolean;
}

const readerOf = ({ takes = {}, reads, also }: Check): Reader => ({
  takes: { source: takes, target: takes },
  reads: ({ side, kind }) => [reads[side], also?.[side]].some((kinds) => kinds?.includes(kind) || kinds?.includes('*')),
});

export const takenOf = (takes: Record<Kind, Taken> | undefined, { side, kind }: SideKind): Taken =>
  takes?.[`${side} ${kind}`] ?? takes?.[kind] ?? takes?.['*'] ?? 'whole';

/** Whether anything of a kind is there for the check once it has come by. */
const isKept = (taken: Taken): boolean => typeof taken !== 'string' || taken === 'some';

const isFields = (taken: Taken): taken is readonly string[] => typeof taken === 'object';

/** Entries that stand for the object's being there at all, and for there being one. */
const [NAMES, ANY] = ['', '?'];

/** @returns what is kept of an object; undefined for one of which nothing is */
type Keeper = (object: KubeObject) => KubeObject | undefined;

function keeperOf(held: Held, shared: Shared): Keeper {
  if (held === 'whole') return (it) => it;
  const tree = treeOf([...held].filter((it) => it !== NAMES && it !== ANY));
  if ([...held].some((it) => it !== ANY)) return (it) => project(it, tree, shared);
  if (held.size === 0) return () => undefined;
  const seen = new Set<string | undefined>();
  return (it) => {
    const { namespace, ownerReferences } = it.metadata;
    if (seen.has(namespace) && !ownerReferences) return undefined;
    seen.add(namespace);
    return project(it, tree, shared);
  };
}

function heldOf(at: SideKind, readers: readonly Reader[]): Held {
  const fields = new Set<string>();
  for (const reader of readers) {
    if (!reader.reads(at)) continue;
    const taken = takenOf(reader.takes[at.side], at);
    if (taken === 'whole') return 'whole';
    if (taken === 'some') fields.add(ANY);
    if (isFields(taken)) for (const it of [NAMES, ...taken]) fields.add(it);
  }
  return fields;
}

/**
 * A kind comes after those that the same check wants beside it. Where two kinds wait for each other, those that are left are held whole:
 * they stand in no group.
 */
function grouped(kinds: readonly SideKind[], readers: readonly Reader[]): SideKind[][] {
  const waits = (at: SideKind, other: SideKind) =>
    readers.some(
      (it) =>
        it.reads(at) &&
        it.reads(other) &&
        takenOf(it.takes[at.side], at) === 'each' &&
        isKept(takenOf(it.takes[other.side], other)),
    );
  const groups: SideKind[][] = [];
  let left = [...kinds];
  while (left.length > 0) {
    const ready = left.filter((at) => !left.some((other) => other !== at && waits(at, other)));
    if (ready.length === 0) break;
    groups.push(ready);
    left = left.filter((it) => !ready.includes(it));
  }
  return groups;
}

function folding(at: SideKind, judge: Judge, keep: Keeper, { few, portion }: Sizes): Folding {
  const held: KubeObject[] = [];
  let waiting: KubeObject[] = [];
  let bytes = 0;
  let many = false;
  let partly = false;
  const flush = () => {
    many = true;
    judge(at, waiting);
    for (const it of waiting) {
      const kept = keep(it);
      if (kept) held.push(kept);
      else partly = true;
    }
    waiting = [];
    bytes = 0;
  };
  return {
    take(object, size) {
      waiting.push(object);
      bytes += size;
      const most = many ? portion : few;
      if (waiting.length >= most.objects || bytes >= most.bytes) flush();
    },
    held() {
      if (!many) return waiting;
      if (waiting.length > 0) flush();
      return held;
    },
    isPartly: () => partly,
  };
}

/** For worlds that were captured whole: what a look that folds would have held of a list. */
export function foldList(fold: Fold, at: SideKind, all: readonly KubeObject[], judge: Judge): KubeObject[] {
  const folded = fold.open(at, judge);
  for (const it of all) if (!fold.stays(it)) folded.take(it, 0);
  return [...all.filter((it) => fold.stays(it)), ...folded.held()];
}
