import { refuse } from './errors.js';
import { pageOf } from './paging.js';
import type { Parameters } from './parameters.js';
import type { Action, Context, Product } from './product.js';
import { regionList } from './regions.js';
import type { Vpc } from './state.js';

/**
 * A VPC that only instances or load balancers name spans all private ranges, so that every address in them counts as one of its own.
 */
function vpcsOf({ state, firstVpc }: Context): Vpc[] {
  const named = new Map<string, string>([[firstVpc(), state.region]]);
  for (const it of state.loadBalancers.values()) if (it.vpc !== '') named.set(it.vpc, it.region);
  for (const it of state.instances.values()) if (it.vpc !== undefined) named.set(it.vpc, it.region);
  const implied = [...named]
    .filter(([id]) => !state.vpcs.has(id))
    .map(([id, region]) => ({
      id,
      name: id,
      region,
      cidr: '10.0.0.0/8',
      secondaryCidrs: ['172.16.0.0/12', '192.168.0.0/16'],
      vswitches: [],
    }));
  return [...state.vpcs.values(), ...implied];
}

const inRegion = (parameters: Parameters, region: string): boolean =>
  (parameters.text('RegionId') ?? region) === region;

const found = (parameters: Parameters, context: Context): Vpc =>
  vpcsOf(context).find((it) => it.id === parameters.required('VpcId') && inRegion(parameters, it.region)) ??
  refuse(404, 'InvalidVpcId.NotFound', 'Specified VPC does not exist.');

const fields = (it: Vpc) => ({
  VpcId: it.id,
  VpcName: it.name,
  RegionId: it.region,
  Status: 'Available',
  CidrBlock: it.cidr,
  SecondaryCidrBlocks: { SecondaryCidrBlock: it.secondaryCidrs },
  VSwitchIds: { VSwitchId: it.vswitches.map((vswitch) => vswitch.id) },
  IsDefault: false,
});

const actions: Record<string, Action> = {
  DescribeRegions: {
    run: (_, { state }) => ({
      Regions: {
        Region: regionList(state).map(({ id, name }) => ({
          RegionId: id,
          LocalName: name,
          RegionEndpoint: `vpc.${id}.aliyuncs.com`,
        })),
      },
    }),
  },

  DescribeVpcAttribute: {
    requires: ['VpcId'],
    run: (parameters, context) => fields(found(parameters, context)),
  },

  DescribeVpcs: {
    run(parameters, context) {
      const ids = parameters.text('VpcId')?.split(',');
      const page = pageOf(
        vpcsOf(context).filter((it) => inRegion(parameters, it.region) && (ids === undefined || ids.includes(it.id))),
        parameters,
        { maxSize: 50 },
      );
      return { ...page.fields, Vpcs: { Vpc: page.items.map(fields) } };
    },
  },

  DescribeVSwitches: {
    run(parameters, context) {
      const is = (name: string, value: string): boolean => (parameters.text(name) ?? value) === value;
      const all = vpcsOf(context).flatMap((vpc) => vpc.vswitches.map((it) => ({ ...it, vpc })));
      const page = pageOf(
        all.filter(
          (it) =>
            inRegion(parameters, it.vpc.region) &&
            is('VpcId', it.vpc.id) &&
            is('VSwitchId', it.id) &&
            is('ZoneId', it.zone),
        ),
        parameters,
        { maxSize: 50 },
      );
      return {
        ...page.fields,
        VSwitches: {
          VSwitch: page.items.map((it) => ({
            VSwitchId: it.id,
            VpcId: it.vpc.id,
            ZoneId: it.zone,
            CidrBlock: it.cidr,
            Status: 'Available',
            AvailableIpAddressCount: 252,
          })),
        },
      };
    },
  },

  DescribeEipAddresses: {
    run(parameters, { state }) {
      const is = (name: string, value: string): boolean => (parameters.text(name) ?? value) === value;
      const all = [...state.eips.values()].filter(
        (it) =>
          inRegion(parameters, it.region) &&
          is('AssociatedInstanceId', it.instance) &&
          is('AssociatedInstanceType', it.instanceType),
      );
      const page = pageOf(all, parameters);
      return {
        ...page.fields,
        EipAddresses: {
          EipAddress: page.items.map((it) => ({
            AllocationId: it.id,
            IpAddress: it.address,
            RegionId: it.region,
            InstanceId: it.instance,
            InstanceType: it.instanceType,
            Status: it.instance === '' ? 'Available' : 'InUse',
          })),
        },
      };
    },
  },

  // Each VPC has its one system route table, without custom entries: the twin routes nothing.
  DescribeRouteTableList: {
    run(parameters, context) {
      const vpc = parameters.text('VpcId');
      const all = vpcsOf(context).filter((it) => inRegion(parameters, it.region) && (vpc ?? it.id) === it.id);
      const page = pageOf(all, parameters);
      return {
        ...page.fields,
        RouterTableList: {
          RouterTableListType: page.items.map((it) => ({
            VpcId: it.id,
            RouteTableId: tableOf(it.id),
            RouteTableType: 'System',
          })),
        },
      };
    },
  },

  DescribeRouteEntryList: {
    requires: ['RouteTableId'],
    run(parameters, context) {
      const table = parameters.required('RouteTableId');
      if (!vpcsOf(context).some((it) => tableOf(it.id) === table)) {
        refuse(404, 'InvalidRouteTableId.NotFound', 'Specified route table does not exist.');
      }
      return { NextToken: '', RouteEntrys: { RouteEntry: [] } };
    },
  },
};

const tableOf = (vpc: string): string => vpc.replace(/^vpc-/, 'vtb-');

/** Virtual Private Cloud: the few reads that the cloud controller manager makes. */
export const vpc: Product = { name: 'Vpc', version: '2016-04-28', actions };
