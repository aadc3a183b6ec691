import type { Json, TwinObject } from '../types.js';
import { badRequest, conflict, StatusError } from './errors.js';
import type { Fields } from './fields.js';
import {
  compare,
  difference,
  fieldsOf,
  intersection,
  isEmpty,
  isSameSet,
  mergeApplied,
  pathsOf,
  removeFields,
  union,
} from './fields.js';
import { cloneJson, sameJson } from './json.js';
import type { Owner } from './managed.js';
import { everyField, ownable, ownersOf, putOwners } from './managed.js';
import type { Target } from './route.js';
import type { Store, WriteOptions } from './store.js';

export interface ApplyOptions extends WriteOptions {
  manager: string;
  force: boolean;
}

/** Who owns the fields of an object from before anybody applied to it. */
const BEFORE_FIRST_APPLY = 'before-first-apply';
const SUBRESOURCE_MINOR = 22;

/**
 * Server-side apply: takes over the manifest's fields, drops those that this manager applied before and no longer names, and
 * refuses to change a field that somebody else owns unless forced.
 *
 * @throws StatusError 409 with one cause for each conflicting field
 * @source kubernetes-sigs/structured-merge-diff:merge/update.go, kubernetes/apimachinery:pkg/util/managedfields
 */
export function applyManifest(
  store: Store,
  target: Target,
  manifest: TwinObject,
  options: ApplyOptions,
): { object: TwinObject; created: boolean } {
  const { served, namespace, name } = target;
  if (manifest.metadata.managedFields?.length) throw badRequest('metadata.managedFields must be nil');
  const live = store.find(served, namespace, name!);
  if (live) {
    const object = store.replace(
      served,
      namespace,
      name!,
      (current) => applyTo(store, target, current, manifest, options),
      { ...options, ownersKept: true },
    );
    return { object, created: false };
  }
  if (manifest.metadata.uid)
    throw conflict(
      served,
      name!,
      `uid mismatch: the provided object specified uid ${manifest.metadata.uid}, and no existing object was found`,
    );
  const fresh = cloneJson(manifest);
  fresh.metadata = { ...fresh.metadata, name, ...(namespace !== undefined && { namespace }) };
  putOwners(fresh, [
    { ...self(store, target, options), fields: appliedFields(target, manifest), time: store.timestamp() },
  ]);
  return { object: store.create(served, fresh, { ...options, ownersKept: true }), created: true };
}

function self(
  store: Store,
  { served, subresource }: Target,
  { manager }: ApplyOptions,
): Omit<Owner, 'fields' | 'time'> {
  const part = store.minor >= SUBRESOURCE_MINOR ? subresource : undefined;
  return {
    manager,
    operation: 'Apply',
    apiVersion: served.apiVersion,
    ...(part !== undefined && { subresource: part }),
  };
}

/** What a manifest claims: not status through the object, nothing but status through the status. */
function claimed({ served, subresource }: Target, manifest: TwinObject): Json {
  const { status, ...rest } = ownable(manifest);
  if (!served.stored.hasStatus) return ownable(manifest);
  if (subresource === 'status') return status === undefined ? {} : { status };
  return rest;
}

const appliedFields = (target: Target, manifest: TwinObject): Fields => {
  const claim = claimed(target, manifest);
  return Object.keys(claim).length === 0 ? { here: false, children: new Map() } : fieldsOf(claim, target.served.shape);
};

function applyTo(
  store: Store,
  target: Target,
  live: TwinObject,
  manifest: TwinObject,
  options: ApplyOptions,
): TwinObject {
  const { served } = target;
  const owner = self(store, target, options);
  const owners = knownOwners(target, live);
  const isSelf = (it: Owner): boolean =>
    it.manager === owner.manager && it.operation === 'Apply' && it.subresource === owner.subresource;
  const others = owners.filter((it) => !isSelf(it));
  const before = owners.find(isSelf);
  const fields = appliedFields(target, manifest);

  const claim = claimed(target, manifest);
  const merged = { ...mergeApplied(live, claim, served.shape), apiVersion: live.apiVersion, kind: live.kind };
  const kept = others.map((it) => it.fields).reduce(union, { here: false, children: new Map() });
  const dropped = before ? difference(difference(before.fields, fields), kept) : undefined;
  const next: TwinObject = dropped && !isEmpty(dropped) ? removeFields(merged, dropped, kept, served.shape) : merged;
  next.metadata = { ...next.metadata };
  const { resourceVersion, uid } = manifest.metadata;
  if (resourceVersion) next.metadata.resourceVersion = resourceVersion;
  if (uid) next.metadata.uid = uid;

  const { changed, removed } = compare(ownable(live), ownable(next), served.shape);
  refuseConflicts(others, changed, options.force);
  const lost = union(changed, removed);
  const left = others.map((it) => ({ ...it, fields: difference(it.fields, lost) }));
  const isSame = before !== undefined && isSameSet(before.fields, fields) && sameJson(ownable(live), ownable(next));
  putOwners(next, [...left, { ...owner, fields, time: isSame ? before.time : store.timestamp() }]);
  return next;
}

function knownOwners({ served }: Target, live: TwinObject): Owner[] {
  const owners = ownersOf(live);
  if (owners.length > 0) return owners;
  return [
    {
      manager: BEFORE_FIRST_APPLY,
      operation: 'Update',
      apiVersion: served.apiVersion,
      fields: everyField(live, served),
    },
  ];
}

function ownerText({ manager, operation, apiVersion, subresource, time }: Owner): string {
  const name =
    JSON.stringify(manager) + (subresource === undefined ? '' : ` with subresource ${JSON.stringify(subresource)}`);
  if (operation === 'Apply') return name;
  return `${name} using ${apiVersion}${time === undefined ? '' : ` at ${time}`}`;
}

function refuseConflicts(others: Owner[], changed: Fields, force: boolean): void {
  if (force) return;
  const conflicts = others.flatMap((owner) => {
    const paths = pathsOf(intersection(changed, owner.fields));
    return paths.map((path) => ({ who: ownerText(owner), path }));
  });
  const [first] = conflicts;
  if (!first) return;
  const causes = conflicts.map(({ who, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${who}`,
    field: path,
  }));
  throw new StatusError(409, 'Conflict', conflictText(conflicts), { causes });
}

function conflictText(conflicts: { who: string; path: string }[]): string {
  if (conflicts.length === 1)
    return `Apply failed with 1 conflict: conflict with ${conflicts[0]!.who}: ${conflicts[0]!.path}`;
  const lines = [...new Set(conflicts.map(({ who }) => who))]
    .toSorted()
    .flatMap((who) => [
      `conflicts with ${who}:`,
      ...conflicts.filter((it) => it.who === who).map(({ path }) => `- ${path}`),
    ]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}
