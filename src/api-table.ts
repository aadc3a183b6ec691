import type { ServedKind } from './ports.js';

/**
 * What API servers of each minor release serve on their own account: group, kind, plural, and for each version the first and
 * the last minor in which a server with default settings has it. A discovery of the server itself is better evidence where
 * there is one; this is for files, for wording, and for the question whether we know a release at all.
 *
 * Beyond `NEWEST` nothing is known, and no answer from here is to be taken for a clean one.
 *
 * @source kubernetes/kubernetes:api/openapi-spec/swagger.json at a tag of each minor (what exists), pkg/master/master.go and
 *   pkg/controlplane/instance.go (what is on); compared with k8s.io/api zz_generated.prerelease-lifecycle.go
 */
export const TABLE_DATE = '2026-08-26';
/** minor releases between which the table holds */
export const OLDEST = 8;
export const NEWEST = 37;

/** First and last minor; no last: still there in `NEWEST`. */
type Span = readonly [first: number, last?: number];

export interface ApiKind {
  group: string;
  kind: string;
  /** plural, as in the URL */
  resource: string;
  namespaced: boolean;
  /** by version; a first minor of `OLDEST` means that or older */
  versions: Record<string, { span: Span; byDefault: boolean }>;
  /** `group/version` or `group/version/Kind` that took its place; `none` when nothing did */
  instead?: string;
}

const NAMESPACED = true;
const CLUSTER = false;

/** Exists, but no server has it unless told so. */
const off = (first: number, last?: number) => ({ span: [first, last] as Span, byDefault: false });

function row(
  group: string,
  kind: string,
  resource: string,
  namespaced: boolean,
  versions: Record<string, Span | ReturnType<typeof off>>,
  instead?: string,
): ApiKind {
  const spans = Object.entries(versions).map(
    ([version, it]) => [version, 'span' in it ? it : { span: it, byDefault: true }] as const,
  );
  return {
    group,
    kind,
    resource,
    namespaced,
    versions: Object.fromEntries(spans),
    ...(instead !== undefined && { instead }),
  };
}

