import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import * as dns from '@alicloud/alidns20150109';
import * as ecs from '@alicloud/ecs20140526';
import { $OpenApiUtil } from '@alicloud/openapi-core';
import { alidnsEndpoint, ecsEndpoint } from '../src/alibaba/rpc.js';
import { loadAlidns, loadEcs } from '../src/alibaba/sdk.js';

type Client = Record<string, (request: object) => Promise<{ body?: unknown }>>;

/** The vendor's generated client, whose requests are models of its own. */
function generated(models: object, config: object): Client {
  const all = models as unknown as Record<string, new (fields: object) => object>;
  const { default: exported } = models as { default: { default: new (config: object) => Client } };
  const client = new exported.default(config);
  return new Proxy<Client>(
    {},
    {
      get: (_, method: string) => async (request: object) => {
        const name = method.charAt(0).toUpperCase() + method.slice(1);
        return client[method]!(new all[`${name}Request`]!(request));
      },
    },
  );
}

const tag = [
  { key: 'migrate-id', value: '0ee47e2f/a b&c' },
  { key: 'team', value: 'web' },
];
const regionId = 'cn-hangzhou';

const CALLS: Record<'ecs' | 'alidns', Record<string, object>> = {
  ecs: {
    describeDisks: { regionId, diskIds: '["d-1"]', tag, maxResults: 500, nextToken: 'n' },
    describeAvailableResource: { regionId, zoneId: 'cn-hangzhou-h', destinationResource: 'DataDisk' },
    describeSnapshots: { regionId, tag, maxResults: 100 },
    describeSecurityGroupAttribute: { regionId, securityGroupId: 'sg-1', maxResults: 1000 },
    createSnapshot: { diskId: 'd-1', snapshotName: 'a', clientToken: 't', tag, retentionDays: 7 },
    copySnapshot: {
      regionId,
      snapshotId: 's-1',
      destinationRegionId: 'cn-beijing',
      destinationSnapshotName: 'b',
      destinationSnapshotDescription: 'c',
      clientToken: 't',
      tag,
      encrypted: true,
      KMSKeyId: 'key-1',
    },
    createDisk: {
      regionId,
      zoneId: 'cn-hangzhou-h',
      snapshotId: 's-1',
      diskCategory: 'cloud_essd',
      size: 40,
      diskName: 'd',
      clientToken: 't',
      tag,
      performanceLevel: 'PL1',
      encrypted: false,
      KMSKeyId: 'key-1',
    },
    deleteSnapshot: { snapshotId: 's-1', force: false },
    deleteDisk: { diskId: 'd-1' },
  },
  alidns: {
    describeDomainRecords: {
      domainName: 'example.com',
      RRKeyWord: 'www',
      type: 'A',
      line: 'default',
      pageNumber: 1,
      pageSize: 500,
    },
    addDomainRecord: { domainName: 'example.com', RR: 'www', type: 'A', value: '1.2.3.4', TTL: 600, line: 'default' },
    updateDomainRecord: { recordId: '1', RR: 'www', type: 'A', value: '1.2.3.4', TTL: 600, line: 'default' },
    deleteDomainRecord: { recordId: '1' },
    setDomainRecordStatus: { recordId: '1', status: 'Disable' },
    setDNSSLBStatus: { domainName: 'example.com', subDomain: 'www', type: 'A', line: 'default', open: true },
    updateDNSSLBWeight: { recordId: '1', weight: 7 },
  },
};

/** What an answer may hold: lists in lists, texts, numbers, switches, acronyms. */
const ANSWERS: Record<string, object> = {
  DescribeDisks: {
    NextToken: 'n2',
    Disks: {
      Disk: [
        {
          DiskId: 'd-1',
          ZoneId: 'cn-hangzhou-h',
          Category: 'cloud_essd',
          PerformanceLevel: 'PL1',
          Size: 40,
          Status: 'In_use',
          Encrypted: true,
          KMSKeyId: 'key-1',
          InstanceId: 'i-1',
          SourceSnapshotId: 's-1',
          Tags: { Tag: [{ TagKey: 'a', TagValue: 'b' }] },
        },
      ],
    },
  },
  DescribeSnapshots: {
    Snapshots: { Snapshot: [{ SnapshotId: 's-1', Progress: '40%', RemainTime: 12, SourceDiskSize: '40' }] },
  },
  CreateDisk: { DiskId: 'd-2' },
  DescribeDomainRecords: {
    TotalCount: 1,
    DomainRecords: { Record: [{ RecordId: '1', RR: 'www', TTL: 600, Locked: false, Weight: 3, LbaStatus: true }] },
  },
};

test("our calls of ECS and DNS are the vendor's own, in what is sent and in what comes back", async (t) => {
  let seen: unknown;
  const server = createServer((request, response) => {
    const { headers, method, url = '' } = request;
    const { pathname, searchParams } = new URL(url, 'http://x');
    const action = String(headers['x-acs-action']);
    seen = { method, pathname, action, version: headers['x-acs-version'], query: Object.fromEntries(searchParams) };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ RequestId: 'r-1', ...ANSWERS[action] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const keys = { accessKeyId: 'LTAItest', accessKeySecret: 'secret' };
  const config = new $OpenApiUtil.Config({ ...keys, regionId, endpoint: host, protocol: 'http' });
  const place = { region: regionId, endpoint: `http://${host}`, keys };
  const pairs = {
    ecs: [generated(ecs, config), (await loadEcs(place)) as unknown as Client],
    alidns: [generated(dns, config), (await loadAlidns(place)) as unknown as Client],
  } as const;

  for (const product of ['ecs', 'alidns'] as const) {
    const [theirs, ours] = pairs[product];
    assert.deepEqual(Object.keys(ours).sort(), Object.keys(CALLS[product]).sort(), 'each call is asked here');
    for (const [name, request] of Object.entries(CALLS[product])) {
      const wanted = await theirs[name]!(request);
      const sent = seen;
      seen = undefined;
      const given = await ours[name]!(request);
      assert.deepEqual(seen, sent, name);
      assert.deepEqual(given.body, JSON.parse(JSON.stringify(wanted.body)), name);
    }
  }
});

test("each region has the endpoint that the vendor's clients give it", () => {
  const keys = { accessKeyId: 'LTAItest', accessKeySecret: 'secret' };
  const chosen = (models: object, region: string) => {
    const { default: exported } = models as {
      default: { default: new (config: object) => { _endpoint: string; _endpointMap: Record<string, string> } };
    };
    const { _endpoint: endpoint, _endpointMap: map } = new exported.default(
      new $OpenApiUtil.Config({ ...keys, regionId: region }),
    );
    return { endpoint, named: Object.keys(map) };
  };
  for (const [models, ours] of [
    [ecs, ecsEndpoint],
    [dns, alidnsEndpoint],
  ] as const) {
    for (const region of [
      ...chosen(models, regionId).named,
      'cn-beijing',
      'cn-shanghai',
      'cn-hongkong',
      'ap-southeast-1',
      'eu-central-1',
    ])
      assert.equal(ours(region), chosen(models, region).endpoint, region);
  }
});
