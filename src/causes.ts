/**
 * Why a server, or a restore, would not take an object: one word for each cause, so that a thousand refusals read as a few.
 *
 * The texts are those of API servers and of Velero; a status alone does not tell a quota from a policy.
 *
 * @source kubernetes/kubernetes:plugin/pkg/admission/resourcequota/controller.go ("exceeded quota"), pkg/registry/core/service/portallocator
 * ("provided port is already allocated"), staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/errors ("failed calling webhook");
 * vmware-tanzu/velero:pkg/restore/restore.go
 */
export const REASONS = [
  'api-not-served',
  'existing-object',
  'quota',
  'node-port',
  'webhook-not-up',
  'policy',
  'namespace-ending',
  'storage-class',
  'image-registry',
  'rights',
  'invalid',
  'rule',
  'other',
] as const;

export type Reason = (typeof REASONS)[number];

const BY_TEXT: readonly [Reason, RegExp][] = [
  ['webhook-not-up', /failed calling webhook|failed to call webhook|conversion webhook .* failed/i],
  ['quota', /exceeded quota|must specify (?:limits|requests)|maximum .* usage per|forbidden: .*quota/i],
  [
    'node-port',
    /provided port is already allocated|port is already allocated|not in the valid range|provided port is not in/i,
  ],
  ['namespace-ending', /because it is being terminated|namespace .* is (?:being )?terminat/i],
  ['rule', /applying resource modifiers/i],
  ['api-not-served', /could not find the requested resource|no matches for kind|does not serve/i],
  ['policy', /denied (?:the )?request|violates PodSecurity|ValidatingAdmissionPolicy/i],
  ['existing-object', /already exists/i],
  ['storage-class', /storageclass|storage class/i],
  ['rights', /cannot (?:create|get|list|patch|update) resource|is forbidden: User/i],
  ['invalid', /is invalid|unknown field|Invalid value|Required value|Unsupported value/i],
];

export function reasonOf(status: number | undefined, text: string): Reason {
  const [found] = BY_TEXT.find(([, it]) => it.test(text)) ?? [];
  if (found) return found;
  if (status === 409) return 'existing-object';
  if (status === 404) return 'api-not-served';
  if (status === 403) return 'rights';
  return status === 400 || status === 422 ? 'invalid' : 'other';
}

/** `3 objects: quota (pay/a, pay/b, …); …`, the largest group first. */
export function grouped(all: readonly { about: string; reason: Reason; text?: string }[]): string {
  const groups = new Map<Reason, { about: string; text?: string }[]>();
  for (const { reason, ...it } of all) groups.set(reason, [...(groups.get(reason) ?? []), it]);
  return [...groups]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([reason, list]) => {
      const names = list.slice(0, 5).map((it) => it.about);
      const [first] = list;
      const said = first?.text ? `: ${first.text.slice(0, 200)}` : '';
      return `${list.length} × ${reason} (${names.join(', ')}${list.length > 5 ? ', …' : ''})${said}`;
    })
    .join('; ');
}
