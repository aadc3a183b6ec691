import type { Json, TwinObject } from '../types.js';
import type { Fault } from './errors.js';
import { invalidValue, notSupported, required } from './errors.js';
import { cloneJson } from './json.js';
import type { StoredKind } from './kinds.js';
import { ALL_VERBS, apiVersionOf, makeServed } from './kinds.js';
import type { Rules } from './rule.js';
import { shapeOfSchema } from './shapes.js';
import type { Change, Store } from './store.js';

const ESTABLISH_MS = 50;
const FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';
const KEY = 'apiextensions.k8s.io/customresourcedefinitions';

interface Definition {
  group: string;
  names: {
    plural: string;
    singular?: string;
    kind: string;
    listKind?: string;
    shortNames?: string[];
    categories?: string[];
  };
  scope: string;
  versions: Json[];
}

/** What is kept of a custom resource: whether status stands apart is the storage version's answer for all of them. */
function storedKind({ group, names, scope, versions }: Definition): StoredKind {
  const storage = versions.find((version) => version.storage) ?? versions[0];
  const hasStatus = Boolean(storage?.subresources?.status);
  return {
    key: `${group}/${names.plural}`,
    group,
    kind: names.kind,
    resource: names.plural,
    namespaced: scope === 'Namespaced',
    apiVersion: apiVersionOf(group, storage?.name),
    hasStatus,
    generation: 'all',
    custom: true,
  };
}

function serve(store: Store, definition: Definition): void {
  const { group, names, scope, versions } = definition;
  withdraw(store, group, names.plural);
  const stored = storedKind(definition);
  for (const version of versions) {
    if (!version.served) continue;
    const { status, scale } = version.subresources ?? {};
    const schema = version.schema?.openAPIV3Schema;
    store.kinds.add(
      makeServed({
        group,
        version: version.name,
        resource: names.plural,
        singular: names.singular ?? names.kind.toLowerCase(),
        kind: names.kind,
        listKind: names.listKind ?? `${names.kind}List`,
        namespaced: scope === 'Namespaced',
        short: names.shortNames ?? [],
        categories: names.categories ?? [],
        subresources: new Set([...(status ? ['status'] : []), ...(scale ? ['scale'] : [])]),
        verbs: ALL_VERBS,
        createOnly: false,
        stored,
        shape: shapeOfSchema(schema),
        ...(scale && {
          scale: {
            replicas: scale.specReplicasPath,
            statusReplicas: scale.statusReplicasPath,
            selector: scale.labelSelectorPath,
          },
        }),
        ...(version.additionalPrinterColumns && { columns: version.additionalPrinterColumns }),
        schema,
      }),
    );
  }
}

function withdraw(store: Store, group: string, resource: string): void {
  for (const served of store.kinds.all()) {
    if (served.stored.custom && served.group === group && served.resource === resource) store.kinds.remove(served.path);
  }
}

const isEstablished = (object: TwinObject): boolean =>
  (object['status']?.conditions ?? []).some((it: Json) => it.type === 'Established' && it.status === 'True');

const storedVersions = (object: TwinObject): string[] =>
  (object['spec']?.versions ?? []).filter((version: Json) => version.storage).map((version: Json) => version.name);

function established(store: Store, object: TwinObject): TwinObject {
  const { names } = object['spec'];
  const lastTransitionTime = store.timestamp();
  const singular = names.singular ?? names.kind.toLowerCase();
  const accepted = { ...names, singular, listKind: names.listKind ?? `${names.kind}List` };
  return {
    ...cloneJson(object),
    status: {
      conditions: [
        {
          type: 'NamesAccepted',
          status: 'True',
          lastTransitionTime,
          reason: 'NoConflicts',
          message: 'no conflicts found',
        },
        {
          type: 'Established',
          status: 'True',
          lastTransitionTime,
          reason: 'InitialNamesAccepted',
          message: 'the initial names have been accepted',
        },
      ],
      acceptedNames: accepted,
      storedVersions: storedVersions(object),
    },
  };
}

/**
 * Custom resources: a definition's kinds are served once it is established, and their objects go with it.
 *
 * @source kubernetes/apiextensions-apiserver:pkg/controller/establish, pkg/controller/finalizer, pkg/registry/customresource
 */
