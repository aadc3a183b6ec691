import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { isMovedShare, shareKind } from '../../src/shares.js';
import { about, some } from '../about.js';
import { volumesOfClaims } from '../disks.js';

/**
 * A claim whose class the target lacks restores without complaint and then stays Pending: the restore can say Completed
 * while the pod never starts. A StatefulSet's templates are asked too: the claims that they make at the next scale-out
 * name the class again, long after the migration.
 *
 * @source https://velero.io/docs/main/restore-reference/#changing-pvpvc-storage-classes
 */
export const storageClasses: Check = {
  id: 'storage-classes',
  group: 'storage',
  asks: 'Does the target offer every storage class the source claims name?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: {
    source: ['PersistentVolumeClaim', 'PersistentVolume', 'StatefulSet.apps', 'StorageClass.storage.k8s.io'],
    target: ['StorageClass.storage.k8s.io'],
  },
  takes: { 'StatefulSet.apps': ['spec.volumeClaimTemplates'] },
  hint: {
    why: 'A restored claim without its class stays Pending, and its pod with it.',
    fix: 'Create the class on the target, or map it under `data.storageClasses` in the playbook.',
  },
  zh: {
    asks: '源集群 PVC 所用的每个 StorageClass，目标集群是否都有？',
    why: '恢复出来的 PVC 如果找不到对应的 StorageClass，会一直停在 Pending，Pod 也随之无法启动。',
    fix: '在目标集群创建该 StorageClass，或在 playbook 的 data.storageClasses 中配置映射。',
  },
  sources: [
    'https://velero.io/docs/main/restore-reference/#changing-pvpvc-storage-classes',
    'https://github.com/vmware-tanzu/velero/issues/4220',
  ],

  look(sight) {
    const wants = [...claims(sight), ...templates(sight)];
    return [...wants.flatMap((it) => missing(it, sight)), ...mapping(wants, sight)];
  },
};

const CLASS = 'StorageClass.storage.k8s.io';

/** Wins over the field to this day. @source kubernetes/kubernetes:pkg/apis/core/v1/helper/helpers.go */
const OLD_CLASS = 'volume.beta.kubernetes.io/storage-class';
const DEFAULT_CLASS = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

interface Want {
  about: string;
  /** undefined asks for the default class; empty is bound by hand */
  class: string | undefined;
}

const classOf = (claim: KubeObject): string | undefined =>
  claim.metadata.annotations?.[OLD_CLASS] ?? claim['spec']?.storageClassName;

/** Of a share that the move brings a volume waits under the claim's name: its class need not be there. */
const claims = (sight: Sight): Want[] =>
  volumesOfClaims(sight).flatMap(({ claim, volume }) =>
    volume && shareKind(volume) && isMovedShare(sight.playbook, claim)
      ? []
      : [{ about: about(claim), class: classOf(claim) }],
  );

const templates = ({ source, namespaces }: Sight): Want[] =>
  source.list('StatefulSet.apps', namespaces).flatMap((set) =>
    (set['spec']?.volumeClaimTemplates ?? []).map((template: KubeObject) => ({
      about: `${about(set)} template ${template.metadata.name}`,
      class: classOf(template),
    })),
  );

function missing(want: Want, { target, playbook }: Sight): Finding[] {
  if (want.class === '') return [];
  const offered = target.list(CLASS);
  const names = some(offered.map((it) => it.metadata.name).sort(), 8) || 'no classes';
  if (want.class === undefined) {
    if (offered.some((it) => DEFAULT_CLASS.some((key) => it.metadata.annotations?.[key] === 'true'))) return [];
    return [
      { about: want.about, saw: `${names}, none of them the default`, want: 'a default class, for it names none' },
    ];
  }
  const name = playbook.data?.storageClasses[want.class] ?? want.class;
  if (offered.some((it) => it.metadata.name === name)) return [];
  return [
    {
      about: want.about,
      saw: names,
      want: name === want.class ? name : `${name}, to which the playbook maps ${want.class}`,
    },
  ];
}

/** A mapping that nothing uses is a misspelt one more often than not: then the claims keep the class that was to go. */
function mapping(wants: readonly Want[], { source, target, playbook }: Sight): Finding[] {
  const known = new Set([...source.list(CLASS).map((it) => it.metadata.name), ...wants.map((it) => it.class)]);
  const offered = new Set(target.list(CLASS).map((it) => it.metadata.name));
  return Object.entries(playbook.data?.storageClasses ?? {}).flatMap(([from, to]): Finding[] => {
    const it = `data.storageClasses.${from}`;
    if (!known.has(from))
      return [
        {
          about: it,
          severity: 'warn',
          saw: `the source has no class ${from}, and no claim names it`,
          want: some([...known].filter(Boolean).map(String).sort()),
        },
      ];
    if (!offered.has(to) && !wants.some((want) => want.class === from)) {
      return [{ about: it, severity: 'warn', saw: `the target has no class ${to}; no claim needs it yet`, want: to }];
    }
    return [];
  });
}
