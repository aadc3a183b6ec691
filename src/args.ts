import type { LivePasses } from './disk-estimate.js';
import type { NamedRule } from './modifiers.js';
import type { Kind, KubeObject, Side } from './ports.js';
import type { Drain, Gate } from './gates.js';
import type { ClbRoute } from './clb.js';
import type { Route } from './router.js';
import type { Window } from './window.js';

/** What the planner writes into steps and their kinds read: JSON, one shape for each kind of step. */

interface VeleroArgs {
  /** Velero's namespace, the same on both sides */
  namespace: string;
  /** the plan's name; names of objects derive from it and the plan's digest */
  name: string;
  deadlineMs: number;
}

export interface BackupArgs extends VeleroArgs {
  location: string;
  namespaces: string[];
  /** as `resource.group` */
  excluded: string[];
  /** what must be in it, as `namespace/name` */
  expects: Record<Kind, string[]>;
}

/** Objects of one kind that go from one cluster to the other. */
export interface Passing {
  /** as the source has it */
  kind: Kind;
  /** apiVersion in which the source is asked for them, when that is not the one that it prefers */
  from?: string;
  /** apiVersion in which they arrive */
  to: string;
  /** rewritten by us: the two share no version */
  converted?: true;
  /** as the target has it: `ingresses.networking.k8s.io` */
  resource: string;
  /** `namespace/name`, or a name */
  objects: string[];
}

export interface WrittenArgs extends VeleroArgs {
  location: string;
  namespaces: string[];
  passing: Passing[];
  rules: NamedRule[];
  keepNodePorts: boolean;
}

export interface RulesArgs extends VeleroArgs {
  /** resource modifiers, YAML */
  rules: string;
}

export interface RestoreArgs extends VeleroArgs {
  location: string;
  namespaces: string[];
  excluded: string[];
  /** what must be there afterwards, as `namespace/name` */
  expects: Record<Kind, string[]>;
  /** claims that must be bound afterwards, as `namespace/name` */
  claims: string[];
  /** restores of one plan by their order, from 1; absent where there is one */
  wave?: number;
  /** only objects with these labels */
  labels?: Record<string, string>;
  /** the backup was written by us: rules were applied, and the source needs no Velero */
  written?: boolean;
  keepNodePorts?: boolean;
  /** what arrives running, in place of a start of its own */
  running?: Workload[];
  /** as in ScaleArgs, where something arrives running */
  moved?: Moved;
}

export interface ConvertArgs {
  /** why a restore does not bring them; each has its own proof that it arrived */
  what: 'definitions' | 'cluster' | 'converted' | 'handmade' | 'webhooks';
  passing: Passing[];
  rules: NamedRule[];
}

export interface ManifestArgs {
  what: 'apply' | 'start';
  /** of the plan */
  name: string;
  /** the folder or file, for the words only */
  from: string;
  namespaces: string[];
  deadlineMs: number;
  rules: NamedRule[];
  /** `Deployment.apps shop/consumer`: what a later step starts */
  later?: string[];
  /** of `apply`: workloads run from then on, and have no start of their own */
  running?: true;
  /** as in ScaleArgs */
  moved?: Moved;
}

export interface Workload {
  kind: Kind;
  namespace: string;
  name: string;
  /** as the source has it */
  replicas: number;
}

export interface ScaleArgs {
  side: Side;
  /** `zero`, or `given`: the replicas of each workload here */
  to: 'zero' | 'given';
  workloads: Workload[];
  /** what came over from the other side, where nobody may have it any more when these start */
  moved?: Moved;
}

/** Claims whose disks were copied, or whose shares the target takes over, as they are called on both sides. */
export interface Moved {
  /** `namespace/name` */
  claims: string[];
  /** those of them that are shares: who only reads may go on */
  shares?: string[];
  /** PersistentVolumes */
  volumes: string[];
}

