import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, test } from 'node:test';
import { httpWeb } from '../src/cli/web.js';
import type { Engine } from '../src/engine.js';
import { MigrateError } from '../src/errors.js';
import type { EventBody } from '../src/events.js';
import { memoryStore, openJournal } from '../src/journal.js';
import { parsePlaybook } from '../src/playbook.js';
import { rehearse } from '../src/cli/rehearse.js';
import { run } from '../src/run.js';
import type { Twin } from '../src/twin/twin.js';
import type { Seed } from '../src/twin/types.js';
import { quickShopText, shipped, stageFor, type Rehearsal } from './shop.js';

/**
 * Gates in whole rehearsals: a target that is ready and answers errors, which only they can see. The share goes back to the last one that
 * was verified, or stays where a person is asked, and clients lose no more than that share of their requests meanwhile.
 */

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

type GateEvent = Extract<EventBody, { type: 'gate' }>;

interface Scene extends Rehearsal {
  events: EventBody[];
  gates: (name: string) => GateEvent[];
}

/** The twin serves no metrics; minimum and maximum are all that its autoscalers know. */
const UNSCALED =
  '    - { check: autoscaling, about: horizontalpodautoscaler shop/web, because: no metrics here, owner: web, until: 2027-03-31 }\n';

/** The quick shop with gates, and what is done to it at the first look of a hold at that share. */
async function scene(
  gates: string,
  {
    hold = '1m',
    at,
    strike,
    web,
    steps = '[5, 20]',
    seed = shipped('shop').seed,
  }: {
    hold?: string;
    at?: number;
    strike?: (twin: Twin) => Promise<void>;
    web?: boolean;
    steps?: string;
    seed?: Seed;
  } = {},
): Promise<Scene> {
  const text = quickShopText()
    .replace('hold: 3s', `hold: ${hold}`)
    .replace('  waive:\n', `  waive:\n${UNSCALED}`)
    .replace(/^ {2}steps: .*$/m, `  steps: ${steps}`);
  const playbook = parsePlaybook(`${text.trimEnd()}\n  gates:\n${gates}`, 'shop.yaml');
  const events: EventBody[] = [];
  let struck = false;
  const rehearsal: Rehearsal = await stageFor(
    { playbook, seed },
    {
      emit(event) {
        events.push(event);
        if (struck || event.type !== 'hold' || event.step !== `traffic/${at}`) return;
        struck = true;
        void strike?.(rehearsal.stage.twin);
      },
      ...(web && { web: httpWeb({}) }),
    },
  );
  closing.push(() => rehearsal.stage.close());
  return {
    ...rehearsal,
    events,
    gates: (name) => events.flatMap((it) => (it.type === 'gate' && it.gate === name ? [it] : [])),
  };
}

const resumed = ({ engine }: Scene, more: Partial<Engine> = {}): Engine => ({ ...engine, ...more });

/** Every pod of the front Service on the target stays ready and fails this share of its requests. */
const failing = (share: number) => async (twin: Twin) => {
  for (const pod of await twin.target.api.list('v1/pods', 'shop'))
    if (pod.metadata.labels?.app === 'web')
      await twin.target.api.mergePatch('v1/pods', 'shop', pod.metadata.name, {
        metadata: { annotations: { 'twin/errors': String(share) } },
      });
};

async function shares({ stage }: Scene): Promise<number> {
  const members = await stage.world.cloud.backends('rsp-shop');
  const of = (side: string) =>
    members.filter((it) => it.description.endsWith(side)).reduce((sum, it) => sum + it.weight, 0);
  return (100 * of('c-shop-136')) / (of('c-shop-120') + of('c-shop-136'));
}

const stopped = async (it: Scene, engine: Engine = it.engine): Promise<MigrateError> => {
  const outcome = await run(it.plan, ['data', 'traffic'], engine);
  assert.equal(outcome.outcome, 'stopped');
  assert.ok(
    outcome.outcome === 'stopped' && outcome.error instanceof MigrateError,
    String((outcome as { error?: unknown }).error),
  );
  return outcome.error;
};

