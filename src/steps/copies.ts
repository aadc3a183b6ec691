import { createHash } from 'node:crypto';
import { MigrateError } from '../errors.js';
import type { Disk, Snapshot } from '../ports.js';
import type { Copy, StepContext } from '../step.js';
import { spell } from '../words.js';
import { inTurn, knownIn, listed, LOOK_MS, type Made, nextLook, PATIENCE_MS, PLAN_TAG } from './looks.js';

/**
 * Snapshots, copies and disks that steps make: found again by tags, never by the reply to what made them. A killed run adopts its own; one
 * that was kept on the way back is never taken for a new one; what does not carry our tag is never touched.
 *
 * @source ECS API: CreateSnapshot, CopySnapshot, CreateDisk; an AlibabaCloud ClientToken is ASCII, at most 64 characters
 */
const TAG = 'migrate-id';

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
const PAUSE_MS = { least: 0, most: 300_000 };

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
  { what }: { what: Copy['what'] },
  all: readonly (Snapshot | Disk)[],
  { kept, mark }: StepContext,
): void {
  for (const { id, region } of all) kept({ what, id, region, mark });
}
