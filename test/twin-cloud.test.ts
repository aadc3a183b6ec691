import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { virtualClock } from '../src/twin/clock.js';
import type { Fault } from '../src/twin/types.js';
import { KEY, officialClient, REGION, rpcCall, signedUrl, startedCloud, VERSIONS } from './twin-cloud-clients.js';

const GROUP = { RegionId: REGION, VServerGroupId: 'rsp-1' };

test('the official runtime is understood in both of its signatures, with blanks, quotes and Chinese in values', async (t) => {
  const { host, log } = await startedCloud(t);
  const name = "a b+c*!'()~ 上海/&=%";
  for (const algorithm of [undefined, 'v2'] as const) {
    const call = officialClient(host, VERSIONS.Slb, {}, algorithm);
    const answer = await call('SetVServerGroupAttribute', { ...GROUP, VServerGroupName: name });
    assert.equal(answer.VServerGroupName, name);
    assert.match(answer.RequestId, /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/);
  }
  assert.deepEqual(
    log.map(({ action, ok, parameters }) => ({ action, ok, parameters: Object.keys(parameters).sort() })),
    Array.from({ length: 2 }, () => ({
      action: 'SetVServerGroupAttribute',
      ok: true,
      parameters: ['RegionId', 'VServerGroupId', 'VServerGroupName'],
    })),
  );
});

test('a request signed by hand is understood with its parameters in the query, in a form body and by GET', async (t) => {
  const { url } = await startedCloud(t);
  for (const options of [{}, { form: true }, { method: 'GET' as const }]) {
    const { status, body } = await rpcCall(url, 'Slb', 'DescribeVServerGroupAttribute', GROUP, options);
    assert.equal(status, 200);
    assert.equal(body.BackendServers.BackendServer.length, 3);
  }
});

test('a temporary key needs its token', async (t) => {
  const temporary = { id: 'STS.x', secret: 's', securityToken: 'token==' };
  const { host } = await startedCloud(t, { accessKeys: [temporary] });
  for (const algorithm of [undefined, 'v2'] as const) {
    await officialClient(host, VERSIONS.Sts, temporary, algorithm)('GetCallerIdentity', {});
    await assert.rejects(
      officialClient(host, VERSIONS.Sts, { ...temporary, securityToken: 'other' }, algorithm)('GetCallerIdentity', {}),
      {
        code: 'InvalidSecurityToken.MismatchWithAccessKey',
      },
    );
  }
  await assert.rejects(officialClient(host, VERSIONS.Sts, { id: 'STS.x', secret: 's' })('GetCallerIdentity', {}), {
    code: 'MissingSecurityToken',
  });
});

test('wrong keys, wrong secrets and unsigned requests are refused with the codes of the gateway', async (t) => {
  const { host, url } = await startedCloud(t);
  for (const algorithm of [undefined, 'v2'] as const) {
    await assert.rejects(officialClient(host, VERSIONS.Slb, { id: 'nobody' }, algorithm)('DescribeRegions', {}), {
      code: 'InvalidAccessKeyId.NotFound',
      statusCode: 404,
    });
    await assert.rejects(officialClient(host, VERSIONS.Slb, { secret: 'wrong' }, algorithm)('DescribeRegions', {}), {
      code: 'SignatureDoesNotMatch',
      statusCode: 400,
    });
  }
  const unsigned = await fetch(`${url}/?Action=DescribeRegions&Version=${VERSIONS.Slb}`);
  assert.equal(unsigned.status, 400);
  const body = (await unsigned.json()) as Record<string, string>;
  assert.deepEqual(Object.keys(body).sort(), ['Code', 'HostId', 'Message', 'Recommend', 'RequestId']);
  assert.equal(body['Code'], 'MissingAccessKeyId');
});

test('a parameter changed after signing breaks the signature, and so does a changed body', async (t) => {
  const { url } = await startedCloud(t);
  const codeOf = async (address: string, body: URLSearchParams | null): Promise<string> => {
    const response = await fetch(address, { method: 'POST', body });
    const answer = (await response.json()) as { Code: string };
    return answer.Code;
  };
  const signed = (): string => signedUrl(url, 'Slb', 'DescribeVServerGroupAttribute', GROUP);
  assert.equal(await codeOf(signed().replace('rsp-1', 'rsp-2'), null), 'SignatureDoesNotMatch');
  assert.equal(await codeOf(signed(), new URLSearchParams({ VServerGroupId: 'rsp-2' })), 'SignatureDoesNotMatch');
});

