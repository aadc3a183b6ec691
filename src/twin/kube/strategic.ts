import type { Json } from '../types.js';
import { badRequest } from './errors.js';
import { cloneJson, isMap, sameJson } from './json.js';
import type { Shape } from './shapes.js';
import { fieldShape } from './shapes.js';

const DIRECTIVE = '$patch';
const RETAIN = '$retainKeys';
const DELETE_VALUES = '$deleteFromPrimitiveList/';
const ORDER = '$setElementOrder/';

/**
 * Strategic merge patch: lists of named things merge by their key, and directives in the patch replace, delete and order.
 *
 * @source kubernetes/apimachinery:pkg/util/strategicpatch/patch.go
 */
export function strategicPatch(current: Json, patch: Json, shape: Shape): Json {
  if (!isMap(patch)) throw badRequest('a strategic merge patch is an object');
  return mergeMap(isMap(current) ? current : {}, patch, shape);
}

function mergeMap(current: Record<string, Json>, patch: Record<string, Json>, shape: Shape): Json {
  const { [DIRECTIVE]: directive, ...rest } = patch;
  if (directive === 'replace') return plain(rest);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') throw badRequest(`Wrong patch directive: ${directive}`);
  const result: Record<string, Json> = { ...current };
  for (const [key, value] of Object.entries(rest)) {
    if (key.startsWith('$')) continue;
    if (value === null) delete result[key];
    else result[key] = mergeValue(result[key], value, fieldShape(shape, key));
  }
  for (const [key, value] of Object.entries(rest)) {
    if (key.startsWith(DELETE_VALUES)) deleteValues(result, key.slice(DELETE_VALUES.length), value);
  }
  for (const [key, value] of Object.entries(rest)) {
    if (key.startsWith(ORDER)) orderList(result, current, key.slice(ORDER.length), value, shape);
  }
  if (Array.isArray(rest[RETAIN])) {
    for (const key of Object.keys(result)) if (!rest[RETAIN].includes(key)) delete result[key];
  }
  return result;
}

function mergeValue(current: Json, patch: Json, shape: Shape): Json {
  if (isMap(patch)) return mergeMap(isMap(current) ? current : {}, patch, shape);
  if (!Array.isArray(patch)) return patch;
  const key = shape.list?.patchKey;
  if (key !== undefined) return mergeList(Array.isArray(current) ? current : [], patch, key, shape.list!.item);
  if (shape.set?.patch) return addValues(Array.isArray(current) ? current : [], patch);
  return plain(patch);
}

function mergeList(current: Json[], patch: Json[], key: string, item: Shape): Json[] {
  const wanted = patch.filter((it) => it?.[DIRECTIVE] !== 'replace' || it[key] !== undefined);
  const result = wanted.length < patch.length ? [] : [...current];
  for (const change of wanted) {
    if (!isMap(change) || change[key] === undefined)
      throw badRequest(`map: ${JSON.stringify(change)} does not contain declared merge key: ${key}`);
    const index = result.findIndex((it) => sameJson(it?.[key], change[key]));
    if (change[DIRECTIVE] === 'delete') {
      if (index >= 0) result.splice(index, 1);
    } else if (index >= 0) result[index] = mergeMap(result[index], change, item);
    else result.push(mergeMap({}, change, item));
  }
  return result;
}

function addValues(current: Json[], patch: Json[]): Json[] {
  const result = [...current];
  for (const value of patch) if (!result.includes(value)) result.push(value);
  return result;
}

function deleteValues(result: Record<string, Json>, field: string, values: Json): void {
  if (Array.isArray(result[field]) && Array.isArray(values))
    result[field] = result[field].filter((it: Json) => !values.includes(it));
}

/** Items that the patch names come in its order; others keep their place among those they already stood with. */
function orderList(
  result: Record<string, Json>,
  current: Record<string, Json>,
  field: string,
  order: Json,
  shape: Shape,
): void {
  const list: Json = result[field];
  if (!Array.isArray(list) || !Array.isArray(order)) return;
  const key = fieldShape(shape, field).list?.patchKey;
  const idOf = (item: Json): string => JSON.stringify(key === undefined ? item : item?.[key]);
  const wanted = order.map(idOf);
  const before = (Array.isArray(current[field]) ? current[field] : []).map(idOf);
  const left = list
    .filter((it) => wanted.includes(idOf(it)))
    .toSorted((a, b) => wanted.indexOf(idOf(a)) - wanted.indexOf(idOf(b)));
  const right = list.filter((it) => !wanted.includes(idOf(it)));
  const merged: Json[] = [];
  while (left.length > 0 && right.length > 0) {
    const a = before.indexOf(idOf(left[0]));
    const b = before.indexOf(idOf(right[0]));
    merged.push(a >= 0 && b >= 0 && a < b ? left.shift() : right.shift());
  }
  result[field] = [...merged, ...left, ...right];
}

/** New content without directives in it. */
function plain(value: Json): Json {
  if (Array.isArray(value)) return value.filter((it) => it?.[DIRECTIVE] !== 'delete').map(plain);
  if (!isMap(value)) return cloneJson(value);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, field]) => !key.startsWith('$') && field !== null)
      .map(([key, field]) => [key, plain(field)]),
  );
}
