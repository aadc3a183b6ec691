import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { shareDriver } from '../../src/shares.js';
import { about, some } from '../about.js';
import { volumesOfClaims } from '../disks.js';
import { EACH_WORKLOAD, WORKLOADS, workloads } from '../pods.js';

/**
 * A volume is mounted by a driver, and the drivers that were part of Kubernetes have left it one by one. On the target the
 * driver must be installed, and have told the nodes so.
 *
 * @source https://kubernetes.io/docs/concepts/storage/volumes/ (removed types), kubernetes/kubernetes:pkg/volume/csimigration
 */
export const volumeDrivers: Check = {
  id: 'volume-drivers',
  group: 'storage',
  asks: 'Are the drivers of moved volumes on the target’s nodes?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: {
    source: ['PersistentVolumeClaim', 'PersistentVolume', ...WORKLOADS],
    target: ['CSINode.storage.k8s.io', 'CSIDriver.storage.k8s.io'],
  },
  takes: EACH_WORKLOAD,
  hint: {
    why: 'A pod whose volume no driver mounts stays ContainerCreating; a volume type that is gone is refused or never mounted.',
    fix: 'Install the CSI driver on the target, and turn volumes of removed types into CSI volumes first.',
  },
  zh: {
    asks: '要迁移的存储卷所需的驱动，目标节点上是否都有？',
    why: '没有驱动挂载的卷会让 Pod 停在 ContainerCreating；已移除的卷类型会被拒绝或永远挂不上。',
    fix: '在目标集群安装 CSI 驱动；先把已移除类型的卷改为 CSI。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/storage/volumes/',
    'kubernetes/kubernetes:pkg/volume/csimigration',
    'kubernetes-sigs/alibaba-cloud-csi-driver:docs',
  ],

  look: (sight) => [...ofDrivers(sight), ...ofTypes(sight)],
};

function ofDrivers(sight: Sight): Finding[] {
  const { target } = sight;
  const nodes = target.list('CSINode.storage.k8s.io');
  const registered = new Set(
    nodes.flatMap((it) => ((it['spec']?.drivers ?? []) as { name: string }[]).map((one) => one.name)),
  );
  const known = new Set(target.list('CSIDriver.storage.k8s.io').map((it) => it.metadata.name));
  // Neither kind is there at all: a cluster without nodes, or one that keeps them to itself.
  if (nodes.length === 0 && known.size === 0) return [];
  return volumesOfClaims(sight).flatMap(({ claim, volume }): Finding[] => {
    const driver: unknown = volume && (volume['spec']?.csi?.driver ?? shareDriver(volume));
    if (typeof driver !== 'string' || registered.has(driver) || (nodes.length === 0 && known.has(driver))) return [];
    return [
      {
        about: about(claim),
        saw: `${known.has(driver) ? 'no node of the target has registered' : 'the target does not have'} ${driver}; it has ${some([...new Set([...registered, ...known])].sort()) || 'none'}`,
        want: driver,
        breaks: 'its pods stay ContainerCreating',
      },
    ];
  });
}

/** First minor without it, and whether its volumes are handed to a CSI driver from then on. */
const GONE: Record<string, { from: number; to?: string }> = {
  scaleIO: { from: 22 },
  flocker: { from: 25 },
  quobyte: { from: 25 },
  storageos: { from: 25 },
  glusterfs: { from: 26 },
  cinder: { from: 26, to: 'cinder.csi.openstack.org' },
  awsElasticBlockStore: { from: 27, to: 'ebs.csi.aws.com' },
  azureDisk: { from: 27, to: 'disk.csi.azure.com' },
  gcePersistentDisk: { from: 28, to: 'pd.csi.storage.gke.io' },
  azureFile: { from: 30, to: 'file.csi.azure.com' },
  vsphereVolume: { from: 30, to: 'csi.vsphere.vmware.com' },
  rbd: { from: 31 },
  cephfs: { from: 31 },
  gitRepo: { from: 33 },
  portworxVolume: { from: 36, to: 'pxd.portworx.com' },
};

function ofTypes(sight: Sight): Finding[] {
  const { source, target, namespaces } = sight;
  const known = new Set(target.list('CSIDriver.storage.k8s.io').map((it) => it.metadata.name));
  const lost = (spec: Record<string, unknown>) =>
    Object.entries(GONE).filter(
      ([type, { from, to }]) => type in spec && target.minor() >= from && !(to !== undefined && known.has(to)),
    );
  const finding = (object: KubeObject, [type, { from, to }]: [string, { from: number; to?: string }]): Finding => ({
    about: about(object),
    saw: `a volume of type ${type}, gone from 1.${from}`,
    want: to ?? 'a CSI volume',
    breaks: 'it is not mounted',
  });
  return [
    ...volumesOfClaims(sight).flatMap(({ claim, volume }) =>
      lost((volume?.['spec'] ?? {}) as Record<string, unknown>).map((it) => finding(claim, it)),
    ),
    ...workloads(source, namespaces).flatMap(({ object, spec }) =>
      (spec.volumes ?? []).flatMap((volume) => lost(volume).map((it) => finding(object, it))),
    ),
  ];
}
