import { z } from 'zod';
import { MigrateError } from '../errors.js';
import type { Playbook } from '../playbook.js';
import { otherSide, SIDES, type Side, type World } from '../ports.js';
import {
  measured,
  type Ask,
  type Choice,
  type Part,
  type Route,
  type Router,
  type Split,
  wakesLater,
} from '../router.js';
import type { EntryOf } from '../routes.js';
import type { StepContext } from '../step.js';
import { points, spell } from '../words.js';
import { readyPods, SLICE_RIGHTS } from './services.js';

/**
 * Any other load balancer, driven by a program of the operator's own: we ask it in JSON to read and to write two weights, and believe
 * nothing but what it reads afterwards. docs/exec-router.md says what it must promise.
 */

export interface ExecRoute extends Route {
  router: 'exec';
  command: string[];
  deadlineMs: number;
  /** the two weights add up to this */
  sum: number;
  splits: 'connections' | 'requests' | 'answers';
  bitesMs: number;
  contexts: Record<Side, string>;
  /** handed on to the program as they are */
  options: Record<string, unknown>;
}

export type ExecSetting = Record<Side, number>;

const portion = z.strictObject({
  members: z.int().min(0),
  weight: z.number().min(0),
});

const EMPTY = { members: 0, weight: 0 };

const answerToRead = z.strictObject({
  /** the target is in, with whatever weight */
  joined: z.boolean(),
  weights: z.strictObject({ source: z.number().min(0), target: z.number().min(0) }),
  /** where the share is split, if in several places or among several members */
  splits: z
    .array(
      z.strictObject({ where: z.string().min(1), source: portion, target: portion, others: portion.default(EMPTY) }),
    )
    .optional(),
  /** how many servers stand ready on each side; those behind the two Services when it doesn't say */
  ready: z.strictObject({ source: z.int().min(0), target: z.int().min(0) }).optional(),
});

const answerToDo = z.looseObject({});

type Verb = 'read' | 'join' | 'unjoin' | 'write' | 'leave' | 'unleave';

export const exec: Router<ExecRoute, ExecSetting> = {
  name: 'exec',
  traits: ({ sum, splits, bitesMs }) => ({
    unit: 'weight',
    min: 0,
    max: sum,
    zero: 'weight',
    splits,
    proof: 'load-balancer',
    bitesMs,
  }),

  routes: (entries, playbook) => entries.filter((it) => it.router === 'exec').map((it) => routeOf(it, playbook)),
  foresee: (route, ask, from) => chooseExec(route, ask, from ?? { source: route.sum, target: 0 }),
  rights: () => ({ source: SLICE_RIGHTS, target: SLICE_RIGHTS }),

  joined: async (route, world) => (await read(route, world)).joined,
  join: part('join', 'unjoin', {
    title: ({ service }) => `${service}: the target comes in at weight 0, by the program`,
    wayBack: () => 'the program takes it out',
    wrong: ({ joined, weights }) =>
      joined && weights.target === 0
        ? undefined
        : joined
          ? `the target has weight ${weights.target}`
          : 'the target is not in',
  }),
  leave: part('leave', 'unleave', {
    title: ({ service }) => `${service}: the source goes out, by the program`,
    wayBack: () => 'the program brings it in again, at weight 0',
    wrong: ({ weights }) => (weights.source === 0 ? undefined : `the source still has weight ${weights.source}`),
  }),

  async ready(route, side, world) {
    const { ready } = await read(route, world);
    return ready?.[side] ?? readyPods(route, side, world);
  },

  async read(route, world) {
    const { weights, splits } = await read(route, world);
    return { setting: weights, splits: splits ?? [splitOf(route, weights)] };
  },

  choose: async (route, ask, { setting }) => chooseExec(route, ask, setting),

  async write(route, { setting }, context) {
    await putWeights(route, setting, context);
  },

  async restore(route, was, context) {
    const { setting: now } = await exec.read(route, context.world);
    if (now.source === was.source && now.target === was.target) return [];
    for (const side of SIDES)
      if (shareOf(was, side) > shareOf(now, side) && (side === 'target' || !wakesLater(route, context)))
        await mustServe(side, route, context.world);
    await putWeights(route, was, context);
    return [];
  },
};

const routeOf = (it: EntryOf<'exec'>, playbook: Playbook): ExecRoute => ({
  router: 'exec',
  service: it.service,
  command: it.command,
  deadlineMs: it.deadline,
  sum: it.sum,
  splits: it.splits,
  bitesMs: it.bites,
  contexts: { source: playbook.source.context, target: playbook.target.context },
  options: it.options,
});

const splitOf = ({ service, command }: ExecRoute, weights: ExecSetting): Split => ({
  where: `${command[0]} ${service}`,
  source: { members: 1, weight: weights.source },
  target: { members: 1, weight: weights.target },
  others: EMPTY,
});

const shareOf = ({ source, target }: ExecSetting, side: Side) =>
  (side === 'source' ? source : target) / (source + target);

function chooseExec(
  { sum }: ExecRoute,
  { asked, tolerance }: Ask,
  from: ExecSetting,
):
  | Choice<ExecSetting>
  | {
      below: number;
      above: number;
      why: string;
      fix: string;
    } {
  const exact = (sum * asked) / 100;
  const target = Math.round(exact);
  const reachable = (100 * target) / sum;
  if (Math.abs(reachable - asked) > tolerance + 1e-9) {
    return {
      below: (100 * Math.floor(exact)) / sum,
      above: (100 * Math.ceil(exact)) / sum,
      why: `The two weights are whole numbers that add up to ${sum}`,
      fix: "Ask for one of the nearest, or raise the entry's `sum` if the load balancer takes finer weights.",
    };
  }
  const setting = { source: sum - target, target };
  const same = setting.source === from.source && setting.target === from.target;
  const grows: Side = shareOf(setting, 'target') >= shareOf(from, 'target') ? 'target' : 'source';
  return {
    setting,
    reachable,
    order: same ? [] : [grows, otherSide(grows)],
    how: `source ${setting.source}, target ${setting.target}`,
  };
}

