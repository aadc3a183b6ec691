import { fsmResource } from '../controllers/fsm.js';
import { follow } from '../controllers/follow.js';
import type { Front, FrontWorld } from '../fronts.js';
import type { Reached } from '../reach.js';
import type { Json, MeshClients, ServiceClients, TwinObject } from '../types.js';
import { followServices, forward } from './services.js';

/** Pods of one cluster that call a Service of it by name, as kube-proxy sends them: evenly over the ready endpoints of all its slices. */
export async function serviceFront(
  { cluster, service, port }: ServiceClients,
  { apis, dial, random }: FrontWorld,
): Promise<Front> {
  const [namespace = '', name = ''] = service.split('/');
  const services = await followServices(apis[cluster]);
  return {
    send(turn) {
      const endpoints = services.endpoints(namespace, name, port) ?? [];
      return forward(
        dial,
        cluster,
        endpoints,
        endpoints.length === 0 ? turn : Math.floor(random() * endpoints.length),
        1,
      );
    },
    stop: () => services.stop(),
  };
}

/**
 * Pods with Flomesh's sidecar: own endpoints and, by the caller's GlobalTrafficPolicy, the gateways of other clusters.
 *
 * Under ActiveActive each own endpoint weighs 100 and each other cluster what its target says; 0 or none there becomes 100. A list of
 * targets leaves out all others. Locality and FailOver send away only what has no own endpoint.
 *
 * @source flomesh-io/fsm:pkg/sidecar/v1/providers/pipy/repo/policy.go (rebalancedOutboundClusters), util.go
 */
export async function meshFront(
  { cluster, service, port }: MeshClients,
  { apis, dial, random }: FrontWorld,
): Promise<Front> {
  const [namespace = '', name = ''] = service.split('/');
  const api = apis[cluster];
  const elsewhere = cluster === 'source' ? 'target' : 'source';
  const own = await followServices(api);
  const others = await followServices(apis[elsewhere]);
  const imports = await follow(api, fsmResource(api, 'serviceimports'));
  const policies = await follow(api, fsmResource(api, 'globaltrafficpolicies'));

  return {
    send(turn): Reached {
      const local = own.endpoints(namespace, name, port) ?? [];
      const remote = remoteWeight(local.length, imports.get(namespace, name), policies.get(namespace, name));
      const total = 100 * local.length + remote;
      if (total === 0) return { failed: `${service} has no endpoint in any cluster` };
      const drawn = random() * total;
      // The gateway of the other cluster is a proxy of its own: it sends on to its own endpoints alone.
      if (drawn < remote) return forward(dial, elsewhere, others.endpoints(namespace, name, port) ?? [], turn, 1);
      return forward(dial, cluster, local, turn, 1);
    },
    stop() {
      for (const it of [own, others, imports, policies]) it.stop();
    },
  };
}

function remoteWeight(local: number, imported: TwinObject | undefined, policy: TwinObject | undefined): number {
  const endpoints = (imported?.['spec']?.ports?.[0]?.endpoints ?? []) as Json[];
  const { lbType = 'Locality', targets = [] } = (policy?.['spec'] ?? {}) as { lbType?: string; targets?: Json[] };
  const reached =
    targets.length === 0
      ? endpoints
      : endpoints.filter((it) => targets.some((one) => one.clusterKey === it.clusterKey));
  if (lbType === 'ActiveActive')
    return reached.reduce(
      (sum: number, it) => sum + (Number(targets.find((one) => one.clusterKey === it.clusterKey)?.weight ?? 0) || 100),
      0,
    );
  return local > 0 ? 0 : 100 * endpoints.length;
}
