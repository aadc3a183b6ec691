import type { Cloud, Tap } from '../ports.js';

/**
 * The same port, where who asks for what is being read already gets that answer too: Services of one load balancer, ports of one group. What
 * was sent before a write of ours had ended is never given to anybody who asks after it, so what proves a write is read after it.
 *
 * @param changes  how many writes have ended so far, wherever they went
 */
export function sharingReads(cloud: Cloud, changes: () => number): Cloud {
  const underWay = new Map<string, { since: number; reply: Promise<unknown> }>();

  const shared = <T>(key: string, read: () => Promise<T>): Promise<T> => {
    const since = changes();
    const known = underWay.get(key);
    if (known?.since === since) return known.reply as Promise<T>;
    const reply = read();
    const entry = { since, reply };
    underWay.set(key, entry);
    const ended = () => {
      if (underWay.get(key) === entry) underWay.delete(key);
    };
    reply.then(ended, ended);
    return reply;
  };

  return {
    ...cloud,
    loadBalancer: (id) => shared(`loadBalancer ${id}`, () => cloud.loadBalancer(id)),
    backends: (group) => shared(`backends ${group}`, () => cloud.backends(group)),
    clb: { ...cloud.clb, listeners: (id) => shared(`listeners ${id}`, () => cloud.clb.listeners(id)) },
  };
}

/** The same tap, which counts writes that have ended; one that failed may have been done. */
export function notingWrites(tap: Tap): { tap: Tap; changes: () => number } {
  let ended = 0;
  return {
    changes: () => ended,
    async tap(call, send) {
      try {
        return await tap(call, send);
      } finally {
        if (call.writes) ended += 1;
      }
    },
  };
}
