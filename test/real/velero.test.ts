import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { rollback } from '../../src/rollback.js';
import { run } from '../../src/run.js';
import { addNodes } from '../servers/control-plane.js';
import { type Move, planFor, playbookWith, startMove } from '../servers/move.js';
import { mustBeDone } from '../shop.js';

const CONTROLLERS = [
  'deployment',
  'replicaset',
  'namespace',
  'serviceaccount',
  'garbagecollector',
  'endpoint',
  'endpointslice',
  'endpointslicemirroring',
];

describe('steps on real Velero servers', { timeout: 100_000 }, () => {
  let move: Move;

  before(async () => {
    move = await startMove({
      source: { controllers: ['namespace'], kwok: false },
      target: { controllers: CONTROLLERS },
    });
    const post = async (path: string, object: object): Promise<void> => {
      const { status, body } = await move.source.request('POST', path, object);
      assert.ok(status < 300, `${path}: ${status} ${JSON.stringify(body)}`);
    };
    await addNodes(move.target, 1);
    await post('/api/v1/namespaces', { metadata: { name: 'shop', labels: { team: 'web' } } });
    const pods = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web:1' }] } };
    await post('/apis/apps/v1/namespaces/shop/deployments', {
      metadata: { name: 'web' },
      spec: { replicas: 3, selector: { matchLabels: { app: 'web' } }, template: pods },
    });
    await post('/api/v1/namespaces/shop/configmaps', { metadata: { name: 'settings' }, data: { a: '1' } });
    await post('/api/v1/namespaces/shop/services', {
      metadata: { name: 'web' },
      spec: { type: 'NodePort', selector: { app: 'web' }, ports: [{ port: 80, nodePort: 31080 }] },
    });
    await post('/apis/batch/v1beta1/namespaces/shop/cronjobs', {
      metadata: { name: 'report' },
      spec: {
        schedule: '0 3 * * *',
        jobTemplate: {
          spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'web:1' }] } } },
        },
      },
    });
  });
  after(() => move?.stop());

  for (const apps of ['velero', 'converted']) {
    test(`${apps}: there and back`, async (t) => {
      const playbook = playbookWith(`{ namespaces: [shop], disks: none, apps: ${apps} }`, apps);
      const world = await move.world(playbook);
      const plan = await planFor(playbook, world);
      const engine = move.engine(world, {
        emit: (it) => {
          if (process.env['SAY']) console.log(JSON.stringify(it));
        },
      });
      const began = performance.now();
      mustBeDone(await run(plan, ['data'], engine));
      t.diagnostic(`${apps}: ${Math.round(performance.now() - began)} ms`);
      const get = async (path: string) => (await move.target.request('GET', path)).body;
      assert.equal((await get('/apis/apps/v1/namespaces/shop/deployments/web')).spec.replicas, 3);
      assert.equal((await get('/apis/batch/v1/namespaces/shop/cronjobs/report')).spec.suspend, true);
      mustBeDone(await rollback(undefined, engine));
      assert.equal((await move.target.request('GET', '/api/v1/namespaces/shop')).status, 404);
    });
  }
});
