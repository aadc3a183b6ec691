import { isMigrateError, MigrateError } from '../errors.js';
import type { FsmRoute } from '../fsm.js';
import { splitPath } from '../objects.js';
import type { KubeObject, World } from '../ports.js';
import { type Part, wakesLater } from '../router.js';
import { until } from '../wait.js';
import { count } from '../words.js';
import { exportOf, fsmApi, fsmKind, keyOfTarget, policyOf, putPolicy } from './fsm-objects.js';
import { readyPods, serviceOn } from './services.js';

/** The target's Service becomes known in the source, and by a policy of Locality, which is there before, nobody is sent to it. */

export interface JoinBefore {
  /** specs as they were; absent where there was no such object */
  policy?: unknown;
  export?: unknown;
}

export const join: Part<FsmRoute, JoinBefore> = {
  title: ({ service }) => `${service} of the target is exported; the source's pods go on to call their own (Locality)`,
  wayBack: () => 'policy and export as they were',

  async check(route, { world }) {
    await Promise.all([serviceOn(world.source, route), serviceOn(world.target, route)]);
    const [policy, exported] = await Promise.all([policyOf(route, world), exportOf(route, world)]);
    if (policy && policy.lbType !== 'Locality') {
      throw new MigrateError('SERVICE_LIVE_ALREADY', {
        what: `GlobalTrafficPolicy ${route.service} on the source is ${policy.lbType} already.`,
        why: 'It sends requests elsewhere now; joining at nothing would take that away unasked.',
        fix: 'Set it to Locality yourself first, or shift from where it is: `migrate shift`.',
      });
    }
    return {
      ...(policy && { policy: policy.object['spec'] as unknown }),
      ...(exported && { export: exported['spec'] as unknown }),
    };
  },

  async apply(route, before, { world }) {
    // Exported already, it may have a share by now.
    if ((await policyOf(route, world)) && (await exportOf(route, world))) return;
    await putPolicy(route, { lbType: 'Locality' }, world);
    if (await exportOf(route, world)) return;
    const service = await serviceOn(world.target, route);
    if (before.export === undefined) await world.target.create(exportFor(route, service));
  },

  verify: (route, _before, context) =>
    until(
      context,
      {
        code: 'FSM_NOT_IMPORTED',
        deadlineMs: 5 * 60_000,
        subject: `${route.service} in the source`,
        why: "The clusters are not joined, or the export is not valid: its path is another Ingress's already, or there is no such Service.",
        fix: "Look at the ServiceExport's conditions on the target and at the Clusters on the source, then run again.",
      },
      () => missing(route, context.world),
    ),

  async undo(route, before, context) {
    const { world } = context;
    if (!wakesLater(route, context) && (await readyPods(route, 'source', world)) === 0) {
      throw new MigrateError('SIDE_CANNOT_SERVE', {
        what: `The source has no ready pod behind ${route.service}; its callers would have nobody.`,
        why: 'Without the export they can only call their own.',
        fix: 'Bring its pods up on the source, then go back again.',
      });
    }
    const ref = splitPath(route.service);
    const policy = fsmKind(route, 'source', 'GlobalTrafficPolicy');
    try {
      if (before.export === undefined)
        await world.target.delete({ kind: fsmKind(route, 'target', 'ServiceExport'), ...ref });
      await putPolicyBack(before, policy, ref, world);
      return [];
    } catch (error) {
      if (!isMigrateError(error, 'KUBE_UNREACHABLE')) throw error;
      await putPolicyBack(before, policy, ref, world);
      return [
        {
          side: 'target',
          what: `The target's API server does not answer: ServiceExport ${route.service} stays there.`,
        },
      ];
    }
  },
};

async function putPolicyBack(
  { policy }: JoinBefore,
  kind: string,
  ref: { namespace: string; name: string },
  { source }: World,
): Promise<void> {
  if (policy === undefined) await source.delete({ kind, ...ref });
  else if (await source.get({ kind, ...ref })) await source.patch({ kind, ...ref }, { spec: policy });
}

/** The gateway of the target takes requests under the path, and takes the path off them. */
function exportFor(route: FsmRoute, { spec }: KubeObject): KubeObject {
  const { path, service } = route;
  const ports = (spec?.ports ?? []) as { port: number }[];
  return {
    apiVersion: fsmApi(route, 'target'),
    kind: 'ServiceExport',
    metadata: splitPath(service),
    spec: {
      serviceAccountName: '*',
      pathRewrite: { from: `^${path}/?`, to: '/' },
      rules: ports.map((it) => ({ portNumber: it.port, path, pathType: 'Prefix' })),
    },
  };
}

async function missing(route: FsmRoute, world: World): Promise<string | undefined> {
  const exported = await exportOf(route, world);
  const conditions = (exported?.['status']?.conditions ?? []) as { type: string; status: string; message?: string }[];
  const valid = conditions.find((it) => it.type === 'Valid');
  if (valid?.status === 'False') return `the target's export is not valid${valid.message ? ` (${valid.message})` : ''}`;
  return (await keyOfTarget(route, world)) === undefined ? 'it has not been imported from the target yet' : undefined;
}

/** Nothing is written: the export is what the source's callers live by now. */
export const leave: Part<FsmRoute, null> = {
  title: ({ service }) => `${service}: the source runs no pod of it; its callers go on to the target's gateway`,
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
async function mustBeDown(route: FsmRoute, world: World): Promise<void> {
  const pods = await readyPods(route, 'source', world);
  if (pods === 0) return;
  throw new MigrateError('SOURCE_STILL_SERVES', {
    what: `${route.service} still has ${count(pods, 'ready pod')} on the source.`,
    why: 'The source may only go once nobody is sent to it any more.',
    fix: 'Shift to 100 % first.',
  });
}
