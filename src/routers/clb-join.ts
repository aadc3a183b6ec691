import { weightOf, type ClbRoute } from '../clb.js';
import { MigrateError } from '../errors.js';
import { lbAnnotation, lbKey, splitPath } from '../objects.js';
import type { KubeObject, World } from '../ports.js';
import { measured, type Part } from '../router.js';
import { points, spell } from '../words.js';
import { isHeard, readGroups, resolved, splitOf, TAKES_EFFECT_MS, untilTaken } from './clb-group.js';
import { serviceOn } from './services.js';
import { until } from '../wait.js';

/** How a cluster comes into a shared server group, and how it goes out. */

export interface JoinBefore {
  type: string;
  /** the annotations that we write, as they were */
  annotations: Record<string, string>;
  /** it was in the group before, at weight 0: brought so by the restore */
  joined: boolean;
}

const KEYS = [
  lbKey('id'),
  lbKey('vgroup-port'),
  lbKey('weight'),
  lbKey('force-override-listeners'),
  lbKey('ignore-weight-update'),
];

/** Joins at weight 0, so that nothing moves yet. */
export const join: Part<ClbRoute, JoinBefore> = {
  title: (route) => `${route.service} joins ${route.ports.map((it) => it.group).join(', ')} at weight 0`,
  wayBack: (route) => `leaves ${route.ports.map((it) => it.group).join(', ')}`,

  async check(given, { world }) {
    const route = await resolved(given, world);
    const object = await serviceOn(world.target, route);
    const wanted = joinAnnotations(route);
    mustBeOfClass(object, route);
    const annotations = object.metadata.annotations ?? {};
    const type = String(object['spec']?.type ?? 'ClusterIP');
    const [ingress] = (object['status']?.loadBalancer?.ingress ?? []) as { ip?: string; hostname?: string }[];
    const address = ingress?.ip ?? ingress?.hostname;
    if (type === 'LoadBalancer' && address !== undefined && lbAnnotation(object, 'id') !== route.loadBalancer) {
      throw new MigrateError('SERVICE_HAS_ADDRESS', {
        what: `Service ${route.service} on the target has an address of its own: ${address}.`,
        why: 'The controller refuses to bind a Service that has an address to another load balancer.',
        fix: 'Make it a ClusterIP Service first, if nobody uses that address.',
      });
    }
    if (
      type === 'LoadBalancer' &&
      lbAnnotation(object, 'vgroup-port') === wanted[lbKey('vgroup-port')] &&
      weightOf(object) !== 0
    ) {
      throw new MigrateError('SERVICE_LIVE_ALREADY', {
        what: `Service ${route.service} on the target is in the group already, with weight ${weightOf(object) ?? 'unset'}.`,
        why: 'It takes traffic now; joining at 0 would take that away unasked.',
        fix: 'Set its weight to "0" yourself first, or shift from where it is: `migrate shift`.',
      });
    }
    return {
      type,
      annotations: Object.fromEntries(
        KEYS.flatMap((key) => (annotations[key] === undefined ? [] : [[key, annotations[key]]])),
      ),
      joined: type === 'LoadBalancer' && KEYS.every((key) => annotations[key] === wanted[key]),
    };
  },

  async apply(given, { joined }, { world }) {
    if (joined) return;
    const route = await resolved(given, world);
    const object = await serviceOn(world.target, route);
    const wanted = joinAnnotations(route);
    // Bound already, its weight and who heeds it are whatever the shift has made of them since.
    const binding = KEYS.filter((key) => key !== lbKey('weight') && key !== lbKey('ignore-weight-update'));
    const differs =
      object['spec']?.type !== 'LoadBalancer' ||
      binding.some((key) => object.metadata.annotations?.[key] !== wanted[key]);
    if (!differs) return;
    const annotations = Object.fromEntries(KEYS.map((key) => [key, wanted[key] ?? null]));
    await world.target.patch(
      { kind: 'Service', ...splitPath(route.service) },
      { metadata: { annotations }, spec: typed(route, 'LoadBalancer') },
    );
  },

  async verify(route, _before, { world, progress }) {
    const deadline = world.clock.now() + TAKES_EFFECT_MS;
    for (let pause = 250; ; pause = Math.min(pause * 2, 4000)) {
      const groups = await readGroups(route, world);
      if (groups.every((it) => it.target.length > 0)) {
        await untilTaken('target', route, {}, world);
        return;
      }
      if (world.clock.now() >= deadline) {
        throw new MigrateError('GROUP_NOT_JOINED', {
          what: `Service ${route.service} of the target did not appear in ${groups.map((it) => it.id).join(', ')} within ${spell(TAKES_EFFECT_MS)}.`,
          why: 'No ready pod or node, the group is of another load balancer, or its controller does not run.',
          fix: "Look at the Service's events on the target (`kubectl describe service`), then run again.",
        });
      }
      progress('waiting for the controller to register the backends');
      await world.clock.sleep(pause);
    }
  },

  async undo(route, before, { world }) {
    const ref = { kind: 'Service', ...splitPath(route.service) };
    try {
      const object = await world.target.get(ref);
      // Brought so by the restore, which takes it away again: at weight 0 it disturbs nobody meanwhile.
      if (!object || before.joined) return [];
      if (before.type !== 'LoadBalancer') {
        // With the annotations in place the controller takes its members out of the group; without them it would leave them behind.
        if (object['spec']?.type === 'LoadBalancer') await world.target.patch(ref, { spec: typed(route, before.type) });
        await untilGone(route, world);
      }
      const annotations = Object.fromEntries(KEYS.map((key) => [key, before.annotations[key] ?? null]));
      await world.target.patch(ref, { metadata: { annotations } });
      return [];
    } catch (error) {
      if (!(error instanceof MigrateError) || error.code !== 'KUBE_UNREACHABLE') throw error;
      return [
        {
          side: 'target',
          what: `The target's API server does not answer: Service ${route.service} stays in the group, at weight 0.`,
        },
      ];
    }
  },
};

