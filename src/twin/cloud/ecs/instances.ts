import type { Json } from '../../types.js';
import { pageOf } from '../paging.js';
import type { Action, Context } from '../product.js';
import { isSold, regionList, zonesOf } from '../regions.js';
import { type Instance, type Interface } from '../state.js';
import { carries, tagList } from '../tags.js';
import { CATEGORIES } from './categories.js';

const interfacesOf = (id: string, { state }: Context): Interface[] =>
  [...state.interfaces.values()].filter((it) => it.instance === id);

const vpcOf = (it: { vpc: string | undefined } | undefined, { firstVpc }: Context): string => it?.vpc ?? firstVpc();

const instanceFields = (it: Instance, context: Context): Json => ({
  InstanceId: it.id,
  InstanceName: it.name,
  HostName: it.name,
  Status: 'Running',
  RegionId: it.region,
  ZoneId: it.zone,
  InstanceType: it.type,
  InstanceChargeType: 'PostPaid',
  SpotStrategy: 'NoSpot',
  InstanceNetworkType: 'vpc',
  VpcAttributes: {
    VpcId: vpcOf(it, context),
    VSwitchId: '',
    NatIpAddress: '',
    PrivateIpAddress: { IpAddress: it.ip === '' ? [] : [it.ip] },
  },
  PublicIpAddress: { IpAddress: [] },
  InnerIpAddress: { IpAddress: [] },
  EipAddress: { AllocationId: '', IpAddress: '', InternetChargeType: '' },
  NetworkInterfaces: {
    NetworkInterface: interfacesOf(it.id, context).map((eni) => ({
      NetworkInterfaceId: eni.id,
      Type: eni.primary ? 'Primary' : 'Secondary',
      PrimaryIpAddress: eni.ip,
      PrivateIpSets: { PrivateIpSet: [{ PrivateIpAddress: eni.ip, Primary: true }] },
    })),
  },
  Tags: { Tag: tagList(it.tags) },
});

// An interface here is always plugged; unplugged it is gone.
const interfaceFields = (it: Interface, context: Context): Json => ({
  NetworkInterfaceId: it.id,
  NetworkInterfaceName: it.id,
  Status: 'InUse',
  Type: it.primary ? 'Primary' : 'Secondary',
  InstanceId: it.instance,
  ZoneId: it.zone,
  VpcId: vpcOf(context.state.instances.get(it.instance), context),
  VSwitchId: '',
  PrivateIpAddress: it.ip,
  PrivateIpSets: { PrivateIpSet: [{ PrivateIpAddress: it.ip, Primary: true }] },
  Ipv6Sets: { Ipv6Set: [] },
  SourceDestCheck: false,
  Tags: { Tag: tagList(it.tags) },
});

export const instanceActions: Record<string, Action> = {
  DescribeInstances: {
    requires: ['RegionId'],
    dryRun: true,
    run(parameters, context) {
      const ids = parameters.ids('InstanceIds');
      const addresses = parameters.ids('PrivateIpAddresses');
      const is = (name: string, value: string): boolean => (parameters.text(name) ?? value) === value;
      const filter = parameters.tags();
      const found = [...context.state.instances.values()].filter(
        (it) =>
          it.region === parameters.required('RegionId') &&
          (ids === undefined || ids.includes(it.id)) &&
          (addresses === undefined || addresses.includes(it.ip)) &&
          is('ZoneId', it.zone) &&
          is('VpcId', vpcOf(it, context)) &&
          is('InstanceName', it.name) &&
          is('Status', 'Running') &&
          carries(it.tags, filter),
      );
      const page = pageOf(found, parameters, { maxResults: 100 });
      return { ...page.fields, Instances: { Instance: page.items.map((it) => instanceFields(it, context)) } };
    },
  },

  DescribeNetworkInterfaces: {
    requires: ['RegionId'],
    run(parameters, context) {
      const ids = parameters.list('NetworkInterfaceId');
      const addresses = parameters.list('PrivateIpAddress');
      const filter = parameters.tags();
      const is = (name: string, value: string): boolean => (parameters.text(name) ?? value) === value;
      const found = [...context.state.interfaces.values()].filter(
        (it) =>
          it.region === parameters.required('RegionId') &&
          (ids === undefined || ids.includes(it.id)) &&
          (addresses === undefined || addresses.includes(it.ip)) &&
          is('InstanceId', it.instance) &&
          is('Type', it.primary ? 'Primary' : 'Secondary') &&
          is('Status', 'InUse') &&
          is('VpcId', vpcOf(context.state.instances.get(it.instance), context)) &&
          carries(it.tags, filter),
      );
      const page = pageOf(found, parameters, { maxResults: 500 });
      return {
        ...page.fields,
        NetworkInterfaceSets: { NetworkInterfaceSet: page.items.map((it) => interfaceFields(it, context)) },
      };
    },
  },

  DescribeRegions: {
    run: (_, { state }) => ({
      Regions: {
        Region: regionList(state).map(({ id, name }) => ({
          RegionId: id,
          LocalName: name,
          RegionEndpoint: `ecs.${id}.aliyuncs.com`,
          Status: 'available',
        })),
      },
    }),
  },

  DescribeZones: {
    requires: ['RegionId'],
    run(parameters, context) {
      const zones = zonesOf(context.state, parameters.required('RegionId'));
      const sold = (zone: string): string[] => Object.keys(CATEGORIES).filter((it) => isSold(zone, it, context.state));
      return {
        Zones: {
          Zone: zones.map((id) => ({
            ZoneId: id,
            LocalName: id,
            ZoneType: 'AvailabilityZone',
            AvailableDiskCategories: { DiskCategories: sold(id) },
            AvailableResourceCreation: { ResourceTypes: ['VSwitch', 'IoOptimized', 'Instance', 'Disk'] },
          })),
        },
      };
    },
  },
};
