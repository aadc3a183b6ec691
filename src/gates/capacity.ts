import { MigrateError } from '../errors.js';
import { isCapacity, type CapacityGate, type Gate } from '../gates.js';
import { rightOn } from '../objects.js';
import type { Right, Side, World } from '../ports.js';
import type { AnyRouter, Route } from '../router.js';
import { count, points } from '../words.js';
import { behind, limits, SCALER, type Behind } from './room.js';
import type { Held, Seen, Watch } from './watch.js';

/** What a share asks of the side that grows by it, in ready pods. */
export interface Need {
  side: Side;
  ready: number;
  needed: number;
}

/**
 * Going up the target needs as many ready pods as the source has, times the share; going down the source needs as many as the target has,
 * times what is left for it. Nobody knows what a pod of either side carries, so both are taken for equal.
 *
 * @param from      percent that the target has now
 * @param headroom  on top, 0.2 for a fifth more
 */
export async function needOf(
  router: AnyRouter,
  route: Route,
  { from, to, headroom = 0 }: { from: number; to: number; headroom?: number },
  world: World,
): Promise<Need> {
  const [source, target] = await Promise.all([
    router.ready(route, 'source', world),
    router.ready(route, 'target', world),
  ]);
  const side = to >= from ? 'target' : 'source';
  const share = side === 'target' ? to : 100 - to;
  const base = side === 'target' ? source : target;
  // Half a pod is a pod, but 4.000000001 are four.
  const needed = share === 0 ? 0 : Math.max(1, Math.ceil(((base * share) / 100) * (1 + headroom) - 1e-9));
  return { side, ready: side === 'target' ? target : source, needed };
}

/** `12 of 12 ready on the target, 50 % needs 10` */
export const needText = ({ side, ready, needed }: Need, to: number): string =>
  `${ready} ready on the ${side}, ${points(side === 'target' ? to : 100 - to)} % there needs ${needed}`;

/** The reasons are a courtesy: an identity that may not look for them still hears that the pods are too few. */
function nothingSeen(error: unknown): Behind {
  if (error instanceof MigrateError && error.code === 'KUBE_FORBIDDEN') return {};
  throw error;
}

/** What gate `capacity` reads on the side that grows, and writes where it may raise an autoscaler. */
export function capacityRights(gates: readonly Gate[]): Right[] {
  const gate = gates.find(isCapacity);
  if (!gate) return [];
  return [
    ...['Deployment.apps', 'StatefulSet.apps', SCALER].map((kind) => rightOn('list', kind)),
    ...(gate.prescale ? ['get', 'patch'].map((verb) => rightOn(verb, SCALER)) : []),
  ];
}

/** Why a side can't have what it needs: its autoscaler's maximum, quotas, room on the nodes. */
export async function hindrances(route: Route, { side, ready, needed }: Need, world: World): Promise<string[]> {
  const { workload, scaler } = await behind(world[side], route.service).catch(nothingSeen);
  if (!workload) return [];
  const most = Number(scaler?.['spec']?.maxReplicas ?? Infinity);
  return [
    ...(most < needed ? [`its autoscaler stops at ${most}`] : []),
    ...(await limits(world[side], workload, needed - ready)),
  ];
}

/** @throws MigrateError CAPACITY_SHORT */
export async function mustCarry(route: Route, need: Need, to: number, world: World): Promise<void> {
  if (need.ready >= need.needed) return;
  const { side, ready, needed } = need;
  const because = await hindrances(route, need, world);
  throw new MigrateError('CAPACITY_SHORT', {
    what: `The ${side} has ${count(ready, 'ready pod')} behind ${route.service}; ${points(side === 'target' ? to : 100 - to)} % there needs ${needed}.`,
    why: `A share must be carried before it is given${because.length > 0 ? `; ${because.join(', ')}` : ''}.`,
    fix:
      side === 'target'
        ? `Scale the target's workload to ${needed} or more and wait until they are ready.`
        : `Scale the source's workload to ${needed} or more; \`migrate rollback\` goes back all the same, as long as one pod serves there.`,
  });
}

/** During a hold: whether the next share could be carried, asked again and again, for pods come and go. */
export function watchCapacity(gate: CapacityGate, { capacity }: Pick<Held, 'capacity'>): Watch {
  let last: Seen = { state: 'wait', why: 'not looked yet', evidence: { asked: 'ready pods' } };
  return {
    everyMs: gate.every,
    async look() {
      last = (await capacity?.(gate)) ?? { ...last, state: 'pass', why: 'nothing more is to come' };
    },
    seen: () => last,
  };
}

/** What `watchCapacity` asks: the share after this one, on the side that grows by it. */
export async function capacitySeen(
  { capacity: headroom, prescale }: CapacityGate,
  router: AnyRouter,
  route: Route,
  shares: { from: number; to: number },
  world: World,
): Promise<Seen> {
  const need = await needOf(router, route, { ...shares, headroom }, world);
  const enough = need.ready >= need.needed;
  const because = enough ? [] : await hindrances(route, need, world);
  // What the next step will raise by itself is not missing now, unless something stands in its way.
  const raised =
    !enough && prescale && because.length === 0 && (await behind(world[need.side], route.service)).scaler !== undefined;
  return {
    state: enough || raised ? 'pass' : 'wait',
    why: [needText(need, shares.to), ...because, ...(raised ? ['its autoscaler will be raised first'] : [])].join('; '),
    evidence: {
      asked: `ready pods of ${route.service} on the ${need.side}`,
      values: [need.ready],
      missing: Math.max(0, need.needed - need.ready),
    },
  };
}
