import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpGet } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { binaryPath, type KubernetesVersion } from './binaries.js';
import { type Family, freePorts, type Server, ServerFailed, startFamily, untilReady } from './processes.js';

/** Who else may call, beside the admin; with no right until a role is bound to the user or a group. */
export interface Token {
  token: string;
  user: string;
  groups?: readonly string[];
}

export interface ControlPlaneOptions {
  version: KubernetesVersion;
  /**
   * What kube-controller-manager runs, in the names of 1.20, which later versions take too; none means no
   * kube-controller-manager.
   *
   * @source kubernetes v1.36, cmd/kube-controller-manager/app/controller_descriptor.go: aliases are never removed
   */
  controllers?: readonly string[];
  /** kube-scheduler, and KWOK in the place of the kubelets; without them Pods stay Pending. Default true. */
  kwok?: boolean;
  tokens?: readonly Token[];
  /** Addresses of Pods; give two clusters that meet behind one load balancer two ranges. Default 10.244.0.0/16. */
  podCidr?: string;
}

export interface Reply<T> {
  status: number;
  body: T;
}

/** An API server with its etcd, its controllers and something that plays kubelets. */
export interface ControlPlane {
  readonly version: KubernetesVersion;
  /** `https://127.0.0.1:PORT`, the same for all its life */
  readonly server: string;
  readonly caFile: string;
  /** of a member of system:masters */
  readonly token: string;
  /** Writes a kubeconfig whose current context is the only one; for `token`, or for the one given. */
  kubeconfigPath(contextName: string, token?: string): string;
  /**
   * One call as the admin. A body that is no string goes out as JSON; a JSON reply comes back parsed, any other as text.
   * Answers of any status are answers; it throws only where there was none.
   */
  request<T = KubernetesObject>(method: string, path: string, body?: unknown, contentType?: string): Promise<Reply<T>>;
  /**
   * Asks again and again until the answer is something else than undefined or false.
   *
   * @throws Error  not within the limit; or a server of this control plane died, with the last lines of its log
   */
  until<T>(what: string, ask: () => Promise<T | undefined | false>, limitMs?: number): Promise<T>;
  /** Kills the API server alone. Calls are then refused, and etcd keeps what there was. */
  stopApiServer(): Promise<void>;
  /** Brings it back on the same port and the same etcd. */
  startApiServer(): Promise<void>;
  /** Process ids by the name of the server. */
  processes(): Map<string, number>;
  stop(): Promise<void>;
}

/** Loose on purpose: a test names the fields it looks at. */
// oxlint-disable-next-line typescript/no-explicit-any
export type KubernetesObject = any;

/**
 * What a cluster runs as far as tests can tell. The protection controllers are here because the API server puts their
 * finalizers on each claim and volume, and without them no claim ever goes. Not here is `nodelifecycle`: with it a
 * machine that is slow for 40 s would lose its Pods in the middle of a test.
 */
const CONTROLLERS = [
  'deployment',
  'replicaset',
  'statefulset',
  'daemonset',
  'job',
  'cronjob',
  'disruption',
  'endpoint',
  'endpointslice',
  'endpointslicemirroring',
  'namespace',
  'garbagecollector',
  'serviceaccount',
  'persistentvolume-binder',
  'attachdetach',
  'pvc-protection',
  'pv-protection',
];

const START_LIMIT_MS = 60_000;

