import { hypothesesOf, type PrometheusGate } from '../gates.js';
import type { Side, World } from '../ports.js';
import { sequentialTest, type SequentialTest } from '../sequential.js';
import { count, points as inWords, spell } from '../words.js';
import { clipped, countText } from './evidence.js';
import { askRange, type RangeAnswer } from './range.js';
import type { Watch } from './watch.js';

/** Looks in a row without an answer that can still be chance; as Argo Rollouts has it. */
const SILENT_LOOKS = 4;
/** How far back the source is asked for its own share of errors, in looks, and the least requests that say something. */
const BACK = 10;
const BACK_REQUESTS = 100;

/**
 * Range queries over windows that don't overlap, each as long as the time between two looks and each asked for until it was answered: one
 * window is one bucket of the test. No data is never fine: without an answer four times in a row it is broken, and undecided before that.
 *
 * A value is judged window by window. Where the source is asked the same and is as bad, the window says nothing: going back would not help.
 * Requests and errors are counted; with `against` the share of errors that is fine is the source's own before the step, where that is larger.
 */
export function watchPrometheus(gate: PrometheusGate, world: Pick<World, 'clock' | 'web'>): Watch {
  const { clock } = world;
  const step = gate.every / 1000;
  const hypotheses = hypothesesOf(gate);
  const began = clock.now();
  let test: SequentialTest | undefined;
  let answered = 0;
  let silent = 0;
  const skipped = { thin: 0, shared: 0 };
  let last: string | undefined;
  let source: number | undefined;
  const sides: Partial<Record<Side, { requests: number; errors: number }>> = {};
  const values: (number | null)[] = [];

  const silence = (why: string) => {
    silent++;
    last = why;
  };

  const begin = async (): Promise<SequentialTest> => {
    const found = gate.errors !== undefined && gate.against ? await sourceShare(gate, world, began / 1000) : undefined;
    source = found;
    const ok = Math.min(0.5, Math.max(hypotheses.ok, found ?? 0));
    const bad = Math.max(hypotheses.bad, Math.min((ok * hypotheses.bad) / hypotheses.ok, (1 + ok) / 2));
    return sequentialTest({ ...hypotheses, ok, bad });
  };

  const take = (window: Window) => {
    if (window.kind === 'silent') return silence(window.why);
    silent = 0;
    if (window.kind === 'skip') {
      skipped[window.why]++;
      return;
    }
    if (window.kind === 'value') {
      values.push(Number.isFinite(window.value) ? Number(window.value.toPrecision(6)) : null);
      if (values.length > 10) values.shift();
      last = String(window.value);
      test?.add({ requests: 1, errors: window.bad ? 1 : 0 });
      return;
    }
    for (const side of ['source', 'target'] as const) {
      const figures = window.sides[side];
      if (!figures) continue;
      const sum = (sides[side] ??= { requests: 0, errors: 0 });
      sum.requests += figures.requests;
      sum.errors += figures.errors;
    }
    const own = window.sides[gate.side];
    if (own) test?.add(own);
    last = own && `${own.errors} of ${own.requests} in ${spell(gate.every)}`;
  };

  return {
    everyMs: gate.every,
    async look() {
      test ??= await begin();
      // A timer may fire a little early.
      const due = Math.floor((clock.now() + 50 - began) / gate.every) - answered;
      if (due <= 0) return;
      const start = began / 1000 + (answered + 1) * step;
      const windows = await ask(gate, world, start, start + (due - 1) * step);
      if (typeof windows === 'string') return silence(windows);
      answered += windows.length;
      for (const window of windows) take(window);
    },
    seen() {
      const figures = test?.figures();
      const verdict = test?.verdict() ?? 'open';
      const state = silent >= SILENT_LOOKS ? 'fail' : verdict === 'open' ? 'wait' : verdict;
      const counts = { requests: figures?.requests ?? 0, errors: figures?.errors ?? 0 };
      const notes = [
        silent > 0 && `no data ${silent === 1 ? 'in the last look' : `in the last ${silent} looks`}: ${last ?? ''}`,
        skipped.thin > 0 && `${count(skipped.thin, 'look')} with fewer than ${gate.atLeast} requests`,
        skipped.shared > 0 && `${count(skipped.shared, 'look')} in which the source was as bad`,
        source !== undefined && source > hypotheses.ok && `the source itself failed ${inWords(source * 100)} %`,
      ].filter((it) => it !== false);
      const noun = gate.errors === undefined ? 'look' : 'request';
      return {
        state,
        why: [countText(noun, counts, state, figures?.toGo ?? 0), ...notes].join('; '),
        evidence: {
          asked: clipped(gate.query ?? gate.errors ?? ''),
          ...counts,
          ...(figures && { buckets: figures.buckets, score: Number(figures.score.toFixed(3)), missing: figures.toGo }),
          ...(Object.keys(sides).length > 0 && { sides }),
          ...(values.length > 0 && { values: [...values] }),
          ...(last !== undefined && { last: clipped(last) }),
        },
      };
    },
  };
}

type Window =
  | { kind: 'silent'; why: string }
  | { kind: 'skip'; why: 'thin' | 'shared' }
  | { kind: 'value'; value: number; bad: boolean }
  | { kind: 'counts'; sides: Partial<Record<Side, { requests: number; errors: number }>> };

type Of = 'value' | 'errors' | 'requests';

