import type { ClusterApi, Json, TwinCloud, TwinObject } from '../types.js';
import { follow, keyOf, splitKey } from './follow.js';
import { isGoing } from './objects.js';
import { type ControllerClock, NotNow, workQueue } from './queue.js';
import { CONTENTS, DISK_DRIVER, SNAPSHOTS } from './volumes.js';

const GROUP = 'snapshot.storage.k8s.io';
const CONTENT_GUARD = 'snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection';
const GUARDS = [
  'snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection',
  'snapshot.storage.kubernetes.io/volumesnapshot-bound-protection',
];
const BEING_DELETED = 'snapshot.storage.kubernetes.io/volumesnapshot-being-deleted';
const DELAY_MS = 30;
/** How often the sidecar asks for a snapshot that is not ready. */
const POLL_MS = 5_000;
const GIB = 2 ** 30;

const text = { type: 'string' };
const object = (properties: Json, required: string[] = []): Json => ({
  type: 'object',
  properties,
  ...(required.length > 0 ? { required } : {}),
});

const KINDS: { kind: string; plural: string; cluster?: true; fields: Json; required: string[] }[] = [
  {
    kind: 'VolumeSnapshot',
    plural: 'volumesnapshots',
    fields: {
      spec: object(
        {
          source: object({ persistentVolumeClaimName: text, volumeSnapshotContentName: text }),
          volumeSnapshotClassName: text,
        },
        ['source'],
      ),
    },
    required: ['spec'],
  },
  {
    kind: 'VolumeSnapshotContent',
    plural: 'volumesnapshotcontents',
    cluster: true,
    fields: {
      spec: object(
        {
          deletionPolicy: { ...text, enum: ['Delete', 'Retain'] },
          driver: text,
          source: object({ snapshotHandle: text, volumeHandle: text }),
          sourceVolumeMode: text,
          volumeSnapshotClassName: text,
          volumeSnapshotRef: object({
            apiVersion: text,
            kind: text,
            name: text,
            namespace: text,
            uid: text,
            resourceVersion: text,
            fieldPath: text,
          }),
        },
        ['deletionPolicy', 'driver', 'source', 'volumeSnapshotRef'],
      ),
    },
    required: ['spec'],
  },
  {
    kind: 'VolumeSnapshotClass',
    plural: 'volumesnapshotclasses',
    cluster: true,
    fields: {
      deletionPolicy: { ...text, enum: ['Delete', 'Retain'] },
      driver: text,
      parameters: { type: 'object', additionalProperties: text },
    },
    required: ['deletionPolicy', 'driver'],
  },
];

/** The definitions. @source kubernetes-csi/external-snapshotter:client/config/crd */
export const snapshotCrds = (): TwinObject[] =>
  KINDS.map(({ kind, plural, cluster, fields, required }) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: cluster ? 'Cluster' : 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: object(
              { ...fields, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
              required,
            ),
          },
        },
      ],
    },
  }));

/**
 * The snapshot controller and the disks' sidecar, for snapshots that exist already: a VolumeSnapshotContent names one by its id, a
 * VolumeSnapshot names the content, and the two are bound.
 *
 * @source kubernetes-csi/external-snapshotter:pkg/common-controller/snapshot_controller.go, pkg/sidecar-controller/snapshot_controller.go
 * @source kubernetes-sigs/alibaba-cloud-csi-driver:pkg/disk/controllerserver.go (ListSnapshots, formatCSISnapshot)
 */