/**
 * Starts the servers that `build.sh` built, on loopback and on ports that the system gives, all data in a folder that
 * goes with them. They end with `stop` or with this process, whichever comes first.
 *
 * @returns when the API server is ready; controllers may still be starting, so use `until`
 * @throws Error  a binary is not built
 * @throws ServerFailed  a server did not come up; carries the last lines of its log
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  try {
    return await startOnFreePorts(options);
  } catch (error) {
    if (!(error instanceof ServerFailed && error.portTaken)) throw error;
    return await startOnFreePorts(options);
  }
}

async function startOnFreePorts(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { version, controllers = CONTROLLERS, kwok = true, podCidr = '10.244.0.0/16' } = options;
  const [etcdPort = 0, peerPort = 0, port = 0] = await freePorts(3);
  const family = startFamily(mkdtempSync(join(tmpdir(), 'migrate-testbed-')));
  const { dir } = family;
  const token = randomBytes(16).toString('hex');
  const admin: Token = { token, user: 'admin', groups: ['system:masters'] };
  writeFileSync(join(dir, 'tokens.csv'), [admin, ...(options.tokens ?? [])].map(csvLine).join(''), { mode: 0o600 });
  writeServiceAccountKeys(dir);

  const server = `https://127.0.0.1:${port}`;
  // Self-signed by the API server when it first starts: the leaf, then its authority.
  const caFile = join(dir, 'apiserver.crt');
  const others: Server[] = [];
  let apiServer: Server | undefined;
  let agent: Agent | undefined;

  const died = () => {
    const dead = [apiServer, ...others].find((it) => it?.died() !== undefined);
    return dead === undefined ? undefined : new ServerFailed(dead, dead.died() ?? '');
  };

  const plane: ControlPlane = {
    version,
    server,
    caFile,
    token,

    kubeconfigPath(contextName, as = token) {
      const file = join(dir, `${contextName.replaceAll(/[^\w.-]/g, '_')}.kubeconfig`);
      writeConfig(file, [{ name: contextName, plane, token: as }], contextName);
      return file;
    },

    async request<T>(method: string, path: string, body?: unknown, contentType = 'application/json') {
      agent ??= new Agent({ keepAlive: true, ca: readFileSync(caFile) });
      try {
        return await call<T>({ agent, url: server + path, method, token, body, contentType });
      } catch (error) {
        agent = undefined; // it may have read a certificate that was only half written
        throw error;
      }
    },

    async until(what, ask, limitMs = 30_000) {
      const deadline = Date.now() + limitMs;
      for (;;) {
        const answer = await ask().catch((error: unknown) => {
          throw died() ?? error;
        });
        if (answer !== undefined && answer !== false) return answer;
        const dead = died();
        if (dead !== undefined) throw dead;
        if (Date.now() > deadline) throw new Error(`Kubernetes ${version}: not within ${limitMs / 1000} s: ${what}`);
        await sleep(50);
      }
    },

    async stopApiServer() {
      await apiServer?.kill();
      agent?.destroy();
      agent = undefined;
    },

    async startApiServer() {
      // While it was away, its port may have served as the near end of somebody's connection. Those are short.
      for (let triesLeft = 5; ; triesLeft -= 1) {
        try {
          apiServer = await startApiServer(family, version, { port, etcdPort }, plane);
          return;
        } catch (error) {
          if (!(error instanceof ServerFailed && error.portTaken) || triesLeft === 0) throw error;
          await sleep(1000);
        }
      }
    },

    processes: () => new Map([apiServer, ...others].flatMap((it) => (it === undefined ? [] : [[it.name, it.pid]]))),

    async stop() {
      agent?.destroy();
      await family.stop();
    },
  };

  try {
    others.push(await startEtcd(family, etcdPort, peerPort));
    apiServer = await startApiServer(family, version, { port, etcdPort }, plane);
    const kubeconfig = plane.kubeconfigPath('servers');
    if (controllers.length > 0) others.push(startControllers(family, version, kubeconfig, controllers));
    if (kwok) others.push(startScheduler(family, version, kubeconfig), startKwok(family, kubeconfig, podCidr));
    return plane;
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

/** @source kube-apiserver, static token file: token, user name, user uid, and the groups as one quoted field */
const csvLine = ({ token, user, groups = [] }: Token) => `${token},${user},${user},"${groups.join(',')}"\n`;

