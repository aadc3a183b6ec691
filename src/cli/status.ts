import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { QuiesceArgs, ShiftArgs } from '../args.js';
import { estimateOf, tell } from '../disk-estimate.js';
import { MigrateError } from '../errors.js';
import { gateKind } from '../gates.js';
import type { EndedEvent } from '../events.js';
import { tookMs, type Entry, type Journal, type StepRecord } from '../journal.js';
import { readLock, STALE_MS } from '../lock.js';
import type { Plan } from '../plan.js';
import type { World } from '../ports.js';
import { measured, shownBy, type Route } from '../router.js';
import { routers } from '../routers/index.js';
import { routerOf } from '../traffic.js';
import { waitMs } from '../window.js';
import { spell } from '../words.js';
import { wayBackOf } from '../no-return.js';
import type { CommonOptions } from './act.js';
import { routesOf } from './ending.js';
import type { StatusEvent } from './events.js';
import type { Io } from './program.js';
import { openSession } from './session.js';
import { BOTH_STAY, isPastSource, SOURCE_OWES } from './source-down.js';
import { readWatching } from './watching.js';
import { openWorld } from './world.js';

const AGAIN_MS = 2000;

/** 0: nothing runs and nothing is half done; 3: stopped midway; 4: running, or waiting. */
const EXIT: Record<StatusEvent['state'], number> = {
  none: 0,
  moved: 0,
  completed: 0,
  stopped: 3,
  undoing: 3,
  running: 4,
};

/** Where the run stands, from journal and lock, and the share from the load balancer. Takes no lock and writes nothing. */
export async function status(options: CommonOptions & { watch: boolean }, io: Io): Promise<EndedEvent> {
  let told = '';
  for (;;) {
    const event = await look(options);
    const { lock: _beats, watching: _ticks, ...rest } = event;
    const now = JSON.stringify(rest);
    if (now !== told || io.live) io.emit(event);
    told = now;
    if (!options.watch || event.state !== 'running') {
      // What waits for a person is no stop.
      const exit = event.state === 'stopped' && event.waiting !== undefined ? 4 : EXIT[event.state];
      return {
        type: 'ended',
        outcome: exit === 0 ? 'done' : exit === 4 ? 'waiting' : 'stopped',
        exit,
        next: event.next,
        ...(event.back !== undefined && { back: event.back }),
      };
    }
    await sleep(AGAIN_MS);
  }
}

async function look(options: CommonOptions): Promise<StatusEvent> {
  const session = openSession(options.playbook.name, {
    readOnly: true,
    ...(options.stateDir !== undefined && { stateDir: options.stateDir }),
  });
  const { journal } = session;
  const plan = session.plan();
  const held = readLock(path.join(session.dir, 'lock.json'));
  const ageMs = held ? Date.now() - held.beat : 0;
  const records = journal.records();
  const state = stateOf(journal, plan, held !== undefined && ageMs <= STALE_MS);
  const watching = readWatching(session.dir);
  const paused = state === 'stopped' ? pausedAt(journal) : undefined;
  const waiting =
    state === 'running'
      ? (records.map((it) => waitOf(it, journal.entries())).find((it) => it !== undefined) ?? windowOf(plan, journal))
      : paused && `${paused.step}: ${paused.what}`;
  return {
    type: 'status',
    name: options.playbook.name,
    state,
    done: records.filter((it) => it.state === 'done').length,
    steps: plan ? plan.steps.filter((it) => it.phase !== 'complete' || state === 'completed').length : records.length,
    open: records.filter((it) => it.state !== 'done').map((it) => openStep(it, journal.entries())),
    debts: journal.debts().flatMap(({ owed }) => owed.map((it) => it.what)),
    ...(waiting !== undefined && { waiting }),
    ...(state === 'running' && watching.length > 0 && { watching }),
    ...(held && { lock: { owner: held.owner, host: held.host, pid: held.pid, ageMs } }),
    shares: await sharesNow(options, routesOf(journal)),
    next: paused
      ? `${paused.step.startsWith('shift-') ? 'the same migrate shift' : 'migrate run'} with --approve ${paused.step} goes on`
      : nextOf(state, journal, held?.owner, ageMs > STALE_MS),
    ...(records.length > 0 && state !== 'completed' && { back: wayBackOf(records) }),
  };
}

