import type { ConvertArgs, Passing } from './args.js';
import { kindAfter, type Route, routeOf } from './convert.js';
import type { ClusterInventory, Inventory } from './inventory.js';
import { isMeant, type NamedRule } from './modifiers.js';
import { pathOf, splitKind, splitPath } from './objects.js';
import { refIn } from './passing.js';
import type { Playbook, PlaybookData } from './playbook.js';
import type { Kind, KubeObject } from './ports.js';
import { hasTwin, NEVER_TRAVELS, travels } from './travel.js';

/** Which objects go from one cluster to the other, kind by kind, and by which way. Pure. */

const list = (side: ClusterInventory, kind: Kind, namespaces: readonly string[]): KubeObject[] =>
  (side.objects[kind] ?? []).filter((it) => namespaces.includes(it.metadata.namespace ?? ''));

/** `ingress shop/legacy`, as a playbook names one that stays. */
export const nameOf = (kind: Kind, path: string) => `${splitKind(kind).kind.toLowerCase()} ${path}`;

export interface Travelling {
  passing: Passing[];
  /** kinds that the target does not serve, and which nothing takes the place of, with their objects */
  lost: { kind: Kind; objects: string[] }[];
}

/** All objects of the moved namespaces that travel, each kind in the version in which it arrives. */
export function travelling(data: PlaybookData, inventory: Inventory): Travelling {
  const { source, target } = inventory;
  const brought = new Set(data.cluster === 'none' ? [] : definitionsOf(data, inventory).map((it) => it.kind));
  const left = new Set(data.leaveOut.map((it) => it.toLowerCase()));
  const passing: Passing[] = [];
  const lost: Travelling['lost'] = [];
  for (const kind of Object.keys(source.objects).sort()) {
    if (NEVER_TRAVELS.has(kind) || hasTwin(kind, source)) continue;
    const objects = list(source, kind, data.namespaces)
      .filter((it) => travels(kind, it))
      .map((it) => pathOf(it.metadata))
      .filter((it) => !left.has(nameOf(kind, it)))
      .sort();
    if (objects.length === 0) continue;
    const route = routeOf(kind, source, target) ?? (brought.has(kind) ? routeWith(kind, source) : undefined);
    if (!route) lost.push({ kind, objects });
    else passing.push(passingBy(kind, route, objects));
  }
  return { passing, lost };
}

const passingBy = (kind: Kind, route: Route, objects: string[]): Passing => ({
  kind,
  ...(route.from && { from: route.from }),
  to: route.to,
  ...(route.conversion && { converted: true }),
  resource: route.resource,
  objects,
});

/** The definition that comes with the move serves what it served on the source. */
function routeWith(kind: Kind, { served }: ClusterInventory): Route | undefined {
  const { kind: word, group } = splitKind(kind);
  const own = served.filter((it) => it.kind === word && it.group === group);
  const found = own.find((it) => it.preferred) ?? own[0];
  return found && { to: `${group}/${found.version}`, resource: `${found.resource}.${group}` };
}

/** Whether a backup of Velero's, which holds only the version that the source prefers, brings the kind. */
export const comesAsStored = ({ from, converted }: Passing): boolean => from === undefined && !converted;

/** `Deployment.apps` → `namespace/name`s, as they must be on the target. */
export const expectedOf = (passing: readonly Passing[]): Record<Kind, string[]> =>
  Object.fromEntries(passing.map((it) => [kindAfter(it.kind, it.to), it.objects]));

/** Rules that can concern one of these, so that a step says no more than it does. */
export const rulesFor = (passing: readonly Passing[], rules: readonly NamedRule[]): NamedRule[] =>
  rules.filter(({ rule }) =>
    passing.some((it) =>
      it.objects.some((path) => {
        const { namespace, name } = refIn(path);
        // Labels and values are not known here.
        const { labelSelector: _labels, matches: _matches, ...conditions } = rule.conditions;
        return isMeant(
          conditions,
          { apiVersion: it.to, kind: '', metadata: { name, ...(namespace !== undefined && { namespace }) } },
          it.resource,
        );
      }),
    ),
  );

