import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Processes that share a folder and die together. */
export interface Family {
  /** for data, keys, logs; gone after `stop` */
  readonly dir: string;
  /** `withChildren`: it starts processes of its own, which end with it; `home`: a folder that it shares with no other */
  start(
    name: string,
    path: string,
    args: readonly string[],
    options?: { withChildren?: boolean; home?: string },
  ): Server;
  /** Kills what still runs and removes the folder. */
  stop(): Promise<void>;
}

export interface Server {
  readonly name: string;
  readonly pid: number;
  /** How it ended, or undefined while it runs or after a `kill` of ours. */
  died(): string | undefined;
  /** Settles when the process is gone. */
  readonly gone: Promise<void>;
  /** The last lines of what it printed. */
  tail(): string;
  /** SIGKILL, the way a machine dies; returns when the process is gone. */
  kill(): Promise<void>;
}

/**
 * Reads `+ PID` and `- PID` from its input. The input ends with the process that holds the other end, however that
 * one ended, be it by SIGKILL, which no handler sees. Then kills what is still noted and removes the folder.
 */
const UNDERTAKER = `
trap '' HUP INT TERM
pids=' '
while read -r sign pid; do
  case $sign in
    +) pids="$pids$pid " ;;
    -) pids="\${pids%% $pid *} \${pids#* $pid }" ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`;

/** @param dir  an empty folder of one's own, removed at the end */
export function startFamily(dir: string): Family {
  const undertaker = spawn('sh', ['-c', UNDERTAKER, 'undertaker', dir], { stdio: ['pipe', 'ignore', 'ignore'] });
  letGo(undertaker);
  const running = new Set<Server>();

  return {
    dir,

    start(name, path, args, { withChildren = false, home = join(dir, 'home') } = {}) {
      const logFile = join(dir, `${name}.log`);
      const log = openSync(logFile, 'a');
      // A home of its own: KWOK and kubectl read settings from the user's. No proxy settings either: all is loopback.
      mkdirSync(home, { recursive: true });
      const child = spawn(path, args, {
        stdio: ['ignore', log, log],
        cwd: dir,
        detached: withChildren,
        env: { HOME: home, PATH: process.env['PATH'], TMPDIR: home },
      });
      closeSync(log);
      child.on('error', () => {}); // told by the missing pid
      const { pid } = child;
      if (pid === undefined) throw new Error(`${name} could not be started from ${path}`);
      letGo(child);
      // The number of a group of processes is that of its first, with a minus.
      const noted = withChildren ? -pid : pid;
      undertaker.stdin?.write(`+ ${noted}\n`);

      let ended: string | undefined;
      let wanted = false;
      const gone = new Promise<void>((resolve) => {
        child.once('exit', (code, signal) => {
          ended = code === null ? `was ended by ${signal}` : `exited with ${code}`;
          running.delete(server);
          if (withChildren) killAll(noted);
          undertaker.stdin?.write(`- ${noted}\n`);
          resolve();
        });
      });
      const server: Server = {
        name,
        pid,
        gone,
        died: () => (wanted ? undefined : ended),
        tail: () => readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n'),
        async kill() {
          wanted = true;
          if (ended !== undefined) return;
          child.ref();
          killAll(noted);
          await gone;
        },
      };
      running.add(server);
      return server;
    },

    async stop() {
      await Promise.all([...running].map((it) => it.kill()));
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
      if (undertaker.exitCode !== null) return;
      undertaker.ref();
      undertaker.stdin?.end();
      await once(undertaker, 'exit');
    },
  };
}

function killAll(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // They are gone already.
  }
}

/** A test that forgets to stop its servers ends all the same, and the undertaker ends them. */
function letGo(child: ChildProcess): void {
  child.unref();
  const { stdin } = child;
  if (stdin !== null && 'unref' in stdin && typeof stdin.unref === 'function') stdin.unref();
  stdin?.on('error', () => {}); // the undertaker was killed from outside; the servers are then stopped by `stop` only
}

/** @throws ServerFailed  the server ended, or is not ready in time; carries the last lines of its log */
export async function untilReady(server: Server, probe: () => Promise<boolean>, limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const died = server.died();
    if (died !== undefined) throw new ServerFailed(server, died);
    // A dead server's port may be in the hands of somebody who takes the call and never answers.
    const ready = await Promise.race([probe().catch(() => false), server.gone.then(() => false)]);
    if (ready) return;
    if (Date.now() > deadline) throw new ServerFailed(server, `is not ready after ${limitMs / 1000} s`);
    await sleep(25);
  }
}

export class ServerFailed extends Error {
  override name = 'ServerFailed';
  readonly portTaken: boolean;

  constructor(server: Server, how: string) {
    const tail = server.tail();
    super(`${server.name} (process ${server.pid}) ${how}. Its last words:\n${tail}`);
    this.portTaken = tail.includes('address already in use');
  }
}

/**
 * Ports that nobody held a moment ago. All are held until the last is known, so no two are the same; somebody else
 * may still take one before it is used, so a caller tries twice.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(held.map((it) => once(it, 'listening')));
  const ports = held.map((it) => (it.address() as AddressInfo).port);
  await Promise.all(held.map((it) => once(it.close(), 'close')));
  return ports;
}
