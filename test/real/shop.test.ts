import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import type { EndedEvent } from '../../src/events.js';
import type { Plan } from '../../src/plan.js';
import { parsePlaybook } from '../../src/playbook.js';
import type { Report } from '../../src/preflight.js';
import { look, type Looked } from '../../src/cli/looking.js';
import { differences } from '../../src/cli/rehearse.js';
import { openStage } from '../../src/cli/stage.js';
import type { Json } from '../../src/twin/types.js';
import { finished, linesOf, Place, ROOT } from '../cli.js';
import { type RealShop, startRealShop } from '../servers/shop.js';
import { quickShopText, shipped, undrawn } from '../shop.js';

/**
 * The whole job as an operator does it: the built command, spawned, on two real control planes of 1.20 and 1.36 behind one load balancer.
 * The tests tell one story in order: what one leaves, the next begins with.
 */

const WEIGHT = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-weight';
const FILE = ['-f', 'shop.yaml'];
/** The orders' disk is a copy from their start on the target on. */
const CROSSING = ['--approve', 'data/start/shop'];
const LOSING = ['--accept-loss', '--delete-copies'];

interface Told {
  code: number | null;
  tookMs: number;
  stdout: string;
  stderr: string;
  events: Record<string, unknown>[];
  ended: EndedEvent;
}

