import { MigrateError } from '../errors.js';
import { about } from '../objects.js';
import type { ObjectRef, Side } from '../ports.js';
import type { AnyRouter, Route } from '../router.js';
import type { Debt, StepContext } from '../step.js';
import { until } from '../wait.js';
import { hindrances, type Need } from './capacity.js';
import { behind, SCALER } from './room.js';

/** The minimum of an autoscaler, as it was and as we raise it. */
export interface Prescaled {
  side: Side;
  scaler: ObjectRef;
  /** `spec.minReplicas`; null where it was not given */
  was: number | null;
  to: number;
}

const DEADLINE_MS = 15 * 60_000;

/**
 * An autoscaler acts only once the traffic is there, so the first peak would meet too few pods: its minimum is raised before the share, and put
 * back once the load holds the pods by itself. Only looks.
 *
 * @returns undefined where nothing has to be raised, or nothing scales the workload
 * @throws MigrateError CAPACITY_SHORT  the autoscaler's maximum is below the need
 */
export async function prescaleFor(route: Route, need: Need, { world }: StepContext): Promise<Prescaled | undefined> {
  if (need.ready >= need.needed) return undefined;
  const { scaler } = await behind(world[need.side], route.service);
  if (!scaler) return undefined;
  const most = Number(scaler['spec']?.maxReplicas ?? 0);
  if (most < need.needed) {
    const because = await hindrances(route, need, world);
    throw new MigrateError('CAPACITY_SHORT', {
      what: `${about(SCALER, scaler.metadata)} of the ${need.side} stops at ${most}; the share needs ${need.needed} ready pods, ${need.ready} are there.`,
      why: `A share must be carried before it is given; ${because.join(', ')}.`,
      fix: `Raise its maxReplicas to ${need.needed} or more, then run again.`,
    });
  }
  const min = scaler['spec']?.minReplicas as number | undefined;
  const { namespace, name } = scaler.metadata;
  return {
    side: need.side,
    scaler: { kind: SCALER, name, ...(namespace !== undefined && { namespace }) },
    was: min ?? null,
    to: Math.max(need.needed, min ?? 1),
  };
}

/** Safe to call again. @throws MigrateError CAPACITY_SHORT  the pods did not become ready in time */
export async function raise(
  { side, scaler, to }: Prescaled,
  router: AnyRouter,
  route: Route,
  context: StepContext,
): Promise<void> {
  const { world, progress } = context;
  const cluster = world[side];
  const now = await cluster.get(scaler);
  if (Number(now?.['spec']?.minReplicas ?? 1) < to) {
    progress(`${about(scaler.kind, scaler)} on the ${side}: at least ${to}`);
    await cluster.patch(scaler, { spec: { minReplicas: to } });
  }
  await until(
    context,
    {
      code: 'CAPACITY_SHORT',
      deadlineMs: DEADLINE_MS,
      subject: `Pods behind ${route.service} on the ${side}`,
      why: 'The minimum of their autoscaler was raised, and they do not become ready.',
      fix: `Look at them on the ${side} (kubectl describe pod), then run again.`,
    },
    async () => {
      const ready = await router.ready(route, side, world);
      return ready >= to ? undefined : `${ready} of ${to} ready`;
    },
  );
}

/**
 * Puts the minimum back exactly. One that somebody has changed since is theirs and stays; a dead target is owed.
 */
export async function putBack({ side, scaler, was, to }: Prescaled, { world, emit }: StepContext): Promise<Debt[]> {
  const cluster = world[side];
  try {
    const now = await cluster.get(scaler);
    if (!now) return [];
    const min = (now['spec']?.minReplicas as number | undefined) ?? null;
    if (min === was) return [];
    if (min !== to) {
      emit({
        type: 'warning',
        what: `${about(scaler.kind, scaler)} on the ${side} has a minimum of ${min ?? 'none'} now, neither ours (${to}) nor the one before (${was ?? 'none'}): it stays.`,
      });
      return [];
    }
    await cluster.patch(scaler, { spec: { minReplicas: was } });
    return [];
  } catch (error) {
    if (!(error instanceof MigrateError) || error.code !== 'KUBE_UNREACHABLE' || side === 'source') throw error;
    return [
      {
        side,
        what: `The target's API server does not answer: ${about(scaler.kind, scaler)} keeps a minimum of ${to} there; before it was ${was ?? 'none'}.`,
      },
    ];
  }
}
