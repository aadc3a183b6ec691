import type { CloudInventory, ClusterInventory, Inventory } from '../inventory.js';
import { HASH_LABEL, LOAD_BALANCER_LABEL } from '../hand-over.js';
import { instanceOf, lbAnnotation, ownerOf } from '../objects.js';
import type { Playbook } from '../playbook.js';
import type { Backend, KubeObject, LoadBalancer, Side, DnsRecords } from '../ports.js';
import { groupEntries } from '../routes.js';
import { CATEGORIES } from '../twin/cloud/ecs/categories.js';
import type { ClusterSeed, Seed, TwinObject } from '../twin/types.js';
import { crowdsFor, gatewaysBeside } from './crowds.js';

/** For controllers whose version nothing in an inventory tells: before 2.12 they are the less forgiving ones. */
const CCM_VERSION = '2.11.2';
const VELERO_VERSION = '1.14.1';
const CLIENTS_PER_SECOND = 20;

/** A captured inventory as the world that a twin starts from: which controllers run there is read from their traces. */
export function seedOf(playbook: Playbook, { source, target, cloud, takenAt }: Inventory): Seed {
  const seen = cloud?.loadBalancers ?? [];
  const loadBalancers = [...seen, ...balancersBeside([source, target], seen)];
  return {
    start: takenAt,
    source: withBeside(clusterSeed('source', source, playbook, seen), playbook, gatewaysBeside(playbook, source)),
    target: withBeside(clusterSeed('target', target, playbook, seen), playbook, []),
    cloud: {
      region: cloud?.region ?? playbook.cloud?.region ?? 'cn-hangzhou',
      loadBalancers,
      disks: cloud?.disks ?? [],
      ...(cloud?.sold && { notSold: notSoldIn(cloud.sold) }),
      securityGroups: cloud?.securityGroups ?? [],
      domains: domainsOf(cloud?.dns ?? []),
    },
    clients: [
      // Where a name is what moves, clients come by it, and not straight to the load balancer behind it.
      ...(groupEntries(playbook).length > 0 ? loadBalancers : []).flatMap(({ id, listeners }) =>
        listeners
          .filter((it) => it.group !== undefined && it.status === 'running')
          .map(({ port }) => ({ loadBalancer: id, port, perSecond: CLIENTS_PER_SECOND })),
      ),
      ...crowdsFor(playbook, source, CLIENTS_PER_SECOND),
    ],
  };
}

/** A zone that was looked at sells on the twin what it sold then, and nothing else. */
const notSoldIn = (sold: NonNullable<CloudInventory['sold']>): NonNullable<Seed['cloud']['notSold']> =>
  Object.fromEntries(
    sold.map(({ zone, disks }) => [
      zone,
      Object.keys(CATEGORIES).filter((name) => !disks.some((it) => it.category === name)),
    ]),
  );

/** What must be there although nobody looked at it: gateways that routes name, and for Flomesh both clusters, joined. */
function withBeside(seed: ClusterSeed, { source, target }: Playbook, gateways: TwinObject[]): ClusterSeed {
  const { fsm } = seed;
  const clusters = fsm
    ? [source.context, target.context].map((name) => ({
        apiVersion: `${fsm}/v1alpha1`,
        kind: 'Cluster',
        metadata: { name },
        spec: { gatewayHost: '10.0.0.1', fsmNamespace: 'fsm-system' },
      }))
    : [];
  const beside = [...gateways, ...clusters];
  return beside.length === 0 ? seed : { ...seed, objects: { ...seed.objects, beside } };
}

