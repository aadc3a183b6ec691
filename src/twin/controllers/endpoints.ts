import { nameSuffix } from '../random.js';
import type { Json, TwinObject } from '../types.js';
import { keyOf, splitKey } from './follow.js';
import { isGoing, isReady, isTrue, ownerReference, type View } from './objects.js';
import { zoneOf } from './pods.js';
import { workQueue } from './queue.js';

const DELAY_MS = 30;
const PER_SLICE = 100;
const MANAGER = 'endpointslice-controller.k8s.io';
/** From 1.22 on slices keep terminating pods and say so. */
const TERMINATING_SINCE = 22;

interface Member {
  pod: TwinObject;
  ports: { name: string; port: number; protocol: string }[];
}

const minorOf = (version: string): number => Number(/^v?\d+\.(\d+)/.exec(version)?.[1]);

/** Services with a selector get EndpointSlices and Endpoints of the pods they select. */
export function runEndpoints(view: View): { stop(): void } {
  const { api, clock } = view;
  const queue = workQueue(clock, { delayMs: DELAY_MS }, reconcile);
  const isBeta = view.path('endpointslices').includes('v1beta1');
  const keepsTerminating = minorOf(api.version) >= TERMINATING_SINCE;

  const byPod = (pod: TwinObject): void => {
    for (const service of view.of('services').all(pod.metadata.namespace))
      if (isSelected(service, pod)) queue.add(keyOf(service));
  };
  view.on('services', ({ object }) => queue.add(keyOf(object)));
  view.on('pods', ({ object }, before) => {
    if (before && !hasMoved(before, object)) return;
    byPod(object);
    if (before && JSON.stringify(before.metadata.labels) !== JSON.stringify(object.metadata.labels)) byPod(before);
  });

  async function reconcile(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const service = view.of('services').get(namespace, name);
    if (!service) {
      await dropSlices(namespace!, name, []);
      if (view.of('endpoints').get(namespace, name)) await api.delete('v1/endpoints', namespace, name);
      return;
    }
    if (!service['spec']?.selector || service['spec'].type === 'ExternalName') return;
    const members: Member[] = view
      .of('pods')
      .all(namespace)
      .filter((it) => isSelected(service, it) && it['status']?.podIP && it['status'].phase === 'Running')
      .map((pod) => ({ pod, ports: portsOf(service, pod) }));
    await writeSlices(service, members);
    await writeEndpoints(
      service,
      members.filter(({ pod }) => !isGoing(pod)),
    );
  }

  const endpointOf = (service: TwinObject, { pod }: Member): Json => {
    const node = view.of('nodes').get(undefined, pod['spec'].nodeName);
    const serving = isReady(pod) || Boolean(service['spec'].publishNotReadyAddresses);
    const ready = serving && (!isGoing(pod) || Boolean(service['spec'].publishNotReadyAddresses));
    const zone = node ? zoneOf(node) : '';
    const place = isBeta
      ? {
          topology: {
            'kubernetes.io/hostname': pod['spec'].nodeName,
            ...(zone ? { 'topology.kubernetes.io/zone': zone } : {}),
          },
        }
      : { nodeName: pod['spec'].nodeName, ...(zone ? { zone } : {}) };
    return {
      addresses: [pod['status'].podIP],
      conditions: keepsTerminating ? { ready, serving, terminating: isGoing(pod) } : { ready },
      targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
      ...place,
    };
  };

  /** One slice per set of resolved ports, and per hundred pods of it. */
  const writeSlices = async (service: TwinObject, members: Member[]): Promise<void> => {
    const shown = keepsTerminating ? members : members.filter(({ pod }) => !isGoing(pod));
    const byPorts = new Map<string, Member[]>();
    for (const member of shown) {
      const ports = JSON.stringify(member.ports);
      byPorts.set(ports, [...(byPorts.get(ports) ?? []), member]);
    }
    // A Service without pods still has one slice, an empty one.
    if (byPorts.size === 0) byPorts.set('[]', []);
    const { namespace, name } = service.metadata;
    const wanted: string[] = [];
    for (const [ports, some] of [...byPorts].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      for (let i = 0; i === 0 || i < some.length; i += PER_SLICE) {
        const sliceName = `${name}-${nameSuffix(`${namespace}/${name}/${wanted.length}`)}`;
        wanted.push(sliceName);
        const endpoints = some.slice(i, i + PER_SLICE).map((it) => endpointOf(service, it));
        await writeSlice(service, sliceName, endpoints, JSON.parse(ports));
      }
    await dropSlices(namespace, name, wanted);
  };

  const writeSlice = async (service: TwinObject, name: string, endpoints: Json[], ports: Json[]): Promise<void> => {
    const { namespace } = service.metadata;
    const known = view.of('endpointslices').get(namespace, name);
    const path = view.path('endpointslices');
    if (!known) {
      const made = await api.create(path, {
        apiVersion: path.slice(0, path.lastIndexOf('/')),
        kind: 'EndpointSlice',
        metadata: {
          name,
          namespace,
          labels: {
            'kubernetes.io/service-name': service.metadata.name,
            'endpointslice.kubernetes.io/managed-by': MANAGER,
          },
          ownerReferences: [ownerReference(service)],
        },
        addressType: 'IPv4',
        endpoints,
        ports,
      });
      view.of('endpointslices').note(made);
      return;
    }
    if (isEqual(known['endpoints'], endpoints) && isEqual(known['ports'], ports)) return;
    view.of('endpointslices').note(await api.mergePatch(path, namespace, name, { endpoints, ports }));
  };

  const dropSlices = async (namespace: string, service: string, keep: string[]): Promise<void> => {
    for (const slice of view.of('endpointslices').all(namespace)) {
      const labels = slice.metadata.labels ?? {};
      if (
        labels['kubernetes.io/service-name'] !== service ||
        labels['endpointslice.kubernetes.io/managed-by'] !== MANAGER
      )
        continue;
      if (!keep.includes(slice.metadata.name))
        await api.delete(view.path('endpointslices'), namespace, slice.metadata.name);
    }
  };

  const writeEndpoints = async (service: TwinObject, members: Member[]): Promise<void> => {
    const { namespace, name, labels } = service.metadata;
    const subsets = subsetsOf(service, members);
    const known = view.of('endpoints').get(namespace, name);
    if (known && isEqual(known['subsets'] ?? [], subsets)) return;
    const body: TwinObject = {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name, namespace, ...(labels ? { labels } : {}) },
      subsets,
    };
    const made = known
      ? await api.mergePatch('v1/endpoints', namespace, name, { subsets })
      : await api.create('v1/endpoints', body);
    view.of('endpoints').note(made);
  };

  return queue;
}

