import type { FrontRequest } from '../fronts.js';
import type { ControllerClock } from '../controllers/queue.js';

/** What a proxy works by: the objects as they were `lagMs` ago. */
export function lagging<T>(clock: ControllerClock, lagMs: number, make: () => T): { now(): T; touch(): void } {
  let value = make();
  return {
    now: () => value,
    touch() {
      const next = make();
      clock.after(lagMs, () => {
        value = next;
      });
    },
  };
}

/** A drawn one, by weight; undefined when the weights add up to nothing. */
export function drawn<T extends { weight: number }>(of: readonly T[], random: () => number): T | undefined {
  let at = random() * of.reduce((sum, it) => sum + it.weight, 0);
  return of.find((it) => it.weight > 0 && (at -= it.weight) < 0);
}

/** Whether a path lies below a prefix, by whole segments. */
export const isBelow = (path: string, prefix: string): boolean => {
  const bare = prefix.replace(/\/+$/, '');
  return path === bare || path.startsWith(`${bare}/`);
};

export function cookiesOf({ headers }: FrontRequest): Record<string, string> {
  const pairs = (headers['cookie'] ?? '').split(';').map((it) => it.split('='));
  return Object.fromEntries(pairs.map(([name, value]) => [(name ?? '').trim(), (value ?? '').trim()]));
}

/** A crowd's own request: what its seed says that every one of them carries. */
export const crowdRequest = ({ path = '/', headers = {} }: Partial<FrontRequest>): FrontRequest => ({
  path,
  headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
});
