import { checks } from '../checks/index.js';
import { openStage, type Stage, type StageOptions } from '../src/cli/stage.js';
import type { Engine } from '../src/engine.js';
import type { EventBody } from '../src/events.js';
import { openJournal, type JournalStore, memoryStore } from '../src/journal.js';
import { takeInventory } from '../src/look.js';
import { makePlan, type Plan } from '../src/plan.js';
import { parsePlaybook, type Playbook } from '../src/playbook.js';
import type { Tap, World } from '../src/ports.js';
import { routers } from '../src/routers/index.js';
import type { Copy, Step } from '../src/step.js';
import type { ClusterSeed, Seed, TwinObject } from '../src/twin/types.js';
import { engineOn } from './shop.js';

/** Workloads with disks in a cluster that moves, within its region or to another one. */

export const REGION = 'cn-hangzhou';
export const FAR = 'cn-shanghai';
export const FAR_KEY = 'key-of-shanghai';

export interface DisksOptions {
  /** replicas of each StatefulSet; each replica has a disk */
  sets: readonly number[];
  /** Deployments with one disk each */
  deployments?: number;
  toRegion?: typeof REGION | typeof FAR;
  /** live passes */
  live?: number;
  /** every so many disks one is encrypted; none when absent */
  encryptedEvery?: number;
  sizeGiB?: number;
  /** `HH:MM-HH:MM` in which writers may stop */
  window?: string;
}

export interface SeededDisk {
  claim: string;
  id: string;
  volume: string;
  zone: string;
  encrypted: boolean;
}

const ZONES = ['b', 'i'] as const;
const CLASS = 'alicloud-disk-essd';
const NAMESPACE = 'data';

interface Owner {
  kind: 'StatefulSet' | 'Deployment';
  name: string;
  claims: string[];
}

function ownersOf({ sets, deployments = 0 }: DisksOptions): Owner[] {
  return [
    ...sets.map((replicas, index): Owner => ({
      kind: 'StatefulSet',
      name: `set-${index}`,
      claims: Array.from({ length: replicas }, (_, ordinal) => `data-set-${index}-${ordinal}`),
    })),
    ...Array.from({ length: deployments }, (_, index): Owner => ({
      kind: 'Deployment',
      name: `app-${index}`,
      claims: [`app-${index}`],
    })),
  ];
}

export function disksOf(options: DisksOptions): {
  playbook: Playbook;
  seed: Seed;
  disks: SeededDisk[];
} {
  const { toRegion = FAR, live = 1, encryptedEvery, sizeGiB = 40, window } = options;
  const owners = ownersOf(options);
  const disks = owners
    .flatMap((it) => it.claims)
    .map((claim, index): SeededDisk => {
      const number = String(index).padStart(3, '0');
      const zone = `${REGION}-${ZONES[index % ZONES.length]}`;
      return {
        claim: `${NAMESPACE}/${claim}`,
        id: `d-old${number}`,
        volume: `pv-${number}`,
        zone,
        encrypted: encryptedEvery !== undefined && index % encryptedEvery === 0,
      };
    });
  const playbook = parsePlaybook(
    `apiVersion: migrate/v1alpha1
kind: Playbook
name: disks
source: { context: old }
target: { context: new }
cloud: { provider: alibaba, region: ${REGION}${toRegion === REGION ? '' : `, targetRegion: ${toRegion}`} }
data:
  namespaces: [${NAMESPACE}]
  zone: ${toRegion}-b
  kmsKey: ${FAR_KEY}
  disks: { by: copy, live: ${live}${window === undefined ? '' : `, window: ${window}`} }
`,
    'disks.yaml',
  );
  return {
    playbook,
    disks,
    seed: {
      start: '2026-11-23T06:00:00Z',
      source: cluster('v1.24.6', REGION, 1, Math.ceil(disks.length / 8) + 2, [
        ...owners.flatMap((it) => workload(it)),
        ...disks.flatMap((it) => stored(it, sizeGiB)),
      ]),
      target: cluster('v1.36.3', toRegion, 2, 2, []),
      cloud: {
        region: REGION,
        loadBalancers: [],
        disks: disks.map((it) => ({
          id: it.id,
          zone: it.zone,
          category: 'cloud_essd',
          performanceLevel: 'PL1',
          sizeGiB,
          encrypted: it.encrypted,
          ...(it.encrypted && { kmsKey: 'key-of-hangzhou' }),
          content: [`first of ${it.id}`],
        })),
      },
    },
  };
}

