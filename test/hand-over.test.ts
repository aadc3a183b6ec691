import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { EventBody } from '../src/events.js';
import { memoryStore } from '../src/journal.js';
import type { Call, Tap } from '../src/ports.js';
import { rollback } from '../src/rollback.js';
import { run } from '../src/run.js';
import { checks } from '../checks/index.js';
import { differences, rehearse } from '../src/cli/rehearse.js';
import { seedOf } from '../src/cli/seeds.js';
import type { Inventory } from '../src/inventory.js';
import { takeInventory } from '../src/look.js';
import { openStage } from '../src/cli/stage.js';
import { seededRandom } from '../src/twin/random.js';
import type { Twin } from '../src/twin/twin.js';
import type { Json } from '../src/twin/types.js';
import { handOverShop, handOverWorld, type Mode, withoutRenaming } from './hand-over-worlds.js';
import { crashing, engineOn, mustBeDone, planOn, stageFor } from './shop.js';

const LB = 'lb-press';
const ADDRESS = '47.98.20.7';

interface Seen {
  address: string;
  tags: string[];
  listeners: { port: number; group: string; name: string; scheduler: string; members: number }[];
  names: string[];
  annotations: Record<string, string>;
}

async function seenOn(twin: Twin): Promise<Seen> {
  const slb = (action: string, parameters: Record<string, string> = {}): Promise<Json> =>
    twin.cloud.api.call('Slb', action, { RegionId: 'cn-hangzhou', LoadBalancerId: LB, ...parameters });
  const balancer = await slb('DescribeLoadBalancerAttribute');
  const groups: Json[] = (await slb('DescribeVServerGroups')).VServerGroups.VServerGroup;
  const listeners: Json[] = (await slb('DescribeLoadBalancerListeners', { 'LoadBalancerId.1': LB })).Listeners;
  const service = await twin.source.api.get('v1/services', 'press', 'site');
  return {
    address: balancer.Address,
    tags: balancer.Tags.Tag.map((it: Json) => it.TagKey).toSorted(),
    listeners: listeners.map((it) => {
      const group = groups.find((one) => one.VServerGroupId === it.VServerGroupId);
      return {
        port: it.ListenerPort,
        group: it.VServerGroupId,
        name: group?.VServerGroupName,
        scheduler: it.Scheduler,
        members: twin.cloud.api.listenerBackends(LB, it.ListenerPort)?.length ?? 0,
      };
    }),
    names: groups.map((it): string => it.VServerGroupName).toSorted(),
    annotations: service?.metadata.annotations ?? {},
  };
}

/** Nothing of the controller's but its members; every port at a group of ours. */
function mustBeTaken({ address, tags, listeners, names, annotations }: Seen): void {
  assert.equal(address, ADDRESS);
  assert.deepEqual(tags, ['kubernetes.reused.by.user']);
  assert.deepEqual(
    listeners.map((it) => [it.port, it.name, it.scheduler]),
    [
      [80, 'press-site-80', 'wrr'],
      [443, 'press-site-443', 'wrr'],
    ],
  );
  assert.deepEqual(names, ['press-site-443', 'press-site-80']);
  const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
  assert.equal(annotations[`${prefix}id`], LB);
  assert.equal(annotations[`${prefix}vgroup-port`], listeners.map((it) => `${it.group}:${it.port}`).join(','));
  assert.equal(annotations['migrate/hand-over'], undefined);
}

const MADE = {
  eni: ['k8s/8080/', 'k8s/8443/'],
  local: ['k8s/31080/', 'k8s/31443/'],
  cluster: ['k8s/31080/', 'k8s/31443/'],
};

/** The controller's again, as it was. */
function mustBeGivenBack({ address, tags, listeners, names, annotations }: Seen, mode: Mode = 'eni'): void {
  assert.equal(address, ADDRESS);
  assert.deepEqual(tags, ['ack.aliyun.com', 'kubernetes.do.not.delete']);
  assert.deepEqual(
    listeners.map((it) => [it.name, it.scheduler]),
    MADE[mode].map((it) => [`${it}site/press/c-press-124`, 'rr']),
  );
  assert.deepEqual(names, MADE[mode].map((it) => `${it}site/press/c-press-124`).toSorted());
  for (const key of ['id', 'vgroup-port', 'weight'])
    assert.equal(annotations[`service.beta.kubernetes.io/alibaba-cloud-loadbalancer-${key}`], undefined, key);
  assert.equal(annotations['migrate/hand-over'], undefined);
}

