import type { Json, TwinObject } from '../types.js';
import { definitionRules } from './definitions.js';
import type { Fault } from './errors.js';
import { forbiddenValue, invalidValue, notSupported, required } from './errors.js';
import { isMap, sameJson } from './json.js';
import type { StoredKind } from './kinds.js';
import { emptyStatus, fill, IMMUTABLE, type Rules } from './rule.js';
import { serviceRules } from './services.js';
import { claim, storageClass, volume } from './volumes.js';
import { cronJob, daemonSet, deployment, job, pod, replicaSet, statefulSet } from './workloads.js';

const namespace: Rules = {
  create(object) {
    object['spec'] = { ...object['spec'], finalizers: ['kubernetes'] };
    object['status'] = { phase: 'Active' };
  },
  update(object, before) {
    object['spec'] = before['spec'];
  },
  defaults(object, store) {
    if (store.minor < 21) return;
    object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name };
  },
  deleting(object) {
    object['status'] = { ...object['status'], phase: 'Terminating' };
  },
  noGrace: true,
};

const secret: Rules = {
  defaults(object) {
    fill(object, { type: 'Opaque' });
    const plain = object['stringData'];
    if (!isMap(plain)) return;
    object['data'] = { ...object['data'] };
    for (const [key, value] of Object.entries(plain))
      object['data'][key] = Buffer.from(String(value)).toString('base64');
    delete object['stringData'];
  },
  check(object, before) {
    const faults: Fault[] = [];
    for (const [key, value] of Object.entries(object['data'] ?? {})) {
      if (typeof value !== 'string') faults.push(invalidValue(`data[${key}]`, value, 'must be base64'));
    }
    if (before && before['type'] !== object['type']) faults.push(invalidValue('type', object['type'], IMMUTABLE));
    return [...faults, ...checkFrozenData(object, before)];
  },
};

function checkFrozenData(object: TwinObject, before: TwinObject | undefined): Fault[] {
  if (!before?.['immutable']) return [];
  const faults: Fault[] = [];
  if (!object['immutable']) faults.push(forbiddenValue('immutable', 'field is immutable when `immutable` is set'));
  if (!sameJson(object['data'], before['data']))
    faults.push(forbiddenValue('data', 'field is immutable when `immutable` is set'));
  return faults;
}

const configMap: Rules = { check: checkFrozenData };

const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';
/** The first release that takes the class in both places, if it is the same (kubernetes/kubernetes#115447). */
const SAME_CLASS_MINOR = 27;

const ingress: Rules = {
  create: emptyStatus({ loadBalancer: {} }),
  check(object, before, store) {
    const spec = object['spec'] ?? {};
    if (!spec.rules?.length && !spec.defaultBackend) {
      return [invalidValue('spec', null, 'either `defaultBackend` or `rules` must be specified')];
    }
    const noted = object.metadata.annotations?.[CLASS_ANNOTATION];
    const both = noted !== undefined && spec.ingressClassName !== undefined;
    if (!before && both && (store.minor < SAME_CLASS_MINOR || noted !== spec.ingressClassName)) {
      const detail =
        store.minor < SAME_CLASS_MINOR
          ? 'can not be set when the class field is also set'
          : 'must match `ingressClassName` when both are specified';
      return [invalidValue(`annotations.${CLASS_ANNOTATION}`, noted, detail)];
    }
    return (spec.rules ?? []).flatMap((rule: Json, index: number) =>
      (rule.http?.paths ?? []).flatMap((path: Json, place: number) => {
        const where = `spec.rules[${index}].http.paths[${place}]`;
        if (!path.pathType) return [required(`${where}.pathType`, 'pathType must be specified')];
        if (!path.backend?.service && !path.backend?.resource)
          return [required(`${where}.backend`, 'port name or number is required')];
        return [];
      }),
    );
  },
};

const EMPTY_NODE_INFO = {
  machineID: '',
  systemUUID: '',
  bootID: '',
  kernelVersion: '',
  osImage: '',
  containerRuntimeVersion: '',
  kubeletVersion: '',
  kubeProxyVersion: '',
  operatingSystem: '',
  architecture: '',
};