export function defineCustomKinds(store: Store): void {
  const find = (name: string): TwinObject | undefined => store.storedByKey(KEY).find((it) => it.metadata.name === name);

  const write = (object: TwinObject, subresource?: string): void => {
    const served = store.kinds.ofStored(KEY)!;
    const options = subresource === undefined ? {} : { subresource };
    store.replace(served, undefined, object.metadata.name, () => served.fromStored(object), options);
  };

  const establish = (name: string): void => {
    const object = find(name);
    if (object && !isEstablished(object)) write(established(store, object), 'status');
  };

  /** Deletes the objects first, then lets go of the definition. */
  const clean = (name: string): void => {
    const object = find(name);
    if (!object?.metadata.deletionTimestamp || !object.metadata.finalizers?.includes(FINALIZER)) return;
    const served = store.kinds.ofStored(`${object['spec'].group}/${object['spec'].names.plural}`);
    let left = 0;
    for (const { metadata } of served ? store.list(served) : []) {
      if (metadata.deletionTimestamp || !store.delete(served!, metadata.namespace, metadata.name).gone) left += 1;
    }
    if (left > 0) return;
    const finalizers = object.metadata.finalizers.filter((it: string) => it !== FINALIZER);
    write({ ...object, metadata: { ...object.metadata, finalizers } });
  };

  const onDefinition = ({ type, object }: Change): void => {
    const { name, deletionTimestamp } = object.metadata;
    if (type === 'DELETED') return withdraw(store, object['spec'].group, object['spec'].names.plural);
    if (deletionTimestamp) store.clock.after(ESTABLISH_MS, () => clean(name));
    else if (isEstablished(object)) serve(store, object['spec']);
    else store.clock.after(ESTABLISH_MS, () => establish(name));
  };

  store.observe((change) => {
    if (change.kind.key === KEY) return onDefinition(change);
    if (!change.kind.custom || change.type !== 'DELETED') return;
    const name = `${change.kind.resource}.${change.kind.group}`;
    if (find(name)?.metadata.deletionTimestamp) store.clock.after(ESTABLISH_MS, () => clean(name));
  });
}

/** @source kubernetes/apiextensions-apiserver:pkg/registry/customresourcedefinition, pkg/apis/apiextensions/validation */
export const definitionRules: Rules = {
  create(object) {
    object['status'] = {
      conditions: null,
      acceptedNames: { plural: '', kind: '' },
      storedVersions: storedVersions(object),
    };
  },

  defaults(object) {
    const spec: Json = (object['spec'] ??= {});
    if (spec.names?.kind) {
      spec.names.singular ??= spec.names.kind.toLowerCase();
      spec.names.listKind ??= `${spec.names.kind}List`;
    }
    spec.conversion ??= { strategy: 'None' };
  },

  check(object, before) {
    const { group, names, scope, versions, preserveUnknownFields } = object['spec'];
    const faults: Fault[] = [];
    if (!group) faults.push(required('spec.group'));
    if (!names?.plural) faults.push(required('spec.names.plural'));
    if (!names?.kind) faults.push(required('spec.names.kind'));
    const name = `${names?.plural}.${group}`;
    if (object.metadata.name !== name)
      faults.push(invalidValue('metadata.name', object.metadata.name, 'must be spec.names.plural+"."+spec.group'));
    if (!['Namespaced', 'Cluster'].includes(scope))
      faults.push(notSupported('spec.scope', scope ?? '', ['Cluster', 'Namespaced']));
    if ((versions ?? []).filter((it: Json) => it.storage).length !== 1) {
      faults.push(
        invalidValue('spec.versions', versions ?? null, 'must have exactly one version marked as storage version'),
      );
    }
    (versions ?? []).forEach((version: Json, index: number) => {
      if (!version.schema?.openAPIV3Schema && !preserveUnknownFields)
        faults.push(required(`spec.versions[${index}].schema.openAPIV3Schema`, 'schemas are required'));
    });
    if (before && before['spec'].scope !== scope && isEstablished(before))
      faults.push(invalidValue('spec.scope', scope, 'field is immutable'));
    return faults;
  },

  deleting(object, store) {
    const finalizers: string[] = object.metadata.finalizers ?? [];
    if (!finalizers.includes(FINALIZER)) object.metadata.finalizers = [...finalizers, FINALIZER];
    const message = 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon';
    const condition = {
      type: 'Terminating',
      status: 'True',
      lastTransitionTime: store.timestamp(),
      reason: 'InstanceDeletionPending',
      message,
    };
    object['status'] = { ...object['status'], conditions: [...(object['status']?.conditions ?? []), condition] };
  },

  seed(object, store) {
    if (!isEstablished(object)) object['status'] = established(store, object)['status'];
  },
};
