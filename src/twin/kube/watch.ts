import type { ServerResponse } from 'node:http';
import type { Json, Timer, TwinClock, TwinObject } from '../types.js';
import { StatusError } from './errors.js';
import type { Served } from './kinds.js';
import type { Match } from './selectors.js';
import type { Change, Store } from './store.js';
import { textOf } from './wire.js';

const BOOKMARK_EVERY_MS = 60_000;
/** the last bookmark comes this long before the watch ends */
const BOOKMARK_BEFORE_END_MS = 2_000;
/** where a client names no end; real servers draw between this and twice as much */
const DEFAULT_LIFE_MS = 1_800_000;

export interface WatchQuery {
  namespace: string | undefined;
  match: Match | undefined;
  /** changes after this revision; undefined: everything there is first */
  from: number | undefined;
  /** everything there is, then a bookmark that says so */
  initialEvents: boolean;
  bookmarks: boolean;
  lifeMs: number | undefined;
  /** how an object goes over the wire: as itself, or as a table */
  show: (object: TwinObject) => Json;
}

const INITIAL_END = { 'k8s.io/initial-events-end': 'true' };

/** The type of an event for somebody who sees only what matches: an object that starts to match appears, one that ceases to goes. */
function seenAs(
  { type, object, before }: Change,
  served: Served,
  match: Match | undefined,
): Change['type'] | undefined {
  if (!match) return type;
  const then = before !== undefined && type !== 'ADDED' && match(served.fromStored(before));
  const now = type !== 'DELETED' && match(served.fromStored(object));
  if (now) return then ? 'MODIFIED' : 'ADDED';
  return then ? 'DELETED' : undefined;
}

/**
 * Writes one event a line until the client leaves or its time is over.
 *
 * @param idle  the clock for ends and bookmarks, which nobody waits for
 */
export function streamWatch(
  store: Store,
  served: Served,
  query: WatchQuery,
  idle: TwinClock,
): (response: ServerResponse) => void {
  return (response) => {
    const timers: Timer[] = [];
    let stop = (): void => {};

    const send = (type: string, object: Json): void => {
      const text = Object.isFrozen(object) ? textOf(object) : JSON.stringify(object);
      response.write(`{"type":"${type}","object":${text}}\n`);
    };
    const bookmark = (annotations?: Json): void => {
      const metadata = {
        resourceVersion: String(store.revision),
        creationTimestamp: null,
        ...(annotations && { annotations }),
      };
      send('BOOKMARK', { kind: served.kind, apiVersion: served.apiVersion, metadata });
    };
    const finish = (): void => {
      for (const timer of timers) timer.cancel();
      stop();
      response.end();
    };
    const every = (ms: number, run: () => void): void => {
      timers.push(
        idle.after(ms, () => {
          run();
          every(ms, run);
        }),
      );
    };

    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    response.on('close', finish);
    try {
      if (query.from === undefined) {
        for (const object of store.list(served, query.namespace)) {
          if (!query.match || query.match(object)) send('ADDED', query.show(object));
        }
        if (query.initialEvents) bookmark(INITIAL_END);
      }
      stop = store.watch(served.stored, query.from, (change) => {
        if (query.namespace !== undefined && change.object.metadata.namespace !== query.namespace) return;
        const type = seenAs(change, served, query.match);
        if (type === undefined) return;
        const object = served.fromStored(
          type === 'DELETED' && change.type !== 'DELETED' ? lastSeen(change) : change.object,
        );
        send(type, query.show(object));
      });
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      send('ERROR', error.body());
      return finish();
    }
    const lifeMs = query.lifeMs ?? DEFAULT_LIFE_MS;
    timers.push(idle.after(lifeMs, finish));
    if (!query.bookmarks) return;
    every(BOOKMARK_EVERY_MS, bookmark);
    timers.push(idle.after(Math.max(0, lifeMs - BOOKMARK_BEFORE_END_MS), () => bookmark()));
  };
}

/** An object that leaves the selection is shown as it was, at the revision at which it left. */
function lastSeen({ object, before }: Change): TwinObject {
  const { resourceVersion } = object.metadata;
  return Object.freeze({ ...before!, metadata: Object.freeze({ ...before!.metadata, resourceVersion }) });
}
