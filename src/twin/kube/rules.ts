import type { Json, TwinObject } from '../types.js';
import type { Fault } from './errors.js';
import { definitionRules } from './definitions.js';
import { forbiddenValue, invalidValue, required } from './errors.js';
import { isMap, sameJson } from './json.js';
import type { Served, StoredKind } from './kinds.js';
import { serviceRules } from './services.js';
import type { Store } from './store.js';

/** What a kind adds to the common course of a write. Each step may change the object it gets. */
export interface Rules {
  /** a client's status is taken over on create */
  keepsStatus?: boolean;
  /** before defaults, on create: what a new object starts with */
  create?(object: TwinObject, store: Store): void;
  /** fills in what was left out, on create and update */
  defaults?(object: TwinObject, store: Store): void;
  /** before defaults, on update: what stays as it was */
  update?(object: TwinObject, before: TwinObject, store: Store): void;
  check?(object: TwinObject, before: TwinObject | undefined, store: Store): Fault[];
  /** takes addresses and ports; after the check */
  allocate?(object: TwinObject, before: TwinObject | undefined, store: Store): void;
  /** what else the first request for deletion changes; a finalizer that it adds holds the object */
  deleting?(object: TwinObject, store: Store): void;
  /** what an object that is put in with a whole world gets at once, rather than by a controller */
  seed?(object: TwinObject, store: Store): void;
}

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/** Names that may hold nearly anything, such as `system:node`. */
const FREE_NAMES = new Set(['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings']);

function checkName(served: Served, name: string): Fault[] {
  if (FREE_NAMES.has(served.resource)) return /[/%]/.test(name) ? [invalidValue('metadata.name', name, "may not contain '/'")] : [];
  if (served.stored.key === '/namespaces') return LABEL.test(name) ? [] : [invalidValue('metadata.name', name, LABEL_TEXT)];
  if (served.stored.key === '/services') return LABEL_1035.test(name) ? [] : [invalidValue('metadata.name', name, LABEL_1035_TEXT)];
  return SUBDOMAIN.test(name) ? [] : [invalidValue('metadata.name', name, SUBDOMAIN_TEXT)];
}

const QUALIFIED = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const QUALIFIED_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Names, labels and finalizers, for every kind. */
export function checkMeta(served: Served, object: TwinObject, before: TwinObject | undefined): Fault[] {
  const { metadata } = object;
  const faults = before ? [] : checkName(served, metadata.name);
  if (metadata.labels !== before?.metadata.labels) {
    for (const [key, value] of Object.entries(metadata.labels ?? {})) {
      if (!QUALIFIED.test(key)) faults.push(invalidValue('metadata.labels', key, QUALIFIED_TEXT));
      if (typeof value !== 'string' || !LABEL_VALUE.test(value)) faults.push(invalidValue('metadata.labels', value, LABEL_VALUE_TEXT));
    }
  }
  if (before?.metadata.deletionTimestamp) {
    const known = new Set(before.metadata.finalizers ?? []);
    const added = (metadata.finalizers ?? []).filter((it: string) => !known.has(it));
    if (added.length > 0) {
      const list = added.map((it: string) => JSON.stringify(it)).join(', ');
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
      faults.push(forbiddenValue('metadata.finalizers', detail));
    }
  }
  return faults;
}

const fill = (map: Json, defaults: Record<string, Json>): void => {
  for (const [key, value] of Object.entries(defaults)) if (map[key] === undefined) map[key] = value;
};

const IMMUTABLE = 'field is immutable';

// Pods and what makes them: kubernetes/kubernetes:pkg/apis/core/v1/defaults.go

