import { isMigrateError } from '../errors.js';
import type {
  Backend,
  Call,
  Clock,
  Cloud,
  Disk,
  Listener,
  LoadBalancer,
  SecurityGroup,
  SecurityRule,
  ServerGroup,
  Snapshot,
  Tap,
} from '../ports.js';
import { callCloud } from './errors.js';
import { alibabaDns, type AlidnsClient, type CallAlidns } from './alidns.js';
import { alibabaClb, isMissingGroup } from './clb.js';
import { paceOf } from './pace.js';
import { loadAlidns, loadEcs, loadSlb, type EcsClient } from './sdk.js';
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

/** The most that one call gives. @source ECS API, DescribeSecurityGroupAttribute */
const RULES_A_CALL = 1000;

/** The Cloud port over Alibaba Cloud's OpenAPI. SDKs are loaded when they are first used. */
export function alibabaCloud(options: CloudOptions): Cloud {
  const cloud = withNetworkLoadBalancers(classicCloud(options), options);
  return options.changes ? sharingReads(cloud, options.changes) : cloud;
}

function classicCloud(options: CloudOptions): Cloud {
  const { region } = options;
  const to = (verb: string, what: string, writes: boolean): Call => ({ to: 'cloud', verb, what, writes });
  const pace = paceOf(options.clock);
  let slbLoaded: Promise<SlbClient> | undefined;
  const ecsLoaded = new Map<string, Promise<EcsClient>>();

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
  const ecs = async <T>(
    inRegion: string,
    verb: string,
    what: string,
    writes: boolean,
    send: (client: EcsClient) => Promise<T>,
  ): Promise<T> => {
    const loading = ecsLoaded.get(inRegion) ?? loadEcs({ ...options, region: inRegion });
    ecsLoaded.set(inRegion, loading);
    loading.catch(() => ecsLoaded.delete(inRegion));
    const client = await loading;
    return callCloud(to(verb, what, writes), options, () => send(client));
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

  const permissions = async (inRegion: string, id: string): Promise<EcsPermission[]> => {
    const found: EcsPermission[] = [];
    let nextToken: string | undefined;
    do {
      const token = nextToken;
      const { body } = await ecs(inRegion, 'DescribeSecurityGroupAttribute', id, false, (it) =>
        it.describeSecurityGroupAttribute({
          regionId: inRegion,
          securityGroupId: id,
          maxResults: RULES_A_CALL,
          ...(token !== undefined && { nextToken: token }),
        }),
      );
      found.push(...(body?.permissions?.permission ?? []));
      nextToken = body?.nextToken === '' ? undefined : body?.nextToken;
    } while (nextToken !== undefined);
    return found;
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

    async disk(inRegion, id) {
      const { body } = await ecs(inRegion, 'DescribeDisks', id, false, (it) =>
        it.describeDisks({ regionId: inRegion, diskIds: JSON.stringify([id]) }),
      );
      const [found] = body?.disks?.disk ?? [];
      return found && diskFrom(found, inRegion);
    },

    async disks(inRegion, tag) {
      const { body } = await ecs(inRegion, 'DescribeDisks', `${tag.key}=${tag.value}`, false, (it) =>
        it.describeDisks({ regionId: inRegion, tag: [tag], maxResults: 100 }),
      );
      return (body?.disks?.disk ?? []).map((it) => diskFrom(it, inRegion));
    },

    async securityGroup(inRegion, id) {
      try {
        return { id, rules: (await permissions(inRegion, id)).map(ruleFrom) } satisfies SecurityGroup;
      } catch (error) {
        if (isMigrateError(error, 'CLOUD_REFUSED') && /\(InvalidSecurityGroupId\.NotFound\)/.test(error.what))
          return undefined;
        throw error;
      }
    },

    async snapshot(inRegion, id) {
      const { body } = await ecs(inRegion, 'DescribeSnapshots', id, false, (it) =>
        it.describeSnapshots({ regionId: inRegion, snapshotIds: JSON.stringify([id]) }),
      );
      const [found] = body?.snapshots?.snapshot ?? [];
      return found && snapshotFrom(found, inRegion);
    },

    async snapshots(inRegion, tag) {
      const { body } = await ecs(inRegion, 'DescribeSnapshots', `${tag.key}=${tag.value}`, false, (it) =>
        it.describeSnapshots({ regionId: inRegion, tag: [tag], maxResults: 100 }),
      );
      return (body?.snapshots?.snapshot ?? []).map((it) => snapshotFrom(it, inRegion));
    },

    async createSnapshot({ region: inRegion, disk, name, token, keepDays, tags }) {
      const { body } = await ecs(inRegion, 'CreateSnapshot', disk, true, (it) =>
        it.createSnapshot({
          diskId: disk,
          snapshotName: name,
          clientToken: token,
          tag: tagList(tags),
          ...(keepDays !== undefined && { retentionDays: keepDays }),
        }),
      );
      return body?.snapshotId ?? '';
    },

    async copySnapshot({ region: inRegion, snapshot, toRegion, name, token, encrypted, kmsKey, keepDays, tags }) {
      const { body } = await ecs(inRegion, 'CopySnapshot', `${snapshot} to ${toRegion}`, true, (it) =>
        it.copySnapshot({
          regionId: inRegion,
          snapshotId: snapshot,
          destinationRegionId: toRegion,
          destinationSnapshotName: name,
          destinationSnapshotDescription: name,
          clientToken: token,
          tag: tagList(tags),
          ...(encrypted && { encrypted }),
          ...(kmsKey !== undefined && { KMSKeyId: kmsKey }),
          ...(keepDays !== undefined && { retentionDays: keepDays }),
        }),
      );
      return body?.snapshotId ?? '';
    },

    async createDisk({
      region: inRegion,
      zone,
      snapshot,
      category,
      performanceLevel,
      sizeGiB,
      encrypted,
      kmsKey,
      name,
      token,
      tags,
    }) {
      const { body } = await ecs(inRegion, 'CreateDisk', `from ${snapshot}`, true, (it) =>
        it.createDisk({
          regionId: inRegion,
          snapshotId: snapshot,
          ...(zone !== '' && { zoneId: zone }),
          diskCategory: category,
          size: sizeGiB,
          diskName: name,
          clientToken: token,
          tag: tagList(tags),
          ...(performanceLevel !== undefined && { performanceLevel }),
          ...(encrypted && { encrypted }),
          ...(kmsKey !== undefined && { KMSKeyId: kmsKey }),
        }),
      );
      return body?.diskId ?? '';
    },

    async deleteSnapshot(inRegion, id) {
      await ecs(inRegion, 'DeleteSnapshot', id, true, (it) => it.deleteSnapshot({ snapshotId: id, force: true }));
    },

    async deleteDisk(inRegion, id) {
      await ecs(inRegion, 'DeleteDisk', id, true, (it) => it.deleteDisk({ diskId: id }));
    },
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

const tagList = (tags: Record<string, string>) => Object.entries(tags).map(([key, value]) => ({ key, value }));

interface EcsTags {
  tag?: { tagKey?: string; tagValue?: string }[];
}

const tagsFrom = (tags: EcsTags | undefined) =>
  Object.fromEntries((tags?.tag ?? []).map((it) => [it.tagKey ?? '', it.tagValue ?? '']));

export interface EcsDisk {
  diskId?: string;
  zoneId?: string;
  category?: string;
  performanceLevel?: string;
  size?: number;
  status?: string;
  encrypted?: boolean;
  KMSKeyId?: string;
  instanceId?: string;
  sourceSnapshotId?: string;
  tags?: EcsTags;
}

function healthCheckOf({
  healthCheck,
  healthCheckType,
  healthCheckInterval,
  unhealthyThreshold,
}: ListenerSettings): string {
  if (healthCheck !== 'on') return '';
  return `${healthCheckType ?? 'probe'} every ${healthCheckInterval ?? '?'} s, out after ${unhealthyThreshold ?? '?'}`;
}

const diskFrom = (it: EcsDisk, region: string): Disk => ({
  id: it.diskId ?? '',
  region,
  zone: it.zoneId ?? '',
  category: it.category ?? '',
  sizeGiB: it.size ?? 0,
  status: it.status ?? '',
  encrypted: it.encrypted ?? false,
  tags: tagsFrom(it.tags),
  ...(it.performanceLevel !== undefined && it.performanceLevel !== '' && { performanceLevel: it.performanceLevel }),
  ...(it.KMSKeyId !== undefined && it.KMSKeyId !== '' && { kmsKey: it.KMSKeyId }),
  ...(it.instanceId !== undefined && it.instanceId !== '' && { instance: it.instanceId }),
  ...(it.sourceSnapshotId !== undefined && it.sourceSnapshotId !== '' && { sourceSnapshot: it.sourceSnapshotId }),
});

export interface EcsPermission {
  direction?: string;
  ipProtocol?: string;
  portRange?: string;
  portRangeListId?: string;
  sourceCidrIp?: string;
  sourceGroupId?: string;
  sourcePrefixListId?: string;
  destCidrIp?: string;
  destGroupId?: string;
  destPrefixListId?: string;
  policy?: string;
  priority?: string | number;
}

/** What does not apply comes as an empty text. */
function ruleFrom(it: EcsPermission): SecurityRule {
  const direction = it.direction?.toLowerCase() === 'egress' ? 'egress' : 'ingress';
  const [cidr, group, networks] =
    direction === 'ingress'
      ? [it.sourceCidrIp, it.sourceGroupId, it.sourcePrefixListId]
      : [it.destCidrIp, it.destGroupId, it.destPrefixListId];
  const list = networks || it.portRangeListId;
  return {
    direction,
    protocol: (it.ipProtocol ?? '').toLowerCase(),
    ports: it.portRange ?? '',
    ...(cidr && { cidr }),
    ...(group && { group }),
    ...(list && { list }),
    policy: it.policy?.toLowerCase() === 'accept' ? 'Accept' : 'Drop',
    priority: Number(it.priority ?? 1),
  };
}

export interface EcsSnapshot {
  snapshotId?: string;
  status?: string;
  progress?: string;
  sourceDiskId?: string;
  sourceDiskSize?: string;
  sourceSnapshotId?: string;
  encrypted?: boolean;
  tags?: EcsTags;
}

const snapshotFrom = (it: EcsSnapshot, region: string): Snapshot => ({
  id: it.snapshotId ?? '',
  region,
  status: it.status ?? '',
  progress: Number.parseInt(it.progress ?? '0', 10) || 0,
  sourceDisk: it.sourceDiskId ?? '',
  sizeGiB: Number(it.sourceDiskSize ?? 0),
  encrypted: it.encrypted ?? false,
  tags: tagsFrom(it.tags),
  ...(it.sourceSnapshotId !== undefined && it.sourceSnapshotId !== '' && { sourceSnapshot: it.sourceSnapshotId }),
});
