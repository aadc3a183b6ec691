import { parsePlaybook } from '../src/playbook.js';
import type { Side } from '../src/ports.js';
import type { Stage } from '../src/cli/stage.js';
import type { Json, Seed } from '../src/twin/types.js';
import { holdRouters, type Way } from './conformance/routers.js';
import { shipped } from './shop.js';

/** The routers that split between clusters as wholes. */

type World = 'dns' | 'waves' | 'fsm';

function way(
  world: World,
  title: string,
  entry: { service: string; router: string } & Record<string, unknown>,
  { change, ...more }: Omit<Way, 'title' | 'playbook' | 'seed' | 'prepare'> & { change?: (seed: Seed) => void },
): Way {
  const { playbook: book } = shipped(world);
  const lines = [
    'apiVersion: migrate/v1alpha1',
    'kind: Playbook',
    'name: held',
    `source: { context: ${book.source.context} }`,
    `target: { context: ${book.target.context} }`,
    ...(book.fleet ? [`fleet: { context: ${book.fleet.context} }`] : []),
    ...(book.cloud ? [`cloud: ${JSON.stringify(book.cloud)}`] : []),
    `traffic: { services: [${JSON.stringify(entry)}] }`,
  ];
  return {
    title,
    playbook: parsePlaybook(lines.join('\n'), 'held.yaml'),
    seed() {
      const { seed } = shipped(world);
      change?.(seed);
      // One crowd is enough: the one that comes for this service.
      seed.clients = seed.clients!.filter((it) => 'name' in it && it.name === entry.service);
      return seed;
    },
    prepare: (stage) => bringTarget(stage, entry.service, world),
    ...more,
  };
}

/** As a restore leaves it, and for DNS with a front of its own. */
async function bringTarget({ twin }: Stage, service: string, world: World): Promise<void> {
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
    spec: { ...deployment!['spec'], replicas: world === 'waves' ? 2 : 3 },
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

holdRouters([
  way(
    'dns',
    'dns',
    {
      service: 'portal/web',
      router: 'dns',
      domain: 'example.com',
      name: 'www',
      target: TARGET_ADDRESS,
      drain: '1s',
    },
    {
      service: 'portal/web',
      change: (seed) => {
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
  ),
  way(
    'waves',
    'mcs',
    { service: 'mall/orders', router: 'mcs', wave: 1 },
    {
      service: 'mall/orders',
      traits: { unit: 'endpoints', zero: 'scale', splits: 'connections', proof: 'endpoints' },
      shares: [25, 40, 50, 75, 100, 25, 0],
      beyond: { asked: 10, below: 0, above: 25 },
      bitesMs: 3_000,
      meddle: scaled('target', 'orders', 'mall', 5),
      raisesPods: true,
    },
  ),
  way(
    'fsm',
    'fsm',
    { service: 'bank/pay', router: 'fsm' },
    {
      service: 'bank/pay',
      traits: { unit: 'weight', min: 1, zero: 'scale', splits: 'requests', proof: 'none' },
      shares: [0.5, 1, 33, 50, 99, 100, 7, 0],
      beyond: { asked: 0.05, below: 0, above: 100 / 301 },
      bitesMs: 3_000,
      // What looks like nothing: it counts as 100.
      meddle: async (stage) => {
        const { spec } = (await stage.twin.source.api.get(POLICIES, 'bank', 'pay'))!;
        const targets = [
          {
            clusterKey: (spec.targets?.[0] ?? { clusterKey: 'default/default/default/mesh-new' }).clusterKey,
            weight: 0,
          },
        ];
        return stage.twin.source.api.mergePatch(POLICIES, 'bank', 'pay', { spec: { lbType: 'ActiveActive', targets } });
      },
      raisesPods: true,
    },
  ),
  way(
    'fsm',
    'exec',
    { service: 'bank/pay', router: 'exec', command: ['my-balancer'], sum: 1000 },
    {
      service: 'bank/pay',
      change: (seed) =>
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
  ),
]);
