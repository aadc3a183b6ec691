import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Family, freePorts, type Server, ServerFailed, startFamily, untilReady } from './processes.js';

/** A member of the group as the balancer needs it: where it listens, and how much it is to get. */
export interface BalancedMember {
  /** a port on loopback */
  port: number;
  /** 0 to 100, as in the cloud; 0 gets no new connections */
  weight: number;
}

/** HAProxy in the place of the cloud's load balancer: it splits new TCP connections in turns, by weights that follow a group. */
export interface Balancer {
  /** where clients connect */
  port: number;
  /** Settles when what the group says now is what HAProxy does. */
  inStep(): Promise<void>;
  /** how often weights or members were changed */
  changes(): number;
  stop(): Promise<void>;
}

/** Beside those in use, slots wait until a member's last connections have ended. */
const SLOTS = 64;
const POLL_MS = 40;

interface Slot {
  name: string;
  /** undefined: free */
  member?: BalancedMember;
  /** when it was given back, so that the one that rested longest is taken */
  freed: number;
}

/**
 * @param group  asked again and again; a new listener's port is a new member
 * @throws Error  HAProxy is not installed
 * @throws ServerFailed  it did not come up
 */
export async function startBalancer(group: () => readonly BalancedMember[]): Promise<Balancer> {
  try {
    return await startOnFreePort(group);
  } catch (error) {
    if (!(error instanceof ServerFailed)) throw error;
    return await startOnFreePort(group);
  }
}

async function startOnFreePort(group: () => readonly BalancedMember[]): Promise<Balancer> {
  const family = startFamily(mkdtempSync(join(tmpdir(), 'migrate-haproxy-')));
  try {
    const [port = 0] = await freePorts(1);
    const admin = join(family.dir, 'admin.sock');
    const server = await startHaproxy(family, port, admin);
    const follower = follow(group, (commands) => tell(admin, commands), server);
    return {
      port,
      inStep: follower.inStep,
      changes: follower.changes,
      async stop() {
        await follower.stop();
        await family.stop();
      },
    };
  } catch (error) {
    await family.stop();
    throw error;
  }
}

/**
 * Nothing hides a failure: a connection that its member refuses is neither tried again nor given to another, as the cloud's layer 4 does
 * not.
 *
 * @source HAProxy 2.6 configuration manual: server-template, balance roundrobin (weights may change at any time), retries, option redispatch
 */
async function startHaproxy(family: Family, port: number, admin: string): Promise<Server> {
  const binary = ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy'].find((it) => existsSync(it));
  if (binary === undefined) throw new Error('no haproxy is here; test/servers/packages.sh installs it');
  const file = join(family.dir, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  stats socket ${admin} mode 600 level admin
  nbthread 1
  maxconn 2000
defaults
  mode tcp
  retries 0
  no option redispatch
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:${port} backlog 1024
  default_backend members
backend members
  balance roundrobin
  server-template m 1-${SLOTS} 127.0.0.1:1 weight 0 disabled
`,
  );
  const server = family.start('haproxy', binary, ['-db', '-f', file]);
  await untilReady(server, async () => (await tell(admin, ['show info'])).includes('Name: HAProxy'), 20_000);
  return server;
}

/** One round of commands over HAProxy's admin socket. @returns all that it said */
function tell(admin: string, commands: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const socket = createConnection(admin, () => socket.end(`${commands.join('; ')}\n`));
    socket.setEncoding('utf8').on('data', (text: string) => (said += text));
    socket.setTimeout(10_000, () => socket.destroy(new Error('HAProxy does not answer on its admin socket')));
    socket.on('error', reject).on('close', () => resolve(said));
  });
}

/** Sets what differs, those that grow before those that shrink or go, so that there is somebody at every moment. */
function follow(
  group: () => readonly BalancedMember[],
  send: (commands: string[]) => Promise<string>,
  server: Server,
): { inStep(): Promise<void>; changes(): number; stop(): Promise<void> } {
  const slots: Slot[] = Array.from({ length: SLOTS }, (_, index) => ({ name: `members/m${index + 1}`, freed: 0 }));
  let [rounds, changed, stopped] = [0, 0, false];
  let failure: Error | undefined;

  const round = async (): Promise<void> => {
    const wanted = new Map(group().map((it) => [it.port, it]));
    const grow: string[] = [];
    const shrink: string[] = [];
    for (const slot of slots) {
      const { member } = slot;
      if (!member) continue;
      const now = wanted.get(member.port);
      wanted.delete(member.port);
      if (!now) {
        // Connections that it has go on to their end.
        shrink.push(`set server ${slot.name} state drain`);
        delete slot.member;
        slot.freed = performance.now();
      } else if (now.weight !== member.weight) {
        (now.weight > member.weight ? grow : shrink).push(`set server ${slot.name} weight ${now.weight}`);
        slot.member = now;
      }
    }
    for (const member of wanted.values()) {
      const [slot] = slots.filter((it) => !it.member).toSorted((a, b) => a.freed - b.freed);
      if (!slot) throw new Error(`more than ${SLOTS} members`);
      slot.member = member;
      grow.push(
        `set server ${slot.name} addr 127.0.0.1 port ${member.port}`,
        `set server ${slot.name} weight ${member.weight}`,
        `set server ${slot.name} state ready`,
      );
    }
    const commands = [...grow, ...shrink];
    // A line of commands is held in one buffer of 16 KiB.
    for (let at = 0; at < commands.length; at += 60) {
      const said = (await send(commands.slice(at, at + 60)))
        .replaceAll(/^(?:IP changed|no need|port changed|nothing).*$/gm, '')
        .trim();
      if (said !== '') throw new Error(`HAProxy: ${said}`);
    }
    if (commands.length > 0) changed += 1;
    rounds += 1;
  };

  const loop = (async () => {
    while (!stopped && !failure) {
      try {
        await round();
      } catch (error) {
        failure = server.died() === undefined ? (error as Error) : new ServerFailed(server, server.died() ?? '');
      }
      await sleep(POLL_MS);
    }
  })();

  return {
    async inStep() {
      // The round that runs may have asked before; the one after it has not.
      for (const enough = rounds + 2; rounds < enough; await sleep(POLL_MS / 4)) if (failure) throw failure;
    },
    changes: () => changed,
    async stop() {
      stopped = true;
      await loop;
    },
  };
}
