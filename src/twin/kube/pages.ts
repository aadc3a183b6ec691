import type { Json, TwinObject } from '../types.js';
import { badRequest, expired } from './errors.js';
import type { Served } from './kinds.js';
import type { Match } from './selectors.js';
import type { Store } from './store.js';

/** Snapshots that are kept for lists under way; the oldest goes when there are more. */
const SNAPSHOT_LIMIT = 64;
/** A real server's storage forgets old revisions every five minutes. */
const SNAPSHOT_LIFE_MS = 300_000;

const TOO_OLD =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

export interface Page {
  items: TwinObject[];
  revision: number;
  continue?: string;
  remaining?: number;
}

export interface PageQuery {
  namespace: string | undefined;
  limit: number;
  continue: string | undefined;
  match: Match | undefined;
}

interface Token {
  v: 'meta.k8s.io/v1';
  rv: number;
  start: string;
}

const encode = (token: Token): string => Buffer.from(JSON.stringify(token)).toString('base64url');

function decode(text: string): Token {
  try {
    const token: Json = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (token.v === 'meta.k8s.io/v1' && typeof token.rv === 'number' && typeof token.start === 'string') return token;
  } catch {
    // answered below
  }
  throw badRequest('invalid continue token: continue key is not valid: it is not one that this server gave');
}

const placeOf = ({ metadata }: TwinObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;

/** Lists in pages: all pages of one list show the moment of the first, as long as that moment is remembered. */
export class Pages {
  readonly #store: Store;
  readonly #snapshots = new Map<string, { items: TwinObject[]; takenAt: number }>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Forgets all snapshots. */
  clear(): void {
    this.#snapshots.clear();
  }

  list(served: Served, query: PageQuery): Page {
    const token = query.continue === undefined ? undefined : decode(query.continue);
    const revision = token && token.rv > 0 ? token.rv : this.#store.revision;
    const key = `${served.path} ${query.namespace ?? ''} ${revision}`;
    const all = token && token.rv > 0 ? this.#recall(key, token) : this.#store.list(served, query.namespace);
    const rest = token ? all.filter((object) => placeOf(object) > token.start) : all;
    const matching = query.match ? rest.filter(query.match) : rest;
    if (query.limit <= 0 || matching.length <= query.limit) return { items: matching, revision };
    const items = matching.slice(0, query.limit);
    this.#remember(key, all);
    const remaining = matching.length - items.length;
    const start = placeOf(items.at(-1)!);
    return {
      items,
      revision,
      continue: encode({ v: 'meta.k8s.io/v1', rv: revision, start }),
      ...(!query.match && { remaining }),
    };
  }

  /** The state of a kind at a revision, if a list is under way there or nothing happened since. */
  at(served: Served, namespace: string | undefined, revision: number): TwinObject[] | undefined {
    if (revision === this.#store.revision) return this.#store.list(served, namespace);
    return this.#snapshots.get(`${served.path} ${namespace ?? ''} ${revision}`)?.items;
  }

  #remember(key: string, items: TwinObject[]): void {
    if (!this.#snapshots.has(key)) this.#snapshots.set(key, { items, takenAt: this.#store.clock.now() });
    for (const oldest of this.#snapshots.keys()) {
      if (this.#snapshots.size <= SNAPSHOT_LIMIT) break;
      this.#snapshots.delete(oldest);
    }
  }

  #recall(key: string, token: Token): TwinObject[] {
    const snapshot = this.#snapshots.get(key);
    if (snapshot && this.#store.clock.now() - snapshot.takenAt <= SNAPSHOT_LIFE_MS) return snapshot.items;
    this.#snapshots.delete(key);
    throw expired(TOO_OLD, { continue: encode({ ...token, rv: -1 }) });
  }
}
