import { MigrateError } from '../errors.js';
import type { AlidnsClient } from './alidns.js';
import type { EcsAvailableZone, EcsDisk, EcsPermission, EcsSnapshot } from './ecs.js';
import { nlbClient, type NlbClient } from './nlb.js';
import { slbClient, type SlbClient } from './slb.js';

/**
 * Loads the vendor's packages, on first use: the ECS one alone takes longer than all the rest of a start.
 *
 * Their clocks: a connect time-out acts as idle time-out of the socket and defaults to 3 s, so both are set; nothing is retried by
 * them, for we repeat by code and on our own clock.
 */
const TIMEOUT_MS = 30_000;

/** Just the calls that we make of the official ECS client; requests are plain objects of its fields. */
export interface EcsClient {
  describeDisks(request: {
    regionId: string;
    diskIds?: string;
    tag?: Tag[];
    maxResults?: number;
    nextToken?: string;
  }): Promise<{ body?: { disks?: { disk?: EcsDisk[] }; nextToken?: string } }>;
  describeAvailableResource(request: {
    regionId: string;
    zoneId: string;
    destinationResource: string;
  }): Promise<{ body?: { availableZones?: { availableZone?: EcsAvailableZone[] } } }>;
  describeSnapshots(request: {
    regionId: string;
    tag?: Tag[];
    maxResults?: number;
    nextToken?: string;
  }): Promise<{ body?: { snapshots?: { snapshot?: EcsSnapshot[] }; nextToken?: string } }>;
  describeSecurityGroupAttribute(request: {
    regionId: string;
    securityGroupId: string;
    maxResults: number;
    nextToken?: string;
  }): Promise<{ body?: { permissions?: { permission?: EcsPermission[] }; nextToken?: string } }>;
  createSnapshot(request: {
    diskId: string;
    snapshotName: string;
    clientToken: string;
    tag: Tag[];
  }): Promise<{ body?: { snapshotId?: string } }>;
  copySnapshot(request: {
    regionId: string;
    snapshotId: string;
    destinationRegionId: string;
    destinationSnapshotName: string;
    destinationSnapshotDescription: string;
    clientToken: string;
    tag: Tag[];
    encrypted?: boolean;
    KMSKeyId?: string;
  }): Promise<{ body?: { snapshotId?: string } }>;
  createDisk(request: {
    regionId: string;
    zoneId?: string;
    snapshotId: string;
    diskCategory: string;
    size: number;
    diskName: string;
    clientToken: string;
    tag: Tag[];
    performanceLevel?: string;
    encrypted?: boolean;
    KMSKeyId?: string;
  }): Promise<{ body?: { diskId?: string } }>;
  deleteSnapshot(request: { snapshotId: string; force: boolean }): Promise<unknown>;
  deleteDisk(request: { diskId: string }): Promise<unknown>;
}

interface Tag {
  key: string;
  value: string;
}

interface Model {
  new (fields: object): object;
}

interface CoreModule {
  default: new (config: object) => {
    callApi(params: object, request: object, runtime: object): Promise<{ body?: unknown }>;
  };
  $OpenApiUtil: {
    Config: new (fields: object) => { endpoint?: string; protocol?: string };
    Params: Model;
    OpenApiRequest: Model;
  };
}

type SdkModule = Record<string, Model> & { default: Model };

interface Place {
  region: string;
  endpoint?: string;
  /** instead of the usual chain: a rehearsal's own */
  keys?: { accessKeyId: string; accessKeySecret: string };
}

/** The packages are CommonJS: what node's import gives holds the module once more as its default. */
const moduleOf = <T extends object>(loaded: T): T =>
  'default' in loaded && '__esModule' in (loaded.default as object) ? (loaded.default as T) : loaded;

async function settings({ region, endpoint, keys }: Place) {
  const core = moduleOf((await import('@alicloud/openapi-core')) as unknown as CoreModule);
  const { $OpenApiUtil } = core;
  const config = new $OpenApiUtil.Config({
    regionId: region,
    connectTimeout: TIMEOUT_MS,
    readTimeout: TIMEOUT_MS,
    ...(keys ?? (await credentials())),
  });
  if (endpoint !== undefined) {
    const url = new URL(endpoint);
    // Credentials and weights in the clear only ever go to this machine.
    if (url.protocol === 'http:' && !/^(127\.|localhost$|\[::1\]$)/.test(url.hostname)) {
      throw new MigrateError('CLOUD_ENDPOINT', {
        what: `The cloud endpoint ${url.origin} is plain http and not on this machine.`,
        why: 'Requests are signed but not encrypted.',
        fix: 'Use https, or an emulator on 127.0.0.1.',
      });
    }
    config.endpoint = url.host;
    config.protocol = url.protocol.slice(0, -1);
  }
  return { config, core };
}

