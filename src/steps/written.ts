import { allObjects, type One } from '../passing.js';
import { passed } from '../arriving.js';
import { backupFiles, DESCRIPTION, folderOf, unpacked, type Archived } from '../archive.js';
import type { WrittenArgs } from '../args.js';
import { conversionTo } from '../convert.js';
import { isMigrateError, MigrateError } from '../errors.js';
import { shelfOf, type Shelf } from '../location.js';
import { about, pathOf, rightOn } from '../objects.js';
import type { Cluster, KubeObject } from '../ports.js';
import type { StepContext, StepKind } from '../step.js';
import { inTurns } from '../turns.js';
import { count } from '../words.js';
import { until } from '../wait.js';
import { mustBeTaken } from './convert.js';
import { owing } from './owing.js';
import { BACKUP, baseName, markOf, mustBeAvailable } from './velero.js';

/**
 * A backup that we write into the object store ourselves, from a live listing of the source: every object in a version that the target
 * serves, changed by the rules already. For sources without Velero or too old for one, and where the two clusters share no version: the
 * target's Velero takes it from the store as it takes any other.
 *
 * @source runs of Velero 1.18.3: a folder with a description and a tarball is synced and restored
 */
export const written: StepKind<WrittenArgs, Record<string, never>> = {
  kind: 'written-backup',
  title: ({ passing, namespaces }) =>
    `Backup of ${namespaces.join(', ')} (${count(allObjects(passing).length, 'object')}) written as the target takes it`,
  wayBack: () => 'deletes the backup from the store',
  rights: ({ passing }) => ({
    source: passing.map((it) => rightOn('list', it.kind)),
    target: [
      { verb: 'get', group: 'velero.io', resource: 'backupstoragelocations' },
      { verb: 'list', group: 'velero.io', resource: 'backups' },
      { verb: 'delete', group: 'velero.io', resource: 'backups' },
    ],
  }),

  async check(args, context) {
    const { bucket, prefix } = await shelf(args, context);
    const name = baseName(context, args.name);
    const there = await bucket.get(`${folderOf(prefix, name)}${DESCRIPTION}`);
    if (there && !isOurs(there, args, context)) throw nameTaken(`folder backups/${name} of the store`);
    const known = await context.world.target.get({ kind: BACKUP, namespace: args.namespace, name });
    if (known && !hasMark(known, args, context)) throw nameTaken(`Backup ${args.namespace}/${name} on the target`);
    return {};
  },

  async apply(args, _before, context) {
    const { bucket, prefix } = await shelf(args, context);
    const name = baseName(context, args.name);
    const folder = folderOf(prefix, name);
    // What has a description is whole: written by an earlier try.
    if (await bucket.get(`${folder}${DESCRIPTION}`)) return;
    const items = await collected(args, context);
    const { clock, source } = context.world;
    const files = backupFiles(items, {
      name,
      namespace: args.namespace,
      location: args.location,
      labels: markOf(context, args.name),
      namespaces: args.namespaces,
      version: (await source.identify()).version,
      now: clock.now(),
    });
    for (const file of files) {
      context.progress(`${file.name}, ${Math.ceil(file.body.length / 1024)} KiB`);
      await bucket.put(`${folder}${file.name}`, file.body);
    }
  },

  async verify(args, _before, context) {
    const { bucket, prefix } = await shelf(args, context);
    const name = baseName(context, args.name);
    const body = await bucket.get(`${folderOf(prefix, name)}${name}.tar.gz`);
    const held = new Set(
      (body ? readable(body, name) : []).map((it) => `${it.object.kind} ${pathOf(it.object.metadata)}`),
    );
    const missing = allObjects(args.passing).filter(
      (it) => !held.has(`${it.ref.kind.split('.')[0]} ${pathOf(it.ref)}`),
    );
    if (body && missing.length === 0) return;
    throw new MigrateError('BACKUP_INCOMPLETE', {
      what: body
        ? `The backup ${name} lacks ${count(missing.length, 'object')}: ${missing.slice(0, 5).map(nameOf).join(', ')}.`
        : `The store has no tarball of the backup ${name}.`,
      why: 'It was written, and then changed or deleted by somebody else; or the bucket cleans itself up.',
      fix: 'Roll back this step, then run again: it is written anew.',
    });
  },

  async undo(args, _before, context) {
    const { source, target } = context.world;
    const name = baseName(context, args.name);
    // Only the location on the target says where the store is.
    return owing(`the backup ${name} is left in the store.`, async () => {
      const { bucket, prefix } = await shelf(args, context);
      const folder = folderOf(prefix, name);
      const there = await bucket.get(`${folder}${DESCRIPTION}`);
      if (there && !isOurs(there, args, context)) return;
      // The description first: without it the rest is nothing.
      const keys = await bucket.list(folder);
      for (const key of [`${folder}${DESCRIPTION}`, ...keys]) await bucket.delete(key);
      await until(
        context,
        {
          code: 'BACKUP_NOT_DELETED',
          deadlineMs: args.deadlineMs,
          subject: `Backup ${name}`,
          why: 'A finalizer holds it, or Velero has taken it from the store once more.',
          fix: 'Look at it on both sides, then go back again.',
        },
        async () => {
          // A Velero on the source may have taken it from the store too.
          const left = [await listed(target, args, context), await listed(source, args, context)].filter(Boolean);
          return left.length === 0 ? undefined : 'it is still listed';
        },
      );
    });
  },
};

