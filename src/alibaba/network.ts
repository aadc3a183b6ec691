import { isMigrateError, MigrateError } from '../errors.js';
import type { Backend, Clb, Clock, Cloud, Listener, LoadBalancer, ServerGroup } from '../ports.js';
import { spell } from '../words.js';
import type { CloudOptions } from './cloud.js';
import { callCloud } from './errors.js';
import type { NlbClient, NlbGroupBody, NlbListenerBody, NlbServerBody } from './nlb.js';
import { loadNlb } from './sdk.js';

/** One call of NLB: counted, repeated while it is worth it, its errors made ours. */
type CallNlb = <T>(verb: string, what: string, writes: boolean, send: (client: NlbClient) => Promise<T>) => Promise<T>;

/** What the Cloud port asks of load balancers and their groups, as NLB answers it. */
type NetworkLoadBalancers = Pick<Cloud, 'loadBalancer' | 'backends' | 'setWeights' | 'removeBackends' | 'clb'>;

/** The same port, where ids of NLB are answered by NLB. */
export function withNetworkLoadBalancers(classic: Cloud, options: CloudOptions): Cloud {
  let loaded: Promise<NlbClient> | undefined;
  const call: CallNlb = async (verb, what, writes, send) => {
    const client = await (loaded ??= loadNlb(options).catch((error: unknown) => {
      loaded = undefined;
      throw error;
    }));
    return callCloud({ to: 'cloud', verb, what, writes }, options, () => send(client));
  };
  const network = networkLoadBalancers(call, options.region, options.clock);
  const of = (id: string): NetworkLoadBalancers => (isOfNlb(id) ? network : classic);
  return {
    ...classic,
    loadBalancer: (id) => of(id).loadBalancer(id),
    backends: (group) => of(group).backends(group),
    setWeights: (group, members) => of(group).setWeights(group, members),
    removeBackends: (group, members) => of(group).removeBackends(group, members),
    clb: {
      listeners: (id) => of(id).clb.listeners(id),
      setListener: (id, listener, to) => of(id).clb.setListener(id, listener, to),
      createGroup: (id, name, members) => of(id).clb.createGroup(id, name, members),
      renameGroup: (group, name) => of(group).clb.renameGroup(group, name),
      deleteGroup: (group) => of(group).clb.deleteGroup(group),
      tag: (id, tags) => of(id).clb.tag(id, tags),
      untag: (id, keys) => of(id).clb.untag(id, keys),
    },
  };
}

/** An id of NLB: `nlb-…`, `sgp-…`. */
const isOfNlb = (id: string): boolean => /^(?:nlb|sgp)-/.test(id);

/**
 * The text of the API says 200, older text 40, and the controller sends 40.
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/config/controller_config.go (sg-batch-size)
 */
const MEMBERS_A_CALL = 40;
const PAGE = 100;
/** Groups that one call names. @source aliyun/alibabacloud-typescript-sdk:nlb-20220430/src/models/ListServerGroupsRequest.ts */
const GROUPS_A_CALL = 20;

/** Nobody publishes how long a job takes; the controller waits 30 s and goes on. We want to know. */
const JOB_MS = 120_000;

const WIRE_TYPES: Record<string, string> = { ecs: 'Ecs', eni: 'Eni', eci: 'Eci', ip: 'Ip' };

/**
 * Writes are asynchronous: each waits for its job. What a job has brought about is still to be read back by whoever asked for it.
 *
 * @throws MigrateError CLOUD_JOB_FAILED  beside those of every call
 */
