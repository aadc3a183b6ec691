import type { Json, TwinObject } from '../types.js';
import type { Fault } from './errors.js';
import { forbiddenValue, invalidValue, notSupported, required } from './errors.js';
import { sameJson } from './json.js';
import { fill, IMMUTABLE, type Rules } from './rule.js';

export const claim: Rules = {
  create(object) {
    object['status'] = { phase: 'Pending' };
    addFinalizer(object, 'kubernetes.io/pvc-protection');
  },
  defaults(object) {
    fill((object['spec'] ??= {}), { volumeMode: 'Filesystem' });
  },
  check(object, before, store) {
    const spec = object['spec'];
    const faults: Fault[] = [];
    if (!spec.accessModes?.length) faults.push(required('spec.accessModes', 'at least 1 access mode is required'));
    if (spec.resources?.requests?.storage === undefined) faults.push(required('spec.resources[storage]'));
    if (!before || sameJson(claimIdentity(spec, before['spec']), claimIdentity(before['spec'], before['spec'])))
      return faults;
    const mutable = store.minor < 29 ? 'resources.requests' : 'resources.requests and volumeAttributesClassName';
    faults.push(forbiddenValue('spec', `spec is immutable after creation except ${mutable} for bound claims`));
    if (spec.volumeMode !== before['spec'].volumeMode)
      faults.push(invalidValue('volumeMode', spec.volumeMode, IMMUTABLE));
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

export const volume: Rules = {
  create(object, store) {
    object['status'] = { phase: 'Pending', ...(store.minor >= 29 && { lastPhaseTransitionTime: store.timestamp() }) };
    addFinalizer(object, 'kubernetes.io/pv-protection');
  },
  defaults(object) {
    fill((object['spec'] ??= {}), { persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem' });
  },
  check(object, before) {
    const spec = object['spec'];
    const faults: Fault[] = [];
    if (!spec.accessModes?.length) faults.push(required('spec.accessModes'));
    if (!spec.capacity?.storage)
      faults.push(required('spec.capacity'), notSupported('spec.capacity', spec.capacity ?? null, ['storage']));
    if (Object.keys(volumeSource(spec)).length === 0) faults.push(required('spec', 'must specify a volume type'));
    if (!before) return faults;
    if (!sameJson(volumeSource(spec), volumeSource(before['spec']))) {
      faults.push(
        forbiddenValue('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'),
      );
    }
    if (before['spec'].nodeAffinity && !sameJson(spec.nodeAffinity, before['spec'].nodeAffinity)) {
      faults.push(invalidValue('spec.nodeAffinity', spec.nodeAffinity, IMMUTABLE));
    }
    if (spec.volumeMode !== before['spec'].volumeMode)
      faults.push(invalidValue('spec.volumeMode', spec.volumeMode, IMMUTABLE));
    return faults;
  },
};

function addFinalizer(object: TwinObject, finalizer: string): void {
  const known: string[] = object.metadata.finalizers ?? [];
  if (!known.includes(finalizer)) object.metadata.finalizers = [...known, finalizer];
}

export const storageClass: Rules = {
  defaults(object) {
    fill(object, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' });
  },
  check(object, before, store) {
    if (!object['provisioner']) return [required('provisioner')];
    if (!before) return [];
    return ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode']
      .filter((field) => !sameJson(object[field], before[field]))
      .map((field) =>
        field === 'provisioner' && store.minor >= 36
          ? invalidValue(field, object[field], IMMUTABLE)
          : forbiddenValue(field, `updates to ${field} are forbidden.`),
      );
  },
};