/** The vendor's usual chain: environment, RRSA, CLI profile, credentials file, instance role. */
async function credentials(): Promise<{
  accessKeyId?: string;
  accessKeySecret?: string;
  securityToken?: string;
  credential?: object;
}> {
  const {
    ALIBABA_CLOUD_ACCESS_KEY_ID: accessKeyId,
    ALIBABA_CLOUD_ACCESS_KEY_SECRET: accessKeySecret,
    ALIBABA_CLOUD_SECURITY_TOKEN: securityToken,
  } = process.env;
  if (accessKeyId && accessKeySecret) return { accessKeyId, accessKeySecret, ...(securityToken && { securityToken }) };
  try {
    const { default: Credential } = moduleOf(
      (await import('@alicloud/credentials')) as unknown as { default: new () => never },
    );
    return { credential: new Credential() };
  } catch {
    // A broken profile puts the whole file, secrets and all, into the message: none of it is passed on.
    throw new MigrateError('CLOUD_CREDENTIALS', {
      what: 'The cloud credentials can not be read.',
      why: 'The profile of the aliyun CLI or the credentials file is broken.',
      fix: 'Mend it, or set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET.',
    });
  }
}

export async function loadSlb(place: Place): Promise<SlbClient> {
  const { config, core } = await settings(place);
  config.endpoint ??=
    /^(cn-hangzhou|cn-beijing|cn-shanghai|cn-shenzhen|cn-qingdao|cn-hongkong|ap-southeast-1|us-east-1|us-west-1)$/.test(
      place.region,
    )
      ? 'slb.aliyuncs.com'
      : `slb.${place.region}.aliyuncs.com`;
  const { Params, OpenApiRequest } = core.$OpenApiUtil;
  const client = new core.default(config);
  return slbClient((action, query) =>
    client.callApi(
      new Params({
        action,
        version: '2014-05-15',
        protocol: 'HTTPS',
        pathname: '/',
        method: 'POST',
        authType: 'AK',
        style: 'RPC',
        reqBodyType: 'formData',
        bodyType: 'json',
      }),
      new OpenApiRequest({ query }),
      {},
    ),
  );
}

export async function loadNlb(place: Place): Promise<NlbClient> {
  const { config, core } = await settings(place);
  config.endpoint ??= `nlb.${place.region}.aliyuncs.com`;
  const { Params, OpenApiRequest } = core.$OpenApiUtil;
  const client = new core.default(config);
  return nlbClient((action, request) =>
    client.callApi(
      new Params({
        action,
        version: '2022-04-30',
        protocol: 'HTTPS',
        pathname: '/',
        method: 'POST',
        authType: 'AK',
        style: 'RPC',
        reqBodyType: 'formData',
        bodyType: 'json',
      }),
      new OpenApiRequest(request),
      {},
    ),
  );
}

export async function loadEcs(place: Place): Promise<EcsClient> {
  const { config } = await settings(place);
  const models = moduleOf((await import('@alicloud/ecs20140526')) as unknown as SdkModule);
  const client = new models.default(config) as unknown as Record<string, (request: unknown) => Promise<never>>;
  const call = (action: string, fields: object & { tag?: Tag[] }): Promise<never> => {
    const Request = models[`${action}Request`];
    const TagModel = models[`${action}RequestTag`];
    const method = client[action.charAt(0).toLowerCase() + action.slice(1)];
    if (!Request || !method) throw new Error(`the ECS package has no ${action}`);
    const tag = fields.tag && TagModel && fields.tag.map((it) => new TagModel(it));
    return method.call(client, new Request({ ...fields, ...(tag && { tag }) }));
  };
  return {
    describeDisks: (fields) => call('DescribeDisks', fields),
    describeAvailableResource: (fields) => call('DescribeAvailableResource', fields),
    describeSnapshots: (fields) => call('DescribeSnapshots', fields),
    describeSecurityGroupAttribute: (fields) => call('DescribeSecurityGroupAttribute', fields),
    createSnapshot: (fields) => call('CreateSnapshot', fields),
    copySnapshot: (fields) => call('CopySnapshot', fields),
    createDisk: (fields) => call('CreateDisk', fields),
    deleteSnapshot: (fields) => call('DeleteSnapshot', fields),
    deleteDisk: (fields) => call('DeleteDisk', fields),
  };
}

export async function loadAlidns(place: Place): Promise<AlidnsClient> {
  const { config } = await settings(place);
  const models = moduleOf((await import('@alicloud/alidns20150109')) as unknown as SdkModule);
  const client = new models.default(config) as unknown as Record<string, (request: unknown) => Promise<never>>;
  const call = (action: string, fields: object): Promise<never> => {
    const Request = models[`${action}Request`];
    const method = client[action.charAt(0).toLowerCase() + action.slice(1)];
    if (!Request || !method) throw new Error(`the alidns package has no ${action}`);
    return method.call(client, new Request(fields));
  };
  return {
    describeDomainRecords: (fields) => call('DescribeDomainRecords', fields),
    addDomainRecord: (fields) => call('AddDomainRecord', fields),
    updateDomainRecord: (fields) => call('UpdateDomainRecord', fields),
    deleteDomainRecord: (fields) => call('DeleteDomainRecord', fields),
    setDomainRecordStatus: (fields) => call('SetDomainRecordStatus', fields),
    setDNSSLBStatus: (fields) => call('SetDNSSLBStatus', fields),
    updateDNSSLBWeight: (fields) => call('UpdateDNSSLBWeight', fields),
  };
}
