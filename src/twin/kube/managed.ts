import type { Json, TwinObject } from '../types.js';
import type { Fields } from './fields.js';
import { compare, difference, fieldsOf, fromFieldsV1, isEmpty, isSameSet, toFieldsV1, union } from './fields.js';
import type { Served } from './kinds.js';

/** Who writes, as metadata.managedFields names it. */
export interface Writer {
  manager: string;
  subresource?: string;
}

export interface Owner {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  subresource?: string | undefined;
  time?: string | undefined;
  fields: Fields;
}

const UNOWNED_META = [
  'name',
  'namespace',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'uid',
  'generation',
  'managedFields',
  'resourceVersion',
  'generateName',
];

/** An object without what nobody owns: its identity and what the server counts. */
export function ownable(object: TwinObject | undefined): Json {
  if (object === undefined) return undefined;
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = object;
  const own = Object.fromEntries(Object.entries(metadata ?? {}).filter(([key]) => !UNOWNED_META.includes(key)));
  return Object.keys(own).length > 0 ? { metadata: own, ...rest } : rest;
}

export function ownersOf(object: TwinObject | undefined): Owner[] {
  return (object?.metadata.managedFields ?? []).flatMap((entry: Json) =>
    entry.manager === undefined && entry.operation === undefined
      ? []
      : [
          {
            manager: entry.manager ?? '',
            operation: entry.operation,
            apiVersion: entry.apiVersion,
            subresource: entry.subresource,
            time: entry.time,
            fields: fromFieldsV1(entry.fieldsV1),
          },
        ],
  );
}

/** Writes owners down in the order of servers: those that apply first, then by time and name. Owners of nothing vanish. */
export function putOwners(object: TwinObject, owners: Owner[]): void {
  const kept = owners.filter(({ fields }) => !isEmpty(fields));
  if (kept.length === 0) {
    delete object.metadata.managedFields;
    return;
  }
  const order = ({ operation, time = '', manager }: Owner): string => `${operation} ${time} ${manager}`;
  object.metadata.managedFields = kept
    .toSorted((a, b) => (order(a) < order(b) ? -1 : 1))
    .map(({ manager, operation, apiVersion, subresource, time, fields }) => ({
      manager,
      operation,
      apiVersion,
      ...(time !== undefined && { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(subresource !== undefined && { subresource }),
    }));
}

/** Owners are recorded by default from 1.18 on, and name the subresource from 1.22 on. */
const FIRST_MINOR = 18;
const SUBRESOURCE_MINOR = 22;

const isReset = (given: Json): boolean =>
  Array.isArray(given) && given.length === 1 && Object.keys(given[0]).length === 0;

/** The name under which the controllers of this process are recorded, where anybody needs to know. */
const CONTROLLERS: Writer = { manager: 'kube-controller-manager' };

interface Update {
  served: Served;
  minor: number;
  before: TwinObject | undefined;
  /** in stored form, still open */
  object: TwinObject;
  writer: Writer | undefined;
  time: string;
}

/** Notes in metadata.managedFields what a create, update or patch changed. */
export function recordUpdate({ served, minor, before, object, writer, time }: Update): void {
  const given = object.metadata.managedFields;
  if (isReset(given)) {
    delete object.metadata.managedFields;
    return;
  }
  const known = ownersOf(before);
  const by = writer ?? (known.some(({ operation }) => operation === 'Apply') ? CONTROLLERS : undefined);
  if (!by || minor < FIRST_MINOR) {
    if (before?.metadata.managedFields) object.metadata.managedFields = before.metadata.managedFields;
    else if (before) delete object.metadata.managedFields;
    return;
  }
  const owners = Array.isArray(given) && given.length > 0 && before ? ownersOf(object) : known;
  const subresource = minor >= SUBRESOURCE_MINOR ? by.subresource : undefined;
  const { changed, removed } = compare(viewed(served, before), viewed(served, object), served.shape);
  const isSelf = (owner: Owner): boolean =>
    owner.manager === by.manager &&
    owner.operation === 'Update' &&
    owner.apiVersion === served.apiVersion &&
    owner.subresource === subresource;
  const self: Owner = owners.find(isSelf) ?? {
    manager: by.manager,
    operation: 'Update',
    apiVersion: served.apiVersion,
    subresource,
    fields: fromFieldsV1({}),
  };
  const lost = union(changed, removed);
  const fields = difference(union(self.fields, changed), removed);
  const others = owners
    .filter((owner) => !isSelf(owner))
    .map((owner) => ({ ...owner, fields: difference(owner.fields, lost) }));
  putOwners(object, [
    ...others,
    { ...self, fields, time: isSameSet(fields, self.fields) ? (self.time ?? time) : time },
  ]);
}

/** In the version of the request, which is the one its owner's field names are in. */
function viewed(served: Served, object: TwinObject | undefined): Json {
  if (object === undefined || object.apiVersion === served.apiVersion) return ownable(object);
  return ownable(served.viewOf(object));
}

export const everyField = (object: TwinObject, served: Served): Fields => fieldsOf(ownable(object), served.shape);
