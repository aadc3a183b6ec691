import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { addressFrom } from '../ids.js';
import { pageOf } from '../paging.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { isoSeconds, type LoadBalancer } from '../state.js';
import { carries, newTags, tagList } from '../tags.js';
import { beginChange, checkActive, findLoadBalancer, groupsOf } from './find.js';

const ON_OFF = ['on', 'off'] as const;
const CHARGE_TYPES = ['PayBySpec', 'PayByCLCU'] as const;
const INTERNET_CHARGE_TYPES = ['paybytraffic', 'paybybandwidth'] as const;
const BUSY = { status: 400, code: 'ServiceIsConfiguring' };

const attributes = (it: LoadBalancer): Json => ({
  LoadBalancerId: it.id,
  LoadBalancerName: it.name,
  LoadBalancerStatus: it.status,
  Address: it.address,
  AddressType: it.addressType,
  AddressIPVersion: it.addressIpVersion,
  RegionId: it.region,
  RegionIdAlias: it.region,
  VpcId: it.vpc,
  VSwitchId: it.vswitch,
  NetworkType: it.networkType,
  MasterZoneId: it.masterZone,
  SlaveZoneId: it.slaveZone,
  LoadBalancerSpec: it.spec,
  Bandwidth: it.bandwidth,
  PayType: it.payType,
  InstanceChargeType: it.instanceChargeType,
  InternetChargeType: it.internetChargeType,
  DeleteProtection: it.deleteProtection,
  ModificationProtectionStatus: it.modificationProtection.status,
  ModificationProtectionReason: it.modificationProtection.reason,
  ResourceGroupId: it.resourceGroup,
  CreateTime: isoSeconds(it.createdMs),
  CreateTimeStamp: it.createdMs,
  Tags: { Tag: tagList(it.tags) },
});

/** `[{"TagKey":"a","TagValue":"b"}]`; the controller's JSON names vary over its versions. */
export function tagsFromJson(
  parameters: Parameters,
  name = 'Tags',
): { key: string; value: string | undefined }[] | undefined {
  const list = parameters.json(name);
  if (list === undefined || list === null) return undefined;
  if (!Array.isArray(list)) refuse(400, 'InvalidParameter', `The specified ${name} is not a list.`);
  return list.map((entry: Json) => {
    const fields = new Map(Object.entries<Json>(entry ?? {}).map(([key, value]) => [key.toLowerCase(), value]));
    return {
      key: String(fields.get('tagkey') ?? fields.get('key') ?? ''),
      value: fields.get('tagvalue') ?? fields.get('value'),
    };
  });
}

function create(parameters: Parameters, { state, ids, clock, rates, limits, firstVpc }: Context): LoadBalancer {
  const region = parameters.required('RegionId');
  const name = parameters.text('LoadBalancerName');
  const addressType = parameters.oneOf('AddressType', ['internet', 'intranet']) ?? 'internet';
  const vswitch = parameters.text('VSwitchId') ?? '';
  const inVpc = vswitch !== '' || parameters.text('VpcId') !== undefined;
  const id = ids('lb', region, name ?? '');
  const asked = parameters.text('Address');
  if (asked !== undefined && [...state.loadBalancers.values()].some((it) => it.address === asked)) {
    refuse(400, 'InvalidAddress.Conflict', 'The specified Address is in use.');
  }
  const now = clock.now();
  return {
    id,
    name: name ?? id,
    address: asked ?? addressFrom(addressType === 'internet' ? '47.98' : '10.0', id),
    addressType,
    addressIpVersion: parameters.oneOf('AddressIPVersion', ['ipv4', 'ipv6']) ?? 'ipv4',
    region,
    vpc: inVpc ? (parameters.text('VpcId') ?? firstVpc()) : '',
    vswitch,
    networkType: inVpc ? 'vpc' : 'classic',
    masterZone: parameters.text('MasterZoneId') ?? `${region}-h`,
    slaveZone: parameters.text('SlaveZoneId') ?? `${region}-i`,
    status: 'active',
    spec: parameters.text('LoadBalancerSpec') ?? 'slb.s1.small',
    bandwidth: parameters.integer('Bandwidth', -1, 5120) ?? (addressType === 'internet' ? -1 : 5120),
    payType: 'PayOnDemand',
    instanceChargeType: parameters.oneOf('InstanceChargeType', CHARGE_TYPES) ?? 'PayByCLCU',
    internetChargeType: parameters.oneOf('InternetChargeType', INTERNET_CHARGE_TYPES) ?? 'paybytraffic',
    deleteProtection: parameters.oneOf('DeleteProtection', ON_OFF) ?? 'off',
    modificationProtection: {
      status: parameters.text('ModificationProtectionStatus') ?? 'NonProtection',
      reason: parameters.text('ModificationProtectionReason') ?? '',
    },
    resourceGroup: parameters.text('ResourceGroupId') ?? 'rg-default',
    tags: newTags(parameters, limits.tagsPerResource),
    listeners: [],
    createdMs: now,
    busyUntilMs: now + rates.applyMs,
  };
}

function change(requires: string[], apply: (it: LoadBalancer, parameters: Parameters) => void): Action {
  return {
    requires: ['LoadBalancerId', ...requires],
    run(parameters, context) {
      const found = findLoadBalancer(parameters, context);
      checkActive(found);
      beginChange(found, context, BUSY);
      apply(found, parameters);
      return {};
    },
  };
}

