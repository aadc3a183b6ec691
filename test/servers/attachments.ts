import { follow } from '../../src/twin/controllers/follow.js';
import { instanceOf, zoneOf } from '../../src/twin/controllers/pods.js';
import { isWorthRetrying, workQueue } from '../../src/twin/controllers/queue.js';
import type { ClusterApi, Json, TwinCloud, TwinClock, TwinObject } from '../../src/twin/types.js';

/** What ties a cluster's nodes to the cloud and KWOK does not have: the network plug-in's interfaces and the disk driver's attacher. */

/**
 * An elastic network interface for each pod that has an address, as long as the pod has it (Terway).
 *
 * @returns how to stop
 */
export async function plugInterfaces(api: ClusterApi, cloud: TwinCloud): Promise<() => void> {
  const nodes = await follow(api, 'v1/nodes');
  const pods = await follow(api, 'v1/pods', ({ type, object }, before) => {
    const ip: string | undefined = object['status']?.podIP ?? before?.['status']?.podIP;
    const node = nodes.get(undefined, object['spec']?.nodeName ?? '');
    const instance = node && instanceOf(node);
    if (ip === undefined || !node || instance === undefined || object['spec'].hostNetwork) return;
    if (type === 'DELETED') cloud.unplugInterface(ip);
    else cloud.plugInterface(ip, instance, zoneOf(node));
  });
  return () => {
    pods.stop();
    nodes.stop();
  };
}

const ATTACHMENTS = 'storage.k8s.io/v1/volumeattachments';
const DRIVER = 'diskplugin.csi.alibabacloud.com';
const FINALIZER = `external-attacher/${DRIVER.replaceAll('.', '-')}`;
const DISK = 'csi.alpha.kubernetes.io/volume-handle';

/**
 * The external attacher with the disk driver behind it: what the cluster's own attach/detach controller asks for by VolumeAttachments is
 * done to the cloud's disks, and said in their status.
 *
 * @returns how to stop
 * @source kubernetes-csi/external-attacher:pkg/controller/csi_handler.go (finalizer, status, order)
 */
export async function attachDisks(api: ClusterApi, cloud: TwinCloud, clock: TwinClock): Promise<() => void> {
  const queue = workQueue(clock, { delayMs: 20, retryMs: { first: 1000, last: 30_000 } }, look);
  const attachments = await follow(api, ATTACHMENTS, ({ object }) => queue.add(object.metadata.name));

  async function look(name: string): Promise<void> {
    const seen = attachments.get(undefined, name);
    if (!seen || seen['spec'].attacher !== DRIVER) return;
    if (seen.metadata.deletionTimestamp) await detach(seen);
    else if (!seen['status']?.attached) await attach(seen);
  }

  const patch = async (name: string, change: Json, part?: 'status'): Promise<void> => {
    attachments.note(await api.mergePatch(ATTACHMENTS, undefined, name, change, part));
  };

  async function attach({ metadata, spec }: TwinObject): Promise<void> {
    const volume = await api.get('v1/persistentvolumes', undefined, spec.source.persistentVolumeName);
    const node = await api.get('v1/nodes', undefined, spec.nodeName);
    const instance = node && instanceOf(node);
    const disk: string | undefined = volume?.['spec'].csi?.volumeHandle;
    if (disk === undefined || instance === undefined) return;
    // The finalizer first: what is attached must not be forgotten.
    await patch(metadata.name, { metadata: { finalizers: [FINALIZER], annotations: { [DISK]: disk } } });
    try {
      cloud.attachDisk(disk, instance);
    } catch (error) {
      if (!isWorthRetrying(error)) throw error;
      await patch(metadata.name, { status: { attached: false, attachError: { message: error.message } } }, 'status');
      throw error;
    }
    await patch(metadata.name, { status: { attached: true, attachError: null } }, 'status');
  }

  async function detach({ metadata }: TwinObject): Promise<void> {
    if (!metadata.finalizers?.includes(FINALIZER)) return;
    const disk: string | undefined = metadata.annotations?.[DISK];
    if (disk !== undefined) cloud.detachDisk(disk);
    await api.mergePatch(ATTACHMENTS, undefined, metadata.name, { metadata: { finalizers: null } });
  }

  return () => {
    queue.stop();
    attachments.stop();
  };
}
