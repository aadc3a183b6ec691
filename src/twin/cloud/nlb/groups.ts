import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { tokenPageOf } from '../paging.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { newTags } from '../tags.js';
import { findNlbGroup, hasOneOf, keyedTags, usersOf } from './find.js';
import { checkIdle, startJob } from './jobs.js';
import { nlbRefusals } from './refusals.js';
import { pageFields, serverActions } from './servers.js';
import type { NlbGroup } from './state.js';

const { invalid } = nlbRefusals;

const SCHEDULERS = ['Wrr', 'Wlc', 'Rr', 'Sch', 'Tch', 'Qch'] as const;
const MAX_NAMED = 20;

/** 2 to 128 characters, a letter first, then letters, digits, dots, underscores and hyphens. */
function checkName(name: string): string {
  return /^\p{L}[\p{L}\d._-]{1,127}$/u.test(name) ? name : invalid('ServerGroupName');
}

/** Controllers write `wrr` and the API shows `Wrr`. */
function scheduler(parameters: Parameters): string | undefined {
  const text = parameters.text('Scheduler');
  if (text === undefined) return undefined;
  return SCHEDULERS.find((it) => it.toLowerCase() === text.toLowerCase()) ?? invalid('Scheduler');
}

export const defaultHealthCheck = (): NlbGroup['healthCheck'] => ({
  HealthCheckEnabled: true,
  HealthCheckType: 'TCP',
  HealthCheckConnectPort: 0,
  HealthyThreshold: 2,
  UnhealthyThreshold: 2,
  HealthCheckConnectTimeout: 5,
  HealthCheckInterval: 5,
});

const HEALTH_FIELDS: Readonly<Record<string, 'flag' | 'number' | 'text' | 'list'>> = {
  HealthCheckEnabled: 'flag',
  HealthCheckType: 'text',
  HealthCheckConnectPort: 'number',
  HealthyThreshold: 'number',
  UnhealthyThreshold: 'number',
  HealthCheckConnectTimeout: 'number',
  HealthCheckInterval: 'number',
  HealthCheckDomain: 'text',
  HealthCheckUrl: 'text',
  HealthCheckHttpCode: 'list',
  HealthCheckHttpVersion: 'text',
  HttpCheckMethod: 'text',
  HealthCheckReq: 'text',
  HealthCheckExp: 'text',
};

function healthCheck(parameters: Parameters): NlbGroup['healthCheck'] {
  const given: NlbGroup['healthCheck'] = {};
  for (const [field, kind] of Object.entries(HEALTH_FIELDS)) {
    const name = `HealthCheckConfig.${field}`;
    const value =
      kind === 'flag'
        ? parameters.flag(name)
        : kind === 'number'
          ? parameters.integer(name, 0, 65_535)
          : kind === 'list'
            ? parameters.list(name)
            : parameters.text(name);
    if (value !== undefined) given[field] = value;
  }
  return given;
}

function groupFields(it: NlbGroup, context: Context): Json {
  return {
    ServerGroupId: it.id,
    ServerGroupName: it.name,
    ServerGroupType: it.type,
    ServerGroupStatus: context.clock.now() < it.busyUntilMs ? 'Configuring' : 'Available',
    RegionId: it.region,
    VpcId: it.vpc,
    Protocol: it.protocol,
    Scheduler: it.scheduler,
    AddressIPVersion: it.addressIpVersion,
    AnyPortEnabled: it.anyPort,
    ConnectionDrainEnabled: it.connectionDrain,
    ConnectionDrainTimeout: it.connectionDrainTimeout,
    PreserveClientIpEnabled: it.preserveClientIp,
    HealthCheck: it.healthCheck,
    ResourceGroupId: it.resourceGroup,
    ServerCount: it.servers.length,
    RelatedLoadBalancerIds: [...new Set(usersOf(it.id, context).map(({ loadBalancer }) => loadBalancer.id))],
    Tags: keyedTags(it.tags),
  };
}

