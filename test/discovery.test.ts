import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { plainTap, wallClock } from '../src/cli/world.js';
import { connect } from '../src/kube/connection.js';
import { discover } from '../src/kube/discovery.js';

/** What is served is asked in the way of today's servers and in that of the old ones; both must come to the same. */

const resource = (name: string, kind: string, namespaced = true) => ({
  name,
  kind,
  namespaced,
  verbs: ['get', 'list'],
});

const OLD: Record<string, unknown> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/api/v1': { resources: [resource('pods', 'Pod'), resource('pods/log', 'Pod'), resource('nodes', 'Node', false)] },
  '/apis': {
    kind: 'APIGroupList',
    groups: [
      {
        name: 'batch',
        versions: [
          { groupVersion: 'batch/v1', version: 'v1' },
          { groupVersion: 'batch/v1beta1', version: 'v1beta1' },
        ],
        preferredVersion: { version: 'v1' },
      },
      {
        name: 'metrics.k8s.io',
        versions: [{ groupVersion: 'metrics.k8s.io/v1beta1', version: 'v1beta1' }],
        preferredVersion: { version: 'v1beta1' },
      },
    ],
  },
  '/apis/batch/v1': { resources: [resource('jobs', 'Job'), resource('jobs/status', 'Job')] },
  '/apis/batch/v1beta1': { resources: [resource('cronjobs', 'CronJob')] },
};

const at = (name: string, kind: string, scope = 'Namespaced') => ({
  resource: name,
  responseKind: { group: '', version: '', kind },
  scope,
  verbs: ['get', 'list'],
  subresources: [{ subresource: 'status' }],
});

const NEW: Record<string, unknown> = {
  '/api': {
    kind: 'APIGroupDiscoveryList',
    items: [
      {
        metadata: {},
        versions: [
          { version: 'v1', freshness: 'Current', resources: [at('pods', 'Pod'), at('nodes', 'Node', 'Cluster')] },
        ],
      },
    ],
  },
  '/apis': {
    kind: 'APIGroupDiscoveryList',
    items: [
      {
        metadata: { name: 'batch' },
        versions: [
          {
            version: 'v1',
            freshness: 'Current',
            resources: [
              at('jobs', 'Job'),
              { resource: 'orphans', scope: 'Namespaced', subresources: [{ subresource: 'x' }] },
            ],
          },
          { version: 'v1beta1', freshness: 'Current', resources: [at('cronjobs', 'CronJob')] },
        ],
      },
      { metadata: { name: 'metrics.k8s.io' }, versions: [{ version: 'v1beta1', freshness: 'Stale' }] },
    ],
  },
};

async function served(t: TestContext, answers: (path: string, accept: string) => unknown) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const body = answers(request.url ?? '', request.headers.accept ?? '');
    response
      .writeHead(body === undefined ? 403 : 200, { 'content-type': 'application/json' })
      .end(JSON.stringify(body ?? { kind: 'Status', reason: 'Forbidden', message: 'no' }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-discovery-'));
  t.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const kubeconfig = path.join(dir, 'config');
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: address, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    }),
  );
  const connection = await connect({
    side: 'target',
    context: 'c',
    kubeconfig,
    clock: wallClock,
    tap: plainTap,
    timeoutMs: 5000,
    patienceMs: 100,
  });
  return { asked, ...(await discover(connection)) };
}

test('a server that tells all at once is asked twice, and says what one says that is asked version by version', async (t) => {
  const accepts: string[] = [];
  const fresh = await served(t, (url, accept) => {
    accepts.push(accept);
    return NEW[url];
  });
  assert.deepEqual(fresh.asked.sort(), ['/api', '/apis']);
  for (const it of accepts)
    assert.match(it, /^application\/json;g=apidiscovery\.k8s\.io;v=v2;as=APIGroupDiscoveryList,.*,application\/json$/);
  const old = await served(t, (url) => OLD[url]);
  assert.equal(old.asked.length, 6);
  assert.deepEqual(fresh.kinds, old.kinds);
  assert.deepEqual(
    fresh.kinds.map((it) => `${it.group}/${it.version} ${it.kind} ${it.namespaced} ${it.preferred}`),
    ['/v1 Pod true true', '/v1 Node false true', 'batch/v1 Job true true', 'batch/v1beta1 CronJob true false'],
  );
});

test('a group whose server does not answer is named as unknown, in both ways of asking', async (t) => {
  for (const answers of [OLD, NEW]) {
    const { failed } = await served(t, (url) => answers[url]);
    assert.deepEqual(
      failed.map((it) => it.groupVersion),
      ['metrics.k8s.io/v1beta1'],
    );
  }
});
