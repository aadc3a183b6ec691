import type { TwinObject } from '../types.js';
import { cloneJson } from './json.js';
import type { Store } from './store.js';

/** How long the namespace controller of a real cluster needs to notice, roughly. */
const NOTICE_MS = 100;
const FIRST_NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];
const API_ADDRESS = '10.96.0.1';

/** The namespaces and the Service that a server makes for itself at its first start. */
export function bootstrap(store: Store, uid: string | undefined): void {
  const objects: TwinObject[] = FIRST_NAMESPACES.map((name) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, ...(name === 'kube-system' && uid !== undefined && { uid }) },
  }));
  const labels = { component: 'apiserver', provider: 'kubernetes' };
  const metadata = { name: 'kubernetes', namespace: 'default', labels };
  const ports = [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }];
  objects.push({
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { clusterIP: API_ADDRESS, ports, type: 'ClusterIP' },
  });
  const subsets = [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ name: 'https', port: 6443, protocol: 'TCP' }] }];
  objects.push({
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: 'kubernetes', namespace: 'default' },
    subsets,
  });
  for (const [name, value] of [
    ['system-cluster-critical', 2_000_000_000],
    ['system-node-critical', 2_000_001_000],
  ] as const) {
    const description = 'Used for system critical pods.';
    objects.push({
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name },
      value,
      description,
      preemptionPolicy: 'PreemptLowerPriority',
    });
  }
  store.seed(objects);
}

/**
 * What the controller manager does for namespaces: each gets its default ServiceAccount (and, from 1.20 on, the certificate of the
 * cluster), and one that is deleted is emptied first.
 *
 * @source kubernetes/kubernetes:pkg/controller/namespace, pkg/controller/serviceaccount, pkg/controller/certificates/rootcacertpublisher
 */
export function runNamespaces(store: Store): void {
  const pending = new Set<string>();

  const furnish = (namespace: string): void => {
    const space = store.find(store.served('v1/namespaces'), undefined, namespace);
    if (!space || space.metadata.deletionTimestamp) return;
    const accounts = store.served('v1/serviceaccounts');
    if (!store.find(accounts, namespace, 'default')) {
      store.create(accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } });
    }
    const maps = store.served('v1/configmaps');
    if (store.minor >= 20 && !store.find(maps, namespace, 'kube-root-ca.crt')) {
      const metadata = { name: 'kube-root-ca.crt', namespace };
      store.create(maps, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata,
        data: { 'ca.crt': `certificate of ${store.version}` },
      });
    }
  };

  const empty = (namespace: string): void => {
    pending.delete(namespace);
    const spaces = store.served('v1/namespaces');
    if (!store.find(spaces, undefined, namespace)?.metadata.deletionTimestamp) return;
    let left = 0;
    const seen = new Set<string>();
    for (const served of store.kinds.all()) {
      if (!served.namespaced || served.createOnly || seen.has(served.stored.key)) continue;
      seen.add(served.stored.key);
      for (const { metadata } of store.list(served, namespace)) {
        if (
          metadata.deletionTimestamp ||
          !store.delete(served, namespace, metadata.name, { propagation: 'Background' }).gone
        )
          left += 1;
      }
    }
    if (left > 0) return;
    finalize(store, namespace);
  };

  const emptySoon = (namespace: string): void => {
    if (pending.has(namespace)) return;
    pending.add(namespace);
    store.clock.after(NOTICE_MS, () => empty(namespace));
  };

  store.observe(({ type, kind, object }) => {
    const { name, namespace, deletionTimestamp } = object.metadata;
    if (kind.key !== '/namespaces') {
      if (type === 'DELETED' && namespace !== undefined && isTerminating(store, namespace)) emptySoon(namespace);
      return;
    }
    if (type === 'ADDED') store.clock.after(NOTICE_MS, () => furnish(name));
    if (type === 'MODIFIED' && deletionTimestamp) emptySoon(name);
  });
}

function isTerminating(store: Store, namespace: string): boolean {
  return Boolean(store.find(store.served('v1/namespaces'), undefined, namespace)?.metadata.deletionTimestamp);
}

/** Lets go of an empty namespace, as a request to its subresource `finalize` does. */
function finalize(store: Store, namespace: string): void {
  const spaces = store.served('v1/namespaces');
  store.replace(spaces, undefined, namespace, (current) => ({ ...cloneJson(current), spec: { finalizers: [] } }), {
    subresource: 'finalize',
  });
}
