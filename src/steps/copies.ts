import { createHash } from 'node:crypto';
import { Interrupted } from '../engine.js';
import { isMigrateError, MigrateError } from '../errors.js';
import type { Cloud, Disk, Snapshot } from '../ports.js';
import type { Copy, StepContext } from '../step.js';
import { spell } from '../words.js';

/**
 * Snapshots, copies and disks that steps make: found again by tags, never by the reply to what made them. A killed run adopts its own; one
 * that was kept on the way back is never taken for a new one; what does not carry our tag is never touched.
 *
 * @source ECS API: CreateSnapshot, CopySnapshot, CreateDisk; an AlibabaCloud ClientToken is ASCII, at most 64 characters
 */
const TAG = 'migrate-id';
/** of every copy of a plan */
const PLAN_TAG = 'migrate-plan';

/** Drawn once for each time a step is begun. */
export interface Drawn {
  /** value of the tag: `mark/disk/what/` and what tells this beginning from others; `/2` and so on behind it when a try came to nothing */
  id: string;
}

/** Nobody has used these yet, so there is nothing to look for. */
const unused = new WeakSet<Drawn>();

export function draw({ world, step, mark }: StepContext, disk: string, what: string): Drawn {
  const nonce = createHash('sha256').update(`${step.id} ${world.clock.now()}`).digest('hex').slice(0, 8);
  const drawn = { id: `${mark}/${disk}/${what}/${nonce}` };
  unused.add(drawn);
  return drawn;
}

const tagOf = ({ id }: Drawn, attempt: number) => (attempt === 1 ? id : `${id}/${attempt}`);

/** The try that a tag is of; 0 for another step's. */
function attemptOf(tag: string | undefined, { id }: Drawn): number {
  if (tag === id) return 1;
  return tag?.startsWith(`${id}/`) ? Number(tag.slice(id.length + 1)) : 0;
}

/** What whatever is made gets from us. The same token gets the same answer, and makes nothing twice. */
export interface Ours {
  name: string;
  token: string;
  tags: Record<string, string>;
}

function oursOf(drawn: Drawn, attempt: number, mark: string): Ours {
  const tag = tagOf(drawn, attempt);
  return {
    name: `migrate-${drawn.id.slice(0, drawn.id.lastIndexOf('/')).replaceAll('/', '-')}`,
    token: createHash('sha256').update(tag).digest('hex').slice(0, 64),
    tags: { [TAG]: tag, [PLAN_TAG]: mark },
  };
}

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

function knownIn({ world: { cloud } }: StepContext): Known {
  const known = knownOf.get(cloud) ?? { listings: new Map(), lines: new Map(), ready: new Map() };
  knownOf.set(cloud, known);
  return known;
}

/** A listing in which nothing can be missing that we have made; what others do meanwhile is met by whoever waits. */
const KEPT_MS = 60_000;