/** Writers of disks and shares stop on the source, and stay so until the way back. */
export interface QuiesceArgs {
  /** `namespace/name` of the claims that nobody may mount afterwards */
  claims: string[];
  /** those of them whose pods may stay where they only read */
  shares?: string[];
  /** PersistentVolumes that must be attached nowhere */
  volumes: string[];
  workloads: Workload[];
  /** CronJobs whose pods mount a claim: suspended */
  cronJobs: { namespace: string; name: string }[];
  window?: Window;
  /** Jobs of these CronJobs that run, and others on these claims, are waited for so long, before any workload stops */
  jobsWithinMs?: number;
  /** in place of stopping them: each program for its own claims; `still` are those that it holds */
  still?: Workload[];
  freezes?: { claims: string[]; run: string[]; back: string[] }[];
  /** of each disk that has some */
  live: LivePasses[];
}

/** Volumes of the source that outlive their claims until the way back. */
export interface RetainArgs {
  /** names of PersistentVolumes */
  volumes: string[];
}

export interface SnapshotArgs {
  claim: string;
  disk: string;
  region: string;
  /** of the live passes from 1; absent in the last one, which no writer can change any more */
  live?: number;
  /** days */
  keep: number;
  /** the PersistentVolume, where its writers have stopped for this */
  volume?: string;
}

export interface CopyArgs extends Omit<SnapshotArgs, 'volume'> {
  /** id of the step that made the snapshot */
  from: string;
  toRegion: string;
  sizeGiB: number;
  encrypted: boolean;
  kmsKey?: string;
}

export interface DiskArgs {
  claim: string;
  /** the source's disk */
  disk: string;
  /** id of the step that made the snapshot, or its copy */
  from: string;
  region: string;
  /** empty for a regional disk */
  zone: string;
  category: string;
  performanceLevel?: string;
  sizeGiB: number;
  encrypted: boolean;
  kmsKey?: string;
}

/** A claim's disk, made by the target's driver of a snapshot. */
export interface ImportedArgs {
  claim: string;
  /** the source's disk */
  disk: string;
  /** of the snapshot */
  region: string;
  /** id of the step that made it, or its copy */
  from: string;
}

export interface ImportArgs extends ImportedArgs {
  driver: string;
  /** of the VolumeSnapshot, beside the claim */
  name: string;
  /** of the VolumeSnapshotContent */
  content: string;
  /** made where nothing else brings it */
  newClaim: KubeObject;
  /** the disk is made for the first pod, and not before */
  waits: boolean;
}

/** A program of the operator's looks at what came over. */
export interface DataCheckArgs {
  claim: string;
  volume: string;
  run: string[];
}

export interface VolumeArgs {
  claim: string;
  /** absent for a share, which has no disk */
  disk?: {
    /** the source's */
    id: string;
    region: string;
    /** id of the step that made the new one */
    from: string;
  };
  /** whole, but for the id of the new disk */
  volume: KubeObject;
}

export interface AttachArgs {
  route: Route;
}

/** The source's controller gives up a load balancer that it made. */
export interface HandOverArgs {
  route: ClbRoute;
}

/** Rollouts behind the source's Service wait, or go on; only those that were made to wait. */
export interface RolloutsArgs {
  route: ClbRoute;
  to: 'held' | 'released';
}

export interface SchedulerArgs {
  route: Route;
  /** of the listeners whose scheduler becomes `wrr` */
  ports: number[];
}

export interface ShiftArgs {
  route: Route;
  /** percent of new connections for the target */
  asked: number;
  /** points */
  tolerance: number;
  /** the longest; with gates it may end after `leastMs`, once all of them have passed */
  holdMs: number;
  leastMs?: number;
  /** percent; the step after this one, for what must be ready by then */
  next?: number;
  gates: Gate[];
  /** what pods mount that it starts on the target, where a router moves shares pod by pod: nobody on the source has it any more */
  moved?: Moved;
}

export interface DrainArgs {
  route: Route;
  drain: Drain;
}

export interface RetireArgs {
  route: Route;
}
