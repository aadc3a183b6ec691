import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { type Clients, openClients } from './clients.js';
import { realClock, type SteeredClock, virtualClock } from './clock.js';
import { type CloudOptions, type StartedCloud, startCloud } from './cloud/cloud.js';
import { startCcm } from './controllers/ccm.js';
import { startGateways } from './controllers/gateway.js';
import { fsmCrds } from './controllers/fsm-crds.js';
import { startFsm } from './controllers/fsm.js';
import { multiClusterServiceCrd, startMultiClusterServices } from './controllers/mcs.js';
import { startNlb } from './controllers/nlb.js';
import { instanceOf, zoneOf } from './controllers/pods.js';
import { startObjectServer } from './controllers/object-server.js';
import { memoryStore, startVelero, type Velero, veleroCrds, veleroObjects } from './controllers/velero.js';
import { snapshotCrds, startSnapshots } from './controllers/snapshots.js';
import { startWorkloads } from './controllers/workloads.js';
import { startApiServer, type TwinApiServer } from './kube/server.js';
import { followReach } from './reach.js';
import { isNode, regionOf, seedObjects, vpcOf } from './seed.js';
import type { ClientSeed, ClusterApi, ClusterSeed, Faults, Json, Seed, TwinCloud, TwinObject } from './types.js';
import { comparableCloud, comparableCluster } from './world.js';

const DEFAULT_START = '2026-01-01T00:00:00Z';
const SIDES = ['source', 'target'] as const;
type Side = (typeof SIDES)[number];

export interface TwinOptions {
  clock: 'virtual' | 'real';
  /** of the real clock: the twin's seconds in one of ours, 1 when absent */
  speed?: number;
  /** API servers speak TLS: client-go and so kubectl send no token over plain HTTP */
  tls?: boolean;
  /** what requests over the wire meet; controllers and clients of the twin never do */
  faults?: Faults;
  /** draws latencies and ids */
  seedNumber?: number;
  /** in place of what each ClientSeed says */
  clientsPerSecond?: number;
  /** calls per 60 s over the wire by action name; beyond it Throttling.User */
  callsPerMinute?: Record<string, number>;
  /** quotas and speeds of the cloud, and what of its work fails, where they differ from what cloud/README.md says */
  cloud?: Pick<CloudOptions, 'limits' | 'rates' | 'failsJob'>;
  /** from an event to the reconcile that the cloud controller manager makes of it */
  ccmLatencyMs?: { from: number; to: number };
}

export interface TwinCluster extends Omit<TwinApiServer, 'stop'> {
  context: string;
  /** objects of the seed that the server's version does not serve */
  left: string[];
  /** undefined: the seed has none there */
  velero: Velero | undefined;
  /** Ends the cloud controller manager's CLB loop and starts it anew, with nothing remembered; undefined where the seed has none. */
  restartCcm?: () => Promise<void>;
}

export interface Twin {
  clock: SteeredClock;
  source: TwinCluster;
  target: TwinCluster;
  /** undefined: the seed has none */
  fleet?: TwinCluster;
  cloud: {
    /** `http://127.0.0.1:port` */
    url: string;
    /** `127.0.0.1:port` */
    host: string;
    region: string;
    accessKeyId: string;
    accessKeySecret: string;
    /** the same in this process */
    api: TwinCloud;
    log: StartedCloud['log'];
    down(): void;
    up(): void;
  };
  clients: Clients;
  /** of the buckets over S3: `http://127.0.0.1:port` */
  storeUrl: string;
  /** YAML with one context per cluster */
  kubeconfig(): string;
  /** only its owner may read it */
  writeKubeconfig(file: string): Promise<void>;
  /** Runs until the controllers have nothing to do; false when they still had after `limitMs` of the clock. */
  settle(limitMs?: number): Promise<boolean>;
  /** Both clusters and the cloud, without what differs for no reason (README.md). */
  snapshot(): Json;
  stop(): Promise<void>;
}

interface Plan {
  seed: ClusterSeed;
  objects: TwinObject[];
  region: string;
  vpc: string;
}

