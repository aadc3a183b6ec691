import type { CloudSeed } from '../types.js';
import type { Ids } from './ids.js';
import { plugInterface, registerInstance } from './servers.js';
import { type Backend, type CloudState, type Disk, type Listener, type LoadBalancer, regionOfZone } from './state.js';
import { defaultConfig } from './slb/listeners.js';
import { defaultHealthCheck } from './nlb/groups.js';
import type { Nlb } from './nlb/state.js';
import { digitsOf, EDITIONS, type Edition, setKey } from './alidns/state.js';

type LoadBalancerSeed = CloudSeed['loadBalancers'][number];
type GroupSeed = LoadBalancerSeed['groups'][number];
type SecurityGroupSeed = NonNullable<CloudSeed['securityGroups']>[number];
type DomainSeed = NonNullable<CloudSeed['domains']>[number];
type DiskSeed = NonNullable<CloudSeed['disks']>[number];

const PROTOCOLS: readonly string[] = ['tcp', 'udp', 'http', 'https'];

function seedBackend({
  server,
  ip,
  port,
  weight,
  type,
  description,
}: NonNullable<GroupSeed['backends']>[number]): Backend {
  const kind =
    type === 'eni' || type === 'eci' ? type : type === undefined && server.startsWith('eni-') ? 'eni' : 'ecs';
  return { server, ip: kind === 'ecs' ? '' : (ip ?? ''), port, weight, type: kind, description: description ?? '' };
}

/** Members of the seed exist: an instance or interface that nobody else makes known is made known by them. */
function seedServer(
  state: CloudState,
  ids: Ids,
  it: Pick<LoadBalancer, 'region' | 'vpc'>,
  member: Backend,
  ip: string,
): void {
  if (member.type === 'ecs') {
    if (!state.instances.has(member.server)) {
      const made = registerInstance(state, ids, {
        id: member.server,
        zone: '',
        ip,
        ...(it.vpc === '' ? {} : { vpc: it.vpc }),
      });
      made.region = it.region;
    }
    return;
  }
  if (ip === '') return;
  plugInterface(state, ids, ip, '', '');
  Object.assign(state.interfaces.get(ip)!, { id: member.server, region: it.region });
}

function seedListener({
  port,
  protocol,
  status,
  scheduler,
  group,
  persistenceS,
  stickySession,
}: LoadBalancerSeed['listeners'][number]): Listener {
  const name = (protocol ?? 'tcp').toLowerCase();
  if (!PROTOCOLS.includes(name)) throw new RangeError(`a listener speaks tcp, udp, http or https, not ${protocol}`);
  const kind = name as Listener['protocol'];
  const config = defaultConfig(kind);
  if (kind === 'tcp' && persistenceS !== undefined) config['PersistenceTimeout'] = persistenceS;
  if (kind !== 'tcp' && kind !== 'udp' && stickySession) {
    Object.assign(config, { StickySession: 'on', StickySessionType: 'insert', CookieTimeout: persistenceS || 500 });
  }
  return {
    port,
    protocol: kind,
    status: status === 'stopped' ? 'stopped' : 'running',
    description: `${kind}_${port}`,
    scheduler: scheduler ?? 'wrr',
    bandwidth: -1,
    group,
    backendPort: undefined,
    acl: { status: 'off', type: '', id: '' },
    config,
    rules: [],
    domains: [],
    tags: {},
  };
}

function seedLoadBalancer(state: CloudState, seed: CloudSeed, it: LoadBalancerSeed, nowMs: number, ids: Ids): void {
  const region = it.region ?? seed.region;
  const vpc = it.vpc ?? '';
  const made: LoadBalancer = {
    id: it.id,
    name: it.name ?? it.id,
    address: it.address,
    addressType: it.addressType ?? 'internet',
    addressIpVersion: it.addressIpVersion ?? 'ipv4',
    region,
    vpc,
    vswitch: '',
    networkType: vpc === '' ? 'classic' : 'vpc',
    masterZone: '',
    slaveZone: '',
    status: it.status ?? 'active',
    spec: 'slb.s2.small',
    bandwidth: -1,
    payType: 'PayOnDemand',
    instanceChargeType: 'PayBySpec',
    internetChargeType: 'paybytraffic',
    deleteProtection: 'off',
    modificationProtection: { status: 'NonProtection', reason: '' },
    resourceGroup: 'rg-default',
    tags: { ...it.tags },
    listeners: it.listeners.map(seedListener),
    createdMs: nowMs,
    busyUntilMs: 0,
  };
  state.regions.add(region);
  state.loadBalancers.set(made.id, made);
  for (const group of it.groups) {
    const backends = (group.backends ?? []).map(seedBackend);
    backends.forEach((member, index) => seedServer(state, ids, made, member, group.backends![index]!.ip ?? ''));
    state.groups.set(group.id, {
      id: group.id,
      name: group.name,
      loadBalancer: it.id,
      backends,
      tags: {},
      createdMs: nowMs,
      busyUntilMs: 0,
    });
  }
}

