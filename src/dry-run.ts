import { nameOf as leftName } from './apps.js';
import { arriving, isBrought, type Passage } from './arriving.js';
import { commonVersions } from './convert.js';
import { MigrateError } from './errors.js';
import { passageFor } from './inert.js';
import type { DryRun, DryRunAnswer, Inventory } from './inventory.js';
import { about, canonical, kindOf, pathOf } from './objects.js';
import type { Playbook } from './playbook.js';
import type { Cluster, DryRunReply, Kind, KubeObject, Right, World } from './ports.js';
import { hideIn, kept } from './redact.js';
import { inTurns } from './turns.js';

/**
 * Puts every object that will move to the target's API server, as it will arrive, and keeps what that said. The server goes through
 * all that it does for a create but the last step, so schema, validation, quota, policies and webhooks have their say, and nothing is
 * made. Objects are read afresh from the source, because an inventory holds no values; what comes back is cleared of them again.
 *
 * @source https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
 */
export async function dryRunOn(
  world: Pick<World, 'source' | 'target'>,
  playbook: Playbook,
  inventory: Inventory,
): Promise<DryRun> {
  const { data } = playbook;
  if (!data) return { answers: [], lacks: [] };
  const passage: Passage = passageFor(playbook, inventory);
  const left = new Set(data.leaveOut.map((it) => it.toLowerCase()));
  const missing = missingNamespaces(data.namespaces, inventory);
  const desk = deskOn(world.target, inventory, missing);
  const answers: DryRunAnswer[] = [];
  for (const namespace of missing) {
    const it = inventory.source.objects['Namespace']?.find((one) => one.metadata.name === namespace);
    if (it)
      answers.push(
        ...(await desk.put([
          {
            raw: it,
            object: {
              apiVersion: 'v1',
              kind: 'Namespace',
              metadata: { name: namespace, labels: it.metadata.labels ?? {} },
            },
          },
        ])),
      );
  }
  const put = async (all: readonly KubeObject[]) =>
    desk.put(
      all.flatMap((raw) => {
        // What stays behind need not be taken.
        if (left.has(leftName(kindOf(raw), pathOf(raw.metadata)))) return [];
        const object = arriving(raw, passage);
        return object ? [{ raw, object }] : [];
      }),
    );
  for (const { kind, namespace, names } of moves(data.namespaces, inventory)) {
    try {
      const [first, ...others] = names;
      const isPart = inventory.source.partly?.includes(kind) ?? false;
      if (first !== undefined && (isPart || others.length >= SOME)) {
        // Where the right to make such objects lacks, the rest need not even be read.
        const lacking = desk.lacks().length;
        const [answer] = await put(present(await world.source.get({ kind, namespace, name: first })));
        if (answer?.answer === 'unknown' && desk.lacks().length > lacking) {
          answers.push({ ...answer, about: `${answer.about} and ${isPart ? 'the rest' : `${others.length} more`}` });
          continue;
        }
      }
      const all = isPart ? await namesOf(world.source, kind, namespace) : names;
      if (all.length <= MANY) answers.push(...(await put(await world.source.list(kind, { namespace }))));
      else
        answers.push(
          ...(
            await inTurns(AT_A_TIME, all, async (name) =>
              put(present(await world.source.get({ kind, namespace, name }))),
            )
          ).flat(),
        );
    } catch (error) {
      if (!(error instanceof MigrateError) || error.code === 'KUBE_UNAUTHORIZED') throw error;
      answers.push({
        about: `${kind} in ${namespace}`,
        apiVersion: '',
        answer: 'unknown',
        why: error.what,
        warnings: [],
      });
    }
  }
  return { answers: answers.sort((a, b) => (a.about < b.about ? -1 : 1)), lacks: desk.lacks() };
}

/** So many that it pays to ask about one of them first. */
const SOME = 20;
/** More than so many objects of one kind in one namespace are not held at once, but read one by one. */
const MANY = 500;