function defaultContainer(container: Json): void {
  const image = String(container.image ?? '');
  const tag = /[:@]([^/]*)$/.exec(image)?.[1] ?? 'latest';
  fill(container, {
    imagePullPolicy: tag === 'latest' ? 'Always' : 'IfNotPresent',
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  });
  for (const port of container.ports ?? []) fill(port, { protocol: 'TCP' });
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (isMap(container[probe])) {
      fill(container[probe], { failureThreshold: 3, periodSeconds: 10, successThreshold: 1, timeoutSeconds: 1 });
      if (isMap(container[probe]['httpGet'])) fill(container[probe]['httpGet'], { path: '/', scheme: 'HTTP' });
    }
  }
  for (const { valueFrom } of container.env ?? []) if (valueFrom?.fieldRef) fill(valueFrom.fieldRef, { apiVersion: 'v1' });
}

function defaultPodSpec(spec: Json): void {
  if (!isMap(spec)) return;
  fill(spec, {
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: {},
    terminationGracePeriodSeconds: 30,
  });
  if (spec['serviceAccountName'] !== undefined) spec['serviceAccount'] ??= spec['serviceAccountName'];
  for (const container of [...(spec['containers'] ?? []), ...(spec['initContainers'] ?? [])]) defaultContainer(container);
  for (const volume of spec['volumes'] ?? []) {
    for (const source of ['secret', 'configMap', 'projected', 'downwardAPI']) if (isMap(volume[source])) fill(volume[source], { defaultMode: 420 });
    if (isMap(volume.hostPath)) fill(volume.hostPath, { type: '' });
  }
}

function checkPodSpec(spec: Json, path: string): Fault[] {
  const containers = spec?.containers ?? [];
  if (!Array.isArray(containers) || containers.length === 0) return [required(`${path}.containers`)];
  return containers.flatMap((container: Json, index: number) => [
    ...(container.name ? [] : [required(`${path}.containers[${index}].name`)]),
    ...(container.image ? [] : [required(`${path}.containers[${index}].image`)]),
  ]);
}

const pod: Rules = {
  create(object) {
    object['status'] = { phase: 'Pending', qosClass: 'BestEffort' };
  },
  defaults(object, store) {
    defaultPodSpec(object['spec']);
    if (!isMap(object['spec'])) return;
    fill(object['spec'], { enableServiceLinks: true, serviceAccountName: 'default', serviceAccount: 'default', preemptionPolicy: 'PreemptLowerPriority', priority: 0 });
    if (store.minor >= 33) object.metadata.generation ??= 1;
  },
  check(object, before) {
    if (!before) return checkPodSpec(object['spec'], 'spec');
    const changed = Object.keys(object['spec'] ?? {}).filter((key) => !sameJson(object['spec'][key], before['spec'][key]));
    const may = ['containers', 'initContainers', 'activeDeadlineSeconds', 'tolerations', 'terminationGracePeriodSeconds', 'schedulingGates', 'nodeName'];
    if (changed.every((key) => may.includes(key)) && (!changed.includes('nodeName') || !before['spec'].nodeName)) return [];
    return [forbiddenValue('spec', 'pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, `spec.activeDeadlineSeconds` or `spec.tolerations` (only additions to existing tolerations)')];
  },
};