const STATUSES: readonly string[] = ['Creating', 'Available', 'Attaching', 'In_use', 'Detaching'];

function seedDisk(state: CloudState, seed: CloudSeed, it: DiskSeed, nowMs: number, ids: Ids): void {
  const region = it.region ?? (it.zone === '' ? seed.region : regionOfZone(it.zone));
  const status = it.status ?? (it.instance === undefined ? 'Available' : 'In_use');
  if (!STATUSES.includes(status)) throw new RangeError(`a disk is one of ${STATUSES.join(', ')}, not ${status}`);
  state.regions.add(region);
  if (it.zone !== '') state.zones.add(it.zone);
  state.disks.set(it.id, {
    id: it.id,
    name: it.id,
    description: '',
    region,
    zone: it.zone,
    category: it.category,
    performanceLevel: it.performanceLevel ?? (it.category === 'cloud_essd' ? 'PL1' : undefined),
    sizeGiB: it.sizeGiB,
    status: status as Disk['status'],
    encrypted: it.encrypted ?? false,
    kmsKey: it.kmsKey ?? '',
    instance: it.instance,
    sourceSnapshot: '',
    type: it.type ?? 'data',
    everAttached: it.everAttached ?? true,
    content: { writes: it.content?.length ?? 0, data: [...(it.content ?? [])] },
    inUseSinceMs: status === 'In_use' ? nowMs : undefined,
    tags: { ...it.tags },
    createdMs: nowMs,
  });
  if (it.instance !== undefined && !state.instances.has(it.instance)) {
    registerInstance(state, ids, { id: it.instance, zone: it.zone, ip: '' });
  }
}

function seedSecurityGroup(
  state: CloudState,
  seed: CloudSeed,
  { id, name, region, vpc, rules = [] }: SecurityGroupSeed,
  nowMs: number,
): void {
  state.securityGroups.set(id, {
    id,
    name: name ?? id,
    region: region ?? seed.region,
    vpc: vpc ?? '',
    rules: rules.map((it) => ({
      direction: it.direction ?? 'ingress',
      protocol: it.protocol.toUpperCase(),
      ports: it.ports ?? (/^(tcp|udp)$/i.test(it.protocol) ? '1/65535' : '-1/-1'),
      cidr: it.cidr ?? '',
      group: it.group ?? '',
      prefixList: it.list ?? '',
      policy: it.policy ?? 'Accept',
      priority: it.priority ?? 1,
    })),
    createdMs: nowMs,
  });
}

function seedDomain({ dns }: CloudState, { name, edition, records, weighted = [] }: DomainSeed, ids: Ids): void {
  const known = (edition ?? 'version_enterprise_advanced') as Edition;
  if (!Object.hasOwn(EDITIONS, known))
    throw new RangeError(`an edition is one of ${Object.keys(EDITIONS).join(', ')}, not ${known}`);
  dns.domains.set(name, { name, edition: known });
  for (const it of records) {
    const type = it.type ?? 'A';
    const id = it.id ?? digitsOf(ids('record', name, it.rr, type, it.value));
    const record = {
      id,
      domain: name,
      rr: it.rr,
      type,
      value: it.value,
      ttlS: it.ttlS ?? 600,
      line: it.line ?? 'default',
      status: it.status ?? ('ENABLE' as const),
      locked: it.locked ?? false,
      weight: it.weight ?? 1,
      priority: undefined,
    };
    dns.records.set(id, record);
    if (weighted.includes(it.rr)) dns.weighted.add(setKey(record));
  }
}

const NLB_TYPES = { ecs: 'Ecs', eni: 'Eni', eci: 'Eci', ip: 'Ip' } as const;

