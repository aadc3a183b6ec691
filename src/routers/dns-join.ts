import { addressOf, hostOf, obstacle, sidesOf, type DnsName, type DnsRoute } from '../dns.js';
import { Interrupted } from '../engine.js';
import { isMigrateError, MigrateError } from '../errors.js';
import { lbKey, splitPath } from '../objects.js';
import type { DnsRecords, DnsSet, KubeObject, World } from '../ports.js';
import type { Part } from '../router.js';
import type { Debt, StepContext } from '../step.js';
import { spell } from '../words.js';
import { needed, readSets, waitUnless } from './dns.js';
import { serviceOn } from './services.js';

/**
 * The target's record comes in without ever being answered. A record that is added is answered at once and can't be added paused: so it is
 * made under a name of its own that nobody asks for, paused there, and then given its real name.
 */

export interface JoinBefore {
  names: NameBefore[];
  /** where the target's Service is made one with an address of its own: what it was, and annotations that name the source's load balancer */
  closed?: { type: string; annotations: Record<string, string> };
}

interface NameBefore {
  /** the address that the target's record gets or has; unknown until its Service has one */
  value?: string;
  /** was there, paused */
  known: boolean;
  weighted: boolean;
  /** of the source's record; a weight can only be put back while weighting is on */
  weight: number;
  ttls: { id: string; value: string; ttlS: number }[];
}

export const join: Part<DnsRoute, JoinBefore> = {
  title: ({ names, lowerTtlS }) =>
    `${namesOf(names)}: the target's record, paused${lowerTtlS === undefined ? '' : `, and a TTL of ${lowerTtlS} s`}`,
  wayBack: () => 'its record is deleted, weighting and TTL as they were',

  async check(route, { world }) {
    const service = await serviceOn(world.target, route);
    const names = (await readSets(route, world)).map(({ name, records }) => look(name, records, service));
    const type = String(service['spec']?.type ?? 'ClusterIP');
    const opens = names.some((it) => it.value === undefined) && type !== 'LoadBalancer';
    return { names, ...(opens && { closed: { type, annotations: boundTo(service) } }) };
  },

  async apply(route, before, context) {
    if (before.closed) await open(route, before.closed.annotations, context);
    for (const [index, name] of route.names.entries()) {
      const known = before.names[index];
      if (known) await bring(route, name, known, context);
    }
    await lowerTtl(route, before, context);
  },

  async verify(route, before, { world }) {
    for (const [index, { name, records }] of (await readSets(route, world)).entries()) {
      const { target } = sidesOf(await named(route, name, before.names[index], world), records);
      if (target && !target.enabled && records.weighted) continue;
      throw new MigrateError('DNS_JOIN_UNFINISHED', {
        what: `${hostOf(name)} ${target ? (target.enabled ? "answers with the target's record already" : 'is not answered by weight') : "has no record of the target's"}.`,
        why: 'Something else changed the records meanwhile.',
        fix: 'Look at the records and the operation log in the console, then run again.',
      });
    }
  },

  async undo(route, before, { world }) {
    const { dns } = world.cloud;
    for (const [index, { name, records }] of (await readSets(route, world)).entries()) {
      const was = before.names[index];
      if (!was) continue;
      const { source, target } = sidesOf(name.target === undefined ? { ...name, ...valueIn(was) } : name, records);
      for (const it of was.ttls) {
        const now = records.records.find((one) => one.id === it.id);
        if (now && now.ttlS !== it.ttlS) await dns.change(name, it.id, it.value, it.ttlS);
      }
      if (records.weighted && source?.enabled && source.weight !== was.weight)
        await dns.setWeight(source.id, was.weight);
      // Weighting may be off only while the target's record is paused: else both would be given.
      if (target?.enabled) await dns.enable(target.id, false);
      if (records.weighted && !was.weighted) await dns.weigh(name, false);
      if (!was.known) {
        if (target) await dns.remove(target.id);
        for (const it of (await dns.records(asideSet(name))).records) await dns.remove(it.id);
      }
    }
    return before.closed ? close(route, before.closed, world) : [];
  },
};

const namesOf = (names: readonly DnsName[]) => names.map(hostOf).join(', ');

const valueIn = ({ value }: NameBefore) => (value === undefined ? {} : { target: value });

