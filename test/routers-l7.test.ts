import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MigrateError } from '../src/errors.js';
import { parsePlaybook } from '../src/playbook.js';
import { routers } from '../src/routers/index.js';
import type { Stage } from '../src/cli/stage.js';
import { seededRandom } from '../src/twin/random.js';
import type { Json, Seed } from '../src/twin/types.js';
import { holdRouters, join, open, shareOf, shift, type Held, type Way } from './conformance/routers.js';
import { shipped } from './shop.js';

/** The routers whose proxies stand in the source: each way of writing their rules. */

const SHOP = { service: 'shop/web' };
const INGRESSES = 'networking.k8s.io/v1/ingresses';
const ROUTES = 'gateway.networking.k8s.io/v1/httproutes';
const SERVICES = 'networking.istio.io/v1/virtualservices';

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

const way = (
  world: 'ingress' | 'gateway' | 'istio',
  title: string,
  entry: Record<string, unknown>,
  more: Pick<Way, 'meddle'> & Partial<Way> & { change?: (seed: Seed) => void },
): Way => {
  const lines = [
    'apiVersion: migrate/v1alpha1',
    'kind: Playbook',
    'name: held',
    'source: { context: shop-old }',
    'target: { context: shop-new }',
    `traffic: { services: [${JSON.stringify({ ...SHOP, router: world, ...entry })}] }`,
  ];
  const { change, ...rest } = more;
  return {
    title: `${world}, ${title}`,
    playbook: parsePlaybook(lines.join('\n'), 'held.yaml'),
    seed: () => {
      const { seed } = shipped(world);
      change?.(seed);
      return seed;
    },
    service: 'shop/web',
    traits: {
      unit: 'weight',
      min: 0,
      zero: 'weight',
      splits: 'requests',
      proof: world === 'gateway' ? 'conditions' : 'none',
    },
    shares: [5, 0.5, 99, 100, 0],
    bitesMs: 0,
    ...rest,
  };
};

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

/** Sends to the other side altogether. */
const swap = async ({ twin }: Stage): Promise<unknown> => {
  const main = await twin.source.api.get(INGRESSES, 'shop', 'web');
  const now = main!['spec'].rules[0].http.paths[0].backend.service.name;
  const rules = JSON.stringify(main!['spec'].rules).replaceAll(`"${now}"`, now === 'web' ? '"web-migrate"' : '"web"');
  return twin.source.api.mergePatch(INGRESSES, 'shop', 'web', { spec: { rules: JSON.parse(rules) } });
};

const MARKED = { header: { name: 'X-New', value: '1' } };

const CANARY_WAY = way(
  'ingress',
  'canary by weight',
  { ingress: 'web' },
  { meddle: annotate('web-migrate', 'canary-weight', '75') },
);
const HEADER_WAY = way(
  'ingress',
  'canary by header first',
  { ingress: 'web', header: { name: 'X-New' }, cookie: 'new' },
  { meddle: annotate('web-migrate', 'canary-weight', '75') },
);
const WEIGHT_WAY = way(
  'ingress',
  'service-weight',
  { ingress: 'web', style: 'service-weight', ...MARKED },
  { meddle: annotate('web', 'service-weight', 'web-migrate: 3, web: 1') },
);
const EDAS_WAY = way(
  'ingress',
  'EDAS',
  { ingress: 'web', style: 'edas', ...MARKED },
  { meddle: swap, shares: [0, 100, 0], beyond: { asked: 50, below: 0, above: 100 } },
);
const GATEWAY_WAY = way(
  'gateway',
  'by an address',
  { route: 'web' },
  { meddle: reweigh(ROUTES, 'rules', 'backendRefs') },
);
const IMPORT_WAY = way(
  'gateway',
  'by a ServiceImport',
  { route: 'web', through: 'service-import' },
  {
    change: (seed) => void (seed.source.objects as Json[]).unshift(importDefinition),
    prepare: bringImport,
    meddle: reweigh(ROUTES, 'rules', 'backendRefs'),
  },
);
const MESH_WAY = way(
  'istio',
  'by clusters of one mesh',
  { virtualService: 'web', clusters: { source: 'shop-old', target: 'shop-new' } },
  { meddle: reweigh(SERVICES, 'http', 'route') },
);
const MESHES_WAY = way(
  'istio',
  'by an address',
  { virtualService: 'web' },
  { change: twoMeshes, meddle: reweigh(SERVICES, 'http', 'route') },
);

const WAYS = [CANARY_WAY, HEADER_WAY, WEIGHT_WAY, EDAS_WAY, GATEWAY_WAY, IMPORT_WAY, MESH_WAY, MESHES_WAY];

holdRouters(WAYS);

/** The object that holds the weights. */
const holding = ({ title }: Way): { resource: string; name: string } => {
  if (title.startsWith('ingress, canary')) return { resource: INGRESSES, name: 'web-migrate' };
  if (title.startsWith('ingress')) return { resource: INGRESSES, name: 'web' };
  return { resource: title.startsWith('gateway') ? ROUTES : SERVICES, name: 'web' };
};

