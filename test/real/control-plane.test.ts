import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { kubectlPath, type KubernetesVersion } from '../servers/binaries.js';
import { addNodes, type ControlPlane, isTrue, startControlPlane, writeKubeconfig } from '../servers/control-plane.js';

const run = promisify(execFile);

const labels = { app: 'web' };
const deployment = (name: string, replicas: number) => ({
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'example.test/web:1' }] } },
  },
});
const service = { metadata: { name: 'web' }, spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] } };

const versions: { version: KubernetesVersion; slices: string }[] = [
  { version: '1.20.15', slices: 'discovery.k8s.io/v1beta1' },
  { version: '1.36.3', slices: 'discovery.k8s.io/v1' },
];

for (const { version, slices } of versions) {
  describe(`Kubernetes ${version}`, () => {
    let plane: ControlPlane;

    before(async () => {
      const started = Date.now();
      plane = await startControlPlane({ version, tokens: [{ token: 'reader-token', user: 'reader' }] });
      console.log(`# ${version} started in ${Date.now() - started} ms`);
    });
    after(async () => {
      for (const [name, pid] of plane.processes()) console.log(`# ${version} ${name}: ${residentMiB(pid)} MiB`);
      await plane.stop();
    });

    const create = async (path: string, body: unknown) => {
      const reply = await plane.request('POST', path, body);
      assert.equal(reply.status, 201, JSON.stringify(reply.body));
    };
    const podsReady = async (namespace: string) => {
      const { body } = await plane.request('GET', `/api/v1/namespaces/${namespace}/pods`);
      return body.items.filter((pod: { status: { conditions?: [] } }) => isTrue(pod.status.conditions, 'Ready')).length;
    };
    const slicesReady = async (namespace: string) => {
      const { body } = await plane.request('GET', `/apis/${slices}/namespaces/${namespace}/endpointslices`);
      type Slice = { endpoints: { conditions: { ready?: boolean } }[] | null };
      return body.items
        .flatMap((it: Slice) => it.endpoints ?? [])
        .filter((it: { conditions: { ready?: boolean } }) => it.conditions.ready).length;
    };
    const endpointsReady = async (namespace: string) => {
      const { body } = await plane.request('GET', `/api/v1/namespaces/${namespace}/endpoints/web`);
      return (body.subsets ?? []).flatMap((it: { addresses?: [] }) => it.addresses ?? []).length;
    };

    test('says its version', async () => {
      const { body } = await plane.request('GET', '/version');
      const [major, minor] = version.split('.');
      assert.deepEqual([body.major, body.minor, body.gitVersion], [major, minor, `v${version}`]);
    });

    test('has nodes as a cloud has them', async () => {
      const nodes = await addNodes(plane, 2, { zone: 'cn-hangzhou-i', labels: { pool: 'a' } });
      nodes.push(...(await addNodes(plane, 1, { providerID: () => 'cn-hangzhou.i-third' })));
      assert.equal(new Set(nodes.map((it) => it.address)).size, 3);
      const { body } = await plane.request('GET', '/api/v1/nodes');
      type Node = {
        spec: { providerID: string };
        metadata: { labels: Record<string, string> };
        status: { nodeInfo: { kubeletVersion: string } };
      };
      assert.deepEqual(
        body.items.map((it: Node) => it.spec.providerID),
        nodes.map((it) => it.providerID),
      );
      assert.deepEqual(
        body.items.map((it: Node) => [
          it.metadata.labels['topology.kubernetes.io/zone'],
          it.metadata.labels['pool'],
          it.status.nodeInfo.kubeletVersion,
        ]),
        [
          ['cn-hangzhou-i', 'a', `v${version}`],
          ['cn-hangzhou-i', 'a', `v${version}`],
          ['cn-hangzhou-h', undefined, `v${version}`],
        ],
      );
    });

    test('brings pods up, shows them behind a service, and takes them down', async () => {
      await create('/api/v1/namespaces', { metadata: { name: 'shop' } });
      await create('/apis/apps/v1/namespaces/shop/deployments', deployment('web', 3));
      await create('/api/v1/namespaces/shop/services', service);
      await plane.until('3 ready pods', async () => (await podsReady('shop')) === 3);
      await plane.until('3 ready endpoints in slices', async () => (await slicesReady('shop')) === 3);
      await plane.until('3 ready endpoints', async () => (await endpointsReady('shop')) === 3);

      const scaled = await plane.request(
        'PATCH',
        '/apis/apps/v1/namespaces/shop/deployments/web/scale',
        { spec: { replicas: 0 } },
        'application/merge-patch+json',
      );
      assert.equal(scaled.status, 200);
      await plane.until(
        'no pods',
        async () => (await plane.request('GET', '/api/v1/namespaces/shop/pods')).body.items.length === 0,
      );
      await plane.until('no endpoints in slices', async () => (await slicesReady('shop')) === 0);
      await plane.until('no endpoints', async () => (await endpointsReady('shop')) === 0);
    });

    test('binds a claim to its volume, and lets both go', async () => {
      const volume = {
        metadata: { name: 'disk' },
        spec: {
          capacity: { storage: '20Gi' },
          accessModes: ['ReadWriteOnce'],
          storageClassName: 'slow',
          csi: { driver: 'diskplugin.csi.alibabacloud.com', volumeHandle: 'd-1' },
        },
      };
      const claim = {
        metadata: { name: 'data' },
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: 'slow',
          resources: { requests: { storage: '20Gi' } },
        },
      };
      await create('/api/v1/namespaces', { metadata: { name: 'disks' } });
      await create('/api/v1/persistentvolumes', volume);
      await create('/api/v1/namespaces/disks/persistentvolumeclaims', claim);
      const phase = async (path: string) => (await plane.request('GET', path)).body.status?.phase;
      await plane.until(
        'a bound claim',
        async () => (await phase('/api/v1/namespaces/disks/persistentvolumeclaims/data')) === 'Bound',
      );
      await plane.until('a bound volume', async () => (await phase('/api/v1/persistentvolumes/disk')) === 'Bound');
      await goes('/api/v1/namespaces/disks');
      await goes('/api/v1/persistentvolumes/disk');
    });

    test('deletes a namespace with all that is in it', async () => {
      await create('/api/v1/namespaces', { metadata: { name: 'old' } });
      await create('/apis/apps/v1/namespaces/old/deployments', deployment('web', 2));
      await plane.until('2 ready pods', async () => (await podsReady('old')) === 2);
      await goes('/api/v1/namespaces/old');
      assert.equal((await plane.request('GET', '/api/v1/namespaces/old/pods')).body.items.length, 0);
    });

    test('gives a further token only what its user is bound to', async () => {
      const get = async () =>
        await run(kubectlPath(version), [
          '--kubeconfig',
          plane.kubeconfigPath('reader', 'reader-token'),
          'get',
          'namespaces',
          '-o',
          'name',
        ]);
      await assert.rejects(get(), /User "reader" cannot list resource "namespaces"/);
      const rules = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'list'] }];
      await create('/apis/rbac.authorization.k8s.io/v1/clusterroles', { metadata: { name: 'reader' }, rules });
      await create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
        metadata: { name: 'reader' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'reader' }],
      });
      const seen = await plane.until('the right to list', async () => await get().catch(() => undefined));
      assert.match(seen.stdout, /^namespace\/kube-system$/m);
    });

    test('loses its API server and gets it back with all it knew', async () => {
      const { server } = plane;
      await plane.stopApiServer();
      await assert.rejects(plane.request('GET', '/api/v1/namespaces/default'), { code: 'ECONNREFUSED' });
      await plane.startApiServer();
      assert.equal(plane.server, server);
      assert.equal((await plane.request('GET', '/api/v1/namespaces/shop')).status, 200);
      // The controllers, the scheduler and the kubelets' stand-in must have found it again, too.
      await create('/api/v1/namespaces', { metadata: { name: 'again' } });
      await create('/apis/apps/v1/namespaces/again/deployments', deployment('again', 2));
      await plane.until('2 ready pods', async () => (await podsReady('again')) === 2, 90_000);
    });

    async function goes(path: string) {
      assert.ok([200, 202].includes((await plane.request('DELETE', path)).status));
      await plane.until(`${path} gone`, async () => (await plane.request('GET', path)).status === 404);
    }
  });
}

