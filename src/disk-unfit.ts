import { MigrateError } from './errors.js';

/** A disk that can't go this way, found when the plan is made. @param why  a clause */
export const unfit = (claim: string, why: string, fix: string) =>
  new MigrateError('PLAN_DISK_UNFIT', {
    what: `The disk of claim ${claim} can't be moved: ${why}.`,
    why: 'A disk is copied by the cloud, from its own id, while nobody writes to it; the new one must be to be had, and attachable, where its pods run.',
    fix,
  });