const present = (it: KubeObject | undefined) => (it ? [it] : []);

/** Where the inventory has no more than some of them. */
async function namesOf(source: Cluster, kind: Kind, namespace: string): Promise<string[]> {
  const names: string[] = [];
  await source.each(kind, { namespace }, ({ metadata }) => void names.push(metadata.name));
  return names;
}

/** Kinds and namespaces that hold something; what could not be listed for the inventory is tried again, and then says why. */
function moves(
  namespaces: readonly string[],
  inventory: Inventory,
): { kind: Kind; namespace: string; names: string[] }[] {
  const { objects, unseen, served } = inventory.source;
  const unread = unseen
    .map((it) => it.kind)
    .filter((kind) =>
      served.some(
        (it) => it.namespaced && it.verbs.includes('list') && (it.group ? `${it.kind}.${it.group}` : it.kind) === kind,
      ),
    );
  return [...new Set([...Object.keys(objects), ...unread])]
    .filter((kind) => isBrought(kind, inventory))
    .sort()
    .flatMap((kind) =>
      namespaces.map((namespace) => ({
        kind,
        namespace,
        names: (objects[kind] ?? []).filter((it) => it.metadata.namespace === namespace).map((it) => it.metadata.name),
      })),
    )
    .filter(({ kind, names }) => names.length > 0 || unread.includes(kind));
}

const missingNamespaces = (namespaces: readonly string[], { target }: Inventory): string[] => {
  const there = target.objects['Namespace']?.map((it) => it.metadata.name);
  return there ? namespaces.filter((it) => !there.includes(it)) : [];
};

/** In place of a namespace that is still to come; each cluster has it. */
const STAND_IN = 'default';
const AT_A_TIME = 16;

interface Put {
  raw: KubeObject;
  object: KubeObject;
}

/** Where objects are put to one server, and the rights for that are asked about once. */
function deskOn(target: Cluster, inventory: Inventory, known: readonly string[]) {
  const missing = new Set(known);
  const asked = new Map<string, Promise<boolean>>();
  const lacks = new Map<string, Right>();

  const may = async (right: Right): Promise<boolean> => {
    const key = canonical(right);
    let answer = asked.get(key);
    if (!answer) asked.set(key, (answer = target.can([right]).then((all) => all[0]?.allowed === true)));
    const allowed = await answer;
    if (!allowed) lacks.set(key, right);
    return allowed;
  };

  const put = async ({ raw, object: own }: Put): Promise<DryRunAnswer> => {
    const { namespace } = own.metadata;
    const isMissing = namespace !== undefined && missing.has(namespace);
    const object = isMissing ? { ...own, metadata: { ...own.metadata, namespace: STAND_IN } } : own;
    const head = { about: nameOf(raw), apiVersion: object.apiVersion, ...(isMissing && { standIn: STAND_IN }) };
    const resource = resourceOf(object, inventory);
    if (resource === undefined)
      return {
        ...head,
        answer: 'refused',
        status: 404,
        why: `the target does not serve ${object.kind} in ${object.apiVersion}`,
        warnings: [],
      };
    const create = {
      verb: 'create',
      ...resource,
      ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }),
    };
    if (!(await may(create)))
      return { ...head, answer: 'unknown', why: `it needs the right to ${words(create)} on the target`, warnings: [] };
    const reply = await ask(object, isConverted(raw, inventory));
    if (reply.status === 404 && namespace !== undefined && !isMissing) {
      // Namespaces could not be listed, and this one is not there.
      missing.add(namespace);
      return put({ raw, object: own });
    }
    return { ...head, ...(await judged(reply, object, raw)) };
  };

  /**
   * Fields that the server does not know: a restore loses them and goes on, so they are a warning; in what we write ourselves they
   * are refused.
   */
  const ask = async (object: KubeObject, converted: boolean): Promise<DryRunReply> => {
    const strict = await target.dryRun(object, 'strict');
    return strict.status === 400 && !converted ? target.dryRun(object, 'warn') : strict;
  };

  const judged = async (
    { status, message, warnings }: DryRunReply,
    object: KubeObject,
    raw: KubeObject,
  ): Promise<Pick<DryRunAnswer, 'answer' | 'why' | 'status' | 'warnings'>> => {
    const clear = (text: string) => cleared(text, raw);
    const told = { warnings: warnings.map(clear) };
    // One of that name is there. The server looks for it last of all, when everything else was passed.
    // @source kubernetes/kubernetes:staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go (Create), dryrun.go
    if (status < 300 || status === 409) return { answer: 'taken', ...told };
    const why = clear(message) || `HTTP ${status}`;
    if (isSideEffects(status, message)) return { answer: 'unknown', why, status, ...told };
    if (status === 404 || status === 408 || status === 504) return { answer: 'unknown', why, status, ...told };
    const needed = status === 403 ? grants(object) : undefined;
    if (needed && !(await may(needed)))
      return { answer: 'unknown', why: `it needs the right to ${words(needed)} on the target`, status, ...told };
    return { answer: 'refused', why, status, ...told };
  };

  return {
    put: (all: readonly Put[]) =>
      inTurns(AT_A_TIME, all, (it) => put(it).catch((error: unknown) => unreached(it.raw, it.object, error))),
    lacks: () => [...lacks.values()],
  };
}

