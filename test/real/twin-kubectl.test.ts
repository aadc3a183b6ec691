import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { realClock } from '../../src/twin/clock.js';
import type { TwinApiServer } from '../../src/twin/kube/server.js';
import { startApiServer } from '../../src/twin/kube/server.js';
import { kubectlPath, type KubernetesVersion } from '../servers/binaries.js';

const run = promisify(execFile);

const manifest = (image: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: web, image: "${image}", ports: [{ containerPort: 80 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: LoadBalancer, selector: { app: web }, ports: [{ port: 80 }] }
`;

/** kubectl talks to a server of its own release, and to the other one as well as it can. */
const pairs: { version: KubernetesVersion; server: string }[] = [
  { version: '1.20.15', server: 'v1.20.15' },
  { version: '1.36.3', server: 'v1.36.3' },
  { version: '1.36.3', server: 'v1.20.15' },
];

for (const { version, server: release } of pairs) {
  describe(`kubectl ${version} on the twin at ${release}`, () => {
    const clock = realClock();
    const dir = mkdtempSync(join(tmpdir(), 'twin-kubectl-'));
    const file = join(dir, 'manifest.yaml');
    let server: TwinApiServer;
    let flags: string[] = [];

    before(async () => {
      server = await startApiServer({ version: release, clock, name: 'source', token: 'admin-token', tls: true });
      writeFileSync(join(dir, 'ca.pem'), server.ca ?? '');
      flags = [
        '--server',
        server.url,
        '--token',
        server.token,
        '--certificate-authority',
        join(dir, 'ca.pem'),
        '--cache-dir',
        join(dir, 'cache'),
      ];
    });

    after(async () => {
      await server.stop();
      clock.stop();
      rmSync(dir, { recursive: true });
    });

    const env = { HOME: dir, PATH: process.env['PATH'], KUBECONFIG: join(dir, 'none') };
    const kubectl = async (...args: string[]): Promise<string> =>
      (await run(kubectlPath(version), [...flags, ...args], { env, timeout: 30_000 })).stdout;

    it('applies, and sees what is unchanged', async () => {
      writeFileSync(file, manifest('nginx:1'));
      assert.equal(await kubectl('apply', '-f', file), 'deployment.apps/web created\nservice/web created\n');
      assert.equal(await kubectl('apply', '-f', file), 'deployment.apps/web unchanged\nservice/web unchanged\n');
      writeFileSync(file, manifest('nginx:2'));
      assert.equal(await kubectl('apply', '-f', file), 'deployment.apps/web configured\nservice/web unchanged\n');
      assert.equal(
        await kubectl('get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'),
        'nginx:2',
      );
      assert.match(
        await kubectl('apply', '--server-side', '--force-conflicts', '-f', file),
        /deployment\.apps\/web serverside-applied/,
      );
      assert.match(
        await kubectl('apply', '--dry-run=server', '-f', file),
        /deployment\.apps\/web .*\(server dry run\)/,
      );
    });

    it('gets and describes', async () => {
      const table = await kubectl('get', 'deploy,svc', '-o', 'wide');
      assert.match(table, /deployment\.apps\/web +0\/2 +0 +0 +\d+s +web +nginx:2 +app=web/);
      assert.match(table, /service\/web +LoadBalancer +[\d.]+ +<pending> +80:3\d{4}\/TCP/);
      assert.match(await kubectl('describe', 'deploy', 'web'), /Replicas: +2 desired/);
      assert.match(await kubectl('describe', 'svc', 'web'), /Type: +LoadBalancer/);
      assert.match(await kubectl('get', 'ns'), /kube-system +Active/);
      assert.match(await kubectl('get', 'all', '-A'), /service\/kubernetes/);
    });

    it('scales, annotates, labels and patches', async () => {
      await kubectl('scale', 'deploy', 'web', '--replicas=5');
      await kubectl('annotate', 'svc', 'web', 'a/b=c');
      await kubectl('label', 'svc', 'web', 'x=y');
      await kubectl(
        'patch',
        'deploy',
        'web',
        '-p',
        '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s:1"}]}}}}',
      );
      const deployment = await server.api.get('apps/v1/deployments', 'default', 'web');
      const service = await server.api.get('v1/services', 'default', 'web');
      assert.equal(deployment?.['spec'].replicas, 5);
      assert.equal(deployment?.['spec'].template.spec.containers.length, 2);
      assert.equal(service?.metadata.annotations['a/b'], 'c');
      assert.equal(service?.metadata.labels['x'], 'y');
    });

    it('creates by itself, and asks what it may', async () => {
      await kubectl('create', 'namespace', 'other');
      await kubectl('-n', 'other', 'create', 'configmap', 'made', '--from-literal=a=b');
      await kubectl('-n', 'other', 'create', 'deployment', 'made', '--image=nginx');
      assert.deepEqual((await server.api.get('v1/configmaps', 'other', 'made'))?.['data'], { a: 'b' });
      assert.equal(
        (await server.api.get('apps/v1/deployments', 'other', 'made'))?.['spec'].template.spec.containers[0].image,
        'nginx',
      );
      assert.equal(await kubectl('auth', 'can-i', 'delete', 'pods'), 'yes\n');
    });

    it('watches and waits', async () => {
      const watching = spawn(kubectlPath(version), [...flags, 'get', 'configmaps', '--watch-only', '-o', 'name'], {
        env,
      });
      const seen = new Promise<string>((resolve) =>
        watching.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
      );
      let count = 0;
      const writing = setInterval(
        () =>
          void server.api.create('v1/configmaps', {
            apiVersion: 'v1',
            kind: 'ConfigMap',
            metadata: { name: `seen-${count++}`, namespace: 'default' },
          }),
        100,
      );
      assert.match(await seen, /configmap\/seen-\d/);
      clearInterval(writing);
      watching.kill();

      const waiting = kubectl('wait', '--for=condition=Available', 'deploy/web', '--timeout=20s');
      const conditions = [{ type: 'Available', status: 'True' }];
      await server.api.mergePatch('apps/v1/deployments', 'default', 'web', { status: { conditions } }, 'status');
      assert.equal(await waiting, 'deployment.apps/web condition met\n');
    });

    it('deletes, and waits until it is gone', async () => {
      assert.match(await kubectl('delete', '-f', file), /deployment\.apps "web" deleted/);
      assert.match(await kubectl('delete', 'namespace', 'other'), /namespace "other" deleted/);
      assert.equal(await server.api.get('v1/namespaces', undefined, 'other'), undefined);
      assert.equal(await server.api.get('v1/configmaps', 'other', 'made'), undefined);
    });
  });
}
