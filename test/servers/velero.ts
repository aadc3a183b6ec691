import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binaryPath } from './binaries.js';
import type { ControlPlane, KubernetesObject } from './control-plane.js';
import { type Family, freePorts, type Server, startFamily, untilReady } from './processes.js';

/** An S3 server with one bucket, which keeps what it has through a restart. */
export interface Store {
  /** `http://127.0.0.1:PORT`, the same for all its life */
  readonly url: string;
  readonly bucket: string;
  /** Kills it; calls are then refused. */
  kill(): Promise<void>;
  /** Brings it back on the same port with the same contents. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const BUCKET = 'migrate';
const START_LIMIT_MS = 30_000;

export async function startStore(): Promise<Store> {
  const family = startFamily(mkdtempSync(join(tmpdir(), 'migrate-store-')));
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  let server: Server | undefined;
  const store: Store = {
    url,
    bucket: BUCKET,
    async start() {
      server = family.start('gofakes3', binaryPath('gofakes3'), [
        `-host=127.0.0.1:${port}`,
        '-quiet',
        `-initialbucket=${BUCKET}`,
        '-backend=bolt',
        `-bolt.db=${join(family.dir, 'store.db')}`,
      ]);
      await untilReady(server, () => answers(`${url}/${BUCKET}`), START_LIMIT_MS);
    },
    kill: async () => server?.kill(),
    stop: () => family.stop(),
  };
  await store.start();
  return store;
}

const answers = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const asked = request(url, { method: 'HEAD', timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('error', () => resolve(false));
    asked.on('timeout', () => asked.destroy());
    asked.end();
  });

/** A Velero server for one control plane, as a process beside it. */
export interface VeleroServer {
  /** SIGKILL, the plug-ins with it */
  kill(): Promise<void>;
  /** Starts it again; what was in progress it then calls Failed. */
  start(): Promise<void>;
  /** the last lines of its log */
  tail(): string;
  stop(): Promise<void>;
}

export const VELERO = 'velero';

/**
 * Installs Velero's kinds, its namespace, a location on `store` and the Deployment that a restore looks for, and runs the server outside.
 *
 * @returns when the location is Available
 * @source vmware-tanzu/velero:pkg/cmd/server (flags), runs of 1.18.3: without a Deployment of that name every Restore ends PartiallyFailed
 */
export async function startVeleroServer(plane: ControlPlane, store: Store): Promise<VeleroServer> {
  const family = startFamily(mkdtempSync(join(tmpdir(), 'migrate-velero-')));
  await install(plane, store);
  const plugins = join(family.dir, 'plugins');
  mkdirSync(plugins);
  symlinkSync(binaryPath('velero-plugin-for-aws'), join(plugins, 'velero-plugin-for-aws'));
  let server: Server | undefined;
  let starts = 0;
  const velero: VeleroServer = {
    async start() {
      server = await startServer(family, plane, plugins, ++starts);
    },
    kill: async () => server?.kill(),
    tail: () => server?.tail() ?? '',
    stop: () => family.stop(),
  };
  try {
    await velero.start();
    return velero;
  } catch (error) {
    await velero.stop();
    throw error;
  }
}

async function startServer(family: Family, plane: ControlPlane, plugins: string, round: number): Promise<Server> {
  const [port = 0] = await freePorts(1);
  const since = new Date(Date.now() - 1000).toISOString();
  const server = family.start(
    'velero',
    binaryPath('velero'),
    [
      // Flags come after the word, for they are handed on to the plug-ins with it.
      'server',
      `--kubeconfig=${plane.kubeconfigPath('velero')}`,
      `--namespace=${VELERO}`,
      `--plugin-dir=${plugins}`,
      `--metrics-address=127.0.0.1:${port}`,
      '--profiler-address=',
      '--item-operation-sync-frequency=1s',
      '--store-validation-frequency=2s',
      '--backup-sync-period=1s',
      '--terminating-resource-timeout=20s',
      // Its queue counts a backup as about to start after it has said so, and one that is refused in between is counted for good: with the
      // one place that it has by default nothing would ever start again.
      // @source vmware-tanzu/velero v1.18.3, pkg/controller/backup_queue_controller.go (AddReadyToStart after the patch)
      '--concurrent-backups=50',
    ],
    // Its copies of credentials are cut and written anew on each use, so two servers must not share them.
    { withChildren: true, home: join(family.dir, `home-${round}`) },
  );
  await untilReady(
    server,
    async () => {
      const { body } = await plane.request('GET', `${API}/backupstoragelocations/default`);
      const { phase, lastValidationTime } = body.status ?? {};
      return phase === 'Available' && lastValidationTime >= since.slice(0, 19);
    },
    START_LIMIT_MS,
  );
  return server;
}

const API = `/apis/velero.io/v1/namespaces/${VELERO}`;

async function install(plane: ControlPlane, store: Store): Promise<void> {
  const post = async (path: string, object: KubernetesObject) => {
    const { status, body } = await plane.request('POST', path, object);
    if (status !== 201 && status !== 409) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
  };
  // 1.20, as it is built here, takes an empty text in a custom resource for null.
  const withoutEmpty = (key: string, value: unknown): unknown =>
    key === 'default' && value === '' ? undefined : value;
  const definitions: KubernetesObject[] = JSON.parse(
    execFileSync(binaryPath('velero'), ['crds'], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }),
    withoutEmpty,
  );
  await Promise.all(
    definitions.map(({ metadata, spec }) =>
      post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: metadata.name, labels: { component: VELERO } },
        spec,
      }),
    ),
  );
  await post('/api/v1/namespaces', { metadata: { name: VELERO } });
  await post(`/api/v1/namespaces/${VELERO}/secrets`, {
    metadata: { name: 'cloud-credentials' },
    stringData: { cloud: '[default]\naws_access_key_id=velero\naws_secret_access_key=of-a-test\n' },
  });
  await post(`/apis/apps/v1/namespaces/${VELERO}/deployments`, {
    metadata: { name: VELERO, labels: { component: VELERO } },
    spec: {
      replicas: 0, // the process outside is the one
      selector: { matchLabels: { deploy: VELERO } },
      template: {
        metadata: { labels: { deploy: VELERO } },
        spec: { containers: [{ name: VELERO, image: 'velero/velero:v1.18.3', args: ['server'] }] },
      },
    },
  });
  await plane.until(
    "Velero's kinds",
    async () => (await plane.request('GET', `${API}/backupstoragelocations`)).status === 200,
  );
  await post(`${API}/backupstoragelocations`, {
    apiVersion: 'velero.io/v1',
    kind: 'BackupStorageLocation',
    metadata: { name: 'default', labels: { component: VELERO } },
    spec: {
      provider: 'aws',
      default: true,
      backupSyncPeriod: '1s',
      credential: { name: 'cloud-credentials', key: 'cloud' },
      objectStorage: { bucket: store.bucket, prefix: 'clusters' },
      config: { region: 'us-east-1', s3Url: store.url, s3ForcePathStyle: 'true' },
    },
  });
}
