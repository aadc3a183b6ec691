import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { Seed, TwinObject } from '../src/twin/types.js';

/** Two clusters, one namespace, and workloads on disks: what moves of disks are tried on. */
export interface DiskWorld {
  /** `data` of the playbook beside its namespace, in YAML's flow style without braces */
  data?: string;
  targetRegion?: string;
  /** further objects of the source */
  source?: TwinObject[];
  /** the first is that of `app`, whose disk is in zone h */
  disks: NonNullable<Seed['cloud']['disks']>;
  /** zones of the target's nodes, one each */
  zones?: string[];
  cloud?: Partial<Seed['cloud']>;
}

export const DISK_DRIVER = 'diskplugin.csi.alibabacloud.com';
const READY = [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }];
const SIZE = { cpu: '8', memory: '32Gi', pods: '110' };

const node = (zone: string, net: number, index: number, version: string): TwinObject => {
  const region = zone.slice(0, zone.lastIndexOf('-'));
  const ip = `10.${net}.0.${11 + index}`;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `${region}.${ip}`,
      labels: {
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'topology.kubernetes.io/region': region,
        'topology.kubernetes.io/zone': zone,
        'topology.diskplugin.csi.alibabacloud.com/zone': zone,
      },
    },
    spec: { providerID: `${region}.i-${net}-${index}` },
    status: {
      addresses: [{ type: 'InternalIP', address: ip }],
      capacity: SIZE,
      allocatable: SIZE,
      conditions: READY,
      nodeInfo: { kubeletVersion: version },
    },
  };
};

const storageClass = (name: string, type: string): TwinObject => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name },
  provisioner: DISK_DRIVER,
  parameters: { type },
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
});

/** A workload of one pod on one claim, the claim, and its volume. */
export function onDisk(
  name: string,
  {
    kind = 'Deployment',
    disk = `d-${name}`,
    volume = csi(disk),
  }: { kind?: string; disk?: string; volume?: object } = {},
): TwinObject[] {
  const labels = { app: name };
  return [
    {
      apiVersion: 'apps/v1',
      kind,
      metadata: { name, namespace: 'shop' },
      spec: {
        replicas: 1,
        ...(kind === 'Deployment' && { strategy: { type: 'Recreate' } }),
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { ...container(name), volumes: [volumeOf(name)] } },
      },
    },
    claim(name, `pv-${name}`),
    persistent(`pv-${name}`, name, volume),
  ];
}

export const volumeOf = (claimName: string) => ({ name: 'data', persistentVolumeClaim: { claimName } });
export const container = (name: string) => ({
  containers: [{ name, image: `shop/${name}:1`, volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
});
export const csi = (volumeHandle: string) => ({
  csi: { driver: DISK_DRIVER, volumeHandle, fsType: 'ext4', volumeAttributes: { type: 'cloud_ssd' } },
});

export const claim = (name: string, volumeName: string): TwinObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: 'shop' },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'ssd',
    volumeName,
    resources: { requests: { storage: '20Gi' } },
  },
});

export const persistent = (name: string, claimName: string, volume: object): TwinObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name },
  spec: {
    accessModes: ['ReadWriteOnce'],
    capacity: { storage: '20Gi' },
    storageClassName: 'ssd',
    persistentVolumeReclaimPolicy: 'Delete',
    claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'shop', name: claimName },
    ...volume,
  },
});

export function diskWorld({ data, targetRegion, source = [], disks, zones = ['cn-hangzhou-j'], cloud }: DiskWorld): {
  playbook: Playbook;
  seed: Seed;
} {
  const text = `apiVersion: migrate/v1alpha1
kind: Playbook
name: disks
source: { context: old }
target: { context: new }
cloud: { provider: alibaba, region: cn-hangzhou${targetRegion === undefined ? '' : `, targetRegion: ${targetRegion}`} }
data: { namespaces: [shop]${data === undefined ? '' : `, ${data}`} }
`;
  const half = (name: string, net: number, of: readonly string[], objects: TwinObject[]): Seed['source'] => ({
    version: name === 'old' ? 'v1.28.15' : 'v1.34.1',
    context: name,
    podNetwork: 'overlay',
    ccm: null,
    velero: { version: '1.18.3' },
    podReadyMs: 1000,
    objects: [
      ...of.map((zone, index) => node(zone, net, index, name === 'old' ? 'v1.28.15' : 'v1.34.1')),
      storageClass('ssd', 'cloud_ssd'),
      ...objects,
    ],
  });
  const olds = [...new Set(disks.map((it) => it.zone))];
  return {
    playbook: parsePlaybook(text, 'disks.yaml'),
    seed: {
      start: '2026-11-23T06:00:00Z',
      source: half('old', 1, olds, [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }, ...source]),
      target: half('new', 2, zones, []),
      cloud: { region: 'cn-hangzhou', loadBalancers: [], disks, ...cloud },
    },
  };
}