const DEFINITION: Kind = 'CustomResourceDefinition.apiextensions.k8s.io';
const CLUSTER_ROLE: Kind = 'ClusterRole.rbac.authorization.k8s.io';
const BINDING: Kind = 'ClusterRoleBinding.rbac.authorization.k8s.io';
const PRIORITY: Kind = 'PriorityClass.scheduling.k8s.io';
const WEBHOOKS: readonly Kind[] = [
  'MutatingWebhookConfiguration.admissionregistration.k8s.io',
  'ValidatingWebhookConfiguration.admissionregistration.k8s.io',
];

/** Read on both sides for a move of data: what namespaces need beside themselves. */
export const CLUSTER_KINDS: readonly Kind[] = [
  DEFINITION,
  CLUSTER_ROLE,
  BINDING,
  PRIORITY,
  ...WEBHOOKS,
  'PodSecurityPolicy.policy',
];

/**
 * What the moved namespaces need of the cluster and the target lacks: definitions of their custom resources, priority classes that their
 * pods name, cluster roles bound to their accounts, webhooks that their services answer. What the target has by that name is its own.
 */
export function neededOfCluster(
  playbook: Playbook,
  inventory: Inventory,
): { steps: Pick<ConvertArgs, 'what' | 'passing'>[]; notes: string[] } {
  const { data } = playbook;
  if (!data || data.cluster === 'none') return { steps: [], notes: [] };
  const { source, target } = inventory;
  const notes: string[] = [];
  const left = new Set(data.leaveOut.map((it) => it.toLowerCase()));
  const lacking = (kind: Kind, names: readonly string[]): Passing[] => {
    const route = routeOf(kind, source, target);
    const there = target.objects[kind];
    const wanted = [...new Set(names)].sort().filter((it) => !left.has(nameOf(kind, it)));
    if (wanted.length === 0) return [];
    if (!there || !route) {
      notes.push(
        `${kind} of the target could not be read: whether it has ${wanted.join(', ')} is not known, and they are not brought.`,
      );
      return [];
    }
    const objects = wanted.filter((it) => !there.some((one) => one.metadata.name === it));
    return objects.length === 0 ? [] : [passingBy(kind, route, objects)];
  };
  const bindings = (source.objects[BINDING] ?? []).filter((it) => isOurs(it, data.namespaces));
  const roles = bindings.flatMap((it) => (it['roleRef']?.kind === 'ClusterRole' ? [String(it['roleRef'].name)] : []));
  const rolesInside = list(source, 'RoleBinding.rbac.authorization.k8s.io', data.namespaces).flatMap((it) =>
    it['roleRef']?.kind === 'ClusterRole' ? [String(it['roleRef'].name)] : [],
  );
  const there = new Set((source.objects[CLUSTER_ROLE] ?? []).map((it) => it.metadata.name));
  const definitions = lacking(
    DEFINITION,
    definitionsOf(data, inventory).map((it) => it.name),
  );
  const rest = [
    ...lacking(PRIORITY, prioritiesOf(data, source)),
    ...lacking(
      CLUSTER_ROLE,
      [...roles, ...rolesInside].filter((it) => there.has(it) && !isBuiltIn(it)),
    ),
    ...lacking(
      BINDING,
      bindings.map((it) => it.metadata.name).filter((it) => !isBuiltIn(it)),
    ),
  ];
  const webhooks = WEBHOOKS.flatMap((kind) =>
    lacking(
      kind,
      (source.objects[kind] ?? []).filter((it) => callsInto(it, data.namespaces)).map((it) => it.metadata.name),
    ),
  );
  const steps = (
    [
      ['definitions', definitions],
      ['cluster', rest],
      ['webhooks', webhooks],
    ] as const
  ).flatMap(([what, passing]) => (passing.length === 0 ? [] : [{ what, passing }]));
  return { steps, notes };
}

