import { type DnsState, emptyDns, fullName } from './alidns/state.js';
import { emptyNlbState, type NlbServer, type NlbState } from './nlb/state.js';
import type { DiskContent, Json } from '../types.js';

export type Tags = Record<string, string>;

export interface Backend {
  server: string;
  /** empty for a member of type ecs */
  ip: string;
  port: number;
  weight: number;
  type: 'ecs' | 'eni' | 'eci';
  description: string;
}

export interface Group {
  id: string;
  loadBalancer: string;
  name: string;
  backends: Backend[];
  tags: Tags;
  createdMs: number;
  /** clock time up to which a change is still being applied */
  busyUntilMs: number;
}

export interface Rule {
  id: string;
  name: string;
  domain: string;
  url: string;
  group: string;
}

export interface Listener {
  port: number;
  protocol: 'tcp' | 'udp' | 'http' | 'https';
  status: 'running' | 'stopped';
  description: string;
  scheduler: string;
  /** Mbit/s; -1 is unlimited */
  bandwidth: number;
  /** id of the server group, or none */
  group: string | undefined;
  backendPort: number | undefined;
  acl: { status: string; type: string; id: string };
  /** the fields of the protocol, by their wire names: numbers, booleans and strings */
  config: Record<string, string | number | boolean>;
  rules: Rule[];
  domains: { id: string; domain: string; certificate: string }[];
  tags: Tags;
}

export interface LoadBalancer {
  id: string;
  name: string;
  address: string;
  addressType: string;
  addressIpVersion: string;
  region: string;
  /** empty for one that belongs to no VPC */
  vpc: string;
  vswitch: string;
  networkType: string;
  masterZone: string;
  slaveZone: string;
  status: string;
  spec: string;
  bandwidth: number;
  payType: string;
  instanceChargeType: string;
  internetChargeType: string;
  deleteProtection: string;
  modificationProtection: { status: string; reason: string };
  resourceGroup: string;
  tags: Tags;
  listeners: Listener[];
  createdMs: number;
  busyUntilMs: number;
}

export interface Disk {
  id: string;
  name: string;
  description: string;
  region: string;
  /** empty for a regional disk */
  zone: string;
  category: string;
  performanceLevel: string | undefined;
  sizeGiB: number;
  status: 'Creating' | 'Available' | 'Attaching' | 'In_use' | 'Detaching';
  encrypted: boolean;
  kmsKey: string;
  instance: string | undefined;
  sourceSnapshot: string;
  type: 'data' | 'system';
  /** a disk that was never attached cannot be snapshot */
  everAttached: boolean;
  /** without the writes since it was attached */
  content: DiskContent;
  /** since when somebody has it attached */
  inUseSinceMs: number | undefined;
  tags: Tags;
  createdMs: number;
}

export interface Snapshot {
  id: string;
  name: string;
  description: string;
  region: string;
  status: 'progressing' | 'accomplished' | 'failed';
  sourceDisk: string;
  sourceType: Disk['type'];
  content: DiskContent;
  sizeGiB: number;
  category: string;
  encrypted: boolean;
  kmsKey: string;
  sourceSnapshot: string;
  sourceRegion: string;
  retentionDays: number | undefined;
  tags: Tags;
  createdMs: number;
  /** when it is to be complete */
  readyMs: number;
  /** when it was complete, or failed */
  endedMs?: number;
}

export interface Instance {
  id: string;
  name: string;
  /** such as `ecs.g7.xlarge` */
  type: string;
  region: string;
  zone: string;
  ip: string;
  /** undefined: the account's first VPC */
  vpc: string | undefined;
  tags: Tags;
}

export interface Interface {
  id: string;
  ip: string;
  instance: string;
  zone: string;
  region: string;
  primary: boolean;
  tags: Tags;
}

export interface Vpc {
  id: string;
  name: string;
  region: string;
  cidr: string;
  secondaryCidrs: string[];
  vswitches: { id: string; zone: string; cidr: string }[];
}

export interface SecurityRule {
  direction: 'ingress' | 'egress';
  /** `TCP`, `UDP`, `ICMP`, `ALL` … */
  protocol: string;
  ports: string;
  cidr: string;
  group: string;
  prefixList: string;
  policy: 'Accept' | 'Drop';
  priority: number;
}

/** Nothing here changes it. */
export interface SecurityGroup {
  id: string;
  name: string;
  region: string;
  vpc: string;
  rules: SecurityRule[];
  createdMs: number;
}

export interface Eip {
  id: string;
  address: string;
  region: string;
  /** the load balancer or instance that holds it */
  instance: string;
  instanceType: string;
}

export interface Certificate {
  id: string;
  name: string;
  kind: 'server' | 'ca';
  region: string;
  commonName: string;
}

