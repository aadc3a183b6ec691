import type { Check } from '../src/check.js';
import { clusterIds } from './cluster-ids.js';
import { distinctClusters } from './distinct-clusters.js';
import { listenerGroup } from './listener-group.js';
import { listenerScheduler } from './listener-scheduler.js';
import { removedApis } from './removed-apis.js';
import { serviceAnnotations } from './service-annotations.js';
import { sharedGroup } from './shared-group.js';
import { stickiness } from './stickiness.js';
import { storageClasses } from './storage-classes.js';

/** Every check, in the order of the report. */
export const checks: readonly Check[] = [
  distinctClusters,
  removedApis,
  listenerGroup,
  listenerScheduler,
  stickiness,
  sharedGroup,
  serviceAnnotations,
  clusterIds,
  storageClasses,
];
