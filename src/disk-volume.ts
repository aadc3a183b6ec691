import { DISK_TYPE_LABEL, isRegional, tellsTypes, type Place } from './disk-place.js';
import { isReady, zoneOf } from './objects.js';
import type { ClusterInventory } from './inventory.js';
import type { KubeObject } from './ports.js';
import { amount } from './quantities.js';

/** The PersistentVolume of a disk: which disk it names, and what becomes of it on the target. */

export const DISK_DRIVER = 'diskplugin.csi.alibabacloud.com';
const FLEX_DRIVER = 'alicloud/disk';
const ZONE_KEY = 'topology.diskplugin.csi.alibabacloud.com/zone';
const [ZONE, REGION] = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];
const TYPE_LABEL = 'csi.alibabacloud.com/disktype';
const TOPOLOGY = 'csi.alibabacloud.com/volume-topology';
const MOUNT_OPTIONS = 'volume.beta.kubernetes.io/mount-options';

/**
 * The id of the disk behind a volume, of the CSI driver or of the FlexVolume driver before it; undefined for any other.
 * @source kubernetes-sigs/alibaba-cloud-csi-driver:docs/migrate/flexvolume-to-csi-disk.md (a volume without the option has the disk's name)
 */
export function diskIdOf(volume: KubeObject): string | undefined {
  const { csi, flexVolume } = volume['spec'] ?? {};
  if (csi?.driver === DISK_DRIVER) return typeof csi.volumeHandle === 'string' ? csi.volumeHandle : undefined;
  if (flexVolume?.driver !== FLEX_DRIVER) return undefined;
  const id: unknown = flexVolume.options?.VolumeId ?? flexVolume.options?.volumeId;
  if (typeof id === 'string' && id !== '') return id;
  return volume.metadata.name.startsWith('d-') ? volume.metadata.name : undefined;
}

/** Kubernetes' own names of places, old and new, and the driver's. */
const PLACES = /(?:^|\.|\/)(?:topology|failure-domain)[.a-z]*\/(?:zone|region)$/;

/** What the driver wrote about the old disk's place, kind and making. */
const OF_THE_OLD =
  /zone|region|disktype|volume-topology|provisioneridentity|^type$|^performancelevel$|^encrypted$|^kmskeyid$/i;

export interface NewVolume extends Place {
  /** empty for none */
  storageClass: string;
  /** of the new disk */
  region: string;
}

/**
 * The old volume's object for the new disk: the same name, bound to the claim in advance, kept when the claim goes, whole but for the id of
 * the disk. The place is said in the node affinity and again in labels and attributes; all of them are rewritten together.
 *
 * @source kubernetes-sigs/alibaba-cloud-csi-driver:pkg/disk/disk.go, pkg/disk/utils.go, pkg/disk/constants.go
 * @source https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/use-a-statically-provisioned-disk-volume
 */
export function newVolume(old: KubeObject, claim: KubeObject, to: NewVolume, target: ClusterInventory): KubeObject {
  const { accessModes, volumeMode, mountOptions, csi, flexVolume } = old['spec'] ?? {};
  const { volumeHandle: _old, volumeAttributes = {}, ...driven } = csi ?? ofFlex(flexVolume);
  const kept = Object.fromEntries(
    Object.entries(volumeAttributes as Record<string, string>).filter(([key]) => !OF_THE_OLD.test(key)),
  );
  const options = old.metadata.annotations?.[MOUNT_OPTIONS];
  const nodes = (target.objects['Node'] ?? []).filter(isReady);
  const topology = nodes.some(tellsTypes) && attachable(to.category);
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: old.metadata.name,
      labels: labelsFor(old, to),
      annotations: {
        'pv.kubernetes.io/provisioned-by': DISK_DRIVER,
        ...(options !== undefined && { [MOUNT_OPTIONS]: options }),
        ...(topology && { [TOPOLOGY]: topology }),
      },
    },
    spec: {
      capacity: { storage: capacityFor(old, claim, to) },
      accessModes,
      ...(volumeMode && { volumeMode }),
      ...(mountOptions && { mountOptions }),
      storageClassName: to.storageClass,
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: claim.metadata.namespace,
        name: claim.metadata.name,
      },
      csi: {
        ...driven,
        volumeAttributes: {
          ...kept,
          type: to.category,
          ...(to.performanceLevel !== undefined && { performanceLevel: to.performanceLevel }),
        },
      },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [placeOf(to, nodes)] }] } },
    },
  };
}

/** The disk's size; but a claim that asks for more than it ever had, and was bound all the same, must be bound again. */
function capacityFor({ spec }: KubeObject, claim: KubeObject, { sizeGiB }: NewVolume): string {
  const asked = amount(claim['spec']?.resources?.requests?.storage);
  const said: unknown = spec?.capacity?.storage;
  return asked > sizeGiB * 2 ** 30 && typeof said === 'string' ? said : `${sizeGiB}Gi`;
}

/** FlexVolume knew a file system and whether it is read-only. @source kubernetes/api:core/v1/types.go (FlexPersistentVolumeSource) */
const ofFlex = (flexVolume: { fsType?: string; readOnly?: boolean } = {}) => ({
  driver: DISK_DRIVER,
  volumeHandle: '',
  fsType: flexVolume.fsType || 'ext4',
  ...(flexVolume.readOnly && { readOnly: true }),
  volumeAttributes: {},
});

/** The old labels but for those of the place; the scheduler takes a zone or region label of a volume for a condition. */
function labelsFor({ metadata: { labels = {} } }: KubeObject, to: NewVolume): Record<string, string> {
  const said = Object.keys(labels).some((it) => PLACES.test(it));
  return {
    ...Object.fromEntries(Object.entries(labels).filter(([key]) => !PLACES.test(key) && key !== TYPE_LABEL)),
    ...(said && { [REGION]: to.region }),
    ...(said && to.zone !== '' && { [ZONE]: to.zone }),
    [TYPE_LABEL]: to.performanceLevel === undefined ? to.category : `${to.category}.${to.performanceLevel}`,
  };
}

/** By a label that nodes there really have: those without the driver's own have Kubernetes'. */
function placeOf(to: NewVolume, nodes: readonly KubeObject[]) {
  const one = (key: string, value: string) => ({ key, operator: 'In', values: [value] });
  if (isRegional(to.category)) return one(REGION, to.region);
  const there = nodes.filter((it) => zoneOf(it) === to.zone);
  const isPlain = there.length > 0 && !there.some((it) => it.metadata.labels?.[ZONE_KEY] !== undefined);
  return one(isPlain ? ZONE : ZONE_KEY, to.zone);
}

/** Where the driver tells what nodes can attach, the scheduler is told which of them will do. */
const attachable = (category: string): string =>
  JSON.stringify({
    nodeSelectorTerms: [
      { matchExpressions: [{ key: `${DISK_TYPE_LABEL}${category}`, operator: 'In', values: ['available'] }] },
    ],
  });
