import type { HandOverArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import {
  isMadeByController,
  MADE_BY_CONTROLLER,
  nameOfGroup,
  obstacles,
  OTHER_WAYS,
  TAG_REUSED,
} from '../hand-over.js';
import { lbAnnotation } from '../objects.js';
import type { KubeObject, LoadBalancer, Right } from '../ports.js';
import { SERVICE_RIGHTS } from '../routers/services.js';
import type { StepKind } from '../step.js';
import { until } from '../wait.js';
import { giveBack } from './hand-over-back.js';
import { hashOf, KEYS, look, missing, type HandOverBefore } from './hand-over-look.js';
import { takeOver } from './hand-over-take.js';

/**
 * The source's controller gives up the load balancer that it made; address and listeners stay. In one burst its group gets a name that
 * signs for nobody (or, where that is refused, a copy is made first), the controller's marks come off the load balancer, and the Service
 * names both as a person's. From then on the controller owns nothing there but its own members, and a second cluster can join.
 *
 * What the controller does with it in each order, and what mends it, was seen with the real one; whatever happens in between, an edit of
 * the Service or a restart among it, is noticed and repaired, for each turn looks anew at where things stand.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1 (v2.14.0), and runs of it
 */
export const handOver: StepKind<HandOverArgs, HandOverBefore> = {
  kind: 'hand-over',
  title: ({ route }) => `${route.loadBalancer} of ${route.service}: its controller gives it up, the address stays`,
  wayBack: ({ route }) => `the source's controller owns ${route.loadBalancer} again`,
  rights: () => ({ source: [...SERVICE_RIGHTS, NODES] }),

  async check({ route }, { world }) {
    const { service, balancer } = await look(route, world);
    const against = obstacles(route.service, service, balancer);
    if (!isMadeByController(balancer) && lbAnnotation(service, 'id') !== route.loadBalancer)
      against.push('it has no mark of a controller, and the Service does not name it');
    for (const port of route.ports) {
      const name = nameOfGroup(route.service, port.port);
      const taken = balancer.groups.find((it) => it.name === name);
      const used = balancer.listeners.find((it) => it.port === port.port)?.group;
      if (taken && taken.id !== used && taken.backends.length > 0)
        against.push(`it has a group "${name}" already (${taken.id})`);
    }
    if (against.length > 0) {
      throw new MigrateError('HANDOVER_UNSAFE', {
        what: `Load balancer ${route.loadBalancer} of ${route.service} can't be handed over: ${against.join('; ')}.`,
        why: 'Taking its marks off would leave somebody without an owner, or the controller would not let go.',
        fix: OTHER_WAYS,
      });
    }
    return foundOn(route.ports, service, balancer);
  },

  apply: ({ route }, before, context) => takeOver(route, before, context),

  /** Pods come and go meanwhile, and the controller follows them a moment late. */
  verify: ({ route }, before, context) =>
    until(
      context,
      {
        code: 'HANDOVER_NOT_TAKEN',
        deadlineMs: 60_000,
        subject: `Load balancer ${route.loadBalancer} of ${route.service}`,
        why: 'Something else writes the Service, the tags or the listener too.',
        fix: 'Find it (GitOps, console, a second controller), stop it, then run again.',
      },
      async () => missing(route, before, await look(route, context.world))[0],
    ),

  undo: ({ route }, before, context) => giveBack(route, before, context),
};

const NODES: Right = { verb: 'list', group: '', resource: 'nodes' };

function foundOn(ports: HandOverArgs['route']['ports'], service: KubeObject, balancer: LoadBalancer): HandOverBefore {
  const annotations = service.metadata.annotations ?? {};
  const hash = hashOf(service);
  return {
    tags: Object.fromEntries(
      MADE_BY_CONTROLLER.flatMap((it) => (it in balancer.tags ? [[it, balancer.tags[it] ?? '']] : [])),
    ),
    reused: TAG_REUSED in balancer.tags,
    annotations: Object.fromEntries(
      KEYS.flatMap((key) => (annotations[key] === undefined ? [] : [[key, annotations[key]]])),
    ),
    ...(hash !== undefined && { hash }),
    listeners: ports.map(({ port }) => {
      const listener = balancer.listeners.find((it) => it.port === port);
      const group = balancer.groups.find((it) => it.id === listener?.group);
      return {
        port,
        protocol: listener?.protocol ?? 'tcp',
        scheduler: listener?.scheduler ?? 'rr',
        group: group?.id ?? '',
        name: group?.name ?? '',
      };
    }),
  };
}
