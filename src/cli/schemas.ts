import { z } from 'zod';
import { playbookSchema } from '../playbook.js';
import type { CliEvent } from './events.js';

/** The schemas that are published for editors and for programs: of a playbook, and of a line of `-o json`. */

const DRAFT = 'draft-2020-12' as const;

export const playbookJsonSchema = (): object => ({
  ...z.toJSONSchema(playbookSchema, { target: DRAFT, io: 'input', unrepresentable: 'any' }),
  title: 'Playbook of migrate, migrate/v1alpha1',
});

export const eventJsonSchema = (): object => ({
  ...z.toJSONSchema(lineSchema, { target: DRAFT, io: 'output', unrepresentable: 'any' }),
  title: 'One line of `migrate COMMAND -o json`; the last one is always of type `ended`',
});

const percent = z.number().min(0).max(100);
const count = z.int().min(0);
const side = z.looseObject({ context: z.string(), version: z.string(), nodes: count });
const members = z.object({ members: count, weight: count });
/** `asked`, `reachable`, `measured`; null where every weight is 0 */
const figures = { asked: percent, reachable: percent, measured: percent.nullable() };

const finding = z.looseObject({
  about: z.string(),
  saw: z.string(),
  severity: z.enum(['warn', 'refuse']),
  want: z.string().optional(),
  breaks: z.string().optional(),
  fix: z.string().optional(),
  waivedBy: z.object({ owner: z.string(), until: z.string(), because: z.string() }).optional(),
});
const outcome = z.enum(['pass', 'warn', 'refuse', 'unknown', 'skipped', 'waived']);
const result = z.looseObject({
  check: z.string(),
  group: z.string(),
  asks: z.string(),
  before: z.enum(['data', 'traffic']),
  outcome,
  findings: z.array(finding),
  why: z.string().optional(),
});
const report = z.looseObject({ results: z.array(result), counts: z.record(outcome, count), ready: z.boolean() });

const step = z.looseObject({
  id: z.string(),
  kind: z.string(),
  phase: z.enum(['data', 'traffic', 'complete']),
  args: z.unknown(),
  after: z.array(z.string()),
});
const row = z.looseObject({
  step: z.string(),
  phase: z.string(),
  does: z.string(),
  wayBack: z.string(),
  noReturn: z.string().optional(),
  asked: percent.optional(),
  reachable: percent.optional(),
  how: z.string().optional(),
});

const holding = {
  elapsedMs: z.number(),
  holdMs: z.number(),
  leastMs: z.number().optional(),
  next: percent.optional(),
  back: percent.optional(),
};
const bySide = z.strictObject({ requests: count, errors: count });
const evidence = z.strictObject({
  asked: z.string(),
  requests: count.optional(),
  errors: count.optional(),
  sides: z.strictObject({ source: bySide.optional(), target: bySide.optional() }).optional(),
  buckets: count.optional(),
  score: z.number().optional(),
  missing: count.optional(),
  values: z.array(z.number().nullable()).optional(),
  last: z.string().optional(),
});

const previewAction = z.enum(['create', 'change', 'skip', 'refuse', 'unknown']);

const reportLine = z.strictObject({ check: z.string(), severity: z.string(), about: z.string() });

