import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arriving } from '../src/arriving.js';
import { look } from '../src/cli/looking.js';
import { dryRunOn } from '../src/dry-run.js';
import { passageFor } from '../src/inert.js';
import type { DryRunAnswer, Inventory } from '../src/inventory.js';
import { mergePatch } from '../src/modifiers.js';
import type { Playbook } from '../src/playbook.js';
import type { Cluster, DryRunReply, KubeObject, ObjectRef, Right, World } from '../src/ports.js';
import { quickShop, stageFor } from './shop.js';
import { worldOf, type TerseWorld } from './worlds.js';

/** What a target answers that the twin never would: by kind and name, else that it takes it. */
type Said = Record<string, Partial<DryRunReply>>;

interface Asked {
  answers: DryRunAnswer[];
  lacks: Right[];
  put: { object: KubeObject; fields: string }[];
  /** objects of the longest list that was read */
  held: number;
}

/** The objects of a small world put to a server that says what it is told to. */
async function put(
  terse: TerseWorld,
  said: Said = {},
  denied: (right: Right) => boolean = () => false,
): Promise<Asked> {
  const { playbook, inventory } = worldOf(terse, { source: ['*', 'Namespace'], target: ['Namespace'] });
  const sent: Asked['put'] = [];
  const target = {
    can: async (rights: Right[]) => rights.map((it) => ({ ...it, allowed: !denied(it) })),
    async dryRun(object: KubeObject, fields: 'strict' | 'warn') {
      sent.push({ object, fields });
      const key = `${object.kind} ${object.metadata.name}`;
      return {
        status: 201,
        reason: '',
        message: '',
        warnings: [],
        ...(said[`${key} ${fields}`] ?? said[`${key} ${object.metadata.namespace}`] ?? said[key]),
      };
    },
  } as unknown as Cluster;
  const inside = (kind: string, namespace: string) =>
    (inventory.source.objects[kind] ?? []).filter((it) => it.metadata.namespace === namespace);
  let held = 0;
  const source = {
    list: async (kind: string, { namespace }: { namespace: string }) => {
      const all = inside(kind, namespace);
      held = Math.max(held, all.length);
      return all;
    },
    get: async ({ kind, namespace, name }: ObjectRef) =>
      inside(kind, namespace ?? '').find((it) => it.metadata.name === name),
  } as unknown as Cluster;
  return { ...(await dryRunOn({ source, target }, playbook, inventory)), put: sent, held };
}

const answerFor = ({ answers }: Asked, about: string): DryRunAnswer => {
  const found = answers.find((it) => it.about === about);
  assert.ok(found, `nothing about ${about}, but ${answers.map((it) => it.about).join(', ')}`);
  return found;
};

const there = { objects: [{ is: 'Namespace shop' }, { is: 'Namespace default' }] };

test('an object is put to the target once, as it will arrive, and what makes it again is not', async () => {
  const asked = await put({
    source: {
      objects: [
        {
          is: 'Deployment shop/web',
          spec: { replicas: 3 },
          status: { replicas: 3 },
          uid: 'u',
          managedFields: [{ manager: 'x' }],
          labels: { app: 'web' },
        },
        {
          is: 'ReplicaSet shop/web-1',
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'u', controller: true }],
        },
        {
          is: 'Service shop/web',
          spec: {
            type: 'ClusterIP',
            clusterIP: '10.0.0.7',
            clusterIPs: ['10.0.0.7'],
            ports: [{ port: 80, nodePort: 30080 }],
          },
        },
        { is: 'Service shop/headless', spec: { clusterIP: 'None' } },
        { is: 'ServiceAccount shop/default' },
        { is: 'CronJob shop/report', apiVersion: 'batch/v1beta1', spec: { schedule: '* * * * *' } },
        { is: 'Secret shop/db', type: 'Opaque', data: { password: 'aHVudGVyMmh1bnRlcjI=' } },
        {
          is: 'Secret shop/pull',
          type: 'kubernetes.io/dockerconfigjson',
          data: { '.dockerconfigjson': 'aHVudGVyMmh1bnRlcjI=' },
        },
      ],
    },
    target: there,
  });
  assert.deepEqual(
    asked.answers.map((it) => [it.about, it.answer]),
    [
      ['cronjob shop/report', 'taken'],
      ['deployment shop/web', 'taken'],
      ['secret shop/db', 'taken'],
      ['secret shop/pull', 'taken'],
      ['service shop/headless', 'taken'],
      ['service shop/web', 'taken'],
    ],
  );
  const sent = (name: string) => asked.put.find((it) => it.object.metadata.name === name)?.object;
  const deployment = asked.put.find((it) => it.object.kind === 'Deployment')?.object;
  assert.deepEqual(deployment, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
    spec: { replicas: 0 },
  });
  assert.deepEqual(
    asked.put.find((it) => it.object.kind === 'Service' && it.object.metadata.name === 'web')?.object['spec'],
    { type: 'ClusterIP', ports: [{ port: 80 }] },
  );
  assert.deepEqual(sent('headless')?.['spec'], { clusterIP: 'None' });
  assert.deepEqual(
    [sent('report')?.apiVersion, sent('report')?.['spec']],
    ['batch/v1', { schedule: '* * * * *', suspend: true }],
  );
  assert.deepEqual([sent('db')?.['data'], sent('pull')?.['data']], [{ password: '' }, { '.dockerconfigjson': 'e30=' }]);
});

