import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ownPrograms } from '../src/program.js';
import type { World } from '../src/ports.js';
import { isReachable } from '../src/router.js';
import { exec, type ExecRoute } from '../src/routers/exec.js';
import type { StepContext } from '../src/step.js';

/** One backend of HAProxy with two servers, as its runtime API shows and changes it. */
interface Balancer {
  socket: string;
  state: Record<'source' | 'target', { weight: number; maint: boolean; up: boolean }>;
  /** percent for the target after each command that changed something */
  shares: number[];
  log: string[];
}

async function startBalancer(t: TestContext, dir: string): Promise<Balancer> {
  const state: Balancer['state'] = {
    source: { weight: 100, maint: false, up: true },
    target: { weight: 100, maint: true, up: true },
  };
  const it: Balancer = { socket: path.join(dir, 'admin.sock'), state, shares: [], log: [] };
  const rows = () =>
    (['source', 'target'] as const).map(
      (name, index) =>
        `3 web ${index + 1} ${name} 127.0.0.1 ${state[name].up && !state[name].maint ? 2 : 0} ${state[name].maint ? 1 : 0} ${state[name].weight}`,
    );
  const obey = (command: string): string => {
    const [verb, what, name = '', ...rest] = command.split(' ');
    if (verb === 'show' && what === 'servers')
      return `1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n${rows().join('\n')}\n`;
    const server = state[name.replace('web/', '') as 'source'];
    if (!server) return 'No such server.\n';
    if (what === 'weight') server.weight = Number(rest[0]);
    else if (rest[0] === 'state') server.maint = rest[1] === 'maint';
    const [source, target] = (['source', 'target'] as const).map((side) =>
      state[side].maint ? 0 : state[side].weight,
    );
    it.shares.push((100 * target!) / (source! + target!));
    return '\n';
  };
  const server = createServer((client) => {
    client.setEncoding('utf8').on('data', (text) => {
      const command = String(text).trim();
      it.log.push(command);
      client.end(obey(command));
    });
  });
  await new Promise<void>((resolve) => server.listen(it.socket, resolve));
  t.after(() => server.close());
  return it;
}

function folder(t: TestContext): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-exec-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function program(dir: string, text: string): string {
  const file = path.join(dir, 'program.mjs');
  writeFileSync(file, text);
  chmodSync(file, 0o700);
  return file;
}

/** The script that the documentation shows. */
const documented = (): string => {
  const found = /```js\n([\s\S]*?)```/.exec(readFileSync('docs/exec-router.md', 'utf8'))?.[1];
  assert.ok(found);
  return found;
};

const route = (command: string[], more: Partial<ExecRoute> = {}): ExecRoute => ({
  router: 'exec',
  service: 'shop/web',
  command,
  deadlineMs: 20_000,
  sum: 100,
  splits: 'connections',
  bitesMs: 10_000,
  contexts: { source: 'a', target: 'b' },
  options: {},
  ...more,
});

const world = { programs: ownPrograms, clock: { now: () => Date.now(), sleep } } as unknown as World;
const context = { world, progress: () => {}, stopping: () => false, emit: () => {} } as unknown as StepContext;

async function shift(own: ExecRoute, asked: number): Promise<number> {
  const choice = await exec.choose(own, { asked, tolerance: 0.5 }, await exec.read(own, world), world);
  assert.ok(isReachable(choice));
  await exec.write(own, choice, context);
  return choice.reachable;
}

test('the documented script moves an HAProxy backend there and back, and never further than it was told', async (t) => {
  const dir = folder(t);
  const balancer = await startBalancer(t, dir);
  const own = route([program(dir, documented()), balancer.socket, 'web']);
  assert.equal(await exec.joined(own, world), false);
  const before = await exec.join.check(own, context);
  await exec.join.apply(own, before, context);
  await exec.join.verify(own, before, context);
  assert.deepEqual(balancer.state.target, { weight: 0, maint: false, up: true });
  assert.equal(await exec.ready(own, 'target', world), 1);

  const start = await exec.read(own, world);
  let last = 0;
  for (const asked of [1, 20, 5, 50, 100, 99, 100]) {
    balancer.shares.length = 0;
    assert.equal(await shift(own, asked), asked);
    const [low, high] = [Math.min(last, asked), Math.max(last, asked)];
    for (const share of balancer.shares)
      assert.ok(share >= low && share <= high, `${share} between ${low} and ${high}`);
    last = asked;
  }
  balancer.log.length = 0;
  await shift(own, 100);
  assert.ok(!balancer.log.some((it) => it.startsWith('set')), 'what is there already is not written again');

  const gone = await exec.leave.check(own, context);
  await exec.leave.apply(own, gone, context);
  await exec.leave.verify(own, gone, context);
  assert.equal(balancer.state.source.maint, true);
  await exec.leave.undo(own, gone, context);
  await exec.restore(own, start.setting, context);
  assert.deepEqual((await exec.read(own, world)).setting, { source: 100, target: 0 });
  await exec.join.undo(own, before, context);
  assert.equal(balancer.state.target.maint, true);
});

