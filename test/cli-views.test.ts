import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { eventJsonSchema, playbookJsonSchema } from '../src/cli/schemas.js';
import { screenOn, type Screen } from '../src/cli/screen.js';
import type { Shown } from '../src/cli/events.js';
import { linesView } from '../src/cli/views/lines.js';
import { planLines } from '../src/cli/views/plan.js';
import { preflightLines, type PreflightEvent } from '../src/cli/views/preflight.js';
import { reportIn } from '../src/cli/views/reports.js';
import { bar, tasksView } from '../src/cli/views/tasks.js';
import { endedLines, errorLines } from '../src/cli/views/text.js';
import { fit, padEnd, widthOf, wrap } from '../src/cli/width.js';
import type { CheckResult, Report } from '../src/preflight.js';
import { ROOT } from './cli.js';
import { screenAfter } from './terminal.js';

const plain = (columns: number, write: (text: string) => void = () => undefined): Screen => ({
  write,
  columns: () => columns,
  paint: (_colour, text) => text,
  live: false,
});

const finding = {
  about: 'ingress shop/结算',
  saw: '源集群为 extensions/v1beta1，由 kubectl apply 写入，目标集群不再提供该版本',
  want: 'networking.k8s.io/v1',
  breaks: 'the next `kubectl apply` | of its file',
  severity: 'refuse' as const,
};

const result = (
  check: string,
  group: CheckResult['group'],
  outcome: CheckResult['outcome'],
  findings: CheckResult['findings'] = [],
  why?: string,
): CheckResult => ({
  check,
  group,
  asks: `Is ${check} as it should be, for <everyone> & "all"?`,
  before: 'data',
  outcome,
  findings,
  ...(why !== undefined && { why }),
});

const report: Report = {
  results: [
    result('rights', 'access', 'pass'),
    result('removed-apis', 'apis', 'refuse', [
      finding,
      {
        ...finding,
        about: 'ingress shop/legacy',
        waivedBy: { owner: 'web', until: '2027-03-31', because: 'goes away' },
      },
    ]),
    result('kube-proxy-mode', 'load-balancing', 'unknown', [], 'target: ConfigMap: forbidden for this identity'),
    result(
      'in-cluster-callers',
      'load-balancing',
      'warn',
      Array.from({ length: 12 }, (_, index) => ({
        ...finding,
        about: `deployment pay/worker-${index}`,
        severity: 'warn' as const,
      })),
    ),
    result('storage-classes', 'storage', 'skipped', [], 'the playbook has no `data`'),
  ],
  counts: { pass: 1, refuse: 1, unknown: 1, warn: 1, skipped: 1, waived: 0 },
  ready: false,
};
const preflight: PreflightEvent = {
  type: 'preflight',
  report,
  source: { context: 'ack-shop-120', version: 'v1.20.15', nodes: 3 },
  target: { context: 'ack-shop-136', version: 'v1.36.3', nodes: 4 },
  tookMs: 1800,
  calls: 41,
};
const hints = new Map(checks.map((it) => [it.id, it]));

test('Chinese takes two columns, marks and colours none', () => {
  assert.equal(widthOf('shop/结算'), 9);
  assert.equal(widthOf('e\u0301'), 1);
  assert.equal(widthOf('\u001b[31m✖\u001b[39m'), 1);
  assert.equal(padEnd('结算', 6), '结算  ');
  assert.equal(fit('结算服务', 5), '结算…');
  assert.deepEqual(wrap('源集群为 v1', 6), ['源集群', '为 v1']);
  assert.deepEqual(wrap('a-word-that-is-too-long', 10), ['a-word-tha', 't-is-too-l', 'ong']);
  for (const width of [1, 2, 7, 20])
    for (const line of wrap('混合 text 与 a-long-identifier/名称', width))
      assert.ok(widthOf(line) <= Math.max(2, width), `${width}: ${line}`);
});

test('a report is never wider than the terminal, says how each check came out in words, and ends with counts', () => {
  for (const columns of [80, 100, 200]) {
    const lines = preflightLines('shop', preflight, hints, plain(columns));
    for (const line of lines) assert.ok(widthOf(line) <= columns, `${columns}: ${line}`);
    const text = lines.join('\n');
    assert.match(text, /1 passed · 1 refused · 1 warning · 1 unknown · 1 skipped/);
    assert.match(text, /Not ready: removed-apis, kube-proxy-mode\./);
    assert.match(text, /waived by web until 2027-03-31/);
    assert.match(text, /and 4 more; -o json has them all/);
    assert.match(text, /✔ Access/);
  }
});

