import type { Side, Web } from '../ports.js';
import { clipped } from './evidence.js';

/** One range query of Prometheus's HTTP API. */
export interface RangeQuery {
  url: string;
  promql: string;
  /** seconds since 1970 of the first and the last point, and between two of them */
  start: number;
  end: number;
  step: number;
  timeoutMs: number;
  tokenFrom?: string;
  side: Side;
  of: 'value' | 'errors' | 'requests';
  /** bounds of a value */
  min?: number;
  max?: number;
}

/** Points of all series by their place in the range; a place without a number is empty. Trouble: the question was not answered. */
export type RangeAnswer = { points: number[][] } | { trouble: string; refused: boolean };

/** More than that is no figure of a service but a question that forgot to aggregate. */
const MOST_SERIES = 50;

/**
 * NaN and missing points are no data. 4xx is the question's fault (400 bad_data, 422 can't be executed, 401, 403), 503 and no answer are
 * trouble that may pass.
 *
 * @source https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
 */
export async function askRange(web: Web, query: RangeQuery): Promise<RangeAnswer> {
  const { url, promql, start, end, step, timeoutMs, tokenFrom, side, of, min, max } = query;
  const form = {
    query: promql.replaceAll('$window', `${step}s`),
    start: start.toFixed(3),
    end: end.toFixed(3),
    step: String(step),
    timeout: `${Math.max(1, Math.floor(timeoutMs / 1000))}s`,
  };
  const about = {
    kind: 'figures' as const,
    of,
    side,
    start,
    end,
    step,
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
  };
  const address = `${url.replace(/\/+$/, '')}/api/v1/query_range`;
  const common = { timeoutMs, about, ...(tokenFrom !== undefined && { tokenFrom }) };
  let reply = await web.ask({ method: 'POST', url: address, form, ...common });
  // Some read-only fronts let nothing but GET through.
  if (reply.status === 405)
    reply = await web.ask({ method: 'GET', url: `${address}?${String(new URLSearchParams(form))}`, ...common });
  if (reply.error !== undefined) return { trouble: clipped(reply.error), refused: false };
  const body = parsed(reply.text);
  if (body?.status === 'error' || reply.status !== 200) {
    const said = body?.error === undefined ? reply.text : `${body.errorType ?? 'error'}: ${body.error}`;
    return {
      trouble: clipped(`${reply.status} ${said}`),
      refused: reply.status >= 300 && reply.status < 500 && reply.status !== 429,
    };
  }
  if (body?.status !== 'success' || body.data?.resultType !== 'matrix' || !Array.isArray(body.data.result))
    return { trouble: clipped(`no answer of Prometheus: ${reply.text}`), refused: true };
  if (body.data.result.length > MOST_SERIES)
    return { trouble: `${body.data.result.length} series: aggregate, e.g. with sum()`, refused: true };
  return { points: pointsOf(body.data.result, query) };
}

interface Series {
  values?: unknown;
}

function pointsOf(result: Series[], { start, end, step }: RangeQuery): number[][] {
  const points: number[][] = Array.from({ length: Math.round((end - start) / step) + 1 }, () => []);
  for (const { values } of result) {
    for (const pair of Array.isArray(values) ? (values as unknown[]) : []) {
      if (!Array.isArray(pair)) continue;
      const [at, text] = pair as unknown[];
      const value = valueOf(text);
      const place = Math.round((Number(at) - start) / step);
      if (!Number.isNaN(value)) points[place]?.push(value);
    }
  }
  return points;
}

/** Numbers are texts there: `1.5`, `NaN`, `+Inf`. */
function valueOf(text: unknown): number {
  if (typeof text !== 'string' || text === '') return Number.NaN;
  if (/^[+-]?Inf$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  return Number(text);
}

interface Body {
  status?: string;
  errorType?: string;
  error?: string;
  data?: { resultType?: string; result?: Series[] };
}

function parsed(text: string): Body | undefined {
  try {
    const body = JSON.parse(text) as Body | null;
    return typeof body === 'object' && body !== null ? body : undefined;
  } catch {
    return undefined;
  }
}
