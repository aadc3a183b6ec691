import type { Workload } from './args.js';
import { unfit as unfitDisk } from './disk-unfit.js';
import type { ClusterInventory } from './inventory.js';
import { isWritten, mounts, type PodVolumes, writesTo } from './mounts.js';
import { about, pathOf } from './objects.js';
import type { Kind, KubeObject } from './ports.js';

/** Who writes to a claim, and how each is stopped. */
export interface Writers {
  /** scaled to 0 */
  workloads: Workload[];
  /** suspended */
  cronJobs: { namespace: string; name: string }[];
  /** Jobs under way that belong to no CronJob here, as `namespace/name`: waited for */
  jobs: string[];
}

/** Everybody whose pods mount a claim, and what stands against stopping them. */
interface Users extends Writers {
  /** those whom scaling and suspending do not stop, as `daemonset shop/agent` */
  left: string[];
  /** the StatefulSet whose claims go when it is scaled down */
  deleting: KubeObject | undefined;
}

/**
 * By templates and by the pods that run.
 * @param isShare  of a share, those who only read don't count
 */
export function usersOf(claim: KubeObject, source: ClusterInventory, isShare = false): Users {
  const { namespace = '', name } = claim.metadata;
  const here = (kind: Kind) => (source.objects[kind] ?? []).filter((it) => it.metadata.namespace === namespace);
  const uses = (spec: PodVolumes = {}) => (isShare ? writesTo(spec, name) : mounts(spec, name));
  const byTemplate = (it: KubeObject) => uses(it['spec']?.template?.spec);
  const isMade = (set: KubeObject) =>
    ((set['spec']?.volumeClaimTemplates ?? []) as { metadata: { name: string } }[]).some(
      (it) =>
        isNumbered(name, `${it.metadata.name}-${set.metadata.name}-`) &&
        (!isShare || isWritten((set['spec']?.template?.spec ?? {}) as PodVolumes, it.metadata.name)),
    );
  const pods = here('Pod').filter((it) => uses(it['spec']) && !hasEnded(it));
  const owned = pods.map((pod) => ownerOf(pod, source));
  const named = (kind: Kind) => new Set(owned.flatMap((it) => (it?.kind === kind ? [it.name] : [])));
  const scaled = (kind: Kind, its: (it: KubeObject) => boolean) => {
    const running = named(kind);
    return here(kind).filter((it) => its(it) || running.has(it.metadata.name));
  };
  const workloads = [
    ...scaled('Deployment.apps', byTemplate).map((it) => workload('Deployment.apps', it)),
    ...scaled('StatefulSet.apps', (it) => byTemplate(it) || isMade(it)).map((it) => workload('StatefulSet.apps', it)),
  ];
  const cronJobs = scaled('CronJob.batch', (it) => uses(it['spec']?.jobTemplate?.spec?.template?.spec)).map((it) => ({
    namespace,
    name: it.metadata.name,
  }));
  const left = [
    ...here('DaemonSet.apps')
      .filter(byTemplate)
      .map((it) => about('DaemonSet.apps', it.metadata)),
    ...pods.flatMap((pod, index) => unaccounted(pod, owned[index], [...workloads, ...cronJobs])),
  ];
  return {
    workloads,
    cronJobs,
    jobs: [...named('Job.batch')].sort().map((it) => `${namespace}/${it}`),
    left: [...new Set(left)],
    deleting: here('StatefulSet.apps').find(
      (it) => isMade(it) && it['spec']?.persistentVolumeClaimRetentionPolicy?.whenScaled === 'Delete',
    ),
  };
}

/**
 * Those of whom nobody knows how to stop them are refused now, and not found out when all the others have stopped.
 *
 * @param frozen  the playbook makes them hold still: nobody needs to be stopped
 * @param share   of a share, those who only read may go on
 * @throws MigrateError PLAN_DISK_UNFIT, or what `share` makes of the reason
 */
export function writersOf(
  claim: KubeObject,
  source: ClusterInventory,
  frozen: boolean,
  share?: { unfit: typeof unfitDisk },
): Writers {
  const unfit = share?.unfit ?? unfitDisk;
  const path = pathOf(claim.metadata);
  const { left, deleting, ...writers } = usersOf(claim, source, share !== undefined);
  if (deleting)
    throw unfit(
      path,
      `StatefulSet ${pathOf(deleting.metadata)} deletes its claims when it is scaled down (persistentVolumeClaimRetentionPolicy.whenScaled)`,
      'Set whenScaled to Retain on the source first: its writers are scaled to 0, and the old disks are the way back.',
    );
  if (frozen) return writers;
  if (source.unseen.some((it) => it.kind === 'Pod'))
    throw unfit(
      path,
      'pods of the source could not be read, so nobody knows who writes to it',
      'Let the identity list pods there.',
    );
  if (left.length > 0)
    throw unfit(
      path,
      `${left.join(', ')} ${left.length === 1 ? 'mounts' : 'mount'} it, and can't be scaled to 0 by this plan`,
      share
        ? 'End them for the move, or say `writers: many` in its entry of `data.disks.shares` if both sides may write (docs/disks.md).'
        : 'End them for the move, or let a program make the writers hold still: `freeze` in a rule of `data.disks` (docs/disks.md).',
    );
  return writers;
}

