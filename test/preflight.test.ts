import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { checks } from '../checks/index.js';
import { Skipped, Unknown, type Check, type Finding } from '../src/check.js';
import { parsePlaybook } from '../src/playbook.js';
import { askAll, type Report } from '../src/preflight.js';
import { inventoryOf, worldOf, type Seed, type TerseWorld } from './worlds.js';

/** A check that gives what it is told to. */
const check = (id: string, look: Check['look'], rest: Partial<Check> = {}): Check => ({
  id,
  group: 'apis',
  asks: `${id}?`,
  before: 'data',
  severity: 'refuse',
  reads: {},
  hint: { why: '', fix: '' },
  zh: { asks: '', why: '', fix: '' },
  sources: [],
  look,
  ...rest,
});

const ask = (list: Check[], world: TerseWorld = {}): Report => askAll(list, worldOf(world));
const only = (report: Report) => report.results[0];
const finding = (about: string, rest: Partial<Finding> = {}): Finding => ({ about, saw: 'something', ...rest });
const waive = (...list: object[]): TerseWorld => ({
  playbook: {
    preflight: {
      waive: list.map((it) => ({
        check: 'a',
        about: 'pod x/y',
        because: 'known',
        owner: 'web',
        until: '2027-01-31',
        ...it,
      })),
    },
  },
});

test('no findings is a pass, a warning leaves it ready, a refusal does not', () => {
  const report = ask([check('a', () => []), check('b', () => [finding('x', { severity: 'warn' })])]);
  assert.deepEqual(
    report.results.map((it) => it.outcome),
    ['pass', 'warn', 'pass'],
  );
  assert.deepEqual(report.counts, { pass: 2, warn: 1, refuse: 0, unknown: 0, skipped: 0, waived: 0 });
  assert.equal(report.ready, true);
  const refused = ask([check('a', () => [finding('x', { severity: 'warn' }), finding('y')])]);
  assert.equal(only(refused)?.outcome, 'refuse');
  assert.equal(refused.ready, false);
});

test('a check that could not look is unknown, and unknown is not ready', () => {
  const report = ask([
    check('a', () => {
      throw new Unknown('the map may not be read');
    }),
  ]);
  assert.equal(only(report)?.outcome, 'unknown');
  assert.equal(only(report)?.why, 'the map may not be read');
  assert.equal(report.ready, false);
});

test('a check whose question does not arise is skipped, and that is ready', () => {
  const report = ask([
    check('a', () => {
      throw new Skipped('disks: none');
    }),
  ]);
  assert.equal(only(report)?.outcome, 'skipped');
  assert.equal(report.ready, true);
});

test('a check that fails by a bug is never a pass, and carries its stack', () => {
  const report = ask([
    check('a', () => {
      throw new TypeError('undefined is not an object');
    }),
    check('b', () => []),
  ]);
  assert.equal(only(report)?.outcome, 'unknown');
  assert.match(only(report)?.bug ?? '', /TypeError: undefined is not an object\n +at /);
  assert.equal(report.results[1]?.outcome, 'pass');
  assert.equal(report.ready, false);
});

test('a kind that a check reads and that could not be listed makes it unknown, before it looks', () => {
  const never = check('a', () => assert.fail('it looked'), { reads: { target: ['Node'] } });
  const report = ask([never], { target: { unseen: [{ kind: 'Node', why: 'forbidden: list nodes' }] } });
  assert.equal(only(report)?.why, 'target: Node: forbidden: list nodes');
});

test('a kind that nobody captured is unknown, not empty', () => {
  const report = ask([check('a', ({ source }) => (source.list('Node'), []))]);
  assert.equal(only(report)?.why, 'source: Node: was not captured');
});

test('a kind that the server does not have is an empty list', () => {
  const report = ask([check('a', ({ source }) => source.list('Gone.example.com').map(() => finding('x')))], {
    source: { unseen: [{ kind: 'Gone.example.com', why: 'not served' }] },
  });
  assert.equal(only(report)?.outcome, 'pass');
});

test('a kind of a group whose discovery failed is unknown, not missing', () => {
  const report = ask([check('a', ({ target }) => (target.serves('Gone.example.com') ? [] : [finding('x')]))], {
    target: { unseen: [{ kind: '*.example.com', why: '503 from its API service' }] },
  });
  assert.equal(only(report)?.why, 'target: what the API server serves in example.com: 503 from its API service');
});

test('a check that reads the cloud is unknown when the cloud was not captured', () => {
  const report = ask([check('a', () => [], { reads: { cloud: true } })], { cloud: null });
  assert.equal(only(report)?.why, 'the cloud was not captured');
});

test('a load balancer that is absent is told apart from one that could not be read', () => {
  const look = check('a', (sight) => [finding(String(sight.loadBalancer('lb-9')))]);
  const absent = ask([look], { cloud: { unseen: [{ what: 'lb-9', why: 'there is none', absent: true }] } });
  assert.equal(only(absent)?.findings[0]?.about, 'undefined');
  const unread = ask([look], { cloud: { unseen: [{ what: 'lb-9', why: 'Throttling.User' }] } });
  assert.equal(only(unread)?.why, 'load balancer lb-9: Throttling.User');
  assert.equal(only(ask([look]))?.why, 'load balancer lb-9: was not captured');
});

