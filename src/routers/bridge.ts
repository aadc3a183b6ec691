import { MigrateError } from '../errors.js';
import { canonical, splitPath } from '../objects.js';
import type { Cluster, KubeObject, Right, World } from '../ports.js';
import type { Route } from '../router.js';
import { serviceOn } from './services.js';
import { unfit } from './weighted.js';

/**
 * How proxies in the source's cluster reach the target: a Service without selector there, whose only endpoint is the address at which the
 * target answers. Its endpoint is written as Endpoints, not as an EndpointSlice: Kubernetes mirrors those to slices (from 1.19), and
 * proxies from before slices read nothing else. An ExternalName would need a name, is looked up by each proxy in its own way, and is not
 * taken by implementations of the Gateway API.
 *
 * @source kubernetes/kubernetes:pkg/controller/endpointslicemirroring; kubernetes/ingress-nginx:Changelog.md (slices from 1.4.0);
 *         kubernetes-sigs/gateway-api:apis/v1/object_reference_types.go (ExternalName)
 */
export interface Bridge {
  /** of the Service in the source's cluster, in the namespace of the route's */
  name: string;
  /** at which the target answers */
  address: string;
  /** of all ports of the Service; that port of it when it isn't given */
  port?: number;
}

export interface BridgedRoute extends Route {
  /** `address` or `address:port`; that of the target's Service when it isn't given */
  address?: string;
}

const LABELS = { 'app.kubernetes.io/managed-by': 'migrate' };

export const bridgeName = ({ service }: Route): string => `${splitPath(service).name}-migrate`;

export const BRIDGE_RIGHTS: Right[] = ['services', 'endpoints'].flatMap((resource) =>
  ['get', 'create', 'patch', 'delete'].map((verb) => ({ verb, group: '', resource })),
);

/**
 * Where the target answers, as the playbook says or its Service shows.
 * @throws MigrateError ROUTE_UNFIT  it has no address, or something else has the bridge's name
 */
export async function planBridge(route: BridgedRoute, world: World): Promise<Bridge> {
  const name = bridgeName(route);
  const known = await world.source.get({ kind: 'Service', namespace: splitPath(route.service).namespace, name });
  if (known && !isOurs(known)) {
    throw unfit(
      `The source has a Service ${known.metadata.namespace}/${name} already.`,
      'That name is needed for the way to the target, and the Service is not one that migrate made.',
      'Rename it, or remove it if nothing uses it.',
    );
  }
  const said = route.address ?? addressOf(await serviceOn(world.target, route));
  if (said === undefined) {
    throw unfit(
      `Service ${route.service} of the target has no address that the source's proxies could send to.`,
      "They reach the target at a load balancer's address: pods change theirs, and nothing in the source would follow.",
      'Make it a LoadBalancer Service with an internal address, or say in the playbook where the target answers: `address: 10.0.0.9:80`.',
    );
  }
  const [, address = said, port] = /^([^:]+):(\d+)$/.exec(said) ?? [];
  return { name, address, ...(port !== undefined && { port: Number(port) }) };
}

function addressOf(service: KubeObject): string | undefined {
  const [first] = (service['status']?.loadBalancer?.ingress ?? []) as { ip?: string }[];
  return first?.ip;
}

const isOurs = ({ metadata }: KubeObject): boolean =>
  metadata.labels?.['app.kubernetes.io/managed-by'] === LABELS['app.kubernetes.io/managed-by'];

/** Safe to call again. */
export async function buildBridge(route: Route, bridge: Bridge, { source }: World): Promise<void> {
  const { namespace } = splitPath(route.service);
  const from = await serviceOn(source, route);
  const metadata = { name: bridge.name, namespace, labels: LABELS };
  const ports = ((from['spec']?.ports ?? []) as ServicePort[]).map((it) => named(it));
  const spec = { ports: ports.map((it) => ({ ...it, targetPort: bridge.port ?? it.port })) };
  const subsets = [
    { addresses: [{ ip: bridge.address }], ports: ports.map((it) => ({ ...it, port: bridge.port ?? it.port })) },
  ];
  const ref = { namespace, name: bridge.name };
  if (!(await source.get({ kind: 'Service', ...ref })))
    await createOnce(source, { apiVersion: 'v1', kind: 'Service', metadata, spec });
  const endpoints = await source.get({ kind: 'Endpoints', ...ref });
  if (!endpoints) await createOnce(source, { apiVersion: 'v1', kind: 'Endpoints', metadata, subsets });
  else if (canonical(endpoints['subsets']) !== canonical(subsets))
    await source.patch({ kind: 'Endpoints', ...ref }, { subsets });
}

interface ServicePort {
  name?: string;
  port: number;
  protocol?: string;
}

const named = ({ name, port, protocol = 'TCP' }: ServicePort): ServicePort => ({
  ...(name !== undefined && { name }),
  port,
  protocol,
});

/** Takes it away again, if it is ours. */
export async function removeBridge(route: Route, { source }: World): Promise<void> {
  const { namespace } = splitPath(route.service);
  for (const kind of ['Service', 'Endpoints']) {
    const ref = { kind, namespace, name: bridgeName(route) };
    const found = await source.get(ref);
    if (found && isOurs(found)) await source.delete(ref, uidOf(found));
  }
}

export const uidOf = ({ metadata: { uid } }: KubeObject): { uid?: string } => (uid === undefined ? {} : { uid });

/** Creates; one that is there already was made by an earlier try. */
export async function createOnce(cluster: Cluster, object: KubeObject): Promise<void> {
  try {
    await cluster.create(object);
  } catch (error) {
    if (!(error instanceof MigrateError) || error.code !== 'KUBE_EXISTS') throw error;
  }
}
