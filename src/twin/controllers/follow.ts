import type { ClusterApi, TwinObject, WatchEvent } from '../types.js';

/** A local copy of every object of one kind, kept by a watch. Its objects are shared: never change them in place. */
export interface Followed {
  /** in the order of namespace and name */
  all(namespace?: string): TwinObject[];
  get(namespace: string | undefined, name: string): TwinObject | undefined;
  /** Takes in the answer to a write of one's own ahead of its watch event. */
  note(object: TwinObject): void;
  stop(): void;
}

export const keyOf = (object: TwinObject): string => `${object.metadata.namespace ?? ''}/${object.metadata.name}`;

/** @returns namespace (undefined for none) and name of a key made by `keyOf` */
export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf('/');
  return { namespace: slash === 0 ? undefined : key.slice(0, slash), name: key.slice(slash + 1) };
}

const isOlder = (a: TwinObject, b: TwinObject): boolean =>
  a.metadata.uid === b.metadata.uid && Number(a.metadata.resourceVersion) < Number(b.metadata.resourceVersion);

/** An empty copy, for kinds that the server does not serve. */
const NOTHING: Followed = { all: () => [], get: () => undefined, note: () => {}, stop: () => {} };

/**
 * @param on  told of each change, with the object as it was before; the copy is up to date by then
 */
export async function follow(
  api: ClusterApi,
  resource: string,
  on: (event: WatchEvent, before: TwinObject | undefined) => void = () => {},
): Promise<Followed> {
  if (!api.serves(resource)) return NOTHING;
  const objects = new Map<string, TwinObject>();
  let sorted: TwinObject[] | undefined;
  let stopped = false;

  const put = (object: TwinObject): void => {
    const key = keyOf(object);
    const known = objects.get(key);
    if (known && isOlder(object, known)) return;
    objects.set(key, object);
    sorted = undefined;
  };

  const stop = await api.watch(resource, (event) => {
    if (stopped) return;
    const key = keyOf(event.object);
    const before = objects.get(key);
    if (event.type !== 'DELETED') put(event.object);
    else if (before?.metadata.uid === event.object.metadata.uid) {
      objects.delete(key);
      sorted = undefined;
    }
    on(event, before);
  });

  return {
    all(namespace) {
      sorted ??= [...objects.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
      return namespace === undefined ? sorted : sorted.filter((it) => it.metadata.namespace === namespace);
    },
    get: (namespace, name) => objects.get(`${namespace ?? ''}/${name}`),
    note: put,
    stop() {
      stopped = true;
      stop();
    },
  };
}
