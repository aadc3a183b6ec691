import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RunOutcome } from '../../src/engine.js';
import { memoryStore, type JournalStore } from '../../src/journal.js';
import type { Plan } from '../../src/plan.js';
import type { Side, Tap } from '../../src/ports.js';
import { rollback } from '../../src/rollback.js';
import { run } from '../../src/run.js';
import type { ControlPlane, KubernetesObject } from '../servers/control-plane.js';
import { type Move, planFor, playbookWith, startMove } from '../servers/move.js';
import { mustBeDone } from '../shop.js';

/**
 * The steps on real Velero servers, and what goes wrong there: nothing is reported done that isn't, and `run` goes on where it stopped.
 * Each test leaves the clusters as it found them.
 */

const BACKUPS = '/apis/velero.io/v1/namespaces/velero/backups';
const RESTORES = '/apis/velero.io/v1/namespaces/velero/restores';
const LOCATION = '/apis/velero.io/v1/namespaces/velero/backupstoragelocations/default';
const MERGE = 'application/merge-patch+json';
const SERVED = 200;

describe('steps on real Velero servers', { timeout: 300_000 }, () => {
  let move: Move;

  const send = async (plane: ControlPlane, path: string, object: object): Promise<void> => {
    const { status, body } = await plane.request('POST', path, object);
    assert.ok(status < 300, `${path}: ${status} ${JSON.stringify(body)}`);
  };
  const get = async (side: Side, path: string): Promise<KubernetesObject> => {
    const { status, body } = await move[side].request('GET', path);
    return status === SERVED ? body : undefined;
  };

  before(async () => {
    move = await startMove({
      source: { controllers: ['namespace'], kwok: false },
      target: { controllers: ['namespace', 'resourcequota'], kwok: false },
    });
    const { source } = move;
    const pods = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web:1' }] } };
    const job = {
      spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'web:1' }] } } },
    };
    for (const name of ['shop', 'many']) await send(source, '/api/v1/namespaces', { metadata: { name } });
    await send(source, '/apis/apps/v1/namespaces/shop/deployments', {
      metadata: { name: 'web' },
      spec: { replicas: 0, selector: { matchLabels: { app: 'web' } }, template: pods },
    });
    await send(source, '/api/v1/namespaces/shop/configmaps', {
      metadata: { name: 'settings', labels: { tier: 'first' } },
      data: { a: '1' },
    });
    await send(source, '/apis/batch/v1beta1/namespaces/shop/cronjobs', {
      metadata: { name: 'report' },
      spec: { schedule: '0 3 * * *', jobTemplate: job },
    });
    await Promise.all(
      Array.from({ length: 200 }, (_, it) =>
        send(source, '/api/v1/namespaces/many/configmaps', {
          metadata: { name: `config-${it}` },
          data: { it: String(it) },
        }),
      ),
    );
  });
  after(() => move?.stop());

  const codeOf = (outcome: RunOutcome): string | undefined =>
    outcome.outcome === 'stopped' ? (outcome.error as { code?: string }).code : outcome.outcome;

  interface Scene {
    plan: Plan;
    journal: JournalStore;
    /** goes on with the same journal */
    go(tap?: Tap): Promise<RunOutcome>;
    back(): Promise<void>;
  }

  const scene = async (name: string, data: string): Promise<Scene> => {
    const playbook = playbookWith(`{ disks: none, ${data} }`, name);
    const plan = await planFor(playbook, await move.world(playbook));
    const journal = memoryStore();
    return {
      plan,
      journal,
      go: async (tap) => run(plan, ['data'], move.engine(await move.world(playbook, tap), { store: journal })),
      back: async () => {
        // With a short deadline it takes more than one go, as it would an operator.
        let outcome: RunOutcome;
        let tries = 0;
        do outcome = await rollback(undefined, move.engine(await move.world(playbook), { store: journal }));
        while (codeOf(outcome) === 'RESTORE_NOT_REMOVED' && ++tries < 10);
        mustBeDone(outcome);
        for (const one of ['shop', 'many'])
          assert.equal(await get('target', `/api/v1/namespaces/${one}`), undefined, one);
      },
    };
  };

  const nameIn = ({ plan }: Scene): string => `migrate-${plan.name}-${plan.digest.slice(0, 8)}`;

  for (const apps of ['velero', 'converted']) {
    test(`${apps}: there and back`, async () => {
      const it = await scene(apps, `namespaces: [shop], apps: ${apps}`);
      mustBeDone(await it.go());
      assert.equal((await get('target', '/apis/batch/v1/namespaces/shop/cronjobs/report'))?.spec.suspend, true);
      assert.ok(await get('target', '/apis/apps/v1/namespaces/shop/deployments/web'));
      await it.back();
      const left = [...(await get('source', BACKUPS))!.items, ...(await get('target', BACKUPS))!.items];
      assert.deepEqual(left, []);
    });
  }

  test('waves come one after the other', async () => {
    const it = await scene(
      'waves',
      'namespaces: [shop], apps: converted, waves: [{ namespaces: [shop], labels: { tier: first } }, { namespaces: [shop], labels: { tier: none } }]',
    );
    assert.deepEqual(
      it.plan.steps.map((one) => one.id),
      ['data/backup', 'data/restore/1', 'data/restore/2', 'data/restore/3'],
    );
    assert.deepEqual(
      it.plan.steps.map(
        (one) => Object.values((one.args as { expects?: Record<string, string[]> }).expects ?? {}).flat().length,
      ),
      [0, 1, 0, 2],
    );
    mustBeDone(await it.go());
    await it.back();
  });

  test('killed mid-backup and mid-restore, nothing is done that is not, and run goes on', async () => {
    const it = await scene('killed', 'namespaces: [many], apps: velero, velero: { deadline: 4s }');
    const midway = async (side: Side, list: string): Promise<void> => {
      await move[side].until(`a ${list} in progress`, async () =>
        (await get(side, list))?.items.some((one: KubernetesObject) => one.status?.phase === 'InProgress'),
      );
      await move.velero[side].kill();
    };
    for (const [side, list, step] of [
      ['source', BACKUPS, 'data/backup'],
      ['target', RESTORES, 'data/restore'],
    ] as const) {
      const [outcome] = await Promise.all([it.go(), midway(side, list)]);
      assert.equal(codeOf(outcome), 'VELERO_TOO_SLOW');
      assert.ok(
        !it.journal
          .read()
          .split('\n')
          .some((line) => line.includes(`"done"`) && line.includes(`"${step}"`)),
        `${step} is not done`,
      );
      await move.velero[side].start();
      if (side === 'target') mustBeDone(await it.go());
    }
    const names = (await get('source', BACKUPS))!.items.map((one: KubernetesObject) => [
      one.metadata.name,
      one.status.phase,
    ]);
    assert.deepEqual(names, [
      [nameIn(it), 'Failed'],
      [`${nameIn(it)}-2`, 'Completed'],
    ]);
    assert.equal(
      (await get('target', '/api/v1/namespaces/many/configmaps'))?.items.filter((one: KubernetesObject) =>
        one.metadata.name.startsWith('config-'),
      ).length,
      200,
    );
    await it.back();
  });

  test('a store that is gone, or a location that is ReadOnly, stops it before anything is written', async () => {
    const it = await scene('store', 'namespaces: [shop], apps: velero');
    await move.source.request('PATCH', LOCATION, { spec: { accessMode: 'ReadOnly' } }, MERGE);
    assert.equal(codeOf(await it.go()), 'STORAGE_READ_ONLY');
    await move.source.request('PATCH', LOCATION, { spec: { accessMode: 'ReadWrite' } }, MERGE);
    const written = await scene('written', 'namespaces: [shop], apps: converted');
    await move.store.kill();
    assert.equal(codeOf(await written.go()), 'STORE_UNREACHABLE');
    await move.source.until(
      'Unavailable',
      async () => (await get('source', LOCATION))?.status.phase === 'Unavailable',
      90_000,
    );
    assert.equal(codeOf(await it.go()), 'STORAGE_UNAVAILABLE');
    assert.deepEqual((await get('source', BACKUPS))!.items, []);
    await move.store.start();
    for (const side of ['source', 'target'] as const)
      await move[side].until('Available', async () => (await get(side, LOCATION))?.status.phase === 'Available');
    for (const one of [written, it]) {
      mustBeDone(await one.go());
      await one.back();
    }
  });

  test('a restore that ends PartiallyFailed tells why by cause, and the next try brings the rest', async () => {
    await send(move.target, '/api/v1/namespaces', { metadata: { name: 'shop' } });
    await send(move.target, '/api/v1/namespaces/shop/resourcequotas', {
      metadata: { name: 'none' },
      spec: { hard: { 'count/deployments.apps': '0' } },
    });
    await move.target.until(
      'the quota counted',
      async () => (await get('target', '/api/v1/namespaces/shop/resourcequotas/none'))?.status?.hard,
    );
    const it = await scene('partly', 'namespaces: [shop], apps: velero');
    const outcome = await it.go();
    assert.equal(codeOf(outcome), 'VELERO_FAILED');
    assert.match((outcome as { error: { why: string } }).error.why, /^1 × quota \(shop\)/);
    await move.target.request('DELETE', '/api/v1/namespaces/shop/resourcequotas/none');
    mustBeDone(await it.go());
    assert.ok(await get('target', '/apis/apps/v1/namespaces/shop/deployments/web'));
    const world = await move.world(it.plan.playbook);
    mustBeDone(await rollback(undefined, move.engine(world, { store: it.journal })));
    assert.deepEqual(
      (await get('target', '/api/v1/namespaces/shop/configmaps'))?.items.filter(
        (one: KubernetesObject) => one.metadata.name === 'settings',
      ),
      [],
    );
    await move.target.request('DELETE', '/api/v1/namespaces/shop');
    await move.target.until('shop gone', async () => (await get('target', '/api/v1/namespaces/shop')) === undefined);
  });

  test('a name that somebody else has taken is neither adopted nor deleted', async () => {
    const it = await scene('taken', 'namespaces: [shop], apps: velero');
    const foreign = {
      apiVersion: 'velero.io/v1',
      kind: 'Backup',
      metadata: { name: nameIn(it) },
      spec: { storageLocation: 'default' },
      status: { phase: 'Completed' },
    };
    await send(move.target, BACKUPS, foreign);
    assert.equal(codeOf(await it.go()), 'NAME_TAKEN');
    await move.target.request('DELETE', `${BACKUPS}/${nameIn(it)}`);
    await send(move.target, RESTORES, { ...foreign, kind: 'Restore', spec: { backupName: 'other' } });
    mustBeDone(await it.go());
    assert.equal((await get('target', `${RESTORES}/${nameIn(it)}-2`))?.status.phase, 'Completed');
    await it.back();
    assert.equal((await get('target', `${RESTORES}/${nameIn(it)}`))?.spec.backupName, 'other');
    await move.target.request('DELETE', `${RESTORES}/${nameIn(it)}`);
  });

  test('our own process killed after one write, after two more, and so on: the run goes on to the same end', async () => {
    for (const apps of ['velero', 'converted']) {
      const it = await scene(`crash-${apps}`, `namespaces: [shop], apps: ${apps}`);
      let kills = 0;
      for (;;) {
        // One write gets through before the process is gone, the next time two, and so on.
        let left = kills + 1;
        const dying: Tap = async (call, request) => {
          if (left === 0) throw new Error('killed');
          const reply = await request();
          if (call.writes) left = Math.max(0, left - 1);
          if (left === 0) throw new Error('killed');
          return reply;
        };
        const outcome = await it.go(dying);
        if (outcome.outcome === 'done') break;
        assert.ok(++kills < 30, `${kills} kills`);
        if (left > 0) throw (outcome as { error: unknown }).error;
      }
      assert.ok(kills >= 2, `${kills} kills`);
      assert.ok(await get('target', '/api/v1/namespaces/shop/configmaps/settings'));
      await it.back();
    }
  });

  test('a kind that Velero has not discovered yet is missed in its backup, and not by us', async () => {
    const names = { kind: 'Late', listKind: 'LateList', plural: 'lates', singular: 'late' };
    const definition = {
      metadata: { name: 'lates.example.net' },
      spec: {
        group: 'example.net',
        scope: 'Namespaced',
        names,
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      },
    };
    await send(move.source, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
    await move.source.until('served', async () => get('source', '/apis/example.net/v1/lates'));
    await send(move.source, '/apis/example.net/v1/namespaces/shop/lates', {
      apiVersion: 'example.net/v1',
      kind: 'Late',
      metadata: { name: 'one' },
    });
    const it = await scene('stale', 'namespaces: [shop], apps: velero');
    assert.equal(codeOf(await it.go()), 'BACKUP_INCOMPLETE');
    // Discovery is looked at anew when it starts.
    await move.velero.source.kill();
    await move.velero.source.start();
    mustBeDone(await it.go());
    assert.ok(await get('target', '/apis/example.net/v1/namespaces/shop/lates/one'));
    await it.back();
    assert.equal(
      await get('target', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/lates.example.net'),
      undefined,
    );
    await move.source.request('DELETE', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/lates.example.net');
  });
});
