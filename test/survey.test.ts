import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks } from '../checks/index.js';
import { openStage } from '../src/cli/stage.js';
import { dryRunOn } from '../src/dry-run.js';
import { takeInventory } from '../src/look.js';
import { routers } from '../src/routers/index.js';
import { makePlan, needsTake, rightsNeeded } from '../src/plan.js';
import type { Call, KubeObject } from '../src/ports.js';
import { askAll, type CheckResult } from '../src/preflight.js';
import { stepKinds } from '../src/steps/index.js';
import { survey } from '../src/survey.js';
import { quickShop } from './shop.js';

/** The shop with thousands of objects more, of kinds that checks take one by one; some of them have what checks look for. */
function crowdedShop(count: number): ReturnType<typeof quickShop> {
  const { playbook, seed } = quickShop();
  const meta = (name: string) => ({ name, namespace: 'shop', labels: { app: name } });
  const many = Array.from({ length: count }, (_, n) => {
    if (n % 5 === 0)
      return {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: meta(`s-${n}`),
        spec: { selector: { app: `d-${n}` }, ports: [{ port: 80 }] },
      };
    if (n % 5 === 1) {
      const nodeSelector = n % 1000 === 1 ? { 'kubernetes.io/hostname': 'gone' } : undefined;
      const spec = {
        containers: [{ name: 'a', image: 'registry.example.com/a:1.0' }],
        ...(nodeSelector && { nodeSelector }),
      };
      return {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: meta(`d-${n}`),
        spec: {
          replicas: 0,
          selector: { matchLabels: { app: `d-${n}` } },
          template: { metadata: { labels: { app: `d-${n}` } }, spec },
        },
      };
    }
    const text = n % 1000 === 2 ? 'db: rm-1.mysql.rds.aliyuncs.com' : 'x'.repeat(500 + (n % 700));
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: meta(`c-${n}`), data: { 'app.yaml': text } };
  });
  return {
    playbook,
    seed: { ...seed, source: { ...seed.source, objects: [...(seed.source.objects as KubeObject[]), ...many] } },
  };
}

const inAnyOrder = ({ findings, ...rest }: CheckResult) => ({
  ...rest,
  findings: findings.map((it) => JSON.stringify(it)).sort(),
});

test('thousands of objects are judged as they come by: the same report and the same plan, and hardly any is held', async () => {
  const { playbook, seed } = crowdedShop(2500);
  const calls: Call[] = [];
  const stage = await openStage(playbook, seed, {
    tap: (call, send) => {
      calls.push(call);
      return send();
    },
  });
  try {
    calls.length = 0;
    const { inventory, heard } = await survey(playbook, stage.world, checks);
    const lists = calls.filter((it) => it.to === 'source' && it.what.includes('/namespaces/shop/configmaps'));
    assert.ok(lists.length > 2, 'ConfigMaps came in one piece');

    const whole = await takeInventory(playbook, stage.world, checks);
    const asked = { playbook, today: '2026-11-23', needs: { source: [], target: [] } };
    assert.deepEqual(
      askAll(checks, { ...asked, inventory }, heard).results.map(inAnyOrder),
      askAll(checks, { ...asked, inventory: whole }).results.map(inAnyOrder),
    );
    assert.equal(makePlan(playbook, inventory, routers).digest, makePlan(playbook, whole, routers).digest);

    const maps = (it: typeof whole) => it.source.objects['ConfigMap'] ?? [];
    assert.equal(maps(inventory).length, maps(whole).length);
    const bytes = [inventory, whole].map((it) => JSON.stringify(maps(it)).length);
    assert.ok((bytes[0] ?? 0) * 5 < (bytes[1] ?? 0), `held ${bytes.join(' of ')} bytes of ConfigMaps`);
    assert.ok(
      maps(inventory).some((it) => it.metadata.namespace === 'kube-system' && it['data'] !== undefined),
      'the cluster’s own parts are held whole',
    );

    // For a report alone not even names are held of what no check needs by name.
    const slim = await survey(playbook, stage.world, checks, needsTake(playbook));
    assert.deepEqual(
      askAll(checks, { ...asked, inventory: slim.inventory }, slim.heard).results.map(inAnyOrder),
      askAll(checks, { ...asked, inventory: whole }).results.map(inAnyOrder),
    );
    const needs = (it: typeof whole) => rightsNeeded(makePlan(playbook, it, routers), stepKinds, it);
    assert.deepEqual(needs(slim.inventory), needs(whole));
    assert.deepEqual(slim.inventory.source.partly, ['ConfigMap']);
    assert.equal(maps(slim.inventory).filter((it) => it.metadata.namespace === 'shop').length, 1);
    const told = async (it: typeof whole) =>
      (await dryRunOn(stage.world, playbook, it)).answers.map(({ about, answer }) => `${about}: ${answer}`);
    assert.deepEqual(await told(slim.inventory), await told(whole));
  } finally {
    await stage.close();
  }
});