/** `data-orders-3` begins with `data-orders-` and goes on with a number. */
const isNumbered = (name: string, stem: string): boolean =>
  name.startsWith(stem) && /^\d+$/.test(name.slice(stem.length));

const hasEnded = (pod: KubeObject) => ['Succeeded', 'Failed'].includes(pod['status']?.phase as string);

const workload = (kind: Kind, { metadata: { namespace = '', name }, ...rest }: KubeObject): Workload => ({
  kind,
  namespace,
  name,
  replicas: Number(rest['spec']?.replicas ?? 1),
});

interface Owner {
  kind: Kind;
  name: string;
}

const controllerOf = ({ metadata: { ownerReferences = [] } }: KubeObject): Owner | undefined => {
  const found = ownerReferences.find((it) => it.controller) ?? ownerReferences[0];
  if (!found) return undefined;
  const group = found.apiVersion.includes('/') ? found.apiVersion.slice(0, found.apiVersion.indexOf('/')) : '';
  return { kind: group ? `${found.kind}.${group}` : found.kind, name: found.name };
};

/** Whoever makes the pod again: a ReplicaSet leads to its Deployment, a Job to its CronJob. */
function ownerOf(pod: KubeObject, source: ClusterInventory): Owner | undefined {
  const owner = controllerOf(pod);
  if (owner?.kind !== 'ReplicaSet.apps' && owner?.kind !== 'Job.batch') return owner;
  const between = (source.objects[owner.kind] ?? []).find(
    (it) => it.metadata.namespace === pod.metadata.namespace && it.metadata.name === owner.name,
  );
  if (between) return controllerOf(between) ?? owner;
  // In a great cluster ReplicaSets are not looked at; the Deployment's name is in theirs.
  const stem = owner.name.slice(0, owner.name.lastIndexOf('-'));
  const isThere = (source.objects['Deployment.apps'] ?? []).some(
    (it) => it.metadata.namespace === pod.metadata.namespace && it.metadata.name === stem,
  );
  return owner.kind === 'ReplicaSet.apps' && isThere ? { kind: 'Deployment.apps', name: stem } : owner;
}

/** Jobs end by themselves. */
function unaccounted(
  pod: KubeObject,
  owner: Owner | undefined,
  known: readonly { kind?: Kind; name: string }[],
): string[] {
  if (owner === undefined) return [about('Pod', pod.metadata)];
  if (owner.kind === 'Job.batch') return [];
  const isKnown = known.some((it) => (it.kind ?? 'CronJob.batch') === owner.kind && it.name === owner.name);
  const { namespace } = pod.metadata;
  return isKnown ? [] : [about(owner.kind, { namespace, name: owner.name })];
}

/** Argo CD's and Flux' marks. @source https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/, fluxcd/kustomize-controller */
export const GITOPS_MARKS: readonly string[] = [
  'argocd.argoproj.io/tracking-id',
  'argocd.argoproj.io/instance',
  'kustomize.toolkit.fluxcd.io/name',
  'helm.toolkit.fluxcd.io/name',
];

/** Who would scale the workloads up again while they must rest. An autoscaler of Kubernetes rests with its workload. */
export function wakers(workloads: readonly Workload[], source: ClusterInventory): string[] {
  return workloads.flatMap((it) => {
    const found = source.objects[it.kind]?.find((one) => pathOf(one.metadata) === pathOf(it));
    const operator = found && controllerOf(found);
    const marks = { ...found?.metadata.labels, ...found?.metadata.annotations };
    const mark = GITOPS_MARKS.find((one) => one in marks);
    const scalers = (source.objects['ScaledObject.keda.sh'] ?? []).filter(
      ({ metadata, ...rest }) =>
        metadata.namespace === it.namespace &&
        rest['spec']?.scaleTargetRef?.name === it.name &&
        (rest['spec']?.scaleTargetRef?.kind ?? 'Deployment') === it.kind.slice(0, it.kind.indexOf('.')),
    );
    return [
      ...scalers.map(
        ({ metadata }) =>
          `scaledobject ${pathOf(metadata)} (annotation autoscaling.keda.sh/paused-replicas: "0") of ${pathOf(it)}`,
      ),
      ...(operator
        ? [`the controller of ${about(operator.kind, { ...it, name: operator.name })}, which owns ${pathOf(it)}`]
        : []),
      ...(mark === undefined ? [] : [`GitOps (${mark}) of ${pathOf(it)}`]),
    ];
  });
}
