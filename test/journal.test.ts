import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { isMigrateError } from '../src/errors.js';
import { approvalOf, fileStore, memoryStore, openJournal } from '../src/journal.js';
import { STALE_MS, takeLock } from '../src/lock.js';
import type { Step } from '../src/step.js';

const step = (id: string, after: string[] = []): Step => ({ id, kind: 'scale', phase: 'data', args: {}, after });
const dirs: string[] = [];
const temp = () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-journal-'));
  dirs.push(dir);
  return dir;
};
test.after(() => dirs.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

test('a journal that is read again knows what the writer knew', () => {
  const store = memoryStore();
  const journal = openJournal(store, () => 0);
  journal.write({ type: 'begun', step: step('a'), mark: 'm', before: { replicas: [3] } });
  journal.write({ type: 'verified', step: 'a' });
  journal.write({ type: 'done', step: 'a' });
  journal.write({ type: 'begun', step: step('b', ['a']), mark: 'm', before: {} });
  journal.write({ type: 'failed', step: 'b', code: 'X', what: 'y' });
  const again = openJournal(store, () => 0);
  assert.deepEqual(again.records(), journal.records());
  assert.deepEqual(
    again.records().map((it) => [it.step.id, it.state]),
    [
      ['a', 'done'],
      ['b', 'begun'],
    ],
  );
  assert.deepEqual(again.record('a')?.before, { replicas: [3] });
});

test('steps come in the order of completion, those that are not done last', () => {
  const journal = openJournal(memoryStore(), () => 0);
  for (const id of ['slow', 'quick', 'half']) journal.write({ type: 'begun', step: step(id), mark: 'm', before: {} });
  journal.write({ type: 'done', step: 'quick' });
  journal.write({ type: 'done', step: 'slow' });
  assert.deepEqual(
    journal.records().map((it) => it.step.id),
    ['quick', 'slow', 'half'],
  );
});

test('a step that is undone is forgotten, and what it owes is not', () => {
  const journal = openJournal(memoryStore(), () => 0);
  journal.write({ type: 'begun', step: step('a'), mark: 'm', before: {} });
  journal.write({ type: 'undoing', step: 'a' });
  journal.write({ type: 'undone', step: 'a', owed: [{ side: 'target', what: 'weight' }] });
  assert.equal(journal.record('a'), undefined);
  assert.equal(journal.debts().length, 1);
  journal.write({ type: 'paid', step: 'a' });
  assert.equal(journal.debts().length, 0);
});

test('a torn last line is a write that never happened, and the next one goes on a line of its own', () => {
  const file = path.join(temp(), 'deep', 'journal.jsonl');
  const first = openJournal(fileStore(file), () => 0);
  first.write({ type: 'begun', step: step('a'), mark: 'm', before: {} });
  first.write({ type: 'done', step: 'a' });
  appendFileSync(file, '{"seq":3,"at":"1970-01-01T00:00:00.000Z","type":"beg');
  const second = openJournal(fileStore(file), () => 0);
  assert.equal(second.records().length, 1);
  second.write({ type: 'begun', step: step('b'), mark: 'm', before: {} });
  const third = openJournal(fileStore(file), () => 0);
  assert.deepEqual(
    third.records().map((it) => it.step.id),
    ['a', 'b'],
  );
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('a whole last line without its newline counts, and keeps counting', () => {
  const file = path.join(temp(), 'journal.jsonl');
  openJournal(fileStore(file), () => 0).write({ type: 'begun', step: step('a'), mark: 'm', before: {} });
  writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
  const journal = openJournal(fileStore(file), () => 0);
  journal.write({ type: 'done', step: 'a' });
  assert.equal(openJournal(fileStore(file), () => 0).record('a')?.state, 'done');
});

test('damage before the last line is refused', () => {
  const file = path.join(temp(), 'journal.jsonl');
  writeFileSync(file, '{"seq":1\n{"seq":2,"at":"","type":"completed"}\n');
  assert.throws(
    () => openJournal(fileStore(file), () => 0),
    (error) => isMigrateError(error, 'JOURNAL_BROKEN'),
  );
});

const me = { owner: 'ada', host: 'here', pid: 1 };
const you = { owner: 'bob', host: 'there', pid: 2 };
const living = { now: () => 1000, alive: () => true };

test('a second writer is told who holds the plan', () => {
  const file = path.join(temp(), 'lock.json');
  const lock = takeLock(file, me, living);
  assert.throws(
    () => takeLock(file, you, living),
    (error) => isMigrateError(error, 'LOCK_HELD') && error.what.includes('ada'),
  );
  lock.release();
  takeLock(file, you, living).release();
});

test('the lock of a process of this machine that is gone is taken over without a word', () => {
  const file = path.join(temp(), 'lock.json');
  takeLock(file, me, living);
  const next = takeLock(file, { ...you, host: 'here' }, { ...living, alive: () => false });
  assert.equal(next.info.token, 2);
});

test('a stale lock of another machine is taken over by naming its owner only, and the old holder can write no more', () => {
  const file = path.join(temp(), 'lock.json');
  const old = takeLock(file, me, living);
  const later = { now: () => 1000 + STALE_MS + 1, alive: () => true };
  assert.throws(
    () => takeLock(file, you, later),
    (error) => isMigrateError(error, 'LOCK_HELD') && error.fix.includes('--take-over ada'),
  );
  assert.throws(
    () => takeLock(file, you, { ...living, takeOver: 'ada' }),
    (error) => isMigrateError(error, 'LOCK_HELD'),
  );
  const fresh = takeLock(file, you, { ...later, takeOver: 'ada' });
  assert.equal(fresh.info.token, old.info.token + 1);
  assert.throws(
    () => old.mustHold(),
    (error) => isMigrateError(error, 'LOCK_LOST') && error.what.includes('bob'),
  );
  fresh.mustHold();
  old.release();
  fresh.mustHold();
});

test('a yes that was given to another plan does not count, of which nothing was begun', () => {
  const journal = openJournal(memoryStore(), () => 0);
  const opened = (digest: string, command = 'run') =>
    journal.write({ type: 'opened', command, digest, version: '', pins: { source: 's', target: 't' } });
  opened('a');
  journal.write({ type: 'approved', step: 'data/start/shop', by: 'jane@ops' });
  opened('a');
  opened('of a shift', 'shift');
  assert.equal(approvalOf(journal, 'data/start/shop', 'undone')?.by, 'jane@ops');
  opened('b');
  assert.equal(approvalOf(journal, 'data/start/shop', 'undone'), undefined);
  journal.write({ type: 'approved', step: 'data/start/shop', by: 'joe@ops' });
  assert.equal(approvalOf(journal, 'data/start/shop', 'undone')?.by, 'joe@ops');
});
