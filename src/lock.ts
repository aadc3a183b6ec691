import { readFileSync, renameSync, rmSync, writeFileSync, mkdirSync, linkSync } from 'node:fs';
import path from 'node:path';
import { MigrateError } from './errors.js';
import { spell } from './words.js';

/** One writer for a plan: owner, heartbeat and a fencing token that grows with each holder. */
export interface LockInfo {
  owner: string;
  host: string;
  pid: number;
  token: number;
  /** milliseconds since 1970 */
  beat: number;
}

export interface Lock {
  info: LockInfo;
  beat(): void;
  /** Asked before each write of the journal. @throws MigrateError LOCK_LOST */
  mustHold(): void;
  release(): void;
}

/** A lock whose heartbeat is older may be taken over, by naming its owner. */
export const STALE_MS = 60_000;
export const BEAT_MS = 5000;

/**
 * @param takeOver  owner of the stale lock that the operator means to break
 * @throws MigrateError LOCK_HELD
 */
export function takeLock(
  file: string,
  me: { owner: string; host: string; pid: number },
  options: { now: () => number; takeOver?: string; alive(pid: number): boolean },
): Lock {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const held = readLock(file);
  if (held) {
    const age = options.now() - held.beat;
    // A process of this machine that is gone can't write any more; anything else needs a person who knows.
    const dead = held.host === me.host && !options.alive(held.pid);
    const named = options.takeOver === held.owner && age > STALE_MS;
    if (!dead && !named) {
      throw new MigrateError('LOCK_HELD', {
        what: `${held.owner} holds this plan: process ${held.pid} on ${held.host}, last sign of life ${spell(Math.max(0, age))} ago.`,
        why: 'Two writers at once would each undo what the other does.',
        fix:
          age > STALE_MS
            ? `If that process is surely gone: the same command with --take-over ${held.owner}.`
            : 'Wait until it ends, or watch it: `migrate status --watch`.',
      });
    }
    rmSync(file, { force: true });
  }
  const info: LockInfo = { ...me, token: (held?.token ?? 0) + 1, beat: options.now() };
  if (!createWhole(file, info)) {
    throw new MigrateError('LOCK_HELD', {
      what: 'Someone else took this plan at the same moment.',
      why: 'Two writers at once would each undo what the other does.',
      fix: 'See who: `migrate status`.',
    });
  }
  const mustHold = () => {
    const now = readLock(file);
    if (now?.token === info.token && now.owner === info.owner && now.pid === info.pid && now.host === info.host) return;
    throw new MigrateError('LOCK_LOST', {
      what: now ? `${now.owner} took this plan over.` : 'The lock of this plan is gone.',
      why: 'This process was taken for dead; it must not write any more.',
      fix: 'See where it stands: `migrate status`.',
    });
  };
  return {
    info,
    mustHold,
    beat() {
      mustHold();
      info.beat = options.now();
      replaceWhole(file, info);
    },
    release() {
      if (readLock(file)?.token === info.token) rmSync(file, { force: true });
    },
  };
}

export function readLock(file: string): LockInfo | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as LockInfo;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MigrateError('LOCK_BROKEN', {
      what: `The lock ${file} can't be read.`,
      why: 'It was changed by hand or damaged.',
      fix: 'Make sure that nobody runs this plan, then delete that file.',
    });
  }
}

/** A link to a finished file appears whole or not at all, and fails where one is already. */
function createWhole(file: string, info: LockInfo): boolean {
  const draft = `${file}.${info.pid}`;
  writeFileSync(draft, JSON.stringify(info), { mode: 0o600 });
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function replaceWhole(file: string, info: LockInfo): void {
  const draft = `${file}.${info.pid}`;
  writeFileSync(draft, JSON.stringify(info), { mode: 0o600 });
  renameSync(draft, file);
}
