import type { TestContext } from 'node:test';
import { type SteeredClock, virtualClock } from '../src/twin/clock.js';
import { type AccountOptions, openAccount } from '../src/twin/cloud/account.js';
import { startCcm, type CcmOptions } from '../src/twin/controllers/ccm.js';
import { directApi } from '../src/twin/kube/direct.js';
import { Store } from '../src/twin/kube/store.js';
import type { ClusterApi, Json, TwinCloud, TwinObject } from '../src/twin/types.js';

export const START = '2026-01-01T00:00:00Z';
export const PREFIX = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
export const REGION = 'cn-hangzhou';
export const VPC = {
  id: 'vpc-1',
  name: 'test',
  region: REGION,
  cidr: '192.168.0.0/16',
  secondaryCidrs: [],
  vswitches: [],
};

export const anno = (values: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [PREFIX + key, value]));

export const shared = (more: Record<string, string> = {}): Record<string, string> =>
  anno({ id: 'lb-1', 'vgroup-port': 'rsp-1:80', ...more });

export const node = (name: string, more: Json = {}): TwinObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { zone: 'a', ...more.labels } },
  spec: { providerID: `${REGION}.i-${name}`, ...more.spec },
  status: { conditions: [{ type: 'Ready', status: 'True' }], addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
});

export const service = (annotations: Record<string, string>, more: Json = {}): TwinObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop', annotations, ...more.metadata },
  spec: {
    type: 'LoadBalancer',
    selector: { app: 'web' },
    ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30080 }],
    ...more.spec,
  },
});

export interface Pod {
  ip: string;
  node?: string;
  ready?: boolean;
  terminating?: boolean;
}

export const slice = (pods: Pod[], more: Json = {}): TwinObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: pods.map((it) => ({
    addresses: [it.ip],
    conditions: { ready: it.ready ?? true, ...(it.terminating ? { terminating: true } : {}) },
    ...(it.node ? { nodeName: it.node } : {}),
  })),
  ...more,
});

export const podsOn = (spread: Record<string, number>): Pod[] => {
  let n = 0;
  return Object.entries(spread).flatMap(([name, count]) =>
    Array.from({ length: count }, () => ({ ip: `192.168.128.${++n}`, node: name })),
  );
};

export interface Scene {
  clock: SteeredClock;
  api: ClusterApi;
  cloud: TwinCloud;
  /** stops the controller and starts it anew */
  restart(): Promise<void>;
  stop(): void;
  /** runs until the controller is quiet */
  settle(): Promise<void>;
  annotate(values: Record<string, string | null>, name?: string): Promise<void>;
  members(group?: string): Promise<{ server: string; ip: string; port: number; weight: number; description: string }[]>;
  weights(group?: string): Promise<number[]>;
  events(): Promise<string[]>;
  service(name?: string): Promise<TwinObject | undefined>;
  slb(action: string, parameters: Record<string, string>): Promise<Json>;
  lb(id?: string): Promise<Json>;
  groups(): Promise<string[]>;
  call: string[];
}

export interface Setting {
  ccm?: Partial<CcmOptions>;
  eni?: Pod[];
  /** of the cloud */
  account?: Partial<AccountOptions>;
  /** to share a cloud with another scene */
  beside?: Scene;
  seed?: Json;
  /** in place of the CLB loop */
  loop?: typeof startCcm;
}

