import type { CloudSeed, Json, TwinClock, TwinCloud } from '../types.js';
import { CloudRefusal, refuse } from './errors.js';
import { hashText, idSource } from './ids.js';
import { invalid, missing, parameters as readParameters } from './parameters.js';
import type { Action, Context, Health, Limits, Product, Rates } from './product.js';
import { checkRegion } from './regions.js';
import { contentOf, writeTo } from './ecs/content.js';
import { attachNow, detachNow } from './ecs/attaching.js';
import { ecs } from './ecs.js';
import { addNotSold, seedState } from './seed.js';
import { plugInterface, registerInstance } from './servers.js';
import { listenerBackends, listenerScheduler } from './slb/traffic.js';
import { nlb } from './nlb.js';
import { settleJobs } from './nlb/state.js';
import { nlbBackends, nlbScheduler } from './nlb/traffic.js';
import { vpc } from './vpc.js';
import { alidns } from './alidns.js';
import { answerTo } from './alidns/answers.js';
import { seededRandom } from '../random.js';
import { sts } from './sts.js';
import { type Certificate, type CloudState, type Eip, emptyState, snapshotOf, type Vpc } from './state.js';
import { slb } from './slb.js';

/** Every product that the cloud has; another one is one more file and one more line. */
const PRODUCTS: readonly Product[] = [slb, nlb, ecs, vpc, sts, alidns];

export const DEFAULT_LIMITS: Limits = {
  backendsPerCall: 40,
  backendsPerLoadBalancer: 200,
  membershipsPerServer: 50,
  listenersPerLoadBalancer: 50,
  rulesPerListener: 40,
  tagsPerResource: 20,
  snapshotsPerDisk: 256,
  snapshotsUnderWayPerDisk: 1,
  snapshotsUnderWay: Number.POSITIVE_INFINITY,
  copiesUnderWay: Number.POSITIVE_INFINITY,
  disksPerRegion: Number.POSITIVE_INFINITY,
  diskGiBPerCategoryAndZone: Number.POSITIVE_INFINITY,
  disksPerInstance: 16,
  attachingPerInstance: Number.POSITIVE_INFINITY,
  detachingPerInstance: Number.POSITIVE_INFINITY,
  nlbsPerRegion: 60,
  nlbGroupsPerRegion: 3000,
  nlbServersPerCall: 40,
  nlbServersPerGroup: 400,
  nlbServersPerLoadBalancer: 400,
  nlbGroupsPerServer: 200,
  callsPerMinute: { CreateVServerGroup: 90, CopySnapshot: 1000 },
};

export const DEFAULT_RATES: Rates = {
  applyMs: 0,
  snapshotFixedMs: 10_000,
  snapshotGiBPerSecond: 1,
  snapshotIncrement: 0.1,
  snapshotInstantMs: 2_000,
  copyFixedMs: 60_000,
  copyMiBPerSecond: 100,
  copyIncrement: 0.1,
  diskFixedMs: 5_000,
  diskGiBPerSecond: 2,
  attachMs: 3_000,
  diskWritesPerSecond: 0,
  nlbJobMs: 1_000,
};

export interface AccountOptions {
  clock: TwinClock;
  /** where calls go that name no region */
  region: string;
  /** ids depend on it */
  seedNumber?: number;
  limits?: Partial<Limits>;
  rates?: Partial<Rates>;
  /** the load balancer's health checks; everything is normal without it */
  health?: (server: string, ip: string, port: number) => Health;
  /** `accept`: members may be servers that nobody made known */
  unknownServers?: 'refuse' | 'accept';
  /** as in the seed, which adds to it */
  notSold?: Record<string, string[]>;
  /**
   * Whether what an action begins on that resource fails; nothing does without it. NLB's actions: the job. CreateSnapshot of that disk,
   * CopySnapshot of that snapshot: it stops halfway. CreateDisk of that snapshot, or of that zone without one: the disk goes away again.
   */
  failsJob?: (action: string, resource: string) => boolean;
  vpcs?: Vpc[];
  eips?: Eip[];
  certificates?: Certificate[];
}

export interface Account extends TwinCloud {
  readonly state: CloudState;
  /** id of the VPC in which everything is that names none */
  vpc(): string;
  listenerScheduler(loadBalancer: string, port: number): string | undefined;
  seed(seed: CloudSeed): void;
  /** the product of a version such as `2014-05-15` */
  product(version: string): Product | undefined;
  /** One call with everything but signature, faults and rights. */
  invoke(product: Product, action: string, raw: Record<string, string>, via: Context['via']): Json;
  /** As long as a request with a ClientToken is on its way, another one with it is refused; returns how it ends. */
  beginToken(product: Product, action: string, raw: Record<string, string>): () => void;
  requestId(): string;
}

