import { createHash } from 'node:crypto';
import { parseAllDocuments } from 'yaml';
import { passageIn, type Passage } from './arriving.js';
import { conversionTo, CONVERSIONS } from './convert.js';
import { MigrateError } from './errors.js';
import { isTemplate } from './manifests.js';
import type { NamedRule } from './modifiers.js';
import { kindOf, pathOf } from './objects.js';
import type { One } from './passing.js';
import type { KubeObject, ManifestFile, ServedKind } from './ports.js';
import { hideIn } from './redact.js';

/** Rendered manifests, of a folder, of Kustomize or of `helm template`, as objects that are put to the target. */

/** What others need comes first; what asks others, last. @source helm/helm:pkg/release/util/kind_sorter.go (InstallOrder) */
const ORDER: readonly string[] = [
  'Namespace',
  'CustomResourceDefinition',
  'PriorityClass',
  'NetworkPolicy',
  'ResourceQuota',
  'LimitRange',
  'ServiceAccount',
  'Secret',
  'ConfigMap',
  'StorageClass',
  'PersistentVolumeClaim',
  'ClusterRole',
  'ClusterRoleBinding',
  'Role',
  'RoleBinding',
  'Service',
  'DaemonSet',
  'Deployment',
  'StatefulSet',
];
const LAST = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];

const rank = ({ kind }: KubeObject): number => {
  if (LAST.includes(kind)) return ORDER.length + 1;
  const at = ORDER.indexOf(kind);
  return at < 0 ? ORDER.length : at;
};

/** @throws MigrateError MANIFESTS_INVALID */
export function parsedManifests(files: readonly ManifestFile[], from: string): KubeObject[] {
  const objects = files.flatMap((file) => inFile(file)).toSorted((a, b) => rank(a) - rank(b));
  const seen = new Set<string>();
  for (const object of objects) {
    const key = `${kindOf(object)} ${pathOf(object.metadata)}`;
    if (seen.has(key)) throw invalid(`${from} has ${key} twice`, 'Only one of them can be meant.');
    seen.add(key);
  }
  if (objects.length === 0)
    throw invalid(`${from} holds no manifest`, 'There is no object with apiVersion and kind in its files.');
  return objects;
}

function inFile({ file, text }: ManifestFile): KubeObject[] {
  if (isTemplate(text)) throw invalid(`${file} is a template`, 'Its text becomes a manifest only when it is rendered.');
  return parseAllDocuments(text).flatMap((document) => {
    if ('errors' in document && document.errors.length > 0)
      throw invalid(`${file} is no YAML`, hideIn(document.errors[0]?.message.split('\n')[0] ?? ''));
    return flat(document.toJS() as KubeObject | null, file);
  });
}

function flat(object: KubeObject | null, file: string): KubeObject[] {
  if (object === null || typeof object !== 'object') return [];
  if (object.kind?.endsWith('List') && Array.isArray(object['items']))
    return (object['items'] as KubeObject[]).flatMap((it) => flat(it, file));
  // Values files and kustomizations lie beside manifests.
  if (typeof object.apiVersion !== 'string' || typeof object.kind !== 'string' || object.kind === 'Kustomization')
    return [];
  if (typeof object.metadata?.name !== 'string')
    throw invalid(
      `${file} has a ${object.kind} without a name`,
      'An object that is applied needs one; generateName is for creates.',
    );
  return [object];
}

const invalid = (what: string, why: string) =>
  new MigrateError('MANIFESTS_INVALID', {
    what: `${what}.`,
    why,
    fix: 'Render them with `kustomize build` or `helm template` into the folder that `data.manifests` names; then run again.',
  });

/** What the digest of a step's before is made of: whether files have changed since. */
export const digestOfFiles = (files: readonly ManifestFile[]): string =>
  files
    .reduce((hash, { file, text }) => hash.update(file).update('\0').update(text), createHash('sha256'))
    .digest('hex');

export interface Rendered {
  it: One;
  /** as the file has it, in its namespace */
  original: KubeObject;
  /** as it is applied */
  object: KubeObject;
}

/**
 * Each object as it goes to the target: in a version that is served there, in its namespace, inert by the same rules.
 *
 * @throws MigrateError MANIFESTS_INVALID  a namespace that is not moved, a kind that the target does not serve, a rule that fails
 */
