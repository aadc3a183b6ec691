import type { Json, TwinObject } from '../types.js';
import { cloneJson, isMap } from './json.js';

/**
 * How one version of a kind differs from the form in which the store keeps it. `toStored` gets an object of its own and may change
 * it; `fromStored` gets a copy too. Both leave apiVersion to the caller.
 */
export interface Conversion {
  toStored(object: TwinObject): TwinObject;
  fromStored(object: TwinObject): TwinObject;
}

const HOSTNAME = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
const EMPTY_SELECTOR_KEY = 'pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match';
const HPA_ANNOTATIONS = {
  metrics: 'autoscaling.alpha.kubernetes.io/metrics',
  behavior: 'autoscaling.alpha.kubernetes.io/behavior',
  currentMetrics: 'autoscaling.alpha.kubernetes.io/current-metrics',
  conditions: 'autoscaling.alpha.kubernetes.io/conditions',
} as const;

/** Renames the keys of a map that have another name on the other side; keys that aren't there stay away. */
function rename(map: Json, names: Record<string, string>): Json {
  if (!isMap(map)) return map;
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [names[key] ?? key, value]));
}

const flip = (names: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(names).map(([a, b]) => [b, a]));

// Ingress: kubernetes/kubernetes:pkg/apis/networking/v1beta1/conversion.go

function newBackend(backend: Json): Json {
  if (!isMap(backend)) return backend;
  const { serviceName, servicePort, ...rest } = backend;
  if (serviceName === undefined && servicePort === undefined) return rest;
  const port = typeof servicePort === 'number' ? { number: servicePort } : { name: servicePort };
  return { service: { name: serviceName, port: servicePort === undefined ? {} : port }, ...rest };
}

function oldBackend(backend: Json): Json {
  if (!isMap(backend)) return backend;
  const { service, ...rest } = backend;
  if (!service) return rest;
  const servicePort = service.port?.number ?? service.port?.name;
  return { serviceName: service.name, ...(servicePort !== undefined && { servicePort }), ...rest };
}

function eachPath(spec: Json, change: (path: Json) => Json): void {
  for (const rule of spec?.rules ?? []) {
    if (Array.isArray(rule.http?.paths)) rule.http.paths = rule.http.paths.map(change);
  }
}

const ingress: Conversion = {
  toStored(object) {
    const spec = object['spec'];
    if (!isMap(spec)) return object;
    if (spec['backend'] !== undefined) spec['defaultBackend'] = newBackend(spec['backend']);
    delete spec['backend'];
    eachPath(spec, (path) => ({ pathType: 'ImplementationSpecific', ...path, backend: newBackend(path.backend) }));
    return object;
  },
  fromStored(object) {
    const spec = object['spec'];
    if (!isMap(spec)) return object;
    if (spec['defaultBackend'] !== undefined) spec['backend'] = oldBackend(spec['defaultBackend']);
    delete spec['defaultBackend'];
    eachPath(spec, (path) => ({ ...path, backend: oldBackend(path.backend) }));
    return object;
  },
};

// EndpointSlice: kubernetes/kubernetes:pkg/apis/discovery/v1beta1/conversion.go

const endpointSlice: Conversion = {
  toStored(object) {
    object['endpoints'] = object['endpoints']?.map(({ topology, ...endpoint }: Json) => {
      const { [HOSTNAME]: host, [ZONE]: zone, ...other } = topology ?? {};
      return {
        ...endpoint,
        ...(host !== undefined && { nodeName: endpoint.nodeName ?? host }),
        ...(zone !== undefined && { zone }),
        ...(Object.keys(other).length > 0 && { deprecatedTopology: other }),
      };
    });
    return object;
  },
  fromStored(object) {
    object['endpoints'] = object['endpoints']?.map(({ zone, deprecatedTopology, ...endpoint }: Json) => {
      const topology = {
        ...deprecatedTopology,
        ...(endpoint.nodeName !== undefined && { [HOSTNAME]: endpoint.nodeName }),
        ...(zone !== undefined && { [ZONE]: zone }),
      };
      return { ...endpoint, ...(Object.keys(topology).length > 0 && { topology }) };
    });
    return object;
  },
};

// PodDisruptionBudget: an empty selector selects nothing in v1beta1 and every pod in v1.

