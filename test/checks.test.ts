import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import type { Outcome } from '../src/preflight.js';
import { askedOf, casesOf, CHECKS, compare, outcomeOf } from './cases.js';

for (const check of checks) {
  test(`${check.id}: every case comes out as it says`, async (t) => {
    for (const one of casesOf(check)) {
      await t.test(one.it, () => compare(outcomeOf(check, askedOf(check, one)), one));
    }
  });
}

test('every check has cases for pass, for each severity that it can give, and for unknown', () => {
  for (const check of checks) {
    const cases = casesOf(check);
    const outcomes = new Set(cases.map((it) => it.expect));
    for (const wanted of ['pass', 'unknown', ...(check.severities ?? [check.severity])] as Outcome[]) {
      assert.ok(outcomes.has(wanted), `${check.id} has no case that comes out as ${wanted}`);
    }
    assert.equal(new Set(cases.map((it) => it.it)).size, cases.length, `${check.id} has two cases of one name`);
  }
});

test('the severities that a check declares are those that its cases show', () => {
  for (const check of checks) {
    const shown = new Set(
      casesOf(check).flatMap((one) => outcomeOf(check, askedOf(check, one)).findings.map((it) => it.severity)),
    );
    assert.deepEqual([...shown].sort(), [...(check.severities ?? [check.severity])].sort(), check.id);
  }
});

test('the list has every check that lies in the folder, once', () => {
  const files = readdirSync(CHECKS, { recursive: true, encoding: 'utf8' })
    .filter((it) => it.endsWith('.cases.yaml'))
    .map((it) => it.replace('.cases.yaml', ''));
  assert.deepEqual(checks.map((it) => `${it.group}/${it.id}`).sort(), files.sort());
});

test('every check explains itself in both languages and names its sources', () => {
  for (const { id, asks, hint, zh, sources } of checks) {
    assert.match(id, /^[a-z]+(-[a-z]+)*$/);
    for (const text of [asks, zh.asks]) assert.match(text, /[?？]$/, id);
    for (const text of [hint.why, hint.fix]) assert.match(text, /[.]$/, id);
    for (const text of Object.values(zh)) assert.match(text, /\p{Script=Han}{2}/u, id);
    assert.ok(sources.length > 0, id);
    for (const source of sources) assert.match(source, /^(https:\/\/\S+|[\w.-]+\/[\w.-]+:\S.*|KEP-\d+.*)$/, id);
  }
});
