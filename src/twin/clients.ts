import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { backgroundOf, type ControllerClock } from './controllers/queue.js';
import { type Front, type FrontRequest, frontName, openFronts } from './fronts.js';
import type { Reach, Side } from './reach.js';
import type { ClientCount, ClientSeed, ClusterApi, Timer, TwinCloud } from './types.js';

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
  /** a front's; null for all that come by a listener; of all when neither it nor a listener is named */
  name?: string | null;
  /** milliseconds since 1970, or the name of a mark; all from the start when absent */
  since?: number | string;
  until?: number | string;
}

export interface Clients {
  /** all crowds together, or those of one listener, or of one front by its name */
  counts(front?: ListenerRef | string): ClientCount;
  /** names this moment, for `share` */
  mark(name: string): void;
  share(window?: Window): Share;
  /** a real HTTP server whose answers come from whom the listener would choose */
  frontUrl(loadBalancer: string, port: number): Promise<string>;
  /** the same for the front of a seed's crowd; it chooses by the real request's path and headers */
  frontUrl(name: string): Promise<string>;
  /** Tells the balancer that clients of that name come in by its weights. */
  balance(name: string, weights: Record<Side, number>): void;
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

interface Crowd {
  seed: ClientSeed;
  name: string;
  front: Front;
  owed: number;
  failingSince: number | undefined;
  longestPauseMs: number;
  /** running sums, one entry per tick in which something was sent */
  log: Bucket[];
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
  apis: Record<Side, ClusterApi>;
  cloud: TwinCloud;
  reach: Reach;
  crowds: readonly ClientSeed[];
  seedNumber?: number;
}

/**
 * Crowds of clients that open a new connection for every request, each through its front, and the load balancers' health checks.
 * Connections that last, stickiness and source addresses are not played.
 */
export async function openClients({
  clock,
  apis,
  cloud,
  reach,
  crowds: seeds,
  seedNumber = 1,
}: ClientOptions): Promise<Clients> {
  const opened = openFronts({ clock, apis, cloud, reach }, seedNumber);
  const crowds: Crowd[] = [];
  for (const seed of seeds)
    crowds.push({
      seed,
      name: frontName(seed),
      front: await opened.of(seed),
      owed: 0,
      failingSince: undefined,
      longestPauseMs: 0,
      log: [],
    });
  const marks = new Map<string, number>();
  const checks = new Map<string, { serves: boolean; since: number; healthy: boolean }>();
  const servers = new Map<string, Promise<{ url: string; server: Server }>>();
  let timer: Timer | undefined;
  let lastTick = 0;
  let turn = 0;

  const serve = (crowd: Crowd, count: number, now: number): void => {
    const send = crowd.front.burst?.() ?? crowd.front.send;
    const sums = { ...(crowd.log.at(-1) ?? ZERO), at: now };
    let served = 0;
    for (let i = 0; i < count; i++) {
      const reached = reach.answer(send(turn), turn++);
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
      crowd.owed += (crowd.seed.perSecond * (now - lastTick)) / 1000;
      const count = Math.floor(crowd.owed);
      crowd.owed -= count;
      if (count > 0) serve(crowd, count, now);
    }
    lastTick = now;
    timer = backgroundOf(clock).after(TICK_MS, tick);
  };

  const of = ({ name, loadBalancer, port }: { name?: string | null } & Partial<ListenerRef> = {}): Crowd[] =>
    crowds.filter((it) => {
      if (name === null) return !('name' in it.seed);
      if (name !== undefined) return it.name === name;
      const listener: Partial<ListenerRef> = 'loadBalancer' in it.seed ? it.seed : {};
      return (
        (loadBalancer === undefined || listener.loadBalancer === loadBalancer) &&
        (port === undefined || listener.port === port)
      );
    });

  const frontOf = async (name: string, port?: number): Promise<Front> => {
    if (port !== undefined) return opened.of({ loadBalancer: name, port, perSecond: 0 });
    const crowd = crowds.find((it) => it.name === name);
    if (!crowd) throw new RangeError(`no crowd comes in by ${name}`);
    return crowd.front;
  };

  const timeOf = (point: number | string | undefined, fallback: number): number => {
    if (typeof point !== 'string') return point ?? fallback;
    const at = marks.get(point);
    if (at === undefined) throw new RangeError(`there is no mark ${point}`);
    return at;
  };

  const openServer = async (front: Front): Promise<{ url: string; server: Server }> => {
    const server = createServer((request, response) => {
      const reached = reach.answer(front.send(turn, requestOf(request)), turn++);
      const body = JSON.stringify(reached);
      const status = 'failed' in reached ? 503 : 200;
      const about = 'failed' in reached ? {} : { 'x-served-by': reached.backend, 'x-side': reached.side };
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...about }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
  };

  return {
    counts(front) {
      const count: ClientCount = { ...ZERO, longestPauseMs: 0 };
      for (const { log, longestPauseMs } of of(typeof front === 'string' ? { name: front } : front)) {
        const sums = log.at(-1) ?? ZERO;
        for (const key of ['sent', 'failed', 'source', 'target', 'other'] as const) count[key] += sums[key];
        count.longestPauseMs = Math.max(count.longestPauseMs, longestPauseMs);
      }
      return count;
    },

    mark: (name) => void marks.set(name, clock.now()),

    share({ since, until, ...front } = {}) {
      const total = { ...ZERO };
      for (const { log } of of(front)) {
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

    async frontUrl(name: string, port?: number) {
      const key = port === undefined ? name : `${name}:${port}`;
      let server = servers.get(key);
      if (!server) servers.set(key, (server = frontOf(name, port).then(openServer)));
      return (await server).url;
    },

    balance(name, weights) {
      for (const it of crowds) if (it.name === name) it.front.balance?.(weights);
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
      await opened.stop();
      for (const one of servers.values()) {
        const { server } = await one;
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

/** Of headers that come twice the first counts. */
function requestOf({ url = '/', headers }: IncomingMessage): FrontRequest {
  const first = Object.entries(headers).flatMap(([name, value]) => {
    const one = Array.isArray(value) ? value[0] : value;
    return one === undefined ? [] : [[name, one]];
  });
  return { path: url.split('?')[0] ?? '/', headers: Object.fromEntries(first) as Record<string, string> };
}
