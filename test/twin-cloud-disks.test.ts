import assert from 'node:assert/strict';
import { test } from 'node:test';
import { $OpenApiUtil } from '@alicloud/openapi-core';
import ecs20140526, * as $ecs from '@alicloud/ecs20140526';
import { virtualClock, type SteeredClock } from '../src/twin/clock.js';
import type { CloudOptions, StartedCloud } from '../src/twin/cloud/cloud.js';
import type { CloudSeed } from '../src/twin/types.js';
import { KEY, officialClient, REGION, SEED, startedCloud, VERSIONS } from './twin-cloud-clients.js';

const FAR = 'cn-beijing';
const ZONE = 'cn-hangzhou-h';

interface World {
  it: StartedCloud;
  clock: SteeredClock;
  /** the vendor's generated client */
  ecs: InstanceType<typeof ecs20140526.default>;
}

async function started(
  t: { after(run: () => Promise<void>): void },
  options: Partial<CloudOptions> = {},
  seed: Partial<CloudSeed> = {},
): Promise<World> {
  const clock = virtualClock('2026-01-01T00:00:00Z');
  const it = await startedCloud(t, { clock, ...options }, { ...SEED, ...seed });
  const config = new $OpenApiUtil.Config({
    accessKeyId: KEY.id,
    accessKeySecret: KEY.secret,
    endpoint: it.host,
    protocol: 'http',
    regionId: REGION,
    connectTimeout: 30_000,
    readTimeout: 30_000,
  });
  return { it, clock, ecs: new ecs20140526.default(config) };
}

async function snapshotOf({ ecs }: World, regionId: string, id: string) {
  const { body } = await ecs.describeSnapshots(
    new $ecs.DescribeSnapshotsRequest({ regionId, snapshotIds: JSON.stringify([id]) }),
  );
  return body!.snapshots!.snapshot![0];
}

async function diskOf({ ecs }: World, id: string, regionId = REGION) {
  const { body } = await ecs.describeDisks(new $ecs.DescribeDisksRequest({ regionId, diskIds: JSON.stringify([id]) }));
  return body!.disks!.disk![0];
}

async function takeSnapshot(world: World, diskId: string, snapshotName = 'orders'): Promise<string> {
  const { body } = await world.ecs.createSnapshot(
    new $ecs.CreateSnapshotRequest({ diskId, snapshotName, tag: [{ key: 'plan', value: 'shop' }] }),
  );
  return body!.snapshotId!;
}

/** A snapshot that is complete. */
async function readySnapshot(world: World, diskId: string, name?: string): Promise<string> {
  const id = await takeSnapshot(world, diskId, name);
  await world.clock.idle();
  return id;
}

const copyOf = (snapshotId: string, more: Partial<$ecs.CopySnapshotRequest> = {}): $ecs.CopySnapshotRequest =>
  new $ecs.CopySnapshotRequest({
    regionId: REGION,
    snapshotId,
    destinationRegionId: FAR,
    destinationSnapshotName: 'orders-copy',
    destinationSnapshotDescription: 'of orders',
    ...more,
  });

const diskFrom = (more: Partial<$ecs.CreateDiskRequest>): $ecs.CreateDiskRequest =>
  new $ecs.CreateDiskRequest({ regionId: REGION, zoneId: ZONE, diskCategory: 'cloud_essd', ...more });

test('a disk travels to another region by snapshot, copy and new disk, each taking its time on the clock', async (t) => {
  const world = await started(t);
  const { clock, ecs, it } = world;
  const snapshot = await takeSnapshot(world, 'd-1');
  const begun = await snapshotOf(world, REGION, snapshot);
  assert.deepEqual(
    [begun!.status, begun!.progress, begun!.remainTime, begun!.available],
    ['progressing', '0%', 50, false],
  );
  await assert.rejects(ecs.copySnapshot(copyOf(snapshot)), { code: 'InvalidSnapshotId.NotReady' });
  await assert.rejects(ecs.createDisk(diskFrom({ snapshotId: snapshot })), { code: 'InvalidSnapshotId.NotReady' });

  await clock.sleep(25_000);
  assert.equal((await snapshotOf(world, REGION, snapshot))!.progress, '50%');
  await clock.sleep(25_000);
  const done = await snapshotOf(world, REGION, snapshot);
  assert.deepEqual(
    [done!.status, done!.progress, done!.sourceDiskId, done!.sourceDiskSize, done!.tags!.tag![0]!.tagKey],
    ['accomplished', '100%', 'd-1', '40', 'plan'],
  );

  const { body } = await ecs.copySnapshot(
    copyOf(snapshot, { tag: [new $ecs.CopySnapshotRequestTag({ key: 'plan', value: 'shop' })] }),
  );
  const copy = body!.snapshotId!;
  assert.equal(await snapshotOf(world, REGION, copy), undefined);
  assert.equal((await snapshotOf(world, FAR, copy))!.status, 'progressing');
  const before = clock.now();
  await clock.idle();
  // 60 s and 40 GiB at 100 MiB/s
  assert.equal(Math.round((clock.now() - before) / 1000), 470);
  const arrived = await snapshotOf(world, FAR, copy);
  assert.deepEqual(
    [arrived!.status, arrived!.sourceSnapshotId, arrived!.sourceRegionId, arrived!.sourceDiskId, arrived!.encrypted],
    ['accomplished', snapshot, REGION, 'd-1', false],
  );

  const made = await ecs.createDisk(
    diskFrom({ regionId: FAR, zoneId: 'cn-beijing-h', snapshotId: copy, size: 20, diskName: 'orders' }),
  );
  const disk = made.body!.diskId!;
  assert.equal((await diskOf(world, disk, FAR))!.status, 'Creating');
  await assert.rejects(ecs.deleteDisk(new $ecs.DeleteDiskRequest({ diskId: disk })), {
    code: 'IncorrectDiskStatus.Initializing',
  });
  await clock.idle();
  const fresh = await diskOf(world, disk, FAR);
  assert.deepEqual(
    [fresh!.status, fresh!.size, fresh!.zoneId, fresh!.category, fresh!.performanceLevel, fresh!.sourceSnapshotId],
    ['Available', 40, 'cn-beijing-h', 'cloud_essd', 'PL1', copy],
  );
  // The disk was never attached, so it cannot be snapshot yet.
  await assert.rejects(takeSnapshot(world, disk), { code: 'IncorrectDiskStatus.NeverAttached', statusCode: 403 });
  it.cloud.addInstance({ id: 'i-far', zone: 'cn-beijing-h', ip: '10.9.0.1' });
  it.cloud.attachDisk(disk, 'i-far');
  await takeSnapshot(world, disk);
});

test('snapshots are refused where the real ones are', async (t) => {
  const world = await started(t, { limits: { snapshotsPerDisk: 2 } });
  await assert.rejects(takeSnapshot(world, 'd-404'), { code: 'InvalidDiskId.NotFound', statusCode: 404 });
  await assert.rejects(takeSnapshot(world, 'd-1', 'auto-1'), { code: 'InvalidSnapshotName.Malformed' });
  await takeSnapshot(world, 'd-1', 'one');
  await assert.rejects(takeSnapshot(world, 'd-1', 'two'), { code: 'IncorrectDiskStatus.CreatingSnapshot' });
  await world.clock.idle();
  await readySnapshot(world, 'd-1', 'two');
  await assert.rejects(takeSnapshot(world, 'd-1', 'three'), { code: 'QuotaExceed.Snapshot' });
});

