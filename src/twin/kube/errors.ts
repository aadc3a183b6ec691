import type { ApiError, Json } from '../types.js';

export interface Cause {
  reason: string;
  message: string;
  field: string;
}

/**
 * A refusal as an API server words it; `body()` is the Status object that goes over the wire.
 *
 * @source kubernetes/apimachinery:pkg/api/errors/errors.go
 */
export class StatusError extends Error implements ApiError {
  readonly status: number;
  readonly reason: string;
  readonly details: Json;
  /** more of the Status' metadata, e.g. the token to continue an expired list with */
  readonly listMeta: Json;

  constructor(status: number, reason: string, message: string, details?: Json, listMeta: Json = {}) {
    super(message);
    this.name = 'StatusError';
    this.status = status;
    this.reason = reason;
    this.details = details;
    this.listMeta = listMeta;
  }

  body(): Json {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.listMeta,
      status: 'Failure',
      message: this.message,
      ...(this.reason && { reason: this.reason }),
      ...(this.details && { details: this.details }),
      code: this.status,
    };
  }
}

/** What an error is about: a resource (`services`) or, for invalid objects, a kind (`Service`). */
interface Subject {
  group: string;
  resource: string;
  kind: string;
}

const qualified = (group: string, word: string): string => (group === '' ? word : `${word}.${group}`);

const about = ({ group, resource }: Subject, name: string): Json => ({
  ...(name && { name }),
  ...(group && { group }),
  kind: resource,
});

export function notFound(subject: Subject, name: string): StatusError {
  const what = qualified(subject.group, subject.resource);
  return new StatusError(404, 'NotFound', `${what} "${name}" not found`, about(subject, name));
}

/** The path itself leads nowhere: no such group, version, resource or subresource. */
export function noSuchPath(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function alreadyExists(subject: Subject, name: string): StatusError {
  const what = qualified(subject.group, subject.resource);
  return new StatusError(409, 'AlreadyExists', `${what} "${name}" already exists`, about(subject, name));
}

export function conflict(subject: Subject, name: string, because: string): StatusError {
  const what = qualified(subject.group, subject.resource);
  const message = `Operation cannot be fulfilled on ${what} "${name}": ${because}`;
  return new StatusError(409, 'Conflict', message, about(subject, name));
}

export const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again';

export function forbidden(subject: Subject, name: string, because: string, causes?: Cause[]): StatusError {
  const what = qualified(subject.group, subject.resource);
  const message = `${what}${name === '' ? '' : ` "${name}"`} is forbidden: ${because}`;
  return new StatusError(403, 'Forbidden', message, { ...about(subject, name), ...(causes && { causes }) });
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message);
}

export function internalError(message: string): StatusError {
  return new StatusError(500, 'InternalError', message);
}

export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );
}

export function expired(message: string, listMeta?: Json): StatusError {
  return new StatusError(410, 'Expired', message, undefined, listMeta);
}

export function unsupportedMedia(message: string): StatusError {
  return new StatusError(415, 'UnsupportedMediaType', message);
}

/** One thing wrong with a field. The texts are those of field.Error. */
export interface Fault {
  field: string;
  reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueForbidden'
    | 'FieldValueNotSupported'
    | 'FieldValueDuplicate';
  message: string;
}

const quote = (value: Json): string =>
  typeof value === 'string' || typeof value !== 'object' ? JSON.stringify(value) : JSON.stringify(value);

export const required = (field: string, detail = ''): Fault => ({
  field,
  reason: 'FieldValueRequired',
  message: detail === '' ? 'Required value' : `Required value: ${detail}`,
});

export const invalidValue = (field: string, value: Json, detail: string): Fault => ({
  field,
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${quote(value)}: ${detail}`,
});

export const forbiddenValue = (field: string, detail: string): Fault => ({
  field,
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${detail}`,
});

export const notSupported = (field: string, value: Json, supported: string[]): Fault => ({
  field,
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${quote(value)}: supported values: ${supported.map((it) => JSON.stringify(it)).join(', ')}`,
});

export function invalid(subject: Subject, name: string, faults: Fault[]): StatusError {
  const lines = faults.map((fault) => `${fault.field}: ${fault.message}`);
  const list = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  const message = `${qualified(subject.group, subject.kind)} ${JSON.stringify(name)} is invalid: ${list}`;
  return new StatusError(422, 'Invalid', message, {
    ...(name && { name }),
    ...(subject.group && { group: subject.group }),
    kind: subject.kind,
    causes: faults.map(({ reason, message: text, field }) => ({ reason, message: text, field })),
  });
}
