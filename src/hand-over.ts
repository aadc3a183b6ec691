import type { ClusterInventory } from './inventory.js';
import { ownerOf, splitPath } from './objects.js';
import type { KubeObject, LoadBalancer } from './ports.js';

/**
 * A classic load balancer that the source's controller made: it lives and dies with its Service, and no second cluster may use it. It is
 * handed over in place, address and all, when its marks come off and the Service names it as one that a person owns. Pure.
 *
 * @source kubernetes/cloud-provider-alibaba-cloud:pkg/controller/service/clbv1/model_applier.go (isLoadBalancerReusable, cleanup), vgroups.go
 */

/** Written by the controller on what it makes; what carries one of them is never reused. */
export const TAG_MADE = 'kubernetes.do.not.delete';
export const TAG_CLUSTER = 'ack.aliyun.com';
export const MADE_BY_CONTROLLER = [TAG_MADE, TAG_CLUSTER] as const;
/** Written by the controller on what a person owns. */
export const TAG_REUSED = 'kubernetes.reused.by.user';

/** Both written by the controller at the end of a sync that went well; the first is a digest of annotations and spec. */
export const HASH_LABEL = 'service.beta.kubernetes.io/hash';
export const LOAD_BALANCER_LABEL = 'service.k8s.alibaba/loadbalancer-id';

export const isMadeByController = ({ tags }: Pick<LoadBalancer, 'tags'>): boolean =>
  MADE_BY_CONTROLLER.some((it) => it in tags);

/** Name and first tag of a load balancer that the controller made for the Service. */
export const markOf = (service: KubeObject): string | undefined =>
  service.metadata.uid === undefined ? undefined : `a${service.metadata.uid.replaceAll('-', '')}`.slice(0, 32);

/** What the group of one port is called once it is ours: not signed by any controller, and the same at every try. */
export const nameOfGroup = (service: string, port: number): string => {
  const { namespace, name } = splitPath(service);
  return `${namespace}-${name}-${port}`.slice(0, 80);
};

interface ServicePort {
  port: number;
  protocol?: string;
}

export const portsOf = (service: KubeObject): ServicePort[] => (service['spec']?.ports ?? []) as ServicePort[];

/**
 * Whose load balancer it is cannot be settled by handing it over while somebody else uses it, or while its controller would not let go
 * as the known ones do.
 *
 * @returns in words; none where it can be handed over
 */
export function obstacles(path: string, service: KubeObject, balancer: LoadBalancer): string[] {
  const { namespace, name } = splitPath(path);
  const found: string[] = [];
  const made = balancer.tags[TAG_MADE];
  const mark = markOf(service);
  if (made !== undefined && mark !== undefined && made !== mark)
    found.push(`its tag ${TAG_MADE} says ${made}: another Service's load balancer`);
  const ports = portsOf(service);
  for (const { port } of ports) {
    const listener = balancer.listeners.find((it) => it.port === port);
    if (!listener) found.push(`no listener on ${port}`);
    else if (listener.group === undefined) found.push(`listener ${port} forwards to the default group`);
    else if (['sch', 'tch', 'qch'].includes(listener.scheduler))
      found.push(`listener ${port} chooses by hash (${listener.scheduler}), which knows no weights`);
    else if ((balancer.groups.find((it) => it.id === listener.group)?.backends ?? []).length === 0)
      found.push(`group ${listener.group} behind listener ${port} has no member`);
  }
  for (const { port } of balancer.listeners)
    if (!ports.some((it) => it.port === port)) found.push(`listener ${port} is none of the Service's ports`);
  const owners = new Set<string>();
  for (const text of balancer.groups.flatMap((it) => [it.name, ...it.backends.map((one) => one.description)])) {
    const owner = ownerOf(text);
    if (owner && (owner.namespace !== namespace || owner.service !== name))
      owners.add(`${owner.namespace}/${owner.service}`);
  }
  for (const it of owners) found.push(`Service ${it} uses it too`);
  const clusters = new Set(
    balancer.groups.flatMap((it) => it.backends.flatMap((one) => ownerOf(one.description)?.clusterId ?? [])),
  );
  if (clusters.size > 1) found.push(`members of ${clusters.size} clusters are in it`);
  if (service.metadata.deletionTimestamp !== undefined) found.push('the Service is being deleted');
  return found;
}

/** Controllers whose rules are known: before, groups of a controller's making could be reused; the next major is not there yet. */
export const KNOWN_CONTROLLERS = { from: '2.9.1', before: '3.0.0' } as const;

/** @param version  `v2.14.0`, as an image's tag or an operator says it */
export function isKnownController(version: string): boolean {
  const found = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (!found) return false;
  const [major = 0, minor = 0, patch = 0] = found.slice(1).map(Number);
  return major === 2 && (minor > 9 || (minor === 9 && patch >= 1));
}

/** The tag of the controller's image; undefined where the provider runs it out of sight. */
export function controllerVersion({ objects }: ClusterInventory): string | undefined {
  const found = ['Deployment.apps', 'DaemonSet.apps']
    .flatMap((kind) => objects[kind] ?? [])
    .find((it) => it.metadata.namespace === 'kube-system' && it.metadata.name.startsWith('cloud-controller-manager'));
  const image = found?.['spec']?.template?.spec?.containers?.[0]?.image as unknown;
  return typeof image === 'string' ? /:(v?\d[^@/]*)(?:@|$)/.exec(image)?.[1] : undefined;
}

/** What is left where a hand-over can't be made safe, each with what it costs. */
export const OTHER_WAYS =
  'Other ways, each with its gap: `dns` (a new address, and clients that keep the old one for their TTL); a load balancer of your own with DNS to it (the same); `mcs` or `fsm` between the clusters (the address stays with the source, which must live on).';
