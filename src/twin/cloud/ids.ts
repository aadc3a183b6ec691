import { createHash } from 'node:crypto';

/**
 * Ids that depend on what is created, never on when: the same disk's first snapshot of a name has the same id in every run of a
 * seed, also when other calls came in between or in another order. An id is never given twice: the next one of equal key counts on.
 */
export type Ids = (prefix: string, ...key: string[]) => string;

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';
const LENGTH = 17;

export function hashText(length: number, ...parts: (string | number)[]): string {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest();
  let text = '';
  for (let i = 0; i < length; i++) text += ALPHABET[digest[i % digest.length]! % ALPHABET.length];
  return text;
}

export function idSource(seedNumber: number): Ids {
  const given = new Map<string, number>();
  return (prefix, ...key) => {
    const name = JSON.stringify([prefix, ...key]);
    const nth = given.get(name) ?? 0;
    given.set(name, nth + 1);
    return `${prefix}-${hashText(LENGTH, seedNumber, name, nth)}`;
  };
}

/** An address out of one of the ranges that the cloud hands out, equal for equal keys. */
export function addressFrom(prefix: string, ...key: (string | number)[]): string {
  const digest = createHash('sha256').update(JSON.stringify(key)).digest();
  return `${prefix}.${digest[0]! % 256}.${1 + (digest[1]! % 254)}`;
}
