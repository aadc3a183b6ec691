import type { ClusterInventory } from './inventory.js';
import { splitKind } from './objects.js';
import type { Kind, KubeObject } from './ports.js';

/**
 * Kinds that never travel: what controllers make again, what belongs to one cluster, and volumes, which we make ourselves.
 * @source vmware-tanzu/velero:pkg/restore/restore.go (nonRestorableResources) and what users lost to copied children
 */
export const NEVER_TRAVELS: ReadonlySet<Kind> = new Set([
  'Pod',
  'ReplicaSet.apps',
  'ControllerRevision.apps',
  'Endpoints',
  'EndpointSlice.discovery.k8s.io',
  'Event',
  'Event.events.k8s.io',
  'Lease.coordination.k8s.io',
  'Job.batch',
  'PersistentVolume',
  'PodMetrics.metrics.k8s.io',
  'PodTemplate',
  'CSIStorageCapacity.storage.k8s.io',
  // They name a snapshot of the old disk.
  'VolumeSnapshot.snapshot.storage.k8s.io',
]);

/** The same for a backup's and a restore's spec, as `resource.group`. */
export const EXCLUDED_RESOURCES = [
  'pods',
  'replicasets.apps',
  'controllerrevisions.apps',
  'endpoints',
  'endpointslices.discovery.k8s.io',
  'events',
  'events.events.k8s.io',
  'leases.coordination.k8s.io',
  'jobs.batch',
  'persistentvolumes',
  'ingresses.extensions',
  'csistoragecapacities.storage.k8s.io',
  'volumesnapshots.snapshot.storage.k8s.io',
];

/** `Ingress.extensions` where the server shows the same objects as `Ingress.networking.k8s.io` too. */
export const hasTwin = (kind: Kind, side: ClusterInventory): boolean => {
  const { kind: word, group } = splitKind(kind);
  return group === 'extensions' && side.served.some((it) => it.kind === word && it.group !== 'extensions');
};

/** What a restore brings of the kinds that it brings. */
export function travels(kind: Kind, object: KubeObject): boolean {
  const { name, ownerReferences, labels } = object.metadata;
  if (ownerReferences?.some((it) => it.controller)) return false;
  if (labels?.['velero.io/exclude-from-backup'] === 'true') return false;
  if (kind === 'ConfigMap') return name !== 'kube-root-ca.crt';
  if (kind === 'ServiceAccount') return name !== 'default';
  // Signed by the old cluster; the new one has its own.
  if (kind === 'Secret') return object['type'] !== 'kubernetes.io/service-account-token';
  if (kind === 'Service') return !(name === 'kubernetes' && object.metadata.namespace === 'default');
  return true;
}
