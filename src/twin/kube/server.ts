import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { ClusterApi, Fault, Faults, Json, TwinClock, TwinObject } from '../types.js';
import { selfSigned } from './certificate.js';
import { directApi } from './direct.js';
import { forbidden, StatusError } from './errors.js';
import type { Identity, Rule } from './identities.js';
import { EVERYTHING, isAllowed, isOpenToAll, refusal } from './identities.js';
import { Pages } from './pages.js';
import { requestCounts } from './metrics.js';
import { handlePlainPath } from './paths.js';
import type { Desk } from './resources.js';
import { handle } from './resources.js';
import { partsOf, targetOf, verbOf } from './route.js';
import { Store } from './store.js';
import { warningHeader } from './warnings.js';
import type { Answer, WireRequest } from './wire.js';
import { answer, answerError, isTrue } from './wire.js';

export interface ApiServerOptions {
  /** as /version says, e.g. `v1.20.15`; 1.16 to 1.37 */
  version: string;
  clock: TwinClock;
  /** for what nobody waits for: ends of watches, bookmarks; the same clock when absent */
  background?: TwinClock;
  name: 'source' | 'target' | 'fleet';
  /** of the user `admin`, who may do everything */
  token: string;
  faults?: Faults;
  /** uid of the namespace kube-system */
  uid?: string;
  /** https with a certificate of its own: kubectl and all of client-go send a token over TLS alone */
  tls?: boolean;
}

export interface TwinApiServer {
  /** `http://127.0.0.1:PORT`, or https */
  url: string;
  /** PEM of the certificate authority; with `tls` only */
  ca?: string;
  token: string;
  /** the same state in this process: never faulted, no wire, works while the server is down; objects are frozen */
  api: ClusterApi;
  /** puts objects in as they are, uid, status and owners included; missing namespaces are made */
  seed(objects: readonly TwinObject[]): void;
  /** everything there is, in stable order: `group/resource` → objects by namespace and name */
  snapshot(): Json;
  /** cuts open connections and refuses new ones until `up` */
  down(): void;
  up(): void;
  /** forgets old revisions: watches and pages that start before now are 410 Expired */
  compact(): void;
  /** requests that came over the wire, by verb (`get`, `list`, `watch`, `create`, ...) */
  requests: Record<string, number>;
  addIdentity(token: string, identity: { user: string; groups?: string[]; rules: Rule[] }): void;
  stop(): Promise<void>;
}

