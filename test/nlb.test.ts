import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { checks } from '../checks/index.js';
import { differences } from '../src/cli/rehearse.js';
import { openStage } from '../src/cli/stage.js';
import { isMigrateError } from '../src/errors.js';
import type { EventBody } from '../src/events.js';
import { memoryStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan } from '../src/plan.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { Call, Tap } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import type { Json, Seed } from '../src/twin/types.js';
import { BALANCER, GROUP, pairOf, type PairOptions } from './pair.js';
import { killedAt } from './killed.js';
import { crashing, engineOn, every, mustBeDone, ROOT, shipped, stageFor } from './shop.js';

interface Move {
  playbook: Playbook;
  seed: Seed;
}

/** A shipped playbook with short holds and without gates. */
function quick(name: string, rewrite: (text: string) => string = (text) => text): Playbook {
  const text = readFileSync(path.join(ROOT, `playbooks/${name}.yaml`), 'utf8');
  return parsePlaybook(
    rewrite(text.replace(/^ {2}hold: .*$/m, '  hold: 3s').replace(/^ {2}gates:\n(?: {4}.*\n)+/m, '')),
    `${name}.yaml`,
  );
}

const UID = '6f2a1c3d-5b7e-4f80-91a2-b3c4d5e6f708';
const MARK = `a${UID.replaceAll('-', '')}`.slice(0, 32);
const OWN_TAGS = { 'kubernetes.do.not.delete': MARK, 'ack.aliyun.com': 'c-press-124' };

/** The hand-over that is shipped for a classic load balancer, with a network load balancer in its place. */
function handOver(): Move {
  const playbook = quick('handover', (text) =>
    text.replace('router: clb', 'router: nlb').replace(/^ {2}steps: .*$/m, '  steps: [100]'),
  );
  const text = readFileSync(path.join(ROOT, 'playbooks/handover.world.yaml'), 'utf8')
    .replaceAll('lb-press', 'nlb-press')
    .replaceAll('rsp-press', 'sgp-press')
    .replaceAll(/k8s\/(\d+)\/site\/press\/c-press-124/g, 'k8s.$1.TCP.site.press.c-press-124')
    .replaceAll('scheduler: rr', 'scheduler: wrr')
    .replaceAll('v2.12.1', 'v2.14.0');
  const seed = parse(text, { maxAliasCount: -1 }) as Seed;
  seed.source.ccm = { version: '2.14.0', clusterId: 'c-press-124', backendMode: 'eni' };
  const service = (seed.source.objects as Json[]).find((it) => it.kind === 'Service' && it.metadata.name === 'site');
  service.spec.loadBalancerClass = 'alibabacloud.com/nlb';
  service.metadata.annotations['service.beta.kubernetes.io/alibaba-cloud-loadbalancer-zone-maps'] =
    'cn-hangzhou-h:vsw-press-h,cn-hangzhou-j:vsw-press-j';
  const [balancer] = seed.cloud.loadBalancers;
  assert.ok(balancer);
  for (const group of balancer.groups) group.tags = OWN_TAGS;
  return { playbook, seed };
}

async function thereAndBack(move: Move, tap?: Tap) {
  const store = memoryStore();
  const events: EventBody[] = [];
  const { stage, plan, engine, start } = await stageFor(move, {
    store,
    clientsPerSecond: 40,
    emit: (event) => events.push(event),
    ...(tap && { tap }),
  });
  try {
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    await stage.twin.settle();
    const end: Json = stage.twin.snapshot();
    const counts = stage.twin.clients.counts();
    mustBeDone(await rollback(undefined, engineOn(stage, store)));
    await stage.twin.settle();
    return { plan, start, end, events, there: counts, back: stage.twin.clients.counts(), world: stage.twin.snapshot() };
  } finally {
    await stage.close();
  }
}

test('a front behind a network load balancer goes over share by share and back, and no request fails', async () => {
  const { plan, start, world, events, there, back } = await thereAndBack({
    playbook: quick('nlb'),
    seed: shipped('nlb').seed,
  });
  assert.deepEqual(
    plan.steps.filter((it) => it.phase === 'traffic').map((it) => it.id),
    ['traffic/attach', 'traffic/1', 'traffic/5', 'traffic/20', 'traffic/50', 'traffic/100'],
  );
  for (const it of events)
    if (it.type === 'share') assert.ok(Math.abs(it.measured - it.asked) <= 1, JSON.stringify(it));
  assert.equal(there.failed, 0);
  assert.ok(there.target > 0);
  assert.equal(back.failed, 0);
  assert.deepEqual(differences(start, world), []);
});

