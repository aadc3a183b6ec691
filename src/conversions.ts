import type { Kind, KubeObject } from './ports.js';

/**
 * Objects of versions that newer servers no longer serve, rewritten. Each conversion is a pure function from the source's object to one
 * that the target takes; what would change its meaning is written out.
 *
 * @source kubernetes/kubernetes:pkg/apis (defaults and conversions by version), content/en/docs/reference/using-api/deprecation-guide.md of
 * kubernetes/website
 */
export interface Conversion {
  kind: Kind;
  from: string[];
  to: string;
  convert(object: KubeObject): KubeObject;
}

// Fields differ per kind; each conversion narrows what it uses.
// oxlint-disable-next-line typescript/no-explicit-any
type Fields = any;

const asIs = (to: string) => (object: KubeObject) => ({ ...object, apiVersion: to });

const same = (kind: Kind, from: string[], to: string): Conversion => ({ kind, from, to, convert: asIs(to) });

const RBAC = ['rbac.authorization.k8s.io/v1beta1', 'rbac.authorization.k8s.io/v1alpha1'];

export const CONVERSIONS: readonly Conversion[] = [
  { kind: 'CronJob.batch', from: ['batch/v1beta1', 'batch/v2alpha1'], to: 'batch/v1', convert: cronJob },
  { kind: 'PodDisruptionBudget.policy', from: ['policy/v1beta1'], to: 'policy/v1', convert: budget },
  {
    kind: 'Ingress.networking.k8s.io',
    from: ['networking.k8s.io/v1beta1'],
    to: 'networking.k8s.io/v1',
    convert: ingress,
  },
  { kind: 'Ingress.extensions', from: ['extensions/v1beta1'], to: 'networking.k8s.io/v1', convert: ingress },
  {
    kind: 'HorizontalPodAutoscaler.autoscaling',
    from: ['autoscaling/v2beta2'],
    to: 'autoscaling/v2',
    convert: asIs('autoscaling/v2'),
  },
  {
    kind: 'HorizontalPodAutoscaler.autoscaling',
    from: ['autoscaling/v2beta1'],
    to: 'autoscaling/v2',
    convert: autoscaler,
  },
  {
    kind: 'CustomResourceDefinition.apiextensions.k8s.io',
    from: ['apiextensions.k8s.io/v1beta1'],
    to: 'apiextensions.k8s.io/v1',
    convert: structural,
  },
  {
    kind: 'MutatingWebhookConfiguration.admissionregistration.k8s.io',
    from: ['admissionregistration.k8s.io/v1beta1'],
    to: 'admissionregistration.k8s.io/v1',
    convert: webhooks,
  },
  {
    kind: 'ValidatingWebhookConfiguration.admissionregistration.k8s.io',
    from: ['admissionregistration.k8s.io/v1beta1'],
    to: 'admissionregistration.k8s.io/v1',
    convert: webhooks,
  },
  { kind: 'Deployment.extensions', from: ['extensions/v1beta1'], to: 'apps/v1', convert: deployment },
  { kind: 'Deployment.apps', from: ['apps/v1beta1', 'apps/v1beta2'], to: 'apps/v1', convert: deployment },
  { kind: 'DaemonSet.extensions', from: ['extensions/v1beta1'], to: 'apps/v1', convert: daemonSet },
  { kind: 'DaemonSet.apps', from: ['apps/v1beta2'], to: 'apps/v1', convert: daemonSet },
  { kind: 'ReplicaSet.extensions', from: ['extensions/v1beta1'], to: 'apps/v1', convert: replicaSet },
  { kind: 'ReplicaSet.apps', from: ['apps/v1beta2'], to: 'apps/v1', convert: replicaSet },
  { kind: 'StatefulSet.apps', from: ['apps/v1beta1', 'apps/v1beta2'], to: 'apps/v1', convert: statefulSet },
  same('NetworkPolicy.extensions', ['extensions/v1beta1'], 'networking.k8s.io/v1'),
  {
    kind: 'EndpointSlice.discovery.k8s.io',
    from: ['discovery.k8s.io/v1beta1'],
    to: 'discovery.k8s.io/v1',
    convert: endpointSlice,
  },
  same('IngressClass.networking.k8s.io', ['networking.k8s.io/v1beta1'], 'networking.k8s.io/v1'),
  same(
    'PriorityClass.scheduling.k8s.io',
    ['scheduling.k8s.io/v1beta1', 'scheduling.k8s.io/v1alpha1'],
    'scheduling.k8s.io/v1',
  ),
  same('RuntimeClass.node.k8s.io', ['node.k8s.io/v1beta1'], 'node.k8s.io/v1'),
  ...['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'].map((it) =>
    same(`${it}.rbac.authorization.k8s.io`, RBAC, 'rbac.authorization.k8s.io/v1'),
  ),
];