describe('the shop on Kubernetes 1.20 and 1.36', { timeout: 600_000 }, () => {
  let shop: RealShop;
  let place: Place;
  let playbook: string;
  let start: Json;
  /** after the first run */
  let end: Json;
  let lines = 0;
  const figures: string[] = [];
  const children = new Set<ChildProcess>();

  before(async () => {
    assert.ok(existsSync(`${ROOT}/dist/program.js`), 'not built: npm run build');
    const began = performance.now();
    place = new Place();
    shop = await startRealShop();
    figures.push(`both control planes and the shop up: ${seconds(performance.now() - began)}`);
    const front = await shop.clients.frontUrl('lb-shop', 80);
    playbook = withProbe(front);
    place.write('shop.yaml', playbook);
    start = await shop.snapshot();
  });

  after(async () => {
    for (const it of figures) console.log(`# ${it}`);
    for (const it of children) it.kill('SIGKILL');
    await shop?.stop();
    place?.remove();
  });

  const spawned = (args: readonly string[]): ChildProcess => {
    const child = place.start(args, shop.env);
    children.add(child);
    return child.on('close', () => children.delete(child));
  };

  /** One command with its events; what it took goes to the figures. */
  const migrate = async (args: readonly string[]): Promise<Told> => {
    const began = performance.now();
    const { code, stdout, stderr } = await finished(spawned([...args, '-o', 'json']));
    const tookMs = performance.now() - began;
    const events = linesOf(stdout);
    const ended = events.at(-1) as unknown as EndedEvent;
    const calls = ended?.calls ? `, ${ended.calls.reads} reads, ${ended.calls.writes} writes` : '';
    figures.push(`migrate ${args.join(' ')}: ${seconds(tookMs)}${calls}, exit ${code}`);
    return { code, tookMs, stdout, stderr, events, ended };
  };

  const mustEnd = async (args: readonly string[], code = 0): Promise<Told> => {
    const told = await migrate(args);
    assert.equal(
      told.code,
      code,
      `migrate ${args.join(' ')}\n${told.stdout.slice(-3000)}\n${told.stderr.slice(-3000)}`,
    );
    return told;
  };

  const weights = (): { source: number[]; target: number[] } => {
    const members = shop.cloud.cloud.listenerBackends('lb-shop', 80) ?? [];
    const of = (owner: string) =>
      members.filter((it) => it.description.endsWith(`/web/shop/${owner}`)).map((it) => it.weight);
    return { source: of('c-shop-120'), target: of('c-shop-136') };
  };
  const weightsAre = (source: number[], target: number[]) => assert.deepEqual(weights(), { source, target });
  const noneLost = () => assert.equal(shop.clients.counts().failed, 0, JSON.stringify(shop.clients.counts()));
  const get = (side: 'source' | 'target', resource: string, name: string) => shop[side].api.get(resource, 'shop', name);

  test('the playbook is valid', async () => {
    await mustEnd(['validate', 'shop.yaml']);
  });

  test('preflight finds on real servers what it finds on the twin', async () => {
    const { events } = await mustEnd(['preflight', 'shop.yaml']);
    const { report } = events.find((it) => it['type'] === 'preflight') as unknown as { report: Report };
    assert.ok(report.ready);
    assert.deepEqual(differences(findings((await onTheTwin(playbook)).report), findings(report)), []);
  });

  test('the plan is the one of the rehearsal', async () => {
    const { code, stderr } = await finished(spawned(['plan', 'shop.yaml', '-o', 'plan.json']));
    assert.equal(code, 0, stderr);
    const plan = JSON.parse(readFileSync(`${place.dir}/plan.json`, 'utf8')) as Plan;
    const { plan: rehearsed } = await onTheTwin(playbook);
    assert.ok(rehearsed);
    assert.deepEqual(differences(contentOf(rehearsed), contentOf(plan)), []);
    assert.deepEqual(differences(start, await shop.snapshot()), [], 'looking changes nothing');
  });

  test('a run stops before the point of no return, and a roll-back from there needs no word about loss', async () => {
    const { code, stdout } = await finished(spawned(['run', 'plan.json', '--yes', '-o', 'json']));
    assert.equal(code, 4, stdout.slice(-2000));
    assert.match(stdout, /"code":"NO_RETURN"/);
    await mustEnd(['rollback', ...FILE, '--yes', '--delete-copies']);
    await untilSame(start, async () => shop.snapshot());
    noneLost();
  });

  test('the plan runs to 100 % and no request is lost', async () => {
    const { events, ended } = await mustEnd(['run', 'plan.json', '--yes', ...CROSSING]);
    assert.deepEqual(ended.share, { asked: 100, reachable: 100, measured: 100 });
    weightsAre([0, 0, 0], [24, 24, 24, 24]);
    const { source: api20, target: api36 } = { source: shop.source.api, target: shop.target.api };
    for (const [name, replicas] of [
      ['web', 4],
      ['cart', 2],
      ['orders', 1],
    ] as const) {
      assert.equal((await get('target', 'apps/v1/deployments', name))?.['status'].readyReplicas, replicas, name);
    }
    assert.equal((await get('source', 'batch/v1beta1/cronjobs', 'report'))?.['spec'].suspend, true);
    assert.equal((await get('target', 'batch/v1/cronjobs', 'report'))?.['spec'].suspend, false);
    assert.equal((await get('target', 'v1/persistentvolumeclaims', 'orders'))?.['status'].phase, 'Bound');
    assert.equal((await get('target', 'v1/services', 'web'))?.['status'].loadBalancer.ingress[0].ip, '47.98.10.9');
    assert.ok(await get('target', 'networking.k8s.io/v1/ingresses', 'legacy'));
    const [was, is] = await Promise.all(
      [api20, api36].map((it) => it.get('v1/persistentvolumes', undefined, 'd-bp1shoporders')),
    );
    assert.notEqual(was?.['spec'].csi.volumeHandle, is?.['spec'].csi.volumeHandle);
    end = stateOf(await shop.snapshot());
    const shares = events.filter((it) => it['type'] === 'share') as unknown as { asked: number; measured: number }[];
    assert.deepEqual([...new Set(shares.map((it) => it.asked))], [1, 5, 20, 50, 100]);
    for (const { asked, measured } of shares) assert.ok(Math.abs(asked - measured) <= 1, `${measured} for ${asked}`);
    noneLost();
  });

  test('status says that all is done', async () => {
    const { events } = await mustEnd(['status', ...FILE]);
    const status = events.find((it) => it['type'] === 'status') as { state: string; shares: { target: number }[] };
    assert.equal(status.state, 'moved');
    assert.equal(status.shares[0]?.target, 100);
  });

  test('roll-back leads to the start, on both servers and in the cloud', async () => {
    lines = journalLines(place);
    const { code, stderr } = await finished(spawned(['rollback', ...FILE, '--yes']));
    assert.equal(code, 3, stderr);
    assert.match(stderr, /LOSS_NOT_ACCEPTED[\s\S]*--accept-loss/);
    await mustEnd(['rollback', ...FILE, '--yes', ...LOSING]);
    await untilSame(start, async () => shop.snapshot());
    noneLost();
  });

  test('killed outright again and again, a run comes to the same end', async () => {
    const random = drawing(SEED);
    // Points of the journal, in order, so that each kill comes further than the one before; and how long after that line.
    const points = Array.from({ length: KILLS }, () => ({
      line: 1 + Math.floor(random() * (lines - 2)),
      afterMs: random() * 300,
    })).toSorted((a, b) => a.line - b.line);
    const began = performance.now();
    for (const { line, afterMs } of points) {
      const child = spawned(['run', ...FILE, '--yes', ...CROSSING, '-o', 'json']);
      const ended = finished(child);
      const killed = await killAt(child, () => journalLines(place) >= line, afterMs);
      const { code, stdout, stderr } = await ended;
      assert.ok(
        killed,
        `ended by itself with ${code} before line ${line} of ${lines}: ${stdout.slice(-2000)}${stderr}`,
      );
    }
    figures.push(
      `${KILLS} kills at lines ${points.map((it) => it.line).join(', ')} of ${lines}, seed ${SEED}: ${seconds(performance.now() - began)}`,
    );
    await mustEnd(['run', ...FILE, '--yes', ...CROSSING]);
    await untilSame(end, async () => stateOf(await shop.snapshot()));
    noneLost();
  });

  test('shift moves the share down and up', async () => {
    await mustEnd(['shift', ...FILE, '--to', '20', '--yes']);
    weightsAre([32, 32, 32], [6, 6, 6, 6]);
    await mustEnd(['shift', ...FILE, '--to', '0', '--yes']);
    assert.deepEqual(weights().target, [0, 0, 0, 0]);
    await mustEnd(['shift', ...FILE, '--to', '100', '--yes']);
    assert.deepEqual(weights().source, [0, 0, 0]);
    assert.ok(weights().target.every((it) => it > 0));
    noneLost();
  });

  test('with the target’s API server dead, roll-back gives the traffic to the source at once and says what is owed', async () => {
    await shop.target.plane.stopApiServer();
    const moved = watchMove();
    const { events } = await mustEnd(['rollback', ...FILE, '--yes', ...LOSING]);
    const at = moved();
    figures.push(
      `with the target's API server dead: the source's weight was written after ${at.written} ms, it served after ${at.serves} ms, the target no longer after ${at.alone} ms`,
    );
    assert.ok(at.alone < 10_000, `the target still served after ${at.alone} ms`);
    assert.deepEqual(weights(), { source: [100, 100, 100], target: [0, 0, 0, 0] });
    noneLost();
    const owed = events.filter((it) => it['type'] === 'warning').map((it) => String(it['what']));
    figures.push(...owed.map((it) => `  owed: ${it}`));
    assert.ok(
      owed.some((it) => it.includes('set at the load balancer')),
      owed.join('\n'),
    );
    const status = (await migrate(['status', ...FILE])).events.find((it) => it['type'] === 'status') as {
      state: string;
      debts: string[];
    };
    assert.equal(status.state, 'undoing');
    assert.deepEqual(status.debts, owed);
    assert.equal((await get('source', 'apps/v1/deployments', 'orders'))?.['status'].readyReplicas, 1);
    assert.equal((await get('source', 'batch/v1beta1/cronjobs', 'report'))?.['spec'].suspend, false);
  });

  test('once it answers again, a second roll-back pays what is owed, and all is as at the start', async () => {
    await shop.target.plane.startApiServer();
    await mustEnd(['rollback', ...FILE, '--yes', ...LOSING]);
    await untilSame(start, async () => shop.snapshot());
    noneLost();
    const { sent, source, target } = shop.clients.counts();
    figures.push(`${sent} requests, none lost: ${source} to the source, ${target} to the target`);
  });

  /** Notes when the source's Service was written, when the source served, and when the target no longer did. */
  const watchMove = (): (() => { written: number; serves: number; alone: number }) => {
    const began = performance.now();
    const since = () => Math.round(performance.now() - began);
    const at = { written: Number.POSITIVE_INFINITY, serves: Number.POSITIVE_INFINITY, alone: Number.POSITIVE_INFINITY };
    const earlier = (key: keyof typeof at) => void (at[key] = Math.min(at[key], since()));
    const timer = setInterval(() => {
      const { source, target } = weights();
      if (source.some((it) => it > 0)) earlier('serves');
      if (target.every((it) => it === 0)) earlier('alone');
    }, 5);
    const stopWatch = shop.source.api.watch('v1/services', ({ object }) => {
      if (object.metadata.name === 'web' && object.metadata.annotations?.[WEIGHT] !== '0') earlier('written');
    });
    return () => {
      clearInterval(timer);
      void stopWatch.then((stop) => stop());
      return at;
    };
  };
});

