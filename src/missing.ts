import { passed } from './arriving.js';
import { grouped, reasonOf, type Reason } from './causes.js';
import { isMigrateError } from './errors.js';
import { about, splitPath } from './objects.js';
import type { Kind, World } from './ports.js';
import { inTurns } from './turns.js';

/** More than these need not be asked about to know why. */
const MOST = 40;
const AT_A_TIME = 8;

/**
 * Why objects did not arrive, in the target's own words: each is read from the source once more and put to the server by a create that keeps
 * nothing. Grouped by cause.
 *
 * @param missing  `namespace/name` by kind
 */
export async function whyMissing(
  world: Pick<World, 'source' | 'target'>,
  missing: readonly { kind: Kind; path: string }[],
): Promise<string> {
  const told = await inTurns(AT_A_TIME, missing.slice(0, MOST), async ({ kind, path }) => {
    const ref = { kind, ...splitPath(path) };
    const named = { about: about(kind, ref) };
    const original = await world.source.get(ref).catch(orNothing);
    if (!original)
      return { ...named, reason: 'other' as Reason, text: 'it is gone from the source, or has another version there' };
    const { object } = passed(original, { to: original.apiVersion, resource: '' }, { rules: [] });
    const reply = await world.target.dryRun(object, 'warn').catch(orNothing);
    if (!reply) return { ...named, reason: 'api-not-served' as Reason };
    if (reply.status < 400 || reply.status === 409)
      return {
        ...named,
        reason: 'other' as Reason,
        text: 'the target would take it: it was not in the backup, or was deleted since',
      };
    return { ...named, reason: reasonOf(reply.status, reply.message), text: reply.message };
  });
  const more = missing.length - told.length;
  return `${grouped(told)}${more > 0 ? `; and ${more} more` : ''}`;
}

const orNothing = (error: unknown): undefined => {
  if (isMigrateError(error, 'KUBE_NOT_SERVED') || isMigrateError(error, 'KUBE_FORBIDDEN')) return undefined;
  throw error;
};
