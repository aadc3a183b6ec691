import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { isMigrateError } from '../src/errors.js';
import type { Report } from '../src/preflight.js';
import { look } from '../src/cli/looking.js';
import { capturedCloud, capturedCluster } from '../src/cli/captured.js';
import { chooseChecks, compareReports, fails, loadChecks, reportIn } from '../src/cli/choosing.js';
import { takeInventory } from '../src/look.js';
import { openStage } from '../src/cli/stage.js';
import { quickShop, ROOT } from './shop.js';

const report = (counts: Partial<Report['counts']>, results: Report['results'] = []): Report => ({
  results,
  ready: true,
  counts: { pass: 0, warn: 0, refuse: 0, unknown: 0, skipped: 0, waived: 0, ...counts },
});
const result = (check: string, abouts: string[]): Report['results'][number] => ({
  check,
  group: 'apis',
  asks: '?',
  before: 'data',
  outcome: abouts.length > 0 ? 'warn' : 'pass',
  findings: abouts.map((about) => ({ about, saw: 'x', severity: 'warn' })),
});

test('checks are chosen by id and by group, and a misspelt name is no empty choice', () => {
  assert.deepEqual(
    chooseChecks(checks, { only: ['removed-apis'] }).map((it) => it.id),
    ['removed-apis'],
  );
  assert.ok(chooseChecks(checks, { only: ['storage'] }).every((it) => it.group === 'storage'));
  assert.equal(chooseChecks(checks, { skip: ['removed-apis'] }).length, checks.length - 1);
  assert.throws(
    () => chooseChecks(checks, { only: ['removed-apix'] }),
    (error) => isMigrateError(error, 'USAGE') && error.why.includes('removed-apis'),
  );
});

test('what could not be seen fails unless it is said otherwise', () => {
  assert.equal(fails(report({ unknown: 1 }), 'unknown'), true);
  assert.equal(fails(report({ unknown: 1 }), 'refuse'), false);
  assert.equal(fails(report({ warn: 1 }), 'unknown'), false);
  assert.equal(fails(report({ warn: 1 }), 'warn'), true);
  assert.equal(fails(report({ refuse: 1, unknown: 1, warn: 1 }), 'none'), false);
});

test('two reports are compared by what they say, as far as the same was asked', () => {
  const before = report({}, [result('a', ['x', 'y']), result('b', ['z'])]);
  const now = report({}, [result('a', ['y', 'new'])]);
  const { fresh, gone } = compareReports(before, now);
  assert.deepEqual(
    fresh.map((it) => it.about),
    ['new'],
  );
  assert.deepEqual(
    gone.map((it) => it.about),
    ['x'],
  );
});

test('an earlier report is read from its events', () => {
  const wanted = report({ pass: 1 });
  const text = `${JSON.stringify({ type: 'playbook' })}\n${JSON.stringify({ type: 'preflight', report: wanted })}\n{"type":"ended"}\n`;
  assert.deepEqual(reportIn(text, 'last.json'), wanted);
  assert.throws(
    () => reportIn('{"type":"ended"}\n', 'last.json'),
    (error) => isMigrateError(error, 'REPORT_INVALID'),
  );
});

test('a check of one’s own is loaded from a folder, and a broken one is named with what it lacks', async () => {
  const [own] = await loadChecks(path.join(ROOT, 'playbooks/checks'), checks);
  assert.equal(own?.id, 'single-replica');
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-checks-'));
  try {
    await assert.rejects(loadChecks(dir, checks), (error) => isMigrateError(error, 'USAGE'));
    writeFileSync(path.join(dir, 'half.mjs'), "export default { id: 'half', asks: '?' };\n");
    await assert.rejects(
      loadChecks(dir, checks),
      (error) => isMigrateError(error, 'CHECK_INVALID') && error.why.includes('look'),
    );
    writeFileSync(path.join(dir, 'half.mjs'), 'export default {\n');
    await assert.rejects(loadChecks(dir, checks), (error) => isMigrateError(error, 'CHECK_INVALID'));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('sides from files are judged as the live ones were, but for what only a server can say', async () => {
  const { playbook, seed } = quickShop();
  const stage = await openStage(playbook, seed, { clientsPerSecond: 1 });
  try {
    const live = await look(playbook, stage.world);
    const whole = await takeInventory(playbook, stage.world, checks);
    const { source, target } = whole;
    const world = {
      ...stage.world,
      source: capturedCluster('source', source),
      target: capturedCluster('target', target),
      cloud: { ...stage.world.cloud, ...capturedCloud(whole.cloud) },
    };
    const again = await look(playbook, world, { captured: { source, target, cloud: whole.cloud } });
    const outcomes = ({ report: { results } }: typeof live) =>
      Object.fromEntries(
        results
          .filter((it) => !['dry-run', 'rights', 'helm-releases', 'client-calls'].includes(it.check))
          .map((it) => [it.check, it.outcome]),
      );
    assert.deepEqual(outcomes(again), outcomes(live));
    await assert.rejects(world.source.patch({ kind: 'Service', name: 'web' }, {}), (error) =>
      isMigrateError(error, 'NOT_CAPTURED'),
    );
  } finally {
    await stage.close();
  }
});
