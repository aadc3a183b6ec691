import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import http from 'node:http';
import https from 'node:https';
import { MigrateError } from '../errors.js';
import type { Call, Clock, Place, Tap } from '../ports.js';

/** One API server over HTTP: kubeconfig, credentials and proxies by the official client, requests by node's own. */
export interface Connection {
  readonly side: Place;
  readonly server: string;
  /**
   * One request, repeated where repeating is safe and worth it.
   * @throws MigrateError KUBE_UNREACHABLE, KUBE_UNAUTHORIZED, KUBE_FORBIDDEN, KUBE_NOT_FOUND, KUBE_CONFLICT, KUBE_INVALID, KUBE_FAILED
   */
  request(request: KubeRequest): Promise<unknown>;
  /**
   * The same, but every answer of the server is one, refusals too; only an overload is repeated.
   * @throws MigrateError KUBE_UNREACHABLE, KUBE_UNAUTHORIZED
   */
  exchange(request: KubeRequest): Promise<Reply>;
}

export interface Reply {
  status: number;
  body: string;
  /** in the place of the body, where the request asks for it */
  bytes?: Buffer;
  /** texts of the Warning headers */
  warnings: string[];
  retryAfterS?: number;
}

export interface KubeRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  body?: unknown;
  contentType?: string;
  accept?: string;
  /** true: the server keeps nothing of it, although it is a POST */
  asks?: boolean;
  /** which lines of a text reply are kept; the rest is dropped as it comes */
  wanted?: (line: string) => boolean;
  /** takes what it wants of a reply that is whole and good, once; what it returns is the body from then on */
  cut?: (body: Buffer) => string;
  /** sending it twice does no harm: everything but a create */
  repeatable?: boolean;
}

export interface ConnectionOptions {
  side: Place;
  context: string;
  /** a file, or undefined for $KUBECONFIG and ~/.kube/config */
  kubeconfig?: string;
  clock: Clock;
  tap: Tap;
  /** for one reply */
  timeoutMs: number;
  /** how long an API server that does not answer, or is overloaded, is waited for */
  patienceMs: number;
}

/** Credentials are asked for again after this long: tokens of exec plugins and files change. */
const FRESH_MS = 30_000;

/** Less than this a far server may well take to shake hands. */
const LEAST_CONNECT_MS = 2000;

interface Access {
  agent: Agent;
  headers: Record<string, string>;
  options: RequestOptions;
  at: number;
}

/** @throws MigrateError KUBECONFIG_INVALID, CONTEXT_UNKNOWN */
export async function connect(options: ConnectionOptions): Promise<Connection> {
  const { side, context, clock, tap } = options;
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const config = new KubeConfig();
  try {
    if (options.kubeconfig === undefined) config.loadFromDefault(undefined, false);
    else config.loadFromFile(options.kubeconfig);
  } catch (cause) {
    throw new MigrateError('KUBECONFIG_INVALID', {
      what: `The kubeconfig ${options.kubeconfig ?? '($KUBECONFIG or ~/.kube/config)'} can't be read.`,
      why: whyUnread(cause),
      fix: 'Name another with --kubeconfig, or mend it: `kubectl config view` shows what kubectl reads.',
    });
  }
  // The client makes up a cluster at localhost:8080 where there is no kubeconfig at all.
  if (config.getContextObject('loaded-context') && config.getCurrentCluster()?.server === 'http://localhost:8080') {
    throw new MigrateError('KUBECONFIG_INVALID', {
      what: 'There is no kubeconfig.',
      why: 'Neither --kubeconfig nor $KUBECONFIG is given, and ~/.kube/config is not there.',
      fix: 'Name the one that has both contexts: --kubeconfig FILE.',
    });
  }
  // Never the current context by default, and never a fall-back for a misspelt one.
  if (!config.getContextObject(context)) {
    const known = config.getContexts().map((it) => it.name);
    throw new MigrateError('CONTEXT_UNKNOWN', {
      what: `The kubeconfig has no context "${context}" for the ${side}.`,
      why: `It has: ${known.join(', ') || 'none'}.`,
      fix: `Name one of them as \`${side}.context\` in the playbook, or another file with --kubeconfig.`,
    });
  }
  config.setCurrentContext(context);
  const cluster = config.getCurrentCluster();
  if (!cluster) {
    throw new MigrateError('KUBECONFIG_INVALID', {
      what: `Context "${context}" names a cluster that the kubeconfig does not have.`,
      why: 'The entry under `clusters` is missing.',
      fix: 'Mend the kubeconfig, or name another context.',
    });
  }
  const base = new URL(cluster.server);
  let access: Access | undefined;
  /** Once it was waited for in vain: one command waits for a dead server once, not at each request. */
  let givenUp = false;

  const fresh = async (): Promise<Access> => {
    // Credentials age by the machine's clock, whatever time the engine lives in.
    if (access && performance.now() - access.at < FRESH_MS) return access;
    const applied: https.RequestOptions & { headers?: Record<string, string> } = { headers: {} };
    try {
      await config.applyToHTTPSOptions(applied);
    } catch (cause) {
      throw new MigrateError('KUBE_CREDENTIALS', {
        what: `No credentials for the ${side} (context "${context}").`,
        why: cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : 'The plugin of the kubeconfig failed.',
        fix: 'Log in again as for kubectl, then run again.',
      });
    }
    const { headers = {}, agent, ...rest } = applied;
    const kept = access?.agent ?? keepAlive(agent as Agent);
    access = { agent: kept, headers: headers, options: rest, at: performance.now() };
    return access;
  };

  const once = async (it: KubeRequest, isAnswer: (reply: Reply) => boolean): Promise<Reply> => {
    const { agent, headers, options: given } = await fresh();
    const url = new URL(base.pathname.replace(/\/$/, '') + it.path, base);
    // One that is slow to answer is given the whole time; one that takes no connection is as good as dead.
    const connectMs = Math.min(options.timeoutMs, Math.max(options.patienceMs, LEAST_CONNECT_MS));
    const reply = await send(url, it, { ...given, agent, headers, timeout: options.timeoutMs }, connectMs);
    givenUp = false;
    if (isAnswer(reply)) return reply;
    if (reply.status === 401) access = undefined;
    throw failure(side, it, reply);
  };

  const repeated = async (it: KubeRequest, isAnswer: (reply: Reply) => boolean): Promise<Reply> => {
    const call: Call = { to: side, verb: it.method, what: it.path, writes: it.method !== 'GET' && it.asks !== true };
    const began = clock.now();
    for (let attempt = 0; ; attempt++) {
      try {
        return await tap(call, () => once(it, isAnswer));
      } catch (error) {
        if (!(error instanceof MigrateError) || !error.retryable) throw error;
        if (error.unsure && it.repeatable === false) throw error;
        const waited = clock.now() - began;
        if (givenUp || waited >= options.patienceMs) {
          givenUp ||= error.cause !== undefined;
          throw error;
        }
        await clock.sleep(Math.min(200 * 2 ** Math.min(attempt, 6), 10_000, Math.max(50, options.patienceMs - waited)));
      }
    }
  };

  return {
    side,
    server: cluster.server,
    async request(it) {
      const { body: text, bytes } = await repeated(it, ({ status }) => status < 400);
      const body = it.cut && bytes ? it.cut(bytes) : text;
      if (bytes) giveBack(bytes);
      return body === '' ? undefined : JSON.parse(body);
    },
    exchange: (it) => repeated(it, ({ status }) => ![401, 429, 502, 503].includes(status)),
  };
}

