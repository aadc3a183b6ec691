import { nameOf, neededOfCluster, travelling } from './apps.js';
import type { Passing } from './args.js';
import { arrival, passageIn, type Passage } from './arriving.js';
import { REASONS, reasonOf, type Reason } from './causes.js';
import { routeOf } from './convert.js';
import { MigrateError } from './errors.js';
import { passageFor, pulledBy } from './inert.js';
import type { Inventory } from './inventory.js';
import { changesOf, type FieldChange } from './modifiers.js';
import { pathOf, splitKind } from './objects.js';
import { allObjects, type One } from './passing.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { Cluster, DryRunReply, Kind, KubeObject, World } from './ports.js';
import { hideIn, kept } from './redact.js';
import { parsedManifests, renderedFor } from './rendered.js';
import { inTurns } from './turns.js';

/**
 * What will happen to each object, before anything moves: every one is read afresh, changed by the same rules and conversions as the move,
 * and put to the target's server by a create that keeps nothing.
 */
export interface Preview {
  rows: PreviewRow[];
  /** of each action */
  counts: Record<Action, number>;
}

/**
 * `create` as it is; `change`: created with some fields changed; `skip`: it is there and equal, or it stays behind; `refuse`: it would not
 * arrive; `unknown`: the server could not be asked.
 */
export type Action = 'create' | 'change' | 'skip' | 'refuse' | 'unknown';

export interface PreviewRow {
  /** `deployment shop/web` */
  about: string;
  kind: Kind;
  /** apiVersion in which it arrives */
  to?: string;
  action: Action;
  /** which fields change, and by which rule or conversion */
  changes?: FieldChange[];
  /** one word for why it is skipped, refused or not known */
  reason?: Reason | 'equal' | 'left-out';
  /** in the words of the server, or ours */
  why?: string;
}

const AT_A_TIME = 16;

/** @throws MigrateError KUBE_UNREACHABLE, KUBE_UNAUTHORIZED */
export async function previewOf(
  world: Pick<World, 'source' | 'target' | 'manifests'>,
  playbook: Playbook,
  inventory: Inventory,
): Promise<Preview> {
  const { data } = playbook;
  if (!data) return { rows: [], counts: countsOf([]) };
  const passage = passageFor(playbook, inventory);
  if (data.manifests !== undefined) return previewOfManifests(world, data, { passage, inventory });
  const { passing, lost } = travelling(data, inventory);
  const needed = neededOfCluster(playbook, inventory).steps.flatMap((it) => it.passing);
  const desk = await deskFor(world.target, data, inventory);
  const rows: PreviewRow[] = lost.flatMap(({ kind, objects }) =>
    objects.map((path): PreviewRow => ({
      about: nameOf(kind, path),
      kind,
      action: 'refuse',
      reason: 'api-not-served',
      why: `the target does not serve ${kind}, and nothing takes its place`,
    })),
  );
  for (const path of data.leaveOut)
    rows.push({
      about: path,
      kind: path.split(' ')[0] ?? '',
      action: 'skip',
      reason: 'left-out',
      why: 'named under data.leaveOut',
    });
  rows.push(...policiesLost(inventory));
  for (const one of [...needed, ...passing]) {
    const objects = await read(world.source, one, data);
    rows.push(
      ...(await inTurns(AT_A_TIME, allObjects([one]), async (it) => desk(it, objects.get(pathOf(it.ref)), passage))),
    );
  }
  rows.sort((a, b) => (a.about < b.about ? -1 : 1));
  return { rows, counts: countsOf(rows) };
}

/** The same for files in the place of the source's objects. @throws MigrateError MANIFESTS_INVALID */
async function previewOfManifests(
  { target, manifests }: Pick<World, 'target' | 'manifests'>,
  data: PlaybookData,
  { passage, inventory }: { passage: Passage; inventory: Inventory },
): Promise<Preview> {
  const from = data.manifests ?? '';
  const desk = await deskFor(target, data, inventory);
  const all = renderedFor(
    parsedManifests(manifests(from), from),
    data.namespaces,
    passage.rules,
    inventory.target.served,
  );
  const rows = await inTurns(AT_A_TIME, all, ({ it, original }) => desk(it, original, { ...passage, values: 'whole' }));
  rows.sort((a, b) => (a.about < b.about ? -1 : 1));
  return { rows, counts: countsOf(rows) };
}

const countsOf = (rows: readonly PreviewRow[]): Preview['counts'] => {
  const counts: Preview['counts'] = { create: 0, change: 0, skip: 0, refuse: 0, unknown: 0 };
  for (const { action } of rows) counts[action]++;
  return counts;
};