function planOf(seed: Seed, side: Side): Plan {
  const objects = seedObjects(seed[side]);
  const region = regionOf(objects) ?? seed.cloud.region;
  const vpc =
    vpcOf(objects) ??
    seed.cloud.loadBalancers.find((it) => it.vpc && (it.region ?? seed.cloud.region) === region)?.vpc ??
    `vpc-${region}`;
  return { seed: seed[side], objects, region, vpc };
}

const addressOf = (node: TwinObject): string =>
  (node['status']?.addresses ?? []).find((it: Json) => it.type === 'InternalIP')?.address ?? '';

function typeOf({ metadata: { labels = {} } }: TwinObject): { type?: string } {
  const type = labels['node.kubernetes.io/instance-type'] ?? labels['beta.kubernetes.io/instance-type'];
  return type === undefined ? {} : { type };
}

/** The /16 networks that the nodes of a VPC live in. */
function cidrsOf(plans: Plan[], vpc: string): string[] {
  const nodes = plans.filter((it) => it.vpc === vpc).flatMap((it) => it.objects.filter(isNode));
  const prefixes = nodes.map((it) => addressOf(it).split('.').slice(0, 2).join('.')).filter((it) => it.includes('.'));
  return [...new Set(prefixes)].map((it) => `${it}.0.0/16`);
}

function vpcsOf(plans: Plan[]): Json[] {
  const regions = new Map(plans.map((it) => [it.vpc, it.region]));
  return [...regions].flatMap(([id, region]) => {
    const [cidr, ...secondaryCidrs] = cidrsOf(plans, id);
    return cidr === undefined ? [] : [{ id, name: id, region, cidr, secondaryCidrs, vswitches: [] }];
  });
}

/** The same account, from another region. */
const seenFrom = (cloud: TwinCloud, region: string): TwinCloud =>
  region === cloud.region ? cloud : Object.assign(Object.create(cloud) as TwinCloud, { region });

/** Disks that a node holds are attached anew by the pods that use them. */
function cloudSeed(seed: Seed, plans: Plan[]): Seed['cloud'] {
  const instances = new Set(plans.flatMap((it) => it.objects.filter(isNode).map(instanceOf)));
  const disks = seed.cloud.disks?.map((it) => {
    if (it.instance === undefined || !instances.has(it.instance)) return it;
    const { instance: _, status: __, ...free } = it;
    return free;
  });
  return { ...seed.cloud, ...(disks ? { disks } : {}) };
}

/** Objects whose kind a version does not serve can't be put in: they are named instead. */
async function putIn(server: TwinApiServer, objects: TwinObject[]): Promise<string[]> {
  const definitions = objects.filter((it) => it.kind === 'CustomResourceDefinition');
  server.seed(definitions);
  const served = new Set(
    (await server.api.resources!()).map(
      (it) => `${it.group === '' ? it.version : `${it.group}/${it.version}`} ${it.kind}`,
    ),
  );
  const fits = (it: TwinObject): boolean => served.has(`${it.apiVersion} ${it.kind}`);
  const rest = objects.filter((it) => it.kind !== 'CustomResourceDefinition');
  // Nodes and namespaces before what lives on and in them, volumes before their claims.
  const rank = (it: TwinObject): number =>
    ['Node', 'Namespace', 'StorageClass', 'PersistentVolume', 'PersistentVolumeClaim'].indexOf(it.kind);
  const order = (it: TwinObject): number => (rank(it) < 0 ? 99 : rank(it));
  server.seed(rest.filter(fits).toSorted((a, b) => order(a) - order(b)));
  return rest
    .filter((it) => !fits(it))
    .map(
      (it) =>
        `${it.kind} ${it.metadata.namespace ? `${it.metadata.namespace}/` : ''}${it.metadata.name} of ${it.apiVersion}`,
    );
}

const yamlText = (text: string): string => JSON.stringify(text);

