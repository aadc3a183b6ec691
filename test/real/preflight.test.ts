import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parseAllDocuments, stringify } from 'yaml';
import { look, type Looked } from '../../src/cli/looking.js';
import { readManifests } from '../../src/cli/manifests.js';
import { openWorld } from '../../src/cli/world.js';
import { parsePlaybook } from '../../src/playbook.js';
import type { KubeObject } from '../../src/ports.js';
import { probeSides } from '../../src/probe.js';
import { startControlPlane, writeKubeconfig, type ControlPlane } from '../servers/control-plane.js';

/**
 * Preflight between real API servers of 1.20 and 1.36, over what others wrote and what is planted beside it. Whatever it says of an
 * object is compared with what the newer server itself answers to a dry run of it.
 */

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const CORPUS = path.join(ROOT, '../shared/corpus');
const READER = 'reader-token';
const CANARY = 'c4n4ry-value';

/** Those of 1.20 that call APIs which 1.36 lacks: what they do is no client's doing. */
const OWN_CONTROLLERS = ['garbagecollector', 'cronjob', 'disruption', 'endpointslice', 'serviceaccount', 'namespace'];

let old: ControlPlane;
let fresh: ControlPlane;
let scratch: string;
let namespaces: string[];
let looked: Looked;
/** versions of everything before and after the look of an identity that may do all */
const seenVersions: Record<'before' | 'after', Map<string, string>> = { before: new Map(), after: new Map() };

before(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'migrate-preflight-'));
  const tokens = [{ token: READER, user: 'reader' }];
  [old, fresh] = await Promise.all([
    startControlPlane({ version: '1.20.15', kwok: false, controllers: OWN_CONTROLLERS, tokens }),
    startControlPlane({ version: '1.36.3', kwok: false, controllers: ['namespace'], tokens }),
  ]);
  const kinds = await kindsOf(old);
  namespaces = ['shop', 'planted', ...(await loadOthers(kinds))].sort();
  await plant(kinds);
  await Promise.all([letRead(old), letRead(fresh)]);
  await callAsAnOldClient();
  seenVersions.before = await settled();
  looked = await lookAs(undefined);
  seenVersions.after = await versions();
});

after(async () => {
  await Promise.all([old?.stop(), fresh?.stop()]);
  rmSync(scratch, { recursive: true, force: true });
});

