import type { Json } from '../types.js';

export interface Rule {
  verbs: string[];
  groups: string[];
  /** plurals, with a subresource as in `deployments/scale`; `*` for all */
  resources: string[];
  /** where; everywhere, and the resources of the cluster itself, when absent */
  namespaces?: string[];
}

/** Who a bearer token stands for. */
export interface Identity {
  user: string;
  groups: string[];
  rules: Rule[];
}

/** What a request asks to do. */
export interface Right {
  verb: string;
  group: string;
  resource: string;
  subresource?: string | undefined;
  namespace?: string | undefined;
  name?: string | undefined;
}

export const EVERYTHING: Rule[] = [{ verbs: ['*'], groups: ['*'], resources: ['*'] }];

const has = (list: string[], wanted: string): boolean => list.includes('*') || list.includes(wanted);

export function isAllowed({ rules }: Identity, { verb, group, resource, subresource, namespace }: Right): boolean {
  const wanted = subresource === undefined ? resource : `${resource}/${subresource}`;
  return rules.some(
    (rule) =>
      has(rule.verbs, verb) &&
      has(rule.groups, group) &&
      (has(rule.resources, wanted) || (subresource !== undefined && rule.resources.includes(`*/${subresource}`))) &&
      (rule.namespaces === undefined ||
        (namespace !== undefined && namespace !== '' && has(rule.namespaces, namespace))),
  );
}

/** What every user who is known may do: ask about itself. */
const REVIEWS = ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews'];

export const isOpenToAll = ({ verb, resource }: Right): boolean => verb === 'create' && REVIEWS.includes(resource);

/** The words of a refusal, after `... is forbidden: `. */
export function refusal(identity: Identity, right: Right): string {
  const resource = right.subresource === undefined ? right.resource : `${right.resource}/${right.subresource}`;
  const scope = right.namespace ? `in the namespace "${right.namespace}"` : 'at the cluster scope';
  return `User "${identity.user}" cannot ${right.verb} resource "${resource}" in API group "${right.group}" ${scope}`;
}

/** SelfSubjectRulesReview's answer for one namespace. */
export function resourceRules({ rules }: Identity, namespace: string): Json[] {
  return rules
    .filter((rule) => rule.namespaces === undefined || has(rule.namespaces, namespace))
    .map((rule) => ({ verbs: rule.verbs, apiGroups: rule.groups, resources: rule.resources }));
}
