import type { Json, TwinClock, TwinObject } from '../types.js';
import {
  badRequest,
  forbiddenValue,
  invalid,
  invalidValue,
  methodNotAllowed,
  noSuchPath,
  notSupported,
  required,
  StatusError,
  unsupportedMedia,
} from './errors.js';
import { cloneJson, isMap } from './json.js';
import type { Served } from './kinds.js';
import { applyManifest } from './apply.js';
import { jsonPatch, mergePatch } from './patch.js';
import type { Pages } from './pages.js';
import { evict, bind, requestToken } from './pods.js';
import { review } from './reviews.js';
import type { Target } from './route.js';
import { readScale, writeScale } from './scale.js';
import type { Match } from './selectors.js';
import { fieldMatch, labelMatch } from './selectors.js';
import type { DeleteOptions, Store, WriteOptions } from './store.js';
import { strategicPatch } from './strategic.js';
import type { View } from './view.js';
import { viewOf } from './view.js';
import { streamWatch } from './watch.js';
import type { Answer, WireRequest } from './wire.js';
import { warningsFor } from './warnings.js';
import { answer, isTrue, itemTextOf, mediaType, readBody, readObject, textOf } from './wire.js';

/** All that a request for objects is answered from. */
export interface Desk {
  store: Store;
  pages: Pages;
  /** for what nobody waits for */
  idle: TwinClock;
}

/** @throws StatusError */
export function handle(desk: Desk, target: Target, request: WireRequest): Answer {
  const { served, subresource, verb, name } = target;
  if (subresource !== undefined && subresource !== 'status') return handlePart(desk, target, request);
  if (served.createOnly) return answer(review(desk.store, target, request), 201);
  if (!served.verbs.includes(verb)) throw methodNotAllowed();
  switch (verb) {
    case 'list':
      return list(desk, target, request);
    case 'watch':
      return watch(desk, target, request);
    case 'get':
      return show(desk.store, served, request, desk.store.get(served, target.namespace, name!));
    case 'create':
      if (name !== undefined) throw methodNotAllowed();
      return create(desk, target, request);
    case 'update':
      return update(desk, target, request);
    case 'patch':
      return patch(desk, target, request);
    case 'delete':
      return remove(desk, target, request);
    case 'deletecollection':
      return removeAll(desk, target, request);
    default:
      throw methodNotAllowed();
  }
}

function handlePart(desk: Desk, target: Target, request: WireRequest): Answer {
  const { subresource } = target;
  if (subresource === 'scale') return handleScale(desk, target, request);
  if (subresource === 'finalize' || subresource === 'approval') return update(desk, target, request);
  if (subresource === 'log') return { status: 200, text: '', type: 'text/plain' };
  if (request.method !== 'POST') throw methodNotAllowed();
  const options = writeOptions(target, request);
  if (subresource === 'eviction') return answer(evict(desk.store, target, readObject(request), options), 201);
  if (subresource === 'binding') return answer(bind(desk.store, target, readObject(request), options), 201);
  if (subresource === 'token') return answer(requestToken(desk.store, target, readObject(request)), 201);
  throw noSuchPath();
}

// Reading

function matchOf(served: Served, query: URLSearchParams): Match | undefined {
  const labels = query.get('labelSelector');
  const fields = query.get('fieldSelector');
  const matches = [...(labels ? [labelMatch(labels)] : []), ...(fields ? [fieldMatch(served, fields)] : [])];
  if (matches.length === 0) return undefined;
  return (object) => matches.every((match) => match(object));
}

const showAs = (store: Store, served: Served, request: WireRequest): View | undefined =>
  viewOf(store, served, request.headers.accept ?? '', request.query);

function show(store: Store, served: Served, request: WireRequest, object: TwinObject, status = 200): Answer {
  const view = showAs(store, served, request);
  return { status, text: view ? JSON.stringify(view.one(object)) : textOf(object) };
}

/** What was made (then there is nothing before) or changed, with what the server has to say about it. */
function written(
  store: Store,
  served: Served,
  request: WireRequest,
  object: TwinObject,
  before: TwinObject | undefined,
): Answer {
  const changed = before === undefined || before.metadata.generation !== object.metadata.generation;
  const warnings = changed ? warningsFor(object, store.minor, before === undefined) : [];
  return { ...show(store, served, request, object, before === undefined ? 201 : 200), warnings };
}

