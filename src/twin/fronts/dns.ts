import type { Front, FrontWorld } from '../fronts.js';
import type { Reached } from '../reach.js';
import type { DnsClients } from '../types.js';

interface Kept {
  /** milliseconds since 1970 */
  until: number;
  values: string[];
}

/**
 * Clients that ask for a name before each request, through resolvers that keep the authority's answer as long as its TTL says, and go to
 * the first address of it that they draw. So a share of answers is one of resolvers. Some ask once and keep the address.
 */
export function dnsFront(seed: DnsClients, { cloud, clock, random, dial }: FrontWorld): Front {
  const { host, port, resolvers = 50, stuckPercent = 0, stuckForMs = Infinity } = seed;
  const caches = new Map<number, Kept>();
  const held = new Map<number, Kept>();
  let asked = 0;

  const resolve = (resolver: number): string[] => {
    const now = clock.now();
    const kept = caches.get(resolver);
    if (kept && kept.until > now) return kept.values;
    const answer = cloud.dnsAnswer?.(host);
    const { values, ttlS } = answer ?? { values: [], ttlS: 0 };
    caches.set(resolver, { values, until: now + ttlS * 1000 });
    return values;
  };

  const addressFor = (): string | undefined => {
    const client = asked++;
    const isStuck = (client % 100) + 0.5 < stuckPercent;
    const kept = isStuck ? held.get(client % 100) : undefined;
    if (kept && kept.until > clock.now()) return kept.values[0];
    const values = resolve(Math.floor(random() * resolvers));
    const value = values[Math.floor(random() * values.length)];
    if (isStuck && value !== undefined) held.set(client % 100, { values: [value], until: clock.now() + stuckForMs });
    return value;
  };

  return {
    send(turn): Reached {
      const address = addressFor();
      return address === undefined ? { failed: `no address for ${host}` } : dial('outside', address, port, turn);
    },
  };
}