function unreached(raw: KubeObject, { apiVersion }: KubeObject, error: unknown): DryRunAnswer {
  if (!(error instanceof MigrateError) || error.code === 'KUBE_UNAUTHORIZED') throw error;
  return { about: nameOf(raw), apiVersion, answer: 'unknown', why: error.what, warnings: [] };
}

/** As the checks name objects. */
const nameOf = (object: KubeObject): string =>
  about(object.kind === 'PersistentVolumeClaim' ? 'pvc' : kindOf(object), object.metadata);

/** The server has no other word for it than this one. @source kubernetes/kubernetes:staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go (NewDryRunUnsupportedErr) */
const isSideEffects = (status: number, message: string) =>
  status === 400 && message.includes('does not support dry run');

/** Nobody may hand out rights that he has not; the restore's identity may have them. @source kubernetes/kubernetes:pkg/registry/rbac/escalation_check.go */
function grants({ apiVersion, kind, metadata }: KubeObject): Right | undefined {
  if (!apiVersion.startsWith('rbac.authorization.k8s.io/')) return undefined;
  const [verb, resource] = kind.endsWith('Binding') ? ['bind', 'roles'] : ['escalate', 'roles'];
  return {
    verb,
    group: 'rbac.authorization.k8s.io',
    resource,
    ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
  };
}

const isConverted = (raw: KubeObject, { source, target }: Inventory) =>
  commonVersions(kindOf(raw), source, target).length === 0;

function resourceOf(object: KubeObject, { target }: Inventory): Pick<Right, 'group' | 'resource'> | undefined {
  const found = target.served.find(
    (it) => it.kind === object.kind && (it.group ? `${it.group}/${it.version}` : it.version) === object.apiVersion,
  );
  return found && { group: found.group, resource: found.resource };
}

export const words = ({ verb, group, resource, namespace }: Right) =>
  `${verb} ${resource}${group && `.${group}`}${namespace === undefined ? '' : ` in ${namespace}`}`;

/** A server quotes values that it does not like; what an inventory must not hold of the object is taken out of them. */
function cleared(text: string, raw: KubeObject): string {
  const may = new Set(texts(kept(raw)));
  const hidden = texts(raw)
    .filter((it) => it.length > 3 && !may.has(it))
    .sort((a, b) => b.length - a.length);
  return hideIn(hidden.reduce((all, it) => all.replaceAll(it, '(hidden)'), text)).slice(0, 500);
}

function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object') return [];
  return Object.values(value).flatMap(texts);
}
