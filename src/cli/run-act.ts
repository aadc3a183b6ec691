import { MigrateError } from '../errors.js';
import type { Emit } from '../events.js';
import type { Plan } from '../plan.js';
import type { World } from '../ports.js';
import { mustOweNothing, run } from '../run.js';
import type { Phase, Step } from '../step.js';
import { count } from '../words.js';
import type { Act, CommonOptions, Counter } from './act.js';
import { acting, approveSteps, mustBePinned, openEntry } from './acting.js';
import { look, mustBeReady, preflightEvent } from './looking.js';
import type { Session } from './session.js';

export interface RunOptions extends CommonOptions {
  /** made by `plan -o` and reviewed; the world must not have moved since */
  plan?: Plan;
  phases?: Phase[];
  /** ids of steps that may go on */
  approve?: string[];
}

export const runAct: Act<RunOptions> = (options, io) =>
  acting(options, io, async ({ world, session, engine, counter }) => {
    const phases = options.phases ?? ['data', 'traffic'];
    const resumed = session.journal.records().length > 0;
    mustOweNothing(session.journal);
    const plan = resumed ? resumedPlan(session, options.plan) : await freshPlan(options, world, io.emit, counter);
    await mustBePinned(plan, world);
    const todo = plan.steps.filter(
      (it) => phases.includes(it.phase) && session.journal.record(it.id)?.state !== 'done',
    );
    if (todo.length === 0) return { plan, outcome: { outcome: 'done' } };
    if (
      !options.yes &&
      !(await io.confirm(
        `${resumed ? 'Go on with' : 'Start'} ${count(todo.length, 'step')} from ${plan.pins.source.context} to ${plan.pins.target.context}?${asksAgain(todo)}`,
      ))
    )
      return { plan, outcome: { outcome: 'interrupted' } };
    if (!resumed) session.savePlan(plan);
    openEntry(session.journal, 'run', plan, io.version);
    approveSteps(options.approve, plan, session.journal);
    io.emit({
      type: 'started',
      command: 'run',
      name: plan.name,
      digest: plan.digest,
      steps: todo.length,
      source: plan.pins.source.context,
      target: plan.pins.target.context,
      resumed,
    });
    return { plan, outcome: await run(plan, phases, engine) };
  });

/** Points of no return are asked about one by one, when they come. */
const asksAgain = (steps: readonly Step[]): string => {
  const marked = steps.filter((it) => it.noReturn !== undefined && it.phase !== 'complete');
  return marked.length === 0
    ? ''
    : ` ${count(marked.length, 'point')} of no return ${marked.length === 1 ? 'asks' : 'ask'} again: ${marked.map((it) => it.id).join(', ')}.`;
};

function resumedPlan(session: Session, given: Plan | undefined): Plan {
  const plan = session.plan();
  if (!plan) {
    throw new MigrateError('PLAN_STALE', {
      what: 'The journal has steps, but their plan is not beside it.',
      why: 'They were made by `migrate shift`, or the file was deleted.',
      fix: 'Undo them with `migrate rollback`, then run.',
    });
  }
  if (given && given.digest !== plan.digest) {
    throw new MigrateError('PLAN_STALE', {
      what: `A run of plan ${plan.digest.slice(0, 8)} is under way; you gave ${given.digest.slice(0, 8)}.`,
      why: 'One playbook has one run at a time.',
      fix: 'Go on with `migrate run` without a plan, or undo it first: `migrate rollback`.',
    });
  }
  return plan;
}

/** All checks before the first write, and the plan that was reviewed only if the world is still as it was. */
async function freshPlan(options: RunOptions, world: World, emit: Emit, counter: Counter): Promise<Plan> {
  const began = performance.now();
  const looked = await look(options.playbook, world);
  emit(preflightEvent(looked, performance.now() - began, counter.reads));
  if (looked.planError) throw looked.planError;
  mustBeReady(looked.report);
  const plan = looked.plan;
  if (!plan) throw new Error('a look without error has a plan');
  if (options.plan && options.plan.digest !== plan.digest) {
    throw new MigrateError('PLAN_STALE', {
      what: `The world is not as it was when plan ${options.plan.digest.slice(0, 8)} was made: ${moved(options.plan, plan)}.`,
      why: 'What was reviewed is not what would be done.',
      fix: 'Make and review a new plan: `migrate plan -o plan.json`.',
    });
  }
  return plan;
}

/** What differs between two plans, in words. */
function moved(was: Plan, is: Plan): string {
  const ids = (plan: Plan) => plan.steps.map((it) => it.id);
  const gone = ids(was).filter((it) => !ids(is).includes(it));
  const come = ids(is).filter((it) => !ids(was).includes(it));
  const changed = is.steps
    .filter((it) => was.steps.some((old) => old.id === it.id && JSON.stringify(old) !== JSON.stringify(it)))
    .map((it) => it.id);
  const parts = [
    gone.length > 0 && `no longer ${gone.join(', ')}`,
    come.length > 0 && `now also ${come.join(', ')}`,
    changed.length > 0 && `other arguments for ${changed.join(', ')}`,
  ].filter(Boolean);
  return parts.join('; ') || 'the playbook or a cluster changed';
}
