import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { EndedEvent } from '../../src/events.js';
import { finished, linesOf, Place, ROOT } from '../cli.js';
import { type RealPair, startRealPair } from '../servers/pair.js';

/** The built command's way back from a share on real control planes, with the target's API server stopped. The tests tell one story. */

const PODS = 4;

describe('the way back past a dead target on real API servers', { timeout: 300_000 }, () => {
  let pair: RealPair;
  const places: Place[] = [];
  const figures: string[] = [];

  before(async () => {
    assert.ok(existsSync(`${ROOT}/dist/program.js`), 'not built: npm run build');
    pair = await startRealPair({ source: { pods: PODS }, target: { pods: PODS }, traffic: 'steps: [100], hold: 1s' });
  });

  after(async () => {
    await pair?.stop();
    for (const it of places) it.remove();
    for (const it of figures) console.log(`# ${it}`);
  });

  const migrate = async (place: Place, args: readonly string[]): Promise<EndedEvent | undefined> => {
    const { code, stdout, stderr } = await finished(
      place.start([...args, '-f', 'pair.yaml', '--yes', '-o', 'json'], pair.env),
    );
    assert.equal(code, 0, `migrate ${args.join(' ')}\n${stdout.slice(-3000)}\n${stderr.slice(-3000)}`);
    return linesOf(stdout).at(-1) as unknown as EndedEvent | undefined;
  };

  const nobodyOnTheTarget = () => pair.weights('target').every((it) => it === 0);

  /** What a process costs on this machine at this moment: the second of the promise is one of a machine that is not loaded. */
  const bareMs = async (place: Place): Promise<number> => {
    const began = performance.now();
    await finished(place.start(['--version']));
    return performance.now() - began;
  };

  for (const [share, weights] of [
    [1, 'service'],
    [20, 'member'],
    [100, 'service'],
  ] as const) {
    test(`from ${share} % by ${weights}`, async () => {
      const text = pair.text.replace('port: 80', `port: 80, weights: ${weights}`);
      const place = new Place({ 'pair.yaml': text });
      places.push(place);
      await migrate(place, ['shift', '--to', String(share)]);
      assert.ok(!nobodyOnTheTarget());
      await pair.target.plane.stopApiServer();
      const bare = await bareMs(place);
      const gone = whenFirst(nobodyOnTheTarget);
      const before = pair.weights('source').join();
      const moved = whenFirst(() => pair.weights('source').join() !== before || nobodyOnTheTarget());
      const ended = await migrate(place, ['rollback']);
      const [movedMs, goneMs] = [moved(), gone()];
      figures.push(
        `from ${share} % by ${weights}, target dead: weights moved after ${movedMs} ms, the target got nothing after ${goneMs} ms; ${ended?.calls?.writes} writes tried in all; an empty process takes ${Math.round(bare)} ms`,
      );
      assert.ok(nobodyOnTheTarget() && pair.weights('source').every((it) => it > 0));
      // The first write within a second, then what the controller takes; an empty process takes some 50 ms on a machine with nothing else to do.
      const promised = 1500 * Math.max(1, bare / 60);
      assert.ok(movedMs <= promised, `weights moved after ${movedMs} ms, not ${promised}`);
      await pair.target.plane.startApiServer();
      await migrate(place, ['rollback']);
      assert.deepEqual(pair.weights('target'), [], 'what was owed is paid: the target has left the group');
    });
  }
});

/** @returns a question for how long it took, in milliseconds; Infinity when it never came */
function whenFirst(is: () => boolean): () => number {
  const began = performance.now();
  let at = Infinity;
  const timer = setInterval(() => {
    if (!is()) return;
    at = Math.round(performance.now() - began);
    clearInterval(timer);
  }, 5);
  return () => {
    clearInterval(timer);
    return at;
  };
}
