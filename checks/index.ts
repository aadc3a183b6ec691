import type { Check } from '../src/check.js';
import { clocks } from './access/clocks.js';
import { distinctClusters } from './access/distinct-clusters.js';
import { rights } from './access/rights.js';
import { versions } from './access/versions.js';
import { mutations } from './admission/mutations.js';
import { plugins } from './admission/plugins.js';
import { podSecurity } from './admission/pod-security.js';
import { policies } from './admission/policies.js';
import { webhooks } from './admission/webhooks.js';
import { apiServices } from './apis/api-services.js';
import { backupVersions } from './apis/backup-versions.js';
import { clientCalls } from './apis/client-calls.js';
import { definitions } from './apis/definitions.js';
import { dryRun } from './apis/dry-run.js';
import { helmReleases } from './apis/helm-releases.js';
import { manifestFiles } from './apis/manifest-files.js';
import { operators } from './apis/operators.js';
import { removedApis } from './apis/removed-apis.js';
import { strictAddresses } from './apis/strict-addresses.js';
import { boundTokens } from './identity/bound-tokens.js';
import { roleBindings } from './identity/role-bindings.js';
import { secretSources } from './identity/secret-sources.js';
import { tokenSecrets } from './identity/token-secrets.js';
import { imageHosts } from './images/image-hosts.js';
import { imageManifests } from './images/image-manifests.js';
import { imageTags } from './images/image-tags.js';
import { pullSecrets } from './images/pull-secrets.js';
import { nodeLabels } from './labels/node-labels.js';
import { removedLabels } from './labels/removed-labels.js';
import { cloudControllers } from './load-balancing/cloud-controllers.js';
import { clusterIds } from './load-balancing/cluster-ids.js';
import { ebpfProxy } from './load-balancing/ebpf-proxy.js';
import { endpointChanges } from './load-balancing/endpoint-changes.js';
import { inClusterCallers } from './load-balancing/in-cluster-callers.js';
import { kubeProxyMode } from './load-balancing/kube-proxy-mode.js';
import { listenerGroup } from './load-balancing/listener-group.js';
import { dnsRecords } from './load-balancing/dns-records.js';
import { listenerScheduler } from './load-balancing/listener-scheduler.js';
import { localPolicy } from './load-balancing/local-policy.js';
import { portNumbers } from './load-balancing/port-numbers.js';
import { proxyTold } from './load-balancing/proxy-settings.js';
import { serviceAnnotations } from './load-balancing/service-annotations.js';
import { serviceFields } from './load-balancing/service-fields.js';
import { handOver } from './load-balancing/hand-over.js';
import { sharedGroup } from './load-balancing/shared-group.js';
import { requestRules } from './load-balancing/request-rules.js';
import { shares } from './load-balancing/shares.js';
import { stickiness } from './load-balancing/stickiness.js';
import { trafficMatrix } from './load-balancing/traffic-matrix.js';
import { allowLists } from './network/allow-lists.js';
import { certificates } from './network/certificates.js';
import { clusterAddresses } from './network/cluster-addresses.js';
import { ingressClasses } from './network/ingress-classes.js';
import { manualEndpoints } from './network/manual-endpoints.js';
import { mesh } from './network/mesh.js';
import { nameServer } from './network/name-server.js';
import { networkPolicies } from './network/network-policies.js';
import { overlappingNetworks } from './network/overlapping-networks.js';
import { packetSizes } from './network/packet-sizes.js';
import { securityGroups } from './network/security-groups.js';
import { vswitches } from './network/vswitches.js';
import { cgroups } from './runtime/cgroups.js';
import { dockerSocket } from './runtime/docker-socket.js';
import { hostPorts } from './runtime/host-ports.js';
import { kernels } from './runtime/kernels.js';
import { kubelets } from './runtime/kubelets.js';
import { nodeDirectories } from './runtime/node-directories.js';
import { architectures } from './scheduling/architectures.js';
import { autoscaling } from './scheduling/autoscaling.js';
import { disruptionBudgets } from './scheduling/disruption-budgets.js';
import { extendedResources } from './scheduling/extended-resources.js';
import { priorityClasses } from './scheduling/priority-classes.js';
import { quotas } from './scheduling/quotas.js';
import { room } from './scheduling/room.js';
import { runtimeClasses } from './scheduling/runtime-classes.js';
import { spread } from './scheduling/spread.js';
import { taints } from './scheduling/taints.js';
import { accessModes } from './storage/access-modes.js';
import { databaseFence } from './storage/database-fence.js';
import { databaseFit } from './storage/database-fit.js';
import { databaseWayBack } from './storage/database-way-back.js';
import { driverSnapshots } from './storage/driver-snapshots.js';
import { diskKinds } from './storage/disk-kinds.js';
import { shareSecrets } from './storage/share-secrets.js';
import { shareAddresses } from './storage/share-addresses.js';
import { sharedVolumes } from './storage/shared-volumes.js';
import { snapshots } from './storage/snapshots.js';
import { storageClasses } from './storage/storage-classes.js';
import { velero } from './storage/velero.js';
import { volumeDrivers } from './storage/volume-drivers.js';
import { zoneOfDisks } from './storage/zone-of-disks.js';
import { cronJobs } from './workloads/cron-jobs.js';
import { gates } from './workloads/gates.js';
import { gitopsOwner } from './workloads/gitops-owner.js';
import { leftBehind } from './workloads/left-behind.js';
import { oneSide } from './workloads/one-side.js';
import { outsideControllers } from './workloads/outside-controllers.js';
import { podReadiness } from './workloads/pod-readiness.js';
import { quorums } from './workloads/quorums.js';
import { singletons } from './workloads/singletons.js';
import { stuckObjects } from './workloads/stuck-objects.js';
import { unfinishedJobs } from './workloads/unfinished-jobs.js';
import { unhealthyBefore } from './workloads/unhealthy-before.js';

