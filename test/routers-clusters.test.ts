import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { MigrateError } from '../src/errors.js';
import { takeInventory } from '../src/look.js';
import { parsePlaybook } from '../src/playbook.js';
import type { Call, Side, World } from '../src/ports.js';
import {
  isReachable,
  measured,
  type AnyRouter,
  type Choice,
  type Reading,
  type Route,
  type Traits,
} from '../src/router.js';
import { routers } from '../src/routers/index.js';
import type { StepContext } from '../src/step.js';
import { openStage, type Stage } from '../src/cli/stage.js';
import { seededRandom } from '../src/twin/random.js';
import type { Json, Seed } from '../src/twin/types.js';
import { shipped } from './shop.js';

/** Every claim of the routers that split between clusters as wholes, held to what clients of the twin see. */

/** Of random shifts: more by hand, e.g. `MIGRATE_SHIFTS=2000`. */
const SHIFTS = Number(process.env['MIGRATE_SHIFTS'] ?? 10);

interface Way {
  title: string;
  world: 'dns' | 'waves' | 'fsm';
  contexts: Record<Side, string>;
  /** more of the playbook, in one line each */
  more?: string[];
  entry: Record<string, unknown>;
  /** `namespace/name` of the Deployment and Service */
  service: string;
  /** runs on the target before the router comes */
  targetReplicas: number;
  seed?: (seed: Seed) => void;
  traits: Partial<Traits>;
  shares: readonly number[];
  /** a share that it can not reach, with its neighbours */
  beyond?: { asked: number; below: number; above: number };
  /** an observer of the authority, where clients see a share late: percent for the target of what is answered now */
  observed?: (stage: Stage) => number;
  /** until clients follow a write */
  bitesMs: number;
  /** points by which clients may differ from the share, beside chance */
  coarse?: number;
  /** another writer's other share */
  meddle: (stage: Stage) => Promise<unknown>;
  /** the source's pods are the share themselves: they come up on the way back */
  raisesPods?: true;
}

const call = ({ twin }: Stage, action: string, parameters: Record<string, string>) =>
  twin.cloud.api.call('Alidns', action, parameters);

async function recordOf(stage: Stage, value: string): Promise<string> {
  const answer = await call(stage, 'DescribeSubDomainRecords', { SubDomain: 'www.example.com' });
  return answer.DomainRecords.Record.find((it: Json) => it.Value === value).RecordId;
}

/** Thousands of questions to the authority itself. */
function answered({ twin }: Stage): number {
  let target = 0;
  const asked = 4000;
  for (let nth = 0; nth < asked; nth++)
    if (twin.cloud.api.dnsAnswer!('www.example.com')?.values.some((it) => it === TARGET_ADDRESS)) target += 1;
  return (100 * target) / asked;
}

const TARGET_ADDRESS = '47.98.20.20';

/** The target stands behind an address of its own, in the region of the playbook: who owns it is of no interest here. */
function secondFront(seed: Seed): void {
  seed.cloud.loadBalancers.push({
    id: 'lb-new',
    address: TARGET_ADDRESS,
    region: 'cn-shanghai',
    vpc: 'vpc-sh',
    listeners: [{ port: 80, group: 'rsp-new' }],
    groups: [{ id: 'rsp-new', name: 'new' }],
  });
}

const scaled = (side: Side, name: string, namespace: string, replicas: number) => (stage: Stage) =>
  stage.twin[side].api.mergePatch('apps/v1/deployments', namespace, name, { spec: { replicas } });

const POLICIES = 'flomesh.io/v1alpha1/globaltrafficpolicies';