function writeServiceAccountKeys(dir: string): void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeFileSync(join(dir, 'sa.key'), privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(dir, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
}

async function startEtcd(family: Family, port: number, peerPort: number): Promise<Server> {
  const [url, peerUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  const etcd = family.start('etcd', binaryPath('etcd'), [
    `--data-dir=${join(family.dir, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync', // what a test keeps need not outlive a power cut
    '--log-level=warn',
  ]);
  await untilReady(etcd, async () => (await plainStatus(`${url}/health`)) === 200, START_LIMIT_MS);
  return etcd;
}

async function startApiServer(
  family: Family,
  version: KubernetesVersion,
  { port, etcdPort }: { port: number; etcdPort: number },
  plane: ControlPlane,
): Promise<Server> {
  const { dir } = family;
  const apiServer = family.start('kube-apiserver', binaryPath('kube-apiserver', version), [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    // A loopback address may not be advertised, and on a machine without a route the default is refused. Nobody calls
    // the address (it is one of those that RFC 5737 keeps for examples).
    '--advertise-address=192.0.2.1',
    `--cert-dir=${dir}`,
    `--token-auth-file=${join(dir, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    `--service-account-key-file=${join(dir, 'sa.pub')}`,
    `--service-account-signing-key-file=${join(dir, 'sa.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--allow-privileged=true',
    // TaintNodesByCondition taints each new Node until `nodelifecycle`, which does not run here, lifts the taint.
    '--disable-admission-plugins=ServiceAccount,TaintNodesByCondition',
  ]);
  const isReady = async () => (await plane.request('GET', '/readyz')).status === 200 && (await listsItsGroups(plane));
  await untilReady(apiServer, isReady, START_LIMIT_MS);
  return apiServer;
}

/**
 * Whether discovery shows every group that is registered. `/readyz` can say ok a moment before, and a controller manager that starts then
 * leaves out, for as long as it lives, the controllers whose kinds it does not see.
 *
 * @source kubernetes v1.20, cmd/kube-controller-manager/app/discovery.go: "Not starting endpointslice-controller since ... resources are not available"
 */
async function listsItsGroups(plane: ControlPlane): Promise<boolean> {
  const [registered, listed] = await Promise.all([
    plane.request('GET', '/apis/apiregistration.k8s.io/v1/apiservices'),
    plane.request('GET', '/apis'),
  ]);
  type Service = { spec: { group?: string; version: string }; status?: { conditions?: [] } };
  type Group = { versions: { groupVersion: string }[] };
  const seen = new Set((listed.body.groups ?? []).flatMap((it: Group) => it.versions.map((one) => one.groupVersion)));
  const wanted = ((registered.body.items ?? []) as Service[]).filter((it) => it.spec.group);
  if (!wanted.some((it) => it.spec.group === 'discovery.k8s.io')) return false;
  return wanted.every(
    (it) => isTrue(it.status?.conditions, 'Available') && seen.has(`${it.spec.group}/${it.spec.version}`),
  );
}

function startControllers(
  family: Family,
  version: KubernetesVersion,
  kubeconfig: string,
  controllers: readonly string[],
): Server {
  return family.start('kube-controller-manager', binaryPath('kube-controller-manager', version), [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${controllers.join(',')}`,
    `--service-account-private-key-file=${join(family.dir, 'sa.key')}`,
    `--root-ca-file=${join(family.dir, 'apiserver.crt')}`,
    '--use-service-account-credentials=false',
    '--leader-elect=false',
    ...noPorts(version),
    // Defaults spare a cluster of thousands of nodes. Here they would only make tests wait.
    ...FAST_CLIENT,
    '--pvclaimbinder-sync-period=1s',
    '--attach-detach-reconcile-sync-period=1s',
    '--endpoint-updates-batch-period=0s',
    '--endpointslice-updates-batch-period=0s',
  ]);
}

const startScheduler = (family: Family, version: KubernetesVersion, kubeconfig: string): Server =>
  family.start('kube-scheduler', binaryPath('kube-scheduler', version), [
    `--kubeconfig=${kubeconfig}`,
    '--leader-elect=false',
    ...noPorts(version),
    ...FAST_CLIENT,
  ]);

const FAST_CLIENT = ['--kube-api-qps=500', '--kube-api-burst=1000'];

/** 0 opens none. 1.20 has a plain one too, which is gone from 1.24 on, and its flag with it. */
const noPorts = (version: KubernetesVersion) => ['--secure-port=0', ...(version === '1.20.15' ? ['--port=0'] : [])];

/** Without a configuration of ours KWOK takes its own stages: Pods turn Ready at once, Jobs complete, deleted Pods go. */
const startKwok = (family: Family, kubeconfig: string, podCidr: string): Server =>
  family.start('kwok', binaryPath('kwok'), [
    `--kubeconfig=${kubeconfig}`,
    `--cidr=${podCidr}`,
    '--manage-all-nodes=false',
    `--manage-nodes-with-annotation-selector=${KWOK_ANNOTATION}=fake`,
  ]);

const KWOK_ANNOTATION = 'kwok.x-k8s.io/node';

export interface Context {
  /** of the context, the cluster and the user alike */
  name: string;
  plane: ControlPlane;
  /** instead of the admin's */
  token?: string;
}

/** Writes a kubeconfig, mode 0600, with a context for each plane and no current one, so that none is taken by chance. */
export const writeKubeconfig = (file: string, contexts: readonly Context[]): void => writeConfig(file, contexts, '');

/** JSON, which every reader of YAML reads. */
function writeConfig(file: string, contexts: readonly Context[], current: string): void {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': current,
    clusters: contexts.map(({ name, plane }) => ({
      name,
      cluster: { server: plane.server, 'certificate-authority-data': readFileSync(plane.caFile).toString('base64') },
    })),
    users: contexts.map(({ name, plane, token = plane.token }) => ({ name, user: { token } })),
    contexts: contexts.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
  };
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  chmodSync(file, 0o600); // the mode above counts only for a file that was not there
}

export interface NodeOptions {
  /** Default cn-hangzhou. */
  region?: string;
  /** Default cn-hangzhou-h. */
  zone?: string;
  labels?: Record<string, string>;
  taints?: readonly { key: string; value?: string; effect: string }[];
  /** The name of the machine behind the node, by its index from 0 on. Two planes of one test want two sets. */
  providerID?: (index: number) => string;
  /** InternalIP, by the same index; from 192.168.0.1 on, unless said. */
  address?: (index: number) => string;
  /** What the kubelet says it is. Default: the version of the control plane. */
  kubeletVersion?: string;
  /** Further fields of `status.nodeInfo`, such as what runs containers; KWOK makes up the rest. */
  nodeInfo?: Record<string, string>;
  /** Of each node, all of it allocatable. Default: 4 CPUs and 16 GiB. */
  capacity?: Record<string, string>;
}

export interface TestNode {
  name: string;
  providerID: string;
  /** InternalIP */
  address: string;
}

/**
 * Adds Nodes to those there are, named and labelled as Alibaba Cloud's are, and waits until KWOK has made them Ready. Pods go there by the real kube-scheduler.
 *
 * @source Alibaba Cloud's cloud controller manager: `spec.providerID` is REGION.INSTANCE-ID
 */
export async function addNodes(plane: ControlPlane, count: number, options: NodeOptions = {}): Promise<TestNode[]> {
  const {
    region = 'cn-hangzhou',
    zone = 'cn-hangzhou-h',
    labels,
    taints,
    kubeletVersion = `v${plane.version}`,
    nodeInfo,
    capacity,
  } = options;
  const { providerID = (index: number) => `${region}.i-bp1testbed${String(index).padStart(4, '0')}` } = options;
  const { address = (index: number) => `192.168.${Math.floor(index / 250)}.${(index % 250) + 1}` } = options;
  const resources = capacity ?? { cpu: '4', memory: '16Gi', pods: '110', 'ephemeral-storage': '100Gi' };
  const already = (await plane.request('GET', '/api/v1/nodes')).body.items.length as number;
  const nodes = Array.from({ length: count }, (_, added) => {
    const index = already + added;
    const ip = address(index);
    return { name: `${region}.${ip}`, providerID: providerID(index), address: ip };
  });

  for (const node of nodes) {
    const { status, body } = await plane.request('POST', '/api/v1/nodes', {
      metadata: {
        name: node.name,
        annotations: {
          [KWOK_ANNOTATION]: 'fake',
          // As each kubelet says of itself; without it the controller manager attaches no volume to the node.
          'volumes.kubernetes.io/controller-managed-attach-detach': 'true',
        },
        labels: {
          'kubernetes.io/hostname': node.name,
          'kubernetes.io/os': 'linux',
          'kubernetes.io/arch': 'amd64',
          'node.kubernetes.io/instance-type': 'ecs.g7.xlarge',
          'topology.kubernetes.io/region': region,
          'topology.kubernetes.io/zone': zone,
          ...labels,
        },
      },
      spec: { providerID: node.providerID, ...(taints && { taints }) },
      // A Node is the one kind whose status is kept when it is created; KWOK keeps what it finds and adds the rest.
      status: {
        addresses: [
          { type: 'InternalIP', address: node.address },
          { type: 'Hostname', address: node.name },
        ],
        allocatable: resources,
        capacity: resources,
        nodeInfo: { kubeletVersion, ...nodeInfo },
      },
    });
    if (status !== 201) throw new Error(`Node ${node.name} was not made: ${status} ${JSON.stringify(body)}`);
  }
  for (const { name } of nodes) {
    await plane.until(`node ${name} Ready`, async () => {
      const { body } = await plane.request('GET', `/api/v1/nodes/${name}`);
      return isTrue(body.status.conditions, 'Ready');
    });
  }
  return nodes;
}

/** Of an object's `status.conditions`: whether the one of that type is True. */
export const isTrue = (conditions: readonly { type: string; status: string }[] | undefined, type: string): boolean =>
  conditions?.some((it) => it.type === type && it.status === 'True') ?? false;

interface Call {
  agent: Agent;
  url: string;
  method: string;
  token: string;
  body: unknown;
  contentType: string;
}

async function call<T>({ agent, url, method, token, body, contentType }: Call): Promise<Reply<T>> {
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  return await new Promise((resolve, reject) => {
    const request = httpsRequest(url, {
      agent,
      method,
      timeout: 60_000,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        ...(payload !== undefined && { 'content-type': contentType, 'content-length': Buffer.byteLength(payload) }),
      },
    });
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error(`${method} ${url}: no answer in 60 s`)));
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => void chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const isJson = response.headers['content-type']?.startsWith('application/json') === true;
        try {
          resolve({ status: response.statusCode ?? 0, body: (isJson ? JSON.parse(text) : text) as T });
        } catch (error) {
          reject(error);
        }
      });
    });
    request.end(payload);
  });
}

async function plainStatus(url: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    const request = httpGet(url, { agent: false, timeout: 5000 }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error(`${url}: no answer in 5 s`)));
    request.end();
  });
}