test('copies are refused where the real ones are: same region, second unfinished one, decryption, unknown region', async (t) => {
  const world = await started(t);
  const { ecs, clock } = world;
  const plain = await readySnapshot(world, 'd-1', 'one');
  const later = await readySnapshot(world, 'd-1', 'two');
  const secret = await readySnapshot(world, 'd-2');
  await assert.rejects(ecs.copySnapshot(copyOf(plain, { destinationRegionId: REGION })), {
    code: 'InvalidOperation.NotSupportCopyInSameRegion',
  });
  await assert.rejects(ecs.copySnapshot(copyOf('s-404')), { code: 'InvalidSnapshotId.NotFound' });
  await assert.rejects(ecs.copySnapshot(copyOf(plain, { destinationRegionId: 'cn-atlantis' })), {
    code: 'InvalidRegionId.NotFound',
  });
  await assert.rejects(ecs.copySnapshot(copyOf(secret, { encrypted: false })), {
    code: 'InvalidEncrypted.NotSupportDecrypt',
  });
  await assert.rejects(
    ecs.copySnapshot(new $ecs.CopySnapshotRequest({ regionId: REGION, snapshotId: plain, destinationRegionId: FAR })),
    {
      code: 'MissingDestinationSnapshotName',
    },
  );

  await ecs.copySnapshot(copyOf(plain));
  await assert.rejects(ecs.copySnapshot(copyOf(later, { destinationSnapshotName: 'second' })), {
    code: 'InvalidOperation.UnfinishedCrossRegionCopy',
  });
  await ecs.copySnapshot(copyOf(later, { destinationRegionId: 'cn-shanghai' }));
  const encrypted = await ecs.copySnapshot(copyOf(secret, { KMSKeyId: 'key-far' }));
  assert.deepEqual(
    [
      (await snapshotOf(world, FAR, encrypted.body!.snapshotId!))!.encrypted,
      (await snapshotOf(world, FAR, encrypted.body!.snapshotId!))!.KMSKeyId,
    ],
    [true, 'key-far'],
  );
  await clock.idle();

  // The second copy of a disk to a region moves only what changed.
  const before = clock.now();
  await ecs.copySnapshot(copyOf(later, { destinationSnapshotName: 'second' }));
  await clock.idle();
  assert.equal(Math.round((clock.now() - before) / 1000), 60 + 41);
});

test('a copy whose source goes away meanwhile fails', async (t) => {
  const world = await started(t);
  const snapshot = await readySnapshot(world, 'd-1');
  const { body } = await world.ecs.copySnapshot(copyOf(snapshot));
  await world.ecs.deleteSnapshot(new $ecs.DeleteSnapshotRequest({ snapshotId: snapshot }));
  await world.clock.idle();
  assert.equal((await snapshotOf(world, FAR, body!.snapshotId!))!.status, 'failed');
});

test('disks are made by the rules of their category, zone and encryption', async (t) => {
  const world = await started(t, { notSold: { [ZONE]: ['cloud_auto'] } });
  const { ecs } = world;
  const plain = await readySnapshot(world, 'd-1');
  const secret = await readySnapshot(world, 'd-2');
  const refused: [Partial<$ecs.CreateDiskRequest>, string][] = [
    [{}, 'MissingParameter'],
    [{ size: 20, zoneId: 'cn-hangzhou-z' }, 'InvalidZoneId.NotFound'],
    [{ size: 20, diskCategory: 'cloud' }, 'InvalidDataDiskCategory.NotSupported'],
    [{ size: 20, diskCategory: 'cloud_auto' }, 'InvalidDataDiskCategory.NotSupported'],
    [{ size: 19 }, 'InvalidDiskSize.NotSupported'],
    [{ size: 460, performanceLevel: 'PL2' }, 'InvalidDiskSize.NotSupported'],
    [{ size: 1260, performanceLevel: 'PL3' }, 'InvalidDiskSize.NotSupported'],
    [{ size: 20, performanceLevel: 'PL9' }, 'InvalidPerformanceLevel.Malformed'],
    [{ size: 19, diskCategory: 'cloud_efficiency' }, 'InvalidDiskSize.NotSupported'],
    [{ size: 32_769, diskCategory: 'cloud_ssd' }, 'InvalidDiskSize.NotSupported'],
    [{ snapshotId: 's-404' }, 'InvalidSnapshotId.NotFound'],
    [{ snapshotId: secret, regionId: FAR, zoneId: 'cn-beijing-h' }, 'InvalidSnapshotId.NotFound'],
    [{ snapshotId: secret }, 'InvalidEncrypted.NotMatchSnapshot'],
    [{ snapshotId: plain, encrypted: true }, 'EncryptedOption.Conflict'],
    [{ snapshotId: plain, diskCategory: 'elastic_ephemeral_disk_standard' }, 'InvalidDiskCategory.NotSupported'],
  ];
  for (const [more, code] of refused)
    await assert.rejects(ecs.createDisk(diskFrom(more)), { code }, JSON.stringify(more));
  await assert.rejects(
    ecs.createDisk(new $ecs.CreateDiskRequest({ regionId: REGION, diskCategory: 'cloud_essd', size: 20 })),
    { code: 'MissingParameter' },
  );

  const small = await ecs.createDisk(diskFrom({ size: 1, performanceLevel: 'PL0' }));
  const encrypted = await ecs.createDisk(diskFrom({ snapshotId: secret, encrypted: true, KMSKeyId: 'key-1' }));
  const regional = await ecs.createDisk(
    new $ecs.CreateDiskRequest({ regionId: REGION, diskCategory: 'cloud_regional_disk_auto', snapshotId: plain }),
  );
  await world.clock.idle();
  assert.equal((await diskOf(world, small.body!.diskId!))!.size, 1);
  assert.equal((await diskOf(world, encrypted.body!.diskId!))!.KMSKeyId, 'key-1');
  assert.equal((await diskOf(world, regional.body!.diskId!))!.zoneId, '');
});

test('the same token gives the same answer once and for all, and refuses other parameters', async (t) => {
  const world = await started(t);
  const { ecs, clock } = world;
  const request = (more: Partial<$ecs.CreateSnapshotRequest> = {}) =>
    new $ecs.CreateSnapshotRequest({ diskId: 'd-1', snapshotName: 'once', clientToken: 'plan/step', ...more });
  const first = await ecs.createSnapshot(request());
  await clock.idle();
  const again = await ecs.createSnapshot(request());
  assert.equal(again.body!.snapshotId, first.body!.snapshotId);
  await assert.rejects(ecs.createSnapshot(request({ snapshotName: 'twice' })), {
    code: 'IdempotentParameterMismatch',
    statusCode: 403,
  });
  await assert.rejects(ecs.createSnapshot(request({ clientToken: 'x'.repeat(65) })), {
    code: 'InvalidClientToken.Malformed',
  });
  const { body } = await ecs.describeSnapshots(new $ecs.DescribeSnapshotsRequest({ regionId: REGION }));
  assert.equal(body!.totalCount, 1);

  // A refusal is not kept: the same token may succeed later.
  const copy = copyOf(await takeSnapshot(world, 'd-2'), { clientToken: 'copy' });
  await assert.rejects(ecs.copySnapshot(copy), { code: 'InvalidSnapshotId.NotReady' });
  await clock.idle();
  await ecs.copySnapshot(copy);
});

