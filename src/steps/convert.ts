import { kindAfter, conversionTo } from '../convert.js';
import { allObjects, type One, refIn } from '../passing.js';
import { passed } from '../arriving.js';
import type { ConvertArgs } from '../args.js';
import { reasonOf } from '../causes.js';
import { MigrateError } from '../errors.js';
import { about, isConditionTrue, pathOf, readyEndpoints, rightOn, splitKind } from '../objects.js';
import type { Cluster, Kind, KubeObject } from '../ports.js';
import type { Debt, StepContext, StepKind } from '../step.js';
import { count } from '../words.js';
import { until } from '../wait.js';
import { owing } from './owing.js';

/**
 * Objects that no restore brings: read from the source, rewritten where the two share no version, changed by the same rules as the rest,
 * and applied to the target. Definitions are established and listed once before anything of their kind comes; webhooks come when what
 * answers them is up.
 */
const MARK = 'migrate/plan';

const WORDS: Record<ConvertArgs['what'], { title: string; back: string }> = {
  definitions: { title: 'established', back: 'deletes those definitions that nothing uses any more' },
  cluster: { title: 'brought, which the namespaces need', back: 'deletes them' },
  converted: { title: 'converted', back: 'deletes the converted copies' },
  handmade: { title: 'without a selector behind them brought', back: 'deletes the copies' },
  webhooks: { title: 'brought, now that what answers them runs', back: 'deletes them' },
};

const nameOf = ({ ref }: One) => about(ref.kind, ref);

export const convert: StepKind<ConvertArgs, Record<string, never>> = {
  kind: 'convert',
  title: ({ what, passing }) =>
    `${count(passing.flatMap((it) => it.objects).length, 'object')} ${WORDS[what].title}: ${passing
      .map(({ kind, to }) => (what === 'converted' ? `${splitKind(kind).kind} to ${to}` : splitKind(kind).kind))
      .join(', ')}`,
  wayBack: ({ what }) => WORDS[what].back,
  rights: ({ passing }) => ({
    source: passing.map((it) => rightOn('get', it.kind)),
    target: passing.flatMap((it) =>
      ['get', 'patch', 'create', 'delete'].map((verb) => rightOn(verb, kindAfter(it.kind, it.to))),
    ),
  }),

  async check(args, context) {
    const { world } = context;
    for (const it of allObjects(args.passing)) {
      const found = await world.target.get(it.ref);
      if (!found || args.what === 'definitions' || args.what === 'cluster') continue;
      throw taken(it, context);
    }
    if (args.what === 'webhooks') await mustAnswer(args, context);
    return {};
  },

  async apply(args, _before, context) {
    const { world, mark } = context;
    for (const it of allObjects(args.passing)) {
      const there = await world.target.get(it.ref);
      // Somebody else's: what the target has by that name is its own.
      if (there && there.metadata.labels?.[MARK] !== mark) {
        if (args.what === 'definitions' || args.what === 'cluster') continue;
        throw taken(it, context);
      }
      const object = await arrivalOf(it, args, context);
      if (object) await world.target.apply(marked(object, mark));
    }
  },

  async verify(args, _before, context) {
    const { world } = context;
    for (const it of allObjects(args.passing)) {
      if (await world.target.get(it.ref)) continue;
      if (args.what === 'handmade' && !(await world.source.get(it.from))) continue;
      throw new MigrateError('RESTORE_INCOMPLETE', {
        what: `${nameOf(it)} is not on the target.`,
        why: 'It was applied and is gone again: something deletes it.',
        fix: 'Find out what does, then run again.',
      });
    }
    if (args.what === 'definitions') await untilEstablished(args, context);
  },

  async undo(args, _before, context) {
    const kept: Debt[] = [];
    const debts = await owing(`${WORDS[args.what].title} objects are left there.`, async () => {
      kept.push(...(await remove(args, context)));
    });
    return [...debts, ...kept];
  },
};

const taken = (it: One, { step }: StepContext) =>
  new MigrateError('OBJECT_EXISTS', {
    what: `The target has a ${nameOf(it)} already, not made by ${step.id}.`,
    why: 'Writing over it would lose what it says.',
    fix: 'Delete it, or leave its namespace out of the playbook.',
  });

/** @returns undefined for an object that may be absent, and is. @throws MigrateError OBJECT_GONE, PLAN_RULE_FAILS, CONVERSION_REFUSED */
async function arrivalOf(
  it: One,
  { what, rules }: ConvertArgs,
  { world }: StepContext,
): Promise<KubeObject | undefined> {
  const original = await world.source.get(it.from);
  if (!original) {
    // Whether a Service without a selector has endpoints at all was not asked before.
    if (what === 'handmade') return undefined;
    throw new MigrateError('OBJECT_GONE', {
      what: `The source has no ${about(it.kind, it.from)} any more.`,
      why: 'It was there when the plan was made.',
      fix: 'Make a new plan.',
    });
  }
  const conversion = original.apiVersion === it.to ? undefined : conversionTo(it.kind, it.to);
  const { object, failed } = passed(
    original,
    { to: it.to, resource: it.resource, ...(conversion && { conversion }) },
    { rules, values: 'whole' },
  );
  if (failed[0]) {
    throw new MigrateError('PLAN_RULE_FAILS', {
      what: `${failed[0].rule} does not apply to ${nameOf(it)}: ${failed[0].why}.`,
      why: 'The object has changed since the plan was made.',
      fix: 'Make a new plan.',
    });
  }
  await mustBeTaken(world.target, object, it);
  return object;
}