const WAYS: Way[] = [
  {
    title: 'dns',
    world: 'dns',
    contexts: { source: 'portal-hangzhou', target: 'portal-shanghai' },
    more: ['cloud: { provider: alibaba, region: cn-hangzhou, targetRegion: cn-shanghai }'],
    entry: {
      service: 'portal/web',
      router: 'dns',
      domain: 'example.com',
      name: 'www',
      target: TARGET_ADDRESS,
      drain: '1s',
    },
    service: 'portal/web',
    targetReplicas: 3,
    seed: (seed) => {
      secondFront(seed);
      seed.cloud.domains![0]!.records[0]!.ttlS = 5;
      Object.assign(seed.clients![0]!, { stuckPercent: 0, resolvers: 2000 });
    },
    traits: {
      unit: 'weight',
      min: 1,
      max: 100,
      zero: 'removal',
      splits: 'answers',
      proof: 'authority',
      bitesMs: 15_000,
    },
    shares: [1, 33, 50, 99, 100, 7, 0],
    beyond: { asked: 0.4, below: 0, above: 100 / 101 },
    observed: answered,
    bitesMs: 15_000,
    coarse: 3,
    meddle: async (stage) =>
      call(stage, 'UpdateDNSSLBWeight', { RecordId: await recordOf(stage, TARGET_ADDRESS), Weight: '100' }),
  },
  {
    title: 'mcs',
    world: 'waves',
    contexts: { source: 'mall-1-26', target: 'mall-1-36' },
    more: ['fleet: { context: mall-fleet }'],
    entry: { service: 'mall/orders', router: 'mcs', wave: 1 },
    service: 'mall/orders',
    targetReplicas: 2,
    traits: { unit: 'endpoints', zero: 'scale', splits: 'connections', proof: 'endpoints' },
    shares: [25, 40, 50, 75, 100, 25, 0],
    beyond: { asked: 10, below: 0, above: 25 },
    bitesMs: 3_000,
    meddle: scaled('target', 'orders', 'mall', 5),
    raisesPods: true,
  },
  {
    title: 'fsm',
    world: 'fsm',
    contexts: { source: 'mesh-old', target: 'mesh-new' },
    entry: { service: 'bank/pay', router: 'fsm' },
    service: 'bank/pay',
    targetReplicas: 3,
    traits: { unit: 'weight', min: 1, zero: 'scale', splits: 'requests', proof: 'none' },
    shares: [0.5, 1, 33, 50, 99, 100, 7, 0],
    beyond: { asked: 0.05, below: 0, above: 100 / 301 },
    bitesMs: 3_000,
    // What looks like nothing: it counts as 100.
    meddle: async (stage) => {
      const { spec } = (await stage.twin.source.api.get(POLICIES, 'bank', 'pay'))!;
      const targets = [
        { clusterKey: (spec.targets?.[0] ?? { clusterKey: 'default/default/default/mesh-new' }).clusterKey, weight: 0 },
      ];
      return stage.twin.source.api.mergePatch(POLICIES, 'bank', 'pay', { spec: { lbType: 'ActiveActive', targets } });
    },
    raisesPods: true,
  },
  {
    title: 'exec',
    world: 'fsm',
    contexts: { source: 'mesh-old', target: 'mesh-new' },
    entry: { service: 'bank/pay', router: 'exec', command: ['my-balancer'], sum: 1000 },
    service: 'bank/pay',
    targetReplicas: 3,
    seed: (seed) =>
      void (seed.clients = [{ via: 'balancer', name: 'bank/pay', service: 'bank/pay', port: 80, perSecond: 40 }]),
    traits: { unit: 'weight', min: 0, max: 1000, zero: 'weight', splits: 'connections', proof: 'load-balancer' },
    shares: [0.5, 1, 33, 50, 99, 100, 7, 0],
    bitesMs: 1_000,
    meddle: ({ world }) =>
      world.programs.run(
        ['my-balancer'],
        { verb: 'write', service: 'bank/pay', weights: { source: 250, target: 750 } },
        1000,
      ),
  },
];

interface Held {
  stage: Stage;
  route: Route;
  router: AnyRouter;
  context: StepContext;
  way: Way;
  writes(): number;
  /** that many writes from now on; Infinity for never */
  killAfter(writes: number): void;
}

