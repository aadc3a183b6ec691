import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { EndedEvent, ShareEvent } from '../../src/events.js';
import { setTimeout as sleep } from 'node:timers/promises';
import { BALANCER } from '../pair.js';
import { finished, linesOf, Place, ROOT } from '../cli.js';
import { startBalancer, type Balancer } from '../servers/balancer.js';
import { isRolledOut, type RealPair, restart, startRealPair } from '../servers/pair.js';
import { type Counts, type Load, servePods, type Pods, steadyLoad } from '../servers/pods.js';

/**
 * What clients with real sockets see of a move: the built command on two real control planes, and HAProxy in the place of the load
 * balancer, its weights those of the emulated server group, before an HTTP server for each ready pod of both sides. The tests tell one
 * story in order.
 */

const CONNECTIONS = 200;
/** 200 connections that each live for about that long: some 400 new ones a second, which two cores bear beside all the rest. */
const ANSWERS_MS = { least: 400, spread: 200 };
/** In a window: enough that 1 % is some 25 requests, and no longer than a slow machine may take. */
const SAMPLE = { requests: 2500, limitMs: 12_000 };
const PODS = 4;
/** No pod goes before another has been ready for two seconds, in which the controller and the load balancer learn of it. */
const CAREFUL = {
  minReadySeconds: 2,
  strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 0 } },
};
const DRAIN_MS = 6000;

type Side = 'source' | 'target';

