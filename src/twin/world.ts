import type { Json, TwinObject } from './types.js';

/**
 * The whole world in a form that two runs can be compared by: what differs without meaning anything is left out. README.md lists each
 * field with the reason.
 */

/** Kinds that follow from others, by `group/resource`: counted below, or only a memory of what happened. */
const FOLLOWS = new Set([
  '/events',
  'events.k8s.io/events',
  '/pods',
  '/endpoints',
  'discovery.k8s.io/endpointslices',
  'coordination.k8s.io/leases',
  'storage.k8s.io/volumeattachments',
  'apps/controllerrevisions',
]);

const META = [
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'generation',
  'managedFields',
  'selfLink',
  'deletionGracePeriodSeconds',
];

/** Annotations and labels that carry a name, a hash or a time which the run drew. */
const MARKS = new Set([
  'volume.kubernetes.io/selected-node',
  'service.beta.kubernetes.io/hash',
  'deployment.kubernetes.io/revision',
  'controller-uid',
]);

/** `expiration` is a Backup's. */
const isTime = (key: string): boolean => /(Time|Timestamp|At)$|^expiration$/.test(key);

const DRAWN = new Set(['uid', 'resourceVersion', 'creationTimestamp', 'observedGeneration', 'controller-uid']);

/** @param drop  by key, at any depth */
function strip(value: Json, drop: (key: string) => boolean): Json {
  if (Array.isArray(value)) return value.map((it) => strip(it, drop));
  if (typeof value !== 'object' || value === null) return value;
  const keys = Object.keys(value)
    .filter((key) => !drop(key))
    .toSorted((x, y) => (x < y ? -1 : 1));
  return Object.fromEntries(keys.map((key) => [key, strip(value[key], drop)]));
}

const drawn = (key: string): boolean => DRAWN.has(key);
const drawnOrTimed = (key: string): boolean => drawn(key) || isTime(key);

function stripObject(object: TwinObject): Json {
  const { metadata, status, ...rest } = object;
  const keep = Object.fromEntries(Object.entries(metadata).filter(([key]) => !META.includes(key)));
  for (const field of ['labels', 'annotations']) {
    if (!keep[field]) continue;
    const shown = Object.entries(metadata[field]).filter(([key]) => !MARKS.has(key));
    if (shown.length > 0) keep[field] = Object.fromEntries(shown);
    else delete keep[field];
  }
  const stripped = strip(rest, drawn);
  if (rest.kind === 'Job') {
    delete stripped.spec?.selector;
  }
  return {
    metadata: strip(keep, drawn),
    ...stripped,
    ...(status === undefined ? {} : { status: strip(status, drawnOrTimed) }),
  };
}

const isTimed = (object: TwinObject): boolean =>
  (object.metadata.ownerReferences ?? []).some((it: Json) => it.kind === 'CronJob');

function cronJob({ status: _status, ...rest }: TwinObject): TwinObject {
  return rest;
}

/** Pods by namespace and owner: how many there are and how many are ready. Their names, addresses and nodes are drawn. */
function podCounts(pods: readonly TwinObject[]): Json {
  const counts: Record<string, { pods: number; ready: number }> = {};
  for (const pod of pods) {
    const owner = pod.metadata.ownerReferences?.[0];
    if (owner?.kind === 'Job') continue;
    const key = `${pod.metadata.namespace}/${owner ? `${owner.kind} ${owner.name}` : `Pod ${pod.metadata.name}`}`;
    const count = (counts[key] ??= { pods: 0, ready: 0 });
    count.pods += 1;
    if ((pod['status']?.conditions ?? []).some((it: Json) => it.type === 'Ready' && it.status === 'True'))
      count.ready += 1;
  }
  return Object.fromEntries(Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** @param snapshot  of an API server: `group/resource` → objects */
export function comparableCluster(snapshot: Record<string, TwinObject[]>): Json {
  const kinds: Record<string, Json> = {};
  for (const [kind, objects] of Object.entries(snapshot)) {
    if (FOLLOWS.has(kind)) continue;
    const kept = objects.filter((it) => !isTimed(it)).map((it) => (it.kind === 'CronJob' ? cronJob(it) : it));
    // A ReplicaSet that nothing runs in any more says only which templates there were.
    const shown = kind === 'apps/replicasets' ? kept.filter((it) => it['spec'].replicas > 0) : kept;
    if (shown.length > 0)
      kinds[kind] = Object.fromEntries(
        shown.map((it) => [`${it.metadata.namespace ?? ''}/${it.metadata.name}`, stripObject(it)]),
      );
  }
  return { ...kinds, pods: podCounts(snapshot['/pods'] ?? []) };
}

const byText = (a: Json, b: Json): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

const comparableNlbGroup = ({ servers, ...group }: Json): Json => ({
  ...group,
  servers: servers
    .map(({ server, ip: _ip, ...it }: Json) => (it.type === 'Eni' ? it : { server, ...it }))
    .toSorted(byText),
});

/** Members of type eni are told apart by description, port and weight alone: which pod has which address is drawn. */
export function comparableCloud(snapshot: Json): Json {
  const { interfaces: _interfaces, ...rest } = snapshot;
  const member = ({ server, ip: _ip, ...it }: Json): Json => (it.type === 'ecs' ? { server, ...it } : it);
  return {
    ...rest,
    loadBalancers: rest.loadBalancers.map((lb: Json) => ({
      ...lb,
      groups: lb.groups.map((group: Json) => ({ ...group, backends: group.backends.map(member).toSorted(byText) })),
    })),
    ...(rest.nlb ? { nlb: { ...rest.nlb, groups: rest.nlb.groups.map(comparableNlbGroup) } } : {}),
    disks: rest.disks.map(({ instance: _instance, ...disk }: Json) => disk),
  };
}