function checkSelector(object: TwinObject, before: TwinObject | undefined): Fault[] {
  const { selector, template } = object['spec'] ?? {};
  const faults: Fault[] = [];
  if (!selector) faults.push(required('spec.selector'));
  else if (before && !sameJson(selector, before['spec']?.selector)) faults.push(invalidValue('spec.selector', selector, IMMUTABLE));
  const wanted = Object.entries(selector?.matchLabels ?? {});
  const labels = template?.metadata?.labels ?? {};
  if (selector && wanted.some(([key, value]) => labels[key] !== value)) {
    faults.push(invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
  }
  return [...faults, ...checkPodSpec(template?.spec, 'spec.template.spec')];
}

const checkReplicas = (object: TwinObject): Fault[] => {
  const replicas = object['spec']?.replicas;
  return replicas < 0 ? [invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0')] : [];
};

const ensureSpec = (object: TwinObject): Json => (object['spec'] ??= {});

/** Objects that are read always carry a (maybe empty) status, and templates an empty creation time. */
const defaultTemplate = (spec: Json): void => {
  if (!isMap(spec['template'])) return;
  const { metadata } = spec['template'];
  spec['template'].metadata = { creationTimestamp: null, ...metadata };
  defaultPodSpec(spec['template']['spec']);
};

const emptyStatus =
  (status: Json = {}) =>
  (object: TwinObject): void => {
    object['status'] = { ...status };
  };

const deployment: Rules = {
  create: emptyStatus(),
  defaults(object) {
    const spec = ensureSpec(object);
    fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {} });
    fill(spec.strategy, { type: 'RollingUpdate' });
    if (spec.strategy.type === 'RollingUpdate') {
      spec.strategy.rollingUpdate ??= {};
      fill(spec.strategy.rollingUpdate, { maxSurge: '25%', maxUnavailable: '25%' });
    }
    defaultTemplate(spec);
  },
  check: (object, before) => [...checkReplicas(object), ...checkSelector(object, before)],
};

const replicaSet: Rules = {
  create: emptyStatus({ replicas: 0 }),
  defaults(object) {
    fill(ensureSpec(object), { replicas: 1 });
    defaultTemplate(object['spec']);
  },
  check: (object, before) => [...checkReplicas(object), ...checkSelector(object, before)],
};

