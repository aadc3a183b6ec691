import type { KubeObject } from './ports.js';

/**
 * Parts of an object by the paths of its fields, in the order in which JSON nests them: `spec.replicas`, `spec.ports.nodePort` (of each
 * element of a list), `metadata.labels[velero.io/exclude-from-backup]`. apiVersion, kind, name, namespace and owners are always there.
 */
export type FieldTree = { readonly [name: string]: FieldTree | true };

const ALWAYS: readonly string[] = ['metadata.ownerReferences'];

/** A longer path under a shorter one adds nothing. */
export function treeOf(paths: readonly string[]): FieldTree {
  const root: Record<string, unknown> = {};
  for (const path of [...ALWAYS, ...paths]) {
    const names = [...path.matchAll(/[^.[\]]+(?=[.[]|$)|\[([^\]]+)\]/g)].map(([whole, inside]) => inside ?? whole);
    let here = root;
    for (const [index, name] of names.entries()) {
      if (here[name] === true) break;
      if (index === names.length - 1) here[name] = true;
      else here = (here[name] ??= {}) as Record<string, unknown>;
    }
  }
  return root as FieldTree;
}

/** For what is there but of no interest, such as a container without a probe; one for all. */
const NOTHING = Object.freeze({});

/** What is equal in many objects, held once. The objects that share it must not be changed. */
export class Shared {
  readonly #known = new Map<string, unknown>();

  /** The first that was equal to it, as far as it is remembered. */
  of<T>(value: T): T {
    const isText = typeof value === 'string';
    if (!isText && (value === null || typeof value !== 'object')) return value;
    const key = isText ? (value as string) : JSON.stringify(value);
    if (key.length > LONGEST) return value;
    const known = this.#known.get(key);
    // A text can look like the JSON of something else.
    if (known !== undefined && typeof known === typeof value) return known as T;
    if (this.#known.size >= MOST) this.#known.clear();
    this.#known.set(key, value);
    return value;
  }
}

const LONGEST = 1000;
/** When there are more they are forgotten, and what is common is soon known again. */
const MOST = 2000;

/** The object with no more than these fields. */
export function project(object: KubeObject, tree: FieldTree, shared: Shared): KubeObject {
  const { name, namespace } = object.metadata;
  const { metadata: ofMetadata, spec: ofSpec, ...others } = tree;
  const [apiVersion, kind] = [shared.of(object.apiVersion), shared.of(object.kind)];
  const metadata: KubeObject['metadata'] =
    namespace === undefined ? { name: shared.of(name) } : { name: shared.of(name), namespace: shared.of(namespace) };
  if (ofMetadata !== undefined) Object.assign(metadata, part(object.metadata, ofMetadata, shared));
  const spec = ofSpec === undefined ? undefined : shared.of(part(object['spec'], ofSpec, shared));
  // Each in one piece: a field that comes later takes a second one, and there are as many of these as there are objects.
  const slim: KubeObject = spec === undefined ? { apiVersion, kind, metadata } : { apiVersion, kind, metadata, spec };
  return Object.assign(slim, part(object, others, shared));
}

function part(value: unknown, tree: FieldTree | true, shared: Shared): unknown {
  if (tree === true) return leaf(value, shared);
  if (Array.isArray(value)) return value.map((it) => part(it, tree, shared) ?? NOTHING);
  if (value === null || typeof value !== 'object') return value;
  let kept: Record<string, unknown> | undefined;
  for (const name in tree) {
    const inner = part((value as Record<string, unknown>)[name], tree[name] ?? true, shared);
    if (inner !== undefined) (kept ??= {})[name] = shared.of(inner);
  }
  return kept;
}

/** All of it; its texts, such as the values of labels, may well be those of others. */
function leaf(value: unknown, shared: Shared): unknown {
  if (value === null || typeof value !== 'object') return shared.of(value);
  if (Array.isArray(value)) return value.map((it) => leaf(it, shared));
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, leaf(inner, shared)]));
}
