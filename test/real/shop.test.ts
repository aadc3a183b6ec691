import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { EndedEvent } from '../../src/events.js';
import type { Plan } from '../../src/plan.js';
import type { Report } from '../../src/preflight.js';
import { look } from '../../src/cli/looking.js';
import { differences } from '../../src/cli/rehearse.js';
import { openStage } from '../../src/cli/stage.js';
import type { Json } from '../../src/twin/types.js';
import { linesOf, Place, ROOT } from '../cli.js';
import { type RealShop, startRealShop } from '../servers/shop.js';
import { quickShop, quickShopText } from '../shop.js';

/**
 * The whole job as an operator does it: the built command, spawned, on two real control planes of 1.20 and 1.36 behind one load balancer.
 * The tests tell one story in order: what one leaves, the next begins with.
 */

const FILE = ['-f', 'shop.yaml'];

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
  let start: Json;
  let plan: Plan;
  const figures: string[] = [];

  before(async () => {
    assert.ok(existsSync(`${ROOT}/dist/program.js`), 'not built: npm run build');
    const began = performance.now();
    place = new Place();
    shop = await startRealShop();
    figures.push(`both control planes and the shop up: ${seconds(performance.now() - began)}`);
    const front = await shop.clients.frontUrl('lb-shop', 80);
    place.write('shop.yaml', withProbe(front));
    start = await shop.snapshot();
  });

  after(async () => {
    for (const it of figures) console.log(`# ${it}`);
    await shop?.stop();
    place?.remove();
  });

  /** One command with its events; what it took goes to the figures. */
  const migrate = async (args: readonly string[]): Promise<Told> => {
    const began = performance.now();
    const { code, stdout, stderr } = await place.run([...args, '-o', 'json'], shop.env);
    const tookMs = performance.now() - began;
    const events = linesOf(stdout);
    const ended = events.at(-1) as unknown as EndedEvent;
    const calls = ended?.calls ? `, ${ended.calls.reads} reads, ${ended.calls.writes} writes` : '';
    figures.push(`migrate ${args.join(' ')}: ${seconds(tookMs)}${calls}, exit ${code}`);
    return { code, tookMs, stdout, stderr, events, ended };
  };

  const mustEnd = async (args: readonly string[], code = 0): Promise<Told> => {
    const told = await migrate(args);
    assert.equal(told.code, code, `migrate ${args.join(' ')}\n${told.stdout.slice(-3000)}\n${told.stderr.slice(-3000)}`);
    return told;
  };

  const weights = (): { source: number[]; target: number[] } => {
    const members = shop.cloud.cloud.listenerBackends('lb-shop', 80) ?? [];
    const of = (owner: string) => members.filter((it) => it.description.endsWith(`/web/shop/${owner}`)).map((it) => it.weight);
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
    assert.deepEqual(differences(findings(await onTheTwin()), findings(report)), []);
  });

  test('the plan is the one of the rehearsal', async () => {
    const { code } = await place.run(['plan', 'shop.yaml', '-o', 'plan.json'], shop.env);
    assert.equal(code, 0);
    plan = JSON.parse(readFileSync(`${place.dir}/plan.json`, 'utf8')) as Plan;
    assert.deepEqual(differences(start, await shop.snapshot()), [], 'looking changes nothing');
  });

  test('the plan runs to 100 % and no request is lost', async () => {
    const { events, ended } = await mustEnd(['run', 'plan.json', '--yes']);
    assert.deepEqual(ended.share, { asked: 100, reachable: 100, measured: 100 });
    weightsAre([0, 0, 0], [24, 24, 24, 24]);
    const { source: api20, target: api36 } = { source: shop.source.api, target: shop.target.api };
    for (const [name, replicas] of [['web', 4], ['cart', 2], ['orders', 1]] as const) {
      assert.equal((await get('target', 'apps/v1/deployments', name))?.['status'].readyReplicas, replicas, name);
    }
    assert.equal((await get('source', 'batch/v1beta1/cronjobs', 'report'))?.['spec'].suspend, true);
    assert.equal((await get('target', 'batch/v1/cronjobs', 'report'))?.['spec'].suspend, false);
    assert.equal((await get('target', 'v1/persistentvolumeclaims', 'orders'))?.['status'].phase, 'Bound');
    assert.equal((await get('target', 'v1/services', 'web'))?.['status'].loadBalancer.ingress[0].ip, '47.98.10.9');
    assert.ok(await get('target', 'networking.k8s.io/v1/ingresses', 'legacy'));
    const [was, is] = await Promise.all([api20, api36].map((it) => it.get('v1/persistentvolumes', undefined, 'd-bp1shoporders')));
    assert.notEqual(was?.['spec'].csi.volumeHandle, is?.['spec'].csi.volumeHandle);
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
    await mustEnd(['rollback', ...FILE, '--yes']);
    assert.deepEqual(differences(start, await shop.snapshot()), []);
    noneLost();
  });
});

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Short holds, and the probe at the crowd's own front. */
const withProbe = (front: string): string => `${quickShopText().replace('hold: 3s', 'hold: 2s').trimEnd()}\n  gates:\n    - { probe: '${front}/healthz', failures: 0.1% }\n`;

/** Nodes of the twin report no times, and its server gives none of the warnings of a newer one. */
const NOT_YET_ON_THE_TWIN = ['clocks', 'dry-run'];

/** What was found about what, without what only words it. */
const findings = ({ results }: Report) =>
  Object.fromEntries(
    results.filter(({ check }) => !NOT_YET_ON_THE_TWIN.includes(check)).map(({ check, outcome, findings: found, why = '' }) => [check, { outcome, why, found: found.map(({ about, waivedBy }) => ({ about, waived: waivedBy !== undefined })) }]),
  );

async function onTheTwin(): Promise<Report> {
  const { playbook, seed } = quickShop();
  const stage = await openStage(playbook, seed);
  try {
    return (await look(playbook, stage.world)).report;
  } finally {
    await stage.close();
  }
}
