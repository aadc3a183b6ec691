import type { AttachArgs, SharedService } from '../args.js';
import { MigrateError } from '../errors.js';
import { lbAnnotation, lbKey, splitPath } from '../objects.js';
import type { World } from '../ports.js';
import { readGroups, serviceOn, TAKES_EFFECT_MS, textOf, untilTaken } from '../routers/clb.js';
import type { StepKind } from '../step.js';
import { weightOf } from '../traffic.js';
import { spell } from '../words.js';
import { SERVICE_RIGHTS } from './shift.js';

export interface AttachBefore {
  type: string;
  /** the annotations that we write, as they were */
  annotations: Record<string, string>;
  /** it was in the group before, at weight 0: brought so by the restore */
  joined: boolean;
}

const KEYS = [lbKey('id'), lbKey('vgroup-port'), lbKey('weight'), lbKey('force-override-listeners')];

export const attach: StepKind<AttachArgs, AttachBefore> = {
  kind: 'attach',
  title: ({ service }) => `${service.service} joins ${service.ports.map((it) => it.group).join(', ')} at weight 0`,
  wayBack: ({ service }) => `leaves ${service.ports.map((it) => it.group).join(', ')}`,
  rights: () => ({ source: SERVICE_RIGHTS, target: SERVICE_RIGHTS }),

  async check({ service }, { world }) {
    const [object, source] = await Promise.all([serviceOn(world.target, service), serviceOn(world.source, service)]);
    const wanted = joinAnnotations(service);
    const annotations = object.metadata.annotations ?? {};
    const type = String(object['spec']?.type ?? 'ClusterIP');
    const [address] = (object['status']?.loadBalancer?.ingress ?? []) as { ip?: string }[];
    if (type === 'LoadBalancer' && address?.ip !== undefined && lbAnnotation(object, 'id') !== service.loadBalancer) {
      throw new MigrateError('SERVICE_HAS_ADDRESS', {
        what: `Service ${service.service} on the target has an address of its own: ${address.ip}.`,
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
        what: `Service ${service.service} on the target is in the group already, with weight ${textOf(weightOf(object)) ?? 'unset'}.`,
        why: 'It takes traffic now; joining at 0 would take that away unasked.',
        fix: 'Set its weight to "0" yourself first, or shift from where it is: `migrate shift`.',
      });
    }
    const taken = splitPath(service.service);
    if (source.metadata.namespace !== taken.namespace)
      throw new Error('the source Service was read from another namespace');
    return {
      type,
      annotations: Object.fromEntries(
        KEYS.flatMap((key) => (annotations[key] === undefined ? [] : [[key, annotations[key]]])),
      ),
      joined: type === 'LoadBalancer' && KEYS.every((key) => annotations[key] === wanted[key]),
    };
  },

  async apply({ service }, { joined }, { world }) {
    if (joined) return;
    const object = await serviceOn(world.target, service);
    const wanted = joinAnnotations(service);
    const differs =
      object['spec']?.type !== 'LoadBalancer' || KEYS.some((key) => object.metadata.annotations?.[key] !== wanted[key]);
    if (!differs) return;
    const annotations = Object.fromEntries(KEYS.map((key) => [key, wanted[key] ?? null]));
    await world.target.patch(
      { kind: 'Service', ...splitPath(service.service) },
      { metadata: { annotations }, spec: { type: 'LoadBalancer' } },
    );
  },

  async verify({ service }, _before, { world, progress }) {
    const deadline = world.clock.now() + TAKES_EFFECT_MS;
    for (let pause = 250; ; pause = Math.min(pause * 2, 4000)) {
      const groups = await readGroups(service, world);
      if (groups.every((it) => it.target.members.length > 0)) {
        await untilTaken('target', world.target, service, world);
        return;
      }
      if (world.clock.now() >= deadline) {
        throw new MigrateError('GROUP_NOT_JOINED', {
          what: `Service ${service.service} of the target did not appear in ${groups.map((it) => it.group).join(', ')} within ${spell(TAKES_EFFECT_MS)}.`,
          why: 'No ready pod or node, the group is of another load balancer, or its controller does not run.',
          fix: "Look at the Service's events on the target (`kubectl describe service`), then run again.",
        });
      }
      progress('waiting for the controller to register the backends');
      await world.clock.sleep(pause);
    }
  },

  async undo({ service }, before, { world }) {
    const ref = { kind: 'Service', ...splitPath(service.service) };
    try {
      const object = await world.target.get(ref);
      // Brought so by the restore, which takes it away again: at weight 0 it disturbs nobody meanwhile.
      if (!object || before.joined) return [];
      if (before.type !== 'LoadBalancer') {
        // With the annotations in place the controller takes its members out of the group; without them it would leave them behind.
        if (object['spec']?.type === 'LoadBalancer') await world.target.patch(ref, { spec: { type: before.type } });
        await untilGone(service, world);
      }
      const annotations = Object.fromEntries(KEYS.map((key) => [key, before.annotations[key] ?? null]));
      await world.target.patch(ref, { metadata: { annotations } });
      return [];
    } catch (error) {
      if (!(error instanceof MigrateError) || error.code !== 'KUBE_UNREACHABLE') throw error;
      return [
        {
          side: 'target',
          what: `The target's API server does not answer: Service ${service.service} stays in the group, at weight 0.`,
        },
      ];
    }
  },
};

function joinAnnotations(service: SharedService): Record<string, string> {
  return {
    [lbKey('id')]: service.loadBalancer,
    [lbKey('vgroup-port')]: service.ports.map((it) => `${it.group}:${it.port}`).join(','),
    [lbKey('weight')]: '0',
  };
}

async function untilGone(service: SharedService, world: World): Promise<void> {
  const deadline = world.clock.now() + TAKES_EFFECT_MS;
  for (let pause = 250; ; pause = Math.min(pause * 2, 4000)) {
    const groups = await readGroups(service, world);
    const object = await world.target.get({ kind: 'Service', ...splitPath(service.service) });
    if (
      groups.every((it) => it.target.members.length === 0) &&
      !object?.metadata.finalizers?.includes('service.k8s.alibaba/resources')
    )
      return;
    if (world.clock.now() >= deadline) {
      throw new MigrateError('GROUP_NOT_LEFT', {
        what: `Backends of ${service.service} on the target are still in ${groups.map((it) => it.group).join(', ')}.`,
        why: 'Its controller has not acted; they are at weight 0 and take no traffic.',
        fix: "Look at the Service's events on the target, then go back again.",
      });
    }
    await world.clock.sleep(pause);
  }
}
