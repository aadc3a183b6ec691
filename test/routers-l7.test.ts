import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Inventory } from '../src/inventory.js';
import type { MigrateError } from '../src/errors.js';
import { parsePlaybook } from '../src/playbook.js';
import type { Call, Kind, World } from '../src/ports.js';
import { isReachable, measured, type AnyRouter, type Choice, type Reading, type Route } from '../src/router.js';
import { routers } from '../src/routers/index.js';
import type { StepContext } from '../src/step.js';
import { openStage, type Stage } from '../src/cli/stage.js';
import { seededRandom } from '../src/twin/random.js';
import type { Json, Seed } from '../src/twin/types.js';
import { shipped } from './shop.js';

/** Every claim of the routers whose proxies stand in the source, held to what clients of the twin see. */

/** Of random shifts: more by hand, e.g. `MIGRATE_SHIFTS=2000`. */
const SHIFTS = Number(process.env['MIGRATE_SHIFTS'] ?? 10);

interface Way {
  title: string;
  world: 'ingress' | 'gateway' | 'istio';
  /** the entry of `traffic.services` */
  entry: Record<string, unknown>;
  seed?: (seed: Seed) => void;
  /** after the twin has started */
  prepare?: (stage: Stage) => Promise<void>;
  /** shares that it reaches; every share when left out */
  only?: readonly number[];
  /** the object that holds the weights */
  holds: { kind: Kind; name: string; resource: string };
  /** another writer's other share */
  meddle: (stage: Stage) => Promise<unknown>;
}

const SHOP = { service: 'shop/web' };
const INGRESSES = 'networking.k8s.io/v1/ingresses';
const ROUTES = 'gateway.networking.k8s.io/v1/httproutes';
const SERVICES = 'networking.istio.io/v1/virtualservices';
const MAIN = { kind: 'Ingress.networking.k8s.io', name: 'web', resource: INGRESSES };
const CANARY = { ...MAIN, name: 'web-migrate' };
const HTTP_ROUTE = { kind: 'HTTPRoute.gateway.networking.k8s.io', name: 'web', resource: ROUTES };
const VIRTUAL = { kind: 'VirtualService.networking.istio.io', name: 'web', resource: SERVICES };

const annotate = (name: string, key: string, value: string) => (stage: Stage) =>
  stage.twin.source.api.mergePatch(INGRESSES, 'shop', name, {
    metadata: { annotations: { [`nginx.ingress.kubernetes.io/${key}`]: value } },
  });

const reweigh = (resource: string, list: 'rules' | 'http', refs: 'backendRefs' | 'route') => async (stage: Stage) => {
  const object = await stage.twin.source.api.get(resource, 'shop', 'web');
  const changed = (object!['spec'][list] as Json[]).map((rule) => ({
    ...rule,
    [refs]: rule[refs].map((it: Json, index: number) => ({ ...it, weight: index === 0 ? 1 : 3 })),
  }));
  return stage.twin.source.api.mergePatch(resource, 'shop', 'web', { spec: { [list]: changed } });
};