test('a reply lost after the effect is made good by the token', async (t) => {
  let lose = true;
  const world = await started(t, {
    faults: {
      decide({ verb }) {
        if (verb !== 'CreateDisk' || !lose) return undefined;
        lose = false;
        return { kind: 'lose' };
      },
    },
  });
  const request = diskFrom({ size: 20, diskName: 'orders', clientToken: 'once' });
  await assert.rejects(world.ecs.createDisk(request));
  await world.ecs.createDisk(request);
  const { body } = await world.ecs.describeDisks(
    new $ecs.DescribeDisksRequest({ regionId: REGION, diskName: 'orders' }),
  );
  assert.equal(body!.totalCount, 1);
});

test('disks are attached and detached in their zone, over the wire and by the node', async (t) => {
  const world = await started(t);
  const { ecs, clock, it } = world;
  it.cloud.addInstance({ id: 'i-j', zone: 'cn-hangzhou-j', ip: '10.1.1.1' });
  const attach = (instanceId: string, diskId: string) =>
    ecs.attachDisk(new $ecs.AttachDiskRequest({ instanceId, diskId }));
  const detach = (instanceId: string, diskId: string) =>
    ecs.detachDisk(new $ecs.DetachDiskRequest({ instanceId, diskId }));
  await assert.rejects(attach('i-j', 'd-2'), { code: 'ResourcesNotInSameZone', statusCode: 403 });
  await assert.rejects(attach('i-404', 'd-2'), { code: 'InvalidInstanceId.NotFound' });
  await assert.rejects(attach('i-2', 'd-1'), { code: 'IncorrectDiskStatus' });
  await attach('i-2', 'd-2');
  assert.equal((await diskOf(world, 'd-2'))!.status, 'Attaching');
  await clock.idle();
  const attached = await diskOf(world, 'd-2');
  assert.deepEqual(
    [attached!.status, attached!.instanceId, attached!.attachments!.attachment![0]!.instanceId],
    ['In_use', 'i-2', 'i-2'],
  );
  await assert.rejects(ecs.deleteDisk(new $ecs.DeleteDiskRequest({ diskId: 'd-2' })), { code: 'IncorrectDiskStatus' });
  await assert.rejects(detach('i-1', 'd-2'), { code: 'InvalidDisk.AlreadyDetached', statusCode: 404 });
  await detach('i-2', 'd-2');
  await clock.idle();
  assert.equal((await diskOf(world, 'd-2'))!.status, 'Available');

  it.cloud.attachDisk('d-2', 'i-2');
  it.cloud.attachDisk('d-2', 'i-2');
  assert.throws(() => it.cloud.attachDisk('d-2', 'i-1'), { code: 'IncorrectDiskStatus' });
  it.cloud.detachDisk('d-2');
  it.cloud.detachDisk('d-2');
  assert.throws(() => it.cloud.attachDisk('d-2', 'i-j'), { code: 'ResourcesNotInSameZone' });
  await ecs.deleteDisk(new $ecs.DeleteDiskRequest({ diskId: 'd-2' }));
  await ecs.deleteDisk(new $ecs.DeleteDiskRequest({ diskId: 'd-2' }));
  assert.equal(await diskOf(world, 'd-2'), undefined);
});

test('a snapshot that disks came of goes only by force, and an absent one is fine', async (t) => {
  const world = await started(t);
  const snapshot = await readySnapshot(world, 'd-1');
  await world.ecs.createDisk(diskFrom({ snapshotId: snapshot }));
  await assert.rejects(world.ecs.deleteSnapshot(new $ecs.DeleteSnapshotRequest({ snapshotId: snapshot })), {
    code: 'SnapshotCreatedDisk',
  });
  await world.ecs.deleteSnapshot(new $ecs.DeleteSnapshotRequest({ snapshotId: snapshot, force: true }));
  await world.ecs.deleteSnapshot(new $ecs.DeleteSnapshotRequest({ snapshotId: 's-404' }));
  assert.equal(await snapshotOf(world, REGION, snapshot), undefined);
});

test('lists come in pages of ten, by number or by token, and filtered by tags', async (t) => {
  const { ecs, clock } = await started(t);
  for (let i = 0; i < 23; i++)
    await ecs.createDisk(
      diskFrom({
        size: 20,
        diskName: `n${i}`,
        tag: [new $ecs.CreateDiskRequestTag({ key: 'plan', value: i < 12 ? 'a' : 'b' })],
      }),
    );
  await clock.idle();
  const list = async (more: Partial<$ecs.DescribeDisksRequest>) =>
    (await ecs.describeDisks(new $ecs.DescribeDisksRequest({ regionId: REGION, ...more }))).body!;

  const first = await list({});
  assert.deepEqual([first.disks!.disk!.length, first.totalCount, first.pageNumber, first.pageSize], [10, 25, 1, 10]);
  assert.equal((await list({ pageNumber: 3, pageSize: 10 })).disks!.disk!.length, 5);

  const seen = new Set<string>();
  let nextToken: string | undefined;
  do {
    const page = await list({ maxResults: 9, ...(nextToken === undefined ? {} : { nextToken }) });
    for (const it of page.disks!.disk!) seen.add(it.diskId!);
    nextToken = page.nextToken === '' ? undefined : page.nextToken;
  } while (nextToken !== undefined);
  assert.equal(seen.size, 25);

  const tag = (key: string, value?: string) => [
    new $ecs.DescribeDisksRequestTag({ key, ...(value === undefined ? {} : { value }) }),
  ];
  assert.equal((await list({ tag: tag('plan', 'a') })).totalCount, 12);
  assert.equal((await list({ tag: tag('plan') })).totalCount, 23);
  assert.equal((await list({ diskIds: '[]' })).totalCount, 0);
  assert.equal((await list({ instanceId: 'i-1' })).totalCount, 1);
  await assert.rejects(list({ diskIds: 'd-1' }), { code: 'InvalidDiskIds.Malformed' });
});

test('tags are put on disks and snapshots, in the new way and the old', async (t) => {
  const world = await started(t);
  const { ecs } = world;
  const snapshot = await readySnapshot(world, 'd-1');
  await ecs.tagResources(
    new $ecs.TagResourcesRequest({
      regionId: REGION,
      resourceType: 'snapshot',
      resourceId: [snapshot],
      tag: [{ key: 'a', value: '1' }],
    }),
  );
  await ecs.addTags(
    new $ecs.AddTagsRequest({
      regionId: REGION,
      resourceType: 'disk',
      resourceId: 'd-1',
      tag: [{ key: 'b', value: '2' }],
    }),
  );
  await ecs.untagResources(
    new $ecs.UntagResourcesRequest({ regionId: REGION, resourceType: 'disk', resourceId: ['d-1'], tagKey: ['app'] }),
  );
  const { body } = await ecs.listTagResources(
    new $ecs.ListTagResourcesRequest({ regionId: REGION, resourceType: 'disk', resourceId: ['d-1'] }),
  );
  assert.deepEqual(
    body!.tagResources!.tagResource!.map((it) => `${it.tagKey}=${it.tagValue}`),
    ['b=2'],
  );
  assert.deepEqual(
    (await snapshotOf(world, REGION, snapshot))!.tags!.tag!.map((it) => it.tagKey),
    ['plan', 'a'],
  );
});

