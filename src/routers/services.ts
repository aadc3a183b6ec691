import { MigrateError } from '../errors.js';
import { readyEndpoints, splitPath } from '../objects.js';
import type { Cluster, KubeObject, Right, Side, World } from '../ports.js';
import type { Route } from '../router.js';

/** The two Services of a route, one a side, under one name. */

export async function serviceOn(cluster: Cluster, route: Route): Promise<KubeObject> {
  const found = await cluster.get({ kind: 'Service', ...splitPath(route.service) });
  if (found) return found;
  throw new MigrateError('SERVICE_MISSING', {
    what: `The ${cluster.side} has no Service ${route.service}.`,
    why: 'Its share can only be moved between two Services of that name.',
    fix:
      cluster.side === 'target'
        ? 'Bring it first: `migrate run --phase data`, or apply it yourself.'
        : 'Check the namespace and name in the playbook.',
  });
}

export const slicesOf = (cluster: Cluster, route: Route) => {
  const { namespace, name } = splitPath(route.service);
  return cluster.list('EndpointSlice.discovery.k8s.io', { namespace, labels: `kubernetes.io/service-name=${name}` });
};

/** Ready, not terminating pods behind the Service on that side. */
export const readyPods = async (route: Route, side: Side, world: World): Promise<number> =>
  readyEndpoints(await slicesOf(world[side], route)).addresses.length;

/** To see who stands behind it. */
export const SLICE_RIGHTS: Right[] = [
  { verb: 'get', group: '', resource: 'services' },
  { verb: 'list', group: 'discovery.k8s.io', resource: 'endpointslices' },
];

export const SERVICE_RIGHTS: Right[] = [...SLICE_RIGHTS, { verb: 'patch', group: '', resource: 'services' }];
