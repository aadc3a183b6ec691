/** FNV-1a, 32 bits: names and drawn numbers that depend on their input alone. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0;
}

/** A sequence of numbers from 0 to below 1 that the seed alone decides (mulberry32). */
export function seededRandom(seed: number | string): () => number {
  let state = typeof seed === 'number' ? seed >>> 0 : hash32(seed);
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** The alphabet that Kubernetes draws generated names from: no vowels, no look-alikes (k8s.io/apimachinery:pkg/util/rand). */
const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** Five or more letters that follow from the text, where a real cluster would draw them. */
export function nameSuffix(text: string, length = 5): string {
  const next = seededRandom(text);
  let suffix = '';
  for (let i = 0; i < length; i++) suffix += NAME_LETTERS[Math.floor(next() * NAME_LETTERS.length)];
  return suffix;
}