/** Two clusters of any size behind one network load balancer. */
function pair(options: PairOptions): Move {
  const { text, seed } = pairOf(options);
  const rewritten = JSON.parse(
    JSON.stringify(seed).replaceAll(BALANCER, `n${BALANCER}`).replaceAll(GROUP, GROUP.replace('rsp', 'sgp')),
  ) as Seed;
  for (const it of rewritten.source.objects as Json[])
    if (it.kind === 'Service') it.spec.loadBalancerClass = 'alibabacloud.com/nlb';
  const playbook = text.replace('router: clb', 'router: nlb').replace(GROUP, GROUP.replace('rsp', 'sgp'));
  return { playbook: parsePlaybook(playbook, 'pair.yaml'), seed: rewritten };
}

/** Without preflight: what is tried is the router. */
async function on(move: Move, tap?: Tap) {
  const stage = await openStage(move.playbook, move.seed, tap ? { tap } : {});
  const plan = makePlan(move.playbook, await takeInventory(move.playbook, stage.world, checks), routers);
  return { stage, plan, start: stage.twin.snapshot() as unknown, store: memoryStore() };
}

for (const [name, pods, asked] of [
  ['95 to 5 over 20 and 20 pods', 20, 5],
  ['90 to 10 over 100 and 100 pods', 100, 10],
] as const)
  test(`${name} is reached member by member, in calls of at most 40 whose jobs are waited for, and given back`, async () => {
    const calls: Call[] = [];
    const move = pair({ source: { pods }, target: { pods }, traffic: `steps: [${asked}], hold: 3s, tolerance: 0.1` });
    const { stage, plan, start, store } = await on(move, (call, send) => {
      calls.push(call);
      return send();
    });
    try {
      const shares: number[] = [];
      const engine = engineOn(stage, store, (it) => it.type === 'share' && shares.push(it.measured));
      mustBeDone(await run(plan, ['traffic'], engine));
      assert.ok(Math.abs((shares[0] ?? NaN) - asked) <= 0.1, `${shares[0]} %`);
      const verbs = (verb: string): number => calls.filter((it) => it.verb === verb).length;
      assert.ok(verbs('UpdateServerGroupServersAttribute') >= Math.ceil(pods / 40));
      assert.ok(verbs('GetJobStatus') >= verbs('UpdateServerGroupServersAttribute'));
      mustBeDone(await rollback(undefined, engineOn(stage, store)));
      await stage.twin.settle();
      assert.deepEqual(differences(start, stage.twin.snapshot()), []);
      assert.equal(stage.twin.clients.counts().failed, 0);
    } finally {
      await stage.close();
    }
  });

for (const mode of ['cluster', 'local'] as const)
  test(`nodes by ${mode === 'local' ? 'their pods' : 'node port'} go over by annotation, to 100 % and back`, async () => {
    const half = { mode, nodes: 3, pods: 4 };
    const move = pair({ source: half, target: half, traffic: 'steps: [50, 100], hold: 3s, tolerance: 2' });
    const { stage, plan, start, store } = await on(move);
    try {
      mustBeDone(await run(plan, ['traffic'], engineOn(stage, store)));
      const { Servers } = await stage.twin.cloud.api.call('Nlb', 'ListServerGroupServers', {
        ServerGroupId: 'sgp-web',
      });
      const weightOf = (cluster: string): number =>
        Servers.filter((it: Json) => it.Description.endsWith(cluster)).reduce(
          (sum: number, it: Json) => sum + it.Weight,
          0,
        );
      assert.equal(weightOf('c-old'), 0);
      assert.ok(weightOf('c-new') > 0);
      mustBeDone(await rollback(undefined, engineOn(stage, store)));
      await stage.twin.settle();
      assert.deepEqual(differences(start, stage.twin.snapshot()), []);
      assert.equal(stage.twin.clients.counts().failed, 0);
    } finally {
      await stage.close();
    }
  });

