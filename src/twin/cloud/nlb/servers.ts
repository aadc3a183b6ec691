import type { Json } from '../../types.js';
import { refuse } from '../errors.js';
import type { Parameters } from '../parameters.js';
import type { Action, Context } from '../product.js';
import { tokenPageOf } from '../paging.js';
import { findNlbGroup, usersOf } from './find.js';
import { checkIdle, startJob } from './jobs.js';
import { notFound, nlbRefusals, overQuota } from './refusals.js';
import type { NlbGroup, NlbServer } from './state.js';

const { missing, invalid } = nlbRefusals;
const BUSY = 'IncorrectStatus.serverGroup';
const TYPES = ['Ecs', 'Eni', 'Eci', 'Ip'] as const;
const MAX_WEIGHT = 100;
const MAX_PORT = 65_535;

/** A server as a request names it. */
interface Named {
  server: string;
  type: NlbServer['type'];
  ip: string;
  port: number | undefined;
  weight: number | undefined;
  description: string | undefined;
}

function whole(entry: Record<string, string>, name: string, at: number, max: number): number | undefined {
  const text = entry[name];
  if (text === undefined || text === '') return undefined;
  return /^\d+$/.test(text) && Number(text) <= max ? Number(text) : invalid(`Servers.${at}.${name}`);
}

function namedServers(parameters: Parameters, { limits }: Context): Named[] {
  const entries = parameters.entries('Servers') ?? missing('Servers');
  if (entries.length > limits.nlbServersPerCall)
    invalid('Servers', `At most ${limits.nlbServersPerCall} servers in one call.`);
  const named = entries.map((entry, index): Named => {
    const at = index + 1;
    const server = entry['ServerId'] || missing(`Servers.${at}.ServerId`);
    const text = entry['ServerType'] || missing(`Servers.${at}.ServerType`);
    const type = TYPES.find((it) => it.toLowerCase() === text.toLowerCase()) ?? invalid(`Servers.${at}.ServerType`);
    const { Description: description } = entry;
    if (description !== undefined && description !== '' && (description.length < 2 || description.length > 256))
      invalid(`Servers.${at}.Description`);
    return {
      server,
      type,
      ip: entry['ServerIp'] ?? '',
      port: whole(entry, 'Port', at, MAX_PORT),
      weight: whole(entry, 'Weight', at, MAX_WEIGHT),
      description: description === '' ? undefined : description,
    };
  });
  const seen = new Set<string>();
  for (const it of named) {
    const name = [it.type, it.server, it.ip, it.port].join('|');
    if (seen.has(name)) refuse(400, 'DuplicatedParam.Server', `The server ${it.server} is named twice.`);
    seen.add(name);
  }
  return named;
}

/** Port is part of what a server is: an update cannot change it. */
const isSame = (it: NlbServer, named: Named): boolean =>
  it.type === named.type &&
  it.server === named.server &&
  (named.ip === '' || it.ip === '' || it.ip === named.ip) &&
  (named.port === undefined || it.port === named.port);

const findServer = (group: NlbGroup, named: Named): NlbServer =>
  group.servers.find((it) => isSame(it, named)) ?? notFound('BackendServer', `${named.server}:${named.port ?? ''}`);

const isAddress = (text: string): boolean => /^(\d{1,3}\.){3}\d{1,3}$/.test(text);

/** Instances and interfaces must be of the group's VPC; an address may lie elsewhere, where a route leads to it. */
function checkServer({ server, type, ip }: Named, group: NlbGroup, context: Context): string {
  const { state, strictServers, firstVpc } = context;
  if ((group.type === 'Ip') !== (type === 'Ip'))
    refuse(400, 'Mismatch.ServerType', `A server of type ${type} does not go into a group of type ${group.type}.`);
  if (type === 'Ip') return isAddress(server) ? server : invalid('ServerId');
  const instance = type === 'Ecs' ? state.instances.get(server) : undefined;
  const plugged =
    type === 'Ecs'
      ? undefined
      : [...state.interfaces.values()].find((it) => it.id === server && (ip === '' || it.ip === ip));
  const region = instance?.region ?? plugged?.region;
  if (!strictServers) return plugged?.ip ?? ip;
  if (region === undefined || region !== group.region) notFound(type, server);
  const vpc = (instance ?? state.instances.get(plugged?.instance ?? ''))?.vpc ?? firstVpc();
  if (group.vpc !== vpc) refuse(400, 'Mismatch.VpcId', `The server ${server} is not in the VPC of the server group.`);
  return plugged?.ip ?? '';
}