function stateOf(journal: Journal, plan: Plan | undefined, alive: boolean): StatusEvent['state'] {
  const records = journal.records();
  if (alive) return 'running';
  if (journal.completed()) return 'completed';
  if (records.some((it) => it.state === 'undoing') || journal.debts().length > 0) return 'undoing';
  if (records.length === 0) return 'none';
  const planned = plan?.steps.filter((it) => it.phase !== 'complete') ?? [];
  const left = planned.some((it) => journal.record(it.id)?.state !== 'done');
  return left || records.some((it) => it.state !== 'done') ? 'stopped' : 'moved';
}

/** The step that waits for a person, if that is the last that was heard. */
function pausedAt(journal: Journal): Extract<Entry, { type: 'paused' }> | undefined {
  const last = journal.entries().findLast((it) => it.type !== 'opened' && it.type !== 'gate');
  return last?.type === 'paused' ? last : undefined;
}

function nextOf(state: StatusEvent['state'], journal: Journal, owner: string | undefined, stale: boolean): string {
  const takeOver = owner !== undefined && stale ? ` --take-over ${owner}` : '';
  switch (state) {
    case 'none':
      return 'migrate plan -o plan.json, then migrate run plan.json';
    case 'running':
      return 'migrate status --watch';
    case 'stopped':
      return `migrate run${takeOver} goes on`;
    case 'undoing':
      return `migrate rollback${takeOver}${journal.records().length === 0 ? ' once more, for what is owed' : ' goes on'}`;
    case 'moved':
      if (isPastSource(journal)) return SOURCE_OWES;
      return journal.opened()?.command === 'shift'
        ? 'migrate shift --to N'
        : 'hold as long as you like, then migrate complete';
    case 'completed':
      if (journal.keepsBoth()) return BOTH_STAY;
      return 'nothing: the move is complete';
    default:
      return state satisfies never;
  }
}

const lastOf = (entries: readonly Entry[], step: string) =>
  entries.findLast((it) => ('step' in it ? (typeof it.step === 'string' ? it.step : it.step.id) : '') === step);

function openStep({ step, state, failure }: StepRecord, entries: readonly Entry[]): StatusEvent['open'][number] {
  return { step: step.id, state, since: lastOf(entries, step.id)?.at ?? '', ...(failure && { failure }) };
}

/** What a step that is under way waits for. */
function waitOf({ step, state }: StepRecord, entries: readonly Entry[]): string | undefined {
  if (state !== 'verified' || step.kind !== 'shift') return undefined;
  const { holdMs, gates } = step.args as ShiftArgs;
  const since = Date.parse(entries.findLast((it) => it.type === 'verified' && it.step === step.id)?.at ?? '');
  const watched = gates.length === 0 ? '' : `, watching ${gates.map(gateKind).join(', ')}`;
  return `${step.id}: held ${spell(Math.min(holdMs, Math.max(0, Date.now() - since)))} of ${spell(holdMs)}${watched}`;
}

/** Writers that will stop when their window opens: nothing was begun yet, so the journal itself does not name them. */
function windowOf(plan: Plan | undefined, journal: Journal): string | undefined {
  const isDone = (id: string) => journal.record(id)?.state === 'done';
  const next = plan?.steps.find((it) => it.kind === 'quiesce' && !journal.record(it.id) && it.after.every(isDone));
  if (!next) return undefined;
  const { window, live } = next.args as QuiesceArgs;
  const wait = window ? waitMs(window, Date.now()) : 0;
  if (!window || wait === 0) return undefined;
  const estimate = estimateOf(live, (id) => tookMs(journal, id));
  return `${next.id}: ${spell(wait)} until ${window.from} (${window.offset})${estimate ? `; ${tell(estimate)}` : ''}`;
}

async function sharesNow(options: CommonOptions, routes: readonly Route[]): Promise<StatusEvent['shares']> {
  if (routes.length === 0) return [];
  const unread = ({ service, router }: Route, why: string) => ({ service, where: router, target: null, why });
  let world: World;
  try {
    world = await openWorld(options.playbook, {
      patienceMs: AGAIN_MS,
      ...(options.kubeconfig !== undefined && { kubeconfig: options.kubeconfig }),
      ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    });
  } catch (error) {
    if (error instanceof MigrateError) return routes.map((it) => unread(it, error.what));
    throw error;
  }
  const lists = await Promise.all(
    routes.map(async (route) => {
      try {
        const splits = await shownBy(routerOf(route, routers), route, world);
        return splits.map((it) => {
          const share = measured(it);
          return {
            service: route.service,
            where: it.where,
            target: Number.isNaN(share) ? null : share,
            ...(Number.isNaN(share) && { why: 'every weight is 0: NOBODY serves' }),
          };
        });
      } catch (error) {
        if (!(error instanceof MigrateError)) throw error;
        return [unread(route, error.what)];
      }
    }),
  );
  return lists.flat();
}
