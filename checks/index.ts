import type { Check } from '../src/check.js';
import { clusterIds } from './load-balancing/cluster-ids.js';
import { diskKinds } from './storage/disk-kinds.js';
import { distinctClusters } from './access/distinct-clusters.js';
import { gitopsOwner } from './workloads/gitops-owner.js';
import { inClusterCallers } from './load-balancing/in-cluster-callers.js';
import { kubeProxyMode } from './load-balancing/kube-proxy-mode.js';
import { listenerGroup } from './load-balancing/listener-group.js';
import { listenerScheduler } from './load-balancing/listener-scheduler.js';
import { localPolicy } from './load-balancing/local-policy.js';
import { nodeLabels } from './labels/node-labels.js';
import { podReadiness } from './workloads/pod-readiness.js';
import { removedApis } from './apis/removed-apis.js';
import { removedLabels } from './labels/removed-labels.js';
import { rights } from './access/rights.js';
import { serviceAnnotations } from './load-balancing/service-annotations.js';
import { sharedGroup } from './load-balancing/shared-group.js';
import { stickiness } from './load-balancing/stickiness.js';
import { storageClasses } from './storage/storage-classes.js';
import { unhealthyBefore } from './workloads/unhealthy-before.js';
import { zoneOfDisks } from './storage/zone-of-disks.js';

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
