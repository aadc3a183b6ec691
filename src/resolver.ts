import { Resolver } from 'node:dns/promises';

/** For one question; a lost packet is asked again once. */
const TIMEOUT_MS = 2000;

/**
 * Asks one DNS server and no other, past every cache on the way.
 *
 * @param server  `address`, or `address:port`; IPv6 with a port in brackets
 * @param type    A, AAAA or CNAME
 * @returns the values; empty where it has none, or does not answer
 */
export async function askServer(server: string, name: string, type: string): Promise<string[]> {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: 2 });
  resolver.setServers([server]);
  try {
    if (type === 'CNAME') return await resolver.resolveCname(name);
    return type === 'AAAA' ? await resolver.resolve6(name) : await resolver.resolve4(name);
  } catch {
    return [];
  } finally {
    resolver.cancel();
  }
}
