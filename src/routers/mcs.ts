import type { Workload } from '../args.js';
import { isMigrateError, MigrateError } from '../errors.js';
import { chooseReplicas, mcsRoutes, totalOf, type McsRoute, type McsSetting } from '../mcs.js';
import { pathOf, readyEndpoints, rightOn } from '../objects.js';
import { otherSide, SIDES, type Cluster, type KubeObject, type Side, type World } from '../ports.js';
import type { Reading, Router, Split } from '../router.js';
import type { Debt, StepContext } from '../step.js';
import { until } from '../wait.js';
import { count } from '../words.js';
import { join, leave } from './mcs-join.js';
import { multiClusterService, putProviders } from './mcs-object.js';
import { slicesOf, SLICE_RIGHTS } from './services.js';

/**
 * Splits connections between clusters by how many pods are ready on each side: a MultiClusterService brings the endpoints of either
 * cluster into the other, and kube-proxy sends to all of them alike. What proves a share are the slices in both clusters.
 *
 * @source vendor's pages of ACK One multi-cluster Services and of seamless migration between clusters;
 * karmada-io/karmada:pkg/controllers/multiclusterservice/endpointslice_dispatch_controller.go
 */
export const mcs: Router<McsRoute, McsSetting> = {
  name: 'mcs',
  traits: () => ({
    unit: 'endpoints',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    zero: 'scale',
    splits: 'connections',
    proof: 'endpoints',
    bitesMs: BITES_MS,
  }),

  routes: (entries, playbook, inventory) =>
    mcsRoutes(
      entries.filter((it) => it.router === 'mcs'),
      playbook,
      inventory,
    ),
  foresee: (route, ask, from) =>
    chooseReplicas(
      route,
      ask,
      from ?? { source: route.workloads.map((it) => it.replicas), target: route.workloads.map(() => 0) },
    ),
  rights: ({ workloads }) => {
    const own = [
      ...SLICE_RIGHTS,
      { verb: 'list', group: 'autoscaling', resource: 'horizontalpodautoscalers' },
      ...[...new Set(workloads.map((it) => it.kind))].flatMap((kind) =>
        ['get', 'patch'].map((verb) => rightOn(verb, kind)),
      ),
    ];
    const services = ['create', 'delete'].map((verb) => ({ verb, group: '', resource: 'services' }));
    return { source: own, target: [...own, ...services] };
  },

  async joined(route, world) {
    const found = await multiClusterService(route, world);
    return SIDES.every(
      (side) => found?.providers.includes(route.clusters[side]) && found.consumers.includes(route.clusters[side]),
    );
  },
  join,
  leave,

  /** It brings up what a share needs and waits for it, before anything goes down: there is always as much as the source had. */
  ready: (route) => Promise.resolve(totalOf(route.workloads.map((it) => it.replicas))),

  async read(route, world) {
    const [source, target] = await Promise.all([
      replicasOn('source', route, world),
      unlessDead(() => replicasOn('target', route, world)),
    ]);
    const splits = [await seenFrom('source', route, world), await unlessDead(() => seenFrom('target', route, world))];
    return {
      setting: { source, target: target ?? route.workloads.map(() => 0) },
      splits: splits.filter((it) => it !== undefined),
    } satisfies Reading<McsSetting>;
  },

  choose: async (route, ask, { setting }) => chooseReplicas(route, ask, setting),

  async write(route, { setting, order }, context) {
    await putProviders(route, SIDES, context.world);
    for (const side of order) {
      await scaleTo(side, setting[side], route, context);
      await untilServing(side, setting[side], route, context);
    }
    for (const side of SIDES) await untilServing(side, setting[side], route, context);
  },

  async restore(route, was, context) {
    const { world } = context;
    const now = await replicasOn('source', route, world);
    const rises = was.source.some((it, index) => it > (now[index] ?? 0));
    const order: Side[] = rises || totalOf(was.target) === 0 ? ['source', 'target'] : ['target', 'source'];
    const owed: Debt[] = [];
    for (const side of order) {
      try {
        await scaleTo(side, was[side], route, context);
        await untilServing(side, was[side], route, context);
      } catch (error) {
        if (!isMigrateError(error, 'KUBE_UNREACHABLE') || side === 'source') throw error;
        owed.push(await cutTarget(route, was, context));
      }
    }
    return owed;
  },
};

/** From ready or gone until every node of both clusters knows: the Fleet's dispatch and kube-proxy. */
const BITES_MS = 30_000;
const SETTLES_MS = 15 * 60_000;

async function unlessDead<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (!isMigrateError(error, 'KUBE_UNREACHABLE')) throw error;
    return undefined;
  }
}

export const replicasOn = (side: Side, { workloads }: McsRoute, world: World): Promise<number[]> =>
  Promise.all(workloads.map(async (it) => Number((await world[side].get(refOf(it)))?.['spec']?.replicas ?? 0)));

