import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { memoryStore } from '../../src/journal.js';
import type { Programs, Side } from '../../src/ports.js';
import { rollback } from '../../src/rollback.js';
import { run } from '../../src/run.js';
import { noneLost, startChecker, untilServed, type Checker } from '../checker.js';
import { crashing, mustBeDone } from '../crashing.js';
import { entry, planFor, stageOn } from '../database-stage.js';
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
  const json = (await reply.json()) as Record<string, unknown>;
  if (!reply.ok) throw Object.assign(new Error(String(json['message'])), { refused: true });
  return json;
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

/** Does what the operator's program would: starts a member, empty, when it is told to. */
const programs: Programs = {
  async run(_command, question) {
    const { side, member, initialCluster } = question as {
      side: Side;
      member: { name: string };
      initialCluster: string;
    };
    await sides[side].start(member.name, initialCluster, 'existing');
    return '';
  },
};

const database = () =>
  entry({
    kind: 'etcd',
    name: 'shop/locks',
    source: { members: sides.source.members, start: ['start-member'] },
    target: { members: sides.target.members, start: ['start-member'] },
  });

before(async () => {
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
  await family.stop();
});

test('etcd: three members move under steady writes, killed again and again, and move back', async (t) => {
  const plan = planFor([database()]);
  const store = memoryStore();
  let kills = 0;
  /** Each life ends after its first or second effect. */
  const lives = async (act: (engine: ReturnType<typeof stageOn>['engine']) => Promise<{ outcome: string }>) => {
    for (let life = 0; ; life++) {
      assert.ok(life < 80, 'it does not come to an end');
      const crash = crashing(1 + (life % 2));
      const stage = stageOn(crash.wrap(store), { tap: crash.tap, programs });
      crash.arm();
      const ended = await act(stage.engine).catch(() => undefined);
      if (!crash.crashed()) {
        mustBeDone(ended as Parameters<typeof mustBeDone>[0]);
        return;
      }
      kills++;
    }
  };
  const go = async (side: Side, act: () => Promise<void>) => {
    checker.mark();
    await act();
    await untilServed(checker, side, 200);
    const judged = checker.since();
    await noneLost(checker, side, written);
    t.diagnostic(
      `to the ${side}: ${judged.perSecond.toFixed(0)} writes/s, longest pause ${judged.pauseMs.toFixed(0)} ms`,
    );
    assert.ok(judged.pauseMs < 2000, `nobody could write for ${judged.pauseMs.toFixed(0)} ms`);
  };
  await go('target', () => lives((engine) => run(plan, ['data'], engine)));
  const [gone] = sides.source.members;
  await assert.rejects(post(gone?.client ?? '', '/v3/kv/put', { key: base64('orders/0'), value: '' }));
  await go('source', () => lives((engine) => rollback(undefined, engine)));
  const { members = [] } = (await post(sides.source.members[0]?.client ?? '', '/v3/cluster/member/list', {})) as {
    members?: { name: string }[];
  };
  assert.deepEqual(members.map((it) => it.name).sort(), ['source-0', 'source-1', 'source-2']);
  t.diagnostic(`${kills} kills; ${checker.acknowledged().length} writes`);
});
