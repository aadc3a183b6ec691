import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Engine } from '../../src/engine.js';
import { memoryStore } from '../../src/journal.js';
import type { Plan } from '../../src/plan.js';
import type { Playbook } from '../../src/playbook.js';
import type { World } from '../../src/ports.js';
import { type Preview, previewOf } from '../../src/preview.js';
import { rollback } from '../../src/rollback.js';
import { run } from '../../src/run.js';
import { checks } from '../../checks/index.js';
import { takeInventory } from '../../src/look.js';
import { applications, obstruction, type Sent } from '../servers/applications.js';
import { addNodes, type ControlPlane, type KubernetesObject } from '../servers/control-plane.js';
import { type Move, planFor, playbookWith, startMove } from '../servers/move.js';
import { mustBeDone } from '../shop.js';

/** Two hundred objects between two real control planes by a backup that is written and a real Velero that restores it. */

const TARGET =
  'deployment replicaset statefulset namespace serviceaccount garbagecollector resourcequota endpoint endpointslice endpointslicemirroring pvc-protection'.split(
    ' ',
  );
const DATA = `{
  namespaces: [shop, pay, ops], disks: none, apps: converted, nodePorts: keep, storageClasses: { slow: fast },
  images: { registry-old.example.com: registry-new.example.com }, registries: [registry-new.example.com], leaveOut: [LEFT] }`;

describe('two hundred objects from 1.20 to 1.36', { timeout: 240_000 }, () => {
  let move: Move;
  let sent: Sent[];
  let start: unknown;
  let world: World;
  let plan: Plan;
  let engine: Engine;
  const journal = memoryStore();

  const open = async (left: string[]): Promise<{ playbook: Playbook; preview: Preview }> => {
    const playbook = playbookWith(DATA.replace('LEFT', left.map((it) => JSON.stringify(it)).join(', ')), 'apps');
    world = await move.world(playbook);
    const preview = await previewOf(world, playbook, await takeInventory(playbook, world, checks));
    return { playbook, preview };
  };

  before(async () => {
    move = await startMove({ source: { controllers: ['namespace'], kwok: false }, target: { controllers: TARGET } });
    await addNodes(move.target, 1);
    const { definitions, objects } = applications();
    sent = [...definitions, ...objects];
    for (const it of obstruction()) await post(move.target, it);
    for (const name of ['shop', 'pay', 'ops'])
      await post(move.source, { path: '/api/v1/namespaces', object: { metadata: { name, labels: { team: name } } } });
    await post(move.source, { path: '/api/v1/namespaces', object: { metadata: { name: 'elsewhere' } } });
    for (const it of definitions) await post(move.source, it);
    await move.source.until(
      'custom kinds served',
      async () =>
        (await move.source.request('GET', '/apis/example.org/v1alpha1/gadgets')).status === 200 &&
        (await move.source.request('GET', '/apis/example.com/v1/widgets')).status === 200,
    );
    for (const it of objects) await post(move.source, it);
    start = await everything(move.target);
  });
  after(() => move?.stop());

  test('they are two hundred, of 25 kinds', () => {
    assert.ok(sent.length >= 200, String(sent.length));
    const kinds = new Set(sent.map((it) => it.path.split('/').at(-1)));
    assert.ok(kinds.size >= 25, [...kinds].join(' '));
  });

  test('every refusal is in the preview, with its reason, and nothing else is', async () => {
    const { preview } = await open([]);
    const refused = preview.rows.filter((it) => it.action === 'refuse' || it.action === 'unknown');
    const wanted = sent.flatMap((it) => it.refused ?? []);
    assert.deepEqual(
      refused
        .map(({ about, reason, ...it }) => ({
          about,
          reason,
          ...(wanted.some((one) => one.about === about) ? {} : it),
        }))
        .sort(byAbout),
      wanted.sort(byAbout),
    );
    assert.deepEqual(await everything(move.target), start, 'looking changes nothing');
    const web = preview.rows.find((it) => it.about === 'deployment shop/app-0');
    assert.equal(web?.action, 'change');
    assert.deepEqual(
      web?.changes?.map((it) => [it.path, it.by]),
      [
        ['spec.replicas', 'workloads arrive at 0'],
        ['spec.template.spec.containers[0].image', 'data.images'],
      ],
    );
  });

  test('everything expected arrives inert and converted, field by field', async (t) => {
    const { playbook, preview } = await open(
      sent.flatMap((it) => (it.refused && it.refused.about.split('/').length === 2 ? [it.refused.about] : [])),
    );
    assert.deepEqual(
      preview.rows.filter((it) => it.action === 'refuse').map((it) => it.about),
      ['podsecuritypolicy strict'],
    );
    plan = await planFor(playbook, world);
    engine = move.engine(world, { store: journal });
    const asleep = { ...plan, steps: plan.steps.filter((it) => !/^data\/(start|webhooks)/.test(it.id)) };
    const began = performance.now();
    mustBeDone(await run(asleep, ['data'], engine));
    t.diagnostic(`${sent.length} objects arrived in ${Math.round(performance.now() - began)} ms`);
    const wrong: string[] = [];
    for (const { expect } of sent) {
      if (!expect) continue;
      const { status, body } = await move.target.request('GET', expect.path);
      wrong.push(
        ...(status === 200
          ? missing(expect.object, body).map((it) => `${expect.path} ${it}`)
          : [`${expect.path} ${status}`]),
      );
    }
    assert.deepEqual(wrong, []);
    for (const path of [
      '/api/v1/namespaces/shop/secrets/account-0-token-x',
      '/api/v1/namespaces/shop/configmaps/not-this',
      '/apis/batch/v1/namespaces/ops/jobs/done',
      '/api/v1/namespaces/shop/services/front',
    ])
      assert.equal((await move.target.request('GET', path)).status, 404, path);
  });

  test('then it starts, and webhooks come when what answers them runs', async () => {
    mustBeDone(await run(plan, ['data'], engine));
    const { body } = await move.target.request('GET', '/apis/apps/v1/namespaces/ops/deployments/app-2');
    assert.equal(body.status.readyReplicas, 3);
    const hooks = await move.target.request(
      'GET',
      '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/gate',
    );
    const [hook] = hooks.body.webhooks;
    assert.deepEqual([hook.failurePolicy, hook.matchPolicy, hook.timeoutSeconds], ['Ignore', 'Exact', 30]);
  });

  test('rollback leaves the target as it was', async () => {
    mustBeDone(await rollback(undefined, engine));
    assert.deepEqual(await everything(move.target), start);
    assert.deepEqual(
      await world
        .bucket({
          provider: 'aws',
          bucket: move.store.bucket,
          region: 'us-east-1',
          endpoint: move.store.url,
          inPath: true,
        })
        .list('clusters/backups/'),
      [],
    );
  });
});