/** One question to the program. @throws MigrateError PROGRAM_FAILED, PROGRAM_ANSWER */
async function ask<T>(
  route: ExecRoute,
  verb: Verb,
  schema: z.ZodType<T>,
  { programs }: Pick<World, 'programs'>,
  weights?: ExecSetting,
): Promise<T> {
  const { command, service, contexts, options, deadlineMs } = route;
  const question = { schemaVersion: 1, verb, service, contexts, options, ...(weights && { weights }) };
  const text = await programs.run(command, question, deadlineMs);
  const parsed = schema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new MigrateError('PROGRAM_ANSWER', {
    what: `${command[0]} gave no answer to \`${verb}\` that we can read: ${issue?.path.join('.') || 'it'} ${issue?.message ?? ''}.`,
    why: 'An answer that is not understood is never taken for a yes.',
    fix: 'Make it answer as docs/exec-router.md says; what it wants to tell people belongs on standard error.',
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const read = (route: ExecRoute, world: World) => ask(route, 'read', answerToRead, world);

const SHOWN_MS = 60_000;

/** @throws MigrateError WEIGHT_NOT_TAKEN */
async function putWeights(route: ExecRoute, wanted: ExecSetting, { world, progress }: StepContext): Promise<void> {
  const { weights } = await read(route, world);
  if (weights.source !== wanted.source || weights.target !== wanted.target) {
    progress(`source ${wanted.source}, target ${wanted.target}`);
    await ask(route, 'write', answerToDo, world, wanted);
  }
  await untilRead(route, world, (it) => {
    const seen = (it.splits ?? [splitOf(route, it.weights)]).map(measured);
    if (it.weights.source !== wanted.source || it.weights.target !== wanted.target)
      return `it reads source ${it.weights.source}, target ${it.weights.target}`;
    const share = (100 * wanted.target) / (wanted.source + wanted.target);
    // Members of one side may round; a place that gives everything to the wrong side has not taken it.
    const wrong = seen.find((one) => Math.abs(one - share) > 50);
    return wrong === undefined ? undefined : `a place of it sends ${points(wrong)} % to the target`;
  });
}

async function untilRead(
  route: ExecRoute,
  world: World,
  wrong: (answer: z.output<typeof answerToRead>) => string | undefined,
): Promise<void> {
  const deadline = world.clock.now() + SHOWN_MS;
  for (let pause = 250; ; pause = Math.min(pause * 2, 4000)) {
    const late = wrong(await read(route, world));
    if (late === undefined) return;
    if (world.clock.now() >= deadline) {
      throw new MigrateError('WEIGHT_NOT_TAKEN', {
        what: `${route.command[0]} was told for ${route.service}, and ${spell(SHOWN_MS)} later ${late}.`,
        why: 'The load balancer has not taken it, something else writes it too, or the program reads something else than it writes.',
        fix: 'Look at the load balancer itself, then run again.',
      });
    }
    await world.clock.sleep(pause);
  }
}

interface PartWords {
  title(route: ExecRoute): string;
  wayBack(route: ExecRoute): string;
  wrong(answer: z.output<typeof answerToRead>): string | undefined;
}

function part(verb: Verb, back: Verb, { title, wayBack, wrong }: PartWords): Part<ExecRoute, { joined: boolean }> {
  return {
    title,
    wayBack,
    async check(route, { world }) {
      const answer = await read(route, world);
      if (verb === 'leave') {
        const late = wrong(answer);
        if (late !== undefined)
          throw new MigrateError('SOURCE_STILL_SERVES', {
            what: `${route.service}: ${late}.`,
            why: 'The source may only go once nobody is sent to it any more.',
            fix: 'Shift to 100 % first.',
          });
      } else if (answer.joined && answer.weights.target > 0) {
        throw new MigrateError('SERVICE_LIVE_ALREADY', {
          what: `The target of ${route.service} is in already, with weight ${answer.weights.target}.`,
          why: 'It takes traffic now; joining at 0 would take that away unasked.',
          fix: 'Set its weight to 0 yourself first, or shift from where it is: `migrate shift`.',
        });
      }
      return { joined: answer.joined };
    },
    async apply(route, _before, { world }) {
      // In already, it may have a share by now.
      if (verb === 'join' && (await read(route, world)).joined) return;
      await ask(route, verb, answerToDo, world);
    },
    verify: (route, _before, { world }) => untilRead(route, world, wrong),
    async undo(route, { joined }, { world }) {
      if (verb === 'join' && joined) return [];
      await ask(route, back, answerToDo, world);
      return [];
    },
  };
}

/** @throws MigrateError SIDE_CANNOT_SERVE */
async function mustServe(side: Side, route: ExecRoute, world: World): Promise<void> {
  if ((await exec.ready(route, side, world)) > 0) return;
  throw new MigrateError('SIDE_CANNOT_SERVE', {
    what: `The ${side} has nobody ready behind ${route.service}; it gets no traffic.`,
    why: `Going back would send traffic to a side that can't serve; the ${otherSide(side)} serves now.`,
    fix: `Bring it up on the ${side}, then go back again.`,
  });
}
