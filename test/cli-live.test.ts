import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lineSchema } from '../src/cli/schemas.js';
import { BIN, finished, linesOf, Place, ROOT } from './cli.js';

/** The built program, as a user would start it. */

type Line = Record<string, never>;
const shop = path.join(ROOT, 'playbooks', 'shop.yaml');

test('a rehearsal as JSON is one described line an event, each shift with its shares within a point, and ends with the figures', async () => {
  const place = new Place();
  const { code, stdout, stderr } = await place.run(['rehearse', shop, '-o', 'json']);
  const lines = linesOf(stdout) as Line[];
  for (const line of lines) {
    const { error } = lineSchema.safeParse(line);
    assert.equal(error, undefined, `${JSON.stringify(line).slice(0, 300)}: ${error?.message}`);
  }
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const ended = lines.at(-1) as unknown as {
    type: string;
    outcome: string;
    exit: number;
    requests: { sent: number; failed: number };
  };
  assert.deepEqual([ended.type, ended.outcome, ended.exit, ended.requests.failed], ['ended', 'done', 0, 0]);
  assert.ok(ended.requests.sent >= 100_000, String(ended.requests.sent));
  const shares = lines.filter((it) => it['type'] === 'share' && it['clients'] !== undefined) as unknown as {
    asked: number;
    reachable: number;
    measured: number;
    clients: number;
  }[];
  assert.equal(shares.length, 5);
  for (const it of shares)
    for (const figure of ['reachable', 'measured', 'clients'] as const)
      assert.ok(Math.abs(it[figure] - it.asked) <= 1, JSON.stringify(it));
  assert.deepEqual(place.files(), []);
  place.remove();
});

test('a rehearsal in a pipe is lines on stderr and the result on stdout, without a colour', async () => {
  const place = new Place();
  const { code, stdout, stderr } = await place.run(['rehearse', 'shop', '--back']);
  assert.equal(code, 0);
  assert.match(stdout, /^✔ rehearse shop: done/);
  assert.match(stdout, /requests 1\d\d,\d{3} sent, 0 failed/);
  assert.match(stdout, /world {4}after going all the way back it equals the one at the start/);
  assert.match(stderr, /traffic\/100 undone|traffic\/1 undone/);
  assert.ok(!(stdout + stderr).includes('\u001b'));
  place.remove();
});

test('Ctrl-C ends a command that only looks at once, with 130 and an ended line', async () => {
  const place = new Place();
  const child = place.start(['rehearse', shop, '-o', 'json']);
  child.stdout?.once('data', () => child.kill('SIGINT'));
  const { code, stdout } = await finished(child);
  assert.equal(code, 130);
  const ended = linesOf(stdout).at(-1);
  assert.deepEqual([ended?.['type'], ended?.['outcome'], ended?.['exit']], ['ended', 'interrupted', 130]);
  place.remove();
});

test('a reader that goes away ends the program quietly', () => {
  const shown = execFileSync(
    'bash',
    ['-c', '"$0" "$1" explain | head -1; echo "${PIPESTATUS[0]}"', process.execPath, BIN],
    { encoding: 'utf8' },
  );
  assert.match(shown, /^Checks\n0\n$/);
});

