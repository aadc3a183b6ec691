import type { KubeObject } from '../src/ports.js';

const SHORT: Record<string, string> = { PersistentVolumeClaim: 'pvc', PersistentVolume: 'pv' };

/** `pvc shop/orders`, `ingress shop/legacy`, `node cn-hangzhou.i-1`: the words by which findings and waivers name an object. */
export const about = ({ kind, metadata }: Pick<KubeObject, 'kind' | 'metadata'>): string =>
  `${SHORT[kind] ?? kind.toLowerCase()} ${metadata.namespace ? `${metadata.namespace}/` : ''}${metadata.name}`;

/** At most so many names, then how many more there are. */
export function some(names: readonly string[], most = 4): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