const disruptionBudget: Conversion = {
  toStored(object) {
    const selector = object['spec']?.selector;
    if (isMap(selector) && Object.keys(selector).length === 0) {
      selector['matchExpressions'] = [{ key: EMPTY_SELECTOR_KEY, operator: 'Exists' }];
    }
    return object;
  },
  fromStored(object) {
    const selector = object['spec']?.selector;
    const expressions = selector?.matchExpressions;
    if (selector?.matchLabels === undefined && expressions?.length === 1 && expressions[0].key === EMPTY_SELECTOR_KEY) {
      object['spec'].selector = {};
    }
    return object;
  },
};

// HorizontalPodAutoscaler: kubernetes/kubernetes:pkg/apis/autoscaling/v1/conversion.go, v2beta1/conversion.go

const isPlainCpu = (metric: Json): boolean =>
  metric.type === 'Resource' && metric.resource?.name === 'cpu' && metric.resource.target?.type === 'Utilization';

/** Later versions keep a list of metrics; v1 has a field for the cpu and an annotation for the rest. */
const autoscalerV1: Conversion = {
  toStored(object) {
    const { targetCPUUtilizationPercentage: cpu, ...spec } = object['spec'] ?? {};
    const annotations = object.metadata.annotations ?? {};
    const metrics = cpu === undefined ? [] : [cpuMetric(cpu)];
    const more = annotations[HPA_ANNOTATIONS.metrics];
    if (more !== undefined) metrics.push(...beta1Metrics.toStored(JSON.parse(more)));
    const behavior = annotations[HPA_ANNOTATIONS.behavior];
    for (const key of Object.values(HPA_ANNOTATIONS)) delete annotations[key];
    object['spec'] = {
      ...spec,
      ...(metrics.length > 0 && { metrics }),
      ...(behavior !== undefined && { behavior: JSON.parse(behavior) }),
    };
    const { currentCPUUtilizationPercentage: now, ...status } = object['status'] ?? {};
    if (object['status'])
      object['status'] = { ...status, ...(now !== undefined && { currentMetrics: [cpuStatus(now)] }) };
    return object;
  },
  fromStored(object) {
    const { metrics = [], behavior, ...spec } = object['spec'] ?? {};
    const cpu = metrics.find(isPlainCpu);
    const rest = metrics.filter((metric: Json) => metric !== cpu);
    const annotations = {
      ...object.metadata.annotations,
      ...(rest.length > 0 && { [HPA_ANNOTATIONS.metrics]: JSON.stringify(beta1Metrics.fromStored(rest)) }),
      ...(behavior !== undefined && { [HPA_ANNOTATIONS.behavior]: JSON.stringify(behavior) }),
    };
    object['spec'] = {
      ...spec,
      ...(cpu && { targetCPUUtilizationPercentage: cpu.resource.target.averageUtilization }),
    };
    const { currentMetrics, conditions, ...status } = object['status'] ?? {};
    const seen = currentMetrics?.find((metric: Json) => metric.resource?.name === 'cpu');
    if (conditions) annotations[HPA_ANNOTATIONS.conditions] = JSON.stringify(conditions);
    if (Object.keys(annotations).length > 0) object.metadata = { ...object.metadata, annotations };
    if (object['status']) {
      const now = seen?.resource.current?.averageUtilization;
      object['status'] = { ...status, ...(now !== undefined && { currentCPUUtilizationPercentage: now }) };
    }
    return object;
  },
};

const cpuMetric = (percent: number): Json => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } },
});

const cpuStatus = (percent: number): Json => ({
  type: 'Resource',
  resource: { name: 'cpu', current: { averageUtilization: percent } },
});

