import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { differences } from '../src/cli/rehearse.js';
import { openStage, type Stage, type StageOptions } from '../src/cli/stage.js';
import { memoryStore, openJournal, type JournalStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan, type Plan } from '../src/plan.js';
import { parsePlaybook } from '../src/playbook.js';
import { rollback } from '../src/rollback.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import { isMigrateError } from '../src/errors.js';
import type { Seed, TwinObject } from '../src/twin/types.js';
import { crashing, engineOn, mustBeDone } from './shop.js';

/** Two clusters after the data phase: all is on both sides, and rests on the target. No traffic, so that nothing but sides changes. */

const ENTRIES = `
    - { workload: deployment shop/consumer }
    - { workload: deployment shop/scaled }
    - { workload: daemonset shop/agent }
    - { workload: deployment dns/external-dns }
    - { suspend: cronjob shop/tick }
    - { suspend: cronjob shop/asleep }
    - { suspend: kustomization.kustomize.toolkit.fluxcd.io flux/shop }
    - { field: { object: queue.example.com shop/orders, path: 'metadata.annotations[example.com/paused]', stopped: 'yes' } }
    - { field: { object: queue.example.com shop/orders, path: spec.consume.on, stopped: false } }
    - { name: shop/mailer, run: [./mailer, to], back: [./mailer, back] }`;

const playbookOf = (entries: string, more = '') =>
  parsePlaybook(
    `apiVersion: migrate/v1alpha1
kind: Playbook
name: sides
source: { context: old }
target: { context: new }
data:
  namespaces: [shop]
  disks: none
  oneSide: ${entries}
${more}`,
    'sides.yaml',
  );

const deployment = (namespace: string, name: string, replicas: number): TwinObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchExpressions: [{ key: 'app', operator: 'In', values: [name] }] },
    template: podsOf(name),
  },
});

const podsOf = (name: string) => ({
  metadata: { labels: { app: name } },
  spec: { terminationGracePeriodSeconds: 5, containers: [{ name, image: `${name}:1` }] },
});

const cronJob = (side: string, name: string, suspend: boolean, more: object = {}): TwinObject => ({
  apiVersion: side === 'source' ? 'batch/v1beta1' : 'batch/v1',
  kind: 'CronJob',
  metadata: { name, namespace: 'shop' },
  spec: {
    schedule: '* * * * *',
    suspend,
    ...more,
    successfulJobsHistoryLimit: 1000,
    jobTemplate: {
      spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name, image: `${name}:1` }] } } },
    },
  },
});

const definition = (group: string, kind: string): TwinObject => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${kind.toLowerCase()}s.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { kind, plural: `${kind.toLowerCase()}s`, singular: kind.toLowerCase(), listKind: `${kind}List` },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
});

const custom = (group: string, kind: string, path: string, more: object): TwinObject => {
  const [namespace, name] = path.split('/');
  const { annotations, spec } = more as { annotations?: object; spec?: object };
  return {
    apiVersion: `${group}/v1`,
    kind,
    metadata: { name, namespace, ...(annotations && { annotations }) },
    ...(spec && { spec }),
  };
};

function objectsOf(side: 'source' | 'target'): TwinObject[] {
  const rests = side === 'target';
  return [
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: `${side}-1` },
      spec: { providerID: `cn-hangzhou.i-${side}`, podCIDR: `172.${side === 'source' ? 20 : 21}.1.0/24` },
      status: {
        addresses: [{ type: 'InternalIP', address: side === 'source' ? '192.168.1.11' : '192.168.2.11' }],
        capacity: { cpu: '8', memory: '32Gi', pods: '110' },
        allocatable: { cpu: '8', memory: '32Gi', pods: '110' },
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    },
    ...['shop', 'dns', 'flux'].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    deployment('shop', 'consumer', rests ? 0 : 3),
    deployment('shop', 'scaled', rests ? 0 : 1),
    deployment('dns', 'external-dns', rests ? 0 : 1),
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'agent', namespace: 'shop' },
      spec: {
        selector: { matchLabels: { app: 'agent' } },
        template: {
          ...podsOf('agent'),
          spec: { ...podsOf('agent').spec, ...(rests && { nodeSelector: { 'migrate/one-side': 'elsewhere' } }) },
        },
      },
    },
    cronJob(side, 'tick', rests),
    cronJob(side, 'asleep', true),
    definition('keda.sh', 'ScaledObject'),
    definition('kustomize.toolkit.fluxcd.io', 'Kustomization'),
    definition('example.com', 'Queue'),
    custom('keda.sh', 'ScaledObject', 'shop/scaled', {
      ...(rests && { annotations: { 'autoscaling.keda.sh/paused-replicas': '0' } }),
      spec: { scaleTargetRef: { name: 'scaled' }, minReplicaCount: 0 },
    }),
    custom('kustomize.toolkit.fluxcd.io', 'Kustomization', 'flux/shop', { spec: { ...(rests && { suspend: true }) } }),
    custom('example.com', 'Queue', 'shop/orders', {
      ...(rests && { annotations: { 'example.com/paused': 'yes' } }),
      spec: { size: 3, ...(rests && { consume: { on: false } }) },
    }),
  ];
}