const statefulSet: Rules = {
  create: (object, store) => {
    object['status'] = { replicas: 0, ...(store.minor >= 22 && { availableReplicas: 0 }) };
  },
  defaults(object, store) {
    const spec = ensureSpec(object);
    fill(spec, { replicas: 1, revisionHistoryLimit: 10, podManagementPolicy: 'OrderedReady', updateStrategy: {} });
    fill(spec.updateStrategy, { type: 'RollingUpdate' });
    if (spec.updateStrategy.type === 'RollingUpdate') spec.updateStrategy.rollingUpdate ??= { partition: 0 };
    if (store.minor >= 27) fill(spec, { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' } });
    defaultTemplate(spec);
    for (const claim of spec.volumeClaimTemplates ?? []) {
      fill(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', status: { phase: 'Pending' } });
      claim.metadata = { creationTimestamp: null, ...claim.metadata };
      fill(claim.spec, { volumeMode: 'Filesystem' });
    }
  },
  check(object, before) {
    const faults = [...checkReplicas(object), ...checkSelector(object, before)];
    if (!before) return faults;
    const may = new Set(['replicas', 'ordinals', 'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy', 'minReadySeconds', 'revisionHistoryLimit']);
    const keys = new Set([...Object.keys(object['spec']), ...Object.keys(before['spec'])]);
    const changed = [...keys].filter((key) => !may.has(key) && !sameJson(object['spec'][key], before['spec'][key]));
    if (changed.length > 0) {
      faults.push(forbiddenValue('spec', "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
    }
    return faults;
  },
};

const daemonSet: Rules = {
  create: emptyStatus({ currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 }),
  defaults(object) {
    const spec = ensureSpec(object);
    fill(spec, { revisionHistoryLimit: 10, updateStrategy: {} });
    fill(spec.updateStrategy, { type: 'RollingUpdate' });
    if (spec.updateStrategy.type === 'RollingUpdate') spec.updateStrategy.rollingUpdate ??= { maxUnavailable: 1 };
    defaultTemplate(spec);
  },
  check: (object, before) => checkSelector(object, before),
};

function defaultJobSpec(spec: Json): void {
  fill(spec, { backoffLimit: 6, completions: spec.parallelism ?? 1, parallelism: 1 });
  defaultTemplate(spec);
}

const job: Rules = {
  create: (object) => {
    object['status'] = {};
    const spec = ensureSpec(object);
    if (spec.manualSelector) return;
    const { uid, name } = object.metadata;
    spec.template ??= {};
    spec.template.metadata = { ...spec.template.metadata };
    spec.template.metadata.labels = { ...spec.template.metadata.labels, 'controller-uid': uid, 'job-name': name };
    spec.selector = { matchLabels: { 'controller-uid': uid } };
  },
  defaults(object, store) {
    defaultJobSpec(ensureSpec(object));
    if (store.minor >= 22) fill(object['spec'], { completionMode: 'NonIndexed', suspend: false });
  },
  check(object, before) {
    const { selector, template } = object['spec'];
    const faults = checkPodSpec(template?.spec, 'spec.template.spec');
    const policy = template?.spec?.restartPolicy;
    if (policy === 'Always' && faults.length === 0) {
      faults.push({ field: 'spec.template.spec.restartPolicy', reason: 'FieldValueRequired', message: 'Required value: valid values: "OnFailure", "Never"' });
    }
    if (before && !sameJson(selector, before['spec']?.selector)) faults.push(invalidValue('spec.selector', selector, IMMUTABLE));
    if (before && !sameJson(template, before['spec']?.template)) faults.push(invalidValue('spec.template', {}, IMMUTABLE));
    return faults;
  },
};

const cronJob: Rules = {
  create: emptyStatus(),
  defaults(object) {
    const spec = ensureSpec(object);
    fill(spec, { concurrencyPolicy: 'Allow', suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 });
    if (!isMap(spec.jobTemplate)) return;
    spec.jobTemplate.metadata = { creationTimestamp: null, ...spec.jobTemplate.metadata };
    defaultTemplate(spec.jobTemplate.spec ?? {});
  },
  check(object, before, store) {
    const { schedule, jobTemplate } = object['spec'];
    if (!schedule) return [required('spec.schedule')];
    if (!before && store.minor >= 29 && /^(CRON_)?TZ=/.test(schedule)) {
      return [invalidValue('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead')];
    }
    return checkPodSpec(jobTemplate?.spec?.template?.spec, 'spec.jobTemplate.spec.template.spec');
  },
};

const namespace: Rules = {
  create(object) {
    ensureSpec(object).finalizers = ['kubernetes'];
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
};

const secret: Rules = {
  defaults(object) {
    fill(object, { type: 'Opaque' });
    const plain = object['stringData'];
    if (!isMap(plain)) return;
    object['data'] = { ...object['data'] };
    for (const [key, value] of Object.entries(plain)) object['data'][key] = Buffer.from(String(value)).toString('base64');
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
  if (!sameJson(object['data'], before['data'])) faults.push(forbiddenValue('data', 'field is immutable when `immutable` is set'));
  return faults;
}

const configMap: Rules = { check: checkFrozenData };

const claim: Rules = {
  create(object) {
    object['status'] = { phase: 'Pending' };
    addFinalizer(object, 'kubernetes.io/pvc-protection');
  },
  defaults(object) {
    fill(ensureSpec(object), { volumeMode: 'Filesystem' });
  },
  check(object, before) {
    const spec = object['spec'];
    const faults: Fault[] = [];
    if (!spec.accessModes?.length) faults.push(required('spec.accessModes', 'at least 1 access mode is required'));
    if (spec.resources?.requests?.storage === undefined) faults.push(required('spec.resources[storage]'));
    if (!before || sameJson(claimIdentity(spec, before['spec']), claimIdentity(before['spec'], before['spec']))) return faults;
    faults.push(forbiddenValue('spec', 'spec is immutable after creation except resources.requests for bound claims'));
    return faults;
  },
};

/** The part of a claim that never changes: all but the size, and the volume until it is bound. */
function claimIdentity(spec: Json, before: Json): Json {
  const { resources: _size, volumeAttributesClassName: _class, ...rest } = spec;
  if (!before.volumeName) delete rest.volumeName;
  return rest;
}

const VOLUME_FIELDS = new Set([
  'capacity',
  'accessModes',
  'claimRef',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'mountOptions',
  'volumeMode',
  'nodeAffinity',
  'volumeAttributesClassName',
]);

const volumeSource = (spec: Json): Json =>
  Object.fromEntries(Object.entries(spec ?? {}).filter(([key]) => !VOLUME_FIELDS.has(key)));

const volume: Rules = {
  create(object) {
    object['status'] = { phase: 'Pending' };
    addFinalizer(object, 'kubernetes.io/pv-protection');
  },
  defaults(object) {
    fill(ensureSpec(object), { persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem' });
    const reference = object['spec'].claimRef;
    if (isMap(reference)) fill(reference, { kind: 'PersistentVolumeClaim', apiVersion: 'v1' });
  },
  check(object, before) {
    const spec = object['spec'];
    const faults: Fault[] = [];
    if (!spec.accessModes?.length) faults.push(required('spec.accessModes'));
    if (!spec.capacity?.storage) faults.push(required('spec.capacity'));
    if (Object.keys(volumeSource(spec)).length === 0) faults.push(required('spec', 'must specify a volume type'));
    if (!before) return faults;
    if (!sameJson(volumeSource(spec), volumeSource(before['spec']))) {
      faults.push(forbiddenValue('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'));
    }
    if (before['spec'].nodeAffinity && !sameJson(spec.nodeAffinity, before['spec'].nodeAffinity)) {
      faults.push(invalidValue('spec.nodeAffinity', spec.nodeAffinity, IMMUTABLE));
    }
    if (spec.volumeMode !== before['spec'].volumeMode) faults.push(invalidValue('spec.volumeMode', spec.volumeMode, IMMUTABLE));
    return faults;
  },
};

function addFinalizer(object: TwinObject, finalizer: string): void {
  const known: string[] = object.metadata.finalizers ?? [];
  if (!known.includes(finalizer)) object.metadata.finalizers = [...known, finalizer];
}

const storageClass: Rules = {
  defaults(object) {
    fill(object, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' });
  },
  check(object, before) {
    if (!object['provisioner']) return [required('provisioner')];
    if (!before) return [];
    return ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode']
      .filter((field) => !sameJson(object[field], before[field]))
      .map((field) => forbiddenValue(field, `updates to ${field} are forbidden.`));
  },
};

const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';
/** The first release that takes the class in both places, if it is the same (kubernetes/kubernetes#115447). */
const SAME_CLASS_MINOR = 27;

const ingress: Rules = {
  create: emptyStatus({ loadBalancer: {} }),
  check(object, before, store) {
    const spec = object['spec'] ?? {};
    if (!spec.rules?.length && !spec.defaultBackend) {
      return [invalidValue('spec', spec, 'either `defaultBackend` or `rules` must be specified')];
    }
    const noted = object.metadata.annotations?.[CLASS_ANNOTATION];
    const both = noted !== undefined && spec.ingressClassName !== undefined;
    if (!before && both && (store.minor < SAME_CLASS_MINOR || noted !== spec.ingressClassName)) {
      const detail = store.minor < SAME_CLASS_MINOR ? 'can not be set when the class field is also set' : 'must match `ingressClassName` when both are specified';
      return [invalidValue(`annotations.${CLASS_ANNOTATION}`, noted, detail)];
    }
    return (spec.rules ?? []).flatMap((rule: Json, index: number) =>
      (rule.http?.paths ?? []).flatMap((path: Json, place: number) => {
        const where = `spec.rules[${index}].http.paths[${place}]`;
        if (!path.pathType) return [required(`${where}.pathType`, 'pathType must be specified')];
        if (!path.backend?.service && !path.backend?.resource) return [required(`${where}.backend`, 'port name or number is required')];
        return [];
      }),
    );
  },
};

const node: Rules = { keepsStatus: true };

const autoscaler: Rules = {
  create: emptyStatus({ currentReplicas: 0, desiredReplicas: 0 }),
  defaults(object) {
    fill(ensureSpec(object), { minReplicas: 1 });
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
