import { Unknown, type SideSight, type Sight } from '../src/check.js';
import { groupEntries, type GroupEntry } from '../src/routes.js';
import type { KubeObject, Listener, LoadBalancer, ServerGroup } from '../src/ports.js';
import { isMadeByController, LOAD_BALANCER_LABEL } from '../src/hand-over.js';
import { annotation } from './annotations.js';

/** A service whose traffic moves by a server group, of a CLB or an NLB, with all that stands before it. */
export interface Front {
  asked: GroupEntry;
  /** `service shop/web` */
  about: string;
  namespace: string;
  name: string;
  /** undefined when that side has none */
  source: KubeObject | undefined;
  target: KubeObject | undefined;
}

/** A front whose load balancer is there. */
export interface BalancedFront extends Front {
  balancer: LoadBalancer;
  listener: Listener | undefined;
  group: ServerGroup | undefined;
}

export function fronts({ playbook, source, target }: Sight): Front[] {
  return groupEntries(playbook).map((asked) => {
    const [namespace = '', name = ''] = asked.service.split('/');
    const on = (side: SideSight) => side.get('Service', namespace, name);
    return { asked, about: `service ${asked.service}`, namespace, name, source: on(source), target: on(target) };
  });
}

/**
 * @returns undefined when neither the playbook nor the source's Service names one
 */
export const balancerId = ({ asked, source }: Front): string | undefined =>
  asked.loadBalancer ||
  annotation(source, 'id') ||
  // Of one that is to be handed over its controller has noted the id.
  (asked.handOver && source?.metadata.labels?.[LOAD_BALANCER_LABEL]) ||
  undefined;

/** Its controller owns the load balancer still, and a step of the plan takes it over: what must be so then need not be so now. */
export const isToBeHandedOver = ({ asked, balancer, source }: BalancedFront): boolean =>
  asked.handOver !== undefined && (isMadeByController(balancer) || annotation(source, 'id') !== balancer.id);

/** @throws Unknown  which load balancer it is cannot be told, or it could not be read */
export function balancerOf(front: Front, sight: Sight): LoadBalancer | undefined {
  const id = balancerId(front);
  if (id !== undefined) return sight.loadBalancer(id);
  throw new Unknown(
    `${front.about}: neither its annotations nor the playbook (\`loadBalancer:\`) name its load balancer`,
  );
}

/** Fronts whose load balancer does not exist are left out: `listener-group` tells of those. */
export function balanced(sight: Sight): BalancedFront[] {
  return fronts(sight).flatMap((front) => {
    const balancer = balancerOf(front, sight);
    if (!balancer) return [];
    const listener = balancer.listeners.find((it) => it.port === front.asked.port);
    // Without a group in the playbook it is the listener's.
    const asked = front.asked.group === '' ? { ...front.asked, group: listener?.group ?? '' } : front.asked;
    return [{ ...front, asked, balancer, listener, group: balancer.groups.find((it) => it.id === asked.group) }];
  });
}
