import type { Emit, EndedEvent } from '../events.js';
import type { Playbook } from '../playbook.js';
import type { Call, Cluster, Side, Tap } from '../ports.js';
import { openWorld, plainTap } from './world.js';

/**
 * The bodies of the commands. Each looks, refuses or acts, tells of it by events, and ends in one last event; none prints, none knows
 * which view is listening.
 */
export interface Io {
  emit: Emit;
  /** true once the operator pressed Ctrl-C */
  stopping(): boolean;
  /** Asks on a terminal. @throws MigrateError NEEDS_YES off one */
  confirm(question: string): Promise<boolean>;
  /** Asks somebody at a terminal whether a step may go on; undefined where nobody is there. `--yes` is no answer to that. */
  approve?(question: string): Promise<boolean | undefined>;
  /** of this program, for the journal */
  version?: string;
}

export type Act<Options> = (options: Options, io: Io) => Promise<EndedEvent>;

export interface CommonOptions {
  playbook: Playbook;
  kubeconfig?: string;
  stateDir?: string;
  /** for one reply of a server */
  timeoutMs?: number;
  takeOver?: string;
  yes?: boolean;
  /** each request, for -v */
  onCall?: (call: Call) => void;
}

/** Requests, counted for the last line. */
export interface Counter {
  reads: number;
  writes: number;
}

export function counting(onCall?: (call: Call) => void, inner: Tap = plainTap): { tap: Tap; counter: Counter } {
  const counter = { reads: 0, writes: 0 };
  const tap: Tap = (call, send) => {
    counter[call.writes ? 'writes' : 'reads']++;
    onCall?.(call);
    return inner(call, send);
  };
  return { tap, counter };
}

export const open = (
  options: CommonOptions,
  tap: Tap,
  patienceMs: number | Record<'source' | 'target', number> = 60_000,
  clusters: Partial<Record<Side, Cluster>> = {},
) =>
  openWorld(options.playbook, {
    clusters,
    tap,
    patienceMs: patience(patienceMs, options.timeoutMs),
    ...(options.kubeconfig !== undefined && { kubeconfig: options.kubeconfig }),
    ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
  });

/** Who waits two seconds for a reply does not want to wait a minute for a server that is dead. */
const REPLIES_OF_PATIENCE = 10;

function patience<T extends number | Record<'source' | 'target', number>>(given: T, timeoutMs = Infinity): T {
  const least = (ms: number) => Math.min(ms, REPLIES_OF_PATIENCE * timeoutMs);
  return (typeof given === 'number' ? least(given) : { source: least(given.source), target: least(given.target) }) as T;
}

/** Nothing is at stake while looking: a wrong address should show soon. */
export const PATIENCE_LOOKING = 5000;