test('a namespace that is still to come is put itself, and another stands in for it', async () => {
  const asked = await put({
    source: { objects: [{ is: 'Namespace shop', labels: { team: 'web' } }, { is: 'Deployment shop/web' }] },
    target: { objects: [{ is: 'Namespace default' }] },
  });
  assert.deepEqual(
    asked.put.map((it) => [it.object.kind, it.object.metadata.namespace]),
    [
      ['Namespace', undefined],
      ['Deployment', 'default'],
    ],
  );
  assert.deepEqual(asked.put[0]?.object.metadata.labels, { team: 'web' });
  assert.deepEqual(
    [answerFor(asked, 'deployment shop/web').standIn, answerFor(asked, 'namespace shop').standIn],
    ['default', undefined],
  );
});

test('where namespaces may not be listed, one that is missing shows at the first object', async () => {
  const objects = [{ is: 'Deployment shop/web' }];
  const asked = await put(
    { source: { objects }, target: { unseen: [{ kind: 'Namespace', why: 'forbidden' }] } },
    { 'Deployment web shop': { status: 404, reason: 'NotFound', message: 'namespaces "shop" not found' } },
  );
  assert.deepEqual(
    asked.put.map((it) => it.object.metadata.namespace),
    ['shop', 'default'],
  );
  assert.deepEqual(asked.answers, [
    { about: 'deployment shop/web', apiVersion: 'apps/v1', standIn: 'default', answer: 'taken', warnings: [] },
  ]);
  const nowhere = await put(
    { source: { objects }, target: there },
    { 'Deployment web': { status: 404, reason: 'NotFound', message: 'namespaces "default" not found' } },
  );
  assert.deepEqual(
    nowhere.answers.map((it) => it.answer),
    ['unknown'],
  );
});

test('a refusal is one in the server’s words; a name that is taken was the last thing looked at', async () => {
  const objects = [{ is: 'Deployment shop/bad' }, { is: 'Deployment shop/twice' }, { is: 'Deployment shop/hook' }];
  const asked = await put(
    { source: { objects }, target: there },
    {
      'Deployment bad': { status: 422, reason: 'Invalid', message: 'spec.template: Required value' },
      'Deployment twice': { status: 409, reason: 'AlreadyExists', message: 'deployments.apps "twice" already exists' },
      'Deployment hook': { status: 500, reason: 'InternalError', message: 'failed calling webhook "a.b.c"' },
    },
  );
  assert.deepEqual(
    asked.answers.map((it) => [it.about, it.answer, it.status, it.why]),
    [
      ['deployment shop/bad', 'refused', 422, 'spec.template: Required value'],
      ['deployment shop/hook', 'refused', 500, 'failed calling webhook "a.b.c"'],
      ['deployment shop/twice', 'taken', undefined, undefined],
    ],
  );
});

