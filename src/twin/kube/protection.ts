import type { TwinObject } from '../types.js';
import { cloneJson } from './json.js';
import type { Served } from './kinds.js';
import type { Store } from './store.js';

const NOTICE_MS = 100;
const CLAIM_FINALIZER = 'kubernetes.io/pvc-protection';
const VOLUME_FINALIZER = 'kubernetes.io/pv-protection';

const claimNames = (pod: TwinObject): string[] =>
  (pod['spec']?.volumes ?? []).flatMap((volume: TwinObject) => volume['persistentVolumeClaim']?.claimName ?? []);

const isOver = (pod: TwinObject): boolean => ['Succeeded', 'Failed'].includes(pod['status']?.phase);

/**
 * A claim that a pod uses, and a volume that is bound, outlive their deletion until that ends.
 *
 * @source kubernetes/kubernetes:pkg/controller/volume/pvcprotection, pkg/controller/volume/pvprotection
 */
export function protectVolumes(store: Store): void {
  const drop = (served: Served, object: TwinObject, finalizer: string): void => {
    const { namespace, name, finalizers } = object.metadata;
    const metadata = { ...cloneJson(object.metadata), finalizers: finalizers.filter((it: string) => it !== finalizer) };
    store.replace(served, namespace, name, (current) => ({ ...current, metadata }));
  };

  const lookAtClaim = (namespace: string, name: string): void => {
    const served = store.served('v1/persistentvolumeclaims');
    const claim = store.find(served, namespace, name);
    if (!claim?.metadata.deletionTimestamp || !claim.metadata.finalizers?.includes(CLAIM_FINALIZER)) return;
    const pods = store.list(store.served('v1/pods'), namespace);
    if (!pods.some((pod) => !isOver(pod) && claimNames(pod).includes(name))) drop(served, claim, CLAIM_FINALIZER);
  };

  const lookAtVolume = (name: string): void => {
    const served = store.served('v1/persistentvolumes');
    const volume = store.find(served, undefined, name);
    if (!volume?.metadata.deletionTimestamp || !volume.metadata.finalizers?.includes(VOLUME_FINALIZER)) return;
    if (volume['status']?.phase !== 'Bound') drop(served, volume, VOLUME_FINALIZER);
  };

  store.observe(({ type, kind, object }) => {
    const { namespace, name, deletionTimestamp } = object.metadata;
    if (kind.key === '/pods' && (type === 'DELETED' || isOver(object))) {
      const claims = claimNames(object);
      if (claims.length > 0)
        store.clock.after(NOTICE_MS, () => claims.forEach((claim) => lookAtClaim(namespace, claim)));
    }
    if (type !== 'MODIFIED' || !deletionTimestamp) return;
    if (kind.key === '/persistentvolumeclaims') store.clock.after(NOTICE_MS, () => lookAtClaim(namespace, name));
    if (kind.key === '/persistentvolumes') store.clock.after(NOTICE_MS, () => lookAtVolume(name));
  });
}
