import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { describe, it } from 'node:test';
import { realClock, virtualClock } from '../src/twin/clock.js';
import type { ApiServerOptions, TwinApiServer } from '../src/twin/kube/server.js';
import { startApiServer } from '../src/twin/kube/server.js';
import type { Fault, TwinObject } from '../src/twin/types.js';
import { kubeConformance } from './conformance/kube.js';

describe('the twin’s API server, by the rules of real ones', { concurrency: true }, () => {
  for (const version of ['v1.20.15', 'v1.36.3']) {
    kubeConformance(`twin ${version}`, async () => {
      const clock = realClock();
      const server = await startApiServer({ version, clock, name: 'source', token: 'admin-token' });
      const rules = [{ verbs: ['get', 'list'], groups: [''], resources: ['configmaps'], namespaces: ['readable'] }];
      server.addIdentity('reader-token', { user: 'reader', rules });
      return {
        url: server.url,
        token: server.token,
        readerToken: 'reader-token',
        version,
        controllers: true,
        async stop() {
          await server.stop();
          clock.stop();
        },
      };
    });
  }
});

const START = '2027-01-01T00:00:00Z';

async function withServer(
  run: (server: TwinApiServer, idle: () => Promise<boolean>) => Promise<void>,
  more: Partial<ApiServerOptions> = {},
): Promise<void> {
  const clock = virtualClock(START);
  const server = await startApiServer({
    version: 'v1.20.15',
    clock,
    background: clock.background,
    name: 'source',
    token: 't',
    ...more,
  });
  try {
    await run(server, () => clock.idle());
  } finally {
    await server.stop();
    clock.stop();
  }
}

interface Reply {
  status: number;
  text: string;
  headers: Record<string, unknown>;
}

function call(server: TwinApiServer, method: string, path: string, body?: object): Promise<Reply> {
  const send = server.ca === undefined ? httpRequest : httpsRequest;
  const text = JSON.stringify(body ?? {});
  const headers = {
    authorization: `Bearer ${server.token}`,
    'content-type': 'application/json',
    'content-length': text.length,
  };
  return new Promise((resolve, reject) => {
    const request = send(server.url + path, { method, headers, agent: false, ca: server.ca }, (response) => {
      let answer = '';
      response.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: answer, headers: response.headers }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(text);
  });
}

const MAPS = '/api/v1/namespaces/default/configmaps';
const map = (name: string): TwinObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data: { a: '1' },
});
const pod = (name: string, more: object = {}): TwinObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', ...more },
  spec: { containers: [{ name: 'a', image: 'b:1' }] },
});

