import type { Workload } from './args.js';
import { MigrateError } from './errors.js';
import type { Inventory } from './inventory.js';
import { totalOf, unfit, workloadsBehind } from './mcs.js';
import type { Side } from './ports.js';
import type { Ask, Choice, Route, Unreachable } from './router.js';
import type { EntryOf } from './routes.js';

/**
 * Shares by Flomesh's GlobalTrafficPolicy. Under ActiveActive every pod of the caller's own cluster weighs 100, and the other cluster as a
 * whole what its target says: so a share depends on how many pods there are, and a weight of 0 is not nothing but 100.
 *
 * @source flomesh-io/fsm:pkg/sidecar/v1/providers/pipy/repo/policy.go (rebalancedOutboundClusters)
 */

export interface FsmRoute extends Route {
  router: 'fsm';
  /** what runs the source's pods: at 0 they leave all to the target */
  workloads: Workload[];
  /** of the export, without a slash at its end */
  path: string;
  /** of Flomesh's kinds on each side */
  groups: Record<Side, string>;
  /** `region/zone/group/name` of the target as the source's Flomesh knows it; found in the import where it isn't said */
  clusterKey?: string;
}

export interface FsmSetting {
  lbType: 'Locality' | 'ActiveActive';
  /** of the target, under ActiveActive */
  weight?: number;
  /** on the source, in the order of the route's workloads */
  replicas: number[];
}

/** What a pod of the caller's own cluster weighs. */
export const POD_WEIGHT = 100;
/** int32 in the definition */
export const MAX_WEIGHT = 2_147_483_647;

export function fsmRoutes(entries: readonly EntryOf<'fsm'>[], inventory: Inventory): FsmRoute[] {
  if (entries.length === 0) return [];
  const groups = { source: groupOn('source', inventory), target: groupOn('target', inventory) };
  return entries.map((it) => {
    const workloads = workloadsBehind(it.service, inventory.source);
    if (totalOf(workloads.map((one) => one.replicas)) === 0)
      throw unfit(
        it.service,
        'the source runs no Deployment or StatefulSet behind it',
        'Start it on the source first, or leave the Service out: nobody calls it.',
      );
    return {
      router: 'fsm',
      service: it.service,
      workloads,
      groups,
      path: (it.path ?? `/migrate/${it.service}`).replace(/\/$/, ''),
      ...(it.clusterKey !== undefined && { clusterKey: it.clusterKey }),
      ...(it.wave !== undefined && { wave: it.wave }),
      ...(it.steps && { steps: it.steps }),
    };
  });
}

/**
 * It was flomesh.io up to the summer of 2023.
 * @source flomesh-io/fsm:cmd/fsm-bootstrap/crds; flomesh-io/ErieCanal:charts/erie-canal/apis
 */
const GROUPS = ['multicluster.flomesh.io', 'flomesh.io'];

function groupOn(side: Side, inventory: Inventory): string {
  const { served } = inventory[side];
  const found = GROUPS.find((group) => served.some((it) => it.group === group && it.kind === 'GlobalTrafficPolicy'));
  if (found !== undefined) return found;
  throw new MigrateError('FSM_MISSING', {
    what: `The ${side} does not serve Flomesh's GlobalTrafficPolicy.`,
    why: `Neither ${GROUPS.join(' nor ')} is there.`,
    fix: 'Install Flomesh on both clusters and join them, or move these Services by another router.',
  });
}

const shareOf = (weight: number, pods: number) => (100 * weight) / (weight + POD_WEIGHT * pods);

/**
 * Nothing is Locality, everything is no pod left in the caller's cluster; between them a weight for the pods that are there.
 *
 * @param pods  ready on the source; those that its replicas will bring where there are none
 */
export function chooseFsm(
  { workloads }: FsmRoute,
  { asked, tolerance }: Ask,
  from: FsmSetting,
  pods: number,
): Choice<FsmSetting> | Unreachable {
  const full = workloads.map((it) => it.replicas);
  const local = pods > 0 ? pods : totalOf(full);
  if (asked >= 100) {
    const setting = { ...from, replicas: full.map(() => 0) };
    return { setting, reachable: 100, order: orderOf(from, setting), how: 'source 0 pods, target alone' };
  }
  const replicas = totalOf(from.replicas) === 0 ? full : from.replicas;
  if (asked <= 0) {
    const setting: FsmSetting = { lbType: 'Locality', replicas };
    return { setting, reachable: 0, order: orderOf(from, setting), how: 'Locality: the source’s own pods alone' };
  }
  const exact = (POD_WEIGHT * local * asked) / (100 - asked);
  const weight = Math.min(MAX_WEIGHT, Math.max(1, Math.round(exact)));
  const reachable = shareOf(weight, local);
  if (Math.abs(reachable - asked) > tolerance + 1e-9) {
    return {
      below: weight > exact ? 0 : reachable,
      above: weight > exact ? reachable : 100,
      why: `The target's weight is a whole number from 1 to ${MAX_WEIGHT} beside ${POD_WEIGHT} for each of ${local} pods`,
      fix: 'Ask for one of the nearest, or raise `traffic.tolerance`.',
    };
  }
  const setting: FsmSetting = { lbType: 'ActiveActive', weight, replicas };
  return {
    setting,
    reachable,
    order: orderOf(from, setting),
    how: `target ${weight} beside ${POD_WEIGHT} for each of ${local} pods`,
  };
}

/** It is all written on the source's side: its policy, its replicas. */
const orderOf = (from: FsmSetting, to: FsmSetting): Choice<FsmSetting>['order'] =>
  from.lbType === to.lbType && from.weight === to.weight && from.replicas.join() === to.replicas.join()
    ? []
    : ['source'];