describe('preflight between real servers', () => {
  const result = (check: string, from = looked) => {
    const found = from.report.results.find((it) => it.check === check);
    assert.ok(found, `no result of ${check}`);
    return found;
  };
  const about = (check: string) => result(check).findings.map((it) => it.about);
  const finding = (check: string, name: string) => {
    const found = result(check).findings.find((it) => it.about === name);
    assert.ok(found, `${check} says nothing about ${name}, but about ${about(check).join(', ') || 'nothing'}`);
    return found;
  };

  test('no check fails by itself', () => {
    assert.deepEqual(
      looked.report.results.flatMap((it) => it.bug ?? []),
      [],
    );
  });

  test('every planted breakage is found, with what breaks', () => {
    assert.match(finding('removed-apis', 'widget planted/one').breaks ?? '', /restore leaves it out/);
    assert.match(finding('removed-apis', 'ingress planted/legacy').saw, /applied as extensions\/v1beta1/);
    assert.match(
      finding('removed-apis', 'ingress planted/legacy').fix ?? '',
      /backend\.serviceName → backend\.service\.name/,
    );
    assert.match(
      finding('removed-apis', 'horizontalpodautoscaler planted/scaled').saw,
      /applied as autoscaling\/v2beta2 by flux/,
    );
    assert.match(finding('dry-run', 'ingress planted/twice').saw, /must match `ingressClassName`/);
    assert.match(finding('dry-run', 'networkpolicy planted/wide').saw, /10\.0\.0\.5\/24/);
    assert.match(finding('dry-run', 'deployment shop/forbidden').saw, /no-such-label/);
    assert.match(finding('dry-run', 'configmap shop/hooked').saw, /failed calling webhook/);
    assert.match(finding('helm-releases', 'helm release planted/web').saw, /extensions\/v1beta1.*revision 2, deployed/);
    assert.match(
      finding('helm-releases', 'helm release planted/web').breaks ?? '',
      /`helm upgrade` of release web \(revision 2\)/,
    );
    assert.match(
      finding('helm-releases', 'helm release planted/mapped').saw,
      /in configmap planted\/sh\.helm\.release\.v1\.mapped\.v1/,
    );
    assert.match(finding('helm-releases', 'helm release planted/pending').saw, /revision 4, deployed/);
    assert.match(
      finding('manifest-files', `${path.join(scratch, 'manifests/planted.yaml')}:7`).breaks ?? '',
      /next apply of poddisruptionbudget web/,
    );
    assert.match(finding('client-calls', 'calls of networking.k8s.io/v1beta1 ingresses').saw, /1 PUT/);
  });

  test('nothing is told of old revisions, old writers, and what the cluster itself asks for', () => {
    assert.deepEqual(
      about('helm-releases').filter((it) => /clean|left|gone/.test(it)),
      [],
    );
    assert.deepEqual(
      about('removed-apis').filter((it) => it.endsWith('planted/rewritten')),
      [],
    );
    assert.deepEqual(about('client-calls'), ['calls of networking.k8s.io/v1beta1 ingresses']);
  });

  test('of every object that moves it says what the newer server says', async (t) => {
    const refused = new Set(
      ['removed-apis', 'dry-run'].flatMap((check) =>
        result(check)
          .findings.filter((it) => it.severity === 'refuse')
          .map((it) => it.about),
      ),
    );
    const objects = await movingObjects();
    const disagreements: string[] = [];
    let breaks = 0;
    for (const object of objects) {
      const { status, body } = await putTo(object);
      const isTaken = status < 300 || status === 409;
      if (!isTaken) breaks++;
      if (refused.has(nameOf(object)) === isTaken)
        disagreements.push(
          `${nameOf(object)}: preflight says ${isTaken ? 'no' : 'yes'}, the server ${status} ${body?.message ?? ''}`,
        );
    }
    t.diagnostic(
      `${objects.length} live objects, of which 1.36.3 refuses ${breaks}; disagreements: ${disagreements.length}`,
    );
    assert.deepEqual(disagreements, []);
    assert.ok(objects.length > 20 && breaks >= 5);
    const known = new Set(objects.map(nameOf));
    assert.deepEqual(
      [...refused].filter((it) => !known.has(it)),
      [],
      'it refuses what does not move',
    );
  });

  test('of every manifest it says what the newer server says to an apply', async (t) => {
    const { manifests } = looked.inventory.source.evidence ?? {};
    assert.ok(manifests);
    const told = new Set(about('manifest-files'));
    const [here, there] = await Promise.all([kindsOf(old), kindsOf(fresh)]);
    const disagreements: string[] = [];
    let gone = 0;
    let strange = 0;
    for (const it of manifests.objects.filter(({ kind }) => !NO_OBJECTS.test(kind))) {
      const names = `${it.apiVersion} ${it.kind}`;
      const served = await isServed(it, here.get(names) ?? there.get(names));
      const isTold = told.has(`${it.file}:${it.line}`);
      // What neither of them has ever known is not broken by the move, and preflight must not say so.
      const isStrange = !served && !here.has(names) && !KUBERNETES.test(it.apiVersion);
      if (isStrange) strange++;
      else if (!served) gone++;
      if (isTold === (served || isStrange))
        disagreements.push(`${it.file}:${it.line} ${names}: preflight says ${isTold ? 'gone' : 'served'}`);
    }
    t.diagnostic(
      `${manifests.objects.length} manifests in ${manifests.files} files, ${gone} of them not served by 1.36.3, ${strange} known to neither; disagreements: ${disagreements.length}`,
    );
    assert.deepEqual(disagreements, []);
    assert.deepEqual(manifests.unread, []);
  });

  test('nothing was persisted by a look that may do everything', () => {
    assert.ok(seenVersions.before.size > 100);
    assert.deepEqual(changes(seenVersions.before, seenVersions.after), []);
  });

  test('an identity that may only read gets to the end; what needs more is unknown, with the right', async () => {
    const before = await versions();
    const seen = await lookAs(READER);
    assert.deepEqual(changes(before, await versions()), []);
    assert.deepEqual(
      seen.report.results.flatMap((it) => it.bug ?? []),
      [],
    );
    const dry = result('dry-run', seen);
    assert.equal(dry.outcome, 'unknown');
    assert.match(dry.why ?? '', /^target: it lacks the right to create \S+/);
    const lacks = seen.inventory.target.dryRun?.lacks ?? [];
    assert.ok(
      lacks.some(
        (it) => it.verb === 'create' && it.resource === 'deployments' && it.group === 'apps' && it.namespace === 'shop',
      ),
      JSON.stringify(lacks),
    );
    const calls = result('client-calls', seen);
    assert.equal(calls.outcome, 'unknown');
    assert.match(calls.why ?? '', /nonResourceURL \/metrics/);
    assert.deepEqual(result('removed-apis', seen).findings, result('removed-apis').findings);
    assert.deepEqual(result('helm-releases', seen).findings, result('helm-releases').findings);
  });

  test('both servers take the workload of the probe, and it is gone afterwards', async () => {
    const { world } = await openAs(undefined);
    const kubelets = [old, fresh].map(readyEcho);
    const answers = await probeSides(world, {
      image: 'example.test/agnhost:1',
      patienceMs: 4000,
      stopping: () => false,
    });
    await Promise.all(kubelets);
    // The callers were made, and nobody runs them.
    assert.deepEqual(
      answers.map(({ side, ask, answer, saw }) => [
        side,
        ask,
        answer,
        ask === 'traffic' ? saw.replace(/from-\w+/, 'X') : saw,
      ]),
      [
        ['source', 'traffic', 'unknown', 'pod X of the probe: still Pending'],
        ['source', 'probe-removed', 'yes', 'gone'],
        ['target', 'traffic', 'unknown', 'pod X of the probe: still Pending'],
        ['target', 'probe-removed', 'yes', 'gone'],
      ],
    );
  });

  test('no value of a Secret or a release is in inventory or report', () => {
    const text = JSON.stringify({ inventory: looked.inventory, report: looked.report });
    assert.ok(text.includes('sh.helm.release.v1.web.v2'));
    for (const it of [CANARY, Buffer.from(CANARY).toString('base64')])
      assert.ok(!text.includes(it), text.slice(text.indexOf(it) - 100, text.indexOf(it)));
  });
});