export const groupActions: Record<string, Action> = {
  ...serverActions,

  CreateServerGroup: {
    requires: ['ServerGroupName', 'VpcId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const { state, ids, limits, clock } = context;
      const region = parameters.text('RegionId') ?? state.region;
      const mine = [...state.nlb.groups.values()].filter((it) => it.region === region);
      if (mine.length >= limits.nlbGroupsPerRegion)
        refuse(400, 'QuotaExceeded.QuotaInsufficient', 'The quota of server groups is exceeded.');
      const name = checkName(parameters.required('ServerGroupName'));
      const group: NlbGroup = {
        id: ids('sgp', region, name),
        name,
        region,
        vpc: parameters.required('VpcId'),
        type: parameters.oneOf('ServerGroupType', ['Instance', 'Ip']) ?? 'Instance',
        protocol: parameters.oneOf('Protocol', ['TCP', 'UDP', 'TCP_UDP']) ?? 'TCP',
        scheduler: scheduler(parameters) ?? 'Wrr',
        addressIpVersion: parameters.text('AddressIPVersion') ?? 'ipv4',
        anyPort: parameters.flag('AnyPortEnabled') ?? false,
        connectionDrain: parameters.flag('ConnectionDrainEnabled') ?? false,
        connectionDrainTimeout: parameters.integer('ConnectionDrainTimeout', 0, 900) ?? 300,
        preserveClientIp: parameters.flag('PreserveClientIpEnabled') ?? true,
        healthCheck: { ...defaultHealthCheck(), ...healthCheck(parameters) },
        resourceGroup: parameters.text('ResourceGroupId') ?? 'rg-default',
        servers: [],
        tags: newTags(parameters, limits.tagsPerResource),
        createdMs: clock.now(),
        busyUntilMs: 0,
      };
      const job = startJob(context, 'CreateServerGroup', {
        about: group.id,
        busy: [group],
        begin: () => void state.nlb.groups.set(group.id, group),
        end: () => undefined,
        fail: () => void state.nlb.groups.delete(group.id),
      });
      return { ServerGroupId: group.id, ...job };
    },
  },

  UpdateServerGroupAttribute: {
    requires: ['ServerGroupId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const group = findNlbGroup(parameters, context);
      checkIdle(group, context, 'Conflict.Lock');
      const name = parameters.text('ServerGroupName');
      const change: Partial<NlbGroup> = {};
      if (name !== undefined) change.name = checkName(name);
      const how = scheduler(parameters);
      if (how !== undefined) change.scheduler = how;
      const drain = parameters.flag('ConnectionDrainEnabled');
      if (drain !== undefined) change.connectionDrain = drain;
      const timeout = parameters.integer('ConnectionDrainTimeout', 0, 900);
      if (timeout !== undefined) change.connectionDrainTimeout = timeout;
      const preserve = parameters.flag('PreserveClientIpEnabled');
      if (preserve !== undefined) change.preserveClientIp = preserve;
      const health = healthCheck(parameters);
      if (Object.keys(health).length > 0) change.healthCheck = { ...group.healthCheck, ...health };
      const job = startJob(context, 'UpdateServerGroupAttribute', {
        about: group.id,
        busy: [group],
        end: () => void Object.assign(group, change),
      });
      return { ServerGroupId: group.id, ...job };
    },
  },

  DeleteServerGroup: {
    requires: ['ServerGroupId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const group = findNlbGroup(parameters, context);
      if (usersOf(group.id, context).length > 0)
        refuse(400, 'ResourceInUse.ServerGroup', `The server group ${group.id} is in use by a listener.`);
      checkIdle(group, context, 'IncorrectStatus.serverGroup');
      return startJob(context, 'DeleteServerGroup', {
        about: group.id,
        busy: [group],
        end: () => void context.state.nlb.groups.delete(group.id),
      });
    },
  },

  ListServerGroups: {
    run(parameters, context) {
      const region = parameters.text('RegionId') ?? context.state.region;
      const [ids, names] = (['ServerGroupIds', 'ServerGroupNames'] as const).map((name) => {
        const list = parameters.list(name);
        return list && list.length > MAX_NAMED ? invalid(name) : list;
      });
      const vpc = parameters.text('VpcId');
      const type = parameters.text('ServerGroupType');
      const filter = parameters.tags();
      const found = [...context.state.nlb.groups.values()].filter(
        (it) =>
          it.region === region &&
          (ids === undefined || ids.includes(it.id)) &&
          (names === undefined || names.includes(it.name)) &&
          (vpc === undefined || it.vpc === vpc) &&
          (type === undefined || it.type === type) &&
          hasOneOf(it.tags, filter),
      );
      const page = tokenPageOf(found, parameters, 20, 100);
      return { ...pageFields(page), ServerGroups: page.items.map((it) => groupFields(it, context)) };
    },
  },
};
