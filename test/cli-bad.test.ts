import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { Place, ROOT } from './cli.js';

/**
 * What an operator gets wrong, and what is said about it: the whole screen lies in test/golden/bad. `UPDATE_GOLDEN=1 npm test` writes
 * them anew. Nothing is ever left behind.
 */
interface Bad {
  name: string;
  args: string[];
  exit: number;
  files?: Record<string, string>;
  env?: Record<string, string>;
  /** texts that must never be shown */
  hides?: string[];
}

const GOOD = `apiVersion: migrate/v1alpha1
kind: Playbook
name: shop
source: { context: old }
target: { context: new }
cloud: { provider: alibaba, region: cn-hangzhou }
data: { namespaces: [shop] }
traffic:
  services:
    - { service: shop/web, router: clb, group: rsp-1, port: 80 }
  steps: [1, 5, 20]
  hold: 10m
  gates:
    - { probe: 'https://shop.example.com/healthz', failures: 0.1% }
`;

/** The good playbook with one thing wrong, validated. */
const playbook = (name: string, from: string | RegExp, to: string, hides: string[] = []): Bad => {
  const text = GOOD.replace(from, to);
  assert.notEqual(text, GOOD, `${name}: nothing was made wrong`);
  return { name: `playbook-${name}`, args: ['validate', 'shop.yaml'], exit: 2, files: { 'shop.yaml': text }, hides };
};

const whole = (name: string, text: string): Bad => ({
  name: `playbook-${name}`,
  args: ['validate', 'shop.yaml'],
  exit: 2,
  files: { 'shop.yaml': text },
});

const flags = (name: string, ...args: string[]): Bad => ({
  name: `flags-${name}`,
  args,
  exit: 2,
  files: { 'migrate.yaml': GOOD },
});

const KUBECONFIG = (server: string) => `apiVersion: v1
kind: Config
current-context: other
clusters: [{ name: one, cluster: { server: '${server}' } }, { name: two, cluster: { server: '${server}' } }]
users: [{ name: me, user: { token: canary-token } }, { name: plugin, user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: ./no-such-plugin, interactiveMode: Never } } }]
contexts:
  - { name: old, context: { cluster: one, user: me } }
  - { name: new, context: { cluster: two, user: me } }
  - { name: other, context: { cluster: one, user: me } }
  - { name: nowhere, context: { cluster: three, user: me } }
  - { name: plugged, context: { cluster: one, user: plugin } }
`;

const kubeconfig = (
  name: string,
  text: string | undefined,
  edit: (playbook: string) => string = (it) => it,
  args: string[] = ['preflight'],
): Bad => ({
  name: `kubeconfig-${name}`,
  args: [...args, '--kubeconfig', 'config'],
  exit: 2,
  files: { 'migrate.yaml': edit(GOOD), ...(text !== undefined && { config: text }) },
  hides: ['canary-token'],
});

const LEFT_LOCK = { '.migrate/shop/lock.json': 'half a li' };

