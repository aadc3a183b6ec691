/**
 * Which API server serves what by default, releases 1.16 to 1.37.
 *
 * @source kubernetes/kubernetes:api/openapi-spec/swagger.json at each release (what exists), pkg/controlplane/instance.go (what is on),
 *   cmd/kube-apiserver/app/aggregator.go (order of groups and versions), pkg/registry (short names, categories, subresources)
 */
export interface KindRow {
  group: string;
  kind: string;
  /** plural, as in the URL */
  resource: string;
  namespaced: boolean;
  /** version → first and last minor release that serves it by default; no last: still served */
  versions: Record<string, readonly [first: number, last?: number]>;
  short: string[];
  categories: string[];
  subresources: string[];
  /** the group whose kind of the same name is the same object */
  home: string;
  /** questions put by POST, of which nothing is kept */
  createOnly: boolean;
  readOnly: boolean;
}

interface More {
  short?: string;
  categories?: string;
  sub?: string;
  home?: string;
  createOnly?: true;
  readOnly?: true;
}

const NAMESPACED = true;
const CLUSTER = false;
const words = (text = ''): string[] => text.split(' ').filter((word) => word !== '');

const row = (
  group: string,
  kind: string,
  resource: string,
  namespaced: boolean,
  versions: KindRow['versions'],
  more: More = {},
): KindRow => ({
  group,
  kind,
  resource,
  namespaced,
  versions,
  short: words(more.short),
  categories: words(more.categories),
  subresources: words(more.sub),
  home: more.home ?? group,
  createOnly: more.createOnly ?? false,
  readOnly: more.readOnly ?? false,
});