const present = (fields: Record<string, Json>): Json =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** v2beta1 names metric and target in flat fields. */
const beta1Metrics = {
  toStored: (metrics: Json[]): Json[] =>
    metrics.map((metric) => {
      const { resource, pods, object, external } = metric;
      if (resource) {
        const { name, targetAverageUtilization: percent, targetAverageValue: value } = resource;
        const target =
          percent === undefined
            ? { type: 'AverageValue', averageValue: value }
            : { type: 'Utilization', averageUtilization: percent };
        return { type: metric.type, resource: { name, target } };
      }
      if (pods) {
        const named = present({ name: pods.metricName, selector: pods.selector });
        const target = { type: 'AverageValue', averageValue: pods.targetAverageValue };
        return { type: metric.type, pods: { metric: named, target } };
      }
      if (object) {
        const named = present({ name: object.metricName, selector: object.selector });
        const target =
          object.averageValue === undefined
            ? { type: 'Value', value: object.targetValue }
            : { type: 'AverageValue', averageValue: object.averageValue };
        return { type: metric.type, object: { describedObject: object.target, metric: named, target } };
      }
      const named = present({ name: external?.metricName, selector: external?.metricSelector });
      const target =
        external?.targetAverageValue === undefined
          ? { type: 'Value', value: external?.targetValue }
          : { type: 'AverageValue', averageValue: external.targetAverageValue };
      return { type: metric.type, external: { metric: named, target } };
    }),

  fromStored: (metrics: Json[]): Json[] =>
    metrics.map((metric) => {
      const { resource, pods, object, external } = metric;
      if (resource) {
        const { name, target } = resource;
        const flat = { targetAverageUtilization: target?.averageUtilization, targetAverageValue: target?.averageValue };
        return { type: metric.type, resource: present({ name, ...flat }) };
      }
      if (pods) {
        const flat = { targetAverageValue: pods.target?.averageValue };
        return {
          type: metric.type,
          pods: present({ metricName: pods.metric?.name, selector: pods.metric?.selector, ...flat }),
        };
      }
      if (object) {
        const flat = { targetValue: object.target?.value ?? '0', averageValue: object.target?.averageValue };
        const { metric: named, describedObject: target } = object;
        return {
          type: metric.type,
          object: present({ target, metricName: named?.name, selector: named?.selector, ...flat }),
        };
      }
      const flat = { targetValue: external?.target?.value, targetAverageValue: external?.target?.averageValue };
      const named = external?.metric;
      return {
        type: metric.type,
        external: present({ metricName: named?.name, metricSelector: named?.selector, ...flat }),
      };
    }),
};

const autoscalerV2beta1: Conversion = {
  toStored(object) {
    if (object['spec']?.metrics) object['spec'].metrics = beta1Metrics.toStored(object['spec'].metrics);
    return object;
  },
  fromStored(object) {
    if (object['spec']?.metrics) object['spec'].metrics = beta1Metrics.fromStored(object['spec'].metrics);
    return object;
  },
};

// Event: kubernetes/kubernetes:pkg/apis/events/v1/conversion.go

const NEW_EVENT_NAMES = {
  involvedObject: 'regarding',
  message: 'note',
  source: 'deprecatedSource',
  firstTimestamp: 'deprecatedFirstTimestamp',
  lastTimestamp: 'deprecatedLastTimestamp',
  count: 'deprecatedCount',
  reportingComponent: 'reportingController',
};

const event: Conversion = {
  toStored: (object) => rename(object, flip(NEW_EVENT_NAMES)),
  fromStored: (object) => rename(object, NEW_EVENT_NAMES),
};

// CustomResourceDefinition: kubernetes/apiextensions-apiserver:pkg/apis/apiextensions/v1beta1/conversion.go

const toColumns = (columns: Json): Json => columns?.map((column: Json) => rename(column, { JSONPath: 'jsonPath' }));
const fromColumns = (columns: Json): Json => columns?.map((column: Json) => rename(column, { jsonPath: 'JSONPath' }));

const definition: Conversion = {
  toStored(object) {
    const {
      version,
      validation,
      subresources,
      additionalPrinterColumns,
      conversion,
      scope = 'Namespaced',
      ...spec
    } = object['spec'] ?? {};
    const versions = spec.versions?.length > 0 ? spec.versions : [{ name: version, served: true, storage: true }];
    const { webhookClientConfig: clientConfig, conversionReviewVersions, ...how } = conversion ?? { strategy: 'None' };
    object['spec'] = {
      ...spec,
      scope,
      preserveUnknownFields: spec.preserveUnknownFields ?? true,
      conversion: { ...how, ...(clientConfig && { webhook: { clientConfig, conversionReviewVersions } }) },
      versions: versions.map((own: Json) =>
        present({
          ...own,
          schema: own.schema ?? validation,
          subresources: own.subresources ?? subresources,
          additionalPrinterColumns: toColumns(own.additionalPrinterColumns ?? additionalPrinterColumns),
        }),
      ),
    };
    return object;
  },
  fromStored(object) {
    const { versions = [], conversion, ...spec } = object['spec'] ?? {};
    const [first] = versions;
    const { webhook, ...how } = conversion ?? { strategy: 'None' };
    const same = versions.every(
      (own: Json) =>
        JSON.stringify({ ...own, name: 0, served: 0, storage: 0 }) ===
        JSON.stringify({ ...first, name: 0, served: 0, storage: 0 }),
    );
    const lifted = same
      ? present({
          validation: first?.schema,
          subresources: first?.subresources,
          additionalPrinterColumns: fromColumns(first?.additionalPrinterColumns),
        })
      : {};
    object['spec'] = {
      ...spec,
      ...lifted,
      version: first?.name,
      conversion: {
        ...how,
        ...(webhook && {
          webhookClientConfig: webhook.clientConfig,
          conversionReviewVersions: webhook.conversionReviewVersions,
        }),
      },
      versions: versions.map(({ schema, subresources, additionalPrinterColumns, ...own }: Json) =>
        same
          ? own
          : present({ ...own, schema, subresources, additionalPrinterColumns: fromColumns(additionalPrinterColumns) }),
      ),
    };
    return object;
  },
};