/** After a write has happened, and before its reply has come. */
class Killed extends Error {}

async function open(way: Way, perSecond = 200): Promise<Held> {
  const { seed } = shipped(way.world);
  const lines = [
    'apiVersion: migrate/v1alpha1',
    'kind: Playbook',
    'name: held',
    `source: { context: ${way.contexts.source} }`,
    `target: { context: ${way.contexts.target} }`,
    ...(way.more ?? []),
    `traffic: { services: [${JSON.stringify(way.entry)}] }`,
  ];
  const playbook = parsePlaybook(lines.join('\n'), 'held.yaml');
  way.seed?.(seed);
  // One crowd is enough: the one that comes for this service.
  seed.clients = seed.clients!.filter((it) => 'name' in it && it.name === way.service);
  let count = 0;
  let fuse = Infinity;
  const tap = async <T>(it: Call, send: () => Promise<T>): Promise<T> => {
    const done = await send();
    if (!it.writes) return done;
    count++;
    if (--fuse === 0) throw new Killed();
    return done;
  };
  const stage = await openStage(playbook, seed, { tap, clientsPerSecond: perSecond });
  await bringTarget(stage, way);
  const router = routers.get(playbook.traffic!.services[0]!.router)!;
  const inventory = await takeInventory(playbook, stage.world, []);
  const [route] = router.routes(playbook.traffic!.services, playbook, inventory);
  count = 0;
  return {
    stage,
    router,
    route,
    way,
    context: contextOf(stage.world),
    killAfter: (writes) => void (fuse = writes),
    writes() {
      const now = count;
      count = 0;
      return now;
    },
  };
}

/** As a restore leaves it, and for DNS with a front of its own. */
async function bringTarget({ twin }: Stage, { service, targetReplicas, world }: Way): Promise<void> {
  const [namespace = '', name = ''] = service.split('/');
  const { api } = twin.target;
  const [deployment, front] = await Promise.all([
    twin.source.api.get('apps/v1/deployments', namespace, name),
    twin.source.api.get('v1/services', namespace, name),
  ]);
  await api.create('v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await api.create('apps/v1/deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: { ...deployment!['spec'], replicas: targetReplicas },
  });
  const { selector, ports } = front!['spec'];
  const annotations = {
    'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id': 'lb-new',
    'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-vgroup-port': 'rsp-new:80',
  };
  await api.create('v1/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, ...(world === 'dns' ? { annotations } : {}) },
    spec: {
      type: world === 'dns' ? 'LoadBalancer' : 'ClusterIP',
      selector,
      ports: ports.map(({ nodePort: _dropped, ...rest }: Json) => rest),
    },
  });
  await twin.settle();
}

const contextOf = (world: World): StepContext => ({
  world,
  step: { id: 'traffic/held', kind: 'shift', phase: 'traffic', args: {}, after: [] },
  mark: 'held',
  emit: () => undefined,
  progress: () => undefined,
  stopping: () => false,
  approval: async () => undefined,
  keep: () => undefined,
});

async function join({ router, route, context }: Held): Promise<unknown> {
  const before = await router.join.check(route, context);
  await router.join.apply(route, before, context);
  await router.join.verify(route, before, context);
  return before;
}

async function choose({ router, route, stage }: Held, asked: number, tolerance = 0.5): Promise<Choice<unknown>> {
  const reading: Reading<unknown> = await router.read(route, stage.world);
  const choice = await router.choose(route, { asked, tolerance }, reading, stage.world);
  assert.ok(isReachable<unknown>(choice), `${asked} %: ${JSON.stringify(choice)}`);
  return choice;
}

async function shift(held: Held, asked: number, tolerance?: number): Promise<Choice<unknown>> {
  const choice = await choose(held, asked, tolerance);
  await held.router.write(held.route, choice, held.context);
  return choice;
}

