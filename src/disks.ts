import type { Workload } from './args.js';
import { MigrateError } from './errors.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import { isReady, pathOf, zoneOf } from './objects.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { KubeObject } from './ports.js';

/** One disk that moves: what it is now, what it becomes, and who writes to it. */
export interface MovedDisk {
  /** `namespace/name` of the claim */
  claim: string;
  /** name of the PersistentVolume, the same on both sides */
  volume: string;
  disk: string;
  region: string;
  toRegion: string;
  zone: string;
  category: string;
  performanceLevel?: string;
  sizeGiB: number;
  encrypted: boolean;
  kmsKey?: string;
  /** those whose pods mount the claim; scaled to 0 before the last snapshot */
  workloads: Workload[];
  /** those whose pods mount it too; suspended */
  cronJobs: { namespace: string; name: string }[];
  /** in place of that */
  freeze?: { run: string[]; back: string[] };
  /** the target's PersistentVolume, whole but for the id of its disk */
  newVolume: KubeObject;
}

export const DISK_DRIVER = 'diskplugin.csi.alibabacloud.com';
const ZONE_KEY = 'topology.diskplugin.csi.alibabacloud.com/zone';

/** Smallest size by category. @source ECS API, CreateDisk: `Size` */
const LEAST_GIB: Record<string, number> = { cloud_efficiency: 20, cloud_ssd: 20, cloud_auto: 1, cloud_essd_entry: 10 };
const LEAST_ESSD_GIB: Record<string, number> = { PL0: 1, PL1: 20, PL2: 461, PL3: 1261 };

/**
 * @returns the disks behind the claims of the playbook's namespaces; what can't be moved this way is a note, and a finding of preflight
 * @throws MigrateError PLAN_ZONE_UNCLEAR, PLAN_DISK_UNFIT
 */
export function movedDisks(playbook: Playbook, inventory: Inventory): { disks: MovedDisk[]; notes: string[] } {
  const { data, cloud } = playbook;
  const notes: string[] = [];
  if (!data || data.disks.by === 'none') return { disks: [], notes };
  const { source } = inventory;
  const claims = (source.objects['PersistentVolumeClaim'] ?? []).filter((it) =>
    data.namespaces.includes(it.metadata.namespace ?? ''),
  );
  const disks = claims.flatMap((claim): MovedDisk[] => {
    const path = pathOf(claim.metadata);
    const pv = (source.objects['PersistentVolume'] ?? []).find((it) => it.metadata.name === claim['spec']?.volumeName);
    if (!pv) {
      notes.push(`Claim ${path} is not bound to a volume that was seen; it arrives unbound.`);
      return [];
    }
    const csi = pv['spec']?.csi;
    if (csi?.driver !== DISK_DRIVER) {
      notes.push(`Claim ${path}: volume ${pv.metadata.name} is no disk of ${DISK_DRIVER}; it is not copied.`);
      return [];
    }
    if (!cloud)
      throw unfit(
        path,
        'the playbook has no `cloud`',
        'Add `cloud: { provider: alibaba, region: … }`, or `disks: none`.',
      );
    const disk = inventory.cloud?.disks.find((it) => it.id === csi.volumeHandle);
    if (!disk)
      throw unfit(
        path,
        `disk ${csi.volumeHandle} was not seen in ${cloud.region}`,
        'Check the region and the rights of the cloud identity.',
      );
    const toRegion = cloud.targetRegion ?? cloud.region;
    const zone = zoneFor(data, inventory.target);
    const storageClass = mappedClass(data, pv['spec']?.storageClassName);
    const { category, performanceLevel } = categoryFor(storageClass, inventory.target, disk);
    const sizeGiB = Math.max(
      disk.sizeGiB,
      category === 'cloud_essd' ? (LEAST_ESSD_GIB[performanceLevel ?? 'PL1'] ?? 20) : (LEAST_GIB[category] ?? 1),
    );
    const kmsKey = disk.encrypted && toRegion !== disk.region ? data.kmsKey : disk.kmsKey;
    if (disk.encrypted && toRegion !== disk.region && !kmsKey)
      throw unfit(
        path,
        `disk ${disk.id} is encrypted and a copy needs a key of ${toRegion}`,
        'Name it as `data.kmsKey`.',
      );
    return [
      {
        claim: path,
        volume: pv.metadata.name,
        disk: disk.id,
        region: disk.region,
        toRegion,
        zone,
        category,
        ...(performanceLevel && { performanceLevel }),
        sizeGiB,
        encrypted: disk.encrypted,
        ...(kmsKey && { kmsKey }),
        workloads: writersOf(claim, source),
        cronJobs: [],
        newVolume: newVolume(pv, claim, {
          storageClass,
          zone,
          category,
          sizeGiB,
          ...(performanceLevel && { performanceLevel }),
        }),
      },
    ];
  });
  if (disks.length > 0)
    notes.push(
      `While a disk is copied its writers are at 0: ${[...new Set(disks.flatMap((it) => it.workloads.map(pathOf)))].join(', ') || 'none'}.`,
    );
  return { disks, notes };
}

