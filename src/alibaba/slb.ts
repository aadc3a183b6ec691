/**
 * The calls of CLB (SLB 2014-05-15) that we make, with the class, method and field names of the official package
 * `@alicloud/slb20140515`, which not every registry mirror carries. Where it is installed it is used instead of this.
 *
 * @source aliyun/alibabacloud-typescript-sdk:slb-20140515 (2.0.12); parameters go in the query, the body is empty
 */
export interface SlbClient {
  describeLoadBalancerAttribute(request: {
    regionId: string;
    loadBalancerId: string;
  }): Promise<{ body?: LoadBalancerBody }>;
  describeLoadBalancerListeners(request: {
    regionId: string;
    loadBalancerId: string[];
    maxResults: number;
    nextToken?: string;
  }): Promise<{ body?: ListenersBody }>;
  describeVServerGroups(request: { regionId: string; loadBalancerId: string }): Promise<{
    body?: { VServerGroups?: { VServerGroup?: { VServerGroupId?: string; VServerGroupName?: string }[] } };
  }>;
  describeVServerGroupAttribute(request: { regionId: string; VServerGroupId: string }): Promise<{ body?: GroupBody }>;
  setVServerGroupAttribute(request: {
    regionId: string;
    VServerGroupId: string;
    backendServers?: string;
    VServerGroupName?: string;
  }): Promise<unknown>;
  addVServerGroupBackendServers(request: {
    regionId: string;
    VServerGroupId: string;
    backendServers: string;
  }): Promise<unknown>;
  createVServerGroup(request: {
    regionId: string;
    loadBalancerId: string;
    VServerGroupName: string;
  }): Promise<{ body?: { VServerGroupId?: string } }>;
  deleteVServerGroup(request: { regionId: string; VServerGroupId: string }): Promise<unknown>;
  setLoadBalancerTCPListenerAttribute(request: SetListener): Promise<unknown>;
  setLoadBalancerUDPListenerAttribute(request: SetListener): Promise<unknown>;
  setLoadBalancerHTTPListenerAttribute(request: SetListener): Promise<unknown>;
  setLoadBalancerHTTPSListenerAttribute(request: SetListener): Promise<unknown>;
  tagResources(request: {
    regionId: string;
    resourceType: string;
    resourceId: string[];
    tag: { key: string; value: string }[];
  }): Promise<unknown>;
  untagResources(request: {
    regionId: string;
    resourceType: string;
    resourceId: string[];
    tagKey: string[];
  }): Promise<unknown>;
  removeVServerGroupBackendServers(request: {
    regionId: string;
    VServerGroupId: string;
    backendServers: string;
  }): Promise<unknown>;
}

export interface SetListener {
  regionId: string;
  loadBalancerId: string;
  listenerPort: number;
  VServerGroup: 'on';
  VServerGroupId: string;
  scheduler: string;
}

export interface LoadBalancerBody {
  loadBalancerId?: string;
  loadBalancerName?: string;
  address?: string;
  addressType?: string;
  regionId?: string;
  vpcId?: string;
  loadBalancerStatus?: string;
  tags?: { tag?: { tagKey?: string; tagValue?: string }[] };
}

export interface ListenersBody {
  nextToken?: string;
  listeners?: {
    listenerPort?: number;
    listenerProtocol?: string;
    status?: string;
    scheduler?: string;
    VServerGroupId?: string;
    TCPListenerConfig?: ListenerSettings & { persistenceTimeout?: number };
    UDPListenerConfig?: ListenerSettings;
    HTTPListenerConfig?: ListenerSettings & { stickySession?: string };
    HTTPSListenerConfig?: ListenerSettings & { stickySession?: string };
  }[];
}

/** The fields that listeners of several protocols share; `on` and `off` are texts. */
export interface ListenerSettings {
  connectionDrain?: string;
  /** seconds */
  connectionDrainTimeout?: number;
  healthCheck?: string;
  healthCheckType?: string;
  /** seconds */
  healthCheckInterval?: number;
  unhealthyThreshold?: number;
}

export interface GroupBody {
  VServerGroupName?: string;
  backendServers?: {
    backendServer?: {
      serverId?: string;
      serverIp?: string;
      port?: number;
      weight?: number;
      type?: string;
      description?: string;
    }[];
  };
}

/** How the SDK spells a wire name: the first letter lowered, but a leading acronym kept. */
const sdkName = (wire: string) => (/^(?:[A-Z]{2})/.test(wire) ? wire : wire.charAt(0).toLowerCase() + wire.slice(1));

/** An answer of the wire as the SDK gives it. */
export function sdkShape(wire: unknown): unknown {
  if (Array.isArray(wire)) return wire.map(sdkShape);
  if (wire === null || typeof wire !== 'object') return wire;
  return Object.fromEntries(Object.entries(wire).map(([key, value]) => [sdkName(key), sdkShape(value)]));
}

export const wireName = (sdk: string) => sdk.charAt(0).toUpperCase() + sdk.slice(1);

/** `Tag.1.Key`, `Tag.1.Value`; `ResourceId.1` for a plain entry */
const flat = (name: string, entry: unknown): Record<string, string> =>
  typeof entry === 'object' && entry !== null
    ? Object.fromEntries(Object.entries(entry).map(([key, value]) => [`${name}.${wireName(key)}`, String(value)]))
    : { [name]: String(entry) };

/**
 * @param send  one signed request; credentials, signing and transport are the official core package's
 */
export function slbClient(
  send: (action: string, query: Record<string, string>) => Promise<{ body?: unknown }>,
): SlbClient {
  const call = async (action: string, request: Record<string, unknown>): Promise<{ body?: never }> => {
    const query: Record<string, string> = {};
    for (const [key, value] of Object.entries(request)) {
      if (Array.isArray(value))
        value.forEach((it: unknown, index) => Object.assign(query, flat(`${wireName(key)}.${index + 1}`, it)));
      else if (value !== undefined) query[wireName(key)] = String(value);
    }
    const { body } = await send(action, query);
    return { body: sdkShape(body) as never };
  };
  return {
    describeLoadBalancerAttribute: (request) => call('DescribeLoadBalancerAttribute', request),
    describeLoadBalancerListeners: (request) => call('DescribeLoadBalancerListeners', request),
    describeVServerGroups: (request) => call('DescribeVServerGroups', request),
    describeVServerGroupAttribute: (request) => call('DescribeVServerGroupAttribute', request),
    setVServerGroupAttribute: (request) => call('SetVServerGroupAttribute', request),
    removeVServerGroupBackendServers: (request) => call('RemoveVServerGroupBackendServers', request),
    addVServerGroupBackendServers: (request) => call('AddVServerGroupBackendServers', request),
    createVServerGroup: (request) => call('CreateVServerGroup', request),
    deleteVServerGroup: (request) => call('DeleteVServerGroup', request),
    setLoadBalancerTCPListenerAttribute: (request) => call('SetLoadBalancerTCPListenerAttribute', { ...request }),
    setLoadBalancerUDPListenerAttribute: (request) => call('SetLoadBalancerUDPListenerAttribute', { ...request }),
    setLoadBalancerHTTPListenerAttribute: (request) => call('SetLoadBalancerHTTPListenerAttribute', { ...request }),
    setLoadBalancerHTTPSListenerAttribute: (request) => call('SetLoadBalancerHTTPSListenerAttribute', { ...request }),
    tagResources: (request) => call('TagResources', request),
    untagResources: (request) => call('UntagResources', request),
  };
}