/** The server's word before its copy is made: a create that keeps nothing. */
export async function mustBeTaken(target: Cluster, object: KubeObject, it: One): Promise<void> {
  const { status, message } = await target.dryRun(object, 'strict');
  // Our own of an earlier try is there; or this identity may patch and not create.
  if (status < 400 || status === 409 || status === 403) return;
  throw new MigrateError('CONVERSION_REFUSED', {
    what: `The target does not take ${nameOf(it)} as ${it.to}: ${message.slice(0, 300)}.`,
    why: `It was put to the server as it would arrive, and refused (${reasonOf(status, message)}).`,
    fix: 'Mend the cause on the target or in the source, or name the object under `data.leaveOut`; then run again.',
  });
}

const marked = ({ status: _status, ...object }: KubeObject, mark: string): KubeObject => {
  const { 'kubectl.kubernetes.io/last-applied-configuration': _applied, ...annotations } =
    object.metadata.annotations ?? {};
  return {
    ...object,
    metadata: {
      ...object.metadata,
      labels: { ...object.metadata.labels, [MARK]: mark },
      annotations,
    },
  };
};

const MINUTE_MS = 60_000;

/** Established says that the server will serve it soon; a list that comes back says that it does. */
async function untilEstablished(args: ConvertArgs, context: StepContext): Promise<void> {
  const { target } = context.world;
  await until(
    context,
    {
      code: 'DEFINITION_NOT_ESTABLISHED',
      deadlineMs: 5 * MINUTE_MS,
      subject: 'Definitions on the target',
      why: 'A name is taken by another definition, or a conversion webhook of theirs does not answer.',
      fix: 'Look at the conditions of the definition (kubectl describe crd), then run again.',
    },
    async () => {
      for (const it of allObjects(args.passing)) {
        const found = await target.get(it.ref);
        if (!isConditionTrue(found, 'Established')) return `${it.ref.name} is not established`;
        const kind = definedBy(found);
        if (kind === undefined) continue;
        const listed = await target.list(kind, { only: 'metadata' }).catch((error: unknown) => {
          if (error instanceof MigrateError && error.code === 'KUBE_NOT_SERVED') return undefined;
          throw error;
        });
        if (!listed) return `${kind} is not served yet`;
      }
      return undefined;
    },
  );
}

const definedBy = (definition: KubeObject | undefined): Kind | undefined => {
  const { group, names } = (definition?.['spec'] ?? {}) as { group?: string; names?: { kind?: string } };
  return group !== undefined && names?.kind !== undefined ? `${names.kind}.${group}` : undefined;
};

/** A webhook that is not answered keeps every object out that it would be asked about. */
async function mustAnswer(args: ConvertArgs, context: StepContext): Promise<void> {
  const { source, target } = context.world;
  const services = new Set<string>();
  for (const it of allObjects(args.passing)) {
    const found = await source.get(it.from);
    for (const hook of (found?.['webhooks'] ?? []) as {
      clientConfig?: { service?: { namespace: string; name: string } };
    }[]) {
      if (hook.clientConfig?.service) services.add(pathOf(hook.clientConfig.service));
    }
  }
  await until(
    context,
    {
      code: 'WEBHOOK_NOT_UP',
      deadlineMs: 10 * MINUTE_MS,
      subject: 'Webhooks',
      why: 'The service that answers them has no ready pod on the target: with them, whatever they are asked about would be refused.',
      fix: 'See why its pods are not ready, then run again; or name the webhook under `data.leaveOut`.',
    },
    async () => {
      for (const path of services) {
        const { namespace = '', name } = refIn(path);
        const slices = await target.list('EndpointSlice.discovery.k8s.io', {
          namespace,
          labels: `kubernetes.io/service-name=${name}`,
        });
        if (readyEndpoints(slices).addresses.length === 0) return `service ${path} has no ready endpoint`;
      }
      return undefined;
    },
  );
}

async function remove(args: ConvertArgs, context: StepContext): Promise<Debt[]> {
  const { world, mark } = context;
  const kept: Debt[] = [];
  const inUse = new Set<string>();
  const ours = async () => {
    const found: { object: KubeObject; it: One }[] = [];
    for (const it of allObjects(args.passing)) {
      const object = await world.target.get(it.ref).catch((error: unknown) => {
        if (error instanceof MigrateError && error.code === 'KUBE_NOT_SERVED') return undefined;
        throw error;
      });
      if (object?.metadata.labels?.[MARK] === mark && !inUse.has(nameOf(it))) found.push({ object, it });
    }
    return found;
  };
  for (const { object, it } of (await ours()).toReversed()) {
    const kind = args.what === 'definitions' ? definedBy(object) : undefined;
    if (kind !== undefined && (await isUsed(world.target, kind))) {
      // With a definition goes every object of its kind, whoever made it.
      inUse.add(nameOf(it));
      kept.push({
        side: 'target',
        what: `${nameOf(it)} is left there: objects of its kind have come that this plan did not bring.`,
      });
      continue;
    }
    await world.target.delete(it.ref, {
      ...(object.metadata.uid !== undefined && { uid: object.metadata.uid }),
      propagation: 'Background',
    });
  }
  await until(
    context,
    {
      code: 'RESTORE_NOT_REMOVED',
      deadlineMs: 5 * MINUTE_MS,
      subject: 'Copies on the target',
      why: 'A finalizer waits for its controller.',
      fix: 'See which, then go back again.',
    },
    async () => {
      const [left] = await ours();
      return left && `${nameOf(left.it)} is still there`;
    },
  );
  return kept;
}

const isUsed = (target: Cluster, kind: Kind): Promise<boolean> =>
  target.list(kind, { only: 'metadata' }).then(
    (it) => it.length > 0,
    (error: unknown) => {
      if (error instanceof MigrateError && error.code === 'KUBE_NOT_SERVED') return false;
      throw error;
    },
  );
