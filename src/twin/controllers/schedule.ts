import type { Json, TwinObject } from '../types.js';
import { isActive, isTrue, satisfies, selects } from './objects.js';

/** Where a pod may run, and why not elsewhere: the scheduler's filters that a migration can trip over. Pure. */

export interface Surroundings {
  nodes: TwinObject[];
  pods: TwinObject[];
  claim(namespace: string, name: string): TwinObject | undefined;
  volume(name: string): TwinObject | undefined;
  storageClass(name: string): TwinObject | undefined;
}

export type Placement =
  | { node: string }
  /** claims that are bound once a node is chosen for them */
  | { node: string; waitFor: TwinObject[] }
  | { message: string };

export const claimsOf = (pod: TwinObject): string[] =>
  (pod['spec']?.volumes ?? []).flatMap((it: Json) => {
    if (it.persistentVolumeClaim) return [it.persistentVolumeClaim.claimName];
    return it.ephemeral ? [`${pod.metadata.name}-${it.name}`] : [];
  });

/** Effects that keep new pods away. */
const isHard = (taint: Json): boolean => taint.effect === 'NoSchedule' || taint.effect === 'NoExecute';

const tolerates = (tolerations: Json[], taint: Json): boolean =>
  tolerations.some(
    (it) =>
      (it.effect === undefined || it.effect === '' || it.effect === taint.effect) &&
      (it.key === undefined || it.key === '' ? it.operator === 'Exists' : it.key === taint.key) &&
      (it.operator === 'Exists' || (it.value ?? '') === (taint.value ?? '')),
  );

const matchesTerm = (term: Json, node: TwinObject): boolean =>
  (term.matchExpressions ?? []).every((it: Json) => satisfies(it, node.metadata.labels ?? {})) &&
  (term.matchFields ?? []).every((it: Json) => satisfies(it, { 'metadata.name': node.metadata.name })) &&
  (term.matchExpressions ?? []).length + (term.matchFields ?? []).length > 0;

export const matchesNodeSelector = (selector: Json, node: TwinObject): boolean =>
  selector === undefined ||
  selector === null ||
  (selector.nodeSelectorTerms ?? []).some((it: Json) => matchesTerm(it, node));

