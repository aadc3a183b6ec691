import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import { tokenPageOf } from '../paging.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { newTags } from '../tags.js';
import { findNlb, findNlbGroup, findNlbListener, hasOneOf, keyedTags } from './find.js';
import { checkIdle, startJob } from './jobs.js';
import { nlbRefusals, overQuota } from './refusals.js';
import { pageFields } from './servers.js';
import type { Nlb, NlbGroup, NlbListener } from './state.js';

const { invalid } = nlbRefusals;
const BUSY = 'IncorrectStatus.listener';
const MAX_NAMED = 20;

function listenerFields(it: NlbListener, loadBalancer: Nlb, { clock }: Context): Json {
  return {
    ...it.config,
    ListenerId: it.id,
    ListenerPort: it.port,
    StartPort: it.startPort,
    EndPort: it.endPort,
    ListenerProtocol: it.protocol,
    ListenerStatus: clock.now() < it.busyUntilMs ? 'Configuring' : it.status,
    ListenerDescription: it.description,
    LoadBalancerId: loadBalancer.id,
    RegionId: loadBalancer.region,
    ServerGroupId: it.group,
    IdleTimeout: it.idleTimeout,
    Tags: keyedTags(it.tags),
  };
}

/** TCPSSL needs a TCP group that does not preserve the client's address; the others their own protocol or TCP_UDP. */
function checkFits(protocol: NlbListener['protocol'], group: NlbGroup, loadBalancer: Nlb): void {
  const fits = protocol === 'TCPSSL' ? group.protocol === 'TCP' : [protocol, 'TCP_UDP'].includes(group.protocol);
  if (!fits)
    refuse(400, 'Mismatch.Protocol', `A ${protocol} listener does not go with a ${group.protocol} server group.`);
  if (protocol === 'TCPSSL' && group.preserveClientIp)
    refuse(400, 'Conflict.PreserveClientIp', 'A TCPSSL listener needs a server group without PreserveClientIp.');
  if (group.vpc !== loadBalancer.vpc && group.type === 'Instance')
    refuse(400, 'Mismatch.VpcId', `The server group ${group.id} is not in the VPC of the load balancer.`);
}

const STORED = [
  'AlpnEnabled',
  'AlpnPolicy',
  'CaEnabled',
  'Cps',
  'Mss',
  'ProxyProtocolEnabled',
  'SecSensorEnabled',
  'SecurityPolicyId',
];

function config(parameters: Parameters): Record<string, Json> {
  const given: Record<string, Json> = {};
  for (const name of STORED) {
    const text = parameters.text(name);
    if (text !== undefined)
      given[name] = /^\d+$/.test(text) ? Number(text) : /^(true|false)$/.test(text) ? text === 'true' : text;
  }
  for (const name of ['CertificateIds', 'CaCertificateIds']) {
    const list = parameters.list(name);
    if (list) given[name] = list;
  }
  return given;
}

function change(status: NlbListener['status'], action: string): Action {
  return {
    requires: ['ListenerId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const { listener } = findNlbListener(parameters, context);
      checkIdle(listener, context, BUSY);
      return startJob(context, action, {
        about: listener.id,
        busy: [listener],
        end: () => void (listener.status = status),
      });
    },
  };
}