/** The message of a parser may quote the file, and the file holds credentials. */
const whyUnread = (cause: unknown) =>
  (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'There is no such file.' : 'It is not a valid kubeconfig.';

function keepAlive(agent: Agent): Agent {
  const settings = agent as Agent & { keepAlive?: boolean; options?: { keepAlive?: boolean } };
  settings.keepAlive = true;
  if (settings.options) settings.options.keepAlive = true;
  settings.maxSockets = 16;
  return agent;
}

function send(url: URL, it: KubeRequest, options: RequestOptions, connectMs: number): Promise<Reply> {
  const body = it.body === undefined ? undefined : JSON.stringify(it.body);
  const headers = {
    ...options.headers,
    accept: it.accept ?? 'application/json',
    ...(body !== undefined && {
      'content-type': it.contentType ?? 'application/json',
      'content-length': Buffer.byteLength(body),
    }),
  };
  return new Promise<Reply>((resolve, reject) => {
    const { request } = url.protocol === 'http:' ? http : https;
    const sent: ClientRequest = request(url, { ...options, method: it.method, headers }, (reply) => {
      (it.cut ? readBytes(reply) : read(reply, it.wanted)).then(resolve, reject);
    });
    const late = () => sent.destroy(Object.assign(new Error('no reply in time'), { code: 'ETIMEDOUT' }));
    sent.on('timeout', late);
    sent.on('socket', (socket) => {
      if (!socket.connecting) return;
      const timer = setTimeout(late, connectMs);
      socket
        .once(url.protocol === 'http:' ? 'connect' : 'secureConnect', () => clearTimeout(timer))
        .once('close', () => clearTimeout(timer));
    });
    sent.on('error', reject);
    sent.end(body);
  }).catch((cause: NodeJS.ErrnoException) => {
    // Refused before anything was sent, or cut at some point that can't be known.
    const unsure = cause.code !== 'ECONNREFUSED' && cause.code !== 'ENOTFOUND' && it.method !== 'GET';
    throw new MigrateError('KUBE_UNREACHABLE', {
      what: `${url.origin} does not answer (${cause.code ?? cause.message}).`,
      why: unsure
        ? 'The connection broke before the reply; the request may have been done.'
        : 'The API server is down, or network, proxy or firewall are in between.',
      fix: 'Check the address in the kubeconfig and the way to it, then run again.',
      retryable: true,
      unsure,
      cause,
    });
  });
}

async function read(reply: IncomingMessage, wanted?: KubeRequest['wanted']): Promise<Reply> {
  const after = Number(reply.headers['retry-after']);
  const status = reply.statusCode ?? 0;
  const body = wanted && status < 400 ? await readLines(reply, wanted) : await readAll(reply);
  return { status, body, warnings: warningsIn(reply), ...(after > 0 && { retryAfterS: after }) };
}

/** Of a good reply the bytes alone: a text of them would be one more copy. */
async function readBytes(reply: IncomingMessage): Promise<Reply> {
  const status = reply.statusCode ?? 0;
  if (status >= 400) return read(reply);
  return { status, body: '', bytes: await bytesOf(reply), warnings: warningsIn(reply) };
}

async function readAll(reply: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of reply) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Room for one page, used again and again: pages in rooms of their own, of all sizes, leave a heap full of holes. Several at once, which
 * are first pages, make theirs.
 */
let room: ArrayBufferLike | undefined;
const ROOM_BYTES = 1 << 20;
const MOST_ROOM_BYTES = 1 << 24;

async function bytesOf(reply: IncomingMessage): Promise<Buffer> {
  let bytes = Buffer.from(room ?? new ArrayBuffer(ROOM_BYTES));
  room = undefined;
  let length = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    if (length + chunk.length > bytes.length) {
      const larger = Buffer.from(new ArrayBuffer(Math.max(2 * bytes.length, length + chunk.length)));
      bytes.copy(larger, 0, 0, length);
      bytes = larger;
    }
    length += chunk.copy(bytes, length);
  }
  return bytes.subarray(0, length);
}

