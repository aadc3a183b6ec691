import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { plainTap, wallClock } from '../src/cli/world.js';
import type { ProbeAnswer } from '../src/inventory.js';
import { clusterOver } from '../src/kube/cluster.js';
import { connect } from '../src/kube/connection.js';
import type { Clock, Cluster, Side } from '../src/ports.js';
import { probeSides, ProbeStopped } from '../src/probe.js';
import { realClock } from '../src/twin/clock.js';
import { startApiServer, type TwinApiServer } from '../src/twin/kube/server.js';
import type { Json, TwinObject } from '../src/twin/types.js';

/**
 * The probe against two API servers, with something in the place of the kubelets that runs the callers' scripts for real: what an address
 * leads to is decided by this machine, where the cluster's own addresses lead nowhere.
 */

const run = promisify(execFile);
const node = (name: string, address: string): TwinObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'kubernetes.io/hostname': name } },
  status: { conditions: [{ type: 'Ready', status: 'True' }], addresses: [{ type: 'InternalIP', address }] },
});

interface Stage {
  world: { source: Cluster; target: Cluster; clock: Clock };
  servers: Record<Side, TwinApiServer>;
}

async function stage(t: TestContext): Promise<Stage> {
  const scratch = mkdtempSync(path.join(tmpdir(), 'migrate-probe-'));
  const clock = realClock();
  const open = async (side: Side) => {
    const server = await startApiServer({
      version: side === 'source' ? 'v1.20.15' : 'v1.36.3',
      clock,
      name: side,
      token: 'admin',
    });
    server.seed([node(`${side}-1`, '127.0.0.1'), node(`${side}-2`, '127.0.0.2')]);
    const kubeconfig = path.join(scratch, side);
    const context = { context: { cluster: side, user: side }, name: side };
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: side, cluster: { server: server.url, 'insecure-skip-tls-verify': true } }],
        users: [{ name: side, user: { token: 'admin' } }],
        contexts: [context],
      }),
      { mode: 0o600 },
    );
    return {
      server,
      cluster: clusterOver(
        await connect({
          side,
          context: side,
          kubeconfig,
          clock: wallClock,
          tap: plainTap,
          timeoutMs: 5000,
          patienceMs: 2000,
        }),
      ),
    };
  };
  const [source, target] = await Promise.all([open('source'), open('target')]);
  t.after(async () => {
    await Promise.all([source.server.stop(), target.server.stop()]);
    clock.stop();
    rmSync(scratch, { recursive: true });
  });
  return {
    world: { source: source.cluster, target: target.cluster, clock: wallClock },
    servers: { source: source.server, target: target.server },
  };
}

