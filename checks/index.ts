import type { Check } from '../src/check.js';
import { distinctClusters } from './distinct-clusters.js';
import { removedApis } from './removed-apis.js';
import { storageClasses } from './storage-classes.js';

/** Every check, in the order of the report. */
export const checks: readonly Check[] = [distinctClusters, removedApis, storageClasses];
