import type { Workload } from './args.js';
import { MigrateError } from './errors.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import { pathOf, splitPath } from './objects.js';
import type { Playbook } from './playbook.js';
import { SIDES, type Kind, type KubeObject, type Side } from './ports.js';
import type { Ask, Choice, Route, Unreachable } from './router.js';
import { entriesOf, type EntryOf } from './routes.js';
import { count } from './words.js';

/**
 * Shares of a Service that both clusters serve together: callers go to every ready pod alike, wherever it runs, so the share is the ratio of
 * ready pods, and moves by whole pods only.
 */

export interface McsRoute extends Route {
  router: 'mcs';
  /** cluster ids, by which the Fleet's objects name them */
  clusters: Record<Side, string>;
  /** what runs the pods behind the Service, with the replicas that the source had */
  workloads: Workload[];
}

/** Replicas of each workload of the route, in its order. */
export type McsSetting = Record<Side, number[]>;

export function mcsRoutes(entries: readonly EntryOf<'mcs'>[], playbook: Playbook, inventory: Inventory): McsRoute[] {
  return entries.map((it) => {
    const workloads = workloadsBehind(it.service, inventory.source);
    for (const side of SIDES) {
      if (serviceIn(it.service, inventory[side])?.['spec']?.type !== 'LoadBalancer') continue;
      throw unfit(
        it.service,
        `on the ${side} it is of type LoadBalancer, and its cloud controller manager takes every endpoint of it for one of its own cluster`,
        'Shift it by its load balancer (clb, nlb), or put a ClusterIP Service of another name beside it for callers inside.',
      );
    }
    if (totalOf(workloads.map((one) => one.replicas)) === 0) {
      throw unfit(
        it.service,
        'the source runs no Deployment or StatefulSet behind it',
        'Start it on the source first, or leave the Service out: nobody calls it.',
      );
    }
    return {
      router: 'mcs',
      service: it.service,
      clusters: { source: idOf('source', playbook, inventory), target: idOf('target', playbook, inventory) },
      workloads,
      steps: it.steps,
      ...(it.wave !== undefined && { wave: it.wave }),
    };
  });
}

export const unfit = (service: string, why: string, fix: string) =>
  new MigrateError('PLAN_SERVICE_UNFIT', {
    what: `Service ${service} can't be shifted by a MultiClusterService: ${why}.`,
    why: 'Its share is the ratio of the ready pods on both sides.',
    fix,
  });

/** Said in the playbook, else as the cluster's own settings have it. */
function idOf(side: Side, playbook: Playbook, inventory: Inventory): string {
  const config = (inventory[side].objects['ConfigMap'] ?? []).find(
    (it) => pathOf(it.metadata) === 'kube-system/cloud-config',
  );
  const found =
    playbook[side].clusterId ??
    /"clusterID"\s*:\s*"([^"]+)"/i.exec(String(config?.['data']?.['cloud-config.conf'] ?? ''))?.[1];
  if (found !== undefined) return found;
  throw new MigrateError('PLAN_NOT_SEEN', {
    what: `The id of the ${side} is not known.`,
    why: 'A MultiClusterService names its clusters by their ids.',
    fix: `Say it in the playbook: \`${side}: { context: …, clusterId: c… }\`; the console shows it.`,
  });
}

const KINDS: readonly Kind[] = ['Deployment.apps', 'StatefulSet.apps'];

const serviceIn = (service: string, side: ClusterInventory) =>
  (side.objects['Service'] ?? []).find((it) => pathOf(it.metadata) === service);

/** Whose pods a Service selects. */
export function workloadsBehind(service: string, side: ClusterInventory): Workload[] {
  const found = serviceIn(service, side);
  const wanted = Object.entries((found?.['spec']?.selector ?? {}) as Record<string, string>);
  if (!found || wanted.length === 0) return [];
  const { namespace } = splitPath(service);
  return KINDS.flatMap((kind) =>
    (side.objects[kind] ?? [])
      .filter((it) => it.metadata.namespace === namespace && selects(wanted, it))
      .map((it) => ({ kind, namespace, name: it.metadata.name, replicas: Number(it['spec']?.replicas ?? 1) })),
  );
}

const selects = (wanted: [string, string][], { spec }: KubeObject) =>
  wanted.every(([key, value]) => spec?.template?.metadata?.labels?.[key] === value);

/** `Deployment.apps shop/cart`: workloads that come up on the target with their Service's share, and no earlier. */
export const raisedByShares = (playbook: Playbook, inventory: Inventory): ReadonlySet<string> =>
  new Set(
    entriesOf('mcs', playbook)
      .flatMap((it) => workloadsBehind(it.service, inventory.source))
      .map((it) => `${it.kind} ${pathOf(it)}`),
  );

export const totalOf = (replicas: readonly number[]): number => replicas.reduce((sum, it) => sum + it, 0);

/**
 * First the target comes up pod by pod beside a whole source, then the source goes down beside a whole target: at least as many pods as
 * there were serve at any time.
 */
export function chooseReplicas(
  { workloads }: Pick<McsRoute, 'workloads'>,
  { asked, tolerance }: Ask,
  from: McsSetting,
): Choice<McsSetting> | Unreachable {
  const full = workloads.map((it) => it.replicas);
  const total = totalOf(full);
  const ways = Array.from({ length: 2 * total + 1 }, (_, pods) => {
    const target = Math.min(pods, total);
    const source = total - Math.max(0, pods - total);
    return { source, target, share: (100 * target) / (source + target) };
  });
  const best = ways.reduce((near, it) => (Math.abs(it.share - asked) < Math.abs(near.share - asked) ? it : near));
  if (Math.abs(best.share - asked) > tolerance + 1e-9) {
    const below = ways.findLast((it) => it.share <= asked);
    const above = ways.find((it) => it.share >= asked);
    return {
      ...(below && { below: below.share }),
      ...(above && { above: above.share }),
      why: `A share is a ratio of whole pods, and the source has ${count(total, 'pod')}`,
      fix: 'Ask for one of the nearest in the entry’s `steps`, or raise `traffic.tolerance`.',
    };
  }
  const setting = { source: spread(best.source, full), target: spread(best.target, full) };
  const rises =
    setting.target.some((it, index) => it > (from.target[index] ?? 0)) ||
    totalOf(setting.source) < totalOf(from.source);
  const changed = (side: Side) => setting[side].some((it, index) => it !== (from[side][index] ?? 0));
  const order: Side[] = rises ? ['target', 'source'] : ['source', 'target'];
  return {
    setting,
    reachable: best.share,
    order: order.filter(changed),
    how: `${best.target} of ${best.source + best.target} pods`,
  };
}

/** As many in all, divided as the source's were. */
export function spread(pods: number, full: readonly number[]): number[] {
  const total = totalOf(full);
  const exact = full.map((it) => (pods * it) / total);
  const parts = exact.map(Math.floor);
  const byRest = exact
    .map((it, index) => ({ index, rest: it - Math.floor(it) }))
    .toSorted((a, b) => b.rest - a.rest || a.index - b.index);
  for (const { index } of byRest) if (totalOf(parts) < pods) parts[index] = (parts[index] ?? 0) + 1;
  return parts;
}