test('a side that has nobody ready gets nothing back', async (t) => {
  const dir = folder(t);
  const balancer = await startBalancer(t, dir);
  const own = route([program(dir, documented()), balancer.socket, 'web']);
  balancer.state.target = { weight: 100, maint: false, up: true };
  balancer.state.source = { weight: 0, maint: false, up: false };
  await assert.rejects(exec.restore(own, { source: 100, target: 0 }, context), { code: 'SIDE_CANNOT_SERVE' });
  assert.equal(balancer.state.target.weight, 100);
});

test('a share between whole weights is refused with its neighbours, and finer weights reach it', () => {
  const ask = { asked: 0.25, tolerance: 0.1 };
  assert.deepEqual(
    { ...exec.foresee(route(['x']), ask, undefined, undefined as never, undefined as never), fix: '' },
    { below: 0, above: 1, why: 'The two weights are whole numbers that add up to 100', fix: '' },
  );
  const fine = exec.foresee(
    route(['x'], { sum: 1000 }),
    { asked: 0.2, tolerance: 0.1 },
    undefined,
    undefined as never,
    undefined as never,
  );
  assert.ok(isReachable(fine));
  assert.deepEqual(fine.setting, { source: 998, target: 2 });
});

test('arguments reach the program as they stand, and the question as JSON', async (t) => {
  const dir = folder(t);
  const file = program(
    dir,
    `#!/usr/bin/env node
import { text } from 'node:stream/consumers';
const question = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify({ args: process.argv.slice(2), question }));`,
  );
  const args = ['$(touch owned)', '; rm -rf x', "a b'c", '*'];
  const answer: unknown = JSON.parse(await ownPrograms.run([file, ...args], { verb: 'read' }, 10_000));
  assert.deepEqual(answer, { args, question: { verb: 'read' } });
});

test('whatever a program does wrong is said in its own words, shortly and without its secrets', async (t) => {
  const cases: [script: string, told: { code: string; what: RegExp; retryable?: boolean }][] = [
    [
      `process.stderr.write('\\u001b[31mno such pool, password=hunter2 ' + 'x'.repeat(5000) + ' at the end\\n'); process.exit(3);`,
      { code: 'PROGRAM_FAILED', what: /ended with code 3\.$/, retryable: false },
    ],
    [`process.exit(75);`, { code: 'PROGRAM_FAILED', what: /code 75/, retryable: true }],
    [
      `process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000);`,
      { code: 'PROGRAM_FAILED', what: /ended by SIGTERM/ },
    ],
    [
      `setInterval(() => {}, 1000);`,
      { code: 'PROGRAM_FAILED', what: /no answer within 1\\.5 s|no answer within/, retryable: true },
    ],
    [`process.stdout.write('y'.repeat(3_000_000));`, { code: 'PROGRAM_FAILED', what: /more than a mebibyte/ }],
    [`process.stdout.write('done!');`, { code: 'PROGRAM_ANSWER', what: /no answer to `read`/ }],
    [
      `process.stdout.write('{"joined":"yes","weights":{"source":1,"target":2}}');`,
      { code: 'PROGRAM_ANSWER', what: /joined/ },
    ],
    [
      `process.stdout.write('{"joined":true,"weights":{"source":1,"target":2},"redy":1}');`,
      { code: 'PROGRAM_ANSWER', what: /redy/ },
    ],
    [
      `process.stdout.write('{"joined":true,"weights":{"source":-1,"target":2}}');`,
      { code: 'PROGRAM_ANSWER', what: /weights\.source/ },
    ],
  ];
  for (const [script, { code, what, retryable }] of cases) {
    const own = route([program(folder(t), `#!/usr/bin/env node\n${script}`)], {
      deadlineMs: /setInterval/.test(script) ? 1500 : 20_000,
    });
    await assert.rejects(
      exec.read(own, world),
      (error: Error & { code: string; what: string; why: string; retryable: boolean }) => {
        assert.equal(error.code, code, script);
        assert.match(error.what, what);
        if (retryable !== undefined) assert.equal(error.retryable, retryable);
        assert.ok(error.why.length < 700);
        assert.ok(!error.why.includes('hunter2') && !error.why.includes('\u001b'));
        return true;
      },
    );
  }
  await assert.rejects(exec.read(route(['/nowhere/at-all']), world), { code: 'PROGRAM_FAILED', what: /ENOENT/ });
});

test('a program whose word the balancer does not show is not believed', async (t) => {
  const own = route([
    program(
      folder(t),
      `#!/usr/bin/env node
process.stdout.write('{"joined":true,"weights":{"source":100,"target":0}}');`,
    ),
  ]);
  let now = 0;
  const clock = { now: () => now, sleep: (ms: number) => Promise.resolve(void (now += ms)) };
  const fast = { ...context, world: { ...world, clock } as World };
  await assert.rejects(
    exec.write(own, { setting: { source: 50, target: 50 }, reachable: 50, order: ['target', 'source'], how: '' }, fast),
    {
      code: 'WEIGHT_NOT_TAKEN',
      what: /reads source 100, target 0/,
    },
  );
});
