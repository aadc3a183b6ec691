import { MigrateError } from '../errors.js';
import { chooseFsm, fsmRoutes, MAX_WEIGHT, POD_WEIGHT, type FsmRoute, type FsmSetting } from '../fsm.js';
import { totalOf } from '../mcs.js';
import { about, rightOn } from '../objects.js';
import type { Side, World } from '../ports.js';
import { type Reading, type Router, type Split } from '../router.js';
import type { StepContext } from '../step.js';
import { until } from '../wait.js';
import { count } from '../words.js';
import { join, leave } from './fsm-join.js';
import { keyOfTarget, policyOf, putPolicy } from './fsm-objects.js';
import { readyPods, SLICE_RIGHTS } from './services.js';

/**
 * Splits the requests of the source's pods to a Service of their own cluster: some go to the target's gateway, by Flomesh's
 * GlobalTrafficPolicy. Only callers with its sidecar obey; pods of the target call their own. The policy has no status: what is read is what
 * is written and what the pods make of it, and only clients can tell whether it works.
 */
export const fsm: Router<FsmRoute, FsmSetting> = {
  name: 'fsm',
  traits: () => ({
    unit: 'weight',
    min: 1,
    max: MAX_WEIGHT,
    zero: 'scale',
    splits: 'requests',
    proof: 'none',
    bitesMs: BITES_MS,
  }),

  routes: (entries, _playbook, inventory) =>
    fsmRoutes(
      entries.filter((it) => it.router === 'fsm'),
      inventory,
    ),
  foresee(route, ask, from) {
    const full = route.workloads.map((it) => it.replicas);
    return chooseFsm(route, ask, from ?? { lbType: 'Locality', replicas: full }, totalOf(full));
  },
  rights: (route) => {
    const on = (side: Side, kind: 'GlobalTrafficPolicy' | 'ServiceExport', verbs: string[]) =>
      verbs.map((verb) => ({ verb, group: route.groups[side], resource: PLURALS[kind] }));
    return {
      source: [
        ...SLICE_RIGHTS,
        ...on('source', 'GlobalTrafficPolicy', ['get', 'create', 'patch', 'delete']),
        { verb: 'get', group: route.groups.source, resource: 'serviceimports' },
        ...[...new Set(route.workloads.map((it) => it.kind))].flatMap((kind) =>
          ['get', 'patch'].map((verb) => rightOn(verb, kind)),
        ),
      ],
      target: [...SLICE_RIGHTS, ...on('target', 'ServiceExport', ['get', 'create', 'delete'])],
    };
  },

  async joined(route, world) {
    return (await policyOf(route, world)) !== undefined && (await keyOfTarget(route, world)) !== undefined;
  },
  join,
  leave,
  ready: readyPods,

  async read(route, world) {
    const [policy, key, pods, replicas] = await Promise.all([
      policyOf(route, world),
      keyOfTarget(route, world),
      readyPods(route, 'source', world),
      replicasOf(route, world),
    ]);
    const targets = policy?.targets ?? [];
    const told = targets.find((it) => it.clusterKey === key);
    // A list of targets leaves out all others; none at all takes every import, at 100. So does a weight of 0.
    const listed = key !== undefined && (targets.length === 0 || told !== undefined);
    const active = policy?.lbType === 'ActiveActive';
    const remote = active ? (listed ? told?.weight || 100 : 0) : pods === 0 && key !== undefined ? 100 : 0;
    const split: Split = {
      where: `${route.service} as the source's pods call it`,
      source: { members: pods, weight: POD_WEIGHT * pods },
      target: { members: remote > 0 ? 1 : 0, weight: remote },
      others: { members: 0, weight: 0 },
    };
    return {
      setting: {
        lbType: active ? 'ActiveActive' : 'Locality',
        ...(active && { weight: remote }),
        replicas,
      },
      splits: [split],
    } satisfies Reading<FsmSetting>;
  },

  choose: async (route, ask, { setting, splits }) => chooseFsm(route, ask, setting, splits[0]?.source.members ?? 0),

  write: (route, { setting }, context) => putSetting(route, setting, context),

  async restore(route, was, context) {
    const { world } = context;
    const now = await fsm.read(route, world);
    const targetGrows = totalOf(was.replicas) === 0 || (was.weight ?? 0) > (now.setting.weight ?? 0);
    if (targetGrows && (await readyPods(route, 'target', world)) === 0) {
      throw new MigrateError('SIDE_CANNOT_SERVE', {
        what: `The target has no ready pod behind ${route.service}; it gets no traffic.`,
        why: 'Going back would send requests to a side that can’t serve; the source serves now.',
        fix: 'Bring its pods up on the target, then go back again.',
      });
    }
    await putSetting(route, was, context);
    return [];
  },
};

