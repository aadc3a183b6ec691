import type { Clock } from '../ports.js';

/** Lets calls out no faster than the cloud takes them, in the order in which they were asked for. */
export interface Pace {
  /** Settles when a call of that action may go. */
  turn(action: string): Promise<void>;
  /** The cloud refused one as too many: others of its kind wait too. */
  refused(action: string, pauseMs: number): void;
}

/** Calls of one account in one region in 60 s, by action. */
type CallsAMinute = (action: string) => number;

const describes = (action: string): boolean => /^(?:Describe|List)/.test(action);

/**
 * What only describes has 3000; what changes a group or its members has 90.
 *
 * @source www.alibabacloud.com/help/en/slb/classic-load-balancer/developer-reference/api-slb-2014-05-15-quota
 */
export const slbCalls: CallsAMinute = (action) => (describes(action) ? 3000 : 90);

/**
 * CopySnapshot has 1000. Of the others the account's own Quota Center tells; these are what we take of them.
 *
 * @source api.aliyun.com/document/Ecs/2014-05-26/CopySnapshot, www.alibabacloud.com/help/doc-detail/437902.htm
 */
export const ecsCalls: CallsAMinute = (action) => (action === 'CopySnapshot' ? 1000 : describes(action) ? 600 : 200);

/** Of that, so many a minute steadily, and those of so long a time at once; the rest is for the clusters' controllers and for consoles. */
const [STEADILY, AT_ONCE_MS] = [0.6, 20_000];

/** Each action has a count of its own, so a write never waits for reads. */
export function paceOf(clock: Clock, limitOf: CallsAMinute): Pace {
  /** when the next call of an action would go if all went steadily */
  const due = new Map<string, number>();
  const steadilyFrom = (action: string) => Math.max(due.get(action) ?? 0, clock.now());

  return {
    async turn(action) {
      const at = steadilyFrom(action);
      // A place in the line is taken here and now, so whoever asked first goes first.
      due.set(action, at + 60_000 / (STEADILY * limitOf(action)));
      const waitMs = at - AT_ONCE_MS - clock.now();
      if (waitMs > 0) await clock.sleep(waitMs);
    },

    refused(action, pauseMs) {
      due.set(action, Math.max(steadilyFrom(action), clock.now() + AT_ONCE_MS + pauseMs));
    },
  };
}