function networkLoadBalancers(nlb: CallNlb, region: string, clock: Clock): NetworkLoadBalancers {
  const done = async (verb: string, what: string, jobId: string | undefined): Promise<void> => {
    if (jobId === undefined || jobId === '') return;
    const deadline = clock.now() + JOB_MS;
    for (let pause = 200; ; pause = Math.min(pause * 1.5, 2000)) {
      const { body } = await nlb('GetJobStatus', `${verb} ${what}`, false, (it) =>
        it.getJobStatus({ regionId: region, jobId }),
      );
      const status = body?.status ?? '';
      // One action of the API writes `processing`, another `Processing`.
      if (/^succeeded$/i.test(status)) return;
      if (!/^processing$/i.test(status) || clock.now() >= deadline) throw failed(verb, what, jobId, status);
      await clock.sleep(pause);
    }
  };

  const write = async (
    verb: string,
    what: string,
    send: (client: NlbClient) => Promise<{ body?: { jobId?: string } } | undefined>,
  ): Promise<void> => {
    const sent = await nlb(verb, what, true, send);
    await done(verb, what, sent?.body?.jobId);
  };

  const pages = async <T>(
    next: (nextToken: string | undefined) => Promise<{ items: T[]; nextToken?: string | undefined }>,
  ) => {
    const found: T[] = [];
    let token: string | undefined;
    do {
      const page = await next(token);
      found.push(...page.items);
      token = page.nextToken === '' ? undefined : page.nextToken;
    } while (token !== undefined);
    return found;
  };

  const listServers = async (client: NlbClient, group: string): Promise<Backend[]> => {
    const servers = await pages<NlbServerBody>(async (nextToken) => {
      const { body } = await client.listServerGroupServers({
        regionId: region,
        serverGroupId: group,
        maxResults: PAGE,
        ...(nextToken !== undefined && { nextToken }),
      });
      return { items: body?.servers ?? [], nextToken: body?.nextToken };
    });
    return servers.map(backendFrom);
  };

  const backends = (group: string): Promise<Backend[]> =>
    nlb('ListServerGroupServers', group, false, (it) => listServers(it, group));

  const listenersAt = (id: string): Promise<NlbListenerBody[]> =>
    nlb('ListListeners', id, false, (it) =>
      pages(async (nextToken) => {
        const { body } = await it.listListeners({
          regionId: region,
          loadBalancerIds: [id],
          maxResults: PAGE,
          ...(nextToken !== undefined && { nextToken }),
        });
        return { items: body?.listeners ?? [], nextToken: body?.nextToken };
      }),
    );

  const groupsOf = async (ids: readonly string[]): Promise<NlbGroupBody[]> => {
    const found: NlbGroupBody[] = [];
    for (let start = 0; start < ids.length; start += GROUPS_A_CALL) {
      const some = ids.slice(start, start + GROUPS_A_CALL);
      const { body } = await nlb('ListServerGroups', some.join(', '), false, (it) =>
        it.listServerGroups({ regionId: region, serverGroupIds: some, maxResults: PAGE }),
      );
      found.push(...(body?.serverGroups ?? []));
    }
    return found;
  };

  const behind = async (id: string) => {
    const at = await listenersAt(id);
    const groups = await groupsOf([...new Set(at.flatMap((it) => it.serverGroupId || []))]);
    return { at, groups };
  };

  const inBatches = async (members: readonly Backend[], send: (some: Backend[]) => Promise<void>): Promise<void> => {
    for (let start = 0; start < members.length; start += MEMBERS_A_CALL)
      await send(members.slice(start, start + MEMBERS_A_CALL));
  };

  const add = (group: string, members: readonly Backend[]): Promise<void> =>
    inBatches(members, (some) =>
      write('AddServersToServerGroup', group, async (it) => {
        // A member that is there already is an error here: an earlier try, whose reply was lost, may have added it.
        const there = await listServers(it, group);
        const servers = some.filter((one) => !there.some((other) => isSame(one, other)));
        if (servers.length === 0) return undefined;
        return it.addServersToServerGroup({ regionId: region, serverGroupId: group, servers: servers.map(full) });
      }),
    );

  return {
    async loadBalancer(id) {
      try {
        const [{ body }, { at, groups }] = await Promise.all([
          nlb('GetLoadBalancerAttribute', id, false, (it) =>
            it.getLoadBalancerAttribute({ regionId: region, loadBalancerId: id }),
          ),
          behind(id),
        ]);
        return {
          id,
          name: body?.loadBalancerName ?? '',
          address: body?.DNSName ?? '',
          addressType: (body?.addressType ?? '').toLowerCase(),
          region: body?.regionId ?? region,
          vpc: body?.vpcId ?? '',
          status: (body?.loadBalancerStatus ?? '').toLowerCase(),
          tags: Object.fromEntries((body?.tags ?? []).map((it) => [it.tagKey ?? '', it.tagValue ?? ''])),
          listeners: at.map((it) => listenerFrom(it, groups)),
          groups: await Promise.all(groups.map(async (it) => groupFrom(it, await backends(it.serverGroupId ?? '')))),
        } satisfies LoadBalancer;
      } catch (error) {
        if (isMigrateError(error, 'CLOUD_REFUSED') && /\(ResourceNotFound\.loadBalancer\)/i.test(error.what))
          return undefined;
        throw error;
      }
    },

    backends,

    setWeights: (group, members) =>
      inBatches(members, (some) =>
        write('UpdateServerGroupServersAttribute', group, (it) =>
          it.updateServerGroupServersAttribute({
            regionId: region,
            serverGroupId: group,
            servers: some.map((one) => ({ ...named(one), weight: one.weight })),
          }),
        ),
      ),

    removeBackends: (group, members) =>
      inBatches(members, (some) =>
        write('RemoveServersFromServerGroup', group, async (it) => {
          // An absent member is an error here, and would hold the others back.
          const there = await listServers(it, group);
          const servers = some.filter((one) => there.some((other) => isSame(one, other)));
          if (servers.length === 0) return undefined;
          return it.removeServersFromServerGroup({
            regionId: region,
            serverGroupId: group,
            servers: servers.map(named),
          });
        }),
      ),

    clb: {
      async listeners(loadBalancer) {
        const { at, groups } = await behind(loadBalancer);
        return at.map((it) => listenerFrom(it, groups));
      },

      /** The scheduler is the group's, and is set there first: a listener never sends by another than was asked for. */
      async setListener(loadBalancer, { port, protocol }, { group, scheduler }) {
        const [known] = await groupsOf([group]);
        if (known?.scheduler?.toLowerCase() !== scheduler.toLowerCase())
          await write('UpdateServerGroupAttribute', group, (it) =>
            it.updateServerGroupAttribute({
              regionId: region,
              serverGroupId: group,
              scheduler: scheduler.charAt(0).toUpperCase() + scheduler.slice(1).toLowerCase(),
            }),
          );
        const found = (await listenersAt(loadBalancer)).find(
          (it) => it.listenerPort === port && it.listenerProtocol?.toLowerCase() === protocol,
        );
        const listenerId = found?.listenerId;
        if (listenerId === undefined || found?.serverGroupId === group) return;
        await write('UpdateListenerAttribute', `${loadBalancer}:${port}`, (it) =>
          it.updateListenerAttribute({ regionId: region, listenerId, serverGroupId: group }),
        );
      },

      async createGroup(loadBalancer, name, members) {
        const { groups } = await behind(loadBalancer);
        const [like] = groups;
        const id = await nlb('CreateServerGroup', name, true, async (it) => {
          const { body: known } = await it.listServerGroups({
            regionId: region,
            serverGroupNames: [name],
            maxResults: PAGE,
          });
          const [found] = known?.serverGroups ?? [];
          if (found?.serverGroupId !== undefined) return found.serverGroupId;
          const { body } = await it.createServerGroup({
            regionId: region,
            serverGroupName: name,
            vpcId: like?.vpcId ?? '',
            serverGroupType: like?.serverGroupType ?? 'Instance',
            protocol: like?.protocol ?? 'TCP',
            scheduler: 'Wrr',
            preserveClientIpEnabled: like?.preserveClientIpEnabled ?? true,
          });
          return body?.serverGroupId ?? '';
        });
        if (members.length > 0) await add(id, members);
        return id;
      },

      renameGroup: (group, name) =>
        write('UpdateServerGroupAttribute', group, (it) =>
          it.updateServerGroupAttribute({ regionId: region, serverGroupId: group, serverGroupName: name }),
        ),

      async deleteGroup(group) {
        try {
          await write('DeleteServerGroup', group, (it) =>
            it.deleteServerGroup({ regionId: region, serverGroupId: group }),
          );
        } catch (error) {
          if (!isMigrateError(error, 'CLOUD_REFUSED') || !/\(ResourceNotFound\.serverGroup\)/i.test(error.what))
            throw error;
        }
      },

      tag: async (id, tags) => {
        const tag = Object.entries(tags).map(([key, value]) => ({ key, value }));
        await nlb('TagResources', id, true, (it) =>
          it.tagResources({ regionId: region, resourceType: typeOf(id), resourceId: [id], tag }),
        );
      },

      untag: async (id, keys) => {
        await nlb('UntagResources', id, true, (it) =>
          it.untagResources({ regionId: region, resourceType: typeOf(id), resourceId: [id], tagKey: [...keys] }),
        );
      },
    } satisfies Clb,
  };
}

