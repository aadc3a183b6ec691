import { sdkShape, wireName } from './slb.js';

/**
 * The calls of NLB (2022-04-30) that we make, with the class, method and field names of the official package `@alicloud/nlb20220430`,
 * which not every registry mirror carries.
 *
 * @source aliyun/alibabacloud-typescript-sdk:nlb-20220430 (4.1.3): client.ts says which parameters go in the query and which in a form body
 */
export interface NlbClient {
  getLoadBalancerAttribute(request: {
    regionId: string;
    loadBalancerId: string;
  }): Promise<{ body?: NlbLoadBalancerBody }>;
  listListeners(
    request: { regionId: string; loadBalancerIds: string[] } & NlbPage,
  ): Promise<{ body?: { listeners?: NlbListenerBody[]; nextToken?: string } }>;
  listServerGroups(
    request: { regionId: string; serverGroupIds?: string[]; serverGroupNames?: string[] } & NlbPage,
  ): Promise<{ body?: { serverGroups?: NlbGroupBody[]; nextToken?: string } }>;
  listServerGroupServers(
    request: { regionId: string; serverGroupId: string } & NlbPage,
  ): Promise<{ body?: { servers?: NlbServerBody[]; nextToken?: string } }>;
  getListenerHealthStatus(request: { regionId: string; listenerId: string }): Promise<{ body?: NlbHealthBody }>;
  createServerGroup(request: {
    regionId: string;
    serverGroupName: string;
    vpcId: string;
    serverGroupType: string;
    protocol: string;
    scheduler: string;
    preserveClientIpEnabled: boolean;
  }): Promise<{ body?: { serverGroupId?: string; jobId?: string } }>;
  addServersToServerGroup(request: NlbServersRequest): Promise<{ body?: NlbJobBody }>;
  updateServerGroupServersAttribute(request: NlbServersRequest): Promise<{ body?: NlbJobBody }>;
  removeServersFromServerGroup(request: NlbServersRequest): Promise<{ body?: NlbJobBody }>;
  updateServerGroupAttribute(request: {
    regionId: string;
    serverGroupId: string;
    serverGroupName?: string;
    scheduler?: string;
  }): Promise<{ body?: NlbJobBody }>;
  deleteServerGroup(request: { regionId: string; serverGroupId: string }): Promise<{ body?: NlbJobBody }>;
  updateListenerAttribute(request: {
    regionId: string;
    listenerId: string;
    serverGroupId: string;
  }): Promise<{ body?: NlbJobBody }>;
  tagResources(request: {
    regionId: string;
    resourceType: NlbResourceType;
    resourceId: string[];
    tag: { key: string; value: string }[];
  }): Promise<unknown>;
  untagResources(request: {
    regionId: string;
    resourceType: NlbResourceType;
    resourceId: string[];
    tagKey: string[];
  }): Promise<unknown>;
  getJobStatus(request: { regionId: string; jobId: string }): Promise<{ body?: { status?: string } }>;
}

export type NlbResourceType = 'loadbalancer' | 'servergroup';

interface NlbPage {
  maxResults?: number;
  nextToken?: string;
}

interface NlbJobBody {
  jobId?: string;
}

interface NlbServersRequest {
  regionId: string;
  serverGroupId: string;
  servers: {
    serverId: string;
    serverType: string;
    serverIp?: string;
    port: number;
    weight?: number;
    description?: string;
  }[];
}

export interface NlbLoadBalancerBody {
  loadBalancerName?: string;
  loadBalancerStatus?: string;
  DNSName?: string;
  addressType?: string;
  regionId?: string;
  vpcId?: string;
  tags?: { tagKey?: string; tagValue?: string }[];
}

export interface NlbListenerBody {
  listenerId?: string;
  listenerPort?: number;
  listenerProtocol?: string;
  listenerStatus?: string;
  serverGroupId?: string;
}

export interface NlbGroupBody {
  serverGroupId?: string;
  serverGroupName?: string;
  serverGroupType?: string;
  serverGroupStatus?: string;
  protocol?: string;
  scheduler?: string;
  vpcId?: string;
  connectionDrainEnabled?: boolean;
  connectionDrainTimeout?: number;
  preserveClientIpEnabled?: boolean;
  healthCheck?: { healthCheckEnabled?: boolean };
  tags?: { key?: string; value?: string }[];
}

export interface NlbServerBody {
  serverId?: string;
  serverIp?: string;
  serverType?: string;
  port?: number;
  weight?: number;
  description?: string;
  status?: string;
}

export interface NlbHealthBody {
  listenerHealthStatus?: {
    serverGroupInfos?: {
      serverGroupId?: string;
      /** spelt so by the product */
      heathCheckEnabled?: boolean;
      nonNormalServers?: { serverId?: string; serverIp?: string; port?: number; status?: string }[];
    }[];
  }[];
}

/** Reads whose parameters go in the query; those of all others go in a form body. */
const IN_QUERY = new Set(['GetLoadBalancerAttribute', 'ListListeners', 'GetListenerHealthStatus', 'GetJobStatus']);

/** `{ servers: [{ port: 80 }] }` → `Servers.1.Port=80` */
function flatten(prefix: string, value: unknown, into: Record<string, string>): void {
  if (value === undefined || value === null) return;
  if (Array.isArray(value)) value.forEach((it, index) => flatten(`${prefix}.${index + 1}`, it, into));
  else if (typeof value === 'object')
    for (const [key, inner] of Object.entries(value))
      flatten(prefix ? `${prefix}.${wireName(key)}` : wireName(key), inner, into);
  // Only numbers, texts and booleans are left.
  // oxlint-disable-next-line typescript/no-base-to-string
  else into[prefix] = String(value);
}

/**
 * @param send  one signed request; credentials, signing and transport are the official core package's
 */
export function nlbClient(
  send: (
    action: string,
    request: { query?: Record<string, string>; body?: Record<string, string> },
  ) => Promise<{ body?: unknown }>,
): NlbClient {
  const call = async (action: string, request: object): Promise<{ body?: never }> => {
    const parameters: Record<string, string> = {};
    flatten('', request, parameters);
    const { body } = await send(action, IN_QUERY.has(action) ? { query: parameters } : { body: parameters });
    return { body: sdkShape(body) as never };
  };
  return {
    getLoadBalancerAttribute: (request) => call('GetLoadBalancerAttribute', request),
    listListeners: (request) => call('ListListeners', request),
    listServerGroups: (request) => call('ListServerGroups', request),
    listServerGroupServers: (request) => call('ListServerGroupServers', request),
    getListenerHealthStatus: (request) => call('GetListenerHealthStatus', request),
    createServerGroup: (request) => call('CreateServerGroup', request),
    addServersToServerGroup: (request) => call('AddServersToServerGroup', request),
    updateServerGroupServersAttribute: (request) => call('UpdateServerGroupServersAttribute', request),
    removeServersFromServerGroup: (request) => call('RemoveServersFromServerGroup', request),
    updateServerGroupAttribute: (request) => call('UpdateServerGroupAttribute', request),
    deleteServerGroup: (request) => call('DeleteServerGroup', request),
    updateListenerAttribute: (request) => call('UpdateListenerAttribute', request),
    tagResources: (request) => call('TagResources', request),
    untagResources: (request) => call('UntagResources', request),
    getJobStatus: (request) => call('GetJobStatus', request),
  };
}
