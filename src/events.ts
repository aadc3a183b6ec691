import type { Plan } from './plan.js';
import type { Preview } from './preview.js';
import type { Side } from './ports.js';
import type { Report } from './preflight.js';
import type { Phase } from './step.js';

/**
 * What goes out of the engine. Views draw it; with `-o json` each is one line. The engine never prints.
 */
export type EventBody =
  | {
      type: 'started';
      command: string;
      name: string;
      digest: string;
      steps: number;
      source: string;
      target: string;
      resumed: boolean;
    }
  | {
      type: 'preflight';
      report: Report;
      source: SideLine;
      target: SideLine;
      tookMs: number;
      calls: number;
      diff?: { fresh: ReportLine[]; gone: ReportLine[] };
      leftOut?: number;
      /** requests that wrote: those of the probe */ wrote?: number;
    }
  | { type: 'plan'; plan: Plan; rows: PlanRow[] }
  /** what each object will meet on the way to the target */
  | { type: 'preview'; preview: Preview }
  | { type: 'step'; step: string; state: StepState; title: string; note?: string }
  | ShareEvent
  | { type: 'gate'; step: string; gate: string; state: 'pass' | 'fail' | 'wait'; why: string; evidence?: GateEvidence }
  | {
      type: 'hold';
      step: string;
      elapsedMs: number;
      holdMs: number;
      /** when it may end, once every gate has passed */ leastMs?: number;
      /** percent: the share after this one, and the one before */ next?: number;
      back?: number;
    }
  | { type: 'warning'; what: string; fix?: string }
  | { type: 'error'; code: string; what: string; why: string; do: string; now: string; stack?: string }
  | EndedEvent;

/** A finding, as two reports are compared by. */
export interface ReportLine {
  check: string;
  severity: string;
  about: string;
}

/** One cluster in a headline. */
export interface SideLine {
  context: string;
  version: string;
  nodes: number;
}

/** A step as the operator reads it. */
export interface PlanRow {
  step: string;
  phase: Phase;
  does: string;
  wayBack: string;
  /** percent; traffic only */
  asked?: number;
  reachable?: number;
  how?: string;
  /** what going back loses once it has begun */
  noReturn?: string;
}

/** What a gate saw, bounded in size and without credentials: it goes into the journal too. */
export interface GateEvidence {
  /** address, query, or what else was looked at */
  asked: string;
  requests?: number;
  errors?: number;
  /** where a gate tells them apart */
  sides?: Partial<Record<Side, { requests: number; errors: number }>>;
  /** buckets of the sequential test, its score, and how much without an error still passes it */
  buckets?: number;
  score?: number;
  missing?: number;
  /** the latest, at most ten; null is no finite number */
  values?: (number | null)[];
  /** the latest answer, in words */
  last?: string;
}

export type StepState = 'begun' | 'progress' | 'done' | 'failed' | 'waiting' | 'undoing' | 'undone' | 'skipped';

export interface ShareEvent {
  type: 'share';
  step: string;
  service: string;
  /** percent */
  asked: number;
  reachable: number;
  measured: number;
  /** the weights behind it */
  source: { members: number; weight: number };
  target: { members: number; weight: number };
  /** percent that the rehearsal's virtual clients saw while the step was held */
  clients?: number;
}

export type Outcome = 'done' | 'refused' | 'stopped' | 'waiting' | 'interrupted' | 'failed';

export interface EndedEvent {
  type: 'ended';
  outcome: Outcome;
  exit: number;
  /** rehearsals only */
  requests?: { sent: number; failed: number; source: number; target: number; longestPauseMs: number };
  /** traffic only; percent */
  share?: { asked: number; reachable: number; measured: number };
  /** calls to both clusters and the cloud */
  calls?: { reads: number; writes: number };
  tookMs?: number;
  serving?: string;
  next?: string;
  back?: string;
  /** a file that was written */
  output?: string;
  digest?: string;
  /** rehearsals: with the same number it comes out the same */
  seed?: number;
  /** rehearsals: how long it took on the twin's clock */
  virtualMs?: number;
  /** rehearsals with --back: the world equals the one at the start */
  same?: boolean;
}

/** `at` is the time of the world that the event is about: a rehearsal gives its own, else it is now. */
export type Emit = (event: EventBody & { at?: string }) => void;
