import { refuse } from '../errors.js';
import type { Parameters } from '../parameters.js';
import type { Context } from '../product.js';
import type { Group, Listener, LoadBalancer } from '../state.js';

const PROTOCOLS = ['tcp', 'udp', 'http', 'https'] as const;

/** One endpoint serves all regions here, so a load balancer is looked up by id, and by region where the request names one. */
export function findLoadBalancer(parameters: Parameters, { state }: Context): LoadBalancer {
  const found = state.loadBalancers.get(parameters.required('LoadBalancerId'));
  const region = parameters.text('RegionId');
  if (found && (region === undefined || region === found.region)) return found;
  return refuse(404, 'InvalidLoadBalancerId.NotFound', 'The specified LoadBalancerId does not exist.');
}

/** A missing group is InvalidParameter with this text; Terraform's provider goes by the text. */
export function findGroup(
  parameters: Parameters,
  { state }: Context,
  id = parameters.required('VServerGroupId'),
): Group {
  const found = state.groups.get(id);
  const region = parameters.text('RegionId');
  const home = found && state.loadBalancers.get(found.loadBalancer)?.region;
  if (found && (region === undefined || region === home)) return found;
  return refuse(404, 'InvalidParameter', 'The specified VServerGroupId does not exist.');
}

export const listenerNotFound = (): never => refuse(404, 'ListenerNotFound', 'The specified listener does not exist.');

/** UDP may share a port with one of the others, and only then the protocol is needed. */
export function findListener(
  parameters: Parameters,
  loadBalancer: LoadBalancer,
  protocol?: Listener['protocol'],
): Listener {
  parameters.required('ListenerPort');
  const port = parameters.integer('ListenerPort', 1, 65_535);
  const wanted = protocol ?? parameters.oneOf('ListenerProtocol', PROTOCOLS);
  const found = loadBalancer.listeners.filter(
    (it) => it.port === port && (wanted === undefined || it.protocol === wanted),
  );
  if (found.length > 1)
    refuse(400, 'MissingListenerProtocol', 'Two listeners use this port: ListenerProtocol is mandatory.');
  return found[0] ?? listenerNotFound();
}

export const groupsOf = (id: string, { state }: Context): Group[] =>
  [...state.groups.values()].filter((it) => it.loadBalancer === id);

/**
 * Refuses over the wire while an earlier change is still being applied, and begins to apply this one. Which of the busy codes the
 * real product gives when is not documented; each of its writers here has one, so that a client meets them all.
 */
export function beginChange(
  target: { busyUntilMs: number },
  { clock, rates, via }: Context,
  busy: { status: number; code: string },
): void {
  const now = clock.now();
  if (via === 'wire' && now < target.busyUntilMs) {
    refuse(busy.status, busy.code, 'A previous configuration of the resource is pending; please try again later.');
  }
  target.busyUntilMs = now + rates.applyMs;
}

export function checkActive(loadBalancer: LoadBalancer): void {
  if (loadBalancer.status === 'locked') refuse(400, 'ActionNotAllowed', 'The load balancer is locked.');
}
