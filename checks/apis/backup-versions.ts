import { NEVER_TRAVELS } from '../../src/data.js';
import { Unknown, type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import type { Kind } from '../../src/ports.js';
import { kindServed } from '../../src/preflight.js';
import { some } from '../about.js';
import { veleroFeatures } from '../velero.js';

/**
 * A backup stores each object once, in the version that the source's server prefers. Where the target serves another one
 * that both share, the object could come over, and a plain backup still doesn't bring it. Kubernetes' own kinds never fall
 * into that gap; custom ones do.
 *
 * @source vmware-tanzu/velero:pkg/backup/item_collector.go, pkg/features (EnableAPIGroupVersions)
 */
export const backupVersions: Check = {
  id: 'backup-versions',
  group: 'apis',
  asks: 'Does the backup store every kind in a version that the target takes?',
  before: 'data',
  severity: 'refuse',
  when: ['data'],
  reads: { source: ['*', 'Deployment.apps'], target: ['Deployment.apps'] },
  takes: { '*': 'some' },
  hint: {
    why: 'Velero stores the version that the source prefers and restores just that one: what the target does not serve in it is left out.',
    fix: 'Start both Velero servers with --features=EnableAPIGroupVersions, or serve the stored version on the target too.',
  },
  zh: {
    asks: '备份中每种资源所用的 API 版本，目标集群是否都接受？',
    why: 'Velero 只保存源集群首选的版本，恢复时也只用这一个版本；目标集群不提供该版本的资源会被漏掉。',
    fix: '两侧 Velero 都加上 --features=EnableAPIGroupVersions，或让目标集群也提供该版本。',
  },
  sources: [
    'vmware-tanzu/velero:pkg/backup/item_collector.go',
    'https://velero.io/docs/main/enable-api-group-versions-feature/',
    'https://github.com/vmware-tanzu/velero/issues/6796',
  ],

  look(sight) {
    const every = [sight.source, sight.target].every((side) => storesAll(side, sight));
    if (every) return [];
    const kinds = sight.source.served().filter((it) => it.namespaced && it.verbs.includes('list'));
    return [...new Set(kinds.map(kindServed))]
      .filter((it) => !NEVER_TRAVELS.has(it))
      .flatMap((kind) => ofKind(kind, sight));
  },
};

const storesAll = (side: SideSight, { playbook }: Sight) =>
  veleroFeatures(side, playbook)?.includes('EnableAPIGroupVersions') ?? false;

function ofKind(kind: Kind, { source, target, playbook }: Sight): Finding[] {
  const here = source.served().filter((it) => kindServed(it) === kind);
  const there = target
    .served()
    .filter((it) => kindServed(it) === kind)
    .map((it) => it.version);
  const stored = here.find((it) => it.preferred)?.version ?? here[0]?.version ?? '';
  const shared = here.map((it) => it.version).filter((it) => there.includes(it));
  if (shared.length === 0 || shared.includes(stored)) return [];
  if (!hasAny(source, kind, playbook.data?.namespaces ?? [])) return [];
  return [
    {
      about: kind,
      saw: `objects in the move, stored as ${stored}; the target serves ${some(there)}`,
      want: stored,
      breaks: 'the restore leaves them out',
    },
  ];
}

function hasAny(source: SideSight, kind: Kind, namespaces: readonly string[]): boolean {
  const found = source.seen(kind, namespaces);
  if (!found)
    throw new Unknown(
      `source: ${kind} could not be listed, and the target does not take the version that a backup stores`,
    );
  return found.length > 0;
}
