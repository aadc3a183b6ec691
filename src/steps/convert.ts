import type { ConvertArgs } from '../args.js';
import { CONVERSIONS } from '../convert.js';
import { MigrateError } from '../errors.js';
import { about, pathOf, rightOn } from '../objects.js';
import type { KubeObject } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { count } from '../words.js';
import { owing } from './owing.js';
import { until } from '../wait.js';

/**
 * Objects whose API version the target does not serve and a restore would therefore skip: read from the source, rewritten, applied to
 * the target, inert like the rest (CronJobs suspended).
 */
const MARK = 'migrate/plan';

export const convert: StepKind<ConvertArgs, Record<string, never>> = {
  kind: 'convert',
  title: ({ objects }) =>
    `${count(objects.length, 'object')} converted: ${[...new Set(objects.map((it) => `${it.kind.split('.')[0]} to ${it.to}`))].join(', ')}`,
  wayBack: () => 'deletes the converted copies',
  rights: ({ objects }) => {
    const kinds = [...new Set(objects.map((it) => it.kind))];
    return {
      source: kinds.map((it) => rightOn('get', it)),
      target: kinds.flatMap((it) => ['get', 'patch', 'create', 'delete'].map((verb) => rightOn(verb, targetKind(it)))),
    };
  },

  async check({ objects }, { world, step }) {
    for (const it of objects) {
      const found = await world.target.get({ ...it, kind: targetKind(it.kind) });
      if (!found) continue;
      throw new MigrateError('OBJECT_EXISTS', {
        what: `The target has a ${about(it.kind, it)} already, not made by ${step.id}.`,
        why: 'Writing over it would lose what it says.',
        fix: 'Delete it, or leave its namespace out of the playbook.',
      });
    }
    return {};
  },

  async apply({ objects }, _before, context) {
    const { world, mark } = context;
    for (const it of objects) {
      const conversion = CONVERSIONS.find((one) => one.kind === it.kind && one.to === it.to);
      const original = await world.source.get(it);
      if (!conversion || !original) {
        throw new MigrateError('OBJECT_GONE', {
          what: `The source has no ${about(it.kind, it)} any more.`,
          why: 'It was there when the plan was made.',
          fix: 'Make a new plan.',
        });
      }
      await world.target.apply(inert(conversion.convert(original), mark));
    }
  },

  async verify({ objects }, _before, { world }) {
    for (const it of objects) {
      if (await world.target.get({ ...it, kind: targetKind(it.kind) })) continue;
      throw new MigrateError('RESTORE_INCOMPLETE', {
        what: `${about(it.kind, it)} is not on the target.`,
        why: 'It was applied and is gone again: something deletes it.',
        fix: 'Find out what does, then run again.',
      });
    }
  },

  undo: ({ objects }, _before, context) => owing('converted copies are left there.', () => remove(objects, context)),
};

/** The kind's group may change with the version: extensions Ingresses become networking.k8s.io ones. */
const targetKind = (kind: string) => (kind === 'Ingress.extensions' ? 'Ingress.networking.k8s.io' : kind);

/** Without what one server wrote into it, marked as ours, and asleep. */
function inert({ apiVersion, kind, metadata, status: _status, ...rest }: KubeObject, mark: string): KubeObject {
  const { 'kubectl.kubernetes.io/last-applied-configuration': _applied, ...annotations } = metadata.annotations ?? {};
  return {
    apiVersion,
    kind,
    metadata: {
      name: metadata.name,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      labels: { ...metadata.labels, [MARK]: mark },
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    ...rest,
    ...(kind === 'CronJob' && { spec: { ...rest['spec'], suspend: true } }),
  };
}

async function remove(objects: ConvertArgs['objects'], context: StepContext): Promise<void> {
  const { world, mark } = context;
  const ours = async () => {
    const found = await Promise.all(objects.map((it) => world.target.get({ ...it, kind: targetKind(it.kind) })));
    return found.flatMap((it, index) =>
      it?.metadata.labels?.[MARK] === mark ? [{ object: it, kind: targetKind(objects[index]?.kind ?? '') }] : [],
    );
  };
  for (const { object, kind } of await ours())
    await world.target.delete(
      { kind, namespace: object.metadata.namespace ?? '', name: object.metadata.name },
      { propagation: 'Background' },
    );
  await until(
    context,
    {
      code: 'RESTORE_NOT_REMOVED',
      deadlineMs: 300_000,
      subject: 'Converted copies',
      why: 'A finalizer waits for its controller.',
      fix: 'See which, then go back again.',
    },
    async () => {
      const [left] = await ours();
      return left && `${pathOf(left.object.metadata)} is still there`;
    },
  );
}
