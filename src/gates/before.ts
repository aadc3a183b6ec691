import { MigrateError } from '../errors.js';
import { isCapacity, isPrometheus, type Gate } from '../gates.js';
import type { AnyRouter, Route } from '../router.js';
import type { StepContext } from '../step.js';
import { mustBeApproved } from './approve.js';
import { mustCarry, needOf, needText } from './capacity.js';
import { prescaleFor, type Prescaled } from './prescale.js';
import { prometheusReady } from './prometheus.js';

/**
 * What gates ask before a share is written: that figures can be had, that the side that grows can carry it, and that somebody who must say yes
 * has. It only reads.
 *
 * @returns the autoscaler's minimum that must be raised first, where the playbook lets it be
 * @throws MigrateError GATE_UNREADY, CAPACITY_SHORT, APPROVAL_NEEDED
 */
export async function askedBefore(
  gates: readonly Gate[],
  { router, route, from, to }: { router: AnyRouter; route: Route; from: number; to: number },
  context: StepContext,
): Promise<Prescaled | undefined> {
  const { world, emit, step } = context;
  for (const gate of gates) {
    const wrong = isPrometheus(gate) ? await prometheusReady(gate, world) : undefined;
    if (wrong === undefined) continue;
    throw new MigrateError('GATE_UNREADY', {
      what: `Gate prometheus can't watch ${route.service}: ${wrong}.`,
      why: 'A share is not raised while nobody could see what comes of it.',
      fix: 'Mend the query, the address or the rights; try the query in Prometheus itself.',
    });
  }
  const gate = gates.find(isCapacity);
  let scaled: Prescaled | undefined;
  // Going down is the way out of trouble: it is held to what the source can carry only where the playbook asks for that.
  if (to > from || gate) {
    const need = await needOf(router, route, { from, to, headroom: gate?.capacity ?? 0 }, world);
    if (gate?.prescale) scaled = await prescaleFor(route, need, context);
    // With the source dead some pods are better than none.
    if (route.sourceDown && need.ready > 0 && need.ready < need.needed)
      emit({
        type: 'warning',
        what: `${needText(need, to)}: it may be too much for them.`,
        fix: "Scale the target's workload up now.",
      });
    else if (!scaled) await mustCarry(route, need, to, world);
    const why = `${needText(need, to)}${scaled ? `; its autoscaler's minimum goes from ${scaled.was ?? 'none'} to ${scaled.to}` : ''}`;
    const evidence = { asked: `ready pods of ${route.service} on the ${need.side}`, values: [need.ready] };
    emit({ type: 'gate', step: step.id, gate: 'capacity', state: scaled ? 'wait' : 'pass', why, evidence });
  }
  await mustBeApproved(gates, { service: route.service, asked: to }, context);
  return scaled;
}
