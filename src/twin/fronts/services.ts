import { follow } from '../controllers/follow.js';
import { slicesResource } from '../controllers/ccm.js';
import type { Dial } from '../fronts.js';
import type { Reached, Side } from '../reach.js';
import type { ClusterApi, Json, TwinObject } from '../types.js';

export interface Endpoint {
  ip: string;
  port: number;
}

export interface Services {
  /** ready endpoints of a port of a Service; undefined when there is no such Service or port */
  endpoints(namespace: string, name: string, port: number | string | undefined): Endpoint[] | undefined;
  stop(): void;
}

/**
 * What proxies know of a cluster's Services. A Service without selector that has no slices has those that its Endpoints would be mirrored
 * to.
 */
export async function followServices(api: ClusterApi): Promise<Services> {
  const known = new Map<string, Endpoint[] | undefined>();
  const forget = (): void => known.clear();
  const services = await follow(api, 'v1/services', forget);
  const slices = await follow(api, slicesResource(api), forget);
  const byHand = await follow(api, 'v1/endpoints', forget);

  const look = (namespace: string, name: string, wanted: number | string | undefined): Endpoint[] | undefined => {
    const service = services.get(namespace, name);
    const port = portOf(service, wanted);
    if (!service || !port) return undefined;
    const mine = slices
      .all(namespace)
      .filter((it) => it.metadata.labels?.['kubernetes.io/service-name'] === name)
      .flatMap((it) => readyOf(it, port.name ?? ''));
    if (mine.length > 0 || service['spec'].selector) return mine;
    return (byHand.get(namespace, name)?.['subsets'] ?? []).flatMap((it: Json) => mirrored(it, port.name ?? ''));
  };

  return {
    endpoints(namespace, name, port) {
      const key = `${namespace}/${name}:${port ?? ''}`;
      if (!known.has(key)) known.set(key, look(namespace, name, port));
      return known.get(key);
    },
    stop() {
      for (const it of [services, slices, byHand]) it.stop();
    },
  };
}

const portOf = (service: TwinObject | undefined, wanted: number | string | undefined): Json =>
  (service?.['spec']?.ports ?? []).find(
    (it: Json) => wanted === undefined || it.port === Number(wanted) || it.name === wanted,
  );

export const readyOf = (slice: TwinObject, portName: string): Endpoint[] =>
  (slice['ports'] ?? [])
    .filter((it: Json) => (it.name ?? '') === portName)
    .flatMap((port: Json) =>
      (slice['endpoints'] ?? [])
        .filter((it: Json) => it.conditions?.ready !== false)
        .map((it: Json) => ({ ip: it.addresses[0], port: port.port })),
    );

const mirrored = (subset: Json, portName: string): Endpoint[] =>
  (subset.ports ?? [])
    .filter((it: Json) => (it.name ?? '') === portName)
    .flatMap((port: Json) => (subset.addresses ?? []).map((it: Json) => ({ ip: it.ip, port: port.port })));

/** @param tries  how many endpoints a proxy asks before it gives up */
export function forward(dial: Dial, from: Side, endpoints: readonly Endpoint[], turn: number, tries: number): Reached {
  let reached: Reached = { failed: '503: no endpoints' };
  for (let i = 0; i < Math.min(tries, endpoints.length); i++) {
    const { ip, port } = endpoints[(turn + i) % endpoints.length]!;
    reached = dial(from, ip, port, turn);
    if (!('failed' in reached)) return reached;
  }
  return reached;
}
