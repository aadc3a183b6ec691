import { stringify } from 'yaml';
import type {
  BackupArgs,
  ConvertArgs,
  CopyArgs,
  DiskArgs,
  RestoreArgs,
  RulesArgs,
  ScaleArgs,
  SnapshotArgs,
  VolumeArgs,
  Workload,
} from './args.js';
import { conversionFor } from './convert.js';
import { movedDisks, type MovedDisk } from './disks.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import { pathOf, splitKind } from './objects.js';
import { inertRules } from './inert.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { Kind, KubeObject } from './ports.js';
import type { Step } from './step.js';

/**
 * Kinds that never travel: what controllers make again, what belongs to one cluster, and volumes, which we make ourselves.
 * @source vmware-tanzu/velero:pkg/restore/restore.go (nonRestorableResources) and what users lost to copied children
 */
export const NEVER_TRAVELS: ReadonlySet<Kind> = new Set([
  'Pod',
  'ReplicaSet.apps',
  'ControllerRevision.apps',
  'Endpoints',
  'EndpointSlice.discovery.k8s.io',
  'Event',
  'Event.events.k8s.io',
  'Lease.coordination.k8s.io',
  'Job.batch',
  'PersistentVolume',
  'PodMetrics.metrics.k8s.io',
  'PodTemplate',
]);

const EXCLUDED_RESOURCES = [
  'pods',
  'replicasets.apps',
  'controllerrevisions.apps',
  'endpoints',
  'endpointslices.discovery.k8s.io',
  'events',
  'events.events.k8s.io',
  'leases.coordination.k8s.io',
  'jobs.batch',
  'persistentvolumes',
  'ingresses.extensions',
];

const SCALABLE: readonly Kind[] = ['Deployment.apps', 'StatefulSet.apps'];

/** The data phase as steps. */
export function dataSteps(playbook: Playbook, inventory: Inventory): { steps: Step[]; notes: string[] } {
  const { data } = playbook;
  if (!data) return { steps: [], notes: [] };
  const { source, target } = inventory;
  const steps: Step[] = [];
  const notes: string[] = [];
  const add = <Args>(id: string, kind: string, args: Args, after: string[]) => {
    steps.push({ id: `data/${id}`, kind, phase: 'data', args, after: after.map((it) => `data/${it}`) });
    return id;
  };

  const converted = convertedObjects(data, source, target);
  const velero = { namespace: data.velero.namespace, deadlineMs: data.velero.deadline };
  const excluded = [...EXCLUDED_RESOURCES, ...resourceNames([...new Set(converted.map((it) => it.kind))], source)];
  const backup = add<BackupArgs>(
    'backup',
    'velero-backup',
    { ...velero, name: playbook.name, location: data.velero.storageLocation, namespaces: data.namespaces, excluded },
    [],
  );

  const { disks, notes: diskNotes } = movedDisks(playbook, inventory);
  notes.push(...diskNotes);
  const volumes = disks.map((disk) => diskSteps(disk, add, backup));

  const rules = add<RulesArgs>(
    'rules',
    'restore-rules',
    { ...velero, name: playbook.name, rules: stringify(inertRules(playbook, inventory)) },
    [],
  );
  const restore = add<RestoreArgs>(
    'restore',
    'velero-restore',
    {
      ...velero,
      name: playbook.name,
      namespaces: data.namespaces,
      excluded,
      expects: expected(data, source, new Set(converted.map((it) => it.kind))),
      claims: disks.map((it) => it.claim),
    },
    [backup, rules, ...new Set(volumes)],
  );
  const before = [restore];
  if (converted.length > 0) before.push(add<ConvertArgs>('convert', 'convert', { objects: converted }, [restore]));

  if (data.arrive === 'stopped') {
    for (const namespace of data.namespaces) {
      const workloads = workloadsOf(source, namespace).filter((it) => it.replicas > 0);
      if (workloads.length === 0) continue;
      add<ScaleArgs>(`start/${namespace}`, 'scale', { side: 'target', to: 'given', workloads }, before);
    }
  }
  if (
    converted.some((it) => it.kind === 'CronJob.batch') ||
    list(source, 'CronJob.batch', data.namespaces).length > 0
  ) {
    notes.push('CronJobs arrive suspended; they change sides in one step, after the last traffic step.');
  }
  const daemons = list(source, 'DaemonSet.apps', data.namespaces);
  if (daemons.length > 0)
    notes.push(
      `DaemonSets can't arrive stopped: ${daemons.map((it) => pathOf(it.metadata)).join(', ')} run on the target from the restore on.`,
    );
  return { steps, notes };
}

