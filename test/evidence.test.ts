import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { API_CHANGES } from '../src/api-changes.js';
import { fateOf } from '../src/api-table.js';
import { readManifests } from '../src/cli/manifests.js';
import { callsIn, gatherEvidence } from '../src/evidence.js';
import { inUse, releaseOf, revisionOf, type Revision } from '../src/helm.js';
import type { Written } from '../src/inventory.js';
import { isTemplate, namedIn } from '../src/manifests.js';
import type { KubeObject } from '../src/ports.js';
import type { TwinObject } from '../src/twin/types.js';
import { quickShop, stageFor } from './shop.js';

const names = (all: readonly Written[]) =>
  all.map((it) => `${it.line} ${it.apiVersion} ${it.kind} ${it.namespace ?? ''}/${it.name}`);
const read = (text: string) => names(namedIn(text).objects);

describe('manifests', () => {
  test('each document is named with the line of its version', () => {
    const text =
      '# a comment\n---\napiVersion: v1\nkind: Service\nmetadata:\n  labels:\n    name: not-this\n  name: web\n  namespace: shop\nspec: {}\n---\n\nkind: Ingress # old\napiVersion: "extensions/v1beta1"\nmetadata:\n    name: \'web\'\n---\n';
    assert.deepEqual(read(text), ['3 v1 Service shop/web', '14 extensions/v1beta1 Ingress /web']);
    assert.deepEqual(read(text.replaceAll('\n', '\r\n')), read(text));
  });

  test('lists, JSON and flow style are read whole', () => {
    assert.deepEqual(
      read(
        'apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: a}\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: n}}\n',
      ),
      ['4 apps/v1 Deployment /a', '10 v1 Pod n/b'],
    );
    assert.deepEqual(read('{"apiVersion": "batch/v1beta1",\n "kind": "CronJob", "metadata": {"name": "c"}}'), [
      '1 batch/v1beta1 CronJob /c',
    ]);
    assert.deepEqual(read('"apiVersion": v1\n"kind": Secret\nmetadata: {name: d}\n'), ['1 v1 Secret /d']);
    assert.deepEqual(read('--- {apiVersion: v1, kind: Pod, metadata: {name: e}}\n'), ['1 v1 Pod /e']);
    assert.deepEqual(read('apiVersion: &v v1\nkind: Pod\nmetadata:\n  name: f\n'), ['1 v1 Pod /f']);
  });

  test('what looks like an object inside of a text is none', () => {
    const text =
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    x: |\n      name: b\ndata:\n  y: |\n    apiVersion: extensions/v1beta1\n    kind: Ingress\n';
    assert.deepEqual(read(text), ['1 v1 ConfigMap /a']);
  });

  test('values, comments and other YAML name nothing', () => {
    for (const text of [
      '',
      '# nothing\n',
      'replicas: 3\nimage: {tag: 1}\n',
      '- a\n- b\n',
      'kind: x\n',
      'resources:\n- a.yaml\n',
    ])
      assert.deepEqual(read(text), [], text);
  });

  test('a definition tells what it brings, in the versions that it serves', () => {
    const text =
      'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec:\n  group: example.com\n  names: {kind: Widget}\n  versions: [{name: v1, served: true}, {name: v1alpha1, served: false}]\n';
    assert.deepEqual(namedIn(text).defines, [
      { apiVersion: 'apiextensions.k8s.io/v1', brings: 'example.com/v1/Widget' },
    ]);
    assert.deepEqual(
      namedIn(
        'apiVersion: apiextensions.k8s.io/v1beta1\nkind: CustomResourceDefinition\nspec: {group: a.b, version: v1, names: {kind: X}}\n',
      ).defines,
      [{ apiVersion: 'apiextensions.k8s.io/v1beta1', brings: 'a.b/v1/X' }],
    );
  });

  test('templates are told from manifests with braces in their texts', () => {
    const head = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n';
    for (const text of [
      '{{- if .Values.on }}\napiVersion: v1\nkind: Pod\n{{- end }}\n',
      'apiVersion: {{ include "x" . }}\nkind: Ingress\n',
      head.replace('name: a', 'name: {{ .Release.Name }}'),
      `${head}spec:\n  {{- toYaml .Values.spec | nindent 2 }}\n`,
      '{{ .Values.kind }}: [\n',
    ])
      assert.equal(isTemplate(text), true, text);
    for (const text of [
      head,
      `${head}data:\n  message: "{{ $labels.pod }} is down"\n`,
      `${head}data:\n  alert.tmpl: |\n    {{ define "x" }}\n    {{ end }}\n`,
    ])
      assert.equal(isTemplate(text), false, text);
  });

  test('a folder is read with its folders, and what can not be judged is named', (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'migrate-manifests-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const write = (file: string, text: string) => {
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      writeFileSync(path.join(folder, file), text);
    };
    write('a.yaml', 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n');
    write('deep/b.json', '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}}');
    write('chart/templates/c.yaml', 'kind: {{ .Values.kind }}\n');
    write('broken.yml', '{apiVersion: v1, kind: Pod, password: "hunter2hunter2\n');
    write('.git/d.yaml', 'apiVersion: v1\nkind: Pod\n');
    write('notes.txt', 'apiVersion: v1\nkind: Pod\n');
    const found = readManifests(folder);
    assert.equal(found.files, 4);
    assert.deepEqual(
      found.objects.map((it) => [path.relative(folder, it.file), it.name]),
      [
        ['a.yaml', 'a'],
        [path.join('deep', 'b.json'), 'b'],
      ],
    );
    assert.deepEqual(found.templates, [path.join(folder, 'chart/templates/c.yaml')]);
    assert.deepEqual(
      found.unread.map((it) => it.what),
      [path.join(folder, 'broken.yml')],
    );
    assert.ok(!JSON.stringify(found).includes('hunter2'));
    assert.throws(() => readManifests(path.join(folder, 'none')), { code: 'MANIFESTS_UNREADABLE' });
  });
});

