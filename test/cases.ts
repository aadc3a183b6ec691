import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { Check } from '../src/check.js';
import { askAll, type CheckResult, type Outcome } from '../src/preflight.js';
import { kindsOf, worldOf, type Asked, type TerseWorld } from './worlds.js';

/** The cases beside the checks: small worlds, and what the check must say of each. */
export interface Case extends TerseWorld {
  it: string;
  expect: Outcome;
  /** all of them, in order; each given field is looked for in the finding as a regular expression, `about` as it stands */
  findings?: ({ about: string; severity?: string } & Partial<Record<'saw' | 'want' | 'breaks' | 'fix', string>>)[];
  /** why it is unknown or skipped: a part of it, or a regular expression where it begins with ^ or ends with $ */
  why?: string;
}

/** Where the sources of the checks lie. */
export const CHECKS = fileURLToPath(new URL('../../checks/', import.meta.url));

export const casesOf = ({ group, id }: Pick<Check, 'group' | 'id'>) =>
  parse(readFileSync(`${CHECKS}${group}/${id}.cases.yaml`, 'utf8')) as Case[];

export const askedOf = (check: Check, one: Case): Asked => worldOf(one, kindsOf(check));

export function outcomeOf(check: Check, asked: Asked): CheckResult {
  const [result] = askAll([check], asked).results;
  assert.ok(result);
  return result;
}

/** @throws AssertionError  where the result is not what the case says */
export function compare(result: CheckResult, one: Case): void {
  assert.equal(result.outcome, one.expect, JSON.stringify(result, null, 2));
  if (one.why !== undefined)
    assert.ok(
      /^\^|\$$/.test(one.why) ? new RegExp(one.why).test(result.why ?? '') : result.why?.includes(one.why),
      `why: ${result.why}`,
    );
  if (one.expect === 'warn' || one.expect === 'refuse') assert.ok(one.findings, 'the case names no findings');
  assert.deepEqual(
    result.findings.map((it) => it.about),
    (one.findings ?? []).map((it) => it.about),
    JSON.stringify(result, null, 2),
  );
  for (const [index, wanted] of (one.findings ?? []).entries()) {
    const found = result.findings[index];
    if (wanted.severity !== undefined) assert.equal(found?.severity, wanted.severity);
    for (const field of ['saw', 'want', 'breaks', 'fix'] as const) {
      const pattern = wanted[field];
      const text = found?.[field];
      if (pattern !== undefined)
        assert.ok(text?.includes(pattern) || (text && new RegExp(pattern).test(text)), `${field}: ${text}`);
    }
  }
}
