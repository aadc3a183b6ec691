import type { Emit, GateEvidence } from './events.js';
import type { Right, Side, World } from './ports.js';

/** A plan is data: steps are JSON with stable ids, and kinds give them life. */
export interface Step<Args = unknown> {
  /** `data/backup`, `traffic/20` */
  id: string;
  kind: string;
  phase: Phase;
  args: Args;
  /** ids of the steps that must be done before */
  after: string[];
  /** What going back loses once this step has begun. It is printed before, and somebody has to say yes to this step itself. */
  noReturn?: string;
}

export const PHASES = ['data', 'traffic', 'complete'] as const;
export type Phase = (typeof PHASES)[number];

/** What a step knows besides its arguments. */
export interface StepContext {
  world: World;
  step: Step;
  /** digest of the plan, shortened: names and tags derive from it and the step's id, so a second apply finds the first's work */
  mark: string;
  emit: Emit;
  /** one line on how far it is */
  progress(note: string): void;
  /** true once the operator pressed Ctrl-C: long waits end at the next safe point */
  stopping(): boolean;
  /** Others may act in this step's place until `wait` ends: for what may take hours, or has limits of its own. */
  resting<T>(wait: () => Promise<T>): Promise<T>;
  /**
   * Who said yes to this step since it was last undone, or since it last stopped for a person to decide. With a question somebody at the
   * terminal is asked; undefined when nobody has, or nobody is there.
   */
  approval(since: 'undone' | 'paused', question?: string): Promise<Approval | undefined>;
  /** What another step of the run found before it changed anything; undefined where it was not begun, or is undone. */
  recorded(step: string): unknown;
  /** Milliseconds from its beginning to its end, by the journal; undefined while it is not done. */
  took(step: string): number | undefined;
  /** Going back: what we copied may be deleted. The operator said so; otherwise it is kept and named. */
  readonly deletesCopies: boolean;
  /** Going back: whether that step is to be undone on this way back too. */
  goesBack(step: string): boolean;
  /** Going back: tells of a copy that was kept. */
  kept(copy: Copy): void;
  /** Puts what a gate saw into the journal. */
  keep(seen: GateSeen): void;
}

export interface Approval {
  /** `name@host` */
  by: string;
  /** ISO 8601 */
  at: string;
}

/** One thing in the cloud that we made. All of a plan carry the tag `migrate-plan` with the plan's mark. */
export interface Copy {
  what: 'disk' | 'snapshot';
  id: string;
  region: string;
  mark: string;
}

export interface GateSeen {
  gate: string;
  /** `open`: undecided when the time was up */
  outcome: 'pass' | 'fail' | 'open';
  why: string;
  evidence: GateEvidence;
}

/** What undoing could not reach now and must still be done, e.g. with a dead API server. */
export interface Debt {
  side: Side;
  what: string;
}

export interface StepKind<Args, Before> {
  readonly kind: string;
  title(args: Args): string;
  /** how it is undone, for the plan's last column */
  wayBack(args: Args): string;
  rights(args: Args): { source?: Right[]; target?: Right[] };
  /** Refuses, or returns what undo will need. Runs once, before the first apply; it only reads. */
  check(args: Args, context: StepContext): Promise<Before>;
  /** Safe to call again after a kill, with the recorded before. */
  apply(args: Args, before: Before, context: StepContext): Promise<void>;
  /** Asks the world, never the reply to apply. */
  verify(args: Args, before: Before, context: StepContext): Promise<void>;
  /** Watches after verify, e.g. a hold with its gates; throwing here undoes the step. */
  hold?(args: Args, before: Before, context: StepContext): Promise<void>;
  /** Safe to call again, and for a step that never got as far as apply. */
  undo(args: Args, before: Before, context: StepContext): Promise<Debt[]>;
  /** Going back, a share does not wait for this step, although it came after: nothing that serves depends on it. */
  readonly besideTraffic?: boolean;
  /** Steps with the same key are undone in one go, by the before of the oldest: a roll-back from 100 % need not stop at 50. */
  undoneWith?(args: Args): string;
}

// A registry holds kinds of different arguments; each step's own kind reads its own.
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyStepKind = StepKind<any, any>;
export type StepKinds = ReadonlyMap<string, AnyStepKind>;
