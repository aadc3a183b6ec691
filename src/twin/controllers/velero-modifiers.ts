import { parse } from 'yaml';
import { jsonPatch, mergePatch, valueAt } from '../kube/patch.js';
import { shapeOf } from '../kube/shapes.js';
import { strategicPatch } from '../kube/strategic.js';
import type { Json, TwinObject } from '../types.js';
import { selects } from './objects.js';

/**
 * Resource modifiers: rules in a ConfigMap that change objects on their way out of a backup.
 *
 * A rule that errors only adds an error; the object goes on without that rule's change.
 *
 * @source vmware-tanzu/velero:internal/resourcemodifiers (version v1)
 */
export interface Modifiers {
  /** @returns the changed object, and what went wrong */
  apply(object: TwinObject, groupResource: string): { object: TwinObject; errors: string[] };
}

const RULE_KEYS: Record<string, string[]> = {
  rule: ['conditions', 'patches', 'mergePatches', 'strategicPatches'],
  conditions: ['groupResource', 'resourceNameRegex', 'namespaces', 'labelSelector', 'matches'],
  patch: ['operation', 'path', 'from', 'value'],
  merge: ['patchData'],
  match: ['path', 'value'],
};

function checkKeys(value: Json, what: string): void {
  for (const key of Object.keys(value ?? {}))
    if (!RULE_KEYS[what]!.includes(key)) throw new RangeError(`unknown field "${key}"`);
}

/** @throws RangeError  in Velero's words, for the validation of a Restore */
export function parseModifiers(data: Record<string, string> | undefined): Modifiers {
  const texts = Object.values(data ?? {});
  if (texts.length !== 1)
    throw new RangeError('illegal resource modifiers configmap: must have exactly one data entry');
  let config: Json;
  try {
    config = parse(texts[0]!);
  } catch (error) {
    throw new RangeError(`failed to decode yaml data into resource modifiers: ${(error as Error).message}`);
  }
  for (const key of Object.keys(config ?? {}))
    if (key !== 'version' && key !== 'resourceModifierRules')
      throw new RangeError(`failed to decode yaml data into resource modifiers: unknown field "${key}"`);
  if (String(config?.version).toLowerCase() !== 'v1')
    throw new RangeError(`unsupported resource modifier version ${config?.version}`);
  const rules: Json[] = config.resourceModifierRules ?? [];
  if (rules.length === 0) throw new RangeError('resource modifier rules cannot be empty');
  for (const rule of rules) checkRule(rule);
  return {
    apply(object, groupResource) {
      const errors: string[] = [];
      const chosen = rules.filter((it) => isMeant(it.conditions, object, groupResource));
      let changed = object;
      for (const rule of chosen) {
        try {
          changed = applyRule(rule, changed, object.kind);
        } catch (error) {
          errors.push((error as Error).message);
        }
      }
      return { object: changed, errors };
    },
  };
}

function checkRule(rule: Json): void {
  checkKeys(rule, 'rule');
  checkKeys(rule.conditions, 'conditions');
  if (!rule.conditions?.groupResource) throw new RangeError('groupkResource cannot be empty');
  for (const it of rule.conditions.matches ?? []) checkKeys(it, 'match');
  for (const it of rule.patches ?? []) {
    checkKeys(it, 'patch');
    if (!['add', 'remove', 'replace', 'test', 'move', 'copy'].includes(it.operation))
      throw new RangeError(`unsupported operation: ${it.operation}`);
    if (!it.path) throw new RangeError('path cannot be empty');
  }
  for (const it of [...(rule.mergePatches ?? []), ...(rule.strategicPatches ?? [])]) checkKeys(it, 'merge');
  const given = ['patches', 'mergePatches', 'strategicPatches'].filter((it) => (rule[it] ?? []).length > 0);
  if (given.length > 1)
    throw new RangeError('only one of patches, mergePatches, strategicPatches can be specified in a rule');
}

const globOf = (text: string): RegExp =>
  new RegExp(
    `^${text
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  );

/** All rules are matched against the object as it was before any of them. */
function isMeant(conditions: Json, object: TwinObject, groupResource: string): boolean {
  const { namespace, name, labels } = object.metadata;
  if ((conditions.namespaces ?? []).length > 0 && !conditions.namespaces.includes(namespace ?? '')) return false;
  if (!globOf(conditions.groupResource).test(groupResource)) return false;
  if (conditions.resourceNameRegex && !new RegExp(conditions.resourceNameRegex).test(name)) return false;
  if (conditions.labelSelector && !selects(conditions.labelSelector, labels)) return false;
  return (conditions.matches ?? []).every((it: Json) => {
    try {
      jsonPatch(object, [{ op: 'test', path: it.path, value: literal(it.value) }]);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * The value of a JSON patch is a string: arrays, objects, numbers, booleans and null are taken as such, all else is a string.
 */
function literal(value: string | undefined): Json {
  if (value === undefined) return undefined;
  if (/^(-?\d+(\.\d+)?|true|false|null)$/.test(value) || /^\s*[[{]/.test(value) || /^".*"$/s.test(value)) {
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  }
  return value;
}

function applyRule(rule: Json, object: TwinObject, kind: string): TwinObject {
  if (rule.mergePatches?.length)
    return rule.mergePatches.reduce((it: Json, { patchData }: Json) => mergePatch(it, parseData(patchData)), object);
  if (rule.strategicPatches?.length)
    return rule.strategicPatches.reduce(
      (it: Json, { patchData }: Json) => strategicPatch(it, parseData(patchData), shapeOf(kind)),
      object,
    );
  let changed: Json = object;
  for (const { operation, path, from, value } of rule.patches ?? []) {
    try {
      // Velero's library wants something to replace; that of API servers does not.
      if (operation === 'replace') valueAt(changed, path);
      changed = jsonPatch(changed, [
        {
          op: operation,
          path,
          ...(from ? { from } : {}),
          ...(value === undefined ? {} : { value: literal(String(value)) }),
        },
      ]);
    } catch (error) {
      // A test that fails means that the rule is not for this object.
      if (operation === 'test') return object;
      throw error;
    }
  }
  return changed;
}

const parseData = (text: string): Json => parse(text);
