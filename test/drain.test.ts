import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { openStage } from '../src/cli/stage.js';
import { httpWeb } from '../src/cli/web.js';
import { memoryStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan } from '../src/plan.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import { BALANCER, pairOf } from './pair.js';
import { engineOn, mustBeDone } from './shop.js';

/** Everything moved and then completed; what was said, and how long the source was waited for. */
async function completed(
  drain: string,
): Promise<{ warnings: string[]; notes: string[]; waitedMs: number; failed: number }> {
  const { playbook, seed } = pairOf({ traffic: `steps: [100], hold: 1s, drain: { ${drain} }` });
  const stage = await openStage(playbook, seed);
  try {
    const { twin } = stage;
    const plan = makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers);
    const store = memoryStore();
    const warnings: string[] = [];
    const seenBy = engineOn(stage, store, (it) => it.type === 'warning' && warnings.push(it.what));
    const engine = { ...seenBy, world: { ...seenBy.world, web: httpWeb({}) } };

    mustBeDone(await run(plan, ['traffic'], engine));
    const began = twin.clock.now();
    mustBeDone(await run(plan, ['complete'], engine));
    const members = twin.cloud.api.listenerBackends(BALANCER, 80) ?? [];
    assert.ok(members.length > 0 && members.every((it) => it.description.endsWith('c-new')), 'the source went out');
    return { warnings, notes: plan.notes, waitedMs: twin.clock.now() - began, failed: twin.clients.counts().failed };
  } finally {
    await stage.close();
  }
}

test('before the source goes out its open connections get time, and what nobody counts is called unknown', async () => {
  const { warnings, notes, waitedMs, failed } = await completed('for: 90s');
  assert.ok(waitedMs >= 90_000 && waitedMs < 240_000, `${waitedMs}`);
  assert.deepEqual(warnings, [
    'How many connections of shop/web are still with the source is not known (no query is named); they are cut when it stops.',
  ]);
  assert.ok(
    notes.includes(
      'Listener lb-web:80 (tcp): wrr; clients kept: not at all; draining: off: those to a member that leaves are cut; health check: tcp every 2 s, out after 3.',
    ),
    notes.join('\n'),
  );
  assert.equal(failed, 0);
});

test('the wait ends once so few are left that nobody need wait for them', async () => {
  const figures = ['7', '3', '0'];
  const server = createServer((request, response) => {
    text(request).then((form) => {
      const at = Number(new URLSearchParams(form).get('end'));
      const value = figures.length > 1 ? figures.shift() : figures[0];
      const result = [{ metric: {}, values: [[at, value]] }];
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } }));
    }, assert.fail);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const { warnings, waitedMs } = await completed(
      `for: 1h, prometheus: 'http://127.0.0.1:${port}', query: 'sum(open_connections)', below: 1`,
    );
    assert.ok(waitedMs >= 30_000 && waitedMs < 240_000, `${waitedMs}`);
    assert.deepEqual(warnings, []);
    assert.equal(figures.length, 1);
  } finally {
    server.close();
  }
});
