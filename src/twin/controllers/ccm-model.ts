import { hash32 } from '../random.js';
import type { ClusterApi, Json, TwinObject } from '../types.js';
import { NotNow } from './queue.js';
import { type BackendMode, DEFAULT_WEIGHT, isAtLeast, parseWeight, weightsOf } from './weights.js';

/**
 * What the cloud controller manager wants: a Service, its endpoints and the nodes, read and turned into server groups. Everything
 * here is what kubernetes/cloud-provider-alibaba-cloud does at v2.14.0 and before, found in pkg/controller/service/{clbv1,reconcile}
 * and pkg/controller/helper.
 */

export interface CcmIdentity {
  /** of the controller, e.g. `2.14.0` */
  version: string;
  /** signs groups, members and listeners; two clusters with the same one and equal names take each other's members */
  clusterId: string;
  /** used when the Service has no annotation backend-type */
  backendMode: 'ecs' | 'eni';
}

export interface Member {
  server: string;
  ip: string;
  port: number;
  weight: number;
  type: 'ecs' | 'eni';
  description: string;
}

export interface WantedGroup {
  /** of a reused group; a group of its own is found by name */
  id?: string;
  name: string;
  servicePort: Json;
  ignoreWeightUpdate: boolean;
  members: Member[];
  /** an address of the VPC without an interface: members may be added, nothing else may be done */
  invalid: boolean;
}

const PREFIXES = [
  'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-',
  'service.beta.kubernetes.io/alicloud-loadbalancer-',
];
const READINESS_GATE = 'service.readiness.alibabacloud.com/';

/** The value of one annotation; the newer prefix wins if its key exists, even when empty. @returns '' when absent */
export function annotation(service: TwinObject, suffix: string): string {
  const annotations = service.metadata.annotations ?? {};
  for (const prefix of PREFIXES) if (prefix + suffix in annotations) return annotations[prefix + suffix];
  return '';
}

export function needsClb(service: TwinObject): boolean {
  return (
    service.spec?.type === 'LoadBalancer' &&
    (service.spec.loadBalancerClass ?? null) === null &&
    !('service.beta.kubernetes.io/class' in (service.metadata.annotations ?? {})) &&
    !PREFIXES.some((it) => `${it}tunnel-type` in (service.metadata.annotations ?? {}))
  );
}

export const isBeingRemoved = (service: TwinObject): boolean =>
  service.metadata.deletionTimestamp !== undefined || service.spec?.type !== 'LoadBalancer';

export const reusesLoadBalancer = (service: TwinObject): boolean => annotation(service, 'id') !== '';

export const overridesListeners = (service: TwinObject): boolean =>
  annotation(service, 'force-override-listeners') === 'true';

/** `a` and the Service's uid without dashes, 32 characters: name and tag of a load balancer that the controller made. */
export const defaultName = (service: TwinObject): string => `a${service.metadata.uid.replaceAll('-', '')}`.slice(0, 32);