function readRevision(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion');
  if (text === null || text === '' || text === '0') return undefined;
  const revision = Number(text);
  if (!Number.isInteger(revision) || revision < 0) {
    const detail = `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
    throw badRequest(`invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: ${detail}`);
  }
  return revision;
}

function checkNotAhead(store: Store, revision: number | undefined): void {
  if (revision === undefined || revision <= store.revision) return;
  const message = `Timeout: Too large resource version: ${revision}, current: ${store.revision}`;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  throw new StatusError(504, 'Timeout', message, { causes, retryAfterSeconds: 1 });
}

function list({ store, pages }: Desk, { served, namespace }: Target, request: WireRequest): Answer {
  const { query } = request;
  const revision = readRevision(query);
  const token = query.get('continue') || undefined;
  if (token !== undefined && revision !== undefined)
    throw badRequest('specifying resource version is not allowed when using continue');
  checkNotAhead(store, revision);
  const limit = Number(query.get('limit') ?? 0);
  const page = pages.list(served, { namespace, limit, continue: token, match: matchOf(served, query) });
  const metadata = {
    resourceVersion: String(page.revision),
    ...(page.continue !== undefined && { continue: page.continue }),
    ...(page.remaining !== undefined && { remainingItemCount: page.remaining }),
  };
  const view = showAs(store, served, request);
  if (view) return answer(view.many(page.items, metadata));
  return answerList(served, page.items, metadata);
}

function answerList(served: Served, items: TwinObject[], metadata: Json): Answer {
  const texts = items.map(served.stored.custom ? textOf : itemTextOf).join(',');
  const head = JSON.stringify({ kind: served.listKind, apiVersion: served.apiVersion, metadata });
  return { status: 200, text: `${head.slice(0, -1)},"items":[${texts}]}` };
}

/** The first release whose servers send what there is, and then a mark, when a watch asks for it (KEP-3157). */
const INITIAL_EVENTS_MINOR = 34;

function checkInitialEvents(store: Store, query: URLSearchParams): boolean {
  const wanted = query.get('sendInitialEvents');
  if (wanted === null || store.minor < 27) {
    if (query.get('resourceVersionMatch') === null) return false;
    const detail = 'resourceVersionMatch is forbidden for watch';
    throw invalidOptions(
      'resourceVersionMatch',
      store.minor < 27 ? detail : `${detail} unless sendInitialEvents is provided`,
    );
  }
  if (store.minor < INITIAL_EVENTS_MINOR) {
    throw invalidOptions(
      'sendInitialEvents',
      'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
    );
  }
  return wanted === 'true' || wanted === '1';
}

const invalidOptions = (field: string, detail: string): StatusError =>
  invalid({ group: 'meta.k8s.io', resource: 'ListOptions', kind: 'ListOptions' }, '', [forbiddenValue(field, detail)]);

function watch({ store, idle }: Desk, { served, namespace, name }: Target, request: WireRequest): Answer {
  const { query } = request;
  const initialEvents = checkInitialEvents(store, query);
  const life = Number(query.get('timeoutSeconds') ?? 0);
  const match = matchOf(served, query);
  const view = showAs(store, served, request);
  const only: Match | undefined =
    name === undefined ? match : (object) => object.metadata.name === name && (!match || match(object));
  return {
    stream: streamWatch(
      store,
      served,
      {
        namespace,
        match: only,
        from: initialEvents ? undefined : readRevision(query),
        initialEvents,
        bookmarks: isTrue(query, 'allowWatchBookmarks'),
        lifeMs: life > 0 ? life * 1_000 : undefined,
        show: view ? (object) => view.one(object) : (object) => object,
      },
      idle,
    ),
  };
}

// Writing

function isDry(query: URLSearchParams, verb: string): boolean {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.some((value) => value !== 'All'))
    throw invalid(optionsOf(verb), '', [notSupported('dryRun', values, ['All'])]);
  return values.length > 0;
}

const OPTIONS: Record<string, string> = { create: 'CreateOptions', update: 'UpdateOptions', patch: 'PatchOptions' };

const optionsOf = (verb: string): { group: string; resource: string; kind: string } => {
  const kind = OPTIONS[verb] ?? 'DeleteOptions';
  return { group: 'meta.k8s.io', resource: kind, kind };
};

/** Who writes: the name that the client gives itself, or the first part of its User-Agent. */
function managerOf({ query, headers }: WireRequest): string {
  const given = query.get('fieldManager');
  if (given) return given;
  return (headers['user-agent'] ?? 'unknown').split('/')[0]!.slice(0, 128) || 'unknown';
}

function writeOptions({ subresource, verb }: Target, request: WireRequest): WriteOptions {
  return {
    dryRun: isDry(request.query, verb),
    ...(subresource !== undefined && { subresource }),
    writer: { manager: managerOf(request), ...(subresource !== undefined && { subresource }) },
  };
}

/** The kind, namespace and name of a body must be those of the URL, or not be there. */
function checkBody({ served, namespace, name }: Target, object: TwinObject): void {
  const { apiVersion, kind, metadata } = object;
  if (served.stored.custom && (!apiVersion || !kind)) throw badRequest("Object 'Kind' is missing in the body");
  if (apiVersion && apiVersion !== served.apiVersion) {
    const version = apiVersion.split('/').at(-1);
    throw badRequest(
      `${kind} in version "${version}" cannot be handled as a ${served.kind}: no kind "${kind}" is registered for version "${apiVersion}"`,
    );
  }
  if (kind && kind !== served.kind) {
    throw badRequest(
      `${kind} in version "${served.version}" cannot be handled as a ${served.kind}: converting (${served.version}.${kind}) to (core.${served.kind}): unknown conversion`,
    );
  }
  if (!isMap(metadata)) throw badRequest('metadata is not an object');
  if (served.namespaced && metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (name !== undefined && metadata.name && metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
}

function create({ store }: Desk, target: Target, request: WireRequest): Answer {
  const { served, namespace } = target;
  const object = readObject(request);
  checkBody(target, object);
  if (namespace !== undefined) object.metadata.namespace = namespace;
  return written(store, served, request, store.create(served, object, writeOptions(target, request)), undefined);
}

/** Kinds of which a PUT to a free name makes one. */
const CREATED_BY_UPDATE = new Set([
  '/endpoints',
  '/events',
  '/limitranges',
  '/services',
  'coordination.k8s.io/leases',
  'node.k8s.io/runtimeclasses',
  'rbac.authorization.k8s.io/clusterroles',
  'rbac.authorization.k8s.io/clusterrolebindings',
  'rbac.authorization.k8s.io/roles',
  'rbac.authorization.k8s.io/rolebindings',
]);

function update({ store }: Desk, target: Target, request: WireRequest): Answer {
  const { served, namespace, name, subresource } = target;
  if (name === undefined) throw methodNotAllowed();
  const object = readObject(request);
  checkBody(target, object);
  object.metadata.name = name;
  if (namespace !== undefined) object.metadata.namespace = namespace;
  const options = writeOptions(target, request);
  const isService = served.stored.key === '/services';
  if (subresource === undefined && CREATED_BY_UPDATE.has(served.stored.key) && !store.find(served, namespace, name)) {
    return written(store, served, request, store.create(served, object, options), undefined);
  }
  if (served.stored.custom && !object.metadata.resourceVersion) throw missingRevision(served, name);
  if (isService && store.minor < BLIND_SERVICE_UPDATE_MINOR && !object.metadata.resourceVersion) {
    throw invalid(served, name, [invalidValue('metadata.resourceVersion', '', 'must be specified for an update')]);
  }
  const before = store.find(served, namespace, name);
  return written(
    store,
    served,
    request,
    store.replace(served, namespace, name, () => object, options),
    before,
  );
}

/** The first release whose Services are overwritten without a version. */
const BLIND_SERVICE_UPDATE_MINOR = 23;

/** Custom resources, unlike most built-in kinds, are never overwritten blindly. */
const missingRevision = (served: Served, name: string): StatusError => {
  const detail = 'must be specified for an update';
  const message = `${served.resource}.${served.group} "${name}" is invalid: metadata.resourceVersion: Invalid value: 0x0: ${detail}`;
  const causes = [
    { reason: 'FieldValueInvalid', message: `Invalid value: 0x0: ${detail}`, field: 'metadata.resourceVersion' },
  ];
  return new StatusError(422, 'Invalid', message, { name, group: served.group, kind: served.resource, causes });
};

const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json';
const APPLY_PATCH = 'application/apply-patch+yaml';

function patcher(served: Served, request: WireRequest): (current: TwinObject) => Json {
  const type = mediaType(request.headers);
  const accepted = [JSON_PATCH, MERGE_PATCH, ...(served.stored.custom ? [] : [STRATEGIC_PATCH]), APPLY_PATCH];
  if (!accepted.includes(type)) {
    throw unsupportedMedia(
      `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
    );
  }
  const body = readBody(request);
  if (type === JSON_PATCH) return (current) => jsonPatch(current, body);
  if (type === MERGE_PATCH) return (current) => mergePatch(current, body);
  return (current) => strategicPatch(current, body, served.shape);
}

