import { setTimeout as sleep } from 'node:timers/promises';
import { contextOf, kindOf, type Engine } from '../engine.js';
import { MigrateError } from '../errors.js';
import type { EndedEvent } from '../events.js';
import type { ScaleArgs } from '../args.js';
import type { StepRecord } from '../journal.js';
import { pathOf } from '../objects.js';
import type { Clock } from '../ports.js';
import { stepKinds } from '../steps/index.js';
import type { CommonOptions } from './act.js';
import type { DoctorEvent } from './events.js';
import type { Io } from './program.js';
import { openSession } from './session.js';
import { openWorld } from './world.js';

/** `migrate doctor`: asks the world about every step that the journal says was begun, then offers to go on or to go back. */
export async function doctor(options: CommonOptions & { repair?: 'forward' | 'back' }, io: Io): Promise<EndedEvent> {
  const found = await examine(options);
  io.emit(found);
  if (found.sound) return { type: 'ended', outcome: 'done', exit: 0, next: 'migrate status' };
  const direction = options.repair ?? (await asked(options, io));
  if (direction === undefined)
    return {
      type: 'ended',
      outcome: 'stopped',
      exit: 3,
      next: 'migrate doctor --repair forward',
      back: 'migrate doctor --repair back',
    };
  const [{ runAct }, { rollbackAct }] = await Promise.all([import('./run-act.js'), import('./rollback-act.js')]);
  return direction === 'forward' ? runAct(options, io) : rollbackAct(options, io);
}

/** On a terminal one question at a time; off one, nothing is repaired unasked. */
async function asked(_options: CommonOptions, io: Io): Promise<'forward' | 'back' | undefined> {
  if (!io.interactive) return undefined;
  if (await io.confirm('Go forward from here (migrate run)?')) return 'forward';
  return (await io.confirm('Go back instead (migrate rollback)?')) ? 'back' : undefined;
}

async function examine(options: CommonOptions): Promise<DoctorEvent> {
  const session = openSession(options.playbook.name, {
    readOnly: true,
    ...(options.stateDir !== undefined && { stateDir: options.stateDir }),
  });
  const records = session.journal.records();
  const debts = session.journal.debts().flatMap(({ owed }) => owed.map((it) => it.what));
  const looked: DoctorEvent['looked'] = [];
  if (records.length > 0) {
    const world = await openWorld(options.playbook, {
      patienceMs: 5000,
      ...(options.kubeconfig !== undefined && { kubeconfig: options.kubeconfig }),
      ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    });
    const engine: Engine = {
      world: { ...world, clock: impatient(world.clock) },
      journal: session.journal,
      kinds: stepKinds,
      emit: () => undefined,
      stopping: () => false,
      limit: 1,
    };
    for (const [index, record] of records.entries()) looked.push(await ask(record, records.slice(index + 1), engine));
  }
  return {
    type: 'doctor',
    name: options.playbook.name,
    looked,
    debts,
    sound: debts.length === 0 && looked.every((it) => it.world === 'as recorded'),
  };
}

type Looked = DoctorEvent['looked'][number];

async function ask(record: StepRecord, later: readonly StepRecord[], engine: Engine): Promise<Looked> {
  const head = { step: record.step.id, journal: record.state };
  if (record.state !== 'done')
    return {
      ...head,
      world: 'half done',
      why: record.failure ? `${record.failure.code}: ${record.failure.what}` : `${record.state}, and not done`,
    };
  const over = later.find((it) => covers(it, record));
  if (over) return { ...head, world: 'as recorded', why: `${over.step.id} has gone on from there` };
  try {
    await kindOf(record.step, engine.kinds).verify(
      record.step.args,
      record.before,
      contextOf(record.step, record.mark, engine),
    );
    return { ...head, world: 'as recorded' };
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error;
    const unseen = /^(KUBE_UNREACHABLE|KUBE_UNAUTHORIZED|KUBE_FORBIDDEN|CLOUD_)/.test(error.code);
    return { ...head, world: unseen ? 'unknown' : 'differs', why: error.what };
  }
}

/** What a later step has changed again can't look as the earlier one left it. */
function covers(later: StepRecord, { step }: StepRecord): boolean {
  const key = (it: StepRecord['step']) => kindOf(it, stepKinds).undoneWith?.(it.args);
  const mine = key(step);
  if (mine !== undefined && key(later.step) === mine) return true;
  if (step.kind !== 'scale' || later.step.kind !== 'scale') return false;
  const [was, is] = [step.args as ScaleArgs, later.step.args as ScaleArgs];
  return (
    was.side === is.side &&
    was.workloads.some((one) => is.workloads.some((other) => one.kind === other.kind && pathOf(one) === pathOf(other)))
  );
}

/** Waits shrink to a blink: what is not there now is not waited for, but asked for a few times. */
function impatient(clock: Clock): Clock {
  let skipped = 0;
  return {
    now: () => clock.now() + skipped,
    async sleep(ms) {
      skipped += ms;
      await sleep(Math.min(ms, 20));
    },
  };
}
