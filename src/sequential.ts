import assert from 'node:assert/strict';

/**
 * Wald's sequential probability ratio test for a share of errors: it looks after every bucket of requests and says pass, fail, or not yet.
 * A clear failure ends early, a clear pass needs no guess at a sample size, and looking often does not spoil the error rates.
 *
 * @source A. Wald, Sequential Tests of Statistical Hypotheses, Annals of Mathematical Statistics 16 (1945), sections 3 and 4
 */
export interface Hypotheses {
  /** the largest share of errors that is fine, 0 < ok < bad */
  ok: number;
  /** the smallest share that must be caught, bad < 1 */
  bad: number;
  /** how often a side that is fine may fail; 0.05 when absent */
  alpha?: number;
  /** how often a bad side may pass; 0.05 when absent */
  beta?: number;
  /** buckets that must have been seen before a pass, and buckets with errors before a fail: errors come in bursts; 1 when absent */
  toPass?: number;
  toFail?: number;
}

export interface Bucket {
  requests: number;
  errors: number;
}

export type Verdict = 'pass' | 'fail' | 'open';

export interface Figures extends Bucket {
  buckets: number;
  /** log likelihood ratio of bad to ok; of the pass that is under way, once one was reached */
  score: number;
  /** scores at which it is decided */
  passAt: number;
  failAt: number;
  /** clean requests from here to a pass; 0 once it was reached */
  toGo: number;
}

export interface SequentialTest {
  add(bucket: Bucket): Verdict;
  verdict(): Verdict;
  figures(): Figures;
}

const ALPHA = 0.05;
const BETA = 0.05;

/**
 * After a pass it watches on: the test begins anew with half the alpha of the one before, so that however long it watches, a side that is
 * fine fails with at most twice alpha. A fail is final; after a pass the verdict stays a pass until then.
 */
export function sequentialTest(hypotheses: Hypotheses): SequentialTest {
  const { ok, bad, beta = BETA, toPass = 1, toFail = 1 } = hypotheses;
  assert.ok(ok > 0 && ok < bad && bad < 1, `0 < ok ${ok} < bad ${bad} < 1`);
  let alpha = hypotheses.alpha ?? ALPHA;
  const perError = Math.log(bad / ok);
  const perClean = Math.log((1 - bad) / (1 - ok));
  const all = { requests: 0, errors: 0, buckets: 0 };
  let round = { score: 0, buckets: 0, withErrors: 0 };
  let verdict: Verdict = 'open';
  const passAt = () => Math.log(beta / (1 - (hypotheses.alpha ?? ALPHA)));
  const failAt = () => Math.log((1 - beta) / alpha);

  return {
    add({ requests, errors }) {
      assert.ok(errors >= 0 && errors <= requests, `${errors} errors of ${requests} requests`);
      if (requests === 0 || verdict === 'fail') return verdict;
      all.requests += requests;
      all.errors += errors;
      all.buckets++;
      round.score += errors * perError + (requests - errors) * perClean;
      round.buckets++;
      if (errors > 0) round.withErrors++;
      if (round.score >= failAt() && round.withErrors >= toFail) verdict = 'fail';
      else if (round.score <= passAt() && round.buckets >= toPass) {
        verdict = 'pass';
        alpha /= 2;
        round = { score: 0, buckets: 0, withErrors: 0 };
      }
      return verdict;
    },
    verdict: () => verdict,
    figures: () => ({
      ...all,
      score: round.score,
      passAt: passAt(),
      failAt: failAt(),
      toGo: verdict === 'pass' ? 0 : Math.max(0, Math.ceil((passAt() - round.score) / perClean)),
    }),
  };
}

/** Requests without an error that a pass takes, beside `errors` with one: 326 for 0.1 % against 1 %, both error rates 5 %. */
export const cleanToPass = ({ ok, bad, alpha = ALPHA, beta = BETA }: Hypotheses, errors = 0): number =>
  Math.ceil((Math.log(beta / (1 - alpha)) - errors * Math.log(bad / ok)) / Math.log((1 - bad) / (1 - ok)));

/** Errors in a row that a fail takes: 2 for 0.1 % against 1 %. */
export const errorsToFail = ({ ok, bad, alpha = ALPHA, beta = BETA }: Hypotheses): number =>
  Math.ceil(Math.log((1 - beta) / alpha) / Math.log(bad / ok));
