import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { MigrateError } from '../errors.js';
import type { StoreKeys } from './signature.js';

/**
 * Keys of the object store, as every tool of that world finds them: from the environment, else from the credentials file. They are held
 * for one request and written nowhere.
 *
 * @param provider  of the location: where keys of two clouds are exported, its own count
 * @throws MigrateError STORE_CREDENTIALS
 * @source AWS, "Configuration and credential file settings": AWS_ACCESS_KEY_ID, AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE
 */
export function storeKeys(provider: string, env: NodeJS.ProcessEnv): StoreKeys {
  const names = provider.endsWith('alibabacloud') ? NAMES.toReversed() : NAMES;
  for (const [id, secret, token] of names) {
    const [own, key, session] = [env[id], env[secret], env[token]];
    if (own && key) return { id: own, secret: key, ...(session && { token: session }) };
  }
  const file = env['AWS_SHARED_CREDENTIALS_FILE'] || path.join(homedir(), '.aws', 'credentials');
  const profile = env['AWS_PROFILE'] || 'default';
  const found = fromFile(file, profile);
  if (found) return found;
  throw new MigrateError('STORE_CREDENTIALS', {
    what: 'There are no credentials for the object store of the backups.',
    why: `Neither AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY nor ALIBABA_CLOUD_ACCESS_KEY_ID with …_SECRET is set, and ${file} has no profile "${profile}".`,
    fix: 'Export keys that may read and write the bucket of the BackupStorageLocation; they are written nowhere.',
  });
}

const NAMES = [
  ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'],
  ['ALIBABA_CLOUD_ACCESS_KEY_ID', 'ALIBABA_CLOUD_ACCESS_KEY_SECRET', 'ALIBABA_CLOUD_SECURITY_TOKEN'],
] as const;

function fromFile(file: string, profile: string): StoreKeys | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const values = new Map<string, string>();
  let here = '';
  for (const line of text.split('\n')) {
    const section = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim();
    if (section !== undefined) here = section;
    const [, key, value] = /^\s*([\w]+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined && here === profile) values.set(key, value);
  }
  const [id, secret, token] = ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'].map((it) =>
    values.get(it),
  );
  return id !== undefined && secret !== undefined ? { id, secret, ...(token !== undefined && { token }) } : undefined;
}
