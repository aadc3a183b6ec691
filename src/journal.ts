import { fsyncSync, mkdirSync, openSync, readFileSync, writeSync, ftruncateSync } from 'node:fs';
import path from 'node:path';
import { MigrateError } from './errors.js';
import type { Approval, Debt, GateSeen, Step } from './step.js';

/**
 * What was done, written ahead: `begun` with `before` reaches the disk, then apply; `done` comes after verify. Rollback walks the
 * journal, not the plan, so each begun entry holds its whole step.
 */
export type Entry = { seq: number; at: string } & EntryBody;

export type EntryBody =
  | { type: 'opened'; command: string; digest: string; version: string; pins: { source: string; target: string } }
  | { type: 'begun'; step: Step; mark: string; before: unknown }
  | { type: 'verified'; step: string }
  | { type: 'done'; step: string }
  | { type: 'failed'; step: string; code: string; what: string }
  /** what was reached stays, and a person decides; of a step that was not begun nothing is there */
  | { type: 'paused'; step: string; code: string; what: string }
  | { type: 'approved'; step: string; by: string }
  | ({ type: 'gate'; step: string } & GateSeen)
  | { type: 'undoing'; step: string }
  | { type: 'undone'; step: string; owed?: Debt[] }
  | { type: 'paid'; step: string }
  | { type: 'completed'; /** the source was not retired */ both?: true };

/** Lines in, lines out; a file in real life, memory in tests. */
export interface JournalStore {
  read(): string;
  /** returns when it would survive a power cut */
  append(line: string): void;
}

export interface StepRecord {
  step: Step;
  mark: string;
  before: unknown;
  state: 'begun' | 'verified' | 'done' | 'undoing';
  /** position in the order of completion; begun and not done ones come last */
  seq: number;
  failure?: { code: string; what: string };
}

export interface Journal {
  /** steps that are begun or done now, in order of completion */
  records(): StepRecord[];
  record(step: string): StepRecord | undefined;
  debts(): { record: StepRecord; owed: Debt[] }[];
  opened(): Extract<Entry, { type: 'opened' }> | undefined;
  entries(): readonly Entry[];
  completed(): boolean;
  /** complete with both sides serving */
  keepsBoth(): boolean;
  write(body: EntryBody): void;
}

/**
 * @throws MigrateError JOURNAL_BROKEN  a line other than the last can't be read
 */
export function openJournal(store: JournalStore, now: () => number): Journal {
  const entries = parse(store.read());
  const state = {
    records: new Map<string, StepRecord>(),
    debts: new Map<string, { record: StepRecord; owed: Debt[] }>(),
  };
  for (const entry of entries) fold(state, entry);

  return {
    records: () => [...state.records.values()].sort((a, b) => rank(a) - rank(b) || a.seq - b.seq),
    record: (step) => state.records.get(step),
    debts: () => [...state.debts.values()],
    opened: () => entries.findLast((it) => it.type === 'opened'),
    entries: () => entries,
    completed: () => ending(state, entries) !== undefined,
    keepsBoth: () => ending(state, entries)?.both === true,
    write(body) {
      const entry: Entry = { seq: (entries.at(-1)?.seq ?? 0) + 1, at: new Date(now()).toISOString(), ...body };
      store.append(JSON.stringify(entry));
      entries.push(entry);
      fold(state, entry);
    },
  };
}

/** The end of the run; none where something was begun since, or all was undone after it. */
function ending({ records }: Folded, entries: readonly Entry[]): Extract<Entry, { type: 'completed' }> | undefined {
  const last = entries.findLast((it) => it.type === 'completed' || it.type === 'opened');
  return records.size > 0 && last?.type === 'completed' ? last : undefined;
}

const rank = (record: StepRecord) => (record.state === 'done' ? 0 : 1);

/** A torn last line is a write that never happened; a torn line before it is damage. */
function parse(text: string): Entry[] {
  const lines = text.split('\n').filter((it) => it !== '');
  return lines.flatMap((line, index) => {
    try {
      return [JSON.parse(line) as Entry];
    } catch (cause) {
      if (index === lines.length - 1) return [];
      throw new MigrateError('JOURNAL_BROKEN', {
        what: `Line ${index + 1} of the journal can't be read.`,
        why: 'Something other than this tool changed the file, or the disk lost a part of it.',
        fix: 'Put the file back from a copy, or compare world and journal by hand; nothing was changed now.',
        cause,
      });
    }
  });
}