export async function scene(
  t: TestContext,
  objects: TwinObject[],
  { ccm, eni = [], beside, seed, account: more, loop = startCcm }: Setting = {},
): Promise<Scene> {
  const clock = beside?.clock ?? virtualClock(START);
  const store = new Store({ version: 'v1.30.0', clock, name: ccm?.clusterId ?? 'test' });
  const api = directApi(store);
  const account = beside
    ? undefined
    : openAccount({ clock, region: REGION, unknownServers: 'accept', vpcs: [VPC], ...more });
  account?.seed(
    seed ?? {
      region: REGION,
      loadBalancers: [
        {
          id: 'lb-1',
          address: '47.0.0.1',
          addressType: 'internet',
          listeners: [{ port: 80, protocol: 'tcp', status: 'running', scheduler: 'wrr', group: 'rsp-1' }],
          groups: [
            { id: 'rsp-1', name: 'shared' },
            { id: 'rsp-2', name: 'other' },
          ],
        },
        { id: 'lb-2', address: '47.0.0.2', listeners: [], groups: [{ id: 'rsp-9', name: 'far' }] },
      ],
    },
  );
  const inner = (beside?.cloud ?? account) as TwinCloud;
  const call: string[] = [];
  const cloud: TwinCloud = Object.assign(Object.create(inner), {
    region: inner.region,
    async call(product: 'Slb' | 'Nlb' | 'Ecs' | 'Vpc', action: string, parameters: Record<string, string>) {
      call.push(action);
      return inner.call(product, action, parameters);
    },
  });
  for (const it of objects.filter((one) => one.kind === 'Node'))
    inner.addInstance({
      id: it['spec'].providerID.split('.')[1],
      zone: 'cn-hangzhou-a',
      ip: `10.0.0.${it.metadata.name.slice(1)}`,
    });
  for (const it of eni) inner.plugInterface(it.ip, `i-${it.node}`, 'cn-hangzhou-a');
  store.seed([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }, ...objects]);
  const start = () => loop(api, clock, cloud, { version: '2.14.0', clusterId: 'c-old', backendMode: 'ecs', ...ccm });
  let controller = await start();
  t.after(() => {
    controller.stop();
    clock.stop();
  });
  const slb: Scene['slb'] = (action, parameters) => inner.call('Slb', action, { RegionId: REGION, ...parameters });
  const self: Scene = {
    clock,
    api,
    cloud: inner,
    call,
    slb,
    async restart() {
      controller.stop();
      controller = await start();
      await self.settle();
    },
    stop: () => controller.stop(),
    settle: async () => void (await clock.idle(20_000)),
    async annotate(values, name = 'web') {
      const annotations = Object.fromEntries(Object.entries(values).map(([key, value]) => [PREFIX + key, value]));
      await api.mergePatch('v1/services', 'shop', name, { metadata: { annotations } });
      await self.settle();
    },
    async members(group = 'rsp-1') {
      const seen = await slb('DescribeVServerGroupAttribute', { VServerGroupId: group });
      return seen.BackendServers.BackendServer.map((it: Json) => ({
        server: it.ServerId,
        ip: it.ServerIp ?? '',
        port: it.Port,
        weight: it.Weight,
        description: it.Description,
      }));
    },
    weights: async (group) => (await self.members(group)).map((it) => it.weight),
    events: async () => (await api.list('v1/events', 'shop')).map((it) => `${it['reason']}: ${it['message']}`),
    service: (name = 'web') => api.get('v1/services', 'shop', name),
    lb: async (id = 'lb-1') => slb('DescribeLoadBalancerAttribute', { LoadBalancerId: id }),
    groups: async () =>
      (await slb('DescribeVServerGroups', { LoadBalancerId: 'lb-1' })).VServerGroups.VServerGroup.map(
        (it: Json) => it.VServerGroupName,
      ),
  };
  await self.settle();
  return self;
}

export const three = [node('n1'), node('n2'), node('n3')];
export const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);

export const eniService = (more: Record<string, string> = {}): TwinObject =>
  service({ 'service.beta.kubernetes.io/backend-type': 'eni', ...shared(more) });

export const others = [node('m1'), node('m2')];

/** The Service `web` with a load balancer of the controller's making. */
export async function ownLoadBalancer(
  t: TestContext,
): Promise<
  Scene & { id: string; name: string; group(): Promise<Json>; listener(): Promise<Json>; serving(): Promise<number> }
> {
  const pods = podsOn({ n1: 2 });
  const it = await scene(t, [...three, service({ 'service.beta.kubernetes.io/backend-type': 'eni' }), slice(pods)], {
    eni: podsOn({ n1: 4 }),
  });
  const uid: string = (await it.service())?.metadata.uid;
  const name = `a${uid.replaceAll('-', '')}`.slice(0, 32);
  const id: string = (await it.slb('DescribeLoadBalancers', { LoadBalancerName: name })).LoadBalancers.LoadBalancer[0]
    .LoadBalancerId;
  const listener = async (): Promise<Json> =>
    (await it.slb('DescribeLoadBalancerListeners', { 'LoadBalancerId.1': id })).Listeners[0];
  return {
    ...it,
    id,
    name,
    listener,
    group: async () => (await it.slb('DescribeVServerGroups', { LoadBalancerId: id })).VServerGroups.VServerGroup,
    serving: async () => (await it.members((await listener()).VServerGroupId)).filter((one) => one.weight > 0).length,
  };
}
