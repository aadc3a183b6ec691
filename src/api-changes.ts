/**
 * What has to change in a file, beside its `apiVersion`, when it goes to the version that took the place of its own. For people who
 * mend the file; objects that move are given out by the server in any version, or rewritten by `convert.ts`.
 *
 * @source kubernetes/website:content/en/docs/reference/using-api/deprecation-guide.md, and pkg/apis of kubernetes/kubernetes by version
 */
export interface ApiChange {
  kinds: readonly string[];
  from: readonly string[];
  /** `none`: nothing took its place */
  to: string;
  /** in few words, each one thing */
  fields: readonly string[];
}

const WEBHOOKS = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];
const SELECTOR = 'spec.selector must be written out and match the labels of the template';

// oxfmt-ignore
export const API_CHANGES: readonly ApiChange[] = [
  { kinds: ['Deployment'], from: ['extensions/v1beta1', 'apps/v1beta1', 'apps/v1beta2'], to: 'apps/v1', fields: [SELECTOR, 'spec.rollbackTo is gone', 'left out, progressDeadlineSeconds is 600 and revisionHistoryLimit 10, surge and unavailable 25%'] },
  { kinds: ['DaemonSet'], from: ['extensions/v1beta1', 'apps/v1beta2'], to: 'apps/v1', fields: [SELECTOR, 'spec.templateGeneration is gone', 'left out, updateStrategy is RollingUpdate (was OnDelete in extensions)'] },
  { kinds: ['StatefulSet'], from: ['apps/v1beta1', 'apps/v1beta2'], to: 'apps/v1', fields: [SELECTOR, 'left out, updateStrategy is RollingUpdate (was OnDelete in apps/v1beta1)'] },
  { kinds: ['ReplicaSet'], from: ['extensions/v1beta1', 'apps/v1beta2'], to: 'apps/v1', fields: [SELECTOR] },
  { kinds: ['NetworkPolicy'], from: ['extensions/v1beta1'], to: 'networking.k8s.io/v1', fields: [] },
  { kinds: ['Ingress'], from: ['extensions/v1beta1', 'networking.k8s.io/v1beta1'], to: 'networking.k8s.io/v1', fields: ['backend.serviceName → backend.service.name', 'backend.servicePort → backend.service.port.number or .name', 'spec.backend → spec.defaultBackend', 'pathType is required (ImplementationSpecific keeps the meaning)', 'annotation kubernetes.io/ingress.class or spec.ingressClassName, not both'] },
  { kinds: ['IngressClass'], from: ['networking.k8s.io/v1beta1'], to: 'networking.k8s.io/v1', fields: [] },
  { kinds: ['HorizontalPodAutoscaler'], from: ['autoscaling/v2beta1'], to: 'autoscaling/v2', fields: ['resource.targetAverageUtilization → resource.target {type: Utilization, averageUtilization}', 'metricName and selector → metric {name, selector}', 'targetValue and targetAverageValue → target {type, value or averageValue}', 'object.target → object.describedObject'] },
  { kinds: ['HorizontalPodAutoscaler'], from: ['autoscaling/v2beta2'], to: 'autoscaling/v2', fields: [] },
  { kinds: ['CronJob'], from: ['batch/v1beta1', 'batch/v2alpha1'], to: 'batch/v1', fields: ['a TZ= or CRON_TZ= in spec.schedule → spec.timeZone (refused from 1.29)'] },
  { kinds: ['PodDisruptionBudget'], from: ['policy/v1beta1'], to: 'policy/v1', fields: ['an empty spec.selector {} chose nothing and chooses every pod now'] },
  { kinds: ['PodSecurityPolicy'], from: ['policy/v1beta1', 'extensions/v1beta1'], to: 'none', fields: ['namespace labels pod-security.kubernetes.io/enforce take its place', 'what it filled into pods (runAsUser, fsGroup, seccomp) must be written into the templates'] },
  { kinds: ['PodPreset'], from: ['settings.k8s.io/v1alpha1'], to: 'none', fields: ['its variables and volumes must be written into the templates'] },
  { kinds: ['CustomResourceDefinition'], from: ['apiextensions.k8s.io/v1beta1'], to: 'apiextensions.k8s.io/v1', fields: ['spec.version → spec.versions[]', 'validation, subresources and additionalPrinterColumns move into each version', 'every version needs a structural schema', 'JSONPath → jsonPath', 'conversion.webhookClientConfig → conversion.webhook.clientConfig, with conversionReviewVersions', 'preserveUnknownFields → x-kubernetes-preserve-unknown-fields in the schema'] },
  { kinds: WEBHOOKS, from: ['admissionregistration.k8s.io/v1beta1'], to: 'admissionregistration.k8s.io/v1', fields: ['sideEffects must be None or NoneOnDryRun', 'admissionReviewVersions is required', 'left out, failurePolicy is Fail (was Ignore), matchPolicy Equivalent (was Exact), timeoutSeconds 10 (was 30)'] },
  { kinds: ['CertificateSigningRequest'], from: ['certificates.k8s.io/v1beta1'], to: 'certificates.k8s.io/v1', fields: ['spec.signerName and spec.usages are required'] },
  { kinds: ['EndpointSlice'], from: ['discovery.k8s.io/v1beta1', 'discovery.k8s.io/v1alpha1'], to: 'discovery.k8s.io/v1', fields: ['endpoints[].topology → nodeName and zone'] },
  { kinds: ['FlowSchema'], from: ['flowcontrol.apiserver.k8s.io/v1alpha1', 'flowcontrol.apiserver.k8s.io/v1beta1', 'flowcontrol.apiserver.k8s.io/v1beta2', 'flowcontrol.apiserver.k8s.io/v1beta3'], to: 'flowcontrol.apiserver.k8s.io/v1', fields: [] },
  { kinds: ['PriorityLevelConfiguration'], from: ['flowcontrol.apiserver.k8s.io/v1alpha1', 'flowcontrol.apiserver.k8s.io/v1beta1', 'flowcontrol.apiserver.k8s.io/v1beta2', 'flowcontrol.apiserver.k8s.io/v1beta3'], to: 'flowcontrol.apiserver.k8s.io/v1', fields: ['limited.assuredConcurrencyShares → limited.nominalConcurrencyShares'] },
  { kinds: ['RuntimeClass'], from: ['node.k8s.io/v1alpha1'], to: 'node.k8s.io/v1', fields: ['spec.runtimeHandler → handler'] },
  { kinds: ['RuntimeClass'], from: ['node.k8s.io/v1beta1'], to: 'node.k8s.io/v1', fields: [] },
  { kinds: ['SubjectAccessReview', 'LocalSubjectAccessReview', 'SelfSubjectAccessReview'], from: ['authorization.k8s.io/v1beta1'], to: 'authorization.k8s.io/v1', fields: ['spec.group → spec.groups'] },
];

export const changeOf = (apiVersion: string, kind: string): ApiChange | undefined =>
  API_CHANGES.find((it) => it.kinds.includes(kind) && it.from.includes(apiVersion));