const stored = (
  kind: 'Secret' | 'ConfigMap',
  release: string,
  version: number,
  status: string,
  manifest = '',
  rest: object = {},
): KubeObject => {
  const text = gzipSync(
    JSON.stringify({ name: release, manifest, config: { password: 'hunter2hunter2' }, ...rest }),
  ).toString('base64');
  return {
    apiVersion: 'v1',
    kind,
    metadata: {
      name: `sh.helm.release.v1.${release}.v${version}`,
      namespace: 'shop',
      labels: { owner: 'helm', name: release, version: String(version), status },
    },
    data: { release: kind === 'Secret' ? Buffer.from(text).toString('base64') : text },
  };
};
const revision = (it: KubeObject): Revision => {
  const found = revisionOf(it);
  assert.ok(found);
  return found;
};

describe('Helm', () => {
  const used = (...all: [release: string, version: number, status: string][]) =>
    inUse(all.map((it) => revision(stored('Secret', ...it)))).map((it) => `${it.release} ${it.revision}`);

  test('the revision in use is the newest that is deployed, else the newest', () => {
    assert.deepEqual(used(['a', 1, 'superseded'], ['a', 2, 'deployed']), ['a 2']);
    assert.deepEqual(used(['a', 9, 'superseded'], ['a', 10, 'deployed'], ['a', 2, 'superseded']), ['a 10']);
    assert.deepEqual(used(['a', 1, 'deployed'], ['a', 2, 'deployed']), ['a 2'], 'one that is stuck as deployed');
    assert.deepEqual(used(['a', 3, 'deployed'], ['a', 4, 'failed']), ['a 3']);
    assert.deepEqual(used(['a', 3, 'deployed'], ['a', 4, 'pending-upgrade']), ['a 3']);
    assert.deepEqual(used(['a', 1, 'failed'], ['a', 2, 'failed']), ['a 2']);
    assert.deepEqual(used(['a', 1, 'pending-install']), ['a 1']);
    assert.deepEqual(used(['a', 1, 'superseded'], ['a', 2, 'uninstalled']), []);
    assert.deepEqual(used(['a', 1, 'deployed'], ['b', 7, 'deployed']), ['a 1', 'b 7']);
  });

  test('a release is the same from a Secret and a ConfigMap, and no value of it is kept', () => {
    const manifest =
      '---\n# Source: web/templates/i.yaml\napiVersion: extensions/v1beta1\nkind: Ingress\nmetadata:\n  name: web\nspec:\n  x: "{{ left as it is }}"\n';
    for (const kind of ['Secret', 'ConfigMap'] as const) {
      const object = stored(kind, 'web', 3, 'deployed', manifest);
      const release = releaseOf(revision(object), object);
      assert.deepEqual(release, {
        name: 'web',
        namespace: 'shop',
        revision: 3,
        status: 'deployed',
        storedIn: `${kind.toLowerCase()} shop/sh.helm.release.v1.web.v3`,
        writes: [{ apiVersion: 'extensions/v1beta1', kind: 'Ingress', name: 'web', line: 3 }],
      });
    }
  });

  test('what is not as Helm writes it is an error without its text', () => {
    const object = stored('Secret', 'web', 1, 'deployed');
    for (const release of ['', Buffer.from('bm90IGpzb24=').toString('base64')]) {
      assert.throws(() => releaseOf(revision(object), { ...object, data: { release } }), SyntaxError);
    }
    assert.throws(() => releaseOf(revision(object), { ...object, data: {} }), /no key/);
    assert.equal(revisionOf({ ...object, metadata: { name: 'x', labels: { owner: 'helm' } } }), undefined);
  });
});

