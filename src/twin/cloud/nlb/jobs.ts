import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import type { Context } from '../product.js';

interface Busy {
  busyUntilMs: number;
}

/**
 * Refuses over the wire while an earlier job is still at work on the thing. Which of the documented codes the real product gives when
 * is not said; each kind of write here has one, so that a client meets them all.
 */
export function checkIdle(thing: Busy, { clock, via }: Context, code: string): void {
  if (via === 'wire' && clock.now() < thing.busyUntilMs)
    refuse(400, code, 'The status of the resource does not allow the operation: another one is under way.');
}

/**
 * An asynchronous write: `begin` is seen at once, `end` when the job is done. A job that fails takes `begin` back.
 *
 * Calls of the twin's own controllers end at once, for a reconcile takes no time on the clock; to clients the thing stays busy
 * meanwhile.
 */
export function startJob(
  context: Context,
  action: string,
  { about, busy, begin, end, fail }: { about: string; busy: Busy[]; begin?(): void; end(): void; fail?(): void },
): { JobId: string } {
  const { clock, state, ids, rates, via, failsJob } = context;
  const now = clock.now();
  const JobId = ids('job', action, about);
  const fails = failsJob(action, about);
  for (const it of busy) it.busyUntilMs = now + rates.nlbJobMs;
  begin?.();
  const job: Json = { id: JobId, status: 'Processing', doneMs: via === 'direct' ? now : now + rates.nlbJobMs };
  job.end = () => {
    job.status = fails ? 'Failed' : 'Succeeded';
    if (fails) fail?.();
    else end();
  };
  state.nlb.jobs.set(JobId, job);
  if (job.doneMs <= now) job.end();
  return { JobId };
}
