import { stringify } from 'yaml';
import { discoveryOf } from '../src/api-table.js';
import type { Check, Needs } from '../src/check.js';
import type { ClusterInventory, DatabaseSeen, Inventory, ProbeAnswer } from '../src/inventory.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { DnsRecords, Kind, KubeObject, LoadBalancer, RightAnswer, ServedKind } from '../src/ports.js';
import { kindServed } from '../src/preflight.js';

/**
 * Small worlds for the cases beside the checks: whatever a case leaves out is ordinary. A side that says nothing is a
 * healthy cluster of its default version that holds nothing and in which everything could be read.
 */

export interface TerseSide {
  uid?: string;
  version?: string;
  /** `is: Deployment shop/web`; metadata's labels, annotations and the like may stand beside spec */
  objects?: Terse[];
  unseen?: { kind: Kind; why: string }[];
  /** `[]` for a discovery that failed, else taken in place of the version's own */
  served?: ServedKind[];
  /** custom kinds beside the built-in ones: `Rollout.argoproj.io/v1alpha1` */
  alsoServes?: string[];
  rights?: RightAnswer[];
  /** what is left out was read and holds nothing; `{}` for a side where nobody asked */
  evidence?: ClusterInventory['evidence'];
  /** null: nobody asked */
  dryRun?: ClusterInventory['dryRun'] | null;
  /** `[]` for an identity that may read single namespaces only; else every kind was read from all */
  everywhere?: Kind[];
}

/** `times`: so many of them, with numbers behind their name */
type Terse = { is: string; times?: number } & Record<string, unknown>;

export interface TerseWorld {
  /** laid over the usual playbook; `null` removes a section */
  playbook?: Record<string, unknown>;
  today?: string;
  takenAt?: string;
  probes?: ProbeAnswer[];
  databases?: DatabaseSeen[];
  needs?: Partial<Needs>;
  source?: TerseSide;
  target?: TerseSide;
  /** laid over a cloud without anything; null for none */
  cloud?: {
    region?: string;
    loadBalancers?: Partial<LoadBalancer>[];
    disks?: object[];
    securityGroups?: object[];
    /** laid over A records of www.example.com, without weights */
    dns?: { records?: object[] }[];
    unseen?: object[];
  } | null;
}

const USUAL = {
  apiVersion: 'migrate/v1alpha1',
  kind: 'Playbook',
  name: 'shop',
  source: { context: 'old' },
  target: { context: 'new' },
  cloud: { provider: 'alibaba', region: 'cn-hangzhou' },
  data: { namespaces: ['shop'] },
  traffic: { services: [{ service: 'shop/web', router: 'clb', group: 'rsp-1', port: 80, loadBalancer: 'lb-1' }] },
};

export interface Asked {
  playbook: Playbook;
  inventory: Inventory;
  today: string;
  needs: Needs;
}

/** What a check reads, or would like to. */
export const kindsOf = ({ reads, also }: Pick<Check, 'reads' | 'also'>): { source: Kind[]; target: Kind[] } => ({
  source: [...(reads.source ?? []), ...(also?.source ?? [])],
  target: [...(reads.target ?? []), ...(also?.target ?? [])],
});

/** @param kinds  what the check reads, so that a kind without objects is an empty list and not an unseen one */
export function worldOf(terse: TerseWorld, kinds: { source?: Kind[]; target?: Kind[] } = {}): Asked {
  const playbook = Object.fromEntries(
    Object.entries({ ...USUAL, ...terse.playbook }).filter(([, value]) => value !== null),
  );
  return {
    playbook: parsePlaybook(stringify(playbook), 'case'),
    inventory: {
      schemaVersion: 1,
      takenAt: terse.takenAt ?? '2026-11-20T08:00:00Z',
      ...(terse.probes && { probes: terse.probes }),
      ...(terse.databases && { databases: terse.databases }),
      source: sideOf('source', { uid: 'uid-source', version: 'v1.20.15', ...terse.source }, kinds.source ?? []),
      target: sideOf('target', { uid: 'uid-target', version: 'v1.36.3', ...terse.target }, kinds.target ?? []),
      cloud: cloudOf(terse.cloud),
    },
    today: terse.today ?? '2026-11-20',
    needs: { source: terse.needs?.source ?? [], target: terse.needs?.target ?? [] },
  };
}

const NOTHING_MORE: NonNullable<ClusterInventory['evidence']> = {
  helm: { releases: [], unread: [] },
  calls: { counted: [] },
};
const TAKEN: NonNullable<ClusterInventory['dryRun']> = { answers: [], lacks: [] };

