import type { Check, Finding } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
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
  when: ['data', 'cloud'],
  reads: { source: ['PersistentVolumeClaim', 'PersistentVolume'] },
  hint: {
    why: 'A mount target answers in its own VPC, an inner endpoint in its own region: elsewhere the mount hangs, and the pod with it.',
    fix: 'Make a mount target in the target’s VPC, copy the files to a share of its region, or use the public endpoint of the bucket.',
  },
  zh: {
    asks: '要迁移的 PVC 所用的 NAS、OSS 等共享存储，目标集群能否挂载？',
    why: '挂载点只在所属 VPC 可达，内网 Endpoint 只在所属地域可达；在别处挂载会一直卡住。',
    fix: '在目标 VPC 新建挂载点，或把数据复制到目标地域的文件系统；OSS 改用外网 Endpoint。',
  },
  sources: [
    'https://www.alibabacloud.com/help/en/nas/user-guide/manage-mount-targets',
    'https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints',
  ],

  look(sight) {
    const region = sight.playbook.cloud?.targetRegion ?? sight.playbook.cloud?.region;
    return volumesOfClaims(sight).flatMap(({ claim, volume }): Finding[] => {
      const address = volume && addressOf(volume);
      const at = address === undefined ? undefined : regionIn(address);
      return at === undefined || at === region
        ? []
        : [
            {
              about: about(claim),
              saw: `${about(volume ?? claim)} is at ${address}`,
              want: `an address in ${region}`,
              breaks: 'its pods stay ContainerCreating',
            },
          ];
    });
  },
};

function addressOf({ spec }: KubeObject): string | undefined {
  const attributes = spec?.csi?.volumeAttributes ?? spec?.flexVolume?.options ?? {};
  const address: unknown = spec?.nfs?.server ?? attributes.server ?? attributes.url;
  return typeof address === 'string' ? address : undefined;
}

/** `x.cn-hangzhou.nas.aliyuncs.com`, `x.cn-hangzhou.extreme.nas…`, `oss-cn-hangzhou-internal.aliyuncs.com`, `oss-cn-hangzhou.vpc100-…` */
const regionIn = (address: string): string | undefined =>
  /\.([a-z]+-[-a-z0-9]+?)\.(?:extreme\.|cpfs\.)?nas\.aliyuncs\.com/.exec(address)?.[1] ??
  /(?:^|\/\/|\.)oss-([-a-z0-9]+?)-internal\.aliyuncs\.com/.exec(address)?.[1];
