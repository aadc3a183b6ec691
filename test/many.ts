import { checks } from '../checks/index.js';
import { openStage } from '../src/cli/stage.js';
import type { Engine } from '../src/engine.js';
import { memoryStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan, type Plan } from '../src/plan.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { Call } from '../src/ports.js';
import { routers } from '../src/routers/index.js';
import { run } from '../src/run.js';
import type { ClusterSeed, Seed, TwinObject } from '../src/twin/types.js';
import { pairOf } from './pair.js';
import { engineOn, mustBeDone } from './shop.js';

/** Many Services of two clusters behind a few load balancers, moved in one plan under the limits that the cloud sets to calls. */

/**
 * What the vendor lets one account call in a region in 60 s, of the actions that a move makes. Its table gives 3000 for what describes and
 * 90 for what changes a group.
 *
 * @source www.alibabacloud.com/help/en/slb/classic-load-balancer/developer-reference/api-slb-2014-05-15-quota
 */
export const CALLS_PER_MINUTE: Record<string, number> = {
  DescribeLoadBalancerAttribute: 3000,
  DescribeLoadBalancerListeners: 3000,
  DescribeVServerGroups: 3000,
  DescribeVServerGroupAttribute: 3000,
  SetVServerGroupAttribute: 90,
  AddVServerGroupBackendServers: 90,
  RemoveVServerGroupBackendServers: 90,
};

export interface ManyOptions {
  services: number;
  loadBalancers: number;
  /** of each Service on each side */
  pods?: number;
  /** the playbook's `traffic` beside its services, in YAML's flow style */
  traffic: string;
  /** of each entry */
  entry?: string;
  callsPerMinute?: Record<string, number>;
}

const nameOf = (index: number) => `web-${String(index).padStart(3, '0')}`;
export const serviceOf = (index: number): string => `shop/${nameOf(index)}`;
const groupOf = (index: number) => `rsp-${nameOf(index)}`;
const balancerOf = (index: number, { loadBalancers }: ManyOptions) => `lb-${index % loadBalancers}`;
const portOf = (index: number, { loadBalancers }: ManyOptions) => 8000 + Math.floor(index / loadBalancers);

export function manyOf(options: ManyOptions): { playbook: Playbook; seed: Seed } {
  const { services, loadBalancers, pods = 1, traffic, entry } = options;
  const all = Array.from({ length: services }, (_, index) => index);
  const entries = all.map(
    (index) =>
      `    - { service: ${serviceOf(index)}, router: clb, loadBalancer: ${balancerOf(index, options)}, group: ${groupOf(index)}, port: ${portOf(index, options)}${entry === undefined ? '' : `, ${entry}`} }`,
  );
  const text = `apiVersion: migrate/v1alpha1
kind: Playbook
name: many
source: { context: old, clusterId: c-old, ccm: '2.14.0' }
target: { context: new, clusterId: c-new, ccm: '2.14.0' }
cloud: { provider: alibaba, region: cn-hangzhou }
traffic:
  ${traffic}
  services:
${entries.join('\n')}
`;
  const { seed } = pairOf({ source: { pods, nodes: 10 }, target: { pods, nodes: 10 } });
  return {
    playbook: parsePlaybook(text, 'many.yaml'),
    seed: {
      ...seed,
      source: multiplied(seed.source, all, (index) => ({
        id: balancerOf(index, options),
        group: `${groupOf(index)}:${portOf(index, options)}`,
        port: portOf(index, options),
      })),
      target: multiplied(seed.target, all, (index) => ({ port: portOf(index, options) })),
      cloud: {
        ...seed.cloud,
        loadBalancers: Array.from({ length: loadBalancers }, (_, balancer) => {
          const mine = all.filter((index) => index % loadBalancers === balancer);
          return {
            id: `lb-${balancer}`,
            address: `198.51.100.${balancer + 1}`,
            addressType: 'internet' as const,
            vpc: 'vpc-pair',
            listeners: mine.map((index) => ({
              port: portOf(index, options),
              scheduler: 'wrr' as const,
              group: groupOf(index),
            })),
            groups: mine.map((index) => ({ id: groupOf(index), name: nameOf(index), backends: [] })),
          };
        }),
      },
      clients: [],
    },
  };
}

/** The Deployment and the Service of a pair, once for each. */
function multiplied(
  seed: ClusterSeed,
  all: readonly number[],
  binding: (index: number) => { id?: string; group?: string; port: number },
): ClusterSeed {
  const objects = seed.objects as TwinObject[];
  const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
  const once = objects.filter((it) => it.metadata.name !== 'web');
  const each = all.flatMap((index) =>
    objects
      .filter((it) => it.metadata.name === 'web')
      .map((it): TwinObject => {
        const app = nameOf(index);
        const text = JSON.stringify(it).replaceAll('"app":"web"', `"app":"${app}"`);
        const object = JSON.parse(text) as TwinObject;
        object.metadata.name = app;
        if (object.kind !== 'Service') return object;
        const { id, group, port } = binding(index);
        object['spec'].ports[0].port = port;
        if (id !== undefined)
          Object.assign(object.metadata.annotations ?? {}, {
            [`${prefix}id`]: id,
            [`${prefix}vgroup-port`]: group,
          });
        return object;
      }),
  );
  return { ...seed, objects: [...once, ...each] };
}

export interface Moved {
  plan: Plan;
  /** calls that went out, in order, those that were throttled too */
  calls: (Call & { at: number; throttled: boolean })[];
  /** milliseconds on the clock */
  tookMs: number;
  /** of each Service: from the moment when a step could begin until it began, the longest, in milliseconds on the clock */
  waits: Map<string, number>;
}

/** The whole traffic phase. */
export async function moveMany(options: ManyOptions, limit?: number): Promise<Moved> {
  const { playbook, seed } = manyOf(options);
  const calls: Moved['calls'] = [];
  const stage = await openStage(playbook, seed, {
    callsPerMinute: options.callsPerMinute ?? CALLS_PER_MINUTE,
    tap: async (call, send) => {
      const entry = { ...call, at: stage.twin.clock.now(), throttled: false };
      if (counting) calls.push(entry);
      try {
        return await send();
      } catch (error) {
        entry.throttled = String((error as { code?: string }).code).startsWith('Throttling');
        throw error;
      }
    },
  });
  let counting = false;
  try {
    await stage.twin.settle();
    const plan = makePlan(playbook, await takeInventory(playbook, stage.world, checks), routers);
    counting = true;
    const began = stage.twin.clock.now();
    const waits = new Map<string, number>();
    const doneAt = new Map<string, number>();
    const engine: Engine = {
      ...engineOn(stage, memoryStore(), (event) => {
        if (event.type !== 'step') return;
        const now = stage.twin.clock.now();
        if (event.state === 'done') doneAt.set(event.step, now);
        if (event.state !== 'begun') return;
        const step = plan.steps.find((it) => it.id === event.step);
        const service = event.step.replace(/^traffic\/[^/]+\//, '');
        const ready = Math.max(began, ...(step?.after ?? []).map((id) => doneAt.get(id) ?? began));
        waits.set(service, Math.max(waits.get(service) ?? 0, now - ready));
      }),
      ...(limit !== undefined && { limit }),
    };
    mustBeDone(await run(plan, ['traffic'], engine));
    return { plan, calls, tookMs: stage.twin.clock.now() - began, waits };
  } finally {
    await stage.close();
  }
}