describe('shares over real sockets', { timeout: 300_000 }, () => {
  let pair: RealPair;
  let place: Place;
  let pods: Record<Side, Pods>;
  let balancer: Balancer;
  let load: Load;
  const figures: string[] = [];

  before(async () => {
    assert.ok(existsSync(`${ROOT}/dist/program.js`), 'not built: npm run build');
    const began = performance.now();
    pair = await startRealPair(
      { source: { pods: PODS }, target: { pods: PODS }, traffic: 'steps: [1, 5, 20, 50, 100], hold: 1s' },
      CAREFUL,
    );
    const serve = (side: Side) =>
      servePods(pair[side].api, {
        side,
        answersMs: (request) => ANSWERS_MS.least + ((request * 7919) % ANSWERS_MS.spread),
        drainMs: DRAIN_MS,
      });
    pods = { source: await serve('source'), target: await serve('target') };
    balancer = await startBalancer(() =>
      (pair.cloud.cloud.listenerBackends(BALANCER, 80) ?? []).flatMap(({ ip, weight }) => {
        // Whoever does not answer yet has not passed its health check.
        const port = pods.source.at(ip) ?? pods.target.at(ip);
        return port === undefined ? [] : [{ port, weight }];
      }),
    );
    place = new Place({ 'pair.yaml': pair.text });
    await balancer.inStep();
    load = steadyLoad(balancer.port, CONNECTIONS);
    figures.push(`both control planes, pods and HAProxy up: ${seconds(performance.now() - began)}`);
  });

  after(async () => {
    await load?.stop();
    await balancer?.stop();
    for (const it of Object.values(pods ?? {})) await it.stop();
    await pair?.stop();
    place?.remove();
    for (const it of figures) console.log(`# ${it}`);
  });

  const noneLost = () => assert.deepEqual([load.total().failed, load.total().reasons], [0, []]);

  /** Percent of the target by the weights of the group. */
  const byWeights = (): number => {
    const [source, target] = [sum(pair.weights('source')), sum(pair.weights('target'))];
    return (100 * target) / (source + target);
  };

  const shiftTo = async (asked: number): Promise<void> => {
    const began = performance.now();
    for (let tries = 1; ; tries++) {
      const { code, stdout, stderr } = await finished(
        place.start(['shift', '-f', 'pair.yaml', '--to', String(asked), '--yes', '-o', 'json'], pair.env),
      );
      const events = linesOf(stdout);
      const ended = events.at(-1) as unknown as EndedEvent | undefined;
      const share = events.findLast((it) => it['type'] === 'share') as unknown as ShareEvent | undefined;
      figures.push(
        `migrate shift --to ${asked}: ${seconds(performance.now() - began)}, exit ${code}, ${ended?.calls?.reads} reads, ${ended?.calls?.writes} writes, ${percent(share?.measured ?? NaN)} read back`,
      );
      if (code === 0) return;
      // Pods came or went while the share was read: it says so, and to run it again.
      assert.ok(code === 3 && tries < 3, `${stdout.slice(-3000)}\n${stderr.slice(-3000)}`);
    }
  };

  /** Clients see what the weights say, within what a sample of that size can tell. */
  const mustSee = async (asked: number): Promise<void> => {
    await balancer.inStep();
    const wanted = byWeights();
    assert.ok(Math.abs(wanted - asked) <= 1, `the group says ${wanted} % for ${asked} %`);
    const before = balancer.changes();
    const seen = await load.measure(SAMPLE.requests, SAMPLE.limitMs);
    assert.equal(balancer.changes(), before, 'the weights moved while they were measured');
    const { share, low, high, n } = interval(seen);
    figures.push(
      `asked ${percent(asked)}, by weights ${percent(wanted)}: clients saw ${percent(share)} of ${n} (95 %: ${percent(low)} to ${percent(high)}), ${seen.failed} failed`,
    );
    assert.ok(n >= 500, `${n} requests are no sample`);
    assert.ok(low <= wanted && wanted <= high, `${percent(wanted)} is not within ${percent(low)} to ${percent(high)}`);
    if (wanted === 0 || wanted === 100) assert.equal(share, wanted);
    noneLost();
  };

  const rolledOut = async (...sides: Side[]): Promise<void> => {
    for (const side of sides) {
      const { plane, api } = pair[side];
      await plane.until(`the ${side} rolled out`, () => isRolledOut(api), 60_000);
      await plane.until(`the ${side}'s members those of its pods`, async () => pair.weights(side).length === PODS);
    }
    // What the controllers write last comes a moment after the members.
    for (let quiet = 0, last = ''; quiet < 10; quiet++, await sleep(100)) {
      const now = JSON.stringify([pair.weights('source'), pair.weights('target')]);
      if (now !== last) quiet = 0;
      last = now;
    }
  };

  /** Weights that were worked out while there were more pods are those of more pods: the same shift once more, as one is told after a scale-out. */
  const settleOn = async (asked: number, ...sides: Side[]): Promise<void> => {
    await rolledOut(...sides);
    if (Math.abs(byWeights() - asked) <= 1) return;
    figures.push(`after the roll-out the group says ${percent(byWeights())}`);
    await shiftTo(asked);
  };

  test('before anything moves all go to the source', async () => {
    await load.measure(CONNECTIONS, SAMPLE.limitMs);
    const seen = await load.measure(1000, SAMPLE.limitMs);
    assert.deepEqual(Object.keys(seen.served), ['source']);
    noneLost();
  });

  for (const asked of [1, 5]) {
    test(`${asked} %`, async () => {
      await shiftTo(asked);
      await mustSee(asked);
    });
  }

  test('20 %, while the pods of the target are replaced', async () => {
    await restart(pair.target.api);
    await shiftTo(20);
    await settleOn(20, 'target');
    await mustSee(20);
  });

  test('50 %, and then all pods of both sides are replaced', async () => {
    await shiftTo(50);
    await mustSee(50);
    const before = { source: pods.source.counts().began, target: pods.target.counts().began };
    await Promise.all([restart(pair.source.api), restart(pair.target.api)]);
    const [seen] = await Promise.all([load.measure(SAMPLE.requests, SAMPLE.limitMs), rolledOut('source', 'target')]);
    const { share, n } = interval(seen);
    figures.push(`meanwhile all pods replaced: clients saw ${percent(share)} of ${n}, ${seen.failed} failed`);
    for (const side of ['source', 'target'] as const)
      assert.equal(pods[side].counts().began - before[side], PODS, `new pods of the ${side}`);
    await mustSee(50);
  });

  test('100 %', async () => {
    await shiftTo(100);
    await mustSee(100);
  });

  test('back to 0 %, while the pods of the source are replaced', async () => {
    await restart(pair.source.api);
    await shiftTo(0);
    await settleOn(0, 'source');
    await mustSee(0);
  });

  test('not one request was lost', async () => {
    await load.stop();
    noneLost();
    const { served } = load.total();
    const replaced = pods.source.counts().drained + pods.target.counts().drained;
    figures.push(
      `${sum(Object.values(served))} requests over as many connections, 0 failed: ${served['source']} to the source, ${served['target']} to the target; ${replaced} pods drained and gone, weights or members changed ${balancer.changes()} times`,
    );
    assert.ok((served['target'] ?? 0) > SAMPLE.requests / 4);
  });
});

const sum = (numbers: readonly number[]) => numbers.reduce((total, it) => total + it, 0);
const percent = (value: number) => `${Math.round(value * 100) / 100} %`;
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Wilson's interval for the part of the target, at 95 %. */
function interval({ served }: Counts): { share: number; low: number; high: number; n: number } {
  const n = sum(Object.values(served));
  const part = (served['target'] ?? 0) / n;
  const z = 1.96;
  const middle = (part + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((part * (1 - part)) / n + z ** 2 / (4 * n ** 2));
  return {
    share: 100 * part,
    low: 100 * Math.max(0, part === 0 ? 0 : middle - half),
    high: 100 * Math.min(1, part === 1 ? 1 : middle + half),
    n,
  };
}