const KILLS = 6;
const SEED = 20_261_121;

const journalLines = ({ dir }: Place): number => {
  const file = `${dir}/.migrate/shop/journal.jsonl`;
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
};

/** A small generator of our own, so that the points are drawn by the seed alone. */
function drawing(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** @returns false when it ended before */
async function killAt(child: ChildProcess, isThere: () => boolean, afterMs: number): Promise<boolean> {
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  while (!isThere() && !isOver()) await sleep(3);
  await sleep(afterMs);
  return !isOver() && child.kill('SIGKILL');
}

/** Some things come a moment after a command has ended: a Deployment's status, a backup's copy. */
async function untilSame(wanted: Json, ask: () => Promise<Json>): Promise<void> {
  let left: string[] = [];
  for (let tries = 0; tries < 20; tries++) {
    left = differences(wanted, await ask());
    if (left.length === 0) return;
    await sleep(250);
  }
  assert.deepEqual(left, []);
}

/** A world after a run, as it is after each: the account that each namespace has is made by whoever comes first, its controller or the restore. */
function stateOf(world: Json): Json {
  const { target, ...others } = undrawn(world) as Json;
  const { 'networking.k8s.io/ipaddresses': _drawn, '/serviceaccounts': accounts, ...rest } = target;
  return { ...others, target: { ...rest, accounts: Object.keys(accounts) } };
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Short holds, and the probe at the crowd's own front. */
const withProbe = (front: string): string =>
  `${quickShopText().replace('hold: 3s', 'hold: 2s').trimEnd()}\n  gates:\n    - { probe: '${front}/healthz', every: 50ms, failures: 20%, bad: 60% }\n`;

/** What was found about what, without what only words it. */
const findings = ({ results }: Report) =>
  Object.fromEntries(
    results.map(({ check, outcome, findings: found, why = '' }) => [
      check,
      { outcome, why, found: found.map(({ about, waivedBy }) => ({ about, waived: waivedBy !== undefined })) },
    ]),
  );

/** What a plan says beside the identities of the clusters; each server has an order of its own for the keys of what it gives out. */
const contentOf = ({ steps, shares, notes }: Plan): Json => ({
  shares,
  notes,
  steps: steps.map((step) => {
    const args = step.args as { rules?: unknown };
    return typeof args.rules !== 'string'
      ? step
      : {
          ...step,
          args: {
            ...args,
            rules: parse(args.rules, (key, value: Json) => (key === 'patchData' ? JSON.parse(value) : value)),
          },
        };
  }),
});

async function onTheTwin(text: string): Promise<Looked> {
  const playbook = parsePlaybook(text, 'shop.yaml');
  const stage = await openStage(playbook, shipped('shop').seed);
  try {
    return await look(playbook, stage.world);
  } finally {
    await stage.close();
  }
}
