import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { addressFrom } from '../ids.js';
import { tokenPageOf } from '../paging.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { isoSeconds } from '../state.js';
import { newTags, tagList } from '../tags.js';
import { findNlb, hasOneOf, keyedTags } from './find.js';
import { checkIdle, startJob } from './jobs.js';
import { nlbRefusals, overQuota } from './refusals.js';
import { pageFields } from './servers.js';
import type { Nlb } from './state.js';

const { invalid } = nlbRefusals;
const MAX_NAMED = 20;

function loadBalancerFields(it: Nlb, { clock }: Context): Json {
  return {
    LoadBalancerId: it.id,
    LoadBalancerName: it.name,
    LoadBalancerType: 'network',
    LoadBalancerStatus: clock.now() < it.busyUntilMs ? 'Configuring' : 'Active',
    LoadBalancerBusinessStatus: 'Normal',
    DNSName: it.dnsName,
    AddressType: it.addressType,
    AddressIpVersion: it.addressIpVersion,
    RegionId: it.region,
    VpcId: it.vpc,
    CrossZoneEnabled: it.crossZone,
    CreateTime: isoSeconds(it.createdMs),
    DeletionProtectionConfig: { Enabled: it.deletionProtection.enabled, Reason: it.deletionProtection.reason },
    ModificationProtectionConfig: {
      Status: it.modificationProtection.status,
      Reason: it.modificationProtection.reason,
    },
    OperationLocks: [],
    ResourceGroupId: it.resourceGroup,
    SecurityGroupIds: it.securityGroups,
    ZoneMappings: it.zones.map(({ zone, vswitch, privateIp, publicIp }) => ({
      ZoneId: zone,
      VSwitchId: vswitch,
      Status: 'Active',
      LoadBalancerAddresses: [
        { PrivateIPv4Address: privateIp, ...(publicIp === '' ? {} : { PublicIPv4Address: publicIp }) },
      ],
    })),
  };
}

function zonesOf(parameters: Parameters, id: string): Nlb['zones'] | undefined {
  const entries = parameters.entries('ZoneMappings');
  return entries?.map((entry, at) => ({
    zone: entry['ZoneId'] ?? invalid(`ZoneMappings.${at + 1}.ZoneId`),
    vswitch: entry['VSwitchId'] ?? invalid(`ZoneMappings.${at + 1}.VSwitchId`),
    privateIp: entry['PrivateIPv4Address'] ?? addressFrom('192.168', id, at),
    publicIp: addressFrom('47.110', id, at),
  }));
}