const cases: Bad[] = [
  playbook('unknown-key', 'hold: 10m', 'hodl: 10m'),
  playbook('unknown-key-at-the-top', 'traffic:', 'trafic:'),
  playbook('name-missing', 'name: shop\n', ''),
  playbook('name-not-a-name', 'name: shop', 'name: My Shop'),
  playbook('api-version', 'v1alpha1', 'v1'),
  playbook('kind', 'kind: Playbook', 'kind: Playbok'),
  playbook('same-context', 'context: new', 'context: old'),
  playbook('nothing-to-do', /data:[\s\S]*/, ''),
  playbook('traffic-without-cloud', /cloud:.*\n/, ''),
  playbook('steps-go-down', '[1, 5, 20]', '[1, 20, 5]'),
  playbook('step-above-100', '[1, 5, 20]', '[50, 120]'),
  playbook('steps-empty', '[1, 5, 20]', '[]'),
  playbook('hold-not-a-duration', 'hold: 10m', 'hold: 10 minutes'),
  playbook('hold-a-number', 'hold: 10m', 'hold: 600'),
  playbook('failures-not-a-percentage', '0.1%', '0.1'),
  playbook('probe-not-a-url', 'https://shop', 'ftp://shop'),
  playbook('probe-with-password', 'https://shop', 'https://me:canary-word@shop', ['canary-word']),
  playbook('service-without-namespace', 'shop/web', 'web'),
  playbook('router-unknown', 'router: clb', 'router: cbl'),
  playbook('group-not-an-id', 'rsp-1', 'web-servers'),
  playbook('port-out-of-range', 'port: 80 }', 'port: 80800 }'),
  playbook('group-twice', 'port: 80 }', 'port: 80 }\n    - { service: shop/api, router: clb, group: rsp-1, port: 81 }'),
  playbook('disks-unknown', '[shop] }', '[shop], disks: copies }'),
  playbook('namespaces-empty', '[shop] }', '[] }'),
  playbook('data-is-a-list', 'data: { namespaces: [shop] }', 'data: [shop]'),
  playbook(
    'waiver-without-end',
    'data:',
    'preflight: { waive: [{ check: rights, about: x, because: y, owner: me, until: soon }] }\ndata:',
  ),
  playbook('key-twice', 'kind: Playbook', 'kind: Playbook\nkind: Playbook'),
  playbook('not-yaml', 'source: { context: old }', 'source: { context: old'),
  playbook('wide-characters', 'name: shop', 'name: 商城'),
  whole('empty', ''),
  whole('a-list', '- shop\n'),
  whole(
    'many-complaints',
    GOOD.replace('kind: Playbook', 'kind: Book')
      .replace('hold: 10m', 'hold: soon')
      .replace('port: 80', 'port: web')
      .replace('[shop]', '[Shop!]'),
  ),

  flags('no-such-command', 'pln'),
  flags('no-such-command-at-all', 'frobnicate'),
  flags('no-such-flag', 'run', '--statte', 'x'),
  flags('flag-of-another-command', 'plan', '--stepwise'),
  flags('flag-before-command', '--yes', 'run'),
  flags('shift-without-share', 'shift'),
  flags('share-above-100', 'shift', '--to', '120'),
  flags('share-a-word', 'shift', '--to', 'half'),
  flags('value-missing', 'plan', '--kubeconfig'),
  flags('format-unknown', 'plan', '-o', 'yaml'),
  flags('timeout-not-a-duration', 'plan', '--timeout', '5x'),
  flags('phase-unknown', 'run', '--phase', 'datta'),
  flags('too-many-words', 'rollback', 'everything'),
  flags('completion-for-no-shell', 'completion'),
  flags('completion-for-another-shell', 'completion', 'tcsh'),
  flags('explain-typo', 'explain', 'removed-api'),
  flags('seed-not-a-number', 'rehearse', '--seed', 'x'),
  flags('language-unknown', 'validate', '--lang', 'de'),
  { ...flags('as-json', 'shift', '--to', '101', '-o', 'json'), name: 'flags-as-json' },
  {
    name: 'flags-format-in-environment',
    args: ['plan'],
    env: { MIGRATE_OUTPUT: 'xml' },
    exit: 2,
    files: { 'migrate.yaml': GOOD },
  },

  { name: 'files-no-playbook', args: ['plan'], exit: 2 },
  { name: 'files-playbook-misspelt', args: ['plan', 'shp'], exit: 2, files: { 'playbooks/shop.yaml': GOOD } },
  {
    name: 'files-playbook-a-directory',
    args: ['validate', 'playbooks'],
    exit: 2,
    files: { 'playbooks/shop.yaml': GOOD },
  },
  { name: 'files-plan-not-json', args: ['run', 'plan.json'], exit: 2, files: { 'plan.json': 'steps: []' } },
  {
    name: 'files-plan-edited',
    args: ['run', 'plan.json'],
    exit: 2,
    files: {
      'plan.json':
        '{"schemaVersion":1,"name":"shop","digest":"0000","takenAt":"2026-01-01T00:00:00Z","steps":[],"shares":[],"notes":[]}',
    },
  },
  { name: 'files-plan-missing', args: ['run', 'plan.json'], exit: 2 },
  {
    name: 'files-inventory-of-something-else',
    args: ['preflight', '--inventory', 'package.json'],
    exit: 2,
    files: { 'migrate.yaml': GOOD, 'package.json': '{"name":"x"}' },
  },
  { name: 'files-no-world', args: ['rehearse'], exit: 2, files: { 'migrate.yaml': GOOD } },
  {
    name: 'files-world-empty',
    args: ['rehearse'],
    exit: 2,
    files: { 'migrate.yaml': GOOD, 'migrate.world.yaml': 'source: { version: v1.20.15, objects: [] }\n' },
  },
  {
    name: 'files-init-would-overwrite',
    args: ['init', '--source', 'old', '--target', 'new'],
    exit: 2,
    files: { 'migrate.yaml': GOOD },
  },
  {
    name: 'files-lock-broken',
    args: ['run', '--yes', '--kubeconfig', 'config'],
    exit: 5,
    files: { 'migrate.yaml': GOOD, config: KUBECONFIG('https://127.0.0.1:1'), ...LEFT_LOCK },
  },
  {
    name: 'files-journal-broken',
    args: ['status', '--kubeconfig', 'config'],
    exit: 1,
    files: {
      'migrate.yaml': GOOD,
      '.migrate/shop/journal.jsonl': '{"seq":1\n{"seq":2,"at":"2026-01-01T00:00:00Z","type":"completed"}\n',
    },
  },

  kubeconfig('missing', undefined),
  { name: 'kubeconfig-none-at-all', args: ['plan'], exit: 2, files: { 'migrate.yaml': GOOD } },
  kubeconfig('not-yaml', 'apiVersion: v1\nusers: [{ name: me, user: { token: canary-token'),
  kubeconfig('unknown-context', KUBECONFIG('https://127.0.0.1:1'), (it) => it.replace('context: old', 'context: odl')),
  kubeconfig('context-without-cluster', KUBECONFIG('https://127.0.0.1:1'), (it) =>
    it.replace('context: old', 'context: nowhere'),
  ),
  kubeconfig(
    'run-with-unknown-context',
    KUBECONFIG('https://127.0.0.1:1'),
    (it) => it.replace('context: new', 'context: newer'),
    ['run', '--yes'],
  ),
  {
    ...kubeconfig('plugin-missing', KUBECONFIG('https://127.0.0.1:1'), (it) =>
      it.replace('context: old', 'context: plugged'),
    ),
    exit: 1,
  },
  {
    name: 'kubeconfig-init-asks-nobody',
    args: ['init', '--kubeconfig', 'config'],
    exit: 2,
    files: { config: KUBECONFIG('https://127.0.0.1:1') },
  },
  {
    name: 'kubeconfig-init-context-misspelt',
    args: ['init', '--kubeconfig', 'config', '--source', 'otter', '--target', 'new'],
    exit: 2,
    files: { config: KUBECONFIG('https://127.0.0.1:1') },
  },
  {
    name: 'kubeconfig-init-same-context',
    args: ['init', '--kubeconfig', 'config', '--source', 'old', '--target', 'old'],
    exit: 2,
    files: { config: KUBECONFIG('https://127.0.0.1:1') },
  },
];

