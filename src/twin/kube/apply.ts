import type { TwinObject } from '../types.js';
import type { Target } from './route.js';
import type { Store, WriteOptions } from './store.js';

export function applyManifest(
  _store: Store,
  _target: Target,
  _manifest: TwinObject,
  _options: WriteOptions & { manager: string; force: boolean },
): { object: TwinObject; created: boolean } {
  throw new Error('todo');
}
