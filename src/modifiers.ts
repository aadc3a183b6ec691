import type { KubeObject } from './ports.js';

/**
 * Velero's resource modifiers, carried out by us: on the objects of the plan first, because Velero reports a rule that fails as one error
 * among others and creates the object UNMODIFIED, a Service with its old load balancer for instance.
 *
 * @source vmware-tanzu/velero:internal/resourcemodifiers (version v1), and runs of 1.18.3
 */
export interface RestoreRules {
  version: 'v1';
  resourceModifierRules: Rule[];
}

export interface Rule {
  conditions: {
    /** `deployments.apps`; may be a glob */
    groupResource: string;
    resourceNameRegex?: string;
    /** the original ones; none means all */
    namespaces?: string[];
    labelSelector?: { matchLabels?: Record<string, string> };
    /** all must hold: the value at a JSON pointer */
    matches?: { path: string; value?: string }[];
  };
  /** JSON */
  mergePatches?: { patchData: string }[];
  /** JSON patch; values are texts */
  patches?: Patch[];
}

interface Patch {
  operation: 'add' | 'remove' | 'replace' | 'test' | 'move' | 'copy';
  path: string;
  from?: string;
  value?: string;
}

/** A rule and what an operator calls it. */
export interface NamedRule {
  name: string;
  rule: Rule;
}

export interface FieldChange {
  /** `spec.replicas` */
  path: string;
  /** absent: it was not there */
  from?: unknown;
  /** absent: it goes */
  to?: unknown;
  /** name of the rule, or of the conversion */
  by: string;
}

export interface Modified {
  object: KubeObject;
  changes: FieldChange[];
  /** rules that would not apply, and why */
  failed: { rule: string; why: string }[];
}

/** All rules are chosen by the object as it was before any of them, and applied in order. */
export function modify(object: KubeObject, groupResource: string, rules: readonly NamedRule[]): Modified {
  const chosen = rules.filter(({ rule }) => isMeant(rule.conditions, object, groupResource));
  const done: Modified = { object, changes: [], failed: [] };
  for (const { name, rule } of chosen) {
    try {
      const after = applied(rule, done.object);
      done.changes.push(...changesOf(done.object, after).map((it) => ({ ...it, by: name })));
      done.object = after;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      done.failed.push({ rule: name, why: error.message });
    }
  }
  return done;
}

export function isMeant(conditions: Rule['conditions'], object: KubeObject, groupResource: string): boolean {
  const { namespaces = [], resourceNameRegex, labelSelector, matches = [] } = conditions;
  const { namespace = '', name, labels = {} } = object.metadata;
  return (
    globOf(conditions.groupResource).test(groupResource) &&
    (namespaces.length === 0 || namespaces.includes(namespace)) &&
    (resourceNameRegex === undefined || new RegExp(resourceNameRegex).test(name)) &&
    Object.entries(labelSelector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    matches.every(({ path, value }) => {
      const there = find(object, pointer(path));
      return there !== undefined && JSON.stringify(there) === JSON.stringify(literal(value));
    })
  );
}

const globOf = (text: string) =>
  new RegExp(
    `^${text
      .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  );

/** @throws RangeError  a path is not there, or a value can't be read */
function applied(rule: Rule, object: KubeObject): KubeObject {
  if (rule.mergePatches) {
    return rule.mergePatches.reduce<KubeObject>((it, { patchData }) => mergePatch(it, parsed(patchData)), object);
  }
  let changed: unknown = structuredClone(object);
  for (const it of rule.patches ?? []) {
    if (it.operation === 'test') {
      // One that fails means that the rule is not for this object.
      if (JSON.stringify(find(changed, pointer(it.path))) !== JSON.stringify(literal(it.value))) return object;
    } else changed = patched(changed, it);
  }
  return changed as KubeObject;
}

function parsed(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch {
    throw new RangeError(`its patch is not JSON: ${text.slice(0, 80)}`);
  }
}

function patched(document: unknown, { operation, path, from, value }: Patch): unknown {
  const at = pointer(path);
  switch (operation) {
    case 'add':
      return put(document, at, literal(value), 'add');
    case 'replace':
      return put(document, at, literal(value), 'replace');
    case 'remove':
      return put(document, at, undefined, 'remove');
    case 'copy':
    case 'move': {
      const source = pointer(from ?? '');
      const moved = find(document, source);
      if (moved === undefined) throw missing(source);
      const rest = operation === 'move' ? put(document, source, undefined, 'remove') : document;
      return put(rest, at, structuredClone(moved), 'add');
    }
    case 'test':
      return document;
    default:
      return operation satisfies never;
  }
}

const missing = (path: readonly string[]) => new RangeError(`there is no /${path.join('/')}`);

/** Changes the document that it is given: a copy of its own. */
function put(document: unknown, path: readonly string[], value: unknown, how: 'add' | 'replace' | 'remove'): unknown {
  const parent = find(document, path.slice(0, -1));
  const key = path.at(-1) ?? '';
  if (Array.isArray(parent)) {
    const index = key === '-' ? parent.length : Number(key);
    const limit = how === 'add' ? parent.length : parent.length - 1;
    if (!Number.isInteger(index) || index < 0 || index > limit) throw missing(path);
    if (how === 'add') parent.splice(index, 0, value);
    else if (how === 'replace') parent[index] = value;
    else parent.splice(index, 1);
  } else if (parent !== null && typeof parent === 'object') {
    const map = parent as Record<string, unknown>;
    if (how !== 'add' && !(key in map)) throw missing(path);
    if (how === 'remove') delete map[key];
    else map[key] = value;
  } else throw missing(path);
  return document;
}

const pointer = (text: string): string[] =>
  text
    .split('/')
    .slice(1)
    .map((it) => it.replaceAll('~1', '/').replaceAll('~0', '~'));

function find(document: unknown, path: readonly string[]): unknown {
  let here = document;
  for (const key of path) {
    if (here === null || typeof here !== 'object') return undefined;
    here = (here as Record<string, unknown>)[key];
  }
  return here;
}

/** A value is a text: lists, maps, numbers, booleans and null are taken as such, all else is a text. */
function literal(value: string | undefined): unknown {
  if (value === undefined) return null;
  if (/^(-?\d+(\.\d+)?|true|false|null)$/.test(value) || /^\s*[[{]/.test(value) || /^".*"$/s.test(value)) {
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  }
  return value;
}

/** @source RFC 7386 */
export function mergePatch<T extends object>(target: T, patch: object): T {
  const merged: Record<string, unknown> = { ...(target as Record<string, unknown>) };
  for (const [key, value] of Object.entries(patch)) {
    const now = merged[key];
    if (value === null) delete merged[key];
    else if (!isPlain(value)) merged[key] = value;
    else merged[key] = mergePatch(isPlain(now) ? now : {}, value);
  }
  return merged as T;
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields in which two objects differ, each by its path; a list of one length is looked into, any other is one field. */
export function changesOf(before: unknown, after: unknown, at = ''): Omit<FieldChange, 'by'>[] {
  if (before === after) return [];
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((it, index) => changesOf(it, after[index], `${at}[${index}]`));
  }
  if (isPlain(before) && isPlain(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => changesOf(before[key], after[key], at ? `${at}.${named(key)}` : key));
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  return [{ path: at, ...(before !== undefined && { from: before }), ...(after !== undefined && { to: after }) }];
}

const named = (key: string) => (/^[\w-]+$/.test(key) ? key : `[${key}]`);
