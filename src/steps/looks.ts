import { Interrupted } from '../engine.js';
import { isMigrateError } from '../errors.js';
import type { Cloud, Disk, Snapshot } from '../ports.js';
import type { Copy, StepContext } from '../step.js';

/**
 * How many steps ask one cloud together: those who wait look at the same moments and share an answer, and what begins something goes out in
 * turn. One process has one memory of each cloud.
 */

/** of every copy of a plan: all of them are listed at once */
export const PLAN_TAG = 'migrate-plan';

/** One kind of thing that the cloud makes for us. */
export interface Made<T extends Snapshot | Disk> {
  what: Copy['what'];
  list(cloud: Cloud, region: string, tag: { key: string; value: string }): Promise<T[]>;
  remove(cloud: Cloud, region: string, it: T): Promise<void>;
  /** it will never be what it was asked to be */
  failed(it: T): boolean;
}

export const SNAPSHOTS: Made<Snapshot> = {
  what: 'snapshot',
  list: (cloud, region, tag) => cloud.snapshots(region, tag),
  remove: (cloud, region, { id }) => cloud.deleteSnapshot(region, id),
  failed: ({ status }) => status === 'failed',
};

export const DISKS: Made<Disk> = {
  what: 'disk',
  list: (cloud, region, tag) => cloud.disks(region, tag),
  remove: (cloud, region, { id }) => cloud.deleteDisk(region, id),
  failed: () => false,
};

/** All copies of a plan in a region, as they were last asked for. */
interface Listing {
  sentAt: number;
  /** of the line there, at that moment */
  changes: number;
  all: Promise<unknown[]>;
}

/** What this process knows of a cloud. */
interface Known {
  listings: Map<string, Listing>;
  lines: Map<string, Line>;
  /** what was seen ready, by the drawn of its step: an id is for good */
  ready: Map<string, Snapshot | Disk>;
}

const knownOf = new WeakMap<Cloud, Known>();

export function knownIn({ world: { cloud } }: StepContext): Known {
  const known = knownOf.get(cloud) ?? { listings: new Map(), lines: new Map(), ready: new Map() };
  knownOf.set(cloud, known);
  return known;
}

/** A listing in which nothing can be missing that we have made; what others do meanwhile is met by whoever waits. */
const KEPT_MS = 60_000;

/** The last listing, where it is as fresh as asked; else a new one. One answer serves all who look at the same moment. */
export function listed<T extends Snapshot | Disk>(
  { what, list }: Made<T>,
  context: StepContext,
  region: string,
  sinceMs?: number,
): Promise<T[]> {
  const { world, mark } = context;
  const { listings, lines } = knownIn(context);
  const key = `${what} ${region} ${mark}`;
  const now = world.clock.now();
  const changes = lines.get(`${what} ${region}`)?.changes ?? 0;
  const known = listings.get(key);
  const isFresh =
    known &&
    (sinceMs === undefined ? known.changes === changes && now - known.sentAt < KEPT_MS : known.sentAt >= sinceMs);
  if (isFresh) return known.all as Promise<T[]>;
  const all = list(world.cloud, region, { key: PLAN_TAG, value: mark });
  const listing = { sentAt: now, changes, all };
  listings.set(key, listing);
  all.catch(() => {
    if (listings.get(key) === listing) listings.delete(key);
  });
  return all;
}

/** Longest without any progress, and longest to wait for what must end first. */
export const PATIENCE_MS = 6 * 3_600_000;
/** Those who wait look at the same moments, so that they are answered together. */
export const LOOK_MS = 5000;
const SELDOM_MS = 60_000;

/** Waits until a later moment, at which others look too. @returns that moment. @throws Interrupted */
export async function nextLook({ world: { clock }, stopping }: StepContext, pauseMs: number): Promise<number> {
  const unit = pauseMs > SELDOM_MS ? SELDOM_MS : LOOK_MS;
  const at = (Math.floor((clock.now() + pauseMs) / unit) + 1) * unit;
  while (clock.now() < at) {
    if (stopping()) throw new Interrupted();
    await clock.sleep(Math.min(at, (Math.floor(clock.now() / LOOK_MS) + 1) * LOOK_MS) - clock.now());
  }
  return at;
}

/** What begins something in a region goes out one at a time; when one could not begin, the next tries after a pause. */
interface Line {
  last: Promise<void>;
  closedUntil: number;
  /** how often one has gone out, or come back */
  changes: number;
}

function lineOf(context: StepContext, key: string): Line {
  const { lines } = knownIn(context);
  const line = lines.get(key) ?? { last: Promise.resolve(), closedUntil: 0, changes: 0 };
  lines.set(key, line);
  return line;
}

/**
 * @throws MigrateError CLOUD_OCCUPIED  still, after hours
 * @throws Interrupted
 */
export async function inTurn<T>(context: StepContext, key: string, begin: () => Promise<T>): Promise<T> {
  const { world, progress, stopping } = context;
  const { clock } = world;
  const line = lineOf(context, key);
  const deadline = clock.now() + PATIENCE_MS;
  for (;;) {
    const before = line.last;
    let leave = () => {};
    line.last = new Promise((resolve) => (leave = resolve));
    try {
      await before;
      if (stopping()) throw new Interrupted();
      while (clock.now() < line.closedUntil) await nextLook(context, 0);
      line.changes++;
      try {
        return await begin();
      } finally {
        line.changes++;
      }
    } catch (error) {
      if (!isMigrateError(error, 'CLOUD_OCCUPIED') || clock.now() >= deadline) throw error;
      line.closedUntil = clock.now() + LOOK_MS;
      progress(`waits: ${error.what}`);
    } finally {
      leave();
    }
  }
}
