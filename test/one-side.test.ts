import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { draftOf } from '../src/cli/draft.js';
import { differences } from '../src/cli/rehearse.js';
import { openStage, type Stage, type StageOptions } from '../src/cli/stage.js';
import { memoryStore, openJournal, type JournalStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan, type Plan } from '../src/plan.js';
import type { ScaleArgs } from '../src/args.js';
import { parsePlaybook } from '../src/playbook.js';
import { rollback } from '../src/rollback.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import { isMigrateError } from '../src/errors.js';
import type { SideArgs } from '../src/one-side.js';
import type { Seed, TwinObject } from '../src/twin/types.js';
import { crashing, engineOn, every, mustBeDone, planOn, quickShop, quickShopText, shipped, stageFor } from './shop.js';

/** Two clusters after the data phase: all is on both sides, and rests on the target. No traffic, so that nothing but sides changes. */

const ENTRIES = `
    - { workload: deployment shop/consumer }
    - { workload: [deployment shop/scaled, daemonset shop/agent], keptBy: [kustomization.kustomize.toolkit.fluxcd.io flux/shop] }
    - { workload: deployment dns/external-dns }
    - { suspend: cronjob shop/tick }
    - { suspend: cronjob shop/asleep }
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
      if (!String(object.metadata.name).startsWith('tick-')) return;
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
  try {
    const made = plan ?? changing(makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers));
    return { stage, plan: made, watched };
  } catch (error) {
    await stage.close();
    throw error;
  }
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
    assert.equal(plan.steps.length, 8);
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

/** One of each way to stop. */
const ONE_OF_EACH = `
    - { workload: deployment shop/scaled }
    - { suspend: cronjob shop/tick }
    - { field: { object: queue.example.com shop/orders, path: spec.consume.on, stopped: false } }
    - { name: shop/mailer, run: [./mailer, to], back: [./mailer, back] }`;

/** Killed after that many effects; then onward or back, with all watched from the first moment on. */
async function killed(at: number, plan: Plan, after: 'run' | 'rollback') {
  const crash = crashing(at);
  const lines: JournalStore = memoryStore();
  let revived = false;
  const { stage, watched } = await sceneOf(ONE_OF_EACH, {
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
  const { stage, plan } = await sceneOf(ONE_OF_EACH);
  await stage.close();
  const whole = await killed(Infinity, plan, 'run');
  const wrong: string[] = [];
  let points = 0;
  for (; ; points += every(2)) {
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
  t.diagnostic(`${points} points, every ${every(2)}. resumed and rolled back`);
  assert.ok(points > 18, `only ${points} points`);
  assert.deepEqual(wrong, []);
});

const journalOf = (stage: Stage, store: JournalStore) => engineOn(stage, store).journal;

async function replicasOn({ twin }: Stage, name: string): Promise<Record<Side, unknown>> {
  const of = async (side: Side) =>
    (await twin[side].api.get('apps/v1/deployments', 'shop', name))?.['spec'].replicas as unknown;
  return { source: await of('source'), target: await of('target') };
}

/** Changes an object of one side of the seed. */
function withChanged(side: Side, is: string, change: (object: TwinObject) => void): Seed {
  const world = seed();
  for (const it of world[side].objects as TwinObject[]) if (`${it.kind} ${it.metadata.name}` === is) change(it);
  return world;
}

test('what does not come up on the target runs on the source again before the step says so, and the way back finds nothing to do', async () => {
  const world = withChanged('target', 'Deployment consumer', (it) => {
    it['spec'].template.metadata.annotations = { 'twin/never-ready': 'true' };
  });
  const { stage, plan, watched } = await sceneOf('[{ workload: deployment shop/consumer }]', { world });
  try {
    const store = memoryStore();
    const outcome = await run(plan, ['traffic'], engineOn(stage, store));
    assert.ok(outcome.outcome === 'stopped' && isMigrateError(outcome.error, 'WORKLOAD_NOT_SETTLED'));
    assert.deepEqual(await replicasOn(stage, 'consumer'), { source: 3, target: 0 });
    mustBeDone(await rollback(undefined, engineOn(stage, store)));
    assert.deepEqual(await replicasOn(stage, 'consumer'), { source: 3, target: 0 });
    assert.deepEqual(watched.twice, []);
  } finally {
    await stage.close();
  }
});

/** A pod of it takes as long as it takes to be told that it may be ready. */
const endlessJob: TwinObject = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'import', namespace: 'shop' },
  spec: {
    template: {
      metadata: { labels: { job: 'import' } },
      spec: { restartPolicy: 'Never', nodeSelector: { not: 'there' }, containers: [{ name: 'a', image: 'a:1' }] },
    },
  },
};

const TRAFFIC = `traffic:
  steps: [100]
  services: [{ service: shop/web, router: exec, command: [./lb], deadline: 1m, sum: 100 }]`;

test('a Job is waited for, and its deadline leaves the CronJobs awake on the source; or it is left and named', async () => {
  for (const policy of ['wait', 'leave'] as const) {
    const world = seed();
    (world.source.objects as TwinObject[]).push(structuredClone(endlessJob));
    const { stage, plan, watched } = await sceneOf('[]', {
      world,
      more: `  jobs: ${policy}\n  jobsWithin: 5m\n${TRAFFIC}`,
    });
    try {
      assert.deepEqual(
        plan.steps.map((it) => it.id),
        ['traffic/cronjobs'],
      );
      const warnings: string[] = [];
      const outcome = await run(
        plan,
        ['traffic'],
        engineOn(stage, memoryStore(), (it) => void (it.type === 'warning' && warnings.push(it.what))),
      );
      const { api } = stage.twin[policy === 'wait' ? 'source' : 'target'];
      const path = policy === 'wait' ? 'batch/v1beta1/cronjobs' : 'batch/v1/cronjobs';
      assert.equal((await api.get(path, 'shop', 'tick'))?.['spec'].suspend, false);
      assert.equal((await api.get(path, 'shop', 'asleep'))?.['spec'].suspend, true, 'it was before');
      if (policy === 'wait') {
        assert.ok(outcome.outcome === 'stopped' && isMigrateError(outcome.error, 'JOBS_STILL_RUN'));
        assert.match(outcome.error.what, /shop\/import still runs/);
      } else {
        mustBeDone(outcome);
        assert.match(warnings.join(), /Job shop\/import still runs on the source/);
      }
      assert.deepEqual(watched.twice, []);
    } finally {
      await stage.close();
    }
  }
});

test('with the target dead the source works again, and what may still run there is owed', async () => {
  const { stage, plan } = await sceneOf('[{ workload: deployment shop/consumer }, { suspend: cronjob shop/tick }]');
  const { twin } = stage;
  try {
    const start = still(twin.snapshot());
    const store = memoryStore();
    mustBeDone(await run(plan, ['traffic'], engineOn(stage, store)));
    twin.target.down();
    mustBeDone(await rollback(undefined, engineOn(stage, store)));
    assert.equal((await replicasOn(stage, 'consumer')).source, 3);
    assert.match(JSON.stringify(journalOf(stage, store).debts()), /deployment shop\/consumer may still run there/);
    twin.target.up();
    mustBeDone(await rollback(undefined, engineOn(stage, store)));
    await twin.settle();
    assert.deepEqual(journalOf(stage, store).debts(), []);
    assert.deepEqual(differences(start, still(twin.snapshot())), []);
  } finally {
    await stage.close();
  }
});

test('what somebody else has set since is left on the way back, and named', async () => {
  const { stage, plan } = await sceneOf('[{ workload: deployment shop/consumer }]');
  try {
    const store = memoryStore();
    mustBeDone(await run(plan, ['traffic'], engineOn(stage, store)));
    await stage.twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'consumer', { spec: { replicas: 1 } });
    const warnings: string[] = [];
    const emit = (it: { type: string; what?: string }) => void (it.type === 'warning' && warnings.push(it.what ?? ''));
    mustBeDone(await rollback(undefined, engineOn(stage, store, emit)));
    assert.deepEqual(await replicasOn(stage, 'consumer'), { source: 1, target: 0 });
    assert.match(warnings.join(), /spec\.replicas 1: not ours, so it was left; before it was 3/);
  } finally {
    await stage.close();
  }
});

test('what is awake on the target before its time stops the step before anything is touched', async () => {
  const world = withChanged('target', 'Deployment external-dns', (it) => void (it['spec'].replicas = 1));
  const { stage, plan } = await sceneOf('[{ workload: deployment dns/external-dns }]', { world });
  try {
    const outcome = await run(plan, ['traffic'], engineOn(stage, memoryStore()));
    assert.ok(outcome.outcome === 'stopped' && isMigrateError(outcome.error, 'SIDE_AWAKE'));
    const found = await stage.twin.source.api.get('apps/v1/deployments', 'dns', 'external-dns');
    assert.equal(found?.['spec'].replicas, 1);
  } finally {
    await stage.close();
  }
});

test('a field behind a list can’t be set, and a kind that a side lacks can’t change sides', async () => {
  const field = (path: string) =>
    `[{ field: { object: queue.example.com shop/orders, path: ${path}, stopped: true } }]`;
  const { stage, plan } = await sceneOf(field('spec.size.paused'));
  try {
    const outcome = await run(plan, ['traffic'], engineOn(stage, memoryStore()));
    assert.ok(outcome.outcome === 'stopped' && isMigrateError(outcome.error, 'SIDE_UNFIT'));
  } finally {
    await stage.close();
  }
  for (const entry of [
    'suspend: topic.example.com shop/x',
    'workload: deployment shop/nobody',
    'suspend: cronjob tick',
  ])
    await assert.rejects(sceneOf(`[{ ${entry} }]`), (it) => isMigrateError(it, 'PLAN_SIDE_UNFIT'));
});

test('in a whole move it arrives stopped, is started by nothing else, and changes sides with its service', async () => {
  const text = quickShopText().replace(
    /^traffic:/m,
    `  oneSide:
    - { workload: deployment shop/scaled, with: shop/web }
    - { workload: daemonset shop/agent }
    - { workload: deployment shop/orders }
