import { MigrateError } from '../errors.js';
import type { PasswordFrom } from '../databases.js';
import type { Call, Clock, Cluster, Programs, Side, Tap } from '../ports.js';
import { hideIn } from '../redact.js';

/** What the clients of all kinds of databases share: where passwords come from, how a call passes the tap, what an error may say. */

export interface DatabaseOptions {
  clusters: Record<Side, Cluster>;
  env: NodeJS.ProcessEnv;
  programs: Programs;
  clock: Clock;
  tap: Tap;
}

/** @throws MigrateError DB_PASSWORD_MISSING  naming the place, never what was in it */
export async function passwordOf(
  from: PasswordFrom | undefined,
  { env, clusters }: Pick<DatabaseOptions, 'env' | 'clusters'>,
): Promise<string | undefined> {
  if (!from) return undefined;
  if ('env' in from) {
    const value = env[from.env];
    if (value !== undefined && value !== '') return value;
    throw missing(`The environment variable ${from.env} is not set.`, 'Set it in the shell or job that runs migrate.');
  }
  const { cluster, namespace, name, key } = from.secret;
  const found = await clusters[cluster].get({ kind: 'Secret', namespace, name });
  const encoded: unknown = (found?.['data'] as Record<string, unknown> | undefined)?.[key];
  if (typeof encoded === 'string') return Buffer.from(encoded, 'base64').toString('utf8');
  throw missing(
    `The ${cluster} has no Secret ${namespace}/${name} with a key ${key}.`,
    'Make it, or name another place in the playbook.',
  );
}

const missing = (what: string, fix: string) =>
  new MigrateError('DB_PASSWORD_MISSING', { what, why: 'The playbook says that the password is there.', fix });

/** A text as it may be told: without the secrets that were used, and without what looks like one. */
export const withoutSecrets = (text: string, secrets: readonly (string | undefined)[]): string =>
  hideIn(secrets.reduce<string>((all, it) => (it ? all.replaceAll(it, '(hidden)') : all), text));

export const unreachable = (who: string, error: unknown, secrets: readonly (string | undefined)[]) =>
  new MigrateError('DB_UNREACHABLE', {
    what: `${who} does not answer: ${withoutSecrets(messageOf(error), secrets)}`,
    why: 'It is down, or the address, the network or a firewall is in the way.',
    fix: 'Check it from this machine; then run again.',
    retryable: true,
  });

/** A fault in our own code is not a server's refusal. */
export function mustBeTheirs(error: unknown): void {
  if (error instanceof TypeError || error instanceof ReferenceError) throw error;
}

// No `cause`: the clients' errors carry the statement, and statements carry passwords.
export const refused = (who: string, act: string, error: unknown, secrets: readonly (string | undefined)[]) =>
  new MigrateError('DB_REFUSED', {
    what: `${who} refuses to ${act}: ${withoutSecrets(messageOf(error), secrets)}`,
    why: 'The account may lack a right, or the server is not set up for it.',
    fix: 'See docs/databases.md for what the account needs; then run again.',
  });

export const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return error.message || code || error.name;
};

const LOST = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
]);

export const isLost = (error: unknown): boolean => LOST.has((error as NodeJS.ErrnoException | undefined)?.code ?? '');

export const call = (to: Side, what: string, writes: boolean): Call => ({
  to,
  verb: writes ? 'set' : 'ask',
  what,
  writes,
});

/** A value of a row as text; nothing for NULL. */
export function text(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return `${value}`;
    default:
      return value instanceof Buffer ? value.toString('utf8') : '';
  }
}
