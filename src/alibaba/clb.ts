import { isMigrateError, type MigrateError } from '../errors.js';
import type { Backend, Clb, Listener } from '../ports.js';
import type { SetListener, SlbClient } from './slb.js';

/** One call of CLB: counted, repeated while it is worth it, its errors made ours. */
export type CallSlb = <T>(
  verb: string,
  what: string,
  writes: boolean,
  send: (client: SlbClient) => Promise<T>,
) => Promise<T>;

const SETTERS = {
  tcp: [
    'SetLoadBalancerTCPListenerAttribute',
    (it: SlbClient, request: SetListener) => it.setLoadBalancerTCPListenerAttribute(request),
  ],
  udp: [
    'SetLoadBalancerUDPListenerAttribute',
    (it: SlbClient, request: SetListener) => it.setLoadBalancerUDPListenerAttribute(request),
  ],
  http: [
    'SetLoadBalancerHTTPListenerAttribute',
    (it: SlbClient, request: SetListener) => it.setLoadBalancerHTTPListenerAttribute(request),
  ],
  https: [
    'SetLoadBalancerHTTPSListenerAttribute',
    (it: SlbClient, request: SetListener) => it.setLoadBalancerHTTPSListenerAttribute(request),
  ],
} as const;

/** The parts of a load balancer that change while it is handed over. */
export function alibabaClb(
  slb: CallSlb,
  region: string,
  {
    listeners,
    backends,
    addBackends,
  }: {
    listeners(loadBalancer: string): Promise<Listener[]>;
    backends(group: string): Promise<Backend[]>;
    addBackends(group: string, members: Backend[]): Promise<void>;
  },
): Clb {
  const groupNamed = async (client: SlbClient, loadBalancer: string, name: string): Promise<string | undefined> => {
    const { body } = await client.describeVServerGroups({ regionId: region, loadBalancerId: loadBalancer });
    return body?.VServerGroups?.VServerGroup?.find((it) => it.VServerGroupName === name)?.VServerGroupId;
  };

  return {
    listeners,

    async setListener(loadBalancer, { port, protocol }, { group, scheduler }) {
      const [verb, send] = SETTERS[protocol as keyof typeof SETTERS] ?? SETTERS.tcp;
      await slb(verb, `${loadBalancer}:${port}`, true, (it) =>
        send(it, {
          regionId: region,
          loadBalancerId: loadBalancer,
          listenerPort: port,
          VServerGroup: 'on',
          VServerGroupId: group,
          scheduler,
        }),
      );
    },

    async createGroup(loadBalancer, name, members) {
      // The action has no token: each try looks first whether an earlier one, whose reply was lost, has made it.
      const id = await slb('CreateVServerGroup', `${name} in ${loadBalancer}`, true, async (it) => {
        const known = await groupNamed(it, loadBalancer, name);
        if (known !== undefined) return known;
        const { body } = await it.createVServerGroup({
          regionId: region,
          loadBalancerId: loadBalancer,
          VServerGroupName: name,
        });
        return body?.VServerGroupId ?? '';
      });
      const there = await backends(id);
      const missing = members.filter((it) => !there.some((other) => isSame(it, other)));
      if (missing.length > 0) await addBackends(id, missing);
      return id;
    },

    renameGroup: async (group, name) => {
      await slb('SetVServerGroupAttribute', group, true, (it) =>
        it.setVServerGroupAttribute({ regionId: region, VServerGroupId: group, VServerGroupName: name }),
      );
    },

    async deleteGroup(group) {
      try {
        await slb('DeleteVServerGroup', group, true, (it) =>
          it.deleteVServerGroup({ regionId: region, VServerGroupId: group }),
        );
      } catch (error) {
        if (!isMigrateError(error, 'CLOUD_REFUSED') || !isMissingGroup(error)) throw error;
      }
    },

    tag: async (loadBalancer, tags) => {
      const tag = Object.entries(tags).map(([key, value]) => ({ key, value }));
      await slb('TagResources', loadBalancer, true, (it) =>
        it.tagResources({ regionId: region, resourceType: 'instance', resourceId: [loadBalancer], tag }),
      );
    },

    untag: async (loadBalancer, keys) => {
      await slb('UntagResources', loadBalancer, true, (it) =>
        it.untagResources({
          regionId: region,
          resourceType: 'instance',
          resourceId: [loadBalancer],
          tagKey: [...keys],
        }),
      );
    },
  };
}

/** The code that the API has for a group that is not there. */
export const isMissingGroup = ({ what }: MigrateError): boolean => /\(InvalidParameter\)/.test(what);

const isSame = (a: Backend, b: Backend): boolean => a.server === b.server && a.port === b.port && a.ip === b.ip;