const bodies = {
  started: {
    command: z.string(),
    name: z.string(),
    digest: z.string(),
    steps: count,
    source: z.string(),
    target: z.string(),
    resumed: z.boolean(),
  },
  playbook: { name: z.string(), file: z.string() },
  preflight: {
    report,
    source: side,
    target: side,
    tookMs: z.number(),
    calls: count,
    diff: z.strictObject({ fresh: z.array(reportLine), gone: z.array(reportLine) }).optional(),
    leftOut: count.optional(),
    wrote: count.optional(),
  },
  plan: {
    plan: z.looseObject({ schemaVersion: z.literal(1), name: z.string(), digest: z.string(), steps: z.array(step) }),
    rows: z.array(row),
  },
  preview: {
    preview: z.looseObject({
      rows: z.array(
        z.looseObject({
          about: z.string(),
          kind: z.string(),
          to: z.string().optional(),
          action: previewAction,
          changes: z
            .array(
              z.looseObject({
                path: z.string(),
                from: z.unknown().optional(),
                to: z.unknown().optional(),
                by: z.string(),
              }),
            )
            .optional(),
          reason: z.string().optional(),
          why: z.string().optional(),
        }),
      ),
      counts: z.record(previewAction, count),
    }),
  },
  step: {
    step: z.string(),
    state: z.enum(['begun', 'progress', 'done', 'failed', 'waiting', 'undoing', 'undone', 'skipped']),
    title: z.string(),
    note: z.string().optional(),
  },
  share: {
    step: z.string(),
    service: z.string(),
    ...figures,
    source: members,
    target: members,
    clients: percent.optional(),
  },
  gate: {
    step: z.string(),
    gate: z.string(),
    state: z.enum(['pass', 'fail', 'wait']),
    why: z.string(),
    evidence: evidence.optional(),
  },
  hold: { step: z.string(), ...holding },
  warning: { what: z.string(), fix: z.string().optional() },
  error: {
    code: z.string(),
    what: z.string(),
    why: z.string(),
    do: z.string(),
    now: z.string(),
    stack: z.string().optional(),
  },
  valid: {
    file: z.string(),
    name: z.string(),
    source: z.string(),
    target: z.string(),
    namespaces: z.array(z.string()),
    services: z.array(z.string()),
    steps: z.array(percent),
  },
  explained: {
    code: z.string(),
    kind: z.enum(['check', 'error']),
    lang: z.enum(['en', 'zh']),
    asks: z.string().optional(),
    outcome: z.string(),
    why: z.string(),
    how: z.string().optional(),
    do: z.string(),
    sources: z.array(z.string()),
  },
  explainable: {
    checks: z.array(z.object({ code: z.string(), asks: z.string() })),
    errors: z.array(z.object({ code: z.string(), means: z.string() })),
  },
  status: {
    name: z.string(),
    state: z.enum(['none', 'running', 'stopped', 'undoing', 'moved', 'completed']),
    done: count,
    steps: count,
    open: z.array(z.looseObject({ step: z.string(), state: z.string(), since: z.string() })),
    debts: z.array(z.string()),
    waiting: z.string().optional(),
    watching: z
      .array(
        z.looseObject({
          step: z.string(),
          title: z.string(),
          share: z.looseObject({ service: z.string(), ...figures, source: members, target: members }).optional(),
          hold: z.looseObject(holding).optional(),
          gates: z.array(z.looseObject({ gate: z.string(), state: z.enum(['pass', 'fail', 'wait']), why: z.string() })),
        }),
      )
      .optional(),
    lock: z.object({ owner: z.string(), host: z.string(), pid: z.int(), ageMs: z.number() }).optional(),
    shares: z.array(
      z.object({ service: z.string(), where: z.string(), target: percent.nullable(), why: z.string().optional() }),
    ),
    next: z.string(),
    back: z.string().optional(),
  },
  doctor: {
    name: z.string(),
    looked: z.array(
      z.object({
        step: z.string(),
        journal: z.string(),
        world: z.enum(['as recorded', 'differs', 'half done', 'unknown']),
        why: z.string().optional(),
      }),
    ),
    debts: z.array(z.string()),
    sound: z.boolean(),
  },
  written: { file: z.string(), what: z.string() },
  twin: {
    kubeconfig: z.string(),
    contexts: z.object({ source: z.string(), target: z.string() }),
    environment: z.record(z.string(), z.string()),
  },
  ended: {
    outcome: z.enum(['done', 'refused', 'stopped', 'waiting', 'interrupted', 'failed']),
    exit: z.int().min(0).max(130),
    requests: z
      .object({ sent: count, failed: count, source: count, target: count, longestPauseMs: z.number() })
      .optional(),
    share: z.object(figures).optional(),
    calls: z.object({ reads: count, writes: count }).optional(),
    tookMs: z.number().optional(),
    virtualMs: z.number().optional(),
    serving: z.string().optional(),
    next: z.string().optional(),
    back: z.string().optional(),
    output: z.string().optional(),
    digest: z.string().optional(),
    seed: z.int().optional(),
    same: z.boolean().optional(),
  },
} satisfies Record<CliEvent['type'], z.core.$ZodLooseShape>;

const line = <Type extends keyof typeof bodies>(type: Type) =>
  z.strictObject({ schemaVersion: z.literal(1), at: z.iso.datetime(), type: z.literal(type), ...bodies[type] });

/** Strict at the top, so that a field that nobody has described fails the tests. */
export const lineSchema = z.discriminatedUnion('type', [
  line('started'),
  line('playbook'),
  line('preflight'),
  line('plan'),
  line('step'),
  line('share'),
  line('gate'),
  line('hold'),
  line('warning'),
  line('error'),
  line('valid'),
  line('explained'),
  line('explainable'),
  line('status'),
  line('doctor'),
  line('written'),
  line('twin'),
  line('ended'),
]);
