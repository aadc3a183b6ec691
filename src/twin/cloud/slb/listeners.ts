import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { tokenPageOf } from '../paging.js';
import { missing, type Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import type { Listener, LoadBalancer } from '../state.js';
import { carries, newTags, tagList } from '../tags.js';
import { beginChange, checkActive, findListener, findLoadBalancer } from './find.js';
import { FIELDS, type Field, PREFIXES } from './listener-fields.js';

const BUSY = { status: 400, code: 'ServiceIsConfiguring' };
const SCHEDULERS = ['wrr', 'wlc', 'rr', 'sch', 'tch'] as const;
const PROTOCOLS = ['tcp', 'udp', 'http', 'https'] as const;

function readField(parameters: Parameters, field: Field): string | number | boolean | undefined {
  switch (field.kind) {
    case 'number':
      return parameters.integer(field.name, field.min ?? 0, field.max ?? Number.MAX_SAFE_INTEGER);
    case 'boolean':
      return parameters.flag(field.name);
    case 'on/off':
      return parameters.oneOf(field.name, ['on', 'off']);
    case 'text':
      return parameters.text(field.name);
    default:
      return field.kind satisfies never;
  }
}

function readConfig(parameters: Parameters, protocol: Listener['protocol']): Listener['config'] {
  const config: Listener['config'] = {};
  for (const field of FIELDS[protocol]) {
    const value = readField(parameters, field);
    if (value !== undefined) config[field.name] = value;
  }
  // L4 listeners take HealthCheckSwitch and show HealthCheck.
  const healthCheck = parameters.oneOf('HealthCheckSwitch', ['on', 'off']);
  if (healthCheck !== undefined && (protocol === 'tcp' || protocol === 'udp')) config['HealthCheck'] = healthCheck;
  return config;
}

export const defaultConfig = (protocol: Listener['protocol']): Listener['config'] =>
  Object.fromEntries(FIELDS[protocol].flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));

function checkConfig({ config, protocol }: Pick<Listener, 'config' | 'protocol'>): void {
  if (config['ConnectionDrain'] === 'on' && !config['ConnectionDrainTimeout']) missing('ConnectionDrainTimeout');
  if (protocol !== 'http' && protocol !== 'https') return;
  if (config['StickySession'] === 'on') {
    if (config['StickySessionType'] === 'insert' && !config['CookieTimeout']) missing('CookieTimeout');
    else if (config['StickySessionType'] === 'server' && !config['Cookie']) missing('Cookie');
    else if (!config['StickySessionType']) missing('StickySessionType');
  }
  if (protocol === 'https' && !config['ServerCertificateId']) missing('ServerCertificateId');
}

/** The group must be one of the same load balancer. */
function checkGroup(id: string, loadBalancer: LoadBalancer, { state }: Context): string {
  const group = state.groups.get(id);
  if (!group) refuse(404, 'InvalidParameter', 'The specified VServerGroupId does not exist.');
  if (group.loadBalancer !== loadBalancer.id) {
    refuse(400, 'VipNotMatchRspool', 'The specified VServerGroupId does not belong to the load balancer.');
  }
  return id;
}

const sharesPort = (a: Listener['protocol'], b: Listener['protocol']): boolean => (a === 'udp') !== (b === 'udp');

