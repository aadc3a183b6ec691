import type { Json, TwinObject } from '../types.js';
import { badRequest, invalid, invalidValue } from './errors.js';
import { at, cloneJson, putAt } from './json.js';
import type { Served } from './kinds.js';
import { selectorText } from './selectors.js';

/** @returns the object's autoscaling/v1 Scale */
export function readScale(served: Served, object: TwinObject): Json {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const { replicas, statusReplicas, selector } = served.scale!;
  const chosen = selector === undefined ? undefined : at(object, selector);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: at(object, replicas) ? { replicas: at(object, replicas) } : {},
    status: {
      replicas: at(object, statusReplicas) ?? 0,
      ...(chosen !== undefined && { selector: typeof chosen === 'string' ? chosen : selectorText(chosen) }),
    },
  };
}

/** @returns the object with the replicas that a Scale wants */
export function writeScale(served: Served, object: TwinObject, scale: Json): TwinObject {
  const replicas = scale?.spec?.replicas ?? 0;
  if (!Number.isInteger(replicas)) throw badRequest('spec.replicas is not a number');
  if (replicas < 0) {
    const subject = { group: 'autoscaling', kind: 'Scale', resource: 'scales' };
    throw invalid(subject, object.metadata.name, [
      invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'),
    ]);
  }
  const copy = cloneJson(object);
  putAt(copy, served.scale!.replicas, replicas);
  copy.metadata.resourceVersion = scale.metadata?.resourceVersion ?? copy.metadata.resourceVersion;
  return copy;
}