/** One question of the gate, on one side; undefined where the gate does not ask it. */
function question(gate: PrometheusGate, side: Side, of: Of) {
  const { against } = gate;
  const other = side !== gate.side;
  if (other && !against) return undefined;
  const name = of === 'value' ? 'query' : of;
  const promql = other ? (against?.[name] ?? gate[name]) : gate[name];
  if (promql === undefined) return undefined;
  return {
    url: (other ? against?.prometheus : undefined) ?? gate.prometheus,
    promql,
    side,
    of,
    timeoutMs: gate.timeout,
    ...(gate.tokenFrom !== undefined && { tokenFrom: gate.tokenFrom }),
    ...(gate.min !== undefined && { min: gate.min }),
    ...(gate.max !== undefined && { max: gate.max }),
  };
}

const SIDES = ['source', 'target'] as const;

/** All questions of the gate over a range, side by side; a text where one was not answered. */
async function ask(
  gate: PrometheusGate,
  { web }: Pick<World, 'web'>,
  start: number,
  end: number,
): Promise<Window[] | string> {
  const step = gate.every / 1000;
  const asked = SIDES.flatMap((side) =>
    (['value', 'errors', 'requests'] as const).flatMap((of) => {
      const it = question(gate, side, of);
      return it ? [{ side, of, answer: askRange(web, { ...it, start, end, step }) }] : [];
    }),
  );
  const found: Partial<Record<`${Side} ${Of}`, number[][]>> = {};
  for (const { side, of, answer } of asked) {
    const it = await answer;
    if ('trouble' in it) return it.trouble;
    found[`${side} ${of}`] = it.points;
  }
  const length = Math.round((end - start) / step) + 1;
  return Array.from({ length }, (_, index) =>
    gate.errors === undefined ? valueWindow(gate, found, index) : countWindow(gate, found, index),
  );
}

type Found = Partial<Record<`${Side} ${Of}`, number[][]>>;

function valueWindow(gate: PrometheusGate, found: Found, index: number): Window {
  const at = (name: `${Side} ${Of}`) => found[name]?.[index] ?? [];
  const own = at(`${gate.side} value`);
  if (own.length === 0) return { kind: 'silent', why: 'the query gives no value' };
  if (gate.requests !== undefined) {
    const requests = at(`${gate.side} requests`);
    if (requests.length === 0) return { kind: 'silent', why: '`requests` gives no value' };
    if (sum(requests) < gate.atLeast) return { kind: 'skip', why: 'thin' };
  }
  const worst = own.find((it) => isBad(gate, it));
  if (worst === undefined) return { kind: 'value', value: own[0] ?? 0, bad: false };
  const others = gate.against ? at('source value') : [];
  return others.some((it) => isBad(gate, it))
    ? { kind: 'skip', why: 'shared' }
    : { kind: 'value', value: worst, bad: true };
}

const isBad = ({ min = -Infinity, max = Infinity }: PrometheusGate, value: number) => !(value >= min && value <= max);

const sum = (list: readonly number[]) => list.reduce((all, it) => all + it, 0);

function countWindow(gate: PrometheusGate, found: Found, index: number): Window {
  const sides: Partial<Record<Side, { requests: number; errors: number }>> = {};
  for (const side of SIDES) {
    const [requests, errors] = [found[`${side} requests`]?.[index] ?? [], found[`${side} errors`]?.[index] ?? []];
    const missing = requests.length === 0 ? 'requests' : errors.length === 0 ? 'errors' : undefined;
    if (missing !== undefined) {
      if (side !== gate.side) continue;
      const hint = missing === 'errors' ? ' (add `or vector(0)` where the series begins with the first error)' : '';
      return { kind: 'silent', why: `\`${missing}\` gives no value${hint}` };
    }
    // Increases are extrapolated, so they are no whole numbers and may differ a little from each other.
    const all = Math.max(0, Math.round(sum(requests)));
    sides[side] = { requests: all, errors: Math.min(all, Math.max(0, Math.round(sum(errors)))) };
    if (!Number.isFinite(all)) return { kind: 'silent', why: '`requests` is infinite' };
  }
  // A side that was asked nothing shows nothing.
  if (sides[gate.side]?.requests === 0) return { kind: 'skip', why: 'thin' };
  return { kind: 'counts', sides };
}

/** Share of errors of the source in the windows before the step; undefined where it can't be told, or too little was asked of it. */
async function sourceShare(
  gate: PrometheusGate,
  { web }: Pick<World, 'web'>,
  end: number,
): Promise<number | undefined> {
  const step = gate.every / 1000;
  const total = async (of: Of) => {
    const it = question(gate, 'source', of);
    const answer = it && (await askRange(web, { ...it, start: end - (BACK - 1) * step, end, step }));
    return answer && 'points' in answer ? sum(answer.points.flat()) : Number.NaN;
  };
  const [errors, requests] = await Promise.all([total('errors'), total('requests')]);
  return requests >= BACK_REQUESTS && errors >= 0 ? errors / requests : undefined;
}

/**
 * Asks each question once before anything is changed: a mistyped query or address must not be found out at a raised share. The target may have
 * no figures yet; the source serves, so it must.
 *
 * @returns what is wrong, in words; undefined when nothing is
 */
export async function prometheusReady(
  gate: PrometheusGate,
  { clock, web }: Pick<World, 'clock' | 'web'>,
): Promise<string | undefined> {
  const step = gate.every / 1000;
  const end = clock.now() / 1000;
  for (const side of SIDES) {
    for (const of of ['value', 'errors', 'requests'] as const) {
      const it = question(gate, side, of);
      if (!it) continue;
      const answer: RangeAnswer = await askRange(web, { ...it, start: end - 4 * step, end, step });
      const name = `${side} ${of === 'value' ? 'query' : of}`;
      if ('trouble' in answer) return `${name} at ${clipped(it.url)}: ${answer.trouble}`;
      if (side === 'source' && answer.points.every((list) => list.length === 0))
        return `${name} at ${clipped(it.url)} gives no value, although the source serves`;
    }
  }
  return undefined;
}
