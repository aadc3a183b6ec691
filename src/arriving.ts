import { structural } from './conversions.js';
import { conversionFor, conversionTo, type Route } from './convert.js';
import type { Inventory } from './inventory.js';
import { changesOf, type FieldChange, modify, type Modified, type NamedRule } from './modifiers.js';
import { groupOf, kindOf } from './objects.js';
import type { One } from './passing.js';
import type { Kind, KubeObject } from './ports.js';
import { hasTwin, NEVER_TRAVELS, travels } from './travel.js';

/** Objects as they will arrive in the target: without what one server wrote into them, converted where nothing else helps, and asleep. Pure. */

/** By what objects are changed on the way. */
export interface Passage {
  rules: readonly NamedRule[];
  inventory: Pick<Inventory, 'source' | 'target'>;
  keepNodePorts?: boolean;
  /** `whole`: values of Secrets go with them; else blanks stand in their place */
  values?: 'whole';
}

/** Whether objects of the kind are brought at all, by the restore or by us. */
export const isBrought = (kind: Kind, { source }: Inventory): boolean =>
  !NEVER_TRAVELS.has(kind) && !hasTwin(kind, source);

/**
 * @param object  as the source gives it out in the version that it prefers, which is what a backup stores
 * @returns undefined for one that stays behind
 */
export const arriving = (object: KubeObject, passage: Passage): KubeObject | undefined =>
  arrival(object, passage)?.object;

/** The same, with each field that changes on the way and by what. */
export function arrival(object: KubeObject, passage: Passage): Modified | undefined {
  const { source, target } = passage.inventory;
  const kind = kindOf(object);
  if (!travels(kind, object)) return undefined;
  const conversion = conversionFor(kind, source, target);
  const to = conversion?.to ?? object.apiVersion;
  const resource = resourceOf({ apiVersion: to, kind: object.kind }, passage.inventory);
  return passed(object, { to, resource, ...(conversion && { conversion }) }, passage);
}

/** Of an object that no namespace holds, by the route that the plan gives it. */
export const passageIn = (
  object: KubeObject,
  { kind, to, resource }: Pick<One, 'kind' | 'to' | 'resource'>,
  passage: Passage,
): Modified => {
  const conversion = object.apiVersion === to ? undefined : conversionTo(kind, to);
  return passed(object, { to, resource, ...(conversion && { conversion }) }, passage);
};

/** What becomes of an object by a known route: without traces, converted, then changed by the rules. */
export function passed(
  object: KubeObject,
  { to, resource, conversion }: Route,
  { rules, ...how }: Omit<Passage, 'inventory'>,
): Modified {
  const bare = withoutTraces(object, how);
  const converted = conversion ? conversion.convert(bare) : bare;
  const before: FieldChange[] = conversion
    ? changesOf(bare, converted).map((it) => ({ ...it, by: `conversion to ${to}` }))
    : [];
  const { changes, ...modified } = modify(converted, resource, rules);
  return { ...modified, changes: [...before, ...changes] };
}

/** `deployments.apps`, as the target has it; the source where the target does not serve the kind. */
export function resourceOf(
  { apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>,
  { source, target }: Pick<Inventory, 'source' | 'target'>,
): string {
  const group = groupOf(apiVersion);
  const found = [...target.served, ...source.served].find((it) => it.kind === kind && it.group === group);
  const resource = found?.resource ?? '';
  return group ? `${resource}.${group}` : resource;
}

/**
 * What Velero takes off each object, and what its own actions take off Services.
 * @source vmware-tanzu/velero:pkg/restore/restore.go (resetMetadata), pkg/restore/actions/service_action.go
 */
function withoutTraces(
  { apiVersion, kind, metadata, status: _status, ...rest }: KubeObject,
  { values, keepNodePorts }: Pick<Passage, 'values' | 'keepNodePorts'>,
): KubeObject {
  const { name, namespace, labels, annotations, finalizers } = metadata;
  const object: KubeObject = {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(finalizers && { finalizers }),
    },
    ...rest,
  };
  if (kind === 'Secret' && apiVersion === 'v1' && values !== 'whole') return withoutValues(object);
  if (kind === 'Service' && apiVersion === 'v1') return withoutAddresses(object, keepNodePorts === true);
  if (kind === 'ServiceAccount' && apiVersion === 'v1') return withoutTokens(object);
  if (kind === 'PersistentVolumeClaim') return withoutBinding(object);
  if (apiVersion === 'apiextensions.k8s.io/v1' && kind === 'CustomResourceDefinition') return structural(object);
  return object;
}

function withoutAddresses(object: KubeObject, keepNodePorts: boolean): KubeObject {
  const {
    clusterIP,
    clusterIPs: _ips,
    healthCheckNodePort,
    ports,
    ...spec
  } = (object['spec'] ?? {}) as Record<string, unknown>;
  const drawn = ((ports ?? []) as Record<string, unknown>[]).map(({ nodePort, ...port }) => ({
    ...port,
    ...(keepNodePorts && nodePort !== undefined && { nodePort }),
  }));
  return {
    ...object,
    spec: {
      ...spec,
      ...(ports !== undefined && { ports: drawn }),
      ...(keepNodePorts && healthCheckNodePort !== undefined && { healthCheckNodePort }),
      ...(clusterIP === 'None' && { clusterIP }),
    },
  };
}

/** Tokens that the old cluster signed mean nothing in the new one. @source vmware-tanzu/velero:pkg/restore/actions/service_account_action.go */
function withoutTokens(object: KubeObject): KubeObject {
  const { secrets, ...rest } = object;
  const others = ((secrets ?? []) as { name: string }[]).filter(
    (it) => !it.name.startsWith(`${object.metadata.name}-token-`),
  );
  return { ...rest, ...(others.length > 0 && { secrets: others }) };
}

const BINDING =
  /^(pv\.kubernetes\.io\/(bind-completed|bound-by-controller)|volume\.(beta\.)?kubernetes\.io\/(selected-node|storage-provisioner))$/;

/** @source vmware-tanzu/velero:pkg/restore/restore.go (resetVolumeBindingInfo) */
function withoutBinding(object: KubeObject): KubeObject {
  const { annotations, ...metadata } = object.metadata;
  const kept = Object.entries(annotations ?? {}).filter(([key]) => !BINDING.test(key));
  return { ...object, metadata: { ...metadata, ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }) } };
}

/** The server looks at the keys of a Secret, and of some types at the form of the value; the values themselves need go nowhere. */
function withoutValues(object: KubeObject): KubeObject {
  const blank = /^kubernetes\.io\/dockerc(?:onfigjson|fg)$/.test(String(object['type']))
    ? Buffer.from('{}').toString('base64')
    : '';
  const { 'kubectl.kubernetes.io/last-applied-configuration': _applied, ...annotations } =
    object.metadata.annotations ?? {};
  const keys = Object.keys((object['data'] ?? {}) as object);
  return {
    ...object,
    metadata: { ...object.metadata, annotations },
    ...(keys.length > 0 && { data: Object.fromEntries(keys.map((key) => [key, blank])) }),
  };
}
