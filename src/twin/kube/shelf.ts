import type { TwinObject } from '../types.js';

/** All objects of one stored kind, in the order in which a real server's storage lists them: by namespace, then by name. */
export class Shelf {
  readonly #objects = new Map<string, TwinObject>();
  readonly #keys: string[] = [];

  static key(namespace: string | undefined, name: string): string {
    return namespace === undefined ? name : `${namespace}/${name}`;
  }

  get size(): number {
    return this.#keys.length;
  }

  get(key: string): TwinObject | undefined {
    return this.#objects.get(key);
  }

  put(key: string, object: TwinObject): void {
    if (!this.#objects.has(key)) this.#keys.splice(this.#place(key), 0, key);
    this.#objects.set(key, object);
  }

  remove(key: string): void {
    if (this.#objects.delete(key)) this.#keys.splice(this.#place(key), 1);
  }

  list(namespace?: string): TwinObject[] {
    const found: TwinObject[] = [];
    const prefix = namespace === undefined ? '' : `${namespace}/`;
    for (let index = this.#place(prefix); index < this.#keys.length; index++) {
      const key = this.#keys[index]!;
      if (!key.startsWith(prefix)) break;
      found.push(this.#objects.get(key)!);
    }
    return found;
  }

  /** the first place whose key isn't below this one */
  #place(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
