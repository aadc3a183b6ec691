import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { backgroundOf, type ControllerClock } from './controllers/queue.js';
import { type Reach, type Reached } from './reach.js';
import type { ClientCount, ClientSeed, Timer, TwinCloud } from './types.js';

export type Health = 'normal' | 'abnormal';

export interface ListenerRef {
  loadBalancer: string;
  port: number;
}

/** What happened to the requests of a stretch of time. */
export interface Share {
  sent: number;
  failed: number;
  source: number;
  target: number;
  other: number;
  /** of those that were served, 0 to 100; undefined when none was */
  targetPercent: number | undefined;
}

export interface Window extends Partial<ListenerRef> {
  /** milliseconds since 1970, or the name of a mark; all from the start when absent */
  since?: number | string;
  until?: number | string;
}

export interface Clients {
  /** all crowds together, or those of one listener */
  counts(listener?: ListenerRef): ClientCount;
  /** names this moment, for `share` */
  mark(name: string): void;
  share(window?: Window): Share;
  /** a real HTTP server whose answers come from the members the listener would choose */
  frontUrl(loadBalancer: string, port: number): Promise<string>;
  /** the load balancer's health checks */
  health(server: string, ip: string, port: number): Health;
  start(): void;
  stop(): Promise<void>;
}

const TICK_MS = 100;
/** How long a member has to fail, or serve again, before the health check believes it: interval 2 s, threshold 3. */
const HEALTH_MS = 5_000;

interface Bucket {
  at: number;
  sent: number;
  failed: number;
  source: number;
  target: number;
  other: number;
}

interface Crowd extends ListenerRef {
  perSecond: number;
  owed: number;
  failingSince: number | undefined;
  longestPauseMs: number;
  /** running sums, one entry per tick in which something was sent */
  log: Bucket[];
}

type Member = NonNullable<ReturnType<TwinCloud['listenerBackends']>>[number];

/** Smooth weighted round robin (nginx, LVS): over any sum of weights each member gets exactly its weight. */
function chooser(): (members: readonly Member[], weighted: boolean) => Member | undefined {
  const current = new Map<string, number>();
  let last: string | undefined;
  const key = (it: Member): string => `${it.server}|${it.ip}|${it.port}`;

  const inTurn = (members: readonly Member[]): Member | undefined => {
    const at = members.findIndex((it) => key(it) === last);
    const next = members[(at + 1) % members.length];
    last = next && key(next);
    return next;
  };

  return (members, weighted) => {
    const open = members.filter((it) => it.weight > 0);
    if (!weighted) return inTurn(open);
    let best: string | undefined;
    let chosen: Member | undefined;
    let total = 0;
    for (const it of open) {
      const name = key(it);
      const value = (current.get(name) ?? 0) + it.weight;
      current.set(name, value);
      total += it.weight;
      if (best === undefined || value > current.get(best)!) [best, chosen] = [name, it];
    }
    if (best !== undefined) current.set(best, current.get(best)! - total);
    return chosen;
  };
}

const ZERO: Omit<Bucket, 'at'> = { sent: 0, failed: 0, source: 0, target: 0, other: 0 };

/** The sums as they stood at a time: of the last entry not after it. */
function sumsAt(log: readonly Bucket[], at: number): Omit<Bucket, 'at'> {
  let [low, high] = [0, log.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (log[middle]!.at <= at) low = middle + 1;
    else high = middle;
  }
  return log[low - 1] ?? ZERO;
}

export interface ClientOptions {
  clock: ControllerClock;
  cloud: TwinCloud;
  reach: Reach;
  crowds: readonly ClientSeed[];
}

/**
 * Crowds of clients that open a new connection for every request, and the load balancer they go through: its choice by weight, and
 * its health checks. Connections that last, stickiness and source addresses are not played.
 */
