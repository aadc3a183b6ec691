import type { EventBody } from '../events.js';
import type { ShareNow } from './views/shares.js';

/** What the commands that do not run steps have to say, beside the events of the engine. */
export type CliEvent =
  | EventBody
  | PlaybookEvent
  | ValidEvent
  | ExplainedEvent
  | ExplainableEvent
  | StatusEvent
  | DoctorEvent
  | WrittenEvent
  | TwinEvent;

/** Which playbook the rest is about. */
export interface PlaybookEvent {
  type: 'playbook';
  name: string;
  file: string;
}

export interface ValidEvent {
  type: 'valid';
  file: string;
  name: string;
  source: string;
  target: string;
  namespaces: string[];
  services: string[];
  /** percent */
  steps: number[];
}

/** A check, or an error by its code, explained. */
export interface ExplainedEvent {
  type: 'explained';
  code: string;
  kind: 'check' | 'error';
  lang: 'en' | 'zh';
  /** a check's question */
  asks?: string;
  /** what it comes to when it is not as it should be */
  outcome: string;
  why: string;
  /** how the check finds it */
  how?: string;
  do: string;
  sources: string[];
}

/** All that can be explained. */
export interface ExplainableEvent {
  type: 'explainable';
  checks: { code: string; asks: string }[];
  errors: { code: string; means: string }[];
}

export interface StatusEvent {
  type: 'status';
  name: string;
  state: 'none' | 'running' | 'stopped' | 'undoing' | 'moved' | 'completed';
  done: number;
  steps: number;
  /** begun and not done */
  open: { step: string; state: string; since: string; failure?: { code: string; what: string } }[];
  /** owed by an earlier roll-back */
  debts: string[];
  /** what is being waited for, and why */
  waiting?: string;
  /** shares under way, as the process that moves them last said */
  watching?: ShareNow[];
  lock?: { owner: string; host: string; pid: number; ageMs: number };
  /** read at the load balancer; null when it could not be read, with why */
  shares: {
    service: string;
    /** server group, rule or record where it is split */ where: string;
    target: number | null;
    why?: string;
  }[];
  next: string;
  back?: string;
}

export interface DoctorEvent {
  type: 'doctor';
  name: string;
  looked: { step: string; journal: string; world: 'as recorded' | 'differs' | 'half done' | 'unknown'; why?: string }[];
  debts: string[];
  sound: boolean;
}

export interface WrittenEvent {
  type: 'written';
  file: string;
  what: string;
}

export interface TwinEvent {
  type: 'twin';
  kubeconfig: string;
  contexts: { source: string; target: string };
  /** what the shell must export to reach it */
  environment: Record<string, string>;
}

export type CliEmit = (event: CliEvent & { at?: string }) => void;

/** As views get it. */
export type Shown = CliEvent & { at: string };
