import type { Json } from '../types.js';
import { mergePatch } from './patch.js';
import type { Shape } from './shapes.js';

export function strategicPatch(current: Json, patch: Json, _shape: Shape): Json {
  return mergePatch(current, patch);
}