const node: Rules = {
  keepsStatus: true,
  defaults(object) {
    const spec: Json = (object['spec'] ??= {});
    if (spec.podCIDR) spec.podCIDRs ??= [spec.podCIDR];
    const status: Json = (object['status'] ??= {});
    if (status.capacity) status.allocatable ??= { ...status.capacity };
    fill(status, { daemonEndpoints: { kubeletEndpoint: { Port: 0 } }, nodeInfo: {} });
    fill(status.nodeInfo, EMPTY_NODE_INFO);
  },
};

const networkPolicy: Rules = {
  defaults(object) {
    const spec: Json = (object['spec'] ??= {});
    spec.policyTypes ??= spec.egress ? ['Ingress', 'Egress'] : ['Ingress'];
  },
};

const endpoints: Rules = {
  defaults(object) {
    for (const subset of object['subsets'] ?? [])
      for (const port of subset.ports ?? []) fill(port, { protocol: 'TCP' });
  },
};

const endpointSlice: Rules = {
  defaults(object) {
    for (const port of object['ports'] ?? []) fill(port, { name: '', protocol: 'TCP' });
    for (const endpoint of object['endpoints'] ?? []) fill(endpoint, { conditions: {} });
  },
  check(object, before) {
    const types = ['IPv4', 'IPv6', 'FQDN'];
    if (!object['addressType']) return [required('addressType')];
    if (!types.includes(object['addressType']))
      return [notSupported('addressType', object['addressType'], types.toSorted())];
    const same = !before || before['addressType'] === object['addressType'];
    return same ? [] : [invalidValue('addressType', object['addressType'], IMMUTABLE)];
  },
};

const event: Rules = {
  defaults(object) {
    fill(object, {
      source: {},
      firstTimestamp: null,
      lastTimestamp: null,
      eventTime: null,
      reportingComponent: '',
      reportingInstance: '',
    });
  },
};

const RBAC_GROUP = 'rbac.authorization.k8s.io';

const roleBinding: Rules = {
  defaults(object) {
    if (isMap(object['roleRef'])) fill(object['roleRef'], { apiGroup: RBAC_GROUP });
    for (const subject of object['subjects'] ?? [])
      if (subject.kind !== 'ServiceAccount') fill(subject, { apiGroup: RBAC_GROUP });
  },
  check(object, before) {
    if (!before || sameJson(object['roleRef'], before['roleRef'])) return [];
    return [invalidValue('roleRef', object['roleRef'], 'cannot change roleRef')];
  },
};

const priorityClass: Rules = {
  defaults(object) {
    fill(object, { preemptionPolicy: 'PreemptLowerPriority' });
  },
};

const quota: Rules = { create: emptyStatus() };

const CPU_AT_80 = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
};

const autoscaler: Rules = {
  create: emptyStatus({ currentReplicas: 0, desiredReplicas: 0 }),
  defaults(object) {
    fill((object['spec'] ??= {}), { minReplicas: 1, metrics: [CPU_AT_80] });
  },
};

const disruptionBudget: Rules = {
  create: emptyStatus({ disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 }),
};

const NO_RULES: Rules = {};

const RULES: Record<string, Rules> = {
  '/pods': pod,
  '/services': serviceRules,
  '/namespaces': namespace,
  '/nodes': node,
  '/secrets': secret,
  '/configmaps': configMap,
  '/endpoints': endpoints,
  '/events': event,
  '/resourcequotas': quota,
  'discovery.k8s.io/endpointslices': endpointSlice,
  'networking.k8s.io/networkpolicies': networkPolicy,
  'rbac.authorization.k8s.io/rolebindings': roleBinding,
  'rbac.authorization.k8s.io/clusterrolebindings': roleBinding,
  'scheduling.k8s.io/priorityclasses': priorityClass,
  '/persistentvolumes': volume,
  '/persistentvolumeclaims': claim,
  'apps/deployments': deployment,
  'apps/replicasets': replicaSet,
  'apps/statefulsets': statefulSet,
  'apps/daemonsets': daemonSet,
  'batch/jobs': job,
  'batch/cronjobs': cronJob,
  'networking.k8s.io/ingresses': ingress,
  'storage.k8s.io/storageclasses': storageClass,
  'autoscaling/horizontalpodautoscalers': autoscaler,
  'policy/poddisruptionbudgets': disruptionBudget,
  'apiextensions.k8s.io/customresourcedefinitions': definitionRules,
};

export function rulesFor(kind: StoredKind): Rules {
  return RULES[kind.key] ?? NO_RULES;
}
