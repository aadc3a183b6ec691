import type { Parameters } from '../parameters.js';
import type { Context } from '../product.js';
import { notFound } from './refusals.js';
import type { Nlb, NlbGroup, NlbListener } from './state.js';

const isIn = (region: string, parameters: Parameters): boolean => {
  const asked = parameters.text('RegionId');
  return asked === undefined || asked === region;
};

export function findNlb(parameters: Parameters, { state }: Context, id = parameters.required('LoadBalancerId')): Nlb {
  const found = state.nlb.loadBalancers.get(id);
  return found && isIn(found.region, parameters) ? found : notFound('loadBalancer', id);
}

export function findNlbGroup(
  parameters: Parameters,
  { state }: Context,
  id = parameters.required('ServerGroupId'),
): NlbGroup {
  const found = state.nlb.groups.get(id);
  return found && isIn(found.region, parameters) ? found : notFound('serverGroup', id);
}

export function findNlbListener(
  parameters: Parameters,
  { state }: Context,
): { loadBalancer: Nlb; listener: NlbListener } {
  const id = parameters.required('ListenerId');
  for (const loadBalancer of state.nlb.loadBalancers.values()) {
    const listener = loadBalancer.listeners.find((it) => it.id === id);
    if (listener && isIn(loadBalancer.region, parameters)) return { loadBalancer, listener };
  }
  return notFound('listener', id);
}

/** Listeners that a group stands behind. */
export const usersOf = (group: string, { state }: Context): { loadBalancer: Nlb; listener: NlbListener }[] =>
  [...state.nlb.loadBalancers.values()].flatMap((loadBalancer) =>
    loadBalancer.listeners.filter((it) => it.group === group).map((listener) => ({ loadBalancer, listener })),
  );

/** Whether one of the filter's tags is there. The product does not say whether several are ANDed or ORed; ORed a careless client finds too much. */
export function hasOneOf(
  tags: Record<string, string>,
  filter: { key: string; value: string | undefined }[] | undefined,
): boolean {
  return (
    filter === undefined ||
    filter.some(({ key, value }) => key in tags && (value === undefined || value === '' || tags[key] === value))
  );
}

/** Key and Value in lists; the attribute of a load balancer has TagKey and TagValue. */
export const keyedTags = (tags: Record<string, string>): { Key: string; Value: string }[] =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
