import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { checks } from '../checks/index.js';
import type { Check } from '../src/check.js';
import { askAll, type CheckResult, type Outcome } from '../src/preflight.js';
import { kindsOf, worldOf, type TerseWorld } from './worlds.js';

/** The cases beside the checks: small worlds, and what the check must say of each. */

interface Case extends TerseWorld {
  it: string;
  expect: Outcome;
  /** all of them, in order; each given field is looked for in the finding as a regular expression, `about` as it stands */
  findings?: ({ about: string; severity?: string } & Partial<Record<'saw' | 'want' | 'breaks' | 'fix', string>>)[];
  /** why it is unknown or skipped */
  why?: string;
}

const folder = fileURLToPath(new URL('../../checks/', import.meta.url));
const casesOf = (check: Check) => parse(readFileSync(`${folder}${check.group}/${check.id}.cases.yaml`, 'utf8')) as Case[];

function outcomeOf(check: Check, one: Case): CheckResult {
  const [result] = askAll([check], worldOf(one, kindsOf(check))).results;
  assert.ok(result);
  return result;
}

for (const check of checks) {
  test(`${check.id}: every case comes out as it says`, async (t) => {
    for (const one of casesOf(check)) {
      await t.test(one.it, () => compare(outcomeOf(check, one), one));
    }
  });
}

function compare(result: CheckResult, one: Case): void {
  assert.equal(result.outcome, one.expect, JSON.stringify(result, null, 2));
  if (one.why !== undefined) assert.ok(result.why?.includes(one.why), `why: ${result.why}`);
  if (one.expect === 'warn' || one.expect === 'refuse') assert.ok(one.findings, 'the case names no findings');
  assert.deepEqual(result.findings.map((it) => it.about), (one.findings ?? []).map((it) => it.about), JSON.stringify(result, null, 2));
  for (const [index, wanted] of (one.findings ?? []).entries()) {
    const found = result.findings[index];
    if (wanted.severity !== undefined) assert.equal(found?.severity, wanted.severity);
    for (const field of ['saw', 'want', 'breaks', 'fix'] as const) {
      const pattern = wanted[field];
      const text = found?.[field];
      if (pattern !== undefined) assert.ok(text?.includes(pattern) || (text && new RegExp(pattern).test(text)), `${field}: ${text}`);
    }
  }
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
    const shown = new Set(casesOf(check).flatMap((one) => outcomeOf(check, one).findings.map((it) => it.severity)));
    assert.deepEqual([...shown].sort(), [...(check.severities ?? [check.severity])].sort(), check.id);
  }
});

test('the list has every check that lies in the folder, once', () => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((it) => it.endsWith('.cases.yaml')).map((it) => it.replace('.cases.yaml', ''));
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
