import { methodNotAllowed, noSuchPath } from './errors.js';
import type { Served } from './kinds.js';
import type { Store } from './store.js';

/** A request for objects. */
export interface Target {
  served: Served;
  namespace: string | undefined;
  name: string | undefined;
  subresource: string | undefined;
  verb: string;
}

/** A URL under /api/v1 or /apis/GROUP/VERSION taken apart; what isn't there is undefined. */
export interface Parts {
  apiVersion: string;
  group: string;
  resource: string;
  namespace: string | undefined;
  name: string | undefined;
  subresource: string | undefined;
}

/** @param path  decoded segments of a URL's path; @returns undefined when it isn't the URL of a resource */
export function partsOf(path: readonly string[]): Parts | undefined {
  const isCore = path[0] === 'api';
  if (!isCore && path[0] !== 'apis') return undefined;
  const [group, version, ...rest] = isCore ? ['', path[1], ...path.slice(2)] : path.slice(1);
  if (group === undefined || version === undefined || rest.length === 0) return undefined;
  const apiVersion = isCore ? version : `${group}/${version}`;
  const inNamespace =
    rest[0] === 'namespaces' && rest.length > 2 && !(isCore && ['status', 'finalize'].includes(rest[2]!));
  const [resource = '', name, ...more] = inNamespace ? rest.slice(2) : rest;
  if (more.length > 1) return undefined;
  return { apiVersion, group, resource, namespace: inNamespace ? rest[1] : undefined, name, subresource: more[0] };
}

/** The verb that rights are given for. */
export function verbOf(method: string, name: string | undefined, isWatch: boolean): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return isWatch ? 'watch' : name === undefined ? 'list' : 'get';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === undefined ? 'deletecollection' : 'delete';
    default:
      return method.toLowerCase();
  }
}

/** Nobody answers for the group: the reply is plain text. */
export class NoSuchGroup extends Error {}

/** @throws StatusError 404 when this server doesn't serve the path, 405 when the kind needs a namespace; NoSuchGroup */
export function targetOf(store: Store, parts: Parts, verb: string): Target {
  const served = store.kinds.get(`${parts.apiVersion}/${parts.resource}`);
  if (!served) {
    const isKnown = parts.group === '' || store.kinds.groups().some((it) => it.group === parts.group);
    throw isKnown ? noSuchPath() : new NoSuchGroup();
  }
  const { namespace, name, subresource } = parts;
  if (subresource !== undefined && !served.subresources.has(subresource)) throw noSuchPath();
  if (!served.namespaced && namespace !== undefined) throw noSuchPath();
  if (served.namespaced && namespace === undefined) {
    if (name !== undefined) throw noSuchPath();
    if (!['list', 'watch'].includes(verb)) throw methodNotAllowed();
  }
  return { served, namespace, name, subresource, verb };
}