function matches(it: LoadBalancer, parameters: Parameters, context: Context): boolean {
  const ids = parameters.text('LoadBalancerId')?.split(',');
  const server = parameters.text('ServerId');
  const is = (name: string, value: string): boolean => (parameters.text(name) ?? value) === value;
  return (
    is('RegionId', it.region) &&
    (ids === undefined || ids.includes(it.id)) &&
    is('LoadBalancerName', it.name) &&
    is('LoadBalancerStatus', it.status) &&
    is('Address', it.address) &&
    is('AddressType', it.addressType) &&
    is('AddressIPVersion', it.addressIpVersion) &&
    is('VpcId', it.vpc) &&
    is('VSwitchId', it.vswitch) &&
    is('NetworkType', it.networkType) &&
    is('ResourceGroupId', it.resourceGroup) &&
    carries(it.tags, parameters.tags()) &&
    carries(it.tags, tagsFromJson(parameters)) &&
    (server === undefined ||
      groupsOf(it.id, context).some((group) => group.backends.some((member) => member.server === server)))
  );
}

export const loadBalancerActions: Record<string, Action> = {
  DescribeLoadBalancers: {
    requires: ['RegionId'],
    run(parameters, context) {
      const found = [...context.state.loadBalancers.values()].filter((it) => matches(it, parameters, context));
      const page = pageOf(found, parameters);
      return {
        ...page.fields,
        LoadBalancers: {
          LoadBalancer: page.items.map((it) => ({
            ...attributes(it),
            // The list gives the charge type as a number and its name beside it.
            InternetChargeType: it.internetChargeType === 'paybybandwidth' ? '3' : '4',
            InternetChargeTypeAlias: it.internetChargeType,
          })),
        },
      };
    },
  },

  DescribeLoadBalancerAttribute: {
    requires: ['LoadBalancerId'],
    run(parameters, context) {
      const found = findLoadBalancer(parameters, context);
      return {
        ...attributes(found),
        BackendServers: { BackendServer: [] },
        ListenerPorts: { ListenerPort: found.listeners.map((it) => it.port) },
        ListenerPortsAndProtocal: {
          ListenerPortAndProtocal: found.listeners.map((it) => ({
            ListenerPort: it.port,
            ListenerProtocal: it.protocol,
          })),
        },
        ListenerPortsAndProtocol: {
          ListenerPortAndProtocol: found.listeners.map((it) => ({
            ListenerPort: it.port,
            ListenerProtocol: it.protocol,
            ListenerForward: it.config['ListenerForward'] ?? '',
            ForwardPort: it.config['ForwardPort'] ?? 0,
            Description: it.description,
          })),
        },
      };
    },
  },

  CreateLoadBalancer: {
    requires: ['RegionId'],
    token: true,
    run(parameters, context) {
      const made = create(parameters, context);
      context.state.loadBalancers.set(made.id, made);
      return {
        LoadBalancerId: made.id,
        LoadBalancerName: made.name,
        Address: made.address,
        AddressIPVersion: made.addressIpVersion,
        NetworkType: made.networkType,
        VpcId: made.vpc,
        VSwitchId: made.vswitch,
        ResourceGroupId: made.resourceGroup,
        OrderId: 0,
      };
    },
  },

  DeleteLoadBalancer: {
    requires: ['LoadBalancerId'],
    run(parameters, context) {
      const found = findLoadBalancer(parameters, context);
      if (found.deleteProtection === 'on') {
        refuse(
          400,
          'OperationDenied.DeleteProtectionIsOn',
          "The loadbalancer can't be deleted due to DeleteProtection is enabled.",
        );
      }
      beginChange(found, context, BUSY);
      for (const group of groupsOf(found.id, context)) context.state.groups.delete(group.id);
      context.state.loadBalancers.delete(found.id);
      return {};
    },
  },

  SetLoadBalancerName: change(['LoadBalancerName'], (it, parameters) => {
    it.name = parameters.required('LoadBalancerName');
  }),

  SetLoadBalancerStatus: change(['LoadBalancerStatus'], (it, parameters) => {
    it.status = parameters.oneOf('LoadBalancerStatus', ['active', 'inactive'])!;
  }),

  SetLoadBalancerDeleteProtection: change(['DeleteProtection'], (it, parameters) => {
    it.deleteProtection = parameters.oneOf('DeleteProtection', ON_OFF)!;
  }),

  // It keeps people from changes in the console; calls like ours pass all the same.
  SetLoadBalancerModificationProtection: change(['ModificationProtectionStatus'], (it, parameters) => {
    it.modificationProtection = {
      status: parameters.oneOf('ModificationProtectionStatus', ['NonProtection', 'ConsoleProtection'])!,
      reason: parameters.text('ModificationProtectionReason') ?? '',
    };
  }),

  ModifyLoadBalancerInstanceSpec: change(['LoadBalancerSpec'], (it, parameters) => {
    it.spec = parameters.required('LoadBalancerSpec');
  }),

  ModifyLoadBalancerInternetSpec: change([], (it, parameters) => {
    it.internetChargeType = parameters.oneOf('InternetChargeType', INTERNET_CHARGE_TYPES) ?? it.internetChargeType;
    it.bandwidth = parameters.integer('Bandwidth', -1, 5120) ?? it.bandwidth;
  }),

  ModifyLoadBalancerInstanceChargeType: change(['InstanceChargeType'], (it, parameters) => {
    it.instanceChargeType = parameters.oneOf('InstanceChargeType', CHARGE_TYPES)!;
    it.spec = parameters.text('LoadBalancerSpec') ?? it.spec;
  }),
};
