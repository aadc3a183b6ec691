import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { realClock } from '../src/twin/clock.js';
import { startCloud, type StartedCloud } from '../src/twin/cloud/cloud.js';
import { countsFor, load, namespaceOf, NAMESPACES, type Loaded } from './scale/world.js';
import { binaryPath, kubectlPath } from './servers/binaries.js';
import { startControlPlane, writeKubeconfig, type ControlPlane } from './servers/control-plane.js';
import { ROOT } from './shop.js';

/**
 * What `migrate preflight` costs in a great cluster: a real API server of 1.20 with ten and with fifty thousand objects, beside
 * `kubectl get -o json` of the same kinds from the same server in the same run. Figures, never verdicts.
 * `npm run bench -- scale`; it takes a few minutes and needs the servers of test/servers/build.sh.
 */

const STEPS = [10_000, 50_000];
const RELEASES = 500;
const KINDS = ['deployments.apps', 'services', 'configmaps', 'secrets'];
const [MIGRATE, KEY] = [path.join(ROOT, 'bin/migrate.js'), { accessKeyId: 'bench', accessKeySecret: 'bench' }];
const READER = { token: 'reader-token', user: 'reader' };

interface Cost {
  seconds: number;
  /** of the process, user and system */
  cpuSeconds: number;
  peakMb: number;
  bytes: number;
  stdout: string;
}

