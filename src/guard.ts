import { MigrateError } from './errors.js';
import { lbAnnotation, pathOf } from './objects.js';
import type { Cluster, KubeObject, ObjectRef, World } from './ports.js';

/**
 * The clusters as steps get them. No step, whatever it was written for, deletes a Service whose controller would delete the address with it;
 * on the source none takes its type away either, which comes to the same. What a plan has brought to the target itself may go again, and the
 * address that a router has opened there is that router's to close.
 */
export const guarded = (world: World): World => ({
  ...world,
  source: guardedCluster(world.source),
  target: guardedCluster(world.target),
});

function guardedCluster(cluster: Cluster): Cluster {
  const mustStay = (service: KubeObject | undefined, doing: string): void => {
    if (!service || !ownsAddress(service) || isOurs(cluster, service)) return;
    throw new MigrateError('SERVICE_OWNS_ADDRESS', {
      what: `${doing} Service ${pathOf(service.metadata)} on the ${cluster.side} would delete its address ${addressOf(service)}.`,
      why: 'Its controller made the load balancer and deletes it together with the Service; the address can not be had again.',
      fix: 'Take the load balancer over first (`handOver: true` in the playbook), or keep the Service.',
    });
  };
  const keepsType = cluster.side === 'source';

  return Object.assign(Object.create(cluster) as Cluster, {
    async delete(ref, options) {
      if (ref.kind === 'Service') mustStay(await cluster.get(ref), 'Deleting');
      if (ref.kind === 'Namespace')
        for (const it of await cluster.list('Service', { namespace: ref.name }))
          mustStay(it, `Deleting namespace ${ref.name} with`);
      return cluster.delete(ref, options);
    },

    async patch(ref, patch) {
      if (keepsType && takesTypeAway(ref, patch)) mustStay(await cluster.get(ref), 'Changing the type of');
      return cluster.patch(ref, patch);
    },

    async apply(object) {
      if (keepsType && object.kind === 'Service' && object['spec']?.type !== 'LoadBalancer')
        mustStay(await cluster.get({ kind: 'Service', ...nameOf(object) }), 'Changing the type of');
      return cluster.apply(object);
    },
  } satisfies Pick<Cluster, 'delete' | 'patch' | 'apply'>);
}

const nameOf = ({ metadata: { namespace, name } }: KubeObject) => ({
  ...(namespace !== undefined && { namespace }),
  name,
});

function takesTypeAway(ref: ObjectRef, patch: object): boolean {
  if (ref.kind !== 'Service') return false;
  const { type } = (patch as { spec?: { type?: unknown } }).spec ?? {};
  return type !== undefined && type !== 'LoadBalancer';
}

/** Of type LoadBalancer with an address, and nobody has said whose load balancer it is: so it is its controller's. */
function ownsAddress(service: KubeObject): boolean {
  return (
    service['spec']?.type === 'LoadBalancer' && addressOf(service) !== '' && (lbAnnotation(service, 'id') ?? '') === ''
  );
}

function addressOf(service: KubeObject): string {
  const [first] = (service['status']?.loadBalancer?.ingress ?? []) as { ip?: string; hostname?: string }[];
  return first?.ip ?? first?.hostname ?? '';
}

/** Brought to the target by a restore or a step: what is its own making a plan may take away again. */
const isOurs = ({ side }: Cluster, { metadata: { labels = {}, annotations = {} } }: KubeObject): boolean =>
  side === 'target' && ['velero.io/restore-name', 'migrate/plan'].some((key) => key in labels || key in annotations);