/**
 * The two versions have the same fields; but a time zone inside the schedule, which was never documented and is refused from 1.29 on, has a
 * field of its own since.
 *
 * @source kubernetes/kubernetes:pkg/apis/batch/v1beta1/conversion.go, pkg/apis/batch/validation/validation.go (validateScheduleFormat)
 */
function cronJob(object: KubeObject): KubeObject {
  const [, zone, schedule] = /^(?:CRON_)?TZ=(\S+)\s+(.*)$/.exec(String(object['spec']?.schedule)) ?? [];
  if (zone === undefined) return { ...object, apiVersion: 'batch/v1' };
  return { ...object, apiVersion: 'batch/v1', spec: { ...object['spec'], schedule, timeZone: zone } };
}

/**
 * An empty selector chooses nothing in v1beta1 and everything in v1; the reserved key chooses nothing in both.
 * @source kubernetes/kubernetes:pkg/apis/policy/v1beta1/conversion.go
 */
function budget(object: KubeObject): KubeObject {
  const spec: Fields = object['spec'] ?? {};
  const isEmpty = spec.selector && Object.keys(spec.selector).length === 0;
  const selector = isEmpty
    ? { matchExpressions: [{ key: 'pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match', operator: 'Exists' }] }
    : spec.selector;
  return { ...object, apiVersion: 'policy/v1', spec: { ...spec, ...(selector && { selector }) } };
}

/**
 * backend {serviceName, servicePort} → {service {name, port {number|name}}}; pathType becomes required, and what an absent one meant is
 * ImplementationSpecific. The old annotation and the field for the class exclude each other in v1.
 *
 * @source kubernetes/kubernetes:pkg/apis/networking/v1beta1/conversion.go
 */
function ingress(object: KubeObject): KubeObject {
  const { backend: single, ...spec }: Fields = object['spec'] ?? {};
  return {
    ...object,
    apiVersion: 'networking.k8s.io/v1',
    spec: {
      ...spec,
      ...(single && { defaultBackend: backend(single) }),
      ...(spec.rules && { rules: spec.rules.map(rule) }),
    },
  };
}

const backend = ({ serviceName, servicePort, resource }: Fields) =>
  resource === undefined
    ? {
        service: {
          name: serviceName,
          port: typeof servicePort === 'number' ? { number: servicePort } : { name: servicePort },
        },
      }
    : { resource };

const rule = ({ http, ...rest }: Fields) => ({
  ...rest,
  ...(http && {
    http: {
      paths: http.paths.map((it: Fields) => ({
        ...it,
        pathType: it.pathType ?? 'ImplementationSpecific',
        backend: backend(it.backend),
      })),
    },
  }),
});

/** @source kubernetes/kubernetes:pkg/apis/autoscaling/v2beta1/conversion.go */
function autoscaler(object: KubeObject): KubeObject {
  const spec: Fields = object['spec'] ?? {};
  const { metrics } = spec;
  return {
    ...object,
    apiVersion: 'autoscaling/v2',
    spec: { ...spec, ...(metrics && { metrics: (metrics as Fields[]).map(metric) }) },
  };
}

