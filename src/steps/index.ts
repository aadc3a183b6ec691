import type { AnyStepKind, StepKinds } from '../step.js';
import { attach, retire } from './attach.js';
import { convert } from './convert.js';
import { etcdJoin, etcdMove } from './databases/etcd.js';
import { databaseReplica, databaseRetire, databaseSwitch } from './databases/paired.js';
import { databaseRepoint } from './databases/repoint.js';
import { dataCheck } from './data-check.js';
import { copySnapshot, createDisk, createVolume, snapshot } from './disks.js';
import { drain } from './drain.js';
import { handOver } from './hand-over.js';
import { nlbHandOver } from './nlb-hand-over.js';
import { quiesce } from './quiesce.js';
import { retain } from './retain.js';
import { rollouts } from './rollouts.js';
import { scale } from './scale.js';
import { scheduler } from './scheduler.js';
import { shift } from './shift.js';
import { importedDisk, importSnapshot } from './snapshot-content.js';
import { sides } from './sides.js';
import { manifests } from './manifests.js';
import { backup, restore, rules } from './velero.js';
import { written } from './written.js';

const ALL: readonly AnyStepKind[] = [
  backup,
  written,
  manifests,
  rules,
  restore,
  convert,
  scale,
  retain,
  quiesce,
  snapshot,
  copySnapshot,
  createDisk,
  createVolume,
  importSnapshot,
  importedDisk,
  dataCheck,
  databaseReplica,
  databaseSwitch,
  databaseRetire,
  etcdJoin,
  etcdMove,
  databaseRepoint,
  scheduler,
  rollouts,
  handOver,
  nlbHandOver,
  attach,
  shift,
  sides,
  drain,
  retire,
];

/** Every kind of step, by its name in plans and journals. */
export const stepKinds: StepKinds = new Map(ALL.map((it) => [it.kind, it]));
