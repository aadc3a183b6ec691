import type { Check, Finding, SideSight } from '../../src/check.js';
import { isMovedShare, shareKind, shareProblem, vpcIn } from '../../src/shares.js';
import { about } from '../about.js';
import { volumesOfClaims } from '../disks.js';

/**
 * A share is reached over the network: a mount target belongs to one VPC, and the inner address of an object store to one
 * region.
 *
 * @source https://www.alibabacloud.com/help/en/nas/user-guide/manage-mount-targets, https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints
 */
export const shareAddresses: Check = {
  id: 'share-addresses',
  group: 'storage',
  asks: 'Can the target mount the shares that moved claims name?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { source: ['PersistentVolumeClaim', 'PersistentVolume', 'ConfigMap'], target: ['ConfigMap'] },
  takes: { ConfigMap: 'named', 'target ConfigMap': 'named' },
  hint: {
    why: 'A mount target answers in its own VPC, an inner endpoint in its own region: elsewhere the mount hangs, and the pod with it.',
    fix: 'Make a mount target in the target’s VPC, or copy the files to a share of its region; name it under `data.disks.shares` in the playbook.',
  },
  zh: {
    asks: '要迁移的 PVC 所用的 NAS、OSS 等共享存储，目标集群能否挂载？',
    why: '挂载点只在所属 VPC 可达，内网 Endpoint 只在所属地域可达；在别处挂载会一直卡住。',
    fix: '在目标 VPC 新建挂载点，或把数据复制到目标地域的文件系统，并写入 playbook 的 data.disks.shares。',
  },
  sources: [
    'https://www.alibabacloud.com/help/en/nas/user-guide/manage-mount-targets',
    'https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints',
  ],

  look(sight) {
    const { playbook, source, target } = sight;
    const vpcs = { source: vpcOf(source), target: vpcOf(target) };
    return volumesOfClaims(sight).flatMap(({ claim, volume }): Finding[] => {
      if (!volume || shareKind(volume) === undefined || !isMovedShare(playbook, claim)) return [];
      const problem = shareProblem(playbook, claim, volume, vpcs);
      return problem
        ? [{ about: about(claim), saw: problem.why, breaks: 'its pods stay ContainerCreating', fix: problem.fix }]
        : [];
    });
  },
};

function vpcOf(side: SideSight): string | undefined {
  const map = side.get('ConfigMap', 'kube-system', 'cloud-config');
  return map && vpcIn(map);
}
