import type { Json, TwinObject } from '../types.js';
import { conflict, StatusError } from './errors.js';
import { cloneJson } from './json.js';
import type { Target } from './route.js';
import { labelMatch, selectorText } from './selectors.js';
import type { Store, WriteOptions } from './store.js';

const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };

/** Deletes a pod unless a disruption budget stands against it: 429 TooManyRequests. */
export function evict(
  store: Store,
  { served, namespace, name }: Target,
  eviction: TwinObject,
  { dryRun = false }: WriteOptions,
): Json {
  const pod = store.get(served, namespace, name!);
  for (const budget of store.storedByKey('policy/poddisruptionbudgets', namespace)) {
    const { selector } = budget['spec'] ?? {};
    if (!selector || !labelMatch(selectorText(selector))(pod)) continue;
    if ((budget['status']?.disruptionsAllowed ?? 0) > 0) continue;
    const causes = [
      { reason: 'DisruptionBudget', message: `The disruption budget ${budget.metadata.name} needs more healthy pods` },
    ];
    throw new StatusError(429, 'TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
      causes,
    });
  }
  const { uid } = eviction['deleteOptions']?.preconditions ?? {};
  store.delete(served, namespace, name!, { dryRun, ...(uid !== undefined && { uid }) });
  return success;
}

/** Puts a pod onto a node, once. */
export function bind(
  store: Store,
  { served, namespace, name }: Target,
  binding: TwinObject,
  options: WriteOptions,
): Json {
  store.replace(
    served,
    namespace,
    name!,
    (current) => {
      const { nodeName } = current['spec'];
      if (nodeName) throw conflict(served, name!, `pod ${name} is already assigned to node "${nodeName}"`);
      return { ...cloneJson(current), spec: { ...current['spec'], nodeName: binding['target']?.name } };
    },
    options,
  );
  return success;
}

/** A token for a service account: shaped like one, and known to nobody. */
export function requestToken(store: Store, { served, namespace, name }: Target, request: TwinObject): Json {
  const account = store.get(served, namespace, name!);
  const seconds = request['spec']?.expirationSeconds ?? 3_600;
  const expirationTimestamp = `${new Date(store.clock.now() + seconds * 1_000).toISOString().slice(0, 19)}Z`;
  return {
    ...request,
    metadata: account.metadata,
    status: { token: `twin.${store.letters(32)}`, expirationTimestamp },
  };
}
