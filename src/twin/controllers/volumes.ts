import { hash32 } from '../random.js';
import type { ClusterApi, Json, TwinObject } from '../types.js';
import { keyOf, splitKey } from './follow.js';
import { createOnce, isActive, isGoing, type View, writeStatus } from './objects.js';
import { instanceOf, zoneOf } from './pods.js';
import { isWorthRetrying, NotNow, workQueue } from './queue.js';
import { claimsOf, matchesNodeSelector, quantity } from './schedule.js';

export const DISK_DRIVER = 'diskplugin.csi.alibabacloud.com';
const ZONE_KEY = 'topology.diskplugin.csi.alibabacloud.com/zone';
const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';
const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';
const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';
const DELAY_MS = 20;

/** Which disk an attachment is about, for the day when its volume is gone. */
const DISK_ANNOTATION = 'twin/disk';
const GIB = 2 ** 30;

const hasModes = (volume: TwinObject, claim: TwinObject): boolean =>
  (claim['spec'].accessModes ?? []).every((it: string) => (volume['spec'].accessModes ?? []).includes(it));

const isFor = (reference: Json, claim: TwinObject): boolean =>
  reference?.namespace === claim.metadata.namespace &&
  reference?.name === claim.metadata.name &&
  (!reference.uid || reference.uid === claim.metadata.uid);

export const SNAPSHOTS = 'snapshot.storage.k8s.io/v1/volumesnapshots';
export const CONTENTS = 'snapshot.storage.k8s.io/v1/volumesnapshotcontents';

/** A `VolumeSnapshot` that a claim may be made from, or why not yet. */
async function handleFor(
  api: ClusterApi,
  namespace: string | undefined,
  name: string,
): Promise<{ handle: string; bytes: number }> {
  const notReady = () =>
    new NotNow(
      `error getting handle for DataSource Type VolumeSnapshot by Name ${name}: snapshot ${name} is not Ready`,
    );
  if (!api.serves(SNAPSHOTS)) throw notReady();
  const snapshot = await api.get(SNAPSHOTS, namespace, name);
  const bound = snapshot?.['status']?.boundVolumeSnapshotContentName;
  if (!snapshot || isGoing(snapshot) || !bound || snapshot['status'].readyToUse !== true) throw notReady();
  const content = await api.get(CONTENTS, undefined, bound);
  const { uid } = content?.['spec'].volumeSnapshotRef ?? {};
  if (!content || uid !== snapshot.metadata.uid || content['spec'].driver !== DISK_DRIVER) throw notReady();
  return { handle: content['status']?.snapshotHandle, bytes: Number(content['status']?.restoreSize ?? 0) };
}

