import type { Engine } from '../engine.js';
import { deadCluster } from '../kube/nobody.js';
import { undoRecord } from '../rollback.js';
import { routers } from '../routers/index.js';
import { run } from '../run.js';
import { points } from '../words.js';
import type { Act, CommonOptions, Io } from './act.js';
import { acting, approveSteps, openEntry, type Acting } from './acting.js';
import { look, mustBeReady, preflightEvent } from './looking.js';
import { asksFor, shiftPlan } from './shifting.js';
import { routesPastSource } from './source-down.js';
import { routesOf as routesOfPlaybook } from '../traffic.js';

export interface ShiftOptions extends CommonOptions {
  /** percent */
  to: number;
  /** `namespace/name`; all of the playbook by default */
  service?: string;
  /** takes the playbook's steps on the way */
  stepwise?: boolean;
  /** ids of steps that may go on */
  approve?: string[];
  /** API server or controller of the source are dead */
  sourceDown?: boolean;
}

export const shiftAct: Act<ShiftOptions> = (options, io) =>
  acting(
    options,
    io,
    async (acting) => {
      const { world, session, engine } = acting;
      const known = options.sourceDown
        ? await knownPastSource(options, acting, io)
        : await knownNow(options, acting, io);
      const plan = await shiftPlan(options, known, session.journal, world);
      if (plan.steps.length === 0) return { plan, outcome: { outcome: 'done' } };
      if (
        !options.yes &&
        !(await io.confirm(
          `Move ${plan.steps.length === 1 ? 'one step' : `${plan.steps.length} steps`} to ${points(options.to)} %?`,
        ))
      )
        return { plan, outcome: { outcome: 'interrupted' } };
      openEntry(session.journal, 'shift', plan, io.version);
      approveSteps(options.approve, plan, session.journal);
      io.emit({
        type: 'started',
        command: 'shift',
        name: plan.name,
        digest: plan.digest,
        steps: plan.steps.length,
        source: plan.pins.source.context,
        target: plan.pins.target.context,
        resumed: false,
      });
      return { plan, outcome: await run(plan, ['traffic'], engine) };
    },
    undefined,
    options.sourceDown ? { source: deadCluster('source') } : {},
  );

type Known = Parameters<typeof shiftPlan>[1];

/** All checks of the traffic first. */
async function knownNow(options: ShiftOptions, { world, engine, counter }: Acting, io: Io): Promise<Known> {
  const { inventory, report } = await look({ ...options.playbook, data: undefined }, world);
  io.emit(preflightEvent({ inventory, report }, 0, counter.reads));
  mustBeReady(report);
  await dropHalfShifts(options.to, engine);
  const pin = ({ context, uid, version }: typeof inventory.source) => ({ context, uid, version });
  return {
    all: routesOfPlaybook(options.playbook, inventory, routers),
    pins: { source: pin(inventory.source), target: pin(inventory.target) },
    takenAt: inventory.takenAt,
  };
}

/** No check can be asked of a source that is dead; the target's capacity is, in the step itself. */
async function knownPastSource({ playbook }: ShiftOptions, { world, session }: Acting, io: Io): Promise<Known> {
  io.emit({
    type: 'warning',
    what: 'The source is taken for dead: no preflight, and its members are weighed at the load balancer, past its controller.',
    fix: 'When it answers again, its controller would write the old weights: see the last lines.',
  });
  const { uid, version } = await world.target.identify();
  const plan = session.plan();
  return {
    all: await routesPastSource(playbook, { journal: session.journal, plan }, world),
    pins: {
      source: plan?.pins.source ?? { context: playbook.source.context, uid: '', version: '' },
      target: { context: playbook.target.context, uid, version },
    },
    takenAt: new Date(world.clock.now()).toISOString(),
  };
}

/** A shift to another share that stopped half way goes back to where it began, before a new one is worked out from there. */
async function dropHalfShifts(to: number, engine: Engine): Promise<void> {
  for (const record of engine.journal.records().reverse()) {
    if (record.state !== 'done' && record.step.kind === 'shift' && !asksFor(record.step, to))
      await undoRecord(record, engine);
  }
}