describe('request counts', () => {
  test('are added up by version and resource; refused and dry ones are left out', () => {
    const line = (labels: string, n: number) => `apiserver_request_total{${labels}} ${n}`;
    const calls = callsIn([
      'process_start_time_seconds 1.7e+09',
      line('code="200",dry_run="",group="apps",resource="deployments",subresource="",verb="LIST",version="v1"', 3),
      line('code="201",dry_run="",group="apps",resource="deployments",subresource="",verb="POST",version="v1"', 2),
      line('code="200",dry_run="",group="apps",resource="deployments",subresource="",verb="LIST",version="v1"', 1e3),
      line(
        'code="200",dry_run="",group="extensions",resource="ingresses",subresource="status",verb="PUT",version="v1beta1"',
        1,
      ),
      line(
        'code="404",dry_run="",group="extensions",resource="ingresses",subresource="",verb="GET",version="v1beta1"',
        5,
      ),
      line('code="201",dry_run="All",group="batch",resource="jobs",subresource="",verb="POST",version="v1"', 5),
      line('code="200",group="",resource="",verb="GET",version=""', 5),
    ]);
    assert.deepEqual(calls, {
      since: '2023-11-14T22:13:20.000Z',
      counted: [
        { group: 'apps', version: 'v1', resource: 'deployments', verbs: { LIST: 1003, POST: 2 } },
        { group: 'extensions', version: 'v1beta1', resource: 'ingresses/status', verbs: { PUT: 1 } },
      ],
    });
  });
});

test('a cluster is asked for releases by their labels and for its counts, and what may not be read is named', async () => {
  const { playbook, seed } = quickShop();
  const manifest = 'apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata:\n  name: web\n';
  const bad = stored('ConfigMap', 'odd', 1, 'deployed');
  const objects = [
    ...Object.values(seed.source.objects).flat(),
    stored('Secret', 'web', 1, 'superseded', manifest),
    stored('Secret', 'web', 2, 'deployed', manifest),
    { ...bad, data: { release: 'bm8=' } },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: 'web.v1',
        namespace: 'kube-system',
        labels: { OWNER: 'TILLER', NAME: 'web', STATUS: 'DEPLOYED', VERSION: '1' },
      },
    },
  ];
  const { stage } = await stageFor(
    { playbook, seed: { ...seed, source: { ...seed.source, objects: objects as TwinObject[] } } },
    { clientsPerSecond: 1 },
  );
  try {
    const { helm, calls } = await gatherEvidence(stage.world.source, ['shop']);
    assert.deepEqual(
      helm?.releases.map((it) => [it.name, it.revision, it.writes.length]),
      [['web', 2, 1]],
    );
    assert.deepEqual(
      helm?.unread.map((it) => it.what),
      ['releases of Helm 2', 'release shop/odd'],
    );
    assert.match(helm?.unread[0]?.why ?? '', /^1 release in kube-system.*helm 2to3/);
    assert.equal(helm?.unread[1]?.why, 'it is not as Helm writes it: no JSON');
    assert.ok(calls?.since);
    assert.ok(
      calls.counted.some((it) => it.resource === 'secrets' && (it.verbs['LIST'] ?? 0) > 0),
      JSON.stringify(calls),
    );
    stage.twin.source.down();
    const dead = await gatherEvidence(stage.world.source, ['shop']);
    assert.equal(dead.helm?.unread.length, 2);
    assert.match(dead.calls?.unread ?? '', /does not answer/);
  } finally {
    await stage.close();
  }
});

test('every change of fields is about a version that is gone, and leads to one that is there', () => {
  for (const { kinds, from, to } of API_CHANGES) {
    for (const kind of kinds) {
      for (const version of from)
        assert.ok(['gone', 'off'].includes(fateOf(version, kind, 37).is), `${version} ${kind}`);
      if (to !== 'none') assert.equal(fateOf(to, kind, 37).is, 'served', `${to} ${kind}`);
    }
  }
});
