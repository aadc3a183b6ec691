import type { Json, TwinCloud, TwinObject } from '../types.js';
import { TAG_CLUSTER, TAG_MADE } from './ccm-cloud.js';
import { annotation, type CcmIdentity, defaultName } from './ccm-model.js';
import { isNlbOwn, nlbListenerName, type NlbMember, nlbProtocolOf, type NlbWantedGroup } from './nlb-model.js';
import { NotNow } from './queue.js';

/** Members per call (flag `--sg-batch-size`). */
const BATCH = 40;

export interface NlbSeen {
  id: string;
  name: string;
  dnsName: string;
  addressType: string;
  vpc: string;
  crossZone: boolean;
  zones: { zone: string; vswitch: string }[];
  isProtected: boolean;
  tags: Record<string, string>;
}

export interface NlbGroupSeen {
  id: string;
  name: string;
  type: string;
  scheduler: string;
  connectionDrain: boolean;
  preserveClientIp: boolean;
  members: (NlbMember & { own: boolean })[];
}

export interface NlbListenerSeen {
  id: string;
  port: number;
  protocol: string;
  status: string;
  group: string;
  description: string;
}

const WIRE_TYPES = { ecs: 'Ecs', eni: 'Eni', ip: 'Ip' } as const;

const pairs = (name: string, tags: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tags).flatMap(([key, value], at) => [
      [`${name}.${at + 1}.Key`, key],
      [`${name}.${at + 1}.Value`, value],
    ]),
  );

const serversOnWire = (members: NlbMember[]): Record<string, string> =>
  Object.fromEntries(
    members.flatMap((it, at) =>
      Object.entries({
        ServerId: it.server,
        ServerType: WIRE_TYPES[it.type],
        ...(it.ip === '' ? {} : { ServerIp: it.ip }),
        Port: String(it.port),
        Weight: String(it.weight),
        Description: it.description,
      }).map(([key, value]) => [`Servers.${at + 1}.${key}`, value]),
    ),
  );

/** `zone:vswitch[:address[:eip]]`, comma list */
function zoneMaps(service: TwinObject): { zone: string; vswitch: string; ip: string }[] {
  const text = annotation(service, 'zone-maps');
  if (text === '') return [];
  return text.split(',').map((entry) => {
    const [zone, vswitch, ip = ''] = entry.split(':');
    if (zone === undefined || vswitch === undefined)
      throw new NotNow(`ZoneMapping format error, expect [zone-a:vsw-id-1,zone-b:vsw-id-2], got ${text}`);
    return { zone, vswitch, ip };
  });
}

const zonesOnWire = (zones: ReturnType<typeof zoneMaps>): Record<string, string> =>
  Object.fromEntries(
    zones.flatMap(({ zone, vswitch, ip }, at) => [
      [`ZoneMappings.${at + 1}.ZoneId`, zone],
      [`ZoneMappings.${at + 1}.VSwitchId`, vswitch],
      ...(ip === '' ? [] : [[`ZoneMappings.${at + 1}.PrivateIPv4Address`, ip]]),
    ]),
  );

/** Attributes that annotations ask of a group of its own, by wire name. */
function groupAttributes(service: TwinObject): Record<string, string> {
  const onOff = (suffix: string): string => String(annotation(service, suffix).toLowerCase() === 'on');
  const asked: Record<string, string> = {};
  if (annotation(service, 'scheduler') !== '') asked['Scheduler'] = annotation(service, 'scheduler');
  if (annotation(service, 'connection-drain') !== '') asked['ConnectionDrainEnabled'] = onOff('connection-drain');
  if (annotation(service, 'connection-drain-timeout') !== '')
    asked['ConnectionDrainTimeout'] = annotation(service, 'connection-drain-timeout');
  if (annotation(service, 'preserve-client-ip') !== '') asked['PreserveClientIpEnabled'] = onOff('preserve-client-ip');
  if (annotation(service, 'health-check-flag') !== '')
    asked['HealthCheckConfig.HealthCheckEnabled'] = onOff('health-check-flag');
  return asked;
}

/**
 * What the controller's NLB loop does to the load balancer, in its own calls.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/provider/alibaba/nlb/*.go, pkg/controller/service/nlbv2/loadbalancer.go
 */