const GOLDEN = path.join(ROOT, 'test', 'golden', 'bad');

test(
  'what is wrong is named with its place, why, and what to do, and nothing is left behind',
  { concurrency: 3 },
  async (t) => {
    await Promise.all(cases.map((one) => t.test(one.name, () => check(one))));
    assert.ok(cases.length >= 60);
    if (process.env['UPDATE_GOLDEN']) return;
    const known = new Set(cases.map((it) => `${it.name}.txt`).concat('kubeconfig-nobody-answers.txt'));
    assert.deepEqual(
      readdirSync(GOLDEN).filter((it) => !known.has(it)),
      [],
      'a golden file without its case',
    );
  },
);

test('a cluster that does not answer is named, after a short wait', async () => {
  // A port that was just free: whoever listens there next is not us.
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
  const server = `https://127.0.0.1:${port}`;
  await check({ ...kubeconfig('nobody-answers', KUBECONFIG(server)), exit: 1 }, (text) =>
    text.replaceAll(server, 'https://127.0.0.1:PORT'),
  );
});

async function check(
  { name, args, files, env, exit, hides = [] }: Bad,
  plain: (text: string) => string = (it) => it,
): Promise<void> {
  const place = new Place(files);
  try {
    const before = place.files();
    const { code, stdout, stderr } = await place.run(args, env);
    const shown = `$ migrate ${args.join(' ')}\n${stdout}${stderr}exit ${code}\n`;
    for (const hidden of hides) assert.ok(!shown.includes(hidden), `${hidden} was shown`);
    assert.deepEqual(place.files(), before, 'files were left behind');
    assert.ok(!shown.includes('\u001b'), 'colour where nobody sees it');
    compare(
      path.join(GOLDEN, `${name}.txt`),
      plain(shown)
        .replaceAll(place.dir, 'DIR')
        .replace(/"at":"[^"]+"/g, '"at":"NOW"'),
    );
    assert.equal(code, exit);
  } finally {
    place.remove();
  }
}

function compare(file: string, shown: string): void {
  if (process.env['UPDATE_GOLDEN']) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, shown);
    return;
  }
  assert.ok(existsSync(file), `no ${path.basename(file)}; UPDATE_GOLDEN=1 writes it`);
  assert.equal(shown, readFileSync(file, 'utf8'));
}