function patch({ store }: Desk, target: Target, request: WireRequest): Answer {
  const { served, namespace, name } = target;
  if (name === undefined) throw methodNotAllowed();
  const options = writeOptions(target, request);
  const before = store.find(served, namespace, name);
  if (mediaType(request.headers) === APPLY_PATCH) {
    const manager = request.query.get('fieldManager');
    if (!manager) throw invalid(optionsOf('patch'), '', [required('fieldManager', 'is required for apply patch')]);
    const manifest = readApply(target, request);
    const force = isTrue(request.query, 'force');
    const { object, created } = applyManifest(store, target, manifest, { ...options, manager, force });
    return written(store, served, request, object, created ? undefined : before);
  }
  if (isTrue(request.query, 'force'))
    throw invalid(optionsOf('patch'), '', [forbiddenValue('force', 'may not be specified for non-apply patch')]);
  const change = patcher(served, request);
  const object = store.replace(
    served,
    namespace,
    name,
    (current) => checkedPatch(target, current, change(current)),
    options,
  );
  return written(store, served, request, object, before);
}

/** Names what a patch may not change; its result must still be the same object. */
function checkedPatch(target: Target, current: TwinObject, patched: Json): TwinObject {
  if (!isMap(patched) || !isMap(patched['metadata'])) throw badRequest('the patch does not leave an object');
  const object = patched as TwinObject;
  checkBody(target, {
    ...object,
    apiVersion: object.apiVersion ?? current.apiVersion,
    kind: object.kind ?? current.kind,
  });
  return object;
}

