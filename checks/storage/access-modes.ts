import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about } from '../about.js';
import { amount, spelled } from '../quantities.js';

/**
 * What a claim asks for, its class must be able to give: a disk is attached to one node, comes in sizes from 20 GiB up, and
 * some modes exist from some release on.
 *
 * @source https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
 * @source https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createdisk (Size)
 */
export const accessModes: Check = {
  id: 'access-modes',
  group: 'storage',
  asks: 'Can the target’s classes give what moved claims ask for?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: ['PersistentVolumeClaim', 'StorageClass.storage.k8s.io'], target: ['StorageClass.storage.k8s.io'] },
  hint: {
    why: 'A claim whose mode or size its class cannot give stays Pending, now or at the next time that it is made anew.',
    fix: 'Map claims that several nodes mount to a class of shares; ask disks for 20 GiB or more.',
  },
  zh: {
    asks: '目标集群的 StorageClass 能否满足要迁移的 PVC 的访问模式和容量？',
    why: 'StorageClass 无法提供所要求的访问模式或容量时，PVC 会一直 Pending。',
    fix: '需要多节点挂载的 PVC 映射到共享存储类；云盘容量不低于 20 GiB。',
  },
  sources: [
    'https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes',
    'https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createdisk',
    'KEP-2485 (ReadWriteOncePod)',
  ],

  look: (sight) =>
    sight.source
      .list('PersistentVolumeClaim', sight.namespaces)
      .flatMap((it) => [...ofMode(it, sight), ...ofSize(it, sight), ...ofClass(it, sight)]),
};

const DISK = 'diskplugin.csi.alibabacloud.com';

/** The class that the claim will have on the target; undefined when there is none of that name: `storage-classes` tells. */
function classOf(claim: KubeObject, { target, playbook }: Sight): KubeObject | undefined {
  const name = String(claim['spec']?.storageClassName ?? '');
  return target.get('StorageClass.storage.k8s.io', undefined, playbook.data?.storageClasses[name] ?? name);
}

function ofMode(claim: KubeObject, sight: Sight): Finding[] {
  const modes: string[] = claim['spec']?.accessModes ?? [];
  const provisioner: unknown = classOf(claim, sight)?.['provisioner'];
  const many = modes.filter((it) => it === 'ReadWriteMany' || it === 'ReadOnlyMany');
  // A raw block disk may be attached to several nodes.
  if (provisioner === DISK && many.length > 0 && claim['spec']?.volumeMode !== 'Block')
    return [
      {
        about: about(claim),
        severity: 'refuse',
        saw: `${many.join(', ')} of a disk class`,
        want: 'a class of shares, or ReadWriteOnce',
        breaks: 'it stays Pending, or its second pod does',
      },
    ];
  return modes.includes('ReadWriteOncePod') && sight.target.minor() < 27
    ? [
        {
          about: about(claim),
          severity: 'refuse',
          saw: `ReadWriteOncePod on ${sight.target.version}`,
          want: '1.27 or newer',
          breaks: 'the claim is refused',
        },
      ]
    : [];
}

const SMALLEST = 20 * 2 ** 30;

function ofSize(claim: KubeObject, sight: Sight): Finding[] {
  const asked = amount(claim['spec']?.resources?.requests?.storage);
  const there = classOf(claim, sight);
  const type = String(there?.['parameters']?.type ?? '');
  // cloud_auto and ESSD entry disks begin lower.
  if (
    there?.['provisioner'] !== DISK ||
    asked === 0 ||
    asked >= SMALLEST ||
    !/^(cloud_essd|cloud_ssd|cloud_efficiency|available)$/.test(type)
  )
    return [];
  return [
    {
      about: about(claim),
      severity: 'warn',
      saw: `${spelled('memory', asked)} of ${type}`,
      want: '20 GiB or more',
      breaks: 'a new disk of that size cannot be made; a copied one keeps its own',
    },
  ];
}

/** A class of one name that is another one: its disks are of another type, or are deleted with their claim. */
function ofClass(claim: KubeObject, sight: Sight): Finding[] {
  const name = String(claim['spec']?.storageClassName ?? '');
  const [here, there] = [sight.source.get('StorageClass.storage.k8s.io', undefined, name), classOf(claim, sight)];
  if (!here || !there || there.metadata.name !== name) return [];
  const differ = ['provisioner', 'reclaimPolicy'].filter(
    (field) => (here[field] ?? DEFAULTS[field]) !== (there[field] ?? DEFAULTS[field]),
  );
  if (differ.length === 0) return [];
  return [
    {
      about: about(claim),
      severity: 'warn',
      saw: `class ${name} has another ${differ.join(' and ')} on the target: ${differ.map((field) => there[field] ?? DEFAULTS[field]).join(', ')}`,
      want: differ.map((field) => here[field] ?? DEFAULTS[field]).join(', '),
      breaks: 'claims that are made anew',
    },
  ];
}

const DEFAULTS: Record<string, string> = { reclaimPolicy: 'Delete' };
