import type { Check, Finding, Sight } from '../../src/check.js';
import type { KubeObject } from '../../src/ports.js';
import { about, some } from '../about.js';

/**
 * Rights are bound by name. A role that the target lacks binds nothing; a user of the old cluster's login is nobody in the
 * new one; and a rule for a group that is gone allows what no one can ask for any more.
 *
 * @source https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
export const roleBindings: Check = {
  id: 'role-bindings',
  group: 'identity',
  asks: 'Do roles and bindings that move still give the rights that they gave?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: { source: [ROLE(), BINDING()], target: [ROLE(), 'ClusterRole.rbac.authorization.k8s.io'] },
  takes: { [BINDING()]: 'each', [ROLE()]: ['rules'] },
  hint: {
    why: 'A binding to a role that is not there, to a user that the target does not know, or a rule for a removed group, gives nothing and says nothing.',
    fix: 'Create the ClusterRole on the target, bind the new names, and name the new groups beside the old: apps beside extensions.',
  },
  zh: {
    asks: '要迁移的 Role 和 RoleBinding 在目标集群是否仍然有效？',
    why: '引用的角色不存在、用户在目标集群不被识别、规则写的是已移除的 API 组，这些都不会报错，只是不再授予任何权限。',
    fix: '在目标集群创建相应的 ClusterRole，绑定新的用户名，并在规则中补上新的 API 组（如 extensions 之外加上 apps）。',
  },
  sources: [
    'https://kubernetes.io/docs/reference/access-authn-authz/rbac/',
    'https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/authorization-overview',
  ],

  look: (sight) => [
    ...sight.source.list(BINDING(), sight.namespaces).flatMap((it) => ofBinding(it, sight)),
    ...sight.source.list(ROLE(), sight.namespaces).flatMap((it) => ofRole(it, sight)),
  ],
};

function ROLE() {
  return 'Role.rbac.authorization.k8s.io';
}

function BINDING() {
  return 'RoleBinding.rbac.authorization.k8s.io';
}

function ofBinding(it: KubeObject, { source, target }: Sight): Finding[] {
  const { kind, name } = (it['roleRef'] ?? {}) as { kind?: string; name?: string };
  const found: Finding[] = [];
  const namespace = it.metadata.namespace ?? '';
  const known =
    kind === 'ClusterRole'
      ? target.get('ClusterRole.rbac.authorization.k8s.io', undefined, name ?? '')
      : (source.get(ROLE(), namespace, name ?? '') ?? target.get(ROLE(), namespace, name ?? ''));
  if (!known)
    found.push({
      about: about(it),
      saw: `it binds ${kind} ${name}, which the target does not have`,
      want: `${name}`,
      breaks: 'it gives no rights',
    });
  const people = ((it['subjects'] ?? []) as { kind: string; name: string }[])
    .filter((one) => one.kind === 'User' && !one.name.startsWith('system:'))
    .map((one) => one.name);
  if (people.length > 0)
    found.push({
      about: about(it),
      saw: `it binds user ${some(people)}`,
      want: 'the names by which the target’s login knows them',
      breaks: 'these users have no rights there, unless both logins use the same names',
    });
  return found;
}

interface Rule {
  apiGroups?: string[];
  resources?: string[];
}

/** Groups whose kinds live elsewhere now. */
function ofRole(it: KubeObject, { source, target }: Sight): Finding[] {
  const groups = new Set(target.served().map((one) => one.group));
  const before = new Set(source.served().map((one) => one.group));
  const rules = (it['rules'] ?? []) as Rule[];
  return [...new Set(rules.flatMap((rule) => rule.apiGroups ?? []))].flatMap((group): Finding[] => {
    if (group === '*' || groups.has(group) || !before.has(group)) return [];
    const resources = [
      ...new Set(rules.filter((rule) => rule.apiGroups?.includes(group)).flatMap((rule) => rule.resources ?? [])),
    ];
    const left = resources.filter(
      (resource) =>
        resource === '*' ||
        !rules.some((rule) => rule.resources?.includes(resource) && rule.apiGroups?.some((one) => groups.has(one))),
    );
    if (left.length === 0) return [];
    return [
      {
        about: about(it),
        saw: `it gives ${some(left)} in group ${group}, which the target does not serve`,
        want: 'the group in which they are served there',
        breaks: 'whoever has only that right may not any more',
      },
    ];
  });
}
