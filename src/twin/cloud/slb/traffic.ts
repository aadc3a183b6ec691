import type { Health } from '../product.js';
import type { CloudState, Listener } from '../state.js';

function running(state: CloudState, id: string, port: number): Listener | undefined {
  const loadBalancer = state.loadBalancers.get(id);
  if (loadBalancer?.status !== 'active') return undefined;
  return loadBalancer.listeners.find((it) => it.port === port && it.status === 'running');
}

/** How the listener chooses: only `wrr` and `wlc` go by weight. Undefined when no such listener runs. */
export const listenerScheduler = (state: CloudState, id: string, port: number): string | undefined =>
  running(state, id, port)?.scheduler;

/**
 * Where a new connection to the listener may go: the members of its group that pass the health check, with their weights (also 0).
 * Undefined when no such listener runs, or its load balancer is not active.
 */
export function listenerBackends(
  state: CloudState,
  health: (server: string, ip: string, port: number) => Health,
  id: string,
  port: number,
): { server: string; ip: string; port: number; weight: number; type: string; description: string }[] | undefined {
  const listener = running(state, id, port);
  if (!listener) return undefined;
  const members = (listener.group === undefined ? undefined : state.groups.get(listener.group)?.backends) ?? [];
  const checked = listener.config['HealthCheck'] !== 'off';
  return members
    .map((it) => ({ ...it, ip: it.ip || (state.instances.get(it.server)?.ip ?? '') }))
    .filter((it) => !checked || health(it.server, it.ip, it.port) !== 'abnormal');
}
