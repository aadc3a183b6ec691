import { isDeepStrictEqual } from 'node:util';
import { MigrateError } from '../errors.js';
import type { Emit, EndedEvent, EventBody } from '../events.js';
import type { Engine } from '../engine.js';
import { memoryStore, openJournal } from '../journal.js';
import type { Plan } from '../plan.js';
import type { Playbook } from '../playbook.js';
import type { Tap } from '../ports.js';
import { rollback } from '../rollback.js';
import { run } from '../run.js';
import { stepKinds } from '../steps/index.js';
import type { Twin } from '../twin/twin.js';
import type { Faults, Seed } from '../twin/types.js';
import type { Io } from './act.js';
import { look, mustBeReady, planRows, routesIn } from './looking.js';
import { endedBy, shareNow, whatServes } from './ending.js';
import { openStage } from './stage.js';

export interface RehearseOptions {
  playbook: Playbook;
  /** the world to start from: a world file or a captured inventory */
  seed: Seed;
  /** all the way back too, and compares the world with the one at the start */
  back?: boolean;
  faults?: Faults;
  seedNumber?: number;
  clientsPerSecond?: number;
}

/** The whole plan on a twin, by the same engine, with virtual clients that count what they got. */
export async function rehearse(options: RehearseOptions, io: Io): Promise<EndedEvent> {
  const { playbook, seed, back = false } = options;
  const began = performance.now();
  const counter = { reads: 0, writes: 0 };
  const tap: Tap = (call, send) => {
    counter[call.writes ? 'writes' : 'reads']++;
    return send();
  };
  const stage = await openStage(playbook, seed, {
    tap,
    ...(options.faults && { faults: options.faults }),
    ...(options.seedNumber !== undefined && { seedNumber: options.seedNumber }),
    ...(options.clientsPerSecond !== undefined && { clientsPerSecond: options.clientsPerSecond }),
  });
  const { twin, world } = stage;
  const emit = withClients(inTime(io.emit, twin), twin);
  const journal = openJournal(memoryStore(), () => world.clock.now());
  const engine: Engine = {
    world,
    journal,
    kinds: stepKinds,
    emit,
    stopping: io.stopping,
    limit: 8,
    // Nobody is asked in a rehearsal: what waits for a yes gets one.
    approve: () => Promise.resolve('the rehearsal'),
    // The twin is to be as it was.
    deletesCopies: true,
  };
  let plan: Plan | undefined;
  const touched = () => journal.records().length > 0;
  const ending = async (error: unknown) => {
    const now = await whatServes(world, plan ? routesIn(plan) : []);
    return {
      ...endedBy(error, emit, { touched: touched(), now: now || 'the twin is as it was' }),
      requests: requestsOf(twin),
      tookMs: performance.now() - began,
    };
  };
  try {
    const start = twin.snapshot();
    const looked = await look(playbook, world);
    emit({
      type: 'preflight',
      report: looked.report,
      source: {
        context: looked.inventory.source.context,
        version: looked.inventory.source.version,
        nodes: looked.inventory.source.objects['Node']?.length ?? 0,
      },
      target: {
        context: looked.inventory.target.context,
        version: looked.inventory.target.version,
        nodes: looked.inventory.target.objects['Node']?.length ?? 0,
      },
      tookMs: performance.now() - began,
      calls: counter.reads,
    });
    if (looked.planError) throw looked.planError;
    mustBeReady(looked.report);
    plan = looked.plan;
    if (!plan) throw new Error('a look without error has a plan');
    emit({ type: 'plan', plan, rows: planRows(plan, stepKinds) });
    emit({
      type: 'started',
      command: 'rehearse',
      name: plan.name,
      digest: plan.digest,
      steps: plan.steps.length,
      source: plan.pins.source.context,
      target: plan.pins.target.context,
      resumed: false,
    });

    const forward = await run(plan, ['data', 'traffic'], engine);
    if (forward.outcome === 'stopped') return await ending(forward.error);
    if (forward.outcome === 'interrupted')
      return { type: 'ended', outcome: 'interrupted', exit: 130, requests: requestsOf(twin) };
    const { share } = await shareNow(world, engine.journal);
    if (back) {
      const backward = await rollback(undefined, engine);
      if (backward.outcome === 'stopped') return await ending(backward.error);
      await twin.settle();
      mustBeTheSame(start, twin.snapshot());
    }
    const requests = requestsOf(twin);
    const lost = requests.failed > 0;
    if (lost) emit({ type: 'warning', what: `${requests.failed} of ${requests.sent} requests failed.` });
    return {
      type: 'ended',
      outcome: lost ? 'stopped' : 'done',
      exit: lost ? 3 : 0,
      requests,
      ...(share && { share }),
      calls: counter,
      tookMs: performance.now() - began,
      virtualMs: twin.clock.now() - Date.parse(looked.inventory.takenAt),
      serving: await whatServes(world, routesIn(plan)),
      ...(back && { same: true }),
      next: 'migrate plan -o plan.json, then migrate run plan.json',
    };
  } catch (error) {
    return await ending(error);
  } finally {
    await stage.close();
  }
}

function requestsOf(twin: Twin): NonNullable<EndedEvent['requests']> {
  const { sent, failed, source, target, longestPauseMs } = twin.clients.counts();
  return { sent, failed, source, target, longestPauseMs };
}

/** Events happen on the twin's clock: a hold of ten minutes takes ten minutes there. */
const inTime =
  (emit: Emit, twin: Twin): Emit =>
  (event) =>
    emit({ at: new Date(twin.clock.now()).toISOString(), ...event });

/** At the end of each hold the share that the virtual clients saw in it is put beside the one that the weights say. */
function withClients(emit: Emit, twin: Twin): Emit {
  const held = new Set<string>();
  return (event: EventBody) => {
    if (event.type !== 'share') return emit(event);
    if (!held.has(event.step)) {
      held.add(event.step);
      twin.clients.mark(event.step);
      return emit(event);
    }
    // Of several crowds the one that comes for this service; a listener's have no name.
    const name = twin.clients.counts(event.service).sent > 0 ? event.service : null;
    const { targetPercent } = twin.clients.share({ since: event.step, name });
    return emit({ ...event, ...(targetPercent !== undefined && { clients: targetPercent }) });
  };
}

/** @throws MigrateError WORLD_DIFFERS, with the first places that differ */
function mustBeTheSame(start: unknown, end: unknown): void {
  if (isDeepStrictEqual(start, end)) return;
  const places = differences(start, end).slice(0, 5);
  throw new MigrateError('WORLD_DIFFERS', {
    what: `After going all the way back the world is not as it was: ${places.join('; ')}.`,
    why: 'A step did not undo all that it did.',
    fix: 'Report it with this playbook and its world: that is a fault of migrate.',
  });
}

/** Paths at which two plain values differ, with both sides in short. */
export function differences(a: unknown, b: unknown, at = ''): string[] {
  if (isDeepStrictEqual(a, b)) return [];
  if (
    a !== null &&
    b !== null &&
    typeof a === 'object' &&
    typeof b === 'object' &&
    Array.isArray(a) === Array.isArray(b)
  ) {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return keys.flatMap((key) =>
      differences((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], `${at}/${key}`),
    );
  }
  return [`${at}: ${short(a)} became ${short(b)}`];
}

const short = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 120);
