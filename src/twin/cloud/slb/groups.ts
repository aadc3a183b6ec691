import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { type Backend, type Group, isoSeconds, type LoadBalancer } from '../state.js';
import { carries, newTags, tagList } from '../tags.js';
import { backendFields, isMember, type NamedBackend, parseBackends } from './backends.js';
import { beginChange, checkActive, findGroup, findLoadBalancer, groupsOf } from './find.js';

const MEMBERS_BUSY = { status: 409, code: 'BackendServer.configuring' };
const GROUP_BUSY = { status: 400, code: 'VServerGroupProcessing' };

const homeOf = (group: Group, { state }: Context): LoadBalancer => state.loadBalancers.get(group.loadBalancer)!;

function checkServer(named: NamedBackend, loadBalancer: LoadBalancer, context: Context): void {
  if (!context.strictServers) return;
  const { state, firstVpc } = context;
  const instance = state.instances.get(named.type === 'ecs' ? named.server : '');
  const plugged = [...(named.type === 'ecs' ? [] : state.interfaces.values())].find(
    (it) => it.id === named.server && (named.ip === '' || it.ip === named.ip),
  );
  const region = instance?.region ?? plugged?.region;
  if (region === undefined || region !== loadBalancer.region) {
    refuse(404, 'InvalidServerId.NotFound', `The specified ServerId ${named.server} does not exist.`);
  }
  const vpc = (instance ?? state.instances.get(plugged?.instance ?? ''))?.vpc ?? firstVpc();
  if (loadBalancer.vpc !== '' && loadBalancer.vpc !== vpc) {
    refuse(400, 'NetworkConflict', `The server ${named.server} is not in the VPC of the load balancer.`);
  }
}

function checkQuota(added: Backend[], loadBalancer: LoadBalancer, context: Context): void {
  const { limits, state } = context;
  const mine = groupsOf(loadBalancer.id, context).reduce((sum, group) => sum + group.backends.length, 0);
  const over = (what: string): never =>
    refuse(400, 'InstanceBackendServerNumberOverLimit', `The number of backend servers ${what} exceeds the limit.`);
  if (mine + added.length > limits.backendsPerLoadBalancer) over('of the load balancer');
  for (const { server, ip } of added) {
    let memberships = 1;
    for (const group of state.groups.values()) {
      memberships += group.backends.filter((it) => it.server === server && it.ip === ip).length;
    }
    if (memberships > limits.membershipsPerServer) over(`groups that ${server} is in`);
  }
}

/** Members that are there already stay as they are: adding does not set weights. */
function addMembers(group: Group, named: NamedBackend[], context: Context): void {
  const loadBalancer = homeOf(group, context);
  const added: Backend[] = [];
  for (const it of named) {
    checkServer(it, loadBalancer, context);
    const ip = it.type === 'ecs' ? '' : it.ip || addressOf(it.server, context);
    if ([...group.backends, ...added].some((member) => isMember(member, { ...it, ip }))) continue;
    added.push({
      server: it.server,
      ip,
      port: it.port,
      weight: it.weight,
      type: it.type,
      description: it.description ?? '',
    });
  }
  checkQuota(added, loadBalancer, context);
  group.backends.push(...added);
}

const addressOf = (id: string, { state }: Context): string =>
  [...state.interfaces.values()].find((it) => it.id === id)?.ip ?? '';

function removeMembers(group: Group, named: NamedBackend[]): void {
  group.backends = group.backends.filter((member) => !named.some((it) => isMember(member, it)));
}

/** All or nothing: with one member that isn't there no weight is changed. */
function setMembers(group: Group, named: NamedBackend[]): void {
  const found = named.map((it) => ({ it, member: group.backends.find((member) => isMember(member, it)) }));
  const unknown = found.find(({ member }) => member === undefined);
  if (unknown) {
    refuse(
      400,
      'InvalidBackendServers.Inconsistent',
      `${unknown.it.server}:${unknown.it.port} is not a member of the server group.`,
    );
  }
  for (const { it, member } of found) {
    member!.weight = it.weight;
    if (it.description !== undefined) member!.description = it.description;
  }
}

const members = (parameters: Parameters, { limits }: Context, name = 'BackendServers'): NamedBackend[] =>
  parseBackends(parameters.required(name), limits.backendsPerCall);

const answer = (group: Group, withIp: boolean): Json => ({
  VServerGroupId: group.id,
  BackendServers: { BackendServer: group.backends.map((it) => backendFields(it, withIp)) },
});

function associated(group: Group, parameters: Parameters, context: Context): Json {
  const { listeners } = homeOf(group, context);
  const Listener = listeners
    .filter((it) => it.group === group.id)
    .map((it) => ({ Port: it.port, Protocol: it.protocol }));
  const Rule = listeners.flatMap((it) =>
    it.rules
      .filter((rule) => rule.group === group.id)
      .map((rule) => ({ RuleId: rule.id, RuleName: rule.name, Domain: rule.domain, Url: rule.url })),
  );
  return {
    Listeners: { Listener: parameters.flag('IncludeListener') ? Listener : [] },
    Rules: { Rule: parameters.flag('IncludeRule') ? Rule : [] },
  };
}

