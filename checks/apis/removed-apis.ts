import { Unknown, type Check, type Finding, type SideSight, type Sight } from '../../src/check.js';
import { CONVERSIONS } from '../../src/convert.js';
import { NEVER_TRAVELS } from '../../src/data.js';
import { kindOf } from '../../src/objects.js';
import type { Kind, KubeObject } from '../../src/ports.js';
import { kindServed } from '../../src/preflight.js';
import { about, some } from '../about.js';
import { mending, servesExactly, versionOf } from '../written.js';

/**
 * The question is not whether a version is deprecated but whether there is one that both servers serve: an API server
 * gives an object out in each version that it serves, so one common version is enough to bring it over as it is.
 * Discovery of both servers answers that; no table of removals can be out of date here.
 *
 * The file that the object came from is another matter: it names one version, and the next apply of it fails wherever that
 * version isn't served. Only the last-applied annotation and the entries of server-side apply tell of it; an old `Update`
 * entry in managedFields says who wrote once, not what will be written next.
 *
 * @source kubernetes/website:content/en/docs/reference/using-api/deprecation-guide.md
 * @source https://github.com/doitintl/kube-no-trouble/issues/316 (old managedFields are no evidence)
 */
export const removedApis: Check = {
  id: 'removed-apis',
  group: 'apis',
  asks: 'Does the target serve every kind that moves, in a version that the source serves too?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: { source: ['*'] },
  takes: { '*': 'each' },
  hint: {
    why: 'A restore skips what the target does not serve, often without an error; a file in a removed version cannot be applied again.',
    fix: 'Install the missing CRD on the target, or leave the object behind and waive it here. Move files and charts to the version that is served; `helm mapkubeapis` mends the release that Helm has stored.',
  },
  zh: {
    asks: '要迁移的每种资源，目标集群是否都提供一个与源集群共有的 API 版本？',
    why: '目标集群不提供的资源在恢复时会被跳过，往往不报错；仍写着已移除版本的 YAML 也无法再次 apply。',
    fix: '在目标集群安装缺少的 CRD，或者放弃迁移该对象并在此豁免。把 YAML 和 chart 改为目标集群提供的版本；Helm 已保存的 release 可用 helm mapkubeapis 修正。',
  },
  sources: [
    'kubernetes/website:content/en/docs/reference/using-api/deprecation-guide.md',
    'vmware-tanzu/velero:pkg/discovery/helper.go',
    'https://github.com/vmware-tanzu/velero/issues/5613',
    'https://github.com/helm/helm-mapkubeapis',
  ],

  look(sight) {
    const kinds = sight.source
      .served()
      .filter(
        (it) => it.namespaced && it.verbs.includes('list') && it.verbs.includes('get') && !MEASURED.test(it.group),
      );
    requireDiscovery(sight.source);
    return [...new Set(kinds.map(kindServed))]
      .filter((it) => !MADE_AGAIN.has(it))
      .flatMap((kind) => lookAt(kind, sight));
  },
};

/** Measured or made again on the other side; nothing of them is brought. */
const MADE_AGAIN: ReadonlySet<Kind> = new Set([...NEVER_TRAVELS, 'CSIStorageCapacity.storage.k8s.io']);
const MEASURED = /(^|\.)metrics\.k8s\.io$/;

/** The same objects under an older group. @source vmware-tanzu/velero:pkg/backup/backup.go cohabitatingResources */
const MOVED_FROM: Record<Kind, Kind> = {
  'Ingress.networking.k8s.io': 'Ingress.extensions',
  'NetworkPolicy.networking.k8s.io': 'NetworkPolicy.extensions',
  'Deployment.apps': 'Deployment.extensions',
  'DaemonSet.apps': 'DaemonSet.extensions',
  'ReplicaSet.apps': 'ReplicaSet.extensions',
};
const MOVED_TO = Object.fromEntries(Object.entries(MOVED_FROM).map(([to, from]) => [from, to]));

/** Every version in which a server gives the kind out, under its older group too. */
const versions = (side: SideSight, kind: Kind): string[] =>
  side
    .served()
    .filter((it) => [kind, MOVED_FROM[kind], MOVED_TO[kind]].includes(kindServed(it)))
    .map(versionOf);

/** A group whose API service is down is in no list; its objects are missed by the backup as well. @source https://github.com/vmware-tanzu/velero/issues/1283 */
function requireDiscovery(side: SideSight): void {
  const failed = side.inventory.unseen.find(({ kind }) => kind.startsWith('*.') && !MEASURED.test(kind));
  if (failed) throw new Unknown(`${side.side}: what the API server serves in ${failed.kind.slice(2)}: ${failed.why}`);
}

