import { z } from 'zod';
import { duration, name, serviceName } from './formats.js';

/** The entries of `traffic.services`: one shape for each router. What an entry means is said in the router's own file. */

/**
 * A share that is one of a server group, which both clusters' controllers fill.
 *
 * @param ids  how ids of a group and of a load balancer begin
 */
const byServerGroup = <Name extends 'clb' | 'nlb'>(router: Name, ids: { group: string; loadBalancer: string }) =>
  z
    .strictObject({
      service: serviceName,
      router: z.literal(router),
      /** id of the server group that both clusters share; with `handOver` it is found */
      group: z
        .string()
        .regex(
          new RegExp(`^(?:${ids.group}-[-a-z0-9]+)?$`, 'i'),
          `is not the id of a server group, e.g. ${ids.group}-1`,
        )
        .default(''),
      /** the Service's port, which is the listener's port too */
      port: z.int().min(1).max(65535),
      /** read from the source Service when it isn't given: its annotation, or what its controller noted on it */
      loadBalancer: z
        .string()
        .regex(
          new RegExp(`^${ids.loadBalancer}-[-a-z0-9]+$`, 'i'),
          `is not the id of a load balancer, e.g. ${ids.loadBalancer}-1`,
        )
        .optional(),
      /**
       * `service`: weights are written to the two Services alone; `member`: to each member through the cloud's API; `either`: whichever comes
       * near enough, Services first
       */
      weights: z.enum(['service', 'member', 'either']).default('either'),
      /** a listener that takes turns (`rr`) whatever the weights may be set to `wrr` first, and back in the end of a way back */
      scheduler: z.literal('wrr').optional(),
      /**
       * the source's controller made the load balancer: it is taken over first, with all of the Service's ports, and keeps its address. Where
       * the controller is out of sight, e.g. in a managed cluster, say its version: `source: { ccm: 2.14.0 }`
       */
      handOver: z.literal(true).optional(),
    })
    .refine((it) => (it.group === '') === (it.handOver !== undefined), {
      path: ['group'],
      error: 'is missing, and `handOver` is not there either: one of them, not both',
    });

const clb = byServerGroup('clb', { group: 'rsp', loadBalancer: 'lb' });
/** the Services are of class alibabacloud.com/nlb */
const nlb = byServerGroup('nlb', { group: 'sgp', loadBalancer: 'nlb' });

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

const address = z
  .string()
  .regex(/^\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?$/, 'is not an address, e.g. 10.0.0.9 or 10.0.0.9:80')
  .optional();

const portNumber = z.int().min(1).max(65535);

const ingress = z
  .strictObject({
    service: serviceName,
    router: z.literal('ingress'),
    /** the Ingress, in the Service's namespace, whose rules send to it */
    ingress: name,
    /** `canary`: ingress-nginx and those that read its annotations; `service-weight`: Alibaba's older ones; `edas`: header tickets, no weights */
    style: z.enum(['canary', 'service-weight', 'edas']).default('canary'),
    /** requests that carry it go to the target from the first step on, before any weight */
    header: z
      .strictObject({
        name: z.string().regex(/^[-\w]+$/, 'is not the name of a header'),
        value: z.string().min(1).optional(),
      })
      .optional(),
    /** the same for a cookie of the value `always` */
    cookie: z.string().regex(/^\w+$/, 'is not the name of a cookie').optional(),
    /** where the target answers; the address of its Service when it isn't given */
    address,
  })
  .superRefine(({ style, header, cookie }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (style === 'edas' && header?.value === undefined)
      issue('header', 'is needed with its value: tickets of `edas` are headers, and it has no weights');
    if (style === 'service-weight' && header && header.value === undefined)
      issue('header', 'needs its value with `service-weight`');
    if (style !== 'canary' && cookie !== undefined) issue('cookie', 'is for `canary` alone');
  });

const gateway = z.strictObject({
  service: serviceName,
  router: z.literal('gateway'),
  /** the HTTPRoute, in the Service's namespace, whose rules send to it */
  route: name,
  /** of the backend, where rules send to several ports of the Service */
  port: portNumber.optional(),
  /** how the source's gateway reaches the target: an address, or a ServiceImport of the Service's name that stands for the target alone */
  through: z.enum(['address', 'service-import']).default('address'),
  /** where the target answers; the address of its Service when it isn't given */
  address,
});

const istio = z.strictObject({
  service: serviceName,
  router: z.literal('istio'),
  /** the VirtualService, in the Service's namespace, whose routes send to it */
  virtualService: name,
  /** what one mesh over both calls them; without, the target is reached as a host of its own, at its address */
  clusters: z.strictObject({ source: z.string().min(1), target: z.string().min(1) }).optional(),
  /** of the Service, where it has several */
  port: portNumber.optional(),
  /** where the target answers, without one mesh; the address of its Service when it isn't given */
  address,
});

const exec = z.strictObject({
  service: serviceName,
  router: z.literal('exec'),
  /** the program and its arguments, one by one: no shell reads them */
  command: z
    .array(z.string())
    .min(1, 'needs a program')
    .refine((it) => it[0] !== '', 'needs a program'),
  /** for one answer */
  deadline: duration.default(30_000),
  /** the two weights are whole numbers that add up to this */
  sum: z.int().min(1).max(1_000_000).default(100),
  /** what a weight splits, for the plan */
  splits: z.enum(['connections', 'requests', 'answers']).default('connections'),
  /** from a write until nearly all that is new follows it, for the plan */
  bites: duration.default(10_000),
  /** handed to the program with every question */
  options: z.record(z.string(), z.unknown()).default({}),
});

const share = z.number().min(0).max(100);

const mcs = z.strictObject({
  service: serviceName,
  router: z.literal('mcs'),
  /** batches, one after the other; entries without a wave come after all of them */
  wave: z.int().min(1).optional(),
  /** shares of this Service, which only move by whole pods: both sides up, then the old one down, when left out */
  steps: z.array(share).min(1).default([50, 100]),
});

const fsm = z.strictObject({
  service: serviceName,
  router: z.literal('fsm'),
  wave: z.int().min(1).optional(),
  steps: z.array(share).min(1).optional(),
  /** as the export's rules say; any path below it goes to the Service */
  path: z.string().startsWith('/').optional(),
  /** `region/zone/group/name` of the target, where the import does not tell */
  clusterKey: z.string().min(1).optional(),
});

export const routeEntry = z.discriminatedUnion('router', [mcs, fsm, exec, clb, nlb, dns, ingress, gateway, istio]);

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

/** An entry whose share is one of a server group, of either kind of load balancer. */
export type GroupEntry = EntryOf<'clb'> | EntryOf<'nlb'>;

export const isGroupEntry = (it: TrafficEntry): it is GroupEntry => it.router === 'clb' || it.router === 'nlb';

/** The playbook's entries of that kind, in its order. */
export const groupEntries = ({ traffic }: { traffic?: { services: TrafficEntry[] } | undefined }): GroupEntry[] =>
  (traffic?.services ?? []).filter(isGroupEntry);

type TrafficEntry = z.output<typeof routeEntry>;