test('members that a scale-out brings while a share is held are weighed like the others', async () => {
  const move = pair({ source: { pods: 60 }, target: { pods: 60 }, traffic: 'steps: [10], hold: 5m, tolerance: 0.5' });
  const { stage, plan, store } = await on(move);
  try {
    let scaled = false;
    const shares: number[] = [];
    const engine = engineOn(stage, store, (it) => {
      if (it.type === 'share') shares.push(it.measured);
      if (it.type !== 'hold' || it.elapsedMs <= 60_000 || scaled) return;
      scaled = true;
      void stage.world.target.patch(
        { kind: 'Deployment.apps', namespace: 'shop', name: 'web' },
        { spec: { replicas: 90 } },
      );
    });
    mustBeDone(await run(plan, ['traffic'], engine));
    const members = stage.twin.cloud.api
      .listenerBackends('nlb-web', 80)!
      .filter((it) => it.description.endsWith('c-new'));
    assert.equal(members.length, 90);
    assert.ok(Math.abs((shares.at(-1) ?? NaN) - 10) <= 0.5, shares.join());
    assert.equal(stage.twin.clients.counts().failed, 0);
  } finally {
    await stage.close();
  }
});

test('a target whose API server is dead is set at the load balancer, and what its Service must say is owed', async () => {
  const move = pair({ source: { pods: 3 }, target: { pods: 3 }, traffic: 'steps: [50], hold: 3s, tolerance: 2' });
  const { stage, plan, store } = await on(move);
  try {
    mustBeDone(await run(plan, ['traffic'], engineOn(stage, store)));
    stage.twin.target.down();
    const outcome = await rollback(undefined, engineOn(stage, store));
    assert.equal(outcome.outcome, 'done');
    const weights = stage.twin.cloud.api
      .listenerBackends('nlb-web', 80)!
      .map((it) => [it.description.slice(-5), it.weight]);
    assert.ok(
      weights.every(([cluster, weight]) => (cluster === 'c-old') === (weight !== 0)),
      JSON.stringify(weights),
    );
    assert.equal(stage.twin.clients.counts().failed, 0);
  } finally {
    await stage.close();
  }
});

test('a Service of another class on the target is refused before anything is written', async () => {
  const move = pair({ source: { pods: 3 }, target: { pods: 3 }, traffic: 'steps: [100], hold: 3s' });
  const service = (move.seed.target.objects as Json[]).find((it) => it.kind === 'Service');
  service.spec.type = 'LoadBalancer';
  service.spec.loadBalancerClass = 'example.com/other';
  const { stage, plan, store } = await on(move);
  try {
    const outcome = await run(plan, ['traffic'], engineOn(stage, store));
    assert.ok(outcome.outcome === 'stopped' && isMigrateError(outcome.error, 'SERVICE_CLASS'));
  } finally {
    await stage.close();
  }
});

test('a network load balancer of the controller’s making is handed over by renaming its groups, and given back whole', async () => {
  const { plan, start, end, world, there, back } = await thereAndBack(handOver());
  assert.deepEqual(plan.steps.map((it) => it.kind).slice(0, 4), ['rollouts', 'nlb-hand-over', 'rollouts', 'attach']);
  const { nlb } = end.cloud;
  assert.deepEqual(
    nlb.groups.map((it: Json) => [it.id, it.name, it.tags, it.servers.length]),
    [
      ['sgp-press-http', 'press-site-80', {}, 8],
      ['sgp-press-https', 'press-site-443', {}, 8],
    ],
  );
  assert.deepEqual(nlb.loadBalancers[0].tags, {});
  assert.deepEqual(nlb.loadBalancers[0].listeners.map((it: Json) => it.group).toSorted(), [
    'sgp-press-http',
    'sgp-press-https',
  ]);
  assert.equal(there.failed, 0);
  assert.ok(there.target > 0);
  assert.equal(back.failed, 0);
  assert.deepEqual(differences(start, world), []);
});