/** Nobody reads it any more. */
function giveBack({ buffer }: Buffer): void {
  if (buffer.byteLength <= MOST_ROOM_BYTES && buffer.byteLength > (room?.byteLength ?? 0)) room = buffer;
}

async function readLines(reply: IncomingMessage, wanted: (line: string) => boolean): Promise<string> {
  const kept: string[] = [];
  let rest = '';
  for await (const chunk of reply.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    kept.push(...lines.filter(wanted));
  }
  if (rest !== '' && wanted(rest)) kept.push(rest);
  return kept.join('\n');
}

/** `299 - "policy/v1beta1 PodSecurityPolicy is deprecated"`; Node joins several headers of the name. @source RFC 7234, 5.5 */
function warningsIn({ headers }: IncomingMessage): string[] {
  return [...(headers['warning'] ?? '').matchAll(/\b\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) =>
    text.replace(/\\(.)/g, '$1'),
  );
}

/** By status and reason, never by message. */
function failure(side: Place, it: KubeRequest, { status, body }: Reply): MigrateError {
  const { reason, message } = statusOf(body);
  const subject = `${it.method} ${it.path.split('?')[0]} on the ${side}`;
  const told = { what: `${subject}: ${message || `HTTP ${status}`}.`.replace(/\.\.$/, '.') };
  if (status === 401)
    return new MigrateError('KUBE_UNAUTHORIZED', {
      ...told,
      why: 'The credentials of this context are not accepted.',
      fix: 'Log in again as for kubectl, then run again.',
    });
  if (status === 403)
    return new MigrateError('KUBE_FORBIDDEN', {
      ...told,
      why: 'The identity of this context lacks that right.',
      fix: '`migrate explain rights` shows which rights a plan needs; grant it, then run again.',
    });
  if (status === 404) return new MigrateError('KUBE_NOT_FOUND', told);
  if (status === 410)
    return new MigrateError('KUBE_EXPIRED', {
      ...told,
      why: 'The API server no longer remembers the moment at which this list began.',
      fix: 'Run again, when the API server is less busy.',
    });
  if (status === 409 && reason === 'AlreadyExists')
    return new MigrateError('KUBE_EXISTS', {
      ...told,
      why: 'An object of that name is there.',
      fix: 'Look at it; delete it if nothing needs it.',
    });
  if (status === 409)
    return new MigrateError('KUBE_CONFLICT', {
      ...told,
      why: 'Somebody else changed it at the same moment.',
      fix: 'Run again.',
      // One that names the version it was made for fits no other.
      retryable: it.method === 'PATCH' && !namesVersion(it.body),
    });
  if (status === 422 || status === 400 || status === 415)
    return new MigrateError('KUBE_INVALID', {
      ...told,
      why: 'The API server refuses what was sent.',
      fix: 'Read its message; if the object is yours, mend it.',
    });
  const overloaded = status === 429 || status === 503 || status === 500 || status === 502 || status === 504;
  return new MigrateError(overloaded ? 'KUBE_UNREACHABLE' : 'KUBE_FAILED', {
    ...told,
    why: overloaded ? 'The API server is overloaded or starting.' : 'The API server failed.',
    fix: 'Run again; if it stays, look at the API server.',
    retryable: overloaded,
    unsure: status === 500 || status === 504,
  });
}

const namesVersion = (body: unknown): boolean =>
  (body as { metadata?: { resourceVersion?: string } } | undefined)?.metadata?.resourceVersion !== undefined;

export function statusOf(body: string): { reason: string; message: string } {
  try {
    const status = JSON.parse(body) as { reason?: string; message?: string };
    return { reason: status.reason ?? '', message: (status.message ?? '').slice(0, 500) };
  } catch {
    return { reason: '', message: '' };
  }
}