describe('the twin’s API server', () => {
  it('meets each fault where it is put', async () => {
    let fault: Fault | undefined;
    const asked: string[] = [];
    const faults = {
      decide({ to, verb, what, writes }: { to: string; verb: string; what: string; writes: boolean }) {
        asked.push(`${to} ${verb} ${what} ${writes}`);
        const now = fault;
        fault = undefined;
        return now;
      },
    };
    await withServer(
      async (server) => {
        fault = { kind: 'refuse', status: 429, code: 'TooManyRequests', message: 'slow down', retryAfterMs: 1_500 };
        const refused = await call(server, 'POST', MAPS, map('refused'));
        assert.equal(refused.status, 429);
        assert.equal(refused.headers['retry-after'], '2');
        assert.equal(JSON.parse(refused.text).reason, 'TooManyRequests');
        assert.equal(await server.api.get('v1/configmaps', 'default', 'refused'), undefined);

        fault = { kind: 'cut' };
        await assert.rejects(call(server, 'POST', MAPS, map('cut')), { code: 'ECONNRESET' });
        assert.equal(await server.api.get('v1/configmaps', 'default', 'cut'), undefined);

        fault = { kind: 'lose' };
        await assert.rejects(call(server, 'POST', MAPS, map('lost')), { code: 'ECONNRESET' });
        assert.equal((await server.api.get('v1/configmaps', 'default', 'lost'))?.metadata.name, 'lost');

        fault = { kind: 'slow', ms: 60_000 };
        const slow = await call(server, 'POST', MAPS, map('slow'));
        assert.equal(JSON.parse(slow.text).metadata.creationTimestamp, '2027-01-01T00:01:00Z');

        await server.api.create('v1/configmaps', map('direct'));
        assert.deepEqual([...new Set(asked)], [`source create ${MAPS} true`]);
        assert.deepEqual(server.requests, { create: 4 });
      },
      { faults },
    );
  });

  it('is gone for the wire while it is down, and not for this process', async () => {
    await withServer(async (server) => {
      const watching = call(server, 'GET', `${MAPS}?watch=1`);
      await call(server, 'POST', MAPS, map('before'));
      const watched = assert.rejects(watching);
      server.down();
      await watched;
      await assert.rejects(call(server, 'GET', MAPS));
      await server.api.create('v1/configmaps', map('meanwhile'));
      server.up();
      assert.equal((await call(server, 'GET', `${MAPS}/meanwhile`)).status, 200);
    });
  });

  it('speaks TLS for clients that send a token over nothing else', async () => {
    await withServer(
      async (server) => {
        assert.match(server.url, /^https:/);
        const { status, text } = await call(server, 'GET', '/version');
        assert.equal(status, 200);
        assert.equal(JSON.parse(text).gitVersion, 'v1.20.15');
      },
      { tls: true },
    );
  });

  it('makes the same world of the same requests', async () => {
    const worlds: unknown[] = [];
    for (let run = 0; run < 2; run++) {
      await withServer(
        async (server, idle) => {
          await server.api.create('v1/services', {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name: 'a', namespace: 'default' },
            spec: { type: 'NodePort', ports: [{ port: 80 }] },
          });
          await server.api.create('v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
          await idle();
          worlds.push(server.snapshot());
        },
        { uid: 'the-cluster' },
      );
    }
    assert.deepEqual(worlds[0], worlds[1]);
    const namespaces = (worlds[0] as Record<string, TwinObject[]>)['/namespaces']!;
    assert.equal(namespaces.find((it) => it.metadata.name === 'kube-system')?.metadata.uid, 'the-cluster');
  });

  it('takes objects of a world as they are', async () => {
    await withServer(async (server, idle) => {
      server.seed([
        pod('web-1', {
          uid: 'p-1',
          namespace: 'shop',
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'r-1' }],
        }),
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          metadata: { name: 'web', namespace: 'shop', uid: 'r-1', creationTimestamp: '2020-01-01T00:00:00Z' },
          spec: {
            selector: { matchLabels: { a: 'b' } },
            template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'b' }] } },
          },
          status: { replicas: 1 },
        },
        {
          apiVersion: 'v1',
          kind: 'Node',
          metadata: { name: 'node-a' },
          status: { nodeInfo: { kubeletVersion: 'v1.20.15' } },
        },
      ]);
      await idle();
      const owner = await server.api.get('apps/v1/replicasets', 'shop', 'web');
      assert.equal(owner?.metadata.creationTimestamp, '2020-01-01T00:00:00Z');
      assert.deepEqual(owner?.['status'], { replicas: 1 });
      assert.equal((await server.api.get('v1/pods', 'shop', 'web-1'))?.metadata.uid, 'p-1');
      assert.equal((await server.api.get('v1/serviceaccounts', 'shop', 'default'))?.metadata.name, 'default');

      await server.api.delete('apps/v1/replicasets', 'shop', 'web');
      await idle();
      assert.equal(await server.api.get('v1/pods', 'shop', 'web-1'), undefined);
    });
  });

  it('tells watchers in this process everything, first what there is, in the order of the writes', async () => {
    await withServer(async (server) => {
      const { api } = server;
      await api.create('v1/pods', pod('a'));
      const told: string[] = [];
      const alsoTold: string[] = [];
      const stop = await api.watch('v1/pods', ({ type, object }) => {
        told.push(`${type} ${object.metadata.name}`);
        // A handler that writes must not get ahead of what others are still to hear.
        if (type === 'ADDED' && object.metadata.name === 'b') void api.delete('v1/pods', 'default', 'a');
      });
      await api.watch('v1/pods', ({ type, object }) => alsoTold.push(`${type} ${object.metadata.name}`));
      await api.create('v1/pods', pod('b'));
      await api.mergePatch('v1/pods', 'default', 'b', { status: { phase: 'Running' } }, 'status');
      await new Promise(setImmediate);
      assert.deepEqual(told, ['ADDED a', 'ADDED b', 'DELETED a', 'MODIFIED b']);
      assert.deepEqual(alsoTold, told);
      stop();
      await api.create('v1/pods', pod('c'));
      await new Promise(setImmediate);
      assert.equal(told.length, 4);
    });
  });

  it('hands out frozen objects, so that nobody changes a world by accident', async () => {
    await withServer(async ({ api }) => {
      const made = await api.create('v1/configmaps', map('frozen'));
      assert.throws(() => {
        made['data'].a = '2';
      }, TypeError);
    });
  });

  it('forgets what a list under way would need when it is compacted', async () => {
    await withServer(async (server) => {
      for (const name of ['a', 'b', 'c'])
        await server.api.create('v1/secrets', { ...map(name), kind: 'Secret', data: {} });
      const path = '/api/v1/namespaces/default/secrets?limit=1';
      const { metadata } = JSON.parse((await call(server, 'GET', path)).text);
      await server.api.create('v1/secrets', { ...map('d'), kind: 'Secret', data: {} });
      server.compact();
      const late = await call(server, 'GET', `${path}&continue=${metadata.continue}`);
      assert.equal(late.status, 410);
      const expired = JSON.parse(late.text);
      assert.equal(expired.reason, 'Expired');
      // The token in the refusal goes on without the promise of one moment.
      const rest = JSON.parse((await call(server, 'GET', `${path}&continue=${expired.metadata.continue}`)).text);
      assert.equal(rest.items[0].metadata.name, 'b');
    });
  });

  it('serves each release what it served by default', async () => {
    const served = async (version: string, resource: string): Promise<boolean> => {
      let answer = false;
      await withServer(async ({ api }) => void (answer = api.serves(resource)), { version });
      return answer;
    };
    assert.equal(await served('v1.16.15', 'networking.k8s.io/v1/ingresses'), false);
    assert.equal(await served('v1.21.0', 'extensions/v1beta1/ingresses'), true);
    assert.equal(await served('v1.22.17', 'extensions/v1beta1/ingresses'), false);
    assert.equal(await served('v1.24.17', 'policy/v1beta1/podsecuritypolicies'), true);
    assert.equal(await served('v1.25.16', 'policy/v1beta1/podsecuritypolicies'), false);
    assert.equal(await served('v1.30.1-aliyun.1', 'batch/v1/cronjobs'), true);
    assert.equal(await served('v1.37.0', 'resource.k8s.io/v1/resourceclaims'), true);
  });
});