/** A Prometheus over the twin's own clients, in real HTTP. */
async function prometheusOver(twin: () => Twin): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      const form = new URLSearchParams(body);
      const query = form.get('query') ?? '';
      asked.push(query);
      const [start, end, step] = ['start', 'end', 'step'].map((it) => Number(form.get(it))) as [number, number, number];
      const values = Array.from({ length: Math.round((end - start) / step) + 1 }, (_, index) => {
        const until = start + index * step;
        const seen = twin().clients.share({ since: (until - step) * 1000, until: until * 1000 });
        const errors = query.includes('target') ? seen.failed : 0;
        return [
          until,
          String(query.startsWith('errors') ? errors : (query.includes('target') ? seen.target : seen.source) + errors),
        ];
      });
      response.end(
        JSON.stringify({ status: 'success', data: { resultType: 'matrix', result: [{ metric: {}, values }] } }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => (server.closeAllConnections(), server.close()));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test('a target that begins to fail is seen by the probe, and the share goes back to the last one verified', async (t) => {
  const it = await scene("    - { probe: 'http://shop.example.com/healthz', every: 500ms, failures: 1%, bad: 10% }\n", {
    at: 20,
    hold: '30s',
    strike: failing(1),
  });
  const error = await stopped(it);
  assert.equal(error.code, 'GATE_FAILED');
  assert.match(error.what, /^Gate probe broke at 20 % of shop\/web: \d+ of \d+ probes failed/);
  const share = await shares(it);
  assert.ok(Math.abs(share - 5) <= 1, `${share} %`);
  assert.equal(it.engine.journal.record('traffic/20'), undefined, 'undone');
  assert.equal(it.engine.journal.record('traffic/5')?.state, 'done');
  const kept = it.engine.journal
    .entries()
    .flatMap((one) => (one.type === 'gate' && one.outcome === 'fail' ? [one] : []));
  assert.equal(kept.length, 1);
  assert.ok((kept[0]?.evidence.errors ?? 0) >= 2);
  assert.ok(JSON.stringify(kept).length < 2000);
  // A fifth of the connections failed from the fault until the share was back; what is left at 5 % fails on.
  const { sent, failed, longestPauseMs } = it.stage.twin.clients.counts();
  t.diagnostic(`${failed} of ${sent} requests failed, longest pause ${longestPauseMs} ms`);
  assert.ok(failed > 0, 'the fault was real');
  const perSecond = shipped('shop').seed.clients?.reduce((sum, one) => sum + one.perSecond, 0) ?? 0;
  assert.ok(failed <= 0.2 * 20 * perSecond + 5, `${failed} failed`);
});

test('a Prometheus that counts by side stops a target that fails every second request', async (t) => {
  let twin: Twin | undefined;
  const { url, asked } = await prometheusOver(() => twin as Twin);
  const it = await scene(
    `    - { prometheus: '${url}', errors: 'errors{target}[$window]', requests: 'all{target}[$window]', against: { errors: 'errors{source}[$window]', requests: 'all{source}[$window]' }, every: 10s, failures: 1%, bad: 10% }\n`,
    { at: 20, strike: failing(0.5), web: true },
  );
  ({ twin } = it.stage);
  const error = await stopped(it);
  assert.equal(error.code, 'GATE_FAILED');
  assert.match(error.what, /Gate prometheus broke at 20 %/);
  assert.ok(Math.abs((await shares(it)) - 5) <= 1);
  assert.ok(asked.includes('errors{target}[10s]'));
  const last = it.gates('prometheus').findLast((one) => one.state === 'fail');
  assert.ok((last?.evidence?.sides?.target?.errors ?? 0) > 0);
  assert.equal(last?.evidence?.sides?.source?.errors, 0);
  t.diagnostic(last?.why ?? '');
});

test('a clear pass ends the hold after its least time, and saves the rest', async () => {
  const it = await scene("    - { probe: 'http://shop.example.com/healthz', every: 100ms }\n", { hold: '20m' });
  const plan = {
    ...it.plan,
    steps: it.plan.steps.map((step) =>
      step.kind === 'shift' ? { ...step, args: { ...(step.args as object), leastMs: 10_000 } } : step,
    ),
  };
  const outcome = await run(plan, ['data', 'traffic'], it.engine);
  assert.equal(outcome.outcome, 'done');
  const holds = it.events.flatMap((one) => (one.type === 'hold' && one.step === 'traffic/20' ? [one.elapsedMs] : []));
  const longest = Math.max(...holds);
  assert.ok(longest >= 15_000 && longest < 60_000, `${longest} ms`);
  assert.deepEqual(
    it.engine.journal.entries().flatMap((one) => (one.type === 'gate' ? [`${one.step} ${one.outcome}`] : [])),
    ['traffic/5 pass', 'traffic/20 pass'],
  );
});

test('what is undecided goes back by default, and waits for a person where the playbook says pause', async () => {
  // A webhook that never agrees is never a failure either.
  const hook = createServer((_request, response) => response.writeHead(403).end('change freeze'));
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  closing.push(() => (hook.closeAllConnections(), hook.close()));
  const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`;
  const back = await scene(`    - { webhook: '${url}', every: 5s }\n`, { hold: '20s', web: true });
  const error = await stopped(back);
  assert.equal(error.code, 'GATE_INCONCLUSIVE');
  assert.match(error.what, /holds: 403 change freeze/);
  assert.equal(await shares(back), 0);

  const stays = await scene(`    - { webhook: '${url}', every: 5s, onFail: pause }\n`, { hold: '20s', web: true });
  const waits = await stopped(stays);
  assert.equal(waits.code, 'GATE_WAITS');
  assert.ok(waits.stays);
  assert.ok(Math.abs((await shares(stays)) - 5) <= 1, 'the share stays');
  assert.equal(stays.engine.journal.record('traffic/5')?.state, 'verified');
  assert.ok(stays.events.some((one) => one.type === 'step' && one.step === 'traffic/5' && one.state === 'waiting'));
  // Run again watches once more; an approval lets it go on, and is asked for anew by the next step.
  assert.equal((await stopped(stays)).code, 'GATE_WAITS');
  stays.engine.journal.write({ type: 'approved', step: 'traffic/5', by: 'jane@ops' });
  const next = await stopped(stays);
  assert.match(next.what, /20 %/);
  assert.equal(stays.engine.journal.record('traffic/5')?.state, 'done');
  assert.ok(stays.gates('approve').some((one) => one.step === 'traffic/5' && one.why.startsWith('jane@ops')));
});

test('a share that needs an approval is not begun before, and the journal says who gave it and when', async () => {
  const it = await scene('    - { approve: [20] }\n', { hold: '1s' });
  const error = await stopped(it);
  assert.equal(error.code, 'APPROVAL_NEEDED');
  assert.match(error.fix, /migrate run --approve traffic\/20/);
  assert.equal(it.engine.journal.record('traffic/20'), undefined);
  assert.ok(Math.abs((await shares(it)) - 5) <= 1, 'the last verified share serves');
  const questions: string[] = [];
  const asking = resumed(it, {
    approve: (question) => {
      questions.push(question);
      return Promise.resolve('jane@ops');
    },
  });
  assert.equal((await run(it.plan, ['data', 'traffic'], asking)).outcome, 'done');
  assert.deepEqual(questions, ['Give 20 % of shop/web to the target (traffic/20)?']);
  const approval = it.engine.journal.entries().find((one) => one.type === 'approved' && one.step === 'traffic/20');
  assert.equal(approval?.type === 'approved' && approval.by, 'jane@ops');
  assert.ok(!Number.isNaN(Date.parse(approval?.at ?? '')));
});

/** The shop with an autoscaler of 2 to `max` on its front, which arrives with the rest. */
async function scaledShop(max: number, strike?: (twin: Twin) => Promise<void>): Promise<Scene> {
  const { seed } = shipped('shop');
  const objects = seed.source.objects as Record<string, unknown>[];
  const scaler = {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: 2,
      maxReplicas: max,
    },
  };
  return scene('    - { capacity: 50%, prescale: true, every: 1s }\n', {
    hold: '5s',
    steps: '[50, 100]',
    seed: { ...seed, source: { ...seed.source, objects: [...objects, scaler] as typeof seed.source.objects } },
    ...(strike && { at: 100, strike }),
  });
}

const minimum = async ({ stage }: Scene) =>
  (await stage.twin.target.api.get('autoscaling/v1/horizontalpodautoscalers', 'shop', 'web'))?.['spec']
    .minReplicas as number;
const replicas = async ({ stage }: Scene) =>
  (await stage.twin.target.api.get('apps/v1/deployments', 'shop', 'web'))?.['spec'].replicas as number;

test('an autoscaler’s minimum is raised before a share that needs more, and put back when the hold is over', async () => {
  const it = await scaledShop(10);
  const outcome = await run(it.plan, ['data', 'traffic'], it.engine);
  if (outcome.outcome === 'stopped') throw outcome.error;
  const before = it.engine.journal.record('traffic/100')?.before as { scaled?: unknown };
  assert.deepEqual(before.scaled, {
    side: 'target',
    scaler: { kind: 'HorizontalPodAutoscaler.autoscaling', name: 'web', namespace: 'shop' },
    was: 2,
    to: 6,
  });
  const earlier = it.engine.journal.record('traffic/50')?.before as { scaled?: unknown } | undefined;
  assert.equal(earlier?.scaled, undefined);
  assert.equal(await minimum(it), 2);
  assert.equal(await replicas(it), 6, 'the pods stay until their load goes');
  assert.match(it.gates('capacity').find((one) => one.step === 'traffic/100')?.why ?? '', /minimum goes from 2 to 6/);
  assert.equal(it.stage.twin.clients.counts().failed, 0);
});

test('a minimum that somebody else changed meanwhile is theirs', async () => {
  const it = await scaledShop(10, async (twin) => {
    await twin.target.api.mergePatch('autoscaling/v1/horizontalpodautoscalers', 'shop', 'web', {
      spec: { minReplicas: 7 },
    });
  });
  assert.equal((await run(it.plan, ['data', 'traffic'], it.engine)).outcome, 'done');
  assert.equal(await minimum(it), 7);
  assert.ok(
    it.events.some((one) => one.type === 'warning' && /neither ours \(6\) nor the one before \(2\)/.test(one.what)),
  );
});

test('a share that the autoscaler may not grow to waits at the one before, and says why', async () => {
  const it = await scaledShop(5);
  const error = await stopped(it);
  assert.equal(error.code, 'GATE_WAITS');
  assert.match(error.what, /4 ready on the target, 100 % there needs 6; its autoscaler stops at 5/);
  assert.equal(await minimum(it), 2);
  assert.ok(Math.abs((await shares(it)) - 50) <= 1);
});

test('a rehearsal asks nobody outside: figures come from its clients, and what waits for a yes gets one', async () => {
  const outside = 'http://prometheus.invalid';
  const text = quickShopText()
    .replace('hold: 3s', 'hold: 40s')
    .replace(/^ {2}steps: .*$/m, '  steps: [20, 100]');
  const gates = `  gates:
    - { prometheus: '${outside}', query: p99, max: 0.5, every: 5s }
    - { prometheus: '${outside}', errors: 'e[$window]', requests: 'r[$window]', every: 10s, failures: 1%, bad: 10%, tokenFrom: NOT_SET }
    - { webhook: '${outside}', every: 5s }
    - { approve: all }
`;
  const events: EventBody[] = [];
  const ended = await rehearse(
    { playbook: parsePlaybook(`${text.trimEnd()}\n${gates}`, 'shop.yaml'), seed: shipped('shop').seed },
    { emit: (event) => void events.push(event), stopping: () => false, confirm: () => Promise.resolve(false) },
  );
  assert.equal(ended.outcome, 'done', JSON.stringify(events.findLast((it) => it.type === 'error')));
  assert.equal(ended.requests?.failed, 0);
  const last = (gate: string) =>
    events.findLast((it) => it.type === 'gate' && it.gate === gate && it.step === 'traffic/20') as GateEvent;
  for (const gate of ['prometheus', 'prometheus 2', 'webhook', 'approve']) assert.equal(last(gate).state, 'pass', gate);
  assert.ok((last('prometheus 2').evidence?.sides?.target?.requests ?? 0) > 30);
});

test('an approval that was given before the step was undone counts no more', async () => {
  const store = memoryStore();
  const journal = openJournal(store, () => 0);
  const { approvalOf } = await import('../src/journal.js');
  const step = { id: 'traffic/20', kind: 'shift', phase: 'traffic' as const, args: {}, after: [] };
  journal.write({ type: 'approved', step: step.id, by: 'jane@ops' });
  assert.equal(approvalOf(journal, step.id, 'undone')?.by, 'jane@ops');
  journal.write({ type: 'begun', step, mark: 'm', before: {} });
  assert.equal(approvalOf(journal, step.id, 'paused'), undefined, 'said before anything was seen');
  journal.write({ type: 'paused', step: step.id, code: 'GATE_WAITS', what: 'x' });
  assert.equal(approvalOf(journal, step.id, 'paused'), undefined);
  journal.write({ type: 'approved', step: step.id, by: 'joe@ops' });
  assert.equal(approvalOf(journal, step.id, 'paused')?.by, 'joe@ops');
  journal.write({ type: 'undoing', step: step.id });
  journal.write({ type: 'undone', step: step.id });
  assert.equal(approvalOf(journal, step.id, 'undone'), undefined);
});
