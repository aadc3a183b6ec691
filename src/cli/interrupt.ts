/**
 * Ctrl-C: the first stops at the next safe point, the second says what a third would cost, the third kills. Where nothing is written there
 * is nothing to be careful about, so the first ends it.
 */
export interface Interrupts {
  stopping(): boolean;
  /** rejects at the first Ctrl-C of a command that writes nothing; never settles otherwise */
  cut: Promise<never>;
  dispose(): void;
}

/** A command that only looks was cut short. */
export class Cut extends Error {
  override name = 'Cut';
}

const COSTS =
  'A third Ctrl-C ends this process at once. A step that is under way stays half done: its way back is in the journal already, so `migrate run` goes on from there and `migrate rollback` goes back; until then the share stays as it is at the load balancer.';

export function onInterrupt(writes: boolean, note: (text: string) => unknown, kill: () => void): Interrupts {
  let presses = 0;
  let reject: (error: Cut) => void = () => undefined;
  const cut = new Promise<never>((_resolve, fail) => (reject = fail));
  cut.catch(() => undefined);
  const pressed = () => {
    presses++;
    if (!writes) reject(new Cut());
    else if (presses === 1)
      note('Stopping at the next safe point. What is under way is finished first; press again to see what that costs.');
    else if (presses === 2) note(COSTS);
    else kill();
  };
  process.on('SIGINT', pressed).on('SIGTERM', pressed);
  return {
    stopping: () => writes && presses > 0,
    cut,
    dispose: () => void process.off('SIGINT', pressed).off('SIGTERM', pressed),
  };
}
