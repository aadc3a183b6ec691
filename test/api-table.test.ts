import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_KINDS, discoveryOf, fateOf, gaps, NEWEST, OLDEST, servedByDefault } from '../src/api-table.js';
import { COMMON, FIRST_GAP } from './api-gaps.js';

const minors = (from: number) => Array.from({ length: NEWEST - from + 1 }, (_, index) => from + index);

test('for every two releases the table names the kinds without a common version, and no other', (t) => {
  let pairs = 0;
  const wrong: string[] = [];
  for (const [from, first] of Object.entries(FIRST_GAP)) {
    for (const to of minors(Number(from))) {
      pairs++;
      const wanted = Object.keys(first)
        .filter((kind) => (first[kind] ?? 0) <= to)
        .sort();
      const found = (gaps(Number(from), to) ?? ['nothing']).filter((it) => !BOUND.has(it));
      if (found.join() !== wanted.join())
        wrong.push(`1.${from} → 1.${to}: found ${found.join()}, wanted ${wanted.join()}`);
    }
  }
  t.diagnostic(`${pairs} pairs, ${wrong.length} disagreements`);
  assert.deepEqual(wrong, []);
  assert.ok(pairs > 400);
});

/** Questions and records that no one moves; the oracle leaves them out. */
const BOUND = new Set([
  'TokenReview',
  'SubjectAccessReview',
  'LocalSubjectAccessReview',
  'SelfSubjectAccessReview',
  'SelfSubjectRulesReview',
  'Event',
]);

test('the versions that both releases serve are those of the specifications', (t) => {
  let asked = 0;
  const wrong: string[] = [];
  for (const { from, to, kinds } of COMMON) {
    for (const [kind, wanted] of Object.entries(kinds)) {
      asked++;
      const of = (minor: number) =>
        (servedByDefault(minor) ?? []).filter((it) => it.kind === kind).map((it) => `${it.group}/${it.version}`);
      const there = new Set(of(to));
      const found = of(from)
        .filter((it) => there.has(it))
        .sort();
      if (found.join() !== wanted.toSorted().join())
        wrong.push(`${kind} 1.${from} → 1.${to}: found ${found.join()}, wanted ${wanted.join()}`);
    }
  }
  t.diagnostic(`${asked} kinds, ${wrong.length} disagreements`);
  assert.deepEqual(wrong, []);
});

test('beyond the newest release that the table knows it answers nothing', () => {
  assert.equal(gaps(20, NEWEST + 1), undefined);
  assert.equal(gaps(OLDEST - 1, 20), undefined);
  assert.equal(servedByDefault(NEWEST + 1), undefined);
  assert.ok(servedByDefault(NEWEST));
  assert.ok(servedByDefault(OLDEST));
  assert.deepEqual(fateOf('batch/v1beta1', 'CronJob', NEWEST + 1), { is: 'unknown' });
  assert.deepEqual(fateOf('batch/v1beta1', 'CronJob', OLDEST - 1), { is: 'unknown' });
  assert.deepEqual(fateOf('example.com/v1', 'Shop', 30), { is: 'unknown' });
});

/** What scanners and lists of removals have wrong, one by one. */
test('the errors of other lists are not made here', () => {
  const gone = (apiVersion: string, kind: string): number | string => {
    const found = minors(OLDEST).map((minor) => fateOf(apiVersion, kind, minor));
    const first = found.find((it) => it.is === 'gone');
    return first ? first.from : (found.at(-1)?.is ?? '');
  };
  // Rules for kinds that never existed.
  assert.equal(gone('apps/v1beta1', 'ReplicaSet'), 'phantom');
  assert.equal(gone('flowcontrol.apiserver.k8s.io/v1beta1', 'FlowControl'), 'phantom');
  // Removals that are said to come later or earlier than they do.
  assert.equal(gone('flowcontrol.apiserver.k8s.io/v1beta1', 'FlowSchema'), 26);
  assert.equal(gone('flowcontrol.apiserver.k8s.io/v1beta1', 'PriorityLevelConfiguration'), 26);
  assert.equal(gone('resource.k8s.io/v1beta1', 'ResourceClaim'), 'off');
  assert.equal(gone('rbac.authorization.k8s.io/v1alpha1', 'Role'), 23);
  assert.equal(gone('scheduling.k8s.io/v1alpha1', 'PriorityClass'), 23);
  assert.equal(gone('admissionregistration.k8s.io/v1alpha1', 'ValidatingAdmissionPolicy'), 32);
  assert.equal(gone('storage.k8s.io/v1beta1', 'VolumeAttributesClass'), 37);
  assert.equal(gone('resource.k8s.io/v1alpha3', 'ResourceClaim'), 34);
  assert.equal(gone('storagemigration.k8s.io/v1alpha1', 'StorageVersionMigration'), 35);
  // Versions that are said to have come later than they did.
  assert.deepEqual(fateOf('storage.k8s.io/v1', 'CSIDriver', 18), { is: 'served' });
  assert.deepEqual(fateOf('authorization.k8s.io/v1', 'SubjectAccessReview', 8), { is: 'served' });
  assert.deepEqual(fateOf('certificates.k8s.io/v1beta1', 'CertificateSigningRequest', 8), { is: 'served' });
  // Rules that are missing.
  assert.equal(gone('events.k8s.io/v1beta1', 'Event'), 25);
  assert.equal(gone('authorization.k8s.io/v1beta1', 'SelfSubjectRulesReview'), 22);
  assert.equal(gone('authorization.k8s.io/v1beta1', 'SubjectAccessReview'), 22);
  // A replacement of the wrong kind.
  const ingressClass = fateOf('networking.k8s.io/v1beta1', 'IngressClass', 22);
  assert.deepEqual(ingressClass, { is: 'gone', from: 22, instead: 'networking.k8s.io/v1' });
});

test('extensions and the early apps groups end with 1.15, as a server without special flags has it', () => {
  for (const [apiVersion, kind] of [
    ['extensions/v1beta1', 'Deployment'],
    ['apps/v1beta2', 'DaemonSet'],
    ['apps/v1beta1', 'StatefulSet'],
  ] as const) {
    assert.deepEqual(fateOf(apiVersion, kind, 15), { is: 'served' });
    assert.equal(fateOf(apiVersion, kind, 16).is, 'gone');
  }
  assert.equal(fateOf('batch/v1', 'CronJob', 20).is, 'not yet');
});

test('each kind stands once, and a server of any release prefers one version of it', () => {
  const names = API_KINDS.map((it) => `${it.kind}.${it.group}`);
  assert.equal(new Set(names).size, names.length);
  for (const minor of minors(OLDEST)) {
    const served = discoveryOf(minor);
    for (const { group, kind } of served) {
      assert.equal(
        served.filter((it) => it.group === group && it.kind === kind && it.preferred).length,
        1,
        `${kind}.${group} 1.${minor}`,
      );
    }
  }
  const preferred = (minor: number, kind: string) =>
    discoveryOf(minor).find((it) => it.kind === kind && it.preferred)?.version;
  assert.deepEqual(
    [22, 23].map((it) => preferred(it, 'HorizontalPodAutoscaler')),
    ['v1', 'v2'],
  );
  assert.deepEqual(
    [20, 21].map((it) => preferred(it, 'CronJob')),
    ['v1beta1', 'v1'],
  );
});