test('a kubeconfig for two clusters is for its owner only and prefers neither', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'migrate-kubeconfig-'));
  const planes = await Promise.all(
    versions.map(async ({ version }) => await startControlPlane({ version, controllers: [], kwok: false })),
  );
  try {
    const file = join(dir, 'config');
    writeKubeconfig(
      file,
      planes.map((plane) => ({ name: `v${plane.version}`, plane })),
    );
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const view = await run(kubectlPath('1.36.3'), ['--kubeconfig', file, 'config', 'current-context']).catch(
      (error: unknown) => error,
    );
    assert.match(String(view), /current-context is not set/);
    for (const { version } of versions) {
      const { stdout } = await run(kubectlPath(version), [
        '--kubeconfig',
        file,
        '--context',
        `v${version}`,
        'version',
        '-o',
        'json',
      ]);
      const { clientVersion, serverVersion } = JSON.parse(stdout) as Record<string, { gitVersion: string }>;
      assert.deepEqual([clientVersion?.gitVersion, serverVersion?.gitVersion], [`v${version}`, `v${version}`]);
    }
  } finally {
    await Promise.all(planes.map(async (it) => await it.stop()));
    rmSync(dir, { recursive: true });
  }
});

test('an API server whose port is taken meanwhile comes back once the port is free', async () => {
  const plane = await startControlPlane({ version: '1.36.3', controllers: [], kwok: false });
  try {
    await plane.stopApiServer();
    const callers: Socket[] = [];
    const squatter = createServer((it) => void callers.push(it)).listen(
      Number(new URL(plane.server).port),
      '127.0.0.1',
    );
    await once(squatter, 'listening');
    const back = plane.startApiServer();
    await sleep(3000);
    for (const it of callers) it.destroy();
    await once(squatter.close(), 'close');
    await back;
    assert.equal((await plane.request('GET', '/readyz')).body, 'ok');
  } finally {
    await plane.stop();
  }
});