/** The same shape as for a CLB. The scheduler is the group's: said there, or at the listener before it. */
function seedNlb(state: CloudState, seed: CloudSeed, it: LoadBalancerSeed, nowMs: number, ids: Ids): void {
  const region = it.region ?? seed.region;
  const vpc = it.vpc ?? state.vpcs.keys().next().value ?? '';
  const made: Nlb = {
    id: it.id,
    name: it.name ?? it.id,
    dnsName: it.address,
    addressType: it.addressType?.toLowerCase() === 'intranet' ? 'Intranet' : 'Internet',
    addressIpVersion: it.addressIpVersion ?? 'ipv4',
    region,
    vpc,
    crossZone: true,
    zones: [],
    securityGroups: [],
    deletionProtection: { enabled: false, reason: '' },
    modificationProtection: { status: 'NonProtection', reason: '' },
    resourceGroup: 'rg-default',
    listeners: it.listeners.map(({ port, protocol = 'tcp', status = 'running', group = '' }) => ({
      id: `${ids('lsn', it.id, protocol)}@${port}`,
      port,
      startPort: '',
      endPort: '',
      protocol: protocol.toUpperCase() as 'TCP',
      status: status.toLowerCase() === 'stopped' ? 'Stopped' : 'Running',
      description: '',
      group,
      idleTimeout: 900,
      config: {},
      tags: {},
      busyUntilMs: 0,
    })),
    tags: { ...it.tags },
    createdMs: nowMs,
    busyUntilMs: 0,
  };
  state.regions.add(region);
  state.nlb.loadBalancers.set(made.id, made);
  for (const group of it.groups) {
    if (state.nlb.groups.has(group.id)) continue;
    const listener = it.listeners.find((one) => one.group === group.id);
    const scheduler = group.scheduler ?? listener?.scheduler ?? 'wrr';
    const protocol = (group.protocol ?? listener?.protocol ?? 'tcp').toUpperCase();
    const backends = (group.backends ?? []).map(seedBackend);
    const type = group.type === 'Ip' ? 'Ip' : 'Instance';
    backends.forEach((one, index) => {
      if (type === 'Instance')
        seedServer(state, ids, { region, vpc: group.vpc ?? vpc }, one, group.backends![index]!.ip ?? '');
    });
    state.nlb.groups.set(group.id, {
      id: group.id,
      name: group.name,
      region,
      vpc: group.vpc ?? vpc,
      type,
      protocol: protocol === 'UDP' || protocol === 'TCP_UDP' ? protocol : 'TCP',
      scheduler: scheduler.charAt(0).toUpperCase() + scheduler.slice(1).toLowerCase(),
      addressIpVersion: it.addressIpVersion ?? 'ipv4',
      anyPort: false,
      connectionDrain: false,
      connectionDrainTimeout: 300,
      preserveClientIp: protocol !== 'TCPSSL',
      healthCheck: defaultHealthCheck(),
      resourceGroup: 'rg-default',
      servers: backends.map(({ server, ip, port, weight, type: own, description }) => ({
        server,
        ip: type === 'Ip' ? server : ip,
        type: type === 'Ip' ? 'Ip' : NLB_TYPES[own],
        port,
        weight,
        description,
        status: 'Available',
      })),
      tags: { ...group.tags },
      createdMs: nowMs,
      busyUntilMs: 0,
    });
  }
}

export function addNotSold({ notSold }: CloudState, added: Record<string, string[]>): void {
  for (const [zone, what] of Object.entries(added)) notSold.set(zone, new Set([...(notSold.get(zone) ?? []), ...what]));
}

/** Adds what the seed describes, as having been there for a while: nothing is busy, every disk has been in use. */
export function seedState(state: CloudState, seed: CloudSeed, nowMs: number, ids: Ids): void {
  state.regions.add(seed.region);
  for (const it of seed.loadBalancers)
    (it.id.startsWith('nlb-') ? seedNlb : seedLoadBalancer)(state, seed, it, nowMs, ids);
  for (const it of seed.disks ?? []) seedDisk(state, seed, it, nowMs, ids);
  addNotSold(state, seed.notSold ?? {});
  for (const [type, categories] of Object.entries(seed.instanceTypes ?? {}))
    state.instanceTypes.set(type, new Set(categories));
  for (const region of seed.noEncryptedCopyTo ?? []) state.noEncryptedCopyTo.add(region);
  for (const [region, keys] of Object.entries(seed.kmsKeys ?? {}))
    state.kmsKeys.set(region, new Map(keys.map((it) => [it.id, it.enabled ?? true])));
  for (const { action, resource, times = 1 } of seed.failures ?? []) state.failures.push({ action, resource, times });
  for (const it of seed.domains ?? []) seedDomain(state, it, ids);
  for (const it of seed.securityGroups ?? []) seedSecurityGroup(state, seed, it, nowMs);
}
