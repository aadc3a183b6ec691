import { conversionFor } from './convert.js';
import { hasTwin, NEVER_TRAVELS, travels } from './data.js';
import type { RestoreRules } from './inert.js';
import type { Inventory } from './inventory.js';
import { kindOf } from './objects.js';
import type { Kind, KubeObject, ServedKind } from './ports.js';

/** Objects as they will arrive in the target: without what one server wrote into them, converted where nothing else helps, and asleep. Pure. */

/** Whether objects of the kind are brought at all, by the restore or by us. */
export const isBrought = (kind: Kind, { source }: Inventory): boolean =>
  !NEVER_TRAVELS.has(kind) && !hasTwin(kind, source);

/**
 * @param object  as the source gives it out in the version that it prefers, which is what a backup stores
 * @returns undefined for one that stays behind
 */
export function arriving(object: KubeObject, rules: RestoreRules, inventory: Inventory): KubeObject | undefined {
  const kind = kindOf(object);
  if (!travels(kind, object)) return undefined;
  const conversion = conversionFor(kind, inventory.source, inventory.target);
  const bare = withoutTraces(object);
  if (conversion) {
    const converted = conversion.convert(bare);
    return kind === 'CronJob.batch' ? mergePatch(converted, { spec: { suspend: true } }) : converted;
  }
  return patchesFor(bare, rules, inventory.source.served).reduce<KubeObject>(
    (it, patch) => mergePatch(it, patch),
    bare,
  );
}

/**
 * What Velero takes off each object, and what its own actions take off Services.
 * @source vmware-tanzu/velero:pkg/restore/restore.go (resetMetadata), pkg/restore/actions/service_action.go
 */
function withoutTraces({ apiVersion, kind, metadata, status: _status, ...rest }: KubeObject): KubeObject {
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
  if (kind === 'Secret' && apiVersion === 'v1') return withoutValues(object);
  if (kind !== 'Service' || apiVersion !== 'v1') return object;
  const {
    clusterIP,
    clusterIPs: _ips,
    healthCheckNodePort: _port,
    ports,
    ...spec
  } = (object['spec'] ?? {}) as Record<string, unknown>;
  const withoutNodePorts = ((ports ?? []) as Record<string, unknown>[]).map(({ nodePort: _dropped, ...port }) => port);
  return {
    ...object,
    spec: {
      ...spec,
      ...(ports !== undefined && { ports: withoutNodePorts }),
      ...(clusterIP === 'None' && { clusterIP }),
    },
  };
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

function patchesFor(
  object: KubeObject,
  { resourceModifierRules }: RestoreRules,
  served: readonly ServedKind[],
): object[] {
  const { resource, group } = served.find(
    (it) => (it.group ? `${it.kind}.${it.group}` : it.kind) === kindOf(object),
  ) ?? { resource: '', group: '' };
  const groupResource = group ? `${resource}.${group}` : resource;
  const { name, namespace = '' } = object.metadata;
  return resourceModifierRules
    .filter(
      ({ conditions: it }) =>
        it.groupResource === groupResource &&
        it.namespaces.includes(namespace) &&
        (it.resourceNameRegex === undefined || new RegExp(it.resourceNameRegex).test(name)),
    )
    .flatMap((it) => it.mergePatches.map(({ patchData }) => JSON.parse(patchData) as object));
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
