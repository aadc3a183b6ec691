import assert from 'node:assert/strict';
import { test } from 'node:test';
import alidns, * as models from '@alicloud/alidns20150109';
import { $OpenApiUtil } from '@alicloud/openapi-core';
import type { CloudSeed } from '../src/twin/types.js';
import { KEY, officialClient, REGION, rpcCall, startedCloud, VERSIONS } from './twin-cloud-clients.js';

const SEED: CloudSeed = {
  region: REGION,
  loadBalancers: [],
  domains: [
    {
      name: 'example.com',
      records: [
        { id: '1', rr: 'www', value: '203.0.113.1', ttlS: 60 },
        { id: '2', rr: 'www', value: '203.0.113.2', ttlS: 60, status: 'DISABLE' },
        { id: '3', rr: '@', value: '203.0.113.9' },
        { id: '4', rr: '*', value: '203.0.113.1' },
        { id: '5', rr: '*', value: '203.0.113.2', locked: true },
        { id: '6', rr: 'shop', type: 'CNAME', value: 'www.example.com', ttlS: 30 },
      ],
    },
    { name: 'free.cn', edition: 'mianfei', records: [] },
  ],
};

/** The vendor's own package, as its users make it. */
function packageClient(host: string, signatureAlgorithm?: 'v2') {
  const config = new $OpenApiUtil.Config({
    accessKeyId: KEY.id,
    accessKeySecret: KEY.secret,
    endpoint: host,
    protocol: 'http',
    regionId: REGION,
    connectTimeout: 30_000,
    readTimeout: 30_000,
    ...(signatureAlgorithm === undefined ? {} : { signatureAlgorithm }),
  });
  return new alidns.default(config);
}

const weight = (recordId: string, value: number) => new models.UpdateDNSSLBWeightRequest({ recordId, weight: value });
const open = (subDomain: string, on = true) => new models.SetDNSSLBStatusRequest({ subDomain, open: on });
const status = (recordId: string, to: string) => new models.SetDomainRecordStatusRequest({ recordId, status: to });

test('the official package turns weighting on, sets weights and pauses records, in both signatures', async (t) => {
  for (const algorithm of [undefined, 'v2'] as const) {
    const { host } = await startedCloud(t, {}, SEED);
    const client = packageClient(host, algorithm);
    const opened = await client.setDNSSLBStatus(open('www.example.com'));
    assert.deepEqual([opened.body?.open, opened.body?.recordCount], [true, 2]);
    await client.setDomainRecordStatus(status('2', 'Enable'));
    const set = await client.updateDNSSLBWeight(weight('1', 100));
    assert.deepEqual([set.body?.recordId, set.body?.weight], ['1', 100]);

    const { body } = await client.describeSubDomainRecords(
      new models.DescribeSubDomainRecordsRequest({ subDomain: 'www.example.com', type: 'A' }),
    );
    assert.deepEqual(
      body?.domainRecords?.record?.map((it) => [it.recordId, it.RR, it.value, it.TTL, it.status, it.weight]),
      [
        ['1', 'www', '203.0.113.1', 60, 'ENABLE', 100],
        ['2', 'www', '203.0.113.2', 60, 'ENABLE', 1],
      ],
    );
    const all = await client.describeDomainRecords(
      new models.DescribeDomainRecordsRequest({
        domainName: 'example.com',
        RRKeyWord: 'WWW',
        pageSize: 1,
        pageNumber: 2,
      }),
    );
    assert.equal(all.body?.totalCount, 2);
    assert.deepEqual(
      all.body?.domainRecords?.record?.map((it) => [it.recordId, it.lbaStatus]),
      [['2', true]],
    );
    const lists = await client.describeDNSSLBSubDomains(
      new models.DescribeDNSSLBSubDomainsRequest({ domainName: 'example.com' }),
    );
    assert.deepEqual(
      lists.body?.slbSubDomains?.slbSubDomain?.map((it) => [it.subDomain, it.type, it.recordCount, it.open]),
      [
        ['www.example.com', 'A', 2, true],
        ['*.example.com', 'A', 2, false],
      ],
    );
    const info = await client.describeDomainInfo(new models.DescribeDomainInfoRequest({ domainName: 'free.cn' }));
    assert.deepEqual([info.body?.versionCode, info.body?.minTtl], ['mianfei', 600]);
  }
});

test('records are added, changed and deleted by the package and by a call signed by hand', async (t) => {
  const { host, url } = await startedCloud(t, {}, SEED);
  const client = packageClient(host);
  const shape = { RR: 'api', type: 'A', value: '198.51.100.1', TTL: 1 };
  const { body } = await client.addDomainRecord(
    new models.AddDomainRecordRequest({ domainName: 'example.com', ...shape }),
  );
  const recordId = body?.recordId ?? '';
  assert.match(recordId, /^9\d{17}$/);
  await client.updateDomainRecord(new models.UpdateDomainRecordRequest({ recordId, ...shape, RR: 'v2.api' }));
  const found = await rpcCall(
    url,
    'Alidns',
    'DescribeSubDomainRecords',
    { SubDomain: 'v2.api.example.com' },
    { form: true },
  );
  assert.equal(found.body.DomainRecords.Record[0].RecordId, recordId);
  await client.deleteDomainRecord(new models.DeleteDomainRecordRequest({ recordId }));
  const gone = await rpcCall(url, 'Alidns', 'DescribeDomainRecordInfo', { RecordId: recordId });
  assert.deepEqual([gone.status, gone.body.Code], [400, 'DomainRecordNotBelongToUser']);
});