/** Bodies of requests and replies, and of what hangs below an object: nobody applies them. */
const NO_OBJECTS =
  /Options$|^(?:Scale|Binding|Eviction|DeploymentRollback|Status|WatchEvent|APIGroup|APIGroupList|APIVersions|APIResourceList|TokenRequest|PodStatusResult|RangeAllocation|SerializedReference|List|AdmissionReview|ImageReview|ExecCredential|ConversionReview)$/;

/** A Node that nobody stands behind, and in the place of its kubelet no more than the word that the echo is ready. */
async function readyEcho(plane: ControlPlane): Promise<void> {
  const conditions = [{ type: 'Ready', status: 'True' }];
  await make(plane, '/api/v1/nodes', {
    metadata: { name: 'nobody', labels: { 'kubernetes.io/hostname': 'nobody' } },
    status: { conditions, addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
  });
  // Made not ready by the server itself, as every new node is.
  await plane.request('PATCH', '/api/v1/nodes/nobody', { spec: { taints: null } }, 'application/merge-patch+json');
  const url = await plane.until('the echo', async () => {
    const { body } = await plane.request('GET', '/api/v1/pods');
    const echo = body.items.find((it: KubeObject) => it.metadata.name === 'echo');
    return echo && `/api/v1/namespaces/${echo.metadata.namespace}/pods/echo/status`;
  });
  const { status, body } = await plane.request(
    'PATCH',
    url,
    { status: { phase: 'Running', podIP: '192.0.2.9', conditions } },
    'application/merge-patch+json',
  );
  assert.equal(status, 200, JSON.stringify(body));
}

/** Groups of Kubernetes' own, of which every release knows what became. */
const KUBERNETES =
  /^v1$|^(?:extensions|apps|batch|policy|autoscaling)\/|^(?:networking|rbac\.authorization|storage|scheduling|node|discovery|coordination|events|certificates|admissionregistration|apiextensions|apiregistration|authentication|authorization|flowcontrol\.apiserver|internal\.apiserver|resource|settings|auditregistration|storagemigration)\.k8s\.io\//;

interface KindPath {
  resource: string;
  namespaced: boolean;
  verbs: string[];
  preferred: boolean;
}

/** What a server has, by `apiVersion Kind`. */
async function kindsOf(plane: ControlPlane): Promise<Map<string, KindPath>> {
  const { groups } = (await plane.request('GET', '/apis')).body;
  const found = new Map<string, KindPath>();
  const add = async (apiVersion: string, preferred: boolean) => {
    const { resources } = (await plane.request('GET', rootOf(apiVersion))).body;
    for (const it of resources)
      if (!it.name.includes('/'))
        found.set(`${apiVersion} ${it.kind}`, {
          resource: it.name,
          namespaced: it.namespaced,
          verbs: it.verbs,
          preferred,
        });
  };
  await add('v1', true);
  for (const group of groups)
    for (const { groupVersion } of group.versions)
      await add(groupVersion, group.preferredVersion.groupVersion === groupVersion);
  return found;
}

const rootOf = (apiVersion: string) => (apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`);
const urlOf = (apiVersion: string, resource: string, namespace?: string) =>
  `${rootOf(apiVersion)}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${resource}`;

// ---- the world

/** What others wrote, each source in a namespace of its own: as live objects where 1.20 takes them, and all of it as files. @returns the namespaces */
async function loadOthers(kinds: Map<string, KindPath>): Promise<string[]> {
  const files = [...corpusFiles(), ...apiModuleFiles()];
  const folder = path.join(scratch, 'manifests');
  const made = new Set<string>();
  let taken = 0;
  for (const { namespace, file } of files) {
    mkdirSync(path.join(folder, namespace), { recursive: true });
    writeFileSync(path.join(folder, namespace, path.basename(file)), readFileSync(file));
    for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) {
      const object = document.toJSON() as KubeObject | null;
      if (object?.kind === undefined) continue;
      made.add(namespace);
      if (await load(object, namespace, kinds)) taken++;
    }
  }
  console.log(`# ${files.length} files that others wrote; 1.20.15 takes ${taken} of their objects`);
  return [...made];
}

interface Other {
  namespace: string;
  file: string;
}

function corpusFiles(): Other[] {
  if (!existsSync(CORPUS)) {
    console.log('# SKIPPED: ../shared/corpus is not here');
    return [];
  }
  const files = (folder: string) => readdirSync(path.join(CORPUS, folder)).map((it) => path.join(CORPUS, folder, it));
  return [
    ...files('linkerd').map((file) => ({
      namespace: `linkerd-${path.basename(file, '.yaml').replaceAll('.', '-')}`,
      file,
    })),
    ...files('kube-no-trouble').map((file) => ({ namespace: 'kube-no-trouble', file })),
  ];
}

/** One filled object for each kind of each release, from the Go module that the newer server was built with. */
function apiModuleFiles(): Other[] {
  let module = '';
  try {
    module = execFileSync('go', ['list', '-m', '-f', '{{.Dir}}', 'k8s.io/api'], {
      cwd: path.join(ROOT, 'test/servers/kubernetes-1.36'),
      encoding: 'utf8',
    }).trim();
  } catch {
    // told below
  }
  if (!existsSync(path.join(module, 'testdata'))) {
    console.log('# SKIPPED: the module k8s.io/api is not here; it comes with test/servers/build.sh');
    return [];
  }
  const releases = readdirSync(path.join(module, 'testdata')).filter((it) => /^v1|^HEAD$/.test(it));
  return releases.flatMap((release) =>
    readdirSync(path.join(module, 'testdata', release))
      .filter((it) => it.endsWith('.yaml') && !it.includes('roundtrip'))
      .map((it) => ({
        namespace: `api-${release.toLowerCase().replaceAll('.', '-')}`,
        file: path.join(module, 'testdata', release, it),
      })),
  );
}

/** Webhooks would have a say in whatever is made after them, and an APIService takes its group out of discovery; nobody answers behind either. */
const NOT_LOADED = /WebhookConfiguration$|^(?:APIService|Event|Lease)$|Review$/;

async function load(
  { apiVersion, kind, metadata, status: _status, ...rest }: KubeObject,
  namespace: string,
  kinds: Map<string, KindPath>,
): Promise<boolean> {
  const served = kinds.get(`${apiVersion} ${kind}`);
  if (!served?.verbs.includes('create') || NOT_LOADED.test(kind)) return false;
  await makeNamespace(old, namespace);
  const { name, labels, annotations } = metadata ?? {};
  const object = { apiVersion, kind, metadata: { name: (name ?? kind).toLowerCase(), labels, annotations }, ...rest };
  const made = await old.request(
    'POST',
    urlOf(apiVersion, served.resource, served.namespaced ? namespace : undefined),
    object,
  );
  if (made.status === 201 && kind === 'CustomResourceDefinition')
    for (const [key, it] of await kindsOf(old)) kinds.set(key, it);
  return made.status === 201;
}

const namespacesMade = new Set<string>();

async function makeNamespace(plane: ControlPlane, name: string): Promise<void> {
  const key = `${plane.version} ${name}`;
  if (namespacesMade.has(key)) return;
  namespacesMade.add(key);
  const { status, body } = await plane.request('POST', '/api/v1/namespaces', {
    metadata: { name, labels: { is: name } },
  });
  assert.ok(status === 201 || status === 409, JSON.stringify(body));
}

const make = async (plane: ControlPlane, url: string, object: unknown) => {
  const { status, body } = await plane.request('POST', url, object);
  assert.equal(status, 201, JSON.stringify(body));
};

const ingress = (name: string, backend: object) => ({
  metadata: { name },
  spec: { rules: [{ host: `${name}.example.com`, http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }] },
});
const OLD_BACKEND = { serviceName: 'web', servicePort: 80 };

async function plant(kinds: Map<string, KindPath>): Promise<void> {
  for (const name of ['shop', 'planted']) await makeNamespace(old, name);
  const at = (apiVersion: string, resource: string, namespace = 'planted') => urlOf(apiVersion, resource, namespace);

  // A custom kind that the target lacks.
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  await make(old, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  });
  await old.until('widgets', async () => (await old.request('GET', at('example.com/v1', 'widgets'))).status === 200);
  kinds.set('example.com/v1 Widget', {
    resource: 'widgets',
    namespaced: true,
    verbs: ['create', 'list'],
    preferred: true,
  });
  await make(old, at('example.com/v1', 'widgets'), {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'one' },
  });

  // Files in removed versions, behind objects that move.
  const legacy = ingress('legacy', OLD_BACKEND);
  const applied = JSON.stringify({ apiVersion: 'extensions/v1beta1', kind: 'Ingress', ...legacy });
  await make(old, at('extensions/v1beta1', 'ingresses'), {
    ...legacy,
    metadata: { name: 'legacy', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': applied } },
  });
  const scaled = {
    apiVersion: 'autoscaling/v2beta2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'scaled' },
    spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } },
  };
  const apply = await old.request(
    'PATCH',
    `${at('autoscaling/v2beta2', 'horizontalpodautoscalers')}/scaled?fieldManager=flux`,
    JSON.stringify(scaled),
    'application/apply-patch+yaml',
  );
  assert.equal(apply.status, 201, JSON.stringify(apply.body));
  // Once written in a removed version: no evidence of what will be written next.
  await make(old, at('extensions/v1beta1', 'ingresses'), ingress('rewritten', OLD_BACKEND));

  // Objects that the newer server refuses.
  const pod = { restartPolicy: 'Never', containers: [{ name: 'a', image: 'example.test/a:1' }] };
  await make(old, at('batch/v1beta1', 'cronjobs'), {
    metadata: { name: 'plain' },
    spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: { spec: pod } } } },
  });
  // Its class said twice, one word each: an update may do that, a create may not.
  const twice = ingress('twice', { service: { name: 'web', port: { number: 80 } } });
  await make(old, at('networking.k8s.io/v1', 'ingresses'), {
    ...twice,
    spec: { ...twice.spec, ingressClassName: 'a' },
  });
  const patched = await old.request(
    'PATCH',
    `${at('networking.k8s.io/v1', 'ingresses')}/twice`,
    { metadata: { annotations: { 'kubernetes.io/ingress.class': 'b' } } },
    'application/merge-patch+json',
  );
  assert.equal(patched.status, 200, JSON.stringify(patched.body));
  await make(old, at('policy/v1beta1', 'poddisruptionbudgets'), {
    metadata: { name: 'web' },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'web' } } },
  });
  await make(old, at('networking.k8s.io/v1', 'networkpolicies'), {
    metadata: { name: 'wide' },
    spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.5/24' } }] }] },
  });
  const deployment = (name: string, labels: object) => ({
    metadata: { name, labels },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: pod.containers } },
    },
  });
  await make(old, at('apps/v1', 'deployments', 'shop'), deployment('forbidden', { app: 'forbidden' }));
  await make(old, at('apps/v1', 'deployments', 'shop'), deployment('web', { app: 'web', 'no-such-label': 'yes' }));
  await make(old, at('v1', 'configmaps', 'shop'), {
    metadata: { name: 'hooked', labels: { hooked: 'yes' } },
    data: { a: 'b' },
  });
  await make(old, at('v1', 'services', 'shop'), {
    metadata: { name: 'web' },
    spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local', selector: { app: 'web' }, ports: [{ port: 80 }] },
  });
  await make(old, at('v1', 'secrets', 'shop'), { metadata: { name: 'db' }, stringData: { password: CANARY } });
  await make(old, at('v1', 'secrets', 'shop'), {
    metadata: { name: 'pull' },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: {
      '.dockerconfigjson': JSON.stringify({
        auths: { 'example.test': { auth: Buffer.from(`a:${CANARY}`).toString('base64') } },
      }),
    },
  });
  await plantPolicies();
  await plantReleases();
  mkdirSync(path.join(scratch, 'manifests'), { recursive: true });
  writeFileSync(path.join(scratch, 'manifests/planted.yaml'), PLANTED_FILE);
}