test('instances and interfaces are found as the controller looks for them', async (t) => {
  const { ecs, it } = await started(t);
  it.cloud.addInstance({ id: 'i-v', zone: ZONE, ip: '10.4.0.1', vpc: 'vpc-v' });
  const eni = it.cloud.plugInterface('10.4.0.20', 'i-v', ZONE);
  assert.equal(it.cloud.plugInterface('10.4.0.20', 'i-v', ZONE), eni);
  const interfaces = async (more: Partial<$ecs.DescribeNetworkInterfacesRequest>) => {
    const { body } = await ecs.describeNetworkInterfaces(
      new $ecs.DescribeNetworkInterfacesRequest({ regionId: REGION, status: 'InUse', maxResults: 100, ...more }),
    );
    return body!.networkInterfaceSets!.networkInterfaceSet!.map((found) => [
      found.networkInterfaceId,
      found.instanceId,
      found.privateIpSets!.privateIpSet![0]!.privateIpAddress,
    ]);
  };
  assert.deepEqual(await interfaces({ vpcId: 'vpc-v', privateIpAddress: ['10.4.0.20', '10.4.0.99'] }), [
    [eni, 'i-v', '10.4.0.20'],
  ]);
  assert.deepEqual(await interfaces({ vpcId: 'vpc-other', privateIpAddress: ['10.4.0.20'] }), []);
  assert.equal((await interfaces({ vpcId: 'vpc-v' })).length, 2);
  it.cloud.unplugInterface('10.4.0.20');
  assert.deepEqual(await interfaces({ privateIpAddress: ['10.4.0.20'] }), []);

  const { body } = await ecs.describeInstances(
    new $ecs.DescribeInstancesRequest({
      regionId: REGION,
      instanceIds: JSON.stringify(['i-v', 'i-404']),
      maxResults: 100,
    }),
  );
  const [instance, ...others] = body!.instances!.instance!;
  assert.deepEqual(
    [
      instance!.instanceId,
      instance!.zoneId,
      instance!.vpcAttributes!.vpcId,
      instance!.vpcAttributes!.privateIpAddress!.ipAddress,
      instance!.networkInterfaces!.networkInterface![0]!.type,
    ],
    ['i-v', ZONE, 'vpc-v', ['10.4.0.1'], 'Primary'],
  );
  assert.deepEqual(others, []);
});

test('what a zone sells can be asked before', async (t) => {
  const { ecs } = await started(t, { notSold: { [ZONE]: ['cloud_essd'] } });
  const { body } = await ecs.describeAvailableResource(
    new $ecs.DescribeAvailableResourceRequest({ regionId: REGION, destinationResource: 'DataDisk', zoneId: ZONE }),
  );
  const [zone] = body!.availableZones!.availableZone!;
  const sold = new Map(
    zone!.availableResources!.availableResource![0]!.supportedResources!.supportedResource!.map((it) => [
      it.value,
      it.status,
    ]),
  );
  assert.equal(sold.get('cloud_essd'), 'SoldOut');
  assert.equal(sold.get('cloud_auto'), 'Available');
  const zones = await ecs.describeZones(new $ecs.DescribeZonesRequest({ regionId: REGION }));
  assert.ok(zones.body!.zones!.zone!.some((it) => it.zoneId === ZONE));
  await assert.rejects(ecs.describeDisks(new $ecs.DescribeDisksRequest({ regionId: REGION, dryRun: true })), {
    code: 'DryRunOperation',
  });
});

test('the network is described as far as the controller reads it', async (t) => {
  const vpcs = [
    {
      id: 'vpc-1',
      name: 'prod',
      region: REGION,
      cidr: '10.0.0.0/16',
      secondaryCidrs: ['10.99.0.0/16'],
      vswitches: [{ id: 'vsw-1', zone: ZONE, cidr: '10.0.0.0/24' }],
    },
  ];
  const eips = [{ id: 'eip-1', address: '47.1.1.1', region: REGION, instance: 'lb-1', instanceType: 'SlbInstance' }];
  const { it } = await started(t, { vpcs, eips });
  const vpc = officialClient(it.host, VERSIONS.Vpc);
  const attribute = await vpc('DescribeVpcAttribute', { RegionId: REGION, VpcId: 'vpc-1' });
  assert.deepEqual(
    [attribute.CidrBlock, attribute.SecondaryCidrBlocks.SecondaryCidrBlock],
    ['10.0.0.0/16', ['10.99.0.0/16']],
  );
  await assert.rejects(vpc('DescribeVpcAttribute', { RegionId: REGION, VpcId: 'vpc-404' }), {
    code: 'InvalidVpcId.NotFound',
  });
  assert.equal(
    (await vpc('DescribeVSwitches', { RegionId: REGION, VpcId: 'vpc-1', PageNumber: '1', PageSize: '10' })).VSwitches
      .VSwitch[0].VSwitchId,
    'vsw-1',
  );
  assert.equal(
    (
      await vpc('DescribeEipAddresses', {
        RegionId: REGION,
        AssociatedInstanceType: 'SlbInstance',
        AssociatedInstanceId: 'lb-1',
      })
    ).EipAddresses.EipAddress[0].IpAddress,
    '47.1.1.1',
  );
  assert.equal(
    (
      await vpc('DescribeEipAddresses', {
        RegionId: REGION,
        AssociatedInstanceType: 'SlbInstance',
        AssociatedInstanceId: 'lb-2',
      })
    ).TotalCount,
    0,
  );
  const tables = await vpc('DescribeRouteTableList', { RegionId: REGION, VpcId: 'vpc-1' });
  const { RouteTableId } = tables.RouterTableList.RouterTableListType[0];
  assert.deepEqual(
    (await vpc('DescribeRouteEntryList', { RegionId: REGION, RouteTableId })).RouteEntrys.RouteEntry,
    [],
  );
});

test('what was written goes along with snapshot, copy and disk, and nothing that came later', async (t) => {
  const world = await started(t);
  const { it, ecs, clock } = world;
  it.cloud.writeTo('d-1', 'one');
  const live = await takeSnapshot(world, 'd-1', 'live');
  it.cloud.writeTo('d-1', 'two');
  await clock.idle();
  it.cloud.detachDisk('d-1');
  assert.throws(() => it.cloud.writeTo('d-1', 'three'), { code: 'IncorrectDiskStatus', status: 403 });
  const last = await readySnapshot(world, 'd-1', 'last');
  assert.deepEqual(it.cloud.contentOf(live), { writes: 1, data: ['one'] });
  assert.deepEqual(it.cloud.contentOf(last), { writes: 2, data: ['one', 'two'] });

  const { body } = await ecs.copySnapshot(copyOf(last));
  await clock.idle();
  const made = await ecs.createDisk(
    diskFrom({ regionId: FAR, zoneId: 'cn-beijing-h', snapshotId: body!.snapshotId!, size: 40 }),
  );
  await clock.idle();
  assert.deepEqual(it.cloud.contentOf(made.body!.diskId!), it.cloud.contentOf('d-1'));
  assert.equal(it.cloud.contentOf('d-404'), undefined);
});

test('whoever has a disk attached writes as often as the rate says, and not once it is detached', async (t) => {
  const { it, clock } = await started(t, { rates: { diskWritesPerSecond: 2 } });
  const writes = (id: string) => it.cloud.contentOf(id)!.writes;
  await clock.sleep(10_000);
  assert.deepEqual([writes('d-1'), writes('d-2')], [20, 0]);
  it.cloud.detachDisk('d-1');
  await clock.sleep(10_000);
  assert.equal(writes('d-1'), 20);
  it.cloud.attachDisk('d-1', 'i-2');
  it.cloud.writeTo('d-1', 'by hand');
  await clock.sleep(1_000);
  assert.deepEqual(it.cloud.contentOf('d-1'), { writes: 23, data: ['by hand'] });
});

