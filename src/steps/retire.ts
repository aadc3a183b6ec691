import type { RetireArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import { splitPath } from '../objects.js';
import { measured, readGroups, serviceOn } from '../routers/clb.js';
import type { StepKind } from '../step.js';
import { points } from '../words.js';
import { SERVICE_RIGHTS } from './shift.js';
import { until } from './wait.js';

/**
 * The source leaves the group. Its Service stays, as ClusterIP, for callers inside that cluster: no Service with a live address is ever
 * deleted, and with its annotations in place the controller takes its members out.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/service_controller.go (cleanup on a change of type)
 */
export const retire: StepKind<RetireArgs, { type: string }> = {
  kind: 'retire',
  title: ({ service }) => `${service.service} of the source leaves ${service.ports.map((it) => it.group).join(', ')}`,
  wayBack: () => 'none by itself: asks again, then joins at weight 0',
  rights: () => ({ source: SERVICE_RIGHTS }),

  async check({ service }, { world }) {
    for (const group of await readGroups(service, world)) {
      if (measured(group) === 100 && group.source.weight === 0) continue;
      throw new MigrateError('SOURCE_STILL_SERVES', {
        what: `Group ${group.group} sends ${points(100 - measured(group))} % to the source.`,
        why: 'Only a source that serves nothing can be retired.',
        fix: 'Move everything first: `migrate shift --to 100`.',
      });
    }
    return { type: String((await serviceOn(world.source, service))['spec']?.type) };
  },

  async apply({ service }, _before, { world }) {
    const object = await serviceOn(world.source, service);
    if (object['spec']?.type === 'LoadBalancer')
      await world.source.patch({ kind: 'Service', ...splitPath(service.service) }, { spec: { type: 'ClusterIP' } });
  },

  async verify({ service }, _before, context) {
    const { world } = context;
    await until(
      context,
      {
        code: 'GROUP_NOT_LEFT',
        deadlineMs: 120_000,
        subject: `${service.service} of the source`,
        why: "The source's controller has not acted.",
        fix: "Look at the Service's events on the source, then run again.",
      },
      async () => {
        const left = (await readGroups(service, world)).find((it) => it.source.members.length > 0);
        return left && `${left.source.members.length} backends are still in ${left.group}`;
      },
    );
  },

  async undo({ service }, { type }, context) {
    const { world } = context;
    const object = await serviceOn(world.source, service);
    if (object['spec']?.type !== type)
      await world.source.patch({ kind: 'Service', ...splitPath(service.service) }, { spec: { type } });
    await until(
      context,
      {
        code: 'GROUP_NOT_JOINED',
        deadlineMs: 120_000,
        subject: `${service.service} of the source`,
        why: "The source's controller has not acted.",
        fix: "Look at the Service's events on the source, then go back again.",
      },
      async () => {
        const out = (await readGroups(service, world)).find((it) => it.source.members.length === 0);
        return out && `it is not in ${out.group} yet`;
      },
    );
    return [];
  },
};