/** The last listing, where it is as fresh as asked; else a new one. One answer serves all who look at the same moment. */
function listed<T extends Snapshot | Disk>(
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

/**
 * What a step has made in a region, the latest try last.
 *
 * @param sinceMs  not from a listing before that moment; without, from one after which nothing was begun there
 * @throws MigrateError COPY_NOT_UNIQUE  a token did not hold, or somebody put the tag on another: then we touch neither
 */
async function madeOf<T extends Snapshot | Disk>(
  made: Made<T>,
  context: StepContext,
  region: string,
  drawn: Drawn,
  sinceMs?: number,
): Promise<T[]> {
  const all = await listed(made, context, region, sinceMs);
  const mine = all.filter((it) => attemptOf(it.tags[TAG], drawn) > 0);
  for (const it of mine) {
    const same = mine.filter((other) => other.tags[TAG] === it.tags[TAG]);
    if (same.length === 1) continue;
    throw new MigrateError('COPY_NOT_UNIQUE', {
      what: `${same.map((other) => other.id).join(' and ')} both carry the tag ${TAG}=${it.tags[TAG]}.`,
      why: 'There must be exactly one copy; which of them is right can not be told.',
      fix: 'Delete the one that is not in use, or its tag, then run again.',
    });
  }
  return mine.sort((a, b) => attemptOf(a.tags[TAG], drawn) - attemptOf(b.tags[TAG], drawn));
}

/**
 * What an earlier step of the run made.
 *
 * @throws MigrateError COPY_GONE
 */
export async function madeBy<T extends Snapshot | Disk>(
  made: Made<T>,
  step: string,
  what: string,
  region: string,
  context: StepContext,
): Promise<T> {
  const drawn = context.recorded(step) as Drawn | undefined;
  const known = drawn && (knownIn(context).ready.get(drawn.id) as T | undefined);
  const found = known ?? (drawn && (await madeOf(made, context, region, drawn)).at(-1));
  if (found) return found;
  throw new MigrateError('COPY_GONE', {
    what: `${what} is not in ${region} any more.`,
    why: 'Something deleted it after our step made it.',
    fix: `Roll back to before step ${step}, then run again.`,
  });
}

/** For so long a thing may be missing in lists although it was made; then it is gone. */
const UNSEEN_MS = 120_000;
/** Longest without any progress, and longest to wait for what must end first. */
const PATIENCE_MS = 6 * 3_600_000;
/** Those who wait look at the same moments, so that they are answered together. */
const LOOK_MS = 5000;
const SELDOM_MS = 60_000;
const PAUSE_MS = { least: 0, most: 300_000 };

/** Waits until a later moment, at which others look too. @returns that moment. @throws Interrupted */
async function nextLook({ world: { clock }, stopping }: StepContext, pauseMs: number): Promise<number> {
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
async function inTurn<T>(context: StepContext, key: string, begin: () => Promise<T>): Promise<T> {
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

/**
 * Makes what the step is for, unless an earlier try of it did. One that failed is made anew, and deleted when its successor is there; of one
 * that a token has made but nobody can see any more, the token is used up.
 *
 * @param create  @returns the id
 * @throws Interrupted
 */
export async function make<T extends Snapshot | Disk>(
  made: Made<T>,
  drawn: Drawn,
  region: string,
  context: StepContext,
  create: (ours: Ours) => Promise<string>,
): Promise<void> {
  const { cloud } = context.world;
  const begin = (attempt: number) =>
    inTurn(context, `${made.what} ${region}`, () => create(oursOf(drawn, attempt, context.mark)));
  await context.resting(async () => {
    if (unused.delete(drawn)) {
      await begin(1);
      return;
    }
    const tries = await madeOf(made, context, region, drawn);
    const last = tries.at(-1);
    if (!last || made.failed(last)) {
      let attempt = last ? attemptOf(last.tags[TAG], drawn) + 1 : 1;
      while (!(await shows(made, await begin(attempt), region, context))) attempt++;
    }
    for (const it of tries) if (made.failed(it)) await made.remove(cloud, region, it);
  });
}

async function shows<T extends Snapshot | Disk>(
  made: Made<T>,
  id: string,
  region: string,
  context: StepContext,
): Promise<boolean> {
  const deadline = context.world.clock.now() + UNSEEN_MS;
  for (;;) {
    const at = await nextLook(context, 0);
    if ((await listed(made, context, region, at)).some((it) => it.id === id)) return true;
    if (at >= deadline) return false;
  }
}

export interface Waiting<T> {
  code: string;
  subject: string;
  /** undefined when it is as it should be. What it throws ends the wait. */
  missing(it: T): { note: string; remainS?: number } | undefined;
}

/**
 * Waits for what the step has made, as long as it gets on.
 *
 * @throws MigrateError `code`, COPY_GONE
 * @throws Interrupted
 */
export async function untilMade<T extends Snapshot | Disk>(
  made: Made<T>,
  drawn: Drawn,
  region: string,
  context: StepContext,
  { code, subject, missing }: Waiting<T>,
): Promise<T> {
  const { progress } = context;
  let told: string | undefined;
  let pause = PAUSE_MS.least;
  return context.resting(async () => {
    let at = await nextLook(context, 0);
    for (let seenAt = at, movedAt = at; ;) {
      const it = (await madeOf(made, context, region, drawn, at)).at(-1);
      const left = it && missing(it);
      if (it && !left) {
        knownIn(context).ready.set(drawn.id, it);
        return it;
      }
      if (it) seenAt = at;
      else if (at - seenAt >= UNSEEN_MS) throw gone(subject, region);
      const note = left?.note ?? 'not to be seen yet';
      if (note !== told) {
        progress(note);
        movedAt = at;
      } else if (at - movedAt >= PATIENCE_MS) throw tooSlow(code, subject, note);
      told = note;
      at = await nextLook(context, left?.remainS ? clamp((left.remainS * 1000) / 2) : it ? pause : 0);
      pause = clamp(pause * 1.5 + LOOK_MS / 2);
    }
  });
}

const clamp = (ms: number) => Math.min(PAUSE_MS.most, Math.max(PAUSE_MS.least, ms));

const gone = (subject: string, region: string) =>
  new MigrateError('COPY_GONE', {
    what: `${subject} is not in ${region} any more.`,
    why: 'Something deleted it, or the cloud gave it up.',
    fix: 'See the console, then run again: it is made anew.',
  });

const tooSlow = (code: string, subject: string, note: string) =>
  new MigrateError(code, {
    what: `${subject}: ${note}, and no further for ${spell(PATIENCE_MS)}.`,
    why: 'The cloud has not finished it.',
    fix: 'Look at it in the console, then run again: it goes on meanwhile.',
  });

/**
 * The way back: all that the step has made, with every try. Where a reply was lost lists may not have it yet, so who finds nothing looks twice.
 */
export async function leftOf<T extends Snapshot | Disk>(
  made: Made<T>,
  drawn: Drawn,
  region: string,
  context: StepContext,
): Promise<T[]> {
  knownIn(context).ready.delete(drawn.id);
  const found = await madeOf(made, context, region, drawn);
  if (found.length > 0) return found;
  return madeOf(made, context, region, drawn, await nextLook({ ...context, stopping: () => false }, 0));
}

/** Tells of what stays there. */
export function keepAll(
  made: Made<Snapshot> | Made<Disk>,
  all: readonly (Snapshot | Disk)[],
  context: StepContext,
): void {
  for (const { id, region } of all) context.kept({ what: made.what, id, region, mark: context.mark });
}
