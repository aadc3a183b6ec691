import type { Json, TwinObject } from '../types.js';
import type { Served } from './kinds.js';

/** Another form in which objects are shown than as themselves. */
export interface View {
  one(object: TwinObject): Json;
  many(objects: TwinObject[], metadata: Json): Json;
}

/** @param accept  the header: the first form in it that we know wins */
export function viewOf(_served: Served, _accept: string, _query: URLSearchParams): View | undefined {
  return undefined;
}
