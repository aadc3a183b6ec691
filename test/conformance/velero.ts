import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

/**
 * What Velero does, as far as a move relies on it: one suite for real servers and for the twin's. Where the two differ, the twin is wrong.
 */

// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;

/** One cluster with its API and a Velero. */
export interface Judged {
  get(resource: string, namespace: string | undefined, name: string): Promise<Json>;
  list(resource: string, namespace?: string): Promise<Json[]>;
  create(resource: string, object: Json): Promise<Json>;
  mergePatch(resource: string, namespace: string | undefined, name: string, patch: Json): Promise<Json>;
  delete(resource: string, namespace: string | undefined, name: string): Promise<void>;
}

export interface Pair {
  /** 1.20 and 1.36, with one store */
  source: Judged;
  target: Judged;
  /** of the clock that the servers live by */
  sleep(ms: number): Promise<void>;
  stop(): Promise<void>;
}

const V = 'velero';
const BACKUPS = 'velero.io/v1/backups';
const RESTORES = 'velero.io/v1/restores';
const REQUESTS = 'velero.io/v1/deletebackuprequests';
const LOCATIONS = 'velero.io/v1/backupstoragelocations';
const ENDED = /^(Completed|PartiallyFailed|Failed|FailedValidation)$/;

export function veleroConformance(title: string, open: () => Promise<Pair>): void {
  describe(`Velero of ${title}`, { timeout: 200_000 }, () => {
    let pair: Pair;
    let source: Judged;
    let target: Judged;
    let count = 0;
    /** names that no other test has */
    const fresh = (word: string): string => `${word}-${++count}`;

    const until = async <T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> => {
      for (let tries = 0; tries < 300; tries++) {
        const answer = await ask();
        if (answer !== undefined && answer !== false) return answer;
        await pair.sleep(100);
      }
      throw new Error(`not in time: ${what}`);
    };
    const ended = (side: Judged, resource: string, name: string): Promise<Json> =>
      until(`${name} ended`, async () => {
        const found = await side.get(resource, V, name);
        return ENDED.test(found?.status?.phase ?? '') ? found : undefined;
      });
    const named = (kind: string, name: string, spec: Json): Json => ({
      apiVersion: 'velero.io/v1',
      kind,
      metadata: { name, namespace: V },
      spec,
    });
    const backup = async (spec: Json): Promise<Json> => {
      const name = fresh('backup');
      await source.create(
        BACKUPS,
        named('Backup', name, { storageLocation: 'default', snapshotVolumes: false, ...spec }),
      );
      return ended(source, BACKUPS, name);
    };
    /** As its sync would do within a minute. */
    const bring = async ({ metadata, spec, status }: Json): Promise<void> => {
      if (await target.get(BACKUPS, V, metadata.name)) return;
      await target.create(BACKUPS, {
        ...named('Backup', metadata.name, spec),
        metadata: { name: metadata.name, namespace: V, labels: metadata.labels },
        status,
      });
    };
    const restore = async (of: Json, spec: Json = {}): Promise<Json> => {
      await bring(of);
      const name = fresh('restore');
      await target.create(
        RESTORES,
        named('Restore', name, {
          backupName: of.metadata.name,
          restorePVs: false,
          includeClusterResources: false,
          ...spec,
        }),
      );
      return ended(target, RESTORES, name);
    };
    const namespace = async (): Promise<string> => {
      const name = fresh('ns');
      await source.create('v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name, labels: { team: 'web' } },
      });
      return name;
    };
    const config = (inside: string, name: string, data: Json, more: Json = {}): Json => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: inside, ...more },
      data,
    });
    const rules = async (list: Json[]): Promise<Json> => {
      const name = fresh('rules');
      await target.create(
        'v1/configmaps',
        config(V, name, { 'rules.yaml': JSON.stringify({ version: 'v1', resourceModifierRules: list }) }),
      );
      return { resourceModifier: { kind: 'ConfigMap', name } };
    };

    before(async () => {
      pair = await open();
      ({ source, target } = pair);
    });
    after(() => pair?.stop());

    it('a backup ends Completed, its zero counts absent, and says where it came from', async () => {
      const inside = await namespace();
      await source.create('v1/configmaps', config(inside, 'a', { a: '1' }));
      const { status, metadata, spec } = await backup({ includedNamespaces: [inside] });
      assert.equal(status.phase, 'Completed');
      assert.equal('errors' in status || 'warnings' in status, false);
      assert.deepEqual([status.version, status.formatVersion], [1, '1.1.0']);
      assert.equal(status.progress.totalItems, status.progress.itemsBackedUp);
      assert.equal(metadata.labels['velero.io/storage-location'], 'default');
      assert.equal(metadata.annotations['velero.io/source-cluster-k8s-gitversion'], 'v1.20.15');
      assert.equal(spec.ttl, '720h0m0s');
    });

    it('what is restored has no owner and no old address, and keeps labels, annotations and type', async () => {
      const inside = await namespace();
      const owner = await source.create('v1/configmaps', config(inside, 'owner', {}));
      const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid };
      await source.create(
        'v1/configmaps',
        config(
          inside,
          'owned',
          { a: '1' },
          { ownerReferences: [reference], labels: { l: 'l' }, annotations: { an: 'an' } },
        ),
      );
      const service = await source.create('v1/services', {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web', namespace: inside, annotations: { 'example.com/lb': 'lb-1' } },
        spec: { type: 'LoadBalancer', selector: { app: 'web' }, ports: [{ port: 80 }] },
      });
      assert.ok(service.spec.ports[0].nodePort);
      const of = await backup({ includedNamespaces: [inside] });
      const { status, metadata } = await restore(of);
      assert.equal(status.phase, 'Completed', JSON.stringify(status));
      const owned = await target.get('v1/configmaps', inside, 'owned');
      assert.equal(owned.metadata.ownerReferences, undefined);
      assert.notEqual(owned.metadata.uid, undefined);
      assert.deepEqual(owned.metadata.labels, {
        l: 'l',
        'velero.io/backup-name': of.metadata.name,
        'velero.io/restore-name': metadata.name,
      });
      assert.equal(owned.metadata.annotations.an, 'an');
      const web = await target.get('v1/services', inside, 'web');
      assert.equal(web.spec.type, 'LoadBalancer');
      assert.equal(web.metadata.annotations['example.com/lb'], 'lb-1');
      assert.equal((await target.get('v1/namespaces', undefined, inside)).metadata.labels.team, 'web');
    });

    it('an object that is there stays as it is, for a warning; under update it is merged', async () => {
      const inside = await namespace();
      await source.create('v1/configmaps', config(inside, 'a', { a: 'source', b: 'source' }));
      const of = await backup({ includedNamespaces: [inside] });
      await target.create('v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: inside } });
      await target.create('v1/configmaps', config(inside, 'a', { a: 'target', c: 'target' }));
      const first = await restore(of);
      assert.equal(first.status.phase, 'Completed');
      assert.ok(first.status.warnings >= 1);
      assert.deepEqual((await target.get('v1/configmaps', inside, 'a')).data, { a: 'target', c: 'target' });
      await restore(of, { existingResourcePolicy: 'update' });
      const { data } = await target.get('v1/configmaps', inside, 'a');
      assert.deepEqual([data.a, data.b], ['source', 'source']);
    });

    it('a rule that fails costs an error, and the object comes as it was', async () => {
      const inside = await namespace();
      await source.create('v1/configmaps', config(inside, 'merged', { a: '1' }));
      await source.create('v1/configmaps', config(inside, 'failed', { a: '1' }));
      await source.create('v1/configmaps', config(inside, 'tested', { a: '1' }));
      const of = await backup({ includedNamespaces: [inside] });
      const at = (name: string) => ({
        conditions: { groupResource: 'configmaps', resourceNameRegex: `^${name}$`, namespaces: [inside] },
      });
      const modified = await rules([
        { ...at('merged'), mergePatches: [{ patchData: '{"data":{"a":null,"b":"2"}}' }] },
        { ...at('failed'), patches: [{ operation: 'replace', path: '/data/none', value: 'x' }] },
        {
          ...at('tested'),
          patches: [
            { operation: 'test', path: '/data/a', value: 'other' },
            { operation: 'replace', path: '/data/a', value: 'x' },
          ],
        },
      ]);
      const { status } = await restore(of, modified);
      assert.deepEqual([status.phase, status.errors], ['PartiallyFailed', 1]);
      assert.deepEqual((await target.get('v1/configmaps', inside, 'merged')).data, { b: '2' });
      assert.deepEqual((await target.get('v1/configmaps', inside, 'failed')).data, { a: '1' });
      assert.deepEqual((await target.get('v1/configmaps', inside, 'tested')).data, { a: '1' });
    });

    it('a kind that the target does not serve is an error, and the rest comes', async () => {
      const inside = await namespace();
      const job = { spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'c' }] } } } };
      await source.create('batch/v1beta1/cronjobs', {
        apiVersion: 'batch/v1beta1',
        kind: 'CronJob',
        metadata: { name: 'nightly', namespace: inside },
        spec: { schedule: '0 3 * * *', jobTemplate: job },
      });
      await source.create('v1/configmaps', config(inside, 'a', {}));
      const { status } = await restore(await backup({ includedNamespaces: [inside] }));
      assert.deepEqual([status.phase, status.errors], ['PartiallyFailed', 1]);
      assert.ok(await target.get('v1/configmaps', inside, 'a'));
    });

    it('with volumes left out a claim keeps the name of its volume', async () => {
      const inside = await namespace();
      const spec = {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'manual',
        volumeName: `${inside}-pv`,
        resources: { requests: { storage: '1Gi' } },
      };
      await source.create('v1/persistentvolumeclaims', {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'data', namespace: inside },
        spec,
      });
      const of = await backup({ includedNamespaces: [inside], excludedResources: ['persistentvolumes'] });
      const { status } = await restore(of, { excludedResources: ['persistentvolumes'] });
      assert.equal(status.phase, 'Completed');
      assert.equal((await target.get('v1/persistentvolumeclaims', inside, 'data')).spec.volumeName, `${inside}-pv`);
    });

    it('labels choose, and the label that excludes holds', async () => {
      const inside = await namespace();
      await source.create('v1/configmaps', config(inside, 'chosen', {}, { labels: { tier: 'one' } }));
      await source.create('v1/configmaps', config(inside, 'other', {}));
      await source.create(
        'v1/configmaps',
        config(inside, 'excluded', {}, { labels: { tier: 'one', 'velero.io/exclude-from-backup': 'true' } }),
      );
      const of = await backup({ includedNamespaces: [inside] });
      await restore(of, { labelSelector: { matchLabels: { tier: 'one' } } });
      const there = async (): Promise<string[]> =>
        (await target.list('v1/configmaps', inside))
          .map((one) => one.metadata.name)
          .filter((one) => one !== 'kube-root-ca.crt')
          .toSorted((a, b) => (a < b ? -1 : 1));
      assert.deepEqual(await there(), ['chosen']);
      await restore(of);
      assert.deepEqual(await there(), ['chosen', 'other']);
    });

    for (const [what, spec] of [
      ['an unknown location', { storageLocation: 'nowhere' }],
      ['both kinds of filters', { includedResources: ['configmaps'], includedNamespaceScopedResources: ['secrets'] }],
      [
        'both kinds of selectors',
        { labelSelector: { matchLabels: { a: 'b' } }, orLabelSelectors: [{ matchLabels: { a: 'b' } }] },
      ],
    ] as [string, Json][]) {
      it(`a backup with ${what} is FailedValidation`, async () => {
        const { status } = await backup(spec);
        assert.equal(status.phase, 'FailedValidation');
        assert.ok(status.validationErrors.length > 0);
      });
    }

    it('a restore of a backup that is not there, or with rules that can not be read, is FailedValidation', async () => {
      const name = fresh('restore');
      await target.create(RESTORES, named('Restore', name, { backupName: 'never-made' }));
      assert.equal((await ended(target, RESTORES, name)).status.phase, 'FailedValidation');
      const inside = await namespace();
      const of = await backup({ includedNamespaces: [inside] });
      const bad = await rules([
        { conditions: { groupResource: 'configmaps' }, patches: [{ operation: 'odd', path: '/data', value: '1' }] },
      ]);
      const { status } = await restore(of, bad);
      assert.equal(status.phase, 'FailedValidation');
      assert.ok(status.validationErrors.length > 0);
    });

    it('into a ReadOnly location no backup goes, and from it one is restored', async () => {
      const inside = await namespace();
      const of = await backup({ includedNamespaces: [inside] });
      await source.mergePatch(LOCATIONS, V, 'default', { spec: { accessMode: 'ReadOnly' } });
      await target.mergePatch(LOCATIONS, V, 'default', { spec: { accessMode: 'ReadOnly' } });
      try {
        assert.equal((await backup({ includedNamespaces: [inside] })).status.phase, 'FailedValidation');
        assert.equal((await restore(of)).status.phase, 'Completed');
      } finally {
        await source.mergePatch(LOCATIONS, V, 'default', { spec: { accessMode: 'ReadWrite' } });
        await target.mergePatch(LOCATIONS, V, 'default', { spec: { accessMode: 'ReadWrite' } });
      }
    });

    it('a request to delete takes the backup with it and goes; one for nothing stays, with its errors', async () => {
      const inside = await namespace();
      const { metadata } = await backup({ includedNamespaces: [inside] });
      const ask = (name: string) =>
        source.create(REQUESTS, {
          ...named('DeleteBackupRequest', name, { backupName: name }),
          metadata: { name, namespace: V, labels: { 'velero.io/backup-name': name } },
        });
      await ask(metadata.name);
      await until('the backup gone', async () => !(await source.get(BACKUPS, V, metadata.name)));
      await until('the request gone', async () => !(await source.get(REQUESTS, V, metadata.name)));
      await ask('never-made');
      const processed = await until('Processed', async () => {
        const found = await source.get(REQUESTS, V, 'never-made');
        return found?.status?.phase === 'Processed' && found;
      });
      assert.ok(processed.status.errors.length > 0);
    });

    it('a Restore that is deleted goes only when a server lets it, and what it brought stays', async () => {
      const inside = await namespace();
      await source.create('v1/configmaps', config(inside, 'a', {}));
      const { metadata } = await restore(await backup({ includedNamespaces: [inside] }));
      assert.ok(metadata.finalizers.includes('restores.velero.io/external-resources-finalizer'));
      await target.delete(RESTORES, V, metadata.name);
      await until('the restore gone', async () => !(await target.get(RESTORES, V, metadata.name)));
      assert.ok(await target.get('v1/configmaps', inside, 'a'));
    });
  });
}