function createListener(protocol: Listener['protocol']): Action {
  const l4 = protocol === 'tcp' || protocol === 'udp';
  return {
    requires: ['LoadBalancerId', 'ListenerPort', ...(l4 ? ['Bandwidth'] : [])],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      checkActive(loadBalancer);
      const port = parameters.integer('ListenerPort', 1, 65_535)!;
      if (loadBalancer.listeners.some((it) => it.port === port && !sharesPort(it.protocol, protocol))) {
        refuse(400, 'ListenerAlreadyExists', 'There is a listener on this port already.');
      }
      if (loadBalancer.listeners.length >= context.limits.listenersPerLoadBalancer) {
        refuse(400, 'ListenerNumberOverLimit', 'The number of listeners of the load balancer exceeds the limit.');
      }
      const group = parameters.text('VServerGroupId');
      const forwards = parameters.text('ListenerForward') === 'on';
      const backendPort = parameters.integer('BackendServerPort', 1, 65_535);
      if (group === undefined && backendPort === undefined && !forwards) missing('BackendServerPort');
      if (!l4 && !forwards) parameters.required('HealthCheck');

      const listener: Listener = {
        port,
        protocol,
        // It serves only after StartLoadBalancerListener.
        status: 'stopped',
        description: parameters.text('Description') ?? `${protocol}_${port}`,
        scheduler: parameters.oneOf('Scheduler', SCHEDULERS) ?? 'wrr',
        bandwidth: parameters.integer('Bandwidth', -1, 5120) ?? -1,
        group: group === undefined ? undefined : checkGroup(group, loadBalancer, context),
        backendPort,
        acl: {
          status: parameters.text('AclStatus') ?? 'off',
          type: parameters.text('AclType') ?? '',
          id: parameters.text('AclId') ?? '',
        },
        config: { ...defaultConfig(protocol), ...readConfig(parameters, protocol) },
        rules: [],
        domains: [],
        tags: newTags(parameters, context.limits.tagsPerResource),
      };
      checkConfig(listener);
      beginChange(loadBalancer, context, BUSY);
      loadBalancer.listeners.push(listener);
      return {};
    },
  };
}

/** What the request leaves out stays. A new group counts only together with `VServerGroup=on`. */
function setListener(protocol: Listener['protocol']): Action {
  return {
    requires: ['LoadBalancerId', 'ListenerPort'],
    dryRun: true,
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      checkActive(loadBalancer);
      const listener = findListener(parameters, loadBalancer, protocol);
      const scheduler = parameters.oneOf('Scheduler', SCHEDULERS) ?? listener.scheduler;
      const bandwidth = parameters.integer('Bandwidth', -1, 5120) ?? listener.bandwidth;
      const useGroup = parameters.oneOf('VServerGroup', ['on', 'off']);
      const group =
        useGroup === 'on' ? checkGroup(parameters.required('VServerGroupId'), loadBalancer, context) : listener.group;
      const config = { ...listener.config, ...readConfig(parameters, protocol) };
      checkConfig({ config, protocol });

      beginChange(loadBalancer, context, BUSY);
      Object.assign(listener, {
        scheduler,
        bandwidth,
        group: useGroup === 'off' ? undefined : group,
        config,
        description: parameters.text('Description') ?? listener.description,
        acl: {
          status: parameters.text('AclStatus') ?? listener.acl.status,
          type: parameters.text('AclType') ?? listener.acl.type,
          id: parameters.text('AclId') ?? listener.acl.id,
        },
      } satisfies Partial<Listener>);
      return {};
    },
  };
}

const fields = (it: Listener): Json => ({
  ListenerPort: it.port,
  Status: it.status,
  Scheduler: it.scheduler,
  ...(it.group === undefined ? {} : { VServerGroupId: it.group }),
  ...(it.backendPort === undefined ? {} : { BackendServerPort: it.backendPort }),
  Bandwidth: it.bandwidth,
  Description: it.description,
  AclStatus: it.acl.status,
  AclType: it.acl.type,
  AclId: it.acl.id,
});

function describeListener(protocol: Listener['protocol']): Action {
  return {
    requires: ['LoadBalancerId', 'ListenerPort'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      const listener = findListener(parameters, loadBalancer, protocol);
      return {
        ...fields(listener),
        ...listener.config,
        LoadBalancerId: loadBalancer.id,
        AclIds: { AclId: listener.acl.id === '' ? [] : listener.acl.id.split(',') },
        Tags: { Tag: tagList(listener.tags) },
        ...(protocol === 'udp' ? healthCheckSwitch(listener) : {}),
        ...(protocol === 'http' || protocol === 'https'
          ? { SecurityStatus: 'on', Rules: { Rule: listener.rules.map(ruleFields) } }
          : {}),
        ...(protocol === 'https' ? { DomainExtensions: { DomainExtension: listener.domains.map(domainFields) } } : {}),
      };
    },
  };
}

