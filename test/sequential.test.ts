import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanToPass, errorsToFail, sequentialTest, type Hypotheses, type Verdict } from '../src/sequential.js';
import { seededRandom } from '../src/twin/random.js';

const SEED = 20261121;

/** One request after the other until it is decided. */
function decided(hypotheses: Hypotheses, isError: () => boolean): { verdict: Verdict; requests: number } {
  const it = sequentialTest(hypotheses);
  for (let requests = 1; ; requests++) {
    const verdict = it.add({ requests: 1, errors: isError() ? 1 : 0 });
    if (verdict !== 'open') return { verdict, requests };
  }
}

test('a pass and a fail take as many requests as the closed form says', () => {
  for (const [ok, bad, clean] of [
    [0.001, 0.01, 326],
    [0.001, 0.005, 734],
    [0.01, 0.02, 291],
  ] as const) {
    assert.equal(cleanToPass({ ok, bad }), clean);
    assert.deepEqual(
      decided({ ok, bad }, () => false),
      { verdict: 'pass', requests: clean },
    );
  }
  assert.equal(errorsToFail({ ok: 0.001, bad: 0.01 }), 2);
  assert.deepEqual(
    decided({ ok: 0.001, bad: 0.01 }, () => true),
    { verdict: 'fail', requests: 2 },
  );
  const { passAt, failAt } = sequentialTest({ ok: 0.001, bad: 0.01 }).figures();
  assert.deepEqual([passAt.toFixed(3), failAt.toFixed(3)], ['-2.944', '2.944']);
});

test('its error rates are those that it promises', (t) => {
  const draw = seededRandom(SEED);
  const RUNS = 2000;
  for (const [ok, bad] of [
    [0.01, 0.05],
    [0.02, 0.05],
    [0.05, 0.5],
  ] as const) {
    const rate = (p: number, wrong: Verdict) => {
      let [errors, requests] = [0, 0];
      for (let run = 0; run < RUNS; run++) {
        const it = decided({ ok, bad }, () => draw() < p);
        if (it.verdict === wrong) errors++;
        requests += it.requests;
      }
      return { wrong: errors / RUNS, requests: requests / RUNS };
    };
    const [fine, broken] = [rate(ok, 'fail'), rate(bad, 'pass')];
    t.diagnostic(
      `seed ${SEED}, ${ok} against ${bad}: fine fails ${fine.wrong} after ${fine.requests.toFixed(0)}, bad passes ${broken.wrong} after ${broken.requests.toFixed(0)}`,
    );
    // Wald's bounds are alpha / (1 - beta) and beta / (1 - alpha); three standard errors of the simulation on top.
    const most = 0.05 / 0.95 + 3 * Math.sqrt((0.05 * 0.95) / RUNS);
    assert.ok(fine.wrong <= most, `${fine.wrong} <= ${most}`);
    assert.ok(broken.wrong <= most, `${broken.wrong} <= ${most}`);
    // A test that never failed anything would pass the bounds too.
    assert.ok(rate(bad, 'fail').wrong >= 1 - most);
  }
});

test('however long it watches on after a pass, a side that is fine fails with at most twice alpha', (t) => {
  const draw = seededRandom(SEED);
  const RUNS = 600;
  let failed = 0;
  for (let run = 0; run < RUNS; run++) {
    const it = sequentialTest({ ok: 0.01, bad: 0.05 });
    for (let bucket = 0; bucket < 400 && it.verdict() !== 'fail'; bucket++) {
      let errors = 0;
      for (let request = 0; request < 50; request++) if (draw() < 0.01) errors++;
      it.add({ requests: 50, errors });
    }
    if (it.verdict() === 'fail') failed++;
  }
  t.diagnostic(`seed ${SEED}: ${failed} of ${RUNS} failed in 20,000 requests each`);
  assert.ok(failed / RUNS <= 0.1 + 3 * Math.sqrt((0.1 * 0.9) / RUNS), `${failed} of ${RUNS}`);
});

test('a break after a pass is still caught', () => {
  const it = sequentialTest({ ok: 0.001, bad: 0.01 });
  assert.equal(it.add({ requests: 326, errors: 0 }), 'pass');
  assert.equal(it.add({ requests: 1000, errors: 0 }), 'pass');
  assert.equal(it.add({ requests: 10, errors: 10 }), 'fail');
  assert.equal(it.add({ requests: 100_000, errors: 0 }), 'fail', 'a fail is final');
});

test('one burst of errors does not fail it alone, and one bucket does not pass it, where more buckets are asked for', () => {
  const it = sequentialTest({ ok: 0.001, bad: 0.01, toPass: 3, toFail: 2 });
  assert.equal(it.add({ requests: 10_000, errors: 0 }), 'open');
  assert.equal(it.add({ requests: 10_000, errors: 0 }), 'open');
  assert.equal(it.add({ requests: 1, errors: 0 }), 'pass');
  const burst = sequentialTest({ ok: 0.001, bad: 0.01, toPass: 3, toFail: 2 });
  assert.equal(burst.add({ requests: 50, errors: 50 }), 'open');
  assert.equal(burst.add({ requests: 50, errors: 0 }), 'open');
  assert.equal(burst.add({ requests: 50, errors: 1 }), 'fail');
});

test('errors that come in bursts break what is promised for single ones; two buckets with errors keep it', (t) => {
  const draw = seededRandom(SEED);
  const RUNS = 2000;
  // One error in a thousand, but five at a time: a pod that restarts.
  const failing = (hypotheses: Hypotheses) => {
    let failed = 0;
    for (let run = 0; run < RUNS; run++) {
      const it = sequentialTest(hypotheses);
      while (it.verdict() === 'open') it.add({ requests: 10, errors: draw() < 0.002 ? 5 : 0 });
      if (it.verdict() === 'fail') failed++;
    }
    return failed / RUNS;
  };
  const single = failing({ ok: 0.001, bad: 0.01 });
  const bucketed = failing({ ok: 0.001, bad: 0.01, toFail: 2 });
  t.diagnostic(`seed ${SEED}: ${single} by single bursts, ${bucketed} with two buckets`);
  assert.ok(single > 0.05, `${single}`);
  assert.ok(bucketed < 0.025, `${bucketed}`);
});

test('figures say what is still missing', () => {
  const it = sequentialTest({ ok: 0.001, bad: 0.01, toPass: 3 });
  it.add({ requests: 100, errors: 0 });
  assert.equal(it.figures().toGo, 226);
  it.add({ requests: 100, errors: 1 });
  assert.ok(it.figures().toGo > 300, 'an error makes it longer');
  assert.equal(it.figures().requests, 200);
});
