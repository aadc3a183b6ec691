import type { Json } from '../types.js';
import { isMap, sameJson } from './json.js';
import type { Shape } from './shapes.js';
import { fieldShape } from './shapes.js';

/**
 * A set of fields of an object, as a tree. Keys are the path elements of metadata.managedFields: `f:name` for a field, `k:{...}` for an
 * item of a keyed list, `v:...` for a value of a set.
 *
 * @source kubernetes-sigs/structured-merge-diff:fieldpath
 */
export interface Fields {
  /** the path to here is itself in the set */
  here: boolean;
  children: Map<string, Fields>;
}

const none = (): Fields => ({ here: false, children: new Map() });
const leaf = (): Fields => ({ here: true, children: new Map() });

export const isEmpty = (fields: Fields): boolean => !fields.here && fields.children.size === 0;

function child(fields: Fields, key: string): Fields {
  let found = fields.children.get(key);
  if (!found) {
    found = none();
    fields.children.set(key, found);
  }
  return found;
}

function withChildren(here: boolean, entries: Iterable<[string, Fields]>): Fields {
  const children = new Map<string, Fields>();
  for (const [key, fields] of entries) if (!isEmpty(fields)) children.set(key, fields);
  return { here, children };
}

const NOTHING = none();

export function union(a: Fields, b: Fields): Fields {
  const keys = new Set([...a.children.keys(), ...b.children.keys()]);
  return withChildren(
    a.here || b.here,
    [...keys].map((key) => [key, union(a.children.get(key) ?? NOTHING, b.children.get(key) ?? NOTHING)]),
  );
}

export function difference(a: Fields, b: Fields): Fields {
  return withChildren(
    a.here && !b.here,
    [...a.children].map(([key, fields]) => [key, difference(fields, b.children.get(key) ?? NOTHING)]),
  );
}

export function intersection(a: Fields, b: Fields): Fields {
  return withChildren(
    a.here && b.here,
    [...a.children].map(([key, fields]) => [key, intersection(fields, b.children.get(key) ?? NOTHING)]),
  );
}

export function isSameSet(a: Fields, b: Fields): boolean {
  return isEmpty(difference(a, b)) && isEmpty(difference(b, a));
}

// The JSON of fieldsV1

export function toFieldsV1(fields: Fields): Json {
  const entries = [...fields.children]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, it]) => [key, toFieldsV1(it)]);
  if (fields.here && entries.length > 0) entries.unshift(['.', {}]);
  return Object.fromEntries(entries);
}

export function fromFieldsV1(json: Json): Fields {
  const fields = none();
  if (!isMap(json)) return fields;
  for (const [key, value] of Object.entries(json)) {
    if (key === '.') fields.here = true;
    else fields.children.set(key, isMap(value) && Object.keys(value).length > 0 ? fromFieldsV1(value) : leaf());
  }
  return fields;
}

/** Paths as messages show them: `.spec.containers[name="web"].image`. */
export function pathsOf(fields: Fields, prefix = ''): string[] {
  const own = fields.here ? [prefix] : [];
  return [...own, ...[...fields.children].flatMap(([key, it]) => pathsOf(it, prefix + elementText(key)))];
}

function elementText(key: string): string {
  const rest = key.slice(2);
  if (key.startsWith('f:')) return `.${rest}`;
  if (key.startsWith('v:')) return `[=${rest}]`;
  const pairs = Object.entries(JSON.parse(rest)).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `[${pairs.join(',')}]`;
}

// Items of lists

function itemKey(item: Json, list: NonNullable<Shape['list']>): string | undefined {
  if (!isMap(item) || !list.keys) return undefined;
  const pairs: [string, Json][] = [];
  for (const name of list.keys) {
    const value = item[name] ?? list.defaults?.[name];
    if (value !== undefined) pairs.push([name, value]);
  }
  if (pairs.length === 0) return undefined;
  return `k:${JSON.stringify(Object.fromEntries(pairs.toSorted(([a], [b]) => (a < b ? -1 : 1))))}`;
}

/** Items by path element; undefined when this list has no identity of items, and so is one value. */
function itemsOf(value: Json, shape: Shape): Map<string, Json> | undefined {
  if (!Array.isArray(value)) return undefined;
  if (shape.set?.apply) return new Map(value.map((item) => [`v:${JSON.stringify(item)}`, item]));
  if (!shape.list?.keys) return undefined;
  const items = new Map<string, Json>();
  for (const item of value) {
    const key = itemKey(item, shape.list);
    if (key === undefined || items.has(key)) return undefined;
    items.set(key, item);
  }
  return items;
}

const itemShape = (shape: Shape): Shape => shape.list?.item ?? {};

