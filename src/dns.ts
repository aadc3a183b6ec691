import { MigrateError } from './errors.js';
import type { CloudInventory, ClusterInventory, Inventory } from './inventory.js';
import { pathOf } from './objects.js';
import type { Playbook } from './playbook.js';
import type { DnsRecord, DnsRecords, DnsSet, KubeObject, Side } from './ports.js';
import type { Ask, Choice, Route, Split, Unreachable } from './router.js';
import type { EntryOf } from './routes.js';

/**
 * Shares of DNS answers, by the weights of two records of one name: what the plan can say of them. A resolver asks once in a TTL and gives
 * the one answer to all its users, so a share is one of resolvers, not of requests.
 */

export interface DnsName extends DnsSet {
  /** the address or host that stands for the source */
  source: string;
  /** the same for the target; known once its Service has an address, where the playbook does not say it */
  target?: string;
}

export interface DnsRoute extends Route {
  router: 'dns';
  names: DnsName[];
  /** seconds: the longest that an answer is kept, once a shorter TTL that was asked for is in force */
  ttlS: number;
  /** seconds: what the records shall be lowered to before anything is shifted */
  lowerTtlS?: number;
  /** authoritative servers that are asked beside the API */
  servers: string[];
  /** how long the source stays up after the last share, for those who keep an old answer */
  drainMs: number;
}

/** Weights of each name's two records, 1 to 100; 0 is a paused record. */
export interface DnsSetting {
  names: Weights[];
}

export type Weights = Record<Side, number>;

type Entry = EntryOf<'dns'>;

/** Several names of one Service are one route: they move together. */
export function dnsRoutes(entries: readonly Entry[], playbook: Playbook, inventory: Inventory): DnsRoute[] {
  const byService = new Map<string, DnsRoute>();
  for (const it of entries) {
    const set: DnsSet = { domain: it.domain, name: it.name, type: it.type, line: it.line };
    const seen = setIn(cloudOf(inventory), set);
    const name: DnsName = { ...set, source: sourceOf(it, seen, inventory) };
    const target = targetOf(it, name, seen, inventory);
    if (target !== undefined) name.target = target;
    const ttlS = Math.max(1, ...seen.records.map((one) => one.ttlS));
    const route = byService.get(it.service) ?? {
      router: 'dns',
      service: it.service,
      names: [],
      ttlS: 0,
      servers: [],
      drainMs: 0,
    };
    byService.set(it.service, route);
    route.names.push(name);
    route.ttlS = Math.max(route.ttlS, it.ttl === undefined ? ttlS : Math.min(ttlS, it.ttl / 1000));
    if (it.ttl !== undefined) route.lowerTtlS = Math.min(route.lowerTtlS ?? Infinity, Math.round(it.ttl / 1000));
    route.servers = [...new Set([...route.servers, ...it.servers])];
    route.drainMs = Math.max(route.drainMs, it.drain);
  }
  return [...byService.values()];
}

export const unfit = (service: string, why: string, fix: string) =>
  new MigrateError('PLAN_SERVICE_UNFIT', {
    what: `Service ${service} can't be shifted by DNS: ${why}.`,
    why: 'Its share is moved by the weights of two records of one name.',
    fix,
  });

export const hostOf = ({ name, domain }: DnsSet) => (name === '@' ? domain : `${name}.${domain}`);

export const sameSet = (a: DnsSet, b: DnsSet) => hostOf(a) === hostOf(b) && a.type === b.type && a.line === b.line;

function cloudOf(inventory: Inventory): CloudInventory {
  if (inventory.cloud) return inventory.cloud;
  throw new MigrateError('PLAN_NOT_SEEN', {
    what: 'The inventory has no cloud.',
    why: 'Records and their TTL are read at the DNS authority.',
    fix: 'Take the inventory with the playbook that has `cloud`.',
  });
}

function setIn({ dns = [], unseen }: CloudInventory, set: DnsSet): DnsRecords {
  const found = dns.find((it) => sameSet(it, set));
  if (found) return found;
  throw new MigrateError('PLAN_NOT_SEEN', {
    what: `The inventory has no records of ${hostOf(set)}.`,
    why: unseen.find((it) => it.what === hostOf(set))?.why ?? 'It was taken with another playbook.',
    fix: 'Check the domain and the rights of the cloud identity, then plan again.',
  });
}

/** Said, else the address of the source's Service, else the only record that there is. */
function sourceOf(it: Entry, { records }: DnsRecords, inventory: Inventory): string {
  const enabled = records.filter((one) => one.enabled);
  const wanted = it.source ?? addressOf(find(inventory.source, it.service), it.type);
  const found = enabled.find((one) => one.value === wanted) ?? (it.source ? undefined : only(enabled));
  if (found) return found.value;
  throw unfit(
    it.service,
    `none of the ${it.type} records of ${hostOf(it)} leads to ${wanted ?? 'an address of its own'}`,
    `Say which is the source's: \`source: ${enabled[0]?.value ?? '203.0.113.10'}\`. Answered now: ${enabled.map((one) => one.value).join(', ') || 'nothing'}.`,
  );
}

