import type { Json, TwinObject } from '../types.js';

/** One object in a backup's archive, as the API showed it. */
export interface StoredItem {
  /** `deployments.apps`, `services` */
  groupResource: string;
  /** `apps/v1/deployments`: the version that the source preferred */
  path: string;
  namespace: string | undefined;
  name: string;
  object: TwinObject;
}

/** `{ velero, cluster, namespaces }` as in NAME-results.gz */
export interface Messages {
  velero: string[];
  cluster: string[];
  namespaces: Record<string, string[]>;
}

export interface Results {
  errors: Messages;
  warnings: Messages;
}

export interface StoredBackup {
  /** velero-backup.json */
  backup: TwinObject;
  items: StoredItem[];
  results: Results;
}

export interface StoredRestore {
  restore: TwinObject;
  results: Results;
  /** `apps/v1/Deployment` → `ns/name(created)` */
  resourceList: Record<string, string[]>;
}

/** What lies under one prefix of one bucket. */
export interface Shelf {
  backups: Map<string, StoredBackup>;
  restores: Map<string, StoredRestore>;
  /** what somebody put there over S3, by its key under the prefix */
  files: Map<string, Buffer>;
}

/** Buckets that several Velero servers share, in memory. */
export interface ObjectStore {
  /** undefined: there is no such bucket */
  open(bucket: string, prefix?: string): Shelf | undefined;
}

/** @param buckets  those that exist; any when absent */
export function memoryStore(buckets?: readonly string[]): ObjectStore {
  const shelves = new Map<string, Shelf>();
  return {
    open(bucket, prefix = '') {
      if (buckets && !buckets.includes(bucket)) return undefined;
      const key = `${bucket}/${prefix}`;
      let shelf = shelves.get(key);
      if (!shelf) shelves.set(key, (shelf = { backups: new Map(), restores: new Map(), files: new Map() }));
      return shelf;
    },
  };
}

export const noMessages = (): Messages => ({ velero: [], cluster: [], namespaces: {} });

export const countMessages = ({ velero, cluster, namespaces }: Messages): number =>
  velero.length + cluster.length + Object.values(namespaces).reduce((sum, it) => sum + it.length, 0);

export function addMessage(messages: Messages, namespace: string | undefined, text: string): void {
  if (namespace === undefined) messages.cluster.push(text);
  else (messages.namespaces[namespace] ??= []).push(text);
}

/** Frozen objects of the API are copied: what is stored must not change with them. */
export const stored = <T extends Json>(value: T): T => structuredClone(value);