const WAYS: Way[] = [
  {
    title: 'ingress, canary by weight',
    world: 'ingress',
    entry: { ...SHOP, router: 'ingress', ingress: 'web' },
    holds: CANARY,
    meddle: annotate('web-migrate', 'canary-weight', '75'),
  },
  {
    title: 'ingress, canary by header first',
    world: 'ingress',
    entry: { ...SHOP, router: 'ingress', ingress: 'web', header: { name: 'X-New' }, cookie: 'new' },
    holds: CANARY,
    meddle: annotate('web-migrate', 'canary-weight', '75'),
  },
  {
    title: 'ingress, service-weight',
    world: 'ingress',
    entry: {
      ...SHOP,
      router: 'ingress',
      ingress: 'web',
      style: 'service-weight',
      header: { name: 'X-New', value: '1' },
    },
    holds: MAIN,
    meddle: annotate('web', 'service-weight', 'web-migrate: 3, web: 1'),
  },
  {
    title: 'ingress, EDAS',
    world: 'ingress',
    entry: { ...SHOP, router: 'ingress', ingress: 'web', style: 'edas', header: { name: 'X-New', value: '1' } },
    only: [0, 100],
    holds: MAIN,
    meddle: async (stage) => {
      const main = await stage.twin.source.api.get(INGRESSES, 'shop', 'web');
      const now = main!['spec'].rules[0].http.paths[0].backend.service.name;
      const rules = JSON.stringify(main!['spec'].rules).replaceAll(
        `"${now}"`,
        now === 'web' ? '"web-migrate"' : '"web"',
      );
      return stage.twin.source.api.mergePatch(INGRESSES, 'shop', 'web', { spec: { rules: JSON.parse(rules) } });
    },
  },
  {
    title: 'gateway, by an address',
    world: 'gateway',
    entry: { ...SHOP, router: 'gateway', route: 'web' },
    holds: HTTP_ROUTE,
    meddle: reweigh(ROUTES, 'rules', 'backendRefs'),
  },
  {
    title: 'gateway, by a ServiceImport',
    world: 'gateway',
    entry: { ...SHOP, router: 'gateway', route: 'web', through: 'service-import' },
    holds: HTTP_ROUTE,
    seed: (seed) => (seed.source.objects as Json[]).unshift(importDefinition),
    prepare: bringImport,
    meddle: reweigh(ROUTES, 'rules', 'backendRefs'),
  },
  {
    title: 'istio, by clusters of one mesh',
    world: 'istio',
    entry: { ...SHOP, router: 'istio', virtualService: 'web', clusters: { source: 'shop-old', target: 'shop-new' } },
    holds: VIRTUAL,
    meddle: reweigh(SERVICES, 'http', 'route'),
  },
  {
    title: 'istio, by an address',
    world: 'istio',
    entry: { ...SHOP, router: 'istio', virtualService: 'web' },
    holds: VIRTUAL,
    seed: twoMeshes,
    meddle: reweigh(SERVICES, 'http', 'route'),
  },
];

const importDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'serviceimports.multicluster.x-k8s.io' },
  spec: {
    group: 'multicluster.x-k8s.io',
    scope: 'Namespaced',
    names: {
      kind: 'ServiceImport',
      plural: 'serviceimports',
      singular: 'serviceimport',
      listKind: 'ServiceImportList',
    },
    versions: [
      {
        name: 'v1alpha1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

/** What a cluster set's controller would bring: the import, and a slice with the address at which the target answers. */
async function bringImport({ twin }: Stage): Promise<void> {
  const target = await twin.target.api.get('v1/services', 'shop', 'web');
  await twin.source.api.create('multicluster.x-k8s.io/v1alpha1/serviceimports', {
    apiVersion: 'multicluster.x-k8s.io/v1alpha1',
    kind: 'ServiceImport',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { type: 'ClusterSetIP', ports: [{ port: 80 }] },
  });
  await twin.source.api.create('discovery.k8s.io/v1/endpointslices', {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'imported-web', namespace: 'shop', labels: { 'multicluster.kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [target!['status'].loadBalancer.ingress[0].ip], conditions: { ready: true } }],
    ports: [{ name: '', port: 80, protocol: 'TCP' }],
  });
}

function twoMeshes(seed: Seed): void {
  const [source, target] = [seed.source.objects as Json[], seed.target.objects as Json[]];
  const web = source.find((it) => it.kind === 'VirtualService');
  delete web.spec.http[0].route[0].destination.subset;
  const service = target.find((it) => it.kind === 'Service');
  service.spec.type = 'LoadBalancer';
  delete (seed.clients![0] as Json).clusters;
}

interface Held {
  stage: Stage;
  route: Route;
  router: AnyRouter;
  context: StepContext;
  /** writes of migrate since the last look */
  writes(): number;
}

async function open(way: Way, perSecond = 200): Promise<Held> {
  const { seed } = shipped(way.world);
  const lines = [
    'apiVersion: migrate/v1alpha1',
    'kind: Playbook',
    'name: held',
    'source: { context: shop-old }',
    'target: { context: shop-new }',
    `traffic: { services: [${JSON.stringify(way.entry)}] }`,
  ];
  const playbook = parsePlaybook(lines.join('\n'), 'held.yaml');
  way.seed?.(seed);
  let count = 0;
  const tap = <T>(call: Call, send: () => Promise<T>): Promise<T> => {
    if (call.writes) count++;
    return send();
  };
  const stage = await openStage(playbook, seed, { tap, clientsPerSecond: perSecond });
  await way.prepare?.(stage);
  await stage.twin.settle();
  const router = routers.get(playbook.traffic!.services[0]!.router)!;
  const [route] = router.routes(playbook.traffic!.services, playbook, {
    source: { objects: {} },
  } as unknown as Inventory);
  return {
    stage,
    router,
    route,
    context: contextOf(stage.world),
    writes() {
      const now = count;
      count = 0;
      return now;
    },
  };
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

async function choose({ router, route, stage }: Held, asked: number): Promise<Choice<unknown>> {
  const reading: Reading<unknown> = await router.read(route, stage.world);
  const choice = await router.choose(route, { asked, tolerance: 1 }, reading, stage.world);
  assert.ok(isReachable<unknown>(choice), `${asked} %: ${JSON.stringify(choice)}`);
  return choice;
}

async function shift(held: Held, asked: number): Promise<Choice<unknown>> {
  const choice = await choose(held, asked);
  await held.router.write(held.route, choice, held.context);
  return choice;
}

const shareOf = async ({ router, route, stage }: Held): Promise<number> =>
  measured((await router.read(route, stage.world)).splits[0]!);

/** Who served in the next minutes. */
async function seen({ stage: { twin } }: Held, ms: number): Promise<ReturnType<typeof twin.clients.share>> {
  const since = twin.clock.now();
  await twin.clock.sleep(ms);
  return twin.clients.share({ since });
}

const ask = async ({ stage: { twin } }: Held, headers: Record<string, string>): Promise<string> => {
  const url = await twin.clients.frontUrl('shop/web');
  const letGo = twin.clock.hold();
  try {
    const answer = (await (await fetch(url, { headers })).json()) as { side?: string; failed?: string };
    return answer.side ?? `failed: ${answer.failed}`;
  } finally {
    letGo();
  }
};

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

    test('comes in at nothing, and says so', async () => {
      assert.equal(await held.router.joined(held.route, held.stage.world), false);
      joinBefore = await join(held);
      assert.equal(await held.router.joined(held.route, held.stage.world), true);
      assert.equal(await shareOf(held), 0);
      const { target, failed } = await seen(held, 20_000);
      assert.deepEqual([target, failed], [0, 0]);
    });

    test('what marks a request sends it to the target before any weight does', async () => {
      const { header, cookie } = way.entry as { header?: { name: string; value?: string }; cookie?: string };
      if (header) assert.equal(await ask(held, { [header.name]: header.value ?? 'always' }), 'target');
      if (cookie !== undefined) assert.equal(await ask(held, { cookie: `a=b; ${cookie}=always` }), 'target');
      assert.equal(await ask(held, { 'x-other': 'always' }), 'source');
    });

    for (const asked of way.only ?? [0.5, 1, 33, 50, 99, 100, 7, 0])
      test(`reaches ${asked} %, from the moment at which it says so`, async () => {
        const { reachable } = await shift(held, asked);
        assert.ok(Math.abs(reachable - asked) <= 1, `${reachable}`);
        assert.ok(asked === 0 || reachable > 0);
        assert.equal(await shareOf(held), reachable);
        const { targetPercent = Number.NaN, failed, sent } = await seen(held, 20_000);
        const spread = 4 * Math.sqrt((reachable * (100 - reachable)) / sent);
        assert.ok(Math.abs(targetPercent - reachable) <= spread, `clients saw ${targetPercent} of ${reachable}`);
        assert.equal(failed, 0);
      });

    if (way.only)
      test('shares between are refused with the nearest', async () => {
        const { router, route, stage } = held;
        const reading = await router.read(route, stage.world);
        const answer = await router.choose(route, { asked: 50, tolerance: 1 }, reading, stage.world);
        assert.ok(!isReachable(answer));
        assert.deepEqual([answer.below, answer.above], [0, 100]);
        assert.match(answer.why, /no percentages/);
      });

    test('a second time nothing is written', async () => {
      const choice = await shift(held, 100);
      held.writes();
      await held.router.write(held.route, choice, held.context);
      assert.deepEqual((await choose(held, 100)).order, []);
      await held.router.join.apply(held.route, joinBefore, held.context);
      await held.router.restore(held.route, choice.setting, held.context);
      assert.equal(held.writes(), 0);
      assert.equal(await shareOf(held), 100);
    });

    test('an earlier setting comes back exactly', async () => {
      const small = way.only ? 0 : 20;
      await shift(held, small);
      const was = (await held.router.read(held.route, held.stage.world)).setting;
      const then = held.stage.twin.snapshot();
      await shift(held, 100);
      assert.deepEqual(await held.router.restore(held.route, was, held.context), []);
      assert.deepEqual(held.stage.twin.snapshot(), then);
      assert.equal(await shareOf(held), small);
    });

    test("what others write beside it stays, and another's share is noticed and mended", async () => {
      const { api } = held.stage.twin.source;
      const { resource, name } = way.holds;
      await shift(held, way.only ? 0 : 20);
      await api.mergePatch(resource, 'shop', name, { metadata: { labels: { 'shop/by': 'others' } } });
      await way.meddle(held.stage);
      await held.stage.twin.settle();
      assert.ok(Math.abs((await shareOf(held)) - 20) > 5, 'the reading shows what the other wrote');
      const asked = way.only ? 0 : 20;
      const choice = await choose(held, asked);
      assert.deepEqual(choice.order, ['source']);
      await held.router.write(held.route, choice, held.context);
      assert.equal(await shareOf(held), asked);
      assert.equal((await api.get(resource, 'shop', name))!.metadata.labels['shop/by'], 'others');
      await api.mergePatch(resource, 'shop', name, { metadata: { labels: { 'shop/by': null } } });
    });

    test('a writer who writes back is named instead of fought for ever', async () => {
      const { api, clock } = { api: held.stage.twin.source.api, clock: held.stage.twin.clock };
      let running = true;
      const stop = await api.watch(way.holds.resource, ({ object, type }) => {
        if (!running || type === 'DELETED' || object.metadata.name !== way.holds.name) return;
        clock.after(50, async () => {
          if (running && (await shareOf(held)) === 100) await way.meddle(held.stage);
        });
      });
      await assert.rejects(shift(held, 100), (error: MigrateError) => error.code === 'WEIGHT_NOT_TAKEN');
      running = false;
      stop();
      await held.stage.twin.settle();
      await shift(held, 0);
    });

    test('goes back to a source that can serve alone, and says so where it can not', async () => {
      const { twin, world } = held.stage;
      const was = (await held.router.read(held.route, world)).setting;
      await shift(held, 100);
      await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 0 } });
      await twin.clock.sleep(10_000);
      await assert.rejects(
        held.router.restore(held.route, was, held.context),
        (error: MigrateError) => error.code === 'SIDE_CANNOT_SERVE',
      );
      await twin.source.api.mergePatch('apps/v1/deployments', 'shop', 'web', { spec: { replicas: 3 } });
      await twin.clock.sleep(20_000);
      await held.router.restore(held.route, was, held.context);
    });

    test('the source goes out and comes back, and nobody notices', async () => {
      const { router, route, context } = held;
      await assert.rejects(
        router.leave.check(route, context),
        (error: MigrateError) => error.code === 'SOURCE_STILL_SERVES',
      );
      await shift(held, 100);
      const then = held.stage.twin.snapshot();
      const since = held.stage.twin.clock.now();
      const left = await router.leave.check(route, context);
      await router.leave.apply(route, left, context);
      await router.leave.verify(route, left, context);
      assert.equal(await shareOf(held), 100);
      await held.stage.twin.clock.sleep(20_000);
      await router.leave.undo(route, left, context);
      await held.stage.twin.clock.sleep(20_000);
      const { source, failed } = held.stage.twin.clients.share({ since });
      assert.deepEqual([source, failed], [0, 0]);
      assert.deepEqual(held.stage.twin.snapshot(), then);
      await shift(held, 0);
    });

    test('goes out again and leaves nothing behind', async () => {
      assert.deepEqual(await held.router.join.undo(held.route, joinBefore, held.context), []);
      await held.stage.twin.settle();
      assert.deepEqual(held.stage.twin.snapshot(), start);
      assert.equal(await held.router.joined(held.route, held.stage.world), false);
    });

    test(`${SHIFTS} random shifts with rolls and scale-outs between lose nothing`, async () => {
      const seed = Number(process.env['MIGRATE_SEED'] ?? 1);
      const random = seededRandom(`${way.title}/${seed}`);
      const busy = await open(way, 20);
      try {
        await join(busy);
        const { twin } = busy.stage;
        const empty: string[] = [];
        const stop = await twin.source.api.watch(way.holds.resource, ({ object }) => {
          if (nobody(object)) empty.push(JSON.stringify(object['spec']));
        });
        for (let i = 0; i < SHIFTS; i++) {
          disturb(busy, random);
          const shares = way.only ?? [0, 100, random() * 10, random() * 100];
          await shift(busy, Number(shares[Math.floor(random() * shares.length)]!.toFixed(1)));
          await twin.clock.sleep(random() * 3_000);
        }
        stop();
        const { sent, failed } = twin.clients.counts();
        assert.equal(failed, 0, `seed ${seed}: ${failed} of ${sent} failed`);
        assert.deepEqual(empty, []);
        assert.ok(sent > SHIFTS * 50);
      } finally {
        await busy.stage.close();
      }
    });
  });
}

