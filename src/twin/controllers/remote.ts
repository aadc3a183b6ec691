import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import type { ApiError, ApiResource, ClusterApi, Json, TwinObject, WatchEvent } from '../types.js';

export interface RemoteOptions {
  /** `https://127.0.0.1:PORT`, or http */
  url: string;
  token?: string;
  /** certificate of the server's authority, PEM */
  ca?: string | Buffer;
}

export interface RemoteApi extends ClusterApi {
  /** as a ClusterApi always may, but here it also renews what `serves` answers */
  resources(): Promise<ApiResource[]>;
  /** ends watches and connections */
  close(): void;
}

const PAGE = 500;
const TIMEOUT_MS = 30_000;
/** A watch without a word for this long is opened anew; servers send bookmarks about once a minute. */
const SILENT_MS = 120_000;
const RECONNECT_MS = { first: 100, last: 5_000 };

class RemoteError extends Error implements ApiError {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

function errorOf(status: number, text: string): RemoteError {
  try {
    const body = JSON.parse(text);
    if (body.kind === 'Status') return new RemoteError(status, body.reason ?? '', body.message ?? text);
  } catch {
    // Not a Status: plain text, from a proxy or a server that is not up yet.
  }
  return new RemoteError(status, '', text.slice(0, 500) || `HTTP ${status}`);
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}

/** A real API server for the twin's controllers: version and plural in, plain JSON out, watches that survive. */
export async function remoteApi({ url, token, ca }: RemoteOptions): Promise<RemoteApi> {
  const base = new URL(url);
  const isTls = base.protocol === 'https:';
  const agent = isTls ? new HttpsAgent({ keepAlive: true, ...(ca ? { ca } : {}) }) : new HttpAgent({ keepAlive: true });
  const closers = new Set<() => void>();
  let closed = false;

  const send = (
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Promise<{ response: IncomingMessage; request: ClientRequest }> =>
    new Promise((resolve, reject) => {
      const options = {
        method,
        agent,
        headers: {
          accept: 'application/json',
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...headers,
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
      };
      const request = (isTls ? httpsRequest : httpRequest)(new URL(path, base), options);
      request.on('response', (response) => resolve({ response, request }));
      request.on('error', reject);
      request.setTimeout(TIMEOUT_MS, () =>
        request.destroy(Object.assign(new Error(`no answer to ${method} ${path}`), { code: 'ETIMEDOUT' })),
      );
      request.end(body);
    });

  const ask = async (method: string, path: string, body?: Json, type = 'application/json'): Promise<Json> => {
    const given = body === undefined ? undefined : JSON.stringify(body);
    const { response } = await send(method, path, given === undefined ? {} : { 'content-type': type }, given);
    const text = await textOf(response);
    if (response.statusCode! >= 400) throw errorOf(response.statusCode!, text);
    return JSON.parse(text);
  };

  let served = new Map<string, ApiResource>();

  const discover = async (): Promise<ApiResource[]> => {
    const groups: Json[] = (await ask('GET', '/apis')).groups;
    const versions = [
      { group: '', version: 'v1', first: true },
      ...groups.flatMap((it) =>
        preferredFirst(it).map((version, at) => ({ group: it.name, version, first: at === 0 })),
      ),
    ];
    const found: ApiResource[] = [];
    const taken = new Set<string>();
    for (const { group, version } of versions) {
      const path = group === '' ? version : `${group}/${version}`;
      let list: Json[];
      try {
        list = (await ask('GET', rootOf(path))).resources;
      } catch (error) {
        // An aggregated API whose backend is down must not hide the others.
        if (!(error instanceof RemoteError)) throw error;
        continue;
      }
      for (const it of list) {
        if (it.name.includes('/')) continue;
        const key = `${group}/${it.name}`;
        found.push({
          path: `${path}/${it.name}`,
          group,
          version,
          resource: it.name,
          kind: it.kind,
          namespaced: it.namespaced,
          verbs: it.verbs,
          preferred: !taken.has(key),
        });
        taken.add(key);
      }
    }
    served = new Map(found.map((it) => [it.path, it]));
    return found;
  };

  const pathOf = (resource: string, namespace: string | undefined, name?: string, subresource?: string): string => {
    const at = resource.lastIndexOf('/');
    const parts = [rootOf(resource.slice(0, at))];
    if (namespace !== undefined && served.get(resource)?.namespaced !== false)
      parts.push('namespaces', encodeURIComponent(namespace));
    parts.push(resource.slice(at + 1));
    if (name !== undefined) parts.push(encodeURIComponent(name));
    if (subresource !== undefined) parts.push(subresource);
    return parts.join('/');
  };

  const whole = (resource: string, item: Json): TwinObject => ({
    ...item,
    apiVersion: item.apiVersion ?? resource.slice(0, resource.lastIndexOf('/')),
    kind: item.kind ?? served.get(resource)?.kind,
  });

  const listAll = async (resource: string, namespace?: string): Promise<{ items: TwinObject[]; version: string }> => {
    for (;;) {
      const items: TwinObject[] = [];
      let next = '';
      let version = '';
      try {
        do {
          const page = await ask(
            'GET',
            `${pathOf(resource, namespace)}?limit=${PAGE}${next ? `&continue=${encodeURIComponent(next)}` : ''}`,
          );
          for (const it of page.items ?? []) items.push(whole(resource, it));
          version = page.metadata.resourceVersion;
          next = page.metadata.continue ?? '';
        } while (next !== '');
        return { items, version };
      } catch (error) {
        // The pages outlived the server's memory of them: from the start.
        if (!(error instanceof RemoteError && error.status === 410 && next !== '')) throw error;
      }
    }
  };

  const version: string = (await ask('GET', '/version')).gitVersion;
  await discover();

  return {
    version,
    serves: (resource) => served.has(resource),
    resources: discover,
    list: async (resource, namespace) => (await listAll(resource, namespace)).items,

    async get(resource, namespace, name) {
      try {
        return await ask('GET', pathOf(resource, namespace, name));
      } catch (error) {
        if (error instanceof RemoteError && error.status === 404) return undefined;
        throw error;
      }
    },

    create: (resource, object) => ask('POST', pathOf(resource, object.metadata.namespace), object),
    update: (resource, object) => ask('PUT', pathOf(resource, object.metadata.namespace, object.metadata.name), object),
    updateStatus: (resource, object) =>
      ask('PUT', pathOf(resource, object.metadata.namespace, object.metadata.name, 'status'), object),
    mergePatch: (resource, namespace, name, patch, subresource) =>
      ask('PATCH', pathOf(resource, namespace, name, subresource), patch, 'application/merge-patch+json'),

    async delete(resource, namespace, name, { gracePeriodSeconds } = {}) {
      const options = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: 'Background',
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      };
      try {
        await ask('DELETE', pathOf(resource, namespace, name), options);
      } catch (error) {
        if (!(error instanceof RemoteError && error.status === 404)) throw error;
      }
    },

    async watch(resource, on) {
      const known = new Map<string, TwinObject>();
      const state = { stopped: false, abort: (): void => {} };

      const take = ({ type, object }: WatchEvent): void => {
        if (state.stopped) return;
        const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
        if (type === 'DELETED') known.delete(key);
        else known.set(key, object);
        on({ type, object });
      };

      /** What changed while nobody listened is told as if it were seen. */
      const relist = async (): Promise<string> => {
        const { items, version: at } = await listAll(resource);
        const live = new Map(items.map((it) => [`${it.metadata.namespace ?? ''}/${it.metadata.name}`, it]));
        const gone = [...known].filter(([key, object]) => live.get(key)?.metadata.uid !== object.metadata.uid);
        for (const [, object] of gone) take({ type: 'DELETED', object });
        for (const [key, object] of live) {
          const before = known.get(key);
          if (before?.metadata.resourceVersion !== object.metadata.resourceVersion)
            take({ type: before ? 'MODIFIED' : 'ADDED', object });
        }
        return at;
      };

      /** @returns the version to go on from, or undefined when that is too old */
      const stream = async (from: string): Promise<string | undefined> => {
        const { response, request } = await send(
          'GET',
          `${pathOf(resource, undefined)}?watch=true&allowWatchBookmarks=true&resourceVersion=${from}`,
        );
        state.abort = () => request.destroy();
        if (state.stopped) request.destroy();
        if (response.statusCode! >= 400) {
          const error = errorOf(response.statusCode!, await textOf(response));
          if (error.status === 410) return undefined;
          throw error;
        }
        request.setTimeout(SILENT_MS, () => request.destroy());
        let at = from;
        let rest = '';
        response.setEncoding('utf8');
        for await (const chunk of response) {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop()!;
          for (const line of lines) {
            if (line === '') continue;
            const event = JSON.parse(line);
            if (event.type === 'ERROR') return undefined;
            at = event.object.metadata.resourceVersion;
            if (event.type !== 'BOOKMARK') take({ type: event.type, object: whole(resource, event.object) });
          }
        }
        return at;
      };

      const follow = async (first: string): Promise<void> => {
        let at: string | undefined = first;
        let waitMs = RECONNECT_MS.first;
        while (!state.stopped) {
          try {
            at ??= await relist();
            at = await stream(at);
            waitMs = RECONNECT_MS.first;
          } catch (error) {
            if (state.stopped) return;
            if (!(error instanceof Error)) throw error;
            await pause(waitMs, undefined, { ref: false });
            waitMs = Math.min(RECONNECT_MS.last, waitMs * 2);
          }
        }
      };

      const stop = (): void => {
        state.stopped = true;
        state.abort();
        closers.delete(stop);
      };
      if (closed) throw new Error('this connection is closed');
      closers.add(stop);
      const first = await relist();
      void follow(first);
      return stop;
    },

    close() {
      closed = true;
      for (const stop of closers) stop();
      agent.destroy();
    },
  };
}

const rootOf = (groupVersion: string): string =>
  groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`;

function preferredFirst(group: Json): string[] {
  const all: string[] = group.versions.map((it: Json) => it.version);
  const { version } = group.preferredVersion ?? {};
  return version ? [version, ...all.filter((it) => it !== version)] : all;
}
