import type { DrainArgs } from '../args.js';
import type { Drain } from '../gates.js';
import { askRange } from '../gates/range.js';
import type { World } from '../ports.js';
import { Interrupted } from '../engine.js';
import type { StepKind } from '../step.js';
import { count, spell } from '../words.js';

/**
 * Weights move new connections alone: those that were open stay with the source until client or server ends them. They get time for it
 * before the source is retired, and what is left then is said. A load balancer counts its connections, but not by member, so how many are the
 * source's only its own metrics can tell.
 *
 * @source https://www.alibabacloud.com/help/en/cms/support/appendix-1-metrics (acs_slb_dashboard: dimensions instanceId, port, protocol, vip)
 */
export const drain: StepKind<DrainArgs, Record<string, never>> = {
  kind: 'drain',
  title: ({ route, drain: { for: ms } }) =>
    `open connections of ${route.service} to the source end, ${spell(ms)} at most`,
  wayBack: () => 'nothing to undo',
  rights: () => ({}),
  check: () => Promise.resolve({}),
  apply: () => Promise.resolve(),

  async verify({ route, drain: wanted }, _before, { world, progress, emit, stopping }) {
    const deadline = world.clock.now() + wanted.for;
    for (;;) {
      const left = await leftOn(wanted, world);
      if (typeof left === 'number' && left < wanted.below) return;
      const until = deadline - world.clock.now();
      if (until <= 0) {
        emit({
          type: 'warning',
          what:
            typeof left === 'number'
              ? `${count(left, 'connection')} of ${route.service} still with the source after ${spell(wanted.for)}: they are cut when it stops.`
              : `How many connections of ${route.service} are still with the source is not known (${left}); they are cut when it stops.`,
        });
        return;
      }
      if (stopping()) throw new Interrupted();
      progress(`${typeof left === 'number' ? `${count(left, 'connection')} left` : left}, ${spell(until)} at most`);
      await world.clock.sleep(Math.min(LOOK_MS, until));
    }
  },

  undo: () => Promise.resolve([]),
};

const LOOK_MS = 15_000;

/** The newest figure, or why there is none. */
async function leftOn({ prometheus, query, tokenFrom }: Drain, { web, clock }: World): Promise<number | string> {
  if (prometheus === undefined || query === undefined) return 'no query is named';
  const end = clock.now() / 1000;
  const answer = await askRange(web, {
    url: prometheus,
    promql: query,
    start: end,
    end,
    step: LOOK_MS / 1000,
    timeoutMs: 10_000,
    side: 'source',
    of: 'value',
    ...(tokenFrom !== undefined && { tokenFrom }),
  });
  if ('trouble' in answer) return answer.trouble;
  const values = answer.points.flat().filter((it) => Number.isFinite(it));
  return values.length === 0 ? 'Prometheus has no data' : values.reduce((sum, it) => sum + it, 0);
}