const seed = (): Seed => ({
  start: '2026-11-23T06:00:00Z',
  source: {
    version: 'v1.20.15',
    context: 'old',
    podNetwork: 'overlay',
    podReadyMs: 2000,
    objects: objectsOf('source'),
  },
  target: { version: 'v1.34.1', context: 'new', podNetwork: 'overlay', podReadyMs: 2000, objects: objectsOf('target') },
  cloud: { region: 'cn-hangzhou', loadBalancers: [] },
});

const SIDES = ['source', 'target'] as const;
type Side = (typeof SIDES)[number];

/** What KEDA does with a queue that is never empty. */
async function playKeda({ twin }: Stage, side: Side): Promise<void> {
  const { api } = twin[side];
  const look = async (): Promise<void> => {
    const scaler = await api.get('keda.sh/v1/scaledobjects', 'shop', 'scaled');
    const workload = await api.get('apps/v1/deployments', 'shop', 'scaled');
    if (!scaler || !workload) return;
    const paused: unknown = scaler.metadata.annotations?.['autoscaling.keda.sh/paused-replicas'];
    const wanted = paused === undefined ? Math.max(1, workload['spec'].replicas) : Number(paused);
    if (wanted !== workload['spec'].replicas)
      await api.mergePatch('apps/v1/deployments', 'shop', 'scaled', { spec: { replicas: wanted } });
  };
  const soon = () => void twin.clock.after(100, look);
  await api.watch('keda.sh/v1/scaledobjects', soon);
  await api.watch('apps/v1/deployments', soon);
}

interface Watched {
  /** what was awake on both sides, whenever it was */
  twice: string[];
  /** minutes for which a Job of `tick` was made, by side */
  runs: Record<Side, number[]>;
}

/** Looks at each change of either cluster, at the moment at which it happens. */
async function watchSides({ twin }: Stage): Promise<Watched> {
  const watched: Watched = { twice: [], runs: { source: [], target: [] } };
  const awake: Record<Side, Map<string, string>> = { source: new Map(), target: new Map() };
  const note = (side: Side, thing: string, object: string, is: boolean) => {
    const key = `${thing} ${object}`;
    if (is) awake[side].set(key, thing);
    else awake[side].delete(key);
    const there = [...awake[side === 'source' ? 'target' : 'source'].entries()].find(([, it]) => it === thing);
    if (is && there) watched.twice.push(`${key} on the ${side}, ${there[0]} on the other side, at ${twin.clock.now()}`);
  };
  for (const side of SIDES) {
    const { api } = twin[side];
    const batch = side === 'source' ? 'batch/v1beta1/cronjobs' : 'batch/v1/cronjobs';
    await api.watch('v1/pods', ({ type, object }) => {
      const { app } = object.metadata.labels ?? {};
      if (app !== undefined) note(side, app, object.metadata.name, type !== 'DELETED');
    });
    await api.watch(batch, ({ object }) =>
      note(side, object.metadata.name, 'schedule', object['spec'].suspend !== true),
    );
    await api.watch('batch/v1/jobs', ({ type, object }) => {
      const done = ((object['status']?.conditions ?? []) as { type: string }[]).some((it) => it.type === 'Complete');
      note(side, 'tick', object.metadata.name, type !== 'DELETED' && !done);
      if (type === 'ADDED') watched.runs[side].push(Number(String(object.metadata.name).split('-').at(-1)));
    });
    await api.watch('keda.sh/v1/scaledobjects', ({ object }) =>
      note(side, 'KEDA', 'scaled', object.metadata.annotations?.['autoscaling.keda.sh/paused-replicas'] === undefined),
    );
    await api.watch('kustomize.toolkit.fluxcd.io/v1/kustomizations', ({ object }) =>
      note(side, 'flux', 'shop', object['spec'].suspend !== true),
    );
    await api.watch('example.com/v1/queues', ({ object }) => {
      note(side, 'queue', 'annotation', object.metadata.annotations?.['example.com/paused'] !== 'yes');
      note(side, 'consume', 'field', object['spec'].consume?.on !== false);
    });
  }
  return watched;
}

interface Scene {
  stage: Stage;
  plan: Plan;
  watched: Watched;
}

/** The steps that change sides, and no others. */
const changing = (plan: Plan): Plan => ({
  ...plan,
  steps: plan.steps.filter((it) => it.kind === 'switch-side').map((it) => ({ ...it, after: [] })),
});

async function sceneOf(
  entries: string,
  { more, plan, world = seed(), ...options }: StageOptions & { more?: string; plan?: Plan; world?: Seed } = {},
): Promise<Scene> {
  const playbook = playbookOf(entries, more);
  const stage = await openStage(playbook, world, options);
  await stage.twin.settle();
  for (const side of SIDES) await playKeda(stage, side);
  const watched = await watchSides(stage);
  const made = plan ?? changing(makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers));
  return { stage, plan: made, watched };
}