test('a plan fits 80 columns and draws the line that can not be crossed back before the last phase', () => {
  const rows = [
    {
      step: 'data/disk/shop/orders-with-a-long-name/snapshot',
      phase: 'data' as const,
      does: 'shop/结算服务: snapshot of d-bp1',
      wayBack: 'deletes the snapshot',
    },
    {
      step: 'traffic/20',
      phase: 'traffic' as const,
      does: 'shop/web to 20 %',
      wayBack: 'the share before',
      asked: 20,
      reachable: 20.41,
      how: 'source 32 a node, target 6 a pod',
    },
    {
      step: 'complete/retire',
      phase: 'complete' as const,
      does: 'shop/web of the source leaves rsp-1',
      wayBack: 'none by itself',
    },
  ];
  const pin = { context: 'a', uid: 'u', version: 'v1.20.15' };
  const plan = {
    schemaVersion: 1 as const,
    name: 'shop',
    digest: 'abcdef0123456789',
    takenAt: '',
    playbook: {} as never,
    pins: { source: pin, target: pin },
    steps: [],
    shares: [],
    notes: ['备注：一条很长的说明，用来看看换行是否正确，是否不会超过终端的宽度限制'],
  };
  for (const columns of [80, 120]) {
    const lines = planLines({ type: 'plan', plan, rows }, plain(columns));
    for (const line of lines) assert.ok(widthOf(line) <= columns, `${columns}: ${line}`);
    const text = lines.join('\n');
    assert.match(text.replace(/\s+/g, ' '), /20\.4 %/);
    assert.ok(text.indexOf('every step above can be undone') < text.indexOf('complete/retire'));
    assert.match(text, /digest abcdef012345/);
  }
});

test('errors and endings wrap under their labels', () => {
  const error = {
    type: 'error' as const,
    code: 'SHARE_NOT_TAKEN',
    what: 'Group rsp-1 sends 8 % to the target, not 20 %.',
    why: '有其他程序也在写这些权重。'.repeat(8),
    do: 'Find it.',
    now: '92 % source, 8 % target; both serve',
    stack: 'Error\n    at x',
  };
  const lines = errorLines(error, plain(80));
  assert.match(lines[0] ?? '', /^✖ SHARE_NOT_TAKEN {2}Group/);
  for (const line of lines) assert.ok(widthOf(line) <= 80, line);
  assert.ok(!lines.join('\n').includes('at x'), 'the stack is for -v');
  assert.ok(errorLines(error, plain(80), true).join('\n').includes('at x'));
  const ended = endedLines(
    'shop',
    'run',
    {
      type: 'ended',
      outcome: 'done',
      exit: 0,
      requests: { sent: 1_204_332, failed: 0, source: 1, target: 2, longestPauseMs: 210 },
      share: { asked: 100, reachable: 100, measured: 100 },
      serving: 'the target serves',
      back: 'migrate rollback',
    },
    plain(80),
  ).join('\n');
  assert.match(ended, /^✔ run shop: done\n {2}requests 1,204,332 sent, 0 failed/);
  assert.match(ended, /share {4}asked 100 %, reachable 100 %, measured 100 %/);
  assert.match(ended, /back {5}migrate rollback$/);
});

const at = (seconds: number) => new Date(Date.UTC(2026, 10, 23, 6, 0, seconds)).toISOString();
const events: Shown[] = [
  {
    type: 'started',
    at: at(0),
    command: 'run',
    name: 'shop',
    digest: 'd',
    steps: 2,
    source: 'a',
    target: 'b',
    resumed: false,
  },
  { type: 'step', at: at(1), step: 'data/backup', state: 'begun', title: 'Velero backup of shop' },
  { type: 'step', at: at(1), step: 'traffic/20', state: 'begun', title: 'shop/web to 20 %' },
  {
    type: 'step',
    at: at(2),
    step: 'data/backup',
    state: 'progress',
    title: 'Velero backup of shop',
    note: '12 of 40 items',
  },
  {
    type: 'share',
    at: at(3),
    step: 'traffic/20',
    service: 'shop/web',
    asked: 20,
    reachable: 20.4,
    measured: 20.4,
    source: { members: 3, weight: 78 },
    target: { members: 12, weight: 20 },
  },
  { type: 'gate', at: at(4), step: 'traffic/20', gate: 'probe', state: 'wait', why: '0 of 3 failed' },
  { type: 'hold', at: at(5), step: 'traffic/20', elapsedMs: 150_000, holdMs: 600_000 },
  { type: 'step', at: at(65), step: 'data/backup', state: 'done', title: 'Velero backup of shop' },
  { type: 'warning', at: at(66), what: 'Group rsp-1 drifted.' },
];