async function on(it: Way, run: (held: Held) => Promise<void>): Promise<void> {
  const held = await open(it, 20);
  try {
    await join(held);
    await run(held);
  } finally {
    await held.stage.close();
  }
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

for (const [it, marks] of [
  [HEADER_WAY, [{ 'x-new': 'always' }, { cookie: 'a=b; new=always' }]],
  [WEIGHT_WAY, [{ 'x-new': '1' }]],
  [EDAS_WAY, [{ 'x-new': '1' }]],
] as const)
  test(`${it.title}: what marks a request sends it to the target before any weight does`, () =>
    on(it, async (held) => {
      for (const headers of marks) assert.equal(await ask(held, headers), 'target');
      for (const headers of [{}, { 'x-new': '2' }, { 'x-other': '1' }])
        assert.equal(await ask(held, headers), 'source');
      assert.equal(held.stage.twin.clients.counts().target, 0);
    }));

describe('beside others who write', () => {
  for (const it of WAYS) {
    test(`${it.title}: what is theirs stays`, () =>
      on(it, async (held) => {
        const { api } = held.stage.twin.source;
        const { resource, name } = holding(it);
        await api.mergePatch(resource, 'shop', name, { metadata: { labels: { 'shop/by': 'others' } } });
        await shift(held, 100);
        assert.equal((await api.get(resource, 'shop', name))!.metadata.labels['shop/by'], 'others');
      }));

    test(`${it.title}: a writer who writes back is named instead of fought for ever`, () =>
      on(it, async (held) => {
        const { clock, source } = held.stage.twin;
        const { resource, name } = holding(it);
        const asked = it.beyond ? 100 : 60;
        let running = true;
        const stop = await source.api.watch(resource, ({ object, type }) => {
          if (!running || type === 'DELETED' || object.metadata.name !== name) return;
          clock.after(50, async () => {
            if (running && (await shareOf(held)) === asked) await it.meddle(held.stage);
          });
        });
        await assert.rejects(shift(held, asked), (error: MigrateError) => error.code === 'WEIGHT_NOT_TAKEN');
        running = false;
        stop();
      }));

    test(`${it.title}: never are both sides at nothing`, () =>
      on(it, async (held) => {
        const random = seededRandom(it.title);
        const { resource } = holding(it);
        const empty: string[] = [];
        const stop = await held.stage.twin.source.api.watch(resource, ({ object }) => {
          if (nobody(object)) empty.push(JSON.stringify(object['spec']));
        });
        for (const asked of it.beyond ? [100, 0, 100, 0] : [100, 0, random() * 100, 100, random(), 0])
          await shift(held, asked, 1);
        stop();
        assert.deepEqual(empty, []);
      }));
  }
});

/** Takes away what the share stands on, while the weights look right. */
const SPOILT: [Way, (stage: Stage) => Promise<unknown>][] = [
  [
    CANARY_WAY,
    async ({ twin }) => {
      const main = await twin.source.api.get(INGRESSES, 'shop', 'web');
      const [rule] = main!['spec'].rules as Json[];
      const paths = [...rule.http.paths, { ...rule.http.paths[0], path: '/api' }];
      return twin.source.api.mergePatch(INGRESSES, 'shop', 'web', { spec: { rules: [{ ...rule, http: { paths } }] } });
    },
  ],
  [EDAS_WAY, annotate('web', 'service-config', '{}')],
  [
    GATEWAY_WAY,
    async ({ twin }) => {
      const route = await twin.source.api.get(ROUTES, 'shop', 'web');
      const rules = (route!['spec'].rules as Json[]).map((it) => ({ ...it, backendRefs: [it.backendRefs[0]] }));
      return twin.source.api.mergePatch(ROUTES, 'shop', 'web', { spec: { rules } });
    },
  ],
];

for (const [it, spoil] of SPOILT)
  test(`${it.title}: what the share stands on is noticed and mended, although the weights look right`, () =>
    on(it, async (held) => {
      const { router, route, stage, context } = held;
      const asked = it === CANARY_WAY ? 20 : 0;
      await shift(held, asked);
      assert.equal((await router.read(route, stage.world)).news, undefined);
      await spoil(stage);
      const reading = await router.read(route, stage.world);
      assert.match(reading.news ?? '', /changed|lost/);
      const choice = await router.choose(route, { asked, tolerance: 1 }, reading, stage.world);
      assert.ok('setting' in choice && choice.order.length > 0);
      await router.write(route, choice, context);
      assert.equal((await router.read(route, stage.world)).news, undefined);
      assert.equal(await shareOf(held), asked);
      await shift(held, 100);
    }));

/** Both weights of a rule at nothing. */
function nobody({ spec }: Json): boolean {
  const lists = [...(spec.rules ?? []), ...(spec.http ?? [])].map((it) => it.backendRefs ?? it.route ?? []);
  return lists.some((list: Json[]) => list.length > 1 && list.every((it) => it.weight === 0));
}

test('a playbook that names an object which is not there, or a Service twice, has no plan', () => {
  const source = {
    objects: { 'HTTPRoute.gateway.networking.k8s.io': [{ metadata: { namespace: 'shop', name: 'web' } }] },
  };
  const plan = (...names: string[]): unknown => {
    const entries = names.map((route) => ({ service: 'shop/web', router: 'gateway', route, through: 'address' }));
    return routers.get('gateway')!.routes(entries as never, {} as never, { source } as never);
  };
  const unfit = (why: RegExp) => (error: MigrateError) => error.code === 'PLAN_SERVICE_UNFIT' && why.test(error.what);
  assert.doesNotThrow(() => plan('web'));
  assert.throws(() => plan('api'), unfit(/has no HTTPRoute shop\/api/));
  assert.throws(() => plan('web', 'web'), unfit(/twice/));
});
