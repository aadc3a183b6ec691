import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { checks } from '../checks/index.js';
import type { Check } from '../src/check.js';
import { project, Shared, treeOf } from '../src/fields.js';
import { foldList, type Fold, type SideKind } from '../src/fold.js';
import type { Inventory } from '../src/inventory.js';
import { routers } from '../src/routers/index.js';
import { makePlan } from '../src/plan.js';
import type { Kind } from '../src/ports.js';
import { askAll, kindServed, listenTo, type CheckResult, type Heard } from '../src/preflight.js';
import { foldOf } from '../src/survey.js';
import { SIDES } from '../src/ports.js';
import { inventoryOf, kindsOf, worldOf, type Asked, type Seed, type TerseWorld } from './worlds.js';
import { shipped } from './shop.js';

/**
 * What a great cluster is judged by must be what a small one is judged by: a check that is shown objects in portions, and of the rest
 * only the fields that it asks for, says what it says of everything at once.
 */

const NONE_HELD = { few: { objects: 1, bytes: 1 }, portion: { objects: 1, bytes: 1 } };

/** A captured world as a look that folds holds it, with what the checks said while it came by. */
function folded(list: readonly Check[], asked: Asked, fold: Fold): { inventory: Inventory; heard: Heard } {
  const inventory: Inventory = {
    ...asked.inventory,
    source: { ...asked.inventory.source, objects: {} },
    target: { ...asked.inventory.target, objects: {} },
  };
  const kinds = SIDES.flatMap((side) => {
    const { objects, served } = asked.inventory[side];
    const namespaced = new Set(served.filter((it) => it.namespaced).map(kindServed));
    return Object.keys(objects)
      .filter((it) => namespaced.has(it))
      .map((kind): SideKind => ({ side, kind }));
  });
  const groups = fold.groups(kinds);
  const late = (at: SideKind) => groups.flat().some((it) => it.side === at.side && it.kind === at.kind);
  for (const side of SIDES) {
    for (const [kind, all] of Object.entries(asked.inventory[side].objects)) {
      inventory[side].objects[kind] = late({ side, kind }) ? all.filter(fold.stays) : all;
    }
  }
  const { judge, heard } = listenTo(list, { ...asked, inventory }, fold);
  for (const { side, kind } of groups.flat())
    inventory[side].objects[kind] = foldList(fold, { side, kind }, asked.inventory[side].objects[kind] ?? [], judge);
  return { inventory, heard };
}

const inAnyOrder = ({ findings, ...rest }: CheckResult) => ({
  ...rest,
  findings: [...new Set(findings.map((it) => JSON.stringify(it)))].sort(),
});

const folder = fileURLToPath(new URL('../../checks/', import.meta.url));

type Case = TerseWorld & { it: string };
const casesOf = (check: Check) =>
  parse(readFileSync(`${folder}${check.group}/${check.id}.cases.yaml`, 'utf8')) as Case[];

/** A case, and beside its objects those of all other cases of the check: what one object hides, another may show. */
function* crowded(cases: readonly Case[]): Generator<Case> {
  for (const one of cases) {
    yield one;
    const among = (side: 'source' | 'target') => {
      const objects = [...(one[side]?.objects ?? []), ...cases.flatMap((it) => it[side]?.objects ?? [])];
      return {
        ...one[side],
        objects: objects.filter((it, index) => objects.findIndex((other) => other.is === it.is) === index),
      };
    };
    yield { ...one, it: `${one.it} (in a crowd)`, source: among('source'), target: among('target') };
  }
}

for (const check of checks.filter((it) => it.takes)) {
  test(`${check.id}: shown one object at a time it says what it says of all`, () => {
    for (const one of crowded(casesOf(check))) {
      const asked = worldOf(one, kindsOf(check));
      const { inventory, heard } = folded([check], asked, foldOf(asked.playbook, [check], NONE_HELD));
      const [seen] = askAll([check], { ...asked, inventory }, heard).results;
      const [whole] = askAll([check], asked).results;
      assert.ok(seen && whole);
      assert.deepEqual(inAnyOrder(seen), inAnyOrder(whole), one.it);
    }
  });
}

for (const name of ['shop', 'cross-region']) {
  test(`the shipped world ${name} gives the same plan and the same report when none of it is held`, () => {
    const { playbook, seed } = shipped(name);
    const asked = {
      playbook,
      inventory: inventoryOf(seed as unknown as Seed),
      today: '2026-11-23',
      needs: { source: [], target: [] },
    };
    const { inventory, heard } = folded(checks, asked, foldOf(playbook, checks, NONE_HELD));
    assert.deepEqual(makePlan(playbook, inventory, routers), makePlan(playbook, asked.inventory, routers));
    assert.deepEqual(
      askAll(checks, { ...asked, inventory }, heard).results.map(inAnyOrder),
      askAll(checks, asked).results.map(inAnyOrder),
    );
  });
}

/** Of these a cluster can have tens of thousands. */
const MANY: readonly Kind[] = [
  'Pod',
  'Deployment.apps',
  'ReplicaSet.apps',
  'Job.batch',
  'CronJob.batch',
  'Service',
  'Endpoints',
  'EndpointSlice.discovery.k8s.io',
  'ConfigMap',
  'Secret',
  'ServiceAccount',
  'Ingress.networking.k8s.io',
  'Role.rbac.authorization.k8s.io',
  'RoleBinding.rbac.authorization.k8s.io',
];

test('no check makes the look hold a kind whole that comes by the ten thousand', () => {
  const fold = foldOf(shipped('shop').playbook, checks);
  const all = SIDES.flatMap((side) => MANY.map((kind) => ({ side, kind })));
  const held = all.filter((at) => !fold.groups(all).flat().includes(at));
  const why = held.map(
    ({ side, kind }) =>
      `${side} ${kind}: ${checks
        .filter((it) => wants(it, { side, kind }))
        .map((it) => it.id)
        .join(', ')}`,
  );
  assert.deepEqual(why, []);
});

const wants = ({ reads, also, takes }: Check, { side, kind }: SideKind) =>
  [reads[side], also?.[side]].some((it) => it?.includes(kind) || it?.includes('*')) &&
  takes?.[kind] === undefined &&
  takes?.['*'] === undefined;

test('a projection keeps the fields that are asked for, by the elements of lists too, and who the object is', () => {
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'a',
      namespace: 'b',
      uid: 'u',
      labels: { 'x.io/y': '1', z: '2' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'K', name: 'n', uid: 'u' }],
    },
    spec: { type: 'NodePort', clusterIP: '10.0.0.1', ports: [{ port: 1, nodePort: 30001 }, { port: 2 }] },
    status: { loadBalancer: {} },
  };
  assert.deepEqual(
    project(
      object,
      treeOf(['spec.type', 'spec.ports.nodePort', 'metadata.labels[x.io/y]', 'spec.none.of.this']),
      new Shared(),
    ),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: 'a',
        namespace: 'b',
        labels: { 'x.io/y': '1' },
        ownerReferences: object.metadata.ownerReferences,
      },
      spec: { type: 'NodePort', ports: [{ nodePort: 30001 }, {}] },
    },
  );
  assert.deepEqual(project(object, treeOf(['spec', 'spec.type']), new Shared())['spec'], object.spec);
});