const unfit = (claim: string, why: string, fix: string) =>
  new MigrateError('PLAN_DISK_UNFIT', {
    what: `The disk of claim ${claim} can't be moved: ${why}.`,
    why: 'A disk is copied by the cloud, from its own id.',
    fix,
  });

const mappedClass = (data: PlaybookData, named: unknown) =>
  typeof named === 'string' ? (data.storageClasses[named] ?? named) : '';

/** The zone of the playbook, or the only one that the target's ready nodes are in. */
function zoneFor(data: PlaybookData, target: ClusterInventory): string {
  const zones = [...new Set((target.objects['Node'] ?? []).filter(isReady).flatMap((it) => zoneOf(it) ?? []))].sort();
  if (data.zone !== undefined) return data.zone;
  const [only, ...more] = zones;
  if (only !== undefined && more.length === 0) return only;
  throw new MigrateError('PLAN_ZONE_UNCLEAR', {
    what: `The zone for new disks is not clear: ready nodes of the target are in ${zones.join(', ') || 'no known zone'}.`,
    why: 'A disk lives in one zone, and its pod can only run there.',
    fix: 'Name the zone as `data.zone` in the playbook.',
  });
}

/** The category of the class that the claim will have, else what the disk has now. The target's class may list several, by preference. */
function categoryFor(
  storageClass: string,
  target: ClusterInventory,
  disk: { category: string; performanceLevel?: string },
) {
  const found = (target.objects['StorageClass.storage.k8s.io'] ?? []).find((it) => it.metadata.name === storageClass);
  const type: unknown = found?.['parameters']?.type;
  const level: unknown = found?.['parameters']?.performanceLevel;
  const category = typeof type === 'string' ? (type.split(',')[0] ?? disk.category) : disk.category;
  const performanceLevel =
    category !== 'cloud_essd'
      ? undefined
      : typeof level === 'string'
        ? level.split(',')[0]
        : (disk.performanceLevel ?? 'PL1');
  return { category, ...(performanceLevel && { performanceLevel }) };
}

/** Deployments and StatefulSets whose pods mount the claim, and what runs them. */
function writersOf(claim: KubeObject, source: ClusterInventory): Workload[] {
  const { namespace = '', name } = claim.metadata;
  const here = (kind: string) => (source.objects[kind] ?? []).filter((it) => it.metadata.namespace === namespace);
  const workload = (kind: string, it: KubeObject) => ({
    kind,
    namespace,
    name: it.metadata.name,
    replicas: Number(it['spec']?.replicas ?? 1),
  });
  const mounts = (it: KubeObject) =>
    ((it['spec']?.template?.spec?.volumes ?? []) as { persistentVolumeClaim?: { claimName: string } }[]).some(
      (one) => one.persistentVolumeClaim?.claimName === name,
    );
  const templated = (it: KubeObject) =>
    ((it['spec']?.volumeClaimTemplates ?? []) as { metadata: { name: string } }[]).some((one) =>
      new RegExp(`^${one.metadata.name}-${it.metadata.name}-\\d+$`).test(name),
    );
  return [
    ...here('Deployment.apps')
      .filter(mounts)
      .map((it) => workload('Deployment.apps', it)),
    ...here('StatefulSet.apps')
      .filter((it) => mounts(it) || templated(it))
      .map((it) => workload('StatefulSet.apps', it)),
  ];
}

interface NewPlace {
  storageClass: string;
  zone: string;
  category: string;
  performanceLevel?: string;
  sizeGiB: number;
}

/**
 * The old volume's object for the new disk: the same name, bound to the claim in advance, kept when the claim goes. The place is
 * said in the node affinity and again in labels and attributes; all of them are rewritten together.
 *
 * @source kubernetes-sigs/alibaba-cloud-csi-driver:pkg/disk/disk.go, pkg/disk/utils.go
 */
function newVolume(pv: KubeObject, claim: KubeObject, place: NewPlace): KubeObject {
  const { csi, capacity, accessModes, volumeMode, mountOptions } = pv['spec'] ?? {};
  const { volumeHandle: _old, ...rest } = csi;
  const kept = Object.fromEntries(
    Object.entries((rest.volumeAttributes ?? {}) as Record<string, string>).filter(
      ([key]) => !/(zone|region|disktype|volume-topology|^type$|^performanceLevel$|provisionerIdentity)/.test(key),
    ),
  );
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: pv.metadata.name, annotations: { 'pv.kubernetes.io/provisioned-by': DISK_DRIVER } },
    spec: {
      capacity: capacity ?? { storage: `${place.sizeGiB}Gi` },
      accessModes,
      ...(volumeMode && { volumeMode }),
      ...(mountOptions && { mountOptions }),
      storageClassName: place.storageClass,
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: claim.metadata.namespace,
        name: claim.metadata.name,
      },
      csi: {
        ...rest,
        volumeAttributes: {
          ...kept,
          type: place.category,
          ...(place.performanceLevel && { performanceLevel: place.performanceLevel }),
        },
      },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: ZONE_KEY, operator: 'In', values: [place.zone] }] }],
        },
      },
    },
  };
}