/** The server counts from its start. All that loading has called is forgotten, and its own controllers and one old client call again. */
async function callAsAnOldClient(): Promise<void> {
  await old.stopApiServer();
  await old.startApiServer();
  const url = `${urlOf('networking.k8s.io/v1beta1', 'ingresses', 'planted')}/rewritten`;
  const { body } = await old.request('GET', url);
  assert.equal(
    (await old.request('PUT', url, { ...body, metadata: { ...body.metadata, labels: { by: 'us' } } })).status,
    200,
  );
  await old.until('the garbage collector', async () =>
    (await old.request<string>('GET', '/metrics')).body
      .split('\n')
      .some((it) => it.startsWith('apiserver_request_total') && /group="extensions".*verb="LIST"/.test(it)),
  );
}

/** On the newer server: a policy of its own, and a webhook behind which nobody is. */
async function plantPolicies(): Promise<void> {
  await makeNamespace(fresh, 'shop');
  const admission = '/apis/admissionregistration.k8s.io/v1';
  await make(fresh, `${admission}/validatingadmissionpolicies`, {
    metadata: { name: 'labelled' },
    spec: {
      matchConstraints: {
        resourceRules: [
          { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] },
        ],
      },
      validations: [{ expression: "'no-such-label' in object.metadata.labels", message: 'no-such-label is missing' }],
    },
  });
  await make(fresh, `${admission}/validatingadmissionpolicybindings`, {
    metadata: { name: 'labelled' },
    spec: {
      policyName: 'labelled',
      validationActions: ['Deny'],
      matchResources: { namespaceSelector: { matchLabels: { is: 'shop' } } },
    },
  });
  await make(fresh, `${admission}/validatingwebhookconfigurations`, {
    metadata: { name: 'nobody' },
    webhooks: [
      {
        name: 'nobody.example.com',
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        failurePolicy: 'Fail',
        timeoutSeconds: 2,
        clientConfig: { service: { namespace: 'shop', name: 'nobody' } },
        objectSelector: { matchLabels: { hooked: 'yes' } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
      },
    ],
  });
  const isThere = async (url: string, object: object) =>
    (await fresh.request('POST', `${url}?dryRun=All`, object)).status >= 400;
  await fresh.until(
    'the policy',
    async () =>
      await isThere(urlOf('apps/v1', 'deployments', 'shop'), {
        metadata: { name: 'x' },
        spec: {
          selector: { matchLabels: { a: 'b' } },
          template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'a' }] } },
        },
      }),
  );
  await fresh.until(
    'the webhook',
    async () =>
      await isThere(urlOf('v1', 'configmaps', 'shop'), { metadata: { name: 'x', labels: { hooked: 'yes' } } }),
  );
}