const MINUTE_MS = 60_000;
const TOKEN_PATTERN = /^[\u0021-\u007e]{1,64}$/;

// Parts of the common envelope, which a repeated call may carry anew.
const NOT_COMPARED = new Set([
  'ClientToken',
  'OwnerId',
  'OwnerAccount',
  'ResourceOwnerId',
  'ResourceOwnerAccount',
  'Format',
]);

const comparable = (raw: Record<string, string>): string =>
  JSON.stringify(
    Object.entries(raw)
      .filter(([key]) => !NOT_COMPARED.has(key))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

const IDEMPOTENT = { status: 403, code: 'IdempotentParameterMismatch' };
const MALFORMED = { status: 400, code: 'InvalidClientToken' };

interface TokenBook {
  run(product: Product, name: string, raw: Record<string, string>, run: () => Json): Json;
  /** Notes that a request with this token is being worked on; returns how it ends. Refused while another one is. */
  begin(product: Product, name: string, raw: Record<string, string>): () => void;
}

/** Answers of calls with a ClientToken: the same call again gets the same answer, another one under its token is refused. */
function tokenBook(): TokenBook {
  const answered = new Map<string, { asked: string; answer: Json }>();
  const underWay = new Map<string, string>();

  /** undefined without a token */
  const keyOf = (product: Product, name: string, raw: Record<string, string>): string | undefined => {
    const token = raw['ClientToken'];
    if (token === undefined || token === '') return undefined;
    const { status, code } = product.tokenMalformed ?? MALFORMED;
    if (!TOKEN_PATTERN.test(token)) refuse(status, code, 'ClientToken has at most 64 ASCII characters.');
    return `${product.name}/${name}/${token}`;
  };

  const checkSame = ({ tokenMismatch = IDEMPOTENT }: Product, earlier: string | undefined, asked: string): void => {
    if (earlier === undefined || earlier === asked) return;
    refuse(tokenMismatch.status, tokenMismatch.code, 'The specified ClientToken was used with other parameters.');
  };

  return {
    run(product, name, raw, run) {
      const key = keyOf(product, name, raw);
      if (key === undefined) return run();
      const asked = comparable(raw);
      const earlier = answered.get(key);
      checkSame(product, earlier?.asked, asked);
      if (earlier) return structuredClone(earlier.answer);
      const answer = run();
      answered.set(key, { asked, answer: structuredClone(answer) });
      return answer;
    },

    begin(product, name, raw) {
      const key = product.tokenUnderWay && keyOf(product, name, raw);
      if (key === undefined) return () => {};
      const asked = comparable(raw);
      const other = underWay.get(key);
      checkSame(product, other, asked);
      if (other !== undefined) {
        const { status, code } = product.tokenUnderWay!(name);
        refuse(status, code, 'The previous request with this ClientToken is still processing, try it later.');
      }
      underWay.set(key, asked);
      return () => void underWay.delete(key);
    },
  };
}

type Throttle = (product: Product, action: string, region: string) => void;

function throttle(clock: TwinClock, limits: Limits): Throttle {
  const calls = new Map<string, number[]>();
  return ({ name, countsByMinute }, action, region) => {
    const limit = limits.callsPerMinute[action];
    if (limit === undefined) return;
    const now = clock.now();
    const sinceMs = countsByMinute ? Math.floor(now / MINUTE_MS) * MINUTE_MS : now - MINUTE_MS + 1;
    const key = countsByMinute ? `${name}/${action}/${region}` : `${name}/${action}`;
    const recent = (calls.get(key) ?? []).filter((at) => at >= sinceMs);
    calls.set(key, recent);
    if (recent.length >= limit) refuse(400, 'Throttling.User', 'Request was denied due to user flow control.');
    recent.push(now);
  };
}

/** Whether the seed says that this one fails; each of its failures happens as often as it says. */
function takeFailure({ failures }: CloudState, action: string, resource: string): boolean {
  const found = failures.find((it) => it.action === action && (it.resource ?? resource) === resource && it.times > 0);
  if (!found) return false;
  found.times -= 1;
  return true;
}

const isNlb = (id: string): boolean => id.startsWith('nlb-');

/** One cloud account in memory, without the wire. */
export function openAccount(options: AccountOptions): Account {
  const { clock } = options;
  const state = emptyState(options.region);
  for (const it of options.vpcs ?? []) state.vpcs.set(it.id, it);
  for (const it of options.eips ?? []) state.eips.set(it.id, it);
  addNotSold(state, options.notSold ?? {});
  for (const it of options.certificates ?? []) state.certificates.set(it.id, it);

  const limits = {
    ...DEFAULT_LIMITS,
    ...options.limits,
    callsPerMinute: { ...DEFAULT_LIMITS.callsPerMinute, ...options.limits?.callsPerMinute },
  };
  const seedNumber = options.seedNumber ?? 1;
  const ids = idSource(seedNumber);
  const firstVpc = (): string => {
    const ofLoadBalancer = [...state.loadBalancers.values()].find((it) => it.vpc !== '')?.vpc;
    return state.vpcs.keys().next().value ?? ofLoadBalancer ?? `vpc-${hashText(17, seedNumber, state.region)}`;
  };
  const shared = {
    clock,
    state,
    ids,
    limits,
    rates: { ...DEFAULT_RATES, ...options.rates },
    health: options.health ?? (() => 'normal' as const),
    strictServers: options.unknownServers !== 'accept',
    failsJob: (action: string, resource: string): boolean =>
      takeFailure(state, action, resource) || (options.failsJob?.(action, resource) ?? false),
    firstVpc,
  };
  const contexts = { wire: { ...shared, via: 'wire' }, direct: { ...shared, via: 'direct' } } satisfies Record<
    string,
    Context
  >;

  const draw = seededRandom(`${seedNumber}/dns`);
  const tokens = tokenBook();
  const checkThrottle = throttle(clock, limits);
  let requests = 0;
  const requestId = (): string => {
    const text = hashText(32, seedNumber, 'request', requests++)
      .toUpperCase()
      .replace(/[G-Z]/g, (letter) => (letter.charCodeAt(0) % 10).toString());
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
  };

  const perform = (
    { refusals = { missing, invalid } }: Product,
    action: Action,
    raw: Record<string, string>,
    context: Context,
  ): Json => {
    const parameters = readParameters(raw, refusals);
    for (const name of action.requires ?? []) if (parameters.text(name) === undefined) refusals.missing(name);
    checkRegion(state, parameters.text('RegionId'));
    if (action.dryRun && parameters.flag('DryRun')) {
      refuse(400, 'DryRunOperation', 'Request validation has been passed with DryRun flag set.');
    }
    return action.run(parameters, context);
  };

  const invoke: Account['invoke'] = (product, name, raw, via) => {
    const action = Object.hasOwn(product.actions, name) ? product.actions[name] : undefined;
    if (!action)
      throw new CloudRefusal(
        404,
        'InvalidAction.NotFound',
        'Specified api is not found, please check your url and method.',
      );
    if (via === 'wire') checkThrottle(product, name, raw['RegionId'] ?? options.region);
    const run = (): Json => perform(product, action, raw, contexts[via]);
    const answer = action.token ? tokens.run(product, name, raw, run) : run();
    return { RequestId: requestId(), ...answer };
  };

  return {
    region: options.region,
    state,
    vpc: firstVpc,
    product: (version) => PRODUCTS.find((it) => it.version === version),
    invoke,
    beginToken: (product, name, raw) =>
      product.actions[name]?.token ? tokens.begin(product, name, raw) : () => undefined,
    requestId,
    seed: (seed) => seedState(state, seed, clock.now(), ids),

    async call(productName, action, raw) {
      const product = PRODUCTS.find((it) => it.name === productName);
      if (!product) throw new CloudRefusal(404, 'InvalidVersion', `There is no product ${productName}.`);
      return invoke(product, action, raw, 'direct');
    },

    plugInterface: (ip, instance, zone) => plugInterface(state, ids, ip, instance, zone),
    unplugInterface: (ip) => void state.interfaces.delete(ip),
    addInstance: (instance) => void registerInstance(state, ids, instance),
    attachDisk: (disk, instance) => attachNow(disk, instance, contexts.direct),
    detachDisk: (disk) => detachNow(disk, contexts.direct),
    writeTo: (disk, data) => writeTo(disk, data, state),
    contentOf: (id) => contentOf(id, contexts.direct),
    loadBalancerAt: (address) =>
      [...state.loadBalancers.values()].find((it) => it.address === address)?.id ??
      [...state.nlb.loadBalancers.values()].find((it) => it.dnsName === address)?.id,
    hasInterface: (ip) => state.interfaces.has(ip),
    listenerScheduler: (loadBalancer, port) =>
      isNlb(loadBalancer) ? nlbScheduler(state, loadBalancer, port) : listenerScheduler(state, loadBalancer, port),
    listenerBackends(loadBalancer, port) {
      if (!isNlb(loadBalancer)) return listenerBackends(state, shared.health, loadBalancer, port);
      settleJobs(state.nlb, clock.now());
      return nlbBackends(state, shared.health, loadBalancer, port);
    },
    dnsAnswer: (name, type = 'A') => answerTo(state.dns, name, type, draw),
    snapshot() {
      settleJobs(state.nlb, clock.now());
      return snapshotOf(state);
    },
  };
}