test('a server that dies is named, with its last words', async () => {
  const plane = await startControlPlane({ version: '1.36.3', controllers: ['no-such'], kwok: false });
  try {
    await assert.rejects(
      plane.until('never', async () => false),
      /kube-controller-manager \(process \d+\) exited with 1\. Its last words:\n.*no-such.* is not in the list of known controllers/s,
    );
  } finally {
    await plane.stop();
  }
});

test('nothing outlives the process that started it, however that one ends', async () => {
  for (const end of ['SIGKILL', 'SIGINT', 'SIGTERM', 'exit'] as const) {
    const dir = mkdtempSync(join(tmpdir(), 'migrate-orphans-'));
    const parent = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { startFamily } from ${JSON.stringify(import.meta.resolve('../servers/processes.js'))};
         const server = startFamily(${JSON.stringify(dir)}).start('sleeper', 'sleep', ['600']);
         process.stdin.once('data', () => process.exit()); // holds the process, too
         console.log(server.pid);`,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const [chunk] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(chunk.toString());
    assert.ok(isAlive(pid));
    if (end === 'exit') parent.stdin.write('go');
    else parent.kill(end);
    await once(parent, 'exit');
    for (let waited = 0; isAlive(pid) || existsSync(dir); waited += 20) {
      assert.ok(waited < 5000, `after ${end}: process ${isAlive(pid)}, folder ${existsSync(dir)}`);
      await sleep(20);
    }
  }
});

/** Linux only. A zombie, dead but not yet collected by its new parent, is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Linux only, like all that is printed and not asked. */
function residentMiB(pid: number): string {
  try {
    const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? '?' : String(Math.round(Number(kib) / 1024));
  } catch {
    return '?';
  }
}
