import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { parse } from 'yaml';
import type { Json, TwinObject } from '../types.js';
import { badRequest, internalError, StatusError, unsupportedMedia } from './errors.js';
import { NoSuchGroup } from './route.js';
import { decodeProtobuf } from './protobuf.js';
import type { Identity } from './identities.js';

/** One request, read to its end. */
export interface WireRequest {
  method: string;
  /** decoded segments */
  path: string[];
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: Buffer;
  identity: Identity;
}

/** One reply: a body of JSON text, or something that writes for as long as it likes. */
export type Answer =
  | { status: number; text: string; type?: string; warnings?: string[] }
  | { status: number; bytes: Buffer; type: string }
  | { stream: (response: ServerResponse) => void };

const texts = new WeakMap<TwinObject, string>();
const itemTexts = new WeakMap<TwinObject, string>();

/** The JSON of a stored (and so frozen) object, made once. */
export function textOf(object: TwinObject): string {
  if (!Object.isFrozen(object)) return JSON.stringify(object);
  let text = texts.get(object);
  if (text === undefined) {
    text = JSON.stringify(object);
    texts.set(object, text);
  }
  return text;
}

/** The same inside a list of a built-in kind, whose items don't repeat kind and apiVersion. */
export function itemTextOf(object: TwinObject): string {
  let text = itemTexts.get(object);
  if (text === undefined) {
    const { apiVersion: _version, kind: _kind, ...rest } = object;
    text = JSON.stringify(rest);
    itemTexts.set(object, text);
  }
  return text;
}

export const answer = (body: Json, status = 200): Answer => ({ status, text: JSON.stringify(body) });

export const NOT_THERE: Answer = { status: 404, text: '404 page not found\n', type: 'text/plain; charset=utf-8' };

/** A refusal as it is; anything else is our own mistake and says so, with status 500. */
export function answerError(error: unknown): Answer {
  if (error instanceof NoSuchGroup) return NOT_THERE;
  const status = error instanceof StatusError ? error : internalError(`the twin failed: ${(error as Error).stack}`);
  return answer(status.body(), status.status);
}

export const mediaType = (headers: IncomingHttpHeaders): string =>
  (headers['content-type'] ?? 'application/json').split(';')[0]!.trim().toLowerCase();

/** A body in JSON, YAML or, for a few kinds, protobuf. @throws StatusError 400 when it is neither, 415 when it claims to be something else */
export function readBody({ body, headers }: WireRequest): Json {
  const type = mediaType(headers);
  if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(body);
  const text = body.toString();
  if (!type.includes('json') && !type.includes('yaml')) {
    throw unsupportedMedia(
      'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    );
  }
  try {
    return type.includes('yaml') ? parse(text) : JSON.parse(text);
  } catch (error) {
    throw badRequest(`error decoding the body: ${(error as Error).message}`);
  }
}

export function readObject(request: WireRequest): TwinObject {
  const object = readBody(request);
  if (typeof object !== 'object' || object === null || Array.isArray(object))
    throw badRequest('the body is not an object');
  object.metadata ??= {};
  return object;
}

export const isTrue = (query: URLSearchParams, name: string): boolean => {
  const value = query.get(name);
  return value !== null && value !== 'false' && value !== '0';
};
