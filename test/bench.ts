import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Call } from '../src/ports.js';
import { run } from '../src/run.js';
import { openStage } from '../src/cli/stage.js';
import { startTwin } from '../src/twin/twin.js';
import { engineOn, mustBeDone, planOn, quickShop, ROOT, shipped } from './shop.js';
import { memoryStore } from '../src/journal.js';
import { scale } from './bench-scale.js';
import { services } from './bench-services.js';

/**
 * Figures, never verdicts: times as ratios against something in the same run, for machines are noisy; calls as counts.
 * `npm run bench`
 */

const MIGRATE = path.join(ROOT, 'bin/migrate.js');
const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

function timeOf(args: string[], env: NodeJS.ProcessEnv = process.env): number {
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8', cwd: ROOT });
  const took = performance.now() - began;
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended ${status}: ${stderr}`);
  return took;
}

/** Pairs in turn, so that a machine that slows down slows both. */
function ratio(args: string[], runs: number): { ms: number; ratio: number } {
  timeOf(args);
  const pairs = Array.from({ length: runs }, () => [timeOf(['-e', '0']), timeOf(args)] as const);
  return { ms: median(pairs.map(([, it]) => it)), ratio: median(pairs.map(([bare, it]) => it / bare)) };
}

const line = (what: string, figure: string, aim = '') => console.log(`${what.padEnd(52)} ${figure.padEnd(28)} ${aim}`);

function starts(): void {
  const version = ratio([MIGRATE, '--version'], 21);
  line('migrate --version / node -e 0', `${version.ratio.toFixed(2)} x   (${version.ms.toFixed(0)} ms)`, 'aim 1.5 x');
  const help = ratio([MIGRATE, 'plan', '--help'], 21);
  line('migrate plan --help / node -e 0', `${help.ratio.toFixed(2)} x   (${help.ms.toFixed(0)} ms)`, 'aim 2.5 x');
}

/** The shop's plan over loopback, twin and command in processes of their own. */
async function planOfShop(): Promise<void> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-bench-'));
  const twin = spawn(process.execPath, [path.join(ROOT, 'build/test/bench.js'), 'twin', dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const env = await new Promise<Record<string, string>>((resolve, reject) => {
      twin.stdout.once('data', (data: Buffer) => resolve(JSON.parse(data.toString('utf8')) as Record<string, string>));
      twin.once('exit', () => reject(new Error('the twin ended')));
    });
    const args = [MIGRATE, 'plan', '-f', path.join(ROOT, 'playbooks/shop.yaml')];
    timeOf(args, { ...process.env, ...env });
    const times = Array.from({ length: 9 }, () => timeOf(args, { ...process.env, ...env }));
    const bare = median(Array.from({ length: 9 }, () => timeOf(['-e', '0'])));
    line(
      'migrate plan of the shop over loopback',
      `${(median(times) / 1000).toFixed(2)} s   (${(median(times) / bare).toFixed(1)} x node -e 0)`,
      'aim 0.6 s',
    );
  } finally {
    twin.kill();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function serveTwin(dir: string): Promise<void> {
  const { playbook, seed } = shipped('shop');
  const twin = await startTwin(
    {
      ...seed,
      source: { ...seed.source, context: playbook.source.context },
      target: { ...seed.target, context: playbook.target.context },
    },
    { clock: 'real', clientsPerSecond: 1 },
  );
  await twin.settle(15_000);
  const kubeconfig = path.join(dir, 'kubeconfig');
  await twin.writeKubeconfig(kubeconfig);
  console.log(
    JSON.stringify({
      KUBECONFIG: kubeconfig,
      MIGRATE_ALIBABA_ENDPOINT: twin.cloud.url,
      ALIBABA_CLOUD_ACCESS_KEY_ID: twin.cloud.accessKeyId,
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: twin.cloud.accessKeySecret,
    }),
  );
}

/** Calls that each traffic step makes, hold included, by where they go. */
async function callsPerStep(): Promise<void> {
  const { playbook, seed } = quickShop();
  const counts = new Map<string, Record<string, number>>();
  let now = '';
  const tap = <T>(call: Call, send: () => Promise<T>) => {
    if (now !== '') {
      const row = counts.get(now) ?? {};
      const key = `${call.to} ${call.writes ? 'writes' : 'reads'}`;
      row[key] = (row[key] ?? 0) + 1;
      counts.set(now, row);
    }
    return send();
  };
  const stage = await openStage(playbook, seed, { tap, clientsPerSecond: 5 });
  try {
    const plan = await planOn(stage, playbook);
    const engine = engineOn(stage, memoryStore(), (event) => {
      if (event.type === 'step' && event.step.startsWith('traffic/')) now = event.state === 'done' ? '' : event.step;
    });
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
  } finally {
    await stage.close();
  }
  for (const [step, row] of counts) {
    const told = Object.entries(row)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, n]) => `${key} ${n}`);
    line(`calls of ${step}`, told.join(', '));
  }
}

if (process.argv[2] === 'twin') await serveTwin(process.argv[3] ?? os.tmpdir());
else if (process.argv[2] === 'scale') await scale();
else if (process.argv[2] === 'services') await services();
else {
  starts();
  await planOfShop();
  await callsPerStep();
  await services();
  await scale();
}
