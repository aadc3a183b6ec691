import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { differences } from '../../src/cli/rehearse.js';
import { startTwin, type Twin } from '../../src/twin/twin.js';
import { calmWays } from '../faults.js';
import { quickShop, quickShopText, ROOT, undrawn } from '../shop.js';

const KILLS = 20;
const SEED = 20_261_121;

/** A small generator of our own, so that the points are drawn by the seed alone. */
function drawing(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  tookMs: number;
}

/** The built command as a user would start it; with `killMs` it is killed outright after that long. */
function migrate(args: string[], env: NodeJS.ProcessEnv, killMs?: number): Promise<Ended> {
  const began = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(ROOT, 'bin/migrate.js'), ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const out = { stdout: '', stderr: '' };
    child.stdout.on('data', (data: Buffer) => (out.stdout += data.toString('utf8')));
    child.stderr.on('data', (data: Buffer) => (out.stderr += data.toString('utf8')));
    const timer = killMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killMs);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ...out, code, signal, tookMs: performance.now() - began });
    });
  });
}

test('killed outright at points drawn by a seed, the command goes on and goes back', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-kill-'));
  const ways = await calmWays();
  const { playbook, seed } = quickShop();
  const named = {
    ...seed,
    source: { ...seed.source, context: playbook.source.context },
    target: { ...seed.target, context: playbook.target.context },
  };
  const twin: Twin = await startTwin(named, { clock: 'real', speed: 30, clientsPerSecond: 5 });
  try {
    await twin.settle();
    const start: unknown = twin.snapshot();
    // In real time the crowd is there before the first pods are.
    twin.clients.mark('start');
    assert.deepEqual(differences(ways.start, start), []);
    const kubeconfig = path.join(dir, 'kubeconfig');
    await twin.writeKubeconfig(kubeconfig);
    const file = path.join(dir, 'shop.yaml');
    writeFileSync(file, quickShopText());
    const env = {
      KUBECONFIG: kubeconfig,
      MIGRATE_ALIBABA_ENDPOINT: twin.cloud.url,
      MIGRATE_STORE_ENDPOINT: twin.storeUrl,
      ALIBABA_CLOUD_ACCESS_KEY_ID: twin.cloud.accessKeyId,
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: twin.cloud.accessKeySecret,
      MIGRATE_STATE: path.join(dir, 'state'),
    };
    const random = drawing(SEED);
    let kills = 0;

    // Forward through kills until it comes to its end, and back through kills until it is at the start, as often as it takes.
    for (let round = 0; kills < KILLS; round++) {
      assert.ok(round < 10, `only ${kills} kills landed in ${round} rounds`);
      for (const [command, flags, wanted] of [
        ['run', ['--approve', 'data/start/shop'], ways.end],
        ['rollback', ['--accept-loss', '--delete-copies'], ways.start],
      ] as const) {
        let ended: Ended;
        do {
          ended = await migrate(
            [command, '-f', file, '--yes', ...flags],
            env,
            kills < KILLS ? 600 + random() * 5000 : undefined,
          );
          if (ended.signal === 'SIGKILL') kills++;
        } while (ended.signal === 'SIGKILL');
        assert.equal(ended.code, 0, `${command} ended ${ended.code}: ${ended.stderr.slice(-2000)}`);
        await twin.settle();
        assert.deepEqual(
          differences(undrawn(wanted), undrawn(twin.snapshot())),
          [],
          `after ${command} through ${kills} kills`,
        );
      }
    }
    t.diagnostic(`${kills} kills, seed ${SEED}`);
    assert.equal(twin.clients.share({ since: 'start' }).failed, 0);
  } finally {
    await twin.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});
