import type { CloudInventory, ClusterInventory } from './inventory.js';
import type { Playbook } from './playbook.js';
import type { Kind, KubeObject, Right, ServedKind } from './ports.js';

export type Severity = 'warn' | 'refuse';

/** One thing that a check found. No findings means pass. */
export interface Finding {
  /** the object, e.g. `pvc shop/orders`; a waiver names it by these words */
  about: string;
  /** what was seen, as evidence */
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

/** One side, read-only, as checks see it. Throws Unknown for a kind that was not seen. */
export interface SideSight {
  version: string;
  /** minor version as a number, e.g. 20 for v1.20.15; throws Unknown when /version can't be parsed */
  minor(): number;
  list(kind: Kind, namespaces?: readonly string[]): KubeObject[];
  served(): ServedKind[];
  /** whether the server has the kind in any version */
  serves(kind: Kind): boolean;
  inventory: ClusterInventory;
}

export interface Sight {
  playbook: Playbook;
  source: SideSight;
  target: SideSight;
  /** throws Unknown when the playbook has no cloud or it could not be read */
  cloud(): CloudInventory;
  /** today, as ISO date: waivers expire */
  today: string;
  /** the rights that the plan for this playbook needs, per side */
  needs: { source: Right[]; target: Right[] };
}

/**
 * A check is data plus one pure function over what was seen; it never reaches out itself.
 * `reads` is what the inventory must hold for it: a kind there that could not be read makes the check unknown.
 */
export interface Check {
  id: string;
  group: 'access' | 'apis' | 'labels' | 'load-balancing' | 'storage' | 'cloud' | 'workloads';
  asks: string;
  /** the phase that it guards */
  before: 'data' | 'traffic';
  severity: Severity;
  reads: { source?: Kind[]; target?: Kind[]; cloud?: boolean };
  hint: { why: string; fix: string };
  /** the same in Chinese, for `explain --lang zh` */
  zh: { asks: string; why: string; fix: string };
  /** documents and source that the claim rests on */
  sources: string[];
  look(sight: Sight): Finding[];
}
