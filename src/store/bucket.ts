import http from 'node:http';
import https from 'node:https';
import { MigrateError } from '../errors.js';
import type { Bucket, BucketAt, Clock, Tap } from '../ports.js';
import { encoded, signedHeaders, type StoreKeys } from './signature.js';

export interface BucketOptions {
  clock: Clock;
  tap: Tap;
  /** asked for before each request: temporary keys change */
  keys: (provider: string) => StoreKeys;
  /** for one reply */
  timeoutMs: number;
  /** an emulator's address in the place of the one that the location says */
  endpoint?: string;
}

interface Reply {
  status: number;
  body: Buffer;
}

const TRIES = 4;
const BRIEF_MS = 5000;

/** One bucket over S3's HTTP. All its requests can be repeated without harm. */
export function bucketAt(at: BucketAt, options: BucketOptions): Bucket {
  const { clock, tap, keys, timeoutMs } = options;
  const tries = at.brief ? 1 : TRIES;
  const limitMs = at.brief ? Math.min(timeoutMs, BRIEF_MS) : timeoutMs;

  const ask = async (
    method: string,
    key: string,
    query: Record<string, string> = {},
    body: Buffer = Buffer.alloc(0),
  ): Promise<Reply> => {
    const { base, region } = addressOf(at, options.endpoint);
    const url = new URL(base);
    const inside = key === '' ? '' : key.split('/').map(encoded).join('/');
    url.pathname = `${base.pathname.replace(/\/$/, '')}/${inside}`;
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const call = {
      to: 'cloud',
      verb: `${method}Object`,
      what: `${at.bucket}/${key}`,
      writes: method === 'PUT' || method === 'DELETE',
    } as const;
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await tap(call, () =>
          send(
            method,
            url,
            body,
            signedHeaders({ method, url, body, region, keys: keys(at.provider), now: clock.now() }),
            limitMs,
          ),
        );
        if (reply.status < 500 && reply.status !== 429) return reply;
        if (attempt === tries) return reply;
      } catch (error) {
        if (!isNetwork(error)) throw error;
        if (attempt === tries) throw unreachable(at, base, error);
      }
      await clock.sleep(500 * 2 ** attempt);
    }
  };

  const must = async (asked: Promise<Reply>, what: string): Promise<Reply> => {
    const reply = await asked;
    if (reply.status < 300) return reply;
    throw refused(at, what, reply);
  };

  const bucket: Bucket = {
    async put(key, body) {
      await must(ask('PUT', key, {}, body), `write ${key}`);
    },

    async get(key) {
      const reply = await ask('GET', key);
      if (reply.status === 404 && codeOf(reply) !== 'NoSuchBucket') return undefined;
      if (reply.status < 300) return reply.body;
      throw refused(at, `read ${key}`, reply);
    },

    async list(prefix) {
      const found: string[] = [];
      for (let token: string | undefined; ;) {
        const query = { 'list-type': '2', prefix, ...(token !== undefined && { 'continuation-token': token }) };
        const { body } = await must(ask('GET', '', query), `list ${prefix}`);
        const text = body.toString('utf8');
        found.push(...[...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map((it) => plain(it[1] ?? '')));
        token = /<NextContinuationToken>([^<]*)</.exec(text)?.[1];
        if (token === undefined || !/<IsTruncated>true</.test(text)) return found;
      }
    },

    async delete(key) {
      const reply = await ask('DELETE', key);
      if (reply.status >= 300 && reply.status !== 404) throw refused(at, `delete ${key}`, reply);
    },
  };
  return bucket;
}

/**
 * Where the bucket is: in the path, or in the name of the host, as the location says. Alibaba's store takes the second only, also over its
 * S3 interface.
 */
function addressOf(
  { bucket, region, endpoint, inPath, provider }: BucketAt,
  instead: string | undefined,
): { base: URL; region: string } {
  if (instead === undefined && endpoint === undefined && region === '') {
    throw new MigrateError('STORE_REFUSED', {
      what: `The storage location of bucket ${bucket} names neither a region nor an address.`,
      why: 'Its plug-in finds them out inside the cluster; from here nobody can.',
      fix: 'Add `config.region` to the BackupStorageLocation, or name the address by MIGRATE_STORE_ENDPOINT.',
    });
  }
  const [url, isInPath] =
    instead !== undefined
      ? [instead, true]
      : endpoint !== undefined
        ? [endpoint, inPath]
        : provider.endsWith('alibabacloud')
          ? [`https://oss-${region}.aliyuncs.com`, false]
          : [`https://s3.${region}.amazonaws.com`, inPath];
  const base = new URL(url);
  if (isInPath) base.pathname = `${base.pathname.replace(/\/$/, '')}/${bucket}`;
  else base.host = `${bucket}.${base.host}`;
  return { base, region: region || 'us-east-1' };
}

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const isNetwork = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && NETWORK.has((error as NodeJS.ErrnoException).code ?? '');

const send = (
  method: string,
  url: URL,
  body: Buffer,
  headers: Record<string, string>,
  timeout: number,
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const { request } = url.protocol === 'https:' ? https : http;
    const asked = request(
      url,
      { method, timeout, headers: { ...headers, 'content-length': body.length } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      },
    );
    asked.on('error', reject);
    asked.on('timeout', () => asked.destroy(Object.assign(new Error('no reply in time'), { code: 'ETIMEDOUT' })));
    asked.end(body);
  });

const codeOf = ({ body }: Reply) => /<Code>([^<]*)</.exec(body.toString('utf8'))?.[1];

const plain = (text: string) =>
  text.replaceAll(/&(lt|gt|quot|apos|amp|#\d+);/g, (whole, name: string) =>
    name.startsWith('#') ? String.fromCodePoint(Number(name.slice(1))) : (ENTITIES[name] ?? whole),
  );
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

const unreachable = ({ bucket }: BucketAt, { host }: URL, cause: NodeJS.ErrnoException) =>
  new MigrateError('STORE_UNREACHABLE', {
    what: `The object store of the backups, ${host}, does not answer for bucket ${bucket} (${cause.code}).`,
    why: 'It is down, or this machine has no way to it: an address inside the VPC is not reachable from outside.',
    fix: 'Run from where the store can be reached, or name a reachable address by MIGRATE_STORE_ENDPOINT; then run again.',
    retryable: true,
  });

function refused({ bucket }: BucketAt, what: string, reply: Reply): MigrateError {
  const code = codeOf(reply) ?? `HTTP ${reply.status}`;
  return new MigrateError('STORE_REFUSED', {
    what: `The object store does not let us ${what} in bucket ${bucket}: ${code}.`,
    why:
      reply.status === 403
        ? 'The keys are wrong, or have no right to it.'
        : 'Bucket, region or path style of the location are not those of the store.',
    fix: 'Compare the keys that are exported and the BackupStorageLocation with the bucket; then run again.',
    retryable: reply.status >= 500,
  });
}