test('a nonce is good once, and a stamp for 15 minutes by the machine clock', async (t) => {
  let ahead = 0;
  const { url } = await startedCloud(t, {
    clock: virtualClock('2020-01-01T00:00:00Z'),
    wallNow: () => Date.now() + ahead,
  });
  const common = { SignatureNonce: randomUUID() };
  assert.equal((await rpcCall(url, 'Slb', 'DescribeRegions', {}, { common })).status, 200);
  assert.equal((await rpcCall(url, 'Slb', 'DescribeRegions', {}, { common })).body.Code, 'SignatureNonceUsed');

  ahead = 14 * 60_000;
  assert.equal((await rpcCall(url, 'Slb', 'DescribeRegions', {})).status, 200);
  for (const minutes of [16, -16]) {
    ahead = minutes * 60_000;
    assert.equal((await rpcCall(url, 'Slb', 'DescribeRegions', {})).body.Code, 'InvalidTimeStamp.Expired');
  }
  ahead = 0;
  const malformed = await rpcCall(url, 'Slb', 'DescribeRegions', {}, { common: { Timestamp: '2020-01-01' } });
  assert.equal(malformed.body.Code, 'InvalidTimeStamp.Format');
});

test('unknown actions and versions, unknown regions and missing parameters are refused by name', async (t) => {
  const { url, host } = await startedCloud(t);
  const codeOf = async (action: string, parameters: Record<string, string>): Promise<string> => {
    const { body } = await rpcCall(url, 'Slb', action, parameters);
    return body.Code;
  };
  assert.equal(await codeOf('DescribeNothing', {}), 'InvalidAction.NotFound');
  assert.equal(await codeOf('toString', {}), 'InvalidAction.NotFound');
  assert.equal(await codeOf('DescribeVServerGroupAttribute', {}), 'MissingVServerGroupId');
  assert.equal(await codeOf('DescribeVServerGroupAttribute', { VServerGroupId: '' }), 'MissingVServerGroupId');
  assert.equal(await codeOf('DescribeLoadBalancers', { RegionId: 'cn-atlantis' }), 'InvalidRegionId.NotFound');
  await assert.rejects(officialClient(host, '1999-01-01')('DescribeRegions', {}), { code: 'InvalidVersion' });
});

test('rights that are denied to a key are refused as RAM does', async (t) => {
  const { host } = await startedCloud(t, {
    accessKeys: [{ ...KEY, denied: ['slb:SetVServerGroupAttribute', 'ecs:*'] }],
  });
  const slb = officialClient(host, VERSIONS.Slb);
  await slb('DescribeVServerGroupAttribute', GROUP);
  await assert.rejects(slb('SetVServerGroupAttribute', GROUP), { code: 'Forbidden.RAM', statusCode: 403 });
  await assert.rejects(officialClient(host, VERSIONS.Ecs)('DescribeRegions', {}), {
    code: 'Forbidden.RAM',
    statusCode: 403,
  });
});

test('forty members as the controller writes them fit into one request', async (t) => {
  const { host, cloud } = await startedCloud(t);
  const members = Array.from({ length: 40 }, (_, i) => {
    const ip = `10.0.1.${i + 1}`;
    return {
      IsUserManaged: false,
      NodeName: `cn-hangzhou.10.1.0.${i + 1}`,
      description: 'k8s/8080/a-rather-long-service-name/a-namespace/c1234567890abcdef1234567890abcdef',
      serverId: cloud.plugInterface(ip, 'i-1', 'cn-hangzhou-h'),
      serverIp: ip,
      weight: 100,
      port: 8080,
      type: 'eni',
      TargetRef: {
        kind: 'Pod',
        namespace: 'a-namespace',
        name: `a-rather-long-service-name-5d8c7b9f6-${i}`,
        uid: randomUUID(),
      },
      Invalid: false,
    };
  });
  const BackendServers = JSON.stringify(members);
  assert.ok(encodeURIComponent(BackendServers).length > 16 * 1024);
  const slb = officialClient(host, VERSIONS.Slb);
  const answer = await slb('AddVServerGroupBackendServers', { ...GROUP, VServerGroupId: 'rsp-2', BackendServers });
  assert.equal(answer.BackendServers.BackendServer.length, 40);
});

