import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Clients, openClients } from '../../src/twin/clients.js';
import { realClock } from '../../src/twin/clock.js';
import { startCloud, type StartedCloud } from '../../src/twin/cloud/cloud.js';
import { startCcm } from '../../src/twin/controllers/ccm.js';
import { instanceOf, zoneOf } from '../../src/twin/controllers/pods.js';
import { type RemoteApi, remoteApi } from '../../src/twin/controllers/remote.js';
import {
  installVeleroCrds,
  memoryStore,
  type ObjectStore,
  startVelero,
  veleroObjects,
} from '../../src/twin/controllers/velero.js';
import { startObjectServer } from '../../src/twin/controllers/object-server.js';
import { followReach } from '../../src/twin/reach.js';
import { isNode, seedObjects } from '../../src/twin/seed.js';
import type { ClusterSeed, Json, Seed, TwinObject } from '../../src/twin/types.js';
import { comparableCloud, comparableCluster } from '../../src/twin/world.js';
import { shipped } from '../shop.js';
import { attachDisks, plugInterfaces } from './attachments.js';
import type { KubernetesVersion } from './binaries.js';
import { addNodes, type ControlPlane, startControlPlane, writeKubeconfig } from './control-plane.js';

export type Side = 'source' | 'target';

/** One cluster of the shop: a real control plane, and the cloud's controllers of the twin attached to it. */
export interface RealSide {
  plane: ControlPlane;
  api: RemoteApi;
}

/** The shop's world, with real API servers, controller managers and schedulers in the place of the twin's. */
export interface RealShop extends Record<Side, RealSide> {
  cloud: StartedCloud;
  /** a crowd behind the shared listener, and its front */
  clients: Clients;
  /** two contexts, named as the playbook names them */
  kubeconfig: string;
  /** what the shell of an operator would export */
  env: Record<string, string>;
  /** both clusters and the cloud, without what differs for no reason */
  snapshot(): Promise<Json>;
  stop(): Promise<void>;
}

/** The cloud's and Velero's seconds in one of ours: a copy that takes minutes is done in seconds, a sync of a minute in two. */
const SPEED = 30;
const VERSIONS: Record<Side, KubernetesVersion> = { source: '1.20.15', target: '1.36.3' };
const VPC = 'vpc-shop';

/**
 * @param perSecond  requests of the crowd in a second of ours
 * @returns when the shop serves: pods are ready, claims bound and attached, the source is in its group
 */
