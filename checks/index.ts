import type { Check } from '../src/check.js';
import { clusterIds } from './cluster-ids.js';
import { diskKinds } from './disk-kinds.js';
import { distinctClusters } from './distinct-clusters.js';
import { gitopsOwner } from './gitops-owner.js';
import { inClusterCallers } from './in-cluster-callers.js';
import { kubeProxyMode } from './kube-proxy-mode.js';
import { listenerGroup } from './listener-group.js';
import { listenerScheduler } from './listener-scheduler.js';
import { localPolicy } from './local-policy.js';
import { nodeLabels } from './node-labels.js';
import { podReadiness } from './pod-readiness.js';
import { removedApis } from './removed-apis.js';
import { removedLabels } from './removed-labels.js';
import { rights } from './rights.js';
import { serviceAnnotations } from './service-annotations.js';
import { sharedGroup } from './shared-group.js';
import { stickiness } from './stickiness.js';
import { storageClasses } from './storage-classes.js';
import { unhealthyBefore } from './unhealthy-before.js';
import { zoneOfDisks } from './zone-of-disks.js';

/** Every check, in the order of the report. */
export const checks: readonly Check[] = [
  distinctClusters,
  rights,
  removedApis,
  nodeLabels,
  removedLabels,
  kubeProxyMode,
  inClusterCallers,
  localPolicy,
  listenerGroup,
  listenerScheduler,
  stickiness,
  sharedGroup,
  serviceAnnotations,
  clusterIds,
  storageClasses,
  diskKinds,
  zoneOfDisks,
  unhealthyBefore,
  podReadiness,
  gitopsOwner,
];
