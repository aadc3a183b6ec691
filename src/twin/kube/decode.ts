import type { Json, TwinObject } from '../types.js';
import { badRequest } from './errors.js';
import { isMap } from './json.js';
import type { Served } from './kinds.js';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const typeName = (value: Json): string =>
  Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;

/**
 * Refuses the mistakes of type that people make most: numbers among labels, annotations and data, and data of a Secret that isn't
 * base64. A real server refuses every value of a wrong type.
 *
 * @throws StatusError 400
 */
export function checkTypes(served: Served, object: TwinObject): void {
  const refuse = (detail: string): never => {
    throw badRequest(`${served.kind} in version "${served.version}" cannot be handled as a ${served.kind}: ${detail}`);
  };
  const strings = (value: Json, field: string): void => {
    if (value === undefined || value === null) return;
    if (!isMap(value))
      refuse(`json: cannot unmarshal ${typeName(value)} into Go struct field ${field} of type map[string]string`);
    for (const it of Object.values(value)) {
      if (typeof it !== 'string' && it !== null)
        refuse(`json: cannot unmarshal ${typeName(it)} into Go struct field ${field} of type string`);
    }
  };
  strings(object.metadata?.labels, 'ObjectMeta.metadata.labels');
  strings(object.metadata?.annotations, 'ObjectMeta.metadata.annotations');
  if (served.stored.key === '/configmaps') strings(object['data'], 'ConfigMap.data');
  if (served.stored.key !== '/secrets') return;
  strings(object['data'], 'Secret.data');
  for (const value of Object.values(object['data'] ?? {})) {
    if (typeof value === 'string' && !BASE64.test(value)) refuse('illegal base64 data at input byte 0');
  }
}