/** With the target's address, which its Service has by now. */
async function named(route: DnsRoute, name: DnsName, before: NameBefore | undefined, world: World): Promise<DnsName> {
  const known = name.target ?? before?.value;
  return { ...name, target: known ?? (await untilAddress(route, name, world)) };
}

function look(name: DnsName, records: DnsRecords, service: KubeObject): NameBefore {
  const value = name.target ?? addressOf(service, name.type);
  const full = value === undefined ? name : { ...name, target: value };
  const sides = sidesOf(full, records);
  const source = needed('source', name, sides.source);
  mustFit(full, records);
  return {
    ...(value !== undefined && { value }),
    known: sides.target !== undefined,
    weighted: records.weighted,
    weight: source.weight,
    ttls: [source, ...(sides.target ? [sides.target] : [])].map((it) => ({
      id: it.id,
      value: it.value,
      ttlS: it.ttlS,
    })),
  };
}

/** @throws MigrateError DNS_RECORDS_UNFIT */
function mustFit(name: DnsName, records: DnsRecords): void {
  const why = obstacle(name, records);
  if (why === undefined) return;
  throw new MigrateError('DNS_RECORDS_UNFIT', {
    what: `${hostOf(name)} can't be weighed: ${why}.`,
    why: 'The target must come in with nothing, and its first share must be as small as was asked.',
    fix:
      !records.weighted && name.type === 'CNAME'
        ? 'Turn weighting on in the console once both records are there.'
        : 'Set the records right in the console (unlock, pause, or delete the one of the target: it is made anew), then run again.',
  });
}

/** A label that nobody asks for, the same for every try. */
const asideSet = (name: DnsName): DnsSet => ({
  ...name,
  name: name.name === '@' ? '_migrate' : `_migrate.${name.name}`,
});

async function bring(
  route: DnsRoute,
  name: DnsName,
  before: NameBefore,
  { world, progress }: StepContext,
): Promise<void> {
  const { dns } = world.cloud;
  const full = await named(route, name, before, world);
  const value = full.target ?? '';
  const records = await dns.records(name);
  const { source, target } = sidesOf(full, records);
  if (!target) {
    const ttlS = Math.min(source?.ttlS ?? 600, route.lowerTtlS ?? Infinity);
    progress(`${hostOf(name)}: record ${value}, made aside`);
    const known = (await dns.records(asideSet(name))).records.find((it) => it.value === value);
    const id = known?.id ?? (await dns.add(asideSet(name), value, ttlS));
    if (known?.enabled !== false) await dns.enable(id, false);
    await dns.change(name, id, value, ttlS);
  }
  if (!records.weighted) await dns.weigh(name, true);
}

const ADDRESS_MS = 300_000;

/** A copy of the source's Service would bind itself to the source's load balancer. */
const BINDING = ['id', 'vgroup-port', 'weight', 'force-override-listeners'];

const boundTo = ({ metadata }: KubeObject): Record<string, string> =>
  Object.fromEntries(
    Object.entries(metadata.annotations ?? {}).filter(([key]) =>
      BINDING.some((it) => key === lbKey(it) || key === lbKey(it).replace('alibaba-cloud', 'alicloud')),
    ),
  );

/** Its controller makes it a load balancer with an address of its own, which nobody knows of yet. */
async function open(route: DnsRoute, bound: Record<string, string>, { world, progress }: StepContext): Promise<void> {
  const service = await serviceOn(world.target, route);
  if (service['spec']?.type === 'LoadBalancer') return;
  progress(`${route.service} of the target gets an address`);
  const annotations = Object.fromEntries(Object.keys(bound).map((key) => [key, null]));
  await world.target.patch(
    { kind: 'Service', ...splitPath(route.service) },
    { metadata: { annotations }, spec: { type: 'LoadBalancer' } },
  );
}

