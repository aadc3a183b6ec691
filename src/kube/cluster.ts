import { isMigrateError, MigrateError } from '../errors.js';
import { splitKind } from '../objects.js';
import type { Cluster, Kind, KubeObject, ObjectRef, RightAnswer, ServedKind } from '../ports.js';
import { statusOf, type Connection } from './connection.js';
import { discover, type Discovery } from './discovery.js';
import { cutItems } from './page.js';

/** Objects of a page: of the first, of which nobody knows yet what they weigh, and of any. */
const FIRST_PAGE = 100;
const PAGE = 500;
/** What a page is meant to weigh: both sides hold it whole, and a server holds as many as it has callers. */
const PAGE_BYTES = 2_000_000;
const fitting = (objectBytes: number) => Math.max(20, Math.min(PAGE, Math.floor(PAGE_BYTES / objectBytes)));
const MERGE = 'application/merge-patch+json';
const METADATA = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';
const APPLY = 'application/apply-patch+yaml';

/** The Cluster port over one API server: every kind by discovery, no typed classes, so that a kind is as good as its API. */
export function clusterOver(connection: Connection): Cluster {
  const { side } = connection;
  let discovered: Promise<Discovery> | undefined;

  // Kept while it holds; one that failed must not be remembered for good.
  const discovery = (): Promise<Discovery> =>
    (discovered ??= discover(connection).catch((error: unknown) => {
      discovered = undefined;
      throw error;
    }));

  /** The served version of a kind that this server prefers, or the one that was asked for. */
  const find = async (kind: Kind, version?: string): Promise<ServedKind> => {
    const { kind: word, group } = splitKind(kind);
    const matching = async () =>
      (await discovery()).kinds.filter(
        (it) => it.kind === word && it.group === group && (version === undefined || it.version === version),
      );
    let found = await matching();
    if (found.length === 0) {
      // A CRD may have come since; asked once more before it counts as not served.
      discovered = undefined;
      found = await matching();
    }
    const served = found.find((it) => it.preferred) ?? found[0];
    if (served) return served;
    const failed = (await discovery()).failed.find((it) => it.groupVersion.startsWith(`${group}/`));
    throw new MigrateError(failed ? 'KUBE_UNREACHABLE' : 'KUBE_NOT_SERVED', {
      what: `The ${side} does not serve ${word}${group && ` of ${group}`}${version === undefined ? '' : ` in ${version}`}.`,
      why: failed
        ? `Its discovery of ${failed.groupVersion} fails: ${failed.why}`
        : 'Its CRD is not installed, or its API was removed in that version.',
      fix: failed ? 'Mend the APIService behind it.' : 'Install what brings it, or leave it out of the playbook.',
    });
  };

  const urlOf = (served: ServedKind, namespace: string | undefined, name?: string) => {
    const root = served.group === '' ? '/api/v1' : `/apis/${served.group}/${served.version}`;
    const inside = served.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
    return `${root}${inside}/${served.resource}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
  };
  const pathOf = async (ref: ObjectRef & { version?: string }) =>
    urlOf(await find(ref.kind, ref.version), ref.namespace, ref.name);

  /** Pages of long lists come one by one: several at once are no faster, for the server makes them on few cores, and each is held whole. */
  let turn: Promise<unknown> = Promise.resolve();
  const oneByOne = <T>(act: () => Promise<T>): Promise<T> => {
    const mine = turn.then(act);
    turn = mine.catch(() => undefined);
    return mine;
  };

  const cluster: Cluster = {
    side,

    async identify() {
      const [version, system] = (await Promise.all([
        connection.request({ method: 'GET', path: '/version' }),
        connection.request({ method: 'GET', path: '/api/v1/namespaces/kube-system' }),
      ])) as [{ gitVersion: string }, KubeObject];
      return { uid: system.metadata.uid ?? '', version: version.gitVersion, server: connection.server };
    },

    served: discovery,

    async list(kind, options) {
      // By path: a list that had to begin anew gives objects again.
      const items = new Map<string, KubeObject>();
      await cluster.each(
        kind,
        options ?? {},
        (it) => void items.set(`${it.metadata.namespace ?? ''}/${it.metadata.name}`, it),
      );
      return [...items.values()];
    },

    async each(kind, { namespace, labels, only, version }, take) {
      const served = await find(kind, version);
      // Items of a list come without their own apiVersion and kind.
      const apiVersion = served.group === '' ? served.version : `${served.group}/${served.version}`;
      const read = async (more: string | undefined, limit: number) => {
        const query = new URLSearchParams({
          limit: String(limit),
          ...(labels !== undefined && { labelSelector: labels }),
          ...(more !== undefined && { continue: more }),
        });
        let [count, size] = [0, 0];
        const cut = (body: Buffer) =>
          cutItems<KubeObject>(body, (it, bytes) => {
            count++;
            size += bytes;
            take({ ...it, apiVersion, kind: served.kind }, bytes);
          });
        const { metadata } = (await connection.request({
          method: 'GET',
          path: `${urlOf(served, namespace)}?${query.toString()}`,
          cut,
          ...(only === 'metadata' && { accept: METADATA }),
        })) as { metadata?: { continue?: string } };
        return { next: metadata?.continue || undefined, limit: count === 0 ? limit : fitting(size / count) };
      };
      for (let attempt = 0; ; attempt++) {
        try {
          let page = await read(undefined, FIRST_PAGE);
          while (page.next !== undefined) page = await oneByOne(() => read(page.next, page.limit));
          return;
        } catch (error) {
          // The server has forgotten the moment of the first page: from the beginning, in which the first pages come again.
          if (!isMigrateError(error, 'KUBE_EXPIRED') || attempt >= 2) throw error;
        }
      }
    },

    async get(ref) {
      try {
        return (await connection.request({ method: 'GET', path: await pathOf(ref) })) as KubeObject;
      } catch (error) {
        if (isMigrateError(error, 'KUBE_NOT_FOUND')) return undefined;
        throw error;
      }
    },

    async create(object) {
      const served = await find(kindIn(object), versionIn(object));
      const path = urlOf(served, object.metadata.namespace);
      try {
        return (await connection.request({ method: 'POST', path, body: object, repeatable: false })) as KubeObject;
      } catch (error) {
        // A lost reply: whether it was made is asked, not guessed.
        if (!(error instanceof MigrateError) || !error.unsure) throw error;
        const made = await cluster.get({
          kind: kindIn(object),
          name: object.metadata.name,
          ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }),
        });
        return (
          made ?? ((await connection.request({ method: 'POST', path, body: object, repeatable: false })) as KubeObject)
        );
      }
    },

    async patch(ref, patch) {
      return (await connection.request({
        method: 'PATCH',
        path: `${await pathOf(ref)}${ref.subresource === undefined ? '' : `/${ref.subresource}`}?fieldManager=migrate`,
        body: patch,
        contentType: MERGE,
      })) as KubeObject;
    },

    async apply(object) {
      const served = await find(kindIn(object), versionIn(object));
      const path = `${urlOf(served, object.metadata.namespace, object.metadata.name)}?fieldManager=migrate&force=true`;
      return (await connection.request({ method: 'PATCH', path, body: object, contentType: APPLY })) as KubeObject;
    },

    async delete(ref, { uid, propagation } = {}) {
      const body = {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        ...(uid !== undefined && { preconditions: { uid } }),
        ...(propagation && { propagationPolicy: propagation }),
      };
      for (let attempt = 0; ; attempt++) {
        try {
          await connection.request({ method: 'DELETE', path: await pathOf(ref), body });
          return;
        } catch (error) {
          if (isMigrateError(error, 'KUBE_NOT_FOUND')) return;
          if (!isMigrateError(error, 'KUBE_CONFLICT') || attempt >= 5) throw error;
          // Another uid: the one that we meant is gone, and its namesake is not ours.
          const now = await cluster.get(ref);
          if (!now || (uid !== undefined && now.metadata.uid !== uid)) return;
        }
      }
    },

    can: (rights) =>
      Promise.all(
        rights.map(async (right): Promise<RightAnswer> => {
          const body = {
            apiVersion: 'authorization.k8s.io/v1',
            kind: 'SelfSubjectAccessReview',
            spec: { resourceAttributes: right },
          };
          const reply = (await connection.request({
            method: 'POST',
            path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
            body,
            asks: true,
          })) as KubeObject;
          return { ...right, allowed: reply['status']?.allowed === true };
        }),
      ),

    async dryRun(object, fields) {
      const served = await find(kindIn(object), versionIn(object));
      const query = `dryRun=All&fieldValidation=${fields === 'strict' ? 'Strict' : 'Warn'}`;
      const { status, body, warnings } = await connection.exchange({
        method: 'POST',
        path: `${urlOf(served, object.metadata.namespace)}?${query}`,
        body: object,
        asks: true,
      });
      return { status, warnings, ...(status < 400 ? { reason: '', message: '' } : statusOf(body)) };
    },

    async lines(path, wanted) {
      const { status, body } = await connection.exchange({ method: 'GET', path, accept: 'text/plain', wanted });
      if (status < 400) return body === '' ? [] : body.split('\n');
      throw new MigrateError(status === 403 ? 'KUBE_FORBIDDEN' : status === 404 ? 'KUBE_NOT_FOUND' : 'KUBE_FAILED', {
        what: `GET ${path} on the ${side}: ${statusOf(body).message || `HTTP ${status}`}.`.replace(/\.\.$/, '.'),
        why: 'The identity of this context may not read it, or something before the API server keeps it back.',
        fix: `Grant \`get\` on the nonResourceURL ${path}.`,
      });
    },
  };
  return cluster;
}

const kindIn = ({ apiVersion, kind }: KubeObject): Kind =>
  apiVersion.includes('/') ? `${kind}.${apiVersion.slice(0, apiVersion.indexOf('/'))}` : kind;
const versionIn = ({ apiVersion }: KubeObject) => apiVersion.slice(apiVersion.indexOf('/') + 1);
