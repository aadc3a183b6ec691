import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { ClusterSeed, Seed, TwinObject } from '../src/twin/types.js';

/** Two clusters of any size behind one server group, and nothing else: what shares are tried on. */
export interface PairOptions {
  source?: Half;
  target?: Half;
  /** the playbook's `traffic`, in YAML's flow style without its braces */
  traffic?: string;
  /** further keys of the entry of shop/web */
  entry?: string;
  scheduler?: string;
  perSecond?: number;
  /** ECS instances that are the source's beside its cluster */
  servers?: string[];
  /** the source has no cluster */
  alone?: boolean;
  /** members of the group beside those of the source's cluster */
  others?: Seed['cloud']['loadBalancers'][number]['groups'][number]['backends'];
}

export interface Half {
  /** how the controller makes members: nodes, pods by their own addresses, or nodes with pods */
  mode?: 'cluster' | 'eni' | 'local';
  nodes?: number;
  pods?: number;
  ccm?: string;
  annotations?: Record<string, string>;
}

export const GROUP = 'rsp-web';
export const BALANCER = 'lb-web';

export function pairOf(options: PairOptions = {}): { playbook: Playbook; seed: Seed; text: string } {
  const text = `apiVersion: migrate/v1alpha1
kind: Playbook
name: pair
source: { ${originOf(options)} }
target: { context: new, ccm: '${options.target?.ccm ?? '2.14.0'}' }
cloud: { provider: alibaba, region: cn-hangzhou }
traffic: { services: [{ service: shop/web, router: clb, group: ${GROUP}, port: 80${options.entry ? `, ${options.entry}` : ''} }], ${options.traffic ?? 'steps: [100], hold: 3s'} }
`;
  return { playbook: parsePlaybook(text, 'pair.yaml'), seed: seedOf(options), text };
}

const originOf = ({ servers, alone, source }: PairOptions) =>
  [
    ...(alone ? [] : ['context: old', 'clusterId: c-old', `ccm: '${source?.ccm ?? '2.14.0'}'`]),
    ...(servers ? [`servers: [${servers.join(', ')}]`] : []),
  ].join(', ');

function seedOf({
  source = {},
  target = {},
  scheduler = 'wrr',
  perSecond = 20,
  others = [],
  alone,
}: PairOptions): Seed {
  return {
    start: '2026-11-23T06:00:00Z',
    source: half('old', 1, alone ? { ...source, pods: 0 } : source, {
      ...(!alone && {
        'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id': BALANCER,
        'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-vgroup-port': `${GROUP}:80`,
      }),
      ...source.annotations,
    }),
    target: half('new', 2, target, target.annotations ?? {}),
    cloud: {
      region: 'cn-hangzhou',
      loadBalancers: [
        {
          id: BALANCER,
          address: '198.51.100.1',
          addressType: 'internet',
          vpc: 'vpc-pair',
          listeners: [{ port: 80, scheduler, group: GROUP }],
          groups: [{ id: GROUP, name: 'web', backends: others }],
        },
      ],
    },
    clients: [{ loadBalancer: BALANCER, port: 80, perSecond }],
  };
}

function half(name: string, net: number, options: Half, annotations: Record<string, string>): ClusterSeed {
  const { mode = 'eni', nodes = 3, pods = 3, ccm = '2.14.0' } = options;
  const labels = { app: 'web' };
  const live = name === 'old';
  const objects: TwinObject[] = [
    ...Array.from({ length: nodes }, (_, index) => node(name, net, index)),
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'shop' },
      spec: {
        replicas: pods,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: 'web', image: 'shop/web:1', ports: [{ containerPort: 8080 }] }] },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: 'web',
        namespace: 'shop',
        annotations: {
          ...annotations,
          'service.beta.kubernetes.io/backend-type': mode === 'eni' ? 'eni' : 'ecs',
        },
      },
      spec: {
        type: live && pods > 0 ? 'LoadBalancer' : 'ClusterIP',
        selector: labels,
        ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }],
        ...(mode === 'local' && { externalTrafficPolicy: 'Local' }),
      },
    },
  ];
  return {
    version: live ? 'v1.30.1' : 'v1.34.1',
    context: name,
    podNetwork: mode === 'eni' ? 'eni' : 'overlay',
    ccm: { version: ccm, clusterId: `c-${name}`, backendMode: mode === 'eni' ? 'eni' : 'ecs' },
    podReadyMs: 2000,
    objects,
  };
}

function node(name: string, net: number, index: number): TwinObject {
  const ip = `192.168.${net * 16 + Math.floor(index / 200)}.${(index % 200) + 11}`;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `cn-hangzhou.${ip}`,
      labels: {
        'topology.kubernetes.io/region': 'cn-hangzhou',
        'topology.kubernetes.io/zone': 'cn-hangzhou-h',
        'kubernetes.io/os': 'linux',
      },
    },
    spec: { providerID: `cn-hangzhou.i-${name}${index}` },
    status: {
      addresses: [{ type: 'InternalIP', address: ip }],
      capacity: { cpu: '64', memory: '256Gi', pods: '500' },
      allocatable: { cpu: '64', memory: '256Gi', pods: '500' },
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}