/** Binds claims to volumes, makes empty disks for claims of a known class, and lets volumes go. */
export function runBinder(view: View): { stop(): void } {
  const { api, clock, cloud } = view;
  const claims = workQueue(clock, { delayMs: DELAY_MS }, lookAtClaim);
  const volumes = workQueue(clock, { delayMs: DELAY_MS }, lookAtVolume);
  const unboundClaims = (): void => {
    for (const claim of view.of('persistentvolumeclaims').all())
      if (claim['status']?.phase !== 'Bound') claims.add(keyOf(claim));
  };
  view.on('persistentvolumeclaims', ({ object }) => {
    claims.add(keyOf(object));
    if (object['spec']?.volumeName) volumes.add(`/${object['spec'].volumeName}`);
  });
  view.on('persistentvolumes', ({ object }) => {
    volumes.add(keyOf(object));
    unboundClaims();
  });
  view.on('storageclasses', unboundClaims);

  const classOf = (claim: TwinObject): TwinObject | undefined => {
    const named = claim['spec'].storageClassName;
    if (named === '') return undefined;
    if (named !== undefined && named !== null) return view.of('storageclasses').get(undefined, named);
    return view
      .of('storageclasses')
      .all()
      .find((it) => it.metadata.annotations?.[DEFAULT_CLASS] === 'true');
  };

  const patchVolume = async (name: string, patch: Json): Promise<TwinObject> => {
    const patched = await api.mergePatch('v1/persistentvolumes', undefined, name, patch);
    view.of('persistentvolumes').note(patched);
    return patched;
  };

  const bind = async (claim: TwinObject, volume: TwinObject, byController: boolean): Promise<void> => {
    const { namespace, name, uid } = claim.metadata;
    if (volume['spec'].claimRef?.uid !== uid) {
      const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid };
      const annotations = volume['spec'].claimRef ? {} : { annotations: { [BOUND_BY_CONTROLLER]: 'yes' } };
      volume = await patchVolume(volume.metadata.name, { metadata: annotations, spec: { claimRef } });
    }
    await writeStatus(view, 'persistentvolumes', volume, { phase: 'Bound', reason: undefined, message: undefined });
    if (
      claim['spec'].volumeName !== volume.metadata.name ||
      !claim.metadata.annotations?.['pv.kubernetes.io/bind-completed']
    ) {
      const annotations = {
        'pv.kubernetes.io/bind-completed': 'yes',
        ...(byController ? { [BOUND_BY_CONTROLLER]: 'yes' } : {}),
      };
      claim = await api.mergePatch('v1/persistentvolumeclaims', namespace, name, {
        metadata: { annotations },
        spec: { volumeName: volume.metadata.name },
      });
      view.of('persistentvolumeclaims').note(claim);
    }
    const capacity = { storage: volume['spec'].capacity?.storage ?? claim['spec'].resources?.requests?.storage };
    await writeStatus(view, 'persistentvolumeclaims', claim, {
      phase: 'Bound',
      accessModes: volume['spec'].accessModes,
      capacity,
    });
  };

  async function lookAtClaim(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const claim = view.of('persistentvolumeclaims').get(namespace, name);
    if (!claim || isGoing(claim)) return;
    const all = view
      .of('persistentvolumes')
      .all()
      .filter((it) => !isGoing(it));
    const wanted = claim['spec'].volumeName;
    if (wanted) {
      const volume = view.of('persistentvolumes').get(undefined, wanted);
      if (volume && (!volume['spec'].claimRef || isFor(volume['spec'].claimRef, claim)))
        return bind(claim, volume, false);
      const lost = !volume && claim.metadata.annotations?.['pv.kubernetes.io/bind-completed'];
      await writeStatus(view, 'persistentvolumeclaims', claim, { phase: lost ? 'Lost' : 'Pending' });
      return;
    }
    const reserved = all.find((it) => it['spec'].claimRef && isFor(it['spec'].claimRef, claim));
    if (reserved) return bind(claim, reserved, true);
    await writeStatus(view, 'persistentvolumeclaims', claim, { phase: 'Pending' });
    const storageClass = classOf(claim);
    const node = claim.metadata.annotations?.['volume.kubernetes.io/selected-node'];
    if (storageClass?.['volumeBindingMode'] === 'WaitForFirstConsumer' && !node) return;
    const free = all
      .filter((it) => fits(it, claim, storageClass, node))
      .toSorted((a, b) => quantity(a['spec'].capacity.storage) - quantity(b['spec'].capacity.storage));
    if (free[0]) return bind(claim, free[0], true);
    if (storageClass) return provision(claim, storageClass, node);
    const named = claim['spec'].storageClassName;
    if (named)
      await view.record(claim, 'Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${named}" not found`);
    else
      await view.record(
        claim,
        'Normal',
        'FailedBinding',
        'no persistent volumes available for this claim and no storage class is set',
      );
  }

  const fits = (
    volume: TwinObject,
    claim: TwinObject,
    storageClass: TwinObject | undefined,
    nodeName: string | undefined,
  ): boolean => {
    const { spec } = volume;
    if (spec.claimRef || !hasModes(volume, claim)) return false;
    if ((spec.storageClassName ?? '') !== (claim['spec'].storageClassName ?? storageClass?.metadata.name ?? ''))
      return false;
    if (quantity(spec.capacity?.storage ?? 0) < quantity(claim['spec'].resources?.requests?.storage ?? 0)) return false;
    const node = nodeName ? view.of('nodes').get(undefined, nodeName) : undefined;
    return !node || matchesNodeSelector(spec.nodeAffinity?.required, node);
  };

  /** What a claim's disk is made of: nothing, or a snapshot that fits in. @source kubernetes-csi/external-provisioner:pkg/controller/controller.go */
  const sourceOf = async (claim: TwinObject, storage: string): Promise<Record<string, string>> => {
    const { apiGroup, kind, name } = claim['spec'].dataSource ?? {};
    if (apiGroup !== 'snapshot.storage.k8s.io' || kind !== 'VolumeSnapshot') return {};
    const { handle, bytes } = await handleFor(api, claim.metadata.namespace, name);
    if (quantity(storage) < bytes)
      throw new NotNow(
        `requested volume size ${quantity(storage)} is less than the size ${bytes} for the source snapshot ${name}`,
      );
    return { SnapshotId: handle };
  };

  /** The CSI provisioner for Alibaba's disks; classes of other provisioners wait for somebody else. */
  const provision = async (
    claim: TwinObject,
    storageClass: TwinObject,
    nodeName: string | undefined,
  ): Promise<void> => {
    if (storageClass['provisioner'] !== DISK_DRIVER || !cloud) {
      const message = `waiting for a volume to be created, either by external provisioner "${storageClass['provisioner']}" or manually created by system administrator`;
      return view.record(claim, 'Normal', 'ExternalProvisioning', message);
    }
    const parameters: Record<string, string> = storageClass['parameters'] ?? {};
    const nodes = view.of('nodes').all();
    const node = nodes.find((it) => it.metadata.name === nodeName) ?? nodes[0];
    const zone = parameters['zoneId']?.split(',')[0] ?? (node ? zoneOf(node) : '');
    const categories = (parameters['type'] ?? 'cloud_essd').split(',');
    const storage = claim['spec'].resources?.requests?.storage ?? '20Gi';
    const { namespace, name, uid } = claim.metadata;
    let made: Json;
    try {
      const from = await sourceOf(claim, storage);
      made = await cloud.call('Ecs', 'CreateDisk', {
        RegionId: cloud.region,
        ZoneId: zone,
        DiskCategory: categories[0]!,
        Size: String(Math.max(1, Math.ceil(quantity(storage) / GIB))),
        DiskName: `pvc-${uid}`,
        ClientToken: uid,
        'Tag.1.Key': 'k8s.aliyun.com',
        'Tag.1.Value': 'true',
        'Tag.2.Key': 'createdby',
        'Tag.2.Value': 'alibabacloud-csi-plugin',
        ...from,
        ...(parameters['encrypted'] === 'true'
          ? { Encrypted: 'true', ...(parameters['kmsKeyId'] ? { KMSKeyId: parameters['kmsKeyId'] } : {}) }
          : {}),
        ...(parameters['performanceLevel'] && categories[0] === 'cloud_essd'
          ? { PerformanceLevel: parameters['performanceLevel'] }
          : {}),
      });
    } catch (error) {
      if (!isWorthRetrying(error)) throw error;
      await view.record(
        claim,
        'Warning',
        'ProvisioningFailed',
        `failed to provision volume with StorageClass "${storageClass.metadata.name}": ${error.message}`,
      );
      throw error;
    }
    const volume = await createOnce(view, 'persistentvolumes', {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: made.DiskId, annotations: { [PROVISIONED_BY]: DISK_DRIVER } },
      spec: {
        capacity: { storage },
        accessModes: claim['spec'].accessModes ?? ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: storageClass['reclaimPolicy'] ?? 'Delete',
        storageClassName: storageClass.metadata.name,
        volumeMode: claim['spec'].volumeMode ?? 'Filesystem',
        csi: {
          driver: DISK_DRIVER,
          volumeHandle: made.DiskId,
          fsType: parameters['fsType'] ?? 'ext4',
          volumeAttributes: { type: categories[0] },
        },
        nodeAffinity: {
          required: { nodeSelectorTerms: [{ matchExpressions: [{ key: ZONE_KEY, operator: 'In', values: [zone] }] }] },
        },
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      },
    });
    await bind(claim, volume, true);
  };

  async function lookAtVolume(key: string): Promise<void> {
    const { name } = splitKey(key);
    const volume = view.of('persistentvolumes').get(undefined, name);
    if (!volume || isGoing(volume)) return;
    const reference = volume['spec'].claimRef;
    const claim = reference && view.of('persistentvolumeclaims').get(reference.namespace, reference.name);
    const isReleased = reference?.uid && claim?.metadata.uid !== reference.uid;
    if (!isReleased) {
      if (!volume['status']?.phase || volume['status'].phase === 'Pending')
        await writeStatus(view, 'persistentvolumes', volume, { phase: 'Available' });
      if (reference && claim && claim['status']?.phase !== 'Bound') claims.add(keyOf(claim));
      return;
    }
    await writeStatus(view, 'persistentvolumes', volume, { phase: 'Released' });
    const isOurs =
      volume.metadata.annotations?.[PROVISIONED_BY] === DISK_DRIVER && volume['spec'].csi?.driver === DISK_DRIVER;
    if (volume['spec'].persistentVolumeReclaimPolicy !== 'Delete' || !isOurs || !cloud) return;
    const attached = view
      .of('volumeattachments')
      .all()
      .some((it) => it['spec'].source.persistentVolumeName === name);
    if (attached) throw new NotNow(`${name} is still attached`);
    await cloud.call('Ecs', 'DeleteDisk', { RegionId: cloud.region, DiskId: volume['spec'].csi.volumeHandle });
    await api.delete('v1/persistentvolumes', undefined, name);
  }

  return {
    stop() {
      claims.stop();
      volumes.stop();
    },
  };
}