function metric({ type, resource, containerResource, pods, object, external }: Fields): Fields {
  const named = (it: Fields) => ({
    name: it.metricName,
    ...((it.metricSelector ?? it.selector) && { selector: it.metricSelector ?? it.selector }),
  });
  if (resource) return { type, resource: { name: resource.name, target: targetOf(resource) } };
  if (containerResource)
    return {
      type,
      containerResource: {
        name: containerResource.name,
        container: containerResource.container,
        target: targetOf(containerResource),
      },
    };
  if (pods) return { type, pods: { metric: named(pods), target: targetOf(pods) } };
  if (object) {
    const { target: describedObject, averageValue, targetValue } = object;
    const target =
      averageValue === undefined ? { type: 'Value', value: targetValue } : { type: 'AverageValue', averageValue };
    return { type, object: { metric: named(object), describedObject, target } };
  }
  return { type, external: { metric: named(external), target: targetOf(external) } };
}

function targetOf({ targetAverageUtilization, targetAverageValue, targetValue }: Fields): Fields {
  if (targetAverageUtilization !== undefined)
    return { type: 'Utilization', averageUtilization: targetAverageUtilization };
  return targetAverageValue === undefined
    ? { type: 'Value', value: targetValue }
    : { type: 'AverageValue', averageValue: targetAverageValue };
}

/**
 * One schema, one set of columns and subresources for all versions becomes one for each. v1 wants a structural schema; where there is none,
 * one that keeps everything stands in its place, as the server did with such objects until then. A server that serves both versions gives
 * out as v1 what v1 would refuse, so it holds for objects of either.
 *
 * @source kubernetes/kubernetes:staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1/conversion.go
 */
export function structural(object: KubeObject): KubeObject {
  const {
    version,
    versions,
    validation,
    subresources,
    additionalPrinterColumns,
    preserveUnknownFields,
    conversion,
    ...spec
  }: Fields = object['spec'] ?? {};
  const isOld = object.apiVersion === 'apiextensions.k8s.io/v1beta1';
  const keepsUnknown = isOld ? preserveUnknownFields !== false : preserveUnknownFields === true;
  const listed: Fields[] = versions?.length ? versions : [{ name: version, served: true, storage: true }];
  const conversionOf = ({ webhookClientConfig, conversionReviewVersions, ...rest }: Fields) => ({
    ...rest,
    ...(webhookClientConfig && {
      webhook: { clientConfig: webhookClientConfig, conversionReviewVersions: conversionReviewVersions ?? ['v1beta1'] },
    }),
  });
  return {
    ...object,
    apiVersion: 'apiextensions.k8s.io/v1',
    spec: {
      ...spec,
      ...(conversion && { conversion: conversionOf(conversion) }),
      versions: listed.map(({ schema, subresources: own, additionalPrinterColumns: columns, ...it }: Fields) => {
        const described: Fields = (schema ?? validation)?.openAPIV3Schema;
        const shown: Fields[] = columns ?? additionalPrinterColumns ?? [];
        return {
          ...it,
          schema: { openAPIV3Schema: schemaOf(described, keepsUnknown) },
          ...((own ?? subresources) && { subresources: own ?? subresources }),
          ...(shown.length > 0 && {
            additionalPrinterColumns: shown.map(({ JSONPath, jsonPath, ...column }: Fields) => ({
              ...column,
              jsonPath: jsonPath ?? JSONPath,
            })),
          }),
        };
      }),
    },
  };
}

/** In v1beta1 unknown fields were kept unless the definition said otherwise; in v1 they are dropped unless the schema says otherwise. */
function schemaOf(schema: Fields, keepsUnknown: boolean): Fields {
  return {
    ...schema,
    type: 'object',
    ...((keepsUnknown || !schema) && { 'x-kubernetes-preserve-unknown-fields': true }),
  };
}

/**
 * What v1beta1 filled in where nothing was said differs from what v1 fills in, so it is said. Side effects must be none: nobody else can
 * promise that, so a webhook that said Unknown or Some is said to have none on a dry run.
 *
 * @source kubernetes/kubernetes:pkg/apis/admissionregistration/v1beta1/defaults.go
 */
