import assert from 'node:assert/strict';
import { test } from 'node:test';
import { look } from '../src/cli/looking.js';
import { mappedImage } from '../src/inert.js';
import { grouped, reasonOf } from '../src/causes.js';
import { modify, type Rule } from '../src/modifiers.js';
import { parsePlaybook } from '../src/playbook.js';
import { parseModifiers } from '../src/twin/controllers/velero-modifiers.js';
import { quickShop, quickShopText, stageFor } from './shop.js';
import { openStage } from '../src/cli/stage.js';

const web = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop', labels: { tier: 'web' } },
  spec: { replicas: 3, template: { spec: { containers: [{ name: 'a', image: 'old/a:1' }] } } },
};
const meant: Rule['conditions'] = { groupResource: 'deployments.apps' };

const RULES: [string, Omit<Rule, 'conditions'>, Rule['conditions']?][] = [
  ['a merge', { mergePatches: [{ patchData: '{"spec":{"replicas":0,"paused":true}}' }] }],
  ['a removal by null', { mergePatches: [{ patchData: '{"metadata":{"labels":{"tier":null}}}' }] }],
  [
    'a replacement in a list',
    { patches: [{ operation: 'replace', path: '/spec/template/spec/containers/0/image', value: 'new/a:1' }] },
  ],
  ['a replacement of nothing', { patches: [{ operation: 'replace', path: '/spec/none', value: '1' }] }],
  ['a removal of nothing', { patches: [{ operation: 'remove', path: '/spec/none' }] }],
  ['an addition with a number', { patches: [{ operation: 'add', path: '/spec/minReadySeconds', value: '5' }] }],
  [
    'an addition of a text that looks like a number',
    { patches: [{ operation: 'add', path: '/metadata/labels/n', value: '"5"' }] },
  ],
  [
    'an addition at the end of a list',
    { patches: [{ operation: 'add', path: '/spec/template/spec/containers/-', value: '{"name":"b"}' }] },
  ],
  ['a move', { patches: [{ operation: 'move', from: '/metadata/labels/tier', path: '/metadata/labels/was' }] }],
  [
    'a test that holds',
    {
      patches: [
        { operation: 'test', path: '/spec/replicas', value: '3' },
        { operation: 'replace', path: '/spec/replicas', value: '1' },
      ],
    },
  ],
  [
    'a test that fails',
    {
      patches: [
        { operation: 'test', path: '/spec/replicas', value: '9' },
        { operation: 'replace', path: '/spec/replicas', value: '1' },
      ],
    },
  ],
  [
    'another name',
    { mergePatches: [{ patchData: '{"spec":{"replicas":0}}' }] },
    { ...meant, resourceNameRegex: '^other$' },
  ],
  [
    'another namespace',
    { mergePatches: [{ patchData: '{"spec":{"replicas":0}}' }] },
    { ...meant, namespaces: ['pay'] },
  ],
  ['a glob of kinds', { mergePatches: [{ patchData: '{"spec":{"replicas":0}}' }] }, { groupResource: '*.apps' }],
  [
    'a label',
    { mergePatches: [{ patchData: '{"spec":{"replicas":0}}' }] },
    { ...meant, labelSelector: { matchLabels: { tier: 'web' } } },
  ],
  [
    'a value that matches',
    { mergePatches: [{ patchData: '{"spec":{"replicas":0}}' }] },
    { ...meant, matches: [{ path: '/spec/replicas', value: '3' }] },
  ],
  [
    'a value that does not',
    { mergePatches: [{ patchData: '{"spec":{"replicas":0}}' }] },
    { ...meant, matches: [{ path: '/spec/replicas', value: '4' }] },
  ],
];

for (const [what, patches, conditions = meant] of RULES) {
  test(`${what}: our own trial comes to what Velero's model does`, () => {
    const rule = { conditions, ...patches };
    const ours = modify(web, 'deployments.apps', [{ name: what, rule }]);
    const theirs = parseModifiers({ rules: JSON.stringify({ version: 'v1', resourceModifierRules: [rule] }) }).apply(
      web,
      'deployments.apps',
    );
    assert.deepEqual(ours.object, theirs.object);
    assert.equal(ours.failed.length, theirs.errors.length);
  });
}

test('each change names its field and its rule', () => {
  const { changes } = modify(web, 'deployments.apps', [
    { name: 'to nothing', rule: { conditions: meant, mergePatches: [{ patchData: '{"spec":{"replicas":0}}' }] } },
  ]);
  assert.deepEqual(changes, [{ path: 'spec.replicas', from: 3, to: 0, by: 'to nothing' }]);
});

test('images move by the longest beginning that fits, at a border of names', () => {
  const map = { 'old.example.com': 'new.example.com', 'old.example.com/team': 'new.example.com/other' };
  assert.equal(mappedImage('old.example.com/team/web:1', map), 'new.example.com/other/web:1');
  assert.equal(mappedImage('old.example.com/web:1', map), 'new.example.com/web:1');
  assert.equal(mappedImage('old.example.community/web:1', map), undefined);
});

test('a rule that would not apply stops the plan', async () => {
  const rule =
    'rules: [{ conditions: { groupResource: deployments.apps }, patches: [{ operation: replace, path: /spec/none, value: "1" }] }]';
  const playbook = parsePlaybook(quickShopText().replace(/^data:\n/m, `data:\n  ${rule}\n`), 'shop.yaml');
  const stage = await openStage(playbook, quickShop().seed, { clientsPerSecond: 0 });
  try {
    const { planError } = await look(playbook, stage.world);
    assert.equal(planError?.code, 'PLAN_RULE_FAILS');
    assert.match(planError.what, /data\.rules\[0\] on deployment shop\/\w+: there is no \/spec\/none/);
  } finally {
    await stage.close();
  }
});

test('the shop plans as ever, with rules that all apply', async () => {
  const { stage, plan } = await stageFor(quickShop(), { clientsPerSecond: 0 });
  await stage.close();
  assert.ok(plan.steps.some((it) => it.id === 'data/rules'));
});

test('refusals fall into few causes', () => {
  const said: [string, number | undefined, string][] = [
    ['quota', 403, 'pods "a" is forbidden: exceeded quota: room, requested: pods=1'],
    [
      'node-port',
      422,
      'Service "a" is invalid: spec.ports[0].nodePort: Invalid value: 31080: provided port is already allocated',
    ],
    ['webhook-not-up', 500, 'Internal error occurred: failed calling webhook "a": connection refused'],
    [
      'namespace-ending',
      403,
      'configmaps "a" is forbidden: unable to create new content in namespace shop because it is being terminated',
    ],
    [
      'api-not-served',
      undefined,
      'error restoring cronjobs.batch/shop/a: the server could not find the requested resource',
    ],
    ['policy', 403, 'admission webhook "a" denied the request: no'],
    ['rights', 403, 'configmaps is forbidden: User "a" cannot create resource "configmaps"'],
    ['invalid', 422, 'Deployment.apps "a" is invalid: spec: Required value'],
    ['existing-object', 409, 'configmaps "a" already exists'],
    ['other', 500, 'etcd is sad'],
  ];
  for (const [reason, status, text] of said) assert.equal(reasonOf(status, text), reason, text);
  assert.match(
    grouped([
      { about: 'a', reason: 'quota' },
      { about: 'b', reason: 'quota' },
      { about: 'c', reason: 'policy' },
    ]),
    /^2 × quota \(a, b\); 1 × policy \(c\)$/,
  );
});