/** Said, else the address of the target's Service where it has one already, else what else there is but the source's, if that is one. */
function targetOf(it: Entry, name: DnsName, { records }: DnsRecords, inventory: Inventory): string | undefined {
  const others = records.filter((one) => one.value !== name.source);
  const said = it.target ?? addressOf(find(inventory.target, it.service), it.type);
  if (said !== undefined) return said;
  if (others.length < 2) return only(others)?.value;
  throw unfit(
    it.service,
    `${hostOf(it)} has ${others.length} records beside the source's`,
    "Say which address is the target's: `target: 198.51.100.7`.",
  );
}

const only = (records: readonly DnsRecord[]) => (records.length === 1 ? records[0] : undefined);

const find = (side: ClusterInventory, path: string): KubeObject | undefined =>
  (side.objects['Service'] ?? []).find((it) => pathOf(it.metadata) === path);

/** What a Service of type LoadBalancer is reached at; a host name for CNAMEs. */
export function addressOf(service: KubeObject | undefined, type: string): string | undefined {
  const [first] = (service?.['status']?.loadBalancer?.ingress ?? []) as { ip?: string; hostname?: string }[];
  const found = type === 'CNAME' ? first?.hostname : first?.ip;
  return found === '' ? undefined : found;
}

/** Which of a name's records is whose. */
export interface Sides {
  source?: DnsRecord;
  target?: DnsRecord;
  others: DnsRecord[];
}

export function sidesOf({ source, target }: DnsName, { records }: DnsRecords): Sides {
  const rest = records.filter((it) => it.value !== source);
  const own = records.find((it) => it.value === source);
  // Before the target's address was known there was none but it beside the source's, or the plan would have refused.
  const its = target === undefined ? only(rest) : rest.find((it) => it.value === target);
  return { ...(own && { source: own }), ...(its && { target: its }), others: rest.filter((it) => it !== its) };
}

/** Why a name's records can't be weighed as they are, so that the target comes in with nothing; undefined where they can. */
export function obstacle(name: DnsName, found: DnsRecords): string | undefined {
  const { records, weighted } = found;
  const { target } = sidesOf(name, found);
  const enabled = records.filter((it) => it.enabled && it !== target);
  const locked = records.find((it) => it.locked);
  if (locked) return `the record ${locked.value} is locked`;
  if (target?.enabled) return `the target's record ${target.value} is answered already`;
  if (target && target.weight > 1)
    return `the target's record ${target.value} is paused with weight ${target.weight} and would come back with it`;
  if (weighted) return undefined;
  if (name.type === 'CNAME') return 'the API turns weighting on for addresses alone, not for CNAMEs';
  return new Set(enabled.map((it) => it.weight)).size > 1
    ? 'its records have different weights that are not in force: turning weighting on would shift traffic'
    : undefined;
}

/** As it is answered: without weights every enabled record counts the same. */
export const weightOf = (record: DnsRecord | undefined, { weighted }: DnsRecords): number => {
  if (!record?.enabled) return 0;
  return weighted ? record.weight : 1;
};

export function splitOf(name: DnsName, records: DnsRecords): Split {
  const sides = sidesOf(name, records);
  const portion = (of: readonly (DnsRecord | undefined)[]) => {
    const enabled = of.filter((it) => it?.enabled);
    return { members: enabled.length, weight: enabled.reduce((sum, it) => sum + weightOf(it, records), 0) };
  };
  return {
    where: `${name.type} ${hostOf(name)}${name.line === 'default' ? '' : ` (${name.line})`}`,
    source: portion([sides.source]),
    target: portion([sides.target]),
    others: portion(sides.others),
  };
}

export const settingOf = (splits: readonly Split[]): DnsSetting => ({
  names: splits.map((it) => ({ source: it.source.weight, target: it.target.weight })),
});

export function foreseeDns(
  route: DnsRoute,
  ask: Ask,
  from: DnsSetting | undefined,
  inventory: Inventory,
): Choice<DnsSetting> | Unreachable {
  const splits = route.names.map((name) => splitOf(name, setIn(cloudOf(inventory), name)));
  return chooseWeights(
    ask,
    splits.map((it, index) => ({
      from: from?.names[index] ?? { source: it.source.weight, target: 0 },
      others: it.others.weight,
    })),
  );
}

export interface Standing {
  from: Weights;
  /** weights of records of neither side */
  others: number;
}

const shareOf = ({ source, target }: Weights, others: number) => (100 * target) / (source + target + others);