export function openClients({ clock, cloud, reach, crowds: seeds }: ClientOptions): Clients {
  const crowds: Crowd[] = seeds.map(({ loadBalancer, port, perSecond }) => ({
    loadBalancer,
    port,
    perSecond,
    owed: 0,
    failingSince: undefined,
    longestPauseMs: 0,
    log: [],
  }));
  const choosers = new Map<string, ReturnType<typeof chooser>>();
  const marks = new Map<string, number>();
  const checks = new Map<string, { serves: boolean; since: number; healthy: boolean }>();
  const fronts = new Map<string, Promise<{ url: string; server: Server }>>();
  let timer: Timer | undefined;
  let lastTick = 0;
  let turn = 0;

  const request = (listener: ListenerRef): Reached => {
    const members = cloud.listenerBackends(listener.loadBalancer, listener.port);
    if (!members) return { failed: 'no such running listener' };
    return ask(listener, members);
  };

  const ask = ({ loadBalancer, port }: ListenerRef, members: readonly Member[]): Reached => {
    const name = `${loadBalancer}:${port}`;
    let choose = choosers.get(name);
    if (!choose) choosers.set(name, (choose = chooser()));
    const scheduler = cloud.listenerScheduler?.(loadBalancer, port) ?? 'wrr';
    const member = choose(members, scheduler === 'wrr' || scheduler === 'wlc');
    return member ? reach.reach(member, turn++) : { failed: 'no member takes requests' };
  };

  const serve = (crowd: Crowd, count: number, now: number): void => {
    const members = cloud.listenerBackends(crowd.loadBalancer, crowd.port) ?? [];
    const sums = { ...(crowd.log.at(-1) ?? ZERO), at: now };
    let served = 0;
    for (let i = 0; i < count; i++) {
      const reached = ask(crowd, members);
      sums.sent += 1;
      if ('failed' in reached) sums.failed += 1;
      else {
        sums[reached.side] += 1;
        served += 1;
      }
    }
    crowd.log.push(sums);
    if (served > 0) crowd.failingSince = undefined;
    else {
      crowd.failingSince ??= now;
      crowd.longestPauseMs = Math.max(crowd.longestPauseMs, now - crowd.failingSince + TICK_MS);
    }
  };

  const tick = (): void => {
    const now = clock.now();
    for (const crowd of crowds) {
      crowd.owed += (crowd.perSecond * (now - lastTick)) / 1000;
      const count = Math.floor(crowd.owed);
      crowd.owed -= count;
      if (count > 0) serve(crowd, count, now);
    }
    lastTick = now;
    timer = backgroundOf(clock).after(TICK_MS, tick);
  };

  const of = (listener?: Partial<ListenerRef>): Crowd[] =>
    crowds.filter(
      (it) =>
        (listener?.loadBalancer ?? it.loadBalancer) === it.loadBalancer && (listener?.port ?? it.port) === it.port,
    );

  const timeOf = (point: number | string | undefined, fallback: number): number => {
    if (typeof point !== 'string') return point ?? fallback;
    const at = marks.get(point);
    if (at === undefined) throw new RangeError(`there is no mark ${point}`);
    return at;
  };

  const openFront = async (listener: ListenerRef): Promise<{ url: string; server: Server }> => {
    const server = createServer((_, response) => {
      const reached = request(listener);
      const body = JSON.stringify(reached);
      const status = 'failed' in reached ? 503 : 200;
      const about = 'failed' in reached ? {} : { 'x-served-by': reached.backend, 'x-side': reached.side };
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...about }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
  };

  return {
    counts(listener) {
      const count: ClientCount = { ...ZERO, longestPauseMs: 0 };
      for (const { log, longestPauseMs } of of(listener)) {
        const sums = log.at(-1) ?? ZERO;
        for (const key of ['sent', 'failed', 'source', 'target', 'other'] as const) count[key] += sums[key];
        count.longestPauseMs = Math.max(count.longestPauseMs, longestPauseMs);
      }
      return count;
    },

    mark: (name) => void marks.set(name, clock.now()),

    share({ since, until, ...listener } = {}) {
      const total = { ...ZERO };
      for (const { log } of of(listener)) {
        const [before, after] = [
          sumsAt(log, timeOf(since, Number.NEGATIVE_INFINITY)),
          sumsAt(log, timeOf(until, clock.now())),
        ];
        for (const key of ['sent', 'failed', 'source', 'target', 'other'] as const)
          total[key] += after[key] - before[key];
      }
      const served = total.sent - total.failed;
      return { ...total, targetPercent: served > 0 ? (total.target / served) * 100 : undefined };
    },

    async frontUrl(loadBalancer, port) {
      const name = `${loadBalancer}:${port}`;
      let front = fronts.get(name);
      if (!front) fronts.set(name, (front = openFront({ loadBalancer, port })));
      return (await front).url;
    },

    health(server, ip, port) {
      const now = clock.now();
      const serves = !('failed' in reach.reach({ server, ip, port }));
      const key = `${server}|${ip}|${port}`;
      let check = checks.get(key);
      if (!check) checks.set(key, (check = { serves, since: now, healthy: true }));
      if (check.serves !== serves) [check.serves, check.since] = [serves, now];
      if (check.healthy !== serves && now - check.since >= HEALTH_MS) check.healthy = serves;
      return check.healthy ? 'normal' : 'abnormal';
    },

    start() {
      if (timer) return;
      lastTick = clock.now();
      timer = backgroundOf(clock).after(TICK_MS, tick);
    },

    async stop() {
      timer?.cancel();
      for (const front of fronts.values()) {
        const { server } = await front;
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}
