import type { ApiResource, ClusterApi, TwinObject, WatchEvent } from '../types.js';
import { badRequest, StatusError } from './errors.js';
import { isMap } from './json.js';
import type { Served } from './kinds.js';
import { mergePatch } from './patch.js';
import type { Store } from './store.js';

/** The store as the twin's own controllers use it: no wire, no faults, no rights. Objects are frozen; whoever changes one copies it. */
export function directApi(store: Store): ClusterApi {
  const checked = (object: TwinObject): TwinObject => {
    if (!isMap(object) || !isMap(object.metadata)) throw badRequest('an object has metadata');
    return object;
  };

  return {
    version: store.version,
    resources: async () => store.kinds.all().map((served) => apiResource(store, served)),
    serves: (resource) => store.kinds.get(resource) !== undefined,
    list: async (resource, namespace) => store.list(store.served(resource), namespace),
    get: async (resource, namespace, name) => store.find(store.served(resource), namespace, name),
    create: async (resource, object) => store.create(store.served(resource), checked(object)),

    async update(resource, object) {
      const { namespace, name } = checked(object).metadata;
      return store.replace(store.served(resource), namespace, name, () => object);
    },

    async updateStatus(resource, object) {
      const { namespace, name } = checked(object).metadata;
      return store.replace(store.served(resource), namespace, name, () => object, { subresource: 'status' });
    },

    async mergePatch(resource, namespace, name, patch, subresource) {
      const options = subresource === undefined ? {} : { subresource };
      return store.replace(store.served(resource), namespace, name, (current) => mergePatch(current, patch), options);
    },

    async delete(resource, namespace, name, { gracePeriodSeconds } = {}) {
      try {
        const grace = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
        store.delete(store.served(resource), namespace, name, { propagation: 'Background', ...grace });
      } catch (error) {
        if (!(error instanceof StatusError) || error.status !== 404) throw error;
      }
    },

    async watch(resource, on) {
      const served = store.served(resource);
      let stopped = false;
      const tell = (event: WatchEvent): void => {
        if (!stopped) on(event);
      };
      // Behind whatever is still on its way to others, so that all hear things in the same order.
      const first = store.list(served);
      store.later(() => {
        for (const object of first) tell({ type: 'ADDED', object });
      });
      const stop = store.watch(served.stored, undefined, ({ type, object }) =>
        tell({ type, object: served.fromStored(object) }),
      );
      return () => {
        stopped = true;
        stop();
      };
    },
  };
}

function apiResource({ kinds }: Store, served: Served): ApiResource {
  const { path, group, version, resource, kind, namespaced, verbs } = served;
  const preferred = kinds.preferredOf(group, resource) === version;
  return { path, group, version, resource, kind, namespaced, verbs, preferred };
}