/** A policy that newer servers no longer have says nothing about pods any more: that is told, for nothing takes its place by itself. */
const policiesLost = ({ source, target }: Inventory): PreviewRow[] =>
  (['PodSecurityPolicy.policy', 'PodSecurityPolicy.extensions'] as const).flatMap((kind) =>
    routeOf(kind, source, target)
      ? []
      : (source.objects[kind] ?? []).map((it): PreviewRow => ({
          about: nameOf(kind, it.metadata.name),
          kind,
          action: 'refuse',
          reason: 'api-not-served',
          why: 'the target has no PodSecurityPolicy: label its namespaces with pod-security.kubernetes.io/enforce instead',
        })),
  );

async function read(
  source: Cluster,
  { kind, from }: Passing,
  { namespaces }: PlaybookData,
): Promise<Map<string, KubeObject>> {
  const version = from === undefined ? {} : { version: from.slice(from.indexOf('/') + 1) };
  const { kinds } = await source.served();
  const { kind: word, group } = splitKind(kind);
  const isNamespaced = kinds.find((it) => it.kind === word && it.group === group)?.namespaced ?? true;
  const lists = isNamespaced
    ? await Promise.all(namespaces.map((namespace) => source.list(kind, { namespace, ...version })))
    : [await source.list(kind, version)];
  return new Map(lists.flat().map((it) => [pathOf(it.metadata), it]));
}

/** In place of a namespace that is still to come; each cluster has it. */
const STAND_IN = 'default';

type Desk = (it: One, original: KubeObject | undefined, passage: Passage) => Promise<PreviewRow>;

/** Where objects are put to the target. Definitions that come with the move are not there yet: their objects are only counted. */
async function deskFor(target: Cluster, data: PlaybookData, inventory: Inventory): Promise<Desk> {
  const missing = new Set<string>();
  const ending = new Set<string>();
  for (const name of data.namespaces) {
    const found = await target.get({ kind: 'Namespace', name });
    if (!found) missing.add(name);
    else if (found.metadata.deletionTimestamp) ending.add(name);
  }
  const classes = new Set(
    (inventory.target.objects['StorageClass.storage.k8s.io'] ?? []).map((it) => it.metadata.name),
  );

  return async (it, original, passage) => {
    const { namespace } = it.ref;
    const head = { about: nameOf(it.ref.kind, pathOf(it.ref)), kind: it.ref.kind, to: it.to };
    if (!original)
      return { ...head, action: 'unknown', reason: 'other', why: 'it is gone from the source since the look' };
    const { object, changes, failed } = arrival(original, passage) ?? passageIn(original, it, passage);
    const shown = changes.map(({ path, by, ...values }) => ({ path, ...hidden(values, original), by }));
    const refuse = (reason: Reason, why: string): PreviewRow => ({
      ...head,
      action: 'refuse',
      reason,
      why: hideIn(why).slice(0, 400),
    });
    if (failed[0]) return refuse('rule', `${failed[0].rule}: ${failed[0].why}`);
    if (namespace !== undefined && ending.has(namespace))
      return refuse('namespace-ending', `namespace ${namespace} on the target is being deleted`);
    const own = ownRefusal(object, data, classes);
    if (own) return refuse(...own);
    const there = namespace !== undefined && missing.has(namespace) ? undefined : await orAbsent(target.get(it.ref));
    if (there) return { ...head, ...standing(there, passageIn(original, it, { ...passage, values: 'whole' }).object) };
    const put =
      namespace !== undefined && missing.has(namespace)
        ? { ...object, metadata: { ...object.metadata, namespace: STAND_IN } }
        : object;
    const reply = await target
      .dryRun(put, original.apiVersion === it.to ? 'warn' : 'strict')
      .catch((error: unknown) => {
        if (error instanceof MigrateError && error.code === 'KUBE_NOT_SERVED') return undefined;
        throw error;
      });
    if (!reply) return { ...head, action: 'create', why: 'its definition comes with the move' };
    const said = judged(reply, put);
    if (said) return { ...head, ...said, why: cleared(said.why, original) };
    return { ...head, action: shown.length > 0 ? 'change' : 'create', ...(shown.length > 0 && { changes: shown }) };
  };
}

const orAbsent = (asked: Promise<KubeObject | undefined>) =>
  asked.catch((error: unknown) => {
    if (error instanceof MigrateError && error.code === 'KUBE_NOT_SERVED') return undefined;
    throw error;
  });