test('what the product refuses is refused with its codes', async (t) => {
  const { host } = await startedCloud(t, {}, SEED);
  const call = officialClient(host, VERSIONS.Alidns);
  const add = { DomainName: 'example.com', RR: 'www', Type: 'A', Value: '203.0.113.3' };
  const refused: [string, Record<string, string>, string][] = [
    ['UpdateDNSSLBWeight', { RecordId: '1', Weight: '0' }, 'InvalidWeigth'],
    ['UpdateDNSSLBWeight', { RecordId: '1', Weight: '101' }, 'InvalidWeigth'],
    ['UpdateDNSSLBWeight', { RecordId: '1', Weight: '5' }, 'DisableDNSSLB'],
    ['UpdateDNSSLBWeight', { RecordId: '2', Weight: '5' }, 'DomainRecordDisable'],
    ['UpdateDNSSLBWeight', { RecordId: '4', Weight: '5' }, 'PanDomainRecord'],
    ['UpdateDNSSLBWeight', { RecordId: '5', Weight: '5' }, 'DomainRecordLocked'],
    ['UpdateDNSSLBWeight', { RecordId: '77', Weight: '5' }, 'DomainRecordNotBelongToUser'],
    ['SetDNSSLBStatus', { SubDomain: 'example.com' }, 'InvalidSubDomain'],
    ['SetDNSSLBStatus', { SubDomain: '@.example.com' }, 'SubDomainInvalid.Operation'],
    ['SetDNSSLBStatus', { SubDomain: 'shop.example.com', Type: 'CNAME' }, 'InvalidType'],
    ['SetDNSSLBStatus', { SubDomain: 'www.nobody.org' }, 'IncorrectDomainUser'],
    ['SetDNSSLBStatus', {}, 'MissingSubDomain'],
    ['SetDomainRecordStatus', { RecordId: '1', Status: 'off' }, 'InvalidStatus'],
    ['SetDomainRecordStatus', { RecordId: '5', Status: 'Disable' }, 'DomainRecordLocked'],
    ['AddDomainRecord', { ...add, Value: '203.0.113.1' }, 'DomainRecordDuplicate'],
    ['AddDomainRecord', { ...add, Type: 'CNAME', Value: 'x.example.com' }, 'DomainRecordConflict'],
    ['AddDomainRecord', { ...add, DomainName: 'free.cn', TTL: '60' }, 'QuotaExceeded.TTL'],
    ['AddDomainRecord', { ...add, TTL: '86401' }, 'InvalidTTL'],
    [
      'UpdateDomainRecord',
      { RecordId: '1', RR: 'www', Type: 'A', Value: '203.0.113.1', TTL: '60' },
      'DomainRecordDuplicate',
    ],
  ];
  for (const [action, parameters, code] of refused) await assert.rejects(call(action, parameters), { code }, action);

  for (let nth = 1; nth <= 10; nth++)
    await call('AddDomainRecord', { ...add, DomainName: 'free.cn', Value: `10.0.0.${nth}` });
  await assert.rejects(call('AddDomainRecord', { ...add, DomainName: 'free.cn', Value: '10.0.0.11' }), {
    code: 'QuotaExceeded.ARecord',
  });
});

test('the authority gives all addresses without weights, one by weight with them, and follows a CNAME', async (t) => {
  const { cloud, host } = await startedCloud(t, {}, SEED);
  const call = officialClient(host, VERSIONS.Alidns);
  const asked = (name: string) => cloud.dnsAnswer!(name);
  assert.deepEqual(asked('www.example.com.'), { ttlS: 60, values: ['203.0.113.1'] });
  await call('SetDomainRecordStatus', { RecordId: '2', Status: 'Enable' });
  assert.equal(asked('WWW.example.com')?.values.length, 2);
  await call('SetDNSSLBStatus', { SubDomain: 'www.example.com' });
  await call('UpdateDNSSLBWeight', { RecordId: '1', Weight: '90' });
  await call('UpdateDNSSLBWeight', { RecordId: '2', Weight: '10' });
  let second = 0;
  for (let nth = 0; nth < 4000; nth++) {
    const { values, ttlS } = asked('shop.example.com')!;
    assert.equal(values.length, 1);
    assert.equal(ttlS, 30, 'the shortest on the way');
    if (values[0] === '203.0.113.2') second += 1;
  }
  assert.ok(Math.abs(second / 40 - 10) < 2, `${second} of 4000`);
  assert.equal(asked('nobody.example.com'), undefined);
});