/** What a kubelet asks before it starts a pod. */
export interface Attachments {
  /** @returns why the pod has to wait for a disk, or undefined when all its disks are there */
  ready(pod: TwinObject, node: TwinObject): Promise<string | undefined>;
  stop(): void;
}

const diskOf = (volume: TwinObject | undefined): string | undefined =>
  volume?.['spec'].csi?.driver === DISK_DRIVER ? volume['spec'].csi.volumeHandle : undefined;

/** Attaches disks to the instances of nodes while a pod there uses them. One disk is attached in one place. */
export function runAttacher(view: View): Attachments {
  const { api, clock, cloud } = view;
  const queue = workQueue(
    clock,
    { delayMs: () => view.options.attachMs, retryMs: { first: 2_000, last: 60_000 } },
    detachUnused,
  );
  view.on('pods', ({ type, object }) => {
    if (type === 'DELETED' || !isActive(object))
      for (const volume of volumesOf(object)) queue.add(`/${volume.metadata.name}`);
  });

  const volumesOf = (pod: TwinObject): TwinObject[] =>
    claimsOf(pod).flatMap((name) => {
      const claim = view.of('persistentvolumeclaims').get(pod.metadata.namespace, name);
      const volume =
        claim?.['spec'].volumeName && view.of('persistentvolumes').get(undefined, claim['spec'].volumeName);
      return volume ? [volume] : [];
    });

  const attachmentOf = (volume: TwinObject, node: string): TwinObject | undefined =>
    view
      .of('volumeattachments')
      .all()
      .find((it) => it['spec'].source.persistentVolumeName === volume.metadata.name && it['spec'].nodeName === node);

  async function detachUnused(key: string): Promise<void> {
    const { name } = splitKey(key);
    const volume = view.of('persistentvolumes').get(undefined, name);
    for (const attachment of view
      .of('volumeattachments')
      .all()
      .filter((it) => it['spec'].source.persistentVolumeName === name)) {
      const node = attachment['spec'].nodeName;
      const used = view
        .of('pods')
        .all()
        .some(
          (it) =>
            it['spec']?.nodeName === node &&
            it['status']?.phase !== 'Succeeded' &&
            it['status']?.phase !== 'Failed' &&
            volumesOf(it).some((one) => one.metadata.name === name),
        );
      if (used) continue;
      const disk = attachment.metadata.annotations?.[DISK_ANNOTATION] ?? diskOf(volume);
      if (attachment['status']?.attached && disk) cloud?.detachDisk(disk);
      await api.delete('storage.k8s.io/v1/volumeattachments', undefined, attachment.metadata.name);
    }
  }

  const ensureAttached = async (pod: TwinObject, volume: TwinObject, node: TwinObject): Promise<string | undefined> => {
    const disk = diskOf(volume);
    const instance = instanceOf(node);
    if (disk === undefined || instance === undefined || !cloud) return undefined;
    const nodeName: string = node.metadata.name;
    const known = attachmentOf(volume, nodeName);
    if (known?.['status']?.attached) return undefined;
    const name = `csi-${hash32(`${volume.metadata.name}/${nodeName}`).toString(16).padStart(8, '0')}`;
    const attachment =
      known ??
      (await createOnce(view, 'volumeattachments', {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'VolumeAttachment',
        metadata: { name, annotations: { [DISK_ANNOTATION]: disk } },
        spec: { attacher: DISK_DRIVER, nodeName, source: { persistentVolumeName: volume.metadata.name } },
      }));
    try {
      cloud.attachDisk(disk, instance);
    } catch (error) {
      if (!isWorthRetrying(error)) throw error;
      const message = `AttachVolume.Attach failed for volume "${volume.metadata.name}" : ${error.message}`;
      await writeStatus(view, 'volumeattachments', attachment, {
        attached: false,
        attachError: { message: error.message },
      });
      await view.record(pod, 'Warning', 'FailedAttachVolume', message);
      return message;
    }
    await writeStatus(view, 'volumeattachments', attachment, { attached: true, attachError: undefined });
    await view.record(
      pod,
      'Normal',
      'SuccessfulAttachVolume',
      `AttachVolume.Attach succeeded for volume "${volume.metadata.name}"`,
    );
    return undefined;
  };

  return {
    async ready(pod, node) {
      for (const volume of volumesOf(pod)) {
        const why = await ensureAttached(pod, volume, node);
        if (why !== undefined) return why;
      }
      return undefined;
    },
    stop: () => queue.stop(),
  };
}
