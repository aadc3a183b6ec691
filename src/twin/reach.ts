import { follow, type Followed } from './controllers/follow.js';
import { instanceOf } from './controllers/pods.js';
import { slicesResource } from './controllers/ccm.js';
import { isTrue } from './controllers/objects.js';
import type { ClusterApi, Json, TwinObject } from './types.js';

export type Side = 'source' | 'target';

/** Where a connection to a member of a server group ends: in a pod of a cluster, outside both, or nowhere. */
export type Reached = { side: Side; backend: string } | { side: 'other'; backend: string } | { failed: string };

interface NodePort {
  local: boolean;
  /** names of pods (or addresses) that serve, with their node */
  endpoints: { node: string; name: string; ip: string }[];
}

interface ClusterIndex {
  nodes: Map<string, TwinObject>;
  nodesByIp: Map<string, TwinObject>;
  /** by pod: the share of requests that it answers with an error */
  erring: Map<string, number>;
  nodePorts: Map<number, NodePort>;
  pods: Map<string, TwinObject>;
}

/** What one cluster's nodes and pods answer, from its Nodes, Services, EndpointSlices and Pods. */
async function followCluster(api: ClusterApi): Promise<{ index(): ClusterIndex; changes(): number; stop(): void }> {
  let changes = 0;
  let built: { at: number; index: ClusterIndex } | undefined;
  const touch = (): void => void (changes += 1);
  const nodes = await follow(api, 'v1/nodes', touch);
  const services = await follow(api, 'v1/services', touch);
  const slices = await follow(api, slicesResource(api), touch);
  const pods = await follow(api, 'v1/pods', touch);
  return {
    index() {
      if (built?.at !== changes) built = { at: changes, index: indexOf(nodes, services, slices, pods) };
      return built.index;
    },
    changes: () => changes,
    stop() {
      for (const it of [nodes, services, slices, pods]) it.stop();
    },
  };
}

function indexOf(nodes: Followed, services: Followed, slices: Followed, pods: Followed): ClusterIndex {
  const byInstance = new Map<string, TwinObject>();
  const nodesByIp = new Map<string, TwinObject>();
  for (const node of nodes.all()) {
    const instance = instanceOf(node);
    if (instance !== undefined) byInstance.set(instance, node);
    for (const it of (node['status']?.addresses ?? []) as Json[])
      if (it.type === 'InternalIP') nodesByIp.set(it.address, node);
  }
  const endpoints = new Map<string, NodePort['endpoints']>();
  for (const slice of slices.all()) {
    const key = `${slice.metadata.namespace}/${slice.metadata.labels?.['kubernetes.io/service-name']}`;
    const list = endpoints.get(key) ?? [];
    endpoints.set(key, list);
    for (const it of (slice['endpoints'] ?? []) as Json[])
      if (it.conditions?.ready)
        list.push({
          node: it.nodeName ?? it.topology?.['kubernetes.io/hostname'] ?? '',
          name: it.targetRef?.name ?? it.addresses[0],
          ip: it.addresses[0],
        });
  }
  const nodePorts = new Map<number, NodePort>();
  for (const service of services.all())
    for (const port of (service['spec']?.ports ?? []) as Json[])
      if (port.nodePort)
        nodePorts.set(port.nodePort, {
          local: service['spec'].externalTrafficPolicy === 'Local',
          endpoints: endpoints.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? [],
        });
  const byIp = new Map<string, TwinObject>();
  for (const pod of pods.all())
    if (pod['status']?.podIP && pod['status'].phase === 'Running' && !pod['spec'].hostNetwork)
      byIp.set(pod['status'].podIP, pod);
  const erring = new Map<string, number>();
  for (const pod of pods.all()) {
    const share = Number(pod.metadata.annotations?.['twin/errors'] ?? 0);
    if (share > 0) erring.set(pod.metadata.name, share);
  }
  return { nodes: byInstance, nodesByIp, nodePorts, pods: byIp, erring };
}

/** Containers that declare ports listen on those alone. */
function listens(pod: TwinObject, port: number): boolean {
  const declared = (pod['spec'].containers as Json[]).flatMap((it) => it.ports ?? []);
  return declared.length === 0 || declared.some((it) => it.containerPort === port);
}