const MAX_HEADER_BYTES = 1 << 20;
const ANONYMOUS: Identity = { user: 'system:anonymous', groups: ['system:unauthenticated'], rules: [] };
/** What anybody may ask. */
const PUBLIC_PATHS = new Set(['version', 'healthz', 'livez', 'readyz']);
const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Starts one API server on a free port of the loopback interface. */
export async function startApiServer(options: ApiServerOptions): Promise<TwinApiServer> {
  const { version, clock, background = clock, name, token, faults, uid, tls = false } = options;
  const store = new Store({ version, clock, name, ...(uid !== undefined && { uid }) });
  const pages = new Pages(store);
  const desk: Desk = { store, pages, idle: background };
  const identities = new Map<string, Identity>();
  identities.set(token, { user: 'admin', groups: ['system:masters', 'system:authenticated'], rules: EVERYTHING });
  const requests: Record<string, number> = {};
  const counts = requestCounts(clock.now());
  const sockets = new Set<Socket>();
  let isDown = false;
  let address = '';

  const identify = (headers: IncomingMessage['headers']): Identity => {
    const given = headers.authorization;
    if (given === undefined) return ANONYMOUS;
    const identity = identities.get(given.replace(/^Bearer\s+/i, ''));
    if (!identity) throw new StatusError(401, 'Unauthorized', 'Unauthorized');
    return identity;
  };

  const respond = (request: WireRequest): Answer => {
    const parts = partsOf(request.path);
    if (!parts) {
      checkPath(request);
      if (request.path[0] === 'metrics') return counts.answer();
      return handlePlainPath(store, request, address);
    }
    const verb = verbOf(request.method, parts.name, isTrue(request.query, 'watch'));
    const reply = attempt(() => {
      checkRight(request.identity, parts, verb);
      return handle(desk, targetOf(store, parts, verb), request);
    });
    counts.count(request, parts, verb, 'status' in reply ? reply.status : 200);
    return reply;
  };

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams: query } = new URL(incoming.url ?? '/', 'http://localhost');
    const path = pathname
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
    const method = incoming.method ?? 'GET';
    const verb = verbOf(method, partsOf(path) ? partsOf(path)!.name : pathname, isTrue(query, 'watch'));
    requests[verb] = (requests[verb] ?? 0) + 1;
    const body = await readAll(incoming);
    const fault = faults?.decide({ to: name, verb, what: pathname, writes: WRITES.has(verb) });
    if (fault?.kind === 'cut') return cut(incoming);
    if (fault?.kind === 'refuse') return write(response, refused(fault), retryHeader(fault));
    if (fault?.kind === 'slow') await clock.park(fault.ms);
    if (response.destroyed) return;
    const reply = attempt(() =>
      respond({ method, path, query, headers: incoming.headers, body, identity: identify(incoming.headers) }),
    );
    if (fault?.kind === 'lose') return cut(incoming);
    write(response, reply);
  };

  const onRequest = (incoming: IncomingMessage, response: ServerResponse): void => {
    void serve(incoming, response).catch((error: unknown) => {
      if (isAborted(error)) return;
      throw error;
    });
  };
  const settings = { maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: 0, requestTimeout: 0 };
  const certificate = tls ? selfSigned(`twin ${name}`) : undefined;
  const server: Server = certificate
    ? createSecureServer({ ...settings, ...certificate }, onRequest)
    : createServer(settings, onRequest);
  server.on('connection', (socket) => {
    if (isDown) socket.destroy();
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const port = await listen(server, 0);
  address = `127.0.0.1:${port}`;

  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };

  return {
    url: `${tls ? 'https' : 'http'}://${address}`,
    token,
    ...(certificate && { ca: certificate.cert }),
    api: directApi(store),
    seed: (objects) => store.seed(objects),
    snapshot: () => store.snapshot(),
    down() {
      isDown = true;
      cutAll();
    },
    up() {
      isDown = false;
    },
    compact() {
      store.compact();
      pages.clear();
    },
    requests,
    addIdentity(own, { user, groups = [], rules }) {
      identities.set(own, { user, groups: [...groups, 'system:authenticated'], rules });
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cutAll();
      await closed;
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

function readAll(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => resolve(Buffer.concat(chunks)));
    incoming.on('error', reject);
  });
}

/** A client that went away in the middle of its request. */
const isAborted = (error: unknown): boolean => (error as { code?: string }).code === 'ECONNRESET';

function cut(incoming: IncomingMessage): void {
  incoming.socket.destroy();
}

function attempt(run: () => Answer): Answer {
  try {
    return run();
  } catch (error) {
    return answerError(error);
  }
}

/** @throws StatusError 403, before anything else is looked at */
function checkRight(identity: Identity, parts: NonNullable<ReturnType<typeof partsOf>>, verb: string): void {
  const { group, resource, subresource, name } = parts;
  const namespace = group === '' && resource === 'namespaces' ? name : parts.namespace;
  const right = { verb, group, resource, subresource, namespace, name };
  if (isAllowed(identity, right) || (isOpenToAll(right) && identity !== ANONYMOUS)) return;
  throw forbidden({ group, resource, kind: resource }, name ?? '', refusal(identity, right));
}

function checkPath({ identity, path, method }: WireRequest): void {
  if (identity !== ANONYMOUS || PUBLIC_PATHS.has(path[0] ?? '')) return;
  const message = `forbidden: User "${identity.user}" cannot ${method.toLowerCase()} path "/${path.join('/')}"`;
  throw new StatusError(403, 'Forbidden', message, {});
}

const refused = ({ status, code, message, retryAfterMs }: Fault & { kind: 'refuse' }): Answer => {
  const details = retryAfterMs === undefined ? undefined : { retryAfterSeconds: Math.ceil(retryAfterMs / 1_000) };
  return answer(new StatusError(status, code, message, details).body(), status);
};

const retryHeader = ({ retryAfterMs }: Fault & { kind: 'refuse' }): Record<string, string> =>
  retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) };

function write(response: ServerResponse, reply: Answer, headers: Record<string, string> = {}): void {
  if ('stream' in reply) return reply.stream(response);
  const body = 'bytes' in reply ? reply.bytes : Buffer.from(reply.text);
  const warnings = ('warnings' in reply && reply.warnings) || [];
  if (warnings.length > 0) response.setHeader('warning', warnings.map(warningHeader));
  response.writeHead(reply.status, {
    'content-type': reply.type ?? 'application/json',
    'content-length': body.length,
    ...headers,
  });
  response.end(body);
}