/** What a server says yes to, and what does not run for all that. */
function ownRefusal(
  object: KubeObject,
  { registries }: PlaybookData,
  classes: ReadonlySet<string>,
): [Reason, string] | undefined {
  if (object.kind === 'PersistentVolumeClaim') {
    const named: unknown = object['spec']?.storageClassName;
    if (typeof named === 'string' && named !== '' && !classes.has(named))
      return ['storage-class', `the target has no storage class ${named}; map it under data.storageClasses`];
  }
  const far =
    registries &&
    pulledBy(object).find((image) => !registries.some((it) => image.startsWith(it.endsWith('/') ? it : `${it}/`)));
  if (far !== undefined)
    return ['image-registry', `image ${far} is of none of data.registries; map it under data.images`];
  return undefined;
}

function standing(there: KubeObject, object: KubeObject): Pick<PreviewRow, 'action' | 'reason' | 'why'> {
  const missed = lackingIn(object, there);
  if (missed.length === 0) return { action: 'skip', reason: 'equal', why: 'the target has it, and it says the same' };
  return {
    action: 'refuse',
    reason: 'existing-object',
    why: `the target has one of that name, which differs in ${missed.slice(0, 5).join(', ')}${missed.length > 5 ? ', …' : ''}`,
  };
}

/** Fields of `wanted` that `live` says otherwise; what a server adds of its own does not count. */
export function lackingIn(wanted: KubeObject, live: KubeObject): string[] {
  return changesOf(wanted, live)
    .filter((it) => it.from !== undefined && !/^metadata\.(?:managedFields|annotations\.\[kubectl)/.test(it.path))
    .flatMap((it) => (isSubset(it.from, it.to) ? [] : [it.path]));
}

/** Lists of one length are compared one by one, maps by the keys that are wanted; null and empty are as good as absent. */
function isSubset(wanted: unknown, live: unknown): boolean {
  if (wanted === undefined || wanted === null) return true;
  if (Array.isArray(wanted)) {
    if (wanted.length === 0 && live === undefined) return true;
    return (
      Array.isArray(live) && live.length === wanted.length && wanted.every((it, index) => isSubset(it, live[index]))
    );
  }
  if (typeof wanted === 'object') {
    if (live === undefined) return Object.values(wanted).every((it) => isSubset(it, undefined));
    if (live === null || typeof live !== 'object') return false;
    return Object.entries(wanted).every(([key, it]) => isSubset(it, (live as Record<string, unknown>)[key]));
  }
  return wanted === live;
}

function judged(
  { status, message }: DryRunReply,
  object: KubeObject,
): { action: Action; reason: Reason; why: string } | undefined {
  if (status < 300 || status === 409) return undefined;
  const why = message || `HTTP ${status}`;
  if (status === 400 && message.includes('does not support dry run'))
    return {
      action: 'unknown',
      reason: 'other',
      why: `a webhook of the target can't be asked about it beforehand: ${why}`,
    };
  if (status === 408 || status === 504) return { action: 'unknown', reason: 'other', why };
  // Nobody may hand out rights that he has not; Velero's identity has them.
  const isRole = object.apiVersion.startsWith('rbac.authorization.k8s.io/');
  const reason = reasonOf(status, why);
  if (status === 403 && (isRole || reason === 'rights')) return { action: 'unknown', reason: 'rights', why };
  return { action: 'refuse', reason, why };
}

/** Values that an inventory must not hold are not shown either. */
function hidden(values: Pick<FieldChange, 'from' | 'to'>, original: KubeObject): Pick<FieldChange, 'from' | 'to'> {
  const clear = (value: unknown): unknown => {
    const wrapped = kept({ ...original, metadata: { name: '' }, spec: value });
    return original.kind === 'Secret' ? '(hidden)' : wrapped.spec;
  };
  return {
    ...('from' in values && { from: clear(values.from) }),
    ...('to' in values && { to: clear(values.to) }),
  };
}

const cleared = (text: string, original: KubeObject): string =>
  hideIn(original.kind === 'Secret' ? text.replaceAll(/"[^"]{4,}"/g, '"(hidden)"') : text).slice(0, 400);

/** The largest reasons first, for a line: `3 quota, 1 node-port`. */
export function reasonsIn(preview: Preview): string {
  const refused = preview.rows.filter((it) => it.action === 'refuse');
  return REASONS.map((reason) => ({ reason, count: refused.filter((it) => it.reason === reason).length }))
    .filter((it) => it.count > 0)
    .sort((a, b) => b.count - a.count)
    .map((it) => `${it.count} ${it.reason}`)
    .join(', ');
}
