import type { ControllerClock } from './controllers/queue.js';
import { addressFront } from './fronts/address.js';
import { balancerFront } from './fronts/balancer.js';
import { dnsFront } from './fronts/dns.js';
import { gatewayFront } from './fronts/gateway.js';
import { ingressFront } from './fronts/ingress.js';
import { istioFront } from './fronts/istio.js';
import { listenerFront } from './fronts/listener.js';
import { meshFront, serviceFront } from './fronts/mesh.js';
import { seededRandom } from './random.js';
import type { Reach, Reached, Side } from './reach.js';
import type { ClientSeed, ClusterApi, NamedClients, TwinCloud } from './types.js';

/** What of an HTTP request decides where it goes; header names in lower case. */
export interface FrontRequest {
  path: string;
  headers: Record<string, string>;
}

/**
 * @param turn  grows with every request of the twin: which of several equal endpoints answers
 * @param request  as a real request had it; a crowd's front knows what its own clients send
 */
export type Send = (turn: number, request?: FrontRequest) => Reached;

/** Where clients come in, and how it chooses who serves them by the state of the world at that moment. */
export interface Front {
  send: Send;
  /** For several requests of one instant: looks at the world once. */
  burst?(): Send;
  /** weights of a balancer that is told them */
  balance?(weights: Record<Side, number>): void;
  stop?(): void;
}

/** Who answers at an address, seen from a cluster's pods or from outside both; `failed` says why nobody does. */
export type Dial = (from: Side | 'outside', ip: string, port: number, turn: number) => Reached;

export interface FrontWorld {
  apis: Record<Side, ClusterApi>;
  cloud: TwinCloud;
  reach: Reach;
  clock: ControllerClock;
  /** from 0 to below 1, drawn by the twin's seed and the front's name */
  random: () => number;
  dial: Dial;
}

type MakeFront<S> = (seed: S, world: FrontWorld) => Front | Promise<Front>;
type Via = Exclude<ClientSeed['via'], undefined>;
type SeedOf<V extends Via> = ClientSeed extends infer S ? (S extends { via?: V } ? S : never) : never;

/** Every way in. A new one is its shape in `ClientSeed`, its file in fronts/, and its line here. */
const KINDS: { [V in Via]: MakeFront<SeedOf<V>> } = {
  listener: listenerFront,
  address: addressFront,
  balancer: balancerFront,
  service: serviceFront,
  mesh: meshFront,
  dns: dnsFront,
  ingress: ingressFront,
  gateway: gatewayFront,
  istio: istioFront,
};

const isNamed = (seed: ClientSeed): seed is ClientSeed & NamedClients => seed.via !== undefined && 'name' in seed;

/** How a crowd's front is called: as its seed says, or `load balancer:port`. */
export const frontName = (seed: ClientSeed): string =>
  isNamed(seed) ? seed.name : `${(seed as { loadBalancer: string }).loadBalancer}:${(seed as { port: number }).port}`;

export interface Fronts {
  /** the front of that seed; seeds of one name and way in share it */
  of(seed: ClientSeed): Promise<Front>;
  stop(): Promise<void>;
}

/** @param seedNumber  draws what fronts leave to chance */
export function openFronts(world: Omit<FrontWorld, 'dial' | 'random'>, seedNumber: number): Fronts {
  const made = new Map<string, Front | Promise<Front>>();
  const { cloud, reach } = world;

  const listener = (loadBalancer: string, port: number): Front => {
    const key = `listener ${loadBalancer}:${port}`;
    const known = made.get(key) as Front | undefined;
    if (known) return known;
    const front = listenerFront({ loadBalancer, port }, world);
    made.set(key, front);
    return front;
  };

  /**
   * Own pods and nodes first, as a cluster's own routes do; then load balancers; then what the VPC reaches: nodes of the other cluster,
   * and pods of it that have an elastic network interface.
   */
  const dial: Dial = (from, ip, port, turn) => {
    const own = from === 'outside' ? undefined : reach.inside(from, ip, port, turn);
    if (own) return own;
    const loadBalancer = cloud.loadBalancerAt?.(ip);
    if (loadBalancer !== undefined) return listener(loadBalancer, port).send(turn);
    if (!cloud.hasInterface?.(ip)) return { failed: `no way from ${from} to ${ip}` };
    for (const side of ['source', 'target'] as const) {
      const found = side === from ? undefined : reach.inside(side, ip, port, turn);
      if (found) return found;
    }
    return { failed: `nobody answers at ${ip}` };
  };

  return {
    async of(seed) {
      const { via = 'listener' } = seed;
      if (via === 'listener') {
        const { loadBalancer, port } = seed as SeedOf<'listener'>;
        return listener(loadBalancer, port);
      }
      const name = frontName(seed);
      const key = `${via} ${name}`;
      let front = made.get(key);
      if (!front) {
        const make = KINDS[via] as MakeFront<ClientSeed>;
        front = make(seed, { ...world, dial, random: seededRandom(`${seedNumber}/${name}`) });
        made.set(key, front);
      }
      return front;
    },
    async stop() {
      for (const front of made.values()) (await front).stop?.();
    },
  };
}
