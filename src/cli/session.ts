import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileStore, openJournal, type Journal } from '../journal.js';
import { BEAT_MS, takeLock, type Lock } from '../lock.js';
import { parsePlan, type Plan } from '../plan.js';

/** What a playbook's runs leave on disk: `.migrate/<name>/` with journal.jsonl, plan.json and, while somebody writes, lock.json. */
export interface Session {
  dir: string;
  journal: Journal;
  plan(): Plan | undefined;
  savePlan(plan: Plan): void;
  /** Undone and done with: the journal is put aside, so that the next run starts a new one. */
  archive(): void;
  close(): void;
}

export interface SessionOptions {
  /** `.migrate` by default */
  stateDir?: string;
  takeOver?: string;
  /** only to look: no lock, nothing is written */
  readOnly?: boolean;
}

const STATE_DIR = '.migrate';

/** @throws MigrateError LOCK_HELD, LOCK_BROKEN, JOURNAL_BROKEN */
export function openSession(
  name: string,
  { stateDir = process.env['MIGRATE_STATE'] ?? STATE_DIR, takeOver, readOnly = false }: SessionOptions = {},
): Session {
  const dir = path.join(stateDir, name);
  const now = () => Date.now();
  const lock = readOnly ? undefined : lockIn(dir, now, takeOver);
  const file = path.join(dir, 'journal.jsonl');
  const store = fileStore(file);
  const guarded = {
    read: () => store.read(),
    append(line: string) {
      lock?.mustHold();
      store.append(line);
    },
  };
  const planFile = path.join(dir, 'plan.json');
  // A beat that fails says that somebody took over; the next write of the journal says so to the operator.
  const beating = lock && setInterval(() => tryTo(() => lock.beat()), BEAT_MS).unref();

  return {
    dir,
    journal: openJournal(guarded, now),
    plan: () => readPlan(planFile),
    savePlan: (plan) => writeWhole(planFile, `${JSON.stringify(plan, undefined, 2)}\n`),
    archive() {
      const stamp = new Date(now()).toISOString().replaceAll(':', '-');
      tryTo(() => renameSync(file, path.join(dir, `journal-${stamp}.jsonl`)));
      tryTo(() => renameSync(planFile, path.join(dir, `plan-${stamp}.json`)));
    },
    close() {
      if (beating) clearInterval(beating);
      lock?.release();
    },
  };
}

/** Who gives the command, for the lock and for approvals. */
export const whoRuns = (): { owner: string; host: string } => ({
  owner: process.env['MIGRATE_OWNER'] ?? os.userInfo().username,
  host: os.hostname(),
});

function lockIn(dir: string, now: () => number, takeOver: string | undefined): Lock {
  const me = { ...whoRuns(), pid: process.pid };
  return takeLock(path.join(dir, 'lock.json'), me, { now, alive, ...(takeOver !== undefined && { takeOver }) });
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readPlan(file: string): Plan | undefined {
  try {
    return parsePlan(readFileSync(file, 'utf8'), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all, and for the owner's eyes only. */
export function writeWhole(file: string, text: string): void {
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  const draft = `${file}.${process.pid}.draft`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, file);
}

const tryTo = (act: () => void) => {
  try {
    act();
  } catch {
    // The caller's next write meets the same trouble and reports it.
  }
};
