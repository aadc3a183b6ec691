import { spell } from '../src/words.js';
import { moveMany, type Moved } from './many.js';

/**
 * What 300 Services in one plan cost, behind 15 load balancers, under the limits that the cloud sets to calls. Figures, never verdicts.
 * `npm run bench -- services`; it takes some minutes.
 */
export async function services(): Promise<void> {
  const [count, loadBalancers] = [300, 15];
  for (const [what, entry] of [
    ['by Services', 'weights: service'],
    ['by members', 'weights: member'],
  ] as const) {
    const began = performance.now();
    const moved = await moveMany({
      services: count,
      loadBalancers,
      pods: 1,
      traffic: 'steps: [50, 100]\n  hold: 10m',
      entry,
    });
    tell(`${count} services, ${what}`, moved, count);
    line('  measured in', `${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
}

const line = (what: string, figure: string) => console.log(`${what.padEnd(52)} ${figure}`);

function tell(what: string, { plan, calls, tookMs, waits }: Moved, services: number): void {
  const shifts = plan.steps.filter((it) => it.kind === 'shift').length;
  const of = (to: string, writes: boolean) => calls.filter((it) => it.to === to && it.writes === writes).length;
  const each = (to: string, writes: boolean) => (of(to, writes) / services).toFixed(1);
  line(`${what}, ${shifts} shifts: time on the clock`, spell(tookMs));
  line(
    '  calls a service to the clusters',
    `${each('source', false)} + ${each('target', false)} reads, ${each('source', true)} + ${each('target', true)} writes`,
  );
  line('  calls a service to the cloud', `${each('cloud', false)} reads, ${each('cloud', true)} writes`);
  const verbs = new Map<string, number>();
  for (const it of calls.filter((one) => one.to === 'cloud')) verbs.set(it.verb, (verbs.get(it.verb) ?? 0) + 1);
  line('  calls to the cloud', [...verbs].map(([verb, n]) => `${verb} ${n}`).join(', '));
  line(
    '  the busiest minute',
    `${busiest(calls.filter((it) => it.to === 'cloud').map((it) => it.at))} calls to the cloud`,
  );
  line('  throttled', String(calls.filter((it) => it.throttled).length));
  line('  the longest that a service waited for its step', spell(Math.max(...waits.values())));
}

/** In any 60 s of the clock. */
function busiest(times: readonly number[]): number {
  let [first, most] = [0, 0];
  for (const [last, at] of times.entries()) {
    while (at - (times[first] ?? at) >= 60_000) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