const typeOf = (id: string) => (id.startsWith('sgp-') ? 'servergroup' : 'loadbalancer');

const failed = (verb: string, what: string, job: string, status: string) =>
  new MigrateError('CLOUD_JOB_FAILED', {
    what: `${verb} ${what}: job ${job} ${/^processing$/i.test(status) ? `is not done after ${spell(JOB_MS)}` : `ended with ${status || 'no status'}`}.`,
    why: 'The load balancer took the call and could not carry it out, or another change of the same thing was in its way.',
    fix: 'Run again: what was done is read back first. If it fails again, look at the operation in the console.',
    retryable: true,
    unsure: true,
  });

/** Members are told apart by server, address and port; the address of an instance says nothing. */
const isSame = (a: Backend, b: Backend): boolean =>
  a.server === b.server && a.port === b.port && (a.type === 'ecs' || a.ip === b.ip);

const named = ({ server, ip, port, type }: Backend) => ({
  serverId: server,
  serverType: WIRE_TYPES[type] ?? type,
  port,
  ...(ip !== undefined && { serverIp: ip }),
});

const full = (it: Backend) => ({
  ...named(it),
  weight: it.weight,
  ...(it.description !== '' && { description: it.description }),
});

function backendFrom(it: NlbServerBody): Backend {
  const type = (it.serverType ?? 'Ecs').toLowerCase();
  return {
    server: it.serverId ?? '',
    port: it.port ?? 0,
    weight: it.weight ?? 0,
    type,
    description: it.description ?? '',
    ...(type !== 'ecs' && it.serverIp && { ip: it.serverIp }),
    ...(it.status && it.status !== 'Available' && { pending: it.status }),
  };
}

const listenerFrom = (it: NlbListenerBody, groups: readonly NlbGroupBody[]): Listener => ({
  port: it.listenerPort ?? 0,
  protocol: (it.listenerProtocol ?? '').toLowerCase(),
  status: (it.listenerStatus ?? '').toLowerCase(),
  scheduler: (groups.find((one) => one.serverGroupId === it.serverGroupId)?.scheduler ?? '').toLowerCase(),
  ...(it.serverGroupId && { group: it.serverGroupId }),
});

const groupFrom = (it: NlbGroupBody, members: Backend[]): ServerGroup => ({
  id: it.serverGroupId ?? '',
  name: it.serverGroupName ?? '',
  backends: members,
  type: it.serverGroupType ?? 'Instance',
  protocol: (it.protocol ?? '').toLowerCase(),
  scheduler: (it.scheduler ?? '').toLowerCase(),
  vpc: it.vpcId ?? '',
  ...(it.serverGroupStatus && it.serverGroupStatus !== 'Available' && { pending: it.serverGroupStatus }),
  ...(it.connectionDrainEnabled && { drainS: it.connectionDrainTimeout ?? 0 }),
  tags: Object.fromEntries((it.tags ?? []).map((one) => [one.key ?? '', one.value ?? ''])),
});