test('a later snapshot of a disk takes a part of the time', async (t) => {
  const world = await started(t);
  const begin = world.clock.now();
  await readySnapshot(world, 'd-1', 'one');
  const between = world.clock.now();
  await readySnapshot(world, 'd-1', 'two');
  assert.deepEqual([between - begin, world.clock.now() - between], [50_000, 14_000]);
});

test('a snapshot of an ESSD is available before it is accomplished, and can still not be copied', async (t) => {
  const world = await started(t);
  const [essd, ssd] = [await takeSnapshot(world, 'd-1'), await takeSnapshot(world, 'd-2')];
  await world.clock.sleep(3_000);
  const found = await Promise.all([essd, ssd].map((id) => snapshotOf(world, REGION, id)));
  assert.deepEqual(
    found.map((it) => [it!.available, it!.status]),
    [
      [true, 'progressing'],
      [false, 'progressing'],
    ],
  );
  await assert.rejects(world.ecs.copySnapshot(copyOf(essd)), { code: 'InvalidSnapshotId.NotReady' });
  await assert.rejects(world.ecs.createDisk(diskFrom({ snapshotId: essd })), { code: 'InvalidSnapshotId.NotReady' });
});

test('the account may have so many snapshots and copies under way at once', async (t) => {
  const world = await started(t, { limits: { snapshotsUnderWay: 1, copiesUnderWay: 1 } });
  const { ecs, clock } = world;
  const one = await takeSnapshot(world, 'd-1');
  await assert.rejects(takeSnapshot(world, 'd-2'), { code: 'QuotaExceed.ConcurrentSnapshotQuota', statusCode: 403 });
  await clock.idle();
  const two = await readySnapshot(world, 'd-2');
  await ecs.copySnapshot(copyOf(one));
  await assert.rejects(ecs.copySnapshot(copyOf(two)), { code: 'QuotaExceed.ConcurrentSnapshotQuota' });
  await ecs.copySnapshot(copyOf(two, { destinationRegionId: 'cn-shanghai' }));
  await clock.idle();
  await ecs.copySnapshot(copyOf(two));
});

test('a disk may have several snapshots under way where its quota says so', async (t) => {
  const world = await started(t, { limits: { snapshotsUnderWayPerDisk: 2 } });
  await takeSnapshot(world, 'd-1', 'one');
  await takeSnapshot(world, 'd-1', 'two');
  await assert.rejects(takeSnapshot(world, 'd-1', 'three'), { code: 'QuotaExceed.ConcurrentSnapshotQuota' });
});

test('a copy within the region is made only encrypted, by a key of one’s own or that of the service', async (t) => {
  const world = await started(t);
  const { ecs, clock } = world;
  const plain = await readySnapshot(world, 'd-1');
  const secret = await readySnapshot(world, 'd-2');
  const within = (id: string, more: Partial<$ecs.CopySnapshotRequest>) =>
    ecs.copySnapshot(copyOf(id, { destinationRegionId: REGION, ...more }));
  await assert.rejects(within(plain, {}), { code: 'InvalidOperation.NotSupportCopyInSameRegion', statusCode: 403 });
  await assert.rejects(within(plain, { encrypted: false }), { code: 'InvalidOperation.NotSupportCopyInSameRegion' });
  const made = await within(plain, { encrypted: true });
  const anew = await within(secret, { encrypted: true, KMSKeyId: 'key-2' });
  await assert.rejects(takeSnapshot(world, 'd-1', 'meanwhile'), {
    code: 'InvalidOperation.UnfinishedEncryptedSnapshotCopy',
  });
  await clock.idle();
  const [first, second] = await Promise.all([made, anew].map((it) => snapshotOf(world, REGION, it.body!.snapshotId!)));
  assert.deepEqual(
    [first!.encrypted, first!.KMSKeyId, first!.sourceSnapshotId, second!.KMSKeyId, second!.status],
    [true, 'alias/acs/ecs', plain, 'key-2', 'accomplished'],
  );
  // A disk has the key of its snapshot unless it asks for another.
  const disk = await ecs.createDisk(diskFrom({ snapshotId: anew.body!.snapshotId!, encrypted: true }));
  assert.equal((await diskOf(world, disk.body!.diskId!))!.KMSKeyId, 'key-2');
});

test('what concerns encryption is refused where the real ones refuse it', async (t) => {
  const seed: Partial<CloudSeed> = {
    noEncryptedCopyTo: ['cn-qingdao'],
    kmsKeys: { [FAR]: [{ id: 'key-far' }, { id: 'key-off', enabled: false }], [REGION]: [{ id: 'key-1' }] },
  };
  const world = await started(t, {}, seed);
  const { ecs } = world;
  const plain = await readySnapshot(world, 'd-1');
  const secret = await readySnapshot(world, 'd-2');
  const copies: [string, Partial<$ecs.CopySnapshotRequest>, string][] = [
    [plain, { KMSKeyId: 'key-far' }, 'InvalidEncrypted.NotMatchKmsKeyId'],
    [secret, { encrypted: false }, 'InvalidEncrypted.NotSupportDecrypt'],
    [secret, { destinationRegionId: 'cn-qingdao' }, 'InvalidRegionId.NotSupportedEncryptedSnapshotCopy'],
    [
      plain,
      { destinationRegionId: 'cn-qingdao', encrypted: true },
      'InvalidRegionId.NotSupportedEncryptedSnapshotCopy',
    ],
    // A key is of one region.
    [secret, { KMSKeyId: 'key-1' }, 'InvalidParameter.KMSKeyId.NotFound'],
    [secret, { KMSKeyId: 'key-off' }, 'InvalidParameter.KMSKeyId.CMKNotEnabled'],
  ];
  for (const [id, more, code] of copies)
    await assert.rejects(ecs.copySnapshot(copyOf(id, more)), { code, statusCode: 403 });
  await assert.rejects(ecs.createDisk(diskFrom({ size: 20, KMSKeyId: 'key-1' })), {
    code: 'InvalidEncrypted.NotMatchKmsKeyId',
    statusCode: 400,
  });
  await assert.rejects(ecs.createDisk(diskFrom({ size: 20, encrypted: true, KMSKeyId: 'key-far' })), {
    code: 'InvalidParameter.KMSKeyId.NotFound',
    statusCode: 404,
  });

  await ecs.copySnapshot(copyOf(plain, { destinationRegionId: 'cn-qingdao' }));
  await ecs.copySnapshot(copyOf(secret, { KMSKeyId: 'key-far' }));
  await assert.rejects(ecs.copySnapshot(copyOf(secret, { KMSKeyId: 'key-far' })), {
    code: 'InvalidOperation.UnfinishedEncryptedSnapshotCopy',
  });
});

test('a copy under another key moves all of the disk again', async (t) => {
  const world = await started(t);
  const snapshot = await readySnapshot(world, 'd-1');
  const takes = async (more: Partial<$ecs.CopySnapshotRequest>) => {
    const before = world.clock.now();
    await world.ecs.copySnapshot(copyOf(snapshot, more));
    await world.clock.idle();
    return Math.round((world.clock.now() - before) / 1000);
  };
  assert.deepEqual(
    [await takes({}), await takes({}), await takes({ encrypted: true }), await takes({ encrypted: true })],
    [470, 101, 470, 101],
  );
});

