import { z } from 'zod';
import { duration, serviceName } from './formats.js';

/** The entries of `traffic.services`: one shape for each router. What an entry means is said in the router's own file. */

const clb = z.strictObject({
  service: serviceName,
  router: z.literal('clb'),
  /** id of the server group that both clusters share */
  group: z.string().regex(/^rsp-[-a-z0-9]+$/i, 'is not the id of a server group, e.g. rsp-1'),
  /** the Service's port, which is the listener's port too */
  port: z.int().min(1).max(65535),
  /** read from the source Service's annotation when it isn't given */
  loadBalancer: z
    .string()
    .regex(/^lb-[-a-z0-9]+$/i, 'is not the id of a load balancer, e.g. lb-1')
    .optional(),
});

const dns = z.strictObject({
  service: serviceName,
  router: z.literal('dns'),
  /** a domain whose authority is the cloud's account, e.g. example.com */
  domain: z.string().regex(/^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/, 'is not a domain in lower case, e.g. example.com'),
  /** host part, e.g. `www`; `@` is the domain itself */
  name: z
    .string()
    .regex(
      /^(?:@|[a-z0-9_](?:[-a-z0-9_.]*[a-z0-9])?)$/,
      'is not the host part of a name, e.g. www or @; wildcards have no weights',
    )
    .default('@'),
  type: z.enum(['A', 'AAAA', 'CNAME']).default('A'),
  /** which askers get it: `default`, `telecom`, … */
  line: z.string().min(1).default('default'),
  /** what leads to the source: the address of its Service when it isn't given */
  source: z.string().min(1).optional(),
  /** what leads to the target: the address of its Service, once it has one, when it isn't given */
  target: z.string().min(1).optional(),
  /** the records' TTL is lowered to it before anything is shifted, and raised again on the way back */
  ttl: duration.optional(),
  /** authoritative servers, `address` or `address:port`, that are asked beside the API */
  servers: z
    .array(z.string().regex(/^[0-9a-f.:[\]]+$/i, 'is not an address, e.g. 192.0.2.53 or 192.0.2.53:53'))
    .default([]),
  /** how long the source stays up after the last share, for those who keep an old answer beyond its TTL */
  drain: duration.default(30 * 60_000),
});

export const routeEntry = z.discriminatedUnion('router', [clb, dns]);

/** An entry of a certain router. */
export type EntryOf<Name extends z.output<typeof routeEntry>['router']> = Extract<
  z.output<typeof routeEntry>,
  { router: Name }
>;

/** The playbook's entries of one router, in its order. */
export const entriesOf = <Name extends TrafficEntry['router']>(
  router: Name,
  { traffic }: { traffic?: { services: TrafficEntry[] } | undefined },
): EntryOf<Name>[] => (traffic?.services ?? []).filter((it): it is EntryOf<Name> => it.router === router);

type TrafficEntry = z.output<typeof routeEntry>;
