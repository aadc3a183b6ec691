import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { stringify } from 'yaml';
import { look } from '../src/cli/looking.js';
import { differences } from '../src/cli/rehearse.js';
import { memoryStore } from '../src/journal.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import { previewOf } from '../src/preview.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import { openStage, type Stage } from '../src/cli/stage.js';
import { engineOn, mustBeDone, shipped } from './shop.js';

const pods = {
  metadata: { labels: { app: 'api' } },
  spec: { containers: [{ name: 'api', image: 'registry.example.com/api:1' }] },
};
const FILES = {
  'api.yaml': [
    {
      apiVersion: 'extensions/v1beta1',
      kind: 'Ingress',
      metadata: { name: 'api' },
      spec: { backend: { serviceName: 'api', servicePort: 80 } },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'api' },
      spec: { replicas: 2, selector: { matchLabels: { app: 'api' } }, template: pods },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'api' },
      spec: { type: 'LoadBalancer', selector: { app: 'api' }, ports: [{ port: 80 }] },
    },
  ],
  'kustomization.yaml': [
    { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources: ['api.yaml'] },
  ],
  'values.yaml': [{ replicas: 2 }],
};

/** The shop's two clusters, and files for a namespace that the target lacks. */
async function scene(
  t: TestContext,
  files: Record<string, object[]> = FILES,
): Promise<{ stage: Stage; playbook: Playbook; dir: string }> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-manifests-'));
  for (const [name, documents] of Object.entries(files))
    writeFileSync(path.join(dir, name), documents.map((it) => stringify(it)).join('---\n'));
  const { playbook: shop, seed } = shipped('shop');
  const playbook = parsePlaybook(
    stringify({
      apiVersion: 'migrate/v1alpha1',
      kind: 'Playbook',
      name: 'api',
      source: shop.source,
      target: shop.target,
      data: { namespaces: ['api'], apps: 'manifests', manifests: dir, disks: 'none', velero: { deadline: '2m' } },
    }),
    'api.yaml',
  );
  const stage = await openStage(playbook, seed, { clientsPerSecond: 0 });
  t.after(async () => {
    await stage.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { stage, playbook, dir };
}

test('manifests are applied inert, started, verified, and nothing but them goes back', async (t) => {
  const { stage, playbook } = await scene(t);
  const start: unknown = stage.twin.snapshot();
  const { plan, inventory } = await look(playbook, stage.world);
  assert.ok(plan);
  assert.deepEqual(
    plan.steps.map((it) => it.id),
    ['data/manifests', 'data/start'],
  );
  const { rows } = await previewOf(stage.world, playbook, inventory);
  assert.deepEqual(
    rows.map((it) => [it.about, it.action]),
    [
      ['deployment api/api', 'change'],
      ['ingress api/api', 'change'],
      ['service api/api', 'create'],
    ],
  );
  const engine = engineOn(stage, memoryStore());
  const asleep = { ...plan, steps: plan.steps.slice(0, 1) };
  mustBeDone(await run(asleep, ['data'], engine));
  const get = (kind: string) => stage.world.target.get({ kind, namespace: 'api', name: 'api' });
  assert.equal((await get('Deployment.apps'))?.['spec'].replicas, 0);
  assert.equal((await get('Service'))?.['spec'].type, 'ClusterIP');
  assert.equal((await get('Ingress.networking.k8s.io'))?.['spec'].defaultBackend.service.name, 'api');
  mustBeDone(await run(plan, ['data'], engine));
  assert.equal((await get('Deployment.apps'))?.['status'].readyReplicas, 2);
  mustBeDone(await rollback(undefined, engine));
  await stage.twin.settle();
  assert.deepEqual(differences(start, stage.twin.snapshot()), []);
});

test('what the target has by that name is neither written over nor deleted', async (t) => {
  const { stage, playbook } = await scene(t);
  const { plan } = await look(playbook, stage.world);
  assert.ok(plan);
  await stage.world.target.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'api' } });
  const own = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'api', namespace: 'api' },
    spec: { ports: [{ port: 1 }] },
  };
  await stage.world.target.create(own);
  const engine = engineOn(stage, memoryStore());
  const outcome = await run(plan, ['data'], engine);
  assert.equal(outcome.outcome === 'stopped' && (outcome.error as { code?: string }).code, 'PREVIEW_REFUSES');
  mustBeDone(await rollback(undefined, engine));
  assert.ok(await stage.world.target.get({ kind: 'Service', namespace: 'api', name: 'api' }));
});

test('files that change between two steps stop the run, and the way back needs none of them', async (t) => {
  const { stage, playbook, dir } = await scene(t);
  const { plan } = await look(playbook, stage.world);
  assert.ok(plan);
  const engine = engineOn(stage, memoryStore());
  mustBeDone(await run({ ...plan, steps: plan.steps.slice(0, 1) }, ['data'], engine));
  writeFileSync(path.join(dir, 'api.yaml'), '{{ template "x" . }}\n');
  const outcome = await run(plan, ['data'], engine);
  assert.equal(outcome.outcome === 'stopped' && (outcome.error as { code?: string }).code, 'MANIFESTS_INVALID');
  rmSync(dir, { recursive: true });
  mustBeDone(await rollback(undefined, engine));
  assert.equal(await stage.world.target.get({ kind: 'Namespace', name: 'api' }), undefined);
});

for (const [why, files] of [
  [
    'a namespace that does not move',
    { 'x.yaml': [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace: 'other' } }] },
  ],
  [
    'a kind that nobody serves',
    { 'x.yaml': [{ apiVersion: 'odd.example.com/v1', kind: 'Odd', metadata: { name: 'x' } }] },
  ],
  ['nothing at all', { 'values.yaml': [{ replicas: 1 }] }],
] as [string, Record<string, object[]>][]) {
  test(`manifests of ${why} are refused before anything is applied`, async (t) => {
    const { stage, playbook } = await scene(t, files);
    const { plan } = await look(playbook, stage.world);
    assert.ok(plan);
    const outcome = await run(plan, ['data'], engineOn(stage, memoryStore()));
    assert.equal(outcome.outcome === 'stopped' && (outcome.error as { code?: string }).code, 'MANIFESTS_INVALID');
    assert.equal(await stage.world.target.get({ kind: 'Namespace', name: 'api' }), undefined);
  });
}
