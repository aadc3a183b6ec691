import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { tokenPageOf } from '../paging.js';
import type { Action } from '../product.js';
import { isoSeconds, type SecurityGroup, type SecurityRule } from '../state.js';

/** In one answer. */
const MOST_RULES = 1000;

/** The end that is not this group's own is empty, as the product shows it. */
const fields = (it: SecurityRule, { createdMs }: SecurityGroup): Json => {
  const ends = it.direction === 'ingress' ? ['Source', 'Dest'] : ['Dest', 'Source'];
  const end = (name: string, cidr: string, group: string, list: string): Json => ({
    [`${name}CidrIp`]: cidr,
    [`Ipv6${name}CidrIp`]: '',
    [`${name}GroupId`]: group,
    [`${name}PrefixListId`]: list,
  });
  return {
    Direction: it.direction,
    IpProtocol: it.protocol,
    PortRange: it.ports,
    ...(end(ends[0]!, it.cidr, it.group, it.prefixList) as object),
    ...(end(ends[1]!, '', '', '') as object),
    NicType: 'intranet',
    Policy: it.policy,
    Priority: String(it.priority),
    Description: '',
    CreateTime: isoSeconds(createdMs),
  };
};

export const securityGroupActions: Record<string, Action> = {
  DescribeSecurityGroupAttribute: {
    requires: ['RegionId', 'SecurityGroupId'],
    run(parameters, { state }) {
      const found = state.securityGroups.get(parameters.required('SecurityGroupId'));
      if (!found || found.region !== parameters.required('RegionId'))
        return refuse(404, 'InvalidSecurityGroupId.NotFound', 'The specified SecurityGroupId does not exist.');
      const direction = parameters.oneOf('Direction', ['ingress', 'egress', 'all']) ?? 'all';
      const page = tokenPageOf(
        found.rules.filter((it) => direction === 'all' || direction === it.direction),
        parameters,
        MOST_RULES,
        MOST_RULES,
      );
      return {
        RegionId: found.region,
        SecurityGroupId: found.id,
        SecurityGroupName: found.name,
        Description: '',
        VpcId: found.vpc,
        InnerAccessPolicy: 'Accept',
        NextToken: page.fields['NextToken'] ?? '',
        Permissions: { Permission: page.items.map((it) => fields(it, found)) },
      };
    },
  },
};