const staleIn = (events: readonly EventBody[]): string =>
  events.flatMap((it) => (it.type === 'gate' && it.gate === 'stale' ? [it.why] : [])).join('; ');

// What it does

const WAYS = [
  ['renamed', 'eni', '2.14.0'],
  ['renamed', 'local', '2.11.2'],
  ['renamed', 'cluster', '2.14.0'],
  ['copied', 'eni', '2.11.2'],
  ['copied', 'local', '2.14.0'],
  ['copied', 'cluster', '2.11.2'],
] as const;

for (const [how, mode, version] of WAYS)
  test(`a group is ${how}, members are ${mode}, controller ${version}: taken over, shared, and given back without a failed request`, async () => {
    const events: EventBody[] = [];
    const { stage, plan, engine, start } = await stageFor(handOverWorld({ mode, version, steps: '[50, 100]' }), {
      emit: (event) => events.push(event),
      clientsPerSecond: 20,
      ...(how === 'copied' && { faults: withoutRenaming }),
    });
    const { twin } = stage;
    try {
      assert.deepEqual(
        plan.steps.map((it) => it.id).filter((it) => it.startsWith('traffic/')),
        [
          'traffic/hand-over/hold',
          'traffic/hand-over',
          'traffic/hand-over/release',
          'traffic/attach',
          'traffic/50',
          'traffic/100',
        ],
      );
      mustBeGivenBack(await seenOn(twin), mode);
      mustBeDone(await run(plan, ['data', 'traffic'], engine));
      mustBeTaken(await seenOn(twin));
      assert.match(
        staleIn(events),
        how === 'renamed' ? /the group was kept/ : /2 ports of press\/site: 0\.\d+ s in which/,
      );

      mustBeDone(await rollback(undefined, engine));
      await twin.settle();
      mustBeGivenBack(await seenOn(twin), mode);
      // Of a copy the controller makes its groups anew, under other ids.
      if (how === 'renamed') assert.deepEqual(differences(start, twin.snapshot()), []);
      const { sent, failed } = twin.clients.counts();
      assert.ok(sent > 100);
      assert.equal(failed, 0);
    } finally {
      await stage.close();
    }
  });

test('a captured inventory serves as its world: the rehearsal takes over what the real controller made, and goes back to the same', async () => {
  const { playbook, seed } = handOverWorld();
  const stage = await openStage(playbook, seed);
  let inventory: Inventory;
  try {
    inventory = await takeInventory(playbook, stage.world, checks);
  } finally {
    await stage.close();
  }
  const captured = seedOf(playbook, JSON.parse(JSON.stringify(inventory)));
  captured.source.ccm = { version: '2.14.0', clusterId: 'c-press-124', backendMode: 'eni' };
  const told: EventBody[] = [];
  const ended = await rehearse({ playbook, seed: captured, back: true, clientsPerSecond: 5 }, {
    emit: (event: EventBody) => void told.push(event),
    stopping: () => false,
  } as unknown as Parameters<typeof rehearse>[1]);
  assert.deepEqual(
    [ended.outcome, ended.same, ended.requests?.failed],
    ['done', true, 0],
    JSON.stringify(told.findLast((it) => it.type === 'error')),
  );
});

test('once it is taken over, the old Service can go and the address stays', async () => {
  const { stage, plan, engine } = await stageFor(handOverWorld({ steps: '[100]' }), { clientsPerSecond: 20 });
  const { twin } = stage;
  try {
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    await twin.source.api.delete('v1/services', 'press', 'site');
    await twin.settle();
    const seen = await seenOn(twin);
    assert.equal(seen.address, ADDRESS);
    assert.deepEqual(
      seen.listeners.map((it) => it.members),
      [4, 4],
    );
    assert.equal(twin.clients.counts().failed, 0);
  } finally {
    await stage.close();
  }
});

