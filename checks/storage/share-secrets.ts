import type { Check, Finding } from '../../src/check.js';
import { isMovedShare, shareKind, shareSecrets as secretsFor } from '../../src/shares.js';
import { about } from '../about.js';
import { volumesOfClaims } from '../disks.js';

/**
 * A bucket is mounted with the keys in a Secret, which the volume names by its namespace. One beside the claims travels with them;
 * any other must be there already.
 *
 * @source kubernetes-sigs/alibaba-cloud-csi-driver:pkg/oss/utils.go, docs/migrate/flexvolume-to-csi-nas-oss.md
 */
export const shareSecrets: Check = {
  id: 'share-secrets',
  group: 'storage',
  asks: 'Will the target have the Secrets by whose keys shares are mounted?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: ['PersistentVolumeClaim', 'PersistentVolume', 'Secret'], target: ['Secret'] },
  takes: { Secret: [] },
  hint: {
    why: 'Without its keys a share is not mounted: the pod stays ContainerCreating, after the restore has said Completed.',
    fix: 'Create the Secret on the target under the same name, or name another one as `secret` under `data.disks.shares` in the playbook.',
  },
  zh: {
    asks: '目标集群是否会有挂载共享存储所需密钥的 Secret？',
    why: '没有密钥就无法挂载：恢复显示 Completed，Pod 却停在 ContainerCreating。',
    fix: '在目标集群以相同名称创建该 Secret，或在 playbook 的 data.disks.shares 中用 secret 指定另一个。',
  },
  sources: [
    'kubernetes-sigs/alibaba-cloud-csi-driver:docs/migrate/flexvolume-to-csi-nas-oss.md',
    'https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints',
  ],

  look(sight) {
    const { playbook, source, target } = sight;
    const moved = playbook.data?.namespaces ?? [];
    // Files bring a Secret or not; the source's does not come by itself.
    const travels = playbook.data?.apps !== 'manifests';
    return volumesOfClaims(sight).flatMap(({ claim, volume }): Finding[] => {
      if (!volume || shareKind(volume) === undefined || !isMovedShare(playbook, claim)) return [];
      return secretsFor(playbook, claim, volume).flatMap(({ namespace, name }): Finding[] => {
        const named = { about: about(claim), want: `secret ${namespace}/${name}` };
        if (!moved.includes(namespace))
          return [
            {
              ...named,
              severity: 'warn',
              saw: `its keys are in namespace ${namespace}, which does not move and is not looked at`,
              fix: `See that the target has it: kubectl -n ${namespace} get secret ${name}`,
            },
          ];
        const isThere = target.get('Secret', namespace, name) ?? (travels && source.get('Secret', namespace, name));
        return isThere ? [] : [{ ...named, saw: 'nobody brings it, and the target does not have it' }];
      });
    });
  },
};
