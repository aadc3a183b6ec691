import { z } from 'zod';
import { duration, httpUrl, percent } from './formats.js';
import { cleanToPass, type Hypotheses } from './sequential.js';

/** The entries of `traffic.gates`: what is asked while a step is held. What each does is said in its own file in gates/. */

const SECRET = /passw|secret|token|credential|signature|api_?-?key|access_?-?key|auth/i;

/** What a gate asks is told in events and kept in the journal, so an address must not carry a credential. */
const gateUrl = httpUrl.superRefine((text, context) => {
  if (!URL.canParse(text)) return;
  const name = [...new URL(text).searchParams.keys()].find((it) => SECRET.test(it));
  if (name !== undefined)
    context.addIssue({
      code: 'custom',
      message: `has a credential in its parameter "${name}": it would end up in logs; name a variable in \`tokenFrom\``,
    });
});

/** Name of an environment variable that holds a bearer token: the playbook never holds the token itself. */
const tokenFrom = z.string().regex(/^[A-Z_][A-Z0-9_]*$/, 'is not the name of an environment variable, e.g. PROM_TOKEN');

/** Errors beyond doubt go back at once; what stays in doubt at the end of the hold goes back too, or waits for a person. */
const onFail = z.enum(['rollback', 'pause']).default('rollback');

const below50 = percent.refine((share) => share <= 0.5, 'is above 50%: that is no service any more');

const timeout = duration.refine((ms) => ms >= 100 && ms <= 60_000, 'is not between 100ms and 60s').default(10_000);
const everySecond = duration.refine((ms) => ms >= 1000, 'is below 1s');

const probe = z.strictObject({
  probe: gateUrl,
  /** the largest share of failed probes that is fine */
  failures: below50.default(0.001),
  /** the smallest share that must be caught; ten times `failures`, at least 1% */
  bad: percent.optional(),
  every: duration.refine((ms) => ms >= 50, 'is below 50ms').default(1000),
  onFail,
});

const promql = z.string().min(1, 'is empty').max(4000, 'is longer than 4,000 characters');

const prometheus = z
  .strictObject({
    prometheus: gateUrl,
    /** whose figures the answer gives */
    side: z.enum(['source', 'target']).default('target'),
    /** a value that must stay between `min` and `max`; `$window` stands for the time since the last look */
    query: promql.optional(),
    min: z.number().optional(),
    max: z.number().optional(),
    /** or how many requests, and how many of them failed, since the last look */
    errors: promql.optional(),
    requests: promql.optional(),
    /** with `query` and `requests`: looks with fewer requests say nothing */
    atLeast: z.int().min(1).default(100),
    /** the same question about the source; what is not given is asked as above */
    against: z
      .strictObject({
        prometheus: gateUrl.optional(),
        query: promql.optional(),
        errors: promql.optional(),
        requests: promql.optional(),
      })
      .optional(),
    failures: below50.optional(),
    bad: percent.optional(),
    /** time between two looks, and what `$window` stands for: several times as long as the scrape interval */
    every: everySecond.default(60_000),
    timeout,
    tokenFrom: tokenFrom.optional(),
    onFail,
  })
  .superRefine((it, context) => {
    const say = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    if ((it.query === undefined) === (it.errors === undefined))
      say([], 'needs either `query` with `min` or `max`, or `errors` with `requests`');
    if (it.query !== undefined && it.min === undefined && it.max === undefined)
      say(['query'], 'has neither `min` nor `max`: no value could be wrong');
    if (it.min !== undefined && it.max !== undefined && it.min > it.max) say(['min'], 'is above `max`');
    if (it.errors !== undefined && it.requests === undefined)
      say(['errors'], 'needs `requests` beside it: errors alone are no share');
    for (const name of ['errors', 'requests'] as const) {
      const texts = [it[name], it.against?.[name]];
      if (texts.some((text) => text !== undefined && !text.includes('$window')))
        say(
          [name],
          'must count since the last look: write $window as its range, e.g. increase(http_requests_total[$window])',
        );
    }
    if (it.against && it.side === 'source')
      say(['against'], 'is for `side: target`: the source is what it is compared with');
    if (it.against && Object.keys(it.against).length === 0) say(['against'], 'is empty');
  });

/** How long connections that are still with the source may take to end by themselves, before it is retired. */
export const drainEntry = z
  .strictObject({
    for: duration.default(5 * 60_000),
    /** how many are left; without a question nobody knows, for a load balancer counts none by member */
    prometheus: gateUrl.optional(),
    query: promql.optional(),
    /** so few need not be waited for */
    below: z.number().min(1).default(1),
    tokenFrom: tokenFrom.optional(),
  })
  .superRefine((it, context) => {
    if ((it.prometheus === undefined) !== (it.query === undefined))
      context.addIssue({ code: 'custom', message: 'needs `prometheus` and `query`, or neither' });
  });

