import { Skipped, Unknown, type Check, type Finding, type Severity, type Sight } from '../../src/check.js';
import { diskIdOf } from '../../src/disk-volume.js';
import type { KubeObject } from '../../src/ports.js';
import { shareKind, shareRule } from '../../src/shares.js';
import { about } from '../about.js';
import { isDisk, volumesOfClaims, type ClaimedVolume } from '../disks.js';

/**
 * What can be copied is a cloud disk, behind the CSI driver or the FlexVolume driver before it. A share is mounted by both sides and stays
 * one; a directory of a node stays on that node.
 *
 * @source kubernetes-sigs/alibaba-cloud-csi-driver:docs/migrate
 */
export const diskKinds: Check = {
  id: 'disk-kinds',
  group: 'storage',
  asks: 'Can the data behind every moved claim be brought along?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data', 'cloud'],
  reads: { source: ['PersistentVolumeClaim', 'PersistentVolume'], cloud: true },
  hint: {
    why: 'A volume of a kind that cannot be copied is left behind: the claim comes up empty, Pending, or on the same share as before.',
    fix: 'Move local directories onto disks, and see that shares can be mounted from the target.',
  },
  zh: {
    asks: '每个要迁移的 PVC，其数据能否一并迁移？',
    why: '无法复制的存储卷会被留下：PVC 恢复后要么是空盘，要么一直 Pending，要么仍指向原来的共享存储。',
    fix: '节点本地目录先迁到云盘；NAS、OSS 等共享存储请确认目标集群可以挂载。',
  },
  sources: [
    'kubernetes-sigs/alibaba-cloud-csi-driver:docs/migrate',
    'https://github.com/vmware-tanzu/velero/issues/1151',
    'https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-copysnapshot',
  ],

  look(sight) {
    if (!sight.playbook.data || sight.playbook.data.disks.by === 'none')
      throw new Skipped('`data.disks` is none: no disk is copied');
    return volumesOfClaims(sight).flatMap((it) => ofVolume(it, sight));
  },
};

function ofVolume({ claim, volume }: ClaimedVolume, sight: Sight): Finding[] {
  const name: unknown = claim['spec']?.volumeName;
  if (!volume) {
    if (typeof name === 'string' && name !== '')
      return [
        {
          about: about(claim),
          saw: `its volume ${name} is gone`,
          want: 'a volume',
          fix: 'Mend or delete the claim first: there is nothing to copy.',
        },
      ];
    return [
      {
        about: about(claim),
        severity: 'warn',
        saw: 'not bound to a volume',
        breaks: 'nothing: it comes to the target as it is, and is provisioned there',
      },
    ];
  }
  if (isDisk(volume)) return ofDisk(claim, volume, sight);
  if (shareKind(volume)) return ofShare(claim, volume, sight);
  const kind = kindOfVolume(volume);
  const { severity, breaks, fix } = TELL[kind.is] ?? OTHER;
  return [
    {
      about: about(claim),
      severity,
      saw: `${about(volume)} is ${kind.words}`,
      want: 'a disk of diskplugin.csi.alibabacloud.com',
      breaks,
      fix,
    },
  ];
}

/** Not copied: the target mounts it too. Whether it can is another check's question. */
function ofShare(claim: KubeObject, volume: KubeObject, { playbook }: Sight): Finding[] {
  if (shareRule(playbook, `${claim.metadata.namespace}/${claim.metadata.name}`)?.writers !== 'many') return [];
  return [
    {
      about: about(claim),
      severity: 'warn',
      saw: `${about(volume)} is a share, and the playbook lets both sides write to it (writers: many)`,
      breaks: 'whatever cannot have two writers: files that are rewritten whole, locks, databases',
      fix: 'See that its programs are made for it, or leave `writers` out: then the source’s stop first.',
    },
  ];
}

interface Told {
  severity: Severity;
  breaks: string;
  fix: string;
}

const LOCAL: Told = {
  severity: 'refuse',
  breaks: 'the data stays on the old node',
  fix: 'Move it onto a disk first, or waive this when it may be lost.',
};
const OTHER: Told = {
  severity: 'refuse',
  breaks: 'nothing is copied',
  fix: 'Move the data onto a disk of diskplugin.csi.alibabacloud.com, or bring it over by hand and waive this.',
};

const TELL: Record<string, Told> = {
  local: LOCAL,
  flexdisk: {
    severity: 'refuse',
    breaks: 'nothing is copied: its options name no disk (VolumeId), and neither does its name',
    fix: 'Name the disk in the volume, or make it a CSI volume of the same disk on the source first.',
  },
};

function kindOfVolume({ spec }: KubeObject & { spec?: Record<string, { driver?: string }> }): {
  is: string;
  words: string;
} {
  const flex = spec?.['flexVolume']?.driver;
  if (flex !== undefined)
    return {
      is: flex === 'alicloud/disk' ? 'flexdisk' : 'other',
      words: `a FlexVolume of ${flex}`,
    };
  const csi = spec?.['csi']?.driver;
  if (csi !== undefined) return { is: 'other', words: `a CSI volume of ${csi}` };
  if (spec?.['hostPath'] || spec?.['local']) return { is: 'local', words: 'a directory of a node' };
  return {
    is: 'other',
    words: `of the kind ${Object.keys(spec ?? {}).find((it) => !COMMON.has(it)) ?? 'nobody knows'}`,
  };
}

const COMMON = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeMode',
  'volumeAttributesClassName',
]);

function ofDisk(claim: KubeObject, volume: KubeObject, sight: Sight): Finding[] {
  const { playbook } = sight;
  const cloud = sight.cloud();
  const id = diskIdOf(volume) ?? '';
  const disk = cloud.disks.find((it) => it.id === id);
  if (!disk) {
    const missed = cloud.unseen.find((it) => it.what === id);
    if (missed?.absent)
      return [
        {
          about: about(claim),
          saw: `disk ${id} does not exist in ${cloud.region}`,
          want: 'the disk that its volume names',
        },
      ];
    throw new Unknown(`disk ${id} of ${about(claim)}: ${missed?.why ?? 'was not captured'}`);
  }
  const crosses = playbook.cloud?.targetRegion !== undefined && playbook.cloud.targetRegion !== disk.region;
  if (!crosses || !disk.encrypted || playbook.data?.kmsKey !== undefined) return [];
  return [
    {
      about: about(claim),
      saw: `disk ${id} is encrypted with a key of ${disk.region}`,
      want: `a key of ${playbook.cloud?.targetRegion}`,
      breaks: 'copying its snapshot to the other region',
      fix: 'Name a key of the target’s region as `data.kmsKey` in the playbook.',
    },
  ];
}