/** Both weights of a rule at nothing. */
function nobody({ spec }: Json): boolean {
  const lists = [...(spec.rules ?? []), ...(spec.http ?? [])].map((it) => it.backendRefs ?? it.route ?? []);
  return lists.some((list: Json[]) => list.length > 1 && list.every((it) => it.weight === 0));
}

/** A roll of all pods, or another number of them, on either side: what goes on in clusters anyway. */
function disturb({ stage: { twin } }: Held, random: () => number): void {
  const side = random() < 0.5 ? 'source' : 'target';
  const drawn = random();
  const patch =
    drawn < 0.15
      ? { spec: { template: { metadata: { annotations: { roll: `${twin.clock.now()}` } } } } }
      : drawn < 0.3
        ? { spec: { replicas: 2 + Math.floor(random() * 4) } }
        : undefined;
  if (patch)
    twin.clock.after(
      random() * 5_000,
      async () => void (await twin[side].api.mergePatch('apps/v1/deployments', 'shop', 'web', patch)),
    );
}

test('a playbook that names an object which is not there, or a Service twice, has no plan', () => {
  const source = { objects: { [HTTP_ROUTE.kind]: [{ metadata: { namespace: 'shop', name: 'web' } }] } };
  const plan = (...names: string[]): unknown => {
    const entries = names.map((route) => ({ service: 'shop/web', router: 'gateway', route, through: 'address' }));
    return routers.get('gateway')!.routes(entries as never, {} as never, { source } as never);
  };
  const unfit = (why: RegExp) => (error: MigrateError) => error.code === 'PLAN_SERVICE_UNFIT' && why.test(error.what);
  assert.doesNotThrow(() => plan('web'));
  assert.throws(() => plan('api'), unfit(/has no HTTPRoute shop\/api/));
  assert.throws(() => plan('web', 'web'), unfit(/twice/));
});
