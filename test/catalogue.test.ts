import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CATALOGUE, IN_PART, OPEN, PROXY_DIFFERENCES } from '../checks/catalogue.js';
import { checks } from '../checks/index.js';
import { askAll } from '../src/preflight.js';
import { kindsOf, worldOf } from './worlds.js';

const known = new Set(checks.map((it) => it.id));

test('each of the hundred and one questions is answered by checks that exist, or stands among the open ones', (t) => {
  assert.equal(Object.keys(CATALOGUE).length, 101);
  const unanswered = Object.entries(CATALOGUE).filter(
    ([id, by]) => (by.length === 0) !== id in OPEN || by.some((check) => !known.has(check)),
  );
  assert.deepEqual(unanswered, []);
  for (const id of [...Object.keys(OPEN), ...Object.keys(IN_PART)]) assert.ok(id in CATALOGUE, id);
  t.diagnostic(
    `${101 - Object.keys(OPEN).length} answered by ${checks.length} checks, ${Object.keys(IN_PART).length} of them in part, ${Object.keys(OPEN).length} open`,
  );
});

test('where an answer is in part, a check of it says in both languages what it does not see', () => {
  for (const id of Object.keys(IN_PART)) {
    const of = checks.filter((it) => CATALOGUE[id]?.includes(it.id));
    assert.ok(
      of.some((it) => /Not seen here: /.test(Object.values(it.hint).join(' '))),
      id,
    );
    assert.ok(
      of.some((it) => /此检查看不到/.test(Object.values(it.zh).join(' '))),
      id,
    );
  }
});

test('each check answers a question, of the list or of its own', () => {
  const named = new Set([...Object.values(CATALOGUE).flat(), ...Object.values(PROXY_DIFFERENCES).flat()]);
  assert.deepEqual(
    [...known].filter((id) => !named.has(id) && !OWN.has(id)),
    [],
  );
  assert.deepEqual(
    [...OWN].filter((id) => !known.has(id) || named.has(id)),
    [],
  );
});

/** Of the method itself: what two controllers need to share one server group, and what rules of requests and DNS records need to be split. */
const OWN = new Set([
  'listener-group',
  'cluster-ids',
  'request-rules',
  'dns-records',
  'database-fit',
  'database-fence',
  'database-way-back',
]);

test('every difference between two kube-proxies is seen by checks that exist, and not by a probe alone', () => {
  assert.equal(Object.keys(PROXY_DIFFERENCES).length, 25);
  for (const [difference, by] of Object.entries(PROXY_DIFFERENCES)) {
    assert.ok(
      by.every((it) => known.has(it)),
      difference,
    );
    assert.ok(
      by.some((it) => it !== 'traffic-matrix'),
      difference,
    );
  }
});

test('two clusters that hold nothing give no finding', () => {
  for (const check of checks) {
    const [result] = askAll(
      [check],
      worldOf({ playbook: { traffic: null, data: { namespaces: ['shop'] } } }, kindsOf(check)),
    ).results;
    const quiet = ['pass', 'skipped'].includes(result?.outcome ?? '') || LOUD.has(check.id);
    assert.ok(quiet, `${check.id}: ${JSON.stringify(result)}`);
  }
});

/** A cluster without nodes, without kube-proxy, without Velero: that is worth a word. */
const LOUD = new Set(['node-labels', 'kube-proxy-mode', 'velero']);
