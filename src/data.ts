import { appSteps } from './app-steps.js';
import type { RetainArgs, ScaleArgs, Workload } from './args.js';
import { databaseSteps } from './databases.js';
import { type Brought, diskNotes, diskSteps, checkSteps } from './disk-steps.js';
import { movedDisks } from './disks.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import { pathOf } from './objects.js';
import { heldWorkloads } from './one-side.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { Kind, KubeObject } from './ports.js';
import { movedShares } from './shares.js';
import type { Step } from './step.js';

export { NEVER_TRAVELS } from './travel.js';

const SCALABLE: readonly Kind[] = ['Deployment.apps', 'StatefulSet.apps'];

/**
 * The data phase as steps.
 *
 * @throws MigrateError PLAN_RULE_FAILS
 */
export function dataSteps(playbook: Playbook, inventory: Inventory): { steps: Step[]; notes: string[] } {
  const { data } = playbook;
  if (!data) return { steps: [], notes: [] };
  const { source } = inventory;
  const steps: Step[] = [];
  const notes: string[] = [];
  const add: Add = (id, kind, args, after) => {
    steps.push({ id: `data/${id}`, kind, phase: 'data', args, after: after.map((it) => `data/${it}`) });
    return id;
  };
  const { disks, notes: told } = movedDisks(playbook, inventory);
  const { shares, notes: ofShares } = movedShares(playbook, inventory);
  notes.push(...told, ...diskNotes(disks, data.disks), ...ofShares);
  const apps = appSteps({ playbook, data, inventory, add, notes });
  const brought = [...disks, ...shares];
  const first = [...(apps.first === undefined ? [] : [apps.first]), ...addRetain(brought, source, add, notes)];
  apps.bring(diskSteps(disks, shares, data, add, first), brought);
  checkSteps(disks, steps, add);
  notes.push(...addDatabases(data.databases, steps));
  if (list(source, 'CronJob.batch', data.namespaces).length > 0) {
    notes.push('CronJobs arrive suspended; they change sides in one step, after the last traffic step.');
  }
  const held = heldWorkloads(playbook);
  const daemons = list(source, 'DaemonSet.apps', data.namespaces).filter(
    (it) => !held.has(`DaemonSet.apps ${pathOf(it.metadata)}`),
  );
  if (daemons.length > 0)
    notes.push(
      `DaemonSets can't arrive stopped: ${daemons.map((it) => pathOf(it.metadata)).join(', ')} run on the target from the restore on.`,
    );
  return { steps, notes };
}

/** The old volumes outlive their claims: disks for the way back, shares because the target works on them. */
function addRetain(brought: readonly Brought[], source: ClusterInventory, add: Add, notes: string[]): string[] {
  const names = new Set(brought.map((it) => it.volume));
  const volumes = (source.objects['PersistentVolume'] ?? [])
    .filter((it) => names.has(it.metadata.name) && it['spec']?.persistentVolumeReclaimPolicy !== 'Retain')
    .map((it) => it.metadata.name);
  if (volumes.length === 0) return [];
  notes.push(
    `Volumes of the source are set to Retain first, and stay so until the way back: ${volumes.join(', ')}. Delete them by hand once nobody needs them.`,
  );
  return [add<RetainArgs>('retain', 'retain-volumes', { volumes }, [])];
}

/** Workloads of the target start once the databases that they use serve there; the switch-over waits for all else that is brought. */
function addDatabases(databases: PlaybookData['databases'], steps: Step[]): string[] {
  const starts = steps.filter(({ kind, args }) => kind === 'scale' && (args as ScaleArgs).side === 'target');
  // A later wave is brought after an earlier one has started; that can't be waited for.
  const later = new Set(starts.map((it) => it.id));
  for (const it of steps) if (it.after.some((id) => later.has(id))) later.add(it.id);
  const early = steps.filter((it) => !later.has(it.id));
  const brought = early.filter((it) => !early.some((other) => other.after.includes(it.id))).map((it) => it.id);
  const added = databaseSteps(databases, brought);
  for (const it of starts) it.after.push(...added.last);
  steps.push(...added.steps);
  return added.notes;
}

export type Add = <Args>(id: string, kind: string, args: Args, after: string[]) => string;

const list = (side: ClusterInventory, kind: Kind, namespaces: readonly string[]): KubeObject[] =>
  (side.objects[kind] ?? []).filter((it) => namespaces.includes(it.metadata.namespace ?? ''));

export function workloadsOf(side: ClusterInventory, namespace: string): Workload[] {
  return SCALABLE.flatMap((kind) =>
    list(side, kind, [namespace]).map((it) => ({
      kind,
      namespace,
      name: it.metadata.name,
      replicas: Number(it['spec']?.replicas ?? 1),
    })),
  );
}
