import type { Check, Finding } from '../../src/check.js';
import { some } from '../about.js';

/**
 * Snapshots that a controller in the cluster takes (each night, before each release) need a class on the target. The snapshots
 * themselves stay where their disks are.
 *
 * @source kubernetes-csi/external-snapshotter:README.md
 */
export const snapshots: Check = {
  id: 'snapshots',
  group: 'storage',
  asks: 'Can the target take the snapshots that the source takes of moved claims?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: ['VolumeSnapshot.snapshot.storage.k8s.io', CLASS()], target: [CLASS()] },
  hint: {
    why: 'Without a class for its driver each new VolumeSnapshot stays without content; and those of the source are not copied as snapshots.',
    fix: 'Install the snapshot controller on the target and create a VolumeSnapshotClass for its driver.',
  },
  zh: {
    asks: '源集群对迁移数据做的快照，目标集群能否继续做？',
    why: '没有对应驱动的 VolumeSnapshotClass，新建的 VolumeSnapshot 不会有内容；源集群已有的快照也不会随之迁移。',
    fix: '在目标集群安装快照控制器，并为其驱动创建 VolumeSnapshotClass。',
  },
  sources: [
    'kubernetes-csi/external-snapshotter:README.md',
    'https://kubernetes.io/docs/concepts/storage/volume-snapshots/',
  ],

  look({ source, target, namespaces }) {
    const taken = source.list('VolumeSnapshot.snapshot.storage.k8s.io', namespaces);
    if (taken.length === 0) return [];
    const classes = source.list(CLASS());
    const drivers = new Set(target.list(CLASS()).map((it) => String(it['driver'])));
    const used = [
      ...new Set(
        taken.flatMap(
          (it) => classes.find((one) => one.metadata.name === it['spec']?.volumeSnapshotClassName)?.['driver'] ?? [],
        ),
      ),
    ].map(String);
    const missing = used.filter((it) => !drivers.has(it));
    const found: Finding[] = [];
    if (missing.length > 0 || drivers.size === 0)
      found.push({
        about: 'snapshot classes',
        saw: `the target has ${some([...drivers]) || 'none'}`,
        want: some(missing) || 'a class',
        breaks: 'the next snapshot there',
      });
    return [
      ...found,
      {
        about: 'snapshots',
        saw: `${taken.length} in the move: ${some(taken.map((it) => `${it.metadata.namespace}/${it.metadata.name}`))}`,
        breaks: 'nothing of them is copied; they stay with the source’s disks',
      },
    ];
  },
};

function CLASS() {
  return 'VolumeSnapshotClass.snapshot.storage.k8s.io';
}
