import type { CloudError, Json, TwinCloud, TwinObject } from '../types.js';
import { attributeChanges, fixedAttributes } from './ccm-attributes.js';
import { annotation, type CcmIdentity, defaultName, isOwn, type Member, signature } from './ccm-model.js';
import { NotNow } from './queue.js';
import { isAtLeast } from './weights.js';

/** Members per call (flag `--sg-batch-size`, default 40 since v2.9.1). */
const BATCH = 40;
/** The controller adds no more tags to a load balancer that has this many. */
const MAX_TAGS = 10;

export const TAG_MADE = 'kubernetes.do.not.delete';
export const TAG_CLUSTER = 'ack.aliyun.com';
const TAG_REUSED = 'kubernetes.reused.by.user';
const MARKS = [TAG_MADE, TAG_CLUSTER, TAG_REUSED];

export interface LoadBalancerSeen {
  id: string;
  name: string;
  address: string;
  addressType: string;
  deleteProtection: string;
  tags: Record<string, string>;
  /** as DescribeLoadBalancerAttribute shows it */
  raw: Json;
}

export interface GroupSeen {
  id: string;
  name: string;
  /** read for own and for reused groups only */
  members: (Member & { own: boolean })[];
}

export interface ListenerSeen {
  port: number;
  protocol: string;
  status: string;
  group: string;
  description: string;
  raw: Json;
}

export const isCloudError = (error: unknown): error is CloudError =>
  error instanceof Error && 'code' in error && 'status' in error;

/** Annotations that only set a parameter of a listener, by protocol layer. */
const LISTENER_OPTIONS: { suffix: string; parameter: string; layers: '4' | '7' | '47' | 'tcp' }[] = [
  { suffix: 'scheduler', parameter: 'Scheduler', layers: '47' },
  { suffix: 'persistence-timeout', parameter: 'PersistenceTimeout', layers: 'tcp' },
  { suffix: 'established-timeout', parameter: 'EstablishedTimeout', layers: 'tcp' },
  { suffix: 'connection-drain', parameter: 'ConnectionDrain', layers: '4' },
  { suffix: 'connection-drain-timeout', parameter: 'ConnectionDrainTimeout', layers: '4' },
  { suffix: 'idle-timeout', parameter: 'IdleTimeout', layers: '7' },
  { suffix: 'request-timeout', parameter: 'RequestTimeout', layers: '7' },
  { suffix: 'sticky-session', parameter: 'StickySession', layers: '7' },
  { suffix: 'sticky-session-type', parameter: 'StickySessionType', layers: '7' },
  { suffix: 'cookie', parameter: 'Cookie', layers: '7' },
  { suffix: 'cookie-timeout', parameter: 'CookieTimeout', layers: '7' },
  { suffix: 'health-check-flag', parameter: 'HealthCheck', layers: '7' },
  { suffix: 'health-check-switch', parameter: 'HealthCheckSwitch', layers: '4' },
  { suffix: 'health-check-type', parameter: 'HealthCheckType', layers: 'tcp' },
  { suffix: 'health-check-uri', parameter: 'HealthCheckURI', layers: '47' },
  { suffix: 'health-check-domain', parameter: 'HealthCheckDomain', layers: '47' },
  { suffix: 'health-check-connect-port', parameter: 'HealthCheckConnectPort', layers: '47' },
  { suffix: 'health-check-connect-timeout', parameter: 'HealthCheckConnectTimeout', layers: '4' },
  { suffix: 'health-check-timeout', parameter: 'HealthCheckTimeout', layers: '7' },
  { suffix: 'health-check-interval', parameter: 'HealthCheckInterval', layers: '47' },
  { suffix: 'health-check-httpcode', parameter: 'HealthCheckHttpCode', layers: '47' },
  { suffix: 'health-check-method', parameter: 'HealthCheckMethod', layers: '47' },
  { suffix: 'healthy-threshold', parameter: 'HealthyThreshold', layers: '47' },
  { suffix: 'unhealthy-threshold', parameter: 'UnhealthyThreshold', layers: '47' },
  { suffix: 'acl-status', parameter: 'AclStatus', layers: '47' },
  { suffix: 'acl-id', parameter: 'AclId', layers: '47' },
  { suffix: 'acl-type', parameter: 'AclType', layers: '47' },
];

