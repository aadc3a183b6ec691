import type { Check, Finding, Sight } from '../../src/check.js';
import { diskIdOf } from '../../src/disk-volume.js';
import type { KubeObject } from '../../src/ports.js';
import { isMovedShare, shareKind } from '../../src/shares.js';
import { about } from '../about.js';
import { isRewritten, volumesOfClaims } from '../disks.js';

/**
 * One disk, two clusters that think it theirs: the one that deletes its volume first deletes the data of both, and two
 * writers at once destroy it.
 *
 * @source https://github.com/vmware-tanzu/velero/issues/1151, https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
 */
export const sharedVolumes: Check = {
  id: 'shared-volumes',
  group: 'storage',
  asks: 'Is every volume that both clusters will know safe from being deleted or written twice?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { source: ['PersistentVolumeClaim', 'PersistentVolume'], target: ['PersistentVolume'] },
  hint: {
    why: 'With reclaimPolicy Delete the side that gives its claim up deletes the data of the other; a disk that is in both is written by both, or attached to neither.',
    fix: 'Set persistentVolumeReclaimPolicy: Retain on both sides before anything else; let disks be copied, and delete a volume of the target that names a disk of the source.',
  },
  zh: {
    asks: '两个集群都会引用的存储卷，是否不会被误删或同时写入？',
    why: '回收策略为 Delete 时，任何一侧释放 PVC 都会删掉另一侧的数据；同一块盘同时属于两个集群，会被两边写坏，或哪边都挂不上。',
    fix: '先在两侧把 persistentVolumeReclaimPolicy 改为 Retain；云盘采用复制方式，并删除目标集群中指向源集群云盘的 PV。',
  },
  sources: [
    'https://github.com/vmware-tanzu/velero/issues/1151',
    'https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming',
  ],

  look: (sight) => [
    ...volumesOfClaims(sight).flatMap(({ claim, volume }) =>
      volume ? [...deleted(claim, volume, sight), ...inTheWay(volume, sight)] : [],
    ),
    ...sight.source.list('PersistentVolume').flatMap((it) => twice(it, sight)),
  ],
};

/** Copied disks become volumes of their own, and what the move knows it sets to Retain; everything else comes over as it is. */
function deleted(claim: KubeObject, volume: KubeObject, sight: Sight): Finding[] {
  const isKept = isRewritten(volume, sight) || (shareKind(volume) !== undefined && isMovedShare(sight.playbook, claim));
  if (isKept || volume['spec']?.persistentVolumeReclaimPolicy !== 'Delete') return [];
  return [
    {
      about: about(volume),
      saw: 'both sides will refer to it, and its reclaim policy is Delete',
      want: 'Retain, on both sides',
      breaks: 'deleting the claim on one side deletes the data of both',
    },
  ];
}

const handleOf = (volume: KubeObject): string | undefined => diskIdOf(volume) ?? volume['spec']?.csi?.volumeHandle;

/** The new volume has the old one's name, and would find it taken only when its writers have stopped already. */
function inTheWay(volume: KubeObject, sight: Sight): Finding[] {
  const there = sight.target.get('PersistentVolume', undefined, volume.metadata.name);
  if (!there || !isRewritten(volume, sight) || there.metadata.labels?.['migrate/plan'] !== undefined) return [];
  // One of the source's own disk is told of below.
  if (handleOf(there) === handleOf(volume)) return [];
  return [
    {
      about: about(volume),
      saw: `the target has a volume of that name, of ${handleOf(there) ?? 'another kind'}`,
      want: 'none',
      breaks: 'the new disk gets no volume object, when its writers have stopped already',
      fix: 'Delete it on the target if nothing uses it.',
    },
  ];
}

const SHARES = /^(nas|oss|cpfs)plugin\./;

function twice(volume: KubeObject, { target }: Sight): Finding[] {
  // Whether its claim moves or not.
  const handle = handleOf(volume);
  if (handle === undefined || SHARES.test(String(volume['spec']?.csi?.driver))) return [];
  const there = target.list('PersistentVolume').find((it) => handleOf(it) === handle);
  if (!there) return [];
  return [
    {
      about: about(volume),
      saw: `the target’s ${about(there)} names its disk ${handle} too`,
      want: 'one cluster for each disk',
      breaks: 'the data, as soon as both sides attach it',
    },
  ];
}