/** Maps whose fields are owned one by one, seen as entries by path element. */
function entriesOf(value: Json, shape: Shape): Map<string, Json> | undefined {
  if (shape.atomic || !isMap(value)) return undefined;
  return new Map(Object.entries(value).flatMap(([key, field]) => (field === undefined ? [] : [[`f:${key}`, field]])));
}

/** The parts a value is owned by, and the shape of each; undefined for what is owned as a whole. */
function partsOf(value: Json, shape: Shape): { parts: Map<string, Json>; isList: boolean } | undefined {
  const fields = entriesOf(value, shape);
  if (fields) return { parts: fields, isList: false };
  const items = itemsOf(value, shape);
  return items && { parts: items, isList: true };
}

const partShape = (shape: Shape, key: string): Shape =>
  key.startsWith('f:') ? fieldShape(shape, key.slice(2)) : itemShape(shape);

/** Every field that a value sets. */
export function fieldsOf(value: Json, shape: Shape): Fields {
  const split = partsOf(value, shape);
  if (!split || split.parts.size === 0) return leaf();
  const fields = none();
  for (const [key, part] of split.parts) {
    const below = key.startsWith('v:') ? leaf() : fieldsOf(part, partShape(shape, key));
    fields.children.set(key, split.isList ? { here: true, children: below.children } : below);
  }
  return fields;
}

export interface Difference {
  /** added or with another value */
  changed: Fields;
  removed: Fields;
}

/** @param before  undefined when there was nothing */
export function compare(before: Json, after: Json, shape: Shape): Difference {
  const changed = none();
  const removed = none();
  compareInto(before, after, shape, changed, removed);
  return { changed: prune(changed), removed: prune(removed) };
}

const prune = (fields: Fields): Fields =>
  withChildren(
    fields.here,
    [...fields.children].map(([key, it]) => [key, prune(it)]),
  );

function graft(onto: Fields, fields: Fields): void {
  if (fields.here) onto.here = true;
  for (const [key, it] of fields.children) graft(child(onto, key), it);
}

function compareInto(before: Json, after: Json, shape: Shape, changed: Fields, removed: Fields): void {
  if (before === after) return;
  if (before === undefined) return graft(changed, fieldsOf(after, shape));
  if (after === undefined) return graft(removed, fieldsOf(before, shape));
  const then = partsOf(before, shape);
  const now = partsOf(after, shape);
  if (!then || !now || then.isList !== now.isList || then.parts.size === 0 || now.parts.size === 0) {
    if (sameJson(before, after)) return;
    graft(changed, fieldsOf(after, shape));
    if (then && !now) graft(removed, fieldsOf(before, shape));
    else if (then && now) graft(removed, difference(fieldsOf(before, shape), fieldsOf(after, shape)));
    return;
  }
  for (const key of new Set([...then.parts.keys(), ...now.parts.keys()])) {
    const [old, fresh] = [then.parts.get(key), now.parts.get(key)];
    if (then.isList && old === undefined) child(changed, key).here = true;
    if (then.isList && fresh === undefined) child(removed, key).here = true;
    if (key.startsWith('v:')) continue;
    compareInto(old, fresh, partShape(shape, key), child(changed, key), child(removed, key));
  }
}

/** The live value with everything that is applied put over it. */
export function mergeApplied(live: Json, applied: Json, shape: Shape): Json {
  if (isMap(applied) && !shape.atomic) {
    const result: Record<string, Json> = isMap(live) ? { ...live } : {};
    for (const [key, value] of Object.entries(applied)) {
      if (value !== undefined) result[key] = mergeApplied(result[key], value, fieldShape(shape, key));
    }
    return result;
  }
  const items = itemsOf(applied, shape);
  const known = itemsOf(live, shape);
  if (!items || !known) return applied;
  for (const [key, item] of items)
    known.set(key, known.has(key) ? mergeApplied(known.get(key), item, itemShape(shape)) : item);
  return [...known.values()];
}

/**
 * The value without some of its fields.
 *
 * @param kept  fields of others: an item of a list stays while somebody else owns a part of it
 * @returns undefined when nothing is left
 */
export function removeFields(value: Json, gone: Fields, kept: Fields, shape: Shape): Json {
  const split = partsOf(value, shape);
  if (!split) return value;
  const left: [string, Json][] = [];
  for (const [key, part] of split.parts) {
    const out = gone.children.get(key);
    if (!out) {
      left.push([key, part]);
      continue;
    }
    const others = kept.children.get(key) ?? NOTHING;
    if (out.here && isEmpty(others)) continue;
    const rest = out.children.size > 0 ? removeFields(part, out, others, partShape(shape, key)) : part;
    if (rest !== undefined) left.push([key, rest]);
  }
  if (left.length === 0 && split.parts.size > 0) return undefined;
  return split.isList
    ? left.map(([, item]) => item)
    : Object.fromEntries(left.map(([key, field]) => [key.slice(2), field]));
}
