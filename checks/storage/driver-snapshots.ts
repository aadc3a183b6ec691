import { Skipped, type Check, type Finding } from '../../src/check.js';
import { diskIdOf } from '../../src/disk-volume.js';
import { importProblem } from '../../src/imports.js';
import { about } from '../about.js';
import { volumesOfClaims } from '../disks.js';

/**
 * Where the target's driver is to make the disks, it needs what snapshots are made known by there, and a class of its own.
 *
 * @source kubernetes-csi/external-snapshotter:README.md, kubernetes-csi/external-provisioner:pkg/controller/controller.go
 */
export const driverSnapshots: Check = {
  id: 'driver-snapshots',
  group: 'storage',
  asks: 'Can the target’s driver make disks of the snapshots of moved claims?',
  before: 'data',
  severity: 'refuse',
  when: ['data', 'cloud'],
  reads: {
    source: ['PersistentVolumeClaim', 'PersistentVolume'],
    target: ['CSIDriver.storage.k8s.io', 'StorageClass.storage.k8s.io'],
    cloud: true,
  },
  hint: {
    why: 'With `data.disks: driver` a claim names an imported snapshot as its source: without the snapshot controller, the driver, or a class of its own it stays Pending.',
    fix: 'Install the snapshot controller and the driver on the target and map the class, or use `data.disks: copy`.',
  },
  zh: {
    asks: '目标集群的驱动能否用所迁移 PVC 的快照创建云盘？',
    why: '使用 data.disks: driver 时，PVC 以导入的快照为数据源：没有快照控制器、驱动或其 StorageClass，PVC 会一直 Pending。',
    fix: '在目标集群安装快照控制器与驱动并映射 StorageClass，或改用 data.disks: copy。',
  },
  sources: [
    'kubernetes-csi/external-snapshotter:README.md',
    'kubernetes-csi/external-provisioner:pkg/controller/controller.go',
    'https://kubernetes.io/docs/concepts/storage/volume-snapshots/',
  ],

  look(sight) {
    const { playbook, target } = sight;
    const { data } = playbook;
    if (data?.disks.by !== 'driver') throw new Skipped('`data.disks` is not driver: we make the disks');
    const disks = sight.cloud().disks;
    const classes = target.list('StorageClass.storage.k8s.io');
    const seen = {
      served: target.served(),
      objects: { 'CSIDriver.storage.k8s.io': target.list('CSIDriver.storage.k8s.io') },
    };
    return volumesOfClaims(sight).flatMap(({ claim, volume }): Finding[] => {
      const disk = volume && disks.find((it) => it.id === diskIdOf(volume));
      if (!disk) return [];
      const named: unknown = volume['spec']?.storageClassName;
      const name = typeof named === 'string' ? (data.storageClasses[named] ?? named) : '';
      const storageClass = classes.find((it) => it.metadata.name === name);
      const problem = importProblem(seen, storageClass, name, disk.encrypted || data.disks.encrypt === 'all');
      return problem
        ? [{ about: about(claim), saw: problem.why, breaks: 'its pods stay Pending', fix: problem.fix }]
        : [];
    });
  },
};