test('what the seed says fails halfway, as often as it says, and works the next time', async (t) => {
  const world = await started(
    t,
    {},
    {
      failures: [
        { action: 'CreateSnapshot', resource: 'd-1' },
        { action: 'CopySnapshot', times: 2 },
        { action: 'CreateDisk' },
      ],
    },
  );
  const { ecs, clock, it } = world;
  const begin = clock.now();
  const failed = await readySnapshot(world, 'd-1', 'one');
  assert.equal(clock.now() - begin, 25_000);
  const found = await snapshotOf(world, REGION, failed);
  assert.deepEqual([found!.status, found!.progress, found!.available], ['failed', '50%', false]);
  await assert.rejects(ecs.copySnapshot(copyOf(failed)), { code: 'InvalidSnapshotId.NotReady' });
  const good = await readySnapshot(world, 'd-1', 'two');
  assert.equal((await snapshotOf(world, REGION, good))!.status, 'accomplished');

  const states: (string | undefined)[] = [];
  for (const name of ['a1', 'a2', 'a3']) {
    const { body } = await ecs.copySnapshot(copyOf(good, { destinationSnapshotName: name }));
    await clock.idle();
    states.push((await snapshotOf(world, FAR, body!.snapshotId!))!.status);
  }
  assert.deepEqual(states, ['failed', 'failed', 'accomplished']);

  const gone = await ecs.createDisk(diskFrom({ snapshotId: good }));
  assert.equal((await diskOf(world, gone.body!.diskId!))!.status, 'Creating');
  await clock.idle();
  assert.equal(await diskOf(world, gone.body!.diskId!), undefined);
  const stays = await ecs.createDisk(diskFrom({ snapshotId: good }));
  await clock.idle();
  assert.equal((await diskOf(world, stays.body!.diskId!))!.status, 'Available');
  assert.equal(it.cloud.contentOf(gone.body!.diskId!), undefined);
});

test('a test can let the work on one disk fail for as long as it wants', async (t) => {
  let broken = true;
  const world = await started(t, { failsJob: (action, id) => broken && action === 'CreateSnapshot' && id === 'd-1' });
  const state = async (id: string) => (await snapshotOf(world, REGION, id))!.status;
  assert.equal(await state(await readySnapshot(world, 'd-1', 'one')), 'failed');
  assert.equal(await state(await readySnapshot(world, 'd-2', 'two')), 'accomplished');
  broken = false;
  assert.equal(await state(await readySnapshot(world, 'd-1', 'three')), 'accomplished');
});

test('the account’s quotas of disks and copies hold', async (t) => {
  const world = await started(t, {
    limits: { disksPerRegion: 4, diskGiBPerCategoryAndZone: 100, snapshotsPerDisk: 2 },
  });
  const { ecs, clock } = world;
  await assert.rejects(ecs.createDisk(diskFrom({ size: 61 })), { code: 'QuotaExceed.DiskCapacity', statusCode: 400 });
  await ecs.createDisk(diskFrom({ size: 60 }));
  await ecs.createDisk(diskFrom({ size: 20, diskCategory: 'cloud_ssd' }));
  await assert.rejects(ecs.createDisk(diskFrom({ size: 20, diskCategory: 'cloud_auto' })), {
    code: 'QuotaExceed.PostPaidDisk',
    statusCode: 403,
  });
  await ecs.createDisk(diskFrom({ regionId: FAR, zoneId: 'cn-beijing-h', size: 20 }));

  const snapshot = await readySnapshot(world, 'd-1');
  for (const name of ['a1', 'a2']) {
    await ecs.copySnapshot(copyOf(snapshot, { destinationSnapshotName: name }));
    await clock.idle();
  }
  await assert.rejects(ecs.copySnapshot(copyOf(snapshot)), { code: 'QuotaExceed.SnapshotQuota', statusCode: 403 });
  await ecs.copySnapshot(copyOf(snapshot, { destinationRegionId: 'cn-shanghai' }));
});

test('what a zone sells is told beforehand and refused afterwards', async (t) => {
  const notSold = { 'cn-hangzhou-b': ['*'], [ZONE]: ['cloud_essd.PL0', 'cloud_efficiency'] };
  const { ecs } = await started(t, {}, { notSold });
  const refused: [Partial<$ecs.CreateDiskRequest>, string, number][] = [
    [{ zoneId: 'cn-hangzhou-b' }, 'Zone.NotOnSale', 403],
    [{ performanceLevel: 'PL0' }, 'InvalidPerformanceLevel.ValueNotSupported', 400],
    [{ diskCategory: 'cloud_efficiency' }, 'InvalidDataDiskCategory.NotSupported', 400],
  ];
  for (const [more, code, statusCode] of refused)
    await assert.rejects(ecs.createDisk(diskFrom({ size: 20, ...more })), { code, statusCode });

  const ask = async (more: Partial<$ecs.DescribeAvailableResourceRequest>) =>
    (
      await ecs.describeAvailableResource(
        new $ecs.DescribeAvailableResourceRequest({
          regionId: REGION,
          destinationResource: 'DataDisk',
          resourceType: 'disk',
          ...more,
        }),
      )
    ).body!.availableZones!.availableZone!;
  const zones = await ask({});
  assert.deepEqual(
    zones.filter((it) => it.status === 'SoldOut').map((it) => it.zoneId),
    ['cn-hangzhou-b'],
  );
  const soldOut = (at: string) =>
    zones
      .find((it) => it.zoneId === at)!
      .availableResources!.availableResource![0]!.supportedResources!.supportedResource!.filter(
        (it) => it.status === 'SoldOut',
      )
      .map((it) => it.value);
  assert.deepEqual(soldOut(ZONE), ['cloud_efficiency']);
  assert.equal(soldOut('cn-hangzhou-b').length, 8);
  const [one] = await ask({ zoneId: ZONE, dataDiskCategory: 'cloud_essd' });
  const [resource] = one!.availableResources!.availableResource!;
  assert.equal(resource!.type, 'DataDisk');
  assert.deepEqual(
    resource!.supportedResources!.supportedResource!.map(({ value, status, statusCategory, min, max, unit }) => ({
      value,
      status,
      statusCategory,
      min,
      max,
      unit,
    })),
    [{ value: 'cloud_essd', status: 'Available', statusCategory: 'WithStock', min: 1, max: 65_536, unit: 'GiB' }],
  );
  const [system] = await ask({ zoneId: ZONE, destinationResource: 'SystemDisk', instanceType: 'ecs.g7.xlarge' });
  const sizes = system!.availableResources!.availableResource![0]!.supportedResources!.supportedResource!;
  assert.ok(sizes.every((it) => it.min === 20 && it.max === 2048));
  await assert.rejects(ask({ destinationResource: 'SystemDisk' }), { code: 'MissingParameter' });
  await assert.rejects(ask({ zoneId: 'cn-hangzhou-z' }), { code: 'InvalidZoneId.NotFound' });
});

test('no disk is made of a system disk’s snapshot, and none is snapshot that was never attached', async (t) => {
  const disks: CloudSeed['disks'] = [
    { id: 'd-sys', zone: ZONE, category: 'cloud_essd', sizeGiB: 40, instance: 'i-1', type: 'system' },
    { id: 'd-new', zone: ZONE, category: 'cloud_essd', sizeGiB: 40, everAttached: false, content: ['old'] },
  ];
  const world = await started(t, {}, { disks });
  const snapshot = await readySnapshot(world, 'd-sys');
  assert.equal((await snapshotOf(world, REGION, snapshot))!.sourceDiskType, 'system');
  await assert.rejects(world.ecs.createDisk(diskFrom({ snapshotId: snapshot })), {
    code: 'InvalidSnapshotId.NotDataDiskSnapshot',
    statusCode: 403,
  });
  await assert.rejects(takeSnapshot(world, 'd-new'), { code: 'IncorrectDiskStatus.NeverAttached' });
  assert.deepEqual(world.it.cloud.contentOf('d-new'), { writes: 1, data: ['old'] });
});

