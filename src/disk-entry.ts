import { z } from 'zod';
import { command } from './formats.js';
import { windowEntry } from './window.js';

/** `data.disks` of a playbook: how the disks behind the moved claims come along, and the shares that both sides could mount. */

const claims = z
  .array(z.string().regex(/^[-a-z0-9*]+\/[-a-z0-9.*]+$/, 'is not NAMESPACE/CLAIM, e.g. shop/data-*'))
  .min(1, 'needs at least one claim');

/** The first that names a claim counts for it. */
const rule = z.strictObject({
  claims,
  zone: z.string().min(1).optional(),
  category: z.string().min(1).optional(),
  performanceLevel: z.enum(['PL0', 'PL1', 'PL2', 'PL3']).optional(),
  /** at least the old disk's */
  sizeGiB: z.int().min(1).optional(),
  /** in place of stopping the writers: programs that make them hold still, fsfreeze for one, and let them go on again */
  freeze: z.strictObject({ run: command, back: command }).optional(),
  /** a program that looks at the data once the target runs on it; it ends with 0 when all is there */
  check: command.optional(),
});

/** A NAS or OSS volume is not copied: the target mounts it too, or what takes its place there. */
const share = z.strictObject({
  claims,
  /** NAS: the mount target in the target's VPC */
  server: z.string().min(1).optional(),
  /** the directory */
  path: z.string().startsWith('/', 'does not begin with /').optional(),
  /** OSS */
  bucket: z.string().min(1).optional(),
  /** OSS: the endpoint that the target reaches */
  url: z.string().min(1).optional(),
  /** OSS: the Secret with `akId` and `akSecret` on the target, in place of the one that the volume names */
  secret: z
    .string()
    .regex(/^[-a-z0-9]+\/[-a-z0-9.]+$/, 'is not NAMESPACE/SECRET')
    .optional(),
  /** `one`: the source's pods are gone before the target mounts it; `many`: both may write at once, you know that they can */
  writers: z.enum(['one', 'many']).default('one'),
});

const rules = z.strictObject({
  /**
   * `copy`: snapshot, copy when the region differs, new disk in the pods' zone, new volume; `driver`: the target's CSI driver makes the disk
   * from the snapshot, in the zone of the pod; `none`: leave disks alone
   */
  by: z.enum(['copy', 'driver', 'none']).default('copy'),
  /** passes while the writers work; each moves what changed since the one before, and the last one, without writers, what is left */
  live: z.int().min(0).max(5, 'is more than 5: each costs a snapshot').default(1),
  /** the writers stop only between these times of a day */
  window: windowEntry.optional(),
  /** zone of the new disk by the zone of the old one */
  zones: z.record(z.string(), z.string()).default({}),
  /** in order of preference; without, those of the new storage class, then what the disk is now */
  categories: z.array(z.string().min(1)).default([]),
  /** `all`: new disks are encrypted with `data.kmsKey` although the old ones are not; within a region that takes a copy of each snapshot */
  encrypt: z.enum(['as-they-are', 'all']).default('as-they-are'),
  /** days after which the cloud itself deletes our snapshots and copies */
  keepSnapshots: z.int().min(1).max(65_536).default(30),
  rules: z.array(rule).default([]),
  shares: z.array(share).default([]),
});

/** `copy` or `none` alone says the same as `{ by: … }`. */
export const disksEntry = z.union([z.enum(['copy', 'driver', 'none']).transform((by) => rules.parse({ by })), rules], {
  error: 'is `copy`, `driver`, `none`, or `{ by: …, … }`',
});

/** @param patterns  `NAMESPACE/CLAIM`, in which `*` stands for any letters but the slash */
export const namesClaim = (patterns: readonly string[], claim: string): boolean =>
  patterns.some((it) => new RegExp(`^${it.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`).test(claim));

export type DiskRules = z.output<typeof rules>;
export type DiskRule = z.output<typeof rule>;
export type ShareRule = z.output<typeof share>;