test('off a terminal every line has its time and its step and stands by itself', () => {
  let text = '';
  const view = linesView(plain(80, (more) => (text += more)));
  for (const event of events) view.show(event);
  view.close();
  const lines = text.trimEnd().split('\n');
  for (const line of lines) assert.match(line, /^2026-11-23T06:0\d:\d\dZ (data\/backup|traffic\/20|-) \S/);
  assert.ok(!text.includes('\u001b'));
  assert.ok(
    lines.some((it) =>
      it.includes(
        'traffic/20 share of shop/web: asked 20 %, reachable 20.4 %, measured 20.4 %; source 3 members, weight 78',
      ),
    ),
  );
  assert.ok(lines.some((it) => it.endsWith('traffic/20 held 2 min 30 s of 10 min')));
});

test('off a terminal a gate speaks when it changes, not each time it looks', () => {
  let text = '';
  const view = linesView(plain(80, (more) => (text += more)));
  const states = ['wait', 'wait', 'pass', 'pass', 'pass', 'wait', 'pass', 'fail'] as const;
  states.forEach((state, index) =>
    view.show({ type: 'gate', at: at(index), step: 'traffic/20', gate: 'probe', state, why: `after ${index}` }),
  );
  view.show({ type: 'gate', at: at(9), step: 'traffic/50', gate: 'probe', state: 'pass', why: 'after 9' });
  assert.deepEqual(
    text
      .trimEnd()
      .split('\n')
      .map((it) => it.slice(21)),
    [
      'traffic/20 gate probe: pass, after 2',
      'traffic/20 gate probe: waits again, after 5',
      'traffic/20 gate probe: pass, after 6',
      'traffic/20 gate probe: fail, after 7',
      'traffic/50 gate probe: pass, after 9',
    ],
  );
});

test('on a terminal what is done stays and what is under way is drawn below it, share bar, gates and hold', async () => {
  let text = '';
  const screen: Screen = { ...plain(90, (more) => (text += more)), live: true };
  const view = tasksView(screen, () => Date.now());
  for (const event of events) view.show(event);
  await new Promise((resolve) => setTimeout(resolve, 200));
  view.close();
  const lines = screenAfter(text);
  const shown = lines.join('\n');
  assert.match(shown, /✔ data\/backup +Velero backup of shop +1 min 4 s\n‼ Group rsp-1 drifted\./);
  assert.equal(shown.split('✔ data/backup').length, 2, 'drawn twice');
  assert.match(shown, /▕█+░+▏ 20\.4 % {2}asked 20 %, reachable 20\.4 %, measured 20\.4 %/);
  assert.match(shown, /gates {4}… probe 0 of 3 failed\n {2}holding {2}2 min 30 s of 10 min/);
  assert.match(shown, /1 of 2 steps; Ctrl-C stops after this hold/);
  for (const line of lines) assert.ok(widthOf(line) <= 90, line);
  assert.ok(text.endsWith('\u001b[?25h'), 'the cursor is back');
});

test('a share bar is never empty while somebody is served there, and never full while somebody is not', () => {
  const cells = (share: number) =>
    (/▕([█░]*)▏/.exec(bar(share, plain(80)))?.[1] ?? '').split('').filter((it) => it === '█').length;
  assert.deepEqual([0, 0.4, 50, 99.9, 100].map(cells), [0, 1, 5, 9, 10]);
});

