/**
 * The messages that kubectl sends in protobuf when it creates objects by itself (`create`, `autoscale`, `auth can-i`, `drain`), which it does from 1.35
 * on. A field is `number name type`: `s` text, `i` integer, `b` boolean, `y` bytes, `t` time, `q` quantity, `o` integer or text, `{` a map to
 * one of these, else a message; `*` repeated.
 *
 * @source k8s.io/api and k8s.io/apimachinery v0.36.3, generated.proto of each group
 */
export const MESSAGES: Record<string, string> = {
  ConfigMap: '1 metadata ObjectMeta, 4 immutable b, 2 data {s, 3 binaryData {y',
  Container:
    '1 name s, 2 image s, 3 command s*, 4 args s*, 5 workingDir s, 6 ports ContainerPort*, 7 env EnvVar*, 8 resources ResourceRequirements, 24 restartPolicy s, 13 terminationMessagePath s, 20 terminationMessagePolicy s, 14 imagePullPolicy s, 16 stdin b, 17 stdinOnce b, 18 tty b',
  ContainerPort: '1 name s, 2 hostPort i, 3 containerPort i, 4 protocol s, 5 hostIP s',
  EnvVar: '1 name s, 2 value s',
  LocalObjectReference: '1 name s',
  Namespace: '1 metadata ObjectMeta, 2 spec NamespaceSpec',
  NamespaceSpec: '1 finalizers s*',
  ObjectReference: '1 kind s, 2 namespace s, 3 name s, 4 uid s, 5 apiVersion s, 6 resourceVersion s, 7 fieldPath s',
  PodSpec:
    '20 initContainers Container*, 2 containers Container*, 3 restartPolicy s, 4 terminationGracePeriodSeconds i, 5 activeDeadlineSeconds i, 6 dnsPolicy s, 7 nodeSelector {s, 8 serviceAccountName s, 9 serviceAccount s, 21 automountServiceAccountToken b, 10 nodeName s, 11 hostNetwork b, 12 hostPID b, 13 hostIPC b, 27 shareProcessNamespace b, 15 imagePullSecrets LocalObjectReference*, 16 hostname s, 17 subdomain s, 19 schedulerName s, 24 priorityClassName s, 25 priority i, 29 runtimeClassName s, 30 enableServiceLinks b, 31 preemptionPolicy s, 32 overhead {q, 35 setHostnameAsFQDN b, 37 hostUsers b, 40 resources ResourceRequirements, 41 hostnameOverride s',
  PodTemplateSpec: '1 metadata ObjectMeta, 2 spec PodSpec',
  ResourceQuota: '1 metadata ObjectMeta, 2 spec ResourceQuotaSpec',
  ResourceQuotaSpec: '1 hard {q, 2 scopes s*',
  ResourceRequirements: '1 limits {q, 2 requests {q',
  Secret: '1 metadata ObjectMeta, 5 immutable b, 2 data {y, 4 stringData {s, 3 type s',
  Service: '1 metadata ObjectMeta, 2 spec ServiceSpec',
  ServiceAccount:
    '1 metadata ObjectMeta, 2 secrets ObjectReference*, 3 imagePullSecrets LocalObjectReference*, 4 automountServiceAccountToken b',
  ServicePort: '1 name s, 2 protocol s, 6 appProtocol s, 3 port i, 4 targetPort o, 5 nodePort i',
  ServiceSpec:
    '1 ports ServicePort*, 2 selector {s, 3 clusterIP s, 18 clusterIPs s*, 4 type s, 5 externalIPs s*, 7 sessionAffinity s, 8 loadBalancerIP s, 9 loadBalancerSourceRanges s*, 10 externalName s, 11 externalTrafficPolicy s, 12 healthCheckNodePort i, 13 publishNotReadyAddresses b, 19 ipFamilies s*, 17 ipFamilyPolicy s, 20 allocateLoadBalancerNodePorts b, 21 loadBalancerClass s, 22 internalTrafficPolicy s, 23 trafficDistribution s',
  DeleteOptions:
    '1 gracePeriodSeconds i, 2 preconditions Preconditions, 3 orphanDependents b, 4 propagationPolicy s, 5 dryRun s*, 6 ignoreStoreReadErrorWithClusterBreakingPotential b',
  LabelSelector: '1 matchLabels {s, 2 matchExpressions LabelSelectorRequirement*',
  LabelSelectorRequirement: '1 key s, 2 operator s, 3 values s*',
  ObjectMeta:
    '1 name s, 2 generateName s, 3 namespace s, 4 selfLink s, 5 uid s, 6 resourceVersion s, 7 generation i, 8 creationTimestamp t, 9 deletionTimestamp t, 10 deletionGracePeriodSeconds i, 11 labels {s, 12 annotations {s, 13 ownerReferences OwnerReference*, 14 finalizers s*',
  OwnerReference: '5 apiVersion s, 1 kind s, 3 name s, 4 uid s, 6 controller b, 7 blockOwnerDeletion b',
  Preconditions: '1 uid s, 2 resourceVersion s',
  Deployment: '1 metadata ObjectMeta, 2 spec DeploymentSpec',
  DeploymentSpec:
    '1 replicas i, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy DeploymentStrategy, 5 minReadySeconds i, 6 revisionHistoryLimit i, 7 paused b, 9 progressDeadlineSeconds i',
  DeploymentStrategy: '1 type s, 2 rollingUpdate RollingUpdateDeployment',
  RollingUpdateDeployment: '1 maxUnavailable o, 2 maxSurge o',
  CronJob: '1 metadata ObjectMeta, 2 spec CronJobSpec',
  CronJobSpec:
    '1 schedule s, 8 timeZone s, 2 startingDeadlineSeconds i, 3 concurrencyPolicy s, 4 suspend b, 5 jobTemplate JobTemplateSpec, 6 successfulJobsHistoryLimit i, 7 failedJobsHistoryLimit i',
  Job: '1 metadata ObjectMeta, 2 spec JobSpec',
  JobSpec:
    '1 parallelism i, 2 completions i, 3 activeDeadlineSeconds i, 7 backoffLimit i, 12 backoffLimitPerIndex i, 13 maxFailedIndexes i, 4 selector LabelSelector, 5 manualSelector b, 6 template PodTemplateSpec, 8 ttlSecondsAfterFinished i, 9 completionMode s, 10 suspend b, 14 podReplacementPolicy s, 15 managedBy s',
  JobTemplateSpec: '1 metadata ObjectMeta, 2 spec JobSpec',
  AggregationRule: '1 clusterRoleSelectors LabelSelector*',
  ClusterRole: '1 metadata ObjectMeta, 2 rules PolicyRule*, 3 aggregationRule AggregationRule',
  ClusterRoleBinding: '1 metadata ObjectMeta, 2 subjects Subject*, 3 roleRef RoleRef',
  PolicyRule: '1 verbs s*, 2 apiGroups s*, 3 resources s*, 4 resourceNames s*, 5 nonResourceURLs s*',
  Role: '1 metadata ObjectMeta, 2 rules PolicyRule*',
  RoleBinding: '1 metadata ObjectMeta, 2 subjects Subject*, 3 roleRef RoleRef',
  RoleRef: '1 apiGroup s, 2 kind s, 3 name s',
  Subject: '1 kind s, 2 apiGroup s, 3 name s, 4 namespace s',
  NonResourceAttributes: '1 path s, 2 verb s',
  ResourceAttributes: '1 namespace s, 2 verb s, 3 group s, 4 version s, 5 resource s, 6 subresource s, 7 name s',
  SelfSubjectAccessReview: '1 metadata ObjectMeta, 2 spec SelfSubjectAccessReviewSpec',
  SelfSubjectAccessReviewSpec: '1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes',
  SelfSubjectRulesReview: '1 metadata ObjectMeta, 2 spec SelfSubjectRulesReviewSpec',
  SelfSubjectRulesReviewSpec: '1 namespace s',
  Eviction: '1 metadata ObjectMeta, 2 deleteOptions DeleteOptions',
  PodDisruptionBudget: '1 metadata ObjectMeta, 2 spec PodDisruptionBudgetSpec',
  PodDisruptionBudgetSpec:
    '1 minAvailable o, 2 selector LabelSelector, 3 maxUnavailable o, 4 unhealthyPodEvictionPolicy s',
  CrossVersionObjectReference: '1 kind s, 2 name s, 3 apiVersion s',
  HorizontalPodAutoscaler: '1 metadata ObjectMeta, 2 spec HorizontalPodAutoscalerSpec',
  HorizontalPodAutoscalerSpec:
    '1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas i, 3 maxReplicas i, 4 metrics MetricSpec*',
  MetricSpec: '1 type s, 4 resource ResourceMetricSource',
  MetricTarget: '1 type s, 2 value q, 3 averageValue q, 4 averageUtilization i',
  ResourceMetricSource: '1 name s, 2 target MetricTarget',
  Scale: '1 metadata ObjectMeta, 2 spec ScaleSpec',
  ScaleSpec: '1 replicas i',
  HTTPIngressPath: '1 path s, 3 pathType s, 2 backend IngressBackend',
  HTTPIngressRuleValue: '1 paths HTTPIngressPath*',
  Ingress: '1 metadata ObjectMeta, 2 spec IngressSpec',
  IngressBackend: '4 service IngressServiceBackend',
  IngressRule: '1 host s, 2 ingressRuleValue IngressRuleValue',
  IngressRuleValue: '1 http HTTPIngressRuleValue',
  IngressServiceBackend: '1 name s, 2 port ServiceBackendPort',
  IngressSpec: '4 ingressClassName s, 1 defaultBackend IngressBackend, 2 tls IngressTLS*, 3 rules IngressRule*',
  IngressTLS: '1 hosts s*, 2 secretName s',
  ServiceBackendPort: '1 name s, 2 number i',
  PriorityClass: '1 metadata ObjectMeta, 2 value i, 3 globalDefault b, 4 description s, 5 preemptionPolicy s',
};
