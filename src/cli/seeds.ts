import type { ClusterInventory, Inventory } from '../inventory.js';
import { ownerOf, instanceOf } from '../objects.js';
import type { Playbook } from '../playbook.js';
import type { Backend, Side } from '../ports.js';
import type { ClusterSeed, Seed } from '../twin/types.js';

/** For controllers whose version nothing in an inventory tells: before 2.12 they are the less forgiving ones. */
const CCM_VERSION = '2.11.2';
const VELERO_VERSION = '1.14.1';
const CLIENTS_PER_SECOND = 20;

/** A captured inventory as the world that a twin starts from: which controllers run there is read from their traces. */
export function seedOf(playbook: Playbook, { source, target, cloud, takenAt }: Inventory): Seed {
  const loadBalancers = cloud?.loadBalancers ?? [];
  const backends = loadBalancers.flatMap((it) => it.groups).flatMap((it) => it.backends);
  return {
    start: takenAt,
    source: clusterSeed('source', source, playbook, backends),
    target: clusterSeed('target', target, playbook, backends),
    cloud: {
      region: cloud?.region ?? playbook.cloud?.region ?? 'cn-hangzhou',
      loadBalancers,
      disks: cloud?.disks ?? [],
      securityGroups: cloud?.securityGroups ?? [],
    },
    clients: loadBalancers.flatMap(({ id, listeners }) =>
      listeners
        .filter((it) => it.group !== undefined && it.status === 'running')
        .map(({ port }) => ({ loadBalancer: id, port, perSecond: CLIENTS_PER_SECOND })),
    ),
  };
}

function clusterSeed(
  side: Side,
  inventory: ClusterInventory,
  playbook: Playbook,
  backends: readonly Backend[],
): ClusterSeed {
  const { version, uid, context, objects, served } = inventory;
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
  };
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