/** Whether a server still lists our backup; it is asked to go. A source without Velero, or one that we may not ask, has none to speak of. */
async function listed(cluster: Cluster, args: WrittenArgs, context: StepContext): Promise<boolean> {
  const ref = { kind: BACKUP, namespace: args.namespace, name: baseName(context, args.name) };
  try {
    const found = await cluster.get(ref);
    if (!found || !hasMark(found, args, context)) return false;
    await cluster.delete(ref);
    return true;
  } catch (error) {
    const isNone = isMigrateError(error, 'KUBE_NOT_SERVED') || isMigrateError(error, 'KUBE_FORBIDDEN');
    if (cluster.side === 'source' && isNone) return false;
    throw error;
  }
}

/** @throws MigrateError VELERO_MISSING, STORAGE_UNAVAILABLE */
async function shelf(args: WrittenArgs, { world }: StepContext): Promise<Shelf> {
  return shelfOf(await mustBeAvailable(world.target, args.namespace, args.location, false), world);
}

const nameOf = (it: One) => about(it.ref.kind, it.ref);

const hasMark = (backup: KubeObject, { name }: WrittenArgs, context: StepContext) =>
  backup.metadata.labels?.['migrate/plan'] === markOf(context, name)['migrate/plan'];

function isOurs(description: Buffer, args: WrittenArgs, context: StepContext): boolean {
  try {
    return hasMark(JSON.parse(description.toString('utf8')) as KubeObject, args, context);
  } catch {
    return false;
  }
}

function readable(tarball: Buffer, name: string): Archived[] {
  try {
    return unpacked(tarball);
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error;
    throw new MigrateError('BACKUP_INCOMPLETE', {
      what: `The tarball of the backup ${name} can't be read: ${error.message}.`,
      why: 'The upload was cut, or somebody else wrote it.',
      fix: 'Roll back this step, then run again: it is written anew.',
    });
  }
}

const nameTaken = (what: string) =>
  new MigrateError('NAME_TAKEN', {
    what: `The name is taken: ${what} was not made by this plan.`,
    why: 'Velero knows a backup by its name alone, so ours would hide or be hidden.',
    fix: 'Delete it if nobody needs it, or give the playbook another name and make a new plan.',
  });

const AT_A_TIME = 8;

/**
 * Everything as it will arrive, afresh from the source; values of Secrets go from one server to the store as Velero's own backup has them,
 * and nowhere else.
 *
 * @throws MigrateError OBJECT_GONE, PLAN_RULE_FAILS, CONVERSION_REFUSED
 */
async function collected(args: WrittenArgs, context: StepContext): Promise<Archived[]> {
  const { source, target } = context.world;
  const items: Archived[] = [];
  for (const { kind, from, to, resource, objects } of args.passing) {
    const version = from?.slice(from.indexOf('/') + 1);
    const lists = await Promise.all(
      args.namespaces.map((namespace) => source.list(kind, { namespace, ...(version !== undefined && { version }) })),
    );
    const live = new Map(lists.flat().map((it) => [pathOf(it.metadata), it]));
    const arrived = await inTurns(
      AT_A_TIME,
      allObjects([{ kind, to, resource, objects, ...(from !== undefined && { from }) }]),
      async (it) => {
        const original = live.get(pathOf(it.ref));
        if (!original) throw gone(it);
        const conversion = original.apiVersion === to ? undefined : conversionTo(kind, to);
        const { rules, keepNodePorts } = args;
        const { object, failed } = passed(
          original,
          { to, resource, ...(conversion && { conversion }) },
          { rules, keepNodePorts, values: 'whole' },
        );
        if (failed[0]) throw ruleFails(it, failed[0]);
        if (conversion) await mustBeTaken(target, await inNamespaceThatIs(object, context), it);
        return {
          resource,
          object: { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels } } },
        };
      },
    );
    items.push(...arrived);
  }
  return items;
}

/** A dry run needs a namespace that is there; each cluster has this one. */
async function inNamespaceThatIs(object: KubeObject, { world }: StepContext): Promise<KubeObject> {
  const { namespace } = object.metadata;
  if (namespace === undefined || (await world.target.get({ kind: 'Namespace', name: namespace }))) return object;
  return { ...object, metadata: { ...object.metadata, namespace: 'default' } };
}

const gone = (it: One) =>
  new MigrateError('OBJECT_GONE', {
    what: `The source has no ${about(it.kind, it.from)} any more.`,
    why: 'It was there when the plan was made.',
    fix: 'Make a new plan.',
  });

const ruleFails = (it: One, { rule, why }: { rule: string; why: string }) =>
  new MigrateError('PLAN_RULE_FAILS', {
    what: `${rule} does not apply to ${nameOf(it)}: ${why}.`,
    why: 'The object has changed since the plan was made.',
    fix: 'Make a new plan.',
  });