export type Drain = z.output<typeof drainEntry>;

const webhook = z.strictObject({
  webhook: gateUrl,
  /** sent as it is */
  metadata: z
    .record(z.string(), z.string())
    .default({})
    .superRefine((it, context) => {
      const name = Object.keys(it).find((key) => SECRET.test(key));
      if (name !== undefined)
        context.addIssue({
          code: 'custom',
          path: [name],
          message: 'looks like a credential: name a variable in `tokenFrom`',
        });
    }),
  every: everySecond.default(30_000),
  timeout,
  tokenFrom: tokenFrom.optional(),
  onFail,
});

const share = z.number().gt(0, 'is not above 0').max(100, 'is above 100');

const approve = z.strictObject({
  /** shares that somebody must say yes to before they are given: one, several, or all */
  approve: z.union([share, z.array(share).min(1), z.literal('all')], {
    error: 'write a share (20), several ([20, 100]) or all',
  }),
});

const capacity = z.strictObject({
  /** headroom on top of what the next share needs */
  capacity: percent,
  /** raises the minimum of the HorizontalPodAutoscaler before the share rises, and puts it back at the end of the hold */
  prescale: z.boolean().default(false),
  every: everySecond.default(15_000),
  /** at its own share the step is fine, so it waits rather than going back */
  onFail: z.enum(['rollback', 'pause']).default('pause'),
});

const KINDS = { probe, prometheus, webhook, approve, capacity };

export const gateEntry = z
  .union([probe, prometheus, webhook, approve, capacity], {
    error: `is no gate: it begins with one of ${Object.keys(KINDS).join(', ')}`,
  })
  .superRefine((it, context) => {
    if (!isProbe(it) && !isPrometheus(it)) return;
    const { ok, bad } = hypothesesOf(it);
    if (bad <= ok || bad >= 1)
      context.addIssue({
        code: 'custom',
        path: ['bad'],
        message: `is not above \`failures\` (${ok * 100}%) and below 100%`,
      });
  });

export type ProbeGate = z.output<typeof probe>;
export type PrometheusGate = z.output<typeof prometheus>;
export type WebhookGate = z.output<typeof webhook>;
export type ApproveGate = z.output<typeof approve>;
export type CapacityGate = z.output<typeof capacity>;
export type Gate = z.output<typeof gateEntry>;
export type GateKind = keyof typeof KINDS;
export type WatchedGate = Exclude<Gate, ApproveGate>;

export const isProbe = (it: Gate): it is ProbeGate => 'probe' in it;
export const isPrometheus = (it: Gate): it is PrometheusGate => 'prometheus' in it;
export const isWebhook = (it: Gate): it is WebhookGate => 'webhook' in it;
export const isApprove = (it: Gate): it is ApproveGate => 'approve' in it;
export const isCapacity = (it: Gate): it is CapacityGate => 'capacity' in it;

export const gateKind = (it: Gate): GateKind =>
  (Object.keys(KINDS) as GateKind[]).find((kind) => kind in it) ?? 'probe';

/** Which kind an entry of a playbook means, by the key that names it. */
export const gateKindOf = (entry: unknown): GateKind | undefined =>
  typeof entry === 'object' && entry !== null
    ? (Object.keys(KINDS) as GateKind[]).find((kind) => kind in entry)
    : undefined;

/** The least share of failures that can be told from none by counting: one in ten thousand. */
const LEAST = 0.0001;

/** Looks at a value come one by one and a bad one says much; requests come by the hundred and one that fails says little. */
export function hypothesesOf(
  gate: ProbeGate | PrometheusGate,
): Required<Pick<Hypotheses, 'ok' | 'bad' | 'toPass' | 'toFail'>> {
  const counts = isProbe(gate) || gate.errors !== undefined;
  const ok = Math.max(LEAST, gate.failures ?? (counts ? 0.001 : 0.05));
  const bad = gate.bad ?? Math.min(Math.max(10 * ok, 0.01), (1 + ok) / 2);
  return { ok, bad, toPass: 3, toFail: 2 };
}

/** How long a hold must be to pass after so many errors, in milliseconds; undefined for gates whose pace is not ours. */
export function leastHold(gate: Gate, errors = 0): number | undefined {
  if (!isProbe(gate) && !isPrometheus(gate)) return undefined;
  const hypotheses = hypothesesOf(gate);
  const counts = isPrometheus(gate) && gate.errors !== undefined;
  return (counts ? hypotheses.toPass : errors + cleanToPass(hypotheses, errors)) * gate.every;
}