/** Annotations that go into CreateLoadBalancer as they are. */
const CREATION_OPTIONS = [
  ['resource-group-id', 'ResourceGroupId'],
  ['master-zoneid', 'MasterZoneId'],
  ['slave-zoneid', 'SlaveZoneId'],
  ['spec', 'LoadBalancerSpec'],
  ['charge-type', 'InternetChargeType'],
  ['bandwidth', 'Bandwidth'],
  ['ip', 'Address'],
] as const;

const isLayer7 = (protocol: string): boolean => protocol === 'http' || protocol === 'https';

function listenerOptions(service: TwinObject, protocol: string): Record<string, string> {
  const options: Record<string, string> = {};
  for (const { suffix, parameter, layers } of LISTENER_OPTIONS) {
    const fits = layers === 'tcp' ? protocol === 'tcp' : layers.includes(isLayer7(protocol) ? '7' : '4');
    const value = annotation(service, suffix);
    if (fits && value !== '') options[parameter] = value;
  }
  return options;
}

/** `protocol-port` is `https:443,http:80`, protocol first. */
export function protocolOf(service: TwinObject, port: Json): string {
  const own = String(port.protocol ?? 'TCP').toLowerCase();
  const text = annotation(service, 'protocol-port');
  if (text === '') return own;
  for (const entry of text.split(',')) {
    const [protocol, number] = entry.split(':');
    if (number === undefined)
      throw new NotNow(`port and protocol format must be like 'https:443' with colon separated. got=[${entry}]`);
    if (!['http', 'https', 'tcp', 'udp'].includes(protocol!))
      throw new NotNow(`port protocol format must be either [http|https|tcp|udp], got [${protocol}]`);
    if (number === String(port.port)) return protocol!;
  }
  return own;
}

/**
 * What the controller does to the load balancer, in its own calls and their order.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/provider/alibaba/slb/*.go, pkg/controller/service/clbv1/{loadbalancer,listeners}.go
 */