const refOf = ({ kind, namespace, name }: Workload) => ({ kind, namespace, name });

const OWN_SLICES = 'endpointslice-controller.k8s.io';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';

/** Ready endpoints of a Service in one cluster: its own, and those that were brought from elsewhere. */
export async function endpointsIn(cluster: Cluster, route: McsRoute): Promise<{ own: string[]; brought: string[] }> {
  const slices = await slicesOf(cluster, route);
  const isOwn = (it: KubeObject) => (it.metadata.labels?.[MANAGED_BY] ?? OWN_SLICES) === OWN_SLICES;
  return {
    own: readyEndpoints(slices.filter(isOwn)).addresses.toSorted(),
    brought: readyEndpoints(slices.filter((it) => !isOwn(it))).addresses.toSorted(),
  };
}

/** What callers of that cluster meet. */
async function seenFrom(side: Side, route: McsRoute, world: World): Promise<Split> {
  const { own, brought } = await endpointsIn(world[side], route);
  const portion = (of: readonly string[]) => ({ members: of.length, weight: of.length });
  return {
    where: `${route.service} as the ${side} calls it`,
    source: portion(side === 'source' ? own : brought),
    target: portion(side === 'target' ? own : brought),
    others: { members: 0, weight: 0 },
  };
}

async function scaleTo(
  side: Side,
  replicas: readonly number[],
  { workloads }: McsRoute,
  { world, progress }: StepContext,
): Promise<void> {
  for (const [index, workload] of workloads.entries()) {
    const wanted = replicas[index] ?? 0;
    const found = await world[side].get(refOf(workload));
    if (!found) {
      // What went with the restore that brought it has no pods to be taken down.
      if (wanted === 0) continue;
      throw new MigrateError('WORKLOAD_MISSING', {
        what: `The ${side} has no ${workload.kind.split('.')[0]} ${pathOf(workload)}.`,
        why: 'Its pods are the share.',
        fix:
          side === 'target' ? 'Bring it first: `migrate run --phase data`, or apply it yourself.' : 'Make a new plan.',
      });
    }
    if (Number(found['spec']?.replicas ?? 1) === wanted) continue;
    progress(`${pathOf(workload)} on the ${side} to ${wanted}`);
    await world[side].patch(refOf(workload), { spec: { replicas: wanted } });
  }
}

/** Until the side's pods serve, or are gone, and both clusters' slices say so, address by address. */
async function untilServing(
  side: Side,
  replicas: readonly number[],
  route: McsRoute,
  context: StepContext,
): Promise<void> {
  const { world } = context;
  const wanted = totalOf(replicas);
  await until(
    context,
    {
      code: 'WEIGHT_NOT_TAKEN',
      deadlineMs: SETTLES_MS,
      subject: `${route.service} on the ${side}`,
      why: 'Pods do not get ready, an autoscaler or a GitOps tool sets other replicas, or the Fleet does not bring the endpoints over.',
      fix: `Look at its pods on the ${side}, at the MultiClusterService's conditions in the Fleet, and at the slices of both clusters; then run again.`,
    },
    async () => {
      const now = await replicasOn(side, route, world);
      if (replicas.some((it, index) => it !== now[index])) return `somebody else set its replicas to ${now.join(', ')}`;
      const { own } = await endpointsIn(world[side], route);
      if (own.length !== wanted) return `${count(own.length, 'ready pod')}, not ${wanted}`;
      const elsewhere = await unlessDead(() => endpointsIn(world[otherSide(side)], route));
      if (!elsewhere || sameAddresses(own, elsewhere.brought)) return undefined;
      return `the ${otherSide(side)} knows ${elsewhere.brought.length} of them`;
    },
  );
}

const sameAddresses = (a: readonly string[], b: readonly string[]) => a.join(' ') === b.join(' ');

/** The target's pods can't be told to go: the Fleet takes their endpoints away from the source's callers. */
async function cutTarget(route: McsRoute, was: McsSetting, context: StepContext): Promise<Debt> {
  const { world } = context;
  const debt = (what: string): Debt => ({ side: 'target', what });
  if (totalOf(was.target) > 0)
    return debt(
      `The target's API server does not answer: the replicas behind ${route.service} stay as they are there.`,
    );
  await putProviders(route, ['source'], world);
  await until(
    context,
    {
      code: 'WEIGHT_NOT_TAKEN',
      deadlineMs: SETTLES_MS,
      subject: `${route.service} on the source`,
      why: 'The Fleet does not take the endpoints of a provider away that it can not reach.',
      fix: 'Delete the EndpointSlices of the target in the source cluster by hand.',
    },
    async () => {
      const { brought } = await endpointsIn(world.source, route);
      return brought.length === 0 ? undefined : `${count(brought.length, 'endpoint')} of the target left`;
    },
  );
  return debt(
    `The target's API server does not answer: its pods behind ${route.service} still run, and the source no longer calls them.`,
  );
}
