import type { Kind, KubeObject, ObjectRef, Right } from './ports.js';

/** Reading and naming Kubernetes objects: the few facts about their shape that several parts need. */

export const kindOf = (object: Pick<KubeObject, 'apiVersion' | 'kind'>): Kind => {
  const group = groupOf(object.apiVersion);
  return group ? `${object.kind}.${group}` : object.kind;
};

/** `apps/v1` → `apps`, `v1` → `` */
export const groupOf = (apiVersion: string) =>
  apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';

export const splitKind = (kind: Kind): { kind: string; group: string } => {
  const dot = kind.indexOf('.');
  return dot < 0 ? { kind, group: '' } : { kind: kind.slice(0, dot), group: kind.slice(dot + 1) };
};

/** `shop/web`, or `web` for an object of the cluster */
export const pathOf = (it: { namespace?: string | undefined; name: string }) =>
  it.namespace ? `${it.namespace}/${it.name}` : it.name;

/** `service shop/web`: how findings, errors and events name an object */
export const about = (kind: Kind, it: { namespace?: string | undefined; name: string }) =>
  `${splitKind(kind).kind.toLowerCase()} ${pathOf(it)}`;

export const refOf = (object: KubeObject): ObjectRef => ({
  kind: kindOf(object),
  ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }),
  name: object.metadata.name,
});

/** `shop/web` → its two parts */
export function splitPath(path: string): { namespace: string; name: string } {
  const slash = path.indexOf('/');
  return { namespace: path.slice(0, slash), name: path.slice(slash + 1) };
}

/**
 * The cloud controller manager's annotation of a Service. The newer prefix wins if the key exists, even with an empty value.
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/reconcile/annotation/annotations.go
 */
export function lbAnnotation(service: KubeObject, suffix: string): string | undefined {
  const all = service.metadata.annotations ?? {};
  return all[lbKey(suffix)] ?? all[`service.beta.kubernetes.io/alicloud-loadbalancer-${suffix}`];
}

export const lbKey = (suffix: string) => `service.beta.kubernetes.io/alibaba-cloud-loadbalancer-${suffix}`;

export const BACKEND_TYPE = 'service.beta.kubernetes.io/backend-type';

/**
 * Member or group that a controller made: `k8s/<port>/<service>/<namespace>/<cluster id>` of a CLB,
 * `k8s.<port>.<protocol>.<service>.<namespace>.<cluster id>` of an NLB; undefined for any other.
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/model/load_balancer.go, pkg/model/nlb/nlb.go
 */
export function ownerOf(description: string): { service: string; namespace: string; clusterId: string } | undefined {
  const dotted = description.startsWith('k8s.') ? description.split('.') : [];
  const parts = dotted.length === 6 ? [dotted[0], dotted[1], ...dotted.slice(3)] : description.split('/');
  const [k8s, , service, namespace, clusterId, ...more] = parts;
  if (k8s !== 'k8s' || !service || !namespace || clusterId === undefined || more.length > 0) return undefined;
  return { service, namespace, clusterId };
}

/** `cn-hangzhou.i-abc` or `alicloud://cn-hangzhou.i-abc` → `i-abc` */
export function instanceOf(node: KubeObject): string | undefined {
  const id: unknown = node['spec']?.providerID;
  return typeof id === 'string' ? /(?:^|\.)(i-[-a-z0-9]+)$/i.exec(id)?.[1] : undefined;
}

export const isConditionTrue = (object: KubeObject | undefined, type: string): boolean =>
  ((object?.['status']?.conditions ?? []) as { type: string; status: string }[]).some(
    (it) => it.type === type && it.status === 'True',
  );

export const isReady = (object: KubeObject): boolean => isConditionTrue(object, 'Ready');

export const zoneOf = (node: KubeObject): string | undefined =>
  node.metadata.labels?.['topology.kubernetes.io/zone'] ??
  node.metadata.labels?.['failure-domain.beta.kubernetes.io/zone'];

/** `v1.20.15-aliyun.1` → 20 */
export function minorOf(version: string): number | undefined {
  const found = /^v?1\.(\d+)/.exec(version);
  return found ? Number(found[1]) : undefined;
}

export interface ReadyEndpoints {
  /** addresses of ready endpoints, each once */
  addresses: string[];
  byNode: Map<string, number>;
}

/** Ready, not terminating endpoints of a Service from its EndpointSlices. */
export function readyEndpoints(slices: readonly KubeObject[]): ReadyEndpoints {
  const seen = new Map<string, string>();
  for (const slice of slices) {
    for (const endpoint of (slice['endpoints'] ?? []) as EndpointLike[]) {
      if (endpoint.conditions?.ready === false || endpoint.conditions?.terminating === true) continue;
      for (const address of endpoint.addresses ?? []) {
        seen.set(address, endpoint.nodeName ?? endpoint.topology?.['kubernetes.io/hostname'] ?? '');
      }
    }
  }
  const byNode = new Map<string, number>();
  for (const node of seen.values()) byNode.set(node, (byNode.get(node) ?? 0) + 1);
  return { addresses: [...seen.keys()], byNode };
}

interface EndpointLike {
  addresses?: string[];
  nodeName?: string;
  topology?: Record<string, string>;
  conditions?: { ready?: boolean; terminating?: boolean };
}

/** Stable JSON: keys sorted, so that equal data give equal text. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** The plural that a kind of the usual form has in URLs and rules; discovery knows better where it can be asked. */
export function pluralOf(kind: string): string {
  const word = kind.toLowerCase();
  if (word.endsWith('ss')) return `${word}es`;
  if (word.endsWith('y')) return `${word.slice(0, -1)}ies`;
  return word.endsWith('s') ? word : `${word}s`;
}

export const rightOn = (verb: string, kind: Kind): Right => ({
  verb,
  group: splitKind(kind).group,
  resource: pluralOf(splitKind(kind).kind),
});