export interface Reach {
  /** @param turn  which of several pods behind a node answers */
  reach(member: { server: string; ip: string; port: number }, turn?: number): Reached;
  /** whoever has that address among a cluster's own pods and nodes; undefined when nobody has */
  inside(side: Side, ip: string, port: number, turn?: number): Reached | undefined;
  /** What an application answers, once it is reached: pods annotated `twin/errors` fail that share of their requests, evenly spread. */
  answer(reached: Reached, turn: number): Reached;
  /** grows with every change that could matter */
  changes(): number;
  stop(): void;
}

/**
 * A member of type ecs is reached if its node is Ready and the Service of that node port has a ready endpoint (under Local: on that
 * node). A member of type eni is reached if a running pod has that address and listens there; also one that is going, until it is
 * gone. An address may be a pod's or a node's. An instance that is in neither cluster always answers.
 *
 * @param hasInterface  whether the VPC routes to a pod's address; such a pod is reached from the other cluster too
 */
export async function followReach(
  apis: Record<Side, ClusterApi>,
  hasInterface: (ip: string) => boolean = () => true,
): Promise<Reach> {
  const sides = ['source', 'target'] as const;
  const clusters = { source: await followCluster(apis.source), target: await followCluster(apis.target) };

  const byNode = (side: Side, node: TwinObject, port: number, turn: number): Reached => {
    if (!isTrue(node, 'Ready')) return { failed: `node ${node.metadata.name} is not ready` };
    const nodePort = clusters[side].index().nodePorts.get(port);
    if (!nodePort) return { failed: `nothing listens on node port ${port} of ${side}` };
    const near = nodePort.local
      ? nodePort.endpoints.filter((it) => it.node === node.metadata.name)
      : nodePort.endpoints;
    const chosen = near[turn % Math.max(1, near.length)];
    if (!chosen) return { failed: `node port ${port} of ${side} has no ready endpoint` };
    return elsewhere(side, chosen.ip) ?? { side, backend: chosen.name };
  };

  /** An endpoint that another cluster's pod is behind, as slices that were brought from there have. */
  const elsewhere = (side: Side, ip: string): Reached | undefined => {
    const other = side === 'source' ? 'target' : 'source';
    if (clusters[side].index().pods.has(ip)) return undefined;
    const pod = clusters[other].index().pods.get(ip);
    if (!pod) return undefined;
    if (!hasInterface(ip)) return { failed: `no way from ${side} to pod ${pod.metadata.name} of ${other}` };
    const serves = isTrue(pod, 'ContainersReady');
    return serves
      ? { side: other, backend: pod.metadata.name }
      : { failed: `pod ${pod.metadata.name} of ${other} does not serve` };
  };

  const byPod = (side: Side, pod: TwinObject, port: number): Reached =>
    isTrue(pod, 'ContainersReady') && listens(pod, port)
      ? { side, backend: pod.metadata.name }
      : { failed: `pod ${pod.metadata.name} of ${side} does not serve ${port}` };

  return {
    reach({ server, ip, port }, turn = 0) {
      if (server.startsWith('i-')) {
        for (const side of sides) {
          const node = clusters[side].index().nodes.get(server);
          if (node) return byNode(side, node, port, turn);
        }
        return { side: 'other', backend: server };
      }
      for (const side of sides) {
        const pod = clusters[side].index().pods.get(ip);
        if (pod) return byPod(side, pod, port);
      }
      for (const side of sides) {
        const node = clusters[side].index().nodesByIp.get(ip);
        if (node) return byNode(side, node, port, turn);
      }
      return { failed: `nobody has address ${ip}` };
    },
    inside(side, ip, port, turn = 0) {
      const { pods, nodesByIp } = clusters[side].index();
      const pod = pods.get(ip);
      if (pod) return byPod(side, pod, port);
      const node = nodesByIp.get(ip);
      return node && byNode(side, node, port, turn);
    },
    answer(reached, turn) {
      if ('failed' in reached || reached.side === 'other') return reached;
      const share = clusters[reached.side].index().erring.get(reached.backend) ?? 0;
      // Multiples of the golden ratio are spread evenly, whatever the order in which members are chosen.
      const errs = share > 0 && (turn * 0.6180339887498949) % 1 < share;
      return errs ? { failed: `pod ${reached.backend} of ${reached.side} answers 500` } : reached;
    },
    changes: () => clusters.source.changes() + clusters.target.changes(),
    stop() {
      for (const side of sides) clusters[side].stop();
    },
  };
}