test('fields that the server does not know are a warning for what is restored, and a refusal for what we convert', async () => {
  const strict: Partial<DryRunReply> = {
    status: 400,
    reason: 'BadRequest',
    message: 'strict decoding error: unknown field "spec.old"',
  };
  const asked = await put(
    {
      source: { objects: [{ is: 'Deployment shop/web' }, { is: 'CronJob shop/report', apiVersion: 'batch/v1beta1' }] },
      target: there,
    },
    {
      'Deployment web strict': strict,
      'Deployment web warn': { warnings: ['unknown field "spec.old"'] },
      'CronJob report strict': strict,
    },
  );
  assert.deepEqual(answerFor(asked, 'deployment shop/web'), {
    about: 'deployment shop/web',
    apiVersion: 'apps/v1',
    answer: 'taken',
    warnings: ['unknown field "spec.old"'],
  });
  assert.equal(answerFor(asked, 'cronjob shop/report').answer, 'refused');
  assert.deepEqual(asked.put.map((it) => `${it.object.kind} ${it.fields}`).sort(), [
    'CronJob strict',
    'Deployment strict',
    'Deployment warn',
  ]);
});

test('a webhook with side effects and a server that gives no answer in time are unknown', async () => {
  const asked = await put(
    { source: { objects: [{ is: 'Deployment shop/a' }, { is: 'Deployment shop/b' }] }, target: there },
    {
      'Deployment a': {
        status: 400,
        reason: 'BadRequest',
        message: 'admission webhook "a.b.c" does not support dry run',
      },
      'Deployment b': { status: 504, reason: 'Timeout', message: 'Timeout: request did not complete within 30s' },
    },
  );
  assert.deepEqual(
    asked.answers.map((it) => [it.answer, it.status]),
    [
      ['unknown', 400],
      ['unknown', 504],
    ],
  );
  assert.deepEqual(asked.lacks, []);
});

test('without a right nothing is put, and each right is named once; who may not hand out rights is told so', async () => {
  const objects = [{ is: 'Deployment shop/a' }, { is: 'Deployment shop/b' }, { is: 'Role shop/r' }];
  const asked = await put(
    { source: { objects }, target: there },
    {
      'Role r': {
        status: 403,
        reason: 'Forbidden',
        message: 'user is attempting to grant RBAC permissions not currently held',
      },
    },
    ({ verb, resource }) => verb === 'escalate' || resource === 'deployments',
  );
  assert.deepEqual(
    asked.put.map((it) => it.object.kind),
    ['Role'],
  );
  assert.deepEqual(
    asked.answers.map((it) => it.answer),
    ['unknown', 'unknown', 'unknown'],
  );
  assert.deepEqual(asked.lacks.map((it) => `${it.verb} ${it.resource} ${it.namespace}`).sort(), [
    'create deployments shop',
    'escalate roles shop',
  ]);
  const held = await put(
    { source: { objects: [{ is: 'Role shop/r' }] }, target: there },
    { 'Role r': { status: 403, reason: 'Forbidden', message: 'exceeded quota' } },
  );
  assert.deepEqual(
    held.answers.map((it) => [it.answer, it.why]),
    [['refused', 'exceeded quota']],
  );
});

test('what the target does not serve is not put to it', async () => {
  const asked = await put({
    source: { alsoServes: ['Rollout.argoproj.io/v1'], objects: [{ is: 'Rollout shop/web' }] },
    target: there,
  });
  assert.deepEqual([asked.put, asked.answers.map((it) => [it.answer, it.status])], [[], [['refused', 404]]]);
});

test('a value that must not be kept is taken out of what the server says', async () => {
  const env = [{ name: 'DB_PASSWORD', value: 'hunter2hunter2' }];
  const deployment = {
    is: 'Deployment shop/web',
    spec: { template: { spec: { containers: [{ name: 'a', image: 'a', env }] } } },
  };
  const asked = await put(
    { source: { objects: [deployment] }, target: there },
    {
      'Deployment web': {
        status: 422,
        message: 'containers[0].env[0]: Invalid value: {"DB_PASSWORD", "hunter2hunter2"}',
        warnings: ['hunter2hunter2 is weak'],
      },
    },
  );
  const { why, warnings } = answerFor(asked, 'deployment shop/web');
  assert.deepEqual(
    [why, warnings],
    ['containers[0].env[0]: Invalid value: {"DB_PASSWORD", "(hidden)"}', ['(hidden) is weak']],
  );
});