export async function startRealShop({ perSecond = 100 }: { perSecond?: number } = {}): Promise<RealShop> {
  const { seed, playbook } = shipped('shop');
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-real-shop-'));
  const clock = realClock(SPEED);
  const stops: (() => void | Promise<void>)[] = [
    () => rmSync(dir, { recursive: true, force: true }),
    () => clock.stop(),
  ];
  const stop = async (): Promise<void> => {
    for (const one of stops.toReversed()) await one();
  };
  try {
    const accessKey = { id: `LTAI-${randomBytes(8).toString('hex')}`, secret: randomBytes(16).toString('hex') };
    const { region } = seed.cloud;
    let clients: Clients | undefined;
    const cloud = await startCloud({
      clock,
      region,
      accessKeys: [accessKey],
      vpcs: [{ id: VPC, name: VPC, region, cidr: '192.168.0.0/16', secondaryCidrs: [], vswitches: [] }],
      health: (server, ip, port) => clients?.health(server, ip, port) ?? 'normal',
    });
    stops.push(() => cloud.stop());
    for (const node of (['source', 'target'] as const).flatMap((it) => seedObjects(seed[it]).filter(isNode))) {
      cloud.cloud.addInstance({ id: instanceOf(node) ?? '', zone: zoneOf(node), ip: addressOf(node), vpc: VPC });
    }
    cloud.seed(seed.cloud);

    const store = memoryStore();
    const objects = await startObjectServer(store);
    stops.push(() => objects.stop());
    const open = async (side: Side): Promise<RealSide> => {
      const plane = await startControlPlane({ version: VERSIONS[side], podCidr: podCidrOf(seed[side]) });
      stops.push(() => plane.stop());
      const api = await remoteApi({ url: plane.server, token: plane.token, ca: readFileSync(plane.caFile) });
      stops.push(() => api.close());
      stops.push(...(await attachControllers(side, { api, plane }, seed[side], { cloud, clock, store })));
      return { plane, api };
    };
    const [source, target] = await Promise.all([open('source'), open('target')]);

    const reach = await followReach({ source: source.api, target: target.api }, cloud.cloud.hasInterface);
    stops.push(() => reach.stop());
    const opened = await openClients({
      clock,
      apis: { source: source.api, target: target.api },
      cloud: cloud.cloud,
      reach,
      crowds: (seed.clients ?? []).map((it) => ({ ...it, perSecond: perSecond / SPEED })),
    });
    clients = opened;
    stops.push(() => opened.stop());

    const kubeconfig = path.join(dir, 'kubeconfig');
    writeKubeconfig(kubeconfig, [
      { name: playbook.source.context, plane: source.plane },
      { name: playbook.target.context, plane: target.plane },
    ]);
    const shop: RealShop = {
      source,
      target,
      cloud,
      clients: opened,
      kubeconfig,
      env: {
        KUBECONFIG: kubeconfig,
        MIGRATE_ALIBABA_ENDPOINT: cloud.url,
        MIGRATE_STORE_ENDPOINT: objects.url,
        ALIBABA_CLOUD_ACCESS_KEY_ID: accessKey.id,
        ALIBABA_CLOUD_ACCESS_KEY_SECRET: accessKey.secret,
      },
      snapshot: async () => ({
        source: comparableCluster(await everything(source.api)),
        target: comparableCluster(await everything(target.api)),
        cloud: comparableCloud(cloud.cloud.snapshot()),
      }),
      stop,
    };
    await untilServing(shop, seed);
    opened.start();
    return shop;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Addresses of pods as the world's kube-proxy knows them: of an overlay, or those of the VPC that no node has. */
function podCidrOf(seed: ClusterSeed): string {
  const proxy = seedObjects(seed).find((it) => it.kind === 'ConfigMap' && it.metadata.name === 'kube-proxy');
  const [, cidr] = /clusterCIDR: (\S+)/.exec(proxy?.['data']['config.conf'] ?? '') ?? [];
  if (cidr === undefined) throw new Error('kube-proxy of the world names no clusterCIDR');
  return cidr;
}

const addressOf = (node: TwinObject): string =>
  (node['status'].addresses as Json[]).find((it) => it.type === 'InternalIP').address;

/** Nodes, objects and the cloud's controllers. @returns how to stop these */
async function attachControllers(
  side: Side,
  { api, plane }: RealSide,
  seed: ClusterSeed,
  { cloud, clock, store }: { cloud: StartedCloud; clock: ReturnType<typeof realClock>; store: ObjectStore },
): Promise<(() => void)[]> {
  const stops: (() => void)[] = [];
  const objects = seedObjects(seed);
  const nodes = objects.filter(isNode);
  const [first] = nodes;
  if (!first || !seed.ccm || !seed.velero)
    throw new Error(`the ${side} of the shop has no nodes, no controller or no Velero`);
  await addNodes(plane, nodes.length, {
    labels: first.metadata.labels,
    zone: zoneOf(first),
    nodeInfo: first['status'].nodeInfo,
    capacity: first['status'].capacity,
    providerID: (index) => nodes[index]?.['spec'].providerID,
    address: (index) => addressOf(nodes[index] as TwinObject),
  });
  await installVeleroCrds(api);
  if (seed.podNetwork === 'eni') stops.push(await plugInterfaces(api, cloud.cloud));
  stops.push(await attachDisks(api, cloud.cloud, clock));
  const ccm = await startCcm(api, clock, cloud.cloud, { backendMode: 'ecs', ...seed.ccm, vpc: VPC, seed: side });
  const velero = await startVelero(api, clock, { version: seed.velero.version, store });
  stops.push(
    () => ccm.stop(),
    () => velero.stop(),
  );

  const served = new Map(
    (await api.resources()).map((it) => [
      `${it.group === '' ? it.version : `${it.group}/${it.version}`} ${it.kind}`,
      it.path,
    ]),
  );
  for (const object of [...veleroObjects(), ...objects.filter((it) => !isNode(it))].toSorted(
    (a, b) => rank(a) - rank(b),
  )) {
    const resource = served.get(`${object.apiVersion} ${object.kind}`);
    if (resource === undefined) throw new Error(`the ${side} does not serve ${object.apiVersion} ${object.kind}`);
    await api.create(resource, object);
  }
  return stops;
}

/** What others live in or name comes first. */
const rank = ({ kind }: TwinObject): number => {
  const at = ['Namespace', 'StorageClass', 'PersistentVolume', 'PersistentVolumeClaim', 'ConfigMap', 'Secret'].indexOf(
    kind,
  );
  return at < 0 ? 99 : at;
};

async function untilServing({ source, target, cloud }: RealShop, seed: Seed): Promise<void> {
  const ready = async ({ api }: RealSide, namespace: string): Promise<boolean> => {
    const all = await api.list('apps/v1/deployments', namespace);
    return all.length > 0 && all.every((it) => it['status']?.readyReplicas === it['spec'].replicas);
  };
  await source.plane.until('the shop ready', () => ready(source, 'shop'));
  await source.plane.until('the disk attached', async () =>
    (await source.api.list('storage.k8s.io/v1/volumeattachments')).some((it) => it['status']?.attached),
  );
  for (const it of [source, target]) {
    await it.plane.until('Velero ready', () => ready(it, 'velero'));
    await it.plane.until(
      'a storage location',
      async () =>
        (await it.api.get('velero.io/v1/backupstoragelocations', 'velero', 'default'))?.['status']?.phase ===
        'Available',
    );
  }
  const [lb] = seed.cloud.loadBalancers;
  await source.plane.until(
    'the source in its group',
    async () =>
      cloud.cloud.listenerBackends(lb?.id ?? '', 80)?.length === seedObjects(seed.source).filter(isNode).length,
  );
  await source.plane.until(
    'an address',
    async () =>
      (await source.api.get('v1/services', 'shop', 'web'))?.['status'].loadBalancer.ingress?.[0]?.ip === lb?.address,
  );
}

/** Every object of a server by `group/resource`, each kind in the version that is preferred. */
async function everything(api: RemoteApi): Promise<Record<string, TwinObject[]>> {
  const found: Record<string, TwinObject[]> = {};
  for (const { group, resource, path: at, verbs, preferred } of await api.resources()) {
    if (preferred && verbs.includes('list')) found[`${group}/${resource}`] = (await api.list(at)).map(withoutChance);
  }
  return found;
}

/** Real controllers append the condition that they change, and the node that a disk is attached to is the scheduler's choice. */
function withoutChance({ status, ...object }: TwinObject): TwinObject {
  if (typeof status !== 'object' || status === null) return object;
  const { volumesAttached: _drawn, conditions, ...rest } = status;
  return {
    ...object,
    status: {
      ...rest,
      ...(conditions && { conditions: (conditions as Json[]).toSorted((a, b) => (a.type < b.type ? -1 : 1)) }),
    },
  };
}
