import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { TAG_MADE } from '../hand-over.js';
import type { Playbook } from '../playbook.js';
import type { Clock, Prober, Side, Tap, Web, World } from '../ports.js';
import { startTwin, type Twin, type TwinOptions } from '../twin/twin.js';
import type { Seed } from '../twin/types.js';
import { rehearsedDatabases } from './rehearsed-databases.js';
import { rehearsedPrograms } from './rehearsed-programs.js';
import { rehearsedWeb } from './rehearsed-web.js';
import { httpProber, openWorld, plainTap } from './world.js';

/**
 * A world to rehearse in: a twin in this process, in virtual time, and the same ports on it as on real servers, over its real HTTP. No
 * step can tell the difference.
 */
export interface Stage {
  twin: Twin;
  world: World;
  close(): Promise<void>;
}

export interface StageOptions extends Omit<TwinOptions, 'clock'> {
  /** sees every request on its way, e.g. to count or to cut it */
  tap?: Tap;
  /** in place of figures from the virtual clients, and of webhooks that agree */
  web?: Web;
  /** how long a silent API server is asked again; 60 s when absent */
  patienceMs?: Record<Side, number>;
}

export async function openStage(
  playbook: Playbook,
  seed: Seed,
  { tap = plainTap, web, patienceMs, ...options }: StageOptions = {},
): Promise<Stage> {
  const named = {
    ...seed,
    // A source of servers alone has no context; its cluster on the twin is nobody's.
    source: { ...seed.source, context: playbook.source.context || 'none' },
    target: { ...seed.target, context: playbook.target.context },
    ...(playbook.fleet && { fleet: fleetOf(playbook, seed) }),
  };
  const twin = await startTwin(named, { ...options, clock: 'virtual' });
  const dir = mkdtempSync(path.join(os.tmpdir(), 'migrate-stage-'));
  const kubeconfig = path.join(dir, 'kubeconfig');
  await twin.writeKubeconfig(kubeconfig);
  const clock: Clock = { now: () => twin.clock.now(), sleep: (ms) => twin.clock.sleep(ms) };
  // While a request is really on its way, virtual time stands still.
  const holding: Tap = (call, send) => tap(call, () => held(twin, send));
  const world = await openWorld(playbook, {
    kubeconfig,
    clock,
    tap: holding,
    prober: frontProber(twin, playbook, seed),
    databases: rehearsedDatabases(holding),
    programs: rehearsedPrograms(twin),
    web: heldWeb(twin, web ?? rehearsedWeb(twin)),
    ...(patienceMs && { patienceMs }),
    cloudEndpoint: twin.cloud.url,
    storeEndpoint: twin.storeUrl,
    cloudKeys: { accessKeyId: twin.cloud.accessKeyId, accessKeySecret: twin.cloud.accessKeySecret },
  });
  return {
    twin,
    world,
    async close() {
      await twin.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A Fleet over both clusters: the world's own, or an empty one. */
const fleetOf = (playbook: Playbook, { fleet, source, target }: Seed): NonNullable<Seed['fleet']> => ({
  version: fleet?.version ?? target.version,
  objects: fleet?.objects ?? [],
  members: {
    source: playbook.source.clusterId ?? source.ccm?.clusterId ?? 'source',
    target: playbook.target.clusterId ?? target.ccm?.clusterId ?? 'target',
  },
  context: playbook.fleet?.context ?? 'fleet',
});

async function held<T>(twin: Twin, send: () => Promise<T>): Promise<T> {
  const release = twin.clock.hold();
  try {
    return await send();
  } finally {
    release();
  }
}

const heldWeb = (twin: Twin, web: Web): Web => ({ ask: (request) => held(twin, () => web.ask(request)) });

/** Whatever address a probe names, on the twin it reaches the front that the playbook's first service is behind. */
function frontProber(twin: Twin, playbook: Playbook, seed: Seed): Prober {
  const prober = httpProber(10_000);
  const front = frontOf(seed, playbook);
  return {
    probe: async (url) =>
      held(twin, async () => {
        if (!front) return prober.probe(url);
        const { pathname, search } = new URL(url);
        return prober.probe(new URL(`${pathname}${search}`, await front(twin.clients)).href);
      }),
  };
}

/**
 * A service behind a server group has that load balancer's listener; any other the crowd that comes in for it, which is the one of the
 * service's name, or else the first that comes the router's way.
 */
function frontOf(seed: Seed, playbook: Playbook): ((clients: Twin['clients']) => Promise<string>) | undefined {
  const [service] = playbook.traffic?.services ?? [];
  if (!service) return undefined;
  if ('group' in service) {
    // Without a group the load balancer is one that a controller made.
    const lb = seed.cloud.loadBalancers.find((it) =>
      service.group === ''
        ? (service.loadBalancer === undefined ? TAG_MADE in (it.tags ?? {}) : it.id === service.loadBalancer) &&
          it.listeners.some((one) => one.port === service.port)
        : it.groups.some((group) => group.id === service.group),
    );
    return lb && ((clients) => clients.frontUrl(lb.id, service.port));
  }
  const crowds = (seed.clients ?? []).flatMap((it) => ('name' in it ? [it] : []));
  const { service: name, router } = service as { service: string; router: string };
  const crowd = crowds.find((it) => it.name === name) ?? crowds.find((it) => it.via === router);
  return crowd && ((clients) => clients.frontUrl(crowd.name));
}
