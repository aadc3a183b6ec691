import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { alibabaCloud } from '../alibaba/cloud.js';
import { notingWrites } from '../alibaba/sharing.js';
import { openDatabases } from '../db/index.js';
import { MigrateError } from '../errors.js';
import { clusterOver } from '../kube/cluster.js';
import { noCluster } from '../kube/nobody.js';
import { connect } from '../kube/connection.js';
import { manifestTexts } from './manifests.js';
import type { Playbook } from '../playbook.js';
import type { Databases } from '../standing.js';
import type {
  BucketAt,
  Clock,
  Cloud,
  Cluster,
  Place,
  ProbeReply,
  Programs,
  Prober,
  Side,
  Tap,
  Web,
  World,
} from '../ports.js';
import { bucketAt } from '../store/bucket.js';
import { ownPrograms } from '../program.js';
import { askServer } from '../resolver.js';
import { storeKeys } from '../store/keys.js';
import { httpWeb } from './web.js';

/** The machine's own clock. */
export const wallClock: Clock = { now: () => Date.now(), sleep: (ms) => sleepFor(ms) };

export const plainTap: Tap = (_call, send) => send();

export interface WorldOptions {
  kubeconfig?: string;
  /** for one reply */
  timeoutMs?: number;
  /** how long an API server that does not answer is waited for */
  patienceMs?: number | Record<Side, number>;
  /** an emulator's address instead of the vendor's */
  cloudEndpoint?: string;
  cloudKeys?: { accessKeyId: string; accessKeySecret: string };
  /** the same for the object store of the backups */
  storeEndpoint?: string;
  tap?: Tap;
  /** in place of a connection to that side */
  clusters?: Partial<Record<Side, Cluster>>;
  clock?: Clock;
  prober?: Prober;
  web?: Web;
  /** in place of programs that the playbook names */
  programs?: Programs;
  /** in place of the servers that the playbook names */
  databases?: Databases;
}

/** The world behind a playbook: two clusters by their contexts, the cloud, the clock, the prober. */
export async function openWorld(playbook: Playbook, options: WorldOptions = {}): Promise<World> {
  const { tap, changes } = notingWrites(options.tap ?? plainTap);
  const { clock = wallClock, timeoutMs = 30_000, patienceMs = 60_000 } = options;
  const open = async (side: Place, context: string) =>
    (side === 'fleet' ? undefined : (options.clusters?.[side] ?? (context === '' ? noCluster(side) : undefined))) ??
    clusterOver(
      await connect({
        side,
        context,
        clock,
        tap,
        timeoutMs,
        patienceMs: typeof patienceMs === 'number' ? patienceMs : patienceMs[side === 'fleet' ? 'source' : side],
        ...(options.kubeconfig !== undefined && { kubeconfig: options.kubeconfig }),
      }),
    );
  const [source, target, fleet] = await Promise.all([
    open('source', playbook.source.context),
    open('target', playbook.target.context),
    playbook.fleet && open('fleet', playbook.fleet.context),
  ]);
  const endpoint = options.cloudEndpoint ?? process.env['MIGRATE_ALIBABA_ENDPOINT'];
  const cloud = playbook.cloud
    ? alibabaCloud({
        region: playbook.cloud.region,
        clock,
        tap,
        changes,
        ...(endpoint !== undefined && endpoint !== '' && { endpoint }),
        ...(options.cloudKeys && { keys: options.cloudKeys }),
      })
    : noCloud();
  const storeEndpoint = options.storeEndpoint ?? process.env['MIGRATE_STORE_ENDPOINT'];
  const { cloudKeys } = options;
  const bucket = (at: BucketAt) =>
    bucketAt(at, {
      clock,
      tap,
      timeoutMs,
      keys: (provider) =>
        cloudKeys ? { id: cloudKeys.accessKeyId, secret: cloudKeys.accessKeySecret } : storeKeys(provider, process.env),
      ...(storeEndpoint !== undefined && storeEndpoint !== '' && { endpoint: storeEndpoint }),
    });
  const databases =
    options.databases ??
    openDatabases({
      clusters: { source, target },
      env: process.env,
      clock,
      tap,
      ...(options.programs && { programs: options.programs }),
    });
  return {
    source,
    target,
    ...(fleet && { fleet }),
    cloud,
    databases,
    bucket,
    manifests: manifestTexts,
    clock,
    prober: options.prober ?? httpProber(timeoutMs),
    web: options.web ?? httpWeb(process.env),
    programs: options.programs ?? tapped(ownPrograms, tap),
    // The servers that the playbook names are real ones; an emulated authority has nothing to do with them.
    ...((endpoint === undefined || endpoint === '') && { lookUp: askServer }),
  };
}

/** Reads are what every router asks most; they count as such. */
const tapped = ({ run }: Programs, tap: Tap): Programs => ({
  run: (command, question, deadlineMs) => {
    const verb = String((question as { verb?: unknown }).verb ?? 'run');
    const call = { to: 'cloud', verb, what: command[0] ?? '', writes: verb !== 'read' } as const;
    return tap(call, () => run(command, question, deadlineMs));
  },
});

/** For a playbook without `cloud`: the plan has no step that would ask it. */
const noCloud = (): Cloud =>
  new Proxy({} as Cloud, { get: (_target, part) => (part === 'dns' ? noCloud() : refuseCloud) });

function refuseCloud(): never {
  throw new MigrateError('CLOUD_NOT_NAMED', {
    what: 'The playbook names no cloud.',
    why: 'This step needs one.',
    fix: 'Add `cloud: { provider: alibaba, region: … }`.',
  });
}

/** One GET, no redirects followed: 2xx and 3xx are answers of somebody who serves. */
export function httpProber(timeoutMs: number): Prober {
  const signalMs = Math.min(timeoutMs, 10_000);
  return {
    probe: (url) =>
      new Promise((resolve) => {
        const began = performance.now();
        const ended = (reply: Omit<ProbeReply, 'ms'>) => resolve({ ...reply, ms: performance.now() - began });
        const { get } = url.startsWith('https:') ? https : http;
        // A connection of its own: a kept one would stay with the side that it once reached.
        const asked = get(
          url,
          { agent: false, timeout: signalMs, headers: { 'user-agent': 'migrate-probe' } },
          (reply) => {
            const status = reply.statusCode ?? 0;
            reply.resume();
            ended({ ok: status >= 200 && status < 400, status });
          },
        );
        asked.on('timeout', () => asked.destroy(Object.assign(new Error('no reply in time'), { code: 'ETIMEDOUT' })));
        asked.on('error', (error: NodeJS.ErrnoException) => ended({ ok: false, error: error.code ?? error.name }));
      }),
  };
}
