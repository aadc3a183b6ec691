import type { Json, TwinObject } from '../types.js';
import { cloneJson } from './json.js';
import type { StoredKind } from './kinds.js';
import type { Change, Store } from './store.js';
import { FOREGROUND, ORPHAN } from './store.js';

const NOTICE_MS = 100;

interface Dependent {
  kind: StoredKind;
  namespace: string | undefined;
  name: string;
}

const owners = (object: TwinObject | undefined): Json[] => object?.metadata.ownerReferences ?? [];
const keyOf = ({ kind, namespace, name }: Dependent): string => `${kind.key} ${namespace ?? ''} ${name}`;

/**
 * What the garbage collector of the controller manager does: dependents go after their last owner, before it in the foreground, and
 * stay without owner when orphaned.
 *
 * @source kubernetes/kubernetes:pkg/controller/garbagecollector
 */
export function collectGarbage(store: Store): void {
  /** uid of every object there is */
  const alive = new Set<string>();
  /** by uid of the owner */
  const dependents = new Map<string, Map<string, Dependent>>();

  const find = ({ kind, namespace, name }: Dependent): TwinObject | undefined => {
    const served = store.kinds.ofStored(kind.key);
    return served && store.find(served, namespace, name);
  };

  const remember = ({ kind, object, before, type }: Change): void => {
    if (owners(before).length + owners(object).length === 0) return;
    const dependent = { kind, namespace: object.metadata.namespace, name: object.metadata.name };
    const key = keyOf(dependent);
    for (const { uid } of owners(before)) dependents.get(uid)?.delete(key);
    if (type === 'DELETED') return;
    for (const { uid } of owners(object)) {
      const known = dependents.get(uid) ?? new Map();
      dependents.set(uid, known.set(key, dependent));
    }
  };

  const removeIfOwnerless = (dependent: Dependent): void => {
    const object = find(dependent);
    if (!object || owners(object).length === 0) return;
    const served = store.kinds.ofStored(dependent.kind.key)!;
    if (!owners(object).some(({ uid }) => alive.has(uid))) {
      if (!object.metadata.deletionTimestamp)
        store.delete(served, dependent.namespace, dependent.name, { propagation: 'Background' });
    }
  };

  const dropFinalizer = (dependent: Dependent, finalizer: string): void => {
    const object = find(dependent);
    if (!object?.metadata.finalizers?.includes(finalizer)) return;
    edit(dependent, (metadata) => {
      metadata.finalizers = metadata.finalizers.filter((it: string) => it !== finalizer);
    });
  };

  const edit = (dependent: Dependent, change: (metadata: Json) => void): void => {
    const served = store.kinds.ofStored(dependent.kind.key)!;
    store.replace(served, dependent.namespace, dependent.name, (current) => {
      const metadata = cloneJson(current.metadata);
      change(metadata);
      return { ...current, metadata };
    });
  };

  const orphan = (owner: Dependent, uid: string): void => {
    for (const dependent of Array.from(dependents.get(uid)?.values() ?? [])) {
      edit(dependent, (metadata) => {
        metadata.ownerReferences = metadata.ownerReferences.filter((it: Json) => it.uid !== uid);
        if (metadata.ownerReferences.length === 0) delete metadata.ownerReferences;
      });
    }
    dropFinalizer(owner, ORPHAN);
  };

  /** Dependents that block go first; the owner once none is left. */
  const foreground = (owner: Dependent, uid: string): void => {
    let blocking = 0;
    for (const dependent of Array.from(dependents.get(uid)?.values() ?? [])) {
      const object = find(dependent);
      if (!object) continue;
      const others = owners(object).filter((it) => it.uid !== uid && alive.has(it.uid));
      const blocks = owners(object).some((it) => it.uid === uid && it.blockOwnerDeletion);
      if (others.length > 0) continue;
      const served = store.kinds.ofStored(dependent.kind.key)!;
      const propagation = dependents.has(object.metadata.uid) ? 'Foreground' : 'Background';
      const gone = object.metadata.deletionTimestamp
        ? false
        : store.delete(served, dependent.namespace, dependent.name, { propagation }).gone;
      if (!gone && blocks) blocking += 1;
    }
    if (blocking === 0) dropFinalizer(owner, FOREGROUND);
  };

  const look = (dependent: Dependent): void => {
    const object = find(dependent);
    if (!object?.metadata.deletionTimestamp) return;
    const { uid, finalizers = [] } = object.metadata;
    if (finalizers.includes(ORPHAN)) orphan(dependent, uid);
    else if (finalizers.includes(FOREGROUND)) foreground(dependent, uid);
  };

  const ownersOf = (object: TwinObject): Dependent[] =>
    owners(object).flatMap((owner) => {
      const served = store.kinds.ofObject(owner.apiVersion, owner.kind);
      return served ? [{ kind: served.stored, namespace: object.metadata.namespace, name: owner.name }] : [];
    });

  store.observe((change) => {
    const { type, kind, object } = change;
    const { uid, namespace, name, deletionTimestamp } = object.metadata;
    if (type === 'DELETED') alive.delete(uid);
    else alive.add(uid);
    remember(change);
    const self = { kind, namespace, name };
    if (type === 'DELETED') {
      const left = [...(dependents.get(uid)?.values() ?? [])];
      dependents.delete(uid);
      if (left.length > 0) store.clock.after(NOTICE_MS, () => left.forEach(removeIfOwnerless));
      const waiting = ownersOf(object).filter((owner) => find(owner)?.metadata.finalizers?.includes(FOREGROUND));
      if (waiting.length > 0) store.clock.after(NOTICE_MS, () => waiting.forEach(look));
    } else if (
      deletionTimestamp &&
      object.metadata.finalizers?.some((it: string) => it === ORPHAN || it === FOREGROUND)
    ) {
      store.clock.after(NOTICE_MS, () => look(self));
    } else if (type === 'ADDED' && owners(object).length > 0 && !owners(object).some((owner) => alive.has(owner.uid))) {
      // Its owners may still be on their way when a whole world is put in.
      store.clock.after(NOTICE_MS, () => removeIfOwnerless(self));
    }
  });
}
