import type { TwinObject } from '../types.js';
import type { Served } from './kinds.js';

/** Who writes, as metadata.managedFields names it. */
export interface Writer {
  manager: string;
  subresource?: string;
}

export function recordUpdate(_served: Served, _before: TwinObject | undefined, _object: TwinObject, _writer: Writer | undefined, _time: string): void {}