export const KIND_ROWS: readonly KindRow[] = [
  row('', 'Binding', 'bindings', NAMESPACED, { v1: [16] }, { createOnly: true }),
  row('', 'ComponentStatus', 'componentstatuses', CLUSTER, { v1: [16] }, { short: 'cs', readOnly: true }),
  row('', 'ConfigMap', 'configmaps', NAMESPACED, { v1: [16] }, { short: 'cm' }),
  row('', 'Endpoints', 'endpoints', NAMESPACED, { v1: [16] }, { short: 'ep' }),
  row('', 'Event', 'events', NAMESPACED, { v1: [16] }, { short: 'ev' }),
  row('', 'LimitRange', 'limitranges', NAMESPACED, { v1: [16] }, { short: 'limits' }),
  row('', 'Namespace', 'namespaces', CLUSTER, { v1: [16] }, { short: 'ns', sub: 'finalize status' }),
  row('', 'Node', 'nodes', CLUSTER, { v1: [16] }, { short: 'no', sub: 'status' }),
  row('', 'PersistentVolume', 'persistentvolumes', CLUSTER, { v1: [16] }, { short: 'pv', sub: 'status' }),
  row('', 'PersistentVolumeClaim', 'persistentvolumeclaims', NAMESPACED, { v1: [16] }, { short: 'pvc', sub: 'status' }),
  row(
    '',
    'Pod',
    'pods',
    NAMESPACED,
    { v1: [16] },
    { short: 'po', categories: 'all', sub: 'binding eviction log status' },
  ),
  row('', 'PodTemplate', 'podtemplates', NAMESPACED, { v1: [16] }),
  row(
    '',
    'ReplicationController',
    'replicationcontrollers',
    NAMESPACED,
    { v1: [16] },
    { short: 'rc', categories: 'all', sub: 'scale status' },
  ),
  row('', 'ResourceQuota', 'resourcequotas', NAMESPACED, { v1: [16] }, { short: 'quota', sub: 'status' }),
  row('', 'Secret', 'secrets', NAMESPACED, { v1: [16] }),
  row('', 'Service', 'services', NAMESPACED, { v1: [16] }, { short: 'svc', categories: 'all', sub: 'status' }),
  row('', 'ServiceAccount', 'serviceaccounts', NAMESPACED, { v1: [16] }, { short: 'sa', sub: 'token' }),
  row(
    'admissionregistration.k8s.io',
    'MutatingAdmissionPolicy',
    'mutatingadmissionpolicies',
    CLUSTER,
    { v1: [36] },
    { categories: 'api-extensions' },
  ),
  row(
    'admissionregistration.k8s.io',
    'MutatingAdmissionPolicyBinding',
    'mutatingadmissionpolicybindings',
    CLUSTER,
    { v1: [36] },
    { categories: 'api-extensions' },
  ),
  row(
    'admissionregistration.k8s.io',
    'MutatingWebhookConfiguration',
    'mutatingwebhookconfigurations',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { categories: 'api-extensions' },
  ),
  row(
    'admissionregistration.k8s.io',
    'ValidatingAdmissionPolicy',
    'validatingadmissionpolicies',
    CLUSTER,
    { v1: [30] },
    { categories: 'api-extensions', sub: 'status' },
  ),
  row(
    'admissionregistration.k8s.io',
    'ValidatingAdmissionPolicyBinding',
    'validatingadmissionpolicybindings',
    CLUSTER,
    { v1: [30] },
    { categories: 'api-extensions' },
  ),
  row(
    'admissionregistration.k8s.io',
    'ValidatingWebhookConfiguration',
    'validatingwebhookconfigurations',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { categories: 'api-extensions' },
  ),
  row(
    'apiextensions.k8s.io',
    'CustomResourceDefinition',
    'customresourcedefinitions',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { short: 'crd crds', categories: 'api-extensions', sub: 'status' },
  ),
  row(
    'apiregistration.k8s.io',
    'APIService',
    'apiservices',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { categories: 'api-extensions', sub: 'status' },
  ),
  row('apps', 'ControllerRevision', 'controllerrevisions', NAMESPACED, { v1: [16] }),
  row('apps', 'DaemonSet', 'daemonsets', NAMESPACED, { v1: [16] }, { short: 'ds', categories: 'all', sub: 'status' }),
  row(
    'apps',
    'Deployment',
    'deployments',
    NAMESPACED,
    { v1: [16] },
    { short: 'deploy', categories: 'all', sub: 'scale status' },
  ),
  row(
    'apps',
    'ReplicaSet',
    'replicasets',
    NAMESPACED,
    { v1: [16] },
    { short: 'rs', categories: 'all', sub: 'scale status' },
  ),
  row(
    'apps',
    'StatefulSet',
    'statefulsets',
    NAMESPACED,
    { v1: [16] },
    { short: 'sts', categories: 'all', sub: 'scale status' },
  ),
  row('authentication.k8s.io', 'SelfSubjectReview', 'selfsubjectreviews', CLUSTER, { v1: [28] }, { createOnly: true }),
  row(
    'authentication.k8s.io',
    'TokenReview',
    'tokenreviews',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { createOnly: true },
  ),
  row(
    'authorization.k8s.io',
    'LocalSubjectAccessReview',
    'localsubjectaccessreviews',
    NAMESPACED,
    { v1: [16], v1beta1: [16, 21] },
    { createOnly: true },
  ),
  row(
    'authorization.k8s.io',
    'SelfSubjectAccessReview',
    'selfsubjectaccessreviews',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { createOnly: true },
  ),
  row(
    'authorization.k8s.io',
    'SelfSubjectRulesReview',
    'selfsubjectrulesreviews',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { createOnly: true },
  ),
  row(
    'authorization.k8s.io',
    'SubjectAccessReview',
    'subjectaccessreviews',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { createOnly: true },
  ),
  row(
    'autoscaling',
    'HorizontalPodAutoscaler',
    'horizontalpodautoscalers',
    NAMESPACED,
    { v1: [16], v2: [23], v2beta1: [16, 24], v2beta2: [16, 25] },
    { short: 'hpa', categories: 'all', sub: 'status' },
  ),
  row(
    'batch',
    'CronJob',
    'cronjobs',
    NAMESPACED,
    { v1: [21], v1beta1: [16, 24] },
    { short: 'cj', categories: 'all', sub: 'status' },
  ),
  row('batch', 'Job', 'jobs', NAMESPACED, { v1: [16] }, { categories: 'all', sub: 'status' }),
  row(
    'certificates.k8s.io',
    'CertificateSigningRequest',
    'certificatesigningrequests',
    CLUSTER,
    { v1: [19], v1beta1: [16, 21] },
    { short: 'csr', sub: 'approval status' },
  ),
  row('certificates.k8s.io', 'ClusterTrustBundle', 'clustertrustbundles', CLUSTER, { v1: [37] }),
  row(
    'certificates.k8s.io',
    'PodCertificateRequest',
    'podcertificaterequests',
    NAMESPACED,
    { v1: [37] },
    { sub: 'status' },
  ),
  row('coordination.k8s.io', 'Lease', 'leases', NAMESPACED, { v1: [16], v1beta1: [16, 21] }),
  row('discovery.k8s.io', 'EndpointSlice', 'endpointslices', NAMESPACED, { v1: [21], v1beta1: [17, 24] }),
  row('events.k8s.io', 'Event', 'events', NAMESPACED, { v1: [19], v1beta1: [16, 24] }, { short: 'ev', home: '' }),
  row(
    'extensions',
    'Ingress',
    'ingresses',
    NAMESPACED,
    { v1beta1: [16, 21] },
    { short: 'ing', sub: 'status', home: 'networking.k8s.io' },
  ),
  row(
    'flowcontrol.apiserver.k8s.io',
    'FlowSchema',
    'flowschemas',
    CLUSTER,
    { v1: [29], v1beta1: [20, 25], v1beta2: [23, 28], v1beta3: [26, 31] },
    { sub: 'status' },
  ),
  row(
    'flowcontrol.apiserver.k8s.io',
    'PriorityLevelConfiguration',
    'prioritylevelconfigurations',
    CLUSTER,
    { v1: [29], v1beta1: [20, 25], v1beta2: [23, 28], v1beta3: [26, 31] },
    { sub: 'status' },
  ),
  row('networking.k8s.io', 'IPAddress', 'ipaddresses', CLUSTER, { v1: [33] }, { short: 'ip' }),
  row(
    'networking.k8s.io',
    'Ingress',
    'ingresses',
    NAMESPACED,
    { v1: [19], v1beta1: [16, 21] },
    { short: 'ing', sub: 'status' },
  ),
  row('networking.k8s.io', 'IngressClass', 'ingressclasses', CLUSTER, { v1: [19], v1beta1: [18, 21] }),
  row('networking.k8s.io', 'NetworkPolicy', 'networkpolicies', NAMESPACED, { v1: [16] }, { short: 'netpol' }),
  row('networking.k8s.io', 'ServiceCIDR', 'servicecidrs', CLUSTER, { v1: [33] }, { sub: 'status' }),
  row('node.k8s.io', 'RuntimeClass', 'runtimeclasses', CLUSTER, { v1: [20], v1beta1: [16, 24] }),
  row(
    'policy',
    'PodDisruptionBudget',
    'poddisruptionbudgets',
    NAMESPACED,
    { v1: [21], v1beta1: [16, 24] },
    { short: 'pdb', sub: 'status' },
  ),
  row('policy', 'PodSecurityPolicy', 'podsecuritypolicies', CLUSTER, { v1beta1: [16, 24] }, { short: 'psp' }),
  row('rbac.authorization.k8s.io', 'ClusterRole', 'clusterroles', CLUSTER, { v1: [16], v1beta1: [16, 21] }),
  row('rbac.authorization.k8s.io', 'ClusterRoleBinding', 'clusterrolebindings', CLUSTER, {
    v1: [16],
    v1beta1: [16, 21],
  }),
  row('rbac.authorization.k8s.io', 'Role', 'roles', NAMESPACED, { v1: [16], v1beta1: [16, 21] }),
  row('rbac.authorization.k8s.io', 'RoleBinding', 'rolebindings', NAMESPACED, { v1: [16], v1beta1: [16, 21] }),
  row('resource.k8s.io', 'DeviceClass', 'deviceclasses', CLUSTER, { v1: [34] }),
  row('resource.k8s.io', 'DeviceTaintRule', 'devicetaintrules', CLUSTER, { v1: [37] }),
  row('resource.k8s.io', 'ResourceClaim', 'resourceclaims', NAMESPACED, { v1: [34] }, { sub: 'status' }),
  row('resource.k8s.io', 'ResourceClaimTemplate', 'resourceclaimtemplates', NAMESPACED, { v1: [34] }),
  row('resource.k8s.io', 'ResourceSlice', 'resourceslices', CLUSTER, { v1: [34] }),
  row(
    'scheduling.k8s.io',
    'PriorityClass',
    'priorityclasses',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { short: 'pc' },
  ),
  row('storage.k8s.io', 'CSIDriver', 'csidrivers', CLUSTER, { v1: [18], v1beta1: [16, 21] }),
  row('storage.k8s.io', 'CSINode', 'csinodes', CLUSTER, { v1: [17], v1beta1: [16, 21] }),
  row('storage.k8s.io', 'CSIStorageCapacity', 'csistoragecapacities', NAMESPACED, { v1: [24], v1beta1: [21, 26] }),
  row('storage.k8s.io', 'StorageClass', 'storageclasses', CLUSTER, { v1: [16], v1beta1: [16, 21] }, { short: 'sc' }),
  row(
    'storage.k8s.io',
    'VolumeAttachment',
    'volumeattachments',
    CLUSTER,
    { v1: [16], v1beta1: [16, 21] },
    { sub: 'status' },
  ),
  row('storage.k8s.io', 'VolumeAttributesClass', 'volumeattributesclasses', CLUSTER, { v1: [34] }, { short: 'vac' }),
  row(
    'storagemigration.k8s.io',
    'StorageVersionMigration',
    'storageversionmigrations',
    CLUSTER,
    { v1: [37] },
    { sub: 'status' },
  ),
];

