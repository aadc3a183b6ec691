import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test, type TestContext } from 'node:test';
import type { DnsRoute } from '../src/dns.js';
import type { MigrateError } from '../src/errors.js';
import type { DnsRecord, DnsRecords, World } from '../src/ports.js';
import { askServer } from '../src/resolver.js';
import { dns } from '../src/routers/dns.js';
import type { StepContext } from '../src/step.js';

/** A DNS server on loopback: one question, one A record of what it is told at that moment; none for an unknown name. */
async function startServer(t: TestContext, answer: (name: string) => string | undefined): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.subarray(at + 1, at + 1 + length).toString());
      at += length + 1;
    }
    const question = query.subarray(12, at + 5);
    const value = answer(labels.join('.').toLowerCase());
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(value === undefined ? 0x8583 : 0x8580, 2);
    head.writeUInt16BE(value === undefined ? 0 : 1, 6);
    head.writeUInt32BE(0, 8);
    const record =
      value === undefined
        ? Buffer.alloc(0)
        : Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...value.split('.').map(Number)]);
    socket.send(Buffer.concat([head, question, record]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.after(() => socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

const SOURCE = '203.0.113.1';
const TARGET = '203.0.113.2';

test('one server is asked, and what it has not is empty', async (t) => {
  const server = await startServer(t, (name) => (name === 'www.example.com' ? TARGET : undefined));
  assert.deepEqual(await askServer(server, 'www.example.com', 'A'), [TARGET]);
  assert.deepEqual(await askServer(server, 'other.example.com', 'A'), []);
});

/** The API of an authority whose records are these, and servers that may lag behind it. */
function setting(servers: string[]): { route: DnsRoute; context: StepContext; records: DnsRecord[] } {
  const records: DnsRecord[] = [
    { id: '1', value: SOURCE, ttlS: 60, enabled: true, locked: false, weight: 50 },
    { id: '2', value: TARGET, ttlS: 60, enabled: true, locked: false, weight: 50 },
  ];
  const find = (id: string) => records.find((it) => it.id === id)!;
  let now = 0;
  const world = {
    clock: { now: () => now, sleep: (ms: number) => Promise.resolve(void (now += ms)) },
    lookUp: askServer,
    cloud: {
      dns: {
        records: (set: object) =>
          Promise.resolve({ ...set, weighted: true, records: structuredClone(records) } as DnsRecords),
        setWeight: (id: string, weight: number) => Promise.resolve(void (find(id).weight = weight)),
        enable: (id: string, on: boolean) => Promise.resolve(void (find(id).enabled = on)),
      },
    },
  } as unknown as World;
  const route: DnsRoute = {
    router: 'dns',
    service: 'shop/web',
    names: [{ domain: 'example.com', name: 'www', type: 'A', line: 'default', source: SOURCE, target: TARGET }],
    ttlS: 60,
    servers,
    drainMs: 0,
  };
  const context = { world, progress: () => {}, stopping: () => false } as unknown as StepContext;
  return { route, context, records };
}

const toTarget = {
  setting: { names: [{ source: 0, target: 100 }] },
  reachable: 100,
  order: ['target' as const],
  how: '',
};

test('a share is in force once the named servers stop answering what was paused', async (t) => {
  let asked = 0;
  // For a while this server has not heard of the change.
  const server = await startServer(t, () => (++asked > 70 ? TARGET : asked % 2 === 0 ? SOURCE : TARGET));
  const { route, context } = setting([server]);
  await dns.write(route, toTarget, context);
  assert.ok(asked > 70, `asked ${asked} times`);
});

test('a server that goes on answering what was paused is named', async (t) => {
  const stale = await startServer(t, () => SOURCE);
  const { route, context, records } = setting([stale]);
  await assert.rejects(
    dns.write(route, toTarget, context),
    (error: MigrateError) =>
      error.code === 'WEIGHT_NOT_TAKEN' && error.what.includes(`${stale} still answers www.example.com with ${SOURCE}`),
  );
  assert.equal(records[0]?.enabled, false, 'the API itself shows it');
});