// PriorityLevelConfiguration: assured shares were renamed in v1beta3.

const renameShares = (object: TwinObject, names: Record<string, string>): TwinObject => {
  if (isMap(object['spec']?.limited)) object['spec'].limited = rename(object['spec'].limited, names);
  return object;
};

const SHARES = { assuredConcurrencyShares: 'nominalConcurrencyShares' };
const priorityLevel: Conversion = {
  toStored: (object) => renameShares(object, SHARES),
  fromStored: (object) => renameShares(object, flip(SHARES)),
};

/** Webhooks that name nothing got milder defaults in v1beta1; what is stored carries them. */
const WEBHOOK_V1BETA1_DEFAULTS = {
  failurePolicy: 'Ignore',
  matchPolicy: 'Exact',
  sideEffects: 'Unknown',
  timeoutSeconds: 30,
  admissionReviewVersions: ['v1beta1'],
};

const webhooks: Conversion = {
  toStored(object) {
    object['webhooks'] = object['webhooks']?.map((hook: Json) => ({ ...WEBHOOK_V1BETA1_DEFAULTS, ...hook }));
    return object;
  },
  fromStored: (object) => object,
};

/** By stored kind (`group/resource`) and by the apiVersion on the other side. Where there is none, only apiVersion differs. */
const CONVERSIONS: Record<string, Record<string, Conversion>> = {
  'networking.k8s.io/ingresses': { 'networking.k8s.io/v1beta1': ingress, 'extensions/v1beta1': ingress },
  'discovery.k8s.io/endpointslices': { 'discovery.k8s.io/v1beta1': endpointSlice },
  'policy/poddisruptionbudgets': { 'policy/v1beta1': disruptionBudget },
  'autoscaling/horizontalpodautoscalers': { 'autoscaling/v1': autoscalerV1, 'autoscaling/v2beta1': autoscalerV2beta1 },
  '/events': { 'events.k8s.io/v1': event, 'events.k8s.io/v1beta1': event },
  'apiextensions.k8s.io/customresourcedefinitions': { 'apiextensions.k8s.io/v1beta1': definition },
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations': {
    'flowcontrol.apiserver.k8s.io/v1beta1': priorityLevel,
    'flowcontrol.apiserver.k8s.io/v1beta2': priorityLevel,
  },
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': { 'admissionregistration.k8s.io/v1beta1': webhooks },
  'admissionregistration.k8s.io/validatingwebhookconfigurations': { 'admissionregistration.k8s.io/v1beta1': webhooks },
};

/** The conversion between the stored form of a kind and a served version; undefined where only apiVersion differs. */
export function conversionFor(storedKey: string, apiVersion: string): Conversion | undefined {
  return CONVERSIONS[storedKey]?.[apiVersion];
}

/** @returns an object of its own in the stored form */
export function toStored(object: TwinObject, storedVersion: string, conversion: Conversion | undefined): TwinObject {
  const copy = conversion ? conversion.toStored(object) : object;
  copy.apiVersion = storedVersion;
  return copy;
}

/** @returns the object itself where nothing differs, else another one that shares what it can */
export function fromStored(object: TwinObject, apiVersion: string, conversion: Conversion | undefined): TwinObject {
  if (object.apiVersion === apiVersion) return object;
  if (!conversion) return { ...object, apiVersion };
  const copy = conversion.fromStored(cloneJson(object));
  return { ...copy, apiVersion };
}