test('names and descriptions are held to their rules', async (t) => {
  const world = await started(t);
  const { ecs } = world;
  const snapshot = await readySnapshot(world, 'd-1');
  for (const name of ['1st', 'a', 'a b', 'http://x', 'x'.repeat(129)]) {
    await assert.rejects(takeSnapshot(world, 'd-1', name), { code: 'InvalidSnapshotName.Malformed', statusCode: 400 });
    await assert.rejects(ecs.copySnapshot(copyOf(snapshot, { destinationSnapshotName: name })), {
      code: 'InvalidSnapshotName.Malformed',
      statusCode: 403,
    });
    await assert.rejects(ecs.createDisk(diskFrom({ size: 20, diskName: name })), {
      code: 'InvalidDiskName.Malformed',
      statusCode: 400,
    });
  }
  await assert.rejects(ecs.copySnapshot(copyOf(snapshot, { destinationSnapshotDescription: 'x' })), {
    code: 'InvalidDescription.Malformed',
    statusCode: 403,
  });
});

test('calls of Ecs are counted by the minute of the clock, by action and by region', async (t) => {
  const { ecs, clock } = await started(t, { limits: { callsPerMinute: { DescribeSnapshots: 2 } } });
  const ask = (regionId: string) => ecs.describeSnapshots(new $ecs.DescribeSnapshotsRequest({ regionId }));
  await clock.sleep(50_000);
  await ask(REGION);
  await ask(REGION);
  await assert.rejects(ask(REGION), { code: 'Throttling.User', statusCode: 400 });
  await ask(FAR);
  await ecs.describeDisks(new $ecs.DescribeDisksRequest({ regionId: REGION }));
  await clock.sleep(10_000);
  await ask(REGION);
});

test('a second request with the token of one that is still under way is told to wait', async (t) => {
  let parked: (() => void) | undefined;
  const world = await started(t, {
    faults: {
      decide() {
        const told = parked;
        parked = undefined;
        told?.();
        return told && { kind: 'slow', ms: 20_000 };
      },
    },
  });
  const { ecs, clock } = world;
  /** @returns what the first one made, and the second one too, after it was refused once */
  const twice = async (code: string, send: (changed?: boolean) => Promise<string>) => {
    // Held for the first one, which parks, and for those that follow: no time passes, and it stays where it is.
    const releases = [clock.hold(), clock.hold()];
    const isParked = new Promise<void>((resolve) => {
      parked = resolve;
    });
    const first = send();
    await isParked;
    await assert.rejects(send(), { code, statusCode: 403 });
    await assert.rejects(send(true), { code: 'IdempotentParameterMismatch' });
    for (const release of releases) release();
    const id = await first;
    assert.equal(await send(), id);
    await clock.idle();
    return id;
  };
  const snapshot = await twice('IdempotentProcessing', async (changed) => {
    const { body } = await ecs.createSnapshot(
      new $ecs.CreateSnapshotRequest({ diskId: changed ? 'd-2' : 'd-1', clientToken: 't' }),
    );
    return body!.snapshotId!;
  });
  await twice('IdempotentProcessing', async (changed) => {
    const request = copyOf(snapshot, { clientToken: 't', ...(changed && { destinationSnapshotName: 'other' }) });
    return (await ecs.copySnapshot(request)).body!.snapshotId!;
  });
  await twice('LastTokenProcessing', async (changed) => {
    const { body } = await ecs.createDisk(
      diskFrom({ snapshotId: snapshot, clientToken: 't', size: changed ? 50 : 40 }),
    );
    return body!.diskId!;
  });
});

test('long lists come whole: up to 100 snapshots and 500 disks a page, found by several tags', async (t) => {
  const disks = Array.from({ length: 520 }, (_, i) => ({
    id: `d-${i}`,
    zone: ZONE,
    category: 'cloud_essd',
    sizeGiB: 20,
    tags: { plan: i % 2 === 0 ? 'even' : 'odd', third: String(i % 3) },
  }));
  const world = await started(t, {}, { disks });
  const { ecs } = world;
  const list = async (more: Partial<$ecs.DescribeDisksRequest>) =>
    (await ecs.describeDisks(new $ecs.DescribeDisksRequest({ regionId: REGION, ...more }))).body!;
  const first = await list({ maxResults: 500 });
  const rest = await list({ maxResults: 500, nextToken: first.nextToken! });
  assert.deepEqual([first.disks!.disk!.length, rest.disks!.disk!.length, rest.nextToken], [500, 20, '']);
  // More than there may be is the most, less the least.
  assert.equal((await list({ maxResults: 1000 })).disks!.disk!.length, 500);
  assert.equal((await list({ maxResults: 1 })).disks!.disk!.length, 10);
  const tag = [
    { key: 'plan', value: 'even' },
    { key: 'third', value: '0' },
  ].map((it) => new $ecs.DescribeDisksRequestTag(it));
  assert.equal((await list({ tag })).totalCount, 87);

  for (let i = 0; i < 105; i++)
    await world.it.cloud.call('Ecs', 'CreateSnapshot', { DiskId: `d-${i}`, SnapshotName: `n${i}` });
  const snapshots = async (more: Partial<$ecs.DescribeSnapshotsRequest>) =>
    (await ecs.describeSnapshots(new $ecs.DescribeSnapshotsRequest({ regionId: REGION, ...more }))).body!;
  assert.equal((await snapshots({})).snapshots!.snapshot!.length, 10);
  const page = await snapshots({ maxResults: 100 });
  const last = await snapshots({ maxResults: 100, nextToken: page.nextToken! });
  assert.deepEqual([page.snapshots!.snapshot!.length, last.snapshots!.snapshot!.length, last.nextToken], [100, 5, '']);
  await assert.rejects(snapshots({ maxResults: 101 }), { code: 'InvalidMaxResults' });
  await assert.rejects(snapshots({ snapshotIds: JSON.stringify(disks.slice(0, 101).map((it) => it.id)) }), {
    code: 'InvalidSnapshotIds.Malformed',
  });
});

test('an instance attaches and detaches as many disks at once as it may', async (t) => {
  const disks = ['d-1', 'd-2', 'd-3'].map((id) => ({ id, zone: ZONE, category: 'cloud_essd', sizeGiB: 20 }));
  const world = await started(
    t,
    { limits: { attachingPerInstance: 1, detachingPerInstance: 1, disksPerInstance: 2 } },
    { disks },
  );
  const { ecs, clock } = world;
  const attach = (diskId: string) => ecs.attachDisk(new $ecs.AttachDiskRequest({ instanceId: 'i-1', diskId }));
  const detach = (diskId: string) => ecs.detachDisk(new $ecs.DetachDiskRequest({ instanceId: 'i-1', diskId }));
  await attach('d-1');
  await assert.rejects(attach('d-2'), { code: 'InvalidOperation.Conflict', statusCode: 409 });
  await clock.idle();
  await attach('d-2');
  await clock.idle();
  await assert.rejects(attach('d-3'), { code: 'InstanceDiskLimitExceeded', statusCode: 403 });
  await detach('d-1');
  await assert.rejects(detach('d-2'), { code: 'DisksDetachingOnEcsExceeded', statusCode: 400 });
  await clock.idle();
  await detach('d-2');
});

