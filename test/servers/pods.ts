import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { follow } from '../../src/twin/controllers/follow.js';
import type { ClusterApi, TwinObject } from '../../src/twin/types.js';

/** What answers in the name of a cluster's pods: one HTTP server on loopback for each ready pod, for as long as the pod would serve. */
export interface Pods {
  /** the port on loopback of whom has that address; undefined while nobody listens */
  at(ip: string): number | undefined;
  /** how many came, and how many went away after their last answer */
  counts(): { began: number; drained: number };
  stop(): Promise<void>;
}

export interface PodsOptions {
  /** of the answer */
  side: string;
  /** how long an answer takes */
  answersMs: (request: number) => number;
  /** a pod that is deleted serves on for so long: the `preStop` of a careful operator, longer than a load balancer needs to let go of it */
  drainMs: number;
}

/** @param api  of the cluster whose pods these are */
export async function servePods(api: ClusterApi, { side, answersMs, drainMs }: PodsOptions): Promise<Pods> {
  const byUid = new Map<string, { ip: string; server: Server; port: number }>();
  const byIp = new Map<string, number>();
  const endings = new Set<Promise<void>>();
  let [began, drained, stopped] = [0, 0, false];
  let answered = 0;

  const begin = async ({ metadata: { name, uid = '' }, status }: TwinObject): Promise<void> => {
    const ip: string = status.podIP;
    const server = createServer((_, response) => {
      const text = `${side} ${name}\n`;
      setTimeout(() => {
        response.writeHead(200, { 'content-length': Buffer.byteLength(text), connection: 'close' });
        response.end(text);
      }, answersMs(answered++));
    });
    const entry = { ip, server, port: 0 };
    byUid.set(uid, entry);
    server.listen(0, '127.0.0.1', 1024);
    await once(server, 'listening');
    entry.port = (server.address() as AddressInfo).port;
    byIp.set(ip, entry.port);
    began += 1;
  };

  const end = async (uid: string): Promise<void> => {
    const entry = byUid.get(uid);
    if (!entry) return;
    byUid.delete(uid);
    if (!stopped) await sleep(drainMs, undefined, { ref: false });
    if (byIp.get(entry.ip) === entry.port) byIp.delete(entry.ip);
    const closed = once(entry.server, 'close');
    entry.server.close();
    if (stopped) entry.server.closeAllConnections();
    await closed;
    drained += 1;
  };

  const ending = (uid: string): void => {
    const done = end(uid).finally(() => endings.delete(done));
    endings.add(done);
  };

  const pods = await follow(api, 'v1/pods', ({ type, object }) => {
    const { uid = '', deletionTimestamp } = object.metadata;
    if (type === 'DELETED' || deletionTimestamp !== undefined) return ending(uid);
    if (stopped || byUid.has(uid) || object['status']?.podIP === undefined) return;
    void begin(object);
  });

  return {
    at: (ip) => byIp.get(ip),
    counts: () => ({ began, drained }),
    async stop() {
      pods.stop();
      stopped = true;
      for (const uid of byUid.keys()) ending(uid);
      // Those that still drain need not be waited for: nobody is left to be served.
      await Promise.all([...endings].map((it) => Promise.race([it, sleep(2000, undefined, { ref: false })])));
    },
  };
}

export interface Counts {
  /** answers by the side that gave them */
  served: Record<string, number>;
  failed: number;
}

/** Clients that ask one after the other, each time over a connection of its own. */
export interface Load {
  /** Counts requests that begin from now on, until so many have ended or the time is over. */
  measure(requests: number, limitMs: number): Promise<Counts>;
  /** since the start */
  total(): Counts & { reasons: string[] };
  stop(): Promise<void>;
}

const PATIENCE_MS = 30_000;

/** @param connections  open at every moment */
export function steadyLoad(port: number, connections: number): Load {
  const all: Counts & { reasons: string[] } = { served: {}, failed: 0, reasons: [] };
  let window: Counts | undefined;
  let stopped = false;

  const note = (counts: Counts, side: string | undefined): void => {
    if (side === undefined) counts.failed += 1;
    else counts.served[side] = (counts.served[side] ?? 0) + 1;
  };

  const client = async (index: number): Promise<void> => {
    // Not all at once.
    await sleep(index * 3);
    while (!stopped) {
      const began = window;
      let side: string | undefined;
      try {
        side = await ask(port);
      } catch (error) {
        all.reasons.push((error as Error).message);
        await sleep(100);
      }
      note(all, side);
      if (began && began === window) note(began, side);
    }
  };
  const clients = Array.from({ length: connections }, (_, index) => client(index));

  return {
    async measure(requests, limitMs) {
      const counts: Counts = { served: {}, failed: 0 };
      window = counts;
      const ended = () => counts.failed + Object.values(counts.served).reduce((sum, it) => sum + it, 0);
      for (const began = performance.now(); ended() < requests && performance.now() - began < limitMs;) await sleep(20);
      window = undefined;
      return counts;
    },
    total: () => all,
    async stop() {
      stopped = true;
      await Promise.all(clients);
    },
  };
}

/** @returns which side answered. @throws Error  anything but a whole answer of 200 */
function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage): void => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject).on('end', () => {
        const side = /^(\S+) \S+\n$/.exec(text)?.[1];
        if (response.statusCode === 200 && side !== undefined) resolve(side);
        else reject(new Error(`${response.statusCode} ${JSON.stringify(text)}`));
      });
    };
    request({ host: '127.0.0.1', port, agent: false, headers: { connection: 'close' } }, answered)
      .on('error', reject)
      .setTimeout(PATIENCE_MS, function patience(this: ReturnType<typeof request>) {
        this.destroy(new Error(`no answer within ${PATIENCE_MS} ms`));
      })
      .end();
  });
}
