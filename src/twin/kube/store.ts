import { seededRandom } from '../random.js';
import type { Json, TwinClock, TwinObject, WatchEvent } from '../types.js';
import { checkTypes } from './decode.js';
import { defineCustomKinds } from './definitions.js';
import {
  alreadyExists,
  badRequest,
  conflict,
  expired,
  forbidden,
  invalid,
  MODIFIED,
  notFound,
  StatusError,
} from './errors.js';
import { collectGarbage } from './garbage.js';
import { cloneJson, freezeJson, isMap, sameJson, sortKeys } from './json.js';
import type { Served, StoredKind } from './kinds.js';
import { Kinds } from './kinds.js';
import type { Writer } from './managed.js';
import { recordUpdate } from './managed.js';
import { bootstrap, runNamespaces } from './namespaces.js';
import { protectVolumes } from './protection.js';
import { checkMeta } from './meta.js';
import { rulesFor } from './rules.js';
import { Shelf } from './shelf.js';

/** One change, in stored form. */
export interface Change {
  type: WatchEvent['type'];
  kind: StoredKind;
  revision: number;
  object: TwinObject;
  before: TwinObject | undefined;
}

export interface WriteOptions {
  dryRun?: boolean;
  /** which part of the object the request may change; the object itself without its status when absent */
  subresource?: string;
  /** who is recorded in metadata.managedFields; nobody when absent, unless somebody else applied fields before */
  writer?: Writer;
  /** server-side apply has worked out the owners itself */
  ownersKept?: boolean;
}

export interface DeleteOptions {
  dryRun?: boolean;
  uid?: string;
  resourceVersion?: string;
  propagation?: 'Foreground' | 'Background' | 'Orphan';
  /** of pods; their own when absent */
  gracePeriodSeconds?: number;
}

export interface StoreOptions {
  /** as /version says, e.g. `v1.20.15` */
  version: string;
  clock: TwinClock;
  /** seeds what a real server would draw: uids, names, addresses */
  name: string;
  /** uid of the namespace kube-system */
  uid?: string;
}

/** A real server's first objects don't have revision 1 either, and watches from before its start are refused. */
const FIRST_REVISION = 100;
/** changes per kind that a watch may start behind */
const HISTORY_LENGTH = 2_000;

export const minorOf = (version: string): number => Number(/^v?\d+\.(\d+)/.exec(version)?.[1]);

const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';
/** the longest prefix that leaves room for the five letters drawn */
const GENERATED_PREFIX_LENGTH = 58;

interface KindState {
  shelf: Shelf;
  history: Change[];
  /** the newest revision whose change is no longer in the history */
  floor: number;
  watchers: Set<(change: Change) => void>;
}

/**
 * The state of one API server, and all of its rules that don't depend on HTTP. What it returns is frozen and shared: whoever wants to
 * change an object copies it. Times come from the clock, random letters from the name.
 */
export class Store {
  readonly version: string;
  readonly minor: number;
  readonly clock: TwinClock;
  readonly kinds: Kinds;
  readonly random: () => number;
  readonly #states = new Map<string, KindState>();
  readonly #observers: ((change: Change) => void)[] = [];
  readonly #outbox: (() => void)[] = [];
  #revision = FIRST_REVISION;

  constructor({ version, clock, name, uid }: StoreOptions) {
    this.version = version;
    this.minor = minorOf(version);
    this.clock = clock;
    this.kinds = new Kinds(this.minor);
    this.random = seededRandom(`${name} ${version}`);
    defineCustomKinds(this);
    collectGarbage(this);
    runNamespaces(this);
    protectVolumes(this);
    bootstrap(this, uid);
  }

  get revision(): number {
    return this.#revision;
  }

  /** Calls back at once, inside each write, in the order of the writes. For the store's own controllers. */
  observe(observer: (change: Change) => void): void {
    this.#observers.push(observer);
  }

  // Reading

