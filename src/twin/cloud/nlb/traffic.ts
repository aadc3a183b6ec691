import type { Health } from '../product.js';
import type { CloudState } from '../state.js';
import type { NlbGroup, NlbListener } from './state.js';

function running(state: CloudState, id: string, port: number): NlbListener | undefined {
  return state.nlb.loadBalancers
    .get(id)
    ?.listeners.find((it) => it.status === 'Running' && (it.port === port || isInRange(it, port)));
}

const isInRange = ({ startPort, endPort }: NlbListener, port: number): boolean =>
  startPort !== '' && port >= Number(startPort) && port <= Number(endPort);

const groupBehind = (state: CloudState, id: string, port: number): NlbGroup | undefined => {
  const listener = running(state, id, port);
  return listener && state.nlb.groups.get(listener.group);
};

/** How the group behind the listener chooses, in the words of CLB: only `wrr` and `wlc` go by weight. */
export const nlbScheduler = (state: CloudState, id: string, port: number): string | undefined =>
  groupBehind(state, id, port)?.scheduler.toLowerCase();

/**
 * Where a new connection to a listener of an NLB may go, as `listenerBackends` says it for a CLB: the servers of its group that are in
 * force and pass the health check, with their weights (also 0). One that is still being added takes nothing. Undefined when no such
 * listener runs.
 */
export function nlbBackends(
  state: CloudState,
  health: (server: string, ip: string, port: number) => Health,
  id: string,
  port: number,
): { server: string; ip: string; port: number; weight: number; type: string; description: string }[] | undefined {
  if (!running(state, id, port)) return undefined;
  const group = groupBehind(state, id, port);
  const isChecked = group?.healthCheck['HealthCheckEnabled'] !== false;
  return (group?.servers ?? [])
    .filter((it) => it.status !== 'Adding')
    .map((it) => ({
      server: it.server,
      ip: it.ip || (state.instances.get(it.server)?.ip ?? ''),
      // A listener of a range sends each port to the same one behind it.
      port: it.port || port,
      weight: it.weight,
      type: it.type.toLowerCase(),
      description: it.description,
    }))
    .filter((it) => !isChecked || health(it.server, it.ip, it.port) !== 'abnormal');
}