const PLURALS = { GlobalTrafficPolicy: 'globaltrafficpolicies', ServiceExport: 'serviceexports' } as const;

/** From a write until every sidecar has its new configuration. */
const BITES_MS = 30_000;
const SETTLES_MS = 15 * 60_000;

const replicasOf = ({ workloads }: FsmRoute, { source }: World): Promise<number[]> =>
  Promise.all(
    workloads.map(async ({ kind, namespace, name }) =>
      Number((await source.get({ kind, namespace, name }))?.['spec']?.replicas ?? 0),
    ),
  );

/**
 * Pods that come up take from the target at once, one by one, so the weight that they shall meet is there before; and all go back to them
 * only when all are there.
 */
async function putSetting(route: FsmRoute, wanted: FsmSetting, context: StepContext): Promise<void> {
  const { world } = context;
  const now = await replicasOf(route, world);
  const comesUp = wanted.replicas.some((it, index) => it > (now[index] ?? 0));
  const key = await keyOfTarget(route, world);
  if (wanted.lbType === 'ActiveActive' && key === undefined) throw lost(route);
  if (comesUp && wanted.lbType === 'Locality' && key !== undefined) {
    const { setting } = await fsm.read(route, world);
    // Under Locality the first pod that is ready would get everything.
    if (setting.lbType === 'Locality' && totalOf(now) === 0)
      await putPolicy(route, { lbType: 'ActiveActive', key, weight: 100 * totalOf(wanted.replicas) }, world);
  } else await putPolicy(route, policyIn(wanted, key), world);
  await scaleTo(route, wanted.replicas, context);
  await untilPods(route, wanted.replicas, context);
  await putPolicy(route, policyIn(wanted, key), world);
}

const policyIn = ({ lbType, weight = 1 }: FsmSetting, key: string | undefined) =>
  lbType === 'Locality' || key === undefined
    ? { lbType: 'Locality' as const }
    : { lbType: 'ActiveActive' as const, key, weight };

const lost = ({ service }: FsmRoute) =>
  new MigrateError('FSM_NOT_IMPORTED', {
    what: `The source's Flomesh has no import of ${service} from the target.`,
    why: 'The export is gone or not valid, or the clusters are not joined any more.',
    fix: "Look at the ServiceExport's conditions on the target and at the Clusters on the source, then run again.",
  });

async function scaleTo(route: FsmRoute, replicas: readonly number[], { world, progress }: StepContext): Promise<void> {
  for (const [index, { kind, namespace, name }] of route.workloads.entries()) {
    const wanted = replicas[index] ?? 0;
    const found = await world.source.get({ kind, namespace, name });
    if (!found || Number(found['spec']?.replicas ?? 1) === wanted) continue;
    progress(`${about(kind, { namespace, name })} on the source to ${wanted}`);
    await world.source.patch({ kind, namespace, name }, { spec: { replicas: wanted } });
  }
}

const untilPods = (route: FsmRoute, replicas: readonly number[], context: StepContext) =>
  until(
    context,
    {
      code: 'WEIGHT_NOT_TAKEN',
      deadlineMs: SETTLES_MS,
      subject: `${route.service} on the source`,
      why: 'Pods do not get ready or do not go, or an autoscaler or a GitOps tool sets other replicas.',
      fix: 'Look at its pods on the source, then run again.',
    },
    async () => {
      const pods = await readyPods(route, 'source', context.world);
      const wanted = totalOf(replicas);
      return pods === wanted ? undefined : `${count(pods, 'ready pod')}, not ${wanted}`;
    },
  );