function clusterSeed(
  side: Side,
  inventory: ClusterInventory,
  playbook: Playbook,
  loadBalancers: readonly LoadBalancer[],
): ClusterSeed {
  const backends = backendsOf(loadBalancers);
  const seen = new Set(loadBalancers.map((it) => it.id));
  const { version, uid, context, served } = inventory;
  const objects: ClusterInventory['objects'] = {
    ...inventory.objects,
    Service: (inventory.objects['Service'] ?? []).map((it) => remade(it, seen)),
  };
  const configs = (objects['ConfigMap'] ?? [])
    .filter((it) => it.metadata.namespace === 'kube-system')
    .map((it) => it.metadata.name);
  const terway = configs.includes('eni-config');
  return {
    version,
    uid,
    context,
    objects,
    podNetwork: terway ? 'eni' : 'overlay',
    ccm: {
      version: CCM_VERSION,
      clusterId: playbook[side].clusterId ?? signedId(inventory, backends) ?? configuredId(inventory) ?? `twin-${side}`,
      backendMode: terway ? 'eni' : 'ecs',
    },
    velero: served.some((it) => it.group === 'velero.io') ? { version: VELERO_VERSION } : null,
    snapshots: served.some(
      (it) => it.group === 'snapshot.storage.k8s.io' && it.version === 'v1' && it.kind === 'VolumeSnapshotContent',
    ),
    fsm:
      FSM_GROUPS.find((group) => served.some((it) => it.group === group && it.kind === 'GlobalTrafficPolicy')) ?? null,
  };
}

const backendsOf = (loadBalancers: readonly LoadBalancer[]): Backend[] =>
  loadBalancers.flatMap((it) => it.groups).flatMap((it) => it.backends);

type Balancers = Seed['cloud']['loadBalancers'];

/** Load balancers that controllers have made and nobody looked at: their Services tell the address, and whoever is asked there must answer. */
function balancersBeside(sides: readonly ClusterInventory[], seen: readonly LoadBalancer[]): Balancers {
  return sides
    .flatMap((it) => it.objects['Service'] ?? [])
    .flatMap((it) => {
      const id = it.metadata.labels?.[LOAD_BALANCER_LABEL];
      const [{ ip = '' } = {}] = (it['status']?.loadBalancer?.ingress ?? []) as { ip?: string }[];
      const isMade = id?.startsWith('lb-') === true && lbAnnotation(it, 'id') === undefined;
      if (!isMade || ip === '' || seen.some((one) => one.id === id)) return [];
      const name = `a${it.metadata.uid?.replaceAll('-', '') ?? ''}`.slice(0, 32);
      const addressType = lbAnnotation(it, 'address-type') ?? 'internet';
      return [
        { id, name, address: ip, addressType, tags: { 'kubernetes.do.not.delete': name }, listeners: [], groups: [] },
      ];
    });
}

/** One whose load balancer nobody looked at gets another: without the hash of what it was made from its controller begins anew. */
function remade(service: KubeObject, seen: ReadonlySet<string>): KubeObject {
  const { labels = {} } = service.metadata;
  const { [LOAD_BALANCER_LABEL]: id, [HASH_LABEL]: _, ...rest } = labels;
  return id === undefined || seen.has(id) ? service : { ...service, metadata: { ...service.metadata, labels: rest } };
}

const FSM_GROUPS = ['multicluster.flomesh.io', 'flomesh.io'] as const;

type DomainSeed = NonNullable<Seed['cloud']['domains']>[number];

/** The records that were seen: other names of the domain are nobody's business here. */
function domainsOf(sets: readonly DnsRecords[]): DomainSeed[] {
  const domains = new Map<string, DomainSeed>();
  for (const { domain, name, type, line, records, weighted } of sets) {
    const known = domains.get(domain) ?? { name: domain, records: [], weighted: [] };
    domains.set(domain, known);
    if (weighted) known.weighted?.push(name);
    for (const { enabled, ...it } of records)
      known.records.push({ ...it, rr: name, type, line, status: enabled ? 'ENABLE' : 'DISABLE' });
  }
  return [...domains.values()];
}

/** The id on the members that stand on this cluster's own instances. */
function signedId({ objects }: ClusterInventory, backends: readonly Backend[]): string | undefined {
  const instances = new Set((objects['Node'] ?? []).map(instanceOf));
  return backends.filter((it) => instances.has(it.server)).flatMap((it) => ownerOf(it.description)?.clusterId ?? [])[0];
}

function configuredId({ objects }: ClusterInventory): string | undefined {
  const config = (objects['ConfigMap'] ?? []).find(
    (it) => it.metadata.namespace === 'kube-system' && it.metadata.name === 'cloud-config',
  );
  return /"clusterID"\s*:\s*"([^"]+)"/i.exec(String(config?.['data']?.['cloud-config.conf'] ?? ''))?.[1];
}
