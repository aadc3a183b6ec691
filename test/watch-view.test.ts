import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import type { Shown } from '../src/cli/events.js';
import type { Screen } from '../src/cli/screen.js';
import { clip, regionOn } from '../src/cli/views/region.js';
import { shareLines, type ShareNow } from '../src/cli/views/shares.js';
import { spelled, tongues } from '../src/cli/views/tongue.js';
import { endedLines } from '../src/cli/views/text.js';
import { watchView } from '../src/cli/views/watch.js';
import { widthOf, wrap } from '../src/cli/width.js';
import { BIN, Place, ROOT } from './cli.js';
import { quickShopText } from './shop.js';
import { screenAfter } from './terminal.js';

const screen = (columns: number, write: (text: string) => void = () => undefined, rows = 40): Screen => ({
  write,
  columns: () => columns,
  rows: () => rows,
  paint: (_colour, text) => text,
  live: true,
});

const share: ShareNow = {
  step: 'traffic/20',
  title: 'shop/web to 20 %',
  share: {
    service: 'shop/web',
    asked: 20,
    reachable: 20.41,
    measured: 20.41,
    source: { members: 3, weight: 78 },
    target: { members: 12, weight: 20 },
  },
  hold: { elapsedMs: 372_000, holdMs: 600_000, leastMs: 120_000, next: 50, back: 5.06 },
  gates: [
    { gate: 'probe', state: 'pass', why: '0 of 1842 probes failed' },
    { gate: 'capacity', state: 'pass', why: '12 ready on the target, 50 % there needs 10' },
    {
      gate: 'prometheus',
      state: 'wait',
      why: '0 of 312 requests failed, 14 more clean ones pass it; the source itself failed 0.2 %',
      evidence: {
        asked: 'errors',
        sides: { source: { requests: 120_433, errors: 240 }, target: { requests: 312, errors: 0 } },
      },
    },
  ],
};

test('a share shows its figures, who got how many requests, every gate with its reason, what comes and how to go back', () => {
  assert.deepEqual(shareLines(share, tongues.en, screen(100)), [
    'shop/web  traffic/20',
    '  ▕████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░▏  asked 20 %  reachable 20.4 %  measured 20.4 %',
    '  source   3 members, weight 78      120,433 requests, 240 failed',
    '  target   12 members, weight 20     312 requests, 0 failed',
    '  gates    ✔ probe        0 of 1842 probes failed',
    '           ✔ capacity     12 ready on the target, 50 % there needs 10',
    '           … prometheus   0 of 312 requests failed, 14 more clean ones pass it; the source itself',
    '             failed 0.2 %',
    '  holding  6 min 12 s of 10 min, 3 min 48 s left; goes on as soon as every gate has passed',
    '  next     50 %',
    '  back     a gate that breaks goes to 5.1 % by itself · migrate rollback goes all the way · Ctrl-C',
    '           stops after this hold',
  ]);
});

test('in Chinese it stands in the same columns, and nothing is wider than the terminal', () => {
  for (const lang of ['en', 'zh'] as const) {
    for (const columns of [80, 100, 132]) {
      const lines = shareLines(share, tongues[lang], screen(columns));
      for (const line of lines) assert.ok(widthOf(line) <= columns, `${lang} ${columns}: ${line}`);
    }
  }
  const lines = shareLines(share, tongues.zh, screen(100));
  assert.match(lines[1] ?? '', /要求 20 % {2}可达 20\.4 % {2}实测 20\.4 %/);
  assert.ok(
    lines.includes('  观察    已 6 分 12 秒，共 10 分，剩余 3 分 48 秒；全部门禁通过后立即继续'),
    lines.join('\n'),
  );
  const column = (line: string, text: string) => widthOf(line.slice(0, line.indexOf(text)));
  assert.equal(column(lines[2] ?? '', '3 个后端'), column(lines[3] ?? '', '12 个后端'));
  assert.equal(column(lines[2] ?? '', '120,433'), column(lines[3] ?? '', '312'));
  assert.equal(spelled(3_600_000, tongues.zh), '1 小时');
  assert.equal(spelled(400, tongues.en), '0 s');
});

test('no line of Chinese begins with the mark that closes the one before', () => {
  for (let width = 4; width < 40; width++) {
    const lines = wrap('等待：源侧处理 90 个，目标侧 10 个；最长中断 0 秒。', width);
    for (const line of lines)
      assert.ok(!/^[，。；：]/.test(line) && widthOf(line) <= width, `${width}: ${lines.join('|')}`);
  }
});

test('the last lines have their words in Chinese too', () => {
  const event = { type: 'ended', outcome: 'stopped', exit: 3, next: 'migrate run', back: 'migrate rollback' } as const;
  const text = endedLines('shop', 'run', event, screen(80), tongues.zh).join('\n');
  assert.match(text, /run shop: 中途停止/);
  assert.match(text, /下一步 +migrate run/);
  assert.match(text, /回退 +migrate rollback/);
});

test('a picture is drawn over the one before, however many lines each has, and never leaves the window', () => {
  let output = '';
  const region = regionOn(screen(40, (text) => (output += text), 6));
  region.draw(['one', 'two', 'three']);
  region.keep('kept');
  region.draw(Array.from({ length: 20 }, (_, index) => `line ${index}`));
  region.draw(['last']);
  region.close();
  assert.deepEqual(screenAfter(output), ['kept', 'last', '']);
  const ups = output.split('\u001b[').flatMap((it) => /^(\d+)A/.exec(it)?.[1] ?? []);
  assert.ok(Math.max(...ups.map(Number)) <= 5, 'never up past the top of the window');
});