const byAbout = (a: { about: string }, b: { about: string }) => (a.about < b.about ? -1 : 1);

async function post(plane: ControlPlane, { path, object }: { path: string; object: KubernetesObject }): Promise<void> {
  const { status, body } = await plane.request('POST', path, object);
  assert.ok(
    status === 201 || status === 409,
    `${path} ${object.metadata.name}: ${status} ${JSON.stringify(body.message ?? body)}`,
  );
}

/** Fields that are wanted and say otherwise, or nothing. */
function missing(wanted: unknown, live: unknown, at = ''): string[] {
  if (wanted !== null && typeof wanted === 'object') {
    const own = live as Record<string, unknown> | undefined | null;
    if (Array.isArray(wanted) && (!Array.isArray(live) || live.length !== wanted.length))
      return [`${at}: ${JSON.stringify(live)} for ${JSON.stringify(wanted)}`];
    return Object.entries(wanted).flatMap(([key, it]) => missing(it, own?.[key], `${at}.${key}`));
  }
  return wanted === live ? [] : [`${at}: ${JSON.stringify(live)} for ${JSON.stringify(wanted)}`];
}

/** Every object of a server but what lives by itself, without what only counts. */
async function everything(plane: ControlPlane): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  const groups: { name: string; preferredVersion: { groupVersion: string } }[] = (await plane.request('GET', '/apis'))
    .body.groups;
  for (const root of ['/api/v1', ...groups.map((it) => `/apis/${it.preferredVersion.groupVersion}`)]) {
    const { resources } = (await plane.request('GET', root)).body as {
      resources?: { name: string; verbs: string[] }[];
    };
    for (const { name, verbs } of resources ?? []) {
      if (!verbs.includes('list') || name.includes('/') || LIVING.has(name)) continue;
      const { body } = await plane.request('GET', `${root}/${name}`);
      for (const it of body.items ?? []) {
        const { resourceVersion: _rv, managedFields: _mf, generation: _g, ...metadata } = it.metadata;
        const { status: _status, ...rest } = it;
        found[`${root}/${name} ${metadata.namespace ?? ''}/${metadata.name}`] = { ...rest, metadata };
      }
    }
  }
  return found;
}

const LIVING = new Set([
  'events',
  'leases',
  'nodes',
  'endpoints',
  'endpointslices',
  'componentstatuses',
  'ipaddresses',
  'apiservices',
  'flowschemas',
  'prioritylevelconfigurations',
  'serverstatusrequests',
]);
