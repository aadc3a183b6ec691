import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Fault, Faults, Json, TwinClock } from '../types.js';
import type { Account } from './account.js';
import { CloudRefusal, refuse } from './errors.js';
import { missing } from './parameters.js';
import type { Product } from './product.js';
import { type AccessKey, replayGuard, type SignedRequest, verify } from './signature.js';

/** One request that came over the wire and named a known product. */
export interface LogEntry {
  product: string;
  action: string;
  /** without keys, tokens of the Security Token Service and signatures */
  parameters: Record<string, string>;
  /** milliseconds on the twin's clock */
  at: number;
  ok: boolean;
  /** of the refusal, or of the fault: `cut`, `lose` */
  code?: string;
}

export interface Wire {
  /** `http://127.0.0.1:port` */
  url: string;
  /** `127.0.0.1:port` */
  host: string;
  log: LogEntry[];
  /** Cuts every connection, open and new ones, until `up`. The port stays ours. */
  down(): void;
  up(): void;
  stop(): Promise<void>;
}

export interface WireOptions {
  account: Account;
  clock: TwinClock;
  accessKeys: readonly AccessKey[];
  faults?: Faults | undefined;
  /** the machine's clock; tests move it */
  wallNow?: () => number;
}

// Forty members with all the controller's keys take more than Node's 16 KiB in a request line.
const MAX_HEADER_BYTES = 256 * 1024;
const MAX_BODY_BYTES = 4 * 1024 * 1024;
const KEEP_ALIVE_MS = 75_000;
const LOG_LENGTH = 50_000;

const SIGNATURE_PARAMETERS = [
  'AccessKeyId',
  'Signature',
  'SignatureMethod',
  'SignatureNonce',
  'SignatureType',
  'SignatureVersion',
  'SecurityToken',
  'Timestamp',
  'Action',
  'Version',
  'Format',
];

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) refuse(413, 'RequestEntityTooLarge', 'The request body is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// URLSearchParams reads `+` as a blank, as the gateway does.
const decode = (text: string): Map<string, string> => new Map(new URLSearchParams(text));

async function readRequest(request: IncomingMessage): Promise<SignedRequest> {
  const body = await readBody(request);
  const [path = '/', ...query] = (request.url ?? '/').split('?');
  const isForm = (request.headers['content-type'] ?? '').includes('application/x-www-form-urlencoded');
  return {
    method: request.method ?? 'GET',
    path,
    query: decode(query.join('?')),
    form: decode(isForm ? body.toString('utf8') : ''),
    headers: request.headers,
    body,
  };
}

interface Call {
  product: Product;
  action: string;
  parameters: Record<string, string>;
}

function callOf(request: SignedRequest, account: Account): Call {
  const all = new Map([...request.query, ...request.form]);
  const of = (name: string, header: string): string => all.get(name) ?? String(request.headers[header] ?? '');
  const version = of('Version', 'x-acs-version');
  const action = of('Action', 'x-acs-action');
  if (version === '') missing('Version');
  if (action === '') missing('Action');
  const product =
    account.product(version) ?? refuse(400, 'InvalidVersion', 'Specified parameter Version is not valid.');
  for (const name of SIGNATURE_PARAMETERS) all.delete(name);
  return { product, action, parameters: Object.fromEntries(all) };
}

function checkRights({ denied = [] }: AccessKey, { product, action }: Call): void {
  const service = product.name.toLowerCase();
  const names = [action, `${service}:${action}`, `${service}:*`, '*'];
  if (!denied.some((it) => names.includes(it))) return;
  throw new CloudRefusal(
    403,
    'Forbidden.RAM',
    "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
    {
      AccessDeniedDetail: {
        AuthAction: `${service}:${action}`,
        NoPermissionType: 'ImplicitDeny',
        PolicyType: 'AccountLevelIdentityBasedPolicy',
      },
    },
  );
}

type Performed = { answer: Json } | { refusal: CloudRefusal };

const isWrite = (action: string): boolean => !/^(Describe|List|Get)/.test(action);

// What a fault may be about: the most particular thing that the request names.
const SUBJECTS = [
  'VServerGroupId',
  'ServerGroupId',
  'ListenerId',
  'SnapshotId',
  'DiskId',
  'LoadBalancerId',
  'LoadBalancerId.1',
  'ResourceId.1',
  'RuleId',
  'InstanceId',
  'VpcId',
  'RecordId',
  'SubDomain',
  'DomainName',
];

const subjectOf = ({ parameters }: Call): string =>
  SUBJECTS.map((name) => parameters[name]).find((it) => it !== undefined) ?? '';

function send(response: ServerResponse, status: number, body: Json, headers: Record<string, string> = {}): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json;charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'x-acs-request-id': body.RequestId,
    ...headers,
  });
  response.end(text);
}

