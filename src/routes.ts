import { z } from 'zod';
import { serviceName } from './formats.js';

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

export const routeEntry = z.discriminatedUnion('router', [clb]);

/** An entry of a certain router. */
export type EntryOf<Name extends z.output<typeof routeEntry>['router']> = Extract<
  z.output<typeof routeEntry>,
  { router: Name }
>;