/** Any edit of annotations, ports, type, policy or deletion changes it; so does nothing else. */
export function serviceHash(service: TwinObject): string {
  const { ports, type, externalTrafficPolicy, loadBalancerClass, loadBalancerSourceRanges } = service.spec;
  const annotations = Object.entries(service.metadata.annotations ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const inputs = [
    ports,
    type,
    externalTrafficPolicy,
    loadBalancerClass,
    loadBalancerSourceRanges,
    annotations,
    service.metadata.deletionTimestamp,
  ];
  const text = JSON.stringify(inputs);
  return Array.from({ length: 7 }, (_, i) => hash32(`${i}${text}`).toString(16).padStart(8, '0')).join('');
}

export function modeOf(service: TwinObject, identity: CcmIdentity): BackendMode {
  const asked = service.metadata.annotations?.['service.beta.kubernetes.io/backend-type'];
  if ((asked ?? identity.backendMode) === 'eni') return 'ENI';
  return service.spec.externalTrafficPolicy === 'Local' ? 'Local' : 'Cluster';
}

/** `k8s/<port>/<service>/<namespace>/<cluster id>`: how the controller signs what it makes. */
export const signature = (port: string | number, service: TwinObject, identity: CcmIdentity): string =>
  `k8s/${port}/${service.metadata.name}/${service.metadata.namespace}/${identity.clusterId}`;

const isSigned = (text: string): boolean => text.split('/').length === 5 && text.startsWith('k8s/');

/** Whether a group's name, a member's or a listener's description names this Service of this cluster; its port doesn't matter. */
export function isOwn(text: string, service: TwinObject, identity: CcmIdentity): boolean {
  const parts = text.split('/');
  return (
    isSigned(text) &&
    parts[2] === service.metadata.name &&
    parts[3] === service.metadata.namespace &&
    parts[4] === identity.clusterId
  );
}

export function groupPort(service: TwinObject, port: Json, identity: CcmIdentity): string {
  return String(modeOf(service, identity) === 'ENI' ? (port.targetPort ?? port.port) : port.nodePort);
}

export const groupName = (service: TwinObject, port: Json, identity: CcmIdentity): string =>
  signature(groupPort(service, port, identity), service, identity);

/** Ids that `vgroup-port` names, in order; entries are neither trimmed nor checked. */
export function groupIds(service: TwinObject): string[] {
  const text = annotation(service, 'vgroup-port');
  return text === '' ? [] : text.split(',').map((entry) => parseGroupPort(entry).id);
}

export function parseGroupPort(entry: string): { id: string; port: string } {
  const [id, port] = entry.split(':');
  if (id === undefined || port === undefined)
    throw new NotNow(`vgroupid and protocol format must be like 'vsp-xxx:443' with colon separated. got=[${entry}]`);
  return { id, port };
}

/** @returns '' when no entry names the port: the port then gets a group of its own */
export function groupIdOf(service: TwinObject, port: Json): string {
  const text = annotation(service, 'vgroup-port');
  if (text === '' || !reusesLoadBalancer(service)) return '';
  for (const entry of text.split(',')) {
    const parsed = parseGroupPort(entry);
    if (parsed.port === String(port.port)) return parsed.id;
  }
  return '';
}

const isVirtual = (node: TwinObject): boolean => node.metadata.labels?.type === 'virtual-kubelet';

const EXCLUDED_BY = [
  'node.kubernetes.io/exclude-from-external-load-balancers',
  'alpha.service-controller.kubernetes.io/exclude-balancer',
  'service.beta.kubernetes.io/exclude-node',
  'service.alibabacloud.com/exclude-node',
];

const isExcluded = (node: TwinObject): boolean =>
  EXCLUDED_BY.some((label) => label in (node.metadata.labels ?? {})) ||
  isVirtual(node) ||
  String(node.spec?.providerID ?? '').startsWith('ack-hybrid://');

/** The instance of `region.i-xxx` or `alicloud://region.i-xxx`; one bad node fails the whole group. */
function instanceOf(node: TwinObject): string {
  const text = String(node.spec?.providerID ?? '').replace(/^alicloud:\/\//, '');
  const parts = text.split('.');
  if (parts.length !== 2) throw new NotNow(`parse providerid: ${text}. expected: \${regionid}.\${nodeid}`);
  return parts[1]!;
}

/** Nodes that may carry a Service, before the labels that only keep them out of a group as ECS members. */
function candidateNodes(service: TwinObject, nodes: TwinObject[]): TwinObject[] {
  const wanted = annotation(service, 'backend-label')
    .split(',')
    .filter((it) => it !== '')
    .map((it) => it.split('='));
  const dropsCordoned = annotation(service, 'remove-unscheduled-backend') === 'on';
  return nodes.filter((node) => {
    const labels = node.metadata.labels ?? {};
    if ('node-role.kubernetes.io/master' in labels) return false;
    if (dropsCordoned && node.spec?.unschedulable) return false;
    if (node.spec?.taints?.some((it: Json) => it.key === 'ToBeDeletedByClusterAutoscaler')) return false;
    const conditions = node.status?.conditions ?? [];
    if (conditions.length === 0) return false;
    if (!isVirtual(node) && !conditions.some((it: Json) => it.type === 'Ready' && it.status === 'True')) return false;
    return wanted.every(([key, value]) => labels[key!] === value);
  });
}

interface Endpoint {
  ip: string;
  node: string | undefined;
  port: number;
}

const readyGateOf = (service: TwinObject): string => READINESS_GATE + service.metadata.name;

const hasGate = (pod: TwinObject, gate: string): boolean =>
  (pod.spec?.readinessGates ?? []).some((it: Json) => it.conditionType === gate);

const hasTrue = (pod: TwinObject, type: string): boolean =>
  (pod.status?.conditions ?? []).some((it: Json) => it.type === type && it.status === 'True');

export interface Endpoints {
  /** slices of this Service */
  slices: TwinObject[];
  pods: ClusterApi;
}

/**
 * Addresses that may serve one port: ready ones, and those that wait for the controller's own readiness gate with their containers
 * ready.
 *
 * @returns and whether somebody may become ready soon without an event that would tell
 */
async function endpointsOf(
  service: TwinObject,
  port: Json,
  from: Endpoints,
): Promise<{ endpoints: Endpoint[]; moreToCome: boolean }> {
  const seen = new Set<string>();
  const endpoints: Endpoint[] = [];
  let moreToCome = false;

  for (const slice of from.slices) {
    const target = port.targetPort ?? port.port;
    const number =
      typeof target === 'number'
        ? target
        : (slice['ports'] ?? []).find((it: Json) => it.name === (port.name ?? ''))?.port;
    if (!number) continue;
    for (const endpoint of slice['endpoints'] ?? []) {
      if (endpoint.conditions?.terminating) continue;
      const node = endpoint.nodeName ?? endpoint.topology?.['kubernetes.io/hostname'];
      for (const ip of endpoint.addresses) {
        if (seen.has(ip)) continue;
        if (!endpoint.conditions?.ready) {
          if (endpoint.targetRef?.kind !== 'Pod') continue;
          const pod = await from.pods.get('v1/pods', endpoint.targetRef.namespace, endpoint.targetRef.name);
          if (pod === undefined) moreToCome = true;
          if (pod === undefined || !hasGate(pod, readyGateOf(service))) continue;
          if (!hasTrue(pod, 'ContainersReady')) {
            moreToCome = true;
            continue;
          }
        }
        seen.add(ip);
        endpoints.push({ ip, node, port: number });
      }
    }
  }
  return { endpoints, moreToCome };
}

function membersUnder(
  mode: BackendMode,
  endpoints: Endpoint[],
  nodes: TwinObject[],
  nodePort: number,
): (Omit<Member, 'weight' | 'description'> & { pods: number })[] {
  const byName = new Map(nodes.map((it) => [it.metadata.name as string, it]));
  if (mode === 'ENI') return endpoints.map(({ ip, port }) => ({ server: '', ip, port, type: 'eni', pods: 1 }));

  const onNodes = new Map<string, { server: string; pods: number }>();
  if (mode === 'Cluster')
    for (const node of nodes)
      if (!isExcluded(node)) onNodes.set(node.metadata.name, { server: instanceOf(node), pods: 1 });
  const onVirtual: Endpoint[] = [];
  for (const endpoint of endpoints) {
    if (endpoint.node === undefined) throw new NotNow(`add ecs backends error, NodeName is nil for ip ${endpoint.ip}`);
    const node = byName.get(endpoint.node);
    if (node === undefined) continue;
    if (isVirtual(node)) onVirtual.push(endpoint);
    else if (mode === 'Local' && !isExcluded(node)) {
      const known = onNodes.get(node.metadata.name);
      if (known) known.pods += 1;
      else onNodes.set(node.metadata.name, { server: instanceOf(node), pods: 1 });
    }
  }
  return [
    ...[...onNodes.values()].map(({ server, pods }) => ({
      server,
      ip: '',
      port: nodePort,
      type: 'ecs' as const,
      pods,
    })),
    ...onVirtual.map(({ ip, port }) => ({ server: '', ip, port, type: 'eni' as const, pods: 1 })),
  ];
}

/**
 * The group that one port wants, with weights and without the interfaces' ids.
 *
 * @throws NotNow  a value or an object that the controller refuses, in its words
 */
export async function wantedGroup(
  service: TwinObject,
  port: Json,
  identity: CcmIdentity,
  nodes: TwinObject[],
  from: Endpoints,
): Promise<{ group: WantedGroup; moreToCome: boolean }> {
  const name = groupName(service, port, identity);
  const id = groupIdOf(service, port);
  const { members, moreToCome } = await weighedMembers(service, port, identity, nodes, from);
  const group: WantedGroup = {
    ...(id === '' ? {} : { id }),
    name,
    servicePort: port,
    ignoreWeightUpdate: ignoresWeights(service, identity),
    members: members.map(({ pods: _pods, ...it }) => ({ ...it, description: name })),
    invalid: false,
  };
  return { group, moreToCome };
}

export const ignoresWeights = (service: TwinObject, { version }: CcmIdentity): boolean =>
  annotation(service, 'ignore-weight-update').toLowerCase() === 'on' && isAtLeast(version, '2.11.1');

/**
 * The members that one port wants, with weights, and with how many pods are behind each.
 *
 * @throws NotNow  a value or an object that the controller refuses, in its words
 */
export async function weighedMembers(
  service: TwinObject,
  port: Json,
  identity: CcmIdentity,
  nodes: TwinObject[],
  from: Endpoints,
  { leastOfPod }: { leastOfPod: 0 | 1 } = { leastOfPod: 0 },
): Promise<{ members: (Omit<Member, 'description'> & { pods: number })[]; moreToCome: boolean }> {
  const mode = modeOf(service, identity);
  let weight: number | undefined;
  const asked = annotation(service, 'weight');
  if (reusesLoadBalancer(service) && annotation(service, 'vgroup-port') !== '' && asked !== '') {
    weight = parseWeight(asked);
    if (weight === undefined) throw new NotNow(`weight must be integer in range [0,100] , got [${asked}]`);
  }

  let defaultWeight = DEFAULT_WEIGHT;
  const askedDefault = annotation(service, 'default-weight');
  if (askedDefault !== '' && isAtLeast(identity.version, '2.14.0')) {
    const parsed = parseWeight(askedDefault);
    if (parsed === undefined)
      throw new NotNow(`default weight must be integer in range [0,100] , got [${askedDefault}]`);
    defaultWeight = parsed;
  }

  const { endpoints, moreToCome } = await endpointsOf(service, port, from);
  const members = membersUnder(mode, endpoints, candidateNodes(service, nodes), port.nodePort);
  const weights = weightsOf(mode, weight, members, defaultWeight, leastOfPod);
  return { members: members.map((it, i) => ({ ...it, weight: weights[i]! })), moreToCome };
}

/**
 * Members to add, remove and set. One is the same by server and port, and address for an interface, whoever owns it; only own
 * ones are removed.
 */
export function difference(
  wanted: WantedGroup,
  live: (Member & { own: boolean })[],
): { add: Member[]; remove: Member[]; set: Member[] } {
  const same = (a: Member, b: Member): boolean =>
    a.server === b.server && a.port === b.port && (a.type !== 'eni' || a.ip === b.ip);
  const differs = (a: Member, b: Member): boolean =>
    a.port !== b.port || a.description !== b.description || (!wanted.ignoreWeightUpdate && a.weight !== b.weight);
  const beside = (a: Member, b: Member): boolean => a.server === b.server && (a.type !== 'eni' || a.ip === b.ip);

  return {
    add: wanted.members.filter((it) => !live.some((other) => same(it, other))),
    remove: live.filter((it) => it.own && !wanted.members.some((other) => same(other, it))),
    // The controller compares with every member on the same server, so a second Service on a node means a needless set each time.
    set: wanted.members.filter((it) => live.some((other) => beside(it, other) && differs(it, other))),
  };
}

/** What the pod's condition of the controller's gate should be after a sync. */
export function gatedPods(service: TwinObject, pods: TwinObject[]): TwinObject[] {
  return pods.filter((it) => hasGate(it, readyGateOf(service)));
}

export const gateOf = readyGateOf;