test('thousands of objects are put one by one, and never held at once', async () => {
  const objects = [
    ...Array.from({ length: 600 }, (_, index) => ({ is: `ConfigMap shop/c${index}` })),
    { is: 'Deployment shop/web' },
  ];
  const asked = await put({ source: { objects }, target: there });
  assert.equal(asked.answers.length, 601);
  assert.equal(new Set(asked.answers.map((it) => it.about)).size, 601);
  assert.equal(asked.held, 1);
});

test('the rules of the restore apply to what they name and to nothing else', () => {
  const { playbook, inventory } = worldOf({
    playbook: { data: { namespaces: ['shop'], storageClasses: { slow: 'fast' } } },
    source: {
      objects: [
        { is: 'PersistentVolumeClaim shop/data', spec: { storageClassName: 'slow' } },
        { is: 'PersistentVolumeClaim shop/other', spec: { storageClassName: 'odd' } },
      ],
    },
  });
  const passage = passageFor(playbook, inventory);
  const classes = inventory.source.objects['PersistentVolumeClaim']?.map(
    (it) => arriving(it, passage)?.['spec'].storageClassName as string,
  );
  assert.deepEqual(classes, ['fast', 'odd']);
});

test('a merge patch removes what is null, goes into maps and replaces the rest', () => {
  assert.deepEqual(
    mergePatch({ a: 1, b: { c: 2, d: 3 }, e: [1] }, { a: null, b: { c: null, x: 9 }, e: [2], f: { g: null, h: 1 } }),
    { b: { d: 3, x: 9 }, e: [2], f: { h: 1 } },
  );
});

test('a look puts all of the shop to the twin and leaves it as it was', async () => {
  const shop = quickShop();
  const { stage } = await stageFor(shop, { clientsPerSecond: 1 });
  try {
    const before = JSON.stringify(stage.twin.target.snapshot());
    const { inventory, report } = await look(shop.playbook, stage.world);
    const { dryRun } = inventory.target;
    assert.ok(dryRun && dryRun.answers.length > 5, JSON.stringify(dryRun));
    assert.deepEqual(
      dryRun.answers.filter((it) => it.answer !== 'taken'),
      [],
    );
    // It takes all of them, two with the warnings that its like would give: of an annotation, and of an old node label, which is told elsewhere.
    const said = report.results.find((it) => it.check === 'dry-run');
    assert.equal(said?.outcome, 'warn');
    assert.deepEqual(
      said.findings.map((it) => it.about),
      ['ingress shop/legacy'],
    );
    assert.deepEqual(
      dryRun.answers.filter((it) => it.warnings.length > 0).map((it) => it.about),
      ['deployment shop/cart', 'ingress shop/legacy'],
    );
    assert.equal(JSON.stringify(stage.twin.target.snapshot()), before);
    await refusedByTheTwin(stage.world, shop.playbook, inventory);
  } finally {
    await stage.close();
  }
});

/** A Service that the source once took and no server would make again. */
async function refusedByTheTwin({ source, target }: World, playbook: Playbook, inventory: Inventory): Promise<void> {
  const spoilt: Pick<Cluster, 'list'> = {
    list: async (kind, options) =>
      (await source.list(kind, options)).map((it) =>
        kind === 'Service' ? { ...it, spec: { ...it['spec'], ports: [{ port: 99_999 }] } } : it,
      ),
  };
  const { answers } = await dryRunOn({ source: { ...source, ...spoilt }, target }, playbook, {
    ...inventory,
    source: {
      ...inventory.source,
      objects: {
        ...inventory.source.objects,
        Service:
          inventory.source.objects['Service']?.map((it) => ({ ...it, spec: { ...it['spec'], type: 'ClusterIP' } })) ??
          [],
      },
    },
  });
  const services = answers.filter((it) => it.about.startsWith('service shop/'));
  assert.ok(services.length > 0);
  for (const it of services)
    assert.match(`${it.answer} ${it.status} ${it.why}`, /^refused 422 .*spec\.ports\[0\]\.port: Invalid value: 99999/);
}
