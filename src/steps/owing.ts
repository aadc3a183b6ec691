import { isMigrateError } from '../errors.js';
import type { Debt } from '../step.js';

/**
 * Undoing on the target: when its API server does not answer the way back goes on, and what stays undone there is owed.
 * A source that does not answer stops the way back: nothing may be taken from the target while nobody knows what the source can do.
 */
export async function owing(what: string, undo: () => Promise<void>): Promise<Debt[]> {
  try {
    await undo();
    return [];
  } catch (error) {
    if (!isMigrateError(error, 'KUBE_UNREACHABLE')) throw error;
    return [{ side: 'target', what: `The target's API server does not answer: ${what}` }];
  }
}