export async function scale(): Promise<void> {
  const missing = whatIsMissing();
  if (missing !== undefined) {
    console.log(`scale: not measured. ${missing}`);
    return;
  }
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-scale-'));
  const planes: ControlPlane[] = [];
  let cloud: StartedCloud | undefined;
  try {
    // Without controllers, so that nothing but the objects is there, and nothing else asks the server.
    for (const version of ['1.20.15', '1.36.3'] as const)
      planes.push(await startControlPlane({ version, controllers: [], kwok: false, tokens: [READER] }));
    const [source, target] = planes as [ControlPlane, ControlPlane];
    for (const plane of planes) await furnish(plane);
    cloud = await startCloud({
      clock: realClock(),
      region: 'cn-hangzhou',
      accessKeys: [{ id: KEY.accessKeyId, secret: KEY.accessKeySecret }],
    });
    cloud.seed({
      region: 'cn-hangzhou',
      loadBalancers: [
        {
          id: 'lb-1',
          address: '47.98.10.9',
          listeners: [{ port: 80, protocol: 'tcp', status: 'running', scheduler: 'wrr', group: 'rsp-1' }],
          groups: [{ id: 'rsp-1', name: 'web' }],
        },
      ],
    });
    const kubeconfig = path.join(dir, 'kubeconfig');
    writeKubeconfig(kubeconfig, [
      { name: 'big', plane: source, token: READER.token },
      { name: 'new', plane: target, token: READER.token },
    ]);
    const playbook = path.join(dir, 'big.yaml');
    writeFileSync(playbook, playbookText());
    const env = {
      KUBECONFIG: kubeconfig,
      MIGRATE_ALIBABA_ENDPOINT: cloud.url,
      ALIBABA_CLOUD_ACCESS_KEY_ID: KEY.accessKeyId,
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: KEY.accessKeySecret,
    };

    let there: Loaded = countsFor(0, 0);
    const peaks: number[] = [];
    for (const objects of STEPS) {
      const wanted = countsFor(objects, RELEASES);
      const began = performance.now();
      await load(source, there, wanted);
      there = wanted;
      console.log(
        `\n${objects} objects (${Object.entries(wanted)
          .map(([kind, n]) => `${n} ${kind}`)
          .join(', ')}), made in ${((performance.now() - began) / 1000).toFixed(0)} s`,
      );
      peaks.push(await compare(env, playbook));
    }
    const [before = 0, after = 0] = peaks;
    line(
      `peak memory, ${STEPS.join(' → ')} objects`,
      `${before.toFixed(0)} → ${after.toFixed(0)} MB   ${percent(after / before - 1)}`,
      'aim below + 10 %',
    );
  } finally {
    await cloud?.stop();
    await Promise.all(planes.map((it) => it.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
}

const line = (what: string, figure: string, aim = '') =>
  console.log(`${what.padEnd(52)} ${figure.padEnd(40)} ${aim}`.trimEnd());
const percent = (share: number) => `${share < 0 ? '-' : '+'} ${Math.abs(share * 100).toFixed(1)} %`;

/** kubectl, then migrate, twice in turn; the better of each, for whatever else the machine did only adds. @returns megabytes at the peak */
async function compare(env: Record<string, string>, playbook: string): Promise<number> {
  const rounds: { kubectl: Cost; migrate: Cost }[] = [];
  for (let round = 0; round < 2; round++)
    rounds.push({
      kubectl: await kubectl(env),
      migrate: await cost(process.execPath, [MIGRATE, 'preflight', '-f', playbook, '-o', 'json'], env),
    });
  const best = (which: 'kubectl' | 'migrate') =>
    rounds.map((it) => it[which]).reduce((a, b) => (b.seconds < a.seconds ? b : a));
  const [theirs, ours] = [best('kubectl'), best('migrate')];
  const peak = Math.max(...rounds.map((it) => it.migrate.peakMb));
  const told = readEnd(ours.stdout);
  line(
    `kubectl get -o json of ${KINDS.length} kinds`,
    `${theirs.seconds.toFixed(1)} s (cpu ${theirs.cpuSeconds.toFixed(1)} s), ${theirs.peakMb.toFixed(0)} MB`,
    `${(theirs.bytes / 1e6).toFixed(0)} MB of JSON`,
  );
  line(
    'migrate preflight, all checks',
    `${ours.seconds.toFixed(1)} s (cpu ${ours.cpuSeconds.toFixed(1)} s), ${peak.toFixed(0)} MB`,
    told,
  );
  line('time, migrate / kubectl', `${(ours.seconds / theirs.seconds).toFixed(2)} x`, 'aim 1.3 x');
  line(
    'peak memory of migrate',
    `${peak.toFixed(0)} MB   (${(peak / theirs.peakMb).toFixed(2)} x kubectl)`,
    'aim 250 MB',
  );
  return peak;
}

async function kubectl(env: Record<string, string>): Promise<Cost> {
  const sum: Cost = { seconds: 0, cpuSeconds: 0, peakMb: 0, bytes: 0, stdout: '' };
  for (const kind of KINDS) {
    const it = await cost(
      kubectlPath('1.20.15'),
      ['--context', 'big', 'get', kind, '--all-namespaces', '-o', 'json'],
      env,
      false,
    );
    sum.seconds += it.seconds;
    sum.cpuSeconds += it.cpuSeconds;
    sum.bytes += it.bytes;
    sum.peakMb = Math.max(sum.peakMb, it.peakMb);
  }
  return sum;
}

/** How many requests it made, and how it ended, from the last line. */
function readEnd(stdout: string): string {
  const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '{}') as {
    calls?: { reads: number; writes: number };
    outcome?: string;
  };
  return `${last.calls?.reads} requests, ${last.calls?.writes} writes, ended ${last.outcome}`;
}

/** Runs a program to its end; what it used is read from /proc as long as it is there, and so is a little low where that is all there is. */
function cost(file: string, args: string[], env: Record<string, string>, keep = true): Promise<Cost> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(file, args, {
      env: { PATH: process.env['PATH'], HOME: os.tmpdir(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const used = { peakMb: 0, cpuSeconds: 0 };
    const look = () => Object.assign(used, usedBy(child.pid) ?? {});
    const timer = setInterval(look, 20);
    let [bytes, stdout, stderr] = [0, '', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (keep) stdout += chunk.toString('utf8');
    });
    child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString('utf8')).slice(-2000)));
    child.once('error', reject);
    child.once('close', (code) => {
      clearInterval(timer);
      // 1 is a refusal: nothing here is fit to move, and that is as much work.
      if (code !== 0 && code !== 1)
        reject(new Error(`${path.basename(file)} ${args.join(' ')} ended ${code}: ${stderr}`));
      else resolve({ seconds: (performance.now() - began) / 1000, ...used, bytes, stdout });
    });
  });
}