function kubeconfigOf(clusters: readonly TwinCluster[]): string {
  const lines = ['apiVersion: v1', 'kind: Config', `current-context: ""`, 'preferences: {}'];
  const each = (title: string, entry: (cluster: TwinCluster) => string): void =>
    void lines.push(`${title}:`, ...clusters.map(entry));
  // Without a certificate of its own a server is plain HTTP on loopback, which clients take only when told not to look for one.
  const trust = ({ ca }: TwinCluster): string =>
    ca === undefined
      ? 'insecure-skip-tls-verify: true'
      : `certificate-authority-data: ${Buffer.from(ca).toString('base64')}`;
  each('clusters', (it) => `- name: ${yamlText(it.context)}\n  cluster: { server: ${yamlText(it.url)}, ${trust(it)} }`);
  each('users', (it) => `- name: ${yamlText(it.context)}\n  user: { token: ${yamlText(it.token)} }`);
  each('contexts', (it) => {
    const name = yamlText(it.context);
    return `- name: ${name}\n  context: { cluster: ${name}, user: ${name} }`;
  });
  return `${lines.join('\n')}\n`;
}

/**
 * Two clusters, a cloud account and clients, in this process and on loopback ports. With a virtual clock it is settled when this
 * returns: pods run, and the controllers have joined their listeners' groups.
 */