function checkQuota(group: NlbGroup, added: NlbServer[], context: Context): void {
  const { limits, state } = context;
  if (group.servers.length + added.length > limits.nlbServersPerGroup) overQuota('servers of the server group');
  for (const { loadBalancer } of usersOf(group.id, context)) {
    const groups = new Set(loadBalancer.listeners.map((it) => it.group));
    const all = [...groups].reduce((sum, id) => sum + (state.nlb.groups.get(id)?.servers.length ?? 0), 0);
    if (all + added.length > limits.nlbServersPerLoadBalancer) overQuota('servers of the load balancer');
  }
  for (const { server } of added) {
    const others = [...state.nlb.groups.values()].filter((it) => it.servers.some((one) => one.server === server));
    if (others.length + 1 > limits.nlbGroupsPerServer) overQuota(`groups that ${server} is in`);
  }
}

function serverFields(it: NlbServer, group: NlbGroup, { state }: Context): Json {
  const instance = state.instances.get(it.server);
  return {
    ServerGroupId: group.id,
    ServerId: it.server,
    ServerIp: it.ip || (instance?.ip ?? ''),
    ServerType: it.type,
    Port: it.port,
    Weight: it.weight,
    Description: it.description,
    Status: it.status,
    ZoneId: instance?.zone ?? [...state.interfaces.values()].find((one) => one.id === it.server)?.zone ?? '',
  };
}

export const serverActions: Record<string, Action> = {
  AddServersToServerGroup: {
    requires: ['ServerGroupId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const group = findNlbGroup(parameters, context);
      const named = namedServers(parameters, context);
      checkIdle(group, context, BUSY);
      const added = named.map((it): NlbServer => {
        const ip = checkServer(it, group, context);
        if (it.port === undefined && !group.anyPort) missing('Servers.Port');
        const port = group.anyPort ? 0 : it.port!;
        if (group.servers.some((one) => isSame(one, { ...it, ip, port })))
          refuse(400, 'DuplicatedParam.Server', `The server ${it.server}:${port} is in the server group already.`);
        const { server, type, weight = 100, description = '' } = it;
        return { server, ip, type, port, weight, description, status: 'Adding' };
      });
      checkQuota(group, added, context);
      const job = startJob(context, 'AddServersToServerGroup', {
        about: group.id,
        busy: [group],
        begin: () => void group.servers.push(...added),
        end: () => added.forEach((it) => (it.status = 'Available')),
        fail: () => void (group.servers = group.servers.filter((it) => !added.includes(it))),
      });
      return { ServerGroupId: group.id, ...job };
    },
  },

  UpdateServerGroupServersAttribute: {
    requires: ['ServerGroupId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const group = findNlbGroup(parameters, context);
      const named = namedServers(parameters, context);
      checkIdle(group, context, BUSY);
      const found = named.map((it) => ({ it, server: findServer(group, it) }));
      const release = (): void => found.forEach(({ server }) => (server.status = 'Available'));
      const job = startJob(context, 'UpdateServerGroupServersAttribute', {
        about: group.id,
        busy: [group],
        begin: () => found.forEach(({ server }) => (server.status = 'Configuring')),
        end() {
          for (const { it, server } of found) {
            server.weight = it.weight ?? server.weight;
            server.description = it.description ?? server.description;
          }
          release();
        },
        fail: release,
      });
      return { ServerGroupId: group.id, ...job };
    },
  },

  RemoveServersFromServerGroup: {
    requires: ['ServerGroupId'],
    token: true,
    dryRun: true,
    run(parameters, context) {
      const group = findNlbGroup(parameters, context);
      const named = namedServers(parameters, context);
      checkIdle(group, context, BUSY);
      const leaving = named.map((it) => findServer(group, it));
      const job = startJob(context, 'RemoveServersFromServerGroup', {
        about: group.id,
        busy: [group],
        begin: () => leaving.forEach((it) => (it.status = 'Removing')),
        end: () => void (group.servers = group.servers.filter((it) => !leaving.includes(it))),
        fail: () => leaving.forEach((it) => (it.status = 'Available')),
      });
      return { ServerGroupId: group.id, ...job };
    },
  },

  ListServerGroupServers: {
    run(parameters, context) {
      const asked = parameters.text('ServerGroupId');
      const groups =
        asked === undefined ? [...context.state.nlb.groups.values()] : [findNlbGroup(parameters, context, asked)];
      const ids = parameters.list('ServerIds');
      if (ids && ids.length > 40) invalid('ServerIds');
      const rows = groups.flatMap((group) =>
        group.servers
          .filter((it) => ids === undefined || ids.includes(it.server))
          .map((it) => serverFields(it, group, context)),
      );
      const page = tokenPageOf(rows, parameters, 20, 100);
      return { ...pageFields(page), Servers: page.items };
    },
  },
};

/** NLB's pages have no PageSize. */
export function pageFields({ fields }: { fields: Record<string, string | number> }): Json {
  const { NextToken, MaxResults, TotalCount } = fields;
  return { NextToken, MaxResults, TotalCount };
}