/** Milliseconds from the last beginning of a step to its end; undefined while it is not done. */
export function tookMs(journal: Journal, step: string): number | undefined {
  const mine = journal
    .entries()
    .filter((it) => (it.type === 'done' ? it.step : it.type === 'begun' && it.step.id) === step);
  const [begun, done] = mine.slice(mine.findLastIndex((it) => it.type === 'begun'));
  return begun && done && journal.record(step)?.state === 'done'
    ? Date.parse(done.at) - Date.parse(begun.at)
    : undefined;
}

/**
 * Who said yes to a step since the last entry of a kind about it. A pause counts only while its step is begun: what was said before a step
 * began is no judgement about how it went.
 */
export function approvalOf(journal: Journal, step: string, since: 'undone' | 'paused'): Approval | undefined {
  const mine = sincePlanned(journal.entries()).filter((it) => 'step' in it && it.step === step);
  const last = mine.findLastIndex((it) => it.type === since);
  const begun = journal.record(step);
  if (since === 'paused' && (!begun || (mine[last]?.seq ?? 0) < begun.seq)) return undefined;
  const given = mine.slice(last + 1).findLast((it) => it.type === 'approved');
  return given && { by: given.by, at: given.at };
}

/** A yes is to one plan: what was said to another, of which nothing was begun or all was undone, does not count. */
function sincePlanned(entries: readonly Entry[]): readonly Entry[] {
  const runs = entries.filter((it) => it.type === 'opened' && it.command === 'run');
  const last = runs.at(-1);
  const other = runs.findLastIndex(
    (it) => it.type === 'opened' && last?.type === 'opened' && it.digest !== last.digest,
  );
  const from = other < 0 ? undefined : runs[other + 1];
  return from ? entries.slice(entries.indexOf(from)) : entries;
}

interface Folded {
  records: Map<string, StepRecord>;
  debts: Map<string, { record: StepRecord; owed: Debt[] }>;
}

function fold({ records, debts }: Folded, entry: Entry): void {
  if (entry.type === 'begun') {
    const { step, mark, before, seq } = entry;
    records.set(step.id, { step, mark, before, seq, state: 'begun' });
    return;
  }
  if (entry.type === 'opened' || entry.type === 'completed') return;
  if (entry.type === 'paid') {
    debts.delete(entry.step);
    return;
  }
  const record = records.get(entry.step);
  if (!record) return;
  switch (entry.type) {
    case 'verified':
    case 'undoing':
      record.state = entry.type;
      break;
    case 'done':
      record.state = 'done';
      record.seq = entry.seq;
      delete record.failure;
      break;
    case 'approved':
    case 'gate':
      break;
    case 'paused':
    case 'failed':
      record.failure = { code: entry.code, what: entry.what };
      break;
    case 'undone':
      records.delete(entry.step);
      if (entry.owed && entry.owed.length > 0) debts.set(entry.step, { record, owed: entry.owed });
      break;
    default:
      entry satisfies never;
  }
}

/** One file, 0600, appended and synced line by line. A torn last line left by a kill is cut off before the next is written. */
export function fileStore(file: string): JournalStore {
  let fd: number | undefined;
  return {
    read() {
      try {
        return readFileSync(file, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
        throw error;
      }
    },
    append(line) {
      if (fd === undefined) {
        mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
        const text = this.read();
        fd = openSync(file, 'a', 0o600);
        const whole = Buffer.byteLength(text.slice(0, text.lastIndexOf('\n') + 1));
        // A last line without its newline may still be whole JSON: it was read as an entry, so it stays and gets its newline.
        if (text !== '' && !text.endsWith('\n')) {
          if (isJson(text.slice(text.lastIndexOf('\n') + 1))) writeSync(fd, '\n');
          else ftruncateSync(fd, whole);
        }
      }
      writeSync(fd, `${line}\n`);
      fsyncSync(fd);
    },
  };
}

const isJson = (text: string) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

export function memoryStore(): JournalStore & { lines: string[] } {
  const lines: string[] = [];
  return { lines, read: () => lines.join('\n'), append: (line) => void lines.push(line) };
}
