import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Emit, EventBody } from '../events.js';
import { writeWhole } from './session.js';
import type { ShareNow } from './views/shares.js';

/** What a run that is under way says of its shares, for `migrate status` of another process: a small file beside the journal. */

const FILE = 'watching.json';
const EVERY_MS = 1000;
const ENDED: ReadonlySet<string> = new Set(['done', 'failed', 'waiting', 'undone', 'skipped']);

export interface Watching {
  emit: Emit;
  close(): void;
}

export function watchingIn(dir: string, emit: Emit): Watching {
  const file = path.join(dir, FILE);
  const open = new Map<string, ShareNow>();
  let due: NodeJS.Timeout | undefined;
  const write = () => {
    due = undefined;
    try {
      writeWhole(file, JSON.stringify([...open.values()]));
    } catch {
      // Nobody's run fails because somebody may want to look at it.
    }
  };
  return {
    emit(event) {
      emit(event);
      if (!folds(open, event)) return;
      due ??= setTimeout(write, EVERY_MS).unref();
    },
    close() {
      clearTimeout(due);
      rmSync(file, { force: true });
    },
  };
}

/** Shares under way there, as they were last told; none where nobody says so. */
export function readWatching(dir: string): ShareNow[] {
  try {
    return JSON.parse(readFileSync(path.join(dir, FILE), 'utf8')) as ShareNow[];
  } catch {
    return [];
  }
}

/** Takes an event into what is under way; false where it says nothing of a share. */
function folds(open: Map<string, ShareNow>, event: EventBody): boolean {
  if (event.type === 'step' && ENDED.has(event.state)) return open.delete(event.step);
  if (event.type === 'step' && event.state === 'undoing' && open.has(event.step)) {
    const it = open.get(event.step);
    if (it) open.set(event.step, { ...it, undoing: true });
    return true;
  }
  if (event.type !== 'share' && event.type !== 'hold' && event.type !== 'gate') return false;
  const it = open.get(event.step) ?? { step: event.step, title: event.step, gates: [] };
  if (event.type === 'share') it.share = event;
  if (event.type === 'hold') it.hold = event;
  if (event.type === 'gate') it.gates = [...it.gates.filter((one) => one.gate !== event.gate), event];
  open.set(event.step, it);
  return true;
}
