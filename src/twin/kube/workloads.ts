import type { Json, TwinObject } from '../types.js';
import type { Fault } from './errors.js';
import { forbiddenValue, invalidValue, required } from './errors.js';
import { isMap, sameJson } from './json.js';
import { emptyStatus, fill, IMMUTABLE, type Rules } from './rule.js';
import type { Store } from './store.js';

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
  for (const { valueFrom } of container.env ?? [])
    if (valueFrom?.fieldRef) fill(valueFrom.fieldRef, { apiVersion: 'v1' });
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
  for (const container of [...(spec['containers'] ?? []), ...(spec['initContainers'] ?? [])])
    defaultContainer(container);
  for (const volume of spec['volumes'] ?? []) {
    for (const source of ['secret', 'configMap', 'projected', 'downwardAPI'])
      if (isMap(volume[source])) fill(volume[source], { defaultMode: 420 });
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

/** Pods stay for five minutes on a node that is lost, unless they say otherwise (plugin DefaultTolerationSeconds). */
function tolerateLostNodes(spec: Json): void {
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const known = (spec.tolerations ?? []).some(
      (it: Json) => (!it.key || it.key === key) && (!it.effect || it.effect === 'NoExecute'),
    );
    if (known) continue;
    spec.tolerations = [
      ...(spec.tolerations ?? []),
      { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
    ];
  }
}

export const pod: Rules = {
  create(object) {
    object['status'] = { phase: 'Pending', qosClass: 'BestEffort' };
  },
  defaults(object, store) {
    defaultPodSpec(object['spec']);
    if (!isMap(object['spec'])) return;
    fill(object['spec'], {
      enableServiceLinks: true,
      serviceAccountName: 'default',
      serviceAccount: 'default',
      preemptionPolicy: 'PreemptLowerPriority',
      priority: 0,
    });
    if (store.minor >= 33) object.metadata.generation ??= 1;
    tolerateLostNodes(object['spec']);
  },
  check(object, before) {
    if (!before) return checkPodSpec(object['spec'], 'spec');
    const changed = Object.keys(object['spec'] ?? {}).filter(
      (key) => !sameJson(object['spec'][key], before['spec'][key]),
    );
    const may = [
      'containers',
      'initContainers',
      'activeDeadlineSeconds',
      'tolerations',
      'terminationGracePeriodSeconds',
      'schedulingGates',
      'nodeName',
    ];
    if (changed.every((key) => may.includes(key)) && (!changed.includes('nodeName') || !before['spec'].nodeName))
      return [];
    return [
      forbiddenValue(
        'spec',
        'pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, `spec.activeDeadlineSeconds` or `spec.tolerations` (only additions to existing tolerations)',
      ),
    ];
  },
};

function checkSelector(object: TwinObject, before: TwinObject | undefined): Fault[] {
  const { selector, template } = object['spec'] ?? {};
  const labels = template?.metadata?.labels;
  const mismatch = invalidValue(
    'spec.template.metadata.labels',
    labels ?? null,
    '`selector` does not match template `labels`',
  );
  const faults: Fault[] = [];
  if (!selector) faults.push(required('spec.selector'), mismatch);
  else if (before && !sameJson(selector, before['spec']?.selector))
    faults.push(invalidValue('spec.selector', selector, IMMUTABLE));
  const wanted = Object.entries(selector?.matchLabels ?? {});
  if (wanted.some(([key, value]) => labels?.[key] !== value)) faults.push(mismatch);
  return [...faults, ...checkPodSpec(template?.spec, 'spec.template.spec')];
}

const checkReplicas = (object: TwinObject): Fault[] => {
  const replicas = object['spec']?.replicas;
  return replicas < 0 ? [invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0')] : [];
};

const ensureSpec = (object: TwinObject): Json => (object['spec'] ??= {});

/** The first release that leaves an empty creation time out. */
const NO_NULL_TIME_MINOR = 34;

/** Older servers show an empty creation time in everything that only has the shape of an object. */
const inner = (metadata: Json, { minor }: Store): Json => ({
  ...(minor < NO_NULL_TIME_MINOR && { creationTimestamp: null }),
  ...metadata,
});

const defaultTemplate = (spec: Json, store: Store): void => {
  if (!isMap(spec['template'])) return;
  spec['template']['metadata'] = inner(spec['template']['metadata'], store);
  defaultPodSpec(spec['template']['spec']);
};

export const deployment: Rules = {
  create: emptyStatus(),
  defaults(object, store) {
    const spec = ensureSpec(object);
    fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {} });
    fill(spec.strategy, { type: 'RollingUpdate' });
    if (spec.strategy.type === 'RollingUpdate') {
      spec.strategy.rollingUpdate ??= {};
      fill(spec.strategy.rollingUpdate, { maxSurge: '25%', maxUnavailable: '25%' });
    }
    defaultTemplate(spec, store);
  },
  check: (object, before) => [...checkReplicas(object), ...checkSelector(object, before)],
};

export const replicaSet: Rules = {
  create: emptyStatus({ replicas: 0 }),
  defaults(object, store) {
    fill(ensureSpec(object), { replicas: 1 });
    defaultTemplate(object['spec'], store);
  },
  check: (object, before) => [...checkReplicas(object), ...checkSelector(object, before)],
};