function sideOf(side: string, terse: TerseSide, kinds: Kind[]): ClusterInventory {
  const version = terse.version ?? '';
  const served = terse.served ?? [
    ...discoveryOf(Number(version.split('.')[1]) || 0),
    ...(terse.alsoServes ?? []).map(customKind),
  ];
  const unseen = terse.unseen ?? [];
  const objects: Record<Kind, KubeObject[]> = {};
  const wanted = kinds.flatMap((kind) =>
    kind === '*' ? served.filter((it) => it.namespaced).map(kindServed) : [kind],
  );
  for (const kind of wanted) if (!unseen.some((it) => it.kind === kind)) objects[kind] = [];
  for (const it of (terse.objects ?? []).flatMap(repeated)) {
    const [kind, object] = objectOf(it, served);
    (objects[kind] ??= []).push(object);
  }
  return {
    context: side,
    uid: terse.uid ?? '',
    version,
    server: `https://${side}`,
    served,
    objects,
    unseen,
    rights: terse.rights ?? [],
    everywhere: terse.everywhere ?? Object.keys(objects),
    evidence: terse.evidence ?? NOTHING_MORE,
    ...(terse.dryRun !== null && { dryRun: terse.dryRun ?? TAKEN }),
  };
}

const repeated = ({ times, ...it }: Terse): Terse[] =>
  times === undefined ? [it] : Array.from({ length: times }, (_, n) => ({ ...it, is: `${it.is}-${n}` }));

/** `is: Ingress.extensions shop/legacy` where the kind alone is not enough; without a group the first served one is meant. */
function objectOf({ is, ...rest }: Terse, served: readonly ServedKind[]): [Kind, KubeObject] {
  const [kind = '', path = ''] = is.split(' ');
  const same = served.filter((it) => (kind.includes('.') ? kindServed(it) === kind : it.kind === kind));
  const known = same.find((it) => it.preferred && it.group !== 'extensions') ??
    same[0] ?? { group: '', version: 'v1', kind };
  const [name = '', namespace] = path.split('/').reverse();
  const { spec, status, data, apiVersion, ...others } = rest as Record<string, unknown>;
  const meta: Record<string, unknown> = { name, ...(namespace && { namespace }) };
  const body: Record<string, unknown> = {
    ...(spec !== undefined && { spec }),
    ...(status !== undefined && { status }),
    ...(data !== undefined && { data }),
  };
  for (const [key, value] of Object.entries(others)) (META.includes(key) ? meta : body)[key] = value;
  const object = {
    apiVersion:
      typeof apiVersion === 'string' ? apiVersion : known.group ? `${known.group}/${known.version}` : known.version,
    kind: known.kind,
    metadata: meta,
    ...body,
  } as unknown as KubeObject;
  return [kind.includes('.') ? kind : kindServed(known), object];
}

const META = [
  'labels',
  'annotations',
  'managedFields',
  'ownerReferences',
  'finalizers',
  'creationTimestamp',
  'deletionTimestamp',
  'uid',
];

function cloudOf(terse: TerseWorld['cloud']): Inventory['cloud'] {
  if (terse === null) return null;
  return {
    provider: 'alibaba',
    region: terse?.region ?? 'cn-hangzhou',
    loadBalancers: (terse?.loadBalancers ?? []).map((it) => ({
      id: 'lb-1',
      name: 'shop',
      address: '47.98.10.9',
      addressType: 'internet',
      region: 'cn-hangzhou',
      vpc: 'vpc-1',
      status: 'active',
      tags: {},
      listeners: [{ port: 80, protocol: 'tcp', status: 'running', scheduler: 'wrr', group: 'rsp-1' }],
      groups: [{ id: 'rsp-1', name: 'shop-web', backends: [] }],
      ...it,
    })),
    disks: (terse?.disks ?? []) as NonNullable<Inventory['cloud']>['disks'],
    securityGroups: (terse?.securityGroups ?? []) as NonNullable<NonNullable<Inventory['cloud']>['securityGroups']>,
    ...(terse?.dns && { dns: terse.dns.map(recordsOf) }),
    unseen: (terse?.unseen ?? []) as NonNullable<Inventory['cloud']>['unseen'],
  };
}

const recordsOf = ({ records = [], ...it }: { records?: object[] }): DnsRecords => ({
  domain: 'example.com',
  name: 'www',
  type: 'A',
  line: 'default',
  weighted: false,
  ...it,
  records: records.map((one) => ({ id: '1', value: '', ttlS: 60, enabled: true, locked: false, weight: 1, ...one })),
});

function customKind(text: string): ServedKind {
  const [name = '', version = 'v1'] = text.split('/');
  const [kind = '', ...group] = name.split('.');
  return {
    group: group.join('.'),
    version,
    kind,
    resource: `${kind.toLowerCase()}s`,
    namespaced: true,
    verbs: ['get', 'list', 'create'],
    preferred: true,
  };
}

interface SeedSide {
  version: string;
  velero?: { version: string };
  context: string;
  objects: KubeObject[];
}