test('what was taken over is not taken over again by the next plan', async () => {
  const { stage, plan, engine } = await stageFor(handOverWorld());
  try {
    mustBeDone(await run(plan, ['data', 'traffic'], engine));
    const { look } = await import('../src/cli/looking.js');
    const again = await look(handOverWorld().playbook, stage.world);
    assert.deepEqual(
      again.plan?.steps.map((it) => it.id),
      ['traffic/attach', 'traffic/50'],
    );
    assert.equal(again.report.ready, true);
  } finally {
    await stage.close();
  }
});

test('with its data: what arrives has no address and joins nothing, until the load balancer was taken over', async () => {
  const { stage, plan, engine, start } = await stageFor(handOverShop(), { clientsPerSecond: 10 });
  const { twin } = stage;
  try {
    mustBeDone(await run(plan, ['data'], engine));
    const arrived = await twin.target.api.get('v1/services', 'shop', 'web');
    assert.equal(arrived?.['spec'].type, 'ClusterIP');
    mustBeDone(await run(plan, ['traffic'], engine));
    const members = twin.cloud.api.listenerBackends('lb-shop', 80) ?? [];
    assert.deepEqual([...new Set(members.map((it) => [it.type, it.weight > 0].join(' ')))].toSorted(), [
      'ecs false',
      'eni true',
    ]);
    mustBeDone(await rollback(undefined, engine));
    await twin.settle();
    assert.deepEqual(differences(start, twin.snapshot()), []);
    assert.equal(twin.clients.counts().failed, 0);
  } finally {
    await stage.close();
  }
});

test('annotations that would come into force by it are out of force meanwhile, and back afterwards', async () => {
  const { playbook, seed } = handOverWorld();
  const service = (seed.source.objects as Json[]).find((it) => it.kind === 'Service');
  const prefix = 'service.beta.kubernetes.io/alicloud-loadbalancer-';
  Object.assign(service.metadata.annotations, {
    [`${prefix}weight`]: '0',
    [`${prefix}force-override-listeners`]: 'true',
  });
  const { stage, plan, engine, start } = await stageFor({ playbook, seed }, { clientsPerSecond: 20 });
  const { twin } = stage;
  try {
    mustBeDone(await run({ ...plan, steps: plan.steps.slice(0, 3) }, ['traffic'], engine));
    mustBeTaken(await seenOn(twin));
    assert.deepEqual(
      (twin.cloud.api.listenerBackends(LB, 80) ?? []).map((it) => it.weight),
      [100, 100, 100, 100],
    );
    await twin.source.api.delete('v1/services', 'press', 'site');
    await twin.settle();
    assert.equal((await seenOn(twin)).listeners.length, 2, 'no listener goes with the Service');
  } finally {
    await stage.close();
  }
  const other = await stageFor({ playbook, seed }, { clientsPerSecond: 20 });
  try {
    mustBeDone(await run({ ...other.plan, steps: other.plan.steps.slice(0, 3) }, ['traffic'], other.engine));
    mustBeDone(await rollback(undefined, other.engine));
    await other.stage.twin.settle();
    assert.deepEqual(differences(start, other.stage.twin.snapshot()), []);
    assert.equal(other.stage.twin.clients.counts().failed, 0);
  } finally {
    await other.stage.close();
  }
});

test('while it lasts, Deployments behind the Service are paused, and only those that were not', async () => {
  const { playbook, seed } = handOverWorld();
  const paused: unknown[] = [];
  let twin: Twin | undefined;
  const tap: Tap = async (call, send) => {
    if (call.to === 'cloud' && call.writes) {
      const site = await twin?.source.api.get('apps/v1/deployments', 'press', 'site');
      paused.push(site?.['spec'].paused);
    }
    return send();
  };
  const { stage, plan, engine } = await stageFor({ playbook, seed }, { tap });
  twin = stage.twin;
  try {
    mustBeDone(await run({ ...plan, steps: plan.steps.slice(0, 3) }, ['traffic'], engine));
    assert.ok(paused.length > 0);
    assert.deepEqual([...new Set(paused)], [true]);
    const site = await twin.source.api.get('apps/v1/deployments', 'press', 'site');
    assert.equal(site?.['spec'].paused, undefined);
    assert.equal(site?.metadata.annotations?.['migrate/held'], undefined);
  } finally {
    await stage.close();
  }
});

