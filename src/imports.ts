import type { ImportArgs } from './args.js';
import { DISK_DRIVER, diskIdOf } from './disk-volume.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import type { Playbook } from './playbook.js';
import type { Disk, KubeObject } from './ports.js';
import { amount } from './quantities.js';

/**
 * `data.disks.by: driver`: the snapshot is imported into the target as a VolumeSnapshot, and the claim arrives with it as its data source. So
 * the driver there makes the disk, where the pod is to run.
 *
 * @source https://kubernetes.io/docs/concepts/storage/persistent-volumes/#volume-snapshot-and-restore-volume-from-snapshot-support
 * @source kubernetes-csi/external-provisioner:pkg/controller/controller.go (size, driver, readiness of a data source)
 */
export const SNAPSHOT_GROUP = 'snapshot.storage.k8s.io';

/** What a claim's import needs beside the step that made the snapshot. */
export type Import = Pick<ImportArgs, 'driver' | 'name' | 'content' | 'newClaim' | 'waits'>;

/** The claims that arrive so, and how each is changed on the way. */
export function importedClaims(
  { name: playbookName, data }: Playbook,
  { source, cloud }: Inventory,
): { claim: KubeObject; patch: object }[] {
  if (data?.disks.by !== 'driver') return [];
  const volumes = new Map((source.objects['PersistentVolume'] ?? []).map((it) => [it.metadata.name, it]));
  return (source.objects['PersistentVolumeClaim'] ?? []).flatMap((claim) => {
    const volume = volumes.get(String(claim['spec']?.volumeName));
    const id = volume && diskIdOf(volume);
    const disk = cloud?.disks.find((it) => it.id === id);
    if (!disk || !data.namespaces.includes(claim.metadata.namespace ?? '')) return [];
    const gone = Object.fromEntries(OF_THE_BINDING.map((it) => [it, null]));
    return [
      {
        claim,
        patch: {
          metadata: { annotations: gone },
          spec: { volumeName: null, selector: null, dataSourceRef: null, ...specOf(playbookName, claim, disk) },
        },
      },
    ];
  });
}

/** @source kubernetes/kubernetes:pkg/controller/volume/persistentvolume (annotations of a claim that is bound) */
const OF_THE_BINDING = [
  'pv.kubernetes.io/bind-completed',
  'pv.kubernetes.io/bound-by-controller',
  'volume.kubernetes.io/selected-node',
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
];

/** Never smaller than the snapshot: the driver would refuse it. */
function specOf(playbook: string, claim: KubeObject, disk: Disk) {
  const asked: unknown = claim['spec']?.resources?.requests?.storage;
  const least = disk.sizeGiB * 2 ** 30;
  return {
    dataSource: { apiGroup: SNAPSHOT_GROUP, kind: 'VolumeSnapshot', name: snapshotName(playbook, claim) },
    resources: { requests: { storage: amount(asked) >= least ? String(asked) : `${disk.sizeGiB}Gi` } },
  };
}

const snapshotName = (playbook: string, { metadata }: KubeObject) =>
  `migrate-${playbook}-${metadata.name}`.slice(0, 253);

export function importOf(
  playbook: Playbook,
  claim: KubeObject,
  disk: Disk,
  storageClass: KubeObject | undefined,
): Import {
  const { name, namespace = '', labels } = claim.metadata;
  const { accessModes, volumeMode } = claim['spec'] ?? {};
  const snapshot = snapshotName(playbook.name, claim);
  return {
    driver: DISK_DRIVER,
    name: snapshot,
    content: `${namespace}-${snapshot}`.slice(0, 253),
    newClaim: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace, ...(labels && { labels }) },
      spec: {
        accessModes,
        ...(volumeMode && { volumeMode }),
        ...(storageClass && { storageClassName: storageClass.metadata.name }),
        ...specOf(playbook.name, claim, disk),
      },
    },
    waits: storageClass?.['volumeBindingMode'] === 'WaitForFirstConsumer',
  };
}

/**
 * Why the target's driver can't make the disk, in words; undefined when nothing is known to be against it.
 * @param encrypted  the snapshot is
 * @source kubernetes-sigs/alibaba-cloud-csi-driver:pkg/disk/cloud.go (a disk is encrypted by its class alone)
 */
export function importProblem(
  target: Pick<ClusterInventory, 'served' | 'objects'>,
  storageClass: KubeObject | undefined,
  className: string,
  encrypted: boolean,
): { why: string; fix: string } | undefined {
  const isServed = ['VolumeSnapshot', 'VolumeSnapshotContent'].every((kind) =>
    target.served.some((it) => it.group === SNAPSHOT_GROUP && it.version === 'v1' && it.kind === kind),
  );
  const other = 'use `data.disks: copy`, which needs neither';
  if (!isServed)
    return {
      why: `the target serves no ${SNAPSHOT_GROUP}/v1`,
      fix: `Install the snapshot controller and its definitions there, or ${other}.`,
    };
  const drivers = target.objects['CSIDriver.storage.k8s.io'];
  if (drivers && !drivers.some((it) => it.metadata.name === DISK_DRIVER))
    return { why: `the target has no driver ${DISK_DRIVER}`, fix: `Install it there, or ${other}.` };
  if (storageClass?.['provisioner'] !== DISK_DRIVER)
    return {
      why: storageClass
        ? `class ${className} of the target is one of ${String(storageClass['provisioner'])}`
        : `the target has no class ${className || 'for it'}`,
      fix: `Map its class to one of ${DISK_DRIVER} under \`data.storageClasses\`, or ${other}.`,
    };
  if (encrypted && String(storageClass['parameters']?.encrypted).toLowerCase() !== 'true')
    return {
      why: `its snapshot is encrypted, and class ${className} of the target makes plain disks`,
      fix: 'Map its class to one with `encrypted: "true"` under `data.storageClasses`.',
    };
  return undefined;
}
