import assert from 'node:assert/strict';
import { test } from 'node:test';
import { look } from '../src/cli/looking.js';
import { previewLines } from '../src/cli/views/preview.js';
import type { Screen } from '../src/cli/screen.js';
import { parsePlaybook } from '../src/playbook.js';
import { type Preview, previewOf } from '../src/preview.js';
import { openStage } from '../src/cli/stage.js';
import type { KubeObject } from '../src/ports.js';
import { quickShop, quickShopText } from './shop.js';

const screen: Screen = {
  paint: (_color, text) => text,
  columns: () => 100,
  rows: () => 40,
  live: false,
  write: () => undefined,
};

/** What the shop's preview says, with more in its playbook and in its two clusters. */
async function previewWith(more: { data?: string; source?: KubeObject[]; target?: KubeObject[] }): Promise<Preview> {
  const { seed } = quickShop();
  const playbook = parsePlaybook(quickShopText().replace(/^data:\n/m, `data:\n${more.data ?? ''}`), 'shop.yaml');
  const stage = await openStage(playbook, seed, { clientsPerSecond: 0 });
  try {
    for (const it of more.source ?? []) await stage.world.source.create(it);
    for (const it of more.target ?? []) await stage.world.target.create(it);
    const before: unknown = stage.twin.snapshot();
    const preview = await previewOf(stage.world, playbook, (await look(playbook, stage.world)).inventory);
    assert.deepEqual(stage.twin.snapshot(), before, 'a preview changes nothing');
    return preview;
  } finally {
    await stage.close();
  }
}

const row = ({ rows }: Preview, about: string) => rows.find((it) => it.about === about);
const config = (name: string, data: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'shop' },
  data,
});

test('the preview names each change with its field, both values and what does it', async () => {
  const preview = await previewWith({});
  assert.deepEqual([preview.counts.refuse, preview.counts.unknown], [0, 0]);
  assert.deepEqual(row(preview, 'deployment shop/web')?.changes, [
    { path: 'spec.replicas', from: 4, to: 0, by: 'workloads arrive at 0' },
  ]);
  const report = row(preview, 'cronjob shop/report');
  assert.equal(report?.to, 'batch/v1');
  assert.ok(report.changes?.some((it) => it.by === 'conversion to batch/v1'));
  assert.ok(report.changes?.some((it) => it.path === 'spec.suspend' && it.to === true));
  const claim = row(preview, 'persistentvolumeclaim shop/orders');
  assert.ok(claim?.changes?.some((it) => it.path === 'spec.storageClassName' && it.by === 'data.storageClasses'));
  const text = previewLines({ type: 'preview', preview }, screen).join('\n');
  assert.match(text, /~ change +deployment shop\/web \(apps\/v1\)/);
  assert.match(text, /spec\.replicas: 4 → 0, by workloads arrive at 0/);
});

test('an object that the target has is skipped when it says the same, else refused with the fields', async () => {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
  const preview = await previewWith({
    source: [config('same', { a: '1' }), config('other', { a: '1', b: '2' })],
    target: [namespace, config('same', { a: '1' }), config('other', { a: '1', b: 'x' })],
  });
  assert.deepEqual(row(preview, 'configmap shop/same')?.action, 'skip');
  assert.match(row(preview, 'configmap shop/other')?.why ?? '', /differs in data\.b/);
  assert.equal(row(preview, 'configmap shop/other')?.reason, 'existing-object');
});

test('what is left out is said, and images of registries that the target can not reach are refused', async () => {
  const preview = await previewWith({
    data: '  apps: converted\n  registries: [registry.example.net]\n  leaveOut: [configmap shop/settings]\n',
    source: [config('settings', {})],
  });
  assert.deepEqual(
    [row(preview, 'configmap shop/settings')?.action, row(preview, 'configmap shop/settings')?.reason],
    ['skip', 'left-out'],
  );
  assert.equal(row(preview, 'deployment shop/web')?.reason, 'image-registry');
});

test('values of Secrets are in no preview', async () => {
  const hidden = Buffer.from('never-shown-here').toString('base64');
  const preview = await previewWith({
    data: '  rules: [{ conditions: { groupResource: secrets }, mergePatches: [{ patchData: \'{"metadata":{"labels":{"moved":"yes"}}}\' }] }]\n',
    source: [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'key', namespace: 'shop' }, data: { key: hidden } }],
  });
  assert.equal(row(preview, 'secret shop/key')?.action, 'change');
  assert.ok(!JSON.stringify(preview).includes(hidden));
});