/**
 * The same weights for every name, the nearest to what is asked; of equal ones those that add up to 100, or that change least. Both sides
 * are only ever at nothing where records of neither side are answered.
 */
export function chooseWeights({ asked, tolerance }: Ask, names: readonly Standing[]): Choice<DnsSetting> | Unreachable {
  const chosen = names.map((it) => bestFor(asked, it));
  const shares = chosen.map((it, index) => shareOf(it, names[index]?.others ?? 0));
  const far = Math.max(...shares.map((it) => Math.abs(it - asked)));
  const worst = shares.find((it) => Math.abs(it - asked) === far) ?? asked;
  if (far > tolerance + 1e-9) return tooFar(asked, names);
  const changed = names.filter((it, index) => !equal(it.from, chosen[index] as Weights));
  return {
    setting: { names: chosen },
    reachable: worst,
    order:
      changed.length === 0
        ? []
        : orderOf(changed[0] as Standing, chosen[names.indexOf(changed[0] as Standing)] as Weights),
    how: [...new Set(chosen.map(wordsOf))].join('; '),
  };
}

const equal = (a: Weights, b: Weights) => a.source === b.source && a.target === b.target;

const wordsOf = ({ source, target }: Weights) =>
  `source ${source === 0 ? 'paused' : source}, target ${target === 0 ? 'paused' : target}`;

function bestFor(asked: number, standing: Standing): Weights {
  const { from, others } = standing;
  let best: { it: Weights; rank: number[] } | undefined;
  for (let source = 0; source <= 100; source++) {
    for (let target = 0; target <= 100; target++) {
      if (source + target === 0) continue;
      const it = { source, target };
      const changes = Number(source !== from.source) + Number(target !== from.target);
      // A paused record stands alone; what the other weighs then changes nothing, and stays as it is.
      const idle = (source === 0 || target === 0) && others === 0 ? changes : 0;
      const off = Math.abs(shareOf(it, others) - asked);
      const rank = [Math.round(off * 1e6), idle, Math.abs(100 - source - target), changes];
      if ((!best || less(rank, best.rank)) && astray(standing, it, orderOf(standing, it)) === 0) best = { it, rank };
    }
  }
  return (best as { it: Weights }).it;
}

const less = (a: readonly number[], b: readonly number[]): boolean => {
  const at = a.findIndex((it, index) => it !== b[index]);
  return at >= 0 && (a[at] as number) < (b[at] as number);
};

/** The order of writes in which the share strays least from the way between now and then. */
export function orderOf(standing: Standing, to: Weights): Side[] {
  const orders: Side[][] = [
    ['source', 'target'],
    ['target', 'source'],
  ];
  const [first, second] = orders.map((order) => ({ order, astray: astray(standing, to, order) }));
  return (first && second && second.astray < first.astray ? second : first)?.order ?? [];
}

/** Points by which a state on the way lies outside of what was and what will be; Infinity where nobody would be answered. */
function astray({ from, others }: Standing, to: Weights, order: readonly Side[]): number {
  const [low, high] = [shareOf(from, others), shareOf(to, others)].toSorted((a, b) => a - b) as [number, number];
  const farthest = Math.max(
    0,
    ...statesTo(from, to, order).map((it) => {
      if (it.source + it.target + others === 0) return Infinity;
      return Math.max(low - shareOf(it, others), shareOf(it, others) - high);
    }),
  );
  return farthest < 1e-9 ? 0 : farthest;
}

/** Every state on the way: a paused record comes in, and goes out, at weight 1. */
export function statesTo(from: Weights, to: Weights, order: readonly Side[]): Weights[] {
  const states: Weights[] = [];
  let now = from;
  const put = (side: Side, weight: number) => {
    if (now[side] === weight) return;
    now = { ...now, [side]: weight };
    states.push(now);
  };
  for (const side of order) {
    if (to[side] === 0 ? now[side] > 0 : now[side] === 0) put(side, 1);
    put(side, to[side]);
  }
  return states;
}

function tooFar(asked: number, names: readonly Standing[]): Unreachable {
  const others = Math.max(...names.map((it) => it.others));
  let below = -Infinity;
  let above = Infinity;
  for (let source = 0; source <= 100; source++) {
    for (let target = 0; target <= 100; target++) {
      const it = { source, target };
      if (source + target === 0 || names.some((one) => astray(one, it, orderOf(one, it)) > 0)) continue;
      const share = shareOf(it, others);
      if (share <= asked) below = Math.max(below, share);
      else above = Math.min(above, share);
    }
  }
  return {
    ...(below > -Infinity && { below }),
    ...(above < Infinity && { above }),
    why: `Weights of records are whole numbers from 1 to 100, written one by one without leaving the way${others > 0 ? `, and records of neither side weigh ${others}` : ''}`,
    fix: 'Ask for one of the nearest, or raise `traffic.tolerance`.',
  };
}