test('the version comes without loading anything, and an old Node is told so', async () => {
  const place = new Place();
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { version: string };
  assert.equal((await place.run(['--version'])).stdout, `${version}\n`);
  const source = readFileSync(BIN, 'utf8');
  assert.deepEqual(
    [...source.matchAll(/^import .* from '([^']+)'/gm)].map((it) => it[1]),
    ['node:fs'],
    'bin loads more than it needs',
  );
  place.write(
    'old.mjs',
    `Object.defineProperty(process.versions, 'node', { value: '18.20.0' }); await import(${JSON.stringify(`file://${BIN}`)});`,
  );
  const old = await finished(
    (await import('node:child_process')).spawn(process.execPath, ['old.mjs', 'plan'], {
      cwd: place.dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  assert.equal(old.code, 2);
  assert.match(old.stderr, /needs Node\.js 20\.19 or later/);
  place.remove();
});

test('help has examples, defaults and variables for every command', async () => {
  const place = new Place();
  const root = await place.run(['--help']);
  assert.equal(root.code, 0);
  const names = [...root.stdout.matchAll(/^ {2}([a-z]+) (?:\[|<)/gm)]
    .map((it) => it[1] ?? '')
    .filter((it) => it !== 'migrate');
  assert.equal(names.length, 15);
  const pages = await Promise.all(names.map((it) => place.run([it, '--help'])));
  for (const [index, { code, stdout }] of pages.entries()) {
    assert.equal(code, 0);
    assert.match(stdout, /\nExamples:\n {2}# .+\n {2}.*migrate/, names[index]);
    if (names[index] === 'completion') continue;
    assert.match(stdout.replace(/\s+/g, ' '), /default: text, env: MIGRATE_OUTPUT/, names[index]);
    for (const line of stdout.split('\n')) assert.ok(line.length <= 110, `${names[index]}: ${line}`);
  }
  place.remove();
});

test('completion is a script that the shell can read, and completes commands, flags and values', async () => {
  const place = new Place();
  const { stdout } = await place.run(['completion', 'bash']);
  place.write('complete.bash', stdout);
  execFileSync('bash', ['-n', path.join(place.dir, 'complete.bash')]);
  const complete = (...words: string[]) =>
    execFileSync(
      'bash',
      [
        '-c',
        'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _migrate; echo "${COMPREPLY[@]}"',
        path.join(place.dir, 'complete.bash'),
        'migrate',
        ...words,
      ],
      { encoding: 'utf8' },
    ).trim();
  assert.equal(complete('pl'), 'plan');
  assert.equal(complete('shift', '--st'), '--state --stepwise');
  assert.equal(complete('preflight', '-o', 's'), 'sarif');
  assert.equal(complete('run', '--phase', 'd'), 'data');
  for (const shell of ['zsh', 'fish']) assert.match((await place.run(['completion', shell])).stdout, /migrate/);
  place.remove();
});

describe('against a twin in real time', () => {
  const place = new Place({ 'migrate.yaml': readFileSync(shop, 'utf8') });
  let twin: ChildProcess;
  let env: Record<string, string> = {};

  before(async () => {
    twin = place.start(['twin', 'shop', '--kubeconfig', 'twin.config']);
    let told = '';
    await new Promise<void>((resolve, reject) => {
      twin.on('close', () => reject(new Error(`the twin ended: ${told}`)));
      twin.stdout?.setEncoding('utf8').on('data', (text: string) => {
        told += text;
        if (told.includes('# contexts')) resolve();
      });
    });
    env = Object.fromEntries([...told.matchAll(/^export ([A-Z_]+)=(.*)$/gm)].map((it) => [it[1] ?? '', it[2] ?? '']));
  });

  after(async () => {
    twin.removeAllListeners('close');
    const closed = finished(twin);
    twin.kill('SIGINT');
    assert.equal((await closed).code, 0);
    place.remove();
  });

  test('its kubeconfig is for its owner alone', () => {
    assert.equal(statSync(env['KUBECONFIG'] ?? '').mode & 0o777, 0o600);
  });

  test('plan, preflight, inventory and status look and leave nothing but what was asked for', async () => {
    const files = place.files();
    const [plan, preflight, status] = await Promise.all([
      place.run(['plan', '-o', 'json'], env),
      place.run(['preflight'], env),
      place.run(['status'], env),
    ]);
    assert.deepEqual(
      [plan.code, preflight.code, status.code],
      [0, 0, 0],
      plan.stderr + preflight.stderr + status.stderr,
    );
    for (const line of linesOf(plan.stdout)) assert.equal(lineSchema.safeParse(line).error, undefined);
    assert.match(
      preflight.stdout,
      /^shop {3}source shop-1-20 \(v1\.20\.15, 3 nodes\)[\s\S]*requests, read only\nReady\.\nnext migrate plan/,
    );
    assert.match(status.stdout, /^shop {3}no run yet/);
    assert.deepEqual(place.files(), files);
  });

  test('preflight and plan over a captured inventory say what they say over the clusters', async () => {
    assert.equal((await place.run(['inventory', '-o', 'seen.json'], env)).code, 0);
    const [live, offline] = await Promise.all([
      place.run(['plan', '-o', 'json'], env),
      place.run(['plan', '-o', 'json', '--inventory', 'seen.json']),
    ]);
    const digest = ({ stdout }: { stdout: string }) => linesOf(stdout).at(-1)?.['digest'];
    assert.equal(offline.code, 0, offline.stderr);
    assert.ok(digest(live));
    assert.equal(digest(offline), digest(live));
    const report = await place.run(['preflight', '--inventory', 'seen.json', '-o', 'sarif']);
    assert.equal((JSON.parse(report.stdout) as { version: string }).version, '2.1.0');
  });

  test('what changes something asks first, and off a terminal says --yes', async () => {
    const { code, stdout, stderr } = await place.run(['shift', '--to', '20'], env);
    assert.equal(code, 4, stdout + stderr);
    assert.match(stderr, /NEEDS_YES[\s\S]*--yes/);
    const refused = await place.run(['shift', '--to', '20'], { ...env, MIGRATE_YES: '0' });
    assert.equal(refused.code, 4, 'MIGRATE_YES=0 is no yes');
  });

  test('init drafts a playbook of both clusters that validates and plans as it stands', async () => {
    const drafted = await place.run(
      ['init', '--source', 'shop-1-20', '--target', 'shop-1-36', '--file', 'drafted.yaml'],
      env,
    );
    assert.equal(drafted.code, 0, drafted.stderr);
    const [valid, plan] = await Promise.all([
      place.run(['validate', 'drafted.yaml']),
      place.run(['plan', 'drafted.yaml', '-o', 'json'], env),
    ]);
    assert.deepEqual([valid.code, plan.code], [0, 0], valid.stderr + plan.stdout);
    const text = readFileSync(path.join(place.dir, 'drafted.yaml'), 'utf8');
    assert.match(text, /group: rsp-shop, port: 80/);
    assert.match(text, /storageClasses: \{ alicloud-disk-ssd: alicloud-disk-essd \}/);
  });

  test('-v names each request on stderr, and keeps stdout for the result', async () => {
    const { stdout, stderr } = await place.run(['plan', '-v', '-o', 'json'], env);
    assert.match(stderr, /^source GET \/version$/m);
    for (const line of linesOf(stdout)) assert.equal(line['schemaVersion'], 1);
  });

  test('doctor finds nothing to repair where nothing was done', async () => {
    const { code, stdout } = await place.run(['doctor'], env);
    assert.equal(code, 0);
    assert.match(stdout, /Journal and world agree/);
  });
});