test('colour is for terminals, and NO_COLOR, FORCE_COLOR and --no-color are heeded', () => {
  const stream = (isTTY: boolean, columns = 100) => ({ isTTY, columns, write: () => true }) as never;
  const colours = (isTTY: boolean, env: Record<string, string>, flag = true) =>
    screenOn(stream(isTTY), env, flag).paint('red', 'x') !== 'x';
  assert.equal(colours(true, {}), true);
  assert.equal(colours(false, {}), false);
  assert.equal(colours(true, { NO_COLOR: '1' }), false);
  assert.equal(colours(true, { NO_COLOR: '' }), true);
  assert.equal(colours(true, { TERM: 'dumb' }), false);
  assert.equal(colours(false, { FORCE_COLOR: '1' }), true);
  assert.equal(colours(true, { FORCE_COLOR: '0' }), false);
  assert.equal(colours(false, { FORCE_COLOR: '1' }, false), false);
  assert.equal(screenOn(stream(true), { CI: 'true' }, true).live, false);
  assert.equal(screenOn(stream(true, 0), {}, true).live, false, 'a terminal without a width');
  assert.equal(screenOn(stream(true), {}, true).live, true);
});

test('junit fails what refuses and what is unknown, and is well-formed', () => {
  const xml = reportIn('junit', 'shop', preflight, hints) ?? '';
  assert.match(xml, /<testsuites name="migrate preflight shop" tests="5" failures="2" skipped="1"/);
  assert.match(xml, /<failure type="unknown" message="target: ConfigMap/);
  assert.match(xml, /message="Is removed-apis as it should be, for &lt;everyone&gt; &amp; &quot;all&quot;\?"/);
  const open: string[] = [];
  for (const [, close, name, self] of xml.matchAll(/<(\/?)([a-z-]+)(?:\s[^>]*?)?(\/?)>/g)) {
    if (close) assert.equal(open.pop(), name);
    else if (!self) open.push(name ?? '');
  }
  assert.deepEqual(open, []);
});

test('sarif has one result a finding with a logical place, and suppresses what is waived', () => {
  const log = JSON.parse(reportIn('sarif', 'shop', preflight, hints) ?? '') as {
    version: string;
    runs: { tool: { driver: { rules: { id: string }[] } }; results: Record<string, never>[] }[];
  };
  const [run] = log.runs;
  assert.equal(log.version, '2.1.0');
  assert.equal(run?.results.length, 2 + 1 + 12);
  for (const it of run?.results ?? [])
    assert.equal(run?.tool.driver.rules[it['ruleIndex'] as unknown as number]?.id, it['ruleId']);
  const waived = run?.results.filter((it) => it['suppressions'] !== undefined) as unknown as {
    locations: { logicalLocations: { fullyQualifiedName: string }[] }[];
    suppressions: { justification: string }[];
  }[];
  assert.equal(waived.length, 1);
  assert.equal(waived[0]?.locations[0]?.logicalLocations[0]?.fullyQualifiedName, 'ingress shop/legacy');
  assert.match(waived[0]?.suppressions[0]?.justification ?? '', /goes away \(web, until 2027-03-31\)/);
});

test('sarif shows a finding about a file beside its line', () => {
  const finding = { about: 'deploy/web app.yaml:14', saw: 'Ingress in extensions/v1beta1', severity: 'warn' as const };
  const [first] = preflight.report.results;
  assert.ok(first);
  const results = [{ ...first, outcome: 'warn' as const, findings: [finding] }];
  const log = reportIn('sarif', 'shop', { ...preflight, report: { ...preflight.report, results } }, hints) ?? '';
  const { runs } = JSON.parse(log) as { runs: { results: { locations: object[] }[] }[] };
  assert.deepEqual(runs[0]?.results[0]?.locations, [
    { physicalLocation: { artifactLocation: { uri: 'deploy/web%20app.yaml' }, region: { startLine: 14 } } },
  ]);
});

test('markdown is a table whose cells can not break it', () => {
  const rows = (reportIn('markdown', 'shop', preflight, hints) ?? '').split('\n').filter((it) => it.startsWith('|'));
  for (const row of rows) assert.equal(row.replaceAll('\\|', '').split('|').length, 7, row);
  assert.equal(rows.length, 2 + 2 + 1 + 12);
});

test('the published schemas are those of the code', () => {
  const published = (file: string) => JSON.parse(readFileSync(path.join(ROOT, file), 'utf8')) as unknown;
  const now = (schema: object) => JSON.parse(JSON.stringify(schema)) as unknown;
  assert.deepEqual(published('playbooks/schema.json'), now(playbookJsonSchema()), 'npm run schemas writes it anew');
  assert.deepEqual(published('docs/events.schema.json'), now(eventJsonSchema()), 'npm run schemas writes it anew');
});