test('every action on disks and snapshots can be denied to an identity', async (t) => {
  const actions: Record<string, Record<string, string>> = {
    CreateSnapshot: { DiskId: 'd-1' },
    CopySnapshot: { RegionId: REGION, SnapshotId: 's-1' },
    DescribeSnapshots: { RegionId: REGION },
    DeleteSnapshot: { SnapshotId: 's-1' },
    CreateDisk: { RegionId: REGION, ZoneId: ZONE, Size: '20' },
    DescribeDisks: { RegionId: REGION },
    AttachDisk: { DiskId: 'd-2', InstanceId: 'i-1' },
    DetachDisk: { DiskId: 'd-1', InstanceId: 'i-1' },
    DeleteDisk: { DiskId: 'd-2' },
    DescribeInstances: { RegionId: REGION },
    DescribeNetworkInterfaces: { RegionId: REGION },
    DescribeAvailableResource: { RegionId: REGION, DestinationResource: 'DataDisk' },
    TagResources: { RegionId: REGION, ResourceType: 'disk', 'ResourceId.1': 'd-1', 'Tag.1.Key': 'a' },
    UntagResources: { RegionId: REGION, ResourceType: 'disk', 'ResourceId.1': 'd-1', 'TagKey.1': 'app' },
    ListTagResources: { RegionId: REGION, ResourceType: 'disk', 'ResourceId.1': 'd-1' },
  };
  const denied = Object.keys(actions).map((it) => `ecs:${it}`);
  const { it } = await started(t, { accessKeys: [{ ...KEY, denied }] });
  const before = it.cloud.snapshot();
  const call = officialClient(it.host, VERSIONS.Ecs);
  for (const [action, parameters] of Object.entries(actions))
    await assert.rejects(call(action, parameters), { code: 'Forbidden.RAM', statusCode: 403 }, action);
  assert.deepEqual(it.cloud.snapshot(), before);
});

test('tags are taken off by key or all at once, listed page by page, and held to their rules', async (t) => {
  const { ecs } = await started(t);
  const on = { regionId: REGION, resourceType: 'disk' };
  const put = (tag: { key: string; value?: string }[], resourceId = ['d-1', 'd-2']) =>
    ecs.tagResources(
      new $ecs.TagResourcesRequest({ ...on, resourceId, tag: tag.map((it) => new $ecs.TagResourcesRequestTag(it)) }),
    );
  const list = async (more: Partial<$ecs.ListTagResourcesRequest>) => {
    const rows: string[] = [];
    for (let nextToken: string | undefined; nextToken !== '';) {
      const { body } = await ecs.listTagResources(
        new $ecs.ListTagResourcesRequest({ ...on, ...more, ...(nextToken !== undefined && { nextToken }) }),
      );
      rows.push(...body!.tagResources!.tagResource!.map((it) => `${it.resourceId} ${it.tagKey}=${it.tagValue}`));
      nextToken = body!.nextToken ?? '';
    }
    return rows;
  };
  await put(Array.from({ length: 19 }, (_, i) => ({ key: `k${i}`, value: 'v' })));
  await put([{ key: 'plan', value: 'shop' }], ['d-2']);
  await assert.rejects(put([{ key: 'one-more', value: '' }]), { code: 'NumberExceed.Tags' });
  await assert.rejects(put([{ key: 'acs:own', value: '' }]), { code: 'InvalidTagKey.Malformed' });
  await assert.rejects(
    put([
      { key: 'k1', value: 'a' },
      { key: 'k1', value: 'b' },
    ]),
    { code: 'Duplicate.TagKey' },
  );
  await assert.rejects(put([{ key: 'k1', value: 'x' }], ['d-1', 'd-404']), { code: 'InvalidResourceId.NotFound' });
  assert.equal((await list({ resourceId: ['d-1', 'd-2'] })).length, 40);
  assert.equal((await list({ tag: [new $ecs.ListTagResourcesRequestTag({ key: 'plan', value: 'shop' })] })).length, 20);

  const take = (more: Partial<$ecs.UntagResourcesRequest>) =>
    ecs.untagResources(new $ecs.UntagResourcesRequest({ ...on, resourceId: ['d-1'], ...more }));
  await assert.rejects(take({}), { code: 'MissingTagKey' });
  // With keys named, All says nothing.
  await take({ tagKey: ['app'], all: true });
  assert.equal((await list({ resourceId: ['d-1'] })).length, 19);
  await take({ all: true });
  assert.deepEqual(await list({ resourceId: ['d-1'] }), []);
});

test('a snapshot whose days are over is gone', async (t) => {
  const world = await started(t);
  const { ecs, clock } = world;
  const { body } = await ecs.createSnapshot(new $ecs.CreateSnapshotRequest({ diskId: 'd-1', retentionDays: 1 }));
  await clock.idle();
  await clock.sleep(86_000_000);
  assert.equal((await snapshotOf(world, REGION, body!.snapshotId!))!.retentionDays, 1);
  await clock.sleep(400_000);
  assert.equal(await snapshotOf(world, REGION, body!.snapshotId!), undefined);
});

test('instances are found by their zone', async (t) => {
  const { ecs, it } = await started(t);
  it.cloud.addInstance({ id: 'i-j', zone: 'cn-hangzhou-j', ip: '10.1.1.1' });
  const { body } = await ecs.describeInstances(
    new $ecs.DescribeInstancesRequest({ regionId: REGION, zoneId: 'cn-hangzhou-j' }),
  );
  assert.deepEqual(
    body!.instances!.instance!.map((one) => one.instanceId),
    ['i-j'],
  );
});

test('an instance takes disks of the categories of its type, which can be asked before', async (t) => {
  const { ecs, it } = await started(t, {}, { instanceTypes: { 'ecs.old': ['cloud_ssd'] } });
  it.cloud.addInstance({ id: 'i-old', zone: ZONE, ip: '10.1.0.77', type: 'ecs.old' });
  it.cloud.detachDisk('d-1');
  const attach = (diskId: string) => ecs.attachDisk(new $ecs.AttachDiskRequest({ instanceId: 'i-old', diskId }));
  await assert.rejects(attach('d-1'), { code: 'InvalidDiskCategory.NotSupported', statusCode: 403 });
  assert.throws(() => it.cloud.attachDisk('d-1', 'i-old'), { code: 'InvalidDiskCategory.NotSupported' });
  await attach('d-2');
  const found = await ecs.describeInstances(
    new $ecs.DescribeInstancesRequest({ regionId: REGION, instanceIds: JSON.stringify(['i-old']) }),
  );
  assert.equal(found.body!.instances!.instance![0]!.instanceType, 'ecs.old');
  const { body } = await ecs.describeAvailableResource(
    new $ecs.DescribeAvailableResourceRequest({
      regionId: REGION,
      destinationResource: 'DataDisk',
      resourceType: 'disk',
      zoneId: ZONE,
      instanceType: 'ecs.old',
    }),
  );
  const [resource] = body!.availableZones!.availableZone![0]!.availableResources!.availableResource!;
  assert.deepEqual(
    resource!.supportedResources!.supportedResource!.map((one) => one.value),
    ['cloud_ssd'],
  );
});
