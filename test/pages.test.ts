import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { wallClock, plainTap } from '../src/cli/world.js';
import { clusterOver } from '../src/kube/cluster.js';
import { connect } from '../src/kube/connection.js';
import { cutItems } from '../src/kube/page.js';
import type { Cluster, KubeObject, Tap } from '../src/ports.js';

/** A list cut into its items gives what parsing it whole gives, whatever stands in it. */
test('a list falls into the items and the rest that JSON.parse would give', () => {
  const list = fc.record({
    kind: fc.string(),
    metadata: fc.dictionary(fc.string(), fc.jsonValue()),
    items: fc.array(fc.dictionary(fc.string(), fc.jsonValue())),
  });
  fc.assert(
    fc.property(list, fc.constantFrom(undefined, 1, '\t'), fc.boolean(), (given, indent, itemsFirst) => {
      const { items, ...rest } = given;
      const text = JSON.stringify(itemsFirst ? { items, ...rest } : { ...rest, items }, undefined, indent);
      const whole = JSON.parse(text) as typeof given;
      const found: unknown[] = [];
      const left = JSON.parse(cutItems(Buffer.from(text), (it) => found.push(it))) as typeof given;
      assert.deepEqual(found, whole.items);
      assert.deepEqual(left, { ...whole, items: [] });
    }),
  );
});

test('a list without items, with null for them, or with items deeper inside keeps all it has', () => {
  for (const text of [
    '{"metadata":{"continue":"x"}}',
    '{"items":null}',
    '{"metadata":{"items":[{"a":1}]}}',
    '{"kind":"items","metadata":{}}',
  ]) {
    assert.equal(
      cutItems(Buffer.from(text), () => assert.fail('took something')),
      text,
    );
  }
});

test('a list that breaks off is no list', () => {
  const text = '{"items":[{"a":"b{\\""},{"c":[1,2]}]}';
  for (let length = 11; length < text.length; length++) {
    assert.throws(
      () => JSON.parse(cutItems(Buffer.from(text.slice(0, length)), () => undefined)),
      SyntaxError,
      text.slice(0, length),
    );
  }
});

interface Listing {
  cluster: Cluster;
  /** the queries that came, without the first question of all */
  asked: URLSearchParams[];
}

/** An API server that knows ConfigMaps and answers as it is told. */
async function listing(
  t: TestContext,
  answer: (query: URLSearchParams, index: number) => { status?: number; body: unknown } | 'break',
  tap: Tap = plainTap,
): Promise<Listing> {
  const asked: URLSearchParams[] = [];
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    const reply = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (url.pathname === '/api') return reply(200, { versions: ['v1'] });
    if (url.pathname === '/api') return reply(200, { kind: 'APIVersions', versions: ['v1'] });
    if (url.pathname === '/apis') return reply(200, { groups: [] });
    if (url.pathname === '/api/v1')
      return reply(200, {
        resources: [{ name: 'configmaps', kind: 'ConfigMap', namespaced: true, verbs: ['get', 'list'] }],
      });
    asked.push(url.searchParams);
    const told = answer(url.searchParams, asked.length - 1);
    if (told !== 'break') return reply(told.status ?? 200, told.body);
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .write('{"metadata":{},"items":[{"metadata":{"name":"half"}},{"meta');
    return setTimeout(() => response.destroy(), 5);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-pages-'));
  t.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const kubeconfig = path.join(dir, 'config');
  const { port } = server.address() as AddressInfo;
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    }),
  );
  const connection = await connect({
    side: 'source',
    context: 'c',
    kubeconfig,
    clock: wallClock,
    tap,
    timeoutMs: 5000,
    patienceMs: 5000,
  });
  return { cluster: clusterOver(connection), asked };
}

const page = (names: string[], more?: string, filler = '') => ({
  kind: 'ConfigMapList',
  apiVersion: 'v1',
  metadata: { ...(more !== undefined && { continue: more }) },
  items: names.map((name) => ({ metadata: { name, namespace: 'x' }, data: { filler } })),
});
const names = (objects: readonly KubeObject[]) => objects.map((it) => it.metadata.name);

test('a page that breaks off half way is asked for again, and nothing of the half is taken', async (t) => {
  const { cluster, asked } = await listing(t, (query, index) =>
    index === 1 ? 'break' : { body: query.get('continue') ? page(['c']) : page(['a', 'b'], 'next') },
  );
  const taken: KubeObject[] = [];
  await cluster.each('ConfigMap', {}, (it) => taken.push(it));
  assert.deepEqual(names(taken), ['a', 'b', 'c']);
  assert.deepEqual(
    taken.map((it) => `${it.apiVersion} ${it.kind}`),
    Array(3).fill('v1 ConfigMap'),
  );
  assert.deepEqual(
    asked.map((it) => it.get('continue')),
    [null, 'next', 'next'],
  );
});

test('a list whose beginning the server has forgotten begins anew, and then holds each object once', async (t) => {
  const { cluster, asked } = await listing(t, (query, index) => {
    if (index === 1) return { status: 410, body: { kind: 'Status', reason: 'Expired', code: 410, message: 'too old' } };
    return { body: query.get('continue') ? page(['c']) : page(['a', 'b'], 'next') };
  });
  assert.deepEqual(names(await cluster.list('ConfigMap')), ['a', 'b', 'c']);
  assert.equal(asked.length, 4);
});

test('a list that the server forgets again and again ends in an error that says so', async (t) => {
  const { cluster } = await listing(t, (query) =>
    query.get('continue')
      ? { status: 410, body: { kind: 'Status', reason: 'Expired', code: 410, message: 'too old' } }
      : { body: page(['a'], 'next') },
  );
  await assert.rejects(cluster.list('ConfigMap'), { code: 'KUBE_EXPIRED' });
});

test('great objects come in small pages', async (t) => {
  const { cluster, asked } = await listing(t, (query) => ({
    body: query.get('continue') ? page(['c']) : page(['a', 'b'], 'next', 'x'.repeat(100_000)),
  }));
  await cluster.list('ConfigMap');
  assert.deepEqual(
    asked.map((it) => Number(it.get('limit'))),
    [100, 20],
  );
});

test('what is done with an object fails as itself, not as a server that does not answer', async (t) => {
  const { cluster, asked } = await listing(t, () => ({ body: page(['a']) }));
  await assert.rejects(
    cluster.each('ConfigMap', {}, () => assert.fail('mine')),
    /mine/,
  );
  assert.equal(asked.length, 1);
});

test('a reply that is lost after it came is read once', async (t) => {
  let lost = false;
  const { MigrateError } = await import('../src/errors.js');
  const tap: Tap = async (call, send) => {
    const reply = await send();
    if (!lost && call.what.includes('configmaps')) {
      lost = true;
      throw new MigrateError('KUBE_UNREACHABLE', { what: 'lost', retryable: true });
    }
    return reply;
  };
  const { cluster, asked } = await listing(t, () => ({ body: page(['a']) }), tap);
  const taken: KubeObject[] = [];
  await cluster.each('ConfigMap', {}, (it) => taken.push(it));
  assert.deepEqual([names(taken), asked.length], [['a'], 2]);
});
