import type { ManifestArgs } from '../args.js';
import { MigrateError } from '../errors.js';
import { about, isConditionTrue, pathOf, rightOn } from '../objects.js';
import { lackingIn } from '../preview.js';
import { reasonOf } from '../causes.js';
import type { KubeObject, ObjectRef, World } from '../ports.js';
import { digestOfFiles, parsedManifests, type Rendered, renderedFor } from '../rendered.js';
import type { StepContext, StepKind } from '../step.js';
import { until } from '../wait.js';
import { andWrite, mustRest, RIGHTS_OF_REST } from './at-rest.js';
import { owing } from './owing.js';

/**
 * Applications from their source in Git instead of from the old cluster: rendered manifests, applied by server-side apply, inert, each with
 * our label; what goes back is what carries it. Workloads start in a step of their own.
 */
const MARK = 'migrate/plan';

export interface ManifestsBefore {
  /** of the files: a resume applies what was looked at, or nothing */
  digest: string;
  /** namespaces that the target had */
  namespaces: string[];
  /** what the files name: the way back does not depend on files that may be gone */
  objects: ObjectRef[];
}

export const manifests: StepKind<ManifestArgs, ManifestsBefore> = {
  kind: 'manifests',
  title: ({ from, what }) =>
    what === 'start' ? `Workloads of ${from} start on the target` : `Manifests of ${from} applied, inert`,
  wayBack: ({ what }) => (what === 'start' ? 'scales them to 0' : 'deletes what it made'),
  rights: ({ namespaces, moved }) => ({
    ...(moved && { source: RIGHTS_OF_REST }),
    target: [
      ...['get', 'create', 'patch', 'delete'].map((verb) => ({ verb, group: '', resource: 'namespaces' })),
      ...namespaces.flatMap((namespace) =>
        ['get', 'create', 'patch', 'delete'].map((verb) => ({ ...rightOn(verb, 'Deployment.apps'), namespace })),
      ),
    ],
  }),

  async check(args, context) {
    const { target } = context.world;
    const namespaces: string[] = [];
    for (const name of args.namespaces) if (await target.get({ kind: 'Namespace', name })) namespaces.push(name);
    const digest = digestOfFiles(context.world.manifests(args.from));
    const all = await rendered(args, context.world);
    const before = {
      digest,
      namespaces,
      objects: (args.what === 'start' ? await workloads(args, context.world) : all).map(({ it }) => it.ref),
    };
    if (args.what === 'start') return before;
    const refused: string[] = [];
    for (const { it, object } of all) {
      const there = await orAbsent(target.get(it.ref));
      // Ours of another step can not be: names of plans differ. A namespace may well be there.
      if (there && object.kind !== 'Namespace') refused.push(`${nameOf(it)}: existing-object`);
      const reply = there ? undefined : await orAbsent(target.dryRun(standingIn(object, namespaces), 'strict'));
      if (reply && reply.status >= 400 && reply.status !== 409)
        refused.push(`${nameOf(it)}: ${reasonOf(reply.status, reply.message)}, ${reply.message.slice(0, 200)}`);
    }
    if (refused.length === 0) return before;
    throw new MigrateError('PREVIEW_REFUSES', {
      what: `The target would refuse ${refused.length} of the manifests: ${refused.slice(0, 5).join('; ')}${refused.length > 5 ? '; …' : ''}.`,
      why: 'Each was put to it as it would arrive, by a create that keeps nothing.',
      fix: 'Mend the files or the target, then run again.',
    });
  },

  async apply(args, before, context) {
    const { target } = context.world;
    mustBeSame(args, before, context.world);
    if (args.moved) await mustRest(args.moved, context.world.source);
    if (args.what === 'start') {
      for (const { it, replicas } of await workloads(args, context.world))
        await target.patch(it.ref, { spec: { replicas } });
      return;
    }
    for (const name of args.namespaces.filter((it) => !before.namespaces.includes(it)))
      await target.apply(marked({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, context));
    const all = await rendered(args, context.world);
    for (const { it, object } of all) {
      if (object.kind === 'Namespace' && before.namespaces.includes(object.metadata.name)) continue;
      const there = await orAbsent(target.get(it.ref));
      if (there && object.kind !== 'Namespace' && there.metadata.labels?.[MARK] !== context.mark) {
        throw new MigrateError('OBJECT_EXISTS', {
          what: `The target has a ${nameOf(it)} that this plan did not make.`,
          why: 'It has come since the check; writing over it would lose what it says.',
          fix: 'Delete it, or take it out of the manifests; then run again.',
        });
      }
      await target.apply(marked(object, context));
      if (object.kind === 'CustomResourceDefinition') await untilEstablished(it.ref, context, args.deadlineMs);
    }
  },

  async verify(args, _before, context) {
    const { target } = context.world;
    if (args.what === 'start') return untilReady(args, context);
    const wrong: string[] = [];
    for (const { it, object } of await rendered(args, context.world)) {
      const live = await target.get(it.ref);
      if (!live) wrong.push(`${nameOf(it)} is absent`);
      else if (object.kind !== 'Namespace')
        wrong.push(...lackingIn(object, live).map((path) => `${nameOf(it)} differs in ${path}`));
    }
    if (wrong.length === 0) return;
    throw new MigrateError('RESTORE_INCOMPLETE', {
      what: `${wrong.length} of the manifests are not on the target as they were applied: ${wrong.slice(0, 5).join('; ')}.`,
      why: 'Something on the target changes or deletes them: a webhook, an operator, a GitOps controller.',
      fix: 'Find out what does, then run again.',
    });
  },

  undo: (args, before, context) =>
    owing(`applied manifests are left there${andWrite(args.moved)}.`, async () => {
      const { target } = context.world;
      if (args.what === 'start') {
        for (const ref of before.objects) {
          const live = await orAbsent(target.get(ref));
          if (live?.metadata.labels?.[MARK] === context.mark) await target.patch(ref, { spec: { replicas: 0 } });
        }
        return;
      }
      await remove(args, before, context);
    }),
};

const nameOf = (it: Rendered['it']) => about(it.ref.kind, it.ref);

async function rendered({ from, namespaces, rules }: ManifestArgs, world: World): Promise<Rendered[]> {
  const { kinds } = await world.target.served();
  return renderedFor(parsedManifests(world.manifests(from), from), namespaces, rules, kinds);
}

/** With the number that the file says, one where it says none. */
async function workloads(args: ManifestArgs, world: World): Promise<{ it: Rendered['it']; replicas: number }[]> {
  return (await rendered(args, world)).flatMap(({ it, original }) => {
    const replicas = Number(original['spec']?.replicas ?? 1);
    const isOne = it.ref.kind === 'Deployment.apps' || it.ref.kind === 'StatefulSet.apps';
    const isLater = args.later?.includes(`${it.ref.kind} ${pathOf(it.ref)}`) ?? false;
    return isOne && !isLater && replicas > 0 ? [{ it, replicas }] : [];
  });
}

const orAbsent = <T>(asked: Promise<T | undefined>): Promise<T | undefined> =>
  asked.catch((error: unknown) => {
    if (error instanceof MigrateError && error.code === 'KUBE_NOT_SERVED') return undefined;
    throw error;
  });

/** A dry run needs a namespace that is there; each cluster has this one. */
const standingIn = (object: KubeObject, there: readonly string[]): KubeObject => {
  const { namespace } = object.metadata;
  return namespace === undefined || there.includes(namespace)
    ? object
    : { ...object, metadata: { ...object.metadata, namespace: 'default' } };
};

const marked = (object: KubeObject, { mark }: StepContext): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, labels: { ...object.metadata.labels, [MARK]: mark } },
});

