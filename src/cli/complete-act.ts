import type { ClbSetting } from '../clb.js';
import type { DatabaseArgs } from '../databases.js';
import type { RunOutcome } from '../engine.js';
import { MigrateError } from '../errors.js';
import type { Plan } from '../plan.js';
import { SIDES, type World } from '../ports.js';
import { routers } from '../routers/index.js';
import { run } from '../run.js';
import { routerOf } from '../traffic.js';
import type { Act, CommonOptions, Io } from './act.js';
import { acting, mustBePinned, openEntry } from './acting.js';
import { routesOf } from './ending.js';
import type { Session } from './session.js';

export interface CompleteOptions extends CommonOptions {
  /** both sides stay, with the weights that they have */
  keepBoth?: boolean;
}

export const completeAct: Act<CompleteOptions> = (options, io) =>
  acting(options, io, async ({ world, session, engine }) => {
    const plan = session.plan();
    if (options.keepBoth) return await keepBoth(session, plan, world, io);
    const open =
      plan?.steps.filter((it) => it.phase !== 'complete' && session.journal.record(it.id)?.state !== 'done') ?? [];
    if (!plan || open.length > 0) {
      throw new MigrateError('NOT_COMPLETE', {
        what: plan
          ? `${open.length} steps are not done: ${open
              .slice(0, 5)
              .map((it) => it.id)
              .join(', ')}.`
          : 'No run of this playbook is there to complete.',
        why: 'Completing retires the source, which only makes sense once the target serves everything.',
        fix: plan ? 'Finish with `migrate run`, then soak, then complete.' : 'Start with `migrate run`.',
      });
    }
    await mustBePinned(plan, world);
    if (
      !options.yes &&
      !(await io.confirm(
        `This is the point of no return: the source leaves the load balancer and its workloads stop${lettingGo(plan)}. Complete?`,
      ))
    )
      return { plan, outcome: { outcome: 'interrupted' } };
    openEntry(session.journal, 'complete', plan, io.version);
    io.emit({
      type: 'started',
      command: 'complete',
      name: plan.name,
      digest: plan.digest,
      steps: plan.steps.filter((it) => it.phase === 'complete').length,
      source: plan.pins.source.context,
      target: plan.pins.target.context,
      resumed: false,
    });
    const outcome = await run(plan, ['complete'], engine);
    if (outcome.outcome === 'done') session.journal.write({ type: 'completed' });
    return { plan, outcome };
  });

const lettingGo = ({ steps }: Plan): string => {
  const names = steps.flatMap((it) => (it.kind === 'database-retire' ? (it.args as DatabaseArgs).database.name : []));
  return names.length === 0 ? '' : `, and the old servers of ${names.join(', ')} copy no more`;
};

/**
 * Two clusters for good, at whatever share they stand: nothing is written, and the run counts as complete.
 *
 * @throws MigrateError NOT_COMPLETE  no share was moved, or a step is half done
 */
async function keepBoth(
  { journal }: Session,
  plan: Plan | undefined,
  world: World,
  io: Io,
): Promise<{ plan?: Plan; outcome: RunOutcome }> {
  const records = journal.records();
  const half = records.filter((it) => it.state !== 'done').map((it) => it.step.id);
  if (half.length > 0 || !records.some((it) => it.step.kind === 'shift'))
    throw new MigrateError('NOT_COMPLETE', {
      what: half.length > 0 ? `Steps are half done: ${half.join(', ')}.` : 'No share was moved yet.',
      why: 'Both sides can stay as they are once they are somewhere on purpose.',
      fix:
        half.length > 0
          ? 'Finish them: `migrate run`, or go back: `migrate rollback`.'
          : 'Move it first: `migrate shift --to N`.',
    });
  for (const route of routesOf(journal)) {
    const { setting } = await routerOf(route, routers).read(route, world);
    if (SIDES.some((it) => (setting as Partial<ClbSetting>)[it]?.sum !== undefined))
      io.emit({
        type: 'warning',
        what: `Members of ${route.service} are weighed one by one: those that a scale-out brings later get what their controller works out.`,
        fix: 'After a scale-out: `migrate shift --to` the same share once more; or take a share that the Services can give.',
      });
  }
  journal.write({ type: 'completed', both: true });
  return { ...(plan && { plan }), outcome: { outcome: 'done' } };
}