function subsetsOf(service: TwinObject, members: Member[]): Json[] {
  const byPorts = new Map<string, Member[]>();
  for (const member of members) {
    const ports = JSON.stringify(member.ports.map(({ name, ...it }) => ({ ...(name ? { name } : {}), ...it })));
    byPorts.set(ports, [...(byPorts.get(ports) ?? []), member]);
  }
  const addressOf = ({ pod }: Member): Json => ({
    ip: pod['status'].podIP,
    nodeName: pod['spec'].nodeName,
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
  });
  return [...byPorts].map(([ports, some]) => {
    const serves = (it: Member): boolean => isReady(it.pod) || Boolean(service['spec'].publishNotReadyAddresses);
    const addresses = some.filter(serves).map(addressOf);
    const notReadyAddresses = some.filter((it) => !serves(it)).map(addressOf);
    return {
      ...(addresses.length > 0 ? { addresses } : {}),
      ...(notReadyAddresses.length > 0 ? { notReadyAddresses } : {}),
      ports: JSON.parse(ports),
    };
  });
}

/** A named target port is looked up in each pod; a pod without it has no such port. */
function portsOf(service: TwinObject, pod: TwinObject): Member['ports'] {
  return (service['spec'].ports ?? []).flatMap((it: Json) => {
    const target = it.targetPort ?? it.port;
    const named = typeof target === 'number' ? target : containerPort(pod, target);
    return named === undefined ? [] : [{ name: it.name ?? '', port: named, protocol: it.protocol ?? 'TCP' }];
  });
}

const containerPort = (pod: TwinObject, name: string): number | undefined =>
  pod['spec'].containers.flatMap((it: Json) => it.ports ?? []).find((it: Json) => it.name === name)?.containerPort;

export function isSelected(service: TwinObject, pod: TwinObject): boolean {
  const selector = service['spec']?.selector;
  return Boolean(selector) && Object.entries(selector).every(([key, value]) => pod.metadata.labels?.[key] === value);
}

const hasMoved = (before: TwinObject, after: TwinObject): boolean =>
  before['status']?.podIP !== after['status']?.podIP ||
  before['status']?.phase !== after['status']?.phase ||
  isTrue(before, 'Ready') !== isTrue(after, 'Ready') ||
  isGoing(before) !== isGoing(after) ||
  before.metadata.uid !== after.metadata.uid ||
  JSON.stringify(before.metadata.labels) !== JSON.stringify(after.metadata.labels);

/** Equal as JSON, whatever the order of keys. */
function isEqual(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => isEqual(a[key], b[key]));
}
