/**
 * Per minor of the source, the first minor of a target with which it shares no version of a kind; derived from the API
 * specifications of both releases, apart from the table in src.
 *
 * @source kubernetes/kubernetes:api/openapi-spec/swagger.json, release by release
 */
export const FIRST_GAP: Record<number, Record<string, number>> = {
  8: { ControllerRevision: 16, DaemonSet: 16, Deployment: 16, ReplicaSet: 16, StatefulSet: 16, PodSecurityPolicy: 16, CustomResourceDefinition: 22, APIService: 22, CertificateSigningRequest: 22, Ingress: 22, CronJob: 25, PodDisruptionBudget: 25 },
  9: { PodSecurityPolicy: 16, MutatingWebhookConfiguration: 22, ValidatingWebhookConfiguration: 22, CustomResourceDefinition: 22, APIService: 22, CertificateSigningRequest: 22, Ingress: 22, CronJob: 25, PodDisruptionBudget: 25 },
  10: { MutatingWebhookConfiguration: 22, ValidatingWebhookConfiguration: 22, CustomResourceDefinition: 22, CertificateSigningRequest: 22, Ingress: 22, VolumeAttachment: 22, CronJob: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  11: { MutatingWebhookConfiguration: 22, ValidatingWebhookConfiguration: 22, CustomResourceDefinition: 22, CertificateSigningRequest: 22, Ingress: 22, PriorityClass: 22, VolumeAttachment: 22, CronJob: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  12: { MutatingWebhookConfiguration: 22, ValidatingWebhookConfiguration: 22, CustomResourceDefinition: 22, CertificateSigningRequest: 22, Lease: 22, Ingress: 22, PriorityClass: 22, VolumeAttachment: 22, CronJob: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  13: { MutatingWebhookConfiguration: 22, ValidatingWebhookConfiguration: 22, CustomResourceDefinition: 22, CertificateSigningRequest: 22, Lease: 22, Ingress: 22, PriorityClass: 22, CronJob: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  14: { MutatingWebhookConfiguration: 22, ValidatingWebhookConfiguration: 22, CustomResourceDefinition: 22, CertificateSigningRequest: 22, Ingress: 22, CSIDriver: 22, CSINode: 22, CronJob: 25, RuntimeClass: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  15: { MutatingWebhookConfiguration: 22, ValidatingWebhookConfiguration: 22, CustomResourceDefinition: 22, CertificateSigningRequest: 22, Ingress: 22, CSIDriver: 22, CSINode: 22, CronJob: 25, RuntimeClass: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  16: { CertificateSigningRequest: 22, Ingress: 22, CSIDriver: 22, CSINode: 22, CronJob: 25, RuntimeClass: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  17: { CertificateSigningRequest: 22, Ingress: 22, CSIDriver: 22, CronJob: 25, EndpointSlice: 25, RuntimeClass: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  18: { CertificateSigningRequest: 22, Ingress: 22, IngressClass: 22, CronJob: 25, EndpointSlice: 25, RuntimeClass: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  19: { CronJob: 25, EndpointSlice: 25, RuntimeClass: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25 },
  20: { CronJob: 25, EndpointSlice: 25, PodDisruptionBudget: 25, PodSecurityPolicy: 25, FlowSchema: 26, PriorityLevelConfiguration: 26 },
  21: { PodSecurityPolicy: 25, FlowSchema: 26, PriorityLevelConfiguration: 26, CSIStorageCapacity: 27 },
  22: { PodSecurityPolicy: 25, FlowSchema: 26, PriorityLevelConfiguration: 26, CSIStorageCapacity: 27 },
  23: { PodSecurityPolicy: 25, CSIStorageCapacity: 27, FlowSchema: 29, PriorityLevelConfiguration: 29 },
  24: { PodSecurityPolicy: 25, FlowSchema: 29, PriorityLevelConfiguration: 29 },
  25: { FlowSchema: 29, PriorityLevelConfiguration: 29 },
  26: { FlowSchema: 32, PriorityLevelConfiguration: 32 },
  27: { FlowSchema: 32, PriorityLevelConfiguration: 32 },
  28: { FlowSchema: 32, PriorityLevelConfiguration: 32 },
  29: {},
  30: {},
  31: {},
  32: {},
  33: {},
  34: {},
  35: {},
  36: {},
};

/** Versions that both serve of the kinds that people move, for typical pairs. */
export const COMMON: { from: number; to: number; kinds: Record<string, string[]> }[] = [
  { from: 14, to: 20, kinds: { Deployment: ['apps/v1'], Ingress: ['extensions/v1beta1', 'networking.k8s.io/v1beta1'], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1', 'autoscaling/v2beta1', 'autoscaling/v2beta2'], CronJob: ['batch/v1beta1'], PodDisruptionBudget: ['policy/v1beta1'], CustomResourceDefinition: ['apiextensions.k8s.io/v1beta1'], ValidatingWebhookConfiguration: ['admissionregistration.k8s.io/v1beta1'], StorageClass: ['storage.k8s.io/v1', 'storage.k8s.io/v1beta1'], PriorityClass: ['scheduling.k8s.io/v1', 'scheduling.k8s.io/v1beta1'], ClusterRole: ['rbac.authorization.k8s.io/v1', 'rbac.authorization.k8s.io/v1beta1'] } },
  { from: 14, to: 22, kinds: { Deployment: ['apps/v1'], Ingress: [], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1', 'autoscaling/v2beta1', 'autoscaling/v2beta2'], CronJob: ['batch/v1beta1'], PodDisruptionBudget: ['policy/v1beta1'], CustomResourceDefinition: [], ValidatingWebhookConfiguration: [], StorageClass: ['storage.k8s.io/v1'], PriorityClass: ['scheduling.k8s.io/v1'], ClusterRole: ['rbac.authorization.k8s.io/v1'] } },
  { from: 14, to: 25, kinds: { Deployment: ['apps/v1'], Ingress: [], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1', 'autoscaling/v2beta2'], CronJob: [], PodDisruptionBudget: [], CustomResourceDefinition: [], ValidatingWebhookConfiguration: [], StorageClass: ['storage.k8s.io/v1'], PriorityClass: ['scheduling.k8s.io/v1'], ClusterRole: ['rbac.authorization.k8s.io/v1'] } },
  { from: 14, to: 34, kinds: { Deployment: ['apps/v1'], Ingress: [], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1'], CronJob: [], PodDisruptionBudget: [], CustomResourceDefinition: [], ValidatingWebhookConfiguration: [], StorageClass: ['storage.k8s.io/v1'], PriorityClass: ['scheduling.k8s.io/v1'], ClusterRole: ['rbac.authorization.k8s.io/v1'] } },
  { from: 16, to: 22, kinds: { Deployment: ['apps/v1'], Ingress: [], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1', 'autoscaling/v2beta1', 'autoscaling/v2beta2'], CronJob: ['batch/v1beta1'], PodDisruptionBudget: ['policy/v1beta1'], CustomResourceDefinition: ['apiextensions.k8s.io/v1'], ValidatingWebhookConfiguration: ['admissionregistration.k8s.io/v1'], StorageClass: ['storage.k8s.io/v1'], PriorityClass: ['scheduling.k8s.io/v1'], ClusterRole: ['rbac.authorization.k8s.io/v1'] } },
  { from: 18, to: 25, kinds: { Deployment: ['apps/v1'], Ingress: [], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1', 'autoscaling/v2beta2'], CronJob: [], PodDisruptionBudget: [], CustomResourceDefinition: ['apiextensions.k8s.io/v1'], ValidatingWebhookConfiguration: ['admissionregistration.k8s.io/v1'], StorageClass: ['storage.k8s.io/v1'], PriorityClass: ['scheduling.k8s.io/v1'], ClusterRole: ['rbac.authorization.k8s.io/v1'] } },
  { from: 20, to: 25, kinds: { Deployment: ['apps/v1'], Ingress: ['networking.k8s.io/v1'], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1', 'autoscaling/v2beta2'], CronJob: [], PodDisruptionBudget: [], CustomResourceDefinition: ['apiextensions.k8s.io/v1'], ValidatingWebhookConfiguration: ['admissionregistration.k8s.io/v1'], StorageClass: ['storage.k8s.io/v1'], PriorityClass: ['scheduling.k8s.io/v1'], ClusterRole: ['rbac.authorization.k8s.io/v1'] } },
  { from: 20, to: 34, kinds: { Deployment: ['apps/v1'], Ingress: ['networking.k8s.io/v1'], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1'], CronJob: [], PodDisruptionBudget: [], CustomResourceDefinition: ['apiextensions.k8s.io/v1'], ValidatingWebhookConfiguration: ['admissionregistration.k8s.io/v1'], StorageClass: ['storage.k8s.io/v1'], PriorityClass: ['scheduling.k8s.io/v1'], ClusterRole: ['rbac.authorization.k8s.io/v1'] } },
  { from: 22, to: 34, kinds: { Deployment: ['apps/v1'], Ingress: ['networking.k8s.io/v1'], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1'], CronJob: ['batch/v1'], PodDisruptionBudget: ['policy/v1'], CustomResourceDefinition: ['apiextensions.k8s.io/v1'], ValidatingWebhookConfiguration: ['admissionregistration.k8s.io/v1'], StorageClass: ['storage.k8s.io/v1'], PriorityClass: ['scheduling.k8s.io/v1'], ClusterRole: ['rbac.authorization.k8s.io/v1'] } },
  { from: 24, to: 37, kinds: { Deployment: ['apps/v1'], Ingress: ['networking.k8s.io/v1'], NetworkPolicy: ['networking.k8s.io/v1'], HorizontalPodAutoscaler: ['autoscaling/v1', 'autoscaling/v2'], CronJob: ['batch/v1'], PodDisruptionBudget: ['policy/v1'], CustomResourceDefinition: ['apiextensions.k8s.io/v1'], ValidatingWebhookConfiguration: ['admissionregistration.k8s.io/v1'], StorageClass: ['storage.k8s.io/v1'], PriorityClass: ['scheduling.k8s.io/v1'], ClusterRole: ['rbac.authorization.k8s.io/v1'] } },
];