/** A world without what goes on by itself: runs of CronJobs, and what counts changes. */
function still(world: unknown): unknown {
  return JSON.parse(
    JSON.stringify(world, (key, value: unknown) =>
      ['jobs', 'pods', 'replicasets', 'controllerrevisions', 'events', 'status', 'generation'].includes(key) ||
      /^(Job|Pod|ReplicaSet|ControllerRevision|Event)\b/.test(key)
        ? undefined
        : value,
    ),
  ) as unknown;
}

const minutes = (watched: Watched) => [...watched.runs.source, ...watched.runs.target].sort((a, b) => a - b);

/** Each minute once, and none left out. */
function mustBeGapless(watched: Watched): void {
  const all = minutes(watched);
  const [first = 0] = all;
  assert.deepEqual(
    all,
    all.map((_, index) => first + index),
    'each scheduled minute ran once, on one of the sides',
  );
}

test('what is one side only is awake on one side at every moment, forward and back, and no run of a CronJob is lost or done twice', async (t) => {
  const { stage, plan, watched } = await sceneOf(ENTRIES);
  const { twin } = stage;
  try {
    assert.equal(plan.steps.length, 10);
    const start = still(twin.snapshot());
    await twin.clock.sleep(3 * 60_000);
    const store = memoryStore();
    mustBeDone(await run(plan, ['traffic'], engineOn(stage, store)));
    assert.ok(watched.runs.source.length > 0 && watched.runs.target.length === 0);
    await twin.clock.sleep(3 * 60_000);
    assert.ok(watched.runs.target.length > 1);
    const { api } = twin.target;
    const consumer = await api.get('apps/v1/deployments', 'shop', 'consumer');
    assert.equal(consumer?.['status'].readyReplicas, 3, 'as many as the source had');
    assert.equal((await api.get('batch/v1/cronjobs', 'shop', 'asleep'))?.['spec'].suspend, true);
    const flux = await api.get('kustomize.toolkit.fluxcd.io/v1/kustomizations', 'flux', 'shop');
    assert.deepEqual(flux?.['spec'], {}, 'absent in the source, absent here');
    const queue = await api.get('example.com/v1/queues', 'shop', 'orders');
    assert.deepEqual([queue?.metadata.annotations, queue?.['spec']], [undefined, { size: 3 }]);

    mustBeDone(await rollback(undefined, engineOn(stage, store)));
    await twin.clock.sleep(3 * 60_000);
    await twin.settle();
    assert.deepEqual(differences(start, still(twin.snapshot())), []);
    assert.deepEqual(watched.twice, []);
    mustBeGapless(watched);
    t.diagnostic(`${watched.runs.source.length} runs on the source, ${watched.runs.target.length} on the target`);
  } finally {
    await stage.close();
  }
});

/** Killed after that many effects; then onward or back, with all watched from the first moment on. */
async function killed(at: number, plan: Plan, after: 'run' | 'rollback') {
  const crash = crashing(at);
  const lines: JournalStore = memoryStore();
  let revived = false;
  const { stage, watched } = await sceneOf(ENTRIES, {
    plan,
    tap: (call, send) => (revived ? send() : crash.tap(call, send)),
  });
  try {
    const start = still(stage.twin.snapshot());
    crash.arm();
    const engine = {
      ...engineOn(stage, lines),
      journal: openJournal(crash.wrap(lines), () => stage.world.clock.now()),
    };
    await run(plan, ['traffic'], { ...engine, limit: 1 }).catch(() => undefined);
    const wasCut = crash.crashed();
    revived = true;
    await stage.twin.clock.sleep(60_000);
    const again = engineOn(stage, lines);
    mustBeDone(after === 'run' ? await run(plan, ['traffic'], again) : await rollback(undefined, again));
    await stage.twin.clock.sleep(60_000);
    await stage.twin.settle();
    return { wasCut, start, end: still(stage.twin.snapshot()), watched };
  } finally {
    await stage.close();
  }
}

test('killed at any point it goes on to the same end or back to the same start, and nothing is ever awake on both sides', async (t) => {
  const { stage, plan } = await sceneOf(ENTRIES);
  await stage.close();
  const whole = await killed(Infinity, plan, 'run');
  const wrong: string[] = [];
  let points = 0;
  for (; ; points++) {
    let wasCut = false;
    for (const after of ['run', 'rollback'] as const) {
      const seen = await killed(points, plan, after);
      ({ wasCut } = seen);
      const places = differences(after === 'run' ? whole.end : seen.start, seen.end);
      if (places.length > 0) wrong.push(`point ${points}, ${after}: ${places.slice(0, 3).join('; ')}`);
      if (seen.watched.twice.length > 0) wrong.push(`point ${points}, ${after}: ${seen.watched.twice[0]}`);
      const all = minutes(seen.watched);
      if (all.some((it, index) => it !== (all[0] ?? 0) + index))
        wrong.push(`point ${points}, ${after}: runs ${all.join()}`);
    }
    if (!wasCut) break;
  }
  t.diagnostic(`${points} points: each was resumed and rolled back`);
  assert.ok(points > 40, `only ${points} points`);
  assert.deepEqual(wrong, []);
});
