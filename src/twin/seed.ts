import type { ClusterSeed, Json, TwinObject } from './types.js';

/** Brings a captured inventory into the form of a fresh start: what controllers make again is left out. */

/** Kinds that the twin's controllers make, or that only say what happened. */
const MADE_BY_CONTROLLERS = new Set([
  'ReplicaSet',
  'ControllerRevision',
  'EndpointSlice',
  'Event',
  'Lease',
  'VolumeAttachment',
  'PodMetrics',
  'NodeMetrics',
  'ComponentStatus',
]);

const SET_BY_SERVER = [
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'generation',
  'selfLink',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
];

const isOwned = (object: TwinObject): boolean =>
  (object.metadata.ownerReferences ?? []).some((it: Json) => it.controller);

const isHandMadeSlice = (object: TwinObject): boolean =>
  object.kind === 'EndpointSlice' &&
  object.metadata.labels?.['endpointslice.kubernetes.io/managed-by'] !== 'endpointslice-controller.k8s.io';

/** @returns all objects of a seed as one list, without those that controllers make */
export function seedObjects({ objects }: ClusterSeed): TwinObject[] {
  const all = Array.isArray(objects) ? objects : Object.values(objects).flat();
  const services = new Map(
    all.filter((it) => it.kind === 'Service').map((it) => [`${it.metadata.namespace}/${it.metadata.name}`, it]),
  );
  const isRemade = (object: TwinObject): boolean => {
    if (object.kind === 'Endpoints') {
      const service = services.get(`${object.metadata.namespace}/${object.metadata.name}`);
      return !service || Boolean(service['spec']?.selector);
    }
    return MADE_BY_CONTROLLERS.has(object.kind) && !isHandMadeSlice(object);
  };
  return all.filter((it) => !isOwned(it) && !isRemade(it)).map(fresh);
}

function fresh(object: TwinObject): TwinObject {
  const copy = structuredClone(object);
  const { uid } = copy.metadata;
  for (const field of SET_BY_SERVER) delete copy.metadata[field];
  // Its controller finds the load balancer that it made by the Service's uid.
  if (copy.kind === 'Service' && uid !== undefined) copy.metadata.uid = uid;
  // With it the controller would take for done what a seed can't say, e.g. the descriptions of listeners.
  if (copy.kind === 'Service') delete copy.metadata.labels?.['service.beta.kubernetes.io/hash'];
  if (copy.kind !== 'Node') delete copy['status'];
  switch (copy.kind) {
    case 'Pod':
      delete copy['spec'].nodeName;
      break;
    case 'PersistentVolume':
      // The claim gets a uid of its own here.
      delete copy['spec'].claimRef?.uid;
      delete copy['spec'].claimRef?.resourceVersion;
      break;
    case 'Job':
      if (!copy['spec'].manualSelector) {
        delete copy['spec'].selector;
        for (const key of [
          'controller-uid',
          'job-name',
          'batch.kubernetes.io/controller-uid',
          'batch.kubernetes.io/job-name',
        ])
          delete copy['spec'].template.metadata?.labels?.[key];
      }
      break;
  }
  return copy;
}

export const isNode = (object: TwinObject): boolean => object.kind === 'Node';

/** Region of a cluster as its nodes say; undefined without nodes. */
export function regionOf(objects: readonly TwinObject[]): string | undefined {
  for (const node of objects.filter(isNode)) {
    const labels = node.metadata.labels ?? {};
    const named = labels['topology.kubernetes.io/region'] ?? labels['failure-domain.beta.kubernetes.io/region'];
    if (named) return named;
    const id = String(node['spec']?.providerID ?? '').replace(/^alicloud:\/\//, '');
    if (id.includes('.i-')) return id.slice(0, id.indexOf('.i-'));
  }
  return undefined;
}

/** VPC as the controller manager's configuration in the cluster names it. */
export function vpcOf(objects: readonly TwinObject[]): string | undefined {
  const config = objects.find(
    (it) => it.kind === 'ConfigMap' && it.metadata.namespace === 'kube-system' && it.metadata.name === 'cloud-config',
  );
  for (const text of Object.values(config?.['data'] ?? {})) {
    const found = /"?vpcid"?\s*:\s*"?([\w-]+)/i.exec(String(text));
    if (found) return found[1];
  }
  return undefined;
}