export interface Seed {
  start: string;
  source: SeedSide;
  target: SeedSide;
  cloud: {
    region: string;
    loadBalancers: Record<string, unknown>[];
    disks: Record<string, unknown>[];
    securityGroups?: { id: string; rules: Record<string, unknown>[] }[];
  };
}

/** The world file beside a playbook as an inventory of it, once all controllers have settled. */
export function inventoryOf(seed: Seed): Inventory {
  return {
    schemaVersion: 1,
    takenAt: seed.start,
    source: settled(seed.source),
    target: settled(seed.target),
    cloud: {
      provider: 'alibaba',
      region: seed.cloud.region,
      loadBalancers: seed.cloud.loadBalancers.map((it) => ({
        region: seed.cloud.region,
        status: 'active',
        tags: {},
        ...it,
        groups: joined(it['groups'], seed.source),
      })) as unknown as LoadBalancer[],
      disks: seed.cloud.disks.map((it) => ({
        region: seed.cloud.region,
        status: 'In_use',
        encrypted: false,
        tags: {},
        ...it,
      })) as unknown as NonNullable<Inventory['cloud']>['disks'],
      sold: zonesIn(seed.target).map((zone) => ({ zone, disks: SOLD })),
      securityGroups: (seed.cloud.securityGroups ?? []).map(({ id, rules }) => ({
        id,
        rules: rules.map((it) => ({ direction: 'ingress', ports: '-1/-1', policy: 'Accept', priority: 1, ...it })),
      })) as unknown as NonNullable<NonNullable<Inventory['cloud']>['securityGroups']>,
      unseen: [],
    },
  };
}

/** What every zone sells unless somebody says otherwise. */
const SOLD = ['cloud_efficiency', 'cloud_ssd', 'cloud_essd', 'cloud_auto'].map((category) => ({
  category,
  minGiB: 1,
  maxGiB: 32_768,
}));

const zonesIn = ({ objects }: SeedSide): string[] => [
  ...new Set(
    objects.flatMap((it) => (it.kind === 'Node' ? (it.metadata.labels?.['topology.kubernetes.io/zone'] ?? []) : [])),
  ),
];

function settled({ version, context, objects: own, velero }: SeedSide): ClusterInventory {
  const served = [
    ...discoveryOf(Number(version.split('.')[1])),
    ...(velero
      ? ['Backup', 'BackupStorageLocation', 'Restore', 'Schedule'].map((kind) => customKind(`${kind}.velero.io/v1`))
      : []),
  ];
  const objects = [...own, ...(velero ? installed(velero.version) : [])];
  const byKind: Record<Kind, KubeObject[]> = Object.fromEntries(served.map((it) => [kindServed(it), []]));
  for (const it of objects) {
    const group = it.apiVersion.includes('/') ? (it.apiVersion.split('/')[0] ?? '') : '';
    const ready = it['spec']?.replicas;
    (byKind[kindServed({ kind: it.kind, group })] ??= []).push(
      typeof ready === 'number' ? { ...it, status: { readyReplicas: ready } } : it,
    );
  }
  return {
    context,
    uid: `uid-${context}`,
    version,
    server: `https://${context}`,
    served,
    objects: byKind,
    unseen: [],
    rights: [],
    everywhere: Object.keys(byKind),
    evidence: NOTHING_MORE,
    dryRun: TAKEN,
  };
}

/** What the twin puts beside a world that has Velero. */
const installed = (version: string): KubeObject[] => [
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'velero', namespace: 'velero' },
    spec: {
      replicas: 1,
      template: { spec: { containers: [{ name: 'velero', image: `velero/velero:v${version}`, args: ['server'] }] } },
    },
  },
  {
    apiVersion: 'velero.io/v1',
    kind: 'BackupStorageLocation',
    metadata: { name: 'default', namespace: 'velero' },
    spec: { provider: 'alibabacloud', objectStorage: { bucket: 'migrate' } },
    status: { phase: 'Available' },
  },
];

/** The members that the source's controller keeps in a shared group: each node, at the node port of the Service. */
function joined(groups: unknown, { objects }: SeedSide): unknown {
  const nodes = objects.filter((it) => it.kind === 'Node');
  return (groups as { id: string }[]).map((group) => {
    const service = objects.find((it) =>
      Object.values(it.metadata.annotations ?? {}).some((value) => value.startsWith(`${group.id}:`)),
    );
    const port: number = service?.['spec'].ports[0].nodePort ?? 0;
    const description = `k8s/${port}/${service?.metadata.name}/${service?.metadata.namespace}/c-shop-120`;
    return {
      ...group,
      backends: nodes.map((it) => ({
        server: String(it['spec'].providerID).split('.')[1],
        port,
        weight: 100,
        type: 'ecs',
        description,
      })),
    };
  });
}