test('with its data on the way too, the Service arrives without an address and joins once the load balancer was handed over', async () => {
  const { seed } = shipped('nlb');
  const service = (seed.source.objects as Json[]).find((it) => it.kind === 'Service' && it.metadata.name === 'web');
  service.metadata.uid = UID;
  service.metadata.annotations = {
    'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-zone-maps':
      'cn-hangzhou-h:vsw-shop-h,cn-hangzhou-j:vsw-shop-j',
  };
  const [balancer] = seed.cloud.loadBalancers;
  assert.ok(balancer?.groups[0]);
  const tags = { ...OWN_TAGS, 'ack.aliyun.com': 'c-shop-a' };
  Object.assign(balancer, { name: MARK, tags });
  Object.assign(balancer.groups[0], { name: 'k8s.31080.TCP.web.shop.c-shop-a', tags });
  const playbook = quick('nlb', (text) =>
    text
      .replace('group: sgp-shop, port: 80', 'handOver: true, port: 80')
      .replace(/^source: \{ /m, 'source: { ccm: 2.14.0, ')
      .replace(/^ {2}steps: .*$/m, '  steps: [100]'),
  );
  const { start, world, there, back } = await thereAndBack({ playbook, seed });
  assert.equal(there.failed, 0);
  assert.ok(there.target > 0);
  assert.equal(back.failed, 0);
  assert.deepEqual(differences(start, world), []);
});

test('an edit of the Service and a pod that goes after any write of the hand-over cost no request', async () => {
  const move = handOver();
  const wrong: string[] = [];
  for (const at of [2, 4, 5, 7]) {
    let writes = 0;
    let disturb: (() => Promise<void>) | undefined;
    const store = memoryStore();
    const { stage, plan, engine, start } = await stageFor(move, {
      store,
      clientsPerSecond: 40,
      tap: async (call, send) => {
        const reply = await send();
        if (call.writes && ++writes === at) await disturb?.();
        return reply;
      },
    });
    disturb = async () => {
      disturb = undefined;
      const { api } = stage.twin.source;
      const [pod] = await api.list('v1/pods', 'press');
      await api.mergePatch('v1/services', 'press', 'site', { metadata: { annotations: { touched: String(at) } } });
      await api.delete('v1/pods', 'press', pod!.metadata.name);
    };
    try {
      writes = 0;
      mustBeDone(await run(plan, ['traffic'], engine));
      mustBeDone(await rollback(undefined, engineOn(stage, store)));
      await stage.twin.source.api.mergePatch('v1/services', 'press', 'site', {
        metadata: { annotations: { touched: null } },
      });
      await stage.twin.settle();
      const { failed } = stage.twin.clients.counts();
      if (failed > 0) wrong.push(`after write ${at}: ${failed} requests failed`);
      const places = differences(start, stage.twin.snapshot());
      if (places.length > 0) wrong.push(`after write ${at}: ${places.slice(0, 3).join('; ')}`);
    } catch (error) {
      wrong.push(`after write ${at}: ${String(error)}`);
    } finally {
      await stage.close();
    }
  }
  assert.deepEqual(wrong, []);
});

test('killed at any point, the hand-over and the shift go on to the same end and back to the same start', async (t) => {
  const move = handOver();
  const first = crashing(Infinity);
  const whole = await stageFor(move, { tap: first.tap, store: first.wrap(memoryStore()), clientsPerSecond: 5 });
  first.arm();
  mustBeDone(await run(whole.plan, ['traffic'], whole.engine));
  await whole.stage.twin.settle();
  const end = whole.stage.twin.snapshot() as unknown;
  const { plan, start } = whole;
  await whole.stage.close();
  const points = first.effects();
  t.diagnostic(`${plan.steps.length} steps, ${points + 1} points, every ${every(3)}. resumed or rolled back`);

  const wrong: string[] = [];
  for (let at = 0; at <= points; at += every(3)) {
    // Taken in turn, for the time that it takes; the classic load balancer's move is tried both ways at each point.
    for (const after of at % 2 === 0 ? (['run'] as const) : (['rollback'] as const)) {
      try {
        const { world, failed } = await killedAt(at, move, { plan, phases: ['traffic'], after });
        const places = differences(after === 'run' ? end : start, world);
        if (places.length > 0) wrong.push(`point ${at}, ${after}: ${places.slice(0, 3).join('; ')}`);
        if (failed > 0) wrong.push(`point ${at}, ${after}: ${failed} requests failed`);
      } catch (error) {
        wrong.push(`point ${at}, ${after}: ${String(error)}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});
