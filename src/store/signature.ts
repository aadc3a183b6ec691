import { createHash, createHmac } from 'node:crypto';

export interface StoreKeys {
  id: string;
  secret: string;
  /** of temporary keys */
  token?: string;
}

export interface Signed {
  method: string;
  url: URL;
  body: Buffer;
  region: string;
  keys: StoreKeys;
  /** milliseconds since 1970 */
  now: number;
}

/**
 * Headers of one request to S3, signed.
 *
 * @source AWS, Signature Version 4 signing process; Alibaba Cloud OSS takes the same ("use Amazon S3 SDKs to access OSS")
 */
export function signedHeaders({ method, url, body, region, keys, now }: Signed): Record<string, string> {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const day = stamp.slice(0, 8);
  const digest = sha256(body);
  const headers: Record<string, string> = {
    host: url.host,
    'x-amz-content-sha256': digest,
    'x-amz-date': stamp,
    ...(keys.token !== undefined && { 'x-amz-security-token': keys.token }),
  };
  const names = Object.keys(headers).sort();
  const query = [...url.searchParams]
    .map(([key, value]) => `${encoded(key)}=${encoded(value)}`)
    .sort()
    .join('&');
  const request = [
    method,
    url.pathname,
    query,
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    digest,
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', stamp, scope, sha256(request)].join('\n');
  const key = [day, region, 's3', 'aws4_request'].reduce<Buffer>(
    (signing, part) => hmac(signing, part),
    Buffer.from(`AWS4${keys.secret}`),
  );
  const signature = hmac(key, text).toString('hex');
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${keys.id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  };
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** As RFC 3986 has it: `encodeURIComponent` leaves some that S3 wants encoded. */
export const encoded = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (it) => `%${it.charCodeAt(0).toString(16).toUpperCase()}`);
