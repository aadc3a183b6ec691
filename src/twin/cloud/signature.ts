import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { CloudRefusal, refuse } from './errors.js';
import { missing } from './parameters.js';

export interface AccessKey {
  id: string;
  secret: string;
  /** a key of the Security Token Service is only good together with its token */
  securityToken?: string;
  /** actions that RAM denies: `SetVServerGroupAttribute`, `slb:SetVServerGroupAttribute`, `ecs:*` */
  denied?: string[];
}

/** A request as it came, before anything is believed. */
export interface SignedRequest {
  method: string;
  path: string;
  query: ReadonlyMap<string, string>;
  /** of a form body; otherwise empty */
  form: ReadonlyMap<string, string>;
  /** lower-case names */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Buffer;
}

/** Who signed, and when and with which nonce he says he did. */
export interface Signer {
  key: AccessKey;
  nonce: string;
  /** milliseconds since 1970 */
  signedAtMs: number;
}

export const ACS3 = 'ACS3-HMAC-SHA256';
const TIME_PATTERN = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/** RFC 3986: what JavaScript's own encoder leaves out is encoded too. */
export const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);

// Keys go by code unit, raw, and before encoding.
const sorted = (entries: Iterable<[string, string]>): [string, string][] =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

const hex = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

const headerOf = (request: SignedRequest, name: string): string => {
  const value = request.headers[name];
  return (Array.isArray(value) ? value.join(',') : (value ?? '')).trim();
};

function mismatch(stringToSign: string): never {
  throw new CloudRefusal(
    400,
    'SignatureDoesNotMatch',
    `Specified signature is not matched with our calculation. server string to sign is:${stringToSign}`,
  );
}

function parseTime(text: string, parameter: string): number {
  if (text === '') missing(parameter);
  const at = TIME_PATTERN.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at)
    ? refuse(400, 'InvalidTimeStamp.Format', `Specified time stamp or date value is not well formatted.`)
    : at;
}

function findKey(keys: readonly AccessKey[], id: string, token: string): AccessKey {
  if (id === '') missing('AccessKeyId');
  const key = keys.find((it) => it.id === id);
  if (!key) return refuse(404, 'InvalidAccessKeyId.NotFound', 'Specified access key is not found.');
  if (key.securityToken !== undefined && token === '') missing('SecurityToken');
  if (token !== (key.securityToken ?? '')) {
    refuse(400, 'InvalidSecurityToken.MismatchWithAccessKey', 'Specified SecurityToken mismatch with the AccessKey.');
  }
  return key;
}

/** Query parameters are decoded from the wire and encoded anew: Node and Go write them differently, and both sign the same text. */
function acs3StringToSign(request: SignedRequest, signedHeaders: string, bodyHash: string): string {
  const query = sorted(request.query).map(([name, value]) => `${encode(name)}=${encode(value)}`);
  const headers = signedHeaders.split(';').map((name) => `${name}:${headerOf(request, name)}\n`);
  const canonical = [request.method, request.path, query.join('&'), headers.join(''), signedHeaders, bodyHash].join(
    '\n',
  );
  return `${ACS3}\n${hex(canonical)}`;
}

const REQUIRED_HEADERS = [
  'host',
  'x-acs-action',
  'x-acs-version',
  'x-acs-date',
  'x-acs-signature-nonce',
  'x-acs-content-sha256',
];

/**
 * @source npm @alicloud/openapi-core:src/utils.ts; https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
 */
