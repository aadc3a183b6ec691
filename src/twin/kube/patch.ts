import type { Json } from '../types.js';
import { badRequest, StatusError } from './errors.js';
import { cloneJson, isMap, sameJson } from './json.js';

/** RFC 7386. Shares what it doesn't change; neither argument is changed. */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isMap(patch)) return patch;
  const result: Record<string, Json> = isMap(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: Json;
}

const unprocessable = (): StatusError =>
  new StatusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});

const pointer = (path: string): string[] => {
  if (path === '') return [];
  if (!path.startsWith('/')) throw unprocessable();
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
};

/** RFC 6902. @throws StatusError 422 when an operation can't be done */
export function jsonPatch(target: Json, operations: Json): Json {
  if (!Array.isArray(operations)) throw badRequest('a JSON patch is a list of operations');
  let document = cloneJson(target);
  for (const operation of operations) document = operate(document, operation);
  return document;
}

function operate(document: Json, { op, path, from, value }: Operation): Json {
  switch (op) {
    case 'add':
      return put(document, pointer(path), cloneJson(value), 'add');
    case 'replace':
      return put(document, pointer(path), cloneJson(value), 'replace');
    case 'remove':
      return take(document, pointer(path)).rest;
    case 'test':
      if (!sameJson(look(document, pointer(path)), value)) throw unprocessable();
      return document;
    case 'copy':
      return put(document, pointer(path), cloneJson(look(document, pointer(from ?? ''))), 'add');
    case 'move': {
      const { taken, rest } = take(document, pointer(from ?? ''));
      return put(rest, pointer(path), taken, 'add');
    }
    default:
      throw unprocessable();
  }
}

/** @throws StatusError 422 when there is nothing at the JSON pointer */
export const valueAt = (document: Json, path: string): Json => look(document, pointer(path));

function look(document: Json, path: string[]): Json {
  let here = document;
  for (const part of path) {
    if (Array.isArray(here)) here = here[Number(part)];
    else here = isMap(here) && Object.hasOwn(here, part) ? here[part] : undefined;
    if (here === undefined) throw unprocessable();
  }
  return here;
}

function put(document: Json, path: string[], value: Json, how: 'add' | 'replace'): Json {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = look(document, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last);
    const limit = how === 'add' ? parent.length : parent.length - 1;
    if (!Number.isInteger(index) || index < 0 || index > limit) throw unprocessable();
    parent.splice(index, how === 'add' ? 0 : 1, value);
  } else if (isMap(parent)) {
    // Servers take a replacement of what isn't there for an addition.
    parent[last] = value;
  } else throw unprocessable();
  return document;
}

function take(document: Json, path: string[]): { taken: Json; rest: Json } {
  const taken = look(document, path);
  const last = path.at(-1);
  if (last === undefined) return { taken, rest: null };
  const parent = look(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return { taken, rest: document };
}