export function nlbCloud(cloud: TwinCloud, identity: CcmIdentity, vpc: string | undefined) {
  const nlb = (action: string, parameters: Record<string, string> = {}): Promise<Json> =>
    cloud.call('Nlb', action, { RegionId: cloud.region, ...parameters });

  const all = async (action: string, list: string, parameters: Record<string, string>): Promise<Json[]> => {
    const found: Json[] = [];
    let token = '';
    do {
      const page = await nlb(action, { ...parameters, MaxResults: '100', ...(token ? { NextToken: token } : {}) });
      found.push(...page[list]);
      token = page.NextToken ?? '';
    } while (token !== '');
    return found;
  };

  const members = async (group: string, service: TwinObject): Promise<NlbGroupSeen['members']> =>
    (await all('ListServerGroupServers', 'Servers', { ServerGroupId: group })).map((it) => ({
      server: it.ServerId,
      // An instance's address says nothing: the controller compares instances by id alone.
      ip: it.ServerType === 'Ecs' ? '' : it.ServerIp,
      port: it.Port,
      weight: it.Weight,
      type: String(it.ServerType).toLowerCase() as NlbMember['type'],
      description: it.Description,
      own: isNlbOwn(it.Description, service, identity),
    }));

  const groupSeen = async (it: Json, service: TwinObject): Promise<NlbGroupSeen> => ({
    id: it.ServerGroupId,
    name: it.ServerGroupName,
    type: it.ServerGroupType,
    scheduler: it.Scheduler,
    connectionDrain: it.ConnectionDrainEnabled,
    preserveClientIp: it.PreserveClientIpEnabled,
    members: await members(it.ServerGroupId, service),
  });

  const inBatches = async (action: string, group: string, changed: NlbMember[]): Promise<void> => {
    // Whether a job succeeds is not looked at: the controller waits for it and goes on.
    for (let i = 0; i < changed.length; i += BATCH)
      await nlb(action, { ServerGroupId: group, ...serversOnWire(changed.slice(i, i + BATCH)) });
  };

  const marks = (service: TwinObject): Record<string, string> => ({
    [TAG_MADE]: defaultName(service),
    [TAG_CLUSTER]: identity.clusterId,
  });

  return {
    /** By id, else by the controller's tag, else by its name; undefined when there is none. */
    async find(service: TwinObject): Promise<NlbSeen | undefined> {
      const named = annotation(service, 'id');
      const search = async (by: Record<string, string>): Promise<string | undefined> =>
        (await nlb('ListLoadBalancers', by)).LoadBalancers[0]?.LoadBalancerId;
      const id =
        named ||
        (await search({ 'Tag.1.Key': TAG_MADE, 'Tag.1.Value': defaultName(service) })) ||
        (await search({ 'LoadBalancerNames.1': defaultName(service) }));
      if (!id) return undefined;
      const seen = await nlb('GetLoadBalancerAttribute', { LoadBalancerId: id });
      return {
        id,
        name: seen.LoadBalancerName,
        dnsName: seen.DNSName,
        addressType: seen.AddressType,
        vpc: seen.VpcId,
        crossZone: seen.CrossZoneEnabled,
        zones: (seen.ZoneMappings as Json[]).map((it) => ({ zone: it.ZoneId, vswitch: it.VSwitchId })),
        isProtected: seen.DeletionProtectionConfig.Enabled,
        tags: Object.fromEntries((seen.Tags as Json[]).map((it) => [it.TagKey, it.TagValue])),
      };
    },

    async create(service: TwinObject): Promise<void> {
      const zones = zoneMaps(service);
      const made = await nlb('CreateLoadBalancer', {
        AddressType: /^intranet$/i.test(annotation(service, 'address-type')) ? 'Intranet' : 'Internet',
        VpcId: vpc ?? '',
        LoadBalancerName: annotation(service, 'name') || defaultName(service),
        ...zonesOnWire(zones),
        'DeletionProtectionConfig.Enabled': 'true',
        'DeletionProtectionConfig.Reason': 'managed by ccm',
        'ModificationProtectionConfig.Status': 'ConsoleProtection',
        'ModificationProtectionConfig.Reason': 'managed by ccm',
        ClientToken: service.metadata.uid,
      });
      await nlb('TagResources', {
        ResourceType: 'loadbalancer',
        'ResourceId.1': made.LoadbalancerId,
        ...pairs('Tag', marks(service)),
      });
    },

    async remove(lb: NlbSeen): Promise<void> {
      if (lb.isProtected)
        await nlb('UpdateLoadBalancerProtection', { LoadBalancerId: lb.id, DeletionProtectionEnabled: 'false' });
      await nlb('DeleteLoadBalancer', { LoadBalancerId: lb.id });
    },

    /** `preserve-lb-on-delete`: the instance stays, without the marks of the controller. */
    async release(lb: NlbSeen): Promise<void> {
      await nlb('UpdateLoadBalancerProtection', {
        LoadBalancerId: lb.id,
        DeletionProtectionEnabled: 'false',
        ModificationProtectionStatus: 'NonProtection',
      });
      await nlb('UntagResources', {
        ResourceType: 'loadbalancer',
        'ResourceId.1': lb.id,
        'TagKey.1': TAG_MADE,
        'TagKey.2': TAG_CLUSTER,
      });
    },

    async update(service: TwinObject, lb: NlbSeen): Promise<void> {
      const type = annotation(service, 'address-type');
      if (type !== '' && type.toLowerCase() !== lb.addressType.toLowerCase())
        await nlb('UpdateLoadBalancerAddressTypeConfig', {
          LoadBalancerId: lb.id,
          AddressType: /^intranet$/i.test(type) ? 'Intranet' : 'Internet',
        });
      const zones = zoneMaps(service);
      const known = (it: { zone: string; vswitch: string }): boolean =>
        lb.zones.some((other) => other.zone === it.zone && other.vswitch === it.vswitch);
      if (!zones.every(known)) await nlb('UpdateLoadBalancerZones', { LoadBalancerId: lb.id, ...zonesOnWire(zones) });
      const name = annotation(service, 'name');
      const crossZone = annotation(service, 'cross-zone-enabled');
      if (crossZone !== '' && crossZone !== 'on' && crossZone !== 'off')
        throw new NotNow(`cross-zone-enabled must be on or off, got [${crossZone}]`);
      const changed: Record<string, string> = {};
      if (name !== '' && name !== lb.name) changed['LoadBalancerName'] = name;
      if (crossZone !== '' && (crossZone === 'on') !== lb.crossZone)
        changed['CrossZoneEnabled'] = String(crossZone === 'on');
      if (Object.keys(changed).length > 0)
        await nlb('UpdateLoadBalancerAttribute', { LoadBalancerId: lb.id, ...changed });
    },

    /** Tagged with both of the controller's marks: found by them, and only then told apart by name. */
    async ownGroups(service: TwinObject): Promise<NlbGroupSeen[]> {
      const wanted = Object.entries(marks(service));
      const found = await all('ListServerGroups', 'ServerGroups', pairs('Tag', marks(service)));
      const mine = found.filter((it) =>
        wanted.every(([key, value]) => (it.Tags as Json[]).some((tag) => tag.Key === key && tag.Value === value)),
      );
      return Promise.all(mine.map((it) => groupSeen(it, service)));
    },

    async group(id: string, service: TwinObject): Promise<NlbGroupSeen | undefined> {
      const [found] = (await nlb('ListServerGroups', { 'ServerGroupIds.1': id })).ServerGroups;
      return found && groupSeen(found, service);
    },

    async createGroup(service: TwinObject, wanted: NlbWantedGroup, inVpc: string): Promise<string> {
      const { ServerGroupId } = await nlb('CreateServerGroup', {
        ServerGroupName: wanted.name,
        VpcId: inVpc,
        ServerGroupType: wanted.type ?? 'Instance',
        Protocol: wanted.protocol === 'TCPSSL' ? 'TCP' : wanted.protocol,
        ...(wanted.protocol === 'TCPSSL' ? { PreserveClientIpEnabled: 'false' } : {}),
        ...groupAttributes(service),
        ...pairs('Tag', marks(service)),
      });
      return ServerGroupId;
    },

    async updateGroup(service: TwinObject, live: NlbGroupSeen): Promise<void> {
      const shown: Record<string, string> = {
        Scheduler: live.scheduler.toLowerCase(),
        ConnectionDrainEnabled: String(live.connectionDrain),
        PreserveClientIpEnabled: String(live.preserveClientIp),
      };
      const changed = Object.entries(groupAttributes(service)).filter(
        ([key, value]) => key in shown && shown[key] !== value.toLowerCase(),
      );
      if (changed.length > 0)
        await nlb('UpdateServerGroupAttribute', { ServerGroupId: live.id, ...Object.fromEntries(changed) });
    },

    async deleteGroup(id: string): Promise<void> {
      await nlb('DeleteServerGroup', { ServerGroupId: id });
    },

    async untagGroup(id: string): Promise<void> {
      await nlb('UntagResources', {
        ResourceType: 'servergroup',
        'ResourceId.1': id,
        'TagKey.1': TAG_MADE,
        'TagKey.2': TAG_CLUSTER,
      });
    },

    addMembers: (group: string, changed: NlbMember[]) => inBatches('AddServersToServerGroup', group, changed),
    removeMembers: (group: string, changed: NlbMember[]) => inBatches('RemoveServersFromServerGroup', group, changed),
    setMembers: (group: string, changed: NlbMember[]) => inBatches('UpdateServerGroupServersAttribute', group, changed),

    async listeners(lb: string): Promise<NlbListenerSeen[]> {
      return (await all('ListListeners', 'Listeners', { 'LoadBalancerIds.1': lb })).map((it) => ({
        id: it.ListenerId,
        port: it.ListenerPort,
        protocol: it.ListenerProtocol,
        status: it.ListenerStatus,
        group: it.ServerGroupId,
        description: it.ListenerDescription,
      }));
    },

    async createListener(service: TwinObject, lb: string, port: Json, group: string): Promise<void> {
      const certificate = annotation(service, 'cert-id');
      await nlb('CreateListener', {
        LoadBalancerId: lb,
        ListenerProtocol: nlbProtocolOf(service, port),
        ListenerPort: String(port.port),
        ListenerDescription: nlbListenerName(service, port, identity),
        ServerGroupId: group,
        ...(certificate === '' ? {} : { 'CertificateIds.1': certificate }),
      });
    },

    async updateListener(service: TwinObject, port: Json, group: string, live: NlbListenerSeen): Promise<void> {
      if (live.status === 'Stopped') await nlb('StartListener', { ListenerId: live.id });
      const description = nlbListenerName(service, port, identity);
      if (live.group === group && live.description === description) return;
      await nlb('UpdateListenerAttribute', {
        ListenerId: live.id,
        ListenerDescription: description,
        ServerGroupId: group,
      });
    },

    async deleteListener(live: NlbListenerSeen): Promise<void> {
      await nlb('DeleteListener', { ListenerId: live.id });
    },
  };
}