test('without its section of the playbook every check that needs one is skipped', () => {
  for (const section of ['data', 'traffic'] as const) {
    const list = checks.filter((it) => it.when?.includes(section));
    assert.ok(list.length > 0);
    const { results } = ask(list, { playbook: { [section]: null } });
    for (const it of results.slice(0, -1)) {
      assert.equal(it.outcome, 'skipped', it.check);
      assert.equal(it.why, `the playbook has no \`${section}\``);
    }
  }
});

test('a waiver covers the findings about the object that it names, and tells who owns it', () => {
  const report = ask([check('a', () => [finding('pod x/y'), finding('pod x/y', { severity: 'warn' })])], waive({}));
  assert.equal(only(report)?.outcome, 'waived');
  assert.deepEqual(
    only(report)?.findings.map((it) => it.waivedBy?.owner),
    ['web', 'web'],
  );
  assert.equal(report.ready, true);
  assert.deepEqual(report.counts, { pass: 1, warn: 0, refuse: 0, unknown: 0, skipped: 0, waived: 2 });
  const half = ask([check('a', () => [finding('pod x/y'), finding('pod x/z')])], waive({}));
  assert.equal(only(half)?.outcome, 'refuse');
});

test('a waiver holds through its last day and not a day longer', () => {
  const list = [check('a', () => [finding('pod x/y')])];
  assert.equal(only(ask(list, { ...waive({}), today: '2027-01-31' }))?.outcome, 'waived');
  const late = ask(list, { ...waive({}), today: '2027-02-01' });
  assert.deepEqual(
    late.results.map((it) => it.outcome),
    ['refuse', 'warn'],
  );
  assert.equal(late.results[1]?.findings[0]?.about, 'waiver a: pod x/y');
  assert.match(late.results[1]?.findings[0]?.saw ?? '', /^expired on 2027-01-31/);
});

test('a waiver for nothing is a warning that says what was probably meant', () => {
  const list = [check('abc', () => [finding('pod x/yy')])];
  const saw = (waiver: object) => ask(list, waive(waiver)).results[1]?.findings[0]?.saw;
  assert.equal(saw({ check: 'abc' }), 'abc found nothing about it; did you mean "pod x/yy"?');
  assert.equal(saw({ check: 'abd' }), 'there is no check of that name; did you mean abc?');
  assert.equal(saw({ check: 'abc', about: 'Deployment' }), 'abc found nothing about it');
});

test('a waiver whose check could not look is left in peace', () => {
  const report = ask(
    [
      check('a', () => {
        throw new Unknown('no');
      }),
    ],
    waive({}),
  );
  assert.deepEqual(
    report.results.map((it) => it.outcome),
    ['unknown', 'pass'],
  );
});

test('what could not be seen can be waived by that word', () => {
  const report = ask(
    [
      check('a', () => {
        throw new Unknown('no such map');
      }),
    ],
    waive({ about: 'unknown' }),
  );
  assert.equal(only(report)?.outcome, 'waived');
  assert.equal(only(report)?.why, 'no such map');
  assert.equal(report.ready, true);
});

test('the namespaces of a move are those of the data and those of the services', () => {
  const seen = (playbook: Record<string, unknown>) =>
    only(ask([check('a', ({ namespaces }) => [finding(namespaces.join())])], { playbook }))?.findings[0]?.about;
  assert.equal(seen({ data: { namespaces: ['shop', 'pay'] } }), 'pay,shop');
  assert.equal(seen({ data: null }), 'shop');
});

test('the same inventory gives the same report', () => {
  const asked = worldOf({ source: { objects: [{ is: 'CronJob shop/report' }] } }, { source: ['*'] });
  assert.deepEqual(askAll(checks, asked), askAll(checks, structuredClone(asked)));
});

/** One line for each check and each finding: what a view has to work with. */
const told = ({ results, counts, ready }: Report): string =>
  [
    ...results.flatMap(({ check, outcome, why, findings }) => [
      `${outcome.padEnd(8)}${check}${why === undefined ? '' : `: ${why}`}`,
      ...findings.flatMap((it) => [
        `  ${it.severity} ${it.about}${it.waivedBy ? ` (waived by ${it.waivedBy.owner} until ${it.waivedBy.until})` : ''}`,
        ...(['saw', 'want', 'breaks', 'fix'] as const).flatMap((field) =>
          it[field] === undefined ? [] : [`    ${field.padEnd(7)}${it[field]}`],
        ),
      ]),
    ]),
    Object.entries(counts)
      .map(([outcome, n]) => `${n} ${outcome}`)
      .join(' · '),
    ready ? 'ready' : 'not ready',
    '',
  ].join('\n');

const root = new URL('../../', import.meta.url);

for (const name of ['shop', 'cross-region']) {
  test(`the shipped world ${name} is ready to move, and the report of it is the one in test/golden`, () => {
    const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
    const playbook = parsePlaybook(read(`playbooks/${name}.yaml`), `${name}.yaml`);
    const inventory = inventoryOf(parse(read(`playbooks/${name}.world.yaml`)) as Seed);
    const report = askAll(checks, { playbook, inventory, today: '2026-11-23', needs: { source: [], target: [] } });
    assert.equal(report.ready, true, told(report));
    const golden = new URL(`test/golden/preflight-${name}.txt`, root);
    if (process.env['UPDATE_GOLDEN']) writeFileSync(golden, told(report));
    assert.equal(told(report), readFileSync(golden, 'utf8'));
  });
}