function cluster(version: string, region: string, net: number, nodes: number, objects: TwinObject[]): ClusterSeed {
  return {
    version,
    ccm: null,
    podNetwork: 'overlay',
    objects: [
      ...Array.from({ length: nodes }, (_, index) => node(region, net, index)),
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: CLASS },
        provisioner: 'diskplugin.csi.alibabacloud.com',
        parameters: { type: 'cloud_essd', performanceLevel: 'PL1' },
        volumeBindingMode: 'WaitForFirstConsumer',
      },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
      ...objects,
    ],
  };
}

function node(region: string, net: number, index: number): TwinObject {
  const zone = `${region}-${ZONES[index % ZONES.length]}`;
  const address = `10.${net}.0.${index + 10}`;
  const size = { cpu: '64', memory: '256Gi', pods: '110' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `${region}.${address}`,
      labels: {
        'kubernetes.io/os': 'linux',
        'topology.kubernetes.io/region': region,
        'topology.kubernetes.io/zone': zone,
        'topology.diskplugin.csi.alibabacloud.com/zone': zone,
      },
    },
    spec: { providerID: `${region}.i-${net}x${index}`, podCIDR: `172.${20 + net}.${index}.0/24` },
    status: {
      addresses: [{ type: 'InternalIP', address }],
      capacity: size,
      allocatable: size,
      conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
      nodeInfo: { kubeletVersion: 'v1.24.6', containerRuntimeVersion: 'containerd://1.6.28' },
    },
  };
}

function workload({ kind, name, claims }: Owner): TwinObject[] {
  const labels = { app: name };
  const isSet = kind === 'StatefulSet';
  return [
    {
      apiVersion: 'apps/v1',
      kind,
      metadata: { name, namespace: NAMESPACE },
      spec: {
        replicas: claims.length,
        selector: { matchLabels: labels },
        ...(isSet && { serviceName: name, podManagementPolicy: 'Parallel' }),
        template: {
          metadata: { labels },
          spec: {
            containers: [{ name: 'it', image: 'it:1', volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
            ...(!isSet && { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: claims[0] } }] }),
          },
        },
        ...(isSet && {
          volumeClaimTemplates: [
            {
              metadata: { name: 'data' },
              spec: {
                accessModes: ['ReadWriteOnce'],
                storageClassName: CLASS,
                resources: { requests: { storage: '40Gi' } },
              },
            },
          ],
        }),
      },
    },
  ];
}

function stored({ claim, id, volume, zone }: SeededDisk, sizeGiB: number): TwinObject[] {
  const name = claim.slice(claim.indexOf('/') + 1);
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: NAMESPACE },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: CLASS,
        volumeName: volume,
        resources: { requests: { storage: `${sizeGiB}Gi` } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: volume },
      spec: {
        accessModes: ['ReadWriteOnce'],
        capacity: { storage: `${sizeGiB}Gi` },
        storageClassName: CLASS,
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: NAMESPACE, name },
        csi: {
          driver: 'diskplugin.csi.alibabacloud.com',
          volumeHandle: id,
          fsType: 'ext4',
          volumeAttributes: { type: 'cloud_essd' },
        },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              {
                matchExpressions: [
                  { key: 'topology.diskplugin.csi.alibabacloud.com/zone', operator: 'In', values: [zone] },
                ],
              },
            ],
          },
        },
      },
    },
  ];
}

