import { isMigrateError } from '../errors.js';
import type { Cloud, Disk, SecurityGroup, SecurityRule, Snapshot, SoldDisks } from '../ports.js';
import type { CloudOptions } from './cloud.js';
import { callCloud } from './errors.js';
import { ecsCalls, paceOf, type Pace } from './pace.js';
import { loadEcs, type EcsClient } from './sdk.js';

/** What the Cloud port asks of disks, snapshots and security groups. */
type Ecs = Pick<
  Cloud,
  | 'disk'
  | 'disks'
  | 'sold'
  | 'securityGroup'
  | 'snapshots'
  | 'createSnapshot'
  | 'copySnapshot'
  | 'createDisk'
  | 'deleteSnapshot'
  | 'deleteDisk'
>;

/** The most that one call gives, or is asked for. @source ECS API: DescribeSecurityGroupAttribute, DescribeDisks, DescribeSnapshots */
const RULES_A_CALL = 1000;
const DISKS_A_CALL = 500;
const SNAPSHOTS_A_CALL = 100;
const IDS_A_CALL = 100;

/** The Cloud port's part that is ECS. A request goes to the endpoint of the region that it is about. */
export function ecsCloud(options: CloudOptions): Ecs {
  const loaded = new Map<string, Promise<EcsClient>>();
  const paces = new Map<string, Pace>();

  const paceIn = (region: string): Pace => {
    const pace = paces.get(region) ?? paceOf(options.clock, ecsCalls);
    paces.set(region, pace);
    return pace;
  };

  const call = async <T>(
    region: string,
    verb: string,
    what: string,
    writes: boolean,
    send: (client: EcsClient) => Promise<T>,
  ): Promise<T> => {
    const loading = loaded.get(region) ?? loadEcs({ ...options, region });
    loaded.set(region, loading);
    loading.catch(() => loaded.delete(region));
    const client = await loading;
    return callCloud({ to: 'cloud', verb, what, writes }, { ...options, pace: paceIn(region) }, () => send(client));
  };

  const permissions = (region: string, id: string): Promise<EcsPermission[]> =>
    allPages(async (next) => {
      const { body } = await call(region, 'DescribeSecurityGroupAttribute', id, false, (it) =>
        it.describeSecurityGroupAttribute({ regionId: region, securityGroupId: id, maxResults: RULES_A_CALL, ...next }),
      );
      return { items: body?.permissions?.permission, nextToken: body?.nextToken };
    });

  return {
    disk: together(async (region, ids) => {
      const { body } = await call(region, 'DescribeDisks', named(ids), false, (it) =>
        it.describeDisks({ regionId: region, diskIds: JSON.stringify(ids), maxResults: DISKS_A_CALL }),
      );
      return (body?.disks?.disk ?? []).map((it) => diskFrom(it, region));
    }),

    async disks(region, tag) {
      const found = await allPages(async (next) => {
        const { body } = await call(region, 'DescribeDisks', `${tag.key}=${tag.value}`, false, (it) =>
          it.describeDisks({ regionId: region, tag: [tag], maxResults: DISKS_A_CALL, ...next }),
        );
        return { items: body?.disks?.disk, nextToken: body?.nextToken };
      });
      return found.map((it) => diskFrom(it, region));
    },

    async sold(region, zone) {
      const { body } = await call(region, 'DescribeAvailableResource', zone, false, (it) =>
        it.describeAvailableResource({ regionId: region, zoneId: zone, destinationResource: 'DataDisk' }),
      );
      return (body?.availableZones?.availableZone ?? []).filter((it) => it.zoneId === zone).flatMap(soldIn);
    },

    async securityGroup(region, id) {
      try {
        return { id, rules: (await permissions(region, id)).map(ruleFrom) } satisfies SecurityGroup;
      } catch (error) {
        if (isMigrateError(error, 'CLOUD_REFUSED') && /\(InvalidSecurityGroupId\.NotFound\)/.test(error.what))
          return undefined;
        throw error;
      }
    },

    async snapshots(region, tag) {
      const found = await allPages(async (next) => {
        const { body } = await call(region, 'DescribeSnapshots', `${tag.key}=${tag.value}`, false, (it) =>
          it.describeSnapshots({ regionId: region, tag: [tag], maxResults: SNAPSHOTS_A_CALL, ...next }),
        );
        return { items: body?.snapshots?.snapshot, nextToken: body?.nextToken };
      });
      return found.map((it) => snapshotFrom(it, region));
    },

    async createSnapshot({ region, disk, name, token, keepDays, tags }) {
      const { body } = await call(region, 'CreateSnapshot', disk, true, (it) =>
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

    async copySnapshot({ region, snapshot, toRegion, name, token, encrypted, kmsKey, keepDays, tags }) {
      const { body } = await call(region, 'CopySnapshot', `${snapshot} to ${toRegion}`, true, (it) =>
        it.copySnapshot({
          regionId: region,
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
      region,
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
      const { body } = await call(region, 'CreateDisk', `from ${snapshot}`, true, (it) =>
        it.createDisk({
          regionId: region,
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

    async deleteSnapshot(region, id) {
      await call(region, 'DeleteSnapshot', id, true, (it) => it.deleteSnapshot({ snapshotId: id, force: true }));
    },

    async deleteDisk(region, id) {
      await call(region, 'DeleteDisk', id, true, (it) => it.deleteDisk({ diskId: id }));
    },
  };
}

interface Page<T> {
  items: T[] | undefined;
  nextToken: string | undefined;
}

async function allPages<T>(read: (next: { nextToken?: string }) => Promise<Page<T>>): Promise<T[]> {
  const found: T[] = [];
  for (let next: { nextToken?: string } = {}; ;) {
    const { items, nextToken } = await read(next);
    found.push(...(items ?? []));
    if (nextToken === undefined || nextToken === '') return found;
    next = { nextToken };
  }
}

const named = (ids: readonly string[]) => (ids.length > 3 ? `${ids.length} disks` : ids.join(', '));

/** Disks that are asked for at one moment, or while others are being asked for, come in one call. */
function together(
  read: (region: string, ids: string[]) => Promise<Disk[]>,
): (region: string, id: string) => Promise<Disk | undefined> {
  type Reply = Promise<Map<string, Disk>>;
  const open = new Map<string, { ids: Set<string>; reply: Reply }>();
  const underWay = new Map<string, Reply>();

  const begin = (region: string) => {
    const ids = new Set<string>();
    const before = underWay.get(region);
    const send = async () => {
      // Not its own failure; and without one before, whoever asks in this turn comes along.
      await before?.catch(() => undefined);
      if (open.get(region)?.ids === ids) open.delete(region);
      return new Map((await read(region, [...ids])).map((it) => [it.id, it]));
    };
    const begun = { ids, reply: send() };
    open.set(region, begun);
    underWay.set(region, begun.reply);
    return begun;
  };

  return async (region, id) => {
    const known = open.get(region);
    const { ids, reply } = known && known.ids.size < IDS_A_CALL ? known : begin(region);
    ids.add(id);
    return (await reply).get(id);
  };
}

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

export interface EcsAvailableZone {
  zoneId?: string;
  status?: string;
  availableResources?: {
    availableResource?: {
      supportedResources?: {
        supportedResource?: { value?: string; status?: string; min?: number; max?: number }[];
      };
    }[];
  };
}

/** `SoldOut` is the other word. @source ECS API, DescribeAvailableResource */
const IN_STOCK = 'Available';

const soldIn = ({ status, availableResources }: EcsAvailableZone): SoldDisks[] =>
  status !== IN_STOCK
    ? []
    : (availableResources?.availableResource ?? [])
        .flatMap((it) => it.supportedResources?.supportedResource ?? [])
        .filter((it) => it.status === IN_STOCK)
        .map(({ value = '', min = 1, max = Number.MAX_SAFE_INTEGER }) => ({
          category: value,
          minGiB: min,
          maxGiB: max,
        }));

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
  /** seconds, an estimate */
  remainTime?: number;
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
  remainS: it.remainTime ?? 0,
  sourceDisk: it.sourceDiskId ?? '',
  sizeGiB: Number(it.sourceDiskSize ?? 0),
  encrypted: it.encrypted ?? false,
  tags: tagsFrom(it.tags),
  ...(it.sourceSnapshotId !== undefined && it.sourceSnapshotId !== '' && { sourceSnapshot: it.sourceSnapshotId }),
});