export const statefulSet: Rules = {
  create: (object, store) => {
    object['status'] = { replicas: 0, ...(store.minor >= 22 && { availableReplicas: 0 }) };
  },
  defaults(object, store) {
    const spec = ensureSpec(object);
    fill(spec, { replicas: 1, revisionHistoryLimit: 10, podManagementPolicy: 'OrderedReady', updateStrategy: {} });
    fill(spec.updateStrategy, { type: 'RollingUpdate' });
    if (spec.updateStrategy.type === 'RollingUpdate') spec.updateStrategy.rollingUpdate ??= { partition: 0 };
    if (store.minor >= 27)
      fill(spec, { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' } });
    defaultTemplate(spec, store);
    for (const claim of spec.volumeClaimTemplates ?? []) {
      fill(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', status: { phase: 'Pending' } });
      claim.metadata = inner(claim.metadata, store);
      fill(claim.spec, { volumeMode: 'Filesystem' });
    }
  },
  check(object, before, store) {
    const faults = [...checkReplicas(object), ...checkSelector(object, before)];
    if (!before) return faults;
    const may = new Set([
      'replicas',
      'ordinals',
      'template',
      'updateStrategy',
      'persistentVolumeClaimRetentionPolicy',
      'minReadySeconds',
      'revisionHistoryLimit',
    ]);
    const keys = new Set([...Object.keys(object['spec']), ...Object.keys(before['spec'])]);
    const changed = [...keys].filter((key) => !may.has(key) && !sameJson(object['spec'][key], before['spec'][key]));
    if (changed.length > 0) {
      const allowed =
        store.minor < 22
          ? "'replicas', 'template', and 'updateStrategy'"
          : "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'";
      faults.push(forbiddenValue('spec', `updates to statefulset spec for fields other than ${allowed} are forbidden`));
    }
    return faults;
  },
};

const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

export const daemonSet: Rules = {
  create: emptyStatus({ currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 }),
  defaults(object, store) {
    const spec = ensureSpec(object);
    fill(spec, { revisionHistoryLimit: 10, updateStrategy: {} });
    fill(spec.updateStrategy, { type: 'RollingUpdate' });
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {};
      fill(spec.updateStrategy.rollingUpdate, { maxUnavailable: 1, ...(store.minor >= 22 && { maxSurge: 0 }) });
    }
    object.metadata.annotations = { [TEMPLATE_GENERATION]: '1', ...object.metadata.annotations };
    defaultTemplate(spec, store);
  },
  check: (object, before) => checkSelector(object, before),
};

function defaultJobSpec(spec: Json, store: Store): void {
  fill(spec, { backoffLimit: 6, completions: spec.parallelism ?? 1, parallelism: 1 });
  defaultTemplate(spec, store);
}

/** The first release that labels a job's pods under its own domain too. */
const PREFIXED_JOB_LABELS_MINOR = 27;
const JOB_GENERATION_MINOR = 22;
const CRON_JOB_GENERATION_MINOR = 21;

export const job: Rules = {
  create: (object, store) => {
    object['status'] = {};
    const spec = ensureSpec(object);
    if (spec.manualSelector) return;
    const { uid, name } = object.metadata;
    const prefixed = store.minor >= PREFIXED_JOB_LABELS_MINOR;
    const own = {
      'controller-uid': uid,
      'job-name': name,
      ...(prefixed && { 'batch.kubernetes.io/controller-uid': uid, 'batch.kubernetes.io/job-name': name }),
    };
    spec.template ??= {};
    spec.template.metadata = { ...spec.template.metadata };
    spec.template.metadata.labels = { ...spec.template.metadata.labels, ...own };
    spec.selector = { matchLabels: { [prefixed ? 'batch.kubernetes.io/controller-uid' : 'controller-uid']: uid } };
    if (store.minor >= 30) spec.manualSelector ??= false;
    object.metadata.labels ??= { ...spec.template.metadata.labels };
    if (store.minor < JOB_GENERATION_MINOR) delete object.metadata.generation;
  },
  defaults(object, store) {
    defaultJobSpec(ensureSpec(object), store);
    if (store.minor >= 22) fill(object['spec'], { completionMode: 'NonIndexed', suspend: false });
    if (store.minor >= 29)
      fill(object['spec'], {
        podReplacementPolicy: object['spec'].podFailurePolicy ? 'Failed' : 'TerminatingOrFailed',
      });
  },
  check(object, before) {
    const { selector, template } = object['spec'];
    const faults = checkPodSpec(template?.spec, 'spec.template.spec');
    const policy = template?.spec?.restartPolicy;
    if (policy === 'Always' && faults.length === 0) {
      faults.push({
        field: 'spec.template.spec.restartPolicy',
        reason: 'FieldValueRequired',
        message: 'Required value: valid values: "OnFailure", "Never"',
      });
    }
    if (before && !sameJson(selector, before['spec']?.selector))
      faults.push(invalidValue('spec.selector', selector, IMMUTABLE));
    if (before && !sameJson(template, before['spec']?.template))
      faults.push(invalidValue('spec.template', {}, IMMUTABLE));
    return faults;
  },
};

export const cronJob: Rules = {
  create(object, store) {
    object['status'] = {};
    if (store.minor < CRON_JOB_GENERATION_MINOR) delete object.metadata.generation;
  },
  defaults(object, store) {
    const spec = ensureSpec(object);
    fill(spec, {
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    });
    if (!isMap(spec.jobTemplate)) return;
    spec.jobTemplate.metadata = inner(spec.jobTemplate.metadata, store);
    defaultTemplate(spec.jobTemplate.spec ?? {}, store);
  },
  check(object, before, store) {
    const { schedule, jobTemplate } = object['spec'];
    if (!schedule) return [required('spec.schedule')];
    if (!before && store.minor >= 29 && /^(CRON_)?TZ=/.test(schedule)) {
      return [
        invalidValue('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'),
      ];
    }
    return checkPodSpec(jobTemplate?.spec?.template?.spec, 'spec.jobTemplate.spec.template.spec');
  },
};