export async function startTwin(seed: Seed, options: TwinOptions): Promise<Twin> {
  const isVirtual = options.clock === 'virtual';
  const clock = isVirtual ? virtualClock(seed.start ?? DEFAULT_START) : realClock(options.speed);
  const seedNumber = options.seedNumber ?? 1;
  const secret = (name: string): string =>
    isVirtual ? `${name}-${seedNumber}` : `${name}-${randomBytes(16).toString('hex')}`;
  const plans = { source: planOf(seed, 'source'), target: planOf(seed, 'target') };
  const all = [plans.source, plans.target];
  const stops: (() => void | Promise<void>)[] = [];

  let clients: Clients | undefined;
  const accessKey = { id: secret('LTAI-twin'), secret: secret('secret') };
  const cloud = await startCloud({
    clock,
    region: seed.cloud.region,
    accessKeys: [accessKey],
    seedNumber,
    vpcs: vpcsOf(all),
    health: (server, ip, port) => clients?.health(server, ip, port) ?? 'normal',
    ...(options.faults ? { faults: options.faults } : {}),
    ...options.cloud,
    limits: {
      ...options.cloud?.limits,
      callsPerMinute: { ...options.cloud?.limits?.callsPerMinute, ...options.callsPerMinute },
    },
  });
  stops.push(() => cloud.stop());
  for (const plan of all)
    for (const node of plan.objects.filter(isNode)) {
      const id = instanceOf(node);
      if (id !== undefined)
        cloud.cloud.addInstance({ id, zone: zoneOf(node), ip: addressOf(node), vpc: plan.vpc, ...typeOf(node) });
    }
  cloud.seed(cloudSeed(seed, all));

  const store = memoryStore();
  const objects = await startObjectServer(store);
  stops.push(() => objects.stop());
  const openCluster = async (
    side: Side | 'fleet',
    {
      seed: own,
      objects,
    }: {
      seed: Pick<ClusterSeed, 'version' | 'uid' | 'context' | 'velero' | 'fsm' | 'snapshots'>;
      objects: TwinObject[];
    },
  ): Promise<{ server: TwinApiServer; cluster: TwinCluster }> => {
    const server = await startApiServer({
      version: own.version,
      clock,
      background: clock.background,
      name: side,
      token: secret(`${side}-token`),
      ...(options.tls ? { tls: true } : {}),
      ...(options.faults ? { faults: options.faults } : {}),
      ...(own.uid === undefined ? {} : { uid: own.uid }),
    });
    stops.push(() => server.stop());
    const isThere = (it: TwinObject): boolean =>
      objects.some(
        (one) =>
          one.kind === it.kind &&
          one.metadata.name === it.metadata.name &&
          one.metadata.namespace === it.metadata.namespace,
      );
    const left = await putIn(server, [
      ...(own.fsm ? fsmCrds(own.fsm) : []),
      ...(own.snapshots ? snapshotCrds().filter((it) => !isThere(it)) : []),
      ...(own.velero ? [...veleroCrds(), ...veleroObjects(own.velero.version)].filter((it) => !isThere(it)) : []),
      ...objects,
    ]);
    return {
      server,
      cluster: Object.assign(Object.create(server) as TwinApiServer, {
        context: own.context ?? side,
        left,
        velero: undefined,
      }),
    };
  };
  const source = await openCluster('source', plans.source);
  const target = await openCluster('target', plans.target);
  const clusters: Record<Side, TwinCluster> = { source: source.cluster, target: target.cluster };
  const apis: Record<Side, ClusterApi> = { source: source.server.api, target: target.server.api };

  for (const [pool, side] of SIDES.entries()) {
    const { seed: own, region, vpc } = plans[side];
    const regional = seenFrom(cloud.cloud, region);
    const { podNetwork = 'overlay', podReadyMs } = own;
    const workloads = await startWorkloads(apis[side], clock, regional, {
      podNetwork,
      pool,
      ...(podReadyMs === undefined ? {} : { podReadyMs }),
    });
    stops.push(() => workloads.stop());
    if (own.snapshots) {
      const snapshots = await startSnapshots(apis[side], clock, regional);
      stops.push(() => snapshots.stop());
    }
    if (own.ccm) {
      const latency = options.ccmLatencyMs === undefined ? {} : { latencyMs: options.ccmLatencyMs };
      const settings = { backendMode: 'ecs' as const, ...own.ccm, vpc, seed: `${seedNumber}/${side}`, ...latency };
      const start = () => startCcm(apis[side], clock, regional, settings);
      let ccm = await start();
      clusters[side].restartCcm = async () => {
        ccm.stop();
        ccm = await start();
      };
      stops.push(() => ccm.stop());
      const nlb = await startNlb(apis[side], clock, regional, settings);
      stops.push(() => nlb.stop());
    }
    const gateways = await startGateways(apis[side], clock);
    stops.push(() => gateways.stop());
    if (own.velero) {
      const velero = await startVelero(apis[side], clock, { version: own.velero.version, store });
      clusters[side].velero = velero;
      stops.push(() => velero.stop());
    }
  }

  const fleet =
    seed.fleet &&
    (await openCluster('fleet', { seed: seed.fleet, objects: [multiClusterServiceCrd(), ...seed.fleet.objects] }));
  if (fleet && seed.fleet) {
    const dispatching = await startMultiClusterServices(fleet.server.api, apis, clock, seed.fleet.members);
    stops.push(() => dispatching.stop());
  }
  const mesh = await startFsm(apis, clock, { source: clusters.source.context, target: clusters.target.context });
  stops.push(() => mesh.stop());

  const reach = await followReach(apis, cloud.cloud.hasInterface);
  stops.push(() => reach.stop());
  const perSecond = (it: ClientSeed): ClientSeed =>
    options.clientsPerSecond === undefined ? it : { ...it, perSecond: options.clientsPerSecond };
  const opened = await openClients({
    clock,
    apis,
    cloud: cloud.cloud,
    reach,
    crowds: (seed.clients ?? []).map(perSecond),
    seedNumber,
  });
  clients = opened;
  stops.push(() => opened.stop());

  const servers = [source.cluster, target.cluster, ...(fleet ? [fleet.cluster] : [])];
  const settle = (limitMs?: number): Promise<boolean> => clock.idle(limitMs);
  if (isVirtual) await settle();
  opened.start();

  return {
    clock,
    ...clusters,
    cloud: {
      url: cloud.url,
      host: cloud.host,
      region: seed.cloud.region,
      accessKeyId: accessKey.id,
      accessKeySecret: accessKey.secret,
      api: cloud.cloud,
      log: cloud.log,
      down: () => cloud.down(),
      up: () => cloud.up(),
    },
    clients: opened,
    storeUrl: objects.url,
    ...(fleet ? { fleet: fleet.cluster } : {}),
    kubeconfig: () => kubeconfigOf(servers),
    writeKubeconfig: (file) => writeFile(file, kubeconfigOf(servers), { mode: 0o600 }),
    settle,
    snapshot: () => ({
      source: comparableCluster(source.server.snapshot()),
      target: comparableCluster(target.server.snapshot()),
      ...(fleet ? { fleet: comparableCluster(fleet.server.snapshot()) } : {}),
      cloud: comparableCloud(cloud.cloud.snapshot()),
    }),
    async stop() {
      clock.stop();
      for (const stop of stops.reverse()) await stop();
    },
  };
}
