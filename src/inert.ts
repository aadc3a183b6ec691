import type { Passage } from './arriving.js';
import { importedClaims } from './imports.js';
import type { Inventory } from './inventory.js';
import type { NamedRule, RestoreRules, Rule } from './modifiers.js';
import { BACKEND_TYPE, kindOf, lbKey, splitPath } from './objects.js';
import { heldRules } from './one-side.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { Kind, KubeObject } from './ports.js';
import { isGroupEntry, type GroupEntry } from './routes.js';
import { backendModeOf, loadBalancerOf } from './clb.js';

/**
 * The rules by which a restore changes what it brings, so that everything arrives inert: workloads at 0, CronJobs suspended, no
 * LoadBalancer Service live; images from the target's registries. Velero's resource modifiers, as data.
 *
 * Merge patches as far as they go: a JSON patch whose path is missing errors, and Velero then creates the object UNMODIFIED. Only images
 * are named by paths, for a merge patch would have to repeat whole containers, values of variables and all.
 *
 * @source vmware-tanzu/velero:internal/resourcemodifiers (version v1), and runs of 1.18.3
 */
export const inertRules = (playbook: Playbook, inventory: Inventory): RestoreRules => ({
  version: 'v1',
  resourceModifierRules: namedRules(playbook, inventory).map((it) => it.rule),
});

/** What objects meet on the way, when we play the restore ourselves. */
export const passageFor = (playbook: Playbook, inventory: Inventory): Passage => ({
  rules: namedRules(playbook, inventory),
  inventory,
  keepNodePorts: playbook.data?.nodePorts === 'keep',
});

export function namedRules(playbook: Playbook, inventory: Inventory): NamedRule[] {
  const { data } = playbook;
  if (!data) return [];
  const stopped = data.arrive === 'stopped' ? ['deployments.apps', 'statefulsets.apps'] : [];
  return [
    ...stopped.map((it) => forAll('workloads arrive at 0', it, data, { spec: { replicas: 0 } })),
    forAll('CronJobs arrive suspended', 'cronjobs.batch', data, { spec: { suspend: true } }),
    ...services(playbook, data, inventory),
    ...claims(data, inventory),
    ...importedClaims(playbook, inventory).map(({ claim, patch }) =>
      forOne('data.disks.by: driver', 'persistentvolumeclaims', claim, patch),
    ),
    ...images(data, inventory),
    ...data.rules.map((rule, index): NamedRule => ({ name: `data.rules[${index}]`, rule: rule as Rule })),
    ...heldRules(playbook, inventory),
  ];
}

const forAll = (name: string, groupResource: string, data: PlaybookData, patch: object): NamedRule => ({
  name,
  rule: {
    conditions: { groupResource, namespaces: data.namespaces },
    mergePatches: [{ patchData: JSON.stringify(patch) }],
  },
});

const forOne = (name: string, groupResource: string, object: KubeObject, patch: object): NamedRule => ({
  name,
  rule: { conditions: only(groupResource, object), mergePatches: [{ patchData: JSON.stringify(patch) }] },
});