test('a rollout under way is waited for by nobody: the run refuses before it has changed anything', async () => {
  const { stage, plan, engine, start } = await stageFor(handOverWorld());
  const { twin } = stage;
  try {
    await twin.source.api.mergePatch('apps/v1/deployments', 'press', 'site', {
      spec: { template: { metadata: { labels: { app: 'site', build: '2' } } } },
    });
    await twin.clock.sleep(500);
    const ended = await run(plan, ['traffic'], engine);
    assert.equal(ended.outcome, 'stopped');
    assert.equal((ended as { error: { code: string } }).error.code, 'ROLLOUT_UNDER_WAY');
    await twin.settle();
    assert.deepEqual(
      differences((start as Json).cloud, twin.snapshot().cloud).filter((it) => !it.includes('/interfaces')),
      [],
    );
  } finally {
    await stage.close();
  }
});

// Where it refuses

const REFUSED: [string, (seed: Json) => void, RegExp][] = [
  [
    'a listener that is none of the Service’s',
    ({ cloud }) => cloud.loadBalancers[0].listeners.push({ port: 8080, group: 'rsp-press-http', status: 'running' }),
    /listener 8080 is none of the Service's ports/,
  ],
  [
    'members of another Service',
    ({ cloud }) => {
      cloud.loadBalancers[0].groups.push({
        id: 'rsp-other',
        name: 'k8s/31081/api/press/c-press-124',
        backends: [],
      });
    },
    /Service press\/api uses it too/,
  ],
  [
    'a listener that chooses by hash',
    ({ cloud }) => (cloud.loadBalancers[0].listeners[0].scheduler = 'sch'),
    /chooses by hash/,
  ],
];

for (const [what, change, words] of REFUSED)
  test(`${what}: refused before anything is changed, with the other ways`, async () => {
    const { playbook, seed } = handOverWorld();
    change(seed);
    const stage = await openStage(playbook, seed);
    try {
      await assert.rejects(planOn(stage, playbook), (error: Json) => {
        assert.equal(error.code, 'HANDOVER_UNSAFE');
        assert.match(error.what, words);
        assert.match(error.fix, /dns.*new address.*mcs/);
        return true;
      });
    } finally {
      await stage.close();
    }
  });

test('somebody who comes in after the plan was made is noticed before the first write', async () => {
  const { stage, plan, engine } = await stageFor(handOverWorld());
  const { twin } = stage;
  try {
    await twin.cloud.api.call('Slb', 'CreateLoadBalancerTCPListener', {
      RegionId: 'cn-hangzhou',
      LoadBalancerId: LB,
      ListenerPort: '9000',
      Bandwidth: '-1',
      VServerGroupId: 'rsp-press-http',
    });
    const ended = await run(plan, ['traffic'], engine);
    assert.equal((ended as { error: { code: string } }).error.code, 'HANDOVER_UNSAFE');
    assert.deepEqual((await seenOn(twin)).tags, ['ack.aliyun.com', 'kubernetes.do.not.delete']);
  } finally {
    await stage.close();
  }
});

// Whatever happens in between

type Happening = 'pod goes' | 'scale-out' | 'edit' | 'restart' | 'touch' | 'node' | 'nothing';
const HAPPENINGS: Happening[] = ['pod goes', 'scale-out', 'edit', 'restart', 'touch', 'node', 'nothing'];
/** Under Local a pod that ends takes its node's answers with it until the controller has seen it, whoever owns the load balancer. */
const UNDER_LOCAL = HAPPENINGS.filter((it) => it !== 'pod goes');

