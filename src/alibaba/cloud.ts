import { isMigrateError } from '../errors.js';
import type { Backend, Call, Clock, Cloud, Listener, LoadBalancer, ServerGroup, Tap } from '../ports.js';
import { callCloud } from './errors.js';
import { alibabaDns, type AlidnsClient, type CallAlidns } from './alidns.js';
import { alibabaClb, isMissingGroup } from './clb.js';
import { ecsCloud } from './ecs.js';
import { paceOf, slbCalls } from './pace.js';
import { loadAlidns, loadSlb } from './sdk.js';
import { withNetworkLoadBalancers } from './network.js';
import { sharingReads } from './sharing.js';
import type { ListenersBody, ListenerSettings, SlbClient } from './slb.js';

export interface CloudOptions {
  region: string;
  /** `http://127.0.0.1:PORT` of an emulator; undefined for the vendor's own endpoints */
  endpoint?: string;
  /** instead of the usual credential chain */
  keys?: { accessKeyId: string; accessKeySecret: string };
  clock: Clock;
  tap: Tap;
  /** how many writes have ended so far, wherever they went; without it no read is shared */
  changes?: () => number;
}

/** The API's limit for one call. @source SLB API, SetVServerGroupAttribute: TooManyBackendServers */
const MEMBERS_A_CALL = 20;

/** The Cloud port over Alibaba Cloud's OpenAPI. SDKs are loaded when they are first used. */
export function alibabaCloud(options: CloudOptions): Cloud {
  const cloud = withNetworkLoadBalancers(classicCloud(options), options);
  return options.changes ? sharingReads(cloud, options.changes) : cloud;
}

