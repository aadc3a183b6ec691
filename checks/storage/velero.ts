import { Unknown, type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { some } from '../about.js';
import { compareVersions } from '../images.js';
import { veleroNamespace, veleroServer, veleroVersion } from '../velero.js';

/**
 * Both sides must look into the same place: the source to write the backup, the target to find it. And each release of Velero
 * works from some release of Kubernetes on.
 *
 * @source vmware-tanzu/velero:README.md (versions), https://velero.io/docs/main/migration-case/
 */
export const velero: Check = {
  id: 'velero',
  group: 'storage',
  asks: 'Does Velero run on both sides, fit for them, and look into the same bucket?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: {
    source: [BSL(), 'Deployment.apps', 'VolumeSnapshotLocation.velero.io', 'DaemonSet.apps'],
    target: [BSL(), 'Deployment.apps'],
  },
  takes: { 'Deployment.apps': 'named', 'DaemonSet.apps': 'named' },
  hint: {
    why: 'A restore can only bring what the target finds in its own location; one that looks elsewhere waits for a backup that never comes.',
    fix: 'Install Velero on both sides in the namespace that the playbook names, with one provider, bucket and prefix: `velero backup-location get` shows them.',
  },
  zh: {
    asks: '两侧的 Velero 是否正常、版本合适，并指向同一个存储位置？',
    why: '目标集群只能恢复它自己的存储位置里看得到的备份；位置不一致，备份永远不会出现。',
    fix: '在两侧 playbook 指定的命名空间安装 Velero，使用相同的 provider、bucket 和 prefix；用 velero backup-location get 查看。',
  },
  sources: [
    'https://velero.io/docs/main/migration-case/',
    'vmware-tanzu/velero:README.md',
    'https://github.com/vmware-tanzu/velero/issues/5613',
  ],

  look(sight) {
    const found = [sight.source, sight.target].flatMap((side) => ofSide(side, sight));
    if (found.some((it) => it.severity === 'refuse')) return found;
    return [...found, ...ofPlace(sight), ...ofReleases(sight)];
  },
};

function BSL() {
  return 'BackupStorageLocation.velero.io';
}

const locationOf = (side: SideSight, { playbook }: Sight): KubeObject | undefined =>
  side.get(BSL(), veleroNamespace(playbook), playbook.data?.velero.storageLocation ?? 'default');

function ofSide(side: SideSight, sight: Sight): Finding[] {
  const namespace = veleroNamespace(sight.playbook);
  const name = sight.playbook.data?.velero.storageLocation ?? 'default';
  const about = (what: string) => `${side.side} ${what} ${namespace}/${what === 'deployment' ? 'velero' : name}`;
  if (!side.serves('Backup.velero.io'))
    return [
      {
        about: `${side.side} velero`,
        severity: 'refuse',
        saw: 'the server has no kind Backup.velero.io',
        want: 'Velero installed',
      },
    ];
  const found: Finding[] = [];
  const server = veleroServer(side, sight.playbook);
  // A restore looks its server's Deployment up by this name. @source vmware-tanzu/velero:pkg/restore
  if (!server)
    found.push({
      about: about('deployment'),
      severity: 'refuse',
      saw: 'there is none',
      want: 'the server of Velero',
      breaks: 'every backup and restore stays New, or ends PartiallyFailed',
    });
  else if (Number(server['status']?.readyReplicas ?? 0) === 0)
    found.push({ about: about('deployment'), severity: 'refuse', saw: 'no pod of it is ready', want: 'one' });
  const location = locationOf(side, sight);
  if (!location) {
    const others = side.list(BSL(), [namespace]).map((it) => it.metadata.name);
    return [
      ...found,
      { about: about('backup location'), severity: 'refuse', saw: `there is ${some(others) || 'none'}`, want: name },
    ];
  }
  const phase: unknown = location['status']?.phase;
  if (phase !== 'Available')
    found.push({
      about: about('backup location'),
      severity: 'refuse',
      saw: `${typeof phase === 'string' ? phase : 'no phase yet'}${location['status']?.message ? `: ${location['status'].message}` : ''}`,
      want: 'Available',
    });
  if (side === sight.source && location['spec']?.accessMode === 'ReadOnly')
    found.push({
      about: about('backup location'),
      severity: 'refuse',
      saw: 'ReadOnly',
      want: 'ReadWrite',
      breaks: 'the backup: FailedValidation',
    });
  return found;
}

/** Credentials and regions may be named differently; provider, bucket and prefix may not. */
function ofPlace(sight: Sight): Finding[] {
  const place = (side: SideSight) => {
    const { provider, objectStorage } = locationOf(side, sight)?.['spec'] ?? {};
    if (!objectStorage?.bucket) throw new Unknown(`${side.side}: its backup location names no bucket`);
    return `${provider} ${objectStorage.bucket}/${String(objectStorage.prefix ?? '').replace(/^\/+|\/+$/g, '')}`;
  };
  const [from, to] = [place(sight.source), place(sight.target)];
  return from === to
    ? []
    : [
        {
          about: 'backup locations',
          severity: 'refuse',
          saw: `source ${from}, target ${to}`,
          want: 'one place',
          breaks: 'the target never sees the backup',
        },
      ];
}

/** Lowest minor of Kubernetes by release. @source vmware-tanzu/velero:README.md at each tag */
const FLOORS: [release: number[], minor: number][] = [
  [[1, 10], 18],
  [[1, 8], 16],
  [[1, 6], 12],
  [[1, 4], 10],
];

function ofReleases({ source, target, playbook }: Sight): Finding[] {
  const sides = [source, target].map((side) => ({ side, version: veleroVersion(veleroServer(side, playbook)) }));
  const floors = sides.flatMap(({ side, version }): Finding[] => {
    if (!version)
      return [
        {
          about: `${side.side} velero`,
          severity: 'warn',
          saw: 'the tag of its image tells no version',
          want: 'a release that is known to fit',
        },
      ];
    const floor = FLOORS.find(([release]) => compareVersions(version, release) >= 0)?.[1] ?? 0;
    if (side.minor() >= floor) return [];
    return [
      {
        about: `${side.side} velero`,
        severity: 'refuse',
        saw: `${version.join('.')} on ${side.version}`,
        want: `Kubernetes 1.${floor} or newer, or an older Velero`,
      },
    ];
  });
  const [from, to] = sides.map((it) => it.version);
  if (!from || !to) return floors;
  const apart = (to[0] ?? 0) * 100 + (to[1] ?? 0) - ((from[0] ?? 0) * 100 + (from[1] ?? 0));
  if (apart >= 0 && apart <= 2) return floors;
  const saw = `${from.join('.')} on the source, ${to.join('.')} on the target`;
  return [
    ...floors,
    {
      about: 'velero releases',
      severity: 'warn',
      saw,
      want: apart < 0 ? 'a target that is no older' : 'at most two minor releases apart',
      breaks: 'restores across more are not tested by its makers',
    },
  ];
}
