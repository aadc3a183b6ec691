/**
 * Calls of the RPC style as the official packages make them: parameters go in the query by their wire names, and an answer comes by the
 * names of the package's models. What the packages bring beside that are thousands of models that nobody here asks for, and loading
 * those of ECS alone took longer than all the rest of a start.
 *
 * @source npm @alicloud/ecs20140526:dist/client.js, describeDisksWithOptions; aliyun/alibabacloud-typescript-sdk:slb-20140515
 */
export type Send = (action: string, query: Record<string, string>) => Promise<{ body?: unknown }>;

export type RpcCall = (action: string, request: object) => Promise<{ body?: never }>;

export const callsBy =
  (send: Send): RpcCall =>
  async (action, request) => {
    const query: Record<string, string> = {};
    for (const [key, value] of Object.entries(request) as [string, unknown][]) {
      if (Array.isArray(value))
        value.forEach((it: unknown, index) => Object.assign(query, flat(`${wireName(key)}.${index + 1}`, it)));
      else if (value !== undefined) query[wireName(key)] = String(value);
    }
    const { body } = await send(action, query);
    return { body: sdkShape(body) as never };
  };

/** How the packages spell a wire name: the first letter lowered, but a leading acronym kept. */
const sdkName = (wire: string) => (/^(?:[A-Z]{2})/.test(wire) ? wire : wire.charAt(0).toLowerCase() + wire.slice(1));

/** An answer of the wire as the packages give it. */
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

/** Regions whose endpoint does not follow from their name, by endpoint. @source npm @alicloud/ecs20140526:dist/client.js, _endpointMap */
const ECS_ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  'ecs-cn-hangzhou.aliyuncs.com': [
    'cn-hangzhou',
    'cn-shanghai-finance-1',
    'cn-shenzhen-finance-1',
    'cn-beijing-nu16-b01',
    'cn-fujian',
    'cn-haidian-cm12-c01',
    'cn-hangzhou-bj-b01',
    'cn-hangzhou-internal-prod-1',
    'cn-hangzhou-internal-test-1',
    'cn-hangzhou-internal-test-2',
    'cn-hangzhou-internal-test-3',
    'cn-hangzhou-test-306',
    'cn-shanghai-et15-b01',
    'cn-shanghai-et2-b01',
    'cn-shanghai-internal-test-1',
    'cn-shenzhen-st4-d01',
    'cn-shenzhen-su18-b01',
    'cn-zhangbei-na61-b01',
  ],
  'ecs.aliyuncs.com': [
    'cn-north-2-gov-1',
    'ap-northeast-2-pop',
    'cn-beijing-finance-pop',
    'cn-beijing-gov-1',
    'cn-hangzhou-finance',
    'cn-hongkong-finance-pop',
    'cn-shanghai-inner',
    'cn-shenzhen-inner',
    'cn-wuhan',
    'cn-yushanfang',
    'cn-zhangbei',
    'rus-west-1-pop',
  ],
  'ecs.cn-qingdao-nebula.aliyuncs.com': ['cn-edge-1', 'cn-huhehaote-nebula-1', 'cn-zhengzhou-nebula-1'],
  'ecs.cn-zhangjiakou.aliyuncs.com': ['cn-zhangjiakou-na62-a01'],
  'ecs.cn-shenzhen-cloudstone.aliyuncs.com': ['eu-west-1-oxs'],
};

export const ecsEndpoint = (region: string): string =>
  Object.keys(ECS_ELSEWHERE).find((it) => ECS_ELSEWHERE[it]?.includes(region)) ?? `ecs.${region}.aliyuncs.com`;

/** @source npm @alicloud/alidns20150109:dist/client.js, _endpointMap */
export const alidnsEndpoint = (region: string): string =>
  region === 'cn-hangzhou' || region === 'public' ? 'alidns.aliyuncs.com' : `alidns.${region}.aliyuncs.com`;
