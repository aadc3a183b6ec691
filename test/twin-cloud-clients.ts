import { createHmac, randomUUID } from 'node:crypto';
import openapi, { $OpenApiUtil } from '@alicloud/openapi-core';
import { realClock } from '../src/twin/clock.js';
import { type CloudOptions, startCloud, type StartedCloud } from '../src/twin/cloud/cloud.js';
import type { CloudSeed, Json } from '../src/twin/types.js';

export const KEY = { id: 'LTAItwin', secret: 'twin-secret' };
export const REGION = 'cn-hangzhou';
export const VERSIONS = {
  Nlb: '2022-04-30',
  Slb: '2014-05-15',
  Ecs: '2014-05-26',
  Vpc: '2016-04-28',
  Sts: '2015-04-01',
  Alidns: '2015-01-09',
} as const;
export type ProductName = keyof typeof VERSIONS;

/** One CLB with a user-made group of three nodes, and one disk in use. */
export const SEED: CloudSeed = {
  region: REGION,
  loadBalancers: [
    {
      id: 'lb-1',
      name: 'front',
      address: '47.98.10.9',
      tags: { team: 'web' },
      listeners: [{ port: 80, protocol: 'tcp', scheduler: 'wrr', group: 'rsp-1' }],
      groups: [
        {
          id: 'rsp-1',
          name: 'shop',
          backends: [
            { server: 'i-1', port: 30080, weight: 100 },
            { server: 'i-2', port: 30080, weight: 100 },
            { server: 'eni-9', ip: '10.0.0.9', port: 80, weight: 20, type: 'eni', description: 'k8s/80/web/shop/c2' },
          ],
        },
        { id: 'rsp-2', name: 'spare' },
      ],
    },
    { id: 'lb-2', address: '47.98.10.10', listeners: [], groups: [{ id: 'rsp-9', name: 'other' }] },
  ],
  disks: [
    {
      id: 'd-1',
      zone: 'cn-hangzhou-h',
      category: 'cloud_essd',
      performanceLevel: 'PL1',
      sizeGiB: 40,
      instance: 'i-1',
      tags: { app: 'orders' },
    },
    { id: 'd-2', zone: 'cn-hangzhou-h', category: 'cloud_ssd', sizeGiB: 20, encrypted: true, kmsKey: 'key-1' },
  ],
};

/** Starts a cloud with SEED on the machine's time, and stops it after the test. */
export async function startedCloud(
  t: { after(run: () => Promise<void>): void },
  options: Partial<CloudOptions> = {},
  seed: CloudSeed = SEED,
): Promise<StartedCloud> {
  const started = await startCloud({ clock: realClock(), region: REGION, accessKeys: [KEY], ...options });
  t.after(() => started.stop());
  for (const id of ['i-1', 'i-2', 'i-3'])
    started.cloud.addInstance({ id, zone: 'cn-hangzhou-h', ip: `10.1.0.${id.slice(2)}` });
  started.seed(seed);
  return started;
}

interface Credentials {
  id?: string;
  secret?: string;
  securityToken?: string;
}

/** The vendor's own runtime, on which its generated clients stand. */
export function officialClient(
  host: string,
  version: string,
  { id = KEY.id, secret = KEY.secret, securityToken }: Credentials = {},
  algorithm?: 'v2',
) {
  const config = new $OpenApiUtil.Config({
    accessKeyId: id,
    accessKeySecret: secret,
    ...(securityToken === undefined ? {} : { securityToken }),
    endpoint: host,
    protocol: 'http',
    regionId: REGION,
    connectTimeout: 30_000,
    readTimeout: 30_000,
    ...(algorithm === undefined ? {} : { signatureAlgorithm: algorithm }),
  });
  const client = new openapi.default(config);
  return async (action: string, query: Record<string, string>, form?: Record<string, string>): Promise<Json> => {
    const params = new $OpenApiUtil.Params({
      action,
      version,
      protocol: 'HTTP',
      pathname: '/',
      method: 'POST',
      authType: 'AK',
      style: 'RPC',
      reqBodyType: 'formData',
      bodyType: 'json',
    });
    const { body } = await client.callApi(
      params,
      new $OpenApiUtil.OpenApiRequest({ query, ...(form && { body: form }) }),
      {} as never,
    );
    return body;
  };
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);

export interface RawAnswer {
  status: number;
  body: Json;
}

export interface HandSigned {
  form?: boolean;
  method?: 'GET' | 'POST';
  secret?: string;
  /** replaces parts of the envelope */
  common?: Record<string, string>;
}

/**
 * A request signed by hand with HMAC-SHA1: its API parameters lie in the query (gosdk, the CLI), or in a form body (Terraform) and
 * then not in this address.
 */
export function signedUrl(
  url: string,
  product: ProductName,
  action: string,
  parameters: Record<string, string>,
  { form = false, method = 'POST', secret = KEY.secret, common = {} }: HandSigned = {},
): string {
  const envelope: Record<string, string> = {
    AccessKeyId: KEY.id,
    Action: action,
    Format: 'JSON',
    RegionId: REGION,
    SignatureMethod: 'HMAC-SHA1',
    SignatureNonce: randomUUID(),
    SignatureType: '',
    SignatureVersion: '1.0',
    Timestamp: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    Version: VERSIONS[product],
    ...common,
  };
  const all = { ...envelope, ...parameters };
  const canonical = Object.entries(all)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
  const signature = createHmac('sha1', `${secret}&`)
    .update(`${method}&%2F&${encode(canonical)}`)
    .digest('base64');
  const query = new URLSearchParams({ ...(form ? envelope : all), Signature: signature });
  return `${url}/?${query.toString()}`;
}

export interface RawAnswer {
  status: number;
  body: Json;
}

/** Sends what signedUrl signs. */
export async function rpcCall(
  url: string,
  product: ProductName,
  action: string,
  parameters: Record<string, string>,
  options: HandSigned = {},
): Promise<RawAnswer> {
  const response = await fetch(signedUrl(url, product, action, parameters, options), {
    method: options.method ?? 'POST',
    ...(options.form ? { body: new URLSearchParams(parameters) } : {}),
  });
  return { status: response.status, body: await response.json() };
}