/** @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/helper/service_utils.go (NLBClass, NeedNLB) */
const NLB_CLASS = 'alibabacloud.com/nlb';

/** By which the controller holds a Service until its members are out: one for each of its loops. */
const FINALIZERS = ['service.k8s.alibaba/resources', 'service.k8s.alibaba/nlb'];

/** The class says which loop of the controller a Service is for; it can be set and taken away with the type alone. */
const typed = ({ router }: ClbRoute, type: string) => ({
  type,
  ...(router === 'nlb' && { loadBalancerClass: type === 'LoadBalancer' ? NLB_CLASS : null }),
});

/** @throws MigrateError SERVICE_CLASS */
function mustBeOfClass(object: KubeObject, { service, router }: ClbRoute): void {
  const { type, loadBalancerClass } = (object['spec'] ?? {}) as { type?: string; loadBalancerClass?: string };
  const wanted = router === 'nlb' ? NLB_CLASS : undefined;
  if (type !== 'LoadBalancer' || loadBalancerClass === wanted) return;
  throw new MigrateError('SERVICE_CLASS', {
    what: `Service ${service} on the target is of load balancer class ${loadBalancerClass ?? '(none)'}, not ${wanted ?? '(none)'}.`,
    why: 'The class says which loop of the controller fills the group, and a LoadBalancer Service keeps the class that it was made with.',
    fix: 'Make it a ClusterIP Service first, if nobody uses its address, or delete it.',
  });
}

function joinAnnotations(route: ClbRoute): Record<string, string> {
  return {
    [lbKey('id')]: route.loadBalancer,
    [lbKey('vgroup-port')]: route.ports.map((it) => `${it.group}:${it.port}`).join(','),
    [lbKey('weight')]: '0',
  };
}