function mustBeSame({ from }: ManifestArgs, { digest }: ManifestsBefore, world: World): void {
  if (digestOfFiles(world.manifests(from)) === digest) return;
  throw new MigrateError('MANIFESTS_INVALID', {
    what: `The manifests of ${from} have changed since this step began.`,
    why: 'Half of the old ones and half of the new ones would be applied.',
    fix: 'Bring back the files as they were and run again; or roll back this step, and make a new plan.',
  });
}

const untilEstablished = (ref: Rendered['it']['ref'], context: StepContext, deadlineMs: number) =>
  until(
    context,
    {
      code: 'DEFINITION_NOT_ESTABLISHED',
      deadlineMs,
      subject: `Definition ${ref.name} on the target`,
      why: 'A name is taken by another definition, or its conversion webhook does not answer.',
      fix: 'Look at its conditions (kubectl describe crd), then run again.',
    },
    async () =>
      isConditionTrue(await context.world.target.get(ref), 'Established') ? undefined : 'it is not established',
  );

const untilReady = (args: ManifestArgs, context: StepContext) =>
  until(
    context,
    {
      code: 'WORKLOAD_NOT_SETTLED',
      deadlineMs: args.deadlineMs,
      subject: 'Workloads on the target',
      why: 'Images, volumes, rights or room are missing there.',
      fix: 'See why their pods are not ready (kubectl describe pod), then run again.',
    },
    async () => {
      for (const { it, replicas } of await workloads(args, context.world)) {
        const live = await context.world.target.get(it.ref);
        const ready = Number(live?.['status']?.readyReplicas ?? 0);
        if (ready < replicas) return `${pathOf(it.ref)} has ${ready} of ${replicas} ready`;
      }
      return undefined;
    },
  );

async function remove(args: ManifestArgs, before: ManifestsBefore, context: StepContext): Promise<void> {
  const { target } = context.world;
  const ours = async (): Promise<{ ref: ObjectRef; live: KubeObject }[]> => {
    const found: { ref: ObjectRef; live: KubeObject }[] = [];
    for (const ref of before.objects) {
      const live = await orAbsent(target.get(ref));
      if (live?.metadata.labels?.[MARK] === context.mark) found.push({ ref, live });
    }
    return found;
  };
  for (const { ref, live } of (await ours()).toReversed())
    await target.delete(ref, {
      ...(live.metadata.uid !== undefined && { uid: live.metadata.uid }),
      propagation: 'Background',
    });
  const made = args.namespaces.filter((it) => !before.namespaces.includes(it));
  for (const name of made) {
    const found = await target.get({ kind: 'Namespace', name });
    if (found?.metadata.labels?.[MARK] === context.mark) await target.delete({ kind: 'Namespace', name });
  }
  await until(
    context,
    {
      code: 'RESTORE_NOT_REMOVED',
      deadlineMs: args.deadlineMs,
      subject: 'Applied manifests',
      why: 'A finalizer waits for its controller.',
      fix: 'See which, then go back again.',
    },
    async () => {
      const [left] = await ours();
      if (left) return `${about(left.ref.kind, left.ref)} is still there`;
      for (const name of made)
        if (await target.get({ kind: 'Namespace', name })) return `namespace ${name} is still there`;
      return undefined;
    },
  );
}
