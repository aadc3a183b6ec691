/**
 * What an operator is told when something can't be done: a code from one catalogue, what, why, what to do.
 * The engine adds *now*. A broken invariant is an `assert`, never one of these: that is our bug (exit 70).
 */
export class MigrateError extends Error {
  override name = 'MigrateError';
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
  /** the same call may go through later */
  readonly retryable: boolean;
  /** a write whose reply was lost: it may have happened */
  readonly unsure: boolean;
  /** what was reached stays as it is: a person has to decide */
  readonly stays: boolean;
  /** where the run stands; set by the engine */
  now?: string;

  constructor(
    code: string,
    told: {
      what: string;
      why?: string;
      fix?: string;
      retryable?: boolean;
      unsure?: boolean;
      stays?: boolean;
      cause?: unknown;
    },
  ) {
    super(`${code}: ${told.what}`, told.cause === undefined ? undefined : { cause: told.cause });
    this.code = code;
    this.what = told.what;
    this.why = told.why ?? '';
    this.fix = told.fix ?? '';
    this.retryable = told.retryable ?? false;
    this.unsure = told.unsure ?? false;
    this.stays = told.stays ?? false;
  }
}

export const isMigrateError = (error: unknown, code?: string): error is MigrateError =>
  error instanceof MigrateError && (code === undefined || error.code === code);
