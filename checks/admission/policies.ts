import type { Check, Finding, Sight } from '../../src/check.js';
import type { Kind, KubeObject } from '../../src/ports.js';
import { about } from '../about.js';

/**
 * Rules that were written for the new cluster meet objects that were written before them. What they would say of each object
 * only a dry run tells; that they deny at all, and where, can be read.
 *
 * @source https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
export const policies: Check = {
  id: 'policies',
  group: 'admission',
  asks: 'Do policies of the target deny what the source never had to meet?',
  before: 'data',
  severity: 'warn',
  when: ['data'],
  reads: {
    source: ['ClusterPolicy.kyverno.io', 'ConstraintTemplate.templates.gatekeeper.sh', BINDING()],
    target: ['ClusterPolicy.kyverno.io', 'ConstraintTemplate.templates.gatekeeper.sh', BINDING()],
  },
  hint: {
    why: 'A policy that denies refuses objects one by one in the middle of the restore.',
    fix: 'Let the target judge each object first (`--dry-run`), or set the policy to audit for the moved namespaces until they comply.',
  },
  zh: {
    asks: '目标集群是否有源集群没有的、会拒绝对象的准入策略？',
    why: '会拒绝的策略会在恢复过程中把不符合的对象逐个拒掉。',
    fix: '先用 --dry-run 让目标集群逐个判断；或在对象达标之前，对要迁移的命名空间把策略改为仅审计。',
  },
  sources: [
    'https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/',
    'https://kyverno.io/docs/policy-types/cluster-policy/validate/',
    'https://open-policy-agent.github.io/gatekeeper/website/docs/howto/',
  ],

  look: (sight) => [
    ...ofKind(BINDING(), denies, sight),
    ...ofKind('ClusterPolicy.kyverno.io', enforces, sight),
    ...ofKind('ConstraintTemplate.templates.gatekeeper.sh', () => true, sight),
  ],
};

function BINDING() {
  return 'ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io';
}

const denies = (it: KubeObject) => (it['spec']?.validationActions ?? []).includes('Deny');

const enforces = (it: KubeObject) =>
  String(it['spec']?.validationFailureAction).toLowerCase() === 'enforce' ||
  ((it['spec']?.rules ?? []) as { validate?: { failureAction?: string } }[]).some(
    (rule) => rule.validate?.failureAction === 'Enforce',
  );

function ofKind(kind: Kind, bites: (it: KubeObject) => boolean, { source, target }: Sight): Finding[] {
  const known = new Set(
    source
      .list(kind)
      .filter(bites)
      .map((it) => it.metadata.name),
  );
  return target
    .list(kind)
    .filter((it) => bites(it) && !known.has(it.metadata.name))
    .map((it) => ({
      about: `target ${about(it)}`,
      saw: 'it denies, and the source has none of that name',
      breaks: 'objects that do not comply are refused',
    }));
}