const BAD = `---
# Source: web/templates/ingress.yaml
apiVersion: extensions/v1beta1
kind: Ingress
metadata:
  name: web
`;
const GOOD = BAD.replace('extensions/v1beta1', 'networking.k8s.io/v1');

async function plantReleases(): Promise<void> {
  const release = async (
    kind: 'Secret' | 'ConfigMap',
    name: string,
    version: number,
    status: string,
    manifest: string,
  ) => {
    const text = gzipSync(
      JSON.stringify({
        name,
        version,
        namespace: 'planted',
        info: { status },
        manifest,
        config: { password: CANARY },
        chart: { values: { password: CANARY } },
      }),
    ).toString('base64');
    await make(old, urlOf('v1', kind === 'Secret' ? 'secrets' : 'configmaps', 'planted'), {
      metadata: {
        name: `sh.helm.release.v1.${name}.v${version}`,
        labels: { owner: 'helm', name, status, version: String(version) },
      },
      ...(kind === 'Secret'
        ? { type: 'helm.sh/release.v1', data: { release: Buffer.from(text).toString('base64') } }
        : { data: { release: text } }),
    });
  };
  await release('Secret', 'web', 1, 'superseded', GOOD);
  await release('Secret', 'web', 2, 'deployed', BAD);
  await release('ConfigMap', 'mapped', 1, 'deployed', BAD);
  // An upgrade that did not get through: Helm goes on from the newest that is deployed.
  await release('Secret', 'pending', 4, 'deployed', BAD);
  await release('Secret', 'pending', 5, 'pending-upgrade', GOOD);
  // Nothing that Helm would read again: mended since, stuck as deployed, uninstalled.
  await release('Secret', 'clean', 9, 'superseded', BAD);
  await release('Secret', 'clean', 10, 'deployed', GOOD);
  await release('Secret', 'left', 1, 'deployed', BAD);
  await release('Secret', 'left', 2, 'deployed', GOOD);
  await release('Secret', 'gone', 3, 'uninstalled', BAD);
}