/** Roles that every cluster has of its own. @source kubernetes/kubernetes:plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go */
const isBuiltIn = (name: string) =>
  name.startsWith('system:') || ['cluster-admin', 'admin', 'edit', 'view'].includes(name);

const isOurs = (binding: KubeObject, namespaces: readonly string[]) =>
  ((binding['subjects'] ?? []) as { kind: string; namespace?: string }[]).some(
    (it) => it.kind === 'ServiceAccount' && namespaces.includes(it.namespace ?? ''),
  );

/** Of custom resources that travel, and whose kind the target does not serve yet. */
function definitionsOf(data: PlaybookData, { source, target }: Inventory): { name: string; kind: Kind }[] {
  const known = new Set((source.objects[DEFINITION] ?? []).map((it) => it.metadata.name));
  return Object.keys(source.objects).flatMap((kind) => {
    const { kind: word, group } = splitKind(kind);
    const served = source.served.find((it) => it.kind === word && it.group === group);
    const name = `${served?.resource}.${group}`;
    const isUsed = list(source, kind, data.namespaces).some((it) => travels(kind, it));
    return isUsed && known.has(name) && !target.served.some((it) => it.kind === word && it.group === group)
      ? [{ name, kind }]
      : [];
  });
}

const prioritiesOf = (data: PlaybookData, source: ClusterInventory): string[] =>
  (['Deployment.apps', 'StatefulSet.apps', 'DaemonSet.apps'] as const).flatMap((kind) =>
    list(source, kind, data.namespaces).flatMap((it) => {
      const name: unknown = it['spec']?.template?.spec?.priorityClassName;
      return typeof name === 'string' && name !== '' && !name.startsWith('system-') ? [name] : [];
    }),
  );

const callsInto = (configuration: KubeObject, namespaces: readonly string[]) =>
  ((configuration['webhooks'] ?? []) as { clientConfig?: { service?: { namespace?: string } } }[]).some((it) =>
    namespaces.includes(it.clientConfig?.service?.namespace ?? ''),
  );

/** Services without a selector have endpoints that somebody wrote by hand, which no controller makes again. */
export function handmade(data: PlaybookData, { source, target }: Inventory): Passing[] {
  const objects = list(source, 'Service', data.namespaces)
    .filter((it) => it['spec']?.selector === undefined && it['spec']?.type !== 'ExternalName' && travels('Service', it))
    .map((it) => pathOf(it.metadata));
  const route = routeOf('Endpoints', source, target);
  return objects.length === 0 || !route ? [] : [{ kind: 'Endpoints', to: route.to, resource: route.resource, objects }];
}

/** Restores in their order: by namespace and label; what no wave takes comes last. */
export function wavesOf(
  data: PlaybookData,
  passing: readonly Passing[],
  source: ClusterInventory,
): { namespaces: string[]; labels?: Record<string, string>; passing: Passing[] }[] {
  if (data.waves.length === 0) return [{ namespaces: data.namespaces, passing: [...passing] }];
  let rest: Passing[] = [...passing];
  const taken = data.waves.map(({ namespaces, labels }) => {
    const isIn = (kind: Kind, path: string) => {
      const { namespace, name } = splitPath(path);
      if (!namespaces.includes(namespace)) return false;
      if (labels === undefined) return true;
      const own = source.objects[kind]?.find((it) => it.metadata.name === name && it.metadata.namespace === namespace);
      return Object.entries(labels).every(([key, value]) => own?.metadata.labels?.[key] === value);
    };
    const split = (wanted: boolean) =>
      rest
        .map((it) => ({ ...it, objects: it.objects.filter((path) => isIn(it.kind, path) === wanted) }))
        .filter((it) => it.objects.length > 0);
    const mine = split(true);
    rest = split(false);
    return { namespaces, ...(labels && { labels }), passing: mine };
  });
  return rest.length === 0 ? taken : [...taken, { namespaces: data.namespaces, passing: rest }];
}