export const listenerActions: Record<string, Action> = {
  ListListeners: {
    run(parameters, context) {
      const { state } = context;
      const region = parameters.text('RegionId') ?? state.region;
      const [loadBalancers, ids] = (['LoadBalancerIds', 'ListenerIds'] as const).map((name) => {
        const list = parameters.list(name);
        return list && list.length > MAX_NAMED ? invalid(name) : list;
      });
      const protocol = parameters.text('ListenerProtocol');
      const filter = parameters.tags();
      const rows = [...state.nlb.loadBalancers.values()]
        .filter((it) => it.region === region && (loadBalancers === undefined || loadBalancers.includes(it.id)))
        .flatMap((loadBalancer) =>
          loadBalancer.listeners
            .filter(
              (it) =>
                (ids === undefined || ids.includes(it.id)) &&
                (protocol === undefined || it.protocol === protocol) &&
                hasOneOf(it.tags, filter),
            )
            .map((it) => listenerFields(it, loadBalancer, context)),
        );
      const page = tokenPageOf(rows, parameters, 20, 100);
      return { ...pageFields(page), Listeners: page.items };
    },
  },

  GetListenerAttribute: {
    requires: ['ListenerId'],
    run(parameters, context) {
      const { loadBalancer, listener } = findNlbListener(parameters, context);
      return listenerFields(listener, loadBalancer, context);
    },
  },

  CreateListener: {
    requires: ['LoadBalancerId', 'ListenerProtocol', 'ServerGroupId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const loadBalancer = findNlb(parameters, context);
      const group = findNlbGroup(parameters, context);
      const protocol = parameters.oneOf('ListenerProtocol', ['TCP', 'UDP', 'TCPSSL'])!;
      const startPort = parameters.text('StartPort') ?? '';
      const port =
        startPort === '' ? (parameters.integer('ListenerPort', 1, 65_535) ?? nlbRefusals.missing('ListenerPort')) : 0;
      if (loadBalancer.listeners.length >= context.limits.listenersPerLoadBalancer) overQuota('listeners');
      // TCP and TCPSSL share their ports, UDP has its own.
      const kind = (it: string): string => (it === 'UDP' ? 'UDP' : 'TCP');
      const taken = loadBalancer.listeners.some(
        (it) => it.port === port && it.startPort === startPort && kind(it.protocol) === kind(protocol),
      );
      if (taken) refuse(400, 'ResourceAlreadyExist.Listener', `A listener uses port ${port || startPort} already.`);
      checkFits(protocol, group, loadBalancer);
      checkIdle(loadBalancer, context, 'Conflict.Lock');
      const listener: NlbListener = {
        id: `${context.ids('lsn', loadBalancer.id, protocol)}@${port || startPort}`,
        port,
        startPort,
        endPort: parameters.text('EndPort') ?? '',
        protocol,
        status: 'Running',
        description: parameters.text('ListenerDescription') ?? '',
        group: group.id,
        idleTimeout: parameters.integer('IdleTimeout', 1, 900) ?? 900,
        config: config(parameters),
        tags: newTags(parameters, context.limits.tagsPerResource),
        busyUntilMs: 0,
      };
      const job = startJob(context, 'CreateListener', {
        about: listener.id,
        busy: [listener],
        end: () => void loadBalancer.listeners.push(listener),
      });
      return { ListenerId: listener.id, ...job };
    },
  },

  UpdateListenerAttribute: {
    requires: ['ListenerId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const { loadBalancer, listener } = findNlbListener(parameters, context);
      const id = parameters.text('ServerGroupId');
      const group = id === undefined ? undefined : findNlbGroup(parameters, context, id);
      if (group) checkFits(listener.protocol, group, loadBalancer);
      checkIdle(listener, context, BUSY);
      const description = parameters.text('ListenerDescription');
      const idleTimeout = parameters.integer('IdleTimeout', 1, 900);
      const given = config(parameters);
      return startJob(context, 'UpdateListenerAttribute', {
        about: listener.id,
        busy: [listener],
        end() {
          listener.group = group?.id ?? listener.group;
          listener.description = description ?? listener.description;
          listener.idleTimeout = idleTimeout ?? listener.idleTimeout;
          Object.assign(listener.config, given);
        },
      });
    },
  },

  StartListener: change('Running', 'StartListener'),
  StopListener: change('Stopped', 'StopListener'),

  DeleteListener: {
    requires: ['ListenerId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const { loadBalancer, listener } = findNlbListener(parameters, context);
      checkIdle(listener, context, BUSY);
      return startJob(context, 'DeleteListener', {
        about: listener.id,
        busy: [listener],
        end: () => void (loadBalancer.listeners = loadBalancer.listeners.filter((it) => it !== listener)),
      });
    },
  },

  GetListenerHealthStatus: {
    requires: ['ListenerId'],
    run(parameters, context) {
      const { listener } = findNlbListener(parameters, context);
      const group = context.state.nlb.groups.get(listener.group);
      const isChecked = group?.healthCheck['HealthCheckEnabled'] !== false;
      // Healthy ones are not listed.
      const NonNormalServers = (group?.servers ?? []).flatMap((it): Json[] => {
        const ip = it.ip || (context.state.instances.get(it.server)?.ip ?? '');
        const status = !isChecked
          ? 'Unavailable'
          : context.health(it.server, ip, it.port) === 'abnormal'
            ? 'Unhealthy'
            : undefined;
        if (status === undefined) return [];
        const Reason = status === 'Unhealthy' ? { Reason: { ReasonCode: 'CONNECT_FAILED' } } : {};
        return [{ ServerId: it.server, ServerIp: ip, Port: it.port, Status: status, ...Reason }];
      });
      return {
        TotalCount: 1,
        ListenerHealthStatus: [
          {
            ListenerId: listener.id,
            ListenerPort: listener.port,
            ListenerProtocol: listener.protocol,
            // Spelt so by the product.
            ServerGroupInfos: [{ ServerGroupId: listener.group, HeathCheckEnabled: isChecked, NonNormalServers }],
          },
        ],
      };
    },
  },
};