function readApply(target: Target, request: WireRequest): TwinObject {
  const manifest = readObject({ ...request, headers: { ...request.headers, 'content-type': 'application/yaml' } });
  if (manifest.apiVersion !== target.served.apiVersion || manifest.kind !== target.served.kind) {
    throw badRequest(
      `the manifest is a ${manifest.kind} of ${manifest.apiVersion}, not a ${target.served.kind} of ${target.served.apiVersion}`,
    );
  }
  checkBody(target, manifest);
  return manifest;
}

// Deleting

function deleteOptions(request: WireRequest): DeleteOptions {
  const { query } = request;
  const body = request.body.length > 0 ? readBody(request) : {};
  const propagation = body.propagationPolicy ?? query.get('propagationPolicy') ?? undefined;
  const orphan =
    body.orphanDependents ?? (query.has('orphanDependents') ? isTrue(query, 'orphanDependents') : undefined);
  if (propagation !== undefined && !['Foreground', 'Background', 'Orphan'].includes(propagation)) {
    throw invalid(optionsOf('delete'), '', [
      notSupported('propagationPolicy', propagation, ['Foreground', 'Background', 'Orphan', 'nil']),
    ]);
  }
  const { uid, resourceVersion } = body.preconditions ?? {};
  const grace = body.gracePeriodSeconds ?? query.get('gracePeriodSeconds') ?? undefined;
  return {
    dryRun: isDry(query, 'delete') || (body.dryRun ?? []).includes('All'),
    ...(grace !== undefined && { gracePeriodSeconds: Number(grace) }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
    ...(propagation !== undefined && { propagation }),
    ...(propagation === undefined &&
      orphan !== undefined && { propagation: orphan ? ('Orphan' as const) : ('Background' as const) }),
  };
}

/** Kinds whose deletion answers with the object rather than with a Status. */
const SHOWN_WHEN_DELETED = new Set([
  '/namespaces',
  '/persistentvolumes',
  '/persistentvolumeclaims',
  '/pods',
  '/podtemplates',
  '/resourcequotas',
  '/services',
  '/serviceaccounts',
  'policy/podsecuritypolicies',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/csinodes',
  'storage.k8s.io/storageclasses',
  'storage.k8s.io/volumeattachments',
  'storage.k8s.io/volumeattributesclasses',
]);

const showsDeleted = (store: Store, served: Served): boolean =>
  SHOWN_WHEN_DELETED.has(served.stored.key) && (served.stored.key !== '/services' || store.minor >= 22);

function remove({ store }: Desk, { served, namespace, name }: Target, request: WireRequest): Answer {
  const { object, gone } = store.delete(served, namespace, name!, deleteOptions(request));
  if (!gone || showsDeleted(store, served)) return show(store, served, request, object);
  const { group, resource } = served;
  const details = { name, ...(group && { group }), kind: resource, uid: object.metadata.uid };
  return answer({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
}

function removeAll({ store }: Desk, { served, namespace }: Target, request: WireRequest): Answer {
  const options = deleteOptions(request);
  const match = matchOf(served, request.query);
  const chosen = store.list(served, namespace).filter((object) => !match || match(object));
  const items = chosen.map(({ metadata }) => store.delete(served, metadata.namespace, metadata.name, options).object);
  return answerList(served, items, { resourceVersion: String(store.revision) });
}

// Scale

function handleScale({ store }: Desk, target: Target, request: WireRequest): Answer {
  const { served, namespace, name, verb } = target;
  const current = store.get(served, namespace, name!);
  if (verb === 'get') return answer(readScale(served, current));
  const options = writeOptions(target, request);
  const wanted = (scale: Json): Json => {
    if (verb === 'update') return readObject(request);
    return verb === 'patch' ? patcher(scaleOf(served), request)(scale) : undefined;
  };
  const object = store.replace(
    served,
    namespace,
    name!,
    (live) => writeScale(served, live, wanted(cloneJson(readScale(served, live)))),
    options,
  );
  return answer(readScale(served, object));
}

/** Scales merge like any plain object. */
const scaleOf = (served: Served): Served => ({ ...served, shape: {}, stored: { ...served.stored, custom: false } });
