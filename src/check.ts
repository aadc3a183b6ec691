import type { CloudInventory, ClusterInventory, DatabaseSeen, ProbeAnswer } from './inventory.js';
import type { Playbook } from './playbook.js';
import type { Kind, KubeObject, LoadBalancer, Right, ServedKind, Side } from './ports.js';

export type Severity = 'warn' | 'refuse';

/** One thing that a check found. No findings means pass. */
export interface Finding {
  /** the object, e.g. `pvc shop/orders`; a waiver names it by these words */
  about: string;
  /** what was seen, as evidence; never the value of a Secret */
  saw: string;
  /** what was wanted, where there is something to compare */
  want?: string;
  /** what breaks, and when */
  breaks?: string;
  /** what to do about this one, where it differs from the check's hint */
  fix?: string;
  /** where it differs from the check's own */
  severity?: Severity;
}

/** What a check throws when it could not look: the outcome is unknown, and unknown refuses. */
export class Unknown extends Error {
  override name = 'Unknown';
}

/** What a check throws when its question does not arise in this playbook: the outcome is skipped. */
export class Skipped extends Error {
  override name = 'Skipped';
}

/** By name and not by class: a check of the operator's own throws an error of its own making. */
export const isUnknown = (error: unknown): error is Error => error instanceof Error && error.name === 'Unknown';
export const isSkipped = (error: unknown): error is Error => error instanceof Error && error.name === 'Skipped';

/** One side, read-only, as checks see it. */
export interface SideSight {
  side: Side;
  /** as /version says, e.g. `v1.20.15` */
  version: string;
  /** minor version as a number, e.g. 20 for v1.20.15; throws Unknown when /version can't be parsed */
  minor(): number;
  /** what was captured of a kind; throws Unknown for a kind that was not, empty for one that the server lacks */
  list(kind: Kind, namespaces?: readonly string[]): KubeObject[];
  get(kind: Kind, namespace: string | undefined, name: string): KubeObject | undefined;
  /** throws Unknown when the server's discovery was not captured */
  served(): ServedKind[];
  /** whether the server has the kind in any version */
  serves(kind: Kind): boolean;
  /** what was captured of a kind that a check can do without; undefined when it was not */
  seen(kind: Kind, namespaces?: readonly string[]): KubeObject[] | undefined;
  /** whether the kind was read from all namespaces, and not just from those of the move and of the cluster's own parts */
  whole(kind: Kind): boolean;
  inventory: ClusterInventory;
}

export interface Sight {
  playbook: Playbook;
  source: SideSight;
  target: SideSight;
  /** the namespaces whose workloads are in the move: those of `data` and those of the services in `traffic`, sorted */
  namespaces: string[];
  /** throws Unknown when it could not be read */
  cloud(): CloudInventory;
  /** undefined when the cloud answered that there is none; throws Unknown when it could not be read */
  loadBalancer(id: string): LoadBalancer | undefined;
  /** today, as ISO date: waivers expire */
  today: string;
  /** when the inventory was taken, ISO 8601 */
  takenAt: string;
  /** the rights that the plan for this playbook needs, per side */
  needs: Needs;
  /** what a probe told, when one was run */
  probes: readonly ProbeAnswer[] | undefined;
  /** what the servers of each database of the playbook said; throws Unknown when they were not asked */
  databases(): readonly DatabaseSeen[];
}

export interface Needs {
  source: Right[];
  target: Right[];
}

/** What `explain` tells of a check. */
export interface CheckText {
  /** what the operator types */
  id: string;
  group:
    | 'access'
    | 'apis'
    | 'admission'
    | 'labels'
    | 'scheduling'
    | 'runtime'
    | 'load-balancing'
    | 'network'
    | 'storage'
    | 'identity'
    | 'images'
    | 'cloud'
    | 'workloads';
  asks: string;
  /** the phase that it guards */
  before: 'data' | 'traffic';
  severity: Severity;
  hint: { why: string; fix: string };
  /** the same in Chinese, for `explain --lang zh` */
  zh: { asks: string; why: string; fix: string };
  /** documents and source that the claim rests on: URLs or `owner/repo:path` */
  sources: string[];
}

/**
 * `each`: it judges every object by itself, beside what it reads of other kinds, and so may be asked again and again with some at a time,
 * and with none. Fields, by their paths (see fields.ts): it needs these of all objects at once; none is just their names. A function gives
 * what it needs of an object, in the shape of the object, or undefined; the same findings must come of it. `named`: only those that are held
 * whole anyway. `some`: to see whether there are any, one for each namespace is enough, beside those that have an owner.
 */
export type Taken =
  | 'whole'
  | 'each'
  | 'named'
  | 'some'
  | readonly string[]
  | ((object: KubeObject) => KubeObject | undefined);

/**
 * A check is data plus one pure function over what was seen; it never reaches out itself.
 *
 * `reads` is what the inventory must hold for it: a kind there that could not be read makes the check unknown, unless
 * the server has no such kind. Namespaced kinds are wanted from the moved namespaces and from kube-system at least.
 * `*` stands for every namespaced kind that can be listed, in the moved namespaces; the check itself says which of the
 * gaps in that it can live with.
 */
export interface Check extends CheckText {
  reads: { source?: Kind[]; target?: Kind[]; cloud?: boolean; databases?: boolean };
  /** what helps where it can be read; the check itself says what it does without */
  also?: { source?: Kind[]; target?: Kind[] };
  /**
   * What it can do with of kinds that come by the ten thousand, so that a great cluster need not be held at once; `*` stands for all others
   * that have a namespace, and `target Secret` for the kind on one side alone. A kind that is not named is held whole. Always whole are the cluster's own parts, those of Velero, and the Services
   * of the playbook.
   */
  takes?: Record<Kind, Taken>;
  /** those of `reads` and `also` that are wanted from all namespaces; where only some may be read, `whole` says so */
  everywhere?: { source?: Kind[]; target?: Kind[] };
  /** the sections of the playbook without which the question does not arise */
  when?: ('data' | 'traffic' | 'cloud')[];
  /** the severities that its findings can have, where that is not just its own */
  severities?: Severity[];
  look(sight: Sight): Finding[];
}