export function ccmCloud(cloud: TwinCloud, identity: CcmIdentity, vpc: string | undefined) {
  const slb = (action: string, parameters: Record<string, string>): Promise<Json> =>
    cloud.call('Slb', action, { RegionId: cloud.region, ...parameters });

  const attributes = async (id: string): Promise<LoadBalancerSeen> => {
    const seen = await slb('DescribeLoadBalancerAttribute', { LoadBalancerId: id });
    if (seen.LoadBalancerId !== id) throw new NotNow(`find no loadbalancer by id ${id}`);
    return {
      id,
      name: seen.LoadBalancerName,
      address: seen.Address,
      addressType: seen.AddressType,
      deleteProtection: seen.DeleteProtection,
      tags: {},
      raw: seen,
    };
  };

  const search = async (how: string, by: Record<string, string>): Promise<string | undefined> => {
    const found: Json[] = (await slb('DescribeLoadBalancers', by)).LoadBalancers.LoadBalancer;
    if (found.length > 1)
      throw new NotNow(
        `find multiple loadbalances by ${how}, lbIds[${found.map((it) => it.LoadBalancerId).join(',')}]`,
      );
    return found[0]?.LoadBalancerId;
  };

  const tagsOf = async (id: string): Promise<Record<string, string>> => {
    const seen = await slb('ListTagResources', { ResourceType: 'instance', 'ResourceId.1': id });
    return Object.fromEntries((seen.TagResources.TagResource as Json[]).map((it) => [it.TagKey, it.TagValue]));
  };

  const tag = async (id: string, tags: Record<string, string>): Promise<void> => {
    const pairs = Object.entries(tags).flatMap(([key, value], i) => [
      [`Tag.${i + 1}.Key`, key],
      [`Tag.${i + 1}.Value`, value],
    ]);
    await slb('TagResources', { ResourceType: 'instance', 'ResourceId.1': id, ...Object.fromEntries(pairs) });
  };

  /** The list is the whole truth: what it lacks goes, but for the controller's own marks. An empty list is no list. */
  const replaceTags = async (lb: LoadBalancerSeen, wanted: Record<string, string>): Promise<void> => {
    if (Object.keys(wanted).length === 0) return;
    const changed = Object.entries(wanted).filter(([key, value]) => lb.tags[key] !== value);
    if (changed.length > 0) await tag(lb.id, Object.fromEntries(changed));
    const gone = Object.keys(lb.tags).filter((key) => !(key in wanted) && !MARKS.includes(key));
    if (gone.length === 0) return;
    const keys = gone.map((key, i) => [`TagKey.${i + 1}`, key]);
    await slb('UntagResources', {
      ResourceType: 'instance',
      'ResourceId.1': lb.id,
      ...Object.fromEntries(keys),
    });
  };

  const inBatches = async (action: string, group: string, members: Member[]): Promise<void> => {
    for (let i = 0; i < members.length; i += BATCH) {
      const batch = members.slice(i, i + BATCH).map((it) => ({
        description: it.description,
        serverId: it.server,
        serverIp: it.ip,
        weight: it.weight,
        port: it.port,
        type: it.type,
        IsUserManaged: false,
        Invalid: false,
      }));
      await slb(action, { VServerGroupId: group, BackendServers: JSON.stringify(batch) });
    }
  };

  return {
    /** By id, else by the controller's tag, else by its name; undefined when there is none. */
    async find(service: TwinObject): Promise<LoadBalancerSeen | undefined> {
      const named = annotation(service, 'id');
      const id =
        named ||
        (await search('tag', { Tags: JSON.stringify([{ TagKey: TAG_MADE, TagValue: defaultName(service) }]) })) ||
        (await search('name', { LoadBalancerName: defaultName(service) }));
      if (!id) return undefined;
      const found = await attributes(id);
      return { ...found, tags: await tagsOf(id) };
    },

    async create(service: TwinObject): Promise<string> {
      const addressType = annotation(service, 'address-type') || 'internet';
      const name = annotation(service, 'name') || defaultName(service);
      const vSwitch = annotation(service, 'vswitch-id');
      const made = await slb('CreateLoadBalancer', {
        AddressType: addressType,
        LoadBalancerName: name,
        DeleteProtection: annotation(service, 'delete-protection') || 'on',
        ModificationProtectionStatus: annotation(service, 'modification-protection') || 'ConsoleProtection',
        ModificationProtectionReason: 'managed.by.ack',
        InstanceChargeType: annotation(service, 'instance-charge-type') || 'PayByCLCU',
        ClientToken: service.metadata.uid,
        ...(addressType === 'intranet' && vpc ? { VpcId: vpc } : {}),
        ...(vSwitch ? { VSwitchId: vSwitch } : {}),
        ...Object.fromEntries(
          CREATION_OPTIONS.flatMap(([suffix, parameter]) => {
            const value = annotation(service, suffix);
            return value === '' ? [] : [[parameter, value]];
          }),
        ),
      });
      await tag(made.LoadBalancerId, {
        [TAG_MADE]: defaultName(service),
        [TAG_CLUSTER]: identity.clusterId,
        ...additionalTags(service),
      });
      return made.LoadBalancerId;
    },

    async remove(lb: LoadBalancerSeen): Promise<void> {
      if (lb.deleteProtection === 'on')
        await slb('SetLoadBalancerDeleteProtection', { LoadBalancerId: lb.id, DeleteProtection: 'off' });
      await slb('DeleteLoadBalancer', { LoadBalancerId: lb.id });
    },

    /** `preserve-lb-on-delete`: the instance stays, without the marks of the controller. */
    async release(lb: LoadBalancerSeen): Promise<void> {
      await slb('SetLoadBalancerDeleteProtection', { LoadBalancerId: lb.id, DeleteProtection: 'off' });
      await slb('SetLoadBalancerModificationProtection', {
        LoadBalancerId: lb.id,
        ModificationProtectionStatus: 'NonProtection',
      });
      await slb('UntagResources', {
        ResourceType: 'instance',
        'ResourceId.1': lb.id,
        'TagKey.1': TAG_MADE,
        'TagKey.2': TAG_CLUSTER,
      });
    },

    /** Tags, and the attributes that annotations ask for. @throws NotNow  what can't be changed on a live load balancer */
    async update(service: TwinObject, lb: LoadBalancerSeen, reused: boolean): Promise<void> {
      const mark: Record<string, string> = reused ? { [TAG_REUSED]: 'true' } : { [TAG_MADE]: defaultName(service) };
      const missing = Object.keys(mark).some((key) => !(key in lb.tags));
      if (missing && Object.keys(lb.tags).length < MAX_TAGS) await tag(lb.id, mark);
      const refused = fixedAttributes(service, lb.raw);
      for (const { action, parameters } of attributeChanges(service, lb.raw))
        await slb(action, { LoadBalancerId: lb.id, ...parameters });
      if (isAtLeast(identity.version, '2.10.0')) await replaceTags(lb, additionalTags(service));
      if (refused.length > 0) throw new NotNow(refused.join(', '));
    },

    /** What `external-ip-type: eip` shows in the place of the load balancer's own address. */
    async elasticAddresses(lb: string): Promise<string[]> {
      const seen = await cloud.call('Vpc', 'DescribeEipAddresses', {
        RegionId: cloud.region,
        AssociatedInstanceType: 'SlbInstance',
        AssociatedInstanceId: lb,
      });
      return (seen.EipAddresses.EipAddress as Json[]).map((it) => it.IpAddress);
    },

    async groupNames(lb: string): Promise<{ id: string; name: string }[]> {
      const seen = await slb('DescribeVServerGroups', { LoadBalancerId: lb });
      return (seen.VServerGroups.VServerGroup as Json[]).map((it) => ({
        id: it.VServerGroupId,
        name: it.VServerGroupName,
      }));
    },

    async members(group: string, service: TwinObject): Promise<(Member & { own: boolean })[]> {
      const seen = await slb('DescribeVServerGroupAttribute', { VServerGroupId: group });
      return (seen.BackendServers.BackendServer as Json[]).map((it) => ({
        server: it.ServerId,
        ip: it.ServerIp ?? '',
        port: Number(it.Port),
        weight: Number(it.Weight),
        type: it.Type === 'eni' ? 'eni' : 'ecs',
        description: it.Description ?? '',
        own: isOwn(it.Description ?? '', service, identity),
      }));
    },

    async createGroup(lb: string, name: string): Promise<string> {
      return (await slb('CreateVServerGroup', { LoadBalancerId: lb, VServerGroupName: name })).VServerGroupId;
    },

    async deleteGroup(id: string): Promise<void> {
      await slb('DeleteVServerGroup', { VServerGroupId: id });
    },

    addMembers: (group: string, members: Member[]) => inBatches('AddVServerGroupBackendServers', group, members),
    removeMembers: (group: string, members: Member[]) => inBatches('RemoveVServerGroupBackendServers', group, members),
    setMembers: (group: string, members: Member[]) => inBatches('SetVServerGroupAttribute', group, members),

    async listeners(lb: string): Promise<ListenerSeen[]> {
      const listeners: ListenerSeen[] = [];
      let token = '';
      do {
        const page = await slb('DescribeLoadBalancerListeners', {
          'LoadBalancerId.1': lb,
          MaxResults: '50',
          ...(token ? { NextToken: token } : {}),
        });
        for (const it of page.Listeners as Json[]) {
          const protocol = String(it.ListenerProtocol).toLowerCase();
          listeners.push({
            port: it.ListenerPort,
            protocol,
            status: it.Status,
            group: it.VServerGroupId ?? '',
            description: it.Description ?? '',
            raw: { ...it, ...it[`${protocol.toUpperCase()}ListenerConfig`] },
          });
        }
        token = page.NextToken ?? '';
      } while (token !== '');
      return listeners;
    },

    async createListener(service: TwinObject, lb: string, port: Json, group: string): Promise<void> {
      const protocol = protocolOf(service, port);
      const options = listenerOptions(service, protocol);
      const where = { LoadBalancerId: lb, ListenerPort: String(port.port) };
      await slb(`CreateLoadBalancer${protocol.toUpperCase()}Listener`, {
        ...where,
        Description: signature(port.port, service, identity),
        VServerGroupId: group,
        // The controller's own default; the API's would be wrr.
        Scheduler: 'rr',
        Bandwidth: '-1',
        ...(isLayer7(protocol) ? { HealthCheck: 'off', StickySession: 'off' } : {}),
        ...(protocol === 'https' ? { ServerCertificateId: annotation(service, 'cert-id') } : {}),
        ...options,
      });
      await slb('StartLoadBalancerListener', { ...where, ListenerProtocol: protocol });
    },

    async updateListener(
      service: TwinObject,
      lb: string,
      port: Json,
      group: string,
      live: ListenerSeen,
    ): Promise<void> {
      const where = { LoadBalancerId: lb, ListenerPort: String(port.port) };
      if (live.status === 'stopped')
        await slb('StartLoadBalancerListener', { ...where, ListenerProtocol: live.protocol });
      const description = signature(port.port, service, identity);
      const changed = Object.entries(listenerOptions(service, live.protocol)).filter(
        ([key, value]) => String(live.raw[key] ?? '') !== value,
      );
      if (live.group === group && live.description === description && changed.length === 0) return;
      await slb(`SetLoadBalancer${live.protocol.toUpperCase()}ListenerAttribute`, {
        ...where,
        Description: description,
        VServerGroup: 'on',
        VServerGroupId: group,
        ...Object.fromEntries(changed),
      });
    },

    async deleteListener(lb: string, live: ListenerSeen): Promise<void> {
      await slb('DeleteLoadBalancerListener', {
        LoadBalancerId: lb,
        ListenerPort: String(live.port),
        ListenerProtocol: live.protocol,
      });
    },

    /** Interface ids by address; addresses without one are missing. */
    async interfaces(ips: string[]): Promise<Map<string, string>> {
      const found = new Map<string, string>();
      for (let i = 0; i < ips.length; i += 100) {
        const addresses = ips.slice(i, i + 100).map((ip, at) => [`PrivateIpAddress.${at + 1}`, ip]);
        let token = '';
        do {
          const page = await cloud.call('Ecs', 'DescribeNetworkInterfaces', {
            RegionId: cloud.region,
            Status: 'InUse',
            MaxResults: '100',
            ...(vpc ? { VpcId: vpc } : {}),
            ...(token ? { NextToken: token } : {}),
            ...Object.fromEntries(addresses),
          });
          for (const it of page.NetworkInterfaceSets.NetworkInterfaceSet as Json[])
            for (const { PrivateIpAddress } of it.PrivateIpSets.PrivateIpSet)
              found.set(PrivateIpAddress, it.NetworkInterfaceId);
          token = page.NextToken ?? '';
        } while (token !== '');
      }
      return found;
    },

    async cidrs(): Promise<string[]> {
      const of = (it: Json): string[] => [it.CidrBlock, ...(it.SecondaryCidrBlocks?.SecondaryCidrBlock ?? [])];
      if (vpc) return of(await cloud.call('Vpc', 'DescribeVpcAttribute', { RegionId: cloud.region, VpcId: vpc }));
      return (await cloud.call('Vpc', 'DescribeVpcs', { RegionId: cloud.region, PageSize: '50' })).Vpcs.Vpc.flatMap(of);
    },
  };
}

function additionalTags(service: TwinObject): Record<string, string> {
  const entries = annotation(service, 'additional-resource-tags')
    .split(',')
    .map((it) => it.trim().split('='));
  return Object.fromEntries(entries.flatMap(([key, value]) => (key ? [[key, value ?? '']] : [])));
}

export function isInCidr(ip: string, cidr: string): boolean {
  const number = (text: string): number => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const [base, bits] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  return Math.floor(number(ip) / size) === Math.floor(number(base!) / size);
}