function webhooks(object: KubeObject): KubeObject {
  return {
    ...object,
    apiVersion: 'admissionregistration.k8s.io/v1',
    webhooks: ((object['webhooks'] ?? []) as Fields[]).map((it) => ({
      ...it,
      sideEffects: it.sideEffects === 'None' ? 'None' : 'NoneOnDryRun',
      admissionReviewVersions: it.admissionReviewVersions ?? ['v1beta1'],
      failurePolicy: it.failurePolicy ?? 'Ignore',
      matchPolicy: it.matchPolicy ?? 'Exact',
      timeoutSeconds: it.timeoutSeconds ?? 30,
    })),
  };
}

/** The selector must be written out; an absent one meant the labels of the template. */
function withSelector(object: KubeObject): KubeObject {
  const spec: Fields = object['spec'] ?? {};
  const selector = spec.selector ?? { matchLabels: spec.template?.metadata?.labels ?? {} };
  return { ...object, apiVersion: 'apps/v1', spec: { ...spec, selector } };
}

/** "No limit" was a number that v1 reads as a real one. @source kubernetes/kubernetes:pkg/apis/extensions/v1beta1/defaults.go */
const NO_LIMIT = 2_147_483_647;

function deployment(object: KubeObject): KubeObject {
  const converted = withSelector(object);
  const { rollbackTo: _gone, progressDeadlineSeconds, ...spec }: Fields = converted['spec'];
  const isOld = object.apiVersion === 'extensions/v1beta1' || object.apiVersion === 'apps/v1beta1';
  return {
    ...converted,
    spec: {
      ...spec,
      ...(progressDeadlineSeconds !== undefined && progressDeadlineSeconds !== NO_LIMIT && { progressDeadlineSeconds }),
      // Left out in a file of the old version: what that meant.
      ...(isOld &&
        spec.strategy?.type !== 'Recreate' && {
          strategy: {
            type: 'RollingUpdate',
            ...spec.strategy,
            rollingUpdate: { maxSurge: 1, maxUnavailable: 1, ...spec.strategy?.rollingUpdate },
          },
        }),
    },
  };
}

function daemonSet(object: KubeObject): KubeObject {
  const converted = withSelector(object);
  const { templateGeneration: _gone, ...spec }: Fields = converted['spec'];
  const isOld = object.apiVersion === 'extensions/v1beta1';
  return {
    ...converted,
    spec: { ...spec, ...(isOld && { updateStrategy: spec.updateStrategy ?? { type: 'OnDelete' } }) },
  };
}

function replicaSet(object: KubeObject): KubeObject {
  return withSelector(object);
}

function statefulSet(object: KubeObject): KubeObject {
  const converted = withSelector(object);
  const spec: Fields = converted['spec'];
  const isOld = object.apiVersion === 'apps/v1beta1';
  return {
    ...converted,
    spec: { ...spec, ...(isOld && { updateStrategy: spec.updateStrategy ?? { type: 'OnDelete' } }) },
  };
}

const ZONE = 'topology.kubernetes.io/zone';
const HOST = 'kubernetes.io/hostname';

/** @source kubernetes/kubernetes:pkg/apis/discovery/v1beta1/conversion.go */
function endpointSlice(object: KubeObject): KubeObject {
  const endpoints = ((object['endpoints'] ?? []) as Fields[]).map(({ topology, ...it }) => {
    const { [ZONE]: zone, [HOST]: host, ...rest }: Record<string, string> = topology ?? {};
    const nodeName: string | undefined = it.nodeName ?? host;
    return {
      ...it,
      ...(nodeName !== undefined && { nodeName }),
      ...(zone !== undefined && { zone }),
      ...(Object.keys(rest).length > 0 && { deprecatedTopology: rest }),
    };
  });
  return { ...object, apiVersion: 'discovery.k8s.io/v1', endpoints };
}