  #state(kind: StoredKind): KindState {
    let state = this.#states.get(kind.key);
    if (!state) {
      // The memory of a kind that was defined later starts when it is first asked for.
      const floor = kind.custom ? this.#revision : FIRST_REVISION;
      state = { shelf: new Shelf(), history: [], floor, watchers: new Set() };
      this.#states.set(kind.key, state);
    }
    return state;
  }

  /** @param path  as in `v1/services`; throws NotFound when this version doesn't serve it */
  served(path: string): Served {
    const served = this.kinds.get(path);
    if (!served) throw new StatusError(404, 'NotFound', 'the server could not find the requested resource');
    return served;
  }

  list(served: Served, namespace?: string): TwinObject[] {
    const objects = this.stored(served.stored, namespace);
    return objects[0]?.apiVersion === served.apiVersion ? objects : objects.map((object) => served.fromStored(object));
  }

  find(served: Served, namespace: string | undefined, name: string): TwinObject | undefined {
    const object = this.#state(served.stored).shelf.get(Shelf.key(served.namespaced ? namespace : undefined, name));
    return object && served.fromStored(object);
  }

  get(served: Served, namespace: string | undefined, name: string): TwinObject {
    const object = this.find(served, namespace, name);
    if (!object) throw notFound(served, name);
    return object;
  }

  /** Objects in stored form, for the store's own controllers. */
  stored(kind: StoredKind, namespace?: string): TwinObject[] {
    return this.#state(kind).shelf.list(kind.namespaced ? namespace : undefined);
  }

  /** Stored objects by `group/resource` key, whatever version is served. */
  storedByKey(key: string, namespace?: string): TwinObject[] {
    const served = this.kinds.ofStored(key);
    return served ? this.stored(served.stored, namespace) : [];
  }

  // Writing

  create(served: Served, given: TwinObject, options: WriteOptions = {}): TwinObject {
    const kind = served.stored;
    const object = ownCopy(served, given);
    if (object.metadata.resourceVersion)
      throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
    if (!kind.namespaced) delete object.metadata.namespace;
    this.#nameNew(served, object);
    const { namespace, name } = object.metadata;
    this.#checkNamespace(served, namespace, name);
    const rules = rulesFor(kind);
    clearServerFields(object.metadata);
    if (kind.hasStatus && !rules.keepsStatus) delete object['status'];
    object.metadata.uid = this.uid();
    object.metadata.creationTimestamp = this.timestamp();
    if (kind.generation !== 'none') object.metadata.generation = 1;
    rules.create?.(object, this);
    rules.defaults?.(object, this);
    this.#check(served, object, undefined);
    const key = Shelf.key(kind.namespaced ? namespace : undefined, name);
    if (this.#state(kind).shelf.get(key)) throw alreadyExists(served, name);
    rules.allocate?.(object, undefined, this);
    if (!options.ownersKept) this.#recordNew(served, given, object, options);
    if (options.dryRun) return served.fromStored(freezeJson(object));
    return served.fromStored(this.#commit('ADDED', kind, key, undefined, object));
  }

  /**
   * @param make  gets the object as it is, frozen, and returns another one to put in its place
   */
  replace(
    served: Served,
    namespace: string | undefined,
    name: string,
    make: (current: TwinObject) => TwinObject,
    options: WriteOptions = {},
  ): TwinObject {
    const kind = served.stored;
    const key = Shelf.key(kind.namespaced ? namespace : undefined, name);
    const before = this.#state(kind).shelf.get(key);
    if (!before) throw notFound(served, name);
    const made = make(served.fromStored(before));
    checkSame(served, before, made);
    const object = ownCopy(served, made);
    keepServerFields(object, before);
    keepOtherParts(kind, object, before, options.subresource);
    if (options.subresource === undefined || options.subresource === 'scale') this.#follow(kind, object, before);
    else if (options.subresource === 'status') rulesFor(kind).status?.(object, this);
    this.#check(served, object, before);
    if (this.#isChanged(kind, object, before)) object.metadata.generation = (before.metadata.generation ?? 0) + 1;
    if (!options.ownersKept) this.#record(served, before, object, options);
    if (sameJson(object, before)) return served.fromStored(before);
    if (options.dryRun) return served.fromStored(freezeJson(object));
    if (isReleased(object)) return served.fromStored(this.#takeAway(kind, key, object));
    return served.fromStored(this.#commit('MODIFIED', kind, key, before, object));
  }

  /** @returns the object as it was left, and whether it is gone */
  delete(
    served: Served,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): { object: TwinObject; gone: boolean } {
    const kind = served.stored;
    const key = Shelf.key(kind.namespaced ? namespace : undefined, name);
    const before = this.#state(kind).shelf.get(key);
    if (!before) throw notFound(served, name);
    checkPreconditions(served, before, options);
    const object = cloneJson(before);
    addPropagation(object, options.propagation ?? defaultPropagation(served));
    if (!object.metadata.deletionTimestamp) rulesFor(kind).deleting?.(object, this);
    const graceSeconds = graceOf(kind, before, options);
    if (isFree(object) && graceSeconds === 0) {
      if (options.dryRun) return { object: served.fromStored(before), gone: true };
      return { object: served.fromStored(this.#takeAway(kind, key, before)), gone: true };
    }
    if (object.metadata.deletionTimestamp && graceSeconds === 0) object.metadata.deletionGracePeriodSeconds = 0;
    if (!object.metadata.deletionTimestamp) {
      object.metadata.deletionTimestamp = this.timestamp(graceSeconds * 1000);
      object.metadata.deletionGracePeriodSeconds = graceSeconds;
      if (object.metadata.generation !== undefined) object.metadata.generation += 1;
    }
    if (options.dryRun || sameJson(object, before))
      return { object: served.fromStored(freezeJson(object)), gone: false };
    return { object: served.fromStored(this.#commit('MODIFIED', kind, key, before, object)), gone: false };
  }

  /**
   * Puts objects in as they are: what they carry of uid, times, status and owners is kept, defaults are filled in, missing namespaces
   * are made. An object that is there already is replaced.
   */
  seed(objects: readonly TwinObject[]): void {
    const rank = (object: TwinObject): number =>
      object.kind === 'Namespace' ? 0 : object.kind === 'CustomResourceDefinition' ? 1 : 2;
    for (const object of objects.toSorted((a, b) => rank(a) - rank(b))) this.#seedOne(object);
  }

  #seedOne(given: TwinObject): void {
    const served = this.kinds.ofObject(given.apiVersion, given.kind);
    if (!served) throw new Error(`${this.version} serves no ${given.kind} of ${given.apiVersion}`);
    const kind = served.stored;
    const object = ownCopy(served, given);
    if (kind.namespaced) object.metadata.namespace ??= 'default';
    else delete object.metadata.namespace;
    const { namespace, name } = object.metadata;
    if (kind.namespaced && !this.find(this.served('v1/namespaces'), undefined, namespace)) {
      this.create(this.served('v1/namespaces'), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    }
    const key = Shelf.key(kind.namespaced ? namespace : undefined, name);
    const before = this.#state(kind).shelf.get(key);
    const rules = rulesFor(kind);
    object.metadata.uid ??= before?.metadata.uid ?? this.uid();
    object.metadata.creationTimestamp ??= before?.metadata.creationTimestamp ?? this.timestamp();
    if (kind.generation !== 'none') object.metadata.generation ??= 1;
    const status = object['status'];
    rules.create?.(object, this);
    if (status !== undefined) object['status'] = status;
    rules.seed?.(object, this);
    rules.defaults?.(object, this);
    this.#check(served, object, undefined);
    rules.allocate?.(object, before, this);
    this.#commit(before ? 'MODIFIED' : 'ADDED', kind, key, before, object);
  }

  /** Everything there is, in stored form and stable order. */
  snapshot(): Json {
    const kinds = [...this.#states]
      .filter(([, state]) => state.shelf.size > 0)
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(kinds.map(([key, state]) => [key, state.shelf.list().map(sortKeys)]));
  }

  // Watching

  /**
   * @param from  revision after which changes are wanted; undefined: from now on
   * @throws StatusError 410 Expired when the history doesn't reach back that far
   */
  watch(kind: StoredKind, from: number | undefined, on: (change: Change) => void): () => void {
    const state = this.#state(kind);
    if (from !== undefined && from < state.floor) throw expired(`too old resource version: ${from} (${state.floor})`);
    if (from !== undefined) for (const change of state.history) if (change.revision > from) on(change);
    state.watchers.add(on);
    return () => state.watchers.delete(on);
  }

  /** Forgets the history of all kinds, as a real server's compaction does. */
  compact(): void {
    for (const state of this.#states.values()) {
      state.history.length = 0;
      state.floor = this.#revision;
    }
  }

  /** Runs after the current write and all changes before it are delivered, in order, in a microtask. */
  later(run: () => void): void {
    if (this.#outbox.push(run) > 1) return;
    queueMicrotask(() => {
      for (let next = this.#outbox[0]; next; next = this.#outbox[0]) {
        next();
        this.#outbox.shift();
      }
    });
  }

  // Values that a real server draws

  timestamp(inMs = 0): string {
    return `${new Date(this.clock.now() + inMs).toISOString().slice(0, 19)}Z`;
  }

  uid(): string {
    const hex = Array.from({ length: 8 }, () =>
      Math.floor(this.random() * 0x10000)
        .toString(16)
        .padStart(4, '0'),
    ).join('');
    const variant = '89ab'[Math.floor(this.random() * 4)];
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  letters(length: number): string {
    return Array.from({ length }, () => NAME_LETTERS[Math.floor(this.random() * NAME_LETTERS.length)]).join('');
  }

  // Steps of a write

  #nameNew(served: Served, object: TwinObject): void {
    const { metadata } = object;
    if (!metadata.name && metadata.generateName) {
      metadata.name = metadata.generateName.slice(0, GENERATED_PREFIX_LENGTH) + this.letters(5);
    }
    if (!metadata.name) {
      throw invalid(served, '', [
        {
          field: 'metadata.name',
          reason: 'FieldValueRequired',
          message: 'Required value: name or generateName is required',
        },
      ]);
    }
    if (served.namespaced && !metadata.namespace) {
      throw badRequest('an empty namespace may not be set during creation');
    }
  }

  #checkNamespace(served: Served, namespace: string | undefined, name: string): void {
    if (!served.namespaced || namespace === undefined) return;
    const space = this.get(this.served('v1/namespaces'), undefined, namespace);
    if (!space.metadata.deletionTimestamp) return;
    throw forbidden(
      served,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
      [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    );
  }

  /** A creator owns what it sent and the defaults beside it, not what the server draws nor the status. */
  #recordNew(served: Served, given: TwinObject, object: TwinObject, options: WriteOptions): void {
    if (!options.writer) {
      delete object.metadata.managedFields;
      return;
    }
    const claimed = ownCopy(served, given);
    if (served.stored.hasStatus) delete claimed['status'];
    rulesFor(served.stored).defaults?.(claimed, this);
    if (served.stored.hasStatus) delete claimed['status'];
    this.#record(served, undefined, claimed, options);
    if (claimed.metadata.managedFields) object.metadata.managedFields = claimed.metadata.managedFields;
    else delete object.metadata.managedFields;
  }

  #record(served: Served, before: TwinObject | undefined, object: TwinObject, { writer }: WriteOptions): void {
    recordUpdate({ served, minor: this.minor, before, object, writer, time: this.timestamp() });
  }

  /** What the kind itself does to an update: fields that stay, defaults, addresses. */
  #follow(kind: StoredKind, object: TwinObject, before: TwinObject): void {
    const rules = rulesFor(kind);
    rules.update?.(object, before, this);
    rules.defaults?.(object, this);
    rules.allocate?.(object, before, this);
  }

  #check(served: Served, object: TwinObject, before: TwinObject | undefined): void {
    const rules = rulesFor(served.stored);
    const faults = [...checkMeta(served, object, before), ...(rules.check?.(object, before, this) ?? [])];
    if (faults.length > 0) throw invalid(served, object.metadata.name, faults);
  }

  #isChanged(kind: StoredKind, object: TwinObject, before: TwinObject): boolean {
    if (kind.generation === 'none' || before.metadata.generation === undefined) return false;
    // Annotations of a Deployment are copied to its ReplicaSets. @source kubernetes/kubernetes:pkg/registry/apps/deployment/strategy.go
    if (
      kind.key === 'apps/deployments' &&
      !sameJson(object.metadata.annotations ?? {}, before.metadata.annotations ?? {})
    )
      return true;
    if (kind.generation === 'spec')
      return !sameJson(object['spec'] ?? object['template'], before['spec'] ?? before['template']);
    const { metadata: _new, status: newStatus, ...now } = object;
    const { metadata: _old, status: oldStatus, ...then } = before;
    return !sameJson(now, then) || (!kind.hasStatus && !sameJson(newStatus, oldStatus));
  }

  #commit(
    type: Change['type'],
    kind: StoredKind,
    key: string,
    before: TwinObject | undefined,
    object: TwinObject,
  ): TwinObject {
    const revision = ++this.#revision;
    object.metadata.resourceVersion = String(revision);
    freezeJson(object);
    const state = this.#state(kind);
    if (type === 'DELETED') state.shelf.remove(key);
    else state.shelf.put(key, object);
    const change: Change = { type, kind, revision, object, before };
    state.history.push(change);
    if (state.history.length > 2 * HISTORY_LENGTH) {
      const dropped = state.history.splice(0, HISTORY_LENGTH);
      state.floor = dropped.at(-1)!.revision;
    }
    if (state.watchers.size > 0) {
      const watchers = [...state.watchers];
      this.later(() => {
        for (const on of watchers) if (state.watchers.has(on)) on(change);
      });
    }
    for (const observer of this.#observers) observer(change);
    return object;
  }

  #takeAway(kind: StoredKind, key: string, last: TwinObject): TwinObject {
    const before = this.#state(kind).shelf.get(key);
    return this.#commit('DELETED', kind, key, before, { ...last, metadata: { ...last.metadata } });
  }
}

/** A stored form that may be changed: kind and apiVersion are those of the URL, and come first. */
function ownCopy(served: Served, given: TwinObject): TwinObject {
  checkTypes(served, given);
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = given;
  const copy = {
    apiVersion: served.apiVersion,
    kind: served.kind,
    metadata: cloneJson({ ...metadata }),
    ...cloneJson(rest),
  };
  return served.toStored(copy);
}

/** What clients may send along and a server sets itself. */
function clearServerFields(metadata: Json): void {
  delete metadata.uid;
  delete metadata.creationTimestamp;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.generation;
  delete metadata.selfLink;
}

function keepServerFields(object: TwinObject, before: TwinObject): void {
  const { metadata } = object;
  for (const field of [
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'generateName',
    'resourceVersion',
  ]) {
    if (before.metadata[field] === undefined) delete metadata[field];
    else metadata[field] = before.metadata[field];
  }
  delete metadata.selfLink;
}

/** A write to the object leaves its status alone, a write to the status everything else. */
function keepOtherParts(
  kind: StoredKind,
  object: TwinObject,
  before: TwinObject,
  subresource: string | undefined,
): void {
  if (!kind.hasStatus) return;
  if (subresource !== 'status') return keepField(object, before, 'status');
  for (const field of new Set([...Object.keys(object), ...Object.keys(before)])) {
    if (!['status', 'metadata', 'apiVersion', 'kind'].includes(field)) keepField(object, before, field);
  }
  const { managedFields } = object.metadata;
  if (kind.custom) object.metadata = { ...cloneJson(before.metadata), ...(managedFields && { managedFields }) };
  else if (kind.key !== '/nodes' && kind.key !== '/pods') {
    for (const field of ['labels', 'finalizers', 'ownerReferences']) keepField(object.metadata, before.metadata, field);
  }
}

function keepField(object: Json, before: Json, field: string): void {
  if (before[field] === undefined) delete object[field];
  else object[field] = before[field];
}

function checkSame(served: Served, before: TwinObject, made: TwinObject): void {
  const { name } = before.metadata;
  const wantedRevision = made.metadata?.resourceVersion;
  if (wantedRevision && wantedRevision !== before.metadata.resourceVersion) throw conflict(served, name, MODIFIED);
  const wantedUid = made.metadata?.uid;
  if (wantedUid && wantedUid !== before.metadata.uid) {
    throw conflict(
      served,
      name,
      `Precondition failed: UID in precondition: ${wantedUid}, UID in object meta: ${before.metadata.uid}`,
    );
  }
}

function checkPreconditions(served: Served, before: TwinObject, { uid, resourceVersion }: DeleteOptions): void {
  const { name } = before.metadata;
  // Deletion names the kind where everything else names the resource.
  const subject = { ...served, resource: served.kind };
  if (uid !== undefined && uid !== before.metadata.uid) {
    const recreated = 'The object might have been deleted and then recreated';
    throw conflict(
      subject,
      name,
      `the UID in the precondition (${uid}) does not match the UID in record (${before.metadata.uid}). ${recreated}`,
    );
  }
  const known = before.metadata.resourceVersion;
  if (resourceVersion !== undefined && resourceVersion !== known) {
    const modified = 'The object might have been modified';
    throw conflict(
      subject,
      name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${known}). ${modified}`,
    );
  }
}

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

/** Jobs and replication controllers kept their pods before owners were recorded, and still do unless told otherwise. */
function defaultPropagation(served: Served): DeleteOptions['propagation'] {
  return served.path === 'batch/v1/jobs' || served.path === 'v1/replicationcontrollers' ? 'Orphan' : undefined;
}

function addPropagation(object: TwinObject, propagation: DeleteOptions['propagation']): void {
  if (propagation === undefined) return;
  const others = (object.metadata.finalizers ?? []).filter((it: string) => it !== FOREGROUND && it !== ORPHAN);
  if (propagation === 'Foreground') others.push(FOREGROUND);
  if (propagation === 'Orphan') others.push(ORPHAN);
  if (others.length > 0) object.metadata.finalizers = others;
  else delete object.metadata.finalizers;
}

/** Nothing holds it: no finalizers, and for a namespace none in its spec. */
const isFree = (object: TwinObject): boolean =>
  (object.metadata.finalizers ?? []).length === 0 &&
  (object.kind !== 'Namespace' || (object['spec']?.finalizers ?? []).length === 0);

const isReleased = (object: TwinObject): boolean =>
  isMap(object) &&
  Boolean(object.metadata.deletionTimestamp) &&
  !object.metadata.deletionGracePeriodSeconds &&
  isFree(object);

/** Seconds that a pod on a node has left to end by itself; nothing else has any. A pod that is ending goes on as it was told first. */
function graceOf(kind: StoredKind, before: TwinObject, { gracePeriodSeconds }: DeleteOptions): number {
  if (kind.key !== '/pods' || !before['spec']?.nodeName || ['Succeeded', 'Failed'].includes(before['status']?.phase))
    return 0;
  return (
    gracePeriodSeconds ??
    before.metadata.deletionGracePeriodSeconds ??
    before['spec'].terminationGracePeriodSeconds ??
    30
  );
}