/** Runs pods of the probe as they come: the echo becomes ready, a caller's script is run with curl on this machine. */
async function playKubelet({ api }: TwinApiServer, echoPort: number): Promise<() => Promise<void>> {
  const scratch = mkdtempSync(path.join(tmpdir(), 'migrate-kubelet-'));
  const running = new Set<Promise<void>>();
  const report = (pod: TwinObject, status: Json) =>
    api.mergePatch('v1/pods', pod.metadata.namespace, pod.metadata.name, { status }, 'status');
  const start = async (pod: TwinObject) => {
    const [container] = pod['spec'].containers;
    if (pod.metadata.name === 'echo') {
      await report(pod, { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] });
      return;
    }
    const log = path.join(scratch, pod.metadata.name);
    // The echo listens where this machine has let it, and not where every pod of its own could.
    const script = String(container.command[2])
      .replace('/dev/termination-log', log)
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${echoPort}`)
      .replaceAll('-m 3', '-m 1');
    await run('sh', ['-c', script]);
    await report(pod, {
      phase: 'Succeeded',
      podIP: '127.0.0.1',
      containerStatuses: [
        { name: 'probe', state: { terminated: { exitCode: 0, message: readFileSync(log, 'utf8') } } },
      ],
    });
  };
  const stop = await api.watch('v1/pods', ({ type, object }) => {
    if (type !== 'ADDED') return;
    const work = start(object)
      .catch(() => undefined)
      .finally(() => running.delete(work));
    running.add(work);
  });
  return async () => {
    stop();
    await Promise.all(running);
    rmSync(scratch, { recursive: true });
  };
}

const left = async ({ servers }: Stage) =>
  (
    await Promise.all(
      [servers.source, servers.target].map(async ({ api }) =>
        (await api.list('v1/namespaces')).map((it) => it.metadata.name),
      ),
    )
  )
    .flat()
    .filter((it) => it.startsWith('migrate-probe'));
const options = { image: 'agnhost', patienceMs: 20_000, stopping: () => false };

test('both sides are asked in every way, in the words of what happened, and nothing is left', async (t) => {
  const at = await stage(t);
  const echo = createServer((request, reply) =>
    reply.end(`${request.socket.remoteAddress}:${request.socket.remotePort}`),
  ).listen(0, '127.0.0.1');
  t.after(() => echo.close());
  await new Promise((resolve) => echo.once('listening', resolve));
  const kubelets = await Promise.all(
    [at.servers.source, at.servers.target].map((it) => playKubelet(it, (echo.address() as AddressInfo).port)),
  );
  const answers = await probeSides(at.world, options);
  await Promise.all(kubelets.map((stop) => stop()));
  for (const side of ['source', 'target'] as const) {
    const mine = answers.filter((it) => it.side === side);
    const found = (about: string): ProbeAnswer | undefined => mine.find((it) => it.about === about);
    assert.equal(found('pod to pod address')?.saw, 'answered; it saw the address of the caller', JSON.stringify(mine));
    assert.equal(found('host to pod address')?.answer, 'yes');
    assert.equal(found('pod to cluster address')?.answer, 'no', 'nobody routes the cluster’s addresses here');
    assert.equal(found('host to 127.0.0.1 and the node port')?.saw, 'refused');
    assert.equal(found('proxy mode')?.answer, 'unknown');
    assert.deepEqual(
      mine.filter((it) => it.ask === 'probe-removed').map((it) => it.answer),
      ['yes'],
    );
    assert.equal(mine.filter((it) => it.ask === 'traffic').length, 13);
  }
  assert.deepEqual(await left(at), []);
});

test('pods that do not start are unknown after a while, with what the cluster says of them, and nothing is left', async (t) => {
  const at = await stage(t);
  const { api } = at.servers.target;
  const stop = await api.watch('v1/pods', ({ type, object }) => {
    const status = {
      containerStatuses: [
        {
          name: 'probe',
          state: { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "agnhost"' } },
        },
      ],
    };
    if (type === 'ADDED')
      void api
        .mergePatch('v1/pods', object.metadata.namespace, object.metadata.name, { status }, 'status')
        .catch(() => undefined);
  });
  const answers = await probeSides(at.world, { ...options, patienceMs: 800 });
  stop();
  assert.deepEqual(
    answers.filter((it) => it.ask === 'traffic').map(({ side, answer, saw }) => [side, answer, saw]),
    [
      ['source', 'unknown', 'pod echo of the probe: still Pending'],
      ['target', 'unknown', 'pod echo of the probe: Back-off pulling image "agnhost"'],
    ],
  );
  assert.deepEqual(await left(at), []);
});

test('an operator who stops it finds nothing left', async (t) => {
  const at = await stage(t);
  let stopping = false;
  setTimeout(() => (stopping = true), 300);
  await assert.rejects(probeSides(at.world, { ...options, stopping: () => stopping }), ProbeStopped);
  for (let tries = 0; tries < 40 && (await left(at)).length > 0; tries++) await wallClock.sleep(50);
  assert.deepEqual(await left(at), []);
});

test('without the rights nothing is made, and the first that is missing is named', async (t) => {
  const at = await stage(t);
  const reader: Cluster = {
    ...at.world.target,
    can: async (rights) => rights.map((it) => ({ ...it, allowed: it.verb === 'list' })),
  };
  const answers = await probeSides({ ...at.world, source: reader, target: reader }, options);
  assert.deepEqual(
    answers.map((it) => [it.answer, it.saw]),
    [
      ['unknown', 'it lacks the right to create namespaces'],
      ['unknown', 'it lacks the right to create namespaces'],
    ],
  );
  assert.deepEqual(await left(at), []);
});

test('what a killed probe left behind is removed by the next, and one that is under way is not', async (t) => {
  const at = await stage(t);
  const { servers } = at;
  const labels = { 'migrate/probe': 'true' };
  servers.source.seed([
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'migrate-probe-old', labels, creationTimestamp: '2020-01-01T00:00:00Z' },
    },
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'migrate-probe-now', labels, creationTimestamp: new Date().toISOString() },
    },
  ]);
  await probeSides(at.world, { ...options, patienceMs: 0 });
  assert.deepEqual(await left(at), ['migrate-probe-now']);
});