async function untilGone(route: ClbRoute, world: World): Promise<void> {
  const deadline = world.clock.now() + TAKES_EFFECT_MS;
  for (let pause = 250; ; pause = Math.min(pause * 2, 4000)) {
    const groups = await readGroups(route, world);
    const object = await world.target.get({ kind: 'Service', ...splitPath(route.service) });
    if (
      groups.every((it) => it.target.length === 0) &&
      !object?.metadata.finalizers?.some((it) => FINALIZERS.includes(it))
    )
      return;
    if (world.clock.now() >= deadline) {
      throw new MigrateError('GROUP_NOT_LEFT', {
        what: `Backends of ${route.service} on the target are still in ${groups.map((it) => it.id).join(', ')}.`,
        why: 'Its controller has not acted; they are at weight 0 and take no traffic.',
        fix: "Look at the Service's events on the target, then go back again.",
      });
    }
    await world.clock.sleep(pause);
  }
}

interface LeaveBefore {
  type: string;
  /**
   * what a server drops when a Service becomes a ClusterIP one
   *
   * @source kubernetes/kubernetes:pkg/registry/core/service/strategy.go (dropTypeDependentFields)
   */
  externalTrafficPolicy?: string;
  healthCheckNodePort?: number;
  ports?: unknown[];
}

/**
 * The source leaves the group. Its Service stays, as ClusterIP, for callers inside that cluster: no Service with a live address is ever
 * deleted, and with its annotations in place the controller takes its members out.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/service_controller.go (cleanup on a change of type)
 */
export const leave: Part<ClbRoute, LeaveBefore> = {
  title: (route) =>
    isHeard('source', route)
      ? `${route.service} of the source leaves ${route.ports.map((it) => it.group).join(', ')}`
      : `the source's servers stay in ${route.ports.map((it) => it.group).join(', ')} at weight 0; their owner takes them out`,
  wayBack: () => 'none by itself: asks again, then joins at weight 0',

  async check(route, { world }) {
    for (const group of (await readGroups(route, world)).map(splitOf)) {
      if (measured(group) === 100 && group.source.weight === 0) continue;
      throw new MigrateError('SOURCE_STILL_SERVES', {
        what: `Group ${group.where} sends ${points(100 - measured(group))} % to the source.`,
        why: 'Only a source that serves nothing can be retired.',
        fix: 'Move everything first: `migrate shift --to 100`.',
      });
    }
    if (!isHeard('source', route)) return { type: '' };
    const { type, externalTrafficPolicy, healthCheckNodePort, ports } = (await serviceOn(world.source, route))['spec'];
    return { type: String(type), externalTrafficPolicy, healthCheckNodePort, ports };
  },

  async apply(route, _before, { world }) {
    if (!isHeard('source', route)) return;
    const object = await serviceOn(world.source, route);
    if (object['spec']?.type === 'LoadBalancer')
      await world.source.patch({ kind: 'Service', ...splitPath(route.service) }, { spec: typed(route, 'ClusterIP') });
  },

  async verify(route, _before, context) {
    const { world } = context;
    await until(
      context,
      {
        code: 'GROUP_NOT_LEFT',
        deadlineMs: 120_000,
        subject: `${route.service} of the source`,
        why: "The source's controller has not acted.",
        fix: "Look at the Service's events on the source, then run again.",
      },
      async () => {
        const left = (await readGroups(route, world)).find((it) => it.source.length > 0);
        return left && `${left.source.length} backends are still in ${left.id}`;
      },
    );
  },

  async undo(route, { type, ...went }, context) {
    const { world } = context;
    if (!isHeard('source', route)) return [];
    const object = await serviceOn(world.source, route);
    if (object['spec']?.type !== type)
      await world.source.patch(
        { kind: 'Service', ...splitPath(route.service) },
        {
          spec: { ...typed(route, type), ...went },
        },
      );
    await until(
      context,
      {
        code: 'GROUP_NOT_JOINED',
        deadlineMs: 120_000,
        subject: `${route.service} of the source`,
        why: "The source's controller has not acted.",
        fix: "Look at the Service's events on the source, then go back again.",
      },
      async () => {
        const out = (await readGroups(route, world)).find((it) => it.source.length === 0);
        return out && `it is not in ${out.id} yet`;
      },
    );
    return [];
  },
};