/** Node selector and required node affinity. */
export function fitsNode(spec: Json, node: TwinObject): boolean {
  const labels = node.metadata.labels ?? {};
  if (Object.entries(spec?.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) return false;
  return matchesNodeSelector(spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution, node);
}

export function toleratesNode(spec: Json, node: TwinObject): boolean {
  const taints: Json[] = [...(node['spec']?.taints ?? [])];
  if (node['spec']?.unschedulable) taints.push({ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' });
  return taints.filter(isHard).every((it) => tolerates(spec?.tolerations ?? [], it));
}

const UNITS: Record<string, number> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** A quantity as a number of its base unit: `250m` is 0.25, `1Gi` is 1073741824. */
export function quantity(text: string | number): number {
  const match = /^([\d.eE+-]+)([a-zA-Z]*)$/.exec(String(text));
  return match ? Number(match[1]) * (UNITS[match[2]!] ?? 1) : 0;
}

const requestCache = new WeakMap<object, Map<string, number>>();

function requestsOf(pod: TwinObject): Map<string, number> {
  const spec = pod['spec'] ?? {};
  const known = requestCache.get(spec);
  if (known) return known;
  const sum = new Map([['pods', 1]]);
  for (const container of spec.containers ?? []) {
    const { requests, limits } = container.resources ?? {};
    for (const [name, value] of Object.entries({ ...limits, ...requests }))
      sum.set(name, (sum.get(name) ?? 0) + quantity(value as string));
  }
  requestCache.set(spec, sum);
  return sum;
}

/** @returns the resource that is short, or nothing. A node that states no allocatable cpu, memory or pods has room. */
function shortOf(pod: TwinObject, node: TwinObject, there: TwinObject[]): string | undefined {
  const allocatable = node['status']?.allocatable ?? node['status']?.capacity ?? {};
  for (const [name, wanted] of requestsOf(pod)) {
    const given = allocatable[name];
    if (given === undefined && !name.includes('/')) continue;
    const used = there.reduce((sum, it) => sum + (requestsOf(it).get(name) ?? 0), 0);
    if (used + wanted > quantity(given ?? 0) + 1e-9) return name;
  }
  return undefined;
}

/** Required pod affinity and anti-affinity of the new pod; those of the pods already there are not asked. */
function fitsBeside(pod: TwinObject, node: TwinObject, around: Surroundings): boolean {
  const { podAffinity, podAntiAffinity } = pod['spec']?.affinity ?? {};
  const byName = new Map(around.nodes.map((it) => [it.metadata.name, it]));
  const somebodyNear = (term: Json): boolean => {
    const place = node.metadata.labels?.[term.topologyKey];
    const namespaces: string[] = term.namespaces?.length ? term.namespaces : [pod.metadata.namespace];
    return (
      place !== undefined &&
      around.pods.some(
        (it) =>
          isActive(it) &&
          namespaces.includes(it.metadata.namespace) &&
          selects(term.labelSelector, it.metadata.labels) &&
          byName.get(it['spec']?.nodeName)?.metadata.labels?.[term.topologyKey] === place,
      )
    );
  };
  const required = (it: Json): Json[] => it?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  // The first pod of a set that wants to be near itself has to start somewhere.
  const isFirst = (term: Json): boolean =>
    selects(term.labelSelector, pod.metadata.labels) &&
    !around.pods.some((it) => isActive(it) && it['spec']?.nodeName && selects(term.labelSelector, it.metadata.labels));
  return (
    required(podAntiAffinity).every((it) => !somebodyNear(it)) &&
    required(podAffinity).every((it) => somebodyNear(it) || isFirst(it))
  );
}

function volumesOf(
  pod: TwinObject,
  around: Surroundings,
): { bound: TwinObject[]; waiting: TwinObject[] } | { message: string } {
  const bound: TwinObject[] = [];
  const waiting: TwinObject[] = [];
  for (const name of claimsOf(pod)) {
    const claim = around.claim(pod.metadata.namespace, name);
    if (!claim || claim.metadata.deletionTimestamp) return { message: `persistentvolumeclaim "${name}" not found` };
    if (claim['status']?.phase === 'Bound') {
      const volume = around.volume(claim['spec'].volumeName);
      if (!volume) return { message: `persistentvolume "${claim['spec'].volumeName}" not found` };
      bound.push(volume);
      continue;
    }
    if (claim['status']?.phase === 'Lost')
      return {
        message: `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim['spec'].volumeName}"`,
      };
    const className = claim['spec'].storageClassName;
    const waits =
      className &&
      !claim['spec'].volumeName &&
      around.storageClass(className)?.['volumeBindingMode'] === 'WaitForFirstConsumer';
    if (!waits) return { message: 'pod has unbound immediate PersistentVolumeClaims' };
    waiting.push(claim);
  }
  return { bound, waiting };
}

/**
 * The node with the fewest pods of the same owner, then the fewest pods, then the first by name.
 *
 * @returns or the reason in the scheduler's words, one count per reason
 */
export function placementOf(pod: TwinObject, around: Surroundings): Placement {
  const total = around.nodes.length;
  const volumes = volumesOf(pod, around);
  if ('message' in volumes) return { message: `0/${total} nodes are available: ${volumes.message}.` };

  const reasons = new Map<string, number>();
  const refuse = (why: string): false => {
    reasons.set(why, (reasons.get(why) ?? 0) + 1);
    return false;
  };
  const byNode = new Map<string, TwinObject[]>();
  for (const it of around.pods) {
    const node = it['spec']?.nodeName;
    if (!node || it['status']?.phase === 'Succeeded' || it['status']?.phase === 'Failed') continue;
    const list = byNode.get(node);
    if (list) list.push(it);
    else byNode.set(node, [it]);
  }

  const fits = around.nodes.filter((node) => {
    const there = byNode.get(node.metadata.name) ?? [];
    if (!isTrue(node, 'Ready')) return refuse('node(s) were not ready');
    if (!toleratesNode(pod['spec'], node)) return refuse("node(s) had taints that the pod didn't tolerate");
    if (!fitsNode(pod['spec'], node)) return refuse("node(s) didn't match Pod's node affinity/selector");
    if (!volumes.bound.every((it) => matchesNodeSelector(it['spec'].nodeAffinity?.required, node)))
      return refuse('node(s) had volume node affinity conflict');
    if (!fitsBeside(pod, node, around)) return refuse("node(s) didn't match pod affinity/anti-affinity rules");
    const short = shortOf(pod, node, there);
    return short === undefined || refuse(short === 'pods' ? 'Too many pods' : `Insufficient ${short}`);
  });

  if (fits.length === 0) {
    const why = [...reasons].map(([reason, count]) => `${count} ${reason}`).toSorted();
    return { message: `0/${total} nodes are available: ${why.join(', ') || 'no nodes'}.` };
  }
  const owner = (pod.metadata.ownerReferences ?? [])[0]?.uid;
  const rank = (node: TwinObject): [number, number] => {
    const there = byNode.get(node.metadata.name) ?? [];
    return [there.filter((it) => owner && it.metadata.ownerReferences?.[0]?.uid === owner).length, there.length];
  };
  const ranked = fits.map((node) => ({ name: node.metadata.name as string, rank: rank(node) }));
  ranked.sort((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1] || (a.name < b.name ? -1 : 1));
  const node = ranked[0]!.name;
  return volumes.waiting.length > 0 ? { node, waitFor: volumes.waiting } : { node };
}
