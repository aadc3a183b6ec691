import type { Json, TwinObject } from '../types.js';
import {
  annotation,
  type CcmIdentity,
  type Endpoints,
  groupPort,
  ignoresWeights,
  modeOf,
  parseGroupPort,
  reusesLoadBalancer,
  weighedMembers,
} from './ccm-model.js';
import { NotNow } from './queue.js';

/**
 * What the controller's NLB loop wants.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/nlbv2/{server_groups,listeners}.go, pkg/model/nlb/nlb.go, v2.14.0
 */

export const NLB_CLASS = 'alibabacloud.com/nlb';
export const NLB_FINALIZER = 'service.k8s.alibaba/nlb';

export interface NlbMember {
  server: string;
  ip: string;
  port: number;
  weight: number;
  type: 'ecs' | 'eni' | 'ip';
  description: string;
}

export interface NlbWantedGroup {
  /** of a reused group; a group of its own is found by name */
  id?: string;
  name: string;
  /** `Instance` or `Ip`; undefined where no annotation says */
  type: 'Instance' | 'Ip' | undefined;
  servicePort: Json;
  protocol: string;
  ignoreWeightUpdate: boolean;
  members: NlbMember[];
  invalid: boolean;
}

export const needsNlb = (service: TwinObject): boolean =>
  service.spec?.type === 'LoadBalancer' && service.spec.loadBalancerClass === NLB_CLASS;

/** `protocol-port` is `tcpssl:443`, protocol first. */
export function nlbProtocolOf(service: TwinObject, port: Json): string {
  const own = String(port.protocol ?? 'TCP').toUpperCase();
  for (const entry of annotation(service, 'protocol-port').split(',')) {
    if (entry === '') continue;
    const [protocol = '', number] = entry.split(':');
    if (number === undefined)
      throw new NotNow(`port and protocol format must be like 'https:443' with colon separated. got=[${entry}]`);
    if (!/^(tcp|udp|tcpssl)$/i.test(protocol))
      throw new NotNow(
        `port protocol format must be either [tcp|udp|tcpssl], protocol not supported with [${protocol}]`,
      );
    if (number === String(port.port)) return protocol.toUpperCase();
  }
  return own;
}

/** `k8s.<port>.<protocol>.<service>.<namespace>.<cluster id>`: how the loop signs groups, members and listeners. */
const signature = (port: string | number, protocol: string, service: TwinObject, { clusterId }: CcmIdentity): string =>
  `k8s.${port}.${protocol}.${service.metadata.name}.${service.metadata.namespace}.${clusterId}`;

export const nlbGroupName = (service: TwinObject, port: Json, identity: CcmIdentity): string =>
  signature(groupPort(service, port, identity), nlbProtocolOf(service, port), service, identity);

export const nlbListenerName = (service: TwinObject, port: Json, identity: CcmIdentity): string =>
  signature(port.port, nlbProtocolOf(service, port), service, identity);

/** Whether a name or description is of the controller's form, whoever's. */
export const isNlbSigned = (text: string): boolean => text.split('.').length === 6 && text.startsWith('k8s.');

export function isNlbOwn(text: string, service: TwinObject, { clusterId }: CcmIdentity): boolean {
  const [, , , name, namespace, cluster] = text.split('.');
  return (
    isNlbSigned(text) &&
    name === service.metadata.name &&
    namespace === service.metadata.namespace &&
    cluster === clusterId
  );
}

/** Ids that `vgroup-port` names, in order, whether the load balancer is a reused one or not. */
export function nlbGroupIds(service: TwinObject): string[] {
  const text = annotation(service, 'vgroup-port');
  return text === '' ? [] : text.split(',').map((entry) => parseGroupPort(entry).id);
}

function groupIdFor(service: TwinObject, port: Json): string {
  const text = annotation(service, 'vgroup-port');
  if (text === '' || !reusesLoadBalancer(service)) return '';
  for (const entry of text.split(',')) {
    const { id, port: wanted } = parseGroupPort(entry);
    if (wanted === String(port.port)) return id;
  }
  return '';
}

export function groupTypeOf(service: TwinObject): 'Instance' | 'Ip' | undefined {
  const text = annotation(service, 'server-group-type');
  if (text === '') return undefined;
  if (/^ip$/i.test(text)) return 'Ip';
  if (/^instance$/i.test(text)) return 'Instance';
  throw new NotNow(`unsupport server ServerGroupType [${text}]`);
}

const internalIp = (node: TwinObject): string =>
  (node.status?.addresses ?? []).find((it: Json) => it.type === 'InternalIP')?.address ?? '';

/**
 * The group that one port wants, with weights and without the interfaces' ids.
 *
 * @throws NotNow  a value or an object that the controller refuses, in its words: the whole Service then waits
 */
export async function wantedNlbGroup(
  service: TwinObject,
  port: Json,
  identity: CcmIdentity,
  nodes: TwinObject[],
  from: Endpoints,
): Promise<{ group: NlbWantedGroup; moreToCome: boolean }> {
  const name = nlbGroupName(service, port, identity);
  const id = groupIdFor(service, port);
  const type = groupTypeOf(service);
  const { members, moreToCome } = await weighedMembers(service, port, identity, nodes, from, { leastOfPod: 1 });
  const byInstance = new Map(
    nodes.map((it) => [
      String(it.spec?.providerID ?? '')
        .split('.')
        .at(-1),
      internalIp(it),
    ]),
  );
  // With addresses in the place of instances a node under Local comes once for each of its pods.
  const times = (pods: number): number => (type === 'Ip' && modeOf(service, identity) === 'Local' ? pods : 1);
  const group: NlbWantedGroup = {
    ...(id === '' ? {} : { id }),
    name,
    type,
    servicePort: port,
    protocol: nlbProtocolOf(service, port),
    ignoreWeightUpdate: ignoresWeights(service, identity),
    members: members.flatMap(({ pods, ...it }) => {
      const ip = it.ip || (byInstance.get(it.server) ?? '');
      const member: NlbMember =
        type === 'Ip' ? { ...it, server: ip, ip, type: 'ip', description: name } : { ...it, description: name };
      return Array.from({ length: times(pods) }, () => member);
    }),
    invalid: false,
  };
  return { group, moreToCome };
}

/**
 * Members to add, remove and set. One is the same by type, server and, but for an instance, address: **its port does not count**,
 * and whoever owns it neither; only own ones are removed.
 */
export function nlbDifference(
  wanted: NlbWantedGroup,
  live: (NlbMember & { own: boolean })[],
): { add: NlbMember[]; remove: NlbMember[]; set: NlbMember[] } {
  const same = (a: NlbMember, b: NlbMember): boolean =>
    a.type === b.type && a.server === b.server && (a.type === 'ecs' || a.ip === b.ip);
  const differs = (a: NlbMember, b: NlbMember): boolean =>
    a.port !== b.port || a.description !== b.description || (!wanted.ignoreWeightUpdate && a.weight !== b.weight);
  return {
    add: wanted.members.filter((it) => !live.some((other) => same(it, other))),
    remove: live.filter((it) => it.own && !wanted.members.some((other) => same(other, it))),
    set: wanted.members.filter((it) => live.some((other) => same(it, other) && differs(it, other))),
  };
}