/** Every check, in the order of the report. */
export const checks: readonly Check[] = [
  distinctClusters,
  rights,
  clocks,
  versions,
  removedApis,
  helmReleases,
  manifestFiles,
  dryRun,
  clientCalls,
  backupVersions,
  strictAddresses,
  apiServices,
  definitions,
  operators,
  webhooks,
  mutations,
  podSecurity,
  plugins,
  policies,
  nodeLabels,
  removedLabels,
  quotas,
  room,
  taints,
  architectures,
  autoscaling,
  disruptionBudgets,
  extendedResources,
  priorityClasses,
  runtimeClasses,
  spread,
  cgroups,
  dockerSocket,
  hostPorts,
  kernels,
  kubelets,
  nodeDirectories,
  kubeProxyMode,
  inClusterCallers,
  localPolicy,
  trafficMatrix,
  listenerGroup,
  listenerScheduler,
  dnsRecords,
  stickiness,
  sharedGroup,
  handOver,
  serviceAnnotations,
  clusterIds,
  cloudControllers,
  proxyTold,
  ebpfProxy,
  endpointChanges,
  portNumbers,
  serviceFields,
  shares,
  requestRules,
  allowLists,
  clusterAddresses,
  manualEndpoints,
  nameServer,
  networkPolicies,
  overlappingNetworks,
  securityGroups,
  vswitches,
  certificates,
  ingressClasses,
  mesh,
  packetSizes,
  storageClasses,
  diskKinds,
  driverSnapshots,
  zoneOfDisks,
  accessModes,
  shareAddresses,
  shareSecrets,
  sharedVolumes,
  snapshots,
  velero,
  volumeDrivers,
  databaseFit,
  databaseFence,
  databaseWayBack,
  boundTokens,
  roleBindings,
  secretSources,
  tokenSecrets,
  imageHosts,
  imageManifests,
  imageTags,
  pullSecrets,
  unhealthyBefore,
  podReadiness,
  gitopsOwner,
  cronJobs,
  gates,
  leftBehind,
  outsideControllers,
  quorums,
  singletons,
  oneSide,
  stuckObjects,
  unfinishedJobs,
];