test('calls beyond the limit of a minute are throttled until the clock has moved on', async (t) => {
  const clock = virtualClock('2026-01-01T00:00:00Z');
  const { host, cloud } = await startedCloud(t, {
    clock,
    limits: { callsPerMinute: { DescribeVServerGroupAttribute: 2 } },
  });
  const slb = officialClient(host, VERSIONS.Slb);
  await slb('DescribeVServerGroupAttribute', GROUP);
  await slb('DescribeVServerGroupAttribute', GROUP);
  await assert.rejects(slb('DescribeVServerGroupAttribute', GROUP), { code: 'Throttling.User', statusCode: 400 });
  await cloud.call('Slb', 'DescribeVServerGroupAttribute', GROUP);
  await clock.sleep(60_000);
  await slb('DescribeVServerGroupAttribute', GROUP);
});

test('faults refuse, cut, lose and slow down requests over the wire, and only those', async (t) => {
  const clock = virtualClock('2026-01-01T00:00:00Z');
  const asked: string[] = [];
  let next: Fault | undefined;
  const decide = (request: { verb: string; what: string; writes: boolean }): Fault | undefined => {
    asked.push(`${request.verb} ${request.what} ${request.writes ? 'writes' : 'reads'}`);
    const fault = next;
    next = undefined;
    return fault;
  };
  const { host, cloud, log } = await startedCloud(t, { clock, faults: { decide } });
  const slb = officialClient(host, VERSIONS.Slb);
  const nameNow = async (): Promise<string> =>
    (await cloud.call('Slb', 'DescribeVServerGroupAttribute', GROUP)).VServerGroupName;

  next = { kind: 'refuse', status: 400, code: 'Throttling.User', message: 'later', retryAfterMs: 1500 };
  await assert.rejects(slb('SetVServerGroupAttribute', { ...GROUP, VServerGroupName: 'refused' }), {
    code: 'Throttling.User',
    retryAfter: 1500,
  });
  assert.equal(await nameNow(), 'shop');

  next = { kind: 'cut' };
  await assert.rejects(slb('SetVServerGroupAttribute', { ...GROUP, VServerGroupName: 'cut' }));
  assert.equal(await nameNow(), 'shop');

  next = { kind: 'lose' };
  await assert.rejects(slb('SetVServerGroupAttribute', { ...GROUP, VServerGroupName: 'lost' }));
  assert.equal(await nameNow(), 'lost');

  const before = clock.now();
  next = { kind: 'slow', ms: 20_000 };
  await slb('SetVServerGroupAttribute', { ...GROUP, VServerGroupName: 'slow' });
  assert.equal(clock.now() - before, 20_000);
  assert.equal(await nameNow(), 'slow');

  assert.deepEqual(
    asked,
    Array.from({ length: 4 }, () => 'SetVServerGroupAttribute rsp-1 writes'),
  );
  assert.deepEqual(
    log.map((it) => it.code),
    ['Throttling.User', 'cut', 'lose', undefined],
  );
});

test('a cloud that is down cuts connections, and comes back on the same port with its state', async (t) => {
  const started = await startedCloud(t);
  const slb = officialClient(started.host, VERSIONS.Slb);
  await slb('DescribeVServerGroupAttribute', GROUP);
  started.down();
  await assert.rejects(slb('DescribeVServerGroupAttribute', GROUP));
  started.up();
  assert.equal((await slb('DescribeVServerGroupAttribute', GROUP)).VServerGroupName, 'shop');
});

test('two clouds of one seed have equal worlds, whatever the order of unrelated calls', async (t) => {
  const worlds = [];
  for (const order of [
    ['a', 'b'],
    ['b', 'a'],
  ]) {
    const { cloud } = await startedCloud(t, { clock: virtualClock('2026-01-01T00:00:00Z'), seedNumber: 7 });
    for (const name of order)
      await cloud.call('Slb', 'CreateVServerGroup', {
        RegionId: REGION,
        LoadBalancerId: 'lb-1',
        VServerGroupName: name,
      });
    worlds.push(cloud.snapshot());
  }
  assert.deepEqual(worlds[0], worlds[1]);
  assert.equal(worlds[0].loadBalancers[0].groups.length, 4);
});