test('a line is cut with its colours, between two characters', () => {
  assert.equal(clip('\u001b[32m结算服务\u001b[39m', 5), '\u001b[32m结算…\u001b[22m\u001b[39m');
  assert.equal(clip('plain text', 6), 'plain…');
  assert.equal(clip('\u001b[2mfits\u001b[22m', 4), '\u001b[2mfits\u001b[22m');
});

test('the view of a run keeps what has ended, and draws the shares under way below', () => {
  let output = '';
  const now = 0;
  const view = watchView(
    screen(90, (text) => (output += text)),
    () => now,
    'en',
  );
  const at = '2026-03-01T10:00:00.000Z';
  const show = (event: object) => view.show({ at, ...event } as Shown);
  show({
    type: 'started',
    command: 'run',
    name: 'shop',
    digest: '',
    steps: 3,
    source: 'a',
    target: 'b',
    resumed: false,
  });
  show({ type: 'step', step: 'traffic/5', state: 'begun', title: 'shop/web to 5 %' });
  show({ type: 'share', step: 'traffic/5', ...share.share, asked: 5, reachable: 5, measured: 5 });
  show({ type: 'step', step: 'traffic/5', state: 'done', title: 'shop/web to 5 %' });
  show({ type: 'step', step: 'traffic/20', state: 'begun', title: 'shop/web to 20 %' });
  show({ type: 'share', step: 'traffic/20', ...share.share });
  show({ type: 'hold', step: 'traffic/20', ...share.hold });
  show({ type: 'gate', step: 'traffic/20', gate: 'probe', state: 'wait', why: '0 of 12 probes failed' });
  show({ type: 'step', step: 'data/backup', state: 'progress', title: 'backup of shop', note: '12 of 40' });
  view.close();
  const lines = screenAfter(output);
  assert.equal(lines[0], '✔ traffic/5  shop/web to 5 %  asked 5 %, reachable 5 %, measured 5 %');
  const text = lines.join('\n');
  assert.match(text, /^run shop {3}a → b {3}1 of 3 steps done$/m);
  assert.match(text, /^shop\/web {2}traffic\/20$/m);
  assert.match(text, /… probe +0 of 12 probes failed/);
  assert.match(text, /^… data\/backup {2}backup of shop {2}12 of 40$/m);
  assert.ok(output.endsWith('\u001b[?25h'), 'the cursor is back');
});

describe('on a pseudo-terminal', { skip: existsSync('/usr/bin/script') ? false : 'no script(1) here' }, () => {
  const place = new Place({
    'shop.yaml': `${quickShopText()
      .replace(/^ {2}steps: .*$/m, '  steps: [20, 100]')
      .trimEnd()}\n  gates:\n    - { probe: 'http://shop.example.com/', every: 100ms, failures: 20%, bad: 60% }\n`,
    'shop.world.yaml': readFileSync(path.join(ROOT, 'playbooks/shop.world.yaml'), 'utf8'),
  });
  after(() => place.remove());

  const rehearse = (args: string, env: Record<string, string> = {}) => {
    const command = `stty cols 100 rows 40; exec ${process.execPath} ${BIN} rehearse shop.yaml --watch ${args}`;
    const clean = Object.entries(process.env).filter(
      ([name]) => !/^(CI|NO_COLOR|FORCE_COLOR|MIGRATE_.*|COLUMNS)$/.test(name),
    );
    return execFileSync('/usr/bin/script', ['-qefc', command, '/dev/null'], {
      cwd: place.dir,
      env: { ...Object.fromEntries(clean), TERM: 'xterm-256color', ...env },
      encoding: 'utf8',
      timeout: 60_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  };

  test('a rehearsal is drawn as it goes and leaves every step and the end', () => {
    const output = rehearse('');
    assert.ok(output.includes('\u001b[?25l') && output.includes('\u001b[?25h'), 'hides the cursor and gives it back');
    assert.ok(output.includes('reachable ') && output.includes('\u001b[32m'), 'shares are drawn, in colour');
    const lines = screenAfter(output);
    const text = lines.join('\n');
    for (const step of ['traffic/attach', 'traffic/20', 'traffic/100'])
      assert.ok(
        lines.some((it) => it.includes('✔') && it.includes(` ${step} `)),
        step,
      );
    const end = text.indexOf('rehearse shop: done');
    assert.ok(end > 0, text.slice(-2000));
    assert.ok(!text.slice(end).includes('shop/web  traffic'), 'nothing is drawn after the end');
    for (const line of lines) assert.ok(widthOf(line) <= 100, line);
  });

  test('in Chinese, and without colour where NO_COLOR says so', () => {
    const output = rehearse('--lang zh', { NO_COLOR: '1' });
    // Pictures are drawn by the machine's time, and a quick one is through a share of the twin's time between two of them: what each step
    // leaves is always there.
    assert.match(output, /✔ traffic\/20 .* 要求 20 % {2}可达 [\d.]+ % {2}实测 [\d.]+ %/);
    assert.ok(output.includes('rehearse shop: 完成'));
    assert.match(output, /请求 +发出 [\d,]+ 个，失败 0 个；源侧处理/);
    assert.ok(!output.includes('\u001b[2m') && !output.includes('\u001b[32m') && output.includes('\u001b[?25l'));
  });

  test('in CI each line stands by itself', () => {
    const output = rehearse('', { CI: 'true' });
    assert.ok(!output.includes('\u001b[?25l'));
    assert.match(output, /^\d{4}-\S+Z traffic\/20 gate probe: pass, 0 of \d+ probes failed\r?$/m);
  });
});
