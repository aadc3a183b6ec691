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

/** The object with no more than these fields; equal texts and empty parts are shared through `texts`. */
export function project(object: KubeObject, tree: FieldTree, texts: Map<string, string>): KubeObject {
  const { name, namespace } = object.metadata;
  const { metadata, ...rest } = tree;
  const kept = (metadata === undefined ? undefined : part(object.metadata, metadata, texts)) as object | undefined;
  const body = part(object, rest, texts) as object;
  return {
    apiVersion: shared(object.apiVersion, texts),
    kind: shared(object.kind, texts),
    metadata: { name, ...(namespace !== undefined && { namespace: shared(namespace, texts) }), ...kept },
    ...body,
  };
}

function part(value: unknown, tree: FieldTree | true, texts: Map<string, string>): unknown {
  if (tree === true) return typeof value === 'string' ? shared(value, texts) : value;
  if (Array.isArray(value)) return value.map((it) => part(it, tree, texts));
  if (value === null || typeof value !== 'object') return value;
  let kept: Record<string, unknown> | undefined;
  for (const name in tree) {
    const inner = (value as Record<string, unknown>)[name];
    if (inner !== undefined) (kept ??= {})[name] = part(inner, tree[name] ?? true, texts);
  }
  return kept ?? NOTHING;
}

function shared(text: string, texts: Map<string, string>): string {
  const known = texts.get(text);
  if (known !== undefined) return known;
  if (texts.size < 10_000) texts.set(text, text);
  return text;
}