export const domainFields = (it: Listener['domains'][number]): Json => ({
  DomainExtensionId: it.id,
  Domain: it.domain,
  ServerCertificateId: it.certificate,
});

/** The list of listeners and the attributes of a UDP one give the switch a second time, under the name by which it is set. */
const healthCheckSwitch = ({ config, protocol }: Listener): Json =>
  protocol === 'tcp' || protocol === 'udp' ? { HealthCheckSwitch: config['HealthCheck'] } : {};

/** In the list true and false are texts, as the SDKs' types for it say; in a listener's own attributes they are not. */
const spelled = (config: Listener['config']): Json =>
  Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, typeof value === 'boolean' ? String(value) : value]),
  );

export const ruleFields = (it: Listener['rules'][number]): Json => ({
  RuleId: it.id,
  RuleName: it.name,
  Domain: it.domain,
  Url: it.url,
  VServerGroupId: it.group,
});

function power(status: Listener['status']): Action {
  return {
    requires: ['LoadBalancerId', 'ListenerPort'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      checkActive(loadBalancer);
      const listener = findListener(parameters, loadBalancer);
      if (status === 'running' && listener.status === 'running') {
        refuse(400, 'ListenerStatusNotSupport', 'The listener is running already.');
      }
      beginChange(loadBalancer, context, BUSY);
      listener.status = status;
      return {};
    },
  };
}

const byProtocol = (
  name: (prefix: string) => string,
  action: (protocol: Listener['protocol']) => Action,
): Record<string, Action> =>
  Object.fromEntries(PROTOCOLS.map((protocol) => [name(PREFIXES[protocol]), action(protocol)]));

export const listenerActions: Record<string, Action> = {
  ...byProtocol((prefix) => `CreateLoadBalancer${prefix}Listener`, createListener),
  ...byProtocol((prefix) => `SetLoadBalancer${prefix}ListenerAttribute`, setListener),
  ...byProtocol((prefix) => `DescribeLoadBalancer${prefix}ListenerAttribute`, describeListener),

  StartLoadBalancerListener: power('running'),
  StopLoadBalancerListener: power('stopped'),

  DeleteLoadBalancerListener: {
    requires: ['LoadBalancerId', 'ListenerPort'],
    run(parameters, context) {
      const loadBalancer = findLoadBalancer(parameters, context);
      checkActive(loadBalancer);
      const listener = findListener(parameters, loadBalancer);
      beginChange(loadBalancer, context, BUSY);
      loadBalancer.listeners.splice(loadBalancer.listeners.indexOf(listener), 1);
      return {};
    },
  },

  /** Flat lists, unlike everywhere else in this product. */
  DescribeLoadBalancerListeners: {
    run(parameters, { state }) {
      const ids = parameters.list('LoadBalancerId');
      const port = parameters.integer('ListenerPort', 1, 65_535);
      const protocol = parameters.oneOf('ListenerProtocol', PROTOCOLS);
      const region = parameters.text('RegionId');
      const filter = parameters.tags();
      const all = [...state.loadBalancers.values()]
        .filter((it) => (region === undefined || it.region === region) && (ids === undefined || ids.includes(it.id)))
        .flatMap((it) => it.listeners.map((listener) => ({ id: it.id, listener })))
        .filter(
          ({ listener: it }) =>
            (port ?? it.port) === it.port && (protocol ?? it.protocol) === it.protocol && carries(it.tags, filter),
        );
      const page = tokenPageOf(all, parameters, 20, 100);
      const { NextToken, MaxResults, TotalCount } = page.fields;
      return {
        NextToken,
        MaxResults,
        TotalCount,
        Listeners: page.items.map(({ id, listener }) => ({
          LoadBalancerId: id,
          ListenerProtocol: listener.protocol,
          ...fields(listener),
          AclIds: listener.acl.id === '' ? [] : listener.acl.id.split(','),
          Tags: tagList(listener.tags),
          [`${PREFIXES[listener.protocol]}ListenerConfig`]: {
            ...spelled(listener.config),
            ...healthCheckSwitch(listener),
          },
        })),
      };
    },
  },
};
