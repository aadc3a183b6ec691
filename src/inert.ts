import { commonVersions } from './convert.js';
import type { Inventory } from './inventory.js';
import { BACKEND_TYPE, lbKey, splitPath } from './objects.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { Kind, KubeObject } from './ports.js';
import type { EntryOf } from './routes.js';
import { backendModeOf, loadBalancerOf } from './clb.js';

/**
 * The rules by which a restore changes what it brings, so that everything arrives inert: workloads at 0, CronJobs suspended, no
 * LoadBalancer Service live. Velero's resource modifiers, as data.
 *
 * Merge patches only: a JSON patch whose path is missing errors, and Velero then creates the object UNMODIFIED.
 *
 * @source vmware-tanzu/velero:internal/resourcemodifiers (version v1), and runs of 1.18.3
 */
export interface RestoreRules {
  version: 'v1';
  resourceModifierRules: {
    conditions: { groupResource: string; resourceNameRegex?: string; namespaces: string[] };
    mergePatches: { patchData: string }[];
  }[];
}

type Rule = RestoreRules['resourceModifierRules'][number];

export function inertRules(playbook: Playbook, inventory: Inventory): RestoreRules {
  const { data } = playbook;
  const rules: Rule[] = [];
  if (data) {
    if (data.arrive === 'stopped') {
      for (const groupResource of ['deployments.apps', 'statefulsets.apps'])
        rules.push(forAll(groupResource, data, { spec: { replicas: 0 } }));
    }
    if (commonVersions('CronJob.batch', inventory.source, inventory.target).length > 0) {
      rules.push(forAll('cronjobs.batch', data, { spec: { suspend: true } }));
    }
    rules.push(...services(playbook, data, inventory), ...claims(data, inventory));
  }
  return { version: 'v1', resourceModifierRules: rules };
}

const forAll = (groupResource: string, data: PlaybookData, patch: object): Rule => ({
  conditions: { groupResource, namespaces: data.namespaces },
  mergePatches: [{ patchData: JSON.stringify(patch) }],
});

const forOne = (groupResource: string, object: KubeObject, patch: object): Rule => ({
  conditions: {
    groupResource,
    resourceNameRegex: `^${object.metadata.name}$`,
    namespaces: [object.metadata.namespace ?? ''],
  },
  mergePatches: [{ patchData: JSON.stringify(patch) }],
});

const listed = (data: PlaybookData, inventory: Inventory, kind: Kind): KubeObject[] =>
  (inventory.source.objects[kind] ?? []).filter((it) => data.namespaces.includes(it.metadata.namespace ?? ''));

/** Labels and finalizer by which a controller knows its own work: copied, they make the target's one think that nothing is to be done. */
const BOOKKEEPING = {
  labels: {
    'service.beta.kubernetes.io/hash': null,
    'alibabacloud.com/reconcile.hash': null,
    'service.k8s.alibaba/loadbalancer-id': null,
  },
  finalizers: null,
};

function services(playbook: Playbook, data: PlaybookData, inventory: Inventory): Rule[] {
  return listed(data, inventory, 'Service').flatMap((service) => {
    const { type, ports } = service['spec'] ?? {};
    if (type !== 'LoadBalancer' && type !== 'NodePort') return [];
    const withoutNodePorts = ((ports ?? []) as Record<string, unknown>[]).map(
      ({ nodePort: _dropped, ...rest }) => rest,
    );
    const spec = { ports: withoutNodePorts, healthCheckNodePort: null };
    if (type === 'NodePort') return [forOne('services', service, { spec })];
    const shared = (playbook.traffic?.services ?? []).filter((it): it is EntryOf<'clb'> => {
      const { namespace, name } = splitPath(it.service);
      return it.router === 'clb' && service.metadata.namespace === namespace && service.metadata.name === name;
    });
    const loadBalancer = shared[0] && loadBalancerOf(shared[0], inventory);
    if (!loadBalancer) {
      // Not moved by this playbook: it must not take an address, nor join anything, by arriving.
      return [
        forOne('services', service, {
          metadata: BOOKKEEPING,
          spec: {
            ...spec,
            type: 'ClusterIP',
            externalTrafficPolicy: null,
            loadBalancerIP: null,
            allocateLoadBalancerNodePorts: null,
          },
        }),
      ];
    }
    const annotations = {
      [lbKey('id')]: loadBalancer,
      [lbKey('vgroup-port')]: shared.map((it) => `${it.group}:${it.port}`).join(','),
      [lbKey('weight')]: '0',
      [lbKey('force-override-listeners')]: null,
      [lbKey('ignore-weight-update')]: null,
      // Said outright, so that the shares we compute rest on no default of a controller's configuration.
      [BACKEND_TYPE]: backendModeOf(inventory.target, undefined) === 'eni' ? 'eni' : 'ecs',
    };
    return [forOne('services', service, { metadata: { ...BOOKKEEPING, annotations }, spec })];
  });
}

/** Storage classes by the playbook's map, in claims and in the templates that the next scale-out would use. */
function claims(data: PlaybookData, inventory: Inventory): Rule[] {
  const mapped = (named: unknown) => (typeof named === 'string' ? data.storageClasses[named] : undefined);
  const rules: Rule[] = [];
  for (const claim of listed(data, inventory, 'PersistentVolumeClaim')) {
    const to = mapped(claim['spec']?.storageClassName);
    if (to !== undefined) rules.push(forOne('persistentvolumeclaims', claim, { spec: { storageClassName: to } }));
  }
  for (const set of listed(data, inventory, 'StatefulSet.apps')) {
    const templates = (set['spec']?.volumeClaimTemplates ?? []) as { spec?: { storageClassName?: string } }[];
    if (!templates.some((it) => mapped(it.spec?.storageClassName) !== undefined)) continue;
    const rewritten = templates.map((it) => ({
      ...it,
      spec: { ...it.spec, storageClassName: mapped(it.spec?.storageClassName) ?? it.spec?.storageClassName },
    }));
    rules.push(forOne('statefulsets.apps', set, { spec: { volumeClaimTemplates: rewritten } }));
  }
  return rules;
}