const shareOf = async ({ router, route, stage }: Held): Promise<number> =>
  measured((await router.read(route, stage.world)).splits[0]!);

async function seen({ stage: { twin }, way }: Held, ms: number): Promise<ReturnType<typeof twin.clients.share>> {
  await twin.clock.sleep(way.bitesMs);
  const since = twin.clock.now();
  await twin.clock.sleep(ms);
  return twin.clients.share({ since });
}

for (const way of WAYS) {
  describe(way.title, () => {
    let held: Held;
    let start: unknown;
    let joinBefore: unknown;

    before(async () => {
      held = await open(way);
      start = held.stage.twin.snapshot();
    });
    after(() => held.stage.close());

    test('says what it is', () => {
      const traits = held.router.traits(held.route);
      for (const [key, value] of Object.entries(way.traits)) assert.equal(traits[key as keyof Traits], value, key);
    });

    test('comes in at nothing, and says so', async () => {
      assert.equal(await held.router.joined(held.route, held.stage.world), false);
      joinBefore = await join(held);
      assert.equal(await held.router.joined(held.route, held.stage.world), true);
      assert.equal(await shareOf(held), 0);
      const { target, failed } = await seen(held, 20_000);
      assert.deepEqual([target, failed], [0, 0]);
    });

    for (const asked of way.shares)
      test(`reaches ${asked} %`, async () => {
        const { reachable } = await shift(held, asked);
        assert.ok(Math.abs(reachable - asked) <= 0.5, `${reachable}`);
        assert.ok(Math.abs((await shareOf(held)) - reachable) < 1e-9);
        if (way.observed) {
          const now = way.observed(held.stage);
          const spread = 4 * Math.sqrt((reachable * (100 - reachable)) / 4000);
          assert.ok(Math.abs(now - reachable) <= spread, `the authority answers ${now} of ${reachable}`);
        }
        const { targetPercent = Number.NaN, failed, sent } = await seen(held, 20_000);
        const spread = 4 * Math.sqrt((reachable * (100 - reachable)) / sent) + (way.coarse ?? 0);
        assert.ok(Math.abs(targetPercent - reachable) <= spread, `clients saw ${targetPercent} of ${reachable}`);
        assert.equal(failed, 0);
      });

    const { beyond } = way;
    if (beyond)
      test(`${beyond.asked} % is refused with the nearest, in the plan and in the run`, async () => {
        const { router, route, stage } = held;
        const reading = await router.read(route, stage.world);
        const answer = await router.choose(route, { asked: beyond.asked, tolerance: 0.1 }, reading, stage.world);
        assert.ok(!isReachable(answer));
        assert.deepEqual(
          [answer.below, answer.above].map((it) => Number(it?.toFixed(3))),
          [beyond.below, Number(beyond.above.toFixed(3))],
        );
      });

    test('a second time nothing is written', async () => {
      const choice = await shift(held, 100);
      held.writes();
      await held.router.write(held.route, choice, held.context);
      assert.deepEqual((await choose(held, 100)).order, []);
      await held.router.restore(held.route, choice.setting, held.context);
      const { router } = held;
      // A question to a program has to be asked, and says itself that there is nothing to do.
      assert.equal(held.writes(), 0, router.name);
      assert.equal(await shareOf(held), 100);
    });

    test('an earlier setting comes back exactly', async () => {
      const small = way.shares[0] ?? 1;
      await shift(held, small);
      const was = (await held.router.read(held.route, held.stage.world)).setting;
      await held.stage.twin.settle();
      const then = held.stage.twin.snapshot();
      await shift(held, 100);
      assert.deepEqual(await held.router.restore(held.route, was, held.context), []);
      await held.stage.twin.settle();
      assert.deepEqual(held.stage.twin.snapshot(), then);
      assert.deepEqual((await held.router.read(held.route, held.stage.world)).setting, was);
    });

    test("another's share is noticed and mended", async () => {
      const asked = way.shares[0] ?? 1;
      await shift(held, asked);
      await way.meddle(held.stage);
      await held.stage.twin.settle();
      assert.ok(Math.abs((await shareOf(held)) - asked) > 5, 'the reading shows what the other wrote');
      const choice = await choose(held, asked);
      assert.ok(choice.order.length > 0);
      await held.router.write(held.route, choice, held.context);
      assert.ok(Math.abs((await shareOf(held)) - asked) <= 0.5);
    });

    test('goes back only to a source that can serve', async () => {
      const { twin, world } = held.stage;
      const [namespace = '', name = ''] = way.service.split('/');
      const was = (await held.router.read(held.route, world)).setting;
      await shift(held, 100);
      // Pods that never get ready: the way back must wait for them, or refuse, and take nothing from the target.
      const broken = (value: string | null) => ({
        spec: {
          ...(value && !way.raisesPods ? { replicas: 0 } : {}),
          template: { metadata: { annotations: value && { 'twin/never-ready': value } } },
        },
      });
      await twin.source.api.mergePatch('apps/v1/deployments', namespace, name, broken('true'));
      await twin.clock.sleep(10_000);
      await assert.rejects(held.router.restore(held.route, was, held.context), (error: MigrateError) =>
        ['SIDE_CANNOT_SERVE', 'WEIGHT_NOT_TAKEN'].includes(error.code),
      );
      const { source, failed } = await seen(held, 10_000);
      assert.deepEqual([source, failed], [0, 0]);
      await twin.source.api.mergePatch('apps/v1/deployments', namespace, name, broken(null));
      if (!way.raisesPods)
        await twin.source.api.mergePatch('apps/v1/deployments', namespace, name, { spec: { replicas: 3 } });
      await twin.clock.sleep(20_000);
      await held.router.restore(held.route, was, held.context);
      assert.equal((await seen(held, 5_000)).failed, 0);
    });

    test('the source goes out and comes back, and nobody notices', async () => {
      const { router, route, context } = held;
      await assert.rejects(
        router.leave.check(route, context),
        (error: MigrateError) => error.code === 'SOURCE_STILL_SERVES',
      );
      const was = (await router.read(route, held.stage.world)).setting;
      await shift(held, 100);
      await held.stage.twin.clock.sleep(way.bitesMs);
      const since = held.stage.twin.clock.now();
      const left = await router.leave.check(route, context);
      await router.leave.apply(route, left, context);
      await router.leave.verify(route, left, context);
      assert.equal(await shareOf(held), 100);
      await held.stage.twin.clock.sleep(20_000);
      await router.leave.undo(route, left, context);
      const { source, failed } = held.stage.twin.clients.share({ since });
      assert.deepEqual([source, failed], [0, 0]);
      await router.restore(route, was, context);
    });

    test('killed after any of its writes, it comes to the same end, forth and back', async () => {
      const { router, route, context, stage } = held;
      const low = way.shares[0] ?? 1;
      for (const [from, to] of [
        [0, low],
        [low, 100],
        [100, low],
        [low, 0],
      ] as const) {
        for (let fuse = 1; ; fuse++) {
          await shift(held, from);
          const was = (await router.read(route, stage.world)).setting;
          const choice = await choose(held, to);
          held.killAfter(fuse);
          const whole = await router.write(route, choice, context).then(
            () => true,
            (error: unknown) => {
              if (!(error instanceof Killed)) throw error;
              return false;
            },
          );
          held.killAfter(Infinity);
          const share = await shareOf(held);
          assert.ok(
            share >= Math.min(from, to) - 0.5 && share <= Math.max(from, to) + 0.5,
            `${share} of ${from} to ${to}`,
          );
          if (fuse % 2 === 0) {
            await router.restore(route, was, context);
            assert.ok(Math.abs((await shareOf(held)) - from) <= 0.5, `back to ${from}`);
          } else {
            await router.write(route, choice, context);
            assert.ok(Math.abs((await shareOf(held)) - to) <= 0.5, `on to ${to}`);
          }
          if (whole) break;
        }
      }
      assert.equal((await seen(held, 5_000)).failed, 0);
    });

    test('goes out again and leaves nothing behind', async () => {
      await shift(held, 0);
      assert.deepEqual(await held.router.join.undo(held.route, joinBefore, held.context), []);
      await held.stage.twin.settle();
      assert.deepEqual(held.stage.twin.snapshot(), start);
      assert.equal(await held.router.joined(held.route, held.stage.world), false);
    });

    test('a dead target does not keep the source from taking all back', async () => {
      await join(held);
      const was = (await held.router.read(held.route, held.stage.world)).setting;
      await shift(held, way.shares.includes(50) ? 50 : 100);
      held.stage.twin.target.down();
      await held.router.restore(held.route, was, held.context);
      assert.equal(await shareOf(held), 0);
      const { target, failed } = await seen(held, 10_000);
      assert.deepEqual([target, failed], [0, 0]);
      held.stage.twin.target.up();
    });

    test(`${SHIFTS} random shifts with rolls and scale-outs between lose nothing`, async () => {
      const seed = Number(process.env['MIGRATE_SEED'] ?? 1);
      const random = seededRandom(`${way.title}/${seed}`);
      const busy = await open(way, 20);
      try {
        await join(busy);
        const { twin } = busy.stage;
        for (let i = 0; i < SHIFTS; i++) {
          disturb(busy, random);
          const shares = way.title === 'mcs' ? way.shares : [0, 100, 1 + random() * 10, 1 + random() * 98];
          const asked = Number(shares[Math.floor(random() * shares.length)]!.toFixed(1));
          const was = await shareOf(busy);
          const since = twin.clock.now();
          await shift(busy, asked, 1);
          const now = await shareOf(busy);
          assert.ok(
            Math.abs(now - asked) <= (way.raisesPods ? 15 : 1),
            `seed ${seed}, shift ${i}: ${now}, not ${asked}`,
          );
          if (!way.observed) inside(twin.clients.share({ since }), was, now, `seed ${seed}, shift ${i}`);
          await twin.clock.sleep(random() * 3_000 + (way.observed ? way.bitesMs : 0));
        }
        const { sent, failed } = twin.clients.counts();
        assert.equal(failed, 0, `seed ${seed}: ${failed} of ${sent} failed`);
        assert.ok(sent > SHIFTS * 10);
      } finally {
        await busy.stage.close();
      }
    });
  });
}