/** The part of a plan that is about disks alone, as if what they wait for were done. */
export async function diskPlan(playbook: Playbook, world: World): Promise<Plan> {
  const plan = makePlan(playbook, await takeInventory(playbook, world, checks), routers);
  const isOfDisks = ({ id }: Step) => /^data\/(?:disk|quiesce)\//.test(id);
  const ids = new Set(plan.steps.filter(isOfDisks).map((it) => it.id));
  return {
    ...plan,
    steps: plan.steps.filter(isOfDisks).map((it) => ({ ...it, after: it.after.filter((id) => ids.has(id)) })),
  };
}

/** Disks on a stage with the part of a plan that is about them. */
export interface DiskLife {
  options: DisksOptions;
  stage: Stage;
  disks: readonly SeededDisk[];
  plan: Plan;
  store: JournalStore;
  start: unknown;
  /** of the cloud, by action, since the plan was made */
  calls: Map<string, { sent: number; refused: Map<string, number> }>;
  /** what is kept on the way back */
  kept: Copy[];
  /** as a process that begins now would go on: it has seen nothing yet */
  engine(deletesCopies?: boolean): Engine;
}

export interface LifeOptions extends Omit<StageOptions, 'tap'> {
  /** outermost: what it throws was not counted */
  tap?: Tap;
  store?: JournalStore;
  plan?: Plan;
  emit?: (event: EventBody) => void;
  /** instead of only those of the disks */
  seed?: (seed: Seed) => Seed;
}

export async function diskLife(
  options: DisksOptions,
  { tap = (_call, send) => send(), store = memoryStore(), plan: given, emit, seed: change, ...rest }: LifeOptions = {},
): Promise<DiskLife> {
  const { playbook, seed, disks } = disksOf(options);
  const calls: DiskLife['calls'] = new Map();
  const stage = await openStage(playbook, change?.(seed) ?? seed, {
    ...rest,
    cloud: { ...rest.cloud, rates: { diskWritesPerSecond: 1, ...rest.cloud?.rates } },
    tap: (call, send) =>
      tap(call, async () => {
        if (call.to !== 'cloud') return send();
        const counted = calls.get(call.verb) ?? { sent: 0, refused: new Map<string, number>() };
        calls.set(call.verb, counted);
        counted.sent++;
        try {
          return await send();
        } catch (error) {
          const code = String((error as { code?: string }).code);
          counted.refused.set(code, (counted.refused.get(code) ?? 0) + 1);
          throw error;
        }
      }),
  });
  await stage.twin.settle();
  const start: unknown = stage.twin.snapshot();
  const plan = given ?? (await diskPlan(playbook, stage.world));
  calls.clear();
  const kept: Copy[] = [];
  return {
    options,
    stage,
    disks,
    plan,
    store,
    start,
    calls,
    kept,
    engine: (deletesCopies = true) => ({
      ...engineOn(stage, store, (event) => {
        writeLast(event, stage, plan, disks);
        emit?.(event);
      }),
      world: { ...stage.world, cloud: { ...stage.world.cloud } },
      deletesCopies,
      kept: (copy) => void kept.push(copy),
    }),
  };
}

/** The writers write once more when their step to stop begins, if they still can. */
function writeLast(event: EventBody, { twin }: Stage, plan: Plan, disks: readonly SeededDisk[]): void {
  if (event.type !== 'step' || event.state !== 'begun') return;
  const step = plan.steps.find((it) => it.id === event.step);
  if (step?.kind !== 'quiesce') return;
  const { claims } = step.args as { claims: string[] };
  for (const { claim, id } of disks) {
    if (!claims.includes(claim)) continue;
    try {
      twin.cloud.api.writeTo(id, `last at ${twin.clock.now()}`);
    } catch {
      // It is detached already.
    }
  }
}

interface CloudThing {
  id: string;
  name: string;
  region: string;
  zone?: string;
  status: string;
  encrypted: boolean;
  kmsKey: string;
  sourceDisk?: string;
  sourceSnapshot: string;
  instance?: string;
  tags: Record<string, string>;
}

export interface Things {
  disks: CloudThing[];
  snapshots: CloudThing[];
}

