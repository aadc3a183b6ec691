import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { differences } from '../src/cli/rehearse.js';
import type { EventBody } from '../src/events.js';
import { memoryStore } from '../src/journal.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { Tap } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import type { Json, Seed } from '../src/twin/types.js';
import { crashing, engineOn, mustBeDone, ROOT, shipped, stageFor } from './shop.js';

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
    const end = stage.twin.snapshot() as Json;
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
  t.diagnostic(`${plan.steps.length} steps, ${points + 1} points: each was resumed or rolled back`);

  const wrong: string[] = [];
  for (let at = 0; at <= points; at++) {
    // Taken in turn, for the time that it takes; the classic load balancer's move is tried both ways at each point.
    for (const after of at % 2 === 0 ? (['run'] as const) : (['rollback'] as const)) {
      const crash = crashing(at);
      const lines = memoryStore();
      let revived = false;
      const { stage, engine } = await stageFor(move, {
        tap: (call, send) => (revived ? send() : crash.tap(call, send)),
        store: crash.wrap(lines),
        plan,
        clientsPerSecond: 5,
      });
      try {
        crash.arm();
        await run(plan, ['traffic'], engine).catch(() => undefined);
        assert.ok(crash.crashed(), `point ${at} was not reached`);
        revived = true;
        const again = engineOn(stage, lines);
        mustBeDone(after === 'run' ? await run(plan, ['traffic'], again) : await rollback(undefined, again));
        await stage.twin.settle();
        const places = differences(after === 'run' ? end : start, stage.twin.snapshot());
        if (places.length > 0) wrong.push(`point ${at}, ${after}: ${places.slice(0, 3).join('; ')}`);
        const { failed } = stage.twin.clients.counts();
        if (failed > 0) wrong.push(`point ${at}, ${after}: ${failed} requests failed`);
      } catch (error) {
        wrong.push(`point ${at}, ${after}: ${String(error)}`);
      } finally {
        await stage.close();
      }
    }
  }
  assert.deepEqual(wrong, []);
});
