import type { Moved } from '../args.js';
import { MigrateError } from '../errors.js';
import { mounts, type PodVolumes, writesTo } from '../mounts.js';
import { about, rightOn, splitPath } from '../objects.js';
import type { Cluster, KubeObject } from '../ports.js';

/** Whether anybody still has claims whose disks are copied, or could write to them. */

/**
 * Pods of a claim, whoever made them, that have not ended.
 * @param shares  those of the claims where pods that only read don't count
 */
export async function podsOn(
  cluster: Cluster,
  claims: readonly string[],
  shares: readonly string[] = [],
): Promise<KubeObject[]> {
  const namespaces = [...new Set(claims.map((it) => it.slice(0, it.indexOf('/'))))];
  const pods = (await Promise.all(namespaces.map((namespace) => cluster.list('Pod', { namespace })))).flat();
  return pods.filter(
    (it) =>
      !['Succeeded', 'Failed'].includes(it['status']?.phase as string) &&
      claims.some((path) => {
        const { namespace, name } = splitPath(path);
        const pod = (it['spec'] ?? {}) as PodVolumes;
        return it.metadata.namespace === namespace && (shares.includes(path) ? writesTo(pod, name) : mounts(pod, name));
      }),
  );
}

export async function attachmentsOf(cluster: Cluster, volumes: readonly string[]): Promise<KubeObject[]> {
  const attachments = await cluster.list('VolumeAttachment.storage.k8s.io');
  return attachments.filter((it) => volumes.includes(it['spec']?.source?.persistentVolumeName as string));
}

export const attachedTo = ({
  spec,
}: KubeObject & { spec?: { source?: { persistentVolumeName?: string }; nodeName?: string } }) =>
  `${String(spec?.source?.persistentVolumeName)} to ${String(spec?.nodeName)}`;

/** A disk has its copy; a share has two writers when nobody could stop those of a target that does not answer. */
export const andWrite = (moved: Moved | undefined): string =>
  moved?.shares
    ? ` and write to the shares of ${moved.shares.join(', ')}, which the source writes to again: shut its nodes off from them now`
    : '';

/** What `mustRest` asks of the source. */
export const RIGHTS_OF_REST = [rightOn('list', 'Pod'), rightOn('list', 'VolumeAttachment.storage.k8s.io')];

/**
 * Their writers have stopped, but a run may have been stopped too since, for hours: somebody may have brought them back.
 *
 * @throws MigrateError CLAIM_STILL_MOUNTED, VOLUME_STILL_ATTACHED
 */
export async function mustStillRest({ claims, volumes }: Moved, source: Cluster): Promise<void> {
  const [[pod], [attachment]] = await Promise.all([podsOn(source, claims), attachmentsOf(source, volumes)]);
  if (!pod && !attachment) return;
  throw new MigrateError(pod ? 'CLAIM_STILL_MOUNTED' : 'VOLUME_STILL_ATTACHED', {
    what: pod
      ? `${about('Pod', pod.metadata)} on the source has claim ${claims.join(', ')} again, whose writers had stopped for its last snapshot.`
      : `Volume ${attachment ? attachedTo(attachment) : ''} again, whose writers had stopped for its last snapshot.`,
    why: 'A snapshot of a disk in use may miss writes, and all that come after it. It was not made yet: nothing is lost.',
    fix: 'Stop it on the source (who scaled it up: a person, an autoscaler, GitOps, an operator?), then run again: what it has written comes along.',
  });
}

/**
 * A last look before the target's workloads start on the copies: what the source wrote after the last snapshot is not in them, and would be
 * lost.
 *
 * @throws MigrateError SOURCE_STILL_WRITES
 */
export async function mustRest({ claims, shares, volumes }: Moved, source: Cluster): Promise<void> {
  const [pods, attached] = await Promise.all([podsOn(source, claims, shares), attachmentsOf(source, volumes)]);
  const [pod] = pods;
  const [attachment] = attached;
  if (!pod && !attachment) return;
  throw new MigrateError('SOURCE_STILL_WRITES', {
    what: pod
      ? `${about('Pod', pod.metadata)} on the source has ${shares ? 'a claim that the target takes over' : 'a claim whose disk was copied already'}${pods.length > 1 ? `, and ${pods.length - 1} more do` : ''}.`
      : `Volume ${attachment ? attachedTo(attachment) : ''} is attached on the source, and its disk was copied already.`,
    why: 'What it has written since the last snapshot is not on the target; once the target writes, the two can never be one again.',
    fix: 'If those writes count: `migrate rollback`, and begin anew. If they don’t: stop it on the source (who scaled it up: an autoscaler, GitOps, an operator?), then run again.',
  });
}