function sendRefusal(
  response: ServerResponse,
  host: string,
  requestId: string,
  error: CloudRefusal,
  headers?: Record<string, string>,
): void {
  const { status, code, message, detail } = error;
  const Recommend = `https://api.alibabacloud.com/troubleshoot?q=${code}&product=&requestId=${requestId}`;
  send(
    response,
    status,
    { RequestId: requestId, HostId: host, Code: code, Message: message, Recommend, ...detail },
    headers,
  );
}

/** Serves an account's actions on loopback, as the RPC gateway does. */
export async function startWire({
  account,
  clock,
  accessKeys,
  faults,
  wallNow = Date.now,
}: WireOptions): Promise<Wire> {
  const log: LogEntry[] = [];
  const sockets = new Set<Socket>();
  const checkReplay = replayGuard(wallNow);
  let isDown = false;
  let host = '';

  const note = (call: Call, ok: boolean, code?: string): void => {
    log.push({
      product: call.product.name,
      action: call.action,
      parameters: call.parameters,
      at: clock.now(),
      ok,
      ...(code === undefined ? {} : { code }),
    });
    if (log.length > LOG_LENGTH) log.shift();
  };

  const perform = (call: Call): Performed => {
    try {
      const answer = account.invoke(call.product, call.action, call.parameters, 'wire');
      note(call, true);
      return { answer };
    } catch (error) {
      if (!(error instanceof CloudRefusal)) throw error;
      note(call, false, error.code);
      return { refusal: error };
    }
  };

  /** undefined when the connection is to be cut instead */
  const meetFault = async (fault: Fault | undefined, call: Call, response: ServerResponse): Promise<boolean> => {
    switch (fault?.kind) {
      case undefined:
        return false;
      case 'slow':
        await clock.park(fault.ms);
        return false;
      case 'cut':
        note(call, false, 'cut');
        response.destroy();
        return true;
      case 'lose': {
        const result = perform(call);
        if ('answer' in result) log.at(-1)!.code = 'lose';
        response.destroy();
        return true;
      }
      case 'refuse': {
        note(call, false, fault.code);
        const headers =
          fault.retryAfterMs === undefined ? undefined : { 'x-acs-retry-after': String(fault.retryAfterMs) };
        sendRefusal(
          response,
          host,
          account.requestId(),
          new CloudRefusal(fault.status, fault.code, fault.message),
          headers,
        );
        return true;
      }
      default:
        return fault satisfies never;
    }
  };

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = await readRequest(incoming);
    const call = callOf(request, account);
    const signer = verify(request, accessKeys);
    checkReplay(signer);
    checkRights(signer.key, call);
    const fault = faults?.decide({
      to: 'cloud',
      verb: call.action,
      what: subjectOf(call),
      writes: isWrite(call.action),
    });
    const end = beginCall(call);
    try {
      if (await meetFault(fault, call, response)) return;
      answer(response, perform(call));
    } finally {
      end();
    }
  };

  /** A slow request counts as being worked on, so that a second one with its ClientToken finds it under way. */
  const beginCall = ({ product, action, parameters }: Call): (() => void) => {
    try {
      return account.beginToken(product, action, parameters);
    } catch (error) {
      if (error instanceof CloudRefusal) note({ product, action, parameters }, false, error.code);
      throw error;
    }
  };

  const answer = (response: ServerResponse, result: Performed): void => {
    if ('answer' in result) send(response, 200, result.answer);
    else sendRefusal(response, host, account.requestId(), result.refusal);
  };

  const server: Server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: KEEP_ALIVE_MS },
    (incoming, response) => {
      serve(incoming, response).catch((error: unknown) => {
        if (response.destroyed || response.headersSent) return;
        const refusal =
          error instanceof CloudRefusal
            ? error
            : new CloudRefusal(
                500,
                'InternalError',
                `The twin's cloud failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
              );
        sendRefusal(response, host, account.requestId(), refusal);
      });
    },
  );
  server.on('connection', (socket) => {
    if (isDown) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };

  return {
    url: `http://${host}`,
    host,
    log,
    down() {
      isDown = true;
      cutAll();
    },
    up() {
      isDown = false;
    },
    stop() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      cutAll();
      return closed;
    },
  };
}