traffic:`,
  );
  const world = quickShop().seed;
  const kept = ['scaled', 'agent'];
  const more = objectsOf('source').filter(
    (it) =>
      it.kind === 'CustomResourceDefinition' || (kept.includes(it.metadata.name) && it.metadata.namespace === 'shop'),
  );
  for (const it of more) {
    const containers = (it['spec']?.template?.spec?.containers ?? []) as { image: string }[];
    for (const one of containers) one.image = `registry.cn-hangzhou.aliyuncs.com/shop/${one.image}.0.0`;
  }
  (world.source.objects as TwinObject[]).push(...more);
  (world.target.objects as TwinObject[]).push(...more.filter((it) => it.kind === 'CustomResourceDefinition'));
  const store = memoryStore();
  const { stage, plan, engine, start } = await stageFor(
    { playbook: parsePlaybook(text, 'shop.yaml'), seed: world },
    { clientsPerSecond: 5, store },
  );
  const { twin } = stage;
  try {
    const byId = new Map(plan.steps.map((it) => [it.id, it]));
    assert.deepEqual(byId.get('traffic/side/deployment/shop/scaled')?.after, ['traffic/100']);
    const started = byId.get('data/start/shop')?.args as ScaleArgs | undefined;
    assert.deepEqual(
      started?.workloads.map((it) => it.name),
      ['cart', 'web'],
    );
    const orders = byId.get('traffic/side/deployment/shop/orders')?.args as SideArgs | undefined;
    assert.equal(orders?.held[0]?.planned, 1, 'what it had before its disk was copied');
    assert.ok(plan.notes.some((it) => it.startsWith('deployment shop/orders rests from the copy of its disk')));
    assert.ok(!plan.notes.some((it) => it.includes('DaemonSets can')), 'this one arrives stopped');

    for (const side of SIDES) await playKeda(stage, side);
    mustBeDone(await run(plan, ['data'], engine));
    await twin.settle();
    const pods = async (side: Side, app: string) =>
      (await twin[side].api.list('v1/pods', 'shop')).filter((it) => it.metadata.labels?.app === app).length;
    for (const app of ['scaled', 'agent', 'orders']) assert.equal(await pods('target', app), 0, app);
    assert.deepEqual([await pods('source', 'scaled'), await pods('source', 'agent')], [1, 3]);
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    await twin.settle();
    for (const app of ['scaled', 'agent', 'orders']) {
      assert.equal(await pods('source', app), 0, app);
      assert.ok((await pods('target', app)) > 0, app);
    }
    mustBeDone(await rollback(undefined, engineOn(stage, store)));
    await twin.settle();
    assert.deepEqual(differences(still(start), still(twin.snapshot())), []);
  } finally {
    await stage.close();
  }
});

test('a wave is over when its own have changed sides', async () => {
  const { playbook, seed: world } = shipped('waves');
  const stage = await openStage(playbook, world, { clientsPerSecond: 5 });
  try {
    const data = {
      ...(playbook.data ?? assert.fail()),
      oneSide: playbookOf('[{ workload: deployment mall/cart }]').data?.oneSide.map((it) => ({ ...it, wave: 1 })) ?? [],
    };
    const plan = await planOn(stage, { ...playbook, data });
    const after = (id: string) => plan.steps.find((it) => it.id === id)?.after ?? [];
    const side = 'traffic/side/deployment/mall/cart';
    assert.deepEqual(after(side), ['traffic/100/mall/cart']);
    assert.ok(after('traffic/25/mall/orders').includes(side));
  } finally {
    await stage.close();
  }
});

test('an entry that says too much, too little or something unknown is complained about where it stands', () => {
  const wrong: [entry: string, complaint: RegExp][] = [
    ['{ with: shop/web }', /data\.oneSide\[0\]: says not how it is stopped/],
    ['{ workload: deployment shop/a, suspend: cronjob shop/a }', /says workload and suspend: one of them/],
    ['{ workload: pod shop/a }', /oneSide\[0\]\.workload: "pod shop\/a" is not e\.g\./],
    ['{ suspend: cronjob shop/a, keptBy: [cronjob shop/b] }', /keptBy: is for entries with `workload`/],
    ['{ workload: [deployment shop/a, deployment shop/a] }', /names deployment shop\/a a second time/],
    ['{ suspend: job shop/a }', /Jobs stay where they run/],
    ['{ run: [./a] }', /back: and `run` need each other/],
    ['{ field: { object: a.b c/d, path: "metadata.annotations[x]", stopped: true } }', /write it in quotes/],
    ['{ workload: deployment shop/a, with: shop/web }', /with: shop\/web is not among/],
    ['{ workload: deployment shop/a, wave: 2 }', /no service of `traffic\.services` is in wave 2/],
    [
      '{ workload: deployment shop/a }, { workload: deployment shop/a }',
      /oneSide\[1\]: names deployment shop\/a a second/,
    ],
    ['{ workloads: deployment shop/a }', /did you mean `workload`/],
  ];
  for (const [entry, complaint] of wrong)
    assert.throws(
      () => playbookOf(`[${entry}]`),
      (it) => isMigrateError(it, 'PLAYBOOK_INVALID') && complaint.test(it.what),
      entry,
    );
});

test('a draft names what looks as if it worked by itself, to be uncommented', () => {
  const draft = {
    name: 'shop',
    sourceContext: 'old',
    targetContext: 'new',
    versions: { source: 'v1.20.15', target: 'v1.36.3' },
    namespaces: ['shop'],
    storageClasses: {},
    zones: [],
    services: [],
    alone: [
      { path: 'shop/mail-worker', moves: true },
      { path: 'dns/external-dns', moves: false },
    ],
  };
  const text = draftOf(draft);
  assert.deepEqual(parsePlaybook(text, 'x').data?.oneSide, []);
  assert.deepEqual(parsePlaybook(text.replace(/^ {2}# (oneSide:| {2}- )/gm, '  $1'), 'x').data?.oneSide, [
    { workload: 'deployment shop/mail-worker' },
    { workload: 'deployment dns/external-dns' },
  ]);
  assert.ok(!draftOf({ ...draft, alone: [] }).includes('oneSide'));
});