/** All that the account owns. Maps keep the order of creation, which lists then show. */
export interface CloudState {
  readonly region: string;
  /** regions of the seed beside the usual ones */
  readonly regions: Set<string>;
  /** zones seen in the seed beside the usual ones */
  readonly zones: Set<string>;
  readonly loadBalancers: Map<string, LoadBalancer>;
  readonly groups: Map<string, Group>;
  readonly disks: Map<string, Disk>;
  readonly snapshots: Map<string, Snapshot>;
  /** what a zone doesn't sell: categories, levels such as `cloud_essd.PL0`, or `*` for anything */
  readonly notSold: Map<string, Set<string>>;
  /** disk categories that an instance type takes; one that isn't here takes all */
  readonly instanceTypes: Map<string, Set<string>>;
  /** regions into which nothing is copied that is, or is to be, encrypted */
  readonly noEncryptedCopyTo: Set<string>;
  /** by region, whether a key is enabled; in a region that isn't here every key is there and good */
  readonly kmsKeys: Map<string, Map<string, boolean>>;
  /** what is still to fail */
  readonly failures: { action: string; resource: string | undefined; times: number }[];
  readonly instances: Map<string, Instance>;
  /** by address */
  readonly interfaces: Map<string, Interface>;
  readonly vpcs: Map<string, Vpc>;
  readonly securityGroups: Map<string, SecurityGroup>;
  readonly eips: Map<string, Eip>;
  readonly certificates: Map<string, Certificate>;
  readonly dns: DnsState;
  readonly nlb: NlbState;
}

export function emptyState(region: string): CloudState {
  return {
    region,
    regions: new Set([region]),
    zones: new Set(),
    loadBalancers: new Map(),
    groups: new Map(),
    disks: new Map(),
    snapshots: new Map(),
    notSold: new Map(),
    instanceTypes: new Map(),
    noEncryptedCopyTo: new Set(),
    kmsKeys: new Map(),
    failures: [],
    instances: new Map(),
    interfaces: new Map(),
    vpcs: new Map(),
    securityGroups: new Map(),
    eips: new Map(),
    certificates: new Map(),
    dns: emptyDns(),
    nlb: emptyNlbState(),
  };
}

export const regionOfZone = (zone: string): string => zone.replace(/-?[a-z]$/, '');

/** `2026-01-01T00:00:00Z`, as the products write times */
export const isoSeconds = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

const ordered = <T>(items: Iterable<T>, key: (item: T) => string): T[] =>
  [...items].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));

const orderedRecord = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));

const backendKey = (it: Backend): string => `${it.server}|${it.ip}|${String(it.port).padStart(5, '0')}`;
const listenerKey = (it: Listener): string => `${String(it.port).padStart(5, '0')}${it.protocol}`;

const BOOKKEEPING: readonly string[] = ['createdMs', 'readyMs', 'endedMs', 'busyUntilMs', 'inUseSinceMs', 'content'];

/** A thing with its tags in order, and without what only says when something happened. */
const lasting = (it: { tags: Tags }): Json => ({
  ...Object.fromEntries(Object.entries(it).filter(([name]) => !BOOKKEEPING.includes(name))),
  tags: orderedRecord(it.tags),
});

const byId = (items: Iterable<{ id: string; tags: Tags }>): Json[] => ordered(items, (it) => it.id).map(lasting);

const serverKey = (it: NlbServer): string => `${it.type}|${it.server}|${it.ip}|${String(it.port).padStart(5, '0')}`;

const nlbOf = ({ loadBalancers, groups }: NlbState): Json => ({
  loadBalancers: ordered(loadBalancers.values(), (it) => it.id).map((it) => ({
    ...lasting(it),
    listeners: ordered(it.listeners, (one) => one.id).map(lasting),
  })),
  groups: ordered(groups.values(), (it) => it.id).map((it) => ({
    ...lasting(it),
    servers: ordered(it.servers, serverKey),
  })),
});

const dnsOf = ({ domains, records, weighted }: DnsState): Json => ({
  domains: ordered(domains.values(), (it) => it.name),
  records: ordered(records.values(), (it) => [fullName(it), it.type, it.line, it.value].join('|')),
  weighted: ordered(weighted, (it) => it),
});

/**
 * The whole state as plain JSON: everything by id, members by identity, tags by key. Left out are what only says when something
 * happened or is bookkeeping: creation times, busy windows, client tokens, nonces, the throttle's memory and the log.
 */
export function snapshotOf(state: CloudState): Json {
  const groups = ordered(state.groups.values(), (it) => it.id);
  const groupsOf = (id: string): Json[] =>
    groups
      .filter((it) => it.loadBalancer === id)
      .map((it) => ({ ...lasting(it), backends: ordered(it.backends, backendKey) }));

  const listenersOf = (it: LoadBalancer): Json[] =>
    ordered(it.listeners, listenerKey).map((listener) => ({
      ...lasting(listener),
      config: orderedRecord(listener.config),
      rules: ordered(listener.rules, (rule) => rule.id),
    }));

  return structuredClone({
    region: state.region,
    loadBalancers: ordered(state.loadBalancers.values(), (it) => it.id).map((it) => ({
      ...lasting(it),
      listeners: listenersOf(it),
      groups: groupsOf(it.id),
    })),
    disks: byId(state.disks.values()),
    snapshots: byId(state.snapshots.values()),
    instances: byId(state.instances.values()),
    interfaces: ordered(state.interfaces.values(), (it) => it.ip).map(lasting),
    vpcs: ordered(state.vpcs.values(), (it) => it.id),
    eips: ordered(state.eips.values(), (it) => it.id),
    ...(state.nlb.loadBalancers.size + state.nlb.groups.size > 0 ? { nlb: nlbOf(state.nlb) } : {}),
    ...(state.dns.domains.size > 0 ? { dns: dnsOf(state.dns) } : {}),
  });
}