function verifyAcs3(request: SignedRequest, keys: readonly AccessKey[]): Signer {
  const authorization = headerOf(request, 'authorization');
  const parts = new Map(
    authorization
      .slice(ACS3.length)
      .split(',')
      .map((part) => part.trim().split('=', 2) as [string, string]),
  );
  const signature = parts.get('Signature') ?? '';
  const signedHeaders = parts.get('SignedHeaders') ?? '';
  const names = new Set(signedHeaders.split(';'));
  const unsigned = [
    ...REQUIRED_HEADERS,
    ...Object.keys(request.headers).filter((it) => it.startsWith('x-acs-')),
  ].filter((it) => !names.has(it));
  const key = findKey(keys, parts.get('Credential') ?? '', headerOf(request, 'x-acs-security-token'));
  if (signature === '' || unsigned.length > 0) {
    refuse(
      400,
      'IncompleteSignature',
      `The request signature does not conform to the standards: ${unsigned.join(', ') || 'it is empty'}.`,
    );
  }

  const bodyHash = headerOf(request, 'x-acs-content-sha256');
  const stringToSign = acs3StringToSign(request, signedHeaders, bodyHash);
  const wanted = createHmac('sha256', key.secret).update(stringToSign).digest('hex');
  if (!equal(wanted, signature) || !equal(hex(request.body), bodyHash)) mismatch(stringToSign);
  return {
    key,
    nonce: headerOf(request, 'x-acs-signature-nonce'),
    signedAtMs: parseTime(headerOf(request, 'x-acs-date'), 'Timestamp'),
  };
}

/**
 * @source aliyun/alibaba-cloud-sdk-go:sdk/auth/rpc_signature_composer.go
 */
function verifyHmacSha1(request: SignedRequest, keys: readonly AccessKey[]): Signer {
  const all = new Map([...request.query, ...request.form]);
  const of = (name: string): string => all.get(name) ?? '';
  const key = findKey(keys, of('AccessKeyId'), of('SecurityToken'));
  for (const name of ['Signature', 'SignatureMethod', 'SignatureVersion', 'SignatureNonce'])
    if (of(name) === '') missing(name);
  const signedAtMs = parseTime(of('Timestamp'), 'Timestamp');
  if (of('SignatureMethod') !== 'HMAC-SHA1' || of('SignatureVersion') !== '1.0') {
    refuse(400, 'IncompleteSignature', 'Only HMAC-SHA1 in version 1.0 is known for signatures in the query.');
  }

  const canonical = sorted(all)
    .filter(([name]) => name !== 'Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
  const stringToSign = `${request.method}&%2F&${encode(canonical)}`;
  const wanted = createHmac('sha1', `${key.secret}&`).update(stringToSign).digest('base64');
  if (!equal(wanted, of('Signature'))) mismatch(stringToSign);
  return { key, nonce: of('SignatureNonce'), signedAtMs };
}

/**
 * Verifies a request in either scheme.
 *
 * @throws CloudRefusal MissingAccessKeyId and the like, InvalidAccessKeyId.NotFound, IncompleteSignature, SignatureDoesNotMatch,
 *   InvalidSecurityToken.MismatchWithAccessKey, InvalidTimeStamp.Format
 */
export function verify(request: SignedRequest, keys: readonly AccessKey[]): Signer {
  const acs3 = headerOf(request, 'authorization').startsWith(ACS3);
  return acs3 ? verifyAcs3(request, keys) : verifyHmacSha1(request, keys);
}

const WINDOW_MS = 15 * 60_000;

/**
 * Refuses what was signed more than 15 minutes from now, and what was seen before in that time.
 *
 * @param wallNow  the machine's clock, also where the twin's own time is virtual: the SDKs stamp requests with the machine's clock
 *   and cannot be told another
 */
export function replayGuard(wallNow: () => number): (signer: Signer) => void {
  const seen = new Map<string, number>();
  return ({ key, nonce, signedAtMs }) => {
    const now = wallNow();
    if (Math.abs(now - signedAtMs) > WINDOW_MS) {
      refuse(400, 'InvalidTimeStamp.Expired', 'Specified time stamp or date value is expired.');
    }
    // Oldest first; twice the window, as a stamp may lie one ahead.
    for (const [name, at] of seen) {
      if (now - at <= 2 * WINDOW_MS) break;
      seen.delete(name);
    }
    const name = `${key.id}/${nonce}`;
    if (seen.has(name)) refuse(400, 'SignatureNonceUsed', 'Specified signature nonce was used already.');
    seen.set(name, now);
  };
}