/** @source proc(5): VmHWM is the high-water mark; stat has utime and stime in ticks of 1/100 s */
function usedBy(pid: number | undefined): { peakMb: number; cpuSeconds: number } | undefined {
  try {
    const peakKb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .slice(11, 13)
      .map(Number) as [number, number];
    return Number.isNaN(peakKb) ? undefined : { peakMb: peakKb / 1024, cpuSeconds: (user + system) / 100 };
  } catch {
    return undefined; // it has just ended
  }
}

function whatIsMissing(): string | undefined {
  if (process.platform !== 'linux') return 'Memory is read from /proc, which only Linux has.';
  try {
    for (const it of ['etcd']) binaryPath(it);
    for (const version of ['1.20.15', '1.36.3'] as const) binaryPath('kube-apiserver', version);
    kubectlPath('1.20.15');
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Nodes, namespaces, the Service that moves, and an identity that may only read. */
async function furnish(plane: ControlPlane): Promise<void> {
  const post = async (where: string, body: object) => {
    const { status, body: reply } = await plane.request('POST', where, body);
    if (status !== 201) throw new Error(`${where}: ${status} ${JSON.stringify(reply)}`);
  };
  for (const name of [...NAMESPACES, 'velero']) await post('/api/v1/namespaces', { metadata: { name } });
  for (const index of [0, 1, 2, 3]) {
    await post('/api/v1/nodes', {
      metadata: {
        name: `cn-hangzhou.192.168.0.${index}`,
        labels: {
          'topology.kubernetes.io/region': 'cn-hangzhou',
          'topology.kubernetes.io/zone': 'cn-hangzhou-h',
          'kubernetes.io/os': 'linux',
        },
      },
      spec: { providerID: `cn-hangzhou.i-${plane.version === '1.20.15' ? 'old' : 'new'}${index}` },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        allocatable: { cpu: '64', memory: '256Gi', pods: '1000' },
      },
    });
  }
  await post('/api/v1/namespaces/kube-system/configmaps', {
    metadata: { name: 'kube-proxy' },
    data: { 'config.conf': 'kind: KubeProxyConfiguration\nmode: iptables\n' },
  });
  await post(`/api/v1/namespaces/${namespaceOf(0)}/services`, {
    metadata: { name: 'front' },
    spec: { type: 'LoadBalancer', selector: { tier: 'front' }, ports: [{ port: 80 }] },
  });
  const [apiGroup, reader] = ['rbac.authorization.k8s.io', 'reader'];
  await post(`/apis/${apiGroup}/v1/clusterroles`, {
    metadata: { name: reader },
    rules: [
      { apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list', 'watch'] },
      { nonResourceURLs: ['*'], verbs: ['get'] },
    ],
  });
  await post(`/apis/${apiGroup}/v1/clusterrolebindings`, {
    metadata: { name: reader },
    roleRef: { apiGroup, kind: 'ClusterRole', name: reader },
    subjects: [{ apiGroup, kind: 'User', name: READER.user }],
  });
}

const playbookText = () => `apiVersion: migrate/v1alpha1
kind: Playbook
name: big
source: { context: big, clusterId: c-old }
target: { context: new, clusterId: c-new }
cloud: { provider: alibaba, region: cn-hangzhou }
data:
  namespaces: [${NAMESPACES.join(', ')}]
  velero: { namespace: velero, storageLocation: default }
  disks: none
traffic:
  services:
    - { service: ${namespaceOf(0)}/front, router: clb, loadBalancer: lb-1, group: rsp-1, port: 80 }
`;