async function untilAddress(route: DnsRoute, name: DnsName, { target, clock }: World): Promise<string> {
  const deadline = clock.now() + ADDRESS_MS;
  for (let pause = 500; ; pause = Math.min(pause * 2, 5000)) {
    const found = addressOf(await serviceOn(target, route), name.type);
    if (found !== undefined) return found;
    if (clock.now() >= deadline) {
      throw new MigrateError('TARGET_ADDRESS_MISSING', {
        what: `Service ${route.service} of the target got no ${name.type === 'CNAME' ? 'host name' : 'address'} within ${spell(ADDRESS_MS)}.`,
        why: 'Its cloud controller manager has not made it a load balancer: there is nothing that the record could lead to.',
        fix: "Look at the Service's events on the target, or name the address in the playbook: `target: 198.51.100.7`.",
      });
    }
    await clock.sleep(pause);
  }
}

/** Nobody is led to the address any more: the Service is as it was, and its controller takes its load balancer away. */
async function close(
  route: DnsRoute,
  { type, annotations }: NonNullable<JoinBefore['closed']>,
  { target, clock }: World,
): Promise<Debt[]> {
  const ref = { kind: 'Service', ...splitPath(route.service) };
  try {
    const service = await target.get(ref);
    if (!service) return [];
    if (service['spec']?.type !== type) await target.patch(ref, { spec: { type } });
    const deadline = clock.now() + ADDRESS_MS;
    for (let pause = 500; ; pause = Math.min(pause * 2, 5000)) {
      const now = await target.get(ref);
      if (!now) return [];
      if ((addressOf(now, 'A') ?? addressOf(now, 'CNAME')) === undefined) {
        await target.patch(ref, { metadata: { annotations } });
        return [];
      }
      if (clock.now() >= deadline) break;
      await clock.sleep(pause);
    }
    return [
      { side: 'target', what: `Service ${route.service} of the target still has the address that it was given.` },
    ];
  } catch (error) {
    if (!isMigrateError(error, 'KUBE_UNREACHABLE')) throw error;
    return [
      {
        side: 'target',
        what: `The target's API server does not answer: Service ${route.service} keeps its load balancer, which no record leads to.`,
      },
    ];
  }
}

/** A shorter TTL is of use once the answers with the longer one have run out. */
async function lowerTtl({ names, lowerTtlS }: DnsRoute, before: JoinBefore, context: StepContext): Promise<void> {
  if (lowerTtlS === undefined) return;
  const { world, progress, stopping } = context;
  let longest = 0;
  for (const [index, name] of names.entries()) {
    const { records } = await world.cloud.dns.records(name);
    for (const it of before.names[index]?.ttls ?? []) {
      const now = records.find((one) => one.id === it.id)?.ttlS ?? it.ttlS;
      if (now <= lowerTtlS) continue;
      longest = Math.max(longest, it.ttlS);
      await world.cloud.dns.change(name, it.id, it.value, lowerTtlS);
    }
  }
  if (longest === 0) return;
  progress(`TTL ${lowerTtlS} s; ${spell(longest * 1000)} until answers with the old one have run out`);
  await waitUnless(stopping, longest * 1000, world);
  if (stopping()) throw new Interrupted();
}

/** Nothing is written: the source's record stays, paused. What is waited for is those who keep its address. */
export const leave: Part<DnsRoute, null> = {
  title: ({ names, drainMs, ttlS }) =>
    `${namesOf(names)}: ${spell(Math.max(drainMs, ttlS * 1000))} for those who still have the source's address`,
  wayBack: () => 'nothing to undo: the record of the source is there, paused',

  async check(route, { world }) {
    for (const { name, records } of await readSets(route, world)) mustBePaused(name, records);
    return null;
  },

  async apply({ drainMs, ttlS }, _before, { world, stopping }) {
    await waitUnless(stopping, Math.max(drainMs, ttlS * 1000), world);
    // What comes next stops the source: a wait that was broken off has not been waited.
    if (stopping()) throw new Interrupted();
  },

  async verify(route, _before, { world }) {
    for (const { name, records } of await readSets(route, world)) mustBePaused(name, records);
  },

  undo: async () => [],
};

/** @throws MigrateError SOURCE_STILL_SERVES */
function mustBePaused(name: DnsName, records: DnsRecords): void {
  const { source } = sidesOf(name, records);
  if (!source?.enabled) return;
  throw new MigrateError('SOURCE_STILL_SERVES', {
    what: `${hostOf(name)} still answers with the source's ${source.value}.`,
    why: 'The source may only go once nobody is sent to it any more.',
    fix: 'Shift to 100 % first.',
  });
}