/** What is in the cloud that was not there at the start, in all regions. */
export function addedTo({ stage, start }: DiskLife): Things {
  const { disks, snapshots } = (stage.twin.snapshot() as { cloud: Things }).cloud;
  const old = (start as { cloud: Things }).cloud;
  const isNew = (list: CloudThing[]) => (it: CloudThing) => !list.some((one) => one.id === it.id);
  return { disks: disks.filter(isNew(old.disks)), snapshots: snapshots.filter(isNew(old.snapshots)) };
}

/** What was drawn for each step that is begun or done. */
const drawnBy = ({ store, stage }: DiskLife): Map<string, string> =>
  new Map(
    openJournal(store, () => stage.world.clock.now())
      .records()
      .flatMap(({ step, before }) => {
        const { id } = (before ?? {}) as { id?: string };
        return id === undefined ? [] : [[step.id, id] as const];
      }),
  );

/** What is wrong with a move that is done: each disk has exactly one copy of each pass, one new disk and one volume, with all that was written. */
export async function wrongAtEnd(life: DiskLife): Promise<string[]> {
  const { stage, disks, options, kept } = life;
  const { toRegion = FAR, live = 1 } = options;
  const far = toRegion !== REGION;
  const wrong: string[] = [];
  const added = addedTo(life);
  const keptIds = new Set(kept.map((it) => it.id));
  const now = {
    disks: added.disks.filter((it) => !keptIds.has(it.id)),
    snapshots: added.snapshots.filter((it) => !keptIds.has(it.id)),
  };
  const drawn = drawnBy(life);
  for (const it of [...now.disks, ...now.snapshots])
    if (![...drawn.values()].some((id) => it.tags['migrate-id'] === id || it.tags['migrate-id']?.startsWith(`${id}/`)))
      wrong.push(`${it.id} (${it.tags['migrate-id']}) is of no step`);
  const volumes = await stage.twin.target.api.list('v1/persistentvolumes');
  if (volumes.length !== disks.length) wrong.push(`${volumes.length} volumes for ${disks.length} disks`);
  for (const { claim, id, volume, encrypted } of disks) {
    const oneOf = (list: CloudThing[], step: string, region: string): CloudThing | undefined => {
      const tag = drawn.get(`data/disk/${claim}/${step}`);
      const found = list.filter(
        (it) => it.region === region && tag !== undefined && it.tags['migrate-id']?.startsWith(tag),
      );
      if (found.length !== 1) wrong.push(`${claim}: ${found.length} of ${step} in ${region}`);
      return found[0];
    };
    const passes = [...Array.from({ length: live }, (_, index) => `live/${index + 1}/`), ''];
    for (const pass of passes) {
      oneOf(now.snapshots, `${pass}snapshot`, REGION);
      if (far) oneOf(now.snapshots, `${pass}copy`, toRegion);
    }
    const mine = now.snapshots.filter((it) => it.sourceDisk === id);
    if (mine.length !== passes.length * (far ? 2 : 1)) wrong.push(`${claim}: ${mine.length} snapshots and copies`);
    const disk = oneOf(now.disks, 'disk', toRegion);
    if (!disk) continue;
    const handle: unknown = volumes.find((it) => it.metadata.name === volume)?.['spec'].csi.volumeHandle;
    if (handle !== disk.id) wrong.push(`${volume} names ${String(handle)}, not ${disk.id}`);
    if (disk.status !== 'Available' || disk.encrypted !== encrypted)
      wrong.push(`${claim}: ${disk.id} is ${disk.status}, encrypted ${disk.encrypted}`);
    if (encrypted && far && disk.kmsKey !== FAR_KEY) wrong.push(`${claim}: key ${disk.kmsKey}`);
    const [was, is] = [stage.twin.cloud.api.contentOf(id), stage.twin.cloud.api.contentOf(disk.id)];
    if (JSON.stringify(was) !== JSON.stringify(is))
      wrong.push(`${claim}: has ${JSON.stringify(is)}, not ${JSON.stringify(was)}`);
    if ((was?.data.length ?? 0) < 2) wrong.push(`${claim}: nothing was written before its writers stopped`);
  }
  return wrong;
}