/** What clients saw while it was written lies between before and after, but for chance. */
function inside(
  { targetPercent, sent }: { targetPercent: number | undefined; sent: number },
  was: number,
  now: number,
  what: string,
): void {
  if (targetPercent === undefined || sent < 20) return;
  const [low, high] = [Math.min(was, now), Math.max(was, now)];
  const spread = 5 * Math.sqrt(2500 / sent);
  assert.ok(
    targetPercent >= low - spread && targetPercent <= high + spread,
    `${what}: ${targetPercent} between ${low} and ${high} of ${sent}`,
  );
}

/** A roll of all pods on either side, or another number of them where the number is nobody's share. */
function disturb({ stage: { twin }, way }: Held, random: () => number): void {
  const [namespace = '', name = ''] = way.service.split('/');
  const side = random() < 0.5 ? 'source' : 'target';
  const drawn = random();
  const patch =
    drawn < 0.15
      ? { spec: { template: { metadata: { annotations: { roll: `${twin.clock.now()}` } } } } }
      : drawn < 0.3 && !way.raisesPods
        ? { spec: { replicas: 2 + Math.floor(random() * 4) } }
        : undefined;
  if (patch)
    twin.clock.after(
      random() * 5_000,
      async () => void (await twin[side].api.mergePatch('apps/v1/deployments', namespace, name, patch)),
    );
}