/** The order in which servers list groups; the core group stands apart, groups of custom resources come last. */
export const GROUP_ORDER: readonly string[] = [
  'apiregistration.k8s.io',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'extensions',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
  'flowcontrol.apiserver.k8s.io',
  'resource.k8s.io',
  'storagemigration.k8s.io',
];

/** Where the order of versions isn't simply newest first: autoscaling/v1 came first until v2 was there, and v2beta1 before v2beta2. */
const AUTOSCALING_ORDER = ['v2', 'v1', 'v2beta1', 'v2beta2'];

const VERSION_NAME = /^v(\d+)(?:(alpha|beta)(\d+))?$/;

/** Newest stable first, then beta, then alpha: how custom resources' versions, and nearly all groups', are ordered. */
export function compareVersions(group: string, a: string, b: string): number {
  if (group === 'autoscaling') return AUTOSCALING_ORDER.indexOf(a) - AUTOSCALING_ORDER.indexOf(b);
  const left = VERSION_NAME.exec(a);
  const right = VERSION_NAME.exec(b);
  if (!left || !right) return left ? -1 : right ? 1 : a < b ? -1 : 1;
  const stage = (word: string | undefined): number => (word === undefined ? 2 : word === 'beta' ? 1 : 0);
  return (
    stage(right[2]) - stage(left[2]) ||
    Number(right[1]) - Number(left[1]) ||
    Number(right[3] ?? 0) - Number(left[3] ?? 0)
  );
}