export async function startSnapshots(
  api: ClusterApi,
  clock: ControllerClock,
  cloud: TwinCloud,
): Promise<{ stop(): void }> {
  const snapshots = workQueue(clock, { delayMs: DELAY_MS }, lookAtSnapshot);
  const contents = workQueue(clock, { delayMs: DELAY_MS }, lookAtContent);
  const knownSnapshots = await follow(api, SNAPSHOTS, ({ object: it }) => {
    snapshots.add(keyOf(it));
    const named = it['spec']?.source?.volumeSnapshotContentName;
    if (named) contents.add(`/${named}`);
  });
  const knownContents = await follow(api, CONTENTS, ({ object: it }) => {
    contents.add(keyOf(it));
    const { namespace, name } = it['spec']?.volumeSnapshotRef ?? {};
    if (name) snapshots.add(`${namespace}/${name}`);
  });

  const patch = async (resource: string, it: TwinObject, change: Json, sub?: 'status'): Promise<void> => {
    const made = await api.mergePatch(resource, it.metadata.namespace, it.metadata.name, change, sub);
    (resource === SNAPSHOTS ? knownSnapshots : knownContents).note(made);
  };
  const hasAll = (it: TwinObject, wanted: readonly string[]) =>
    wanted.every((one) => it.metadata.finalizers?.includes(one));
  const without = (it: TwinObject, gone: readonly string[]) =>
    (it.metadata.finalizers ?? []).filter((one: string) => !gone.includes(one));

  async function lookAtSnapshot(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const snapshot = knownSnapshots.get(namespace, name);
    const from = snapshot?.['spec'].source?.volumeSnapshotContentName;
    // One of a claim would be taken by the driver; that is not played.
    if (!snapshot || !from) return;
    const content = knownContents.get(undefined, from);
    if (isGoing(snapshot)) return letGo(snapshot, content);
    if (!hasAll(snapshot, GUARDS))
      return patch(SNAPSHOTS, snapshot, {
        metadata: { finalizers: [...without(snapshot, GUARDS), ...GUARDS] },
      });
    const reference = content?.['spec'].volumeSnapshotRef;
    if (!content || reference.namespace !== namespace || reference.name !== name)
      return complain(
        snapshot,
        content ? 'VolumeSnapshotContent is bound to a different snapshot' : 'VolumeSnapshotContent is missing',
      );
    if (reference.uid && reference.uid !== snapshot.metadata.uid)
      return complain(snapshot, 'VolumeSnapshotContent is bound to a different snapshot');
    if (!reference.uid)
      return patch(CONTENTS, content, { spec: { volumeSnapshotRef: { uid: snapshot.metadata.uid } } });
    const { readyToUse = false, restoreSize, creationTime } = content['status'] ?? {};
    const status = {
      boundVolumeSnapshotContentName: from,
      readyToUse,
      ...(restoreSize === undefined ? {} : { restoreSize: `${restoreSize / GIB}Gi` }),
      ...(creationTime === undefined ? {} : { creationTime }),
      error: content['status']?.error ?? null,
    };
    const { error, ...now } = snapshot['status'] ?? {};
    const { error: wrong, ...then } = status;
    if (JSON.stringify([now, error ?? null]) !== JSON.stringify([then, wrong]))
      await patch(SNAPSHOTS, snapshot, { status }, 'status');
  }

  async function complain(snapshot: TwinObject, message: string): Promise<void> {
    if (snapshot['status']?.error?.message !== message)
      await patch(SNAPSHOTS, snapshot, { status: { readyToUse: false, error: { message } } }, 'status');
  }

  async function letGo(snapshot: TwinObject, content: TwinObject | undefined): Promise<void> {
    const { namespace, name, uid } = snapshot.metadata;
    if (!hasAll(snapshot, GUARDS) && (snapshot.metadata.finalizers ?? []).length === 0) return;
    const claims = await api.list('v1/persistentvolumeclaims', namespace);
    const isUsed = claims.some(
      (it) =>
        it['spec'].dataSource?.kind === 'VolumeSnapshot' &&
        it['spec'].dataSource.name === name &&
        it['status']?.phase === 'Pending' &&
        !isGoing(it),
    );
    if (isUsed) throw new NotNow('Snapshot is being used to restore a PVC');
    if (content && content['spec'].volumeSnapshotRef.uid === uid) {
      await patch(CONTENTS, content, { metadata: { annotations: { [BEING_DELETED]: 'yes' } } });
      if (content['spec'].deletionPolicy === 'Delete') await api.delete(CONTENTS, undefined, content.metadata.name);
    }
    await patch(SNAPSHOTS, snapshot, { metadata: { finalizers: without(snapshot, GUARDS) } });
  }

  async function lookAtContent(key: string): Promise<number | void> {
    const { name } = splitKey(key);
    const content = knownContents.get(undefined, name);
    if (!content || content['spec'].driver !== DISK_DRIVER) return;
    const handle: string | undefined = content['spec'].source.snapshotHandle;
    if (handle === undefined) return;
    const { uid } = content['spec'].volumeSnapshotRef;
    if (isGoing(content)) {
      const mayGo = !uid || content.metadata.annotations?.[BEING_DELETED] !== undefined;
      if (!mayGo || !hasAll(content, [CONTENT_GUARD])) return;
      if (content['spec'].deletionPolicy === 'Delete')
        await cloud.call('Ecs', 'DeleteSnapshot', { SnapshotId: handle, RegionId: cloud.region });
      return patch(CONTENTS, content, { metadata: { finalizers: without(content, [CONTENT_GUARD]) } });
    }
    if (!uid) return;
    if (!hasAll(content, [CONTENT_GUARD]))
      await patch(CONTENTS, content, {
        metadata: { finalizers: [...without(content, [CONTENT_GUARD]), CONTENT_GUARD] },
      });
    if (content['status']?.readyToUse === true) return;
    const reply = await cloud.call('Ecs', 'DescribeSnapshots', {
      RegionId: cloud.region,
      SnapshotIds: JSON.stringify([handle]),
    });
    const [found] = (reply['Snapshots']?.Snapshot ?? []) as Json[];
    const status = found
      ? {
          snapshotHandle: handle,
          readyToUse: found.Available === true,
          restoreSize: Number(found.SourceDiskSize) * GIB,
          error: null,
        }
      : {
          readyToUse: false,
          error: {
            message: `Failed to check and update snapshot content: can not find snapshot for snapshotID ${handle}`,
          },
        };
    if (
      content['status']?.readyToUse !== status.readyToUse ||
      content['status']?.error?.message !== status.error?.message
    )
      await patch(CONTENTS, content, { status }, 'status');
    if (!status.readyToUse) return POLL_MS;
  }

  return {
    stop() {
      snapshots.stop();
      contents.stop();
      knownSnapshots.stop();
      knownContents.stop();
    },
  };
}