function lookAt(kind: Kind, { source, target, namespaces }: Sight): Finding[] {
  const newer = MOVED_TO[kind];
  if (newer !== undefined && source.serves(newer)) return []; // the same objects once more
  const here = versions(source, kind);
  const there = versions(target, kind);
  const common = here.some((it) => there.includes(it));
  if (!common) target.serves(kind); // unknown when its group could not be asked
  const objects = seen(source, kind, namespaces, common).filter((it) => !it.metadata.ownerReferences?.length);
  if (common) return objects.flatMap((it) => outdatedFile(it, target));

  const converted = CONVERSIONS.find(
    (it) => it.kind === kind && it.from.some((from) => here.includes(from)) && there.includes(it.to),
  )?.to;
  return objects.map((it): Finding => {
    const head = {
      about: about(it),
      saw: `${some(here)} in the source, ${some(there) || 'none'} in the target; ${lastWriter(it)}`,
    };
    if (converted !== undefined) {
      return {
        ...head,
        severity: 'warn',
        breaks: `the next ${nextWrite(it)} in the target, if it still says ${here[0]}`,
        fix: `Nothing for the move: the data phase brings it as ${converted}. Then change the file. ${mending({ apiVersion: here[0] ?? '', kind: it.kind }, target)}`,
      };
    }
    return {
      ...head,
      want: `one of ${some(here)} in the target`,
      breaks: 'the restore leaves it out',
      ...(there.length === 0 && {
        fix: `Install the CustomResourceDefinition or the operator of ${kind} on the target first.`,
      }),
    };
  });
}

/** A kind that could not be listed matters only where a common version is missing; else the worst that hides is a warning. */
function seen(side: SideSight, kind: Kind, namespaces: readonly string[], common: boolean): KubeObject[] {
  try {
    return side.list(kind, namespaces);
  } catch (error) {
    if (common && error instanceof Unknown) return [];
    throw error;
  }
}

function outdatedFile(object: KubeObject, target: SideSight): Finding[] {
  const applied = appliedAs(object).find(({ apiVersion }) => !servesExactly(target, { apiVersion, kind: object.kind }));
  if (!applied) return [];
  return [
    {
      about: about(object),
      severity: 'warn',
      saw: `live object, moves as it is; but applied as ${applied.apiVersion} by ${applied.by}`,
      want: some(versions(target, kindOf(object)), 3),
      breaks: `the next ${nextWrite(object)} in the target`,
      fix: `Change the file before it is applied there. ${mending({ apiVersion: applied.apiVersion, kind: object.kind }, target)}`,
    },
  ];
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

function appliedAs(object: KubeObject): { apiVersion: string; by: string }[] {
  const byServer = (object.metadata.managedFields ?? [])
    .filter((it) => it.operation === 'Apply' && it.apiVersion !== undefined)
    .map((it) => ({ apiVersion: it.apiVersion ?? '', by: writer(it) }));
  const apiVersion = lastApplied(object)?.['apiVersion'];
  if (typeof apiVersion !== 'string') return byServer;
  const entry = object.metadata.managedFields?.find((it) => it.manager?.startsWith('kubectl'));
  return [{ apiVersion, by: entry ? writer(entry) : 'kubectl apply' }, ...byServer];
}

function lastApplied(object: KubeObject): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(object.metadata.annotations?.[LAST_APPLIED] ?? 'null');
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // somebody else's annotation: nothing that kubectl would read
  }
}

type Entry = NonNullable<KubeObject['metadata']['managedFields']>[number];

const writer = ({ manager = 'an unnamed client', time }: Entry) =>
  time ? `${manager}, ${time.slice(0, 10)}` : manager;

function lastWriter({ metadata }: KubeObject): string {
  const entries = (metadata.managedFields ?? []).filter(
    (it) => it.manager !== undefined && !CONTROLLERS.test(it.manager),
  );
  const last = entries.toSorted((a, b) => (a.time ?? '').localeCompare(b.time ?? '')).at(-1);
  return last ? `written by ${writer(last)}` : 'live object';
}

const CONTROLLERS = /^kube-controller-manager|^kubelet/;

function nextWrite({ metadata }: KubeObject): string {
  const release = metadata.annotations?.['meta.helm.sh/release-name'];
  return release ? `\`helm upgrade\` of release ${release}` : '`kubectl apply` of its file';
}
