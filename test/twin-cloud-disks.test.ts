import assert from 'node:assert/strict';
import { test } from 'node:test';
import { $OpenApiUtil } from '@alicloud/openapi-core';
import ecs20140526, * as $ecs from '@alicloud/ecs20140526';
import { virtualClock, type SteeredClock } from '../src/twin/clock.js';
import type { CloudOptions, StartedCloud } from '../src/twin/cloud/cloud.js';
import { KEY, officialClient, REGION, startedCloud, VERSIONS } from './twin-cloud-clients.js';

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
): Promise<World> {
  const clock = virtualClock('2026-01-01T00:00:00Z');
  const it = await startedCloud(t, { clock, ...options });
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
  await assert.rejects(ecs.createSnapshot(request({ clientToken: 'x'.repeat(65) })), { code: 'InvalidClientToken' });
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
