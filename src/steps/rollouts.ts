import type { RolloutsArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import { rightOn, splitPath } from '../objects.js';
import type { KubeObject, ObjectRef, World } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { until } from '../wait.js';
import { count } from '../words.js';

/**
 * While a load balancer changes hands its controller follows the pods a moment late. So nothing is rolled out in that moment: the
 * Deployments behind the Service are paused, as `kubectl rollout pause` does it. Pods that fail are still replaced, and scaling goes on; a
 * new template waits. Those that somebody else has paused stay as they are.
 */

/** On a Deployment that we have paused; its value is ours alone. */
export const HELD = 'migrate/held';

export interface RolloutsBefore {
  /** as `namespace/name`: held by us, or to be held by us */
  ours: string[];
}

const DEADLINE_MS = 60_000;

export const rollouts: StepKind<RolloutsArgs, RolloutsBefore> = {
  kind: 'rollouts',
  title: ({ route, to }) =>
    to === 'held'
      ? `${namesOf(route)} on the source: rollouts wait`
      : `${namesOf(route)} on the source: rollouts go on`,
  wayBack: ({ to }) => (to === 'held' ? 'they go on' : 'they wait again, until the load balancer is back'),
  rights: () => ({ source: ['get', 'patch'].map((verb) => rightOn(verb, 'Deployment.apps')) }),

  async check({ route, to }, { world }) {
    const ours: string[] = [];
    for (const path of deploymentsOf(route)) {
      const object = await world.source.get(ref(path));
      if (!object) continue;
      if (to === 'released') {
        if (heldBy(object) !== undefined) ours.push(path);
        continue;
      }
      if (object['spec']?.paused === true) continue;
      await mustBeQuiet(path, world);
      ours.push(path);
    }
    return { ours };
  },

  apply: ({ to }, { ours }, context) => (to === 'held' ? hold(ours, context) : release(ours, context)),

  async verify({ to }, { ours }, context) {
    await until(
      context,
      {
        code: 'ROLLOUTS_NOT_HELD',
        deadlineMs: DEADLINE_MS,
        subject: 'Deployments behind the load balancer',
        why: 'Their controller has not seen it, or something else (a GitOps tool) writes `spec.paused`.',
        fix: 'Stop the other writer, then run again.',
      },
      async () => {
        for (const path of ours) {
          const object = await context.world.source.get(ref(path));
          if (!object) continue;
          if ((object['spec']?.paused === true) !== (to === 'held'))
            return `${path} is ${to === 'held' ? 'not paused' : 'still paused'}`;
          if (Number(object['status']?.observedGeneration ?? 0) < (object.metadata.generation ?? 0))
            return `${path} is not seen by its controller yet`;
        }
        return undefined;
      },
    );
  },

  async undo({ to }, { ours }, context) {
    await (to === 'held' ? release(ours, context) : hold(ours, context));
    return [];
  },
};

const deploymentsOf = (route: RolloutsArgs['route']): string[] => route.handOver?.deployments ?? [];

function namesOf(route: RolloutsArgs['route']): string {
  const all = deploymentsOf(route);
  return all.length > 3 ? count(all.length, 'Deployment') : all.join(', ');
}

const ref = (path: string): ObjectRef => ({ kind: 'Deployment.apps', ...splitPath(path) });

const heldBy = (object: KubeObject): string | undefined => object.metadata.annotations?.[HELD];

/** A change that its controller has not seen yet is given a moment; pods that are scaled or replaced are no rollout. */
const MOMENT_MS = 10_000;

/** @throws MigrateError ROLLOUT_UNDER_WAY */
async function mustBeQuiet(path: string, { source, clock }: World): Promise<void> {
  const deadline = clock.now() + MOMENT_MS;
  for (;;) {
    const object = await source.get(ref(path));
    const { observedGeneration = 0, updatedReplicas = 0, replicas = 0 } = object?.['status'] ?? {};
    const seen = observedGeneration >= (object?.metadata.generation ?? 0);
    if (!object || (seen && updatedReplicas === replicas)) return;
    if (seen || clock.now() >= deadline)
      throw new MigrateError('ROLLOUT_UNDER_WAY', {
        what: `${path} on the source has ${updatedReplicas} pods of its newest template among ${replicas}.`,
        why: 'Pods that come and go while the load balancer changes hands are followed a moment late.',
        fix: 'Wait until its rollout is through (kubectl rollout status), or stop it, then run again.',
      });
    await clock.sleep(500);
  }
}

async function hold(paths: readonly string[], { world, step }: StepContext): Promise<void> {
  for (const path of paths) {
    const object = await world.source.get(ref(path));
    if (!object || object['spec']?.paused === true) continue;
    await world.source.patch(ref(path), {
      metadata: { annotations: { [HELD]: step.id.split('/')[0] } },
      spec: { paused: true },
    });
  }
}

/** Only what carries our mark: what somebody else has paused meanwhile is theirs. */
async function release(paths: readonly string[], { world }: StepContext): Promise<void> {
  for (const path of paths) {
    const object = await world.source.get(ref(path));
    if (!object || heldBy(object) === undefined) continue;
    await world.source.patch(ref(path), { metadata: { annotations: { [HELD]: null } }, spec: { paused: null } });
  }
}
