import { isMigrateError, MigrateError } from '../errors.js';
import { totalOf, type McsRoute } from '../mcs.js';
import { about, splitPath } from '../objects.js';
import { SIDES, type KubeObject, type Side, type World } from '../ports.js';
import { type Part, wakesLater } from '../router.js';
import type { Debt, StepContext } from '../step.js';
import { until } from '../wait.js';
import { count } from '../words.js';
import { createMultiClusterService, fleetOf, multiClusterService, putBack } from './mcs-object.js';
import { endpointsIn, replicasOn } from './mcs.js';
import { serviceOn } from './services.js';

/** How a name comes to be served by both clusters: its Service in both, and a MultiClusterService, while the target runs no pod of it. */

export interface JoinBefore {
  /** the target had the Service */
  service: boolean;
  /** replicas on the target, which go to 0: what runs there would have a share at once */
  replicas: number[];
  /** of the MultiClusterService, where there was one; and whether its namespace was there */
  spec?: unknown;
  namespace: boolean;
}

export const join: Part<McsRoute, JoinBefore> = {
  title: ({ service }) => `${service} is known in both clusters, served by the source alone`,
  wayBack: () => 'the MultiClusterService goes, each cluster calls its own',

  async check(route, { world }) {
    await serviceOn(world.source, route);
    const [service, object, namespace] = await Promise.all([
      world.target.get({ kind: 'Service', ...splitPath(route.service) }),
      multiClusterService(route, world),
      fleetOf(world).get({ kind: 'Namespace', name: splitPath(route.service).namespace }),
    ]);
    await mustStayScaled(route, world);
    return {
      service: service !== undefined,
      replicas: await replicasOn('target', route, world),
      namespace: namespace !== undefined,
      ...(object && { spec: object.object['spec'] as unknown }),
    };
  },

  async apply(route, before, context) {
    const { world, progress } = context;
    // Made already, it may have a share by now: its pods are not ours to stop any more.
    const made = await multiClusterService(route, world);
    if (made && SIDES.every((side) => made.providers.includes(route.clusters[side]))) return;
    for (const [index, workload] of route.workloads.entries()) {
      if ((before.replicas[index] ?? 0) === 0) continue;
      progress(`${about(workload.kind, workload)} on the target to 0`);
      await world.target.patch(
        { kind: workload.kind, namespace: workload.namespace, name: workload.name },
        { spec: { replicas: 0 } },
      );
    }
    await untilEmpty(route, context);
    if (!before.service && !(await world.target.get({ kind: 'Service', ...splitPath(route.service) })))
      await world.target.create(copyOf(await serviceOn(world.source, route)));
    await createMultiClusterService(route, world);
  },

  verify: (route, _before, context) =>
    until(
      context,
      {
        code: 'FLEET_NOT_DISPATCHED',
        deadlineMs: 5 * 60_000,
        subject: `${route.service} in the target`,
        why: 'The Fleet brings the endpoints of a provider into each consumer; both must be in one Fleet, under the ids that the playbook says.',
        fix: "Look at the MultiClusterService's conditions in the Fleet, and whether both clusters are joined to it; then run again.",
      },
      async () => {
        const [source, target] = await Promise.all(SIDES.map((side) => endpointsIn(context.world[side], route)));
        if (target && target.own.length > 0) return `${count(target.own.length, 'pod')} of it serve there already`;
        if (source?.own.join(' ') === target?.brought.join(' ') && source?.brought.length === 0) return undefined;
        return `${target?.brought.length ?? 0} of ${source?.own.length ?? 0} endpoints of the source have come`;
      },
    ),

  async undo(route, before, context) {
    const { world } = context;
    const { own } = await endpointsIn(world.source, route);
    if (own.length === 0 && !wakesLater(route, context)) {
      throw new MigrateError('SIDE_CANNOT_SERVE', {
        what: `The source has no ready pod behind ${route.service}; its callers would have nobody.`,
        why: 'Without the MultiClusterService each cluster calls its own pods alone.',
        fix: 'Bring its pods up on the source, then go back again.',
      });
    }
    await putBack(route, before, world);
    if (before.spec === undefined) await untilAlone(route, context);
    try {
      if (!before.service) await world.target.delete({ kind: 'Service', ...splitPath(route.service) });
      for (const [index, workload] of route.workloads.entries()) {
        const was = before.replicas[index] ?? 0;
        const ref = { kind: workload.kind, namespace: workload.namespace, name: workload.name };
        if (was > 0 && (await world.target.get(ref))) await world.target.patch(ref, { spec: { replicas: was } });
      }
      return [];
    } catch (error) {
      if (!isMigrateError(error, 'KUBE_UNREACHABLE')) throw error;
      return [
        { side: 'target', what: `The target's API server does not answer: Service ${route.service} stays there.` },
      ] satisfies Debt[];
    }
  },
};

