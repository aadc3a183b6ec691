import { Interrupted } from '../engine.js';
import { MigrateError } from '../errors.js';
import type { GateEvidence } from '../events.js';
import {
  gateKind,
  isCapacity,
  isProbe,
  isPrometheus,
  isWebhook,
  type CapacityGate,
  type Gate,
  type WatchedGate,
} from '../gates.js';
import type { StepContext } from '../step.js';
import { points, spell } from '../words.js';
import { watchCapacity } from './capacity.js';
import { goingOn } from './evidence.js';
import { watchProbe } from './probe.js';
import { watchPrometheus } from './prometheus.js';
import { watchWebhook } from './webhook.js';

/** What a gate makes of what it has seen so far. */
export interface Seen {
  state: 'pass' | 'fail' | 'wait';
  why: string;
  evidence: GateEvidence;
}

/** One gate during one hold. */
export interface Watch {
  everyMs: number;
  /** Asks once; what does not answer is part of what is seen. */
  look(): Promise<void>;
  seen(): Seen;
}

/** What is held. */
export interface Held {
  /** `namespace/name` */
  service: string;
  /** percent */
  asked: number;
  /** the longest that it is watched, and when it may end once every gate has passed */
  holdMs: number;
  leastMs: number;
  /** pods that stand ready behind the service on a side, and that the next share needs there */
  capacity?(gate: CapacityGate): Promise<Seen>;
}

/**
 * Watches gates for as long as a step is held. Each looks in its own rhythm, so that one that answers slowly keeps nobody waiting. The first
 * that is clearly broken ends the hold; when all have passed, it ends after `leastMs`; what is undecided at its end is no pass.
 *
 * @param look  called about every `pollMs` with the time held so far; what it throws ends the hold too
 * @throws MigrateError GATE_FAILED, GATE_INCONCLUSIVE, GATE_WAITS
 * @throws Interrupted  Ctrl-C, at a point where stopping is safe
 */
export async function watchGates(
  gates: readonly Gate[],
  held: Held,
  pollMs: number,
  context: StepContext,
  look: (elapsedMs: number) => Promise<void>,
): Promise<void> {
  const { clock } = context.world;
  const began = clock.now();
  if (held.holdMs === 0) return look(0);
  const open = namedGates(gates).map(({ name, gate }) => ({
    name,
    gate,
    watch: watchOf(gate, held, context),
    told: '',
  }));
  let over = false;
  let underWay: Promise<void> = Promise.resolve();

  const rounds = open.map(async (it) => {
    while (!over) {
      const at = clock.now();
      await it.watch.look();
      if (over) return;
      tell(it, context);
      if (it.watch.seen().state === 'fail') throw broken(it, held, context);
      await clock.sleep(Math.max(1, it.watch.everyMs - (clock.now() - at)));
    }
  });
  const looking = async () => {
    for (;;) {
      if (over) return;
      if (context.stopping()) throw new Interrupted();
      const elapsed = clock.now() - began;
      underWay = look(Math.min(elapsed, held.holdMs));
      await underWay;
      if (elapsed >= held.holdMs) return;
      const passed = open.length > 0 && open.every((it) => it.watch.seen().state === 'pass');
      if (passed && elapsed >= held.leastMs) return;
      const least = passed ? held.leastMs : held.holdMs;
      await clock.sleep(Math.max(1, Math.min(pollMs, (elapsed < least ? least : held.holdMs) - elapsed)));
    }
  };

  try {
    // A round only ever ends by a failure, or because all is over.
    await Promise.race([looking(), Promise.all(rounds).then(() => new Promise<never>(() => undefined))]);
  } finally {
    over = true;
    for (const it of rounds) it.catch(() => undefined);
    // What it may be writing, to follow pods that came, must not cross the way back.
    await underWay.catch(() => undefined);
  }
  for (const it of open) conclude(it, held, context);
}

interface Open {
  name: string;
  gate: WatchedGate;
  watch: Watch;
  told: string;
}

/** Several gates of a kind are told apart by a number: `probe`, `probe 2`. */
function namedGates(gates: readonly Gate[]): { name: string; gate: WatchedGate }[] {
  const seen = new Map<string, number>();
  return gates.flatMap((gate) => {
    if ('approve' in gate) return [];
    const kind = gateKind(gate);
    const number = (seen.get(kind) ?? 0) + 1;
    seen.set(kind, number);
    return [{ name: number === 1 ? kind : `${kind} ${number}`, gate }];
  });
}

function watchOf(gate: WatchedGate, held: Held, context: StepContext): Watch {
  if (isProbe(gate)) return watchProbe(gate, held, context.world);
  if (isPrometheus(gate)) return watchPrometheus(gate, context.world);
  if (isWebhook(gate)) return watchWebhook(gate, held, context);
  if (isCapacity(gate)) return watchCapacity(gate, held);
  return gate satisfies never;
}

function tell(it: Open, { emit, step }: StepContext): void {
  const { state, why, evidence } = it.watch.seen();
  const now = JSON.stringify([state, why]);
  if (now === it.told) return;
  it.told = now;
  emit({ type: 'gate', step: step.id, gate: it.name, state, why, evidence });
}

const keep = (it: Open, outcome: 'pass' | 'fail' | 'open', { keep: write }: StepContext) => {
  const { why, evidence } = it.watch.seen();
  write({ gate: it.name, outcome, why, evidence });
};

function broken(it: Open, held: Held, context: StepContext): MigrateError {
  keep(it, 'fail', context);
  const { why, evidence } = it.watch.seen();
  const stays = it.gate.onFail === 'pause';
  return new MigrateError('GATE_FAILED', {
    what: `Gate ${it.name} broke at ${points(held.asked)} % of ${held.service}: ${why}.`,
    why: `It asked ${evidence.asked}${evidence.last === undefined ? '' : `; last answer: ${evidence.last}`}.`,
    fix: stays
      ? `The share stays, as the playbook says. Judge, then \`${goingOn(context.step.id, held.asked)} --approve ${context.step.id}\` or \`migrate rollback\`.`
      : 'The share goes back to the one before. Find out which side fails, then run again.',
    stays,
  });
}

/** What has not passed when the time is up is not a pass: silence and doubt are never success. */
function conclude(it: Open, held: Held, context: StepContext): void {
  const { state, why, evidence } = it.watch.seen();
  if (state === 'pass') return keep(it, 'pass', context);
  if (state === 'fail') throw broken(it, held, context);
  keep(it, 'open', context);
  const { emit, step } = context;
  emit({ type: 'gate', step: step.id, gate: it.name, state: 'fail', why: `undecided: ${why}`, evidence });
  const stays = it.gate.onFail === 'pause';
  const again = goingOn(step.id, held.asked);
  throw new MigrateError(stays ? 'GATE_WAITS' : 'GATE_INCONCLUSIVE', {
    what: `Gate ${it.name} could not decide about ${points(held.asked)} % of ${held.service} in ${spell(held.holdMs)}: ${why}.`,
    why: `It asked ${evidence.asked}. Too few answers are no evidence, and silence is never success.`,
    fix: stays
      ? `The share stays. Judge yourself, then \`${again} --approve ${step.id}\`, \`${again}\` to watch once more, or \`migrate rollback\`.`
      : 'The share goes back to the one before. Hold longer, ask more often, or allow more (`bad`), then run again.',
    stays,
  });
}
