import type { Front, FrontWorld } from '../fronts.js';
import type { Side } from '../reach.js';
import type { BalancerClients } from '../types.js';
import { followServices, forward } from './services.js';

/** A balancer that the twin does not emulate on the wire: two weights, told from outside, before the pods of one Service on both sides. */
export async function balancerFront(
  { service, port }: BalancerClients,
  { apis, dial, random }: FrontWorld,
): Promise<Front> {
  const [namespace = '', name = ''] = service.split('/');
  const services = { source: await followServices(apis.source), target: await followServices(apis.target) };
  let weights: Record<Side, number> = { source: 100, target: 0 };

  return {
    send(turn) {
      const drawn = random() * (weights.source + weights.target);
      const side: Side = drawn < weights.target ? 'target' : 'source';
      const endpoints = services[side].endpoints(namespace, name, port) ?? [];
      return forward(dial, side, endpoints, turn, 1);
    },
    balance(told) {
      weights = { ...told };
    },
    stop() {
      for (const it of Object.values(services)) it.stop();
    },
  };
}