export function renderedFor(
  objects: readonly KubeObject[],
  namespaces: readonly string[],
  rules: readonly NamedRule[],
  served: readonly ServedKind[],
): Rendered[] {
  const defined = objects.filter((it) => it.kind === 'CustomResourceDefinition').map(definedBy);
  return objects.map((given) => {
    const found =
      placeOf(given, served) ??
      defined.find((it) => it?.kind === given.kind && given.apiVersion.startsWith(`${it.group}/`));
    if (!found)
      throw invalid(
        `The target does not serve ${given.kind} of ${given.apiVersion}`,
        `${given.kind} ${pathOf(given.metadata)} could not be applied.`,
      );
    const original = inNamespace(given, found.namespaced, namespaces);
    const to = found.to ?? given.apiVersion;
    const resource = found.group ? `${found.resource}.${found.group}` : found.resource;
    const kind = kindOf(original);
    const ref = { kind: kindOf({ apiVersion: to, kind: original.kind }), ...pathParts(original) };
    const it: One = { kind, to, from: { kind, ...pathParts(original) }, ref, resource };
    const passage: Passage = { rules, inventory: NOTHING, values: 'whole', keepNodePorts: true };
    const { object, failed } = passageIn(original, it, passage);
    if (failed[0])
      throw invalid(`${failed[0].rule} does not apply to ${kind} ${pathOf(original.metadata)}`, failed[0].why);
    return { it, original, object: asleep(object) };
  });
}

const NOTHING: Passage['inventory'] = {
  source: { served: [], objects: {} } as never,
  target: { served: [], objects: {} } as never,
};

const pathParts = ({ metadata: { namespace, name } }: KubeObject) => ({
  ...(namespace !== undefined && { namespace }),
  name,
});

function placeOf({ apiVersion, kind }: KubeObject, served: readonly ServedKind[]) {
  const at = (version: string) =>
    served.find((it) => it.kind === kind && (it.group ? `${it.group}/${it.version}` : it.version) === version);
  const direct = at(apiVersion);
  if (direct) return { ...direct, to: apiVersion };
  const conversion = CONVERSIONS.find(
    (it) => it.kind.startsWith(`${kind}.`) && it.from.includes(apiVersion) && at(it.to),
  );
  const there = conversion && at(conversion.to);
  return there && conversionTo(conversion.kind, conversion.to) && { ...there, to: conversion.to };
}

const definedBy = (definition: KubeObject) => {
  const { group, names, scope } = (definition['spec'] ?? {}) as {
    group?: string;
    scope?: string;
    names?: { kind: string; plural: string };
  };
  return group !== undefined && names
    ? { group, kind: names.kind, resource: names.plural, namespaced: scope === 'Namespaced', to: undefined }
    : undefined;
};

function inNamespace(object: KubeObject, namespaced: boolean, namespaces: readonly string[]): KubeObject {
  const { namespace, ...metadata } = object.metadata;
  if (!namespaced) {
    if (object.kind === 'Namespace' && !namespaces.includes(metadata.name))
      throw invalid(
        `Namespace ${metadata.name} is not among \`data.namespaces\``,
        'Nothing is applied outside the namespaces that move.',
      );
    return { ...object, metadata };
  }
  const own = namespace ?? (namespaces.length === 1 ? namespaces[0] : undefined);
  if (own === undefined)
    throw invalid(
      `${object.kind} ${metadata.name} names no namespace`,
      'The playbook moves several: it is not clear which is meant.',
    );
  if (!namespaces.includes(own))
    throw invalid(
      `${object.kind} ${own}/${metadata.name} lies outside \`data.namespaces\``,
      'Nothing is applied outside the namespaces that move.',
    );
  return { ...object, metadata: { ...metadata, namespace: own } };
}

const LB_ID = /loadbalancer-(?:id|vgroup-port)$/;

/** A Service of a load balancer that no rule has bound must not get an address of its own by arriving. */
function asleep(object: KubeObject): KubeObject {
  if (object.kind !== 'Service' || object['spec']?.type !== 'LoadBalancer') return object;
  if (Object.keys(object.metadata.annotations ?? {}).some((it) => LB_ID.test(it))) return object;
  const {
    externalTrafficPolicy: _policy,
    loadBalancerIP: _ip,
    allocateLoadBalancerNodePorts: _ports,
    ...spec
  } = object['spec'] as Record<string, unknown>;
  return { ...object, spec: { ...spec, type: 'ClusterIP' } };
}
