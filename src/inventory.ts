import type { Disk, Kind, KubeObject, LoadBalancer, RightAnswer, ServedKind } from './ports.js';

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
}

/** What something that ran in the target, or was put to it and not kept, has told. */
export interface ProbeAnswer {
  /** the question, e.g. `pull` */
  ask: string;
  /** what it was asked of, e.g. an image */
  about: string;
  answer: 'yes' | 'no' | 'unknown';
  /** in the words of whoever answered */
  saw: string;
}

export interface CloudInventory {
  provider: 'alibaba';
  region: string;
  loadBalancers: LoadBalancer[];
  disks: Disk[];
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
}