export const loadBalancerActions: Record<string, Action> = {
  ListLoadBalancers: {
    run(parameters, context) {
      const { state } = context;
      const region = parameters.text('RegionId') ?? state.region;
      const [ids, names, vpcs] = (['LoadBalancerIds', 'LoadBalancerNames', 'VpcIds'] as const).map((name) => {
        const list = parameters.list(name);
        return list && list.length > MAX_NAMED ? invalid(name) : list;
      });
      const dnsName = parameters.text('DNSName');
      const filter = parameters.tags();
      const found = [...state.nlb.loadBalancers.values()].filter(
        (it) =>
          it.region === region &&
          (ids === undefined || ids.includes(it.id)) &&
          (names === undefined || names.includes(it.name)) &&
          (vpcs === undefined || vpcs.includes(it.vpc)) &&
          (dnsName === undefined || it.dnsName === dnsName) &&
          hasOneOf(it.tags, filter),
      );
      const page = tokenPageOf(found, parameters, 20, 100);
      return {
        ...pageFields(page),
        LoadBalancers: page.items.map((it) => ({ ...loadBalancerFields(it, context), Tags: keyedTags(it.tags) })),
      };
    },
  },

  GetLoadBalancerAttribute: {
    requires: ['LoadBalancerId'],
    run(parameters, context) {
      const it = findNlb(parameters, context);
      return { ...loadBalancerFields(it, context), Tags: tagList(it.tags) };
    },
  },

  CreateLoadBalancer: {
    requires: ['AddressType', 'VpcId', 'ZoneMappings.1.VSwitchId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const { state, ids, limits, clock } = context;
      const region = parameters.text('RegionId') ?? state.region;
      const mine = [...state.nlb.loadBalancers.values()].filter((it) => it.region === region);
      if (mine.length >= limits.nlbsPerRegion) overQuota('load balancers');
      const name = parameters.text('LoadBalancerName') ?? '';
      const id = ids('nlb', region, name);
      const made: Nlb = {
        id,
        name,
        dnsName: `${id}.${region}.nlb.aliyuncsslb.com`,
        addressType: parameters.oneOf('AddressType', ['Internet', 'Intranet'])!,
        addressIpVersion: parameters.text('AddressIpVersion') ?? 'ipv4',
        region,
        vpc: parameters.required('VpcId'),
        crossZone: true,
        zones: zonesOf(parameters, id) ?? [],
        securityGroups: [],
        deletionProtection: {
          enabled: parameters.flag('DeletionProtectionConfig.Enabled') ?? false,
          reason: parameters.text('DeletionProtectionConfig.Reason') ?? '',
        },
        modificationProtection: {
          status: parameters.text('ModificationProtectionConfig.Status') ?? 'NonProtection',
          reason: parameters.text('ModificationProtectionConfig.Reason') ?? '',
        },
        resourceGroup: parameters.text('ResourceGroupId') ?? 'rg-default',
        listeners: [],
        tags: newTags(parameters, limits.tagsPerResource),
        createdMs: clock.now(),
        busyUntilMs: 0,
      };
      const job = startJob(context, 'CreateLoadBalancer', {
        about: id,
        busy: [made],
        begin: () => void state.nlb.loadBalancers.set(id, made),
        end: () => undefined,
        fail: () => void state.nlb.loadBalancers.delete(id),
      });
      return { LoadbalancerId: id, OrderId: 0, ...job };
    },
  },

  DeleteLoadBalancer: {
    requires: ['LoadBalancerId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const it = findNlb(parameters, context);
      if (it.deletionProtection.enabled)
        refuse(400, 'OperationDenied.DeletionProtection', `The deletion protection of ${it.id} is on.`);
      checkIdle(it, context, 'Conflict.Lock');
      return startJob(context, 'DeleteLoadBalancer', {
        about: it.id,
        busy: [it],
        end: () => void context.state.nlb.loadBalancers.delete(it.id),
      });
    },
  },

  UpdateLoadBalancerAttribute: {
    requires: ['LoadBalancerId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const it = findNlb(parameters, context);
      checkIdle(it, context, 'Conflict.Lock');
      const name = parameters.text('LoadBalancerName');
      const crossZone = parameters.flag('CrossZoneEnabled');
      return startJob(context, 'UpdateLoadBalancerAttribute', {
        about: it.id,
        busy: [it],
        end() {
          it.name = name ?? it.name;
          it.crossZone = crossZone ?? it.crossZone;
        },
      });
    },
  },

  UpdateLoadBalancerAddressTypeConfig: {
    requires: ['LoadBalancerId', 'AddressType'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const it = findNlb(parameters, context);
      checkIdle(it, context, 'Conflict.Lock');
      const type = parameters.oneOf('AddressType', ['Internet', 'Intranet'])!;
      return startJob(context, 'UpdateLoadBalancerAddressTypeConfig', {
        about: it.id,
        busy: [it],
        end: () => void (it.addressType = type),
      });
    },
  },

  UpdateLoadBalancerZones: {
    requires: ['LoadBalancerId', 'ZoneMappings.1.VSwitchId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const it = findNlb(parameters, context);
      checkIdle(it, context, 'Conflict.Lock');
      const zones = zonesOf(parameters, it.id)!;
      return startJob(context, 'UpdateLoadBalancerZones', {
        about: it.id,
        busy: [it],
        end: () => void (it.zones = zones),
      });
    },
  },

  UpdateLoadBalancerProtection: {
    requires: ['LoadBalancerId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const it = findNlb(parameters, context);
      const enabled = parameters.flag('DeletionProtectionEnabled');
      const status = parameters.oneOf('ModificationProtectionStatus', ['NonProtection', 'ConsoleProtection']);
      if (enabled !== undefined)
        it.deletionProtection = { enabled, reason: parameters.text('DeletionProtectionReason') ?? '' };
      if (status !== undefined)
        it.modificationProtection = { status, reason: parameters.text('ModificationProtectionReason') ?? '' };
      return {};
    },
  },
};
