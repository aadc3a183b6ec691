import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alibabaCloud } from '../src/alibaba/cloud.js';
import { KEY, REGION, SEED, startedCloud } from './twin-cloud-clients.js';

const RULES = 1001;

test('a security group is read with all its rules, page by page, and what does not apply is left out', async (t) => {
  const many = Array.from({ length: RULES - 3 }, (_, index) => ({
    protocol: 'udp',
    cidr: '10.0.0.0/8',
    ports: `${index + 1}/${index + 1}`,
    policy: 'Drop' as const,
    priority: 100,
  }));
  const rules = [
    { protocol: 'tcp', cidr: '100.64.0.0/10' },
    { protocol: 'all', list: 'pl-1' },
    { direction: 'egress' as const, protocol: 'all', group: 'sg-2', priority: 7 },
    ...many,
  ];
  const started = await startedCloud(t, {}, { ...SEED, securityGroups: [{ id: 'sg-1', rules }] });
  const asked: string[] = [];
  const cloud = alibabaCloud({
    region: REGION,
    endpoint: started.url,
    keys: { accessKeyId: KEY.id, accessKeySecret: KEY.secret },
    clock: { now: () => 0, sleep: async () => {} },
    tap: (call, send) => {
      asked.push(`${call.verb} ${call.writes}`);
      return send();
    },
  });

  const found = await cloud.securityGroup(REGION, 'sg-1');
  assert.deepEqual(found?.rules.slice(0, 4), [
    { direction: 'ingress', protocol: 'tcp', ports: '1/65535', cidr: '100.64.0.0/10', policy: 'Accept', priority: 1 },
    { direction: 'ingress', protocol: 'all', ports: '-1/-1', list: 'pl-1', policy: 'Accept', priority: 1 },
    { direction: 'egress', protocol: 'all', ports: '-1/-1', group: 'sg-2', policy: 'Accept', priority: 7 },
    { direction: 'ingress', protocol: 'udp', ports: '1/1', cidr: '10.0.0.0/8', policy: 'Drop', priority: 100 },
  ]);
  assert.equal(found?.rules.length, RULES);
  assert.deepEqual(asked, ['DescribeSecurityGroupAttribute false', 'DescribeSecurityGroupAttribute false']);

  assert.equal(await cloud.securityGroup(REGION, 'sg-9'), undefined);
  assert.equal(await cloud.securityGroup('cn-beijing', 'sg-1'), undefined);
});
