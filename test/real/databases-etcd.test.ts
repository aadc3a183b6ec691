import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { Side } from '../../src/ports.js';
import { startChecker, untilServed, type Checker } from '../checker.js';
import { seenOf } from '../database-exercise.js';
import { killedOutright } from '../database-kills.js';
import { entry } from '../database-stage.js';
import { databaseFamily, etcdServers, type EtcdServers } from '../servers/databases.js';

const family = databaseFamily();
let sides: Record<Side, EtcdServers>;
let checker: Checker;

async function post(client: string, path: string, body: object): Promise<Record<string, unknown>> {
  const reply = await fetch(`${client}${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(3000),
  });
  const answer = (await reply.json()) as Record<string, unknown>;
  if (!reply.ok) throw Object.assign(new Error(String(answer['message'])), { refused: true });
  return answer;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

async function written(side: Side): Promise<Set<number>> {
  const [member] = sides[side].members;
  const found = new Set<number>();
  const { kvs = [] } = (await post(member?.client ?? '', '/v3/kv/range', {
    key: base64('orders/'),
    range_end: base64('orders0'),
    keys_only: true,
  })) as { kvs?: { key: string }[] };
  for (const { key } of kvs) found.add(Number(Buffer.from(key, 'base64').toString('utf8').slice('orders/'.length)));
  return found;
}

interface StartQuestion {
  side: Side;
  member: { name: string };
  initialCluster: string;
}

/** Starts a member, empty, as the operator's program would. One that is told to start is not started anew by a second call. */
const starting = new Map<string, Promise<void>>();
async function startMember({ side, member, initialCluster }: StartQuestion): Promise<void> {
  const begun = starting.get(member.name) ?? sides[side].start(member.name, initialCluster, 'existing');
  starting.set(member.name, begun);
  await begun.finally(() => starting.delete(member.name));
}

/** Members must outlive whoever had them started, so a program of a killed process asks for them here. */
let nursery: Server;
const START = `let text = '';
process.stdin.on('data', (it) => (text += it)).on('end', async () => {
  const reply = await fetch(process.argv[1], { method: 'POST', body: text });
  process.exitCode = reply.ok ? 0 : 1;
});`;

const database = () => {
  const { port } = nursery.address() as AddressInfo;
  const start = [process.execPath, '-e', START, `http://127.0.0.1:${port}/`];
  return entry({
    kind: 'etcd',
    name: 'shop/locks',
    source: { members: sides.source.members, start },
    target: { members: sides.target.members, start },
  });
};

before(async () => {
  nursery = createServer((request, response) => {
    void (async () => {
      try {
        await startMember((await json(request)) as StartQuestion);
        response.end();
      } catch (error) {
        response.writeHead(500).end(String(error));
      }
    })();
  });
  await once(nursery.listen(0, '127.0.0.1'), 'listening');
  sides = { source: await etcdServers(family, 'source', 3), target: await etcdServers(family, 'target', 3) };
  const initial = sides.source.members.map((it) => `${it.name}=${it.peer}`).join(',');
  await Promise.all(sides.source.members.map((it) => sides.source.start(it.name, initial, 'new')));
  let turn = 0;
  checker = startChecker({
    connect: async (side) => ({
      write: async (id) => {
        const members = sides[side].members;
        const member = members[turn++ % members.length];
        await post(member?.client ?? '', '/v3/kv/put', { key: base64(`orders/${id}`), value: base64(String(id)) });
      },
      close: () => undefined,
    }),
  });
  await untilServed(checker, 'source');
});

after(async () => {
  await checker?.stop();
  await once(nursery.close(), 'close');
  await family.stop();
});

test('etcd: three members move under steady writes and move back, with the process ended by SIGKILL at each step', async (t) => {
  const exercise = { database: database(), env: {}, checker, held: written };
  assert.deepEqual((await seenOf(exercise)).unfit, []);
  await killedOutright(t, exercise, {
    least: 8,
    turned: ['source: promote a learner'],
    oneCluster: true,
    times: 3,
    atTarget: async () => {
      const { unfit = [] } = await seenOf(exercise);
      assert.match(unfit[0] ?? '', /^source-0 .* is no member$/);
      for (const { client } of sides.source.members)
        await assert.rejects(post(client, '/v3/kv/put', { key: base64('orders/0'), value: '' }));
    },
  });
  const { members = [] } = (await post(sides.source.members[0]?.client ?? '', '/v3/cluster/member/list', {})) as {
    members?: { name: string }[];
  };
  assert.deepEqual(members.map((it) => it.name).sort(), ['source-0', 'source-1', 'source-2']);
});
