import { createHash } from 'node:crypto';
import { writeCanonical } from './canonical.js';
import { dataSteps, NEVER_TRAVELS } from './data.js';
import { GITOPS_MARKS } from './disk-writers.js';
import { completeDatabases } from './databases.js';
import { MigrateError } from './errors.js';
import type { Readers } from './fold.js';
import type { Inventory } from './inventory.js';
import { MOUNT_FIELDS } from './mounts.js';
import { canonical, pluralOf } from './objects.js';
import type { Playbook } from './playbook.js';
import type { Right, Side } from './ports.js';
import type { Routers } from './router.js';
import type { Step, StepKinds } from './step.js';
import { markNoReturn } from './no-return.js';
import { trafficSteps } from './traffic.js';

/** (Playbook, Inventory) → Plan. Pure: no I/O, no clock. The same two give the same plan, byte for byte. */
export interface Plan {
  schemaVersion: 1;
  name: string;
  /** SHA-256 over all the rest but `takenAt`: two looks at an unchanged world give the same digest */
  digest: string;
  /** when the inventory was taken that this was made from */
  takenAt: string;
  playbook: Playbook;
  /** each cluster by the uid of its kube-system namespace: a renamed or swapped context is noticed */
  pins: Record<Side, { context: string; uid: string; version: string }>;
  steps: Step[];
  /** what the traffic steps will reach with the backends seen now */
  shares: PlannedShare[];
  /** what the operator should know before starting */
  notes: string[];
}

export interface PlannedShare {
  step: string;
  service: string;
  asked: number;
  reachable: number;
  /** how, in words: `source 100 a node, target 5 a pod` */
  how: string;
}

/** Whether the object travels at all; see `travels`. */
const TRAVELS = 'metadata.labels[velero.io/exclude-from-backup]';
const TEMPLATE = 'spec.template';
const under = (template: string): string[] => MOUNT_FIELDS.map((it) => `${template}.${it}`);
const IMAGES = ['spec.containers.image', 'spec.initContainers.image'];

/**
 * What a plan is made from, of kinds with a namespace, as far as they need not be held whole. Of the target it takes no more than its own
 * parts and the Services of the playbook.
 */
export function planTakes({ data }: Playbook): Readers {
  // Rules of the playbook's own are tried on every object, and may ask for anything.
  if (data?.rules.some((it) => it.patches ?? it.conditions.matches))
    return { source: { '*': 'whole' }, target: TARGET };
  const always = data?.waves.some((it) => it.labels) || data?.rules.length ? [TRAVELS, 'metadata.labels'] : [TRAVELS];
  const images = Object.keys(data?.images ?? {}).length > 0 ? IMAGES : [];
  const pods = [...always, `${TEMPLATE}.spec.priorityClassName`, ...images.map((it) => `${TEMPLATE}.${it}`)];
  const moves = data !== undefined && (data.disks.by !== 'none' || data.disks.shares.length > 0);
  const marks = moves ? GITOPS_MARKS.flatMap((it) => [`metadata.labels[${it}]`, `metadata.annotations[${it}]`]) : [];
  const workload = [...pods, ...marks, 'spec.replicas', `${TEMPLATE}.metadata.labels`, ...under(TEMPLATE)];
  return {
    source: {
      '*': always,
      Secret: [...always, 'type'],
      Service: [...always, 'spec.type', 'spec.ports', 'spec.selector'],
      PersistentVolumeClaim: 'whole',
      'Deployment.apps': workload,
      'StatefulSet.apps': [...workload, 'spec.volumeClaimTemplates', 'spec.persistentVolumeClaimRetentionPolicy'],
      'DaemonSet.apps': moves ? [...pods, ...under(TEMPLATE)] : pods,
      'CronJob.batch': [
        ...always,
        'spec.suspend',
        'spec.startingDeadlineSeconds',
        ...images.map((it) => `spec.jobTemplate.${TEMPLATE}.${it}`),
        ...(moves ? under(`spec.jobTemplate.${TEMPLATE}`) : []),
      ],
      'RoleBinding.rbac.authorization.k8s.io': [...always, 'roleRef'],
      Pod: moves ? ['status.podIP', 'status.phase', ...MOUNT_FIELDS] : ['status.podIP'],
      'Job.batch': ['spec.suspend', 'status.conditions'],
      'ScaledObject.keda.sh': [...always, 'spec.scaleTargetRef'],
      ...Object.fromEntries(
        [...NEVER_TRAVELS].filter((it) => it !== 'Pod' && it !== 'Job.batch').map((kind) => [kind, 'named'] as const),
      ),
    },
    target: TARGET,
  };
}