// oxfmt-ignore
export const API_KINDS: readonly ApiKind[] = [
  row('', 'Binding', 'bindings', NAMESPACED, { v1: [8] }),
  row('', 'ComponentStatus', 'componentstatuses', CLUSTER, { v1: [8] }),
  row('', 'ConfigMap', 'configmaps', NAMESPACED, { v1: [8] }),
  row('', 'Endpoints', 'endpoints', NAMESPACED, { v1: [8] }),
  row('', 'Event', 'events', NAMESPACED, { v1: [8] }),
  row('', 'LimitRange', 'limitranges', NAMESPACED, { v1: [8] }),
  row('', 'Namespace', 'namespaces', CLUSTER, { v1: [8] }),
  row('', 'Node', 'nodes', CLUSTER, { v1: [8] }),
  row('', 'PersistentVolume', 'persistentvolumes', CLUSTER, { v1: [8] }),
  row('', 'PersistentVolumeClaim', 'persistentvolumeclaims', NAMESPACED, { v1: [8] }),
  row('', 'Pod', 'pods', NAMESPACED, { v1: [8] }),
  row('', 'PodTemplate', 'podtemplates', NAMESPACED, { v1: [8] }),
  row('', 'ReplicationController', 'replicationcontrollers', NAMESPACED, { v1: [8] }),
  row('', 'ResourceQuota', 'resourcequotas', NAMESPACED, { v1: [8] }),
  row('', 'Secret', 'secrets', NAMESPACED, { v1: [8] }),
  row('', 'Service', 'services', NAMESPACED, { v1: [8] }),
  row('', 'ServiceAccount', 'serviceaccounts', NAMESPACED, { v1: [8] }),
  row('admissionregistration.k8s.io', 'MutatingAdmissionPolicy', 'mutatingadmissionpolicies', CLUSTER, { v1: [36], v1alpha1: off(32), v1beta1: off(34) }, 'admissionregistration.k8s.io/v1'),
  row('admissionregistration.k8s.io', 'MutatingAdmissionPolicyBinding', 'mutatingadmissionpolicybindings', CLUSTER, { v1: [36], v1alpha1: off(32), v1beta1: off(34) }, 'admissionregistration.k8s.io/v1'),
  row('admissionregistration.k8s.io', 'MutatingWebhookConfiguration', 'mutatingwebhookconfigurations', CLUSTER, { v1: [16], v1beta1: [9, 21] }, 'admissionregistration.k8s.io/v1'),
  row('admissionregistration.k8s.io', 'ValidatingAdmissionPolicy', 'validatingadmissionpolicies', CLUSTER, { v1: [30], v1alpha1: off(26, 31), v1beta1: off(28, 33) }, 'admissionregistration.k8s.io/v1'),
  row('admissionregistration.k8s.io', 'ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings', CLUSTER, { v1: [30], v1alpha1: off(26, 31), v1beta1: off(28, 33) }, 'admissionregistration.k8s.io/v1'),
  row('admissionregistration.k8s.io', 'ValidatingWebhookConfiguration', 'validatingwebhookconfigurations', CLUSTER, { v1: [16], v1beta1: [9, 21] }, 'admissionregistration.k8s.io/v1'),
  row('admissionregistration.k8s.io', 'ExternalAdmissionHookConfiguration', 'externaladmissionhookconfigurations', CLUSTER, { v1alpha1: off(8, 8) }, 'admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration'),
  row('admissionregistration.k8s.io', 'InitializerConfiguration', 'initializerconfigurations', CLUSTER, { v1alpha1: off(8, 13) }, 'admissionregistration.k8s.io/v1/MutatingWebhookConfiguration'),
  row('apiextensions.k8s.io', 'CustomResourceDefinition', 'customresourcedefinitions', CLUSTER, { v1: [16], v1beta1: [8, 21] }, 'apiextensions.k8s.io/v1'),
  row('apiregistration.k8s.io', 'APIService', 'apiservices', CLUSTER, { v1: [10], v1beta1: [8, 21] }, 'apiregistration.k8s.io/v1'),
  row('apps', 'ControllerRevision', 'controllerrevisions', NAMESPACED, { v1: [9], v1beta1: [8, 15], v1beta2: [8, 15] }, 'apps/v1'),
  row('apps', 'DaemonSet', 'daemonsets', NAMESPACED, { v1: [9], v1beta2: [8, 15] }, 'apps/v1'),
  row('apps', 'Deployment', 'deployments', NAMESPACED, { v1: [9], v1beta1: [8, 15], v1beta2: [8, 15] }, 'apps/v1'),
  row('apps', 'ReplicaSet', 'replicasets', NAMESPACED, { v1: [9], v1beta2: [8, 15] }, 'apps/v1'),
  row('apps', 'StatefulSet', 'statefulsets', NAMESPACED, { v1: [9], v1beta1: [8, 15], v1beta2: [8, 15] }, 'apps/v1'),
  row('auditregistration.k8s.io', 'AuditSink', 'auditsinks', CLUSTER, { v1alpha1: off(13, 18) }, 'none'),
  row('authentication.k8s.io', 'SelfSubjectReview', 'selfsubjectreviews', CLUSTER, { v1: [28], v1alpha1: off(26, 31), v1beta1: off(27, 32) }, 'authentication.k8s.io/v1'),
  row('authentication.k8s.io', 'TokenReview', 'tokenreviews', CLUSTER, { v1: [8], v1beta1: [8, 21] }, 'authentication.k8s.io/v1'),
  row('authorization.k8s.io', 'LocalSubjectAccessReview', 'localsubjectaccessreviews', NAMESPACED, { v1: [8], v1beta1: [8, 21] }, 'authorization.k8s.io/v1'),
  row('authorization.k8s.io', 'SelfSubjectAccessReview', 'selfsubjectaccessreviews', CLUSTER, { v1: [8], v1beta1: [8, 21] }, 'authorization.k8s.io/v1'),
  row('authorization.k8s.io', 'SelfSubjectRulesReview', 'selfsubjectrulesreviews', CLUSTER, { v1: [8], v1beta1: [8, 21] }, 'authorization.k8s.io/v1'),
  row('authorization.k8s.io', 'SubjectAccessReview', 'subjectaccessreviews', CLUSTER, { v1: [8], v1beta1: [8, 21] }, 'authorization.k8s.io/v1'),
  row('autoscaling', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers', NAMESPACED, { v1: [8], v2: [23], v2beta1: [8, 24], v2beta2: [12, 25] }, 'autoscaling/v2'),
  row('batch', 'CronJob', 'cronjobs', NAMESPACED, { v1: [21], v1beta1: [8, 24], v2alpha1: off(8, 20) }, 'batch/v1'),
  row('batch', 'Job', 'jobs', NAMESPACED, { v1: [8] }),
  row('certificates.k8s.io', 'CertificateSigningRequest', 'certificatesigningrequests', CLUSTER, { v1: [19], v1beta1: [8, 21] }, 'certificates.k8s.io/v1'),
  row('certificates.k8s.io', 'ClusterTrustBundle', 'clustertrustbundles', CLUSTER, { v1: [37], v1alpha1: off(27, 36), v1beta1: off(33) }, 'certificates.k8s.io/v1'),
  row('certificates.k8s.io', 'PodCertificateRequest', 'podcertificaterequests', NAMESPACED, { v1: [37], v1alpha1: off(34, 34), v1beta1: off(35) }, 'certificates.k8s.io/v1'),
  row('coordination.k8s.io', 'Lease', 'leases', NAMESPACED, { v1: [14], v1beta1: [12, 21] }, 'coordination.k8s.io/v1'),
  row('coordination.k8s.io', 'LeaseCandidate', 'leasecandidates', NAMESPACED, { v1alpha1: off(31, 31), v1alpha2: off(32), v1beta1: off(33) }, 'coordination.k8s.io/v1beta1'),
  row('discovery.k8s.io', 'EndpointSlice', 'endpointslices', NAMESPACED, { v1: [21], v1alpha1: off(16, 16), v1beta1: [17, 24] }, 'discovery.k8s.io/v1'),
  row('events.k8s.io', 'Event', 'events', NAMESPACED, { v1: [19], v1beta1: [9, 24] }, 'events.k8s.io/v1'),
  row('extensions', 'DaemonSet', 'daemonsets', NAMESPACED, { v1beta1: [8, 15] }, 'apps/v1'),
  row('extensions', 'Deployment', 'deployments', NAMESPACED, { v1beta1: [8, 15] }, 'apps/v1'),
  row('extensions', 'Ingress', 'ingresses', NAMESPACED, { v1beta1: [8, 21] }, 'networking.k8s.io/v1'),
  row('extensions', 'NetworkPolicy', 'networkpolicies', NAMESPACED, { v1beta1: [8, 15] }, 'networking.k8s.io/v1'),
  row('extensions', 'PodSecurityPolicy', 'podsecuritypolicies', CLUSTER, { v1beta1: [8, 15] }, 'none'),
  row('extensions', 'ReplicaSet', 'replicasets', NAMESPACED, { v1beta1: [8, 15] }, 'apps/v1'),
  row('flowcontrol.apiserver.k8s.io', 'FlowSchema', 'flowschemas', CLUSTER, { v1: [29], v1alpha1: off(17, 20), v1beta1: [20, 25], v1beta2: [23, 28], v1beta3: [26, 31] }, 'flowcontrol.apiserver.k8s.io/v1'),
  row('flowcontrol.apiserver.k8s.io', 'PriorityLevelConfiguration', 'prioritylevelconfigurations', CLUSTER, { v1: [29], v1alpha1: off(17, 20), v1beta1: [20, 25], v1beta2: [23, 28], v1beta3: [26, 31] }, 'flowcontrol.apiserver.k8s.io/v1'),
  row('internal.apiserver.k8s.io', 'StorageVersion', 'storageversions', CLUSTER, { v1alpha1: off(20) }),
  row('lifecycle.k8s.io', 'Eviction', 'evictions', NAMESPACED, { v1alpha1: off(37) }),
  row('lifecycle.k8s.io', 'EvictionRequest', 'evictionrequests', NAMESPACED, { v1alpha1: off(37) }),
  row('networking.k8s.io', 'IPAddress', 'ipaddresses', CLUSTER, { v1: [33], v1alpha1: off(27, 30), v1beta1: off(31, 36) }, 'networking.k8s.io/v1'),
  row('networking.k8s.io', 'Ingress', 'ingresses', NAMESPACED, { v1: [19], v1beta1: [14, 21] }, 'networking.k8s.io/v1'),
  row('networking.k8s.io', 'IngressClass', 'ingressclasses', CLUSTER, { v1: [19], v1beta1: [18, 21] }, 'networking.k8s.io/v1'),
  row('networking.k8s.io', 'NetworkPolicy', 'networkpolicies', NAMESPACED, { v1: [8] }),
  row('networking.k8s.io', 'ServiceCIDR', 'servicecidrs', CLUSTER, { v1: [33], v1alpha1: off(29, 30), v1beta1: off(31, 36) }, 'networking.k8s.io/v1'),
  row('networking.k8s.io', 'ClusterCIDR', 'clustercidrs', CLUSTER, { v1alpha1: off(25, 28) }, 'none'),
  row('node.k8s.io', 'RuntimeClass', 'runtimeclasses', CLUSTER, { v1: [20], v1alpha1: off(14, 23), v1beta1: [14, 24] }, 'node.k8s.io/v1'),
  row('policy', 'PodDisruptionBudget', 'poddisruptionbudgets', NAMESPACED, { v1: [21], v1beta1: [8, 24] }, 'policy/v1'),
  row('policy', 'PodSecurityPolicy', 'podsecuritypolicies', CLUSTER, { v1beta1: [10, 24] }, 'none'),
  row('rbac.authorization.k8s.io', 'ClusterRole', 'clusterroles', CLUSTER, { v1: [8], v1alpha1: off(8, 22), v1beta1: [8, 21] }, 'rbac.authorization.k8s.io/v1'),
  row('rbac.authorization.k8s.io', 'ClusterRoleBinding', 'clusterrolebindings', CLUSTER, { v1: [8], v1alpha1: off(8, 22), v1beta1: [8, 21] }, 'rbac.authorization.k8s.io/v1'),
  row('rbac.authorization.k8s.io', 'Role', 'roles', NAMESPACED, { v1: [8], v1alpha1: off(8, 22), v1beta1: [8, 21] }, 'rbac.authorization.k8s.io/v1'),
  row('rbac.authorization.k8s.io', 'RoleBinding', 'rolebindings', NAMESPACED, { v1: [8], v1alpha1: off(8, 22), v1beta1: [8, 21] }, 'rbac.authorization.k8s.io/v1'),
  row('resource.k8s.io', 'DeviceClass', 'deviceclasses', CLUSTER, { v1: [34], v1alpha3: off(31, 33), v1beta1: off(32), v1beta2: off(33) }, 'resource.k8s.io/v1'),
  row('resource.k8s.io', 'DeviceTaintRule', 'devicetaintrules', CLUSTER, { v1: [37], v1alpha3: off(33), v1beta2: off(36) }, 'resource.k8s.io/v1'),
  row('resource.k8s.io', 'ResourceClaim', 'resourceclaims', NAMESPACED, { v1: [34], v1alpha1: off(26, 26), v1alpha2: off(27, 30), v1alpha3: off(31, 33), v1beta1: off(32), v1beta2: off(33) }, 'resource.k8s.io/v1'),
  row('resource.k8s.io', 'ResourceClaimTemplate', 'resourceclaimtemplates', NAMESPACED, { v1: [34], v1alpha1: off(26, 26), v1alpha2: off(27, 30), v1alpha3: off(31, 33), v1beta1: off(32), v1beta2: off(33) }, 'resource.k8s.io/v1'),
  row('resource.k8s.io', 'ResourceSlice', 'resourceslices', CLUSTER, { v1: [34], v1alpha2: off(30, 30), v1alpha3: off(31, 33), v1beta1: off(32), v1beta2: off(33) }, 'resource.k8s.io/v1'),
  row('resource.k8s.io', 'PodScheduling', 'podschedulings', NAMESPACED, { v1alpha1: off(26, 26) }, 'none'),
  row('resource.k8s.io', 'ResourceClass', 'resourceclasses', CLUSTER, { v1alpha1: off(26, 26), v1alpha2: off(27, 30) }, 'resource.k8s.io/v1/DeviceClass'),
  row('resource.k8s.io', 'PodSchedulingContext', 'podschedulingcontexts', NAMESPACED, { v1alpha2: off(27, 30), v1alpha3: off(31, 31) }, 'resource.k8s.io/v1alpha3'),
  row('resource.k8s.io', 'ResourceClaimParameters', 'resourceclaimparameters', NAMESPACED, { v1alpha2: off(30, 30) }, 'none'),
  row('resource.k8s.io', 'ResourceClassParameters', 'resourceclassparameters', NAMESPACED, { v1alpha2: off(30, 30) }, 'none'),
  row('resource.k8s.io', 'ResourcePoolStatusRequest', 'resourcepoolstatusrequests', CLUSTER, { v1alpha3: off(36) }),
  row('scheduling.k8s.io', 'PriorityClass', 'priorityclasses', CLUSTER, { v1: [14], v1alpha1: off(8, 22), v1beta1: [11, 21] }, 'scheduling.k8s.io/v1'),
  row('scheduling.k8s.io', 'Workload', 'workloads', NAMESPACED, { v1alpha1: off(35, 35), v1alpha2: off(36, 36), v1alpha3: off(37), v1beta1: off(37) }, 'scheduling.k8s.io/v1beta1'),
  row('scheduling.k8s.io', 'PodGroup', 'podgroups', NAMESPACED, { v1alpha2: off(36, 36), v1alpha3: off(37), v1beta1: off(37) }, 'scheduling.k8s.io/v1beta1'),
  row('scheduling.k8s.io', 'CompositePodGroup', 'compositepodgroups', NAMESPACED, { v1alpha3: off(37) }),
  row('settings.k8s.io', 'PodPreset', 'podpresets', NAMESPACED, { v1alpha1: off(8, 19) }, 'none'),
  row('storage.k8s.io', 'CSIDriver', 'csidrivers', CLUSTER, { v1: [18], v1beta1: [14, 21] }, 'storage.k8s.io/v1'),
  row('storage.k8s.io', 'CSINode', 'csinodes', CLUSTER, { v1: [17], v1beta1: [14, 21] }, 'storage.k8s.io/v1'),
  row('storage.k8s.io', 'CSIStorageCapacity', 'csistoragecapacities', NAMESPACED, { v1: [24], v1alpha1: off(21, 23), v1beta1: [21, 26] }, 'storage.k8s.io/v1'),
  row('storage.k8s.io', 'StorageClass', 'storageclasses', CLUSTER, { v1: [8], v1beta1: [8, 21] }, 'storage.k8s.io/v1'),
  row('storage.k8s.io', 'VolumeAttachment', 'volumeattachments', CLUSTER, { v1: [13], v1alpha1: off(9, 22), v1beta1: [10, 21] }, 'storage.k8s.io/v1'),
  row('storage.k8s.io', 'VolumeAttributesClass', 'volumeattributesclasses', CLUSTER, { v1: [34], v1alpha1: off(29, 34), v1beta1: off(31, 36) }, 'storage.k8s.io/v1'),
  row('storagemigration.k8s.io', 'StorageVersionMigration', 'storageversionmigrations', CLUSTER, { v1: [37], v1alpha1: off(30, 34), v1beta1: off(35) }, 'storagemigration.k8s.io/v1'),
];

const inSpan = ([first, last]: Span, minor: number) => first <= minor && minor <= (last ?? NEWEST);

/** @returns undefined for a release that the table does not hold */
export function servedByDefault(
  minor: number,
): { group: string; version: string; kind: string; resource: string; namespaced: boolean }[] | undefined {
  if (minor < OLDEST || minor > NEWEST) return undefined;
  return API_KINDS.flatMap(({ group, kind, resource, namespaced, versions }) =>
    Object.entries(versions)
      .filter(([, it]) => it.byDefault && inSpan(it.span, minor))
      .map(([version]) => ({ group, version, kind, resource, namespaced })),
  );
}

/** The same objects under two groups: an object of the older one can be had from the newer. @source vmware-tanzu/velero:pkg/backup/backup.go */
const MOVED = new Set([
  'DaemonSet',
  'Deployment',
  'Ingress',
  'NetworkPolicy',
  'PodSecurityPolicy',
  'ReplicaSet',
  'Event',
]);

/**
 * Kinds that a server of one minor has and of which it shares no version with a server of the other; moved groups count as one.
 *
 * @returns undefined when the table does not hold one of the two
 */
export function gaps(from: number, to: number): string[] | undefined {
  const [here, there] = [servedByDefault(from), servedByDefault(to)];
  if (!here || !there) return undefined;
  const named = ({ group, kind }: { group: string; kind: string }) => (MOVED.has(kind) ? kind : `${kind}.${group}`);
  const offered = new Set(there.map((it) => `${named(it)} ${it.group}/${it.version}`));
  const shared = new Set(here.filter((it) => offered.has(`${named(it)} ${it.group}/${it.version}`)).map(named));
  return [...new Set(here.filter((it) => !shared.has(named(it))).map((it) => it.kind))].sort();
}

export type Fate =
  /** not one of Kubernetes' own, or a release that is not in the table */
  | { is: 'unknown' }
  /** never existed in any release */
  | { is: 'phantom' }
  | { is: 'served' }
  /** `from`: the first minor without it */
  | { is: 'gone'; from: number; instead: string | undefined }
  | { is: 'not yet'; from: number }
  /** only where somebody switched it on */
  | { is: 'off'; instead: string | undefined };

/** What becomes of one `apiVersion` and kind on a server of that minor with default settings. */
export function fateOf(apiVersion: string, kind: string, minor: number): Fate {
  const [version = '', group = ''] = apiVersion.split('/').toReversed();
  const ofGroup = API_KINDS.filter((it) => it.group === group);
  if (ofGroup.length === 0 || minor < OLDEST || minor > NEWEST) return { is: 'unknown' };
  const found = ofGroup.find((it) => it.kind === kind);
  const entry = found?.versions[version];
  if (!found || !entry) return { is: 'phantom' };
  const [first, last] = entry.span;
  if (last !== undefined && minor > last) return { is: 'gone', from: last + 1, instead: found.instead };
  if (minor < first) return { is: 'not yet', from: first };
  return entry.byDefault ? { is: 'served' } : { is: 'off', instead: found.instead };
}

/** What a server of that minor with default settings would say in discovery. */
export function discoveryOf(minor: number): ServedKind[] {
  const all = servedByDefault(minor) ?? [];
  return all.map((it) => ({
    ...it,
    verbs: isQuestion(it) ? ['create'] : ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
    preferred: all
      .filter((other) => other.group === it.group && other.kind === it.kind)
      .every((other) => rank(it.version) >= rank(other.version)),
  }));
}

/** Put by POST, and nothing of it is kept. */
const isQuestion = ({ group, kind }: { group: string; kind: string }) =>
  kind.endsWith('Review') || (group === '' && kind === 'Binding');

/** v2 > v1 > v2beta2 > v2beta1 > v1beta1; the autoscaler's v1 goes before its betas until v2 is stable. @source kubernetes/kubernetes:cmd/kube-apiserver/app/aggregator.go */
function rank(version: string): number {
  const [, major = '0', stage, serial = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? [];
  const stages = { alpha: 1, beta: 2 } as const;
  return (stage === undefined ? 3 : stages[stage as 'alpha' | 'beta']) * 10_000 + Number(major) * 100 + Number(serial);
}
