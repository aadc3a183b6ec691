import type { Reach } from '../reach.js';
import type { Front, Send } from '../fronts.js';
import type { ListenerClients, TwinCloud } from '../types.js';

type Member = NonNullable<ReturnType<TwinCloud['listenerBackends']>>[number];

/** A load balancer's listener: its choice by weight among the members that pass the health check. */
export function listenerFront(
  { loadBalancer, port }: Pick<ListenerClients, 'loadBalancer' | 'port'>,
  { cloud, reach }: { cloud: TwinCloud; reach: Reach },
): Front {
  const choose = chooser();
  const burst = (): Send => {
    const members = cloud.listenerBackends(loadBalancer, port);
    if (!members) return () => ({ failed: 'no such running listener' });
    const scheduler = cloud.listenerScheduler?.(loadBalancer, port) ?? 'wrr';
    const weighted = scheduler === 'wrr' || scheduler === 'wlc';
    return (turn) => {
      const member = choose(members, weighted);
      return member ? reach.reach(member, turn) : { failed: 'no member takes requests' };
    };
  };
  return { send: (turn) => burst()(turn), burst };
}

/** Smooth weighted round robin (nginx, LVS): over any sum of weights each member gets exactly its weight. */
function chooser(): (members: readonly Member[], weighted: boolean) => Member | undefined {
  const current = new Map<string, number>();
  let last: string | undefined;
  const key = (it: Member): string => `${it.server}|${it.ip}|${it.port}`;

  const inTurn = (members: readonly Member[]): Member | undefined => {
    const at = members.findIndex((it) => key(it) === last);
    const next = members[(at + 1) % members.length];
    last = next && key(next);
    return next;
  };

  return (members, weighted) => {
    const open = members.filter((it) => it.weight > 0);
    if (!weighted) return inTurn(open);
    let best: string | undefined;
    let chosen: Member | undefined;
    let total = 0;
    for (const it of open) {
      const name = key(it);
      const value = (current.get(name) ?? 0) + it.weight;
      current.set(name, value);
      total += it.weight;
      if (best === undefined || value > current.get(best)!) [best, chosen] = [name, it];
    }
    if (best !== undefined) current.set(best, current.get(best)! - total);
    return chosen;
  };
}