function classicCloud(options: CloudOptions): Cloud {
  const { region } = options;
  const to = (verb: string, what: string, writes: boolean): Call => ({ to: 'cloud', verb, what, writes });
  const pace = paceOf(options.clock, slbCalls);
  let slbLoaded: Promise<SlbClient> | undefined;

  const slb = async <T>(
    verb: string,
    what: string,
    writes: boolean,
    send: (client: SlbClient) => Promise<T>,
  ): Promise<T> => {
    const client = await (slbLoaded ??= loadSlb(options).catch((error: unknown) => {
      slbLoaded = undefined;
      throw error;
    }));
    return callCloud(to(verb, what, writes), { ...options, pace }, () => send(client));
  };
  let alidnsLoaded: Promise<AlidnsClient> | undefined;
  const alidns: CallAlidns = async (verb, what, writes, send) => {
    const client = await (alidnsLoaded ??= loadAlidns(options).catch((error: unknown) => {
      alidnsLoaded = undefined;
      throw error;
    }));
    return callCloud(to(verb, what, writes), options, () => send(client));
  };

  const backends = async (group: string): Promise<Backend[]> => {
    const { body } = await slb('DescribeVServerGroupAttribute', group, false, (it) =>
      it.describeVServerGroupAttribute({ regionId: region, VServerGroupId: group }),
    );
    return (body?.backendServers?.backendServer ?? []).map(
      ({ serverId = '', serverIp, port = 0, weight = 0, type = 'ecs', description = '' }) => ({
        server: serverId,
        port,
        weight,
        type,
        description,
        ...(serverIp !== undefined && serverIp !== '' && { ip: serverIp }),
      }),
    );
  };

  const listeners = async (id: string): Promise<Listener[]> => {
    const found: NonNullable<ListenersBody['listeners']> = [];
    let nextToken: string | undefined;
    do {
      const token = nextToken;
      const { body } = await slb('DescribeLoadBalancerListeners', id, false, (it) =>
        it.describeLoadBalancerListeners({
          regionId: region,
          loadBalancerId: [id],
          maxResults: 100,
          ...(token !== undefined && { nextToken: token }),
        }),
      );
      found.push(...(body?.listeners ?? []));
      nextToken = body?.nextToken === '' ? undefined : body?.nextToken;
    } while (nextToken !== undefined);
    return found.map((it) => {
      const sticky = (it.HTTPListenerConfig ?? it.HTTPSListenerConfig)?.stickySession;
      const settings =
        it.TCPListenerConfig ?? it.UDPListenerConfig ?? it.HTTPListenerConfig ?? it.HTTPSListenerConfig ?? {};
      return {
        port: it.listenerPort ?? 0,
        protocol: (it.listenerProtocol ?? '').toLowerCase(),
        status: it.status ?? '',
        scheduler: it.scheduler ?? '',
        ...(it.VServerGroupId !== undefined && it.VServerGroupId !== '' && { group: it.VServerGroupId }),
        ...(it.TCPListenerConfig?.persistenceTimeout !== undefined && {
          persistenceS: it.TCPListenerConfig.persistenceTimeout,
        }),
        ...(sticky !== undefined && { stickySession: sticky === 'on' }),
        ...(settings.connectionDrain !== undefined && {
          drainS: settings.connectionDrain === 'on' ? (settings.connectionDrainTimeout ?? 0) : 0,
        }),
        ...(settings.healthCheck !== undefined && { healthCheck: healthCheckOf(settings) }),
      };
    });
  };

  const inBatches = async (
    group: string,
    members: Backend[],
    verb: string,
    send: (client: SlbClient, backendServers: string) => Promise<unknown>,
  ) => {
    for (let start = 0; start < members.length; start += MEMBERS_A_CALL) {
      const backendServers = JSON.stringify(members.slice(start, start + MEMBERS_A_CALL).map(memberOnWire));
      await slb(verb, group, true, (it) => send(it, backendServers));
    }
  };

  return {
    ...ecsCloud(options),

    async loadBalancer(id) {
      try {
        const { body } = await slb('DescribeLoadBalancerAttribute', id, false, (it) =>
          it.describeLoadBalancerAttribute({ regionId: region, loadBalancerId: id }),
        );
        const [found, { body: groups }] = await Promise.all([
          listeners(id),
          slb('DescribeVServerGroups', id, false, (it) =>
            it.describeVServerGroups({ regionId: region, loadBalancerId: id }),
          ),
        ]);
        const named = groups?.VServerGroups?.VServerGroup ?? [];
        const filled = await Promise.all(
          named.map(async ({ VServerGroupId = '', VServerGroupName = '' }): Promise<ServerGroup[]> => {
            try {
              return [{ id: VServerGroupId, name: VServerGroupName, backends: await backends(VServerGroupId) }];
            } catch (error) {
              // Deleted since the list was read.
              if (isMigrateError(error, 'CLOUD_REFUSED') && isMissingGroup(error)) return [];
              throw error;
            }
          }),
        );
        return {
          id,
          name: body?.loadBalancerName ?? '',
          address: body?.address ?? '',
          addressType: body?.addressType ?? '',
          region: body?.regionId ?? region,
          vpc: body?.vpcId ?? '',
          status: body?.loadBalancerStatus ?? '',
          tags: Object.fromEntries((body?.tags?.tag ?? []).map((it) => [it.tagKey ?? '', it.tagValue ?? ''])),
          listeners: found,
          groups: filled.flat(),
        } satisfies LoadBalancer;
      } catch (error) {
        if (isMigrateError(error, 'CLOUD_REFUSED') && /\(InvalidLoadBalancerId\.NotFound\)/.test(error.what))
          return undefined;
        throw error;
      }
    },

    backends,
    dns: alibabaDns(alidns),

    setWeights: (group, members) =>
      inBatches(group, members, 'SetVServerGroupAttribute', (it, backendServers) =>
        it.setVServerGroupAttribute({ regionId: region, VServerGroupId: group, backendServers }),
      ),

    removeBackends: (group, members) =>
      inBatches(group, members, 'RemoveVServerGroupBackendServers', (it, backendServers) =>
        it.removeVServerGroupBackendServers({ regionId: region, VServerGroupId: group, backendServers }),
      ),

    clb: alibabaClb(slb, region, {
      listeners,
      backends,
      addBackends: (group, members) =>
        inBatches(group, members, 'AddVServerGroupBackendServers', (it, backendServers) =>
          it.addVServerGroupBackendServers({ regionId: region, VServerGroupId: group, backendServers }),
        ),
    }),
  };
}

const memberOnWire = ({ server, ip, port, weight, type, description }: Backend) => ({
  ServerId: server,
  Port: String(port),
  Weight: String(weight),
  Type: type,
  ...(ip !== undefined && { ServerIp: ip }),
  ...(description !== '' && { Description: description }),
});

function healthCheckOf({
  healthCheck,
  healthCheckType,
  healthCheckInterval,
  unhealthyThreshold,
}: ListenerSettings): string {
  if (healthCheck !== 'on') return '';
  return `${healthCheckType ?? 'probe'} every ${healthCheckInterval ?? '?'} s, out after ${unhealthyThreshold ?? '?'}`;
}