export const groupActions: Record<string, Action> = {
  CreateVServerGroup: {
    requires: ['RegionId', 'LoadBalancerId'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      checkActive(loadBalancer);
      const name = parameters.text('VServerGroupName') ?? '';
      const named = parameters.text('BackendServers') === undefined ? [] : members(parameters, context);
      const now = context.clock.now();
      const group: Group = {
        id: context.ids('rsp', loadBalancer.id, name),
        loadBalancer: loadBalancer.id,
        name,
        backends: [],
        tags: newTags(parameters, context.limits.tagsPerResource),
        createdMs: now,
        busyUntilMs: now + context.rates.applyMs,
      };
      addMembers(group, named, context);
      context.state.groups.set(group.id, group);
      return answer(group, true);
    },
  },

  SetVServerGroupAttribute: {
    requires: ['RegionId', 'VServerGroupId'],
    run(parameters, context) {
      const group = findGroup(parameters, context);
      checkActive(homeOf(group, context));
      const named = parameters.text('BackendServers') === undefined ? [] : members(parameters, context);
      beginChange(group, context, GROUP_BUSY);
      setMembers(group, named);
      group.name = parameters.text('VServerGroupName') ?? group.name;
      return { ...answer(group, false), VServerGroupName: group.name };
    },
  },

  AddVServerGroupBackendServers: {
    requires: ['RegionId', 'VServerGroupId', 'BackendServers'],
    run(parameters, context) {
      const group = findGroup(parameters, context);
      checkActive(homeOf(group, context));
      const named = members(parameters, context);
      beginChange(group, context, MEMBERS_BUSY);
      addMembers(group, named, context);
      return answer(group, true);
    },
  },

  RemoveVServerGroupBackendServers: {
    requires: ['RegionId', 'VServerGroupId', 'BackendServers'],
    run(parameters, context) {
      const group = findGroup(parameters, context);
      checkActive(homeOf(group, context));
      const named = members(parameters, context);
      beginChange(group, context, MEMBERS_BUSY);
      removeMembers(group, named);
      return answer(group, true);
    },
  },

  ModifyVServerGroupBackendServers: {
    requires: ['RegionId', 'VServerGroupId'],
    run(parameters, context) {
      const group = findGroup(parameters, context);
      checkActive(homeOf(group, context));
      const old =
        parameters.text('OldBackendServers') === undefined ? [] : members(parameters, context, 'OldBackendServers');
      const added =
        parameters.text('NewBackendServers') === undefined ? [] : members(parameters, context, 'NewBackendServers');
      beginChange(group, context, MEMBERS_BUSY);
      const before = group.backends;
      removeMembers(group, old);
      try {
        addMembers(group, added, context);
      } catch (error) {
        group.backends = before;
        throw error;
      }
      return answer(group, true);
    },
  },

  DeleteVServerGroup: {
    requires: ['RegionId', 'VServerGroupId'],
    run(parameters, context) {
      const group = findGroup(parameters, context);
      const { listeners } = homeOf(group, context);
      if (listeners.some((it) => it.group === group.id)) {
        refuse(400, 'RspoolVipExist', 'there are vips associating with this vServer group.');
      }
      if (listeners.some((it) => it.rules.some((rule) => rule.group === group.id))) {
        refuse(400, 'RspoolRuleExist', 'there are rules associating with this vServer group.');
      }
      beginChange(group, context, GROUP_BUSY);
      context.state.groups.delete(group.id);
      return {};
    },
  },

  DescribeVServerGroups: {
    requires: ['RegionId', 'LoadBalancerId'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      const name = parameters.text('Description');
      const filter = parameters.tags();
      const found = groupsOf(loadBalancer.id, context).filter(
        (it) => (name === undefined || it.name === name) && carries(it.tags, filter),
      );
      return {
        VServerGroups: {
          VServerGroup: found.map((it) => ({
            VServerGroupId: it.id,
            VServerGroupName: it.name,
            ServerCount: it.backends.length,
            CreateTime: isoSeconds(it.createdMs),
            AssociatedObjects: associated(it, parameters, context),
            Tags: { Tag: tagList(it.tags) },
          })),
        },
      };
    },
  },

  DescribeVServerGroupAttribute: {
    requires: ['RegionId', 'VServerGroupId'],
    run(parameters, context) {
      const group = findGroup(parameters, context);
      return {
        ...answer(group, true),
        VServerGroupName: group.name,
        LoadBalancerId: group.loadBalancer,
        CreateTime: isoSeconds(group.createdMs),
        Tags: { Tag: tagList(group.tags) },
      };
    },
  },
};