/**
 * What is enough to tell whether there can be a plan, and which rights it needs: which kinds come along, and not the name of each object.
 */
export function needsTake(playbook: Playbook): Readers {
  const takes = planTakes(playbook);
  if (takes.source?.['*'] === 'whole') return takes;
  return { ...takes, source: { ...takes.source, '*': 'some', Secret: 'some' } };
}

const TARGET: NonNullable<Readers['target']> = {
  '*': 'named',
  'Deployment.apps': ['spec.replicas', 'spec.template.metadata.labels'],
  'StatefulSet.apps': ['spec.replicas', 'spec.template.metadata.labels'],
};

/**
 * @throws MigrateError PLAN_SAME_CLUSTER, PLAN_SHARE_UNREACHABLE, PLAN_SERVICE_UNFIT, PLAN_DISK_UNFIT, PLAN_SHARED_VOLUME_UNFIT, PLAN_NOT_SEEN
 */
export function makePlan(playbook: Playbook, inventory: Inventory, routers: Routers): Plan {
  const { source, target } = inventory;
  if (source.uid === target.uid) {
    throw new MigrateError('PLAN_SAME_CLUSTER', {
      what: `Contexts ${source.context} and ${target.context} lead to the same cluster.`,
      why: `Both have a kube-system namespace with uid ${source.uid}.`,
      fix: 'Name another context as source or target in the playbook.',
    });
  }
  const data = dataSteps(playbook, inventory);
  const traffic = trafficSteps(playbook, inventory, routers, data.steps);
  const moved = [...data.steps, ...traffic.steps];
  markNoReturn(moved);
  const plan = {
    schemaVersion: 1 as const,
    name: playbook.name,
    playbook,
    pins: { source: pin(source), target: pin(target) },
    steps: [...moved, ...completeDatabases(playbook.data?.databases ?? [], lastOf(moved))],
    shares: traffic.shares,
    notes: [...data.notes, ...traffic.notes],
  };
  return { ...plan, digest: digestOf(plan), takenAt: inventory.takenAt };
}

/** Ids of the steps of the move itself that nothing of it waits for. */
function lastOf(steps: readonly Step[]): string[] {
  const moving = steps.filter((it) => it.phase !== 'complete');
  return moving.filter((it) => !moving.some((other) => other.after.includes(it.id))).map((it) => it.id);
}

const pin = ({ context, uid, version }: { context: string; uid: string; version: string }) => ({
  context,
  uid,
  version,
});

export function digestOf(plan: Omit<Plan, 'digest' | 'takenAt'>): string {
  const hash = createHash('sha256');
  // In pieces: a plan names each object that moves, and its text would be held three times over.
  writeCanonical(plan, (text) => void hash.update(text));
  return hash.digest('hex');
}

/** Reads a plan from a file's text. @throws MigrateError PLAN_INVALID */
export function parsePlan(text: string, file: string): Plan {
  const bad = (why: string) =>
    new MigrateError('PLAN_INVALID', {
      what: `${file} is not a plan.`,
      why,
      fix: 'Make a new one with `migrate plan -o plan.json`.',
    });
  let plan: Plan;
  try {
    plan = JSON.parse(text) as Plan;
  } catch {
    throw bad('It is not JSON.');
  }
  if (plan === null || typeof plan !== 'object' || plan.schemaVersion !== 1 || !Array.isArray(plan.steps))
    throw bad('It has no schemaVersion 1 and no steps.');
  const { digest, takenAt: _takenAt, ...rest } = plan;
  if (digestOf(rest) !== digest)
    throw bad('Its digest does not match what it says: it was changed by hand or damaged.');
  return plan;
}

/** What the identities need to carry the plan out, each right once, with resources named as the servers name them. */
export function rightsNeeded(plan: Plan, kinds: StepKinds, inventory: Inventory): Record<Side, Right[]> {
  const needs: Record<Side, Map<string, Right>> = { source: new Map(), target: new Map() };
  for (const step of plan.steps) {
    const rights = kinds.get(step.kind)?.rights(step.args) ?? {};
    for (const side of ['source', 'target'] as const) {
      for (const right of rights[side] ?? []) {
        const served = inventory[side].served.find(
          (it) => it.group === right.group && pluralOf(it.kind) === right.resource,
        );
        const named = { ...right, resource: served?.resource ?? right.resource };
        needs[side].set(canonical(named), named);
      }
    }
  }
  return { source: [...needs.source.values()], target: [...needs.target.values()] };
}
