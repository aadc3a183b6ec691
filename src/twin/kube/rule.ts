import type { Json, TwinObject } from '../types.js';
import type { Fault } from './errors.js';
import type { Store } from './store.js';

/** What a kind adds to the common course of a write. Each step may change the object it gets. */
export interface Rules {
  /** a client's status is taken over on create */
  keepsStatus?: boolean;
  /** before defaults, on create: what a new object starts with */
  create?(object: TwinObject, store: Store): void;
  /** fills in what was left out, on create and update */
  defaults?(object: TwinObject, store: Store): void;
  /** before defaults, on update: what stays as it was */
  update?(object: TwinObject, before: TwinObject, store: Store): void;
  check?(object: TwinObject, before: TwinObject | undefined, store: Store): Fault[];
  /** what a write to the status is completed by */
  status?(object: TwinObject, store: Store): void;
  /** deletion is not noted with a grace period */
  noGrace?: boolean;
  /** takes addresses and ports; after the check */
  allocate?(object: TwinObject, before: TwinObject | undefined, store: Store): void;
  /** what else the first request for deletion changes; a finalizer that it adds holds the object */
  deleting?(object: TwinObject, store: Store): void;
  /** what an object that is put in with a whole world gets at once, rather than by a controller */
  seed?(object: TwinObject, store: Store): void;
}

export const IMMUTABLE = 'field is immutable';

/** Sets what isn't there. */
export const fill = (map: Json, defaults: Record<string, Json>): void => {
  for (const [key, value] of Object.entries(defaults)) if (map[key] === undefined) map[key] = value;
};

/** A new object's status, whatever its client sent. */
export const emptyStatus =
  (status: Json = {}) =>
  (object: TwinObject): void => {
    object['status'] = { ...status };
  };