/** Something of the cluster's own, at this very moment. */
async function happen(what: Happening, count: number, twin: Twin): Promise<void> {
  const { api } = twin.source;
  switch (what) {
    case 'pod goes': {
      const pods = await api.list('v1/pods', 'press');
      const pod = pods.find((it) => it.metadata.deletionTimestamp === undefined);
      if (pod) await api.delete('v1/pods', 'press', pod.metadata.name);
      return;
    }
    case 'scale-out': {
      const site = await api.get('apps/v1/deployments', 'press', 'site');
      const replicas = Math.min(8, Number(site?.['spec'].replicas) + 1);
      await api.mergePatch('apps/v1/deployments', 'press', 'site', { spec: { replicas } });
      return;
    }
    case 'edit':
      await api.mergePatch('v1/services', 'press', 'site', {
        metadata: { annotations: { 'press/edited': String(count) } },
      });
      return;
    case 'touch':
      await api.mergePatch('v1/services', 'press', 'site', { metadata: { labels: { touched: String(count) } } });
      return;
    case 'restart':
      await twin.source.restartCcm?.();
      return;
    case 'node': {
      const name = `cn-hangzhou.192.168.1.${100 + count}`;
      const [known] = await api.list('v1/nodes');
      if (!known || (await api.get('v1/nodes', undefined, name))) return;
      twin.cloud.api.addInstance({
        id: `i-added${count}`,
        zone: 'cn-hangzhou-h',
        ip: `192.168.1.${100 + count}`,
        vpc: 'vpc-press',
      });
      await api.create('v1/nodes', {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name, labels: known.metadata.labels },
        spec: { providerID: `cn-hangzhou.i-added${count}` },
        status: {
          ...known['status'],
          addresses: [{ type: 'InternalIP', address: `192.168.1.${100 + count}` }],
        },
      });
      return;
    }
    case 'nothing':
      return;
    default:
      what satisfies never;
  }
}

/**
 * In each of our turns, from look to last write, so much more time passes in all that a controller acts on what has happened, and less than
 * a pod that was told to end goes on serving (2 s on the twin): who is slower than that pays for it under any controller.
 */
const LONGEST_MS = 600;

/**
 * Between any two requests of ours, and so between any two writes, something may happen and time may pass, so that the controllers act on
 * it before our next request.
 */
function disturbing(
  seed: string,
  happenings: readonly Happening[],
  twinOf: () => Twin | undefined,
): { tap: Tap; arm(on: boolean): void; done: string[] } {
  const draw = seededRandom(seed);
  const done: string[] = [];
  let armed = false;
  let busy = false;
  let count = 0;
  let left = LONGEST_MS;
  const isMet = ({ writes }: Call): boolean => draw() < (writes ? 0.6 : 0.15);
  return {
    done,
    arm: (on) => void (armed = on),
    async tap(call, send) {
      const twin = twinOf();
      if (armed && twin && !busy && isMet(call)) {
        busy = true;
        try {
          const what = happenings[Math.floor(draw() * happenings.length)] ?? 'nothing';
          done.push(`${what} before ${call.verb} ${call.what}`);
          await happen(what, count++, twin);
          const pause = Math.min(Math.floor(draw() * 0.8 * LONGEST_MS), left);
          left -= pause;
          await twin.clock.sleep(pause);
        } finally {
          busy = false;
        }
      }
      if (call.verb === 'DescribeLoadBalancerAttribute') left = LONGEST_MS;
      return send();
    },
  };
}

const steps = (ids: readonly string[]) => ids.filter((it) => it.startsWith('traffic/hand-over'));

async function disturbed(t: TestContext, seed: string, mode: Mode, version: string, copies: boolean): Promise<void> {
  let twin: Twin | undefined;
  const disturbance = disturbing(seed, mode === 'local' ? UNDER_LOCAL : HAPPENINGS, () => twin);
  const { stage, plan, engine } = await stageFor(handOverWorld({ mode, version }), {
    tap: disturbance.tap,
    clientsPerSecond: 20,
    ...(copies && { faults: withoutRenaming }),
  });
  twin = stage.twin;
  try {
    const own = steps(plan.steps.map((it) => it.id));
    disturbance.arm(true);
    mustBeDone(await run({ ...plan, steps: plan.steps.filter((it) => own.includes(it.id)) }, ['traffic'], engine));
    disturbance.arm(false);
    await twin.settle();
    mustBeTaken(await seenOn(twin));
    disturbance.arm(true);
    mustBeDone(await rollback(undefined, engine));
    disturbance.arm(false);
    await twin.settle();
    mustBeGivenBack(await seenOn(twin), mode);
    assert.equal(
      (await twin.cloud.api.call('Slb', 'DescribeLoadBalancers', { RegionId: 'cn-hangzhou' })).TotalCount,
      1,
    );
    assert.equal(twin.clients.counts().failed, 0);
  } catch (error) {
    t.diagnostic(`${seed}: ${disturbance.done.join('; ')}`);
    throw error;
  } finally {
    await stage.close();
  }
}