const PLANTED_FILE = `apiVersion: v1
kind: ConfigMap
metadata:
  name: fine
---
# the line below is the one
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata:
  name: web
`;

async function letRead(plane: ControlPlane): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await make(plane, `${rbac}/clusterroles`, {
    metadata: { name: 'reader' },
    rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list', 'watch'] }],
  });
  await make(plane, `${rbac}/clusterrolebindings`, {
    metadata: { name: 'reader' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'reader' }],
  });
}

async function openAs(token: string | undefined) {
  const kubeconfig = path.join(scratch, 'kubeconfig');
  const as = token === undefined ? {} : { token };
  writeKubeconfig(kubeconfig, [
    { name: 'old', plane: old, ...as },
    { name: 'new', plane: fresh, ...as },
  ]);
  const playbook = parsePlaybook(
    stringify({
      apiVersion: 'migrate/v1alpha1',
      kind: 'Playbook',
      name: 'all',
      source: { context: 'old' },
      target: { context: 'new' },
      data: { namespaces, disks: 'none' },
    }),
    'all.yaml',
  );
  return { playbook, world: await openWorld(playbook, { kubeconfig }) };
}

async function lookAs(token: string | undefined): Promise<Looked> {
  const { playbook, world } = await openAs(token);
  const began = performance.now();
  const seen = await look(playbook, world, { manifests: readManifests(path.join(scratch, 'manifests')) });
  console.log(
    `# looked as ${token ?? 'admin'} in ${Math.round(performance.now() - began)} ms: ${JSON.stringify(seen.report.counts)}; ${seen.inventory.target.dryRun?.answers.length} objects put to the target`,
  );
  return seen;
}

