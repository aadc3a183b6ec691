import type { Context } from '../product.js';
import type { Snapshot } from '../state.js';

const DAY_MS = 86_400_000;

/** The longest that one may be asked to be kept. */
export const RETENTION_DAYS = 65_536;

/**
 * Complete when its time has come, unless somebody deleted it or its source went away meanwhile.
 *
 * @param fails  it ends halfway instead
 */
export function finishLater(snapshot: Snapshot, fails: boolean, { state, clock }: Context): void {
  const takesMs = snapshot.readyMs - clock.now();
  const isUnderWay = (): boolean => state.snapshots.get(snapshot.id) === snapshot && snapshot.status === 'progressing';
  const end = (status: Snapshot['status']) => () => {
    if (!isUnderWay()) return;
    snapshot.endedMs = clock.now();
    snapshot.status = status;
  };
  if (fails) {
    clock.after(takesMs / 2, end('failed'));
    return;
  }
  clock.after(takesMs, () => {
    const source = snapshot.sourceSnapshot;
    end(source !== '' && !state.snapshots.has(source) ? 'failed' : 'accomplished')();
  });
}

/** Those whose RetentionDays are over are gone. Nobody waits for that: they go when somebody looks. */
export function releaseExpired({ state, clock }: Context): void {
  for (const it of state.snapshots.values()) {
    if (it.retentionDays !== undefined && it.createdMs + it.retentionDays * DAY_MS <= clock.now())
      state.snapshots.delete(it.id);
  }
}