/** SEEDS=200 tries more, and every point at which we can be killed, both ways. */
const ALL = process.env['SEEDS'] !== undefined;
const SEEDS = Number(process.env['SEEDS'] ?? 3);

for (const [how, copies] of [
  ['renamed', false],
  ['copied', true],
] as const)
  test(`events of the cluster between any two requests, the group ${how}: 0 failed requests, the address is never lost, and it comes to its end`, async (t) => {
    const variants: [Mode, string][] = [
      ['eni', '2.14.0'],
      ['local', '2.14.0'],
      ['cluster', '2.14.0'],
      ['eni', '2.11.2'],
    ];
    const wrong: string[] = [];
    for (let n = 1; n <= SEEDS; n++) {
      const [mode, version] = variants[n % variants.length] ?? ['eni', '2.14.0'];
      try {
        await disturbed(t, `${how}-${n}`, mode, version, copies);
      } catch (error) {
        wrong.push(`${how}-${n} (${mode}, ${version}): ${String(error)}`);
      }
    }
    t.diagnostic(`${SEEDS} seeds: ${how}-1 to ${how}-${SEEDS}`);
    assert.deepEqual(wrong, []);
  });

// Killed

/** Killed after that many effects; then whatever `after` does with the same world and the same journal. */
async function killed(at: number, after: 'run' | 'rollback', copies: boolean, pauseMs: number): Promise<string[]> {
  const crash = crashing(at);
  const lines = memoryStore();
  let revived = false;
  const world = handOverWorld();
  const { stage, plan, engine, start } = await stageFor(world, {
    tap: (call, send) => (revived ? send() : crash.tap(call, send)),
    store: crash.wrap(lines),
    clientsPerSecond: 10,
    ...(copies && { faults: withoutRenaming }),
  });
  const { twin } = stage;
  const some = { ...plan, steps: plan.steps.filter((it) => it.id.startsWith('traffic/hand-over')) };
  try {
    crash.arm();
    await run(some, ['traffic'], engine).catch(() => undefined);
    if (!crash.crashed()) return ['not reached'];
    // Meanwhile the controllers go on, and the Service is edited.
    await happen('edit', at, twin);
    await twin.clock.sleep(pauseMs);
    await twin.source.api.mergePatch('v1/services', 'press', 'site', {
      metadata: { annotations: { 'press/edited': null } },
    });
    revived = true;
    const again = engineOn(stage, lines);
    mustBeDone(after === 'run' ? await run(some, ['traffic'], again) : await rollback(undefined, again));
    await twin.settle();
    const seen = await seenOn(twin);
    if (after === 'run') mustBeTaken(seen);
    else mustBeGivenBack(seen);
    // A new group of the controller's own has another id; nothing else may differ.
    const places = after === 'rollback' ? differences(start, twin.snapshot()) : [];
    const wrong = places.filter((it) => !/\/(group|id): "rsp-/.test(it) && !/\/groups\//.test(it));
    const { failed } = twin.clients.counts();
    return [...wrong, ...(failed > 0 ? [`${failed} requests failed`] : [])];
  } finally {
    await stage.close();
  }
}

for (const [how, copies] of [
  ['renamed', false],
  ['copied', true],
] as const)
  test(`killed after an effect, the group ${how}: the run goes on, and the rollback goes back`, async (t) => {
    const wrong: string[] = [];
    let points = 0;
    for (let at = 0, reached = true; reached; at++) {
      // Every point one way, and all of them both ways when asked for.
      const ways = ALL ? (['run', 'rollback'] as const) : at % 2 === 0 ? (['run'] as const) : (['rollback'] as const);
      if (!ALL && copies && at % 3 !== 0) continue;
      for (const after of ways) {
        try {
          const found = await killed(at, after, copies, 20_000);
          reached = !found.includes('not reached');
          if (!reached) break;
          points++;
          wrong.push(...found.map((it) => `point ${at}, ${after}: ${it}`));
        } catch (error) {
          wrong.push(`point ${at}, ${after}: ${String(error)}`);
        }
      }
    }
    t.diagnostic(`${points} points`);
    assert.ok(points > 5, `only ${points} points`);
    assert.deepEqual(wrong, []);
  });