// ---- the judge

/** What comes with controllers and is made again, or belongs to one cluster. */
const MADE_AGAIN =
  /^(?:Pod|ReplicaSet|ControllerRevision|Endpoints|EndpointSlice|Event|Lease|Job|PodTemplate|CSIStorageCapacity)$/;

async function movingObjects(): Promise<KubeObject[]> {
  const found: KubeObject[] = [];
  for (const [names, { resource, namespaced, verbs, preferred }] of await kindsOf(old)) {
    const [apiVersion = '', kind = ''] = names.split(' ');
    if (
      !namespaced ||
      !preferred ||
      !verbs.includes('list') ||
      MADE_AGAIN.test(kind) ||
      apiVersion.startsWith('extensions/')
    )
      continue;
    for (const namespace of namespaces) {
      const { body } = await old.request('GET', urlOf(apiVersion, resource, namespace));
      const items = (body.items as KubeObject[]).map((it) => ({ ...it, apiVersion, kind }));
      found.push(...items.filter((it) => !(kind === 'ServiceAccount' && it.metadata.name === 'default')));
    }
  }
  return found;
}

/** The object in the version that the newer server has, put to it the plainest way. */
async function putTo({ apiVersion, kind, metadata, status: _status, ...rest }: KubeObject) {
  const there = await kindsOf(fresh);
  const to = RENAMED[`${apiVersion} ${kind}`] ?? apiVersion;
  const served = there.get(`${to} ${kind}`);
  if (!served) return { status: 404, body: { message: 'not served' } };
  const namespace = metadata.namespace === 'shop' ? 'shop' : 'default';
  const spec =
    kind === 'Service'
      ? {
          ...rest['spec'],
          clusterIP: undefined,
          clusterIPs: undefined,
          healthCheckNodePort: undefined,
          ports: rest['spec'].ports.map((it: object) => ({ ...it, nodePort: undefined })),
        }
      : rest['spec'];
  const object = {
    apiVersion: to,
    kind,
    metadata: { name: metadata.name, labels: metadata.labels, annotations: metadata.annotations },
    ...rest,
    ...(spec !== undefined && { spec }),
  };
  return await fresh.request('POST', `${urlOf(to, served.resource, namespace)}?dryRun=All`, object);
}