const only = (groupResource: string, { metadata }: KubeObject): Rule['conditions'] => ({
  groupResource,
  resourceNameRegex: `^${metadata.name.replaceAll('.', String.raw`\.`)}$`,
  namespaces: [metadata.namespace ?? ''],
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

const SERVICE = 'Services arrive without traffic';
const CLASS = 'data.storageClasses';

function services(playbook: Playbook, data: PlaybookData, inventory: Inventory): NamedRule[] {
  return listed(data, inventory, 'Service').flatMap((service) => {
    const { type, ports } = service['spec'] ?? {};
    if (type !== 'LoadBalancer' && type !== 'NodePort') return [];
    const withoutNodePorts = ((ports ?? []) as Record<string, unknown>[]).map(
      ({ nodePort: _dropped, ...rest }) => rest,
    );
    const isKept = data.nodePorts === 'keep';
    const spec = isKept ? {} : { ports: withoutNodePorts, healthCheckNodePort: null };
    if (type === 'NodePort') return isKept ? [] : [forOne(SERVICE, 'services', service, { spec })];
    const shared = (playbook.traffic?.services ?? []).filter((it): it is GroupEntry => {
      const { namespace, name } = splitPath(it.service);
      return isGroupEntry(it) && service.metadata.namespace === namespace && service.metadata.name === name;
    });
    const loadBalancer = shared[0] && loadBalancerOf(shared[0], inventory);
    // Said outright, so that the shares we compute rest on no default of a controller's configuration.
    const backends = { [BACKEND_TYPE]: backendModeOf(inventory.target, undefined) === 'eni' ? 'eni' : 'ecs' };
    const isHandedOver = shared.some((it) => it.handOver !== undefined);
    if (!loadBalancer || isHandedOver) {
      // Not moved by this playbook, or not before its load balancer was taken over: it must not take an address, nor join anything, by arriving.
      return [
        forOne(SERVICE, 'services', service, {
          metadata: isHandedOver ? { ...BOOKKEEPING, annotations: backends } : BOOKKEEPING,
          spec: {
            ports: withoutNodePorts,
            healthCheckNodePort: null,
            type: 'ClusterIP',
            loadBalancerClass: null,
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
      ...backends,
    };
    return [forOne(SERVICE, 'services', service, { metadata: { ...BOOKKEEPING, annotations }, spec })];
  });
}

/** Storage classes by the playbook's map, in claims and in the templates that the next scale-out would use. */
function claims(data: PlaybookData, inventory: Inventory): NamedRule[] {
  const mapped = (named: unknown) => (typeof named === 'string' ? data.storageClasses[named] : undefined);
  const rules: NamedRule[] = [];
  for (const claim of listed(data, inventory, 'PersistentVolumeClaim')) {
    const to = mapped(claim['spec']?.storageClassName);
    if (to !== undefined)
      rules.push(forOne(CLASS, 'persistentvolumeclaims', claim, { spec: { storageClassName: to } }));
  }
  for (const set of listed(data, inventory, 'StatefulSet.apps')) {
    const templates = (set['spec']?.volumeClaimTemplates ?? []) as { spec?: { storageClassName?: string } }[];
    if (!templates.some((it) => mapped(it.spec?.storageClassName) !== undefined)) continue;
    const rewritten = templates.map((it) => ({
      ...it,
      spec: { ...it.spec, storageClassName: mapped(it.spec?.storageClassName) ?? it.spec?.storageClassName },
    }));
    rules.push(forOne(CLASS, 'statefulsets.apps', set, { spec: { volumeClaimTemplates: rewritten } }));
  }
  return rules;
}

/** Where containers stand, in kinds that bring pods. */
const TEMPLATES: readonly [kind: Kind, groupResource: string, path: string[]][] = [
  ['Deployment.apps', 'deployments.apps', ['spec', 'template', 'spec']],
  ['StatefulSet.apps', 'statefulsets.apps', ['spec', 'template', 'spec']],
  ['DaemonSet.apps', 'daemonsets.apps', ['spec', 'template', 'spec']],
  ['CronJob.batch', 'cronjobs.batch', ['spec', 'jobTemplate', 'spec', 'template', 'spec']],
];

/** Images by the playbook's map of registries: the longest beginning that fits counts. */
function images(data: PlaybookData, inventory: Inventory): NamedRule[] {
  if (Object.keys(data.images).length === 0) return [];
  return TEMPLATES.flatMap(([kind, groupResource, path]) =>
    listed(data, inventory, kind).flatMap((object): NamedRule[] => {
      const patches = imagesOf(object, path).flatMap(({ at, image }) => {
        const to = mappedImage(image, data.images);
        return to === undefined ? [] : [{ operation: 'replace' as const, path: `/${at.join('/')}`, value: to }];
      });
      return patches.length === 0
        ? []
        : [{ name: 'data.images', rule: { conditions: only(groupResource, object), patches } }];
    }),
  );
}

/** Every image that an object's pods would pull; empty for kinds without pods. */
export function pulledBy(object: KubeObject): string[] {
  const [, , path] = TEMPLATES.find(([kind]) => kind === kindOf(object)) ?? [];
  return path ? imagesOf(object, path).map((it) => it.image) : [];
}

function imagesOf(object: KubeObject, path: readonly string[]): { at: string[]; image: string }[] {
  const spec = path.reduce<unknown>((it, key) => (it as Record<string, unknown> | undefined)?.[key], object);
  return ['initContainers', 'containers'].flatMap((list) =>
    (((spec as Record<string, unknown> | undefined)?.[list] ?? []) as { image?: string }[]).flatMap(
      ({ image }, index) => (image === undefined ? [] : [{ at: [...path, list, String(index), 'image'], image }]),
    ),
  );
}

export function mappedImage(image: string, map: Readonly<Record<string, string>>): string | undefined {
  const [from] = Object.keys(map)
    .filter((it) => image === it || image.startsWith(it.endsWith('/') ? it : `${it}/`))
    .sort((a, b) => b.length - a.length);
  return from === undefined ? undefined : `${map[from]}${image.slice(from.length)}`;
}