type Add = <Args>(id: string, kind: string, args: Args, after: string[]) => string;

/** quiesce → snapshot → copy when the region differs → disk → volume; returns the id of the last. */
function diskSteps(disk: MovedDisk, add: Add, backup: string): string {
  const id = `disk/${disk.claim}`;
  const quiesced =
    disk.workloads.length > 0
      ? add<ScaleArgs>(
          `quiesce/${disk.claim}`,
          'scale',
          { side: 'source', to: 'zero', workloads: disk.workloads, detached: [disk.volume] },
          [backup],
        )
      : backup;
  const snapshot = add<SnapshotArgs>(
    `${id}/snapshot`,
    'snapshot',
    { claim: disk.claim, disk: disk.disk, region: disk.region },
    [quiesced],
  );
  let ready = snapshot;
  if (disk.toRegion !== disk.region) {
    ready = add<CopyArgs>(
      `${id}/copy`,
      'copy-snapshot',
      {
        claim: disk.claim,
        disk: disk.disk,
        region: disk.region,
        toRegion: disk.toRegion,
        sizeGiB: disk.sizeGiB,
        ...(disk.kmsKey && { kmsKey: disk.kmsKey }),
      },
      [snapshot],
    );
  }
  const { claim, toRegion: region, zone, category, performanceLevel, sizeGiB, encrypted, kmsKey } = disk;
  const created = add<DiskArgs>(
    `${id}/disk`,
    'create-disk',
    {
      claim,
      disk: disk.disk,
      from: disk.toRegion === disk.region ? 'snapshot' : 'copy',
      region,
      zone,
      category,
      sizeGiB,
      encrypted,
      ...(performanceLevel && { performanceLevel }),
      ...(kmsKey && { kmsKey }),
    },
    [ready],
  );
  return add<VolumeArgs>(`${id}/volume`, 'create-volume', { claim, disk: disk.disk, region, volume: disk.newVolume }, [
    created,
  ]);
}

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

/** Objects that a restore can't bring, because the two clusters share no version of their kind; we convert and apply them. */
function convertedObjects(
  data: PlaybookData,
  source: ClusterInventory,
  target: ClusterInventory,
): ConvertArgs['objects'] {
  return Object.keys(source.objects).flatMap((kind) => {
    const conversion = conversionFor(kind, source, target);
    if (!conversion || hasTwin(kind, source)) return [];
    return list(source, kind, data.namespaces).map((it) => ({
      kind,
      namespace: it.metadata.namespace ?? '',
      name: it.metadata.name,
      to: conversion.to,
    }));
  });
}

/** `Ingress.extensions` where the server shows the same objects as `Ingress.networking.k8s.io` too. */
export const hasTwin = (kind: Kind, side: ClusterInventory): boolean => {
  const { kind: word, group } = splitKind(kind);
  return group === 'extensions' && side.served.some((it) => it.kind === word && it.group !== 'extensions');
};

const resourceNames = (kinds: readonly Kind[], side: ClusterInventory) =>
  kinds.flatMap((kind) => {
    const { kind: word, group } = splitKind(kind);
    const served = side.served.find((it) => it.kind === word && it.group === group);
    return served ? [group ? `${served.resource}.${group}` : served.resource] : [];
  });

/** What must be there after the restore, per kind, as `namespace/name`. */
function expected(data: PlaybookData, source: ClusterInventory, converted: ReadonlySet<Kind>): Record<Kind, string[]> {
  const found: Record<Kind, string[]> = {};
  for (const kind of Object.keys(source.objects).sort()) {
    if (NEVER_TRAVELS.has(kind) || converted.has(kind) || hasTwin(kind, source)) continue;
    const names = list(source, kind, data.namespaces)
      .filter((it) => travels(kind, it))
      .map((it) => pathOf(it.metadata));
    if (names.length > 0) found[kind] = names.sort();
  }
  return found;
}

/** What a restore brings of the kinds that it brings. */
export function travels(kind: Kind, object: KubeObject): boolean {
  const { name, ownerReferences, labels } = object.metadata;
  if (ownerReferences?.some((it) => it.controller)) return false;
  if (labels?.['velero.io/exclude-from-backup'] === 'true') return false;
  if (kind === 'ConfigMap') return name !== 'kube-root-ca.crt';
  if (kind === 'ServiceAccount') return name !== 'default';
  // Signed by the old cluster; the new one has its own.
  if (kind === 'Secret') return object['type'] !== 'kubernetes.io/service-account-token';
  if (kind === 'Service') return !(name === 'kubernetes' && object.metadata.namespace === 'default');
  return true;
}
