import { gunzipSync } from 'node:zlib';
import { folderOf } from './archive.js';
import { isMigrateError } from './errors.js';
import type { Bucket, BucketAt, KubeObject, World } from './ports.js';

/** A BackupStorageLocation, and what lies behind it. */
export interface Shelf {
  bucket: Bucket;
  /** inside the bucket, or empty */
  prefix: string;
}

/**
 * @source vmware-tanzu/velero-plugin-for-aws:backupstoragelocation.md (region, s3Url, s3ForcePathStyle);
 * AliyunContainerService/velero-plugin (region, endpoint)
 */
function bucketOf(location: KubeObject): BucketAt {
  const {
    provider = '',
    objectStorage = {},
    config = {},
  } = (location['spec'] ?? {}) as {
    provider?: string;
    objectStorage?: { bucket?: string };
    config?: Record<string, string>;
  };
  const endpoint = config['s3Url'] ?? config['publicUrl'] ?? config['endpoint'];
  return {
    provider: provider.replace(/^.*\//, ''),
    bucket: objectStorage.bucket ?? '',
    region: config['region'] ?? '',
    inPath: config['s3ForcePathStyle'] === 'true',
    ...(endpoint && { endpoint: endpoint.includes('://') ? endpoint : `https://${endpoint}` }),
  };
}

/** @param how  `brief` where the move goes on without an answer */
export const shelfOf = (location: KubeObject, world: Pick<World, 'bucket'>, how?: 'brief'): Shelf => ({
  bucket: world.bucket({ ...bucketOf(location), ...(how === 'brief' && { brief: true }) }),
  prefix: String(location['spec']?.objectStorage?.prefix ?? ''),
});

/** `errors` or `warnings` of a backup or a restore, with the namespace each is about. */
export interface Told {
  namespace?: string;
  text: string;
}

/**
 * What the store has to say beside a finished backup or restore. Undefined when there is nothing, or no credentials for it, or no way to it:
 * then the servers are asked instead.
 */
export async function readBeside<T>(
  { bucket, prefix }: Shelf,
  kind: 'backups' | 'restores',
  name: string,
  file: string,
): Promise<T | undefined> {
  const folder = folderOf(prefix, name).replace(/backups\/([^/]+)\/$/, `${kind}/$1/`);
  try {
    const body = await bucket.get(`${folder}${file}`);
    return body && (JSON.parse(gunzipSync(body).toString('utf8')) as T);
  } catch (error) {
    if (isMigrateError(error) && error.code.startsWith('STORE_')) return undefined;
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code?.startsWith('Z_')) return undefined;
    throw error;
  }
}

interface Messages {
  velero?: string[] | null;
  cluster?: string[] | null;
  namespaces?: Record<string, string[] | null> | null;
}

/** What a backup or restore counted as errors; undefined when it can't be read. */
export async function errorsOf(shelf: Shelf, kind: 'backups' | 'restores', name: string): Promise<Told[] | undefined> {
  const results = await readBeside<{ errors?: Messages }>(
    shelf,
    kind,
    name,
    kind === 'backups' ? `${name}-results.gz` : `restore-${name}-results.gz`,
  );
  if (!results) return undefined;
  const { velero, cluster, namespaces } = results.errors ?? {};
  return [
    ...[...(velero ?? []), ...(cluster ?? [])].map((text) => ({ text })),
    ...Object.entries(namespaces ?? {}).flatMap(([namespace, texts]) =>
      (texts ?? []).map((text) => ({ namespace, text })),
    ),
  ];
}

/** `apps/v1/Deployment` → `namespace/name`s that a backup holds. */
export const contentsOf = (shelf: Shelf, backup: string): Promise<Record<string, string[]> | undefined> =>
  readBeside(shelf, 'backups', backup, `${backup}-resource-list.json.gz`);