/** The two kinds that 1.20 and 1.36 share no version of; nothing but the version differs in what is planted. */
const RENAMED: Record<string, string> = {
  'batch/v1beta1 CronJob': 'batch/v1',
  'policy/v1beta1 PodDisruptionBudget': 'policy/v1',
};

const nameOf = ({ kind, metadata }: KubeObject) =>
  `${kind === 'PersistentVolumeClaim' ? 'pvc' : kind.toLowerCase()} ${metadata.namespace}/${metadata.name}`;

/** Whether an apply of it would meet anybody: a 404 is the path's, whatever is said to the object itself. */
async function isServed(
  { apiVersion, kind }: { apiVersion: string; kind: string },
  known: KindPath | undefined,
): Promise<boolean> {
  const { resource, namespaced } = known ?? { resource: `${kind.toLowerCase()}s`, namespaced: false };
  const { status } = await fresh.request(
    'POST',
    `${urlOf(apiVersion, resource, namespaced ? 'default' : undefined)}?dryRun=All`,
    {},
  );
  return status !== 404;
}

/** Every object of both servers with its version; without what servers write about themselves all the time. */
async function versions(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const plane of [old, fresh]) {
    for (const [names, { resource, verbs, preferred }] of await kindsOf(plane)) {
      const [apiVersion = '', kind = ''] = names.split(' ');
      if (!preferred || !verbs.includes('list') || /^(?:Lease|Event|ComponentStatus)$/.test(kind)) continue;
      const { body } = await plane.request('GET', urlOf(apiVersion, resource));
      for (const it of body.items ?? []) {
        const { namespace = '', name, resourceVersion, generation, ownerReferences } = it.metadata;
        // The controller of a CronJob makes Jobs, takes old ones away and notes it, whenever the minute has come.
        if (ownerReferences?.some((owner: { kind: string }) => owner.kind === 'CronJob')) continue;
        found.set(
          `${plane.version} ${names} ${namespace}/${name}`,
          kind === 'CronJob' && it.spec.suspend !== true ? `generation ${generation}` : resourceVersion,
        );
      }
    }
  }
  return found;
}

/** Once controllers have nothing more to do. */
async function settled(): Promise<Map<string, string>> {
  for (let was = await versions(); ;) {
    await sleep(1500);
    const is = await versions();
    if (changes(was, is).length === 0) return is;
    was = is;
  }
}

const changes = (was: Map<string, string>, is: Map<string, string>) =>
  [...new Set([...was.keys(), ...is.keys()])].filter((it) => was.get(it) !== is.get(it));
