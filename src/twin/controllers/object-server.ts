import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { filesOf } from './object-files.js';
import type { ObjectStore } from './object-store.js';

export interface StartedObjectServer {
  /** `http://127.0.0.1:PORT` */
  url: string;
  stop(): Promise<void>;
}

/**
 * The buckets over S3's HTTP, with the bucket in the path: GET, PUT and DELETE of objects, and lists of one page.
 *
 * @source AWS, S3 API reference: GetObject, PutObject, DeleteObject, ListObjectsV2
 */
export async function startObjectServer(store: ObjectStore): Promise<StartedObjectServer> {
  const server = createServer((request, response) => {
    answer(store, request, response).catch(() => say(response, 500, fault('InternalError')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

async function answer(store: ObjectStore, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await wholeOf(request);
  // Whose keys they are is not looked at; that somebody signed is.
  if (!request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ')) return say(response, 403, fault('AccessDenied'));
  const url = new URL(request.url ?? '/', 'http://store');
  const [bucket = '', ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent);
  const shelf = store.open(bucket);
  if (!shelf) return say(response, 404, fault('NoSuchBucket'));
  const files = filesOf(shelf);
  const key = rest.join('/');
  switch (request.method) {
    case 'PUT':
      files.write(key, body);
      return say(response, 200, '');
    case 'DELETE':
      files.remove(key);
      return say(response, 204, '');
    default: {
      if (key === '') return say(response, 200, listing(files.keys(), url.searchParams.get('prefix') ?? ''));
      const found = files.read(key);
      return found ? say(response, 200, found) : say(response, 404, fault('NoSuchKey'));
    }
  }
}

async function wholeOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const listing = (keys: readonly string[], prefix: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>false</IsTruncated>${keys
    .filter((it) => it.startsWith(prefix))
    .map((it) => `<Contents><Key>${escaped(it)}</Key></Contents>`)
    .join('')}</ListBucketResult>`;

const fault = (code: string): string => `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`;

function say(response: ServerResponse, status: number, body: string | Buffer): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