/** An autoscaler takes every number of replicas but 0 for its own business. */
async function mustStayScaled({ service, workloads }: McsRoute, world: World): Promise<void> {
  for (const side of SIDES) {
    for (const { kind, namespace, name } of workloads) {
      const scalers = await scalersIn(namespace, side, world);
      const found = scalers.find(
        (it) => it['spec']?.scaleTargetRef?.kind === kind.split('.')[0] && it['spec'].scaleTargetRef.name === name,
      );
      const { minReplicas = 1, maxReplicas = 0 } = (found?.['spec'] ?? {}) as {
        minReplicas?: number;
        maxReplicas?: number;
      };
      if (!found || minReplicas === maxReplicas) continue;
      throw new MigrateError('SHARE_AUTOSCALED', {
        what: `HorizontalPodAutoscaler ${namespace}/${found.metadata.name} on the ${side} scales the pods behind ${service}, from ${minReplicas} to ${maxReplicas}.`,
        why: 'The share is the ratio of ready pods: an autoscaler on either side would move it.',
        fix: 'Fix it for the time of the move: minReplicas equal to maxReplicas, or take it away and bring it back afterwards.',
      });
    }
  }
}

async function scalersIn(namespace: string, side: Side, world: World): Promise<KubeObject[]> {
  try {
    return await world[side].list('HorizontalPodAutoscaler.autoscaling', { namespace });
  } catch (error) {
    if (isMigrateError(error, 'KUBE_NOT_SERVED')) return [];
    throw error;
  }
}

/** Selector and ports; addresses and node ports are the cluster's own business. */
function copyOf({ metadata, spec }: KubeObject): KubeObject {
  const ports = ((spec?.ports ?? []) as Record<string, unknown>[]).map(({ nodePort: _dropped, ...rest }) => rest);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: metadata.name,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      ...(metadata.labels && { labels: metadata.labels }),
    },
    spec: { selector: spec?.selector as unknown, ports },
  };
}

/** What runs on the target must not serve when its endpoints become known: it would have a share at once. */
const untilEmpty = (route: McsRoute, context: StepContext) =>
  until(
    context,
    {
      code: 'SERVICE_LIVE_ALREADY',
      deadlineMs: 5 * 60_000,
      subject: `${route.service} on the target`,
      why: 'Its replicas were set to 0, and pods of it still serve: somebody else starts them, or they belong to another workload.',
      fix: 'Stop what starts them (an autoscaler, a GitOps tool), then run again.',
    },
    async () => {
      const { own } = await endpointsIn(context.world.target, route);
      return own.length === 0 ? undefined : `${count(own.length, 'pod')} of it serve`;
    },
  );

/** Until neither cluster knows of the other's pods. */
const untilAlone = (route: McsRoute, context: StepContext) =>
  until(
    context,
    {
      code: 'FLEET_NOT_DISPATCHED',
      deadlineMs: 5 * 60_000,
      subject: `${route.service} in the source`,
      why: 'The Fleet takes the other cluster’s endpoints away when its MultiClusterService is gone.',
      fix: 'Look at the Fleet; delete the EndpointSlices of the target in the source cluster by hand.',
    },
    async () => {
      const { brought } = await endpointsIn(context.world.source, route);
      return brought.length === 0 ? undefined : `${count(brought.length, 'endpoint')} of the target left`;
    },
  );

/** Nothing is written: without the MultiClusterService the source's callers, who have no pods of their own any more, would have nobody. */
export const leave: Part<McsRoute, null> = {
  title: ({ service }) => `${service}: the source runs no pod of it; its callers go on to the target`,
  wayBack: () => 'nothing to undo',
  async check(route, { world }) {
    await mustBeDown(route, world);
    return null;
  },
  apply: async () => {},
  verify: (route, _before, { world }) => mustBeDown(route, world),
  undo: async () => [],
};

/** @throws MigrateError SOURCE_STILL_SERVES */
async function mustBeDown(route: McsRoute, world: World): Promise<void> {
  const replicas = await replicasOn('source', route, world);
  const { own } = await endpointsIn(world.source, route);
  if (totalOf(replicas) === 0 && own.length === 0) return;
  throw new MigrateError('SOURCE_STILL_SERVES', {
    what: `${route.service} still has ${count(own.length, 'ready pod')} on the source.`,
    why: 'The source may only go once nobody is sent to it any more.',
    fix: 'Shift to 100 % first.',
  });
}
