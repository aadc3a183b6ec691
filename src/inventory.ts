import type {
  Disk,
  DnsRecords,
  Kind,
  KubeObject,
  LoadBalancer,
  Right,
  RightAnswer,
  ServedKind,
  Side,
  SecurityGroup,
  SoldDisks,
} from './ports.js';

/** One side as it was seen: plain JSON. Secret values are never in it. */
export interface ClusterInventory {
  context: string;
  uid: string;
  version: string;
  server: string;
  served: ServedKind[];
  /** by kind; a kind that was asked for and has no objects is an empty list */
  objects: Record<Kind, KubeObject[]>;
  /** kinds that were asked for and could not be read: unknown, never empty */
  unseen: { kind: Kind; why: string }[];
  rights: RightAnswer[];
  /** kinds that were read from all namespaces; others only from those of the move and of the cluster's own parts */
  everywhere?: Kind[];
  /** kinds of which only some objects are here: one for each namespace at least, and those that have an owner */
  partly?: Kind[];
  /** what else tells which APIs are used: see each */
  evidence?: Evidence;
  /** what the target's server said to each object as it will arrive; absent when nobody asked it */
  dryRun?: DryRun;
}

/** Witnesses beside the objects themselves. One that is absent was not asked; one that could not be read says why. */
export interface Evidence {
  helm?: { releases: HelmRelease[]; unread: Unread[] };
  manifests?: Manifests;
  calls?: Calls;
}

export interface Unread {
  what: string;
  why: string;
}

/** One object as a manifest names it; nothing else of the manifest is kept. */
export interface Written {
  apiVersion: string;
  kind: string;
  namespace?: string;
  name: string;
  /** from 1 */
  line: number;
}

/** The revision of a release from which the next `helm upgrade` starts. */
export interface HelmRelease {
  name: string;
  namespace: string;
  revision: number;
  /** `deployed`, `failed`, ... */
  status: string;
  /** `secret shop/sh.helm.release.v1.web.v3` */
  storedIn: string;
  writes: Written[];
}

export interface Defined {
  /** of the definition itself */
  apiVersion: string;
  /** `group/version/Kind` */
  brings: string;
}

/** Files that somebody will apply to the target. */
export interface Manifests {
  /** the folder, as it was named */
  from: string;
  files: number;
  objects: (Written & { file: string })[];
  /** kinds that CustomResourceDefinitions among the files bring */
  defines: Defined[];
  /** files of charts: their text is no manifest until it is rendered */
  templates: string[];
  unread: Unread[];
}

/** Requests by version, as one API server of the side has counted them since it started. */
export interface Calls {
  /** ISO 8601, UTC */
  since?: string;
  counted: CallCount[];
  unread?: string;
}

export interface CallCount {
  group: string;
  version: string;
  /** plural, with a subresource as in `ingresses/status` */
  resource: string;
  /** requests by verb as the metric has it: GET, LIST, PUT, ... */
  verbs: Record<string, number>;
}

export interface DryRun {
  answers: DryRunAnswer[];
  /** rights without which some objects could not be asked about */
  lacks: Right[];
}

export interface DryRunAnswer {
  /** `deployment shop/web` */
  about: string;
  /** in which it was put to the server */
  apiVersion: string;
  answer: 'taken' | 'refused' | 'unknown';
  /** the server's words, or why it could not be asked */
  why?: string;
  /** HTTP status of a refusal */
  status?: number;
  warnings: string[];
  /** the namespace in which it was asked, where its own is not there yet */
  standIn?: string;
}

/** What something that ran in the target, or was put to it and not kept, has told. */
export interface ProbeAnswer {
  /** where, for what is asked on both sides */
  side?: Side;
  /** the question, e.g. `traffic` */
  ask: string;
  /** what it was asked of, e.g. an image */
  about: string;
  answer: 'yes' | 'no' | 'unknown';
  /** in the words of whoever answered */
  saw: string;
}

/** What the servers of a database of the playbook said when they were asked; nothing was changed there. */
export interface DatabaseSeen {
  name: string;
  kind: string;
  /** why they could not be asked; then nothing else is here */
  unread?: string;
  /** how the two stand now, in words */
  stands?: string;
  /** what stands against a switch-over; one sentence each */
  unfit?: string[];
  /** what of the fence might not hold, or can't be told from here */
  doubts?: string[];
  /** where the source must reach the target for the way back, which nobody has seen yet: `10.1.1.20:3306 as copier` */
  wayBack?: string;
}

export interface CloudInventory {
  provider: 'alibaba';
  region: string;
  loadBalancers: LoadBalancer[];
  disks: Disk[];
  /** by zones in which new disks may be made, where there are disks to move; inventories of earlier versions have none */
  sold?: { zone: string; disks: SoldDisks[] }[];
  /** of the target's pods, where traffic moves; inventories of earlier versions have none */
  securityGroups?: SecurityGroup[];
  /** records of the names by which traffic moves; inventories of earlier versions have none */
  dns?: DnsRecords[];
  /** ids that were asked for and could not be read; `absent` when the cloud answered that there is none */
  unseen: { what: string; why: string; absent?: boolean }[];
}

export interface Inventory {
  schemaVersion: 1;
  /** ISO 8601, UTC */
  takenAt: string;
  source: ClusterInventory;
  target: ClusterInventory;
  /** null: the playbook names no cloud */
  cloud: CloudInventory | null;
  /** only when a probe was asked for */
  probes?: ProbeAnswer[];
  /** those of the playbook; absent when they were not asked */
  databases?: DatabaseSeen[];
}
